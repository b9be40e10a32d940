//! Start and end tags, and namespaces, which they decide.
//!
//! Sources: XML 1.0 §3.1; Namespaces in XML 1.0 §3, §5, §6; Canonical XML 1.0 §1.3 (relative namespace names).

use super::uri::is_absolute;
use super::{Open, ReadError, Reader, Wrong};
use crate::chars::{is_ncname_start, is_space};
use crate::namespace;
use crate::near::{self, VALUE_END};
use crate::text::{self, Place};
use crate::tree::{
    AttributeData, Canonical, DeclarationData, ElementData, Interned, Kind, NameData, OwnData, Plain,
};

/// A name as written: where it begins, where its local part does, where it ends.
#[derive(Clone, Copy)]
struct Name {
    start: usize,
    local_start: usize,
    end: usize,
}

impl Name {
    /// The caller has seen that it is within its cap.
    #[inline(always)]
    fn lengths(self) -> NameData {
        NameData {
            local_offset: (self.local_start - self.start) as u16,
            bytes: (self.end - self.start) as u16,
        }
    }

    /// How long its prefix is; 0 if it has none.
    fn prefix_bytes(self) -> usize {
        (self.local_start - self.start).saturating_sub(1)
    }
}

impl Reader<'_> {
    #[inline]
    pub(super) fn start_tag(&mut self) -> Result<(), ReadError> {
        let start = self.at;
        if self.open.len() >= self.limits.depth_max {
            return Err(self.wrong(Wrong::Depth));
        }
        let name = self.name_at(start + 1, Wrong::Name)?;
        let attributes_start = self.tree.arena.attributes.len();
        let declarations_start = self.tree.arena.declarations.len();
        let bound_undo = self.bound_undo.len() as u32;
        let closed = self.tag_inside(name, attributes_start, declarations_start)?;
        let (prefix, uri) = self
            .resolve(name.start, name.prefix_bytes())
            .map_err(|kind| ReadError { kind, offset: name.start })?;
        let mut prefixes = Plain::bit(prefix);
        if self.tree.arena.attributes.len() > attributes_start {
            self.resolve_attributes(attributes_start, &mut prefixes)?;
        }
        let plain = Plain::begun(self.plain, prefixes);

        let parts = &mut *self.tree.arena;
        let element = parts.elements.len() as u32;
        let attributes_count = (parts.attributes.len() - attributes_start) as u16;
        let declarations_count = (parts.declarations.len() - declarations_start) as u16;
        let own = if attributes_count | declarations_count == 0 {
            OwnData::NONE
        } else {
            let own = parts.own.len() as u32;
            let (attributes_start, declarations_start) = (attributes_start as u32, declarations_start as u32);
            parts.own.push(OwnData {
                attributes_start,
                declarations_start,
                attributes_count,
                declarations_count,
            });
            own
        };
        parts.elements.push(ElementData {
            name: name.lengths(),
            content_start: self.at as u32,
            content_end: self.at as u32,
            own,
            prefix,
            uri: if prefix == 0 { self.bound.first().copied().unwrap_or(0) } else { uri },
            plain,
        });
        let node = self.push_node(Kind::Element(element), start)?;
        if closed {
            self.unbind(bound_undo);
            self.end_within_parent(plain);
        } else {
            let (name_start, name_end) = (name.start as u32, name.end as u32);
            self.open.push(Open { node, name_start, name_end, bound_undo, plain });
        }
        Ok(())
    }

    #[inline]
    pub(super) fn end_tag(&mut self) -> Result<(), ReadError> {
        let start = self.at;
        let Some(open) = self.open.pop() else { return Err(self.wrong(Wrong::EndTagStray)) };
        let name_start = start + 2;
        let written = self.bytes.get(name_start..).unwrap_or_default();
        let expected = self.bytes.get(open.name_start as usize..).unwrap_or_default();
        let expected_bytes = (open.name_end - open.name_start) as usize;
        if !near::begin_alike(written, expected, expected_bytes) {
            return Err(ReadError { kind: Wrong::EndTagMismatch, offset: start });
        }
        self.at = name_start + expected_bytes;
        if self.peek(0) == Some(b'>') {
            self.at += 1;
        } else {
            self.end_tag_rest(start)?;
        }
        self.end_element(open.node, start, open.plain);
        self.unbind(open.bound_undo);
        self.end_within_parent(open.plain);
        Ok(())
    }

    /// What stands between the name and `>`, in an end tag that begins at `start`.
    #[cold]
    fn end_tag_rest(&mut self, start: usize) -> Result<(), ReadError> {
        let name_end = self.at;
        let spaced = self.skip_space();
        if spaced {
            self.edit(name_end, self.at, Canonical::Nothing);
        }
        match self.peek(0) {
            Some(b'>') => self.at += 1,
            None => return Err(self.wrong(Wrong::TagUnterminated)),
            Some(_) if spaced => return Err(self.wrong(Wrong::Tag)),
            // The name goes on, or something that is no name follows: another element's, either way.
            Some(_) => return Err(ReadError { kind: Wrong::EndTagMismatch, offset: start }),
        }
        Ok(())
    }

    /// Notes where the content of an element ends, and the element itself: here.
    pub(super) fn end_element(&mut self, node: u32, content_end: usize, plain: Plain) {
        let after = self.tree.arena.nodes.len() as u32;
        if let Some(node) = self.tree.arena.nodes.get_mut(node as usize) {
            node.after = after;
            node.end = self.at as u32;
            if let Kind::Element(element) = node.kind()
                && let Some(element) = self.tree.arena.elements.get_mut(element as usize)
            {
                element.content_end = content_end as u32;
                element.plain = plain;
            }
        }
    }

    /// What an element that has ended makes of the one around it.
    #[inline(always)]
    fn end_within_parent(&mut self, plain: Plain) {
        if let Some(parent) = self.open.last_mut() {
            parent.plain = parent.plain.around(plain);
        }
    }

    /// Whether the attributes of the element being read stand in canonical order (Canonical XML 1.0 §2.2), none equal to another.
    #[inline(always)]
    fn in_order(&self, attributes_start: usize) -> bool {
        let attributes = self.tree.arena.attributes.get(attributes_start..).unwrap_or_default();
        attributes.iter().zip(attributes.iter().skip(1)).all(|(one, next)| match (one.uri, next.uri) {
            (uri, next_uri) if uri == next_uri => self.local_name(one) < self.local_name(next),
            (0, _) => true,
            (uri, next_uri) => self.tree.uris.at(uri) < self.tree.uris.at(next_uri),
        })
    }

    fn local_name(&self, attribute: &AttributeData) -> Option<&[u8]> {
        self.bytes.get(attribute.local_start() as usize..attribute.name_end() as usize)
    }

    /// Reads attributes and declarations up to and with `>` or `/>`, and tells which; notes whether all is `plain`, and the edits.
    #[inline(always)]
    fn tag_inside(
        &mut self,
        element: Name,
        attributes_start: usize,
        declarations_start: usize,
    ) -> Result<bool, ReadError> {
        // `xmlns:xml` counts as a declaration though none is kept of it.
        let mut declarations = 0;
        self.plain = true;
        self.at = element.end;
        loop {
            let before = self.at;
            let mut start = before;
            while self.bytes.get(start).is_some_and(|&byte| is_space(byte)) {
                start += 1;
            }
            match (self.bytes.get(start), self.bytes.get(start + 1)) {
                (Some(b'>'), _) => {
                    if start > before {
                        self.edit(before, start, Canonical::Nothing);
                    }
                    self.at = start + 1;
                    return Ok(false);
                }
                (Some(b'/'), Some(b'>')) => {
                    self.at = start + 2;
                    self.edit(
                        before,
                        self.at,
                        Canonical::EndTag(element.start as u32, element.lengths().bytes),
                    );
                    return Ok(true);
                }
                (None, _) | (Some(b'/'), None) => {
                    return Err(ReadError { kind: Wrong::TagUnterminated, offset: start });
                }
                _ => {}
            }
            let name = self.name_at(start, Wrong::Tag)?;
            if start == before {
                return Err(ReadError { kind: Wrong::AttributeSpace, offset: start });
            }
            let (value_start, value_end, verbatim) = match self.plain_value(name.end) {
                Some((value_start, value_end)) => (value_start, value_end, true),
                None => self.attribute_value(name.end)?,
            };
            self.at = value_end + 1;
            if start != before + 1 || self.bytes.get(before) != Some(&b' ') {
                self.edit(before, start, Canonical::Space);
            }
            self.plain &= value_start == name.end + 2;
            if !verbatim {
                self.edit(value_start - 1, value_end + 1, Canonical::Value);
            } else if self.bytes.get(value_end) == Some(&b'\'') {
                self.edit(value_start - 1, value_end + 1, Canonical::Quotes);
            }
            let total = self.tree.arena.attributes.len() + self.tree.arena.declarations.len();
            if total >= self.limits.attributes_total_max {
                return Err(ReadError { kind: Wrong::AttributesTotal, offset: start });
            }
            let first = if name.local_start == name.start { name.end } else { name.local_start - 1 };
            if self.bytes.get(start..first) == Some(b"xmlns") {
                declarations += 1;
                if declarations > self.limits.namespaces_max.min(usize::from(u16::MAX)) {
                    return Err(ReadError { kind: Wrong::Namespaces, offset: start });
                }
                let prefix = self.source.get(name.local_start.max(first)..name.end).unwrap_or_default();
                let value = self.source.get(value_start..value_end).unwrap_or_default();
                self.declare(prefix, value, start, declarations_start)?;
                self.plain = false;
                continue;
            }
            let own = self.tree.arena.attributes.len() - attributes_start;
            if own >= self.limits.attributes_max.min(usize::from(u16::MAX)) {
                return Err(ReadError { kind: Wrong::Attributes, offset: start });
            }
            let value = (value_start as u32, value_end as u32);
            let attribute = AttributeData::new(name.start as u32, name.lengths(), value, verbatim);
            self.tree.arena.attributes.push(attribute);
        }
    }

    /// Where the value stands, if `="value"` is at `at` and is canonical as it stands, quotes aside.
    #[inline(always)]
    fn plain_value(&self, at: usize) -> Option<(usize, usize)> {
        let [b'=', quote @ (b'"' | b'\''), ..] = *self.bytes.get(at..)? else { return None };
        let start = at + 2;
        let mut end = start;
        loop {
            let byte;
            (end, byte) = near::end::<VALUE_END>(self.bytes, end, usize::MAX)?;
            match byte {
                _ if byte == quote => break,
                b'\'' => end += 1,
                b'&' => end += text::canonical_escape_bytes(self.bytes.get(end..)?, Place::Attribute)?,
                _ => return None,
            }
        }
        (end - start <= self.limits.attribute_bytes_max).then_some((start, end))
    }

    /// Reads `= "value"` at `at`; gives where the value stands and whether it is canonical as it stands.
    fn attribute_value(&mut self, at: usize) -> Result<(usize, usize, bool), ReadError> {
        self.at = at;
        self.skip_space();
        if self.peek(0) != Some(b'=') {
            return Err(self.wrong(Wrong::AttributeEquals));
        }
        self.at += 1;
        self.skip_space();
        let quote = self.peek(0).filter(|quote| matches!(quote, b'"' | b'\''));
        let quote = quote.ok_or_else(|| self.wrong(Wrong::AttributeQuote))?;
        self.at += 1;
        let start = self.at;
        let length = memchr::memchr(quote, self.rest()).ok_or_else(|| self.wrong(Wrong::AttributeQuote))?;
        if length > self.limits.attribute_bytes_max {
            return Err(self.wrong(Wrong::AttributeBytes));
        }
        let value = self.source.get(start..start + length).unwrap_or_default();
        let verbatim = text::is_canonical(value, Place::Attribute);
        // What is canonical has no escape but those that decode.
        if !verbatim {
            text::decode(value, Place::Attribute, &mut |_| {})
                .map_err(|(kind, index)| ReadError { kind, offset: start + index })?;
        }
        Ok((start, start + length, verbatim))
    }

    /// Binds a prefix (empty: the default namespace) for the element being read.
    fn declare(
        &mut self,
        prefix: &str,
        value: &str,
        offset: usize,
        declarations_start: usize,
    ) -> Result<(), ReadError> {
        let wrong = |kind| Err(ReadError { kind, offset });
        let uri = text::decoded(value, Place::Attribute);
        if prefix == "xmlns" || uri == namespace::XMLNS || (prefix == "xml") != (uri == namespace::XML) {
            return wrong(Wrong::PrefixReserved);
        }
        if prefix == "xml" {
            return Ok(());
        }
        if uri.is_empty() && !prefix.is_empty() {
            return wrong(Wrong::PrefixUndeclared);
        }
        let distinct_max = self.limits.distinct_namespaces_max.min(usize::from(u16::MAX) - 1);
        let distinct = |table: &mut Interned, new: &str| {
            let room = table.len() < distinct_max;
            room.then(|| table.push(new)).ok_or(ReadError { kind: Wrong::DistinctNamespaces, offset })
        };
        let uri = match self.tree.uris.find(&uri) {
            Some(known) => known,
            None if !is_absolute(&uri) => return wrong(Wrong::NamespaceRelative),
            None => distinct(&mut self.tree.uris, &uri)?,
        };
        let prefix = match self.tree.prefixes.find(prefix) {
            Some(known) => known,
            None => distinct(&mut self.tree.prefixes, prefix)?,
        };
        self.bound.resize(self.tree.prefixes.len(), 0);
        let own = self.tree.arena.declarations.get(declarations_start..).unwrap_or_default();
        if own.iter().any(|before| before.prefix == prefix) {
            return wrong(Wrong::NamespaceDuplicate);
        }
        self.tree.arena.declarations.push(DeclarationData { prefix, uri });
        if let Some(bound) = self.bound.get_mut(usize::from(prefix)) {
            self.bound_undo.push((prefix, std::mem::replace(bound, uri)));
        }
        Ok(())
    }

    #[inline(always)]
    fn unbind(&mut self, mark: u32) {
        while self.bound_undo.len() > mark as usize {
            if let Some((prefix, before)) = self.bound_undo.pop()
                && let Some(bound) = self.bound.get_mut(usize::from(prefix))
            {
                *bound = before;
            }
        }
    }

    /// The prefix that stands at `start`, if any, and the namespace that it is bound to; none has the namespace 0.
    #[inline(always)]
    fn resolve(&mut self, start: usize, prefix_bytes: usize) -> Result<(u16, u16), Wrong> {
        if prefix_bytes == 0 {
            return Ok((0, 0));
        }
        let from = self.bytes.get(start..).unwrap_or_default();
        let prefix = match Interned::short_key(from, prefix_bytes) {
            // Most names have the prefix of the one before.
            Some(key) if key == self.prefix_before.0 => self.prefix_before.1,
            key => {
                let known = self.tree.prefixes.find_first(from, prefix_bytes);
                let reserved =
                    || if from.starts_with(b"xmlns:") { Wrong::PrefixReserved } else { Wrong::PrefixUnbound };
                let prefix = known.ok_or_else(reserved)?;
                self.prefix_before = (key.unwrap_or_default(), prefix);
                prefix
            }
        };
        match self.bound.get(usize::from(prefix)) {
            Some(&uri) if uri != 0 => Ok((prefix, uri)),
            _ => Err(Wrong::PrefixUnbound),
        }
    }

    /// Resolves the attributes of the element being read, once all its declarations are known; `plain` is over if they are not in order.
    ///
    /// To the `prefixes`, the bits of theirs are added; there are none any more if one has none.
    fn resolve_attributes(
        &mut self,
        attributes_start: usize,
        prefixes: &mut Option<u32>,
    ) -> Result<(), ReadError> {
        for index in attributes_start..self.tree.arena.attributes.len() {
            let Some(&AttributeData { name_start, name, .. }) = self.tree.arena.attributes.get(index) else {
                break;
            };
            // An attribute without prefix is in no namespace: it uses none.
            if name.local_offset == 0 {
                continue;
            }
            let offset = name_start as usize;
            let (prefix, uri) = self
                .resolve(offset, usize::from(name.local_offset) - 1)
                .map_err(|kind| ReadError { kind, offset })?;
            if let Some(attribute) = self.tree.arena.attributes.get_mut(index) {
                (attribute.prefix, attribute.uri) = (prefix, uri);
            }
            *prefixes = prefixes.and_then(|bits| Some(bits | Plain::bit(prefix)?));
        }
        // What is in order, each after the other, has nothing twice.
        if !self.in_order(attributes_start) {
            self.plain = false;
            self.refuse_duplicates(attributes_start)?;
        }
        Ok(())
    }

    fn refuse_duplicates(&mut self, attributes_start: usize) -> Result<(), ReadError> {
        let count = self.tree.arena.attributes.len() - attributes_start;
        if count <= PAIRWISE_MAX {
            return self.refuse_equal_pairs(attributes_start);
        }
        let attributes = &self.tree.arena.attributes;
        let source = self.source;
        let key = |index: &u32| {
            attributes.get(*index as usize).map(|attribute| {
                let local = source.get(attribute.local_start() as usize..attribute.name_end() as usize);
                (attribute.uri, local.unwrap_or_default(), attribute.name_start)
            })
        };
        self.sorted.clear();
        self.sorted.extend(attributes_start as u32..attributes.len() as u32);
        self.sorted.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
        for pair in self.sorted.windows(2) {
            if let [a, b] = pair
                && let (Some(a), Some(b)) = (key(a), key(b))
                && (a.0, a.1) == (b.0, b.1)
            {
                return Err(ReadError { kind: Wrong::AttributeDuplicate, offset: b.2 as usize });
            }
        }
        Ok(())
    }

    /// For the few attributes that elements have, comparing each with each is quicker than sorting.
    fn refuse_equal_pairs(&self, attributes_start: usize) -> Result<(), ReadError> {
        let mut own = self.tree.arena.attributes.get(attributes_start..).unwrap_or_default();
        let mut first: Option<u32> = None;
        while let [one, others @ ..] = own {
            for other in others {
                let alike = one.uri == other.uri
                    && one.name_end() - one.local_start() == other.name_end() - other.local_start();
                if alike && self.local_name(one) == self.local_name(other) {
                    first = Some(first.map_or(other.name_start, |before| before.min(other.name_start)));
                }
            }
            own = others;
        }
        match first {
            Some(offset) => Err(ReadError { kind: Wrong::AttributeDuplicate, offset: offset as usize }),
            None => Ok(()),
        }
    }

    /// The name at `at`; what is wrong is `none` if there is none.
    #[inline(always)]
    fn name_at(&mut self, start: usize, none: Wrong) -> Result<Name, ReadError> {
        match near::name(self.bytes, start) {
            Some((local_start, end)) if end - start <= self.name_bytes_max => {
                Ok(Name { start, local_start, end })
            }
            _ => {
                self.at = start;
                self.unusual_name(none)
            }
        }
    }

    /// Reads a name with letters beyond ASCII, or near the end, or says what is wrong: `none` if there is none.
    #[cold]
    fn unusual_name(&mut self, none: Wrong) -> Result<Name, ReadError> {
        let start = self.at;
        let name = self.name()?;
        let wrong = |kind| Err(ReadError { kind, offset: start });
        if name.is_empty() {
            return if self.at >= self.bytes.len() { wrong(Wrong::TagUnterminated) } else { wrong(none) };
        }
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        let two_parts = prefix.len() + local.len() < name.len();
        if local.is_empty() || (two_parts && prefix.is_empty()) || local.contains(':') {
            return wrong(Wrong::QualifiedName);
        }
        let begins = |part: &str| part.chars().next().is_some_and(is_ncname_start);
        if !begins(local) || (two_parts && !begins(prefix)) {
            return wrong(Wrong::Name);
        }
        Ok(Name { start, local_start: self.at - local.len(), end: self.at })
    }
}

/// Up to so many attributes are compared each with each.
const PAIRWISE_MAX: usize = 8;
