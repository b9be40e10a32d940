//! Reading elements in the schema's order.
//!
//! What was seen is told by place, name and length, never by content: content is personal.

use std::borrow::Cow;

use erds::{FaultCode, Refusal};
use xmlsec::Element;
use xmlsec::base64::Content;

use super::namespace::XSI;

/// How a message is told that it is not to the schema.
pub(super) const REMEDY: &str = "Generate the client from the WSDL (GET ?wsdl) and validate the request against its schemas before signing.";

/// One element whose children are taken in order; what is left over is an error.
pub(super) struct Cursor<'d> {
    element: Element<'d>,
    path: String,
    rest: std::vec::IntoIter<Element<'d>>,
    peeked: Option<Element<'d>>,
}

/// An attribute that this element may carry, beside the inert ones.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Allowed {
    /// None.
    Nothing,
    /// `xsi:type`.
    XsiType,
    /// One without prefix.
    Plain(&'static str),
}

/// Says that the schema is not followed.
pub(super) fn violation(check: &'static str, path: &str, seen: &str, expected: &str) -> Refusal {
    crate::refuse::refusal(FaultCode::Soa03006, check, &format!("{path}: {seen}"), expected, REMEDY)
}

impl<'d> Cursor<'d> {
    /// Opens an element that holds elements alone.
    pub(super) fn open(element: Element<'d>, path: String, allowed: Allowed) -> Result<Self, Refusal> {
        attributes(element, &path, allowed)?;
        if element.has_text_content() {
            return Err(violation("schema.text", &path, "text between elements", "elements alone"));
        }
        let children: Vec<Element<'d>> = element.children().collect();
        Ok(Self { element, path, rest: children.into_iter(), peeked: None })
    }

    /// The element itself.
    pub(super) fn element(&self) -> Element<'d> {
        self.element
    }

    /// Its path from the operation down.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The next child, if it has that name.
    pub(super) fn optional(&mut self, namespace: &str, local: &'static str) -> Option<(Element<'d>, String)> {
        let next = self.peeked.take().or_else(|| self.rest.next())?;
        if next.is(namespace, local) {
            return Some((next, format!("{}/{local}", self.path)));
        }
        self.peeked = Some(next);
        None
    }

    /// The next child, which must have that name.
    pub(super) fn required(
        &mut self,
        namespace: &str,
        local: &'static str,
    ) -> Result<(Element<'d>, String), Refusal> {
        if let Some(found) = self.optional(namespace, local) {
            return Ok(found);
        }
        let seen = match self.peeked {
            Some(next) => format!("the element {}", name(next)),
            None => "the end of the element".to_owned(),
        };
        Err(violation("schema.order", &self.path, &seen, &format!("the element {{{namespace}}}{local}")))
    }

    /// The text of the next child, which must have that name.
    pub(super) fn text(&mut self, namespace: &str, local: &'static str) -> Result<Text<'d>, Refusal> {
        let (element, path) = self.required(namespace, local)?;
        Text::of(element, path)
    }

    /// The text of the next child, if it has that name.
    pub(super) fn optional_text(
        &mut self,
        namespace: &str,
        local: &'static str,
    ) -> Result<Option<Text<'d>>, Refusal> {
        self.optional(namespace, local).map(|(element, path)| Text::of(element, path)).transpose()
    }

    /// Ends the element: nothing may be left.
    pub(super) fn end(mut self) -> Result<(), Refusal> {
        match self.peeked.take().or_else(|| self.rest.next()) {
            None => Ok(()),
            Some(next) => {
                let seen = format!("the element {}", name(next));
                Err(violation(
                    "schema.unexpected",
                    &self.path,
                    &seen,
                    "the end of the element here (mind order and number)",
                ))
            }
        }
    }
}

/// The name of an element, for a refusal; bounded by whoever writes it out.
fn name(element: Element<'_>) -> String {
    format!("{{{}}}{}", element.namespace(), element.local_name())
}

fn attributes(element: Element<'_>, path: &str, allowed: Allowed) -> Result<(), Refusal> {
    for attribute in element.attributes() {
        let fits = match (attribute.namespace(), attribute.local_name()) {
            (XSI, "schemaLocation" | "noNamespaceSchemaLocation") => true,
            (XSI, "type") => allowed == Allowed::XsiType,
            ("", local) => matches!(allowed, Allowed::Plain(name) if name == local),
            _ => false,
        };
        if !fits {
            return Err(unknown_attribute(path, attribute.namespace(), attribute.local_name()));
        }
    }
    Ok(())
}

fn unknown_attribute(path: &str, namespace: &str, local: &str) -> Refusal {
    violation("schema.attribute", path, &format!("the attribute {{{namespace}}}{local}"), "no such attribute")
}

/// The text of an element that holds text alone.
pub(super) struct Text<'d> {
    text: Cow<'d, str>,
    path: String,
}

impl<'d> Text<'d> {
    /// Opens an element that holds text alone.
    pub(super) fn of(element: Element<'d>, path: String) -> Result<Self, Refusal> {
        attributes(element, &path, Allowed::Nothing)?;
        match element.text() {
            Ok(text) => Ok(Self { text, path }),
            Err(_) => Err(violation("schema.text", &path, "an element inside", "text alone")),
        }
    }

    /// Reads an element of `xs:base64Binary`, with its digest; what was decoded before the message was read is not decoded again.
    pub(super) fn base64_of(element: Element<'d>, path: String) -> Result<Content, Refusal> {
        attributes(element, &path, Allowed::Nothing)?;
        match element.base64_content() {
            Some(content) => Ok(content),
            None => Ok(Content::of(Self::of(element, path)?.base64(0, usize::MAX)?)),
        }
    }

    /// As given: `xs:string` keeps white space.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Without the white space around it, for types that collapse it.
    pub(super) fn collapsed(&self) -> &str {
        self.text.trim_matches([' ', '\t', '\r', '\n'])
    }

    /// Its path from the operation down.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// What may be told of it: its length.
    pub(super) fn seen(&self) -> String {
        format!("{} characters", self.text.chars().count())
    }

    /// Checks its length in characters.
    pub(super) fn bounded(self, min: usize, max: usize) -> Result<String, Refusal> {
        let count = self.text.chars().count();
        if (min..=max).contains(&count) {
            return Ok(self.text.into_owned());
        }
        Err(violation("schema.length", &self.path, &self.seen(), &format!("{min} to {max} characters")))
    }

    /// Takes one of a list of words, exactly.
    pub(super) fn one_of<T>(&self, read: impl Fn(&str) -> Option<T>, expected: &str) -> Result<T, Refusal> {
        read(&self.text).ok_or_else(|| {
            violation(
                "schema.enumeration",
                &self.path,
                &format!("another value, of {}", self.seen()),
                expected,
            )
        })
    }

    /// Reads `xs:base64Binary`: white space is allowed, else strict.
    pub(super) fn base64(&self, min_bytes: usize, max_bytes: usize) -> Result<Vec<u8>, Refusal> {
        let bytes = xmlsec::base64::decode_text(&self.text).map_err(|_| {
            violation(
                "schema.base64",
                &self.path,
                &format!("{}, not base64", self.seen()),
                "canonical base64, padded",
            )
        })?;
        if (min_bytes..=max_bytes).contains(&bytes.len()) {
            return Ok(bytes);
        }
        let expected = format!("{min_bytes} to {max_bytes} bytes");
        Err(violation("schema.length", &self.path, &format!("{} bytes", bytes.len()), &expected))
    }
}
