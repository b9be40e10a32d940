//! The batch channel: an item as one file in a partner's folder, under the sector's file convention.
//!
//! The file is a ZIP archive whose bytes follow from its parts alone: they are made anew each time they are read, and the signature
//! over them must hold for as long as the item is kept. So its form is the one of [`evidence::archive`].
//!
//! Source: delivery.md, "Batch channel".

use std::io::{self, Cursor, Read};
use std::sync::Arc;

use erds::{Environment, FolderFile, Ticket};
use evidence::archive;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ContentSource;

/// The archive's largest size, in bytes: beyond it the format needs extensions that not every office's program reads.
pub const PACKAGE_BYTES_MAX: u64 = u32::MAX as u64;

/// What an archive of [`PACKAGE_BYTES_MAX`] needs beside the sender's files: headers, receipt and its seal.
pub const PACKAGE_SPARE_BYTES: u64 = 256 * 1024;

/// One file of the archive.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct PackageEntry {
    /// Its name in the archive: ours, of ASCII, never a path.
    pub name: String,
    /// Its name in the [`ContentSource`].
    pub part: String,
    /// Its length.
    pub bytes: u32,
    /// Its CRC-32.
    pub crc32: u32,
}

/// An item as one file.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Package {
    entries: Vec<PackageEntry>,
}

/// Why there is no archive; ours.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// A part cannot be read.
    #[error("a part cannot be read: {0}")]
    Content(#[from] io::Error),
    /// Over [`PACKAGE_BYTES_MAX`].
    #[error("over {PACKAGE_BYTES_MAX} bytes")]
    TooLarge,
}

impl PackageError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Content(_) => "delivery.batch.content",
            Self::TooLarge => "delivery.batch.too-large",
        }
    }
}

impl Package {
    /// The archive of these parts, in this order: name in it, and part. Each part is read once, for its length and its CRC.
    ///
    /// # Errors
    /// [`PackageError`].
    pub fn of(parts: &[(String, String)], content: &dyn ContentSource) -> Result<Self, PackageError> {
        let mut entries = Vec::new();
        for (name, part) in parts {
            let (mut reader, mut crc, mut bytes) = (content.open(part)?, crc32fast::Hasher::new(), 0_u64);
            let mut buffer = vec![0; BUFFER_BYTES];
            loop {
                let count = reader.read(&mut buffer)?;
                if count == 0 {
                    break;
                }
                crc.update(buffer.get(..count).unwrap_or_default());
                bytes += count as u64;
            }
            let bytes = u32::try_from(bytes).map_err(|_| PackageError::TooLarge)?;
            entries.push(PackageEntry {
                name: name.clone(),
                part: part.clone(),
                bytes,
                crc32: crc.finalize(),
            });
        }
        let package = Self { entries };
        if package.bytes() > PACKAGE_BYTES_MAX { Err(PackageError::TooLarge) } else { Ok(package) }
    }

    /// The archive's length.
    pub fn bytes(&self) -> u64 {
        self.pieces().iter().map(Piece::bytes).sum()
    }

    /// The archive's bytes, from the first; each part is opened when its turn comes.
    pub fn read(&self, content: Arc<dyn ContentSource>) -> PackageReader {
        let mut pieces = self.pieces();
        pieces.reverse();
        PackageReader { content, pieces, current: Box::new(io::empty()), left: 0 }
    }

    fn pieces(&self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for entry in &self.entries {
            pieces.push(Piece::Bytes(entry.archived().local_header()));
            pieces.push(Piece::Part { name: entry.part.clone(), bytes: entry.bytes });
        }
        pieces.push(Piece::Bytes(archive::directory(self.entries.iter().map(PackageEntry::archived))));
        pieces
    }
}

impl PackageEntry {
    fn archived(&self) -> archive::Entry<'_> {
        archive::Entry { name: &self.name, bytes: self.bytes, crc32: self.crc32 }
    }
}

enum Piece {
    Bytes(Vec<u8>),
    Part { name: String, bytes: u32 },
}

impl Piece {
    fn bytes(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Part { bytes, .. } => u64::from(*bytes),
        }
    }
}

/// Reads a [`Package`] in constant memory. A part that is not as long as it was is an error, and never another archive.
pub struct PackageReader {
    content: Arc<dyn ContentSource>,
    /// The next one last.
    pieces: Vec<Piece>,
    current: Box<dyn Read + Send>,
    left: u64,
}

