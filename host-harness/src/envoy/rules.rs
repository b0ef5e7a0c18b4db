//! Mirror rules as routes: the router itself tries again at the origin.
//!
//! Owns which requests that is for, where each attempt goes, and what makes the router try again: only
//! the bucket's own word that it has no such object, or the filter's that it is to be asked for
//! elsewhere, never a connection that failed.
//!
//! The judge, by which the router is told so, is a header that Envoy takes off every answer by
//! itself: to have one of our own taken off would cost every hit more than all of the routing.

use back_to_origin::rule::{Action, IncludeHeader, Rule, RuleSet};
use back_to_origin::visit::attempt::{AGAIN, CLUSTER, COUNT, JUDGE};

use super::pattern;
use super::yaml::{List, Map, Yaml};
use crate::deployment::Reads;

/// The filter on a bucket's cluster that judges its answers, and gives back what is kept of the
/// origin's.
pub(super) fn judge(rules: &RuleSet) -> Map {
    let append = |key: &str, value: &str, action: &str| {
        let header = Map::new().with("key", key).with("value", value);
        Map::new()
            .with("append", Map::new().with("header", header).with("append_action", action))
            .flow()
    };
    let markers = "%RESP(:status)%/%RESP(x-amz-delete-marker?x-oss-delete-marker)%";
    let keeps_dates = rules.iter().any(|rule| match &rule.action {
        Action::External(_) => false,
        Action::Mirror(mirror) => mirror.keeping.last_modified,
    });
    let date = keeps_dates.then(|| {
        let kept = "%RESP(x-amz-meta-x-oss-last-modified)%";
        append("last-modified", kept, "OVERWRITE_IF_EXISTS_OR_ADD")
    });
    let mut mutations = List::new()
        .with(append(JUDGE, markers, "OVERWRITE_IF_EXISTS_OR_ADD"))
        .with(append("x-oss-tag", "%RESP(x-amz-meta-x-oss-tag)%", "ADD_IF_ABSENT"));
    mutations.extend(date);
    Map::new().with("name", "envoy.filters.http.header_mutation").with(
        "typed_config",
        Map::typed("envoy.extensions.filters.http.header_mutation.v3.HeaderMutation")
            .with("mutations", Map::new().with("response_mutations", mutations)),
    )
}

/// Whether anything is mirrored.
pub(super) fn mirrors(rules: &RuleSet) -> bool {
    rules.iter().any(|rule| matches!(rule.action, Action::Mirror(_)))
}

/// The rules that a 404 may be about, in order. What is behind the last that mirrors needs no
/// route.
pub(super) fn in_order(rules: &RuleSet) -> Vec<&Rule> {
    let about_a_miss = |rule: &&Rule| {
        let statuses = &rule.condition.statuses;
        statuses.is_empty() || statuses.contains(404)
    };
    let mut rules: Vec<_> = rules.iter().filter(about_a_miss).collect();
    while rules.last().is_some_and(|rule| matches!(rule.action, Action::External(_))) {
        rules.pop();
    }
    rules
}

/// Whether what a rule mirrors goes straight from the origin to the client.
pub(super) fn is_streamed(rules: &RuleSet, rule: &Rule, reads: Reads) -> bool {
    // Signed reads are readdressed before they come to the origins' side: a redirect to the host
    // the client asked is made before the buckets.
    let goes_back = |next: &Rule| match &next.action {
        Action::External(external) => external.host_name.is_none(),
        Action::Mirror(_) => false,
    };
    let falls_through = match &rule.action {
        Action::External(_) => false,
        Action::Mirror(mirror) => mirror.fall_through,
    };
    let goes_back = falls_through && reads == Reads::Signed && rules.iter().any(goes_back);
    rules.streams(rule) && !goes_back
}

