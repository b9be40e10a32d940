//! Publication: one item, one idempotency key, one verdict.

use std::io::Read;

use erds::{ChannelName, FaultCode, Language, QualityCode, Recipient, Refusal, Submission, Ticket};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pki::digest::{Digest, DigestAlgorithm, Hasher};
use uuid::Uuid;

use super::{
    CallError, Ebox, Setup, SubjectLanguage, address, answer_away, box_of, expiry, judged_away, one_line,
    profile, wire,
};
use crate::multipart::{Multipart, Part, PartContent};
use crate::transport::{Body, HttpRequest, HttpResponse, Method};
use crate::{Away, Consignment, ContentSource, Item, ItemPart, Outcome};

/// The idempotency key of an item on a channel: the same for every attempt, on every node, after every crash.
pub fn idempotency_key(ticket: &Ticket, channel: ChannelName) -> Uuid {
    Uuid::new_v5(&KEY_NAMESPACE, format!("{ticket}/{channel}").as_bytes())
}

pub(super) async fn publish(
    ebox: &Ebox,
    channel: ChannelName,
    item: &Item,
    content: &dyn ContentSource,
) -> Outcome {
    let answer = match prepare(ebox, item, content).await {
        Ok(message) => send(ebox, channel, item, content, message).await,
        Err(away) => Err(CallError::Ours(away)),
    };
    match answer {
        Ok(answer) => judge(ebox, &answer),
        Err(CallError::Unauthorised(away)) => Outcome::Unauthorised(away),
        Err(CallError::Away(away)) => Outcome::Retry(away),
        Err(CallError::Ours(away)) => Outcome::Ours(away),
    }
}

/// The JSON part. Digests that nobody knows are computed from the content, off the async threads.
async fn prepare(ebox: &Ebox, item: &Item, content: &dyn ContentSource) -> Result<bytes::Bytes, Away> {
    let mut attachments = Vec::with_capacity(item.parts.len());
    for (index, part) in item.parts.iter().enumerate() {
        let sha256 = match part.sha256 {
            Some(known) => known,
            None => hash(open(content, part)?).await?,
        };
        attachments.push(wire::Attachment {
            http_part_name: wire::file_part(index + 1),
            is_main_content: index == 0,
            is_attachment_signed: false,
            digest: wire::AttachmentDigest::sha256(&sha256),
        });
    }
    profile::json(&wire::MessageToPublish {
        recipient: match &item.recipient {
            Recipient::Citizen { .. } => wire::EboxOwner::Citizen { ssin: box_of(&item.recipient) },
            Recipient::Enterprise { .. } => {
                wire::EboxOwner::Enterprise { enterprise_number: box_of(&item.recipient) }
            }
        },
        sender: wire::EboxOwner::Enterprise { enterprise_number: item.sender_cbe.digits() },
        subject: subject(&ebox.setup, item),
        sender_application_id: item.sender_application.as_str(),
        message_type_id: message_type(&ebox.setup, &item.document_type),
        is_registered_mail: true,
        attachments,
        is_reply_authorized: false,
    })
}

async fn send(
    ebox: &Ebox,
    channel: ChannelName,
    item: &Item,
    content: &dyn ContentSource,
    message: bytes::Bytes,
) -> Result<HttpResponse, CallError> {
    let url = address(&ebox.setup.registry_url, wire::PUBLISH_PATH);
    let key = idempotency_key(&item.ticket, channel);
    ebox.call(|authorization| {
        let mut parts = vec![Part {
            name: wire::MESSAGE_PART.into(),
            file_name: None,
            content_type: "application/json".into(),
            content: PartContent::Bytes(message.clone()),
        }];
        for (index, part) in item.parts.iter().enumerate() {
            parts.push(Part {
                name: wire::file_part(index + 1),
                file_name: Some(file_name(&part.file_name)),
                content_type: part.mime.clone().unwrap_or_else(|| "application/octet-stream".into()),
                content: PartContent::Stream { bytes: part.bytes, reader: open(content, part)? },
            });
        }
        Ok(HttpRequest {
            method: Method::Post,
            url: url.clone(),
            headers: vec![
                ("accept", "application/json".into()),
                ("authorization", authorization),
                ("idempotency-key", format!("\"{key}\"")), // RFC 8941: a String is quoted
            ],
            body: Body::Multipart(Multipart::new(ebox.ambient.random16()?, parts)),
        })
    })
    .await
}

