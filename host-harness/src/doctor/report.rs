//! What the doctor says: a line on each server, and findings at their places in the files.

use serde::Serialize;

use super::unheard::Unheard;
use super::{From, origin, store};
use crate::deployment::Loaded;
use crate::diagnostics::{Document, Problem, Report, Weight};
use crate::gateway::Endpoint;

/// What came of asking a bucket's store.
pub(super) struct OfStore {
    pub(super) bucket: usize,
    pub(super) asked: store::Asked,
    pub(super) requests: u32,
}

/// What came of one question to an origin.
pub(super) struct OfOrigin {
    pub(super) from: From,
    pub(super) rule: u32,
    pub(super) url: String,
    pub(super) endpoint: Endpoint,
    pub(super) asked: origin::Asked,
}

/// What a server is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Where objects are fetched from.
    Origin,
    /// What holds a bucket.
    Store,
}

/// A server that was asked.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Line {
    /// What it is.
    pub kind: Kind,
    /// The bucket, of a store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// Where it is.
    pub server: String,
    /// What was found sound.
    pub sound: Vec<&'static str>,
    /// Whether all was asked, and nobody stopped it before.
    pub complete: bool,
    /// How many errors there are.
    pub errors: usize,
    /// How many warnings.
    pub warnings: usize,
    /// How many notes.
    pub notes: usize,
}

impl Line {
    fn new(kind: Kind, bucket: Option<String>, server: String) -> Self {
        Self {
            kind,
            bucket,
            server,
            sound: Vec::new(),
            complete: true,
            errors: 0,
            warnings: 0,
            notes: 0,
        }
    }

    fn add(&mut self, sound: &[&'static str], problems: &[Problem]) {
        for word in sound {
            if !self.sound.contains(word) {
                self.sound.push(word);
            }
        }
        for problem in problems {
            match problem.weight {
                Weight::Error => self.errors += 1,
                Weight::Warning => self.warnings += 1,
                Weight::Info => self.notes += 1,
            }
        }
    }

    /// The line as it is printed.
    #[must_use]
    pub fn text(&self) -> String {
        let what = match (self.kind, &self.bucket) {
            (Kind::Store, Some(bucket)) => format!("store {bucket} at {}", self.server),
            (Kind::Store, None) => format!("store {}", self.server),
            (Kind::Origin, _) => format!("origin {}", self.server),
        };
        let counted = |count: usize, word: &str| match count {
            0 => None,
            1 => Some(format!("1 {word}")),
            count => Some(format!("{count} {word}s")),
        };
        let counts = [
            counted(self.errors, "error"),
            counted(self.warnings, "warning"),
            counted(self.notes, "note"),
        ];
        let counts: Vec<_> = counts.into_iter().flatten().collect();
        let unasked = (!self.complete).then(|| "not asked to the end".to_owned());
        let counts: Vec<_> = unasked.into_iter().chain(counts).collect();
        let state = if counts.is_empty() { "sound".to_owned() } else { counts.join(", ") };
        match self.sound.is_empty() {
            true => format!("{what}: {state}"),
            false if counts.is_empty() => format!("{what}: {state}\n  {}", self.sound.join(", ")),
            false => format!("{what}: {state}\n  sound: {}", self.sound.join(", ")),
        }
    }
}

/// What came of asking all servers.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// Every server, in the order of the file.
    pub lines: Vec<Line>,
    /// What was found, file by file.
    pub reports: Vec<Report>,
    /// How many requests the stores got.
    pub requests: u32,
    /// Whether it was stopped before all was asked.
    pub is_stopped: bool,
}

impl Diagnosis {
    /// Whether there is no error, and all was asked.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        !self.is_stopped && self.reports.iter().all(|report| report.count(Weight::Error) == 0)
    }

    pub(super) fn of(
        loaded: &Loaded,
        stores: Vec<OfStore>,
        origins: Vec<OfOrigin>,
        is_stopped: bool,
    ) -> Self {
        let mut files = Files::default();
        let mut lines: Vec<Line> = Vec::new();
        let requests = stores.iter().map(|store| store.requests).sum();
        for OfStore { bucket, asked, .. } in stores {
            let declared = &loaded.deployment.buckets.value[bucket];
            let (name, endpoint) = (declared.name.value.0.as_str(), &declared.endpoint);
            let problems: Vec<_> = asked
                .findings
                .iter()
                .filter_map(|finding| {
                    let told = finding.told(name, &declared.region, endpoint)?;
                    Some(told.at(loaded.places.of_bucket(bucket, finding.fields()), None))
                })
                .collect();
            let mut line = Line::new(Kind::Store, Some(name.to_owned()), endpoint.to_string());
            line.add(&asked.sound, &problems);
            line.complete = !asked.findings.contains(&store::Finding::Unheard(Unheard::Stopped));
            lines.push(line);
            files.add(&loaded.document, problems);
        }
        for OfOrigin { from, rule, url, endpoint, asked } in origins {
            let (document, span, pointer) = match from {
                From::Bucket(bucket) => {
                    let rules = &loaded.rules[bucket];
                    let of_rule = || rules.places.iter().filter(|at| at.rule == i64::from(rule));
                    let bare = |text: &str| text.split('?').next().unwrap_or_default().to_owned();
                    let place = of_rule().find(|at| bare(&at.url) == url);
                    let place = place.or_else(|| of_rule().next());
                    let span = place.map_or(0..0, |at| at.span.clone());
                    (&rules.document, span, place.map(|at| at.pointer.clone()))
                }
                From::Origins(index) => (&loaded.document, loaded.places.of_origin(index), None),
            };
            let told = asked.findings.iter().filter_map(|finding| finding.told(&endpoint));
            let problems: Vec<_> =
                told.map(|told| told.at(span.clone(), pointer.clone())).collect();
            let server = endpoint.to_string();
            let problems = files.add(document, problems);
            let is_it = |line: &Line| line.kind == Kind::Origin && line.server == server;
            let at = lines.iter().position(is_it).unwrap_or(lines.len());
            if at == lines.len() {
                lines.push(Line::new(Kind::Origin, None, server));
            }
            lines[at].add(&asked.sound, &problems);
            lines[at].complete &=
                !asked.findings.contains(&origin::Finding::Unheard(Unheard::Stopped));
        }
        Self { lines, reports: files.reports(), requests, is_stopped }
    }
}

/// Problems by their documents, in the order of these.
#[derive(Default)]
struct Files(Vec<(Document, Vec<Problem>)>);

impl Files {
    /// Adds problems, and gives back those that were new: one that a server has whatever it is asked
    /// is told once.
    fn add(&mut self, document: &Document, problems: Vec<Problem>) -> Vec<Problem> {
        let is_told = |files: &Self, problem: &Problem| {
            files.0.iter().flat_map(|(_, problems)| problems).any(|known| {
                (known.code, &known.message) == (problem.code, &problem.message)
                    && known.span == problem.span
            })
        };
        let new: Vec<_> = problems.into_iter().filter(|problem| !is_told(self, problem)).collect();
        if !new.is_empty() {
            match self.0.iter_mut().find(|(known, _)| known.path == document.path) {
                Some((_, known)) => known.extend(new.iter().cloned()),
                None => self.0.push((document.clone(), new.clone())),
            }
        }
        new
    }

    fn reports(self) -> Vec<Report> {
        self.0.into_iter().map(|(document, problems)| Report::new(document, problems)).collect()
    }
}
