//! `b2o doctor`: are the servers of a deployment as it says they are.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::failure::{Failure, USAGE};
use super::signals::{Asked, Signals};
use super::{colour_out, print};
use crate::deployment::{self, LoadError};
use crate::diagnostics::{self, Entry, Report};
use crate::doctor::{self, Kind, Line, Options, Stop};

/// Ask the stores and the origins of a deployment whether they are as it says.
///
/// Of each bucket's store: whether it is reached, has the bucket and takes the keys; whether these
/// may read, write, list and delete; whether it honours the condition of writes, and takes
/// multipart uploads. Of each origin: whether it is reached, and answers 404 for what it does not
/// have. What is found is told as `b2o check` tells it.
///
/// Probes are written below `.back-to-origin/doctor/`, under a name that nobody else has, and
/// removed again, on Ctrl-C too. No other key is touched.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  b2o doctor envoy/deployment.yaml
  b2o doctor --read-only --json envoy/deployment.yaml
  b2o doctor --key examplefolder/example.txt envoy/deployment.yaml

envoy/RULES.md describes every code of a finding.

Exit codes:
  0  no errors; warnings and notes may have been printed
  1  there are errors, or it was stopped
  2  wrong usage, or a file cannot be read"
)]
pub(super) struct Arguments {
    /// The deployment file (YAML).
    deployment: PathBuf,
    /// The key of an object that the origins have; can be given several times.
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<String>,
    /// Write nothing.
    #[arg(long)]
    read_only: bool,
    /// How long one request may take: a number and `ms`, `s` or `m`.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time)]
    timeout: Duration,
    /// The certificates that HTTPS servers are trusted by, in PEM; without it those of the system.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) fn time(text: &str) -> Result<Duration, String> {
    let expected = || "expected a number and `ms`, `s` or `m`, at most 60m".to_owned();
    deployment::parse_duration(text).ok_or_else(expected)
}

#[derive(Serialize)]
struct Verdict<'a> {
    file: &'a str,
    sound: bool,
    servers: &'a [Line],
    findings: Vec<Entry<'a>>,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { deployment: path, keys, read_only, timeout, trust, json } = arguments;
    let file = path.display().to_string();
    let loaded = match deployment::load(&path) {
        Ok(loaded) => loaded,
        Err(LoadError::Refused(reports)) => {
            tell(&file, false, &[], &reports, json);
            return Err(super::check::refusal(&file, &diagnostics::tally(&reports)));
        }
        Err(error @ LoadError::Unreadable { .. }) => {
            return Err(Failure::new(error.to_string()).code(USAGE));
        }
    };
    let mut signals = Signals::listen()
        .map_err(|error| Failure::new(format!("cannot listen to signals: {error}")))?;
    let options = Options { keys, is_read_only: read_only, timeout, trusted: trust };
    let stop = Stop::default();
    let examined = doctor::examine(&loaded, &options, &stop);
    let mut examined = std::pin::pin!(examined);
    let examined = loop {
        tokio::select! {
            examined = &mut examined => break examined,
            asked = signals.next() => match asked {
                Asked::Reload | Asked::Reopen => {}
                Asked::Stop if stop.is_stopped() => {
                    let help = format!("what begins with `{}` may be removed", doctor::PREFIX);
                    return Err(Failure::new("stopped at once: a probe may be left").help(help));
                }
                Asked::Stop => stop.stop(),
            },
        }
    };
    let diagnosis = examined.map_err(|error| {
        let failure = Failure::new(error.to_string());
        match error {
            doctor::Unable::Trust(_) => failure.code(USAGE),
            doctor::Unable::Configuration | doctor::Unable::Name => failure,
        }
    })?;
    tell(&file, diagnosis.is_sound(), &diagnosis.lines, &diagnosis.reports, json);
    let tally = diagnostics::tally(&diagnosis.reports);
    if diagnosis.is_stopped {
        return Err(Failure::new(format!("{file}: stopped before all was asked")));
    }
    if !diagnosis.is_sound() {
        return Err(Failure::new(format!("{file}: {tally}; mend that before clients come")));
    }
    if !json {
        let count = |kind, word: &str| {
            let count = diagnosis.lines.iter().filter(|line| line.kind == kind).count();
            format!("{count} {word}{}", if count == 1 { "" } else { "s" })
        };
        let tally = if tally.is_empty() { "nothing to report" } else { &tally };
        let (stores, origins) = (count(Kind::Store, "store"), count(Kind::Origin, "origin"));
        print(&format!("{file}: {stores} and {origins} asked, {tally}\n"));
    }
    Ok(())
}

/// Prints what was found.
fn tell(file: &str, sound: bool, servers: &[Line], reports: &[Report], json: bool) {
    if json {
        let findings = reports.iter().flat_map(Report::entries).collect();
        let verdict = Verdict { file, sound, servers, findings };
        // Strings, numbers and booleans: nothing JSON cannot say.
        print(&(serde_json::to_string_pretty(&verdict).unwrap_or_default() + "\n"));
        return;
    }
    servers.iter().for_each(|line| print(&format!("{}\n", line.text())));
    if !servers.is_empty() && !reports.is_empty() {
        print("\n");
    }
    reports.iter().for_each(|report| print(&report.render(colour_out())));
}
