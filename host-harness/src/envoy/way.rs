//! The way of a request to its bucket, by how either names it.
//!
//! Owns which requests may be misses, and what becomes of host and path on that way.

use std::time::Duration;

use back_to_origin::miss_route::{ORIGINAL_HOST, ORIGINAL_PATH, SERVER};
use back_to_origin::rule::{Action, Rule, RuleSet};

use super::bootstrap::seconds;
use super::clusters::{self, ATTEMPTS_AT_BUCKETS};
use super::yaml::{List, Map};
use super::{access_log, filter, misses, scripts};
use crate::deployment::{Addressing, Bucket, Loaded, Reads};

/// The headers by which a client signs.
pub(super) const SIGNATURE: [&str; 4] =
    ["authorization", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"];

/// Where a request has its bucket's name.
#[derive(Clone, Copy)]
pub(super) enum Named {
    /// In its host.
    Host,
    Path,
}

/// Which answers of a bucket are misses.
#[derive(Clone, Copy)]
pub(super) struct Misses<'a> {
    pub(super) loaded: &'a Loaded,
    pub(super) rules: &'a RuleSet,
}

/// A bucket, by one of the ways to name it.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) bucket: &'a Bucket,
    pub(super) named: Named,
    /// How long the store may take to answer what clients write.
    pub(super) patience: Duration,
    /// None where the filter stands before the buckets.
    pub(super) misses: Option<Misses<'a>>,
    /// Whether requests are recorded.
    pub(super) is_recorded: bool,
}

/// The paths of a route, and what stands before the key then.
struct Paths {
    matching: Map,
    rewrite: Option<String>,
}

impl Way<'_> {
    /// The routes to the bucket.
    pub(super) fn routes(self, mut routes: List) -> List {
        let is_signed = self.bucket.reads.value == Reads::Signed;
        let heads = self.misses.is_some_and(|misses| misses.rules.iter().any(Rule::allows_head));
        let is_told = self.misses.is_some_and(|misses| misses.rules.stores());
        for (method, is_missed) in [("GET", self.misses.is_some()), ("HEAD", heads)] {
            if is_signed {
                routes = routes.remark(SIGNED);
                for Paths { matching, rewrite } in self.paths() {
                    let route = self.route(by(matching, method), is_missed, true);
                    routes = routes.with(shared(self.addressed(route, rewrite, is_missed)));
                }
            } else if is_missed || is_told {
                routes = routes.with(shared(self.route(self.asked(method), is_missed, false)));
            }
        }
        let patience = Map::new().with("idle_timeout", seconds(self.patience));
        let rest = self.route(self.everything(), false, false).extend("route", patience);
        if is_told {
            return routes
                .remark(&format!("{WRITES} {SLOW}"))
                .with(rest.with("typed_per_filter_config", filter::on()));
        }
        routes.remark(SLOW).with(rest)
    }

    /// Requests for the bucket.
    fn everything(self) -> Map {
        match self.named {
            Named::Host => Map::new().with("prefix", "/"),
            // The bucket itself and what is below it, but no bucket whose name only begins like it.
            Named::Path => {
                Map::new().with("path_separated_prefix", format!("/{}", self.bucket.name.value))
            }
        }
    }

    fn asked(self, method: &str) -> Map {
        by(self.everything(), method)
    }

    /// The paths of signed reads, as the store has them.
    fn paths(self) -> Vec<Paths> {
        let name = &self.bucket.name.value;
        let below = |prefix: String, rewrite: Option<&str>| Paths {
            matching: Map::new().with("prefix", prefix),
            rewrite: rewrite.map(str::to_owned),
        };
        match (self.bucket.addressing, self.named) {
            (Addressing::Path, Named::Path) => {
                vec![Paths { matching: self.everything(), rewrite: None }]
            }
            (Addressing::Virtual, Named::Host) => vec![below("/".to_owned(), None)],
            (Addressing::Path, Named::Host) => {
                vec![below("/".to_owned(), Some(&format!("/{name}/")))]
            }
            (Addressing::Virtual, Named::Path) => {
                let itself = Map::new().with("path", format!("/{name}"));
                vec![
                    below(format!("/{name}/"), Some("/")),
                    Paths { matching: itself, rewrite: Some("/".to_owned()) },
                ]
            }
        }
    }

    fn route(self, matching: Map, is_missed: bool, is_signed: bool) -> Map {
        let name = &self.bucket.name.value.0;
        let server = if is_signed { clusters::signed(name) } else { clusters::read(name) };
        let route = Map::new().with("match", matching);
        let Some(Misses { loaded, rules }) = self.misses.filter(|_| is_missed) else {
            let way = Map::new().with("cluster", server).with("timeout", "0s");
            let recorded = self
                .is_recorded
                .then(|| Map::new().with("filter_metadata", access_log::metadata(name)));
            let route = route.with("route", way.maybe("retry_policy", self.elsewhere()));
            return route.maybe("metadata", recorded);
        };
        let is_heard = hears(rules);
        let cluster = if is_heard { ATTEMPTS_AT_BUCKETS } else { &server };
        let way = Map::new()
            .with("cluster", cluster)
            .with("timeout", "0s")
            .maybe("retry_policy", self.elsewhere().filter(|_| !is_heard))
            .with("internal_redirect_policy", misses::first_turn(loaded).shared("first-turn"));
        let told = Map::new().with("bucket", &**name).with("misses", misses(rules));
        let told = told.maybe("heard", is_heard.then_some(true));
        let recorded = if self.is_recorded { access_log::metadata(name) } else { Map::new() };
        let metadata = Map::new().with("filter_metadata", recorded.with(scripts::GUARD, told));
        let server = is_heard.then(|| List::new().with(header(SERVER, &server)));
        route
            .with("route", way)
            .with("metadata", metadata)
            .maybe("typed_per_filter_config", rules.has_any_status().then(filter::on))
            .maybe("request_headers_to_add", server)
    }

    /// Another of the bucket's servers, where one cannot be connected to.
    fn elsewhere(self) -> Option<Map> {
        let others = self.bucket.endpoint.others.len();
        let kind = "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate";
        let other = Map::new()
            .with("name", "envoy.retry_host_predicates.previous_hosts")
            .with("typed_config", Map::typed(kind));
        (others > 0).then(|| {
            Map::new()
                .with("retry_on", "connect-failure")
                .with("num_retries", others as u64)
                .with("retry_host_predicate", List::new().with(other))
                .with("host_selection_retry_max_attempts", 3_u64)
        })
    }

    /// Host and path by which a signed request names its bucket to the store.
    fn addressed(self, route: Map, rewrite: Option<String>, is_missed: bool) -> Map {
        let authority = self.bucket.endpoint.authority();
        let host = match self.bucket.addressing {
            Addressing::Path => authority,
            Addressing::Virtual => format!("{}.{authority}", self.bucket.name.value),
        };
        let mut kept = List::new();
        if is_missed {
            kept = kept.with(header(ORIGINAL_HOST, "%REQ(:authority)%"));
            if rewrite.is_some() {
                kept = kept.with(header(ORIGINAL_PATH, "%REQ(:path)%"));
            }
        }
        let gone: List = SIGNATURE.into_iter().collect();
        let address =
            Map::new().with("host_rewrite_literal", host).maybe("prefix_rewrite", rewrite);
        route
            .extend("route", address)
            .with("request_headers_to_remove", gone)
            .append("request_headers_to_add", kept)
    }
}

