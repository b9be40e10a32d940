//! Reading an evidence back: what it says, from the elements in their order.
//!
//! Only the fields are taken here; that nothing else stands in the file is seen by writing it again
//! ([`super::signed::Signed::parse`]).

use erds::{ChannelName, Environment};
use jiff::Timestamp;
use pki::digest::DigestAlgorithm;
use xmlsec::Element;
use xmlsec::namespace::DS;

use super::write::{ANY_BYTES, CBE_SCHEME, END_OF_WINDOW, EVENT_URI, SSIN_SCHEME};
use super::{
    Acceptance, Access, Assurance, Attempt, AuthenticationMethod, CheckDescription, Consignment,
    ConsignmentFailure, DelegateDescription, ERDS_NAMESPACE, Event, Evidence, Handover, LogEntry,
    PARTICULARS_NAMESPACE, Rejection, RequestDescription, Unopened,
};
use crate::description::{
    ANNEX_TYPE, FileDescription, FileDigestMethod, RecipientDescription, SenderDescription,
};
use crate::dispatch::parse_second;
use crate::schema::{ProofReadError, length_is, structure};

type Read<T> = Result<T, ProofReadError>;

const POLICIES_MAX: usize = 8;
const PARTS_MAX: usize = 6;
const CHECKS_MAX: usize = 32;
const ATTEMPTS_MAX: usize = 1000;

/// Takes the children of one element in order.
struct Taker<'d> {
    parent: Element<'d>,
    rest: xmlsec::Children<'d>,
}

impl<'d> Taker<'d> {
    fn of(parent: Element<'d>) -> Self {
        Self { parent, rest: parent.children() }
    }

    fn optional(&mut self, namespace: &str, name: &str) -> Option<Element<'d>> {
        let mut ahead = self.rest.clone();
        let next = ahead.next().filter(|next| next.is(namespace, name))?;
        self.rest = ahead;
        Some(next)
    }

    fn required(&mut self, namespace: &str, name: &str) -> Read<Element<'d>> {
        self.optional(namespace, name).ok_or_else(|| {
            let found = self.rest.clone().next().map_or("the end", Element::local_name);
            structure(&format!("{name} in {}", self.parent.local_name()), found)
        })
    }

    /// An element that the standard's schema declares globally.
    fn erds(&mut self, name: &str) -> Read<Element<'d>> {
        self.required(ERDS_NAMESPACE, name)
    }

    fn inside(&mut self, namespace: &str, name: &str) -> Read<Self> {
        self.required(namespace, name).map(Self::of)
    }

    fn text(&mut self, namespace: &str, name: &'static str, least: usize, most: usize) -> Read<String> {
        let element = self.required(namespace, name)?;
        bounded(element, name, least, most)
    }

    fn optional_text(&mut self, namespace: &str, name: &'static str, most: usize) -> Read<Option<String>> {
        self.optional(namespace, name).map(|element| bounded(element, name, 0, most)).transpose()
    }

    fn time(&mut self, namespace: &str, name: &'static str) -> Read<Timestamp> {
        let element = self.required(namespace, name)?;
        time(element, name)
    }

    fn sha256(&mut self, name: &'static str) -> Read<[u8; 32]> {
        let element = self.required(PARTICULARS_NAMESPACE, name)?;
        sha256(element, name)
    }

    /// One of ours: `Particulars` and what is in it.
    fn own(&mut self, name: &'static str, least: usize, most: usize) -> Read<String> {
        self.text(PARTICULARS_NAMESPACE, name, least, most)
    }
}

fn bounded(element: Element<'_>, name: &'static str, least: usize, most: usize) -> Read<String> {
    let text = element.text().map_err(|_| structure("text alone", "elements"))?;
    if length_is(&text, least, most) {
        Ok(text.into_owned())
    } else {
        Err(ProofReadError::Value { element: name, expected: "a text of the allowed length" })
    }
}

fn time(element: Element<'_>, name: &'static str) -> Read<Timestamp> {
    let text = bounded(element, name, 1, 20)?;
    let expected = "a time in UTC to the second, as 2026-01-31T23:59:59Z";
    parse_second(&text).ok_or(ProofReadError::Value { element: name, expected })
}

fn bytes(element: Element<'_>, name: &'static str) -> Read<Vec<u8>> {
    let text = element.text().map_err(|_| structure("text alone", "elements"))?;
    let expected = "base64";
    base64_simd::STANDARD
        .decode_to_vec(text.as_bytes())
        .map_err(|_| ProofReadError::Value { element: name, expected })
}

