//! RSA-PSS whose parameters stand in the message: taken where they are the one set that is on the list.
//!
//! Source: RFC 9231 §2.3.9 (the elements, and what they mean where they are absent).

use pki::algorithm::SignatureAlgorithm;
use pki::digest::DigestAlgorithm;

use super::{Children, Parsed, algorithm_uri, children, empty, nothing_more, only_attributes, text_of};
use crate::Element;
use crate::namespace::DS;

/// The method that says its parameters, and the namespace of them.
pub(super) const URI: &str = "http://www.w3.org/2007/05/xmldsig-more#rsa-pss";
const MORE: &str = "http://www.w3.org/2007/05/xmldsig-more#";
const MGF1: &str = "http://www.w3.org/2007/05/xmldsig-more#MGF1";

/// RSA-PSS with SHA-256, MGF1 over SHA-256, 32 bytes of salt and the usual trailer, said or by default; `None`: another set.
pub(super) fn parameters(method: Element<'_>) -> Parsed<Option<SignatureAlgorithm>> {
    let mut outer = children(method)?;
    let Some(parameters) = take(&mut outer, MORE, "RSAPSSParams") else {
        nothing_more(&mut outer)?;
        return Ok(Some(SignatureAlgorithm::RsaPssSha256));
    };
    nothing_more(&mut outer)?;
    only_attributes(parameters, &[])?;
    let mut inner = children(parameters)?;
    let mut listed = is_sha256(&mut inner)?;
    if let Some(mask) = take(&mut inner, MORE, "MaskGenerationFunction") {
        only_attributes(mask, &["Algorithm"])?;
        listed &= mask.attribute(None, "Algorithm").is_none_or(|uri| uri == MGF1);
        let mut within = children(mask)?;
        listed &= is_sha256(&mut within)?;
        nothing_more(&mut within)?;
    }
    for (name, usual) in [("SaltLength", "32"), ("TrailerField", "1")] {
        if let Some(number) = take(&mut inner, MORE, name) {
            only_attributes(number, &[])?;
            listed &= text_of(number)?.trim() == usual;
        }
    }
    nothing_more(&mut inner)?;
    Ok(listed.then_some(SignatureAlgorithm::RsaPssSha256))
}

/// An absent DigestMethod is SHA-256.
fn is_sha256(children: &mut Children<'_>) -> Parsed<bool> {
    let Some(method) = take(children, DS, "DigestMethod") else { return Ok(true) };
    let known = DigestAlgorithm::from_xmldsig_uri(&algorithm_uri(method)?);
    empty(method)?;
    Ok(known == Some(DigestAlgorithm::Sha256))
}

fn take<'d>(children: &mut Children<'d>, namespace: &str, name: &str) -> Option<Element<'d>> {
    children.next_if(|child| child.is(namespace, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Document, Limits};

    /// Which method a SignatureMethod with these parameters is.
    fn method(inside: &str) -> Parsed<Option<SignatureAlgorithm>> {
        let source = format!(
            "<d:SignatureMethod xmlns:d='{DS}' xmlns='{MORE}' Algorithm='{URI}'>{inside}</d:SignatureMethod>"
        );
        parameters(Document::parse(source, &Limits::default()).unwrap().root())
    }

    #[test]
    fn one_set_of_parameters_is_taken_said_or_not() {
        const SHA256: &str = "<d:DigestMethod Algorithm='http://www.w3.org/2001/04/xmlenc#sha256'/>";
        const SHA512: &str = "<d:DigestMethod Algorithm='http://www.w3.org/2001/04/xmlenc#sha512'/>";
        let mask = |algorithm: &str, inside: &str| {
            format!("<MaskGenerationFunction Algorithm='{algorithm}'>{inside}</MaskGenerationFunction>")
        };
        let params = |inside: &str| method(&format!("<RSAPSSParams>{inside}</RSAPSSParams>"));
        let taken = Ok(Some(SignatureAlgorithm::RsaPssSha256));
        assert_eq!(method(""), taken);
        assert_eq!(params(""), taken);
        let salt = |bytes: &str| format!("<SaltLength>{bytes}</SaltLength>");
        let usual = [SHA256, &mask(MGF1, SHA256), &salt("32"), "<TrailerField>1</TrailerField>"].concat();
        assert_eq!(params(&usual), taken);
        for other in [
            SHA512,
            &mask(MGF1, SHA512),
            &mask("urn:other", SHA256),
            &salt("20"),
            &salt("0"),
            "<TrailerField>2</TrailerField>",
        ] {
            assert_eq!(params(other), Ok(None), "{other}");
        }
        for malformed in [&salt("32").repeat(2), "<more/>", "text", &format!("{}{SHA256}", salt("32"))] {
            assert_eq!(params(malformed).unwrap_err().code(), "xmlsec.signature.schema", "{malformed}");
        }
    }
}
