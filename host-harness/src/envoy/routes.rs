//! `routes.yaml`: which request goes to which cluster.
//!
//! Owns how a request names its bucket. Nothing is decoded or tidied on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use back_to_origin::http::query::SUBRESOURCES;
use back_to_origin::rule::{Action, Rule, RuleSet};

use super::bootstrap::seconds;
use super::clusters::{judged, mirror, read, signed};
use super::rules::{Choice, header};
use super::yaml::{List, Map};
use super::{DataPath, Settings, filter, misses, pattern, rules};
use crate::deployment::{Addressing, Bucket, Loaded, Plan, Reads};

/// The name of the route configuration.
pub(super) const NAME: &str = "buckets";

/// The headers by which a client signs.
pub(super) const SIGNATURE: [&str; 4] =
    ["authorization", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"];

/// What stands before the name of a virtual host whose requests are misses.
pub(super) const MISSES: &str = "misses/";

/// Where a request has its bucket's name.
#[derive(Clone, Copy)]
enum Named<'a> {
    /// In its host, which is this one.
    Host(&'a str),
    Path,
}

/// A host that clients ask, and its twin for misses.
struct Host<'a> {
    name: &'a str,
    domains: List,
    routes: List,
    /// The host that misses ask.
    misses_host: String,
    /// Their routes, where they have some of their own.
    misses: List,
    /// The rules of its buckets that mirror.
    mirroring: Vec<&'a RuleSet>,
    /// Whether some of them have the router try again.
    tries_again: bool,
}

impl<'a> Host<'a> {
    fn new(name: &'a str, domains: List, misses_host: String) -> Self {
        let (routes, misses, mirroring) = (List::new(), List::new(), Vec::new());
        Self { name, domains, routes, misses_host, misses, mirroring, tries_again: false }
    }

    fn add(mut self, way: Way<'_>, rules: &'a RuleSet, plan: &Plan) -> Self {
        match way.path {
            DataPath::Streaming if rules::mirrors(rules) => {
                self.routes = way.streaming(self.routes, rules, plan);
                self.misses = way.misses(self.misses, rules, plan);
                self.mirroring.push(rules);
                self.tries_again |= rules::is_any_tried_again(rules, way.bucket.reads.value);
            }
            DataPath::Callout | DataPath::Streaming => self.routes = way.plain(self.routes),
        }
        self
    }

    fn add_to(self, hosts: List, is_filtered: bool) -> List {
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
        if self.misses.is_empty() {
            return hosts;
        }
        let routes = List::new()
            .remark("No client can say so of a request.")
            .with(misses::pretended())
            .join(self.misses);
        let twin = Map::new()
            .with("name", format!("{MISSES}{}", self.name))
            .with("domains", List::new().with(self.misses_host))
            .with("typed_per_filter_config", Map::new().with(filter::NAME, off()))
            .with("routes", routes);
        hosts.remark(&format!("The misses among those of {:?}.", self.name)).with(twin)
    }
}

/// What turns a filter off.
fn off() -> Map {
    Map::typed("envoy.config.route.v3.FilterConfig").with("disabled", true)
}

pub(super) fn file(loaded: &Loaded, plan: &Plan, settings: &Settings) -> String {
    let deployment = &loaded.deployment;
    let buckets = || deployment.buckets.value.iter().zip(&loaded.rules);
    let path = settings.data_path;
    let patience = deployment.timeouts.origin;
    let is_filtered = filter::is_needed(loaded, path);
    let mut hosts = List::new();
    if let Some(domain) = &deployment.domain {
        for (bucket, rules) in buckets() {
            let name = format!("{}.{}", bucket.name.value, domain.0);
            let domains = [name.clone(), format!("{name}:*")].into_iter().collect();
            let way = Way { bucket, named: Named::Host(&name), path, patience };
            let host = Host::new(&name, domains, way.misses_host());
            hosts = host.add(way, &rules.set, plan).add_to(hosts, is_filtered);
        }
    }
    let host = Host::new("path", List::new().with("*"), misses::HOST.to_owned());
    let host = buckets().fold(host, |host, (bucket, rules)| {
        host.add(Way { bucket, named: Named::Path, path, patience }, &rules.set, plan)
    });
    hosts = host.add_to(hosts, is_filtered);
    let routes = Map::typed("envoy.config.route.v3.RouteConfiguration").with("name", NAME);
    let routes = match choices(loaded, plan, settings) {
        None => routes,
        Some(choices) => routes.remark(CHOICES).with("cluster_specifier_plugins", choices),
    };
    let routes = routes.with("virtual_hosts", hosts);
    let about = match path {
        DataPath::Callout => "",
        DataPath::Streaming => {
            "\nKeys are compared decoded, whatever the client encoded, while the path goes on as it \
             came; so the patterns take every encoding. The filter on the origin's side decides \
             again, by its own engine."
        }
    };
    Map::new().with("resources", List::new().with(routes)).document(&settings.heading(&format!(
        "Which request goes to which bucket: by its host where there is a domain, and by the first \
         part of its path. What names no bucket is answered 404. Envoy watches this file.{about}"
    )))
}

