//! The origins' side of a gateway that streams: the filter in its other role, and which requests
//! are sent there.
//!
//! Owns what Envoy's routes and retries do for the same rules. Which rule applies is the core's
//! word, here as in the filter.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use back_to_origin::configuration::Configuration;
use back_to_origin::exchange::is_delete_marker;
use back_to_origin::http::headers::Headers as CoreHeaders;
use back_to_origin::matching::{Answer, Source, first_match};
use back_to_origin::origin::OriginRequest;
use back_to_origin::reason::MirrorFailure;
use back_to_origin::reply::{Body, Reply};
use back_to_origin::report::{Outcome, Report};
use back_to_origin::request::{Method as Asked, ObjectRequest};
use back_to_origin::rule::{Action, Mirror, Rule, RuleSet};
use bytes::Bytes;
use http::Method;
use serde_json::Value;

use crate::host::{Headers, LocalReply, Plugin, PluginError, PluginParts};

/// The only status of a bucket that sends a request to an origin.
const MISSING: u16 = 404;

/// The filter on the origins' side, and what the gateway has to know to send requests there.
pub(super) struct OriginSide {
    pub(super) plugin: Plugin,
    rules: RefCell<Rc<Rules>>,
}

struct Rules {
    configuration: Configuration,
    needs_front: bool,
}

impl Rules {
    fn read(configuration: &str) -> Result<Rc<Self>, PluginError> {
        // The filter itself reads it by the same code, and logs what is wrong with it.
        let configuration = Configuration::from_json(configuration.as_bytes())
            .map_err(|_| PluginError::Configuration)?;
        let needs_front = configuration.buckets.iter().any(|bucket| bucket.rules.needs_front());
        Ok(Rc::new(Self { configuration, needs_front }))
    }
}

/// A plugin configuration in the role of the origins' side.
pub(super) fn in_role(configuration: &str) -> String {
    match serde_json::from_str(configuration) {
        Ok(Value::Object(mut fields)) => {
            fields.insert("role".to_owned(), Value::from("origin"));
            Value::Object(fields).to_string()
        }
        // Whatever it is, the filter says what is wrong with it.
        Ok(_) | Err(_) => configuration.to_owned(),
    }
}

impl OriginSide {
    pub(super) fn load(parts: PluginParts, configuration: &str) -> Result<Self, PluginError> {
        let rules = Rules::read(configuration)?;
        let plugin = Plugin::load(parts, Arc::from(in_role(configuration)))?;
        Ok(Self { plugin, rules: RefCell::new(rules) })
    }

    pub(super) fn reconfigure(&self, configuration: &str) -> Result<(), PluginError> {
        let rules = Rules::read(configuration)?;
        self.plugin.reconfigure(&Arc::from(in_role(configuration)))?;
        self.rules.replace(rules);
        Ok(())
    }

    /// Whether requests pass the filter on the clients' side too: redirects are made there, and
    /// what takes another origin where one fails.
    pub(super) fn needs_front(&self) -> bool {
        self.rules.borrow().needs_front
    }

