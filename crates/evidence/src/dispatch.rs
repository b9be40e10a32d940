//! ProofOfDispatch.xml: the fact that an item was placed in the recipient's box. Never that it was read.
//!
//! Source: `contract.md`, getStatus; schema `wsdl/v1/ProofOfDispatch.xsd`. Its own elements are in
//! [`PROOF_NAMESPACE`]; what is inside the recipient, the sender and the files has the contract's types and namespace.

use erds::{ChannelName, Environment};
use jiff::Timestamp;

use crate::description::{FileDigestMethod, ItemDescription, TYPES_NAMESPACE};
use crate::schema::{ProofReadError, Sequence, length_is, read_proof, start_proof, structure};

/// The namespace of our own proofs.
pub const PROOF_NAMESPACE: &str = "urn:epost:registeredmail:proof:v1";

/// What ProofOfDispatch.xml says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProofOfDispatchContent {
    /// The environment of the instance; every one but production is marked NOT PRODUCTION.
    pub environment: Environment,
    /// The item.
    pub item: ItemDescription,
    /// How it was placed.
    pub dispatch: DispatchDescription,
}

/// How an item was placed in a box.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DispatchDescription {
    /// The channel.
    pub channel: ChannelName,
    /// The channel's own name of the message.
    pub message_id: String,
    /// When ePost had the last byte of the sender's request, to the second.
    pub received_at: Timestamp,
    /// When ePost learned that the channel holds the item, to the second.
    pub consigned_at: Timestamp,
    /// SHA-256 of the channel's answer, 32 bytes.
    pub answer_sha256: [u8; 32],
}

impl ProofOfDispatchContent {
    /// The file's bytes; the same content always gives the same ones.
    pub fn to_xml(&self) -> Vec<u8> {
        let mut writer = start_proof(self.environment, ROOT, PROOF_NAMESPACE);
        writer.namespace("t", TYPES_NAMESPACE);
        self.item.write(&mut writer, true);
        writer.raw("\n  ").start("Dispatch");
        writer.raw("\n    ").element("Channel", self.dispatch.channel.as_str());
        writer.raw("\n    ").element("MessageId", &self.dispatch.message_id);
        writer.raw("\n    ").element("ReceivedAt", &to_the_second(self.dispatch.received_at));
        writer.raw("\n    ").element("ConsignedAt", &to_the_second(self.dispatch.consigned_at));
        writer.raw("\n    ").start("AnswerDigest");
        writer.raw("\n      ").element("DigestMethod", FileDigestMethod::Sha256.as_str());
        writer.raw("\n      ").start("DigestValue").base64(&self.dispatch.answer_sha256).end();
        writer.raw("\n    ").end().raw("\n  ").end().raw("\n").end().raw("\n");
        writer.finish()
    }

    /// Reads a proof of dispatch back, as strictly as its schema.
    ///
    /// # Errors
    /// [`ProofReadError`]: the file is not a proof of dispatch.
    pub fn parse(xml: &[u8]) -> Result<Self, ProofReadError> {
        let (document, environment) = read_proof(xml)?;
        let root = document.root();
        if !root.is(PROOF_NAMESPACE, ROOT) {
            return Err(structure(ROOT, root.local_name()));
        }
        let mut sequence = Sequence::of(root, PROOF_NAMESPACE, None)?;
        let item = ItemDescription::read(&mut sequence)?;
        let dispatch = DispatchDescription::read(sequence.required("Dispatch")?)?;
        sequence.end()?;
        Ok(Self { environment, item, dispatch })
    }
}

impl DispatchDescription {
    fn read(element: xmlsec::Element<'_>) -> Result<Self, ProofReadError> {
        const UTC: &str = "a time in UTC to the second, as 2026-01-31T23:59:59Z";
        let mut inner = Sequence::of(element, PROOF_NAMESPACE, None)?;
        let channel = inner.text("Channel", "a channel", |text| ChannelName::from_name(text).is_some())?;
        let channel = ChannelName::from_name(&channel)
            .ok_or(ProofReadError::Value { element: "Channel", expected: "a channel" })?;
        let message_id = inner.text("MessageId", "1 to 1000 characters", |text| length_is(text, 1, 1000))?;
        let received = inner.text("ReceivedAt", UTC, |text| parse_second(text).is_some())?;
        let consigned = inner.text("ConsignedAt", UTC, |text| parse_second(text).is_some())?;
        let mut digest = Sequence::of(inner.required("AnswerDigest")?, PROOF_NAMESPACE, None)?;
        digest.text("DigestMethod", "SHA-256", |text| text == FileDigestMethod::Sha256.as_str())?;
        let value = digest.text("DigestValue", "base64 of 32 bytes", |_| true)?;
        digest.end()?;
        inner.end()?;
        let answer_sha256 = base64_simd::STANDARD
            .decode_to_vec(value.trim_ascii())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(ProofReadError::Value { element: "DigestValue", expected: "base64 of 32 bytes" })?;
        let time =
            |element, text: &str| parse_second(text).ok_or(ProofReadError::Value { element, expected: UTC });
        Ok(Self {
            channel,
            message_id,
            received_at: time("ReceivedAt", &received)?,
            consigned_at: time("ConsignedAt", &consigned)?,
            answer_sha256,
        })
    }
}

/// `2026-01-31T23:59:59Z`: the second that the instant lies in.
pub(crate) fn to_the_second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Only the form that [`to_the_second`] writes.
pub(crate) fn parse_second(text: &str) -> Option<Timestamp> {
    text.parse().ok().filter(|at| to_the_second(*at) == text)
}

pub(crate) const ROOT: &str = "ProofOfDispatchContent";
