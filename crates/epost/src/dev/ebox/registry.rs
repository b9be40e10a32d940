//! What the stand-in keeps: publications, the keys they came under, and its count of everything.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use hyper::Response;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, error, json_answer};
use super::form::Form;
use super::{EboxRecipient, EboxSetup, message};

pub(super) struct Registry {
    recipients: HashMap<String, EboxRecipient>,
    conflict_names_message: bool,
    posts: u64,
    posts_without_key: u64,
    posts_by_key: BTreeMap<String, u64>,
    by_key: HashMap<String, usize>,
    publications: Vec<Publication>,
}

struct Publication {
    message_id: String,
    recipient: String,
    ebox_type: String,
    read_from: Option<Instant>,
    expires: String,
    /// As `GET /received` shows it.
    shown: Value,
    /// The same for every publication of one item, whatever its key.
    content: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case, reason = "the wire's own names")]
struct ProfileQuestion {
    eboxType: String,
    eboxIdType: String,
    eboxIdValueList: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case, reason = "the wire's own names")]
struct StatusQuestion {
    messageId: String,
    eboxId: EboxId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case, reason = "the wire's own names")]
struct EboxId {
    eboxType: String,
    eboxIdValue: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case, reason = "the wire's own names")]
struct ReadControl {
    /// Absent: every publication.
    messageId: Option<String>,
}

impl Registry {
    pub(super) fn new(setup: &EboxSetup) -> Self {
        let recipients =
            setup.recipients.iter().map(|known| (known.identifier.clone(), known.clone())).collect();
        Self {
            recipients,
            conflict_names_message: setup.conflict_names_message,
            posts: 0,
            posts_without_key: 0,
            posts_by_key: BTreeMap::new(),
            by_key: HashMap::new(),
            publications: Vec::new(),
        }
    }

    /// Counts a POST when its head arrives, whatever becomes of it.
    pub(super) fn count_post(&mut self, key_header: Option<&str>) {
        self.posts += 1;
        match key_header {
            Some(header) => *self.posts_by_key.entry(header.trim_matches('"').to_owned()).or_default() += 1,
            None => self.posts_without_key += 1,
        }
    }

    /// Takes one publication; the whole form is in. `fault` and `delay` change the outcome on purpose.
    pub(super) fn publish(
        &mut self,
        key_header: Option<&str>,
        form: Result<Form, String>,
        fault: &str,
        delay: Duration,
    ) -> Response<Answer> {
        let key = match key_header.map(key_of).transpose() {
            Ok(key) => key,
            Err(why) => return error(400, "INVALID_INPUT", why),
        };
        if let Some(first) = key.as_ref().and_then(|key| self.by_key.get(key)) {
            return self.conflict(Some(*first));
        }
        if fault == "conflict" {
            return self.conflict(None);
        }
        let form = match form {
            Ok(form) => form,
            Err(why) => return error(400, "INVALID_INPUT", &why),
        };
        let message = match message::judge(&form) {
            Ok(message) => message,
            Err((code, why)) => return error(400, code, &why),
        };
        let publication =
            Publication::new(key.as_deref(), &message, &form, (fault == "read-later").then_some(delay));
        let mut answer = json!({"messageId": publication.message_id, "expirationDate": publication.expires});
        let opened = self.recipients.get(&publication.recipient).is_some_and(|known| known.opened);
        if (fault == "no-digital-user" || !opened)
            && let Some(fields) = answer.as_object_mut()
        {
            fields.insert("code".into(), json!("NO_DIGITAL_USER"));
            fields.insert("message".into(), json!("the recipient never opened the e-Box"));
        }
        if let Some(key) = key {
            self.by_key.insert(key, self.publications.len());
        }
        self.publications.push(publication);
        json_answer(201, &answer)
    }

    fn conflict(&self, first: Option<usize>) -> Response<Answer> {
        let first =
            first.and_then(|index| self.publications.get(index)).filter(|_| self.conflict_names_message);
        match first {
            None => error(409, "CONFLICT", "this Idempotency-Key was used before"),
            Some(first) => {
                let id = uuid::Uuid::new_v4().to_string();
                let message = "this Idempotency-Key was used before";
                json_answer(
                    409,
                    &json!({"id": id, "code": "CONFLICT", "message": message, "messageId": first.message_id}),
                )
            }
        }
    }

    /// Read status of every asked publication that lies in the named box.
    pub(super) fn status(&self, body: &[u8]) -> Result<Value, String> {
        let asked: Vec<StatusQuestion> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let now = Instant::now();
        let found = asked.iter().filter_map(|question| {
            let publication = self.publications.iter().find(|publication| {
                publication.message_id == question.messageId
                    && publication.recipient == question.eboxId.eboxIdValue
                    && publication.ebox_type == question.eboxId.eboxType
            })?;
            Some(json!({
                "messageId": publication.message_id,
                "eboxId": {"eboxType": publication.ebox_type, "eboxIdValue": publication.recipient},
                "expirationDate": publication.expires,
                "readStatus": publication.read_from.is_some_and(|from| now >= from),
                "visible": true,
            }))
        });
        Ok(found.collect())
    }

