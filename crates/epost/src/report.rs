//! The periodic report on the log (N2): what was asked, refused and by whom, what is out of line, when nobody was served.
//!
//! Made of records alone. No frame is opened, and of the records only counts, codes, institutions and times are taken: reading it is
//! no consultation of anybody's data (N3).

pub mod schedule;
mod text;

use std::collections::BTreeMap;

use erds::Record;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// From when (inclusive) until when (exclusive).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Period {
    /// The first moment.
    pub from: Timestamp,
    /// The moment after the last.
    pub to: Timestamp,
}

impl Period {
    /// That day, in UTC.
    pub fn of_day(day: Date) -> Option<Self> {
        let begin = |day: Date| day.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp()).ok();
        Some(Self { from: begin(day)?, to: begin(day.tomorrow().ok()?)? })
    }

    fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }
}

/// The report; every record of the journal goes by it in order.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Of which time.
    pub period: Period,
    /// That it holds no personal data, in words.
    pub personal_data: &'static str,
    /// Records of that time.
    pub records: u64,
    /// By day, in UTC.
    pub days: BTreeMap<Date, Day>,
    /// By institution and application.
    pub senders: BTreeMap<String, Tally>,
    /// Refusals of requests whose sender was not proven.
    pub refused_unproven: u64,
    /// When nothing was recorded.
    pub gaps: Vec<Gap>,
    /// What the clock did, by the journal's own acts, and records whose time lies before that of the one before.
    pub clock: Vec<ClockEvent>,
    /// What a person should look at, in words; empty: nothing.
    pub findings: Vec<String>,
    #[serde(skip)]
    gap_min: SignedDuration,
    #[serde(skip)]
    last: Option<Last>,
}

/// What one day brought.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Day {
    /// Submissions that were recorded.
    pub received: u64,
    /// Of which so many got a receipt.
    pub accepted: u64,
    /// And so many were withdrawn, by why.
    pub withdrawn: BTreeMap<String, u64>,
    /// Reads that were answered, by operation.
    pub read: BTreeMap<String, u64>,
    /// Refusals, by code and check.
    pub refused: BTreeMap<String, u64>,
    /// Items placed in their box and proved.
    pub dispatched: u64,
    /// Items that could not be placed, by why.
    pub failed: BTreeMap<String, u64>,
    /// Acts of the service and its operators, by name.
    pub acts: BTreeMap<String, u64>,
}

/// What one sender asked for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Tally {
    /// Requests that were taken: received or read.
    pub taken: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Refused much more often than the others.
    pub out_of_line: bool,
}

/// Why nothing was recorded.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GapKind {
    /// The service was up, and nobody asked for anything.
    Quiet,
    /// It was stopped.
    Stopped,
    /// It ended without a stop: a crash, or the power.
    Crashed,
}

/// A time without records.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Gap {
    /// The time of the record before.
    pub from: Timestamp,
    /// The time of the record after, or the period's end.
    pub to: Timestamp,
    /// Why.
    pub kind: GapKind,
}

/// What the clock did.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ClockEvent {
    /// When, by the record.
    pub at: Timestamp,
    /// The act, or `back` for a record that is older than the one before.
    pub what: String,
    /// Its details.
    pub detail: String,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    at: Timestamp,
    serving: bool,
}

impl Report {
    /// An empty one; times without records are gaps from `gap_min` on.
    pub fn new(period: Period, gap_min: SignedDuration) -> Self {
        Self {
            period,
            personal_data: "none: counts, codes, institutions, applications and times of records; no frame was opened",
            records: 0,
            days: BTreeMap::new(),
            senders: BTreeMap::new(),
            refused_unproven: 0,
            gaps: Vec::new(),
            clock: Vec::new(),
            findings: Vec::new(),
            gap_min,
            last: None,
        }
    }

    /// Takes the next record; one at least from before the period tells whether the service was up when it began.
    pub fn take(&mut self, record: &Record) {
        let at = record.at();
        self.follow(record);
        if !self.period.holds(at) {
            return;
        }
        self.records += 1;
        let day = self.days.entry(at.to_zoned(TimeZone::UTC).date()).or_default();
        let count = |of: &mut BTreeMap<String, u64>, what: &str| *of.entry(what.to_owned()).or_default() += 1;
        match record {
            Record::Received(received) => {
                day.received += 1;
                self.senders.entry(received.request.sender.name()).or_default().taken += 1;
            }
            Record::Consulted(read) => {
                count(&mut day.read, &read.request.operation);
                self.senders.entry(read.request.sender.name()).or_default().taken += 1;
            }
            Record::Refused(refused) => {
                count(&mut day.refused, &format!("{} {}", refused.code.as_str(), refused.check));
                match &refused.sender {
                    Some(sender) => self.senders.entry(sender.name()).or_default().refused += 1,
                    None => self.refused_unproven += 1,
                }
            }
            Record::Accepted(_) => day.accepted += 1,
            Record::Withdrawn(withdrawn) => count(&mut day.withdrawn, &withdrawn.reason),
            Record::Dispatched(_) => day.dispatched += 1,
            Record::ConsignmentFailed(failed) => count(&mut day.failed, &failed.reason),
            Record::Control(act) => count(&mut day.acts, &act.action),
            _ => {}
        }
    }

