//! `epost consult`: ask to look into the log, decide on another person's request, run it, see the history.

use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::could_not_run;
use super::proof::Kind;
use crate::client::Connection;
use crate::consult::{Asked, Decision, HistoryFilter, Query, State};
use crate::transport::chain;

/// What to do.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    step: Step,
}

#[derive(clap::Subcommand)]
enum Step {
    /// Ask: what for, on what ground, and which records; prints the consultation's number.
    Request {
        /// What for, in a few words.
        #[arg(long)]
        purpose: String,
        /// The legal ground, decision or complaint that it rests on.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        question: Question,
        /// The package of this proof of the item too, with its sender's message in it.
        #[arg(long, value_enum, requires = "ticket")]
        package: Option<Kind>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Approve another person's request.
    Approve {
        /// The consultation.
        number: u64,
        /// Why.
        #[arg(long, default_value = "")]
        note: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Refuse another person's request.
    Refuse {
        /// The consultation.
        number: u64,
        /// Why.
        #[arg(long)]
        note: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Run an approved request of yours, once: a summary, then the records, each a JSON line.
    Run {
        /// The consultation.
        number: u64,
        /// Fewer results than the service allows.
        #[arg(long)]
        results_max: Option<usize>,
        /// Write the lines into this new file, instead of printing them.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Write the package that was asked for into this new file, instead of a line of base64.
        #[arg(long, value_name = "FILE")]
        package: Option<PathBuf>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Show the consultations as JSON lines, the oldest first.
    History {
        /// This one alone.
        #[arg(long)]
        number: Option<u64>,
        /// Those that stand so.
        #[arg(long)]
        state: Option<Standing>,
        /// Those that this person asked for or decided.
        #[arg(long)]
        person: Option<String>,
        /// Those asked for then or later, e.g. 2026-11-01T00:00:00Z.
        #[arg(long)]
        from: Option<Timestamp>,
        /// Those asked for then or before.
        #[arg(long)]
        to: Option<Timestamp>,
        #[command(flatten)]
        connection: Connection,
    },
}

/// Which records; all that is named must hold.
#[derive(clap::Args)]
#[group(required = true, multiple = true)]
struct Question {
    /// About this item.
    #[arg(long)]
    ticket: Option<String>,
    /// Asked by this institution (enterprise number), or about an item of it.
    #[arg(long)]
    sender: Option<String>,
    /// About items to this recipient: the number as the sender gave it.
    #[arg(long)]
    recipient: Option<String>,
    /// Asked by this USERID, or about an item sent by it: the application's name or program number, or the person's.
    #[arg(long)]
    user_id: Option<String>,
    /// Of this time or later, e.g. 2026-11-01T00:00:00Z.
    #[arg(long)]
    from: Option<Timestamp>,
    /// Of this time or before.
    #[arg(long)]
    to: Option<Timestamp>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Standing {
    Requested,
    Approved,
    Refused,
    Run,
    Expired,
}

impl From<Standing> for State {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Requested => Self::Requested,
            Standing::Approved => Self::Approved,
            Standing::Refused => Self::Refused,
            Standing::Run => Self::Run,
            Standing::Expired => Self::Expired,
        }
    }
}

const EXAMPLES: &str = "Examples:
  epost consult request --profile jan.toml --purpose complaint --reason \"case 2026/17\" --ticket 0A1B2C3D4E5F6
  epost consult history --profile an.toml --state requested
  epost consult approve 1 --profile an.toml
  epost consult run 1 --profile jan.toml --out records.jsonl
  epost consult request --profile jan.toml --purpose audit --reason \"case 2026/18\" --ticket 0A1B2C3D4E5F6 --package dispatch
  epost consult run 2 --profile jan.toml --package item.asice

The profile names your personal certificate (cert, key), tls_ca, and as endpoint the door, e.g. https://epost.example.be:9465.

Exit code: 0 done, 1 refused, 2 try again later, 3 could not run.";

/// Runs `epost consult`.
pub async fn run(args: Args) -> ExitCode {
    match args.step {
        Step::Request { purpose, reason, question, package, connection } => {
            let Question { ticket, sender, recipient, user_id, from, to } = question;
            let query = Query { ticket, sender, recipient, user_id, from, to };
            let package = package.map(|kind| kind.asked().as_str().to_owned());
            one(&connection, "/consult", &json!(Asked { purpose, reason, query, package })).await
        }
        Step::Approve { number, note, connection } => {
            one(&connection, &format!("/consult/{number}/approve"), &json!(Decision { note })).await
        }
        Step::Refuse { number, note, connection } => {
            one(&connection, &format!("/consult/{number}/refuse"), &json!(Decision { note })).await
        }
        Step::Run { number, results_max, out, package, connection } => {
            execute(&connection, number, results_max, [out, package]).await
        }
        Step::History { number, state, person, from, to, connection } => {
            let state = state.map(State::from);
            history(&connection, HistoryFilter { number, state, person, from, to, after: 0 }).await
        }
    }
}

pub(super) async fn one(connection: &Connection, path: &str, body: &Value) -> ExitCode {
    match post(connection, path, body).await {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(failure) => failure.tell(connection.json),
    }
}

async fn execute(
    connection: &Connection,
    number: u64,
    results_max: Option<usize>,
    [out, package]: [Option<PathBuf>; 2],
) -> ExitCode {
    // Opened before the run: a run is once, and is not to be lost to a folder that cannot be written.
    let mut files = NewFiles::default();
    let opened = files.open(out).and_then(|out| Ok((out, files.open(package)?)));
    let (out, package) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            files.remove();
            return could_not_run(&error);
        }
    };
    let options = results_max.map_or(json!({}), |limit| json!({ "results_max": limit }));
    let text = match post(connection, &format!("/consult/{number}/run"), &options).await {
        Ok(text) => text,
        Err(failure) => {
            files.remove();
            return failure.tell(connection.json);
        }
    };
    let kept = match package {
        None => Ok(text.clone()),
        Some(file) => take_package(&text, file),
    };
    let kept = match (kept, out) {
        (Ok(lines), None) => {
            print!("{lines}");
            return ExitCode::SUCCESS;
        }
        (Ok(lines), Some(file)) => write(file, lines.as_bytes()).map(|()| lines),
        (Err(error), _) => Err(error),
    };
    match kept {
        Ok(lines) => println!("{}", lines.lines().next().unwrap_or_default()),
        Err(error) => {
            print!("{text}"); // it is not to be had again
            return could_not_run(&error);
        }
    }
    ExitCode::SUCCESS
}

/// Files of this run alone, empty until it is done.
#[derive(Default)]
struct NewFiles(Vec<PathBuf>);

impl NewFiles {
    fn open(&mut self, path: Option<PathBuf>) -> Result<Option<File>, String> {
        use std::os::unix::fs::OpenOptionsExt;
        let Some(path) = path else { return Ok(None) };
        let opened = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = opened.map_err(|error| format!("{}: {error}; name a new file", path.display()))?;
        self.0.push(path);
        Ok(Some(file))
    }

