//! Entries that are told apart by a number: each has a key of its own, and so many frames.

use erds::Record;
use erds::record::Control;
use journal::{Entry, Frame, UniqueKey};

pub(crate) fn entry(number: u32) -> Entry {
    let record = Record::Control(Control {
        at: jiff::Timestamp::UNIX_EPOCH,
        action: "test".to_owned(),
        ticket: None,
        detail: number.to_string(),
    });
    let frame = |place| Frame { name: format!("f{place}"), ciphertext: vec![number as u8; 20] };
    Entry { record, frames: (0..number % 3).map(frame).collect(), unique_keys: vec![key(number)] }
}

pub(crate) fn key(number: u32) -> UniqueKey {
    let mut key = [0; 32];
    key[..4].copy_from_slice(&number.to_be_bytes());
    UniqueKey(key)
}
