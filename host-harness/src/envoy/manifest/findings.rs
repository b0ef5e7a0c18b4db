//! What is wrong with a deployment for a form of manifests, or with the command: at its place.

use std::ops::Range;

use super::code::Code;
use crate::deployment::Loaded;
use crate::diagnostics::{Document, Problem, Report, Weight};
use crate::image::Reference;

/// The command as it was written, where options have their places.
#[derive(Clone, Debug)]
pub struct CommandLine(String);

impl CommandLine {
    /// From the words of the command.
    #[must_use]
    pub fn new<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> Self {
        let words: Vec<String> = words.into_iter().map(|word| word.as_ref().to_owned()).collect();
        Self(words.join(" "))
    }

    /// Where an option's value stands; of one that is not there, the command.
    fn place(&self, value: &str) -> Range<usize> {
        let found = self.0.find(&format!(" {value}")).or_else(|| self.0.find(&format!("={value}")));
        match found.filter(|_| !value.is_empty()) {
            Some(at) => at + 1..at + 1 + value.len(),
            None => 0..self.0.find(" -").unwrap_or(self.0.len()),
        }
    }
}

/// Problems, each at its place in the deployment file, on the command line or in another file.
#[derive(Debug)]
pub struct Findings<'a> {
    loaded: &'a Loaded,
    command: &'a CommandLine,
    of_file: Vec<Problem>,
    of_command: Vec<Problem>,
    others: Vec<Report>,
}

impl<'a> Findings<'a> {
    pub(super) const fn new(loaded: &'a Loaded, command: &'a CommandLine) -> Self {
        Self { loaded, command, of_file: Vec::new(), of_command: Vec::new(), others: Vec::new() }
    }

    /// Something in the deployment file; of what is not written there, at its beginning.
    pub(super) fn in_file(
        &mut self,
        code: Code,
        span: &Range<usize>,
        message: impl Into<String>,
        help: &str,
    ) {
        // What stands on several lines is drawn by its first.
        self.of_file.push(Problem::error(code.as_str(), span.clone(), message).help(help));
    }

    /// The same, where nothing is refused for it.
    pub(super) fn warn_in_file(
        &mut self,
        code: Code,
        span: &Range<usize>,
        message: impl Into<String>,
        help: &str,
    ) {
        self.of_file.push(Problem::warning(code.as_str(), span.clone(), message).help(help));
    }

    /// Something in a bucket of the deployment file.
    pub(super) fn in_bucket(
        &mut self,
        code: Code,
        bucket: usize,
        fields: &[&str],
        message: impl Into<String>,
        help: &str,
    ) {
        let span = self.loaded.places.of_bucket(bucket, fields);
        self.in_file(code, &span, message, help);
    }

    /// The bucket that a cluster is of, by its name.
    pub(super) fn bucket_of_cluster(&self, name: &str) -> Option<usize> {
        let buckets = &self.loaded.deployment.buckets.value;
        buckets.iter().position(|bucket| {
            name.strip_suffix(bucket.name.value.0.as_str()).is_some_and(|kind| kind.ends_with('-'))
        })
    }

    /// An option's value.
    pub(super) fn in_command(
        &mut self,
        code: Code,
        value: &str,
        message: impl Into<String>,
        help: &str,
    ) {
        let span = self.command.place(value);
        self.of_command.push(Problem::error(code.as_str(), span, message).help(help));
    }

    pub(super) fn in_other(&mut self, report: Report) {
        self.others.push(report);
    }

    /// An image that is to be what it was when it was chosen.
    pub(super) fn check_image(&mut self, image: &Reference) {
        if image.digest.is_none() {
            let text = image.to_string();
            let message =
                format!("the image {text} has no digest: its tag may name another one tomorrow");
            let help = format!(
                "name it by its digest, {}/{}@sha256:..., which the registry says",
                image.registry, image.name
            );
            self.in_command(Code::UnpinnedImage, &text, message, &help);
        }
    }

    /// All of them, or what is only to be told.
    ///
    /// # Errors
    ///
    /// When anything weighs as an error.
    pub(super) fn told(self) -> Result<Vec<Report>, Vec<Report>> {
        let Self { loaded, command, of_file, of_command, others } = self;
        let mut reports = Vec::new();
        if !of_command.is_empty() {
            let document = Document::new("the command", command.0.as_bytes());
            reports.push(Report::new(document, of_command));
        }
        if !of_file.is_empty() {
            reports.push(Report::new(loaded.document.clone(), of_file));
        }
        reports.extend(others);
        match reports.iter().any(|report| report.count(Weight::Error) > 0) {
            true => Err(reports),
            false => Ok(reports),
        }
    }
}
