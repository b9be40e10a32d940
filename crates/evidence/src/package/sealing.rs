//! Sealing a package: signed for a record that is durable, then time-stamped, then put together.

use jiff::Timestamp;
use pki::digest::Digest;
use pki::signer::Signer;
use pki::tsp::CheckedToken;

use super::read::{first_changed, read_signatures, write_signatures};
use super::{Contents, File, Known, PackageError, container};
use crate::event::LogEntry;
use crate::seal::{SealError, Stampable, checked_token};
use crate::verify::{Checks, belonging};
use crate::xades::{Covered, Form};

/// The signature of a package that has no trusted time yet: it proves nothing. It can only be stamped or dropped.
#[derive(Debug)]
#[must_use = "an unstamped package proves nothing: stamp it"]
pub struct Unstamped {
    form: Form,
}

/// The signature of a package, with a time-stamp that was checked in full: with the contents, [`assemble`] makes the package.
///
/// Only [`Stampable::stamp`] makes one, and only for something that the journal holds durably.
#[derive(Clone, Debug)]
pub struct Sealed {
    signatures_xml: Vec<u8>,
    gen_time: Timestamp,
}

/// Signs every file of the package of these contents; `recorded` is the request's record or that of an act that is attested in it, and
/// `at` the claimed signing-time, cut to the second.
///
/// That the parts are of one item and stand in one log is judged before, by the verifier's own checks. One signature, no I/O of its own
/// (a signer may do some).
///
/// # Errors
/// [`SealError`]: ours, never the sender's. `OtherItem`: no evidence in it is of that record. `Package`: the contents are none of a
/// package, or do not belong together.
pub fn seal(
    recorded: &journal::Recorded,
    contents: &Contents,
    signer: &dyn Signer,
    at: Timestamp,
) -> Result<Unstamped, SealError> {
    let known = contents.known()?;
    let entry = LogEntry::of(recorded);
    if !known.evidence.iter().any(|(one, _)| one.event_entry == entry || one.request_entry == entry) {
        return Err(SealError::OtherItem);
    }
    let mut checks = Checks::default();
    belonging::judge(contents, &known, None, &mut checks);
    if let Some(failed) = checks.first_failed() {
        return Err(PackageError::Apart(failed).into());
    }
    sign(contents, &known, signer, at)
}

/// The part of [`seal`] that neither asks for a witness nor judges: for the tests of this crate.
pub(super) fn sign(
    contents: &Contents,
    known: &Known<'_>,
    signer: &dyn Signer,
    at: Timestamp,
) -> Result<Unstamped, SealError> {
    let files = known.files();
    let covered =
        Covered::Files { files: files.iter().map(File::covered).collect(), crls: contents.crls.clone() };
    let mut form = Form::new(signer, at, covered)?;
    form.value = signer.sign(&form.signed_info())?;
    // What cannot be put together is not signed: judged here but for the token, which is not there yet.
    container(&files, &write_signatures(&form))?;
    Ok(Unstamped { form })
}

/// The package: pure, the same bytes for the same contents and signature.
///
/// # Errors
/// [`PackageError`]; `Changed`: a file is not what was signed, or a revocation list not what the signature holds.
pub fn assemble(contents: &Contents, signatures_xml: &[u8]) -> Result<Vec<u8>, PackageError> {
    let known = contents.known()?;
    let (_, form) = read_signatures(signatures_xml).map_err(PackageError::Signature)?;
    if let Some(name) = first_changed(&form, &known, contents) {
        return Err(PackageError::Changed(name));
    }
    container(&known.files(), signatures_xml)
}

impl Stampable for Unstamped {
    type Sealed = Sealed;

    /// SHA-256 over the canonical signature value.
    fn signature_digest(&self) -> Digest {
        self.form.imprint()
    }

    fn stamp(mut self, checked: CheckedToken) -> Result<Sealed, SealError> {
        let (token, gen_time) = checked_token(&checked, &self.signature_digest())?;
        self.form.token = Some(token);
        Ok(Sealed { signatures_xml: write_signatures(&self.form), gen_time })
    }
}

impl Sealed {
    /// `META-INF/signatures.xml`.
    pub fn signatures_xml(&self) -> &[u8] {
        &self.signatures_xml
    }

    /// `META-INF/signatures.xml`.
    pub fn into_signatures_xml(self) -> Vec<u8> {
        self.signatures_xml
    }

    /// The trusted time.
    pub fn gen_time(&self) -> Timestamp {
        self.gen_time
    }
}