/// The same, with what a bucket's reads have in common written out once.
fn shared(route: Map) -> Map {
    route.share("route", "read").share("metadata", "told")
}

/// Of these requests those with a method.
fn by(matching: Map, method: &str) -> Map {
    let exact = Map::new().with("exact", method);
    let header = Map::new().with("name", ":method").with("string_match", exact);
    matching.with("headers", List::new().with(header))
}

fn header(name: &str, value: &str) -> Map {
    Map::new().with("header", Map::new().with("key", name).with("value", value))
}

/// Whether rules are about a bucket that fails: of that Envoy itself may have to tell.
pub(super) fn hears(rules: &RuleSet) -> bool {
    (500..600).any(|status| is_about(rules, status))
}

/// The statuses that rules are about, as the guard reads them.
fn misses(rules: &RuleSet) -> String {
    let mut words = Vec::new();
    // Of these the filter knows whether the client means a version that the bucket has.
    let is_about =
        |rules: &RuleSet, status| is_about(rules, status) || (status == 412 && rules.stores());
    for class in [4_u16, 5] {
        let statuses = || class * 100..class * 100 + 100;
        let named: Vec<_> = statuses().filter(|status| is_about(rules, *status)).collect();
        // A class never holds 403, which has to be named.
        if named.len() + usize::from(class == 4) >= 100 {
            words.push(format!("{class}xx"));
            words.extend((class == 4 && !is_about(rules, 403)).then(|| "!403".to_owned()));
        } else {
            words.extend(named.iter().map(u16::to_string));
        }
    }
    words.join(" ")
}

fn is_about(rules: &RuleSet, status: u16) -> bool {
    rules.iter().any(|rule| {
        let statuses = &rule.condition.statuses;
        statuses.contains(status) && (status != 403 || statuses.names(403))
    })
}

/// What an object that was mirrored once goes on saying, by what is kept of it.
pub(super) fn kept<'r>(rules: impl IntoIterator<Item = &'r RuleSet>) -> List {
    let (mut mirrors, mut keeps_date) = (false, false);
    for rule in rules.into_iter().flat_map(RuleSet::iter) {
        match &rule.action {
            Action::External(_) => {}
            Action::Mirror(mirror) => {
                mirrors = true;
                keeps_date |= mirror.keeping.last_modified;
            }
        }
    }
    let mut kept = List::new();
    if mirrors {
        let tag = header("x-oss-tag", "%RESP(x-amz-meta-x-oss-tag)%");
        kept = kept.with(tag.with("append_action", "ADD_IF_ABSENT"));
    }
    if keeps_date {
        let date = header("last-modified", "%RESP(x-amz-meta-x-oss-last-modified)%");
        kept = kept.with(date.with("append_action", "OVERWRITE_IF_EXISTS_OR_ADD"));
    }
    kept
}

/// Why what is no read may stand still for longer.
const SLOW: &str = "A store may complete an upload in silence for minutes.";

/// Why writes meet the filter.
const WRITES: &str = "No copy that began before replaces what a client writes: the filter is told.";

/// Whose signature a read has.
const SIGNED: &str = "Reads are signed with the bucket's own key, whoever the client is; a \
                      signature of its own goes, here or in its query.";
