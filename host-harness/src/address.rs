//! Which addresses are on the inside of a network.
//!
//! Owns the list. Rules are checked by it, `b2o serve` connects by it, and Envoy is given it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network: its first address, how many bits all of it have in common, and what it is.
pub(crate) type Net<A> = (A, u32, &'static str);

const HERE: &str = "this machine";
const INNER: &str = "an address of an inner network";
const LINK: &str = "a link-local address";
const MANY: &str = "a multicast address";
const NOBODY: &str = "an address that nobody has";

/// The inside, of IPv4 (the registry of special addresses, RFC 6890).
pub(crate) const V4: [Net<Ipv4Addr>; 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, HERE),
    (Ipv4Addr::new(10, 0, 0, 0), 8, INNER),
    (Ipv4Addr::new(100, 64, 0, 0), 10, INNER),
    (Ipv4Addr::new(127, 0, 0, 0), 8, HERE),
    (Ipv4Addr::new(169, 254, 0, 0), 16, LINK),
    (Ipv4Addr::new(172, 16, 0, 0), 12, INNER),
    (Ipv4Addr::new(192, 0, 0, 0), 24, INNER),
    (Ipv4Addr::new(192, 0, 2, 0), 24, NOBODY),
    (Ipv4Addr::new(192, 88, 99, 0), 24, NOBODY),
    (Ipv4Addr::new(192, 168, 0, 0), 16, INNER),
    (Ipv4Addr::new(198, 18, 0, 0), 15, INNER),
    (Ipv4Addr::new(198, 51, 100, 0), 24, NOBODY),
    (Ipv4Addr::new(203, 0, 113, 0), 24, NOBODY),
    (Ipv4Addr::new(224, 0, 0, 0), 4, MANY),
    (Ipv4Addr::new(240, 0, 0, 0), 4, NOBODY),
    (Ipv4Addr::new(168, 63, 129, 16), 32, "an address of a cloud's own services"),
];

/// The inside, of IPv6.
pub(crate) const V6: [Net<Ipv6Addr>; 13] = [
    // Loopback, the unspecified address, and IPv4 in a form that is no more.
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 0), 96, HERE),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, INNER),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64, NOBODY),
    // Teredo: IPv4 behind somebody's relay.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, INNER),
    (Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 0), 48, INNER),
    (Ipv6Addr::new(0x2001, 0x10, 0, 0, 0, 0, 0, 0), 28, NOBODY),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, NOBODY),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, NOBODY),
    (Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0), 16, NOBODY),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, INNER),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, LINK),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, INNER),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, MANY),
];

/// What an address on the inside of a network is; `None` outside.
pub(crate) fn inside(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => inside_v4(address),
        IpAddr::V6(address) => inside_v6(address),
    }
}

fn inside_v4(address: Ipv4Addr) -> Option<&'static str> {
    let found = V4
        .iter()
        .find(|(net, bits, _)| (address.to_bits() ^ net.to_bits()).leading_zeros() >= *bits);
    found.map(|(.., what)| *what)
}

fn inside_v6(address: Ipv6Addr) -> Option<&'static str> {
    // Addresses that lead to one of IPv4 are what that is.
    let [_, b, c, .., g, h] = address.segments();
    let embedded = |high: u16, low: u16| {
        inside_v4(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => embedded(g, h),
        [0x2002, ..] => embedded(b, c),
        _ => {
            let found = V6.iter().find(|(net, bits, _)| {
                (address.to_bits() ^ net.to_bits()).leading_zeros() >= *bits
            });
            found.map(|(.., what)| *what)
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Addresses, and whether they are on the inside.
    pub(crate) const ADDRESSES: [(&str, bool); 52] = [
        ("0.0.0.0", true),
        ("0.255.255.255", true),
        ("1.0.0.0", false),
        ("8.8.8.8", false),
        ("9.255.255.255", false),
        ("10.0.0.1", true),
        ("11.0.0.0", false),
        ("100.63.255.255", false),
        ("100.64.0.0", true),
        ("100.127.255.255", true),
        ("100.128.0.0", false),
        ("127.0.0.1", true),
        ("127.255.255.255", true),
        ("168.63.129.16", true),
        ("168.63.129.17", false),
        ("169.254.169.254", true),
        ("172.15.255.255", false),
        ("172.16.0.0", true),
        ("172.31.255.255", true),
        ("172.32.0.0", false),
        ("192.0.0.170", true),
        ("192.0.1.1", false),
        ("192.168.255.255", true),
        ("198.19.255.255", true),
        ("198.20.0.0", false),
        ("203.0.113.9", true),
        ("224.0.0.1", true),
        ("255.255.255.255", true),
        ("::", true),
        ("::1", true),
        ("::7f00:1", true),
        ("::ffff:127.0.0.1", true),
        ("::ffff:8.8.8.8", false),
        ("64:ff9b::127.0.0.1", true),
        ("64:ff9b::a9fe:a9fe", true),
        ("64:ff9b::8.8.8.8", false),
        ("64:ff9b:1::8.8.8.8", true),
        ("2001:0:1::1", true),
        ("2001:4860:4860::8888", false),
        ("2001:db8::1", true),
        ("2002:7f00:1::1", true),
        ("2002:a00:1::", true),
        ("2002:808:808::1", false),
        ("2606:4700::1111", false),
        ("3fff::1", true),
        ("fbff::1", false),
        ("fc00::1", true),
        ("fdff:ffff::1", true),
        ("fe80::1", true),
        ("febf::1", true),
        ("fec0::1", true),
        ("ff02::1", true),
    ];

    #[test]
    fn the_inside_ends_where_its_nets_end() {
        for (text, is_inside) in ADDRESSES {
            assert_eq!(inside(text.parse().unwrap()).is_some(), is_inside, "{text}");
        }
    }
}
