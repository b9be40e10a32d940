//! Faults: what was seen, what was expected, what to do about it; the class alone where detail would be an oracle.
//!
//! Source: contract.md, "Faults"; SOAP 1.1 §4.4; SOAP 1.2 part 1 §5.4.

use erds::refusal::{FaultCode, FaultKind, FaultLanguage, FaultOrigin, Refusal};
use erds::{Environment, record};
use jiff::Timestamp;
use xmlsec::Element;
use xmlsec::write::Writer;

use crate::envelope::SoapVersion;

/// The namespace of a fault's detail as the WSDL names it.
pub const SERVICE_PROVIDER: &str = "http://socialsecurity.be/errors/serviceprovider/v1";
/// The namespace of a fault's detail behind the sector's bus.
pub const CONSUMER: &str = "http://socialsecurity.be/errors/v1";

/// In which form the detail is given.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Namespace {
    /// `errors/serviceprovider/v1`: what the WSDL names and generated clients read.
    #[default]
    ServiceProvider,
    /// `errors/v1`: for callers behind the sector's bus only; others lose code and text.
    Consumer,
}

/// Who says it, in `Actor`.
const ACTOR: &str = "urn:epost:registeredmail";

/// A whole Envelope with the refusal's fault. `id` is the journal's id of the request.
pub fn write_fault(
    refusal: &Refusal,
    id: &str,
    namespace: Namespace,
    version: SoapVersion,
    now: Timestamp,
    environment: Environment,
) -> Vec<u8> {
    crate::message::envelope(version, &write_fault_body(refusal, id, namespace, version, now, environment))
}

/// The Fault element alone, to be signed as a Body's content (contract B).
pub fn write_fault_body(
    refusal: &Refusal,
    id: &str,
    namespace: Namespace,
    version: SoapVersion,
    now: Timestamp,
    environment: Environment,
) -> String {
    let mut out = Writer::new();
    // The prefix is declared here too: a signed Body stands by itself.
    out.start("soapenv:Fault").namespace("soapenv", version.namespace());
    let (code, local) = (refusal.code, code_local(refusal, version));
    match version {
        SoapVersion::V11 => {
            out.element("faultcode", local).element("faultstring", code.as_str()).start("detail");
        }
        SoapVersion::V12 => {
            out.start("soapenv:Code").element("soapenv:Value", local).end();
            out.start("soapenv:Reason")
                .start("soapenv:Text")
                .attribute("xml:lang", "en")
                .text(code.as_str())
                .end()
                .end();
            out.start("soapenv:Detail");
        }
    }
    detail(&mut out, refusal, id, namespace, now, environment);
    String::from_utf8(out.finish()).unwrap_or_default()
}

fn code_local(refusal: &Refusal, version: SoapVersion) -> &'static str {
    match (refusal.check, refusal.code.origin(), version) {
        ("soap.must-understand", ..) => "soapenv:MustUnderstand",
        ("soap.version-mismatch", ..) => "soapenv:VersionMismatch",
        (_, FaultOrigin::Consumer, SoapVersion::V11) => "soapenv:Client",
        (_, FaultOrigin::Provider, SoapVersion::V11) => "soapenv:Server",
        (_, FaultOrigin::Consumer, SoapVersion::V12) => "soapenv:Sender",
        (_, FaultOrigin::Provider, SoapVersion::V12) => "soapenv:Receiver",
    }
}

fn detail(
    out: &mut Writer,
    refusal: &Refusal,
    id: &str,
    form: Namespace,
    now: Timestamp,
    environment: Environment,
) {
    let code = refusal.code;
    let (name, namespace) = match (code.kind(), form) {
        (FaultKind::Business, Namespace::ServiceProvider) => ("err:BusinessError", SERVICE_PROVIDER),
        (FaultKind::System, Namespace::ServiceProvider) => ("err:SystemError", SERVICE_PROVIDER),
        (FaultKind::Business, Namespace::Consumer) => ("err:BusinessError", CONSUMER),
        (FaultKind::System, Namespace::Consumer) => ("err:SystemError", CONSUMER),
    };
    out.start(name).namespace("err", namespace).attribute("Id", id);
    out.element("err:Origin", code.origin().as_str()).element("err:Code", code.as_str());
    for language in FaultLanguage::ALL {
        out.start("err:Message")
            .attribute("xml:lang", language.as_str())
            .text(&message(refusal, language))
            .end();
    }
    if let Some(retry) = code.retry() {
        out.element("err:Retry", if retry { "true" } else { "false" });
    }
    match form {
        Namespace::ServiceProvider => {
            let at = crate::message::to_millisecond(now);
            out.element("err:Actor", ACTOR).element("err:DateTime", &at);
        }
        Namespace::Consumer => {
            if let Some(name) = environment.consumer_name() {
                out.element("err:Environment", name);
            }
        }
    }
    out.end();
}

