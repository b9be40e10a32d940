//! A drill (N6): the backup restored for real into a scratch folder, all of it opened, and the time that it took on record.
//!
//! It runs beside the service, as a process of its own; what came of it lies in an act file, which the service takes up.

pub mod acts;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use disk::{Disk, RealDisk};
use erds::record::{EvidenceFacts, Hex32};
use erds::{Record, Ticket};
use evidence::verify::{Indication, Inputs};
use jiff::Timestamp;
use journal::Stored;
use pki::digest::sha256;
use pki::path::TrustAnchors;
use serde::{Deserialize, Serialize};
use store::content::Content;
use store::index::Index;
use store::keys::KeyReader;

use crate::backup::{self, BackupError};
use crate::config::Config;
use crate::run::{self, StartError};
use crate::service::{self, Failure, Opened, Part, open_frame_with, open_parts};
use crate::trust;

/// Proofs of a drill that are verified: the newest ones.
const PROOFS_MAX: usize = 100;

/// What came of a drill, as its record says it: nothing personal.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// Everything was in order.
    pub passed: bool,
    /// What was not, by its code; none if it passed.
    pub code: Option<String>,
    /// The backup's own time; none if it cannot be read.
    pub backup_of: Option<Timestamp>,
    /// When the drill was begun.
    pub begun_at: Option<Timestamp>,
    /// How long the restore took until a service could have started on it, in milliseconds.
    pub restored_ms: u64,
    /// How long it all took, in milliseconds.
    pub took_ms: u64,
    /// Records of the backup's journal, each read.
    pub records: u64,
    /// Frames and files that were opened to their end.
    pub opened: u64,
    /// Frames and files that nobody can open any more, lawfully.
    pub erased: u64,
    /// Proofs that were verified.
    pub proofs: u64,
}

/// Why a drill did not pass: what a restore in need would have met.
#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    /// The backup, or its restore.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The configuration's keys, anchors, or what was restored, cannot be opened.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Anchors or CRLs.
    #[error(transparent)]
    Trust(#[from] trust::TrustError),
    /// Frame or file: its key is gone though nothing on record says so, or its bytes are not those that were written.
    #[error("drill.content: record {position}, {name}: {what}")]
    Content {
        /// The record that names it.
        position: u64,
        /// Which.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// The index that was made is not the one that the records make.
    #[error("drill.index: the index that was made anew differs from what the records say")]
    Index,
    /// A proof does not verify.
    #[error("drill.proof: the {name} of {ticket}: {what}")]
    Proof {
        /// Which.
        name: &'static str,
        /// Whose.
        ticket: Ticket,
        /// The verifier's word.
        what: String,
    },
    /// The journal or the index, restored, cannot be read.
    #[error("drill.unreadable: {0}")]
    Unreadable(String),
}

impl DrillError {
    /// The stable dotted code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Backup(error) => error.code(),
            Self::Start(_) => "drill.keys",
            Self::Trust(_) => "drill.trust",
            Self::Content { .. } => "drill.content",
            Self::Index => "drill.index",
            Self::Proof { .. } => "drill.proof",
            Self::Unreadable(_) => "drill.unreadable",
        }
    }
}

impl From<Failure> for DrillError {
    fn from(failure: Failure) -> Self {
        Self::Unreadable(failure.to_string())
    }
}

/// Restores the backup in `dir` into `scratch`, which is made, or empty, and removed at the end; judges all of it by the keys and
/// anchors that the configuration names. Says what came of it, and why it did not pass.
pub async fn drill(
    config: &Config,
    dir: &Path,
    scratch: &Path,
    now: Timestamp,
) -> (Outcome, Option<DrillError>) {
    let begun = Instant::now();
    let mut outcome = Outcome { begun_at: Some(now), ..Outcome::default() };
    let judged = judge(config, dir, scratch, now, begun, &mut outcome).await;
    // Not what somebody else has there.
    if !matches!(judged, Err(DrillError::Backup(BackupError::NotEmpty(_)))) {
        let _ = std::fs::remove_dir_all(scratch);
    }
    outcome.took_ms = milliseconds(begun);
    let error = judged.err();
    (outcome.passed, outcome.code) = (error.is_none(), error.as_ref().map(|error| error.code().to_owned()));
    (outcome, error)
}

