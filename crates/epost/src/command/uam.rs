//! `epost uam`: the policy, asked without sending anything, and changed by two people.

mod propose;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use erds::Sender;
use jiff::Timestamp;
use jiff::civil::Date;
use pki::path::{Purpose, Revocation};
use serde_json::json;
use uam::{Explained, PolicyFile, Question, Transaction};

use self::propose::{Actor, Change, approve, propose, withdraw};
use super::could_not_run;
use crate::access::{self, RemoteAuthorizer};
use crate::config::Config;
use crate::trust::{read_anchors, read_certificates};

/// What to ask.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Would this sender be granted this transaction? Names every grant of his institution, and where each does not fit; asks the decision
    /// point, where one decides instead ([uam.remote]).
    Check(Box<Check>),
    /// Show the grants: what for, who answers for them, until when, and whose review is overdue; mandates and successions.
    List {
        /// The service's configuration.
        #[arg(long)]
        config: PathBuf,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Propose new entries: a file of [[grant]], [[mandate]] or [[succession]] tables.
    Add {
        /// The file.
        file: PathBuf,
        /// Who acts.
        #[command(flatten)]
        actor: Actor,
    },
    /// Propose other texts for grants or mandates: a file of tables whose ids are in the policy.
    Change {
        /// The file.
        file: PathBuf,
        /// Who acts.
        #[command(flatten)]
        actor: Actor,
    },
    /// Propose that an institution takes another's place (a merger): from that day on it reads what was the other's.
    Succeed {
        /// What is said of it.
        #[command(flatten)]
        tie: NewSuccession,
        /// Who acts.
        #[command(flatten)]
        actor: Actor,
    },
    /// Propose that an institution acts for another: it reads the other's items, and sends as itself.
    Mandate {
        /// What is said of it.
        #[command(flatten)]
        tie: NewMandate,
        /// Who acts.
        #[command(flatten)]
        actor: Actor,
    },
    /// Propose to note that a grant's manager confirmed today that it is still needed.
    Review {
        /// The grant's id.
        grant: String,
        /// Who acts.
        #[command(flatten)]
        actor: Actor,
    },
    /// Propose the end of a grant or a mandate; it stays in the file.
    End {
        /// Its id.
        id: String,
        /// Its last day, as 2026-12-31; else it ends at once.
        #[arg(long)]
        on: Option<Date>,
        /// Who acts.
        #[command(flatten)]
        actor: Actor,
    },
    /// Give up the proposal that waits: it is taken away, and the service journals who did that.
    Withdraw {
        /// Who acts.
        #[command(flatten)]
        actor: Actor,
    },
    /// Sign what another person proposed, and put it in place.
    Approve {
        /// Who acts.
        #[command(flatten)]
        actor: Actor,
    },
}

/// A merger.
#[derive(clap::Args)]
pub struct NewSuccession {
    /// Whose items: an enterprise number, 10 digits.
    #[arg(long)]
    predecessor: String,
    /// Who reads them.
    #[arg(long)]
    successor: String,
    /// From which day on, as 2027-01-01.
    #[arg(long)]
    since: Date,
    /// The decision that it rests on.
    #[arg(long)]
    reference: String,
}

/// One institution for another.
#[derive(clap::Args)]
pub struct NewMandate {
    /// Its name in the policy.
    #[arg(long)]
    id: String,
    /// For whom: an enterprise number, 10 digits.
    #[arg(long)]
    mandator: String,
    /// Who acts.
    #[arg(long)]
    mandatary: String,
    /// For this transaction, as a grant names it; as often as there are.
    #[arg(long = "transaction", required = true, value_parser = transaction)]
    transactions: Vec<Transaction>,
    /// Its last day, as 2027-12-31.
    #[arg(long)]
    until: Date,
    /// The decision that it rests on.
    #[arg(long)]
    reference: String,
}

