//! `epost journal report`: what happened in a time, from the journal's bytes.

use std::process::ExitCode;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::{Which, walk};
use crate::command::could_not_run;
use crate::report::{Period, Report};

/// Prints the report; 1 for a damaged journal.
pub(super) fn report(which: &Which, from: Option<&str>, to: Option<&str>, gap_minutes: u32) -> ExitCode {
    let period = match period(from, to, Timestamp::now()) {
        Ok(period) => period,
        Err(error) => return could_not_run(&error),
    };
    let mut report = Report::new(period, SignedDuration::from_mins(i64::from(gap_minutes)));
    let walked = walk(which, &mut |stored| {
        report.take(&stored.record);
        Ok(())
    });
    if let Err(problem) = walked {
        return problem.tell(which.json);
    }
    let report = report.finish();
    match which.json {
        true => println!("{}", serde_json::json!(report)),
        false => print!("{report}"),
    }
    ExitCode::SUCCESS
}

/// Until now, and from a day before, where it is not said.
fn period(from: Option<&str>, to: Option<&str>, now: Timestamp) -> Result<Period, String> {
    let to = to.map_or(Ok(now), moment)?;
    let from = from.map_or(Ok(to - SignedDuration::from_hours(24)), moment)?;
    if from >= to {
        return Err(format!("--from {from} is not before --to {to}"));
    }
    Ok(Period { from, to })
}

/// A moment, or the beginning of a day in UTC.
fn moment(text: &str) -> Result<Timestamp, String> {
    let day = || text.parse::<Date>().ok().and_then(Period::of_day).map(|day| day.from);
    text.parse()
        .ok()
        .or_else(day)
        .ok_or_else(|| format!("{text}: a day (2026-11-21) or a moment (2026-11-21T08:00:00Z)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_of_days_or_moments() {
        let now: Timestamp = "2026-11-21T08:00:00Z".parse().unwrap();
        let told = |from, to| period(from, to, now).map(|period| format!("{} {}", period.from, period.to));
        assert_eq!(told(None, None).unwrap(), "2026-11-20T08:00:00Z 2026-11-21T08:00:00Z");
        let day = told(Some("2026-11-19"), Some("2026-11-20")).unwrap();
        assert_eq!(day, "2026-11-19T00:00:00Z 2026-11-20T00:00:00Z");
        assert!(told(Some("2026-11-19T10:00:00+01:00"), None).unwrap().starts_with("2026-11-19T09:00:00Z"));
        assert!(told(Some("2026-11-21T08:00:00Z"), None).unwrap_err().contains("not before"));
        assert!(told(Some("yesterday"), None).unwrap_err().contains("a day"));
    }
}
