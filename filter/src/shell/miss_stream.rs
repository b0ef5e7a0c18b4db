//! A stream context on the streaming path: one miss on its way to an origin, the object on its way
//! to the client and into the bucket.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::host::{self, Buffer, Map};
use super::vm::{self, Shared, Vm};
use crate::engine::Engine;
use crate::host::{Effect, StreamId};
use crate::http::headers::Headers;
use crate::lease::Lease;
use crate::origin::Unheard;
use crate::reply::Reply;
use crate::streaming::{Decided, MissStream, RequestDecision, ResponseDecision};
use crate::written::Writing;

/// The most of a body that is read at once. Its room is taken again and again, and so is near the
/// processor; and it is small beside the parts that it lies among.
const PIECE: usize = 64 * 1024;

/// One request.
pub(super) struct Stream {
    id: StreamId,
    vm: Rc<Vm>,
    miss: MissStream,
    /// What the request may change.
    writing: Option<Writing>,
}

impl Stream {
    pub(super) fn new(id: u32, vm: Rc<Vm>) -> Self {
        Self { id: StreamId(id), vm, miss: MissStream::new(StreamId(id)), writing: None }
    }

    /// Has the engine decide, and performs what comes before the decision.
    fn decide<D>(&mut self, act: impl FnOnce(&mut MissStream, &mut Engine) -> Decided<D>) -> D {
        let decided = act(&mut self.miss, &mut self.vm.engine.borrow_mut());
        self.vm.perform(decided.effects);
        self.vm.come_back(self.id);
        if let Some(lease) = decided.lease {
            self.claim(&lease);
        }
        decided.decision
    }

    fn claim(&mut self, lease: &Lease) {
        let is_ours = self.vm.claim(lease);
        self.with_engine(|miss, engine| miss.on_lease(engine, is_ours));
    }

    fn with_engine(&mut self, act: impl FnOnce(&mut MissStream, &mut Engine) -> Vec<Effect>) {
        let miss = &mut self.miss;
        self.vm.with_engine(|engine| act(miss, engine));
        self.vm.come_back(self.id);
    }

    /// Answers in place of a server. A stream that could not be answered must not wait for ever: it
    /// goes on, and a request that names no cluster is refused by the host.
    fn answer(&self, reply: &Reply) -> Action {
        match vm::answer(reply) {
            Ok(()) => Action::Pause,
            Err(error) => {
                self.vm.expect("answer", Err(error));
                Action::Continue
            }
        }
    }

    fn end(&mut self) {
        self.with_engine(MissStream::on_end);
    }

    /// Hands on the bytes of a body that are wanted.
    fn copy(&mut self, size: usize) {
        let Some(copy) = self.miss.copy() else { return };
        let mut at = 0;
        while at < size {
            let count = PIECE.min(size - at);
            let wanted = self.vm.engine.borrow_mut().wants_bytes(copy, count);
            if wanted {
                match host::buffer(Buffer::ResponseBody, at, count) {
                    Ok(bytes) if bytes.len() == count => {
                        self.with_engine(|_, engine| engine.on_bytes(copy, &bytes));
                    }
                    // Bytes that were not seen are missing in the copy.
                    Ok(_) | Err(_) => {
                        return self.with_engine(MissStream::on_lost_bytes);
                    }
                }
            }
            at += count;
        }
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, is_end: bool) -> Action {
        // What a client sent must not reach an origin unread.
        let headers = host::headers(Map::Request).unwrap_or_default();
        self.writing = self.vm.writing(&headers);
        if is_end {
            self.miss.may_wait();
        }
        let root = self.vm.owner;
        let decision = self
            .decide(|miss, engine| miss.on_request(engine, headers, root, vm::now(), &mut Shared));
        match decision {
            RequestDecision::Answer(reply) => self.answer(&reply),
            RequestDecision::Continue => Action::Continue,
            RequestDecision::Wait => Action::Pause,
            RequestDecision::Send(mut headers) => {
                // A host cannot be told any more that there is no body; its length it can.
                if self.miss.drops_body() && !is_end {
                    headers.add("content-length", "0");
                }
                match host::replace_headers(Map::Request, &headers) {
                    Ok(()) => Action::Continue,
                    Err(error) => {
                        self.vm.expect("replace headers", Err(error));
                        self.answer(&Reply::lost(&Headers::default()))
                    }
                }
            }
        }
    }

    fn on_http_request_body(&mut self, size: usize, is_end: bool) -> Action {
        self.vm.note_body(&mut self.writing, Buffer::RequestBody, size, is_end);
        if size > 0 && self.miss.drops_body() {
            self.vm.expect("empty a body", host::replace(Buffer::RequestBody, size, b""));
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, is_end: bool) -> Action {
        let headers: Headers = host::headers(Map::Response).unwrap_or_default();
        let status = headers.status().unwrap_or_default();
        self.vm.note_answer(&mut self.writing, &headers);
        let vm = Rc::clone(&self.vm);
        let decision = self.decide(|miss, engine| {
            miss.on_response(engine, &headers, || vm.source(), || unheard(status), vm::now)
        });
        match decision {
            ResponseDecision::Answer(reply) => self.answer(&reply),
            ResponseDecision::Continue => Action::Continue,
            ResponseDecision::Stream(headers) => {
                self.vm.expect("replace headers", host::replace_headers(Map::Response, &headers));
                if is_end {
                    self.end();
                }
                Action::Continue
            }
        }
    }

    fn on_http_response_body(&mut self, size: usize, is_end: bool) -> Action {
        self.vm.note_body(&mut self.writing, Buffer::ResponseBody, size, is_end);
        self.miss.on_passing(&mut self.vm.engine.borrow_mut(), size, vm::now, &mut Shared);
        self.miss.on_body(size);
        self.copy(size);
        if is_end {
            self.end();
        }
        Action::Continue
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        self.end();
        Action::Continue
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.decide(|miss, engine| miss.on_gone(engine, host::client_left, vm::now));
    }
}

/// Why an origin was not heard, where Envoy has answered in its place.
fn unheard(status: u16) -> Option<Unheard> {
    match host::property(&["response", "code_details"]) {
        Ok(details) if details == b"via_upstream" => None,
        Ok(details) => Some(Unheard::of(status, &String::from_utf8_lossy(&details))),
        Err(_) => None,
    }
}
