//! What can be done about a damaged journal without guessing: the bytes of a backup, where all of it then leads to what was signed.
//!
//! [`survey`] changes nothing. It looks at each segment for itself, puts a backup's bytes in the place of what is damaged or missing, in
//! memory alone, and judges the whole: each record, and the root at the size that was signed. What no checkpoint covers is proven by the
//! root that a closed segment's summary or keys have, or not at all. All damages are mended together, or none.
//!
//! [`Survey::apply`] does it: each segment is written beside its place, the whole is judged again with what was written, the damaged file
//! is kept under a name of its own, and only then the new one takes its place.
//!
//! Where the newest checkpoint itself is damaged or gone, [`Survey::leads_to`] judges by those that are at hand, and [`put_back`] puts one there.

mod apply;
mod checkpoint;
mod derived;
mod scan;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use disk::{Disk, DiskFile, OpenMode, read_exactly};

pub use apply::{Replaced, kept_aside, put_back};

use crate::log::{segment_path, segments};
use crate::merkle::{Hash, Tree};
use crate::segment;
use crate::tiles::Published;
use crate::{Position, VerifyError, verify};
use scan::{Broken, Leaves, Scan, scan};
use view::{Source, View, splice};

/// A segment that is not what it was, at the first place where that is seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Damage {
    /// Which segment.
    pub path: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// Which record should be there.
    pub position: Position,
    /// What was seen, and what belongs there.
    pub what: String,
}

/// Why nothing may be changed: the bytes that belong there are not at hand, or nothing proves them.
#[derive(Debug, thiserror::Error)]
pub enum Incurable {
    /// Nothing to take them from.
    #[error("journal.repair.no-backup: give a backup's folder (--from)")]
    NoBackup,
    /// The backup is of another time.
    #[error(
        "journal.repair.not-in-backup: the backup does not have {0}; give one that was made later, or restore the newest one whole"
    )]
    NotInBackup(String),
    /// What the backup has does not mend it.
    #[error(
        "journal.repair.still-damaged: with the backup's bytes too, {0}; give another backup, or restore the newest whole one"
    )]
    StillDamaged(VerifyError),
    /// The backup is of another log, or was changed; or there is no damage to be found in an older copy of the journal.
    #[error(
        "journal.repair.forked: the {records} records that would be there do not lead to the root over {signed} that was signed; give a backup of this very log"
    )]
    Forked {
        /// Records that there would be.
        records: u64,
        /// Records under the newest checkpoint.
        signed: u64,
    },
    /// Nothing that is left of the log says what these records were.
    #[error(
        "journal.repair.unproven: record {position} would come from the backup, and is under no checkpoint or summary (they end at {proven}): nothing here proves it; restore the backup whole, knowing that what came after it is lost"
    )]
    Unproven {
        /// The last record that would be another one than the journal has now.
        position: Position,
        /// How many records what is left of the log proves.
        proven: u64,
    },
    /// The newest checkpoint is damaged or gone, and there is no other.
    #[error(
        "journal.repair.no-checkpoint: no checkpoint of this log is at hand; give a backup (--from), or what a witness or an auditor kept (--checkpoint)"
    )]
    NoCheckpoint,
    /// More was published than the checkpoints at hand sign, and the journal does not have it.
    #[error(
        "journal.repair.published: {path}: the records up to {position} were published, and are not those of the journal; give a newer backup, or a checkpoint that covers them (--checkpoint)"
    )]
    Published {
        /// The tile.
        path: PathBuf,
        /// The position behind its last record.
        position: Position,
    },
}

impl Incurable {
    /// Its stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoBackup => "journal.repair.no-backup",
            Self::NotInBackup(_) => "journal.repair.not-in-backup",
            Self::StillDamaged(_) => "journal.repair.still-damaged",
            Self::Forked { .. } => "journal.repair.forked",
            Self::Unproven { .. } => "journal.repair.unproven",
            Self::NoCheckpoint => "journal.repair.no-checkpoint",
            Self::Published { .. } => "journal.repair.published",
        }
    }
}

/// Nothing could be judged, or what was begun could not be ended: the same call may be made again.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// Another process has the journal.
    #[error("journal.locked: {0} is in use by another process; stop that one first")]
    Locked(PathBuf),
    /// The disk.
    #[error("journal.disk: {path}: {cause}")]
    Disk {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// What was written beside the segments is not what was judged before.
    #[error(
        "journal.repair.changed: what was copied out of the backup is not what was judged: {0}; nothing was replaced"
    )]
    Changed(Incurable),
}

