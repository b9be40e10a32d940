//! Address blocks as the policy file writes them.

use std::net::IpAddr;

/// A block of addresses: `10.0.0.0/8`, `::1/128`, or one address alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Cidr {
    network: IpAddr,
    prefix_bits: u8,
}

/// The text is no block of addresses: the policy writer's fault.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CidrError {
    /// Neither an address nor an address, `/` and a prefix length.
    #[error("`{0}` is not an address block such as 10.0.0.0/8")]
    Form(String),
    /// Bits are set beyond the prefix: the writer meant something else.
    #[error("`{0}` has bits set beyond its prefix")]
    HostBits(String),
}

impl Cidr {
    /// Parses a block.
    ///
    /// # Errors
    /// [`CidrError`]: the policy writer's fault.
    pub fn parse(text: &str) -> Result<Self, CidrError> {
        let form = || CidrError::Form(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let network: IpAddr = address.parse().map_err(|_| form())?;
        let width_bits = width_bits(network);
        let prefix_bits = match prefix {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| form())?
            }
            Some(_) => return Err(form()),
            None => width_bits,
        };
        if prefix_bits > width_bits {
            return Err(form());
        }
        let block = Self { network, prefix_bits };
        if masked(network, prefix_bits) != bits(network) {
            return Err(CidrError::HostBits(text.to_owned()));
        }
        Ok(block)
    }

    /// Whether the address lies in the block. An IPv4 address in IPv6's clothes counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        width_bits(address) == width_bits(self.network)
            && masked(address, self.prefix_bits) == bits(self.network)
    }

    /// Whether all of `other` lies in the block.
    pub fn covers(&self, other: &Self) -> bool {
        other.prefix_bits >= self.prefix_bits && self.contains(other.network)
    }
}

impl TryFrom<String> for Cidr {
    type Error = CidrError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

fn width_bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn masked(address: IpAddr, prefix_bits: u8) -> u128 {
    let host_bits = u32::from(width_bits(address).saturating_sub(prefix_bits));
    // A shift by all 128 bits is no shift at all in Rust: the empty prefix keeps nothing.
    let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
    bits(address) & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks() {
        let cases = [
            ("10.0.0.0/8", "10.255.1.2", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1/32", "127.0.0.2", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("::1/128", "::1", true),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
        ];
        for (block, address, expected) in cases {
            assert_eq!(
                Cidr::parse(block).unwrap().contains(address.parse().unwrap()),
                expected,
                "{block} {address}"
            );
        }
    }

    #[test]
    fn what_is_no_block() {
        for text in
            ["", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10.0.0/8", "host", "::/129", "10.0.0.0/8/8"]
        {
            assert_eq!(Cidr::parse(text), Err(CidrError::Form(text.to_owned())), "{text}");
        }
        assert!(matches!(Cidr::parse("10.0.0.1/8"), Err(CidrError::HostBits(_))));
    }

    #[test]
    fn blocks_in_blocks() {
        let covers = |a, b| Cidr::parse(a).unwrap().covers(&Cidr::parse(b).unwrap());
        assert!(covers("10.0.0.0/8", "10.1.0.0/16"));
        assert!(!covers("10.1.0.0/16", "10.0.0.0/8"));
        assert!(!covers("0.0.0.0/0", "::/0"));
    }
}
