//! One client request, from its head to the last byte of its answer.
//!
//! Owns the order: the filter sees the request, the store answers, the filter sees the answer, the
//! client gets what came of it. Whatever ends it early - the client above all - ends it by dropping.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use back_to_origin::store::{LAST_MODIFIED_METADATA, TAG_METADATA};
use http::{Method, Request, Response, request};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body as _, Incoming};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{sleep, timeout};

use super::filtered::{Broken, Filtered, Source};
use super::message::{self, Target};
use super::origin_side::OriginSide;
use super::request_body::{Ending, Pump};
use super::response_body::ResponseBody;
use super::upstream::{Failure, UpstreamBody, peer};
use super::way::{self, Way};
use super::worker::Worker;
use crate::host::{
    Access, CONNECTION_LOST, FilterStream, Headers, Level, LocalReply, LogRecord, NO_CONNECTION,
    PROTOCOL_ERROR, Place, RequestFacts, TIMED_OUT, Touch, Verdict,
};

/// A request under way. Dropping it ends it for the filter and writes its access record.
pub(super) struct Exchange {
    worker: Rc<Worker>,
    stream: Option<Rc<FilterStream>>,
    pump: Option<AbortHandle>,
    started: Instant,
    access: Option<Access>,
    announced: Option<u64>,
}

/// What is known of the client's connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connection {
    pub(super) number: u64,
    pub(super) peer: SocketAddr,
}

/// A response before the filter on the clients' side has seen it.
pub(super) struct Draft {
    pub(super) fields: Headers,
    pub(super) end: bool,
    pub(super) source: Source,
    pub(super) details: String,
    pub(super) upstream: Option<SocketAddr>,
    /// How long its body may stand still, where that is not as long as anything.
    pub(super) patience: Option<Duration>,
}

impl Draft {
    /// An answer that does not come from the store.
    pub(super) fn local(reply: LocalReply, method: &Method) -> Self {
        let fields = reply.fields();
        let end = reply.body.is_empty() || *method == Method::HEAD;
        let source = Source::Local((!end).then_some(reply.body));
        Self { fields, end, source, details: reply.details, upstream: None, patience: None }
    }

    /// Says of an object that came from an origin that it did, where no filter does.
    fn tag(&mut self) {
        let tag = self.fields.first(TAG_METADATA.as_bytes()).map(<[u8]>::to_vec);
        if let (Some(tag), None) = (tag, self.fields.first(b"x-oss-tag")) {
            self.fields.add(b"x-oss-tag", &tag);
        }
        if let Some(time) = self.fields.first(LAST_MODIFIED_METADATA.as_bytes()) {
            let time = time.to_vec();
            self.fields.set(b"last-modified", &time);
        }
    }
}

/// What comes of asking the store, or an origin.
pub(super) enum Asked {
    Draft(Draft),
    Reset,
    Failed,
}

impl Asked {
    /// What comes of a filter that does not let a request pass.
    pub(super) fn prevented(verdict: Verdict, method: &Method) -> Self {
        match verdict {
            Verdict::Reply(reply) => Self::Draft(Draft::local(reply, method)),
            Verdict::Pass | Verdict::Reset => Self::Reset,
            Verdict::Failed => Self::Failed,
        }
    }
}

/// Waits for something, unless a filter wants something else meanwhile.
pub(super) async fn unless_intervened<T>(
    streams: [Option<&FilterStream>; 2],
    future: impl Future<Output = T>,
) -> Result<T, Verdict> {
    let mut future = pin!(future);
    poll_fn(|task| {
        for stream in streams.iter().flatten() {
            if let Poll::Ready(verdict) = stream.poll_intervention(task) {
                return Poll::Ready(Err(verdict));
            }
        }
        future.as_mut().poll(task).map(Ok)
    })
    .await
}

pub(super) fn stood_still() -> LocalReply {
    LocalReply::text(504, "stream_idle_timeout", "stream timeout")
}

fn unavailable() -> LocalReply {
    LocalReply::text(503, "wasm_fail_stream", "")
}

