//! The one writer: what waits is written at once and synced once.
//!
//! Who appends encodes his records, puts them in their order and hashes them himself, while the write before is synced: one at a time,
//! each record gets its place, and duplicates are decided. Whoever is alone then writes himself: an append needs no other thread. With
//! others about, the writer's own thread does, so that nobody writes for others again and again.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Semaphore, oneshot};

use crate::batch::{Answer, Batch, Outcomes, Placed, Salts};
use crate::encoded::{Encoded, SHARES_MAX};
use crate::log::{Log, Sealed, Tail};
use crate::seal;
use crate::{AppendError, Options, Position, UniqueKey};

/// Room is taken in parts of a segment, of at most so many bytes; in small segments there is none.
const ROOM_PARTS: u64 = 16;
const ROOM_BYTES_MAX: u64 = 4 * 1024 * 1024;
const ROOMY_SEGMENT_BYTES_MIN: u64 = 2 * 1024 * 1024;
/// So much of the room is filled with zeros together with a write that reaches beyond those before; larger writes gain nothing by it.
const ZEROED_BYTES: u64 = 256 * 1024;
const ZEROED_WRITE_BYTES_MAX: u64 = 64 * 1024;

/// Everything that appending shares.
pub(crate) struct Writing {
    log: Arc<Log>,
    /// Bounds what waits.
    shares: Semaphore,
    /// One at a time gives his records their places and hashes them; the writer does not wait for it.
    placing: Mutex<Salts>,
    queue: Mutex<Queue>,
    /// Told when there is something to write and nobody else writes it.
    work: Condvar,
    writer: Mutex<Writer>,
    on_fatal: Arc<dyn Fn(&str) + Send + Sync>,
}

/// What is to be written next, in its order.
struct Queue {
    batch: Batch,
    /// The keys of the write under way: not durable yet, and not free.
    in_write: HashMap<UniqueKey, Position>,
    /// The writer's thread is to be woken when there is something to write.
    writer_sleeps: bool,
    /// Nobody can append any more.
    closed: bool,
    stopped: Option<String>,
}

struct Writer {
    tail: Tail,
    options: Options,
    /// Who seals, told of each segment that is closed.
    closed: Option<Sender<()>>,
    /// Emptied, for the next batch: nothing is allocated for each.
    spare: Vec<u8>,
}

/// Why a write did not come about.
enum Failed {
    /// The disk is full: nothing of it was written.
    Full,
    /// Nothing can be known any more.
    Stopped(io::Error),
}

/// Starts the threads; joined, the second one has ended, and the first.
pub(crate) fn start(
    log: Arc<Log>,
    tail: Tail,
    options: Options,
) -> io::Result<(Arc<Writing>, std::thread::JoinHandle<()>)> {
    let (closed, to_seal) = std::sync::mpsc::channel();
    let sealer = {
        let log = log.clone();
        std::thread::Builder::new().name("journal-seal".into()).spawn(move || seal::run(&log, &to_seal))?
    };
    let writing = Arc::new(Writing::new(log, tail, closed, options));
    let thread = {
        let writing = writing.clone();
        std::thread::Builder::new().name("journal".into()).spawn(move || {
            writing.run();
            writing.writer().closed = None;
            // The folder is free once this thread has ended.
            let _ = sealer.join();
        })?
    };
    Ok((writing, thread))
}

impl Writing {
    fn new(log: Arc<Log>, tail: Tail, closed: Sender<()>, options: Options) -> Self {
        let batch = Batch::new(log.size(), Vec::new());
        let on_fatal = options.on_fatal.clone();
        Self {
            log,
            shares: Semaphore::new(SHARES_MAX),
            placing: Mutex::default(),
            queue: Mutex::new(Queue {
                batch,
                in_write: HashMap::new(),
                writer_sleeps: false,
                closed: false,
                stopped: None,
            }),
            work: Condvar::new(),
            writer: Mutex::new(Writer { tail, options, closed: Some(closed), spare: Vec::new() }),
            on_fatal,
        }
    }

    /// Appends records in their order, each for itself; when this returns, what became of each is durable.
    pub(crate) async fn append(&self, encoded: Encoded) -> Outcomes {
        let stopped = |_| AppendError::Stopped("the writer has ended".into());
        let shares = encoded.shares();
        // Given back when this ends: what waits in memory is bounded.
        let _shares = self.shares.acquire_many(shares).await;
        let alone = self.shares.available_permits() + shares as usize == SHARES_MAX;
        let (answer, answered) = oneshot::channel();
        self.put(encoded, answer)?;
        self.write_or_have_it_written(alone);
        answered.await.map_err(stopped)?
    }

