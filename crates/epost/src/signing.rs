//! The seal's key and the time-stamping authorities at work: so many at once, so many that wait, and whoever comes beyond is told at
//! once to come again. Those of one sender wait behind each other, not before others.
//!
//! A key in a module may take seconds, or never answer. It then holds [`SigningLimits::at_once_max`] threads and no more: the
//! door goes on to accept, to read and to answer.

mod turns;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use erds::{FaultCode, Record, Sender};
use evidence::event::{self, Evidence};
use evidence::package::{self, Contents};
use evidence::seal::{SealError, Sealed, Stampable};
use journal::Recorded;
use pki::signer::SignError;

use crate::metrics::Stage;
use crate::service::{Failure, Service};
use turns::Turns;

/// How many seals may be in the making.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SigningLimits {
    /// Signatures being made at once.
    pub at_once_max: usize,
    /// Time-stamps being asked for at once: as many as the authorities together take.
    pub stamps_at_once_max: usize,
    /// Waiting for a signature to end, and as many for a time-stamp.
    pub waiting_max: usize,
    /// How long one waits: after it, its time-stamp would come too late anyway.
    pub wait_max: Duration,
}

impl Default for SigningLimits {
    fn default() -> Self {
        Self { at_once_max: 8, stamps_at_once_max: 32, waiting_max: 256, wait_max: Duration::from_secs(60) }
    }
}

/// No signature is to be had now; ours to answer with SOA-02002.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum SigningBusy {
    /// `waiting_max` wait already.
    #[error("seal.signatures_waiting_max wait already")]
    Full,
    /// Key or authorities are so slow that waiting longer would be of no use.
    #[error("no turn at the seal's key or the time-stamping authorities within seal.lag_seconds_max")]
    Slow,
}

impl SigningBusy {
    /// The stable code.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Full => "seal.busy",
            Self::Slow => "seal.slow",
        }
    }
}

/// Turns at the seal's key and at the time-stamping authorities.
pub(crate) struct SigningPool {
    signatures: Arc<Turns>,
    stamps: Arc<Turns>,
    wait_max: Duration,
}

impl SigningPool {
    pub(crate) fn new(limits: &SigningLimits) -> Self {
        Self {
            signatures: Turns::new(limits.at_once_max, limits.waiting_max),
            stamps: Turns::new(limits.stamps_at_once_max, limits.waiting_max),
            wait_max: limits.wait_max,
        }
    }

    /// How many wait, for a signature or for a time-stamp.
    pub(crate) fn waiting(&self) -> usize {
        self.signatures.waiting() + self.stamps.waiting()
    }

    /// Runs `sign` on this thread when the turn of `whose` comes; the runtime's other work goes on meanwhile.
    pub(crate) async fn run<T>(&self, whose: &str, sign: impl FnOnce() -> T) -> Result<T, SigningBusy> {
        self.in_turn(&self.signatures, whose, async { tokio::task::block_in_place(sign) }).await
    }

    /// Asks for a time-stamp when the turn of `whose` comes.
    async fn stamp<T>(&self, whose: &str, ask: impl Future<Output = T>) -> Result<T, SigningBusy> {
        self.in_turn(&self.stamps, whose, ask).await
    }

    async fn in_turn<T>(
        &self,
        turns: &Arc<Turns>,
        whose: &str,
        act: impl Future<Output = T>,
    ) -> Result<T, SigningBusy> {
        let turn = tokio::time::timeout(self.wait_max, turns.take(whose)).await;
        let _turn = turn.map_err(|_| SigningBusy::Slow)?.map_err(|_| SigningBusy::Full)?;
        Ok(act.await)
    }
}

/// In whose line a proof of this record waits: its sender's, or that of our own work.
fn whose(record: &Record) -> String {
    match record {
        Record::Received(received) => received.request.sender.name(),
        _ => String::new(),
    }
}

impl Service {
    /// Seals a proof of what is recorded, with a time-stamp; says which authority gave it.
    pub async fn seal(&self, recorded: &Recorded, xml: &[u8]) -> Result<(Sealed, String), Failure> {
        let whose = whose(recorded.record());
        self.seal_by(&whose, || evidence::seal::seal(recorded, xml, self.signer(), self.now())).await
    }

    /// Seals ERDS evidence of what is recorded, with a time-stamp of its own, in the line of its item's sender, whoever asks for it.
    pub(crate) async fn seal_evidence(
        &self,
        recorded: &Recorded,
        evidence: &Evidence,
        sender: &Sender,
    ) -> Result<(event::Sealed, String), Failure> {
        self.seal_by(&sender.name(), || event::seal(recorded, evidence, self.signer(), self.now())).await
    }

