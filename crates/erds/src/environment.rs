//! Where an instance runs, and by which way an item reaches its recipient.

use serde::{Deserialize, Serialize};

/// The sector's environments, as the monitoring schema and the certificates' OU name them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Environment {
    /// Production: the only one whose proofs count.
    Prd,
    /// Simulation.
    Sim,
    /// Acceptance.
    Acc,
    /// Integration.
    Int,
    /// Test.
    Tst,
    /// Development.
    Dev,
    /// Performance tests.
    Sic,
    /// A developer's machine.
    Local,
    /// Any other.
    Other,
}

impl Environment {
    /// All of them, in the monitoring schema's order.
    pub const ALL: [Self; 9] = [
        Self::Prd,
        Self::Sim,
        Self::Acc,
        Self::Int,
        Self::Tst,
        Self::Dev,
        Self::Sic,
        Self::Local,
        Self::Other,
    ];

    /// The name on the wire, in certificates and in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prd => "PRD",
            Self::Sim => "SIM",
            Self::Acc => "ACC",
            Self::Int => "INT",
            Self::Tst => "TST",
            Self::Dev => "DEV",
            Self::Sic => "SIC",
            Self::Local => "LOCAL",
            Self::Other => "OTHER",
        }
    }

    /// The environment of that exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|environment| environment.as_str() == name)
    }

    /// Whether proofs made here count as evidence.
    pub fn is_production(self) -> bool {
        self == Self::Prd
    }

    /// The name in `errors/v1`, if that schema has one for it.
    pub fn consumer_name(self) -> Option<&'static str> {
        match self {
            Self::Prd => Some("Production"),
            Self::Sim => Some("Simulation"),
            Self::Acc => Some("Acceptation"),
            Self::Int => Some("Integration"),
            Self::Tst => Some("Test"),
            Self::Dev | Self::Local => Some("Development"),
            Self::Sic | Self::Other => None,
        }
    }
}

impl std::fmt::Display for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The channels of the approval (E4).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ChannelName {
    /// The eBox of a natural person.
    EboxCitizen,
    /// The eBox of an enterprise.
    EboxEnterprise,
    /// Files laid in a partner's folder.
    Batch,
}

impl ChannelName {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::EboxCitizen, Self::EboxEnterprise, Self::Batch];

    /// The name in records, proofs and configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EboxCitizen => "EBOX_CITIZEN",
            Self::EboxEnterprise => "EBOX_ENTERPRISE",
            Self::Batch => "BATCH",
        }
    }

    /// The channel of that exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.as_str() == name)
    }
}

impl std::fmt::Display for ChannelName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for environment in Environment::ALL {
            assert_eq!(Environment::from_name(environment.as_str()), Some(environment));
            assert_eq!(serde_json::to_string(&environment).unwrap(), format!("\"{environment}\""));
        }
        for channel in ChannelName::ALL {
            assert_eq!(ChannelName::from_name(channel.as_str()), Some(channel));
            assert_eq!(serde_json::to_string(&channel).unwrap(), format!("\"{channel}\""));
        }
        assert_eq!(Environment::from_name("prd"), None);
    }
}
