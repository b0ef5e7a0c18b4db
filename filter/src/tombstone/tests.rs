//! The table by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;

type Shared = BTreeMap<String, (Vec<u8>, u32)>;

fn at(seconds: u64) -> Moment {
    Moment(Duration::from_secs(seconds))
}

fn of(key: &str) -> Tombstone {
    Tombstone::of("b", key.as_bytes())
}

/// Ends a list that began at this second.
fn list(began: u64, keys: &[&str], extent: Extent, shared: &mut Shared) {
    keys.iter().for_each(|key| of(key).list(began * 1_000, shared));
    Listing::end("b", began * 1_000, extent, at(began + 30), shared);
}

/// So many keys that are kept under one name.
fn neighbours(count: usize) -> Vec<String> {
    let first = of("0").lease().slot().to_owned();
    let keys = (0..).map(|number: u64| number.to_string());
    keys.filter(|key| of(key).lease().slot() == first).take(count).collect()
}

#[test]
fn a_marker_has_one_name() {
    let tombstone = of("a/b");
    let name = tombstone.marker();
    assert_eq!(
        name,
        ".back-to-origin/tombstones/c14cddc033f64b9dea80ea675cf280a015e672516090a5626781153dc68fea11"
    );
    assert_eq!(Tombstone::of_marker("b", &name), Some(tombstone));
    let upper = name.replace("c14cddc033", "C14CDDC033");
    let signed = name.replace("/c1", "/+1");
    for other in
        [PREFIX, &name[1..], &name[..name.len() - 2], &format!("{name}00"), &upper, &signed]
    {
        assert_eq!(Tombstone::of_marker("b", other), None, "{other}");
    }
}

#[test]
fn until_there_was_a_list_only_the_bucket_knows() {
    let shared = &mut Shared::new();
    assert_eq!(of("a").known(shared), Known::Unknown);
    of("a").mark(at(1), shared);
    assert_eq!(of("a").known(shared), Known::Deleted);
    assert!(of("c").clear(at(1), shared), "it may have a marker");
    assert_eq!(of("c").known(shared), Known::NotDeleted);
    list(2, &["l"], Extent::Whole, shared);
    let known = ["a", "c", "l", "x"].map(|key| of(key).known(shared));
    let expected = [Known::Deleted, Known::NotDeleted, Known::Deleted, Known::NotDeleted];
    assert_eq!(known, expected);
    assert_eq!(Tombstone::of("other", b"l").known(shared), Known::Unknown, "another bucket");
}

#[test]
fn what_the_next_list_lacks_was_cleared_elsewhere() {
    let shared = &mut Shared::new();
    of("a").mark(at(1), shared);
    of("m").mark(at(1), shared);
    of("a").arrive(true, at(2), shared);
    // It began before the marker was there.
    list(1, &[], Extent::Whole, shared);
    assert_eq!(of("a").known(shared), Known::Deleted);
    list(3, &[], Extent::Whole, shared);
    assert_eq!(of("a").known(shared), Known::NotDeleted);
    assert_eq!(of("m").known(shared), Known::Deleted, "its marker is on its way");
}

#[test]
fn a_list_does_not_bring_back_what_a_client_has_changed() {
    let shared = &mut Shared::new();
    list(1, &["a"], Extent::Whole, shared);
    assert!(of("a").clear(at(10), shared));
    // One that began before, and one that began while the marker was being cleared.
    for began in [9, 11] {
        of("a").list(began * 1_000, shared);
        assert_eq!(of("a").known(shared), Known::NotDeleted, "{began}");
        assert_eq!(of("a").is_wanted(shared), Some(false));
    }
    of("a").arrive(false, at(12), shared);
    of("a").list(11_000, shared);
    assert_eq!(of("a").known(shared), Known::NotDeleted, "it had the marker of before");
    // Another gateway has deleted it since.
    of("a").list(13_000, shared);
    assert_eq!(of("a").known(shared), Known::Deleted);
    // The same the other way round.
    of("a").mark(at(20), shared);
    of("a").list(21_000, shared);
    list(22, &[], Extent::Whole, shared);
    assert_eq!(of("a").known(shared), Known::Deleted);
    // A marker that is on its way for so long has lost its worker.
    of("a").list(20_000 + ON_ITS_WAY + 1, shared);
    list(10_000, &[], Extent::Whole, shared);
    assert_eq!(of("a").known(shared), Known::NotDeleted);
}

#[test]
fn a_write_of_what_has_no_marker_asks_for_nothing() {
    let shared = &mut Shared::new();
    list(1, &["a"], Extent::Whole, shared);
    assert!(!of("x").clear(at(2), shared));
    assert!(of("a").clear(at(2), shared));
    assert!(of("a").clear(at(3), shared), "the first one's worker may be gone");
    of("a").arrive(false, at(4), shared);
    assert!(!of("a").clear(at(5), shared));
    // What has come says nothing of what a client has done meanwhile.
    of("a").arrive(true, at(6), shared);
    assert_eq!(of("a").known(shared), Known::NotDeleted);
    of("a").mark(at(7), shared);
    of("a").arrive(false, at(8), shared);
    assert_eq!((of("a").known(shared), of("a").is_wanted(shared)), (Known::Deleted, Some(true)));
}

