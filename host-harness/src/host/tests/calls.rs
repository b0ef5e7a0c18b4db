//! HTTP calls, queues, and what only Envoy has.

use std::sync::Arc;

use bytes::Bytes;

use super::support::{Bench, on, on_with, pairs};
use crate::host::callouts::Answer;
use crate::host::headers::Headers;
use crate::host::shared::{QueueReady, Shared};
use crate::host::state::Effect;

fn call(cluster: &str, fields: &[(&str, &str)], timeout: i32) -> String {
    let fields = pairs(fields);
    format!(
        r#"(call $note (call $http_call @"{cluster}" @"{fields}" @"body" @"" (i32.const {timeout}) (i32.const 16)))"#
    )
}

const ADDRESSED: [(&str, &str); 3] = [(":method", "GET"), (":path", "/k"), (":authority", "o")];

#[test]
fn calls_need_a_cluster_and_an_address() {
    let mut tick = call("c", &ADDRESSED, 1000) + &call("d", &ADDRESSED, 1000);
    for missing in 0..ADDRESSED.len() {
        let mut fields = ADDRESSED.to_vec();
        fields.remove(missing);
        tick += &call("c", &fields, 1000);
    }
    tick += &call("c", &ADDRESSED, -1);
    let mut bench = Bench::new(&on("tick", 1, &tick));
    bench.vm.tick(bench.root).unwrap();
    assert_eq!(bench.log.take(), ["00", "02", "02", "02", "02", "02"]);
    assert_eq!(bench.vm.take_effects().len(), 1);
}

#[test]
fn a_call_of_a_stream_belongs_to_its_root() {
    let mut bench = Bench::new(&on_with("request_headers", 3, &call("c", &ADDRESSED, 0), 0));
    let id = bench.open();
    bench.vm.headers(id, crate::host::context::Side::Request, Headers::new(), true).unwrap();
    let effects = bench.vm.take_effects();
    let [Effect::Call { root, callout, .. }] = effects.as_slice() else {
        panic!("{effects:?}");
    };
    assert_eq!((*root, callout.timeout), (bench.root, None));
}

const READ_ANSWER: &str = r#"
    (call $note (call $get_header_map_value (i32.const 6) @":status" (i32.const 8) (i32.const 12)))
    (call $note (call $get_buffer_bytes (i32.const 4) (i32.const 0) (i32.const -1) (i32.const 8) (i32.const 12)))"#;

#[test]
fn an_answer_is_there_only_while_it_is_told_of() {
    let callbacks = on(
        "http_call_response",
        5,
        &format!("(call $note (local.get 2)) {READ_ANSWER} (call $tell)"),
    ) + &on("tick", 1, READ_ANSWER);
    let mut bench = Bench::new(&callbacks);
    let answer = Answer::Response {
        headers: [(":status", "200"), ("etag", "e")].into_iter().collect(),
        body: Bytes::from_static(b"the body"),
        trailers: Headers::new(),
    };
    bench.vm.call_response(bench.root, 1, answer).unwrap();
    assert_eq!(bench.log.take(), ["02", "00", "00", "the body"]);
    bench.vm.tick(bench.root).unwrap();
    assert_eq!(bench.log.take(), ["02", "01"]);
}

#[test]
fn a_broken_off_answer_has_no_headers_and_a_status_of_its_own() {
    let status = "(call $note (call $get_status (i32.const 16) (i32.const 8) (i32.const 12))) (call $note (i32.load (i32.const 16))) (call $tell)";
    let callbacks =
        on("http_call_response", 5, &format!("(call $note (local.get 2)) {READ_ANSWER} {status}"));
    let mut bench = Bench::new(&callbacks);
    bench.vm.call_response(bench.root, 1, Answer::Reset).unwrap();
    assert_eq!(bench.log.take(), ["00", "02", "01", "00", "11", "reset"]);
}

