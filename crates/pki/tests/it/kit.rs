//! Certificates, lists and tokens of every shape, right and wrong, by a DER writer of the tests' own: what pki reads is not
//! written by pki.

use jiff::Timestamp;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::{MessageDigest, hash};
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::Rsa;
use openssl::sign::Signer;
use pki::certificate::Certificate;
use pki::crl::Crl;

/// The time at which everything is judged.
pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const DAY: i64 = 86_400;

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(crate) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let contents = parts.concat();
    let mut out = vec![tag];
    match contents.len() {
        short @ 0..=0x7f => out.push(short as u8),
        one @ 0x80..=0xff => out.extend([0x81, one as u8]),
        two => out.extend([0x82, (two >> 8) as u8, two as u8]),
    }
    out.extend(contents);
    out
}

pub(crate) fn seq(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, parts)
}

pub(crate) fn set(mut parts: Vec<Vec<u8>>, tag: u8) -> Vec<u8> {
    parts.sort();
    tlv(tag, &[&parts.concat()])
}

pub(crate) fn octets(bytes: &[u8]) -> Vec<u8> {
    tlv(0x04, &[bytes])
}

pub(crate) fn bits(bytes: &[u8]) -> Vec<u8> {
    tlv(0x03, &[&[0], bytes])
}

pub(crate) fn int(number: u32) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(3);
    let sign: &[u8] = if bytes[first] & 0x80 == 0 { &[] } else { &[0] };
    tlv(0x02, &[sign, &bytes[first..]])
}

pub(crate) fn oid(dotted: &str) -> Vec<u8> {
    let arcs: Vec<u32> = dotted.split('.').map(|arc| arc.parse().unwrap()).collect();
    let mut contents = vec![(arcs[0] * 40 + arcs[1]) as u8];
    for arc in &arcs[2..] {
        let groups =
            (0..5).rev().map(|group| (arc >> (7 * group)) as u8 & 0x7f).skip_while(|group| *group == 0);
        let mut groups: Vec<u8> = groups.map(|group| group | 0x80).collect();
        match groups.last_mut() {
            Some(last) => *last &= 0x7f,
            None => groups.push(0),
        }
        contents.extend(groups);
    }
    tlv(0x06, &[&contents])
}

pub(crate) fn utc_time(second: i64) -> Vec<u8> {
    tlv(0x17, &[at(second).strftime("%y%m%d%H%M%SZ").to_string().as_bytes()])
}

/// O=Test, CN=`common_name`.
pub(crate) fn name(common_name: &str) -> Vec<u8> {
    let attribute =
        |kind: &str, text: &str| tlv(0x31, &[&seq(&[&oid(kind), &tlv(0x0c, &[text.as_bytes()])])]);
    seq(&[&attribute("2.5.4.10", "Test"), &attribute("2.5.4.3", common_name)])
}

pub(crate) fn p256() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

pub(crate) fn p384() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::SECP384R1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

pub(crate) fn rsa(bits: u32) -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap()
}

pub(crate) fn algorithm(key: &PKey<Private>, digest: MessageDigest) -> Vec<u8> {
    match (key.id(), digest.type_()) {
        (Id::EC, Nid::SHA1) => seq(&[&oid("1.2.840.10045.4.1")]),
        (Id::EC, Nid::SHA384) => seq(&[&oid("1.2.840.10045.4.3.3")]),
        (Id::EC, _) => seq(&[&oid("1.2.840.10045.4.3.2")]),
        (_, Nid::SHA1) => seq(&[&oid("1.2.840.113549.1.1.5"), &[5, 0]]),
        _ => seq(&[&oid("1.2.840.113549.1.1.11"), &[5, 0]]),
    }
}

pub(crate) fn sign(key: &PKey<Private>, digest: MessageDigest, message: &[u8]) -> Vec<u8> {
    Signer::new(digest, key).unwrap().sign_oneshot_to_vec(message).unwrap()
}

pub(crate) fn sha256(bytes: &[u8]) -> Vec<u8> {
    hash(MessageDigest::sha256(), bytes).unwrap().to_vec()
}

pub(crate) fn extension(kind: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
    seq(&[&oid(kind), critical, &octets(value)])
}

