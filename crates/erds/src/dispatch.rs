//! What a sender hands over: one document, its annexes, their digests, and to whom.
//!
//! Limits are those of the published schema; a [`Submission`] that was parsed keeps them.

use serde::{Deserialize, Serialize};

use crate::identifier::{EnterpriseNumber, QualityCode, Token};
use crate::party::Recipient;

/// How a part's digest was made, as the contract names it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub enum DigestMethod {
    /// Named by the published schema, refused here (FILE_B03).
    #[serde(rename = "SHA-1")]
    Sha1,
    /// SHA-256.
    #[serde(rename = "SHA-256")]
    Sha256,
    /// SHA-512.
    #[serde(rename = "SHA-512")]
    Sha512,
}

impl DigestMethod {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha512 => "SHA-512",
        }
    }

    /// The method of that exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Sha1, Self::Sha256, Self::Sha512].into_iter().find(|method| method.as_str() == name)
    }

    /// The algorithm to compute, unless it is forbidden.
    pub fn algorithm(self) -> Option<pki::digest::DigestAlgorithm> {
        match self {
            Self::Sha1 => None,
            Self::Sha256 => Some(pki::digest::DigestAlgorithm::Sha256),
            Self::Sha512 => Some(pki::digest::DigestAlgorithm::Sha512),
        }
    }
}

/// The digest that the sender states (and signs) for a part.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct StatedDigest {
    /// How it was made.
    pub method: DigestMethod,
    /// Its bytes as stated; any length until [`StatedDigest::to_digest`] judges them.
    #[serde(with = "crate::record::hex_bytes")]
    pub value: Vec<u8>,
}

impl StatedDigest {
    /// The digest to compare with, if its method is allowed and its length is right.
    pub fn to_digest(&self) -> Option<pki::digest::Digest> {
        pki::digest::Digest::new(self.method.algorithm()?, &self.value).ok()
    }
}

/// The language of a document.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// French.
    Fr,
    /// Dutch.
    Nl,
    /// German.
    De,
    /// English.
    En,
    /// Bilingual.
    Bi,
}

impl Language {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fr => "fr",
            Self::Nl => "nl",
            Self::De => "de",
            Self::En => "en",
            Self::Bi => "bi",
        }
    }

    /// The language of that exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Fr, Self::Nl, Self::De, Self::En, Self::Bi]
            .into_iter()
            .find(|language| language.as_str() == name)
    }
}

/// The MIME types that the contract lists. A part without one may be any bytes.
pub const MIME_TYPES: [&str; 15] = [
    "application/pdf",
    "application/zip",
    "text/csv",
    "text/html",
    "text/plain",
    "text/xml",
    "application/vnd.oasis.opendocument.text",
    "application/vnd.oasis.opendocument.spreadsheet",
    "application/vnd.oasis.opendocument.presentation",
    "application/vnd.oasis.opendocument.graphics",
    "application/vnd.ms-excel",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.ms-powerpoint",
    "application/msword",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
];

/// The most annexes of an item.
pub const ANNEXES_MAX: usize = 5;
/// The most `Meta` of an item.
pub const META_MAX: usize = 100;
/// The most values of one `Meta`.
pub const META_VALUES_MAX: usize = 10;
/// The most characters of a `Meta`'s type or value.
pub const META_CHARACTERS_MAX: usize = 25;
/// The most characters of a title.
pub const TITLE_CHARACTERS_MAX: usize = 400;
/// The most characters of a download file name.
pub const FILE_NAME_CHARACTERS_MAX: usize = 80;
/// The most characters of a document type.
pub const TYPE_CHARACTERS_MAX: usize = 80;
/// The most bytes of a stated digest.
pub const DIGEST_BYTES_MAX: usize = 150;

/// The document, or one annex.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The title shown.
    pub title: String,
    /// The digest that the sender signed.
    pub digest: StatedDigest,
    /// The name to save it under: opaque, never a path here.
    pub download_file_name: String,
    /// One of [`MIME_TYPES`].
    pub mime: Option<String>,
    /// The document's type; an annex has none.
    pub document_type: Option<String>,
    /// The document's language; an annex has none.
    pub language: Option<Language>,
    /// The Content-ID of the attachment, without `cid:`, brackets or percent-encoding.
    pub content_id: String,
}

