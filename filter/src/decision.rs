//! One request on its way to the bucket, and what becomes of the bucket's response.
//!
//! ```text
//! Asked ──bucket's response──▶ Decided: Pass (it stays)
//!                                       Tell (it stays, and says where its object came from)
//!                                       Answer (a redirect, or a refusal to fetch)
//!                                       Fetch (answered at once; the object is fetched)
//!                                       Mirror (held until there is an answer)
//!                                       Prove (held until it is known whether the object is there)
//! ```
//!
//! A request costs one buffer until the bucket has responded with something a rule could act on.

use std::borrow::Cow;

use crate::conclusion::Conclusion;
use crate::configuration::Configuration;
use crate::host::Effect;
use crate::http::headers::{HeaderList, Headers};
use crate::matching::{self, BucketResponse, Source};
use crate::metadata::{self, TAG_METADATA};
use crate::metric::{self, Series};
use crate::miss::{Miss, Sequence};
use crate::origin::OriginRequest;
use crate::outcome;
use crate::reason::{MirrorFailure, Pass};
use crate::reply::Reply;
use crate::report::{Found, Outcome, Report};
use crate::request::ObjectRequest;
use crate::rule::{Action, Rule};
use crate::shared::SharedData;
use crate::time::Moment;
use crate::tombstone::{self, Known, Tombstone};

/// One request.
#[derive(Debug)]
pub struct Exchange {
    state: State,
}

#[derive(Debug)]
enum State {
    Asked { headers: Headers, sequence: Sequence },
    Decided,
}

/// What becomes of the bucket's response.
#[derive(Debug)]
pub enum Decision {
    /// The client gets something else at once.
    Answer(Conclusion),
    /// The client gets something else at once, and the object is fetched meanwhile.
    Fetch(Conclusion, Box<Miss>),
    /// The client waits for the object.
    Mirror(Box<Miss>),
    /// The response stays.
    Pass(Pass),
    /// The bucket has refused to say whether it has the object: the gateway's own keys are to ask.
    /// Only if they find that it has not, a rule decides; if not, the response stays.
    Prove(Box<Doubt>),
    /// The response stays, with these headers, each in place of any of its name.
    Tell(HeaderList),
}

/// A request that the bucket has refused without a word on whether it has the object.
#[derive(Clone, Debug)]
pub struct Doubt {
    pub(crate) request: ObjectRequest,
    sequence: Sequence,
    response: BucketResponse,
    about: About,
}

/// What is not known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum About {
    /// Whether the bucket has the object.
    Object,
    /// The same, and then whether it was deleted.
    ObjectThenTombstone,
    /// Whether it was deleted.
    Tombstone,
}

impl Doubt {
    /// The key that is looked for. Where it is not there, a rule decides.
    pub(crate) fn key(&self) -> Cow<'_, [u8]> {
        match self.about {
            About::Object | About::ObjectThenTombstone => Cow::Borrowed(&self.request.key),
            About::Tombstone => {
                let Self { request, .. } = self;
                Cow::Owned(Tombstone::of(&request.bucket, &request.key).marker().into_bytes())
            }
        }
    }

    /// Whether it is not known whether the object was deleted.
    pub(crate) const fn is_about_tombstone(&self) -> bool {
        matches!(self.about, About::Tombstone)
    }

    /// Whether an answer of 404 says that it is not there. A delete marker of a versioned bucket says
    /// that an object was deleted, and of a marker of ours, that it was cleared.
    pub(crate) const fn is_settled_by_404(&self, is_delete_marker: bool) -> bool {
        match self.about {
            About::Object | About::ObjectThenTombstone => !is_delete_marker,
            About::Tombstone => true,
        }
    }
}

impl Exchange {
    /// A request has arrived. Its headers are kept as they are: they cannot be read again later.
    #[must_use]
    pub const fn new(headers: Headers, sequence: Sequence) -> Self {
        Self { state: State::Asked { headers, sequence } }
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
            State::Asked { headers, sequence } => {
                decide(configuration, headers, sequence, answer, source)
            }
            State::Decided => Decision::Pass(Pass::BucketHasIt),
        }
    }
}

