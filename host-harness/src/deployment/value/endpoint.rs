//! Servers, by their URLs.

use std::ops::Deref;

use url::Url;

use super::{At, Value, read_text};
use crate::deployment::code::Code;
use crate::deployment::node::{Kind, Node};
use crate::deployment::section::Reading;
use crate::gateway::{Endpoint, Scheme};

/// Reads `http://host[:port]` or `https://host[:port]`.
pub(in crate::deployment) fn parse_endpoint(text: &str) -> Option<Endpoint> {
    let url = Url::parse(text).ok()?;
    let scheme = match url.scheme() {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        _ => return None,
    };
    let bare = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    let host = url.host_str()?.to_owned();
    bare.then_some(Endpoint { scheme, host, port: url.port_or_known_default()? })
}

impl Value for Endpoint {
    fn shape() -> String {
        "`http://` or `https://`, host and port".to_owned()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        let expected = "`http://` or `https://`, a host and perhaps a port, without path";
        read_text(node, reading, expected, "http://127.0.0.1:9000", parse_endpoint)
    }
}

/// The servers of a store, all of which have the same objects.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoints {
    /// By whose name the store goes, in Host headers and signatures.
    pub first: Endpoint,
    /// Further ones.
    pub others: Vec<Endpoint>,
}

impl Deref for Endpoints {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.first
    }
}

impl Value for Endpoints {
    fn shape() -> String {
        format!("{}; or a list of such", Endpoint::shape())
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        let Kind::List(_) = &node.kind else {
            return Endpoint::read(node, reading).map(|first| Self { first, others: Vec::new() });
        };
        let mut all = Vec::<At<Endpoint>>::read(node, reading)?.into_iter();
        let Some(first) = all.next() else {
            let help = "name one server at least";
            reading.refuse(Code::WrongValue, &node.span, "the list of servers is empty", help);
            return None;
        };
        let mut others: Vec<Endpoint> = Vec::new();
        let mut is_right = true;
        for other in all {
            if other.value == first.value || others.contains(&other.value) {
                let message = format!("the server {} is there twice", other.value);
                reading.refuse(Code::Conflict, &other.span, message, "leave one of them out");
                is_right = false;
            } else if other.scheme != first.scheme {
                let message = format!("{} and {} do not go together", first.value, other.value);
                let help = "all servers of a store are spoken to by `http`, or all by `https`";
                reading.refuse(Code::Conflict, &other.span, message, help);
                is_right = false;
            }
            others.push(other.value);
        }
        is_right.then_some(Self { first: first.value, others })
    }
}
