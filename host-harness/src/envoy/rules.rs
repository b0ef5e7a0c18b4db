//! Mirror rules as routes: the router itself tries again at the origin.
//!
//! Owns which requests that is for, and what makes the router try again: only the bucket's own word
//! that it has no such object, never a connection that failed.

use back_to_origin::rule::{Action, IncludeHeader, Rule, RuleSet};

use super::pattern;
use super::yaml::{List, Map, Yaml};

/// The header by which the bucket's cluster tells the router what it was answered. It is between
/// the two, and no business of the client's: Envoy takes a header of this name, which is about one
/// connection alone, off every answer by itself. To have one of our own taken off would cost every
/// hit more than all of the routing.
const JUDGE: &str = "proxy-connection";

/// The header that names the attempt: it is there from the second on.
const ATTEMPT: &str = "x-envoy-attempt-count";

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
pub(super) fn is_streamed(rule: &Rule) -> bool {
    match &rule.action {
        Action::External(_) => false,
        Action::Mirror(mirror) => mirror.streams(),
    }
}

/// What a rule is about, for people.
pub(super) fn about(rule: &Rule) -> String {
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
        Action::Mirror(mirror) if mirror.streams() => {
            format!("Rule {}: {keys}, from {}.", rule.number, mirror.url.origin())
        }
        Action::Mirror(mirror) => format!(
            "Rule {}: {keys}, from {}. One answer may not be the last word, so the filter before \
             the buckets fetches them.",
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

/// The way of a request that a rule mirrors, with what else is on that way.
pub(super) fn retried(first: &str, origin: &str, way: Map) -> Map {
    let action = |cluster: &str| {
        let typed =
            Map::typed("envoy.extensions.router.cluster_specifiers.matcher.v3.ClusterAction");
        Map::new().with(
            "action",
            Map::new().with("name", "cluster").with("typed_config", typed.with("cluster", cluster)),
        )
    };
    let input = Map::new().with("name", "attempt").with(
        "typed_config",
        Map::typed("envoy.type.matcher.v3.HttpRequestHeaderMatchInput")
            .with("header_name", ATTEMPT),
    );
    let present = Map::new()
        .with("safe_regex", Map::new().with("google_re2", Map::new()).with("regex", ".+"));
    let predicate = Map::new().with(
        "single_predicate",
        Map::new().with("input", input).with("value_match", present.flow()),
    );
    let matcher = Map::new().with("predicate", predicate).with("on_match", action(origin));
    let list = Map::new().with("matchers", List::new().with(matcher));
    let choice = Map::new().with("matcher_list", list).with("on_no_match", action(first));
    let specifier = Map::new().with(
        "extension",
        Map::new().with("name", "attempt").with(
            "typed_config",
            Map::typed(
                "envoy.extensions.router.cluster_specifiers.matcher.v3.MatcherClusterSpecifier",
            )
            .with("cluster_matcher", choice),
        ),
    );
    let misses = ["404/", "404/false"].map(|text| {
        let same = Map::new().with("exact", text).with("ignore_case", true);
        Map::new().with("name", JUDGE).with("string_match", same).flow()
    });
    let retry = Map::new()
        .remark("Nothing but the bucket's 404 makes a second attempt: above all no failure to reach it.")
        .with("retry_on", "retriable-headers")
        .with("retriable_headers", misses.into_iter().collect::<List>())
        .with("num_retries", 1_u64)
        .with("refresh_cluster_on_retry", true)
        .remark("The least it takes; the default is 25 ms.")
        .with("retry_back_off", Map::new().with("base_interval", "0.001s").flow());
    way.remark("The first attempt goes to the bucket, the second to the origin.")
        .with("inline_cluster_specifier_plugin", specifier)
        .with("retry_policy", retry)
}
