//! What the embedded store costs beside plain files.
//!
//! `b2o store` runs as a process of its own. What it keeps is on the same disk as the files that it
//! is compared with, and the two take turns.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::client::Client;
use super::server::BLOCK;
use super::{Line, mebibytes, median};

const OBJECT: &str = "/examplebucket/object";

/// A store as users run it.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(folder: &Path) -> Self {
        let own = std::env::current_exe().expect("a path of our own");
        let mut child = Command::new(own)
            .arg("store")
            .arg(folder)
            .args(["--bucket", "examplebucket", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the store can be started");
        let mut line = String::new();
        let said = BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line);
        said.expect("it says where it listens");
        let address = line.split_whitespace().find_map(|word| word.strip_prefix("http://"));
        let address = address.and_then(|address| address.parse().ok()).expect("an address");
        Self { child, address }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An upload against `cp` and `md5sum` of the same file, and a download against the same file sent
/// by the kernel.
pub(crate) fn against_files(size: u64, rounds: usize) -> Vec<Line> {
    // Beside what is built: `/tmp` may be memory.
    let target = crate::support::python::target_folder();
    let folder = tempfile::tempdir_in(target).expect("a folder on the disk");
    let source = folder.path().join("source");
    let bytes = BLOCK.iter().copied().cycle().take(usize::try_from(size).unwrap_or(usize::MAX));
    fs::write(&source, bytes.collect::<Vec<u8>>()).expect("room for a file");
    let store = Process::start(&folder.path().join("store"));
    let copied = folder.path().join("copied");
    let mut upload = Pair::new(
        || put(store.address, &source, size).expect("an upload"),
        || copy(&source, &copied),
    );
    upload.measure(rounds);
    let mut download = Pair::new(
        || {
            let mut client = Client::connect(store.address).expect("the store");
            assert_eq!(client.get_anything(OBJECT).expect("a download").status, 200);
        },
        || send(&source).expect("a file over TCP"),
    );
    download.measure(rounds);
    let object = mebibytes(size);
    vec![
        upload.line(format!("upload of {object} to the embedded store"), "`cp` and `md5sum`", 2.0),
        download.line(format!("download of {object} from it"), "the file by `sendfile`", 2.0),
    ]
}

/// Two ways to do the same, and the seconds that they took.
struct Pair<A, B> {
    ours: A,
    theirs: B,
    taken: Vec<(f64, f64)>,
}

impl<A: Fn(), B: Fn()> Pair<A, B> {
    const fn new(ours: A, theirs: B) -> Self {
        Self { ours, theirs, taken: Vec::new() }
    }

    fn measure(&mut self, rounds: usize) {
        // The first one finds what is not in memory yet.
        for round in 0..=rounds {
            let taken = if round % 2 == 0 {
                let ours = seconds(&self.ours);
                (ours, seconds(&self.theirs))
            } else {
                let theirs = seconds(&self.theirs);
                (seconds(&self.ours), theirs)
            };
            self.taken.extend((round > 0).then_some(taken));
        }
    }

    fn line(&self, what: String, against: &str, most: f64) -> Line {
        let all = |one: fn(&(f64, f64)) -> f64| {
            median(&mut self.taken.iter().map(one).collect::<Vec<_>>())
        };
        let ratio = all(|(ours, theirs)| ours / theirs);
        let (ours, theirs) = (all(|taken| taken.0), all(|taken| taken.1));
        Line::at_most(
            what,
            format!("{against}: {theirs:.2} s"),
            ratio,
            format!("{ours:.2} s"),
            most,
        )
    }
}

fn seconds(work: impl Fn()) -> f64 {
    // Nobody pays for what the one before has left to be written.
    let synced = Command::new("sync").status();
    assert!(synced.is_ok_and(|status| status.success()), "sync");
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// Uploads a file by one PUT.
fn put(to: SocketAddr, source: &Path, size: u64) -> io::Result<()> {
    let mut stream = TcpStream::connect(to)?;
    let head = format!(
        "PUT {OBJECT} HTTP/1.1\r\nhost: {to}\r\ncontent-length: {size}\r\n\
         x-amz-content-sha256: UNSIGNED-PAYLOAD\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    io::copy(&mut File::open(source)?, &mut stream)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Ok(())
}

fn copy(source: &PathBuf, to: &PathBuf) {
    for command in [Command::new("cp").arg(source).arg(to), Command::new("md5sum").arg(to)] {
        let done = command.stdout(Stdio::null()).status();
        assert!(done.is_ok_and(|status| status.success()), "{command:?}");
    }
}

/// Sends a file over a connection of this machine.
fn send(source: &Path) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut receiving = TcpStream::connect(listener.local_addr()?)?;
    let (mut sending, _) = listener.accept()?;
    let mut file = File::open(source)?;
    std::thread::scope(|scope| {
        let sender = scope.spawn(move || io::copy(&mut file, &mut sending));
        let mut scratch = vec![0; 1 << 18];
        while receiving.read(&mut scratch)? > 0 {}
        sender.join().map_err(|_| io::Error::other("the sender panicked"))?.map(drop)
    })
}
