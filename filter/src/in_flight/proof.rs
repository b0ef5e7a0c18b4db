//! The bucket asked whether it lacks an object, with the gateway's own keys: it has told the client
//! nothing of that.

use crate::configuration::Configuration;
use crate::decision::Doubt;
use crate::http::headers::{HeaderList, Headers};
use crate::miss_route;
use crate::request::Method;
use crate::store;

/// A request whose bucket is being asked.
#[derive(Debug)]
pub(crate) struct Proof {
    /// The request as it came to the miss route.
    pub(crate) headers: Headers,
    pub(crate) doubt: Doubt,
}

impl Proof {
    /// What the gateway is told, and the store asked. Every answer comes back under the name of the
    /// attempt, the gateway's own too.
    pub(crate) fn ask(&self, configuration: &Configuration, attempt: &str) -> Option<HeaderList> {
        let request = &self.doubt.request;
        let bucket = configuration.bucket(&request.bucket)?;
        let mut headers = HeaderList::new()
            .with(":authority", miss_route::HOST)
            .with(miss_route::MISS, miss_route::READ);
        for (name, value) in store::head(bucket, &request.key).iter() {
            match name {
                ":authority" => headers.add(miss_route::SERVER_HOST, value),
                // A gateway knows a request by its method from the beginning to the end.
                ":method" => headers.add(name, request.method.as_str()),
                _ => headers.add(name, value),
            }
        }
        if request.method == Method::Get {
            headers.add("range", "bytes=0-0");
        }
        let proto = self.headers.text(miss_route::FORWARDED_PROTO).unwrap_or("http");
        let timeout = configuration.timeouts.store.as_millis().to_string();
        Some(
            headers
                .with(miss_route::FORWARDED_PROTO, proto)
                .with(miss_route::CLUSTER, miss_route::ATTEMPTS)
                .with(miss_route::SERVER, &bucket.store.cluster)
                .with(miss_route::ATTEMPT_TIMEOUT, timeout)
                .with(miss_route::ATTEMPT, attempt)
                .with(miss_route::RETURNS, "2xx 3xx 4xx 5xx"),
        )
    }
}
