//! Problems in a file a person wrote, drawn in that file.
//!
//! Owns how a problem looks: on a terminal, in a pipe and as JSON. What is a problem is decided by
//! whoever reads the file: [`crate::rule_file`] for rules, [`crate::deployment`] for a deployment.

use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

/// A file as its author wrote it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Document {
    /// The path as it is shown, normally as it was typed.
    pub path: String,
    /// The text. Bytes that are not UTF-8 are replaced, which moves nothing that is drawn.
    pub text: String,
}

impl Document {
    /// A document from the bytes of a file.
    #[must_use]
    pub fn new(path: impl Into<String>, bytes: &[u8]) -> Self {
        Self { path: path.into(), text: String::from_utf8_lossy(bytes).into_owned() }
    }

    /// Replaces what must not be shown by as many marks: nothing moves, in bytes or in characters.
    pub fn mask(&mut self, secrets: &[Range<usize>]) {
        if secrets.is_empty() {
            return;
        }
        let mut secrets = secrets.to_vec();
        secrets.sort_by_key(|secret| secret.start);
        let mut rest = secrets.into_iter().peekable();
        let mut until = 0;
        let hide = |(at, c): (usize, char)| {
            while let Some(secret) = rest.next_if(|secret| secret.start <= at) {
                until = until.max(secret.end);
            }
            match c.len_utf8() {
                _ if at >= until || c == '\n' => c,
                1 => '*',
                2 => '\u{b7}',
                3 => '\u{2022}',
                _ => '\u{1f784}',
            }
        };
        self.text = self.text.char_indices().map(hide).collect();
    }

    /// The offset of a line and a column, both from 1, the column in bytes.
    ///
    /// A place outside the text is moved to the nearest one inside it.
    #[must_use]
    pub fn offset(&self, line: usize, column: usize) -> usize {
        let start = match line.saturating_sub(1) {
            0 => 0,
            skipped => {
                let newline = self.text.match_indices('\n').nth(skipped - 1);
                newline.map_or(self.text.len(), |(at, _)| at + 1)
            }
        };
        let end = self.text[start..].find('\n').map_or(self.text.len(), |length| start + length);
        self.text.floor_char_boundary((start + column.saturating_sub(1)).min(end))
    }

    /// The line and the column of an offset, both from 1, the column in characters.
    #[must_use]
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..self.text.floor_char_boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// How much a problem weighs.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// The file is refused.
    Error,
    /// The file is taken, but hardly means what its author meant.
    Warning,
    /// The file is taken, and means what it says, which may surprise.
    Info,
}

