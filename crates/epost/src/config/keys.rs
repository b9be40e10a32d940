//! `[seal]`, and where a key is: in a file of its own, or in a token.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// The platform's seal.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// PEM: the seal certificate, then its intermediates (never the root).
    pub certificate: PathBuf,
    /// Its private key: PEM, or in a token.
    pub key: KeyPlace<SealToken>,
    /// PEM files: the roots that the seal leads to; handed to auditors.
    pub anchors: Vec<PathBuf>,
    /// CRL files or folders of the seal's chain, kept with every proof.
    pub crls: Vec<PathBuf>,
    /// The CBE number of the platform's controller: the seal certificate must carry it.
    pub controller_cbe: String,
    /// Longest time between reception and the time-stamp's genTime.
    #[serde(default = "default_lag")]
    pub lag_seconds_max: u64,
    /// URIs of the policies under which ERDS evidence is issued; it names them.
    #[serde(default = "default_evidence_policies")]
    pub evidence_policies: Vec<String>,
    /// The text of each policy that evidence names or ever named, a file in UTF-8 by its URI: packages carry them. That of the built-in
    /// URI is built in.
    #[serde(default)]
    pub evidence_policy_texts: BTreeMap<String, PathBuf>,
    /// Signatures being made at once.
    #[serde(default = "default_signatures")]
    pub signatures_at_once_max: usize,
    /// Requests that wait for one of those; the next one gets SOA-02002.
    #[serde(default = "default_signatures_waiting")]
    pub signatures_waiting_max: usize,
}

impl Seal {
    /// The URIs that evidence may name; none: not 1 to 8 of them, or one that is none.
    pub(crate) fn policies(&self) -> Option<Vec<String>> {
        let policies = &self.evidence_policies;
        let is_uri = |text: &String| {
            let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
            (1..=500).contains(&text.len()) && text.contains(':') && plain
        };
        ((1..=8).contains(&policies.len()) && policies.iter().all(is_uri)).then(|| policies.clone())
    }
}

fn default_evidence_policies() -> Vec<String> {
    vec![EVIDENCE_POLICY.to_owned()]
}

/// The policy that ERDS evidence names where the operator has published none of his own: what this program does, and no more.
pub const EVIDENCE_POLICY: &str = "urn:epost:registeredmail:policy:v1";

/// What [`EVIDENCE_POLICY`] says.
pub const EVIDENCE_POLICY_TEXT: &str = include_str!("../../../../deploy/evidence-policy.txt");

fn default_signatures() -> usize {
    8
}
fn default_signatures_waiting() -> usize {
    256
}

fn default_lag() -> u64 {
    60
}

/// A key in a file, or one that a token has part in: `key = "FILE"` or `key = { pkcs11 = … }`.
#[derive(Clone, Debug)]
pub enum KeyPlace<T> {
    /// The file that holds it.
    File(PathBuf),
    /// The token, and what belongs to it.
    Token(T),
}

/// The seal's key in a token.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealToken {
    /// The private key, of which the certificate is.
    pub pkcs11: Pkcs11,
}

/// The master key, wrapped by a key in a token.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MasterToken {
    /// The file that holds it wrapped. Never under `directory`, never in its backup.
    pub wrapped: PathBuf,
    /// The AES key that wraps it.
    pub pkcs11: Pkcs11,
}

/// A key in a token, and how to come to it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pkcs11 {
    /// The PKCS#11 module: the library of the token's vendor.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// The key's label.
    pub label: String,
    /// A file that holds the user PIN and that nobody but its owner may read.
    pub pin_file: PathBuf,
}

impl KeyPlace<MasterToken> {
    /// The file that must be there: the key itself, or the wrapped one.
    pub fn file(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Token(master) => &master.wrapped,
        }
    }

    /// What is secret of it and lies in files.
    pub(crate) fn secrets(&self) -> Vec<&PathBuf> {
        match self {
            Self::File(path) => vec![path],
            Self::Token(master) => vec![&master.wrapped, &master.pkcs11.pin_file],
        }
    }
}

impl KeyPlace<SealToken> {
    /// The file of the token's PIN, if it is in one.
    pub(crate) fn pin_file(&self) -> Option<&PathBuf> {
        match self {
            Self::File(_) => None,
            Self::Token(seal) => Some(&seal.pkcs11.pin_file),
        }
    }
}

impl<T> From<PathBuf> for KeyPlace<T> {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for KeyPlace<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlaceVisitor(PhantomData))
    }
}

/// By the value's form, so that a wrong table is told by its own field.
struct PlaceVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for PlaceVisitor<T> {
    type Value = KeyPlace<T>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the name of the key's file, or a table with pkcs11")
    }

    fn visit_str<E>(self, path: &str) -> Result<Self::Value, E> {
        Ok(KeyPlace::File(path.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(table)).map(KeyPlace::Token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Holder {
        key: KeyPlace<MasterToken>,
    }

    const TABLE: &str =
        r#"key = { wrapped = "w", pkcs11 = { module = "/m.so", token = "t", label = "l", pin_file = "p" } }"#;

    fn read(text: &str) -> Result<KeyPlace<MasterToken>, String> {
        toml::from_str::<Holder>(text).map(|holder| holder.key).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_file_or_a_table_and_what_is_wrong_with_it_by_name() {
        assert!(matches!(read(r#"key = "k""#), Ok(KeyPlace::File(path)) if path == Path::new("k")));
        let Ok(KeyPlace::Token(held)) = read(TABLE) else { panic!("a table") };
        assert_eq!((held.pkcs11.token.as_str(), held.pkcs11.label.as_str()), ("t", "l"));
        let unknown = read(&TABLE.replace("label", "lable")).unwrap_err();
        assert!(unknown.contains("unknown field `lable`"), "{unknown}");
        let missing = read(r#"key = { wrapped = "w" }"#).unwrap_err();
        assert!(missing.contains("missing field `pkcs11`"), "{missing}");
        let number = read("key = 1").unwrap_err();
        assert!(number.contains("the name of the key's file, or a table with pkcs11"), "{number}");
    }

    #[test]
    fn what_is_secret_of_it_is_named() {
        let place = read(TABLE).unwrap();
        assert_eq!(place.file(), Path::new("w"));
        assert_eq!(place.secrets(), [Path::new("w"), Path::new("p")]);
        assert_eq!(read(r#"key = "k""#).unwrap().secrets(), [Path::new("k")]);
    }

    #[test]
    fn evidence_names_one_to_eight_policies() {
        let judged = |policies: &[String]| {
            let policies = serde_json::to_string(policies).unwrap();
            let text = format!(
                "certificate = \"c\"\nkey = \"k\"\nanchors = []\ncrls = []\ncontroller_cbe = \"0\"\nevidence_policies = {policies}"
            );
            toml::from_str::<Seal>(&text).unwrap().policies().is_some()
        };
        let uri = |length: usize| format!("urn:{}", "a".repeat(length - 4));
        assert!(judged(&[uri(500)]) && !judged(&[uri(501)]));
        assert!(judged(&vec![uri(9); 8]) && !judged(&vec![uri(9); 9]) && !judged(&[]));
        for none in ["", "a", "urn:a b", "urn:é"] {
            assert!(!judged(&[none.to_owned()]), "{none}");
        }
    }
}
