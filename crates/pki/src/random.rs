//! Randomness, from the crypto library's generator (seeded by the system).

/// No randomness to be had: ours, and nothing may go on without it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("random.unavailable: {0}")]
pub struct RandomError(String);

/// Fills `bytes`.
///
/// # Errors
/// The system gives none.
pub fn fill(bytes: &mut [u8]) -> Result<(), RandomError> {
    openssl::rand::rand_bytes(bytes).map_err(|error| RandomError(error.to_string()))
}
