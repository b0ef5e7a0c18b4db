//! Whether the table has a row for every element of the rules that shows on the wire.
//!
//! The vocabulary says which elements there are. One counts as shown where a rule of some group has
//! it and applies to what a row of that group asks, on both data paths.

use std::collections::BTreeSet;

use back_to_origin::explain::{Outcome, Question, explain};
use back_to_origin::rule::RuleSet;
use back_to_origin::rule::element::{self, Support};
use percent_encoding::percent_decode;
use serde_json::Value;

use super::{
    Group, behind, buckets, conditions, digests, failures, header_rules, heads, keeping, keys,
    large, mirror, passthrough, places, queries, ranges, redirects, write_back,
};
use crate::support::gateway::Path;

/// The groups that run. What one that is forgotten here shows counts for nothing.
const GROUPS: &[fn(Path) -> Group] = &[
    behind::behind_on,
    buckets::several_buckets_on,
    buckets::rule_order_on,
    conditions::conditions_on,
    digests::digests_on,
    failures::failures_on,
    failures::patience_on,
    header_rules::header_rules_on,
    heads::heads_on,
    keeping::keeping_on,
    keys::keys_on,
    large::large_on,
    mirror::mirror_on,
    passthrough::passthrough_on,
    places::redirects_of_origins_on,
    places::alternates_on,
    places::alternates_after_any_error_on,
    places::later_rules_on,
    places::twenty_rules_on,
    places::a_bucket_that_fails_on,
    places::a_bucket_that_is_down_on,
    queries::queries_on,
    ranges::ranges_on,
    redirects::redirects_on,
    redirects::a_store_that_is_down_on,
    write_back::write_back_on,
];

/// Elements that a row cannot show, and why; where something else shows them on every host, what.
const NOT_IN_ROWS: &[(&str, &str)] = &[
    ("Redirect/MirrorAuth", "its origin is a store that checks signatures: mirror_auth.rs"),
    ("Redirect/MirrorBitsPerSecond", "it is about time: quota.rs"),
    ("Redirect/MirrorConnectTimeout", "no row's origin takes no connection: streaming/bounds.rs"),
    ("Redirect/MirrorIdleTimeout", "it is about what streams: streaming/bounds.rs"),
    ("Redirect/MirrorNegativeCache", "it is about requests that follow: absent.rs"),
    ("Redirect/MirrorRequestsPerSecond", "it is about time: quota.rs"),
    ("Redirect/MirrorSNI", "it changes nothing: the name is always told, as in golden.rs"),
    ("Redirect/MirrorURLProbe", "what it says counts from some later request on: probe.rs"),
    (
        "Redirect/MirrorMultiAlternates/MirrorMultiAlternate/MirrorMultiAlternateVpcId",
        "it is refused",
    ),
    (
        "Redirect/MirrorMultiAlternates/MirrorMultiAlternate/MirrorMultiAlternateDstRegion",
        "it is refused",
    ),
];

#[test]
fn each_element_that_shows_on_the_wire_has_a_row() {
    let refused: BTreeSet<String> = element::REDIRECT
        .iter()
        .filter_map(|element| match element.support {
            Support::Honoured | Support::Extension => None,
            Support::Refused(_) | Support::RefusedWhenOn(_) => Some(element.name),
        })
        .map(|name| format!("Redirect/{name}"))
        .chain(element::REFUSED_ELSEWHERE.iter().map(|(name, _)| (*name).to_owned()))
        .collect();
    let excused: BTreeSet<String> =
        NOT_IN_ROWS.iter().map(|(path, _)| (*path).to_owned()).collect();
    let known: BTreeSet<String> = element::paths().collect();
    assert!(excused.is_subset(&known), "{excused:?}");
    for path in [Path::Callout, Path::Streaming] {
        let shown = shown(path);
        let missing: Vec<_> = known
            .iter()
            .filter(|element| {
                ![&shown, &refused, &excused].iter().any(|set| set.contains(*element))
            })
            .collect();
        assert!(missing.is_empty(), "{path:?}: no row shows {missing:?}");
        let needless: Vec<_> = excused.intersection(&shown).collect();
        assert!(needless.is_empty(), "{path:?}: rows do show {needless:?}");
    }
}

/// The elements that rows show: those of each rule that applies to a request of a row's.
fn shown(path: Path) -> BTreeSet<String> {
    let mut shown = BTreeSet::new();
    for group in GROUPS {
        let group = group(path);
        for (bucket, rules) in &group.buckets {
            // Any name will do for a server that is not asked.
            let servers = ["origin", "other", "closed"];
            let text = servers.into_iter().fold(rules.to_string(), |text, server| {
                text.replace(&format!("{{{server}}}"), server)
            });
            let set = RuleSet::from_json(text.as_bytes());
            let set = set.rules.unwrap_or_else(|| panic!("{}: {:?}", group.name, set.findings));
            let met = met(&group, bucket, &set);
            let rules = rules.as_array().into_iter().flatten();
            for rule in rules.filter(|rule| met.contains(&rule["RuleNumber"].as_u64())) {
                collect(rule, "", &mut shown);
            }
        }
    }
    shown
}

/// The numbers of the rules that some row meets.
fn met(group: &Group, bucket: &str, rules: &RuleSet) -> BTreeSet<Option<u64>> {
    let mut met = BTreeSet::new();
    let prefix = format!("/{bucket}/");
    for row in &group.rows {
        let scripted = row.store_always.iter().map(|(_, _, reply)| reply.status());
        for status in scripted.chain([404]) {
            for request in row.steps.iter().map(|step| &step.request) {
                let Some(key) = request.path().strip_prefix(prefix.as_bytes()) else { continue };
                let headers = request.headers.iter().map(|(name, value)| {
                    (name.clone(), String::from_utf8_lossy(value).into_owned())
                });
                let explanation = explain(
                    rules,
                    &Question {
                        bucket: bucket.to_owned(),
                        method: request.method.clone(),
                        key: percent_decode(key).collect(),
                        query: String::new(),
                        headers: headers.collect(),
                        status,
                    },
                );
                let applies = match explanation.outcome {
                    Outcome::Fail { .. } | Outcome::Mirror { .. } | Outcome::Redirect { .. } => {
                        true
                    }
                    Outcome::Pass { .. } => false,
                };
                let last = explanation.rules.last().filter(|_| applies);
                met.extend(last.map(|step| Some(u64::from(step.rule))));
            }
        }
    }
    met
}

fn collect(node: &Value, above: &str, found: &mut BTreeSet<String>) {
    match node {
        Value::Object(fields) => {
            for (name, node) in fields {
                let path = format!("{above}{name}");
                collect(node, &format!("{path}/"), found);
                found.insert(path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, above, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
