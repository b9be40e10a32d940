//! The sandbox's folder: where everything lies, and the files that tell an integrator's tools about it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::partners;
use super::pki::{self, Extent, Party, Pki, PkiError};

/// A citizen with an e-Box (INSS).
pub const CITIZEN: &str = "00000000196";
/// A citizen whom the e-Box stand-in does not know.
pub const CITIZEN_WITHOUT_EBOX: &str = "00010100173";
/// An enterprise with an e-Box (CBE).
pub const ENTERPRISE: &str = "1234567894";
/// A mandatary of employers.
pub const MANDATARY: &str = "0000000097";
/// The quality code of [`ENTERPRISE`]: an employer.
pub const ENTERPRISE_QUALITY: &str = "QUAL_EMP_NOSS";
/// The quality code of [`MANDATARY`]: a social service centre.
pub const MANDATARY_QUALITY: &str = "QUAL_SSC";

/// The addresses that the sandbox's listeners are bound to.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// The service's mutual-TLS door.
    pub door: SocketAddr,
    /// The TSA stand-in.
    pub tsa: SocketAddr,
    /// The e-Box stand-in.
    pub ebox: SocketAddr,
}

/// Where everything of a sandbox lies.
pub struct SandboxLayout {
    /// The sandbox's folder.
    pub directory: PathBuf,
    /// Its test PKI.
    pub pki: Pki,
    /// Its listeners.
    pub addresses: Addresses,
    /// The service's configuration.
    pub config: PathBuf,
    /// The policy file.
    pub policy: PathBuf,
    /// The service's data folder.
    pub data: PathBuf,
    /// The journal's folder in it.
    pub journal: PathBuf,
    /// The key that wraps the item keys.
    pub master_key: PathBuf,
}

/// Why a sandbox cannot be prepared: the machine's fault.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The PKI.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// A file cannot be written.
    #[error("dev.sandbox.file: {path}: {cause}; give a folder that you can write")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
}

/// Makes or reuses the folder and its PKI, with CRLs issued anew; writes the policy and each sender's profile.
///
/// The configuration, the master key, the data and `sandbox.json` are the caller's to write.
///
/// # Errors
/// `Pki`, `File`: the machine's.
pub fn prepare(
    directory: &Path,
    addresses: Addresses,
    extent: Extent,
    now: Timestamp,
) -> Result<SandboxLayout, SandboxError> {
    let layout = SandboxLayout {
        pki: Pki::open_or_create(&directory.join("pki"), extent, now, CERTIFICATE_DAYS, CRL_DAYS)?,
        directory: directory.to_owned(),
        addresses,
        config: directory.join("epost.toml"),
        policy: directory.join("policy.toml"),
        data: directory.join("data"),
        journal: directory.join("data/journal"),
        master_key: directory.join("secrets/master.key"),
    };
    make_folder(&directory.join("secrets"))?;
    write(&layout.policy, &layout.policy_text()?)?;
    for sender in &pki::SENDERS {
        write(&layout.profile(sender.name), &layout.profile_text(sender))?;
    }
    Ok(layout)
}

impl SandboxLayout {
    /// The full address of contract A.
    pub fn endpoint(&self) -> String {
        format!("{}/RegisteredMail/v1", self.door_url())
    }

    /// The door's address, for `listen.public_url`.
    pub fn door_url(&self) -> String {
        format!("https://{}", reachable(self.addresses.door))
    }

    /// Where time-stamp requests are posted.
    pub fn tsa_url(&self) -> String {
        format!("http://{}/", self.addresses.tsa)
    }

    /// The base address of the TSA stand-in's controls.
    pub fn tsa_control(&self) -> String {
        format!("http://{}", self.addresses.tsa)
    }

    /// The base address of the e-Box stand-in and of its controls.
    pub fn ebox_url(&self) -> String {
        format!("http://{}", self.addresses.ebox)
    }

    /// The profile file of a sender, for `epost send --profile`.
    pub fn profile(&self, sender: &str) -> PathBuf {
        self.directory.join(format!("{sender}.toml"))
    }

    /// Writes `sandbox.json`: everything an integrator's tools need, paths relative to the folder. `batch`: the partners' door.
    ///
    /// # Errors
    /// `File`: the machine's.
    pub fn write_json(&self, extent: Extent, batch: Option<SocketAddr>) -> Result<(), SandboxError> {
        let strangers: &[Party] = if extent == Extent::Senders { &[] } else { &pki::STRANGERS };
        let crls = ["seal-root", "seal-ca", "tsa-root", "tsa-ca"].map(|name| format!("pki/crls/{name}.crl"));
        let document = json!({
            "endpoint": self.endpoint(),
            "tls_ca": "pki/server-root.crt",
            "seal_anchors": ["pki/seal-root.crt"],
            "tsa_anchors": ["pki/tsa-root.crt"],
            "crls": crls,
            "password": pki::PASSWORD,
            "environment": pki::ENVIRONMENT,
            "senders": parties(&pki::SENDERS),
            "strangers": parties(strangers),
            "recipients": {
                "citizen": CITIZEN,
                "citizen_without_ebox": CITIZEN_WITHOUT_EBOX,
                "enterprise": ENTERPRISE,
                "mandatary": MANDATARY,
            },
            "quality_codes": {
                "citizen": "CITIZEN",
                "citizen_without_ebox": "CITIZEN",
                "enterprise": ENTERPRISE_QUALITY,
                "mandatary": MANDATARY_QUALITY,
            },
            "batch": batch.map(|door| json!({ "url": folder_url(door), "partners": folders() })),
            "journal": "data/journal",
            "controls": { "tsa": self.tsa_control(), "ebox": self.ebox_url() },
        });
        write(&self.directory.join("sandbox.json"), &format!("{document:#}\n"))
    }

