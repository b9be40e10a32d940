//! The stand-in's authorisation server: checks client assertions with code of its own and hands out opaque bearers.
//!
//! Sources: RFC 7523 §3, RFC 6749 §4.4 and §5.2, RFC 7515 §5.2.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use openssl::hash::MessageDigest;
use openssl::pkey::{Id, PKey, Public};
use openssl::sign::Verifier;
use openssl::x509::X509;
use serde_json::Value;

/// A registered client's key, from its certificate or SubjectPublicKeyInfo in DER.
pub(super) fn client_key(der: &[u8]) -> Result<PKey<Public>, String> {
    let key = X509::from_der(der)
        .and_then(|certificate| certificate.public_key())
        .or_else(|_| PKey::public_key_from_der(der));
    let key = key.map_err(|error| format!("neither certificate nor public key: {error}"))?;
    if key.id() == Id::RSA { Ok(key) } else { Err("an RSA key is needed: assertions are RS256".into()) }
}

/// Who may ask, and what was given out.
pub(super) struct Authority {
    pub(super) clients: HashMap<String, PKey<Public>>,
    pub(super) audience: String,
    pub(super) scopes: HashSet<String>,
    pub(super) token_seconds: u64,
    seen_jti: HashSet<String>,
    bearers: HashMap<String, i64>,
}

/// An error answer of RFC 6749 §5.2.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Denied {
    pub(super) error: &'static str,
    pub(super) description: String,
}

fn denied(error: &'static str, description: impl Into<String>) -> Denied {
    Denied { error, description: description.into() }
}

impl Authority {
    pub(super) fn new(
        clients: HashMap<String, PKey<Public>>,
        audience: String,
        scope: &str,
        token_seconds: u64,
    ) -> Self {
        let scopes = scope.split_whitespace().map(str::to_owned).collect();
        Self { clients, audience, scopes, token_seconds, seen_jti: HashSet::new(), bearers: HashMap::new() }
    }

    /// Answers one token request.
    pub(super) fn grant(&mut self, form: &[u8], now: Timestamp) -> Result<String, Denied> {
        let fields = parse_form(form).ok_or_else(|| denied("invalid_request", "not a form"))?;
        let field = |name: &str| fields.get(name).map(String::as_str);
        if field("grant_type") != Some("client_credentials") {
            return Err(denied("unsupported_grant_type", "client_credentials only"));
        }
        if field("client_assertion_type") != Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer") {
            return Err(denied("invalid_client", "client_assertion_type"));
        }
        let assertion =
            field("client_assertion").ok_or_else(|| denied("invalid_client", "no client_assertion"))?;
        self.check_assertion(assertion, now)?;
        let asked: Vec<_> = field("scope").unwrap_or_default().split_whitespace().collect();
        if asked.is_empty() || !asked.iter().all(|scope| self.scopes.contains(*scope)) {
            return Err(denied("invalid_scope", "a scope this client may not have"));
        }
        let mut random = [0; 32];
        openssl::rand::rand_bytes(&mut random).map_err(|error| denied("server_error", error.to_string()))?;
        let bearer = base64_simd::URL_SAFE_NO_PAD.encode_to_string(random);
        self.bearers.retain(|_, ends| *ends > now.as_second());
        self.bearers.insert(bearer.clone(), now.as_second().saturating_add_unsigned(self.token_seconds));
        Ok(bearer)
    }

    /// Whether an Authorization header holds a bearer in force.
    pub(super) fn admits(&self, authorization: Option<&str>, now: Timestamp) -> bool {
        let bearer = authorization.and_then(|value| value.strip_prefix("Bearer "));
        bearer.and_then(|bearer| self.bearers.get(bearer)).is_some_and(|ends| now.as_second() < *ends)
    }

    /// Forgets every bearer, as a restart of the real server would.
    pub(super) fn revoke_all(&mut self) {
        self.bearers.clear();
    }

    fn check_assertion(&mut self, assertion: &str, now: Timestamp) -> Result<(), Denied> {
        let invalid = |why: &str| denied("invalid_client", why);
        let (signed, signature) = assertion.rsplit_once('.').ok_or_else(|| invalid("not a JWT"))?;
        let (header, claims) = signed.split_once('.').ok_or_else(|| invalid("not a JWT"))?;
        let header = part(header).ok_or_else(|| invalid("header"))?;
        if header.get("alg").and_then(Value::as_str) != Some("RS256") || header.get("crit").is_some() {
            return Err(invalid("alg is not RS256, or crit is present"));
        }
        let claims = part(claims).ok_or_else(|| invalid("claims"))?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let issuer = text("iss").ok_or_else(|| invalid("no iss"))?;
        if text("sub") != Some(issuer) {
            return Err(invalid("iss and sub differ"));
        }
        let key = self.clients.get(issuer).ok_or_else(|| invalid("unknown client"))?;
        let signature = decode(signature).ok_or_else(|| invalid("signature encoding"))?;
        let verified = Verifier::new(MessageDigest::sha256(), key)
            .and_then(|mut verifier| verifier.verify_oneshot(&signature, signed.as_bytes()));
        if !matches!(verified, Ok(true)) {
            return Err(invalid("signature"));
        }
        let for_us = match claims.get("aud") {
            Some(Value::String(audience)) => *audience == self.audience,
            Some(Value::Array(several)) => {
                several.iter().any(|audience| audience.as_str() == Some(&self.audience))
            }
            _ => false,
        };
        if !for_us {
            return Err(invalid("aud"));
        }
        let ends = claims.get("exp").and_then(Value::as_i64).ok_or_else(|| invalid("no exp"))?;
        if ends <= now.as_second() || ends > now.as_second() + ASSERTION_SECONDS_MAX {
            return Err(invalid("exp is past, or too far"));
        }
        let jti = text("jti").filter(|jti| !jti.is_empty()).ok_or_else(|| invalid("no jti"))?;
        if !self.seen_jti.insert(format!("{issuer} {jti}")) {
            return Err(invalid("jti was used before"));
        }
        Ok(())
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    base64_simd::URL_SAFE_NO_PAD.decode_to_vec(text).ok()
}

