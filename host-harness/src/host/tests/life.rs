//! Birth, death and renewal: of contexts, of configurations, of machines.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{LocalSet, spawn_local};

use super::support::{Calls, Log, facts, module, on, on_with, pairs, request, response};
use crate::host::callouts::Answer;
use crate::host::headers::Headers;
use crate::host::journal::Touch;
use crate::host::plugin::{Plugin, PluginParts, try_configuration};
use crate::host::shared::Shared;
use crate::host::state::Identity;
use crate::host::stream::Verdict;
use crate::host::vm::PluginError;

struct Bench {
    plugin: Rc<Plugin>,
    log: Arc<Log>,
    calls: Arc<Calls>,
}

fn plugin(callbacks: &str, configuration: &str) -> Result<Bench, PluginError> {
    let (log, calls): (Arc<Log>, Arc<Calls>) = Default::default();
    let parts = PluginParts {
        worker: 0,
        program: module(callbacks),
        identity: Identity::default(),
        shared: Arc::<Shared>::default(),
        journal: Arc::<Log>::clone(&log),
        callouts: Rc::new(Arc::clone(&calls)),
        backoff: Duration::from_millis(50),
    };
    let plugin = Plugin::load(parts, Arc::from(configuration))?;
    Ok(Bench { plugin: Rc::new(plugin), log, calls })
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} never came to be");
        tokio::task::yield_now().await;
    }
}

