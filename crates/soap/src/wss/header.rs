//! The one Security header for us, and what stands in it.
//!
//! Source: SOAP Message Security 1.0 §5; `security.md` rows 4, 7, 12, 39, 65.

use super::namespace::{DS, WSSE, WSU};
use super::refuse::security;
use super::saml::is_assertion;
use crate::envelope::{Tree, is_for_us};
use erds::refusal::Refusal;
use xmlsec::Element;

/// The children of the Security header, by what they are.
pub(super) struct Header<'d> {
    pub(super) timestamp: Element<'d>,
    pub(super) signature: Element<'d>,
    pub(super) token: Option<Element<'d>>,
    pub(super) assertion: Option<Element<'d>>,
}

/// `assertions`: whether a SAML assertion may stand in it.
pub(super) fn read(tree: &Tree, assertions: bool) -> Result<Header<'_>, Refusal> {
    let security_header = only_security(tree)?;
    if security_header.has_text_content() {
        return Err(form("wss.header.content", "text", "elements only"));
    }
    let (mut timestamp, mut signature, mut token, mut assertion) = (None, None, None, None);
    for child in security_header.children() {
        let slot = match (child.namespace(), child.local_name()) {
            (WSU, "Timestamp") => &mut timestamp,
            (DS, "Signature") => &mut signature,
            (WSSE, "BinarySecurityToken") => &mut token,
            _ if assertions && is_assertion(child) => &mut assertion,
            (_, other) => {
                return Err(form(
                    "wss.header.content",
                    other,
                    "one Timestamp, one Signature, at most one BinarySecurityToken",
                ));
            }
        };
        if slot.replace(child).is_some() {
            return Err(form("wss.header.repeated", child.local_name(), "each at most once"));
        }
    }
    let signature =
        signature.ok_or_else(|| form("wss.signature.missing", "no ds:Signature", "one ds:Signature"))?;
    let timestamp = timestamp
        .ok_or_else(|| form("wss.timestamp.missing", "no wsu:Timestamp", "one signed wsu:Timestamp"))?;
    Ok(Header { timestamp, signature, token, assertion })
}

fn only_security(tree: &Tree) -> Result<Element<'_>, Refusal> {
    let mut blocks = tree
        .header()
        .into_iter()
        .flat_map(Element::children)
        .filter(|block| block.is(WSSE, "Security") && is_for_us(*block, tree.version()));
    match (blocks.next(), blocks.next()) {
        (Some(block), None) => Ok(block),
        (None, _) => Err(form(
            "wss.header.missing",
            "no wsse:Security header for this service",
            "one, directly in the Header, without actor",
        )),
        (Some(_), Some(_)) => Err(form("wss.header.several", "two wsse:Security headers", "one")),
    }
}

fn form(check: &'static str, seen: &str, expected: &str) -> Refusal {
    security(
        check,
        seen,
        expected,
        "Sign as the policy in the WSDL has it: Timestamp, X.509 token, signature over Timestamp and Body.",
    )
}
