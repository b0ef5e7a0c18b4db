//! The command line: what can be asked, and how answers and errors are printed.
//!
//! Owns arguments, exit codes and nothing else; each command is a few calls into the library.

mod admin;
mod check;
mod completions;
mod console;
mod convert;
mod demo;
mod doctor;
mod envoy;
mod explain;
mod failure;
mod filter;
mod image;
mod istio;
mod keeping;
mod kubernetes;
mod loading;
mod renewing;
mod rules;
mod schema;
mod serve;
mod signals;
mod store;
mod tombstones;
mod watch;
mod website;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::{Parser, Subcommand};

use failure::Failure;

/// Back-to-origin for any S3-compatible bucket.
///
/// When a bucket answers 404, its rules decide: fetch the object from an origin, answer with it
/// and store it (Mirror), or send the client elsewhere (External). `b2o demo` shows all of it.
#[derive(Debug, Parser)]
#[command(name = "b2o", version, verbatim_doc_comment, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Admin(admin::Arguments),
    Check(check::Arguments),
    Completions(completions::Arguments),
    Console(console::Arguments),
    Convert(convert::Arguments),
    Demo(demo::Arguments),
    Doctor(doctor::Arguments),
    Envoy(envoy::Arguments),
    Explain(explain::Arguments),
    Filter(filter::Arguments),
    Image(image::Arguments),
    Istio(istio::Arguments),
    Kubernetes(kubernetes::Arguments),
    Rules(rules::Arguments),
    Schema(schema::Arguments),
    Serve(serve::Arguments),
    Store(store::Arguments),
    Tombstones(tombstones::Arguments),
    Website(website::Arguments),
}

/// Reads the command line, does what it asks and says how that went.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(told) => return tell(&told),
    };
    let result = match arguments.command {
        Command::Admin(arguments) => on_runtime(admin::run(arguments)),
        Command::Check(arguments) => check::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Console(arguments) => on_runtime(console::run(arguments)),
        Command::Convert(arguments) => convert::run(&arguments),
        Command::Demo(arguments) => on_runtime(demo::run(arguments)),
        Command::Doctor(arguments) => on_runtime(doctor::run(arguments)),
        Command::Envoy(arguments) => on_runtime(envoy::run(arguments)),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Filter(arguments) => filter::run(&arguments),
        Command::Image(arguments) => on_runtime(image::run(arguments)),
        Command::Istio(arguments) => istio::run(&arguments),
        Command::Kubernetes(arguments) => kubernetes::run(&arguments),
        Command::Rules(arguments) => rules::run(&arguments),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Serve(arguments) => on_runtime(serve::run(arguments)),
        Command::Store(arguments) => on_runtime(store::run(arguments)),
        Command::Tombstones(arguments) => on_runtime(tombstones::run(arguments)),
        Command::Website(arguments) => website::run(&arguments),
    };
    match result.and_then(|()| printed()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = io::stdout().flush();
            let _ = write!(io::stderr(), "{failure}");
            ExitCode::from(failure.code)
        }
    }
}

/// Says what is wrong with the command line, or what was asked about it.
fn tell(told: &clap::Error) -> ExitCode {
    note(told.print().and_then(|()| io::stdout().flush()));
    match printed() {
        Ok(()) => ExitCode::from(u8::try_from(told.exit_code()).unwrap_or(failure::USAGE)),
        Err(failure) => {
            let _ = write!(io::stderr(), "{failure}");
            ExitCode::from(failure.code)
        }
    }
}

fn on_runtime(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    let result = runtime.block_on(command);
    // What a command leaves behind, nobody waits for.
    runtime.shutdown_background();
    result
}

/// Why something could not be printed: the first time.
static UNPRINTED: OnceLock<String> = OnceLock::new();

/// Prints to standard output. What cannot be is told at the end of the command.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    note(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// Notes whether something was printed. A reader that has gone is its own affair.
fn note(outcome: io::Result<()>) {
    if let Err(error) = outcome
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        UNPRINTED.get_or_init(|| error.to_string());
    }
}

/// Whether all was printed that was to be.
fn printed() -> Result<(), Failure> {
    match UNPRINTED.get() {
        None => Ok(()),
        Some(why) => Err(Failure::new(format!("cannot write to standard output: {why}"))),
    }
}

/// Text from elsewhere as it may reach a terminal: control characters are escaped.
fn printable(text: &str) -> String {
    let escape = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(escape).collect()
}

/// Whether what is printed there may be coloured.
fn colour(is_terminal: bool) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    is_terminal && !is_dumb && !set("NO_COLOR")
}

/// The same for standard output.
fn colour_out() -> bool {
    colour(io::stdout().is_terminal())
}

/// The same for standard error.
fn colour_errors() -> bool {
    colour(io::stderr().is_terminal())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        for command in Arguments::command().get_subcommands() {
            let help = command.clone().render_long_help().to_string();
            assert!(help.contains("Examples:\n"), "{help}");
            assert!(help.contains(&format!("  b2o {}", command.get_name())), "{help}");
        }
    }
}