    /// Gaps, restarts and the clock: by the times that are ours, which stand in the journal's order.
    fn follow(&mut self, record: &Record) {
        // These tell another's time, or that of another moment.
        if matches!(record, Record::Consigned(_) | Record::Accessed(_) | Record::ExpiredUnread(_)) {
            return;
        }
        let at = record.at();
        let act = match record {
            Record::Control(act) => act.action.as_str(),
            _ => "",
        };
        if let Record::Control(control) = record
            && act.starts_with("clock.")
            && self.period.holds(at)
        {
            self.clock.push(ClockEvent { at, what: act.to_owned(), detail: control.detail.clone() });
        }
        if let Some(last) = self.last {
            let kind = match (act, last.serving) {
                ("service.start", true) => GapKind::Crashed,
                (_, true) => GapKind::Quiet,
                (_, false) => GapKind::Stopped,
            };
            self.gap(last.at, at, kind);
            if last.at.duration_since(at) > ORDER_SLACK && self.period.holds(at) {
                let detail = format!("after a record of {}", last.at);
                self.clock.push(ClockEvent { at, what: "back".to_owned(), detail });
            }
        }
        // What a stopped service's operators do (a backup, a restore) makes it no service that runs.
        let serving = match act {
            "service.start" => true,
            "service.stop" => false,
            _ => self.last.is_none_or(|last| last.serving),
        };
        self.last = Some(Last { at, serving });
    }

    fn gap(&mut self, from: Timestamp, to: Timestamp, kind: GapKind) {
        let long = kind != GapKind::Quiet || to.duration_since(from) >= self.gap_min;
        if long && to > self.period.from && from < self.period.to {
            self.gaps.push(Gap { from, to, kind });
        }
    }

    /// Closes the period and says what is out of line.
    pub fn finish(mut self) -> Self {
        if let Some(last) = self.last.filter(|last| last.at < self.period.to) {
            let kind = if last.serving { GapKind::Quiet } else { GapKind::Stopped };
            self.gap(last.at, self.period.to, kind);
        }
        let all = self.senders.values().fold(Tally::default(), |all, one| all.plus(one));
        for (sender, tally) in &mut self.senders {
            tally.out_of_line = tally.stands_out_of(&all);
            if tally.out_of_line {
                let Tally { taken, refused, .. } = tally;
                self.findings.push(format!(
                    "{sender}: {refused} of {} requests refused, much more often than the others'",
                    *taken + *refused
                ));
            }
        }
        for gap in &self.gaps {
            let what = match gap.kind {
                GapKind::Quiet => "nothing was recorded while serving",
                GapKind::Stopped => continue,
                GapKind::Crashed => "the service ended without a stop",
            };
            self.findings.push(format!("{what}: {} to {}", gap.from, gap.to));
        }
        self.findings
            .extend(self.clock.iter().map(|event| format!("{}: {} {}", event.what, event.at, event.detail)));
        self
    }
}

impl Tally {
    fn plus(self, other: &Self) -> Self {
        Self { taken: self.taken + other.taken, refused: self.refused + other.refused, out_of_line: false }
    }

    /// Refused [`REFUSALS_MIN`] times, one time in ten, and [`RATE_FACTOR`] times as often as all others.
    fn stands_out_of(&self, all: &Self) -> bool {
        let (mine, others) = (self.taken + self.refused, all.taken + all.refused - self.taken - self.refused);
        let others_refused = all.refused - self.refused;
        let rates =
            (u128::from(self.refused) * u128::from(others), u128::from(others_refused) * u128::from(mine));
        self.refused >= REFUSALS_MIN
            && self.refused * 10 >= mine
            && (others == 0 || rates.0 > RATE_FACTOR * rates.1)
    }
}

/// Fewer refusals are nobody's pattern.
const REFUSALS_MIN: u64 = 10;
const RATE_FACTOR: u128 = 3;
/// A record says when its request's last byte was in, and is written later.
const ORDER_SLACK: SignedDuration = SignedDuration::from_mins(2);

#[cfg(test)]
mod tests;
