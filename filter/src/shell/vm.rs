//! What one root and its streams share, and how effects become hostcalls.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::types::LogLevel;

use super::host::{self, Buffer};
use crate::configuration::{BucketAnswers, Configuration};
use crate::decision::{self, Decision};
use crate::engine::Engine;
use crate::host::{Call, CallId, DispatchError, Effect, StreamId};
use crate::http::headers::{HeaderList, Headers};
use crate::lease::Lease;
use crate::matching::Source;
use crate::metric::{Kind, Series};
use crate::record::Record;
use crate::reply::{Body, Reply};
use crate::shared::SharedData;
use crate::time::Moment;
use crate::written::{Changed, Writing};

/// One configured root.
pub(super) struct Vm {
    pub(super) configuration: Rc<Configuration>,
    pub(super) engine: RefCell<Engine>,
    root: u32,
    queue: u32,
    /// A number no other root has.
    pub(super) owner: u64,
    /// Whether the queue holds a message already: one is enough.
    woken: Cell<bool>,
    /// The host's token of each callout under way.
    calls: RefCell<BTreeMap<u32, CallId>>,
    /// Whether the host waits for this root to be done.
    leaving: Cell<bool>,
    /// The host's number of each series.
    series: RefCell<BTreeMap<Series, u32>>,
    /// Whether the host has said who made an answer, or it was told that it does not.
    is_told: Cell<bool>,
    /// Whether effects have left the context of the callback that they belong to.
    is_away: Cell<bool>,
}

/// What the host's workers share.
pub(super) struct Shared;

impl SharedData for Shared {
    fn get(&mut self, name: &str) -> (Vec<u8>, u32) {
        host::shared_data(name)
    }

    fn replace(&mut self, name: &str, value: &[u8], seen: u32) -> bool {
        host::set_shared_data(name, value, seen).is_ok()
    }
}

/// Series of one VM; what comes then goes by the name `other`. A host never forgets one.
const MAX_SERIES: usize = 10_000;

/// What is said of a host that does not say who made an answer.
const UNTOLD: &str = "the host did not say who made an error (property response.code_details), so no \
    rule was applied; if it never does, say `bucket_answers: assumed` in this configuration";

impl Vm {
    pub(super) fn new(
        root: u32,
        configuration: Rc<Configuration>,
    ) -> Result<Self, host::HostError> {
        // A queue belongs to whoever registered its name last, in whatever worker: so each root
        // takes a name of its own.
        let owner = random();
        let name = format!("back-to-origin-{owner:016x}");
        let queue = host::register_queue(&name)?;
        let mut engine = Engine::new(Rc::clone(&configuration));
        engine.count_from(owner);
        Ok(Self {
            engine: RefCell::new(engine),
            configuration,
            root,
            queue,
            owner,
            woken: Cell::new(false),
            calls: RefCell::new(BTreeMap::new()),
            leaving: Cell::new(false),
            series: RefCell::new(BTreeMap::new()),
            is_told: Cell::new(false),
            is_away: Cell::new(false),
        })
    }

    /// The root has been called for the queue.
    pub(super) fn take_wake(&self) {
        self.woken.set(false);
        while host::dequeue(self.queue).is_ok() {}
    }

    /// The host has no more use for this root. False while objects are on their way to the store.
    pub(super) fn leave(&self) -> bool {
        let idle = self.engine.borrow().is_idle();
        self.leaving.set(!idle);
        idle
    }

    /// Lets the host go where it waited for the last object.
    pub(super) fn check_leave(&self) {
        if self.leaving.get() && self.engine.borrow().is_idle() {
            self.leaving.set(false);
            self.expect("let the root go", host::done());
        }
    }

    pub(super) fn take_call(&self, token: u32) -> Option<CallId> {
        self.calls.borrow_mut().remove(&token)
    }

    /// Performs effects and what follows from them. No borrow of the engine may be held.
    pub(super) fn perform(&self, effects: Vec<Effect>) {
        self.is_away.set(false);
        let mut pending = VecDeque::from(effects);
        while let Some(effect) = pending.pop_front() {
            match effect {
                Effect::Absent(absence, since) => absence.keep(since, now(), &mut Shared),
                Effect::Answer(stream, reply) => self.answer_stream(stream, &reply),
                Effect::Call(id, call) => match self.send(&call) {
                    Ok(token) => {
                        self.calls.borrow_mut().insert(token, id);
                    }
                    Err(error) => {
                        let more = self.engine.borrow_mut().on_call_refused(id, error, now());
                        pending.extend(more);
                    }
                },
                Effect::Claim(lease) => {
                    let is_ours = self.claim(&lease);
                    let more = self.engine.borrow_mut().on_lease(&lease, is_ours);
                    pending.extend(more);
                }
                Effect::Lease(lease) => {
                    let _: bool = self.claim(&lease);
                }
                Effect::Log(line) => host::log(LogLevel::Info, &line),
                Effect::Measure(series, value) => self.measure(series, value),
                Effect::Record(stream, record) => self.record(stream, &record),
                Effect::Release(lease) => self.release(&lease),
                Effect::Resume(stream) => self.resume(stream),
                Effect::Send(stream, headers) => self.send_on(stream, &headers),
                Effect::Settle(lease, is_stored) => {
                    let mut engine = self.engine.borrow_mut();
                    pending.extend(engine.keep_settled(&lease, is_stored, &mut Shared, now()));
                }
                Effect::Tick(period) => {
                    self.expect("set a timer", host::set_tick_period(period.unwrap_or_default()));
                }
                Effect::Wake => self.wake(),
            }
        }
    }