pub(crate) fn basic(ca: bool, path_len: Option<u32>) -> Vec<u8> {
    let ca: &[u8] = if ca { &[1, 1, 0xff] } else { &[] };
    extension("2.5.29.19", true, &seq(&[ca, &path_len.map(int).unwrap_or_default()]))
}

pub(crate) const SIGN: u8 = 0x80;
pub(crate) const NON_REPUDIATION: u8 = 0x40;
pub(crate) const ENCIPHER: u8 = 0x20;
pub(crate) const CERT_SIGN: u8 = 0x04;
pub(crate) const CRL_SIGN: u8 = 0x02;

pub(crate) fn usage(of: u8) -> Vec<u8> {
    extension("2.5.29.15", true, &tlv(0x03, &[&[of.trailing_zeros() as u8, of]]))
}

pub(crate) const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
pub(crate) const EMAIL_PROTECTION: &str = "1.3.6.1.5.5.7.3.4";
pub(crate) const TIME_STAMPING: &str = "1.3.6.1.5.5.7.3.8";

pub(crate) fn eku(critical: bool, purposes: &[&str]) -> Vec<u8> {
    let purposes: Vec<Vec<u8>> = purposes.iter().map(|purpose| oid(purpose)).collect();
    extension("2.5.29.37", critical, &seq(&[&purposes.concat()]))
}

/// A GeneralName that is a URI.
pub(crate) fn uri(text: &str) -> Vec<u8> {
    tlv(0x86, &[text.as_bytes()])
}

/// distributionPoint [0] { fullName [0] { URI } }
pub(crate) fn full_name(text: &str) -> Vec<u8> {
    tlv(0xa0, &[&tlv(0xa0, &[&uri(text)])])
}

pub(crate) fn crl_point(texts: &[&str]) -> Vec<u8> {
    let points: Vec<Vec<u8>> = texts.iter().map(|text| seq(&[&full_name(text)])).collect();
    extension("2.5.29.31", false, &seq(&[&points.concat()]))
}

/// A certificate with its key.
pub(crate) struct Party {
    pub(crate) key: PKey<Private>,
    pub(crate) name: Vec<u8>,
    pub(crate) serial: Vec<u8>,
    pub(crate) issuer_name: Vec<u8>,
    pub(crate) der: Vec<u8>,
}

impl Party {
    pub(crate) fn certificate(&self) -> Certificate {
        Certificate::from_der(&self.der).unwrap()
    }
}

/// What to certify.
pub(crate) struct Wanted {
    pub(crate) common_name: &'static str,
    pub(crate) serial: Vec<u8>,
    pub(crate) days: (i64, i64),
    pub(crate) extensions: Vec<Vec<u8>>,
    pub(crate) digest: MessageDigest,
    /// Instead of the key's own.
    pub(crate) key_info: Option<Vec<u8>>,
    /// Within, where it differs from without.
    pub(crate) inner_algorithm: Option<Vec<u8>>,
}

impl Wanted {
    pub(crate) fn new(common_name: &'static str, serial: u32, extensions: Vec<Vec<u8>>) -> Self {
        Self {
            common_name,
            serial: int(serial),
            days: (-10, 10),
            extensions,
            digest: MessageDigest::sha256(),
            key_info: None,
            inner_algorithm: None,
        }
    }

    pub(crate) fn authority(common_name: &'static str, serial: u32) -> Self {
        Self::new(common_name, serial, vec![basic(true, None), usage(CERT_SIGN | CRL_SIGN)])
    }

    pub(crate) fn leaf(common_name: &'static str, serial: u32) -> Self {
        Self::new(common_name, serial, vec![usage(SIGN | NON_REPUDIATION)])
    }

    pub(crate) fn with(mut self, extension: Vec<u8>) -> Self {
        self.extensions.push(extension);
        self
    }

    pub(crate) fn days(mut self, from: i64, until: i64) -> Self {
        self.days = (from, until);
        self
    }

    pub(crate) fn by(&self, issuer: &Party) -> Party {
        self.issue(p256(), Some(issuer))
    }

    pub(crate) fn itself(&self) -> Party {
        self.issue(p256(), None)
    }

