//! Which cluster a request goes to, and where it names its bucket.
//!
//! Owns the comparison of hosts and paths. Nothing is decoded or tidied: a path goes to the store
//! as it came.

use super::settings::{Addressing, BucketRoute, Endpoint, Routes};

/// Where a client request goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Route<'r> {
    /// To a bucket; `rest` is the path and query behind the bucket's name.
    Bucket { name: &'r str, route: &'r BucketRoute, rest: &'r str },
    /// To the default cluster.
    Default(&'r str),
    /// Nowhere.
    None,
}

/// The host of an authority, without its port.
fn host(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        Some(_) | None => authority,
    }
}

/// The part of a host before `.domain`.
fn subdomain<'h>(host: &'h str, domain: &str) -> Option<&'h str> {
    let (bucket, dot) = host.split_at_checked(host.len().checked_sub(domain.len() + 1)?)?;
    let is_below = dot.strip_prefix('.').is_some_and(|tail| tail.eq_ignore_ascii_case(domain));
    (is_below && !bucket.is_empty()).then_some(bucket)
}

impl Routes {
    pub(super) fn find<'r>(&'r self, authority: &str, target: &'r str) -> Route<'r> {
        let below = self.domain.as_deref().and_then(|domain| subdomain(host(authority), domain));
        if let Some(bucket) = below {
            // Names of hosts have no case, names of buckets are in lower case.
            let bucket = self.buckets.get_key_value(&bucket.to_ascii_lowercase());
            if let Some((name, route)) = bucket {
                return Route::Bucket { name, route, rest: target };
            }
        }
        let path = target.strip_prefix('/').unwrap_or(target);
        let length = path.find(['/', '?']).unwrap_or(path.len());
        let (bucket, rest) = path.split_at(length);
        match (self.buckets.get_key_value(bucket), &self.default) {
            (Some((name, route)), _) => Route::Bucket { name, route, rest },
            (None, Some(cluster)) => Route::Default(cluster),
            (None, None) => Route::None,
        }
    }
}

/// Host and target under which a signed request names a bucket and what is in it.
pub(super) fn address(
    addressing: Addressing,
    endpoint: &Endpoint,
    bucket: &str,
    rest: &str,
) -> (String, String) {
    match addressing {
        Addressing::Path => (endpoint.authority(), format!("/{bucket}{rest}")),
        Addressing::Virtual => {
            let slash = if rest.starts_with('/') { "" } else { "/" };
            (format!("{bucket}.{}", endpoint.authority()), format!("{slash}{rest}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::{Reads, Scheme};
    use super::*;

    fn routes(default: Option<&str>) -> Routes {
        let route =
            |cluster: &str| BucketRoute { cluster: cluster.to_owned(), reads: Reads::Passthrough };
        Routes {
            domain: Some("s3.localhost".to_owned()),
            buckets: [("one", route("c1")), ("two.three", route("c2"))]
                .map(|(name, route)| (name.to_owned(), route))
                .into(),
            default: default.map(str::to_owned),
        }
    }

    #[test]
    fn a_request_names_its_bucket_in_path_or_host() {
        let cases = [
            ("h", "/one/a%2Fb//c/../d?x=1", "one", "/a%2Fb//c/../d?x=1"),
            ("h:80", "/one", "one", ""),
            ("h", "/one?list-type=2", "one", "?list-type=2"),
            ("one.s3.localhost", "/k", "one", "/k"),
            ("ONE.S3.localhost:8080", "//k", "one", "//k"),
            ("two.three.s3.localhost", "/one/k", "two.three", "/one/k"),
            ("s3.localhost", "/one/k", "one", "/k"),
        ];
        let routes = routes(None);
        for (authority, target, bucket, tail) in cases {
            let Route::Bucket { name, rest, .. } = routes.find(authority, target) else {
                panic!("{authority} {target} names no bucket");
            };
            assert_eq!((name, rest), (bucket, tail), "{authority} {target}");
        }
    }

    #[test]
    fn what_names_no_bucket_goes_to_the_default() {
        for target in ["/", "/onetwo/k", "/%6Fne/k", "*"] {
            assert_eq!(routes(Some("c")).find("h", target), Route::Default("c"), "{target}");
            assert_eq!(routes(None).find("h", target), Route::None, "{target}");
        }
        assert_eq!(routes(None).find("four.s3.localhost", "/k"), Route::None);
    }

    #[test]
    fn signed_requests_are_addressed_as_told() {
        let endpoint = Endpoint { scheme: Scheme::Https, host: "s3.test".to_owned(), port: 443 };
        let path = |rest| address(Addressing::Path, &endpoint, "b", rest);
        assert_eq!(path("//k?x"), ("s3.test".to_owned(), "/b//k?x".to_owned()));
        let host = |rest| address(Addressing::Virtual, &endpoint, "b", rest);
        assert_eq!(host("//k?x"), ("b.s3.test".to_owned(), "//k?x".to_owned()));
        assert_eq!(host("?x"), ("b.s3.test".to_owned(), "/?x".to_owned()));
    }
}
