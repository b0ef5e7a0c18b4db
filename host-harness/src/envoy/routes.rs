//! `routes.yaml`: which request goes to which cluster.
//!
//! Owns how Envoy is told what names a bucket, as [`back_to_origin::naming`] has it. Nothing is decoded
//! or tidied on the way, and no rule is spelled out: which one a request meets, the filter finds.

use super::way::{Misses, Named, Way, kept};
use super::yaml::{List, Map};
use super::{DataPath, Settings, misses};
use crate::deployment::{Bucket, Loaded, Rules};

/// The name of the route configuration.
pub(super) const NAME: &str = "buckets";

pub(super) fn file(loaded: &Loaded, settings: &Settings) -> String {
    let deployment = &loaded.deployment;
    let streams = settings.data_path == DataPath::Streaming;
    let buckets = || deployment.buckets.value.iter().zip(&loaded.rules);
    let way = |bucket, rules: &'_ Rules, named| {
        // No rules, no misses.
        let has_misses = streams && rules.set.iter().next().is_some();
        let misses = has_misses.then_some(Misses { loaded, rules: &rules.set });
        let patience = deployment.timeouts.writes();
        let is_recorded = deployment.access_log.is_some();
        Way { bucket, named, patience, misses, is_recorded }.routes(List::new())
    };
    let host = |name: &str, domains: List, of: &[(&Bucket, &Rules)], routes: List| {
        let kept = kept(of.iter().filter(|_| streams).map(|(_, rules)| &rules.set));
        Map::new()
            .with("name", name)
            .with("domains", domains)
            .remark("An object that once was mirrored goes on saying so.")
            .maybe("response_headers_to_add", (!kept.is_empty()).then_some(kept))
            .with("routes", routes.apart())
    };
    let mut hosts = List::new();
    if let Some(domain) = &deployment.domain {
        // A name may end in a dot.
        let ends = |name: String| [format!("{name}."), name].into_iter().rev();
        for (bucket, rules) in buckets() {
            let name = format!("{}.{}", bucket.name.value, domain.0);
            let routes = way(bucket, rules, Named::Host);
            let domains = ends(name.clone()).collect();
            hosts = hosts.with(host(&name, domains, &[(bucket, rules)], routes));
        }
        let others = ["*.", "."].into_iter().flat_map(|start| ends(format!("{start}{}", domain.0)));
        let nobodys = Map::new().with("name", "nobody").with("domains", others.collect::<List>());
        hosts = hosts.remark(NOBODYS).with(nobodys);
    }
    let routes = buckets()
        .fold(List::new(), |routes, (bucket, rules)| routes.join(way(bucket, rules, Named::Path)));
    let all: Vec<_> = buckets().collect();
    hosts = hosts.with(host("path", List::new().with("*"), &all, routes));
    if streams {
        hosts = hosts.join(misses::hosts(loaded));
    }
    let added = ["x-envoy-internal", "x-envoy-external-address"].into_iter().collect::<List>();
    let routes = Map::typed("envoy.config.route.v3.RouteConfiguration")
        .with("name", NAME)
        .maybe("ignore_port_in_host_matching", deployment.domain.is_some().then_some(true))
        .remark("What Envoy adds where it says who the client is; no server is to see it.")
        .maybe("request_headers_to_remove", deployment.trusted_hops.map(|_| added))
        .with("virtual_hosts", hosts);
    Map::new()
        .with("resources", List::new().with(routes))
        .document(&settings.heading("Which request goes to which bucket, and the miss route."))
}

/// Why a host has no routes.
const NOBODYS: &str = "Below the domain a host names a bucket, or nobody's: its path is not read as one. The store would \
     speak of one bucket, and the filter of another.";