fn decide(
    configuration: &Configuration,
    headers: Headers,
    sequence: Sequence,
    answer: &Headers,
    source: impl FnOnce() -> Source,
) -> Decision {
    let status = answer.status().unwrap_or_default();
    // A hit ends here. Only a rule without a status can want anything of it.
    if status < 400 && !configuration.buckets.iter().any(|b| b.rules.has_any_status()) {
        return keep(Pass::BucketHasIt, answer);
    }
    // Another application's, on the same listener.
    if !configuration.serves(headers.text(":authority").unwrap_or_default()) {
        return Decision::Pass(Pass::NoBucket);
    }
    let knows = |name: &str| configuration.bucket(name).is_some();
    let request = match ObjectRequest::read(headers, configuration.domain.as_deref(), knows) {
        Ok(request) => request,
        Err(pass) => return keep(pass, answer),
    };
    // The gateway has been to the origin itself: this is no answer of the bucket any more.
    if answer.get("x-oss-tag").is_some() && answer.get(TAG_METADATA).is_none() {
        return Decision::Pass(Pass::Mirrored);
    }
    let (source, deleted) = (source(), is_delete_marker(answer));
    // A host holds the body back, so what the store says in it is not known.
    let response = BucketResponse { status, source, deleted, denied: false };
    match decide_response(configuration, request, sequence, response) {
        Ok(decision) => decision,
        Err(pass) => keep(pass, answer),
    }
}

/// What the rules do about a response of the bucket.
///
/// # Errors
///
/// The reason why it stays.
pub(crate) fn decide_response(
    configuration: &Configuration,
    mut request: ObjectRequest,
    sequence: Sequence,
    response: BucketResponse,
) -> Result<Decision, Pass> {
    request.name_by(sequence.0);
    let rule = first_rule(configuration, &request, response)?;
    let is_doubtful = match &rule.action {
        Action::External(_) => false,
        Action::Mirror(_) => response.status == 403,
    };
    if is_doubtful {
        return Ok(Decision::Prove(Box::new(Doubt {
            request,
            sequence,
            response,
            about: About::Object,
        })));
    }
    Ok(act(configuration, rule, request, sequence, response))
}

fn first_rule<'c>(
    configuration: &'c Configuration,
    request: &ObjectRequest,
    response: BucketResponse,
) -> Result<&'c Rule, Pass> {
    let bucket = configuration.bucket(&request.bucket).ok_or(Pass::NoBucket)?;
    if bucket.tombstones.is_some() && request.key.starts_with(tombstone::PREFIX.as_bytes()) {
        return Err(Pass::Marker);
    }
    matching::first_match(&bucket.rules, request.view(), response)
}

/// What the rules do about a request of which the gateway itself has found that the bucket does not
/// have the object.
///
/// # Errors
///
/// The reason why the bucket's response stays.
pub(crate) fn proven(configuration: &Configuration, doubt: Doubt) -> Result<Decision, Pass> {
    let Doubt { mut request, sequence, response, about } = doubt;
    request.is_unmarked = about == About::Tombstone;
    let rule = first_rule(configuration, &request, response)?;
    Ok(act(configuration, rule, request, sequence, response))
}

/// What becomes of a request of which the bucket has said that what was looked for is not there.
pub(crate) fn not_there(configuration: &Configuration, doubt: Doubt) -> Option<Decision> {
    match doubt.about {
        About::Object | About::Tombstone => proven(configuration, doubt).ok(),
        About::ObjectThenTombstone => {
            Some(Decision::Prove(Box::new(Doubt { about: About::Tombstone, ..doubt })))
        }
    }
}

/// What the client gets where its object may have been deleted, and the bucket has been asked: with this
/// status, or none that says anything.
pub(crate) fn deleted(
    configuration: &Configuration,
    doubt: Doubt,
    status: Option<u16>,
) -> Option<Conclusion> {
    match proven(configuration, doubt).ok()? {
        Decision::Fetch(_, miss) | Decision::Mirror(miss) => Some(match status {
            Some(200..300) => miss.deleted(),
            Some(_) | None => {
                let status = status.unwrap_or_default();
                miss.failed(&miss.origin, &MirrorFailure::DeletionUnknown { status })
            }
        }),
        Decision::Answer(conclusion) => Some(conclusion),
        Decision::Pass(_) | Decision::Prove(_) | Decision::Tell(_) => None,
    }
}

