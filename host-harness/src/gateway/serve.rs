//! The road of a client request: to its cluster, and by the miss route where its bucket cannot
//! answer it.
//!
//! Owns the order: the filter sees the request, a server answers, the filter sees the answer, the
//! client gets what came of it.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::SystemTime;

use back_to_origin::miss_route::FRAMING;
use http::header::HOST;
use http::{Method, Request, Response};
use hyper::body::{Body as _, Incoming};

use super::draft::{Asked, By, Draft, Word, unavailable};
use super::exchange::{Exchange, Unfiltered};
use super::filtered::Broken;
use super::forwarded;
use super::message::{self, Target};
use super::misses::{self, Destination, MOST_PASSES, Miss};
use super::response_body::ResponseBody;
use super::way::{self, Way};
use super::worker::Worker;
use crate::host::{Headers, LocalReply, RequestFacts, Verdict};

/// What is known of the client's connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connection {
    pub(super) number: u64,
    /// Who connected, or for whom a balancer did.
    pub(super) peer: SocketAddr,
    /// What requests on it are sent by.
    pub(super) scheme: &'static str,
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
    let Connection { peer, scheme, .. } = connection;
    let source = worker
        .trusted_hops
        .map_or(peer, |trusted| forwarded::note(&mut head.headers, peer, scheme, trusted));
    let target = Target::of(&head);
    let mut exchange = Exchange::new(&worker, source.ip(), &head, &target);
    let method = head.method.clone();
    // Of several, each server might take another one (RFC 9112, section 3.2).
    if head.headers.get_all(HOST).iter().nth(1).is_some() {
        return Ok(exchange.refuse(LocalReply::text(400, "several_host_headers", ""), &method));
    }
    if target.authority.is_empty() {
        return Ok(exchange.refuse(LocalReply::text(400, "missing_host_header", ""), &method));
    }
    let streams = worker.guards.is_some();
    // A tunnel has no path, so there is no way for it; and nobody comes to the miss route by
    // himself.
    let has_way = method != Method::CONNECT && !(streams && misses::is_reserved(&target.authority));
    let way = if has_way { way::find(&worker, &method, &target) } else { None };
    let Some(way) = way else {
        return Ok(exchange.refuse(LocalReply::text(404, "route_not_found", ""), &method));
    };
    if let Some(record) = exchange.record() {
        record.bucket.clone_from(&way.bucket);
    }
    let facts = RequestFacts {
        source,
        destination: worker.address,
        protocol: protocol(head.version),
        connection: connection.number,
        cluster: way.upstream.cluster.name.clone(),
        started: exchange.started(),
        time: SystemTime::now(),
    };
    let mut fields = message::request_fields(&mut head, &target, scheme);
    if streams {
        misses::strip(&mut fields);
    }
    let guard =
        worker.guards.as_ref().and_then(|guards| guards.of(way.bucket.as_deref()?, &method));
    let tells = worker.guards.as_ref().is_some_and(|guards| {
        way.bucket.as_deref().is_some_and(|bucket| guards.tells_of(bucket, &method))
    });
    let is_seen = !streams || guard.as_ref().is_some_and(|guard| guard.is_judged);
    if (is_seen || tells)
        && let Err(Unfiltered) = exchange.open(facts.clone())
        // A write is no business of the filter's: it is only told.
        && is_seen
    {
        return Ok(exchange.refuse(unavailable(), &method));
    }
    let mut asked = match exchange.show(&mut fields, body.is_end_stream()).await {
        Verdict::Pass => exchange.ask(&way, &fields, Some(body)).await,
        verdict @ (Verdict::Reply(_) | Verdict::Reset | Verdict::Failed) => {
            Asked::prevented(verdict, &method)
        }
    };
    if streams && let Asked::Draft(mut draft) = asked {
        let said = guard.and_then(|guard| guard.miss(&draft));
        asked = match said {
            Some(mut said) => match draft.word().await {
                // What a store says of a bucket that it does not have is no miss.
                Word::NoBucket => Asked::Draft(of_bucket(draft)),
                word @ (Word::Denied | Word::Other) => {
                    if word == Word::Denied && draft.status() == 403 {
                        said.push_str(" denied");
                    }
                    draft.spend();
                    exchange.leave();
                    if let Some(record) = exchange.record() {
                        record.is_miss = true;
                    }
                    exchange.miss(Miss::new(fields, &way, &said), &method, &facts).await
                }
            },
            None => Asked::Draft(of_bucket(draft)),
        };
    }
    exchange.answer(asked, &method).await
}

/// An answer of a bucket's, which says of an object that came from an origin that it did.
fn of_bucket(mut draft: Draft) -> Draft {
    if draft.by == By::Server {
        draft.tag();
    }
    draft
}

impl Exchange {
    /// Shows a miss to the filter and sends it where that says, until there is an answer.
    async fn miss(&mut self, mut miss: Miss, method: &Method, facts: &RequestFacts) -> Asked {
        for pass in 1..=MOST_PASSES {
            if let Err(Unfiltered) = self.open(facts.clone()) {
                return Asked::Failed;
            }
            let mut fields = std::mem::take(&mut miss.fields);
            let verdict = self.show(&mut fields, true).await;
            if verdict != Verdict::Pass {
                return Asked::prevented(verdict, method);
            }
            let to = Destination::take(&mut fields);
            let asked = match way::of_miss(self.worker(), method, &to) {
                Some(way) => self.send_on(&way, &miss, &fields).await,
                None => {
                    self.taken_over();
                    Asked::failed(503, "cluster_not_found", "", method)
                }
            };
            let Asked::Draft(mut draft) = asked else { return asked };
            if !to.is_returned(&draft) {
                draft.pace = to.paced.as_deref().and_then(|label| self.worker().pace(label));
                return Asked::Draft(draft);
            }
            if pass == MOST_PASSES {
                misses::mark(&mut draft);
                return Asked::Draft(draft);
            }
            miss.returned(fields, &draft, &to);
            draft.spend();
            self.leave();
        }
        Asked::Reset
    }

    async fn send_on(&mut self, way: &Way, miss: &Miss, fields: &Headers) -> Asked {
        if way.is_origin {
            // The filter tells of what it sends there.
            self.taken_over();
        }
        let asked = self.ask(way, &miss.sent(fields, way.is_origin), None).await;
        let Asked::Draft(mut draft) = asked else { return asked };
        misses::strip_said(&mut draft.fields);
        if let (true, Some(framing)) = (way.is_origin, draft.framing) {
            draft.fields.set(FRAMING.as_bytes(), framing.as_bytes());
        }
        Asked::Draft(if way.is_origin { draft } else { of_bucket(draft) })
    }
}
