//! Contract B's answers, each the one element of a signed Body.

use std::net::IpAddr;

use erds::{Environment, FaultCode, Refusal, Sender};
use jiff::Timestamp;
use xmlsec::Element;
use xmlsec::write::Writer;

use super::super::Operation;
use super::super::answer::{text, to_millisecond, upper_hex};
use super::super::client::{AnswerError, named};
use super::super::namespace::V2;
use super::super::read::{Allowed, Cursor, Text};

/// What the service saw of a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CertificateFacts {
    /// SHA-256 of its DER.
    pub sha256: [u8; 32],
    /// Its last instant.
    pub not_after: Timestamp,
}

/// What a request may cost, as this instance is configured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RequestLimits {
    /// The whole HTTP body.
    pub body_bytes_max: u64,
    /// The SOAP part.
    pub root_part_bytes_max: u64,
    /// One attachment.
    pub part_bytes_max: u64,
    /// Contract B's SOAP part with what it includes in its place.
    pub included_bytes_max: u64,
    /// MIME parts, the root included.
    pub parts_max: usize,
    /// From a Timestamp's Created to its Expires, and its age.
    pub timestamp_lifetime_seconds_max: u64,
    /// By how much clocks may differ.
    pub clock_skew_seconds_max: u64,
}

/// Who the caller is to the service: each fact one that the service judged, none that the message only says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConnectionReport<'a> {
    /// Institution, application and environment, of the certificate that signed.
    pub sender: &'a Sender,
    /// The certificate that signed.
    pub message_certificate: CertificateFacts,
    /// The certificate of the connection.
    pub tls_certificate: CertificateFacts,
    /// Whether the connection is a configured gateway's.
    pub through_gateway: bool,
    /// From which address the connection came.
    pub address: IpAddr,
    /// The environment of this instance.
    pub environment: Environment,
    /// When the request's last byte was read, by the service's clock.
    pub received_at: Timestamp,
    /// What a request may cost.
    pub limits: RequestLimits,
}

/// The answer to checkConnection.
pub fn write_check_connection_response(report: &ConnectionReport<'_>) -> String {
    let mut out = Writer::new();
    out.start("v2:CheckConnectionResponse").namespace("v2", V2);
    out.element("v2:CompanyID", report.sender.cbe.digits());
    out.element("v2:ApplicationID", report.sender.application.as_str());
    certificate(&mut out, "v2:MessageCertificate", &report.message_certificate);
    certificate(&mut out, "v2:TlsCertificate", &report.tls_certificate);
    out.element("v2:Gateway", boolean(report.through_gateway));
    out.element("v2:Address", &report.address.to_string());
    out.element("v2:Environment", report.environment.as_str());
    out.element("v2:ReceivedAt", &to_millisecond(report.received_at));
    let limits = &report.limits;
    out.start("v2:Limits");
    out.element("v2:BodyBytesMax", &limits.body_bytes_max.to_string());
    out.element("v2:SoapPartBytesMax", &limits.root_part_bytes_max.to_string());
    out.element("v2:PartBytesMax", &limits.part_bytes_max.to_string());
    out.element("v2:IncludedBytesMax", &limits.included_bytes_max.to_string());
    out.element("v2:PartsMax", &limits.parts_max.to_string());
    out.element("v2:TimestampSecondsMax", &limits.timestamp_lifetime_seconds_max.to_string());
    out.element("v2:ClockSkewSecondsMax", &limits.clock_skew_seconds_max.to_string());
    text(out)
}

fn certificate(out: &mut Writer, name: &'static str, facts: &CertificateFacts) {
    out.start(name).element("v2:Sha256", &upper_hex(&facts.sha256));
    out.element("v2:NotAfter", &to_millisecond(facts.not_after)).end();
}

/// The answer to checkAccess; `denied` is the code of the fault that the operation would get, none where it is granted.
pub fn write_check_access_response(
    operation: Operation,
    document_type: Option<&str>,
    denied: Option<FaultCode>,
) -> String {
    let mut out = Writer::new();
    out.start("v2:CheckAccessResponse").namespace("v2", V2).element("v2:Operation", operation.as_str());
    if let Some(document_type) = document_type {
        out.element("v2:Type", document_type);
    }
    out.element("v2:Granted", boolean(denied.is_none()));
    if let Some(code) = denied {
        out.element("v2:Code", code.as_str());
    }
    text(out)
}

pub(super) fn boolean(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// Who the caller is to the service, as its answer says it; limits are for programs that read the XML.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConnectionAnswer {
    /// The institution's enterprise number: 10 digits.
    pub company_id: String,
    /// The application.
    pub application_id: String,
    /// The last instant of the certificate that signed.
    pub message_certificate_not_after: Timestamp,
    /// The last instant of the connection's certificate.
    pub tls_certificate_not_after: Timestamp,
    /// Whether the connection is a configured gateway's.
    pub through_gateway: bool,
    /// From which address the connection came.
    pub address: String,
    /// The environment of the instance.
    pub environment: String,
    /// When the request's last byte was read, by the service's clock.
    pub received_at: Timestamp,
}

/// Reads the answer to checkConnection, whose signature was verified before.
///
/// # Errors
/// [`AnswerError`]: the service's fault.
pub fn parse_check_connection_response(element: Element<'_>) -> Result<ConnectionAnswer, AnswerError> {
    named(element, V2, "CheckConnectionResponse")?;
    let mut response = Cursor::open(element, "CheckConnectionResponse".to_owned(), Allowed::Nothing)?;
    let said = |text: Text<'_>| text.as_str().to_owned();
    let company_id = said(response.text(V2, "CompanyID")?);
    let application_id = said(response.text(V2, "ApplicationID")?);
    let message_certificate_not_after = not_after(&mut response, "MessageCertificate")?;
    let tls_certificate_not_after = not_after(&mut response, "TlsCertificate")?;
    let through_gateway = response.text(V2, "Gateway")?.one_of(|text| text.parse().ok(), "true or false")?;
    let address = said(response.text(V2, "Address")?);
    let environment = said(response.text(V2, "Environment")?);
    let received_at = instant(&response.text(V2, "ReceivedAt")?)?;
    response.required(V2, "Limits")?;
    response.end()?;
    Ok(ConnectionAnswer {
        company_id,
        application_id,
        message_certificate_not_after,
        tls_certificate_not_after,
        through_gateway,
        address,
        environment,
        received_at,
    })
}

fn not_after(response: &mut Cursor<'_>, name: &'static str) -> Result<Timestamp, Refusal> {
    let (element, path) = response.required(V2, name)?;
    let mut certificate = Cursor::open(element, path, Allowed::Nothing)?;
    certificate.text(V2, "Sha256")?;
    let not_after = instant(&certificate.text(V2, "NotAfter")?)?;
    certificate.end()?;
    Ok(not_after)
}

fn instant(text: &Text<'_>) -> Result<Timestamp, Refusal> {
    text.one_of(|text| text.parse().ok(), "an instant")
}
