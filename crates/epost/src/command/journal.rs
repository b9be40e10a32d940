//! `epost journal`: look into the journal, or verify it from its bytes.

mod proofs;
mod repair;
mod report;
mod stamps;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use disk::RealDisk;
use erds::{Record, Ticket};
use indicatif::{ProgressBar, ProgressStyle};
use journal::audit::{Audit, AuditError};
use journal::checkpoint::Checkpoint;
use journal::tiles::TilesError;
use journal::witness::Cosignature;
use journal::{Looked, OpenError, ReadError, Stored};
use pki::algorithm::SignatureAlgorithm;
use pki::certificate::Certificate;
use store::keys::KeyReader;

use super::could_not_run;
use crate::config::Config;
use crate::repair::Asked;
use crate::service::open_frame_with;

/// What to do.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Show records: facts and digests; never personal content.
    Show {
        /// Which journal.
        #[command(flatten)]
        which: Which,
        /// The first record.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// How many.
        #[arg(long, default_value_t = 100)]
        count: u64,
        /// Only records about this ticket.
        #[arg(long)]
        ticket: Option<String>,
    },
    /// Re-derive everything from the bytes; name the first wrong record.
    Verify {
        /// Which journal.
        #[command(flatten)]
        which: Which,
        /// Verify each sender's signature again, from the record.
        #[arg(long)]
        signatures: bool,
    },
    /// Look for all that is damaged, and mend what a backup proves; nothing is guessed, and nothing changed without --apply.
    Repair {
        /// Which journal; no service may hold it.
        #[command(flatten)]
        which: Which,
        /// A backup's folder, to take from what is damaged.
        #[arg(long)]
        from: Option<PathBuf>,
        /// Do it; what is replaced is kept under a name of its own.
        #[arg(long)]
        apply: bool,
        /// Look at the item keys and the content too, every file to its end.
        #[arg(long)]
        content: bool,
        /// A checkpoint that a witness or an auditor kept, where the newest one is damaged or gone. As often as there are such.
        #[arg(long)]
        checkpoint: Vec<PathBuf>,
    },
    /// Print the log's public key, by which auditors verify checkpoints and proofs.
    Key {
        /// Which journal.
        #[command(flatten)]
        which: Which,
    },
    /// Prove offline that a record stands in the signed log: the record with its salt, and the way to a checkpoint's root.
    Proof {
        /// Which journal.
        #[command(flatten)]
        which: Which,
        /// The record.
        position: u64,
        /// Write the proof here, instead of printing it.
        #[arg(long)]
        out: Option<PathBuf>,
        /// Under the oldest time-stamped checkpoint that covers it; the stamp is written beside it, as OUT.tsr.
        #[arg(long, requires = "out")]
        stamped: bool,
    },
    /// Judge a proof by the log's public key alone.
    CheckProof {
        /// The proof.
        file: PathBuf,
        /// The log's public key, as `epost journal key` prints it.
        #[arg(long)]
        key: String,
        /// A witness's public key, NAME+ID+KEY: its cosignature must be there and good. As often as there are witnesses to hold it to.
        #[arg(long)]
        witness: Vec<String>,
        /// The time-stamp on its checkpoint, if it has one.
        #[command(flatten)]
        stamp: GivenStamp,
        /// JSON: one object a line.
        #[arg(long)]
        json: bool,
    },
    /// What happened in a time: counts by outcome and sender, who is refused out of line, gaps, restarts, the clock. No personal data.
    Report {
        /// Which journal.
        #[command(flatten)]
        which: Which,
        /// From this day (UTC) or moment on; a day before the end, if it is not said.
        #[arg(long)]
        from: Option<String>,
        /// Until this day or moment, which is out of it; now, if it is not said.
        #[arg(long)]
        to: Option<String>,
        /// Minutes without a record, while serving, that are told.
        #[arg(long, default_value_t = 720)]
        gap_minutes: u32,
    },
    /// Judge whether the log of now still begins with the one of an older checkpoint.
    Compare {
        /// Which journal.
        #[command(flatten)]
        which: Which,
        /// The older checkpoint's file.
        checkpoint: PathBuf,
    },
}

/// Which journal.
#[derive(clap::Args)]
pub struct Which {
    /// The service's configuration.
    #[arg(long)]
    pub(super) config: PathBuf,
    /// JSON: one object a line.
    #[arg(long)]
    pub(super) json: bool,
}

