//! Where the rules of buckets are kept, and how they change.
//!
//! Owns the order of a change: it is judged as a whole, with the whole deployment around it, then
//! written as a whole, then handed to Envoy. Whatever fails leaves everything as it was. Changes
//! follow each other, in this process and among processes.

use std::cell::RefCell;
use std::fmt;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::history;
use crate::deployment::{self, LoadError, Loaded};
use crate::diagnostics::Report;
use crate::envoy::{FilesError, Prepared, Target, WriteError, replace, rewrite};
use crate::rule_file::{self, Dialect, Format, RuleFile, Website, Written};

/// A configuration without anything in it.
const NOTHING: &str = "{\"RoutingRules\":[]}";

/// Where the rules of a deployment's buckets are kept.
#[derive(Clone, Debug)]
pub struct Keeper {
    /// The deployment file.
    pub deployment: PathBuf,
    /// The files that Envoy runs from, where there are any: they follow each change.
    pub envoy: Option<Target>,
}

/// A bucket's rules as they are kept.
pub struct Kept {
    /// The rule file.
    pub path: PathBuf,
    /// What it holds; `None` where there is no such file yet.
    pub file: Option<RuleFile>,
    bytes: Option<Vec<u8>>,
}

/// Without the bytes: there may be secrets among them.
impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Kept");
        shown.field("path", &self.path).field("file", &self.file).finish_non_exhaustive()
    }
}

/// What a change would make of the rules.
#[derive(Debug)]
pub struct Judged {
    /// The rules that are kept.
    pub before: Option<Website>,
    /// Those that would be.
    pub after: Website,
    /// What deserves a look in the whole deployment then.
    pub warnings: Vec<Report>,
}

/// Why rules cannot be read or changed.
#[derive(Debug)]
pub enum KeeperError {
    /// The deployment has no such bucket.
    NoSuchBucket(String),
    /// The deployment itself cannot be used, whatever the rules are.
    Deployment(LoadError),
    /// With these rules the deployment is refused.
    Refused(Vec<Report>),
    /// What is kept cannot be changed by parts.
    Broken(Box<Report>),
    /// Two buckets have the same file: a change to one would be one to the other.
    Shared {
        /// The file.
        path: PathBuf,
        /// The other bucket.
        other: String,
    },
    /// The file's form cannot say all of it.
    Unsaid {
        /// The file.
        path: PathBuf,
        /// What it cannot say, in words.
        what: String,
    },
    /// Envoy cannot run it.
    Envoy(FilesError),
    /// A file cannot be written. All of them are as they were.
    Write(WriteError),
    /// A file cannot be read, or nobody else can be kept from changing it.
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl fmt::Display for KeeperError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchBucket(name) => write!(f, "the deployment has no bucket `{name}`"),
            Self::Deployment(error) => error.fmt(f),
            Self::Refused(_) => f.write_str("with these rules the deployment is refused"),
            Self::Broken(report) => {
                write!(f, "the rules in {} are refused as they are", report.document.path)
            }
            Self::Shared { path, other } => write!(
                f,
                "the rule file {} is the bucket `{other}`'s too; give each bucket a file of its own",
                path.display()
            ),
            Self::Unsaid { path, what } => {
                write!(f, "{} cannot say all of these rules: {what}", path.display())
            }
            Self::Envoy(error) => error.fmt(f),
            Self::Write(error) => error.fmt(f),
            Self::Read { path, source } => write!(f, "cannot read {}: {source}", path.display()),
        }
    }
}

impl std::error::Error for KeeperError {}

impl Kept {
    /// The website configuration; `None` where there is none.
    ///
    /// # Errors
    ///
    /// When the file holds something else.
    pub fn website(&self) -> Result<Option<&Website>, KeeperError> {
        let Some(file) = &self.file else { return Ok(None) };
        match &file.website {
            Some(website) => Ok(Some(website).filter(|website| !is_nothing(website))),
            None => Err(KeeperError::Broken(Box::new(file.report.clone()))),
        }
    }

    /// What tells this file from every other that was there or will be.
    #[must_use]
    pub fn tag(&self) -> String {
        let digest = Sha256::digest(self.bytes.as_deref().unwrap_or_default());
        let start = digest.get(..16).unwrap_or_default();
        hex_simd::encode_to_string(start, hex_simd::AsciiCase::Lower)
    }

    /// A configuration in this file's form: JSON stays JSON and XML stays XML, of S3's form where
    /// the file has it, or `new` has, and it says everything.
    fn render(&self, website: &Website, new: Option<Dialect>) -> Result<String, KeeperError> {
        let file = self.file.as_ref();
        let is_xml = match file.and_then(|file| file.format) {
            Some(Format::Xml) => true,
            Some(Format::Json) => false,
            None => self.path.extension().is_some_and(|ending| ending == "xml"),
        };
        if !is_xml {
            return Ok(self.with_schema(website.to_json()));
        }
        let s3 = Some(Dialect::S3);
        let is_s3 = new == s3 || file.is_some_and(|file| file.dialect == s3);
        let s3 = Some(website).filter(|_| is_s3).map(Website::to_s3_xml);
        if let Some(Written { text, .. }) = s3.filter(|s3| self.is_faithful(s3, website)) {
            return Ok(text);
        }
        let oss = website.to_xml();
        if self.is_faithful(&oss, website) {
            return Ok(oss.text);
        }
        let what = match oss.losses.into_iter().next() {
            Some(loss) => loss.message,
            None => "read again, it would mean something else".to_owned(),
        };
        Err(KeeperError::Unsaid { path: self.path.clone(), what })
    }

