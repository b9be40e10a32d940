//! checkConnection and checkAccess: what an integrator calls first. Everything is judged as for sending, and nothing is sent.

use std::sync::Arc;

use erds::Refusal;
use pki::certificate::Certificate;
use soap::message::Operation;
use soap::message::v2::{
    CertificateFacts, ConnectionReport, RequestLimits, write_check_access_response,
    write_check_connection_response,
};

use super::facts::SignedMessage;
use super::{Arrived, Reply, question};
use crate::service::Service;

impl Service {
    pub(super) async fn check_connection(
        self: &Arc<Self>,
        arrived: &Arc<Arrived>,
        message: SignedMessage,
    ) -> Result<Reply, Refusal> {
        self.record_read(arrived, &message, None).await?;
        let (limits, settings) = (self.limits(), self.settings());
        let tls = &arrived.peer.certificate;
        let report = ConnectionReport {
            sender: &message.sender,
            message_certificate: certificate(&message.certificate),
            tls_certificate: certificate(tls),
            through_gateway: self.is_gateway(tls),
            address: message.asserted_address.unwrap_or(arrived.peer.address.ip()),
            environment: settings.environment,
            received_at: arrived.received_at,
            limits: RequestLimits {
                body_bytes_max: limits.body_bytes_max,
                root_part_bytes_max: limits.root_part_bytes_max,
                part_bytes_max: limits.part_bytes_max,
                included_bytes_max: limits.included_bytes_max,
                parts_max: limits.parts_max,
                timestamp_lifetime_seconds_max: settings.timestamp_lifetime_seconds_max,
                clock_skew_seconds_max: settings.clock_skew_seconds_max,
            },
        };
        Ok(self.signed(message.version, 200, &write_check_connection_response(&report))?)
    }

    /// Would the policy grant this, to this sender, from this address, now? Its closest grant's check is for the journal of a real
    /// request; here the code alone is told, as that request's fault would.
    pub(super) async fn check_access(
        self: &Arc<Self>,
        arrived: &Arc<Arrived>,
        message: SignedMessage,
        operation: Operation,
        document_type: Option<String>,
    ) -> Result<Reply, Refusal> {
        let address = message.asserted_address.unwrap_or(arrived.peer.address.ip());
        let asked = question(arrived, address, &message.sender, operation, document_type.as_deref());
        let decided = self.decide(&asked).await?;
        self.record_read(arrived, &message, None).await?;
        let denied = decided.err().map(|denied| denied.code);
        let payload = write_check_access_response(operation, document_type.as_deref(), denied);
        Ok(self.signed(message.version, 200, &payload)?)
    }
}

fn certificate(certificate: &Certificate) -> CertificateFacts {
    CertificateFacts { sha256: certificate.fingerprint(), not_after: certificate.not_after() }
}
