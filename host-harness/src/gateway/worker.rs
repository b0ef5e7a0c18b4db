//! One thread that serves: its share of the connections, its virtual machine, its pools.
//!
//! Owns accepting and stopping. Nothing of a worker is touched by another thread; orders come as
//! messages.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{oneshot, watch};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{sleep, timeout};

use super::arrival::{Arrivals, Arrived};
use super::guard::Guards;
use super::pace::{Budgets, Pace};
use super::serve::{Connection, serve};
use super::settings::{Cluster, Routes, Timeouts, bounds};
use super::upstream::Upstreams;
use crate::host::{Journal, Level, LogRecord, Plugin, PluginError};
use crate::server::ACCEPT_PAUSE;

/// The most bytes of a request's head: Envoy's limit.
const LARGEST_HEAD: u32 = bounds::HEAD_KIB * 1024;

/// How long the filter has to abort what it has begun to write, once the time for ending it is up.
const GIVING_UP: Duration = Duration::from_secs(4);

/// What serving a request needs.
pub(super) struct Worker {
    pub(super) number: usize,
    pub(super) plugin: Plugin,
    /// What makes a request a miss, where misses are requests of their own.
    pub(super) guards: Option<Guards>,
    pub(super) upstreams: Upstreams,
    /// How fast misses may stream.
    pub(super) budgets: Budgets,
    pub(super) routes: Routes,
    pub(super) timeouts: Timeouts,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) address: SocketAddr,
    /// What connections begin with.
    pub(super) arrivals: Arrivals,
    /// How many proxies before the gateway are believed; `None` leaves what they say as it is.
    pub(super) trusted_hops: Option<u8>,
    /// Whether requests are recorded.
    pub(super) records: bool,
    /// The connections of all workers.
    pub(super) crowd: Arc<Crowd>,
    pub(super) connections: Cell<u64>,
    /// Each open connection holds one.
    pub(super) open: Rc<()>,
    /// Whether connections are cut.
    pub(super) is_cut: watch::Sender<bool>,
}

/// How many connections there are, and may be.
pub(super) struct Crowd {
    open: AtomicU32,
    most: u32,
    is_full: AtomicBool,
}

/// A connection that is counted for as long as this lives.
struct Counted(Arc<Crowd>);

enum Entered {
    In(Counted),
    /// `is_first` since there was room.
    Full {
        is_first: bool,
    },
}

impl Crowd {
    pub(super) const fn new(most: u32) -> Self {
        Self { open: AtomicU32::new(0), most, is_full: AtomicBool::new(false) }
    }

    /// Counts one more, if it may be.
    fn enter(self: &Arc<Self>) -> Entered {
        let counted = Counted(Arc::clone(self));
        let has_room = self.open.fetch_add(1, Ordering::Relaxed) < self.most;
        let was_full = self.is_full.swap(!has_room, Ordering::Relaxed);
        if has_room { Entered::In(counted) } else { Entered::Full { is_first: !was_full } }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Worker {
    fn reconfigure(&self, change: &Change) -> Result<(), PluginError> {
        let Change { configuration, clusters, trust } = change;
        // The filter refuses what names a cluster there is not, so these come first.
        self.upstreams.add(clusters, trust);
        self.plugin.reconfigure(configuration)?;
        self.guards.as_ref().map_or(Ok(()), |guards| guards.reread(configuration))
    }
}

impl Worker {
    /// The pace of an answer under the quota of this label.
    pub(super) fn pace(&self, label: &str) -> Option<Pace> {
        let bits = self.guards.as_ref()?.bits(label)?;
        Some(self.budgets.pace(label, bits))
    }

    /// Logs what is no request's.
    fn tell(&self, level: Level, message: String) {
        self.journal.log(LogRecord { level, worker: self.number, context: 0, message });
    }
}

/// What a running worker can be given.
pub(super) struct Change {
    /// The filter's configuration.
    pub(super) configuration: Arc<str>,
    /// All clusters it names, and those of the start.
    pub(super) clusters: Vec<Cluster>,
    /// What they are trusted by.
    pub(super) trust: ClientConfig,
}

/// An order to a worker.
pub(super) enum Order {
    Reconfigure(Arc<Change>, oneshot::Sender<Result<(), PluginError>>),
    Stop,
}

/// A worker's thread, seen from outside. Dropping it stops the thread without waiting for it.
pub(super) struct Handle {
    pub(super) orders: UnboundedSender<Order>,
    thread: JoinHandle<()>,
}

impl Handle {
    /// Starts a thread. Whether the worker came up is told by `started`.
    pub(super) fn spawn(
        number: usize,
        listener: std::net::TcpListener,
        started: oneshot::Sender<Result<(), PluginError>>,
        build: impl FnOnce() -> Result<Worker, PluginError> + Send + 'static,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (orders, inbox) = unbounded_channel();
        let thread =
            std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
                LocalSet::new().block_on(&runtime, async move {
                    let worker = match build() {
                        Ok(worker) => Rc::new(worker),
                        Err(error) => {
                            // Who started it may have given up; then nobody needs to know.
                            let _ = started.send(Err(error));
                            return;
                        }
                    };
                    let Ok(listener) = TcpListener::from_std(listener) else { return };
                    let _ = started.send(Ok(()));
                    run(worker, listener, inbox).await;
                });
            })?;
        Ok(Self { orders, thread })
    }

