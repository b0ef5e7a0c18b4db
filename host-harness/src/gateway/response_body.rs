//! The body of a response on its way to the client.
//!
//! Owns the patience with a body that stands still, and the end of one that breaks off. Dropping it
//! ends the exchange.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::exchange::Exchange;
use super::filtered::{Broken, Filtered};
use super::pace::Pace;

pub(super) struct ResponseBody {
    exchange: Exchange,
    body: Filtered,
    idle: Duration,
    /// What has come by when the clock was set.
    steps: u64,
    /// Runs while there is nothing to hand on; a client's own slowness is not counted.
    watch: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
    pace: Option<Pace>,
    /// Until when the next piece has to wait.
    pause: Option<Pin<Box<Sleep>>>,
    /// What the body broke off by, until the client is told.
    broken: Option<Broken>,
}

impl ResponseBody {
    pub(super) const fn new(
        exchange: Exchange,
        body: Filtered,
        idle: Duration,
        pace: Option<Pace>,
    ) -> Self {
        let (watch, pause, broken) = (None, None, None);
        Self { exchange, body, idle, steps: 0, watch, is_waiting: false, pace, pause, broken }
    }

    /// Whether the pace has the next piece wait. Nothing is read meanwhile.
    fn is_paused(&mut self, task: &mut Context<'_>) -> bool {
        let Some(pause) = &mut self.pause else { return false };
        let is_paused = !self.body.is_over() && pause.as_mut().poll(task).is_pending();
        if !is_paused {
            self.pause = None;
        }
        is_paused
    }

    /// So many bytes go to the client.
    fn pass(&mut self, bytes: usize) {
        self.exchange.passed_on(bytes);
        let now = Instant::now();
        let until = self.pace.as_ref().map(|pace| pace.spend(bytes, now.into_std()));
        let until = until.map(Instant::from_std).filter(|until| *until > now);
        self.pause = until.map(|until| Box::pin(sleep_until(until)));
    }

    /// Whether nothing has come for too long.
    fn poll_watch(&mut self, task: &mut Context<'_>) -> Poll<Broken> {
        let watch = self.watch.get_or_insert_with(|| Box::pin(sleep(self.idle)));
        if !self.is_waiting || self.steps != self.body.steps() {
            (self.is_waiting, self.steps) = (true, self.body.steps());
            watch.as_mut().reset(Instant::now() + self.idle);
        }
        watch.as_mut().poll(task).map(|()| Broken::Idle)
    }

    fn poll(&mut self, task: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.body.poll(task) {
            Poll::Ready(polled) => {
                self.is_waiting = false;
                Poll::Ready(polled)
            }
            Poll::Pending => self.poll_watch(task).map(|broken| Some(Err(broken))),
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
        if let Some(broken) = self.broken.take() {
            return Poll::Ready(Some(Err(broken)));
        }
        if self.is_paused(task) {
            self.is_waiting = false;
            return Poll::Pending;
        }
        let polled = self.poll(task);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                self.pass(length);
            }
            Poll::Ready(Some(Err(broken))) => {
                self.exchange.broke(*broken);
                // With an error the connection ends at once, and what has not been sent by then is
                // lost, be it the head. It is sent as soon as nothing more is there.
                self.broken = Some(*broken);
                task.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(None) | Poll::Pending => {}
        }
        if self.is_end_stream() {
            self.exchange.completed();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_end_stream() { SizeHint::with_exact(0) } else { SizeHint::default() }
    }
}
