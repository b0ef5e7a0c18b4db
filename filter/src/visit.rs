//! One request on the origin's side of a gateway: a miss that the gateway itself sends on.
//!
//! ```text
//! New ──request──▶ Asked ──answer──▶ Streaming (its bytes are copied) ──▶ Settled
//!        │            └─────────────────────────────────────────────────▶ Settled
//!        └ no mirror rule, or no way to the origin ─────────────────────▶ Settled
//! ```
//!
//! The gateway has decided already that the bucket lacks the object; which rule applies is decided
//! again here, by the same engine, since only rules say what the origin is to be asked.

use std::rc::Rc;
use std::time::Duration;

use crate::configuration::Configuration;
use crate::digest::Check;
use crate::http::error_document::ErrorCode;
use crate::http::headers::{HeaderList, Headers};
use crate::matching::{self, Answer, Source};
use crate::metric::Metric;
use crate::origin::{OriginRequest, Passed, Verdict};
use crate::reason::MirrorFailure;
use crate::reply::{Body, Reply};
use crate::report::{Outcome, Report};
use crate::request::{Method, ObjectRequest};
use crate::rule::{Action, RuleSet, TooLarge};
use crate::transfer::{Plan, TransferId, pull};

/// One request.
#[derive(Debug)]
pub struct Visit {
    state: State,
}

#[derive(Debug)]
enum State {
    Asked(Rc<Asked>),
    New,
    Settled,
    Streaming(TransferId),
}

/// A request that has been sent to an origin.
#[derive(Debug)]
pub struct Asked {
    rule: u32,
    request: ObjectRequest,
    origin: OriginRequest,
    report: Report,
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Departure {
    /// The client gets an answer at once.
    Answer(Refusal),
    /// The client gets an answer at once, and the object is fetched for itself.
    Fetch {
        /// What the client gets.
        answer: Refusal,
        /// What the bucket gets.
        plan: Box<Plan>,
        /// How it is fetched.
        origin: OriginRequest,
    },
    /// These headers go to the origin, and no others.
    Send(HeaderList, Rc<Asked>),
}

/// An answer in place of the origin's.
#[derive(Debug)]
pub struct Refusal {
    /// What the client gets.
    pub reply: Reply,
    /// The counter that goes up.
    pub metric: Metric,
    /// The line for the log.
    pub line: String,
}

/// What becomes of an origin's answer.
#[derive(Debug)]
pub enum Arrival {
    /// The client gets another answer.
    Answer(Refusal),
    /// The client gets another answer, since it asked for a part that is not there; the bucket gets
    /// the object.
    Backfill(Refusal, Box<(Plan, OriginRequest)>),
    /// The client gets the body with these headers.
    Stream {
        /// The headers.
        headers: HeaderList,
        /// How the bucket gets the object, where it gets it.
        storing: Option<Box<Storing>>,
    },
}

/// How an object gets into the bucket.
#[derive(Debug)]
pub enum Storing {
    /// By a fetch of its own: the client only wanted a part, or the headers.
    Later(Plan, OriginRequest),
    /// On its way through; the request is for the fetch that is needed when that fails.
    Now(Plan, OriginRequest),
}

impl Visit {
    /// A request, of which nothing is known yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: State::New }
    }

    /// The request leaves for the origin.
    pub fn on_request(&mut self, configuration: &Configuration, headers: Headers) -> Departure {
        let knows = |name: &str| configuration.bucket(name).is_some();
        self.state = State::Settled;
        match ObjectRequest::read(headers.clone(), configuration.domain.as_deref(), knows) {
            Ok(request) => self.depart(configuration, request),
            // The gateway's routes let through what the rules do not cover: the bucket's answer
            // was 404, and is lost.
            Err(_) => Departure::Answer(Refusal {
                reply: Reply::not_covered(&headers),
                metric: Metric::Absent,
                line: "a request that no rule covers was sent to an origin".to_owned(),
            }),
        }
    }

