//! Any JSON, as the rules that the filter is given; and any rules that it takes, asked about keys.
#![no_main]

use back_to_origin::explain::{Question, explain};
use back_to_origin::rule::RuleSet;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some(rules) = RuleSet::from_json(bytes).rules else { return };
    rules.servers().for_each(drop);
    let keys: [&[u8]; 6] = [b"", b"a/b.jpg", b"/", b"../x", "ä /".as_bytes(), b"\xff\x00%"];
    for key in keys {
        for (method, status) in [("GET", 404), ("GET", 200), ("HEAD", 404), ("GET", 503)] {
            let question = Question {
                bucket: "examplebucket".to_owned(),
                method: method.to_owned(),
                key: key.to_vec(),
                query: "x=1&X-Amz-Date=2".to_owned(),
                headers: vec![
                    ("host".to_owned(), "gateway.example".to_owned()),
                    ("accept".to_owned(), "image/webp".to_owned()),
                    ("cookie".to_owned(), "a=b".to_owned()),
                ],
                status,
            };
            let _ = explain(&rules, &question).to_string();
        }
    }
});
