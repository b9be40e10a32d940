//! `epost send`: a document goes out as registered mail, and its receipt comes back.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use erds::{
    Beside, ChannelName, Delegate, DigestMethod, EboxCheck, EnterpriseNumber, Language, Meta, Part,
    QualityCode, Recipient, Ssin, StatedDigest, Strictness, Submission, Ticket, Token,
};
use jiff::Timestamp;
use serde_json::json;

use crate::client::{
    Client, ClientError, Connection, ContentFile, ItemName, Progress, ProofFiles, ProofKind, SentLog, save,
};
use crate::command::status::{Wait, wait_for_end};

/// What to send, to whom.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(group(clap::ArgGroup::new("recipient").required(true).args(["to_citizen", "to_enterprise"])))]
pub struct Args {
    /// The document
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The recipient: a person, by INSS number
    #[arg(long, value_name = "INSS")]
    pub to_citizen: Option<String>,
    /// The recipient: an enterprise, by CBE number
    #[arg(long, value_name = "CBE")]
    pub to_enterprise: Option<String>,
    /// The recipient's quality code [default: CITIZEN, or QUAL_EMP_NOSS for an enterprise]
    #[arg(long, value_name = "CODE")]
    pub quality: Option<String>,
    /// The title that the recipient sees
    #[arg(long)]
    pub title: String,
    /// The document's type, as your grant names it
    #[arg(long = "type", value_name = "TYPE")]
    pub document_type: String,
    /// The document's language: fr, nl, de, en or bi
    #[arg(long, value_name = "CODE", value_parser = language)]
    pub language: Option<Language>,
    /// A further file (repeatable, at most 5)
    #[arg(long = "annex", value_name = "FILE")]
    pub annexes: Vec<PathBuf>,
    /// Your own key and value beside the document (repeatable)
    #[arg(long = "meta", value_name = "TYPE=VALUE", value_parser = meta)]
    pub meta: Vec<Meta>,
    /// Your own name for this item: sending it again with the same one gives the same receipt [default: a random one]
    #[arg(long)]
    pub token: Option<String>,
    /// What to ask of the recipient's e-Box before the item is taken
    #[arg(long, value_enum, default_value_t = Check::Activated)]
    pub check: Check,
    /// A channel, of those that contract B knows: EBOX_CITIZEN, EBOX_ENTERPRISE, BATCH (repeatable; the recipient's eBox is always
    /// among them) [default: the recipient's eBox alone]
    #[arg(long = "channel", value_name = "NAME", value_parser = channel)]
    pub channels: Vec<ChannelName>,
    /// With BATCH: into the folder of this mandatary of the recipient, by CBE number, instead of the recipient's own
    #[arg(long, value_name = "CBE", requires = "delegate_quality")]
    pub delegate: Option<String>,
    /// The mandatary's quality code, for example QUAL_SSC
    #[arg(long, value_name = "CODE", requires = "delegate")]
    pub delegate_quality: Option<String>,
    /// Your proofs go into your own folder of the batch channel too
    #[arg(long)]
    pub proof_to_mailbox: bool,
    /// Where to save Receipt.xml, Receipt.p7s, CRLs and, by contract B, the evidence: in a folder named by the ticket
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
    /// Your log of what was sent [default: ~/.local/state/epost/sent.jsonl]
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) wait: Wait,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// What to ask of the recipient's e-Box.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Check {
    /// Nothing.
    Bypass,
    /// It is activated.
    Activated,
    /// It is activated and preferred.
    Preferred,
}

const EXAMPLES: &str = "Examples:
  epost send letter.pdf --profile office.toml --to-citizen 00000000196 --title \"Your file\" --type LETTER
  epost send letter.pdf --annex table.csv --to-enterprise 1234567894 --title \"Decision\" --type DECISION --wait
  epost send letter.pdf --to-enterprise 1234567894 --title \"Decision\" --type DECISION --channel EBOX_ENTERPRISE --channel BATCH \\
      --delegate 0000000097 --delegate-quality QUAL_SSC --proof-to-mailbox
  epost send letter.pdf --p12 office.p12 --password-file pw --tls-ca ca.crt --endpoint https://epost.example.be/RegisteredMail/v1 \\
      --to-citizen 00000000196 --title \"Your file\" --type LETTER --json

Exit code: 0 accepted, 1 refused, 2 try again later (with the same --token: nothing is sent twice), 3 could not run.";

