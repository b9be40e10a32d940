//! WS-Addressing: optional; what is there is checked, and nothing it names is ever contacted.
//!
//! Sources: WS-Addressing 1.0 SOAP Binding; `security.md` rows 8, 55–58.

use super::namespace::WSA;
use super::refuse::security;
use crate::envelope::{Envelope, Tree};
use erds::refusal::Refusal;
use xmlsec::Element;
use xmlsec::signature::Verified;

const ANONYMOUS: &str = "http://www.w3.org/2005/08/addressing/anonymous";
const NONE: &str = "http://www.w3.org/2005/08/addressing/none";
const VALUE_BYTES_MAX: usize = 1024;

/// Refuses repeated or unsigned addressing headers, another To, replies to elsewhere, and odd message ids.
pub(super) fn check(
    tree: &Tree,
    envelope: &Envelope,
    verified: &Verified<'_>,
    addresses: &[String],
) -> Result<(), Refusal> {
    let blocks: Vec<Element<'_>> =
        tree.header().into_iter().flat_map(Element::children).filter(|b| b.namespace() == WSA).collect();
    for block in &blocks {
        let name = block.local_name();
        match name {
            "To" | "Action" | "MessageID" => {
                if blocks.iter().filter(|other| other.local_name() == name).count() > 1 {
                    return Err(refused("wsa.repeated", name, "each addressing header once"));
                }
                if !verified.covers(*block) {
                    return Err(refused("wsa.unsigned", name, "To, Action and MessageID signed, or absent"));
                }
                let text = block.text().map_err(|_| refused("wsa.form", name, "text"))?;
                value(name, text.trim(), envelope, addresses)?;
            }
            "ReplyTo" | "FaultTo" => {
                let address = block.child(WSA, "Address").and_then(|address| address.text().ok());
                let address = address.unwrap_or_default();
                if ![ANONYMOUS, NONE].contains(&address.trim()) {
                    return Err(refused(
                        "wsa.reply",
                        &address,
                        "the anonymous address: answers go back on the connection",
                    ));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn value(name: &str, text: &str, envelope: &Envelope, addresses: &[String]) -> Result<(), Refusal> {
    let scheme = text.split_once(':').map(|(scheme, _)| scheme).unwrap_or_default();
    let iri = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        && !text.chars().any(|c| c.is_whitespace() || c.is_control() || "<>\"{}|\\^`".contains(c));
    if text.len() > VALUE_BYTES_MAX || (name != "Action" && !iri) {
        return Err(refused("wsa.form", name, "an absolute IRI of at most 1024 bytes"));
    }
    match name {
        "To" if !addresses.is_empty()
            && text != ANONYMOUS
            && !addresses.iter().any(|known| known == text) =>
        {
            Err(refused("wsa.to", text, "this service's address"))
        }
        "Action" => envelope.check_action(Some(text)),
        _ => Ok(()),
    }
}

fn refused(check: &'static str, seen: &str, expected: &str) -> Refusal {
    security(
        check,
        seen,
        expected,
        "Correct the WS-Addressing headers, or leave them out: they are optional.",
    )
}
