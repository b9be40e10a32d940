//! Which certificate signed: the one that KeyInfo's SecurityTokenReference names, and no other.
//!
//! Sources: SOAP Message Security 1.0 §7, X.509 Token Profile 1.0 §3; `security.md` rows 9, 38–42; `clients.md` 5.

use super::name;
use super::namespace::{BASE64_BINARY, DS, THUMBPRINT_SHA1, WSSE, WSU, X509_PKI_PATH, X509_SKI, X509_V3};
use super::refuse::security;
use super::saml::{ASSERTION_ID_11, ASSERTION_ID_20, Assertion, SAML_20};
use super::thumbprint::sha1;
use erds::refusal::Refusal;
use pki::certificate::Certificate;
use pki::der::{self, tag};
use std::borrow::Cow;
use xmlsec::Element;

/// Bytes of one certificate: real ones have some two thousand.
const CERTIFICATE_BYTES_MAX: usize = 16 << 10;

/// Certificates of one PKIPath: a signer's, and three authorities above it.
const PATH_CERTIFICATES_MAX: usize = 4;

/// The signer's certificate and where it came from.
pub(super) struct Token<'d> {
    pub(super) certificate: Certificate,
    /// What came along with it: help in finding a path, and trusted for nothing.
    pub(super) authorities: Vec<Certificate>,
    /// The SAML assertion, where that is what KeyInfo names.
    pub(super) assertion: Option<Element<'d>>,
    /// KeyInfo's own SecurityTokenReference: the only one that an STR-Transform may be on.
    pub(super) reference: Element<'d>,
}

/// Finds the certificate that `key_info` names; `carried` is the header's BinarySecurityToken, `candidates` are those
/// that a bare name may mean.
pub(super) fn resolve<'d>(
    key_info: Option<Element<'d>>,
    carried: Option<Element<'d>>,
    assertion: Option<&Assertion<'d>>,
    candidates: &[Certificate],
) -> Result<Token<'d>, Refusal> {
    let reference = key_info
        .and_then(only_child)
        .filter(|element| element.is(WSSE, "SecurityTokenReference"))
        .ok_or_else(|| {
            form("wss.key-info.form", "another KeyInfo", "KeyInfo holding one wsse:SecurityTokenReference")
        })?;
    let named = only_child(reference)
        .ok_or_else(|| form("wss.key-info.reference", "none or several", "one reference to the token"))?;
    if let Some(assertion) = assertion.filter(|assertion| names(named, assertion)) {
        let (certificate, authorities) = (assertion.confirmed().clone(), Vec::new());
        other_than(&certificate, carried)?;
        return Ok(Token { certificate, authorities, assertion: Some(assertion.element()), reference });
    }
    let certificate = match (named.namespace(), named.local_name()) {
        (WSSE, "Reference") => {
            let (certificate, authorities) = binary_token(by_reference(named, carried)?)?;
            return Ok(Token { certificate, authorities, assertion: None, reference });
        }
        (WSSE, "KeyIdentifier") => by_key_identifier(named, candidates)?,
        (DS, "X509Data") => by_x509_data(named, candidates)?,
        (_, other) => {
            return Err(form(
                "wss.key-info.reference",
                other,
                "wsse:Reference, wsse:KeyIdentifier or ds:X509Data",
            ));
        }
    };
    other_than(&certificate, carried)?;
    Ok(Token { certificate, authorities: Vec::new(), assertion: None, reference })
}

/// A second token beside the one that is used would be one that nobody looks at.
fn other_than(certificate: &Certificate, carried: Option<Element<'_>>) -> Result<(), Refusal> {
    match carried {
        Some(token) if binary_token(token)?.0.der() != certificate.der() => {
            Err(form("wss.token.several", "a token that KeyInfo does not name", "one token"))
        }
        _ => Ok(()),
    }
}

/// Whether a reference is to that assertion, by its id (SAML Token Profile 1.1 §3.4).
fn names(named: Element<'_>, assertion: &Assertion<'_>) -> bool {
    let kind = named.attribute(None, "ValueType");
    let expected =
        if assertion.element().is(SAML_20, "Assertion") { ASSERTION_ID_20 } else { ASSERTION_ID_11 };
    match (named.namespace(), named.local_name()) {
        (WSSE, "KeyIdentifier") => {
            kind.as_deref() == Some(expected) && named.text().is_ok_and(|id| id.trim() == assertion.id())
        }
        (WSSE, "Reference") => {
            let uri = named.attribute(None, "URI").unwrap_or_default();
            uri.strip_prefix('#') == Some(assertion.id()) && kind.is_none_or(|kind| kind == expected)
        }
        _ => false,
    }
}

