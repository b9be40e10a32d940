//! What belongs to a record, opened to its last byte: its frames, and its parts that lie in files of their own.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;

use disk::{Disk, OpenMode};
use erds::record::PartFacts;
use erds::{Record, Ticket};
use journal::Stored;
use store::content::Content;
use store::keys::ItemKey;

use super::{KeyOf, frame_name, open_frame_with};

/// What came of opening a part.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Opened {
    /// Every byte is the one that was written.
    Whole,
    /// Nobody can read it any more.
    KeyGone,
    /// Its file is not there.
    FileGone,
}

/// A part that was to be opened.
pub(crate) struct Part<'a> {
    /// Whose key opens it; none: its name says nobody's.
    pub ticket: Option<Ticket>,
    /// Its name.
    pub name: &'a str,
    /// What came of it, or why it is not what was written.
    pub opened: Result<Opened, String>,
}

/// The parts of an item that lie in files of their own: beside its Received stands no frame of them.
pub(crate) fn parts_in_files(stored: &Stored) -> Vec<&PartFacts> {
    let Record::Received(received) = &stored.record else { return Vec::new() };
    let framed = |part: &PartFacts| {
        let name = frame_name(received.ticket, &part.name);
        stored.frames.iter().any(|frame| frame.name == name)
    };
    received.parts.iter().filter(|part| !framed(part)).collect()
}

/// Of a journal that is read from its beginning: the parts in files of their own, of items that are neither withdrawn nor erased.
#[derive(Default)]
pub(crate) struct PartsInFiles(HashMap<Ticket, Vec<PartFacts>>);

impl PartsInFiles {
    /// Takes the next record in.
    pub(crate) fn follow(&mut self, stored: &Stored) {
        match &stored.record {
            Record::Received(received) => {
                let files: Vec<_> = parts_in_files(stored).into_iter().cloned().collect();
                if !files.is_empty() {
                    self.0.insert(received.ticket, files);
                }
            }
            Record::Withdrawn(withdrawn) => drop(self.0.remove(&withdrawn.ticket)),
            Record::Erased(erased) => self.0.retain(|ticket, _| !erased.tickets.contains(ticket)),
            _ => {}
        }
    }

    /// Each with its item, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Ticket, &PartFacts)> {
        self.0.iter().flat_map(|(ticket, parts)| parts.iter().map(|part| (*ticket, part)))
    }
}

/// Opens all that belongs to a record, one after the other. `read` hears how many bytes were read, and may end it; `each` what came of
/// a part.
///
/// # Errors
/// What `each` says.
pub(crate) fn open_parts<E>(
    stored: &Stored,
    key_of: KeyOf<'_>,
    content: &Content,
    read: &mut dyn FnMut(u64) -> bool,
    each: &mut dyn FnMut(Part<'_>) -> Result<(), E>,
) -> Result<(), E> {
    for frame in &stored.frames {
        let Some((ticket, part)) = frame.name.split_once('/') else {
            each(Part { ticket: None, name: &frame.name, opened: Err("no ticket".to_owned()) })?;
            continue;
        };
        let opened = open_frame_with(key_of, stored, part).map_err(|failure| failure.to_string());
        let opened = opened.map(|plain| plain.map_or(Opened::KeyGone, |_| Opened::Whole));
        each(Part { ticket: Ticket::parse(ticket).ok(), name: &frame.name, opened })?;
        if !read(frame.ciphertext.len() as u64) {
            return Ok(());
        }
    }
    if let Record::Received(received) = &stored.record {
        for part in parts_in_files(stored) {
            let Some(opened) = open_file(received.ticket, part, key_of, content, read).transpose() else {
                return Ok(());
            };
            each(Part { ticket: Some(received.ticket), name: &part.name, opened })?;
        }
    }
    Ok(())
}

/// A part in a file of its own, read to its end; none: `read` ended it.
fn open_file(
    ticket: Ticket,
    part: &PartFacts,
    key_of: KeyOf<'_>,
    content: &Content,
    read: &mut dyn FnMut(u64) -> bool,
) -> Result<Option<Opened>, String> {
    let Some(key) = key_of(ticket).map_err(|error| error.to_string())? else {
        return Ok(Some(Opened::KeyGone));
    };
    let file = content.read_file(ticket, &part.name, &key).map_err(|error| error.to_string())?;
    let Some(mut file) = file else { return Ok(Some(Opened::FileGone)) };
    Ok(read_whole(&mut *file, part, read)?.then_some(Opened::Whole))
}

/// Reads a part's plain bytes to their end, which must be where its record says; false: `read`, which hears how many they were, ended it.
///
/// # Errors
/// In words: what is stored is not what was written.
fn read_whole(
    file: &mut dyn Read,
    part: &PartFacts,
    read: &mut dyn FnMut(u64) -> bool,
) -> Result<bool, String> {
    let (mut buffer, mut bytes) = (vec![0; PIECE_BYTES], 0);
    loop {
        match file.read(&mut buffer).map_err(|error| error.to_string())? as u64 {
            0 if bytes == part.length_bytes => return Ok(true),
            0 => return Err(format!("it holds {bytes} bytes; its record says {}", part.length_bytes)),
            more => bytes += more,
        }
        if !read(buffer.len() as u64) {
            return Ok(false);
        }
    }
}

/// Whether a file, wherever it lies, is what the record says: it opens under the item's key to its end, and its digest is the one on record.
///
/// # Errors
/// In words: what is wrong with it.
pub(crate) fn judge_file(
    disk: &dyn Disk,
    path: &Path,
    ticket: Ticket,
    part: &PartFacts,
    key: &ItemKey,
) -> Result<(), String> {
    let file = match disk.open(path, OpenMode::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err("the file is not there".to_owned());
        }
        file => file.map_err(|error| error.to_string())?,
    };
    let opened = store::content::read_part(file, ticket, &part.name, key, part.ciphertext_sha256.0);
    let mut plain = opened.map_err(|error| error.to_string())?;
    read_whole(&mut plain, part, &mut |_| true).map(drop)
}

const PIECE_BYTES: usize = 64 * 1024;
