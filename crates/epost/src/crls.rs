//! Every CRL of the seal's and the TSAs' chains that was ever in force here: each proof goes out with those of its own time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use disk::{Disk, OpenMode, read_exactly};
use jiff::Timestamp;
use pki::crl::{Crl, CrlSet};
use pki::digest::{Digest, DigestAlgorithm};

use crate::trust::TrustError;

/// The lists, each in a file that is named by its digest.
pub struct CrlArchive {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    known: ArcSwap<Vec<Crl>>,
}

impl CrlArchive {
    /// In this folder; nothing is read yet.
    pub fn new(disk: Arc<dyn Disk>, folder: PathBuf) -> Self {
        Self { disk, folder, known: ArcSwap::default() }
    }

    /// Keeps those that are new, durably; reads what was kept before at the first call. A kept one that is damaged is written again if it
    /// is among `fresh`.
    ///
    /// # Errors
    /// A kept one is not what its name says, the operator's to mend; the disk's.
    pub fn add(&self, fresh: Vec<Crl>) -> Result<(), TrustError> {
        let on_disk = |cause| TrustError::Unreadable { path: self.folder.clone(), cause };
        let mut known = self.known.load().as_ref().clone();
        let fresh: BTreeMap<PathBuf, Crl> =
            fresh.into_iter().map(|crl| (self.path(crl.der()), crl)).collect();
        if known.is_empty() {
            self.disk.create_dir_all(&self.folder).map_err(on_disk)?;
            known = self.kept(&fresh)?;
        }
        for (path, crl) in fresh {
            if known.iter().all(|kept| kept.der() != crl.der()) {
                disk::replace(self.disk.as_ref(), &path, crl.der()).map_err(on_disk)?;
                known.push(crl);
            }
        }
        self.known.store(Arc::new(known));
        Ok(())
    }

    /// Those that were current then.
    pub fn current_at(&self, at: Timestamp) -> Vec<Vec<u8>> {
        let known = CrlSet::new(self.known.load().as_ref().clone());
        known.current_at(at).map(|crl| crl.der().to_vec()).collect()
    }

    fn path(&self, der: &[u8]) -> PathBuf {
        self.folder.join(format!("{}.{EXTENSION}", Digest::of(DigestAlgorithm::Sha256, der).to_hex()))
    }

    /// What lies there and is whole; what is not must be among `fresh`.
    fn kept(&self, fresh: &BTreeMap<PathBuf, Crl>) -> Result<Vec<Crl>, TrustError> {
        let mut kept = Vec::new();
        let listed = self.disk.list(&self.folder);
        let listed = listed.map_err(|cause| TrustError::Unreadable { path: self.folder.clone(), cause })?;
        for path in listed.into_iter().filter(|path| path.extension().is_some_and(|found| found == EXTENSION))
        {
            let der =
                self.read(&path).map_err(|cause| TrustError::Unreadable { path: path.clone(), cause })?;
            let damaged = |cause: String| TrustError::Malformed {
                path: path.clone(),
                expected: "the CRL of that digest: restore it from the backup; if none has it, move it away, and the proofs of its time go \
                           out without it",
                cause,
            };
            match (self.path(&der) == path, fresh.contains_key(&path)) {
                (true, _) => kept.push(Crl::from_der(&der).map_err(|error| damaged(error.to_string()))?),
                (false, true) => {}
                (false, false) => return Err(damaged("it is not what its name says".to_owned())),
            }
        }
        Ok(kept)
    }

    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        let file = self.disk.open(path, OpenMode::Read)?;
        let length = file.length()?;
        read_exactly(file.as_ref(), 0, length as usize)
    }
}

const EXTENSION: &str = "crl";