/// The outcome table of `spec/delivery.md`.
fn judge(ebox: &Ebox, answer: &HttpResponse) -> Outcome {
    let answer_digest = Digest::of(DigestAlgorithm::Sha256, &answer.body);
    let at = ebox.ambient.now();
    match answer.status {
        200 | 201 => match serde_json::from_slice::<wire::PublicationAnswer>(&answer.body) {
            Ok(published) if is_id(&published.message_id) => Outcome::Consigned(Consignment {
                expires_at: expiry(published.expiration_date.as_deref()),
                no_digital_user: published.code.as_deref() == Some(wire::NO_DIGITAL_USER),
                message_id: published.message_id,
                consigned_at: at,
                answer_digest,
            }),
            // Published, but under which id? As with a lost answer: no second publication, an operator looks.
            _ => Outcome::AlreadyPublished { message_id: None, answer_digest, at },
        },
        409 => {
            let told = serde_json::from_slice::<wire::ErrorAnswer>(&answer.body)
                .ok()
                .and_then(|error| error.message_id);
            Outcome::AlreadyPublished { message_id: told.filter(|id| is_id(id)), answer_digest, at }
        }
        400 => match serde_json::from_slice::<wire::ErrorAnswer>(&answer.body) {
            Ok(wire::ErrorAnswer { code: Some(code), message, .. }) => Outcome::Failed {
                code: one_line(&code),
                message: one_line(&message.unwrap_or_default()),
                answer_digest,
            },
            // Without the registry's code it is not the registry's verdict: some gateway on the way said it.
            _ => Outcome::Retry(answer_away("delivery.ebox.bare-400", answer)),
        },
        429 => Outcome::Retry(answer_away("delivery.ebox.too-many", answer)),
        500..=599 => Outcome::Retry(answer_away("delivery.ebox.away", answer)),
        // A wrong address, a gateway in the way: nothing about the item. The deadline ends it if nobody mends it.
        _ => Outcome::Retry(answer_away("delivery.ebox.unexpected", answer)),
    }
}

