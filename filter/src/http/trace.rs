//! The trace that a request belongs to (W3C Trace Context), on its way to the servers that are asked
//! for it.

use super::headers::{HeaderList, Headers};

const PARENT: &str = "traceparent";
const STATE: &str = "tracestate";

/// What everybody who takes part has to pass on of a `tracestate`.
const MOST_STATE: usize = 512;

/// A trace, as somebody before the gateway has said it. What is not well formed is none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Trace {
    parent: String,
    state: String,
}

impl Trace {
    /// That of a request.
    #[must_use]
    pub fn of(headers: &Headers) -> Self {
        let all = |name: &'static str| {
            let own = headers.iter().filter(move |(known, _)| *known == name.as_bytes());
            own.map(|(_, value)| value)
        };
        let mut parents = all(PARENT);
        let parent = parents.next().and_then(|parent| std::str::from_utf8(parent).ok());
        let Some(parent) = parent.filter(|parent| is_parent(parent)) else {
            return Self::default();
        };
        // Of several nobody knows which one it is.
        if parents.next().is_some() {
            return Self::default();
        }
        let states: Vec<&[u8]> = all(STATE).collect();
        let state = String::from_utf8(states.join(&b","[..])).unwrap_or_default();
        let is_state = state.len() <= MOST_STATE
            && state.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
        let state = if is_state { state } else { String::new() };
        Self { parent: parent.to_owned(), state }
    }

    /// Its id; none without a trace.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.parent.get(3..35)
    }

    /// Says it in a request, unless that says one already.
    pub(crate) fn go_on(&self, headers: &mut HeaderList) {
        if self.parent.is_empty() || headers.get(PARENT).is_some() {
            return;
        }
        headers.remove(STATE);
        headers.add(PARENT, &self.parent);
        if !self.state.is_empty() {
            headers.add(STATE, &self.state);
        }
    }
}

/// Whether it is one of version 00, or begins like that in a later one.
fn is_parent(text: &str) -> bool {
    let mut fields = text.split('-');
    let mut field = |length: usize| {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        fields.next().filter(|field| field.len() == length && field.bytes().all(is_hex))
    };
    let (version, trace, parent, flags) = (field(2), field(32), field(16), field(2));
    let is_some = |id: Option<&str>| id.is_some_and(|id| id.bytes().any(|byte| byte != b'0'));
    let is_known = match version {
        None | Some("ff") => false,
        Some("00") => fields.next().is_none(),
        Some(_) => true,
    };
    is_known && is_some(trace) && is_some(parent) && flags.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT_ID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn sent(headers: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut list = HeaderList::new().with("tracestate", "of=another");
        Trace::of(&Headers::from_pairs(headers.iter().copied())).go_on(&mut list);
        list.texts().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn a_trace_goes_on_with_its_state() {
        let headers = [("traceparent", PARENT_ID), ("tracestate", "a=1"), ("tracestate", "b=2")];
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [pair("traceparent", PARENT_ID), pair("tracestate", "a=1,b=2")];
        assert_eq!(sent(&headers), expected);
        let trace = Trace::of(&Headers::from_pairs(headers));
        assert_eq!(trace.id(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        // One that a rule passes on already stays.
        let mut list = HeaderList::new().with("traceparent", "x");
        trace.go_on(&mut list);
        assert_eq!(list.iter().count(), 1);
    }

    #[test]
    fn what_is_not_well_formed_does_not_go_on() {
        let later = PARENT_ID.replacen("00", "cc", 1);
        for good in [PARENT_ID, later.as_str(), &format!("{later}-more")] {
            assert_eq!(sent(&[("traceparent", good)]).len(), 1, "{good}");
        }
        let zeros = "0".repeat(32);
        for bad in [
            "",
            "00",
            &PARENT_ID.to_uppercase(),
            &PARENT_ID.replacen("00", "ff", 1),
            &format!("{PARENT_ID}-more"),
            &PARENT_ID.replace("4bf92f3577b34da6a3ce929d0e0e4736", &zeros),
            &PARENT_ID.replace("00f067aa0ba902b7", "0000000000000000"),
            &PARENT_ID.replace("-01", ""),
            &PARENT_ID.replace("-01", "-1"),
            &PARENT_ID.replace('4', "g"),
        ] {
            let told = [("tracestate".to_owned(), "of=another".to_owned())];
            assert_eq!(sent(&[("traceparent", bad), ("tracestate", "a=1")]), told, "{bad}");
        }
        assert_eq!(sent(&[("traceparent", PARENT_ID), ("traceparent", PARENT_ID)]).len(), 1);
        let long = "a".repeat(513);
        for state in [long.as_str(), "a=\u{e9}"] {
            assert_eq!(sent(&[("traceparent", PARENT_ID), ("tracestate", state)]).len(), 1);
        }
    }
}
