//! Reading a deployment file with everything it refers to, and judging it as a whole.
//!
//! Every problem of the file and of its rule files is found in one go. What of the file is not shown
//! is masked before anything is drawn.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use back_to_origin::rule::RuleSet;

use super::mirror_auth::{self, Signers};
use super::node::{Node, SyntaxError};
use super::secrets;
use super::section::Reading;
use super::value::{Addressing, At, Reads, Value};
use super::{Api, Bucket, Credentials, Deployment};
use crate::diagnostics::{self, Document, Report, Weight};
use crate::rule_file::{self, Home, Surroundings};
use crate::secrecy::Hidden;

/// The largest object a filter can receive in Envoy, whose limit is 32 MiB for the whole answer.
const LARGEST_OBJECT: u64 = 32 * 1024 * 1024 - 1;

/// The smallest part of an upload, but for the last (S3: EntityTooSmall).
const LEAST_PART: u64 = 5 * 1024 * 1024;

/// The most objects that the filter fetches for the bucket alone at once.
const MOST_BACKFILLS: u64 = 1_000;

/// A deployment that may be used.
#[derive(Debug)]
pub struct Loaded {
    /// The file's fields.
    pub deployment: Deployment,
    /// Each bucket's rules, in the order of the buckets.
    pub rules: Vec<Rules>,
    /// What deserves a look but refuses nothing.
    pub warnings: Vec<Report>,
}

/// The rules of one bucket.
pub struct Rules {
    /// The rule file.
    pub path: PathBuf,
    /// The list of rules, as the filter is given it: without any key.
    pub json: serde_json::Value,
    /// The origins its Mirror rules fetch from, as `scheme://host[:port]`, and behind a blank who
    /// signs, where somebody does.
    pub origins: Vec<String>,
    /// The keys of who signs.
    pub(super) signers: Signers,
    /// The rules themselves.
    pub set: RuleSet,
    /// What is worth a word to whoever has them checked.
    pub notes: Option<Report>,
}

/// Without what the rules say: a header that they set may be a secret.
impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Rules");
        shown.field("path", &self.path).field("origins", &self.origins).finish_non_exhaustive()
    }
}

/// Why there is no deployment.
#[derive(Debug)]
pub enum LoadError {
    /// The file or its rule files have problems.
    Refused(Vec<Report>),
    /// The file cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reports) => {
                let count = |weight| reports.iter().map(|report| report.count(weight)).sum();
                let tally = diagnostics::tally(count(Weight::Error), count(Weight::Warning));
                write!(f, "the deployment is refused: {tally}")
            }
            Self::Unreadable { path, source } => {
                write!(f, "cannot read the deployment file {}: {source}", path.display())
            }
        }
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused(_) => None,
            Self::Unreadable { source, .. } => Some(source),
        }
    }
}

/// Reads a deployment file, its rule files and the environment variables it names.
///
/// # Errors
///
/// When the file cannot be read or anything in it is not right.
pub fn load(path: &Path) -> Result<Loaded, LoadError> {
    load_with(path, &from_disk)
}

/// The same with rule files from elsewhere: `rules` is asked for each bucket's, by the bucket's
/// name and the file's path.
///
/// # Errors
///
/// When the file cannot be read or anything in it, or in the rules, is not right.
pub fn load_with(path: &Path, rules: RuleSource<'_>) -> Result<Loaded, LoadError> {
    let bytes = std::fs::read(path)
        .map_err(|source| LoadError::Unreadable { path: path.to_owned(), source })?;
    let directory = path.parent().unwrap_or_else(|| Path::new(""));
    let document = Document::new(path.display().to_string(), &bytes);
    parse_with(document, directory, &|name| std::env::var_os(name), rules)
}

/// Where rules come from, by a bucket's name and the path of its rule file.
pub type RuleSource<'a> = &'a dyn Fn(&str, &Path) -> io::Result<Vec<u8>>;

fn from_disk(_: &str, path: &Path) -> io::Result<Vec<u8>> {
    std::fs::read(path)
}

