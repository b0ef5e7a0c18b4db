//! Uploads that the store did not confirm: which of them are looked for, found and aborted.

use super::*;

const CREATE: &str = "POST /b/k?uploads ";
const LIST: &str = "GET /b?max-uploads=1000&prefix=k&uploads ";
const GRACE: Duration = Duration::from_secs(600);
const REMEDY: &str =
    "may stay open until a lifecycle rule ends it (AbortIncompleteMultipartUpload)";

fn parts(id: &str) -> String {
    format!("GET /b/k?max-parts=1&uploadId={id} ")
}

fn abort(id: &str) -> String {
    format!("DELETE /b/k?uploadId={id} ")
}

/// What the store lists: uploads by key and id.
fn list(uploads: &[(&str, &str)]) -> String {
    let upload = |(key, id): &(&str, &str)| {
        format!("<Upload><Key>{key}</Key><UploadId>{id}</UploadId></Upload>")
    };
    let uploads: String = uploads.iter().map(upload).collect();
    format!(
        "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>{uploads}</ListMultipartUploadsResult>"
    )
}

fn no_parts(id: &str) -> String {
    format!("<ListPartsResult><UploadId>{id}</UploadId></ListPartsResult>")
}

fn some_parts(id: &str) -> String {
    format!("<ListPartsResult><UploadId>{id}</UploadId><Part></Part></ListPartsResult>")
}

impl Bench {
    /// An object whose upload the store did not confirm, and that it then refused.
    fn unconfirmed() -> Self {
        let mut bench = Self::new();
        let id = bench.begin("k", None).unwrap();
        bench.bytes(id, b"abcde");
        bench.lose(CREATE);
        bench.answer(CREATE, "403", "", "");
        assert_eq!(
            bench.lines[0],
            "the store did not confirm an upload of b/k, which is looked for"
        );
        bench.lines.clear();
        bench
    }

    /// The same, with what the store lists then, after the grace time.
    fn listed(uploads: &[(&str, &str)]) -> Self {
        let mut bench = Self::unconfirmed();
        bench.answer(LIST, "200", "", &list(uploads));
        bench.pass(GRACE - Duration::from_millis(1));
        assert!(bench.calls.is_empty(), "before the grace time is over: {:?}", bench.calls);
        bench.pass(Duration::from_millis(1));
        bench
    }

    /// Nothing more is asked or told, ever.
    fn is_over(&mut self) {
        self.pass(2 * GRACE);
        assert!(self.calls.is_empty(), "{:?}", self.calls);
        assert!(!self.ticking && self.engine.is_idle());
    }
}

#[test]
fn what_has_no_part_after_the_grace_time_is_aborted() {
    let mut bench = Bench::listed(&[("k", "v"), ("k2", "w"), ("kk/k", "x")]);
    bench.answer(&parts("v"), "200", "", &no_parts("v"));
    bench.answer(&abort("v"), "204", "", "");
    let told = "the upload v of b/k was not confirmed, had no part, and is aborted";
    assert_eq!(bench.lines, [told]);
    bench.is_over();
}

#[test]
fn what_is_or_may_be_in_use_is_left_alone() {
    let unreadable = "the list of its parts is unreadable";
    let cases = [
        (
            "200",
            some_parts("v"),
            "the upload v of b/k has parts: it is in use, and stays".to_owned(),
        ),
        ("200", no_parts("w"), format!("the upload v of b/k {REMEDY}: {unreadable}")),
        ("200", String::new(), format!("the upload v of b/k {REMEDY}: {unreadable}")),
        (
            "403",
            String::new(),
            format!("the upload v of b/k {REMEDY}: the store refused it with 403"),
        ),
        (
            "412",
            no_parts("v"),
            format!("the upload v of b/k {REMEDY}: the store refused it with 412"),
        ),
        // It has ended meanwhile.
        ("404", String::new(), String::new()),
    ];
    for (status, body, told) in cases {
        let mut bench = Bench::listed(&[("k", "v")]);
        bench.answer(&parts("v"), status, "", &body);
        assert_eq!(bench.lines.concat(), told, "{status} {body}");
        bench.is_over();
    }
}