/// The one certificate, in DER, that an element's base64 holds.
pub(super) fn lone_certificate(element: Element<'_>) -> Result<Certificate, Refusal> {
    certificate(&decoded(element)?)
}

fn by_reference<'d>(reference: Element<'d>, carried: Option<Element<'d>>) -> Result<Element<'d>, Refusal> {
    let stated = |element: Element<'_>| element.attribute(None, "ValueType").map(Cow::into_owned);
    if let Some(kind) = stated(reference)
        && carried.and_then(stated).is_none_or(|carried| carried != kind)
    {
        return Err(form("wss.token.value-type", &kind, "the ValueType of the token"));
    }
    let uri = reference.attribute(None, "URI").unwrap_or_default();
    let token = carried.filter(|token| {
        let id = token.attribute(Some(WSU), "Id").or_else(|| token.attribute(None, "Id"));
        id.is_some_and(|id| !id.is_empty() && uri.strip_prefix('#') == Some(id.as_ref()))
    });
    token.ok_or_else(|| {
        form("wss.token.missing", &uri, "the wsu:Id of the BinarySecurityToken in the same Security header")
    })
}

/// Reads a BinarySecurityToken: the signer's certificate in DER, and those above it where it is a PKIPath.
fn binary_token(token: Element<'_>) -> Result<(Certificate, Vec<Certificate>), Refusal> {
    let kind = token.attribute(None, "ValueType").unwrap_or_default();
    encoding(token)?;
    match kind.as_ref() {
        X509_V3 => Ok((certificate(&decoded(token)?)?, Vec::new())),
        X509_PKI_PATH => path(&decoded(token)?),
        other => Err(form("wss.token.value-type", other, X509_V3)),
    }
}

/// `PkiPath ::= SEQUENCE OF Certificate`, the signer's last (X.509 §9.4), each issued by the one before it.
fn path(bytes: &[u8]) -> Result<(Certificate, Vec<Certificate>), Refusal> {
    let refused = |seen: &str| {
        form("wss.token.path", seen, "a PKIPath in DER: one to four certificates, the signer's last")
    };
    let list = der::whole(bytes, tag::SEQUENCE).and_then(|sequence| sequence.all(tag::SEQUENCE));
    let list = list.map_err(|_| refused("no SEQUENCE of certificates"))?;
    if list.len() > PATH_CERTIFICATES_MAX {
        return Err(refused(&format!("{} certificates", list.len())));
    }
    let mut path = list.iter().map(|one| certificate(one.whole)).collect::<Result<Vec<_>, _>>()?;
    let signer = path.pop().ok_or_else(|| refused("no certificate"))?;
    let mut below = &signer;
    for above in path.iter().rev() {
        if above.subject().der() != below.issuer().der() {
            return Err(refused("a certificate that is not its successor's issuer"));
        }
        below = above;
    }
    Ok((signer, path))
}

fn by_key_identifier(identifier: Element<'_>, candidates: &[Certificate]) -> Result<Certificate, Refusal> {
    encoding(identifier)?;
    let kind = identifier.attribute(None, "ValueType").unwrap_or_default();
    let value = decoded(identifier)?;
    match kind.as_ref() {
        X509_V3 => certificate(&value),
        X509_SKI => only(candidates, |known| known.subject_key_id() == Some(value.as_slice())),
        THUMBPRINT_SHA1 => only(candidates, |known| sha1(known.der()).as_slice() == value),
        other => Err(form("wss.key-info.value-type", other, X509_V3)),
    }
}

