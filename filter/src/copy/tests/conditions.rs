//! Stores that judge the condition of a write in their own way, or not at all.

use super::*;
use crate::store::Target;

impl Bench {
    /// A store that is told so.
    fn with_conditions(conditional_writes: &str) -> Self {
        let said = format!(r#""addressing": "path", "conditional_writes": "{conditional_writes}""#);
        let text = CONFIGURATION
            .replace(r#""authority": "s:9000""#, &format!(r#""authority": "s:9000", {said}"#));
        let configuration = Configuration::from_json(text.as_bytes()).unwrap();
        Self { engine: Engine::new(Rc::new(configuration)), ..Self::new() }
    }

    /// An object comes whole: of one part, or of two.
    fn object(&mut self, key: &str, size: usize) -> bool {
        let Some(id) = self.begin(key, Some(size as u64)) else { return false };
        self.bytes(id, &vec![7; size]);
        self.end(id, End::Whole);
        true
    }

    /// An upload up to its completion.
    fn uploaded(&mut self, key: &str) {
        self.answer(&format!("POST /b/{key}?uploads "), "200", "", CREATED);
        for part in [1, 2] {
            let line = format!("PUT /b/{key}?partNumber={part}&uploadId=u ");
            self.answer(&line, "200", "e", "");
        }
    }
}

#[test]
fn the_condition_is_the_one_that_the_store_knows() {
    let text = CONFIGURATION.to_owned();
    for (said, header) in [
        ("if-none-match", Some(("if-none-match", "*"))),
        ("oss", Some(("x-oss-forbid-overwrite", "true"))),
        ("head", None),
        ("none", None),
    ] {
        let store = format!(r#""authority": "s:9000", "conditional_writes": "{said}""#);
        let text = text.replace(r#""authority": "s:9000""#, &store);
        let configuration = Configuration::from_json(text.as_bytes()).unwrap();
        let headers = HeaderList::new();
        let bucket = &configuration.buckets[0];
        let target = Target { bucket, key: b"k", headers: &headers, tag: "" };
        for request in [target.put(1), target.complete_upload("u")] {
            for name in ["if-none-match", "x-oss-forbid-overwrite"] {
                let expected = header.filter(|(known, _)| *known == name);
                let expected = expected.map(|(_, value)| value.as_bytes());
                assert_eq!(request.get(name), expected, "{said} {name}");
            }
        }
        assert_eq!(target.upload_part("u", 1).get("if-none-match"), None);
    }
}

#[test]
fn what_oss_calls_there_already_is_there() {
    let mut bench = Bench::with_conditions("oss");
    bench.object("k", 3);
    bench.answer("PUT /b/k ", "409", "", "<Error><Code>FileAlreadyExists</Code></Error>");
    assert!(bench.lines[0].contains("keeps what it has"), "{:?}", bench.lines);
    assert!(bench.calls.is_empty());
    // Another conflict may be over the next time.
    bench.object("l", 3);
    bench.answer("PUT /b/l ", "409", "", "<Error><Code>OperationAborted</Code></Error>");
    bench.pass(Duration::from_secs(1));
    bench.answer("PUT /b/l ", "200", "e", "");
}

#[test]
fn a_store_that_judges_nothing_is_looked_at_right_before_each_write() {
    let mut bench = Bench::with_conditions("head");
    bench.object("k", 3);
    bench.answer("HEAD /b/k ", "404", "", "");
    bench.answer("PUT /b/k ", "503", "", "");
    bench.pass(Duration::from_secs(1));
    bench.answer("HEAD /b/k ", "404", "", "");
    bench.answer("PUT /b/k ", "200", "e", "");
    assert!(bench.lines[0].ends_with("stored in the bucket"), "{:?}", bench.lines);

    bench.object("l", 3);
    bench.answer("HEAD /b/l ", "200", "", "");
    assert!(bench.lines[1].contains("keeps what it has"), "{:?}", bench.lines);

    bench.object("m", 7);
    bench.uploaded("m");
    bench.answer("HEAD /b/m ", "404", "", "");
    bench.answer("POST /b/m?uploadId=u ", "200", "", COMPLETED);
    assert!(bench.lines[2].ends_with("stored in the bucket"), "{:?}", bench.lines);

    bench.object("n", 7);
    bench.uploaded("n");
    bench.answer("HEAD /b/n ", "200", "", "");
    bench.answer("DELETE /b/n?uploadId=u ", "204", "", "");
    assert!(bench.lines[3].contains("keeps what it has"), "{:?}", bench.lines);
    assert!(bench.calls.is_empty(), "{:?}", bench.calls);
}

#[test]
fn a_store_that_may_not_be_looked_at_gets_nothing_unseen() {
    let mut bench = Bench::with_conditions("head");
    bench.object("k", 3);
    bench.answer("HEAD /b/k ", "403", "", "");
    assert!(bench.lines[0].ends_with("the store refused it with 403"), "{:?}", bench.lines);
    bench.object("l", 3);
    for _ in 0..6 {
        bench.answer("HEAD /b/l ", "503", "", "");
        bench.pass(Duration::from_secs(10));
    }
    assert!(bench.calls.is_empty() && bench.engine.is_idle(), "{:?}", bench.calls);
}

#[test]
fn a_store_that_knows_no_condition_is_told_once_and_left_alone() {
    let refusals = [("501", ""), ("400", "<Error><Code>NotImplemented</Code></Error>")];
    for (status, words) in refusals {
        let mut bench = Bench::new();
        assert!(bench.object("k", 3));
        bench.answer("PUT /b/k *", status, "", words);
        let told = |bench: &Bench| {
            bench.lines.iter().filter(|line| line.contains("Set `conditional_writes`")).count()
        };
        assert_eq!(told(&bench), 1, "{:?}", bench.lines);
        for size in [3, 7] {
            assert!(!bench.object("l", size), "nothing is written, and nothing uploaded");
        }
        bench.now += Duration::from_secs(600);
        assert!(bench.object("m", 3), "one is tried");
        assert!(!bench.object("n", 3));
        bench.answer("PUT /b/m *", status, "", words);
        assert_eq!(told(&bench), 1, "{:?}", bench.lines);
        bench.now += Duration::from_secs(600);
        assert!(bench.object("o", 3));
        bench.answer("PUT /b/o *", "200", "e", "");
        assert!(bench.object("p", 7), "it knows them by now");
    }
}

#[test]
fn a_store_that_completes_under_no_condition_gets_no_other_upload() {
    let mut bench = Bench::new();
    assert!(bench.object("k", 7));
    bench.uploaded("k");
    bench.answer("POST /b/k?uploadId=u *", "501", "", "");
    bench.answer("DELETE /b/k?uploadId=u ", "204", "", "");
    assert!(!bench.object("l", 7));
    assert!(bench.begin("m", None).is_none(), "it may need one");
    assert!(bench.object("n", 3), "one request is another matter");
    bench.answer("PUT /b/n *", "200", "e", "");
    assert!(!bench.object("o", 7));
}
