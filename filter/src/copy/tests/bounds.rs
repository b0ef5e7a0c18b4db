//! What is not kept of a stream: for the store's slowness, for want of memory, by rule.

use super::*;

#[test]
fn a_store_that_falls_behind_is_not_waited_for() {
    let mut bench = Bench::new();
    let _others = bench.leave(12);
    let id = bench.begin("k", Some(24)).unwrap();
    bench.bytes(id, b"abcdefgh");
    assert!(bench.engine.wants_bytes(id, 1));
    bench.bytes(id, b"i");
    assert!(!bench.engine.wants_bytes(id, 1), "two parts wait for the store");
    // Nothing says that ranges would be of the same object: it begins anew.
    bench.answer("POST /b/k?uploads ", "200", "", CREATED);
    bench.answer("DELETE /b/k?uploadId=u ", "204", "", "");
    assert_eq!(bench.only_fetches(), 1);
}

#[test]
fn only_what_the_store_had_no_time_for_is_fetched_again() {
    let mut bench = Bench::new();
    let _others = bench.leave(12);
    let (plan, origin) = Bench::plan("k", Some(22));
    let plan = Plan { validator: Some("\"v\"".to_owned()), ..plan };
    let id = bench.engine.begin(plan, origin, Moment(bench.now)).unwrap();
    bench.bytes(id, b"abcdefghij");
    assert!(!bench.engine.wants_bytes(id, 1), "two parts wait for the store");
    bench.answer("POST /b/k?uploads ", "200", "", CREATED);
    bench.answer("PUT /b/k?partNumber=1&uploadId=u ", "200", "e", "");
    // The rest of a part that passed is of no use; the next one is.
    assert!(bench.engine.wants_bytes(id, 3));
    bench.bytes(id, b"lmn");
    bench.answer("PUT /b/k?partNumber=2&uploadId=u ", "200", "e", "");
    bench.bytes(id, b"opqrstuv");
    bench.end(id, End::Whole);
    assert_eq!(bench.body("PUT /b/k?partNumber=4&uploadId=u "), b"mnop");
    bench.answer("PUT /b/k?partNumber=4&uploadId=u ", "200", "e", "");
    bench.answer("PUT /b/k?partNumber=5&uploadId=u ", "200", "e", "");
    bench.range("206", "bytes 8-11/22", "\"v\"", b"ijkl");
    bench.answer("PUT /b/k?partNumber=3&uploadId=u ", "200", "e", "");
    bench.range("206", "bytes 20-21/22", "\"v\"", b"uv");
    assert_eq!(bench.body("PUT /b/k?partNumber=6&uploadId=u "), b"uv");
    bench.answer("PUT /b/k?partNumber=6&uploadId=u ", "200", "e", "");
    bench.answer("POST /b/k?uploadId=u *", "200", "", COMPLETED);
    assert!(
        bench.lines[0].ends_with("(22 bytes), client got 200, stored in the bucket"),
        "{:?}",
        bench.lines
    );
}

#[test]
fn memory_is_shared_by_all() {
    let mut bench = Bench::with_memory(24);
    let first = bench.begin("1", Some(12)).unwrap();
    bench.bytes(first, b"abcdefg");
    let second = bench.begin("2", Some(12)).unwrap();
    bench.bytes(second, b"abcdefg");
    let third = bench.begin("3", Some(12)).unwrap();
    bench.bytes(third, b"a");
    assert!(
        !bench.engine.wants_bytes(third, 1),
        "24 bytes are the limit, eight of them for the host's copies"
    );
    assert!(bench.engine.wants_bytes(first, 1) && bench.engine.wants_bytes(second, 1));
}

