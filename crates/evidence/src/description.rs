//! What every proof repeats of the item it is about: to whom, from whom, which files.
//!
//! Texts are kept exactly as they were given: a proof repeats the sender's own words and corrects nothing.
//!
//! Source: `contract.md`, types `Entity`, `Sender`, `FileDescription` of `http://socialsecurity.be/registeredmail/types/v1`.

use erds::{DigestMethod, Part, Recipient, Sender, Submission, Ticket};
use xmlsec::Element;
use xmlsec::write::Writer;

use crate::schema::{ProofReadError, Sequence, length_is, structure};

/// The namespace of the contract's types.
pub const TYPES_NAMESPACE: &str = "http://socialsecurity.be/registeredmail/types/v1";
/// The namespace of `xsi:type`.
pub const XSI_NAMESPACE: &str = "http://www.w3.org/2001/XMLSchema-instance";
/// The `Type` of an annex, which has none of its own in the contract.
pub const ANNEX_TYPE: &str = "ANNEX";

/// To whom the item is addressed, as the sender wrote it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RecipientDescription {
    /// `xsi:type="Citizen"`.
    Citizen {
        /// The identification number of the social security, 11 characters.
        inss: String,
        /// `CITIZEN`.
        quality_code: String,
    },
    /// `xsi:type="Enterprise"`.
    Enterprise {
        /// The enterprise number, 9 or 10 digits.
        company_id: String,
        /// In which quality the enterprise is addressed, for instance `QUAL_EMP_NOSS`.
        quality_code: String,
    },
}

/// Who handed the item to ePost, from the certificate that signed the request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SenderDescription {
    /// The institution's enterprise number, 10 digits.
    pub company_id: String,
    /// The application's URN, from the certificate's common name.
    pub application_id: String,
}

/// One file of the item: its names and the digest that the sender signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileDescription {
    /// 1 to 400 characters.
    pub title: String,
    /// How the digest was computed.
    pub digest_method: FileDigestMethod,
    /// Exactly the method's number of bytes.
    pub digest_value: Vec<u8>,
    /// 1 to 80 characters; never used as a path.
    pub download_file_name: String,
    /// The media type, if the sender stated one.
    pub mime: Option<String>,
    /// 1 to 80 characters; [`ANNEX_TYPE`] for an annex.
    pub document_type: String,
    /// `fr`, `nl`, `de`, `en` or `bi`, if the sender stated one.
    pub language: Option<String>,
}

/// The digests that an accepted item can have: SHA-1 is refused at the door.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FileDigestMethod {
    /// `SHA-256`, 32 bytes.
    Sha256,
    /// `SHA-512`, 64 bytes.
    Sha512,
}

impl FileDigestMethod {
    /// The contract's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Sha512 => "SHA-512",
        }
    }

    /// How long its value is.
    pub fn length_bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Sha256, Self::Sha512].into_iter().find(|method| method.as_str() == text)
    }
}

/// Gives the static name of an element of the contract's types, with or without the prefix `t`.
macro_rules! tag {
    ($prefixed:expr, $name:literal) => {
        if $prefixed { concat!("t:", $name) } else { $name }
    };
}

/// Whether the text is a ticket: 13 of `[0-9A-HJ-NP-Z]`.
pub(crate) fn is_ticket(text: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_digit() || (byte.is_ascii_uppercase() && byte != b'I' && byte != b'O');
    text.len() == 13 && text.bytes().all(allowed)
}

fn is_digits(text: &str, lengths: std::ops::RangeInclusive<usize>) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Ticket, token, recipient, sender, document, annexes: what both proofs say of the item, in the schema's order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ItemDescription {
    /// ePost's name of the item, 13 characters.
    pub ticket: String,
    /// The sender's name of the item, up to 50 characters, perhaps empty.
    pub token: String,
    /// To whom.
    pub recipient: RecipientDescription,
    /// From whom.
    pub sender: SenderDescription,
    /// The document.
    pub document: FileDescription,
    /// Up to 5 annexes.
    pub annexes: Vec<FileDescription>,
}

/// An item with a digest that no proof can repeat (SHA-1): admission should have refused it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a proof names SHA-256 and SHA-512 digests only")]
pub struct DigestNotProvable;

impl DigestNotProvable {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        "proof.digest_method"
    }
}

