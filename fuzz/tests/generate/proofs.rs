//! `fixed/proof` and the corpus of `cms_tsp`: a real proof, and tokens, seals, certificates and lists that are wrong in one
//! place each, made with the keys that the target trusts.

#[allow(dead_code)]
#[path = "../../../crates/pki/tests/it/kit.rs"]
mod asn1;
#[path = "../../../crates/evidence/tests/support/mod.rs"]
pub(crate) mod support;

use std::path::Path;
use std::sync::Arc;

use ::pki::certificate::Certificate;
use ::pki::path::{Revocation, TrustAnchors};
use ::pki::signer::FileSigner;
use ::pki::tsp::{self, TimeStampToken, TokenChecks};
use asn1::{List, Wanted, at, eku, extension, int, octets, oid, seq, set, sha256, sign, tlv, usage};
use epost_fuzz::{NONCE, OCSP_NONCE, POLICY, STAMPED_AT as NOW};
use erds::record::{Consigned, Hex32};
use erds::{ChannelName, Environment, Record, Ticket};
use evidence::description::{
    FileDescription, FileDigestMethod, ItemDescription, RecipientDescription, SenderDescription,
};
use evidence::dispatch::DispatchDescription;
use evidence::seal::Stampable as _;
use evidence::{ProofOfDispatchContent, ReceiptContent};
use journal::{Appended, Entry, Journal};
use openssl::hash::{MessageDigest, hash};
use support::{DAY, House, Party, SEAL_SERIAL, TSA_SERIAL};

use crate::kit::{append, place, write};
use crate::seeds::Keeper;

const TICKET: &str = "ABCDEFGH12345";
const SHA1: &str = "1.3.14.3.2.26";
const SHA256: &str = "2.16.840.1.101.3.4.2.1";
const TST_INFO: &str = "1.2.840.113549.1.9.16.1.4";
const DATA: &str = "1.2.840.113549.1.7.1";
const STATED: &str = "fixed/proof/stated.txt";

/// A change of an honest token.
type Lie = fn(&mut Stamp<'_>);

/// A token in the making: each field as it is written.
struct Stamp<'a> {
    unit: &'a asn1::Party,
    policy: &'static str,
    imprint_algorithm: &'static str,
    imprint: Vec<u8>,
    gen_time: String,
    nonce: Vec<u8>,
    extensions: Vec<u8>,
    encapsulated_type: &'static str,
    content_type: &'static str,
    message_digest: Option<Vec<u8>>,
    announced: &'static str,
    ess: Option<Vec<u8>>,
    signed_instead: Option<&'static [u8]>,
    certificates: Vec<Vec<u8>>,
    signers: usize,
    unsigned_attributes: Vec<u8>,
}

impl<'a> Stamp<'a> {
    fn honest(unit: &'a asn1::Party, ca: &asn1::Party, imprint: &[u8]) -> Self {
        Self {
            unit,
            policy: POLICY,
            imprint_algorithm: SHA256,
            imprint: imprint.to_vec(),
            gen_time: generalized(NOW),
            nonce: tlv(2, &[&NONCE]),
            extensions: Vec::new(),
            encapsulated_type: TST_INFO,
            content_type: TST_INFO,
            message_digest: None,
            announced: SHA256,
            ess: Some(seq(&[&seq(&[&seq(&[&octets(&sha256(&unit.der))])])])),
            signed_instead: None,
            certificates: vec![unit.der.clone(), ca.der.clone()],
            signers: 1,
            unsigned_attributes: Vec::new(),
        }
    }

    fn info(&self) -> Vec<u8> {
        let imprint = seq(&[&seq(&[&oid(self.imprint_algorithm)]), &octets(&self.imprint)]);
        let gen_time = tlv(0x18, &[self.gen_time.as_bytes()]);
        seq(&[&int(1), &oid(self.policy), &imprint, &int(77), &gen_time, &self.nonce, &self.extensions])
    }

