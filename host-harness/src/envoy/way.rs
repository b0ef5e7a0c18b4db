//! The way of a request to its bucket, by how either names it.
//!
//! Owns what becomes of host and path on that way, and how a request that was a miss has its bucket
//! again.

use std::time::Duration;

use super::clusters::{read, signed};
use super::rules::header;
use super::virtual_host::off;
use super::yaml::{List, Map};
use super::{DataPath, misses, pattern};
use crate::deployment::{Addressing, Bucket, Reads};
/// The headers by which a client signs.
pub(super) const SIGNATURE: [&str; 4] =
    ["authorization", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"];

/// Where a request has its bucket's name.
#[derive(Clone, Copy)]
pub(super) enum Named<'a> {
    /// In its host, which is this one.
    Host(&'a str),
    Path,
}

/// A path on its way to the bucket.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Rewritten {
    /// It stays as it came.
    Not,
    /// It begins with the bucket, whatever it was.
    BucketInPath,
    /// It has no bucket any more.
    BucketGone,
}

/// A bucket, by one of the ways to name it.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) bucket: &'a Bucket,
    pub(super) named: Named<'a>,
    pub(super) path: DataPath,
    /// How long an origin may take, where its rule does not say so.
    pub(super) patience: Duration,
}

impl Way<'_> {
    /// What stands before the key in a path.
    pub(super) fn above(self) -> String {
        match self.named {
            Named::Host(_) => "/".to_owned(),
            Named::Path => format!("/{}/", self.bucket.name.value),
        }
    }

    /// What becomes of a read's path on its way to the bucket.
    pub(super) fn rewritten(self) -> Rewritten {
        match (self.bucket.reads.value, self.bucket.addressing) {
            (Reads::Passthrough, Addressing::Path | Addressing::Virtual) => Rewritten::Not,
            (Reads::Signed, Addressing::Path) => Rewritten::BucketInPath,
            (Reads::Signed, Addressing::Virtual) => Rewritten::BucketGone,
        }
    }

    /// The host of a miss.
    pub(super) fn misses_host(self) -> String {
        match (self.rewritten(), self.named) {
            (Rewritten::Not, Named::Host(host)) => format!("{host}:0"),
            (Rewritten::Not, Named::Path)
            | (Rewritten::BucketInPath, Named::Host(_) | Named::Path) => misses::HOST.to_owned(),
            (Rewritten::BucketGone, Named::Host(_) | Named::Path) => {
                format!("{}.{}", self.bucket.name.value, misses::HOST)
            }
        }
    }

    /// The requests for the bucket, of which some more is known.
    pub(super) fn matching<const N: usize>(self, headers: [Map; N]) -> Map {
        let matching = match self.named {
            Named::Host(_) => Map::new().with("prefix", "/"),
            // The bucket itself and what is below it, but no bucket whose name only begins like it.
            Named::Path => {
                let name = &self.bucket.name.value;
                Map::new().with("path_separated_prefix", format!("/{name}"))
            }
        };
        if N == 0 {
            return matching;
        }
        let headers: List = headers.into_iter().map(Map::flow).collect();
        matching.with("headers", headers)
    }

    /// A read that no rule is about, as this bucket has them.
    pub(super) fn read(self, matching: Map) -> Map {
        match self.bucket.reads.value {
            Reads::Passthrough => self.unsigned(matching),
            Reads::Signed => self.final_answer(self.signed(matching, self.signed_cluster())),
        }
    }

    /// A read that may turn out to be a miss.
    pub(super) fn mirrored(self, matching: Map) -> Map {
        let route = match self.bucket.reads.value {
            Reads::Passthrough => self.to_bucket(matching),
            Reads::Signed => self.signed(matching, self.signed_cluster()),
        };
        match (self.named, self.rewritten()) {
            // Other buckets' misses go elsewhere.
            (Named::Path, Rewritten::BucketGone) => {
                let anew = misses::anew(&self.misses_host());
                route.with("typed_per_filter_config", Map::new().with(misses::NAME, anew))
            }
            (Named::Path, Rewritten::Not | Rewritten::BucketInPath)
            | (Named::Host(_), Rewritten::Not | Rewritten::BucketInPath | Rewritten::BucketGone) => {
                route
            }
        }
    }

    /// A read, by a way of its own.
    pub(super) fn read_by(self, matching: Map, way: Map) -> Map {
        self.final_answer(match self.bucket.reads.value {
            Reads::Passthrough => Map::new().with("match", matching).with("route", way),
            Reads::Signed => self.signed(matching, way),
        })
    }

    /// Whatever the bucket answers, the request is no miss.
    pub(super) fn final_answer(self, route: Map) -> Map {
        match self.path {
            DataPath::Callout => route,
            DataPath::Streaming => {
                route.with("typed_per_filter_config", Map::new().with(misses::NAME, off()).flow())
            }
        }
    }

    /// A read of what was a miss; the host that the client asked is lost by then.
    pub(super) fn read_again(self, matching: Map) -> Map {
        match (self.bucket.reads.value, self.named) {
            (Reads::Signed, Named::Host(_) | Named::Path) => {
                self.signed(matching, self.signed_cluster())
            }
            (Reads::Passthrough, named) => {
                let host = match named {
                    Named::Host(host) => host.to_owned(),
                    Named::Path => self.bucket.endpoint.authority(),
                };
                let way = Map::new().with("cluster", read(&self.bucket.name.value.0)).join(way());
                let way = way.with("host_rewrite_literal", host);
                Map::new().with("match", matching).with("route", way.flow())
            }
        }
    }

    /// What reaches the bucket as it came.
    pub(super) fn unsigned(self, matching: Map) -> Map {
        self.final_answer(self.to_bucket(matching))
    }

    pub(super) fn to_bucket(self, matching: Map) -> Map {
        let way = Map::new().with("cluster", read(&self.bucket.name.value.0)).join(way());
        Map::new().with("match", matching.compact()).with("route", way.flow())
    }

    pub(super) fn signed_cluster(self) -> Map {
        Map::new().with("cluster", signed(&self.bucket.name.value.0)).join(way())
    }

    /// What is signed for the client, addressed as the store has it.
    pub(super) fn signed(self, matching: Map, way: Map) -> Map {
        let gone: List = SIGNATURE.into_iter().collect();
        Map::new()
            .with("match", matching.compact())
            .with("route", way.join(self.address()))
            .with("request_headers_to_remove", gone)
    }

    /// Host and path by which a signed request names its bucket to the store.
    pub(super) fn address(self) -> Map {
        let (name, authority) = (&self.bucket.name.value, self.bucket.endpoint.authority());
        let (host, pattern, substitution) = match (self.bucket.addressing, self.named) {
            (Addressing::Path, Named::Path) => (authority, None, String::new()),
            (Addressing::Path, Named::Host(_)) => {
                (authority, Some("^/".to_owned()), format!("/{name}/"))
            }
            (Addressing::Virtual, Named::Path) => {
                let pattern = format!("^/{}(?:/|$)", name.0.replace('.', "\\."));
                (format!("{name}.{authority}"), Some(pattern), "/".to_owned())
            }
            (Addressing::Virtual, Named::Host(_)) => {
                (format!("{name}.{authority}"), None, String::new())
            }
        };
        let rewrite = pattern.map(|pattern| rewriting(&pattern, &substitution));
        Map::new().with("host_rewrite_literal", host).maybe("regex_rewrite", rewrite)
    }
}

/// A path changed on its way.
pub(super) fn rewriting(pattern: &str, substitution: &str) -> Map {
    Map::new()
        .with("pattern", Map::new().with("regex", pattern).flow())
        .with("substitution", substitution)
}

/// No bound on the length of a download; the idle timeout bounds one that stalls.
pub(super) fn way() -> Map {
    Map::new().with("timeout", "0s")
}

/// A query. Most requests have none, and are spared a pattern.
pub(super) fn query() -> Map {
    Map::new().with("name", ":path").with("string_match", Map::new().with("contains", "?"))
}

/// Nothing but this method.
pub(super) fn method(name: &str) -> Map {
    Map::new().with("name", ":method").with("string_match", Map::new().with("exact", name))
}

pub(super) fn presigned() -> Map {
    header(":path", &pattern::presigned())
}

pub(super) fn not(condition: Map) -> Map {
    condition.with("invert_match", true)
}
