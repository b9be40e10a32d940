//! The service, assembled: ground state, trust, seal, channels, and the few acts that admission and courier share.

mod absent;
mod failure;
mod numbered;
mod parts;
mod policy;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use delivery::Channel;
use disk::Disk;
use erds::record::Control;
use erds::{ChannelName, Environment, FaultCode, Recipient, Record, Strictness, Ticket};
use jiff::Timestamp;
use journal::{Appended, Entry, Frame, Journal, Position, Stored};
use pki::digest::{Digest, DigestAlgorithm, Hasher};
use pki::signer::Signer;
use store::content::{Content, PartWriter};
use store::index::{Index, Item};
use store::keys::{ItemKey, Keys};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub use failure::Failure;
pub(crate) use numbered::last_numbered;
pub(crate) use parts::{Opened, Part, PartsInFiles, judge_file, open_parts};

use crate::access::RemoteAuthorizer;
use crate::admission::duplicates::InFlight;
use crate::admission::spool::{SpoolError, SpooledPart};
use crate::breach::BreachWatch;
use crate::clock::ClockWatch;
use crate::config::Limits;
use crate::metrics::{Metrics, Stage};
use crate::publication::Publication;
use crate::signing::{SigningLimits, SigningPool};
use crate::trust::{ProofAnchors, SenderTrust, Stamper};

/// What the service reads time from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The settings that admission and courier decide by.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This instance's environment.
    pub environment: Environment,
    /// How strictly identifiers are judged.
    pub strictness: Strictness,
    /// Longest life and oldest age of a Timestamp.
    pub timestamp_lifetime_seconds_max: u64,
    /// Clock difference granted.
    pub clock_skew_seconds_max: u64,
    /// Longest time from reception to genTime.
    pub seal_lag_seconds_max: i64,
    /// URIs of the policies that ERDS evidence names: 1 to 8.
    pub evidence_policies: Vec<String>,
    /// The text of each policy that evidence names or ever named, by its URI: packages carry them.
    pub evidence_policy_texts: BTreeMap<String, String>,
    /// When security events are an alarm.
    pub breach: crate::config::Breach,
    /// How far our clock may be from a time-stamp's.
    pub clock: crate::config::Clock,
    /// How many signatures of the seal at once.
    pub signing: SigningLimits,
    /// TLS peers that forward other senders' messages.
    pub trusted_gateways: Vec<[u8; 32]>,
    /// The header in which those say the sender's address, in lower case; none: they say none, and their own is judged.
    pub gateway_address_header: Option<String>,
    /// Callers that read faults in `errors/v1`.
    pub consumer_fault_addresses: Vec<std::net::IpAddr>,
    /// Limits of a request.
    pub limits: Limits,
    /// Below it nothing is accepted.
    pub free_bytes_min: u64,
    /// Start though content of items on their way is gone.
    pub serve_despite_absent: bool,
    /// Retries.
    pub delivery: crate::config::Delivery,
    /// Who has a folder of the batch channel: enterprise numbers of 10 digits.
    pub folders: std::collections::BTreeSet<String>,
    /// Where this instance is reached: for health answers.
    pub public_url: String,
    /// What a message's wsa:To may say.
    pub addresses: Vec<String>,
}

/// The outside, handed in: real in `epost serve`, scripted in tests.
pub struct Outside {
    /// The file layer.
    pub disk: Arc<dyn Disk>,
    /// The clock.
    pub clock: Clock,
    /// The time-stamping authorities.
    pub stamper: Arc<dyn Stamper>,
    /// The delivery channels.
    pub channels: Vec<Arc<dyn Channel>>,
    /// The e-Box behind the channels, for DEEP health checks; none in tests.
    pub channel_probe: Option<Arc<delivery::ebox::Ebox>>,
    /// The seal's key.
    pub signer: Arc<dyn Signer>,
    /// The key that signs contract B's answers: the server's own, never the seal's.
    pub answer_signer: Arc<dyn Signer>,
    /// The senders' authorities and CRLs.
    pub senders: SenderTrust,
    /// The policy file in force.
    pub policy: uam::PolicyFile,
    /// By whom a proof that is sent here is judged.
    pub proof_anchors: ProofAnchors,
    /// A decision point that is asked instead of its grants.
    pub remote: Option<Arc<RemoteAuthorizer>>,
    /// The CRLs (DER) of the seal's and the TSAs' chains that were current at a time: kept, and handed out with every proof.
    pub proof_crls: Arc<dyn Fn(Timestamp) -> Vec<Vec<u8>> + Send + Sync>,
    /// The log as it is published, which a package has its records covered by; none: the log has no key, and there are no packages.
    pub log: Option<Arc<Publication>>,
    /// Called when going on could lie: a sync error. Ends the process in `epost serve`.
    pub on_fatal: Arc<dyn Fn(&str) + Send + Sync>,
}