    /// Gives each record its place in the next write, or finds who holds one of its keys.
    fn put(&self, encoded: Encoded, answer: Answer) -> Result<(), AppendError> {
        // The disk is read before anybody else has to wait.
        let sealed = self.find_sealed(&encoded)?;
        let mut salts = self.placing.lock().unwrap_or_else(PoisonError::into_inner);
        let placed = self.place(encoded, sealed, &mut salts)?;
        self.hand_over(placed, answer)
    }

    /// Places records behind all others: nobody else may, until they are handed over.
    fn place(&self, encoded: Encoded, sealed: Sealed, salts: &mut Salts) -> Result<Placed, AppendError> {
        let (first, holders) = self.next_and_holders(&encoded, sealed)?;
        let salts = salts.take(encoded.entries.len())?;
        Ok(Placed::new(encoded, first, &salts, holders))
    }

    fn hand_over(&self, placed: Placed, answer: Answer) -> Result<(), AppendError> {
        let mut queue = self.queue();
        if let Some(reason) = &queue.stopped {
            return Err(AppendError::Stopped(reason.clone()));
        }
        let next = queue.batch.next();
        if placed.first() != next {
            // The disk was full meanwhile: what these were placed behind was taken back.
            let _ = answer.send(placed.refused(next, &AppendError::Full));
            return Ok(());
        }
        let unused = queue.batch.push(placed, answer);
        drop(queue);
        drop(unused);
        Ok(())
    }

    /// The position that is given next, and of each key who holds it, on the disk or not yet.
    fn next_and_holders(
        &self,
        encoded: &Encoded,
        mut sealed: Sealed,
    ) -> Result<(Position, Vec<Option<Position>>), AppendError> {
        loop {
            let queue = self.queue();
            if let Some(durable) = self.log.find_all(encoded.unique_keys(), &sealed) {
                let holder = |(key, durable): (&UniqueKey, Option<Position>)| {
                    let waiting = queue.batch.claimed.get(key).or_else(|| queue.in_write.get(key));
                    waiting.copied().or(durable)
                };
                let holders = encoded.unique_keys().zip(durable).map(holder).collect();
                return Ok((queue.batch.next(), holders));
            }
            drop(queue);
            // A segment was sealed meanwhile: seldom, and not as fast as it is asked.
            sealed = self.find_sealed(encoded)?;
        }
    }

    /// # Errors
    /// The disk's: whether these are duplicates cannot be known, so nothing goes on.
    fn find_sealed(&self, encoded: &Encoded) -> Result<Sealed, AppendError> {
        self.log.find_sealed(encoded.unique_keys()).map_err(|error| self.stop(&error))
    }

