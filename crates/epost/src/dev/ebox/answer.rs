//! The stand-in's answers.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use serde_json::{Value, json};

pub(super) type Answer = Full<Bytes>;

pub(super) fn json_answer(status: u16, value: &Value) -> Response<Answer> {
    let mut response = empty(status);
    *response.body_mut() = Full::new(Bytes::from(value.to_string()));
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    response
}

pub(super) fn empty(status: u16) -> Response<Answer> {
    let mut response = Response::new(Full::default());
    *response.status_mut() =
        http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    response
}

/// `StatusMessage` of the OpenAPI.
pub(super) fn error(status: u16, code: &str, message: &str) -> Response<Answer> {
    let id = uuid::Uuid::new_v4().to_string();
    json_answer(status, &json!({"id": id, "code": code, "message": message}))
}
