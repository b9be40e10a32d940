//! What is put together is read back, holds, and is always the same; no byte of it can be changed.

use pki::certificate::Certificate;
use pki::path::TrustAnchors;

use super::*;
use crate::seal::{SealError, Stampable as _};
use crate::verify::tests::sealing::{ANNEX, DOCUMENT, Desk, MESSAGE, consigned, received};
use crate::verify::tests::support::{House, SEAL_SERIAL, TSA_SERIAL};
use crate::verify::{GivenFile, Indication, Inputs, Outcome, Report, SubIndication, verify};

const NOW: i64 = 1_795_000_000;

fn desk() -> Desk {
    Desk::new(House::build(NOW))
}

fn judge_with(desk: &Desk, bytes: &[u8], documents: &[GivenFile], log_key: Option<&str>) -> Report {
    let anchors = |pem: &[u8]| TrustAnchors::new(Certificate::from_pem(pem).unwrap(), Vec::new());
    let log_key = log_key.map(|key| Verifier::from_str(key).unwrap());
    verify(&Inputs {
        xml: bytes,
        p7s: &[],
        documents,
        crls: &[],
        seal_anchors: &anchors(&desk.house.seal_root.pem()),
        tsa_anchors: &anchors(&desk.house.tsa_root.pem()),
        log_key: log_key.as_ref(),
        now: jiff::Timestamp::from_second(NOW + 60).unwrap(),
    })
}

fn judge(desk: &Desk, bytes: &[u8]) -> Report {
    judge_with(desk, bytes, &[], None)
}

/// The package of contents that the sealer would refuse: signed and stamped all the same, so that the verifier is asked.
fn sealed_blindly(desk: &Desk, contents: &Contents) -> Vec<u8> {
    let signed = sealing::sign(contents, &contents.known().unwrap(), &desk.signer(), desk.at).unwrap();
    assemble(contents, desk.stamp(signed).signatures_xml()).unwrap()
}

#[track_caller]
fn is(report: &Report, check: &str, why: SubIndication) {
    let first = report.checks.iter().find(|one| one.outcome == Outcome::Failed).map(|one| one.name);
    let seen = (report.indication, first, report.sub_indication);
    assert_eq!(seen, (Indication::TotalFailed, Some(check), Some(why)), "{}", report.render());
}

#[test]
fn an_honest_one_passes_and_says_what_is_in_it() {
    let desk = desk();
    let (recorded, contents) = desk.item();
    let package = desk.package(&recorded, &contents);
    let report = judge(&desk, &package);
    assert_eq!(report.indication, Indication::TotalPassed, "{}", report.render());
    let facts = report.facts.as_ref().unwrap();
    assert_eq!((facts.kind, facts.ticket.as_str()), ("PACKAGE", "ABCDEFGH12345"));
    let inside: Vec<_> = report.inside.iter().map(|one| one.file.as_str()).collect();
    let wanted = [
        "evidence/SubmissionAcceptance-0.xml",
        "evidence/ContentConsignment-1.xml",
        "receipt/Receipt.xml",
        "dispatch/ProofOfDispatch.xml",
    ];
    assert_eq!(inside, wanted);
    assert!(report.render().contains("\n  evidence/ContentConsignment-1.xml:\n    TOTAL-PASSED"));
    assert!(serde_json::to_string(&report).unwrap().contains("\"inside\":[{\"file\":\"evidence/"));
}

#[test]
fn the_same_contents_are_the_same_bytes_and_are_read_back() {
    let desk = desk();
    let (recorded, mut contents) = desk.item();
    let signed = seal(&recorded, &contents, &desk.signer(), desk.at).unwrap();
    let signatures = desk.stamp(signed).into_signatures_xml();
    let package = assemble(&contents, &signatures).unwrap();
    let read = Package::parse(&package).unwrap();
    assert_eq!((&read.contents, &read.signatures_xml), (&contents, &signatures));
    // The order in which they are given says nothing.
    contents.evidence.reverse();
    contents.log_proofs.reverse();
    assert_eq!(assemble(&contents, &signatures).unwrap(), package);
    let names: Vec<_> = archive::read(&package, PACKAGE_FILES_MAX)
        .unwrap()
        .iter()
        .map(|(name, _)| name.to_string())
        .collect();
    let wanted = "mimetype evidence/SubmissionAcceptance-0.xml evidence/ContentConsignment-1.xml receipt/Receipt.xml \
                  receipt/Receipt.p7s dispatch/ProofOfDispatch.xml dispatch/ProofOfDispatch.p7s request/request.xml \
                  content/SHA256SUMS content/SHA512SUMS journal/0.tlog-proof journal/1.tlog-proof journal/log.vkey \
                  policy/1.txt crls/1.crl crls/2.crl crls/3.crl crls/4.crl META-INF/manifest.xml \
                  META-INF/signatures.xml";
    assert_eq!(names.join(" "), wanted);
    assert!(package[30..].starts_with(b"mimetypeapplication/vnd.etsi.asic-e+zipPK"));
}