/// Reads a deployment from its text.
///
/// # Errors
///
/// When anything in it is not right.
pub fn parse(
    document: Document,
    directory: &Path,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Loaded, LoadError> {
    parse_with(document, directory, environment, &from_disk)
}

fn parse_with(
    document: Document,
    directory: &Path,
    environment: &dyn Fn(&str) -> Option<OsString>,
    source: RuleSource<'_>,
) -> Result<Loaded, LoadError> {
    let mut reading = Reading::new(environment);
    let root = match Node::parse(&document.text) {
        Ok(root) => root,
        Err(SyntaxError { message, at }) => {
            let end = document.text[at..].chars().next().map_or(at, |c| at + c.len_utf8());
            let hidden = Hidden::unknown(&document.text, secrets::known());
            let message = hidden.without(&message, &document.text);
            let message = format!("the text is not YAML: {message}");
            reading.refuse("syntax", &(at..end), message, "see DEPLOYMENT.md for an example");
            let document = masked(&document, &hidden);
            return Err(LoadError::Refused(vec![Report::new(document, reading.problems)]));
        }
    };
    reading.hidden = secrets::find(&root, &document.text);
    let deployment = Deployment::read(&root, &mut reading);
    let mut reports = Vec::new();
    let mut rules = Vec::new();
    if let Some(deployment) = &deployment {
        check(deployment, &mut reading);
        for bucket in &deployment.buckets.value {
            rules.extend(read_rules(
                bucket,
                deployment,
                directory,
                source,
                &mut reading,
                &mut reports,
            ));
        }
    }
    let refused = !reading.problems.is_empty()
        || reports.iter().any(|report| report.count(Weight::Error) > 0);
    match deployment {
        Some(deployment) if !refused => Ok(Loaded { deployment, rules, warnings: reports }),
        Some(_) | None => {
            if !reading.problems.is_empty() {
                let own = Report::new(masked(&document, &reading.hidden), reading.problems);
                reports.insert(0, own);
            }
            Err(LoadError::Refused(reports))
        }
    }
}

/// What several fields mean together.
fn check(deployment: &Deployment, reading: &mut Reading<'_>) {
    let Deployment { listen, admin, api, limits, buckets, .. } = deployment;
    check_origins(deployment, reading);
    if let Some(admin) = admin.as_ref().filter(|admin| same_port(admin, listen)) {
        let message = format!("`admin` and `listen` are both {}", admin.value);
        reading.refuse("conflict", &admin.span, message, "give one of them another port");
    }
    check_api(api, reading);
    for (name, other) in [("listen", Some(listen)), ("admin", admin.as_ref())] {
        if let Some(other) = other.filter(|other| same_port(other, &api.listen)) {
            // One that is not written is no mistake of the file's.
            let place = if api.listen.span.is_empty() { &other.span } else { &api.listen.span };
            let message = format!("`{name}` and the API's `listen` are both {}", other.value);
            reading.refuse("conflict", place, message, "give one of them another port");
        }
    }
    if !(1..=LARGEST_OBJECT).contains(&limits.object_bytes.value) {
        let found = limits.object_bytes.value;
        let message = format!("expected 1 to {LARGEST_OBJECT} bytes, found {found}");
        let help = "larger objects are left to their origin";
        reading.refuse("bad-limit", &limits.object_bytes.span, message, help);
    } else if limits.memory_bytes.value < limits.object_bytes.value {
        let (memory, object) = (limits.memory_bytes.value, limits.object_bytes.value);
        let message = format!("`memory_bytes` is {memory}, less than `object_bytes` {object}");
        let place = if limits.memory_bytes.span.is_empty() {
            &limits.object_bytes.span
        } else {
            &limits.memory_bytes.span
        };
        reading.refuse("bad-limit", place, message, "no object of that size could be fetched");
    }
    if limits.fetches.value == 0 {
        let message = "expected at least 1 fetch at once, found 0";
        reading.refuse("bad-limit", &limits.fetches.span, message, "remove it for the default, 64");
    }
    // One that is not written gives way to a small memory.
    let is_written = !limits.part_bytes.span.is_empty();
    if is_written && !(LEAST_PART..=limits.memory_bytes.value).contains(&limits.part_bytes.value) {
        let (memory, found) = (limits.memory_bytes.value, limits.part_bytes.value);
        let message = format!("expected {LEAST_PART} to `memory_bytes`, {memory}, found {found}");
        let help = "stores refuse uploads of smaller parts; and a part is held in memory until the \
                    store has it";
        reading.refuse("bad-limit", &limits.part_bytes.span, message, help);
    }
    if !(1..=MOST_BACKFILLS).contains(&limits.backfills.value) {
        let found = limits.backfills.value;
        let message = format!("expected 1 to {MOST_BACKFILLS} objects at once, found {found}");
        let help = "remove it for the default, 4";
        reading.refuse("bad-limit", &limits.backfills.span, message, help);
    }
    if buckets.value.is_empty() {
        let help = "add one: `- name: ...` with `endpoint` and `rules`";
        reading.refuse("missing-field", &buckets.span, "there is no bucket", help);
    }
    let mut names = HashMap::new();
    for bucket in &buckets.value {
        if let Some(first) = names.insert(&bucket.name.value, &bucket.name.span) {
            let message = format!("the bucket `{}` is there twice", bucket.name.value);
            let help = "put all its rules into one file";
            reading.refuse("duplicate-bucket", &bucket.name.span, message, help);
            reading.relate(first, "first here");
        }
        if let (Reads::Signed, Credentials::None) = (bucket.reads.value, &bucket.credentials) {
            let message =
                format!("`reads: signed` needs credentials, and `{}` has none", bucket.name.value);
            let help = "add `credentials`, or leave `reads` at `passthrough`";
            reading.refuse("missing-credentials", &bucket.reads.span, message, help);
        }
    }
}

/// Whether servers that an origin may redirect to are where origins may be.
fn check_origins(deployment: &Deployment, reading: &mut Reading<'_>) {
    if deployment.allow_internal_origins {
        return;
    }
    for origin in deployment.origins.iter().flatten() {
        let host = url::Host::parse(&origin.host).ok();
        if let Some(what) = host.as_ref().and_then(rule_file::inside) {
            let message = format!("the server is {what}, where no origin may be");
            let help = "name a public server, or set `allow_internal_origins: true`";
            reading.refuse("internal-origin", &origin.span, message, help);
        }
    }
}

/// Whether the API is safe where it is served.
fn check_api(api: &Api, reading: &mut Reading<'_>) {
    if matches!(api.credentials.value, Credentials::None) && !api.listen.value.ip().is_loopback() {
        let message = format!(
            "the API has no `credentials`, and {} can be reached from other machines",
            api.listen.value
        );
        let help = "add `credentials`, or listen on a loopback address";
        reading.refuse("missing-credentials", &api.listen.span, message, help);
    }
    if api.credentials.value.has_session_token() {
        let help = "leave `session_token` out: the API knows no temporary keys";
        let message = "the API's keys have a `session_token`";
        reading.refuse("no-effect", &api.credentials.span, message, help);
    }
}

fn same_port(a: &At<SocketAddr>, b: &At<SocketAddr>) -> bool {
    a.value == b.value && a.value.port() != 0
}

/// Reads a bucket's rule file; `None` when a problem has been noted.
fn read_rules(
    bucket: &Bucket,
    deployment: &Deployment,
    directory: &Path,
    source: RuleSource<'_>,
    reading: &mut Reading<'_>,
    reports: &mut Vec<Report>,
) -> Option<Rules> {
    let path = directory.join(&bucket.rules.value);
    let bytes = match source(&bucket.name.value.0, &path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let message = format!("cannot read the rule file {}: {error}", path.display());
            let help = "the path is relative to the deployment file";
            reading.refuse("unreadable-rules", &bucket.rules.span, message, help);
            return None;
        }
    };
    let shown = path.display().to_string();
    let file = rule_file::read_in(&shown, &bytes, None, &surroundings(bucket, deployment));
    let notes = file.noted();
    if !file.report.problems.is_empty() && !reports.contains(&file.report) {
        reports.push(file.report);
    }
    let (_, website) = (file.rules?, file.website?);
    let mut json = website.routing_rules();
    let signers = mirror_auth::take(&mut json);
    // The same rules, with the names of those who sign in them.
    let set = RuleSet::from_json(json.to_string().as_bytes()).rules?;
    let origins = set.servers().collect();
    Some(Rules { path, json, origins, signers, set, notes })
}

/// What is around a bucket's rules.
fn surroundings(bucket: &Bucket, deployment: &Deployment) -> Surroundings {
    let home = Home {
        name: bucket.name.value.0.clone(),
        store_host: bucket.endpoint.host.clone(),
        store_port: bucket.endpoint.port,
        is_virtual: bucket.addressing == Addressing::Virtual,
        listen: deployment.listen.value,
        domain: deployment.domain.as_ref().map(|domain| domain.0.clone()),
        managed: deployment
            .admin
            .iter()
            .chain([&deployment.api.listen])
            .map(|address| address.value)
            .filter(|address| address.port() != 0)
            .collect(),
    };
    let internal_origins = (!deployment.allow_internal_origins).then_some(Weight::Error);
    Surroundings { bucket: Some(home), internal_origins }
}

/// The document without its secrets.
fn masked(document: &Document, hidden: &Hidden) -> Document {
    let mut document = document.clone();
    hidden.mask(&mut document);
    document
}
