//! The command line: files in, text and exit code out.

use std::path::{Path, PathBuf};

use clap::Parser;

use super::{Case, LETTER, NOW, at, sealing, support};
use crate::verify::command::{Answer, Arguments, run};

struct Desk {
    directory: tempfile::TempDir,
}

impl Desk {
    fn with(case: &Case) -> Self {
        let desk = Self { directory: tempfile::tempdir().unwrap() };
        desk.put("Receipt.xml", &case.xml);
        desk.put("Receipt.p7s", &case.p7s);
        desk.put("seal.pem", &case.seal_anchor);
        desk.put("tsa.pem", &case.tsa_anchor);
        desk.put("letter.pdf", LETTER);
        std::fs::create_dir(desk.at("crls")).unwrap();
        for (number, crl) in case.crls.iter().enumerate() {
            desk.put(&format!("crls/{number}.crl"), crl);
        }
        desk
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.at(name), bytes).unwrap();
    }

    /// Runs the command with these words; names with a dot or `crls` are files on the desk.
    fn run(&self, words: &str) -> Answer {
        let on_desk = |word: &str| match word.starts_with("--") || !Path::new(&self.at(word)).exists() {
            true => word.to_owned(),
            false => self.at(word).display().to_string(),
        };
        let fixed = "--seal-anchors seal.pem --tsa-anchors tsa.pem";
        let words = ["epost-verify"].into_iter().chain(words.split(' ')).chain(fixed.split(' '));
        let arguments = Arguments::try_parse_from(words.map(on_desk)).unwrap();
        run(&arguments, at(NOW + 60))
    }
}

#[test]
fn exit_codes_are_those_of_the_help() {
    let case = Case::honest();
    let desk = Desk::with(&case);
    assert_eq!(desk.run("Receipt.xml Receipt.p7s --crl crls").exit_code, 0);
    assert_eq!(desk.run("Receipt.xml --crl crls").exit_code, 0);
    assert_eq!(desk.run("Receipt.xml --crl crls --document letter.pdf").exit_code, 0);
    assert_eq!(desk.run("Receipt.xml --crl crls --document seal.pem").exit_code, 1);
    assert_eq!(desk.run("Receipt.xml").exit_code, 2);
    assert_eq!(desk.run("absent.xml --crl crls").exit_code, 3);
    assert_eq!(desk.run("Receipt.p7s --crl crls").exit_code, 3);
    assert_eq!(desk.run("Receipt.xml --crl letter.pdf").exit_code, 3);
}

#[test]
fn one_bad_proof_among_good_ones_fails() {
    let case = Case::honest();
    let desk = Desk::with(&case);
    desk.put("Other.xml", b"<a/>");
    desk.put("Other.p7s", &case.p7s);
    let answer = desk.run("Receipt.xml Other.xml --crl crls");
    assert_eq!(answer.exit_code, 1);
    assert!(answer.out.contains("TOTAL-PASSED") && answer.out.contains("TOTAL-FAILED / HASH_FAILURE"));
}

#[test]
fn the_time_of_judgement_can_be_given() {
    let desk = Desk::with(&Case::honest());
    let answer = desk.run("Receipt.xml --crl crls --at 2026-01-01T00:00:00Z");
    assert_eq!(answer.exit_code, 1, "stamped after the time of judgement:\n{}", answer.out);
}

#[test]
fn json_says_the_same() {
    let desk = Desk::with(&Case::honest());
    let answer = desk.run("Receipt.xml --crl crls --json");
    let reports: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!(reports[0]["indication"], "TOTAL_PASSED");
    assert_eq!(reports[0]["facts"]["kind"], "RECEIPT");
    assert_eq!(reports[0]["facts"]["ticket"], "ABCDEFGH12345");
    assert!(reports[0]["checks"].as_array().unwrap().iter().all(|check| check["clause"].is_string()));
}

#[test]
fn packages_need_no_lists_and_go_with_other_proofs() {
    let desk = sealing::Desk::new(support::House::build(NOW));
    let (recorded, contents) = desk.item();
    let package = desk.package(&recorded, &contents);
    let mut case = Case::honest();
    case.seal_anchor = desk.house.seal_root.pem();
    case.tsa_anchor = desk.house.tsa_root.pem();
    case.crls = desk.house.crls(&[]);
    case.xml = contents.receipt.xml;
    case.p7s = contents.receipt.p7s;
    let on = Desk::with(&case);
    on.put("Package.asice", &package);
    on.put("sent.txt", sealing::DOCUMENT);
    let answer = on.run("Package.asice");
    assert_eq!(answer.exit_code, 0, "{}{}", answer.out, answer.err);
    assert_eq!(on.run("Package.asice --document sent.txt").exit_code, 0);
    assert_eq!(on.run("Package.asice --document letter.pdf").exit_code, 1);
    assert_eq!(on.run(&format!("Package.asice --log-key {}", desk.log_key_text())).exit_code, 0);
    let other = sealing::Desk::new(support::House::build(NOW)).log_key_text();
    assert_eq!(on.run(&format!("Package.asice --log-key {other}")).exit_code, 1);
    assert_eq!(on.run("Package.asice Receipt.xml").exit_code, 2, "the receipt alone has no lists");
    let answer = on.run("Package.asice Receipt.xml Receipt.p7s --crl crls --json");
    assert_eq!(answer.exit_code, 0, "{}{}", answer.out, answer.err);
    let reports: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!(reports[0]["facts"]["kind"], "PACKAGE");
    assert_eq!(reports[0]["facts"]["ticket"], reports[1]["facts"]["ticket"]);
    assert_eq!(reports[0]["inside"][2]["file"], "receipt/Receipt.xml");
    assert_eq!(reports[0]["inside"][2]["facts"]["kind"], "RECEIPT");
    // Each of the two marks by which it is known, and a byte of the signature.
    for at in [0, 30, package.len() - 3000] {
        let mut flipped = package.clone();
        flipped[at] ^= 1;
        on.put("Flipped.asice", &flipped);
        assert_eq!(on.run("Flipped.asice").exit_code, 1, "byte {at}");
    }
}