    fn signer(&self, info: &[u8]) -> Vec<u8> {
        let digest = self.message_digest.clone().unwrap_or_else(|| sha256(info));
        let mut attributes = vec![
            attribute("1.2.840.113549.1.9.3", &oid(self.content_type)),
            attribute("1.2.840.113549.1.9.4", &octets(&digest)),
        ];
        attributes.extend(self.ess.as_ref().map(|ess| attribute("1.2.840.113549.1.9.16.2.47", ess)));
        let signed = set(attributes.clone(), 0x31);
        let value = sign(&self.unit.key, MessageDigest::sha256(), self.signed_instead.unwrap_or(&signed));
        seq(&[
            &int(1),
            &seq(&[&self.unit.issuer_name, &self.unit.serial]),
            &seq(&[&oid(SHA256)]),
            &set(attributes, 0xa0),
            &asn1::algorithm(&self.unit.key, MessageDigest::sha256()),
            &octets(&value),
            &self.unsigned_attributes,
        ])
    }

    fn token(&self) -> Vec<u8> {
        let info = self.info();
        let signers = vec![self.signer(&info); self.signers];
        let certificates = set(self.certificates.clone(), 0xa0);
        let signed_data = seq(&[
            &int(3),
            &tlv(0x31, &[&seq(&[&oid(self.announced)])]),
            &seq(&[&oid(self.encapsulated_type), &tlv(0xa0, &[&octets(&info)])]),
            if self.certificates.is_empty() { &[] } else { certificates.as_slice() },
            &set(signers, 0x31),
        ]);
        seq(&[&oid("1.2.840.113549.1.7.2"), &tlv(0xa0, &[&signed_data])])
    }
}

const LIES: [Lie; 18] = [
    |t| t.imprint = sha256(b"other"),
    |t| (t.imprint_algorithm, t.imprint) = (SHA1, vec![7; 20]),
    |t| t.imprint.truncate(31),
    |t| t.nonce = int(9),
    |t| t.nonce.clear(),
    |t| t.policy = "1.3.6.1.4.1.99999.2",
    |t| t.gen_time = generalized(NOW - DAY),
    |t| t.gen_time = generalized(NOW + 61),
    |t| t.gen_time = "20270115075960Z".into(),
    |t| t.extensions = tlv(0xa1, &[&extension("1.3.6.1.4.1.99999.9", true, &[5, 0])]),
    |t| t.encapsulated_type = DATA,
    |t| t.content_type = DATA,
    |t| t.message_digest = Some(vec![7; 32]),
    |t| t.signed_instead = Some(b"other"),
    |t| t.ess = None,
    |t| t.ess = Some(seq(&[&seq(&[&seq(&[&octets(&[7; 32])])])])),
    |t| t.announced = SHA1,
    |t| t.signers = 2,
];

fn generalized(second: i64) -> String {
    at(second).strftime("%Y%m%d%H%M%SZ").to_string()
}

fn attribute(kind: &str, value: &[u8]) -> Vec<u8> {
    seq(&[&oid(kind), &tlv(0x31, &[value])])
}

/// The same party for the other kit.
fn party(of: &Party) -> asn1::Party {
    let certificate = &of.certificate;
    let serial = certificate.serial_number().to_bn().unwrap().to_vec();
    asn1::Party {
        key: of.key.clone(),
        name: certificate.subject_name().to_der().unwrap(),
        serial: tlv(2, &[&serial]),
        issuer_name: certificate.issuer_name().to_der().unwrap(),
        der: of.der(),
    }
}

