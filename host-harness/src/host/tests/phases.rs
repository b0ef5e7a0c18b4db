//! Which maps, buffers and properties are there when.

use bytes::Bytes;

use super::support::{Bench, on, on_with, pairs, request, response};
use crate::host::context::{Gate, Side};
use crate::host::vm::Action;

const READ_PATH: &str = r#"(call $note (call $get_header_map_value (i32.const 0) @":path" (i32.const 8) (i32.const 12)))"#;
const READ_STATUS: &str = r#"(call $note (call $get_header_map_value (i32.const 2) @":status" (i32.const 8) (i32.const 12)))"#;
const PATH_PROPERTY: &str =
    r#"(call $note (call $get_property @"request\00path" (i32.const 8) (i32.const 12)))"#;
const SET_BODY: &str =
    r#"(call $note (call $set_buffer_bytes (i32.const 1) (i32.const 0) (i32.const 99) @"new"))"#;

fn show(bench: &mut Bench, id: u32, side: Side) -> Action {
    let fields = match side {
        Side::Request => request(),
        Side::Response => response(),
    };
    bench.vm.headers(id, side, fields, false).unwrap()
}

#[test]
fn request_headers_are_there_in_the_request_phase_only() {
    let read = format!("{READ_PATH} {PATH_PROPERTY}");
    let mut bench = Bench::new(&format!(
        "{} {}",
        on_with("request_headers", 3, &read, 0),
        on_with("response_headers", 3, &read, 0)
    ));
    let id = bench.open();
    show(&mut bench, id, Side::Request);
    assert_eq!(bench.log.take(), ["00", "00"]);
    show(&mut bench, id, Side::Response);
    assert_eq!(bench.log.take(), ["02", "01"]);
}

#[test]
fn response_headers_are_there_from_the_answer_until_it_is_continued() {
    let read = on_with("request_headers", 3, READ_STATUS, 0)
        + &on_with("response_headers", 3, READ_STATUS, 0)
        + &on_with("response_body", 3, READ_STATUS, 0);
    let mut bench = Bench::new(&read);
    let id = bench.open();
    show(&mut bench, id, Side::Request);
    show(&mut bench, id, Side::Response);
    bench.vm.body(id, Side::Response, Bytes::from_static(b"x"), true).unwrap();
    assert_eq!(bench.log.take(), ["02", "00", "02"]);
}

#[test]
fn held_response_headers_can_be_changed_from_a_tick_and_then_continued() {
    let set = pairs(&[(":status", "200"), ("content-length", "3")]);
    let tick = format!(
        r#"(call $note (call $set_effective_context (i32.const 2)))
           (call $note (call $set_header_map_pairs (i32.const 2) @"{set}"))
           (call $note (call $continue_stream (i32.const 1)))"#
    );
    let mut bench = Bench::new(&(on_with("response_headers", 3, "", 1) + &on("tick", 1, &tick)));
    let id = bench.open();
    assert_eq!(show(&mut bench, id, Side::Response), Action::Pause);
    assert_eq!(bench.vm.state().stream(id).unwrap().response.gate, Gate::Held);
    bench.vm.tick(bench.root).unwrap();
    assert_eq!(bench.log.take(), ["00", "00", "00"]);
    let stream = bench.vm.state().stream(id).unwrap();
    assert_eq!(stream.response.gate, Gate::Open);
    assert_eq!(stream.response.headers.fields.first(b":status"), Some(&b"200"[..]));
}

#[test]
fn a_map_that_is_not_there_has_no_pairs_and_no_size_and_takes_nothing() {
    let tick = r#"
        (i32.store (i32.const 12) (i32.const 7))
        (call $note (call $get_header_map_pairs (i32.const 0) (i32.const 8) (i32.const 12)))
        (call $note (i32.load (i32.const 12)))
        (call $note (call $get_header_map_size (i32.const 0) (i32.const 12)))
        (call $note (call $add_header_map_value (i32.const 0) @"a" @"b"))
        (call $note (call $remove_header_map_value (i32.const 2) @"a"))
        (call $note (call $get_header_map_pairs (i32.const 8) (i32.const 8) (i32.const 12)))"#;
    let mut bench = Bench::new(&on("tick", 1, tick));
    bench.vm.tick(bench.root).unwrap();
    assert_eq!(bench.log.take(), ["00", "00", "02", "02", "02", "02"]);
}

#[test]
fn only_the_first_of_repeated_values_can_be_asked_for() {
    let read = r#"(call $note (call $get_header_map_value (i32.const 0) @"X-A" (i32.const 8) (i32.const 12)))
                  (call $tell)
                  (call $note (call $get_header_map_value (i32.const 0) @"x-b" (i32.const 8) (i32.const 12)))"#;
    let mut bench = Bench::new(&on_with("request_headers", 3, read, 0));
    let id = bench.open();
    show(&mut bench, id, Side::Request);
    assert_eq!(bench.log.take(), ["00", "1", "01"]);
}

#[test]
fn bodies_can_be_replaced_while_they_are_shown_and_not_while_headers_are_held() {
    let callbacks =
        on_with("response_headers", 3, SET_BODY, 1) + &on_with("response_body", 3, SET_BODY, 0);
    let mut bench = Bench::new(&callbacks);
    let id = bench.open();
    show(&mut bench, id, Side::Response);
    let passed = bench.vm.body(id, Side::Response, Bytes::from_static(b"old body"), false);
    assert_eq!(passed.unwrap().unwrap(), "new");
    assert_eq!(bench.log.take(), ["02", "00"]);
}

