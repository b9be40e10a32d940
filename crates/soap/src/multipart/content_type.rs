//! Content-Type headers: of the HTTP request and of a part.

use super::MultipartError;

const HEADER_BYTES_MAX: usize = 4 << 10;
const PARAMETERS_MAX: usize = 16;

/// A media type and its parameters; no parameter name occurs twice.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ContentType {
    essence: String,
    parameters: Vec<(String, String)>,
}

impl ContentType {
    /// Reads a Content-Type header's value.
    ///
    /// More lenient than RFC 2045 in two places that real stacks need: an unquoted value may hold any visible character
    /// but `;` and `"`, and a quote inside a quoted value ends it only where a `;` or the header's end follows.
    ///
    /// # Errors
    /// `ContentTypeMalformed`: the caller's.
    pub fn parse(header: &str) -> Result<Self, MultipartError> {
        let malformed =
            || MultipartError::ContentTypeMalformed { seen: header.chars().take(200).collect::<String>() };
        if header.len() > HEADER_BYTES_MAX || header.chars().any(|c| c.is_control() && c != '\t') {
            return Err(malformed());
        }
        let (essence, mut rest) = header.split_once(';').unwrap_or((header, ""));
        let essence = essence.trim().to_ascii_lowercase();
        let valid = |name: &str| !name.is_empty() && name.bytes().all(is_token_byte);
        match essence.split_once('/') {
            Some((kind, subtype)) if valid(kind) && valid(subtype) => {}
            _ => return Err(malformed()),
        }
        let mut parameters: Vec<(String, String)> = Vec::new();
        loop {
            rest = rest.trim_start();
            if rest.is_empty() {
                break;
            }
            if let Some(after) = rest.strip_prefix(';') {
                rest = after;
                continue;
            }
            let (name, after) = rest.split_once('=').ok_or_else(malformed)?;
            let name = name.trim().to_ascii_lowercase();
            let (value, after) = parameter_value(after.trim_start()).ok_or_else(malformed)?;
            rest = after;
            if !valid(&name)
                || parameters.len() == PARAMETERS_MAX
                || parameters.iter().any(|(n, _)| *n == name)
            {
                return Err(malformed());
            }
            parameters.push((name, value));
        }
        Ok(Self { essence, parameters })
    }

    /// The media type without parameters, in lower case.
    pub fn essence(&self) -> &str {
        &self.essence
    }

    /// A parameter by its name in lower case, unquoted.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Refuses every charset but UTF-8 (and its subset US-ASCII); an absent one is UTF-8.
    ///
    /// # Errors
    /// `CharsetUnsupported`: the caller's.
    pub fn require_utf8(&self) -> Result<(), MultipartError> {
        match self.parameter("charset") {
            None => Ok(()),
            Some(charset)
                if ["utf-8", "utf8", "us-ascii"].iter().any(|known| charset.eq_ignore_ascii_case(known)) =>
            {
                Ok(())
            }
            Some(charset) => {
                Err(MultipartError::CharsetUnsupported { seen: charset.chars().take(40).collect() })
            }
        }
    }
}

/// What the Content-Type of the root part says of the envelope in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RootMedia {
    /// `text/xml`, also inside `application/xop+xml`: SOAP 1.1.
    Soap11,
    /// `application/soap+xml`, also inside `application/xop+xml`: SOAP 1.2.
    Soap12,
    /// `application/xop+xml` that does not say of which type: either.
    Xop,
}

impl RootMedia {
    /// Reads it from a root part's Content-Type; `None` for a type that holds no envelope.
    pub fn of(content_type: &ContentType) -> Option<Self> {
        match content_type.essence() {
            "text/xml" => Some(Self::Soap11),
            "application/soap+xml" => Some(Self::Soap12),
            "application/xop+xml" => match content_type.parameter("type") {
                None => Some(Self::Xop),
                Some(inner) => match inner.split(';').next()?.trim().to_ascii_lowercase().as_str() {
                    "text/xml" => Some(Self::Soap11),
                    "application/soap+xml" => Some(Self::Soap12),
                    _ => None,
                },
            },
            _ => None,
        }
    }
}

/// The value at the start of `text`, and what follows it.
fn parameter_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, after) = match text.find(';') {
            Some(end) => text.split_at_checked(end)?,
            None => (text, ""),
        };
        let value = value.trim_end();
        let plain = !value.is_empty() && value.bytes().all(|b| b.is_ascii_graphic() && b != b'"');
        return plain.then(|| (value.to_owned(), after));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.push(characters.next()?.1),
            '"' => {
                let after = quoted.get(at + 1..)?.trim_start();
                if after.is_empty() || after.starts_with(';') {
                    return Some((value, after));
                }
                value.push('"');
            }
            _ => value.push(character),
        }
    }
    None
}

pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stacks_send() {
        check("text/xml; charset=utf-8", "text/xml", &[("charset", "utf-8")]);
        check(
            "Multipart/Related;Type=\"text/xml\";boundary=a=b",
            "multipart/related",
            &[("type", "text/xml"), ("boundary", "a=b")],
        );
        check(
            r#"multipart/related; boundary="uuid:a/b+c=d"; "#,
            "multipart/related",
            &[("boundary", "uuid:a/b+c=d")],
        );
        let inner = "application/soap+xml; action=\"urn:x\"";
        check(
            r#"application/xop+xml; type="application/soap+xml; action=\"urn:x\"""#,
            "application/xop+xml",
            &[("type", inner)],
        );
        check(
            r#"application/xop+xml; type="application/soap+xml; action="urn:x"""#,
            "application/xop+xml",
            &[("type", inner)],
        );
    }

    #[test]
    fn what_is_refused() {
        for header in [
            "",
            "text",
            "text/",
            "/xml",
            "text/xml; a",
            "text/xml; a=\"b",
            "text/xml; a=b; A=c",
            "a/b;c=\"d\\",
        ] {
            assert!(ContentType::parse(header).is_err(), "{header}");
        }
    }

    #[track_caller]
    fn check(header: &str, essence: &str, parameters: &[(&str, &str)]) {
        let read = ContentType::parse(header).expect(header);
        assert_eq!(read.essence(), essence);
        for (name, value) in parameters {
            assert_eq!(read.parameter(name), Some(*value), "{header}");
        }
    }
}