/// One key with its values.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// The key.
    #[serde(rename = "type")]
    pub name: String,
    /// 1 to 10 values.
    pub values: Vec<String>,
}

/// What is asked of the recipient's eBox before the item is taken.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EboxCheck {
    /// Nothing.
    Bypass,
    /// It is activated (the default).
    #[default]
    Activated,
    /// It is activated, and preferred by its owner.
    Preferred,
}

impl EboxCheck {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "BYPASS",
            Self::Activated => "ACTIVATED",
            Self::Preferred => "PREFERRED",
        }
    }

    /// The check of that exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Bypass, Self::Activated, Self::Preferred].into_iter().find(|check| check.as_str() == name)
    }
}

/// A mandatary whom the sender names beside the recipient: contract B's `RecipientsDelegate`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Delegate {
    /// The mandatary's own number; no mandate is inferred or judged.
    pub company: EnterpriseNumber,
    /// The quality in which it acts.
    pub quality: QualityCode,
}

/// What contract B's `submit` asks beside the eBox; contract A asks none of it.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Beside {
    /// The item also goes into a partner's folder: the delegate's, or the recipient's own.
    pub batch: bool,
    /// Whose folder, instead of the recipient's.
    pub delegate: Option<Delegate>,
    /// The proofs also go into the sender's folder.
    pub proof_to_mailbox: bool,
}

impl Beside {
    /// Whether nothing is asked.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// One registered item as its sender signed it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Submission {
    /// The sender's own name for it.
    pub token: Token,
    /// To whom.
    pub recipient: Recipient,
    /// The document.
    pub document: Part,
    /// 0 to 5 annexes.
    pub annexes: Vec<Part>,
    /// 0 to 100 keys with values.
    pub meta: Vec<Meta>,
    /// What to ask of the eBox first.
    pub check: EboxCheck,
    /// What is asked beside the eBox.
    #[serde(default, skip_serializing_if = "Beside::is_nothing")]
    pub beside: Beside,
}

impl Submission {
    /// The document, then the annexes.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        std::iter::once(&self.document).chain(&self.annexes)
    }

    /// Whether both are the same item: all that is stated, each content stood for by its digest.
    ///
    /// Content-IDs do not count: a sender's stack draws new ones at each sending (design 3, "Resends").
    pub fn same_content(&self, other: &Self) -> bool {
        self.content_encoding() == other.content_encoding()
    }

    /// SHA-256 of the item, each content stood for by its digest: equal exactly when [`Submission::same_content`].
    pub fn content_digest(&self) -> [u8; 32] {
        pki::digest::sha256(&self.content_encoding())
    }

    /// Every field with its length before it, so that no two items encode alike.
    fn content_encoding(&self) -> Vec<u8> {
        let mut out = Encoding(b"epost submission 1\0".to_vec());
        out.text(self.token.as_str());
        out.text(self.recipient.type_name());
        out.text(self.recipient.number_as_given());
        out.text(self.recipient.quality().as_str());
        out.count(self.annexes.len());
        for part in self.parts() {
            out.text(&part.title);
            out.text(part.digest.method.as_str());
            out.bytes(&part.digest.value);
            out.text(&part.download_file_name);
            out.option(part.mime.as_deref());
            out.option(part.document_type.as_deref());
            out.option(part.language.map(Language::as_str));
        }
        out.count(self.meta.len());
        for meta in &self.meta {
            out.text(&meta.name);
            out.count(meta.values.len());
            meta.values.iter().for_each(|value| out.text(value));
        }
        out.text(self.check.as_str());
        if !self.beside.is_nothing() {
            // Items without it keep the digest that they had before it was known.
            out.text("beside");
            out.option(self.beside.batch.then_some("batch"));
            let delegate = self.beside.delegate.as_ref();
            out.option(delegate.map(|delegate| delegate.company.as_given()));
            out.option(delegate.map(|delegate| delegate.quality.as_str()));
            out.option(self.beside.proof_to_mailbox.then_some("mailbox"));
        }
        out.0
    }
}

