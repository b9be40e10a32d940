//! Our clock beside others: the time-stamping authorities' at every token, the machine's own monotonic one, and whoever keeps it (N2).
//!
//! A proof is sealed only if its time-stamp and our clock agree within `clock.skew_seconds_max`. What is told, in alarms and in the
//! journal, changes its mind downwards only well within a limit, so that a clock beside the limit does not fill the journal.

use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use erds::Record;
use jiff::{SignedDuration, Timestamp};
use pki::digest::{Digest, DigestAlgorithm};
use serde_json::json;
use tokio::process::Command;
use tokio::sync::watch;

use crate::config::Clock as Limits;
use crate::service::{Failure, Service};
use crate::trust::Stamp;

/// How far our clock is from a time-stamp's.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Standing {
    /// Within the warning limit.
    Agrees,
    /// Beyond it.
    Doubtful,
    /// Beyond the limit of sealing.
    Wrong,
}

impl Standing {
    /// Its word in the journal and the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::Doubtful => "doubtful",
            Self::Wrong => "wrong",
        }
    }
}

/// What is known of the clock.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The newest time-stamp's time less ours, as far as the question's duration leaves no doubt; none: no time-stamp yet.
    pub skew: Option<SignedDuration>,
    /// What was last told of it.
    pub told: Standing,
    /// What `clock.synchronised_command` said last; none: nobody was asked.
    pub synchronised: Option<bool>,
    seen_at: Instant,
}

/// Watches one clock.
#[derive(Debug)]
pub struct ClockWatch {
    warn: SignedDuration,
    max: SignedDuration,
    known: Mutex<Known>,
}

/// What one time-stamp says of our clock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reading {
    /// Its time less ours.
    pub skew: SignedDuration,
    /// By the limits, this time.
    pub standing: Standing,
    /// What is to be told, if that is another thing than before.
    pub news: Option<Standing>,
}

impl ClockWatch {
    /// A clock of which nothing is known yet.
    pub fn new(limits: &Limits) -> Self {
        let known = Known { skew: None, told: Standing::Agrees, synchronised: None, seen_at: Instant::now() };
        Self {
            warn: SignedDuration::from_secs(limits.skew_seconds_warn.into()),
            max: SignedDuration::from_secs(limits.skew_seconds_max.into()),
            known: Mutex::new(known),
        }
    }