    fn write_or_have_it_written(&self, alone: bool) {
        // A worker of a runtime that has no other one is left to the rest of it.
        let is_only_worker = || {
            Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() != RuntimeFlavor::MultiThread)
        };
        // With others about they are to be in the same write, and its thread goes on with the next one at once: measured, a write that
        // goes from caller to caller waits for each of them to wake.
        if !alone || is_only_worker() {
            self.wake();
            return;
        }
        match self.writer.try_lock() {
            // Who writes now looks at the queue again when he is done: nothing that was put before this is left.
            Err(TryLockError::WouldBlock) => {}
            Ok(writer) => self.write_here(writer),
            Err(TryLockError::Poisoned(poisoned)) => self.write_here(poisoned.into_inner()),
        }
    }

    fn write_here(&self, mut writer: MutexGuard<'_, Writer>) {
        // Outside a runtime, a call like any other.
        tokio::task::block_in_place(|| {
            self.write(&mut writer);
            drop(writer);
        });
        self.wake();
    }

    /// Has what waits written by the writer's thread; it looks by itself, unless it sleeps.
    fn wake(&self) {
        let mut queue = self.queue();
        if !queue.batch.is_empty() && std::mem::take(&mut queue.writer_sleeps) {
            self.work.notify_one();
        }
    }

    /// Writes what nobody else writes, until nobody can append any more.
    fn run(&self) {
        loop {
            let mut queue = self.queue();
            while queue.batch.is_empty() && !queue.closed {
                queue.writer_sleeps = true;
                queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            queue.writer_sleeps = false;
            if queue.batch.is_empty() {
                return;
            }
            drop(queue);
            self.write(&mut self.writer());
        }
    }

    /// Ends the writer's thread once everything that waits is written.
    pub(crate) fn close(&self) {
        self.queue().closed = true;
        self.work.notify_one();
    }

    /// One write, one sync, and everybody whose records it made durable is told.
    fn write(&self, writer: &mut Writer) {
        let mut batch = {
            let mut queue = self.queue();
            if queue.batch.is_empty() {
                return;
            }
            let next = Batch::new(queue.batch.next(), std::mem::take(&mut writer.spare));
            let mut batch = std::mem::replace(&mut queue.batch, next);
            queue.in_write = std::mem::take(&mut batch.claimed);
            batch
        };
        let committed = writer.commit(&self.log, &mut batch);
        writer.spare = batch.take_bytes();
        let answers = match committed {
            Ok(offset) => {
                // Who holds a key is to be found in one of the two at any time.
                let mut queue = self.queue();
                self.log.publish(offset, batch.places(), batch.grown(), queue.in_write.drain());
                drop(queue);
                batch.durable()
            }
            Err(Failed::Full) => self.take_back(batch),
            Err(Failed::Stopped(error)) => {
                let stopped = self.stop(&error);
                let after = std::mem::take(&mut self.queue().batch);
                let first = batch.first();
                batch.refused(first, &stopped).into_iter().chain(after.refused(first, &stopped)).collect()
            }
        };
        for (answer, outcomes) in answers {
            // Who no longer waits finds the record again by its keys.
            let _ = answer.send(outcomes);
        }
    }

    /// Nothing of the batch was written, so nothing that was put behind it can be.
    fn take_back(&self, batch: Batch) -> Vec<(Answer, Outcomes)> {
        let first = batch.first();
        let mut queue = self.queue();
        let after = std::mem::replace(&mut queue.batch, Batch::new(first, Vec::new()));
        queue.in_write.clear();
        drop(queue);
        let refused = batch.refused(first, &AppendError::Full);
        refused.into_iter().chain(after.refused(first, &AppendError::Full)).collect()
    }

    /// After a failed write or sync the kernel may have dropped the pages: nothing can be known any more.
    fn stop(&self, error: &io::Error) -> AppendError {
        let reason = error.to_string();
        self.queue().stopped = Some(reason.clone());
        tracing::error!(event = "journal.stopped", reason);
        // Before anybody is answered: whoever hears "nothing was accepted" might act on it, and what was written may be on the
        // disk all the same.
        (self.on_fatal)(&format!("journal: {reason}"));
        AppendError::Stopped(reason)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    /// Where the batch stands in the open segment, durable.
    fn commit(&mut self, log: &Log, batch: &mut Batch) -> Result<u64, Failed> {
        let bytes = batch.bytes().len() as u64;
        if bytes == 0 {
            return Ok(self.tail.offset);
        }
        let segment_first = log.read_state(|state| state.open.first);
        if self.tail.offset >= self.options.segment_bytes_max && batch.first() > segment_first {
            self.next_segment(log, batch.first())?;
        }
        self.make_room(bytes);
        let zeros = self.zeros_behind(bytes);
        // A crash in here leaves a torn tail at most: nobody was answered, and the next start cuts it.
        if let Err(error) = self.tail.file.write_at(self.tail.offset, batch.bytes_and_zeros(zeros)) {
            return match is_full(&error) && self.take_back().is_ok() {
                true => Err(Failed::Full),
                false => Err(Failed::Stopped(error)),
            };
        }
        self.tail.file.sync_data().map_err(Failed::Stopped)?;
        let offset = self.tail.offset;
        self.tail.offset += bytes;
        if zeros > 0 {
            self.tail.zeroed_end = self.tail.offset + zeros;
        }
        Ok(offset)
    }

    fn next_segment(&mut self, log: &Log, first: Position) -> Result<(), Failed> {
        let length = self.tail.file.length().map_err(Failed::Stopped)?;
        match log.next_segment(first, length) {
            Ok(tail) => self.tail = tail,
            Err(error) => {
                let taken_back = is_full(&error) && log.take_back_segment(first).is_ok();
                return Err(if taken_back { Failed::Full } else { Failed::Stopped(error) });
            }
        }
        // The one that seals has ended only when this one has, too.
        if let Some(closed) = &self.closed {
            let _ = closed.send(());
        }
        Ok(())
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

    /// How many zeros go with so many bytes. What overwrites zeros that are on the disk changes nothing that the file system keeps of the
    /// file, so that its sync is of these bytes alone: for one small write, a third of the time.
    fn zeros_behind(&self, bytes: u64) -> u64 {
        let end = self.tail.offset + bytes;
        match bytes <= ZEROED_WRITE_BYTES_MAX && end > self.tail.zeroed_end {
            true => (end + ZEROED_BYTES).min(self.tail.room_end).saturating_sub(end),
            false => 0,
        }
    }

    /// After a write that found the disk full: nothing of it was synced or answered, so the segment ends where it did.
    fn take_back(&mut self) -> io::Result<()> {
        self.tail.file.truncate(self.tail.offset)?;
        (self.tail.room_end, self.tail.zeroed_end) = (self.tail.offset, self.tail.offset);
        self.tail.file.sync_data()
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use disk::{Disk, ForgetfulDisk, OpenMode, read_exactly};
    use erds::Record;
    use erds::record::Control;

    use super::*;
    use crate::batch::Outcome;
    use crate::open::open;
    use crate::segment;
    use crate::{Entry, Frame};

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
        let header = tail.offset as usize;
        let writing = Writing::new(log.clone(), tail, closed, options());
        for records in batches {
            let first = log.size() as usize;
            let mut waiting = Vec::new();
            for at in first..first + records {
                let (answer, answered) = oneshot::channel();
                writing.put(Encoded::new(&[entry(at as u8)]).unwrap(), answer).unwrap();
                waiting.push(answered);
            }
            writing.write(&mut writing.writer());
            for (at, mut answered) in (first..).zip(waiting) {
                let outcomes = answered.try_recv().unwrap().unwrap();
                assert!(matches!(outcomes[..], [Outcome::Recorded(position, _)] if position == at as u64));
            }
        }
        offsets
            .extend(log.read_state(|state| state.open.places.clone()).iter().map(|offset| *offset as usize));
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
    fn what_was_placed_behind_a_write_that_found_the_disk_full_is_refused_with_it() {
        let disk = ForgetfulDisk::new();
        let (log, tail, _) = open(Arc::new(disk.clone()), Path::new(DIR), &options(), None).unwrap();
        let (closed, _to_seal) = std::sync::mpsc::channel();
        let room = tail.offset;
        let writing = Writing::new(Arc::new(log), tail, closed, options());
        let encoded = |number| Encoded::new(&[entry(number)]).unwrap();
        let (answer, mut first_answered) = oneshot::channel();
        writing.put(encoded(1), answer).unwrap();

        let sealed = writing.find_sealed(&encoded(2)).unwrap();
        let placed = writing.place(encoded(2), sealed, &mut Salts::default()).unwrap();
        disk.set_capacity_bytes(room);
        writing.write(&mut writing.writer());
        assert_eq!(first_answered.try_recv().unwrap().unwrap_err(), AppendError::Full);
        let (answer, mut answered) = oneshot::channel();
        writing.hand_over(placed, answer).unwrap();
        assert_eq!(answered.try_recv().unwrap().unwrap_err(), AppendError::Full);
        assert!(writing.queue().batch.is_empty());

        disk.set_capacity_bytes(1 << 20);
        let (answer, mut answered) = oneshot::channel();
        writing.put(encoded(3), answer).unwrap();
        writing.write(&mut writing.writer());
        let outcomes = answered.try_recv().unwrap().unwrap();
        assert!(matches!(outcomes[..], [Outcome::Recorded(0, _)]), "{outcomes:?}");
    }

    #[test]
    fn small_writes_overwrite_zeros_that_were_written_with_one_before() {
        let disk = ForgetfulDisk::new();
        let options = Options { segment_bytes_max: 32 << 20, ..options() };
        let (log, tail, _) = open(Arc::new(disk.clone()), Path::new(DIR), &options, None).unwrap();
        let (closed, _to_seal) = std::sync::mpsc::channel();
        let writing = Writing::new(Arc::new(log), tail, closed, options.clone());
        let write = |frame_bytes: usize| {
            let frames = vec![Frame { name: "f".into(), ciphertext: vec![7; frame_bytes] }];
            let (answer, mut answered) = oneshot::channel();
            writing.put(Encoded::new(&[Entry { frames, ..entry(1) }]).unwrap(), answer).unwrap();
            writing.write(&mut writing.writer());
            assert!(answered.try_recv().unwrap().is_ok());
            let tail = &writing.writer().tail;
            (tail.offset, tail.zeroed_end)
        };
        let (offset, zeroed_end) = write(10);
        assert_eq!(zeroed_end, offset + ZEROED_BYTES);
        assert_eq!(write(1000).1, zeroed_end, "into those zeros");
        let (offset, still) = write(ZEROED_BYTES as usize);
        assert!(still == zeroed_end && offset > zeroed_end, "a large one is written as it is");
        let (offset, zeroed_end) = write(10);
        assert_eq!(zeroed_end, offset + ZEROED_BYTES);
        drop(writing);

        let (log, tail, report) = open(Arc::new(disk), Path::new(DIR), &options, None).unwrap();
        assert_eq!((log.size(), tail.offset, report.torn_bytes), (4, offset, 0), "zeros are no records");
    }

    #[test]
    fn the_entry_covers_the_position() {
        let covered = |position| {
            let mut leaf = Vec::new();
            let without_frames = Entry { frames: Vec::new(), ..entry(1) };
            segment::push_group(&mut leaf, &without_frames, &mut std::iter::empty()).unwrap();
            segment::place(&mut leaf, position, &[7; 32]);
            segment::salted(&leaf).to_vec()
        };
        assert_ne!(covered(0), covered(1));
    }
}
