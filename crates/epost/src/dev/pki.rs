//! The test PKI: everything that the demo, the sandbox and tests need to sign, seal, stamp and connect.
//!
//! One folder, fixed names: `NAME.crt`, `NAME.key` (PKCS#8, 0600); for who connects also `NAME-chain.crt` and `NAME.p12`;
//! `crls/AUTHORITY.crl` (DER). Made once and reused; CRLs are issued again at each opening.

use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::{PKey, Private};
use openssl::stack::Stack;
use openssl::x509::{X509, X509Ref};

use super::authority::{self, DAY_SECONDS, Use, Validity};

pub use super::authority::Identity;

/// The password of every PKCS#12 file of the test PKI: these keys protect nothing.
pub const PASSWORD: &str = "epost-test";

/// The environment that every certificate of the test PKI names.
pub const ENVIRONMENT: &str = "TST";

/// The CBE number of the test platform's controller, carried by the seal certificate.
pub const CONTROLLER_CBE: &str = "0123456749";

/// Which identities to make.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Extent {
    /// Senders alone: for the demo, which has to be quick.
    Senders,
    /// Also every stranger whom the door must refuse.
    WithStrangers,
}

/// Who a test certificate names, in the sector's form.
#[derive(Clone, Copy, Debug)]
pub struct Party {
    /// The name of its files.
    pub name: &'static str,
    /// Its O.
    pub organization: &'static str,
    /// Its enterprise number.
    pub cbe: &'static str,
    /// Its CN: the application's URN.
    pub application: &'static str,
}

/// Senders who are granted everything, of two institutions.
pub const SENDERS: [Party; 2] = [ALICE, BOB];

const ALICE: Party = Party {
    name: "alice",
    organization: "Alice Social Insurance Fund",
    cbe: "1000000021",
    application: "urn:be:fgov:epost:test:alice:letters",
};
const BOB: Party = Party {
    name: "bob",
    organization: "Bob Public Welfare Centre",
    cbe: "0000000196",
    application: "urn:be:fgov:epost:test:bob:letters",
};

/// Those who must be refused, named by why. All but the last carry alice's name, so that nothing but the named fault refuses them.
pub const STRANGERS: [Party; 5] = [
    Party { name: "unknown_ca", ..ALICE },
    Party { name: "expired", ..ALICE },
    Party { name: "revoked", ..ALICE },
    Party { name: "wrong_environment", ..ALICE },
    Party {
        name: "not_authorised",
        organization: "Nobody's Office",
        cbe: "0100000070",
        application: "urn:be:fgov:epost:test:nobody:letters",
    },
];

/// Why a test PKI cannot be made or opened: the machine's fault, or a folder that holds something else.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file cannot be read or written.
    #[error("dev.pki.file: {path}: {cause}; give a folder that you can write, or delete it to make new keys")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// OpenSSL refused.
    #[error("dev.pki.openssl: {0}")]
    OpenSsl(#[from] ErrorStack),
    /// A thread that made a key died.
    #[error("dev.pki.thread: a key could not be made")]
    Thread,
}

impl PkiError {
    /// The stable code of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::File { .. } => "dev.pki.file",
            Self::OpenSsl(_) => "dev.pki.openssl",
            Self::Thread => "dev.pki.thread",
        }
    }
}

/// A test PKI on disk, with the authorities' keys at hand.
pub struct Pki {
    directory: PathBuf,
    /// The authority of the time-stamping units, for those who need a lying one.
    pub tsa_ca: Identity,
    /// The root above it.
    pub tsa_root: Identity,
    /// The time-stamping unit.
    pub tsa: Identity,
}

impl Pki {
    /// Opens the PKI in `directory`, or makes one there that is valid for `days`; issues every CRL anew, for `crl_days`.
    ///
    /// # Errors
    /// `File`, `OpenSsl`, `Thread`: the machine's, or the folder holds a damaged PKI.
    pub fn open_or_create(
        directory: &Path,
        extent: Extent,
        now: Timestamp,
        days: i64,
        crl_days: i64,
    ) -> Result<Self, PkiError> {
        make_folder(directory)?;
        make_folder(&directory.join("crls"))?;
        // The marker is written last: a half-made PKI is made again.
        let marker = directory.join("complete");
        if !is_made(directory, &marker, extent, now) {
            Maker::new(directory, now, days)?.make(extent)?;
            let text = if extent == Extent::Senders { "senders\n" } else { "with strangers\n" };
            write_file(&marker, text.as_bytes(), 0o644)?;
        }
        let pki = Self {
            tsa_ca: read_identity(directory, "tsa-ca")?,
            tsa_root: read_identity(directory, "tsa-root")?,
            tsa: read_identity(directory, "tsa")?,
            directory: directory.to_owned(),
        };
        pki.issue_crls(now, crl_days)?;
        Ok(pki)
    }

