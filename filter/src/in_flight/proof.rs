//! The bucket asked whether it lacks an object, with the gateway's own keys: it has told the client
//! nothing of that.

use super::{by_attempts, comes_back, readdressed, straight};
use crate::configuration::Configuration;
use crate::decision::Doubt;
use crate::http::headers::{HeaderList, Headers};
use crate::http::trace::Trace;
use crate::miss_route;
use crate::request::Method;
use crate::store;

/// A request whose bucket is being asked.
#[derive(Debug)]
pub(crate) struct Proof {
    /// The request as it came to the miss route.
    pub(crate) headers: Headers,
    pub(crate) doubt: Box<Doubt>,
}

impl Proof {
    /// What the gateway is told, and the store asked. To a doubtful 403 every answer comes back under
    /// the name of the attempt, the gateway's own too.
    pub(crate) fn ask(&self, configuration: &Configuration, attempt: &str) -> Option<HeaderList> {
        let request = &self.doubt.request;
        let bucket = configuration.bucket(&request.bucket)?;
        // A gateway knows a request by its method from the beginning to the end.
        let mut headers = readdressed(
            miss_route::HOST,
            &store::read(bucket, &self.doubt.key(), request.method.as_str()),
        );
        Trace::of(&request.headers).go_on(&mut headers);
        if request.method == Method::Get {
            headers.add("range", "bytes=0-0");
        }
        let proto = self.headers.text(miss_route::FORWARDED_PROTO).unwrap_or("http");
        headers.add(miss_route::FORWARDED_PROTO, proto);
        let (cluster, timeout) = (&bucket.store.cluster, configuration.timeouts.store);
        if self.doubt.is_about_tombstone() {
            // Any other answer the filter sees on its way back, and makes another one of it.
            straight(&mut headers, cluster, timeout);
            comes_back(&mut headers, attempt, "404");
        } else {
            by_attempts(&mut headers, cluster, timeout);
            comes_back(&mut headers, attempt, "2xx 3xx 4xx 5xx");
        }
        Some(headers)
    }
}
