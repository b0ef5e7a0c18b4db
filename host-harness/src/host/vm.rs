//! One virtual machine: calls into the module, and what is left to do after each.
//!
//! Owns the order of callbacks and the phases in which maps and buffers are there. It performs no
//! input or output; a machine that trapped is never called again.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use wasmtime::{Instance, Store, TypedFunc, WasmParams, WasmResults};

use super::callouts::Answer;
use super::context::{Context, Gate, RequestFacts, Root, Side, Stream};
use super::headers::Headers;
use super::journal::{Level, Touch};
use super::program::Program;
use super::state::{Effect, State, Surroundings};
use super::status::Status;

/// The module trapped; its machine is dead.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Dead;

/// What the module wants done with what it was shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    Continue,
    Pause,
}

/// Why a machine or a configuration did not come up.
#[derive(Debug)]
pub enum PluginError {
    /// The module could not be instantiated.
    Instantiate(wasmtime::Error),
    /// The module trapped; the log says where.
    Trapped,
    /// The module refused to start.
    Start,
    /// The module refused its configuration; it logs why.
    Configuration,
    /// The machine of this worker is dead and will only be loaded again in a while.
    Backoff,
}

impl fmt::Display for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instantiate(error) => write!(f, "the filter cannot be instantiated: {error:#}"),
            Self::Trapped => f.write_str("the filter trapped while it started; its log says where"),
            Self::Start => f.write_str("the filter refused to start; its log says why"),
            Self::Configuration => {
                f.write_str("the filter refused its configuration; its log says why")
            }
            Self::Backoff => f.write_str("the filter died and is not loaded again yet"),
        }
    }
}

impl std::error::Error for PluginError {}

impl From<Dead> for PluginError {
    fn from(_: Dead) -> Self {
        Self::Trapped
    }
}

type OnHeaders = TypedFunc<(u32, u32, u32), u32>;
type OnTrailers = TypedFunc<(u32, u32), u32>;
type OnCallResponse = TypedFunc<(u32, u32, u32, u32, u32), ()>;

/// What the module exports; what it does not is not called.
struct Exports {
    context_create: Option<TypedFunc<(u32, u32), ()>>,
    vm_start: Option<TypedFunc<(u32, u32), u32>>,
    configure: Option<TypedFunc<(u32, u32), u32>>,
    tick: Option<TypedFunc<u32, ()>>,
    queue_ready: Option<TypedFunc<(u32, u32), ()>>,
    request_headers: Option<OnHeaders>,
    request_body: Option<OnHeaders>,
    request_trailers: Option<OnTrailers>,
    response_headers: Option<OnHeaders>,
    response_body: Option<OnHeaders>,
    response_trailers: Option<OnTrailers>,
    call_response: Option<OnCallResponse>,
    done: Option<TypedFunc<u32, u32>>,
    log: Option<TypedFunc<u32, ()>>,
    delete: Option<TypedFunc<u32, ()>>,
}

fn export<P: WasmParams, R: WasmResults>(
    instance: &Instance,
    store: &mut Store<State>,
    name: &str,
) -> Option<TypedFunc<P, R>> {
    instance.get_typed_func(store, name).ok()
}

impl Exports {
    fn of(instance: &Instance, store: &mut Store<State>) -> Self {
        Self {
            context_create: export(instance, store, "proxy_on_context_create"),
            vm_start: export(instance, store, "proxy_on_vm_start"),
            configure: export(instance, store, "proxy_on_configure"),
            tick: export(instance, store, "proxy_on_tick"),
            queue_ready: export(instance, store, "proxy_on_queue_ready"),
            request_headers: export(instance, store, "proxy_on_request_headers"),
            request_body: export(instance, store, "proxy_on_request_body"),
            request_trailers: export(instance, store, "proxy_on_request_trailers"),
            response_headers: export(instance, store, "proxy_on_response_headers"),
            response_body: export(instance, store, "proxy_on_response_body"),
            response_trailers: export(instance, store, "proxy_on_response_trailers"),
            call_response: export(instance, store, "proxy_on_http_call_response"),
            done: export(instance, store, "proxy_on_done"),
            log: export(instance, store, "proxy_on_log"),
            delete: export(instance, store, "proxy_on_delete"),
        }
    }
}

