//! Who may sign a policy: people by their personal certificates, two of them for each.

use std::collections::BTreeSet;

use erds::record::Hex32;
use jiff::Timestamp;
use pki::detached::{self, DetachedError};
use pki::path::{PathError, Purpose, Revocation};
use uam::PolicyFile;

use crate::config::PolicySigners;
use crate::trust::{self, Authorities, TrustError};

/// The people of `[uam.signers]`, and the authorities that vouch for their certificates.
pub struct Signers {
    authorities: Authorities,
    listed: Vec<(String, Vec<Hex32>)>,
}

/// A signature that holds, of a listed person. Only [`Signers::judge`] makes one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedBy {
    /// The configured name: two entries never share one.
    pub name: String,
    /// SHA-256 of the certificate.
    pub certificate: Hex32,
}

/// Why the list of people cannot be used; the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum SignersError {
    /// Files of authorities and CRLs.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// An entry that cannot be.
    #[error("policy.signers: {option}: {seen}; expected {expected}")]
    Entry {
        /// Which option.
        option: &'static str,
        /// What was found.
        seen: String,
        /// What was expected.
        expected: &'static str,
    },
}

/// Why the signatures of a policy are not those of two people; the policy's makers' to mend.
#[derive(Debug, thiserror::Error)]
pub enum Undersigned {
    /// A signature that does not hold.
    #[error("signature {number}: {error}; take its line away and sign again")]
    Signature {
        /// Which of the file, from 1.
        number: usize,
        /// What is wrong.
        error: DetachedError,
    },
    /// By nobody who is listed.
    #[error("signature {number}: certificate {certificate} is not listed in [[uam.signers.person]]")]
    Stranger {
        /// Which of the file.
        number: usize,
        /// Its SHA-256.
        certificate: Hex32,
    },
    /// A certificate that is not in force, for signing.
    #[error("signature {number}, of {name}: {error}; sign with a certificate in force")]
    Path {
        /// Which of the file.
        number: usize,
        /// Whose.
        name: String,
        /// Why not.
        error: PathError,
    },
    /// Too few people.
    #[error(
        "signed by {people} of the {SIGNERS_MIN} people that a policy needs; `epost uam approve` adds another's signature"
    )]
    TooFew {
        /// How many different ones.
        people: usize,
    },
    /// More signatures than anybody needs.
    #[error("{signatures} signatures; at most {SIGNATURES_MAX}")]
    TooMany {
        /// How many.
        signatures: usize,
    },
    /// The CRLs of the people's authorities cannot be read.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl Undersigned {
    /// The stable dotted code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Signature { .. } => "policy.signature",
            Self::Stranger { .. } => "policy.signer.unknown",
            Self::Path { .. } => "policy.signer.not-in-force",
            Self::TooFew { .. } => "policy.signers.too-few",
            Self::TooMany { .. } => "policy.signatures.too-many",
            Self::Trust(_) => "policy.signers.crls",
        }
    }
}

impl Signers {
    /// Reads the authorities and judges the list: no name and no certificate twice, or one person could be two.
    ///
    /// # Errors
    /// [`SignersError`].
    pub fn read(config: &PolicySigners) -> Result<Self, SignersError> {
        let entry =
            |option, seen: &str, expected| SignersError::Entry { option, seen: seen.to_owned(), expected };
        let (mut names, mut certificates, mut listed) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for person in &config.person {
            let name = person.name.trim().to_owned();
            if name.is_empty() || !names.insert(name.to_lowercase()) {
                return Err(entry("uam.signers.person.name", &person.name, "a name, one entry a person"));
            }
            let own = trust::fingerprints(&person.certificates, &mut certificates).map_err(|text| {
                let expected = "SHA-256 fingerprints in hex, each of one person";
                entry("uam.signers.person.certificates", text, expected)
            })?;
            listed.push((name, own));
        }
        if listed.len() < SIGNERS_MIN {
            let seen = format!("{} people", listed.len());
            return Err(entry("uam.signers.person", &seen, "two people or more"));
        }
        let authorities = Authorities::read(&config.anchors, &config.intermediates, &config.crls)?;
        Ok(Self { authorities, listed })
    }

    /// Every signature of the policy holds, each is a listed person's, and two different people's at least are there. With a time, their
    /// certificates are also in force then, for signing, by the CRL files as they are now.
    ///
    /// # Errors
    /// [`Undersigned`].
    pub fn judge(&self, policy: &PolicyFile, at: Option<Timestamp>) -> Result<Vec<SignedBy>, Undersigned> {
        let signed = self.signatures(policy, at)?;
        let people = signed.iter().map(|one| &one.name).collect::<BTreeSet<_>>().len();
        if people < SIGNERS_MIN { Err(Undersigned::TooFew { people }) } else { Ok(signed) }
    }

    /// As [`Signers::judge`], however few they are: for a proposal.
    ///
    /// # Errors
    /// [`Undersigned`].
    pub fn signatures(
        &self,
        policy: &PolicyFile,
        at: Option<Timestamp>,
    ) -> Result<Vec<SignedBy>, Undersigned> {
        let signatures = policy.signatures();
        if signatures.len() > SIGNATURES_MAX {
            return Err(Undersigned::TooMany { signatures: signatures.len() });
        }
        let text = policy.text().as_bytes();
        (1..).zip(signatures).map(|(number, p7s)| self.signature(number, p7s, text, at)).collect()
    }

    /// One signature, DER, over `content`: it holds, and is a listed person's; with a time, the certificate is in force then.
    ///
    /// # Errors
    /// [`Undersigned`], which names it by `number`.
    pub fn signature(
        &self,
        number: usize,
        p7s: &[u8],
        content: &[u8],
        at: Option<Timestamp>,
    ) -> Result<SignedBy, Undersigned> {
        let signature =
            detached::verify(p7s, content).map_err(|error| Undersigned::Signature { number, error })?;
        let certificate = Hex32(signature.certificate().fingerprint());
        let known = self.listed.iter().find(|(_, own)| own.contains(&certificate));
        let (name, _) = known.ok_or(Undersigned::Stranger { number, certificate })?;
        if let Some(at) = at {
            let (leaf, extra) = (signature.certificate(), signature.carried());
            let crls = self.authorities.crls()?;
            let anchors = self.authorities.anchors();
            let judged =
                anchors.validate(leaf, extra, Revocation::HardFail(&crls), Purpose::MessageSigning, at);
            judged.map_err(|error| Undersigned::Path { number, name: name.clone(), error })?;
        }
        Ok(SignedBy { name: name.clone(), certificate })
    }
}

/// A policy needs this many people.
pub const SIGNERS_MIN: usize = 2;
/// Signatures that are looked at.
pub const SIGNATURES_MAX: usize = 8;
