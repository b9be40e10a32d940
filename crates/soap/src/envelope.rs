//! The SOAP envelope: its version, header blocks, the one operation in its Body, and the one tree all is read from.
//!
//! Generated clients move every base64Binary out of the envelope, digests too, whatever the root part's type: such
//! `xop:Include` elements are replaced by the part's bytes as base64, and the expanded bytes are parsed once. That tree
//! is what is verified, read and dispatched. The tree as sent is kept to say why a signature over it is refused; in contract
//! B, where documents alone were moved out and their digests stand in it, such a signature is taken (`clients.md` 9).
//!
//! Sources: SOAP 1.1 §4, SOAP 1.2 part 1 §5, WS-I Basic Profile 1.1, XOP 1.0; `security.md` rows 3, 4, 64–68.

mod headers;
#[cfg(test)]
mod tests;
mod xop;

pub(crate) use headers::is_for_us;

use crate::multipart::RootMedia;
use crate::refuse::refusal;
use erds::refusal::{FaultCode, Refusal};
use xmlsec::signature::parse_ahead;
use xmlsec::{Document, Element, Node, NodeId};

/// The version of SOAP, as the Envelope's namespace states it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SoapVersion {
    /// SOAP 1.1.
    V11,
    /// SOAP 1.2.
    V12,
}

impl SoapVersion {
    /// The namespace of Envelope, Header, Body and Fault.
    pub fn namespace(self) -> &'static str {
        match self {
            Self::V11 => "http://schemas.xmlsoap.org/soap/envelope/",
            Self::V12 => "http://www.w3.org/2003/05/soap-envelope",
        }
    }

    /// The Content-Type of an answer without attachments.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::V11 => "text/xml; charset=utf-8",
            Self::V12 => "application/soap+xml; charset=utf-8",
        }
    }

    fn from_namespace(namespace: &str) -> Option<Self> {
        [Self::V11, Self::V12].into_iter().find(|version| version.namespace() == namespace)
    }
}

/// What an envelope may be, and may cost.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The caps on the XML, before and after expansion.
    pub xml: xmlsec::Limits,
    /// What the root part's Content-Type promised; `None` if nothing is known of it.
    pub media: Option<RootMedia>,
    /// Blocks in the Header.
    pub header_blocks_max: usize,
    /// `xop:Include` elements.
    pub includes_max: usize,
    /// Bytes of one part that an `xop:Include` names.
    pub include_bytes_max: usize,
    /// Whether the Body may hold a Fault: answers may, requests may not.
    pub fault: bool,
    /// Whether [`Envelope::root_sha256`] will be asked for: a large root is then hashed as it is read.
    pub root_digest: bool,
}

impl Rules {
    /// For reading answers.
    pub fn answer() -> Self {
        Self { fault: true, ..Self::default() }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            xml: xmlsec::Limits {
                document_bytes_max: 8 << 20,
                nodes_max: 200_000,
                ..xmlsec::Limits::default()
            },
            media: None,
            header_blocks_max: 32,
            includes_max: 32,
            include_bytes_max: 64 << 10,
            fault: false,
            root_digest: false,
        }
    }
}

/// A SOAP message: Header? and Body, no processing instructions, and one operation that is no Fault.
///
/// What could not be read has no Body, not an empty one (`security.md` rule 7):
/// ```
/// use soap::envelope::{Envelope, Rules};
/// fn body(root: Vec<u8>) -> Result<usize, erds::Refusal> {
///     Ok(Envelope::parse(root, &|_| None, &Rules::default())?.body().children().count())
/// }
/// ```
/// ```compile_fail,E0599
/// use soap::envelope::{Envelope, Rules};
/// fn body(root: Vec<u8>) -> Result<usize, erds::Refusal> {
///     Ok(Envelope::parse(root, &|_| None, &Rules::default()).body().children().count())
/// }
/// ```
#[derive(Debug)]
pub struct Envelope {
    tree: Tree,
    as_sent: Option<Tree>,
    contents_alone: bool,
    used_content_ids: Vec<String>,
}

/// One reading of the message.
#[derive(Debug)]
pub(crate) struct Tree {
    document: Document,
    version: SoapVersion,
    header: Option<NodeId>,
    body: NodeId,
    operation: NodeId,
}

impl Tree {
    pub(crate) fn document(&self) -> &Document {
        &self.document
    }

    pub(crate) fn version(&self) -> SoapVersion {
        self.version
    }