/// Where the ground state lies.
pub struct Places {
    /// The data folder.
    pub directory: PathBuf,
    /// The SQLite index; none: in memory (tests).
    pub index: Option<PathBuf>,
    /// The master key's 32 bytes.
    pub master_key: pki::aead::Key256,
    /// The log's name.
    pub origin: String,
    /// The journal's newest checkpoint, if it has one: the journal must begin with what is under it.
    pub signed: Option<journal::checkpoint::Checkpoint>,
    /// Journal segments' size.
    pub segment_bytes_max: u64,
    /// Largest part that lies in the journal's frames.
    pub inline_bytes_max: usize,
}

/// ePost, running.
pub struct Service {
    settings: Settings,
    journal: Journal,
    keys: Keys,
    content: Content,
    index: Index,
    outside: Outside,
    policy: ArcSwap<uam::PolicyFile>,
    policy_problem: ArcSwapOption<String>,
    policy_turn: tokio::sync::Mutex<()>,
    directory: PathBuf,
    log_origin: String,
    in_flight: InFlight,
    courier_wake: Notify,
    seal_in_force: AtomicBool,
    signing: SigningPool,
    clock_watch: ClockWatch,
    breach_watch: BreachWatch,
    metrics: Metrics,
}

/// What happened before the door may open.
#[derive(Clone, Debug, Default)]
pub struct StartReport {
    /// What the journal's opening found.
    pub journal: String,
    /// Records applied to the index.
    pub indexed: u64,
    /// Requests that a crash had left open.
    pub withdrawn: usize,
}

/// A proof as it was sealed.
pub struct StoredProof {
    /// The file.
    pub xml: Vec<u8>,
    /// Its detached seal.
    pub p7s: Vec<u8>,
    /// The time of its stamp.
    pub gen_time: Timestamp,
}

/// Why the ground state cannot be opened; the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] journal::OpenError),
    /// Keys, content or index.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// A record that the start had to write.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// Content of items on their way.
    #[error(
        "content.absent: {count} parts of items on their way are not there: {first}. `epost journal repair --content --from BACKUP` \
         brings back those that the backup has; if none has, `serve_despite_absent = true` in [data] starts all the same, and their items \
         end as ERROR when their time is spent"
    )]
    Absent {
        /// How many parts.
        count: usize,
        /// The first of them.
        first: String,
    },
}

