//! How the files of one run take the place of an earlier run's, under an Envoy that is running.
//!
//! Owns the order, and that a server is there as long as anything may still speak to it: it is
//! there before a rule names it, and for one run more than the last rule that did.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use super::directory::{Change, WriteError, replace};
use super::running::{Known, knows};
use super::yaml::List;
use super::{CLUSTERS, CREDENTIALS, File};

/// Marks a server that no rule names any more.
const RETIRED: &str = "Nothing names this server any more, but requests under way may go to it. The \
                       next run removes it.";

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
    let age = fs::metadata(path)
        .and_then(|data| data.modified())
        .ok()
        .and_then(|written| SystemTime::now().duration_since(written).ok());
    let is_recent = age.is_some_and(|age| age < running.request);
    let change = replace(path, with_retired(&new, &old, is_recent).as_bytes(), false)?;
    let known = names(&old);
    let added = names(&new).into_iter().filter(|name| !known.contains(name)).collect();
    if change == Change::Replaced {
        wait_until_known(running.admin, &added);
    }
    Ok(change)
}

/// The new file with the servers that only the old one has. Those it kept already go, unless that
/// was only just now.
fn with_retired(new: &str, old: &str, is_recent: bool) -> String {
    let named = names(new);
    let mut retired = List::new();
    for server in servers(old) {
        let Some(name) = server["name"].as_str() else { continue };
        if !named.contains(name) && (is_recent || !is_retired(old, name)) {
            retired = retired.remark(RETIRED).with(server);
        }
    }
    // By itself: what the old file says once may be said no more in the new one.
    let text = format!("{new}{}", retired.fragment());
    // The old file may have been changed by hand.
    let is_sound = serde_saphyr::from_str::<Value>(&text).is_ok();
    if is_sound { text } else { new.to_owned() }
}

/// Whether the file keeps a server that no rule names.
fn is_retired(text: &str, name: &str) -> bool {
    let mut marked = text.split(RETIRED).skip(1);
    marked.any(|part| {
        servers(&format!("resources:{part}")).first().is_some_and(|server| server["name"] == name)
    })
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

    #[test]
    fn a_server_stays_for_one_run_more() {
        let second = with_retired(&page(&["a"]), &page(&["a", "b"]), false);
        assert_eq!(names(&second), names(&page(&["a", "b"])), "{second}");
        assert_eq!(second.matches(RETIRED).count(), 1, "{second}");
        let third = with_retired(&page(&["a"]), &second, false);
        assert_eq!(third, page(&["a"]));
    }

    #[test]
    fn a_server_stays_while_its_requests_may_be_under_way() {
        let second = with_retired(&page(&["a"]), &page(&["a", "b"]), true);
        let third = with_retired(&page(&["a"]), &second, true);
        assert_eq!(third, second);
        assert_eq!(with_retired(&page(&["a", "b"]), &third, true), page(&["a", "b"]));
    }

    #[test]
    fn a_file_of_somebody_elses_is_no_part_of_ours() {
        for old in ["", "resources: []\n", "{\n\n", &format!("\n\n{BEGINNING}  name: x\n  a: [\n")]
        {
            assert_eq!(with_retired(&page(&["a"]), old, false), page(&["a"]), "{old:?}");
        }
    }
}