    /// Preferences of those who have a box; the others are left out.
    pub(super) fn preferences(&self, body: &[u8]) -> Result<Value, String> {
        let (question, found) = self.profiles(body)?;
        let answer = found.into_iter().filter(|known| known.activated).map(|known| {
            json!({
                "eboxId": {"eboxType": question.eboxType, "eboxIdValue": known.identifier},
                "exclusivelyEbox": known.exclusively,
            })
        });
        Ok(answer.collect())
    }

    /// Consents of known citizens.
    pub(super) fn consents(&self, body: &[u8]) -> Result<Value, String> {
        let (question, found) = self.profiles(body)?;
        if question.eboxType != "CITIZEN" {
            return Err("consents are of citizens".into());
        }
        let answer = found.into_iter().map(|known| {
            json!({"eboxId": {"eboxType": "CITIZEN", "eboxIdValue": known.identifier}, "consented": known.activated})
        });
        Ok(answer.collect())
    }

    fn profiles(&self, body: &[u8]) -> Result<(ProfileQuestion, Vec<&EboxRecipient>), String> {
        let question: ProfileQuestion = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        match (question.eboxType.as_str(), question.eboxIdType.as_str()) {
            ("ENTERPRISE", "EnterpriseNumber") | ("CITIZEN", "SSIN") => {}
            _ => return Err("eboxType and eboxIdType: ENTERPRISE, EnterpriseNumber or CITIZEN, SSIN".into()),
        }
        let found = question
            .eboxIdValueList
            .iter()
            .filter_map(|identifier| self.recipients.get(identifier))
            .collect();
        Ok((question, found))
    }

    /// Control: the recipient opens the main content now.
    pub(super) fn mark_read(&mut self, body: &[u8]) -> Result<(), String> {
        let control: ReadControl = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let mut marked = 0;
        for publication in &mut self.publications {
            if control.messageId.as_ref().is_none_or(|wanted| *wanted == publication.message_id) {
                publication.read_from = Some(Instant::now());
                marked += 1;
            }
        }
        if marked == 0 { Err("no such publication".into()) } else { Ok(()) }
    }

    /// Control: everything counted. `keysPerItem` over 1 anywhere means that an item was published under two keys.
    pub(super) fn received(&self) -> Value {
        let mut keys_per_item: BTreeMap<&str, u64> = BTreeMap::new();
        for publication in &self.publications {
            *keys_per_item.entry(&publication.content).or_default() += 1;
        }
        json!({
            "posts": self.posts,
            "postsWithoutKey": self.posts_without_key,
            "postsByKey": self.posts_by_key,
            "items": self.publications.len(),
            "keysPerItem": keys_per_item,
            "publications": self.publications.iter().map(|publication| &publication.shown).collect::<Vec<_>>(),
        })
    }
}

impl Publication {
    fn new(key: Option<&str>, message: &message::Message, form: &Form, read_after: Option<Duration>) -> Self {
        let (ebox_type, recipient) = message.recipient.identifier().unwrap_or_default();
        let (_, sender) = message.sender.identifier().unwrap_or_default();
        let message_id = uuid::Uuid::new_v4().to_string();
        let now = Timestamp::now();
        let expires = now.checked_add(SignedDuration::from_hours(VALIDITY_HOURS)).unwrap_or(now);
        let expires = Timestamp::from_second(expires.as_second()).unwrap_or(expires).to_string();
        let files: Vec<_> = message
            .attachments
            .iter()
            .filter_map(|attachment| Some((attachment, form.files.get(&attachment.httpPartName)?)))
            .map(|(attachment, file)| {
                json!({
                    "name": attachment.httpPartName,
                    "main": attachment.isMainContent,
                    "fileName": percent_encoding::percent_decode_str(&file.file_name).decode_utf8_lossy(),
                    "contentType": file.content_type,
                    "bytes": file.bytes,
                    "sha256": base64_simd::URL_SAFE_NO_PAD.encode_to_string(file.sha256),
                })
            })
            .collect();
        let same = json!([sender, recipient, message.subject, files]).to_string();
        let shown = json!({
            "messageId": message_id,
            "key": key,
            "sender": sender,
            "senderApplicationId": message.senderApplicationId,
            "recipient": recipient,
            "eboxType": ebox_type,
            "subject": message.subject,
            "messageTypeId": message.messageTypeId,
            "registered": message.isRegisteredMail,
            "files": files,
            "receivedAt": now.to_string(),
        });
        Self {
            recipient: recipient.to_owned(),
            ebox_type: ebox_type.to_owned(),
            read_from: read_after.and_then(|after| Instant::now().checked_add(after)),
            content: base64_simd::URL_SAFE_NO_PAD.encode_to_string(openssl::sha::sha256(same.as_bytes())),
            message_id,
            expires,
            shown,
        }
    }
}

/// The header is an RFC 8941 String that holds a UUID.
fn key_of(header: &str) -> Result<String, &'static str> {
    let quoted = header.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let key = quoted.ok_or("Idempotency-Key: an RFC 8941 String, in quotes")?;
    match uuid::Uuid::parse_str(key) {
        Ok(_) => Ok(key.to_owned()),
        Err(_) => Err("Idempotency-Key: a UUID"),
    }
}

const VALIDITY_HOURS: i64 = 2 * 365 * 24;
