//! The metrics a filter defines: one set for all virtual machines, by name.
//!
//! Owns values and their text form, with the names, labels and buckets that Envoy gives them. The
//! numbers by which one machine knows them are its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use back_to_origin::metric::{self, Metric};

use super::status::Status;

/// The low bits of a metric's number that tell its kind.
const KIND_MASK: u32 = 3;
/// The distance between two numbers of one kind.
const STEP: u32 = 4;

/// What kind of metric a module defines.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub(crate) const fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Counter),
            1 => Some(Self::Gauge),
            2 => Some(Self::Histogram),
            _ => None,
        }
    }

    /// Its name in the text form of Prometheus.
    const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// The bounds of a histogram's buckets: Envoy's own.
const BOUNDS: [(&str, u64); 19] = [
    ("0.5", 0),
    ("1", 1),
    ("5", 5),
    ("10", 10),
    ("25", 25),
    ("50", 50),
    ("100", 100),
    ("250", 250),
    ("500", 500),
    ("1000", 1_000),
    ("2500", 2_500),
    ("5000", 5_000),
    ("10000", 10_000),
    ("30000", 30_000),
    ("60000", 60_000),
    ("300000", 300_000),
    ("600000", 600_000),
    ("1800000", 1_800_000),
    ("3600000", 3_600_000),
];

#[derive(Debug, Default)]
struct Value {
    current: u64,
    samples: u64,
    /// How many are no larger than each bound, and larger than the one before.
    buckets: [u64; BOUNDS.len()],
}

impl Value {
    fn observe(&mut self, value: u64) {
        self.current = self.current.saturating_add(value);
        self.samples += 1;
        let fitting = BOUNDS.iter().zip(&mut self.buckets).find(|((_, bound), _)| value <= *bound);
        if let Some((_, bucket)) = fitting {
            *bucket += 1;
        }
    }
}

/// All metrics of one gateway.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<BTreeMap<(String, Kind), Value>>);

impl Metrics {
    fn values(&self) -> MutexGuard<'_, BTreeMap<(String, Kind), Value>> {
        // Nothing panics while it holds the lock, so a poisoned map is still whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<R>(&self, key: &(String, Kind), change: impl FnOnce(&mut Value) -> R) -> R {
        change(self.values().entry(key.clone()).or_default())
    }

    /// Everything in the text form of Prometheus.
    #[must_use]
    pub fn prometheus(&self) -> String {
        let mut families: BTreeMap<String, Vec<(String, Kind, Vec<Sample>)>> = BTreeMap::new();
        for ((name, kind), value) in &*self.values() {
            let (labels, name) = metric::read(name);
            let labels =
                labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value)));
            let samples = samples(labels.collect(), *kind, value);
            let family = families.entry(sanitized(name)).or_default();
            family.push((name.to_owned(), *kind, samples));
        }
        let mut text = String::new();
        for (family, series) in families {
            let Some((name, kind, _)) = series.first() else { continue };
            if let Some(known) = Metric::ALL.iter().find(|known| known.name() == name) {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "# HELP {family} {}", known.description().trim());
            }
            let _ = writeln!(text, "# TYPE {family} {}", kind.name());
            for Sample { suffix, labels, value } in
                series.iter().flat_map(|(_, _, samples)| samples)
            {
                let _ = match labels.is_empty() {
                    true => writeln!(text, "{family}{suffix} {value}"),
                    false => writeln!(text, "{family}{suffix}{{{}}} {value}", labels.join(",")),
                };
            }
        }
        text
    }
}

/// A line of the text form.
struct Sample {
    suffix: &'static str,
    labels: Vec<String>,
    value: u64,
}

/// The lines of one series.
fn samples(labels: Vec<String>, kind: Kind, value: &Value) -> Vec<Sample> {
    let current = value.current;
    match kind {
        Kind::Counter | Kind::Gauge => vec![Sample { suffix: "", labels, value: current }],
        Kind::Histogram => {
            let mut sum = 0;
            let bounds = BOUNDS.iter().zip(value.buckets).map(|((bound, _), count)| {
                sum += count;
                (*bound, sum)
            });
            let bounds: Vec<_> = bounds.chain([("+Inf", value.samples)]).collect();
            let buckets = bounds.into_iter().map(|(bound, value)| {
                let mut labels = labels.clone();
                labels.push(format!("le=\"{bound}\""));
                Sample { suffix: "_bucket", labels, value }
            });
            let mut samples: Vec<_> = buckets.collect();
            samples.push(Sample { suffix: "_sum", labels: labels.clone(), value: current });
            samples.push(Sample { suffix: "_count", labels, value: value.samples });
            samples
        }
    }
}

fn sanitized(name: &str) -> String {
    let may_stay = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    name.chars().map(|c| if may_stay(c) { c } else { '_' }).collect()
}

/// A label's value as the text form quotes it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// The metrics one virtual machine has defined, by the numbers it was given.
#[derive(Debug, Default)]
pub(crate) struct Defined {
    names: BTreeMap<u32, (String, Kind)>,
    last: [u32; 3],
}