/// Notes the name of a callback, with the context it was called for.
fn named(name: &str) -> String {
    format!(r#"(drop (call $log (i32.const 2) @"{name}"))"#)
}

/// Refuses a configuration that begins with an `n`.
const CONFIGURE: &str = "(drop (call $get_buffer_bytes (i32.const 7) (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 12)))
     (if (i32.eq (i32.load8_u (i32.load (i32.const 8))) (i32.const 110)) (then (return (i32.const 0))))";

const TRAP: &str = "(unreachable)";

fn call() -> String {
    let fields = pairs(&[(":method", "GET"), (":path", "/"), (":authority", "o")]);
    format!(r#"(drop (call $http_call @"c" @"{fields}" @"" @"" (i32.const 0) (i32.const 16)))"#)
}

#[tokio::test]
async fn a_request_is_told_of_in_order_and_its_end_comes_once() {
    let callbacks = on("context_create", 2, &named("create"))
        + &on_with("request_headers", 3, &named("request"), 0)
        + &on_with("response_headers", 3, &named("response"), 0)
        + &on("log", 1, &named("log"))
        + &on_with("done", 1, &named("done"), 1)
        + &on("delete", 1, &named("delete"));
    LocalSet::new()
        .run_until(async {
            let bench = plugin(&callbacks, "yes").unwrap();
            assert_eq!(bench.log.take(), ["create"]);
            let stream = bench.plugin.open(facts()).unwrap();
            assert_eq!(stream.request_headers(request(), true).await, Verdict::Pass);
            let shown = stream.response_headers(response(), true, 404, "via_upstream", None);
            assert_eq!(shown.await, Verdict::Pass);
            assert_eq!(stream.close().unwrap().touch, Touch::Passed);
            assert!(stream.close().is_none());
            drop(stream);
            let expected = ["create", "request", "response", "log", "done", "delete"];
            assert_eq!(bench.log.take(), expected);
        })
        .await;
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_context_and_not_the_call_it_caused() {
    let callbacks = on_with("request_headers", 3, &call(), 1)
        + &on("http_call_response", 5, &named("answer"))
        + &on("delete", 1, &named("delete"));
    LocalSet::new()
        .run_until(async {
            let bench = plugin(&callbacks, "yes").unwrap();
            let stream = bench.plugin.open(facts()).unwrap();
            let held = spawn_local(async move { stream.request_headers(request(), true).await });
            until("the call", || !bench.calls.sent.lock().unwrap().is_empty()).await;
            held.abort();
            until("the end", || bench.log.lines() == ["delete"]).await;
            let answer = bench.calls.answers.lock().unwrap().remove(0);
            answer.send(Answer::no_connection()).unwrap();
            until("the answer", || bench.log.lines() == ["delete", "answer"]).await;
        })
        .await;
}

#[tokio::test]
async fn a_held_stream_goes_on_when_the_answer_lets_it() {
    let callbacks = on_with("response_headers", 3, &call(), 1)
        + &on(
            "http_call_response",
            5,
            r#"
            (drop (call $set_effective_context (i32.const 2)))
            (drop (call $send_local_response (i32.const 200) @"" @"found" @"" (i32.const -1)))"#,
        );
    LocalSet::new()
        .run_until(async {
            let bench = plugin(&callbacks, "yes").unwrap();
            let stream = bench.plugin.open(facts()).unwrap();
            let shown = spawn_local(async move {
                let shown = stream.response_headers(response(), false, 404, "via_upstream", None);
                (shown.await, stream.close().unwrap().touch)
            });
            until("the call", || !bench.calls.sent.lock().unwrap().is_empty()).await;
            assert!(!shown.is_finished());
            let answer = bench.calls.answers.lock().unwrap().remove(0);
            answer.send(Answer::no_connection()).unwrap();
            let (verdict, touch) = shown.await.unwrap();
            let Verdict::Reply(reply) = verdict else { panic!("{verdict:?}") };
            assert_eq!(
                (reply.status, &reply.body[..], touch),
                (200, &b"found"[..], Touch::Answered)
            );
        })
        .await;
}

#[tokio::test]
async fn a_trap_fails_every_stream_of_the_machine_which_is_loaded_again_after_a_while() {
    let callbacks = on_with("response_headers", 3, "", 1)
        + &on_with("request_headers", 3, &format!("(if (local.get 2) (then {TRAP}))"), 0);
    LocalSet::new()
        .run_until(async {
            let bench = plugin(&callbacks, "yes").unwrap();
            let held = bench.plugin.open(facts()).unwrap();
            let held = spawn_local(async move {
                held.response_headers(response(), false, 404, "via_upstream", None).await
            });
            tokio::task::yield_now().await;
            let fatal = bench.plugin.open(facts()).unwrap();
            assert_eq!(fatal.request_headers(request(), true).await, Verdict::Failed);
            let died = Instant::now();
            assert_eq!(held.await.unwrap(), Verdict::Failed);
            assert!(bench.log.take().iter().any(|line| line.contains("trapped")));
            assert!(matches!(bench.plugin.open(facts()), Err(PluginError::Backoff)));
            let mut next = None;
            until("the new machine", || {
                next = bench.plugin.open(facts()).ok();
                next.is_some()
            })
            .await;
            assert!(died.elapsed() >= Duration::from_millis(50));
            let verdict = next.unwrap().request_headers(Headers::new(), false).await;
            assert_eq!(verdict, Verdict::Pass);
        })
        .await;
}

#[tokio::test]
async fn a_refused_configuration_starts_nothing_and_replaces_nothing() {
    let callbacks = on_with("configure", 2, CONFIGURE, 1);
    LocalSet::new()
        .run_until(async {
            assert!(matches!(plugin(&callbacks, "no"), Err(PluginError::Configuration)));
            let tried = try_configuration(
                &module(&callbacks),
                &Identity::default(),
                Arc::<Log>::default(),
                Vec::new(),
                "no",
            );
            assert!(matches!(tried, Err(PluginError::Configuration)));
            let bench = plugin(&callbacks, "yes").unwrap();
            let outcome = bench.plugin.reconfigure(&Arc::from("no"));
            assert!(matches!(outcome, Err(PluginError::Configuration)));
            assert!(bench.plugin.open(facts()).is_ok());
        })
        .await;
}

#[tokio::test]
async fn an_old_configuration_goes_with_its_last_request_and_takes_its_calls_along() {
    let callbacks = on_with("configure", 2, &call(), 1)
        + &on("http_call_response", 5, &named("answer"))
        + &on("delete", 1, "(call $note (local.get 0))");
    LocalSet::new()
        .run_until(async {
            let bench = plugin(&callbacks, "yes").unwrap();
            let old = bench.plugin.open(facts()).unwrap();
            bench.plugin.reconfigure(&Arc::from("yes again")).unwrap();
            assert_eq!(bench.log.take(), [""; 0]);
            // The root was context 1, the request 2, the new root 3.
            drop(old);
            assert_eq!(bench.log.take(), ["02", "01"]);
            until("the cancellation", || {
                bench.calls.answers.lock().unwrap().first().is_some_and(|call| call.is_closed())
            })
            .await;
            let mut answers = std::mem::take(&mut *bench.calls.answers.lock().unwrap());
            assert!(!answers[1].is_closed());
            answers.remove(1).send(Answer::Reset).unwrap();
            until("the answer", || bench.log.lines() == ["answer"]).await;
        })
        .await;
}
