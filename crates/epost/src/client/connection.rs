//! The options that every command of a sender takes.

use std::path::PathBuf;

use jiff::Timestamp;

use super::{Client, Progress, Settings, SettingsError};

/// Where to connect, and as whom.
#[derive(Debug, clap::Args)]
pub struct Connection {
    /// TOML file with any of: endpoint, tls_ca, cert, key, p12, password_file, tls_cert, tls_key; options given here go before it
    #[arg(long, env = "EPOST_PROFILE", value_name = "FILE", help_heading = "Connection")]
    pub profile: Option<PathBuf>,
    /// The service's address, up to and with /RegisteredMail/v1
    #[arg(long, value_name = "URL", help_heading = "Connection")]
    pub endpoint: Option<String>,
    /// PEM: the authority that issued the service's TLS certificate
    #[arg(long, value_name = "FILE", help_heading = "Connection")]
    pub tls_ca: Option<PathBuf>,
    /// PEM: the certificate that signs your messages, then its intermediates
    #[arg(long, value_name = "FILE", help_heading = "Connection")]
    pub cert: Option<PathBuf>,
    /// PEM: its private key
    #[arg(long, value_name = "FILE", help_heading = "Connection")]
    pub key: Option<PathBuf>,
    /// PKCS#12 file with certificate and key, instead of --cert and --key
    #[arg(long, value_name = "FILE", conflicts_with_all = ["cert", "key"], help_heading = "Connection")]
    pub p12: Option<PathBuf>,
    /// The file whose first line is the password of --p12; else EPOST_PASSWORD
    #[arg(long, value_name = "FILE", help_heading = "Connection")]
    pub password_file: Option<PathBuf>,
    /// PEM: the TLS client certificate, if it is not the one that signs
    #[arg(long, value_name = "FILE", requires = "tls_key", help_heading = "Connection")]
    pub tls_cert: Option<PathBuf>,
    /// PEM: its private key
    #[arg(long, value_name = "FILE", requires = "tls_cert", help_heading = "Connection")]
    pub tls_key: Option<PathBuf>,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
}

impl Connection {
    /// The client that these options and the profile describe.
    ///
    /// # Errors
    /// [`SettingsError`]: the user's to mend.
    pub fn client(&self) -> Result<Client, SettingsError> {
        Client::new(&self.settings()?, &language(), Progress::new(self.json), Timestamp::now)
    }

    /// HTTPS with these options' certificate, and the endpoint without its last slash: for doors that take no signed messages.
    ///
    /// # Errors
    /// [`SettingsError`]: the user's to mend.
    pub(crate) fn https(&self) -> Result<(reqwest::Client, String), SettingsError> {
        let settings = self.settings()?;
        let endpoint = settings.endpoint()?.trim_end_matches('/').to_owned();
        Ok((super::https(&settings, &settings.signer()?)?, endpoint))
    }

    fn settings(&self) -> Result<Settings, SettingsError> {
        let profile = self.profile.as_deref().map(Settings::read).transpose()?.unwrap_or_default();
        Ok(profile.overridden_by(Settings {
            endpoint: self.endpoint.clone(),
            tls_ca: self.tls_ca.clone(),
            cert: self.cert.clone(),
            key: self.key.clone(),
            p12: self.p12.clone(),
            password_file: self.password_file.clone(),
            tls_cert: self.tls_cert.clone(),
            tls_key: self.tls_key.clone(),
        }))
    }
}

/// The user's language among those that faults are told in.
fn language() -> String {
    let names = ["LC_ALL", "LC_MESSAGES", "LANG"];
    let set = names.iter().filter_map(|name| std::env::var(name).ok()).find(|value| !value.is_empty());
    let two = set.unwrap_or_default().chars().take(2).collect::<String>();
    if ["fr", "nl", "de"].contains(&two.as_str()) { two } else { "en".to_owned() }
}
