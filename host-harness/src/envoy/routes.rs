//! `routes.yaml`: which request goes to which cluster.
//!
//! Owns how a request names its bucket. Nothing is decoded or tidied on the way.

use std::collections::BTreeSet;

use back_to_origin::http::query::SUBRESOURCES;
use back_to_origin::rule::{Action, Rule, RuleSet};

use super::clusters::{mirror, read, signed};
use super::rules::{Choice, header};
use super::yaml::{List, Map};
use super::{DataPath, Settings, filter, pattern, rules};
use crate::deployment::{Addressing, Bucket, Loaded, Plan, Reads};

/// The name of the route configuration.
pub(super) const NAME: &str = "buckets";

/// The headers by which a client signs.
pub(super) const SIGNATURE: [&str; 4] =
    ["authorization", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"];

/// Where a request has its bucket's name.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Named {
    Host,
    Path,
}

pub(super) fn file(loaded: &Loaded, plan: &Plan, settings: &Settings) -> String {
    let deployment = &loaded.deployment;
    let buckets = || deployment.buckets.value.iter().zip(&loaded.rules);
    let add = |routes, bucket, rules: &RuleSet, named| {
        let way = Way { bucket, named };
        match settings.data_path {
            DataPath::Streaming if rules::mirrors(rules) => way.streaming(routes, rules, plan),
            DataPath::Callout | DataPath::Streaming => way.plain(routes),
        }
    };
    let is_filtered = filter::is_needed(loaded, settings.data_path);
    let mut hosts = List::new();
    if let Some(domain) = &deployment.domain {
        for (bucket, rules) in buckets() {
            let host = format!("{}.{}", bucket.name.value, domain.0);
            let domains = [host.clone(), format!("{host}:*")].into_iter().collect();
            let routes = add(List::new(), bucket, &rules.set, Named::Host);
            hosts = hosts.with(virtual_host(&host, domains, routes, is_filtered, settings));
        }
    }
    let routes = buckets()
        .fold(List::new(), |routes, (bucket, rules)| add(routes, bucket, &rules.set, Named::Path));
    hosts = hosts.with(virtual_host("path", List::new().with("*"), routes, is_filtered, settings));
    let routes = Map::typed("envoy.config.route.v3.RouteConfiguration").with("name", NAME);
    let routes = match choices(loaded, plan, settings) {
        None => routes,
        Some(choices) => routes.remark(CHOICES).with("cluster_specifier_plugins", choices),
    };
    let routes = routes.with("virtual_hosts", hosts);
    let about = match settings.data_path {
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
    let mut choices: Vec<Choice> = Vec::new();
    for (bucket, rules) in loaded.deployment.buckets.value.iter().zip(&loaded.rules) {
        let way = Way { bucket, named: Named::Path };
        let mirrored = rules::in_order(&rules.set).into_iter();
        for choice in mirrored.filter_map(|rule| way.choice(&rules.set, rule, plan)) {
            if !choices.contains(&choice) {
                choices.push(choice);
            }
        }
    }
    if settings.data_path == DataPath::Callout || choices.is_empty() {
        return None;
    }
    let origins: BTreeSet<_> = plan.origins.values().collect();
    let origins: Vec<_> =
        origins.into_iter().map(|origin| (origin.clone(), mirror(origin, plan))).collect();
    Some(choices.iter().map(|choice| choice.plugin(&origins)).collect())
}

fn virtual_host(
    name: &str,
    domains: List,
    routes: List,
    is_filtered: bool,
    settings: &Settings,
) -> Map {
    let host = Map::new().with("name", name).with("domains", domains);
    let host = if is_filtered {
        host
    } else {
        let off = Map::typed("envoy.config.route.v3.FilterConfig").with("disabled", true);
        host.remark(
            "Nothing stands before the buckets: even a filter that does nothing has a price.",
        )
        .with("typed_per_filter_config", Map::new().with(filter::NAME, off))
    };
    let host = match settings.data_path {
        DataPath::Callout => host,
        DataPath::Streaming => host
            .remark("By it a route knows the second attempt.")
            .with("include_request_attempt_count", true),
    };
    host.with("routes", routes)
}

/// A bucket, by one of the ways to name it.
#[derive(Clone, Copy)]
struct Way<'a> {
    bucket: &'a Bucket,
    named: Named,
}

