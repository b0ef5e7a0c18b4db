//! What an origin has been asked, and what its answer comes to.

use std::rc::Rc;
use std::time::Duration;

use super::{Arrival, Refusal, Storing};
use crate::configuration::Configuration;
use crate::digest::Check;
use crate::exchange::{self, Decision, Miss};
use crate::http::error_document::ErrorCode;
use crate::http::headers::{HeaderList, Headers};
use crate::metric::Metric;
use crate::origin::{Passed, Trail, Verdict};
use crate::reason::MirrorFailure;
use crate::reply::{Body, Reply};
use crate::report::Outcome;
use crate::request::Method;
use crate::rule::TooLarge;
use crate::transfer::{Plan, pull};
use crate::worker::Moment;

/// A request that is sent to an origin.
#[derive(Clone, Debug)]
pub struct Asked {
    miss: Miss,
    trail: Trail,
}

impl Asked {
    pub(super) fn new(miss: Miss, now: Moment) -> Self {
        let trail = Trail::new(miss.origin.clone(), now);
        Self { miss, trail }
    }

    /// The cluster of the origin that is asked.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.trail.asked().cluster
    }

    /// What is sent to the origin.
    pub(super) fn headers(&self) -> HeaderList {
        let request = &self.miss.request;
        let mut headers = self.trail.asked().call_headers(request.method.as_str());
        if let Some(range) = request.range() {
            headers.add("range", range);
        }
        headers
    }

    /// How long the origin may take to answer.
    pub(crate) fn patience(&self, standard: Duration) -> Duration {
        self.miss.origin.timeout(standard)
    }

    /// What becomes of the origin's answer.
    pub(super) fn arrive(
        self,
        configuration: &Configuration,
        answer: &Headers,
        now: impl FnOnce() -> Moment,
    ) -> Arrival {
        let ranged = self.miss.request.range().is_some();
        let status = answer.status().unwrap_or_default();
        match status {
            200 => {
                let length = answer.content_length();
                match self.miss.request.method {
                    Method::Get => self.stream(answer, length, Storing::Now),
                    // What the GET that follows brings is judged by what that says.
                    Method::Head => self.stream(answer, length, |plan, trail| {
                        Storing::Later(Plan { length: None, ..plan }, trail)
                    }),
                }
            }
            206 if ranged && answer.get("content-range").is_some() => {
                self.stream(answer, None, Storing::Later)
            }
            416 if ranged => {
                let message = "The requested range is not satisfiable.";
                let mut reply = Reply::error(ErrorCode::InvalidRange, message, &self.miss.request);
                if let Some(range) = answer.get("content-range") {
                    reply.headers.add("content-range", range);
                }
                let refusal = self.refuse(reply, &MirrorFailure::Status(status));
                match self.wanted() {
                    None => Arrival::Answer(refusal),
                    Some(wanted) => Arrival::Backfill(refusal, Box::new(wanted)),
                }
            }
            other => self.judge(configuration, other, answer, now),
        }
    }

    fn stream(
        &self,
        answer: &Headers,
        length: Option<u64>,
        storing: impl FnOnce(Plan, Trail) -> Storing,
    ) -> Arrival {
        let origin = self.trail.asked();
        let rule = origin.rule();
        let found = match origin.found(answer) {
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
        headers.add("x-oss-tag", self.miss.origin.tag());
        if rule.proxy_pass {
            return Arrival::Stream { headers, storing: None };
        }
        let check = origin.check(answer);
        let plan = Plan { check, ..self.plan(found.kept, length, pull::validator(answer)) };
        let storing = storing(plan, self.trail.clone());
        Arrival::Stream { headers, storing: Some(Box::new(storing)) }
    }

    /// What becomes of an answer that is no object.
    fn judge(
        self,
        configuration: &Configuration,
        status: u16,
        answer: &Headers,
        now: impl FnOnce() -> Moment,
    ) -> Arrival {
        match self.trail.asked().judge_status(status, answer) {
            Verdict::Absent if self.miss.origin.rule().fall_through => {
                self.fall_through(configuration, now())
            }
            Verdict::Absent => self.absent(),
            Verdict::Failed(failure) => self.fail(&failure),
            Verdict::Moved(location) => self.follow(configuration, &location, now()),
            Verdict::Passed(Passed { status, headers: own }) => {
                let url = self.miss.origin.url();
                if own.get("location").is_some() {
                    return Arrival::Answer(Refusal {
                        reply: Reply { status, headers: own, body: Body::Absent },
                        metric: Metric::Mirrored,
                        line: self.miss.report.line(&Outcome::Passed { url: &url, status }),
                    });
                }
                let mut headers = HeaderList::new().with(":status", status.to_string());
                headers.extend(&own);
                if let Some(length) = answer.get("content-length") {
                    headers.add("content-length", length);
                }
                Arrival::Stream { headers, storing: None }
            }
            Verdict::Object(_) | Verdict::TooLarge | Verdict::Unknown => {
                self.fail(&MirrorFailure::Status(status))
            }
        }
    }

    /// The origin has sent the request elsewhere.
    fn follow(mut self, configuration: &Configuration, location: &str, now: Moment) -> Arrival {
        match self.trail.follow(location, configuration, now) {
            Ok(()) => self.again(),
            Err(failure) => self.fail(&failure),
        }
    }

    /// The origin has nothing, and the rules behind are to be tried.
    fn fall_through(self, configuration: &Configuration, now: Moment) -> Arrival {
        let arrival = match exchange::fall_through(configuration, &self.miss) {
            Some(Decision::Answer { reply, metric, line }) => {
                Arrival::Answer(Refusal { reply, metric, line })
            }
            Some(Decision::Fetch { reply, line, miss }) => {
                let (answer, object) = Self::new(*miss, now).fetched(reply, line);
                Arrival::Backfill(answer, object)
            }
            Some(Decision::Mirror(miss)) => Self::new(*miss, now).again(),
            None | Some(Decision::Pass(_) | Decision::Tell(_)) => return self.absent(),
        };
        let outcome = Outcome::FellThrough { url: &self.miss.origin.url() };
        Arrival::FellThrough(self.miss.report.line(&outcome), Box::new(arrival))
    }

    /// The gateway is to send this.
    fn again(self) -> Arrival {
        let refusal = self.unasked();
        Arrival::Again(Box::new((Rc::new(self), refusal)))
    }

    /// The client goes to the origin by itself, and the object is fetched for itself.
    pub(super) fn fetched(self, reply: Reply, line: String) -> (Refusal, Box<(Plan, Trail)>) {
        let plan = self.plan(HeaderList::new(), None, None);
        (Refusal { reply, metric: Metric::Redirected, line }, Box::new((plan, self.trail)))
    }

    fn too_large(&self, limit: u64) -> Arrival {
        match self.miss.origin.rule().too_large {
            TooLarge::Fail => self.fail(&MirrorFailure::TooLarge { limit }),
            TooLarge::Redirect => {
                let location = self.miss.origin.location();
                Arrival::Answer(Refusal {
                    reply: Reply::redirect(302, &location),
                    metric: Metric::TooLarge,
                    line: self.miss.report.line(&Outcome::TooLarge { location: &location }),
                })
            }
        }
    }

    fn plan(&self, headers: HeaderList, length: Option<u64>, validator: Option<String>) -> Plan {
        Plan {
            bucket: self.miss.request.bucket.clone(),
            key: self.miss.request.key.clone(),
            headers,
            tag: self.miss.origin.tag(),
            url: self.miss.origin.url(),
            length,
            validator,
            check: Check::default(),
            report: self.miss.report.clone(),
        }
    }

    /// What a fetch of its own needs to know, where the object is to be stored.
    pub(super) fn wanted(&self) -> Option<(Plan, Trail)> {
        let plan = || (self.plan(HeaderList::new(), None, None), self.trail.clone());
        self.miss.storing().is_ok().then(plan)
    }

    fn absent(&self) -> Arrival {
        let url = self.miss.origin.url();
        Arrival::Answer(Refusal {
            reply: Reply::absent(self.miss.rule, &self.miss.request),
            metric: Metric::Absent,
            line: self.miss.report.line(&Outcome::Absent { url: &url }),
        })
    }

    /// What the client gets when the origin has not answered in time.
    #[must_use]
    pub(crate) fn timed_out(&self) -> Refusal {
        self.failure(&MirrorFailure::TimedOut)
    }

    /// What it gets when the gateway does not send this.
    pub(super) fn unasked(&self) -> Refusal {
        self.failure(&MirrorFailure::Overloaded)
    }

    fn fail(&self, failure: &MirrorFailure) -> Arrival {
        Arrival::Answer(self.failure(failure))
    }

    fn failure(&self, failure: &MirrorFailure) -> Refusal {
        let Miss { rule, request, .. } = &self.miss;
        self.refuse(Reply::failed(*rule, failure, request), failure)
    }

    fn refuse(&self, reply: Reply, failure: &MirrorFailure) -> Refusal {
        let url = self.miss.origin.url();
        Refusal {
            reply,
            metric: Metric::MirrorFailed,
            line: self.miss.report.line(&Outcome::Failed { url: Some(&url), failure }),
        }
    }
}
