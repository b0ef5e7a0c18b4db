//! Rule files: what they can be written in, what is wrong with them, and writing them again.
//!
//! A file is XML as OSS's or S3's clients send it, or the rules in it alone; or JSON: with
//! `RoutingRules`, S3's console's bare array, or with CloudFormation's names. Which one is told by its content. All become the same tree; the filter's own engine
//! checks that, so that a rule is right or wrong whatever it was written in. None of this is in
//! the module: the filter is given JSON.

pub mod code;
mod dialect;
mod json;
mod lint;
mod mirror_auth;
mod schema;
mod secrets;
mod structure;
mod text;
pub(crate) mod tree;
pub(crate) mod vocabulary;
mod website;
mod write;
mod xml;

#[cfg(test)]
mod tests;

use back_to_origin::finding::{Code as FilterCode, Finding, Part, Place, Severity};
use back_to_origin::rule::RuleSet;

use code::Code;
pub use dialect::Dialect;
pub(crate) use lint::origin::inside;
pub use lint::{Asks, Home, OriginAt, Surroundings};
pub(crate) use mirror_auth::MASK;
pub use schema::schema;
use tree::{Field, Kind, Node, Side};
pub use website::{Website, Written};

use crate::diagnostics::{Document, Problem, Report, Weight};
use crate::secrecy::Hidden;

/// What a file is written in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// JSON.
    Json,
    /// XML.
    Xml,
}

/// A rule file that has been read.
#[derive(Clone, Debug)]
pub struct RuleFile {
    /// What it is written in; `None` where it is neither.
    pub format: Option<Format>,
    /// Whose form it has; `None` where it could not be taken apart.
    pub dialect: Option<Dialect>,
    /// The whole of it, when its structure is sound: it can be written in another form then,
    /// whether or not its rules are honoured here.
    pub website: Option<Website>,
    /// Its rules, when nothing refuses them.
    pub rules: Option<RuleSet>,
    /// Everything that was found.
    pub report: Report,
    /// What is taken as it stands, and worth a word to whoever has the file checked.
    pub notes: Vec<Problem>,
    /// Where the URLs of its Mirror rules stand, rule by rule in the order they are tried.
    pub origins: Vec<OriginAt>,
}

impl RuleFile {
    /// Its notes, drawn as its problems are; `None` where there are none.
    #[must_use]
    pub fn noted(&self) -> Option<Report> {
        let notes = || Report::new(self.report.document.clone(), self.notes.clone());
        (!self.notes.is_empty()).then(notes)
    }
}

/// The most problems of one file that are told.
const MAX_PROBLEMS: usize = 200;

/// Reads a rule file of any form; `path` is what it is called in its problems.
///
/// Whose form it has is told by its content, or given by who knows: an API that S3's clients call
/// has S3's.
#[must_use]
pub fn read(path: &str, bytes: &[u8], dialect: Option<Dialect>) -> RuleFile {
    read_in(path, bytes, dialect, &Surroundings::default())
}

/// The same, where it is known what is around the file.
#[must_use]
pub fn read_in(
    path: &str,
    bytes: &[u8],
    dialect: Option<Dialect>,
    surroundings: &Surroundings,
) -> RuleFile {
    let bytes = text::unmarked(bytes);
    let mut problems = Vec::new();
    let mut document = Document::new(path, bytes);
    let mut hidden = Hidden::default();
    let (format, taken) = take_apart(bytes, &mut problems, &mut hidden);
    let Some((mut root, told)) = taken else {
        // Nobody knows what stands where.
        let hidden = Hidden::unknown(&document.text, secrets::known());
        for problem in &mut problems {
            problem.message = hidden.without(&problem.message, &document.text);
        }
        hidden.mask(&mut document);
        let report = Report::new(document, problems);
        return RuleFile {
            format,
            dialect: None,
            website: None,
            rules: None,
            report,
            notes: Vec::new(),
            origins: Vec::new(),
        };
    };
    if format == Some(Format::Json) {
        dialect::unwrap(&mut root);
    }
    if let Kind::Object(fields) = &mut root.kind {
        // An editor's: it says where the schema of the file is.
        fields.retain(|field| field.name != "$schema");
    }
    secrets::find(&root, &document.text, &mut hidden);
    hidden.mask(&mut document);
    let dialect = dialect.or(told).unwrap_or_else(|| dialect::recognise(&root));
    let mut findings = structure::settle(&mut root);
    match dialect {
        Dialect::Oss => problems.extend(dialect::not_of_oss(&root)),
        Dialect::S3 => dialect::from_s3(&mut root, &mut problems),
    }
    let is_sound = findings.is_empty() && problems.is_empty();
    if dialect == Dialect::Oss {
        problems.extend(dialect::beyond_oss(&root));
    }
    let checked = RuleSet::from_json(for_filter(&root).json(false).as_bytes());
    // Where both say the same, the filter knows more; the rest is about what it refuses whole.
    findings.retain(|own| {
        let same = |known: &&Finding| (known.code, &known.place) == (own.code, &own.place);
        checked.findings.iter().find(same).is_none()
    });
    let told: Vec<_> = problems.iter().filter_map(|problem| problem.pointer.clone()).collect();
    findings.extend(checked.findings.into_iter().filter(|finding| match &finding.place {
        // What S3 does not have is no matter of what is honoured.
        Place::Pointer { pointer, .. } => !told.contains(pointer),
        Place::Position { .. } => true,
    }));
    problems.extend(findings.iter().map(|finding| problem(&root, finding)));
    problems.extend(not_served(&root));
    problems.extend(mirror_auth::check(&root));
    problems.extend(lint::lint(&root, surroundings));
    let is_refused = problems.iter().any(|problem| problem.weight == Weight::Error);
    // The worst first, and no more of them than anybody reads.
    problems.sort_by_key(|problem| problem.weight);
    problems.truncate(MAX_PROBLEMS);
    hidden.keep_from(&mut problems, secrets::known());
    let notes = lint::notes(&root);
    let origins = lint::origins(&root);
    RuleFile {
        format,
        dialect: Some(dialect),
        website: is_sound.then(|| Website::new(&root)),
        rules: checked.rules.filter(|_| !is_refused),
        report: Report::new(document, problems),
        notes,
        origins,
    }
}