    /// Whether what is written is what was meant.
    fn is_faithful(&self, written: &Written, website: &Website) -> bool {
        let shown = self.path.display().to_string();
        let read = rule_file::read(&shown, written.text.as_bytes(), None).website;
        written.losses.is_empty() && read.is_some_and(|read| means_the_same(&read, website))
    }

    /// JSON with the file's own reference to a schema, which belongs to its editor.
    fn with_schema(&self, json: String) -> String {
        let old = self.bytes.as_deref().and_then(|bytes| serde_json::from_slice(bytes).ok());
        let schema = old.as_ref().and_then(|old: &Value| old.get("$schema"));
        match (schema, json.strip_prefix("{\n")) {
            (Some(schema), Some(rest)) => format!("{{\n  \"$schema\": {schema},\n{rest}"),
            (_, _) => json,
        }
    }
}

/// What is to be kept, and its text; of nothing a configuration without anything in it.
fn rendered(kept: &Kept, new: Option<RuleFile>) -> Result<(Website, String), KeeperError> {
    let nothing = || rule_file::read("nothing", NOTHING.as_bytes(), Some(Dialect::Oss));
    let new = new.unwrap_or_else(nothing);
    let Some(website) = new.website else {
        return Err(KeeperError::Refused(vec![new.report]));
    };
    let text = kept.render(&website, new.dialect)?;
    Ok((website, text))
}

/// Where the set before the last change of a rule file is.
pub(crate) fn before(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".before");
    PathBuf::from(name)
}

/// Whether a configuration has nothing in it: no rule and no document.
pub(crate) fn is_nothing(website: &Website) -> bool {
    let json: Value = serde_json::from_str(&website.to_json()).unwrap_or_default();
    let is_empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
    json.as_object().is_some_and(|fields| fields.values().all(is_empty))
}

/// Whether two configurations mean the same rules and documents; a `RedirectAllRequestsTo` is the
/// rule that it stands for.
fn means_the_same(one: &Website, other: &Website) -> bool {
    let documents = |website: &Website| {
        let mut json: Value = serde_json::from_str(&website.to_json()).unwrap_or_default();
        if let Some(fields) = json.as_object_mut() {
            fields.retain(|name, _| name != "RoutingRules" && name != "RedirectAllRequestsTo");
        }
        json
    };
    one == other
        || (one.routing_rules() == other.routing_rules() && documents(one) == documents(other))
}

