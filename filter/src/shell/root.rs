//! The root context: configuration, and every callout.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, LogLevel};

use super::bucket_stream::BucketStream;
use super::host::{self, Buffer, Map};
use super::miss_stream::Stream;
use super::vm::{Shared, Vm, now};
use crate::configuration::{Configuration, DataPath};
use crate::host::CallAnswer;
use crate::http::headers::Headers;

/// The root of one configuration, in one VM.
pub(super) struct Root {
    id: u32,
    vm: Option<Rc<Vm>>,
}

impl Root {
    pub(super) const fn new(id: u32) -> Self {
        Self { id, vm: None }
    }
}

/// A stream of a root that was not configured: it lets everything through.
struct Unconfigured;

impl Context for Unconfigured {}

impl HttpContext for Unconfigured {}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, _: usize) {
        let Some(vm) = &self.vm else { return };
        let Some(call) = vm.take_call(token) else { return };
        // Without headers there is no answer, and a host has no map to read either.
        let headers = match headers {
            0 => Headers::default(),
            _ => host::headers(Map::CallResponse).unwrap_or_default(),
        };
        let body_bytes = body as u64;
        let wanted = vm.engine.borrow_mut().wants_body(call, body_bytes);
        let body = match body {
            1.. if wanted => host::buffer(Buffer::CallResponseBody, 0, body).unwrap_or_default(),
            _ => Vec::new(),
        };
        let answer = CallAnswer { headers, body_bytes, body };
        let effects = vm.engine.borrow_mut().on_call_answer(call, answer, now());
        vm.perform(effects);
        vm.check_leave();
    }

    fn on_done(&mut self) -> bool {
        self.vm.as_ref().is_none_or(|vm| vm.leave())
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        let text = match host::buffer(Buffer::PluginConfiguration, 0, size) {
            Ok(text) => text,
            Err(error) => {
                host::log(LogLevel::Error, &format!("the configuration is unreadable: {error}"));
                return false;
            }
        };
        let configuration = match Configuration::from_json(&text) {
            Ok(configuration) => configuration,
            Err(findings) => {
                for finding in findings {
                    host::log(LogLevel::Error, &format!("configuration refused: {finding}"));
                }
                return false;
            }
        };
        let configuration = Rc::new(configuration);
        match Vm::new(self.id, configuration) {
            Ok(vm) => {
                let effects = vm.engine.borrow_mut().start();
                vm.perform(effects);
                self.vm = Some(Rc::new(vm));
                true
            }
            Err(error) => {
                host::log(LogLevel::Error, &format!("the host lacks what it takes: {error}"));
                false
            }
        }
    }

    fn on_queue_ready(&mut self, _: u32) {
        let Some(vm) = &self.vm else { return };
        vm.take_wake();
        let effects = vm.engine.borrow_mut().on_wake(now());
        vm.perform(effects);
    }

    fn on_tick(&mut self) {
        let Some(vm) = &self.vm else { return };
        let effects = vm.engine.borrow_mut().on_tick(now());
        vm.perform(effects);
        let effects = vm.engine.borrow_mut().on_time(&mut Shared, now());
        vm.perform(effects);
        vm.check_leave();
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(match &self.vm {
            Some(vm) => match vm.configuration.path {
                DataPath::Callout => Box::new(BucketStream::new(id, Rc::clone(vm))),
                DataPath::Streaming => Box::new(Stream::new(id, Rc::clone(vm))),
            },
            // To return none would be a panic of the SDK's.
            None => Box::new(Unconfigured),
        })
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