/// What the signature is over is what the general canonicaliser makes of the file.
#[test]
fn the_signature_is_canonical() {
    use xmlsec::c14n::{Method, canonicalize};
    let desk = desk();
    let (recorded, contents) = desk.item();
    let signed = seal(&recorded, &contents, &desk.signer(), desk.at).unwrap();
    let imprint = signed.signature_digest();
    let (document, form) = read_signatures(desk.stamp(signed).signatures_xml()).unwrap();
    let signature = document.root().child(xmlsec::namespace::DS, "Signature").unwrap();
    let canonical = |name: &str| {
        let mut canonical = Vec::new();
        let element = signature.child(xmlsec::namespace::DS, name).unwrap();
        canonicalize(element, &Method::exclusive(), &mut canonical).unwrap();
        canonical
    };
    assert_eq!(canonical("SignedInfo"), form.signed_info());
    let algorithm = pki::digest::DigestAlgorithm::Sha256;
    assert_eq!(pki::digest::Digest::of(algorithm, &canonical("SignatureValue")), imprint);
}

#[test]
fn without_what_may_be_left_out_it_passes_and_says_so() {
    let desk = desk();
    let (recorded, mut contents) = desk.item();
    contents.request = None;
    contents.dispatch = None;
    let package = desk.package(&recorded, &contents);
    let report = judge(&desk, &package);
    assert!(report.passed(), "{}", report.render());
    let request = report.checks.iter().find(|check| check.name == "the sender's request").unwrap();
    assert_eq!(request.outcome, Outcome::Noted);
    assert!(request.found.starts_with("content absent"), "{}", request.found);
}

/// One bit of every byte at both ends, where the container says what it is, and of every seventh between; another of the next. (Each bit
/// of a container's own bytes: the tests of `archive`.)
#[test]
fn no_flipped_byte_passes() {
    let desk = desk();
    let (recorded, contents) = desk.item();
    let package = desk.package(&recorded, &contents);
    let mut changed = package.clone();
    let ends = 4096..package.len() - 4096;
    for at in (0..package.len()).filter(|at| at % 7 == 0 || !ends.contains(at)) {
        changed[at] ^= 1 << (at % 8);
        assert!(!judge(&desk, &changed).passed(), "byte {at}");
        changed[at] = package[at];
    }
    assert!(judge(&desk, &changed).passed());
}

/// The container made again around one changed file, so that only what covers it can tell.
#[test]
fn no_changed_file_passes() {
    let desk = desk();
    let (recorded, contents) = desk.item();
    let package = desk.package(&recorded, &contents);
    let files = archive::read(&package, PACKAGE_FILES_MAX).unwrap();
    for changed in 0..files.len() {
        let length = files[changed].1.len();
        for at in (0..length).step_by(length / 12 + 1) {
            let mut files: Vec<_> = files.iter().map(|(name, bytes)| (*name, bytes.to_vec())).collect();
            files[changed].1[at] ^= 1;
            let package =
                archive::write(files.iter().map(|(name, bytes)| (*name, bytes.as_slice()))).unwrap();
            let report = judge(&desk, &package);
            assert_eq!(report.indication, Indication::TotalFailed, "byte {at} of {}", files[changed].0);
        }
    }
    // What is no part of any form: the signature alone tells.
    let words = |from: &str, to: &str| {
        let rewritten = |bytes: &[u8]| match std::str::from_utf8(bytes) {
            Ok(text) => text.replace(from, to).into_bytes(),
            Err(_) => bytes.to_vec(),
        };
        let files: Vec<_> = files.iter().map(|(name, bytes)| (*name, rewritten(bytes))).collect();
        archive::write(files.iter().map(|(name, bytes)| (*name, bytes.as_slice()))).unwrap()
    };
    let policy = words("How this log", "Why this log");
    is(&judge(&desk, &policy), "what the signature covers", SubIndication::HashFailure);
}

