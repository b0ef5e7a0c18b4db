//! A stream context on the callout path: one client's request on its way to the bucket, the answer
//! on its way back.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::host::{self, Buffer, Map};
use super::vm::{self, Vm};
use crate::conclusion::Conclusion;
use crate::decision::{Decision, Exchange};
use crate::host::{StreamId, conclude};
use crate::written::Writing;

/// One request.
pub(super) struct BucketStream {
    id: StreamId,
    vm: Rc<Vm>,
    exchange: Option<Exchange>,
    /// What the request may change.
    writing: Option<Writing>,
}

impl BucketStream {
    pub(super) const fn new(id: u32, vm: Rc<Vm>) -> Self {
        Self { id: StreamId(id), vm, exchange: None, writing: None }
    }

    /// Answers in place of the bucket; its own answer is better than none.
    fn answer(&self, conclusion: Conclusion) -> Action {
        let mut effects = Vec::new();
        let reply = conclude(self.id, conclusion, &mut effects);
        self.vm.perform(effects);
        self.vm.come_back(self.id);
        match vm::answer(&reply) {
            Ok(()) => Action::Pause,
            Err(error) => {
                self.vm.expect("answer", Err(error));
                Action::Continue
            }
        }
    }
}

impl Context for BucketStream {}

impl HttpContext for BucketStream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        if let Ok(headers) = host::headers(Map::Request) {
            self.writing = self.vm.writing(&headers);
            let sequence = self.vm.engine.borrow_mut().sequence();
            self.exchange = Some(Exchange::new(headers, sequence));
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        let Some(exchange) = &mut self.exchange else { return Action::Continue };
        let Ok(headers) = host::headers(Map::Response) else { return Action::Continue };
        self.vm.note_answer(&mut self.writing, &headers);
        let decision = exchange.on_answer(&self.vm.configuration, &headers, || self.vm.source());
        match self.vm.without_absent(decision) {
            Decision::Answer(conclusion) => self.answer(conclusion),
            Decision::Fetch(conclusion, miss) => {
                self.vm.with_engine(|engine| engine.on_wanted(*miss));
                self.answer(conclusion)
            }
            Decision::Mirror(miss) => {
                self.vm.with_engine(|engine| engine.on_miss(self.id, *miss));
                Action::Pause
            }
            Decision::Pass(_) => Action::Continue,
            Decision::Prove(doubt) => {
                self.vm.with_engine(|engine| engine.on_doubt(self.id, doubt));
                Action::Pause
            }
            Decision::Tell(headers) => {
                for (name, value) in headers.iter() {
                    self.vm.expect("set a header", host::set_header(Map::Response, name, value));
                }
                Action::Continue
            }
        }
    }

    fn on_http_request_body(&mut self, size: usize, is_end: bool) -> Action {
        self.vm.note_body(&mut self.writing, Buffer::RequestBody, size, is_end);
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, is_end: bool) -> Action {
        self.vm.note_body(&mut self.writing, Buffer::ResponseBody, size, is_end);
        if size > 0 && self.vm.engine.borrow().discards_body(self.id) {
            self.vm.expect("empty a body", host::replace(Buffer::ResponseBody, size, b""));
        }
        Action::Continue
    }
}

impl Drop for BucketStream {
    fn drop(&mut self) {
        self.vm.with_engine(|engine| engine.on_stream_end(self.id));
    }
}
