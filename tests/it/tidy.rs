//! The house's own rules, held by a test: layers, lone users of dependencies, file sizes, documented options.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Room, and the rooms of ours that it may use.
const LAYERS: [(&str, &[&str]); 12] = [
    ("pki", &[]),
    ("disk", &[]),
    ("runs", &["disk"]),
    ("xmlsec", &["pki"]),
    ("erds", &["pki"]),
    ("soap", &["erds", "xmlsec", "pki"]),
    ("uam", &["erds", "pki"]),
    ("journal", &["erds", "pki", "disk", "runs"]),
    ("store", &["erds", "pki", "disk", "runs"]),
    ("evidence", &["erds", "xmlsec", "pki", "journal"]),
    ("delivery", &["erds", "pki", "store", "evidence"]),
    ("epost", &["pki", "disk", "xmlsec", "erds", "soap", "uam", "journal", "store", "evidence", "delivery"]),
];

/// Dependency, and the rooms that alone may name it outside their tests.
const LONE_USERS: [(&str, &[&str]); 8] = [
    ("openssl", &["pki", "epost"]), // epost: the stand-ins under dev/, which share no code with pki's checkers
    ("x509-parser", &["pki"]),
    ("cryptoki", &["pki"]),
    ("rusqlite", &["store"]),
    ("hyper", &["epost"]),
    ("rustls", &["epost"]),
    ("reqwest", &["epost"]),
    ("tracing-subscriber", &["epost"]),
];

const FILE_LINES_MAX: usize = 700;

#[test]
fn a_room_knows_only_what_is_below_it() {
    let used = dependencies();
    for (room, allowed) in LAYERS {
        let ours: BTreeSet<&str> = LAYERS.iter().map(|(name, _)| *name).collect();
        let unexpected: Vec<_> = used[room]
            .iter()
            .filter(|name| ours.contains(name.as_str()) && !allowed.contains(&name.as_str()))
            .collect();
        assert!(unexpected.is_empty(), "{room} may not use {unexpected:?}");
    }
    let rooms: BTreeSet<_> =
        std::fs::read_dir(root().join("crates")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(rooms.len(), LAYERS.len(), "every folder in crates/ is in the table");
}

#[test]
fn what_belongs_to_one_room_stays_there() {
    let used = dependencies();
    for (dependency, allowed) in LONE_USERS {
        let users: Vec<_> = used
            .iter()
            .filter(|(_, names)| names.contains(dependency))
            .map(|(room, _)| room.as_str())
            .collect();
        assert!(
            users.iter().all(|user| allowed.contains(user)),
            "{dependency} is used by {users:?}, allowed {allowed:?}"
        );
    }
}

#[test]
fn files_are_short_enough_to_read() {
    let mut long = Vec::new();
    for file in rust_files(&root().join("crates")) {
        let lines = std::fs::read_to_string(&file).unwrap().lines().count();
        if lines > FILE_LINES_MAX {
            long.push((file, lines));
        }
    }
    assert!(long.is_empty(), "split these: {long:?}");
}

#[test]
fn nothing_is_called_utils() {
    let banned = ["utils", "util", "common", "core", "helpers", "types", "misc"];
    for file in rust_files(&root().join("crates")) {
        let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(!banned.contains(&stem.as_str()), "{}", file.display());
    }
}

#[test]
fn every_option_is_explained_in_the_shipped_configuration() {
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let config = root().join("crates/epost/src/config");
    let source =
        rust_files(&config).iter().fold(read(&config.with_extension("rs")), |all, file| all + &read(file));
    let explained = std::fs::read_to_string(root().join("deploy/epost.toml")).unwrap();
    let options = source
        .lines()
        .filter_map(|line| line.strip_prefix("    pub "))
        .filter_map(|rest| rest.split_once(':'));
    let mut count = 0;
    for (option, _) in options.filter(|(name, _)| !name.contains('(')) {
        let named = explained.lines().any(|line| {
            let line = line.trim_start_matches('#').trim_start();
            line.starts_with(&format!("{option} =")) || line.contains(&format!("[{option}]"))
        });
        assert!(named, "deploy/epost.toml does not explain `{option}`");
        count += 1;
    }
    assert!(count > 40, "the options were found: {count}");
}

#[test]
fn the_shipped_configuration_is_one_the_service_reads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("epost.toml");
    std::fs::write(&path, epost::config::TEMPLATE).unwrap();
    epost::config::Config::read(&path).unwrap();
    // With every default spelled out, it reads the same: the commented values are the defaults.
    let spelled: String = epost::config::TEMPLATE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(option)
                if option.starts_with(|c: char| c.is_ascii_lowercase()) && option.contains(" = ") =>
            {
                option
            }
            _ => line,
        })
        .filter(|line| {
            !line.starts_with("consumer_fault_addresses")
                && !line.starts_with("operator_address")
                && !line.starts_with("policies")
                && !line.starts_with("message_types")
        })
        .collect::<Vec<_>>()
        .join("\n");
    // All but the digest of the text itself.
    let read = || {
        let config = epost::config::Config::read(&path).unwrap();
        format!("{config:?}").replace(&format!("{:?}", config.sha256()), "")
    };
    let default = read();
    std::fs::write(&path, spelled).unwrap();
    assert_eq!(read(), default);
}

