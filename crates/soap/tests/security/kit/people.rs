//! A small PKI in the sector's form: root, issuing CA, senders.

use openssl::asn1::{Asn1Integer, Asn1Object, Asn1OctetString, Asn1Time};
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private, Public};
use openssl::rsa::Rsa;
use openssl::x509::extension::{AuthorityKeyIdentifier, BasicConstraints, KeyUsage, SubjectKeyIdentifier};
use openssl::x509::{X509, X509Builder, X509Extension, X509NameBuilder};
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
    P384,
}

/// What a certificate is, beyond its person.
pub(crate) struct Wish<'a> {
    /// Instead of the issuing CA.
    pub(crate) issuer: Option<&'a Identity>,
    pub(crate) usage: Use,
    pub(crate) path_length: Option<u32>,
    pub(crate) extensions: Vec<X509Extension>,
    pub(crate) subject_key_id: Option<Vec<u8>>,
    /// What it is issued with.
    pub(crate) digest: MessageDigest,
    /// Instead of the key's own.
    pub(crate) public_key: Option<PKey<Public>>,
}

impl Default for Wish<'_> {
    fn default() -> Self {
        Self {
            issuer: None,
            usage: Use::Sign,
            path_length: None,
            extensions: Vec::new(),
            subject_key_id: None,
            digest: MessageDigest::sha256(),
            public_key: None,
        }
    }
}

/// An extension of any content.
pub(crate) fn extension(oid: &str, critical: bool, der: &[u8]) -> X509Extension {
    let oid = Asn1Object::from_str(oid).expect("an OID");
    let der = Asn1OctetString::new_from_bytes(der).expect("octets");
    X509Extension::new_from_der(&oid, critical, &der).expect("an extension")
}

pub(crate) struct Person {
    pub(crate) units: Vec<String>,
    pub(crate) name: &'static str,
    pub(crate) not_before: &'static str,
    pub(crate) not_after: &'static str,
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
        let authority = |issuer: Option<&Identity>, name| {
            let wish = Wish { usage: Use::Ca, ..Wish::default() };
            certify(issuer, &["CAs".to_owned()], name, &Validity::LONG, &wish, KeyKind::Rsa)
        };
        let root = authority(None, "Test Root");
        let issuing = authority(Some(&root), "Test Issuing CA");
        Self { root, issuing }
    }

    pub(crate) fn anchors(&self, more: &[Certificate]) -> TrustAnchors {
        let intermediates = std::iter::once(self.issuing.read()).chain(more.iter().cloned());
        TrustAnchors::new(vec![self.root.read()], intermediates.collect())
    }

    /// The issuing CA, then its root.
    pub(crate) fn authorities(&self) -> [&Identity; 2] {
        [&self.issuing, &self.root]
    }

    pub(crate) fn issue(&self, person: &Person, kind: KeyKind) -> Identity {
        self.grant(person, kind, &Wish::default())
    }

    pub(crate) fn grant(&self, person: &Person, kind: KeyKind, wish: &Wish<'_>) -> Identity {
        let validity = Validity(person.not_before, person.not_after);
        let issuer = wish.issuer.unwrap_or(&self.issuing);
        certify(Some(issuer), &person.units, person.name, &validity, wish, kind)
    }
}

/// A certificate of that name by its own key.
pub(crate) fn self_signed(person: &Person) -> Identity {
    let validity = Validity(person.not_before, person.not_after);
    certify(None, &person.units, person.name, &validity, &Wish::default(), KeyKind::Rsa)
}

struct Validity(&'static str, &'static str);

impl Validity {
    const LONG: Self = Self("20200101000000Z", "20400101000000Z");
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Use {
    Ca,
    /// An authority that may sign anything else too.
    SigningCa,
    Sign,
    Encrypt,
}

fn certify(
    issuer: Option<&Identity>,
    units: &[String],
    name: &str,
    validity: &Validity,
    wish: &Wish<'_>,
    kind: KeyKind,
) -> Identity {
    static SERIAL: AtomicU32 = AtomicU32::new(1000);
    let key = match kind {
        KeyKind::Rsa => PKey::from_rsa(Rsa::generate(2048).expect("RSA")),
        KeyKind::RsaWeak => PKey::from_rsa(Rsa::generate(1024).expect("RSA")),
        KeyKind::P256 => curve(Nid::X9_62_PRIME256V1),
        KeyKind::P384 => curve(Nid::SECP384R1),
    }
    .expect("a key");
    let mut subject = X509NameBuilder::new().expect("name");
    subject.append_entry_by_text("C", "BE").expect("C");
    subject.append_entry_by_text("O", "Test, NV").expect("O");
    for unit in units {
        subject.append_entry_by_text("OU", unit).expect("OU");
    }
    if !name.is_empty() {
        subject.append_entry_by_text("CN", name).expect("CN");
    }
    let subject = subject.build();
    let mut builder = X509Builder::new().expect("builder");
    builder.set_version(2).expect("version");
    let serial = BigNum::from_u32(SERIAL.fetch_add(1, Ordering::Relaxed)).expect("number");
    builder.set_serial_number(&Asn1Integer::from_bn(&serial).expect("serial")).expect("serial");
    builder.set_subject_name(&subject).expect("subject");
    builder.set_issuer_name(issuer.map_or(&*subject, |ca| ca.certificate.subject_name())).expect("issuer");
    builder.set_not_before(&Asn1Time::from_str(validity.0).expect("time")).expect("time");
    builder.set_not_after(&Asn1Time::from_str(validity.1).expect("time")).expect("time");
    match &wish.public_key {
        Some(other) => builder.set_pubkey(other).expect("key"),
        None => builder.set_pubkey(&key).expect("key"),
    }
    extend(&mut builder, issuer, wish);
    builder.sign(issuer.map_or(&key, |ca| &ca.key), wish.digest).expect("signed");
    Identity { certificate: builder.build(), key }
}

fn curve(name: Nid) -> Result<PKey<Private>, openssl::error::ErrorStack> {
    PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(name)?)?)
}

fn extend(builder: &mut X509Builder, issuer: Option<&Identity>, wish: &Wish<'_>) {
    let mut basic = BasicConstraints::new();
    basic.critical();
    let mut keys = KeyUsage::new();
    keys.critical();
    match wish.usage {
        Use::Ca => {
            basic.ca();
            if let Some(length) = wish.path_length {
                basic.pathlen(length);
            }
            keys.key_cert_sign().crl_sign();
        }
        Use::SigningCa => {
            basic.ca();
            keys.key_cert_sign().digital_signature().non_repudiation();
        }
        Use::Sign => {
            keys.digital_signature().non_repudiation();
        }
        Use::Encrypt => {
            keys.key_encipherment();
        }
    }
    for more in &wish.extensions {
        builder.append_extension2(more).expect("an extension");
    }
    builder.append_extension(basic.build().expect("basic")).expect("basic");
    builder.append_extension(keys.build().expect("usage")).expect("usage");
    let issuer = issuer.map(|ca| &*ca.certificate);
    let subject_key = match &wish.subject_key_id {
        Some(id) => extension("2.5.29.14", false, &[&[4, id.len() as u8], id.as_slice()].concat()),
        None => SubjectKeyIdentifier::new().build(&builder.x509v3_context(issuer, None)).expect("SKI"),
    };
    builder.append_extension(subject_key).expect("SKI");
    if issuer.is_some() {
        let authority = AuthorityKeyIdentifier::new()
            .keyid(true)
            .build(&builder.x509v3_context(issuer, None))
            .expect("AKI");
        builder.append_extension(authority).expect("AKI");
    }
}
