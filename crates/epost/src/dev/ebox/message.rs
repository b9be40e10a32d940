//! The stand-in's own reading of `messageToPublish`: unknown fields, nulls and everything the field's manual forbids are refused.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::form::{File, Form};

/// An error of the registry: its code and words.
pub(super) type Invalid = (&'static str, String);

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    non_snake_case,
    dead_code,
    reason = "the wire's own names, each declared so that any other is refused"
)]
pub(super) struct Message {
    pub(super) recipient: Owner,
    pub(super) sender: Owner,
    pub(super) subject: BTreeMap<String, String>,
    pub(super) messageTypeId: String,
    pub(super) senderApplicationId: String,
    #[serde(default)]
    pub(super) isRegisteredMail: bool,
    pub(super) attachments: Vec<Attachment>,
    #[serde(default)]
    pub(super) isReplyAuthorized: bool,
    #[serde(default)]
    pub(super) expirationDate: Option<String>,
    #[serde(default)]
    pub(super) businessDataList: Option<Vec<Value>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case, dead_code, reason = "the wire's own names")]
pub(super) struct Owner {
    eboxType: String,
    #[serde(default)]
    enterpriseNumber: Option<String>,
    #[serde(default)]
    ssin: Option<String>,
    #[serde(default)]
    partition: Option<String>,
}

impl Owner {
    /// The kind of box and the identifier in it, or what is wrong.
    pub(super) fn identifier(&self) -> Result<(&str, &str), String> {
        let digits =
            |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
        match (self.eboxType.as_str(), &self.enterpriseNumber, &self.ssin) {
            ("enterprise", Some(number), None) if digits(number, 10) => Ok(("enterprise", number)),
            ("citizen", None, Some(ssin)) if digits(ssin, 11) => Ok(("citizen", ssin)),
            _ => {
                Err("eboxType enterprise with enterpriseNumber (10 digits), or citizen with ssin (11 digits)"
                    .into())
            }
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case, dead_code, reason = "the wire's own names")]
pub(super) struct Attachment {
    pub(super) httpPartName: String,
    pub(super) isMainContent: bool,
    #[serde(default)]
    pub(super) isAttachmentSigned: bool,
    #[serde(default)]
    pub(super) digest: Option<AttachmentDigest>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case, reason = "the wire's own names")]
pub(super) struct AttachmentDigest {
    pub(super) digestMethod: String,
    pub(super) digestValue: String,
}

/// Reads and judges one form.
pub(super) fn judge(form: &Form) -> Result<Message, Invalid> {
    let bytes = form.message.as_deref().ok_or_else(|| invalid("no part messageToPublish"))?;
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| invalid(format!("messageToPublish: {error}")))?;
    if holds_null(&value) {
        return Err(invalid("null values are not accepted"));
    }
    let message: Message =
        serde_json::from_value(value).map_err(|error| invalid(format!("messageToPublish: {error}")))?;
    message.recipient.identifier().map_err(|why| invalid(format!("recipient: {why}")))?;
    match message.sender.identifier() {
        Ok(("enterprise", _)) => {}
        Ok(_) => return Err(("INVALID_SENDER", "the sender is no enterprise".into())),
        Err(why) => return Err(("INVALID_SENDER", why)),
    }
    subject(&message)?;
    if message.messageTypeId.is_empty() || message.senderApplicationId.is_empty() {
        return Err(invalid("messageTypeId and senderApplicationId may not be empty"));
    }
    attachments(&message, &form.files)?;
    Ok(message)
}

fn subject(message: &Message) -> Result<(), Invalid> {
    let mut texts = message.subject.iter();
    match (texts.next(), texts.next()) {
        (Some((language, text)), None) if matches!(language.as_str(), "nl" | "fr" | "de") => {
            let units = text.encode_utf16().count();
            if (1..=400).contains(&units) { Ok(()) } else { Err(invalid("subject: 1 to 400 characters")) }
        }
        _ => Err(invalid("subject: exactly one of nl, fr, de")),
    }
}

fn attachments(message: &Message, files: &BTreeMap<String, File>) -> Result<(), Invalid> {
    let declared: BTreeSet<_> =
        message.attachments.iter().map(|attachment| attachment.httpPartName.as_str()).collect();
    let arrived: BTreeSet<_> = files.keys().map(String::as_str).collect();
    let allowed = (1..=6).map(|number| format!("upfile{number}")).collect::<Vec<_>>();
    if declared.len() != message.attachments.len() || declared != arrived {
        return Err(invalid("attachments and file parts are not the same"));
    }
    if declared.is_empty() || !declared.iter().all(|name| allowed.iter().any(|known| known == name)) {
        return Err(invalid("file parts are named upfile1 to upfile6, and one at least"));
    }
    if message.attachments.iter().filter(|attachment| attachment.isMainContent).count() != 1 {
        return Err(invalid("No main content attachment. Exactly one is expected"));
    }
    for attachment in &message.attachments {
        let Some(file) = files.get(&attachment.httpPartName) else { continue };
        let name = percent_encoding::percent_decode_str(&file.file_name).decode_utf8_lossy();
        if !(1..=255).contains(&name.chars().count()) {
            return Err(invalid("file name: 1 to 255 characters"));
        }
        if let Some(digest) = &attachment.digest {
            if digest.digestMethod != "sha_256" {
                return Err(invalid("digestMethod: sha_256"));
            }
            let stated = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(digest.digestValue.trim_end_matches('='));
            if stated.ok().as_deref() != Some(&file.sha256) {
                return Err((
                    "DIGEST_DO_NOT_MATCH",
                    format!("{} differs from its digest", attachment.httpPartName),
                ));
            }
        }
    }
    Ok(())
}

fn holds_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(holds_null),
        Value::Object(fields) => fields.values().any(holds_null),
        _ => false,
    }
}

fn invalid(why: impl Into<String>) -> Invalid {
    ("INVALID_INPUT", why.into())
}
