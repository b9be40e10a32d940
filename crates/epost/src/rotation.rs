//! Another master key (N7): the key file wrapped anew, the act in the journal, then the new key in the old one's place.
//!
//! The service is stopped meanwhile: journal and key folder are locked. Each step leaves a state from which the same call goes on:
//! 1. The key file is wrapped anew and renamed. *Crash: it is whole under one of the two keys; both are still where they were.*
//! 2. The act is recorded, once.
//! 3. From file to file, the old key is kept beside its place as `….retired-ID`, for backups of before; the new one takes its place.
//!    Where a token has part in it, the two are named by two configurations, and the operator serves by the new one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Disk, OpenMode, RealDisk};
use erds::Record;
use erds::record::Control;
use jiff::Timestamp;
use journal::tiles::Publisher;
use journal::{Entry, Journal, UniqueKey};
use pki::aead::Key256;
use pki::digest::sha256;
use serde_json::json;
use store::StoreError;
use store::keys::master_key_id;

use crate::config::{Config, Data, KeyPlace};
use crate::keys;
use crate::run::{self, StartError, value};
use crate::service::OpenError;

/// What was done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rotated {
    /// Item keys under the new master key.
    pub keys: u64,
    /// The old master key's id.
    pub from: String,
    /// The new one's.
    pub to: String,
    /// Where the old one is kept now; none: the new one had been in its place before, or has a place of its own.
    pub retired: Option<PathBuf>,
}

/// Puts the master key of the file `new` in force instead of the configured one, which is a file too.
///
/// # Errors
/// A service runs; `new` is no key, or under `data.directory`; the configured one is in a token; neither key opens the key file; a key
/// in it is damaged; the disk's. The same call goes on from there.
pub async fn rotate(config: &Config, new: &Path, now: Timestamp) -> Result<Rotated, StartError> {
    let KeyPlace::File(place) = &config.data.master_key else {
        let expected =
            "a file; from or to a token, make a configuration that names the new key and give it with --to";
        return Err(value("--new", "a master key that a token wraps", expected));
    };
    let (old_key, new_key) = (keys::master_key(config)?, key_of(new)?);
    keys::away_from_data("--new", new, &config.data.directory)?;
    let mut rotated = wrap_anew(config, &old_key, &new_key, now).await?;
    if rotated.from != rotated.to {
        rotated.retired = Some(replace(&RealDisk, place, &old_key, &new_key)?);
    }
    Ok(rotated)
}

/// Puts the master key that `next` names in force instead of the one that `config` names: files, or wrapped by tokens. Both stay where
/// they are; the service is to be started by `next`.
///
/// # Errors
/// As [`rotate`]; the two configurations are of two services; a token's.
pub async fn exchange(config: &Config, next: &Config, now: Timestamp) -> Result<Rotated, StartError> {
    let (ours, theirs) = (&config.data, &next.data);
    if (&ours.directory, &ours.origin) != (&theirs.directory, &theirs.origin) {
        let seen = format!("{} in {}", theirs.origin, theirs.directory.display());
        let expected = format!("{} in {}, as --config has it", ours.origin, ours.directory.display());
        return Err(value("--to", seen, expected));
    }
    for secret in theirs.master_key.secrets() {
        keys::away_from_data("--to", secret, &ours.directory)?;
    }
    wrap_anew(config, &keys::master_key(config)?, &keys::master_key(next)?, now).await
}

/// A master key's 32 bytes.
///
/// # Errors
/// The file cannot be read, or holds no key.
pub fn key_of(path: &Path) -> Result<Key256, StartError> {
    keys::key_in_file("--new", path)
}

async fn wrap_anew(
    config: &Config,
    old_key: &Key256,
    new_key: &Key256,
    now: Timestamp,
) -> Result<Rotated, StartError> {
    let (from, to) = (master_key_id(old_key), master_key_id(new_key));
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let Data { directory, origin, segment_bytes_max, .. } = &config.data;
    let publisher = run::publisher(config, disk.clone())?;
    let signed = publisher.as_ref().and_then(Publisher::checkpoint);
    let journal = run::journal_at_rest(directory, origin, *segment_bytes_max, signed)?;
    let wrapped = store::keys::rotate(&disk, &directory.join("keys"), old_key, new_key);
    let keys = wrapped.map_err(OpenError::from)?.keys;
    if from != to {
        record(&journal, &from, &to, keys, now).await?;
    }
    Ok(Rotated { keys, from, to, retired: None })
}

async fn record(
    journal: &Journal,
    from: &str,
    to: &str,
    keys: u64,
    now: Timestamp,
) -> Result<(), StartError> {
    let record = Record::Control(Control {
        at: now,
        action: "keys.rotated".to_owned(),
        ticket: None,
        detail: json!({"from": from, "to": to, "keys": keys}).to_string(),
    });
    // Recorded once, however often the call is made again.
    let unique_keys = vec![UniqueKey(sha256(format!("keys.rotated\0{from}\0{to}").as_bytes()))];
    let appended = journal.append(Entry { record, frames: Vec::new(), unique_keys }).await;
    appended.map_err(|error| OpenError::Failure(error.into()))?;
    Ok(())
}

/// Keeps the old key beside, then lets the new one take its name: at any moment one whole key is there.
fn replace(disk: &dyn Disk, master: &Path, old: &Key256, new: &Key256) -> Result<PathBuf, OpenError> {
    let retired = master.with_added_extension(format!("retired-{}", master_key_id(old)));
    let part = master.with_added_extension("part");
    for (path, key) in [(&retired, old), (&part, new)] {
        let written = (|| {
            let mut file = disk.open(path, OpenMode::Write)?;
            file.truncate(0)?;
            file.write_at(0, key.as_bytes())?;
            file.sync_data()
        })();
        written.map_err(|source| StoreError::Disk { doing: "write", path: path.clone(), source })?;
    }
    let folder = master.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let named = disk.rename(&part, master).and_then(|()| disk.sync_dir(folder));
    named.map_err(|source| StoreError::Disk { doing: "rename", path: part, source })?;
    Ok(retired)
}
