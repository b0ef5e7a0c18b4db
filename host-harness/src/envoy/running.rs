//! What a running Envoy says of itself.
//!
//! Owns the questions to its administration interface.

use std::collections::BTreeSet;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use back_to_origin::metric::Metric;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether Envoy knows servers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Known {
    /// It can send requests to all of them.
    All,
    /// It does not know all of them yet.
    NotAll,
    /// Nothing answers there, or it is no Envoy.
    NotRunning,
}

/// Whether the Envoy behind an administration interface knows all of these servers. One whose
/// address it is still looking for it does not know.
pub(super) fn knows(admin: SocketAddr, names: &BTreeSet<String>) -> Known {
    let Some(answer) = ask(admin, "/clusters") else { return Known::NotRunning };
    // Lines of `cluster::what::value`.
    let is_known = |name: &String| {
        answer
            .lines()
            .any(|line| line.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with("::")))
    };
    if names.iter().all(is_known) { Known::All } else { Known::NotAll }
}

/// The servers that the Envoy behind an administration interface has requests under way to, or
/// waiting for a connection; `None` where it cannot be asked.
pub(super) fn busy(admin: SocketAddr) -> Option<BTreeSet<String>> {
    let pattern = "%5Ecluster%5C..*%5C.upstream_rq_(active%7Cpending_active)$";
    let answer = ask(admin, &format!("/stats?filter={pattern}"))?;
    // Lines of `cluster.name.what: count`; a name may have dots.
    let busy = answer.lines().filter_map(|line| {
        let (name, count) = line.strip_prefix("cluster.")?.rsplit_once(": ")?;
        (count.trim() != "0").then(|| name.rsplit_once('.').map(|(name, _)| name.to_owned()))?
    });
    Some(busy.collect())
}

/// What an Envoy has not done yet.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct UnderWay {
    /// Requests of clients.
    pub(super) requests: u64,
    /// Objects on their way into a bucket, or to be fetched for one.
    pub(super) copies: u64,
}

/// What the Envoy behind an administration interface has under way; `None` where it cannot be asked.
pub(super) fn under_way(admin: SocketAddr) -> Option<UnderWay> {
    let pattern = format!(
        "%5Ehttp%5C.gateway%5C.downstream_rq_active$%7C{}%7C{}",
        Metric::CopiesUnderWay.name(),
        Metric::WaitingBackfills.name()
    );
    let answer = ask(admin, &format!("/stats?filter={pattern}"))?;
    let mut found = UnderWay::default();
    for line in answer.lines() {
        let Some((name, count)) = line.rsplit_once(": ") else { continue };
        let Ok(count) = count.trim().parse::<u64>() else { continue };
        match name.starts_with("http.") {
            true => found.requests += count,
            false => found.copies += count,
        }
    }
    Some(found)
}

/// Has the Envoy behind an administration interface do something; whether it did.
pub(super) fn post(admin: SocketAddr, page: &str) -> bool {
    send(admin, "POST", page).is_some()
}

/// One page.
fn ask(admin: SocketAddr, page: &str) -> Option<String> {
    send(admin, "GET", page)
}

fn send(admin: SocketAddr, method: &str, page: &str) -> Option<String> {
    let answer = || -> io::Result<String> {
        let mut connection = TcpStream::connect_timeout(&admin, PATIENCE)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        let request = format!(
            "{method} {page} HTTP/1.1\r\nhost: admin\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        connection.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    answer().ok().filter(|answer| answer.starts_with("HTTP/1.1 200"))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn answered(answer: &'static str, names: &[&str]) -> Known {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        asked(answer, |admin| knows(admin, &names))
    }

    fn asked<T>(answer: &'static str, ask: impl FnOnce(SocketAddr) -> T) -> T {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let admin = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            assert!(connection.read(&mut request).unwrap() > 0);
            connection.write_all(answer.as_bytes()).unwrap();
        });
        let said = ask(admin);
        server.join().unwrap();
        said
    }

    #[test]
    fn envoy_says_which_servers_it_has_requests_to() {
        let list = "HTTP/1.1 200 OK\r\n\r\ncluster.a.b.upstream_rq_active: 1\n\
                    cluster.a.b.upstream_rq_pending_active: 0\ncluster.c.upstream_rq_active: 0\n\
                    cluster.d.upstream_rq_pending_active: 2\n";
        assert_eq!(asked(list, busy), Some(["a.b".to_owned(), "d".to_owned()].into()));
        assert_eq!(asked("HTTP/1.1 503 Later\r\n\r\n", busy), None);
    }

    #[test]
    fn envoy_says_what_is_under_way() {
        let list = "HTTP/1.1 200 OK\r\n\r\nhttp.gateway.downstream_rq_active: 2\n\
                    wasmcustom.back_to_origin_copies_under_way.bucket=.=a;.;: 1\n\
                    wasmcustom.back_to_origin_waiting_backfills.bucket=.=a;.;: 3\n";
        assert_eq!(asked(list, under_way), Some(UnderWay { requests: 2, copies: 4 }));
        assert!(asked("HTTP/1.1 200 OK\r\n\r\nOK\n", |admin| post(admin, "/healthcheck/fail")));
    }

    #[test]
    fn envoy_lists_the_servers_it_knows() {
        let list = "HTTP/1.1 200 OK\r\n\r\nab::observability_name::ab\nc::added_via_api::true\n";
        assert_eq!(answered(list, &["ab", "c"]), Known::All);
        assert_eq!(answered(list, &["a"]), Known::NotAll);
        assert_eq!(answered("HTTP/1.1 404 Not Found\r\n\r\nab::x", &["ab"]), Known::NotRunning);
    }

    #[test]
    fn where_nobody_listens_nothing_runs() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(knows(address, &["a".to_owned()].into()), Known::NotRunning);
    }
}
