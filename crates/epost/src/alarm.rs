//! Alarms reach a person: every event named `alarm.…` goes to the configured command, with what to do about it.
//!
//! The log has them all the same. One alarm runs the command at most once a pause; what was left out is counted in the next run, so
//! that a storm pages once and nothing is forgotten.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use crate::config::Alarm;

/// Every alarm, and what the person who gets it is to do.
pub const REMEDIES: [(&str, &str); 30] = [
    (
        "alarm.batch-unlaid",
        "An item cannot be laid in its partner's folder: look at the time-stamping authorities, the seal's certificate and the disk; it is tried again.",
    ),
    (
        "alarm.certificate-expiry",
        "Order and install the certificate's successor, then restart; `days` are left.",
    ),
    (
        "alarm.checkpoint-failed",
        "The newest records are not signed and published: look at the disk under data.directory/tlog; the next checkpoint makes up for it. With `journal.forked` in `error` end the service: the log is not the one that was signed; `epost journal verify` and deploy/operating.md say more.",
    ),
    (
        "alarm.checkpoint-unstamped",
        "The day's time-stamp on the log could not be had or kept: look at the time-stamping authorities and the disk; it is tried again.",
    ),
    (
        "alarm.clock-set",
        "The system's clock was set by so many seconds: find out by whom; the times of records on either side do not compare.",
    ),
    (
        "alarm.clock-skew",
        "Our clock and a time-stamping authority's differ: look at the system's clock first, then at the authority's; while it is wrong nothing is sealed.",
    ),
    (
        "alarm.clock-unsynchronised",
        "The system's clock is not synchronised any more: look at what keeps it (chronyd, systemd-timesyncd) and its servers.",
    ),
    (
        "alarm.content-absent",
        "Content that was promised is gone (`first` names it): look for it in every backup and restore it before the items' time is spent.",
    ),
    (
        "alarm.courier",
        "The channel refuses our credentials or our request: see `code` and `detail`; items wait, nothing is lost.",
    ),
    (
        "alarm.courier.answer-lost",
        "The eBox says this key was used, and its first answer is not known: ask its operator for the message of this ticket.",
    ),
    (
        "alarm.courier.given-up",
        "Delivery failed for good (ERROR, D.2): tell the sender; look at the channel before more items are given up.",
    ),
    (
        "alarm.courier.unsealed",
        "Delivered, but the proof of dispatch cannot be sealed: look at the time-stamping authorities and the seal's certificate.",
    ),
    (
        "alarm.crls-unreadable",
        "Mend the CRL files or their download; when the old lists pass their nextUpdate, senders are refused.",
    ),
    (
        "alarm.drill-failed",
        "The backup did not come back whole: `code` says why; make another now, and drill it.",
    ),
    ("alarm.drill-overdue", "No drill passed for `days`: run `epost drill` on the newest backup."),
    ("alarm.index.damaged", "The index was damaged and is being rebuilt from the journal; look at the disk."),
    (
        "alarm.index.transition",
        "The journal holds a record that its item's state does not allow: run `epost journal verify` and call the makers.",
    ),
    (
        "alarm.index.unknown-item",
        "The journal holds a record of an item that was never received: run `epost journal verify` and call the makers.",
    ),
    (
        "alarm.journal-unsealed",
        "A closed journal segment stays in memory, as what is derived of it cannot be written: look at the disk under data.directory; it is tried again with the next one, and at a start.",
    ),
    (
        "alarm.keys.damaged",
        "Item keys are damaged: stop the service, and run `epost journal repair --content --from BACKUP` (deploy/operating.md).",
    ),
    (
        "alarm.policy-unreadable",
        "Mend the policy file: `error` says where; until then the policy before it decides.",
    ),
    ("alarm.report", "The day's report has findings (`first` is one): read report-DAY.txt in report.folder."),
    (
        "alarm.report-unwritten",
        "The day's report could not be made: look at report.folder and the disk; it is tried again.",
    ),
    (
        "alarm.request-unrecorded",
        "A refusal could not be journalled: look at the disk under data.directory; nothing was accepted.",
    ),
    (
        "alarm.retention-failed",
        "Nothing past its term was erased, or not all of it: `error` says why; the next run goes on.",
    ),
    (
        "alarm.seal-key-away",
        "The token does not sign with the seal's key: `code` and `error` say why; nothing is accepted until it does. Connect it: no restart is needed, but after token.pin, which is not tried again.",
    ),
    (
        "alarm.seal-not-in-force",
        "The seal's certificate is revoked, expired or without a current CRL: nothing is accepted until that is mended.",
    ),
    (
        "alarm.security-rate",
        "Many security events of one `kind`: look for them in the log (`security.KIND`), find whose they are, and close that sender's grants if it is no mistake.",
    ),
    (
        "alarm.stored-bytes",
        "Stored bytes are not what was written, or are gone: keep the newest backup as it is, stop the service, and let `epost journal repair \
         --from BACKUP --content` say what is wrong and what that backup can mend. Where `part` is the index: `epost index rebuild`.",
    ),
    (
        "alarm.witness-behind",
        "A witness of the log has not cosigned for longer than its behind_seconds_max: ask who runs it. Nothing waits for it; `witness.behind` says why.",
    ),
];

