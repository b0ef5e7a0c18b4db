//! One request of a client, from its headers to the decision what it gets.
//!
//! ```text
//! Asked ──bucket's answer──▶ Decided: Pass (the answer stays, perhaps with its tag)
//!                                     Answer (a redirect, or a refusal to fetch)
//!                                     Mirror (held; the worker answers)
//! ```
//!
//! A request costs one buffer until the bucket answered with something a rule could act on. What
//! fetching and storing take is the [`crate::worker`]'s.

use crate::configuration::Configuration;
use crate::http::headers::Headers;
use crate::matching::{self, Answer, Source};
use crate::metric::Metric;
use crate::origin::OriginRequest;
use crate::reason::{MirrorFailure, Pass};
use crate::reply::Reply;
use crate::report::{Outcome, Report};
use crate::request::ObjectRequest;
use crate::rule::{Action, Mirror, RuleSet, TooLarge};
use crate::store::TAG_METADATA;
use crate::worker::Ticket;

/// One request.
#[derive(Debug)]
pub struct Exchange {
    state: State,
}

#[derive(Debug)]
enum State {
    Asked { headers: Headers, ticket: Ticket },
    Decided,
}

/// What becomes of the bucket's answer.
#[derive(Debug)]
pub enum Decision {
    /// The client gets something else at once.
    Answer {
        /// What it gets.
        reply: Reply,
        /// The counter that goes up.
        metric: Metric,
        /// The line for the log.
        line: String,
    },
    /// The answer is held until the worker has the object.
    Mirror(Box<Miss>),
    /// The answer stays.
    Pass(Pass),
    /// The answer stays, and says that its object once was mirrored.
    Tag(Vec<u8>),
}

/// A request whose object is to be mirrored.
#[derive(Clone, Debug)]
pub struct Miss {
    /// When the request began, among the worker's events.
    pub ticket: Ticket,
    /// The request.
    pub request: ObjectRequest,
    /// What the origin is asked.
    pub origin: OriginRequest,
    /// The number of the rule.
    pub rule: u32,
    /// What the client gets when the object is too large.
    pub too_large: TooLarge,
    /// What will be told of it.
    pub report: Report,
}

impl Exchange {
    /// A request has arrived. Its headers are kept as they are: they cannot be read again later.
    #[must_use]
    pub const fn new(headers: Headers, ticket: Ticket) -> Self {
        Self { state: State::Asked { headers, ticket } }
    }

    /// The bucket, or the gateway in its place, has answered. `source` is asked only where a rule
    /// could act.
    ///
    /// Whatever comes after the decision changes nothing any more.
    pub fn on_answer(
        &mut self,
        configuration: &Configuration,
        answer: &Headers,
        source: impl FnOnce() -> Source,
    ) -> Decision {
        match std::mem::replace(&mut self.state, State::Decided) {
            State::Asked { headers, ticket } => {
                decide(configuration, headers, ticket, answer, source)
            }
            State::Decided => Decision::Pass(Pass::BucketHasIt),
        }
    }
}

fn decide(
    configuration: &Configuration,
    headers: Headers,
    ticket: Ticket,
    answer: &Headers,
    source: impl FnOnce() -> Source,
) -> Decision {
    let status = answer.status().unwrap_or_default();
    // A hit ends here. Only a rule without a status can want anything of it.
    if status < 400 && !configuration.buckets.iter().any(|b| b.rules.has_any_status()) {
        return keep(Pass::BucketHasIt, answer);
    }
    let knows = |name: &str| configuration.bucket(name).is_some();
    let request = match ObjectRequest::read(headers, configuration.domain.as_deref(), knows) {
        Ok(request) => request,
        Err(pass) => return keep(pass, answer),
    };
    let nothing = RuleSet::default();
    let rules = configuration.bucket(&request.bucket).map_or(&nothing, |b| &b.rules);
    // The gateway has been to the origin itself: this is no answer of the bucket any more.
    if answer.get("x-oss-tag").is_some() && answer.get(TAG_METADATA).is_none() {
        return Decision::Pass(Pass::Mirrored);
    }
    let answered = Answer { status, source: source(), deleted: is_delete_marker(answer) };
    let rule = match matching::first_match(rules, request.named(), answered) {
        Ok(rule) => rule,
        Err(pass) => return keep(pass, answer),
    };
    let report = Report::new(&request, status, rule.number);
    match &rule.action {
        Action::External(external) => {
            let location = external.location(&request);
            let outcome = Outcome::Redirected { code: external.code, location: &location };
            Decision::Answer {
                reply: Reply::redirect(external.code, &location),
                metric: Metric::Redirected,
                line: report.line(&outcome),
            }
        }
        Action::Mirror(mirror) => {
            begin_mirror(configuration, mirror, rule.number, request, ticket, report)
        }
    }
}

