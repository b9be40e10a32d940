//! TimeStampReq as it arrives (RFC 3161 §2.4.1).

use super::super::der::{self, BOOLEAN, INTEGER, OBJECT, OCTETS, SEQUENCE};

/// What the stand-in needs of a request.
pub(super) struct Request<'a> {
    /// The AlgorithmIdentifier, as sent.
    pub(super) algorithm: &'a [u8],
    pub(super) imprint: &'a [u8],
    /// The OBJECT IDENTIFIER, as sent.
    pub(super) policy: Option<&'a [u8]>,
    /// The INTEGER, as sent.
    pub(super) nonce: Option<&'a [u8]>,
    pub(super) wants_certificate: bool,
}

/// PKIFailureInfo bits of RFC 3161 §2.4.2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FailInfo {
    BadAlg = 0,
    BadDataFormat = 5,
    UnacceptedPolicy = 15,
    UnacceptedExtension = 16,
    SystemFailure = 25,
}

impl<'a> Request<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, FailInfo> {
        let mut rest = bytes;
        let outer =
            der::expect(&mut rest, SEQUENCE).filter(|_| rest.is_empty()).ok_or(FailInfo::BadDataFormat)?;
        Self::parse_fields(outer.content).ok_or(FailInfo::BadDataFormat)?
    }

    fn parse_fields(mut fields: &'a [u8]) -> Option<Result<Self, FailInfo>> {
        if der::expect(&mut fields, INTEGER)?.content != [1] {
            return None;
        }
        let mut message_imprint = der::expect(&mut fields, SEQUENCE)?.content;
        let algorithm = der::expect(&mut message_imprint, SEQUENCE)?;
        let imprint = der::expect(&mut message_imprint, OCTETS)?.content;
        let policy = der::optional(&mut fields, OBJECT).map(|value| value.whole);
        let nonce = der::optional(&mut fields, INTEGER).map(|value| value.whole);
        let wants_certificate =
            der::optional(&mut fields, BOOLEAN).is_some_and(|value| value.content == [0xff]);
        if der::optional(&mut fields, 0xa0).is_some() {
            return Some(Err(FailInfo::UnacceptedExtension));
        }
        if !fields.is_empty() || !message_imprint.is_empty() {
            return None;
        }
        let kind = der::expect(&mut { algorithm.content }, OBJECT)?.whole;
        let known = SHA2.iter().any(|(dotted, bytes)| der::object(dotted) == kind && imprint.len() == *bytes);
        if !known {
            return Some(Err(FailInfo::BadAlg));
        }
        Some(Ok(Self { algorithm: algorithm.whole, imprint, policy, nonce, wants_certificate }))
    }
}

const SHA2: [(&str, usize); 3] =
    [("2.16.840.1.101.3.4.2.1", 32), ("2.16.840.1.101.3.4.2.2", 48), ("2.16.840.1.101.3.4.2.3", 64)];
