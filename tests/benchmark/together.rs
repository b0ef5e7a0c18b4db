//! Many clients that miss one object at the same moment.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::client::Client;
use crate::server;
use crate::store::{Kind, Store};
use crate::support::gateway::Setup;
use crate::{Line, MIB, Ours, mirror, start};

/// What an origin has been asked.
#[derive(Clone, Default)]
struct Asked {
    requests: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
}

impl Asked {
    fn origin(&self) -> SocketAddr {
        let asked = self.clone();
        server::serve(move |request, connection| {
            let sent = connection.send_object(request, server::size(&request.target))?;
            asked.requests.fetch_add(1, Ordering::SeqCst);
            asked.bytes.fetch_add(sent, Ordering::SeqCst);
            Ok(())
        })
    }

    fn take(&self) -> (u64, u64) {
        (self.requests.swap(0, Ordering::SeqCst), self.bytes.swap(0, Ordering::SeqCst))
    }
}

/// What so many clients cost the origin, and the last of them, with waiting and without.
pub(crate) fn together(size: u64, clients: u64) -> Line {
    let asked = Asked::default();
    let origin = asked.origin();
    let store = Store::start(Kind::Embedded);
    let gateway = |coalesce: Duration| {
        let timeouts = Some(json!({ "coalesce_ms": coalesce.as_millis() as u64 }));
        start(&Setup { timeouts, ..mirror(store.address(), origin) })
    };
    let (alone, waiting) = (gateway(Duration::ZERO), gateway(Duration::from_secs(5)));
    let ask = |gateway: &Ours, key: &str| {
        let path = format!("/examplebucket/{size}/{key}");
        std::thread::scope(|scope| {
            let asking: Vec<_> = (0..clients)
                .map(|_| {
                    scope.spawn(|| {
                        let mut client = Client::connect(gateway.address).expect("the gateway");
                        let answer = client.get(&path).expect("an object");
                        assert_eq!(answer.status, 200);
                        answer.last_byte.as_secs_f64()
                    })
                })
                .collect();
            let times = asking.into_iter().map(|client| client.join().expect("a client"));
            times.fold(0.0, f64::max)
        })
    };
    let before = ask(&alone, "alone");
    let (requests, bytes) = asked.take();
    let after = ask(&waiting, "waiting");
    let (fewer, less) = asked.take();
    let times = |bytes: u64| bytes as f64 / size as f64;
    let object = if size < MIB { format!("{size} bytes") } else { format!("{} MiB", size / MIB) };
    Line {
        what: format!("{clients} clients miss one object of {object} at once"),
        against: format!(
            "`coalesce: 0s`: {requests} requests to the origin, {:.2} times its bytes, the last \
             client after {before:.2} s",
            times(bytes)
        ),
        measured: format!(
            "{fewer} requests, {:.2} times its bytes, the last client after {after:.2} s ({:.2}x)",
            times(less),
            after / before
        ),
        least: "its bytes once".to_owned(),
        holds: times(less) < 1.05,
    }
}
