//! Where to send, and as whom: from a profile file and the command line.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pki::signer::{FileSigner, Signer};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;
use zeroize::Zeroizing;

/// The endpoint and the sender's files; what a profile holds, and what the command line overrides.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The service's address, up to and with `/RegisteredMail/v1`.
    pub endpoint: Option<String>,
    /// PEM: the authorities that the service's TLS certificate leads to.
    pub tls_ca: Option<PathBuf>,
    /// PEM: the certificate that signs, then its intermediates.
    pub cert: Option<PathBuf>,
    /// PEM: its private key.
    pub key: Option<PathBuf>,
    /// PKCS#12: certificate, intermediates and key in one.
    pub p12: Option<PathBuf>,
    /// The file whose first line is the password of `p12`; else the environment's EPOST_PASSWORD.
    pub password_file: Option<PathBuf>,
    /// PEM: the TLS client certificate, where it is another one.
    pub tls_cert: Option<PathBuf>,
    /// PEM: its private key.
    pub tls_key: Option<PathBuf>,
}

/// Why a sender's files cannot be used; the user's to mend.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Something is not named anywhere.
    #[error("client.missing: {option} is not given; {remedy}")]
    Missing {
        /// The option.
        option: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A file cannot be read.
    #[error("client.unreadable: {path}: {cause}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The profile is not the TOML this program knows.
    #[error("client.profile: {path}: {cause}")]
    Profile {
        /// Which.
        path: PathBuf,
        /// Line and reason.
        cause: toml::de::Error,
    },
    /// Key and certificate cannot be used.
    #[error("client.key: {path}: {cause}; expected {expected}")]
    Key {
        /// The file of the key.
        path: PathBuf,
        /// What was found.
        cause: String,
        /// What was expected.
        expected: &'static str,
    },
    /// TLS cannot be set up with these files.
    #[error("client.tls: {path}: {cause}")]
    Tls {
        /// Which file.
        path: PathBuf,
        /// What TLS said.
        cause: String,
    },
}

impl SettingsError {
    /// The stable code of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "client.missing",
            Self::Unreadable { .. } => "client.unreadable",
            Self::Profile { .. } => "client.profile",
            Self::Key { .. } => "client.key",
            Self::Tls { .. } => "client.tls",
        }
    }
}

