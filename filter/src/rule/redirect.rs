//! `RedirectType` External and AliCDN: where the client is sent.
//!
//! With AliCDN, OSS adds a header by which Alibaba's CDN follows the redirect for the client. Its
//! name is not documented; here the client follows it, as with External.

use super::KeyRewrite;
use crate::http::{Scheme, percent, query};
use crate::request::ObjectRequest;

/// A redirect.
#[derive(Clone, Debug)]
pub struct External {
    /// Whether the rule says AliCDN.
    pub ali_cdn: bool,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::headers::Headers;
    use crate::rule::{Action, RuleSet};

    /// Element and value, or nothing, and what it makes of that part of the Location.
    type Choice = (&'static str, &'static str);

    #[test]
    fn every_combination_of_elements_says_where() {
        let headers = Headers::from_pairs([
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", "gateway:8443"),
            (":path", "/b/abc/x%20y?v=1&X-Amz-Date=2"),
        ]);
        let request = ObjectRequest::read(headers, None, |name| name == "b").unwrap();
        let kinds: [Choice; 3] = [
            ("", "External"),
            (r#""RedirectType": "External","#, "External"),
            (r#""RedirectType": "AliCDN","#, "AliCDN"),
        ];
        let protocols: [Choice; 3] =
            [("", "https"), (r#""Protocol": "http","#, "http"), (r#""Protocol": "","#, "https")];
        let hosts: [Choice; 3] = [
            ("", "gateway:8443/b"),
            (r#""HostName": "","#, "gateway:8443/b"),
            (r#""HostName": "H.example:81","#, "h.example:81"),
        ];
        let keys: [Choice; 6] = [
            ("", "abc/x%20y"),
            (r#""ReplaceKeyPrefixWith": "d e/","#, "d%20e/x%20y"),
            (r#""EnableReplacePrefix": "true","#, "x%20y"),
            (r#""EnableReplacePrefix": true, "ReplaceKeyPrefixWith": "def/","#, "def/x%20y"),
            (r#""EnableReplacePrefix": false, "ReplaceKeyPrefixWith": "def/","#, "def/x%20y"),
            (r#""ReplaceKeyWith": "p/${key}.s","#, "p/abc/x%20y.s"),
        ];
        let queries: [Choice; 3] = [
            ("", ""),
            (r#""PassQueryString": false,"#, ""),
            (r#""PassQueryString": true,"#, "?v=1"),
        ];
        let codes = [("301", 301), ("302", 302), (r#""307""#, 307)];
        for (kind, named) in kinds {
            for (protocol, scheme) in protocols {
                for (host, at) in hosts {
                    for (key, to) in keys {
                        for (query, asked) in queries {
                            for (code, status) in codes {
                                let rule = format!(
                                    r#"[{{"RuleNumber": 1, "Condition": {{"KeyPrefixEquals": "abc/"}}, "Redirect":
                                    {{{kind} {protocol} {host} {key} {query} "HttpRedirectCode": {code}}}}}]"#
                                );
                                let set = RuleSet::from_json(rule.as_bytes()).rules.expect(&rule);
                                let action = &set.iter().next().unwrap().action;
                                let Action::External(external) = action else { panic!("{rule}") };
                                let location = external.location(&request);
                                assert_eq!(
                                    location,
                                    format!("{scheme}://{at}/{to}{asked}"),
                                    "{rule}"
                                );
                                assert_eq!(external.code, status, "{rule}");
                                assert_eq!(action.redirect_type(), named, "{rule}");
                            }
                        }
                    }
                }
            }
        }
    }
}
