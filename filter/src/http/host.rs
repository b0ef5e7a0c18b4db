//! Hosts: domain names and addresses, in the one form they are compared in.

use super::Scheme;

/// A domain name or an address: lower case, in ASCII. `None` where it is neither.
#[must_use]
pub fn host(text: &str) -> Option<String> {
    if !text.is_ascii() {
        return in_ascii(text);
    }
    let host = text.to_ascii_lowercase();
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']')?;
        let known = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
        let is_address = address.bytes().all(known) && address.matches(':').nth(1).is_some();
        return is_address.then_some(host);
    }
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let labels = host.strip_suffix('.').unwrap_or(&host);
    let are_labels = labels.split('.').all(|label| !label.is_empty() && label.bytes().all(known));
    // Such a name would be an address somewhere, in one of the ways to write them.
    let last = labels.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    let is_address = || {
        let parts = labels.split('.');
        let is_part =
            |part: &str| part == "0" || !part.starts_with('0') && part.parse::<u8>().is_ok();
        parts.clone().count() == 4 && parts.clone().all(is_part)
    };
    (are_labels && (!is_number || is_address())).then_some(host)
}

/// A host and perhaps a port.
#[must_use]
pub fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let port = text.rsplit_once(':').filter(|(_, port)| !port.contains(']'));
    match port {
        Some((name, "")) => Some((host(name)?, None)),
        Some((name, port)) => Some((host(name)?, Some(port.parse().ok()?))),
        None => Some((host(text)?, None)),
    }
}

/// Host and port as a Host header has them: without the port that goes with the scheme.
#[must_use]
pub fn authority(scheme: Scheme, text: &str) -> Option<String> {
    let (host, port) = host_and_port(text)?;
    Some(match port.filter(|port| *port != scheme.default_port()) {
        Some(port) => format!("{host}:{port}"),
        None => host,
    })
}

/// A name in other letters. The module has no tables for it; what `b2o` gives it is in ASCII.
#[cfg(target_arch = "wasm32")]
fn in_ascii(_: &str) -> Option<String> {
    None
}

/// A name in other letters.
#[cfg(not(target_arch = "wasm32"))]
fn in_ascii(text: &str) -> Option<String> {
    url::Host::parse(text).ok().map(|host| host.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_one_form() {
        let cases = [
            ("H.Example.com", Some("h.example.com")),
            ("a_b-c", Some("a_b-c")),
            ("h.", Some("h.")),
            ("münchen.example", Some("xn--mnchen-3ya.example")),
            ("127.0.0.1", Some("127.0.0.1")),
            ("[::1]", Some("[::1]")),
            ("[2001:DB8::ffff:1.2.3.4]", Some("[2001:db8::ffff:1.2.3.4]")),
            ("1.example", Some("1.example")),
            ("127.1", None),
            ("0177.0.0.1", None),
            ("0x7f.1", None),
            ("2130706433", None),
            ("256.0.0.1", None),
            ("", None),
            (".", None),
            ("a..b", None),
            ("a b", None),
            ("u@h", None),
            ("h%2f", None),
            ("[1]", None),
            ("[::1", None),
            ("h/", None),
        ];
        for (text, expected) in cases {
            assert_eq!(host(text).as_deref(), expected, "{text}");
        }
        for (text, expected) in [
            ("h:80", Some("h")),
            ("h:443", Some("h:443")),
            ("h:", Some("h")),
            ("[::1]:9", Some("[::1]:9")),
            ("h:99999", None),
            ("h:x", None),
            (":80", None),
        ] {
            assert_eq!(authority(Scheme::Http, text).as_deref(), expected, "{text}");
        }
    }
}
