//! A stream context on the origins' side: one miss on its way to an origin, the object on its way
//! to the client and into the bucket.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};

use super::host::{self, Buffer, Map};
use super::vm::{self, Vm};
use crate::http::headers::HeaderList;
use crate::metric::Metric;
use crate::transfer::End;
use crate::visit::{Arrival, Departure, Refusal, Storing, Visit};
use crate::worker::{Effect, StreamId};

/// One request.
pub(super) struct Visitor {
    id: StreamId,
    vm: Rc<Vm>,
    visit: Visit,
}

impl Visitor {
    pub(super) const fn new(id: u32, vm: Rc<Vm>) -> Self {
        Self { id: StreamId(id), vm, visit: Visit::new() }
    }

    fn refuse(&self, refusal: &Refusal) -> Action {
        host::log(LogLevel::Info, &refusal.line);
        self.vm.count(refusal.metric);
        self.vm.expect("answer", vm::answer(&refusal.reply));
        Action::Pause
    }

    fn stream(
        &mut self,
        headers: &HeaderList,
        storing: Option<Box<Storing>>,
        is_empty: bool,
    ) -> Action {
        self.vm.expect("replace headers", host::replace_headers(Map::Response, headers));
        self.vm.count(Metric::Mirrored);
        let Some(storing) = storing.map(|storing| *storing) else { return Action::Continue };
        let visit = &mut self.visit;
        let (Storing::Later(plan, _) | Storing::Now(plan, _)) = &storing;
        let line = plan.shared();
        // Another worker copies the object: its bytes are the client's alone.
        if !self.vm.claim(&plan.lease()) {
            host::log(LogLevel::Info, &line);
            return Action::Continue;
        }
        self.vm.with_transfers(|transfers| match storing {
            Storing::Later(plan, origin) => transfers.backfill(plan, origin),
            Storing::Now(plan, origin) => match transfers.begin(plan, origin) {
                Some(transfer) => {
                    visit.copied_by(transfer);
                    Vec::new()
                }
                None => vec![Effect::Log(line)],
            },
        });
        if is_empty {
            self.end(End::Whole);
        }
        Action::Continue
    }

    fn answered(&self) {
        if let Some(transfers) = self.vm.work.borrow_mut().origin() {
            transfers.on_answered(self.id);
        }
    }

    fn end(&mut self, end: End) {
        if let Some(transfer) = self.visit.on_end() {
            self.vm.with_transfers(|transfers| transfers.on_end(transfer, end));
        }
    }
}

impl Context for Visitor {}

impl HttpContext for Visitor {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        // What a client sent must not reach an origin unread.
        let headers = host::headers(Map::Request).unwrap_or_default();
        match self.visit.on_request(&self.vm.configuration, headers) {
            Departure::Answer(refusal) => self.refuse(&refusal),
            Departure::Fetch { answer, plan, origin } => {
                self.vm.with_transfers(|transfers| transfers.backfill(*plan, origin));
                self.refuse(&answer)
            }
            Departure::Send(headers, asked) => {
                match host::replace_headers(Map::Request, &headers) {
                    Ok(()) => {
                        let id = self.id;
                        self.vm
                            .with_transfers(|transfers| transfers.on_asked(id, asked, vm::now()));
                        Action::Continue
                    }
                    Err(error) => {
                        self.vm.expect("replace headers", Err(error));
                        Action::Pause
                    }
                }
            }
        }
    }

    fn on_http_response_headers(&mut self, _: usize, is_end: bool) -> Action {
        let headers = host::headers(Map::Response).unwrap_or_default();
        self.answered();
        match self.visit.on_answer(&headers) {
            Some(Arrival::Answer(refusal)) => self.refuse(&refusal),
            Some(Arrival::Stream { headers, storing }) => self.stream(&headers, storing, is_end),
            None => Action::Continue,
        }
    }

    fn on_http_response_body(&mut self, size: usize, is_end: bool) -> Action {
        let Some(transfer) = self.visit.transfer() else { return Action::Continue };
        let wanted = match self.vm.work.borrow_mut().origin() {
            Some(transfers) => size > 0 && transfers.wants_bytes(transfer),
            None => false,
        };
        if wanted {
            match host::buffer(Buffer::ResponseBody, size) {
                Ok(bytes) if bytes.len() == size => {
                    self.vm.with_transfers(|transfers| transfers.on_bytes(transfer, &bytes));
                }
                // Bytes that were not seen are missing in the copy.
                Ok(_) | Err(_) => self.end(End::Broken),
            }
        }
        if is_end {
            self.end(End::Whole);
        }
        Action::Continue
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        self.end(End::Whole);
        Action::Continue
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.answered();
        self.end(End::Broken);
        if let Some((plan, origin)) = self.visit.on_abandoned() {
            self.vm.with_transfers(|transfers| transfers.backfill(plan, origin));
        }
    }
}
