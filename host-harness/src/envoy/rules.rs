//! Mirror rules as routes: which requests they are about, and where each attempt at an origin goes.
//!
//! Owns what makes the router try again: only the filter's word that an object is to be asked for
//! elsewhere, or, where a miss cannot be a request of its own, the bucket's that it has none; never a
//! connection that failed.
//!
//! The judge, by which the router is told so, is a header that Envoy takes off every answer by
//! itself.

use back_to_origin::rule::{Action, IncludeHeader, Rule, RuleSet};
use back_to_origin::visit::attempt::{AGAIN, CLUSTER, COUNT, JUDGE};

use super::pattern;
use super::yaml::{List, Map};
use crate::deployment::Reads;

/// The filter that judges a bucket's answers.
pub(super) fn judge() -> Map {
    let markers = "%RESP(:status)%/%RESP(x-amz-delete-marker?x-oss-delete-marker)%";
    let append = header_value(JUDGE, markers, "OVERWRITE_IF_EXISTS_OR_ADD");
    let mutation = Map::new().with("append", append).flow();
    Map::new().with("name", "envoy.filters.http.header_mutation").with(
        "typed_config",
        Map::typed("envoy.extensions.filters.http.header_mutation.v3.HeaderMutation")
            .with("mutations", Map::new().with("response_mutations", List::new().with(mutation))),
    )
}

/// What an object that was mirrored once goes on saying, by what is kept of it.
pub(super) fn kept<'r>(rules: impl IntoIterator<Item = &'r RuleSet>) -> List {
    let keeps_date = |rule: &Rule| match &rule.action {
        Action::External(_) => false,
        Action::Mirror(mirror) => mirror.keeping.last_modified,
    };
    let tag = header_value("x-oss-tag", "%RESP(x-amz-meta-x-oss-tag)%", "ADD_IF_ABSENT");
    let date = rules.into_iter().flat_map(RuleSet::iter).any(keeps_date).then(|| {
        let kept = "%RESP(x-amz-meta-x-oss-last-modified)%";
        header_value("last-modified", kept, "OVERWRITE_IF_EXISTS_OR_ADD").flow()
    });
    let mut kept = List::new().with(tag.flow());
    kept.extend(date);
    kept
}

fn header_value(key: &str, value: &str, action: &str) -> Map {
    let header = Map::new().with("key", key).with("value", value);
    Map::new().with("header", header).with("append_action", action)
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
    rules.streams(rule) && !(reads == Reads::Signed && goes_back(rules, rule))
}

/// Whether what a rule mirrors, or a rule behind it, depends on what a miss loses when it becomes a
/// request of its own: the host that the client asked.
pub(super) fn needs_host(rules: &RuleSet, rule: &Rule) -> bool {
    let mut headers = rules.iter().flat_map(|rule| &rule.condition.headers);
    headers.any(|header| header.name == "host") || goes_back(rules, rule)
}

/// Whether the router itself tries again where the bucket has nothing: for a HEAD, which would become
/// a GET as a request of its own, and for what needs the host.
pub(super) fn is_tried_again(rules: &RuleSet, rule: &Rule, reads: Reads) -> bool {
    is_streamed(rules, rule, reads) && (rule.allows_head() || needs_host(rules, rule))
}

/// Whether it does for any rule.
pub(super) fn is_any_tried_again(rules: &RuleSet, reads: Reads) -> bool {
    in_order(rules).into_iter().any(|rule| is_tried_again(rules, rule, reads))
}

