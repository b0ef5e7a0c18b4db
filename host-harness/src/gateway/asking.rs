//! A request on its way to a server, until the head of an answer is there.
//!
//! Owns who may end that: the client, the filter, the server, the time.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use back_to_origin::miss_route::REFUSED_DETAILS;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body as _, Incoming};
use tokio::sync::oneshot;
use tokio::task::spawn_local;
use tokio::time::sleep;

use super::draft::{Asked, By, Draft};
use super::exchange::Exchange;
use super::message;
use super::request_body::{Ending, Pump};
use super::upstream::{Failure, UpstreamBody, framing, is_framed, peer};
use super::way::Way;
use crate::host::{
    CONNECTION_LOST, FilterStream, Headers, NO_CONNECTION, PROTOCOL_ERROR, REFUSED, TIMED_OUT,
    Verdict,
};

/// Waits for something, unless the filter wants something else meanwhile.
async fn unless_intervened<T>(
    stream: Option<&FilterStream>,
    future: impl Future<Output = T>,
) -> Result<T, Verdict> {
    let mut future = pin!(future);
    poll_fn(|task| {
        if let Some(stream) = stream
            && let Poll::Ready(verdict) = stream.poll_intervention(task)
        {
            return Poll::Ready(Err(verdict));
        }
        future.as_mut().poll(task).map(Ok)
    })
    .await
}

impl Exchange {
    /// Sends the request to its cluster and waits for the head of a response - or for the filter,
    /// which sees the body meanwhile and may answer itself.
    pub(super) async fn ask(
        &mut self,
        way: &Way,
        fields: &Headers,
        body: Option<Incoming>,
    ) -> Asked {
        let method = &way.method;
        let (body, sent) = self.upstream_body(body);
        let failed = |status, details, text| Asked::failed(status, details, text, method);
        let Some(request) = way.request(fields, body) else {
            return failed(400, "bad_request_to_upstream", "");
        };
        let asked = Instant::now();
        let mut response = pin!(way.upstream.send(request));
        let mut late = pin!(async {
            // The server has time from when it has the whole request.
            match sent.await {
                Ok(ending @ (Ending::ClientLeft | Ending::TooMuch)) => ending,
                Ok(ending @ (Ending::Whole | Ending::Stopped)) => {
                    sleep(way.patience).await;
                    ending
                }
                Err(_) => {
                    sleep(way.patience).await;
                    Ending::Whole
                }
            }
        });
        let response = poll_fn(|task| {
            // What the client does comes first: a server that misses the rest of a body has a
            // reason to hang up.
            if let Poll::Ready(ending) = late.as_mut().poll(task) {
                return Poll::Ready(Err(ending));
            }
            response.as_mut().poll(task).map(Ok)
        });
        match unless_intervened(self.stream(), response).await {
            Ok(Ok(Ok(response))) if is_framed(&response) => {
                let upstream = peer(&response);
                let framing = Some(framing(&response));
                let (mut head, body) = response.into_parts();
                if let Some(record) = self.record() {
                    record.server = Some(asked.elapsed());
                }
                Asked::Draft(Draft {
                    framing,
                    by: By::Server,
                    fields: message::response_fields(head.status, &mut head.headers),
                    end: body.is_end_stream(),
                    source: way.source(body),
                    details: "via_upstream".to_owned(),
                    upstream,
                    patience: way.idle,
                    pace: None,
                })
            }
            Ok(Ok(Ok(_) | Err(Failure::Protocol))) => failed(
                502,
                "upstream_reset_before_response_started{protocol_error}",
                PROTOCOL_ERROR,
            ),
            Ok(Ok(Err(Failure::Connect))) => failed(
                503,
                "upstream_reset_before_response_started{connection_failure}",
                NO_CONNECTION,
            ),
            Ok(Ok(Err(Failure::Inside))) => failed(403, REFUSED_DETAILS, REFUSED),
            Ok(Ok(Err(Failure::Lost))) => failed(
                503,
                "upstream_reset_before_response_started{connection_termination}",
                CONNECTION_LOST,
            ),
            Ok(Err(Ending::ClientLeft)) => Asked::Reset,
            Ok(Err(Ending::TooMuch)) => {
                failed(413, "request_payload_too_large", "Payload Too Large")
            }
            Ok(Err(Ending::Whole | Ending::Stopped)) => {
                way.upstream.is_late();
                failed(504, "upstream_response_timeout", TIMED_OUT)
            }
            Err(verdict) => Asked::prevented(verdict, method),
        }
    }

    /// The body to send on, and a notice of when it has been sent.
    fn upstream_body(
        &mut self,
        body: Option<Incoming>,
    ) -> (UpstreamBody, oneshot::Receiver<Ending>) {
        let (sender, sent) = oneshot::channel();
        let Some(body) = body.filter(|body| !body.is_end_stream()) else {
            return (Empty::new().map_err(|never| match never {}).boxed(), sent);
        };
        let (pump, body) = Pump::new(body, self.shared_stream(), self.received());
        let task = spawn_local(async move {
            // An exchange that is over does not ask how the body ended.
            let _ = sender.send(pump.run().await);
        });
        self.pumps(task.abort_handle());
        (body.boxed(), sent)
    }
}
