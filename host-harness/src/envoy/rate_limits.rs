//! One quota of mirroring for all gateways, kept by a service that speaks Envoy's rate limit protocol.
//!
//! Owns what the service is asked, and what it is to be configured with. Which requests are counted,
//! and by which quota, the filter says in a header; what a client gets beyond it is the filter's too.

use back_to_origin::miss_route::QUOTA;
use back_to_origin::quota::{self, Quota};
use back_to_origin::rule::{MirrorLimits, RuleSet};

use super::bootstrap::seconds;
use super::clusters::service;
use super::yaml::{List, Map};
use super::{DataPath, Settings};
use crate::deployment::{Loaded, OnFailure, RateLimitService};

/// The filter's name in the chain.
const NAME: &str = "mirror-quota";

/// The service's cluster.
const SERVICE: &str = "rate-limits";

/// What requests to origins are counted by, in the service's configuration.
const REQUESTS: &str = "requests";

/// What the bytes of their answers are counted by.
const BYTES: &str = "bytes";

/// What the filter is for.
pub(super) const ABOUT: &str = "It asks the service that counts for all gateways, about requests that \
                                the module has sent to an origin.";

/// The filter, which stands behind the module.
pub(super) fn filter(service: &RateLimitService) -> Map {
    let grpc = Map::new().with("envoy_grpc", Map::new().with("cluster_name", SERVICE));
    let asked = Map::new().with("transport_api_version", "V3").with("grpc_service", grpc);
    let refused = || Map::new().with("code", "FailedDependency");
    let denies = service.on_failure == OnFailure::Deny;
    let config = Map::typed("envoy.extensions.filters.http.ratelimit.v3.RateLimit")
        .with("domain", service.domain.0.as_str())
        .with("timeout", seconds(service.timeout))
        .with("failure_mode_deny", denies)
        .maybe("status_on_error", denies.then(refused))
        .with("rate_limited_status", refused())
        .with("disable_x_envoy_ratelimited_header", true)
        .with("rate_limit_service", asked);
    Map::new().with("name", NAME).with("disabled", true).with("typed_config", config)
}

/// What is counted on a virtual host of misses, of which the answers are paced by this quota.
pub(super) fn counted(loaded: &Loaded, paced: Option<&Quota>) -> Option<(&'static str, Map)> {
    loaded.deployment.rate_limit_service.as_ref()?;
    // A request without the header is none to an origin, and is not counted.
    let named = Map::new().with("header_name", QUOTA).with("descriptor_key", REQUESTS);
    let mut limits = List::new().with(limit(Map::new().with("request_headers", named)));
    if let Some(quota) = paced {
        let named = || {
            let key = Map::new().with("descriptor_key", BYTES);
            limit(Map::new().with("generic_key", key.with("descriptor_value", quota.label())))
        };
        let none = Map::new().with("number", 0_u64);
        let sent = Map::new().with("format", "%BYTES_SENT%");
        limits = limits
            .remark("Whether bytes are left; then those that were sent are taken.")
            .with(named().with("hits_addend", none))
            .with(named().with("hits_addend", sent).with("apply_on_stream_done", true));
    }
    let config = Map::typed("envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute");
    Some((NAME, config.with("rate_limits", limits)))
}

fn limit(action: Map) -> Map {
    Map::new().with("actions", List::new().with(action))
}

/// The service, which is there before any listener is.
pub(super) fn cluster(loaded: &Loaded, settings: &Settings) -> Option<Map> {
    if settings.data_path == DataPath::Callout {
        return None;
    }
    let endpoint = &loaded.deployment.rate_limit_service.as_ref()?.value.endpoint;
    Some(service(SERVICE, endpoint, "1s", true, settings))
}

/// The service's configuration, as envoyproxy/ratelimit reads it.
pub(super) fn file(loaded: &Loaded, settings: &Settings) -> Option<String> {
    if settings.data_path == DataPath::Callout {
        return None;
    }
    let service = &loaded.deployment.rate_limit_service.as_ref()?.value;
    let requests = every(loaded, quota::counted).map(|quota| (REQUESTS, quota.per_second(), quota));
    let bytes = every(loaded, quota::paced).map(|quota| (BYTES, quota.per_second() / 8, quota));
    let descriptors: List = requests
        .chain(bytes)
        .map(|(key, per_second, quota)| {
            // It reads no larger ones; a quota beyond that is none.
            let most = per_second.clamp(1, u64::from(u32::MAX));
            let limit = Map::new().with("unit", "second").with("requests_per_unit", most);
            let named = Map::new().with("key", key).with("value", quota.label());
            named.with("rate_limit", limit)
        })
        .collect();
    let about = "For the rate limit service, not for Envoy: how many requests go to origins in a \
                 second, and how many bytes come back, through all gateways together.";
    let file =
        Map::new().with("domain", service.domain.0.as_str()).with("descriptors", descriptors);
    Some(file.document(&settings.heading(about)))
}

/// The quotas of one kind, of every bucket that has rules.
fn every<'l>(
    loaded: &'l Loaded,
    of: fn(&str, MirrorLimits, &RuleSet) -> Vec<Quota>,
) -> impl Iterator<Item = Quota> + 'l {
    let buckets = loaded.deployment.buckets.value.iter().zip(&loaded.rules);
    buckets
        .filter(|(_, rules)| rules.set.iter().next().is_some())
        .flat_map(move |(bucket, rules)| of(&bucket.name.value.0, bucket.limits(), &rules.set))
}
