//! The walk over the arena, in document order, that writes the canonical form.
//!
//! Prefixes and namespace names are numbers here: "what is in scope" and "what the output already says" are two
//! arrays by prefix, each with a list of what to undo when an element ends. Depth costs a frame, never a call.

use super::attribute::{self, local_name};
use super::sink::{Blocks, SHORT_BYTES, Sink, attribute_escape, text_escape};
use super::tables::{DEFAULT_PREFIX, Frame, NO_URI, Tables, XML_PREFIX};
use super::{Algorithm, Method, base};
use crate::text::{self, Place};
use crate::tree::{AttributeData, Canonical, Edit, ElementData, Kind, NO_NODE, NodeData, instruction};
use crate::{Document, Element};

/// What becomes of the default namespace at the apex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DefaultAtApex {
    /// What the method says.
    AsIs,
    /// `xmlns=""` is written where no default namespace is in scope.
    WriteIfNone,
    /// It is written, empty or not.
    Write,
}

pub(super) fn subtree(
    element: Element<'_>,
    excluded: Option<Element<'_>>,
    method: &Method,
    default_at_apex: DefaultAtApex,
    sink: &mut impl Sink,
) {
    let mut walk = Walk::new(element.document, method, default_at_apex, sink);
    walk.excluded = excluded.filter(|&excluded| element.contains(excluded)).map(|excluded| excluded.node);
    walk.enter_scope_of(element);
    let before = element.source_range().start as u32;
    let edits = &element.document.arena.edits;
    walk.edits = edits.get(edits.partition_point(|edit| edit.start < before)..).unwrap_or_default().iter();
    walk.run(element.node, element.document.node(element.node).after);
    walk.end();
}

pub(super) fn document(
    document: &Document,
    excluded: Option<Element<'_>>,
    method: &Method,
    sink: &mut impl Sink,
) {
    let mut walk = Walk::new(document, method, DefaultAtApex::AsIs, sink);
    walk.excluded = excluded.map(|excluded| excluded.node);
    let mut node = 0;
    while (node as usize) < document.arena.nodes.len() {
        let data = document.node(node);
        let written = method.comments || data.kind() != Kind::Comment;
        if written && node > document.root {
            walk.out.put(b"\n");
        }
        walk.run(node, data.after);
        if written && node < document.root {
            walk.out.put(b"\n");
        }
        node = data.after.max(node + 1);
    }
    walk.end();
}

struct Walk<'d, 's, S> {
    document: &'d Document,
    algorithm: Algorithm,
    comments: bool,
    default_at_apex: DefaultAtApex,
    excluded: Option<u32>,
    out: Blocks<'d, 's, S>,
    /// The document's, from where the walk is.
    edits: std::slice::Iter<'d, Edit>,
    tables: Tables,
}

impl<'d, 's, S: Sink> Walk<'d, 's, S> {
    fn new(document: &'d Document, method: &Method, default_at_apex: DefaultAtApex, sink: &'s mut S) -> Self {
        let mut tables = Tables::begun(document, method);
        Self {
            document,
            algorithm: method.algorithm,
            comments: method.comments,
            default_at_apex,
            excluded: None,
            out: Blocks::new(sink, document.source(), std::mem::take(&mut tables.block)),
            edits: document.arena.edits.iter(),
            tables,
        }
    }

    fn end(mut self) {
        self.tables.block = self.out.end();
        self.tables.keep();
    }

    /// Puts the ancestors' declarations in scope, the nearest winning.
    fn enter_scope_of(&mut self, element: Element<'d>) {
        let Tables { scope, known, .. } = &mut self.tables;
        let mut ancestor = element.parent();
        while let Some(at) = ancestor {
            if let Some(data) = self.document.element_data(at.node) {
                for declaration in self.document.declarations_of(data) {
                    let prefix = usize::from(declaration.prefix);
                    if let (Some(known), Some(scope)) = (known.get_mut(prefix), scope.get_mut(prefix))
                        && !std::mem::replace(known, true)
                    {
                        *scope = declaration.uri;
                    }
                }
            }
            ancestor = at.parent();
        }
    }

