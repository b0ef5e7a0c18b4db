//! A virtual machine at work on its worker's thread: its timers, its calls, its death.
//!
//! Owns what happens after each call into the module. Everything runs in turns on one thread, so
//! the module is never entered while it runs.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::sleep;

use super::callouts::{Answer, Callout, Callouts, complete};
use super::context::Context;
use super::program::Program;
use super::shared::QueueReady;
use super::state::{Effect, Surroundings};
use super::vm::{Dead, PluginError, Vm};

/// The period of a timer by which a module waits for nothing that it has begun.
const WATCH: Duration = Duration::from_secs(1);

pub(crate) struct Machine {
    id: u64,
    vm: RefCell<Vm>,
    /// The root new requests belong to.
    root: Cell<u32>,
    died: Cell<Option<Instant>>,
    callouts: Rc<dyn Callouts>,
    ticks: RefCell<BTreeMap<u32, (Duration, AbortHandle)>>,
    calls: RefCell<BTreeMap<u32, (u32, AbortHandle)>>,
    /// Roots that were replaced, and whether they have been told that they are done.
    retired: RefCell<BTreeMap<u32, bool>>,
    idle: Notify,
}

impl Machine {
    /// Loads the module and configures it.
    pub(crate) fn load(
        program: &Program,
        around: Surroundings,
        configuration: &Arc<str>,
    ) -> Result<Rc<Self>, PluginError> {
        let (id, callouts) = (around.machine, Rc::clone(&around.callouts));
        let mut vm = Vm::start(program, around)?;
        let root = vm.configure(configuration)?;
        let machine = Rc::new(Self {
            id,
            vm: RefCell::new(vm),
            root: Cell::new(root),
            died: Cell::new(None),
            callouts,
            ticks: RefCell::default(),
            calls: RefCell::default(),
            retired: RefCell::default(),
            idle: Notify::new(),
        });
        // What it asked for while it started is done now.
        machine.run(|_| ());
        Ok(machine)
    }

    pub(crate) const fn id(&self) -> u64 {
        self.id
    }

    pub(crate) const fn root(&self) -> u32 {
        self.root.get()
    }

    /// When the machine died, if it did.
    pub(crate) const fn died(&self) -> Option<Instant> {
        self.died.get()
    }

    /// Enters the machine, and does afterwards what it left to do.
    pub(crate) fn run<R>(self: &Rc<Self>, call: impl FnOnce(&mut Vm) -> R) -> R {
        let (result, effects, is_dead) = {
            let mut vm = self.vm.borrow_mut();
            let result = call(&mut vm);
            (result, vm.take_effects(), vm.is_dead())
        };
        if is_dead && self.died.get().is_none() {
            self.fail();
        }
        for effect in effects {
            match effect {
                Effect::Call { root, token, callout } => self.send(root, token, callout),
                Effect::Tick { root, period } => self.set_tick(root, period),
            }
        }
        if !self.retired.borrow().is_empty() {
            self.sweep();
        }
        result
    }

    /// The machine is dead: nothing will call it again, and whoever waits for it is let go.
    fn fail(&self) {
        self.died.set(Some(Instant::now()));
        for (_, (_, tick)) in std::mem::take(&mut *self.ticks.borrow_mut()) {
            tick.abort();
        }
        self.tell_if_idle();
        for context in self.vm.borrow_mut().state().contexts.values_mut() {
            if let Context::Stream(stream) = context {
                stream.reset = true;
                stream.wake();
            }
        }
    }

    fn set_tick(self: &Rc<Self>, root: u32, period: Duration) {
        if let Some((_, tick)) = self.ticks.borrow_mut().remove(&root) {
            tick.abort();
        }
        if period.is_zero() || self.died.get().is_some() {
            self.tell_if_idle();
            return;
        }
        let machine = Rc::clone(self);
        let task = spawn_local(async move {
            loop {
                sleep(period).await;
                if machine.run(|vm| vm.tick(root)).is_err() {
                    break;
                }
            }
        });
        self.ticks.borrow_mut().insert(root, (period, task.abort_handle()));
        self.tell_if_idle();
    }

    /// Sends a call for a root. It goes on until it is answered or the root goes.
    fn send(self: &Rc<Self>, root: u32, token: u32, mut callout: Callout) {
        complete(&mut callout);
        let answer = self.callouts.send(callout);
        let machine = Rc::clone(self);
        let task = spawn_local(async move {
            let answer = answer.await;
            machine.answered(root, token, answer);
        });
        self.calls.borrow_mut().insert(token, (root, task.abort_handle()));
    }

    fn answered(self: &Rc<Self>, root: u32, token: u32, answer: Answer) {
        self.calls.borrow_mut().remove(&token);
        // A dead machine is not told; its calls were sent all the same.
        let _: Result<(), Dead> = self.run(|vm| vm.call_response(root, token, answer));
        self.tell_if_idle();
    }

    /// A module that wants its turn soon has something to do then; one that looks around now and then
    /// has not.
    fn is_idle(&self) -> bool {
        let waits = self.ticks.borrow().values().any(|(period, _)| *period < WATCH);
        self.calls.borrow().is_empty() && !waits
    }

    fn tell_if_idle(&self) {
        if self.is_idle() {
            self.idle.notify_waiters();
        }
    }

    /// Waits until no call is under way and no short timer runs.
    pub(crate) async fn idle(&self) {
        loop {
            let idle = self.idle.notified();
            if self.is_idle() {
                return;
            }
            idle.await;
        }
    }

    pub(crate) fn queue_ready(self: &Rc<Self>, ready: QueueReady) {
        // A machine that dies of it has been logged and failed.
        let _: Result<(), Dead> = self.run(|vm| vm.queue_ready(ready.root, ready.queue));
    }

    /// Makes a new root for a new configuration. Requests under way stay with the old one.
    pub(crate) fn reconfigure(
        self: &Rc<Self>,
        configuration: &Arc<str>,
    ) -> Result<(), PluginError> {
        let root = self.run(|vm| vm.configure(configuration))?;
        let old = self.root.replace(root);
        self.retired.borrow_mut().insert(old, false);
        self.run(|vm| vm.retire(old));
        Ok(())
    }

    /// Ends the roots that were replaced and have no requests left.
    fn sweep(&self) {
        let retired: Vec<(u32, bool)> =
            self.retired.borrow().iter().map(|(root, told)| (*root, *told)).collect();
        for (root, told) in retired {
            let mut vm = self.vm.borrow_mut();
            let is_dead = vm.is_dead();
            if !is_dead && !told && vm.is_over(root) {
                let _ = vm.finish_root(root);
                self.retired.borrow_mut().insert(root, true);
            }
            if told && vm.is_finished(root) {
                let _ = vm.remove_root(root);
            }
            if is_dead || vm.state().root(root).is_none() {
                drop(vm);
                self.forget(root);
            }
        }
    }

    /// Cancels what a root that is gone has under way.
    fn forget(&self, root: u32) {
        self.retired.borrow_mut().remove(&root);
        if let Some((_, tick)) = self.ticks.borrow_mut().remove(&root) {
            tick.abort();
        }
        self.calls.borrow_mut().retain(|_, (owner, call)| {
            if *owner == root {
                call.abort();
            }
            *owner != root
        });
        self.tell_if_idle();
    }
}
