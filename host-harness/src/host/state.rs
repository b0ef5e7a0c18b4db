//! Everything the host keeps for one virtual machine, in its `Store`.
//!
//! Owns the contexts and which of them is in effect. What the module asks for that cannot be done
//! while it runs is left here as an [`Effect`] for the one who called it.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::{Memory, StoreLimits, StoreLimitsBuilder, TypedFunc};

use super::callouts::{Callout, Callouts};
use super::context::{Context, Root, Stream};
use super::journal::{Journal, Level, LogRecord};
use super::metrics::Defined;
use super::shared::{Notices, Shared};

/// The most memory a module may grow to: Envoy's limit.
const LARGEST_MEMORY: usize = 1024 * 1024 * 1024;

/// What remains to be done after a call into the module.
#[derive(Debug)]
pub(crate) enum Effect {
    Call { root: u32, token: u32, callout: Callout },
    Tick { root: u32, period: Duration },
}

/// By what names a plugin runs.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The name of the plugin.
    pub name: String,
    /// The root it runs as.
    pub root_id: String,
    /// The name under which machines share data and queues.
    pub vm_id: String,
}

impl Default for Identity {
    fn default() -> Self {
        Self { name: "back-to-origin".to_owned(), root_id: String::new(), vm_id: String::new() }
    }
}

/// Who one virtual machine works with.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) worker: usize,
    pub(crate) machine: u64,
    pub(crate) identity: Rc<Identity>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) notices: Notices,
    pub(crate) callouts: Rc<dyn Callouts>,
    pub(crate) journal: Arc<dyn Journal>,
}

/// The host's side of one virtual machine.
pub(crate) struct State {
    pub(crate) around: Surroundings,
    pub(crate) contexts: BTreeMap<u32, Context>,
    last_context: u32,
    /// The context the module was called for.
    pub(crate) current: u32,
    /// The context the module chose to act for instead; 0 for none.
    pub(crate) effective: u32,
    last_token: u32,
    pub(crate) defined: Defined,
    pub(crate) effects: Vec<Effect>,
    /// A local reply in this call makes it a pause, whatever the module returns.
    pub(crate) stop: bool,
    pub(crate) memory: Option<Memory>,
    pub(crate) allocate: Option<TypedFunc<u32, u32>>,
    pub(crate) limits: StoreLimits,
}

impl State {
    pub(crate) fn new(around: Surroundings) -> Self {
        Self {
            around,
            contexts: BTreeMap::new(),
            last_context: 0,
            current: 0,
            effective: 0,
            last_token: 0,
            defined: Defined::default(),
            effects: Vec::new(),
            stop: false,
            memory: None,
            allocate: None,
            limits: StoreLimitsBuilder::new().memory_size(LARGEST_MEMORY).build(),
        }
    }

    pub(crate) fn add(&mut self, context: Context) -> u32 {
        self.last_context += 1;
        self.contexts.insert(self.last_context, context);
        self.last_context
    }

    /// The context host functions act for: the one the module chose while it is there, or else the
    /// one it was called for.
    pub(crate) fn acting(&self) -> u32 {
        if self.contexts.contains_key(&self.effective) { self.effective } else { self.current }
    }

    /// The root of the acting context.
    pub(crate) fn acting_root(&self) -> u32 {
        let id = self.acting();
        match self.contexts.get(&id) {
            Some(Context::Stream(stream)) => stream.root,
            Some(Context::Root(_)) | None => id,
        }
    }

    pub(crate) fn stream(&mut self, id: u32) -> Option<&mut Stream> {
        match self.contexts.get_mut(&id) {
            Some(Context::Stream(stream)) => Some(stream),
            Some(Context::Root(_)) | None => None,
        }
    }

    pub(crate) fn root(&mut self, id: u32) -> Option<&mut Root> {
        match self.contexts.get_mut(&id) {
            Some(Context::Root(root)) => Some(root),
            Some(Context::Stream(_)) | None => None,
        }
    }

    pub(crate) fn acting_stream(&mut self) -> Option<&mut Stream> {
        self.stream(self.acting())
    }

    pub(crate) const fn next_token(&mut self) -> u32 {
        self.last_token = self.last_token.wrapping_add(1);
        if self.last_token == 0 {
            self.last_token = 1;
        }
        self.last_token
    }

    pub(crate) fn log(&mut self, level: Level, message: String) {
        let context = self.acting();
        let record = LogRecord { level, worker: self.around.worker, context, message };
        if let Some(stream) = self.stream(context) {
            stream.log.push(record.clone());
        }
        self.around.journal.log(record);
    }
}
