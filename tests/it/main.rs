//! One integration binary: the house from the front door.
//!
//! `house` is the only module that touches an API: the tests are data that go through it.

#![allow(unreachable_pub, reason = "one binary: pub means for the other modules")]

mod house;

mod acceptance;
mod attacks;
mod backup;
mod bad_input;
mod bare_names;
mod batch;
mod breach;
mod clock;
mod consult;
mod contract_b;
mod contract_files;
mod crash;
mod damage;
mod delivery_faults;
mod door;
mod drill;
mod evidence;
mod flipped;
#[path = "../../crates/epost/tests/folder/mod.rs"]
mod folder;
mod index;
mod limits;
mod operator;
mod package;
mod read_status;
mod remote_decisions;
mod repair;
mod report;
mod resend;
mod retention;
mod rotation;
mod scrub;
mod soap12;
mod stamps;
mod strangers;
mod time_stamps;
mod uam;
mod witness;

mod submit;
mod tidy;