    pub(crate) fn header(&self) -> Option<Element<'_>> {
        self.document.element(self.header?)
    }

    pub(crate) fn body(&self) -> Element<'_> {
        self.document.element(self.body).unwrap_or(self.document.root())
    }

    pub(crate) fn operation(&self) -> Element<'_> {
        self.document.element(self.operation).unwrap_or(self.document.root())
    }
}

impl Envelope {
    /// Reads a root part.
    ///
    /// `part` gives the bytes of the part with exactly that Content-ID; it is asked for what an `xop:Include` names, as
    /// written after `cid:` and then percent-decoded, and for nothing else.
    ///
    /// # Errors
    /// The caller's: SOA-03001 (not XML, or beyond a limit), SOA-03002 (not SOAP, version, header blocks), SOA-03003 (no
    /// Body, or not exactly one element in it), SOA-03004 (`xop:Include` where or how it may not stand).
    pub fn parse(
        root: Vec<u8>,
        part: &dyn Fn(&str) -> Option<Vec<u8>>,
        rules: &Rules,
    ) -> Result<Self, Refusal> {
        let sent = tree(root, rules)?;
        match xop::expand(&sent.document, part, rules)? {
            None => {
                Ok(Self { tree: sent, as_sent: None, contents_alone: false, used_content_ids: Vec::new() })
            }
            Some(expanded) => Ok(Self {
                tree: tree(expanded.bytes, &Rules { root_digest: false, ..rules.clone() })?,
                as_sent: Some(sent),
                contents_alone: expanded.contents_alone,
                used_content_ids: expanded.content_ids,
            }),
        }
    }

    /// The version, by the Envelope's namespace.
    pub fn version(&self) -> SoapVersion {
        self.tree.version
    }

    /// The one tree: expanded, if anything was to be expanded.
    pub fn document(&self) -> &Document {
        &self.tree.document
    }

    /// SHA-256 of the root part as it came, before anything was expanded.
    pub fn root_sha256(&self) -> [u8; 32] {
        self.as_sent.as_ref().unwrap_or(&self.tree).document.source_sha256()
    }

    /// The Header, where there is one.
    pub fn header(&self) -> Option<Element<'_>> {
        self.tree.header()
    }

    /// The Body: the second of at most two children of the root, or the only one.
    pub fn body(&self) -> Element<'_> {
        self.tree.body()
    }

    /// The only element in the Body. Not yet authenticated: for dispatch and for what is told of a refusal.
    pub fn operation(&self) -> Element<'_> {
        self.tree.operation()
    }

    /// The Content-IDs of the parts that an `xop:Include` named; each was named once.
    pub fn used_content_ids(&self) -> &[String] {
        &self.used_content_ids
    }

    /// Refuses a SOAPAction (or a 1.2 `action` parameter) that names another operation than the Body holds; an absent or
    /// empty one says nothing (`security.md` row 55).
    ///
    /// # Errors
    /// SOA-03005: the caller's.
    pub fn check_action(&self, action: Option<&str>) -> Result<(), Refusal> {
        let action = action.unwrap_or_default().trim().trim_matches('"');
        let named = action.rsplit(['/', ':', '#']).next().unwrap_or_default();
        let plain = |name: &str| name.strip_suffix("Request").unwrap_or(name).to_ascii_lowercase();
        let operation = self.operation().local_name();
        let known = crate::message::Operation::ALL.map(|operation| plain(operation.as_str()));
        if known.contains(&plain(named)) && plain(named) != plain(operation) {
            return Err(refusal(
                FaultCode::Soa03005,
                "soap.action.differs",
                action,
                "no SOAPAction, an empty one, or the one of the operation in the Body",
                "Send the SOAPAction that the WSDL states for the operation.",
            ));
        }
        Ok(())
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    pub(crate) fn as_sent(&self) -> Option<&Tree> {
        self.as_sent.as_ref()
    }

    /// The tree as sent, where documents alone were moved out of it: their digests stand in it.
    pub(crate) fn with_contents_as_sent(&self) -> Option<&Tree> {
        self.as_sent.as_ref().filter(|_| self.contents_alone)
    }
}

