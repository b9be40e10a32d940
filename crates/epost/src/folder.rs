//! Partners' folders: items that were laid for them, and the proofs that senders asked to have there.
//!
//! Nothing lies on the disk in plain text: each file is made from the journal's frames and the encrypted content as it is read, under
//! its item's key, and is gone with it. A file is found by the item that its name says and the folder that the index says.

pub mod partners;

use std::io::{Cursor, Read};
use std::sync::Arc;

use delivery::ContentSource;
use delivery::batch::{NameFacts, Package, file_name, read_name, seal_file};
use erds::record::{self, Hex32};
use erds::{ChannelName, EnterpriseNumber, FolderFile, Record, State, Ticket};
use jiff::Timestamp;
use journal::{Entry, Position, Stored, UniqueKey};
use store::index::{Item, Shelved};

use crate::admission::facts::keyed;
use crate::service::{Failure, Service};

/// A file as it lies in a folder.
pub struct Filed {
    /// Its name there.
    pub name: String,
    /// The item.
    pub ticket: Ticket,
    /// Which file of it.
    pub file: FolderFile,
    /// Its length.
    pub bytes: u64,
    /// Since when it lies there.
    pub laid_at: Timestamp,
    /// The record that holds it.
    position: Position,
    held: Held,
}

enum Held {
    Bytes(Vec<u8>),
    Package(Package, Arc<FolderContent>),
}

impl Filed {
    /// Its bytes, from the first. Reading may block.
    pub fn open(&self) -> Box<dyn Read + Send> {
        match &self.held {
            Held::Bytes(bytes) => Box::new(Cursor::new(bytes.clone())),
            Held::Package(package, content) => Box::new(package.read(content.clone())),
        }
    }
}

impl Service {
    /// The files of a partner's folder, longest there first: at most [`FILES_MAX`], and the rest when some of these are removed.
    pub(crate) fn folder_files(self: &Arc<Self>, folder: &EnterpriseNumber) -> Result<Vec<Filed>, Failure> {
        let mut files = Vec::new();
        for shelved in self.index().folder(folder.digits(), FILES_MAX)? {
            files.extend(self.filed(&shelved)?);
        }
        Ok(files)
    }

    /// The file of this very name, if it lies in this folder.
    pub(crate) fn folder_file(
        self: &Arc<Self>,
        folder: &EnterpriseNumber,
        name: &str,
    ) -> Result<Option<Filed>, Failure> {
        let Some((ticket, file)) = read_name(name) else { return Ok(None) };
        let Some(shelved) = self.index().shelved(folder.digits(), ticket, file)? else { return Ok(None) };
        Ok(self.filed(&shelved)?.filter(|filed| filed.name == name))
    }

    /// None: it was erased meanwhile.
    fn filed(self: &Arc<Self>, shelved: &Shelved) -> Result<Option<Filed>, Failure> {
        let Shelved { ticket, file, position } = *shelved;
        let Some(item) = self.index().item(ticket)? else { return Ok(None) };
        if !self.keys().has(ticket)? {
            return Ok(None);
        }
        let stored = self.journal().read(position)?;
        let frame = |part| self.open_frame(&stored, part);
        let held = match file {
            FolderFile::Receipt => Held::Bytes(frame("receipt.xml")?),
            FolderFile::ReceiptSeal => Held::Bytes(frame("receipt.p7s")?),
            FolderFile::Dispatch => Held::Bytes(frame("dispatch.xml")?),
            FolderFile::DispatchSeal => Held::Bytes(frame("dispatch.p7s")?),
            FolderFile::Data => Held::Package(self.package(&stored)?, self.folder_content(&item)?),
            FolderFile::Seal => Held::Bytes(seal_file(&frame(SEAL)?).into_bytes()),
            FolderFile::Go => Held::Bytes(Vec::new()),
        };
        let bytes = match &held {
            Held::Bytes(bytes) => bytes.len() as u64,
            Held::Package(package, _) => package.bytes(),
        };
        let name = self.folder_name(&item, file);
        Ok(Some(Filed { name, ticket, file, bytes, laid_at: stored.record.at(), position, held }))
    }

