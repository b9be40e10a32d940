//! Sorted runs: which number belongs to a key, on the disk and hardly in memory. Each is over a span of things that are numbered in order.
//!
//! ```text
//! run    = head bucket* entry*                            FIRST-END.keys
//! head   = "EPOSTKY1" first:u64 end:u64 mark:32 keys:u64 buckets:u64 crc32c:u32
//! bucket = start:u64 crc32c:u32                           one more than there are buckets: the last one's end
//! entry  = key:KEY number:u64
//! ```
//! Numbers are little-endian. Entries stand in the order of a hash of their keys, and a bucket has those of one range of it: a look-up
//! reads one bucket, about eight entries. A run is written once, and never changed; the bucket's checksum covers its
//! number, so that a wrong start is found like a wrong entry. Derived: made again from what it was made of where it is gone.

use std::collections::BinaryHeap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Disk, DiskFile, OpenMode, read_exactly};

const MAGIC: &[u8; 8] = b"EPOSTKY1";
const HEAD_BYTES: usize = 8 + 8 + 8 + 32 + 8 + 8 + 4;
const BUCKET_BYTES: u64 = 12;
const NUMBER_BYTES: usize = 8;
/// How many entries a bucket has, about.
const BUCKET_KEYS: u64 = 8;
/// Buckets that a merge reads at once.
const BUCKETS_AT_ONCE: u64 = 512;
/// What is written before it is synced: one large write-back would stall the journal's own syncs.
const UNSYNCED_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What is gathered before it is written.
const BUFFER_BYTES: usize = 256 * 1024;

/// A key, and its number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry<const KEY: usize> {
    /// The key.
    pub key: [u8; KEY],
    /// What it leads to.
    pub number: u64,
}

/// Which numbers a run covers, and what it is of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span {
    /// The first number.
    pub first: u64,
    /// The one behind the last.
    pub end: u64,
    /// What tells the things that it was made of from others: the maker judges it.
    pub mark: [u8; 32],
}

/// A run, open to be asked. What it gives passed a checksum; whether it is the run of these things its [`Span`] says.
pub struct Run<const KEY: usize> {
    /// What it covers.
    pub span: Span,
    /// Where it lies.
    pub path: PathBuf,
    file: Box<dyn DiskFile>,
    keys: u64,
    buckets: u64,
}