/// Which cluster an attempt goes to, for each bucket and each origin of its rules.
fn choices(loaded: &Loaded, plan: &Plan, settings: &Settings) -> Option<List> {
    if settings.data_path == DataPath::Callout {
        return None;
    }
    let mut choices: Vec<Choice> = Vec::new();
    for (bucket, rules) in loaded.deployment.buckets.value.iter().zip(&loaded.rules) {
        let (path, patience) = (settings.data_path, loaded.deployment.timeouts.origin);
        let way = Way { bucket, named: Named::Path, path, patience };
        let rules = &rules.set;
        for rule in rules::in_order(rules) {
            let Some(choice) = way.choice(rules, rule, plan) else { continue };
            let anew = (!rules::needs_host(rules, rule)).then(|| choice.clone());
            let tried = rules::is_tried_again(rules, rule, bucket.reads.value);
            let tried = tried.then(|| way.tried_again(choice));
            choices.extend(anew.into_iter().chain(tried));
        }
    }
    let origins: BTreeSet<_> = plan.origins.values().collect();
    let origins: Vec<_> =
        origins.into_iter().map(|origin| (origin.clone(), mirror(origin, plan))).collect();
    let plugins: BTreeMap<_, _> = choices
        .iter()
        .filter_map(|choice| Some((choice.name(), choice.plugin(&origins)?)))
        .collect();
    (!plugins.is_empty()).then(|| plugins.into_values().collect())
}

/// A bucket, by one of the ways to name it.
#[derive(Clone, Copy)]
struct Way<'a> {
    bucket: &'a Bucket,
    named: Named<'a>,
    path: DataPath,
    /// How long an origin may take, where its rule does not say so.
    patience: Duration,
}

