//! The whole sandbox over the wire: mutual TLS to the door, the TSA and e-Box stand-ins told what to do wrong.

use std::sync::Arc;
use std::time::Duration;

use epost::dev::pki::Extent;
use epost::dev::start::{self, LOOPBACK};
use erds::{Status, Ticket};
use journal::Stored;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;

use super::draft::{Draft, Signed};
use super::inside::{copy_of_certs_test, verdict};
use super::reply::{Answered, Proof};
use super::{certs_test, until};

/// A sandbox of one test's own, gone with it.
pub struct Sandbox {
    inner: start::Sandbox,
    plain: reqwest::Client,
    _folder: tempfile::TempDir,
}

impl Sandbox {
    pub async fn start() -> Self {
        Self::start_tuned(|_| ()).await
    }

    /// With a configuration that differs by what `tune` does.
    pub async fn start_tuned(tune: impl FnOnce(&mut epost::config::Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy_of_certs_test(&folder.path().join("pki"));
        let inner = start::start_tuned(folder.path(), LOOPBACK, Extent::WithStrangers, tune).await.unwrap();
        let plain = reqwest::Client::builder()
            .tls_backend_preconfigured(client_config(None))
            .no_proxy()
            .timeout(Duration::from_secs(60))
            .build()
            .unwrap();
        Self { inner, plain, _folder: folder }
    }

    pub fn address(&self) -> std::net::SocketAddr {
        self.inner.service.address
    }

    /// What brings policies into force.
    pub fn access(&self) -> &epost::access::Access {
        &self.inner.service.access
    }

    /// Where consultations of the log are asked for.
    pub fn consult_address(&self) -> Option<std::net::SocketAddr> {
        self.inner.service.consult_address
    }

    /// Where partners' folders are.
    pub fn batch_address(&self) -> Option<std::net::SocketAddr> {
        self.inner.service.batch_address
    }

    /// What the operators' door answers: status, content type, text.
    pub async fn watch(&self, path: &str) -> (u16, String, String) {
        let address = self.inner.service.operator_address.expect("the sandbox has an operators' door");
        let answer =
            read(self.plain.get(format!("http://{address}{path}")).send().await.unwrap()).await.unwrap();
        (answer.status, answer.content_type, String::from_utf8(answer.body).unwrap())
    }

    pub fn service(&self) -> &Arc<epost::service::Service> {
        &self.inner.service.service
    }

    pub fn layout(&self) -> &epost::dev::sandbox::SandboxLayout {
        &self.inner.layout
    }

    pub fn records(&self) -> Vec<Stored> {
        self.service().journal().iter(0).map(Result::unwrap).collect()
    }

    /// A connection as this sender or stranger.
    pub fn client(&self, name: &str) -> reqwest::Client {
        reqwest::Client::builder()
            .tls_backend_preconfigured(client_config(Some(name)))
            .no_proxy()
            .timeout(Duration::from_secs(60))
            .build()
            .unwrap()
    }

    pub fn url(&self, path_query: &str) -> String {
        format!("https://{}{path_query}", self.address())
    }

    pub async fn send(&self, signed: &Signed) -> Answered {
        self.try_send(signed).await.unwrap()
    }

    pub async fn try_send(&self, signed: &Signed) -> reqwest::Result<Answered> {
        let (content_type, body) = signed.http();
        let mut request = self
            .client(&signed.tls)
            .post(self.url(signed.path))
            .header("content-type", content_type)
            .body(body);
        if let Some(action) = &signed.soap_action {
            request = request.header("soapaction", action);
        }
        read(request.send().await?).await
    }

    pub async fn ask(&self, draft: &Draft) -> Answered {
        self.send(&draft.sign()).await
    }

    /// In a few words: accepted, or the fault's code and the check that the journal names. The courier must be at rest.
    pub fn verdict(&self, answered: &Answered) -> String {
        let mut records = self.records();
        records.retain(|stored| {
            matches!(
                stored.record,
                erds::Record::Refused(_) | erds::Record::Accepted(_) | erds::Record::Withdrawn(_)
            )
        });
        verdict(&records, answered)
    }

    /// Asks for the status until it is one of these; the proof of dispatch with it.
    pub async fn status(&self, ticket: &Ticket, wanted: Status) -> Option<Proof> {
        until(|| async {
            let (answer, proof) = self.ask(&Draft::status(ticket)).await.status_answer();
            (answer.status == wanted).then_some(proof)
        })
        .await
    }

    pub async fn tsa_fault(&self, fault: Value) {
        self.control(&self.inner.layout.tsa_control(), "fault", fault).await;
    }

    pub async fn ebox_fault(&self, fault: Value) {
        self.control(&self.inner.layout.ebox_url(), "fault", fault).await;
    }

    pub async fn tsa_issued(&self) -> u64 {
        self.told(&self.inner.layout.tsa_control(), "issued").await["issued"].as_u64().unwrap()
    }

    /// What the e-Box stand-in counted.
    pub async fn ebox_received(&self) -> Value {
        self.told(&self.inner.layout.ebox_url(), "received").await
    }

    async fn control(&self, base: &str, what: &str, body: Value) {
        let answer = self.plain.put(format!("{base}/{what}")).body(body.to_string()).send().await.unwrap();
        assert!(answer.status().is_success(), "{what}: {}", answer.text().await.unwrap());
    }

    async fn told(&self, base: &str, what: &str) -> Value {
        let answer = self.plain.get(format!("{base}/{what}")).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    pub async fn stop(self) {
        self.inner.stop().await;
    }
}

pub async fn read(response: reqwest::Response) -> reqwest::Result<Answered> {
    let header = response.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
    Ok(Answered {
        status: response.status().as_u16(),
        content_type: header.unwrap_or_default(),
        body: response.bytes().await?.to_vec(),
    })
}

/// TLS as this sender, or as nobody.
pub fn client_config(name: Option<&str>) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certs_test("server-root.crt")).unwrap()).unwrap();
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(rustls_openssl::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let Some(name) = name else { return builder.with_no_client_auth() };
    let chain = CertificateDer::pem_file_iter(certs_test(&format!("{name}.crt"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(certs_test(&format!("{name}.key"))).unwrap();
    builder.with_client_auth_cert(chain.map(Result::unwrap).collect(), key).unwrap()
}
