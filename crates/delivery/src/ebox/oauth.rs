//! Access tokens: OAuth2 client_credentials with a signed JWT assertion, cached until shortly before they end.
//!
//! Sources: RFC 6749 §4.4, RFC 7523 §2.2 and §3, RFC 7515 (RS256).

use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pki::algorithm::SignatureAlgorithm;
use pki::signer::Signer;
use serde_json::json;
use tokio::sync::Mutex;

use super::{Ambient, CallError, answer_away, judged_away, one_line, transport_away, wire};
use crate::Away;
use crate::transport::{Body, HttpRequest, HttpResponse, Method, Transport};

/// Where tokens come from and who asks.
#[derive(Clone, Debug)]
pub struct TokenSetup {
    /// The token endpoint.
    pub url: String,
    /// The assertion's audience.
    pub audience: String,
    /// The scopes asked for, separated by blanks.
    pub scope: String,
    /// Issuer and subject of the assertion.
    pub client_id: String,
}

/// The registered certificate's key cannot sign RS256: the operator's to mend.
#[derive(Debug, thiserror::Error)]
#[error(
    "delivery.oauth.key: the client's key signs {0:?}; the token endpoint takes RS256 only: give an RSA key"
)]
pub struct WrongKey(pub SignatureAlgorithm);

/// Fetches tokens, one request at a time, however many consignments wait for it.
pub(super) struct Tokens {
    setup: TokenSetup,
    signer: Arc<dyn Signer>,
    transport: Arc<dyn Transport>,
    ambient: Ambient,
    cached: Mutex<Option<Cached>>,
}

#[derive(Clone)]
struct Cached {
    token: String,
    renew_at: Timestamp,
}

impl Tokens {
    pub(super) fn new(
        setup: TokenSetup,
        signer: Arc<dyn Signer>,
        transport: Arc<dyn Transport>,
        ambient: Ambient,
    ) -> Result<Self, WrongKey> {
        match signer.algorithm() {
            SignatureAlgorithm::RsaSha256 => {
                Ok(Self { setup, signer, transport, ambient, cached: Mutex::new(None) })
            }
            other => Err(WrongKey(other)),
        }
    }

    /// The cached token, or a new one.
    pub(super) async fn current(&self) -> Result<String, CallError> {
        let mut cached = self.cached.lock().await;
        if let Some(good) = cached.as_ref().filter(|cached| self.ambient.now() < cached.renew_at) {
            return Ok(good.token.clone());
        }
        self.fetch_into(&mut cached).await
    }

    /// A token other than `refused`: where many attempts were refused together, only the first of them fetches.
    pub(super) async fn instead_of(&self, refused: &str) -> Result<String, CallError> {
        let mut cached = self.cached.lock().await;
        if let Some(newer) = cached.as_ref().filter(|cached| cached.token != refused) {
            return Ok(newer.token.clone());
        }
        self.fetch_into(&mut cached).await
    }

    async fn fetch_into(&self, cached: &mut Option<Cached>) -> Result<String, CallError> {
        *cached = None;
        let asked_at = self.ambient.now();
        let request = self.request(asked_at).map_err(CallError::Ours)?;
        let answer = self.transport.send(request).await.map_err(|error| transport_away(&error))?;
        let fetched = judge(&answer, asked_at)?;
        let token = fetched.token.clone();
        *cached = Some(fetched);
        Ok(token)
    }

    fn request(&self, now: Timestamp) -> Result<HttpRequest, Away> {
        let assertion = self.assertion(now)?;
        let form = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", &assertion),
            ("scope", &self.setup.scope),
        ]
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, FORM)))
        .join("&");
        Ok(HttpRequest {
            method: Method::Post,
            url: self.setup.url.clone(),
            headers: vec![("accept", "application/json".into())],
            body: Body::Bytes { content_type: "application/x-www-form-urlencoded", bytes: Bytes::from(form) },
        })
    }

    fn assertion(&self, now: Timestamp) -> Result<String, Away> {
        let random = self.ambient.random16()?;
        let claims = json!({
            "iss": self.setup.client_id,
            "sub": self.setup.client_id,
            "aud": self.setup.audience,
            "jti": uuid::Builder::from_random_bytes(random).into_uuid().to_string(),
            "iat": now.as_second(),
            "exp": now.as_second().saturating_add(ASSERTION_SECONDS),
        });
        let encode = |bytes: &[u8]| base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes);
        let signed = format!(
            "{}.{}",
            encode(br#"{"alg":"RS256","typ":"JWT"}"#),
            encode(claims.to_string().as_bytes())
        );
        let signature = self
            .signer
            .sign(signed.as_bytes())
            .map_err(|error| judged_away("delivery.oauth.sign", one_line(&error.to_string())))?;
        Ok(format!("{signed}.{}", encode(&signature)))
    }
}

fn judge(answer: &HttpResponse, asked_at: Timestamp) -> Result<Cached, CallError> {
    match answer.status {
        200 => {}
        // The server knows us and says no: nothing that time mends.
        400 | 401 | 403 => {
            return Err(CallError::Unauthorised(answer_away("delivery.oauth.refused", answer)));
        }
        _ => return Err(CallError::Away(answer_away("delivery.oauth.away", answer))),
    }
    let unusable = |why: &str| CallError::Away(judged_away("delivery.oauth.answer", why.to_owned()));
    let token: wire::TokenAnswer =
        serde_json::from_slice(&answer.body).map_err(|_| unusable("not the JSON of a token"))?;
    if !token.token_type.eq_ignore_ascii_case("bearer") {
        return Err(unusable("not a bearer token"));
    }
    if token.access_token.is_empty() || !token.access_token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(unusable("a token that is no header value"));
    }
    // An answer without a lifetime (RFC 6749 §5.1 only recommends one) is good for this use and hardly longer.
    let lifetime = token.expires_in.unwrap_or(0).min(LIFETIME_SECONDS_MAX);
    let usable = lifetime.saturating_sub(RENEW_SECONDS_BEFORE.min(lifetime / 2));
    let renew_at = asked_at.checked_add(SignedDuration::from_secs(usable.cast_signed())).unwrap_or(asked_at);
    Ok(Cached { token: token.access_token, renew_at })
}

const ASSERTION_SECONDS: i64 = 120;
const RENEW_SECONDS_BEFORE: u64 = 30;
const LIFETIME_SECONDS_MAX: u64 = 24 * 3600;
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