impl Exchange {
    fn new(worker: &Rc<Worker>, head: &request::Parts, target: &Target) -> Self {
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
        };
        Self {
            worker: Rc::clone(worker),
            stream: None,
            pump: None,
            started: Instant::now(),
            access: Some(access),
            announced: None,
        }
    }

    fn idle(&self) -> Duration {
        self.worker.timeouts.idle
    }

    pub(super) const fn worker(&self) -> &Rc<Worker> {
        &self.worker
    }

    pub(super) fn stream(&self) -> Option<&FilterStream> {
        self.stream.as_deref()
    }

    /// The request is answered in place of the store, and told of by whoever does.
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
        self.log(Level::Warn, format!("{} {}: {message}", access.method, access.path));
    }

    pub(super) fn log(&self, level: Level, message: String) {
        let context = self.access.as_ref().map_or(0, |access| access.context);
        let worker = self.worker.number;
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
        if let Some(access) = &mut self.access {
            access.status = Some(status.as_u16());
            access.details = draft.details;
            access.complete = draft.end;
        }
        let stream = self.stream.clone().filter(|_| is_seen);
        let body = Filtered::new(draft.source, draft.end, stream);
        let patience = draft.patience.unwrap_or_else(|| self.idle());
        let mut response = Response::new(ResponseBody::new(self, body, patience));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }

    /// An answer of the gateway that the filter is not shown.
    fn refuse(self, reply: LocalReply, method: &Method) -> Response<ResponseBody> {
        self.respond(Draft::local(reply, method), false)
    }

    /// Shows the response to the filter and does what it decides.
    async fn finish(
        self,
        mut draft: Draft,
        method: &Method,
    ) -> Result<Response<ResponseBody>, Broken> {
        let Some(stream) = self.stream.clone() else { return Ok(self.respond(draft, false)) };
        let status = message::status(&draft.fields).as_u16();
        let fields = std::mem::take(&mut draft.fields);
        let shown =
            stream.response_headers(fields, draft.end, status, &draft.details, draft.upstream);
        match timeout(self.idle(), shown).await {
            Ok(Verdict::Pass) => {
                draft.fields = stream.response_fields();
                Ok(self.respond(draft, true))
            }
            Ok(Verdict::Reply(reply)) => {
                // It goes to the client as it is: what the store sent is dropped with its headers.
                stream.answered(reply.status, &reply.details);
                Ok(self.refuse(reply, method))
            }
            Ok(Verdict::Reset) => Err(Broken::Filter),
            Ok(Verdict::Failed) => Ok(self.refuse(unavailable(), method)),
            Err(_) => Ok(self.refuse(stood_still(), method)),
        }
    }

    /// Shows the request to the filter, which may change it.
    async fn show(&self, fields: &mut Headers, end: bool) -> Verdict {
        let Some(stream) = self.stream() else { return Verdict::Pass };
        let shown = stream.request_headers(std::mem::take(fields), end);
        let verdict = timeout(self.idle(), shown).await;
        *fields = stream.request_fields();
        verdict.unwrap_or_else(|_| Verdict::Reply(stood_still()))
    }

    /// Sends the request to its cluster and waits for the head of a response - or for the filter,
    /// which sees the body meanwhile and may answer itself.
    async fn ask(&mut self, way: &Way, fields: &Headers, body: Incoming) -> Asked {
        let method = &way.method;
        let (body, sent) = self.upstream_body(body);
        let Some(request) = way.request(fields, body) else {
            let reply = LocalReply::text(400, "bad_request_to_upstream", "");
            return Asked::Draft(Draft::local(reply, method));
        };
        let mut response = pin!(way.upstream.send(request));
        let patience = self.worker.timeouts.response;
        let mut late = pin!(async {
            // The store has time from when it has the whole request.
            match sent.await {
                Ok(ending @ (Ending::ClientLeft | Ending::TooMuch)) => ending,
                Ok(ending @ (Ending::Whole | Ending::Stopped)) => {
                    sleep(patience).await;
                    ending
                }
                Err(_) => {
                    sleep(patience).await;
                    Ending::Whole
                }
            }
        });
        let response = poll_fn(|task| {
            // What the client does comes first: a store that misses the rest of a body has a
            // reason to hang up.
            if let Poll::Ready(ending) = late.as_mut().poll(task) {
                return Poll::Ready(Err(ending));
            }
            response.as_mut().poll(task).map(Ok)
        });
        let local = |status, details: &str, text| {
            Asked::Draft(Draft::local(LocalReply::text(status, details, text), method))
        };
        match unless_intervened([self.stream(), None], response).await {
            Ok(Ok(Ok(response))) => {
                let upstream = peer(&response);
                let (mut head, body) = response.into_parts();
                Asked::Draft(Draft {
                    fields: message::response_fields(head.status, &mut head.headers),
                    end: body.is_end_stream(),
                    source: Source::Store(body),
                    details: "via_upstream".to_owned(),
                    upstream,
                    patience: None,
                })
            }
            Ok(Ok(Err(Failure::Connect))) => local(
                503,
                "upstream_reset_before_response_started{connection_failure}",
                NO_CONNECTION,
            ),
            Ok(Ok(Err(Failure::Lost))) => local(
                503,
                "upstream_reset_before_response_started{connection_termination}",
                CONNECTION_LOST,
            ),
            Ok(Ok(Err(Failure::Protocol))) => {
                local(502, "upstream_reset_before_response_started{protocol_error}", PROTOCOL_ERROR)
            }
            Ok(Err(Ending::ClientLeft)) => Asked::Reset,
            Ok(Err(Ending::TooMuch)) => {
                local(413, "request_payload_too_large", "Payload Too Large")
            }
            Ok(Err(Ending::Whole | Ending::Stopped)) => {
                local(504, "upstream_response_timeout", TIMED_OUT)
            }
            Err(verdict) => Asked::prevented(verdict, method),
        }
    }

    /// The body to send on, and a notice of when it has been sent.
    fn upstream_body(&mut self, body: Incoming) -> (UpstreamBody, oneshot::Receiver<Ending>) {
        let (sender, sent) = oneshot::channel();
        if body.is_end_stream() {
            return (Empty::new().map_err(|never| match never {}).boxed(), sent);
        }
        let (pump, body) = Pump::new(body, self.stream.clone());
        let task = spawn_local(async move {
            // An exchange that is over does not ask how the body ended.
            let _ = sender.send(pump.run().await);
        });
        self.pump = Some(task.abort_handle());
        (body.boxed(), sent)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(pump) = &self.pump {
            pump.abort();
        }
        let closed = self.stream.as_ref().and_then(|stream| stream.close());
        let Some(mut access) = self.access.take() else { return };
        if let Some(closed) = closed {
            access.touch = access.touch.max(closed.touch);
            access.log = closed.log;
        }
        access.duration = self.started.elapsed();
        self.worker.journal.access(access);
    }
}

