//! Taking up what drills left, and telling when there was none for too long.

use std::sync::Arc;
use std::time::Duration;

use disk::{OpenMode, read_exactly};
use erds::Record;
use erds::record::Control;
use jiff::{SignedDuration, Timestamp};
use journal::{Entry, UniqueKey};
use pki::digest::sha256;
use tokio::sync::watch;

use super::Outcome;
use crate::service::{Failure, Service};

/// Under the data folder.
pub(super) const FOLDER: &str = "acts";
pub(super) const SUFFIX: &str = "drill";
/// Bytes of one act's file.
const BYTES_MAX: u64 = 4096;
const EVERY: Duration = Duration::from_secs(60);
/// An overdue drill is told of once a day.
const TOLD_EVERY: SignedDuration = SignedDuration::from_hours(24);

/// Takes up acts once a minute, and alarms where the newest drill that passed is older than `days_max`; 0: nobody is told.
pub async fn watch(service: Arc<Service>, days_max: u32, mut stop: watch::Receiver<bool>) {
    let mut told_at = None;
    loop {
        if let Err(failure) = take_up(&service).await {
            tracing::error!(event = "drill.act-unrecorded", %failure);
        }
        let now = service.now();
        let due = told_at.is_none_or(|told: Timestamp| now.duration_since(told) >= TOLD_EVERY);
        match overdue(&service, days_max, now) {
            Ok(Some(days)) if due => {
                tracing::error!(event = "alarm.drill-overdue", days, limit = days_max);
                told_at = Some(now);
            }
            Ok(Some(_)) => {}
            Ok(None) => told_at = None,
            Err(failure) => tracing::error!(event = "drill.act-unrecorded", %failure),
        }
        tokio::select! {
            _ = stop.changed() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Records each act that lies there, then removes its file; says how many. *Crash between: it is found again, and recorded once.*
///
/// # Errors
/// Ours: what is left is taken up later. A file that is no act is removed and told of in the log.
pub async fn take_up(service: &Service) -> Result<usize, Failure> {
    let (disk, data) = service.data();
    let folder = data.join(FOLDER);
    let on_disk = |error: std::io::Error| Failure::store(&error.to_string());
    let mut taken = 0;
    for path in disk.list(&folder).map_err(on_disk)? {
        if path.extension().is_none_or(|suffix| suffix != SUFFIX) {
            continue;
        }
        let file = disk.open(&path, OpenMode::Read).map_err(on_disk)?;
        let length = file.length().map_err(on_disk)?.min(BYTES_MAX);
        let bytes = read_exactly(file.as_ref(), 0, length as usize).map_err(on_disk)?;
        match serde_json::from_slice::<Outcome>(&bytes) {
            Ok(outcome) => {
                record(service, &outcome, &bytes).await?;
                taken += 1;
            }
            Err(error) => tracing::error!(event = "drill.act-unreadable", %error),
        }
        disk.remove(&path).map_err(on_disk)?;
        disk.sync_dir(&folder).map_err(on_disk)?;
    }
    Ok(taken)
}

async fn record(service: &Service, outcome: &Outcome, bytes: &[u8]) -> Result<(), Failure> {
    if !outcome.passed {
        let code = outcome.code.as_deref().unwrap_or_default().escape_debug();
        tracing::error!(event = "alarm.drill-failed", code = %code);
    }
    let action = if outcome.passed { PASSED } else { FAILED };
    let detail = serde_json::to_string(outcome).map_err(|error| Failure::store(&error.to_string()))?;
    let record =
        Record::Control(Control { at: service.now(), action: action.to_owned(), ticket: None, detail });
    // Its bytes, so that it is recorded once; of those that passed, its number, by which the newest is found.
    let mut unique_keys = vec![UniqueKey(sha256(&[b"drill.act\0", bytes].concat()))];
    if outcome.passed {
        unique_keys.push(passed_key(service.last_numbered(passed_key)? + 1));
    }
    service.append(Entry { record, frames: Vec::new(), unique_keys }).await.map(|_| ())
}

/// How many days there was no drill that passed, where that is more than are allowed. The journal's first record counts as one.
///
/// # Errors
/// Ours: the journal cannot be read.
pub fn overdue(service: &Service, days_max: u32, now: Timestamp) -> Result<Option<i64>, Failure> {
    if days_max == 0 || service.journal().size() == 0 {
        return Ok(None);
    }
    let last = service.journal().find(&passed_key(service.last_numbered(passed_key)?))?;
    let since = service.journal().read(last.unwrap_or(0))?.record.at();
    let days = now.duration_since(since).as_hours() / 24;
    Ok((days > i64::from(days_max)).then_some(days))
}

fn passed_key(number: u64) -> UniqueKey {
    UniqueKey(sha256(format!("{PASSED}\0{number}").as_bytes()))
}

const PASSED: &str = "drill.passed";
const FAILED: &str = "drill.failed";
