//! Which addresses may be connected to: those of the public internet, and networks that an operator names.
//!
//! IPv4 is everything but the registered special ranges. IPv6 is turned round: nothing but global unicast (`2000::/3`), so that
//! whatever stands for an IPv4 address or a private network is outside already, and from that the special ranges are taken.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network: an address and how many of its first bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    bits: u8,
}

impl Network {
    const fn v4(a: u8, b: u8, c: u8, bits: u8) -> Self {
        let base = IpAddr::V4(Ipv4Addr::new(a, b, c, 0));
        Self { base, bits }
    }

    const fn v6(a: u16, b: u16, bits: u8) -> Self {
        let base = IpAddr::V6(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0));
        Self { base, bits }
    }

    /// Whether the address is in it. An address of the other family never is, also where it stands for one of this.
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let differs = base.to_bits() ^ address.to_bits();
                differs.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let differs = base.to_bits() ^ address.to_bits();
                differs.leading_zeros() >= u32::from(self.bits)
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no network like \"10.1.0.0/16\" or \"fd00::/8\"");
        let (base, bits) = match text.split_once('/') {
            Some((base, bits)) => (base, Some(bits)),
            None => (text, None),
        };
        let base: IpAddr = base.parse().map_err(|_| wrong())?;
        let most = match base {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| wrong()))?;
        if bits > most {
            return Err(wrong());
        }
        Ok(Self { base, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.bits)
    }
}

/// The registered special ranges of IPv4.
const SPECIAL_V4: [Network; 15] = [
    // This network, and private ones.
    Network::v4(0, 0, 0, 8),
    Network::v4(10, 0, 0, 8),
    Network::v4(100, 64, 0, 10),
    Network::v4(127, 0, 0, 8),
    Network::v4(169, 254, 0, 16),
    Network::v4(172, 16, 0, 12),
    Network::v4(192, 168, 0, 16),
    // Protocols, documentation, benchmarks.
    Network::v4(192, 0, 0, 24),
    Network::v4(192, 0, 2, 24),
    Network::v4(192, 88, 99, 24),
    Network::v4(198, 18, 0, 15),
    Network::v4(198, 51, 100, 24),
    Network::v4(203, 0, 113, 24),
    // Multicast, reserved, broadcast.
    Network::v4(224, 0, 0, 4),
    Network::v4(240, 0, 0, 4),
];

const GLOBAL_V6: Network = Network::v6(0x2000, 0, 3);

/// What of it is no host on the internet.
const SPECIAL_V6: [Network; 4] = [
    // Protocols: Teredo, benchmarks, identifiers that look like addresses.
    Network::v6(0x2001, 0, 23),
    Network::v6(0x2001, 0xdb8, 32),
    // 6to4 stands for IPv4 addresses.
    Network::v6(0x2002, 0, 16),
    Network::v6(0x3fff, 0, 20),
];

/// Whether it is the address of a host on the public internet.
pub fn is_public(address: IpAddr) -> bool {
    let is_in = |network: &Network| network.contains(address);
    match address {
        IpAddr::V4(_) => !SPECIAL_V4.iter().any(is_in),
        IpAddr::V6(_) => GLOBAL_V6.contains(address) && !SPECIAL_V6.iter().any(is_in),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_hosts_of_the_internet_are_public() {
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "191.255.255.255",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "2a00:1450::1",
            "2003::1",
            "3ffe::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for special in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.0.1",
            "169.254.169.254",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.0.170",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "192.168.255.255",
            "198.18.0.0",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            // Unspecified, loopback, IPv4-compatible and -mapped, also of public hosts.
            "::",
            "::1",
            "::127.0.0.1",
            "::8.8.8.8",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::ffff:0:127.0.0.1",
            // NAT64 with the well-known and the local-use prefix.
            "64:ff9b::127.0.0.1",
            "64:ff9b::8.8.8.8",
            "64:ff9b:1::10.0.0.1",
            "64:ff9b:1:ffff::1",
            // Discard-only, Teredo, benchmarks, ORCHID, documentation, 6to4, segment routing.
            "100::1",
            "2001::1",
            "2001:0:7f00:1::",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:1ff::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:808:808::1",
            "3fff::1",
            "3fff:fff::1",
            "5f00::1",
            // Private, link-local, site-local, multicast.
            "fc00::1",
            "fd12:3456::1",
            "fdff::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "ffff::1",
        ] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
    }

    #[test]
    fn networks_are_read_and_told() {
        let network = |text: &str| text.parse::<Network>();
        let loopback = network("127.0.0.0/8").unwrap();
        assert!(loopback.contains("127.9.9.9".parse().unwrap()));
        assert!(!loopback.contains("128.0.0.1".parse().unwrap()));
        assert!(!loopback.contains("::ffff:127.0.0.1".parse().unwrap()));
        assert_eq!(loopback.to_string(), "127.0.0.0/8");
        assert!(
            network("0.0.0.0/0")
                .unwrap()
                .contains("9.9.9.9".parse().unwrap())
        );
        assert!(network("::1").unwrap().contains("::1".parse().unwrap()));
        assert!(!network("::1").unwrap().contains("::2".parse().unwrap()));
        for wrong in [
            "",
            "x",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "localhost",
        ] {
            assert!(network(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn whatever_holds_an_ipv4_address_is_not_public(bits: u32, rest: u64) {
            let low = u128::from(bits);
            for prefix in [0u128, 0xffff_0000_0000, 0x64_ff9b << 96, (0x64_ff9b_0001 << 80) | (u128::from(rest & 0xffff) << 32)] {
                prop_assert!(!is_public(IpAddr::V6(Ipv6Addr::from_bits(prefix | low))));
            }
            let six_to_four = (0x2002u128 << 112) | (low << 80) | u128::from(rest);
            let teredo = (0x2001_0000u128 << 96) | (low << 64) | u128::from(rest);
            prop_assert!(!is_public(IpAddr::V6(Ipv6Addr::from_bits(six_to_four))));
            prop_assert!(!is_public(IpAddr::V6(Ipv6Addr::from_bits(teredo))));
        }

        #[test]
        fn what_the_standard_library_calls_special_is_not_public(bits: u32, wide: u128) {
            let ip = Ipv4Addr::from_bits(bits);
            let is_special = ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_multicast() || ip.is_broadcast()
                || ip.is_documentation() || ip.is_unspecified();
            prop_assert!(!(is_special && is_public(ip.into())));
            let ip = Ipv6Addr::from_bits(wide);
            let is_special = ip.is_loopback() || ip.is_multicast() || ip.is_unspecified() || ip.is_unique_local()
                || ip.is_unicast_link_local() || ip.to_ipv4().is_some();
            prop_assert!(!(is_special && is_public(ip.into())));
        }

        #[test]
        fn a_network_has_the_addresses_that_begin_like_it(base: u32, other: u32, bits in 0u8..=32) {
            let network: Network = format!("{}/{bits}", Ipv4Addr::from_bits(base)).parse().unwrap();
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            let is_in = base & mask == other & mask;
            prop_assert_eq!(network.contains(Ipv4Addr::from_bits(other).into()), is_in);
        }
    }
}
