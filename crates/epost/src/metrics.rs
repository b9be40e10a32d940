//! The figures that operators watch, as OpenMetrics text. Labels are codes, stages and names of our own: nothing personal, nothing
//! that a sender chose.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use jiff::Timestamp;
use pki::certificate::Certificate;
use pki::crl::Crl;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::service::{Failure, Service};
use crate::witness::Standing;

/// One step of a request; each has a histogram of seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// From the first byte of a body to its last, synced.
    Read,
    /// Signature, path, revocation, freshness, UAM.
    Authenticate,
    /// The digest of every document, where it was not had as the bytes arrived.
    Digests,
    /// The recipient's eBox profile.
    Inquire,
    /// A record made durable (each of the two of an acceptance).
    Append,
    /// The seal's signature.
    Seal,
    /// The time-stamp, fetched and checked.
    Stamp,
    /// From a request's last byte to its answer's first.
    Answer,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Authenticate => "authenticate",
            Self::Digests => "digests",
            Self::Inquire => "inquire",
            Self::Append => "append",
            Self::Seal => "seal",
            Self::Stamp => "stamp",
            Self::Answer => "answer",
        }
    }
}

type Labels<const N: usize> = [(&'static str, &'static str); N];
type NewHistogram = fn() -> Histogram;

/// The figures of one running service.
pub struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<Labels<2>, Counter>,
    stages: Family<Labels<1>, Histogram, NewHistogram>,
    refused_connections: Family<Labels<1>, Counter>,
    turned_away: Family<Labels<1>, Counter>,
    breaches: Family<Labels<1>, Counter>,
    connections: Gauge,
    under_way: Gauge,
    scraped: Scraped,
}

/// What is asked of the ground state at each scrape.
#[derive(Default)]
struct Scraped {
    journal_records: Gauge,
    index_lag_records: Gauge,
    items: Family<Labels<1>, Gauge>,
    queue_items: Gauge,
    queue_late_seconds: Gauge,
    seals_waiting: Gauge,
    free_bytes: Gauge,
    seal_in_force: Gauge,
    policy_current: Gauge,
    witness_behind_records: Family<[(&'static str, String); 1], Gauge>,
    crl_seconds_left: Gauge,
    crl_age_seconds: Gauge,
    certificate_days_left: Family<Labels<1>, Gauge<f64, AtomicU64>>,
    clock_skew_seconds: Gauge<f64, AtomicU64>,
    clock_synchronised: Gauge,
    part_ok: Family<Labels<1>, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("epost");
        let requests = Family::default();
        let stages = Family::new_with_constructor(new_histogram as NewHistogram);
        let (refused_connections, turned_away, breaches) =
            (Family::default(), Family::default(), Family::default());
        let (connections, under_way) = (Gauge::default(), Gauge::default());
        let help = "Requests by operation and outcome: OK, or the fault's code";
        registry.register("requests", help, Family::clone(&requests));
        let help = "Seconds that the stages of requests took, whatever their outcome";
        registry.register("stage_seconds", help, Family::clone(&stages));
        let help = "Connections that ended before a request, by reason";
        registry.register("refused_connections", help, Family::clone(&refused_connections));
        let help = "Requests that were not read because too much was under way, by reason";
        registry.register("requests_turned_away", help, Family::clone(&turned_away));
        let help = "What looks like an attack or a break, by kind";
        registry.register("security_events", help, Family::clone(&breaches));
        registry.register("connections", "Connections that are open", Gauge::clone(&connections));
        registry.register("requests_under_way", "Requests being answered", Gauge::clone(&under_way));
        let scraped = Scraped::default();
        scraped.register(&mut registry);
        let registry = Mutex::new(registry);
        Self {
            registry,
            requests,
            stages,
            refused_connections,
            turned_away,
            breaches,
            connections,
            under_way,
            scraped,
        }
    }
}

impl Metrics {
    /// How the log's witnesses stand.
    pub(crate) fn witnessed(&self, standings: &[Standing]) {
        for Standing { witness, behind_records } in standings {
            let behind = self.scraped.witness_behind_records.get_or_create(&[("witness", witness.clone())]);
            behind.set(gauge(*behind_records));
        }
    }
}

/// 0.1 ms to 13 s, each bound twice the one before.
fn new_histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 2.0, 18))
}

impl Scraped {
    fn register(&self, registry: &mut Registry) {
        registry.register("journal_records", "Records in the journal", self.journal_records.clone());
        let help = "Journal records that the index has not seen";
        registry.register("index_lag_records", help, self.index_lag_records.clone());
        registry.register("items", "Items by status", self.items.clone());
        registry.register("queue_items", "Items in the delivery queue, due or not", self.queue_items.clone());
        let help = "Seconds by which the longest due item of the queue is late";
        registry.register("queue_late_seconds", help, self.queue_late_seconds.clone());
        let help = "Seals that wait for their turn at the key or for a time-stamp";
        registry.register("seals_waiting", help, self.seals_waiting.clone());
        registry.register("free_bytes", "Bytes free under the data folder", self.free_bytes.clone());
        let help = "1 while the seal's certificate is in force; at 0 nothing is sealed";
        registry.register("seal_in_force", help, self.seal_in_force.clone());
        let help = "1 while the policy file as it stands is the one in force; at 0 an older one decides";
        registry.register("policy_current", help, self.policy_current.clone());
        let help = "Records of the journal that are not under a witness's cosignature";
        registry.register("witness_behind_records", help, self.witness_behind_records.clone());
        let help = "Seconds since the oldest of the senders' revocation lists in use was made";
        registry.register("crl_age_seconds", help, self.crl_age_seconds.clone());
        let help = "Seconds until the first of the senders' revocation lists in use is stale";
        registry.register("crl_seconds_left", help, self.crl_seconds_left.clone());
        let help = "Days until a certificate of ours expires";
        registry.register("certificate_days_left", help, self.certificate_days_left.clone());
        let help = "A time-stamping authority's clock less ours, by the newest time-stamp";
        registry.register("clock_skew_seconds", help, self.clock_skew_seconds.clone());
        let help =
            "1 while clock.synchronised_command succeeds, 0 while it does not, -1 where nobody is asked";
        registry.register("clock_synchronised", help, self.clock_synchronised.clone());
        registry.register("part_ok", "1 where a local part is in order", self.part_ok.clone());
    }
}

