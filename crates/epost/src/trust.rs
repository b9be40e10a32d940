//! Trust from outside, kept at hand: authorities and CRLs read from files in the background, time-stamps fetched from TSAs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use erds::Sender;
use erds::record::Hex32;
use jiff::Timestamp;
use pki::certificate::{Certificate, NameAttribute};
use pki::crl::{Crl, CrlSet};
use pki::digest::Digest;
use pki::ocsp::OcspResponse;
use pki::path::{Revocation, TrustAnchors};
use pki::tsp::{self, CheckedToken, TimeStampRequest, TokenChecks, TspError};
use soap::wss::saml::TokenService;
use tokio::sync::Semaphore;

use crate::config::{Config, Saml, Tsa};
use crate::ocsp::OcspClient;
use crate::transport::{body_within, chain};

/// Why files of certificates or CRLs cannot be used; the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file or folder cannot be read.
    #[error("trust.unreadable: {path}: {cause}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("trust.malformed: {path}: {cause}; expected {expected}")]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What was expected in it.
        expected: &'static str,
        /// What the parser said.
        cause: String,
    },
}

/// Reads every certificate of some PEM files.
///
/// # Errors
/// `Unreadable`, `Malformed`: the operator's to mend.
pub fn read_certificates(paths: &[PathBuf]) -> Result<Vec<Certificate>, TrustError> {
    let mut certificates = Vec::new();
    for path in paths {
        let found = Certificate::from_pem(&read(path)?).map_err(|cause| TrustError::Malformed {
            path: path.clone(),
            expected: "PEM certificates",
            cause: cause.to_string(),
        })?;
        certificates.extend(found);
    }
    Ok(certificates)
}

/// Reads whom to trust, and what may stand between.
///
/// # Errors
/// As [`read_certificates`].
pub fn read_anchors(anchors: &[PathBuf], intermediates: &[PathBuf]) -> Result<TrustAnchors, TrustError> {
    Ok(TrustAnchors::new(read_certificates(anchors)?, read_certificates(intermediates)?))
}

/// Who vouches for the certificates of listed people or institutions, and the lists by which these are judged.
pub struct Authorities {
    anchors: Arc<TrustAnchors>,
    named: Vec<Certificate>,
    crls: Vec<PathBuf>,
}

impl Authorities {
    /// Reads roots and intermediates; the CRL files must be readable now, too.
    ///
    /// # Errors
    /// As [`read_certificates`] and [`read_crls`].
    pub fn read(
        anchors: &[PathBuf],
        intermediates: &[PathBuf],
        crls: &[PathBuf],
    ) -> Result<Self, TrustError> {
        read_crls(crls)?;
        let (anchors, intermediates) = (read_certificates(anchors)?, read_certificates(intermediates)?);
        let named = anchors.iter().chain(&intermediates).cloned().collect();
        Ok(Self { anchors: Arc::new(TrustAnchors::new(anchors, intermediates)), named, crls: crls.to_vec() })
    }

    /// Roots and intermediates, for paths and handshakes.
    pub fn anchors(&self) -> &Arc<TrustAnchors> {
        &self.anchors
    }

    /// The authorities to name in a handshake.
    pub fn named(&self) -> &[Certificate] {
        &self.named
    }

    /// The CRL files as they are now.
    ///
    /// # Errors
    /// As [`read_crls`].
    pub fn crls(&self) -> Result<CrlSet, TrustError> {
        Ok(CrlSet::new(read_crls(&self.crls)?))
    }
}

/// Fingerprints as a configuration lists them, SHA-256 in hex, none of which is in `seen` already.
///
/// # Errors
/// The first that is another text, or was seen before.
pub fn fingerprints<'t>(texts: &'t [String], seen: &mut BTreeSet<Hex32>) -> Result<Vec<Hex32>, &'t str> {
    let fresh = |text: &'t String| {
        Hex32::from_hex(text).filter(|fingerprint| seen.insert(*fingerprint)).ok_or(text.as_str())
    };
    texts.iter().map(fresh).collect()
}

