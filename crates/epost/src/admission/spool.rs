//! The spool: each byte of a request hashed once and encrypted as it arrives; large parts go to disk, small ones wait in memory.
//!
//! Nothing here is named by a record until [`Spool::finish`] has made it durable; what no record names is swept at start.

use std::sync::Arc;

use erds::Ticket;
use soap::multipart::{Limits, MultipartError, PartHeaders, PartSink, Reader, RootMedia, SinkError};
use store::content::{PartWriter, StoredPart};
use store::keys::ItemKey;
use tokio::task::JoinHandle;

use super::Head;
use crate::aside::aside;
use crate::service::Service;

/// What arrived, ready to be judged.
pub struct Spooled {
    /// The id of this request: the `Id` of its fault.
    pub request_id: String,
    /// The item's name if it is accepted; the name of its key in any case.
    pub ticket: Ticket,
    /// The item's key, durable.
    pub key: ItemKey,
    /// The root part, exactly as it came.
    pub root: Vec<u8>,
    /// What the root part's Content-Type promised.
    pub root_media: Option<RootMedia>,
    /// The other parts, in order.
    pub parts: Vec<SpooledPart>,
    /// Set before a record that names the parts is handed to the journal: from then on only the start's sweep may remove them, because
    /// a failed append may be on the disk all the same.
    pub named: std::sync::atomic::AtomicBool,
}

/// One part beside the root.
pub struct SpooledPart {
    /// Its Content-ID, percent-decoded, without brackets.
    pub content_id: String,
    /// Its header block, exactly as it came.
    pub headers: Vec<u8>,
    /// Its plain bytes while they are few: what an `xop:Include` may name.
    pub small: Option<Vec<u8>>,
    /// Where it lies and what its digests are.
    pub stored: StoredPart,
}

impl Spooled {
    /// Of all parts together.
    pub(super) fn bytes(&self) -> u64 {
        self.parts.iter().fold(self.root.len() as u64, |sum, part| sum.saturating_add(part.stored.bytes))
    }

    /// The part of that Content-ID.
    pub fn part(&self, content_id: &str) -> Option<&SpooledPart> {
        self.parts.iter().find(|part| part.content_id == content_id)
    }
}

/// Why a body could not be read into the spool.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The body is not one we can read: the sender's to mend.
    #[error(transparent)]
    Multipart(#[from] MultipartError),
    /// The disk is full: ours.
    #[error("spool.full")]
    Full,
    /// The store failed: ours.
    #[error("spool.store: {0}")]
    Store(String),
}

/// A request on its way in.
pub struct Spool {
    reader: Reader,
    sink: Sink,
    request_id: String,
    /// What came in so far.
    fed_bytes: u64,
    /// Taken once: a task is not asked twice.
    key_durable: Option<JoinHandle<Result<ItemKey, String>>>,
}

struct Sink {
    service: Arc<Service>,
    ticket: Ticket,
    key: ItemKey,
    root: Vec<u8>,
    parts: Vec<SpooledPart>,
    current: Option<Current>,
    /// Somebody answers for what was written; else it is discarded with this.
    handed_over: bool,
}

impl Drop for Sink {
    fn drop(&mut self) {
        if !self.handed_over {
            self.current = None;
            self.service.discard(self.ticket);
        }
    }
}

enum Current {
    Root,
    Part { content_id: String, headers: Vec<u8>, small: Option<Vec<u8>>, writer: Box<PartWriter> },
}

impl Spool {
    /// Draws ticket and item key and starts making the key durable, while the body comes in.
    ///
    /// # Errors
    /// `Multipart`: a Content-Type that no message of ours has. `Full`, `Store`: ours.
    pub fn begin(service: &Arc<Service>, head: &Head) -> Result<Self, SpoolError> {
        let limits = service.limits();
        let caps = Limits {
            parts_max: limits.parts_max,
            part_header_bytes_max: limits.part_header_bytes_max,
            root_part_bytes_max: limits.root_part_bytes_max,
            part_bytes_max: limits.part_bytes_max,
            body_bytes_max: limits.body_bytes_max,
            ..Limits::default()
        };
        let reader = Reader::new(&head.content_type, &caps)?;
        let (ticket, key) = service.draw_item().map_err(SpoolError::Store)?;
        let key_durable = service.make_key_durable(ticket, &key);
        Ok(Self {
            reader,
            sink: Sink {
                service: service.clone(),
                ticket,
                key,
                root: Vec::new(),
                parts: Vec::new(),
                current: None,
                handed_over: false,
            },
            request_id: service.draw_request_id(),
            fed_bytes: 0,
            key_durable: Some(key_durable),
        })
    }

