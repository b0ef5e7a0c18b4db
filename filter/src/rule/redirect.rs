//! `RedirectType` External: where the client is sent.

use super::KeyRewrite;
use crate::http::{Scheme, percent, query};
use crate::request::ObjectRequest;

/// A redirect.
#[derive(Clone, Debug)]
pub struct External {
    /// `Protocol`; absent means the request's own.
    pub protocol: Option<Scheme>,
    /// `HostName`, perhaps with a port; absent means the request's own host.
    pub host_name: Option<String>,
    /// What becomes of the key.
    pub key: KeyRewrite,
    /// `PassQueryString`.
    pub pass_query_string: bool,
    /// `HttpRedirectCode`.
    pub code: u16,
}

impl External {
    /// The Location of the redirect.
    ///
    /// On the request's own host the bucket stays in the path where the request had it there; on
    /// another host the path is the key alone, as with OSS.
    #[must_use]
    pub fn location(&self, request: &ObjectRequest) -> String {
        let protocol = self.protocol.unwrap_or(request.scheme).as_str();
        let key = percent::encode_key(&self.key.apply(&request.key));
        let mut location = match &self.host_name {
            Some(host) => format!("{protocol}://{host}/{key}"),
            None if request.bucket_in_path => {
                format!("{protocol}://{}/{}/{key}", request.authority, request.bucket)
            }
            None => format!("{protocol}://{}/{key}", request.authority),
        };
        let query = query::for_others(&request.query);
        if self.pass_query_string && !query.is_empty() {
            location.push('?');
            location.push_str(&query);
        }
        location
    }
}
