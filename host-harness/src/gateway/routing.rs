//! Which cluster a request goes to, by the bucket that it names ([`back_to_origin::naming`]).
//!
//! Nothing is decoded or tidied: a path goes to the store as it came.

use back_to_origin::naming::{Named, named};

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

impl Routes {
    pub(super) fn find<'r>(&'r self, authority: &str, target: &'r str) -> Route<'r> {
        let find = |name: &str| self.buckets.get_key_value(name);
        match named(authority, target.as_bytes(), self.domain.as_deref(), find) {
            Some(Named { bucket: (name, route), rest, .. }) => {
                let rest = target.split_at(target.len() - rest.len()).1;
                Route::Bucket { name, route, rest }
            }
            None => self.default.as_deref().map_or(Route::None, Route::Default),
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
        for (host, target) in [
            ("h", "/"),
            ("h", "/onetwo/k"),
            ("h", "/%6Fne/k"),
            ("h", "*"),
            ("four.s3.localhost", "/k"),
            ("four.s3.localhost", "/one/k"),
        ] {
            assert_eq!(routes(Some("c")).find(host, target), Route::Default("c"), "{target}");
            assert_eq!(routes(None).find(host, target), Route::None, "{target}");
        }
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