impl Way<'_> {
    /// Routes to the bucket alone.
    fn plain(self, routes: List) -> List {
        let routes = match self.bucket.reads.value {
            Reads::Passthrough => routes,
            Reads::Signed => routes.remark(SIGNED).with(self.signed(
                self.matching([header(":method", "GET|HEAD"), not(presigned())]),
                self.signed_cluster(),
            )),
        };
        routes.with(self.unsigned(self.matching([])))
    }

    /// Routes to the bucket, and for what its rules mirror to the origin where it lacks it.
    fn streaming(self, routes: List, rules: &RuleSet, plan: &Plan) -> List {
        let name = &self.bucket.name.value.0;
        let above = match self.named {
            Named::Host => "/".to_owned(),
            Named::Path => format!("/{name}/"),
        };
        let subresource = header(":path", &pattern::subresource());
        let is_signed = self.bucket.reads.value == Reads::Signed;
        // A HEAD is about a rule where the rule says so, and only then is there a route for it.
        let heads = rules.iter().any(Rule::allows_head);
        let set = rules;
        let rules = rules::in_order(set);
        let route = |rule: &Rule, matching: Map| {
            let choice = self.choice(set, rule, plan);
            match (choice, is_signed) {
                (None, _) => self.read(matching),
                (Some(choice), true) => {
                    self.signed(matching, rules::retried(&choice, set.attempts(rule), way()))
                }
                (Some(choice), false) => Map::new()
                    .with("match", matching)
                    .with("route", rules::retried(&choice, set.attempts(rule), way())),
            }
        };
        let routes = rules
            .iter()
            .map_while(|rule| Some((rule, rules::plainly(rule, &above)?)))
            .fold(routes.remark(PLAINLY), |routes, (rule, matching)| {
                routes.with(route(rule, matching))
            });
        let mut routes = if is_signed {
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
            if heads && is_streamed && !rule.allows_head() {
                let head = rules::matching(rule, &above, Some(method("HEAD")));
                routes = routes.with(self.read(head)).remark("The same, for a GET.");
            }
            routes = routes.with(route(rule, rules::matching(rule, &above, None)));
        }
        routes
            .remark("What no rule covers keeps the bucket's own answer.")
            .with(self.read(self.matching([])))
    }

    /// Where the attempts go of what a rule mirrors, if that is streamed.
    fn choice(self, rules: &RuleSet, rule: &Rule, plan: &Plan) -> Option<Choice> {
        let Action::Mirror(mirrored) = &rule.action else { return None };
        if !rules::is_streamed(rules, rule, self.bucket.reads.value) {
            return None;
        }
        let name = &self.bucket.name.value.0;
        let first = match self.bucket.reads.value {
            Reads::Passthrough => read(name),
            Reads::Signed => signed(name),
        };
        let origin = plan.origins.get(&mirrored.server(mirrored.url.origin()))?;
        Some(Choice { first, origin: mirror(origin, plan), goes_on: rules.attempts(rule) > 1 })
    }

    /// The requests for the bucket, of which some more is known.
    fn matching<const N: usize>(self, headers: [Map; N]) -> Map {
        let matching = match self.named {
            Named::Host => Map::new().with("prefix", "/"),
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

    /// A read, as this bucket has them.
    fn read(self, matching: Map) -> Map {
        match self.bucket.reads.value {
            Reads::Passthrough => self.unsigned(matching),
            Reads::Signed => self.signed(matching, self.signed_cluster()),
        }
    }

    /// What reaches the bucket as it came.
    fn unsigned(self, matching: Map) -> Map {
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
            (Addressing::Path, Named::Host) => {
                (authority, Some("^/".to_owned()), format!("/{name}/"))
            }
            (Addressing::Virtual, Named::Path) => {
                let pattern = format!("^/{}(?:/|$)", name.0.replace('.', "\\."));
                (format!("{name}.{authority}"), Some(pattern), "/".to_owned())
            }
            (Addressing::Virtual, Named::Host) => {
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
const CHOICES: &str = "Where a request goes that a rule mirrors: at first to the bucket, then to the \
                       origin. Where that has sent on to, or where a later rule has the object, the \
                       filter on the origin's side says.";

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
