//! Numbers and times.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::{Value, read_text};
use crate::deployment::node::Node;
use crate::deployment::section::Reading;

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

/// Reads a number and its unit, `ms`, `s` or `m`: more than nothing, and an hour at most.
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
