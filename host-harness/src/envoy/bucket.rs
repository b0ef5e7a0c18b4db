//! The routes of one bucket: by its rules, to it and from it on.
//!
//! Owns their order. Which requests a rule is about is [`super::rules`]'.

use std::time::Duration;

use back_to_origin::http::query::SUBRESOURCES;
use back_to_origin::rule::{Action, Rule, RuleSet};

use super::bootstrap::{fetch, seconds};
use super::clusters::{judged, mirror};
use super::rules::{Choice, header};
use super::way::{Named, Rewritten, Way, method, not, presigned, query, rewriting, way};
use super::yaml::{List, Map};
use super::{pattern, rules};
use crate::deployment::{Plan, Reads};

impl Way<'_> {
    /// Routes to the bucket alone.
    pub(super) fn plain(self, routes: List) -> List {
        let routes = match self.bucket.reads.value {
            Reads::Passthrough => routes,
            Reads::Signed => routes
                .remark(SIGNED)
                .with(self.read(self.matching([header(":method", "GET|HEAD"), not(presigned())]))),
        };
        routes.with(self.unsigned(self.matching([])))
    }

    /// Routes to the bucket, and for what its rules mirror to the origin where it lacks it.
    pub(super) fn streaming(self, routes: List, rules: &RuleSet, plan: &Plan) -> List {
        let above = self.above();
        let subresource = header(":path", &pattern::subresource());
        let is_signed = self.bucket.reads.value == Reads::Signed;
        // A HEAD is about a rule where the rule says so, and only then is there a route for it.
        let heads = rules.iter().any(Rule::allows_head);
        let set = rules;
        let rules = rules::in_order(set);
        let route = |rule: &Rule, matching: Map| match self.choice(set, rule, plan) {
            None => self.read(matching),
            Some(choice) if rules::needs_host(set, rule) => {
                self.read_by(matching, self.tried_again(choice).way(self.mirrored_way(rule)))
            }
            Some(_) => self.mirrored(matching),
        };
        let mut routes = routes.remark(PLAINLY);
        for (at, rule) in rules.iter().enumerate() {
            let by_prefix = at == 0 && self.is_by_prefix(set, rule);
            let Some(matching) = rules::plainly(rule, &above, by_prefix) else { break };
            routes = routes.with(route(rule, matching));
        }
        routes = if is_signed {
            routes
                .remark("Writes go on as they came.")
                .with(self.unsigned(self.matching([not(header(":method", "GET|HEAD"))])))
                .remark(SIGNED)
                .with(self.unsigned(self.matching([presigned()])))
        } else {
            routes
        };
        let (operations, others, one) = match heads {
            false => ("GetObject alone", not(method("GET")), "a GET"),
            true => {
                ("GetObject and HeadObject alone", not(header(":method", "GET|HEAD")), "a read")
            }
        };
        routes = routes
            .remark(&format!("Rules are about {operations}: not about other methods,"))
            .with(self.read(self.matching([others])))
            .remark(&format!(
                "and not about {one} that its query makes another operation: {}.",
                SUBRESOURCES.join(", ")
            ))
            .with(self.read(self.matching([query(), subresource])));
        let climbing = header(":path", &format!("{}(?:\\?.*)?", pattern::climbing(&above)));
        routes = routes.remark(
            "Nor about a key that climbs out of its bucket. Hardly any has two dots or an encoding \
             to look at.",
        );
        for sign in ["..", "%2"] {
            let signs = Map::new().with("contains", sign);
            let signs = Map::new().with("name", ":path").with("string_match", signs);
            routes = routes.with(self.read(self.matching([signs, climbing.clone()])));
        }
        for rule in rules {
            let is_streamed = rules::is_streamed(set, rule, self.bucket.reads.value);
            routes = routes.remark(&rules::about(rule, is_streamed));
            if heads && is_streamed {
                let head = rules::matching(rule, &above, Some(method("HEAD")));
                let choice = self.choice(set, rule, plan).filter(|_| rule.allows_head());
                let head = match choice {
                    None => self.read(head),
                    Some(choice) => {
                        self.read_by(head, self.tried_again(choice).way(self.mirrored_way(rule)))
                    }
                };
                routes = routes.with(head).remark("The same, for a GET.");
            }
            routes = routes.with(route(rule, rules::matching(rule, &above, None)));
        }
        routes
            .remark("What no rule covers keeps the bucket's own answer.")
            .with(self.read(self.matching([])))
    }

    /// The host of misses and their routes; none where those of the same bucket by path are theirs.
    pub(super) fn twin(self, rules: &RuleSet, plan: &Plan) -> Option<(String, List)> {
        let routes = match (self.named, self.rewritten()) {
            (Named::Host(_) | Named::Path, Rewritten::Not)
            | (Named::Path, Rewritten::BucketInPath) => self.misses(rules, plan),
            (Named::Path, Rewritten::BucketGone) => {
                // As if the host had named it.
                Self { named: Named::Host(""), ..self }.misses(rules, plan)
            }
            (Named::Host(_), Rewritten::BucketInPath | Rewritten::BucketGone) => return None,
        };
        Some((self.misses_host(), routes))
    }

    /// Routes of misses that are requests of their own.
    fn misses(self, rules: &RuleSet, plan: &Plan) -> List {
        let above = self.above();
        let climbing = header(":path", &pattern::climbing(&above));
        let mut routes = List::new()
            .remark(
                "What was not looked at before the bucket was asked: a key that climbs out of it. \
                 It is asked again, for its own answer.",
            )
            .with(self.read_again(self.matching([climbing])));
        // The filter on the origin's side knows the bucket by the path again.
        let restored = (self.rewritten() == Rewritten::BucketGone)
            .then(|| rewriting("^/", &format!("/{}/", self.bucket.name.value)));
        for rule in rules::in_order(rules) {
            let Some(choice) = self.choice(rules, rule, plan) else { continue };
            if rules::needs_host(rules, rule) {
                continue;
            }
            let way = self.mirrored_way(rule).maybe("regex_rewrite", restored.clone());
            let route = Map::new()
                .with("match", rules::matching(rule, &above, None))
                .with("route", choice.way(way));
            routes = routes.remark(&rules::about(rule, true)).with(route);
        }
        routes.remark("And what is no key.").with(self.read_again(self.matching([])))
    }

    /// The way of what a rule mirrors. Its idle timeout is never up before the filter's own, which
    /// answers for an origin that is late.
    fn mirrored_way(self, rule: &Rule) -> Map {
        let own = match &rule.action {
            Action::External(_) => None,
            Action::Mirror(mirror) => mirror.idle_timeout.map(|idle| {
                let patience = mirror.timeout.unwrap_or(self.patience);
                idle.max(fetch(patience).saturating_add(Duration::from_secs(1)))
            }),
        };
        way().maybe("idle_timeout", own.map(seconds))
    }

    /// Whether so little of a path is looked at for a rule that stands first.
    fn is_by_prefix(self, rules: &RuleSet, rule: &Rule) -> bool {
        let anew = rules::is_streamed(rules, rule, self.bucket.reads.value)
            && !rules::needs_host(rules, rule);
        anew && rules::is_by_prefix(rule)
    }

    /// Where the attempts at an origin go of what a rule mirrors, if that is streamed.
    pub(super) fn choice(self, rules: &RuleSet, rule: &Rule, plan: &Plan) -> Option<Choice> {
        let Action::Mirror(mirrored) = &rule.action else { return None };
        if !rules::is_streamed(rules, rule, self.bucket.reads.value) {
            return None;
        }
        let origin = plan.origins.get(&mirrored.server(mirrored.url.origin()))?;
        let attempts = rules.attempts(rule);
        Some(Choice { bucket: None, origin: mirror(origin, plan), attempts })
    }

    /// The same after an attempt at the bucket.
    pub(super) fn tried_again(self, choice: Choice) -> Choice {
        Choice { bucket: Some(judged(&self.bucket.name.value.0)), ..choice }
    }
}

/// Why the rules' routes are there twice.
const PLAINLY: &str = "The rules in their order, for paths that stand for themselves: nearly all \
                       requests end here, and no pattern is run. All other paths, and other \
                       requests, come to the same rules below.";

/// Why a presigned request is not signed again.
const SIGNED: &str = "Reads are signed with the bucket's own key, whoever the client is; a \
                      signature of its own goes. Only a presigned request goes on as it came: its \
                      signature stands in the query, and Envoy could take it out only by decoding \
                      the rest.";