#[test]
fn a_foreign_doubled_missing_or_moved_file_is_refused() {
    let desk = desk();
    let (recorded, contents) = desk.item();
    let package = desk.package(&recorded, &contents);
    let files = archive::read(&package, PACKAGE_FILES_MAX).unwrap();
    let code = |files: &[(&str, &[u8])]| {
        let package = archive::write(files.iter().copied()).unwrap();
        is(&judge(&desk, &package), "format of the package", SubIndication::FormatFailure);
        Package::parse(&package).err().map(|error| error.code())
    };
    for place in 0..files.len() {
        let without = [&files[..place], &files[place + 1..]].concat();
        code(&without).unwrap();
        let twice = [&files[..place], &files[place..=place], &files[place..]].concat();
        assert_eq!(code(&twice), Some("package.file"));
        let mut moved = files.clone();
        moved.swap(place, (place + 1) % files.len());
        assert_eq!(code(&moved), Some("package.file"), "{}", files[place].0);
        for name in ["x", "evidence/x", "META-INF/signatures2.xml", "crls/../x", "policy/2.txt"] {
            let foreign = [&files[..place], &[(name, b"x".as_slice())], &files[place..]].concat();
            code(&foreign).unwrap();
        }
    }
    for wanted in
        ["receipt/Receipt.p7s", "dispatch/ProofOfDispatch.xml", "journal/log.vkey", "META-INF/signatures.xml"]
    {
        let without: Vec<_> = files.iter().copied().filter(|(name, _)| *name != wanted).collect();
        assert_eq!(code(&without), Some("package.missing"));
    }
    let without = |gone: &str| files.iter().copied().filter(|(name, _)| *name != gone).collect::<Vec<_>>();
    assert_eq!(code(&without("policy/1.txt")), Some("package.policy"));
    let no_lists: Vec<_> = files.iter().copied().filter(|(name, _)| !name.starts_with("crls/")).collect();
    assert_eq!(code(&no_lists), Some("package.missing"));
}

/// Each change is refused by the sealer; sealed all the same, the verifier names it.
#[test]
fn parts_that_do_not_belong_together_are_neither_sealed_nor_passed() {
    type Change = fn(&Desk, &mut Contents);
    let changes: [(&str, SubIndication, Change); 8] = [
        ("the sender's request", SubIndication::HashFailure, |_, contents| {
            contents.request = Some(b"<another/>".to_vec());
        }),
        ("entries of the log", SubIndication::SigConstraintsFailure, |_, contents| {
            contents.log_proofs.pop();
        }),
        ("entries of the log", SubIndication::SigConstraintsFailure, |desk, contents| {
            contents.log_proofs.extend(desk.log_proofs(&[2]));
        }),
        // The same entries, one under a later checkpoint.
        ("entries of the log", SubIndication::SigConstraintsFailure, |desk, contents| {
            contents.log_proofs[1] = desk.log_proofs(&[1]).remove(0);
        }),
        // A log of another key, and another log's proofs under its own key.
        ("entry of the log", SubIndication::HashFailure, |_, contents| {
            contents.log_key = Desk::new(House::build(NOW)).log_key_text();
        }),
        ("entry of the log", SubIndication::SigConstraintsFailure, |_, contents| {
            let other = Desk::new(House::build(NOW));
            (contents.log_proofs, contents.log_key) = (other.item().1.log_proofs, other.log_key_text());
        }),
        ("one item", SubIndication::SigConstraintsFailure, |desk, contents| {
            let mut receipt = crate::ReceiptContent::parse(&contents.receipt.xml).unwrap();
            receipt.item.token = "letter-2".to_owned();
            let recorded = desk.append(received(desk.at));
            contents.receipt = desk.sealed(&recorded, &receipt.to_xml());
        }),
        ("one item", SubIndication::SigConstraintsFailure, |desk, contents| {
            let dispatch = &contents.dispatch.as_ref().unwrap().xml;
            let mut dispatch = crate::ProofOfDispatchContent::parse(dispatch).unwrap();
            dispatch.item.document.digest_value = vec![7; 32];
            let recorded = desk.append(consigned(desk.at));
            contents.dispatch = Some(desk.sealed(&recorded, &dispatch.to_xml()));
        }),
    ];
    for (check, why, change) in changes {
        let desk = desk();
        let (recorded, mut contents) = desk.item();
        desk.append(received(desk.at));
        change(&desk, &mut contents);
        match seal(&recorded, &contents, &desk.signer(), desk.at) {
            Err(SealError::Package(PackageError::Apart(refused))) => assert_eq!(refused, check),
            other => panic!("{check}: {other:?}"),
        }
        is(&judge(&desk, &sealed_blindly(&desk, &contents)), check, why);
    }
}

