//! WS-Security at the crate's door. Method: a message is made by the kit with independent means (openssl signs, the
//! kit writes the XML), changed in one place, and goes through `Envelope::parse` and `authenticate_with`; the outcome is
//! one line. Rows are those of `security.md`.

mod acceptance;
mod addressing;
mod certificates;
mod keys;
mod kit;
mod one_reading;
mod references;
mod saml;
mod text;
mod time;
mod wrapping;
