//! The origin: the request that fetches an object, the judgement of what comes back, and where it
//! leads.

mod health;
mod object;
mod route;
mod verdict;

use std::sync::Arc;

pub use self::health::Health;
pub use self::object::ObjectHeaders;
pub use self::route::{MAX_HOPS, Next, Route};
pub use self::verdict::{Passed, Unheard, Verdict, judge_size};
use crate::configuration::Configuration;
use crate::digest::Check;
use crate::http::headers::{HeaderList, Headers};
use crate::http::location::Place;
use crate::http::{field, percent, query};
use crate::reason::MirrorFailure;
use crate::request::{self, ObjectRequest};
use crate::rule::{Mirror, MirrorUrl};

/// What origins see where no client's `user-agent` is passed: many refuse requests without one.
pub(crate) const USER_AGENT: &str = concat!("back-to-origin/", env!("CARGO_PKG_VERSION"));

/// Longer tags do not fit beside other user metadata, of which S3 keeps 2 KB.
const MAX_TAG_BYTES: usize = 1_800;

/// Words in the names of headers that prove to one server who asks: no other server gets them.
const SECRETS: [&str; 6] = ["auth", "cookie", "key", "secret", "session", "token"];

/// The request for one object at its origin.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OriginRequest {
    /// The cluster through which the origin is reached.
    pub cluster: String,
    rule: Arc<Mirror>,
    /// The key the client asked for.
    key: Vec<u8>,
    place: Place,
    host: String,
    headers: HeaderList,
}

/// By which a request says where it has been (RFC 8586). Nobody may take it off, or the loop goes on.
const CDN_LOOP: &str = "cdn-loop";

/// What a request for a bucket says of where it has been when it goes on from the gateway of this
/// name. One bucket may have another of the same gateway for its origin.
///
/// # Errors
///
/// It has been at this bucket.
fn passed_on(request: &Headers, id: &str, bucket: &str) -> Result<String, MirrorFailure> {
    let bucket = percent::encode_key(bucket.as_bytes());
    let own = format!("back-to-origin;id={id}.{bucket}");
    let mut passed = String::new();
    let values = request.iter().filter(|(name, _)| *name == CDN_LOOP.as_bytes());
    for value in values.filter_map(|(_, value)| std::str::from_utf8(value).ok()) {
        if value.split(',').any(|known| known.trim() == own) {
            return Err(MirrorFailure::BeenHere);
        }
        field::add(&mut passed, ", ", value);
    }
    field::add(&mut passed, ", ", &own);
    Ok(passed)
}

impl OriginRequest {
    /// What a rule makes of a client's request, at its MirrorURL.
    ///
    /// # Errors
    ///
    /// The key's dot segments would lead out of the MirrorURL's path.
    pub fn build(
        mirror: &Arc<Mirror>,
        request: &ObjectRequest,
        cluster: &str,
    ) -> Result<Self, MirrorFailure> {
        Self::build_at(&mirror.url, mirror, request, cluster)
    }

    /// The same, through the cluster that the configuration has for the MirrorURL.
    ///
    /// # Errors
    ///
    /// As before, or there is no such cluster.
    pub fn new(
        configuration: &Configuration,
        mirror: &Arc<Mirror>,
        request: &ObjectRequest,
    ) -> Result<Self, MirrorFailure> {
        Self::known(configuration, &mirror.url, mirror, request)
    }

    /// The same at each of the rule's URLs, in the order they are asked.
    ///
    /// # Errors
    ///
    /// As before, or the host has no cluster for one of them.
    pub fn candidates(
        mirror: &Arc<Mirror>,
        request: &ObjectRequest,
        configuration: &Configuration,
    ) -> Result<Vec<Self>, MirrorFailure> {
        mirror.urls().map(|url| Self::known(configuration, url, mirror, request)).collect()
    }

    fn known(
        configuration: &Configuration,
        url: &MirrorUrl,
        mirror: &Arc<Mirror>,
        request: &ObjectRequest,
    ) -> Result<Self, MirrorFailure> {
        let server = mirror.server(url.origin());
        let cluster = configuration.cluster_of(&server).ok_or(MirrorFailure::NoCluster)?;
        let mut built = Self::build_at(url, mirror, request, cluster)?;
        if let Some(id) = &configuration.loop_id {
            built.headers.remove(CDN_LOOP);
            built.headers.add(CDN_LOOP, passed_on(&request.headers, id, &request.bucket)?);
        }
        Ok(built)
    }

