//! What the service watches itself by.

use std::path::PathBuf;

use serde::Deserialize;

/// The clock, judged by every time-stamp and by what keeps it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Clock {
    /// Seconds between our clock and a time-stamp's beyond which an alarm is raised.
    pub skew_seconds_warn: u32,
    /// Seconds beyond which nothing is sealed with that time-stamp.
    pub skew_seconds_max: u32,
    /// Seconds between two looks at the clock; a time-stamp is asked for where no proof needed one meanwhile.
    pub check_seconds: u64,
    /// Program and arguments that end with 0 while the system's clock is synchronised; empty: nobody is asked.
    pub synchronised_command: Vec<String>,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            skew_seconds_warn: 2,
            skew_seconds_max: 10,
            check_seconds: 300,
            synchronised_command: Vec::new(),
        }
    }
}

/// The daily report on the log.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Report {
    /// The folder that each day's report is written into; none: none is made.
    pub folder: Option<PathBuf>,
    /// Minutes without a record, while serving, that it tells.
    pub gap_minutes: u32,
}

impl Default for Report {
    fn default() -> Self {
        Self { folder: None, gap_minutes: 720 }
    }
}

/// When security events of one kind are an alarm.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Breach {
    /// So many of one kind within the window raise an alarm; 0: none does.
    pub count_alarm: u64,
    /// Seconds of the window.
    pub window_seconds: u64,
}

impl Default for Breach {
    fn default() -> Self {
        Self { count_alarm: 20, window_seconds: 300 }
    }
}

/// One witness of the log (C2SP tlog-witness).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Witness {
    /// Its public key, as it publishes it: NAME+ID+KEY.
    pub key: String,
    /// Its submission prefix: checkpoints are posted to `url`/add-checkpoint.
    pub url: String,
    /// PEM files: the roots that its TLS certificate leads to.
    #[serde(default)]
    pub tls_anchors: Vec<PathBuf>,
    /// Seconds to wait for its answer.
    #[serde(default = "default_witness_timeout")]
    pub timeout_seconds: u64,
    /// Seconds that it may be behind before an alarm.
    #[serde(default = "default_witness_behind")]
    pub behind_seconds_max: u32,
}

fn default_witness_timeout() -> u64 {
    5
}
fn default_witness_behind() -> u32 {
    3600
}