#[test]
fn where_nobody_may_list_memory_is_all_there_is() {
    let shared = &mut Shared::new();
    of("a").mark(at(1), shared);
    of("a").arrive(true, at(2), shared);
    list(3, &[], Extent::Refused, shared);
    assert_eq!(of("a").known(shared), Known::Deleted);
    assert_eq!(of("x").known(shared), Known::NotDeleted);
    // As soon as somebody may, the list knows better.
    list(4, &[], Extent::Whole, shared);
    assert_eq!(of("a").known(shared), Known::NotDeleted);
}

#[test]
fn beyond_what_is_kept_the_bucket_knows() {
    let shared = &mut Shared::new();
    list(1, &["a"], Extent::Cut, shared);
    assert_eq!(of("a").known(shared), Known::Deleted);
    assert_eq!(of("x").known(shared), Known::Unknown);
}

#[test]
fn what_is_pushed_out_is_what_is_missed_least() {
    let keys = neighbours(MAX_ENTRIES + 3);
    let shared = &mut Shared::new();
    list(1, &[], Extent::Whole, shared);
    // One is marked, one listed, one written again, and the rest are marked.
    let (marked, listed, cleared) = (of(&keys[0]), of(&keys[1]), of(&keys[2]));
    marked.mark(at(2), shared);
    listed.list(2_000, shared);
    cleared.clear(at(2), shared);
    for key in &keys[3..MAX_ENTRIES] {
        of(key).mark(at(2), shared);
    }
    of(&keys[MAX_ENTRIES]).mark(at(3), shared);
    let known = |tombstone: &Tombstone, shared: &mut Shared| tombstone.known(shared);
    assert_eq!(known(&listed, shared), Known::Deleted, "the one written again has gone");
    assert_eq!(known(&cleared, shared), Known::NotDeleted, "nothing is lost by that");
    of(&keys[MAX_ENTRIES + 1]).mark(at(4), shared);
    assert_eq!(known(&marked, shared), Known::Deleted);
    assert_eq!(known(&listed, shared), Known::Unknown, "it has gone, and the bucket is asked");
    assert_eq!(known(&of(&keys[MAX_ENTRIES + 2]), shared), Known::Unknown, "as of its neighbours");
    let (held, _) = shared.get(&name(&marked.lease()));
    assert_eq!(held.len(), HEAD_BYTES + MAX_ENTRIES * ENTRY_BYTES);
    // A list that began later, and in which they are, lacks nothing.
    list(5, &[], Extent::Whole, shared);
    assert_eq!(known(&of(&keys[MAX_ENTRIES + 2]), shared), Known::NotDeleted);
}

#[test]
fn ten_thousand_are_kept_and_more_than_a_table_take_no_more() {
    let shared = &mut Shared::new();
    let name = |number: u32| of(&format!("folder/{number}"));
    for number in 0..10_000 {
        name(number).list(1_000, shared);
    }
    Listing::end("b", 1_000, Extent::Whole, at(31), shared);
    for number in 0..10_000 {
        assert_eq!(name(number).known(shared), Known::Deleted, "{number}");
        assert_eq!(name(number + 10_000).known(shared), Known::NotDeleted, "{number}");
    }
    for number in 0..120_000 {
        name(number).list(2_000, shared);
    }
    Listing::end("b", 2_000, Extent::Whole, at(32), shared);
    let bytes: usize = shared.iter().map(|(name, (value, _))| name.len() + value.len()).sum();
    assert!(shared.len() <= 4_097 && bytes < 5 << 20, "{} names, {bytes} bytes", shared.len());
    let missed = (0..120_000).filter(|number| name(*number).known(shared) == Known::NotDeleted);
    assert_eq!(missed.count(), 0, "none of them is taken for one that was not deleted");
}

#[test]
fn one_worker_lists_and_one_that_is_gone_keeps_nobody_waiting() {
    let shared = &mut Shared::new();
    assert_eq!(Listing::claim("b", at(100), shared), Some(100_000));
    assert_eq!(Listing::claim("b", at(101), shared), None, "another worker does");
    assert_eq!(Listing::claim("other", at(101), shared), Some(101_000));
    Listing::renew("b", at(150), shared);
    assert_eq!(Listing::claim("b", at(170), shared), None);
    assert_eq!(Listing::claim("b", at(210), shared), Some(210_000), "it was never heard of again");
    Listing::end("b", 210_000, Extent::Whole, at(240), shared);
    assert_eq!(Listing::claim("b", at(239), shared), None);
    assert!(Listing::claim("b", at(240), shared).is_some());
    Listing::fail("b", at(242), shared);
    assert_eq!(Listing::of("b", shared).began, 210_000, "what was known before stays so");
    // The clock was put back by a year.
    Listing::end("b", 210_000, Extent::Whole, at(40_000_000), shared);
    assert!(Listing::claim("b", at(8_000_000), shared).is_some());
}
