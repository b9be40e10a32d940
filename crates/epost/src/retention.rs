//! Retention (N5): when a term has ended its keys are destroyed, on record, and never before, nor under a legal hold.
//!
//! Content, messages and stored proofs go with their key; the journal's records stay, and with them chain and proofs. There is no
//! state beside the journal: acts and holds claim unique keys made of their numbers. What a run does:
//! 1. Time is asked of a time-stamping authority: a clock of ours that is wrong erases nothing.
//! 2. The plan is made from the journal's records as of then.
//! 3. Each act is appended: it names kind, class, term and tickets. *Crash: the keys are still there; the next start destroys them.*
//! 4. Its keys are destroyed, then the files that nobody can read any more are removed.

mod error;
mod hold;
mod plan;

use std::sync::Arc;
use std::time::Duration;

use erds::record::{Erased, Hex32};
use erds::{Record, Ticket};
use jiff::{SignedDuration, Timestamp};
use journal::{Appended, Entry, UniqueKey};
use pki::digest::{Digest, DigestAlgorithm, sha256};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{Mutex, watch};

pub use error::RetentionError;
pub use hold::{HoldAsked, HoldLifted};
pub use plan::{Group, Kind, Plan};

use crate::config;
use crate::consult::Person;
use crate::service::{Failure, Service};

/// Which plan a run carries out: nothing is erased that was not shown before.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RunAsked {
    /// The plan's time.
    pub as_of: Timestamp,
    /// Its digest.
    pub plan: Hex32,
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Done {
    /// Acts in the journal.
    pub acts: u64,
    /// Keys destroyed.
    pub erased: usize,
    /// There is more: a further run takes it.
    pub more: bool,
}

/// Where retention is planned, run and held up, over a service that runs.
pub struct Retention {
    service: Arc<Service>,
    table: config::Retention,
    /// One at a time: a hold that is set while a run goes on counts from the run's end, and says so by waiting.
    turn: Mutex<()>,
}

impl Retention {
    /// Opens it with the configured table.
    pub fn new(service: Arc<Service>, table: config::Retention) -> Self {
        Self { service, table, turn: Mutex::default() }
    }

    /// What a run would erase now, and why not the rest; nothing is changed.
    ///
    /// # Errors
    /// `ClockBehind`, `ClockApart`, `TimeUnknown`: the time is not certain. `Failed`: ours.
    pub async fn plan(&self) -> Result<Plan, RetentionError> {
        let as_of = self.certain_time().await?;
        let _turn = self.turn.lock().await;
        Ok(self.plan_as_of(as_of)?)
    }

    /// What a run at that time would have erased of what is there now: whether it has come is not asked.
    ///
    /// # Errors
    /// Ours.
    pub fn plan_as_of(&self, as_of: Timestamp) -> Result<Plan, Failure> {
        let holds = self.holds()?;
        tokio::task::block_in_place(|| plan::plan(&self.service, &self.table, &holds, as_of))
    }

    /// Erases what was planned, or, asked by nobody, what a plan of now says; each act is in the journal before its keys are gone.
    ///
    /// # Errors
    /// As [`Retention::plan`]; `Future`, `Changed`: the plan is another by now, and nothing was erased. `Failed`: ours; what was
    /// recorded is carried out by the next run or start.
    pub async fn run(&self, by: Option<&Person>, asked: Option<&RunAsked>) -> Result<Done, RetentionError> {
        let now = self.certain_time().await?;
        let _turn = self.turn.lock().await;
        self.service.finish_erasure().await?;
        let as_of = asked.map_or(now, |asked| asked.as_of);
        if as_of > now {
            return Err(RetentionError::Future { as_of, now });
        }
        let plan = self.plan_as_of(as_of)?;
        if let Some(asked) = asked.filter(|asked| asked.plan != plan.digest()) {
            return Err(RetentionError::Changed { asked: asked.plan, now: plan.digest() });
        }
        let mut done = Done { more: plan.more, ..Done::default() };
        for record in plan.records(self.service.now(), by.map(|person| person.certificate)) {
            let tickets = record.tickets.clone();
            self.append(record).await?;
            self.service.erase(&tickets).await?;
            (done.acts, done.erased) = (done.acts + 1, done.erased + tickets.len());
        }
        Ok(done)
    }