fn by_x509_data(data: Element<'_>, candidates: &[Certificate]) -> Result<Certificate, Refusal> {
    let one = || {
        form("wss.key-info.x509-data", "another X509Data", "one X509Certificate, X509IssuerSerial or X509SKI")
    };
    let child = only_child(data).ok_or_else(one)?;
    match (child.namespace(), child.local_name()) {
        (DS, "X509Certificate") => certificate(&decoded(child)?),
        (DS, "X509SKI") => {
            let value = decoded(child)?;
            only(candidates, |known| known.subject_key_id() == Some(value.as_slice()))
        }
        (DS, "X509IssuerSerial") => {
            let mut parts = child.children();
            let (issuer, serial) = match (parts.next(), parts.next(), parts.next()) {
                (Some(name), Some(serial), None)
                    if name.is(DS, "X509IssuerName") && serial.is(DS, "X509SerialNumber") =>
                {
                    (name.text().map_err(|_| one())?, serial.text().map_err(|_| one())?)
                }
                _ => return Err(one()),
            };
            let serial = serial_bytes(serial.trim()).ok_or_else(one)?;
            only(candidates, |known| {
                known.serial().iter().skip_while(|&&byte| byte == 0).eq(serial.iter())
                    && name::same(&known.issuer().to_string(), &issuer)
            })
        }
        _ => Err(one()),
    }
}

/// The candidate that fits, if exactly one does: ambiguity refuses.
fn only(candidates: &[Certificate], fits: impl Fn(&Certificate) -> bool) -> Result<Certificate, Refusal> {
    let mut found: Option<&Certificate> = None;
    for candidate in candidates.iter().filter(|candidate| fits(candidate)) {
        match found {
            Some(known) if known.der() != candidate.der() => {
                return Err(form(
                    "wss.token.ambiguous",
                    "a name that fits several certificates",
                    "one that fits one",
                ));
            }
            _ => found = Some(candidate),
        }
    }
    found.cloned().ok_or_else(|| {
        form(
            "wss.token.unresolved",
            "a name of a certificate that is neither carried nor that of the TLS connection",
            "a BinarySecurityToken, or the name of the TLS client certificate",
        )
    })
}

/// A decimal number as its big-endian bytes, without leading zeros.
fn serial_bytes(decimal: &str) -> Option<Vec<u8>> {
    // A serial number has at most 20 octets (RFC 5280 §4.1.2.2): 49 digits.
    if decimal.is_empty() || decimal.len() > 49 || !decimal.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut bytes: Vec<u8> = Vec::new();
    for digit in decimal.bytes() {
        let mut carry = u16::from(digit - b'0');
        for byte in bytes.iter_mut().rev() {
            let sum = u16::from(*byte) * 10 + carry;
            *byte = (sum & 0xff) as u8;
            carry = sum >> 8;
        }
        if carry > 0 {
            bytes.insert(0, carry as u8);
        }
    }
    Some(bytes)
}

fn encoding(element: Element<'_>) -> Result<(), Refusal> {
    match element.attribute(None, "EncodingType") {
        Some(encoding) if encoding != BASE64_BINARY => {
            Err(form("wss.token.encoding", &encoding, BASE64_BINARY))
        }
        _ => Ok(()),
    }
}

fn decoded(element: Element<'_>) -> Result<Vec<u8>, Refusal> {
    let text: Cow<'_, str> = element.text().map_err(|_| {
        form("wss.token.content", "an element", "base64 of one DER certificate or identifier")
    })?;
    if text.len() > 2 * CERTIFICATE_BYTES_MAX {
        let seen = format!("{} characters", text.len());
        return Err(form(
            "wss.token.size",
            &seen,
            &format!("at most {} characters", 2 * CERTIFICATE_BYTES_MAX),
        ));
    }
    xmlsec::base64::decode_text(&text)
        .map_err(|_| form("wss.token.content", "text that is not base64", "base64 of one DER certificate"))
}

fn certificate(der: &[u8]) -> Result<Certificate, Refusal> {
    Certificate::from_der(der).map_err(|error| {
        form("wss.token.certificate", &error.to_string(), "exactly one X.509 certificate in DER")
    })
}

fn only_child(element: Element<'_>) -> Option<Element<'_>> {
    let mut children = element.children();
    let first = children.next()?;
    (children.next().is_none() && !element.has_text_content()).then_some(first)
}

fn form(check: &'static str, seen: &str, expected: &str) -> Refusal {
    security(
        check,
        seen,
        expected,
        "Send the certificate once as wsse:BinarySecurityToken (X509v3, Base64Binary) and refer to it from KeyInfo.",
    )
}
