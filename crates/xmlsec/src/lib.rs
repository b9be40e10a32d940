//! Namespace-aware XML in and out, canonicalisation and XML Signature: the hot core, and the one place for XML limits.
//!
//! One parse makes one tree ([`Document`]) that borrows from one source buffer; canonicalisation, verification and
//! the reading of business data all work on that tree, so what is hashed is what is read. The crate opens nothing:
//! DTDs, external references, XPath, XSLT and HMAC do not exist in it.
//!
//! Sources: XML 1.0 (fifth edition), Namespaces in XML 1.0 (third edition), Canonical XML 1.0 and 1.1,
//! Exclusive XML Canonicalization 1.0, XML Signature 1.1, Web Services Security: SOAP Message Security 1.0 §8.3.

mod arena;
pub mod base64;
pub mod c14n;
mod chars;
mod element;
pub mod ids;
mod limits;
mod near;
mod read;
mod run;
mod scan;
pub mod signature;
mod text;
mod tree;
pub mod write;

pub use element::{Attribute, Children, Element, Node, NodeId, ProcessingInstruction, TextError};
pub use limits::Limits;
pub use read::{ReadError, ReadErrorKind};
pub use tree::Document;

/// The namespaces that this crate itself speaks.
pub mod namespace {
    /// The namespace bound to the prefix `xml` (Namespaces in XML 1.0 §3).
    pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
    /// The namespace of `xmlns` attributes (Namespaces in XML 1.0 §3).
    pub const XMLNS: &str = "http://www.w3.org/2000/xmlns/";
    /// XML Signature.
    pub const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
    /// Exclusive canonicalisation: the namespace of `InclusiveNamespaces`.
    pub const EC: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
    /// WS-Security utility: the namespace of `wsu:Id`.
    pub const WSU: &str =
        "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
    /// WS-Security extension: the namespace of `wsse:SecurityTokenReference`.
    pub const WSSE: &str =
        "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
}
