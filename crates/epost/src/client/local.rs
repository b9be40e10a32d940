//! What stays with the sender: proofs in files, and a log of who sent what.

use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::json;

use super::{EvidenceFiles, PackageFile, ProofFiles, ProofKind};

/// Writes a proof and its CRLs into `out/TICKET/` and gives the paths, the XML first, its seal second.
///
/// Each file is written beside, synced and renamed: what is there is whole.
///
/// # Errors
/// What the system says, with the path: the user's to mend; the service keeps the proof.
pub fn save(proof: &ProofFiles, kind: ProofKind, out: &Path) -> std::io::Result<Vec<PathBuf>> {
    let stem = kind.file_stem();
    let mut files = vec![(format!("{stem}.xml"), &proof.xml), (format!("{stem}.p7s"), &proof.p7s)];
    if let Some((name, evidence)) = &proof.evidence {
        files.push((own_name(name, ".xml")?, evidence));
    }
    save_files(&proof.ticket, files, &proof.crls, out)
}

/// As [`save`], of evidence: each file under the name that the service gave it, which may be no path.
///
/// # Errors
/// As [`save`].
pub fn save_evidence(evidence: &EvidenceFiles, out: &Path) -> std::io::Result<Vec<PathBuf>> {
    let named = |(name, bytes)| Ok::<_, std::io::Error>((own_name(name, ".xml")?, bytes));
    let files = evidence.files.iter().map(|(name, bytes)| named((name, bytes))).collect::<Result<_, _>>()?;
    save_files(&evidence.ticket, files, &evidence.crls, out)
}

/// As [`save`], of a package: one file under the name that the service gave it, which may be no path.
///
/// # Errors
/// As [`save`].
pub fn save_package(package: &PackageFile, out: &Path) -> std::io::Result<Vec<PathBuf>> {
    save_files(&package.ticket, vec![(own_name(&package.name, ".asice")?, &package.bytes)], &[], out)
}

/// The name that the service gave, if it is one with that extension, and no path.
fn own_name(name: &str, extension: &str) -> std::io::Result<String> {
    let stem = name.strip_suffix(extension).unwrap_or_default();
    if !stem.is_empty() && stem.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(name.to_owned());
    }
    let told = format!("the service answered with a file name that is none: {}", name.escape_debug());
    Err(std::io::Error::other(told))
}

fn save_files(
    ticket: &str,
    files: Vec<(String, &Vec<u8>)>,
    crls: &[Vec<u8>],
    out: &Path,
) -> std::io::Result<Vec<PathBuf>> {
    let safe = ticket.len() == 13 && ticket.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !safe {
        return Err(std::io::Error::other("the service answered with a ticket that is none"));
    }
    let folder = out.join(ticket);
    std::fs::create_dir_all(&folder)?;
    let mut files: Vec<_> = files.into_iter().map(|(name, bytes)| (folder.join(name), bytes)).collect();
    if !crls.is_empty() {
        let folder = folder.join("crls");
        std::fs::create_dir_all(&folder)?;
        files.extend((1..).zip(crls).map(|(number, crl)| (folder.join(format!("{number}.crl")), crl)));
    }
    for (path, bytes) in &files {
        write(path, bytes)
            .map_err(|error| std::io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    }
    Ok(files.into_iter().map(|(path, _)| path).collect())
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let beside = path.with_added_extension("new");
    let mut file = std::fs::File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

/// The sender's own log: one JSON line before each sending and one after it.
pub struct SentLog {
    path: PathBuf,
    user: String,
}

impl SentLog {
    /// The log in `path`, or in the user's state folder (`~/.local/state/epost/sent.jsonl`).
    pub fn new(path: Option<&Path>) -> Self {
        Self { path: path.map_or_else(default_path, Path::to_owned), user: user() }
    }

    /// Appends a line: time, OS user, what happened, Token, Ticket. A log that cannot be written is told, and stops nothing.
    pub fn note(&self, now: Timestamp, event: &str, token: &str, ticket: Option<&str>, code: Option<&str>) {
        let line = json!({ "time": now.to_string(), "user": self.user, "event": event, "token": token, "ticket": ticket, "code": code });
        if let Err(error) = self.append(&format!("{line}\n")) {
            eprintln!("epost: the log {} cannot be written: {error}", self.path.display());
        }
    }

    fn append(&self, line: &str) -> std::io::Result<()> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        // One write call a line: lines of programs that run at once do not mix.
        let mut file = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
        file.write_all(line.as_bytes())
    }
}

fn default_path() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")));
    state.unwrap_or_else(|| PathBuf::from(".")).join("epost/sent.jsonl")
}

