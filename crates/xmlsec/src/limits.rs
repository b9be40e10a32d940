//! What a document may cost: every cap is counted while tokenizing, before a tree exists.

/// The caps on one document; the reader refuses at the first byte beyond one.
///
/// Source: `security.md` rule 5 for depth, attributes and namespace declarations.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Bytes of the whole document; never more than [`Limits::DOCUMENT_BYTES_CEILING`], whatever is configured.
    pub document_bytes_max: usize,
    /// Elements open at once.
    pub depth_max: usize,
    /// Attributes of one element, namespace declarations not counted.
    pub attributes_max: usize,
    /// Namespace declarations of one element.
    pub namespaces_max: usize,
    /// Distinct namespace names in the document, and distinct prefixes: both tables are searched linearly.
    pub distinct_namespaces_max: usize,
    /// Nodes of the tree: elements, texts, comments, processing instructions.
    pub nodes_max: usize,
    /// Attributes and namespace declarations of the whole document.
    pub attributes_total_max: usize,
    /// Bytes, as written, of one run of character data.
    pub text_bytes_max: usize,
    /// Bytes, as written, of one attribute value.
    pub attribute_bytes_max: usize,
    /// Bytes of one name, comment target excluded; never more than 65,535, whatever is configured.
    pub name_bytes_max: usize,
    /// Bytes of memory, whatever the number of threads, that the process keeps of a large document's tree for the next large one; what
    /// is beyond goes back to the system. Without it a document of little but tags takes up to twice the time.
    pub kept_bytes_max: usize,
}

impl Limits {
    /// Positions are kept in 32 bits.
    pub const DOCUMENT_BYTES_CEILING: usize = 1 << 30;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            document_bytes_max: 64 << 20,
            depth_max: 64,
            attributes_max: 64,
            namespaces_max: 32,
            distinct_namespaces_max: 256,
            nodes_max: 1 << 20,
            attributes_total_max: 1 << 20,
            text_bytes_max: 64 << 20,
            attribute_bytes_max: 64 << 10,
            name_bytes_max: 1 << 10,
            kept_bytes_max: 64 << 20,
        }
    }
}
