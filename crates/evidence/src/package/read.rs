//! Reading a package back: only what the one writer makes is one.

use std::collections::BTreeSet;

use xmlsec::namespace::DS;
use xmlsec::{Document, Limits};

use super::{
    CRLS, Contents, DISPATCH, EVIDENCE, File, JOURNAL, Known, LOG_KEY, MANIFEST, MEDIA_TYPE, MIMETYPE,
    PACKAGE_BYTES_MAX, PACKAGE_FILES_MAX, POLICY, PROOF, PackageError, Policy, RECEIPT, REQUEST, SIGNATURES,
    SUMS, SealedFile,
};
use crate::archive;
use crate::event::Evidence;
use crate::schema::{ProofReadError, structure};
use crate::xades::{ASIC_NAMESPACE, ASIC_ROOT, Covered, Form};

/// Whether the bytes are a package or a damaged one: told by two marks at their places, which no one flipped byte takes away and no
/// other proof has.
pub(crate) fn looks_like_package(bytes: &[u8]) -> bool {
    let first = bytes.get(archive::HEADER_BYTES..).and_then(|rest| rest.strip_prefix(MIMETYPE.as_bytes()));
    bytes.starts_with(b"PK\x03\x04") || first.is_some_and(|rest| rest.starts_with(MEDIA_TYPE.as_bytes()))
}

/// A package as it was read: every byte of it follows from these two. Nothing of it is judged ([`crate::verify`] does).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Package {
    /// What it holds.
    pub contents: Contents,
    /// `META-INF/signatures.xml`, unread.
    pub signatures_xml: Vec<u8>,
}

impl Package {
    /// Reads a package: if its signature is over these contents, [`super::assemble`] makes exactly `bytes` of it again.
    ///
    /// # Errors
    /// [`PackageError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, PackageError> {
        if bytes.len() > PACKAGE_BYTES_MAX {
            return Err(PackageError::TooLarge);
        }
        let files = archive::read(bytes, PACKAGE_FILES_MAX).ok_or(PackageError::Archive)?;
        let (contents, signatures_xml) = sort(&files)?;
        let known = contents.known()?;
        let ours = known.files();
        let foreign = |name: &str| PackageError::File(name.to_owned());
        let mut found = files.iter();
        let mut next = |name: &str, content: &[u8]| match found.next() {
            Some((seen, bytes)) if *seen == name && *bytes == content => Ok(()),
            other => Err(foreign(other.map_or(name, |(seen, _)| seen))),
        };
        next(MIMETYPE, MEDIA_TYPE.as_bytes())?;
        for File { name, bytes, .. } in &ours {
            next(name, bytes)?;
        }
        next(SIGNATURES, &signatures_xml)?;
        Ok(Self { contents, signatures_xml })
    }
}

/// Each file to its place in the contents; what follows from others is left to be compared.
fn sort(files: &[(&str, &[u8])]) -> Result<(Contents, Vec<u8>), PackageError> {
    let mut seen = BTreeSet::new();
    let mut one =
        |name: &str| files.iter().find(|(known, _)| *known == name).map(|(_, bytes)| bytes.to_vec());
    let sealed =
        |(xml, p7s): (&'static str, &'static str), one: &mut dyn FnMut(&str) -> Option<Vec<u8>>| match (
            one(xml),
            one(p7s),
        ) {
            (Some(xml), Some(p7s)) => Ok(Some(SealedFile { xml, p7s })),
            (None, None) => Ok(None),
            (None, Some(_)) => Err(PackageError::Missing(xml)),
            (Some(_), None) => Err(PackageError::Missing(p7s)),
        };
    let receipt = sealed(RECEIPT, &mut one)?.ok_or(PackageError::Missing(RECEIPT.0))?;
    let dispatch = sealed(DISPATCH, &mut one)?;
    let key = one(LOG_KEY).ok_or(PackageError::Missing(LOG_KEY))?;
    let signatures_xml = one(SIGNATURES).ok_or(PackageError::Missing(SIGNATURES))?;
    let mut contents = Contents {
        evidence: Vec::new(),
        receipt,
        dispatch,
        request: one(REQUEST),
        log_proofs: Vec::new(),
        log_key: text(LOG_KEY, &key)?.trim_end_matches('\n').to_owned(),
        policies: Vec::new(),
        crls: Vec::new(),
    };
    let mut texts = Vec::new();
    for &(name, bytes) in files {
        if !seen.insert(name) {
            return Err(PackageError::File(name.to_owned()));
        }
        match name {
            MIMETYPE | REQUEST | LOG_KEY | MANIFEST | SIGNATURES => {}
            _ if [RECEIPT.0, RECEIPT.1, DISPATCH.0, DISPATCH.1, SUMS[0].0, SUMS[1].0].contains(&name) => {}
            _ if name.starts_with(EVIDENCE) => contents.evidence.push(bytes.to_vec()),
            _ if name.starts_with(JOURNAL) && name.ends_with(PROOF) => {
                contents.log_proofs.push(text(name, bytes)?);
            }
            _ if name.starts_with(POLICY) => texts.push(text(name, bytes)?),
            _ if name.starts_with(CRLS) => contents.crls.push(bytes.to_vec()),
            _ => return Err(PackageError::File(name.to_owned())),
        }
    }
    contents.policies = policies(&contents.evidence, texts)?;
    Ok((contents, signatures_xml))
}

