//! Stand-ins of the outside world, for tests, the demo and the sandbox; never linked into a serving decision.
//!
//! They speak the real protocols with code of their own: none of it is shared with the checkers of what they make.

mod authority;
mod der;
pub mod ebox;
pub mod ocsp;
pub mod partners;
pub mod pdp;
pub mod pki;
pub mod sample;
pub mod sandbox;
pub mod start;
pub mod sts;
pub mod tsa;
pub mod witness;
