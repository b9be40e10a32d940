//! A stand-in token service: signs SAML assertions about whoever holds a test key.
//!
//! Everything is written in its canonical form at once, so that nothing here canonicalises.
//!
//! Source: SAML 2.0 and 1.1 Core §2; SAML Token Profile 1.1 §3.5 (holder-of-key).

use std::path::Path;

use jiff::Timestamp;
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::hash::{MessageDigest, hash};
use openssl::sign::Signer;

use super::authority::{self, Identity, Validity};
use super::pki::{PkiError, days_after, read_identity, write_file};

/// What it says as Issuer.
pub const ISSUER: &str = "urn:epost:test:sts";
/// The audience that its assertions are for.
pub const AUDIENCE: &str = "urn:epost:test:registeredmail";

const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";

/// The token service, with its key at hand.
pub struct TokenServiceStandIn {
    identity: Identity,
}

/// An assertion that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// SAML 2.0; else 1.1.
    pub v2: bool,
    /// Its id: an NCName.
    pub id: &'a str,
    /// Whom it is about: plain text without markup.
    pub name: &'a str,
    /// DER of the certificate whose key the subject must hold.
    pub holder: &'a [u8],
    /// From now on.
    pub from: Timestamp,
    /// Until then.
    pub until: Timestamp,
    /// For one use.
    pub once: bool,
}

impl TokenServiceStandIn {
    /// Opens `sts.crt` and `sts.key` in a folder, or makes them.
    ///
    /// # Errors
    /// The folder's, or OpenSSL's.
    pub fn open_or_create(folder: &Path, now: Timestamp) -> Result<Self, PkiError> {
        if folder.join("sts.crt").exists() {
            return Ok(Self { identity: read_identity(folder, "sts")? });
        }
        let validity = Validity { from: days_after(now, -1), until: days_after(now, 3650) };
        let identity = authority::root("Test token service", validity)?;
        write_file(&folder.join("sts.key"), &identity.key.private_key_to_pem_pkcs8()?, 0o600)?;
        write_file(&folder.join("sts.crt"), &identity.certificate.to_pem()?, 0o644)?;
        Ok(Self { identity })
    }

    /// A signed assertion.
    ///
    /// # Errors
    /// OpenSSL's.
    pub fn assertion(&self, asked: &Asked<'_>) -> Result<String, ErrorStack> {
        let (before, after) = if asked.v2 { v2(asked) } else { v1(asked) };
        let digest = hash(MessageDigest::sha256(), format!("{before}{after}").as_bytes())?;
        let info = format!(
            "<ds:SignedInfo xmlns:ds=\"{DS}\"><ds:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\"></ds:CanonicalizationMethod>\
             <ds:SignatureMethod Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256\"></ds:SignatureMethod>\
             <ds:Reference URI=\"#{}\"><ds:Transforms><ds:Transform Algorithm=\"{DS}enveloped-signature\"></ds:Transform>\
             <ds:Transform Algorithm=\"{EXCLUSIVE}\"></ds:Transform></ds:Transforms>\
             <ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></ds:DigestMethod>\
             <ds:DigestValue>{}</ds:DigestValue></ds:Reference></ds:SignedInfo>",
            asked.id,
            openssl::base64::encode_block(&digest)
        );
        let value =
            Signer::new(MessageDigest::sha256(), &self.identity.key)?.sign_oneshot_to_vec(info.as_bytes())?;
        let value = EcdsaSig::from_der(&value)?;
        let value = [value.r().to_vec_padded(32)?, value.s().to_vec_padded(32)?].concat();
        let value = openssl::base64::encode_block(&value);
        let signature = format!(
            "<ds:Signature xmlns:ds=\"{DS}\">{info}<ds:SignatureValue>{value}</ds:SignatureValue></ds:Signature>"
        );
        Ok(format!("{before}{signature}{after}"))
    }
}

fn key_info(holder: &[u8]) -> String {
    let certificate = openssl::base64::encode_block(holder);
    format!(
        "<ds:KeyInfo xmlns:ds=\"{DS}\"><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
    )
}

/// The assertion before and after the place of its signature.
fn v2(asked: &Asked<'_>) -> (String, String) {
    let once = if asked.once { "<saml:OneTimeUse></saml:OneTimeUse>" } else { "" };
    let Asked { id, name, from, until, .. } = asked;
    let before = format!(
        "<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"{id}\" IssueInstant=\"{from:.0}\" Version=\"2.0\">\
         <saml:Issuer>{ISSUER}</saml:Issuer>"
    );
    let after = format!(
        "<saml:Subject><saml:NameID>{name}</saml:NameID><saml:SubjectConfirmation \
         Method=\"urn:oasis:names:tc:SAML:2.0:cm:holder-of-key\"><saml:SubjectConfirmationData>{}</saml:SubjectConfirmationData>\
         </saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore=\"{from:.0}\" NotOnOrAfter=\"{until:.0}\">\
         <saml:AudienceRestriction><saml:Audience>{AUDIENCE}</saml:Audience></saml:AudienceRestriction>{once}</saml:Conditions>\
         </saml:Assertion>",
        key_info(asked.holder)
    );
    (before, after)
}

fn v1(asked: &Asked<'_>) -> (String, String) {
    let once = if asked.once { "<saml:DoNotCacheCondition></saml:DoNotCacheCondition>" } else { "" };
    let Asked { id, name, from, until, .. } = asked;
    let before = format!(
        "<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:1.0:assertion\" AssertionID=\"{id}\" IssueInstant=\"{from:.0}\" \
         Issuer=\"{ISSUER}\" MajorVersion=\"1\" MinorVersion=\"1\"><saml:Conditions NotBefore=\"{from:.0}\" NotOnOrAfter=\"{until:.0}\">\
         <saml:AudienceRestrictionCondition><saml:Audience>{AUDIENCE}</saml:Audience></saml:AudienceRestrictionCondition>{once}\
         </saml:Conditions><saml:AuthenticationStatement AuthenticationInstant=\"{from:.0}\" \
         AuthenticationMethod=\"urn:ietf:rfc:2246\"><saml:Subject><saml:NameIdentifier>{name}</saml:NameIdentifier>\
         <saml:SubjectConfirmation><saml:ConfirmationMethod>urn:oasis:names:tc:SAML:1.0:cm:holder-of-key</saml:ConfirmationMethod>{}\
         </saml:SubjectConfirmation></saml:Subject></saml:AuthenticationStatement>",
        key_info(asked.holder)
    );
    (before, "</saml:Assertion>".to_owned())
}
