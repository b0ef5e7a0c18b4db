//! The types of the deployment file's values: how each is read, and how the reference calls it.
//!
//! A value is right by itself once it is read; what several values mean together is checked in
//! [`mod@super::load`].

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::ops::{Deref, Range};
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::code::Code;
use super::node::{Kind, Node};
use super::section::Reading;
use crate::gateway::{Endpoint, Scheme, Secret};

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

impl Value for u64 {
    fn shape() -> String {
        "whole number".to_owned()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        read_text(node, reading, "a whole number", "64", |text| text.parse().ok())
    }
}

/// How much there may be of something in a second.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PerSecond(pub u64);

impl Value for PerSecond {
    fn shape() -> String {
        "whole number, at least 1".to_owned()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        let expected = "a whole number from 1 to 9223372036854775807";
        read_text(node, reading, expected, "2000", |text| {
            // The filter takes no more.
            text.parse()
                .ok()
                .filter(|number| (1..=i64::MAX.unsigned_abs()).contains(number))
                .map(Self)
        })
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

/// How many proxies are trusted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hops(pub u8);

impl Hops {
    /// Nobody has more proxies in a row.
    const MOST: u8 = 16;
}

impl Value for Hops {
    fn shape() -> String {
        format!("whole number, at most {}", Self::MOST)
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        let expected = format!("a whole number of at most {}", Self::MOST);
        read_text(node, reading, &expected, "1", |text| {
            text.parse().ok().filter(|hops| *hops <= Self::MOST).map(Self)
        })
    }
}

/// How many connections there may be at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Connections(pub u32);

impl Connections {
    /// More than a machine has ports and files for.
    const MOST: u32 = 1_000_000;
}

impl Value for Connections {
    fn shape() -> String {
        format!("whole number, 1 to {}", Self::MOST)
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        let expected = format!("a whole number from 1 to {}", Self::MOST);
        read_text(node, reading, &expected, "20000", |text| {
            text.parse().ok().filter(|most| (1..=Self::MOST).contains(most)).map(Self)
        })
    }
}

/// How many workers there are.
impl Value for NonZeroUsize {
    fn shape() -> String {
        "whole number, at least 1".to_owned()
    }

    fn absent() -> Option<Self> {
        Some(std::thread::available_parallelism().unwrap_or(Self::MIN))
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        read_text(node, reading, "a whole number of at least 1", "2", |text| text.parse().ok())
    }
}

impl Value for Duration {
    fn shape() -> String {
        "duration: a number and `ms`, `s` or `m`".to_owned()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        let expected = "a duration above 0, and of at most 60m, with its unit, `ms`, `s` or `m`";
        read_text(node, reading, expected, "10s", parse_duration)
    }
}

/// How long something may be waited for, or not at all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wait(pub Duration);

impl Wait {
    /// The filter takes no more.
    const MOST: Duration = Duration::from_secs(15);
}

impl Value for Wait {
    fn shape() -> String {
        "duration of at most 15s: a number and `ms` or `s`".to_owned()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        let expected = "a duration of at most 15s, with its unit, `ms` or `s`; `0s` is none at all";
        read_text(node, reading, expected, "5s", |text| match text {
            "0s" | "0ms" => Some(Self(Duration::ZERO)),
            text => parse_duration(text).filter(|wait| *wait <= Self::MOST).map(Self),
        })
    }
}

/// How long something is kept, or not at all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lasting(pub Duration);

impl Value for Lasting {
    fn shape() -> String {
        "duration of at most an hour: a number and `ms`, `s` or `m`, or `0s`".to_owned()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        let expected =
            "a duration of at most an hour, with its unit, `ms`, `s` or `m`; `0s` is none at all";
        read_text(node, reading, expected, "30s", |text| match text {
            "0s" | "0ms" | "0m" => Some(Self(Duration::ZERO)),
            text => parse_duration(text).map(Self),
        })
    }
}

pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number.parse().ok()?;
    let milliseconds = match unit {
        "ms" => number,
        "s" => number.checked_mul(1_000)?,
        "m" => number.checked_mul(60_000)?,
        _ => return None,
    };
    // The filter takes no more.
    (1..=3_600_000).contains(&milliseconds).then(|| Duration::from_millis(milliseconds))
}

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

/// Reads `http://host[:port]` or `https://host[:port]`.
pub(super) fn parse_endpoint(text: &str) -> Option<Endpoint> {
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

/// Which share of requests, in thousandths of a percent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Share(u32);

impl Share {
    const ALL: u32 = 100_000;

    /// In millionths.
    #[must_use]
    pub const fn millionths(self) -> u32 {
        self.0 * 10
    }
}

impl Value for Share {
    fn shape() -> String {
        "percentage".to_owned()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        let expected = "a percentage of at most 100%, with three places at most";
        read_text(node, reading, expected, "1%", |text| {
            let (whole, places) = match text.strip_suffix('%')?.split_once('.') {
                Some((whole, places)) if (1..=3).contains(&places.len()) => (whole, places),
                Some(_) => return None,
                None => (text.strip_suffix('%')?, ""),
            };
            let digits = format!("{whole}{places:0<3}");
            let is_number = !whole.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            let share = is_number.then(|| digits.parse().ok()).flatten()?;
            (share <= Self::ALL).then_some(Self(share))
        })
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

impl Value for Secret {
    fn shape() -> String {
        "text".to_owned()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        if let Kind::Text(text) = &node.kind
            && !text.is_empty()
        {
            return Some(Self::new(text.clone()));
        }
        let found = if matches!(node.kind, Kind::Text(_)) { "an empty one" } else { node.words() };
        let help = "or name an environment variable under `environment`";
        reading.refuse(
            Code::WrongValue,
            &node.span,
            format!("expected a text, found {found}"),
            help,
        );
        None
    }
}

/// An environment variable and what it held when the file was read.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Secret,
}

impl Value for Variable {
    fn shape() -> String {
        "name of an environment variable".to_owned()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        let expected = "the name of an environment variable";
        let name = read_text(node, reading, expected, "AWS_SECRET_ACCESS_KEY", |text| {
            let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            let right = !text.is_empty() && text.bytes().all(letter);
            right.then(|| text.to_owned())
        })?;
        let problem = match (reading.environment)(&name).map(std::ffi::OsString::into_string) {
            Some(Ok(value)) if !value.is_empty() => {
                return Some(Self { name, value: Secret::new(value) });
            }
            Some(Ok(_)) => "is empty",
            Some(Err(_)) => "is not UTF-8",
            None => "is not set",
        };
        let message = match reading.hidden.has(&node.span) {
            true => format!("the environment variable of this name {problem}"),
            false => format!("the environment variable `{name}` {problem}"),
        };
        reading.refuse(Code::UnsetVariable, &node.span, message, "export it before the start");
        None
    }
}

/// Declares a value that is one of a few words.
macro_rules! words {
    ($(#[doc = $about:literal])+ pub enum $name:ident {
        $($(#[doc = $doc:literal])+ $variant:ident = $word:literal,)+
    }) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum $name {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl $name {
            /// The word for it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl Value for $name {
            fn shape() -> String {
                [$(concat!("`", $word, "`")),+].join(" or ")
            }

            fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
                let example = [$($word),+][0];
                read_text(node, reading, &Self::shape(), example, |text| match text {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                })
            }
        }
    };
}

words! {
    /// Where a bucket's name stands in a request to the store.
    pub enum Addressing {
        /// In the path: `/bucket/key`.
        Path = "path",
        /// In the host: `bucket.host`.
        Virtual = "virtual",
    }
}

words! {
    /// How a fetched object is kept from replacing what is there.
    pub enum ConditionalWrites {
        /// By `If-None-Match: *`.
        IfNoneMatch = "if-none-match",
        /// By `x-oss-forbid-overwrite: true`.
        Oss = "oss",
        /// By a look right before.
        Head = "head",
        /// Not at all.
        Unconditional = "none",
    }
}

words! {
    /// How an object that a bucket lacks reaches the client.
    pub enum DataPath {
        /// Whole, through the filter's memory.
        Callout = "callout",
        /// As a stream, past the filter.
        Streaming = "streaming",
    }
}

words! {
    /// What is spoken with a store.
    pub enum Protocol {
        /// Over TLS what the store chooses, else HTTP/1.1.
        Auto = "auto",
        /// HTTP/1.1.
        Http1 = "http1",
        /// HTTP/2.
        Http2 = "http2",
    }
}

words! {
    /// Which requests are recorded.
    pub enum Recorded {
        /// Each request.
        All = "all",
        /// Those that the bucket could not answer, or a rule has decided, and those that failed.
        Misses = "misses",
        /// Those that got an error, or not all of their answer.
        Failures = "failures",
    }
}

words! {
    /// How requests of clients reach the store.
    pub enum Reads {
        /// As they came, so that the clients' own signatures hold.
        Passthrough = "passthrough",
        /// Signed anew with the bucket's credentials.
        Signed = "signed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Value>(text: &str) -> Result<T, String> {
        let environment = |name: &str| (name == "SET").then(|| "value".into());
        let mut reading = Reading::new(&environment);
        let value = T::read(&Node::default_text(text), &mut reading);
        value.ok_or_else(|| reading.problems.remove(0).message)
    }

    #[test]
    fn durations_have_a_unit() {
        let cases = [("10s", 10_000), ("250ms", 250), ("2m", 120_000), ("60m", 3_600_000)];
        for (text, milliseconds) in cases {
            assert_eq!(read::<Duration>(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in
            ["10", "s", "", "1h", "-1s", "1.5s", "0s", "61m", "99999999999999999999s", "1 s"]
        {
            assert!(read::<Duration>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_lasts_may_not_last_at_all() {
        for (text, milliseconds) in [("0s", 0), ("0m", 0), ("30s", 30_000), ("60m", 3_600_000)] {
            let lasting = Lasting(Duration::from_millis(milliseconds));
            assert_eq!(read::<Lasting>(text), Ok(lasting), "{text}");
        }
        for text in ["0", "", "61m", "9223372036854775808s", "-1s", "off"] {
            assert!(read::<Lasting>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_wait_may_be_none_and_is_short() {
        for (text, milliseconds) in [("0s", 0), ("0ms", 0), ("250ms", 250), ("15s", 15_000)] {
            let wait = Wait(Duration::from_millis(milliseconds));
            assert_eq!(read::<Wait>(text), Ok(wait), "{text}");
        }
        for text in ["0", "", "16s", "1m", "-1s", "off"] {
            assert!(read::<Wait>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn endpoints_have_no_path() {
        for (text, shown) in [
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
            ("https://s3.example.com/", "https://s3.example.com"),
            ("https://s3.example.com:443", "https://s3.example.com"),
            ("http://[::1]:9000", "http://[::1]:9000"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
        ] {
            assert_eq!(
                read::<Endpoint>(text).map(|e| e.to_string()),
                Ok(shown.to_owned()),
                "{text}"
            );
        }
        for text in
            ["s3.example.com", "ftp://a", "http://a/b", "http://a?b", "http://u:p@a", "http://", ""]
        {
            assert!(read::<Endpoint>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bucket_names_are_those_of_s3() {
        for text in ["abc", "a.b-c", "0bucket9", &"a".repeat(63)] {
            assert!(read::<BucketName>(text).is_ok(), "{text}");
        }
        for text in
            ["ab", "Abc", "-abc", "abc-", "a..b", "a_b", "127.0.0.1", "a b", "", &"a".repeat(64)]
        {
            assert!(read::<BucketName>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_variable_must_be_set() {
        assert_eq!(read::<Variable>("SET").unwrap().value.expose(), "value");
        assert_eq!(
            read::<Variable>("UNSET").unwrap_err(),
            "the environment variable `UNSET` is not set"
        );
    }

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::new("hunter2".to_owned());
        assert!(!format!("{secret:?} {:?}", Some(&secret)).contains("hunter2"));
        assert_eq!(read::<Secret>("").unwrap_err(), "expected a text, found an empty one");
    }

    #[test]
    fn words_are_listed_where_none_fits() {
        assert_eq!(read::<Reads>("signed"), Ok(Reads::Signed));
        assert_eq!(
            read::<Reads>("sigend"),
            Err("expected `passthrough` or `signed`, found `sigend`".to_owned())
        );
    }
}
