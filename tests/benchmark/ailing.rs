//! What hits feel of a store that fails.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::server::{self, Connection, Request};
use crate::{Line, mean, milliseconds, ours};

/// Misses a second.
const MISSES: u32 = 100;

/// A bucket with one object, and how often it was asked to write one.
struct Bucket {
    address: SocketAddr,
    writes: Arc<AtomicU64>,
}

impl Bucket {
    fn start(fails: bool) -> Self {
        let writes = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&writes);
        let address = server::serve(move |request: &Request, connection: &mut Connection| {
            if request.target.ends_with("/hit") {
                return connection.send_object(request, 1_024).map(drop);
            }
            if ["GET", "HEAD"].contains(&request.method.as_str()) {
                return connection.send("404 Not Found", "");
            }
            counter.fetch_add(1, Ordering::SeqCst);
            connection.skip(request.length)?;
            let answer = if fails { "503 Slow Down" } else { "200 OK\r\netag: \"v\"" };
            connection.send(answer, "")
        });
        Self { address, writes }
    }
}

/// The slowest hits beside misses whose objects the store does not take, against the same beside
/// misses whose objects it takes.
pub(crate) fn hits_beside_failures(rounds: u32, time: Duration) -> Line {
    let origin = server::origin();
    let (failing, sound) = (Bucket::start(true), Bucket::start(false));
    let gateways = [ours(failing.address, origin), ours(sound.address, origin)];
    let mut slowest = [Vec::new(), Vec::new()];
    let mut misses = 0;
    for round in 0..rounds {
        // In turns, so that neither has the better half of the time.
        for (gateway, slowest) in gateways.iter().zip(&mut slowest) {
            let (asked, taken) = beside(gateway.address, round, time);
            misses += asked;
            slowest.push(percentile(taken, 99));
        }
    }
    let (with, without) = (mean(&slowest[0]), mean(&slowest[1]));
    let writes = failing.writes.load(Ordering::SeqCst) as f64 / (misses as f64 / 2.0);
    Line::at_most(
        format!("p99 of hits beside {MISSES} misses a second of 4 KiB, every write answered 503"),
        format!("the same in a store that takes them: {without:.2} ms"),
        with / without,
        format!("{with:.2} ms; {writes:.2} writes a miss"),
        2.0,
    )
}

/// Misses at their pace, and how long the hits beside them took, in milliseconds.
fn beside(gateway: SocketAddr, round: u32, time: Duration) -> (u64, Vec<f64>) {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let hits = scope.spawn(|| {
            let mut client = Client::connect(gateway).expect("the gateway");
            let mut taken = Vec::new();
            while !is_over.load(Ordering::SeqCst) {
                let answer = client.get("/examplebucket/1024/hit").expect("a hit");
                assert_eq!(answer.status, 200);
                taken.push(milliseconds(answer.last_byte));
                std::thread::sleep(Duration::from_millis(2));
            }
            taken
        });
        let mut client = Client::connect(gateway).expect("the gateway");
        let (start, mut misses) = (Instant::now(), 0_u32);
        while start.elapsed() < time {
            let key = format!("/examplebucket/4096/{round}-{misses}");
            assert_eq!(client.get(&key).expect("a miss").status, 200);
            misses += 1;
            let next = Duration::from_secs(1) * misses / MISSES;
            std::thread::sleep(next.saturating_sub(start.elapsed()));
        }
        is_over.store(true, Ordering::SeqCst);
        (u64::from(misses), hits.join().expect("no panic"))
    })
}

fn percentile(mut values: Vec<f64>, part: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) * part / 100]
}
