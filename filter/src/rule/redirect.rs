//! `RedirectType` External and AliCDN: where the client is sent.
//!
//! With AliCDN, OSS adds a header by which Alibaba's CDN follows the redirect for the client. Its
//! name is not documented; here the client follows it, as with External.

use super::KeyRewrite;
use crate::http::{Scheme, query};
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
        let written = self.key.written(&request.key);
        let (key, fragment) = match written.split_once('#') {
            Some((key, fragment)) => (key, Some(fragment)),
            None => (written.as_str(), None),
        };
        let mut location = match &self.host_name {
            Some(host) => format!("{protocol}://{host}/{key}"),
            None if request.bucket_in_path => {
                format!("{protocol}://{}/{}/{key}", request.authority, request.bucket)
            }
            None => format!("{protocol}://{}/{key}", request.authority),
        };
        let query = query::for_others(&request.query);
        if self.pass_query_string && !query.is_empty() {
            location.push(if key.contains('?') { '&' } else { '?' });
            location.push_str(&query);
        }
        if let Some(fragment) = fragment {
            location.push('#');
            location.push_str(fragment);
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
        let joined: [Choice; 2] = [
            (r#""ReplaceKeyPrefixWith": "r?key=","#, "r?key=x%20y"),
            (r##""ReplaceKeyWith": "p?k=${key}#t","##, "p?k=abc/x%20y#t"),
        ];
        let queries: [Choice; 3] = [
            ("", ""),
            (r#""PassQueryString": false,"#, ""),
            (r#""PassQueryString": true,"#, "?v=1"),
        ];
        let codes = [("301", 301), ("302", 302), (r#""307""#, 307)];
        let location = |redirect: &str| {
            let rule = format!(
                r#"[{{"RuleNumber": 1, "Condition": {{"KeyPrefixEquals": "abc/"}}, "Redirect":
                {{{redirect} "HostName": "h"}}}}]"#
            );
            let set = RuleSet::from_json(rule.as_bytes()).rules.expect(&rule);
            match &set.iter().next().unwrap().action {
                Action::External(external) => external.location(&request),
                Action::Mirror(_) => panic!("{rule}"),
            }
        };
        // The client's query joins the one that the rule has written, before its fragment.
        for (key, to) in joined {
            assert_eq!(location(key), format!("https://h/{to}"));
            let (path, fragment) = to.split_once('#').map_or((to, ""), |(path, _)| (path, "#t"));
            let passed = location(&format!(r#""PassQueryString": true, {key}"#));
            assert_eq!(passed, format!("https://h/{path}&v=1{fragment}"));
        }
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