#[test]
fn a_part_that_comes_before_the_abort_is_repeated_saves_the_upload() {
    let mut bench = Bench::listed(&[("k", "v")]);
    bench.answer(&parts("v"), "200", "", &no_parts("v"));
    bench.answer(&abort("v"), "503", "", "");
    bench.pass(Duration::from_secs(1));
    bench.answer(&parts("v"), "200", "", &some_parts("v"));
    assert_eq!(bench.lines, ["the upload v of b/k has parts: it is in use, and stays"]);
    bench.is_over();
}

#[test]
fn a_store_that_does_not_take_an_abort_is_asked_six_times_in_all() {
    let mut bench = Bench::listed(&[("k", "v"), ("k", "w")]);
    for _ in 0..3 {
        bench.answer(&parts("w"), "200", "", &no_parts("w"));
        bench.answer(&abort("w"), "500", "", "");
        bench.pass(Duration::from_secs(10));
    }
    let why = "the store failed 6 times, last with 500";
    assert_eq!(bench.lines, [format!("the upload w of b/k {REMEDY}: {why}")]);
    // And what comes behind it has its own turn.
    bench.answer(&parts("v"), "200", "", &no_parts("v"));
    bench.answer(&abort("v"), "404", "", "");
    assert_eq!(bench.lines.len(), 1, "{:?}", bench.lines);
    bench.is_over();
}

#[test]
fn a_store_that_does_not_list_is_told_of() {
    let not_listed = |why: &str| format!("uploads are not listed: {why}; one of b/k {REMEDY}");
    let unreadable = format!("the list of uploads is unreadable; one of b/k {REMEDY}");
    let too_large = "x".repeat(1024 * 1024 + 1) + &list(&[("k", "v")]);
    let cases = [
        ("403", String::new(), not_listed("the store refused it with 403")),
        ("501", String::new(), not_listed("the store refused it with 501")),
        ("200", String::new(), unreadable.clone()),
        ("200", "<ListBucketResult></ListBucketResult>".to_owned(), unreadable.clone()),
        ("200", too_large, unreadable),
        ("200", list(&[]), "no upload of b/k is open".to_owned()),
        ("200", list(&[("k2", "v")]), "no upload of b/k is open".to_owned()),
    ];
    for (status, body, told) in cases {
        let mut bench = Bench::unconfirmed();
        bench.answer(LIST, status, "", &body);
        assert_eq!(bench.lines, [told], "{status}");
        bench.is_over();
    }
    let mut bench = Bench::unconfirmed();
    for _ in 0..6 {
        bench.answer(LIST, "503", "", "");
        bench.pass(Duration::from_secs(10));
    }
    assert_eq!(bench.lines, [not_listed("the store failed 6 times, last with 503")]);
    bench.is_over();
}

#[test]
fn a_list_that_is_not_all_is_used_and_told_of() {
    let told = format!("not all open uploads are looked at; one of b/k {REMEDY}");
    let mut bench = Bench::unconfirmed();
    let cut = list(&[("k", "v")]).replace("false", "true");
    bench.answer(LIST, "200", "", &cut);
    assert_eq!(bench.lines, std::slice::from_ref(&told));
    bench.pass(GRACE);
    bench.answer(&parts("v"), "200", "", &no_parts("v"));
    bench.answer(&abort("v"), "204", "", "");
    bench.is_over();

    let mut bench = Bench::unconfirmed();
    let ids: Vec<_> = (0..9).map(|n| n.to_string()).collect();
    let uploads: Vec<_> = ids.iter().map(|id| ("k", id.as_str())).collect();
    bench.answer(LIST, "200", "", &list(&uploads));
    assert_eq!(bench.lines, [told]);
    bench.pass(GRACE);
    for id in ids[1..].iter().rev() {
        bench.answer(&parts(id), "404", "", "");
    }
    bench.is_over();
}

