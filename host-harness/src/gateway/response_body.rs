//! The body of a response on its way to the client, piece by piece past the filter.
//!
//! Owns back-pressure: nothing is read from the store before the client takes what there is, and
//! nothing at all while the filter holds the head. Dropping it ends the exchange.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use super::exchange::Exchange;
use super::message;
use crate::host::{Headers, Piece};

/// The response cannot be finished; the client sees its connection or stream break.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Broken {
    /// The store's body broke off.
    Store,
    /// Nothing came for too long.
    Idle,
    /// The filter broke it off, held too much of it, or died.
    Filter,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Store => "the store broke its response off",
            Self::Idle => "the response stood still for too long",
            Self::Filter => "the filter broke the response off",
        })
    }
}

impl std::error::Error for Broken {}

/// Where a body comes from.
pub(super) enum Source {
    Store(Incoming),
    Local(Option<Bytes>),
}

impl Source {
    fn is_over(&self) -> bool {
        match self {
            Self::Store(body) => body.is_end_stream(),
            Self::Local(body) => body.is_none(),
        }
    }

    fn poll(&mut self, task: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self {
            Self::Store(body) => Pin::new(body)
                .poll_frame(task)
                .map(|frame| frame.map(|frame| frame.map_err(|_| Broken::Store))),
            Self::Local(body) => Poll::Ready(body.take().map(|data| Ok(Frame::data(data)))),
        }
    }
}

pub(super) struct ResponseBody {
    exchange: Exchange,
    source: Source,
    /// Whether the filter is shown the body.
    is_seen: bool,
    ready: VecDeque<Frame<Bytes>>,
    /// The filter holds back what it was shown.
    is_held: bool,
    /// The source has nothing more.
    is_drained: bool,
    /// Nothing more will become ready.
    is_over: bool,
    idle: Duration,
    watch: Option<Pin<Box<Sleep>>>,
}

impl ResponseBody {
    pub(super) fn new(exchange: Exchange, source: Source, end: bool, is_seen: bool) -> Self {
        let idle = exchange.idle();
        Self {
            exchange,
            source,
            is_seen: is_seen && !end,
            ready: VecDeque::new(),
            is_held: false,
            is_drained: end,
            is_over: end,
            idle,
            watch: None,
        }
    }

    fn show(&mut self, data: Bytes, end: bool) -> Result<(), Broken> {
        let passed = match (self.is_seen, self.exchange.stream()) {
            (true, Some(stream)) => match stream.response_body(data, end) {
                Piece::Pass(data) => {
                    self.is_held = false;
                    data
                }
                Piece::Held => {
                    self.is_held = true;
                    Bytes::new()
                }
                Piece::TooMuch | Piece::Failed => return Err(Broken::Filter),
            },
            (false, _) | (true, None) => data,
        };
        self.push(passed);
        Ok(())
    }

    fn push(&mut self, data: Bytes) {
        if !data.is_empty() {
            self.ready.push_back(Frame::data(data));
        }
    }

    fn drained(&mut self) -> Result<(), Broken> {
        self.is_drained = true;
        if self.is_seen {
            self.show(Bytes::new(), true)?;
        }
        self.is_over = !self.is_held;
        Ok(())
    }

    fn take(&mut self, frame: Frame<Bytes>) -> Result<(), Broken> {
        match frame.into_data() {
            Ok(data) => {
                self.show(data, false)?;
                // The last piece and the end go together: whoever counts bytes does not come back.
                if self.source.is_over() { self.drained() } else { Ok(()) }
            }
            Err(frame) => {
                let Ok(map) = frame.into_trailers() else { return Ok(()) };
                let map = match self.exchange.stream().filter(|_| self.is_seen) {
                    Some(stream) => {
                        let fields = stream.response_trailers(Headers::from_http(&[], &map));
                        message::header_map(&fields.map_err(|_| Broken::Filter)?).0
                    }
                    None => map,
                };
                self.ready.push_back(Frame::trailers(map));
                (self.is_drained, self.is_over) = (true, true);
                Ok(())
            }
        }
    }

    /// Whether the stream has stood still for too long.
    fn poll_watch(&mut self, task: &mut Context<'_>) -> Poll<Broken> {
        let watch = self.watch.get_or_insert_with(|| Box::pin(sleep(self.idle)));
        watch.as_mut().poll(task).map(|()| Broken::Idle)
    }

    fn reset_watch(&mut self) {
        if let Some(watch) = &mut self.watch {
            watch.as_mut().reset(Instant::now() + self.idle);
        }
    }

    fn poll(&mut self, task: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(frame)));
            }
            if self.is_over {
                return Poll::Ready(None);
            }
            if self.is_seen
                && let Some(stream) = self.exchange.stream()
            {
                if stream.poll_intervention(task).is_ready() {
                    return Poll::Ready(Some(Err(Broken::Filter)));
                }
                if self.is_held
                    && let Poll::Ready(held) = stream.poll_held_response_body(task)
                {
                    let Ok(held) = held else { return Poll::Ready(Some(Err(Broken::Filter))) };
                    self.is_held = false;
                    self.is_over = self.is_drained;
                    self.push(held);
                    continue;
                }
            }
            if self.is_drained {
                return self.poll_watch(task).map(|broken| Some(Err(broken)));
            }
            let step = match self.source.poll(task) {
                Poll::Pending => return self.poll_watch(task).map(|broken| Some(Err(broken))),
                Poll::Ready(None) => self.drained(),
                Poll::Ready(Some(Ok(frame))) => self.take(frame),
                Poll::Ready(Some(Err(broken))) => Err(broken),
            };
            self.reset_watch();
            if let Err(broken) = step {
                return Poll::Ready(Some(Err(broken)));
            }
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let polled = self.poll(task);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                self.exchange.passed_on(length);
            }
            Poll::Ready(Some(Err(broken))) => self.exchange.broke(*broken),
            Poll::Ready(None) | Poll::Pending => {}
        }
        if self.is_end_stream() {
            self.exchange.completed();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.is_over && self.ready.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_end_stream() { SizeHint::with_exact(0) } else { SizeHint::default() }
    }
}