/// Entries are in the order of this: keys are random mostly, but nothing here relies on it.
pub fn order<const KEY: usize>(key: &[u8; KEY]) -> u64 {
    let (words, rest) = key.as_chunks::<8>();
    let mix = |hash: u64, word: u64| (hash.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut mixed = words.iter().fold(0, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    if !rest.is_empty() {
        mixed = mix(mixed, rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
    }
    (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

/// The bucket of an order: ranges of equal size, so that buckets are in the entries' order.
fn bucket_of(order: u64, buckets: u64) -> u64 {
    ((u128::from(order) * u128::from(buckets)) >> 64) as u64
}

fn checksum(bucket: u64, entries: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bucket.to_le_bytes()), entries)
}

/// Where the runs of a folder lie, with first and end as their names say.
///
/// # Errors
/// The disk's.
pub fn paths(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<(u64, u64, PathBuf)>> {
    let named = |path: PathBuf| {
        let (first, end) = path.file_name()?.to_str()?.strip_suffix(".keys")?.split_once('-')?;
        Some((first.parse().ok()?, end.parse().ok()?, path))
    };
    Ok(disk.list(dir)?.into_iter().filter_map(named).collect())
}

impl<const KEY: usize> Run<KEY> {
    const ENTRY_BYTES: u64 = (KEY + NUMBER_BYTES) as u64;

    /// Opens a run; none where it is absent, or its head is not whole.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(disk: &dyn Disk, path: &Path) -> io::Result<Option<Self>> {
        let file = match disk.open(path, OpenMode::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let length = file.length()?;
        if length < HEAD_BYTES as u64 {
            return Ok(None);
        }
        let head = read_exactly(file.as_ref(), 0, HEAD_BYTES)?;
        let Some((span, keys, buckets)) = decode_head(&head) else { return Ok(None) };
        let entries = keys.checked_mul(Self::ENTRY_BYTES);
        let expected = entries.and_then(|bytes| bytes.checked_add(entries_begin(buckets)?));
        let whole = expected == Some(length) && buckets == buckets_for(keys);
        Ok(whole.then(|| Self { span, path: path.to_owned(), file, keys, buckets }))
    }

    /// How many keys it holds.
    pub fn keys(&self) -> u64 {
        self.keys
    }

    /// The number of `key`, if it has one here; where it has several, that of the oldest run.
    ///
    /// # Errors
    /// `InvalidData`: the bucket is damaged. The disk's.
    pub fn find(&self, key: &[u8; KEY]) -> io::Result<Option<u64>> {
        Ok(self.find_all(key)?.next())
    }

    /// Each number that `key` has here.
    ///
    /// # Errors
    /// As [`Run::find`].
    pub fn find_all(&self, key: &[u8; KEY]) -> io::Result<impl Iterator<Item = u64>> {
        let bucket = bucket_of(order(key), self.buckets);
        let (entries, _) = self.read(bucket, 1)?;
        Ok(entries.into_iter().filter(move |entry| entry.key == *key).map(|entry| entry.number))
    }

    /// The entries of some buckets, and how many buckets these are.
    fn read(&self, first: u64, count: u64) -> io::Result<(Vec<Entry<KEY>>, u64)> {
        let damaged = || {
            let what =
                format!("{} is damaged; it is derived: the next start makes it again", self.path.display());
            io::Error::new(io::ErrorKind::InvalidData, what)
        };
        let count = count.min(self.buckets.saturating_sub(first));
        let at = HEAD_BYTES as u64 + first * BUCKET_BYTES;
        let table = read_exactly(self.file.as_ref(), at, ((count + 1) * BUCKET_BYTES) as usize)?;
        let table: Vec<(u64, u32)> =
            table.as_chunks::<{ BUCKET_BYTES as usize }>().0.iter().map(read_bucket).collect();
        let (Some((begin, _)), Some((end, _))) = (table.first(), table.last()) else { return Err(damaged()) };
        let ends = first + count == self.buckets;
        if begin > end
            || *end > self.keys
            || (ends && table.last() != Some(&(self.keys, checksum(self.buckets, &[]))))
        {
            return Err(damaged());
        }
        let at = entries_begin(self.buckets).ok_or_else(damaged)? + begin * Self::ENTRY_BYTES;
        let bytes = read_exactly(self.file.as_ref(), at, ((end - begin) * Self::ENTRY_BYTES) as usize)?;
        for (number, pair) in (first..).zip(table.windows(2)) {
            let [(from, stated), (to, _)] = pair else { return Err(damaged()) };
            let place = |start: &u64| Some((start.checked_sub(*begin)? * Self::ENTRY_BYTES) as usize);
            let entries = place(from).zip(place(to)).and_then(|(from, to)| bytes.get(from..to));
            if entries.map(|entries| checksum(number, entries)) != Some(*stated) {
                return Err(damaged());
            }
        }
        let entries = bytes.chunks_exact(Self::ENTRY_BYTES as usize).filter_map(read_entry).collect();
        Ok((entries, count))
    }
}

fn read_bucket(bytes: &[u8; BUCKET_BYTES as usize]) -> (u64, u32) {
    let (start, crc) = bytes.split_at(8);
    (
        start.try_into().map(u64::from_le_bytes).unwrap_or_default(),
        crc.try_into().map(u32::from_le_bytes).unwrap_or_default(),
    )
}

fn read_entry<const KEY: usize>(bytes: &[u8]) -> Option<Entry<KEY>> {
    let (key, number) = bytes.split_first_chunk()?;
    Some(Entry { key: *key, number: u64::from_le_bytes(number.try_into().ok()?) })
}

fn buckets_for(keys: u64) -> u64 {
    keys.div_ceil(BUCKET_KEYS).max(1)
}

fn entries_begin(buckets: u64) -> Option<u64> {
    buckets.checked_add(1)?.checked_mul(BUCKET_BYTES)?.checked_add(HEAD_BYTES as u64)
}

fn encode_head(span: &Span, keys: u64) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(span.first.to_le_bytes());
    bytes.extend(span.end.to_le_bytes());
    bytes.extend(span.mark);
    bytes.extend(keys.to_le_bytes());
    bytes.extend(buckets_for(keys).to_le_bytes());
    let crc = crc32c::crc32c(&bytes);
    bytes.extend(crc.to_le_bytes());
    bytes
}

fn decode_head(head: &[u8]) -> Option<(Span, u64, u64)> {
    let (checked, crc) = head.split_last_chunk::<4>()?;
    if crc32c::crc32c(checked).to_le_bytes() != *crc {
        return None;
    }
    let (first, rest) = checked.strip_prefix(MAGIC)?.split_first_chunk()?;
    let (end, rest) = rest.split_first_chunk()?;
    let (mark, rest) = rest.split_first_chunk()?;
    let (keys, buckets) = rest.split_first_chunk()?;
    let span = Span { first: u64::from_le_bytes(*first), end: u64::from_le_bytes(*end), mark: *mark };
    Some((span, u64::from_le_bytes(*keys), u64::from_le_bytes(buckets.try_into().ok()?)))
}

/// Writes the run of so many entries, which come in their [`order`]; durable under its name when this returns.
///
/// # Errors
/// The disk's: there is no such run then.
pub fn write<const KEY: usize>(
    disk: &dyn Disk,
    dir: &Path,
    span: Span,
    count: usize,
    mut entries: impl Iterator<Item = Entry<KEY>>,
) -> io::Result<Run<KEY>> {
    let mut writer = Writer::begin(disk, dir, span, count as u64)?;
    entries.try_for_each(|entry| writer.push(&entry, &mut || Ok(())))?;
    writer.end(disk, dir)
}

/// Writes one run of many that follow one another; `pause` is called now and then, and may end it.
///
/// # Errors
/// `InvalidData`: one of them is damaged. What `pause` says; the disk's.
pub fn merge<const KEY: usize>(
    disk: &dyn Disk,
    dir: &Path,
    runs: &[Arc<Run<KEY>>],
    pause: &mut dyn FnMut() -> io::Result<()>,
) -> io::Result<Run<KEY>> {
    let (Some(oldest), Some(newest)) = (runs.first(), runs.last()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let span = Span { first: oldest.span.first, ..newest.span };
    let mut writer = Writer::begin(disk, dir, span, runs.iter().map(|run| run.keys).sum())?;
    let mut readers: Vec<Reader<KEY>> = runs.iter().map(|run| Reader::new(run.clone())).collect();
    let mut heads = BinaryHeap::new();
    for (number, reader) in readers.iter_mut().enumerate() {
        heads.extend(reader.next()?.map(|entry| Head { entry, number }));
    }
    while let Some(Head { entry, number }) = heads.pop() {
        writer.push(&entry, pause)?;
        let Some(reader) = readers.get_mut(number) else { continue };
        heads.extend(reader.next()?.map(|entry| Head { entry, number }));
    }
    writer.end(disk, dir)
}

/// A run's first entry that was not merged yet.
#[derive(Eq, PartialEq)]
struct Head<const KEY: usize> {
    entry: Entry<KEY>,
    number: usize,
}

impl<const KEY: usize> Ord for Head<KEY> {
    /// The lowest is popped first.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let rank = |head: &Self| (order(&head.entry.key), head.entry.key, head.number);
        rank(other).cmp(&rank(self))
    }
}

impl<const KEY: usize> PartialOrd for Head<KEY> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Gives a run's entries in their order, each bucket's checksum judged.
struct Reader<const KEY: usize> {
    run: Arc<Run<KEY>>,
    bucket: u64,
    entries: std::vec::IntoIter<Entry<KEY>>,
}

impl<const KEY: usize> Reader<KEY> {
    fn new(run: Arc<Run<KEY>>) -> Self {
        Self { run, bucket: 0, entries: Vec::new().into_iter() }
    }

    fn next(&mut self) -> io::Result<Option<Entry<KEY>>> {
        loop {
            if let Some(entry) = self.entries.next() {
                return Ok(Some(entry));
            }
            if self.bucket >= self.run.buckets {
                return Ok(None);
            }
            let (entries, buckets) = self.run.read(self.bucket, BUCKETS_AT_ONCE)?;
            self.bucket += buckets;
            self.entries = entries.into_iter();
        }
    }
}

/// Writes a run front to back, table and entries side by side, holding none of it.
struct Writer<const KEY: usize> {
    file: Box<dyn DiskFile>,
    new: PathBuf,
    span: Span,
    keys: u64,
    buckets: u64,
    /// The bucket that is being filled, where it starts, and its entries.
    bucket: u64,
    start: u64,
    filling: Vec<u8>,
    table: Stretch,
    entries: Stretch,
    unsynced_bytes: usize,
}

/// Bytes that follow one another, gathered before they are written.
struct Stretch {
    at: u64,
    bytes: Vec<u8>,
}

impl Stretch {
    fn flush(&mut self, file: &mut dyn DiskFile) -> io::Result<usize> {
        let bytes = self.bytes.len();
        file.write_at(self.at, &self.bytes)?;
        self.at += bytes as u64;
        self.bytes.clear();
        Ok(bytes)
    }
}

impl<const KEY: usize> Writer<KEY> {
    fn begin(disk: &dyn Disk, dir: &Path, span: Span, keys: u64) -> io::Result<Self> {
        let new = dir.join("keys.new");
        let mut file = disk.open(&new, OpenMode::Write)?;
        file.truncate(0)?;
        file.write_at(0, &encode_head(&span, keys))?;
        let buckets = buckets_for(keys);
        let begin = entries_begin(buckets).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(Self {
            file,
            new,
            span,
            keys,
            buckets,
            bucket: 0,
            start: 0,
            filling: Vec::new(),
            table: Stretch { at: HEAD_BYTES as u64, bytes: Vec::new() },
            entries: Stretch { at: begin, bytes: Vec::new() },
            unsynced_bytes: 0,
        })
    }

    fn push(&mut self, entry: &Entry<KEY>, pause: &mut dyn FnMut() -> io::Result<()>) -> io::Result<()> {
        let bucket = bucket_of(order(&entry.key), self.buckets);
        while self.bucket < bucket {
            self.end_bucket()?;
        }
        self.filling.extend_from_slice(&entry.key);
        self.filling.extend_from_slice(&entry.number.to_le_bytes());
        if self.unsynced_bytes > UNSYNCED_BYTES_MAX {
            self.file.sync_data()?;
            self.unsynced_bytes = 0;
            pause()?;
        }
        Ok(())
    }

    fn end_bucket(&mut self) -> io::Result<()> {
        self.table.bytes.extend(self.start.to_le_bytes());
        self.table.bytes.extend(checksum(self.bucket, &self.filling).to_le_bytes());
        self.start += self.filling.len() as u64 / Run::<KEY>::ENTRY_BYTES;
        self.bucket += 1;
        self.entries.bytes.append(&mut self.filling);
        for stretch in [&mut self.table, &mut self.entries] {
            if stretch.bytes.len() > BUFFER_BYTES {
                self.unsynced_bytes += stretch.flush(self.file.as_mut())?;
            }
        }
        Ok(())
    }

    fn end(mut self, disk: &dyn Disk, dir: &Path) -> io::Result<Run<KEY>> {
        while self.bucket < self.buckets {
            self.end_bucket()?;
        }
        self.table.bytes.extend(self.start.to_le_bytes());
        self.table.bytes.extend(checksum(self.buckets, &[]).to_le_bytes());
        self.table.flush(self.file.as_mut())?;
        self.entries.flush(self.file.as_mut())?;
        self.file.sync_data()?;
        let path = dir.join(format!("{:020}-{:020}.keys", self.span.first, self.span.end));
        disk.rename(&self.new, &path)?;
        disk.sync_dir(dir)?;
        let file = disk.open(&path, OpenMode::Read)?;
        Ok(Run { span: self.span, path, file, keys: self.keys, buckets: self.buckets })
    }
}

#[cfg(test)]
mod tests {
    use disk::ForgetfulDisk;

    use super::*;

    const DIR: &str = "j";

    /// No whole words.
    const KEY: usize = 13;

    fn key(number: u64) -> [u8; KEY] {
        let mut key = [0; KEY];
        key[KEY - 8..].copy_from_slice(&number.to_be_bytes());
        key
    }

    fn run(disk: &ForgetfulDisk, first: u64, end: u64) -> Run<KEY> {
        let entries = (first..end).map(|number| Entry { key: key(number), number });
        let mut entries: Vec<Entry<KEY>> = entries.collect();
        entries.sort_unstable_by_key(|entry| (order(&entry.key), entry.key));
        let span = Span { first, end, mark: [end as u8; 32] };
        write(disk, Path::new(DIR), span, entries.len(), entries.into_iter()).unwrap()
    }

    fn holds(run: &Run<KEY>, first: u64, end: u64) {
        assert_eq!((run.span.first, run.span.end, run.keys()), (first, end, end - first));
        for number in first.saturating_sub(50)..end + 50 {
            let expected = (first..end).contains(&number).then_some(number);
            assert_eq!(run.find(&key(number)).unwrap(), expected, "{number}");
        }
    }

    #[test]
    fn what_was_written_is_found_and_nothing_else() {
        let disk = ForgetfulDisk::new();
        for (first, end) in [(0, 0), (0, 1), (5, 12), (7, 3000)] {
            let made = run(&disk, first, end);
            holds(&made, first, end);
            let opened = Run::<KEY>::open(&disk, &made.path).unwrap().unwrap();
            assert_eq!(opened.span, made.span);
            holds(&opened, first, end);
        }
    }

    #[test]
    fn merged_runs_hold_what_each_of_them_held() {
        let disk = ForgetfulDisk::new();
        let bounds = [0, 40, 40, 41, 2000, 9000];
        let runs: Vec<_> = bounds.windows(2).map(|pair| Arc::new(run(&disk, pair[0], pair[1]))).collect();
        let merged = merge(&disk, Path::new(DIR), &runs, &mut || Ok(())).unwrap();
        holds(&merged, 0, 9000);
        assert_eq!(merged.span.mark, [9000u64 as u8; 32]);
        holds(&Run::<KEY>::open(&disk, &merged.path).unwrap().unwrap(), 0, 9000);
    }

    #[test]
    fn a_changed_byte_is_found_by_who_reads_it_and_no_key_moves() {
        let disk = ForgetfulDisk::new();
        let made = run(&disk, 0, 60);
        let length = disk.open(&made.path, OpenMode::Read).unwrap().length().unwrap();
        for byte in 0..length as usize {
            disk.flip(&made.path, byte);
            if let Some(run) = Run::<KEY>::open(&disk, &made.path).unwrap() {
                let answers: Vec<_> = (0..60).map(|number| run.find(&key(number))).collect();
                let right = (0..60).zip(&answers).all(|(number, found)| match found {
                    Ok(found) => *found == Some(number),
                    Err(_) => true,
                });
                assert!(right && answers.iter().any(Result::is_err), "{byte}");
                let merged = merge(&disk, Path::new("k"), &[Arc::new(run)], &mut || Ok(()));
                assert!(merged.is_err(), "{byte}");
            } else {
                assert!(byte < HEAD_BYTES, "{byte}");
            }
            disk.flip(&made.path, byte);
        }
    }

    #[test]
    fn a_merge_may_be_ended_and_leaves_no_run() {
        let disk = ForgetfulDisk::new();
        let runs = [Arc::new(run(&disk, 0, 120_000)), Arc::new(run(&disk, 120_000, 240_000))];
        let ended = merge(&disk, Path::new(DIR), &runs, &mut || Err(io::ErrorKind::Interrupted.into()));
        assert_eq!(ended.err().unwrap().kind(), io::ErrorKind::Interrupted);
        assert_eq!(paths(&disk, Path::new(DIR)).unwrap().len(), 2);
    }
}
