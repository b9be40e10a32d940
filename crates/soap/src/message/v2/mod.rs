//! Contract B's own messages: what its requests hold, read and written; and its answers.
//!
//! Source: contract.md, "Contract B"; `wsdl/v2`.

mod answer;
mod request;

pub use answer::{
    CertificateFacts, ConnectionReport, RequestLimits, write_check_access_response,
    write_check_connection_response,
};
pub(super) use request::{check_access, check_connection};
pub use request::{write_check_access_request, write_check_connection_request};