impl Service {
    /// Opens the ground state, brings the index up to it, and withdraws what a crash left open; then the door may open.
    ///
    /// # Errors
    /// A damaged journal or store, a wrong master key: said with what is wrong and what to do.
    pub async fn open(
        settings: Settings,
        places: Places,
        outside: Outside,
    ) -> Result<(Arc<Self>, StartReport), OpenError> {
        let options = journal::Options {
            origin: places.origin.clone(),
            segment_bytes_max: places.segment_bytes_max,
            on_fatal: outside.on_fatal.clone(),
        };
        let directory = places.directory.join("journal");
        let (journal, opened) =
            Journal::open_signed(outside.disk.clone(), &directory, options, places.signed.as_ref())?;
        let keys = Keys::open(outside.disk.clone(), &places.directory.join("keys"), places.master_key)?;
        let content =
            Content::open(outside.disk.clone(), &places.directory.join("content"), places.inline_bytes_max)?;
        let index = Index::open(places.index.as_deref())?;
        let policy = ArcSwap::from_pointee(outside.policy.clone());
        let service = Arc::new(Self {
            signing: SigningPool::new(&settings.signing),
            clock_watch: ClockWatch::new(&settings.clock),
            breach_watch: BreachWatch::new(&settings.breach),
            settings,
            journal,
            keys,
            content,
            index,
            outside,
            policy,
            policy_problem: ArcSwapOption::empty(),
            policy_turn: tokio::sync::Mutex::default(),
            directory: places.directory,
            log_origin: places.origin,
            in_flight: InFlight::default(),
            courier_wake: Notify::new(),
            seal_in_force: AtomicBool::new(true),
            metrics: Metrics::default(),
        });
        let indexed = service.catch_up()?;
        service.finish_erasure().await?;
        service.require_content()?;
        let withdrawn = service.withdraw_unfinished().await?;
        service.sweep()?;
        Ok((service, StartReport { journal: opened.to_string(), indexed, withdrawn }))
    }

    /// Applies every record that the index has not seen.
    fn catch_up(&self) -> Result<u64, Failure> {
        let size = self.journal.size();
        if self.index.next_position()? > size {
            self.index.clear()?;
        }
        let first = self.index.next_position()?;
        for position in first..size {
            self.index.apply(position, &self.journal.read(position)?.record)?;
        }
        Ok(size - first)
    }

    async fn withdraw_unfinished(&self) -> Result<usize, Failure> {
        let open = self.index.unfinished()?;
        for item in &open {
            let record = Record::Withdrawn(erds::record::Withdrawn {
                ticket: item.ticket,
                at: self.now(),
                received_position: item.received,
                reason: UNFINISHED.to_owned(),
            });
            self.append(Entry { record, frames: Vec::new(), unique_keys: Vec::new() }).await?;
        }
        Ok(open.len())
    }

    /// Removes content that no record names.
    fn sweep(&self) -> Result<(), Failure> {
        // Where the index cannot tell, the content stays.
        self.content.sweep(&|ticket| {
            self.index.item(ticket).map_or(true, |item| item.is_some_and(|item| item.accepted.is_some()))
        })?;
        Ok(())
    }

    /// Appends and indexes. The index is derived, but answers are given by it: if it fails, the process ends and rebuilds it.
    pub async fn append(&self, entry: Entry) -> Result<Appended, Failure> {
        let timed = self.metrics.time(Stage::Append);
        let appended = self.journal.append(entry).await?;
        drop(timed);
        self.apply(&appended)?;
        Ok(appended)
    }

    /// As [`Service::append`], of several in their order, by one sync: the last one is there only if all before it are.
    pub(crate) async fn append_all(&self, entries: Vec<Entry>) -> Result<Vec<Appended>, Failure> {
        let appended = self.journal.append_all(entries).await?;
        appended.iter().try_for_each(|one| self.apply(one))?;
        Ok(appended)
    }

    fn apply(&self, appended: &Appended) -> Result<(), Failure> {
        let Appended::Recorded(recorded) = appended else { return Ok(()) };
        if let Record::Accepted(accepted) = recorded.record()
            && let Err(error) = self.content.named(accepted.ticket)
        {
            tracing::warn!(event = "spool.unnoted", %error); // the next start asks the index
        }
        // Of a few pages in memory: seldom does it wait for the disk.
        let applied = self.index.apply(recorded.position(), recorded.record());
        applied.map_err(|error| {
            (self.outside.on_fatal)(&format!("index: {error}"));
            error.into()
        })
    }

    /// Records an act of the service itself.
    pub async fn record_act(&self, action: &str, detail: &str) -> Result<(), Failure> {
        let record = Record::Control(Control {
            at: self.now(),
            action: action.to_owned(),
            ticket: None,
            detail: erds::record::bounded(detail),
        });
        self.append(Entry { record, frames: Vec::new(), unique_keys: Vec::new() }).await.map(|_| ())
    }

