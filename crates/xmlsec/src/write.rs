//! XML out: well-formed by construction, and stable under canonicalisation.

/// Writes one element and what is in it.
///
/// Names are literals of this program (`&'static str`), so nothing from outside can become markup. End tags are always
/// written, text and values are escaped as Canonical XML escapes them (CR as `&#xD;`), so what is written is what
/// is hashed. A character that XML cannot carry is written as U+FFFD.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
    open: Vec<&'static str>,
    in_tag: bool,
}

impl Writer {
    /// An empty writer, without XML declaration.
    pub fn new() -> Self {
        Self::default()
    }

    /// A writer that begins with the XML declaration (version 1.0, UTF-8).
    pub fn with_declaration() -> Self {
        Self { out: b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>".to_vec(), ..Self::default() }
    }

    /// Opens an element; `name` is `local` or `prefix:local`.
    pub fn start(&mut self, name: &'static str) -> &mut Self {
        self.close_tag();
        self.out.push(b'<');
        self.out.extend_from_slice(name.as_bytes());
        self.open.push(name);
        self.in_tag = true;
        self
    }

    /// Adds an attribute to the element just opened. Ignored, in debug a panic, anywhere else: the caller's mistake.
    pub fn attribute(&mut self, name: &'static str, value: &str) -> &mut Self {
        debug_assert!(self.in_tag, "attribute {name} outside a start tag");
        if self.in_tag {
            self.out.push(b' ');
            self.out.extend_from_slice(name.as_bytes());
            self.out.extend_from_slice(b"=\"");
            escape(value, &mut self.out, crate::c14n::attribute_escape);
            self.out.push(b'"');
        }
        self
    }

    /// Declares a namespace on the element just opened; `prefix` is empty for the default one.
    pub fn namespace(&mut self, prefix: &'static str, uri: &str) -> &mut Self {
        debug_assert!(self.in_tag, "declaration of {prefix} outside a start tag");
        if self.in_tag {
            self.out.extend_from_slice(if prefix.is_empty() { b" xmlns" } else { b" xmlns:" });
            self.out.extend_from_slice(prefix.as_bytes());
            self.out.extend_from_slice(b"=\"");
            escape(uri, &mut self.out, crate::c14n::attribute_escape);
            self.out.push(b'"');
        }
        self
    }

    /// Writes character data, escaped.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.close_tag();
        escape(text, &mut self.out, crate::c14n::text_escape);
        self
    }

    /// Writes bytes as base64 on one line.
    pub fn base64(&mut self, bytes: &[u8]) -> &mut Self {
        self.close_tag();
        self.out.extend_from_slice(crate::base64::encode(bytes).as_bytes());
        self
    }

    /// Writes a whole element that holds text alone.
    pub fn element(&mut self, name: &'static str, text: &str) -> &mut Self {
        self.start(name).text(text).end()
    }

    /// Writes markup as it stands; that it is a well-formed piece is the caller's promise.
    pub fn raw(&mut self, markup: &str) -> &mut Self {
        self.close_tag();
        self.out.extend_from_slice(markup.as_bytes());
        self
    }

    /// Closes the innermost open element. Ignored, in debug a panic, if none is: the caller's mistake.
    pub fn end(&mut self) -> &mut Self {
        self.close_tag();
        let name = self.open.pop();
        debug_assert!(name.is_some(), "end without start");
        if let Some(name) = name {
            self.out.extend_from_slice(b"</");
            self.out.extend_from_slice(name.as_bytes());
            self.out.push(b'>');
        }
        self
    }

    /// How many bytes are written; a start tag still open counts without its `>`.
    pub fn len_bytes(&self) -> usize {
        self.out.len()
    }

    /// Closes what is open and gives the bytes.
    pub fn finish(mut self) -> Vec<u8> {
        self.close_tag();
        while !self.open.is_empty() {
            self.end();
        }
        self.out
    }

    fn close_tag(&mut self) {
        if std::mem::take(&mut self.in_tag) {
            self.out.push(b'>');
        }
    }
}

/// Writes `text` with what `escape_of` names replaced, and characters that XML forbids as U+FFFD.
fn escape(text: &str, out: &mut Vec<u8>, escape_of: fn(u8) -> Option<&'static [u8]>) {
    for c in text.chars() {
        let mut buffer = [0; 4];
        let c = if crate::chars::is_char(c) { c } else { char::REPLACEMENT_CHARACTER };
        let bytes = c.encode_utf8(&mut buffer).as_bytes();
        match bytes.first().copied().and_then(escape_of) {
            Some(escaped) => out.extend_from_slice(escaped),
            None => out.extend_from_slice(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Document, Limits};

    #[test]
    fn what_is_written_is_read_back() {
        let text = "a<&>\"'\r\n\t]]> \u{1F600}";
        let mut writer = Writer::with_declaration();
        writer.start("p:a").namespace("p", "urn:x&y").attribute("b", text).element("c", text).text(text);
        let written = writer.finish();
        let document = Document::parse(written, &Limits::default()).unwrap();
        let root = document.root();
        assert!(root.is("urn:x&y", "a"));
        assert_eq!(root.attribute(None, "b").unwrap(), text);
        assert_eq!(root.child("", "c").unwrap().text().unwrap(), text);
    }

    #[test]
    fn forbidden_characters_are_replaced() {
        let mut writer = Writer::new();
        writer.element("a", "x\u{0}\u{8}\u{FFFE}y");
        assert_eq!(String::from_utf8(writer.finish()).unwrap(), "<a>x\u{FFFD}\u{FFFD}\u{FFFD}y</a>");
    }

    #[test]
    fn what_is_written_is_canonical() {
        let mut writer = Writer::new();
        writer.start("a").attribute("b", "\r\n\t<&>\"").text("\r<&>\"").end();
        let written = writer.finish();
        let document = Document::parse(written.clone(), &Limits::default()).unwrap();
        let mut canonical = Vec::new();
        crate::c14n::canonicalize(document.root(), &crate::c14n::Method::exclusive(), &mut canonical)
            .unwrap();
        assert_eq!(canonical, written);
    }
}
