//! The one form of our archives: ZIP, every file stored, without times, so that the same files are the same bytes for years.
//!
//! It is written here and in no library, whose next version may write another. Reading ends with writing again: what stands before,
//! between or behind the files, or is said otherwise of them, is refused.
//!
//! Source: PKWARE APPNOTE 6.3.3 §4.3 (local headers, central directory and its end).

/// What an archive says of one file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry<'a> {
    /// Its name in the archive: of ASCII.
    pub name: &'a str,
    /// Its length.
    pub bytes: u32,
    /// Its CRC-32.
    pub crc32: u32,
}

impl Entry<'_> {
    /// What stands before the file's bytes.
    pub fn local_header(&self) -> Vec<u8> {
        [b"PK\x03\x04".as_slice(), &self.shared(), self.name.as_bytes()].concat()
    }

    /// What local header and central directory both say of it: stored, on the format's first day, and so on to its name's length.
    fn shared(&self) -> Vec<u8> {
        let mut out = VERSION.to_vec();
        out.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0x21, 0]);
        for number in [self.crc32, self.bytes, self.bytes] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&u16::try_from(self.name.len()).unwrap_or(u16::MAX).to_le_bytes());
        out.extend_from_slice(&[0, 0]);
        out
    }
}

/// What stands behind the last file's bytes: the central directory and its end.
pub fn directory<'a>(entries: impl IntoIterator<Item = Entry<'a>>) -> Vec<u8> {
    let (mut out, mut offset, mut count) = (Vec::new(), 0_u32, 0_u16);
    for entry in entries {
        out.extend_from_slice(b"PK\x01\x02");
        out.extend_from_slice(&VERSION);
        out.extend_from_slice(&entry.shared());
        // No comment; disk 0; no attributes.
        out.extend_from_slice(&[0; 10]);
        out.extend_from_slice(&offset.to_le_bytes());
        out.extend_from_slice(entry.name.as_bytes());
        let header = u32::try_from(HEADER_BYTES + entry.name.len()).unwrap_or(u32::MAX);
        offset = offset.saturating_add(header).saturating_add(entry.bytes);
        count = count.saturating_add(1);
    }
    let size = u32::try_from(out.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    out.extend_from_slice(&[count.to_le_bytes(), count.to_le_bytes()].concat());
    out.extend_from_slice(&[size.to_le_bytes(), offset.to_le_bytes()].concat());
    out.extend_from_slice(&[0, 0]);
    out
}

/// The archive of these files, in this order. `None`: a file is of 4 GiB or more.
pub(crate) fn write<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>) -> Option<Vec<u8>> {
    let (mut out, mut entries) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let bytes = u32::try_from(content.len()).ok()?;
        let entry = Entry { name, bytes, crc32: crc32fast::hash(content) };
        out.extend_from_slice(&entry.local_header());
        out.extend_from_slice(content);
        entries.push(entry);
    }
    out.extend_from_slice(&directory(entries));
    Some(out)
}

/// The files of an archive of our form, in their order: each name once or more, whoever calls judges that. `None`: it has another form,
/// or more than `files_max` files.
pub(crate) fn read(archive: &[u8], files_max: usize) -> Option<Vec<(&str, &[u8])>> {
    let (mut rest, mut files) = (archive, Vec::new());
    while let Some((header, behind)) = rest.split_at_checked(HEADER_BYTES)
        && header.starts_with(b"PK\x03\x04")
    {
        let number = |from: usize| Some(u32::from_le_bytes(*header.get(from..)?.first_chunk()?) as usize);
        let (name, behind) = behind.split_at_checked(number(26)? & 0xffff)?;
        let (content, behind) = behind.split_at_checked(number(22)?)?;
        files.push((std::str::from_utf8(name).ok()?, content));
        if files.len() > files_max {
            return None;
        }
        rest = behind;
    }
    // The last word: only what the one writer makes is the form.
    (write(files.iter().copied())? == archive).then_some(files)
}

/// A local header without its name.
pub(crate) const HEADER_BYTES: usize = 30;
/// Version 1.0 of the format: no folders, no extensions.
const VERSION: [u8; 2] = [10, 0];

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [(&str, &[u8]); 3] = [("a.txt", b"first"), ("b/c.xml", b""), ("d", b"PK\x03\x04 inside")];

    #[test]
    fn what_is_written_is_read_back() {
        let archive = write(FILES.into_iter()).unwrap();
        assert_eq!(read(&archive, 3).unwrap(), FILES);
        assert!(read(&archive, 2).is_none(), "more files than allowed");
        assert!(read(&write(std::iter::empty()).unwrap(), 0).unwrap().is_empty());
    }

    #[test]
    fn no_flipped_missing_or_added_byte_is_read_as_another_archive() {
        let archive = write(FILES.into_iter()).unwrap();
        for at in 0..archive.len() {
            for bit in 0..8 {
                let mut changed = archive.clone();
                changed[at] ^= 1 << bit;
                assert!(read(&changed, 9).is_none_or(|files| files != FILES), "bit {bit} of byte {at}");
            }
            assert!(read(&archive[..at], 9).is_none(), "cut at {at}");
            let added = [&archive[..at], b"x", &archive[at..]].concat();
            assert!(read(&added, 9).is_none(), "a byte added at {at}");
        }
        assert!(read(&[&archive[..], b"x"].concat(), 9).is_none());
    }
}
