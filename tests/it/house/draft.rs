//! A request as a sender's stack makes it: changed by a test in one place, then signed, then changed in another.

use erds::{
    DigestMethod, EboxCheck, EnterpriseNumber, Part, QualityCode, Recipient, Ssin, StatedDigest, Strictness,
    Submission, Ticket, Token,
};
use jiff::Timestamp;
use pki::digest::{DigestAlgorithm, sha256};
use soap::envelope::SoapVersion;
use soap::message::{self, HealthCheckKind, ItemName, ProofForm, ProofKind};
use soap::multipart::Writer;
use soap::wss::client::{SignOptions, sign_request};
use xmlsec::signature::SigningReference;
use xmlsec::{Document, Limits};

use super::{file, signer};
use epost::dev::sandbox::{CITIZEN, ENTERPRISE, ENTERPRISE_QUALITY};

pub const V1: &str = "/RegisteredMail/v1";
pub const V2: &str = "/RegisteredMail/v2";

/// A request before it is signed.
#[derive(Clone)]
pub struct Draft {
    pub path: &'static str,
    /// Whose key signs.
    pub signer: String,
    /// Whose certificate the connection shows.
    pub tls: String,
    /// The element in the Body, as text.
    pub payload: String,
    pub attachments: Vec<Attachment>,
    pub signed_at: Timestamp,
    pub lifetime_seconds: u32,
    pub soap_action: Option<String>,
    pub version: SoapVersion,
}

#[derive(Clone)]
pub struct Attachment {
    pub content_id: String,
    pub content_type: String,
    pub bytes: Vec<u8>,
}

/// A request as it goes out.
#[derive(Clone)]
pub struct Signed {
    pub path: &'static str,
    pub tls: String,
    pub root: Vec<u8>,
    pub attachments: Vec<Attachment>,
    pub soap_action: Option<String>,
    pub version: SoapVersion,
}

impl Draft {
    /// alice sends a document and an annex to a citizen.
    pub fn submission(token: &str) -> Self {
        Self::of(&submission(token, &[file(1, 900), file(2, 700)]), &[file(1, 900), file(2, 700)])
    }

    /// alice sends these files to an enterprise.
    pub fn to_enterprise(token: &str, number: &str, quality: &str) -> Self {
        let files = [file(3, 500)];
        let recipient = Recipient::Enterprise {
            company: EnterpriseNumber::parse(number, Strictness::Lax).unwrap(),
            quality: QualityCode::parse(quality).unwrap(),
        };
        Self::of(&Submission { recipient, ..submission(token, &files) }, &files)
    }

    pub fn to_known_enterprise(token: &str) -> Self {
        Self::to_enterprise(token, ENTERPRISE, ENTERPRISE_QUALITY)
    }

    /// A submission with these very files.
    pub fn of(submission: &Submission, files: &[Vec<u8>]) -> Self {
        let attachments = submission.parts().zip(files).map(|(part, bytes)| Attachment {
            content_id: part.content_id.clone(),
            content_type: "application/pdf".to_owned(),
            bytes: bytes.clone(),
        });
        Self {
            attachments: attachments.collect(),
            ..Self::asking(message::write_send_document_request(submission))
        }
    }

    pub fn status(ticket: &Ticket) -> Self {
        Self::asking(message::write_get_status_request(ticket))
    }

    pub fn proof(item: &ItemName, kind: ProofKind) -> Self {
        Self { path: V2, ..Self::asking(message::write_get_proof_request(item, kind, kind.default_form())) }
    }

    /// A proof as ERDS evidence.
    pub fn evidence(item: &ItemName, kind: ProofKind) -> Self {
        let payload = message::write_get_proof_request(item, kind, ProofForm::Evidence);
        Self { path: V2, ..Self::asking(payload) }
    }

    /// A proof as a package.
    pub fn package(item: &ItemName, kind: ProofKind) -> Self {
        let payload = message::write_get_proof_request(item, kind, ProofForm::Package);
        Self { path: V2, ..Self::asking(payload) }
    }

    pub fn history(ticket: &Ticket, first: u64) -> Self {
        let payload = message::v2::write_get_delivery_history_request(ticket, first);
        Self { path: V2, ..Self::asking(payload) }
    }

    pub fn health(kind: HealthCheckKind) -> Self {
        Self::asking(message::write_health_check_request(kind))
    }

    /// Any payload to contract A, by alice, now.
    pub fn asking(payload: String) -> Self {
        Self {
            path: V1,
            signer: "alice".to_owned(),
            tls: "alice".to_owned(),
            payload,
            attachments: Vec::new(),
            signed_at: Timestamp::now(),
            lifetime_seconds: 300,
            soap_action: Some("\"\"".to_owned()),
            version: SoapVersion::V11,
        }
    }

