//! TimeStampResp and its token, honest or with one lie in it.
//!
//! Source: RFC 3161 §2.4.2, RFC 5652 §5 (SignedData), RFC 5035 and RFC 5816 (ESSCertIDv2).

use jiff::Timestamp;
use openssl::error::ErrorStack;
use openssl::hash::{MessageDigest, hash};
use openssl::sign::Signer;
use openssl::x509::X509;

use super::super::authority::Identity;
use super::super::der::{
    self, GENERALIZED_TIME, OCTETS, SET, UTC_TIME, object, sequence, set_of, unsigned, value,
};
use super::fault::Lie;
use super::request::{FailInfo, Request};
use super::{TsaSetup, Units};

/// A TimeStampResp that grants `token`.
pub(super) fn granted(token: &[u8]) -> Vec<u8> {
    sequence(&[&sequence(&[&unsigned(&[0])]), token])
}

/// A TimeStampResp of `status` (2 rejection, 3 waiting) without a token.
pub(super) fn not_granted(status: u8, why: Option<FailInfo>) -> Vec<u8> {
    let failure = why.map(|bit| {
        let bit = bit as u8;
        let mut content = vec![7 - bit % 8];
        content.extend(vec![0; usize::from(bit / 8)]);
        content.push(0x80 >> (bit % 8));
        value(BIT_STRING, &[&content])
    });
    let text = sequence(&[&value(UTF8_STRING, &[b"ePost test TSA"])]);
    sequence(&[&sequence(&[&unsigned(&[status]), &text, failure.as_deref().unwrap_or_default()])])
}

/// A token over the request's imprint; `lie` is its only fault.
pub(super) fn token(
    setup: &TsaSetup,
    request: &Request<'_>,
    serial: u64,
    now: Timestamp,
    lie: Option<Lie>,
) -> Result<Vec<u8>, ErrorStack> {
    let info = tst_info(setup, request, serial, now, lie)?;
    let unit = unit(&setup.units, lie);
    let mut signers = vec![signer_info(setup, unit, &info, now, lie)?];
    let mut certificates = Vec::new();
    if request.wants_certificate && lie != Some(Lie::NoCertificate) {
        certificates.push(unit.certificate.to_der()?);
        certificates.push(setup.intermediate.to_der()?);
    }
    if lie == Some(Lie::TwoSigners) {
        signers.push(signer_info(setup, &setup.units.unknown_ca, &info, now, None)?);
        certificates.push(setup.units.unknown_ca.certificate.to_der()?);
    }
    let content_type = if lie == Some(Lie::BadEncapsulatedType) { ID_DATA } else { ID_TST_INFO };
    let content = sequence(&[&object(content_type), &value(0xa0, &[&value(OCTETS, &[&info])])]);
    let certificates = if certificates.is_empty() { Vec::new() } else { set_of(0xa0, certificates) };
    let signed_data = sequence(&[
        &unsigned(&[3]),
        &value(SET, &[&digest_algorithm(lie)]),
        &content,
        &certificates,
        &set_of(SET, signers),
    ]);
    let mut token = sequence(&[&object(ID_SIGNED_DATA), &value(0xa0, &[&signed_data])]);
    if lie == Some(Lie::TrailingGarbage) {
        token.extend_from_slice(&[0, 0, 0]);
    }
    Ok(token)
}

fn unit(units: &Units, lie: Option<Lie>) -> &Identity {
    match lie {
        Some(Lie::NoEku) => &units.no_eku,
        Some(Lie::EkuNotCritical) => &units.eku_not_critical,
        Some(Lie::Expired) => &units.expired,
        Some(Lie::UnknownCa) => &units.unknown_ca,
        _ => &units.honest,
    }
}

fn tst_info(
    setup: &TsaSetup,
    request: &Request<'_>,
    serial: u64,
    now: Timestamp,
    lie: Option<Lie>,
) -> Result<Vec<u8>, ErrorStack> {
    let version: u8 = if lie == Some(Lie::WrongVersion) { 2 } else { 1 };
    let policy = match (lie, request.policy) {
        (Some(Lie::WrongPolicy), _) => object(POLICY_OF_NOBODY),
        (_, Some(asked)) => asked.to_vec(),
        (_, None) => setup.policies.first().map(|policy| object(policy)).unwrap_or_default(),
    };
    let imprint = match lie {
        Some(Lie::WrongImprint) => {
            let other = request.imprint.iter().map(|byte| !byte).collect::<Vec<u8>>();
            sequence(&[request.algorithm, &value(OCTETS, &[&other])])
        }
        Some(Lie::Sha1Imprint) => {
            let shorter = request.imprint.get(..20).unwrap_or_default();
            sequence(&[&sequence(&[&object(SHA1)]), &value(OCTETS, &[shorter])])
        }
        _ => sequence(&[request.algorithm, &value(OCTETS, &[request.imprint])]),
    };
    let nonce = match (lie, request.nonce) {
        (Some(Lie::NoNonce), _) | (_, None) => Vec::new(),
        (Some(Lie::WrongNonce), Some(_)) => unsigned(&[0x5a; 8]),
        (_, Some(sent)) => sent.to_vec(),
    };
    let offset_seconds = match lie {
        Some(Lie::Yesterday) => -24 * 3600,
        Some(Lie::Future) => 3600,
        _ => 0,
    };
    let at = now.saturating_add(jiff::SignedDuration::from_secs(offset_seconds)).unwrap_or(now);
    // Accuracy of one second and 500 milliseconds; the [0] is IMPLICIT INTEGER.
    let accuracy = sequence(&[&unsigned(&[1]), &value(0x80, &[&[0x01, 0xf4]])]);
    let name = value(0xa0, &[&value(0xa4, &[&setup.units.honest.certificate.subject_name().to_der()?])]);
    Ok(sequence(&[
        &unsigned(&[version]),
        &policy,
        &imprint,
        &unsigned(&serial.to_be_bytes()),
        &value(GENERALIZED_TIME, &[generalized(at, setup.fractional_seconds).as_bytes()]),
        &accuracy,
        &nonce,
        &name,
    ]))
}

