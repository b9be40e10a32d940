//! What the TSA stand-in can be told to do wrong.

use serde::{Deserialize, Serialize};

/// A misbehaviour asked for by `PUT /fault`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub struct Fault {
    /// What to do wrong.
    pub kind: Kind,
    /// To how many requests; the next ones get honest answers.
    #[serde(default = "once")]
    pub count: u64,
    /// Milliseconds to wait before the answer.
    #[serde(default)]
    pub delay_ms: u64,
}

fn once() -> u64 {
    1
}

/// Kinds of misbehaviour.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Nothing: ends the fault before.
    None,
    /// An honest answer after `delay_ms`.
    Slow,
    /// HTTP 503.
    Down,
    /// No answer at all.
    Hang,
    /// A TimeStampResp with status rejection.
    Reject,
    /// Status waiting, without a token.
    Waiting,
    /// Bytes that are no DER.
    Garbage,
    /// An honest answer cut in half.
    Truncated,
    /// A megabyte.
    Oversized,
    /// An HTML page with status 200.
    Html,
    /// A granted answer whose token lies.
    #[serde(untagged)]
    Lie(Lie),
}

/// One lie of a token; everything else in it is right.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lie {
    /// Another imprint.
    WrongImprint,
    /// The imprint is said to be SHA-1, and is of that length.
    Sha1Imprint,
    /// Another nonce.
    WrongNonce,
    /// The request's nonce is left out.
    NoNonce,
    /// A policy that nobody asked for.
    WrongPolicy,
    /// genTime 24 hours ago.
    Yesterday,
    /// genTime in an hour.
    Future,
    /// One bit of the signature value is flipped.
    BadSignature,
    /// The message-digest attribute is of other bytes.
    BadMessageDigest,
    /// The content-type attribute says id-data.
    BadContentType,
    /// The encapsulated content says id-data.
    BadEncapsulatedType,
    /// SigningCertificateV2 names another certificate.
    EssOtherCertificate,
    /// No SigningCertificate attribute.
    NoEss,
    /// No signed attributes but content type and message digest's place is empty.
    NoMessageDigest,
    /// The digest algorithm of the signature is SHA-1.
    Sha1Signature,
    /// The unit's certificate lacks the extended key usage timeStamping.
    NoEku,
    /// That extended key usage is there, not critical.
    EkuNotCritical,
    /// The unit's certificate has expired.
    Expired,
    /// The unit's certificate is of an authority with the right name and another key.
    UnknownCa,
    /// Two signers, the second one of an unknown authority.
    TwoSigners,
    /// No certificate, though certReq asked for it.
    NoCertificate,
    /// Bytes after the token's end, within the response.
    TrailingGarbage,
    /// TSTInfo of version 2.
    WrongVersion,
    /// A token that was issued before, for another request.
    Replayed,
}

impl Lie {
    /// Every lie, in order: what a checker must refuse one by one.
    pub const ALL: [Self; 24] = [
        Self::WrongImprint,
        Self::Sha1Imprint,
        Self::WrongNonce,
        Self::NoNonce,
        Self::WrongPolicy,
        Self::Yesterday,
        Self::Future,
        Self::BadSignature,
        Self::BadMessageDigest,
        Self::BadContentType,
        Self::BadEncapsulatedType,
        Self::EssOtherCertificate,
        Self::NoEss,
        Self::NoMessageDigest,
        Self::Sha1Signature,
        Self::NoEku,
        Self::EkuNotCritical,
        Self::Expired,
        Self::UnknownCa,
        Self::TwoSigners,
        Self::NoCertificate,
        Self::TrailingGarbage,
        Self::WrongVersion,
        Self::Replayed,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_words_of_the_wire() {
        let fault: Fault = serde_json::from_str(r#"{"kind":"sha1_imprint","count":3}"#).unwrap();
        assert_eq!(fault, Fault { kind: Kind::Lie(Lie::Sha1Imprint), count: 3, delay_ms: 0 });
        let fault: Fault = serde_json::from_str(r#"{"kind":"slow","delay_ms":40}"#).unwrap();
        assert_eq!(fault, Fault { kind: Kind::Slow, count: 1, delay_ms: 40 });
        assert!(serde_json::from_str::<Fault>(r#"{"kind":"honest"}"#).is_err());
    }
}