    pub(crate) fn issue(&self, key: PKey<Private>, issuer: Option<&Party>) -> Party {
        let own = name(self.common_name);
        let (issuer_key, issuer_name) = issuer.map_or((&key, &own), |issuer| (&issuer.key, &issuer.name));
        let outer = algorithm(issuer_key, self.digest);
        let validity = seq(&[&utc_time(NOW + self.days.0 * DAY), &utc_time(NOW + self.days.1 * DAY)]);
        let key_info = self.key_info.clone().unwrap_or_else(|| key.public_key_to_der().unwrap());
        let to_be_signed = seq(&[
            &tlv(0xa0, &[&int(2)]),
            &self.serial,
            self.inner_algorithm.as_ref().unwrap_or(&outer),
            issuer_name,
            &validity,
            &own,
            &key_info,
            &tlv(0xa3, &[&seq(&[&self.extensions.concat()])]),
        ]);
        let signature = sign(issuer_key, self.digest, &to_be_signed);
        let der = seq(&[&to_be_signed, &outer, &bits(&signature)]);
        let issuer_name = issuer_name.clone();
        Party { key, name: own, serial: self.serial.clone(), issuer_name, der }
    }
}

/// A revocation list.
pub(crate) struct List {
    pub(crate) this_update: i64,
    pub(crate) next_update: Option<i64>,
    /// Serial number, since when, extensions of the entry.
    pub(crate) revoked: Vec<(Vec<u8>, i64, Vec<Vec<u8>>)>,
    pub(crate) extensions: Vec<Vec<u8>>,
    pub(crate) inner_algorithm: Option<Vec<u8>>,
    pub(crate) digest: MessageDigest,
}

impl Default for List {
    fn default() -> Self {
        Self {
            this_update: NOW - DAY,
            next_update: Some(NOW + DAY),
            revoked: Vec::new(),
            extensions: vec![extension("2.5.29.20", false, &int(7))],
            inner_algorithm: None,
            digest: MessageDigest::sha256(),
        }
    }
}

impl List {
    pub(crate) fn revoking(party: &Party) -> Self {
        Self { revoked: vec![(party.serial.clone(), NOW - DAY, Vec::new())], ..Self::default() }
    }

    pub(crate) fn with(extension: Vec<u8>) -> Self {
        Self { extensions: vec![extension], ..Self::default() }
    }

    /// With an issuingDistributionPoint.
    pub(crate) fn scoped(fields: &[&[u8]]) -> Self {
        Self::with(extension("2.5.29.28", true, &seq(fields)))
    }

    /// What changed since list `base`.
    pub(crate) fn delta(base: u32, number: u32) -> Self {
        let extensions =
            vec![extension("2.5.29.20", false, &int(number)), extension("2.5.29.27", true, &int(base))];
        Self { extensions, ..Self::default() }
    }

    /// With an entry, for a reason.
    pub(crate) fn naming(mut self, party: &Party, reason: u8) -> Self {
        let reason = extension("2.5.29.21", false, &[10, 1, reason]);
        self.revoked.push((party.serial.clone(), NOW - DAY, vec![reason]));
        self
    }

    pub(crate) fn der(&self, issuer: &Party) -> Vec<u8> {
        let outer = algorithm(&issuer.key, self.digest);
        let entries: Vec<Vec<u8>> = self
            .revoked
            .iter()
            .map(|(serial, since, extensions)| {
                let extensions =
                    if extensions.is_empty() { Vec::new() } else { seq(&[&extensions.concat()]) };
                seq(&[serial, &utc_time(*since), &extensions])
            })
            .collect();
        let to_be_signed = seq(&[
            &int(1),
            self.inner_algorithm.as_ref().unwrap_or(&outer),
            &issuer.name,
            &utc_time(self.this_update),
            &self.next_update.map(utc_time).unwrap_or_default(),
            &if entries.is_empty() { Vec::new() } else { seq(&[&entries.concat()]) },
            &tlv(0xa0, &[&seq(&[&self.extensions.concat()])]),
        ]);
        let signature = sign(&issuer.key, self.digest, &to_be_signed);
        seq(&[&to_be_signed, &outer, &bits(&signature)])
    }

    pub(crate) fn by(&self, issuer: &Party) -> Crl {
        Crl::from_der(&self.der(issuer)).unwrap()
    }
}
