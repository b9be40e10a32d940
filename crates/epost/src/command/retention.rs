//! `epost retention`: legal holds; what is past its term, shown and then erased.

use std::process::ExitCode;

use erds::record::Hex32;
use jiff::Timestamp;
use serde_json::json;

use super::consult::one;
use super::could_not_run;
use crate::client::Connection;
use crate::retention::{HoldAsked, HoldLifted, RunAsked};

/// What to do.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    step: Step,
}

#[derive(clap::Subcommand)]
enum Step {
    /// Show what a run would erase, why, and why not the rest; nothing is changed.
    Plan {
        #[command(flatten)]
        connection: Connection,
    },
    /// Erase what a plan showed, if it still is that; for ever, in every backup from its next run on.
    Run {
        /// The plan's time, as it was shown.
        #[arg(long)]
        as_of: Timestamp,
        /// The plan's digest, as it was shown.
        #[arg(long)]
        plan: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Keep an item, or all of a sender, whatever its term; prints the hold's number.
    Hold {
        /// This item.
        #[arg(long, required_unless_present = "sender", conflicts_with = "sender")]
        ticket: Option<String>,
        /// Everything of this institution (enterprise number).
        #[arg(long)]
        sender: Option<String>,
        /// The case, decision or order that it rests on.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// End a hold.
    Lift {
        /// The hold.
        number: u64,
        /// The decision that it rests on.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Show every hold, lifted ones too, as JSON lines.
    Holds {
        #[command(flatten)]
        connection: Connection,
    },
}

const EXAMPLES: &str = "Examples:
  epost retention hold --profile an.toml --ticket 0A1B2C3D4E5F6 --reason \"case 2026/17\"
  epost retention plan --profile an.toml
  epost retention run --profile an.toml --as-of 2036-12-01T09:00:00Z --plan DIGEST
  epost retention lift 1 --profile an.toml --reason \"case closed\"

The profile is that of `epost consult`; the person needs the role `retain`.

Exit code: 0 done, 1 refused, 2 try again later, 3 could not run.";

/// Runs `epost retention`.
pub async fn run(args: Args) -> ExitCode {
    match args.step {
        Step::Plan { connection } => one(&connection, "/retention/plan", &json!({})).await,
        Step::Run { as_of, plan, connection } => match Hex32::from_hex(&plan) {
            Some(plan) => one(&connection, "/retention/run", &json!(RunAsked { as_of, plan })).await,
            None => could_not_run(&"--plan: not a digest as `epost retention plan` shows it"),
        },
        Step::Hold { ticket, sender, reason, connection } => {
            one(&connection, "/retention/hold", &json!(HoldAsked { ticket, sender, reason })).await
        }
        Step::Lift { number, reason, connection } => {
            one(&connection, &format!("/retention/hold/{number}/lift"), &json!(HoldLifted { reason })).await
        }
        Step::Holds { connection } => one(&connection, "/retention/holds", &json!({})).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn the_arguments_hold_together() {
        Line::command().debug_assert();
        let parsed =
            |words: &[&str]| Line::try_parse_from([&["retention"], words].concat()).map(|l| l.args.step);
        assert!(parsed(&["hold", "--reason", "r"]).is_err(), "holds something");
        assert!(parsed(&["hold", "--reason", "r", "--ticket", "t", "--sender", "s"]).is_err(), "one thing");
        assert!(matches!(
            parsed(&["hold", "--reason", "r", "--sender", "s"]),
            Ok(Step::Hold { ticket: None, .. })
        ));
        assert!(parsed(&["run", "--as-of", "2036-12-01T09:00:00Z"]).is_err(), "a run names its plan");
        assert!(parsed(&["lift", "1"]).is_err(), "says why");
    }
}
