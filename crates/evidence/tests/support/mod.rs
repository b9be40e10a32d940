//! A PKI and a time-stamping authority for tests, made on the fly: shares no code with what judges them.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

use openssl::asn1::{Asn1Integer, Asn1Object, Asn1OctetString, Asn1Time};
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::sha::sha256;
use openssl::sign::Signer;
use openssl::x509::extension::{AuthorityKeyIdentifier, BasicConstraints, SubjectKeyIdentifier};
use openssl::x509::{X509, X509Builder, X509Extension, X509NameBuilder};

pub const DAY: i64 = 86_400;

/// A certificate with its key.
#[derive(Clone)]
pub struct Party {
    pub certificate: X509,
    pub key: PKey<Private>,
}

impl Party {
    pub fn der(&self) -> Vec<u8> {
        self.certificate.to_der().unwrap()
    }

    pub fn key_pem(&self) -> Vec<u8> {
        self.key.private_key_to_pem_pkcs8().unwrap()
    }

    pub fn pem(&self) -> Vec<u8> {
        self.certificate.to_pem().unwrap()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Ca,
    Seal,
    Tsa,
    TlsServer,
}

pub fn p256() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

pub fn rsa_2048() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()
}

/// What a certificate is to be.
pub struct Wanted<'a> {
    pub common_name: &'a str,
    pub units: &'a [&'a str],
    pub usage: Use,
    pub not_before: i64,
    pub not_after: i64,
    pub serial: u32,
}

/// Issues a certificate; `issuer` is `None` for a root.
pub fn issue(wanted: &Wanted<'_>, key: PKey<Private>, issuer: Option<&Party>) -> Party {
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("C", "BE").unwrap();
    name.append_entry_by_text("O", "ePost test").unwrap();
    for unit in wanted.units {
        name.append_entry_by_text("OU", unit).unwrap();
    }
    name.append_entry_by_text("CN", wanted.common_name).unwrap();
    let name = name.build();
    let mut builder: X509Builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let serial = BigNum::from_u32(wanted.serial).unwrap();
    builder.set_serial_number(&Asn1Integer::from_bn(&serial).unwrap()).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(issuer.map_or(&name, |issuer| issuer.certificate.subject_name())).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(wanted.not_before).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(wanted.not_after).unwrap()).unwrap();
    builder.set_pubkey(&key).unwrap();
    let ca = wanted.usage == Use::Ca;
    if ca {
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    }
    // KeyUsage bits: digitalSignature 0, nonRepudiation 1, keyCertSign 5, cRLSign 6.
    let usage: &[u8] = match wanted.usage {
        Use::Ca => &[0x03, 0x02, 0x01, 0x06],
        Use::Seal => &[0x03, 0x02, 0x06, 0xc0],
        Use::Tsa | Use::TlsServer => &[0x03, 0x02, 0x07, 0x80],
    };
    builder.append_extension(extension("2.5.29.15", true, usage)).unwrap();
    match wanted.usage {
        Use::Tsa => {
            let purpose = encode(0x30, &[&oid(&[1, 3, 6, 1, 5, 5, 7, 3, 8])]);
            builder.append_extension(extension("2.5.29.37", true, &purpose)).unwrap();
        }
        Use::TlsServer => {
            let purpose = encode(0x30, &[&oid(&[1, 3, 6, 1, 5, 5, 7, 3, 1])]);
            builder.append_extension(extension("2.5.29.37", false, &purpose)).unwrap();
        }
        Use::Ca | Use::Seal => {}
    }
    let issuing = issuer.map(|issuer| issuer.certificate.as_ref());
    let key_id = SubjectKeyIdentifier::new().build(&builder.x509v3_context(issuing, None)).unwrap();
    builder.append_extension(key_id).unwrap();
    if issuer.is_some() {
        let context = builder.x509v3_context(issuing, None);
        let authority = AuthorityKeyIdentifier::new().keyid(true).build(&context).unwrap();
        builder.append_extension(authority).unwrap();
    }
    let signing_key = issuer.map_or(&key, |issuer| &issuer.key);
    builder.sign(signing_key, MessageDigest::sha256()).unwrap();
    Party { certificate: builder.build(), key }
}

fn extension(oid: &str, critical: bool, der: &[u8]) -> X509Extension {
    let value = Asn1OctetString::new_from_bytes(der).unwrap();
    X509Extension::new_from_der(&Asn1Object::from_str(oid).unwrap(), critical, &value).unwrap()
}