impl RepairError {
    /// Its stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Locked(_) => "journal.locked",
            Self::Disk { .. } => "journal.disk",
            Self::Changed(_) => "journal.repair.changed",
        }
    }

    fn disk(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self::Disk { path, cause }
    }
}

/// Which journal, and what speaks for it.
pub struct Subject<'a> {
    /// Where it lies.
    pub disk: &'a dyn Disk,
    /// Its folder.
    pub dir: &'a Path,
    /// The log's name.
    pub origin: &'a str,
    /// What was published of it, if anything was.
    pub published: Option<Published>,
    /// A copy of it, and the folder of that.
    pub backup: Option<(&'a dyn Disk, &'a Path)>,
}

/// What was found. Nothing was changed, and while this is held no other process opens the journal.
pub struct Survey<'a> {
    subject: Subject<'a>,
    /// What is damaged, in the order of the segments; at most one of a segment.
    pub damages: Vec<Damage>,
    /// Derived files that do not say what the segments say: they are removed, and made again by whoever opens the journal.
    pub derived: Vec<PathBuf>,
    /// Records that there are, once what is damaged is mended; or why it cannot be.
    pub records: Result<u64, Incurable>,
    sources: BTreeMap<PathBuf, Vec<Source<'a>>>,
    _lock: Box<dyn Send + Sync>,
}

/// Looks at the whole journal; reads every record, and those of the backup that would come in their place.
///
/// # Errors
/// [`RepairError`]: a service has the journal; the disk's.
pub fn survey(subject: Subject<'_>) -> Result<Survey<'_>, RepairError> {
    let lock = subject.disk.lock(subject.dir).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => RepairError::Locked(subject.dir.to_owned()),
        _ => RepairError::disk(subject.dir)(error),
    })?;
    let on_disk = |error| RepairError::disk(subject.dir)(error);
    let mut looking = Looking::new(&subject, false);
    looking.segments().map_err(on_disk)?;
    let mut judged = looking.judge().map_err(on_disk)?;
    if let Err(Incurable::Forked { .. }) = judged {
        // Whole by its checksums, or with a backup's bytes: which record is not the one that was published?
        looking = Looking::new(&subject, true);
        looking.segments().map_err(on_disk)?;
        judged = looking.judge().map_err(on_disk)?;
    }
    let Looking { damages, view, .. } = looking;
    let derived = match &judged {
        Ok(_) => derived::wrong(&view, subject.dir, subject.origin).map_err(on_disk)?,
        Err(_) => Vec::new(),
    };
    let sources = view.others;
    Ok(Survey { subject, damages, derived, records: judged, sources, _lock: lock })
}

struct Looking<'a, 's> {
    subject: &'s Subject<'a>,
    /// Whether records are held against what was published of each.
    against_tiles: bool,
    damages: Vec<Damage>,
    view: View<'a>,
    lacking: Option<Incurable>,
}

impl<'a, 's> Looking<'a, 's> {
    fn new(subject: &'s Subject<'a>, against_tiles: bool) -> Self {
        let view = View { live: subject.disk, others: BTreeMap::new() };
        Self { subject, against_tiles, damages: Vec::new(), view, lacking: None }
    }

    /// Every segment, each for itself; a backup's bytes in the place of those that are damaged or missing.
    fn segments(&mut self) -> io::Result<()> {
        let paths = segments(self.subject.disk, self.subject.dir)?;
        let mut expected: Position = 0;
        let mut before: Option<(PathBuf, u64)> = None;
        for (number, path) in paths.iter().enumerate() {
            let last = number + 1 == paths.len();
            let Some(first) = first_of(path) else {
                self.damaged(path, 0, expected, "a segment that is not named by its first record".to_owned());
                self.lacking.get_or_insert_with(|| Incurable::NotInBackup(name(path)));
                continue;
            };
            if first > expected {
                expected = self.missing(expected, Some(first), before.as_ref())?;
            }
            if first < expected
                && let Some((path, end)) = &before
            {
                let what =
                    format!("it ends before record {expected}; the next one begins with record {first}");
                self.damaged(path, *end, first, what);
                self.take_from_backup(path)?;
            }
            let scan = self.segment(path, first, last)?;
            (expected, before) = (scan.next, Some((path.clone(), scan.end)));
        }
        self.missing(expected, None, before.as_ref()).map(drop)
    }