/// DER's GeneralizedTime: UTC, no trailing zero in the fraction.
fn generalized(at: Timestamp, fractional: bool) -> String {
    let millis = at.subsec_millisecond();
    let whole = at.strftime("%Y%m%d%H%M%S");
    if !fractional || millis == 0 {
        return format!("{whole}Z");
    }
    let fraction = format!("{millis:03}");
    format!("{whole}.{}Z", fraction.trim_end_matches('0'))
}

fn signer_info(
    setup: &TsaSetup,
    unit: &Identity,
    info: &[u8],
    now: Timestamp,
    lie: Option<Lie>,
) -> Result<Vec<u8>, ErrorStack> {
    let md = if lie == Some(Lie::Sha1Signature) { MessageDigest::sha1() } else { MessageDigest::sha256() };
    let mut digest = hash(md, info)?.to_vec();
    if lie == Some(Lie::BadMessageDigest) {
        digest.iter_mut().take(1).for_each(|byte| *byte ^= 1);
    }
    let content_type = if lie == Some(Lie::BadContentType) { ID_DATA } else { ID_TST_INFO };
    let mut attributes = vec![
        attribute("1.2.840.113549.1.9.3", &object(content_type)),
        attribute(
            "1.2.840.113549.1.9.5",
            &value(UTC_TIME, &[now.strftime("%y%m%d%H%M%SZ").to_string().as_bytes()]),
        ),
    ];
    if lie != Some(Lie::NoMessageDigest) {
        attributes.push(attribute("1.2.840.113549.1.9.4", &value(OCTETS, &[&digest])));
    }
    if lie != Some(Lie::NoEss) {
        let named = if lie == Some(Lie::EssOtherCertificate) { &setup.units.other } else { unit };
        attributes.push(attribute("1.2.840.113549.1.9.16.2.47", &ess_cert_id_v2(&named.certificate)?));
    }
    // Signed as SET OF (RFC 5652 §5.4), carried under [0].
    let signed = set_of(SET, attributes.clone());
    let mut signer = Signer::new(md, &unit.key)?;
    let mut signature = signer.sign_oneshot_to_vec(&signed)?;
    if lie == Some(Lie::BadSignature) {
        signature.iter_mut().rev().take(1).for_each(|byte| *byte ^= 1);
    }
    let signature_algorithm =
        if lie == Some(Lie::Sha1Signature) { "1.2.840.10045.4.1" } else { "1.2.840.10045.4.3.2" };
    Ok(sequence(&[
        &unsigned(&[1]),
        &sequence(&[&unit.certificate.issuer_name().to_der()?, &serial_of(&unit.certificate)?]),
        &digest_algorithm(lie),
        &set_of(0xa0, attributes),
        &sequence(&[&object(signature_algorithm)]),
        &value(OCTETS, &[&signature]),
    ]))
}

fn attribute(kind: &str, content: &[u8]) -> Vec<u8> {
    sequence(&[&object(kind), &value(SET, &[content])])
}

/// SigningCertificateV2 with one ESSCertIDv2; SHA-256 is the DEFAULT and therefore left out.
fn ess_cert_id_v2(certificate: &X509) -> Result<Vec<u8>, ErrorStack> {
    let fingerprint = hash(MessageDigest::sha256(), &certificate.to_der()?)?;
    let issuer = sequence(&[&value(0xa4, &[&certificate.issuer_name().to_der()?])]);
    let issuer_serial = sequence(&[&issuer, &serial_of(certificate)?]);
    let id = sequence(&[&value(OCTETS, &[&fingerprint]), &issuer_serial]);
    Ok(sequence(&[&sequence(&[&id])]))
}

fn serial_of(certificate: &X509) -> Result<Vec<u8>, ErrorStack> {
    Ok(unsigned(&certificate.serial_number().to_bn()?.to_vec()))
}

fn digest_algorithm(lie: Option<Lie>) -> Vec<u8> {
    sequence(&[&object(if lie == Some(Lie::Sha1Signature) { SHA1 } else { SHA256 })])
}

/// The OBJECT IDENTIFIER, encoded, of each policy that the stand-in serves.
pub(super) fn serves(setup: &TsaSetup, policy: &[u8]) -> bool {
    setup.policies.iter().any(|served| der::object(served) == policy)
}

const ID_DATA: &str = "1.2.840.113549.1.7.1";
const ID_SIGNED_DATA: &str = "1.2.840.113549.1.7.2";
const ID_TST_INFO: &str = "1.2.840.113549.1.9.16.1.4";
const SHA1: &str = "1.3.14.3.2.26";
const SHA256: &str = "2.16.840.1.101.3.4.2.1";
const POLICY_OF_NOBODY: &str = "1.2.3.4.99";
const BIT_STRING: u8 = 0x03;
const UTF8_STRING: u8 = 0x0c;