    /// The miss that a request turns out to be by the bucket's answer.
    pub(super) fn miss(&self, request: &Headers, answer: &Headers) -> Option<Miss> {
        // A hit ends here.
        if answer.first(b":status")? != b"404" {
            return None;
        }
        let configuration = &self.rules.borrow().configuration;
        let knows = |name: &str| configuration.bucket(name).is_some();
        let headers = CoreHeaders::from_pairs(request.iter());
        let request = ObjectRequest::read(headers, configuration.domain.as_deref(), knows).ok()?;
        let deleted = is_delete_marker(&CoreHeaders::from_pairs(answer.iter()));
        let answer = Answer { status: MISSING, source: Source::Bucket, deleted };
        let rules = &configuration.bucket(&request.bucket)?.rules;
        let rule = first_match(rules, request.named(), answer).ok()?;
        let mirror = match &rule.action {
            Action::Mirror(mirror) if rules.streams(rule) => mirror,
            Action::External(_) | Action::Mirror(_) => return None,
        };
        let standard = configuration.timeouts.origin;
        let cluster = configuration.cluster_of(&mirror.server(mirror.url.origin()));
        let origin = cluster.and_then(|cluster| {
            // The filter asks for the same; this one is only told of.
            OriginRequest::build(mirror, &request, cluster).ok()
        });
        Some(Miss {
            rule: rule.number,
            cluster: cluster.unwrap_or_default().to_owned(),
            url: origin.map(|origin| origin.url()),
            patience: longest(rules, rule, |mirror| mirror.timeout.unwrap_or(standard)),
            idle: longest(rules, rule, |mirror| {
                mirror.idle_timeout.or(mirror.timeout).unwrap_or(standard)
            }),
            may_fall_through: falls_through(rule),
            attempts: rules.attempts(rule),
            method: match request.method {
                Asked::Get => Method::GET,
                Asked::Head => Method::HEAD,
            },
            request,
        })
    }
}

/// A request whose object the bucket does not have, and an origin may.
pub(super) struct Miss {
    request: ObjectRequest,
    rule: u32,
    /// The cluster of the origin.
    pub(super) cluster: String,
    url: Option<String>,
    /// Whether a later attempt may be by another rule.
    may_fall_through: bool,
    /// How many requests to origins it may become.
    pub(super) attempts: u32,
    /// What the client asks, and the origin.
    pub(super) method: Method,
    /// How long the origin may take to begin.
    pub(super) patience: Duration,
    /// How long it may take between one piece and the next.
    pub(super) idle: Duration,
}

impl Miss {
    /// What the client gets, and what is logged, where the origin gave no answer: the filter is not
    /// told of that. `attempt` is the number of the request to an origin.
    pub(super) fn failed(
        &self,
        attempt: u32,
        failure: MirrorFailure,
        details: &str,
    ) -> (LocalReply, String) {
        let (reply, line) = if attempt > 1 && self.may_fall_through {
            // By which rule only the filter knows.
            let (method, object) = (self.request.method.as_str(), self.request.name());
            let answer = format!("client got 424 MirrorFailed: {failure}");
            let line = format!("{method} {object}: bucket {MISSING}, a later rule, {answer}");
            (Reply::failed_by_some_rule(&failure, &self.request), line)
        } else {
            let outcome = Outcome::Failed { url: self.url.as_deref(), failure: &failure };
            let line = Report::new(&self.request, MISSING, self.rule).line(&outcome);
            (Reply::failed(self.rule, &failure, &self.request), line)
        };
        let body = match reply.body {
            Body::Text(text) => Bytes::from(text),
            Body::Absent | Body::Headers(_) | Body::Object(..) => Bytes::new(),
        };
        let local = LocalReply {
            status: reply.status,
            details: details.to_owned(),
            headers: reply.headers.iter().collect(),
            body,
        };
        (local, line)
    }
}

fn falls_through(rule: &Rule) -> bool {
    match &rule.action {
        Action::External(_) => false,
        Action::Mirror(mirror) => mirror.fall_through,
    }
}

/// The longest time by a rule, or by one that may come after it.
fn longest(rules: &RuleSet, rule: &Rule, of: impl Fn(&Mirror) -> Duration) -> Duration {
    let of = |rule: &Rule| match &rule.action {
        Action::External(_) => Duration::ZERO,
        Action::Mirror(mirror) => of(mirror),
    };
    let next = rules.iter().filter(|next| next.number > rule.number && falls_through(rule));
    next.map(of).fold(of(rule), Duration::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_put_into_the_other_role() {
        let configuration = in_role(r#"{"buckets": [], "role": "gateway"}"#);
        let configuration = Configuration::from_json(configuration.as_bytes()).unwrap();
        assert_eq!(configuration.role, back_to_origin::configuration::Role::Origin);
        assert_eq!(in_role("[no"), "[no");
    }
}
