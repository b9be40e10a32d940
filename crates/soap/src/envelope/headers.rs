//! Header blocks: how many, for whom, and which of them must be understood.
//!
//! Sources: SOAP 1.1 §4.2, SOAP 1.2 part 1 §5.2.

use super::{SoapVersion, not_soap};
use crate::wss::namespace::{WSA, WSSE};
use erds::refusal::Refusal;
use xmlsec::Element;

const NEXT_11: &str = "http://schemas.xmlsoap.org/soap/actor/next";
const NEXT_12: &str = "http://www.w3.org/2003/05/soap-envelope/role/next";
const RECEIVER_12: &str = "http://www.w3.org/2003/05/soap-envelope/role/ultimateReceiver";

/// Refuses blocks without namespace, too many of them, and those that must be understood and are not.
pub(super) fn check(header: Element<'_>, version: SoapVersion, blocks_max: usize) -> Result<(), Refusal> {
    for (count, block) in header.children().enumerate() {
        if count == blocks_max {
            return Err(not_soap(
                "soap.header.too-many",
                "more header blocks",
                &format!("at most {blocks_max}"),
            ));
        }
        if block.namespace().is_empty() || block.namespace() == version.namespace() {
            return Err(not_soap(
                "soap.header.block",
                block.local_name(),
                "header blocks in a namespace of their own",
            ));
        }
        let understood = matches!(block.namespace(), WSSE | WSA);
        if must_understand(block, version)? && is_for_us(block, version) && !understood {
            return Err(not_soap(
                "soap.must-understand",
                &format!("{{{}}}{}", block.namespace(), block.local_name()),
                "WS-Security and WS-Addressing 1.0, or blocks without mustUnderstand",
            ));
        }
    }
    Ok(())
}

/// Whether the block is addressed to this service: no actor (role), an empty one, `next`, or the ultimate receiver.
pub(crate) fn is_for_us(block: Element<'_>, version: SoapVersion) -> bool {
    let (name, ours) = match version {
        SoapVersion::V11 => ("actor", [NEXT_11, NEXT_11]),
        SoapVersion::V12 => ("role", [NEXT_12, RECEIVER_12]),
    };
    match block.attribute(Some(version.namespace()), name) {
        None => true,
        Some(value) => value.is_empty() || ours.contains(&value.as_ref()),
    }
}

/// SOAP 1.1 knows `0` and `1` only, yet stacks send `true`.
fn must_understand(block: Element<'_>, version: SoapVersion) -> Result<bool, Refusal> {
    let Some(value) = block.attribute(Some(version.namespace()), "mustUnderstand") else { return Ok(false) };
    match value.as_ref() {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        other => Err(not_soap("soap.must-understand.value", other, "0, 1, true or false")),
    }
}
