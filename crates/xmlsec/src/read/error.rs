//! Why a document was refused.

/// What is wrong with a document, and where: always the sender's fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{kind} at byte {offset}")]
pub struct ReadError {
    /// What is wrong.
    pub kind: ReadErrorKind,
    /// The byte of the source at which it was seen.
    pub offset: usize,
}

impl ReadError {
    /// The stable dotted code of the kind.
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// The kinds of defect, each with its rule.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
        #[non_exhaustive]
        pub enum ReadErrorKind {
            $($(#[$doc])* #[error($text)] $name,)*
        }

        impl ReadErrorKind {
            /// The stable dotted code.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// Every kind, for the table of codes.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
        }
    };
}

kinds! {
    /// No byte at all, or white space alone.
    Empty = "xml.empty", "no element";
    /// UTF-16, with or without byte order mark.
    Utf16 = "xml.encoding.utf16", "UTF-16 is not taken: send UTF-8";
    /// UTF-32 or EBCDIC, told by the first bytes.
    EncodingForeign = "xml.encoding.foreign", "an encoding other than UTF-8";
    /// Bytes that are no UTF-8 (overlong forms and surrogates included).
    Utf8 = "xml.encoding.utf8", "bytes that are not UTF-8";
    /// A declaration that names another encoding.
    EncodingDeclared = "xml.encoding.declared", "a declared encoding other than UTF-8";
    /// `<?xml …?>` not as XML 1.0 §2.8 has it, or version not 1.0.
    Declaration = "xml.declaration", "malformed XML declaration (version must be 1.0)";
    /// `<?xml` elsewhere than at the first byte, or a target that is `xml` in another case.
    ReservedTarget = "xml.pi.reserved", "processing instruction with the reserved target xml";
    /// A document type declaration.
    Doctype = "xml.doctype", "a document type declaration";
    /// A character that XML forbids, NUL included.
    Character = "xml.character", "a character that XML does not allow";
    /// `&#…;` of a character that XML forbids or that is none.
    CharacterReference = "xml.reference.character", "a reference to a character that XML does not allow";
    /// `&` that begins no reference.
    Reference = "xml.reference.malformed", "an ampersand that begins no reference";
    /// A reference to an entity other than the five.
    EntityUnknown = "xml.reference.entity", "a reference to an undeclared entity";
    /// `]]>` in character data.
    CdataEnd = "xml.text.cdata-end", "]]> in character data";
    /// A CDATA section without end.
    CdataUnterminated = "xml.cdata.unterminated", "a CDATA section without end";
    /// A comment without end.
    CommentUnterminated = "xml.comment.unterminated", "a comment without end";
    /// `--` in a comment, or `--->`.
    CommentHyphens = "xml.comment.hyphens", "two hyphens within a comment";
    /// A processing instruction without end.
    PiUnterminated = "xml.pi.unterminated", "a processing instruction without end";
    /// A processing instruction whose target is no NCName, or without white space after it.
    PiTarget = "xml.pi.target", "a processing instruction without a proper target";
    /// `<` that begins no markup.
    Markup = "xml.markup", "markup that is none";
    /// A name with a character that names do not have, or none where one must be.
    Name = "xml.name", "not a name";
    /// A name with an empty part or more than one colon.
    QualifiedName = "xml.name.qualified", "a name with an empty part or two colons";
    /// A tag without end.
    TagUnterminated = "xml.tag.unterminated", "a tag without end";
    /// Something in a tag where an attribute or the end must be.
    Tag = "xml.tag.malformed", "malformed tag";
    /// Two attributes without white space between.
    AttributeSpace = "xml.attribute.space", "no white space before an attribute";
    /// An attribute without `=`.
    AttributeEquals = "xml.attribute.equals", "an attribute without a value";
    /// A value without quotes, or without the closing one.
    AttributeQuote = "xml.attribute.quote", "an attribute value that is not quoted";
    /// `<` in an attribute value.
    AttributeValueLess = "xml.attribute.less", "< in an attribute value";
    /// One attribute twice, by name as written or by expanded name.
    AttributeDuplicate = "xml.attribute.duplicate", "the same attribute twice";
    /// A prefix that nothing binds.
    PrefixUnbound = "xml.namespace.unbound", "a prefix that is not declared";
    /// `xml` or `xmlns` declared or used against Namespaces in XML 1.0 §3.
    PrefixReserved = "xml.namespace.reserved", "a reserved prefix or namespace misused";
    /// `xmlns:p=""`.
    PrefixUndeclared = "xml.namespace.undeclared", "a prefix declared empty";
    /// A namespace name that is a relative reference (Canonical XML 1.0 §1.3 makes it an error) or no URI at all.
    NamespaceRelative = "xml.namespace.relative", "a namespace name that is no absolute URI";
    /// The same prefix declared twice on one element.
    NamespaceDuplicate = "xml.namespace.duplicate", "one prefix declared twice";
    /// An end tag of another name than the open element's.
    EndTagMismatch = "xml.tag.mismatch", "an end tag of another element";
    /// An end tag where no element is open.
    EndTagStray = "xml.tag.stray", "an end tag without a start";
    /// The input ended within an element.
    ElementUnterminated = "xml.element.unterminated", "an element without end";
    /// A second document element.
    RootSecond = "xml.root.second", "a second root element";
    /// Text or a reference outside the root element.
    TextOutside = "xml.root.text", "text outside the root element";
    /// Too many bytes.
    DocumentBytes = "xml.limit.document", "more bytes than allowed";
    /// Too many elements open.
    Depth = "xml.limit.depth", "deeper than allowed";
    /// Too many attributes on one element.
    Attributes = "xml.limit.attributes", "more attributes on one element than allowed";
    /// Too many attributes in all.
    AttributesTotal = "xml.limit.attributes-total", "more attributes than allowed";
    /// Too many declarations on one element.
    Namespaces = "xml.limit.namespaces", "more namespace declarations on one element than allowed";
    /// Too many namespaces or prefixes in all.
    DistinctNamespaces = "xml.limit.distinct-namespaces", "more distinct namespaces or prefixes than allowed";
    /// Too many nodes.
    Nodes = "xml.limit.nodes", "more nodes than allowed";
    /// One text too long.
    TextBytes = "xml.limit.text", "a longer text than allowed";
    /// One attribute value too long.
    AttributeBytes = "xml.limit.attribute", "a longer attribute value than allowed";
    /// One name too long.
    NameBytes = "xml.limit.name", "a longer name than allowed";
}
