//! A stream context on the origins' side: one miss on its way to an origin, the object on its way
//! to the client and into the bucket.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};

use super::host::{self, Buffer, Map};
use super::vm::{self, Vm};
use crate::http::headers::HeaderList;
use crate::metric::Metric;
use crate::origin::Trail;
use crate::reply::Body;
use crate::transfer::{End, Plan, TransferId};
use crate::visit::attempt::{self, AttemptId};
use crate::visit::{Arrival, Asked, Departure, Refusal, Storing, Visit};
use crate::worker::{Effect, Moment, StreamId};

/// The most of a body that is read at once. Its room is taken again and again, and so is near the
/// processor; and it is small beside the parts that it lies among.
const PIECE: usize = 64 * 1024;

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
            Storing::Later(plan, trail) => transfers.backfill(plan, trail, since),
            Storing::Now(plan, trail) => match transfers.begin(plan, trail, since) {
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
    fn backfill(&self, (plan, trail): (Plan, Trail)) {
        if self.vm.claim(&plan.lease()) {
            self.vm.with_transfers(|transfers| transfers.backfill(plan, trail, self.since));
        }
    }

    /// What an earlier attempt left under this name.
    fn resume(&mut self, name: &[u8]) -> Option<Rc<Asked>> {
        let id = AttemptId::of(name, self.vm.owner)?;
        let mut work = self.vm.work.borrow_mut();
        let (asked, since) = work.origin()?.on_attempt(id)?;
        self.since = since;
        Some(asked)
    }

    /// Asks the gateway for one more attempt. The answer left behind is what the client gets should
    /// there be none, but for its body.
    fn leave(&mut self, asked: Rc<Asked>, refusal: Refusal) -> Action {
        let cluster = asked.cluster().to_owned();
        let since = self.since;
        let mut id = None;
        self.vm.with_transfers(|transfers| {
            let (attempt, effects) = transfers.on_leaving(asked, since, vm::now());
            id = attempt;
            effects
        });
        let Some(id) = id else { return self.refuse(&refusal) };
        let mut headers = HeaderList::new().with(":status", refusal.reply.status.to_string());
        headers.extend(&refusal.reply.headers);
        headers.add(attempt::JUDGE, attempt::AGAIN);
        let asked = host::set_property(attempt::CLUSTER, cluster.as_bytes())
            .and_then(|()| host::set_property(attempt::NAME, &id.name(self.vm.owner)))
            .and_then(|()| host::replace_headers(Map::Response, &headers));
        match asked {
            Ok(()) => {
                self.visit.leaves_for(id, refusal);
                Action::Continue
            }
            Err(error) => {
                self.vm.expect("make another attempt", Err(error));
                self.forget(id);
                self.refuse(&refusal)
            }
        }
    }

    fn forget(&self, attempt: AttemptId) {
        if let Some(transfers) = self.vm.work.borrow_mut().origin() {
            transfers.on_attempt(attempt);
        }
    }

    fn arrive(&mut self, arrival: Arrival, is_end: bool) -> Action {
        match arrival {
            Arrival::Again(next) => {
                let (asked, refusal) = *next;
                self.leave(asked, refusal)
            }
            Arrival::Answer(refusal) => self.refuse(&refusal),
            Arrival::Backfill(refusal, object) => {
                self.backfill(*object);
                self.refuse(&refusal)
            }
            Arrival::FellThrough(line, next) => {
                host::log(LogLevel::Info, &line);
                self.arrive(*next, is_end)
            }
            Arrival::Stream { headers, storing } => self.stream(&headers, storing, is_end),
        }
    }

    /// Hands on the bytes of a body that are wanted.
    fn copy(&mut self, transfer: TransferId, size: usize) {
        let mut at = 0;
        while at < size {
            let count = PIECE.min(size - at);
            let mut work = self.vm.work.borrow_mut();
            let wanted = work.origin().is_some_and(|all| all.wants_bytes(transfer, count));
            drop(work);
            if wanted {
                match host::buffer(Buffer::ResponseBody, at, count) {
                    Ok(bytes) if bytes.len() == count => {
                        self.vm.with_transfers(|transfers| transfers.on_bytes(transfer, &bytes));
                    }
                    // Bytes that were not seen are missing in the copy.
                    Ok(_) | Err(_) => return self.end(End::Broken),
                }
            }
            at += count;
        }
    }

    /// The body of an answer of which the client gets nothing.
    fn on_refused_body(&mut self, size: usize) {
        let body = self.visit.on_left_behind().map(|(attempt, refusal)| {
            self.forget(attempt);
            host::log(LogLevel::Info, &refusal.line);
            self.vm.count(refusal.metric);
            refusal.reply.body
        });
        if self.visit.is_refused() {
            let text = match &body {
                Some(Body::Text(text)) => text.as_bytes(),
                Some(Body::Absent | Body::Headers(_) | Body::Object(..)) | None => b"",
            };
            self.vm.expect("replace a body", host::replace(Buffer::ResponseBody, size, text));
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
        let now = self.since;
        let departure = match host::property(&[attempt::NAME]) {
            Ok(name) if !name.is_empty() => {
                let asked = self.resume(&name);
                self.visit.on_attempt(asked, &headers)
            }
            Ok(_) | Err(_) => self.visit.on_request(&self.vm.configuration, headers, now),
        };
        match departure {
            Departure::Answer(refusal) => self.refuse(&refusal),
            Departure::Fetch(answer, object) => {
                self.backfill(*object);
                self.refuse(&answer)
            }
            Departure::Send(headers, asked) => {
                match host::replace_headers(Map::Request, &headers) {
                    Ok(()) => {
                        let id = self.id;
                        self.vm.with_transfers(|transfers| transfers.on_asked(id, asked, now));
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
        match self.visit.on_answer(&self.vm.configuration, &headers, vm::now) {
            Some(arrival) => self.arrive(arrival, is_end),
            None => Action::Continue,
        }
    }

    fn on_http_response_body(&mut self, size: usize, is_end: bool) -> Action {
        let Some(transfer) = self.visit.transfer() else {
            self.on_refused_body(size);
            return Action::Continue;
        };
        self.copy(transfer, size);
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
            && let Some(object) = self.visit.on_abandoned()
        {
            self.backfill(object);
        }
    }
}