/// Whether a client may be sent to the host that it has asked, where the origin has nothing.
fn goes_back(rules: &RuleSet, rule: &Rule) -> bool {
    let falls_through = match &rule.action {
        Action::External(_) => false,
        Action::Mirror(mirror) => mirror.fall_through,
    };
    let goes_back = |next: &Rule| match &next.action {
        Action::External(external) => external.host_name.is_none(),
        Action::Mirror(_) => false,
    };
    falls_through && rules.iter().any(goes_back)
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

/// Whether a path without a query that starts as the keys of a rule do is for no other rule, when
/// that is the first. So nothing more of it is looked at before the bucket is asked; whether it names
/// a key at all is seen to when that has none.
pub(super) fn is_by_prefix(rule: &Rule) -> bool {
    let condition = &rule.condition;
    condition.key_suffix.is_empty() && !condition.key_prefix.contains('%')
}

/// The same for a path that stands for itself, as nearly all do: without an encoding, a query, or
/// dots to resolve. No pattern has to be run for it. `None` where that cannot be said so.
///
/// `by_prefix`: see [`is_by_prefix`].
pub(super) fn plainly(rule: &Rule, above: &str, by_prefix: bool) -> Option<Map> {
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
    let signs: &[&str] = if by_prefix { &["?"] } else { &["%", "?", ".."] };
    let mut headers = List::new().with(get.flow());
    headers.extend(signs.iter().map(|sign| lacks(sign)));
    if !suffix.is_empty() {
        headers = headers.with(is("suffix", suffix).flow());
    } else if prefix.is_empty() && !by_prefix {
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

/// Which cluster each attempt goes to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Choice {
    /// The cluster of the first attempt, a bucket's; none where it is known that the bucket has
    /// nothing.
    pub(super) bucket: Option<String>,
    /// The next, the MirrorURL's.
    pub(super) origin: String,
    /// How many there may be from then on, of which the filter names the clusters.
    pub(super) attempts: u32,
}

impl Choice {
    /// By what routes call it.
    pub(super) fn name(&self) -> String {
        let bucket = self.bucket.as_ref().map(|bucket| format!("{bucket}/"));
        let on = if self.attempts > 1 { "/on" } else { "" };
        format!("{}{}{on}", bucket.unwrap_or_default(), self.origin)
    }

    /// The choice, for requests that may come to any of these origins: the name that the filter has
    /// for its cluster, and that of the one that streams. `None` where there is none.
    pub(super) fn plugin(&self, origins: &[(String, String)]) -> Option<Map> {
        let goes_on = self.attempts > 1;
        let choice = match &self.bucket {
            None if !goes_on => return None,
            None => self.named(origins, &self.origin),
            Some(bucket) => {
                let otherwise = match goes_on {
                    // The filter has taken the count off by then, with all else that is not the
                    // origin's.
                    true => Map::new().with("matcher", self.named(origins, bucket)),
                    false => action(bucket),
                };
                self.counted().with("on_no_match", otherwise)
            }
        };
        let specifier = Map::typed(
            "envoy.extensions.router.cluster_specifiers.matcher.v3.MatcherClusterSpecifier",
        );
        let specifier = specifier.with("cluster_matcher", choice);
        let extension = Map::new().with("name", self.name()).with("typed_config", specifier);
        Some(Map::new().with("extension", extension))
    }

    /// The origin, for an attempt after the bucket's.
    fn counted(&self) -> Map {
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
        Map::new().with("matcher_list", list)
    }

    /// The cluster that the filter has named, or else this one.
    fn named(&self, origins: &[(String, String)], otherwise: &str) -> Map {
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
        Map::new().with("matcher_tree", tree).with("on_no_match", action(otherwise))
    }

    /// The way of a request, with what else is on that way.
    pub(super) fn way(&self, way: Map) -> Map {
        if self.bucket.is_none() && self.attempts <= 1 {
            return way.with("cluster", &*self.origin);
        }
        let answers: &[&str] = match self.bucket {
            Some(_) => &["404/", "404/false", AGAIN],
            None => &[AGAIN],
        };
        let answers = answers.iter().map(|text| {
            let same = Map::new().with("exact", *text).with("ignore_case", true);
            Map::new().with("name", JUDGE).with("string_match", same).flow()
        });
        // The bucket's attempt is the one that is no retry; where there is none, the first is.
        let retries = self.attempts - u32::from(self.bucket.is_none());
        let retry = Map::new()
            .remark(match self.bucket {
                Some(_) => {
                    "Nothing makes another attempt but the bucket's 404 and the filter's word: \
                     above all no failure to reach a server."
                }
                None => "Nothing makes another attempt but the filter's word.",
            })
            .with("retry_on", "retriable-headers")
            .with("retriable_headers", answers.collect::<List>())
            .with("num_retries", u64::from(retries))
            .with("refresh_cluster_on_retry", true)
            .remark("The least it takes; the default is 25 ms.")
            .with("retry_back_off", Map::new().with("base_interval", "0.001s").flow());
        way.with("cluster_specifier_plugin", self.name()).with("retry_policy", retry)
    }
}

fn action(cluster: &str) -> Map {
    let typed = Map::typed("envoy.extensions.router.cluster_specifiers.matcher.v3.ClusterAction");
    let action =
        Map::new().with("name", "cluster").with("typed_config", typed.with("cluster", cluster));
    Map::new().with("action", action)
}