/// Inputs with their letters, and what the target must know before it judges them.
struct Inputs(Vec<(&'static str, Vec<u8>)>);

impl Inputs {
    fn add(&mut self, letters: &'static str, bytes: Vec<u8>) {
        match letters.as_bytes().first() {
            Some(b't') => {
                drop(TimeStampToken::from_der(&bytes).map(|token| state(&epost_fuzz::statement(&token))))
            }
            Some(b'c' | b'l' | b'o') => state(&hex(&sha256(&bytes))),
            _ => {}
        }
        self.0.push((letters, bytes));
    }
}

fn state(line: &str) {
    append(STATED, line);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn proofs_and_tokens() {
    assert_eq!(NOW, asn1::NOW, "one time for all");
    let _ = std::fs::remove_file(place(STATED));
    let house = House::build(NOW);
    write("fixed/proof/seal-root.der", &house.seal_root.der());
    write("fixed/proof/tsa-root.der", &house.tsa_root.der());
    write("fixed/proof/seal-ca.der", &house.seal_ca.der());
    write("fixed/proof/seal.der", &house.seal.der());
    let revoked = |since| [(SEAL_SERIAL, since), (TSA_SERIAL, since)];
    let later: Vec<_> = [&house.seal_root, &house.seal_ca, &house.tsa_root, &house.tsa_ca]
        .map(|issuer| support::crl(issuer, NOW + 40, NOW + DAY, &revoked(NOW + 30)))
        .to_vec();
    let sets =
        [("current", house.crls(&[])), ("revoking", house.crls(&revoked(NOW - 100))), ("later", later)];
    for (name, lists) in &sets {
        for (number, list) in lists.iter().enumerate() {
            write(&format!("fixed/proof/{name}-{number}.crl"), list);
        }
    }
    let mut inputs = Inputs(Vec::new());
    let xml = proof().to_xml();
    let signer = FileSigner::from_pem(&house.seal.key_pem(), &house.seal_chain_pem()).unwrap();
    let (p7s, token) = seal(&house, &xml, &signer);
    write("fixed/proof/proof.xml", &xml);
    write("fixed/proof/proof.p7s", &p7s);
    write("fixed/proof/token.der", &token);
    sealed(&mut inputs, &house, &xml, &p7s);
    tokens(&mut inputs, &house, &token);
    certificates_and_lists(&mut inputs, &house, &sets[1].1);
    let answer = answers(&mut inputs, &house);

    let mut keeper = Keeper::new("cms_tsp", epost_fuzz::cms_tsp);
    let body = |letters: &str, bytes: &[u8]| [letters.as_bytes(), b"\n", bytes].concat();
    for (name, letters, bytes) in [
        ("token", "t", &token),
        ("seal", "s", &p7s),
        ("proof", "x", &xml),
        ("response", "r", &granted(&token)),
        ("ocsp", "o", &answer),
    ] {
        keeper.seed(name, &body(letters, bytes));
    }
    keeper.seed("receipt", &body("x", &receipt().to_xml()));
    assert_eq!(epost_fuzz::cms_tsp(&body("o", &answer)), epost_fuzz::Codes::new(), "an honest answer counts");
    for (letters, bytes) in &inputs.0 {
        keeper.change(&body(letters, bytes));
    }
}

fn granted(token: &[u8]) -> Vec<u8> {
    seq(&[&seq(&[&int(0)]), token])
}

fn tokens(inputs: &mut Inputs, house: &House, honest: &[u8]) {
    let (unit, ca) = (party(&house.tsa), party(&house.tsa_ca));
    let imprint = TimeStampToken::from_der(honest).unwrap().tst_info().imprint.clone();
    let stamp = || Stamp::honest(&unit, &ca, imprint.as_bytes());
    inputs.add("t", honest.to_vec());
    for lie in LIES {
        let mut stamp = stamp();
        lie(&mut stamp);
        inputs.add("t", stamp.token());
    }
    let alone = Stamp { certificates: Vec::new(), ..stamp() };
    inputs.add("t", alone.token());
    let unsigned = tlv(0xa1, &[&attribute("1.2.3", &[5, 0])]);
    inputs.add("t", Stamp { unsigned_attributes: unsigned, ..stamp() }.token());
    for extensions in [
        vec![usage(asn1::SIGN)],
        vec![usage(asn1::SIGN), eku(true, &[asn1::TIME_STAMPING]), extension("1.2.3.4", true, &[5, 0])],
    ] {
        let other = Wanted::new("Another unit", 2009, extensions).by(&ca);
        inputs.add("t", Stamp::honest(&other, &ca, imprint.as_bytes()).token());
    }
    for letters in ["t0", "tR", "tl", "tL", "te", "to", "tN", "twn"] {
        inputs.add(letters, honest.to_vec());
    }
    inputs.add("r", seq(&[&seq(&[&int(2)])]));
    inputs.add("r", granted(honest)[..100].to_vec());
}

/// The seal with other letters, cut, flipped; and seals by certificates that may not seal.
fn sealed(inputs: &mut Inputs, house: &House, xml: &[u8], p7s: &[u8]) {
    for letters in ["s0", "sR", "sA", "sl", "sL", "sb", "so"] {
        inputs.add(letters, p7s.to_vec());
    }
    inputs.add("s", p7s[..200].to_vec());
    let text = String::from_utf8(xml.to_vec()).unwrap();
    for (from, to) in [
        ("letter-1", "letter-2"),
        ("<?xml", "<!DOCTYPE a><?xml"),
        ("NOT PRODUCTION", "PRODUCTION"),
        ("Ticket", "Other"),
    ] {
        inputs.add("x", text.replace(from, to).into_bytes());
    }
    inputs.add("x", text.replace(">LETTER<", "><").replace("application/pdf", "").into_bytes());
    let digest = text.split("DigestValue>").nth(1).and_then(|rest| rest.split('<').next()).unwrap();
    inputs.add("x", text.replacen(digest, "!", 1).into_bytes());
    // The certificate's hash in the signed attributes, and the signature value: a byte of each.
    let hash = sha256(&house.seal.der());
    let value = p7s.windows(32).position(|window| window == hash).unwrap();
    inputs.add("s", flipped(p7s, value));
    let digest = sha256(xml);
    let value = p7s.windows(32).position(|window| window == digest).unwrap();
    inputs.add("s", flipped(p7s, value));
    for other in unfit_seals(&party(&house.seal_ca)) {
        let chain = [pem(&other.der), house.seal_ca.pem()].concat();
        let signer = FileSigner::from_pem(&other.key.private_key_to_pem_pkcs8().unwrap(), &chain).unwrap();
        inputs.add("s", seal(house, xml, &signer).0);
    }
}

fn unfit_seals(ca: &asn1::Party) -> Vec<asn1::Party> {
    let by_sha1 = Wanted { digest: MessageDigest::sha1(), ..Wanted::leaf("By SHA-1", 1015) };
    vec![
        Wanted::leaf("Expired", 1011).days(-10, -1).by(ca),
        Wanted::leaf("Early", 1012).days(1, 10).by(ca),
        Wanted::new("A server", 1013, vec![usage(asn1::SIGN)]).by(ca),
        Wanted::leaf("Odd", 1014).with(extension("1.2.3.4", true, &[5, 0])).by(ca),
        by_sha1.by(ca),
    ]
}

fn flipped(bytes: &[u8], place: usize) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[place] ^= 1;
    changed
}

fn pem(der: &[u8]) -> Vec<u8> {
    openssl::x509::X509::from_der(der).unwrap().to_pem().unwrap()
}

fn certificates_and_lists(inputs: &mut Inputs, house: &House, revoking: &[Vec<u8>]) {
    // The intermediate is an authority: as a leaf it may not seal.
    inputs.add("c", house.seal_ca.der());
    inputs.add("c", house.seal_ca.der()[..300].to_vec());
    inputs.add("p", house.seal_ca.pem());
    inputs.add("p", b"-----BEGIN NOTHING-----".to_vec());
    let (root, ca) = (party(&house.seal_root), party(&house.tsa_ca));
    for leaf in unfit_seals(&root) {
        inputs.add("c", leaf.der);
    }
    inputs.add("c", Wanted::leaf("Weak", 1017).issue(asn1::rsa(1024), Some(&root)).der);
    inputs.add("c", Wanted::leaf("Fit", 1016).by(&root).der);
    let demanding =
        Wanted::leaf("Demanding", 1018).with(extension("2.5.29.36", true, &seq(&[&[0x80, 1, 0]])));
    inputs.add("c", demanding.by(&root).der);
    let revoked = revoking.last().unwrap();
    inputs.add("l", revoked.clone());
    inputs.add("l", revoked[..100].to_vec());
    inputs.add("l", List::default().der(&ca));
    inputs.add("l", List::default().der(&root));
    inputs.add("l", List { next_update: Some(NOW - 1), ..List::default() }.der(&ca));
    inputs.add("l", List { digest: MessageDigest::sha1(), ..List::default() }.der(&ca));
    inputs.add("l", List::with(extension("2.5.29.27", true, &int(1))).der(&ca));
}

/// OCSP responses about the seal's certificate, by its authority (RFC 6960 §4.2.1); gives the honest one.
fn answers(inputs: &mut Inputs, house: &House) -> Vec<u8> {
    const NONCE_ID: &str = "1.3.6.1.5.5.7.48.1.2";
    let (ca, leaf) = (party(&house.seal_ca), party(&house.seal));
    let key = house.seal_ca.certificate.public_key().unwrap().ec_key().unwrap();
    let mut context = openssl::bn::BigNumContext::new().unwrap();
    let form = openssl::ec::PointConversionForm::UNCOMPRESSED;
    let bits = key.public_key().to_bytes(key.group(), form, &mut context).unwrap();
    let sha1 = |bytes: &[u8]| octets(&hash(MessageDigest::sha1(), bytes).unwrap());
    let time = |second: i64| tlv(0x18, &[generalized(second).as_bytes()]);
    let id = seq(&[&seq(&[&oid(SHA1), &[5, 0]]), &sha1(&ca.name), &sha1(&bits), &leaf.serial]);
    let response = |status: &[u8], until: i64, extensions: &[u8]| {
        let single = seq(&[&id, status, &time(NOW - 60), &tlv(0xa0, &[&time(until)])]);
        let extensions = if extensions.is_empty() { Vec::new() } else { tlv(0xa1, &[&seq(&[extensions])]) };
        let data = seq(&[&tlv(0xa1, &[&ca.name]), &time(NOW - 60), &seq(&[&single]), &extensions]);
        let signature = asn1::bits(&sign(&ca.key, MessageDigest::sha256(), &data));
        let basic = seq(&[&data, &asn1::algorithm(&ca.key, MessageDigest::sha256()), &signature]);
        let typed = seq(&[&oid("1.3.6.1.5.5.7.48.1.1"), &octets(&basic)]);
        seq(&[&[0x0a, 1, 0], &tlv(0xa0, &[&typed])])
    };
    let nonce = |nonce: &[u8]| extension(NONCE_ID, false, &octets(nonce));
    let revoked = tlv(0xa1, &[&time(NOW - DAY), &tlv(0xa0, &[&[0x0a, 1, 1]])]);
    let good = response(&[0x80, 0], NOW + DAY, &nonce(&OCSP_NONCE));
    inputs.add("o", flipped(&good, good.len() - 9));
    inputs.add("o", good[..good.len() - 1].to_vec());
    inputs.add("o", response(&[0x80, 0], NOW + DAY, &nonce(&[8; 32])));
    inputs.add("o", response(&[0x80, 0], NOW - 30, &[]));
    inputs.add("o", response(&[0x80, 0], NOW + DAY, &extension("1.3.6.1.4.1.99999.9", true, &[5, 0])));
    inputs.add("o", response(&[0x82, 0], NOW + DAY, &[]));
    inputs.add("o", response(&revoked, NOW + DAY, &[]));
    inputs.add("o", seq(&[&[0x0a, 1, 6]]));
    inputs.add("o", vec![0; ::pki::ocsp::RESPONSE_BYTES_MAX + 1]);
    inputs.add("o", good.clone());
    good
}

/// The real way: recorded, sealed, stamped. The seal and its token.
fn seal(house: &House, xml: &[u8], signer: &FileSigner) -> (Vec<u8>, Vec<u8>) {
    let disk = Arc::new(disk::ForgetfulDisk::new());
    let (journal, _) = Journal::open(disk, Path::new("journal"), epost_fuzz::journal_options()).unwrap();
    let entry = Entry { record: consigned(), frames: Vec::new(), unique_keys: Vec::new() };
    let Appended::Recorded(recorded) = journal.append_blocking(entry).unwrap() else {
        panic!("recorded twice")
    };
    let unstamped = evidence::seal(&recorded, xml, signer, at(NOW)).unwrap();
    let imprint = unstamped.signature_digest();
    let token = Stamp::honest(&party(&house.tsa), &party(&house.tsa_ca), imprint.as_bytes()).token();
    let anchors = TrustAnchors::new(vec![Certificate::from_der(&house.tsa_root.der()).unwrap()], Vec::new());
    let checks = TokenChecks {
        imprint: &imprint,
        nonce: Some(&NONCE),
        policies: &[],
        anchors: &anchors,
        revocation: Revocation::NotChecked,
        gen_time_window: None,
        at: at(NOW),
    };
    let token = TimeStampToken::from_der(&token).unwrap();
    let sealed = unstamped.stamp(tsp::check(&token, &checks).unwrap()).unwrap();
    (sealed.p7s().to_vec(), token.der().to_vec())
}

fn consigned() -> Record {
    Record::Consigned(Consigned {
        ticket: Ticket::parse(TICKET).unwrap(),
        consigned_at: at(NOW - 10),
        channel: ChannelName::EboxCitizen,
        attempt: 1,
        idempotency_key: "5f0c".to_owned(),
        message_id: "5f0c".to_owned(),
        answer_digest: Hex32([7; 32]),
        no_digital_user: false,
        expires_at: None,
    })
}

fn proof() -> ProofOfDispatchContent {
    ProofOfDispatchContent {
        environment: Environment::Tst,
        item: item(),
        dispatch: DispatchDescription {
            channel: ChannelName::EboxCitizen,
            message_id: "5f0c".to_owned(),
            received_at: at(NOW - 20),
            consigned_at: at(NOW - 10),
            answer_sha256: [7; 32],
        },
    }
}

fn receipt() -> ReceiptContent {
    ReceiptContent { environment: Environment::Tst, item: item() }
}

fn item() -> ItemDescription {
    let file = |title: &str, digest_method, length, document_type: &str| FileDescription {
        title: title.to_owned(),
        digest_method,
        digest_value: vec![5; length],
        download_file_name: format!("{title}.pdf"),
        mime: Some("application/pdf".to_owned()),
        document_type: document_type.to_owned(),
        language: Some("nl".to_owned()),
    };
    ItemDescription {
        ticket: TICKET.to_owned(),
        token: "letter-1".to_owned(),
        recipient: RecipientDescription::Citizen {
            inss: "00000000196".to_owned(),
            quality_code: "CITIZEN".to_owned(),
        },
        sender: SenderDescription {
            company_id: "0206731645".to_owned(),
            application_id: "urn:be:test".to_owned(),
        },
        document: file("letter", FileDigestMethod::Sha256, 32, "LETTER"),
        annexes: vec![file("annex", FileDigestMethod::Sha512, 64, "ANNEX")],
    }
}
