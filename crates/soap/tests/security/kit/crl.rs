//! Revocation lists of any kind, written in DER by hand.

use super::Identity;
use openssl::hash::MessageDigest;
use openssl::sign::Signer;
use pki::crl::{Crl, CrlSet};
use pki::der::{encode, encode_oid, tag};

/// A list before it is signed.
#[derive(Clone)]
pub(crate) struct List<'a> {
    /// Whose name it bears.
    pub(crate) issuer: &'a Identity,
    /// Whose key signs it, where that is another.
    pub(crate) signer: Option<&'a Identity>,
    pub(crate) revoked: Vec<&'a Identity>,
    pub(crate) this_update: &'static str,
    pub(crate) next_update: &'static str,
    /// OID, whether critical, contents.
    pub(crate) extension: Option<(&'static str, bool, Vec<u8>)>,
}

impl<'a> List<'a> {
    /// Current at the tests' instant, and empty.
    pub(crate) fn of(issuer: &'a Identity) -> Self {
        Self {
            issuer,
            signer: None,
            revoked: Vec::new(),
            this_update: "20260228000000Z",
            next_update: "20260308000000Z",
            extension: None,
        }
    }

    /// Those that can be read at all: the others are as if they were not there.
    pub(crate) fn set(lists: &[Self]) -> CrlSet {
        CrlSet::new(lists.iter().filter_map(|list| Crl::from_der(&list.der()).ok()).collect())
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        let oid = encode_oid("1.2.840.113549.1.1.11").expect("an OID");
        let algorithm = encode(tag::SEQUENCE, &[&oid, &[tag::NULL, 0]]);
        let time = |text: &str| encode(0x17, &[&text.as_bytes()[2..]]);
        let entries: Vec<u8> = self
            .revoked
            .iter()
            .flat_map(|identity| {
                let serial = identity.certificate.serial_number().to_bn().expect("a number").to_vec();
                let serial = [&[0][..usize::from(serial[0] >> 7)], &serial].concat();
                encode(tag::SEQUENCE, &[&encode(tag::INTEGER, &[&serial]), &time("20260227000000Z")])
            })
            .collect();
        let entries = if entries.is_empty() { entries } else { encode(tag::SEQUENCE, &[&entries]) };
        let extensions = self.extension.iter().map(|(oid, critical, contents)| {
            let critical: &[u8] = if *critical { &[tag::BOOLEAN, 1, 0xff] } else { &[] };
            let oid = encode_oid(oid).expect("an OID");
            let one = encode(tag::SEQUENCE, &[&oid, critical, &encode(tag::OCTET_STRING, &[contents])]);
            encode(tag::CONTEXT_0, &[&encode(tag::SEQUENCE, &[&one])])
        });
        let name = self.issuer.certificate.subject_name().to_der().expect("a name");
        let to_be_signed = encode(
            tag::SEQUENCE,
            &[
                &[tag::INTEGER, 1, 1],
                &algorithm,
                &name,
                &time(self.this_update),
                &time(self.next_update),
                &entries,
                &extensions.flatten().collect::<Vec<_>>(),
            ],
        );
        let key = &self.signer.unwrap_or(self.issuer).key;
        let mut signer = Signer::new(MessageDigest::sha256(), key).expect("a signer");
        let value = signer.sign_oneshot_to_vec(&to_be_signed).expect("signed");
        encode(tag::SEQUENCE, &[&to_be_signed, &algorithm, &encode(tag::BIT_STRING, &[&[0], &value])])
    }
}