/// What goes into a sealed proof is an identifier, not whatever text came.
fn is_id(text: &str) -> bool {
    (1..=MESSAGE_ID_CHARACTERS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

pub(super) fn can_carry(
    setup: &Setup,
    channel: ChannelName,
    submission: &Submission,
    part_bytes: &[u64],
) -> Result<(), Refusal> {
    quality_fits(setup, channel, &submission.recipient)?;
    if submission.annexes.len() > ANNEXES_MAX {
        let seen = format!("{} annexes", submission.annexes.len());
        return Err(cannot(
            "annexes",
            seen,
            format!("at most {ANNEXES_MAX}"),
            "send fewer annexes, or put them into one file",
        ));
    }
    // The registry counts as Java does, in UTF-16 units.
    if submission.document.title.encode_utf16().count() > SUBJECT_UNITS_MAX {
        let expected = format!("a Title of at most {SUBJECT_UNITS_MAX} UTF-16 units");
        return Err(cannot("subject", "a longer Title".into(), expected, "shorten the Title"));
    }
    for name in
        std::iter::once(&submission.document).chain(&submission.annexes).map(|part| &part.download_file_name)
    {
        if file_name(name).len() > FILE_NAME_CHARACTERS_MAX {
            let expected = format!("at most {FILE_NAME_CHARACTERS_MAX} characters once percent-encoded");
            return Err(cannot(
                "file-name",
                "a longer DownloadFileName".into(),
                expected,
                "shorten the DownloadFileName",
            ));
        }
    }
    for (index, bytes) in part_bytes.iter().enumerate() {
        if *bytes > setup.attachment_bytes_max {
            let seen = format!("file {} of {bytes} bytes", index + 1);
            let expected = format!("at most {} bytes a file", setup.attachment_bytes_max);
            return Err(cannot("size", seen, expected, "send a smaller file"));
        }
    }
    Ok(())
}

fn quality_fits(setup: &Setup, channel: ChannelName, recipient: &Recipient) -> Result<(), Refusal> {
    let (own, quality): (bool, &QualityCode) = match (channel, recipient) {
        (ChannelName::EboxCitizen, Recipient::Citizen { quality, .. }) => (quality.is_citizen(), quality),
        (ChannelName::EboxEnterprise, Recipient::Enterprise { quality, .. }) => {
            (setup.enterprise_qualities.iter().any(|own| own == quality.as_str()), quality)
        }
        (_, Recipient::Citizen { quality, .. } | Recipient::Enterprise { quality, .. }) => (false, quality),
    };
    if own {
        return Ok(());
    }
    let seen = format!("QualityCode {}", one_line(quality.as_str()));
    let expected =
        format!("CITIZEN for a citizen; for an enterprise {}", setup.enterprise_qualities.join(", "));
    Err(cannot(
        "quality",
        seen,
        expected,
        "name the enterprise itself; the e-Box API has no field for a mandatary's quality",
    ))
}

fn cannot(what: &str, seen: String, expected: String, remedy: &str) -> Refusal {
    let check = match what {
        "annexes" => "delivery.ebox.annexes",
        "subject" => "delivery.ebox.subject",
        "file-name" => "delivery.ebox.file-name",
        "size" => "delivery.ebox.size",
        _ => "delivery.ebox.quality",
    };
    Refusal { code: FaultCode::EpostB09, check, seen, expected, remedy: remedy.into() }
}

fn subject<'a>(setup: &Setup, item: &'a Item) -> wire::Translated<'a> {
    let language = match item.language {
        Some(Language::Nl) => SubjectLanguage::Nl,
        Some(Language::Fr) => SubjectLanguage::Fr,
        Some(Language::De) => SubjectLanguage::De,
        // English, bilingual, none: the e-Box has no field for them.
        _ => setup.default_language,
    };
    match language {
        SubjectLanguage::Nl => wire::Translated::Nl(&item.title),
        SubjectLanguage::Fr => wire::Translated::Fr(&item.title),
        SubjectLanguage::De => wire::Translated::De(&item.title),
    }
}

fn message_type<'a>(setup: &'a Setup, document_type: &str) -> &'a str {
    setup.message_types.get(document_type).unwrap_or(&setup.default_message_type)
}

/// A plain name goes as it is. One with anything that a header or the registry's decoder could read otherwise goes as
/// `encodeURIComponent` would write it, as the registry's manual shows.
pub(super) fn file_name(given: &str) -> String {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\' | b'%' | b'/' | b';');
    if given.bytes().all(plain) {
        given.to_owned()
    } else {
        utf8_percent_encode(given, URI_COMPONENT).to_string()
    }
}

fn open(content: &dyn ContentSource, part: &ItemPart) -> Result<Box<dyn Read + Send>, Away> {
    content
        .open(&part.name)
        .map_err(|error| judged_away("delivery.content.open", one_line(&error.to_string())))
}

async fn hash(mut reader: Box<dyn Read + Send>) -> Result<[u8; 32], Away> {
    let hashing = tokio::task::spawn_blocking(move || {
        let mut hasher = Hasher::new(DigestAlgorithm::Sha256);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = reader.read(&mut buffer)?;
            match buffer.get(..read) {
                Some(chunk) if !chunk.is_empty() => hasher.update(chunk),
                _ => return std::io::Result::Ok(hasher.finish()),
            }
        }
    });
    let unreadable = |detail: String| judged_away("delivery.content.read", one_line(&detail));
    let digest = hashing.await.map_err(|error| unreadable(error.to_string()))?;
    let digest = digest.map_err(|error| unreadable(error.to_string()))?;
    digest.as_bytes().try_into().map_err(|_| unreadable("a SHA-256 of another length".into()))
}

/// Fixed for ever: another one would publish again what is published.
const KEY_NAMESPACE: Uuid = Uuid::from_u128(0x5c0f_6f4e_8a52_5d3b_9b1e_7d8f_2f4c_61a7);
const ANNEXES_MAX: usize = 5;
const SUBJECT_UNITS_MAX: usize = 400;
const FILE_NAME_CHARACTERS_MAX: usize = 255;
const MESSAGE_ID_CHARACTERS_MAX: usize = 200;
const URI_COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');
