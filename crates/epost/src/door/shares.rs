//! Admission control: how much of what all share one sender may hold, and how much is held in all.
//!
//! Who asks for more than a share is told so at once; nobody waits in a queue that nobody sees. Beside the cap of one, nobody gets more
//! than what is still free after him: so a newcomer finds room however many flood the door, and one who is alone gets half.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use erds::record::Hex32;
use pki::certificate::Certificate;

use crate::config::Listen;

/// Which limit a request or connection met.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Beyond {
    /// What one may hold.
    One,
    /// What all may hold, or as much of it as is left for this one.
    All,
}

/// Something bounded that is held by several: places for requests, bytes in the spool, connections.
#[derive(Debug)]
pub(super) struct Shares<K> {
    all_max: u64,
    one_max: u64,
    held: Mutex<Held<K>>,
}

#[derive(Debug)]
struct Held<K> {
    all: u64,
    /// Whoever holds something; nobody else is remembered.
    by: HashMap<K, u64>,
}

/// What one holds; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share<K: Eq + Hash + Clone> {
    of: Arc<Shares<K>>,
    key: K,
    capped: bool,
    amount: u64,
}

impl<K: Eq + Hash + Clone> Shares<K> {
    /// At most so much in all, and so much by one.
    pub(super) fn new(all_max: u64, one_max: u64) -> Arc<Self> {
        Arc::new(Self { all_max, one_max, held: Mutex::new(Held { all: 0, by: HashMap::new() }) })
    }

