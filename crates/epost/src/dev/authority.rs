//! Test authorities: keys, certificates and CRLs, made by OpenSSL.
//!
//! Source: RFC 5280 §4 (certificates), §5 (CRLs); contract.md "Who the sender is" (the sector's names).

use jiff::Timestamp;
use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, CrlNumber, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName,
    SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Builder, X509Crl, X509CrlBuilder, X509Name, X509Ref, X509RevokedBuilder};

/// A certificate and its private key.
#[derive(Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: X509,
    /// The private key of that certificate.
    pub key: PKey<Private>,
}

/// What a certificate is made for; decides its extensions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Use {
    /// A CA: keyCertSign, cRLSign; at most this many CAs below it.
    Authority { path_len: u32 },
    /// An institution's application: signs messages and opens TLS connections.
    Sender,
    /// The TLS server on this machine.
    Server,
    /// The platform's seal: digitalSignature and nonRepudiation, no extended key usage.
    Seal,
    /// A time-stamping unit: the sole, critical extended key usage timeStamping (RFC 3161 §2.3).
    TimeStamping,
    /// A lie: a time-stamping unit without that extended key usage.
    TimeStampingWithoutUsage,
    /// A lie: that extended key usage, but not critical.
    TimeStampingNotCritical,
}

/// The first and last moment of a certificate's life.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Validity {
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
}

pub(crate) fn rsa_key() -> Result<PKey<Private>, ErrorStack> {
    PKey::from_rsa(Rsa::generate(2048)?)
}

pub(crate) fn p256_key() -> Result<PKey<Private>, ErrorStack> {
    PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?)?)
}

/// A name in the sector's form: C, O, the two fixed OUs, the environment's OU, CN.
pub(crate) fn sector_name(
    organization: &str,
    cbe: &str,
    environment: &str,
    common_name: &str,
) -> Result<X509Name, ErrorStack> {
    name(&[
        (Nid::COUNTRYNAME, "BE"),
        (Nid::ORGANIZATIONNAME, organization),
        (Nid::ORGANIZATIONALUNITNAME, "Belgian Federal Government"),
        (Nid::ORGANIZATIONALUNITNAME, &format!("urn:be:fgov:kbo-bce:organization:cbe-number:{cbe}")),
        (Nid::ORGANIZATIONALUNITNAME, environment),
        (Nid::COMMONNAME, common_name),
    ])
}

/// The name of a test authority.
pub(crate) fn plain_name(common_name: &str) -> Result<X509Name, ErrorStack> {
    name(&[
        (Nid::COUNTRYNAME, "BE"),
        (Nid::ORGANIZATIONNAME, "ePost test keys, NOT PRODUCTION"),
        (Nid::COMMONNAME, common_name),
    ])
}

fn name(entries: &[(Nid, &str)]) -> Result<X509Name, ErrorStack> {
    let mut builder = X509Name::builder()?;
    for (attribute, value) in entries {
        builder.append_entry_by_nid(*attribute, value)?;
    }
    Ok(builder.build())
}

/// A self-signed authority.
pub(crate) fn root(common_name: &str, validity: Validity) -> Result<Identity, ErrorStack> {
    let key = p256_key()?;
    let subject = plain_name(common_name)?;
    let mut builder = start(&subject, &key, validity)?;
    builder.set_issuer_name(&subject)?;
    extend(&mut builder, Use::Authority { path_len: 1 }, None)?;
    builder.sign(&key, MessageDigest::sha256())?;
    Ok(Identity { certificate: builder.build(), key })
}

impl Identity {
    /// A certificate for `key`, signed by this authority.
    pub(crate) fn issue(
        &self,
        subject: &X509Name,
        key: PKey<Private>,
        made_for: Use,
        validity: Validity,
    ) -> Result<Identity, ErrorStack> {
        let mut builder = start(subject, &key, validity)?;
        builder.set_issuer_name(self.certificate.subject_name())?;
        extend(&mut builder, made_for, Some(&self.certificate))?;
        builder.sign(&self.key, MessageDigest::sha256())?;
        Ok(Identity { certificate: builder.build(), key })
    }