    /// The item's frame of this name, encrypted.
    pub fn frame(&self, ticket: Ticket, key: &ItemKey, part: &str, plain: &[u8]) -> Result<Frame, Failure> {
        let name = frame_name(ticket, part);
        let ciphertext = store::content::seal_frame(key, ticket, part, plain)?;
        Ok(Frame { name, ciphertext })
    }

    /// The plain bytes of a record's frame.
    pub fn open_frame(&self, stored: &Stored, part: &str) -> Result<Vec<u8>, Failure> {
        open_frame_with(&|ticket| self.keys.open_key(ticket), stored, part)?
            .ok_or_else(|| Failure::broken(FaultCode::RepoT01, "content.absent", part))
    }

    /// The receipt and its seal, as they were answered.
    pub fn stored_receipt(&self, ticket: Ticket) -> Result<StoredProof, Failure> {
        self.stored_proof(ticket, |item| item.accepted, "receipt.xml", "receipt.p7s")
    }

    /// The proof of dispatch and its seal.
    pub fn stored_dispatch(&self, ticket: Ticket) -> Result<StoredProof, Failure> {
        self.stored_proof(ticket, |item| item.dispatched, "dispatch.xml", "dispatch.p7s")
    }

    fn stored_proof(
        &self,
        ticket: Ticket,
        place: impl Fn(&Item) -> Option<Position>,
        xml: &str,
        p7s: &str,
    ) -> Result<StoredProof, Failure> {
        let item = self.index.item(ticket)?;
        let position = item.as_ref().and_then(place);
        let position =
            position.ok_or_else(|| Failure::broken(FaultCode::RepoT01, "proof.absent", ticket.as_str()))?;
        let stored = self.journal.read(position)?;
        let gen_time = match &stored.record {
            Record::Accepted(accepted) => accepted.gen_time,
            Record::Dispatched(dispatched) => dispatched.gen_time,
            other => return Err(Failure::journal(&format!("a proof in a {} record", other.kind()))),
        };
        Ok(StoredProof { xml: self.open_frame(&stored, xml)?, p7s: self.open_frame(&stored, p7s)?, gen_time })
    }

    /// The submission of an item, as its sender signed it.
    pub fn stored_submission(&self, item: &Item) -> Result<erds::Submission, Failure> {
        self.submission_of(&self.journal.read(item.received)?)
    }

    /// The submission that a Received keeps, as its sender signed it.
    pub(crate) fn submission_of(&self, received: &Stored) -> Result<erds::Submission, Failure> {
        serde_json::from_slice(&self.open_frame(received, "submission")?)
            .map_err(|error| Failure::store(&error.to_string()))
    }

    /// The sender's own name of an item.
    pub fn token_of(&self, item: &Item) -> Result<erds::Token, Failure> {
        Ok(self.stored_submission(item)?.token)
    }

