//! Does the recipient have the box that the sender demands (contract A's `CheckEboxStatus`)?

use bytes::Bytes;
use erds::{EboxCheck, FaultCode, Recipient, Refusal};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Ebox, answer_away, box_of, judged_away, wire};
use crate::{Away, Facts, InquireError};

/// `BYPASS` asks nobody; `ACTIVATED` wants the box found (enterprise) or consented to (citizen); `PREFERRED` also exclusive.
pub(super) async fn inquire(
    ebox: &Ebox,
    recipient: &Recipient,
    check: EboxCheck,
) -> Result<Facts, InquireError> {
    if check == EboxCheck::Bypass {
        return Ok(Facts { asked_at: None, activated: None, exclusively: None });
    }
    let facts = ask(ebox, recipient, check).await.map_err(InquireError::Away)?;
    if facts.activated != Some(true) {
        return Err(InquireError::Refused(Box::new(not_activated())));
    }
    if check == EboxCheck::Preferred && facts.exclusively != Some(true) {
        return Err(InquireError::Refused(Box::new(not_preferred())));
    }
    Ok(facts)
}

async fn ask(ebox: &Ebox, recipient: &Recipient, check: EboxCheck) -> Result<Facts, Away> {
    let asked_at = Some(ebox.ambient.now());
    let identifier = box_of(recipient);
    let (activated, exclusively) = match (recipient, check) {
        (Recipient::Citizen { .. }, EboxCheck::Preferred) => {
            let consented = consented(ebox, identifier).await?;
            // Without consent nothing else about the person is asked for.
            let exclusively = if consented { exclusively(ebox, CITIZEN, identifier).await? } else { None };
            (consented, exclusively)
        }
        (Recipient::Citizen { .. }, _) => (consented(ebox, identifier).await?, None),
        (Recipient::Enterprise { .. }, _) => {
            let exclusively = exclusively(ebox, ENTERPRISE, identifier).await?;
            (exclusively.is_some(), exclusively)
        }
    };
    Ok(Facts { asked_at, activated: Some(activated), exclusively })
}

/// `None`: no such box.
async fn exclusively(ebox: &Ebox, kind: Kind, identifier: &str) -> Result<Option<bool>, Away> {
    let found: Vec<wire::PreferenceAnswer> = search(ebox, wire::PREFERENCES_PATH, kind, identifier).await?;
    let own = found.into_iter().find(|preference| preference.ebox_id.ebox_id_value == identifier);
    Ok(own.map(|preference| preference.exclusively_ebox))
}

async fn consented(ebox: &Ebox, ssin: &str) -> Result<bool, Away> {
    let found: Vec<wire::ConsentAnswer> = search(ebox, wire::CONSENTS_PATH, CITIZEN, ssin).await?;
    Ok(found.iter().any(|consent| consent.ebox_id.ebox_id_value == ssin && consent.consented))
}

#[derive(Clone, Copy)]
struct Kind {
    ebox_type: &'static str,
    ebox_id_type: &'static str,
}

const ENTERPRISE: Kind = Kind { ebox_type: "ENTERPRISE", ebox_id_type: "EnterpriseNumber" };
const CITIZEN: Kind = Kind { ebox_type: "CITIZEN", ebox_id_type: "SSIN" };

async fn search<T: DeserializeOwned>(
    ebox: &Ebox,
    path: &str,
    kind: Kind,
    identifier: &str,
) -> Result<Vec<T>, Away> {
    let question = wire::ProfileQuestion {
        ebox_type: kind.ebox_type,
        ebox_id_type: kind.ebox_id_type,
        ebox_id_value_list: [identifier],
    };
    let answer = ebox
        .ask(&ebox.setup.profile_url, path, json(&question)?)
        .await
        .map_err(super::CallError::into_away)?;
    match answer.status {
        200 => serde_json::from_slice(&answer.body)
            .map_err(|_| judged_away("delivery.profile.answer", "not the JSON of a profile search".into())),
        // The published API names 404 "Ebox not found"; but only an answer in its own form is its own: a gateway's 404 is an outage.
        404 if is_own_error(&answer.body) => Ok(Vec::new()),
        _ => Err(answer_away("delivery.profile.status", &answer)),
    }
}

fn is_own_error(body: &[u8]) -> bool {
    serde_json::from_slice::<wire::ErrorAnswer>(body).is_ok_and(|error| error.code.is_some())
}

pub(super) fn json(value: &impl Serialize) -> Result<Bytes, Away> {
    match serde_json::to_vec(value) {
        Ok(bytes) => Ok(Bytes::from(bytes)),
        Err(error) => Err(judged_away("delivery.json", error.to_string())),
    }
}

fn not_activated() -> Refusal {
    Refusal {
        code: FaultCode::EpostB02,
        check: "delivery.ebox.not-activated",
        seen: "no activated eBox for this recipient".into(),
        expected: "an activated eBox, as CheckEboxStatus ACTIVATED or PREFERRED demands".into(),
        remedy:
            "send on paper, or send with CheckEboxStatus BYPASS to place the item in the eBox all the same"
                .into(),
    }
}

fn not_preferred() -> Refusal {
    Refusal {
        code: FaultCode::EpostB03,
        check: "delivery.ebox.not-preferred",
        seen: "the recipient did not choose the eBox as the only way".into(),
        expected: "the eBox as the recipient's only way, as CheckEboxStatus PREFERRED demands".into(),
        remedy: "send on paper, or send with CheckEboxStatus ACTIVATED or BYPASS".into(),
    }
}