impl Read for PackageReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.left == 0 {
            let Some(piece) = self.pieces.pop() else { return Ok(0) };
            self.left = piece.bytes();
            self.current = match piece {
                Piece::Bytes(bytes) => Box::new(Cursor::new(bytes)),
                Piece::Part { name, .. } => self.content.open(&name)?,
            };
        }
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.current.read(buffer.get_mut(..wanted).unwrap_or_default())?;
        if count == 0 && wanted > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a part is shorter than it was"));
        }
        self.left -= count as u64;
        Ok(count)
    }
}

/// What a file of a folder is named by: all of it known from the item's records.
#[derive(Clone, Copy, Debug)]
pub struct NameFacts<'a> {
    /// The item.
    pub ticket: Ticket,
    /// Its sender's enterprise number: 10 digits.
    pub sender: &'a str,
    /// When its request was received.
    pub received_at: Timestamp,
    /// The environment.
    pub environment: Environment,
}

/// The file's name in a folder.
///
/// An item's is `FO.REGMAIL.<sender>.<yyyymmdd>.<ticket>.<environment>.zip`, and the same with `FS.` and `GO.`: the ticket is the serial.
/// A proof's begins with the ticket.
pub fn file_name(facts: &NameFacts<'_>, file: FolderFile) -> String {
    let ticket = facts.ticket.as_str();
    let of_item = |prefix: &str| {
        let day = facts.received_at.strftime("%Y%m%d");
        format!("{prefix}.{MESSAGE_TYPE}.{}.{day}.{ticket}.{}.zip", facts.sender, facts.environment)
    };
    match file {
        FolderFile::Data => of_item("FO"),
        FolderFile::Seal => of_item("FS"),
        FolderFile::Go => of_item("GO"),
        FolderFile::Receipt => format!("{ticket}.Receipt.xml"),
        FolderFile::ReceiptSeal => format!("{ticket}.Receipt.p7s"),
        FolderFile::Dispatch => format!("{ticket}.ProofOfDispatch.xml"),
        FolderFile::DispatchSeal => format!("{ticket}.ProofOfDispatch.p7s"),
    }
}

/// Which item and which file a name could be of; whether it is, [`file_name`] tells.
pub fn read_name(name: &str) -> Option<(Ticket, FolderFile)> {
    let fields: Vec<&str> = name.split('.').collect();
    let file = match fields[..] {
        ["FO", ..] => FolderFile::Data,
        ["FS", ..] => FolderFile::Seal,
        ["GO", ..] => FolderFile::Go,
        [_, "Receipt", "xml"] => FolderFile::Receipt,
        [_, "Receipt", "p7s"] => FolderFile::ReceiptSeal,
        [_, "ProofOfDispatch", "xml"] => FolderFile::Dispatch,
        [_, "ProofOfDispatch", "p7s"] => FolderFile::DispatchSeal,
        _ => return None,
    };
    let ticket = fields.get(if file.is_item() { 4 } else { 0 })?;
    Some((Ticket::parse(ticket).ok()?, file))
}