fn sha256(element: Element<'_>, name: &'static str) -> Read<[u8; 32]> {
    let expected = "base64 of 32 bytes";
    bytes(element, name)?.try_into().map_err(|_| ProofReadError::Value { element: name, expected })
}

fn unknown(element: &'static str, expected: &'static str) -> ProofReadError {
    ProofReadError::Value { element, expected }
}

/// What the root says, without the signature, and the certificate that it names as its issuer's.
pub(super) fn read(root: Element<'_>) -> Read<(Evidence, Vec<u8>)> {
    if !root.is(ERDS_NAMESPACE, "Evidence") {
        return Err(structure("Evidence", root.local_name()));
    }
    let mut outer = Taker::of(root);
    outer.erds("EvidenceIdentifier")?;
    let event_id = outer.erds("ERDSEventId")?;
    let event_name = bounded(event_id, "ERDSEventId", 1, 200)?;
    outer.optional(ERDS_NAMESPACE, "EventReasons");
    let event_time = outer.time("", "EventTime")?;
    let mut inner = outer.inside(ERDS_NAMESPACE, "EvidenceIssuerPolicyID")?;
    let mut policies = Vec::new();
    while let Some(policy) = inner.optional("", "PolicyID") {
        policies.push(bounded(policy, "PolicyID", 1, 1000)?);
    }
    if policies.is_empty() || policies.len() > POLICIES_MAX {
        return Err(structure("1 to 8 PolicyID", "another number"));
    }
    let mut issuer = outer.inside(ERDS_NAMESPACE, "EvidenceIssuerDetails")?;
    issuer.erds("Identity")?;
    let certificate = issuer.inside(ERDS_NAMESPACE, "CertificateDetails")?.required("", "X509Certificate")?;
    let certificate = bytes(certificate, "X509Certificate")?;
    let mut request = request(&mut outer)?;
    outer.optional("", "ForwardedToExternalSystem");
    let log = outer.erds("TransactionLogInformation")?;
    let (log_origin, request_entry, event_entry) = log_entries(log)?;
    let extension = outer.inside(ERDS_NAMESPACE, "Extensions")?.erds("Extension")?;
    let mut own = Taker::of(extension).inside(PARTICULARS_NAMESPACE, "Particulars")?;
    let (environment, event) = particulars(&mut own, &event_name, &mut request)?;
    let evidence = Evidence {
        environment,
        event,
        event_time,
        policies,
        request,
        log_origin,
        request_entry,
        event_entry,
    };
    Ok((evidence, certificate))
}

fn request(outer: &mut Taker<'_>) -> Read<RequestDescription> {
    let mut sender = outer.inside(ERDS_NAMESPACE, "SenderDetails")?;
    let application_id = attribute_value(&mut sender, 150)?;
    let (_, company_id) = identifier(&mut sender)?;
    let mut levels = sender.inside("", "AssuranceLevelsDetails")?;
    levels.required("", "GlobalAssuranceLevel")?;
    let mut authentication = levels.inside(ERDS_NAMESPACE, "AuthenticationDetails")?;
    let at = authentication.time("", "AuthenticationTime")?;
    let method = authentication.text("", "AuthenticationMethod", 1, 200)?;
    let method = AuthenticationMethod::ALL
        .into_iter()
        .find(|known| known.uri() == method)
        .ok_or_else(|| unknown("AuthenticationMethod", "X.509 or SAML"))?;
    let mut recipient = outer.inside(ERDS_NAMESPACE, "RecipientDetails")?;
    let recipient = if recipient.rest.clone().next().is_some() { Some(user(&mut recipient)?) } else { None };
    let recipient = recipient
        .map(|(quality_code, scheme, number)| match scheme.as_str() {
            SSIN_SCHEME => Ok(RecipientDescription::Citizen { inss: number, quality_code }),
            CBE_SCHEME => Ok(RecipientDescription::Enterprise { company_id: number, quality_code }),
            _ => Err(unknown("IdentifierSchemeName", "a person's or an enterprise's number")),
        })
        .transpose()?;
    let delegate = outer.optional(ERDS_NAMESPACE, "RecipientsDelegateDetails");
    let delegate = delegate.map(|element| user(&mut Taker::of(element))).transpose()?;
    let submitted_at = outer.time(ERDS_NAMESPACE, "SubmissionTime")?;
    let message_identifier = outer.text(ERDS_NAMESPACE, "MessageIdentifier", 1, 100)?;
    let (token, parts) = match outer.optional(ERDS_NAMESPACE, "UserContentInfo") {
        Some(info) => content(info)?,
        None => (None, Vec::new()),
    };
    Ok(RequestDescription {
        message_identifier,
        token,
        sender: SenderDescription { company_id, application_id },
        assurance: Assurance { method, at },
        recipient,
        delegate: delegate
            .map(|(quality_code, _, company_id)| DelegateDescription { company_id, quality_code }),
        submitted_at,
        parts,
    })
}

