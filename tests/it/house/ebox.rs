//! The e-Box stand-in beside a house without a socket, and the real driver to it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use delivery::ebox::{Ambient, Ebox, Setup, SubjectLanguage, TokenSetup};
use delivery::{
    Channel, ContentSource, Facts, InquireError, Item, Outcome, PollError, Published, ReadStatus,
};
use disk::{Fault, ForgetfulDisk};
use epost::dev::ebox::{EboxRecipient, EboxSetup, serve};
use epost::dev::sandbox::CITIZEN;
use erds::{ChannelName, EboxCheck, Recipient, Refusal, Submission};
use jiff::Timestamp;

use super::{certificate, signer};

/// The stand-in, for as long as the test's runtime lives.
pub struct EboxStandIn {
    base: String,
    http: reqwest::Client,
}

const CLIENT_ID: &str = "a-test";
const SCOPE: &str = "publish";

impl EboxStandIn {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let recipient = EboxRecipient {
            identifier: CITIZEN.to_owned(),
            activated: true,
            exclusively: false,
            opened: true,
        };
        tokio::spawn(serve(
            listener,
            EboxSetup {
                clients: vec![(CLIENT_ID.to_owned(), certificate("ebox-client").der().to_vec())],
                audience: format!("{base}/token"),
                scope: SCOPE.to_owned(),
                token_seconds: 300,
                recipients: vec![recipient],
                conflict_names_message: true,
            },
        ));
        Self { base, http: epost::transport::client(&[], None, Duration::from_secs(5)).unwrap() }
    }

    /// Told what to do wrong.
    pub async fn fault(&self, fault: serde_json::Value) {
        let answer =
            self.http.put(format!("{}/fault", self.base)).body(fault.to_string()).send().await.unwrap();
        assert!(answer.status().is_success(), "{fault}");
    }

    /// What it counted.
    pub async fn received(&self) -> serde_json::Value {
        let answer = self.http.get(format!("{}/received", self.base)).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    /// The real driver; where a disk is given, its power goes out as soon as the e-Box has answered a post.
    pub fn channel(&self, cut_after_post: Option<ForgetfulDisk>) -> Arc<dyn Channel> {
        let setup = Setup {
            registry_url: self.base.clone(),
            profile_url: self.base.clone(),
            token: TokenSetup {
                url: format!("{}/token", self.base),
                audience: format!("{}/token", self.base),
                scope: SCOPE.to_owned(),
                client_id: CLIENT_ID.to_owned(),
            },
            message_types: Default::default(),
            default_message_type: "REGISTERED_MAIL".to_owned(),
            default_language: SubjectLanguage::Nl,
            enterprise_qualities: vec!["QUAL_EMP_NOSS".to_owned()],
            attachment_bytes_max: 1 << 30,
        };
        let transport = epost::transport::HttpTransport::new(self.http.clone(), Duration::from_secs(30));
        let ambient = Ambient {
            clock: Arc::new(Timestamp::now),
            random: Arc::new(|bytes| pki::random::fill(bytes).is_ok()),
        };
        let ebox = Ebox::new(setup, Arc::new(signer("ebox-client")), Arc::new(transport), ambient).unwrap();
        Arc::new(Cut { inner: Arc::new(ebox.citizen()), cut_after_post })
    }
}

struct Cut {
    inner: Arc<dyn Channel>,
    cut_after_post: Option<ForgetfulDisk>,
}

#[async_trait]
impl Channel for Cut {
    fn name(&self) -> ChannelName {
        self.inner.name()
    }

    async fn inquire(&self, recipient: &Recipient, check: EboxCheck) -> Result<Facts, InquireError> {
        self.inner.inquire(recipient, check).await
    }

    fn can_carry(&self, submission: &Submission, part_bytes: &[u64]) -> Result<(), Refusal> {
        self.inner.can_carry(submission, part_bytes)
    }

    async fn consign(&self, item: &Item, content: &dyn ContentSource) -> Outcome {
        let outcome = self.inner.consign(item, content).await;
        if let Some(disk) = &self.cut_after_post {
            disk.fail_at(disk.operations() + 1, Fault::PowerCut);
        }
        outcome
    }

    async fn poll_read(&self, asked: &[Published]) -> Result<Vec<ReadStatus>, PollError> {
        self.inner.poll_read(asked).await
    }
}