async fn judge(
    config: &Config,
    dir: &Path,
    scratch: &Path,
    now: Timestamp,
    begun: Instant,
    outcome: &mut Outcome,
) -> Result<(), DrillError> {
    let restored = backup::restore(dir, scratch, now).await?;
    outcome.restored_ms = milliseconds(begun);
    (outcome.backup_of, outcome.records) = (Some(restored.manifest.made_at), restored.manifest.records);
    let data = scratch.join("data");
    let journal =
        run::journal_at_rest(&data, &restored.manifest.origin, config.data.segment_bytes_max, None)?;
    let keys = KeyReader::open(&RealDisk, &data.join("keys"), crate::keys::master_key(config)?)
        .map_err(service::OpenError::from)
        .map_err(StartError::from)?;
    let content = Content::open(Arc::new(RealDisk), &data.join("content"), config.data.inline_bytes_max)
        .map_err(Failure::from)?;
    let mut reader = Reader {
        keys: &keys,
        content: &content,
        erased: journal.iter(0).filter_map(|stored| erased_by(&stored.ok()?.record)).flatten().collect(),
        index: Index::open(None).map_err(Failure::from)?,
        proofs: Vec::new(),
    };
    for stored in journal.iter(0) {
        reader.follow(&stored.map_err(Failure::from)?, outcome)?;
    }
    let made = Index::open(Some(&data.join("index.sqlite"))).map_err(Failure::from)?;
    if made.dump().map_err(Failure::from)? != reader.index.dump().map_err(Failure::from)? {
        return Err(DrillError::Index);
    }
    let anchors = Anchors::read(config, &data)?;
    for proof in &reader.proofs {
        anchors.verify(proof, now)?;
        outcome.proofs += 1;
    }
    Ok(())
}

/// Tickets without content, on record.
fn erased_by(record: &Record) -> Option<Vec<Ticket>> {
    match record {
        Record::Erased(erased) => Some(erased.tickets.clone()),
        Record::Withdrawn(withdrawn) => Some(vec![withdrawn.ticket]),
        _ => None,
    }
}

struct Proof {
    name: &'static str,
    ticket: Ticket,
    xml: Vec<u8>,
    p7s: Vec<u8>,
}

struct Reader<'a> {
    keys: &'a KeyReader,
    content: &'a Content,
    erased: HashSet<Ticket>,
    index: Index,
    proofs: Vec<Proof>,
}