    /// One segment, mended if it can be: how far it is whole then.
    fn segment(&mut self, path: &Path, first: Position, last: bool) -> io::Result<Scan> {
        let file = self.subject.disk.open(path, OpenMode::Read)?;
        let scan = self.scan(file.as_ref(), first)?;
        let Some(broken) = &scan.broken else { return Ok(scan) };
        if last && self.is_torn(file.as_ref(), &scan, broken)? {
            self.cut(
                path,
                &scan,
                vec![Source { disk: self.subject.disk, path: path.to_owned(), end: scan.end }],
            );
            return Ok(scan);
        }
        self.damaged(path, scan.end, scan.next, broken.what.clone());
        if !self.take_from_backup(path)? {
            return Ok(scan);
        }
        let sources = self.view.others.get(path).cloned().unwrap_or_default();
        let file = splice(&sources)?;
        let mended = self.scan(file.as_ref(), first)?;
        if let Some(broken) = &mended.broken
            && last
            && self.is_torn(file.as_ref(), &mended, broken)?
        {
            self.cut(path, &mended, sources);
        }
        Ok(mended)
    }

    /// Segments that no file is there for, between `expected` and `next`, or behind the last one; where the backup's end.
    fn missing(
        &mut self,
        mut expected: Position,
        next: Option<Position>,
        before: Option<&(PathBuf, u64)>,
    ) -> io::Result<Position> {
        if next.is_none()
            && let Some((path, end)) = before
        {
            expected = self.longer_in_backup(path, *end, expected)?;
        }
        while next.is_none_or(|next| expected < next) {
            let path = segment_path(self.subject.dir, expected);
            let Some(copy) = self.copy_of(&path)? else { break };
            self.damaged(&path, 0, expected, "a segment that is missing".to_owned());
            self.take_from_backup(&path)?;
            let scan = self.scan(copy.as_ref(), expected)?;
            if scan.next == expected {
                break;
            }
            expected = scan.next;
        }
        if let Some(next) = next.filter(|next| expected < *next) {
            let what = format!("records {expected} to {} are missing", next - 1);
            let (path, offset) = match before {
                Some((path, end)) => (path.clone(), *end),
                None => (segment_path(self.subject.dir, 0), 0),
            };
            self.damaged(&path, offset, expected, what);
            self.take_from_backup(&path)?;
            expected = next;
        }
        Ok(expected)
    }

    /// Whether the backup goes on where the last segment ends: then records were durable that are gone.
    fn longer_in_backup(&mut self, path: &Path, end: u64, expected: Position) -> io::Result<Position> {
        let (Some(first), Some(copy)) = (first_of(path), self.copy_of(path)?) else { return Ok(expected) };
        let known = self.damages.iter().any(|damage| damage.path == *path);
        let scan = self.scan(copy.as_ref(), first)?;
        if known || scan.next <= expected {
            return Ok(expected);
        }
        let what = format!("it ends before record {expected}; the backup's copy before record {}", scan.next);
        self.damaged(path, end, expected, what);
        let source = Source { disk: self.backup_disk(), path: self.in_backup(path), end: scan.end };
        self.view.others.insert(path.to_owned(), vec![source]);
        Ok(scan.next)
    }

    fn damaged(&mut self, path: &Path, offset: u64, position: Position, what: String) {
        if self.damages.iter().all(|damage| damage.path != *path) {
            self.damages.push(Damage { path: path.to_owned(), offset, position, what });
        }
    }

    /// Puts the backup's copy in the place of a segment's first bytes; behind them stay its own. Whether there is a copy.
    fn take_from_backup(&mut self, path: &Path) -> io::Result<bool> {
        let Some(copy) = self.copy_of(path)? else {
            let lacking = match self.subject.backup {
                None => Incurable::NoBackup,
                Some(_) => Incurable::NotInBackup(name(path)),
            };
            self.lacking.get_or_insert(lacking);
            return Ok(false);
        };
        let end = copy.length()?;
        let mut sources = vec![Source { disk: self.backup_disk(), path: self.in_backup(path), end }];
        match self.subject.disk.open(path, OpenMode::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            file => {
                let own = file?.length()?;
                if own > end {
                    sources.push(Source { disk: self.subject.disk, path: path.to_owned(), end: own });
                }
            }
        }
        self.view.others.insert(path.to_owned(), sources);
        Ok(true)
    }

    /// A torn end is none of the journal: the next start cuts it, and nothing here does.
    fn cut(&mut self, path: &Path, scan: &Scan, mut sources: Vec<Source<'a>>) {
        sources.iter_mut().for_each(|source| source.end = source.end.min(scan.end));
        sources.retain(|source| source.end > 0);
        self.view.others.insert(path.to_owned(), sources);
    }

