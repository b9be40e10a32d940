//! The words of a verdict.
//!
//! Source: ETSI EN 319 102-1 §5.1.3, tables 5 and 6: names and meanings are the standard's.

/// The verdict.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Indication {
    /// Every check succeeded: the proof holds.
    TotalPassed,
    /// The proof does not hold, whatever else could still be learned.
    TotalFailed,
    /// What was given does not suffice to say.
    Indeterminate,
}

impl Indication {
    /// As the standard writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TotalPassed => "TOTAL-PASSED",
            Self::TotalFailed => "TOTAL-FAILED",
            Self::Indeterminate => "INDETERMINATE",
        }
    }

    /// The exit code: 0 passed, 1 failed, 2 indeterminate (3 is for what could not run).
    pub fn exit_code(self) -> u8 {
        match self {
            Self::TotalPassed => 0,
            Self::TotalFailed => 1,
            Self::Indeterminate => 2,
        }
    }
}

/// Why a verdict is not passed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SubIndication {
    /// The signature is not of the form that it must have.
    FormatFailure,
    /// The signed bytes are not the ones given.
    HashFailure,
    /// The signature value does not verify with the certificate's key.
    SigCryptoFailure,
    /// The certificate was revoked when the signature was made.
    Revoked,
    /// The signature was made outside the certificate's validity.
    Expired,
    /// The signature was made before the certificate's validity.
    NotYetValid,
    /// Attributes or content do not meet the constraints on this kind of proof.
    SigConstraintsFailure,
    /// A certificate of the path does not meet the constraints (usage, extensions).
    ChainConstraintsFailure,
    /// Certificate path validation failed for another reason.
    CertificateChainGeneralFailure,
    /// An algorithm or a key size is too weak.
    CryptoConstraintsFailure,
    /// The times contradict each other.
    TimestampOrderFailure,
    /// The signing certificate cannot be identified.
    NoSigningCertificateFound,
    /// No path leads to one of the given trust anchors.
    NoCertificateChainFound,
    /// Revoked, and nothing proves that the signature existed before.
    RevokedNoPoe,
    /// Expired, and nothing proves that the signature existed before.
    OutOfBoundsNoPoe,
    /// Revocation information is missing or not fresh: with it, the question can be answered.
    TryLater,
}

impl SubIndication {
    /// As the standard writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FormatFailure => "FORMAT_FAILURE",
            Self::HashFailure => "HASH_FAILURE",
            Self::SigCryptoFailure => "SIG_CRYPTO_FAILURE",
            Self::Revoked => "REVOKED",
            Self::Expired => "EXPIRED",
            Self::NotYetValid => "NOT_YET_VALID",
            Self::SigConstraintsFailure => "SIG_CONSTRAINTS_FAILURE",
            Self::ChainConstraintsFailure => "CHAIN_CONSTRAINTS_FAILURE",
            Self::CertificateChainGeneralFailure => "CERTIFICATE_CHAIN_GENERAL_FAILURE",
            Self::CryptoConstraintsFailure => "CRYPTO_CONSTRAINTS_FAILURE",
            Self::TimestampOrderFailure => "TIMESTAMP_ORDER_FAILURE",
            Self::NoSigningCertificateFound => "NO_SIGNING_CERTIFICATE_FOUND",
            Self::NoCertificateChainFound => "NO_CERTIFICATE_CHAIN_FOUND",
            Self::RevokedNoPoe => "REVOKED_NO_POE",
            Self::OutOfBoundsNoPoe => "OUT_OF_BOUNDS_NO_POE",
            Self::TryLater => "TRY_LATER",
        }
    }
}
