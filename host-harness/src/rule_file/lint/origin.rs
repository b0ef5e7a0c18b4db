//! Where Mirror rules fetch from: the inside of a network, or the bucket itself.

use std::net::IpAddr;

use url::{Host, Url};

use super::Home;
use super::keys::Keys;
use super::rule::Rule;
use crate::address;
use crate::diagnostics::{Problem, Weight};
use crate::rule_file::code::Code;
use crate::rule_file::tree::Node;
use crate::rule_file::vocabulary::{Element, REDIRECT, Shape, named};

/// A URL of a rule, and where it stands.
pub(super) struct Origin<'a> {
    pub(super) url: Url,
    pub(super) node: &'a Node,
    pub(super) pointer: String,
}

/// Every URL that a Mirror rule asks.
pub(super) fn origins<'a>(rule: &Rule<'a>) -> Vec<Origin<'a>> {
    let mut origins = Vec::new();
    if rule.is_mirror() {
        let pointer = format!("{}/Redirect", rule.pointer);
        collect(rule.redirect, REDIRECT, &pointer, &mut origins);
    }
    origins
}

fn collect<'a>(
    node: &'a Node,
    elements: &'static [Element],
    pointer: &str,
    origins: &mut Vec<Origin<'a>>,
) {
    for field in node.fields() {
        let Some(element) = named(elements, &field.name) else { continue };
        let pointer = format!("{pointer}/{}", field.name);
        match element.shape {
            Shape::Url => {
                let url = field.node.text().and_then(|text| Url::parse(text).ok());
                origins.extend(url.map(|url| Origin { url, node: &field.node, pointer }));
            }
            Shape::Object(inner) if element.repeats => {
                for (index, item) in field.node.items().iter().enumerate() {
                    collect(item, inner, &format!("{pointer}/{index}"), origins);
                }
            }
            Shape::Object(inner) => collect(&field.node, inner, &pointer, origins),
            Shape::Boolean
            | Shape::Integer(..)
            | Shape::List(..)
            | Shape::Status
            | Shape::Text
            | Shape::Token
            | Shape::Word(_) => {}
        }
    }
}

/// Origins on the inside of a network; of a host that stands several times, the first.
pub(super) fn internal(rule: &Rule<'_>, weight: Option<Weight>) -> Vec<Problem> {
    let Some(weight) = weight else { return Vec::new() };
    let mut problems = Vec::new();
    let mut hosts = Vec::new();
    for origin in origins(rule) {
        let Some(host) = origin.url.host().map(|host| host.to_owned()) else { continue };
        let Some(what) = inside(&host).filter(|_| !hosts.contains(&host)) else { continue };
        let message = format!("the origin is {what}, which OSS refuses");
        let problem =
            Problem::error(Code::InternalOrigin.as_str(), origin.node.span.clone(), message);
        let help = match weight {
            Weight::Error => "name a public origin, or set `allow_internal_origins: true`",
            Weight::Warning | Weight::Info => {
                "a deployment takes it with `allow_internal_origins: true`"
            }
        };
        problems.push(problem.weighing(weight).at(origin.pointer).help(help));
        hosts.push(host);
    }
    problems
}

/// Names that only an inner network knows, by their ends.
const INNER: [&str; 14] = [
    "-internal.aliyuncs.com",
    ".cluster.local",
    ".corp",
    ".home",
    ".home.arpa",
    ".internal",
    ".intranet",
    ".lan",
    ".local",
    ".localdomain",
    ".private",
    ".svc",
    ".in-addr.arpa",
    ".ip6.arpa",
];

/// What a host on the inside of a network is, as far as it says that itself.
pub(crate) fn inside(host: &Host) -> Option<&'static str> {
    match host {
        Host::Domain(name) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            if name == "localhost" || name.ends_with(".localhost") {
                Some("this machine")
            } else if INNER.iter().any(|end| name.ends_with(end)) {
                Some("a name of an inner network")
            } else if !name.contains('.') {
                Some("a name without a domain")
            } else {
                None
            }
        }
        Host::Ipv4(address) => address::inside(IpAddr::V4(*address)),
        Host::Ipv6(address) => address::inside(IpAddr::V6(*address)),
    }
}

