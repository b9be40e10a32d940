//! The one writer: takes what waits, writes it at once, syncs once, then answers everybody.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use erds::Record;
use tokio::sync::{mpsc, oneshot};

use crate::log::{Durable, Log, Tail};
use crate::seal;
use crate::segment::{self, FRAME_BYTES_MAX, SALT_BYTES};
use crate::{AppendError, Appended, Entry, Options, Position, Recorded, UniqueKey};

/// Requests that wait for the writer; beyond it, senders wait to hand theirs over.
pub(crate) const QUEUE_MAX: usize = 1024;
/// Records of one commit.
const BATCH_RECORDS_MAX: usize = 512;
/// Frames of one record, and the length of a frame's name.
const FRAMES_MAX: usize = 64;
const FRAME_NAME_BYTES_MAX: usize = 256;
/// Keys that one record may claim.
const UNIQUE_KEYS_MAX: usize = 16;
/// Bytes of one commit, roughly.
const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;

/// At least what a frame takes beyond its payload.
const FRAMING_BYTES: usize = 64;

/// Room is taken in parts of a segment, of at most so many bytes; in small segments there is none.
const ROOM_PARTS: u64 = 16;
const ROOM_BYTES_MAX: u64 = 4 * 1024 * 1024;
const ROOMY_SEGMENT_BYTES_MIN: u64 = 2 * 1024 * 1024;

type Answer = oneshot::Sender<Result<Appended, AppendError>>;

/// An entry that waits to be durable, and who waits for it.
pub(crate) struct Waiting {
    entry: Entry,
    /// Its facts, encoded.
    body: Vec<u8>,
    answer: Answer,
}

impl Waiting {
    /// # Errors
    /// `TooLarge`: nothing of it may be written.
    pub(crate) fn new(entry: Entry, answer: Answer) -> Result<Self, AppendError> {
        let too_large = |what: String| AppendError::TooLarge(what);
        if let Some(frame) = entry.frames.iter().find(|frame| frame.ciphertext.len() > FRAME_BYTES_MAX) {
            return Err(too_large(format!("frame {} of {} bytes", frame.name, frame.ciphertext.len())));
        }
        if entry.frames.len() > FRAMES_MAX
            || entry.frames.iter().any(|frame| frame.name.len() > FRAME_NAME_BYTES_MAX)
        {
            return Err(too_large(format!("{} frames, or a frame with too long a name", entry.frames.len())));
        }
        if entry.unique_keys.len() > UNIQUE_KEYS_MAX {
            return Err(too_large(format!("{} unique keys", entry.unique_keys.len())));
        }
        let body = segment::encode_body(&entry).map_err(|error| too_large(error.to_string()))?;
        Ok(Self { entry, body, answer })
    }

    /// Of its facts and frames; framing comes on top.
    fn bytes(&self) -> usize {
        self.body.len() + self.entry.frames.iter().map(|frame| frame.ciphertext.len()).sum::<usize>()
    }
}

pub(crate) fn start(
    log: Arc<Log>,
    tail: Tail,
    mut waiting: mpsc::Receiver<Waiting>,
    options: Options,
) -> io::Result<std::thread::JoinHandle<()>> {
    let (closed, to_seal) = std::sync::mpsc::channel();
    let sealer = {
        let log = log.clone();
        std::thread::Builder::new().name("journal-seal".into()).spawn(move || seal::run(&log, &to_seal))?
    };
    let writer = move || {
        write(Writer { log, tail, closed, options }, &mut waiting);
        // The folder is free once this thread has ended.
        let _ = sealer.join();
    };
    std::thread::Builder::new().name("journal".into()).spawn(writer)
}