/// A virtual machine with one module in it.
pub(crate) struct Vm {
    store: Store<State>,
    exports: Exports,
    dead: bool,
}

/// A number the module takes; what it counts fits, being in memory.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl Vm {
    /// Instantiates the module and runs its constructors.
    pub(crate) fn start(program: &Program, around: Surroundings) -> Result<Self, PluginError> {
        let mut store = Store::new(program.engine(), State::new(around));
        store.limiter(|state| &mut state.limits);
        let instance =
            program.linked().instantiate(&mut store).map_err(PluginError::Instantiate)?;
        let memory = instance.get_memory(&mut store, "memory");
        let allocate = ["proxy_on_memory_allocate", "malloc"]
            .iter()
            .find_map(|name| export(&instance, &mut store, name));
        let state = store.data_mut();
        (state.memory, state.allocate) = (memory, allocate);
        let exports = Exports::of(&instance, &mut store);
        let mut vm = Self { store, exports, dead: false };
        let initialize: Option<TypedFunc<(), ()>> = ["_initialize", "_start"]
            .iter()
            .find_map(|name| export(&instance, &mut vm.store, name));
        vm.enter(0, initialize.as_ref(), ())?;
        Ok(vm)
    }

    pub(crate) fn state(&mut self) -> &mut State {
        self.store.data_mut()
    }

    pub(crate) const fn is_dead(&self) -> bool {
        self.dead
    }

    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.state().effects)
    }

    /// Calls an export for a context, if there is one.
    fn enter<P: WasmParams, R: WasmResults>(
        &mut self,
        context: u32,
        function: Option<&TypedFunc<P, R>>,
        parameters: P,
    ) -> Result<Option<R>, Dead> {
        if self.dead {
            return Err(Dead);
        }
        let Some(function) = function else { return Ok(None) };
        let state = self.store.data_mut();
        (state.current, state.effective, state.stop) = (context, 0, false);
        function.call(&mut self.store, parameters).map(Some).map_err(|error| {
            self.dead = true;
            let state = self.store.data_mut();
            state.effective = 0;
            state.log(Level::Critical, format!("the filter trapped: {error:#}"));
            Dead
        })
    }

    /// Makes a root and has the module configure itself for it. A root that is refused is gone
    /// again afterwards.
    pub(crate) fn configure(&mut self, configuration: &Arc<str>) -> Result<u32, PluginError> {
        let id = self.state().add(Context::Root(Root::default()));
        let outcome = self.configure_root(id, configuration);
        if outcome.is_err() {
            if !self.dead {
                let _ = self.remove_root(id);
            }
            self.state().contexts.remove(&id);
        }
        outcome.map(|()| id)
    }

    fn configure_root(&mut self, id: u32, configuration: &Arc<str>) -> Result<(), PluginError> {
        let create = self.exports.context_create.clone();
        self.enter(id, create.as_ref(), (id, 0))?;
        let start = self.exports.vm_start.clone();
        if self.enter(id, start.as_ref(), (id, 0))? == Some(0) {
            return Err(PluginError::Start);
        }
        if let Some(root) = self.state().root(id) {
            root.configuration = Some(Arc::clone(configuration));
        }
        let configure = self.exports.configure.clone();
        let accepted = self.enter(id, configure.as_ref(), (id, count(configuration.len())));
        if let Some(root) = self.state().root(id) {
            root.configuration = None;
        }
        if accepted? == Some(0) { Err(PluginError::Configuration) } else { Ok(()) }
    }

    /// Takes a root out of service. It stays while it has streams.
    pub(crate) fn retire(&mut self, id: u32) {
        if let Some(root) = self.state().root(id) {
            root.retired = true;
        }
    }

    /// Whether a root has been replaced and nothing uses it any more.
    pub(crate) fn is_over(&mut self, id: u32) -> bool {
        self.state().root(id).is_some_and(|root| root.retired && root.streams == 0)
    }

    /// Ends a root: the module is told, and may ask for time.
    pub(crate) fn finish_root(&mut self, id: u32) -> Result<(), Dead> {
        let done = self.exports.done.clone();
        if let Some(root) = self.state().root(id) {
            root.lingers = true;
        }
        if self.enter(id, done.as_ref(), id)? == Some(0) {
            return Ok(());
        }
        self.remove_root(id)
    }

    /// Whether a root that asked for time has said that it is done since.
    pub(crate) fn is_finished(&mut self, id: u32) -> bool {
        self.state().root(id).is_some_and(|root| root.retired && !root.lingers)
    }

    pub(crate) fn remove_root(&mut self, id: u32) -> Result<(), Dead> {
        let delete = self.exports.delete.clone();
        let outcome = self.enter(id, delete.as_ref(), id);
        self.state().contexts.remove(&id);
        outcome.map(drop)
    }

    pub(crate) fn tick(&mut self, root: u32) -> Result<(), Dead> {
        if self.state().root(root).is_none() {
            return Ok(());
        }
        let tick = self.exports.tick.clone();
        self.enter(root, tick.as_ref(), root).map(drop)
    }

    pub(crate) fn queue_ready(&mut self, root: u32, queue: u32) -> Result<(), Dead> {
        if self.state().root(root).is_none() {
            return Ok(());
        }
        let ready = self.exports.queue_ready.clone();
        self.enter(root, ready.as_ref(), (root, queue)).map(drop)
    }

    /// Tells the root how a call ended. Its answer is readable for just that long.
    pub(crate) fn call_response(
        &mut self,
        id: u32,
        token: u32,
        answer: Answer,
    ) -> Result<(), Dead> {
        let lengths = match &answer {
            Answer::Response { headers, body, trailers } => {
                (count(headers.len()), count(body.len()), count(trailers.len()))
            }
            Answer::Reset => (0, 0, 0),
        };
        let Some(root) = self.state().root(id) else { return Ok(()) };
        if answer == Answer::Reset {
            root.status = (Status::BrokenConnection as u32, "reset");
        }
        root.answer = Some(answer);
        let response = self.exports.call_response.clone();
        let (headers, body, trailers) = lengths;
        let outcome = self.enter(id, response.as_ref(), (id, token, headers, body, trailers));
        if let Some(root) = self.state().root(id) {
            root.answer = None;
            root.status.1 = "";
        }
        outcome.map(drop)
    }

    /// Makes the context of a request.
    pub(crate) fn open(&mut self, root: u32, facts: RequestFacts) -> Result<u32, Dead> {
        if let Some(root) = self.state().root(root) {
            root.streams += 1;
        }
        let id = self.state().add(Context::Stream(Box::new(Stream::new(root, facts))));
        let create = self.exports.context_create.clone();
        self.enter(id, create.as_ref(), (id, root)).map(|_| id)
    }

    /// Reads what the module returned, under the rules that come from the host.
    fn action(&mut self, returned: Option<u32>) -> Action {
        let stop = std::mem::take(&mut self.state().stop);
        if stop || returned.is_some_and(|number| number != 0) {
            Action::Pause
        } else {
            Action::Continue
        }
    }

    fn hold(&mut self, id: u32, side: Side) {
        if let Some(stream) = self.state().stream(id) {
            stream.direction(side).gate = Gate::Held;
            stream.touched(Touch::Held);
        }
    }

    /// Shows the module the headers of one direction.
    pub(crate) fn headers(
        &mut self,
        id: u32,
        side: Side,
        fields: Headers,
        end: bool,
    ) -> Result<Action, Dead> {
        let function = match side {
            Side::Request => self.exports.request_headers.clone(),
            Side::Response => self.exports.response_headers.clone(),
        };
        let fields_count = count(fields.len());
        if let Some(stream) = self.state().stream(id) {
            stream.direction(side).headers.offer(fields);
        }
        let returned = self.enter(id, function.as_ref(), (id, fields_count, end.into()))?;
        let action = self.action(returned);
        match action {
            Action::Continue => {
                if let Some(stream) = self.state().stream(id) {
                    stream.direction(side).headers.close();
                }
            }
            Action::Pause => self.hold(id, side),
        }
        Ok(action)
    }

    /// Whether the module wants to see bodies of one direction at all.
    pub(crate) const fn sees_body(&self, side: Side) -> bool {
        match side {
            Side::Request => self.exports.request_body.is_some(),
            Side::Response => self.exports.response_body.is_some(),
        }
    }

    /// Shows the module a piece of a body, after what it held back before. What it lets go is
    /// returned; what it holds stays in the stream.
    pub(crate) fn body(
        &mut self,
        id: u32,
        side: Side,
        piece: Bytes,
        end: bool,
    ) -> Result<Option<Bytes>, Dead> {
        let function = match side {
            Side::Request => self.exports.request_body.clone(),
            Side::Response => self.exports.response_body.clone(),
        };
        let Some(stream) = self.state().stream(id) else { return Ok(Some(piece)) };
        let body = &mut stream.direction(side).body;
        let shown = match body.take() {
            Some(held) if piece.is_empty() => held,
            Some(held) => [held, piece].concat().into(),
            None => piece,
        };
        let length = count(shown.len());
        *body = Some(shown);
        let returned = self.enter(id, function.as_ref(), (id, length, end.into()))?;
        match self.action(returned) {
            Action::Continue => Ok(self.state().stream(id).and_then(|stream| {
                let direction = stream.direction(side);
                direction.gate = Gate::Open;
                direction.body.take()
            })),
            Action::Pause => {
                self.hold(id, side);
                Ok(None)
            }
        }
    }

    /// Shows the module the trailers of one direction.
    pub(crate) fn trailers(
        &mut self,
        id: u32,
        side: Side,
        fields: Headers,
    ) -> Result<Action, Dead> {
        let function = match side {
            Side::Request => self.exports.request_trailers.clone(),
            Side::Response => self.exports.response_trailers.clone(),
        };
        let fields_count = count(fields.len());
        if let Some(stream) = self.state().stream(id) {
            stream.direction(side).trailers.offer(fields);
        }
        let returned = self.enter(id, function.as_ref(), (id, fields_count))?;
        let action = self.action(returned);
        match action {
            Action::Continue => {
                if let Some(stream) = self.state().stream(id) {
                    stream.direction(side).trailers.close();
                }
            }
            Action::Pause => self.hold(id, side),
        }
        Ok(action)
    }

    /// Ends the context of a request: the module may log, is told that it is over, and forgets it.
    pub(crate) fn close(&mut self, id: u32) -> Option<Box<Stream>> {
        let (log, done, delete) =
            (self.exports.log.clone(), self.exports.done.clone(), self.exports.delete.clone());
        if let Some(stream) = self.state().stream(id) {
            // The log may read once more what passed through, and change nothing.
            for side in [Side::Request, Side::Response] {
                let direction = stream.direction(side);
                direction.headers.readable = true;
                direction.headers.writable = false;
                direction.body = None;
            }
        }
        // A machine that dies here has been logged, and the request is over anyhow.
        let _ = self.enter(id, log.as_ref(), id).and_then(|_| {
            if let Some(stream) = self.state().stream(id) {
                stream.request.headers.close();
                stream.response.headers.close();
            }
            self.enter(id, done.as_ref(), id)?;
            self.enter(id, delete.as_ref(), id)
        });
        self.remove_stream(id)
    }

    /// Forgets a request without a word to the module.
    fn remove_stream(&mut self, id: u32) -> Option<Box<Stream>> {
        let state = self.state();
        state.stream(id)?;
        let Some(Context::Stream(stream)) = state.contexts.remove(&id) else { return None };
        if let Some(root) = state.root(stream.root) {
            root.streams = root.streams.saturating_sub(1);
        }
        Some(stream)
    }
}