    async fn append(&self, mut erased: Erased) -> Result<(), Failure> {
        erased.act = self.service.last_erasure()? + 1;
        let unique_keys = vec![act_key(erased.act)];
        let entry = Entry { record: Record::Erased(erased), frames: Vec::new(), unique_keys };
        match self.service.append(entry).await? {
            Appended::Recorded(_) => Ok(()),
            Appended::Existing(_) => Err(Failure::journal("two runs of retention at once")),
        }
    }

    /// The time, if an authority agrees with our clock and no record is of later: the earlier of both.
    async fn certain_time(&self) -> Result<Timestamp, RetentionError> {
        let service = &self.service;
        let now = service.now();
        if let Some(last) = service.journal().size().checked_sub(1) {
            let last = service.journal().read(last).map_err(Failure::from)?.record.at();
            if now < last {
                return Err(RetentionError::ClockBehind { now, last });
            }
        }
        let imprint = Digest::of(DigestAlgorithm::Sha256, b"retention");
        let stamp = service.stamper().stamp(&imprint).await;
        let stamp = stamp.map_err(|error| RetentionError::TimeUnknown(error.to_string()))?;
        let gen_time = stamp.token.token().tst_info().gen_time;
        let seconds = i64::try_from(service.settings().clock_skew_seconds_max).unwrap_or(i64::MAX);
        if service.now().duration_since(gen_time).abs() > SignedDuration::from_secs(seconds) {
            return Err(RetentionError::ClockApart { now, gen_time });
        }
        Ok(now.min(gen_time))
    }
}

impl Service {
    /// Destroys keys whose erasure is on record, and removes files that nobody can read any more.
    async fn erase(&self, tickets: &[Ticket]) -> Result<(), Failure> {
        self.keys().destroy_all(tickets).await?;
        for ticket in tickets {
            self.discard(*ticket);
        }
        Ok(())
    }

    /// Carries out the newest act again: a crash may have come between its record and the keys. Before it, each was carried out before
    /// the next was recorded.
    pub(crate) async fn finish_erasure(&self) -> Result<(), Failure> {
        let Some(position) = self.journal().find(&act_key(self.last_erasure()?))? else { return Ok(()) };
        match self.journal().read(position)?.record {
            Record::Erased(erased) => self.erase(&erased.tickets).await,
            _ => Err(Failure::journal("a record under an erasure's key that is none")),
        }
    }

    /// The number of the newest act; 0: there is none.
    fn last_erasure(&self) -> Result<u64, Failure> {
        self.last_numbered(act_key)
    }
}

/// Runs at once and then every `run_hours`, until `stop` turns true; never where that is 0.
pub async fn watch(retention: Arc<Retention>, mut stop: watch::Receiver<bool>) {
    let every = Duration::from_secs(u64::from(retention.table.run_hours) * 3600);
    if every.is_zero() {
        return;
    }
    loop {
        let ran = tokio::select! {
            _ = stop.changed() => return,
            ran = retention.run(None, None) => ran,
        };
        match ran {
            Ok(Done { acts, erased, more }) => tracing::info!(event = "retention.ran", acts, erased, more),
            Err(error) => tracing::error!(event = "alarm.retention-failed", code = error.code(), %error),
        }
        tokio::select! {
            _ = stop.changed() => return,
            () = tokio::time::sleep(every) => {}
        }
    }
}

impl Done {
    /// As the door answers it.
    pub fn line(&self) -> Value {
        json!({"acts": self.acts, "erased": self.erased, "more": self.more})
    }
}

fn act_key(act: u64) -> UniqueKey {
    UniqueKey(sha256(format!("retention.erased\0{act}").as_bytes()))
}