fn tree(bytes: Vec<u8>, rules: &Rules) -> Result<Tree, Refusal> {
    // Its digest is asked for, as well as that of the Body around it.
    let is_content = |element: Element<'_>| element.is(xop::CONTENT.0, xop::CONTENT.1);
    let document = parse_ahead(bytes, &rules.xml, &is_content, rules.root_digest).map_err(|error| {
        refusal(
            FaultCode::Soa03001,
            error.code(),
            &error.to_string(),
            "well-formed XML 1.0 in UTF-8, without DTD, within the limits of the manual",
            "Correct the XML at that offset; send UTF-8 and no DOCTYPE.",
        )
    })?;
    if document.has_processing_instructions() {
        return Err(not_soap(
            "soap.processing-instruction",
            "a processing instruction",
            "none, as SOAP 1.1 §3 and SOAP 1.2 §5 demand",
        ));
    }
    let root = document.root();
    let version = version(root, rules.media)?;
    let (header, body) = sections(root, version)?;
    if let Some(header) = header {
        headers::check(header, version, rules.header_blocks_max)?;
    }
    let operation = operation(body, version, rules.fault)?;
    let (header, body, operation) = (header.map(Element::node_id), body.node_id(), operation.node_id());
    Ok(Tree { document, version, header, body, operation })
}

fn version(root: Element<'_>, media: Option<RootMedia>) -> Result<SoapVersion, Refusal> {
    if root.local_name() != "Envelope" {
        return Err(not_soap("soap.envelope.missing", root.local_name(), "a SOAP Envelope"));
    }
    let version = SoapVersion::from_namespace(root.namespace()).ok_or_else(|| {
        not_soap(
            "soap.version-mismatch",
            root.namespace(),
            "http://schemas.xmlsoap.org/soap/envelope/ or http://www.w3.org/2003/05/soap-envelope",
        )
    })?;
    match (media, version) {
        (Some(RootMedia::Soap11), SoapVersion::V12) | (Some(RootMedia::Soap12), SoapVersion::V11) => {
            Err(not_soap(
                "soap.content-type.differs",
                version.namespace(),
                "text/xml for SOAP 1.1, application/soap+xml for SOAP 1.2",
            ))
        }
        _ => Ok(version),
    }
}

/// Header? then Body, and nothing else: no element, no text, no other order.
fn sections(root: Element<'_>, version: SoapVersion) -> Result<(Option<Element<'_>>, Element<'_>), Refusal> {
    let namespace = version.namespace();
    no_stray_text(root)?;
    no_encoding_style(root, version)?;
    let mut children = root.children().peekable();
    let header = children.next_if(|child| child.is(namespace, "Header"));
    let body = children.next().filter(|child| child.is(namespace, "Body")).ok_or_else(|| {
        refusal(
            FaultCode::Soa03003,
            "soap.body.missing",
            "no Body as the Envelope's first child or right after its Header",
            "Envelope holding Header (optional) and Body",
            "Send exactly one Body.",
        )
    })?;
    if let Some(more) = children.next() {
        return Err(not_soap("soap.envelope.children", more.local_name(), "nothing after the Body"));
    }
    if let Some(header) = header {
        no_stray_text(header)?;
        no_encoding_style(header, version)?;
    }
    no_encoding_style(body, version)?;
    Ok((header, body))
}

fn operation(body: Element<'_>, version: SoapVersion, fault: bool) -> Result<Element<'_>, Refusal> {
    let not_one = |check, seen: &str| {
        refusal(
            FaultCode::Soa03003,
            check,
            seen,
            "exactly one element in the Body: the request's",
            "Send one operation a message, document/literal.",
        )
    };
    let mut children = body.children();
    let operation = children.next().ok_or_else(|| not_one("soap.body.empty", "an empty Body"))?;
    if children.next().is_some() || body.has_text_content() {
        return Err(not_one("soap.body.content", "more than one element, or text"));
    }
    if !fault && operation.is(version.namespace(), "Fault") {
        return Err(not_one("soap.body.fault", "a Fault"));
    }
    no_encoding_style(operation, version)?;
    Ok(operation)
}

fn no_stray_text(element: Element<'_>) -> Result<(), Refusal> {
    let text = element
        .nodes()
        .any(|node| matches!(node, Node::Text(text) if text.chars().any(|c| !" \t\r\n".contains(c))));
    if text {
        return Err(not_soap("soap.text", "text between the elements of SOAP", "elements only"));
    }
    Ok(())
}

fn no_encoding_style(element: Element<'_>, version: SoapVersion) -> Result<(), Refusal> {
    match element.attribute(Some(version.namespace()), "encodingStyle") {
        Some(style) if !style.is_empty() => {
            Err(not_soap("soap.encoding-style", &style, "document/literal: no encodingStyle"))
        }
        _ => Ok(()),
    }
}

fn not_soap(check: &'static str, seen: &str, expected: &str) -> Refusal {
    refusal(
        FaultCode::Soa03002,
        check,
        seen,
        expected,
        "Send a SOAP message as the WSDL on this address (?wsdl) describes it.",
    )
}