impl ItemDescription {
    /// Describes an accepted item, every text as its sender gave it.
    ///
    /// # Errors
    /// [`DigestNotProvable`]: ours, admission let a SHA-1 digest pass.
    pub fn of(ticket: &Ticket, submission: &Submission, sender: &Sender) -> Result<Self, DigestNotProvable> {
        let annexes: Result<_, _> =
            submission.annexes.iter().map(|annex| FileDescription::of(annex, Some(ANNEX_TYPE))).collect();
        Ok(Self {
            ticket: ticket.as_str().to_owned(),
            token: submission.token.as_str().to_owned(),
            recipient: RecipientDescription::of(&submission.recipient),
            sender: SenderDescription::of(sender),
            document: FileDescription::of(&submission.document, None)?,
            annexes: annexes?,
        })
    }

    /// Writes the elements; `prefixed` where the types' namespace has the prefix `t` because the default one is another.
    pub(crate) fn write(&self, writer: &mut Writer, prefixed: bool) {
        writer.raw("\n  ").element("Ticket", &self.ticket);
        writer.raw("\n  ").element("Token", &self.token);
        self.recipient.write(writer, prefixed);
        writer.raw("\n  ").start("Sender");
        writer.raw("\n    ").element(tag!(prefixed, "CompanyID"), &self.sender.company_id);
        writer.raw("\n    ").element(tag!(prefixed, "ApplicationID"), &self.sender.application_id);
        writer.raw("\n  ").end();
        self.document.write(writer, "Document", prefixed);
        for annex in &self.annexes {
            annex.write(writer, "Annex", prefixed);
        }
    }

    /// Reads the elements from the front of `sequence`; what is inside them is in the types' namespace.
    pub(crate) fn read(sequence: &mut Sequence<'_>) -> Result<Self, ProofReadError> {
        let ticket = sequence.text("Ticket", "13 characters of [0-9A-HJ-NP-Z]", is_ticket)?;
        let token = sequence.text("Token", "at most 50 characters", |text| length_is(text, 0, 50))?;
        let recipient = RecipientDescription::read(sequence.required("Recipient")?)?;
        let mut inner = Sequence::of(sequence.required("Sender")?, TYPES_NAMESPACE, None)?;
        let company_id = inner.text("CompanyID", "9 or 10 digits", |text| is_digits(text, 9..=10))?;
        let application_id =
            inner.text("ApplicationID", "1 to 150 characters", |text| length_is(text, 1, 150))?;
        inner.end()?;
        let document = FileDescription::read(sequence.required("Document")?)?;
        let mut annexes = Vec::new();
        while let Some(annex) = sequence.optional("Annex") {
            annexes.push(FileDescription::read(annex)?);
        }
        if annexes.len() > ANNEXES_MAX {
            return Err(structure("at most 5 Annex", "more"));
        }
        Ok(Self {
            ticket,
            token,
            recipient,
            sender: SenderDescription { company_id, application_id },
            document,
            annexes,
        })
    }
}

const ANNEXES_MAX: usize = 5;

impl SenderDescription {
    pub(crate) fn of(sender: &Sender) -> Self {
        Self {
            company_id: sender.cbe.digits().to_owned(),
            application_id: sender.application.as_str().to_owned(),
        }
    }
}

impl RecipientDescription {
    pub(crate) fn of(recipient: &Recipient) -> Self {
        match recipient {
            Recipient::Citizen { inss, quality } => {
                Self::Citizen { inss: inss.as_given().to_owned(), quality_code: quality.as_str().to_owned() }
            }
            Recipient::Enterprise { company, quality } => Self::Enterprise {
                company_id: company.as_given().to_owned(),
                quality_code: quality.as_str().to_owned(),
            },
        }
    }

    fn write(&self, writer: &mut Writer, prefixed: bool) {
        let (type_name, id_name, id, quality_code) = match self {
            Self::Citizen { inss, quality_code } => {
                (tag!(prefixed, "Citizen"), tag!(prefixed, "INSS"), inss, quality_code)
            }
            Self::Enterprise { company_id, quality_code } => {
                (tag!(prefixed, "Enterprise"), tag!(prefixed, "CompanyID"), company_id, quality_code)
            }
        };
        writer
            .raw("\n  ")
            .start("Recipient")
            .namespace("xsi", XSI_NAMESPACE)
            .attribute("xsi:type", type_name);
        writer.raw("\n    ").element(id_name, id);
        writer.raw("\n    ").element(tag!(prefixed, "QualityCode"), quality_code);
        writer.raw("\n  ").end();
    }