#[test]
fn every_event_stands_in_the_catalogue_and_every_alarm_says_what_to_do() {
    let mut raised = BTreeSet::new();
    for file in rust_files(&root().join("crates")) {
        let path = file.to_string_lossy().into_owned();
        if !path.contains("/src/") || path.contains("/src/dev/") || path.ends_with("/alarm.rs") {
            continue;
        }
        let source = std::fs::read_to_string(&file).unwrap();
        let names = source.split("event = \"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
        raised.extend(names);
    }
    raised.insert("operator.alarm-command".to_owned()); // raised by alarm.rs, whose tests raise others
    let catalogue = std::fs::read_to_string(root().join("deploy/events.md")).unwrap();
    let listed: BTreeSet<String> = catalogue
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned()))
        .collect();
    assert!(raised.len() > 30, "the events were found: {raised:?}");
    assert_eq!(raised, listed);
    let alarms: BTreeSet<String> = raised.into_iter().filter(|event| event.starts_with("alarm.")).collect();
    let with_remedy = epost::alarm::REMEDIES.map(|(event, _)| event.to_owned());
    assert_eq!(alarms, BTreeSet::from(with_remedy));
}

#[test]
fn openssl_comes_from_source_unless_the_feature_is_off() {
    let built_from_source = |features: &[&str]| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["tree", "--package", "epost", "--package", "evidence", "--edges", "normal,build"]);
        let tree = cargo.args(["--prefix", "none"]).args(features).current_dir(root()).output().unwrap();
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        let names = String::from_utf8(tree.stdout).unwrap();
        assert!(names.lines().any(|line| line.starts_with("openssl-sys ")), "the tree was printed");
        names.lines().any(|line| line.starts_with("openssl-src "))
    };
    assert!(built_from_source(&[]));
    assert!(!built_from_source(&["--no-default-features"]));
}

/// Rows of the specification of attacks.
const ATTACK_ROWS: usize = 90;

#[test]
fn every_row_of_the_attack_table_has_its_test() {
    let table = std::fs::read_to_string(root().join("tests/attacks/table.md")).unwrap();
    let mut listed = BTreeSet::new();
    let mut rows = BTreeSet::new();
    for line in table.lines().filter(|line| line.starts_with('|') && line.contains("row_")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, row, _, test, file, _] = cells[..] else { panic!("five bars: {line}") };
        let test = test.trim_matches('`');
        assert!(test.starts_with(&format!("row_{row}_")), "a test is named by its row: {line}");
        assert!(listed.insert((file.to_owned(), test.to_owned())), "twice: {line}");
        rows.insert(row.parse::<usize>().unwrap());
    }
    let missing: Vec<_> = (1..=ATTACK_ROWS).filter(|row| !rows.contains(row)).collect();
    assert!(missing.is_empty(), "rows without a test: {missing:?}");
    let found: BTreeSet<_> = ["crates", "tests"]
        .iter()
        .flat_map(|folder| rust_files(&root().join(folder)))
        .flat_map(|file| {
            let name = file.strip_prefix(root()).unwrap().display().to_string();
            row_tests(&std::fs::read_to_string(&file).unwrap())
                .into_iter()
                .map(move |test| (name.clone(), test))
        })
        .collect();
    let differing: Vec<_> = found.symmetric_difference(&listed).collect();
    assert!(differing.is_empty(), "in the table or in the files, not in both: {differing:#?}");
}