    pub(super) fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Waits for the thread's end.
    pub(super) async fn join(self) {
        drop(self.orders);
        // A worker that panicked has ended too, which is all that is asked here.
        let _ = tokio::task::spawn_blocking(|| self.thread.join()).await;
    }
}

/// Runs futures on the worker's own thread.
#[derive(Clone, Copy)]
struct Local;

impl<F: Future + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, future: F) {
        spawn_local(async move {
            future.await;
        });
    }
}

async fn run(worker: Rc<Worker>, listener: TcpListener, mut orders: UnboundedReceiver<Order>) {
    let own = Rc::clone(&worker);
    spawn_local(async move { own.plugin.deliver().await });
    let graceful = GracefulShutdown::new();
    let mut is_refusing = false;
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Reconfigure(change, done)) => {
                    let outcome = worker.reconfigure(&change);
                    // The caller may have left; the configuration holds all the same.
                    let _ = done.send(outcome);
                }
                Some(Order::Stop) | None => break,
            },
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    is_refusing = false;
                    connect(&worker, stream, peer, &graceful);
                }
                Err(error) => {
                    // It goes on as it is until something is given back; one line says so.
                    if !is_refusing {
                        worker.tell(Level::Error, format!("no connection can be accepted: {error}"));
                    }
                    is_refusing = true;
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let drained = timeout(worker.timeouts.drain, async {
        graceful.shutdown().await;
        worker.plugin.idle().await;
    });
    if drained.await.is_err() {
        give_up(&worker).await;
    }
}

/// Ends what has not ended in time: clients are cut off, nothing more is fetched, and the filter gets
/// the time to abort what it has begun to write.
async fn give_up(worker: &Worker) {
    let connections = Rc::strong_count(&worker.open) - 1;
    let time = worker.timeouts.drain.as_secs_f64();
    let plural = if connections == 1 { "" } else { "s" };
    worker.tell(
        Level::Warn,
        format!(
            "stopping after {time} s: {connections} connection{plural} cut, and what is not \
             fetched yet is not stored"
        ),
    );
    let stores: Vec<_> = worker.routes.buckets.values().map(|route| &*route.cluster).collect();
    worker.upstreams.leave_all_but(&stores);
    worker.is_cut.send_replace(true);
    // They see it in their next turn.
    tokio::task::yield_now().await;
    if timeout(GIVING_UP, worker.plugin.idle()).await.is_err() {
        worker.tell(
            Level::Error,
            "stopped before the store had answered: an upload may be open still, which a lifecycle \
             rule (AbortIncompleteMultipartUpload) ends"
                .to_owned(),
        );
    }
}

fn connect(worker: &Rc<Worker>, stream: TcpStream, peer: SocketAddr, graceful: &GracefulShutdown) {
    // Without it answers only come later, so a refusal is no reason to refuse the client.
    let _ = stream.set_nodelay(true);
    let number = worker.connections.get() + 1;
    worker.connections.set(number);
    // As Envoy has it: who comes too late is let go at once.
    let counted = match worker.crowd.enter() {
        Entered::In(counted) => counted,
        Entered::Full { is_first } => {
            if is_first {
                let most = worker.crowd.most;
                worker.tell(
                    Level::Warn,
                    format!("{most} connections are open; further ones are closed"),
                );
            }
            return;
        }
    };
    let open = Rc::clone(&worker.open);
    let watcher = graceful.watcher();
    let worker = Rc::clone(worker);
    let mut is_cut = worker.is_cut.subscribe();
    spawn_local(async move {
        let served = async {
            // Who is no client of this listener's is let go without a word.
            let Ok((arrived, peer)) = worker.arrivals.take(stream, peer).await else { return };
            match arrived {
                Arrived::Plain(stream) => {
                    let connection = Connection { number, peer, scheme: "http" };
                    requests(&worker, stream, connection, watcher).await;
                }
                Arrived::Encrypted(stream) => {
                    let connection = Connection { number, peer, scheme: "https" };
                    requests(&worker, stream, connection, watcher).await;
                }
            }
        };
        tokio::select! {
            () = served => {}
            _ = is_cut.wait_for(|is_cut| *is_cut) => {}
        }
        drop((open, counted));
    });
}

/// Serves the requests of one connection. How it ends is the client's affair; each request has a record.
async fn requests<S>(worker: &Rc<Worker>, stream: S, connection: Connection, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let service = {
        let worker = Rc::clone(worker);
        service_fn(move |request| serve(Rc::clone(&worker), connection, request))
    };
    let mut builder = auto::Builder::new(Local);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(worker.timeouts.idle)
        .max_headers(bounds::HEADERS as usize)
        .max_buf_size(LARGEST_HEAD as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(bounds::STREAMS)
        .initial_stream_window_size(bounds::STREAM_WINDOW)
        .initial_connection_window_size(bounds::CONNECTION_WINDOW)
        .max_send_buf_size(bounds::STREAM_WINDOW as usize)
        .max_header_list_size(LARGEST_HEAD);
    let served = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    let _ = watcher.watch(served).await;
}