/// A time-stamp, and by what it is judged.
#[derive(clap::Args)]
pub struct GivenStamp {
    /// The authority's answer over the proof's checkpoint (`--stamped` writes it).
    #[arg(long, requires = "tsa_anchors")]
    pub(super) stamp: Option<PathBuf>,
    /// PEM: roots that the authority leads to.
    #[arg(long, num_args = 1..)]
    pub(super) tsa_anchors: Vec<PathBuf>,
    /// CRL files, or folders of them, of every authority in that path.
    #[arg(long, num_args = 1..)]
    pub(super) crl: Vec<PathBuf>,
}

/// Runs it: 0 whole, 1 damaged, 2 not yet, 3 could not run.
pub async fn run(command: &Command) -> ExitCode {
    match command {
        Command::Show { which, from, count, ticket } => show(which, *from, *count, ticket.as_deref()),
        Command::Verify { which, signatures } => verify(which, *signatures),
        Command::Repair { which, from, apply, content, checkpoint } => {
            let asked =
                Asked { from: from.as_deref(), apply: *apply, content: *content, checkpoints: checkpoint };
            repair::run(which, asked).await
        }
        Command::Key { which } => proofs::key(which),
        Command::Proof { which, position, out, stamped } => {
            proofs::prove(which, *position, out.as_deref(), *stamped)
        }
        Command::CheckProof { file, key, witness, stamp, json } => {
            proofs::check(file, key, witness, stamp, *json)
        }
        Command::Report { which, from, to, gap_minutes } => {
            report::report(which, from.as_deref(), to.as_deref(), *gap_minutes)
        }
        Command::Compare { which, checkpoint } => proofs::compare(which, checkpoint),
    }
}

fn show(which: &Which, from: u64, count: u64, ticket: Option<&str>) -> ExitCode {
    let config = match Config::read(&which.config) {
        Ok(config) => config,
        Err(error) => return could_not_run(&error),
    };
    let dir = config.data.directory.join("journal");
    let looked = match Looked::at(Arc::new(RealDisk), &dir, &config.data.origin) {
        Ok(looked) => looked,
        Err(error @ OpenError::Damaged { .. }) => return Problem::of(error.code(), &error).tell(which.json),
        Err(error) => return could_not_run(&error),
    };
    let mut left = count;
    for position in from..looked.size() {
        if left == 0 {
            break;
        }
        let stored = match looked.read(position) {
            Ok(stored) => stored,
            Err(ReadError::Disk(error)) => return could_not_run(&format!("{}: {error}", dir.display())),
            Err(error) => return Problem::of(error.code(), &error).tell(which.json),
        };
        let about = |text: &str| Ticket::parse(text).is_ok_and(|ticket| stored.record.concerns(ticket));
        if ticket.is_none_or(about) {
            left -= 1;
            print_record(&stored, which.json);
        }
    }
    ExitCode::SUCCESS
}

fn print_record(stored: &Stored, json: bool) {
    let frames: Vec<_> =
        stored.frames.iter().map(|frame| (frame.name.as_str(), frame.ciphertext.len())).collect();
    if json {
        let frames: Vec<_> =
            frames.iter().map(|(name, bytes)| serde_json::json!({"name": name, "bytes": bytes})).collect();
        let hex = hex(&stored.leaf_hash);
        let line = serde_json::json!({"position": stored.position, "leaf_hash": hex, "record": stored.record, "frames": frames});
        return println!("{line}");
    }
    let ticket = stored.record.ticket().map(|ticket| ticket.as_str().to_owned()).unwrap_or_default();
    let more = match &stored.record {
        Record::Received(r) => format!(
            "{} of {} by {}",
            r.request.operation,
            r.request.sender.cbe.digits(),
            r.request.peer_address
        ),
        Record::Consulted(r) => {
            format!("{} by {}: {}", r.request.operation, r.request.sender.cbe.digits(), r.answer)
        }
        Record::Refused(r) => format!("{} {}", r.code.as_str(), r.check),
        Record::Withdrawn(r) => r.reason.clone(),
        Record::Attempted(r) => format!("attempt {}: {}", r.attempt, r.outcome),
        Record::Consigned(r) => format!("{} {}", r.channel.as_str(), r.message_id),
        Record::Accessed(r) => match r.not_before {
            Some(begin) => format!("{} first opened between {begin} and {}", r.channel.as_str(), r.at),
            None => format!("{} first opened at {}", r.channel.as_str(), r.at),
        },
        Record::ExpiredUnread(r) => format!("{} expired unread", r.channel.as_str()),
        Record::HandedOver(r) => format!("{} taken by {}", r.channel.as_str(), r.certificate),
        Record::Evidenced(r) => format!("{} of position {}", r.event, r.of_position),
        Record::Packaged(r) => {
            format!("{} {} the request", r.proof, if r.with_request { "with" } else { "without" })
        }
        Record::Removed(r) => format!("{} by {}", r.file.as_str(), r.certificate),
        Record::Control(r) => format!("{} {}", r.action, r.detail),
        Record::Erased(r) => {
            format!("{} of {}, {} days after {}", r.tickets.len(), r.of, r.term_days, r.ended_by)
        }
        _ => String::new(),
    };
    println!(
        "{:>8}  {}  {:<18} {:<13} {more}",
        stored.position,
        stored.record.at(),
        stored.record.kind(),
        ticket
    );
}

