//! Which bucket a request names: one rule, for the filter, for `b2o serve`, and for the routes that
//! Envoy is given.
//!
//! | Host, without its port and one dot at its end | names |
//! |---|---|
//! | `<bucket>.<domain>`, in any case | that bucket; the whole path is the key |
//! | anything else that ends in `.<domain>` | nobody's bucket, whatever the path says |
//! | everything else, the domain itself too | by its path: the first segment, as it stands |
//!
//! A store reads a host below its domain as a bucket's name. Were one that names no bucket read as a
//! path here, the store would speak of one bucket, and the gateway would mirror another.

/// What a request names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Named<'t, B> {
    /// The bucket.
    pub bucket: B,
    /// Whether the bucket stands in the path rather than in the host.
    pub in_path: bool,
    /// What is left of the path and the query.
    pub rest: &'t [u8],
}

/// The bucket that a request for a target names, if `find` knows it by its name.
pub fn named<'t, B>(
    authority: &str,
    target: &'t [u8],
    domain: Option<&str>,
    find: impl Fn(&str) -> Option<B>,
) -> Option<Named<'t, B>> {
    if let Some(name) = domain.and_then(|domain| below(authority, domain)) {
        // Names of hosts have no case, names of buckets are in lower case.
        let bucket = find(&name.to_ascii_lowercase())?;
        return Some(Named { bucket, in_path: false, rest: target });
    }
    let path = target.strip_prefix(b"/")?;
    let length = path.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(path.len());
    let (name, rest) = path.split_at_checked(length)?;
    let bucket = find(std::str::from_utf8(name).ok()?)?;
    Some(Named { bucket, in_path: true, rest })
}

/// Whether a host is one of a list, in any case, with or without its port. One that begins with `*.`
/// is all below what follows.
#[must_use]
pub fn is_listed(authority: &str, hosts: &[String]) -> bool {
    hosts.iter().any(|listed| match listed.strip_prefix("*.") {
        Some(domain) => below(authority, domain).is_some_and(|name| !name.is_empty()),
        None => host_of(authority).eq_ignore_ascii_case(listed),
    })
}

/// A host without its port and one dot at its end.
fn host_of(authority: &str) -> &str {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        Some(_) | None => authority,
    };
    host.strip_suffix('.').unwrap_or(host)
}

/// What stands before `.domain` in a host.
fn below<'a>(authority: &'a str, domain: &str) -> Option<&'a str> {
    let host = host_of(authority);
    let (name, tail) = host.split_at_checked(host.len().checked_sub(domain.len())?)?;
    name.strip_suffix('.').filter(|_| tail.eq_ignore_ascii_case(domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_named_by_host_or_path_and_by_nothing_else() {
        let of = |host, target: &'static str, domain| {
            let find = |name: &str| ["b", "b.c"].into_iter().find(|known| *known == name);
            let named = named(host, target.as_bytes(), domain, find)?;
            let rest = std::str::from_utf8(named.rest).unwrap();
            Some((named.bucket, named.in_path, rest))
        };
        let by_path = |bucket, rest| Some((bucket, true, rest));
        let by_host = |bucket, rest| Some((bucket, false, rest));
        for (host, target, expected) in [
            ("h", "/b/k?x=/y", by_path("b", "/k?x=/y")),
            ("h", "/b", by_path("b", "")),
            ("h", "/b?x", by_path("b", "?x")),
            ("h", "/b.c//k", by_path("b.c", "//k")),
            ("h", "/B/k", None),
            ("h", "/%62/k", None),
            ("h", "//b/k", None),
            ("h", "/", None),
            ("h", "b/k", None),
            ("h", "*", None),
            ("s3.example", "/b/k", by_path("b", "/k")),
            ("S3.example.:80", "/b/k", by_path("b", "/k")),
            ("[2001:db8::1]", "/b/k", by_path("b", "/k")),
            ("[2001:db8::1]:80", "/b/k", by_path("b", "/k")),
            ("192.0.2.1:80", "/b/k", by_path("b", "/k")),
            ("bs3.example", "/b/k", by_path("b", "/k")),
            ("", "/b/k", by_path("b", "/k")),
            ("b.s3.example", "/k", by_host("b", "/k")),
            ("b.s3.example", "/b.c/k", by_host("b", "/b.c/k")),
            ("B.S3.Example:8080", "/k", by_host("b", "/k")),
            ("b.s3.example.", "/k", by_host("b", "/k")),
            ("b.s3.example.:80", "/k", by_host("b", "/k")),
            ("b.s3.example:", "/k", by_host("b", "/k")),
            ("b.c.s3.example", "/k", by_host("b.c", "/k")),
            ("c.s3.example", "/b/k", None),
            ("c.s3.example:80", "/b/k", None),
            ("C.S3.EXAMPLE.", "/b/k", None),
            ("x.b.s3.example", "/b/k", None),
            (".s3.example", "/b/k", None),
            ("b,c.s3.example", "/b/k", None),
        ] {
            assert_eq!(of(host, target, Some("s3.example")), expected, "{host} {target}");
        }
        assert_eq!(of("c.s3.example", "/b/k", None), by_path("b", "/k"), "there is no domain");
        assert_eq!(of("b.s3.example", "/k", Some("S3.Example")), by_host("b", "/k"));
    }

    #[test]
    fn a_host_is_listed_by_its_name_or_by_what_it_is_below() {
        let hosts = ["s3.example", "*.s3.example", "192.0.2.1", "[2001:db8::1]"].map(str::to_owned);
        for (host, expected) in [
            ("s3.example", true),
            ("S3.Example.:8080", true),
            ("b.s3.example", true),
            ("a.b.s3.example:80", true),
            ("192.0.2.1:80", true),
            ("[2001:db8::1]:80", true),
            (".s3.example", false),
            ("bs3.example", false),
            ("s3.example.org", false),
            ("example", false),
            ("192.0.2.2", false),
            ("", false),
        ] {
            assert_eq!(is_listed(host, &hosts), expected, "{host}");
        }
    }
}
