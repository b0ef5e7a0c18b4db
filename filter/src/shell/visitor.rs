//! A stream context on the origins' side: one miss on its way to an origin, the object on its way
//! to the client and into the bucket.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};

use super::host::{self, Buffer, Map};
use super::vm::{self, Vm};
use crate::http::headers::HeaderList;
use crate::metric::Metric;
use crate::origin::OriginRequest;
use crate::transfer::{End, Plan};
use crate::visit::{Arrival, Departure, Refusal, Storing, Visit};
use crate::worker::{Effect, Moment, StreamId};

/// One request.
pub(super) struct Visitor {
    id: StreamId,
    vm: Rc<Vm>,
    visit: Visit,
    /// When the request came here, after the bucket had been asked.
    since: Moment,
}

impl Visitor {
    pub(super) fn new(id: u32, vm: Rc<Vm>) -> Self {
        Self { id: StreamId(id), vm, visit: Visit::new(), since: vm::now() }
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
        let (visit, since) = (&mut self.visit, self.since);
        let (Storing::Later(plan, _) | Storing::Now(plan, _)) = &storing;
        let line = plan.shared();
        // Another worker copies the object: its bytes are the client's alone.
        if !self.vm.claim(&plan.lease()) {
            host::log(LogLevel::Info, &line);
            return Action::Continue;
        }
        self.vm.with_transfers(|transfers| match storing {
            Storing::Later(plan, origin) => transfers.backfill(plan, origin, since),
            Storing::Now(plan, origin) => match transfers.begin(plan, origin, since) {
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

    /// The object is fetched for itself, unless another worker does that.
    fn backfill(&self, plan: Plan, origin: OriginRequest) {
        if self.vm.claim(&plan.lease()) {
            self.vm.with_transfers(|transfers| transfers.backfill(plan, origin, self.since));
        }
    }

    /// Nothing more is expected of the origin. False where nothing was.
    fn answered(&self) -> bool {
        let mut work = self.vm.work.borrow_mut();
        work.origin().is_some_and(|transfers| transfers.on_answered(self.id))
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
                self.backfill(*plan, origin);
                self.refuse(&answer)
            }
            Departure::Send(headers, asked) => {
                match host::replace_headers(Map::Request, &headers) {
                    Ok(()) => {
                        let (id, since) = (self.id, self.since);
                        self.vm.with_transfers(|transfers| transfers.on_asked(id, asked, since));
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
            Some(Arrival::Backfill(refusal, object)) => {
                let (plan, origin) = *object;
                self.backfill(plan, origin);
                self.refuse(&refusal)
            }
            Some(Arrival::Stream { headers, storing }) => self.stream(&headers, storing, is_end),
            None => Action::Continue,
        }
    }

    fn on_http_response_body(&mut self, size: usize, is_end: bool) -> Action {
        let Some(transfer) = self.visit.transfer() else { return Action::Continue };
        let wanted = match self.vm.work.borrow_mut().origin() {
            Some(transfers) => transfers.wants_bytes(transfer, size),
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
        let was_asked = self.answered();
        self.end(End::Broken);
        // An origin that cannot be asked now is not asked again: its client has been told so.
        if was_asked
            && host::client_left()
            && let Some((plan, origin)) = self.visit.on_abandoned()
        {
            self.backfill(plan, origin);
        }
    }
}
