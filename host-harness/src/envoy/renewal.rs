//! How the files of one run take the place of an earlier run's, under an Envoy that is running.
//!
//! Owns the order, and that a server is there as long as anything may still speak to it: it is
//! there before a rule names it, and when none does any more, until Envoy has no request under way to
//! it and a while has passed. How many such there are is bounded.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use super::directory::{Change, WriteError, replace};
use super::running::{Known, busy, knows};
use super::yaml::List;
use super::{CLUSTERS, CREDENTIALS, File};

/// Marks a server that no rule names any more. Behind it stands since when, in seconds of Unix time.
const RETIRED: &str = "Nothing names this server any more, but requests under way may go to it. A later run removes it. \
     Since ";

/// How long such a server stays without a request: a copy may be between two of its requests, and a
/// request between two attempts.
const PAUSE: Duration = Duration::from_secs(30);

/// How many of them stay at most. Envoy ends what is under way to one that is removed by itself; what
/// comes behind that is refused. Those retired last stay.
const MOST_RETIRED: usize = 32;

/// How long Envoy may take to find new servers' addresses.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it is given where it cannot be asked.
const BLIND: Duration = Duration::from_secs(1);

/// What is known of an Envoy that may be running on the directory.
#[derive(Clone, Copy, Debug)]
pub struct Running {
    /// Its administration interface.
    pub admin: Option<SocketAddr>,
    /// How long a request to an origin, and the write that follows, may take.
    pub request: Duration,
}

/// Puts files into a directory, in their order, and says what became of each.
///
/// # Errors
///
/// When a file cannot be written; those before it have been.
pub fn install(
    directory: &Path,
    files: &[File],
    running: Running,
) -> Result<Vec<(&'static str, Change)>, WriteError> {
    fs::create_dir_all(directory)
        .map_err(|source| WriteError { path: directory.to_owned(), source })?;
    let mut changes = Vec::new();
    for file in files {
        let path = directory.join(file.name);
        let change = if file.name == CLUSTERS {
            replace_clusters(&path, &file.bytes, running)?
        } else {
            replace(&path, &file.bytes, file.private)?
        };
        changes.push((file.name, change));
    }
    // Keys that nothing refers to any more are not left lying about.
    if files.iter().all(|file| file.name != CREDENTIALS) {
        let path = directory.join(CREDENTIALS);
        match fs::remove_file(&path) {
            Ok(()) => changes.push((CREDENTIALS, Change::Removed)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(WriteError { path, source }),
        }
    }
    Ok(changes)
}

/// Replaces the servers, and returns once a running Envoy knows the new ones.
fn replace_clusters(path: &Path, bytes: &[u8], running: Running) -> Result<Change, WriteError> {
    let new = String::from_utf8_lossy(bytes);
    // A file that is no text is none of ours; it is replaced without a look.
    let Ok(old) = fs::read_to_string(path) else { return replace(path, bytes, false) };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let retiring = Retiring {
        now: now.as_secs(),
        busy: running.admin.and_then(busy),
        patience: running.request,
    };
    let change = replace(path, retiring.file(&new, &old).as_bytes(), false)?;
    let known = names(&old);
    let added = names(&new).into_iter().filter(|name| !known.contains(name)).collect();
    if change == Change::Replaced {
        wait_until_known(running.admin, &added);
    }
    Ok(change)
}

/// What decides which servers stay that no rule names.
struct Retiring {
    /// In seconds of Unix time.
    now: u64,
    /// Those that Envoy has requests under way to; `None` where it cannot be asked.
    busy: Option<BTreeSet<String>>,
    /// How long a request may take, where Envoy cannot be asked.
    patience: Duration,
}

impl Retiring {
    /// The new file with those servers that only the old one has, and that may still be spoken to.
    fn file(&self, new: &str, old: &str) -> String {
        let named = names(new);
        let since = retired(old);
        let mut kept = Vec::new();
        for server in servers(old) {
            let Some(name) = server["name"].as_str().map(str::to_owned) else { continue };
            let since = since.get(&name).copied().unwrap_or(self.now);
            if !named.contains(&name) && self.stays(&name, since) {
                kept.push((since, self.is_busy(&name), server));
            }
        }
        // The last ones first, and first of all those in use.
        kept.sort_by_key(|(since, is_busy, _)| (!is_busy, Reverse(*since)));
        kept.truncate(MOST_RETIRED);
        let mut list = List::new();
        for (since, _, server) in kept {
            list = list.remark(&format!("{RETIRED}{since}.")).with(server);
        }
        // By itself: what the old file says once may be said no more in the new one.
        let text = format!("{new}{}", list.fragment());
        // The old file may have been changed by hand.
        let is_sound = serde_saphyr::from_str::<Value>(&text).is_ok();
        if is_sound { text } else { new.to_owned() }
    }

    fn stays(&self, name: &str, since: u64) -> bool {
        let age = Duration::from_secs(self.now.saturating_sub(since));
        match &self.busy {
            Some(busy) => busy.contains(name) || age < PAUSE.min(self.patience),
            None => age < self.patience,
        }
    }

    fn is_busy(&self, name: &str) -> bool {
        self.busy.as_ref().is_some_and(|busy| busy.contains(name))
    }
}

/// The servers of a file that no rule names, and since when.
fn retired(text: &str) -> BTreeMap<String, u64> {
    // A comment has its lines where they fit.
    let mark = RETIRED.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut found = BTreeMap::new();
    let mut comment = String::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if let Some(said) = line.strip_prefix("# ") {
            comment.push_str(said.trim_end());
            comment.push(' ');
        } else if let Some((_, since)) = std::mem::take(&mut comment).split_once(&mark) {
            let first = servers(&format!("resources:\n{}", &text[at..])).into_iter().next();
            let name = first.and_then(|server| server["name"].as_str().map(str::to_owned));
            let since = since.trim().trim_end_matches('.').parse().ok();
            found.extend(name.zip(since));
        }
        at += line.len();
    }
    found
}

