//! Contract B's own messages: what its requests hold, read and written; and its answers.
//!
//! Source: contract.md, "Contract B"; `wsdl/v2`.

mod answer;
mod find;
mod history;
mod recipient;
mod request;
mod submit;
mod verify;

pub use answer::{
    CertificateFacts, ConnectionAnswer, ConnectionReport, RequestLimits, parse_check_connection_response,
    write_check_access_response, write_check_connection_response,
};
pub(super) use find::find_items;
pub use find::{
    FoundItem, ItemSearch, SearchBy, parse_find_items_response, write_find_items_request,
    write_find_items_response,
};
pub(super) use history::get_delivery_history;
pub use history::{
    DeliveryEvent, DeliveryHistory, EventCode, EventSource, parse_get_delivery_history_response,
    write_get_delivery_history_request, write_get_delivery_history_response,
};
pub(super) use recipient::check_recipient;
pub use recipient::{RecipientFacts, write_check_recipient_request, write_check_recipient_response};
pub(super) use request::{check_access, check_connection};
pub use request::{write_check_access_request, write_check_connection_request};
pub(super) use submit::submit;

#[cfg(test)]
mod tests;
pub(super) use verify::verify_proof;
pub use verify::{
    AnchorUse, ProofAnchor, ProofCheck, ProofToVerify, ProofVerdict, write_verify_proof_request,
    write_verify_proof_response,
};

pub use submit::{
    InlineContent, SubmitReply, parse_submit_response, write_submit_request, write_submit_response,
};
