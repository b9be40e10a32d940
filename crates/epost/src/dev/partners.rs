//! Partners of the sandbox's batch channel: the recipients who have a folder there, with certificates that the test PKI has not.

use jiff::Timestamp;

use super::authority::{self, Identity, Use, Validity};
use super::pki::{ENVIRONMENT, Party, Pki, PkiError, SENDERS, days_after, read_identity, write_file};
use super::sandbox::{ENTERPRISE, MANDATARY};

/// Recipients with a folder.
pub const RECIPIENTS: [Party; 2] = [
    Party {
        name: "enterprise",
        organization: "An Enterprise",
        cbe: ENTERPRISE,
        application: "urn:be:fgov:epost:test:enterprise:batch",
    },
    Party {
        name: "mandatary",
        organization: "A Mandatary",
        cbe: MANDATARY,
        application: "urn:be:fgov:epost:test:mandatary:batch",
    },
];

/// Everybody with a folder: those recipients, and the senders for their proofs.
pub fn partners() -> impl Iterator<Item = Party> {
    RECIPIENTS.into_iter().chain(SENDERS)
}

/// Makes the recipients' certificates and keys in the PKI's folder, where they are not there or of an authority that was made again.
///
/// # Errors
/// The folder's, or OpenSSL's.
pub fn open_or_create(pki: &Pki, now: Timestamp) -> Result<(), PkiError> {
    let issuer = pki.authority("senders-ca")?;
    for party in &RECIPIENTS {
        let made = pki.certificate(party.name).exists()
            && read_identity(pki.directory(), party.name)?.certificate.verify(&issuer.key)?;
        if !made {
            make(pki, &issuer, party, now)?;
        }
    }
    Ok(())
}

fn make(pki: &Pki, issuer: &Identity, party: &Party, now: Timestamp) -> Result<(), PkiError> {
    let subject = authority::sector_name(party.organization, party.cbe, ENVIRONMENT, party.application)?;
    let validity = Validity { from: days_after(now, -1), until: days_after(now, 730) };
    let made = issuer.issue(&subject, authority::p256_key()?, Use::Sender, validity)?;
    write_file(&pki.key(party.name), &made.key.private_key_to_pem_pkcs8()?, 0o600)?;
    // The certificate last: it says that both are there.
    write_file(&pki.certificate(party.name), &made.certificate.to_pem()?, 0o644)
}

/// The `[batch]` section of the sandbox's configuration.
///
/// # Errors
/// A certificate that cannot be read.
pub fn config_text(pki: &Pki) -> Result<String, PkiError> {
    let mut text = String::from(
        "[batch]\naddress = \"127.0.0.1:0\"\nanchors = [\"pki/senders-root.crt\"]\n\
         intermediates = [\"pki/senders-ca.crt\"]\ncrls = [\"pki/crls\"]\n",
    );
    for party in partners() {
        let identity = read_identity(pki.directory(), party.name)?;
        let fingerprint = identity.certificate.digest(openssl::hash::MessageDigest::sha256())?;
        let hex = fingerprint.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        text.push_str(&format!(
            "\n[[batch.partner]] # {}\ncbe = \"{}\"\ncertificates = [\"{hex}\"]\n",
            party.name, party.cbe
        ));
    }
    Ok(text)
}
