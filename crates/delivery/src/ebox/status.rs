//! Was it read? A boolean, asked for by poll: the time of reading is known only as the window between two polls.

use erds::Recipient;

use super::{CallError, Ebox, answer_away, box_of, expiry, judged_away, profile, wire};
use crate::{PollError, Published, ReadStatus};

pub(super) async fn poll_read(ebox: &Ebox, asked: &[Published]) -> Result<Vec<ReadStatus>, PollError> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let question: Vec<_> = asked.iter().map(question).collect();
    let question = profile::json(&question).map_err(PollError)?;
    let answer = ebox.ask(&ebox.setup.registry_url, wire::STATUS_PATH, question).await;
    let answer = answer.map_err(CallError::into_away).map_err(PollError)?;
    // The OpenAPI says 201 for this search; a server that says 200 means the same.
    if !matches!(answer.status, 200 | 201) {
        return Err(PollError(answer_away("delivery.poll.status", &answer)));
    }
    let found: Vec<wire::StatusAnswer> = serde_json::from_slice(&answer.body).map_err(|_| {
        PollError(judged_away("delivery.poll.answer", "not the JSON of a status search".into()))
    })?;
    let asked_at = ebox.ambient.now();
    Ok(found
        .into_iter()
        .filter(|status| asked.iter().any(|published| published.message_id == status.message_id))
        .map(|status| ReadStatus {
            expires_at: expiry(status.expiration_date.as_deref()),
            message_id: status.message_id,
            read: status.read_status,
            asked_at,
        })
        .collect())
}

fn question(published: &Published) -> wire::StatusQuestion<'_> {
    let ebox_type = match published.recipient {
        Recipient::Citizen { .. } => "citizen",
        Recipient::Enterprise { .. } => "enterprise",
    };
    let ebox_id = wire::EboxId { ebox_type, ebox_id_value: box_of(&published.recipient) };
    wire::StatusQuestion { message_id: &published.message_id, ebox_id }
}
