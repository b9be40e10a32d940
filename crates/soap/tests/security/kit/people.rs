//! A small PKI in the sector's form: root, issuing CA, senders.

use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{AuthorityKeyIdentifier, BasicConstraints, KeyUsage, SubjectKeyIdentifier};
use openssl::x509::{X509, X509Builder, X509NameBuilder};
use pki::certificate::Certificate;
use pki::path::TrustAnchors;
use pki::signer::FileSigner;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Clone, Copy)]
pub(crate) enum KeyKind {
    Rsa,
    RsaWeak,
    P256,
}

pub(crate) struct Person {
    pub(crate) units: Vec<String>,
    pub(crate) name: &'static str,
    pub(crate) not_before: &'static str,
    pub(crate) not_after: &'static str,
    pub(crate) sign_usage: bool,
}

impl Person {
    fn new(cbe: &str, name: &'static str) -> Self {
        Self {
            units: vec![
                "Belgian Federal Government".to_owned(),
                format!("urn:be:fgov:kbo-bce:organization:cbe-number:{cbe}"),
                "TST".to_owned(),
            ],
            name,
            not_before: "20200101000000Z",
            not_after: "20350101000000Z",
            sign_usage: true,
        }
    }

    pub(crate) fn alice() -> Self {
        Self::new("0244640631", "urn:be:test:alice")
    }

    pub(crate) fn bob() -> Self {
        Self::new("0206731645", "urn:be:test:bob")
    }
}

pub(crate) struct Identity {
    pub(crate) certificate: X509,
    pub(crate) key: PKey<Private>,
}

impl Identity {
    pub(crate) fn der(&self) -> Vec<u8> {
        self.certificate.to_der().expect("DER")
    }

    pub(crate) fn base64(&self) -> String {
        openssl::base64::encode_block(&self.der())
    }

    pub(crate) fn read(&self) -> Certificate {
        Certificate::from_der(&self.der()).expect("a certificate")
    }

    pub(crate) fn signer(&self) -> FileSigner {
        let key = self.key.private_key_to_pem_pkcs8().expect("PEM");
        let certificate = self.certificate.to_pem().expect("PEM");
        FileSigner::from_pem(&key, &certificate).expect("a signer")
    }
}

pub(crate) struct Pki {
    root: Identity,
    issuing: Identity,
}

/// The one that the service trusts.
pub(crate) fn pki() -> &'static Pki {
    static PKI: OnceLock<Pki> = OnceLock::new();
    PKI.get_or_init(Pki::new)
}

impl Pki {
    /// A root and an issuing CA of the same names every time.
    pub(crate) fn new() -> Self {
        let root = certify(None, &["CAs".to_owned()], "Test Root", &Validity::LONG, Use::Ca, KeyKind::Rsa);
        let issuing = certify(
            Some(&root),
            &["CAs".to_owned()],
            "Test Issuing CA",
            &Validity::LONG,
            Use::Ca,
            KeyKind::Rsa,
        );
        Self { root, issuing }
    }

    pub(crate) fn anchors(&self) -> TrustAnchors {
        TrustAnchors::new(vec![self.root.read()], vec![self.issuing.read()])
    }

    pub(crate) fn issue(&self, person: &Person, kind: KeyKind) -> Identity {
        let validity = Validity(person.not_before, person.not_after);
        let usage = if person.sign_usage { Use::Sign } else { Use::Encrypt };
        certify(Some(&self.issuing), &person.units, person.name, &validity, usage, kind)
    }
}

struct Validity(&'static str, &'static str);

impl Validity {
    const LONG: Self = Self("20200101000000Z", "20400101000000Z");
}

#[derive(Clone, Copy, PartialEq)]
enum Use {
    Ca,
    Sign,
    Encrypt,
}

fn certify(
    issuer: Option<&Identity>,
    units: &[String],
    name: &str,
    validity: &Validity,
    usage: Use,
    kind: KeyKind,
) -> Identity {
    static SERIAL: AtomicU32 = AtomicU32::new(1000);
    let key = match kind {
        KeyKind::Rsa => PKey::from_rsa(Rsa::generate(2048).expect("RSA")),
        KeyKind::RsaWeak => PKey::from_rsa(Rsa::generate(1024).expect("RSA")),
        KeyKind::P256 => {
            let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("curve");
            PKey::from_ec_key(EcKey::generate(&group).expect("EC"))
        }
    }
    .expect("a key");
    let mut subject = X509NameBuilder::new().expect("name");
    subject.append_entry_by_text("C", "BE").expect("C");
    subject.append_entry_by_text("O", "Test, NV").expect("O");
    for unit in units {
        subject.append_entry_by_text("OU", unit).expect("OU");
    }
    subject.append_entry_by_text("CN", name).expect("CN");
    let subject = subject.build();
    let mut builder = X509Builder::new().expect("builder");
    builder.set_version(2).expect("version");
    let serial = BigNum::from_u32(SERIAL.fetch_add(1, Ordering::Relaxed)).expect("number");
    builder.set_serial_number(&Asn1Integer::from_bn(&serial).expect("serial")).expect("serial");
    builder.set_subject_name(&subject).expect("subject");
    builder.set_issuer_name(issuer.map_or(&*subject, |ca| ca.certificate.subject_name())).expect("issuer");
    builder.set_not_before(&Asn1Time::from_str(validity.0).expect("time")).expect("time");
    builder.set_not_after(&Asn1Time::from_str(validity.1).expect("time")).expect("time");
    builder.set_pubkey(&key).expect("key");
    extend(&mut builder, issuer, usage);
    builder.sign(issuer.map_or(&key, |ca| &ca.key), MessageDigest::sha256()).expect("signed");
    Identity { certificate: builder.build(), key }
}

fn extend(builder: &mut X509Builder, issuer: Option<&Identity>, usage: Use) {
    let mut basic = BasicConstraints::new();
    basic.critical();
    let mut keys = KeyUsage::new();
    keys.critical();
    match usage {
        Use::Ca => {
            basic.ca();
            keys.key_cert_sign().crl_sign();
        }
        Use::Sign => {
            keys.digital_signature().non_repudiation();
        }
        Use::Encrypt => {
            keys.key_encipherment();
        }
    }
    builder.append_extension(basic.build().expect("basic")).expect("basic");
    builder.append_extension(keys.build().expect("usage")).expect("usage");
    let issuer = issuer.map(|ca| &*ca.certificate);
    let subject_key = SubjectKeyIdentifier::new().build(&builder.x509v3_context(issuer, None)).expect("SKI");
    builder.append_extension(subject_key).expect("SKI");
    if issuer.is_some() {
        let authority = AuthorityKeyIdentifier::new()
            .keyid(true)
            .build(&builder.x509v3_context(issuer, None))
            .expect("AKI");
        builder.append_extension(authority).expect("AKI");
    }
}