/// Catches alarms from the log's stream.
pub struct AlarmLayer(Sender<Raised>);

/// An alarm as it was raised.
pub struct Raised {
    event: String,
    fields: Map<String, Value>,
}

/// A layer for the log, and what it catches.
pub fn layer() -> (AlarmLayer, Receiver<Raised>) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    (AlarmLayer(sender), receiver)
}

impl<S: Subscriber> Layer<S> for AlarmLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() > tracing::Level::WARN {
            return;
        }
        let mut fields = Fields(Map::new());
        event.record(&mut fields);
        let Some(Value::String(name)) = fields.0.remove("event") else { return };
        if name.starts_with("alarm.") {
            // Full: the command hangs; the log still has it.
            let _ = self.0.try_send(Raised { event: name, fields: fields.0 });
        }
    }
}

struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), Value::from(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name().to_owned(), Value::from(format!("{value:?}")));
    }
}

/// Runs the command for what is raised, until the log's stream ends.
pub async fn forward(mut raised: Receiver<Raised>, setup: Alarm) {
    let mut pages = Pages { pause: Duration::from_secs(setup.pause_seconds), quiet: BTreeMap::new() };
    loop {
        tokio::select! {
            next = raised.recv() => match next {
                Some(next) => pages.raise(next, Instant::now()),
                None => return,
            },
            () = sleep_until(pages.wake()) => {}
        }
        for line in pages.due(Instant::now()) {
            if let Err(error) = run(&setup.command, &line).await {
                tracing::error!(event = "operator.alarm-command", %error);
            }
        }
    }
}

/// Which alarms wait to be told.
struct Pages {
    pause: Duration,
    quiet: BTreeMap<String, Quiet>,
}

/// One alarm: until when it is not told again, how often it was raised since it was, and the newest of these.
struct Quiet {
    until: Instant,
    count: u64,
    last: Map<String, Value>,
}

impl Pages {
    fn raise(&mut self, raised: Raised, now: Instant) {
        let first = || Quiet { until: now, count: 0, last: Map::new() };
        let quiet = self.quiet.entry(raised.event).or_insert_with(first);
        quiet.count += 1;
        quiet.last = raised.fields;
    }

    /// The lines to tell now; each begins a pause.
    fn due(&mut self, now: Instant) -> Vec<String> {
        let mut lines = Vec::new();
        for (event, quiet) in self.quiet.iter_mut().filter(|(_, quiet)| quiet.count > 0 && quiet.until <= now)
        {
            lines.push(line(event, quiet.count, &quiet.last));
            (quiet.until, quiet.count) = (now + self.pause, 0);
        }
        lines
    }

