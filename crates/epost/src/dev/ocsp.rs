//! An OCSP responder (RFC 6960 over HTTP POST) that answers for one authority, with the authority's own key.
//!
//! Loopback only: nothing here is protected. Shares no code with the checker of what it makes.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use openssl::hash::MessageDigest;
use openssl::sign::Signer;
use openssl::x509::X509;
use tokio::net::TcpListener;

use super::authority::Identity;
use super::der::{self, GENERALIZED_TIME, OCTETS, SEQUENCE, object, sequence, value};

/// Whom it answers for, and what it says.
pub struct OcspSetup {
    /// The authority.
    pub authority: Identity,
    /// Who is revoked; everybody else is good.
    pub revoked: Vec<X509>,
    /// Seconds that an answer lasts.
    pub seconds: i64,
    /// What it reads the time from.
    pub clock: fn() -> Timestamp,
    /// How many questions were answered.
    pub answered: Arc<AtomicU64>,
}

/// Serves until dropped.
pub async fn serve(listener: TcpListener, setup: OcspSetup) {
    let setup = Arc::new(setup);
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let setup = setup.clone();
        tokio::spawn(async move {
            let answer = service_fn(|request: http::Request<Incoming>| {
                let setup = setup.clone();
                async move {
                    let body = Limited::new(request.into_body(), 64 * 1024).collect().await;
                    let question = body.map(|body| body.to_bytes()).unwrap_or_default();
                    // malformedRequest
                    let answer = setup.answer(&question).unwrap_or_else(|| sequence(&[&[0x0a, 1, 1]]));
                    Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::from(answer))))
                }
            });
            let connection = hyper::server::conn::http1::Builder::new();
            // A client that goes away is no news of a stand-in.
            let _ = connection.serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

impl OcspSetup {
    /// OCSPRequest → OCSPResponse; `None` where it is not read.
    fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        let mut rest = question;
        let mut rest = der::expect(&mut rest, SEQUENCE)?.content;
        let mut asked = der::expect(&mut rest, SEQUENCE)?.content;
        let mut list = der::expect(&mut asked, SEQUENCE)?.content;
        let mut first = der::expect(&mut list, SEQUENCE)?.content;
        let id = der::expect(&mut first, SEQUENCE)?;
        // The extensions of the request, as they came: the nonce alone is ever there.
        let nonce = der::optional(&mut asked, 0xa2).map(|list| value(0xa1, &[list.content]));
        let mut fields = id.content;
        for _ in 0..3 {
            der::next(&mut fields)?;
        }
        let serial = der::next(&mut fields)?.content;
        let revoked = |one: &X509| one.serial_number().to_bn().is_ok_and(|number| number.to_vec() == serial);
        let now = (self.clock)().as_second();
        let time = |second: i64| {
            let at = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
            value(GENERALIZED_TIME, &[at.strftime("%Y%m%d%H%M%SZ").to_string().as_bytes()])
        };
        let status =
            if self.revoked.iter().any(revoked) { value(0xa1, &[&time(now - 60)]) } else { value(0x80, &[]) };
        let until = value(0xa0, &[&time(now + self.seconds)]);
        let single = sequence(&[id.whole, &status, &time(now), &until]);
        let name = value(0xa1, &[&self.authority.certificate.subject_name().to_der().ok()?]);
        let nonce = nonce.unwrap_or_default();
        let data = sequence(&[&name, &time(now), &sequence(&[&single]), &nonce]);
        let mut signer = Signer::new(MessageDigest::sha256(), &self.authority.key).ok()?;
        let signature = signer.sign_oneshot_to_vec(&data).ok()?;
        let algorithm = sequence(&[&object("1.2.840.10045.4.3.2")]);
        let basic = sequence(&[&data, &algorithm, &value(0x03, &[&[0], &signature])]);
        self.answered.fetch_add(1, Ordering::SeqCst);
        let typed = sequence(&[&object("1.3.6.1.5.5.7.48.1.1"), &value(OCTETS, &[&basic])]);
        Some(sequence(&[&[0x0a, 1, 0], &value(0xa0, &[&typed])]))
    }
}
