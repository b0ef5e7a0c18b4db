//! `b2o convert`: a rule file in another form.

use std::io::Write as _;
use std::path::PathBuf;

use clap::ValueEnum;

use super::check::tally;
use super::failure::Failure;
use super::loading::read_rules;
use super::{colour_errors, colour_out, print};
use crate::diagnostics::{Report, Weight};
use crate::rule_file::Written;

/// Write a rule file in another form.
///
/// Rules need not be honoured here to be converted: what OSS knows is kept. What the other form
/// cannot say is listed, and nothing is written, unless `--lossy` says to leave it out. A rule
/// whose condition could not be said whole is left out whole: it would apply to other requests.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  b2o convert website.xml --to json > rules.json
  b2o convert rules.json --to oss-xml
  b2o convert rules.json --to s3-xml --lossy

Exit codes:
  0  written to standard output
  1  the file is no rule file, or the other form cannot say all of it
  2  wrong usage, or the file cannot be read"
)]
pub(super) struct Arguments {
    /// The rule file, XML or JSON; `-` is standard input.
    rules: PathBuf,
    /// The form to write.
    #[arg(long, value_name = "FORM")]
    to: Form,
    /// Leave out what the form cannot say, and only tell it.
    #[arg(long)]
    lossy: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    /// This project's JSON, which says everything.
    Json,
    /// What OSS takes as PutBucketWebsite.
    OssXml,
    /// What S3 takes as PutBucketWebsite.
    S3Xml,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let file = read_rules(&arguments.rules)?;
    let path = file.report.document.path.clone();
    let Some(website) = file.website else {
        print(&file.report.render(colour_out()));
        let tally = tally(&file.report);
        return Err(Failure::new(format!("{path}: {tally}; it cannot be taken apart")));
    };
    let Written { text, losses } = match arguments.to {
        Form::Json => Written { text: website.to_json(), losses: Vec::new() },
        Form::OssXml => website.to_oss_xml(),
        Form::S3Xml => website.to_s3_xml(),
    };
    let count = losses.len();
    let weight = if arguments.lossy { Weight::Warning } else { Weight::Error };
    let losses = losses.into_iter().map(|loss| loss.weighing(weight)).collect();
    let report = Report::new(file.report.document, losses);
    let _ = std::io::stderr().write_all(report.render(colour_errors()).as_bytes());
    if count > 0 && !arguments.lossy {
        let things = if count == 1 { "1 thing".to_owned() } else { format!("{count} things") };
        let message = format!("{path}: the other form cannot say {things} of it");
        return Err(Failure::new(message).help("leave them out with --lossy"));
    }
    if matches!(arguments.to, Form::S3Xml) && !website.has_index() {
        let note = "note: S3 takes rules only beside an `IndexDocument`, and there is none\n";
        let _ = std::io::stderr().write_all(note.as_bytes());
    }
    print(&text);
    Ok(())
}