    fn depart(&mut self, configuration: &Configuration, request: ObjectRequest) -> Departure {
        let nothing = RuleSet::default();
        let rules = configuration.bucket(&request.bucket).map_or(&nothing, |b| &b.rules);
        let answer = Answer { status: 404, source: Source::Bucket, deleted: false };
        let found = matching::first_match(rules, request.named(), answer);
        let Ok((number, Action::Mirror(mirror))) = found.map(|rule| (rule.number, &rule.action))
        else {
            return Departure::Answer(Refusal {
                reply: Reply::not_covered(&request.headers),
                metric: Metric::Absent,
                line: "a request that no rule covers was sent to an origin".to_owned(),
            });
        };
        let report = Report::new(&request, answer.status, number);
        match OriginRequest::new(configuration, mirror, &request) {
            Ok(origin) if let Some(code) = mirror.async_status => {
                Asked { rule: number, request, origin, report }.fetch(code)
            }
            Ok(origin) => {
                let mut headers = origin.call_headers(request.method.as_str());
                if let Some(range) = request.range() {
                    headers.add("range", range);
                }
                let asked = Rc::new(Asked { rule: number, request, origin, report });
                self.state = State::Asked(Rc::clone(&asked));
                Departure::Send(headers, asked)
            }
            Err(failure) => Departure::Answer(Refusal {
                reply: Reply::failed(number, &failure, &request),
                metric: Metric::MirrorFailed,
                line: report.line(&Outcome::Failed { url: None, failure: &failure }),
            }),
        }
    }

    /// The origin's answer begins. `None` after a request that was not sent.
    pub fn on_answer(&mut self, answer: &Headers) -> Option<Arrival> {
        let State::Asked(asked) = std::mem::replace(&mut self.state, State::Settled) else {
            return None;
        };
        let ranged = asked.request.range().is_some();
        let status = answer.status().unwrap_or_default();
        Some(match status {
            200 if asked.request.method == Method::Head => {
                asked.stream(answer, None, Storing::Later)
            }
            200 => {
                let length = answer.content_length();
                asked.stream(answer, length, Storing::Now)
            }
            206 if ranged && answer.get("content-range").is_some() => {
                asked.stream(answer, None, Storing::Later)
            }
            416 if ranged => {
                let message = "The requested range is not satisfiable.";
                let mut reply = Reply::error(ErrorCode::InvalidRange, message, &asked.request);
                if let Some(range) = answer.get("content-range") {
                    reply.headers.add("content-range", range);
                }
                let refusal = asked.refuse(reply, &MirrorFailure::Status(status));
                match asked.origin.rule().proxy_pass {
                    true => Arrival::Answer(refusal),
                    false => Arrival::Backfill(refusal, Box::new(asked.later())),
                }
            }
            other => asked.judge(other, answer),
        })
    }

    /// The client has left. What it waited for is wanted in the bucket all the same.
    pub fn on_abandoned(&mut self) -> Option<(Plan, OriginRequest)> {
        match std::mem::replace(&mut self.state, State::Settled) {
            State::Asked(asked) if !asked.origin.rule().proxy_pass => Some(asked.later()),
            State::Asked(_) | State::New | State::Settled | State::Streaming(_) => None,
        }
    }

    /// The body is copied by this transfer.
    pub fn copied_by(&mut self, transfer: TransferId) {
        self.state = State::Streaming(transfer);
    }

    /// The transfer that copies the body.
    #[must_use]
    pub const fn transfer(&self) -> Option<TransferId> {
        match self.state {
            State::Streaming(id) => Some(id),
            State::Asked(_) | State::New | State::Settled => None,
        }
    }

    /// The body has come to an end; returns the transfer that copied it.
    pub fn on_end(&mut self) -> Option<TransferId> {
        let transfer = self.transfer()?;
        self.state = State::Settled;
        Some(transfer)
    }
}

impl Default for Visit {
    fn default() -> Self {
        Self::new()
    }
}

impl Asked {
    fn stream(
        &self,
        answer: &Headers,
        length: Option<u64>,
        storing: impl FnOnce(Plan, OriginRequest) -> Storing,
    ) -> Arrival {
        let rule = self.origin.rule();
        let found = match self.origin.found(answer) {
            Ok(found) => found,
            Err(failure) => return self.fail(&failure),
        };
        // A part says by its Content-Range how large the whole is; so much is not asked of it.
        if let (Some(length), Some(limit)) = (length, rule.max_bytes)
            && length > limit
        {
            return self.too_large(limit);
        }
        let status = answer.text(":status").unwrap_or_default();
        let mut headers = HeaderList::new().with(":status", status);
        headers.extend(&found.shown);
        for name in ["content-length", "content-range"] {
            if let Some(value) = answer.get(name) {
                headers.add(name, value);
            }
        }
        headers.add("x-oss-tag", self.origin.tag());
        if rule.proxy_pass {
            return Arrival::Stream { headers, storing: None };
        }
        let check = self.origin.check(answer);
        let plan = Plan { check, ..self.plan(found.kept, length, pull::validator(answer)) };
        let storing = storing(plan, self.origin.clone());
        Arrival::Stream { headers, storing: Some(Box::new(storing)) }
    }

