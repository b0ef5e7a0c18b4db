//! What a running Envoy says of itself.
//!
//! Owns one question to its administration interface.

use std::collections::BTreeSet;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

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
    let Ok(answer) = ask(admin) else { return Known::NotRunning };
    if !answer.starts_with("HTTP/1.1 200") {
        return Known::NotRunning;
    }
    // Lines of `cluster::what::value`.
    let is_known = |name: &String| {
        answer
            .lines()
            .any(|line| line.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with("::")))
    };
    if names.iter().all(is_known) { Known::All } else { Known::NotAll }
}

fn ask(admin: SocketAddr) -> io::Result<String> {
    let mut connection = TcpStream::connect_timeout(&admin, PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.write_all(b"GET /clusters HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn answered(answer: &'static str, names: &[&str]) -> Known {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let admin = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            assert!(connection.read(&mut request).unwrap() > 0);
            connection.write_all(answer.as_bytes()).unwrap();
        });
        let known = knows(admin, &names.iter().map(|name| (*name).to_owned()).collect());
        server.join().unwrap();
        known
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
