//! What tests of the binary have in common.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A command that goes on, and all that it prints.
pub(crate) struct Running {
    pub(crate) child: Child,
    printed: Arc<Mutex<String>>,
}

impl Running {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_b2o"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let printed: Arc<Mutex<String>> = Arc::default();
        let (out, errors) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let keep = |from: Box<dyn std::io::Read + Send>| {
            let printed = Arc::clone(&printed);
            std::thread::spawn(move || {
                for line in BufReader::new(from).lines().map_while(Result::ok) {
                    printed.lock().unwrap().push_str(&(line + "\n"));
                }
            });
        };
        keep(Box::new(out));
        keep(Box::new(errors));
        Self { child, printed }
    }

    pub(crate) fn printed(&self) -> String {
        self.printed.lock().unwrap().clone()
    }

    /// Waits for a text.
    fn until(&self, text: &str) -> String {
        let begun = Instant::now();
        loop {
            let printed = self.printed();
            if printed.contains(text) {
                return printed;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "no {text} in {printed}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The address that it says it has.
    pub(crate) fn address(&self, what: &str) -> SocketAddr {
        let printed = self.until("ready\n");
        let line = printed.lines().find(|line| line.starts_with(what)).unwrap().to_owned();
        let (_, rest) = line.split_once("http://").unwrap();
        rest.split_whitespace().next().unwrap().parse().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