/// Measures one stage from its making to its end, on every way out.
pub struct Timed<'a> {
    metrics: &'a Metrics,
    stage: Stage,
    begun: Instant,
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        let seconds = self.begun.elapsed().as_secs_f64();
        self.metrics.stages.get_or_create(&[("stage", self.stage.name())]).observe(seconds);
    }
}

/// Counts one more of something until it is dropped.
pub struct Held(Gauge);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// Begins to measure a stage; it ends when the value is dropped.
    pub fn time(&self, stage: Stage) -> Timed<'_> {
        Timed { metrics: self, stage, begun: Instant::now() }
    }

    /// One request was answered. `operation` is what the signed Body asked for, `unread` where that was never known.
    pub fn answered(&self, operation: Option<&'static str>, outcome: &'static str) {
        let operation = operation.unwrap_or("unread");
        self.requests.get_or_create(&[("operation", operation), ("outcome", outcome)]).inc();
    }

    /// A connection ended before a request; `reason` is the event of the technical log.
    pub fn refused_connection(&self, reason: &'static str) {
        self.refused_connections.get_or_create(&[("reason", reason)]).inc();
    }

    /// A request was turned away unread; `reason` is the check of its fault.
    pub fn turned_away(&self, reason: &'static str) {
        self.turned_away.get_or_create(&[("reason", reason)]).inc();
    }

    /// A security event of this kind.
    pub(crate) fn breach(&self, kind: &'static str) {
        self.breaches.get_or_create(&[("kind", kind)]).inc();
    }

    /// A connection is open while the value lives.
    pub fn connection(&self) -> Held {
        hold(&self.connections)
    }

    /// A request is under way while the value lives.
    pub fn request(&self) -> Held {
        hold(&self.under_way)
    }

    /// Asks the ground state how it is, and writes all figures as OpenMetrics text. `certificates` are ours, by option.
    ///
    /// # Errors
    /// The index cannot be read: ours.
    pub fn scrape(
        &self,
        service: &Service,
        certificates: &[(&'static str, Certificate)],
    ) -> Result<String, Failure> {
        self.scraped.refresh(service, certificates)?;
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        encode(&mut text, &registry).map_err(|error| {
            Failure::broken(erds::FaultCode::Soa02001, "metrics.encode", &error.to_string())
        })?;
        Ok(text)
    }
}

fn hold(gauge: &Gauge) -> Held {
    gauge.inc();
    Held(gauge.clone())
}

impl Scraped {
    fn refresh(
        &self,
        service: &Service,
        certificates: &[(&'static str, Certificate)],
    ) -> Result<(), Failure> {
        let now = service.now();
        let (size, indexed) = (service.journal().size(), service.index().next_position()?);
        self.journal_records.set(gauge(size));
        self.index_lag_records.set(gauge(size.saturating_sub(indexed)));
        let counts = service.index().counts()?;
        for (status, count) in [("PENDING", counts.pending), ("SENT", counts.sent), ("ERROR", counts.error)] {
            self.items.get_or_create(&[("status", status)]).set(gauge(count));
        }
        self.queue_items.set(gauge(counts.due));
        let late = service.index().next_due_at()?.map_or(0, |due| now.duration_since(due).as_secs());
        self.queue_late_seconds.set(late.max(0));
        self.seals_waiting.set(gauge(service.signing().waiting() as u64));
        let (disk, directory) = service.data();
        self.free_bytes.set(gauge(disk.free_bytes(directory).unwrap_or_default()));
        self.seal_in_force.set(i64::from(service.seal_in_force()));
        self.policy_current.set(i64::from(service.policy_problem().is_none()));
        let crls = service.senders().crls();
        let next = crls.current_at(now).filter_map(Crl::next_update).filter(|next| *next >= now).min();
        self.crl_seconds_left.set(next.map_or(0, |next| next.duration_since(now).as_secs()));
        let oldest = crls.current_at(now).map(Crl::this_update).min();
        self.crl_age_seconds.set(oldest.map_or(0, |made| now.duration_since(made).as_secs()));
        let clock = service.clock_watch().known();
        self.clock_skew_seconds.set(clock.skew.map_or(0.0, |skew| skew.as_secs_f64()));
        self.clock_synchronised.set(clock.synchronised.map_or(-1, i64::from));
        for (option, certificate) in certificates {
            let days = days_left(certificate, now);
            self.certificate_days_left.get_or_create(&[("certificate", *option)]).set(days);
        }
        for probe in crate::watch::local(service) {
            self.part_ok.get_or_create(&[("part", probe.id)]).set(i64::from(probe.problem.is_none()));
        }
        Ok(())
    }
}

/// Days until a certificate expires; negative afterwards.
pub fn days_left(certificate: &Certificate, now: Timestamp) -> f64 {
    certificate.not_after().duration_since(now).as_secs_f64() / 86_400.0
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
