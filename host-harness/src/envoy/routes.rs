//! `routes.yaml`: which request goes to which cluster.
//!
//! Owns how a request names its bucket. Nothing is decoded or tidied on the way.

use std::collections::{BTreeMap, BTreeSet};

use super::clusters::mirror;
use super::rules::Choice;
use super::virtual_host::Host;
use super::way::{Named, Way};
use super::yaml::{List, Map};
use super::{DataPath, Settings, filter, misses, rules};
use crate::deployment::{Loaded, Plan};

/// The name of the route configuration.
pub(super) const NAME: &str = "buckets";

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

/// What the choices are.
const CHOICES: &str = "Where a request goes that takes more than one attempt. Where an origin has \
                       sent on to, or where a later rule has the object, the filter on the origin's \
                       side says.";