    fn build_at(
        url: &MirrorUrl,
        mirror: &Arc<Mirror>,
        request: &ObjectRequest,
        cluster: &str,
    ) -> Result<Self, MirrorFailure> {
        let key = mirror.key.apply(&request.key);
        if request::climbs_out(&key) {
            return Err(MirrorFailure::KeyClimbs);
        }
        let mut path = percent::encode_key(&key);
        if !mirror.pass_original_slashes {
            path = path.trim_start_matches('/').to_owned();
        }
        let mut headers = mirror.headers.apply(&request.headers, !mirror.proxy_pass);
        for (name, standard) in [("accept", "*/*"), ("user-agent", USER_AGENT)] {
            if headers.get(name).is_none() {
                headers.add(name, standard);
            }
        }
        let mut query = url.query().to_owned();
        if mirror.pass_query_string {
            field::add(&mut query, "&", &query::for_others(&request.query));
        }
        let place = Place {
            scheme: url.scheme(),
            authority: url.authority().to_owned(),
            path: format!("{}{path}", url.path()),
            query,
        };
        let host = mirror.headers.host().unwrap_or(&place.authority).to_owned();
        let (rule, key) = (Arc::clone(mirror), request.key.clone());
        Ok(Self { cluster: cluster.to_owned(), rule, key, place, host, headers })
    }

