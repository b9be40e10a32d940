//! The words of a remote decision point: what it is asked, and what its answer says. No socket: the service carries both.
//!
//! Source: OpenID AuthZEN Authorization API 1.0, §5 (subject, resource, action, context), §6 (access evaluation), §10 (HTTPS binding).

use erds::FaultCode;
use serde::Deserialize;
use serde_json::json;

use crate::{Decision, Denied, Permitted, Question};

/// What a decision point said to one question; only [`Verdict::read`] makes one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verdict(Result<Decision, Denied>);

/// An answer that is none: the decision point's fault. Nobody is let in by it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AnswerError {
    /// Another HTTP status than 200: it could not decide, or does not know us.
    #[error("HTTP status {0}; expected 200")]
    Status(u16),
    /// It answers another question.
    #[error("the answer names another request")]
    RequestId,
    /// Not a JSON object with a boolean `decision`.
    #[error("not an access evaluation response: {0}")]
    Form(String),
}

impl AnswerError {
    /// The stable dotted code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Status(_) => "authzen.status",
            Self::RequestId => "authzen.request-id",
            Self::Form(_) => "authzen.form",
        }
    }
}

/// The parts of an HTTP answer that count.
#[derive(Clone, Copy, Debug)]
pub struct HttpAnswer<'a> {
    /// Its status.
    pub status: u16,
    /// Its `X-Request-ID`, if it has one.
    pub request_id: Option<&'a str>,
    /// Its body.
    pub body: &'a [u8],
}

#[derive(Deserialize)]
struct Response {
    decision: bool,
    #[serde(default)]
    context: Option<ResponseContext>,
}

#[derive(Deserialize)]
struct ResponseContext {
    #[serde(default)]
    id: Option<serde_json::Value>,
}

/// The body of the evaluation request: who (application and institution), what (the transaction), on what (a document type, for
/// sending), from where and when.
pub fn request(question: &Question<'_>) -> Vec<u8> {
    let sender = question.sender;
    let issuer = erds::record::Hex32(sender.issuing_ca_spki_sha256).to_hex();
    let mut resource = json!({"type": "service", "id": "RegisteredMail"});
    if let (Some(message_type), Some(resource)) = (question.message_type, resource.as_object_mut()) {
        resource.insert("properties".to_owned(), json!({"document_type": message_type}));
    }
    let body = json!({
        "subject": {
            "type": "application",
            "id": sender.application.as_str(),
            "properties": {
                "institution": sender.cbe.digits(),
                "environment": sender.environment.as_str(),
                "issuer_spki_sha256": issuer,
            },
        },
        "action": {"name": question.transaction.as_str()},
        "resource": resource,
        "context": {"address": question.address.to_string(), "time": question.at.to_string()},
    });
    body.to_string().into_bytes()
}

impl Verdict {
    /// Reads an answer to the question that was asked under `request_id`; `policy_digest` is that of the file whose mandates and
    /// successions hold beside the decision.
    ///
    /// # Errors
    /// [`AnswerError`]: the decision point's fault.
    pub fn read(
        request_id: &str,
        answer: HttpAnswer<'_>,
        policy_digest: [u8; 32],
    ) -> Result<Self, AnswerError> {
        if answer.status != 200 {
            return Err(AnswerError::Status(answer.status));
        }
        if answer.request_id.is_some_and(|named| named != request_id) {
            return Err(AnswerError::RequestId);
        }
        let form = |error: serde_json::Error| AnswerError::Form(erds::record::bounded(&error.to_string()));
        let response: Response = serde_json::from_slice(answer.body).map_err(form)?;
        if !response.decision {
            return Ok(Self(Err(Denied { code: FaultCode::Soa01002, check: "uam.remote" })));
        }
        // Its own name of the decision, if it gives one, beside ours.
        let named = response.context.and_then(|context| context.id);
        let decision_id = match named.as_ref().and_then(serde_json::Value::as_str) {
            Some(id) => format!("{request_id} {}", erds::record::bounded(id)),
            None => request_id.to_owned(),
        };
        Ok(Self(Ok(Decision {
            grant_reference: "the remote decision point".to_owned(),
            policy_digest,
            grant: None,
            program_number: None,
            decision_id: Some(decision_id),
        })))
    }

