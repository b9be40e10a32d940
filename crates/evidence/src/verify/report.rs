//! The verdict as a value, as text for a person, and as JSON.

use std::fmt::Write as _;

use super::indication::{Indication, SubIndication};

/// What one run of the verifier found.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Report {
    /// The verdict over all checks.
    pub indication: Indication,
    /// Why, unless passed: of the first check that decided.
    pub sub_indication: Option<SubIndication>,
    /// Every check that ran, in order.
    pub checks: Vec<Check>,
    /// What the proof says. Only worth anything if the indication is TOTAL-PASSED; `None` if it cannot be read.
    pub facts: Option<Facts>,
    /// Of a package: the report on each proof in it; all of them count in the package's own checks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inside: Vec<Inside>,
}

/// One proof in a package.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Inside {
    /// Its name there.
    pub file: String,
    /// What was found of it.
    #[serde(flatten)]
    pub report: Report,
}

/// One check: one line.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Check {
    /// What was checked, in a few words.
    pub name: &'static str,
    /// The clause of the standard, or of the contract, that demands it.
    pub clause: &'static str,
    /// What had to be found.
    pub expected: String,
    /// What was found.
    pub found: String,
    /// Whether that is enough.
    pub outcome: Outcome,
    /// Why not, in the standard's word.
    pub sub_indication: Option<SubIndication>,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Outcome {
    /// Found what was expected.
    Passed,
    /// Found something else: the proof does not hold.
    Failed,
    /// What was given does not suffice to say.
    Indeterminate,
    /// Worth knowing, decides nothing.
    Noted,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::Indeterminate => "unclear",
            Self::Noted => "note",
        }
    }
}

/// What a proof says, in words and in fields.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Facts {
    /// `RECEIPT` (handed to ePost), `PROOF_OF_DISPATCH` (placed in the recipient's box), the name of an evidence's event, or `PACKAGE`.
    pub kind: &'static str,
    /// The fact as a sentence.
    pub statement: String,
    /// The subject of the seal's certificate.
    pub sealed_by: String,
    /// When the act took place, as an evidence says it; never the trusted time.
    pub event_time: Option<String>,
    /// The trusted time, UTC to the second; absent while no time-stamp could be read.
    pub time: Option<String>,
    /// The subject of the time-stamping authority's certificate, or its own name for itself.
    pub time_stamped_by: Option<String>,
    /// The environment; anything but `PRD` is NOT PRODUCTION.
    pub environment: String,
    /// ePost's name of the item; of a refused request, its id.
    pub ticket: String,
    /// The sender's name of the item.
    pub token: String,
    /// The sender's enterprise number.
    pub sender: String,
    /// To whom.
    pub recipient: String,
    /// Every file of the item: title, name, digest method, digest in hex.
    pub files: Vec<FileFact>,
}

/// One file that the proof names.
#[derive(Clone, Debug, serde::Serialize)]
pub struct FileFact {
    /// The sender's title.
    pub title: String,
    /// The sender's file name; display only.
    pub name: String,
    /// `SHA-256` or `SHA-512`.
    pub digest_method: &'static str,
    /// Lower-case hex.
    pub digest: String,
    /// Whether a file with this digest was given; `None` if no file was given at all.
    pub given: Option<bool>,
}

impl Report {
    /// Derives the verdict: failed beats unclear, unclear beats passed; no check at all is a failure.
    pub(super) fn of(checks: Vec<Check>, facts: Option<Facts>) -> Self {
        let first = |outcome| checks.iter().find(|check: &&Check| check.outcome == outcome);
        let (indication, decisive) = match (first(Outcome::Failed), first(Outcome::Indeterminate)) {
            (Some(check), _) => (Indication::TotalFailed, Some(check)),
            (None, Some(check)) => (Indication::Indeterminate, Some(check)),
            (None, None) if checks.is_empty() => (Indication::TotalFailed, None),
            (None, None) => (Indication::TotalPassed, None),
        };
        let sub_indication = decisive.and_then(|check| check.sub_indication);
        Self { indication, sub_indication, checks, facts, inside: Vec::new() }
    }

    /// Whether the proof holds.
    pub fn passed(&self) -> bool {
        self.indication == Indication::TotalPassed
    }

    /// The report for a person: the verdict, the fact, one line a check.
    pub fn render(&self) -> String {
        let mut out = String::new();
        self.render_verdict(&mut out);
        self.render_facts(&mut out);
        self.render_checks(&mut out);
        for Inside { file, report } in &self.inside {
            let _ = writeln!(out, "\n  {file}:");
            for text in report.render().lines() {
                let _ = writeln!(out, "{}", format!("    {text}").trim_end());
            }
        }
        out
    }

    fn render_verdict(&self, out: &mut String) {
        let why = self.sub_indication.map_or_else(String::new, |sub| format!(" / {}", sub.as_str()));
        let meaning = match self.indication {
            Indication::TotalPassed => "the proof holds",
            Indication::TotalFailed => "this is NOT a valid proof",
            Indication::Indeterminate => "what was given does not suffice to say",
        };
        let _ = writeln!(out, "{}{why}: {meaning}", self.indication.as_str());
    }

    fn render_facts(&self, out: &mut String) {
        let Some(facts) = &self.facts else { return };
        if facts.environment != erds::Environment::Prd.as_str() {
            let _ = writeln!(
                out,
                "NOT PRODUCTION ({}): made for testing, without legal effect",
                line(&facts.environment)
            );
        }
        let verb = if self.passed() { "Proves" } else { "Claims" };
        let _ = writeln!(out, "\n  {verb}: {}", line(&facts.statement));
        let mut field = |name: &str, value: &str| {
            let _ = writeln!(out, "  {name:<12} {}", line(value));
        };
        if let Some(event_time) = &facts.event_time {
            field("event", event_time);
        }
        field("when", facts.time.as_deref().unwrap_or("no trusted time"));
        field("sealed by", &facts.sealed_by);
        if let Some(authority) = &facts.time_stamped_by {
            field("time by", authority);
        }
        field("environment", &facts.environment);
        field("ticket", &facts.ticket);
        field("token", &facts.token);
        field("sender", &facts.sender);
        field("recipient", &facts.recipient);
        for file in &facts.files {
            let given = match file.given {
                Some(true) => "given, digest equal",
                Some(false) => "not given",
                None => "no file given to compare",
            };
            let text =
                format!("{:?} ({}), {} {}: {given}", file.title, file.name, file.digest_method, file.digest);
            field("file", &text);
        }
    }

    fn render_checks(&self, out: &mut String) {
        out.push('\n');
        for check in &self.checks {
            let sub = check.sub_indication.map_or_else(String::new, |sub| format!(" [{}]", sub.as_str()));
            let found = if check.outcome == Outcome::Passed || check.expected.is_empty() {
                line(&check.found)
            } else {
                format!("expected {}; found {}", line(&check.expected), line(&check.found))
            };
            let _ = writeln!(
                out,
                "  {:<8} {:<36} {found}{sub}  ({})",
                check.outcome.as_str(),
                check.name,
                check.clause
            );
        }
    }
}

/// Text from a proof, on one line: nothing in it can draw a line of its own (security.md row 85).
pub fn line(text: &str) -> String {
    let is_safe = |c: char| {
        !c.is_control()
            && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().map(|c| if is_safe(c) { c } else { '\u{fffd}' }).collect()
}
