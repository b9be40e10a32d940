//! The signature algorithms that are let in, and the two spellings of an ECDSA value.
//!
//! Source: RFC 6931 (the URIs), XML Signature 1.1 §6.4 (r‖s), RFC 3279 §2.2.3 (DER).

use openssl::bn::BigNum;
use openssl::ecdsa::EcdsaSig;

use crate::digest::DigestAlgorithm;

/// A signature algorithm of the allow-list (security rule 2).
///
/// What is off the list has no name here:
/// ```
/// use pki::algorithm::SignatureAlgorithm;
/// let method = SignatureAlgorithm::RsaSha256;
/// ```
/// ```compile_fail,E0599
/// use pki::algorithm::SignatureAlgorithm;
/// let method = SignatureAlgorithm::HmacSha256;
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SignatureAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaSha256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RsaSha384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RsaSha512,
    /// RSASSA-PSS with SHA-256, MGF1 with SHA-256, salt of 32 bytes.
    RsaPssSha256,
    /// ECDSA on P-256 with SHA-256.
    EcdsaSha256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaSha384,
}

impl SignatureAlgorithm {
    /// Every one of them.
    pub const ALL: [Self; 6] = [
        Self::RsaSha256,
        Self::RsaSha384,
        Self::RsaSha512,
        Self::RsaPssSha256,
        Self::EcdsaSha256,
        Self::EcdsaSha384,
    ];

    /// The `Algorithm` of a `ds:SignatureMethod`.
    pub fn xmldsig_uri(self) -> &'static str {
        match self {
            Self::RsaSha256 => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            Self::RsaSha384 => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
            Self::RsaSha512 => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
            Self::RsaPssSha256 => "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1",
            Self::EcdsaSha256 => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
            Self::EcdsaSha384 => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
        }
    }

    /// The digest of the message that it signs.
    pub fn digest(self) -> DigestAlgorithm {
        match self {
            Self::RsaSha256 | Self::RsaPssSha256 | Self::EcdsaSha256 => DigestAlgorithm::Sha256,
            Self::RsaSha384 | Self::EcdsaSha384 => DigestAlgorithm::Sha384,
            Self::RsaSha512 => DigestAlgorithm::Sha512,
        }
    }

    /// The algorithm of a URI; none for what is off the list.
    pub fn from_xmldsig_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.xmldsig_uri() == uri)
    }
}

/// Bytes that are no ECDSA value.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an ECDSA signature value")]
pub struct EcdsaFormError;

/// r‖s to the DER that CMS carries.
///
/// # Errors
/// An odd number of bytes, or none.
pub fn ecdsa_to_der(fixed: &[u8]) -> Result<Vec<u8>, EcdsaFormError> {
    let half = fixed.len() / 2;
    if half == 0 || !fixed.len().is_multiple_of(2) {
        return Err(EcdsaFormError);
    }
    let (r, s) = fixed.split_at(half);
    let number = |bytes| BigNum::from_slice(bytes).map_err(|_| EcdsaFormError);
    let value = EcdsaSig::from_private_components(number(r)?, number(s)?).map_err(|_| EcdsaFormError)?;
    value.to_der().map_err(|_| EcdsaFormError)
}

/// DER to r‖s, each of `half_bytes`; only the one DER spelling is read.
///
/// # Errors
/// Not DER, not the only spelling, or longer than that.
pub fn ecdsa_from_der(der: &[u8], half_bytes: usize) -> Result<Vec<u8>, EcdsaFormError> {
    let value = EcdsaSig::from_der(der).map_err(|_| EcdsaFormError)?;
    if value.to_der().map_err(|_| EcdsaFormError)? != der {
        return Err(EcdsaFormError);
    }
    let length = i32::try_from(half_bytes).map_err(|_| EcdsaFormError)?;
    let mut fixed = value.r().to_vec_padded(length).map_err(|_| EcdsaFormError)?;
    fixed.extend(value.s().to_vec_padded(length).map_err(|_| EcdsaFormError)?);
    Ok(fixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_spellings_are_one_value() {
        let mut fixed = vec![0x80; 64];
        fixed[0] = 0;
        let der = ecdsa_to_der(&fixed).unwrap();
        assert_eq!(ecdsa_from_der(&der, 32).unwrap(), fixed);
        let mut longer = der.clone();
        longer.push(0);
        assert!(ecdsa_from_der(&longer, 32).is_err());
        assert!(ecdsa_to_der(&fixed[..63]).is_err());
    }
}