    /// A CRL of this authority, in force from a minute before `now` for `days`, that names `revoked`.
    pub(crate) fn crl(&self, revoked: &[&X509Ref], now: Timestamp, days: i64) -> Result<X509Crl, ErrorStack> {
        let mut builder = X509CrlBuilder::new()?;
        builder.set_issuer_name(self.certificate.subject_name())?;
        let since = asn1(now.as_second() - 60)?;
        builder.set_last_update(&since)?;
        builder.set_next_update(&*asn1(now.as_second() + days * DAY_SECONDS)?)?;
        for certificate in revoked {
            let mut entry = X509RevokedBuilder::new()?;
            entry.set_serial_number(certificate.serial_number())?;
            entry.set_revocation_date(&since)?;
            builder.add_revoked(entry.build())?;
        }
        builder.sort()?;
        // The context's issuer gives the authority key identifier; there is no subject in a CRL.
        let authority_key = {
            let context_of = X509Builder::new()?;
            let context = context_of.x509v3_context(Some(&self.certificate), None);
            AuthorityKeyIdentifier::new().keyid(true).build(&context)?
        };
        builder.append_extension(authority_key)?;
        // Seconds since 1970: it grows with each issue, as RFC 5280 §5.2.3 demands.
        builder.append_extension(
            CrlNumber::new(BigNum::from_dec_str(&now.as_second().to_string())?)?.build()?,
        )?;
        builder.sign(&self.key, MessageDigest::sha256())?;
        builder.build()
    }
}

fn start(subject: &X509Name, key: &PKey<Private>, validity: Validity) -> Result<X509Builder, ErrorStack> {
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(&*random_serial()?)?;
    builder.set_subject_name(subject)?;
    builder.set_pubkey(key)?;
    builder.set_not_before(&*asn1(validity.from.as_second())?)?;
    builder.set_not_after(&*asn1(validity.until.as_second())?)?;
    Ok(builder)
}

fn extend(builder: &mut X509Builder, made_for: Use, issuer: Option<&X509Ref>) -> Result<(), ErrorStack> {
    let mut basic = BasicConstraints::new();
    let mut usage = KeyUsage::new();
    usage.critical();
    match made_for {
        Use::Authority { path_len } => {
            basic.critical().ca().pathlen(path_len);
            usage.key_cert_sign().crl_sign();
        }
        Use::Sender | Use::Seal => {
            usage.digital_signature().non_repudiation();
        }
        Use::Server | Use::TimeStamping | Use::TimeStampingWithoutUsage | Use::TimeStampingNotCritical => {
            usage.digital_signature();
        }
    }
    builder.append_extension(basic.build()?)?;
    builder.append_extension(usage.build()?)?;
    match made_for {
        Use::TimeStamping => {
            builder.append_extension(ExtendedKeyUsage::new().critical().time_stamping().build()?)?;
        }
        Use::TimeStampingNotCritical => {
            builder.append_extension(ExtendedKeyUsage::new().time_stamping().build()?)?;
        }
        Use::Server => {
            builder.append_extension(ExtendedKeyUsage::new().server_auth().build()?)?;
            let context = builder.x509v3_context(None, None);
            let names =
                SubjectAlternativeName::new().dns("localhost").ip("127.0.0.1").ip("::1").build(&context)?;
            builder.append_extension(names)?;
        }
        Use::Authority { .. } | Use::Sender | Use::Seal | Use::TimeStampingWithoutUsage => {}
    }
    let subject_key = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?;
    builder.append_extension(subject_key)?;
    if let Some(issuer) = issuer {
        let authority_key =
            AuthorityKeyIdentifier::new().keyid(true).build(&builder.x509v3_context(Some(issuer), None))?;
        builder.append_extension(authority_key)?;
    }
    Ok(())
}

fn random_serial() -> Result<Asn1Integer, ErrorStack> {
    let mut number = BigNum::new()?;
    // 127 bits: positive, and within the 20 octets of RFC 5280 §4.1.2.2.
    number.rand(127, MsbOption::ONE, false)?;
    number.to_asn1_integer()
}

fn asn1(second: i64) -> Result<Asn1Time, ErrorStack> {
    Asn1Time::from_unix(second)
}

pub(crate) const DAY_SECONDS: i64 = 24 * 60 * 60;
