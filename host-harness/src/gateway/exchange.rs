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

use http::header::HOST;
use http::{HeaderValue, Method, Request, Response, request};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body as _, Incoming};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{sleep, timeout};

use super::message::{self, Target};
use super::request_body::{Ending, Pump};
use super::response_body::{Broken, ResponseBody, Source};
use super::routing::{Route, address};
use super::settings::Reads;
use super::signing::{Payload, remove_signature, sign_request, without_signature};
use super::upstream::{Failure, Upstream, UpstreamBody, peer};
use super::worker::Worker;
use crate::host::{
    Access, CONNECTION_LOST, FilterStream, Headers, Level, LocalReply, LogRecord, NO_CONNECTION,
    PROTOCOL_ERROR, RequestFacts, TIMED_OUT, Touch, Verdict,
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

/// A response before the filter has seen it.
struct Draft {
    fields: Headers,
    end: bool,
    source: Source,
    details: String,
    upstream: Option<SocketAddr>,
}

impl Draft {
    /// An answer that does not come from the store.
    fn local(reply: LocalReply, method: &Method) -> Self {
        let fields = reply.fields();
        let end = reply.body.is_empty() || *method == Method::HEAD;
        let body = (!end).then_some(reply.body);
        Self { fields, end, source: Source::Local(body), details: reply.details, upstream: None }
    }
}

/// What comes of asking the store.
enum Asked {
    Draft(Draft),
    Reset,
    Failed,
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

    pub(super) fn idle(&self) -> Duration {
        self.worker.timeouts.idle
    }

    pub(super) fn stream(&self) -> Option<&FilterStream> {
        self.stream.as_deref()
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

    fn warn(&self, message: &str) {
        let Some(access) = &self.access else { return };
        self.worker.journal.log(LogRecord {
            level: Level::Warn,
            worker: access.worker,
            context: access.context,
            message: format!("{} {}: {message}", access.method, access.path),
        });
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
        let is_seen = is_seen && self.stream().is_some_and(FilterStream::sees_response_body);
        let mut response = Response::new(ResponseBody::new(self, draft.source, draft.end, is_seen));
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
            Err(_) => {
                let reply = LocalReply::text(504, "stream_idle_timeout", "stream timeout");
                Ok(self.refuse(reply, method))
            }
        }
    }

    /// Sends the request to its cluster and waits for the head of a response - or for the filter,
    /// which sees the body meanwhile and may answer itself.
    async fn ask(&mut self, stream: &Rc<FilterStream>, way: &Way, body: Incoming) -> Asked {
        let method = &way.method;
        let (body, sent) = self.upstream_body(stream, body);
        let Some(request) = way.request(&stream.request_fields(), body) else {
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
            if let Poll::Ready(verdict) = stream.poll_intervention(task) {
                return Poll::Ready(Err(verdict));
            }
            // What the client does comes first: a store that misses the rest of a body has a
            // reason to hang up.
            if let Poll::Ready(ending) = late.as_mut().poll(task) {
                return Poll::Ready(Ok(Err(ending)));
            }
            response.as_mut().poll(task).map(|response| Ok(Ok(response)))
        });
        let local = |status, details: &str, text| {
            Asked::Draft(Draft::local(LocalReply::text(status, details, text), method))
        };
        match response.await {
            Ok(Ok(Ok(response))) => {
                let upstream = peer(&response);
                let (mut head, body) = response.into_parts();
                Asked::Draft(Draft {
                    fields: message::response_fields(head.status, &mut head.headers),
                    end: body.is_end_stream(),
                    source: Source::Store(body),
                    details: "via_upstream".to_owned(),
                    upstream,
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
            Err(Verdict::Reply(reply)) => Asked::Draft(Draft::local(reply, method)),
            Err(Verdict::Pass | Verdict::Reset) => Asked::Reset,
            Err(Verdict::Failed) => Asked::Failed,
        }
    }

    /// The body to send on, and a notice of when it has been sent.
    fn upstream_body(
        &mut self,
        stream: &Rc<FilterStream>,
        body: Incoming,
    ) -> (UpstreamBody, oneshot::Receiver<Ending>) {
        let (sender, sent) = oneshot::channel();
        if body.is_end_stream() {
            return (Empty::new().map_err(|never| match never {}).boxed(), sent);
        }
        let (pump, body) = Pump::new(body, Rc::clone(stream));
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
            access.touch = closed.touch;
            access.log = closed.log;
        }
        access.duration = self.started.elapsed();
        self.worker.journal.access(access);
    }
}

/// How a request travels to its cluster.
struct Way {
    upstream: Rc<Upstream>,
    method: Method,
    /// Host and target in place of the client's, for a request the gateway signs.
    readdressed: Option<(String, String)>,
}

impl Way {
    /// Makes the fields the filter left a request to the cluster. What cannot be one is none.
    fn request(&self, fields: &Headers, body: UpstreamBody) -> Option<Request<UpstreamBody>> {
        let mut request = Request::new(body);
        *request.headers_mut() = message::header_map(fields).0;
        *request.method_mut() = message::pseudo(fields, ":method")?.parse().ok()?;
        let path = message::pseudo(fields, ":path")?;
        let Some((host, target)) = &self.readdressed else {
            *request.uri_mut() = self.upstream.uri(path).ok()?;
            let authority = HeaderValue::from_bytes(fields.first(b":authority")?).ok()?;
            request.headers_mut().insert(HOST, authority);
            return Some(request);
        };
        *request.uri_mut() = self.upstream.uri(target).ok()?;
        request.headers_mut().insert(HOST, HeaderValue::from_str(host).ok()?);
        if let Some(credentials) = &self.upstream.cluster.signer {
            remove_signature(&mut request);
            sign_request(&mut request, Payload::Streamed, credentials, SystemTime::now()).ok()?;
        }
        Some(request)
    }
}

/// Finds the way of a request, if there is one.
fn way(worker: &Worker, method: &Method, target: &Target) -> Option<Way> {
    let is_read = *method == Method::GET || *method == Method::HEAD;
    let (cluster, signed) = match worker.routes.find(&target.authority, &target.path) {
        Route::Bucket { name, route, rest } => {
            let signed = match route.reads {
                Reads::Signed(addressing) if is_read => Some((addressing, name, rest)),
                Reads::Signed(_) | Reads::Passthrough => None,
            };
            (route.cluster.as_str(), signed)
        }
        Route::Default(cluster) => (cluster, None),
        Route::None => return None,
    };
    let upstream = worker.upstreams.get(cluster)?;
    let readdressed = signed.map(|(addressing, bucket, rest)| {
        let endpoint = &upstream.cluster.endpoint;
        let (host, target) = address(addressing, endpoint, bucket, rest);
        (host, without_signature(&target))
    });
    Some(Way { upstream, method: method.clone(), readdressed })
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
    let way = if method == Method::CONNECT { None } else { way(&worker, &method, &target) };
    let Some(way) = way else {
        return Ok(exchange.refuse(LocalReply::text(404, "route_not_found", ""), &method));
    };
    let facts = RequestFacts {
        source: connection.peer,
        destination: worker.address,
        protocol: protocol(head.version),
        connection: connection.number,
        cluster: way.upstream.cluster.name.clone(),
        started: exchange.started,
        time: SystemTime::now(),
    };
    let stream = match worker.plugin.open(facts) {
        Ok(stream) => Rc::new(stream),
        Err(error) => {
            exchange.warn(&error.to_string());
            return Ok(exchange.refuse(unavailable(), &method));
        }
    };
    if let Some(access) = &mut exchange.access {
        access.context = stream.id();
    }
    exchange.stream = Some(Rc::clone(&stream));
    let fields = message::request_fields(&mut head, &target);
    let shown = stream.request_headers(fields, body.is_end_stream());
    let asked = match timeout(worker.timeouts.idle, shown).await {
        Ok(Verdict::Pass) => exchange.ask(&stream, &way, body).await,
        Ok(Verdict::Reply(reply)) => Asked::Draft(Draft::local(reply, &method)),
        Ok(Verdict::Reset) => Asked::Reset,
        Ok(Verdict::Failed) => Asked::Failed,
        Err(_) => {
            let reply = LocalReply::text(504, "stream_idle_timeout", "stream timeout");
            Asked::Draft(Draft::local(reply, &method))
        }
    };
    match asked {
        Asked::Draft(draft) => exchange.finish(draft, &method).await,
        Asked::Reset => Err(Broken::Filter),
        Asked::Failed => Ok(exchange.refuse(unavailable(), &method)),
    }
}