impl Settings {
    /// Reads a profile; its paths are relative to its folder.
    ///
    /// # Errors
    /// `Unreadable`, `Profile`: the user's to mend.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let text = String::from_utf8_lossy(&read(path)?).into_owned();
        let mut settings: Self =
            toml::from_str(&text).map_err(|cause| SettingsError::Profile { path: path.to_owned(), cause })?;
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        for file in settings.files() {
            *file = folder.join(&*file);
        }
        Ok(settings)
    }

    /// What `other` names goes before what is here.
    #[must_use]
    pub fn overridden_by(mut self, other: Self) -> Self {
        // A key given one way replaces a key given the other way.
        if other.p12.is_some() {
            (self.cert, self.key) = (None, None);
        } else if other.cert.is_some() || other.key.is_some() {
            self.p12 = None;
        }
        Self {
            endpoint: other.endpoint.or(self.endpoint),
            tls_ca: other.tls_ca.or(self.tls_ca),
            cert: other.cert.or(self.cert),
            key: other.key.or(self.key),
            p12: other.p12.or(self.p12),
            password_file: other.password_file.or(self.password_file),
            tls_cert: other.tls_cert.or(self.tls_cert),
            tls_key: other.tls_key.or(self.tls_key),
        }
    }

    fn files(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let all = [
            &mut self.tls_ca,
            &mut self.cert,
            &mut self.key,
            &mut self.p12,
            &mut self.password_file,
            &mut self.tls_cert,
            &mut self.tls_key,
        ];
        all.into_iter().flatten()
    }

    pub(super) fn endpoint(&self) -> Result<&str, SettingsError> {
        self.endpoint.as_deref().ok_or(SettingsError::Missing {
            option: "--endpoint",
            remedy: "give the service's address, for example https://epost.example.be/RegisteredMail/v1, or a --profile that holds it",
        })
    }

    /// The key that signs messages.
    pub(super) fn signer(&self) -> Result<FileSigner, SettingsError> {
        if let Some(path) = &self.p12 {
            let password = self.password()?;
            return FileSigner::from_pkcs12(&read(path)?, &password).map_err(|cause| SettingsError::Key {
                path: path.clone(),
                cause: cause.to_string(),
                expected: "a PKCS#12 file with one private key, and its password in --password-file or EPOST_PASSWORD",
            });
        }
        let missing = |option| SettingsError::Missing {
            option,
            remedy: "give --cert and --key (PEM), or --p12, or a --profile that names them",
        };
        let certificate = self.cert.as_ref().ok_or_else(|| missing("--cert"))?;
        let key = self.key.as_ref().ok_or_else(|| missing("--key"))?;
        signer_of(certificate, key)
    }

    fn password(&self) -> Result<Zeroizing<String>, SettingsError> {
        if let Some(path) = &self.password_file {
            let bytes = Zeroizing::new(read(path)?);
            let text = Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
            return Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()));
        }
        std::env::var("EPOST_PASSWORD").map(Zeroizing::new).map_err(|_| SettingsError::Missing {
            option: "--password-file",
            remedy: "give a file with the PKCS#12 password on its first line, or set EPOST_PASSWORD",
        })
    }

    /// TLS 1.2 or 1.3 with the sender's certificate; the service must lead to `tls_ca`.
    pub(super) fn tls(&self, signer: &FileSigner) -> Result<rustls::ClientConfig, SettingsError> {
        let other = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Some(signer_of(certificate, key)?),
            (None, None) => None,
            _ => {
                return Err(SettingsError::Missing {
                    option: "--tls-cert and --tls-key",
                    remedy: "give both, or none to connect with the signing certificate",
                });
            }
        };
        let identity = other.as_ref().unwrap_or(signer);
        let roots = self.tls_roots()?;
        let at = self.tls_ca.clone().unwrap_or_default();
        let refused =
            |cause: rustls::Error| SettingsError::Tls { path: at.clone(), cause: cause.to_string() };
        let chain = std::iter::once(identity.certificate()).chain(identity.chain());
        let chain = chain.map(|certificate| CertificateDer::from(certificate.der().to_vec())).collect();
        let key = identity.private_key_pkcs8_der().map_err(|cause| SettingsError::Key {
            path: self
                .tls_key
                .as_ref()
                .or(self.key.as_ref())
                .or(self.p12.as_ref())
                .cloned()
                .unwrap_or_default(),
            cause: cause.to_string(),
            expected: "a private key that TLS can use",
        })?;
        let key = PrivateKeyDer::Pkcs8(key.to_vec().into());
        let mut config =
            rustls::ClientConfig::builder_with_provider(Arc::new(rustls_openssl::default_provider()))
                .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
                .map_err(refused)?
                .with_root_certificates(roots)
                .with_client_auth_cert(chain, key)
                .map_err(refused)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn tls_roots(&self) -> Result<rustls::RootCertStore, SettingsError> {
        let path = self.tls_ca.as_ref().ok_or(SettingsError::Missing {
            option: "--tls-ca",
            remedy: "give the PEM file of the authority that issued the service's TLS certificate",
        })?;
        let pem = read(path)?;
        let refused = |cause: String| SettingsError::Tls { path: path.clone(), cause };
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|cause| refused(cause.to_string()))?;
            roots.add(certificate).map_err(|cause| refused(cause.to_string()))?;
        }
        if roots.is_empty() {
            return Err(refused("no PEM certificate in it".to_owned()));
        }
        Ok(roots)
    }
}

fn signer_of(certificate: &Path, key: &Path) -> Result<FileSigner, SettingsError> {
    let key_pem = Zeroizing::new(read(key)?);
    FileSigner::from_pem(&key_pem, &read(certificate)?).map_err(|cause| SettingsError::Key {
        path: key.to_owned(),
        cause: cause.to_string(),
        expected: "PEM: an unencrypted private key, and in --cert its certificate first",
    })
}

fn read(path: &Path) -> Result<Vec<u8>, SettingsError> {
    std::fs::read(path).map_err(|cause| SettingsError::Unreadable { path: path.to_owned(), cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_goes_before_the_profile() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("office.toml");
        std::fs::write(
            &path,
            "endpoint = \"https://a/RegisteredMail/v1\"\ncert = \"a.crt\"\nkey = \"/k/a.key\"\n",
        )
        .unwrap();
        let profile = Settings::read(&path).unwrap();
        assert_eq!(profile.cert, Some(folder.path().join("a.crt")));
        assert_eq!(profile.key, Some(PathBuf::from("/k/a.key")));
        let line = Settings { p12: Some("b.p12".into()), ..Settings::default() };
        let both = profile.overridden_by(line);
        assert_eq!((both.cert, both.p12), (None, Some("b.p12".into())));
        assert_eq!(both.endpoint.as_deref(), Some("https://a/RegisteredMail/v1"));
    }

    #[test]
    fn an_unknown_option_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("office.toml");
        std::fs::write(&path, "endpiont = \"x\"\n").unwrap();
        let error = Settings::read(&path).unwrap_err();
        assert!(error.code() == "client.profile" && error.to_string().contains("endpiont"), "{error}");
    }
}