/// The functions named by a row that are tests: an attribute says so right before, and none is ignored.
fn row_tests(source: &str) -> Vec<String> {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let is_test = |line: &str| line == "#[test]" || line.starts_with("#[tokio::test");
    let named = lines.windows(2).filter(|pair| is_test(pair[0])).filter_map(|pair| {
        let name =
            pair[1].strip_prefix("async ").unwrap_or(pair[1]).strip_prefix("fn ")?.split('(').next()?;
        name.starts_with("row_").then(|| name.to_owned())
    });
    named.collect()
}

/// Rules of the specification of attacks that types show.
const RULES: usize = 8;

#[test]
fn every_rule_is_shown_by_what_does_not_compile() {
    let table = std::fs::read_to_string(root().join("tests/attacks/table.md")).unwrap();
    let mut listed = BTreeSet::new();
    let mut rules = BTreeSet::new();
    for line in table.lines().filter(|line| line.starts_with('|') && line.contains("| E0")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, rule, _, place, error, file, _] = cells[..] else { panic!("six bars: {line}") };
        let place = place.trim_matches('`');
        assert!(listed.insert((file.to_owned(), place.to_owned(), error.to_owned())), "twice: {line}");
        rules.insert(rule.parse::<usize>().unwrap());
    }
    assert_eq!(rules, (1..=RULES).collect());
    let found: BTreeSet<_> = rust_files(&root().join("crates"))
        .iter()
        .flat_map(|file| {
            let name = file.strip_prefix(root()).unwrap().display().to_string();
            let pairs = pairs(&std::fs::read_to_string(file).unwrap());
            pairs.into_iter().map(move |(place, error)| (name.clone(), place, error))
        })
        .collect();
    let differing: Vec<_> = found.symmetric_difference(&listed).collect();
    assert!(differing.is_empty(), "in the table or in the files, not in both: {differing:#?}");
}

/// Whose documentation has a program that does not compile, and with which error; right before it stands the one that does, and all
/// but one line of both is the same.
fn pairs(source: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let (mut open, mut programs) = (None, Vec::<(String, Vec<&str>)>::new());
    for line in source.lines().map(str::trim).filter(|line| !line.starts_with("#[")) {
        let Some(text) = line.strip_prefix("///").map(str::trim) else {
            let item = line.strip_prefix("pub ").map(|item| item.split(['<', '(', ' ']).take(2));
            for pair in programs.windows(2).filter(|pair| pair[1].0.starts_with("compile_fail")) {
                let [(plain, right), (fails, wrong)] = pair else { unreachable!() };
                let differing = right.iter().zip(wrong).filter(|(one, other)| one != other).count();
                assert_eq!((plain.as_str(), right.len(), differing), ("", wrong.len(), 1), "{wrong:#?}");
                let place = item.clone().map(|words| words.collect::<Vec<_>>().join(" "));
                found.push((
                    place.expect("documentation of something public"),
                    fails["compile_fail,".len()..].to_owned(),
                ));
            }
            programs.clear();
            continue;
        };
        match (text.strip_prefix("```"), &open) {
            (Some(kind), None) => {
                open = Some(());
                programs.push((kind.to_owned(), Vec::new()));
            }
            (Some(_), Some(())) => open = None,
            (None, Some(())) => programs.last_mut().unwrap().1.push(text),
            (None, None) => {}
        }
    }
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Room → names of its normal dependencies.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata speaks JSON");
    let packages = metadata["packages"].as_array().unwrap().iter();
    let of = |package: &serde_json::Value| -> BTreeSet<String> {
        let all = package["dependencies"].as_array().unwrap().iter();
        all.filter(|dependency| dependency["kind"].is_null())
            .map(|d| d["name"].as_str().unwrap().to_owned())
            .collect()
    };
    packages.map(|package| (package["name"].as_str().unwrap().to_owned(), of(package))).collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}
