//! How a request ends that gets no object: all of it at once, so that no answer goes uncounted or
//! untold.

use crate::metric::Series;
use crate::reply::Reply;

/// An answer in place of the bucket's, or of an origin's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Conclusion {
    /// What the client gets.
    pub reply: Reply,
    /// The counter that goes up.
    pub series: Series,
    /// The line for the log.
    pub line: String,
}
