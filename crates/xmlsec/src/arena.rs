//! The memory of trees, kept from one document to the next.
//!
//! Asking the system for it anew, page by page, costs a large document of much markup up to two fifths of its time: the pages that a
//! process has not touched before are made and emptied for it one at a time.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use crate::Limits;
use crate::tree::{AttributeData, DeclarationData, Edit, ElementData, NodeData, OwnData};

/// What a document has thousands of; numbers alone, nothing of what it says.
#[derive(Default)]
pub(crate) struct Parts {
    pub(crate) nodes: Vec<NodeData>,
    pub(crate) elements: Vec<ElementData>,
    pub(crate) own: Vec<OwnData>,
    pub(crate) attributes: Vec<AttributeData>,
    pub(crate) declarations: Vec<DeclarationData>,
    /// In the order of their places.
    pub(crate) edits: Vec<Edit>,
}

/// The parts of one document, in the memory of a document before. What is small stays with its thread, near its processor; what is large
/// lies in the one place that the process has for it, so that the number of threads does not multiply it.
pub(crate) struct Arena {
    parts: Parts,
    kept_bytes_max: usize,
}

thread_local! {
    static SMALL: Cell<Option<Parts>> = const { Cell::new(None) };
}

static LARGE: Kept = Kept(Mutex::new(None));

/// A thread keeps no more than this. Within the default limits nothing that has [`SMALL_TAGS_MAX`] needs more.
const SMALL_BYTES_MAX: usize = 2 << 20;
const SMALL_TAGS_MAX: usize = 1 << 10;

impl Arena {
    /// Empty, with room for a document of so many tags.
    pub(crate) fn with_room(tags: usize, limits: &Limits) -> Self {
        let large = if tags > SMALL_TAGS_MAX { LARGE.take() } else { None };
        let mut parts = large.or_else(|| SMALL.take()).unwrap_or_default();
        // Half the tags begin elements, with an attribute each, and half have text before them, mostly; what has more grows.
        let tags = tags.min(limits.nodes_max);
        let elements = tags / 2 + 1;
        parts.nodes.reserve_exact(tags + 1);
        parts.elements.reserve_exact(elements);
        parts.own.reserve_exact(elements);
        parts.attributes.reserve_exact(elements);
        Self { parts, kept_bytes_max: limits.kept_bytes_max }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let parts = std::mem::take(&mut self.parts).emptied();
        if parts.bytes() <= SMALL_BYTES_MAX {
            // A thread that ends has no place any more.
            let _ = SMALL.try_with(|small| small.set(Some(parts)));
        } else {
            LARGE.put(parts, self.kept_bytes_max);
        }
    }
}

/// A place for the parts of one document.
struct Kept(Mutex<Option<Parts>>);

impl Kept {
    fn take(&self) -> Option<Parts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Of two documents at once, the larger one's are kept; what is larger than `bytes_max` goes back to the system.
    fn put(&self, parts: Parts, bytes_max: usize) {
        if parts.bytes() > bytes_max {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let smaller = match kept.as_ref() {
            Some(before) if before.bytes() >= parts.bytes() => Some(parts),
            _ => kept.replace(parts),
        };
        drop(kept);
        // Giving it back takes the system a while.
        drop(smaller);
    }
}

impl Parts {
    /// Without what is in them, but with its room.
    fn emptied(mut self) -> Self {
        let Self { nodes, elements, own, attributes, declarations, edits } = &mut self;
        nodes.clear();
        elements.clear();
        own.clear();
        attributes.clear();
        declarations.clear();
        edits.clear();
        self
    }

    fn bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<NodeData>()
            + self.elements.capacity() * size_of::<ElementData>()
            + self.own.capacity() * size_of::<OwnData>()
            + self.attributes.capacity() * size_of::<AttributeData>()
            + self.declarations.capacity() * size_of::<DeclarationData>()
            + self.edits.capacity() * size_of::<Edit>()
    }
}

impl Deref for Arena {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl DerefMut for Arena {
    fn deref_mut(&mut self) -> &mut Parts {
        &mut self.parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;

    fn parts(declarations: usize) -> Parts {
        Parts { declarations: Vec::with_capacity(declarations), ..Parts::default() }
    }

    fn kept_bytes(kept: &Kept) -> Option<usize> {
        kept.0.lock().unwrap().as_ref().map(Parts::bytes)
    }

    #[test]
    fn so_much_is_kept_and_not_one_byte_more() {
        let kept = Kept(Mutex::new(None));
        let bytes = parts(100).bytes();
        kept.put(parts(100), bytes - 1);
        assert_eq!(kept_bytes(&kept), None);
        kept.put(parts(100), bytes);
        assert_eq!(kept_bytes(&kept), Some(bytes));
        assert_eq!(kept.take().map(|parts| parts.bytes()), Some(bytes));
        assert_eq!(kept_bytes(&kept), None);
    }

    #[test]
    fn of_two_the_larger_one_is_kept() {
        for (first, second) in [(100, 200), (200, 100)] {
            let kept = Kept(Mutex::new(None));
            kept.put(parts(first), usize::MAX);
            kept.put(parts(second), usize::MAX);
            assert_eq!(kept_bytes(&kept), Some(parts(200).bytes()));
        }
    }

    #[test]
    fn a_thread_keeps_what_is_small_and_nothing_of_a_document_is_in_it() {
        drop(Document::parse("<a b='c' xmlns='urn:d'>e<f/></a>", &Limits::default()).unwrap());
        let small = SMALL.take().unwrap();
        assert!((1..=SMALL_BYTES_MAX).contains(&small.bytes()));
        assert_eq!((small.nodes.len(), small.elements.len(), small.own.len()), (0, 0, 0));
        assert_eq!((small.attributes.len(), small.declarations.len(), small.edits.len()), (0, 0, 0));

        let large = "<a></a>".repeat(SMALL_BYTES_MAX / size_of::<ElementData>() + 1);
        drop(Document::parse(format!("<r>{large}</r>"), &Limits::default()).unwrap());
        assert!(SMALL.take().is_none());
    }

    /// Else it would grow again for each document of its kind.
    #[test]
    fn what_has_few_tags_is_small() {
        let limits = Limits::default();
        let own = limits.attributes_max * size_of::<AttributeData>()
            + size_of::<ElementData>()
            + size_of::<OwnData>();
        assert!(SMALL_TAGS_MAX * (own + 2 * size_of::<NodeData>()) <= SMALL_BYTES_MAX);
    }
}