    /// What a file of this item is called in any folder.
    pub(crate) fn folder_name(&self, item: &Item, file: FolderFile) -> String {
        let facts = NameFacts {
            ticket: item.ticket,
            sender: &item.institution,
            received_at: item.received_at,
            environment: self.settings().environment,
        };
        file_name(&facts, file)
    }

    fn package(&self, stored: &Stored) -> Result<Package, Failure> {
        serde_json::from_slice(&self.open_frame(stored, PACKAGE)?)
            .map_err(|error| Failure::store(&error.to_string()))
    }

    /// Where the files of an item's archive are read from.
    pub(crate) fn folder_content(self: &Arc<Self>, item: &Item) -> Result<Arc<FolderContent>, Failure> {
        let accepted = item.accepted.ok_or_else(|| Failure::journal("an item in a folder, not accepted"))?;
        let (service, ticket, received) = (self.clone(), item.ticket, item.received);
        Ok(Arc::new(FolderContent { service, ticket, received, accepted }))
    }

    /// Whether the item was taken out of its partner's folder.
    pub(crate) fn is_handed_over(&self, ticket: Ticket) -> Result<bool, Failure> {
        Ok(self.index().lay(ticket)?.is_some_and(|lay| lay.state == State::HandedOver))
    }

    /// The item was taken out, whole (E.1): recorded once, whoever tells it again.
    pub(crate) async fn hand_over(&self, taken: &Filed, certificate: Hex32) -> Result<(), Failure> {
        let shelved = self.index().lay(taken.ticket)?;
        if shelved.is_none_or(|lay| lay.state == State::HandedOver) {
            return Ok(());
        }
        let record = Record::HandedOver(record::HandedOver {
            ticket: taken.ticket,
            at: self.now(),
            channel: ChannelName::Batch,
            certificate,
            content_sha256: self.laid_digest(taken)?,
        });
        let key = UniqueKey(keyed("handed-over", &[taken.ticket.as_str().as_bytes()]));
        self.append(Entry { record, frames: Vec::new(), unique_keys: vec![key] }).await?;
        tracing::info!(event = "item.handed-over", ticket = taken.ticket.as_str());
        Ok(())
    }

    fn laid_digest(&self, taken: &Filed) -> Result<Hex32, Failure> {
        match self.journal().read(taken.position)?.record {
            Record::Consigned(consigned) => Ok(consigned.answer_digest),
            _ => Err(Failure::journal("an item in a folder without its Consigned")),
        }
    }

    /// Takes a file out of its folder for good.
    pub(crate) async fn remove_from_folder(&self, filed: &Filed, certificate: Hex32) -> Result<(), Failure> {
        let (ticket, at, file) = (filed.ticket, self.now(), filed.file);
        let record = Record::Removed(record::Removed { ticket, at, file, certificate });
        self.append(Entry { record, frames: Vec::new(), unique_keys: Vec::new() }).await?;
        Ok(())
    }
}

/// What an item's archive is made of: its receipt and that one's seal as they were answered, then the sender's files.
pub(crate) struct FolderContent {
    service: Arc<Service>,
    ticket: Ticket,
    received: Position,
    accepted: Position,
}

impl ContentSource for FolderContent {
    fn open(&self, part: &str) -> std::io::Result<Box<dyn Read + Send>> {
        let opened = match part {
            "receipt.xml" | "receipt.p7s" => self.receipt(part),
            part => self.part(part),
        };
        opened.map_err(std::io::Error::other)
    }
}

impl FolderContent {
    fn part(&self, part: &str) -> Result<Box<dyn Read + Send>, Failure> {
        self.service.open_part(self.ticket, &self.service.journal().read(self.received)?, part)
    }

    fn receipt(&self, part: &str) -> Result<Box<dyn Read + Send>, Failure> {
        let stored = self.service.journal().read(self.accepted)?;
        Ok(Box::new(Cursor::new(self.service.open_frame(&stored, part)?)))
    }
}

/// The frame that holds an archive's list of parts.
pub(crate) const PACKAGE: &str = "package.json";
/// The frame that holds the signature over it.
pub(crate) const SEAL: &str = "package.p7s";
/// Files of one listing.
pub const FILES_MAX: usize = 3_000;
