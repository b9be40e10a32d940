//! What both proofs share as XML files: their beginning, and reading them as strictly as a schema.
//!
//! Source: `contract.md`, Time and limits (NOT PRODUCTION); XML Schema 1.0 Part 1 §3.8 (sequences).

use erds::Environment;
use xmlsec::write::Writer;
use xmlsec::{Document, Element, Limits, Node, ReadError};

/// Why a file is not the proof that it should be.
#[derive(Debug, thiserror::Error)]
pub enum ProofReadError {
    /// Not well-formed XML within the limits.
    #[error("not readable as XML: {0:?}")]
    Xml(ReadError),
    /// Another element, or none, where the schema wants this one.
    #[error("expected {expected}, found {found}")]
    Structure {
        /// The element or content that the schema prescribes.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// An element whose text the schema does not allow.
    #[error("{element} is not {expected}")]
    Value {
        /// The element's name.
        element: &'static str,
        /// What its text must be.
        expected: &'static str,
    },
    /// Comments or processing instructions where a proof has none, or a NOT PRODUCTION mark that is not ours.
    #[error("unexpected comment or processing instruction")]
    Markup,
    /// An evidence that is not written, byte for byte, as ePost writes one.
    #[error("not written as ePost writes it")]
    Form,
}

impl ProofReadError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Xml(_) => "proof.xml",
            Self::Structure { .. } => "proof.structure",
            Self::Value { .. } => "proof.value",
            Self::Markup => "proof.markup",
            Self::Form => "proof.form",
        }
    }
}

/// The comment at the top of a proof made outside production; `None` in production.
///
/// The published schema of Receipt.xml has no field for it. A comment is the one thing that every schema allows and
/// every reader shows; the seal covers it with the rest of the bytes.
pub(crate) fn not_production_mark(environment: Environment) -> Option<String> {
    (environment != Environment::Prd).then(|| format!("{MARK_START}{}{MARK_END}", environment.as_str()))
}

const MARK_START: &str = " NOT PRODUCTION (";
const MARK_END: &str = "): made for testing, without legal effect. ";

/// Begins a proof: declaration, mark, root element.
pub(crate) fn start_proof(environment: Environment, root: &'static str, namespace: &str) -> Writer {
    let mut writer = Writer::with_declaration();
    writer.raw("\n");
    if let Some(mark) = not_production_mark(environment) {
        writer.raw("<!--").raw(&mark).raw("-->\n");
    }
    writer.start(root).namespace("", namespace);
    writer
}

/// Reads a proof: its document and the environment that its mark names, production if it has none.
pub(crate) fn read_proof(xml: &[u8]) -> Result<(Document, Environment), ProofReadError> {
    let limits = Limits::default();
    let document = Document::parse(xml, &limits).map_err(ProofReadError::Xml)?;
    if document.has_processing_instructions() || document.root().has_comments() {
        return Err(ProofReadError::Markup);
    }
    let comments = document.nodes().filter_map(|node| match node {
        Node::Comment(text) => Some(text.into_owned()),
        _ => None,
    });
    let environment = match comments.collect::<Vec<_>>().as_slice() {
        [] => Environment::Prd,
        [mark] => mark
            .strip_prefix(MARK_START)
            .and_then(|rest| rest.strip_suffix(MARK_END))
            .and_then(Environment::from_name)
            .filter(|environment| *environment != Environment::Prd)
            .ok_or(ProofReadError::Markup)?,
        _ => return Err(ProofReadError::Markup),
    };
    Ok((document, environment))
}

/// Takes the children of one element in order, as an `xs:sequence` prescribes.
pub(crate) struct Sequence<'d> {
    namespace: &'static str,
    parent: Element<'d>,
    rest: Vec<Element<'d>>,
}

impl<'d> Sequence<'d> {
    /// The children, which must all be elements; `parent` may have no attribute but `allowed`.
    pub(crate) fn of(
        parent: Element<'d>,
        namespace: &'static str,
        allowed: Option<(&str, &str)>,
    ) -> Result<Self, ProofReadError> {
        let stray = parent.attributes().find(|a| Some((a.namespace(), a.local_name())) != allowed);
        if let Some(attribute) = stray {
            return Err(structure("no further attribute", attribute.local_name()));
        }
        if parent.has_text_content() {
            return Err(structure("elements only", "text"));
        }
        let mut rest: Vec<_> = parent.children().collect();
        rest.reverse();
        Ok(Self { namespace, parent, rest })
    }

    pub(crate) fn optional(&mut self, name: &str) -> Option<Element<'d>> {
        let found = self.rest.last().is_some_and(|next| next.is(self.namespace, name));
        if found { self.rest.pop() } else { None }
    }

    pub(crate) fn required(&mut self, name: &str) -> Result<Element<'d>, ProofReadError> {
        self.optional(name).ok_or_else(|| self.unexpected(name))
    }

    pub(crate) fn end(&self) -> Result<(), ProofReadError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.unexpected("nothing more")) }
    }

    fn unexpected(&self, expected: &str) -> ProofReadError {
        let parent = self.parent.local_name();
        let found = self.rest.last().map_or("the end", |element| element.local_name());
        structure(&format!("{expected} in {parent}"), found)
    }

    /// The text of a required child, which must satisfy `allowed`.
    pub(crate) fn text(
        &mut self,
        name: &'static str,
        expected: &'static str,
        allowed: impl Fn(&str) -> bool,
    ) -> Result<String, ProofReadError> {
        let element = self.required(name)?;
        plain_text(element, name, expected, allowed)
    }

    /// The same for a child that may be absent.
    pub(crate) fn optional_text(
        &mut self,
        name: &'static str,
        expected: &'static str,
        allowed: impl Fn(&str) -> bool,
    ) -> Result<Option<String>, ProofReadError> {
        self.optional(name).map(|element| plain_text(element, name, expected, allowed)).transpose()
    }
}

fn plain_text(
    element: Element<'_>,
    name: &'static str,
    expected: &'static str,
    allowed: impl Fn(&str) -> bool,
) -> Result<String, ProofReadError> {
    let text = element.text().map_err(|_| structure("text alone", "elements"))?;
    if element.attributes().len() != 0 || !allowed(&text) {
        return Err(ProofReadError::Value { element: name, expected });
    }
    Ok(text.into_owned())
}

pub(crate) fn structure(expected: &str, found: &str) -> ProofReadError {
    ProofReadError::Structure { expected: expected.to_owned(), found: found.to_owned() }
}

/// Whether the text has between `least` and `most` characters.
pub(crate) fn length_is(text: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&text.chars().count())
}