    fn run(&mut self, first: u32, after: u32) {
        let mut node = first;
        while node < after {
            self.close_up_to(node);
            let data = self.document.node(node);
            if self.excluded == Some(node) {
                node = data.after.max(node + 1);
                continue;
            }
            match data.kind() {
                Kind::Element(element) => {
                    let Some(element) = self.document.arena.elements.get(element as usize) else { break };
                    if node != first && element.plain.tag() && self.is_plain_within(node, data, element) {
                        self.copy_edited(data.start, data.end);
                        node = data.after.max(node + 1);
                        continue;
                    }
                    let frame = Frame::of(data, element, &self.tables);
                    self.start((node, data), element, node == first, frame.end_tag.is_some());
                    if frame.end_tag.is_some() && self.is_plain_within(node, data, element) {
                        self.copy_edited(element.content_start, data.end);
                        self.tables.undo(&frame);
                        node = data.after.max(node + 1);
                        continue;
                    }
                    self.tables.open.push(frame);
                }
                Kind::Text { verbatim: true } => self.out.copy(data.start, data.end),
                Kind::Text { verbatim: false } => {
                    self.decoded(data.start, data.end, Place::Content, text_escape);
                }
                Kind::Comment if self.comments => {
                    self.out.put(b"<!--");
                    self.raw(self.document.slice(data.start + 4, data.end.saturating_sub(3)));
                    self.out.put(b"-->");
                }
                Kind::Comment => {}
                Kind::ProcessingInstruction => self.instruction(data),
            }
            node += 1;
        }
        self.close_up_to(after);
    }

    /// Ends every open element whose last descendant lies before `node`.
    fn close_up_to(&mut self, node: u32) {
        while let Some(frame) = self.tables.open.pop_if(|frame| frame.after <= node) {
            match frame.end_tag {
                // `</name>`, as written if nothing else is in it.
                Some((start, end)) if end - start == frame.name.1 - frame.name.0 + 3 => {
                    self.out.copy(start, end);
                }
                _ => self.out.put_around(b"</", frame.name, b">"),
            }
            self.tables.undo(&frame);
        }
    }

    /// Writes a start tag; `<name/>` has no end tag.
    fn start(&mut self, (node, data): (u32, NodeData), element: &ElementData, apex: bool, has_end_tag: bool) {
        let document = self.document;
        for declaration in document.declarations_of(element) {
            self.tables.declare(declaration.prefix, declaration.uri);
        }
        // With its `<`.
        let (_, name_end) = element.name_in(data);
        self.out.copy(data.start, name_end);
        self.namespaces(element, apex);
        let inherits = apex && self.algorithm != Algorithm::Exclusive && data.parent != NO_NODE;
        if element.plain.tag() && has_end_tag && !inherits {
            return self.copy_edited(name_end, element.content_start);
        }
        self.attributes(node, element, inherits);
        self.out.copy_or_put(element.content_start - 1, b">");
    }

    /// Whether what stands between the element's tags is canonical here but for edits.
    fn is_plain_within(&self, node: u32, data: NodeData, element: &ElementData) -> bool {
        if !element.plain.content()
            || self.excluded.is_some_and(|excluded| (node..data.after).contains(&excluded))
        {
            return false;
        }
        // Nothing in it declares a namespace, so what is rendered here is rendered all through it.
        let mut prefixes = element.plain.prefixes();
        while prefixes != 0 && self.algorithm == Algorithm::Exclusive {
            if !self.is_rendered(prefixes.trailing_zeros() as u16) {
                return false;
            }
            prefixes &= prefixes - 1;
        }
        self.tables.listed.iter().all(|&prefix| self.is_rendered(prefix))
    }

