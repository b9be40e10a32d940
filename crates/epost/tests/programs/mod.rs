//! `epost` in processes of its own, and what is sent to it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use epost::client::{ContentFile, Settings};
use epost::dev::sandbox::CITIZEN;
use erds::{
    DigestMethod, EboxCheck, Part, QualityCode, Recipient, Ssin, StatedDigest, Strictness, Submission, Token,
};

/// `epost sandbox` in a process of its own; killed with this.
pub(crate) struct Sandbox(pub(crate) Child);

impl Sandbox {
    pub(crate) fn start(folder: &Path) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_epost"))
            .args(["sandbox", "--listen", "127.0.0.1:0"])
            .arg(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut sandbox = Self(child);
        let deadline = Instant::now() + Duration::from_secs(60);
        while sandbox.endpoint(folder).is_none() {
            assert!(sandbox.0.try_wait().unwrap().is_none(), "the sandbox ended");
            assert!(Instant::now() < deadline, "no sandbox.json");
            std::thread::sleep(Duration::from_millis(20));
        }
        sandbox
    }

    pub(crate) fn endpoint(&self, folder: &Path) -> Option<String> {
        let json: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.join("sandbox.json")).ok()?).ok()?;
        Some(json["endpoint"].as_str()?.to_owned())
    }

    pub(crate) fn settings(&self, folder: &Path) -> Settings {
        Settings {
            endpoint: self.endpoint(folder),
            tls_ca: Some(folder.join("pki/server-root.crt")),
            cert: Some(folder.join("pki/alice.crt")),
            key: Some(folder.join("pki/alice.key")),
            ..Settings::default()
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One item of one document.
pub(crate) fn submission(token: &str, file: &ContentFile) -> Submission {
    let today = jiff::civil::date(2026, 1, 1);
    Submission {
        token: Token::parse(token).unwrap(),
        recipient: Recipient::Citizen {
            inss: Ssin::parse(CITIZEN, Strictness::Strict, today).unwrap(),
            quality: QualityCode::parse("CITIZEN").unwrap(),
        },
        document: Part {
            title: "A document".to_owned(),
            digest: StatedDigest { method: DigestMethod::Sha256, value: file.sha256.clone() },
            download_file_name: file.name(),
            mime: None,
            document_type: Some("LETTER".to_owned()),
            language: None,
            content_id: "document@sender.example".to_owned(),
        },
        annexes: Vec::new(),
        meta: Vec::new(),
        check: EboxCheck::Activated,
        beside: Default::default(),
    }
}

/// The committed test PKI, so that no key has to be made.
pub(crate) fn copy_of_certs_test(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    for entry in
        std::fs::read_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../certs-test")).unwrap()
    {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
        }
    }
}
