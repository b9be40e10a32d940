//! A witness of the log (C2SP tlog-witness v1, tlog-cosignature v1): cosigns what goes on from what it saw.
//!
//! It shares no code with what it checks: notes are read, hashes and signatures judged here, by the standards' own words.
//! `PUT /fault` with `down`, `lie` or `none`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;

use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use openssl::error::ErrorStack;
use openssl::pkey::{Id, PKey, Private, Public};
use openssl::sha::sha256;
use openssl::sign::{Signer, Verifier};
use tokio::net::TcpListener;

type Hash = [u8; 32];

/// What it knows and has seen; clones share it.
#[derive(Clone)]
pub struct WitnessStandIn(Arc<Inner>);

struct Inner {
    name: String,
    key: PKey<Private>,
    /// The one log it knows: its name, its key's identifier, its key.
    origin: String,
    log_id: [u8; 4],
    log_key: PKey<Public>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    seen: HashMap<String, (u64, Hash)>,
    fault: String,
}

impl WitnessStandIn {
    /// With a fresh key, for the log of this public key (`NAME+ID+KEY`); none where that is no such text.
    ///
    /// # Errors
    /// The crypto library.
    pub fn new(name: &str, log: &str) -> Result<Option<Self>, ErrorStack> {
        let mut parts = log.splitn(3, '+');
        let (Some(origin), Some(_), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Ok(None);
        };
        let Ok(key) = openssl::base64::decode_block(key) else { return Ok(None) };
        let Some((1, raw)) = key.split_first().map(|(kind, raw)| (*kind, raw)) else { return Ok(None) };
        let inner = Inner {
            name: name.to_owned(),
            key: PKey::generate_ed25519()?,
            origin: origin.to_owned(),
            log_id: id(origin, 1, raw),
            log_key: PKey::public_key_from_raw_bytes(raw, Id::ED25519)?,
            state: Mutex::default(),
        };
        Ok(Some(Self(Arc::new(inner))))
    }

    /// Its public key: `NAME+ID+KEY`.
    ///
    /// # Errors
    /// The crypto library.
    pub fn key(&self) -> Result<String, ErrorStack> {
        let raw = self.0.key.raw_public_key()?;
        let id = u32::from_be_bytes(id(&self.0.name, 4, &raw));
        let key = openssl::base64::encode_block(&[&[4][..], &raw].concat());
        Ok(format!("{}+{id:08x}+{key}", self.0.name))
    }

    /// Forgets what it saw.
    pub fn forget(&self) {
        self.state().seen.clear();
    }

    /// `down`, `lie` (its cosignature is of another text), or anything else for none.
    pub fn set_fault(&self, fault: &str) {
        fault.clone_into(&mut self.state().fault);
    }

