//! How the parts are: what health checks and operators are told.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use pki::certificate::Certificate;
use pki::digest::{Digest, DigestAlgorithm};

use crate::admission::health::timed;
use crate::clock::Standing;
use crate::metrics::days_left;
use crate::service::{Clock, Service};

/// What one probe found.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Its stable name.
    pub id: &'static str,
    /// What was probed.
    pub resource: &'static str,
    /// What is wrong, without secrets; none: nothing.
    pub problem: Option<String>,
    /// How long it took.
    pub time_ms: u32,
}

/// The local parts: journal, index, disk, clock, revocation lists.
pub fn local(service: &Service) -> Vec<Probe> {
    let begun = Instant::now();
    let size = service.journal().size();
    let journal = match size.checked_sub(1).map(|last| service.journal().read(last)) {
        Some(Err(error)) => Some(error.to_string()),
        _ => None,
    };
    let mut probes = vec![timed("journal", "the journal's newest record", begun, journal)];

    let begun = Instant::now();
    let index = match service.index().next_position() {
        Err(error) => Some(error.to_string()),
        // Appends under way are in the journal a moment before they are indexed.
        Ok(next) if next + 1024 < size => Some(format!("indexed up to {next} of {size}")),
        Ok(_) => None,
    };
    probes.push(timed("index", "the derived index", begun, index));

    let begun = Instant::now();
    let (disk, directory) = service.data();
    let full = match disk.free_bytes(directory) {
        Ok(free) if free < service.settings().free_bytes_min => Some(format!("{free} bytes free")),
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
    };
    probes.push(timed("disk", "the data folder", begun, full));

    let begun = Instant::now();
    let problem = match service.clock_watch().known() {
        _ if service.now() <= BUILT_AFTER => Some("before this program was built".to_owned()),
        known if known.told == Standing::Wrong => {
            let skew = known.skew.unwrap_or_default().as_secs_f64();
            Some(format!("the time-stamping authority's differs from it by {skew} s: nothing is sealed"))
        }
        _ => None,
    };
    probes.push(timed("clock", "the system clock", begun, problem));

    let begun = Instant::now();
    let crls = service.senders().crls();
    let stale = crls.stale_at(service.now()).next();
    let told = || crate::trust::snapshot(&crls, service.now());
    let problem = stale.map(|crl| format!("no current list of {}; {}", crl.issuer(), told()));
    probes.push(timed("revocation", "the senders' revocation lists", begun, problem));
    probes
}

/// The outside: time-stamping, the channels.
pub async fn outside(service: &Service) -> Vec<Probe> {
    let begun = Instant::now();
    let imprint = Digest::of(DigestAlgorithm::Sha256, b"health check");
    let problem = service.stamp(&imprint).await.err().map(|failure| failure.to_string());
    let mut probes = vec![timed("tsa", "time-stamping authority", begun, problem)];
    if let Some(remote) = service.remote() {
        let problem = remote.problem().map(|problem| problem.to_string());
        probes.push(timed("uam", "the decision point, when it was last asked", Instant::now(), problem));
    }
    let begun = Instant::now();
    let problem = service.probe_channels().await.err();
    probes.push(timed("ebox", "e-Box MessageRegistry", begun, problem));
    probes
}

/// Warns, once an hour at most and once a step, of certificates of ours that end: 90, 30 and 7 days ahead, and when they have.
pub async fn certificates(
    certificates: Vec<(&'static str, Certificate)>,
    clock: Clock,
    mut stop: tokio::sync::watch::Receiver<bool>,
) {
    let mut told: Vec<Option<i64>> = vec![None; certificates.len()];
    loop {
        for ((option, certificate), told) in certificates.iter().zip(&mut told) {
            let days = days_left(certificate, clock()).floor() as i64;
            let step = expiry_step(days);
            if step.is_some() && step != *told {
                tracing::error!(event = "alarm.certificate-expiry", option, days);
            }
            *told = step;
        }
        tokio::select! {
            _ = stop.changed() => return,
            () = tokio::time::sleep(EXPIRY_EVERY) => {}
        }
    }
}

/// The smallest step that so many days are within; none: time enough.
fn expiry_step(days: i64) -> Option<i64> {
    EXPIRY_STEPS_DAYS.into_iter().find(|step| days < *step)
}

const EXPIRY_STEPS_DAYS: [i64; 4] = [0, 7, 30, 90];
const EXPIRY_EVERY: Duration = Duration::from_secs(3600);

/// A clock before this is wrong for certain (2026-11-01).
const BUILT_AFTER: Timestamp = Timestamp::constant(1_793_491_200, 0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_of_an_expiry_is_told_apart() {
        let steps = [
            (91, None),
            (90, None),
            (89, Some(90)),
            (30, Some(90)),
            (29, Some(30)),
            (7, Some(30)),
            (6, Some(7)),
            (0, Some(7)),
            (-1, Some(0)),
        ];
        for (days, step) in steps {
            assert_eq!(expiry_step(days), step, "{days}");
        }
    }
}
