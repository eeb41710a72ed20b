//! Who sent a request, where web servers stand in front.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;

/// The nearest address that is none of ours: `X-Forwarded-For` is believed as far as one of `proxies` wrote it, from
/// its end, where each adds whom it was asked by. What stands before that anybody could have made up.
pub(super) fn client(
    peer: Option<IpAddr>,
    headers: &HeaderMap,
    proxies: &[IpAddr],
) -> Option<IpAddr> {
    let mut asks = peer?.to_canonical();
    let fields = headers.get_all("x-forwarded-for").iter();
    let named: Vec<&str> = fields
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(','))
        .collect();
    for text in named.into_iter().rev() {
        if !proxies.contains(&asks) {
            break;
        }
        match address(text.trim()) {
            Some(address) => asks = address,
            None => break,
        }
    }
    Some(asks)
}

/// With a port or without.
fn address(text: &str) -> Option<IpAddr> {
    let plain = text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|s| s.ip());
    plain.or_else(with_port).map(|ip| ip.to_canonical())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_a_proxy_of_ours_says_is_believed_and_no_more() {
        let proxies: Vec<IpAddr> = ["127.0.0.1", "10.0.0.2"]
            .map(|ip| ip.parse().unwrap())
            .into();
        for (peer, said, expected) in [
            ("127.0.0.1", &["192.0.2.7"][..], "192.0.2.7"),
            ("::ffff:127.0.0.1", &["192.0.2.7:4711"], "192.0.2.7"),
            ("127.0.0.1", &["[2001:db8::7]:4711"], "2001:db8::7"),
            // Two of ours, in one field and in two.
            ("127.0.0.1", &["192.0.2.7, 10.0.0.2"], "192.0.2.7"),
            ("127.0.0.1", &["192.0.2.7", "10.0.0.2"], "192.0.2.7"),
            // Made up by who asks, from there or past the proxy.
            ("127.0.0.1", &["198.51.100.1, 192.0.2.7"], "192.0.2.7"),
            ("192.0.2.7", &["198.51.100.1"], "192.0.2.7"),
            ("127.0.0.1", &["198.51.100.1, unknown"], "127.0.0.1"),
            ("127.0.0.1", &[], "127.0.0.1"),
        ] {
            let mut headers = HeaderMap::new();
            for field in said {
                headers.append("x-forwarded-for", field.parse().unwrap());
            }
            let asks = client(peer.parse().ok(), &headers, &proxies);
            assert_eq!(asks, expected.parse().ok(), "{peer} {said:?}");
        }
        assert_eq!(client(None, &HeaderMap::new(), &proxies), None);
    }
}