fn verify(which: &Which, signatures: bool) -> ExitCode {
    let keys = match signatures.then(|| open_keys(which)).transpose() {
        Ok(keys) => keys,
        Err(error) => return could_not_run(&error),
    };
    // A service that runs may be in the middle of a write: what is damaged is still so a moment later.
    let judged = judge(which, keys.as_ref()).or_else(|_| {
        std::thread::sleep(std::time::Duration::from_millis(250));
        judge(which, keys.as_ref())
    });
    let judged = match judged {
        Ok(judged) => judged,
        Err(problem) => return problem.tell(which.json),
    };
    let stamped = match proofs::stamped(which).map_err(Problem::of_tiles) {
        Ok(Ok(stamped)) => stamped,
        Ok(Err(what)) => {
            return Problem::Other { code: "journal.stamp", what: format!("journal.stamp: {what}") }
                .tell(which.json);
        }
        Err(problem) => return problem.tell(which.json),
    };
    let cosigned = match proofs::cosigned(which, judged.signed.as_ref()) {
        Ok(cosigned) => cosigned,
        Err(what) => return could_not_run(&what),
    };
    let root = hex(&judged.report.root);
    let signed = judged.signed.as_ref().map_or(0, Checkpoint::size);
    let (records, segments) = (judged.report.records, judged.report.segments);
    if which.json {
        let line = serde_json::json!({
            "whole": true, "records": records, "segments": segments, "root": root, "signed_records": signed,
            "signatures_verified": judged.verified, "signatures_content_absent": judged.absent,
            "stamped_records": stamped.as_ref().map(|stamped| stamped.records),
            "stamped_at": stamped.as_ref().map(|stamped| stamped.at),
            "stamped_by": stamped.as_ref().map(|stamped| &stamped.by),
            "cosigned": cosigned.iter().map(|(witness, given)| serde_json::json!({
                "witness": witness, "at": given.as_ref().ok().map(Cosignature::at),
            })).collect::<Vec<_>>(),
        });
        println!("{line}");
    } else {
        println!("whole: {records} records in {segments} segments, root {root}");
        println!("{signed} of them under the newest checkpoint, and as they were published");
        if let Some(stamped) = &stamped {
            println!("{} of them time-stamped at {} by {}", stamped.records, stamped.at, stamped.by);
        }
        for (witness, given) in &cosigned {
            match given {
                Ok(given) => println!("cosigned at {} by the witness {witness}", given.at()),
                Err(error) => println!("not cosigned by the witness {witness}: {error}"),
            }
        }
        if signatures {
            let (verified, absent) = (judged.verified, judged.absent);
            println!(
                "{verified} senders' signatures verified again; {absent} whose content was lawfully erased"
            );
        }
    }
    ExitCode::SUCCESS
}

struct Judged {
    report: journal::VerifyReport,
    signed: Option<Checkpoint>,
    verified: u64,
    absent: u64,
}

