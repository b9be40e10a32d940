//! `epost journal` by its own program, on the journal of a sandbox that was killed: what auditors and operators run.

mod folder;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use epost::dev::sandbox::CITIZEN;
use folder::copy;
use journal::merkle::Tree;
use serde_json::Value;

const ITEMS: usize = 2;
const TORN: &str = "the file ends inside a frame";

#[test]
fn records_are_shown_by_place_and_by_ticket() {
    let shown = json_lines(&journal(&HOUSE, &["show", "--json"]));
    assert!((0..).zip(&shown).all(|(place, line): (u64, _)| line["position"] == place), "{shown:?}");
    let of_kind =
        |kind: &str| shown.iter().filter(move |line| line["record"]["kind"] == kind).collect::<Vec<_>>();
    assert_eq!((of_kind("received").len(), of_kind("accepted").len()), (ITEMS, ITEMS), "{shown:?}");

    let received = of_kind("received")[0];
    let named = |line: &Value, name: &str| {
        line["frames"].as_array().unwrap().iter().any(|frame| {
            frame["name"].as_str().unwrap().ends_with(name) && frame["bytes"].as_u64().unwrap() > 0
        })
    };
    assert!(named(received, "/soap") && named(of_kind("accepted")[0], "/receipt.xml"), "{received}");
    let ticket = received["record"]["ticket"].as_str().unwrap();
    let about = json_lines(&journal(&HOUSE, &["show", "--json", "--ticket", ticket]));
    assert!(about.len() >= 2 && about.iter().all(|line| line["record"]["ticket"] == ticket), "{about:?}");

    let some = json_lines(&journal(&HOUSE, &["show", "--json", "--from", "1", "--count", "2"]));
    assert_eq!(some, shown[1..3]);
    let text = told(&journal(&HOUSE, &["show"]));
    assert_eq!(text.lines().count(), shown.len());
    assert!(text.lines().any(|line| line.contains(ticket) && line.contains("sendDocument")), "{text}");
}

#[test]
fn a_whole_journal_verifies_with_its_senders_signatures() {
    let shown = json_lines(&journal(&HOUSE, &["show", "--json"]));
    let mut tree = Tree::default();
    for line in &shown {
        tree.push(unhex(line["leaf_hash"].as_str().unwrap()));
    }
    let output = journal(&HOUSE, &["verify", "--json", "--signatures"]);
    let report = &json_lines(&output)[0];
    assert_eq!(output.status.code(), Some(0), "{report}");
    assert_eq!(report["whole"], true, "{report}");
    assert_eq!(report["signed_records"], report["records"], "{report}");
    assert_eq!(
        (report["records"].as_u64(), report["segments"].as_u64()),
        (Some(shown.len() as u64), Some(3))
    );
    assert_eq!(unhex(report["root"].as_str().unwrap()), tree.root(), "the tree over what is shown");
    let asked = shown.iter().filter(|line| line["record"]["request"]["signature_value"].is_string()).count();
    assert!(asked >= ITEMS);
    assert_eq!(report["signatures_verified"].as_u64(), Some(asked as u64), "{report}");
    assert_eq!(report["signatures_content_absent"], 0);

    let text = told(&journal(&HOUSE, &["verify", "--signatures"]));
    assert!(text.starts_with("whole: ") && text.contains("signatures verified again"), "{text}");
}

#[test]
fn a_changed_byte_is_found_and_its_record_named() {
    let house = HOUSE.copy();
    let (segment, groups, _) = house.segment(0);
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[groups[1] + 100] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    house.check_refused(0, groups[1], 1, "a frame whose checksum is wrong");
}

#[test]
fn a_cut_tail_is_found() {
    let house = HOUSE.copy();
    let (segment, groups, end) = house.segment(2);
    let last = *groups.last().unwrap();
    std::fs::OpenOptions::new().write(true).open(&segment).unwrap().set_len(end as u64 - 1).unwrap();
    house.check_refused(2, last, house.records() - 1, TORN);
}

