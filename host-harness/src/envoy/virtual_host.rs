//! A host that clients ask: its routes, and what is done with its misses.
//!
//! Owns which filters its requests pass, and that what was a miss has a host of its own.

use back_to_origin::rule::RuleSet;

use super::way::Way;
use super::yaml::{List, Map};
use super::{DataPath, filter, misses, rules};
use crate::deployment::Plan;

/// What stands before the name of a virtual host whose requests are misses.
pub(super) const MISSES: &str = "misses/";

/// A host that clients ask, and its twin for misses.
pub(super) struct Host<'a> {
    name: &'a str,
    domains: List,
    routes: List,
    /// The host that misses ask.
    misses_host: String,
    /// Their routes, where they have some of their own.
    misses: List,
    /// Other hosts of misses and their routes.
    apart: Vec<(String, List)>,
    /// The rules of its buckets that mirror.
    mirroring: Vec<&'a RuleSet>,
    /// Whether some of them have the router try again.
    tries_again: bool,
}

impl<'a> Host<'a> {
    pub(super) fn new(name: &'a str, domains: List, misses_host: String) -> Self {
        Self {
            name,
            domains,
            routes: List::new(),
            misses_host,
            misses: List::new(),
            apart: Vec::new(),
            mirroring: Vec::new(),
            tries_again: false,
        }
    }

    pub(super) fn add(mut self, way: Way<'_>, rules: &'a RuleSet, plan: &Plan) -> Self {
        match way.path {
            DataPath::Streaming if rules::mirrors(rules) => {
                self.routes = way.streaming(self.routes, rules, plan);
                match way.twin(rules, plan) {
                    Some((domain, routes)) if domain == self.misses_host => {
                        self.misses = self.misses.join(routes);
                    }
                    Some(apart) => self.apart.push(apart),
                    None => {}
                }
                self.mirroring.push(rules);
                self.tries_again |= rules::is_any_tried_again(rules, way.bucket.reads.value);
            }
            DataPath::Callout | DataPath::Streaming => self.routes = way.plain(self.routes),
        }
        self
    }

    pub(super) fn add_to(self, hosts: List, is_filtered: bool) -> List {
        let host = Map::new().with("name", self.name).with("domains", self.domains);
        let front = (!is_filtered).then(|| Map::new().remark(UNFILTERED).with(filter::NAME, off()));
        if self.mirroring.is_empty() {
            let host = host.maybe("typed_per_filter_config", front);
            return hosts.with(host.with("routes", self.routes));
        }
        let filters = front.unwrap_or_default().remark(MISS);
        let filters = filters.with(misses::NAME, misses::anew(&self.misses_host));
        let host = host.with("typed_per_filter_config", filters);
        let host = if self.tries_again {
            host.remark("By it a route knows the second attempt.")
                .with("include_request_attempt_count", true)
        } else {
            host
        };
        let host = host
            .remark("An object that once was mirrored goes on saying so.")
            .with("response_headers_to_add", rules::kept(self.mirroring));
        let hosts = hosts.with(host.with("routes", self.routes));
        let shared = (!self.misses.is_empty()).then_some((self.misses_host, self.misses));
        shared.into_iter().chain(self.apart).fold(hosts, |hosts, (domain, misses)| {
            let routes = List::new()
                .remark("No client can say so of a request.")
                .with(misses::pretended())
                .join(misses);
            let twin = Map::new()
                .with("name", format!("{MISSES}{domain}"))
                .with("domains", List::new().with(domain))
                .with("typed_per_filter_config", Map::new().with(filter::NAME, off()))
                .remark("It is for these routes alone.")
                .with("request_headers_to_remove", List::new().with(misses::HEADER))
                .with("routes", routes);
            hosts.remark(&format!("Misses among what is asked of {:?}.", self.name)).with(twin)
        })
    }
}

/// What turns a filter off.
pub(super) fn off() -> Map {
    Map::typed("envoy.config.route.v3.FilterConfig").with("disabled", true)
}

/// Why the filter is off.
const UNFILTERED: &str =
    "Nothing stands before the buckets: even a filter that does nothing has a price.";

/// What is done with a miss.
const MISS: &str = "A miss: the bucket has answered 404. Envoy drops that answer and routes the \
                    request once more, to the virtual host of misses. It keeps its path and its \
                    headers, and gets one that no client can send. Where no rule is about a request \
                    this is off.";