#[test]
fn answers_the_host_makes_up_have_three_fields_and_no_service_time() {
    for (answer, status) in [
        (Answer::timed_out(), "504"),
        (Answer::no_connection(), "503"),
        (Answer::connection_lost(), "503"),
    ] {
        let Answer::Response { headers, body, .. } = answer else { panic!("no response") };
        assert_eq!(headers.len(), 3);
        assert_eq!(headers.first(b":status"), Some(status.as_bytes()));
        assert!(headers.first(b"x-envoy-upstream-service-time").is_none());
        assert!(body.starts_with(b"upstream "));
    }
}

#[test]
fn the_effective_context_must_exist_and_is_left_when_it_goes() {
    let tick = "(call $note (call $set_effective_context (i32.const 99)))
                (call $note (call $set_effective_context (i32.const 2)))";
    let mut bench = Bench::new(&on("tick", 1, tick));
    let id = bench.open();
    bench.vm.tick(bench.root).unwrap();
    assert_eq!(bench.log.take(), ["02", "00"]);
    bench.vm.tick(bench.root).unwrap();
    // The second line of each tick is logged for the stream, the next tick begins with the root.
    assert_eq!(bench.log.contexts(), [bench.root, id]);
    bench.vm.close(id);
    bench.log.take();
    bench.vm.tick(bench.root).unwrap();
    assert_eq!(bench.log.take(), ["02", "02"]);
}

#[test]
fn what_is_queued_is_told_to_the_machine_that_registered_and_never_at_once() {
    let shared: Arc<Shared> = Arc::default();
    let register = r#"(call $note (call $register_shared_queue @"q" (i32.const 16)))"#;
    let ready = "(call $note (call $dequeue_shared_queue (local.get 1) (i32.const 8) (i32.const 12))) (call $tell)
                 (call $note (call $dequeue_shared_queue (local.get 1) (i32.const 8) (i32.const 12)))";
    let owner = on("tick", 1, register) + &on("queue_ready", 2, ready);
    let mut owner = Bench::with(&owner, Arc::clone(&shared));
    let enqueue = r#"
        (call $note (call $resolve_shared_queue @"" @"other" (i32.const 16)))
        (call $note (call $resolve_shared_queue @"" @"q" (i32.const 16)))
        (call $note (call $enqueue_shared_queue (i32.load (i32.const 16)) @"entry"))
        (call $note (call $enqueue_shared_queue (i32.const 77) @"entry"))"#;
    let mut other = Bench::with(&on("tick", 1, enqueue), shared);
    owner.vm.tick(owner.root).unwrap();
    other.vm.tick(other.root).unwrap();
    assert_eq!(other.log.take(), ["01", "00", "00", "01"]);
    assert_eq!(owner.log.take(), ["00"]);
    let QueueReady { root, queue, .. } = owner.notices.try_recv().unwrap();
    assert!(owner.notices.try_recv().is_err());
    owner.vm.queue_ready(root, queue).unwrap();
    assert_eq!(owner.log.take(), ["00", "entry", "07"]);
}

#[test]
fn what_only_envoy_has_answers_that_it_is_not_there() {
    let tick = r#"
        (call $note (call $grpc_call @"" @"" @"" @"" @"" (i32.const 0) (i32.const 16)))
        (call $note (call $grpc_stream @"" @"" @"" @"" (i32.const 16)))
        (call $note (call $grpc_send (i32.const 1) @"" (i32.const 0)))
        (call $note (call $grpc_send (i32.const 2) @"" (i32.const 0)))
        (call $note (call $grpc_cancel (i32.const 1)))
        (call $note (call $grpc_close (i32.const 1)))
        (call $note (call $call_foreign_function @"sign" @"" (i32.const 8) (i32.const 12)))
        (call $note (call $set_property @"own" @"value"))
        (call $note (call $done))
        (call $note (call $continue_stream (i32.const 0)))
        (call $note (call $continue_stream (i32.const 2)))
        (call $note (call $close_stream (i32.const 4)))"#;
    let mut bench = Bench::new(&on("tick", 1, tick));
    bench.vm.tick(bench.root).unwrap();
    let expected = ["10", "10", "02", "01", "01", "01", "01", "01", "01", "00", "02", "02"];
    assert_eq!(bench.log.take(), expected);
}
