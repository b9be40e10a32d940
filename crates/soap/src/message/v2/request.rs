//! Contract B's requests, read to the schema's letter, and written as a client does.

use erds::Refusal;
use erds::dispatch::TYPE_CHARACTERS_MAX;
use xmlsec::Element;
use xmlsec::write::Writer;

use super::super::answer::text;
use super::super::namespace::V2;
use super::super::read::{Allowed, Cursor};
use super::super::{Operation, Request};

pub(in super::super) fn check_connection(operation: Element<'_>) -> Result<Request, Refusal> {
    Cursor::open(operation, "CheckConnectionRequest".to_owned(), Allowed::Nothing)?.end()?;
    Ok(Request::CheckConnection)
}

pub(in super::super) fn check_access(operation: Element<'_>) -> Result<Request, Refusal> {
    let mut request = Cursor::open(operation, "CheckAccessRequest".to_owned(), Allowed::Nothing)?;
    let operation =
        request.text(V2, "Operation")?.one_of(Operation::from_name, "the name of an operation")?;
    let document_type = request.optional_text(V2, "Type")?;
    let document_type = document_type.map(|text| text.bounded(1, TYPE_CHARACTERS_MAX)).transpose()?;
    request.end()?;
    Ok(Request::CheckAccess { operation, document_type })
}

/// Who am I to you?
pub fn write_check_connection_request() -> String {
    let mut out = Writer::new();
    out.start("v2:CheckConnectionRequest").namespace("v2", V2);
    text(out)
}

/// May I do this, with documents of this type?
pub fn write_check_access_request(operation: Operation, document_type: Option<&str>) -> String {
    let mut out = Writer::new();
    out.start("v2:CheckAccessRequest").namespace("v2", V2).element("v2:Operation", operation.as_str());
    if let Some(document_type) = document_type {
        out.element("v2:Type", document_type);
    }
    text(out)
}