fn begin_mirror(
    configuration: &Configuration,
    mirror: &Mirror,
    rule: u32,
    request: ObjectRequest,
    ticket: Ticket,
    report: Report,
) -> Decision {
    let built = configuration
        .cluster_of(&mirror.url.origin())
        .ok_or(MirrorFailure::NoCluster)
        .and_then(|cluster| OriginRequest::build(mirror, &request, cluster));
    match built {
        Ok(origin) => {
            let too_large = mirror.too_large;
            Decision::Mirror(Box::new(Miss { ticket, request, origin, rule, too_large, report }))
        }
        Err(failure) => Decision::Answer {
            reply: Reply::failed(rule, failure, &request),
            metric: Metric::MirrorFailed,
            line: report.line(&Outcome::Failed { url: None, failure }),
        },
    }
}

/// The bucket's answer stays; an object that came from an origin goes on saying so.
fn keep(pass: Pass, answer: &Headers) -> Decision {
    match answer.get(TAG_METADATA) {
        Some(tag) if answer.get("x-oss-tag").is_none() => Decision::Tag(tag.to_vec()),
        Some(_) | None => Decision::Pass(pass),
    }
}

/// Whether the object was deleted from a versioned bucket.
#[must_use]
pub fn is_delete_marker(answer: &Headers) -> bool {
    ["x-amz-delete-marker", "x-oss-delete-marker"]
        .into_iter()
        .any(|name| answer.text(name).is_some_and(|value| value.eq_ignore_ascii_case("true")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::Body;

    const CONFIGURATION: &str = r#"{
        "domain": "s3.example",
        "buckets": [{"name": "b", "store": {"cluster": "s", "authority": "s"}, "RoutingRules": [
            {"RuleNumber": 1, "Condition": {"KeyPrefixEquals": "up/", "HttpErrorCodeReturnedEquals": 404},
             "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/", "EnableReplacePrefix": true}},
            {"RuleNumber": 2, "Condition": {"KeyPrefixEquals": "old/", "HttpErrorCodeReturnedEquals": 404},
             "Redirect": {"RedirectType": "External", "HostName": "h.example", "Protocol": "https",
                          "ReplaceKeyPrefixWith": "new/", "PassQueryString": true, "HttpRedirectCode": 302}},
            {"RuleNumber": 3, "Condition": {"HttpErrorCodeReturnedEquals": 503},
             "Redirect": {"RedirectType": "External", "ReplaceKeyWith": "sorry.html"}}
        ]}],
        "origins": {"http://o": "o"}
    }"#;

    fn decide(host: &str, path: &str, answer: &[(&str, &str)], source: Source) -> Decision {
        let configuration = Configuration::from_json(CONFIGURATION.as_bytes()).unwrap();
        let request = Headers::from_pairs([
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", host),
            (":path", path),
        ]);
        let ticket = crate::worker::Worker::new(configuration.clone().into()).ticket();
        let answer = Headers::from_pairs(answer.iter().copied());
        Exchange::new(request, ticket).on_answer(&configuration, &answer, || source)
    }

    fn location(host: &str, path: &str, status: &str, source: Source) -> (u16, String) {
        let decision = decide(host, path, &[(":status", status)], source);
        let Decision::Answer { reply, .. } = decision else { panic!("{path}: {decision:?}") };
        assert_eq!(reply.body, Body::Absent);
        let location = reply.headers.get("location").unwrap().to_vec();
        (reply.status, String::from_utf8(location).unwrap())
    }

    #[test]
    fn redirects_go_where_the_rule_says() {
        let cases = [
            ("g", "/b/old/x", "404", 302, "https://h.example/new/x"),
            ("g", "/b/old/x?a=1&X-Amz-Date=2", "404", 302, "https://h.example/new/x?a=1"),
            (
                "g",
                "/b/old/%0d%0aset-cookie:%20a",
                "404",
                302,
                "https://h.example/new/%0D%0Aset-cookie%3A%20a",
            ),
            ("g", "/b/old//evil.example/", "404", 302, "https://h.example/new//evil.example/"),
            ("g:80", "/b/x", "503", 301, "https://g:80/b/sorry.html"),
            ("b.s3.example", "/x", "503", 301, "https://b.s3.example/sorry.html"),
        ];
        for (host, path, status, code, expected) in cases {
            let found = location(host, path, status, Source::Bucket);
            assert_eq!(found, (code, expected.to_owned()), "{path}");
        }
        // The bucket cannot be reached: the gateway's own 503 is redirected all the same.
        assert_eq!(location("g", "/b/x", "503", Source::Gateway).0, 301);
    }

    #[test]
    fn the_buckets_answer_stays() {
        use Source::{Bucket, Gateway};
        let cases: &[(&str, &[(&str, &str)], Source)] = &[
            ("/b/up/x", &[(":status", "200")], Bucket),
            ("/b/up/x", &[(":status", "304")], Bucket),
            ("/b/up/x", &[(":status", "403")], Bucket),
            ("/b/up/x", &[(":status", "500")], Bucket),
            ("/b/up/x", &[(":status", "404"), ("x-amz-delete-marker", "true")], Bucket),
            ("/b/up/x", &[(":status", "404")], Gateway),
            ("/b/up/x?acl", &[(":status", "404")], Bucket),
            ("/b/else", &[(":status", "404")], Bucket),
            ("/other/up/x", &[(":status", "404")], Bucket),
            ("/b/up/x", &[], Bucket),
        ];
        for (path, answer, source) in cases {
            let decision = decide("g", path, answer, *source);
            assert!(matches!(decision, Decision::Pass(_)), "{path} {answer:?}: {decision:?}");
        }
    }

    #[test]
    fn a_stored_tag_is_shown_again_once() {
        let tagged = [(":status", "200"), (TAG_METADATA, "MIRROR x")];
        let decision = decide("g", "/b/up/x", &tagged, Source::Bucket);
        assert!(matches!(&decision, Decision::Tag(tag) if tag == b"MIRROR x"), "{decision:?}");
        let shown = [(":status", "200"), (TAG_METADATA, "MIRROR x"), ("x-oss-tag", "MIRROR x")];
        let decision = decide("g", "/b/up/x", &shown, Source::Bucket);
        assert!(matches!(decision, Decision::Pass(_)), "{decision:?}");
    }

    #[test]
    fn a_key_that_leaves_the_mirror_url_is_not_fetched() {
        let decision = decide("g", "/b/up/../x", &[(":status", "404")], Source::Bucket);
        let Decision::Answer { reply, line, .. } = decision else { panic!("{decision:?}") };
        assert_eq!(reply.status, 424);
        assert!(line.contains("dot segments"), "{line}");
    }

    #[test]
    fn a_second_answer_changes_nothing() {
        let configuration = Configuration::from_json(CONFIGURATION.as_bytes()).unwrap();
        let ticket = crate::worker::Worker::new(configuration.clone().into()).ticket();
        let request = Headers::from_pairs([(":method", "GET"), (":path", "/b/old/x")]);
        let mut exchange = Exchange::new(request, ticket);
        let answer = Headers::from_pairs([(":status", "404")]);
        let first = exchange.on_answer(&configuration, &answer, || Source::Bucket);
        assert!(matches!(first, Decision::Answer { .. }), "{first:?}");
        let second = exchange.on_answer(&configuration, &answer, || Source::Bucket);
        assert!(matches!(second, Decision::Pass(_)), "{second:?}");
    }
}