    /// Takes `amount` for `key`. Without `capped` the cap of one is left out: who forwards others' messages is many.
    ///
    /// # Errors
    /// [`Beyond`]: nothing is taken.
    pub(super) fn take(self: &Arc<Self>, key: &K, capped: bool, amount: u64) -> Result<Share<K>, Beyond> {
        let mut share = Share { of: self.clone(), key: key.clone(), capped, amount: 0 };
        share.grow(amount)?;
        Ok(share)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Held<K>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Clone> Share<K> {
    /// Takes so much more.
    ///
    /// # Errors
    /// [`Beyond`]: what was held before stays held.
    pub(super) fn grow(&mut self, more: u64) -> Result<(), Beyond> {
        let mut held = self.of.lock();
        let mine = held.by.get(&self.key).copied().unwrap_or_default().saturating_add(more);
        if self.capped && mine > self.of.one_max {
            return Err(Beyond::One);
        }
        // As if all of this share were taken now: what grows may become as large as what is taken at once.
        if mine > self.of.all_max.saturating_sub(held.all - self.amount) {
            return Err(Beyond::All);
        }
        held.all += more;
        if mine > 0 {
            held.by.insert(self.key.clone(), mine);
        }
        self.amount += more;
        Ok(())
    }

    /// How much is held.
    pub(super) fn amount(&self) -> u64 {
        self.amount
    }
}

impl<K: Eq + Hash + Clone> Drop for Share<K> {
    fn drop(&mut self) {
        let mut held = self.of.lock();
        held.all = held.all.saturating_sub(self.amount);
        let left = held.by.get(&self.key).map(|mine| mine.saturating_sub(self.amount));
        match left {
            Some(1..) => drop(held.by.insert(self.key.clone(), left.unwrap_or_default())),
            _ => drop(held.by.remove(&self.key)),
        }
    }
}

/// Whose share a connection counts to: the institution and application in its TLS certificate, or a gateway of many.
///
/// It is no proof of who signed: admission judges that, message by message.
#[derive(Clone, Debug)]
pub(super) struct Party {
    name: Arc<str>,
    gateway: bool,
}

impl Party {
    /// By the TLS client certificate. A name counts under the authority that gave it; a certificate that names no sender counts alone.
    pub(super) fn of(certificate: &Certificate, gateway: bool) -> Self {
        let name = match crate::trust::party(certificate).filter(|_| !gateway) {
            Some(sender) => {
                let issuer = Hex32(pki::digest::sha256(certificate.issuer().der())).to_hex();
                format!("{} {issuer}", sender.name())
            }
            None => Hex32(certificate.fingerprint()).to_hex(),
        };
        Self { name: name.into(), gateway }
    }

    /// Whose share a request counts to that says it comes from `said`: behind a gateway, that address's own, as if it had come directly.
    ///
    /// Nobody else's word is taken; where a gateway says no address, all that it forwards counts together.
    pub(super) fn for_address(self, said: Option<IpAddr>) -> Self {
        match said.filter(|_| self.gateway) {
            Some(address) => {
                Self { name: format!("{} {}", self.name, network(address)).into(), gateway: false }
            }
            None => self,
        }
    }
}

/// The shares of one door.
pub(super) struct Doorkeeper {
    /// Connections, by address: before anybody has said who it is.
    addresses: Arc<Shares<IpAddr>>,
    /// Those of them whose TLS handshake is under way, in fair parts: whoever has no certificate gets no further.
    handshakes: Arc<Shares<IpAddr>>,
    connections: Arc<Shares<Arc<str>>>,
    requests: Arc<Shares<Arc<str>>>,
    spool_bytes: Arc<Shares<Arc<str>>>,
}

impl Doorkeeper {
    pub(super) fn new(listen: &Listen) -> Self {
        let places = |places: usize| places as u64;
        Self {
            // In all they are `listen.connections_max`, which the accept loop holds.
            addresses: Shares::new(u64::MAX, places(listen.connections_per_address_max)),
            handshakes: Shares::new(places(listen.connections_max), u64::MAX),
            connections: Shares::new(u64::MAX, places(listen.connections_per_sender_max)),
            requests: Shares::new(places(listen.requests_max), places(listen.requests_per_sender_max)),
            spool_bytes: Shares::new(listen.spool_bytes_max, listen.spool_bytes_per_sender_max),
        }
    }

    /// A place for one connection from an address.
    pub(super) fn address(&self, address: IpAddr) -> Result<Share<IpAddr>, Beyond> {
        self.addresses.take(&network(address), true, 1)
    }

    /// A place for one handshake from an address.
    pub(super) fn handshake(&self, address: IpAddr) -> Result<Share<IpAddr>, Beyond> {
        self.handshakes.take(&network(address), false, 1)
    }

    /// A place for one connection of a party.
    pub(super) fn connection(&self, party: &Party) -> Result<Share<Arc<str>>, Beyond> {
        self.connections.take(&party.name, !party.gateway, 1)
    }

    /// A place for one request of a party.
    pub(super) fn request(&self, party: &Party) -> Result<Share<Arc<str>>, Beyond> {
        self.requests.take(&party.name, !party.gateway, 1)
    }

    /// Room for so many bytes of a body.
    pub(super) fn spool(&self, party: &Party, bytes: u64) -> Result<Share<Arc<str>>, Beyond> {
        self.spool_bytes.take(&party.name, !party.gateway, bytes)
    }
}

/// Places at a small door, in fair parts: as many in all, and of them one address gets no more than are left after it.
pub(super) struct FewPlaces(Arc<Shares<IpAddr>>);

impl FewPlaces {
    pub(super) fn new(places: usize) -> Self {
        Self(Shares::new(places as u64, u64::MAX))
    }

    pub(super) fn take(&self, address: IpAddr) -> Result<Share<IpAddr>, Beyond> {
        self.0.take(&network(address), false, 1)
    }
}

/// What one household has: an IPv4 address, or the /64 of an IPv6 one.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How much is held, and by how many.
    fn state<K>(shares: &Shares<K>) -> (u64, usize) {
        let held = shares.held.lock().unwrap();
        (held.all, held.by.len())
    }

    fn takes<K: Eq + Hash + Clone>(shares: &Arc<Shares<K>>, key: &K, count: usize) -> Vec<Share<K>> {
        let taken: Result<_, _> = (0..count).map(|_| shares.take(key, true, 1)).collect();
        taken.unwrap()
    }

    #[test]
    fn one_may_hold_so_much_and_no_more() {
        let shares = Shares::new(100, 3);
        let mut held = takes(&shares, &"a", 3);
        assert_eq!(shares.take(&"a", true, 1).unwrap_err(), Beyond::One);
        assert_eq!(held[0].grow(1), Err(Beyond::One));
        let other = shares.take(&"b", true, 3).unwrap();
        assert!(shares.take(&"b", true, 1).is_err() && shares.take(&"gateway", false, 4).is_ok());
        held.pop();
        assert_eq!(held[0].grow(1), Ok(()), "what was given back is free");
        assert_eq!((held[0].amount(), state(&shares)), (2, (6, 2)));
        drop((held, other));
        assert_eq!(state(&shares), (0, 0));
    }

    #[test]
    fn nobody_gets_more_than_is_left_after_him() {
        let shares = Shares::new(8, u64::MAX);
        let alone = takes(&shares, &"a", 4);
        assert_eq!(shares.take(&"a", true, 1).unwrap_err(), Beyond::All, "half of it, alone");
        let second = takes(&shares, &"b", 2);
        assert!(shares.take(&"b", true, 1).is_err());
        let newcomers = [takes(&shares, &"c", 1), takes(&shares, &"d", 1)];
        assert_eq!(shares.take(&"e", true, 1).unwrap_err(), Beyond::All, "all of it is held");
        drop((alone, second, newcomers));
        let last = shares.take(&"e", true, 8).unwrap();
        assert_eq!(shares.take(&"f", true, 1).unwrap_err(), Beyond::All);
        assert_eq!(shares.take(&"f", true, 0).unwrap().amount(), 0);
        drop(last);
        assert_eq!(shares.take(&"e", true, 9).unwrap_err(), Beyond::All, "one past the limit");
        let mut grown = shares.take(&"e", true, 3).unwrap();
        assert_eq!((grown.grow(5), grown.grow(1)), (Ok(()), Err(Beyond::All)), "step by step too");
    }

    #[test]
    fn who_has_gone_is_not_remembered() {
        let shares = Shares::new(u64::MAX, 2);
        for number in 0..10_000 {
            let _held = takes(&shares, &number, 2);
            assert_eq!(
                (shares.take(&number, true, 1).unwrap_err(), shares.lock().by.len()),
                (Beyond::One, 1)
            );
        }
        assert_eq!(state(&shares), (0, 0));
    }

    #[test]
    fn a_gateways_word_parts_its_senders_and_nobody_elses_does() {
        let party = |gateway| Party { name: "it".into(), gateway };
        let address = |text: &str| Some(text.parse().unwrap());
        let behind = |text| party(true).for_address(address(text));
        assert!(!behind("10.0.0.7").gateway && behind("10.0.0.7").name != behind("10.0.0.8").name);
        assert_eq!(behind("2001:db8::1").name, behind("2001:db8::2").name, "a household");
        assert!(party(true).for_address(None).gateway);
        assert_eq!(party(false).for_address(address("10.0.0.7")).name, party(false).name);
    }

    #[test]
    fn an_address_is_a_household() {
        let same = |a: &str, b: &str| network(a.parse().unwrap()) == network(b.parse().unwrap());
        assert!(same("10.0.0.7", "::ffff:10.0.0.7") && !same("10.0.0.7", "10.0.0.8"));
        assert!(same("2001:db8::1", "2001:db8::ffff:0:0:1") && !same("2001:db8::1", "2001:db8:0:1::1"));
    }
}
