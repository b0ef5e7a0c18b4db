//! Reading a deployment file with everything it refers to, and judging it as a whole.
//!
//! Every problem of the file and of its rule files is found in one go. What of the file is not shown
//! is masked before anything is drawn.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use back_to_origin::configuration::Configuration;
use back_to_origin::rule::RuleSet;

use super::code::Code;
use super::mirror_auth::{self, Signers};
use super::node::{Kind, Node, SyntaxError};
use super::places::Places;
use super::secrets;
use super::section::Reading;
use super::value::{Addressing, At, ConditionalWrites, DataPath, Reads, Value};
use super::{Api, Bucket, Credentials, Deployment, Limits};
use crate::certificate::{Pair, Part};
use crate::diagnostics::{self, Document, Problem, Report, Weight};
use crate::rule_file::{self, Asks, Home, OriginAt, Surroundings};
use crate::secrecy::Hidden;

/// The smallest part of an upload, but for the last (S3: EntityTooSmall).
const LEAST_PART: u64 = 5 * 1024 * 1024;

/// A deployment that may be used.
#[derive(Debug)]
pub struct Loaded {
    /// The file's fields.
    pub deployment: Deployment,
    /// Each bucket's rules, in the order of the buckets.
    pub rules: Vec<Rules>,
    /// What deserves a look but refuses nothing.
    pub warnings: Vec<Report>,
    /// The file, without its secrets.
    pub document: Document,
    /// Where its buckets' fields stand in it.
    pub places: Places,
    /// The certificate that clients are shown.
    pub tls: Option<Pair>,
}

impl Loaded {
    /// The same with the values of variables as if they stood in the file: nobody else reads them
    /// then, and a file with keys has all of them.
    #[must_use]
    pub fn with_variables_read(mut self) -> Self {
        for bucket in &mut self.deployment.buckets.value {
            bucket.credentials = std::mem::take(&mut bucket.credentials).read();
        }
        self
    }
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
    /// The rule file, without its secrets.
    pub document: Document,
    /// Where the URLs of its Mirror rules stand in it.
    pub places: Vec<OriginAt>,
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
                write!(f, "the deployment is refused: {}", diagnostics::tally(reports))
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
    load_from(path, rules, &|name| std::env::var_os(name))
}

/// The same with variables from elsewhere than the environment.
///
/// # Errors
///
/// When the file cannot be read or anything in it, or in the rules, is not right.
pub fn load_from(
    path: &Path,
    rules: RuleSource<'_>,
    variables: Variables<'_>,
) -> Result<Loaded, LoadError> {
    let bytes = std::fs::read(path)
        .map_err(|source| LoadError::Unreadable { path: path.to_owned(), source })?;
    let directory = path.parent().unwrap_or_else(|| Path::new(""));
    let document = Document::new(path.display().to_string(), &bytes);
    parse_with(document, directory, variables, rules)
}

/// Where the variables are that a deployment names.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

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
            reading.refuse(Code::Syntax, &(at..end), message, "see DEPLOYMENT.md for an example");
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
        check_tls(deployment, directory, &mut reading);
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
    if deployment.is_none() {
        // What can be judged without the rest is judged.
        let limits = root
            .get("limits")
            .and_then(|limits| Limits::read(limits, &mut Reading::new(environment)));
        if let Some(limits) = limits {
            check_limits(&limits, &mut reading);
        }
        read_rules_alone(&root, directory, source, &mut reading, &mut reports);
    }
    let refused = !reading.problems.is_empty()
        || reports.iter().any(|report| report.count(Weight::Error) > 0);
    match deployment {
        Some(deployment) if !refused => {
            let shown = masked(&document, &reading.hidden);
            reports.splice(0..0, own_report(&document, reading));
            let places = Places::of(&root);
            let tls = deployment.tls.as_ref().map(|tls| tls.pair(directory));
            Ok(Loaded { deployment, rules, warnings: reports, document: shown, places, tls })
        }
        Some(_) | None => {
            reports.splice(0..0, own_report(&document, reading));
            Err(LoadError::Refused(reports))
        }
    }
}

