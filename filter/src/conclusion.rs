//! The end of a request: its answer, its count and what is told of it, so that none goes uncounted or
//! untold.

use crate::metric::Series;
use crate::record::{Field, Record};
use crate::reply::Reply;
use crate::report::{Outcome, Report};

/// An answer in place of the bucket's, or of an origin's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Conclusion {
    /// What the client gets.
    pub reply: Reply,
    /// The series that goes up by one.
    pub series: Series,
    /// What is told of it.
    pub told: Told,
}

/// What is told of a request: to the access log, where there is one, and else by a line of the host's
/// own log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Told {
    /// The line.
    Line(String),
    /// The record, with the line in it.
    Record(Record),
}

impl Conclusion {
    /// An answer to a request with this outcome.
    pub(crate) fn new(
        reply: Reply,
        series: Series,
        report: &Report,
        outcome: &Outcome<'_>,
    ) -> Self {
        let told = Told::of(report, &series, outcome);
        Self { reply, series, told }
    }

    /// An answer to a request of which nothing is known any more; `is_recorded` where there is an access
    /// log.
    pub(crate) fn lost(reply: Reply, series: Series, line: &str, is_recorded: bool) -> Self {
        let line = line.to_owned();
        let told = match is_recorded {
            true => Told::Record(Record::lost(&series).with(Field::Message, line)),
            false => Told::Line(line),
        };
        Self { reply, series, told }
    }
}

impl Told {
    /// That a request ends so. `series` is what counts it.
    pub(crate) fn of(report: &Report, series: &Series, outcome: &Outcome<'_>) -> Self {
        let line = report.line(outcome);
        match report.is_recorded() {
            true => Self::Record(Record::of(report, series, outcome).with(Field::Message, line)),
            false => Self::Line(line),
        }
    }

    /// The same where the line comes later, with what has become of the object: the record does not wait
    /// for that.
    pub(crate) fn early(report: &Report, series: &Series, outcome: &Outcome<'_>) -> Option<Self> {
        report.is_recorded().then(|| Self::of(report, series, outcome))
    }
}