    /// Signed and connected by this sender.
    pub fn by(mut self, sender: &str) -> Self {
        sender.clone_into(&mut self.signer);
        sender.clone_into(&mut self.tls);
        self
    }

    /// Changes the payload's text; it must be there.
    #[track_caller]
    pub fn replace(&mut self, from: &str, to: &str) {
        assert!(self.payload.contains(from), "{from} is not in {}", self.payload);
        self.payload = self.payload.replacen(from, to, 1);
    }

    pub fn sign(&self) -> Signed {
        let options = SignOptions {
            version: self.version,
            lifetime_seconds: self.lifetime_seconds,
            id_suffix: uuid::Uuid::new_v4().simple().to_string(),
            ..SignOptions::default()
        };
        Signed {
            path: self.path,
            tls: self.tls.clone(),
            root: sign_request(&self.payload, &signer(&self.signer), self.signed_at, &options).unwrap(),
            attachments: self.attachments.clone(),
            soap_action: self.soap_action.clone(),
            version: self.version,
        }
    }
}

impl Signed {
    /// The HTTP Content-Type and body: multipart/related where there are attachments, its version's own where there are none.
    pub fn http(&self) -> (String, Vec<u8>) {
        if self.attachments.is_empty() {
            return (self.version.content_type().to_owned(), self.root.clone());
        }
        let writer = Writer::new([7; 16]);
        let parts: Vec<_> = self
            .attachments
            .iter()
            .map(|part| (part.content_id.as_str(), part.content_type.as_str(), part.bytes.as_slice()))
            .collect();
        (writer.content_type(), writer.body(self.root.clone(), &parts).unwrap())
    }

    /// Signs the changed envelope anew: Timestamp, Body and a wsa:To, whatever else KeyInfo then says.
    pub fn sign_again(&mut self, signer: &str, key_info: Option<&str>, change: impl Fn(&str) -> String) {
        const PLACE: &str = "<!--signature-->";
        let text = String::from_utf8(self.root.clone()).unwrap();
        let start = text.find("<ds:Signature").unwrap();
        let end = text.find("</ds:Signature>").unwrap() + "</ds:Signature>".len();
        let named = text.split("<ds:KeyInfo>").nth(1).unwrap().split("</ds:KeyInfo>").next().unwrap();
        let changed = change(&format!("{}{PLACE}{}", &text[..start], &text[end..]));
        let document = Document::parse(changed.clone().into_bytes(), &Limits::default()).unwrap();
        let references: Vec<_> = document
            .root()
            .descendants_and_self()
            .filter_map(|element| {
                let id = element.attribute(Some(xmlsec::namespace::WSU), "Id")?.into_owned();
                ["TS-", "Body-", "To"].iter().any(|signed| id.starts_with(signed)).then_some((element, id))
            })
            .map(|(element, id)| SigningReference::over(element, &id, &[], DigestAlgorithm::Sha256).unwrap())
            .collect();
        let key_info = key_info.unwrap_or(named);
        let signature = xmlsec::signature::sign(&references, Some(key_info), &super::signer(signer)).unwrap();
        self.root = changed.replacen(PLACE, &signature.xml, 1).into_bytes();
    }

    /// Changes the signed envelope behind the signature's back; what is changed must be there.
    #[track_caller]
    pub fn replace(&mut self, from: &str, to: &str) {
        let text = String::from_utf8(self.root.clone()).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        self.root = text.replacen(from, to, 1).into_bytes();
    }
}

/// A document and annexes to a citizen with an e-Box.
pub fn submission(token: &str, files: &[Vec<u8>]) -> Submission {
    let part = |place: usize, bytes: &Vec<u8>| Part {
        title: format!("Letter {place}"),
        digest: StatedDigest { method: DigestMethod::Sha256, value: sha256(bytes).to_vec() },
        download_file_name: format!("letter-{place}.pdf"),
        mime: Some("application/pdf".to_owned()),
        document_type: (place == 0).then(|| "LETTER".to_owned()),
        language: (place == 0).then_some(erds::Language::Nl),
        content_id: format!("part-{place}@sender.example"),
    };
    let mut parts = files.iter().enumerate().map(|(place, bytes)| part(place, bytes));
    Submission {
        token: Token::parse(token).unwrap(),
        recipient: citizen(CITIZEN),
        document: parts.next().unwrap(),
        annexes: parts.collect(),
        meta: Vec::new(),
        check: EboxCheck::Activated,
        beside: Default::default(),
    }
}

pub fn citizen(inss: &str) -> Recipient {
    Recipient::Citizen {
        inss: Ssin::parse(inss, Strictness::Lax, jiff::civil::date(2026, 1, 1)).unwrap(),
        quality: QualityCode::parse("CITIZEN").unwrap(),
    }
}