impl Way<'_> {
    /// What stands before the key in a path.
    fn above(self) -> String {
        match self.named {
            Named::Host(_) => "/".to_owned(),
            Named::Path => format!("/{}/", self.bucket.name.value),
        }
    }

    /// Routes to the bucket alone.
    fn plain(self, routes: List) -> List {
        let routes = match self.bucket.reads.value {
            Reads::Passthrough => routes,
            Reads::Signed => routes
                .remark(SIGNED)
                .with(self.read(self.matching([header(":method", "GET|HEAD"), not(presigned())]))),
        };
        routes.with(self.unsigned(self.matching([])))
    }

    /// Routes to the bucket, and for what its rules mirror to the origin where it lacks it.
    fn streaming(self, routes: List, rules: &RuleSet, plan: &Plan) -> List {
        let above = self.above();
        let subresource = header(":path", &pattern::subresource());
        let is_signed = self.bucket.reads.value == Reads::Signed;
        // A HEAD is about a rule where the rule says so, and only then is there a route for it.
        let heads = rules.iter().any(Rule::allows_head);
        let set = rules;
        let rules = rules::in_order(set);
        let route = |rule: &Rule, matching: Map| match self.choice(set, rule, plan) {
            None => self.read(matching),
            Some(choice) if rules::needs_host(set, rule) => {
                self.read_by(matching, self.tried_again(choice).way(self.mirrored_way(rule)))
            }
            Some(_) => self.mirrored(matching),
        };
        let mut routes = routes.remark(PLAINLY);
        for (at, rule) in rules.iter().enumerate() {
            let by_prefix = at == 0 && self.is_by_prefix(set, rule);
            let Some(matching) = rules::plainly(rule, &above, by_prefix) else { break };
            routes = routes.with(route(rule, matching));
        }
        routes = if is_signed {
            routes
                .remark("Writes go on as they came.")
                .with(self.unsigned(self.matching([not(header(":method", "GET|HEAD"))])))
                .remark(SIGNED)
                .with(self.unsigned(self.matching([presigned()])))
        } else {
            routes
        };
        let (operations, others, one) = match heads {
            false => ("GetObject alone", not(method("GET")), "a GET"),
            true => {
                ("GetObject and HeadObject alone", not(header(":method", "GET|HEAD")), "a read")
            }
        };
        routes = routes
            .remark(&format!("Rules are about {operations}: not about other methods,"))
            .with(self.read(self.matching([others])))
            .remark(&format!(
                "and not about {one} that its query makes another operation: {}.",
                SUBRESOURCES.join(", ")
            ))
            .with(self.read(self.matching([query(), subresource])));
        let climbing = header(":path", &format!("{}(?:\\?.*)?", pattern::climbing(&above)));
        routes = routes.remark(
            "Nor about a key that climbs out of its bucket. Hardly any has two dots or an encoding \
             to look at.",
        );
        for sign in ["..", "%2"] {
            let signs = Map::new().with("contains", sign);
            let signs = Map::new().with("name", ":path").with("string_match", signs);
            routes = routes.with(self.read(self.matching([signs, climbing.clone()])));
        }
        for rule in rules {
            let is_streamed = rules::is_streamed(set, rule, self.bucket.reads.value);
            routes = routes.remark(&rules::about(rule, is_streamed));
            if heads && is_streamed {
                let head = rules::matching(rule, &above, Some(method("HEAD")));
                let choice = self.choice(set, rule, plan).filter(|_| rule.allows_head());
                let head = match choice {
                    None => self.read(head),
                    Some(choice) => {
                        self.read_by(head, self.tried_again(choice).way(self.mirrored_way(rule)))
                    }
                };
                routes = routes.with(head).remark("The same, for a GET.");
            }
            routes = routes.with(route(rule, rules::matching(rule, &above, None)));
        }
        routes
            .remark("What no rule covers keeps the bucket's own answer.")
            .with(self.read(self.matching([])))
    }

    /// Routes of misses that are requests of their own.
    fn misses(self, routes: List, rules: &RuleSet, plan: &Plan) -> List {
        // A signed read is readdressed on its way to the bucket: it comes with the others by path.
        if let (Named::Host(_), Reads::Signed) = (self.named, self.bucket.reads.value) {
            return routes;
        }
        let above = self.above();
        let climbing = header(":path", &pattern::climbing(&above));
        let mut routes = routes
            .remark(
                "What was not looked at before the bucket was asked: a key that climbs out of it. \
                 It is asked again, for its own answer.",
            )
            .with(self.read_again(self.matching([climbing])));
        for rule in rules::in_order(rules) {
            let Some(choice) = self.choice(rules, rule, plan) else { continue };
            if rules::needs_host(rules, rule) {
                continue;
            }
            let route = Map::new()
                .with("match", rules::matching(rule, &above, None))
                .with("route", choice.way(self.mirrored_way(rule)));
            routes = routes.remark(&rules::about(rule, true)).with(route);
        }
        routes.remark("And what is no key.").with(self.read_again(self.matching([])))
    }

    /// The way of what a rule mirrors. Its idle timeout is never up before the filter's own, which
    /// answers for an origin that is late: all attempts together take three times that.
    fn mirrored_way(self, rule: &Rule) -> Map {
        let own = match &rule.action {
            Action::External(_) => None,
            Action::Mirror(mirror) => mirror.idle_timeout.map(|idle| {
                let patience = mirror.timeout.unwrap_or(self.patience);
                idle.max(patience.saturating_mul(3).saturating_add(Duration::from_secs(1)))
            }),
        };
        way().maybe("idle_timeout", own.map(seconds))
    }

    /// Whether so little of a path is looked at for a rule that stands first.
    fn is_by_prefix(self, rules: &RuleSet, rule: &Rule) -> bool {
        let anew = rules::is_streamed(rules, rule, self.bucket.reads.value)
            && !rules::needs_host(rules, rule);
        anew && rules::is_by_prefix(rule)
    }

    /// Where the attempts at an origin go of what a rule mirrors, if that is streamed.
    fn choice(self, rules: &RuleSet, rule: &Rule, plan: &Plan) -> Option<Choice> {
        let Action::Mirror(mirrored) = &rule.action else { return None };
        if !rules::is_streamed(rules, rule, self.bucket.reads.value) {
            return None;
        }
        let origin = plan.origins.get(&mirrored.server(mirrored.url.origin()))?;
        let attempts = rules.attempts(rule);
        Some(Choice { bucket: None, origin: mirror(origin, plan), attempts })
    }

    /// The same after an attempt at the bucket.
    fn tried_again(self, choice: Choice) -> Choice {
        Choice { bucket: Some(judged(&self.bucket.name.value.0)), ..choice }
    }

    /// The host of a miss.
    fn misses_host(self) -> String {
        match (self.named, self.bucket.reads.value) {
            (Named::Host(host), Reads::Passthrough) => format!("{host}:0"),
            (Named::Path, Reads::Passthrough | Reads::Signed) | (Named::Host(_), Reads::Signed) => {
                misses::HOST.to_owned()
            }
        }
    }

    /// The requests for the bucket, of which some more is known.
    fn matching<const N: usize>(self, headers: [Map; N]) -> Map {
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
    fn read(self, matching: Map) -> Map {
        match self.bucket.reads.value {
            Reads::Passthrough => self.unsigned(matching),
            Reads::Signed => self.final_answer(self.signed(matching, self.signed_cluster())),
        }
    }

    /// A read that may turn out to be a miss.
    fn mirrored(self, matching: Map) -> Map {
        match self.bucket.reads.value {
            Reads::Passthrough => self.to_bucket(matching),
            Reads::Signed => self.signed(matching, self.signed_cluster()),
        }
    }

    /// A read, by a way of its own.
    fn read_by(self, matching: Map, way: Map) -> Map {
        self.final_answer(match self.bucket.reads.value {
            Reads::Passthrough => Map::new().with("match", matching).with("route", way),
            Reads::Signed => self.signed(matching, way),
        })
    }

    /// Whatever the bucket answers, the request is no miss.
    fn final_answer(self, route: Map) -> Map {
        match self.path {
            DataPath::Callout => route,
            DataPath::Streaming => {
                route.with("typed_per_filter_config", Map::new().with(misses::NAME, off()).flow())
            }
        }
    }

    /// A read of what was a miss; the host that the client asked is lost by then.
    fn read_again(self, matching: Map) -> Map {
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
                Map::new()
                    .with("match", matching)
                    .with("route", way.flow())
                    .with("request_headers_to_remove", List::new().with(misses::HEADER))
            }
        }
    }

    /// What reaches the bucket as it came.
    fn unsigned(self, matching: Map) -> Map {
        self.final_answer(self.to_bucket(matching))
    }

    fn to_bucket(self, matching: Map) -> Map {
        let way = Map::new().with("cluster", read(&self.bucket.name.value.0)).join(way());
        Map::new().with("match", matching.compact()).with("route", way.flow())
    }

    fn signed_cluster(self) -> Map {
        Map::new().with("cluster", signed(&self.bucket.name.value.0)).join(way())
    }

    /// What is signed for the client, addressed as the store has it.
    fn signed(self, matching: Map, way: Map) -> Map {
        let gone: List = SIGNATURE.into_iter().collect();
        Map::new()
            .with("match", matching.compact())
            .with("route", way.join(self.address()))
            .with("request_headers_to_remove", gone)
    }

    /// Host and path by which a signed request names its bucket to the store.
    fn address(self) -> Map {
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
        let rewrite = pattern.map(|pattern| {
            Map::new()
                .with("pattern", Map::new().with("regex", pattern).flow())
                .with("substitution", substitution)
        });
        Map::new().with("host_rewrite_literal", host).maybe("regex_rewrite", rewrite)
    }
}

