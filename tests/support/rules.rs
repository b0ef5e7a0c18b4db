//! Rules as tests write them.

use serde_json::{Value, json};

/// A rule about misses of the keys with a prefix.
pub(crate) fn on_miss(number: u32, prefix: &str, redirect: Value) -> Value {
    json!({
        "RuleNumber": number,
        "Condition": { "KeyPrefixEquals": prefix, "HttpErrorCodeReturnedEquals": 404 },
        "Redirect": redirect,
    })
}
