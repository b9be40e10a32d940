//! Who is told to go on: what TLS says of a peer is judged before his body is asked for (`clients.md` 7).

use std::sync::Arc;

use erds::{Refusal, Sender};
use pki::path::{Purpose, Revocation};

use super::{Head, PeerFacts, Reply, other_sender, tls_refusal};
use crate::service::Service;

impl Service {
    /// Whether a peer who waits to be told to go on (`Expect: 100-continue`) is one whose message could be taken: his certificate is in
    /// force, and a gateway's, or that of a sender who has a grant in force from where he is. Where a remote decision point decides,
    /// nobody is asked before there is a message.
    ///
    /// # Errors
    /// What his message would be refused for; it is his to mend.
    pub fn may_go_on(&self, peer: &PeerFacts) -> Result<(), Refusal> {
        let (tls, at) = (&peer.certificate, self.now());
        let crls = self.senders().crls();
        let revocation = Revocation::HardFail(&crls);
        let judged = self.senders().anchors.validate(tls, &[], revocation, Purpose::TlsClient, at);
        let path = judged.map_err(|error| tls_refusal(&error))?;
        if self.is_gateway(tls) {
            return Ok(());
        }
        let sender = Sender::from_path(&path).map_err(|_| other_sender())?;
        self.of_this_environment(&sender)?;
        if self.remote().is_some() {
            return Ok(());
        }
        let question = uam::Question {
            sender: &sender,
            transaction: uam::Transaction::Check,
            message_type: None,
            address: peer.address.ip(),
            at,
        };
        self.policy().decide(&question).map(drop).map_err(|denied| denied.to_refusal())
    }

    /// A request whose body was not asked for: recorded and told like any other refusal.
    pub async fn refuse_unasked(self: &Arc<Self>, head: Head, peer: PeerFacts, refusal: Refusal) -> Reply {
        self.refuse_without_message(head, peer, None, refusal).await
    }
}
