//! A stream context: one client's request on its way to the bucket, the answer on its way back.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};

use super::host::{self, Buffer, Map};
use super::vm::{self, Vm};
use crate::exchange::{Decision, Exchange};
use crate::matching::Source;
use crate::metric::Metric;
use crate::reply::Reply;
use crate::worker::{StreamId, Worker};

/// One request. Without a configured root it lets everything through.
pub(super) struct Stream {
    id: StreamId,
    vm: Option<Rc<Vm>>,
    exchange: Option<Exchange>,
}

impl Stream {
    pub(super) const fn new(id: u32, vm: Option<Rc<Vm>>) -> Self {
        Self { id: StreamId(id), vm, exchange: None }
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        if let (Some(vm), Ok(headers)) = (&self.vm, host::headers(Map::Request)) {
            let ticket = vm.work.borrow_mut().gateway().map(Worker::ticket);
            self.exchange = ticket.map(|ticket| Exchange::new(headers, ticket));
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        let (Some(vm), Some(exchange)) = (&self.vm, &mut self.exchange) else {
            return Action::Continue;
        };
        let Ok(headers) = host::headers(Map::Response) else {
            return Action::Continue;
        };
        match exchange.on_answer(&vm.configuration, &headers, source) {
            Decision::Answer { reply, metric, line } => answer(vm, &reply, metric, &line),
            Decision::Fetch { reply, line, miss } => {
                vm.with_worker(|worker| worker.on_wanted(*miss));
                answer(vm, &reply, Metric::Redirected, &line)
            }
            Decision::Mirror(miss) => {
                vm.with_worker(|worker| worker.on_miss(self.id, *miss));
                Action::Pause
            }
            Decision::Pass(_) => Action::Continue,
            Decision::Tell(headers) => {
                for (name, value) in headers.iter() {
                    vm.expect("set a header", host::set_header(Map::Response, name, value));
                }
                Action::Continue
            }
        }
    }

    fn on_http_response_body(&mut self, size: usize, _: bool) -> Action {
        if let Some(vm) = &self.vm
            && size > 0
            && vm.work.borrow_mut().gateway().is_some_and(|w| w.discards_body(self.id))
        {
            vm.expect("empty a body", host::replace(Buffer::ResponseBody, size, b""));
        }
        Action::Continue
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(vm) = &self.vm {
            vm.with_worker(|worker| worker.on_stream_end(self.id));
        }
    }
}

/// Answers in place of the bucket; its own answer is better than none.
fn answer(vm: &Vm, reply: &Reply, metric: Metric, line: &str) -> Action {
    host::log(LogLevel::Info, line);
    vm.count(metric);
    match vm::answer(reply) {
        Ok(()) => Action::Pause,
        Err(error) => {
            vm.expect("answer", Err(error));
            Action::Continue
        }
    }
}

/// Envoy marks its own replies by their details; those of the bucket are `via_upstream`.
fn source() -> Source {
    match host::property(&["response", "code_details"]) {
        Ok(details) if details == b"via_upstream" => Source::Bucket,
        Ok(_) | Err(_) => Source::Gateway,
    }
}