    /// Reads a part again with another algorithm; for senders who state SHA-512.
    pub(crate) fn rehash(
        &self,
        ticket: Ticket,
        key: &ItemKey,
        part: &SpooledPart,
        algorithm: DigestAlgorithm,
    ) -> Result<Digest, Failure> {
        let mut reader = self.content.read_stored(ticket, &part.stored, key)?;
        let mut hasher = Hasher::new(algorithm);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match std::io::Read::read(&mut reader, &mut buffer) {
                Ok(0) => return Ok(hasher.finish()),
                Ok(count) => hasher.update(buffer.get(..count).unwrap_or_default()),
                Err(error) => return Err(Failure::store(&error.to_string())),
            }
        }
    }

    /// The channel of a recipient.
    pub fn channel_for(&self, recipient: &Recipient) -> Result<&Arc<dyn Channel>, Failure> {
        let name = match recipient {
            Recipient::Citizen { .. } => ChannelName::EboxCitizen,
            Recipient::Enterprise { .. } => ChannelName::EboxEnterprise,
        };
        self.channel(name)
    }

    /// Draws an item's name and key; nothing is written yet.
    pub(crate) fn draw_item(&self) -> Result<(Ticket, ItemKey), String> {
        let mut failed = None;
        let ticket = Ticket::from_random(&mut |bytes| {
            if let Err(error) = pki::random::fill(bytes) {
                failed = Some(error.to_string());
            }
        });
        match failed {
            Some(reason) => Err(reason),
            None => Ok((ticket, ItemKey::random().map_err(|error| error.to_string())?)),
        }
    }

    /// Starts making an item's key durable.
    pub(crate) fn make_key_durable(
        self: &Arc<Self>,
        ticket: Ticket,
        key: &ItemKey,
    ) -> JoinHandle<Result<ItemKey, String>> {
        let (service, key) = (self.clone(), key.clone());
        tokio::spawn(async move {
            service.keys.create(ticket, &key).await.map_err(|error| error.to_string())?;
            Ok(key)
        })
    }

    pub(crate) fn part_writer(
        &self,
        ticket: Ticket,
        name: &str,
        key: &ItemKey,
    ) -> Result<PartWriter, store::StoreError> {
        self.content.writer(ticket, name, key)
    }

    /// Removes what was spooled for an item that will not be.
    pub(crate) fn discard(&self, ticket: Ticket) {
        if let Err(error) = self.content.discard(ticket) {
            tracing::warn!(event = "spool.discard-failed", %error); // swept at the next start
        }
    }

    pub(crate) fn require_free_space(&self) -> Result<(), SpoolError> {
        match self.outside.disk.free_bytes(&self.directory) {
            Ok(free) if free < self.settings.free_bytes_min => Err(SpoolError::Full),
            Ok(_) => Ok(()),
            Err(error) => Err(SpoolError::Store(error.to_string())),
        }
    }

    pub(crate) fn draw_request_id(&self) -> String {
        uuid::Uuid::now_v7().to_string()
    }

    /// The clock.
    pub fn now(&self) -> Timestamp {
        (self.outside.clock)()
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The limits of a request.
    pub fn limits(&self) -> &Limits {
        &self.settings.limits
    }

    /// The journal.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The journal's name: that of the log of its records.
    pub(crate) fn log_origin(&self) -> &str {
        &self.log_origin
    }

    /// The derived index.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The content.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// The item keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The senders' authorities.
    pub fn senders(&self) -> &SenderTrust {
        &self.outside.senders
    }

    /// By whom a proof that is sent here is judged.
    pub(crate) fn proof_anchors(&self) -> &ProofAnchors {
        &self.outside.proof_anchors
    }

    /// The CRLs that go with a proof stamped at `at`.
    pub fn proof_crls(&self, at: Timestamp) -> Vec<Vec<u8>> {
        (self.outside.proof_crls)(at)
    }

    /// The log as it is published, if it is.
    pub(crate) fn publication(&self) -> Option<&Arc<Publication>> {
        self.outside.log.as_ref()
    }

    /// The seal's key.
    pub(crate) fn signer(&self) -> &dyn Signer {
        self.outside.signer.as_ref()
    }

    /// What is counted of security events.
    pub(crate) fn breach_watch(&self) -> &BreachWatch {
        &self.breach_watch
    }

    /// What is known of the clock.
    pub fn clock_watch(&self) -> &ClockWatch {
        &self.clock_watch
    }

    pub(crate) fn signing(&self) -> &SigningPool {
        &self.signing
    }

    /// Whether the seal's certificate was good when it was last judged; while it is not, nothing is sealed.
    pub(crate) fn set_seal_in_force(&self, in_force: bool) {
        self.seal_in_force.store(in_force, Ordering::SeqCst);
    }

    /// Whether proofs can be sealed now.
    pub fn seal_in_force(&self) -> bool {
        self.seal_in_force.load(Ordering::SeqCst)
    }

    /// The figures that operators watch.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn answer_signer(&self) -> &dyn Signer {
        self.outside.answer_signer.as_ref()
    }

    /// Asks the channels' outside whether it is there.
    pub(crate) async fn probe_channels(&self) -> Result<(), String> {
        match &self.outside.channel_probe {
            Some(ebox) => ebox.probe().await.map_err(|away| format!("{}: {}", away.code, away.detail)),
            None => Ok(()),
        }
    }

    /// An unpredictable number, for jitter; 0 where there is no randomness.
    pub(crate) fn draw_number(&self) -> u64 {
        let mut bytes = [0; 8];
        pki::random::fill(&mut bytes).map_or(0, |()| u64::from_le_bytes(bytes))
    }

    /// The channel of that name.
    pub(crate) fn channel(&self, name: ChannelName) -> Result<&Arc<dyn Channel>, Failure> {
        let found = self.outside.channels.iter().find(|channel| channel.name() == name);
        found.ok_or_else(|| Failure::broken(FaultCode::EpostT01, "channel.absent", name.as_str()))
    }

    /// Opens a stored part: a frame of its item's Received, or a file of the store.
    pub(crate) fn open_part(
        &self,
        ticket: Ticket,
        received: &Stored,
        part: &str,
    ) -> Result<Box<dyn std::io::Read + Send>, Failure> {
        if let Some(plain) = open_frame_with(&|ticket| self.keys.open_key(ticket), received, part)? {
            return Ok(Box::new(std::io::Cursor::new(plain)));
        }
        let absent = || Failure::broken(FaultCode::RepoT01, "content.absent", part);
        let key = self.keys.open_key(ticket)?.ok_or_else(absent)?;
        self.content.read_file(ticket, part, &key)?.ok_or_else(absent)
    }

    /// The channels.
    pub fn channels(&self) -> &[Arc<dyn Channel>] {
        &self.outside.channels
    }

    /// The TSAs.
    pub fn stamper(&self) -> &Arc<dyn Stamper> {
        &self.outside.stamper
    }

    /// The file layer and the data folder, for health checks.
    pub fn data(&self) -> (&Arc<dyn Disk>, &Path) {
        (&self.outside.disk, &self.directory)
    }

    pub(crate) fn in_flight(&self) -> &InFlight {
        &self.in_flight
    }

    /// Tells the courier that something is due.
    pub fn wake_courier(&self) {
        self.courier_wake.notify_one();
    }

    pub(crate) async fn courier_woken(&self) {
        self.courier_wake.notified().await;
    }
}