#[test]
fn it_is_sealed_for_a_record_of_its_item_alone() {
    let desk = desk();
    let (recorded, contents) = desk.item();
    let act = desk.journal.recorded(recorded.position() + 1).unwrap();
    seal(&act, &contents, &desk.signer(), desk.at).map(drop).unwrap();
    let other = desk.append(received(desk.at));
    let sealed = seal(&other, &contents, &desk.signer(), desk.at);
    assert!(matches!(sealed, Err(SealError::OtherItem)));
}

#[test]
fn what_no_package_has_is_not_sealed() {
    type Change = fn(&mut Contents);
    let desk = desk();
    let (recorded, honest) = desk.item();
    let changes: [(&str, Change); 8] = [
        ("package.missing", |contents| contents.crls.clear()),
        ("package.missing", |contents| drop(contents.evidence.remove(0))),
        ("package.file", |contents| contents.evidence.push(contents.evidence[0].clone())),
        ("package.evidence", |contents| contents.evidence[0][60] ^= 1),
        ("package.policy", |contents| contents.policies.clear()),
        ("package.policy", |contents| contents.policies[0].uri.push('x')),
        ("package.log-key", |contents| contents.log_key.push('x')),
        ("package.crl", |contents| contents.crls[0].truncate(9)),
    ];
    for (code, change) in changes {
        let mut contents = honest.clone();
        change(&mut contents);
        match seal(&recorded, &contents, &desk.signer(), desk.at) {
            Err(SealError::Package(error)) => assert_eq!(error.code(), code),
            other => panic!("{code}: {other:?}"),
        }
    }
    let mut contents = honest;
    contents.log_proofs[0].insert(0, 'x');
    let sealed = seal(&recorded, &contents, &desk.signer(), desk.at);
    assert!(matches!(sealed, Err(SealError::Package(PackageError::LogProof(_)))));
}

#[test]
fn what_was_not_signed_is_not_assembled() {
    let desk = desk();
    let (recorded, honest) = desk.item();
    let signed = seal(&recorded, &honest, &desk.signer(), desk.at).unwrap();
    let signatures = desk.stamp(signed).into_signatures_xml();
    let code = |change: fn(&mut Contents)| {
        let mut contents = honest.clone();
        change(&mut contents);
        assemble(&contents, &signatures).map(drop).map_err(|error| error.to_string())
    };
    let changed = |name: &str| Err(format!("file {name:?} is not what was signed"));
    assert_eq!(code(|_| {}), Ok(()));
    assert_eq!(code(|contents| contents.receipt.p7s.push(0)), changed("receipt/Receipt.p7s"));
    assert_eq!(code(|contents| contents.request = None), changed("content/SHA256SUMS"));
    assert_eq!(code(|contents| contents.policies[0].text.push('x')), changed("policy/1.txt"));
    assert_eq!(code(|contents| contents.crls.swap(0, 1)), changed("crls/1.crl"));
    let foreign = [signatures.as_slice(), b" "].concat();
    assert_eq!(assemble(&honest, &foreign).unwrap_err().code(), "package.signature");
    assert_eq!(assemble(&honest, b"<a/>").unwrap_err().code(), "package.signature");
}