#[test]
fn what_this_vm_uploads_is_not_its_own_prey() {
    let mut bench = Bench::new();
    let id = bench.begin("k", None).unwrap();
    bench.bytes(id, b"abcde");
    // However often: one list, once nothing is being made any more, has all of them.
    bench.lose(CREATE);
    bench.lose(CREATE);
    bench.pass(Duration::from_secs(3));
    bench.answer(CREATE, "200", "", CREATED);
    assert_eq!(bench.calls.len(), 2, "a part and a list: {:?}", bench.calls);
    bench.answer(LIST, "200", "", &list(&[("k", "v"), ("k", "u")]));
    bench.answer("PUT /b/k?partNumber=1&uploadId=u ", "200", "e", "");
    bench.pass(2 * GRACE);
    assert!(bench.calls.is_empty(), "its own may be among them: {:?}", bench.calls);
    bench.end(id, End::Whole);
    bench.answer("PUT /b/k?partNumber=2&uploadId=u ", "200", "e", "");
    bench.answer("POST /b/k?uploadId=u *", "200", "", COMPLETED);
    bench.answer(&parts("u"), "404", "", "");
    bench.answer(&parts("v"), "200", "", &no_parts("v"));
    bench.answer(&abort("v"), "204", "", "");
    bench.is_over();
}

#[test]
fn another_objects_copy_does_not_wait() {
    let mut bench = Bench::listed(&[("k", "v")]);
    let id = bench.begin("l", None).unwrap();
    bench.bytes(id, b"abcde");
    assert_eq!(bench.calls.len(), 2, "{:?}", bench.calls);
    bench.answer("POST /b/l?uploads ", "200", "", CREATED);
    bench.answer(&parts("v"), "404", "", "");
    assert_eq!(bench.body("PUT /b/l?partNumber=1&uploadId=u "), b"abcd");
}

#[test]
fn an_upload_is_unconfirmed_unless_the_store_itself_said_no() {
    let cases = [
        ("200", CREATED, false),
        ("200", "", true),
        ("200", "<R><UploadId></UploadId></R>", true),
        ("403", "", false),
        ("500", "", false),
        ("503", "", false),
        // Of whoever stands before the store.
        ("502", "", true),
        ("504", "", true),
    ];
    for (status, body, is_unconfirmed) in cases {
        let mut bench = Bench::new();
        let id = bench.begin("k", None).unwrap();
        bench.bytes(id, b"abcde");
        bench.answer(CREATE, status, "", body);
        let told = bench.lines.iter().any(|line| line.contains("did not confirm"));
        assert_eq!(told, is_unconfirmed, "{status} {body}");
    }
}

#[test]
fn so_many_objects_are_looked_for_and_no_more() {
    let mut bench = Bench::new();
    for n in 0..65 {
        // Each is given up before the next begins: all of them share little memory.
        let id = bench.begin(&format!("k{n}"), None).unwrap();
        bench.bytes(id, b"abcde");
        let create = format!("POST /b/k{n}?uploads ");
        let at = bench.calls.iter().position(|(_, line, _)| *line == create).unwrap();
        let (call, _, _) = bench.calls.remove(at);
        let now = Moment(bench.now);
        let effects = bench.engine.on_call_answer(call, CallAnswer::default(), now);
        bench.take(effects);
        bench.pass(Duration::from_secs(1));
        bench.answer(&create, "400", "", "");
    }
    let told: Vec<_> = bench.lines.iter().filter(|line| line.contains("not confirm")).collect();
    assert!(told[..64].iter().all(|line| line.ends_with("which is looked for")), "{told:?}");
    assert!(told[64].contains(&format!("an upload of b/k64, which {REMEDY}")), "{told:?}");
    assert_eq!(bench.calls.len(), 1, "one at a time");
    for n in 0..64 {
        bench.answer(&format!("GET /b?max-uploads=1000&prefix=k{n}&uploads "), "501", "", "");
    }
    bench.is_over();
}
