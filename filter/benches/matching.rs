//! How long it takes to find the rule for an answer: `cargo bench -p back-to-origin`.

use back_to_origin::http::headers::Headers;
use back_to_origin::matching::{BucketResponse, Source, first_match};
use back_to_origin::request::{Method, RequestView};
use back_to_origin::rule::RuleSet;
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

/// The last of so many rules applies: all others have been looked at.
#[divan::bench(args = [1, 5, 20])]
fn last_rule_applies(bencher: Bencher<'_, '_>, rules: usize) {
    let text: Vec<String> = (1..=rules)
        .map(|n| {
            format!(
                r#"{{"RuleNumber": {n}, "Condition": {{"KeyPrefixEquals": "folder-{n:02}/", "KeySuffixEquals": ".jpg",
                    "HttpErrorCodeReturnedEquals": 404}}, "Redirect": {{"RedirectType": "Mirror", "MirrorURL": "http://o/"}}}}"#
            )
        })
        .collect();
    let set = RuleSet::from_json(format!("[{}]", text.join(",")).as_bytes());
    let set = set.rules.expect("the rules are sound");
    let key = format!("folder-{rules:02}/some/where/below/picture.jpg");
    let answer =
        BucketResponse { status: 404, source: Source::Bucket, deleted: false, denied: false };
    let headers = Headers::default();
    let request = RequestView {
        method: Method::Get,
        key: key.as_bytes(),
        query: "",
        headers: &headers,
        is_processed: false,
    };
    bencher.bench(|| first_match(black_box(&set), black_box(request), answer).is_ok());
}
