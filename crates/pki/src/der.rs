//! Just enough DER to read certificates' envelopes, CMS and TSP strictly, and to write requests.
//!
//! Source: ITU-T X.690 §8 and §10 (one encoding a value: definite, shortest lengths).

/// Not the DER that was expected here.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not the DER expected")]
pub struct DerError;

#[allow(missing_docs, reason = "the tags of X.690, by their names")]
pub mod tag {
    pub const BOOLEAN: u8 = 0x01;
    pub const INTEGER: u8 = 0x02;
    pub const BIT_STRING: u8 = 0x03;
    pub const OCTET_STRING: u8 = 0x04;
    pub const NULL: u8 = 0x05;
    pub const OID: u8 = 0x06;
    pub const UTC_TIME: u8 = 0x17;
    pub const GENERALIZED_TIME: u8 = 0x18;
    pub const SEQUENCE: u8 = 0x30;
    pub const SET: u8 = 0x31;
    pub const CONTEXT_0: u8 = 0xa0;
    pub const CONTEXT_1: u8 = 0xa1;
}

/// One value: its tag, its contents, and the whole of it.
#[derive(Clone, Copy, Debug)]
pub struct Value<'a> {
    /// The identifier octet (no high tag numbers).
    pub tag: u8,
    /// What is inside.
    pub contents: &'a [u8],
    /// Identifier, length and contents.
    pub whole: &'a [u8],
}

impl<'a> Value<'a> {
    /// Reads what is inside.
    pub fn inside(&self) -> Reader<'a> {
        Reader(self.contents)
    }

    /// The values inside, each with this tag.
    ///
    /// # Errors
    /// Another tag, or not DER.
    pub fn all(&self, tag: u8) -> Result<Vec<Value<'a>>, DerError> {
        let mut reader = self.inside();
        let mut values = Vec::new();
        while reader.peek().is_some() {
            values.push(reader.take(tag)?);
        }
        Ok(values)
    }
}

/// Values one after the other.
#[derive(Clone, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The tag of the next value.
    pub fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next value, of any tag.
    ///
    /// # Errors
    /// Not DER: a length that is indefinite, not the shortest, or beyond the end.
    pub fn any(&mut self) -> Result<Value<'a>, DerError> {
        let (&tag, rest) = self.0.split_first().ok_or(DerError)?;
        if tag & 0x1f == 0x1f {
            return Err(DerError);
        }
        let (&first, rest) = rest.split_first().ok_or(DerError)?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f)).ok_or(DerError)?;
                let length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
                if digits.first() == Some(&0) || length < 0x80 {
                    return Err(DerError);
                }
                (length, rest)
            }
            _ => return Err(DerError),
        };
        let (contents, rest) = rest.split_at_checked(length).ok_or(DerError)?;
        let whole = self.0.get(..self.0.len() - rest.len()).ok_or(DerError)?;
        self.0 = rest;
        Ok(Value { tag, contents, whole })
    }

    /// The next value, if it has this tag.
    ///
    /// # Errors
    /// Another tag, or not DER.
    pub fn take(&mut self, tag: u8) -> Result<Value<'a>, DerError> {
        if self.peek() != Some(tag) {
            return Err(DerError);
        }
        self.any()
    }

    /// The next value must be exactly these bytes.
    ///
    /// # Errors
    /// Another value, or not DER.
    pub fn take_exactly(&mut self, whole: &[u8]) -> Result<(), DerError> {
        if self.any()?.whole == whole { Ok(()) } else { Err(DerError) }
    }

    /// The next value if it has this tag; else nothing is taken.
    ///
    /// # Errors
    /// Not DER.
    pub fn optional(&mut self, tag: u8) -> Result<Option<Value<'a>>, DerError> {
        if self.peek() == Some(tag) { self.any().map(Some) } else { Ok(None) }
    }

    /// Nothing may be left.
    ///
    /// # Errors
    /// Something is.
    pub fn end(&self) -> Result<(), DerError> {
        if self.0.is_empty() { Ok(()) } else { Err(DerError) }
    }
}

/// The one value that `bytes` are, with this tag and nothing after it.
///
/// # Errors
/// Another tag, not DER, or trailing bytes.
pub fn whole(bytes: &[u8], tag: u8) -> Result<Value<'_>, DerError> {
    let mut reader = Reader(bytes);
    let value = reader.take(tag)?;
    reader.end()?;
    Ok(value)
}