    /// Takes the next bytes of the body.
    ///
    /// # Errors
    /// As [`Spool::begin`].
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), SpoolError> {
        self.fed_bytes = self.fed_bytes.saturating_add(chunk.len() as u64);
        aside(self.fed_bytes, || self.reader.feed(chunk, &mut self.sink)).map_err(spool_error)
    }

    /// Ends the body: every part, and the key that opens it, is durable when this returns.
    ///
    /// # Errors
    /// As [`Spool::begin`]; the spool comes back, for what is kept of a refused body.
    pub async fn finish(mut self) -> Result<Spooled, (Self, SpoolError)> {
        let ended = aside(self.fed_bytes, || self.reader.finish(&mut self.sink)).map_err(spool_error);
        if let Err(error) = ended {
            return Err((self, error));
        }
        let root_media = self.reader.root_media();
        match self.sealed().await {
            Ok(mut spooled) => {
                spooled.root_media = root_media;
                Ok(spooled)
            }
            Err(error) => Err(error),
        }
    }

    async fn sealed(mut self) -> Result<Spooled, (Self, SpoolError)> {
        let made = match self.key_durable.take() {
            Some(task) => task.await.unwrap_or_else(|error| Err(error.to_string())),
            None => Err("the item's key could not be made durable".to_owned()),
        };
        let key = match made {
            Ok(key) => key,
            Err(reason) => return Err((self, SpoolError::Store(reason))),
        };
        self.sink.handed_over = true;
        Ok(Spooled {
            request_id: self.request_id,
            ticket: self.sink.ticket,
            key,
            root: std::mem::take(&mut self.sink.root),
            root_media: None,
            parts: std::mem::take(&mut self.sink.parts),
            named: false.into(),
        })
    }

    /// What is left of a body that was refused: its root's first bytes, under a durable key. The rest is discarded.
    ///
    /// # Errors
    /// `Store`: the key could not be made durable.
    pub async fn abandon(mut self) -> Result<Spooled, SpoolError> {
        self.sink.current = None;
        self.sink.service.discard(self.sink.ticket);
        self.sink.parts.clear();
        self.sealed().await.map_err(|(_, error)| error)
    }
}

fn spool_error(error: MultipartError) -> SpoolError {
    match error {
        MultipartError::Sink(SinkError(cause)) => match cause.downcast::<store::StoreError>() {
            Ok(error) if error.is_full() => SpoolError::Full,
            Ok(error) => SpoolError::Store(error.to_string()),
            Err(cause) => match cause.downcast::<SpoolError>() {
                Ok(error) => *error,
                Err(cause) => SpoolError::Store(cause.to_string()),
            },
        },
        other => SpoolError::Multipart(other),
    }
}

impl PartSink for Sink {
    fn begin(&mut self, headers: &PartHeaders) -> Result<(), SinkError> {
        self.current = Some(if headers.is_root() {
            Current::Root
        } else {
            // Here and not for the whole request: with a disk that is nearly full, reads are still answered.
            self.service.require_free_space().map_err(|error| SinkError(Box::new(error)))?;
            let name = format!("part-{}", self.parts.len() + 1);
            let writer = self
                .service
                .part_writer(self.ticket, &name, &self.key)
                .map_err(|e| SinkError(Box::new(e)))?;
            Current::Part {
                content_id: headers.content_id().unwrap_or_default().to_owned(),
                headers: headers.raw().to_vec(),
                small: Some(Vec::new()),
                writer: Box::new(writer),
            }
        });
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        match &mut self.current {
            Some(Current::Root) => self.root.extend_from_slice(bytes),
            Some(Current::Part { small, writer, .. }) => {
                match small {
                    Some(kept) if kept.len() + bytes.len() <= SMALL_BYTES_MAX => {
                        kept.extend_from_slice(bytes)
                    }
                    _ => *small = None,
                }
                writer.write(bytes).map_err(|error| SinkError(Box::new(error)))?;
            }
            None => {}
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), SinkError> {
        if let Some(Current::Part { content_id, headers, small, writer }) = self.current.take() {
            let stored = writer.finish().map_err(|error| SinkError(Box::new(error)))?;
            self.parts.push(SpooledPart { content_id, headers, small, stored });
        }
        Ok(())
    }
}

/// What an `xop:Include` may stand for: digests, tokens. Longer parts are documents.
const SMALL_BYTES_MAX: usize = 16 * 1024;
