//! One row: an element, what it says, a rule that has it, a request, and all that is seen then.

use std::fmt;

use back_to_origin::configuration::DataPath;
use back_to_origin::rule::RuleSet;
use serde_json::{Value, json};

use crate::scene;

/// Both ways an object takes.
pub(crate) const PATHS: &[DataPath] = &[DataPath::Callout, DataPath::Streaming];

/// Why an object that is fetched for the bucket alone is asked for in other words, streaming.
pub(crate) const BY_RANGES: &str = "streaming, any object may be larger than what a VM can hold";

/// One row.
#[derive(Clone)]
pub(crate) struct Row {
    /// The path of the element below its rule, without the places in lists.
    pub(crate) element: &'static str,
    /// What it says.
    says: &'static str,
    /// The rules; the first has the element.
    rules: Vec<Value>,
    pub(crate) asked: Vec<Asked>,
    /// What origins answer, by URL; all else is an object.
    pub(crate) origins: Vec<(&'static str, Answered)>,
    /// What is seen on either path.
    expected: Vec<String>,
    /// What is seen streaming where that is something else, and why it is.
    streaming: Option<(&'static str, Vec<String>)>,
    /// Where the same is seen without the element, and why it makes no difference.
    the_same: Option<(&'static [DataPath], &'static str)>,
    /// Values of the element that say what its absence says, and where they do.
    usual: Vec<(&'static [DataPath], Value)>,
}

/// A request of a client's, and what the bucket answers.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) method: &'static str,
    pub(crate) target: &'static str,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) bucket: u16,
}

/// An origin's answer.
#[derive(Clone)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) body: &'static str,
}

/// A row about an element, which says this.
pub(crate) fn row(element: &'static str, says: &'static str) -> Row {
    Row {
        element,
        says,
        rules: Vec::new(),
        asked: Vec::new(),
        origins: Vec::new(),
        expected: Vec::new(),
        streaming: None,
        the_same: None,
        usual: Vec::new(),
    }
}

/// What is around the element.
impl Row {
    /// A rule; the first one has the element.
    pub(crate) fn rule(mut self, rule: Value) -> Self {
        self.rules.push(rule);
        self
    }

    /// A Mirror rule for all that is missing.
    pub(crate) fn mirror(self, more: Value) -> Self {
        self.rule(rule(
            json!({ "HttpErrorCodeReturnedEquals": 404 }),
            json!({ "RedirectType": "Mirror", "MirrorURL": "http://o/" }),
            more,
        ))
    }

    /// An External rule for what is missing below `old/`.
    pub(crate) fn external(self, more: Value) -> Self {
        self.rule(rule(
            json!({ "KeyPrefixEquals": "old/", "HttpErrorCodeReturnedEquals": 404 }),
            json!({ "RedirectType": "External", "HttpRedirectCode": 302 }),
            more,
        ))
    }

    /// A rule that sends elsewhere, with this condition.
    pub(crate) fn on(self, condition: Value) -> Self {
        self.rule(rule(condition, json!({ "HostName": "h.example" }), json!({})))
    }

    /// A GET of what the bucket lacks.
    pub(crate) fn get(self, target: &'static str) -> Self {
        self.ask("GET", target)
    }

    /// The same by another method.
    pub(crate) fn ask(mut self, method: &'static str, target: &'static str) -> Self {
        self.asked.push(Asked { method, target, headers: Vec::new(), bucket: 404 });
        self
    }

    /// A header of the request.
    pub(crate) fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.last().headers.push((name, value));
        self
    }

    /// What the bucket answers in place of 404.
    pub(crate) fn bucket(mut self, status: u16) -> Self {
        self.last().bucket = status;
        self
    }

    /// What an origin answers in place of an object.
    pub(crate) fn origin(
        mut self,
        url: &'static str,
        status: u16,
        headers: &[(&'static str, &'static str)],
    ) -> Self {
        let body = if status == 200 { scene::BODY } else { "" };
        self.origins.push((url, Answered { status, headers: headers.to_vec(), body }));
        self
    }

    fn last(&mut self) -> &mut Asked {
        self.asked.last_mut().expect("a row names its request before what belongs to it")
    }
}

/// What is seen.
impl Row {
    /// All that is seen, line by line, as [`scene::play`] tells it.
    pub(crate) fn sees(mut self, lines: &[&str]) -> Self {
        self.expected = lines.iter().map(|line| (*line).to_owned()).collect();
        self
    }

    /// What is seen streaming, which for this reason is something else.
    pub(crate) fn streaming_sees(mut self, why: &'static str, lines: &[&str]) -> Self {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        self.streaming = Some((why, lines));
        self
    }

    /// The element is refused, and nothing beside it.
    pub(crate) fn refused(self) -> Self {
        let place = format!("/0/{}", self.element);
        self.refused_at(&place)
    }