/// Whom this instance trusts to certify seals and time-stamping authorities: its own, by which it judges a proof that is sent to it.
pub struct ProofAnchors {
    /// `seal.anchors`.
    pub seal: TrustAnchors,
    /// The `anchors` of every `[[tsa]]`, each once.
    pub tsa: TrustAnchors,
}

impl ProofAnchors {
    /// Reads what the configuration names. No intermediates: a proof carries its own.
    ///
    /// # Errors
    /// As [`read_certificates`].
    pub fn read(config: &Config) -> Result<Self, TrustError> {
        let mut authorities: Vec<Certificate> = Vec::new();
        for path in config.tsa.iter().flat_map(|tsa| &tsa.anchors) {
            for anchor in read_certificates(std::slice::from_ref(path))? {
                if !authorities.iter().any(|known| known.fingerprint() == anchor.fingerprint()) {
                    authorities.push(anchor);
                }
            }
        }
        Ok(Self {
            seal: TrustAnchors::new(read_certificates(&config.seal.anchors)?, Vec::new()),
            tsa: TrustAnchors::new(authorities, Vec::new()),
        })
    }
}

/// Reads CRLs (DER or PEM) from files, and from every `.crl` file of folders.
///
/// # Errors
/// `Unreadable`, `Malformed`: the operator's to mend.
pub fn read_crls(paths: &[PathBuf]) -> Result<Vec<Crl>, TrustError> {
    let mut crls = Vec::new();
    for path in paths {
        for file in files(path, "crl")? {
            let bytes = read(&file)?;
            let parsed =
                if bytes.starts_with(b"-----") { Crl::from_pem(&bytes) } else { Crl::from_der(&bytes) };
            crls.push(parsed.map_err(|cause| TrustError::Malformed {
                path: file,
                expected: "one CRL, DER or PEM",
                cause: cause.to_string(),
            })?);
        }
    }
    Ok(crls)
}

/// Reads OCSP responses (DER) from every `.ors` file of folders.
///
/// # Errors
/// `Unreadable`, `Malformed`: the operator's to mend.
pub fn read_responses(paths: &[PathBuf]) -> Result<Vec<OcspResponse>, TrustError> {
    let mut responses = Vec::new();
    for path in paths.iter().filter(|path| path.is_dir()) {
        for file in files(path, "ors")? {
            let parsed = OcspResponse::from_der(&read(&file)?);
            responses.push(parsed.map_err(|cause| TrustError::Malformed {
                path: file,
                expected: "one successful OCSP response, DER",
                cause: cause.to_string(),
            })?);
        }
    }
    Ok(responses)
}

