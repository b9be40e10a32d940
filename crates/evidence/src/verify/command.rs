//! The command line of the verifier, as a function: the bin and the demo call the same one.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Parser;
use jiff::Timestamp;
use journal::checkpoint::Verifier;
use pki::certificate::Certificate;
use pki::crl::Crl;
use pki::path::TrustAnchors;

use super::{GivenFile, Inputs, Report, verify};

/// Judges proofs of ePost offline: who states which fact, when, and whether not one byte was changed.
#[derive(Debug, Parser)]
#[command(name = "epost-verify", version, after_help = EXAMPLES)]
pub struct Arguments {
    /// Proofs: each an XML file, followed by its signature, or alone if the signature lies beside it as NAME.p7s, or inside it; or a package (.asice)
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// A file that was sent: must have a digest that every proof given names (repeatable)
    #[arg(long = "document", value_name = "FILE")]
    pub documents: Vec<PathBuf>,
    /// Whom you trust to certify seals: certificates in PEM or DER (repeatable)
    #[arg(long, required = true, value_name = "FILE")]
    pub seal_anchors: Vec<PathBuf>,
    /// Whom you trust to certify time-stamping authorities: certificates in PEM or DER (repeatable)
    #[arg(long, required = true, value_name = "FILE")]
    pub tsa_anchors: Vec<PathBuf>,
    /// Revocation lists, PEM or DER, or a directory of *.crl, *.pem, *.der (repeatable); without them: INDETERMINATE. A package has its own
    #[arg(long = "crl", value_name = "FILE|DIR")]
    pub crls: Vec<PathBuf>,
    /// The key of ePost's log, NAME+ID+KEY, as ePost publishes it: the log in a package must be signed by it
    #[arg(long, value_name = "KEY")]
    pub log_key: Option<Verifier>,
    /// Judge as of this time, for instance 2026-11-21T12:00:00Z, instead of now
    #[arg(long, value_name = "TIME")]
    pub at: Option<Timestamp>,
    /// Print the reports as JSON
    #[arg(long)]
    pub json: bool,
}

const EXAMPLES: &str = "\
Examples:
  epost-verify Receipt.xml Receipt.p7s --seal-anchors seal-root.pem --tsa-anchors tsa-root.pem --crl crls/
  epost-verify Receipt.xml --document letter.pdf --document annex.pdf --seal-anchors s.pem --tsa-anchors t.pem --crl crls/
  epost-verify Evidence.xml --seal-anchors s.pem --tsa-anchors t.pem --crl crls/
  epost-verify Package.asice --seal-anchors s.pem --tsa-anchors t.pem
  epost-verify Receipt.xml ProofOfDispatch.xml --seal-anchors s.pem --tsa-anchors t.pem --crl crls/ --json

Exit code:
  0  TOTAL-PASSED: every proof holds
  1  TOTAL-FAILED: at least one does not
  2  INDETERMINATE: what was given does not suffice to say
  3  could not run: a file cannot be read, an argument is wrong

No socket is opened: what is not given is not known.";

/// What the command prints, and its exit code.
#[derive(Debug)]
pub struct Answer {
    /// For standard output.
    pub out: String,
    /// For standard error: why something could not run.
    pub err: String,
    /// 0 to 3, as the help says.
    pub exit_code: u8,
}

/// Why a proof could not be judged at all: the user's to mend, exit code 3.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A file or directory that cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not a certificate, or none in the file.
    #[error("{}: no certificate in PEM or DER", .0.display())]
    Certificate(PathBuf),
    /// Not a revocation list.
    #[error("{}: not a revocation list in PEM or DER", .0.display())]
    Crl(PathBuf),
    /// A signature without the file that it is over.
    #[error("{}: a signature must follow its XML file", .0.display())]
    Pair(PathBuf),
    /// The report could not be written as JSON.
    #[error("JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl CommandError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "verify.read",
            Self::Certificate(_) => "verify.certificate",
            Self::Crl(_) => "verify.crl",
            Self::Pair(_) => "verify.pair",
            Self::Json(_) => "verify.json",
        }
    }
}

/// Runs the command; `now` is the clock's, overruled by `--at`. Reads the files named and nothing else.
pub fn run(arguments: &Arguments, now: Timestamp) -> Answer {
    match run_all(arguments, now) {
        Ok(answer) => answer,
        Err(error) => Answer {
            out: String::new(),
            err: format!("epost-verify: {error} [{}]\n", error.code()),
            exit_code: 3,
        },
    }
}

