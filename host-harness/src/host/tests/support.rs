//! Small modules in text form, and what they saw.
//!
//! A module's callbacks are written in the text format with three additions: `@"text"` stands for
//! the address and the length of that text in memory, `$note` logs a status as a number, and all
//! functions of the ABI are imported under their names without `proxy_`.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::host::callouts::{Answer, Callout, Callouts, Pending};
use crate::host::context::RequestFacts;
use crate::host::headers::Headers;
use crate::host::journal::{Access, Journal, LogRecord};
use crate::host::program::Program;
use crate::host::shared::{QueueReady, Shared};
use crate::host::state::{Identity, Surroundings};
use crate::host::vm::Vm;

/// All functions of proxy-wasm 0.2.1 with their parameters: `i` for 32 bits, `l` for 64.
const ABI: [(&str, &str); 39] = [
    ("add_header_map_value", "iiiii"),
    ("call_foreign_function", "iiiiii"),
    ("close_stream", "i"),
    ("continue_stream", "i"),
    ("define_metric", "iiii"),
    ("dequeue_shared_queue", "iii"),
    ("done", ""),
    ("enqueue_shared_queue", "iii"),
    ("get_buffer_bytes", "iiiii"),
    ("get_buffer_status", "iii"),
    ("get_current_time_nanoseconds", "i"),
    ("get_header_map_pairs", "iii"),
    ("get_header_map_size", "ii"),
    ("get_header_map_value", "iiiii"),
    ("get_log_level", "i"),
    ("get_metric", "ii"),
    ("get_property", "iiii"),
    ("get_shared_data", "iiiii"),
    ("get_status", "iii"),
    ("grpc_call", "iiiiiiiiiiii"),
    ("grpc_cancel", "i"),
    ("grpc_close", "i"),
    ("grpc_send", "iiii"),
    ("grpc_stream", "iiiiiiiii"),
    ("http_call", "iiiiiiiiii"),
    ("increment_metric", "il"),
    ("log", "iii"),
    ("record_metric", "il"),
    ("register_shared_queue", "iii"),
    ("remove_header_map_value", "iii"),
    ("replace_header_map_value", "iiiii"),
    ("resolve_shared_queue", "iiiii"),
    ("send_local_response", "iiiiiiii"),
    ("set_buffer_bytes", "iiiii"),
    ("set_effective_context", "i"),
    ("set_header_map_pairs", "iii"),
    ("set_property", "iiii"),
    ("set_shared_data", "iiiii"),
    ("set_tick_period_milliseconds", "i"),
];

/// Memory below is for results: an address at 8, a length at 12, a number at 16. Texts begin here.
const TEXTS: usize = 1024;

/// Compiles a module with these callbacks.
pub(crate) fn module(callbacks: &str) -> Program {
    let mut imports = String::new();
    for (name, parameters) in ABI {
        let types = parameters.replace('i', " i32").replace('l', " i64");
        let parameters = if types.is_empty() { String::new() } else { format!("(param{types})") };
        let function = format!(r#"(func ${name} {parameters} (result i32))"#);
        writeln!(imports, r#"(import "env" "proxy_{name}" {function})"#).unwrap();
    }
    let (mut code, mut data, mut next) = (String::new(), String::new(), TEXTS);
    let mut rest = callbacks;
    while let Some((before, after)) = rest.split_once("@\"") {
        let (text, after) = after.split_once('"').unwrap();
        // An escape in the text format is a backslash and two digits, and makes one byte.
        let length = text.len() - 2 * text.matches('\\').count();
        writeln!(data, r#"(data (i32.const {next}) "{text}")"#).unwrap();
        write!(code, "{before}(i32.const {next}) (i32.const {length})").unwrap();
        (next, rest) = (next + length, after);
    }
    let text = format!(
        r#"(module {imports}
        (memory (export "memory") 4) {data}
        (global $free (mut i32) (i32.const 65536))
        (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
          (global.get $free)
          (global.set $free (i32.add (global.get $free) (local.get $size))))
        (func $note (param $status i32)
          (i32.store8 (i32.const 32) (i32.add (i32.const 48) (i32.div_u (local.get $status) (i32.const 10))))
          (i32.store8 (i32.const 33) (i32.add (i32.const 48) (i32.rem_u (local.get $status) (i32.const 10))))
          (drop (call $log (i32.const 2) (i32.const 32) (i32.const 2))))
        (func $tell
          (drop (call $log (i32.const 2) (i32.load (i32.const 8)) (i32.load (i32.const 12)))))
        (func (export "proxy_abi_version_0_2_1"))
        {code}{rest})"#
    );
    Program::compile(&wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))).unwrap()
}