/// A revocation list; `revoked` are serial numbers with the time of each.
pub fn crl(issuer: &Party, this_update: i64, next_update: i64, revoked: &[(u32, i64)]) -> Vec<u8> {
    let name = issuer.certificate.subject_name().to_der().unwrap();
    let algorithm = algorithm(&issuer.key);
    let entries: Vec<Vec<u8>> =
        revoked.iter().map(|(serial, at)| encode(0x30, &[&integer(*serial), &utc_time(*at)])).collect();
    let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
    let entries = if entries.is_empty() { Vec::new() } else { encode(0x30, &entries) };
    let key_id = issuer.certificate.subject_key_id().unwrap().as_slice().to_vec();
    let authority = encode(0x30, &[&encode(0x80, &[&key_id])]);
    let authority = encode(0x30, &[&oid(&[2, 5, 29, 35]), &encode(0x04, &[&authority])]);
    let number = encode(0x30, &[&oid(&[2, 5, 29, 20]), &encode(0x04, &[&integer(this_update as u32)])]);
    let extensions = encode(0xa0, &[&encode(0x30, &[&authority, &number])]);
    let to_be_signed = encode(
        0x30,
        &[
            &integer(1),
            &algorithm,
            &name,
            &utc_time(this_update),
            &utc_time(next_update),
            &entries,
            &extensions,
        ],
    );
    let signature = sign(&issuer.key, &to_be_signed);
    encode(0x30, &[&to_be_signed, &algorithm, &encode(0x03, &[&[0], &signature])])
}

/// What a token says; each field can lie.
#[derive(Clone)]
pub struct Token {
    pub imprint: Vec<u8>,
    pub gen_time: i64,
    pub nonce: Option<u64>,
    /// DER certificates carried.
    pub certificates: Vec<Vec<u8>>,
    /// Whose hash signing-certificate-v2 has.
    pub named_certificate: Vec<u8>,
    /// More attributes that nobody signed.
    pub unsigned_attributes: Vec<u8>,
}

impl Token {
    pub fn honest(authority: &Party, chain: &[&Party], imprint: &[u8], gen_time: i64) -> Self {
        let mut certificates = vec![authority.der()];
        certificates.extend(chain.iter().map(|party| party.der()));
        Self {
            imprint: imprint.to_vec(),
            gen_time,
            nonce: Some(0x0102_0304_0506),
            certificates,
            named_certificate: authority.der(),
            unsigned_attributes: Vec::new(),
        }
    }

    /// Writes and signs the token: a ContentInfo, DER.
    pub fn sign(&self, authority: &Party) -> Vec<u8> {
        let sha_256 = encode(0x30, &[&oid(&[2, 16, 840, 1, 101, 3, 4, 2, 1])]);
        let content_type = oid(&[1, 2, 840, 113_549, 1, 9, 16, 1, 4]);
        let info = self.info(&sha_256);
        let hash = encode(0x04, &[&sha256(&self.named_certificate)]);
        let named = encode(0x30, &[&encode(0x30, &[&encode(0x30, &[&hash])])]);
        let attributes = vec![
            attribute(&oid(&[1, 2, 840, 113_549, 1, 9, 3]), &content_type),
            attribute(&oid(&[1, 2, 840, 113_549, 1, 9, 4]), &encode(0x04, &[&sha256(&info)])),
            attribute(&oid(&[1, 2, 840, 113_549, 1, 9, 16, 2, 47]), &named),
        ];
        let signed = set_of(0x31, attributes);
        let signature = encode(0x04, &[&sign(&authority.key, &signed)]);
        let mut implicit = signed;
        implicit[0] = 0xa0;
        let issuer = authority.certificate.issuer_name().to_der().unwrap();
        let serial = authority.certificate.serial_number().to_bn().unwrap().to_vec();
        let signer_id = encode(0x30, &[&issuer, &encode(0x02, &[&serial])]);
        let signer = encode(
            0x30,
            &[
                &integer(1),
                &signer_id,
                &sha_256,
                &implicit,
                &algorithm(&authority.key),
                &signature,
                &self.unsigned_attributes,
            ],
        );
        let content = encode(0x30, &[&content_type, &encode(0xa0, &[&encode(0x04, &[&info])])]);
        let certificates = set_of(0xa0, self.certificates.clone());
        let signed_data = encode(
            0x30,
            &[&integer(3), &encode(0x31, &[&sha_256]), &content, &certificates, &encode(0x31, &[&signer])],
        );
        encode(0x30, &[&oid(&[1, 2, 840, 113_549, 1, 7, 2]), &encode(0xa0, &[&signed_data])])
    }

    fn info(&self, sha_256: &[u8]) -> Vec<u8> {
        let imprint = encode(0x30, &[sha_256, &encode(0x04, &[&self.imprint])]);
        let nonce = self.nonce.map_or_else(Vec::new, |nonce| {
            let bytes: Vec<u8> = nonce.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
            encode(0x02, &[&bytes])
        });
        let accuracy = encode(0x30, &[&integer(1)]);
        encode(
            0x30,
            &[
                &integer(1),
                &oid(&[1, 3, 6, 1, 4, 1, 99_999, 1]),
                &imprint,
                &integer(77),
                &encode(0x18, &[digits(self.gen_time).as_bytes()]),
                &accuracy,
                &nonce,
            ],
        )
    }
}

