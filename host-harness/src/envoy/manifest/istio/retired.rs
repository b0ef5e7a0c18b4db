//! Servers that no rule names any more: they stay in the manifests for a while, as the proxies' rules
//! change behind their servers, and what is under way speaks to the old ones.
//!
//! Owns since when each is one, which stands in its metadata.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// How long one stays at least, in seconds: until what was made with it last is applied everywhere.
const STAYS: u64 = 600;

/// How many of them there are at most; those retired last stay.
const MOST: usize = 32;

/// Where it stands since when nobody names a server.
const METADATA: [&str; 3] = ["metadata", "filter_metadata", "back-to-origin"];

/// The servers of earlier manifests that stay beside these names; `now` in seconds of Unix time.
pub(super) fn staying(earlier: &Value, names: &BTreeSet<String>, now: u64) -> Vec<Value> {
    let patches = earlier["spec"]["configPatches"].as_array().map_or(&[][..], Vec::as_slice);
    let mut staying: Vec<(u64, Value)> = patches
        .iter()
        .filter(|patch| patch["applyTo"] == "CLUSTER")
        .map(|patch| patch["patch"]["value"].clone())
        .filter(|cluster| cluster["name"].as_str().is_some_and(|name| !names.contains(name)))
        .map(|cluster| (since(&cluster).unwrap_or(now), cluster))
        .filter(|(since, _)| now.saturating_sub(*since) < STAYS)
        .collect();
    staying.sort_by_key(|(since, _)| std::cmp::Reverse(*since));
    staying.truncate(MOST);
    let marked = staying.into_iter().map(|(since, mut cluster)| {
        let [metadata, filters, own] = METADATA;
        cluster[metadata] = json!({ filters: { own: { "retired": since } } });
        cluster
    });
    marked.collect()
}

fn since(cluster: &Value) -> Option<u64> {
    let metadata = METADATA.iter().try_fold(cluster, |value, name| value.get(name))?;
    metadata["retired"].as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifests(clusters: &[Value]) -> Value {
        let patch =
            |cluster: &Value| json!({ "applyTo": "CLUSTER", "patch": { "value": cluster } });
        json!({ "spec": { "configPatches": clusters.iter().map(patch).collect::<Vec<_>>() } })
    }

    #[test]
    fn a_server_stays_until_a_later_run_finds_it_old() {
        let names = BTreeSet::from(["a".to_owned()]);
        let earlier = manifests(&[json!({ "name": "a" }), json!({ "name": "b" })]);
        let first = staying(&earlier, &names, 1_000);
        assert_eq!(first.len(), 1);
        assert_eq!(first[0]["name"], "b");
        let second = staying(&manifests(&first), &names, 1_599);
        assert_eq!(second, first);
        assert_eq!(staying(&manifests(&first), &names, 1_600), Vec::<Value>::new());
        // One that is named again is no retired one.
        let both = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
        assert_eq!(staying(&manifests(&first), &both, 1_001), Vec::<Value>::new());
    }

    #[test]
    fn how_many_stay_is_bounded() {
        let all: Vec<Value> = (0..100).map(|at| json!({ "name": format!("o{at}") })).collect();
        assert_eq!(staying(&manifests(&all), &BTreeSet::new(), 1).len(), MOST);
    }
}
