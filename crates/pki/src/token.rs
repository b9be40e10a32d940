//! Keys that stay in a token (an HSM, a card): PKCS#11 through the vendor's module.
//!
//! A module stays loaded to the process's end: sessions, logins and the module's own state belong to the process. Of what is here
//! nothing tries a PIN twice: a token that locks after so many wrong ones is locked by nobody's restarts.
//!
//! Source: PKCS#11 v2.40 (OASIS), base specification §5.

mod error;
mod sign;
mod wrap;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::MechanismType;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;
use zeroize::Zeroizing;

pub use error::{KeyUse, TokenError};
pub use sign::TokenSigner;

/// A token's user PIN; wiped when dropped, never shown.
pub struct Pin(AuthPin);

impl Pin {
    /// A PIN from its characters.
    pub fn new(characters: &Zeroizing<String>) -> Self {
        Self(AuthPin::from(characters.as_str()))
    }
}

/// One token, by its label, and the PIN that opens it. Each call opens what sessions it needs: a token that went away and came back
/// is the same one.
pub struct Token {
    module: Pkcs11,
    label: String,
    pin: Pin,
    /// Why the token took the PIN not: it is not offered again.
    refused: Mutex<Option<TokenError>>,
}

impl Token {
    /// Loads the module and finds the token; the PIN is judged when a key is used.
    ///
    /// # Errors
    /// `Module`: not a PKCS#11 module. `NotFound`: no token, or several, of that label. Who configured them.
    pub fn open(module: &Path, label: &str, pin: Pin) -> Result<Self, TokenError> {
        let module = loaded(module)?;
        let token = Self { module, label: label.to_owned(), pin, refused: Mutex::new(None) };
        token.slot()?;
        Ok(token)
    }

    /// Its label.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Where the token is now.
    fn slot(&self) -> Result<Slot, TokenError> {
        let slots = self.module.get_slots_with_initialized_token();
        let slots = slots.map_err(|error| self.away("list the slots", &error))?;
        // One that is pulled out just now is no token either.
        let tokens =
            slots.into_iter().filter_map(|slot| Some((slot, self.module.get_token_info(slot).ok()?)));
        let tokens: Vec<(Slot, String)> = tokens.map(|(slot, info)| (slot, name(&info))).collect();
        let mut found = tokens.iter().filter(|(_, label)| *label == self.label);
        match (found.next(), found.next()) {
            (Some((slot, _)), None) => Ok(*slot),
            (None, _) => {
                let seen = tokens.into_iter().map(|(_, label)| label).collect();
                Err(TokenError::NotFound { label: self.label.clone(), seen })
            }
            _ => Err(TokenError::Ambiguous { label: self.label.clone() }),
        }
    }

    /// A session that may use the keys.
    fn session(&self) -> Result<Session, TokenError> {
        let slot = self.slot()?;
        let session = self.module.open_ro_session(slot);
        let session = session.map_err(|error| self.away("open a session", &error))?;
        self.log_in(slot, &session)?;
        Ok(session)
    }