/// From bytes to a tree, and whose form it has if its namespace tells.
fn take_apart(
    bytes: &[u8],
    problems: &mut Vec<Problem>,
    hidden: &mut Hidden,
) -> (Option<Format>, Option<(Node, Option<Dialect>)>) {
    let Some(text) = text::decode(bytes, problems) else { return (None, None) };
    let Some(format) = text::format(text, problems) else { return (None, None) };
    let taken = match format {
        Format::Json => json::read(text, problems).map(|root| (root, None)),
        Format::Xml => xml::parse(text, problems, hidden).map(|xml| (xml.root, xml.dialect)),
    };
    let taken = taken.filter(|(root, _)| match root.overfull() {
        Some(node) => {
            let message = "expected rules, found far more than there can be";
            let span = node.span.clone();
            problems.push(Problem::error(Code::TooLarge.as_str(), span, message));
            false
        }
        None => true,
    });
    (Some(format), taken)
}

/// What the filter is given of a file: the rules, and what it has not heard of.
fn for_filter(root: &Node) -> Node {
    let Kind::Object(fields) = &root.kind else { return root.clone() };
    let is_kept = |name: &str| matches!(name, "IndexDocument" | "ErrorDocument");
    let mut rest: Vec<Field> = fields
        .iter()
        .filter(|field| !is_kept(&field.name) && field.name != "RedirectAllRequestsTo")
        .cloned()
        .collect();
    if rest.is_empty() && !fields.is_empty() {
        // A web site without rules is one nevertheless.
        rest.push(Field::implied("RoutingRules", Kind::List(Vec::new()), &root.span));
    }
    Node { kind: Kind::Object(rest), span: root.span.clone() }
}

/// What is kept and has no effect.
fn not_served(root: &Node) -> impl Iterator<Item = Problem> {
    let is_kept = |field: &&Field| matches!(field.name.as_str(), "IndexDocument" | "ErrorDocument");
    root.fields().iter().filter(is_kept).map(|Field { name, name_span, .. }| {
        let message = format!("`{name}` is kept, and not served here");
        Problem::warning(Code::NotServed.as_str(), name_span.clone(), message)
            .at(format!("/{name}"))
    })
}

/// A finding as a problem in the text.
fn problem(root: &Node, finding: &Finding) -> Problem {
    let Finding { code, severity, place, message, help } = finding;
    let (span, related, pointer) = match place {
        Place::Pointer { pointer, part } => {
            let side = match part {
                Part::Name => Side::Name,
                Part::Value => Side::Value,
            };
            let found = root.find(pointer, side);
            match found.again {
                Some(again) if *code == FilterCode::DuplicateElement => {
                    (again, Some((found.span, "first given here")), pointer)
                }
                Some(_) | None => (found.span, None, pointer),
            }
        }
        // The filter only read what was written for it.
        Place::Position { .. } => (root.span.clone(), None, &String::new()),
    };
    let weight = match severity {
        Severity::Error => Weight::Error,
        Severity::Warning => Weight::Warning,
    };
    let (message, pointer) = (abbreviated(message), Some(abbreviated(pointer)));
    let help = help.clone();
    Problem { weight, code: code.as_str(), message, span, related, pointer, help }
}

/// A name can be as long as a file.
fn abbreviated(text: &str) -> String {
    const MAX: usize = 500;
    match text.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