/// The question.
#[derive(clap::Args)]
pub struct Check {
    /// The service's configuration: its policy file, its senders' anchors.
    #[arg(long)]
    config: PathBuf,
    /// The sender's certificate, PEM.
    #[arg(long)]
    certificate: PathBuf,
    /// The transaction, as a grant names it: sendDocument, getStatus, getProof, findItems, getDeliveryHistory, verifyProof,
    /// checkRecipient or healthCheck.
    #[arg(long, value_parser = transaction)]
    transaction: Transaction,
    /// The document's type, for sendDocument.
    #[arg(long = "type")]
    message_type: Option<String>,
    /// The address that the connection comes from.
    #[arg(long)]
    address: IpAddr,
    /// As of this time instead of now, as 2026-11-21T12:00:00Z.
    #[arg(long)]
    at: Option<Timestamp>,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

fn transaction(name: &str) -> Result<Transaction, String> {
    let names = || Transaction::ALL.map(Transaction::as_str).join(", ");
    Transaction::from_name(name).ok_or_else(|| format!("expected one of {}", names()))
}

/// Runs it: 0 granted, 1 denied, 3 could not run.
pub async fn run(command: &Command) -> ExitCode {
    let now = Timestamp::now();
    let done = match command {
        Command::Check(check) => {
            return match asked(check).await {
                Ok(granted) => ExitCode::from(u8::from(!granted)),
                Err(error) => could_not_run(&error),
            };
        }
        Command::List { config, json } => list(config, *json, now),
        Command::Add { file, actor } => propose(actor, &Change::Add(file), now),
        Command::Change { file, actor } => propose(actor, &Change::Replace(file), now),
        Command::Succeed { tie, actor } => propose(actor, &Change::Succeed(tie), now),
        Command::Mandate { tie, actor } => propose(actor, &Change::Mandate(tie), now),
        Command::Review { grant, actor } => propose(actor, &Change::Review(grant), now),
        Command::End { id, on, actor } => propose(actor, &Change::End(id, *on), now),
        Command::Withdraw { actor } => withdraw(actor, now),
        Command::Approve { actor } => approve(actor, now),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => could_not_run(&error),
    }
}

/// The grants, mandates and successions, and what waits for a second signature.
fn list(config: &Path, json: bool, now: Timestamp) -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::read(config)?;
    let policy = access::read(&config.uam.policy)?;
    let days = config.uam.review_days_max;
    for grant in policy.grants() {
        let overdue = days > 0 && grant.is_review_overdue(now, days);
        let transactions: Vec<&str> =
            grant.transactions().iter().map(|transaction| transaction.as_str()).collect();
        if json {
            let line = json!({
                "id": grant.id(), "institution": grant.institution(), "application": grant.application(),
                "transactions": transactions, "purpose": grant.purpose(), "reference": grant.citation(),
                "manager": grant.manager(), "until": grant.until(), "reviewed": grant.reviewed(), "overdue": overdue,
            });
            println!("{line}");
            continue;
        }
        let reviewed = grant.reviewed().map_or("never".to_owned(), |date| date.to_string());
        let overdue = if overdue { ", OVERDUE" } else { "" };
        println!("{}  {} {}", grant.id(), grant.institution(), grant.application());
        println!("    {} until {}, for {}", transactions.join(", "), grant.until(), grant.purpose());
        println!("    by {}; manager {}; reviewed {reviewed}{overdue}", grant.citation(), grant.manager());
    }
    for tie in policy.mandates() {
        let transactions: Vec<_> = tie.transactions().iter().map(|it| it.as_str()).collect();
        let (id, of, by) = (tie.id(), tie.mandator(), tie.mandatary());
        let (until, reference) = (tie.until(), tie.reference());
        match json {
            true => println!(
                "{}",
                json!({"mandate": id, "mandator": of, "mandatary": by, "transactions": transactions, "until": until, "reference": reference})
            ),
            false => println!(
                "mandate {id}  {by} for {of}\n    {} until {until}, by {reference}",
                transactions.join(", ")
            ),
        }
    }
    for tie in policy.successions() {
        let (of, by, since, reference) = (tie.predecessor(), tie.successor(), tie.since(), tie.reference());
        match json {
            true => println!(
                "{}",
                json!({"succession": tie.name(), "predecessor": of, "successor": by, "since": since, "reference": reference})
            ),
            false => println!("succession  {by} takes the place of {of}\n    since {since}, by {reference}"),
        }
    }
    let waits = propose::proposal(&config);
    if waits.exists() && !json {
        println!("waits for another person (`epost uam approve`): {}", waits.display());
    }
    Ok(())
}