    /// Serves until dropped.
    pub async fn serve(self, listener: TcpListener) {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let witness = self.clone();
            tokio::spawn(async move {
                let answer = service_fn(|request| {
                    let witness = witness.clone();
                    async move { Ok::<_, Infallible>(witness.answer(request).await) }
                });
                // A client that goes away is no news of a stand-in.
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), answer)
                    .await;
            });
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let Ok(body) = Limited::new(body, 64 * 1024).collect().await else {
            return respond(StatusCode::PAYLOAD_TOO_LARGE, String::new());
        };
        let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        match (head.method, head.uri.path()) {
            (Method::PUT, "/fault") => {
                self.set_fault(body.trim());
                respond(StatusCode::OK, String::new())
            }
            (Method::POST, path) if path.ends_with("/add-checkpoint") => {
                let (status, text) = self.add_checkpoint(&body, Timestamp::now().as_second().unsigned_abs());
                respond(status, text)
            }
            _ => respond(StatusCode::NOT_FOUND, String::new()),
        }
    }

    fn add_checkpoint(&self, body: &str, now: u64) -> (StatusCode, String) {
        let bad = |status| (status, String::new());
        let mut state = self.state();
        if state.fault == "down" {
            return bad(StatusCode::SERVICE_UNAVAILABLE);
        }
        let Some((old, proof, note)) = parse_request(body) else { return bad(StatusCode::BAD_REQUEST) };
        let Some((text, size, root)) = parse_note(note) else { return bad(StatusCode::BAD_REQUEST) };
        if text.lines().next() != Some(&self.0.origin) {
            return bad(StatusCode::NOT_FOUND);
        }
        if !self.is_signed(note, text) {
            return bad(StatusCode::FORBIDDEN);
        }
        if old > size {
            return bad(StatusCode::BAD_REQUEST);
        }
        let (seen, seen_root) = state.seen.get(&self.0.origin).copied().unwrap_or((0, sha256(b"")));
        if old != seen || (old == size && root != seen_root) {
            return (StatusCode::CONFLICT, format!("{seen}\n"));
        }
        if !goes_on((old, seen_root), (size, root), proof) {
            return bad(StatusCode::UNPROCESSABLE_ENTITY);
        }
        state.seen.insert(self.0.origin.clone(), (size, root));
        let lie = if state.fault == "lie" { "another log\n" } else { "" };
        match self.cosign(&format!("{lie}{text}"), now) {
            Ok(line) => (StatusCode::OK, line),
            Err(_) => bad(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    fn is_signed(&self, note: &str, text: &str) -> bool {
        let prefix = format!("\u{2014} {} ", self.0.origin);
        let values = note.lines().filter_map(|line| line.strip_prefix(&prefix));
        let mut values = values.filter_map(|value| openssl::base64::decode_block(value).ok());
        values.any(|value| {
            let Some(signature) = value.strip_prefix(&self.0.log_id) else { return false };
            let verified = Verifier::new_without_digest(&self.0.log_key)
                .and_then(|mut verifier| verifier.verify_oneshot(signature, text.as_bytes()));
            verified.unwrap_or(false)
        })
    }

    fn cosign(&self, text: &str, now: u64) -> Result<String, ErrorStack> {
        let message = format!("cosignature/v1\ntime {now}\n{text}");
        let signature = Signer::new_without_digest(&self.0.key)?.sign_oneshot_to_vec(message.as_bytes())?;
        let id = id(&self.0.name, 4, &self.0.key.raw_public_key()?);
        let value = [&id[..], &now.to_be_bytes(), &signature].concat();
        Ok(format!("\u{2014} {} {}\n", self.0.name, openssl::base64::encode_block(&value)))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn id(name: &str, kind: u8, key: &[u8]) -> [u8; 4] {
    let [a, b, c, d, ..] = sha256(&[name.as_bytes(), b"\n", &[kind], key].concat());
    [a, b, c, d]
}

fn parse_request(body: &str) -> Option<(u64, Vec<Hash>, &str)> {
    let (head, note) = body.split_once("\n\n")?;
    let mut lines = head.lines();
    let old = lines.next()?.strip_prefix("old ")?.parse().ok()?;
    Some((old, lines.map(hash).collect::<Option<_>>()?, note))
}

fn parse_note(note: &str) -> Option<(&str, u64, Hash)> {
    let text = note.get(..note.find("\n\n")? + 1)?;
    let mut lines = text.lines().skip(1);
    Some((text, lines.next()?.parse().ok()?, hash(lines.next()?)?))
}

fn hash(text: &str) -> Option<Hash> {
    openssl::base64::decode_block(text).ok()?.try_into().ok()
}

/// Whether the tree of `new` begins with that of `old`, by the recursion of RFC 6962 §2.1.2 read backwards.
fn goes_on(old: (u64, Hash), new: (u64, Hash), mut proof: Vec<Hash>) -> bool {
    if old.0 == 0 || old.0 == new.0 {
        return proof.is_empty();
    }
    let roots = roots(old.0, new.0, Some(old.1), &mut proof);
    proof.is_empty() && roots == Some((old.1, new.1))
}

/// The roots of the first `m` leaves of a subtree and of all its `n`; `whole` is that of the first, where it is known.
fn roots(m: u64, n: u64, whole: Option<Hash>, proof: &mut Vec<Hash>) -> Option<(Hash, Hash)> {
    if m == n {
        let root = whole.or_else(|| proof.pop())?;
        return Some((root, root));
    }
    let node = |left: &Hash, right: &Hash| sha256(&[&[1][..], left, right].concat());
    let half = n.next_power_of_two() / 2;
    let beside = proof.pop()?;
    if m <= half {
        let (old, new) = roots(m, half, whole, proof)?;
        return Some((old, node(&new, &beside)));
    }
    let (old, new) = roots(m - half, n - half, None, proof)?;
    Some((node(&beside, &old), node(&beside, &new)))
}

fn respond(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(text.into()));
    *answer.status_mut() = status;
    if status == StatusCode::CONFLICT {
        let size = http::HeaderValue::from_static("text/x.tlog.size");
        answer.headers_mut().insert(http::header::CONTENT_TYPE, size);
    }
    answer
}