#[test]
fn a_held_body_is_shown_again_with_what_came_after_it() {
    let body = r#"(call $note (local.get 1))
                  (if (i32.eqz (local.get 2)) (then (return (i32.const 1))))"#;
    let mut bench = Bench::new(&on_with("response_body", 3, body, 0));
    let id = bench.open();
    let mut show = |piece, end| bench.vm.body(id, Side::Response, Bytes::from_static(piece), end);
    assert_eq!(show(b"one", false).unwrap(), None);
    assert_eq!(show(b"two", false).unwrap(), None);
    assert_eq!(show(b"", true).unwrap().unwrap(), "onetwo");
    assert_eq!(bench.log.take(), ["03", "06", "06"]);
}

#[test]
fn the_configuration_is_there_only_while_it_is_configured() {
    let read = "(call $note (call $get_buffer_bytes (i32.const 7) (i32.const 0) (i32.const -1) (i32.const 8) (i32.const 12)))";
    let callbacks = on_with("vm_start", 2, read, 1)
        + &on_with("configure", 2, &format!("{read} (call $tell)"), 1)
        + &on("tick", 1, read);
    let mut bench = Bench::new(&callbacks);
    assert_eq!(bench.log.take(), ["01", "00", "the configuration"]);
    bench.vm.tick(bench.root).unwrap();
    assert_eq!(bench.log.take(), ["01"]);
}

#[test]
fn continuing_what_is_not_held_does_not_undo_a_pause_that_follows() {
    let body = "(call $note (call $continue_stream (i32.const 1)))";
    let mut bench = Bench::new(&on_with("response_headers", 3, body, 1));
    let id = bench.open();
    assert_eq!(show(&mut bench, id, Side::Response), Action::Pause);
    assert_eq!(bench.log.take(), ["00"]);
    assert_eq!(bench.vm.state().stream(id).unwrap().response.gate, Gate::Held);
}

#[test]
fn a_local_reply_pauses_whatever_is_returned_and_is_the_only_one() {
    let reply = |status: i32| {
        format!(
            r#"(call $note (call $send_local_response (i32.const {status}) @"why so" @"body" @"" (i32.const -1)))"#
        )
    };
    let body = reply(302) + &reply(500) + READ_STATUS;
    let mut bench = Bench::new(&on_with("response_headers", 3, &body, 0));
    let id = bench.open();
    assert_eq!(show(&mut bench, id, Side::Response), Action::Pause);
    assert_eq!(bench.log.take(), ["00", "02", "02"]);
    let reply = bench.vm.state().stream(id).unwrap().reply.clone().unwrap();
    assert_eq!((reply.status, reply.details.as_str()), (302, "why_so"));
    assert_eq!(reply.body, "body");
}

#[test]
fn a_reply_after_the_head_was_sent_breaks_the_stream_off() {
    let reply =
        r#"(call $note (call $send_local_response (i32.const 500) @"" @"" @"" (i32.const -1)))"#;
    let mut bench = Bench::new(&on_with("response_body", 3, reply, 0));
    let id = bench.open();
    bench.vm.state().stream(id).unwrap().sent = true;
    bench.vm.body(id, Side::Response, Bytes::from_static(b"x"), false).unwrap();
    let stream = bench.vm.state().stream(id).unwrap();
    assert_eq!((stream.reset, stream.reply.is_none()), (true, true));
}

#[test]
fn the_log_phase_may_read_both_heads_and_change_neither() {
    let log = format!(
        r#"{READ_PATH} {READ_STATUS}
           (call $note (call $add_header_map_value (i32.const 2) @"a" @"b"))"#
    );
    let mut bench = Bench::new(&on("log", 1, &log));
    let id = bench.open();
    show(&mut bench, id, Side::Request);
    show(&mut bench, id, Side::Response);
    bench.vm.close(id);
    assert_eq!(bench.log.take(), ["00", "00", "02"]);
}

#[test]
fn properties_tell_where_an_answer_comes_from() {
    let read = r#"(call $note (call $get_property @"response\00code_details" (i32.const 8) (i32.const 12)))
                  (call $tell)
                  (call $note (call $get_property @"response\00code" (i32.const 8) (i32.const 12)))
                  (call $note (i32.load8_u (i32.load (i32.const 8))))
                  (call $note (call $get_property @"plugin_name" (i32.const 8) (i32.const 12)))
                  (call $tell)
                  (call $note (call $get_property @"source\00address" (i32.const 8) (i32.const 12)))
                  (call $tell)
                  (call $note (call $get_property @"no\00such" (i32.const 8) (i32.const 12)))
                  (call $note (call $set_property @"own" @"value"))
                  (call $note (call $get_property @"own" (i32.const 8) (i32.const 12)))
                  (call $tell)"#;
    let mut bench = Bench::new(&on_with("response_headers", 3, read, 0));
    let id = bench.open();
    let stream = bench.vm.state().stream(id).unwrap();
    (stream.status, stream.details) = (Some(44), Some("via_upstream".to_owned()));
    show(&mut bench, id, Side::Response);
    let expected = [
        "00",
        "via_upstream",
        "00",
        "44",
        "00",
        "back-to-origin",
        "00",
        "127.0.0.1:1",
        "01",
        "00",
        "00",
        "value",
    ];
    assert_eq!(bench.log.take(), expected);
}

#[test]
fn memory_outside_is_a_status_and_not_the_end() {
    let tick = r#"(call $note (call $log (i32.const 2) (i32.const -8) (i32.const 4)))
                  (call $note (call $get_property (i32.const 0) (i32.const -1) (i32.const 8) (i32.const 12)))
                  (call $note (call $get_current_time_nanoseconds (i32.const -4)))
                  (call $note (call $log (i32.const 6) (i32.const 8) (i32.const 4)))"#;
    let mut bench = Bench::new(&on("tick", 1, tick));
    bench.vm.tick(bench.root).unwrap();
    assert_eq!(bench.log.take(), ["06", "06", "06", "02"]);
}
