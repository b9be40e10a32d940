//! A partner's folder as dav-server sees a file system: `/` holds `OUT`, and that the folder's files.

use std::collections::HashMap;
use std::fmt;
use std::io::{Read, SeekFrom};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::{Buf, Bytes};
use dav_server::davpath::DavPath;
use dav_server::fs::{
    DavDirEntry, DavFile, DavMetaData, FsError, FsFuture, FsResult, FsStream, GuardedFileSystem, OpenOptions,
    ReadDirMeta,
};
use erds::record::Hex32;
use erds::{FolderFile, Ticket};

use crate::folder::Filed;
use crate::folder::partners::Visitor;
use crate::service::{Failure, Service};

/// One request of a partner.
#[derive(Clone)]
pub(super) struct Visit {
    pub(super) visitor: Visitor,
    /// It is a DELETE: then no folder is walked through.
    pub(super) removes: bool,
    /// A byte of a file was asked for since this was last looked at.
    pub(super) moved: Arc<AtomicBool>,
    whole: Arc<Mutex<Option<Arc<Filed>>>>,
}

impl Visit {
    pub(super) fn new(visitor: Visitor) -> Self {
        Self { visitor, removes: false, moved: Arc::default(), whole: Arc::default() }
    }

    /// The item's file whose last byte was given to this connection, all before it having been given before.
    pub(super) fn whole(&self) -> Option<Arc<Filed>> {
        self.whole.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// All folders, and how far each item's file was given out since this process began.
#[derive(Clone)]
pub(super) struct Shelves {
    service: Arc<Service>,
    reached: Arc<Mutex<HashMap<Ticket, Reached>>>,
}

#[derive(Clone, Copy)]
struct Reached {
    bytes: u64,
    of: u64,
}

impl Shelves {
    pub(super) fn new(service: Arc<Service>) -> Self {
        Self { service, reached: Arc::default() }
    }

    /// Its taking is recorded.
    pub(super) fn forget(&self, ticket: Ticket) {
        self.reached().remove(&ticket);
    }

    fn reached(&self) -> std::sync::MutexGuard<'_, HashMap<Ticket, Reached>> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes from `from` to `to` go out; says whether with them all have, one after the other.
    fn give(&self, file: &Filed, from: u64, to: u64) -> bool {
        let mut reached = self.reached();
        if reached.len() >= REACHED_MAX {
            reached.clear(); // who was under way takes again
        }
        let entry = reached.entry(file.ticket).or_insert(Reached { bytes: 0, of: file.bytes });
        if from <= entry.bytes {
            entry.bytes = entry.bytes.max(to);
        }
        entry.bytes == file.bytes
    }

    fn was_given(&self, ticket: Ticket) -> bool {
        self.reached().get(&ticket).is_some_and(|reached| reached.bytes == reached.of)
    }

    fn find(&self, path: &DavPath, visit: &Visit) -> FsResult<Found> {
        let path = std::str::from_utf8(path.as_bytes()).map_err(|_| FsError::NotFound)?;
        match path.trim_end_matches('/') {
            "" => Ok(Found::Root),
            OUT => Ok(Found::Out),
            file => {
                let name = file.strip_prefix(OUT).and_then(|rest| rest.strip_prefix('/'));
                let name = name.ok_or(FsError::NotFound)?;
                let found = tokio::task::block_in_place(|| {
                    self.service.folder_file(&visit.visitor.cbe, name).map_err(ours)
                })?;
                found.map(Arc::new).map(Found::File).ok_or(FsError::NotFound)
            }
        }
    }

    async fn remove(&self, file: &Filed, certificate: Hex32) -> FsResult<()> {
        if file.file.is_item() && !self.service.is_handed_over(file.ticket).map_err(ours)? {
            // To remove what was given out whole is to say that it was taken.
            if !self.was_given(file.ticket) {
                return Err(FsError::Forbidden);
            }
            self.service.hand_over(file, certificate).await.map_err(ours)?;
            self.forget(file.ticket);
        }
        self.service.remove_from_folder(file, certificate).await.map_err(ours)
    }
}

/// Our failure: told to the log, and to the partner as one of ours.
fn ours(failure: Failure) -> FsError {
    tracing::error!(event = "batch.failed", %failure);
    FsError::GeneralFailure
}

enum Found {
    Root,
    Out,
    File(Arc<Filed>),
}

impl GuardedFileSystem<Visit> for Shelves {
    fn open<'a>(
        &'a self,
        path: &'a DavPath,
        _: OpenOptions,
        visit: &'a Visit,
    ) -> FsFuture<'a, Box<dyn DavFile>> {
        Box::pin(async move {
            let Found::File(file) = self.find(path, visit)? else { return Err(FsError::Forbidden) };
            let (shelves, visit) = (self.clone(), visit.clone());
            let open = OpenFile { reader: Mutex::new(file.open()), position: 0, file, shelves, visit };
            Ok(Box::new(open) as Box<dyn DavFile>)
        })
    }