#[test]
fn what_is_larger_than_its_rule_allows_is_not_stored() {
    let limited = || route_by("k", r#", "MirrorMaxSize": 5"#);
    let (plan, _) = Bench::plan("k", None);
    let mut streamed = Bench::new();
    let id = streamed.engine.begin(plan.clone(), limited(), Moment(streamed.now)).unwrap();
    streamed.bytes(id, b"abcdef");
    assert!(!streamed.engine.wants_bytes(id, 1));
    let mut fetched = Bench::new();
    let effects = fetched.engine.backfill(plan, limited(), Moment(fetched.now));
    fetched.take(effects);
    fetched.range("206", "bytes 0-3/6", "\"v\"", b"abcd");
    for bench in [streamed, fetched] {
        assert!(bench.calls.is_empty(), "{:?}", bench.calls);
        assert!(bench.lines[0].contains("the 5 that are allowed"), "{:?}", bench.lines);
    }
}

/// What a stream of such a length makes of it at its first byte.
fn told_at_once(memory: u64, length: u64) -> String {
    let mut bench = Bench::with_memory(memory);
    let (plan, origin) = Bench::plan("k", Some(length));
    match bench.engine.begin(plan, origin, Moment(bench.now)) {
        Ok(_) => String::new(),
        Err(effects) => {
            bench.take(effects);
            bench.lines.concat()
        }
    }
}

#[test]
fn sizes_that_can_never_be_stored_are_told_at_once() {
    const TIB: u64 = 1 << 40;
    for length in [5 * TIB + 1, 1 << 50, u64::MAX] {
        let told = told_at_once(64 << 20, length);
        assert!(
            told.ends_with("not stored: it has more than the 5 TiB that a bucket takes"),
            "{told}"
        );
    }
    let told = told_at_once(64 << 20, 5 * TIB);
    assert!(told.contains("`memory_bytes` does not allow for parts of 549755814 bytes"), "{told}");
    // 64 MiB allow for parts of a third.
    assert_eq!(told_at_once(64 << 20, 200 << 30), "");
}

#[test]
fn nothing_is_reserved_for_what_has_not_come() {
    let mut bench = Bench::with_memory(64 << 20);
    let id = bench.begin("k", Some(100 << 30)).unwrap();
    assert_eq!(bench.engine.account().used().here, 0);
    bench.bytes(id, b"v");
    let used = bench.engine.account().used().here;
    assert!(used <= 64 << 10, "{used} bytes for one");
    // As much again as has come, and then the part of ten mebibytes and more.
    let mut come = 1;
    while come < (1 << 20) {
        bench.bytes(id, &[7; 1_000]);
        come += 1_000;
        let used = bench.engine.account().used().here;
        assert!(used <= (2 * come).max(64 << 10) || come > (1 << 20), "{used} for {come}");
    }
}

#[test]
fn what_fits_into_one_put_is_none_of_several_parts_though_memory_was_short() {
    let mut bench = Bench::with_memory(300);
    // All memory here is taken by streams that have come to a stop.
    let mut others = Vec::new();
    while bench.engine.account().has_room(1, 0, Taker::Stream) {
        let id = bench.begin(&format!("o{}", others.len()), None).unwrap();
        bench.bytes(id, &[7; 3]);
        others.push(id);
    }
    let (plan, origin) = Bench::plan("k", Some(4));
    let plan = Plan { validator: Some("\"v\"".to_owned()), ..plan };
    let id = bench.engine.begin(plan, origin, Moment(bench.now)).unwrap();
    assert!(!bench.engine.wants_bytes(id, 2), "it passes");
    for other in &others {
        bench.end(*other, End::Whole);
    }
    for n in 0..others.len() {
        bench.answer(&format!("PUT /b/o{n} *"), "200", "", "");
    }
    assert!(!bench.engine.wants_bytes(id, 2), "the rest of its part passes too");
    bench.end(id, End::Whole);
    bench.range("206", "bytes 0-3/4", "\"v\"", b"abcd");
    assert_eq!(bench.body("PUT /b/k *"), b"abcd");
    assert!(!bench.calls.iter().any(|(_, line, _)| line.contains("uploads")), "{:?}", bench.calls);
}