impl Defined {
    pub(crate) fn define(&mut self, all: &Metrics, kind: Kind, name: String) -> u32 {
        let key = (name, kind);
        all.with(&key, |_| ());
        let place = kind as usize;
        // The array has one place for each kind.
        let last = &mut self.last[place];
        *last += STEP;
        let id = *last | kind as u32;
        self.names.insert(id, key);
        id
    }

    pub(crate) fn increment(&self, all: &Metrics, id: u32, offset: i64) -> Result<(), Status> {
        if id & KIND_MASK > Kind::Gauge as u32 {
            return Err(Status::BadArgument);
        }
        let key = self.names.get(&id).ok_or(Status::NotFound)?;
        if key.1 == Kind::Counter && offset <= 0 {
            return Err(Status::BadArgument);
        }
        all.with(key, |value| value.current = value.current.saturating_add_signed(offset));
        Ok(())
    }

    pub(crate) fn record(&self, all: &Metrics, id: u32, recorded: u64) -> Result<(), Status> {
        let key = self.names.get(&id).ok_or(Status::NotFound)?;
        all.with(key, |value| match key.1 {
            Kind::Counter => value.current = value.current.saturating_add(recorded),
            Kind::Gauge => value.current = recorded,
            Kind::Histogram => value.observe(recorded),
        });
        Ok(())
    }

    pub(crate) fn get(&self, all: &Metrics, id: u32) -> Result<u64, Status> {
        if id & KIND_MASK > Kind::Gauge as u32 {
            return Err(Status::BadArgument);
        }
        let key = self.names.get(&id).ok_or(Status::NotFound)?;
        Ok(all.with(key, |value| value.current))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_that_define_the_same_name_share_its_value() {
        let all = Metrics::default();
        let (mut one, mut other) = (Defined::default(), Defined::default());
        other.define(&all, Kind::Counter, "unrelated".to_owned());
        let a = one.define(&all, Kind::Counter, "hits".to_owned());
        let b = other.define(&all, Kind::Counter, "hits".to_owned());
        one.increment(&all, a, 2).unwrap();
        other.increment(&all, b, 3).unwrap();
        assert_eq!(one.get(&all, a), Ok(5));
        assert_ne!(a, b);
    }

    #[test]
    fn wrong_uses_are_refused_as_envoy_refuses_them() {
        let all = Metrics::default();
        let mut defined = Defined::default();
        let counter = defined.define(&all, Kind::Counter, "c".to_owned());
        let histogram = defined.define(&all, Kind::Histogram, "h".to_owned());
        assert_eq!(defined.increment(&all, counter, 0), Err(Status::BadArgument));
        assert_eq!(defined.increment(&all, counter, -1), Err(Status::BadArgument));
        assert_eq!(defined.increment(&all, histogram, 1), Err(Status::BadArgument));
        assert_eq!(defined.get(&all, histogram), Err(Status::BadArgument));
        assert_eq!(defined.get(&all, 4000), Err(Status::NotFound));
        assert_eq!(defined.record(&all, 4000, 1), Err(Status::NotFound));
    }

    #[test]
    fn text_form_has_a_type_line_for_each_metric() {
        let all = Metrics::default();
        let mut defined = Defined::default();
        let gauge = defined.define(&all, Kind::Gauge, "b2o.fetches".to_owned());
        defined.record(&all, gauge, 7).unwrap();
        assert_eq!(all.prometheus(), "# TYPE b2o_fetches gauge\nb2o_fetches 7\n");
    }

    #[test]
    fn labels_stand_behind_the_name_and_a_family_is_told_once() {
        let all = Metrics::default();
        let mut defined = Defined::default();
        for (bucket, count) in [("a.b-c", 2), ("b", 1)] {
            let name = format!("bucket=.={bucket};.;rule=.=1;.;back_to_origin_fetches_total");
            let id = defined.define(&all, Kind::Counter, name);
            defined.increment(&all, id, count).unwrap();
        }
        assert_eq!(
            all.prometheus(),
            "# HELP back_to_origin_fetches_total Requests sent to origins.\n\
             # TYPE back_to_origin_fetches_total counter\n\
             back_to_origin_fetches_total{bucket=\"a.b-c\",rule=\"1\"} 2\n\
             back_to_origin_fetches_total{bucket=\"b\",rule=\"1\"} 1\n"
        );
    }

    #[test]
    fn a_histogram_has_a_line_for_each_bound() {
        let all = Metrics::default();
        let mut defined = Defined::default();
        let id = defined.define(&all, Kind::Histogram, "x=.=1;.;t".to_owned());
        for value in [0, 5, 6, 4_000_000] {
            defined.record(&all, id, value).unwrap();
        }
        let text = all.prometheus();
        for line in [
            "# TYPE t histogram",
            "t_bucket{x=\"1\",le=\"0.5\"} 1",
            "t_bucket{x=\"1\",le=\"5\"} 2",
            "t_bucket{x=\"1\",le=\"3600000\"} 3",
            "t_bucket{x=\"1\",le=\"+Inf\"} 4",
            "t_sum{x=\"1\"} 4000011",
            "t_count{x=\"1\"} 4",
        ] {
            assert!(text.lines().any(|known| known == line), "{line}: {text}");
        }
    }
}
