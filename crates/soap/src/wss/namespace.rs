//! Namespaces and identifiers of Web Services Security and its neighbours.

/// WS-Security extension.
pub const WSSE: &str = xmlsec::namespace::WSSE;
/// WS-Security utility.
pub const WSU: &str = xmlsec::namespace::WSU;
/// XML Signature.
pub const DS: &str = xmlsec::namespace::DS;
/// WS-Addressing 1.0.
pub const WSA: &str = "http://www.w3.org/2005/08/addressing";
/// XML-binary Optimized Packaging.
pub const XOP: &str = "http://www.w3.org/2004/08/xop/include";
/// The types of contract A.
pub const TYPES_V1: &str = "http://socialsecurity.be/registeredmail/types/v1";

/// `EncodingType` of every binary value.
pub const BASE64_BINARY: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary";
/// `ValueType` of a token that is one X.509 certificate.
pub const X509_V3: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3";
/// `ValueType` of a token that is a PKIPath: certificates from the authority's side down to the signer's.
pub const X509_PKI_PATH: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509PKIPathv1";
/// `ValueType` of a KeyIdentifier that is a subject key identifier.
pub const X509_SKI: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509SubjectKeyIdentifier";
/// `ValueType` of a KeyIdentifier that is a certificate's SHA-1, which names it and vouches for nothing.
pub const THUMBPRINT_SHA1: &str =
    "http://docs.oasis-open.org/wss/oasis-wss-soap-message-security-1.1#ThumbprintSHA1";