fn language(text: &str) -> Result<Language, String> {
    Language::from_name(text).ok_or_else(|| "expected fr, nl, de, en or bi".to_owned())
}

fn channel(text: &str) -> Result<ChannelName, String> {
    ChannelName::from_name(text).ok_or_else(|| "expected EBOX_CITIZEN, EBOX_ENTERPRISE or BATCH".to_owned())
}

fn meta(text: &str) -> Result<Meta, String> {
    let (name, value) = text.split_once('=').ok_or_else(|| "expected TYPE=VALUE".to_owned())?;
    Ok(Meta { name: name.to_owned(), values: vec![value.to_owned()] })
}

/// Runs `epost send`.
pub async fn run(args: Args) -> ExitCode {
    let json = args.connection.json;
    match send(&args).await {
        Ok(code) => code,
        Err(failure) => report(&failure, json),
    }
}

/// Why a sender's command ended without what was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// An option's value.
    #[error("client.option: {0}")]
    Option(String),
    /// The client or the service.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// What came cannot be saved.
    #[error("client.save: {0}; the service keeps it: `epost proof` fetches it again")]
    Save(std::io::Error),
}

impl From<crate::client::SettingsError> for Failure {
    fn from(error: crate::client::SettingsError) -> Self {
        Self::Client(error.into())
    }
}

/// Says what went wrong and what to do, and gives the exit code: 1 refused, 2 try again, 3 could not run.
pub(crate) fn report(failure: &Failure, json: bool) -> ExitCode {
    let (code, text, id) = match failure {
        Failure::Client(ClientError::Refused(fault)) => {
            (fault.code.clone(), fault.message.clone(), Some(fault.id.clone()))
        }
        Failure::Client(error) => (error.code().to_owned(), error.to_string(), None),
        Failure::Option(_) => ("client.option".to_owned(), failure.to_string(), None),
        Failure::Save(_) => ("client.save".to_owned(), failure.to_string(), None),
    };
    let again = matches!(failure, Failure::Client(error) if error.may_succeed_later());
    if json {
        println!("{}", json!({ "error": { "code": code, "message": text, "id": id, "retry": again } }));
    } else if let Some(id) = id {
        eprintln!("refused  {code}\n  {text}\n  id for the helpdesk: {id}");
    } else {
        eprintln!("epost: {text}");
    }
    if again && !json {
        eprintln!("  the same command may succeed later");
    }
    ExitCode::from(match failure {
        _ if again => 2,
        Failure::Client(
            ClientError::Refused(_)
            | ClientError::TlsRefused(_)
            | ClientError::Http { .. }
            | ClientError::ProofAbsent { .. },
        ) => 1,
        _ => 3,
    })
}

