//! The signed log for those who do not run it: its public key, a record's proof, and whether it is still the log of before.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;

use disk::RealDisk;
use journal::ReadError;
use journal::checkpoint::{Checkpoint, LogKey, Verifier};
use journal::merkle::verify_consistency;
use journal::proof::{Proof, read_salted};
use journal::tiles::{Published, TilesError};
use journal::witness::{Cosignature, CosignatureError, Witness, WitnessError};
use serde_json::json;

use super::stamps::{self, Stamped};
use super::{GivenStamp, Which, hex};
use crate::command::could_not_run;
use crate::config::Config;
use crate::run;

/// Why the published log cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unpublished {
    #[error("{0}")]
    Configuration(String),
    #[error("journal.unsigned: {0}")]
    Unsigned(&'static str),
    #[error(transparent)]
    Tiles(#[from] TilesError),
}

/// What is published, and where; none where the log has no key, or nothing was published yet.
pub(super) fn published(which: &Which) -> Result<Option<(Published, PathBuf)>, Unpublished> {
    let (config, key) = read(which)?;
    let Some(key) = key else { return Ok(None) };
    let dir = run::tlog_directory(&config);
    let published = Published::open(Arc::new(RealDisk), &dir, key.verifier())?;
    Ok(published.map(|published| (published, dir)))
}

/// The newest time-stamp on a checkpoint, every one being judged; the inner error says what is wrong with the first bad one.
pub(super) fn stamped(which: &Which) -> Result<Result<Option<Stamped>, String>, Unpublished> {
    let (config, key) = read(which)?;
    let (Some(key), Some((published, dir))) = (key, published(which)?) else { return Ok(Ok(None)) };
    Ok(stamps::judge(&config, &published, key.verifier(), &dir))
}

/// A witness's name, and its word on a checkpoint.
pub(super) type Said = (String, Result<Cosignature, CosignatureError>);

/// What each configured witness says of a checkpoint. One that is behind makes nothing wrong: it is told.
pub(super) fn cosigned(which: &Which, checkpoint: Option<&Checkpoint>) -> Result<Vec<Said>, String> {
    let config = Config::read(&which.config).map_err(|error| error.to_string())?;
    let Some(checkpoint) = checkpoint else { return Ok(Vec::new()) };
    let judge = |setup: &crate::config::Witness| {
        let witness: Witness = setup.key.parse().map_err(|error: WitnessError| error.to_string())?;
        Ok((witness.name().to_owned(), witness.cosignature(checkpoint, checkpoint.note())))
    };
    config.witness.iter().map(judge).collect()
}

fn read(which: &Which) -> Result<(Config, Option<LogKey>), Unpublished> {
    let wrong = |error: &dyn std::fmt::Display| Unpublished::Configuration(error.to_string());
    let config = Config::read(&which.config).map_err(|error| wrong(&error))?;
    let key = run::log_key(&config).map_err(|error| wrong(&error))?;
    Ok((config, key))
}

fn verifier(which: &Which) -> Result<(Config, Verifier), Unpublished> {
    let (config, key) = read(which)?;
    let key = key.ok_or(Unpublished::Unsigned("the configuration names no data.log_key"))?;
    Ok((config, key.verifier().clone()))
}

pub(super) fn key(which: &Which) -> ExitCode {
    match verifier(which) {
        Ok((_, verifier)) if which.json => println!("{}", json!({ "key": verifier.to_string() })),
        Ok((_, verifier)) => println!("{verifier}"),
        Err(error) => return could_not_run(&error),
    }
    ExitCode::SUCCESS
}

pub(super) fn prove(which: &Which, position: u64, out: Option<&Path>, stamped: bool) -> ExitCode {
    let read = verifier(which).and_then(|(config, key)| Ok((config, key, published(which)?)));
    let (config, verifier, published) = match read {
        Ok(found) => found,
        Err(error) => return could_not_run(&error),
    };
    let salted =
        read_salted(&RealDisk, &config.data.directory.join("journal"), &config.data.origin, position);
    let salted = match salted {
        Ok(salted) => salted,
        Err(ReadError::Disk(error)) => return could_not_run(&error),
        Err(error) => return refuse(error.code(), &error.to_string(), which.json),
    };
    let Some((published, tlog)) = published else {
        return not_yet("journal.not-published", "nothing was published yet", which.json);
    };
    let (checkpoint, stamp) = match stamped.then(|| stamps::covering(&verifier, &tlog, position)) {
        None => (published.checkpoint().clone(), None),
        Some(Ok(Some((checkpoint, stamp)))) => (checkpoint, Some(stamp)),
        Some(Ok(None)) => {
            let text = "no checkpoint that covers the record was time-stamped yet";
            return not_yet("journal.not-stamped", text, which.json);
        }
        Some(Err(error)) => return refuse("journal.stamp", &error, which.json),
    };
    let proof = match Proof::under(&published, &checkpoint, position, salted) {
        Ok(proof) => proof,
        Err(error @ TilesError::NotYet { .. }) => {
            return not_yet(error.code(), &error.to_string(), which.json);
        }
        Err(error @ TilesError::Disk { .. }) => return could_not_run(&error),
        Err(error) => return refuse(error.code(), &error.to_string(), which.json),
    };
    let size = checkpoint.size();
    match out {
        None if which.json => {
            let line = json!({ "position": position, "signed_records": size, "proof": proof.to_string() });
            println!("{line}");
        }
        None => print!("{proof}"),
        Some(path) => {
            let beside = path.with_added_extension("tsr");
            let stamp = stamp.iter().map(|stamp| (beside.as_path(), stamp.as_slice()));
            let text = proof.to_string();
            for (path, bytes) in std::iter::once((path, text.as_bytes())).chain(stamp) {
                if let Err(error) = std::fs::write(path, bytes) {
                    return could_not_run(&format!("{}: {error}", path.display()));
                }
            }
            match which.json {
                true => println!("{}", json!({ "position": position, "signed_records": size, "file": path })),
                false => println!("wrote {}", path.display()),
            }
        }
    }
    ExitCode::SUCCESS
}

pub(super) fn check(
    file: &Path,
    key: &str,
    witnesses: &[String],
    stamp: &GivenStamp,
    json: bool,
) -> ExitCode {
    let verifier = match Verifier::from_str(key) {
        Ok(verifier) => verifier,
        Err(error) => return could_not_run(&error),
    };
    let witnesses = match witnesses.iter().map(|key| key.parse()).collect::<Result<Vec<Witness>, _>>() {
        Ok(witnesses) => witnesses,
        Err(error) => return could_not_run(&error),
    };
    let text = match std::fs::read(file) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => return could_not_run(&format!("{}: {error}", file.display())),
    };
    let proved = text.parse::<Proof>().and_then(|proof| Ok((proof.verify(&verifier)?, proof)));
    let (proved, proof) = match proved {
        Ok(proved) => proved,
        Err(error) => return refuse(error.code(), &error.to_string(), json),
    };
    let note = proved.checkpoint.note();
    let cosigned = witnesses.iter().map(|witness| witness.cosignature(&proved.checkpoint, note));
    let cosigned = match cosigned.collect::<Result<Vec<_>, _>>() {
        Ok(cosigned) => cosigned,
        Err(error) => return refuse(error.code(), &error.to_string(), json),
    };
    let stamped_at = match stamps::of_note(proof.note(), stamp) {
        Ok(stamped_at) => stamped_at,
        Err(error) => return refuse("journal.stamp", &format!("journal.stamp: {error}"), json),
    };
    let (size, root) = (proved.checkpoint.size(), hex(&proved.checkpoint.root()));
    if json {
        let line = json!({
            "proved": true, "log": verifier.origin(), "position": proved.position, "leaf_hash": hex(&proved.leaf_hash),
            "signed_records": size, "root": root, "stamped_at": stamped_at, "record": proved.record,
            "cosigned": cosigned.iter().map(|given| json!({ "witness": given.witness(), "at": given.at() })).collect::<Vec<_>>(),
        });
        println!("{line}");
    } else {
        println!(
            "proved: record {} of {}, under its checkpoint of {size} records",
            proved.position,
            verifier.origin()
        );
        for given in &cosigned {
            println!("cosigned at {} by the witness {}", given.at(), given.witness());
        }
        match stamped_at {
            Some(at) => println!("that checkpoint was time-stamped at {at}"),
            None => println!("when it was signed is not proved: no --stamp was given"),
        }
        println!("{}", json!(proved.record));
    }
    ExitCode::SUCCESS
}