/// In every language the class, the check, what was seen and expected, and what to do; where detail would be an oracle, or is ours, the
/// class and what to do alone. What is seen and expected is named in English: it holds the contract's own names.
fn message(refusal: &Refusal, language: FaultLanguage) -> String {
    let code = refusal.code;
    let [seen, expected, remedy] = labels(language);
    let what_to_do = match language {
        FaultLanguage::En if !refusal.remedy.is_empty() => refusal.remedy.as_str(),
        _ => code.remedy(language),
    };
    if refusal.is_class_only() || code.origin() == FaultOrigin::Provider {
        return format!("{} {remedy}: {}", code.text(language), code.remedy(language));
    }
    let mut text = format!("{} [{}]", code.text(language), refusal.check);
    for (label, value) in
        [(seen, refusal.seen.as_str()), (expected, refusal.expected.as_str()), (remedy, what_to_do)]
    {
        if !value.is_empty() {
            let end = if value.ends_with('.') { "" } else { "." };
            text.push_str(&format!(" {label}: {value}{end}"));
        }
    }
    text
}

/// What was seen, what was expected, what to do.
fn labels(language: FaultLanguage) -> [&'static str; 3] {
    match language {
        FaultLanguage::En => ["Seen", "Expected", "Remedy"],
        FaultLanguage::Fr => ["Constaté (en anglais) ", "Attendu (en anglais) ", "À faire "],
        FaultLanguage::Nl => ["Vastgesteld (in het Engels)", "Verwacht (in het Engels)", "Te doen"],
        FaultLanguage::De => ["Festgestellt (englisch)", "Erwartet (englisch)", "Abhilfe"],
    }
}

/// A fault as a client reads it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{code}: {}", .messages.first().map(|message| message.1.as_str()).unwrap_or_default())]
pub struct ReceivedFault {
    /// The contract's code, or whatever faultstring said.
    pub code: String,
    /// The service's id of the request.
    pub id: Option<String>,
    /// Language and text, as given.
    pub messages: Vec<(String, String)>,
    /// Whether the same request may succeed later.
    pub retry: Option<bool>,
}

impl ReceivedFault {
    /// The code, if it is one of the contract's.
    pub fn fault_code(&self) -> Option<FaultCode> {
        FaultCode::from_name(&self.code)
    }

    /// The text in that language, else the first.
    pub fn message(&self, language: &str) -> Option<&str> {
        let wanted = self.messages.iter().find(|(tag, _)| tag == language);
        wanted.or_else(|| self.messages.first()).map(|(_, text)| text.as_str())
    }
}

/// Reads a Fault of either SOAP version and either detail. None if the element is no Fault. Lenient: a fault of another
/// maker still tells what it can; texts are bounded and escaped.
pub fn parse_fault(element: Element<'_>) -> Option<ReceivedFault> {
    let version =
        [SoapVersion::V11, SoapVersion::V12].into_iter().find(|v| element.is(v.namespace(), "Fault"))?;
    let soap = version.namespace();
    let (reason, detail) = match version {
        SoapVersion::V11 => (element.child("", "faultstring"), element.child("", "detail")),
        SoapVersion::V12 => (
            element.child(soap, "Reason").and_then(|reason| reason.child(soap, "Text")),
            element.child(soap, "Detail"),
        ),
    };
    let reason = reason.map(text).unwrap_or_default();
    let error = detail.and_then(|detail| {
        detail.children().find(|child| {
            [SERVICE_PROVIDER, CONSUMER].contains(&child.namespace())
                && ["BusinessError", "SystemError"].contains(&child.local_name())
        })
    });
    let Some(error) = error else {
        let messages = vec![("en".to_owned(), reason.clone())];
        return Some(ReceivedFault { code: reason, id: None, messages, retry: None });
    };
    let own = |name: &'static str| error.children().filter(move |child| child.is(error.namespace(), name));
    let language = |element: Element<'_>| {
        element
            .attribute(Some(xmlsec::namespace::XML), "lang")
            .map(|lang| record::bounded(&lang))
            .unwrap_or_default()
    };
    Some(ReceivedFault {
        code: own("Code").next().map(text).unwrap_or(reason),
        id: error.attribute(None, "Id").map(|id| record::bounded(&id)),
        messages: own("Message").map(|message| (language(message), message_text(message))).collect(),
        retry: own("Retry").next().and_then(|retry| match text(retry).trim() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }),
    })
}

fn text(element: Element<'_>) -> String {
    element.text().map(|text| record::bounded(&text)).unwrap_or_default()
}

/// A message is longer than what is seen in it: bounded as one line of a terminal is.
fn message_text(element: Element<'_>) -> String {
    let text = element.text().unwrap_or_default();
    text.chars().filter(|c| !c.is_control()).take(MESSAGE_CHARACTERS_MAX).collect()
}

const MESSAGE_CHARACTERS_MAX: usize = 4000;

#[cfg(test)]
#[path = "message/fault_tests.rs"]
mod tests;