    /// A login is the process's, for all its sessions with the token, and ends with the last of them.
    fn log_in(&self, slot: Slot, session: &Session) -> Result<(), TokenError> {
        let mut refused = whole(&self.refused);
        if let Some(error) = &*refused {
            return Err(error.clone());
        }
        let state =
            session.get_session_info().map_err(|error| self.away("tell a session's state", &error))?;
        if matches!(state.session_state(), SessionState::RoUser | SessionState::RwUser) {
            return Ok(());
        }
        let before = self.module.get_token_info(slot).map_err(|error| self.away("tell its state", &error))?;
        if before.user_pin_final_try() {
            return Err(TokenError::PinLastTry { label: self.label.clone() });
        }
        let error = match session.login(UserType::User, Some(&self.pin.0)) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => return Ok(()),
            Err(error) => error,
        };
        let error = match error {
            Error::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _) => {
                TokenError::Pin { label: self.label.clone(), tries: self.tries(slot) }
            }
            Error::Pkcs11(
                cause @ (RvError::PinLocked | RvError::PinExpired | RvError::UserPinNotInitialized),
                _,
            ) => TokenError::PinUnusable { label: self.label.clone(), cause: format!("{cause:?}") },
            error => return Err(self.away("take a login", &error)),
        };
        *refused = Some(error.clone());
        Err(error)
    }

    /// What the token tells of the tries that remain: no number, only flags.
    fn tries(&self, slot: Slot) -> &'static str {
        match self.module.get_token_info(slot) {
            Ok(info) if info.user_pin_locked() => "none, it is locked now",
            Ok(info) if info.user_pin_final_try() => "one",
            Ok(info) if info.user_pin_count_low() => "fewer than all; the token tells no number",
            _ => "unknown, the token tells nothing",
        }
    }

    /// The one key of this label and class, which never leaves the token in the clear.
    fn key(&self, session: &Session, class: ObjectClass, label: &str) -> Result<ObjectHandle, TokenError> {
        let used = if class == ObjectClass::SECRET_KEY { KeyUse::Wrap } else { KeyUse::Sign };
        let template =
            [Attribute::Token(true), Attribute::Class(class), Attribute::Label(label.as_bytes().to_vec())];
        let found = session.find_objects(&template).map_err(|error| self.away("find a key", &error))?;
        let key = || label.to_owned();
        let [handle] = found[..] else {
            return Err(TokenError::Key { label: self.label.clone(), key: key(), used, seen: found.len() });
        };
        let asked = [AttributeType::Sensitive];
        let attributes =
            session.get_attributes(handle, &asked).map_err(|error| self.away("describe a key", &error))?;
        if attributes != [Attribute::Sensitive(true)] {
            return Err(TokenError::Exposed { label: self.label.clone(), key: key() });
        }
        Ok(handle)
    }

    /// The token does what is asked of it.
    fn require(&self, mechanism: MechanismType, named: &'static str) -> Result<(), TokenError> {
        match self.module.get_mechanism_info(self.slot()?, mechanism) {
            Ok(_) => Ok(()),
            Err(Error::Pkcs11(RvError::MechanismInvalid, _)) => {
                Err(TokenError::Mechanism { label: self.label.clone(), mechanism: named })
            }
            Err(error) => Err(self.away("describe a mechanism", &error)),
        }
    }

    /// What an error of using a key means.
    fn unfit(&self, doing: &'static str, key: &str, used: KeyUse, error: &Error) -> TokenError {
        match error {
            Error::Pkcs11(
                cause @ (RvError::KeyTypeInconsistent
                | RvError::KeyFunctionNotPermitted
                | RvError::KeySizeRange),
                _,
            ) => TokenError::Unfit {
                label: self.label.clone(),
                key: key.to_owned(),
                used,
                seen: format!("{cause:?}"),
            },
            error => self.away(doing, error),
        }
    }

    fn away(&self, doing: &'static str, error: &Error) -> TokenError {
        let cause = match error {
            Error::Pkcs11(value, function) => format!("{function}: {value:?}"),
            error => error.to_string(),
        };
        TokenError::Away { label: self.label.clone(), doing, cause }
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({}, PIN not shown)", self.label)
    }
}

fn name(info: &TokenInfo) -> String {
    info.label().trim_end().to_owned()
}

/// No lock here is held over anything that leaves its value half made.
fn whole<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The module, loaded and initialised once a process.
fn loaded(path: &Path) -> Result<Pkcs11, TokenError> {
    static MODULES: Mutex<BTreeMap<PathBuf, Pkcs11>> = Mutex::new(BTreeMap::new());
    let mut modules = whole(&MODULES);
    if let Some(module) = modules.get(path) {
        return Ok(module.clone());
    }
    let failed = |error: Error| TokenError::Module { path: path.to_owned(), cause: error.to_string() };
    let module = Pkcs11::new(path).map_err(failed)?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        // Already: by another module that stands before the same one.
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(error) => return Err(failed(error)),
    }
    modules.insert(path.to_owned(), module.clone());
    Ok(module)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin() -> Pin {
        Pin::new(&Zeroizing::new("1234".to_owned()))
    }

    #[test]
    fn what_is_no_module_is_refused_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("module.so");
        let absent = Token::open(&path, "epost", pin()).unwrap_err();
        std::fs::write(&path, b"no library").unwrap();
        let other = Token::open(&path, "epost", pin()).unwrap_err();
        for error in [absent, other] {
            assert_eq!(error.code(), "token.module");
            assert!(error.to_string().contains("pkcs11.module"), "{error}");
        }
    }
}
