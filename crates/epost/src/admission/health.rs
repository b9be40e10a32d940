//! healthCheck: PING checks nothing, DEFAULT the local parts, DEEP the outside too.

use std::sync::Arc;
use std::time::Instant;

use erds::Refusal;
use soap::message::{
    CheckOutcome, ComponentHealth, HealthCheckKind, HealthLevel, HealthReport, ResourceType, ServiceLocation,
};

use super::facts::SignedMessage;
use super::{Arrived, Reply};
use crate::service::Service;
use crate::watch::Probe;

impl Service {
    pub(super) async fn health_check(
        self: &Arc<Self>,
        arrived: &Arc<Arrived>,
        message: SignedMessage,
        kind: HealthCheckKind,
    ) -> Result<Reply, Refusal> {
        self.record_read(arrived, &message, None).await?;
        let mut checks = Vec::new();
        if kind != HealthCheckKind::Ping {
            let local = tokio::task::block_in_place(|| crate::watch::local(self));
            checks.extend(local.into_iter().map(|probe| outcome(probe, HealthCheckKind::Default)));
        }
        if kind == HealthCheckKind::Deep {
            let outside = crate::watch::outside(self).await;
            checks.extend(outside.into_iter().map(|probe| outcome(probe, HealthCheckKind::Deep)));
        }
        let url = &self.settings().public_url;
        let authority = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
        let report = HealthReport {
            at: self.now(),
            level: checks.iter().map(|check| check.level).max().unwrap_or(HealthLevel::Ok),
            message: None,
            component: ComponentHealth { name: "ePost".into(), version: env!("CARGO_PKG_VERSION").into() },
            location: ServiceLocation {
                environment: self.settings().environment,
                host: host.to_owned(),
                port: port.parse().ok(),
                url: Some(url.clone()),
            },
            checks,
        };
        Ok(self.health_reply(message.version, &report))
    }
}

fn outcome(probe: Probe, kind: HealthCheckKind) -> CheckOutcome {
    let (level, message) = match probe.problem {
        None => (HealthLevel::Ok, None),
        Some(problem) => (HealthLevel::Critical, Some(problem)),
    };
    CheckOutcome {
        id: probe.id.to_owned(),
        level,
        message,
        resource_name: probe.resource.to_owned(),
        resource_type: match probe.id {
            "index" => ResourceType::Db,
            "journal" | "disk" => ResourceType::Filesystem,
            "revocation" => ResourceType::Certificate,
            "clock" => ResourceType::Other,
            _ => ResourceType::Ws,
        },
        kind,
        time_ms: probe.time_ms,
    }
}

/// Measures one probe.
pub(crate) fn timed(
    id: &'static str,
    resource: &'static str,
    begun: Instant,
    problem: Option<String>,
) -> Probe {
    Probe { id, resource, problem, time_ms: u32::try_from(begun.elapsed().as_millis()).unwrap_or(u32::MAX) }
}
