//! `epost proof`: fetch a proof, with its CRLs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use erds::{Ticket, Token};
use serde_json::json;

use super::send::{Failure, report};
use crate::client::{Connection, ItemName, ProofForm, ProofKind, save, save_evidence, save_package};

/// Which proof of which item.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(group(clap::ArgGroup::new("item").required(true).args(["ticket", "token"])))]
pub struct Args {
    /// The ticket that the receipt names
    #[arg(value_name = "TICKET")]
    pub ticket: Option<String>,
    /// Or the token that you sent it with
    #[arg(long)]
    pub token: Option<String>,
    /// Which proof
    #[arg(long, value_enum, default_value_t = Kind::Receipt)]
    pub kind: Kind,
    /// In which form; as seal where there is one, else as evidence
    #[arg(long, value_enum)]
    pub form: Option<Form>,
    /// Where to save it and its CRLs: in a folder named by the ticket
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Which proof.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Kind {
    /// The proof of sending.
    Receipt,
    /// The proof of dispatch: placed in the recipient's box.
    Dispatch,
    /// First opened, as its channel reports, or taken out of a partner's folder.
    Consultation,
    /// Kept to its date and never opened.
    Expiry,
    /// Given up: why, and every attempt.
    NonDelivery,
}

/// In which form.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Form {
    /// An XML file and the detached seal over it: of receipt and dispatch.
    Seal,
    /// ERDS evidence (EN 319 522-3): one XML file, its signature within.
    Evidence,
    /// One ASiC-E container with all that a third party needs but his trust anchors.
    Package,
}

const EXAMPLES: &str = "Examples:
  epost proof 0A1B2C3D4E5F6 --profile office.toml
  epost proof --token case-2026-17 --kind dispatch --out proofs --profile office.toml
  epost proof 0A1B2C3D4E5F6 --kind receipt --form evidence --profile office.toml
  epost proof 0A1B2C3D4E5F6 --kind consultation --profile office.toml
  epost proof 0A1B2C3D4E5F6 --kind dispatch --form package --profile office.toml

Exit code: 0 saved, 1 refused or no such proof, 2 try again later, 3 could not run.";

/// Runs `epost proof`.
pub async fn run(args: Args) -> ExitCode {
    let json = args.connection.json;
    match fetch(&args).await {
        Ok(code) => code,
        Err(failure) => report(&failure, json),
    }
}

async fn fetch(args: &Args) -> Result<ExitCode, Failure> {
    let of = match (&args.ticket, &args.token) {
        (Some(ticket), _) => ItemName::Ticket(
            Ticket::parse(ticket).map_err(|error| Failure::Option(format!("TICKET: {error}")))?,
        ),
        (None, token) => {
            let token = token.as_deref().unwrap_or_default();
            ItemName::Token(
                Token::parse(token).map_err(|error| Failure::Option(format!("--token: {error}")))?,
            )
        }
    };
    let client = args.connection.client()?;
    let kind = args.kind.asked();
    let form = match args.form {
        None => kind.default_form(),
        Some(Form::Evidence) => ProofForm::Evidence,
        Some(Form::Package) => ProofForm::Package,
        Some(Form::Seal) if kind.default_form() == ProofForm::Seal => ProofForm::Seal,
        Some(Form::Seal) => {
            let told = "--form seal: of receipt and dispatch alone; leave it out, and evidence is saved, or take --form package";
            return Err(Failure::Option(told.to_owned()));
        }
    };
    let (ticket, files) = match form {
        ProofForm::Seal => {
            let proof = client.proof(&of, kind).await.map_err(Failure::Client)?;
            let files = save(&proof, kind, &args.out).map_err(Failure::Save)?;
            (proof.ticket, files)
        }
        ProofForm::Evidence => {
            let evidence = client.evidence(&of, kind).await.map_err(Failure::Client)?;
            let files = save_evidence(&evidence, &args.out).map_err(Failure::Save)?;
            (evidence.ticket, files)
        }
        ProofForm::Package => {
            let package = client.package(&of, kind).await.map_err(Failure::Client)?;
            let files = save_package(&package, &args.out).map_err(Failure::Save)?;
            (package.ticket, files)
        }
    };
    if args.connection.json {
        println!("{}", json!({ "ticket": ticket, "files": files, "verify": verify_line(&files) }));
    } else {
        println!("ticket   {ticket}");
        for file in &files {
            println!("saved    {}", file.display());
        }
        println!("verify   {}", verify_line(&files));
    }
    Ok(ExitCode::SUCCESS)
}

/// The command by which anybody judges what was saved; whom he trusts is his to say.
fn verify_line(files: &[PathBuf]) -> String {
    let is = |file: &&PathBuf, extension: &str| file.extension().is_some_and(|found| found == extension);
    let crls = files.iter().find(|file| is(file, "crl")).and_then(|file| file.parent());
    let crls = crls.map(|folder| format!(" --crl {}", quoted(folder)));
    let proofs = files.iter().filter(|file| is(file, "xml") || is(file, "asice"));
    let proofs: Vec<_> = proofs.map(|file| quoted(file)).collect();
    format!(
        "epost-verify {} --seal-anchors SEAL-ROOT.pem --tsa-anchors TSA-ROOT.pem{}",
        proofs.join(" "),
        crls.unwrap_or_default()
    )
}

/// As a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    if text.bytes().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

impl Kind {
    pub(super) fn asked(self) -> ProofKind {
        match self {
            Self::Receipt => ProofKind::Receipt,
            Self::Dispatch => ProofKind::Dispatch,
            Self::Consultation => ProofKind::Consultation,
            Self::Expiry => ProofKind::Expiry,
            Self::NonDelivery => ProofKind::NonDelivery,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifier_is_told_all_that_was_saved() {
        let files = ["my proofs/T/ContentHandover.xml", "my proofs/T/crls/1.crl", "my proofs/T/crls/2.crl"];
        assert_eq!(
            verify_line(&files.map(PathBuf::from)),
            "epost-verify 'my proofs/T/ContentHandover.xml' --seal-anchors SEAL-ROOT.pem --tsa-anchors TSA-ROOT.pem --crl 'my proofs/T/crls'"
        );
        let sealed = ["T/Receipt.xml", "T/Receipt.p7s"].map(PathBuf::from);
        assert!(
            verify_line(&sealed).starts_with("epost-verify T/Receipt.xml --seal"),
            "the seal lies beside it"
        );
        assert_eq!(
            verify_line(&[PathBuf::from("T/Receipt.asice")]),
            "epost-verify T/Receipt.asice --seal-anchors SEAL-ROOT.pem --tsa-anchors TSA-ROOT.pem",
            "its lists are in it"
        );
    }
}