async fn send(args: &Args) -> Result<ExitCode, Failure> {
    let client = args.connection.client()?;
    let progress = Progress::new(args.connection.json);
    let files = std::iter::once(&args.file)
        .chain(&args.annexes)
        .map(|path| {
            ContentFile::digest(path, &progress)
                .map_err(|cause| ClientError::File { path: path.clone(), cause })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let submission = submission(args, &files)?;
    let token = submission.token.as_str();
    if !args.connection.json {
        println!("token    {token}");
    }
    let log = SentLog::new(args.log.as_deref());
    log.note(Timestamp::now(), "sending", token, None, None);
    let receipt = match client.send_by(&submission, &args.channels, &files).await {
        Ok(receipt) => receipt,
        Err(error) => {
            let event = if matches!(error, ClientError::Refused(_)) { "refused" } else { "failed" };
            log.note(Timestamp::now(), event, token, None, Some(error.code()));
            if !matches!(error, ClientError::Refused(_)) && !args.connection.json {
                eprintln!(
                    "nothing is lost: the same command with --token {token} sends it, or gives the receipt if it was taken"
                );
            }
            return Err(error.into());
        }
    };
    log.note(Timestamp::now(), "accepted", token, Some(&receipt.ticket), None);
    accepted(args, &client, token, receipt).await
}

async fn accepted(
    args: &Args,
    client: &Client,
    token: &str,
    receipt: ProofFiles,
) -> Result<ExitCode, Failure> {
    let ticket = Ticket::parse(&receipt.ticket).map_err(|error| Failure::Option(error.to_string()))?;
    // The receipt first: whatever happens to the CRLs, the proof is on disk.
    let mut files = save(&receipt, ProofKind::Receipt, &args.out).map_err(Failure::Save)?;
    let mut note = None;
    match client.proof(&ItemName::Ticket(ticket), ProofKind::Receipt).await {
        Ok(again) if again.xml == receipt.xml => {
            let with_crls = ProofFiles { crls: again.crls, ..receipt.clone() };
            files = save(&with_crls, ProofKind::Receipt, &args.out).map_err(Failure::Save)?;
        }
        Ok(_) => {
            note = Some(
                "the service's second copy of the receipt differs from the first; tell its operator"
                    .to_owned(),
            )
        }
        Err(error) => note = Some(format!("no CRLs yet ({error}); `epost proof {ticket}` fetches them")),
    }
    let ended =
        if args.wait.wait { Some(wait_for_end(client, &ticket, &args.wait, &args.out).await?) } else { None };
    if args.connection.json {
        let status = ended.as_ref().map(|end| end.status.clone());
        files.extend(ended.iter().flat_map(|end| end.files.clone()));
        println!(
            "{}",
            json!({ "token": token, "ticket": ticket.as_str(), "files": files, "status": status, "note": note })
        );
    } else {
        println!("ticket   {ticket}");
        let proofs = files.iter().filter(|file| file.extension().is_none_or(|extension| extension != "crl"));
        for file in proofs {
            println!("saved    {}", file.display());
        }
        if let Some(end) = &ended {
            println!("status   {}", end.status);
            for file in &end.files {
                println!("saved    {}", file.display());
            }
        }
        if let Some(note) = note {
            eprintln!("note     {note}");
        }
    }
    Ok(ended.map_or(ExitCode::SUCCESS, |end| end.exit_code()))
}

fn submission(args: &Args, files: &[ContentFile]) -> Result<Submission, Failure> {
    let wrong = |option: &str, error: &dyn std::fmt::Display| Failure::Option(format!("{option}: {error}"));
    let token = match &args.token {
        Some(token) => Token::parse(token).map_err(|error| wrong("--token", &error))?,
        None => Token::parse(&uuid::Uuid::new_v4().simple().to_string())
            .map_err(|error| wrong("--token", &error))?,
    };
    let mut parts = files.iter().enumerate().map(|(index, file)| part(args, index, file));
    let document = parts.next().ok_or_else(|| Failure::Option("FILE: no document".to_owned()))?;
    Ok(Submission {
        token,
        recipient: recipient(args)?,
        document,
        annexes: parts.collect(),
        meta: args.meta.clone(),
        check: match args.check {
            Check::Bypass => EboxCheck::Bypass,
            Check::Activated => EboxCheck::Activated,
            Check::Preferred => EboxCheck::Preferred,
        },
        beside: Beside {
            batch: args.channels.contains(&ChannelName::Batch),
            delegate: delegate(args)?,
            proof_to_mailbox: args.proof_to_mailbox,
        },
    })
}

/// As the recipient: form alone.
fn delegate(args: &Args) -> Result<Option<Delegate>, Failure> {
    let (Some(company), Some(quality)) = (&args.delegate, &args.delegate_quality) else { return Ok(None) };
    let wrong = |option: &str, error: &dyn std::fmt::Display| Failure::Option(format!("{option}: {error}"));
    Ok(Some(Delegate {
        company: EnterpriseNumber::parse(company, Strictness::Lax)
            .map_err(|error| wrong("--delegate", &error))?,
        quality: QualityCode::parse(quality).map_err(|error| wrong("--delegate-quality", &error))?,
    }))
}

/// Form alone is judged here: the service knows how strict its environment is.
fn recipient(args: &Args) -> Result<Recipient, Failure> {
    let wrong = |option: &str, error: &dyn std::fmt::Display| Failure::Option(format!("{option}: {error}"));
    let quality = |default: &str| {
        QualityCode::parse(args.quality.as_deref().unwrap_or(default))
            .map_err(|error| wrong("--quality", &error))
    };
    if let Some(inss) = &args.to_citizen {
        let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
        let inss =
            Ssin::parse(inss, Strictness::Lax, today).map_err(|error| wrong("--to-citizen", &error))?;
        return Ok(Recipient::Citizen { inss, quality: quality("CITIZEN")? });
    }
    let company = args.to_enterprise.as_deref().unwrap_or_default();
    let company = EnterpriseNumber::parse(company, Strictness::Lax)
        .map_err(|error| wrong("--to-enterprise", &error))?;
    Ok(Recipient::Enterprise { company, quality: quality("QUAL_EMP_NOSS")? })
}

/// The document is part 0; an annex bears its file's name as its title.
fn part(args: &Args, index: usize, file: &ContentFile) -> Part {
    let is_document = index == 0;
    Part {
        title: if is_document { args.title.clone() } else { file.name() },
        digest: StatedDigest { method: DigestMethod::Sha256, value: file.sha256.clone() },
        download_file_name: file.name(),
        mime: file.mime().map(str::to_owned),
        document_type: is_document.then(|| args.document_type.clone()),
        language: args.language.filter(|_| is_document),
        content_id: if is_document { "document@epost".to_owned() } else { format!("annex-{index}@epost") },
    }
}

/// How long to wait between two questions.
pub(crate) const POLL_PAUSE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Parser)]
    enum Line {
        Send(Box<Args>),
        Status(crate::command::status::Args),
        Proof(crate::command::proof::Args),
    }

    fn submission_of(line: &[&str]) -> Result<Submission, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letter.pdf");
        std::fs::write(&path, "%PDF").unwrap();
        let line =
            [&["epost", "send", path.to_str().unwrap(), "--title", "T", "--type", "LETTER"], line].concat();
        let Line::Send(args) = Line::try_parse_from(line).unwrap() else { panic!("send") };
        let file = ContentFile::digest(&path, &Progress::new(true)).unwrap();
        submission(&args, &[file.clone(), file])
    }

    #[test]
    fn the_arguments_hold_together() {
        Line::command().debug_assert();
        assert!(
            Line::try_parse_from(["epost", "send", "a", "--title", "T", "--type", "L"]).is_err(),
            "a recipient"
        );
        assert!(
            Line::try_parse_from(["epost", "status", "T", "--wait-seconds-max", "3"]).is_err(),
            "only with --wait"
        );
        assert!(Line::try_parse_from(["epost", "proof"]).is_err(), "ticket or token");
        assert!(Line::try_parse_from(["epost", "proof", "--token", "t", "--kind", "dispatch"]).is_ok());
    }

    #[test]
    fn defaults_suit_a_small_office() {
        let citizen = submission_of(&["--to-citizen", "00000000196", "--meta", "CASE=17"]).unwrap();
        assert_eq!(citizen.recipient.quality().as_str(), "CITIZEN");
        assert_eq!((citizen.token.as_str().len(), citizen.check), (32, EboxCheck::Activated));
        assert_eq!(citizen.document.mime.as_deref(), Some("application/pdf"));
        assert_eq!((citizen.annexes.len(), citizen.annexes[0].document_type.clone()), (1, None));
        let enterprise = submission_of(&["--to-enterprise", "000000196", "--token", "mine"]).unwrap();
        assert_eq!(enterprise.recipient.number_as_given(), "000000196");
        assert_eq!(enterprise.token.as_str(), "mine");
    }

    #[test]
    fn what_goes_beside_the_e_box_is_asked_for_by_name() {
        let to = ["--to-enterprise", "1234567894"];
        let beside = ["--channel", "EBOX_ENTERPRISE", "--channel", "BATCH", "--proof-to-mailbox"];
        let whose = ["--delegate", "0000000097", "--delegate-quality", "QUAL_SSC"];
        let asked = submission_of(&[&to[..], &beside, &whose].concat()).unwrap().beside;
        assert!(asked.batch && asked.proof_to_mailbox);
        let delegate = asked.delegate.unwrap();
        assert_eq!((delegate.company.as_given(), delegate.quality.as_str()), ("0000000097", "QUAL_SSC"));
        assert!(submission_of(&to).unwrap().beside.is_nothing());
        let line = ["epost", "send", "a", "--title", "T", "--type", "L", "--to-enterprise", "1"];
        for wrong in [&["--channel", "POST"][..], &["--delegate", "1"], &["--delegate-quality", "Q"]] {
            assert!(Line::try_parse_from(line.iter().chain(wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_wrong_option_is_named() {
        let error = submission_of(&["--to-citizen", "12"]).unwrap_err();
        assert!(error.to_string().starts_with("client.option: --to-citizen: "), "{error}");
    }
}
