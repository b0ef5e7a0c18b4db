//! The filter of one worker: loaded, configured, loaded again when it died.
//!
//! Owns which machine is in service. Everything here belongs to one thread.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::callouts::{Callout, Callouts, Pending};
use super::context::RequestFacts;
use super::journal::Journal;
use super::machine::Machine;
use super::program::Program;
use super::shared::{QueueReady, Shared};
use super::state::{Identity, Surroundings};
use super::stream::FilterStream;
use super::vm::{PluginError, Vm};

/// What a worker's filter works with.
#[derive(Clone)]
pub struct PluginParts {
    /// The number of the worker.
    pub worker: usize,
    /// The compiled filter.
    pub program: Program,
    /// The plugin's names.
    pub identity: Identity,
    /// What all workers share.
    pub shared: Arc<Shared>,
    /// Who takes the filter's log.
    pub journal: Arc<dyn Journal>,
    /// Who sends the filter's calls.
    pub callouts: Rc<dyn Callouts>,
    /// How long to wait before a filter that died is loaded again.
    pub backoff: Duration,
}

/// The filter of one worker.
pub struct Plugin {
    parts: PluginParts,
    identity: Rc<Identity>,
    configuration: RefCell<Arc<str>>,
    machine: RefCell<Option<Rc<Machine>>>,
    machines: Cell<u64>,
    notices: UnboundedSender<QueueReady>,
    inbox: RefCell<Option<UnboundedReceiver<QueueReady>>>,
}

impl Plugin {
    /// Loads and configures the filter.
    ///
    /// # Errors
    ///
    /// When the filter does not start, or refuses its configuration.
    pub fn load(parts: PluginParts, configuration: Arc<str>) -> Result<Self, PluginError> {
        let (notices, inbox) = unbounded_channel();
        let plugin = Self {
            identity: Rc::new(parts.identity.clone()),
            parts,
            configuration: RefCell::new(configuration),
            machine: RefCell::new(None),
            machines: Cell::new(0),
            notices,
            inbox: RefCell::new(Some(inbox)),
        };
        plugin.machine()?;
        Ok(plugin)
    }

    fn surroundings(&self) -> Surroundings {
        self.machines.set(self.machines.get() + 1);
        Surroundings {
            worker: self.parts.worker,
            machine: self.machines.get(),
            identity: Rc::clone(&self.identity),
            shared: Arc::clone(&self.parts.shared),
            notices: self.notices.clone(),
            callouts: Rc::clone(&self.parts.callouts),
            journal: Arc::clone(&self.parts.journal),
        }
    }

    /// The machine in service: the present one, or a new one when that died a while ago.
    fn machine(&self) -> Result<Rc<Machine>, PluginError> {
        if let Some(machine) = &*self.machine.borrow() {
            match machine.died() {
                None => return Ok(Rc::clone(machine)),
                Some(moment) if moment.elapsed() < self.parts.backoff => {
                    return Err(PluginError::Backoff);
                }
                Some(_) => {}
            }
        }
        let configuration = Arc::clone(&self.configuration.borrow());
        let machine = Machine::load(&self.parts.program, self.surroundings(), &configuration)?;
        self.machine.replace(Some(Rc::clone(&machine)));
        Ok(machine)
    }

    /// Makes a context for a client request.
    ///
    /// # Errors
    ///
    /// When the filter is dead: the client must be told so, not be served past it.
    pub fn open(&self, facts: RequestFacts) -> Result<FilterStream, PluginError> {
        Ok(FilterStream::open(self.machine()?, facts)?)
    }

    /// Gives the filter another configuration. Requests under way end under the old one.
    ///
    /// # Errors
    ///
    /// When the filter refuses it: the old one stays in service.
    pub fn reconfigure(&self, configuration: &Arc<str>) -> Result<(), PluginError> {
        self.machine()?.reconfigure(configuration)?;
        self.configuration.replace(Arc::clone(configuration));
        Ok(())
    }

    /// Hands the notices of shared queues to the filter, for as long as it is polled.
    pub async fn deliver(&self) {
        let Some(mut inbox) = self.inbox.borrow_mut().take() else { return };
        while let Some(ready) = inbox.recv().await {
            let machine = self.machine.borrow().clone();
            if let Some(machine) = machine
                && machine.id() == ready.machine
            {
                machine.queue_ready(ready);
            }
        }
    }

    /// Waits until no call of the filter is under way and it waits for no time to pass.
    pub async fn idle(&self) {
        // Who has been told of a queue has its turn first.
        tokio::task::yield_now().await;
        let machine = self.machine.borrow().clone();
        if let Some(machine) = machine {
            machine.idle().await;
        }
    }
}

/// Knows the clusters and sends nothing.
struct Unsent(Vec<String>);

impl Callouts for Unsent {
    fn knows(&self, cluster: &str) -> bool {
        self.0.iter().any(|own| own == cluster)
    }

    fn send(&self, _: Callout) -> Pending {
        Box::pin(std::future::pending())
    }
}

/// Tries a configuration in a machine of its own, which is thrown away: what it calls for is not
/// sent, what it shares nobody sees.
///
/// # Errors
///
/// When the filter does not start, or refuses the configuration.
pub fn try_configuration(
    program: &Program,
    identity: &Identity,
    journal: Arc<dyn Journal>,
    clusters: Vec<String>,
    configuration: &str,
) -> Result<(), PluginError> {
    let around = Surroundings {
        worker: 0,
        machine: 0,
        identity: Rc::new(identity.clone()),
        shared: Arc::default(),
        notices: unbounded_channel().0,
        callouts: Rc::new(Unsent(clusters)),
        journal,
    };
    let mut vm = Vm::start(program, around)?;
    vm.configure(&Arc::from(configuration)).map(drop)
}