#[test]
fn the_revocation_lists_in_it_are_those_that_count() {
    for serial in [SEAL_SERIAL, TSA_SERIAL] {
        let desk = desk();
        let (recorded, mut contents) = desk.item();
        contents.crls = desk.house.crls(&[(serial, NOW - 100)]);
        let report = judge(&desk, &desk.package(&recorded, &contents));
        assert_eq!(report.sub_indication, Some(SubIndication::Revoked), "{}", report.render());
        // Lists of other authorities say nothing.
        contents.crls = House::build(NOW).crls(&[]);
        let report = judge(&desk, &desk.package(&recorded, &contents));
        assert_eq!(report.sub_indication, Some(SubIndication::TryLater), "{}", report.render());
    }
}

#[test]
fn documents_and_the_logs_key_are_compared() {
    let desk = desk();
    let (recorded, contents) = desk.item();
    let package = desk.package(&recorded, &contents);
    let file = |name: &str, bytes: &[u8]| GivenFile::read(name, bytes).unwrap();
    let both = [file("letter.txt", DOCUMENT), file("table.csv", ANNEX)];
    let report = judge_with(&desk, &package, &both, Some(&desk.log_key_text()));
    assert!(report.passed(), "{}", report.render());
    assert!(report.facts.unwrap().files.iter().all(|file| file.given == Some(true)));
    let report = judge_with(&desk, &package, &[file("other", b"other")], None);
    assert_eq!(report.sub_indication, Some(SubIndication::HashFailure));
    let other = Desk::new(House::build(NOW)).log_key_text();
    let report = judge_with(&desk, &package, &[], Some(&other));
    is(&report, "key of the log", SubIndication::SigConstraintsFailure);
}

#[test]
fn digests_stand_under_plain_names_alone() {
    let desk = desk();
    let (_, contents) = desk.item();
    let known = contents.known().unwrap();
    let mut parts = known.acceptance().unwrap().request.parts.clone();
    let own = parts[0].clone();
    parts.extend([own.clone(), own]);
    for (part, name) in parts.iter_mut().zip(["letter.txt", "../../etc/passwd", "letter.txt", "-x"]) {
        part.download_file_name = name.to_owned();
    }
    assert_eq!(content_names(&parts), ["letter.txt", "annex-1", "annex-2", "annex-3"]);
    let line = format!("{}  letter.txt\n", crate::verify::hex(&pki::digest::sha256(DOCUMENT)));
    assert!(sums(&parts, FileDigestMethod::Sha256).starts_with(&line));
    assert_eq!(sums(&parts, FileDigestMethod::Sha512).lines().count(), 1);
}

#[test]
fn its_size_and_its_number_of_files_are_bounded() {
    let desk = desk();
    let (_, mut contents) = desk.item();
    let signed = sealing::sign(&contents, &contents.known().unwrap(), &desk.signer(), desk.at).unwrap();
    let signatures = desk.stamp(signed).into_signatures_xml();
    let bytes = assemble(&contents, &signatures).unwrap().len();
    let files = archive::read(&assemble(&contents, &signatures).unwrap(), PACKAGE_FILES_MAX).unwrap().len();
    let request_bytes = PACKAGE_BYTES_MAX - bytes + MESSAGE.len();
    let package = |contents: &Contents| container(&contents.known().unwrap().files(), &signatures);
    contents.request = Some(vec![b' '; request_bytes]);
    let largest = package(&contents).unwrap();
    assert_eq!(largest.len(), PACKAGE_BYTES_MAX);
    assert!(Package::parse(&largest).is_ok());
    contents.request = Some(vec![b' '; request_bytes + 1]);
    assert_eq!(package(&contents).unwrap_err().code(), "package.too-large");
    let larger = [largest.as_slice(), b"x"].concat();
    assert!(matches!(Package::parse(&larger), Err(PackageError::TooLarge)));
    contents.request = Some(MESSAGE.to_vec());
    contents.crls = vec![contents.crls[0].clone(); PACKAGE_FILES_MAX - files + 4];
    let most = package(&contents).unwrap();
    assert!(Package::parse(&most).is_ok());
    contents.crls.push(contents.crls[0].clone());
    assert_eq!(package(&contents).unwrap_err().code(), "package.too-many");
}
