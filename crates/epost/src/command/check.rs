//! `epost check`: a configuration judged without starting.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use disk::RealDisk;
use jiff::Timestamp;
use pki::crl::CrlSet;
use pki::key::KeyKind;

use super::could_not_run;
use crate::access::{self, Signers};
use crate::config::{Config, Identifiers};
use crate::{run, trust};

/// What to judge.
#[derive(clap::Args)]
pub struct Args {
    /// The configuration.
    #[arg(long)]
    config: PathBuf,
    /// Judge as for production: no stand-ins, no lax identifiers, no plain http, environment PRD with its own seal.
    #[arg(long)]
    production: bool,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

struct Finding {
    name: &'static str,
    problem: Option<String>,
    /// What was found, where that is worth telling when it is in order too.
    note: Option<String>,
}

/// Prints a line a check; 1 if any is not in order.
pub fn run(args: &Args) -> ExitCode {
    let config = match Config::read(&args.config) {
        Ok(config) => config,
        Err(error) => return could_not_run(&error),
    };
    let mut findings = vec![everything_reads(&config)];
    findings.extend(policy(&config));
    findings.extend(certificates(&config));
    findings.extend(revocation_lists(&config));
    if args.production {
        findings.extend(production(&config));
    }
    for finding in &findings {
        print(finding, args.json);
    }
    let wrong = findings.iter().filter(|finding| finding.problem.is_some()).count();
    if !args.json {
        println!("{}", if wrong == 0 { "in order".to_owned() } else { format!("{wrong} not in order") });
    }
    ExitCode::from(u8::from(wrong > 0))
}

fn print(finding: &Finding, json: bool) {
    if json {
        let line = serde_json::json!({"check": finding.name, "ok": finding.problem.is_none(), "problem": finding.problem, "note": finding.note});
        return println!("{line}");
    }
    match (&finding.problem, &finding.note) {
        (None, None) => println!("ok      {}", finding.name),
        (None, Some(note)) => println!("ok      {}: {note}", finding.name),
        (Some(problem), _) => println!("NOT OK  {}: {problem}", finding.name),
    }
}

fn everything_reads(config: &Config) -> Finding {
    let prepared = run::prepare(config, Arc::new(RealDisk), Arc::new(|_| {}));
    Finding {
        name: "files, keys, certificates, policy",
        problem: prepared.err().map(|error| error.to_string()),
        note: None,
    }
}

/// Whether the service would put the policy in force: against the journal's last one, and by its signatures. Nothing where it cannot be
/// read, which is told already.
fn policy(config: &Config) -> Option<Finding> {
    let policy = access::read(&config.uam.policy).ok()?;
    let signers = config.uam.signers.as_ref().map(Signers::read).transpose().ok()?;
    let version = policy.version();
    let judged = in_force_last(config).and_then(|former| {
        let judged = access::judge(&policy, former.as_ref(), signers.as_ref(), Timestamp::now());
        judged.map_err(|error| format!("{}: {error}", error.code()))
    });
    let note = judged.as_ref().ok().map(|signed| match signed {
        None => format!("version {version}, the one in force"),
        Some(signed) if signed.is_empty() => format!("version {version}, unsigned, not in force yet"),
        Some(signed) => {
            let names: Vec<_> = signed.iter().map(|one| one.name.as_str()).collect();
            format!("version {version}, signed by {}, not in force yet", names.join(" and "))
        }
    });
    Some(Finding { name: "uam.policy", problem: judged.err(), note })
}

/// The policy that the journal has as the last one; none before the first start. The service may be running.
fn in_force_last(config: &Config) -> Result<Option<access::Adopted>, String> {
    let directory = config.data.directory.join("journal");
    if !directory.exists() {
        return Ok(None);
    }
    let journal = journal::Looked::at(Arc::new(RealDisk), &directory, &config.data.origin);
    access::last_of(&journal.map_err(|error| error.to_string())?)
}

/// How old the revocation lists are, and which authority has none that is current.
fn revocation_lists(config: &Config) -> Vec<Finding> {
    let now = Timestamp::now();
    let of_tsas = config.tsa.iter().map(|tsa| ("tsa.crls", &tsa.crls));
    let all =
        [("senders.crls", &config.senders.crls), ("seal.crls", &config.seal.crls)].into_iter().chain(of_tsas);
    let responses = trust::read_responses(&config.senders.crls).err();
    let unread =
        responses.map(|error| Finding { name: "senders.ocsp", problem: Some(error.to_string()), note: None });
    let found = all.map(|(name, paths)| match trust::read_crls(paths) {
        Err(error) => Finding { name, problem: Some(error.to_string()), note: None },
        Ok(crls) => {
            let crls = CrlSet::new(crls);
            let stale = crls.stale_at(now).next();
            let problem = stale.map(|crl| format!("no current list of {}", crl.issuer()));
            Finding { name, problem, note: Some(trust::snapshot(&crls, now)) }
        }
    });
    found.chain(unread).collect()
}

fn certificates(config: &Config) -> Vec<Finding> {
    let Ok(found) = run::certificates(config) else { return Vec::new() };
    let judge = |(name, certificate): (&'static str, pki::certificate::Certificate)| {
        let days = certificate.not_after().duration_since(Timestamp::now()).as_hours() / 24;
        let problem = (days < EXPIRY_DAYS_MIN).then(|| format!("expires in {days} days; renew it now"));
        Finding { name, problem, note: None }
    };
    found.into_iter().map(judge).collect()
}

fn production(config: &Config) -> Vec<Finding> {
    let finding = |name, wrong: bool, problem: &str| Finding {
        name,
        problem: wrong.then(|| problem.to_owned()),
        note: None,
    };
    let plain = |url: &str| !url.starts_with("https://");
    vec![
        finding(
            "environment",
            config.environment != "PRD",
            "not PRD: proofs say NOT PRODUCTION, and the seal is a TEST seal",
        ),
        finding("identifiers", config.identifiers == Identifiers::Lax, "lax: check digits are not judged"),
        finding("tsa", config.tsa.iter().any(|tsa| tsa.stand_in), "a stand-in of `epost dev`"),
        finding(
            "tsa.two",
            config.tsa.len() < 2,
            "one authority: when it is away nothing is accepted; name a second",
        ),
        finding("ebox", config.ebox.stand_in, "a stand-in of `epost dev`"),
        finding(
            "ebox.https",
            [&config.ebox.url, &config.ebox.profile_url, &config.ebox.token_url]
                .into_iter()
                .any(|url| plain(url)),
            "plain http",
        ),
        finding(
            "listen.key",
            run::certificates(config).is_ok_and(|found| {
                found.iter().any(|(name, held)| {
                    *name == "listen.certificate" && held.public_key().kind() != KeyKind::Rsa
                })
            }),
            "not RSA: it signs contract B's answers, which senders' older stacks then refuse",
        ),
        Finding { name: "retention", problem: config.retention.too_short(), note: None },
        finding("listen.public_url", plain(&config.listen.public_url), "not https"),
        finding(
            "data.master_key",
            config.data.master_key.secrets().iter().any(|path| path.starts_with(&config.data.directory)),
            "under data.directory: its backup would hold the key",
        ),
        finding(
            "data.log_key",
            config.data.log_key.as_ref().is_none_or(|key| key.starts_with(&config.data.directory)),
            "missing, or under data.directory: the journal is not signed by a key kept apart from it",
        ),
    ]
}

const EXPIRY_DAYS_MIN: i64 = 30;