/// What a rule is about, for people.
pub(super) fn about(rule: &Rule, is_streamed: bool) -> String {
    let (prefix, suffix) = (&rule.condition.key_prefix, &rule.condition.key_suffix);
    let keys = match (prefix.is_empty(), suffix.is_empty()) {
        (true, true) => "all keys".to_owned(),
        (false, true) => format!("keys that start with {prefix:?}"),
        (true, false) => format!("keys that end with {suffix:?}"),
        (false, false) => format!("keys that start with {prefix:?} and end with {suffix:?}"),
    };
    let headers: Vec<_> = rule.condition.headers.iter().map(ToString::to_string).collect();
    let keys = match headers.is_empty() {
        true => keys,
        false => format!("{keys}, asked for with {}", headers.join(" and ")),
    };
    match &rule.action {
        Action::External(_) => format!(
            "Rule {}: {keys}. The filter before the buckets redirects; no later rule may mirror \
             them.",
            rule.number
        ),
        Action::Mirror(mirror) if is_streamed => {
            format!("Rule {}: {keys}, from {}.", rule.number, mirror.url.origin())
        }
        Action::Mirror(mirror) => format!(
            "Rule {}: {keys}, from {}. Another server may be asked where one fails, so the filter \
             before the buckets fetches them.",
            rule.number,
            mirror.url.origin()
        ),
    }
}

/// Which requests a rule is about, of those with a method; `above` is what stands before the key in
/// a path.
pub(super) fn matching(rule: &Rule, above: &str, method: Option<Map>) -> Map {
    let condition = &rule.condition;
    let path = Map::new().with("regex", pattern::key(above, &condition.key_prefix));
    let matching = Map::new().with("safe_regex", path.flow());
    let suffix = &condition.key_suffix;
    let end = (!suffix.is_empty()).then(|| header(":path", &pattern::key_end(above, suffix)));
    let headers = condition.headers.iter().flat_map(include_header);
    let headers: Vec<_> = method.into_iter().chain(end).chain(headers).map(Map::flow).collect();
    if headers.is_empty() {
        return matching;
    }
    matching.with("headers", headers.into_iter().collect::<List>())
}

/// An `IncludeHeader`: a condition for each thing it says.
fn include_header(wanted: &IncludeHeader) -> Vec<Map> {
    let named = || Map::new().with("name", wanted.field());
    let like = |(word, text): (&str, &Option<String>)| {
        let text = text.as_deref()?;
        Some(named().with("string_match", Map::new().with(word, text)))
    };
    let said: Vec<Map> =
        [("exact", &wanted.equals), ("prefix", &wanted.starts_with), ("suffix", &wanted.ends_with)]
            .into_iter()
            .filter_map(like)
            .collect();
    match said.is_empty() {
        true => vec![named().with("present_match", true)],
        false => said,
    }
}

/// The same for a path that stands for itself, as nearly all do: without an encoding, a query, or
/// dots to resolve. No pattern has to be run for it. `None` where that cannot be said so.
pub(super) fn plainly(rule: &Rule, above: &str) -> Option<Map> {
    let (prefix, suffix) = (&rule.condition.key_prefix, &rule.condition.key_suffix);
    // Behind the last slash nothing but the key can be meant.
    if suffix.contains('/') {
        return None;
    }
    let is = |how: &str, text: &str| {
        let text = Map::new().with(how, text);
        Map::new().with("name", ":path").with("string_match", text)
    };
    let lacks = |text: &str| is("contains", text).with("invert_match", true).flow();
    let get = Map::new().with("name", ":method");
    let get = get.with("string_match", Map::new().with("exact", "GET"));
    let mut headers = List::new().with(get.flow());
    headers.extend(["%", "?", ".."].map(lacks).map(Yaml::from));
    if !suffix.is_empty() {
        headers = headers.with(is("suffix", suffix).flow());
    } else if prefix.is_empty() {
        // No key is empty.
        headers = headers.with(is("exact", above).with("invert_match", true).flow());
    }
    headers.extend(rule.condition.headers.iter().flat_map(include_header).map(Map::flow));
    Some(Map::new().with("prefix", format!("{above}{prefix}")).with("headers", headers))
}

/// A condition on a header.
pub(super) fn header(name: &str, pattern: &str) -> Map {
    let regex = Map::new().with("safe_regex", Map::new().with("regex", pattern));
    Map::new().with("name", name).with("string_match", regex)
}