fn run_all(arguments: &Arguments, now: Timestamp) -> Result<Answer, CommandError> {
    let now = arguments.at.unwrap_or(now);
    let seal_anchors = read_anchors(&arguments.seal_anchors)?;
    let tsa_anchors = read_anchors(&arguments.tsa_anchors)?;
    let crls = read_crls(&arguments.crls)?;
    let documents =
        arguments.documents.iter().map(|path| read_document(path)).collect::<Result<Vec<_>, _>>()?;
    let mut reports = Vec::new();
    for (xml_path, p7s_path) in pairs(&arguments.files)? {
        let xml = read_file(&xml_path)?;
        let p7s = match p7s_path {
            Some(given) => read_file(&given)?,
            None if crate::event::looks_like_evidence(&xml) => Vec::new(),
            None if crate::package::looks_like_package(&xml) => Vec::new(),
            None => read_file(&xml_path.with_extension("p7s"))?,
        };
        let inputs = Inputs {
            xml: &xml,
            p7s: &p7s,
            documents: &documents,
            crls: &crls,
            seal_anchors: &seal_anchors,
            tsa_anchors: &tsa_anchors,
            log_key: arguments.log_key.as_ref(),
            now,
        };
        reports.push((xml_path, verify(&inputs)));
    }
    let out = if arguments.json { render_json(&reports)? } else { render_text(&reports) };
    Ok(Answer { out, err: String::new(), exit_code: exit_code(&reports) })
}

/// Failed beats unclear, unclear beats passed; no proof at all is no success.
fn exit_code(reports: &[(PathBuf, Report)]) -> u8 {
    let codes = || reports.iter().map(|(_, report)| report.indication.exit_code());
    if codes().any(|code| code == 1) { 1 } else { codes().max().unwrap_or(3) }
}

fn render_text(reports: &[(PathBuf, Report)]) -> String {
    let one = |(path, report): &(PathBuf, Report)| format!("{}: {}", path.display(), report.render());
    reports.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn render_json(reports: &[(PathBuf, Report)]) -> Result<String, CommandError> {
    #[derive(serde::Serialize)]
    struct Named<'a> {
        file: String,
        #[serde(flatten)]
        report: &'a Report,
    }
    let named: Vec<_> =
        reports.iter().map(|(path, report)| Named { file: path.display().to_string(), report }).collect();
    Ok(serde_json::to_string_pretty(&named)? + "\n")
}

/// Which signature was given for which file.
fn pairs(files: &[PathBuf]) -> Result<Vec<(PathBuf, Option<PathBuf>)>, CommandError> {
    let is_signature = |path: &Path| path.extension().is_some_and(|extension| extension == "p7s");
    let mut pairs = Vec::new();
    let mut files = files.iter().peekable();
    while let Some(xml) = files.next() {
        if is_signature(xml) {
            return Err(CommandError::Pair(xml.clone()));
        }
        pairs.push((xml.clone(), files.next_if(|next| is_signature(next)).cloned()));
    }
    Ok(pairs)
}

fn read_file(path: &Path) -> Result<Vec<u8>, CommandError> {
    fs::read(path).map_err(|source| CommandError::Read { path: path.to_owned(), source })
}

fn read_document(path: &Path) -> Result<GivenFile, CommandError> {
    let failed = |source| CommandError::Read { path: path.to_owned(), source };
    GivenFile::read(path.display().to_string(), fs::File::open(path).map_err(failed)?).map_err(failed)
}

fn read_anchors(paths: &[PathBuf]) -> Result<TrustAnchors, CommandError> {
    let certificates = paths.iter().map(|path| read_certificates(path)).collect::<Result<Vec<_>, _>>()?;
    Ok(TrustAnchors::new(certificates.concat(), Vec::new()))
}

fn read_certificates(path: &Path) -> Result<Vec<Certificate>, CommandError> {
    let bytes = read_file(path)?;
    let certificates = if is_pem(&bytes) {
        Certificate::from_pem(&bytes)
    } else {
        Certificate::from_der(&bytes).map(|certificate| vec![certificate])
    };
    let none = || CommandError::Certificate(path.to_owned());
    certificates.ok().filter(|certificates| !certificates.is_empty()).ok_or_else(none)
}

fn read_crls(paths: &[PathBuf]) -> Result<Vec<Crl>, CommandError> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(list_crls(path)?);
        } else {
            files.push(path.clone());
        }
    }
    files.iter().map(|path| read_crl(path)).collect()
}

fn list_crls(directory: &Path) -> Result<Vec<PathBuf>, CommandError> {
    let failed = |source| CommandError::Read { path: directory.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path
            .extension()
            .is_some_and(|extension| ["crl", "pem", "der"].iter().any(|known| extension == *known))
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn read_crl(path: &Path) -> Result<Crl, CommandError> {
    let bytes = read_file(path)?;
    let crl = if is_pem(&bytes) { Crl::from_pem(&bytes) } else { Crl::from_der(&bytes) };
    crl.map_err(|_| CommandError::Crl(path.to_owned()))
}

fn is_pem(bytes: &[u8]) -> bool {
    bytes.windows(10).any(|window| window == b"-----BEGIN")
}

/// Parses, runs and prints: all that a `main` has to do. Gives the exit code.
pub fn main() -> u8 {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let asked_for = !error.use_stderr();
            // A closed pipe is the reader's choice.
            let _ = error.print();
            return if asked_for { 0 } else { 3 };
        }
    };
    let answer = run(&arguments, Timestamp::now());
    // Nobody reading on is no error: the exit code says it all.
    let _ = std::io::stdout().write_all(answer.out.as_bytes());
    let _ = std::io::stderr().write_all(answer.err.as_bytes());
    answer.exit_code
}