/// Cut where a record ends, the bytes agree with each other: only what was signed tells.
#[test]
fn records_cut_off_the_end_are_found_by_the_checkpoint() {
    let house = HOUSE.copy();
    let (segment, groups, _) = house.segment(2);
    let last = *groups.last().unwrap() as u64;
    std::fs::OpenOptions::new().write(true).open(&segment).unwrap().set_len(last).unwrap();
    let output = journal(&house, &["verify", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report = &json_lines(&output)[0];
    assert_eq!(
        (report["whole"].as_bool(), report["code"].as_str()),
        (Some(false), Some("journal.forked")),
        "{report}"
    );
    let cut = house.records();
    assert!(
        report["what"].as_str().unwrap().contains(&format!("the journal ends before record {cut};")),
        "{report}"
    );

    let mut serve = Command::new(env!("CARGO_BIN_EXE_epost"));
    let refused = serve.args(["serve", "--config"]).arg(house.folder().join("epost.toml")).output().unwrap();
    assert_eq!(refused.status.code(), Some(3));
    assert!(
        String::from_utf8(refused.stderr).unwrap().contains("journal.forked"),
        "serve does not start on it"
    );
}

#[test]
fn swapped_records_are_found() {
    let house = HOUSE.copy();
    let (segment, groups, _) = house.segment(0);
    let bytes = std::fs::read(&segment).unwrap();
    let (head, one, two, rest) = (
        &bytes[..groups[1]],
        &bytes[groups[1]..groups[2]],
        &bytes[groups[2]..groups[3]],
        &bytes[groups[3]..],
    );
    std::fs::write(&segment, [head, two, one, rest].concat()).unwrap();
    house.check_refused(0, groups[1], 1, "here stands record 2, where record 1 belongs");
}

#[test]
fn a_missing_segment_is_found() {
    for missing in 0..2 {
        let house = HOUSE.copy();
        let (segment, ..) = house.segment(missing);
        let [first, next] = [missing, missing + 1].map(|number| house.first_of(number));
        std::fs::remove_file(segment).unwrap();
        house.check_refused(
            missing,
            0,
            first,
            &format!("here begins record {next}, where record {first} belongs"),
        );
    }
}

#[test]
fn repair_tells_what_it_would_do_and_does_it_when_told_to() {
    let house = HOUSE.copy();
    let backup = house.folder().join("backup");
    let mut taking = Command::new(env!("CARGO_BIN_EXE_epost"));
    taking.args(["backup", "--config"]).arg(house.folder().join("epost.toml")).arg(&backup);
    assert!(taking.output().unwrap().status.success());
    let from = ["--from", backup.to_str().unwrap()];
    let repair = |more: &[&str]| journal(&house, &[&["repair"], more].concat());
    assert_eq!(repair(&[]).status.code(), Some(0));
    assert!(told(&repair(&[])).starts_with("whole: "));

    let (segment, groups, _) = house.segment(0);
    let whole = std::fs::read(&segment).unwrap();
    let mut bytes = whole.clone();
    bytes[groups[1] + 100] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    let output = repair(&["--json"]);
    let [damage, verdict] = &json_lines(&output)[..] else { panic!("{output:?}") };
    assert_eq!(output.status.code(), Some(1), "nothing to mend it from");
    let expected = serde_json::json!({
        "segment": segment.file_name().unwrap().to_str().unwrap(), "offset": groups[1], "position": 1,
        "what": "a frame whose checksum is wrong", "kept_as": null,
    });
    assert_eq!((damage, verdict["code"].as_str()), (&expected, Some("journal.repair.no-backup")));
    assert!(told(&repair(&[])).contains("nothing was changed: journal.repair.no-backup"));

    let output = repair(&[&from[..], &["--content"]].concat());
    assert_eq!(output.status.code(), Some(2), "it can be mended: {output:?}");
    assert!(told(&output).contains("--apply takes 1 segments from the backup"), "{output:?}");
    assert_eq!(std::fs::read(&segment).unwrap(), bytes, "a dry run");
    let output = repair(&[&from[..], &["--content", "--apply"]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(std::fs::read(&segment).unwrap(), whole);
    assert_eq!(journal(&house, &["verify"]).status.code(), Some(0));
    let shown = told(&journal(&house, &["show"]));
    assert!(shown.lines().last().unwrap().contains("journal.repaired"), "{shown}");
    assert!(told(&repair(&[])).starts_with("whole: "));
}

/// Whoever can write the disk can write checksums too; he cannot sign as the log, nor as the sender.
#[test]
fn a_record_written_anew_is_not_the_published_one_and_does_not_have_the_senders_signature() {
    let house = HOUSE.copy();
    let shown = json_lines(&journal(&house, &["show", "--json"]));
    let received = shown.iter().position(|line| line["record"]["kind"] == "received").unwrap();
    let (segment, groups, _) = house.segment(0);
    let mut bytes = std::fs::read(&segment).unwrap();
    let leaf = groups[received];
    let length = u32::from_le_bytes(bytes[leaf + 1..leaf + 5].try_into().unwrap()) as usize;
    let payload = leaf + 9..leaf + 9 + length;
    let name = b"\"signature_value\":\"";
    let value = bytes[payload.clone()].windows(name.len()).position(|window| window == name).unwrap();
    let letter = &mut bytes[payload.start + value + name.len() + 20];
    *letter = if *letter == b'A' { b'B' } else { b'A' };
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&bytes[leaf..leaf + 5]), &bytes[payload]);
    bytes[leaf + 5..leaf + 9].copy_from_slice(&checksum.to_le_bytes());
    std::fs::write(&segment, bytes).unwrap();

    let output = journal(&house, &["verify", "--json"]);
    let report = &json_lines(&output)[0];
    assert_eq!(
        (output.status.code(), report["position"].as_u64()),
        (Some(1), Some(received as u64)),
        "{report}"
    );
    assert_eq!(report["what"], "its hash is not the one that was published");
    std::fs::remove_dir_all(house.folder().join("data/tlog")).unwrap();
    assert_eq!(journal(&house, &["verify"]).status.code(), Some(0), "the bytes agree with each other");
    let output = journal(&house, &["verify", "--signatures", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(json_lines(&output)[0]["position"].as_u64(), Some(received as u64), "{output:?}");
}

#[test]
fn a_proof_is_judged_by_the_logs_public_key_alone() {
    let key = told(&journal(&HOUSE, &["key"])).trim().to_owned();
    let shown = json_lines(&journal(&HOUSE, &["show", "--json"]));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("record.tlog-proof");
    let check = |key: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_epost"));
        command.args(["journal", "check-proof", "--json", "--key", key]).arg(&file).output().unwrap()
    };
    for (position, line) in shown.iter().enumerate() {
        let text = told(&journal(&HOUSE, &["proof", &position.to_string()]));
        let written = journal(&HOUSE, &["proof", &position.to_string(), "--out", file.to_str().unwrap()]);
        assert_eq!((written.status.code(), std::fs::read_to_string(&file).unwrap()), (Some(0), text.clone()));
        let output = check(&key);
        let proved = &json_lines(&output)[0];
        assert_eq!((output.status.code(), proved["proved"].as_bool()), (Some(0), Some(true)), "{proved}");
        for field in ["position", "leaf_hash", "record"] {
            assert_eq!(proved[field], line[field], "{proved}");
        }
    }
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[60] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    assert_eq!(check(&key).status.code(), Some(1), "one changed byte");
    assert_eq!(check("no+key").status.code(), Some(3));
    let absent = journal(&HOUSE, &["proof", &shown.len().to_string(), "--json"]);
    assert_eq!(absent.status.code(), Some(1));
    assert_eq!(json_lines(&absent)[0]["error"]["code"], "journal.absent");
}

#[test]
fn a_log_that_goes_on_otherwise_than_it_was_signed_is_found() {
    let house = HOUSE.copy();
    let old = house.folder().join("old-checkpoint");
    let compare = || journal(&house, &["compare", old.to_str().unwrap(), "--json"]);
    let output = compare();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = &json_lines(&output)[0];
    assert!(
        told["extends"] == true && told["old_records"].as_u64() < told["signed_records"].as_u64(),
        "{told}"
    );

    // Rolled back to the first segment without its last record, published anew, and gone on.
    for later in [2, 1] {
        std::fs::remove_file(house.segment(later).0).unwrap();
    }
    let (segment, groups, _) = house.segment(0);
    let cut = *groups.last().unwrap() as u64;
    std::fs::OpenOptions::new().write(true).open(segment).unwrap().set_len(cut).unwrap();
    for derived in ["data/tlog", "data/index.sqlite"] {
        let path = house.folder().join(derived);
        let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir_all(&path));
    }
    let before = house.records();
    let program = Program::start(&["serve", "--config"], &house.folder().join("epost.toml"));
    program.wait_for(|| house.signed() > before);
    drop(program);
    assert_eq!(journal(&house, &["verify"]).status.code(), Some(0), "it agrees with itself");
    let output = compare();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(json_lines(&output)[0]["error"]["code"], "journal.forked");
}

#[test]
fn without_a_journal_to_read_the_command_could_not_run() {
    let house = HOUSE.copy();
    for arguments in [&["verify"][..], &["show", "--json"], &["verify", "--signatures"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_epost"));
        let output =
            command.arg("journal").args(arguments).arg("--config").arg("absent.toml").output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{output:?}");
    }
    std::fs::write(house.folder().join("secrets/master.key"), [1; 32]).unwrap();
    assert_eq!(journal(&house, &["verify", "--signatures"]).status.code(), Some(3), "another master key");
}

/// A sandbox that took items, was killed, and was started twice more with small segments: it has three.
static HOUSE: LazyLock<House> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    copy(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../certs-test"), &path.join("pki"));
    let program = Program::start(&["sandbox", "--listen", "127.0.0.1:0"], path);
    program.wait_for(|| path.join("sandbox.json").exists());
    for item in 0..ITEMS {
        let letter = path.join(format!("letter-{item}.pdf"));
        std::fs::write(&letter, epost::dev::sample::letter()).unwrap();
        let mut send = Command::new(env!("CARGO_BIN_EXE_epost"));
        send.arg("send").arg(&letter).arg("--profile").arg(path.join("alice.toml")).arg("--out").arg(path);
        send.args(["--to-citizen", CITIZEN, "--title", "A letter", "--type", "LETTER", "--wait", "--json"]);
        let output = send.env("HOME", path).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    let house = House(folder);
    let path = house.folder();
    program.wait_for(|| house.signed() == house.records());
    drop(program);
    std::fs::copy(path.join("data/tlog/checkpoint"), path.join("old-checkpoint")).unwrap();

    let config = path.join("epost.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("[data]", "[data]\nsegment_bytes_max = 100")).unwrap();
    for segments in [2, 3] {
        let before = json_lines(&journal(&house, &["show", "--json"])).len();
        let program = Program::start(&["serve", "--config"], &config);
        program.wait_for(|| {
            house.segments().len() == segments
                && json_lines(&journal(&house, &["show", "--json"])).len() > before
                && house.signed() == house.records()
        });
    }
    house
});

struct House(tempfile::TempDir);

impl House {
    fn folder(&self) -> &Path {
        self.0.path()
    }

    fn copy(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(self.folder(), folder.path());
        Self(folder)
    }

    fn segments(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder().join("data/journal")).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
        paths.sort();
        paths
    }

    /// A segment's file, where its records begin, and where the last one ends.
    fn segment(&self, number: usize) -> (PathBuf, Vec<usize>, usize) {
        let path = self.segments().swap_remove(number);
        let bytes = std::fs::read(&path).unwrap();
        let number_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        // magic, version, first position, the origin with its length, checksum
        let mut at = 8 + 4 + 8 + 2 + usize::from(u16::from_le_bytes([bytes[20], bytes[21]])) + 4;
        let mut groups = Vec::new();
        while bytes.get(at).is_some_and(|kind| *kind != 0) {
            if bytes[at] == b'L' {
                groups.push(at);
            }
            at += 9 + number_at(at + 1);
        }
        (path, groups, at)
    }

    fn first_of(&self, number: usize) -> u64 {
        self.segments()[number].file_stem().unwrap().to_str().unwrap().parse().unwrap()
    }

    /// Records under the newest checkpoint.
    fn signed(&self) -> u64 {
        let note = std::fs::read_to_string(self.folder().join("data/tlog/checkpoint")).unwrap_or_default();
        note.lines().nth(1).map_or(0, |size| size.parse().unwrap())
    }

    fn records(&self) -> u64 {
        let segments = self.segments().len();
        (0..segments).map(|number| self.segment(number).1.len() as u64).sum()
    }

    /// `verify` and `show` end with 1, and name segment, place, record and what is wrong with it.
    #[track_caller]
    fn check_refused(&self, segment: usize, offset: usize, position: u64, what: &str) {
        let path = self.segments().swap_remove(segment);
        let output = journal(self, &["verify", "--json"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let expected = serde_json::json!({
            "whole": false, "code": "journal.damaged", "segment": path.file_name().unwrap().to_str().unwrap(),
            "offset": offset, "position": position, "what": what,
        });
        assert_eq!(json_lines(&output), [expected]);
        let output = journal(self, &["verify"]);
        let text = format!("{}, offset {offset}, record {position}: {what}", path.display());
        assert_eq!(told(&output), format!("NOT WHOLE: journal.damaged: {text}\n"));
        // To who shows records, a last write that is not whole is not there yet; and no damage keeps from him what lies before it.
        let shown = if what == TORN { Some(0) } else { Some(1) };
        let output = journal(self, &["show", "--json"]);
        assert_eq!(output.status.code(), shown, "{output:?}");
    }
}

/// A program of ours that serves; killed with this, as by a power cut that the page cache survives.
struct Program(Child);

impl Program {
    fn start(arguments: &[&str], path: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_epost"));
        command.args(arguments).arg(path).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    #[track_caller]
    fn wait_for(&self, reached: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !reached() {
            assert!(Instant::now() < deadline, "not within a minute");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn journal(house: &House, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_epost"));
    command.arg("journal").args(arguments).arg("--config").arg(house.folder().join("epost.toml"));
    command.output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json_lines(output: &Output) -> Vec<Value> {
    told(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn unhex(text: &str) -> [u8; 32] {
    let bytes: Vec<u8> =
        (0..64).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect();
    bytes.try_into().unwrap()
}
