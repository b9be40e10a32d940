//! A report of each day that is over, written into a folder; whose findings are told as an alarm.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use erds::record::Hex32;
use jiff::SignedDuration;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use pki::digest::sha256;
use serde_json::json;
use tokio::sync::watch;

use super::{Period, Report};
use crate::config::Report as Setup;
use crate::service::{Failure, Service};

/// Why a report is not there; ours, and it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The journal cannot be read, or not record that the report was made.
    #[error(transparent)]
    Journal(#[from] Failure),
    /// The folder cannot be written.
    #[error("report.folder: {path}: {cause}")]
    Folder {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
}

/// Looks now and then whether a day's report is missing, and makes it.
pub async fn run(service: Arc<Service>, setup: Setup, mut stop: watch::Receiver<bool>) {
    let Some(folder) = setup.folder.clone() else { return };
    loop {
        if let Err(error) = make_missing(&service, &folder, &setup).await {
            tracing::error!(event = "alarm.report-unwritten", %error);
        }
        tokio::select! {
            _ = stop.changed() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Makes the reports of the last days that are over and have none, oldest first; says which.
///
/// # Errors
/// [`ReportError`]; those before it are made.
pub async fn make_missing(service: &Service, folder: &Path, setup: &Setup) -> Result<Vec<Date>, ReportError> {
    let today = service.now().to_zoned(TimeZone::UTC).date();
    let mut days: Vec<Date> = std::iter::successors(today.yesterday().ok(), |day| day.yesterday().ok())
        .take(DAYS_BACK_MAX)
        .take_while(|day| !file(folder, *day, "json").exists())
        .collect();
    days.reverse();
    let mut made = Vec::new();
    for day in days {
        if make(service, folder, day, setup).await? {
            made.push(day);
        }
    }
    Ok(made)
}

/// The report of one day; false where the log is younger.
async fn make(service: &Service, folder: &Path, day: Date, setup: &Setup) -> Result<bool, ReportError> {
    let Some(period) = Period::of_day(day) else { return Ok(false) };
    let gap_min = SignedDuration::from_mins(i64::from(setup.gap_minutes));
    let report = tokio::task::block_in_place(|| of(service, period, gap_min))?;
    let Some(report) = report else { return Ok(false) };
    let lines = format!("{}\n", json!(report));
    tokio::task::block_in_place(|| {
        // The one that is looked for comes last.
        write(&file(folder, day, "txt"), report.to_string().as_bytes())?;
        write(&file(folder, day, "json"), lines.as_bytes())
    })?;
    let detail = json!({
        "day": day, "records": report.records, "findings": report.findings.len(),
        "sha256": Hex32(sha256(lines.as_bytes())),
    });
    service.record_act("report.made", &detail.to_string()).await?;
    if let Some(first) = report.findings.first() {
        let (findings, day) = (report.findings.len(), day.to_string());
        tracing::error!(event = "alarm.report", day, findings, first = %first.escape_debug());
    }
    Ok(true)
}

/// Reads the journal from the newest record before the period on; none where all of it is younger.
fn of(service: &Service, period: Period, gap_min: SignedDuration) -> Result<Option<Report>, Failure> {
    let journal = service.journal();
    let before = |position: u64| Ok::<_, Failure>(journal.read(position)?.record.at() < period.from - MARGIN);
    // Times rise along the journal but for the margin.
    let (mut low, mut high) = (0, journal.size());
    while low < high {
        let middle = low + (high - low) / 2;
        match before(middle)? {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    let mut report = Report::new(period, gap_min);
    let mut any = low > 0;
    for stored in journal.iter(low.saturating_sub(1)) {
        let record = stored?.record;
        if record.at() >= period.to + MARGIN {
            break;
        }
        any |= record.at() < period.to;
        report.take(&record);
    }
    Ok(any.then(|| report.finish()))
}

fn file(folder: &Path, day: Date, kind: &str) -> PathBuf {
    folder.join(format!("report-{day}.{kind}"))
}

/// Whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    let unfinished = path.with_extension("new");
    let written = || {
        let mut file = std::fs::File::create(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, path)
    };
    written().map_err(|cause| ReportError::Folder { path: path.to_owned(), cause })
}

const LOOK_EVERY: Duration = Duration::from_secs(600);
/// A service that was away longer makes up for so many days.
const DAYS_BACK_MAX: usize = 31;
/// Records say when something happened and are written a while later.
const MARGIN: SignedDuration = SignedDuration::from_hours(1);
