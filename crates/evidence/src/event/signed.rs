//! An evidence with its signature in it, read and written as one file.

use pki::certificate::Certificate;
use xmlsec::namespace::DS;
use xmlsec::{Document, Limits};

use super::Evidence;
use super::write::{self, Unsigned};
use crate::schema::{ProofReadError, structure};
use crate::xades::Form;

/// What an evidence's file holds: both halves, read and found to be written as we write them.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) evidence: Evidence,
    pub(crate) issuer: Certificate,
    pub(crate) form: Form,
}

/// The file: the evidence with this signature in it.
pub(super) fn place(form: &Form, unsigned: &Unsigned) -> Vec<u8> {
    [&unsigned.before, form.markup().as_bytes(), unsigned.after].concat()
}

impl Signed {
    /// Reads a stamped evidence. What it returns is written as exactly `xml`.
    ///
    /// # Errors
    /// [`ProofReadError`]; `Form`: it says something, but not in our one way.
    pub(crate) fn parse(xml: &[u8]) -> Result<Self, ProofReadError> {
        let document = Document::parse(xml, &Limits::default()).map_err(ProofReadError::Xml)?;
        Self::read(&document)
    }

    /// As [`Self::parse`], from the tree that is verified.
    pub(crate) fn read(document: &Document) -> Result<Self, ProofReadError> {
        let root = document.root();
        let (evidence, issuer) = super::read::read(root)?;
        let issuer = Certificate::from_der(&issuer)
            .map_err(|_| ProofReadError::Value { element: "X509Certificate", expected: "a certificate" })?;
        let signature = root.child(DS, "Signature").ok_or_else(|| structure("ds:Signature", "none"))?;
        let form = Form::read(signature)?;
        let signed = Self { evidence, issuer, form };
        // The last word: only what the one writer makes is the form.
        if place(&signed.form, &write::write(&signed.evidence, &signed.issuer)) == document.source() {
            Ok(signed)
        } else {
            Err(ProofReadError::Form)
        }
    }
}
