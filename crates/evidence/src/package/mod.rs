//! The package: all that a third party needs to judge an item's proofs, in one ASiC-E container under one XAdES-BASELINE-LT signature.
//!
//! [`Contents`] is what goes in; [`seal()`] signs every file of it for a record that is durable and gives an [`Unstamped`], which
//! [`crate::seal::Stampable::stamp`] makes [`Sealed`]; [`assemble`] puts files and signature together. Names, order, manifest and lists of digests follow
//! from the contents, so that the same contents under the same signature are the same bytes, and reading ends with writing again.
//!
//! Sources: ETSI EN 319 162-1 §4.4 (ASiC-E with XAdES), EN 319 132-1 §6.3 (LT), OpenDocument 1.2 part 3 §3 (manifest), C2SP
//! tlog-proof; `evidence.md`, Three forms of one fact.

mod read;
mod sealing;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::str::FromStr;

use journal::checkpoint::{Verifier, VerifierError};
use journal::proof::{Proof, ProofError};
use pki::crl::Crl;
use xmlsec::write::Writer;

use crate::archive;
use crate::description::{FileDescription, FileDigestMethod};
use crate::event::{Event, Evidence};
use crate::schema::ProofReadError;
use crate::xades::CoveredFile;

pub use read::{Package, revocation_lists};
pub(crate) use read::{first_changed, looks_like_package, read_signatures};
pub use sealing::{Sealed, Unstamped, assemble, seal};

/// The container's media type: all that its first file says.
pub const MEDIA_TYPE: &str = "application/vnd.etsi.asic-e+zip";
/// The largest package, in bytes: it is judged in memory.
pub const PACKAGE_BYTES_MAX: usize = 128 << 20;
/// Files of one package.
pub const PACKAGE_FILES_MAX: usize = 256;

/// What a package holds of one item.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Contents {
    /// Sealed ERDS evidence, each of another event, A.1 among them; in the package they stand in the log's order.
    pub evidence: Vec<Vec<u8>>,
    /// The receipt of contract A.
    pub receipt: SealedFile,
    /// The proof of dispatch, where the item is SENT.
    pub dispatch: Option<SealedFile>,
    /// The root part of the sender's request, exactly as received; `None`: not for this reader, or erased. Its digest stands in A.1.
    pub request: Option<Vec<u8>>,
    /// C2SP tlog-proofs: one of each entry that the evidence names, and no other, all under one checkpoint.
    pub log_proofs: Vec<String>,
    /// The log's public key, `NAME+ID+KEY`.
    pub log_key: String,
    /// The text of each policy that the evidence names, and of no other.
    pub policies: Vec<Policy>,
    /// Revocation lists of the seal's and the time-stamping authority's paths, DER: at least one. Their order stays.
    pub crls: Vec<Vec<u8>>,
}

/// A file and its detached seal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SealedFile {
    /// The file.
    pub xml: Vec<u8>,
    /// Its seal, DER.
    pub p7s: Vec<u8>,
}

/// A policy by which evidence is issued.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// As the evidence names it (`EvidenceIssuerPolicyID`).
    pub uri: String,
    /// Its text.
    pub text: String,
}