    /// Puts a piece of the source with its edits.
    fn copy_edited(&mut self, start: u32, end: u32) {
        let mut at = start;
        // The walk goes forward: what was passed before is behind for good.
        while let Some(&edit) = self.edits.as_slice().first().filter(|edit| edit.start < end) {
            self.edits.next();
            if edit.start < start {
                continue;
            }
            self.out.copy(at, edit.start);
            at = edit.end;
            match edit.canonical {
                Canonical::Nothing => {}
                Canonical::Space => self.out.put(b" "),
                Canonical::Quotes => self.out.put_around(b"\"", (edit.start + 1, edit.end - 1), b"\""),
                Canonical::EndTag(start, bytes) => {
                    self.out.put_around(b"></", (start, start + u32::from(bytes)), b">");
                }
                Canonical::Content => {
                    self.decoded(edit.start, edit.end, Place::Content, text_escape);
                }
                Canonical::Value => {
                    self.out.put(b"\"");
                    self.decoded(edit.start + 1, edit.end - 1, Place::Attribute, attribute_escape);
                    self.out.put(b"\"");
                }
            }
        }
        self.out.copy(at, end);
    }

    fn is_rendered(&self, prefix: u16) -> bool {
        is_rendered(&self.tables.scope, &self.tables.rendered, prefix)
    }

    fn namespaces(&mut self, element: &ElementData, apex: bool) {
        let document = self.document;
        let (scope, rendered) = (&self.tables.scope, &self.tables.rendered);
        let mut to_render = std::mem::take(&mut self.tables.to_render);
        to_render.clear();
        // Most names have the prefix of the one before.
        let mut used = |prefix: u16| {
            if !is_rendered(scope, rendered, prefix) && to_render.last() != Some(&prefix) {
                to_render.push(prefix);
            }
        };
        match self.algorithm {
            Algorithm::Exclusive => {
                used(element.prefix);
                let prefixed = document.attributes_of(element).iter().map(|attribute| attribute.prefix);
                // An attribute without prefix is in no namespace: it uses none.
                prefixed.filter(|&prefix| prefix != DEFAULT_PREFIX).for_each(&mut used);
                self.tables.listed.iter().for_each(|&prefix| used(prefix));
            }
            _ if apex => (0..scope.len() as u16).for_each(used),
            _ => document.declarations_of(element).iter().for_each(|own| used(own.prefix)),
        }
        let default = at(&self.tables.scope, DEFAULT_PREFIX);
        let default_forced = apex
            && match self.default_at_apex {
                DefaultAtApex::AsIs => false,
                DefaultAtApex::WriteIfNone => default == NO_URI,
                DefaultAtApex::Write => true,
            };
        if default_forced {
            to_render.push(DEFAULT_PREFIX);
        }
        if to_render.len() > 1 {
            to_render.sort_unstable_by(|&a, &b| document.prefixes.at(a).cmp(document.prefixes.at(b)));
            to_render.dedup();
        }
        to_render.iter().for_each(|&prefix| self.render(prefix));
        self.tables.to_render = to_render;
    }

    /// Writes the declaration of a prefix.
    fn render(&mut self, prefix: u16) {
        let uri = at(&self.tables.scope, prefix);
        self.tables.render(prefix, uri);
        if self.tables.declared != Some((prefix, uri)) {
            self.tables.declared = Some((prefix, uri));
            let declaration = &mut self.tables.declaration;
            declaration.clear();
            declaration.extend_from_slice(b" xmlns");
            if prefix != DEFAULT_PREFIX {
                declaration.push(b':');
                declaration.extend_from_slice(self.document.prefixes.at(prefix).as_bytes());
            }
            declaration.extend_from_slice(b"=\"");
            for &byte in self.document.uris.at(uri).as_bytes() {
                match attribute_escape(byte) {
                    Some(escaped) => declaration.extend_from_slice(escaped),
                    None => declaration.push(byte),
                }
            }
            declaration.push(b'"');
            self.tables.declaration_bytes = declaration.len();
            declaration.resize(declaration.len().max(SHORT_BYTES), 0);
        }
        self.out.put_first(&self.tables.declaration, self.tables.declaration_bytes);
    }