/// Quality, scheme, number.
fn user(details: &mut Taker<'_>) -> Read<(String, String, String)> {
    let quality = attribute_value(details, 125)?;
    let (scheme, number) = identifier(details)?;
    Ok((quality, scheme, number))
}

fn attribute_value(details: &mut Taker<'_>, most: usize) -> Read<String> {
    use super::write::SAML_NAMESPACE;
    let mut identity = details.inside(ERDS_NAMESPACE, "Identity")?;
    let mut attribute = identity.inside(SAML_NAMESPACE, "Attribute")?;
    attribute.text(SAML_NAMESPACE, "AttributeValue", 1, most)
}

fn identifier(details: &mut Taker<'_>) -> Read<(String, String)> {
    let element = details.required("", "Identifier")?;
    let scheme = element.attribute(None, "IdentifierSchemeName").unwrap_or_default().into_owned();
    Ok((scheme, bounded(element, "Identifier", 1, 50)?))
}

/// The token and the parts; their titles and names stand among the particulars.
fn content(info: Element<'_>) -> Read<(Option<String>, Vec<FileDescription>)> {
    let mut info = Taker::of(info);
    let token = info.optional_text("", "AppLayerIdentifier", 50)?;
    info.required("", "ComposingParts")?;
    let mut list = info.inside(ERDS_NAMESPACE, "PartsInfo")?;
    let mut parts = Vec::new();
    while let Some(part) = list.optional(ERDS_NAMESPACE, "PartInfo") {
        if parts.len() >= PARTS_MAX {
            return Err(structure("at most 6 PartInfo", "more"));
        }
        let mut part = Taker::of(part);
        part.required("", "Identifier")?;
        let mime = Some(part.text("", "ContentType", 1, 127)?).filter(|mime| mime != ANY_BYTES);
        let method = part.required(DS, "DigestMethod")?.attribute(None, "Algorithm").unwrap_or_default();
        let digest_method = match DigestAlgorithm::from_xmldsig_uri(&method) {
            Some(DigestAlgorithm::Sha256) => FileDigestMethod::Sha256,
            Some(DigestAlgorithm::Sha512) => FileDigestMethod::Sha512,
            _ => return Err(unknown("DigestMethod", "SHA-256 or SHA-512")),
        };
        let digest_value = bytes(part.required(DS, "DigestValue")?, "DigestValue")?;
        if digest_value.len() != digest_method.length_bytes() {
            return Err(unknown("DigestValue", "base64 of the method's length"));
        }
        let nothing = String::new;
        parts.push(FileDescription {
            title: nothing(),
            digest_method,
            digest_value,
            download_file_name: nothing(),
            mime,
            document_type: nothing(),
            language: None,
        });
    }
    Ok((token, parts))
}

fn log_entries(log: Element<'_>) -> Read<(String, LogEntry, LogEntry)> {
    let mut log = Taker::of(log);
    let (origin, request) = log_entry(log.erds("TransactionLog")?, "Request")?;
    let event = match log.optional(ERDS_NAMESPACE, "TransactionLog") {
        Some(event) => log_entry(event, "Event")?.1,
        None => request,
    };
    Ok((origin, request, event))
}

fn log_entry(log: Element<'_>, name: &str) -> Read<(String, LogEntry)> {
    let mut entry = Taker::of(log).inside(PARTICULARS_NAMESPACE, name)?;
    let origin = entry.own("Origin", 1, 200)?;
    let index = entry.own("Index", 1, 20)?.parse().map_err(|_| unknown("Index", "a number"))?;
    Ok((origin, LogEntry { index, leaf_hash: entry.sha256("LeafHash")? }))
}

