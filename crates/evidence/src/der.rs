//! DER as `pki` reads and writes it, and the little more that a seal needs.

pub(crate) use pki::der::tag::{
    CONTEXT_0, CONTEXT_1, GENERALIZED_TIME, INTEGER, OCTET_STRING, OID, SEQUENCE, SET,
};
pub(crate) use pki::der::{DerError, Reader, Value, encode, whole};

pub(crate) const UTC_TIME: u8 = 0x17;

/// A SET OF (or its implicit form under another tag): the values in ascending order of their encodings (X.690 §11.6).
pub(crate) fn encode_set_of(tag: u8, mut values: Vec<Vec<u8>>) -> Vec<u8> {
    values.sort();
    let parts: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
    encode(tag, &parts)
}

/// The next value must be exactly these bytes.
pub(crate) fn take_exactly(reader: &mut Reader<'_>, whole: &[u8]) -> Result<(), DerError> {
    reader.any().and_then(|value| if value.whole == whole { Ok(()) } else { Err(DerError) })
}
