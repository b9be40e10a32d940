//! The messages of both contracts.
