//! `[delivery]` and `[batch]`: how often it is tried, and which partners have a folder of their own.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

/// The batch channel.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// Address and port of its door: mutual TLS, WebDAV.
    pub address: SocketAddr,
    /// PEM files: the roots of the partners' certificates.
    pub anchors: Vec<PathBuf>,
    /// PEM files: intermediates.
    #[serde(default)]
    pub intermediates: Vec<PathBuf>,
    /// CRL files or folders of every authority in those paths.
    pub crls: Vec<PathBuf>,
    /// Connections at once; the next one is closed.
    #[serde(default = "default_connections")]
    pub connections_max: usize,
    /// Of those, of one partner.
    #[serde(default = "default_connections_per_partner")]
    pub connections_per_partner_max: usize,
    /// The partners.
    pub partner: Vec<BatchPartner>,
}

fn default_connections() -> usize {
    64
}
fn default_connections_per_partner() -> usize {
    8
}

/// An institution with a folder.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchPartner {
    /// Its enterprise number: one entry an institution.
    pub cbe: String,
    /// SHA-256 fingerprints (hex) of the certificates that open its folder.
    pub certificates: Vec<String>,
}

/// How delivery is retried.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Delivery {
    /// Seconds before the second attempt; doubled after each, with jitter.
    pub retry_first_seconds: u64,
    /// Longest pause between two attempts.
    pub retry_pause_seconds_max: u64,
    /// After this time without success the consignment has failed (D.2).
    pub deadline_seconds: u64,
    /// Consignments under way at once, of each channel.
    pub concurrency_max: usize,
    /// Seconds between two polls of what was read; 0: nobody is asked.
    pub read_poll_seconds: u64,
    /// Seconds after its reception from which an item is not asked for any more.
    pub read_poll_end_seconds: u64,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            retry_first_seconds: 5,
            retry_pause_seconds_max: 900,
            deadline_seconds: 5 * 24 * 3600,
            concurrency_max: 8,
            read_poll_seconds: 3600,
            read_poll_end_seconds: 400 * 24 * 3600,
        }
    }
}