/// Origins that are an interface of the gateway's own by which it is managed: nobody wants that.
pub(super) fn own_interface(rule: &Rule<'_>, home: &Home) -> Vec<Problem> {
    let is_own = |origin: &Origin<'_>| {
        let (Some(host), Some(port)) = (origin.url.host(), origin.url.port_or_known_default())
        else {
            return false;
        };
        let address = match host {
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address).to_canonical()),
            Host::Domain(_) => None,
        };
        home.managed.iter().any(|own| {
            let is_here = own.ip().is_loopback() || own.ip().is_unspecified();
            let is_same = address == Some(own.ip().to_canonical());
            port == own.port() && (is_same || (is_here && is_loopback(&host)))
        })
    };
    let own = origins(rule).into_iter().filter(is_own);
    let problem = |origin: Origin<'_>| {
        let message = "the origin is the interface by which this gateway is managed";
        Problem::error(Code::InternalOrigin.as_str(), origin.node.span.clone(), message)
            .at(origin.pointer)
            .help("name the server that has the objects")
    };
    own.map(problem).collect()
}

/// Whether a host is this machine.
pub(super) fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// A rule that fetches an object from where it is missing.
pub(super) fn own_bucket(rule: &Rule<'_>, home: &Home) -> Option<Problem> {
    origins(rule).into_iter().find_map(|origin| {
        if origin.pointer.ends_with("Probe") {
            return None;
        }
        let asked = Keys::of(rule).rewritten(rule).below(origin.url.path().strip_prefix('/')?);
        let (host, port) = (origin.url.host_str()?, origin.url.port_or_known_default()?);
        let named = format!("{}/", home.name);
        let (what, keys) = if home.is_store(host, port) {
            ("the bucket itself", asked.behind(&named)?)
        } else if home.is_store_name(host, port) {
            ("the bucket itself", asked)
        } else if home.is_own_name(host) {
            ("this gateway", asked)
        } else if home.is_gateway(&format!("{host}:{port}")) {
            ("this gateway", asked.behind(&named)?)
        } else {
            return None;
        };
        // By the gateway another key comes back to this rule as well.
        let is_lost = match what {
            "this gateway" => keys.are_of(rule),
            _ => keys == Keys::of(rule),
        };
        let message = format!("the origin is {what}: it lacks what this rule fetches");
        is_lost.then(|| {
            Problem::error(Code::OriginIsBucket.as_str(), origin.node.span.clone(), message)
                .at(origin.pointer)
                .help("name the server that has the objects")
        })
    })
}

impl Home {
    /// Whether a host, perhaps with a port, is the bucket's own name at the gateway.
    pub(super) fn is_own_name(&self, host: &str) -> bool {
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
        let below = |domain: &String| host.eq_ignore_ascii_case(&format!("{}.{domain}", self.name));
        self.domain.as_ref().is_some_and(below)
    }

    /// Whether a host, perhaps with a port, is the gateway, which then expects the bucket's name
    /// in the path.
    pub(super) fn is_gateway(&self, host: &str) -> bool {
        let Ok(url) = Url::parse(&format!("http://{host}/")) else { return false };
        let is_domain = |domain: &String| url.host_str() == Some(domain.as_str());
        if self.domain.as_ref().is_some_and(is_domain) {
            return true;
        }
        let listen = self.listen.ip();
        let is_same = match url.host() {
            Some(Host::Ipv4(address)) => listen == IpAddr::V4(address),
            Some(Host::Ipv6(address)) => listen == IpAddr::V6(address),
            Some(Host::Domain(_)) | None => false,
        };
        let is_here = (listen.is_loopback() || listen.is_unspecified())
            && url.host().is_some_and(|host| is_loopback(&host));
        (is_same || is_here) && url.port_or_known_default() == Some(self.listen.port())
    }

    /// Whether this is the store, which expects the bucket's name in the path.
    fn is_store(&self, host: &str, port: u16) -> bool {
        !self.is_virtual && port == self.store_port && is_host(host, &self.store_host)
    }

    /// Whether this is the bucket's name at the store.
    fn is_store_name(&self, host: &str, port: u16) -> bool {
        let name = format!("{}.{}", self.name, self.store_host);
        port == self.store_port && host.eq_ignore_ascii_case(&name)
    }
}

/// Whether two hosts are the same, as far as their names tell.
fn is_host(one: &str, other: &str) -> bool {
    let is_here = |host: &str| {
        Host::parse(host).is_ok_and(|host| match host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        })
    };
    one.eq_ignore_ascii_case(other) || (is_here(one) && is_here(other))
}