/// The name of a sender's file in the archive: ours, with the ending of the sender's own where that is a plain one.
pub fn entry_name(part: &str, file_name: &str) -> String {
    let ending = file_name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    let plain = |ending: &String| {
        (1..=ENDING_BYTES_MAX).contains(&ending.len())
            && ending.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    match ending.filter(plain) {
        Some(ending) => format!("{part}.{ending}"),
        None => part.to_owned(),
    }
}

/// The `FS.` file: the signature in base64, in lines.
pub fn seal_file(p7s: &[u8]) -> String {
    let text = base64_simd::STANDARD.encode_to_string(p7s);
    let mut out = String::with_capacity(text.len() + text.len() / LINE_CHARACTERS + 1);
    for (place, character) in text.chars().enumerate() {
        if place > 0 && place % LINE_CHARACTERS == 0 {
            out.push('\n');
        }
        out.push(character);
    }
    out.push('\n');
    out
}

const MESSAGE_TYPE: &str = "REGMAIL";
const ENDING_BYTES_MAX: usize = 8;
const LINE_CHARACTERS: usize = 64;
const BUFFER_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    struct Parts(Vec<(&'static str, Vec<u8>)>);

    impl ContentSource for Parts {
        fn open(&self, part: &str) -> io::Result<Box<dyn Read + Send>> {
            let found = self.0.iter().find(|(name, _)| *name == part);
            let (_, bytes) = found.ok_or_else(|| io::Error::other("absent"))?;
            Ok(Box::new(Cursor::new(bytes.clone())))
        }
    }

    fn parts() -> Parts {
        Parts(vec![
            ("receipt.xml", b"<a/>".to_vec()),
            ("document", vec![7; 200_000]),
            ("annex-1", Vec::new()),
        ])
    }

    fn named() -> Vec<(String, String)> {
        [("Receipt.xml", "receipt.xml"), ("document.pdf", "document"), ("annex-1", "annex-1")]
            .map(|(name, part)| (name.to_owned(), part.to_owned()))
            .to_vec()
    }

    fn bytes(package: &Package, parts: Parts) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        package.read(Arc::new(parts)).read_to_end(&mut out).map(|_| out)
    }

    #[test]
    fn a_library_reads_what_is_written_and_it_is_always_the_same() {
        let package = Package::of(&named(), &parts()).unwrap();
        let archive = bytes(&package, parts()).unwrap();
        assert_eq!(archive.len() as u64, package.bytes());
        let kept: Package = serde_json::from_str(&serde_json::to_string(&package).unwrap()).unwrap();
        assert_eq!(bytes(&kept, parts()).unwrap(), archive);
        let mut read = zip::ZipArchive::new(Cursor::new(&archive)).unwrap();
        assert_eq!(read.len(), 3);
        for (place, (name, part)) in named().iter().enumerate() {
            let mut file = read.by_index(place).unwrap();
            let mut content = Vec::new();
            file.read_to_end(&mut content).unwrap();
            assert_eq!(file.name().unwrap(), name.as_str());
            assert_eq!(content, parts().0.iter().find(|(known, _)| known == part).unwrap().1);
        }
        assert_eq!(
            pki::digest::Digest::of(pki::digest::DigestAlgorithm::Sha256, &archive).to_hex(),
            GOLDEN,
            "a file that was signed years ago is made again"
        );
    }

    const GOLDEN: &str = "ed903d17a376b082412bd2ff5d1cb3d8536967ed899042fdee2fd665b1b78b9f";

    #[test]
    fn a_part_that_is_gone_or_shorter_gives_no_archive() {
        let package = Package::of(&named(), &parts()).unwrap();
        let mut changed = parts();
        changed.0[1].1.pop();
        assert_eq!(bytes(&package, changed).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let mut gone = parts();
        gone.0.remove(1);
        assert!(bytes(&package, gone).is_err());
        let absent = [("x".to_owned(), "absent".to_owned())];
        assert_eq!(Package::of(&absent, &parts()).unwrap_err().code(), "delivery.batch.content");
    }

    #[test]
    fn what_does_not_fit_the_format_is_refused() {
        let entry = |bytes| PackageEntry { name: "a".into(), part: "a".into(), bytes, crc32: 0 };
        let headers = Package { entries: vec![entry(0)] }.bytes();
        let most = u32::try_from(PACKAGE_BYTES_MAX - headers).unwrap();
        assert_eq!(Package { entries: vec![entry(most)] }.bytes(), PACKAGE_BYTES_MAX);
        assert!(Package { entries: vec![entry(most + 1)] }.bytes() > PACKAGE_BYTES_MAX);
    }

    #[test]
    fn names_go_both_ways() {
        let facts = NameFacts {
            ticket: Ticket::parse("0123456789ABC").unwrap(),
            sender: "0123456749",
            received_at: "2026-11-21T23:59:59Z".parse().unwrap(),
            environment: Environment::Tst,
        };
        let names = FolderFile::ALL.map(|file| file_name(&facts, file));
        assert_eq!(names[4], "FO.REGMAIL.0123456749.20261121.0123456789ABC.TST.zip");
        for (name, file) in names.iter().zip(FolderFile::ALL) {
            assert_eq!(read_name(name), Some((facts.ticket, file)), "{name}");
        }
        for name in
            ["", ".", "FO", "FO.REGMAIL.0123456749.20261121.short.TST.zip", "0123456789ABC.Receipt", "TD.x"]
        {
            assert_eq!(read_name(name), None, "{name}");
        }
    }

    #[test]
    fn only_a_plain_ending_of_the_senders_name_is_kept() {
        for (name, kept) in [
            ("letter.PDF", "document.pdf"),
            ("../../etc/passwd", "document"),
            ("a.tar.gz", "document.gz"),
            ("x.longending", "document"),
            ("x.", "document"),
            ("x.p\u{202e}df", "document"),
            ("plain", "document"),
        ] {
            assert_eq!(entry_name("document", name), kept, "{name}");
        }
    }

    #[test]
    fn a_signature_stands_in_lines() {
        let text = seal_file(&[0; 100]);
        assert_eq!(text.lines().map(str::len).collect::<Vec<_>>(), [64, 64, 8]);
        assert!(text.ends_with('\n'));
    }
}
