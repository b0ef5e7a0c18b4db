//! A PUT or a completion that nobody heard of: what the bucket has then.

use super::*;

/// What a HEAD may find, and what is told then.
const FINDINGS: [(&str, &str, &str, &str); 5] = [
    ("200", "5", "MIRROR x", "stored in the bucket"),
    ("200", "6", "MIRROR x", "keeps what it has"),
    ("200", "5", "MIRROR y", "keeps what it has"),
    ("200", "5", "", "keeps what it has"),
    ("403", "", "", "may have it all the same"),
];

impl Bench {
    /// An object of two parts, as far as its completion.
    pub(super) fn completing() -> Self {
        let mut bench = Self::new();
        let id = bench.begin("k", Some(5)).unwrap();
        bench.bytes(id, b"abcde");
        bench.end(id, End::Whole);
        bench.answer("POST /b/k?uploads ", "200", "", CREATED);
        bench.answer("PUT /b/k?partNumber=1&uploadId=u ", "200", "e", "");
        bench.answer("PUT /b/k?partNumber=2&uploadId=u ", "200", "e", "");
        bench
    }

    /// Has the answer to the only call lost.
    pub(super) fn lose(&mut self, line: &str) {
        let [(id, found, _)] = &self.calls[..] else { panic!("{:?}", self.calls) };
        assert_eq!(found, line);
        let id = *id;
        self.calls.clear();
        let effects = self.engine.on_call_answer(id, CallAnswer::default(), Moment(self.now));
        self.take(effects);
        self.pass(Duration::from_secs(1));
    }

    /// Answers the look at the object.
    fn found(&mut self, status: &str, length: &str, tag: &str) {
        let at = self.calls.iter().position(|(_, line, _)| line == "HEAD /b/k ");
        let (id, _, _) = self.calls.remove(at.expect("the bucket is looked at"));
        let tag = (crate::metadata::TAG_METADATA, tag);
        let headers = Headers::from_pairs([(":status", status), ("content-length", length), tag]);
        let answer = CallAnswer { headers, ..CallAnswer::default() };
        let effects = self.engine.on_call_answer(id, answer, Moment(self.now));
        self.take(effects);
    }
}

#[test]
fn a_completion_refused_the_second_time_is_judged_by_the_object() {
    for refusal in ["403", "404", "412"] {
        for (status, length, tag, told) in FINDINGS {
            let mut bench = Bench::completing();
            bench.lose("POST /b/k?uploadId=u *");
            bench.answer("POST /b/k?uploadId=u *", refusal, "", "<Error/>");
            // What nobody heard of may be under way still.
            bench.found("404", "", "");
            assert!(bench.calls.is_empty() && bench.lines.is_empty(), "{:?}", bench.lines);
            bench.pass(Duration::from_secs(30));
            bench.found(status, length, tag);
            if told != "stored in the bucket" {
                bench.answer("DELETE /b/k?uploadId=u ", "404", "", "");
            }
            assert!(bench.lines[0].ends_with(told), "{refusal} {status}: {:?}", bench.lines);
            assert!(!bench.ticking);
        }
    }
}

#[test]
fn a_completion_that_nobody_hears_of_is_waited_for_and_given_up() {
    let mut bench = Bench::completing();
    for _ in 0..3 {
        bench.lose("POST /b/k?uploadId=u *");
        bench.pass(Duration::from_secs(10));
    }
    bench.found("404", "", "");
    bench.pass(Duration::from_secs(31));
    bench.found("404", "", "");
    bench.answer("DELETE /b/k?uploadId=u ", "204", "", "");
    assert!(bench.lines[0].ends_with("the store did not answer 3 attempts"), "{:?}", bench.lines);
}

#[test]
fn a_put_refused_the_second_time_is_judged_by_the_object() {
    for (status, length, tag, told) in FINDINGS {
        let mut bench = Bench::new();
        let id = bench.begin("k", Some(3)).unwrap();
        bench.bytes(id, b"abc");
        bench.end(id, End::Whole);
        bench.lose("PUT /b/k *");
        bench.answer("PUT /b/k *", "412", "", "");
        let length = if length == "5" { "3" } else { length };
        bench.found(status, length, tag);
        assert!(bench.lines[0].ends_with(told), "{status}: {:?}", bench.lines);
        assert!(!bench.ticking);
    }
}

#[test]
fn a_completion_has_more_time_than_a_part() {
    let mut bench = Bench::completing();
    bench.engine.on_call_answer(bench.calls[0].0, CallAnswer::default(), Moment(bench.now));
    let effects = bench.engine.on_tick(Moment(bench.now + Duration::from_secs(1)));
    let timeouts: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Call(_, call) => Some(call.timeout),
            Effect::Answer(..)
            | Effect::Claim(_)
            | Effect::Measure(..)
            | Effect::Lease(_)
            | Effect::Absent(..)
            | Effect::Record(..)
            | Effect::Release(_) => None,
            Effect::Log(_) | Effect::Send(..) | Effect::Settle(..) => None,
            Effect::Resume(_) | Effect::Tick(_) | Effect::Wake => None,
        })
        .collect();
    assert_eq!(timeouts, [Duration::from_secs(300)], "ten times `timeouts.store`");
}

#[test]
fn a_completion_of_which_the_store_says_nothing_is_judged_by_the_object() {
    for words in ["", "   ", "<html><body>ok</body></html>", "<CompleteMultipartUploadResult/>"] {
        for (status, length, tag, told) in FINDINGS {
            let mut bench = Bench::completing();
            bench.answer("POST /b/k?uploadId=u *", "200", "", words);
            assert!(bench.lines.is_empty(), "{words}: {:?}", bench.lines);
            bench.found(status, length, tag);
            if told != "stored in the bucket" {
                bench.answer("DELETE /b/k?uploadId=u ", "204", "", "");
            }
            assert!(bench.lines[0].ends_with(told), "{words} {status}: {:?}", bench.lines);
        }
        // And it is not there.
        let mut bench = Bench::completing();
        bench.answer("POST /b/k?uploadId=u *", "200", "", words);
        bench.found("404", "", "");
        bench.pass(Duration::from_secs(30));
        bench.found("404", "", "");
        bench.answer("DELETE /b/k?uploadId=u ", "204", "", "");
        assert!(
            bench.lines[0].ends_with("the store did not say that it has it, and does not have it")
        );
        assert!(bench.calls.is_empty() && bench.engine.is_idle(), "{words}");
    }
}

#[test]
fn an_error_in_a_200_is_a_refusal_that_needs_no_look() {
    const ERROR: &str = "<?xml version=\"1.0\"?><Error xmlns=\"x\"><Code>SlowDown</Code></Error>";
    let mut bench = Bench::completing();
    for _ in 0..3 {
        bench.answer("POST /b/k?uploadId=u *", "200", "", ERROR);
        bench.pass(Duration::from_secs(10));
    }
    bench.answer("DELETE /b/k?uploadId=u ", "204", "", "");
    assert!(
        bench.lines[0].contains("the store failed 3 times, last with 200"),
        "{:?}",
        bench.lines
    );
    let mut bench = Bench::new();
    let id = bench.begin("k", Some(3)).unwrap();
    bench.bytes(id, b"abc");
    bench.end(id, End::Whole);
    for _ in 0..3 {
        bench.answer("PUT /b/k *", "200", "e", ERROR);
        bench.pass(Duration::from_secs(10));
    }
    assert!(bench.lines[0].contains("not stored: the store failed 3 times"), "{:?}", bench.lines);
    assert!(bench.calls.is_empty() && bench.engine.is_idle());
}