/// `TICKET/part`: the ticket names the key that opens the frame.
fn frame_name(ticket: Ticket, part: &str) -> String {
    format!("{}/{part}", ticket.as_str())
}

/// Where an item's key is had from.
pub(crate) type KeyOf<'a> = &'a dyn Fn(Ticket) -> Result<Option<ItemKey>, store::StoreError>;

/// The plain bytes of a record's frame; none where it is not there, or its key was destroyed.
pub(crate) fn open_frame_with(
    key_of: KeyOf<'_>,
    stored: &Stored,
    part: &str,
) -> Result<Option<Vec<u8>>, Failure> {
    let mut named =
        stored.frames.iter().filter_map(|frame| Some((frame.name.split_once('/')?, &frame.ciphertext)));
    let Some(((ticket, _), ciphertext)) = named.find(|((_, name), _)| *name == part) else { return Ok(None) };
    let ticket = Ticket::parse(ticket).map_err(|_| Failure::journal("a frame without a ticket"))?;
    let Some(key) = key_of(ticket)? else { return Ok(None) };
    Ok(Some(store::content::open_frame(&key, ticket, part, ciphertext)?))
}

/// The frame of a part that is small enough to lie in the journal.
pub(crate) fn inline_frame(ticket: Ticket, part: &store::content::StoredPart) -> Option<Frame> {
    let ciphertext = part.inline.clone()?;
    Some(Frame { name: frame_name(ticket, &part.name), ciphertext })
}

/// The index's database, within the data folder.
pub(crate) const INDEX: &str = "index.sqlite";

/// Why a start withdraws.
pub(crate) const UNFINISHED: &str = "start.unfinished";

/// The civil date in Belgium's sense is not needed: identifiers are judged by the UTC date.
pub fn today(now: Timestamp) -> jiff::civil::Date {
    now.to_zoned(jiff::tz::TimeZone::UTC).date()
}