    /// When the next line is due; none where nothing waits.
    fn wake(&self) -> Option<Instant> {
        self.quiet.values().filter(|quiet| quiet.count > 0).map(|quiet| quiet.until).min()
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

fn line(event: &str, count: u64, fields: &Map<String, Value>) -> String {
    let remedy = REMEDIES.iter().find(|(name, _)| *name == event).map(|(_, remedy)| *remedy);
    format!("{}\n", json!({"event": event, "count": count, "what_to_do": remedy, "fields": fields}))
}

/// The command gets the line on its standard input; it has a time limit, and its failure is logged.
async fn run(command: &[String], line: &str) -> Result<(), String> {
    let Some((program, arguments)) = command.split_first() else { return Ok(()) };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("alarm.command: {program}: {error}"))?;
    let told = async {
        if let Some(mut input) = child.stdin.take() {
            let _ = input.write_all(line.as_bytes()).await; // it may not care for its input
        }
        child.wait().await
    };
    match tokio::time::timeout(COMMAND_TIME_MAX, told).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("alarm.command: {program}: {status}")),
        Ok(Err(error)) => Err(format!("alarm.command: {program}: {error}")),
        Err(_) => Err(format!("alarm.command: {program}: no end in {} s", COMMAND_TIME_MAX.as_secs())),
    }
}

const WAITING_MAX: usize = 256;
const COMMAND_TIME_MAX: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn an_alarm_is_told_once_a_pause_and_none_is_forgotten() {
        let (layer, mut raised) = layer();
        let log = tracing::Dispatch::new(tracing_subscriber::registry().with(layer));
        tracing::dispatcher::with_default(&log, || {
            tracing::info!(event = "alarm.courier", "too quiet a level");
            tracing::error!(event = "courier.failed", "another event");
            for ticket in ["A", "B", "C"] {
                tracing::error!(event = "alarm.courier.given-up", ticket, reason = "deadline");
            }
        });
        let mut pages = Pages { pause: Duration::from_secs(60), quiet: BTreeMap::new() };
        let start = Instant::now();
        assert_eq!(pages.wake(), None);
        let mut told = Vec::new();
        for seconds in 0..3 {
            let now = start + Duration::from_secs(seconds);
            pages.raise(raised.try_recv().unwrap(), now);
            told.extend(pages.due(now));
        }
        assert!(raised.try_recv().is_err(), "three alarms and nothing else");
        assert_eq!((told.len(), pages.wake()), (1, Some(start + Duration::from_secs(60))));
        assert_eq!(pages.due(start + Duration::from_secs(59)), Vec::<String>::new());
        told.extend(pages.due(start + Duration::from_secs(60)));
        let told: Vec<Value> = told.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(told.len(), 2);
        assert_eq!((told[0]["count"].as_u64(), told[0]["fields"]["ticket"].as_str()), (Some(1), Some("A")));
        assert_eq!((told[1]["count"].as_u64(), told[1]["fields"]["ticket"].as_str()), (Some(2), Some("C")));
        assert!(told[0]["what_to_do"].as_str().unwrap().contains("tell the sender"), "{}", told[0]);
        assert_eq!(pages.wake(), None);
    }

    #[tokio::test]
    async fn the_command_gets_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("told");
        let command = ["sh", "-c", "cat > \"$0\"", file.to_str().unwrap()].map(str::to_owned);
        run(&command, "{\"event\":\"alarm.courier\"}\n").await.unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\"event\":\"alarm.courier\"}\n");
    }

    #[tokio::test]
    async fn a_command_that_fails_is_named() {
        let error = run(&["sh".into(), "-c".into(), "exit 3".into()], "x").await.unwrap_err();
        assert!(error.contains("exit status: 3"), "{error}");
        let error = run(&["/no/such/program".into()], "x").await.unwrap_err();
        assert!(error.starts_with("alarm.command: /no/such/program"), "{error}");
    }
}