async fn asked(check: &Check) -> Result<bool, Box<dyn std::error::Error>> {
    let config = Config::read(&check.config)?;
    let policy = access::read(&config.uam.policy)?;
    let at = check.at.unwrap_or_else(Timestamp::now);
    let sender = sender(check, &config, at)?;
    let question = Question {
        sender: &sender,
        transaction: check.transaction,
        message_type: check.message_type.as_deref(),
        address: check.address,
        at,
    };
    let remote = config.uam.remote.as_ref();
    let grants = if remote.is_none() { policy.explain(&question) } else { Vec::new() };
    let told =
        Told { policy: &policy, sender: &sender, grants, remote: remote.map(|remote| remote.url.as_str()) };
    let decision = match remote {
        None => policy.decide(&question),
        Some(remote) => {
            let asked = RemoteAuthorizer::read(remote)?.ask(&question, policy.digest()).await;
            asked.map_err(|failure| failure.to_string())?.into_decision()
        }
    };
    if check.json {
        println!("{}", told.to_json(&decision));
    } else {
        print!("{}", told.to_text(&decision));
    }
    Ok(decision.is_ok())
}

/// Whom the certificate names; its revocation is not looked at, for the policy does not ask.
fn sender(check: &Check, config: &Config, at: Timestamp) -> Result<Sender, Box<dyn std::error::Error>> {
    let anchors = read_anchors(&config.senders.anchors, &config.senders.intermediates)?
        .requiring_policies(config.senders.certificate_policies.clone());
    let chain = read_certificates(std::slice::from_ref(&check.certificate))?;
    let (leaf, extra) = chain.split_first().ok_or("no certificate in the file")?;
    let path = anchors.validate(leaf, extra, Revocation::NotChecked, Purpose::MessageSigning, at);
    let path = path.map_err(|error| format!("{}: {}: {error}", check.certificate.display(), error.code()))?;
    Ok(Sender::from_path(&path)
        .map_err(|error| format!("{}: {}: {error}", check.certificate.display(), error.code()))?)
}

type Decided = Result<uam::Decision, uam::Denied>;

struct Told<'a> {
    policy: &'a PolicyFile,
    sender: &'a Sender,
    grants: Vec<Explained>,
    /// Who decides instead of the grants.
    remote: Option<&'a str>,
}

impl Told<'_> {
    fn digest(&self) -> String {
        erds::record::Hex32(self.policy.digest()).to_hex()
    }

    fn to_text(&self, decision: &Decided) -> String {
        let mut text = format!(
            "sender   {} {} ({})\npolicy   sha256 {}, {} grants\n",
            self.sender.cbe.digits(),
            self.sender.application.as_str(),
            self.sender.environment.as_str(),
            self.digest(),
            self.policy.grants_count(),
        );
        for Explained { number, grant, denied } in &self.grants {
            let verdict = match denied {
                None => "fits".to_owned(),
                Some(denied) => {
                    let refusal = denied.to_refusal();
                    format!("{}: seen {}; expected {}", denied.check, refusal.seen, refusal.expected)
                }
            };
            let (id, application, citation) = (grant.id(), grant.application(), grant.citation());
            text += &format!("grant {number:<3}{id}: {application} ({citation}): {verdict}\n");
            text += &format!("         for {}; manager {}\n", grant.purpose(), grant.manager());
        }
        match self.remote {
            Some(url) => text += &format!("asked    {url}: it decides, not the grants\n"),
            None if self.grants.is_empty() => text += "         no grant is of this institution\n",
            None => {}
        }
        match decision {
            Ok(decision) => text + &format!("granted  by {}\n", decision.grant_reference),
            Err(denied) => text + &format!("denied   {} {}\n", denied.code.as_str(), denied.check),
        }
    }

    fn to_json(&self, decision: &Decided) -> serde_json::Value {
        let grants = self.grants.iter().map(|Explained { number, grant, denied }| {
            json!({
                "number": number, "id": grant.id(), "application": grant.application(),
                "reference": grant.citation(), "purpose": grant.purpose(), "manager": grant.manager(),
                "until": grant.until(), "reviewed": grant.reviewed(),
                "denied": denied.map(|denied| denied.check),
            })
        });
        json!({
            "granted": decision.is_ok(),
            "by": decision.as_ref().ok().map(|decision| &decision.grant_reference),
            "code": decision.as_ref().err().map(|denied| denied.code.as_str()),
            "check": decision.as_ref().err().map(|denied| denied.check),
            "policy_sha256": self.digest(),
            "asked": self.remote,
            "sender": {
                "cbe": self.sender.cbe.digits(), "application": self.sender.application.as_str(),
                "environment": self.sender.environment.as_str(),
            },
            "grants": grants.collect::<Vec<_>>(),
        })
    }
}
