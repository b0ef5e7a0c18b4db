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
use crate::worker::Ticket;

/// The user metadata in which a stored object keeps its `x-oss-tag`.
pub const TAG_METADATA: &str = "x-amz-meta-x-oss-tag";

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
    let answered = Answer { status, source: source(), deleted: is_delete_marker(answer) };
    let rule = match matching::first_match(rules, &request.key, answered) {
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

fn is_delete_marker(answer: &Headers) -> bool {
    ["x-amz-delete-marker", "x-oss-delete-marker"]
        .into_iter()
        .any(|name| answer.text(name).is_some_and(|value| value.eq_ignore_ascii_case("true")))
}