    fn read_dir<'a>(
        &'a self,
        path: &'a DavPath,
        _: ReadDirMeta,
        visit: &'a Visit,
    ) -> FsFuture<'a, FsStream<Box<dyn DavDirEntry>>> {
        Box::pin(async move {
            let entries = match self.find(path, visit)? {
                // A whole folder is not removed by one word.
                _ if visit.removes => return Err(FsError::Forbidden),
                Found::Root => vec![Entry { name: OUT.trim_matches('/').to_owned(), meta: Meta::folder() }],
                Found::Out => tokio::task::block_in_place(|| {
                    let files = self.service.folder_files(&visit.visitor.cbe).map_err(ours)?;
                    Ok(files
                        .into_iter()
                        .map(|file| Entry { meta: Meta::of(&file), name: file.name })
                        .collect())
                })?,
                Found::File(_) => return Err(FsError::Forbidden),
            };
            let entries = entries.into_iter().map(|entry| Ok(Box::new(entry) as Box<dyn DavDirEntry>));
            Ok(Box::pin(futures_util::stream::iter(entries)) as FsStream<Box<dyn DavDirEntry>>)
        })
    }

    fn metadata<'a>(&'a self, path: &'a DavPath, visit: &'a Visit) -> FsFuture<'a, Box<dyn DavMetaData>> {
        Box::pin(async move {
            let meta = match self.find(path, visit)? {
                Found::Root | Found::Out => Meta::folder(),
                Found::File(file) => Meta::of(&file),
            };
            Ok(Box::new(meta) as Box<dyn DavMetaData>)
        })
    }

    fn remove_file<'a>(&'a self, path: &'a DavPath, visit: &'a Visit) -> FsFuture<'a, ()> {
        Box::pin(async move {
            let Found::File(file) = self.find(path, visit)? else { return Err(FsError::Forbidden) };
            // In a task of its own: a record that is under way is seen through, though its partner goes away.
            let (shelves, certificate) = (self.clone(), visit.visitor.certificate);
            let removing = tokio::spawn(async move { shelves.remove(&file, certificate).await });
            removing.await.unwrap_or(Err(FsError::GeneralFailure))
        })
    }
}

/// Length, and since when: all that is told of a file.
#[derive(Clone, Debug)]
struct Meta {
    bytes: u64,
    laid_at: SystemTime,
    is_folder: bool,
}

impl Meta {
    fn folder() -> Self {
        Self { bytes: 0, laid_at: SystemTime::UNIX_EPOCH, is_folder: true }
    }

    fn of(file: &Filed) -> Self {
        Self { bytes: file.bytes, laid_at: SystemTime::from(file.laid_at), is_folder: false }
    }
}

impl DavMetaData for Meta {
    fn len(&self) -> u64 {
        self.bytes
    }

    fn modified(&self) -> FsResult<SystemTime> {
        Ok(self.laid_at)
    }