    /// The decision alone.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn into_decision(self) -> Result<Decision, Denied> {
        self.0
    }

    /// Binds the request that the question was about to the decision.
    ///
    /// # Errors
    /// [`Denied`]: the request is dropped with it.
    pub fn permit<T>(self, request: T) -> Result<Permitted<T>, Denied> {
        Ok(Permitted { request, decision: self.0? })
    }
}

#[cfg(test)]
mod tests {
    use erds::{ApplicationId, EnterpriseNumber, Environment, Sender, Strictness};

    use super::*;
    use crate::Transaction;

    fn read(status: u16, request_id: Option<&str>, body: &str) -> Result<Verdict, AnswerError> {
        Verdict::read("R-1", HttpAnswer { status, request_id, body: body.as_bytes() }, [1; 32])
    }

    #[test]
    fn the_question_names_subject_action_resource_and_context() {
        let sender = Sender {
            cbe: EnterpriseNumber::parse("0123456749", Strictness::Strict).unwrap(),
            application: ApplicationId::parse("urn:be:app").unwrap(),
            issuing_ca_spki_sha256: [7; 32],
            environment: Environment::Tst,
        };
        let mut question = Question {
            sender: &sender,
            transaction: Transaction::SendDocument,
            message_type: Some("LETTER"),
            address: "10.1.2.3".parse().unwrap(),
            at: "2026-11-21T12:00:00Z".parse().unwrap(),
        };
        let asked: serde_json::Value = serde_json::from_slice(&request(&question)).unwrap();
        assert_eq!(
            (&asked["subject"]["type"], &asked["subject"]["id"]),
            (&json!("application"), &json!("urn:be:app"))
        );
        assert_eq!(asked["subject"]["properties"]["institution"], "0123456749");
        assert_eq!(asked["action"], json!({"name": "sendDocument"}));
        assert_eq!(asked["resource"]["properties"], json!({"document_type": "LETTER"}));
        assert_eq!(asked["context"], json!({"address": "10.1.2.3", "time": "2026-11-21T12:00:00Z"}));
        question.message_type = None;
        let asked: serde_json::Value = serde_json::from_slice(&request(&question)).unwrap();
        assert_eq!(asked["resource"], json!({"type": "service", "id": "RegisteredMail"}));
    }

    #[test]
    fn yes_and_no_are_told_apart() {
        let yes = read(200, Some("R-1"), r#"{"decision":true,"context":{"id":"D-7"}}"#).unwrap();
        let (request, decision) = yes.permit(42).unwrap().into_parts();
        assert_eq!((request, decision.decision_id.as_deref()), (42, Some("R-1 D-7")));
        let plain = read(200, None, r#"{"decision":true,"extra":1}"#).unwrap().into_decision().unwrap();
        assert_eq!(plain.decision_id.as_deref(), Some("R-1"));
        let no = read(200, None, r#"{"decision":false,"context":{"reason":{"en":"no"}}}"#).unwrap();
        assert_eq!(no.permit(42).unwrap_err().code(), "uam.remote");
    }

    #[test]
    fn what_is_no_answer_lets_nobody_in() {
        for (status, request_id, body, code) in [
            (201, None, r#"{"decision":true}"#, "authzen.status"),
            (403, None, "", "authzen.status"),
            (200, Some("R-2"), r#"{"decision":true}"#, "authzen.request-id"),
            (200, None, "", "authzen.form"),
            (200, None, "{}", "authzen.form"),
            (200, None, r#"{"decision":"true"}"#, "authzen.form"),
            (200, None, r#"{"decision":1}"#, "authzen.form"),
            (200, None, r#"{"decision":null}"#, "authzen.form"),
            (200, None, r#"{"decision":false,"decision":true}"#, "authzen.form"),
            (200, None, r#"{"decision":true}{"decision":false}"#, "authzen.form"),
            (200, None, r#"[{"decision":true}]"#, "authzen.form"),
            (200, None, r#"{"Decision":true}"#, "authzen.form"),
        ] {
            assert_eq!(read(status, request_id, body).unwrap_err().code(), code, "{body}");
        }
    }
}
