//! One client request on its way through the filter.
//!
//! Owns waiting: for a filter that holds a request or a response. What travels in between is the
//! gateway's business.

use std::cell::Cell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context as Task, Poll};

use bytes::Bytes;

use super::context::{Context, Gate, RequestFacts, Side, Stream as Context_};
use super::headers::Headers;
use super::journal::{LogRecord, Properties, Touch};
use super::machine::Machine;
use super::reply::LocalReply;
use super::vm::{Action, Dead};

/// The most bytes of a body a filter may hold back at once.
const LARGEST_HELD: usize = 1024 * 1024;

/// What the filter decided.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Go on.
    Pass,
    /// Give the client this answer.
    Reply(LocalReply),
    /// Break off.
    Reset,
    /// The filter died: nobody decides any more.
    Failed,
}

/// What the filter did with a piece of a body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Piece {
    /// It let this go, in place of what it was shown.
    Pass(Bytes),
    /// It holds what it was shown.
    Held,
    /// It holds more than it may.
    TooMuch,
    /// It died.
    Failed,
}

/// What is known of a request when it is over.
#[derive(Clone, Debug)]
pub struct Closed {
    /// What the filter did to it.
    pub touch: Touch,
    /// What the filter logged in its context.
    pub log: Vec<LogRecord>,
    /// What the filter has set in it.
    pub properties: Properties,
}

/// A request the filter has a context for. Dropping it ends the context.
pub struct FilterStream {
    machine: Rc<Machine>,
    id: u32,
    is_open: Cell<bool>,
}

impl FilterStream {
    pub(crate) fn open(machine: Rc<Machine>, facts: RequestFacts) -> Result<Self, Dead> {
        let root = machine.root();
        let id = machine.run(|vm| vm.open(root, facts))?;
        Ok(Self { machine, id, is_open: Cell::new(true) })
    }