    fn created(&self) -> FsResult<SystemTime> {
        Ok(self.laid_at)
    }

    fn is_dir(&self) -> bool {
        self.is_folder
    }
}

struct Entry {
    name: String,
    meta: Meta,
}

impl DavDirEntry for Entry {
    fn name(&self) -> Vec<u8> {
        self.name.clone().into_bytes()
    }

    fn metadata(&'_ self) -> FsFuture<'_, Box<dyn DavMetaData>> {
        let meta: Box<dyn DavMetaData> = Box::new(self.meta.clone());
        Box::pin(std::future::ready(Ok(meta)))
    }
}

/// A file being read, decrypted as it goes.
struct OpenFile {
    file: Arc<Filed>,
    shelves: Shelves,
    visit: Visit,
    /// In a lock because dav-server wants it shared; nobody waits for it.
    reader: Mutex<Box<dyn Read + Send>>,
    position: u64,
}

impl fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenFile").field("ticket", &self.file.ticket.as_str()).finish_non_exhaustive()
    }
}

impl OpenFile {
    fn read(&mut self, count: usize) -> std::io::Result<Bytes> {
        let reader = self.reader.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut buffer = vec![0; count.min(READ_BYTES_MAX)];
        let count = reader.read(&mut buffer)?;
        buffer.truncate(count);
        Ok(buffer.into())
    }

    /// From the beginning, if need be: what is given out is decrypted in order.
    fn go_to(&mut self, place: u64) -> std::io::Result<()> {
        if place < self.position {
            self.reader = Mutex::new(self.file.open());
            self.position = 0;
        }
        while self.position < place {
            let left = usize::try_from(place - self.position).unwrap_or(usize::MAX);
            let passed = self.read(left)?.len() as u64;
            if passed == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            self.position += passed;
        }
        Ok(())
    }
}

impl DavFile for OpenFile {
    fn metadata(&'_ mut self) -> FsFuture<'_, Box<dyn DavMetaData>> {
        let meta: Box<dyn DavMetaData> = Box::new(Meta::of(&self.file));
        Box::pin(std::future::ready(Ok(meta)))
    }

    fn write_buf(&'_ mut self, _: Box<dyn Buf + Send>) -> FsFuture<'_, ()> {
        Box::pin(std::future::ready(Err(FsError::Forbidden)))
    }

    fn write_bytes(&'_ mut self, _: Bytes) -> FsFuture<'_, ()> {
        Box::pin(std::future::ready(Err(FsError::Forbidden)))
    }

    fn read_bytes(&'_ mut self, count: usize) -> FsFuture<'_, Bytes> {
        Box::pin(async move {
            self.visit.moved.store(true, Ordering::SeqCst);
            let from = self.position;
            let bytes = tokio::task::block_in_place(|| self.read(count));
            let bytes = bytes.map_err(|error| ours(Failure::store(&error.to_string())))?;
            if bytes.is_empty() && from < self.file.bytes {
                return Err(FsError::GeneralFailure);
            }
            self.position += bytes.len() as u64;
            if self.file.file == FolderFile::Data && self.shelves.give(&self.file, from, self.position) {
                let whole = Some(self.file.clone());
                *self.visit.whole.lock().unwrap_or_else(PoisonError::into_inner) = whole;
            }
            Ok(bytes)
        })
    }

    fn seek(&'_ mut self, to: SeekFrom) -> FsFuture<'_, u64> {
        Box::pin(async move {
            let SeekFrom::Start(place) = to else { return Err(FsError::NotImplemented) };
            let gone = tokio::task::block_in_place(|| self.go_to(place));
            gone.map_err(|error| ours(Failure::store(&error.to_string())))?;
            Ok(place)
        })
    }

    fn flush(&'_ mut self) -> FsFuture<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

const OUT: &str = "/OUT";
const READ_BYTES_MAX: usize = 64 * 1024;
/// Items under way that are held in mind at once.
const REACHED_MAX: usize = 10_000;