fn part(text: &str) -> Option<Value> {
    serde_json::from_slice(&decode(text)?).ok()
}

fn parse_form(form: &[u8]) -> Option<BTreeMap<String, String>> {
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_encoding::percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
    };
    std::str::from_utf8(form)
        .ok()?
        .split('&')
        .map(|pair| {
            let (name, value) = pair.split_once('=')?;
            Some((decode(name)?, decode(value)?))
        })
        .collect()
}

const ASSERTION_SECONDS_MAX: i64 = 3600;

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::pkey::Private;
    use openssl::rsa::Rsa;
    use openssl::sign::Signer;
    use serde_json::json;

    fn house() -> (Authority, PKey<Private>) {
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let public = client_key(&key.public_key_to_der().unwrap()).unwrap();
        (Authority::new(HashMap::from([("me".into(), public)]), "here".into(), "a b", 300), key)
    }

    fn request(key: &PKey<Private>, header: &str, claims: &Value, scope: &str) -> Vec<u8> {
        let encode = |bytes: &[u8]| base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes);
        let signed = format!("{}.{}", encode(header.as_bytes()), encode(claims.to_string().as_bytes()));
        let mut signer = Signer::new(MessageDigest::sha256(), key).unwrap();
        let signature = encode(&signer.sign_oneshot_to_vec(signed.as_bytes()).unwrap());
        format!(
            "grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer\
             &client_assertion={signed}.{signature}&scope={scope}"
        )
        .into_bytes()
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Value), expected: Result<(), &str>) {
        let (mut authority, key) = house();
        let now = Timestamp::from_second(1_000_000).unwrap();
        let mut claims = json!({"iss": "me", "sub": "me", "aud": "here", "exp": 1_000_060, "jti": "1"});
        change(&mut claims);
        let got = authority.grant(&request(&key, r#"{"alg":"RS256"}"#, &claims, "a"), now);
        assert_eq!(got.map(|_| ()).map_err(|denied| denied.description), expected.map_err(str::to_owned));
    }

    #[test]
    fn a_good_assertion_gives_a_bearer_once() {
        let (mut authority, key) = house();
        let now = Timestamp::from_second(1_000_000).unwrap();
        let claims = json!({"iss": "me", "sub": "me", "aud": ["x", "here"], "exp": 1_000_060, "jti": "1"});
        let form = request(&key, r#"{"alg":"RS256"}"#, &claims, "a+b");
        let bearer = authority.grant(&form, now).unwrap();
        assert!(authority.admits(Some(&format!("Bearer {bearer}")), now));
        assert!(
            !authority.admits(Some(&format!("Bearer {bearer}")), Timestamp::from_second(1_000_300).unwrap())
        );
        assert!(!authority.admits(Some("Bearer other"), now));
        assert_eq!(authority.grant(&form, now).unwrap_err().description, "jti was used before");
        authority.revoke_all();
        assert!(!authority.admits(Some(&format!("Bearer {bearer}")), now));
    }

    #[test]
    fn every_claim_is_checked() {
        check(|_| {}, Ok(()));
        check(|claims| claims["sub"] = json!("you"), Err("iss and sub differ"));
        check(|claims| claims["iss"] = json!("you"), Err("iss and sub differ"));
        check(|claims| (claims["iss"], claims["sub"]) = (json!("you"), json!("you")), Err("unknown client"));
        check(|claims| claims["aud"] = json!("there"), Err("aud"));
        check(|claims| claims["exp"] = json!(1_000_000), Err("exp is past, or too far"));
        check(|claims| claims["exp"] = json!(1_003_601), Err("exp is past, or too far"));
        check(|claims| claims["jti"] = Value::Null, Err("no jti"));
    }

    #[test]
    fn algorithm_signature_and_scope_are_checked() {
        let (mut authority, key) = house();
        let now = Timestamp::from_second(1_000_000).unwrap();
        let claims = json!({"iss": "me", "sub": "me", "aud": "here", "exp": 1_000_060, "jti": "1"});
        let other = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        for (form, error) in [
            (request(&key, r#"{"alg":"none"}"#, &claims, "a"), "invalid_client"),
            (request(&other, r#"{"alg":"RS256"}"#, &claims, "a"), "invalid_client"),
            (request(&key, r#"{"alg":"RS256"}"#, &claims, "c"), "invalid_scope"),
        ] {
            assert_eq!(authority.grant(&form, now).unwrap_err().error, error);
        }
    }
}
