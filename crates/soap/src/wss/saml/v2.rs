//! SAML 2.0 (Core §2.3 to §2.5).

use super::parts::{attribute, audiences, confirmed, one, only, shape, text, window, wrong};
use super::{Assertion, DS, SAML_20, form};
use erds::refusal::Refusal;
use xmlsec::Element;

const HOLDER_OF_KEY: &str = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key";

pub(super) fn read(element: Element<'_>) -> Result<Assertion<'_>, Refusal> {
    shape(element, &["ID", "Version", "IssueInstant"])?;
    if attribute(element, "Version")? != "2.0" {
        return Err(wrong("another Version", "2.0"));
    }
    let children: Vec<_> = element.children().collect();
    let known = ["Issuer", "Subject", "Conditions", "AuthnStatement", "AttributeStatement"];
    for child in &children {
        let statement = child.namespace() == SAML_20 && known.contains(&child.local_name());
        if !statement && !child.is(DS, "Signature") {
            return Err(wrong(child.local_name(), "Issuer, Signature, Subject, Conditions and statements"));
        }
    }
    let subject = one(&children, SAML_20, "Subject")?;
    shape(subject, &[])?;
    let parts: Vec<_> = subject.children().collect();
    if parts.len() != 2 {
        return Err(wrong("another Subject", "one NameID and one SubjectConfirmation"));
    }
    let confirmation = one(&parts, SAML_20, "SubjectConfirmation")?;
    shape(confirmation, &["Method"])?;
    let method = attribute(confirmation, "Method")?;
    if method != HOLDER_OF_KEY {
        return Err(form("wss.assertion.confirmation", &method, HOLDER_OF_KEY));
    }
    let data = only(confirmation, SAML_20, "SubjectConfirmationData")?;
    // xsi:type says KeyInfoConfirmationDataType, or nothing.
    if data.has_text_content()
        || data.attributes().any(|one| matches!(one.local_name(), "Recipient" | "InResponseTo" | "Address"))
    {
        return Err(wrong(
            "a confirmation bound to something else than a key",
            "NotBefore, NotOnOrAfter and one ds:KeyInfo",
        ));
    }
    let conditions = one(&children, SAML_20, "Conditions")?;
    shape(conditions, &["NotBefore", "NotOnOrAfter"])?;
    let (mut restrictions, mut once) = (Vec::new(), false);
    for condition in conditions.children() {
        match condition.local_name() {
            "AudienceRestriction" if condition.namespace() == SAML_20 => {
                restrictions.push(audiences(condition, SAML_20)?);
            }
            "OneTimeUse" if condition.namespace() == SAML_20 => once = true,
            other => return Err(form("wss.assertion.condition", other, "AudienceRestriction, OneTimeUse")),
        }
    }
    if restrictions.is_empty() {
        return Err(form("wss.assertion.audience", "no AudienceRestriction", "one that names this service"));
    }
    let valid = window(conditions)?;
    Ok(Assertion {
        element,
        id: attribute(element, "ID")?,
        issuer: text(one(&children, SAML_20, "Issuer")?)?,
        name: text(one(&parts, SAML_20, "NameID")?)?,
        not_before: valid.not_before,
        not_on_or_after: valid
            .not_on_or_after
            .ok_or_else(|| wrong("no NotOnOrAfter", "Conditions that end"))?,
        audiences: restrictions,
        once,
        window: window(data)?,
        confirmed: confirmed(only(data, DS, "KeyInfo")?)?,
        signature: one(&children, DS, "Signature")?,
    })
}