fn judge(which: &Which, keys: Option<&KeyReader>) -> Result<Judged, Problem> {
    let (mut verified, mut absent) = (0, 0);
    let published = proofs::published(which).map_err(Problem::of_tiles)?;
    let mut audit = published.map(|(published, dir)| Audit::new(Arc::new(RealDisk), &dir, published));
    let progress = ProgressBar::no_length().with_style(
        ProgressStyle::with_template("{spinner} {pos} records, {per_sec}")
            .unwrap_or(ProgressStyle::default_bar()),
    );
    let report = walk(which, &mut |stored| {
        progress.inc(1);
        audit.as_mut().map_or(Ok(()), |audit| audit.record(stored))?;
        match keys.map(|keys| verify_signature(keys, stored)).transpose()?.flatten() {
            Some(true) => verified += 1,
            Some(false) => absent += 1,
            None => {}
        }
        Ok(())
    });
    progress.finish_and_clear();
    let report = report?;
    let signed = audit.map(Audit::finish).transpose().map_err(|error| match error {
        AuditError::Tiles(error) => Problem::of_tiles(proofs::Unpublished::Tiles(error)),
        forked => Problem::Other { code: forked.code(), what: forked.to_string() },
    })?;
    Ok(Judged { report, signed, verified, absent })
}

/// The sender's signature over his SignedInfo, with the certificate kept beside it: `Some(false)` where that was erased.
fn verify_signature(keys: &KeyReader, stored: &Stored) -> Result<Option<bool>, String> {
    let request = match &stored.record {
        Record::Received(received) => &received.request,
        Record::Consulted(consulted) => &consulted.request,
        _ => return Ok(None),
    };
    let Some(certificate) = open_frame_with(&|ticket| keys.open_key(ticket), stored, "certificate")
        .map_err(|failure| failure.to_string())?
    else {
        return Ok(Some(false));
    };
    let certificate = Certificate::from_der(&certificate).map_err(|error| error.to_string())?;
    if certificate.fingerprint() != request.message_certificate.0 {
        return Err("the kept certificate is not the one that the record names".into());
    }
    let decode = |text: &str| base64_simd::STANDARD.decode_to_vec(text).map_err(|error| error.to_string());
    let algorithm =
        SignatureAlgorithm::from_xmldsig_uri(&request.signature_algorithm).ok_or("an unknown algorithm")?;
    let (signed_info, value) = (decode(&request.signed_info)?, decode(&request.signature_value)?);
    certificate.public_key().verify(algorithm, &signed_info, &value).map_err(|error| error.to_string())?;
    Ok(Some(true))
}

fn open_keys(which: &Which) -> Result<KeyReader, String> {
    let config = Config::read(&which.config).map_err(|error| error.to_string())?;
    let master_key = crate::keys::master_key(&config).map_err(|error| error.to_string())?;
    KeyReader::open(&RealDisk, &config.data.directory.join("keys"), master_key)
        .map_err(|error| error.to_string())
}

fn walk(
    which: &Which,
    each: &mut dyn FnMut(&Stored) -> Result<(), String>,
) -> Result<journal::VerifyReport, Problem> {
    let config = Config::read(&which.config).map_err(|error| Problem::CouldNotRun(error.to_string()))?;
    let dir = config.data.directory.join("journal");
    journal::verify(&RealDisk, &dir, &config.data.origin, each).map_err(|error| match error {
        journal::VerifyError::Disk(error) => Problem::CouldNotRun(format!("{}: {error}", dir.display())),
        damaged => Problem::Damaged(damaged),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

enum Problem {
    CouldNotRun(String),
    Damaged(journal::VerifyError),
    /// What no segment and place can be named for.
    Other {
        code: &'static str,
        what: String,
    },
}

impl Problem {
    fn of(code: &'static str, error: &impl ToString) -> Self {
        Self::Other { code, what: error.to_string() }
    }

    fn of_tiles(error: proofs::Unpublished) -> Self {
        match error {
            proofs::Unpublished::Tiles(error) if !matches!(error, TilesError::Disk { .. }) => {
                Self::Other { code: error.code(), what: error.to_string() }
            }
            other => Self::CouldNotRun(other.to_string()),
        }
    }

    fn tell(&self, json: bool) -> ExitCode {
        match self {
            Self::CouldNotRun(error) => return could_not_run(error),
            Self::Damaged(damaged @ journal::VerifyError::Damaged { path, offset, position, what })
                if json =>
            {
                let segment = path.file_name().unwrap_or_default().to_string_lossy();
                let line = serde_json::json!({
                    "whole": false, "code": damaged.code(), "segment": segment, "offset": offset,
                    "position": position, "what": what,
                });
                println!("{line}");
            }
            Self::Other { code, what } if json => {
                println!("{}", serde_json::json!({ "whole": false, "code": code, "what": what }))
            }
            Self::Other { what, .. } => println!("NOT WHOLE: {what}"),
            Self::Damaged(damaged) => println!("NOT WHOLE: {damaged}"),
        }
        ExitCode::FAILURE
    }
}