/// Who runs this process, by the system's word: the environment's USER is anybody's to set.
fn user() -> String {
    let Ok(uid) = std::fs::metadata("/proc/self").map(|process| process.uid()) else {
        return std::env::var("USER").unwrap_or_else(|_| "unknown".to_owned());
    };
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("uid {uid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_saved_under_its_ticket_only() {
        let folder = tempfile::tempdir().unwrap();
        let mut proof = ProofFiles {
            xml: b"<r/>".to_vec(),
            p7s: vec![1],
            crls: vec![vec![2], vec![3]],
            ticket: "0123456789ABC".to_owned(),
            evidence: Some(("SubmissionAcceptance.xml".to_owned(), b"<e/>".to_vec())),
        };
        let paths = save(&proof, ProofKind::Receipt, folder.path()).unwrap();
        let names: Vec<_> = paths
            .iter()
            .map(|path| path.strip_prefix(folder.path()).unwrap().display().to_string())
            .collect();
        let expected = ["Receipt.xml", "Receipt.p7s", "SubmissionAcceptance.xml", "crls/1.crl", "crls/2.crl"];
        assert_eq!(names, expected.map(|name| format!("0123456789ABC/{name}")));
        assert_eq!(std::fs::read(&paths[1]).unwrap(), [1]);
        proof.ticket = "../../../etc/".to_owned();
        assert!(save(&proof, ProofKind::Receipt, folder.path()).is_err());
    }

    #[test]
    fn evidence_is_saved_under_names_only() {
        let folder = tempfile::tempdir().unwrap();
        let named = |name: &str| EvidenceFiles {
            files: vec![(name.to_owned(), b"<e/>".to_vec())],
            crls: vec![vec![2]],
            ticket: "0123456789ABC".to_owned(),
        };
        let paths = save_evidence(&named("ContentHandover.xml"), folder.path()).unwrap();
        let inside = folder.path().join("0123456789ABC");
        assert_eq!(paths, [inside.join("ContentHandover.xml"), inside.join("crls/1.crl")]);
        for name in ["../ContentHandover.xml", "/tmp.xml", ".xml", "ContentHandover", "a.b.xml", ""] {
            assert!(save_evidence(&named(name), folder.path()).is_err(), "{name}");
        }
    }

    #[test]
    fn a_package_is_saved_under_a_name_only() {
        let folder = tempfile::tempdir().unwrap();
        let ticket = "0123456789ABC".to_owned();
        let named =
            |name: &str| PackageFile { name: name.to_owned(), bytes: vec![7], ticket: ticket.clone() };
        let paths = save_package(&named("Receipt.asice"), folder.path()).unwrap();
        assert_eq!(paths, [folder.path().join("0123456789ABC/Receipt.asice")]);
        assert_eq!(std::fs::read(&paths[0]).unwrap(), [7]);
        for name in ["../Receipt.asice", ".asice", "Receipt.xml", "Receipt", "a.b.asice", ""] {
            assert!(save_package(&named(name), folder.path()).is_err(), "{name}");
        }
    }

    #[test]
    fn the_log_has_a_line_an_event() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/sent.jsonl");
        let log = SentLog::new(Some(&path));
        log.note(Timestamp::UNIX_EPOCH, "sending", "t", None, None);
        log.note(Timestamp::UNIX_EPOCH, "accepted", "t", Some("0123456789ABC"), None);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((lines.len(), &lines[1]["ticket"]), (2, &json!("0123456789ABC")));
        assert!(!lines[0]["user"].as_str().unwrap().is_empty());
    }
}