    /// What is known.
    pub fn known(&self) -> Known {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a checked time-stamp's time, which was asked for and came at these times of ours.
    ///
    /// A token says whole seconds at times: what lies in the second before it was asked for is no skew.
    pub fn observe(&self, gen_time: Timestamp, asked_at: Timestamp, came_at: Timestamp) -> Reading {
        let early = gen_time.duration_since(asked_at) + GEN_TIME_GRAIN;
        let late = gen_time.duration_since(came_at);
        let skew = early.min(SignedDuration::ZERO) + late.max(SignedDuration::ZERO);
        let standing = self.standing(skew.abs());
        let mut known = self.lock();
        (known.skew, known.seen_at) = (Some(skew), Instant::now());
        // Downwards only if it stays down with a third more.
        let told = standing.max(self.standing(skew.abs() * 4 / 3).min(known.told));
        let news = (told != known.told).then_some(told);
        known.told = told;
        Reading { skew, standing, news }
    }

    fn standing(&self, skew: SignedDuration) -> Standing {
        match skew {
            skew if skew > self.max => Standing::Wrong,
            skew if skew > self.warn => Standing::Doubtful,
            _ => Standing::Agrees,
        }
    }

    fn synchronised(&self, now: bool) -> bool {
        self.lock().synchronised.replace(now) != Some(now)
    }
}

impl Service {
    /// A checked time-stamp with which our clock agrees.
    ///
    /// # Errors
    /// No authority gave one, or it differs from our clock by more than `clock.skew_seconds_max`: ours, SOA-02002.
    pub async fn stamp(&self, imprint: &Digest) -> Result<Stamp, Failure> {
        let asked_at = self.now();
        let stamp = self.stamper().stamp(imprint).await;
        let stamp = stamp.map_err(|error| Failure::away("tsa.none-answered", &error.to_string()))?;
        let gen_time = stamp.token.token().tst_info().gen_time;
        let reading = self.clock_watch().observe(gen_time, asked_at, self.now());
        let skew_seconds = reading.skew.as_secs_f64();
        if let Some(news) = reading.news {
            let (authority, standing) = (stamp.authority.as_str(), news.as_str());
            match news {
                Standing::Agrees => tracing::warn!(event = "clock.agrees-again", authority, skew_seconds),
                _ => tracing::error!(event = "alarm.clock-skew", authority, skew_seconds, standing),
            }
            let detail = json!({"standing": standing, "skew_seconds": skew_seconds, "tsa": authority});
            self.record_act("clock.skew", &detail.to_string()).await?;
        }
        match reading.standing {
            Standing::Wrong => Err(Failure::away(
                "clock.skew",
                &format!("our clock and the authority's differ by {skew_seconds} s (clock.skew_seconds_max)"),
            )),
            _ => Ok(stamp),
        }
    }
}

/// Looks at the clock again and again: whether it was set, whether who keeps it is content, and, where no proof was sealed meanwhile,
/// whether an authority agrees.
pub async fn watch(service: std::sync::Arc<Service>, limits: Limits, mut stop: watch::Receiver<bool>) {
    let every = Duration::from_secs(limits.check_seconds.max(1));
    let mut steps = Steps::begin(service.now(), Instant::now());
    if let Err(failure) = begin(&service).await {
        tracing::error!(event = "clock.unrecorded", %failure);
    }
    loop {
        if let Err(failure) = look(&service, &limits, &mut steps, every).await {
            tracing::error!(event = "clock.unrecorded", %failure);
        }
        tokio::select! {
            _ = stop.changed() => return,
            () = tokio::time::sleep(every) => {}
        }
    }
}

/// At the start, the newest record says that it was later once.
async fn begin(service: &Service) -> Result<(), Failure> {
    let Some(newest) = newest_before_start(service)? else { return Ok(()) };
    let behind = newest.duration_since(service.now());
    if behind <= service.clock_watch().warn {
        return Ok(());
    }
    told_set(service, -behind).await
}

/// The time of the newest record that this start did not write.
fn newest_before_start(service: &Service) -> Result<Option<Timestamp>, Failure> {
    let newest = service.journal().size();
    for position in (newest.saturating_sub(START_RECORDS_MAX)..newest).rev() {
        let record = service.journal().read(position)?.record;
        match &record {
            Record::Control(act) if act.action == "service.start" => {}
            Record::Withdrawn(request) if request.reason == crate::service::UNFINISHED => {}
            record => return Ok(Some(record.at())),
        }
    }
    Ok(None)
}

async fn look(service: &Service, limits: &Limits, steps: &mut Steps, every: Duration) -> Result<(), Failure> {
    let set = steps.tick(service.now(), Instant::now());
    if set.abs() > service.clock_watch().warn {
        told_set(service, set).await?;
    }
    if let Some((program, arguments)) = limits.synchronised_command.split_first() {
        let synchronised = succeeds(program, arguments).await;
        if service.clock_watch().synchronised(synchronised) {
            match synchronised {
                true => tracing::info!(event = "clock.synchronised"),
                false => tracing::error!(event = "alarm.clock-unsynchronised", program),
            }
            let detail = json!({ "in_order": synchronised });
            service.record_act("clock.synchronisation", &detail.to_string()).await?;
        }
    }
    if service.clock_watch().known().seen_at.elapsed() >= every {
        // What is wrong is told by the stamp itself.
        let _ = service.stamp(&Digest::of(DigestAlgorithm::Sha256, b"what time is it")).await;
    }
    Ok(())
}

async fn told_set(service: &Service, by: SignedDuration) -> Result<(), Failure> {
    let by_seconds = by.as_secs_f64();
    tracing::error!(event = "alarm.clock-set", by_seconds);
    service.record_act("clock.set", &json!({ "by_seconds": by_seconds }).to_string()).await
}

/// Our clock beside the one that nobody sets.
#[derive(Debug)]
struct Steps {
    at: Timestamp,
    beside: Instant,
}

impl Steps {
    fn begin(at: Timestamp, beside: Instant) -> Self {
        Self { at, beside }
    }