/// Commits what waits until nobody can append any more, or the disk failed.
fn write(mut writer: Writer, waiting: &mut mpsc::Receiver<Waiting>) {
    while let Some(first) = waiting.blocking_recv() {
        let batch = collect(first, waiting);
        let Err((answers, error)) = writer.commit(batch) else { continue };
        // After a failed write or sync the kernel may have dropped the pages: nothing can be known any more.
        let reason = error.to_string();
        tracing::error!(event = "journal.stopped", reason);
        // Before anybody is answered: whoever hears "nothing was accepted" might act on it, and what was written may be on the
        // disk all the same.
        (writer.options.on_fatal)(&format!("journal: {reason}"));
        for answer in answers {
            let _ = answer.send(Err(AppendError::Stopped(reason.clone())));
        }
        waiting.close();
        while let Some(late) = waiting.blocking_recv() {
            let _ = late.answer.send(Err(AppendError::Stopped(reason.clone())));
        }
        return;
    }
}

fn collect(first: Waiting, waiting: &mut mpsc::Receiver<Waiting>) -> Vec<Waiting> {
    let mut bytes = first.bytes();
    let mut batch = vec![first];
    while batch.len() < BATCH_RECORDS_MAX && bytes < BATCH_BYTES_MAX {
        let Ok(next) = waiting.try_recv() else { break };
        bytes += next.bytes();
        batch.push(next);
    }
    batch
}

struct Writer {
    log: Arc<Log>,
    tail: Tail,
    /// Who seals, told of each segment that is closed.
    closed: std::sync::mpsc::Sender<()>,
    options: Options,
}

/// What is to be answered once the batch is durable.
enum Outcome {
    Record(Box<Record>),
    Existing(Position),
}

impl Writer {
    fn commit(&mut self, batch: Vec<Waiting>) -> Result<(), (Vec<Answer>, io::Error)> {
        let (first, segment_first) = self.log.read_state(|state| (state.tree.size(), state.open.first));
        if self.tail.offset >= self.options.segment_bytes_max && first > segment_first {
            let next =
                self.tail.file.length().and_then(|bytes| self.log.next_segment(first, bytes, &self.closed));
            match next {
                Ok(tail) => self.tail = tail,
                Err(error) => {
                    let taken_back = is_full(&error) && self.log.take_back_segment(first).is_ok();
                    let answers = batch.into_iter().map(|waiting| waiting.answer);
                    return if taken_back { full(answers) } else { Err((answers.collect(), error)) };
                }
            }
        }
        let framing = batch.iter().map(|waiting| FRAMING_BYTES * (1 + waiting.entry.frames.len()));
        let room = batch.iter().map(Waiting::bytes).chain(framing).sum();
        let mut bytes = Vec::with_capacity(room);
        let mut records = Vec::with_capacity(batch.len());
        let mut claimed: HashMap<UniqueKey, Position> = HashMap::new();
        let mut outcomes: Vec<(Answer, Outcome)> = Vec::with_capacity(batch.len());
        let mut salts = vec![0; batch.len() * SALT_BYTES];
        if let Err(error) = pki::random::fill(&mut salts) {
            let answers = batch.into_iter().map(|waiting| waiting.answer);
            answers.for_each(|answer| drop(answer.send(Err(AppendError::Stopped(error.to_string())))));
            return Ok(());
        }
        let mut waiting = batch.into_iter().zip(salts.chunks_exact(SALT_BYTES));
        while let Some((Waiting { entry, body, answer }, salt)) = waiting.next() {
            match self.holder(&entry.unique_keys, &claimed) {
                Ok(None) => {}
                Ok(Some(position)) => {
                    outcomes.push((answer, Outcome::Existing(position)));
                    continue;
                }
                // Whether it is a duplicate cannot be known: nothing of the batch was written yet, and nothing is.
                Err(error) => {
                    let answered = outcomes.into_iter().map(|(answer, _)| answer);
                    let rest = waiting.map(|(waiting, _)| waiting.answer);
                    return Err((answered.chain([answer]).chain(rest).collect(), error));
                }
            }
            let position = first + records.len() as Position;
            let offset = self.tail.offset + bytes.len() as u64;
            let hash = segment::push_group(&mut bytes, (&body, &entry.frames), first, position, salt);
            claimed.extend(entry.unique_keys.iter().map(|key| (*key, position)));
            records.push(Durable { offset, entry: hash, keys: entry.unique_keys });
            outcomes.push((answer, Outcome::Record(Box::new(entry.record))));
        }
        if !bytes.is_empty() {
            self.make_room(bytes.len() as u64);
            // A crash in here leaves a torn tail at most: nobody was answered, and the next start cuts it.
            if let Err(error) = self.tail.file.write_at(self.tail.offset, &bytes) {
                return match is_full(&error) && self.take_back().is_ok() {
                    true => answer_full(outcomes, first),
                    false => Err((outcomes.into_iter().map(|(answer, _)| answer).collect(), error)),
                };
            }
            if let Err(error) = self.tail.file.sync_data() {
                return Err((outcomes.into_iter().map(|(answer, _)| answer).collect(), error));
            }
            self.tail.offset += bytes.len() as u64;
        }
        let mut recorded = (first..).zip(self.log.publish(records));
        for (answer, outcome) in outcomes {
            let appended = match outcome {
                Outcome::Existing(position) => Appended::Existing(position),
                Outcome::Record(record) => {
                    let Some((position, leaf_hash)) = recorded.next() else { continue };
                    Appended::Recorded(Recorded { position, leaf_hash, record: *record })
                }
            };
            // Who no longer waits finds the record again by its keys.
            let _ = answer.send(Ok(appended));
        }
        Ok(())
    }
}