/// Why contents are no package, or bytes are none. Of contents: ours. Of bytes: whoever gave them.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// Not an archive of the one form: something before, between or behind the files, compression, times, foreign headers.
    #[error("not an archive as ePost writes it, or of more than {PACKAGE_FILES_MAX} files")]
    Archive,
    /// Over [`PACKAGE_BYTES_MAX`].
    #[error("over {PACKAGE_BYTES_MAX} bytes")]
    TooLarge,
    /// More than [`PACKAGE_FILES_MAX`] files.
    #[error("over {PACKAGE_FILES_MAX} files")]
    TooMany,
    /// A file that no package has, has twice, or has at another place; or whose content does not follow from the others.
    #[error("file {0:?}: not one of a package, not at this place, or not as the others make it")]
    File(String),
    /// A file that every package has.
    #[error("without {0}")]
    Missing(&'static str),
    /// An evidence that cannot be read.
    #[error("evidence: {0}")]
    Evidence(#[source] ProofReadError),
    /// A proof of the log that cannot be read.
    #[error("proof of the log: {0}")]
    LogProof(#[from] ProofError),
    /// The log's key.
    #[error("key of the log: {0}")]
    LogKey(#[from] VerifierError),
    /// A policy that is named and has no text, or the other way round.
    #[error("policy {0:?}: named without its text, or its text without being named")]
    Policy(String),
    /// Not a revocation list.
    #[error("a revocation list that is none")]
    Crl,
    /// `META-INF/signatures.xml` is not as it is written here.
    #[error("signature: {0}")]
    Signature(#[source] ProofReadError),
    /// A file is not the one that was signed.
    #[error("file {0:?} is not what was signed")]
    Changed(String),
    /// The parts are not of one item, or of one log: the check that fails.
    #[error("the parts do not belong together: {0}")]
    Apart(&'static str),
}

impl PackageError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Archive => "package.archive",
            Self::TooLarge => "package.too-large",
            Self::TooMany => "package.too-many",
            Self::File(_) => "package.file",
            Self::Missing(_) => "package.missing",
            Self::Evidence(_) => "package.evidence",
            Self::LogProof(_) => "package.log-proof",
            Self::LogKey(_) => "package.log-key",
            Self::Policy(_) => "package.policy",
            Self::Crl => "package.crl",
            Self::Signature(_) => "package.signature",
            Self::Changed(_) => "package.changed",
            Self::Apart(_) => "package.apart",
        }
    }
}

/// One file of a package.
pub(crate) struct File<'a> {
    pub(crate) name: String,
    media_type: &'static str,
    pub(crate) bytes: Cow<'a, [u8]>,
}

impl<'a> File<'a> {
    fn new(name: impl Into<String>, media_type: &'static str, bytes: impl Into<Cow<'a, [u8]>>) -> Self {
        Self { name: name.into(), media_type, bytes: bytes.into() }
    }

    /// As the signature names it.
    pub(crate) fn covered(&self) -> CoveredFile {
        CoveredFile {
            name: self.name.clone(),
            media_type: self.media_type.to_owned(),
            sha256: pki::digest::sha256(&self.bytes),
        }
    }
}

/// What contents say, once each part could be read.
pub(crate) struct Known<'a> {
    /// In the log's order.
    pub(crate) evidence: Vec<(Evidence, &'a [u8])>,
    /// In the log's order.
    pub(crate) log_proofs: Vec<(Proof, &'a str)>,
    pub(crate) log_key: Verifier,
    /// In the order in which the evidence names them.
    pub(crate) policies: Vec<&'a Policy>,
    pub(crate) crls: Vec<Crl>,
    contents: &'a Contents,
    acceptance: usize,
}

impl Contents {
    /// Reads every part; none is judged.
    ///
    /// # Errors
    /// [`PackageError`]: the first part that is none of a package.
    pub(crate) fn known(&self) -> Result<Known<'_>, PackageError> {
        let mut evidence = Vec::new();
        for xml in &self.evidence {
            evidence.push((Evidence::parse(xml).map_err(PackageError::Evidence)?, xml.as_slice()));
        }
        evidence.sort_by_key(|(evidence, _)| evidence.event_entry.index);
        let names: Vec<_> = evidence.iter().map(|(one, _)| Known::evidence_name(one)).collect();
        if let Some((twice, _)) = names.iter().zip(names.iter().skip(1)).find(|(one, next)| one == next) {
            return Err(PackageError::File(twice.clone()));
        }
        let mut log_proofs = Vec::new();
        for text in &self.log_proofs {
            log_proofs.push((Proof::from_str(text)?, text.as_str()));
        }
        log_proofs.sort_by_key(|(proof, _)| proof.position());
        let is_acceptance = |(one, _): &(Evidence, _)| matches!(one.event, Event::SubmissionAcceptance(_));
        let acceptance =
            evidence.iter().position(is_acceptance).ok_or(PackageError::Missing("SubmissionAcceptance"))?;
        if self.crls.is_empty() {
            return Err(PackageError::Missing("revocation lists"));
        }
        let crls: Result<_, _> = self.crls.iter().map(|der| Crl::from_der(der)).collect();
        let policies = self.policies_named(&evidence)?;
        Ok(Known {
            evidence,
            log_proofs,
            log_key: Verifier::from_str(&self.log_key)?,
            policies,
            crls: crls.map_err(|_| PackageError::Crl)?,
            contents: self,
            acceptance,
        })
    }

    fn policies_named(&self, evidence: &[(Evidence, &[u8])]) -> Result<Vec<&Policy>, PackageError> {
        let mut policies: Vec<&Policy> = Vec::new();
        for uri in evidence.iter().flat_map(|(evidence, _)| &evidence.policies) {
            if policies.iter().any(|policy| policy.uri == *uri) {
                continue;
            }
            let text = self.policies.iter().find(|policy| policy.uri == *uri);
            policies.push(text.ok_or_else(|| PackageError::Policy(uri.clone()))?);
        }
        let unnamed =
            self.policies.iter().find(|policy| !policies.iter().any(|named| named.uri == policy.uri));
        match unnamed {
            Some(policy) => Err(PackageError::Policy(policy.uri.clone())),
            None => Ok(policies),
        }
    }
}

impl<'a> Known<'a> {
    /// A.1.
    pub(crate) fn acceptance(&self) -> Option<&Evidence> {
        self.evidence.get(self.acceptance).map(|(evidence, _)| evidence)
    }

    /// The name of an evidence's file: two events never share one.
    pub(crate) fn evidence_name(evidence: &Evidence) -> String {
        format!("{EVIDENCE}{}-{}.xml", evidence.event.name(), evidence.event_entry.index)
    }

    /// Every file that is signed, in its order: all but `mimetype` and the signature.
    pub(crate) fn files(&self) -> Vec<File<'a>> {
        let contents = self.contents;
        let mut files: Vec<File<'a>> = Vec::new();
        for (evidence, xml) in &self.evidence {
            files.push(File::new(Self::evidence_name(evidence), XML, *xml));
        }
        files.push(File::new(RECEIPT.0, XML, &contents.receipt.xml));
        files.push(File::new(RECEIPT.1, P7S, &contents.receipt.p7s));
        if let Some(dispatch) = &contents.dispatch {
            files.push(File::new(DISPATCH.0, XML, &dispatch.xml));
            files.push(File::new(DISPATCH.1, P7S, &dispatch.p7s));
        }
        if let Some(request) = &contents.request {
            files.push(File::new(REQUEST, XML, request));
        }
        let parts = self.acceptance().map_or_else(Default::default, |a1| a1.request.parts.as_slice());
        for (name, method) in SUMS {
            let sums = sums(parts, method);
            if !sums.is_empty() {
                files.push(File::new(name, TEXT, sums.into_bytes()));
            }
        }
        for (proof, text) in &self.log_proofs {
            files.push(File::new(format!("{JOURNAL}{}{PROOF}", proof.position()), TEXT, text.as_bytes()));
        }
        files.push(File::new(LOG_KEY, TEXT, format!("{}\n", self.log_key).into_bytes()));
        for (number, policy) in (1..).zip(&self.policies) {
            files.push(File::new(format!("{POLICY}{number}.txt"), TEXT, policy.text.as_bytes()));
        }
        for (number, crl) in (1..).zip(&contents.crls) {
            files.push(File::new(format!("{CRLS}{number}.crl"), CRL, crl));
        }
        let manifest = manifest(&files);
        files.push(File::new(MANIFEST, XML, manifest));
        files
    }
}

