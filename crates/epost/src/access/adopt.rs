//! A policy comes into force: judged against the one before, and in the journal before it decides anything.
//!
//! The journal is the only memory: each adoption claims a unique key made of its number, so that the last one is found without reading
//! the log, and an older policy cannot come back by a restart. The file itself lies in a frame beside the act.

use erds::Record;
use erds::record::{Control, Hex32};
use jiff::Timestamp;
use journal::{Appended, Entry, UniqueKey};
use pki::digest::sha256;
use serde::{Deserialize, Serialize};
use uam::{Difference, PolicyFile};

use super::{PolicyUnread, SignedBy, Signers, ties};
use crate::service::{Failure, Service, last_numbered};

/// What the journal says of an adopted policy: nothing personal. Who signed stands by the certificates' digests.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Adopted {
    /// Which adoption, from 1.
    pub number: u64,
    /// The policy's own version; 0: it is not numbered.
    pub version: u64,
    /// Its digest.
    pub sha256: Hex32,
    /// How many grants it has.
    pub grants: usize,
    /// Whose certificates signed it: the proposer's first, then the approver's; empty: it is unsigned.
    pub signers: Vec<Hex32>,
    /// The digest of the policy before; none: it is the first.
    pub before: Option<Hex32>,
    /// What it changes of that: grants by id.
    pub added: Vec<String>,
    /// Those with another text: changed, reviewed or given an earlier end.
    pub changed: Vec<String>,
    /// Those that are gone.
    pub removed: Vec<String>,
    /// The zones are others.
    pub zones: bool,
}

/// The last adoption of the journal, and its policy where its text was not erased.
///
/// # Errors
/// Ours: the journal or the keys cannot be read.
pub fn last(service: &Service) -> Result<Option<(Adopted, Option<PolicyFile>)>, Failure> {
    let Some(position) = service.journal().find(&key(service.last_numbered(key)?))? else { return Ok(None) };
    let stored = service.journal().read(position)?;
    let adopted = Adopted::read(&stored).map_err(|error| Failure::journal(&error))?;
    let text = crate::service::open_frame_with(&|ticket| service.keys().open_key(ticket), &stored, FRAME)?;
    let policy = text.and_then(|text| PolicyFile::parse(&String::from_utf8(text).ok()?).ok());
    Ok(Some((adopted, policy)))
}

/// The last adoption of a journal that somebody else may be writing.
///
/// # Errors
/// For the operator to read: the journal cannot be read.
pub fn last_of(journal: &journal::Looked) -> Result<Option<Adopted>, String> {
    let told = |error: journal::ReadError| error.to_string();
    let there = |number| journal.find(&key(number)).map(|position| position.is_some());
    let Some(position) = journal.find(&key(last_numbered(there).map_err(told)?)).map_err(told)? else {
        return Ok(None);
    };
    Adopted::read(&journal.read(position).map_err(told)?).map(Some)
}

impl Adopted {
    fn read(stored: &journal::Stored) -> Result<Self, String> {
        let Record::Control(act) = &stored.record else {
            return Err("a record under a policy's key that is none".to_owned());
        };
        serde_json::from_str(&act.detail).map_err(|error| error.to_string())
    }
}

/// Whether a policy may come into force after `former`, the last one of the journal, and who signed it. None: it is that one already.
///
/// # Errors
/// [`PolicyUnread`]: it may not.
pub fn judge(
    policy: &PolicyFile,
    former: Option<&Adopted>,
    signers: Option<&Signers>,
    now: Timestamp,
) -> Result<Option<Vec<SignedBy>>, PolicyUnread> {
    let same = former.filter(|former| former.sha256 == Hex32(policy.digest()));
    // What two people signed once needs no new signature because a certificate of theirs has ended since.
    if same.is_some_and(|former| signers.is_none() || !former.signers.is_empty()) {
        return Ok(None);
    }
    if let Some(former) = former.filter(|_| same.is_none()) {
        let unnumbered = policy.version() == 0 && former.version == 0;
        if policy.version() <= former.version && !unnumbered {
            return Err(PolicyUnread::Version { seen: policy.version(), last: former.version });
        }
    }
    match signers {
        Some(_) if policy.version() == 0 => Err(PolicyUnread::Unnumbered),
        Some(signers) => Ok(Some(signers.judge(policy, Some(now))?)),
        None if !policy.successions().is_empty() => Err(PolicyUnread::SuccessionUnsigned),
        None => Ok(Some(Vec::new())),
    }
}