/// The file itself, or those of a folder that end so.
fn files(path: &Path, extension: &str) -> Result<Vec<PathBuf>, TrustError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let unreadable = |cause| TrustError::Unreadable { path: path.to_owned(), cause };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if file.extension().is_some_and(|found| found == extension) {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, TrustError> {
    std::fs::read(path).map_err(|cause| TrustError::Unreadable { path: path.to_owned(), cause })
}

/// The authorities of the senders, and the newest readable CRLs.
pub struct SenderTrust {
    /// Roots and intermediates; they change with a restart.
    pub anchors: Arc<TrustAnchors>,
    /// Every authority's certificate: named in the TLS handshake, because Java picks its certificate by them.
    pub authorities: Vec<Certificate>,
    /// Certificates that a message may name without carrying them; trusted for nothing.
    pub registered: Vec<Certificate>,
    /// Whose SAML assertions contract B takes.
    pub token_services: Vec<TokenService>,
    crls: ArcSwap<CrlSet>,
    crl_paths: Vec<PathBuf>,
    ocsp: OcspClient,
}

impl SenderTrust {
    /// Reads the configured files.
    ///
    /// # Errors
    /// As [`read_certificates`] and [`read_crls`].
    pub fn read(config: &Config, http: reqwest::Client) -> Result<Self, TrustError> {
        let anchors = read_certificates(&config.senders.anchors)?;
        let intermediates = read_certificates(&config.senders.intermediates)?;
        Ok(Self {
            authorities: anchors.iter().chain(&intermediates).cloned().collect(),
            anchors: Arc::new(
                TrustAnchors::new(anchors, intermediates)
                    .requiring_policies(config.senders.certificate_policies.clone()),
            ),
            registered: read_certificates(&config.senders.certificates)?,
            token_services: config.saml.iter().map(token_service).collect::<Result<_, _>>()?,
            crls: ArcSwap::from_pointee(CrlSet::with_responses(
                read_crls(&config.senders.crls)?,
                read_responses(&config.senders.crls)?,
            )),
            crl_paths: config.senders.crls.clone(),
            ocsp: OcspClient::read(&config.senders.ocsp, http, Timestamp::now)?,
        })
    }

    /// The CRLs and OCSP responses in force now; hold the returned value for the whole of one judgement.
    pub fn crls(&self) -> Arc<CrlSet> {
        self.crls.load_full()
    }

    /// Which certificates a bare name in a message may mean: the TLS client's, then those registered for that sender; over a
    /// gateway's connection, those of every sender. Which one it is, the signature has to prove.
    pub fn candidates(&self, tls: &Certificate, is_gateway: bool) -> Vec<Certificate> {
        let peer = party(tls);
        let is_peers = |known: &&Certificate| {
            is_gateway || matches!((party(known), &peer), (Some(known), Some(peer)) if known.same_party(peer))
        };
        std::iter::once(tls).chain(self.registered.iter().filter(is_peers)).cloned().collect()
    }

    /// Reads the files of CRLs and OCSP responses again; when one is unreadable the old ones stay, until their nextUpdate refuses senders.
    ///
    /// # Errors
    /// As [`read_crls`] and [`read_responses`].
    pub fn reload(&self) -> Result<(), TrustError> {
        let mut responses = read_responses(&self.crl_paths)?;
        responses.extend(self.ocsp.responses());
        put_if_new(&self.crls, read_crls(&self.crl_paths)?, responses);
        Ok(())
    }
}

impl SenderTrust {
    /// Sees to it that a certificate that was not seen yet is asked about, if a responder answers for its authority.
    pub async fn meet(&self, certificate: &Certificate) {
        if self.ocsp.meet(certificate).await
            && let Err(error) = tokio::task::block_in_place(|| self.reload())
        {
            tracing::error!(event = "alarm.crls-unreadable", %error);
        }
    }

    /// Asks again about every certificate whose answer has its age, and about those that are registered; the answers count from the
    /// next [`Self::reload`] on.
    pub async fn refresh(&self) {
        self.ocsp.refresh().await;
        for certificate in &self.registered {
            self.ocsp.meet(certificate).await;
        }
    }
}

/// How old revocation lists are and how long they last, for people.
pub(crate) fn snapshot(crls: &CrlSet, now: Timestamp) -> String {
    let hours = |from: Timestamp, to: Timestamp| to.duration_since(from).as_hours();
    let oldest = crls.current_at(now).map(Crl::this_update).min();
    let first_end = crls.current_at(now).filter_map(Crl::next_update).filter(|next| *next >= now).min();
    let answers = match crls.responses().len() {
        0 => String::new(),
        count => format!("; {count} OCSP responses"),
    };
    match (oldest, first_end) {
        (Some(oldest), Some(end)) => format!(
            "{} lists, {} in use, the oldest made {} h ago, the first to end in {} h{answers}",
            crls.crls().len(),
            crls.current_at(now).count(),
            hours(oldest, now),
            hours(now, end)
        ),
        _ => format!("{} lists, none in use{answers}", crls.crls().len()),
    }
}

fn token_service(configured: &Saml) -> Result<TokenService, TrustError> {
    Ok(TokenService {
        issuer: configured.issuer.clone(),
        certificates: read_certificates(&configured.certificates)?,
        audience: configured.audience.clone(),
    })
}

/// Whom a certificate claims to be of; its path is not judged here.
pub(crate) fn party(certificate: &Certificate) -> Option<Sender> {
    let subject = certificate.subject();
    let units: Vec<&str> = subject.values(NameAttribute::OrganizationalUnit).collect();
    let names: Vec<&str> = subject.values(NameAttribute::CommonName).collect();
    Sender::from_names(&units, &names, [0; 32]).ok()
}

/// Puts the lists in force, unless they are the very same: paths that were judged by those stay remembered.
fn put_if_new(in_force: &ArcSwap<CrlSet>, crls: Vec<Crl>, responses: Vec<OcspResponse>) {
    let known = in_force.load();
    let same_responses =
        || known.responses().iter().map(OcspResponse::der).eq(responses.iter().map(OcspResponse::der));
    if !(known.ders().eq(crls.iter().map(Crl::der)) && same_responses()) {
        in_force.store(Arc::new(CrlSet::with_responses(crls, responses)));
    }
}

/// Gives a time-stamp over an imprint, checked in full, or says that none is to be had.
#[async_trait]
pub trait Stamper: Send + Sync {
    /// One checked token over `imprint`.
    ///
    /// # Errors
    /// `StampError`: no authority gave a good token in time; ours to answer with SOA-02002.
    async fn stamp(&self, imprint: &Digest) -> Result<Stamp, StampError>;
}

/// A checked token and who gave it.
pub struct Stamp {
    /// The token; every check of RFC 3161 ran.
    pub token: CheckedToken,
    /// The authority's configured name.
    pub authority: String,
}

/// No authority gave a good token.
#[derive(Debug, thiserror::Error)]
#[error("tsa.none-answered: {}", .0.join("; "))]
pub struct StampError(pub Vec<String>);

/// Time-stamping authorities over HTTP (RFC 3161 §3.4), asked in order.
pub struct TsaClient {
    http: reqwest::Client,
    authorities: Vec<Authority>,
    clock: fn() -> Timestamp,
    gen_time_skew: jiff::SignedDuration,
    slot_wait: Duration,
}

struct Authority {
    setup: Tsa,
    anchors: TrustAnchors,
    crls: ArcSwap<CrlSet>,
    slots: Semaphore,
}

impl TsaClient {
    /// Reads the authorities' files; opens no connection yet.
    ///
    /// # Errors
    /// As [`read_certificates`] and [`read_crls`].
    pub fn read(
        config: &Config,
        http: reqwest::Client,
        clock: fn() -> Timestamp,
    ) -> Result<Self, TrustError> {
        let authorities = config.tsa.iter().map(Authority::read).collect::<Result<_, _>>()?;
        let skew = i64::try_from(config.senders.clock_skew_seconds_max).unwrap_or(60);
        let slot_wait = Duration::from_secs(config.seal.lag_seconds_max);
        Ok(Self { http, authorities, clock, gen_time_skew: jiff::SignedDuration::from_secs(skew), slot_wait })
    }

    /// Reads the authorities' CRL files again; old ones stay where one is unreadable.
    pub fn reload(&self) {
        for authority in &self.authorities {
            match read_crls(&authority.setup.crls) {
                Ok(crls) => put_if_new(&authority.crls, crls, Vec::new()),
                Err(error) => {
                    tracing::error!(event = "tsa.crls-unreadable", authority = authority.setup.name, %error)
                }
            }
        }
    }

    /// Waits for a slot, as long as a stamp could still be in time; the authority's own deadline begins when it is asked.
    async fn ask_in_turn(&self, authority: &Authority, imprint: &Digest) -> Result<CheckedToken, String> {
        let slot = tokio::time::timeout(self.slot_wait, authority.slots.acquire()).await;
        let _slot =
            slot.map_err(|_| "concurrency_max requests are under way")?.map_err(|error| error.to_string())?;
        let seconds = authority.setup.timeout_seconds;
        let asked = tokio::time::timeout(Duration::from_secs(seconds), self.ask(authority, imprint));
        asked.await.map_err(|_| format!("no answer in {seconds} s"))?
    }

    async fn ask(&self, authority: &Authority, imprint: &Digest) -> Result<CheckedToken, String> {
        let mut nonce = [0; 8];
        pki::random::fill(&mut nonce).map_err(|error| error.to_string())?;
        nonce[0] &= 0x7f; // a positive INTEGER
        nonce[0] |= 0x40; // of exactly eight bytes, so that it comes back as it went
        let policy = authority.setup.policies.first().map(String::as_str);
        let request = TimeStampRequest::new(imprint, nonce, policy).to_der();
        let asked_at = (self.clock)();
        let answer = self.post(authority, request).await?;
        let token = tsp::parse_response(&answer).map_err(|error| error.to_string())?;
        let now = (self.clock)();
        let crls = authority.crls.load_full();
        let checks = TokenChecks {
            imprint,
            nonce: Some(&nonce),
            policies: &authority.setup.policies,
            anchors: &authority.anchors,
            revocation: Revocation::HardFail(&crls),
            gen_time_window: Some((asked_at - self.gen_time_skew, now + self.gen_time_skew)),
            at: now,
        };
        let checked = tsp::check(&token, &checks);
        if let Err(TspError::GenTimePast { gen_time, .. } | TspError::GenTimeFuture { gen_time, .. }) = checked
            // Nothing of a token is believed before it is authentic.
            && tsp::check(&token, &TokenChecks { gen_time_window: None, ..checks }).is_ok()
        {
            let (authority, standing) = (authority.setup.name.as_str(), "wrong");
            let skew_seconds = gen_time.duration_since(now).as_secs_f64();
            tracing::error!(event = "alarm.clock-skew", authority, skew_seconds, standing);
        }
        checked.map_err(|error| error.to_string())
    }

    async fn post(&self, authority: &Authority, request: Vec<u8>) -> Result<Vec<u8>, String> {
        let sent = self
            .http
            .post(&authority.setup.url)
            .header("content-type", "application/timestamp-query")
            .body(request)
            .send()
            .await;
        let mut answer = sent.map_err(|error| chain(&error.without_url()))?;
        if !answer.status().is_success() {
            return Err(format!("HTTP status {}", answer.status().as_u16()));
        }
        let body = body_within(&mut answer, TOKEN_BYTES_MAX).await;
        let body = body.map_err(|error| chain(&error.without_url()))?;
        body.ok_or_else(|| format!("an answer of more than {TOKEN_BYTES_MAX} bytes"))
    }
}

impl Authority {
    fn read(setup: &Tsa) -> Result<Self, TrustError> {
        Ok(Self {
            anchors: read_anchors(&setup.anchors, &setup.intermediates)?,
            crls: ArcSwap::from_pointee(CrlSet::new(read_crls(&setup.crls)?)),
            slots: Semaphore::new(setup.concurrency_max),
            setup: setup.clone(),
        })
    }
}

#[async_trait]
impl Stamper for TsaClient {
    async fn stamp(&self, imprint: &Digest) -> Result<Stamp, StampError> {
        let mut reasons = Vec::new();
        for authority in &self.authorities {
            let reason = match self.ask_in_turn(authority, imprint).await {
                Ok(token) => return Ok(Stamp { token, authority: authority.setup.name.clone() }),
                Err(reason) => reason,
            };
            tracing::warn!(event = "tsa.failed", authority = authority.setup.name, reason = %reason.escape_debug());
            reasons.push(format!("{}: {reason}", authority.setup.name));
        }
        Err(StampError(reasons))
    }
}

const TOKEN_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_holds_lists_and_responses_apart() {
        let folder = tempfile::tempdir().unwrap();
        let paths = [folder.path().to_owned()];
        let file = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        file("README", b"neither");
        assert!(read_crls(&paths).unwrap().is_empty() && read_responses(&paths).unwrap().is_empty());
        // tryLater: an answer, but none about a certificate.
        file("busy.ors", &[0x30, 3, 0x0a, 1, 3]);
        let refused = read_responses(&paths).unwrap_err().to_string();
        assert!(refused.contains("busy.ors") && refused.contains("OCSP status 3"), "{refused}");
        assert!(read_crls(&paths).unwrap().is_empty(), "no list");
        file("bad.crl", b"no list");
        assert!(read_crls(&paths).unwrap_err().to_string().contains("bad.crl"));
    }
}
