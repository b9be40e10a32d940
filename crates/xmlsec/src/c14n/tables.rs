//! What a walk notes on its way.

use std::cell::Cell;

use super::sink::BLOCK_BYTES;
use super::{Algorithm, Method};
use crate::Document;
use crate::tree::{AttributeData, ElementData, NodeData};

/// Tables by prefix, stacks and buffers. Their memory is that of a walk before, on this thread: a small signature has four short walks,
/// each of which would ask for it a dozen times. The reader's limits (depth, attributes of an element, length of a namespace name) bound
/// what is kept.
#[derive(Default)]
pub(super) struct Tables {
    /// The PrefixList, as far as the document knows its prefixes.
    pub(super) listed: Vec<u16>,
    /// By prefix: the namespace in scope.
    pub(super) scope: Vec<u16>,
    /// By prefix: whether that is known.
    pub(super) known: Vec<bool>,
    /// By prefix: the namespace that the output has in scope.
    pub(super) rendered: Vec<u16>,
    pub(super) scope_undo: Vec<(u16, u16)>,
    pub(super) rendered_undo: Vec<(u16, u16)>,
    pub(super) open: Vec<Frame>,
    /// Reused by each element: prefixes to render, attributes to sort.
    pub(super) to_render: Vec<u16>,
    pub(super) sorted: Vec<AttributeData>,
    /// The declaration that was written last, as siblings often have one and the same; and of which prefix and namespace it is.
    pub(super) declaration: Vec<u8>,
    /// How long it is; what follows is padding.
    pub(super) declaration_bytes: usize,
    pub(super) declared: Option<(u16, u16)>,
    /// For what is gathered of the output.
    pub(super) block: Vec<u8>,
}

/// An element whose end tag is still to be written.
pub(super) struct Frame {
    pub(super) after: u32,
    pub(super) name: (u32, u32),
    /// Where its end tag stands, if it has one.
    pub(super) end_tag: Option<(u32, u32)>,
    scope_undo: usize,
    rendered_undo: usize,
}

impl Frame {
    /// Of an element that begins.
    pub(super) fn of(data: NodeData, element: &ElementData, tables: &Tables) -> Self {
        Self {
            after: data.after,
            name: element.name_in(data),
            end_tag: (data.end > element.content_end).then_some((element.content_end, data.end)),
            scope_undo: tables.scope_undo.len(),
            rendered_undo: tables.rendered_undo.len(),
        }
    }
}

/// Numbers of [`crate::tree::Interned`] entries.
pub(super) const DEFAULT_PREFIX: u16 = 0;
pub(super) const XML_PREFIX: u16 = 1;
pub(super) const NO_URI: u16 = 0;

thread_local! {
    static SPARE: Cell<Option<Tables>> = const { Cell::new(None) };
}

impl Tables {
    /// As a walk over the document begins.
    pub(super) fn begun(document: &Document, method: &Method) -> Self {
        let mut tables = SPARE.take().unwrap_or_default();
        let Self { listed, scope, known, rendered, .. } = &mut tables;
        let prefixes = document.prefixes.len();
        scope.resize(prefixes, NO_URI);
        known.resize(prefixes, false);
        rendered.resize(prefixes, NO_URI);
        if method.algorithm == Algorithm::Exclusive {
            let named = method.prefixes.iter().map(|prefix| if prefix == "#default" { "" } else { prefix });
            let numbers = named.filter_map(|prefix| document.prefixes.find(prefix));
            listed.extend(numbers.filter(|&prefix| prefix != XML_PREFIX));
            listed.sort_unstable();
            listed.dedup();
        }
        tables.block.resize(BLOCK_BYTES, 0);
        tables
    }

    /// Keeps the memory for the next walk.
    pub(super) fn keep(mut self) {
        let Self { listed, scope, known, rendered, scope_undo, rendered_undo, open, .. } = &mut self;
        for table in [listed, scope, rendered] {
            table.clear();
        }
        for undo in [scope_undo, rendered_undo] {
            undo.clear();
        }
        known.clear();
        open.clear();
        self.declared = None;
        SPARE.set(Some(self));
    }

    /// Puts a declaration in scope.
    pub(super) fn declare(&mut self, prefix: u16, uri: u16) {
        set(&mut self.scope, &mut self.scope_undo, prefix, uri);
    }

    /// Notes that the output has a declaration.
    pub(super) fn render(&mut self, prefix: u16, uri: u16) {
        set(&mut self.rendered, &mut self.rendered_undo, prefix, uri);
    }

    /// As all was before the element.
    #[inline]
    pub(super) fn undo(&mut self, frame: &Frame) {
        undo(&mut self.scope, &mut self.scope_undo, frame.scope_undo);
        undo(&mut self.rendered, &mut self.rendered_undo, frame.rendered_undo);
    }
}

fn set(table: &mut [u16], undo: &mut Vec<(u16, u16)>, prefix: u16, uri: u16) {
    if let Some(slot) = table.get_mut(usize::from(prefix)) {
        undo.push((prefix, std::mem::replace(slot, uri)));
    }
}

fn undo(table: &mut [u16], undo: &mut Vec<(u16, u16)>, mark: usize) {
    while undo.len() > mark {
        if let Some((prefix, before)) = undo.pop()
            && let Some(slot) = table.get_mut(usize::from(prefix))
        {
            *slot = before;
        }
    }
}
