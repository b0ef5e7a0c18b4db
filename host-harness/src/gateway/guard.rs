//! Which answers of a bucket make a request a miss.
//!
//! Owns what the guard of a bucket's cluster does in Envoy: it looks at a status and a name. What
//! becomes of a miss is the filter's word alone.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use back_to_origin::configuration::{Bucket, Configuration};
use back_to_origin::quota;
use http::Method;

use super::draft::{By, Draft};
use crate::host::{Headers, PluginError};

/// By these the stores of S3 and of OSS say that an answer is a delete marker.
const DELETE_MARKERS: [&[u8]; 2] = [b"x-amz-delete-marker", b"x-oss-delete-marker"];

/// The guard of one bucket.
pub(super) struct Guard {
    name: String,
    /// What its rules are about, in order.
    statuses: Vec<u16>,
    /// Some rule is about whatever the bucket answers: the filter sees every read.
    pub(super) is_judged: bool,
    /// Some rule brings objects into it.
    is_mirrored: bool,
}

/// The guards of all buckets, by a configuration of the filter's.
pub(super) struct Guards(RefCell<Known>);

struct Known {
    buckets: BTreeMap<String, Rc<Guard>>,
    idle: Duration,
    /// How many bits of misses stream in a second, by the labels of quotas.
    bits: BTreeMap<String, u64>,
}

impl Known {
    fn read(configuration: &str) -> Result<Self, PluginError> {
        // The filter itself reads it by the same code, and logs what is wrong with it.
        let configuration = Configuration::from_json(configuration.as_bytes())
            .map_err(|_| PluginError::Configuration)?;
        let guards = configuration.buckets.iter().map(Guard::new);
        let buckets = guards.map(|guard| (guard.name.clone(), Rc::new(guard))).collect();
        let paced =
            |bucket: &Bucket| quota::paced(&bucket.name, bucket.mirror_limits, &bucket.rules);
        let bits = configuration.buckets.iter().flat_map(paced);
        let bits = bits.map(|quota| (quota.label().to_owned(), quota.per_second())).collect();
        Ok(Self { buckets, idle: configuration.timeouts.origin, bits })
    }
}

impl Guards {
    pub(super) fn read(configuration: &str) -> Result<Self, PluginError> {
        Known::read(configuration).map(|known| Self(RefCell::new(known)))
    }

    /// Takes those of another configuration. Requests under way keep theirs.
    pub(super) fn reread(&self, configuration: &str) -> Result<(), PluginError> {
        self.0.replace(Known::read(configuration)?);
        Ok(())
    }

    /// The guard of a request for a bucket: of a read, where the bucket has rules.
    pub(super) fn of(&self, bucket: &str, method: &Method) -> Option<Rc<Guard>> {
        let is_read = *method == Method::GET || *method == Method::HEAD;
        is_read.then(|| self.0.borrow().buckets.get(bucket).cloned()).flatten()
    }

    /// Whether the filter is told of a request that writes into a bucket: what is copied there might be
    /// older.
    pub(super) fn tells_of(&self, bucket: &str, method: &Method) -> bool {
        let writes = [Method::DELETE, Method::POST, Method::PUT].contains(method);
        writes && self.0.borrow().buckets.get(bucket).is_some_and(|guard| guard.is_mirrored)
    }

    /// How long a body may stand still that an origin sends, where the filter does not say.
    pub(super) fn idle(&self) -> Duration {
        self.0.borrow().idle
    }
}

impl Guards {
    /// How many bits of misses stream in a second under the quota of this label.
    pub(super) fn bits(&self, label: &str) -> Option<u64> {
        self.0.borrow().bits.get(label).copied()
    }
}

impl Guard {
    fn new(bucket: &Bucket) -> Self {
        let rules = &bucket.rules;
        Self {
            name: bucket.name.clone(),
            statuses: rules.statuses().collect(),
            is_judged: rules.has_any_status(),
            is_mirrored: rules.stores(),
        }
    }

    /// What is said of an answer that makes its request a miss.
    pub(super) fn miss(&self, answer: &Draft) -> Option<String> {
        let status = answer.status();
        // A hit ends here.
        let is_version = status == 412 && self.is_mirrored && answer.by == By::Server;
        if status < 400 || !(is_version || self.statuses.contains(&status)) {
            return None;
        }
        let name = &self.name;
        match answer.by {
            By::Server if is_delete_marker(&answer.fields) => {
                Some(format!("bucket {name} {status} deleted"))
            }
            By::Server => Some(format!("bucket {name} {status}")),
            By::Gateway if status >= 500 => Some(format!("bucket {name} gateway {status}")),
            // What is wrong with the request itself is nothing of the bucket's.
            By::Gateway | By::Filter => None,
        }
    }
}

/// Whether a store says that the object was deleted.
pub(super) fn is_delete_marker(answer: &Headers) -> bool {
    let marker = DELETE_MARKERS.iter().find_map(|name| answer.first(name));
    marker.is_some_and(|marker| !marker.eq_ignore_ascii_case(b"false"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::host::LocalReply;

    fn guards(statuses: &str) -> Guards {
        let redirect = json!({ "RedirectType": "External", "HostName": "h.example" });
        let rule = |number: u32, condition| json!({ "RuleNumber": number, "Condition": condition, "Redirect": redirect });
        let store = json!({ "cluster": "store", "authority": "s" });
        let named = json!({ "HttpErrorCodeReturnedEquals": statuses });
        let configuration = json!({ "buckets": [
            { "name": "b", "store": store, "RoutingRules": [rule(1, named)] },
            { "name": "any", "store": store, "RoutingRules": [rule(1, json!({}))] },
        ] });
        Guards::read(&configuration.to_string()).unwrap()
    }

    fn answer(status: u16, by: By, fields: &[(&str, &str)]) -> Draft {
        let headers = fields.iter().copied().collect();
        let reply = LocalReply { headers, ..LocalReply::text(status, "", "") };
        Draft::local(reply, by, &Method::GET)
    }

    #[test]
    fn an_answer_is_a_miss_by_its_status_and_by_who_gave_it() {
        let guard = guards("403,404,503").of("b", &Method::HEAD).unwrap();
        let marker = |value| [("x-amz-delete-marker", value)];
        for (status, by, fields, expected) in [
            (404, By::Server, &[][..], Some("bucket b 404")),
            (404, By::Server, &marker("False"), Some("bucket b 404")),
            (404, By::Server, &marker("true"), Some("bucket b 404 deleted")),
            (404, By::Server, &[("x-oss-delete-marker", "1")], Some("bucket b 404 deleted")),
            (403, By::Server, &[], Some("bucket b 403")),
            (503, By::Server, &[], Some("bucket b 503")),
            (503, By::Gateway, &[], Some("bucket b gateway 503")),
            (503, By::Filter, &[], None),
            (404, By::Gateway, &[], None),
            (504, By::Gateway, &[], None),
            (500, By::Server, &[], None),
            (200, By::Server, &[], None),
        ] {
            let said = guard.miss(&answer(status, by, fields));
            assert_eq!(said.as_deref(), expected, "{status} {by:?} {fields:?}");
        }
    }

    #[test]
    fn reads_of_buckets_with_rules_are_guarded() {
        let guards = guards("404");
        assert!(!guards.of("b", &Method::GET).unwrap().is_judged);
        let any = guards.of("any", &Method::GET).unwrap();
        assert!(any.is_judged && any.miss(&answer(404, By::Server, &[])).is_none());
        assert!(guards.of("b", &Method::PUT).is_none());
        assert!(guards.of("other", &Method::GET).is_none());
    }
}
