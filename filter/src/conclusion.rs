//! How a request ends that gets no object: all of it at once, so that no answer goes uncounted or
//! untold.

use crate::metric::Series;
use crate::record::Record;
use crate::reply::Reply;
use crate::report::{Outcome, Report};

/// An answer in place of the bucket's, or of an origin's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Conclusion {
    /// What the client gets.
    pub reply: Reply,
    /// The counter that goes up.
    pub series: Series,
    /// The line for the log.
    pub line: String,
    /// What the access log is told, but for the line.
    pub record: Record,
}

impl Conclusion {
    /// An answer to a request with this outcome.
    pub(crate) fn new(
        reply: Reply,
        series: Series,
        report: &Report,
        outcome: &Outcome<'_>,
    ) -> Self {
        let record = Record::of(report, &series, outcome);
        Self { reply, series, line: report.line(outcome), record }
    }

    /// An answer to a request of which nothing is known any more.
    pub(crate) fn lost(reply: Reply, series: Series, line: &str) -> Self {
        let record = Record::lost(&series);
        Self { reply, series, line: line.to_owned(), record }
    }
}