const fn protocol(version: http::Version) -> &'static str {
    match version {
        http::Version::HTTP_10 => "HTTP/1.0",
        http::Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}

/// Serves one client request.
pub(super) async fn serve(
    worker: Rc<Worker>,
    connection: Connection,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Broken> {
    let (mut head, body) = request.into_parts();
    let target = Target::of(&head);
    let mut exchange = Exchange::new(&worker, &head, &target);
    let method = head.method.clone();
    if target.authority.is_empty() {
        return Ok(exchange.refuse(LocalReply::text(400, "missing_host_header", ""), &method));
    }
    // A tunnel has no path, so there is no way for it.
    let way = if method == Method::CONNECT { None } else { way::find(&worker, &method, &target) };
    let Some(way) = way else {
        return Ok(exchange.refuse(LocalReply::text(404, "route_not_found", ""), &method));
    };
    let facts = RequestFacts {
        place: Place::Downstream,
        source: connection.peer,
        destination: worker.address,
        protocol: protocol(head.version),
        connection: connection.number,
        cluster: way.upstream.cluster.name.clone(),
        started: exchange.started,
        time: SystemTime::now(),
    };
    let origin_side = worker.origin_side.as_ref();
    if origin_side.is_none_or(OriginSide::needs_front) {
        let stream = match worker.plugin.open(facts.clone()) {
            Ok(stream) => Rc::new(stream),
            Err(error) => {
                exchange.warn(&error.to_string());
                return Ok(exchange.refuse(unavailable(), &method));
            }
        };
        if let Some(access) = &mut exchange.access {
            access.context = stream.id();
        }
        exchange.stream = Some(stream);
    }
    let mut fields = message::request_fields(&mut head, &target);
    let shown = exchange.show(&mut fields, body.is_end_stream()).await;
    let mut asked = match shown {
        Verdict::Pass => exchange.ask(&way, &fields, body).await,
        Verdict::Reply(_) | Verdict::Reset | Verdict::Failed => Asked::prevented(shown, &method),
    };
    if let (Some(origin_side), Asked::Draft(draft)) = (origin_side, &mut asked)
        && let Source::Store(_) = draft.source
    {
        match origin_side.miss(&fields, &draft.fields) {
            Some(miss) => {
                let dropped = std::mem::replace(&mut asked, Asked::Reset);
                asked = exchange.visit(origin_side, &miss, facts, fields, dropped).await;
            }
            None if exchange.stream.is_none() => draft.tag(),
            None => {}
        }
    }
    match asked {
        Asked::Draft(draft) => exchange.finish(draft, &method).await,
        Asked::Reset => Err(Broken::Filter),
        Asked::Failed => Ok(exchange.refuse(unavailable(), &method)),
    }
}
