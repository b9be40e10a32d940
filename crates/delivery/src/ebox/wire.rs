//! Every path and field name of the e-Box APIs, in one place: when the field's OpenAPI says otherwise, this file alone changes.
//!
//! Sources (public): documentation-site, *Becoming a Document Sender* for v3 (recipient, sender, `isMainContent`, `isAttachmentSigned`,
//! `isReplyAuthorized`, `isRegisteredMail`, `Idempotency-Key`); OpenAPI v2.1 for digests, answers, errors and `searchMessageStatus`;
//! OpenAPI `ebox-federation` 1.3 for preferences. Inferred, because no public text shows it: the digest's names under v3 (those of
//! v2.1), the names `CITIZEN` and `SSIN` in preferences, and the whole shape of the consent search (that of preferences).
//! Null is never written: what has no value has no field.

use serde::{Deserialize, Serialize};

/// Under the registry's address: publication, v3.
pub(super) const PUBLISH_PATH: &str = "/messageRegistry/v3/ebox/messages";
/// Under the registry's address: read status. The last public description is v2.1's.
pub(super) const STATUS_PATH: &str = "/messageRegistry/v2/searchMessageStatus";
/// Under the profile's address: enterprises' and citizens' preferences.
pub(super) const PREFERENCES_PATH: &str = "/eboxPreferences/search";
/// Under the profile's address: citizens' consents.
pub(super) const CONSENTS_PATH: &str = "/citizenEboxConsents/search";

/// The form field of the JSON.
pub(super) const MESSAGE_PART: &str = "messageToPublish";
/// The form field of the n-th file, from 1.
pub(super) fn file_part(number: usize) -> String {
    format!("upfile{number}")
}

/// The code of a publication whose recipient never opened his box.
pub(super) const NO_DIGITAL_USER: &str = "NO_DIGITAL_USER";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MessageToPublish<'a> {
    pub(super) recipient: EboxOwner<'a>,
    pub(super) sender: EboxOwner<'a>,
    pub(super) subject: Translated<'a>,
    pub(super) sender_application_id: &'a str,
    pub(super) message_type_id: &'a str,
    pub(super) is_registered_mail: bool,
    pub(super) attachments: Vec<Attachment>,
    pub(super) is_reply_authorized: bool,
}

#[derive(Serialize)]
#[serde(tag = "eboxType", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum EboxOwner<'a> {
    Enterprise { enterprise_number: &'a str },
    Citizen { ssin: &'a str },
}

/// One language only: the registry refuses several.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Translated<'a> {
    Nl(&'a str),
    Fr(&'a str),
    De(&'a str),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Attachment {
    pub(super) http_part_name: String,
    pub(super) is_main_content: bool,
    pub(super) is_attachment_signed: bool,
    pub(super) digest: AttachmentDigest,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AttachmentDigest {
    pub(super) digest_method: &'static str,
    pub(super) digest_value: String,
}

impl AttachmentDigest {
    /// base64url with padding: RFC 4648 §3.2 wants it wherever nothing else is said.
    pub(super) fn sha256(value: &[u8; 32]) -> Self {
        Self { digest_method: "sha_256", digest_value: base64_simd::URL_SAFE.encode_to_string(value) }
    }
}

/// 201. Unknown fields are let be: the registry may grow.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PublicationAnswer {
    pub(super) message_id: String,
    pub(super) expiration_date: Option<String>,
    pub(super) code: Option<String>,
}

/// 4xx, 5xx. A 409 may also name the first publication.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ErrorAnswer {
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
    pub(super) message_id: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatusQuestion<'a> {
    pub(super) message_id: &'a str,
    pub(super) ebox_id: EboxId<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EboxId<'a> {
    pub(super) ebox_type: &'static str,
    pub(super) ebox_id_value: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatusAnswer {
    pub(super) message_id: String,
    #[serde(default)]
    pub(super) read_status: bool,
    pub(super) expiration_date: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProfileQuestion<'a> {
    pub(super) ebox_type: &'static str,
    pub(super) ebox_id_type: &'static str,
    pub(super) ebox_id_value_list: [&'a str; 1],
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PreferenceAnswer {
    pub(super) ebox_id: AnsweredEboxId,
    pub(super) exclusively_ebox: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AnsweredEboxId {
    pub(super) ebox_id_value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConsentAnswer {
    pub(super) ebox_id: AnsweredEboxId,
    /// Absent: being listed is the consent.
    #[serde(default = "listed")]
    pub(super) consented: bool,
}

fn listed() -> bool {
    true
}

#[derive(Deserialize)]
pub(super) struct TokenAnswer {
    pub(super) access_token: String,
    pub(super) token_type: String,
    pub(super) expires_in: Option<u64>,
}
