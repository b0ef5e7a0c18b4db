//! What comes of a miss that got no object: the answer, the counter and the line, once for every
//! road an object may take.

use std::rc::Rc;

use crate::account::Held;
use crate::conclusion::Conclusion;
use crate::configuration::Configuration;
use crate::host::Effect;
use crate::http::error_document::ErrorCode;
use crate::http::headers::{HeaderList, Headers};
use crate::http::precondition::Validators;
use crate::metric::{self, Series};
use crate::miss::Miss;
use crate::origin::{OriginRequest, Passed, Route, Verdict};
use crate::reason::MirrorFailure;
use crate::reply::{Body, Object, Reply};
use crate::report::{Found, Outcome};
use crate::rule::TooLarge;
use crate::time::Moment;

impl Miss {
    /// What the client gets after the last verdict, that on `asked`. `body` is that of an answer
    /// which is the client's as it is.
    pub(crate) fn conclude(
        &self,
        asked: &OriginRequest,
        verdict: &Verdict,
        body: Option<&Rc<Held>>,
    ) -> Conclusion {
        match verdict {
            Verdict::Absent => self.absent(asked, Found::Now),
            Verdict::Failed(failure) => self.failed(asked, failure),
            Verdict::Passed(answer) => self.passed(asked, answer, body),
            Verdict::TooLarge { limit } => self.too_large(asked, *limit),
            // Neither is a last word; whoever stops there has lost the answer.
            Verdict::Moved(_) | Verdict::Object(_) | Verdict::Unknown => {
                self.failed(asked, &MirrorFailure::Broken)
            }
        }
    }

    /// It ends so.
    pub(crate) fn ends(
        &self,
        reply: Reply,
        counted: metric::Outcome,
        outcome: &Outcome<'_>,
    ) -> Conclusion {
        Conclusion::new(reply, self.ended(counted), &self.report, outcome)
    }

    /// No origin has the object.
    pub(crate) fn absent(&self, asked: &OriginRequest, found: Found) -> Conclusion {
        let reply = Reply::absent(self.rule, &self.request);
        self.ends(reply, metric::Outcome::Absent, &Outcome::Absent { url: &asked.url(), found })
    }

    /// The object was deleted through the gateway.
    pub(crate) fn deleted(&self) -> Conclusion {
        let reply = Reply::deleted(self.rule, &self.request);
        self.ends(reply, metric::Outcome::Deleted, &Outcome::Deleted)
    }

    /// 424 MirrorFailed.
    pub(crate) fn failed(&self, asked: &OriginRequest, failure: &MirrorFailure) -> Conclusion {
        let outcome = Outcome::Failed { url: Some(&asked.url()), failure };
        let reply = Reply::failed(self.rule, failure, &self.request);
        let series = failed(failure, &self.request.bucket, self.rule);
        Conclusion::new(reply, series, &self.report, &outcome)
    }

    fn too_large(&self, asked: &OriginRequest, limit: u64) -> Conclusion {
        match asked.rule().too_large {
            TooLarge::Fail => self.failed(asked, &MirrorFailure::TooLarge { limit }),
            TooLarge::Redirect => {
                let location = asked.location();
                let outcome = Outcome::TooLarge { location: &location };
                let reply = Reply::redirect(302, &location, &self.request);
                self.ends(reply, metric::Outcome::TooLarge, &outcome)
            }
        }
    }

    /// The origin's answer, as it is.
    fn passed(
        &self,
        asked: &OriginRequest,
        answer: &Passed,
        body: Option<&Rc<Held>>,
    ) -> Conclusion {
        let outcome = Outcome::Passed { url: &asked.url(), status: answer.status };
        // What a redirect says beside its Location nobody reads.
        let is_bare = answer.headers.get("location").is_some();
        let body = match body.filter(|body| !is_bare && !body.is_empty()) {
            None => Body::Absent,
            Some(body) => {
                let size = body.len();
                Body::Object(Rc::new(Object::plain(Rc::clone(body))), 0..size)
            }
        };
        let mut headers = answer.headers.clone();
        self.request.sign_off(&mut headers);
        let reply = Reply { status: answer.status, headers, body };
        self.ends(reply, metric::Outcome::Mirrored, &outcome)
    }

    /// 416: the client asked for a part that is not there.
    pub(crate) fn unsatisfiable(&self, asked: &OriginRequest, answer: &Headers) -> Conclusion {
        let message = "The requested range is not satisfiable.";
        let mut reply = Reply::error(ErrorCode::InvalidRange, message, &self.request);
        if let Some(range) = answer.get("content-range") {
            reply.headers.add("content-range", range);
        }
        let outcome = Outcome::Unsatisfiable { url: &asked.url() };
        self.ends(reply, metric::Outcome::Mirrored, &outcome)
    }

    /// The client is sent to the origin, and the object is fetched for itself.
    pub(crate) fn sent(&self, code: u16) -> Conclusion {
        let location = self.origin.location();
        let outcome = Outcome::Sent { code, location: &location, storing: self.storing() };
        let reply = Reply::redirect(code, &location, &self.request);
        self.ends(reply, metric::Outcome::Redirected, &outcome)
    }

    /// What is kept for others where no origin has the object: nothing where one was not heard that
    /// may have it. `since` is when they were asked.
    pub(crate) fn kept_absence(
        &self,
        route: &Route,
        configuration: &Configuration,
        since: Moment,
    ) -> Option<Effect> {
        let lasts = configuration.negative_cache(&self.request.bucket, self.origin.rule());
        let is_kept = !lasts.is_zero() && !route.is_partial();
        is_kept.then(|| Effect::Absent(self.absence(), since))
    }

    /// The line on headers of an object that no store can be told, where there are some.
    pub(crate) fn unkept(&self, asked: &OriginRequest, names: &str) -> Option<String> {
        (!names.is_empty()).then(|| self.report.line(&Outcome::Unkept { url: &asked.url(), names }))
    }

    /// The line on an origin that has nothing, where the next rule is tried.
    pub(crate) fn fell_through(&self, asked: &OriginRequest, found: Found) -> String {
        self.report.line(&Outcome::FellThrough { url: &asked.url(), found })
    }
}

/// The number of requests that failed so.
pub(crate) fn failed(failure: &MirrorFailure, bucket: &str, rule: u32) -> Series {
    let reason = failure.label();
    Series { reason, ..Series::request(metric::Outcome::MirrorFailed, bucket, rule) }
}

impl Object {
    /// Bytes of which nothing else is told.
    fn plain(body: Rc<Held>) -> Self {
        let nothing = HeaderList::new();
        let (client, stored) = (nothing.clone(), nothing);
        let validators = Validators::default();
        Self { body, client, stored, validators, tag: String::new(), url: String::new() }
    }
}