/// One problem in a document.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// How much it weighs.
    pub weight: Weight,
    /// What kind of problem it is, in a word that does not change between releases.
    pub code: &'static str,
    /// What was expected and what was found.
    pub message: String,
    /// Where, in bytes of the document.
    pub span: Range<usize>,
    /// Another place that belongs to it, and what is there.
    pub related: Option<(Range<usize>, &'static str)>,
    /// The same place as a JSON pointer, where the document has one.
    pub pointer: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Problem {
    /// A problem that refuses the file.
    #[must_use]
    pub fn error(code: &'static str, span: Range<usize>, message: impl Into<String>) -> Self {
        let message = message.into();
        let weight = Weight::Error;
        Self { weight, code, message, span, related: None, pointer: None, help: None }
    }

    /// A problem that refuses nothing.
    #[must_use]
    pub fn warning(code: &'static str, span: Range<usize>, message: impl Into<String>) -> Self {
        Self { weight: Weight::Warning, ..Self::error(code, span, message) }
    }

    /// A problem that is none, but worth a word.
    #[must_use]
    pub fn info(code: &'static str, span: Range<usize>, message: impl Into<String>) -> Self {
        Self { weight: Weight::Info, ..Self::error(code, span, message) }
    }

    /// Makes it weigh more, or less.
    #[must_use]
    pub fn weighing(self, weight: Weight) -> Self {
        Self { weight, ..self }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// Says where it is, as a JSON pointer.
    #[must_use]
    pub fn at(self, pointer: impl Into<String>) -> Self {
        Self { pointer: Some(pointer.into()), ..self }
    }

    /// Adds another place that belongs to it, and what is there.
    #[must_use]
    pub fn related(self, span: Range<usize>, label: &'static str) -> Self {
        Self { related: Some((span, label)), ..self }
    }
}

/// The problems of one document.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// The document.
    pub document: Document,
    /// Its problems, in the order of the text.
    pub problems: Vec<Problem>,
}

impl Report {
    /// A report with the problems in the order of the text.
    #[must_use]
    pub fn new(document: Document, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| (problem.span.start, problem.weight));
        Self { document, problems }
    }

    /// How many problems of a weight there are.
    #[must_use]
    pub fn count(&self, weight: Weight) -> usize {
        self.problems.iter().filter(|problem| problem.weight == weight).count()
    }

    /// Draws every problem in the text, with a blank line between two.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.decor_style(DecorStyle::Ascii).term_width(120);
        let mut out = String::new();
        for problem in &self.problems {
            let group = self.draw(problem);
            // Writing into a string cannot fail.
            let _ = writeln!(out, "{}\n", renderer.render(&[group]));
        }
        out
    }

    fn draw<'a>(&'a self, problem: &'a Problem) -> Group<'a> {
        let level = match problem.weight {
            Weight::Error => Level::ERROR,
            Weight::Warning => Level::WARNING,
            Weight::Info => Level::INFO,
        };
        let text = &self.document.text;
        let related = problem.related.as_ref();
        let first =
            related.map_or(problem.span.start, |(span, _)| span.start.min(problem.span.start));
        let last =
            related.map_or(problem.span.start, |(span, _)| span.start.max(problem.span.start));
        // The renderer works through all it is given, so it is given no more than these lines.
        let (first, last) = (text.floor_char_boundary(first), text.floor_char_boundary(last));
        let start = text[..first].rfind('\n').map_or(0, |newline| newline + 1);
        let end = text[last..].find('\n').map_or(text.len(), |length| last + length + 1);
        let within = |span: &Range<usize>| {
            let span = shown(text, span);
            span.start - start..span.end - start
        };
        let primary = AnnotationKind::Primary.span(within(&problem.span));
        let mut snippet = Snippet::source(&text[start..end])
            .line_start(self.document.position(start).0)
            .path(self.document.path.as_str())
            .annotation(primary);
        if let Some((span, label)) = related {
            snippet = snippet.annotation(AnnotationKind::Context.span(within(span)).label(*label));
        }
        let title = level.primary_title(printable(&problem.message)).id(problem.code);
        let mut group = title.element(snippet);
        if let Some(pointer) = problem.pointer.as_ref().filter(|pointer| !pointer.is_empty()) {
            group = group.element(Level::NOTE.with_name("at").message(printable(pointer)));
        }
        if let Some(help) = &problem.help {
            group = group.element(Level::HELP.message(printable(help)));
        }
        group
    }

    /// The problems as values for `--json`.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry<'_>> {
        let entry = |problem| Entry::new(&self.document, problem);
        self.problems.iter().map(entry).collect()
    }
}

/// A problem as `--json` prints it.
#[derive(Debug, Serialize)]
pub struct Entry<'a> {
    severity: Weight,
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
    file: &'a str,
    line: usize,
    column: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<&'a str>,
}

impl<'a> Entry<'a> {
    fn new(document: &'a Document, problem: &'a Problem) -> Self {
        let (line, column) = document.position(problem.span.start);
        Self {
            severity: problem.weight,
            code: problem.code,
            message: &problem.message,
            help: problem.help.as_deref(),
            file: &document.path,
            line,
            column,
            pointer: problem.pointer.as_deref(),
        }
    }
}

/// `2 errors, 1 warning`; empty when there is neither.
#[must_use]
pub fn tally(errors: usize, warnings: usize) -> String {
    tally_all(errors, warnings, 0)
}

