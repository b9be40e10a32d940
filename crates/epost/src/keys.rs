//! The keys that the configuration names, from files or from tokens: the seal's signer, the master key.

use std::path::Path;
use std::sync::Arc;

use pki::aead::Key256;
use pki::signer::{FileSigner, SignError, Signer};
use pki::token::{Pin, Token, TokenSigner};
use zeroize::Zeroizing;

use crate::config::{Config, KeyPlace, MasterToken, Pkcs11};
use crate::run::{StartError, value};
use crate::trust::{self, TrustError};

/// The master key that the configuration names; a token unwraps it here, and is not asked again.
pub(crate) fn master_key(config: &Config) -> Result<Key256, StartError> {
    match &config.data.master_key {
        KeyPlace::File(path) => key_in_file(MASTER, path),
        KeyPlace::Token(MasterToken { wrapped, pkcs11 }) => {
            let bytes = trust::read(wrapped)?;
            let unwrapped = token(MASTER, pkcs11)?.unwrap(&pkcs11.label, &bytes);
            unwrapped.map_err(|cause| StartError::Token { option: MASTER, cause })
        }
    }
}

/// Makes the master key that the configuration names, where there is none; in a token's care nobody ever sees it.
///
/// # Errors
/// One is there already; it would lie under `data.directory`; the token's; the disk's.
pub fn make_master_key(config: &Config) -> Result<Key256, StartError> {
    let path = config.data.master_key.file();
    away_from_data(MASTER, path.parent().unwrap_or(Path::new(".")), &config.data.directory)?;
    let no_randomness = |cause| value(MASTER, cause, "randomness from the system");
    let key = Key256::random().map_err(no_randomness)?;
    let kept = match &config.data.master_key {
        KeyPlace::File(_) => Zeroizing::new(key.as_bytes().to_vec()),
        KeyPlace::Token(MasterToken { pkcs11, .. }) => {
            let failed = |cause| StartError::Token { option: MASTER, cause };
            let token = token(MASTER, pkcs11)?;
            let wrapped = token.wrap(&pkcs11.label, &key).map_err(failed)?;
            // Opened once before anything depends on it.
            let opened = token.unwrap(&pkcs11.label, &wrapped).map_err(failed)?;
            if opened.as_bytes() != key.as_bytes() {
                return Err(value(MASTER, "another key", "what the token wrapped before"));
            }
            Zeroizing::new(wrapped)
        }
    };
    let unwritable = |cause| TrustError::Unreadable { path: path.to_owned(), cause };
    write_new_secret(path, &kept).map_err(unwritable)?;
    Ok(key)
}

/// The seal's signer: its key and the certificate's are one.
pub(crate) fn seal_signer(config: &Config) -> Result<Arc<dyn Signer>, StartError> {
    let certificates = trust::read(&config.seal.certificate)?;
    let wrong = |error: SignError| match error {
        SignError::Token(cause) => StartError::Token { option: SEAL, cause },
        error => value(SEAL, error, "the key of seal.certificate"),
    };
    match &config.seal.key {
        KeyPlace::File(path) => {
            let pem = Zeroizing::new(trust::read(path)?);
            Ok(Arc::new(FileSigner::from_pem(&pem, &certificates).map_err(wrong)?))
        }
        KeyPlace::Token(held) => {
            let token = token(SEAL, &held.pkcs11)?;
            Ok(Arc::new(TokenSigner::new(token, &held.pkcs11.label, &certificates).map_err(wrong)?))
        }
    }
}

/// The 32 bytes of a master key's file.
pub(crate) fn key_in_file(option: &'static str, path: &Path) -> Result<Key256, StartError> {
    let bytes = Zeroizing::new(trust::read(path)?);
    let key: [u8; 32] = bytes.as_slice().try_into().map_err(|_| {
        value(option, format!("{} bytes", bytes.len()), "32 random bytes; `epost keys make` makes them")
    })?;
    Ok(Key256::new(key))
}

/// A key or a PIN would be in every backup of the data.
pub(crate) fn away_from_data(option: &'static str, place: &Path, data: &Path) -> Result<(), StartError> {
    let absolute = |path: &Path| {
        let unreadable = |cause| TrustError::Unreadable { path: path.to_owned(), cause };
        std::fs::canonicalize(if path == Path::new("") { Path::new(".") } else { path }).map_err(unreadable)
    };
    // There is no data before the first start.
    if data.exists() && absolute(place)?.starts_with(absolute(data)?) {
        let expected = "a file away from data.directory: its backup would hold the key";
        return Err(value(option, place.display(), expected));
    }
    Ok(())
}

fn token(option: &'static str, place: &Pkcs11) -> Result<Token, StartError> {
    Token::open(&place.module, &place.token, pin(option, &place.pin_file)?)
        .map_err(|cause| StartError::Token { option, cause })
}

/// One line, in a file that others cannot read.
fn pin(option: &'static str, path: &Path) -> Result<Pin, StartError> {
    use std::os::unix::fs::PermissionsExt;
    let unreadable = |cause| TrustError::Unreadable { path: path.to_owned(), cause };
    let mode = std::fs::metadata(path).map_err(unreadable)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let seen = format!("pin_file {} of mode {mode:03o}", path.display());
        return Err(value(option, seen, "one that nobody but its owner may read: chmod 600"));
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(unreadable)?);
    let line = Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned());
    if line.is_empty() || line.contains(['\r', '\n']) {
        let seen = format!("pin_file {} of {} lines", path.display(), line.lines().count());
        return Err(value(option, seen, "one line: the PIN"));
    }
    Ok(Pin::new(&line))
}

/// Durable, and its owner's alone.
fn write_new_secret(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    std::fs::File::open(folder)?.sync_all()
}

const MASTER: &str = "data.master_key";
const SEAL: &str = "seal.key";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_pin_is_one_line_that_nobody_else_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pin");
        let read = |text: &str, mode: u32| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            pin("seal.key", &path).map(|_| ()).map_err(|error| error.to_string())
        };
        for (text, mode) in [("1234\n", 0o600), ("1234", 0o400), ("1234\r\n", 0o600)] {
            assert_eq!(read(text, mode), Ok(()));
        }
        for mode in [0o640, 0o604, 0o620, 0o601] {
            let refused = read("1234\n", mode).unwrap_err();
            assert!(refused.contains("chmod 600") && !refused.contains("1234"), "{refused}");
        }
        for text in ["", "\n", "1234\n5678\n"] {
            let refused = read(text, 0o600).unwrap_err();
            assert!(refused.contains("expected one line") && !refused.contains("1234"), "{refused}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(pin("seal.key", &path).is_err());
    }
}
