//! The log as it is published, shared: one task publishes again and again, and a package has its records covered at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use journal::checkpoint::{Checkpoint, Verifier};
use journal::proof::Proof;
use journal::tiles::{PublishError, Published, Publisher, TilesError};
use journal::witness::Cosignature;
use journal::{Journal, Position};
use tokio::sync::watch;

use crate::service::{Failure, Service};
use crate::stamp::Stamps;
use crate::witness::Witnesses;

/// The log's publisher, used by one at a time. Every call may wait for the disk, and for who is before it.
pub struct Publication {
    publisher: Mutex<Publisher>,
    verifier: Verifier,
}

impl Publication {
    /// Shares the publisher.
    pub fn new(publisher: Publisher) -> Self {
        let verifier = publisher.verifier().clone();
        Self { publisher: Mutex::new(publisher), verifier }
    }

    fn publisher(&self) -> MutexGuard<'_, Publisher> {
        // It changes only when all of a publication is done: a panic in the middle leaves it as it was.
        self.publisher.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log's public key; waits for nobody.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The newest checkpoint, if one was signed.
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        self.publisher().checkpoint().cloned()
    }

    /// As [`Publisher::published`].
    ///
    /// # Errors
    /// As there.
    pub fn published(&self) -> Result<Option<Published>, TilesError> {
        self.publisher().published()
    }

    /// As [`Publisher::publish`].
    ///
    /// # Errors
    /// As there: the next call tries again.
    pub fn publish(&self, journal: &Journal) -> Result<(), PublishError> {
        self.publisher().publish(journal).map(drop)
    }

    /// Publishes these cosignatures with the checkpoint that they are of; they are left where another one was published meanwhile,
    /// which is cosigned in its turn.
    ///
    /// # Errors
    /// As [`Publisher::cosign`].
    pub fn cosign(&self, of: &Checkpoint, cosignatures: &[Cosignature]) -> Result<(), PublishError> {
        let mut publisher = self.publisher();
        match publisher.checkpoint().is_some_and(|newest| newest.size() == of.size()) {
            true => publisher.cosign(cosignatures),
            false => Ok(()),
        }
    }

    /// Proofs of these records under one checkpoint: the newest, or one that is published now where that does not cover all of them.
    ///
    /// # Errors
    /// SOA-02002: journal or published files cannot be read or written.
    pub(crate) fn prove(&self, journal: &Journal, positions: &[Position]) -> Result<Vec<Proof>, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::journal(&error.to_string());
        let mut publisher = self.publisher();
        let covered = publisher.checkpoint().map_or(0, Checkpoint::size);
        if positions.iter().any(|position| *position >= covered) {
            publisher.publish(journal).map_err(|error| failed(&error))?;
        }
        let published = publisher.published().map_err(|error| failed(&error))?;
        let published = published.ok_or_else(|| Failure::journal("nothing is published"))?;
        let prove = |position: &Position| {
            Proof::new(&published, *position, journal.salted(*position)?).map_err(|error| failed(&error))
        };
        positions.iter().map(prove).collect()
    }
}

/// Publishes and signs what is new in the journal, again and again, and once more at the end.
pub(crate) async fn run(
    service: Arc<Service>,
    log: Arc<Publication>,
    mut stamps: Option<Stamps>,
    mut witnesses: Witnesses,
    every: Duration,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let last = tokio::select! {
            _ = stop.changed() => true,
            () = tokio::time::sleep(every) => false,
        };
        // Nobody waits for a checkpoint: one that failed is made up for by the next.
        publish_once(&service, &log);
        if last {
            return;
        }
        // A stop does not wait for a witness either.
        tokio::select! {
            () = witness(&service, &log, &mut witnesses) => {}
            _ = stop.changed() => return publish_once(&service, &log),
        }
        if let (Some(stamps), Some(checkpoint)) = (&mut stamps, log.checkpoint()) {
            // A stop does not wait for an authority.
            let stamped = tokio::select! {
                stamped = stamps.stamp(&service, &checkpoint) => stamped,
                _ = stop.changed() => return publish_once(&service, &log),
            };
            if let Err(error) = stamped {
                tracing::error!(event = "alarm.checkpoint-unstamped", %error);
            }
        }
    }
}

/// Has the newest checkpoint cosigned, and publishes it so; one without a cosignature stands meanwhile.
async fn witness(service: &Service, log: &Publication, witnesses: &mut Witnesses) {
    if witnesses.is_empty() {
        return;
    }
    let published = match tokio::task::block_in_place(|| log.published()) {
        Ok(Some(published)) => published,
        Ok(None) => return,
        Err(error) => return tracing::error!(event = "alarm.checkpoint-failed", %error),
    };
    let cosignatures = witnesses.cosign(&published, service.now()).await;
    if let Err(error) = tokio::task::block_in_place(|| log.cosign(published.checkpoint(), &cosignatures)) {
        tracing::error!(event = "alarm.checkpoint-failed", %error);
    }
    service.metrics().witnessed(&witnesses.standings(service.journal().size()));
}

fn publish_once(service: &Service, log: &Publication) {
    if let Err(error) = tokio::task::block_in_place(|| log.publish(service.journal())) {
        tracing::error!(event = "alarm.checkpoint-failed", %error);
    }
}