    /// The number of its context.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    fn with<R>(&self, change: impl FnOnce(&mut Context_) -> R) -> Option<R> {
        self.machine.run(|vm| match vm.state().contexts.get_mut(&self.id) {
            Some(Context::Stream(stream)) => Some(change(stream)),
            Some(Context::Root(_)) | None => None,
        })
    }

    /// Shows the filter the request's head and waits for what it decides.
    pub async fn request_headers(&self, fields: Headers, end: bool) -> Verdict {
        self.headers(Side::Request, fields, end).await
    }

    /// Shows the filter a response's head and waits for what it decides.
    pub async fn response_headers(
        &self,
        fields: Headers,
        end: bool,
        status: u16,
        details: &str,
        upstream: Option<SocketAddr>,
    ) -> Verdict {
        self.with(|stream| {
            stream.status = Some(status);
            stream.details = Some(details.to_owned());
            stream.upstream = upstream;
            // The request has been handed on: the filter cannot read it any more.
            stream.request.headers.close();
            stream.request.trailers.close();
        });
        self.headers(Side::Response, fields, end).await
    }

    async fn headers(&self, side: Side, fields: Headers, end: bool) -> Verdict {
        match self.machine.run(|vm| vm.headers(self.id, side, fields, end)) {
            Err(Dead) => Verdict::Failed,
            Ok(Action::Continue) => Verdict::Pass,
            Ok(Action::Pause) => poll_fn(|task| self.poll_verdict(task, side)).await,
        }
    }

    /// The request's fields as the filter left them.
    #[must_use]
    pub fn request_fields(&self) -> Headers {
        self.with(|stream| stream.request.headers.fields.clone()).unwrap_or_default()
    }

    /// The response's fields as the filter left them.
    #[must_use]
    pub fn response_fields(&self) -> Headers {
        self.with(|stream| stream.response.headers.fields.clone()).unwrap_or_default()
    }

    fn poll_verdict(&self, task: &Task<'_>, side: Side) -> Poll<Verdict> {
        match self.poll_intervention(task) {
            Poll::Ready(verdict) => Poll::Ready(verdict),
            Poll::Pending => {
                let gate = self.with(|stream| stream.direction(side).gate);
                if gate == Some(Gate::Held) { Poll::Pending } else { Poll::Ready(Verdict::Pass) }
            }
        }
    }

    /// Whether the filter wants something else than to go on; it need not be asked for that.
    pub fn poll_intervention(&self, task: &Task<'_>) -> Poll<Verdict> {
        if self.machine.died().is_some() {
            return Poll::Ready(Verdict::Failed);
        }
        self.with(|stream| {
            if stream.reset {
                return Poll::Ready(Verdict::Reset);
            }
            if let Some(reply) = stream.reply.take() {
                stream.touched(Touch::Answered);
                return Poll::Ready(Verdict::Reply(reply));
            }
            stream.wait(task.waker());
            Poll::Pending
        })
        .unwrap_or(Poll::Ready(Verdict::Reset))
    }

    /// The filter's own answer goes to the client as it is; there will be no other.
    pub fn answered(&self, status: u16, details: &str) {
        self.with(|stream| {
            stream.answered = true;
            stream.status = Some(status);
            stream.details = Some(details.to_owned());
        });
    }

    /// The request goes on without it: there will be no answer to show, though the client is there.
    pub fn unanswered(&self) {
        self.with(|stream| stream.unanswered = true);
    }

    /// The head of the response goes to the client: what the filter does to it now comes too late.
    pub fn sent(&self) {
        self.with(|stream| {
            stream.sent = true;
            stream.response.headers.writable = false;
        });
    }

    /// Whether the filter wants to see the request's body.
    #[must_use]
    pub fn sees_request_body(&self) -> bool {
        self.machine.run(|vm| vm.sees_body(Side::Request))
    }

    /// Whether the filter wants to see the response's body.
    #[must_use]
    pub fn sees_response_body(&self) -> bool {
        self.machine.run(|vm| vm.sees_body(Side::Response))
    }

    /// Shows the filter a piece of the request's body.
    pub fn request_body(&self, piece: Bytes, end: bool) -> Piece {
        self.body(Side::Request, piece, end)
    }

    /// Shows the filter a piece of the response's body.
    pub fn response_body(&self, piece: Bytes, end: bool) -> Piece {
        self.body(Side::Response, piece, end)
    }

    fn body(&self, side: Side, piece: Bytes, end: bool) -> Piece {
        match self.machine.run(|vm| vm.body(self.id, side, piece, end)) {
            Err(Dead) => Piece::Failed,
            Ok(Some(piece)) => Piece::Pass(piece),
            Ok(None) => {
                let held =
                    self.with(|stream| stream.direction(side).body.as_ref().map_or(0, Bytes::len));
                if held > Some(LARGEST_HELD) { Piece::TooMuch } else { Piece::Held }
            }
        }
    }

    /// Waits for the filter to let go what it holds of the request's body.
    pub async fn held_request_body(&self) -> Result<Bytes, Verdict> {
        poll_fn(|task| self.poll_held(task, Side::Request)).await
    }

    /// Whether the filter has let go what it holds of the response's body.
    pub fn poll_held_response_body(&self, task: &Task<'_>) -> Poll<Result<Bytes, Verdict>> {
        self.poll_held(task, Side::Response)
    }

    fn poll_held(&self, task: &Task<'_>, side: Side) -> Poll<Result<Bytes, Verdict>> {
        self.poll_verdict(task, side).map(|verdict| match verdict {
            Verdict::Pass => {
                let held = self.with(|stream| stream.direction(side).body.take());
                Ok(held.flatten().unwrap_or_default())
            }
            Verdict::Reply(_) | Verdict::Reset | Verdict::Failed => Err(verdict),
        })
    }

    /// Shows the filter the trailers of the response and yields what it leaves of them.
    ///
    /// A filter that pauses here only ends the response later; there is nothing after trailers that
    /// could be held, so they are let go at once.
    pub fn response_trailers(&self, fields: Headers) -> Result<Headers, Verdict> {
        match self.machine.run(|vm| vm.trailers(self.id, Side::Response, fields)) {
            Err(Dead) => Err(Verdict::Failed),
            Ok(Action::Continue | Action::Pause) => {
                Ok(self.with(|stream| stream.response.trailers.fields.clone()).unwrap_or_default())
            }
        }
    }

    /// Shows the filter the trailers of the request and yields what it leaves of them.
    pub fn request_trailers(&self, fields: Headers) -> Result<Headers, Verdict> {
        match self.machine.run(|vm| vm.trailers(self.id, Side::Request, fields)) {
            Err(Dead) => Err(Verdict::Failed),
            Ok(Action::Continue | Action::Pause) => {
                Ok(self.with(|stream| stream.request.trailers.fields.clone()).unwrap_or_default())
            }
        }
    }

    /// Ends the request for the filter. Only the first call has anything to tell.
    pub fn close(&self) -> Option<Closed> {
        if !self.is_open.replace(false) {
            return None;
        }
        self.with(|stream| stream.abandoned = stream.status.is_none() && !stream.unanswered);
        let stream = self.machine.run(|vm| vm.close(self.id))?;
        let Context_ { touch, log, properties, .. } = *stream;
        Some(Closed { touch, log, properties })
    }
}

impl Drop for FilterStream {
    fn drop(&mut self) {
        self.close();
    }
}
