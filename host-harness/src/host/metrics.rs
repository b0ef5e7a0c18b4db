//! The metrics a filter defines: one set for all virtual machines, by name.
//!
//! Owns values and their text form. The numbers by which one machine knows them are its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

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
}

#[derive(Debug, Default)]
struct Value {
    current: u64,
    samples: u64,
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
        let mut text = String::new();
        for ((name, kind), value) in &*self.values() {
            let name: String = name
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == ':' { c } else { '_' })
                .collect();
            // Writing to a String cannot fail.
            let _ = match kind {
                Kind::Counter => {
                    writeln!(text, "# TYPE {name} counter\n{name} {}", value.current)
                }
                Kind::Gauge => writeln!(text, "# TYPE {name} gauge\n{name} {}", value.current),
                Kind::Histogram => writeln!(
                    text,
                    "# TYPE {name} summary\n{name}_sum {}\n{name}_count {}",
                    value.current, value.samples
                ),
            };
        }
        text
    }
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
            Kind::Histogram => {
                value.current = value.current.saturating_add(recorded);
                value.samples += 1;
            }
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
}