    /// Makes the committed copy of the test PKI, valid for 20 years, for tests that want fixed files; keys already there go.
    ///
    /// # Errors
    /// As [`Pki::open_or_create`].
    pub fn make_committed(directory: &Path, now: Timestamp) -> Result<Self, PkiError> {
        // Before 2050, so that every time stays a UTCTime (RFC 5280 §4.1.2.5).
        const DAYS: i64 = 20 * 365;
        let _ = std::fs::remove_file(directory.join("complete"));
        let pki = Self::open_or_create(directory, Extent::WithStrangers, now, DAYS, DAYS)?;
        write_file(&directory.join("README.md"), README.as_bytes(), 0o644)?;
        Ok(pki)
    }

    /// The folder.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The PEM certificate of `name`: the leaf alone.
    pub fn certificate(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.crt"))
    }

    /// The PEM certificate of `name` and its intermediates.
    pub fn chain(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}-chain.crt"))
    }

    /// The PEM private key of `name` (PKCS#8).
    pub fn key(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.key"))
    }

    /// Key, certificate and intermediates of `name` under [`PASSWORD`].
    pub fn p12(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.p12"))
    }

    /// An authority with its key.
    ///
    /// # Errors
    /// `File`, `OpenSsl`: no such authority in the folder.
    pub fn authority(&self, name: &str) -> Result<Identity, PkiError> {
        read_identity(&self.directory, name)
    }

    /// The folder of the CRLs (DER, `.crl`).
    pub fn crls(&self) -> PathBuf {
        self.directory.join("crls")
    }

    /// The SHA-256 of the SubjectPublicKeyInfo of the senders' issuing authority, as grants name it (hex).
    ///
    /// # Errors
    /// As [`Pki::open_or_create`].
    pub fn senders_issuer_spki_sha256(&self) -> Result<String, PkiError> {
        let issuer = read_certificate(&self.certificate("senders-ca"))?;
        let digest =
            openssl::hash::hash(MessageDigest::sha256(), &issuer.public_key()?.public_key_to_der()?)?;
        Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn issue_crls(&self, now: Timestamp, crl_days: i64) -> Result<(), PkiError> {
        for name in AUTHORITIES {
            let authority = read_identity(&self.directory, name)?;
            let revoked_file = self.certificate("revoked");
            let revoked = if name == "senders-ca" && revoked_file.exists() {
                Some(read_certificate(&revoked_file)?)
            } else {
                None
            };
            let revoked: Vec<&X509Ref> = revoked.iter().map(AsRef::as_ref).collect();
            let crl = authority.crl(&revoked, now, crl_days)?;
            write_file(&self.crls().join(format!("{name}.crl")), &crl.to_der()?, 0o644)?;
        }
        Ok(())
    }
}

const AUTHORITIES: [&str; 7] =
    ["senders-root", "senders-ca", "seal-root", "seal-ca", "tsa-root", "tsa-ca", "server-root"];

struct Maker<'a> {
    directory: &'a Path,
    validity: Validity,
    now: Timestamp,
}

impl<'a> Maker<'a> {
    fn new(directory: &'a Path, now: Timestamp, days: i64) -> Result<Self, PkiError> {
        Ok(Self {
            directory,
            validity: Validity { from: days_after(now, -1), until: days_after(now, days) },
            now,
        })
    }

