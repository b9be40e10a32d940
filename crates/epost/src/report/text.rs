//! The report for people.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter, Result};

use super::{GapKind, Report};

impl Display for Report {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        writeln!(out, "The log from {} to {}: {} records", self.period.from, self.period.to, self.records)?;
        writeln!(out, "Personal data: {}", self.personal_data)?;
        writeln!(out, "\nTo look at")?;
        for finding in &self.findings {
            writeln!(out, "  {finding}")?;
        }
        if self.findings.is_empty() {
            writeln!(out, "  nothing")?;
        }
        for (date, day) in &self.days {
            writeln!(out, "\n{date}")?;
            writeln!(
                out,
                "  received {}, accepted {}, dispatched {}",
                day.received, day.accepted, day.dispatched
            )?;
            let tables = [
                ("read", &day.read),
                ("refused", &day.refused),
                ("withdrawn", &day.withdrawn),
                ("failed", &day.failed),
                ("act", &day.acts),
            ];
            for (name, table) in tables {
                lines(out, name, table)?;
            }
        }
        writeln!(out, "\nSenders: taken, refused")?;
        for (sender, tally) in &self.senders {
            let mark = if tally.out_of_line { "  OUT OF LINE" } else { "" };
            writeln!(out, "  {sender}: {}, {}{mark}", tally.taken, tally.refused)?;
        }
        writeln!(out, "  of no proven sender: 0, {}", self.refused_unproven)?;
        writeln!(out, "\nTimes without records")?;
        for gap in &self.gaps {
            let why = match gap.kind {
                GapKind::Quiet => "serving",
                GapKind::Stopped => "stopped",
                GapKind::Crashed => "ended without a stop",
            };
            writeln!(out, "  {} to {}: {why}", gap.from, gap.to)?;
        }
        Ok(())
    }
}

fn lines(out: &mut Formatter<'_>, name: &str, table: &BTreeMap<String, u64>) -> Result {
    table.iter().try_for_each(|(what, count)| writeln!(out, "  {name} {what}: {count}"))
}