/// Checks that every value within is strict DER too, however deep; no recursion. Every BOOLEAN of what is read here
/// (certificates, CRLs, CMS, TSTInfo) is DEFAULT FALSE, so one that is there is TRUE, in its one spelling.
///
/// # Errors
/// Some value is not.
pub fn check_deep(bytes: &[u8]) -> Result<(), DerError> {
    let mut open = vec![Reader(bytes)];
    while let Some(reader) = open.last_mut() {
        if reader.peek().is_none() {
            open.pop();
            continue;
        }
        let value = reader.any()?;
        check_primitive(value)?;
        if value.tag & 0x20 != 0 {
            if open.len() > DEPTH_MAX {
                return Err(DerError);
            }
            open.push(value.inside());
        }
    }
    Ok(())
}

const DEPTH_MAX: usize = 32;

fn check_primitive(value: Value<'_>) -> Result<(), DerError> {
    match value.tag {
        tag::BOOLEAN => present_is_true(value),
        // X.690 §8.3.2: two spellings of one serial number would be two certificates to a list.
        tag::INTEGER => match value.contents {
            [] | [0x00, 0x00..=0x7f, ..] | [0xff, 0x80..=0xff, ..] => Err(DerError),
            _ => Ok(()),
        },
        // X.690 §11.2.1: unused bits are zero.
        tag::BIT_STRING => match value.contents {
            [0, ..] => Ok(()),
            [unused @ 1..=7, .., last] if last.trailing_zeros() >= u32::from(*unused) => Ok(()),
            _ => Err(DerError),
        },
        _ => Ok(()),
    }
}

/// A BOOLEAN DEFAULT FALSE that is there, under whatever tag: TRUE as 0xff (X.690 §11.1, §11.5).
///
/// # Errors
/// Anything else.
pub fn present_is_true(value: Value<'_>) -> Result<(), DerError> {
    if value.contents == [0xff] { Ok(()) } else { Err(DerError) }
}

/// A SET OF (or its implicit form under another tag): the values in ascending order of their encodings (X.690 §11.6).
pub fn encode_set_of(tag: u8, mut values: Vec<Vec<u8>>) -> Vec<u8> {
    values.sort();
    let parts: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
    encode(tag, &parts)
}

/// One value: tag, length, `parts` one after the other.
pub fn encode(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(length + 6);
    out.push(tag);
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let digits: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
            out.push(0x80 | digits.len() as u8); // a usize has at most 8 bytes
            out.extend_from_slice(&digits);
        }
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// An OBJECT IDENTIFIER from its dotted form.
///
/// # Errors
/// Not a dotted identifier.
pub fn encode_oid(dotted: &str) -> Result<Vec<u8>, DerError> {
    let mut arcs = dotted.split('.').map(|arc| arc.parse::<u64>().map_err(|_| DerError));
    let first = arcs.next().ok_or(DerError)??;
    let second = arcs.next().ok_or(DerError)??;
    if first > 2 || (first < 2 && second > 39) {
        return Err(DerError);
    }
    let mut contents = base128(first * 40 + second);
    for arc in arcs {
        contents.extend(base128(arc?));
    }
    Ok(encode(tag::OID, &[&contents]))
}

fn base128(mut arc: u64) -> Vec<u8> {
    let mut digits = vec![(arc & 0x7f) as u8];
    while arc > 0x7f {
        arc >>= 7;
        digits.push((arc & 0x7f) as u8 | 0x80);
    }
    digits.reverse();
    digits
}

/// Checks that a signed structure (certificate, CRL) names one algorithm within and without (RFC 5280 §4.1.1.2, §5.1.1.2);
/// `before` are the tags that may stand before the inner one. Gives the bytes that are signed.
///
/// # Errors
/// Two algorithms, or not such a structure.
pub(crate) fn signed_part<'a>(bytes: &'a [u8], before: &[u8]) -> Result<&'a [u8], DerError> {
    let mut outer = whole(bytes, tag::SEQUENCE)?.inside();
    let to_be_signed = outer.take(tag::SEQUENCE)?;
    let algorithm = outer.take(tag::SEQUENCE)?;
    // A signature value is whole octets: no bit of its last one is unused.
    if outer.take(tag::BIT_STRING)?.contents.first() != Some(&0) {
        return Err(DerError);
    }
    outer.end()?;
    let mut fields = to_be_signed.inside();
    for tag in before {
        fields.optional(*tag)?;
    }
    if fields.take(tag::SEQUENCE)?.whole != algorithm.whole {
        return Err(DerError);
    }
    Ok(to_be_signed.whole)
}

