//! Witnesses of the log: each new checkpoint is sent to them, and their cosignatures are published with it. One that is away holds up
//! nothing; how far it is behind is told.
//!
//! Source: C2SP tlog-witness v1 (`add-checkpoint`).

use std::time::Duration;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use journal::checkpoint::Checkpoint;
use journal::tiles::{Published, TilesError};
use journal::witness::{self, ANSWER_BYTES_MAX, Cosignature, CosignatureError, Witness};
use reqwest::StatusCode;

use crate::config;
use crate::run::StartError;
use crate::trust;
use crate::{run, transport};

/// Those that are configured, and what is known of each.
pub struct Witnesses(Vec<Watched>);

struct Watched {
    witness: Witness,
    url: String,
    http: reqwest::Client,
    timeout: Duration,
    behind_max: SignedDuration,
    /// The size that it saw last, as far as we know.
    seen: u64,
    /// Its last cosignature, and of how many records.
    cosigned: Option<(u64, Cosignature)>,
    /// Since when it has not cosigned what was asked.
    behind_since: Option<Timestamp>,
    alarmed: bool,
}

/// How a witness stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Standing {
    /// Its name.
    pub witness: String,
    /// How many records of the newest checkpoint are not under a cosignature of it.
    pub behind_records: u64,
}

/// Why a witness did not cosign: it is asked again with the next checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// It is away, or too slow.
    #[error("witness.away: {0}")]
    Away(#[from] reqwest::Error),
    /// It answered otherwise than the protocol has it.
    #[error("witness.answer: {status}: {text}")]
    Answer {
        /// The status.
        status: u16,
        /// The beginning of what it said.
        text: String,
    },
    /// It saw more of the log than there is: it watches another log of our name, or ours was cut.
    #[error("witness.ahead: it saw {seen} records, the newest checkpoint has {size}")]
    Ahead {
        /// What it saw.
        seen: u64,
        /// What there is.
        size: u64,
    },
    /// What it gave is no cosignature of this checkpoint.
    #[error(transparent)]
    Cosignature(#[from] CosignatureError),
    /// The published files do not show that the log grew.
    #[error(transparent)]
    Tiles(#[from] TilesError),
}

impl WitnessError {
    /// Its stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Away(_) => "witness.away",
            Self::Answer { .. } => "witness.answer",
            Self::Ahead { .. } => "witness.ahead",
            Self::Cosignature(error) => error.code(),
            Self::Tiles(error) => error.code(),
        }
    }
}

impl Witnesses {
    /// Reads their keys and roots; asks nobody yet.
    ///
    /// # Errors
    /// The operator's to mend: a key of another form, a file that cannot be read.
    pub fn read(setups: &[config::Witness]) -> Result<Self, StartError> {
        let watched = |setup: &config::Witness| {
            let witness =
                setup.key.parse().map_err(|error| run::value("witness.key", error, "NAME+ID+KEY"))?;
            let anchors =
                setup.tls_anchors.iter().map(|path| trust::read(path)).collect::<Result<Vec<_>, _>>()?;
            let timeout = Duration::from_secs(setup.timeout_seconds);
            let http = transport::client(&anchors, None, timeout)
                .map_err(|error| run::value("witness.tls_anchors", error, "PEM certificates"))?;
            Ok::<_, StartError>(Watched {
                witness,
                url: format!("{}/add-checkpoint", setup.url.trim_end_matches('/')),
                http,
                timeout,
                behind_max: SignedDuration::from_secs(setup.behind_seconds_max.into()),
                seen: 0,
                cosigned: None,
                behind_since: None,
                alarmed: false,
            })
        };
        setups.iter().map(watched).collect::<Result<_, _>>().map(Self)
    }

    /// Asks each witness that has not cosigned the newest checkpoint yet, all at once; gives every cosignature of it that is good.
    pub async fn cosign(&mut self, published: &Published, now: Timestamp) -> Vec<Cosignature> {
        let size = published.checkpoint().size();
        join_all(self.0.iter_mut().map(|watched| watched.bring_up(published, now))).await;
        let newest = self.0.iter().filter_map(|watched| watched.cosigned.clone());
        newest.filter(|(cosigned, _)| *cosigned == size).map(|(_, cosignature)| cosignature).collect()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How each stands towards a log of so many records.
    pub fn standings(&self, size: u64) -> Vec<Standing> {
        let standing = |watched: &Watched| Standing {
            witness: watched.witness.name().to_owned(),
            behind_records: size.saturating_sub(watched.cosigned.as_ref().map_or(0, |(size, _)| *size)),
        };
        self.0.iter().map(standing).collect()
    }
}

impl Watched {
    async fn bring_up(&mut self, published: &Published, now: Timestamp) {
        let size = published.checkpoint().size();
        if self.cosigned.as_ref().is_some_and(|(cosigned, _)| *cosigned == size) {
            return;
        }
        match self.ask(published).await {
            Ok(cosignature) => {
                self.seen = size;
                self.cosigned = Some((size, cosignature));
                (self.behind_since, self.alarmed) = (None, false);
            }
            Err(error) => {
                let since = *self.behind_since.get_or_insert(now);
                tracing::warn!(event = "witness.behind", witness = self.witness.name(), code = error.code(), %error);
                if now.duration_since(since) >= self.behind_max && !self.alarmed {
                    self.alarmed = true;
                    tracing::error!(event = "alarm.witness-behind", witness = self.witness.name(), %since);
                }
            }
        }
    }

    async fn ask(&mut self, published: &Published) -> Result<Cosignature, WitnessError> {
        let checkpoint = published.checkpoint();
        for _ in 0..2 {
            match self.submit(published, checkpoint).await? {
                Submitted::Cosigned(lines) => return Ok(self.witness.cosignature(checkpoint, &lines)?),
                // It saw another size than we know of: once more, from there.
                Submitted::Seen(seen) if seen <= checkpoint.size() => self.seen = seen,
                Submitted::Seen(seen) => return Err(WitnessError::Ahead { seen, size: checkpoint.size() }),
            }
        }
        Err(WitnessError::Answer { status: 409, text: "it changed its mind about what it saw".to_owned() })
    }

    async fn submit(
        &self,
        published: &Published,
        checkpoint: &Checkpoint,
    ) -> Result<Submitted, WitnessError> {
        let proof = published.consistency(self.seen)?;
        let body = witness::request(checkpoint, self.seen, &proof);
        let mut answer = self.http.post(&self.url).timeout(self.timeout).body(body).send().await?;
        let status = answer.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > ANSWER_BYTES_MAX {
                break;
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match (status, text.trim_end_matches('\n').parse()) {
            (StatusCode::OK, _) => Ok(Submitted::Cosigned(text)),
            (StatusCode::CONFLICT, Ok(seen)) => Ok(Submitted::Seen(seen)),
            _ => {
                let text = erds::record::bounded(&text);
                Err(WitnessError::Answer { status: status.as_u16(), text })
            }
        }
    }
}

enum Submitted {
    /// Signature lines.
    Cosigned(String),
    /// It has seen a checkpoint of this size.
    Seen(u64),
}