/// The same with notes.
#[must_use]
pub fn tally_all(errors: usize, warnings: usize, notes: usize) -> String {
    let count = |number, word: &str| match number {
        0 => None,
        1 => Some(format!("1 {word}")),
        _ => Some(format!("{number} {word}s")),
    };
    let counts = [count(errors, "error"), count(warnings, "warning"), count(notes, "note")];
    counts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The part of a span that is drawn: its first line, so that an object does not fill the screen.
fn shown(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start);
    let end = text.ceil_char_boundary(span.end).max(start);
    let line = text[start..end].find('\n').map_or(end, |length| start + length);
    start..start + text[start..line].trim_end().len()
}

/// Text from a file as it may reach a terminal: control characters are escaped.
fn printable(text: &str) -> String {
    let escape = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(span: Range<usize>) -> Problem {
        Problem {
            weight: Weight::Error,
            code: "wrong-type",
            message: "expected x, found y".to_owned(),
            span,
            related: None,
            pointer: None,
            help: None,
        }
    }

    #[test]
    fn a_problem_is_drawn_in_its_line() {
        let text = b"{\n  \"a\": 1,\n  \"b\": 2\n}\n";
        let report = Report::new(
            Document::new("some/file.json", text),
            vec![Problem {
                related: Some((4..7, "first here")),
                pointer: Some("/b".to_owned()),
                help: Some("write x".to_owned()),
                ..problem(14..17)
            }],
        );
        let expected = "\
error[wrong-type]: expected x, found y
 --> some/file.json:3:3
  |
2 |   \"a\": 1,
  |   --- first here
3 |   \"b\": 2
  |   ^^^
  |
  = at: /b
  = help: write x

";
        assert_eq!(report.render(false), expected);
    }

    #[test]
    fn an_object_is_pointed_at_by_its_first_line() {
        let report =
            Report::new(Document::new("f.json", b"[{\n  \"a\": 1\n}]\n"), vec![problem(1..13)]);
        let expected = "\
error[wrong-type]: expected x, found y
 --> f.json:1:2
  |
1 | [{
  |  ^

";
        assert_eq!(report.render(false), expected);
    }

    #[test]
    fn colour_is_only_there_when_asked_for() {
        let report = Report::new(Document::new("f.json", b"{}"), vec![problem(0..2)]);
        assert!(report.render(true).contains('\u{1b}'));
        assert!(!report.render(false).contains('\u{1b}'));
    }

    #[test]
    fn control_characters_of_a_file_do_not_reach_the_terminal() {
        let mut hostile = problem(0..2);
        hostile.message = "found \u{1b}[31m".to_owned();
        let text = Report::new(Document::new("f.json", b"{}\x1b[2J"), vec![hostile]).render(false);
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }

    #[test]
    fn places_outside_the_text_are_moved_into_it() {
        let document = Document::new("f", "ä\nb".as_bytes());
        let cases = [((1, 1), 0), ((1, 2), 0), ((1, 9), 2), ((2, 1), 3), ((2, 0), 3), ((9, 9), 4)];
        for ((line, column), offset) in cases {
            assert_eq!(document.offset(line, column), offset, "{line}:{column}");
        }
        let past_the_end = Report::new(document, vec![problem(40..90)]);
        assert!(past_the_end.render(false).contains("f:2:2"));
    }

    #[test]
    fn positions_count_characters() {
        let document = Document::new("f", "ä\näb".as_bytes());
        assert_eq!(document.position(5), (2, 2));
    }

    #[test]
    fn tallies_are_words() {
        let cases = [(0, 0, ""), (1, 0, "1 error"), (2, 1, "2 errors, 1 warning")];
        for (errors, warnings, text) in cases {
            assert_eq!(tally(errors, warnings), text);
        }
        assert_eq!(tally_all(0, 1, 2), "1 warning, 2 notes");
    }
}