    fn send(&self, call: &Call) -> Result<u32, DispatchError> {
        if let Some((lease, since)) = &call.unless_written {
            let (held, _) = host::shared_data(&lease.written());
            if lease.is_written(&held, *since) {
                return Err(DispatchError::Written);
            }
        }
        if let Some(fare) = &call.fare {
            fare.pay(now(), &mut Shared).map_err(DispatchError::Limited)?;
        }
        let sent = host::dispatch(call)?;
        if let Some(series) = &call.counted {
            self.measure((**series).clone(), 1);
        }
        Ok(sent)
    }

    /// What a request may change, where it may.
    pub(super) fn writing(&self, request: &Headers) -> Option<Writing> {
        Writing::read(request, &self.configuration)
    }

    /// Keeps for all workers that a client has changed objects.
    pub(super) fn note(&self, changed: impl IntoIterator<Item = Changed>) {
        for changed in changed {
            self.with_engine(|engine| engine.on_changed(&changed, now(), &mut Shared));
        }
    }

    /// Takes in the status of the answer to what may change objects.
    pub(super) fn note_answer(&self, writing: &mut Option<Writing>, answer: &Headers) {
        let changed = writing.as_mut().and_then(|writing| writing.on_answer(answer.status()));
        self.note(changed);
    }

    /// Takes in bytes of the body in which a request names its objects, or of the answer to it.
    pub(super) fn note_body(
        &self,
        writing: &mut Option<Writing>,
        buffer: Buffer,
        size: usize,
        is_end: bool,
    ) {
        let Some(deletes) = writing.as_mut().and_then(Writing::deletes) else { return };
        let is_request = buffer == Buffer::RequestBody;
        // Bytes that were not seen may name what was not deleted.
        match host::buffer(buffer, 0, size) {
            _ if size == 0 => {}
            Ok(bytes) if is_request => deletes.on_request(&bytes),
            Ok(bytes) => deletes.on_answer(&bytes),
            Err(_) => deletes.lose(),
        }
        if is_end && !is_request {
            let changed = deletes.end();
            self.note(changed);
        }
    }

    /// What becomes of a request by what origins were found to lack. No borrow of the engine may be
    /// held.
    pub(super) fn without_absent(&self, decision: Decision) -> Decision {
        let mut effects = Vec::new();
        let decision = decision::unless_deleted(&self.configuration, decision, &mut Shared);
        let decision = decision::without_absent(
            &self.configuration,
            decision,
            now(),
            &mut Shared,
            &mut effects,
        );
        self.perform(effects);
        decision
    }

    fn wake(&self) {
        if self.woken.get() {
            return;
        }
        match host::enqueue(self.queue) {
            Ok(()) => self.woken.set(true),
            // Who waits for the root must not wait for the next event.
            Err(error) => {
                self.expect("wake the root", Err(error));
                self.with_engine(Engine::on_not_woken);
            }
        }
    }

    /// Who made an answer. Envoy marks its own by their details; those of a server are `via_upstream`.
    pub(super) fn source(&self) -> Source {
        match host::property(&["response", "code_details"]) {
            Ok(details) => {
                self.is_told.set(true);
                if details == b"via_upstream" { Source::Bucket } else { Source::Gateway }
            }
            Err(_) => match self.configuration.bucket_answers {
                BucketAnswers::Assumed => Source::Bucket,
                BucketAnswers::Told => {
                    if !self.is_told.replace(true) {
                        host::log(LogLevel::Warn, UNTOLD);
                    }
                    Source::Gateway
                }
            },
        }
    }

    /// Has the engine do something, and performs what follows from it.
    pub(super) fn with_engine(&self, act: impl FnOnce(&mut Engine) -> Vec<Effect>) {
        let effects = act(&mut self.engine.borrow_mut());
        self.perform(effects);
    }

    /// Adds to a series, or sets or observes it.
    fn measure(&self, series: Series, value: i64) {
        let kind = series.metric.kind();
        // A host refuses to add nothing.
        if value == 0 && kind == Kind::Counter {
            return;
        }
        let measured = self.defined(series).and_then(|id| match kind {
            Kind::Counter | Kind::Gauge => host::increment(id, value),
            Kind::Histogram | Kind::Moment => host::record(id, value),
        });
        self.expect("measure", measured);
    }