/// What the choices are.
const CHOICES: &str = "Where a request goes that takes more than one attempt. Where an origin has \
                       sent on to, or where a later rule has the object, the filter on the origin's \
                       side says.";

/// Why the filter is off.
const UNFILTERED: &str =
    "Nothing stands before the buckets: even a filter that does nothing has a price.";

/// What is done with a miss.
const MISS: &str = "A miss: the bucket has answered 404. Envoy drops that answer and routes the \
                    request once more, to the virtual host of misses. It keeps its path and its \
                    headers, and gets one that no client can send. Where no rule is about a request \
                    this is off.";

/// Why the rules' routes are there twice.
const PLAINLY: &str = "The rules in their order, for paths that stand for themselves: nearly all \
                       requests end here, and no pattern is run. All other paths, and other \
                       requests, come to the same rules below.";

/// Why a presigned request is not signed again.
const SIGNED: &str = "Reads are signed with the bucket's own key, whoever the client is; a \
                      signature of its own goes. Only a presigned request goes on as it came: its \
                      signature stands in the query, and Envoy could take it out only by decoding \
                      the rest.";

/// No bound on the length of a download; the idle timeout bounds one that stalls.
fn way() -> Map {
    Map::new().with("timeout", "0s")
}

/// A query. Most requests have none, and are spared a pattern.
fn query() -> Map {
    Map::new().with("name", ":path").with("string_match", Map::new().with("contains", "?"))
}

/// Nothing but this method.
fn method(name: &str) -> Map {
    Map::new().with("name", ":method").with("string_match", Map::new().with("exact", name))
}

fn presigned() -> Map {
    header(":path", &pattern::presigned())
}

fn not(condition: Map) -> Map {
    condition.with("invert_match", true)
}
