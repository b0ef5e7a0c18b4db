//! The miss route: what a request comes to that its bucket could not answer.
//!
//! Owns the virtual host that only Envoy's own redirects lead to, and what makes a request follow
//! one. Where it goes on from there is the filter's word.

use std::collections::BTreeMap;
use std::time::Duration;

use back_to_origin::miss_route::{
    self, ATTEMPT, CLUSTER, FORWARDED_PROTO, HOST, IDLE, LOCATION, MISS, SERVER_HOST,
};
use back_to_origin::quota::{self, Quota};
use back_to_origin::rule::{Action, Mirror};

use super::bootstrap::seconds;
use super::yaml::{List, Map, Yaml};
use super::{access_log, filter, rate_limits};
use crate::deployment::Loaded;

/// The name of the route, which redirects may lead to.
const NAME: &str = "miss";

/// How often a request may come to the miss route: more often than any rules make it.
const TURNS: u64 = 64;

/// How long streams may stand still, by what rules say of it in milliseconds. It is never less than
/// the answer's headers may take: of a late one the filter is to hear.
fn idle_times(loaded: &Loaded) -> BTreeMap<u128, Duration> {
    let mut times: BTreeMap<u128, Duration> = BTreeMap::new();
    let rules = loaded.rules.iter().flat_map(|rules| rules.set.iter());
    let mirrors = rules.filter_map(|rule| match &rule.action {
        Action::External(_) => None,
        Action::Mirror(mirror) => Some(mirror),
    });
    for mirror in mirrors {
        let Mirror { idle_timeout, timeout, .. } = &**mirror;
        let Some(idle) = idle_timeout.or(*timeout) else { continue };
        let patience = timeout.unwrap_or(loaded.deployment.timeouts.origin);
        let bound = idle.max(patience.saturating_add(Duration::from_secs(1)));
        let time = times.entry(idle.as_millis()).or_default();
        *time = bound.max(*time);
    }
    times
}

/// Has the router follow a redirect to the miss route and no other, with these headers of the
/// answer.
fn policy(loaded: &Loaded, copied: &[&str]) -> Map {
    let names = idle_times(loaded).into_keys().map(|idle| format!("{NAME}-{idle}"));
    let names: List = std::iter::once(NAME.to_owned()).chain(names).collect();
    let listed = Map::typed(
        "envoy.extensions.internal_redirect.allow_listed_routes.v3.AllowListedRoutesConfig",
    )
    .with("allowed_route_names", names);
    let predicate = Map::new().with("name", NAME).with("typed_config", listed.shared("listed"));
    Map::new()
        .with("redirect_response_codes", List::new().with(307_u64))
        .with("response_headers_to_copy", copied.iter().copied().collect::<List>())
        .with("allow_cross_scheme_redirect", true)
        .with("max_internal_redirects", TURNS)
        .with("predicates", List::new().with(predicate))
}

/// The same for a bucket's route.
pub(super) fn first_turn(loaded: &Loaded) -> Map {
    policy(loaded, &[MISS])
}

/// The filter that paces answers.
const PACER: &str = "mirror-bandwidth";

/// Its message.
const BANDWIDTH: &str = "envoy.extensions.filters.http.bandwidth_limit.v3.BandwidthLimit";

/// What paces answers, before any route says by how much.
pub(super) fn pacer() -> Map {
    let config = pace("DISABLED", 1);
    Map::new().with("name", PACER).with("disabled", true).with("typed_config", config)
}

fn pace(mode: &str, kib: u64) -> Map {
    Map::typed(BANDWIDTH)
        .with("stat_prefix", "mirror")
        .with("enable_mode", mode)
        .with("limit_kbps", kib)
}

/// The quotas by which answers are paced.
fn paced(loaded: &Loaded) -> Vec<Quota> {
    let buckets = loaded.deployment.buckets.value.iter().zip(&loaded.rules);
    buckets
        .filter(|(_, rules)| rules.set.iter().next().is_some())
        .flat_map(|(bucket, rules)| quota::paced(&bucket.name.value.0, bucket.limits(), &rules.set))
        .collect()
}