    /// By how much the clock was set since the last tick; backwards is negative.
    fn tick(&mut self, at: Timestamp, beside: Instant) -> SignedDuration {
        let passed = SignedDuration::try_from(beside.saturating_duration_since(self.beside));
        let went = at.duration_since(self.at);
        (self.at, self.beside) = (at, beside);
        passed.map_or(SignedDuration::ZERO, |passed| went - passed)
    }
}

async fn succeeds(program: &str, arguments: &[String]) -> bool {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let ended = tokio::time::timeout(COMMAND_TIME_MAX, command.status()).await;
    matches!(ended, Ok(Ok(status)) if status.success())
}

/// RFC 3161: a genTime without a fraction.
const GEN_TIME_GRAIN: SignedDuration = SignedDuration::from_secs(1);
const COMMAND_TIME_MAX: Duration = Duration::from_secs(10);
/// Among so many newest records lies one from before the start, or it does not matter.
const START_RECORDS_MAX: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + milliseconds).unwrap()
    }

    fn clock() -> ClockWatch {
        ClockWatch::new(&Limits { skew_seconds_warn: 2, skew_seconds_max: 10, ..Limits::default() })
    }

    #[test]
    fn at_each_limit_and_one_past_it() {
        for (gen_time, skew_ms, standing) in [
            (500, 0, Standing::Agrees),
            (-1000, 0, Standing::Agrees),
            (-3000, -2000, Standing::Agrees),
            (-3001, -2001, Standing::Doubtful),
            (-11_000, -10_000, Standing::Doubtful),
            (-11_001, -10_001, Standing::Wrong),
            (3000, 2000, Standing::Agrees),
            (3001, 2001, Standing::Doubtful),
            (11_000, 10_000, Standing::Doubtful),
            (11_001, 10_001, Standing::Wrong),
        ] {
            let reading = clock().observe(at(gen_time), at(0), at(1000));
            assert_eq!(reading.skew, SignedDuration::from_millis(skew_ms), "{gen_time}");
            assert_eq!((reading.standing, reading.news.is_some()), (standing, standing > Standing::Agrees));
        }
    }

    #[test]
    fn news_are_told_once_and_taken_back_well_within_the_limit() {
        let clock = clock();
        let mut told = Vec::new();
        for seconds in [0, 3, 9, 11, 12, 10, 9, 11, 7, 2, 3, 1, 0, 20, 0] {
            let reading = clock.observe(at(seconds * 1000), at(0), at(0));
            told.extend(reading.news.map(|news| (seconds, news)));
            assert_eq!(reading.standing == Standing::Wrong, seconds > 10, "each token by itself");
        }
        use Standing::*;
        assert_eq!(told, [(3, Doubtful), (11, Wrong), (7, Doubtful), (1, Agrees), (20, Wrong), (0, Agrees)]);
    }

    #[test]
    fn a_clock_that_is_set_is_seen_beside_the_one_that_is_not() {
        let begun = Instant::now();
        let mut steps = Steps::begin(at(0), begun);
        let mut tick = |clock_ms, beside_ms| {
            steps.tick(at(clock_ms), begun + Duration::from_millis(beside_ms)).as_millis()
        };
        assert_eq!(tick(60_000, 60_000), 0);
        assert_eq!(tick(90_000, 120_000), -30_000, "set back");
        assert_eq!(tick(150_000, 180_000), 0, "and told once");
        assert_eq!(tick(300_000, 240_000), 90_000);
    }

    #[tokio::test]
    async fn who_keeps_the_clock_is_asked_by_a_command() {
        assert!(succeeds("true", &[]).await);
        assert!(!succeeds("false", &[]).await);
        assert!(!succeeds("no-such-program-anywhere", &[]).await);
        let clock = clock();
        let changes: Vec<_> = [true, true, false, false, true].map(|now| clock.synchronised(now)).into();
        assert_eq!(changes, [true, false, true, false, true]);
    }
}