/// What is to be told of the deployment file itself.
fn own_report(document: &Document, reading: Reading<'_>) -> Option<Report> {
    let problems: Vec<_> = reading.problems.into_iter().chain(reading.warnings).collect();
    (!problems.is_empty()).then(|| Report::new(masked(document, &reading.hidden), problems))
}

/// What several fields mean together.
fn check(deployment: &Deployment, reading: &mut Reading<'_>) {
    let Deployment { listen, admin, health, api, console, limits, buckets, .. } = deployment;
    check_origins(deployment, reading);
    check_memory(deployment, reading);
    let own = [
        ("listen", Some(listen)),
        ("admin", admin.as_ref()),
        ("health", health.as_ref()),
        ("console.listen", console.as_ref().map(|console| &console.listen)),
    ];
    let own = own.map(|(name, address)| address.map(|address| (name, address)));
    let own: Vec<_> = own.into_iter().flatten().collect();
    for (at, (name, address)) in own.iter().enumerate().rev() {
        let before = own.iter().take(at).find(|(_, before)| same_port(before, address));
        if let Some((other, _)) = before {
            let message = format!("`{name}` and `{other}` are both {}", address.value);
            reading.refuse(Code::Conflict, &address.span, message, "give one of them another port");
        }
    }
    check_api(api, reading);
    check_console(deployment, reading);
    if let (Some(service), DataPath::Callout) =
        (&deployment.rate_limit_service, deployment.path.value)
    {
        let message = "with `path: callout` no gateway asks the rate limit service";
        let help =
            "use `path: streaming`, or leave it out: each gateway has its own `mirror_limits`";
        reading.warn(Code::NoEffect, &service.span, message, help);
    }
    for (name, other) in own {
        if same_port(other, &api.listen) {
            // One that is not written is no mistake of the file's.
            let place = if api.listen.span.is_empty() { &other.span } else { &api.listen.span };
            let message = format!("`{name}` and the API's `listen` are both {}", other.value);
            reading.refuse(Code::Conflict, place, message, "give one of them another port");
        }
    }
    check_limits(limits, reading);
    if buckets.value.is_empty() {
        let help = "add one: `- name: ...` with `endpoint` and `rules`";
        reading.refuse(Code::MissingField, &buckets.span, "there is no bucket", help);
    }
    let mut names = HashMap::new();
    for bucket in &buckets.value {
        if let Some(first) = names.insert(&bucket.name.value, &bucket.name.span) {
            let message = format!("the bucket `{}` is there twice", bucket.name.value);
            let help = "put all its rules into one file";
            reading.refuse(Code::DuplicateBucket, &bucket.name.span, message, help);
            reading.relate(first, "first here");
        }
        if bucket.conditional_writes.value == ConditionalWrites::Unconditional {
            let message = format!(
                "what is fetched for `{}` may replace what a client has written meanwhile",
                bucket.name.value
            );
            let help = "`head` looks right before each write, and needs nothing of the store";
            reading.warn(Code::UnconditionalWrites, &bucket.conditional_writes.span, message, help);
        }
        if let (Reads::Signed, Credentials::None) = (bucket.reads.value, &bucket.credentials) {
            let message =
                format!("`reads: signed` needs credentials, and `{}` has none", bucket.name.value);
            let help = "add `credentials`, or leave `reads` at `passthrough`";
            reading.refuse(Code::MissingCredentials, &bucket.reads.span, message, help);
        }
    }
}

