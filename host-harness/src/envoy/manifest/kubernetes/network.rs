//! Whom the pods may speak to: the resolver, the stores and the origins.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::super::{List, Map, list};
use crate::address::{V4, V6};
use crate::deployment::{Loaded, Plan};
use crate::gateway::Endpoint;

/// What the policy is.
pub(super) const ABOUT: &str = "Whom the pods may speak to. A policy knows no names: of what is outside of the cluster it names \
     the ports, and leaves out all that is on the inside of a network.";

/// Where a server is, as a policy can say it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Place {
    /// At an address.
    Address(IpAddr),
    /// In some pod of the cluster.
    Cluster,
    /// Anywhere but on the inside.
    Outside,
    /// Anywhere at all: origins may be on the inside.
    Anywhere,
}

pub(super) fn policy(loaded: &Loaded, resource: Map, selector: Map) -> Map {
    let deployment = &loaded.deployment;
    let plan = Plan::new(loaded);
    let mut servers = BTreeSet::new();
    for bucket in &deployment.buckets.value {
        for endpoint in std::iter::once(&bucket.endpoint.first).chain(&bucket.endpoint.others) {
            servers.insert((place(endpoint), endpoint.port));
        }
    }
    for endpoint in plan.clusters.iter().skip(deployment.buckets.value.len()).map(|c| &c.endpoint) {
        let place = match place(endpoint) {
            Place::Outside if deployment.allow_internal_origins => Place::Anywhere,
            other @ (Place::Address(_) | Place::Cluster | Place::Outside | Place::Anywhere) => {
                other
            }
        };
        servers.insert((place, endpoint.port));
    }
    if let Some(tracing) = &deployment.tracing {
        servers.insert((place(&tracing.otlp), tracing.otlp.port));
    }
    let resolver = ["UDP", "TCP"].map(|protocol| port(53).with("protocol", protocol));
    let resolver = Map::new()
        .with("to", List::new().with(Map::new().with("namespaceSelector", Map::new())))
        .with("ports", list(resolver));
    let mut egress = List::new().remark("The resolver.").with(resolver);
    let places: BTreeSet<Place> = servers.iter().map(|(place, _)| *place).collect();
    for place in places {
        let ports = servers.iter().filter(|(of, _)| *of == place).map(|(_, number)| port(*number));
        let rule = Map::new().maybe("to", peers(place)).with("ports", list(ports));
        egress = egress.remark(about(place)).with(rule);
    }
    let asked = ["clients", "health"].map(|name| Map::new().with("port", name));
    let spec = Map::new()
        .with("podSelector", selector)
        .with("policyTypes", list(["Ingress", "Egress"]))
        .with("ingress", List::new().with(Map::new().with("ports", list(asked))))
        .with("egress", egress.apart());
    resource.with("spec", spec)
}

fn port(number: u16) -> Map {
    Map::new().with("port", number)
}

fn place(endpoint: &Endpoint) -> Place {
    let host = endpoint.host.trim_matches(['[', ']']);
    if let Ok(address) = host.parse() {
        return Place::Address(address);
    }
    let ends = [".svc", ".cluster.local"];
    match !host.contains('.') || ends.iter().any(|end| host.ends_with(end)) {
        true => Place::Cluster,
        false => Place::Outside,
    }
}

const fn about(place: Place) -> &'static str {
    match place {
        Place::Address(_) => "Servers by their addresses.",
        Place::Cluster => "Servers in the cluster.",
        Place::Outside => "Servers on the Internet.",
        Place::Anywhere => "Origins, which `allow_internal_origins` lets be anywhere.",
    }
}

fn peers(place: Place) -> Option<List> {
    let block = |cidr: String, except: Option<List>| {
        let block = Map::new().with("cidr", cidr).maybe("except", except);
        Map::new().with("ipBlock", block)
    };
    match place {
        Place::Address(address) => {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            Some(List::new().with(block(format!("{address}/{bits}"), None)))
        }
        Place::Cluster => Some(List::new().with(Map::new().with("namespaceSelector", Map::new()))),
        Place::Outside => {
            let v4 = list(V4.iter().map(|(net, bits, _)| format!("{net}/{bits}")));
            let v6 = list(V6.iter().map(|(net, bits, _)| format!("{net}/{bits}")));
            let all = List::new().with(block("0.0.0.0/0".to_owned(), Some(v4)));
            Some(all.with(block("::/0".to_owned(), Some(v6))))
        }
        Place::Anywhere => None,
    }
}