    fn attributes(&mut self, node: u32, element: &ElementData, inherits: bool) {
        let document = self.document;
        let own = document.attributes_of(element);
        if !inherits && attribute::in_order(document, own) {
            own.iter().for_each(|attribute| attribute::write(&mut self.out, document, attribute));
            return;
        }
        self.tables.sorted.clear();
        self.tables.sorted.extend_from_slice(own);
        let base = if inherits { self.inherit(node) } else { None };
        self.tables.sorted.sort_by(|a, b| attribute::order(document, a, b));
        let mut base_due = base.is_some();
        for attribute in &self.tables.sorted {
            // The joined xml:base stands where its name sorts: first of its namespace.
            if base_due && attribute::sorts_after_base(document, attribute) {
                base_due = false;
                attribute::write_base(&mut self.out, base.as_deref());
            }
            attribute::write(&mut self.out, document, attribute);
        }
        if base_due {
            attribute::write_base(&mut self.out, base.as_deref());
        }
    }

    /// Adds the `xml:` attributes that the apex inherits from ancestors outside the subset to `sorted`.
    ///
    /// Canonical XML 1.0 §2.4 takes all of them; 1.1 §2.4 takes `lang` and `space`, never `id`, and joins `base`:
    /// then the joined value is the answer, and no `xml:base` stays in `sorted`.
    fn inherit(&mut self, apex: u32) -> Option<String> {
        let document = self.document;
        let own_count = self.tables.sorted.len();
        let mut bases: Vec<AttributeData> = Vec::new();
        let mut node = document.node(apex).parent;
        while let Some(element) = document.element_data(node) {
            for attribute in document.attributes_of(element).iter().filter(|a| a.prefix == XML_PREFIX) {
                let name = local_name(document, attribute);
                let inherited = match self.algorithm {
                    Algorithm::Inclusive11 if name == "base" => {
                        bases.push(*attribute);
                        false
                    }
                    Algorithm::Inclusive11 => matches!(name, "lang" | "space"),
                    _ => true,
                };
                let known = |a: &AttributeData| a.prefix == XML_PREFIX && local_name(document, a) == name;
                if inherited && !self.tables.sorted.iter().any(known) {
                    self.tables.sorted.push(*attribute);
                }
            }
            node = document.node(node).parent;
        }
        if bases.is_empty() {
            return None;
        }
        let is_base = |a: &AttributeData| a.prefix == XML_PREFIX && local_name(document, a) == "base";
        let own = self.tables.sorted.iter().take(own_count).position(is_base);
        let own = own.map(|index| self.tables.sorted.remove(index));
        let value =
            |a: &AttributeData| text::decoded(document.slice(a.value_start, a.value_end()), Place::Attribute);
        // Canonical XML 1.1 §2.4: the innermost with the one around it, the result with the next; one alone stays as it is.
        let mut values = own.as_ref().into_iter().chain(&bases).map(value);
        let mut joined = values.next()?.into_owned();
        for outer in values {
            joined = base::join(&outer, &joined);
        }
        Some(joined)
    }

    fn decoded(&mut self, start: u32, end: u32, place: Place, escape_of: fn(u8) -> Option<&'static [u8]>) {
        let source = self.document.slice(start, end);
        let out = &mut self.out;
        // The reader has decoded this very slice before.
        let _proved = text::decode(source, place, &mut |piece| out.put_escaped(piece, escape_of));
    }

    fn instruction(&mut self, data: NodeData) {
        let (target, rest) = instruction(self.document.slice(data.start + 2, data.end.saturating_sub(2)));
        self.out.put(b"<?");
        self.out.put(target.as_bytes());
        if !rest.is_empty() {
            self.out.put(b" ");
            self.raw(rest);
        }
        self.out.put(b"?>");
    }

    fn raw(&mut self, source: &str) {
        let out = &mut self.out;
        let _proved = text::decode(source, Place::Raw, &mut |piece| out.put(piece.as_bytes()));
    }
}

fn is_rendered(scope: &[u16], rendered: &[u16], prefix: u16) -> bool {
    prefix == XML_PREFIX || at(scope, prefix) == at(rendered, prefix)
}

fn at(table: &[u16], prefix: u16) -> u16 {
    table.get(usize::from(prefix)).copied().unwrap_or(NO_URI)
}
