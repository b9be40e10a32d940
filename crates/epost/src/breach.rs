//! Breach detection (N9): what looks like an attack or a break, by kind: told as an event, counted, and alarmed by its rate.
//!
//! One refusal is a sender's mistake, mostly; many of one kind within a window are somebody's to look at.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use erds::Sender;
use erds::record::Hex32;
use pki::certificate::Certificate;

use crate::config::Breach as Limits;
use crate::service::Service;

/// What was seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Breach {
    /// Bytes that are not those of the signed digest.
    HashMismatch,
    /// A signature that does not verify, or not over what it must.
    Signature,
    /// A message over another's connection, or one that is too old, or a name or an assertion used twice.
    Replay,
    /// A right that was not granted.
    Authorisation,
    /// A certificate that nobody issued whom we know, or that is revoked, expired, of a wrong kind or form.
    Certificate,
}

impl Breach {
    /// Every kind, in order.
    pub const ALL: [Self; 5] =
        [Self::HashMismatch, Self::Signature, Self::Replay, Self::Authorisation, Self::Certificate];

    /// By the check that refused; none: a mistake of form, or something of ours that is away.
    pub fn of_check(check: &str) -> Option<Self> {
        match check {
            "content.digest-mismatch" | "wss.signature.digest" => Some(Self::HashMismatch),
            "tls.peer.other-sender" | "submission.token-reused" | "wss.assertion.used" => Some(Self::Replay),
            "wss.timestamp.stale" | "wss.timestamp.expired" => Some(Self::Replay),
            "path.crl-missing" | "path.crl-stale" | "path.status-unknown" => None,
            "wss.sender.environment" => Some(Self::Certificate),
            "wss.signature.missing" | "wss.signature.xop-not-expanded" => None,
            _ => match check.split('.').take(2).collect::<Vec<_>>()[..] {
                ["uam", _] => Some(Self::Authorisation),
                ["path" | "identity" | "certificate", _] | ["wss", "token"] => Some(Self::Certificate),
                ["wss", "signature" | "saml" | "assertion" | "id"] | ["xmlsec", _] => Some(Self::Signature),
                _ => None,
            },
        }
    }

    /// Its word in figures and alarms.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HashMismatch => "hash-mismatch",
            Self::Signature => "signature",
            Self::Replay => "replay",
            Self::Authorisation => "authorisation",
            Self::Certificate => "certificate",
        }
    }
}

/// Counts each kind within a window.
#[derive(Debug)]
pub struct BreachWatch {
    count_alarm: u64,
    window: Duration,
    windows: Mutex<[Window; Breach::ALL.len()]>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    began: Instant,
    count: u64,
}

impl BreachWatch {
    /// Nothing was seen yet.
    pub fn new(limits: &Limits) -> Self {
        let empty = Window { began: Instant::now(), count: 0 };
        Self {
            count_alarm: limits.count_alarm,
            window: Duration::from_secs(limits.window_seconds),
            windows: Mutex::new([empty; Breach::ALL.len()]),
        }
    }

    /// Counts one; true for the one that fills a window: once a window.
    fn count(&self, kind: Breach, now: Instant) -> bool {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(window) = windows.get_mut(kind as usize) else { return false };
        if now.saturating_duration_since(window.began) >= self.window {
            *window = Window { began: now, count: 0 };
        }
        window.count += 1;
        window.count == self.count_alarm
    }
}

/// Where a breach was seen.
pub(crate) struct Seen<'a> {
    /// The fault's and the journal's id; empty where there is neither.
    pub id: &'a str,
    /// What refused.
    pub check: &'a str,
    /// From where.
    pub address: IpAddr,
    /// Who, if that was proven.
    pub sender: Option<&'a Sender>,
    /// The TLS certificate, if one was shown that could be kept.
    pub certificate: Option<&'a Certificate>,
}

impl Service {
    /// Tells, counts and, by the rate, alarms.
    pub(crate) fn breach(&self, kind: Breach, seen: &Seen<'_>) {
        let Seen { id, check, address, .. } = seen;
        let sender = seen.sender.map_or_else(|| "unproven".to_owned(), Sender::name);
        let certificate =
            seen.certificate.map_or_else(String::new, |shown| Hex32(shown.fingerprint()).to_hex());
        match kind {
            Breach::HashMismatch => {
                tracing::warn!(event = "security.hash-mismatch", id, check, %address, sender, certificate);
            }
            Breach::Signature => {
                tracing::warn!(event = "security.signature", id, check, %address, sender, certificate);
            }
            Breach::Replay => {
                tracing::warn!(event = "security.replay", id, check, %address, sender, certificate)
            }
            Breach::Authorisation => {
                tracing::warn!(event = "security.authorisation", id, check, %address, sender, certificate);
            }
            Breach::Certificate => {
                tracing::warn!(event = "security.certificate", id, check, %address, sender, certificate);
            }
        }
        self.metrics().breach(kind.as_str());
        let watch = self.breach_watch();
        if watch.count(kind, Instant::now()) {
            let (kind, count, window_seconds) = (kind.as_str(), watch.count_alarm, watch.window.as_secs());
            tracing::error!(event = "alarm.security-rate", kind, count, window_seconds);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_checks() {
        for (check, kind) in [
            ("content.digest-mismatch", Some(Breach::HashMismatch)),
            ("wss.signature.digest", Some(Breach::HashMismatch)),
            ("wss.signature.value", Some(Breach::Signature)),
            ("xmlsec.reference.twice", Some(Breach::Signature)),
            ("wss.saml.signature", Some(Breach::Signature)),
            ("tls.peer.other-sender", Some(Breach::Replay)),
            ("wss.timestamp.stale", Some(Breach::Replay)),
            ("wss.assertion.used", Some(Breach::Replay)),
            ("uam.sender", Some(Breach::Authorisation)),
            ("uam.address", Some(Breach::Authorisation)),
            ("path.revoked", Some(Breach::Certificate)),
            ("wss.token.path", Some(Breach::Certificate)),
            ("identity.enterprise.missing", Some(Breach::Certificate)),
            // A list of ours is away; a form that a stack has by default; a client's typing.
            ("path.crl-stale", None),
            ("wss.signature.xop-not-expanded", None),
            ("soap.operation.unknown", None),
            ("tsa.none-answered", None),
            ("item.unknown", None),
        ] {
            assert_eq!(Breach::of_check(check), kind, "{check}");
        }
    }

    #[test]
    fn the_one_that_fills_a_window_alarms() {
        let watch = BreachWatch::new(&Limits { count_alarm: 3, window_seconds: 60 });
        let begun = Instant::now();
        let count = |kind, seconds| watch.count(kind, begun + Duration::from_secs(seconds));
        let told = [1, 2, 3, 4, 59].map(|seconds| count(Breach::Replay, seconds));
        assert_eq!(told, [false, false, true, false, false], "once a window");
        assert!(!count(Breach::Signature, 3), "each kind by itself");
        let told = [100, 159, 160, 161, 162].map(|seconds| count(Breach::Replay, seconds));
        assert_eq!(told, [false, false, false, false, true], "a window later they are counted anew");
    }

    #[test]
    fn nobody_is_alarmed_where_none_is_asked_for() {
        let watch = BreachWatch::new(&Limits { count_alarm: 0, window_seconds: 60 });
        assert!((0..100).all(|_| !watch.count(Breach::Replay, Instant::now())));
    }
}
