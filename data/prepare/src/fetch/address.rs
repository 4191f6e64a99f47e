//! Which addresses pictures may come from.
//!
//! The check is made on the addresses that a connection may go to, after names are resolved: a name
//! may be resolved to anything, and to something else a moment later.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// A host that pictures may not come from.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    host: String,
    address: IpAddr,
    kind: &'static str,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, address, kind } = self;
        let same = *host == address.to_string();
        let at = if same { String::new() } else { format!(" is at {address}, which") };
        write!(
            f,
            "`{host}`{at} is {kind}; pictures come from there only if catalogue.fetch.allow_private \
             is true"
        )
    }
}

impl std::error::Error for Refused {}

/// What kind of address it is, if it is not one of the public internet.
pub(super) fn private(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => private_v4(address),
        IpAddr::V6(address) => private_v6(address),
    }
}

fn private_v4(address: Ipv4Addr) -> Option<&'static str> {
    match address.octets() {
        [127, ..] => Some("a loopback address"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Some("a private address"),
        // Clouds hand out credentials at 169.254.169.254.
        [169, 254, ..] => Some("a link-local address"),
        [100, 64..=127, ..] => Some("a private address"), // shared by a provider's customers
        [0, ..] | [192, 0, 0, _] | [240..=255, ..] => Some("a reserved address"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Some("a reserved address"),
        [198, 18..=19, ..] => Some("a reserved address"),
        [224..=239, ..] => Some("a multicast address"),
        _ => None,
    }
}

fn private_v6(address: Ipv6Addr) -> Option<&'static str> {
    // Forms that stand for an IPv4 address.
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([p, q], [r, s]) = (high.to_be_bytes(), low.to_be_bytes());
        private_v4(Ipv4Addr::new(p, q, r, s))
    };
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0) if (g, h) == (0, 1) => Some("a loopback address"),
        (0, 0, 0, 0, 0, 0 | 0xffff) => v4(g, h), // compatible, mapped
        (0x64, 0xff9b, 0, 0, 0, 0) => v4(g, h),  // NAT64
        (0x64, 0xff9b, 1, ..) => Some("a private address"), // NAT64 within a network
        (0x2002, ..) => v4(b, c),                // 6to4
        (0x2001, 0, ..) | (0x2001, 0xdb8, ..) => Some("a reserved address"), // Teredo, examples
        (0xfe80..=0xfebf, ..) => Some("a link-local address"),
        (0xfc00..=0xfdff, ..) | (0xfec0..=0xfeff, ..) => Some("a private address"),
        (0xff00..=0xffff, ..) => Some("a multicast address"),
        _ => None,
    }
}

/// Checks a URL whose host is an address; names are checked when they are resolved. The URL parser
/// has turned octal, hexadecimal and short spellings into the address that they mean.
pub(super) fn check(url: &Url) -> Result<(), Refused> {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        _ => return Ok(()),
    };
    match private(address) {
        Some(kind) => Err(Refused { host: address.to_string(), address, kind }),
        None => Ok(()),
    }
}

/// Resolves names to public addresses alone.
pub(super) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            Ok(Box::new(public(&host, found)?.into_iter()) as Addrs)
        })
    }
}

/// Those addresses that are public. If there are only others, one of them is named.
fn public(host: &str, found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Refused> {
    let mut refused = None;
    let mut addresses = Vec::new();
    for socket in found {
        match private(socket.ip()) {
            None => addresses.push(socket),
            Some(kind) => {
                refused.get_or_insert(Refused { host: host.into(), address: socket.ip(), kind });
            }
        }
    }
    match refused {
        Some(refused) if addresses.is_empty() => Err(refused),
        _ => Ok(addresses),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_spell_an_address_within_is_refused() {
        let within = [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "0",
            "10.1.2.3",
            "172.31.255.1",
            "192.168.0.1",
            "169.254.169.254",
            "0xa9fea9fe",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:a9fe:a9fe]",
            "[::127.0.0.1]",
            "[64:ff9b::10.0.0.1]",
            "[2002:7f00:1::]",
            "[fd00::1]",
            "[fe80::1]",
            "[fec0::1]",
            "[ff02::1]",
            "[2001:db8::1]",
            "１２７.0.0.1",
        ];
        for host in within {
            let url = Url::parse(&format!("http://{host}/a.jpg")).unwrap();
            assert!(check(&url).is_err(), "{host}");
        }
        let outside = [
            "1.1.1.1",
            "172.32.0.1",
            "172.15.0.1",
            "100.128.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "[2606:4700::1111]",
            "[::ffff:1.1.1.1]",
            "[64:ff9b::1.1.1.1]",
            "[2002:101:101::]",
            "host.example",
        ];
        for host in outside {
            let url = Url::parse(&format!("http://{host}/a.jpg")).unwrap();
            assert!(check(&url).is_ok(), "{host}");
        }
    }

    #[test]
    fn of_a_names_addresses_the_public_ones_are_kept() {
        let sockets = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect()
        };
        let mixed = sockets(&["10.0.0.1", "1.1.1.1", "::1"]);
        assert_eq!(public("host", mixed.into_iter()).unwrap(), sockets(&["1.1.1.1"]));
        let within = sockets(&["169.254.169.254", "10.0.0.1"]);
        assert_eq!(
            public("metadata.internal", within.into_iter()).unwrap_err().to_string(),
            "`metadata.internal` is at 169.254.169.254, which is a link-local address; pictures \
             come from there only if catalogue.fetch.allow_private is true"
        );
    }
}
