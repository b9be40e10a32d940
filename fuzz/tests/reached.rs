//! Every refusal code is reached by some file of the corpora, or `fuzz/unreached.txt` says why no message's bytes can.
//!
//! The list of all codes is read from the sources: a code that is added there without a file fails here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use epost_fuzz::TARGETS;

/// Sources whose codes a message, a policy, a proof or a journal's bytes can reach.
const REFUSING: [&str; 8] = [
    "epost/src/admission",
    "erds/src",
    "evidence/src",
    "journal/src",
    "pki/src",
    "soap/src",
    "uam/src",
    "xmlsec/src",
];
/// What looks like a code and is a file of the contract.
const SUFFIX_OF_SCHEMAS: &str = ".xsd";
const CORPUS_FILES_MAX: usize = 600;
const CORPUS_BYTES_MAX: u64 = 2 << 20;

fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn is_test(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name.contains("/tests/") || name.ends_with("tests.rs")
}

/// The literals of a source, its tests and the names of events left out; enough of Rust's lexis for sources that rustfmt wrote.
fn literals(source: &str) -> Vec<&str> {
    let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines =
        code.lines().filter(|line| !line.trim_start().starts_with("//") && !line.contains("event = "));
    lines.flat_map(|line| line.split('"').skip(1).step_by(2)).collect()
}

/// Dotted lower-case words of letters, digits and hyphens.
fn is_code(text: &str) -> bool {
    let word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    text.contains('.') && text.split('.').all(word) && !text.ends_with(SUFFIX_OF_SCHEMAS)
}

/// What looks like a code, with the source that has it.
fn codes_in(folder: &Path) -> BTreeMap<String, String> {
    let mut codes = BTreeMap::new();
    for path in files(folder).iter().filter(|path| path.extension().is_some_and(|kind| kind == "rs")) {
        if is_test(path) {
            continue;
        }
        let source = fs::read_to_string(path).unwrap();
        let found = literals(&source).into_iter().filter(|text| is_code(text));
        codes.extend(found.map(|code| (code.to_owned(), path.display().to_string())));
    }
    codes
}

/// Every code that some input must reach, with the source that has it.
fn all_codes() -> BTreeMap<String, String> {
    let sources = REFUSING.map(|source| here("../crates").join(source));
    let mut codes: BTreeMap<_, _> = sources.iter().flat_map(|folder| codes_in(folder)).collect();
    let verdicts = here("../crates/evidence/src/verify/indication.rs");
    let source = fs::read_to_string(&verdicts).unwrap();
    let (_, of_checks) = source.split_once("impl SubIndication").expect("the sub-indications");
    codes.extend(
        literals(of_checks).into_iter().map(|name| (name.to_owned(), verdicts.display().to_string())),
    );
    let faults = erds::refusal::FaultCode::ALL.iter();
    codes.extend(faults.map(|code| (code.as_str().to_owned(), "erds::refusal::FaultCode".to_owned())));
    codes
}

/// The codes that no input reaches, each with its reason.
fn unreached() -> BTreeMap<String, String> {
    let list = fs::read_to_string(here("unreached.txt")).unwrap();
    let mut codes = BTreeMap::new();
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let (code, reason) = line.split_once(": ").unwrap_or_else(|| panic!("no reason: {line}"));
        assert!(codes.insert(code.to_owned(), reason.to_owned()).is_none(), "twice: {code}");
    }
    codes
}

/// What each target's committed files reach; no body panics on any of them.
fn reached() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let mut all = BTreeMap::new();
    for (target, body) in TARGETS {
        let inputs = files(&here("corpus").join(target));
        assert!(!inputs.is_empty(), "no file for {target}");
        let mut codes = BTreeSet::new();
        for path in inputs {
            codes.extend(body(&fs::read(&path).unwrap()));
        }
        all.insert(target, codes);
    }
    all
}

#[test]
fn every_code_has_a_file() {
    let (all, excused) = (all_codes(), unreached());
    let by_target = reached();
    let reached: BTreeSet<&str> = by_target.values().flatten().copied().collect();
    let mut wrong = Vec::new();
    for (code, source) in &all {
        match (reached.contains(code.as_str()), excused.contains_key(code)) {
            (false, false) => wrong.push(format!("{code} has no file ({source})")),
            (true, true) => wrong.push(format!("{code} is reached, and unreached.txt says otherwise")),
            _ => {}
        }
    }
    let elsewhere = codes_in(&here("../crates"));
    wrong.extend(
        reached
            .iter()
            .filter(|code| !all.contains_key(**code) && !elsewhere.contains_key(**code))
            .map(|code| format!("{code} is in no source")),
    );
    wrong.extend(
        excused
            .keys()
            .filter(|code| !all.contains_key(*code))
            .map(|code| format!("{code} is excused, and is no code")),
    );
    for (target, codes) in &by_target {
        println!("{target}: {} codes", codes.len());
    }
    println!("{} codes: {} reached, {} excused", all.len(), reached.len(), excused.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The scan sees what the enums with a list of their own have: it is not blind.
#[test]
fn the_scan_sees_the_codes_of_the_enums() {
    let all = all_codes();
    for kind in xmlsec::ReadErrorKind::ALL {
        assert!(all.contains_key(kind.code()), "{}", kind.code());
    }
    let others =
        ["wss.token.unknown", "tsp.imprint", "journal.damaged", "identifier.form", "TRY_LATER", "SOA-01001"];
    assert!(others.iter().all(|code| all.contains_key(*code)), "{all:?}");
}

#[test]
fn the_corpora_stay_small() {
    let inputs = files(&here("corpus"));
    let bytes: u64 = inputs.iter().map(|path| path.metadata().unwrap().len()).sum();
    println!("{} files, {bytes} bytes", inputs.len());
    assert!(inputs.len() <= CORPUS_FILES_MAX && bytes <= CORPUS_BYTES_MAX);
}