    /// What becomes of an answer that is no object.
    fn judge(&self, status: u16, answer: &Headers) -> Arrival {
        match self.origin.judge_status(status, answer) {
            Verdict::Absent => self.absent(),
            Verdict::Failed(failure) => self.fail(&failure),
            Verdict::Passed(Passed { status, headers: own }) => {
                let url = self.origin.url();
                if own.get("location").is_some() {
                    return Arrival::Answer(Refusal {
                        reply: Reply { status, headers: own, body: Body::Absent },
                        metric: Metric::Mirrored,
                        line: self.report.line(&Outcome::Passed { url: &url, status }),
                    });
                }
                let mut headers = HeaderList::new().with(":status", status.to_string());
                headers.extend(&own);
                if let Some(length) = answer.get("content-length") {
                    headers.add("content-length", length);
                }
                Arrival::Stream { headers, storing: None }
            }
            // A stream has no second request.
            Verdict::Moved(_) | Verdict::Object(_) | Verdict::TooLarge | Verdict::Unknown => {
                self.fail(&MirrorFailure::Status(status))
            }
        }
    }

    /// The client goes to the origin by itself, and the object is fetched for itself.
    fn fetch(self, code: u16) -> Departure {
        let location = self.origin.location();
        let plan = Box::new(self.plan(HeaderList::new(), None, None));
        let answer = Refusal {
            reply: Reply::redirect(code, &location),
            metric: Metric::Redirected,
            line: self.report.line(&Outcome::Fetching { code, location: &location }),
        };
        Departure::Fetch { answer, plan, origin: self.origin }
    }

    fn too_large(&self, limit: u64) -> Arrival {
        match self.origin.rule().too_large {
            TooLarge::Fail => self.fail(&MirrorFailure::TooLarge { limit }),
            TooLarge::Redirect => {
                let location = self.origin.location();
                Arrival::Answer(Refusal {
                    reply: Reply::redirect(302, &location),
                    metric: Metric::TooLarge,
                    line: self.report.line(&Outcome::TooLarge { location: &location }),
                })
            }
        }
    }

    /// How long the origin may take to answer.
    pub(crate) fn patience(&self, standard: Duration) -> Duration {
        self.origin.timeout(standard)
    }

    fn plan(&self, headers: HeaderList, length: Option<u64>, validator: Option<String>) -> Plan {
        Plan {
            bucket: self.request.bucket.clone(),
            key: self.request.key.clone(),
            headers,
            tag: self.origin.tag(),
            url: self.origin.url(),
            length,
            validator,
            check: Check::default(),
            report: self.report.clone(),
        }
    }

    /// What a fetch of its own needs to know.
    fn later(&self) -> (Plan, OriginRequest) {
        (self.plan(HeaderList::new(), None, None), self.origin.clone())
    }

    fn absent(&self) -> Arrival {
        let url = self.origin.url();
        Arrival::Answer(Refusal {
            reply: Reply::absent(self.rule, &self.request),
            metric: Metric::Absent,
            line: self.report.line(&Outcome::Absent { url: &url }),
        })
    }

    /// What the client gets when the origin has not answered in time.
    #[must_use]
    pub(crate) fn timed_out(&self) -> Refusal {
        let failure = MirrorFailure::TimedOut;
        self.refuse(Reply::failed(self.rule, &failure, &self.request), &failure)
    }

    fn fail(&self, failure: &MirrorFailure) -> Arrival {
        Arrival::Answer(self.refuse(Reply::failed(self.rule, failure, &self.request), failure))
    }

