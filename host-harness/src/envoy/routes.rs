//! `routes.yaml`: which request goes to which cluster.
//!
//! Owns how a request names its bucket. Nothing is decoded or tidied on the way.

use super::Settings;
use super::clusters::{read, signed};
use super::yaml::{List, Map};
use crate::deployment::{Addressing, Bucket, Loaded, Reads};

/// The name of the route configuration.
pub(super) const NAME: &str = "buckets";

/// The headers by which a client signs.
const SIGNATURE: [&str; 4] =
    ["authorization", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"];

/// Where a request has its bucket's name.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Named {
    Host,
    Path,
}

pub(super) fn file(loaded: &Loaded, settings: &Settings) -> String {
    let deployment = &loaded.deployment;
    let buckets = &deployment.buckets.value;
    let mut hosts = List::new();
    if let Some(domain) = &deployment.domain {
        for bucket in buckets {
            let host = format!("{}.{}", bucket.name.value, domain.0);
            let domains = [host.clone(), format!("{host}:*")].into_iter().collect::<List>();
            let routes = List::new();
            let routes = add_routes(routes, bucket, Named::Host);
            hosts = hosts.with(
                Map::new().with("name", host).with("domains", domains).with("routes", routes),
            );
        }
    }
    let routes =
        buckets.iter().fold(List::new(), |routes, bucket| add_routes(routes, bucket, Named::Path));
    hosts = hosts.with(
        Map::new()
            .with("name", "path")
            .with("domains", List::new().with("*"))
            .with("routes", routes),
    );
    let routes = Map::typed("envoy.config.route.v3.RouteConfiguration")
        .with("name", NAME)
        .with("virtual_hosts", hosts);
    Map::new().with("resources", List::new().with(routes)).document(&settings.heading(
        "Which request goes to which bucket: by its host where there is a domain, and by the first \
         part of its path. What names no bucket is answered 404. Envoy watches this file.",
    ))
}

fn add_routes(routes: List, bucket: &Bucket, named: Named) -> List {
    let name = &bucket.name.value.0;
    let matching = || match named {
        Named::Host => Map::new().with("prefix", "/"),
        // The bucket itself and what is below it, but no bucket whose name only begins like it.
        Named::Path => Map::new().with("path_separated_prefix", format!("/{name}")),
    };
    let forward = |cluster: String| {
        Map::new()
            .with("cluster", cluster)
            // No bound on the length of a download; the idle timeout bounds one that stalls.
            .with("timeout", "0s")
    };
    let routes = match bucket.reads.value {
        Reads::Passthrough => routes,
        Reads::Signed => {
            let reads = Map::new().with("name", ":method").with("string_match", regex("GET|HEAD"));
            // Envoy can take a parameter out of a query only by decoding all of it, which would
            // make another one of it. So a presigned request is left to its own signature.
            let presigned = Map::new()
                .with("name", ":path")
                .with("string_match", regex("[^?]*\\?(?:.*&)?X-Amz-Signature=.*"))
                .with("invert_match", true);
            let reads =
                Map::new().with("headers", List::new().with(reads.flow()).with(presigned.flow()));
            let matching = matching().join(reads);
            let action = address(forward(signed(name)), bucket, named);
            let gone: List = SIGNATURE.into_iter().collect();
            routes
                .remark(
                    "Reads are signed with the bucket's own key, whoever the client is; a signature of \
                     its own goes. Only a presigned request goes on as it came: its signature \
                     stands in the query, and Envoy could take it out only by decoding the rest.",
                )
                .with(
                    Map::new()
                        .with("match", matching)
                        .with("route", action)
                        .with("request_headers_to_remove", gone),
                )
        }
    };
    routes
        .with(Map::new().with("match", matching().flow()).with("route", forward(read(name)).flow()))
}

fn regex(pattern: &str) -> Map {
    Map::new().with("safe_regex", Map::new().with("regex", pattern))
}

/// Host and path by which a signed request names its bucket to the store.
fn address(action: Map, bucket: &Bucket, named: Named) -> Map {
    let (name, authority) = (&bucket.name.value, bucket.endpoint.authority());
    let rewrite = |pattern: &str, substitution: &str| {
        Map::new()
            .with("pattern", Map::new().with("regex", pattern).flow())
            .with("substitution", substitution)
    };
    match (bucket.addressing, named) {
        (Addressing::Path, Named::Path) => action.with("host_rewrite_literal", authority),
        (Addressing::Path, Named::Host) => action
            .with("host_rewrite_literal", authority)
            .with("regex_rewrite", rewrite("^/", &format!("/{name}/"))),
        (Addressing::Virtual, Named::Path) => {
            let pattern = format!("^/{}(?:/|$)", name.0.replace('.', "\\."));
            action
                .with("host_rewrite_literal", format!("{name}.{authority}"))
                .with("regex_rewrite", rewrite(&pattern, "/"))
        }
        (Addressing::Virtual, Named::Host) => {
            action.with("host_rewrite_literal", format!("{name}.{authority}"))
        }
    }
}
