//! The operations of both contracts, by name.

/// What a request asks for, as the WSDLs name it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Operation {
    /// Contract A: one item to send.
    SendDocument,
    /// Contract A: where an item stands.
    GetStatus,
    /// Contract A: how the service is.
    HealthCheck,
    /// Contract B: a proof again.
    GetProof,
    /// Contract B: one item to send.
    Submit,
    /// Contract B: which items.
    FindItems,
    /// Contract B: what became of an item.
    GetDeliveryHistory,
    /// Contract B: whether a proof holds.
    VerifyProof,
    /// Contract B: whether somebody has an eBox.
    CheckRecipient,
    /// Contract B: who the caller is to the service.
    CheckConnection,
    /// Contract B: what the caller may.
    CheckAccess,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::SendDocument,
        Self::GetStatus,
        Self::HealthCheck,
        Self::GetProof,
        Self::Submit,
        Self::FindItems,
        Self::GetDeliveryHistory,
        Self::VerifyProof,
        Self::CheckRecipient,
        Self::CheckConnection,
        Self::CheckAccess,
    ];

    /// The name in the WSDL, the policy file and the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SendDocument => "sendDocument",
            Self::GetStatus => "getStatus",
            Self::HealthCheck => "healthCheck",
            Self::GetProof => "getProof",
            Self::Submit => "submit",
            Self::FindItems => "findItems",
            Self::GetDeliveryHistory => "getDeliveryHistory",
            Self::VerifyProof => "verifyProof",
            Self::CheckRecipient => "checkRecipient",
            Self::CheckConnection => "checkConnection",
            Self::CheckAccess => "checkAccess",
        }
    }

    /// The operation of that exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.as_str() == name)
    }
}
