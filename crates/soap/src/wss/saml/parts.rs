//! What both versions are read with.

use super::{DS, form, instant, lone_certificate};
use erds::refusal::Refusal;
use jiff::Timestamp;
use pki::certificate::Certificate;
use xmlsec::Element;

/// Characters of an id, an issuer, a name, an audience.
const TEXT_BYTES_MAX: usize = 1024;

/// From when to when, where it is said.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    pub(super) not_before: Option<Timestamp>,
    pub(super) not_on_or_after: Option<Timestamp>,
}

pub(super) fn wrong(seen: &str, expected: &str) -> Refusal {
    form("wss.assertion.form", seen, expected)
}

/// Refuses text between the children, and attributes off the list.
pub(super) fn shape(element: Element<'_>, attributes: &[&str]) -> Result<(), Refusal> {
    if element.has_text_content() {
        return Err(wrong(&format!("text in {}", element.local_name()), "elements only"));
    }
    let stray = element
        .attributes()
        .find(|one| !one.namespace().is_empty() || !attributes.contains(&one.local_name()));
    match stray {
        Some(one) => {
            Err(wrong(&format!("{} of {}", one.local_name(), element.local_name()), "no such attribute"))
        }
        None => Ok(()),
    }
}

pub(super) fn attribute(element: Element<'_>, name: &str) -> Result<String, Refusal> {
    let value = element.attribute(None, name).unwrap_or_default();
    bounded(element, &value)
}

/// The whole text of an element, whatever comments stand in it; not empty.
pub(super) fn text(element: Element<'_>) -> Result<String, Refusal> {
    let text = element.text().map_err(|_| wrong(element.local_name(), "text alone"))?;
    bounded(element, text.trim())
}

fn bounded(element: Element<'_>, text: &str) -> Result<String, Refusal> {
    if text.is_empty() || text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(wrong(element.local_name(), "a value of 1 to 1024 bytes without control characters"));
    }
    Ok(text.to_owned())
}

/// `NotBefore` and `NotOnOrAfter`.
pub(super) fn window(element: Element<'_>) -> Result<Window, Refusal> {
    let at = |name: &'static str| {
        let text = element.attribute(None, name);
        let parsed = text.map(|text| instant(&text).map_err(|_| wrong(name, "an instant in UTC, with Z")));
        parsed.transpose()
    };
    Ok(Window { not_before: at("NotBefore")?, not_on_or_after: at("NotOnOrAfter")? })
}

/// The one child of that name.
pub(super) fn one<'d>(
    children: &[Element<'d>],
    namespace: &str,
    name: &'static str,
) -> Result<Element<'d>, Refusal> {
    let mut found = children.iter().filter(|child| child.is(namespace, name));
    match (found.next(), found.next()) {
        (Some(child), None) => Ok(*child),
        (None, _) => Err(wrong(&format!("no {name}"), "one")),
        (Some(_), Some(_)) => Err(wrong(&format!("two {name}"), "one")),
    }
}

pub(super) fn only<'d>(
    element: Element<'d>,
    namespace: &str,
    name: &'static str,
) -> Result<Element<'d>, Refusal> {
    let children: Vec<_> = element.children().collect();
    if children.len() > 1 {
        return Err(wrong(&format!("{} children of {}", children.len(), element.local_name()), name));
    }
    one(&children, namespace, name)
}

/// The certificate in a `ds:KeyInfo`: the one form of a confirmed key.
pub(super) fn confirmed(key_info: Element<'_>) -> Result<Certificate, Refusal> {
    shape(key_info, &["Id"])?;
    let data = only(key_info, DS, "X509Data")?;
    shape(data, &[])?;
    lone_certificate(only(data, DS, "X509Certificate")?)
}

/// The audiences of one restriction.
pub(super) fn audiences(restriction: Element<'_>, namespace: &str) -> Result<Vec<String>, Refusal> {
    shape(restriction, &[])?;
    restriction
        .children()
        .map(|child| {
            if child.is(namespace, "Audience") {
                text(child)
            } else {
                Err(wrong(child.local_name(), "Audience"))
            }
        })
        .collect()
}