    /// The host's number of a series, which it gets when it is first needed.
    fn defined(&self, series: Series) -> Result<u32, host::HostError> {
        let mut known = self.series.borrow_mut();
        if let Some(id) = known.get(&series) {
            return Ok(*id);
        }
        let series = if known.len() < MAX_SERIES { series } else { series.anonymous() };
        if let Some(id) = known.get(&series) {
            return Ok(*id);
        }
        let id = host::define_metric(series.metric.kind(), &series.name())?;
        known.insert(series, id);
        Ok(id)
    }

    /// Takes a lease, or renews it. False while it is another worker's.
    pub(super) fn claim(&self, lease: &Lease) -> bool {
        let (held, cas) = host::shared_data(lease.slot());
        lease
            .claim(&held, self.owner, now())
            .is_some_and(|value| host::set_shared_data(lease.slot(), &value, cas).is_ok())
    }

    fn release(&self, lease: &Lease) {
        let (held, cas) = host::shared_data(lease.slot());
        if let Some(value) = lease.release(&held, self.owner) {
            // Whoever has changed it meanwhile has it now.
            let _ = host::set_shared_data(lease.slot(), &value, cas);
        }
    }

    /// Answers a stream from the root.
    fn answer_stream(&self, stream: StreamId, reply: &Reply) {
        // A stream that the host does not know has ended meanwhile.
        if host::set_effective_context(stream.0).is_ok() && answer(reply).is_err() {
            // The bucket's own answer is better than none.
            self.expect("let the bucket's answer go", host::continue_response());
        }
        self.leave_stream();
    }

    /// Tells the access log of a request.
    fn record(&self, stream: StreamId, record: &Record) {
        // A stream that the host does not know has ended meanwhile.
        if host::set_effective_context(stream.0).is_ok() {
            for (field, value) in record.fields() {
                self.expect("keep a record", host::set_property(field.property(), value));
            }
        }
        self.leave_stream();
    }

    /// Sends a request on that has waited, from the root.
    fn send_on(&self, stream: StreamId, headers: &HeaderList) {
        // A stream that the host does not know has ended meanwhile.
        if host::set_effective_context(stream.0).is_ok() {
            // As it came, it would lead nowhere.
            let sent = host::replace_headers(host::Map::Request, headers)
                .and_then(|()| host::continue_request());
            match sent {
                Ok(()) => {}
                // Its client has left, and the host has not come round to say so.
                Err(error) if error.is_gone() => {}
                Err(error) => {
                    self.expect("send a request on", Err(error));
                    self.expect("answer", answer(&Reply::lost(&Headers::default())));
                }
            }
        }
        self.leave_stream();
    }

    /// Lets a held response go, from the root.
    fn resume(&self, stream: StreamId) {
        // A stream that the host does not know has ended meanwhile.
        if host::set_effective_context(stream.0).is_ok() {
            self.expect("let the bucket's answer go", host::continue_response());
        }
        self.leave_stream();
    }

    fn leave_stream(&self) {
        self.expect("return to the root", host::set_effective_context(self.root));
        self.is_away.set(true);
    }

    /// A stream whose callback has led to others goes on in its own context. Without that, what it
    /// says of its own headers and answer would be said of the root, which has none.
    pub(super) fn come_back(&self, stream: StreamId) {
        if self.is_away.take() {
            // One that ends says nothing more.
            let _ = host::set_effective_context(stream.0);
        }
    }

    /// Notes a hostcall that failed where nothing can be done about it.
    pub(super) fn expect(&self, what: &str, result: Result<(), host::HostError>) {
        if let Err(error) = result {
            host::log(LogLevel::Error, &format!("the host could not {what}: {error}"));
        }
    }
}

/// Answers the stream in whose context the host is.
pub(super) fn answer(reply: &Reply) -> Result<(), host::HostError> {
    match &reply.body {
        Body::Absent => host::send_local_response(reply.status, &reply.headers, b""),
        // Envoy takes type and length off a local reply without a body (http/utility.cc,
        // prepareLocalReply), and they belong to this object: so the held response becomes it.
        Body::Headers(length) => {
            let mut headers = HeaderList::new().with(":status", reply.status.to_string());
            headers.extend(&reply.headers);
            if let Some(length) = length {
                headers.add("content-length", length.to_string());
            }
            host::replace_headers(host::Map::Response, &headers)?;
            host::continue_response()
        }
        Body::Object(object, bytes) => {
            let body = object.body.get(bytes.clone()).unwrap_or_default();
            host::send_local_response(reply.status, &reply.headers, body)
        }
        Body::Text(text) => {
            host::send_local_response(reply.status, &reply.headers, text.as_bytes())
        }
    }
}

/// The host's time. A host without a clock has none that passes.
pub(super) fn now() -> Moment {
    Moment(host::now().unwrap_or(Duration::ZERO))
}

#[expect(clippy::disallowed_types, reason = "the host has no other source of what nobody else has")]
fn random() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0_u8)
}