/// Pairs in their wire form, as a text for a module.
pub(crate) fn pairs(fields: &[(&str, &str)]) -> String {
    let headers: Headers = fields.iter().copied().collect();
    headers.serialize().iter().map(|byte| format!("\\{byte:02x}")).collect()
}

/// A callback that is called with numbers and returns nothing.
pub(crate) fn on(name: &str, parameters: usize, body: &str) -> String {
    let parameters = " i32".repeat(parameters);
    format!(r#"(func (export "proxy_on_{name}") (param{parameters}) {body})"#)
}

/// A callback that returns a number besides.
pub(crate) fn on_with(name: &str, parameters: usize, body: &str, returned: i32) -> String {
    let parameters = " i32".repeat(parameters);
    let body = format!("(param{parameters}) (result i32) {body} (i32.const {returned})");
    format!(r#"(func (export "proxy_on_{name}") {body})"#)
}

/// Keeps what modules log.
#[derive(Default)]
pub(crate) struct Log(Mutex<Vec<LogRecord>>);

impl Journal for Log {
    fn access(&self, _: Access) {}

    fn log(&self, record: LogRecord) {
        self.0.lock().unwrap().push(record);
    }
}

impl Log {
    /// The lines since the last time this was asked.
    pub(crate) fn take(&self) -> Vec<String> {
        self.0.lock().unwrap().drain(..).map(|record| record.message).collect()
    }

    /// The lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|record| record.message.clone()).collect()
    }

    pub(crate) fn contexts(&self) -> Vec<u32> {
        self.0.lock().unwrap().iter().map(|record| record.context).collect()
    }
}

/// Knows the cluster `c`, and answers every call when it is told to.
#[derive(Default)]
pub(crate) struct Calls {
    pub(crate) sent: Mutex<Vec<Callout>>,
    pub(crate) answers: Mutex<Vec<tokio::sync::oneshot::Sender<Answer>>>,
}

impl Callouts for Arc<Calls> {
    fn knows(&self, cluster: &str) -> bool {
        cluster == "c"
    }

    fn send(&self, callout: Callout) -> Pending {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.sent.lock().unwrap().push(callout);
        self.answers.lock().unwrap().push(sender);
        Box::pin(async { receiver.await.unwrap_or(Answer::Reset) })
    }
}

pub(crate) fn facts() -> RequestFacts {
    let address: SocketAddr = "127.0.0.1:1".parse().unwrap();
    RequestFacts {
        source: address,
        destination: address,
        protocol: "HTTP/1.1",
        connection: 1,
        cluster: "store".to_owned(),
        started: Instant::now(),
        time: SystemTime::UNIX_EPOCH,
    }
}

/// One machine, driven by hand.
pub(crate) struct Bench {
    pub(crate) vm: Vm,
    pub(crate) root: u32,
    pub(crate) log: Arc<Log>,
    pub(crate) notices: UnboundedReceiver<QueueReady>,
}

impl Bench {
    pub(crate) fn with(callbacks: &str, shared: Arc<Shared>) -> Self {
        let log: Arc<Log> = Arc::default();
        let (notices, inbox) = unbounded_channel();
        let around = Surroundings {
            worker: 0,
            machine: 1,
            identity: Rc::new(Identity::default()),
            shared,
            notices,
            callouts: Rc::new(Arc::<Calls>::default()),
            journal: Arc::<Log>::clone(&log),
        };
        let mut vm = Vm::start(&module(callbacks), around).unwrap();
        let root = vm.configure(&Arc::from("the configuration")).unwrap();
        Self { vm, root, log, notices: inbox }
    }

    pub(crate) fn new(callbacks: &str) -> Self {
        Self::with(callbacks, Arc::default())
    }

    pub(crate) fn open(&mut self) -> u32 {
        self.vm.open(self.root, facts()).unwrap()
    }
}

pub(crate) fn request() -> Headers {
    let fields = [(":method", "GET"), (":path", "/b/k?x=1"), (":authority", "h"), ("x-a", "1")];
    fields.into_iter().chain([("x-a", "2")]).collect()
}

pub(crate) fn response() -> Headers {
    [(":status", "404"), ("etag", "e")].into_iter().collect()
}