    fn make(&self, extent: Extent) -> Result<(), PkiError> {
        let strangers: &[Party] = if extent == Extent::Senders { &[] } else { &STRANGERS };
        let parties: Vec<Party> = SENDERS.iter().chain(strangers).copied().collect();
        // RSA keys take most of the time: one more for the e-Box client, whose assertions are RS256, and one for the server, whose
        // signatures under contract B's answers every stack must read.
        let mut keys = rsa_keys(parties.len() + 2)?.into_iter();
        let ebox_key = keys.next().ok_or(PkiError::Thread)?;
        let server_key = keys.next().ok_or(PkiError::Thread)?;

        let (senders_root, senders_ca) = self.two_authorities("senders")?;
        self.save("ebox-client", &self.ebox_client(&senders_ca, ebox_key)?, &[])?;
        let rogue_ca = self.rogue(&senders_ca)?;
        for (party, key) in parties.iter().zip(keys) {
            let issuer = if party.name == "unknown_ca" { &rogue_ca } else { &senders_ca };
            let sender = self.sender(party, issuer, key)?;
            self.save(party.name, &sender, &[&issuer.certificate])?;
            self.save_for_clients(party.name, &sender, &issuer.certificate)?;
        }
        drop(senders_root);
        self.make_server(server_key)?;
        self.make_seal()?;
        self.make_tsa()
    }

    fn two_authorities(&self, name: &str) -> Result<(Identity, Identity), PkiError> {
        let root = authority::root(&format!("ePost test {name} root"), self.validity)?;
        let subject = authority::plain_name(&format!("ePost test {name} CA"))?;
        let ca =
            root.issue(&subject, authority::p256_key()?, Use::Authority { path_len: 0 }, self.validity)?;
        self.save(&format!("{name}-root"), &root, &[])?;
        self.save(&format!("{name}-ca"), &ca, &[])?;
        Ok((root, ca))
    }

    /// An authority with the name of the real one and another key: trust by name would let its senders in.
    fn rogue(&self, real: &Identity) -> Result<Identity, PkiError> {
        let root = authority::root("ePost test senders root", self.validity)?;
        let subject = real.certificate.subject_name().to_owned()?;
        let rogue =
            root.issue(&subject, authority::p256_key()?, Use::Authority { path_len: 0 }, self.validity)?;
        self.save("rogue-ca", &rogue, &[])?;
        Ok(rogue)
    }

    fn sender(&self, party: &Party, issuer: &Identity, key: PKey<Private>) -> Result<Identity, PkiError> {
        let environment = if party.name == "wrong_environment" { "ACC" } else { ENVIRONMENT };
        let subject = authority::sector_name(party.organization, party.cbe, environment, party.application)?;
        let validity = if party.name == "expired" {
            Validity { from: days_after(self.now, -400), until: days_after(self.now, -35) }
        } else {
            self.validity
        };
        Ok(issuer.issue(&subject, key, Use::Sender, validity)?)
    }

    fn ebox_client(&self, issuer: &Identity, key: PKey<Private>) -> Result<Identity, PkiError> {
        let subject =
            authority::sector_name(PLATFORM, CONTROLLER_CBE, ENVIRONMENT, "urn:be:fgov:epost:test:delivery")?;
        Ok(issuer.issue(&subject, key, Use::Sender, self.validity)?)
    }

    fn make_server(&self, key: PKey<Private>) -> Result<(), PkiError> {
        let root = authority::root("ePost test server root", self.validity)?;
        self.save("server-root", &root, &[])?;
        let subject = authority::plain_name("localhost")?;
        let server = root.issue(&subject, key, Use::Server, self.validity)?;
        self.save("server", &server, &[])
    }

    fn make_seal(&self) -> Result<(), PkiError> {
        let (_, ca) = self.two_authorities("seal")?;
        let subject = authority::sector_name(PLATFORM, CONTROLLER_CBE, ENVIRONMENT, "ePost test seal")?;
        let seal = ca.issue(&subject, authority::p256_key()?, Use::Seal, self.validity)?;
        self.save("seal", &seal, &[&ca.certificate])
    }

    fn make_tsa(&self) -> Result<(), PkiError> {
        let (_, ca) = self.two_authorities("tsa")?;
        let subject = authority::plain_name("ePost test time-stamping unit")?;
        let tsa = ca.issue(&subject, authority::p256_key()?, Use::TimeStamping, self.validity)?;
        self.save("tsa", &tsa, &[&ca.certificate])
    }