/// The ways from a bucket to an origin: which cluster each attempt goes to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Choice {
    /// The cluster of the first attempt, a bucket's.
    pub(super) first: String,
    /// That of the second, the MirrorURL's.
    pub(super) origin: String,
    /// Whether there may be more, which the filter names.
    pub(super) goes_on: bool,
}

impl Choice {
    /// By what routes call it.
    pub(super) fn name(&self) -> String {
        let Self { first, origin, goes_on } = self;
        let on = if *goes_on { "/on" } else { "" };
        format!("{first}/{origin}{on}")
    }

    /// The choice, for requests that may come to any of these origins: the name that the filter has
    /// for its cluster, and that of the one that streams.
    pub(super) fn plugin(&self, origins: &[(String, String)]) -> Map {
        let input = Map::new().with("name", "attempt").with(
            "typed_config",
            Map::typed("envoy.type.matcher.v3.HttpRequestHeaderMatchInput")
                .with("header_name", COUNT),
        );
        let present = Map::new()
            .with("safe_regex", Map::new().with("google_re2", Map::new()).with("regex", ".+"));
        let predicate = Map::new().with(
            "single_predicate",
            Map::new().with("input", input).with("value_match", present.flow()),
        );
        let matcher =
            Map::new().with("predicate", predicate).with("on_match", action(&self.origin));
        let list = Map::new().with("matchers", List::new().with(matcher));
        let otherwise = match self.goes_on {
            // The filter has taken the count off by then, with all else that is not the origin's.
            true => Map::new().with("matcher", self.named(origins)),
            false => action(&self.first),
        };
        let choice = Map::new().with("matcher_list", list).with("on_no_match", otherwise);
        let specifier = Map::typed(
            "envoy.extensions.router.cluster_specifiers.matcher.v3.MatcherClusterSpecifier",
        );
        let specifier = specifier.with("cluster_matcher", choice);
        let extension = Map::new().with("name", self.name()).with("typed_config", specifier);
        Map::new().with("extension", extension)
    }

    /// The cluster that the filter has named, or else the bucket's.
    fn named(&self, origins: &[(String, String)]) -> Map {
        let state =
            Map::typed("envoy.extensions.matching.common_inputs.network.v3.FilterStateInput");
        let input = Map::new()
            .with("name", "named")
            .with("typed_config", state.with("key", format!("wasm.{CLUSTER}")));
        let clusters =
            origins.iter().fold(Map::new(), |map, (name, mirror)| map.with(name, action(mirror)));
        let tree = Map::new()
            .with("input", input)
            .with("exact_match_map", Map::new().with("map", clusters));
        Map::new().with("matcher_tree", tree).with("on_no_match", action(&self.first))
    }
}

fn action(cluster: &str) -> Map {
    let typed = Map::typed("envoy.extensions.router.cluster_specifiers.matcher.v3.ClusterAction");
    let action =
        Map::new().with("name", "cluster").with("typed_config", typed.with("cluster", cluster));
    Map::new().with("action", action)
}

/// The way of a request that a rule mirrors, with what else is on that way.
pub(super) fn retried(choice: &Choice, attempts: u32, way: Map) -> Map {
    let answers = ["404/", "404/false", AGAIN].map(|text| {
        let same = Map::new().with("exact", text).with("ignore_case", true);
        Map::new().with("name", JUDGE).with("string_match", same).flow()
    });
    let retry = Map::new()
        .remark(
            "Nothing makes another attempt but the bucket's 404 and the filter's word: above all no \
             failure to reach a server.",
        )
        .with("retry_on", "retriable-headers")
        .with("retriable_headers", answers.into_iter().collect::<List>())
        .with("num_retries", u64::from(attempts))
        .with("refresh_cluster_on_retry", true)
        .remark("The least it takes; the default is 25 ms.")
        .with("retry_back_off", Map::new().with("base_interval", "0.001s").flow());
    way.with("cluster_specifier_plugin", choice.name()).with("retry_policy", retry)
}