    fn refuse(&self, reply: Reply, failure: &MirrorFailure) -> Refusal {
        let url = self.origin.url();
        Refusal {
            reply,
            metric: Metric::MirrorFailed,
            line: self.report.line(&Outcome::Failed { url: Some(&url), failure }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIGURATION: &str = r#"{
        "role": "origin",
        "buckets": [{"name": "b", "store": {"cluster": "s", "authority": "s"}, "RoutingRules": [
            {"RuleNumber": 1, "Condition": {"KeyPrefixEquals": "a/", "HttpErrorCodeReturnedEquals": 404},
             "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/"}},
            {"RuleNumber": 2, "Condition": {"HttpErrorCodeReturnedEquals": 404},
             "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/", "MirrorAllowHeadObject": true}}]}],
        "origins": {"http://o": "o"}
    }"#;

    fn head(path: &str) -> (Visit, Departure) {
        let configuration = Configuration::from_json(CONFIGURATION.as_bytes()).unwrap();
        let mut visit = Visit::new();
        let request =
            Headers::from_pairs([(":method", "HEAD"), (":path", path), ("range", "bytes=0-1")]);
        let departure = visit.on_request(&configuration, request);
        (visit, departure)
    }

    #[test]
    fn a_head_travels_as_one_and_the_object_comes_later() {
        let (mut visit, departure) = head("/b/k");
        let Departure::Send(headers, _) = departure else { panic!("{departure:?}") };
        assert_eq!(headers.get(":method"), Some(&b"HEAD"[..]));
        assert_eq!(headers.get("range"), None, "a HEAD has no range");
        let answer = [(":status", "200"), ("content-length", "7"), ("content-type", "a/b")];
        match visit.on_answer(&Headers::from_pairs(answer)) {
            Some(Arrival::Stream { headers, storing }) => {
                assert_eq!(headers.get("content-length"), Some(&b"7"[..]));
                assert_eq!(headers.get("x-oss-tag"), Some(&b"MIRROR http%3A%2F%2Fo%2Fk"[..]));
                assert!(matches!(storing.as_deref(), Some(Storing::Later(..))), "{storing:?}");
            }
            other => panic!("{other:?}"),
        }
        let (mut visit, _) = head("/b/k");
        let arrival = visit.on_answer(&Headers::from_pairs([(":status", "404")]));
        assert!(matches!(&arrival, Some(Arrival::Answer(no)) if no.reply.status == 404));
        // The rule of its GET does not allow it.
        let (_, departure) = head("/b/a/k");
        assert!(matches!(departure, Departure::Answer(_)), "{departure:?}");
    }

    fn asked(headers: &[(&str, &str)]) -> Visit {
        let configuration = Configuration::from_json(CONFIGURATION.as_bytes()).unwrap();
        let mut visit = Visit::new();
        let head = [(":method", "GET"), (":path", "/b/k")];
        let headers = Headers::from_pairs(head.iter().chain(headers).copied());
        let departure = visit.on_request(&configuration, headers);
        assert!(matches!(departure, Departure::Send(..)), "{departure:?}");
        visit
    }

    #[test]
    fn whoever_leaves_before_the_answer_leaves_the_object() {
        let mut visit = asked(&[]);
        assert_eq!(visit.on_end(), None, "nothing was copied yet");
        let (plan, _) = visit.on_abandoned().unwrap();
        assert_eq!((plan.bucket.as_str(), plan.key.as_slice()), ("b", &b"k"[..]));
        assert!(visit.on_abandoned().is_none(), "once is enough");
        for status in ["200", "404", "500"] {
            let mut visit = asked(&[]);
            let _ = visit.on_answer(&Headers::from_pairs([(":status", status)]));
            assert!(visit.on_abandoned().is_none(), "{status}");
        }
    }

    #[test]
    fn a_part_behind_the_end_is_refused_and_the_object_fetched() {
        let answer = [(":status", "416"), ("content-range", "bytes */5")];
        let answer = Headers::from_pairs(answer);
        let mut visit = asked(&[("range", "bytes=9-")]);
        let arrival = visit.on_answer(&answer);
        let Some(Arrival::Backfill(refusal, object)) = arrival else { panic!("{arrival:?}") };
        assert_eq!((refusal.reply.status, object.0.key.as_slice()), (416, &b"k"[..]));
        // Who asked for all of it was not told where its end is.
        let arrival = asked(&[]).on_answer(&answer);
        let Some(Arrival::Answer(refusal)) = arrival else { panic!("{arrival:?}") };
        assert_eq!(refusal.reply.status, 424);
    }
}