fn text(name: &str, bytes: &[u8]) -> Result<String, PackageError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| PackageError::File(name.to_owned()))
}

/// The texts under the names that the evidence gives them, in that order.
fn policies(evidence: &[Vec<u8>], texts: Vec<String>) -> Result<Vec<Policy>, PackageError> {
    let mut uris: Vec<String> = Vec::new();
    for xml in evidence {
        for uri in Evidence::parse(xml).map_err(PackageError::Evidence)?.policies {
            if !uris.contains(&uri) {
                uris.push(uri);
            }
        }
    }
    match uris.get(texts.len()) {
        Some(without_text) => Err(PackageError::Policy(without_text.clone())),
        None if uris.len() < texts.len() => {
            Err(PackageError::File(format!("{POLICY}{}.txt", uris.len() + 1)))
        }
        None => Ok(uris.into_iter().zip(texts).map(|(uri, text)| Policy { uri, text }).collect()),
    }
}

/// `META-INF/signatures.xml`: one signature in the element of the standard.
pub(super) fn write_signatures(form: &Form) -> Vec<u8> {
    format!("<asic:{ASIC_ROOT} xmlns:asic=\"{ASIC_NAMESPACE}\">{}</asic:{ASIC_ROOT}>\n", form.markup())
        .into_bytes()
}

/// Reads what [`write_signatures`] wrote, with the document that is verified.
pub(crate) fn read_signatures(xml: &[u8]) -> Result<(Document, Form), ProofReadError> {
    let document = Document::parse(xml, &Limits::default()).map_err(ProofReadError::Xml)?;
    let root = document.root();
    if !root.is(ASIC_NAMESPACE, ASIC_ROOT) {
        return Err(structure(ASIC_ROOT, root.local_name()));
    }
    let form = Form::read(root.child(DS, "Signature").ok_or_else(|| structure("ds:Signature", "none"))?)?;
    // The last word: only what the one writer makes is the form.
    if write_signatures(&form) == xml { Ok((document, form)) } else { Err(ProofReadError::Form) }
}

/// The revocation lists that a package's signature holds, in the order of its `crls`: who keeps the signature has them.
///
/// # Errors
/// [`PackageError::Signature`]: not `META-INF/signatures.xml` as it is written here.
pub fn revocation_lists(signatures_xml: &[u8]) -> Result<Vec<Vec<u8>>, PackageError> {
    let (_, form) = read_signatures(signatures_xml).map_err(PackageError::Signature)?;
    match form.covered {
        Covered::Files { crls, .. } => Ok(crls),
        Covered::Root(_) => Err(PackageError::Signature(ProofReadError::Form)),
    }
}

/// The first file, or the lists, that is not what the signature says; `None`: it covers exactly these.
pub(crate) fn first_changed(form: &Form, known: &Known<'_>, contents: &Contents) -> Option<String> {
    let Covered::Files { files, crls } = &form.covered else { return Some(SIGNATURES.to_owned()) };
    let ours: Vec<_> = known.files().iter().map(File::covered).collect();
    let differs = |(ours, signed): (&_, &_)| ours != signed;
    if let Some((first, _)) = ours.iter().zip(files).find(|pair| differs(*pair)) {
        return Some(first.name.clone());
    }
    let longer = if ours.len() > files.len() { ours.get(files.len()) } else { files.get(ours.len()) };
    longer.map(|file| file.name.clone()).or_else(|| (*crls != contents.crls).then(|| CRLS.to_owned()))
}