    /// The same for one in a list.
    pub(crate) fn refused_at(self, place: &str) -> Self {
        self.get("/b/k").sees(&[&format!("error unsupported-element {place}")])
    }

    /// With this value it is as without the element.
    pub(crate) fn usual(self, value: impl Into<Value>) -> Self {
        self.usual_on(PATHS, value)
    }

    /// The same on these paths.
    pub(crate) fn usual_on(mut self, paths: &'static [DataPath], value: impl Into<Value>) -> Self {
        self.usual.push((paths, value.into()));
        self
    }

    /// The element makes no difference.
    pub(crate) fn the_same(self, why: &'static str) -> Self {
        self.the_same_on(PATHS, why)
    }

    /// The same on these paths.
    pub(crate) fn the_same_on(mut self, paths: &'static [DataPath], why: &'static str) -> Self {
        self.the_same = Some((paths, why));
        self
    }
}

/// The tests of it.
impl Row {
    /// What is wrong with it on a path.
    pub(crate) fn failure(&self, path: DataPath) -> Option<String> {
        assert!(!self.expected.is_empty(), "{self}: a row says what is seen");
        let expected = match (path, &self.streaming) {
            (DataPath::Streaming, Some((why, lines))) => {
                assert_ne!(*lines, self.expected, "{self}: {why}, but it says the same");
                lines
            }
            (DataPath::Callout | DataPath::Streaming, _) => &self.expected,
        };
        let seen = self.seen(path);
        let wrong = || format!("{self}, {path:?}\n  expected: {expected:#?}\n  seen: {seen:#?}");
        (seen != *expected).then(wrong)
    }

    /// What is wrong with it on a path where the element is taken out, or has a usual value.
    pub(crate) fn failures_without(&self, path: DataPath) -> Vec<String> {
        let mut failures = Vec::new();
        let (with, without) = (self.seen(path), self.changed(None, path));
        match self.the_same.filter(|(paths, _)| paths.contains(&path)) {
            None if with == without => failures
                .push(format!("{self}, {path:?}: it is the same without the element\n  {with:#?}")),
            Some((_, why)) if with != without => {
                failures.push(format!("{self}, {path:?}: {why}, but without: {without:#?}"));
            }
            None | Some(_) => {}
        }
        for (_, usual) in self.usual.iter().filter(|(paths, _)| paths.contains(&path)) {
            let seen = self.changed(Some(usual), path);
            if seen != without {
                failures.push(format!(
                    "{self}, {path:?}: {usual} is not as without: {seen:#?}\n{without:#?}"
                ));
            }
        }
        failures
    }

    /// Whether its rules are taken.
    pub(crate) fn is_taken(&self) -> bool {
        !self.expected.iter().any(|line| line.starts_with("error "))
    }

    /// What is said of its rules.
    pub(crate) fn messages(&self) -> Vec<String> {
        let findings =
            RuleSet::from_json(Value::from(&*self.rules).to_string().as_bytes()).findings;
        findings.into_iter().map(|finding| finding.message).collect()
    }

    fn seen(&self, path: DataPath) -> Vec<String> {
        scene::play(&self.rules, self, path)
    }

    /// What is seen where the element has another value, or is taken out of the rule.
    fn changed(&self, value: Option<&Value>, path: DataPath) -> Vec<String> {
        let mut rules = self.rules.clone();
        let names: Vec<&str> = self.element.split('/').collect();
        let has_it = rules.first_mut().is_some_and(|rule| change(rule, &names, value));
        assert!(has_it, "{self}: the first rule has the element");
        scene::play(&rules, self, path)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.element, self.says)
    }
}

/// A rule number 1.
fn rule(condition: Value, mut redirect: Value, more: Value) -> Value {
    extend(&mut redirect, more);
    json!({ "RuleNumber": 1, "Condition": condition, "Redirect": redirect })
}

/// Adds elements to others.
pub(crate) fn extend(elements: &mut Value, more: Value) {
    let (Value::Object(elements), Value::Object(more)) = (elements, more) else {
        panic!("elements are an object");
    };
    elements.extend(more);
}

/// Gives an element another value, or takes it out, wherever it stands in lists. Whether there was
/// one.
fn change(node: &mut Value, path: &[&str], value: Option<&Value>) -> bool {
    match (node, path) {
        (Value::Array(items), path) => {
            let changed: Vec<bool> =
                items.iter_mut().map(|item| change(item, path, value)).collect();
            changed.contains(&true)
        }
        (Value::Object(fields), [name]) => match value {
            Some(value) => fields.insert((*name).to_owned(), value.clone()).is_some(),
            None => fields.remove(*name).is_some(),
        },
        (Value::Object(fields), [name, below @ ..]) => {
            fields.get_mut(*name).is_some_and(|field| change(field, below, value))
        }
        _ => false,
    }
}