    /// They are empty, and ours.
    fn remove(&self) {
        for path in &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn write(mut file: File, bytes: &[u8]) -> std::io::Result<()> {
    std::io::Write::write_all(&mut file, bytes)?;
    file.sync_all()
}

/// Writes the package and gives the other lines.
fn take_package(text: &str, file: File) -> std::io::Result<String> {
    let (mut lines, mut package) = (String::new(), None);
    for line in text.lines() {
        match line.starts_with("{\"package\":") {
            true => package = serde_json::from_str::<Value>(line).ok(),
            false => lines.extend([line, "\n"]),
        }
    }
    let content = package.as_ref().and_then(|line| line["package"]["content"].as_str());
    let content = content.and_then(|text| base64_simd::STANDARD.decode_to_vec(text).ok());
    let absent = || std::io::Error::other("no package was asked for in this consultation");
    write(file, &content.ok_or_else(absent)?)?;
    Ok(lines)
}

/// Page after page, until an empty one.
async fn history(connection: &Connection, mut filter: HistoryFilter) -> ExitCode {
    loop {
        let text = match post(connection, "/consult/history", &json!(filter)).await {
            Ok(text) => text,
            Err(failure) => return failure.tell(connection.json),
        };
        print!("{text}");
        let last = text.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok());
        match last.and_then(|line| line["consultation"].as_u64()) {
            Some(last) if filter.number.is_none() && last > filter.after => filter.after = last,
            _ => return ExitCode::SUCCESS,
        }
    }
}

/// Why a step was not taken.
enum Failure {
    /// Files, options or the connection.
    Client { code: &'static str, text: String, again: bool },
    /// The service said so.
    Refused { status: u16, error: Value },
}

impl Failure {
    fn tell(&self, json: bool) -> ExitCode {
        match self {
            Self::Client { code, text, .. } if json => {
                println!("{}", json!({"error": {"code": code, "message": text}}))
            }
            Self::Client { text, .. } => eprintln!("epost: {text}"),
            Self::Refused { error, .. } if json => println!("{}", json!({ "error": error })),
            Self::Refused { error, .. } => {
                let said = |field: &str| error[field].as_str().unwrap_or_default().to_owned();
                eprintln!("refused  {}", said("code"));
                for field in ["seen", "expected", "remedy"] {
                    eprintln!("{field:<8} {}", said(field));
                }
            }
        }
        ExitCode::from(match self {
            Self::Client { again: true, .. } => 2,
            Self::Client { .. } => 3,
            Self::Refused { status, .. } => 1 + u8::from(*status >= 500),
        })
    }
}

async fn post(connection: &Connection, path: &str, body: &Value) -> Result<String, Failure> {
    let (http, endpoint) = connection.https().map_err(|error| Failure::Client {
        code: error.code(),
        text: error.to_string(),
        again: false,
    })?;
    let broken = |error: reqwest::Error| Failure::Client {
        code: "client.connection",
        text: format!("client.connection: {endpoint}: {}", chain(&error.without_url())),
        again: true,
    };
    let sent = http.post(format!("{endpoint}{path}")).body(body.to_string()).send().await;
    let answer = sent.map_err(broken)?;
    let status = answer.status();
    let text = answer.text().await.map_err(broken)?;
    if status.is_success() {
        return Ok(text);
    }
    let said: Value = serde_json::from_str(&text).unwrap_or_default();
    match said.get("error") {
        Some(error) => Err(Failure::Refused { status: status.as_u16(), error: error.clone() }),
        None => Err(Failure::Client {
            code: "client.http",
            text: format!(
                "client.http: HTTP status {status} without a reason; is {endpoint} the door for consultations?"
            ),
            again: false,
        }),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[test]
    fn a_package_is_taken_from_between_the_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.asice");
        let mut files = NewFiles::default();
        let file = files.open(Some(path.clone())).unwrap().unwrap();
        assert!(NewFiles::default().open(Some(path.clone())).is_err(), "a new file");
        let package = json!({"package": {"file_name": "Receipt.asice", "content": "AQI="}});
        assert_eq!(take_package(&format!("{{}}\n{package}\n"), file).unwrap(), "{}\n");
        assert_eq!(std::fs::read(&path).unwrap(), [1, 2]);
        let file = File::create(&path).unwrap();
        assert!(take_package("{}\n", file).is_err(), "none was asked for");
        files.remove();
        assert!(!path.exists());
    }

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn the_arguments_hold_together() {
        Line::command().debug_assert();
        let asks = ["consult", "request", "--purpose", "p", "--reason", "r"];
        assert!(Line::try_parse_from(asks).is_err(), "a question without a criterion");
        let line = Line::try_parse_from([&asks[..], &["--from", "2026-11-01T00:00:00Z"]].concat());
        assert!(
            matches!(line.map(|line| line.args.step), Ok(Step::Request { question, .. }) if question.from.is_some())
        );
        let packed = [&asks[..], &["--package", "dispatch"]].concat();
        assert!(Line::try_parse_from([&packed[..], &["--sender", "1"]].concat()).is_err(), "of which item");
        assert!(Line::try_parse_from([&packed[..], &["--ticket", "1"]].concat()).is_ok());
        assert!(Line::try_parse_from(["consult", "refuse", "1"]).is_err(), "a refusal says why");
        assert!(Line::try_parse_from(["consult", "history", "--state", "gone"]).is_err());
    }
}
