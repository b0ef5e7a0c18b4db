//! Each value by itself.

use std::time::Duration;

use super::*;
use crate::gateway::{Endpoint, Secret};

fn read<T: Value>(text: &str) -> Result<T, String> {
    let environment = |name: &str| (name == "SET").then(|| "value".into());
    let mut reading = Reading::new(&environment);
    let value = T::read(&Node::default_text(text), &mut reading);
    value.ok_or_else(|| reading.problems.remove(0).message)
}

#[test]
fn durations_have_a_unit() {
    let cases = [("10s", 10_000), ("250ms", 250), ("2m", 120_000), ("60m", 3_600_000)];
    for (text, milliseconds) in cases {
        assert_eq!(read::<Duration>(text), Ok(Duration::from_millis(milliseconds)), "{text}");
    }
    for text in ["10", "s", "", "1h", "-1s", "1.5s", "0s", "61m", "99999999999999999999s", "1 s"] {
        assert!(read::<Duration>(text).is_err(), "{text}");
    }
}

#[test]
fn what_lasts_may_not_last_at_all() {
    for (text, milliseconds) in [("0s", 0), ("0m", 0), ("30s", 30_000), ("60m", 3_600_000)] {
        let lasting = Lasting(Duration::from_millis(milliseconds));
        assert_eq!(read::<Lasting>(text), Ok(lasting), "{text}");
    }
    for text in ["0", "", "61m", "9223372036854775808s", "-1s", "off"] {
        assert!(read::<Lasting>(text).is_err(), "{text}");
    }
}

#[test]
fn a_wait_may_be_none_and_is_short() {
    for (text, milliseconds) in [("0s", 0), ("0ms", 0), ("250ms", 250), ("15s", 15_000)] {
        let wait = Wait(Duration::from_millis(milliseconds));
        assert_eq!(read::<Wait>(text), Ok(wait), "{text}");
    }
    for text in ["0", "", "16s", "1m", "-1s", "off"] {
        assert!(read::<Wait>(text).is_err(), "{text}");
    }
}

#[test]
fn endpoints_have_no_path() {
    for (text, shown) in [
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("https://s3.example.com/", "https://s3.example.com"),
        ("https://s3.example.com:443", "https://s3.example.com"),
        ("http://[::1]:9000", "http://[::1]:9000"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
    ] {
        assert_eq!(read::<Endpoint>(text).map(|e| e.to_string()), Ok(shown.to_owned()), "{text}");
    }
    for text in
        ["s3.example.com", "ftp://a", "http://a/b", "http://a?b", "http://u:p@a", "http://", ""]
    {
        assert!(read::<Endpoint>(text).is_err(), "{text}");
    }
}

#[test]
fn bucket_names_are_those_of_s3() {
    for text in ["abc", "a.b-c", "0bucket9", &"a".repeat(63)] {
        assert!(read::<BucketName>(text).is_ok(), "{text}");
    }
    for text in
        ["ab", "Abc", "-abc", "abc-", "a..b", "a_b", "127.0.0.1", "a b", "", &"a".repeat(64)]
    {
        assert!(read::<BucketName>(text).is_err(), "{text}");
    }
}

#[test]
fn a_variable_must_be_set() {
    assert_eq!(read::<Variable>("SET").unwrap().value.expose(), "value");
    assert_eq!(
        read::<Variable>("UNSET").unwrap_err(),
        "the environment variable `UNSET` is not set"
    );
}

#[test]
fn a_secret_is_never_shown() {
    let secret = Secret::new("hunter2".to_owned());
    assert!(!format!("{secret:?} {:?}", Some(&secret)).contains("hunter2"));
    assert_eq!(read::<Secret>("").unwrap_err(), "expected a text, found an empty one");
}

#[test]
fn words_are_listed_where_none_fits() {
    assert_eq!(read::<Reads>("signed"), Ok(Reads::Signed));
    assert_eq!(
        read::<Reads>("sigend"),
        Err("expected `passthrough` or `signed`, found `sigend`".to_owned())
    );
}