/// The virtual hosts of misses: one for each quota by which answers are paced, to which the filter
/// sends what is under it.
pub(super) fn hosts(loaded: &Loaded) -> List {
    let quotas = paced(loaded);
    let routes = routes(loaded);
    let host = |name: &str, domains: List, pace: Option<Map>, quota: Option<&Quota>| {
        let paced = pace.map(|pace| (PACER, pace));
        let mut others = paced.into_iter().chain(rate_limits::counted(loaded, quota)).peekable();
        let filters: Yaml = match (&loaded.deployment.access_log, others.peek()) {
            (None, None) => filter::on(),
            (None, Some(_)) => filter::on_with(others).into(),
            (Some(_), _) => access_log::marks(filter::on_with(others)).into(),
        };
        Map::new()
            .with("name", name)
            .with("domains", domains)
            .with("typed_per_filter_config", filters)
            .with("routes", routes.clone())
    };
    let idle = (!quotas.is_empty()).then(|| pace("DISABLED", 1));
    let mut domains = List::new().with(HOST);
    if !quotas.is_empty() {
        // Of a quota that is not here yet, or no more.
        domains = domains.with(format!("*.{HOST}"));
    }
    let mut hosts = List::new().remark(ABOUT).with(host("misses", domains, idle, None));
    for (at, quota) in quotas.iter().enumerate() {
        let name = format!("misses-{}", quota.label());
        let kib = quota.per_second().div_ceil(8 * 1024);
        let own = List::new().with(miss_route::paced_host(quota.label()));
        let paced = host(&name, own, Some(pace("RESPONSE", kib)), Some(quota));
        hosts = hosts.remark(if at == 0 { PACED } else { "" }).with(paced);
    }
    hosts
}

/// The routes of misses.
fn routes(loaded: &Loaded) -> List {
    // A header that the answer lacks is taken off the request.
    let policy = policy(loaded, &[MISS, ATTEMPT, LOCATION, FORWARDED_PROTO]);
    let way = |idle: Option<Duration>| {
        Map::new()
            .with("cluster_header", CLUSTER)
            .with("host_rewrite_header", SERVER_HOST)
            .with("timeout", "0s")
            .maybe("idle_timeout", idle.map(seconds))
            .with("internal_redirect_policy", policy.clone().shared("next-turn"))
    };
    let is_miss = Map::new().with("name", MISS).with("present_match", true);
    let mut routes = List::new();
    for (idle, time) in idle_times(loaded) {
        let exact = Map::new().with("exact", idle.to_string());
        let is_said = Map::new().with("name", IDLE).with("string_match", exact);
        let headers = List::new().with(is_miss.clone()).with(is_said);
        routes = routes.remark(PATIENCE).with(
            Map::new()
                .with("name", format!("{NAME}-{idle}"))
                .with("match", Map::new().with("prefix", "/").with("headers", headers))
                .with("route", way(Some(time)))
                .shared("patient-miss"),
        );
    }
    let matching = Map::new().with("prefix", "/").with("headers", List::new().with(is_miss));
    let route = Map::new().with("name", NAME).with("match", matching).with("route", way(None));
    routes.with(route.shared("miss")).apart()
}

/// What other miss routes are.
const PACED: &str = "The same where answers are paced, in KiB a second. The filter names the host by the bucket, or \
     by the rule where that has a limit of its own.";

/// What the miss route is.
const ABOUT: &str = "The miss route. The filter is here alone: it sees the client's whole request and what the \
     bucket said, finds the rule, and answers, or names the cluster, the Host and the path. No \
     client can say that it is a miss: such headers are taken off what clients send.";

/// Why there are more of them.
const PATIENCE: &str = "For rules that say how long a body may stand still, as the filter tells.";