/// What the rules behind one do, whose origin has nothing; `None` when no more applies.
pub(crate) fn fall_through(configuration: &Configuration, miss: &Miss) -> Option<Decision> {
    let rules = &configuration.bucket(&miss.request.bucket)?.rules;
    let (request, response) = (miss.request.clone(), miss.response);
    let rule = matching::first_match_behind(rules, miss.rule, request.view(), response).ok()?;
    Some(act(configuration, rule, request, miss.sequence, response))
}

/// What becomes of a request whose object may have been deleted through the gateway: its origin does not
/// bring it back. Where that is not known, the bucket is asked.
#[must_use]
pub fn unless_deleted(
    configuration: &Configuration,
    decision: Decision,
    shared: &mut dyn SharedData,
) -> Decision {
    let request = match &decision {
        Decision::Fetch(_, miss) | Decision::Mirror(miss) => &miss.request,
        Decision::Prove(doubt) => &doubt.request,
        Decision::Answer(_) | Decision::Pass(_) | Decision::Tell(_) => return decision,
    };
    let bucket = configuration.bucket(&request.bucket);
    if request.is_unmarked || bucket.is_none_or(|bucket| bucket.tombstones.is_none()) {
        return decision;
    }
    match (Tombstone::of(&request.bucket, &request.key).known(shared), decision) {
        (Known::Deleted, Decision::Fetch(_, miss) | Decision::Mirror(miss)) => {
            Decision::Answer(miss.deleted())
        }
        (Known::Unknown, Decision::Fetch(_, miss) | Decision::Mirror(miss)) => {
            let Miss { request, sequence, response, .. } = *miss;
            let about = About::Tombstone;
            Decision::Prove(Box::new(Doubt { request, sequence, response, about }))
        }
        // The bucket's 403 stays.
        (Known::Deleted, Decision::Prove(_)) => Decision::Pass(Pass::Forbidden),
        (Known::Unknown, Decision::Prove(doubt)) => {
            Decision::Prove(Box::new(Doubt { about: About::ObjectThenTombstone, ..*doubt }))
        }
        (Known::NotDeleted, decision)
        | (
            Known::Deleted | Known::Unknown,
            decision @ (Decision::Answer(_) | Decision::Pass(_) | Decision::Tell(_)),
        ) => decision,
    }
}

/// What becomes of a request by what is known: rules whose origins were found lately to lack its
/// object are as though they had been asked.
#[must_use]
pub fn without_absent(
    configuration: &Configuration,
    mut decision: Decision,
    now: Moment,
    shared: &mut dyn SharedData,
    effects: &mut Vec<Effect>,
) -> Decision {
    // Each turn is about a rule behind the last one.
    loop {
        let Decision::Mirror(miss) = decision else { return decision };
        if !miss.is_absent_lately(configuration, now, shared) {
            return Decision::Mirror(miss);
        }
        let next = match miss.origin.rule().fall_through {
            true => fall_through(configuration, &miss),
            false => None,
        };
        let Some(next) = next else {
            return Decision::Answer(miss.absent(&miss.origin, Found::Lately));
        };
        effects.push(Effect::Log(miss.fell_through(&miss.origin, Found::Lately)));
        decision = next;
    }
}

