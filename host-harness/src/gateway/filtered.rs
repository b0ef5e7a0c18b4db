//! The body of a response past a filter, piece by piece.
//!
//! Owns back-pressure: nothing is read before what there is has been taken, and nothing at all
//! while a filter holds the head.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as _, Frame, Incoming};

use super::message;
use crate::host::{FilterStream, Headers, Piece};

/// The response cannot be finished; the client sees its connection or stream break.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Broken {
    /// The store's body broke off.
    Store,
    /// The origin's body broke off.
    Origin,
    /// Nothing came for too long.
    Idle,
    /// The filter broke it off, held too much of it, or died.
    Filter,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Store => "the store broke its response off",
            Self::Origin => "the origin broke its response off",
            Self::Idle => "the response stood still for too long",
            Self::Filter => "the filter broke the response off",
        })
    }
}

impl std::error::Error for Broken {}

/// Where a body comes from.
pub(super) enum Source {
    Store(Incoming),
    Origin(Incoming),
    Local(Option<Bytes>),
}

type Polled = Poll<Option<Result<Frame<Bytes>, Broken>>>;

impl Source {
    fn is_over(&self) -> bool {
        match self {
            Self::Store(body) | Self::Origin(body) => body.is_end_stream(),
            Self::Local(body) => body.is_none(),
        }
    }

    fn poll(&mut self, task: &mut Context<'_>) -> Polled {
        let (body, broken) = match self {
            Self::Store(body) => (body, Broken::Store),
            Self::Origin(body) => (body, Broken::Origin),
            Self::Local(body) => return Poll::Ready(body.take().map(|data| Ok(Frame::data(data)))),
        };
        let frame = Pin::new(body).poll_frame(task);
        frame.map(|frame| frame.map(|frame| frame.map_err(|_| broken)))
    }
}

/// A body on its way past a filter, or past none.
pub(super) struct Filtered {
    source: Source,
    /// The filter that is shown the body.
    stream: Option<Rc<FilterStream>>,
    ready: VecDeque<Frame<Bytes>>,
    /// The filter holds back what it was shown.
    is_held: bool,
    /// The source has nothing more.
    is_drained: bool,
    /// Nothing more will become ready.
    is_over: bool,
    /// How often something has come from the source.
    steps: u64,
}

impl Filtered {
    pub(super) fn new(source: Source, end: bool, stream: Option<Rc<FilterStream>>) -> Self {
        Self {
            source,
            stream: stream.filter(|stream| !end && stream.sees_response_body()),
            ready: VecDeque::new(),
            is_held: false,
            is_drained: end,
            is_over: end,
            steps: 0,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over && self.ready.is_empty()
    }

    pub(super) const fn steps(&self) -> u64 {
        self.steps
    }

    fn show(&mut self, data: Bytes, end: bool) -> Result<(), Broken> {
        let passed = match &self.stream {
            Some(stream) => match stream.response_body(data, end) {
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
            None => data,
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
        if self.stream.is_some() {
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
                let map = match &self.stream {
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

    pub(super) fn poll(&mut self, task: &mut Context<'_>) -> Polled {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(frame)));
            }
            if self.is_over {
                return Poll::Ready(None);
            }
            if let Some(stream) = &self.stream {
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
                return Poll::Pending;
            }
            let step = match self.source.poll(task) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => self.drained(),
                Poll::Ready(Some(Ok(frame))) => self.take(frame),
                Poll::Ready(Some(Err(broken))) => Err(broken),
            };
            self.steps += 1;
            if let Err(broken) = step {
                return Poll::Ready(Some(Err(broken)));
            }
        }
    }
}
