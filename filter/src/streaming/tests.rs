//! Visits without a host.

use super::*;
use crate::reason::MirrorFailure;

const CONFIGURATION: &str = r#"{
    "role": "origin",
    "buckets": [{"name": "b", "store": {"cluster": "s", "authority": "s"}, "RoutingRules": [
        {"RuleNumber": 1, "Condition": {"KeyPrefixEquals": "a/", "HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/"}},
        {"RuleNumber": 2, "Condition": {"KeyPrefixEquals": "f/", "HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/", "MirrorFallThrough": true}},
        {"RuleNumber": 3, "Condition": {"KeyPrefixEquals": "f/e", "HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"HostName": "h"}},
        {"RuleNumber": 4, "Condition": {"KeyPrefixEquals": "f/f", "HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://p/", "MirrorAsyncStatus": 303}},
        {"RuleNumber": 5, "Condition": {"KeyPrefixEquals": "f/m", "HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://p/q/", "MirrorAllowHeadObject": true}},
        {"RuleNumber": 6, "Condition": {"KeyPrefixEquals": "k", "HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/", "MirrorAllowHeadObject": true,
            "MirrorHeaders": {"PassAll": true, "Set": [{"Key": "x-set", "Value": "s"}]}}}]}],
    "origins": {"http://o": "o", "http://p": "p"}
}"#;

fn configuration() -> Configuration {
    Configuration::from_json(CONFIGURATION.as_bytes()).unwrap()
}

fn at(seconds: u64) -> Moment {
    Moment(std::time::Duration::from_secs(seconds))
}

fn answered(visit: &mut Visit, answer: &[(&str, &str)]) -> Option<Arrival> {
    visit.on_answer(&configuration(), &Headers::from_pairs(answer.iter().copied()), || at(1))
}

fn head(path: &str) -> (Visit, Departure) {
    let mut visit = Visit::new();
    let request =
        Headers::from_pairs([(":method", "HEAD"), (":path", path), ("range", "bytes=0-1")]);
    let departure = visit.on_request(&configuration(), request, at(1));
    (visit, departure)
}

#[test]
fn a_head_travels_as_one_and_the_object_comes_later() {
    let (mut visit, departure) = head("/b/k");
    let Departure::Send(headers, _) = departure else { panic!("{departure:?}") };
    assert_eq!(headers.get(":method"), Some(&b"HEAD"[..]));
    assert_eq!(headers.get("range"), None, "a HEAD has no range");
    let answer = [(":status", "200"), ("content-length", "7"), ("content-type", "a/b")];
    match answered(&mut visit, &answer) {
        Some(Arrival::Stream { headers, storing }) => {
            assert_eq!(headers.get("content-length"), Some(&b"7"[..]));
            assert_eq!(headers.get("x-oss-tag"), Some(&b"MIRROR http%3A%2F%2Fo%2Fk"[..]));
            assert!(matches!(storing.as_deref(), Some(Storing::Later(..))), "{storing:?}");
        }
        other => panic!("{other:?}"),
    }
    let (mut visit, _) = head("/b/k");
    let arrival = answered(&mut visit, &[(":status", "404")]);
    assert!(matches!(&arrival, Some(Arrival::Answer(no)) if no.reply.status == 404));
    // The rule of its GET does not allow it.
    let (_, departure) = head("/b/a/k");
    assert!(matches!(departure, Departure::Answer(_)), "{departure:?}");
}

fn asked(headers: &[(&str, &str)]) -> Visit {
    asked_for("/b/k", headers)
}

fn asked_for(path: &str, headers: &[(&str, &str)]) -> Visit {
    let mut visit = Visit::new();
    let head = [(":method", "GET"), (":path", path)];
    let headers = Headers::from_pairs(head.iter().chain(headers).copied());
    let departure = visit.on_request(&configuration(), headers, at(1));
    assert!(matches!(departure, Departure::Send(..)), "{departure:?}");
    visit
}

#[test]
fn whoever_leaves_before_the_answer_leaves_the_object() {
    let mut visit = asked(&[]);
    assert_eq!(visit.on_end(), None, "nothing was copied yet");
    let (plan, _) = visit.on_abandoned().unwrap();
    assert_eq!((plan.bucket.as_str(), plan.key.as_slice()), ("b", &b"k"[..]));
    assert!(visit.on_abandoned().is_none(), "once is enough");
    for status in ["200", "404", "500"] {
        let mut visit = asked(&[]);
        let _ = answered(&mut visit, &[(":status", status)]);
        assert!(visit.on_abandoned().is_none(), "{status}");
    }
}

#[test]
fn a_part_behind_the_end_is_refused_and_the_object_fetched() {
    let answer = [(":status", "416"), ("content-range", "bytes */5")];
    let mut visit = asked(&[("range", "bytes=9-")]);
    let arrival = answered(&mut visit, &answer);
    let Some(Arrival::Backfill(refusal, object)) = arrival else { panic!("{arrival:?}") };
    assert_eq!((refusal.reply.status, object.0.key.as_slice()), (416, &b"k"[..]));
    // Who asked for all of it was not told where its end is.
    let arrival = answered(&mut asked(&[]), &answer);
    let Some(Arrival::Answer(refusal)) = arrival else { panic!("{arrival:?}") };
    assert_eq!(refusal.reply.status, 424);
}

/// The visit of the next attempt, and the cluster and target it is sent to.
fn next(arrival: Option<Arrival>) -> (Visit, String, HeaderList) {
    let Some(Arrival::Again(next)) = arrival else { panic!("{arrival:?}") };
    let (asked, refusal) = *next;
    assert_eq!(refusal.reply.status, 424);
    let cluster = asked.cluster().to_owned();
    let mut visit = Visit::new();
    let Departure::Send(headers, _) = visit.on_attempt(Some(asked), &Headers::default()) else {
        panic!("what waited is sent")
    };
    (visit, cluster, headers)
}

fn moved(to: &'static str) -> [(&'static str, &'static str); 2] {
    [(":status", "302"), ("location", to)]
}

#[test]
fn a_redirect_is_followed_and_the_object_is_the_mirror_urls() {
    let mut visit = asked(&[("range", "bytes=0-1"), ("cookie", "c"), ("x-plain", "p")]);
    let (mut visit, cluster, headers) = next(answered(&mut visit, &moved("/there?x")));
    let get = |headers: &HeaderList, name| headers.get(name).map(<[u8]>::to_vec);
    assert_eq!((cluster.as_str(), get(&headers, ":path")), ("o", Some(b"/there?x".to_vec())));
    assert_eq!(get(&headers, "cookie"), Some(b"c".to_vec()));
    let (mut visit, cluster, headers) = next(answered(&mut visit, &moved("http://p/y")));
    assert_eq!((cluster.as_str(), get(&headers, ":authority")), ("p", Some(b"p".to_vec())));
    for secret in ["cookie", "x-set"] {
        assert_eq!(get(&headers, secret), None, "{secret} is not the second server's");
    }
    assert_eq!(get(&headers, "x-plain"), Some(b"p".to_vec()));
    assert_eq!(get(&headers, "range"), Some(b"bytes=0-1".to_vec()));
    match answered(&mut visit, &[(":status", "206"), ("content-range", "bytes 0-1/5")]) {
        Some(Arrival::Stream { headers, storing }) => {
            assert_eq!(headers.get("x-oss-tag"), Some(&b"MIRROR http%3A%2F%2Fo%2Fk"[..]));
            let Some(Storing::Later(plan, trail)) = storing.map(|storing| *storing) else {
                panic!("the whole object is fetched later")
            };
            assert_eq!(
                (plan.url.as_str(), trail.asked().url()),
                ("http://o/k", "http://p/y".into())
            );
        }
        other => panic!("{other:?}"),
    }
}

fn refused(arrival: Option<Arrival>) -> (u16, String) {
    let Some(Arrival::Answer(refusal)) = arrival else { panic!("{arrival:?}") };
    (refusal.reply.status, refusal.line)
}

#[test]
fn a_redirect_that_leads_nowhere_is_a_failure_in_the_same_words() {
    let mut visit = asked(&[]);
    for _ in 0..10 {
        visit = next(answered(&mut visit, &moved("/k"))).0;
    }
    let (status, line) = refused(answered(&mut visit, &moved("/k")));
    assert_eq!(status, 424);
    assert!(line.ends_with(&MirrorFailure::Loop.to_string()), "{line}");
    for (to, why) in
        [("http://internal.example/x", "http://internal.example,"), ("ftp://o/", "URL")]
    {
        let (status, line) = refused(answered(&mut asked(&[]), &moved(to)));
        assert!(status == 424 && line.contains(why), "{line}");
    }
    let late = Headers::from_pairs(moved("/k"));
    let (status, line) = refused(asked(&[]).on_answer(&configuration(), &late, || at(21)));
    assert!(status == 424 && line.ends_with(&MirrorFailure::TimedOut.to_string()), "{line}");
}

#[test]
fn where_an_origin_has_nothing_the_next_rule_is_tried() {
    let nothing = [(":status", "404")];
    let fallen = |path| match answered(&mut asked_for(path, &[]), &nothing) {
        Some(Arrival::FellThrough(line, next)) => {
            assert!(line.ends_with("the next rule is tried"), "{line}");
            Some(*next)
        }
        Some(Arrival::Answer(refusal)) if refusal.reply.status == 404 => None,
        other => panic!("{other:?}"),
    };
    assert!(fallen("/b/f/none").is_none());
    let (status, line) = refused(fallen("/b/f/e"));
    assert!(status == 301 && line.contains("rule 3 External"), "{line}");
    let Some(Arrival::Backfill(refusal, object)) = fallen("/b/f/f") else { panic!() };
    assert_eq!((refusal.reply.status, object.0.url.as_str()), (303, "http://p/f/f"));
    let (mut visit, cluster, headers) = next(fallen("/b/f/m"));
    assert_eq!((cluster.as_str(), headers.get(":path")), ("p", Some(&b"/q/f/m"[..])));
    match answered(&mut visit, &[(":status", "200")]) {
        Some(Arrival::Stream { headers, .. }) => {
            let tag = &b"MIRROR http%3A%2F%2Fp%2Fq%2Ff%2Fm"[..];
            assert_eq!(headers.get("x-oss-tag"), Some(tag));
        }
        other => panic!("{other:?}"),
    }
    let (mut visit, _, _) = next(fallen("/b/f/m"));
    let (status, line) = refused(answered(&mut visit, &nothing));
    assert!(status == 404 && line.contains("rule 5 Mirror"), "{line}");
}

#[test]
fn an_attempt_that_nobody_waits_for_is_no_way_in() {
    let lost = Headers::from_pairs([(":method", "GET"), (":path", "/b/k")]);
    let mut visit = Visit::new();
    let Departure::Answer(refusal) = visit.on_attempt(None, &lost) else { panic!() };
    assert_eq!(refusal.reply.status, 424);
    assert!(answered(&mut visit, &[(":status", "200")]).is_none());
}

#[test]
fn what_waits_is_found_by_its_name_in_its_own_root_and_for_a_moment() {
    let mut attempts = attempt::Attempts::new();
    let mut add = |now| {
        let arrival = answered(&mut asked(&[]), &moved("/there"));
        let Some(Arrival::Again(next)) = arrival else { panic!("{arrival:?}") };
        attempts.add(next.0, at(0), now)
    };
    let (first, second) = (add(at(1)).unwrap(), add(at(2)).unwrap());
    while add(at(3)).is_some() {}
    let name = second.name(7);
    assert_eq!(AttemptId::of(&name, 7), Some(second));
    for (name, root) in [(&name[..], 8), (&name[1..], 7), (b"", 7)] {
        assert_eq!(AttemptId::of(name, root), None, "{name:?}");
    }
    assert!(attempts.take(second).is_some_and(|(_, since)| since == at(0)));
    assert!(attempts.take(second).is_none(), "one attempt, one visit");
    assert!(attempts.take_late(at(2)).is_none());
    let late = attempts.take_late(at(3)).unwrap();
    assert!(late.line.ends_with(&MirrorFailure::Overloaded.to_string()), "{}", late.line);
    assert!(attempts.take(first).is_none());
    while attempts.take_late(at(5)).is_some() {}
    assert!(attempts.is_empty());
}

#[test]
fn what_is_left_behind_is_told_once_and_its_body_is_nobodys() {
    let mut visit = asked(&[]);
    let (asked, refusal) = match answered(&mut visit, &moved("/there")) {
        Some(Arrival::Again(next)) => *next,
        other => panic!("{other:?}"),
    };
    let id = attempt::Attempts::new().add(asked, at(1), at(1)).unwrap();
    visit.leaves_for(id, refusal);
    assert!(!visit.is_refused() && visit.transfer().is_none());
    assert!(visit.on_left_behind().is_some());
    assert!(visit.is_refused() && visit.on_left_behind().is_none());
    assert!(visit.on_abandoned().is_none());
}