    /// The request that follows a redirect of the origin's. `cluster_of` knows the places that may
    /// be asked. The same server is asked in the same way; another one gets no signature.
    ///
    /// # Errors
    ///
    /// The place is none of them, or no place at all.
    pub fn follow<'c>(
        &self,
        location: &[u8],
        cluster_of: impl Fn(&str) -> Option<&'c str>,
    ) -> Result<Self, MirrorFailure> {
        let place = self.place.follow(location).ok_or(MirrorFailure::NoUrl)?;
        let origin = place.origin();
        let cluster = match origin == self.place.origin() {
            true => Some(self.cluster.as_str()),
            false => cluster_of(&origin),
        };
        let cluster = cluster.ok_or(MirrorFailure::UnknownOrigin(origin))?;
        Ok(self.moved(place, cluster))
    }

    /// The same at another place. Another server gets nothing that proves to this one who asks, and
    /// nothing that the rule sets for this one.
    fn moved(&self, place: Place, cluster: &str) -> Self {
        let mut moved = self.clone();
        if place.origin() != self.place.origin() {
            moved.host.clone_from(&place.authority);
            moved.headers = HeaderList::new();
            for (name, value) in self.headers.iter() {
                let secret = SECRETS.iter().any(|word| name.contains(word));
                let set = self.rule.headers.set.iter().any(|(known, _)| known == name);
                if !secret && !set {
                    moved.headers.add(name, value);
                }
            }
        }
        moved.place = place;
        cluster.clone_into(&mut moved.cluster);
        moved
    }

    /// Whether the digests in its answer count.
    pub(crate) fn checks(&self) -> bool {
        self.rule.check_md5
    }

    /// The check of a whole object by the answer that begins to bring it.
    pub(crate) fn check(&self, answer: &Headers) -> Check {
        if self.checks() { Check::of_whole(answer) } else { Check::default() }
    }

    /// The rule it is made by.
    #[must_use]
    pub fn rule(&self) -> &Mirror {
        &self.rule
    }

    /// The origin, as `scheme://host[:port]`.
    #[must_use]
    pub fn origin(&self) -> String {
        self.place.origin()
    }

    /// The origin in metrics: its server, where a rule names it. Where redirects lead is without end.
    pub(crate) fn server(&self) -> String {
        let origin = self.place.origin();
        match self.rule.urls().any(|url| url.origin() == origin) {
            true => self.place.authority.clone(),
            false => "other".to_owned(),
        }
    }

    /// The object's URL, without the query: it may be one client's secret, and the URL is kept
    /// beside the object.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}{}", self.place.origin(), self.place.path)
    }

    /// The URL a client can be sent to.
    #[must_use]
    pub fn location(&self) -> String {
        self.place.url()
    }

    /// The value of `x-oss-tag`: the word, and the URL in one word. Readers test the first.
    #[must_use]
    pub fn tag(&self) -> String {
        let tag = format!("MIRROR {}", percent::encode_url(&self.url()));
        if tag.len() <= MAX_TAG_BYTES { tag } else { "MIRROR".to_owned() }
    }

    /// The headers of the callout.
    #[must_use]
    pub fn call_headers(&self, method: &str) -> HeaderList {
        let Place { scheme, path, query, .. } = &self.place;
        let target = if query.is_empty() { path.clone() } else { format!("{path}?{query}") };
        let mut headers = HeaderList::new()
            .with(":method", method)
            .with(":scheme", scheme.as_str())
            .with(":authority", &self.host)
            .with(":path", target);
        headers.extend(&self.headers);
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::{Action, RuleSet, TooLarge};

    /// The request for a key by a rule with these elements.
    pub(super) fn request(key: &str, elements: &str) -> OriginRequest {
        let rules = format!(
            r#"[{{"RuleNumber": 1, "Condition": {{"HttpErrorCodeReturnedEquals": 404}},
                "Redirect": {{"RedirectType": "Mirror", "MirrorURL": "https://o/p/" {elements}}}}}]"#
        );
        let rules = RuleSet::from_json(rules.as_bytes());
        let rules = rules.rules.unwrap_or_else(|| panic!("{:?}", rules.findings));
        let Action::Mirror(mirror) = &rules.iter().next().unwrap().action else { panic!() };
        let path = format!("/b/{key}");
        let headers = Headers::from_pairs([
            (":method", "GET"),
            (":path", &path),
            ("accept-language", "de"),
            ("cookie", "c=1"),
            ("x-api-key", "k"),
        ]);
        let request = ObjectRequest::read(headers, None, |_| true).unwrap();
        OriginRequest::build(mirror, &request, "c").unwrap()
    }

    #[test]
    fn slashes_between_host_and_key_are_one_unless_the_rule_passes_them() {
        let pass = r#", "MirrorPassOriginalSlashes": true"#;
        for (key, elements, expected) in [
            ("a//b", "", "https://o/p/a//b"),
            ("/a", "", "https://o/p/a"),
            ("//a//b/", "", "https://o/p/a//b/"),
            ("//", "", "https://o/p/"),
            ("/a", pass, "https://o/p//a"),
            ("//a//b/", pass, "https://o/p///a//b/"),
        ] {
            assert_eq!(request(key, elements).url(), expected, "{key}{elements}");
        }
    }

    #[test]
    fn a_request_says_where_it_has_been_and_does_not_come_twice() {
        let of = |values: &[&str]| {
            let headers = Headers::from_pairs(values.iter().map(|value| ("cdn-loop", *value)));
            passed_on(&headers, "a1", "b c")
        };
        assert_eq!(of(&[]), Ok("back-to-origin;id=a1.b%20c".to_owned()));
        assert_eq!(of(&["x, y", "z"]), Ok("x, y, z, back-to-origin;id=a1.b%20c".to_owned()));
        let other = "back-to-origin;id=a12.b%20c, back-to-origin;id=a1.b";
        assert_eq!(of(&[other]), Ok(format!("{other}, back-to-origin;id=a1.b%20c")));
        assert_eq!(of(&["x", "y,back-to-origin;id=a1.b%20c , z"]), Err(MirrorFailure::BeenHere));
    }

    #[test]
    fn the_same_server_is_reached_as_before_and_another_without_a_signature() {
        let signed = request("a", r#", "MirrorAuth": {"Signer": "s"}"#);
        let rule = signed.rule();
        let servers: Vec<_> = rule.servers().collect();
        assert_eq!(
            (servers.as_slice(), rule.too_large),
            (&["https://o s".to_owned()][..], TooLarge::Fail)
        );
        let known = |server: &str| match server {
            "https://o" => Some("unsigned"),
            "https://q" => Some("other"),
            _ => None,
        };
        let to = |from: &OriginRequest, place: &str| from.follow(place.as_bytes(), known).unwrap();
        // `c` is the cluster it was built with.
        assert_eq!(to(&signed, "/b").cluster, "c");
        assert_eq!(to(&signed, "https://o/b").cluster, "c");
        let other = to(&signed, "https://q/b");
        assert_eq!(other.cluster, "other");
        assert_eq!(to(&other, "/c").cluster, "other");
        assert_eq!(to(&other, "https://o/b").cluster, "unsigned");
        assert!(signed.follow(b"https://z/", known).is_err());
    }

    #[test]
    fn another_server_gets_nothing_that_was_meant_for_the_first() {
        let request = request(
            "a",
            r#", "MirrorHeaders": {"PassAll": true, "Set": [
                {"Key": "authorization", "Value": "s"}, {"Key": "x-plain", "Value": "s"},
                {"Key": "host", "Value": "vhost"}]}"#,
        );
        let names = |request: &OriginRequest| -> Vec<String> {
            let headers = request.call_headers("GET");
            headers.texts().map(|(name, value)| format!("{name}={value}")).collect()
        };
        let agent = format!("user-agent={USER_AGENT}");
        let moved = |to: &str| request.moved(request.place.resolve(to).unwrap(), "d");
        assert_eq!(
            names(&moved("http://o/q?x")),
            [
                ":method=GET",
                ":scheme=http",
                ":authority=o",
                ":path=/q?x",
                "accept-language=de",
                "accept=*/*",
                &agent
            ]
        );
        assert_eq!(
            names(&moved("/q")),
            [
                ":method=GET",
                ":scheme=https",
                ":authority=vhost",
                ":path=/q",
                "accept-language=de",
                "cookie=c=1",
                "x-api-key=k",
                "authorization=s",
                "x-plain=s",
                "accept=*/*",
                &agent
            ]
        );
    }
}
