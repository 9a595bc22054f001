//! IP addresses, and networks in CIDR notation.

use std::net::IpAddr;

/// A range of addresses of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    /// In bits.
    prefix: u32,
}

impl Network {
    /// Reads `address/bits`, or one address. Bits of the address outside the prefix do not count.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits,
            Some(prefix) if prefix.bytes().all(|byte| byte.is_ascii_digit()) => prefix.parse().ok()?,
            Some(_) => return None,
        };
        (prefix <= bits).then_some(Self { address, prefix })
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                own.to_bits().checked_shr(32 - self.prefix).unwrap_or(0)
                    == other.to_bits().checked_shr(32 - self.prefix).unwrap_or(0)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                own.to_bits().checked_shr(128 - self.prefix).unwrap_or(0)
                    == other.to_bits().checked_shr(128 - self.prefix).unwrap_or(0)
            }
            _ => false,
        }
    }

    /// The first address inside, and the first after it where there is one.
    pub(crate) fn bounds(&self) -> (IpAddr, Option<IpAddr>) {
        match self.address {
            IpAddr::V4(own) => {
                let size = 1_u32.checked_shl(32 - self.prefix).unwrap_or(0);
                let first = own.to_bits() & !size.wrapping_sub(1);
                let after = (size != 0).then(|| first.checked_add(size)).flatten();
                (IpAddr::V4(first.into()), after.map(|after| IpAddr::V4(after.into())))
            }
            IpAddr::V6(own) => {
                let size = 1_u128.checked_shl(128 - self.prefix).unwrap_or(0);
                let first = own.to_bits() & !size.wrapping_sub(1);
                let after = (size != 0).then(|| first.checked_add(size)).flatten();
                (IpAddr::V6(first.into()), after.map(|after| IpAddr::V6(after.into())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(network: &str, address: &str) -> bool {
        Network::parse(network).expect(network).contains(address.parse().expect(address))
    }

    #[test]
    fn networks_contain_addresses_of_their_family() {
        for (network, address, expected) in [
            ("10.0.0.0/24", "10.0.0.9", true),
            ("10.0.0.1/24", "10.0.0.255", true),
            ("10.0.0.0/24", "10.0.1.0", false),
            ("10.0.0.9", "10.0.0.9", true),
            ("10.0.0.9", "10.0.0.8", false),
            ("0.0.0.0/0", "255.1.2.3", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db9::", false),
        ] {
            assert_eq!(contains(network, address), expected, "{network} {address}");
        }
        for text in ["", "10.0.0", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/8/8", "host"] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }

    #[test]
    fn bounds_are_the_first_inside_and_the_first_after() {
        let bounds = |network: &str| {
            let (first, after) = Network::parse(network).expect(network).bounds();
            (first.to_string(), after.map(|after| after.to_string()))
        };
        assert_eq!(bounds("10.0.0.7/24"), ("10.0.0.0".into(), Some("10.0.1.0".into())));
        assert_eq!(bounds("0.0.0.0/0"), ("0.0.0.0".into(), None));
        assert_eq!(bounds("255.255.255.255"), ("255.255.255.255".into(), None));
        assert_eq!(bounds("::/0"), ("::".into(), None));
        assert_eq!(bounds("2001:db8::/32"), ("2001:db8::".into(), Some("2001:db9::".into())));
    }
}
