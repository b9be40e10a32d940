//! The outside by script: a channel that counts, time-stamps that can be held back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use delivery::{
    Away, Channel, Consignment, ContentSource, Facts, InquireError, Item, Outcome, PollError, Published,
    ReadStatus,
};
use disk::{Fault, ForgetfulDisk};
use epost::trust::{Stamp, StampError, Stamper};
use erds::{ChannelName, EboxCheck, Recipient, Refusal, Submission, Ticket};
use jiff::Timestamp;
use pki::digest::{Digest, DigestAlgorithm};
use tokio::sync::Semaphore;

/// The recipients' side, which no power cut of ours touches: each consignment counted by its idempotency key.
#[derive(Clone, Default)]
pub struct Boxes(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Key → item and how often it was posted.
    by_key: BTreeMap<String, (Ticket, u32)>,
    read: Vec<Vec<u8>>,
    cut_after_post: Option<ForgetfulDisk>,
}

impl Boxes {
    /// The items that lie in a box, once for each key that they came under.
    pub fn items(&self) -> Vec<Ticket> {
        self.state().by_key.values().map(|(ticket, _)| *ticket).collect()
    }

    /// How often anything was posted.
    pub fn posts(&self) -> u32 {
        self.state().by_key.values().map(|(_, posts)| posts).sum()
    }

    /// The files that were placed, in order.
    pub fn files(&self) -> Vec<Vec<u8>> {
        self.state().read.clone()
    }

    /// The same boxes in another world.
    pub fn copy(&self) -> Self {
        let state = self.state();
        Self(Arc::new(Mutex::new(State {
            by_key: state.by_key.clone(),
            read: state.read.clone(),
            cut_after_post: None,
        })))
    }

    /// At the next post, the power goes out after the item was placed and before anybody hears of it.
    pub fn cut_after_post(&self, disk: &ForgetfulDisk) {
        self.state().cut_after_post = Some(disk.clone());
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn post(&self, channel: ChannelName, item: &Item, content: &dyn ContentSource) -> std::io::Result<bool> {
        let mut files = Vec::new();
        for part in &item.parts {
            let mut bytes = Vec::new();
            content.open(&part.name)?.read_to_end(&mut bytes)?;
            assert_eq!(bytes.len() as u64, part.bytes, "the channel gets what the record says");
            files.push(bytes);
        }
        let key = delivery::ebox::idempotency_key(&item.ticket, channel).to_string();
        let mut state = self.state();
        let (_, posts) = state.by_key.entry(key).or_insert((item.ticket, 0));
        *posts += 1;
        let first = *posts == 1;
        if first {
            state.read.extend(files);
        }
        if let Some(disk) = state.cut_after_post.take() {
            disk.fail_at(disk.operations() + 1, Fault::PowerCut);
        }
        Ok(first)
    }
}

/// One channel into [`Boxes`]: every recipient has a box.
pub struct Counting {
    pub name: ChannelName,
    pub boxes: Boxes,
}

#[async_trait]
impl Channel for Counting {
    fn name(&self) -> ChannelName {
        self.name
    }

    async fn inquire(&self, _: &Recipient, _: EboxCheck) -> Result<Facts, InquireError> {
        Ok(Facts { asked_at: Some(Timestamp::now()), activated: Some(true), exclusively: None })
    }

    fn can_carry(&self, _: &Submission, _: &[u64]) -> Result<(), Refusal> {
        Ok(())
    }

    async fn consign(&self, item: &Item, content: &dyn ContentSource) -> Outcome {
        let answer_digest = Digest::of(DigestAlgorithm::Sha256, item.ticket.as_str().as_bytes());
        let message_id = format!("message-{}", item.ticket.as_str());
        let at = Timestamp::now();
        match self.boxes.post(self.name, item, content) {
            Ok(true) => Outcome::Consigned(Consignment {
                message_id,
                consigned_at: at,
                expires_at: None,
                no_digital_user: false,
                answer_digest,
            }),
            Ok(false) => Outcome::AlreadyPublished { message_id: Some(message_id), answer_digest, at },
            Err(error) => Outcome::Ours(Away {
                code: "test.content",
                detail: error.to_string(),
                retry_after_seconds: None,
                maybe_published: false,
            }),
        }
    }

    async fn poll_read(&self, _: &[Published]) -> Result<Vec<ReadStatus>, PollError> {
        Ok(Vec::new())
    }
}

/// One that takes every item and never says what became of it.
pub struct Silent(pub Counting);

#[async_trait]
impl Channel for Silent {
    fn name(&self) -> ChannelName {
        self.0.name()
    }

    async fn inquire(&self, recipient: &Recipient, check: EboxCheck) -> Result<Facts, InquireError> {
        self.0.inquire(recipient, check).await
    }

    fn can_carry(&self, submission: &Submission, sizes: &[u64]) -> Result<(), Refusal> {
        self.0.can_carry(submission, sizes)
    }

    async fn consign(&self, _: &Item, _: &dyn ContentSource) -> Outcome {
        std::future::pending().await
    }

    async fn poll_read(&self, published: &[Published]) -> Result<Vec<ReadStatus>, PollError> {
        self.0.poll_read(published).await
    }
}

/// Real time-stamps, let through one by one where a test holds them back.
pub struct Gate {
    pub inner: Arc<dyn Stamper>,
    pub passes: Semaphore,
    pub asked: Semaphore,
}

impl Gate {
    pub fn open(inner: Arc<dyn Stamper>) -> Arc<Self> {
        Arc::new(Self { inner, passes: Semaphore::new(Semaphore::MAX_PERMITS), asked: Semaphore::new(0) })
    }

    pub fn closed(inner: Arc<dyn Stamper>) -> Arc<Self> {
        Arc::new(Self { inner, passes: Semaphore::new(0), asked: Semaphore::new(0) })
    }
}

#[async_trait]
impl Stamper for Gate {
    async fn stamp(&self, imprint: &Digest) -> Result<Stamp, StampError> {
        self.asked.add_permits(1);
        match self.passes.acquire().await {
            Ok(pass) => pass.forget(),
            Err(_) => return Err(StampError(vec!["the test's: away".to_owned()])),
        }
        self.inner.stamp(imprint).await
    }
}