impl Keeper {
    /// What is kept for a bucket.
    ///
    /// # Errors
    ///
    /// When there is no such bucket, or its file cannot be read.
    pub fn kept(&self, bucket: &str) -> Result<Kept, KeeperError> {
        let found = RefCell::new(Vec::new());
        let note = |name: &str, path: &Path| {
            let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
            found.borrow_mut().push((name.to_owned(), path.to_owned(), real));
            Ok(NOTHING.as_bytes().to_vec())
        };
        deployment::load_with(&self.deployment, &note).map_err(KeeperError::Deployment)?;
        let found = found.into_inner();
        let Some((_, path, real)) = found.iter().find(|(name, ..)| name == bucket) else {
            return Err(KeeperError::NoSuchBucket(bucket.to_owned()));
        };
        let path = path.clone();
        let other = found.iter().find(|(name, _, other)| name != bucket && other == real);
        if let Some((other, ..)) = other {
            return Err(KeeperError::Shared { path, other: other.clone() });
        }
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(KeeperError::Read { path, source }),
        };
        let shown = path.display().to_string();
        let file = bytes.as_deref().map(|bytes| rule_file::read(&shown, bytes, None));
        Ok(Kept { path, file, bytes })
    }

    /// The region of a bucket.
    ///
    /// # Errors
    ///
    /// When there is no such bucket.
    pub fn region(&self, bucket: &str) -> Result<String, KeeperError> {
        let nothing = |_: &str, _: &Path| Ok(NOTHING.as_bytes().to_vec());
        let loaded = deployment::load_with(&self.deployment, &nothing);
        let buckets = loaded.map_err(KeeperError::Deployment)?.deployment.buckets.value;
        let found = buckets.into_iter().find(|found| found.name.value.0 == bucket);
        let found = found.ok_or_else(|| KeeperError::NoSuchBucket(bucket.to_owned()))?;
        Ok(found.region.0)
    }

    /// Changes what is kept for a bucket, while nobody else does. `edit` is given what is there, and
    /// gives back what is to be there: a configuration that has been read, or nothing.
    ///
    /// # Errors
    ///
    /// Those of `edit`, and when what it gives cannot be kept. Then nothing has changed.
    pub fn change<E: From<KeeperError>>(
        &self,
        bucket: &str,
        edit: impl FnOnce(&Kept) -> Result<Option<RuleFile>, E>,
    ) -> Result<(), E> {
        let _lock = self.lock()?;
        let kept = self.kept(bucket)?;
        let (website, text) = rendered(&kept, edit(&kept)?)?;
        Ok(self.keep(bucket, &kept, &text, website.has_secrets())?)
    }

    /// Says what [`Self::change`] would make of the rules, and changes nothing.
    ///
    /// # Errors
    ///
    /// Those of the change.
    pub fn judge<E: From<KeeperError>>(
        &self,
        bucket: &str,
        edit: impl FnOnce(&Kept) -> Result<Option<RuleFile>, E>,
    ) -> Result<Judged, E> {
        let kept = self.kept(bucket)?;
        let (after, text) = rendered(&kept, edit(&kept)?)?;
        let loaded = self.with(bucket, text.as_bytes())?;
        self.prepare(&loaded)?;
        let before = kept.file.and_then(|file| file.website);
        Ok(Judged { before, after, warnings: loaded.warnings })
    }

    /// When the sets before were replaced, in milliseconds since 1970: the newest first.
    ///
    /// # Errors
    ///
    /// When there is no such bucket, or they cannot be listed.
    pub fn history(&self, bucket: &str) -> Result<Vec<u64>, KeeperError> {
        let path = self.kept(bucket)?.path;
        let listed = history::list(&path);
        listed.map_err(|source| KeeperError::Read { path: history::directory(&path), source })
    }

    /// The set that was replaced at a time.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or there is none.
    pub fn version(&self, bucket: &str, time: u64) -> Result<RuleFile, KeeperError> {
        let path = history::version(&self.kept(bucket)?.path, time);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(rule_file::read(&path.display().to_string(), &bytes, None)),
            Err(source) => Err(KeeperError::Read { path, source }),
        }
    }

    /// Nobody else changes anything as long as this is held.
    fn lock(&self) -> Result<File, KeeperError> {
        let locked = File::open(&self.deployment).and_then(|file| {
            file.lock()?;
            Ok(file)
        });
        locked.map_err(|source| KeeperError::Read { path: self.deployment.clone(), source })
    }

    fn keep(
        &self,
        bucket: &str,
        kept: &Kept,
        text: &str,
        has_secrets: bool,
    ) -> Result<(), KeeperError> {
        let new = self.with(bucket, text.as_bytes())?;
        let files = self.prepare(&new)?;
        // What to go back to, should Envoy's files fail half-way.
        let old = kept.bytes.as_deref().and_then(|bytes| self.with(bucket, bytes).ok());
        Self::back_up(kept, text)?;
        match kept.bytes {
            // Who may read a file that is there, its owner has said.
            Some(_) => rewrite(&kept.path, text.as_bytes()),
            None => replace(&kept.path, text.as_bytes(), has_secrets),
        }
        .map_err(KeeperError::Write)?;
        let Some(Err(error)) = files.map(|files| files.install()) else { return Ok(()) };
        // That which could be written a moment ago can be written; and if not, the first failure
        // is the one to tell of.
        let _ = match &kept.bytes {
            Some(bytes) => rewrite(&kept.path, bytes).map(drop).map_err(|error| error.source),
            None => std::fs::remove_file(&kept.path),
        };
        if let Some(Ok(Some(files))) = old.map(|old| self.prepare(&old)) {
            let _ = files.install();
        }
        Err(KeeperError::Write(error))
    }

    /// Keeps the set before a change beside the one behind it.
    fn back_up(kept: &Kept, text: &str) -> Result<(), KeeperError> {
        let Some(bytes) = kept.bytes.as_deref().filter(|bytes| *bytes != text.as_bytes()) else {
            return Ok(());
        };
        let has_secrets = match kept.file.as_ref().and_then(|file| file.website.as_ref()) {
            Some(website) => website.has_secrets(),
            // Nobody knows what stands in it.
            None => true,
        };
        let is_private = |data: &Metadata| data.permissions().mode() & 0o077 == 0;
        let private = has_secrets || std::fs::metadata(&kept.path).as_ref().is_ok_and(is_private);
        replace(&before(&kept.path), bytes, private).map_err(KeeperError::Write)?;
        history::add(&kept.path, bytes, private).map_err(KeeperError::Write)
    }

    /// The deployment with other rules for a bucket.
    fn with(&self, bucket: &str, bytes: &[u8]) -> Result<Loaded, KeeperError> {
        let source = |name: &str, path: &Path| match name == bucket {
            true => Ok(bytes.to_vec()),
            false => std::fs::read(path),
        };
        deployment::load_with(&self.deployment, &source).map_err(|error| match error {
            LoadError::Refused(reports) => KeeperError::Refused(reports),
            LoadError::Unreadable { .. } => KeeperError::Deployment(error),
        })
    }

    fn prepare(&self, loaded: &Loaded) -> Result<Option<Prepared>, KeeperError> {
        let prepare = |target: &Target| target.prepare(&self.deployment, loaded);
        self.envoy.as_ref().map(prepare).transpose().map_err(KeeperError::Envoy)
    }
}