struct Encoding(Vec<u8>);

impl Encoding {
    fn count(&mut self, count: usize) {
        self.0.extend_from_slice(&(count as u64).to_be_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn option(&mut self, text: Option<&str>) {
        self.0.push(u8::from(text.is_some()));
        self.text(text.unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identifier::Strictness;

    fn part(title: &str) -> Part {
        Part {
            title: title.to_owned(),
            digest: StatedDigest { method: DigestMethod::Sha256, value: vec![1; 32] },
            download_file_name: "a.pdf".to_owned(),
            mime: Some("application/pdf".to_owned()),
            document_type: Some("LETTER".to_owned()),
            language: Some(Language::En),
            content_id: "a@b".to_owned(),
        }
    }

    fn submission() -> Submission {
        Submission {
            token: Token::parse("t").unwrap(),
            recipient: Recipient::Enterprise {
                company: EnterpriseNumber::parse("0123456749", Strictness::Strict).unwrap(),
                quality: QualityCode::parse("QUAL_EMP_NOSS").unwrap(),
            },
            document: part("letter"),
            annexes: vec![part("annex")],
            meta: vec![Meta { name: "k".to_owned(), values: vec!["v".to_owned()] }],
            check: EboxCheck::default(),
            beside: Beside::default(),
        }
    }

    fn delegate() -> Delegate {
        Delegate {
            company: EnterpriseNumber::parse("0000000196", Strictness::Strict).unwrap(),
            quality: QualityCode::parse("QUAL_SSC").unwrap(),
        }
    }

    #[test]
    fn content_ids_do_not_count() {
        let mut other = submission();
        other.document.content_id = "new".to_owned();
        assert!(submission().same_content(&other));
        assert_eq!(submission().content_digest(), other.content_digest());
    }

    #[test]
    fn everything_else_counts() {
        let changes: [fn(&mut Submission); 12] = [
            |s| s.token = Token::parse("u").unwrap(),
            |s| s.document.title.push('x'),
            |s| s.document.digest.value[0] ^= 1,
            |s| s.document.mime = None,
            |s| s.document.language = None,
            |s| s.annexes.clear(),
            |s| s.annexes[0].download_file_name.push('x'),
            |s| s.meta[0].values.push(String::new()),
            |s| s.check = EboxCheck::Bypass,
            |s| s.beside.batch = true,
            |s| s.beside.proof_to_mailbox = true,
            |s| s.beside.delegate = Some(delegate()),
        ];
        for change in changes {
            let mut other = submission();
            change(&mut other);
            assert!(!submission().same_content(&other));
            assert_ne!(submission().content_digest(), other.content_digest());
        }
    }

    #[test]
    fn is_stored_and_read_again() {
        let json = serde_json::to_string(&submission()).unwrap();
        assert!(!json.contains("beside"), "as it was written before that was known");
        let mut with = submission();
        with.beside = Beside { batch: true, delegate: Some(delegate()), proof_to_mailbox: true };
        for item in [submission(), with] {
            let json = serde_json::to_string(&item).unwrap();
            assert_eq!(serde_json::from_str::<Submission>(&json).unwrap(), item);
        }
    }

    #[test]
    fn names_go_both_ways() {
        for name in ["SHA-1", "SHA-256", "SHA-512"] {
            assert_eq!(DigestMethod::from_name(name).unwrap().as_str(), name);
        }
        assert_eq!(DigestMethod::from_name("sha-256"), None);
        for name in ["fr", "nl", "de", "en", "bi"] {
            assert_eq!(Language::from_name(name).unwrap().as_str(), name);
        }
        for name in ["BYPASS", "ACTIVATED", "PREFERRED"] {
            assert_eq!(EboxCheck::from_name(name).unwrap().as_str(), name);
        }
    }
}