    /// Writes certificate and key; with intermediates, the chain file too.
    fn save(&self, name: &str, identity: &Identity, intermediates: &[&X509]) -> Result<(), PkiError> {
        let file = |suffix: &str| self.directory.join(format!("{name}{suffix}"));
        let certificate = identity.certificate.to_pem()?;
        write_file(&file(".crt"), &certificate, 0o644)?;
        write_file(&file(".key"), &identity.key.private_key_to_pem_pkcs8()?, 0o600)?;
        if !intermediates.is_empty() {
            let mut chain = certificate;
            for intermediate in intermediates {
                chain.extend(intermediate.to_pem()?);
            }
            write_file(&file("-chain.crt"), &chain, 0o644)?;
        }
        Ok(())
    }

    fn save_for_clients(&self, name: &str, identity: &Identity, issuer: &X509) -> Result<(), PkiError> {
        let mut chain = Stack::new()?;
        chain.push(issuer.clone())?;
        let mut builder = Pkcs12::builder();
        // AES-256 and SHA-256 (OpenSSL's own default): what Java 17 and Python read without an old provider.
        builder
            .name(name)
            .pkey(&identity.key)
            .cert(&identity.certificate)
            .ca(chain)
            .mac_md(MessageDigest::sha256());
        let file = builder.build2(PASSWORD)?;
        write_file(&self.directory.join(format!("{name}.p12")), &file.to_der()?, 0o600)
    }
}

/// Whether the folder holds enough of a PKI, with a day left to live.
fn is_made(directory: &Path, marker: &Path, extent: Extent, now: Timestamp) -> bool {
    let made = std::fs::read_to_string(marker).unwrap_or_default();
    let enough = made.trim() == "with strangers" || (made.trim() == "senders" && extent == Extent::Senders);
    let lives = || -> Result<bool, PkiError> {
        let tomorrow = openssl::asn1::Asn1Time::from_unix(now.as_second() + DAY_SECONDS)?;
        Ok(read_certificate(&directory.join("tsa.crt"))?.not_after() > &*tomorrow)
    };
    enough && lives().unwrap_or(false)
}

fn rsa_keys(count: usize) -> Result<Vec<PKey<Private>>, PkiError> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(authority::rsa_key)).collect();
        threads.into_iter().map(|thread| Ok(thread.join().map_err(|_| PkiError::Thread)??)).collect()
    })
}

pub(super) fn days_after(now: Timestamp, days: i64) -> Timestamp {
    now.saturating_add(jiff::SignedDuration::from_secs(days.saturating_mul(DAY_SECONDS))).unwrap_or(now)
}

pub(super) fn read_identity(directory: &Path, name: &str) -> Result<Identity, PkiError> {
    let certificate = read_certificate(&directory.join(format!("{name}.crt")))?;
    let key = PKey::private_key_from_pem(&read_file(&directory.join(format!("{name}.key")))?)?;
    Ok(Identity { certificate, key })
}

fn read_certificate(path: &Path) -> Result<X509, PkiError> {
    Ok(X509::from_pem(&read_file(path)?)?)
}

fn read_file(path: &Path) -> Result<Vec<u8>, PkiError> {
    std::fs::read(path).map_err(|cause| PkiError::File { path: path.to_owned(), cause })
}

fn make_folder(path: &Path) -> Result<(), PkiError> {
    std::fs::create_dir_all(path).map_err(|cause| PkiError::File { path: path.to_owned(), cause })
}

/// Writes beside and renames, so that a reader (the CRL reload) never sees half a file.
pub(super) fn write_file(path: &Path, bytes: &[u8], mode: u32) -> Result<(), PkiError> {
    use std::os::unix::fs::OpenOptionsExt;
    let written = || {
        let beside = path.with_added_extension("new");
        let _ = std::fs::remove_file(&beside); // an old one's mode would stay
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&beside)?
            .write_all(bytes)?;
        std::fs::rename(&beside, path)
    };
    written().map_err(|cause| PkiError::File { path: path.to_owned(), cause })
}

const README: &str = "\
# Test keys

Made by `epost dev pki certs-test`; never edit, make them again.
**These keys are public and protect nothing**: no production configuration may trust their roots.
Certificates and CRLs live for 20 years, so that no test expires. Every `.p12` has the password `epost-test`.

- senders: `alice`, `bob`; strangers: `unknown_ca`, `expired`, `revoked`, `wrong_environment`, `not_authorised`
- platform: `server`, `seal`, `tsa`, `ebox-client`
- authorities: `NAME-root`, and `NAME-ca` under it; `rogue-ca` bears the name of `senders-ca`
";

const PLATFORM: &str = "ePost test platform";

#[cfg(test)]
mod tests;
