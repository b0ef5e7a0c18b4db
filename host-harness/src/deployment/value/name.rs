//! Names.

use std::fmt;

use super::{Value, read_text};
use crate::deployment::node::Node;
use crate::deployment::section::Reading;

/// A domain below which `<bucket>.<domain>` names a bucket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Domain(pub String);

impl Value for Domain {
    fn shape() -> String {
        "domain name".to_owned()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        read_text(node, reading, "a domain name without port", "s3.localhost", |text| {
            let label = |label: &str| {
                let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
                let edge = !label.starts_with('-') && !label.ends_with('-');
                (1..=63).contains(&label.len()) && label.bytes().all(inner) && edge
            };
            let right = text.len() <= 253 && text.split('.').all(label);
            right.then(|| Self(text.to_ascii_lowercase()))
        })
    }
}

/// A bucket's name, by the naming rules of S3.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BucketName(pub String);

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Value for BucketName {
    fn shape() -> String {
        "bucket name".to_owned()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        let expected = "a bucket name: 3 to 63 lower-case letters, digits, `-` and `.`, with a \
                        letter or digit at both ends, and no IP address";
        read_text(node, reading, expected, "examplebucket", |text| {
            let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
            let ends =
                text.bytes().next().is_some_and(inner) && text.bytes().last().is_some_and(inner);
            let right = (3..=63).contains(&text.len())
                && text.bytes().all(|b| inner(b) || b == b'-' || b == b'.')
                && ends
                && !text.contains("..")
                && text.parse::<std::net::Ipv4Addr>().is_err();
            right.then(|| Self(text.to_owned()))
        })
    }
}

/// A region's name, as signatures carry it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Region(pub String);

impl Value for Region {
    fn shape() -> String {
        "region name".to_owned()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        read_text(node, reading, "a region's name", "us-east-1", |text| {
            let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            let right = !text.is_empty() && text.bytes().all(letter);
            right.then(|| Self(text.to_owned()))
        })
    }
}

/// By which name several deployments know that they share something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SharedName(pub String);

impl Value for SharedName {
    fn shape() -> String {
        "name".to_owned()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        let expected = "a name of letters, digits, `-`, `_` and `.`";
        read_text(node, reading, expected, "back-to-origin", |text| {
            let letter = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
            let right = !text.is_empty() && text.bytes().all(letter);
            right.then(|| Self(text.to_owned()))
        })
    }
}
