//! Mutual TLS: who may open a connection at all.
//!
//! Only the issuing authority is judged here: an unknown one ends the handshake. Expiry, revocation and required policies are judged per
//! request in admission, because on resumption rustls does not ask this verifier again, and because only a fault can tell the sender.

use std::sync::Arc;

use jiff::Timestamp;
use pki::certificate::Certificate;
use pki::path::{PathError, Purpose, Revocation, TrustAnchors};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
};

/// Why the door's TLS cannot be set up; the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The server's certificate or key is not PEM, or holds nothing.
    #[error(
        "listen.tls-files: {0}; expected PEM: the server certificate and intermediates in listen.certificate, its key in listen.key"
    )]
    Files(#[from] rustls::pki_types::pem::Error),
    /// Certificate and key do not fit, or TLS refuses them.
    #[error("listen.tls: {0}")]
    Refused(#[from] Error),
}

/// A TLS 1.3/1.2 server configuration that demands a client certificate of one of `authorities`.
///
/// No early data, no HTTP/2: ALPN offers http/1.1 alone.
///
/// # Errors
/// `Files`, `Refused`: the operator's to mend.
pub fn server_config(
    certificate_pem: &[u8],
    key_pem: &[u8],
    authorities: Arc<TrustAnchors>,
    named: &[Certificate],
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(rustls_openssl::default_provider());
    let chain = CertificateDer::pem_slice_iter(certificate_pem).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(key_pem)?;
    let verifier = KnownAuthority {
        authorities,
        hints: named.iter().map(|ca| DistinguishedName::from(ca.subject().der().to_vec())).collect(),
        provider: provider.clone(),
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

#[derive(Debug)]
struct KnownAuthority {
    authorities: Arc<TrustAnchors>,
    hints: Vec<DistinguishedName>,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for KnownAuthority {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let refused = |reason| Error::InvalidCertificate(reason);
        let parse = |der: &CertificateDer<'_>| {
            Certificate::from_der(der).map_err(|_| refused(CertificateError::BadEncoding))
        };
        let leaf = parse(end_entity)?;
        let extra = intermediates.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let now = i64::try_from(now.as_secs()).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        let now = now.ok_or(refused(CertificateError::BadEncoding))?;
        match self.authorities.validate(&leaf, &extra, Revocation::NotChecked, Purpose::TlsClient, now) {
            // Issued by a known authority, but out of its time or not under a required policy: let in, so that admission can answer with a
            // fault that names the remedy.
            Ok(_)
            | Err(PathError::Expired { .. } | PathError::NotYetValid { .. } | PathError::Policy { .. }) => {
                Ok(ClientCertVerified::assertion())
            }
            Err(error) => {
                tracing::info!(event = "tls.client-refused", code = error.code(), subject = %leaf.subject());
                Err(refused(match error {
                    PathError::UnknownIssuer { .. } => CertificateError::UnknownIssuer,
                    _ => CertificateError::ApplicationVerificationFailure,
                }))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