    /// Seals a package of what is recorded, with a time-stamp of its own, in the line of its item's sender, whoever asks for it.
    pub(crate) async fn seal_package(
        &self,
        recorded: &Recorded,
        contents: &Contents,
        sender: &Sender,
    ) -> Result<(package::Sealed, String), Failure> {
        self.seal_by(&sender.name(), || package::seal(recorded, contents, self.signer(), self.now())).await
    }

    /// Seals a file that is delivered for an acceptance, by its SHA-256.
    pub(crate) async fn seal_file(&self, recorded: &Recorded, sha256: [u8; 32]) -> Result<Sealed, Failure> {
        let sign = || evidence::seal::seal_file(recorded, sha256, self.signer(), self.now());
        Ok(self.seal_by(&whose(recorded.record()), sign).await?.0)
    }

    async fn seal_by<U: Stampable>(
        &self,
        whose: &str,
        sign: impl FnOnce() -> Result<U, SealError>,
    ) -> Result<(U::Sealed, String), Failure> {
        if !self.seal_in_force() {
            return Err(Failure::away(
                "seal.not-in-force",
                "the seal's certificate is revoked, expired, or without a current CRL",
            ));
        }
        let sealing = |error: SealError| match &error {
            // Away, or not the certificate's key any more: nothing was signed, and the next request tries anew.
            SealError::Sign(cause @ (SignError::Token(_) | SignError::Mismatch)) => {
                tracing::error!(event = "alarm.seal-key-away", code = cause.code(), %error);
                Failure::away(cause.code(), &error.to_string())
            }
            _ => Failure::broken(FaultCode::SepiaT02, error.code(), &error.to_string()),
        };
        let signing = self.signing().run(whose, || {
            let _timed = self.metrics().time(Stage::Seal);
            sign()
        });
        let busy = |error: SigningBusy| Failure::away(error.code(), &error.to_string());
        let unstamped = signing.await.map_err(busy)?.map_err(sealing)?;
        let timed = self.metrics().time(Stage::Stamp);
        let imprint = unstamped.signature_digest();
        let stamp = self.signing().stamp(whose, self.stamp(&imprint)).await;
        drop(timed);
        let stamp = stamp.map_err(busy)??;
        Ok((unstamped.stamp(stamp.token).map_err(sealing)?, stamp.authority))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;

    use super::*;

    fn pool(waiting_max: usize, wait_max: Duration) -> Arc<SigningPool> {
        Arc::new(SigningPool::new(&SigningLimits {
            at_once_max: 2,
            stamps_at_once_max: 1,
            waiting_max,
            wait_max,
        }))
    }

    /// Signatures that end when told to.
    async fn slow(
        pool: &Arc<SigningPool>,
        count: usize,
    ) -> (Vec<tokio::task::JoinHandle<bool>>, Vec<std::sync::mpsc::Sender<()>>) {
        let (began, mut begun) = tokio::sync::mpsc::unbounded_channel();
        let mut running = Vec::new();
        let mut ends = Vec::new();
        for _ in 0..count {
            let (end, ended) = channel();
            let (pool, began) = (pool.clone(), began.clone());
            running.push(tokio::spawn(async move {
                let signed = pool.run("a", move || {
                    let _ = began.send(());
                    ended.recv().is_ok()
                });
                signed.await == Ok(true)
            }));
            ends.push(end);
        }
        for _ in 0..count.min(2) {
            begun.recv().await.unwrap();
        }
        (running, ends)
    }

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_key_that_does_not_answer_holds_up_nobody_else() {
        let pool = pool(1, LONG);
        let (running, ends) = slow(&pool, 2).await;
        // One worker thread, two signatures that hang: connections are still accepted and served.
        let door = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = door.local_addr().unwrap();
        let (client, server) = tokio::join!(tokio::net::TcpStream::connect(address), door.accept());
        assert!(client.is_ok() && server.is_ok());
        for end in ends {
            end.send(()).unwrap();
        }
        for signed in running {
            assert!(signed.await.unwrap());
        }
        assert_eq!(pool.run("b", || 1).await, Ok(1), "and every turn is given back");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn so_many_wait_and_the_next_is_told_at_once() {
        let pool = pool(1, LONG);
        let (running, ends) = slow(&pool, 3).await;
        while pool.signatures.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(
            pool.run("b", || ()).await,
            Err(SigningBusy::Full),
            "two sign, one waits, one more is one too many"
        );

        for end in ends {
            end.send(()).unwrap();
        }
        for signed in running {
            assert!(signed.await.unwrap(), "whoever waited has had his turn");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nobody_waits_for_what_would_come_too_late() {
        let pool = pool(8, Duration::ZERO);
        let (running, ends) = slow(&pool, 2).await;
        assert_eq!(pool.run("b", || ()).await, Err(SigningBusy::Slow));
        drop(ends);
        for signed in running {
            assert!(!signed.await.unwrap());
        }
        assert_eq!(pool.run("b", || ()).await, Ok(()), "without waiting there is a turn");
    }
}