    fn policy_text(&self) -> Result<String, SandboxError> {
        let issuer = self.pki.senders_issuer_spki_sha256()?;
        let mut text = format!(
            "# Made by `epost sandbox`: who is granted what. One more [[grant]] lets in one more sender.\n\
             [[zone]]\nname = \"local\"\nkind = \"private\"\naddresses = {LOCAL_ADDRESSES}\n"
        );
        let rights = [("sending", SENDING), ("consulting", CONSULTING)];
        for (sender, (right, transactions)) in
            pki::SENDERS.iter().flat_map(|sender| rights.map(|right| (sender, right)))
        {
            text.push_str(&format!(
                "\n[[grant]]\nid = \"{name}-{right}\"\nissuer = \"{issuer}\"\ncbe = \"{cbe}\"\napplication = \"{application}\"\n\
                 transactions = {transactions}\npurpose = \"testing a client\"\nmanager = \"you\"\nreviewed = \"2026-11-21\"\n\
                 addresses = {LOCAL_ADDRESSES}\nzone = \"local\"\nuntil = \"2035-12-31\"\n\
                 reference = \"sandbox: no decision, a test\"\n",
                name = sender.name,
                cbe = sender.cbe,
                application = sender.application,
            ));
        }
        Ok(text)
    }

    fn profile_text(&self, sender: &Party) -> String {
        format!(
            "# Made by `epost sandbox`: `epost send FILE --profile {name}.toml …` sends as {organization}.\n\
             endpoint = \"{endpoint}\"\ntls_ca = \"pki/server-root.crt\"\ncert = \"pki/{name}.crt\"\nkey = \"pki/{name}.key\"\n",
            name = sender.name,
            organization = sender.organization,
            endpoint = self.endpoint(),
        )
    }
}

/// Where a partner finds his folder.
pub fn folder_url(door: SocketAddr) -> String {
    format!("https://{}/OUT/", reachable(door))
}

fn folders() -> Map<String, Value> {
    let described = |party: Party| {
        json!({
            "cbe": party.cbe,
            "cert": format!("pki/{}.crt", party.name),
            "key": format!("pki/{}.key", party.name),
        })
    };
    partners::partners().map(|party| (party.name.to_owned(), described(party))).collect()
}

fn parties(parties: &[Party]) -> Map<String, Value> {
    let described = |party: &Party| {
        json!({
            "cbe": party.cbe,
            "application": party.application,
            "cert": format!("pki/{}.crt", party.name),
            "key": format!("pki/{}.key", party.name),
            "p12": format!("pki/{}.p12", party.name),
        })
    };
    parties.iter().map(|party| (party.name.to_owned(), described(party))).collect()
}

/// An address that a client on this machine can connect to and that the server's certificate names.
fn reachable(address: SocketAddr) -> String {
    if address.ip().is_unspecified() { format!("localhost:{}", address.port()) } else { address.to_string() }
}

fn make_folder(path: &Path) -> Result<(), SandboxError> {
    std::fs::create_dir_all(path).map_err(|cause| SandboxError::File { path: path.to_owned(), cause })
}

fn write(path: &Path, text: &str) -> Result<(), SandboxError> {
    std::fs::write(path, text).map_err(|cause| SandboxError::File { path: path.to_owned(), cause })
}

const SENDING: &str = "[\"sendDocument\", \"healthCheck\", \"verifyProof\"]";
const CONSULTING: &str =
    "[\"getStatus\", \"getProof\", \"findItems\", \"getDeliveryHistory\", \"checkRecipient\"]";

/// This machine and private networks: containers on the same machine come from there.
const LOCAL_ADDRESSES: &str =
    "[\"127.0.0.0/8\", \"::1/128\", \"10.0.0.0/8\", \"172.16.0.0/12\", \"192.168.0.0/16\"]";

const CERTIFICATE_DAYS: i64 = 730;
const CRL_DAYS: i64 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_named_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let any: SocketAddr = "127.0.0.1:4433".parse().unwrap();
        let addresses = Addresses { door: any, tsa: any, ebox: any };
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let layout = prepare(folder.path(), addresses, Extent::WithStrangers, now).unwrap();
        partners::open_or_create(&layout.pki, now).unwrap();
        layout.write_json(Extent::WithStrangers, Some(any)).unwrap();
        uam::PolicyFile::parse(&std::fs::read_to_string(&layout.policy).unwrap()).unwrap();
        let text = std::fs::read_to_string(folder.path().join("sandbox.json")).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["endpoint"], "https://127.0.0.1:4433/RegisteredMail/v1");
        let mut files = vec![document["tls_ca"].clone()];
        for list in ["seal_anchors", "tsa_anchors", "crls"] {
            files.extend(document[list].as_array().unwrap().iter().cloned());
        }
        for group in ["senders", "strangers"] {
            for party in document[group].as_object().unwrap().values() {
                files.extend(["cert", "key", "p12"].map(|file| party[file].clone()));
            }
        }
        assert_eq!(document["batch"]["url"], "https://127.0.0.1:4433/OUT/");
        for partner in document["batch"]["partners"].as_object().unwrap().values() {
            files.extend(["cert", "key"].map(|file| partner[file].clone()));
        }
        for file in files {
            assert!(folder.path().join(file.as_str().unwrap()).is_file(), "{file}");
        }
        assert!(folder.path().join("alice.toml").is_file());
    }
}