/// Two hierarchies (root, intermediate, end entity), and revocation lists for both.
#[derive(Clone)]
pub struct House {
    pub seal_root: Party,
    pub seal_ca: Party,
    pub seal: Party,
    pub tsa_root: Party,
    pub tsa_ca: Party,
    pub tsa: Party,
    /// When everything in it happens, seconds since 1970.
    pub now: i64,
}

pub const SEAL_SERIAL: u32 = 1003;
pub const TSA_SERIAL: u32 = 2003;
pub const SEAL_UNITS: [&str; 3] =
    ["Belgian Federal Government", "urn:be:fgov:kbo-bce:organization:cbe-number:0206731645", "TST"];

impl House {
    pub fn build(now: i64) -> Self {
        Self::build_with(now, p256(), p256())
    }

    pub fn build_with(now: i64, seal_key: PKey<Private>, tsa_key: PKey<Private>) -> Self {
        let (not_before, not_after) = (now - 100 * DAY, now + 1000 * DAY);
        let wanted = |common_name, units, usage, serial| Wanted {
            common_name,
            units,
            usage,
            not_before,
            not_after,
            serial,
        };
        let seal_root = issue(&wanted("Seal Root", &[], Use::Ca, 1001), p256(), None);
        let seal_ca = issue(&wanted("Seal CA", &[], Use::Ca, 1002), p256(), Some(&seal_root));
        let seal =
            issue(&wanted("ePost seal", &SEAL_UNITS, Use::Seal, SEAL_SERIAL), seal_key, Some(&seal_ca));
        let tsa_root = issue(&wanted("TSA Root", &[], Use::Ca, 2001), p256(), None);
        let tsa_ca = issue(&wanted("TSA CA", &[], Use::Ca, 2002), p256(), Some(&tsa_root));
        let tsa = issue(&wanted("Test TSA", &[], Use::Tsa, TSA_SERIAL), tsa_key, Some(&tsa_ca));
        Self { seal_root, seal_ca, seal, tsa_root, tsa_ca, tsa, now }
    }

    /// Current lists of all four authorities; the end entities' serial numbers do not collide.
    pub fn crls(&self, revoked: &[(u32, i64)]) -> Vec<Vec<u8>> {
        let (this, next) = (self.now - DAY / 24, self.now + 30 * DAY);
        [&self.seal_root, &self.seal_ca, &self.tsa_root, &self.tsa_ca]
            .into_iter()
            .map(|issuer| crl(issuer, this, next, revoked))
            .collect()
    }

    pub fn seal_chain_pem(&self) -> Vec<u8> {
        [self.seal.pem(), self.seal_ca.pem()].concat()
    }

    pub fn token(&self, imprint: &[u8]) -> Vec<u8> {
        Token::honest(&self.tsa, &[&self.tsa_ca], imprint, self.now).sign(&self.tsa)
    }
}

pub fn sign(key: &PKey<Private>, message: &[u8]) -> Vec<u8> {
    let mut signer = Signer::new(MessageDigest::sha256(), key).unwrap();
    signer.sign_oneshot_to_vec(message).unwrap()
}

fn algorithm(key: &PKey<Private>) -> Vec<u8> {
    if key.rsa().is_ok() {
        encode(0x30, &[&oid(&[1, 2, 840, 113_549, 1, 1, 11]), &[5, 0]])
    } else {
        encode(0x30, &[&oid(&[1, 2, 840, 10_045, 4, 3, 2])])
    }
}

pub fn attribute(kind: &[u8], value: &[u8]) -> Vec<u8> {
    encode(0x30, &[kind, &encode(0x31, &[value])])
}

pub fn set_of(tag: u8, mut values: Vec<Vec<u8>>) -> Vec<u8> {
    values.sort();
    let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
    encode(tag, &values)
}

pub fn encode(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let contents = parts.concat();
    let mut out = vec![tag];
    match contents.len() {
        length @ 0..=127 => out.push(length as u8),
        length @ 128..=255 => out.extend([0x81, length as u8]),
        length => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    out.extend(contents);
    out
}

pub fn integer(value: u32) -> Vec<u8> {
    let mut bytes: Vec<u8> = value.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    if bytes.first().is_none_or(|byte| *byte >= 0x80) {
        bytes.insert(0, 0);
    }
    encode(0x02, &[&bytes])
}

pub fn oid(arcs: &[u32]) -> Vec<u8> {
    let mut contents = vec![(arcs[0] * 40 + arcs[1]) as u8];
    for arc in &arcs[2..] {
        let mut digits = vec![(arc & 0x7f) as u8];
        let mut rest = arc >> 7;
        while rest > 0 {
            digits.push(0x80 | (rest & 0x7f) as u8);
            rest >>= 7;
        }
        contents.extend(digits.iter().rev());
    }
    encode(0x06, &[&contents])
}

fn digits(at: i64) -> String {
    jiff::Timestamp::from_second(at).unwrap().strftime("%Y%m%d%H%M%SZ").to_string()
}

fn utc_time(at: i64) -> Vec<u8> {
    encode(0x17, &[&digits(at).as_bytes()[2..]])
}
