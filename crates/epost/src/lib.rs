//! ePost, the service: doors, admission, courier, transports, configuration and operator commands.
//!
//! One request flows right and down: [`door`] takes bytes, [`admission`] decides, the journal records, the evidence seals, the
//! door answers, [`courier`] delivers. Nothing below this crate opens a socket.

pub mod access;
pub mod admission;
pub mod alarm;
mod aside;
pub mod backup;
pub mod breach;
pub mod client;
pub mod clock;
pub mod command;
pub mod config;
pub mod consult;
pub mod courier;
pub mod crls;
pub mod dev;
pub mod door;
pub mod drill;
pub mod folder;
mod key_slots;
pub mod keys;
pub mod metrics;
pub mod ocsp;
pub mod publication;
pub mod repair;
pub mod report;
pub mod retention;
pub mod rotation;
pub mod run;
pub mod scrub;
pub mod service;
pub mod signing;
pub mod stamp;
pub mod transport;
pub mod trust;
pub mod watch;
pub mod witness;
