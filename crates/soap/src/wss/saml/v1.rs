//! SAML 1.1 (Core §2.3, §2.4): the subject stands in every statement, and must be the same one.

use super::parts::{Window, attribute, audiences, confirmed, one, shape, text, window, wrong};
use super::{Assertion, DS, SAML_11, form};
use erds::refusal::Refusal;
use pki::certificate::Certificate;
use xmlsec::Element;

const HOLDER_OF_KEY: &str = "urn:oasis:names:tc:SAML:1.0:cm:holder-of-key";

pub(super) fn read(element: Element<'_>) -> Result<Assertion<'_>, Refusal> {
    shape(element, &["AssertionID", "MajorVersion", "MinorVersion", "Issuer", "IssueInstant"])?;
    if attribute(element, "MajorVersion")? != "1" || attribute(element, "MinorVersion")? != "1" {
        return Err(wrong("another version", "1.1"));
    }
    let children: Vec<_> = element.children().collect();
    let mut subject: Option<(String, Certificate)> = None;
    for child in &children {
        match child.local_name() {
            "Conditions" if child.namespace() == SAML_11 => {}
            "Signature" if child.namespace() == DS => {}
            "AuthenticationStatement" | "AttributeStatement" if child.namespace() == SAML_11 => {
                let parts: Vec<_> = child.children().collect();
                let found = self::subject(one(&parts, SAML_11, "Subject")?)?;
                if subject.as_ref().is_some_and(|(name, key)| *name != found.0 || key.der() != found.1.der())
                {
                    return Err(wrong("statements about several subjects", "one subject"));
                }
                subject = Some(found);
            }
            other => return Err(wrong(other, "Conditions, statements and Signature")),
        }
    }
    let (name, confirmed) = subject.ok_or_else(|| wrong("no statement", "one about the subject"))?;
    let conditions = one(&children, SAML_11, "Conditions")?;
    shape(conditions, &["NotBefore", "NotOnOrAfter"])?;
    let (mut restrictions, mut once) = (Vec::new(), false);
    for condition in conditions.children() {
        match condition.local_name() {
            "AudienceRestrictionCondition" if condition.namespace() == SAML_11 => {
                restrictions.push(audiences(condition, SAML_11)?);
            }
            "DoNotCacheCondition" if condition.namespace() == SAML_11 => once = true,
            other => {
                return Err(form(
                    "wss.assertion.condition",
                    other,
                    "AudienceRestrictionCondition, DoNotCacheCondition",
                ));
            }
        }
    }
    if restrictions.is_empty() {
        return Err(form(
            "wss.assertion.audience",
            "no AudienceRestrictionCondition",
            "one that names this service",
        ));
    }
    let valid = window(conditions)?;
    Ok(Assertion {
        element,
        id: attribute(element, "AssertionID")?,
        issuer: attribute(element, "Issuer")?,
        name,
        not_before: valid.not_before,
        not_on_or_after: valid
            .not_on_or_after
            .ok_or_else(|| wrong("no NotOnOrAfter", "Conditions that end"))?,
        audiences: restrictions,
        once,
        window: Window::default(),
        confirmed,
        signature: one(&children, DS, "Signature")?,
    })
}

fn subject(subject: Element<'_>) -> Result<(String, Certificate), Refusal> {
    shape(subject, &[])?;
    let parts: Vec<_> = subject.children().collect();
    if parts.len() != 2 {
        return Err(wrong("another Subject", "one NameIdentifier and one SubjectConfirmation"));
    }
    let confirmation = one(&parts, SAML_11, "SubjectConfirmation")?;
    shape(confirmation, &[])?;
    let inside: Vec<_> = confirmation.children().collect();
    let method = text(one(&inside, SAML_11, "ConfirmationMethod")?)?;
    if method != HOLDER_OF_KEY {
        return Err(form("wss.assertion.confirmation", &method, HOLDER_OF_KEY));
    }
    if inside.len() != 2 {
        return Err(wrong("another SubjectConfirmation", "ConfirmationMethod and ds:KeyInfo"));
    }
    Ok((text(one(&parts, SAML_11, "NameIdentifier")?)?, confirmed(one(&inside, DS, "KeyInfo")?)?))
}
