//! The body of a client's request on its way to the store, piece by piece past the filter.
//!
//! Owns the guarantee that a body that broke off never looks whole to the store.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::message;
use crate::host::{FilterStream, Headers, Piece};

/// The client left, or the filter broke the request off, in the middle of its body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct BrokenOff;

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body broke off before its end")
    }
}

impl std::error::Error for BrokenOff {}

enum Part {
    Data(Bytes),
    Trailers(HeaderMap),
    End,
}

/// The receiving end, which the store's connection reads.
///
/// When the sending end goes without having said that it is the end, that is an error.
pub(super) struct RequestBody {
    parts: Receiver<Part>,
    has_ended: bool,
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        Poll::Ready(match ready!(self.parts.poll_recv(task)) {
            Some(Part::Data(data)) => Some(Ok(Frame::data(data))),
            Some(Part::Trailers(map)) => {
                self.has_ended = true;
                Some(Ok(Frame::trailers(map)))
            }
            Some(Part::End) => {
                self.has_ended = true;
                None
            }
            None => {
                self.has_ended = true;
                Some(Err(BrokenOff))
            }
        })
    }
}

/// How a body ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ending {
    /// All of it was passed on.
    Whole,
    /// The client left in the middle of it.
    ClientLeft,
    /// The filter held back more of it than it may.
    TooMuch,
    /// The store wants no more of it, or the filter ended the exchange.
    Stopped,
}

/// The sending end: shows the client's body to the filter and passes on what it lets go.
pub(super) struct Pump {
    body: Incoming,
    /// The filter that is shown the body, where there is one.
    stream: Option<Rc<FilterStream>>,
    parts: Sender<Part>,
    /// The bytes that have come.
    received: Rc<Cell<u64>>,
}

impl Pump {
    /// One piece is under way at a time, so a slow store slows the client, not the memory.
    pub(super) fn new(
        body: Incoming,
        stream: Option<Rc<FilterStream>>,
        received: Rc<Cell<u64>>,
    ) -> (Self, RequestBody) {
        let (sender, parts) = channel(1);
        let pump = Self { body, stream, parts: sender, received };
        (pump, RequestBody { parts, has_ended: false })
    }

    /// Passes everything on. Only a whole body ends with an end mark.
    pub(super) async fn run(mut self) -> Ending {
        match self.pass_all().await {
            Ok(()) => Ending::Whole,
            Err(ending) => ending,
        }
    }

    async fn pass_all(&mut self) -> Result<(), Ending> {
        let is_seen = self.stream.as_ref().is_some_and(|stream| stream.sees_request_body());
        let mut trailers = None;
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|_| Ending::ClientLeft)?;
            let length = frame.data_ref().map_or(0, Bytes::len) as u64;
            self.received.set(self.received.get() + length);
            match frame.into_data() {
                Ok(data) if is_seen => self.show(data, false).await?,
                Ok(data) => self.pass(data).await?,
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
        let Some(map) = trailers else {
            if is_seen {
                self.show(Bytes::new(), true).await?;
            }
            return self.send(Part::End).await;
        };
        let fields = Headers::from_http(&[], &map);
        let fields = match &self.stream {
            Some(stream) => stream.request_trailers(fields).map_err(|_| Ending::Stopped)?,
            None => fields,
        };
        self.send(Part::Trailers(message::header_map(&fields).0)).await
    }

    async fn show(&self, data: Bytes, end: bool) -> Result<(), Ending> {
        let Some(stream) = &self.stream else { return self.pass(data).await };
        match stream.request_body(data, end) {
            Piece::Pass(data) => self.pass(data).await,
            Piece::Held if end => {
                let held = stream.held_request_body().await;
                self.pass(held.map_err(|_| Ending::Stopped)?).await
            }
            Piece::Held => Ok(()),
            Piece::TooMuch => Err(Ending::TooMuch),
            Piece::Failed => Err(Ending::Stopped),
        }
    }

    async fn pass(&self, data: Bytes) -> Result<(), Ending> {
        if data.is_empty() { Ok(()) } else { self.send(Part::Data(data)).await }
    }

    async fn send(&self, part: Part) -> Result<(), Ending> {
        self.parts.send(part).await.map_err(|_| Ending::Stopped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn collect(parts: Vec<Part>) -> Result<Bytes, BrokenOff> {
        let (sender, receiver) = channel(8);
        for part in parts {
            assert!(sender.send(part).await.is_ok());
        }
        drop(sender);
        let body = RequestBody { parts: receiver, has_ended: false };
        body.collect().await.map(http_body_util::Collected::to_bytes)
    }

    #[tokio::test]
    async fn a_body_is_whole_only_with_its_end_mark() {
        let data = || Part::Data(Bytes::from_static(b"half"));
        assert_eq!(collect(vec![data(), Part::End]).await.unwrap(), "half");
        assert_eq!(collect(vec![data()]).await, Err(BrokenOff));
        assert_eq!(collect(vec![]).await, Err(BrokenOff));
    }
}
