//! One client request, from its head to the last byte of its answer.
//!
//! Owns what is shown to the filter, and what the client gets. Whatever ends it early - the client
//! above all - ends it by dropping.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use back_to_origin::http::trace::Trace;
use http::{HeaderMap, Method, Response, request};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::draft::{Asked, By, Draft, stood_still, unavailable};
use super::filtered::{Broken, Filtered};
use super::message::{self, Target};
use super::response_body::ResponseBody;
use super::signing::without_signature;
use super::worker::Worker;
use crate::host::{
    Access, FilterStream, Headers, Level, LocalReply, LogRecord, Properties, Record, RequestFacts,
    Touch, Verdict,
};

/// The headers by which stores name a request.
const REQUEST_ID: [&str; 2] = ["x-amz-request-id", "x-oss-request-id"];

/// The trace that a request belongs to.
fn trace_id(headers: &HeaderMap) -> Option<String> {
    let parents = headers.get_all("traceparent").iter();
    let parents = parents.map(|parent| ("traceparent", parent.as_bytes()));
    Trace::of(&back_to_origin::http::headers::Headers::from_pairs(parents)).id().map(str::to_owned)
}

/// The filter is dead.
pub(super) struct Unfiltered;

/// A request under way. Dropping it ends it for the filter and writes its access record.
pub(super) struct Exchange {
    worker: Rc<Worker>,
    stream: Option<Rc<FilterStream>>,
    pump: Option<AbortHandle>,
    started: Instant,
    access: Option<Access>,
    announced: Option<u64>,
    /// The bytes of the client's body so far.
    received: Rc<Cell<u64>>,
}

impl Exchange {
    pub(super) fn new(
        worker: &Rc<Worker>,
        client: IpAddr,
        head: &request::Parts,
        target: &Target,
    ) -> Self {
        let record = worker.records.then(|| {
            Box::new(Record {
                time: SystemTime::now(),
                client,
                bucket: None,
                bytes_received: 0,
                server: None,
                trace_id: trace_id(&head.headers),
                request_id: None,
                is_miss: false,
                told: Properties::new(),
            })
        });
        let access = Access {
            worker: worker.number,
            context: 0,
            method: head.method.to_string(),
            authority: target.authority.clone(),
            path: target.path.clone(),
            status: None,
            bytes: 0,
            complete: false,
            duration: Duration::ZERO,
            details: String::new(),
            touch: Touch::Passed,
            log: Vec::new(),
            record,
        };
        Self {
            worker: Rc::clone(worker),
            stream: None,
            pump: None,
            started: Instant::now(),
            access: Some(access),
            announced: None,
            received: Rc::default(),
        }
    }

    fn idle(&self) -> Duration {
        self.worker.timeouts.idle
    }

    pub(super) const fn worker(&self) -> &Rc<Worker> {
        &self.worker
    }

    /// When the request's head was there.
    pub(super) const fn started(&self) -> Instant {
        self.started
    }

    pub(super) fn stream(&self) -> Option<&FilterStream> {
        self.stream.as_deref()
    }

    pub(super) fn shared_stream(&self) -> Option<Rc<FilterStream>> {
        self.stream.clone()
    }

    /// The client's body is sent on by this task.
    pub(super) fn pumps(&mut self, pump: AbortHandle) {
        self.pump = Some(pump);
    }

    /// Makes a context of the filter's for it.
    pub(super) fn open(&mut self, facts: RequestFacts) -> Result<(), Unfiltered> {
        match self.worker.plugin.open(facts) {
            Ok(stream) => {
                if let Some(access) = &mut self.access {
                    access.context = stream.id();
                }
                self.stream = Some(Rc::new(stream));
                Ok(())
            }
            Err(error) => {
                self.warn(&error.to_string());
                Err(Unfiltered)
            }
        }
    }

    /// The answer is dropped, and the request shown to another context: this one sees no answer.
    pub(super) fn leave(&mut self) {
        if let Some(pump) = self.pump.take() {
            pump.abort();
        }
        if let Some(stream) = self.stream.take() {
            stream.unanswered();
            self.close(&stream);
        }
        if let Some(record) = self.record() {
            (record.server, record.told) = (None, Properties::new());
        }
    }

    /// What is recorded of it, where requests are.
    pub(super) fn record(&mut self) -> Option<&mut Record> {
        self.access.as_mut()?.record.as_deref_mut()
    }