fn particulars(
    own: &mut Taker<'_>,
    event_uri: &str,
    request: &mut RequestDescription,
) -> Read<(Environment, Event)> {
    let environment = Environment::from_name(&own.own("Environment", 1, 10)?)
        .ok_or_else(|| unknown("Environment", "an environment's name"))?;
    own.optional(PARTICULARS_NAMESPACE, "NotProduction");
    own.required(PARTICULARS_NAMESPACE, "Statement")?;
    if request.parts.is_empty() {
        request.token = own.optional_text(PARTICULARS_NAMESPACE, "Token", 50)?;
    }
    for (index, part) in request.parts.iter_mut().enumerate() {
        let mut file = own.inside(PARTICULARS_NAMESPACE, "File")?;
        part.title = file.own("Title", 1, 400)?;
        part.download_file_name = file.own("DownloadFileName", 1, 80)?;
        part.document_type = file.own("Type", 1, 80)?;
        if index > 0 && part.document_type != ANNEX_TYPE {
            return Err(unknown("Type", ANNEX_TYPE));
        }
        part.language = file.optional_text(PARTICULARS_NAMESPACE, "Language", 2)?;
    }
    let event = event_uri.strip_prefix(EVENT_URI).unwrap_or_default();
    let event = match event {
        "SubmissionAcceptance" => Event::SubmissionAcceptance(acceptance(own)?),
        "SubmissionRejection" => Event::SubmissionRejection(Rejection {
            code: own.own("FaultCode", 1, 50)?,
            check: own.own("Check", 1, 100)?,
            detail: own.own("Detail", 1, 2000)?,
            remedy: own.own("Remedy", 0, 2000)?,
        }),
        _ => {
            let channel = channel(&own.own("Channel", 1, 50)?)?;
            of_channel(own, event, channel)?
        }
    };
    Ok((environment, event))
}

fn channel(name: &str) -> Read<ChannelName> {
    ChannelName::from_name(name).ok_or_else(|| unknown("Channel", "a channel"))
}

fn acceptance(own: &mut Taker<'_>) -> Read<Acceptance> {
    let soap_sha256 = own.sha256("MessageSha256")?;
    let message_certificate_sha256 = own.sha256("MessageCertificateSha256")?;
    let tls = own.optional(PARTICULARS_NAMESPACE, "TlsCertificateSha256");
    let tls_certificate_sha256 = tls.map(|element| sha256(element, "TlsCertificateSha256")).transpose()?;
    let mut checks = Vec::new();
    while let Some(check) = own.optional(PARTICULARS_NAMESPACE, "Check") {
        if checks.len() >= CHECKS_MAX {
            return Err(structure("at most 32 Check", "more"));
        }
        let mut check = Taker::of(check);
        checks.push(CheckDescription {
            name: check.own("Name", 1, 100)?,
            outcome: check.own("Outcome", 1, 500)?,
        });
    }
    Ok(Acceptance { soap_sha256, message_certificate_sha256, tls_certificate_sha256, checks })
}

fn of_channel(own: &mut Taker<'_>, event: &str, channel: ChannelName) -> Read<Event> {
    match event {
        "ContentConsignment" => Ok(Event::ContentConsignment(Consignment {
            channel,
            message_id: own.own("ChannelMessageId", 1, 1000)?,
            answer_sha256: own.sha256("AnswerSha256")?,
            no_digital_user: own.optional(PARTICULARS_NAMESPACE, "NoDigitalUser").is_some(),
        })),
        "ContentConsignmentFailure" => {
            let reason = own.own("Reason", 1, 500)?;
            let mut attempts = Vec::new();
            while let Some(attempt) = own.optional(PARTICULARS_NAMESPACE, "Attempt") {
                if attempts.len() >= ATTEMPTS_MAX {
                    return Err(structure("at most 1000 Attempt", "more"));
                }
                let mut attempt = Taker::of(attempt);
                let at = attempt.time(PARTICULARS_NAMESPACE, "At")?;
                attempts.push(Attempt { at, outcome: attempt.own("Outcome", 1, 500)? });
            }
            let next = own.optional_text(PARTICULARS_NAMESPACE, "NextChannel", 50)?;
            let next_channel = next.map(|name| self::channel(&name)).transpose()?;
            Ok(Event::ContentConsignmentFailure(ConsignmentFailure {
                channel,
                reason,
                attempts,
                next_channel,
            }))
        }
        "ContentAccessTracking" => {
            let polled = own.own("TimeIs", 1, 100)? == END_OF_WINDOW;
            let not_before =
                if polled { Some(own.time(PARTICULARS_NAMESPACE, "WindowBegin")?) } else { None };
            Ok(Event::ContentAccessTracking(Access { channel, not_before }))
        }
        "ContentHandover" => Ok(Event::ContentHandover(Handover {
            channel,
            certificate_sha256: own.sha256("TakerCertificateSha256")?,
            content_sha256: own.sha256("HandedOverSha256")?,
        })),
        "ContentHandoverFailure" => {
            let until = own.optional(PARTICULARS_NAMESPACE, "KeptUntil");
            let kept_until = until.map(|element| time(element, "KeptUntil")).transpose()?;
            Ok(Event::ContentHandoverFailure(Unopened { channel, kept_until }))
        }
        _ => Err(unknown("ERDSEventId", "the URI of an event that ePost attests")),
    }
}
