//! The real door before a house: mutual TLS on loopback, and bytes written to it by hand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use epost::config::Listen;
use epost::trust::SenderTrust;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::client::TlsStream;

use super::House;
use super::certs_test;
use super::draft::Signed;
use super::inside::{Plan, config};
use super::reply::Answered;
use super::wire::{client_config, read};

/// A house behind its door.
pub struct Door {
    pub house: House,
    pub address: SocketAddr,
    _stop: watch::Sender<bool>,
}

impl Door {
    pub async fn open() -> Self {
        Self::with(Plan::default(), |_| {}).await
    }

    pub async fn with(plan: Plan, change: impl FnOnce(&mut Listen)) -> Self {
        let house = House::open(plan).await.unwrap();
        let mut listen = config().listen.clone();
        change(&mut listen);
        let trust = SenderTrust::read(config(), crate::house::no_responder()).unwrap();
        let pem = |name| std::fs::read(certs_test(name)).unwrap();
        let tls = epost::door::tls::server_config(
            &pem("server.crt"),
            &pem("server.key"),
            trust.anchors.clone(),
            &trust.authorities,
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(epost::door::serve(listener, tls.unwrap(), listen, house.service.clone(), stopped));
        Self { house, address, _stop: stop }
    }

    /// A TLS connection as that sender.
    pub async fn connect(&self, name: &str) -> TlsStream<TcpStream> {
        self.connect_with(client_config(Some(name))).await.unwrap()
    }

    pub async fn connect_with(&self, config: rustls::ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = rustls::pki_types::ServerName::try_from("127.0.0.1").unwrap();
        tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// These bytes as alice, and all that comes back until the door closes.
    pub async fn exchange(&self, bytes: &[u8]) -> String {
        let mut tls = self.connect("alice").await;
        // A door that has heard enough may close before the last byte is out.
        let _ = tls.write_all(bytes).await;
        let _ = tls.flush().await;
        until_closed(&mut tls).await
    }

    /// An honest client's request.
    pub async fn send(&self, signed: &Signed, headers: &[(&str, &str)]) -> Answered {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(client_config(Some(&signed.tls)))
            .no_proxy()
            .timeout(Duration::from_secs(60))
            .build()
            .unwrap();
        let (content_type, body) = signed.http();
        let url = format!("https://{}{}", self.address, signed.path);
        let request = client.post(url).header("content-type", content_type).body(body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        read(request.send().await.unwrap()).await.unwrap()
    }
}

/// Everything until the other side closes; a minute without that fails the test.
pub async fn until_closed(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut answer)).await;
    assert!(closed.is_ok(), "still open after a minute: {}", String::from_utf8_lossy(&answer));
    String::from_utf8_lossy(&answer).into_owned()
}