impl Reader<'_> {
    fn follow(&mut self, stored: &Stored, outcome: &mut Outcome) -> Result<(), DrillError> {
        let (position, record) = (stored.position, &stored.record);
        self.index.apply(position, record).map_err(Failure::from)?;
        let erased = |ticket: Option<Ticket>| ticket.is_some_and(|ticket| self.erased.contains(&ticket));
        let keys = |ticket| self.keys.open_key(ticket);
        open_parts(stored, &keys, self.content, &mut |_| true, &mut |Part { ticket, name, opened }| {
            let what = match opened {
                Ok(Opened::Whole) => {
                    outcome.opened += 1;
                    return Ok(());
                }
                Ok(_) if erased(ticket) => {
                    outcome.erased += 1;
                    return Ok(());
                }
                Ok(Opened::KeyGone) => "its key is gone".to_owned(),
                Ok(Opened::FileGone) => "the file is not there".to_owned(),
                Err(what) => what,
            };
            Err(DrillError::Content { position, name: name.to_owned(), what })
        })?;
        self.proof(stored)
    }

    /// Keeps the newest proofs, each the one that its record names.
    fn proof(&mut self, stored: &Stored) -> Result<(), DrillError> {
        let evidence = |facts: &EvidenceFacts| ("evidence", vec![("evidence.xml", facts.sha256)]);
        let (ticket, proofs) = match &stored.record {
            Record::Accepted(r) => {
                let parts =
                    vec![("receipt.xml", r.receipt_xml_sha256), ("receipt.p7s", r.receipt_p7s_sha256)];
                let proofs = std::iter::once(("receipt", parts)).chain(r.evidence.as_ref().map(evidence));
                (r.ticket, proofs.collect())
            }
            Record::Dispatched(r) => {
                let parts = vec![("dispatch.xml", r.proof_xml_sha256), ("dispatch.p7s", r.proof_p7s_sha256)];
                (r.ticket, vec![("proof of dispatch", parts)])
            }
            Record::Evidenced(r) => (r.ticket, vec![evidence(&r.evidence)]),
            _ => return Ok(()),
        };
        for (name, parts) in proofs {
            let mut files = Vec::new();
            for (part, expected) in parts {
                let opened = open_frame_with(&|ticket| self.keys.open_key(ticket), stored, part)?;
                let Some(bytes) = opened else { return Ok(()) };
                if Hex32(sha256(&bytes)) != expected {
                    let what = "not the one that its record names".to_owned();
                    return Err(DrillError::Proof { name, ticket, what });
                }
                files.push(bytes);
            }
            if self.proofs.len() == PROOFS_MAX {
                self.proofs.remove(0);
            }
            // Evidence has its signature within, and no second file.
            let (mut files, none) = (files.into_iter(), Vec::new);
            let (xml, p7s) = (files.next().unwrap_or_else(none), files.next().unwrap_or_else(none));
            self.proofs.push(Proof { name, ticket, xml, p7s });
        }
        Ok(())
    }
}

/// What proofs are judged by: the configured roots, and the CRLs that came out of the backup.
struct Anchors {
    seal: TrustAnchors,
    tsa: TrustAnchors,
    crls: Vec<pki::crl::Crl>,
}

impl Anchors {
    fn read(config: &Config, data: &Path) -> Result<Self, DrillError> {
        let all = |paths: &mut dyn Iterator<Item = &PathBuf>| {
            trust::read_certificates(&paths.cloned().collect::<Vec<_>>())
        };
        let tsa = all(&mut config.tsa.iter().flat_map(|tsa| &tsa.anchors))?;
        let between = all(&mut config.tsa.iter().flat_map(|tsa| &tsa.intermediates))?;
        let crls = data.join("crls");
        Ok(Self {
            seal: TrustAnchors::new(all(&mut config.seal.anchors.iter())?, Vec::new()),
            tsa: TrustAnchors::new(tsa, between),
            crls: if crls.is_dir() { trust::read_crls(&[crls])? } else { Vec::new() },
        })
    }

    fn verify(&self, proof: &Proof, now: Timestamp) -> Result<(), DrillError> {
        let report = evidence::verify::verify(&Inputs {
            xml: &proof.xml,
            p7s: &proof.p7s,
            documents: &[],
            crls: &self.crls,
            seal_anchors: &self.seal,
            tsa_anchors: &self.tsa,
            log_key: None,
            now,
        });
        match report.indication {
            Indication::TotalPassed => Ok(()),
            other => {
                let what = format!("{other:?} {:?}", report.sub_indication);
                Err(DrillError::Proof { name: proof.name, ticket: proof.ticket, what })
            }
        }
    }
}

fn milliseconds(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// A folder of its own for a drill's restore, beside the backup's: there is as much room as a restore in need would have.
pub fn scratch_beside(dir: &Path, now: Timestamp) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(format!("-drill-{}", now.as_second()));
    dir.with_file_name(name)
}

/// Leaves a drill's outcome where the service takes it up: whole or not at all.
///
/// # Errors
/// The disk's.
pub fn leave(data: &Path, outcome: &Outcome) -> std::io::Result<PathBuf> {
    let folder = data.join(acts::FOLDER);
    RealDisk.create_dir_all(&folder)?;
    let json = serde_json::to_vec(outcome).map_err(std::io::Error::other)?;
    let path = folder.join(format!("{}.{}", Hex32(sha256(&json)).to_hex(), acts::SUFFIX));
    disk::replace(&RealDisk, &path, &json)?;
    Ok(path)
}
