//! `wsdl/faults.md` says of every code what the code says, and lists every check of the message's security.

use erds::refusal::{FaultCode, FaultKind, FaultLanguage};
use std::collections::BTreeSet;
use std::path::Path;

fn table(section: &str) -> Vec<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wsdl/faults.md");
    let text = std::fs::read_to_string(path).expect("wsdl/faults.md");
    let section = text.split("\n#").find(|part| part.contains(section)).expect("a section").to_owned();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.skip(1).map(|row| row.split(" | ").map(str::to_owned).collect()).collect()
}

#[test]
fn every_code_with_its_cause_and_remedy() {
    let listed = table("| code |");
    let written: Vec<Vec<String>> = FaultCode::ALL
        .iter()
        .map(|code| {
            let kind = if code.kind() == FaultKind::Business { "BusinessError" } else { "SystemError" };
            let retry = code.retry().map_or("-".to_owned(), |retry| retry.to_string());
            let text = code.text(FaultLanguage::En);
            let remedy = code.remedy(FaultLanguage::En);
            [code.as_str(), kind, code.origin().as_str(), &retry, text, remedy].map(str::to_owned).to_vec()
        })
        .collect();
    let known: Vec<Vec<String>> = listed.iter().map(|row| [&row[..5], &row[6..]].concat().to_vec()).collect();
    assert_eq!(known, written);
    for row in &listed {
        assert!(row[5].len() > 3, "a cause: {row:?}");
    }
}

#[test]
fn every_check_of_the_messages_security() {
    let listed: BTreeSet<String> =
        table("| check |").iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    let mut used = BTreeSet::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/wss");
    let files =
        |folder: &Path| std::fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path());
    for file in files(&folder).chain(files(&folder.join("saml"))).filter(|path| path.is_file()) {
        let source = std::fs::read_to_string(file).expect("text");
        // Up to the tests; the client's own mistakes are no faults.
        let source = source.split("#[cfg(test)]").next().unwrap_or_default();
        let literals = source.split('"').filter(|text| text.starts_with("wss.") || text.starts_with("wsa."));
        used.extend(literals.filter(|text| !text.starts_with("wss.sign.")).map(str::to_owned));
    }
    assert_eq!(listed, used);
}
