//! Lines on their way to a file or to standard output.
//!
//! Owns that nobody waits for a slow reader: lines wait in memory, up to a bound, and a thread writes
//! them. What finds no room is counted, and told of.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The most bytes that wait.
const MOST: usize = 4 * 1024 * 1024;

/// How long the last lines may take to be written.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whoever is told of what goes wrong with the lines.
type Tell = Box<dyn Fn(&str) + Send>;

/// Where lines go.
#[derive(Debug)]
enum Target {
    File { path: PathBuf, file: File },
    Stderr,
    Stdout,
}

impl Target {
    /// The two streams of this process are known by their paths: a socket or a pipe of somebody
    /// else's cannot be opened again.
    fn open(path: &Path) -> io::Result<Self> {
        Ok(match path.to_str() {
            Some("/dev/stdout") => Self::Stdout,
            Some("/dev/stderr") => Self::Stderr,
            Some(_) | None => Self::File { path: path.to_owned(), file: append(path)? },
        })
    }

    fn reopen(&mut self) -> io::Result<()> {
        match self {
            Self::File { path, file } => *file = append(path)?,
            Self::Stderr | Self::Stdout => {}
        }
        Ok(())
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Self::File { file, .. } => file.write_all(lines),
            Self::Stderr => io::stderr().lock().write_all(lines),
            Self::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(lines).and_then(|()| out.flush())
            }
        }
    }
}

/// Each write goes to the end as it is then, so that a file may be truncated under it.
fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    lost: u64,
    is_to_reopen: bool,
    is_over: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    has_more: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes lines, and has them written.
pub(crate) struct Sink {
    shared: Arc<Shared>,
    written: Mutex<Receiver<()>>,
}

impl Sink {
    /// One that appends to a file; `name` is what its lines are, for `tell`.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, or no thread can be started.
    pub(crate) fn open(
        path: &Path,
        name: &'static str,
        tell: impl Fn(&str) + Send + 'static,
    ) -> io::Result<Self> {
        let target = Target::open(path)?;
        let shared: Arc<Shared> = Arc::default();
        let (done, written) = mpsc::channel();
        let (own, tell): (_, Tell) = (Arc::clone(&shared), Box::new(tell));
        std::thread::Builder::new().name("lines".to_owned()).spawn(move || {
            Writer { shared: own, target, name, tell, has_failed: false }.run();
            // Whoever waited may have given up.
            let _ = done.send(());
        })?;
        Ok(Self { shared, written: Mutex::new(written) })
    }

    /// Takes a line. It never waits.
    pub(crate) fn write(&self, line: &str) {
        let mut state = self.shared.state();
        if state.waiting.len() + line.len() < MOST {
            state.waiting.extend_from_slice(line.as_bytes());
            state.waiting.push(b'\n');
        } else {
            state.lost += 1;
        }
        drop(state);
        self.shared.has_more.notify_one();
    }

    /// Opens the file anew, which may have been moved away.
    pub(crate) fn reopen(&self) {
        self.shared.state().is_to_reopen = true;
        self.shared.has_more.notify_one();
    }

    /// Takes no more lines, and waits until the last one is written, though not for long.
    pub(crate) fn finish(&self) {
        self.shared.state().is_over = true;
        self.shared.has_more.notify_one();
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = written.recv_timeout(PATIENCE);
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.finish();
    }
}

struct Writer {
    shared: Arc<Shared>,
    target: Target,
    name: &'static str,
    tell: Tell,
    /// One line says so, until it works again.
    has_failed: bool,
}

impl Writer {
    fn run(mut self) {
        loop {
            let mut state = self.shared.state();
            while state.waiting.is_empty() && !state.is_to_reopen && !state.is_over {
                state = self.shared.has_more.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            let (lines, lost) =
                (std::mem::take(&mut state.waiting), std::mem::take(&mut state.lost));
            let is_to_reopen = std::mem::take(&mut state.is_to_reopen);
            let is_over = state.is_over;
            drop(state);
            let written = self.target.write(&lines);
            self.judge("write", written);
            if is_to_reopen {
                let opened = self.target.reopen();
                self.judge("open", opened);
            }
            if lost > 0 {
                let plural = if lost == 1 { "" } else { "s" };
                let name = self.name;
                (self.tell)(&format!(
                    "warning: {lost} line{plural} of the {name} lost, as they were not written fast \
                     enough"
                ));
            }
            if is_over && lines.is_empty() {
                return;
            }
        }
    }

    fn judge(&mut self, what: &str, done: io::Result<()>) {
        match done {
            Ok(()) => self.has_failed = false,
            Err(error) if !self.has_failed => {
                self.has_failed = true;
                (self.tell)(&format!("warning: cannot {what} the {}: {error}", self.name));
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A sink, and what it tells.
    fn sink(path: &Path) -> (Sink, Arc<Mutex<Vec<String>>>) {
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&told);
        let keep = move |line: &str| kept.lock().unwrap().push(line.to_owned());
        (Sink::open(path, "access log", keep).unwrap(), told)
    }

    #[test]
    fn lines_are_written_in_their_order_and_a_file_is_opened_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("log"), folder.path().join("log.1"));
        std::fs::write(&path, "before\n").unwrap();
        let (sink, told) = sink(&path);
        sink.write("one");
        sink.write("two");
        while std::fs::read_to_string(&path).unwrap() != "before\none\ntwo\n" {
            std::thread::yield_now();
        }
        std::fs::rename(&path, &moved).unwrap();
        sink.reopen();
        while !path.exists() {
            std::thread::yield_now();
        }
        sink.write("three");
        sink.finish();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "three\n");
        assert_eq!(std::fs::read_to_string(&moved).unwrap(), "before\none\ntwo\n");
        assert!(told.lock().unwrap().is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn nobody_waits_for_a_reader_that_does_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        // Both ends, so that it opens at once; it holds 64 KiB.
        let mut reader = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let (sink, told) = sink(&path);
        let line = "x".repeat(1023);
        let count = 3 * MOST / 1024;
        for _ in 0..count {
            sink.write(&line);
        }
        // It ends with the process: the other end of the pipe is its own.
        std::thread::spawn(move || {
            let mut piece = [0; 64 * 1024];
            while io::Read::read(&mut reader, &mut piece).is_ok() {}
        });
        while told.lock().unwrap().is_empty() {
            std::thread::yield_now();
        }
        let told = told.lock().unwrap();
        let end = "of the access log lost, as they were not written fast enough";
        assert!(told[0].ends_with(end), "{told:?}");
    }

    #[test]
    fn what_cannot_be_opened_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = Sink::open(&folder.path().join("no/such/folder"), "access log", |_| {});
        assert_eq!(error.err().map(|error| error.kind()), Some(io::ErrorKind::NotFound));
    }
}