/// The servers of a file, each whole.
fn servers(text: &str) -> Vec<Value> {
    match serde_saphyr::from_str::<Value>(text) {
        Ok(Value::Object(mut file)) => match file.remove("resources") {
            Some(Value::Array(servers)) => servers,
            Some(_) | None => Vec::new(),
        },
        Ok(_) | Err(_) => Vec::new(),
    }
}

fn names(text: &str) -> BTreeSet<String> {
    servers(text).iter().filter_map(|server| server["name"].as_str().map(str::to_owned)).collect()
}

/// Waits until Envoy has found the addresses of servers, so that no rule names one too early.
fn wait_until_known(admin: Option<SocketAddr>, names: &BTreeSet<String>) {
    if names.is_empty() {
        return;
    }
    let Some(admin) = admin else { return std::thread::sleep(BLIND) };
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match knows(admin, names) {
            Known::All | Known::NotRunning => return,
            Known::NotAll => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How a server begins in the file.
    const BEGINNING: &str = "- \"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster\n";

    fn page(names: &[&str]) -> String {
        names.iter().fold("# A heading.\n\nresources:\n".to_owned(), |text, name| {
            text + &format!("\n# About it.\n{BEGINNING}  name: {name}\n  type: STATIC\n")
        })
    }

    fn retiring(now: u64, busy: Option<&[&str]>) -> Retiring {
        let busy = busy.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        Retiring { now, busy, patience: Duration::from_secs(300) }
    }

    #[test]
    fn a_server_stays_while_envoy_has_requests_to_it() {
        let second = retiring(1_000, Some(&["b"])).file(&page(&["a"]), &page(&["a", "b"]));
        assert_eq!(names(&second), names(&page(&["a", "b"])), "{second}");
        assert_eq!(retired(&second), [("b".to_owned(), 1_000)].into(), "{second}");
        let third = retiring(5_000, Some(&["b"])).file(&page(&["a"]), &second);
        assert_eq!(third, second);
        let fourth = retiring(5_000, Some(&[])).file(&page(&["a"]), &third);
        assert_eq!(fourth, page(&["a"]));
    }

    #[test]
    fn a_server_stays_for_a_pause_between_two_requests() {
        let second = retiring(1_000, Some(&[])).file(&page(&["a"]), &page(&["a", "b"]));
        assert_eq!(retiring(1_029, Some(&[])).file(&page(&["a"]), &second), second);
        assert_eq!(retiring(1_030, Some(&[])).file(&page(&["a"]), &second), page(&["a"]));
        // One that is named again is no other than it was.
        let named = page(&["a", "b"]);
        assert_eq!(retiring(1_001, Some(&[])).file(&named, &second), named);
    }

    #[test]
    fn where_envoy_cannot_be_asked_a_server_stays_as_long_as_a_request_may_take() {
        let second = retiring(1_000, None).file(&page(&["a"]), &page(&["a", "b"]));
        assert_eq!(retiring(1_299, None).file(&page(&["a"]), &second), second);
        assert_eq!(retiring(1_300, None).file(&page(&["a"]), &second), page(&["a"]));
    }

    #[test]
    fn how_many_stay_is_bounded_and_those_in_use_are_among_them() {
        let mut text = page(&["a", "used"]);
        for change in 0..200_u64 {
            let named = [format!("o{change}")];
            let new = page(&[&["a"], named.each_ref().map(String::as_str).as_slice()].concat());
            text = retiring(1_000, Some(&["used"])).file(&new, &text);
            assert!(names(&text).len() <= 2 + MOST_RETIRED);
        }
        assert_eq!(names(&text).len(), 2 + MOST_RETIRED);
        assert!(names(&text).contains("used"), "{text}");
    }

    #[test]
    fn a_file_of_somebody_elses_is_no_part_of_ours() {
        for old in ["", "resources: []\n", "{\n\n", &format!("\n\n{BEGINNING}  name: x\n  a: [\n")]
        {
            assert_eq!(retiring(1, None).file(&page(&["a"]), old), page(&["a"]), "{old:?}");
        }
    }
}