    /// The bytes of the client's body, which whoever sends it on counts.
    pub(super) fn received(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.received)
    }

    fn close(&mut self, stream: &FilterStream) {
        if let (Some(closed), Some(access)) = (stream.close(), &mut self.access) {
            access.touch = access.touch.max(closed.touch);
            access.log.extend(closed.log);
            if let Some(record) = &mut access.record {
                record.told = closed.properties;
            }
        }
    }

    /// The request goes to an origin, and the filter tells of it.
    pub(super) fn taken_over(&mut self) {
        if let Some(access) = &mut self.access {
            access.touch = Touch::Answered;
        }
    }

    pub(super) fn passed_on(&mut self, length: usize) {
        if let Some(access) = &mut self.access {
            access.bytes += length as u64;
            // The client's side stops asking when it has all that was announced.
            access.complete |= self.announced == Some(access.bytes);
        }
    }

    pub(super) fn completed(&mut self) {
        if let Some(access) = &mut self.access {
            access.complete = true;
        }
    }

    pub(super) fn broke(&mut self, broken: Broken) {
        self.warn(&format!("{broken}"));
    }

    pub(super) fn warn(&self, message: &str) {
        let Some(access) = &self.access else { return };
        let path = without_signature(&access.path);
        let message = format!("{} {path}: {message}", access.method);
        let (level, worker, context) = (Level::Warn, self.worker.number, access.context);
        self.worker.journal.log(LogRecord { level, worker, context, message });
    }

    /// Hands the response to the client's connection.
    fn respond(mut self, draft: Draft, is_seen: bool) -> Response<ResponseBody> {
        let (headers, refused) = message::header_map(&draft.fields);
        if let Some(name) = refused {
            self.warn(&format!("the response's field {name} cannot be sent and is left out"));
        }
        let status = message::status(&draft.fields);
        if let Some(stream) = &self.stream {
            stream.sent();
        }
        self.announced = message::content_length(&headers);
        if let Some(record) = self.record() {
            let name = REQUEST_ID.iter().find_map(|name| headers.get(*name));
            record.request_id = name.map(|name| String::from_utf8_lossy(name.as_bytes()).into());
        }
        if let Some(access) = &mut self.access {
            access.status = Some(status.as_u16());
            access.details = draft.details;
            access.complete = draft.end;
        }
        let stream = self.stream.clone().filter(|_| is_seen);
        let body = Filtered::new(draft.source, draft.end, stream);
        let patience = draft.patience.unwrap_or_else(|| self.idle());
        let mut response = Response::new(ResponseBody::new(self, body, patience, draft.pace));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }

    /// An answer of the gateway that the filter is not shown.
    pub(super) fn refuse(self, reply: LocalReply, method: &Method) -> Response<ResponseBody> {
        self.respond(Draft::local(reply, By::Gateway, method), false)
    }

    /// Gives the client what came of asking for it.
    pub(super) async fn answer(
        self,
        asked: Asked,
        method: &Method,
    ) -> Result<Response<ResponseBody>, Broken> {
        match asked {
            Asked::Draft(draft) => self.finish(draft, method).await,
            Asked::Reset => Err(Broken::Filter),
            Asked::Failed => Ok(self.refuse(unavailable(), method)),
        }
    }

    /// Shows the response to the filter and does what it decides.
    async fn finish(
        self,
        mut draft: Draft,
        method: &Method,
    ) -> Result<Response<ResponseBody>, Broken> {
        let Some(stream) = self.stream.clone() else { return Ok(self.respond(draft, false)) };
        let status = draft.status();
        let fields = std::mem::take(&mut draft.fields);
        let shown =
            stream.response_headers(fields, draft.end, status, &draft.details, draft.upstream);
        match timeout(self.idle(), shown).await {
            Ok(Verdict::Pass) => {
                draft.fields = stream.response_fields();
                Ok(self.respond(draft, true))
            }
            Ok(Verdict::Reply(reply)) => {
                // It goes to the client as it is: what the server sent is dropped with its headers.
                stream.answered(reply.status, &reply.details);
                draft.spend();
                Ok(self.refuse(reply, method))
            }
            Ok(Verdict::Reset) => Err(Broken::Filter),
            Ok(Verdict::Failed) => Ok(self.refuse(unavailable(), method)),
            Err(_) => Ok(self.refuse(stood_still(), method)),
        }
    }

    /// Shows the request to the filter, which may change it.
    pub(super) async fn show(&self, fields: &mut Headers, end: bool) -> Verdict {
        let Some(stream) = self.stream() else { return Verdict::Pass };
        let shown = stream.request_headers(std::mem::take(fields), end);
        let verdict = timeout(self.idle(), shown).await;
        *fields = stream.request_fields();
        verdict.unwrap_or_else(|_| Verdict::Reply(stood_still()))
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(pump) = &self.pump {
            pump.abort();
        }
        if let Some(stream) = self.stream.take() {
            self.close(&stream);
        }
        let Some(mut access) = self.access.take() else { return };
        access.duration = self.started.elapsed();
        if let Some(record) = &mut access.record {
            record.bytes_received = self.received.get();
        }
        self.worker.journal.access(access);
    }
}