/// The dotted form of an OBJECT IDENTIFIER's contents.
///
/// # Errors
/// Not the contents of one.
pub fn decode_oid(contents: &[u8]) -> Result<String, DerError> {
    let mut arcs: Vec<u64> = Vec::new();
    let mut arc: u64 = 0;
    let mut fresh = true;
    for byte in contents {
        if (fresh && *byte == 0x80) || arc > u64::MAX >> 8 {
            return Err(DerError);
        }
        arc = arc << 7 | u64::from(byte & 0x7f);
        fresh = byte & 0x80 == 0;
        if fresh {
            if arcs.is_empty() {
                let first = (arc / 40).min(2);
                arcs.extend([first, arc - first * 40]);
            } else {
                arcs.push(arc);
            }
            arc = 0;
        }
    }
    if !fresh || arcs.is_empty() {
        return Err(DerError);
    }
    Ok(arcs.iter().map(u64::to_string).collect::<Vec<_>>().join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_go_both_ways() {
        for dotted in
            ["1.2.840.113549.1.9.16.1.4", "2.5.29.37", "2.16.840.1.101.3.4.2.1", "2.999.3", "0.4.0.2023.1.1"]
        {
            let der = encode_oid(dotted).unwrap();
            assert_eq!(decode_oid(whole(&der, tag::OID).unwrap().contents).unwrap(), dotted);
        }
        assert!(encode_oid("1.40").is_err() && encode_oid("x").is_err() && encode_oid("1").is_err());
        assert!(
            decode_oid(&[0x2a, 0x80, 0x01]).is_err()
                && decode_oid(&[0x2a, 0x81]).is_err()
                && decode_oid(&[]).is_err()
        );
    }

    #[test]
    fn only_the_shortest_length_is_read() {
        assert!(whole(&[0x04, 0x81, 0x01, 0xff], 0x04).is_err());
        assert!(whole(&[0x04, 0x80, 0x00, 0x00], 0x04).is_err());
        assert!(whole(&[0x04, 0x01, 0xff, 0x00], 0x04).is_err());
        assert!(whole(&[0x04, 0x02, 0xff], 0x04).is_err());
        assert_eq!(whole(&[0x04, 0x01, 0xff], 0x04).unwrap().contents, [0xff]);
        assert!(check_deep(&[0x30, 0x04, 0x30, 0x81, 0x01, 0x00]).is_err());
    }

    #[test]
    fn a_boolean_is_true_or_absent() {
        assert!(check_deep(&[0x30, 0x03, 0x01, 0x01, 0xff]).is_ok());
        for contents in [&[0x00][..], &[0x01], &[0x80], &[], &[0xff, 0xff]] {
            assert!(
                check_deep(&encode(tag::SEQUENCE, &[&encode(tag::BOOLEAN, &[contents])])).is_err(),
                "{contents:?}"
            );
        }
    }

    #[test]
    fn unused_bits_are_zero() {
        for contents in [&[0][..], &[0, 0xff], &[7, 0x80], &[1, 0xff, 0xfe], &[3, 0]] {
            assert!(check_deep(&encode(tag::BIT_STRING, &[contents])).is_ok(), "{contents:?}");
        }
        for contents in [&[][..], &[1], &[1, 0xff], &[7, 0xc0], &[8, 0]] {
            assert!(check_deep(&encode(tag::BIT_STRING, &[contents])).is_err(), "{contents:?}");
        }
    }

    #[test]
    fn an_integer_is_the_shortest() {
        for contents in [&[0x00][..], &[0x7f], &[0x00, 0x80], &[0xff, 0x7f], &[0x80]] {
            assert!(check_deep(&encode(tag::INTEGER, &[contents])).is_ok(), "{contents:?}");
        }
        for contents in [&[][..], &[0x00, 0x00], &[0x00, 0x7f], &[0xff, 0x80], &[0xff, 0xff]] {
            assert!(check_deep(&encode(tag::INTEGER, &[contents])).is_err(), "{contents:?}");
        }
    }
}
