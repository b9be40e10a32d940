//! The time-stamps on the log's checkpoints, judged: each over a note of this log, from which the log of now goes on.

use std::path::{Path, PathBuf};

use disk::RealDisk;
use jiff::Timestamp;
use journal::checkpoint::{Checkpoint, Verifier};
use journal::merkle::verify_consistency;
use journal::tiles::Published;
use pki::crl::CrlSet;
use pki::digest::{Digest, DigestAlgorithm};
use pki::path::{Revocation, TrustAnchors};
use pki::tsp::{self, TokenChecks};

use super::GivenStamp;
use crate::config::{Config, Tsa};
use crate::stamp;
use crate::trust::{self, TrustError};

/// The newest stamp, all of them being good.
pub(super) struct Stamped {
    pub(super) records: u64,
    pub(super) at: Timestamp,
    pub(super) by: String,
}

/// Judges every stamp that is kept; says what is wrong with the first bad one.
pub(super) fn judge(
    config: &Config,
    published: &Published,
    verifier: &Verifier,
    tlog: &Path,
) -> Result<Option<Stamped>, String> {
    let folder = tlog.join("stamps");
    let sizes = stamp::sizes(&RealDisk, &folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    if sizes.is_empty() {
        return Ok(None);
    }
    let kept = trust::read_crls(&[config.data.directory.join("crls")]);
    let crls = CrlSet::new(kept.map_err(|error| error.to_string())?);
    let authority = |tsa| trust_of(tsa).map_err(|error| error.to_string());
    let authorities = config.tsa.iter().map(authority).collect::<Result<Vec<_>, _>>()?;
    let mut newest = None;
    for size in sizes {
        let judged = one(&authorities, published, verifier, &crls, &folder, size);
        newest = Some(judged.map_err(|why| format!("the stamp on {size} records: {why}"))?);
    }
    Ok(newest)
}

type Authority<'c> = (&'c Tsa, TrustAnchors);

fn trust_of(tsa: &Tsa) -> Result<Authority<'_>, TrustError> {
    Ok((tsa, trust::read_anchors(&tsa.anchors, &tsa.intermediates)?))
}

fn one(
    authorities: &[Authority<'_>],
    published: &Published,
    verifier: &Verifier,
    crls: &CrlSet,
    folder: &Path,
    size: u64,
) -> Result<Stamped, String> {
    let read =
        |path: PathBuf| stamp::read(&RealDisk, &path).map_err(|error| format!("{}: {error}", path.display()));
    let note = read(stamp::note_path(folder, size))?;
    let text = std::str::from_utf8(&note).map_err(|error| error.to_string())?;
    let old = verifier.open(text).map_err(|error| error.to_string())?;
    let now = published.checkpoint();
    if old.size() != size || size > now.size() {
        return Err(format!("its note is of {} records, the log of now of {}", old.size(), now.size()));
    }
    let proof = published.consistency(size).map_err(|error| error.to_string())?;
    if !verify_consistency((size, &old.root()), (now.size(), &now.root()), &proof) {
        return Err("the log of now does not begin with them".to_owned());
    }
    let token = tsp::parse_response(&read(stamp::response_path(folder, size))?).map_err(|e| e.to_string())?;
    let imprint = Digest::of(DigestAlgorithm::Sha256, &note);
    let at = token.tst_info().gen_time;
    let mut reasons = Vec::new();
    for (tsa, anchors) in authorities {
        let checks = TokenChecks {
            imprint: &imprint,
            nonce: None,
            policies: &tsa.policies,
            anchors,
            revocation: Revocation::HardFail(crls),
            gen_time_window: None,
            at,
        };
        match tsp::check(&token, &checks) {
            Ok(_) => return Ok(Stamped { records: size, at, by: tsa.name.clone() }),
            Err(error) => reasons.push(format!("{}: {error}", tsa.name)),
        }
    }
    Err(reasons.join("; "))
}

/// The oldest stamped checkpoint that covers the record, and its stamp; none: there is none yet.
pub(super) fn covering(
    verifier: &Verifier,
    tlog: &Path,
    position: u64,
) -> Result<Option<(Checkpoint, Vec<u8>)>, String> {
    let folder = tlog.join("stamps");
    let sizes = stamp::sizes(&RealDisk, &folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let Some(size) = sizes.into_iter().find(|size| *size > position) else { return Ok(None) };
    let read =
        |path: PathBuf| stamp::read(&RealDisk, &path).map_err(|error| format!("{}: {error}", path.display()));
    let note =
        String::from_utf8(read(stamp::note_path(&folder, size))?).map_err(|error| error.to_string())?;
    let checkpoint = verifier.open(&note).map_err(|error| error.to_string())?;
    Ok(Some((checkpoint, read(stamp::response_path(&folder, size))?)))
}

/// When a given time-stamp says that the note was there; none where none was given.
pub(super) fn of_note(note: &str, given: &GivenStamp) -> Result<Option<Timestamp>, String> {
    let Some(path) = &given.stamp else { return Ok(None) };
    let bytes = stamp::read(&RealDisk, path).map_err(|error| format!("{}: {error}", path.display()))?;
    let token = tsp::parse_response(&bytes).map_err(|error| error.to_string())?;
    let anchors = trust::read_anchors(&given.tsa_anchors, &[]).map_err(|error| error.to_string())?;
    let crls = CrlSet::new(trust::read_crls(&given.crl).map_err(|error| error.to_string())?);
    let at = token.tst_info().gen_time;
    let checks = TokenChecks {
        imprint: &Digest::of(DigestAlgorithm::Sha256, note.as_bytes()),
        nonce: None,
        policies: &[],
        anchors: &anchors,
        revocation: Revocation::HardFail(&crls),
        gen_time_window: None,
        at,
    };
    tsp::check(&token, &checks).map_err(|error| error.to_string())?;
    Ok(Some(at))
}