    fn backup_disk(&self) -> &'a dyn Disk {
        self.subject.backup.map_or(self.subject.disk, |(disk, _)| disk)
    }

    fn in_backup(&self, path: &Path) -> PathBuf {
        let dir = self.subject.backup.map_or(self.subject.dir, |(_, dir)| dir);
        dir.join(path.file_name().unwrap_or_default())
    }

    fn copy_of(&self, path: &Path) -> io::Result<Option<Box<dyn DiskFile>>> {
        let Some((disk, _)) = self.subject.backup else { return Ok(None) };
        match disk.open(&self.in_backup(path), OpenMode::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            file => file.map(Some),
        }
    }

    fn scan(&self, file: &dyn DiskFile, first: Position) -> io::Result<Scan> {
        let mut published = self.subject.published.as_ref().filter(|_| self.against_tiles).map(Leaves::new);
        scan(file, first, self.subject.origin, &mut |position, group| {
            published.as_mut().map_or(Ok(()), |leaves| leaves.check(position, group))
        })
    }

    fn is_torn(&self, file: &dyn DiskFile, scan: &Scan, broken: &Broken) -> io::Result<bool> {
        if broken.wrong || scan.next < self.signed() {
            return Ok(false);
        }
        match scan.end {
            0 => segment::header_is_torn(file, self.subject.origin),
            end => Ok(!segment::later_batch_follows(file, end, scan.next)?),
        }
    }

    fn signed(&self) -> u64 {
        self.subject.published.as_ref().map_or(0, |published| published.checkpoint().size())
    }

    fn judge(&mut self) -> io::Result<Result<u64, Incurable>> {
        if let Some(lacking) = self.lacking.take() {
            return Ok(Err(lacking));
        }
        judge(self.subject, &self.view, &self.damages)
    }
}

/// Judges the whole as it would be: each record, what was signed, and that what is left of the log proves each record that changes.
fn judge(subject: &Subject<'_>, view: &View<'_>, damages: &[Damage]) -> io::Result<Result<u64, Incurable>> {
    let signed = subject.published.as_ref().map(Published::checkpoint);
    let stated = derived::roots(subject.disk, subject.dir)?;
    let mut wanted: BTreeSet<u64> = stated.iter().map(|(end, _)| *end).collect();
    wanted.extend(signed.map(|signed| signed.size()));
    let (mut tree, mut roots) = (Tree::default(), BTreeMap::<u64, Hash>::new());
    let verified = verify(view, subject.dir, subject.origin, &mut |stored| {
        tree.push(stored.leaf_hash);
        if wanted.contains(&tree.size()) {
            roots.insert(tree.size(), tree.root());
        }
        Ok(())
    });
    let records = match verified {
        Ok(report) => report.records,
        Err(VerifyError::Disk(error)) => return Err(error),
        Err(damaged) => return Ok(Err(Incurable::StillDamaged(damaged))),
    };
    let mut proven = 0;
    if let Some(signed) = signed.filter(|signed| signed.size() > 0) {
        if roots.get(&signed.size()) != Some(&signed.root()) {
            return Ok(Err(Incurable::Forked { records, signed: signed.size() }));
        }
        proven = signed.size();
    }
    let agreeing = stated.iter().filter(|(end, root)| roots.get(end) == Some(root)).map(|(end, _)| *end);
    proven = agreeing.fold(proven, u64::max);
    for damage in damages {
        if let Some(position) = last_changed(subject, view, &damage.path)?.filter(|last| *last >= proven) {
            return Ok(Err(Incurable::Unproven { position, proven }));
        }
    }
    Ok(Ok(records))
}

/// The last record of a segment that would not be, byte for byte, what is there now.
fn last_changed(subject: &Subject<'_>, view: &View<'_>, path: &Path) -> io::Result<Option<Position>> {
    let Some(first) = first_of(path) else { return Ok(None) };
    let new = view.open(path, OpenMode::Read)?;
    let old = match subject.disk.open(path, OpenMode::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        file => Some(file?),
    };
    let (mut begin, mut last) = (0, None);
    let scan = scan(new.as_ref(), first, subject.origin, &mut |position, group| {
        let length = (group.end - begin) as usize;
        let is = |file: &dyn DiskFile| read_exactly(file, begin, length).ok();
        if old.as_deref().and_then(is) != is(new.as_ref()) {
            last = Some(position);
        }
        begin = group.end;
        Ok(())
    })?;
    // The view was judged whole: what is broken here is the disk's doing.
    scan.broken.map_or(Ok(last), |broken| Err(io::Error::new(io::ErrorKind::InvalidData, broken.what)))
}

fn first_of(path: &Path) -> Option<Position> {
    path.file_stem()?.to_str()?.parse().ok()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
