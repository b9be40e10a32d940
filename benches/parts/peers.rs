//! Peers on the same bytes, in the same run: bergshamra by its own package, libxml2 and xmlsec1 by a C driver. Each is a
//! process that measures itself as we do and prints nanoseconds; one that cannot be built is named with what it needs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use benches::{Figure, line_of_bytes};

/// The peers that this machine has.
pub(crate) struct Peers {
    xmlsec1: Option<PathBuf>,
    bergshamra: Option<PathBuf>,
    folder: tempfile::TempDir,
}

impl Peers {
    pub(crate) fn build() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        Self { xmlsec1: build_xmlsec1(folder.path()), bergshamra: build_bergshamra(), folder }
    }

    /// libxml2's parse, exclusive C14N and OpenSSL's SHA-256 of this document.
    pub(crate) fn canonicalize(&self, document: &[u8], floor: Duration) {
        let input = self.input(document);
        if let Some(driver) = &self.xmlsec1 {
            run("libxml2: all three", driver, &["c14n".as_ref(), &input], document.len(), floor);
        }
    }

    /// Each peer's verification of this request with alice's key given: neither path nor CRLs nor SOAP.
    pub(crate) fn verify(&self, request: &[u8], floor: Duration) {
        let input = self.input(request);
        let certificate = Path::new(env!("CARGO_MANIFEST_DIR")).join("../certs-test/alice.crt");
        if let Some(program) = &self.bergshamra {
            run("bergshamra, key given", program, &[&certificate, &input], request.len(), floor);
        }
        if let Some(driver) = &self.xmlsec1 {
            run(
                "xmlsec1, key given",
                driver,
                &["verify".as_ref(), &certificate, &input],
                request.len(),
                floor,
            );
        }
    }

    fn input(&self, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join("input.xml");
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

fn run(name: &str, program: &Path, arguments: &[&Path], bytes: usize, floor: Duration) {
    let output = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    match said.trim().parse() {
        Ok(nanoseconds) => {
            let ours = Duration::from_nanos(nanoseconds);
            line_of_bytes(&format!("  {name}"), Figure { ours, floor }, bytes);
        }
        Err(_) => println!("    {name} failed: {}", String::from_utf8_lossy(&output.stderr).trim()),
    }
}

fn build_xmlsec1(folder: &Path) -> Option<PathBuf> {
    let missing =
        |what: &str| println!("  libxml2, xmlsec1: not here: {what}; install libxmlsec1-dev and pkg-config");
    let flags =
        Command::new("pkg-config").args(["--cflags", "--libs", "xmlsec1-openssl", "libxml-2.0"]).output();
    let Some(flags) = flags.ok().filter(|output| output.status.success()) else {
        missing("no xmlsec1-openssl");
        return None;
    };
    let driver = folder.join("xmlsec1");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/xmlsec1.c");
    let flags = String::from_utf8_lossy(&flags.stdout).into_owned();
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-Wall", "-o"]).arg(&driver).arg(source).args(flags.split_whitespace());
    if !compiler.status().is_ok_and(|status| status.success()) {
        missing("the driver does not compile");
        return None;
    }
    Some(driver)
}

fn build_bergshamra() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("peers");
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--locked", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/peers/bergshamra/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .status();
    if !built.is_ok_and(|status| status.success()) {
        println!(
            "  bergshamra: not here: it does not build; the crate registry must be reachable the first time"
        );
        return None;
    }
    Some(target.join("release/peer-bergshamra"))
}
