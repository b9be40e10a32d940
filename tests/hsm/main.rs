//! Keys in a token, against SoftHSM2: `tests/hsm/run` fetches it, makes the tokens and their keys, and runs these, one after another.

mod faults;
mod master;
mod signing;
mod start;

use std::path::PathBuf;

use pki::token::{Pin, Token, TokenError};
use zeroize::Zeroizing;

/// What the script has set; without it a test fails.
fn set(name: &str) -> PathBuf {
    std::env::var_os(name).unwrap_or_else(|| panic!("{name} is not set: run tests/hsm/run")).into()
}

/// A file that the script made.
fn made(name: &str) -> Vec<u8> {
    let path = set("EPOST_HSM_FOLDER").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn pin(characters: &str) -> Pin {
    Pin::new(&Zeroizing::new(characters.to_owned()))
}

fn open(module: &str, label: &str, characters: &str) -> Result<Token, TokenError> {
    Token::open(&set(module), label, pin(characters))
}

/// The token that has all keys.
fn token() -> Token {
    open("EPOST_HSM_MODULE", "epost", "Kolibri77").unwrap()
}

/// The same, behind the module that can be told to fail.
fn faulty() -> Token {
    open("EPOST_HSM_SHIM", "epost", "Kolibri77").unwrap()
}

/// A fault while it is held.
struct Fault(PathBuf);

impl Fault {
    fn new(name: &str) -> Self {
        let path = set("EPOST_HSM_FAULTS").join(name);
        std::fs::write(&path, b"").unwrap();
        Self(path)
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Logins that went through the faulty module so far.
fn logins() -> usize {
    std::fs::read_to_string(set("EPOST_HSM_FAULTS").join("logins")).map_or(0, |lines| lines.lines().count())
}
