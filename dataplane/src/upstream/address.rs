//! Which resolved addresses a provider may have. Checked at connect time on the address that is dialled, so that neither
//! a DNS answer that changes between check and use nor a literal in a manifest gets past it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an installation allows beyond the public internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressPolicy {
    /// `127.0.0.0/8` and `::1`: allowed where the gateway runs from a folder, a pod has no business there.
    pub allow_loopback: bool,
    /// RFC 1918 and RFC 4193 ranges: in-cluster services are first class, so only an installation denies them.
    pub allow_private: bool,
}

/// Why an address may not be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedAddress {
    /// Cloud metadata services and their neighbours hand out credentials to whoever asks.
    #[error("resolves to a link-local or cloud metadata address, which is never allowed")]
    LinkLocal,
    /// See [`AddressPolicy::allow_loopback`].
    #[error("resolves to a loopback address, which this installation does not allow")]
    Loopback,
    /// See [`AddressPolicy::allow_private`].
    #[error("resolves to a private address, which this installation does not allow")]
    Private,
    /// Multicast, broadcast and unspecified addresses are no service.
    #[error("resolves to an address that cannot be a service")]
    NotUnicast,
}

/// Metadata services outside the link-local ranges: Alibaba Cloud, Oracle Cloud (classic), AWS over IPv6.
const METADATA_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192)];
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254);

impl AddressPolicy {
    /// Whether `address` may be dialled.
    pub fn check(self, address: IpAddr) -> Result<(), RefusedAddress> {
        match address {
            IpAddr::V4(v4) => self.check_v4(v4),
            IpAddr::V6(v6) => match embedded_v4(v6) {
                Some(v4) => self.check_v4(v4),
                None => self.check_v6(v6),
            },
        }
    }

    fn check_v4(self, address: Ipv4Addr) -> Result<(), RefusedAddress> {
        if address.is_link_local() || METADATA_V4.contains(&address) {
            return Err(RefusedAddress::LinkLocal);
        }
        // 0.0.0.0/8 is "this host" (RFC 1122); Linux connects 0.0.0.0 to loopback.
        if address.octets()[0] == 0 || address.is_multicast() || address.is_broadcast() {
            return Err(RefusedAddress::NotUnicast);
        }
        if address.is_loopback() && !self.allow_loopback {
            return Err(RefusedAddress::Loopback);
        }
        if address.is_private() && !self.allow_private {
            return Err(RefusedAddress::Private);
        }
        Ok(())
    }

    fn check_v6(self, address: Ipv6Addr) -> Result<(), RefusedAddress> {
        if address.is_unicast_link_local() || address == METADATA_V6 {
            return Err(RefusedAddress::LinkLocal);
        }
        if address.is_unspecified() || address.is_multicast() {
            return Err(RefusedAddress::NotUnicast);
        }
        if address.is_loopback() && !self.allow_loopback {
            return Err(RefusedAddress::Loopback);
        }
        if address.is_unique_local() && !self.allow_private {
            return Err(RefusedAddress::Private);
        }
        Ok(())
    }
}

/// The IPv4 address that an IPv6 one leads to: mapped (`::ffff:0:0/96`), NAT64 (RFC 6052) and 6to4 (RFC 3056).
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return Some(mapped);
    }
    let octets = address.octets();
    let v4_at = |at: usize| octets[at..].first_chunk::<4>().copied().map(Ipv4Addr::from);
    if octets.starts_with(&NAT64_PREFIX) {
        v4_at(12)
    } else if octets.starts_with(&SIX_TO_FOUR_PREFIX) {
        v4_at(2)
    } else {
        None
    }
}

/// `64:ff9b::/96`, RFC 6052.
const NAT64_PREFIX: [u8; 12] = [0x00, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0];
/// `2002::/16`, RFC 3056.
const SIX_TO_FOUR_PREFIX: [u8; 2] = [0x20, 0x02];

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDER: AddressPolicy = AddressPolicy {
        allow_loopback: true,
        allow_private: true,
    };
    const STRICT: AddressPolicy = AddressPolicy {
        allow_loopback: false,
        allow_private: false,
    };

    fn check(policy: AddressPolicy, text: &str) -> Result<(), RefusedAddress> {
        policy.check(text.parse().expect("an address"))
    }

    #[test]
    fn metadata_addresses_are_refused_in_every_spelling() {
        for text in [
            "169.254.169.254",
            "100.100.100.200",
            "192.0.0.192",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "fe80::1",
            "fd00:ec2::254",
        ] {
            assert_eq!(check(FOLDER, text), Err(RefusedAddress::LinkLocal), "{text}");
        }
    }

    #[test]
    fn addresses_that_are_no_service_are_refused() {
        for text in ["0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255", "::", "ff02::1"] {
            assert_eq!(check(FOLDER, text), Err(RefusedAddress::NotUnicast), "{text}");
        }
    }

    #[test]
    fn loopback_and_private_ranges_follow_the_installation() {
        for text in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(check(FOLDER, text), Ok(()), "{text}");
            assert_eq!(check(STRICT, text), Err(RefusedAddress::Loopback), "{text}");
        }
        for text in ["10.0.0.1", "172.16.0.1", "192.168.1.1", "fd12::1"] {
            assert_eq!(check(FOLDER, text), Ok(()), "{text}");
            assert_eq!(check(STRICT, text), Err(RefusedAddress::Private), "{text}");
        }
    }

    #[test]
    fn public_addresses_pass() {
        for text in ["1.1.1.1", "2606:4700::1111", "172.32.0.1"] {
            assert_eq!(check(STRICT, text), Ok(()), "{text}");
        }
    }
}