/// What a rule does about a request.
fn act(
    configuration: &Configuration,
    rule: &Rule,
    request: ObjectRequest,
    sequence: Sequence,
    response: BucketResponse,
) -> Decision {
    let report = Report::new(&request, response.status, rule.number, configuration.access_log);
    match &rule.action {
        Action::External(external) => {
            let location = external.location(&request);
            let outcome = Outcome::Redirected { code: external.code, location: &location };
            let reply = Reply::redirect(external.code, &location, &request);
            let (ended, bucket) = (metric::Outcome::Redirected, &request.bucket);
            let series = Series::request(ended, bucket, rule.number);
            Decision::Answer(Conclusion::new(reply, series, &report, &outcome))
        }
        Action::Mirror(mirror) => {
            let rule = rule.number;
            match OriginRequest::candidates(mirror, &request, configuration) {
                Ok(mut others) if !others.is_empty() => {
                    let origin = others.remove(0);
                    let miss = Miss { sequence, request, origin, others, rule, response, report };
                    begin_mirror(miss)
                }
                Ok(_) => fail(&report, rule, &MirrorFailure::NoCluster, &request),
                Err(failure) => fail(&report, rule, &failure, &request),
            }
        }
    }
}

fn fail(report: &Report, rule: u32, failure: &MirrorFailure, request: &ObjectRequest) -> Decision {
    let reply = Reply::failed(rule, failure, request);
    let series = outcome::failed(failure, &request.bucket, rule);
    let outcome = Outcome::Failed { url: None, failure };
    Decision::Answer(Conclusion::new(reply, series, report, &outcome))
}

fn begin_mirror(miss: Miss) -> Decision {
    let Some(code) = miss.origin.rule().async_status else {
        return Decision::Mirror(Box::new(miss));
    };
    let conclusion = miss.sent(code);
    match miss.storing() {
        Ok(()) => Decision::Fetch(conclusion, Box::new(miss)),
        // The object would be nobody's.
        Err(_) => Decision::Answer(conclusion),
    }
}