    fn read(element: Element<'_>) -> Result<Self, ProofReadError> {
        let named = element.attribute(Some(XSI_NAMESPACE), "type").unwrap_or_default();
        let (prefix, local_name) = named.split_once(':').unwrap_or(("", &named));
        if element.resolve_prefix(prefix) != Some(TYPES_NAMESPACE) {
            return Err(structure("xsi:type Citizen or Enterprise", &named));
        }
        let mut inner = Sequence::of(element, TYPES_NAMESPACE, Some((XSI_NAMESPACE, "type")))?;
        let recipient = match local_name {
            "Citizen" => Self::Citizen {
                inss: inner.text("INSS", "11 characters", |text| length_is(text, 11, 11))?,
                quality_code: inner.text("QualityCode", "1 to 125 characters", |t| length_is(t, 1, 125))?,
            },
            "Enterprise" => Self::Enterprise {
                company_id: inner.text("CompanyID", "9 or 10 digits", |text| is_digits(text, 9..=10))?,
                quality_code: inner.text("QualityCode", "1 to 125 characters", |t| length_is(t, 1, 125))?,
            },
            other => return Err(structure("xsi:type Citizen or Enterprise", other)),
        };
        inner.end().map(|()| recipient)
    }
}

impl std::fmt::Display for RecipientDescription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Citizen { inss, .. } => write!(f, "citizen {inss}"),
            Self::Enterprise { company_id, quality_code } => {
                write!(f, "enterprise {company_id} ({quality_code})")
            }
        }
    }
}

impl FileDescription {
    /// `document_type` stands in where the part has none of its own.
    pub(crate) fn of(part: &Part, document_type: Option<&str>) -> Result<Self, DigestNotProvable> {
        let digest_method = match part.digest.method {
            DigestMethod::Sha256 => FileDigestMethod::Sha256,
            DigestMethod::Sha512 => FileDigestMethod::Sha512,
            DigestMethod::Sha1 => return Err(DigestNotProvable),
        };
        Ok(Self {
            title: part.title.clone(),
            digest_method,
            digest_value: part.digest.value.clone(),
            download_file_name: part.download_file_name.clone(),
            mime: part.mime.clone(),
            document_type: part.document_type.as_deref().or(document_type).unwrap_or_default().to_owned(),
            language: part.language.map(|language| language.as_str().to_owned()),
        })
    }

    fn write(&self, writer: &mut Writer, name: &'static str, prefixed: bool) {
        writer.raw("\n  ").start(name);
        writer.raw("\n    ").element(tag!(prefixed, "Title"), &self.title);
        writer.raw("\n    ").start(tag!(prefixed, "Digest"));
        writer.raw("\n      ").element(tag!(prefixed, "DigestMethod"), self.digest_method.as_str());
        writer.raw("\n      ").start(tag!(prefixed, "DigestValue")).base64(&self.digest_value).end();
        writer.raw("\n    ").end();
        writer.raw("\n    ").element(tag!(prefixed, "DownloadFileName"), &self.download_file_name);
        if let Some(mime) = &self.mime {
            writer.raw("\n    ").element(tag!(prefixed, "MIME"), mime);
        }
        writer.raw("\n    ").element(tag!(prefixed, "Type"), &self.document_type);
        if let Some(language) = &self.language {
            writer.raw("\n    ").element(tag!(prefixed, "Language"), language);
        }
        writer.raw("\n  ").end();
    }

    fn read(element: Element<'_>) -> Result<Self, ProofReadError> {
        let mut inner = Sequence::of(element, TYPES_NAMESPACE, None)?;
        let title = inner.text("Title", "1 to 400 characters", |text| length_is(text, 1, 400))?;
        let mut digest = Sequence::of(inner.required("Digest")?, TYPES_NAMESPACE, None)?;
        let method = digest
            .text("DigestMethod", "SHA-256 or SHA-512", |text| FileDigestMethod::parse(text).is_some())?;
        let digest_method = FileDigestMethod::parse(&method).unwrap_or(FileDigestMethod::Sha256);
        let value = digest.text("DigestValue", "base64", |_| true)?;
        digest.end()?;
        let digest_value = base64_simd::STANDARD
            .decode_to_vec(value.trim_ascii())
            .ok()
            .filter(|bytes| bytes.len() == digest_method.length_bytes())
            .ok_or(ProofReadError::Value {
                element: "DigestValue",
                expected: "base64 of the method's length",
            })?;
        let download_file_name =
            inner.text("DownloadFileName", "1 to 80 characters", |text| length_is(text, 1, 80))?;
        let mime = inner.optional_text("MIME", "a media type", |text| length_is(text, 1, 127))?;
        let document_type = inner.text("Type", "1 to 80 characters", |text| length_is(text, 1, 80))?;
        let language = inner.optional_text("Language", "fr, nl, de, en or bi", |text| {
            ["fr", "nl", "de", "en", "bi"].contains(&text)
        })?;
        inner.end()?;
        Ok(Self { title, digest_method, digest_value, download_file_name, mime, document_type, language })
    }
}
