//! The types of the deployment file's values: how each is read, and how the reference calls it.
//!
//! A value is right by itself once it is read; what several values mean together is checked in
//! [`mod@super::load`].

mod endpoint;
mod name;
mod quantity;
mod secret;
mod word;

use std::net::SocketAddr;
use std::ops::{Deref, Range};
use std::path::PathBuf;

pub use endpoint::Endpoints;
pub(super) use endpoint::parse_endpoint;
pub use name::{BucketName, Domain, Region, SharedName};
pub(crate) use quantity::parse_duration;
pub use quantity::{Connections, Hops, Lasting, PerSecond, Share, Wait};
pub use secret::{PasswordHash, Variable};
pub use word::{Addressing, ConditionalWrites, DataPath, OnFailure, Protocol, Reads, Recorded};

use super::code::Code;
use super::node::{Kind, Node};
use super::section::Reading;

/// Something that can stand in the file.
pub(super) trait Value: Sized {
    /// What it is called in the reference.
    fn shape() -> String;

    /// What it is where the file says nothing.
    fn absent() -> Option<Self> {
        None
    }

    /// Reads it; `None` when a problem has been noted.
    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self>;
}

/// Reads a text by a rule that says what it expects.
fn read_text<T>(
    node: &Node,
    reading: &mut Reading<'_>,
    expected: &str,
    example: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    let found = match &node.kind {
        Kind::Text(text) => match parse(text) {
            Some(value) => return Some(value),
            None if reading.hidden.has(&node.span) => "a text that is not shown".to_owned(),
            None => format!("`{text}`"),
        },
        Kind::List(_) | Kind::Mapping(_) | Kind::Nothing => node.words().to_owned(),
    };
    let message = format!("expected {expected}, found {found}");
    reading.refuse(Code::WrongValue, &node.span, message, format!("for example `{example}`"));
    None
}

/// A value and where it stands, for checks that need several values.
#[derive(Clone, Debug)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it stands in the file, in bytes; empty where it is a default.
    pub span: Range<usize>,
}

impl<T> Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Value> Value for At<T> {
    fn shape() -> String {
        T::shape()
    }

    fn absent() -> Option<Self> {
        T::absent().map(|value| Self { value, span: 0..0 })
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        T::read(node, reading).map(|value| Self { value, span: node.span.clone() })
    }
}

impl<T: Value> Value for Option<T> {
    fn shape() -> String {
        T::shape()
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        match node.kind {
            Kind::Nothing => Some(None),
            Kind::List(_) | Kind::Mapping(_) | Kind::Text(_) => T::read(node, reading).map(Some),
        }
    }
}

impl<T: Value> Value for Vec<T> {
    fn shape() -> String {
        format!("list: {}", T::shape())
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        let Kind::List(items) = &node.kind else {
            let message = format!("expected a list, found {}", node.words());
            reading.refuse(Code::WrongType, &node.span, message, "start each item with `- `");
            return None;
        };
        // Every item is read before any is missed, so that all problems are found at once.
        let items: Vec<_> = items.iter().map(|item| T::read(item, reading)).collect();
        items.into_iter().collect()
    }
}

impl Value for SocketAddr {
    fn shape() -> String {
        "IP address and port".to_owned()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        let expected = "an IP address and a port";
        read_text(node, reading, expected, "127.0.0.1:8080", |text| text.parse().ok())
    }
}

impl Value for PathBuf {
    fn shape() -> String {
        "path".to_owned()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        read_text(node, reading, "a path", "rules/mirror.json", |text| {
            (!text.is_empty()).then(|| Self::from(text))
        })
    }
}

/// The path of a file that is the same wherever who opens it was started.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AbsolutePath(pub PathBuf);

impl Value for AbsolutePath {
    fn shape() -> String {
        "absolute path".to_owned()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        let example = "/var/log/back-to-origin/access.log";
        read_text(node, reading, "an absolute path", example, |text| {
            let is_file = text.starts_with('/') && !text.ends_with('/');
            (is_file && !text.contains(char::is_control)).then(|| Self(PathBuf::from(text)))
        })
    }
}

impl Value for u64 {
    fn shape() -> String {
        "whole number".to_owned()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        read_text(node, reading, "a whole number", "64", |text| text.parse().ok())
    }
}

/// Something that `none` switches off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OrNone<T>(pub Option<T>);

impl<T: Value> Value for OrNone<T> {
    fn shape() -> String {
        format!("{}, or `none`", T::shape())
    }

    fn absent() -> Option<Self> {
        T::absent().map(|value| Self(Some(value)))
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        match &node.kind {
            Kind::Text(text) if text == "none" => Some(Self(None)),
            Kind::List(_) | Kind::Mapping(_) | Kind::Nothing | Kind::Text(_) => {
                T::read(node, reading).map(|value| Self(Some(value)))
            }
        }
    }
}

impl Value for bool {
    fn shape() -> String {
        "`true` or `false`".to_owned()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        read_text(node, reading, "true or false", "true", |text| text.parse().ok())
    }
}

#[cfg(test)]
mod tests;