/// Whether the filter takes the limits: it is asked itself, and says why it does not.
fn check_limits(limits: &Limits, reading: &mut Reading<'_>) {
    let fields = [
        ("object_bytes", &limits.object_bytes),
        ("memory_bytes", &limits.memory_bytes),
        ("fetches", &limits.fetches),
        ("part_bytes", &limits.part_bytes),
        ("backfills", &limits.backfills),
    ];
    // A size of parts that is not written gives way to a small memory.
    let is_given = |field: &At<u64>| !field.span.is_empty();
    let told = fields.iter().map(|(name, field)| {
        let most = match *name {
            "part_bytes" if !is_given(field) => limits.memory_bytes.value,
            _ => u64::MAX,
        };
        ((*name).to_owned(), field.value.min(most).into())
    });
    let told: serde_json::Map<String, serde_json::Value> = told.collect();
    let configuration = serde_json::json!({ "buckets": [], "limits": told });
    let findings = match Configuration::from_json(configuration.to_string().as_bytes()) {
        Ok(_) => Vec::new(),
        Err(findings) => findings,
    };
    for finding in findings {
        let place = finding.place.to_string();
        let own = fields.iter().find(|(name, _)| place.ends_with(&format!("/{name}")));
        let field = match own {
            Some((_, field)) => field,
            None if is_given(&limits.memory_bytes) => &limits.memory_bytes,
            None => &limits.object_bytes,
        };
        let (code, message, help) = (finding.code.as_str(), finding.message, finding.help);
        let (span, weight, related, pointer) = (field.span.clone(), Weight::Error, None, None);
        reading.problems.push(Problem { weight, code, message, span, related, pointer, help });
    }
    let found = limits.part_bytes.value;
    if is_given(&limits.part_bytes) && (1..LEAST_PART).contains(&found) {
        let message = format!("expected at least {LEAST_PART} bytes, found {found}");
        let help = "stores refuse uploads of smaller parts";
        reading.refuse(Code::BadLimit, &limits.part_bytes.span, message, help);
    }
}

/// Whether fetches by callouts may take more memory than this machine has: the gateway holds each
/// answer whole, and once more for its clients, before anybody knows its size.
fn check_memory(deployment: &Deployment, reading: &mut Reading<'_>) {
    let Deployment { workers, path, limits, .. } = deployment;
    let Some(memory) = machine_memory().filter(|_| path.value == DataPath::Callout) else { return };
    let (fetches, object) = (limits.fetches.value, limits.object_bytes.value);
    let at_most = (workers.get() as u64).saturating_mul(fetches).saturating_mul(object);
    let at_most = at_most.saturating_mul(2);
    if at_most > memory {
        let mib = |bytes: u64| bytes >> 20;
        let message = format!(
            "{fetches} fetches of {object} bytes in each of {workers} workers may take {} MiB, and \
             this machine has {} MiB",
            mib(at_most),
            mib(memory)
        );
        let written = [&limits.fetches.span, &limits.object_bytes.span];
        let place = written.into_iter().find(|span| !span.is_empty()).unwrap_or(&path.span);
        let help = "fewer `fetches`, smaller `object_bytes`, or `path: streaming`, which holds no \
                    object";
        reading.warn(Code::MuchMemory, place, message, help);
    }
}

/// The memory that this machine has, or lets processes like this one have. `None` where it does not
/// say.
fn machine_memory() -> Option<u64> {
    let all = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = all.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let all = line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.saturating_mul(1024);
    let allowed = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let allowed = allowed.and_then(|allowed| allowed.trim().parse().ok());
    Some(allowed.map_or(all, |allowed: u64| allowed.min(all)))
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
            reading.refuse(Code::InternalOrigin, &origin.span, message, help);
        }
    }
}

/// Whether the certificate can be shown to clients.
fn check_tls(deployment: &Deployment, directory: &Path, reading: &mut Reading<'_>) {
    let Some(tls) = &deployment.tls else { return };
    let Err(error) = tls.pair(directory).read() else { return };
    let (span, help) = match (error.part(), error.is_missing()) {
        (Part::Certificate, true) => (&tls.certificate.span, RELATIVE),
        (Part::Key, true) => (&tls.key.span, RELATIVE),
        (Part::Certificate, false) => (&tls.certificate.span, "give a certificate in PEM"),
        (Part::Key, false) => (&tls.key.span, "give the certificate's own key, in PEM"),
    };
    reading.refuse(Code::BadCertificate, span, error.to_string(), help);
}

/// Where files are looked for.
const RELATIVE: &str = "the path is relative to the deployment file";

/// Whether the API is safe where it is served.
fn check_api(api: &Api, reading: &mut Reading<'_>) {
    if matches!(api.credentials.value, Credentials::None) && !api.listen.value.ip().is_loopback() {
        let message = format!(
            "the API has no `credentials`, and {} can be reached from other machines",
            api.listen.value
        );
        let help = "add `credentials`, or listen on a loopback address";
        reading.refuse(Code::MissingCredentials, &api.listen.span, message, help);
    }
    if api.credentials.value.has_session_token() {
        let help = "leave `session_token` out: the API knows no temporary keys";
        let message = "the API's keys have a `session_token`";
        reading.refuse(Code::NoEffect, &api.credentials.span, message, help);
    }
}