pub(super) fn compare(which: &Which, file: &Path) -> ExitCode {
    let read = verifier(which).and_then(|(_, verifier)| Ok((verifier, published(which)?)));
    let (verifier, published) = match read {
        Ok(read) => read,
        Err(Unpublished::Tiles(error)) => return refuse(error.code(), &error.to_string(), which.json),
        Err(error) => return could_not_run(&error),
    };
    let note = match std::fs::read(file) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => return could_not_run(&format!("{}: {error}", file.display())),
    };
    let old = match verifier.open(&note) {
        Ok(old) => old,
        Err(error) => return refuse(error.code(), &error.to_string(), which.json),
    };
    let forked = |now: u64| {
        let text = format!(
            "journal.forked: the log of now, of {now} records, does not begin with the {} of that checkpoint",
            old.size()
        );
        refuse("journal.forked", &text, which.json)
    };
    let Some((published, _)) = published else { return forked(0) };
    let now = published.checkpoint();
    if now.size() < old.size() {
        return forked(now.size());
    }
    let proof = match published.consistency(old.size()) {
        Ok(proof) => proof,
        Err(error) => return refuse(error.code(), &error.to_string(), which.json),
    };
    if !verify_consistency((old.size(), &old.root()), (now.size(), &now.root()), &proof) {
        return forked(now.size());
    }
    match which.json {
        true => println!(
            "{}",
            json!({ "extends": true, "old_records": old.size(), "signed_records": now.size() })
        ),
        false => println!("the log of {} records begins with those {}", now.size(), old.size()),
    }
    ExitCode::SUCCESS
}

fn refuse(code: &str, what: &str, json: bool) -> ExitCode {
    tell(code, what, json);
    ExitCode::FAILURE
}

fn not_yet(code: &str, what: &str, json: bool) -> ExitCode {
    tell(code, what, json);
    ExitCode::from(2)
}

fn tell(code: &str, what: &str, json: bool) {
    match json {
        true => println!("{}", json!({ "error": { "code": code, "message": what } })),
        false => eprintln!("epost: {what}"),
    }
}