/// The bucket's response stays; an object that came from an origin goes on saying so.
fn keep(pass: Pass, answer: &Headers) -> Decision {
    let told = metadata::repeated(answer);
    if told.iter().next().is_none() { Decision::Pass(pass) } else { Decision::Tell(told) }
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
    use crate::conclusion::Told;
    use crate::metadata::LAST_MODIFIED_METADATA;
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
        let answer = Headers::from_pairs(answer.iter().copied());
        Exchange::new(request, Sequence::default()).on_answer(&configuration, &answer, || source)
    }

    fn location(host: &str, path: &str, status: &str, source: Source) -> (u16, String) {
        let decision = decide(host, path, &[(":status", status)], source);
        let Decision::Answer(Conclusion { reply, .. }) = decision else {
            panic!("{path}: {decision:?}")
        };
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
    fn what_is_kept_of_an_object_is_told_once() {
        let old = ("last-modified", "Tue, 01 Apr 2025 08:00:00 GMT");
        let kept = (LAST_MODIFIED_METADATA, old.1);
        let tag = (TAG_METADATA, "MIRROR x");
        let cases: [(&[(&str, &str)], &[(&str, &str)]); 6] = [
            (&[tag], &[("x-oss-tag", "MIRROR x")]),
            (&[tag, ("x-oss-tag", "MIRROR x")], &[]),
            (&[kept, ("last-modified", "now")], &[old]),
            (&[kept, old], &[]),
            (&[tag, kept], &[("x-oss-tag", "MIRROR x"), old]),
            (&[old], &[]),
        ];
        for (answer, expected) in cases {
            let answer = [&[(":status", "200")], answer].concat();
            let told = match decide("g", "/b/up/x", &answer, Source::Bucket) {
                Decision::Tell(told) => told,
                Decision::Pass(_) => HeaderList::new(),
                other @ (Decision::Answer(_)
                | Decision::Fetch(..)
                | Decision::Mirror(_)
                | Decision::Prove(_)) => panic!("{other:?}"),
            };
            assert_eq!(told.texts().collect::<Vec<_>>(), expected, "{answer:?}");
        }
    }

    #[test]
    fn a_host_that_is_not_listed_is_another_applications() {
        let hosts = r#"{"hosts": ["s3.example", "*.s3.example"], "domain""#;
        let text = CONFIGURATION.replacen("{\n        \"domain\"", hosts, 1);
        let configuration = Configuration::from_json(text.as_bytes()).unwrap();
        for (host, path, is_ours) in [
            ("s3.example", "/b/up/x", true),
            ("S3.example:8080", "/b/up/x", true),
            ("b.s3.example", "/up/x", true),
            ("other.example.com", "/b/up/x", false),
            ("", "/b/up/x", false),
        ] {
            let request =
                Headers::from_pairs([(":method", "GET"), (":authority", host), (":path", path)]);
            let answer = Headers::from_pairs([(":status", "404")]);
            let mut exchange = Exchange::new(request, Sequence::default());
            let decision = exchange.on_answer(&configuration, &answer, || Source::Bucket);
            assert_eq!(matches!(decision, Decision::Mirror(_)), is_ours, "{host}: {decision:?}");
        }
        for wrong in ["h:80", "*", "*.", "a/b", "", "*.*.h"] {
            let text = format!(r#"{{"hosts": ["{wrong}"], "buckets": []}}"#);
            assert!(Configuration::from_json(text.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_key_that_leaves_the_mirror_url_is_not_fetched() {
        let decision = decide("g", "/b/up/../x", &[(":status", "404")], Source::Bucket);
        let Decision::Answer(Conclusion { reply, told: Told::Line(line), .. }) = decision else {
            panic!("{decision:?}")
        };
        assert_eq!(reply.status, 424);
        assert!(line.contains("dot segments"), "{line}");
    }

    #[test]
    fn a_second_answer_changes_nothing() {
        let configuration = Configuration::from_json(CONFIGURATION.as_bytes()).unwrap();
        let request = Headers::from_pairs([(":method", "GET"), (":path", "/b/old/x")]);
        let mut exchange = Exchange::new(request, Sequence::default());
        let answer = Headers::from_pairs([(":status", "404")]);
        let first = exchange.on_answer(&configuration, &answer, || Source::Bucket);
        assert!(matches!(first, Decision::Answer { .. }), "{first:?}");
        let second = exchange.on_answer(&configuration, &answer, || Source::Bucket);
        assert!(matches!(second, Decision::Pass(_)), "{second:?}");
    }

    /// What becomes of a miss where deleted keys stay so.
    fn decide_kept(path: &str, shared: &mut dyn SharedData) -> Result<Decision, Pass> {
        let text =
            CONFIGURATION.replace("\"RoutingRules\"", "\"tombstones_ms\": 1, \"RoutingRules\"");
        let configuration = Configuration::from_json(text.as_bytes()).unwrap();
        let request =
            Headers::from_pairs([(":method", "GET"), (":authority", "g"), (":path", path)]);
        let request = ObjectRequest::read(request, None, |name| name == "b").unwrap();
        let response =
            BucketResponse { status: 404, source: Source::Bucket, deleted: false, denied: false };
        let decided = decide_response(&configuration, request, Sequence::default(), response)?;
        Ok(unless_deleted(&configuration, decided, shared))
    }

    #[test]
    fn what_was_deleted_is_not_mirrored_and_clients_are_still_sent_elsewhere() {
        let shared = &mut std::collections::BTreeMap::new();
        let Decision::Prove(doubt) = decide_kept("/b/up/k", shared).unwrap() else {
            panic!("before there was a list, only the bucket knows")
        };
        assert_eq!(*doubt.key(), *Tombstone::of("b", b"up/k").marker().into_bytes());
        for key in ["up/k", "old/k"] {
            Tombstone::of("b", key.as_bytes()).mark(Moment::default(), shared);
        }
        let Decision::Answer(Conclusion { reply, told: Told::Line(line), .. }) =
            decide_kept("/b/up/k", shared).unwrap()
        else {
            panic!("it was deleted")
        };
        assert_eq!(reply.status, 404);
        assert!(line.contains("deleted through the gateway, client got 404 NoSuchKey"), "{line}");
        let Decision::Answer(Conclusion { reply, .. }) = decide_kept("/b/old/k", shared).unwrap()
        else {
            panic!("a redirect brings nothing back")
        };
        assert_eq!(reply.status, 302);
    }

    #[test]
    fn what_is_below_the_prefix_of_markers_is_not_mirrored() {
        let shared = &mut std::collections::BTreeMap::new();
        let text = format!("/b/{}k", tombstone::PREFIX);
        assert_eq!(decide_kept(&text, shared).err(), Some(Pass::Marker));
    }
}