/// Whether the console is safe where it is served.
fn check_console(deployment: &Deployment, reading: &mut Reading<'_>) {
    let Some(console) = &deployment.console else { return };
    let has_keys = !matches!(deployment.api.credentials.value, Credentials::None)
        || console.editor_password_hash.is_some()
        || console.reader_password_hash.is_some();
    if !has_keys && !console.listen.value.ip().is_loopback() {
        let message = format!(
            "the console has no password, and {} can be reached from other machines",
            console.listen.value
        );
        let help = "add `editor_password_hash`, or listen on a loopback address";
        reading.refuse(Code::MissingCredentials, &console.listen.span, message, help);
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
            unreadable(&path, &bucket.rules.span, &error, reading);
            return None;
        }
    };
    let shown = path.display().to_string();
    let file = rule_file::read_in(&shown, &bytes, None, &surroundings(bucket, deployment));
    let notes = file.noted();
    let (document, places) = (file.report.document.clone(), file.origins);
    if !file.report.problems.is_empty() && !reports.contains(&file.report) {
        reports.push(file.report);
    }
    let (_, website) = (file.rules?, file.website?);
    let mut json = website.routing_rules();
    let signers = mirror_auth::take(&mut json);
    // The same rules, with the names of those who sign in them.
    let set = RuleSet::from_json(json.to_string().as_bytes()).rules?;
    let origins = set.servers().collect();
    Some(Rules { path, json, origins, signers, set, notes, document, places })
}

fn unreadable(path: &Path, span: &Range<usize>, error: &io::Error, reading: &mut Reading<'_>) {
    let message = format!("cannot read the rule file {}: {error}", path.display());
    reading.refuse(Code::UnreadableRules, span, message, RELATIVE);
}

/// Reads the rule files of a deployment that is not right itself, as far as it names them, so that
/// all there is to mend is told at once.
fn read_rules_alone(
    root: &Node,
    directory: &Path,
    source: RuleSource<'_>,
    reading: &mut Reading<'_>,
    reports: &mut Vec<Report>,
) {
    let is_inside_wanted =
        root.get("allow_internal_origins").and_then(Node::text).is_some_and(|word| word == "true");
    let internal_origins = (!is_inside_wanted).then_some(Weight::Error);
    let surroundings = Surroundings { internal_origins, ..Surroundings::default() };
    let buckets = match root.get("buckets").map(|buckets| &buckets.kind) {
        Some(Kind::List(buckets)) => buckets.as_slice(),
        Some(Kind::Mapping(_) | Kind::Nothing | Kind::Text(_)) | None => &[],
    };
    for bucket in buckets {
        let Some(rules) = bucket.get("rules") else { continue };
        let Some(file) = rules.text().filter(|file| !file.is_empty()) else { continue };
        let name = bucket.get("name").and_then(Node::text).unwrap_or_default();
        let path = directory.join(file);
        match source(name, &path) {
            Ok(bytes) => {
                let shown = path.display().to_string();
                let file = rule_file::read_in(&shown, &bytes, None, &surroundings);
                if !file.report.problems.is_empty() && !reports.contains(&file.report) {
                    reports.push(file.report);
                }
            }
            Err(error) => unreadable(&path, &rules.span, &error, reading),
        }
    }
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
            .chain(&deployment.health)
            .chain([&deployment.api.listen])
            .map(|address| address.value)
            .filter(|address| address.port() != 0)
            .collect(),
    };
    let internal_origins = (!deployment.allow_internal_origins).then_some(Weight::Error);
    let asks = match (&bucket.credentials, bucket.reads.value) {
        (Credentials::None, _) => Asks::Nobody,
        (Credentials::Environment(_) | Credentials::Inline(_), Reads::Passthrough) => Asks::Writes,
        (Credentials::Environment(_) | Credentials::Inline(_), Reads::Signed) => Asks::Reads,
    };
    Surroundings { bucket: Some(home), internal_origins, asks: Some(asks) }
}

/// The document without its secrets.
fn masked(document: &Document, hidden: &Hidden) -> Document {
    let mut document = document.clone();
    hidden.mask(&mut document);
    document
}
