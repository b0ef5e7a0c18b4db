//! Forms as browsers send them: names and values, in their order.

use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;

/// The most bytes of a form: many times what the largest rule can say.
const MOST: usize = 1024 * 1024;

/// How long it may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// The names and values of a form or a query. Values may be secrets, so they are not printed.
#[derive(Clone, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// From the form that browsers give it.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(bytes).into_owned().collect())
    }

    /// Reads the body of a request. `None` where it is too large, or does not arrive.
    pub(super) async fn read(body: Incoming) -> Option<Self> {
        let body = timeout(PATIENCE, Limited::new(body, MOST).collect()).await.ok()?.ok()?;
        Some(Self::parse(&body.to_bytes()))
    }

    /// The first value of a name; empty where there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(own, _)| own == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// Whether there is a name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(own, _)| own == name)
    }

    /// A number.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.get(name).parse().ok()
    }

    /// Puts a value in place of what a name has.
    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.retain(|(own, _)| own != name);
        self.0.push((name.to_owned(), value.into()));
    }

    /// All of it.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_names_and_values() {
        let mut form = Form::parse(b"a=1&b=%3Cscript%3E+x&a=2&empty=&n=12");
        assert_eq!((form.get("a"), form.get("b"), form.get("c")), ("1", "<script> x", ""));
        assert!(form.has("empty") && !form.has("c"));
        assert_eq!((form.number("n"), form.number("b")), (Some(12), None));
        form.set("a", "3");
        assert_eq!(form.iter().filter(|(name, _)| *name == "a").count(), 1);
    }
}