/// Digests of the item's parts, as `sha256sum --check` and `sha512sum --check` take them.
fn sums(parts: &[FileDescription], method: FileDigestMethod) -> String {
    let mut out = String::new();
    for (part, name) in parts.iter().zip(content_names(parts)) {
        if part.digest_method == method {
            let _ = writeln!(out, "{}  {name}", crate::verify::hex(&part.digest_value));
        }
    }
    out
}

/// The sender's own file names where they are plain and each of its own, so that what he has at hand can be checked; else `document`
/// and `annex-N`.
fn content_names(parts: &[FileDescription]) -> Vec<String> {
    let is_plain = |name: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b' ');
        name.bytes().all(allowed) && name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
    };
    let mut names: Vec<String> = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let own = &part.download_file_name;
        let ours = if number == 0 { "document".to_owned() } else { format!("annex-{number}") };
        names.push(if is_plain(own) && !names.contains(own) { own.clone() } else { ours });
    }
    names
}

fn manifest(files: &[File<'_>]) -> Vec<u8> {
    let mut writer = Writer::with_declaration();
    writer.raw("\n").start("manifest:manifest").namespace("manifest", MANIFEST_NAMESPACE);
    writer.attribute("manifest:version", "1.2");
    let root = [("/", MEDIA_TYPE)];
    for (path, media_type) in
        root.into_iter().chain(files.iter().map(|file| (file.name.as_str(), file.media_type)))
    {
        writer.raw("\n  ").start("manifest:file-entry");
        writer.attribute("manifest:full-path", path).attribute("manifest:media-type", media_type).end();
    }
    writer.raw("\n").end().raw("\n");
    writer.finish()
}

/// Files and signature as one container.
fn container(files: &[File<'_>], signatures_xml: &[u8]) -> Result<Vec<u8>, PackageError> {
    let inside = files.iter().map(|file| (file.name.as_str(), &*file.bytes));
    let first = std::iter::once((MIMETYPE, MEDIA_TYPE.as_bytes()));
    let last = std::iter::once((SIGNATURES, signatures_xml));
    // Two more than are signed; an entry is its bytes, and its name twice beside its headers.
    let headers = (files.len() + 2) * (76 + 2 * 64);
    let bytes = files.iter().map(|file| file.bytes.len()).sum::<usize>() + signatures_xml.len() + headers;
    if files.len() + 2 > PACKAGE_FILES_MAX {
        return Err(PackageError::TooMany);
    }
    let within = |archive: &Vec<u8>| archive.len() <= PACKAGE_BYTES_MAX;
    if bytes > PACKAGE_BYTES_MAX + headers {
        return Err(PackageError::TooLarge);
    }
    archive::write(first.chain(inside).chain(last)).filter(within).ok_or(PackageError::TooLarge)
}

const MIMETYPE: &str = "mimetype";
const EVIDENCE: &str = "evidence/";
const RECEIPT: (&str, &str) = ("receipt/Receipt.xml", "receipt/Receipt.p7s");
const DISPATCH: (&str, &str) = ("dispatch/ProofOfDispatch.xml", "dispatch/ProofOfDispatch.p7s");
const REQUEST: &str = "request/request.xml";
const SUMS: [(&str, FileDigestMethod); 2] =
    [("content/SHA256SUMS", FileDigestMethod::Sha256), ("content/SHA512SUMS", FileDigestMethod::Sha512)];
const JOURNAL: &str = "journal/";
const PROOF: &str = ".tlog-proof";
const LOG_KEY: &str = "journal/log.vkey";
const POLICY: &str = "policy/";
const CRLS: &str = "crls/";
const MANIFEST: &str = "META-INF/manifest.xml";
/// Where the signature lies.
pub(crate) const SIGNATURES: &str = "META-INF/signatures.xml";

const XML: &str = "text/xml";
const TEXT: &str = "text/plain";
const P7S: &str = "application/pkcs7-signature";
const CRL: &str = "application/pkix-crl";
const MANIFEST_NAMESPACE: &str = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0";

#[cfg(test)]
pub(crate) mod tests;
