//! The embedded store behind somebody who fails at times.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::truth::Chance;
use crate::support::server::Reply;
use crate::support::store::{Store, error};
use crate::support::wire::Request;

/// A bucket, and whether it fails at times.
pub(crate) struct Bucket {
    pub(crate) store: Store,
    is_faulty: Arc<AtomicBool>,
    faults: Arc<AtomicU64>,
}

impl Bucket {
    pub(crate) fn start(seed: u64) -> Self {
        let (is_faulty, faults) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
        let (fails, counter) = (Arc::clone(&is_faulty), Arc::clone(&faults));
        let chance = Mutex::new(Chance::new(seed));
        let store = Store::files_behind(&["examplebucket"], move |request, own| {
            let drawn = chance.lock().expect("no panic").below(1_000);
            let fault = fails.load(Ordering::SeqCst).then(|| Fault::drawn(drawn, request));
            match fault.flatten() {
                Some(fault) => {
                    counter.fetch_add(1, Ordering::SeqCst);
                    fault.answer(request, own)
                }
                None => own(),
            }
        });
        Self { store, is_faulty, faults }
    }

    /// Has it fail no more; returns how often it has.
    pub(crate) fn recover(&self) -> u64 {
        self.is_faulty.store(false, Ordering::SeqCst);
        self.faults.load(Ordering::SeqCst)
    }
}

/// How a request fails.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Done, and the answer is lost.
    DoneUnheard,
    /// Done, and the answer says that it was not.
    DoneDenied,
    /// Not done, and no answer.
    Lost,
    Slow,
    /// Not done, and a 200 whose body says so.
    TurnedSour,
    Unavailable,
}

impl Fault {
    fn drawn(drawn: u64, request: &Request) -> Option<Self> {
        let reads = matches!(request.method.as_str(), "GET" | "HEAD");
        // An upload that a store denies having made is nobody's fault but the store's.
        let creates = request.method == "POST" && request.target.ends_with(b"?uploads");
        match drawn {
            0..5 => Some(Self::Unavailable),
            5..8 => Some(Self::Slow),
            8..35 if !reads => Some(Self::Unavailable),
            35..42 if !reads => Some(Self::Lost),
            42..50 if !reads => Some(Self::DoneUnheard),
            50..58 if !reads && !creates => Some(Self::DoneDenied),
            58..68 if request.method == "POST" => Some(Self::TurnedSour),
            _ => None,
        }
    }

    fn answer(self, request: &Request, own: &dyn Fn() -> Reply) -> Reply {
        match self {
            Self::DoneUnheard => {
                own();
                Reply::raw("").reset()
            }
            Self::DoneDenied => {
                own();
                error(500, "InternalError", &request.method)
            }
            Self::Lost => Reply::raw("").reset(),
            Self::Slow => {
                // A server that takes its time, not a test that waits.
                std::thread::sleep(Duration::from_millis(700));
                own()
            }
            Self::TurnedSour => Reply::new(
                200,
                &[],
                "<?xml version=\"1.0\"?>\n<Error xmlns=\"x\"><Code>InternalError</Code></Error>",
            ),
            Self::Unavailable => error(503, "SlowDown", &request.method),
        }
    }
}