/// Judges a policy against the last one of the journal and records that it comes into force; the caller puts it there. None: the
/// journal has it as the last one already.
///
/// # Errors
/// [`PolicyUnread`]: it may not come into force.
pub(super) async fn adopt(
    service: &Service,
    policy: &PolicyFile,
    signers: Option<&Signers>,
) -> Result<Option<Adopted>, PolicyUnread> {
    let last = tokio::task::block_in_place(|| last(service))?;
    let former = last.as_ref().map(|(former, _)| former);
    let judged = tokio::task::block_in_place(|| judge(policy, former, signers, service.now()))?;
    let Some(signed) = judged else { return Ok(None) };
    let empty = PolicyFile::parse("")?;
    let before = last.as_ref().and_then(|(_, policy)| policy.as_ref()).unwrap_or(&empty);
    let Difference { added, changed, removed, zones } = policy.difference(before);
    let signers: Vec<_> = signed.into_iter().map(|one| one.certificate).collect();
    let ties = ties::entries(policy, before, &signers, service.now());
    let ties = ties.map_err(|error| Failure::store(&error.to_string()))?;
    let adopted = Adopted {
        number: former.map_or(0, |former| former.number) + 1,
        version: policy.version(),
        sha256: Hex32(policy.digest()),
        grants: policy.grants_count(),
        signers,
        before: former.map(|former| former.sha256),
        added: shortened(added),
        changed: shortened(changed),
        removed: shortened(removed),
        zones,
    };
    record(service, &adopted, &policy.to_file(), ties).await?;
    Ok(Some(adopted))
}

/// The ties, then the policy, by one sync. *Crash between: the next adoption finds the ties recorded, and the policy not yet.*
async fn record(service: &Service, adopted: &Adopted, file: &str, ties: Vec<Entry>) -> Result<(), Failure> {
    let (ticket, key_of_frame) = service.draw_item().map_err(|error| Failure::store(&error))?;
    service.keys().create(ticket, &key_of_frame).await?;
    let frame = service.frame(ticket, &key_of_frame, FRAME, file.as_bytes())?;
    let detail = serde_json::to_string(adopted).map_err(|error| Failure::store(&error.to_string()))?;
    let at: Timestamp = service.now();
    let record = Record::Control(Control { at, action: ADOPTED.to_owned(), ticket: Some(ticket), detail });
    let unique_keys = vec![key(adopted.number)];
    let policy = Entry { record, frames: vec![frame], unique_keys };
    match service.append_all(ties.into_iter().chain([policy]).collect()).await?.pop() {
        Some(Appended::Recorded(_)) => Ok(()),
        _ => Err(Failure::journal("two policies at once")),
    }
}

/// The first few, and how many more there are: an act has its bounds.
fn shortened(mut names: Vec<String>) -> Vec<String> {
    let more = names.len().saturating_sub(NAMES_MAX);
    if more > 0 {
        names.truncate(NAMES_MAX);
        names.push(format!("and {more} more"));
    }
    names
}

fn key(number: u64) -> UniqueKey {
    UniqueKey(sha256(format!("{ADOPTED}\0{number}").as_bytes()))
}

/// The act of a policy that comes into force.
pub(crate) const ADOPTED: &str = "uam.policy";
/// The name of the frame of a policy's file.
const FRAME: &str = "policy";
/// Names of each kind in one act.
const NAMES_MAX: usize = 10;
