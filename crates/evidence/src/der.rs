//! Just enough DER to write a seal and to read it back strictly.
//!
//! Source: ITU-T X.690 §8 and §10 (one encoding a value: definite, shortest lengths; SET OF in ascending order).

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const CONTEXT_0: u8 = 0xa0;
pub(crate) const CONTEXT_1: u8 = 0xa1;

/// One value: tag, length, `parts` one after the other.
pub(crate) fn encode(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length_bytes: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(length_bytes + 6);
    out.push(tag);
    let short = u8::try_from(length_bytes).ok().filter(|length| *length < 0x80);
    if let Some(length) = short {
        out.push(length);
    } else {
        let big_endian = length_bytes.to_be_bytes();
        let digits: Vec<u8> = big_endian.iter().copied().skip_while(|byte| *byte == 0).collect();
        // A usize has at most 8 bytes, so the count fits beside the 0x80.
        out.push(0x80 | digits.len() as u8);
        out.extend_from_slice(&digits);
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// A SET OF (or its implicit form under another tag): the values in ascending order of their encodings (X.690 §11.6).
pub(crate) fn encode_set_of(tag: u8, mut values: Vec<Vec<u8>>) -> Vec<u8> {
    values.sort();
    let parts: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
    encode(tag, &parts)
}

/// Bytes that are not the DER that was looked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not the DER that is expected here")]
pub(crate) struct DerError;

/// One value as read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'a> {
    pub(crate) tag: u8,
    pub(crate) contents: &'a [u8],
    /// Tag, length and contents.
    pub(crate) whole: &'a [u8],
}

impl<'a> Value<'a> {
    /// The values inside.
    pub(crate) fn inside(&self) -> Reader<'a> {
        Reader { rest: self.contents }
    }
}

/// Takes values one by one from the front; everything must be taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(der: &'a [u8]) -> Self {
        Self { rest: der }
    }

    /// The next value, whatever its tag. Only single-byte tags and definite, shortest lengths are read.
    pub(crate) fn any(&mut self) -> Result<Value<'a>, DerError> {
        let (&tag, after_tag) = self.rest.split_first().ok_or(DerError)?;
        let (&first, mut after_length) = after_tag.split_first().ok_or(DerError)?;
        if tag & 0x1f == 0x1f {
            return Err(DerError);
        }
        let length_bytes = if first < 0x80 {
            usize::from(first)
        } else {
            let (digits, rest) = after_length.split_at_checked(usize::from(first & 0x7f)).ok_or(DerError)?;
            after_length = rest;
            shortest_length(digits)?
        };
        let (contents, rest) = after_length.split_at_checked(length_bytes).ok_or(DerError)?;
        let whole = self.rest.get(..self.rest.len() - rest.len()).ok_or(DerError)?;
        self.rest = rest;
        Ok(Value { tag, contents, whole })
    }

    /// The next value, which must have this tag.
    pub(crate) fn take(&mut self, tag: u8) -> Result<Value<'a>, DerError> {
        self.any().and_then(|value| if value.tag == tag { Ok(value) } else { Err(DerError) })
    }

    /// The next value must be exactly these bytes.
    pub(crate) fn take_exactly(&mut self, whole: &[u8]) -> Result<(), DerError> {
        self.any().and_then(|value| if value.whole == whole { Ok(()) } else { Err(DerError) })
    }

    /// The tag of the next value, if there is one.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Nothing may be left.
    pub(crate) fn end(&self) -> Result<(), DerError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DerError) }
    }
}

/// A long-form length: at most 4 bytes, no leading zero, at least 128.
fn shortest_length(digits: &[u8]) -> Result<usize, DerError> {
    if digits.is_empty() || digits.len() > 4 || digits.first() == Some(&0) {
        return Err(DerError);
    }
    let length = digits.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
    if length < 0x80 { Err(DerError) } else { Ok(length) }
}

/// The whole input as one value of this tag.
pub(crate) fn whole(der: &[u8], tag: u8) -> Result<Value<'_>, DerError> {
    let mut reader = Reader::new(der);
    let value = reader.take(tag)?;
    reader.end().map(|()| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_around_each_step_come_back() {
        for length_bytes in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let written = encode(OCTET_STRING, &[&vec![7; length_bytes]]);
            assert_eq!(whole(&written, OCTET_STRING).unwrap().contents.len(), length_bytes);
        }
    }

    #[test]
    fn other_encodings_of_the_same_value_are_refused() {
        for lie in [
            &[0x04, 0x81, 0x01, 0x00][..],       // long form where the short one fits
            &[0x04, 0x82, 0x00, 0x80, 0x00][..], // leading zero
            &[0x04, 0x80, 0x00, 0x00][..],       // indefinite
            &[0x04, 0x01, 0x00, 0x00][..],       // something after the end
            &[0x04, 0x02, 0x00][..],             // cut short
            &[0x1f, 0x04, 0x00][..],             // long tag
            &[0x04][..],
            &[][..],
        ] {
            assert!(whole(lie, OCTET_STRING).is_err(), "{lie:02x?}");
        }
    }
}