impl Writer {
    /// Who holds one of the keys already, the batch before it included.
    fn holder(
        &self,
        keys: &[UniqueKey],
        claimed: &HashMap<UniqueKey, Position>,
    ) -> io::Result<Option<Position>> {
        for key in keys {
            let holder = match claimed.get(key) {
                Some(position) => Some(*position),
                None => self.log.find(key)?,
            };
            if holder.is_some() {
                return Ok(holder);
            }
        }
        Ok(None)
    }

    /// Takes room for what is to be written and more, up to the segment's size. Without it the write itself lengthens the file:
    /// slower, and no worse.
    fn make_room(&mut self, bytes: u64) {
        let (needed, limit) = (self.tail.offset + bytes, self.options.segment_bytes_max);
        if limit < ROOMY_SEGMENT_BYTES_MIN || needed <= self.tail.room_end {
            return;
        }
        let room_end = (needed + (limit / ROOM_PARTS).min(ROOM_BYTES_MAX)).min(limit);
        if room_end > needed && self.tail.file.allocate(room_end).is_ok() {
            self.tail.room_end = room_end;
        }
    }

    /// After a write that found the disk full: nothing of it was synced or answered, so the segment ends where it did.
    fn take_back(&mut self) -> io::Result<()> {
        self.tail.file.truncate(self.tail.offset)?;
        self.tail.room_end = self.tail.offset;
        self.tail.file.sync_data()
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn full(answers: impl Iterator<Item = Answer>) -> Result<(), (Vec<Answer>, io::Error)> {
    for answer in answers {
        let _ = answer.send(Err(AppendError::Full));
    }
    Ok(())
}

/// Nothing of the batch was written; what existed before it still does.
fn answer_full(outcomes: Vec<(Answer, Outcome)>, first: Position) -> Result<(), (Vec<Answer>, io::Error)> {
    for (answer, outcome) in outcomes {
        let answered = match outcome {
            Outcome::Existing(position) if position < first => Ok(Appended::Existing(position)),
            _ => Err(AppendError::Full),
        };
        let _ = answer.send(answered);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use disk::{Disk, ForgetfulDisk, OpenMode, read_exactly};
    use erds::record::Control;

    use super::*;
    use crate::Frame;
    use crate::open::open;

    const DIR: &str = "j";

    fn options() -> Options {
        Options { origin: "one".into(), segment_bytes_max: 1 << 20, on_fatal: Arc::new(|_| ()) }
    }

    fn entry(number: u8) -> Entry {
        let record = Record::Control(Control {
            at: jiff::Timestamp::UNIX_EPOCH,
            action: "test".into(),
            ticket: None,
            detail: number.to_string(),
        });
        let frames = vec![Frame { name: "f".into(), ciphertext: vec![number; 5] }];
        Entry { record, frames, unique_keys: Vec::new() }
    }

    /// A segment of writes of `batches` records each: the file's header, and each record's bytes.
    fn written(batches: &[usize]) -> (Vec<u8>, Vec<Vec<u8>>) {
        let disk = ForgetfulDisk::new();
        let (log, tail, _) = open(Arc::new(disk.clone()), Path::new(DIR), &options(), None).unwrap();
        let log = Arc::new(log);
        let mut offsets = Vec::new();
        let (closed, _to_seal) = std::sync::mpsc::channel();
        let mut writer = Writer { log, tail, closed, options: options() };
        let header = writer.tail.offset as usize;
        for records in batches {
            let (answers, mut answered): (Vec<_>, Vec<_>) = (0..*records).map(|_| oneshot::channel()).unzip();
            let first = writer.log.root().0 as usize;
            let waiting = (first..).zip(answers);
            let batch = waiting.map(|(at, answer)| Waiting::new(entry(at as u8), answer).unwrap());
            writer.commit(batch.collect()).map_err(|(_, error)| error).unwrap();
            assert!(
                answered.iter_mut().all(|answer| matches!(answer.try_recv(), Ok(Ok(Appended::Recorded(_)))))
            );
        }
        offsets.extend(
            writer.log.read_state(|state| state.open.places.clone()).iter().map(|offset| *offset as usize),
        );
        let file = disk.open(&Path::new(DIR).join(format!("{:020}.seg", 0)), OpenMode::Read).unwrap();
        let bytes = read_exactly(file.as_ref(), 0, file.length().unwrap() as usize).unwrap();
        offsets.push(bytes.len());
        let groups = offsets.windows(2).map(|ends| bytes[ends[0]..ends[1]].to_vec()).collect();
        (bytes[..header].to_vec(), groups)
    }

    /// Refused by start and by verification alike, with the same words about the same record.
    fn check(header: &[u8], groups: &[Vec<u8>], position: Position, expected: &str) {
        let disk = ForgetfulDisk::new();
        disk.create_dir_all(Path::new(DIR)).unwrap();
        let path = Path::new(DIR).join(format!("{:020}.seg", 0));
        let mut file = disk.open(&path, OpenMode::CreateNew).unwrap();
        file.write_at(0, &[header.to_vec(), groups.concat()].concat()).unwrap();
        let opened = open(Arc::new(disk.clone()), Path::new(DIR), &options(), None).map(|_| ()).unwrap_err();
        let crate::OpenError::Damaged { position: at, what, .. } = opened else { panic!("{opened}") };
        assert_eq!((at, what.as_str()), (position, expected));
        let verified = crate::verify(&disk, Path::new(DIR), "one", &mut |_| Ok(())).unwrap_err();
        let crate::VerifyError::Damaged { position: at, what, .. } = verified else { panic!("{verified}") };
        assert_eq!((at, what.as_str()), (position, expected));
    }

    #[test]
    fn a_record_stands_at_its_own_place_or_the_journal_is_refused() {
        for batches in [&[1, 1, 1, 1][..], &[4], &[1, 3], &[2, 2]] {
            let (header, groups) = written(batches);
            let stands = |is: usize, belongs: usize| {
                format!("here stands record {is}, where record {belongs} belongs")
            };
            for one in 0..4 {
                let mut copied = groups.clone();
                copied.push(groups[one].clone());
                check(&header, &copied, 4, &stands(one, 4));

                if one < 3 {
                    let mut missing = groups.clone();
                    missing.remove(one);
                    check(&header, &missing, one as u64, &stands(one + 1, one));
                }
                for other in one + 1..4 {
                    let mut swapped = groups.clone();
                    swapped.swap(one, other);
                    check(&header, &swapped, one as u64, &stands(other, one));

                    let mut replaced = groups.clone();
                    replaced[one] = groups[other].clone();
                    check(&header, &replaced, one as u64, &stands(other, one));
                }
            }
        }
    }

    #[test]
    fn the_entry_covers_the_position() {
        let encoded = |position| segment::push_group(&mut Vec::new(), (b"{}", &[]), 0, position, &[7; 32]);
        assert_ne!(encoded(0), encoded(1));
    }
}
