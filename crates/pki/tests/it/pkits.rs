//! NIST's PKITS: every end-entity certificate of it, with all its authorities and lists at hand.
//!
//! `tests/vectors/pkits.txt` holds a line each: the certificate, the policies required (`-`: none), PKITS' verdict, ours; where the
//! two differ, why. `tests/vectors/run` fetches the data.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use pki::certificate::Certificate;
use pki::crl::{Crl, CrlSet};
use pki::path::{Purpose, Revocation, TrustAnchors};

const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/pkits.txt");
const DATA: &str = "cryptography_vectors/cryptography_vectors/x509/PKITS_data";

#[test]
#[ignore = "tests/vectors/run fetches the data"]
fn every_verdict_is_the_listed_one() {
    let folder =
        PathBuf::from(std::env::var_os("EPOST_VECTORS").expect("EPOST_VECTORS: run tests/vectors/run"));
    let house = House::read(&folder.join(DATA));
    let list = std::fs::read_to_string(LIST).unwrap();
    let (mut lines, mut differ, mut wrong) = (0, 0, Vec::new());
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let (said, reason) = line.split_once(" # ").unwrap_or((line, ""));
        let [name, policies, theirs, ours] = said.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let answer = house.verdict(name, policies);
        let same = (theirs == "valid") == (answer == "valid");
        if answer != ours || same != reason.is_empty() {
            wrong.push(format!("{name} {policies} {theirs} {answer}"));
        }
        lines += 1;
        differ += usize::from(!same);
    }
    println!("{lines} verdicts over PKITS, {differ} not PKITS' own, each with its reason");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let certificates = folder.join(DATA).join("certs");
    let leaves = files(&certificates).filter(|path| is_leaf(path));
    let unlisted = leaves.filter(|path| !list.contains(&format!("\n{} - ", stem(path))));
    assert_eq!(unlisted.count(), 0, "every certificate is judged");
}

/// The anchor, every authority and every list.
struct House {
    folder: PathBuf,
    anchor: Certificate,
    authorities: Vec<Certificate>,
    crls: CrlSet,
}

impl House {
    fn read(folder: &Path) -> Self {
        let anchor = Certificate::from_der(
            &std::fs::read(folder.join("certs/TrustAnchorRootCertificate.crt")).unwrap(),
        );
        let authorities = files(&folder.join("certs")).filter(|path| !is_leaf(path));
        let lists = files(&folder.join("crls"));
        // What cannot be read is not at hand; what it was needed for is then refused.
        Self {
            anchor: anchor.unwrap(),
            authorities: authorities
                .flat_map(|path| Certificate::from_der(&std::fs::read(path).unwrap()))
                .collect(),
            crls: CrlSet::new(lists.flat_map(|path| Crl::from_der(&std::fs::read(path).unwrap())).collect()),
            folder: folder.to_owned(),
        }
    }

    fn verdict(&self, name: &str, policies: &str) -> String {
        let bytes = std::fs::read(self.folder.join(format!("certs/{name}.crt"))).unwrap();
        let leaf = match Certificate::from_der(&bytes) {
            Ok(leaf) => leaf,
            Err(error) => return error.code().to_owned(),
        };
        let anchors = TrustAnchors::new(vec![self.anchor.clone()], self.authorities.clone());
        let required = policies.split(',').filter(|policy| *policy != "-");
        // PKITS' own policies, by their last number.
        let anchors = anchors
            .requiring_policies(required.map(|number| format!("2.16.840.1.101.3.2.1.48.{number}")).collect());
        let at: Timestamp = "2020-06-01T00:00:00Z".parse().unwrap();
        match anchors.validate(&leaf, &[], Revocation::HardFail(&self.crls), Purpose::MessageSigning, at) {
            Ok(_) => "valid".to_owned(),
            Err(error) => error.code().to_owned(),
        }
    }
}

fn files(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter()
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

fn is_leaf(path: &Path) -> bool {
    stem(path).ends_with("EE")
}
