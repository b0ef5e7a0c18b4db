//! `b2o completions`: what shells complete, and pages for `man`.

use std::path::PathBuf;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::failure::Failure;
use super::print;
use crate::envoy;

/// Print what a shell completes of this command, or write its manual.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  b2o completions bash > ~/.local/share/bash-completion/completions/b2o
  b2o completions fish > ~/.config/fish/completions/b2o.fish
  b2o completions --man ~/.local/share/man/man1

Exit codes:
  0  it is printed or written
  1  a file cannot be written
  2  wrong usage"
)]
#[group(required = true, multiple = false)]
pub(super) struct Arguments {
    /// The shell.
    #[arg(value_enum)]
    shell: Option<Shell>,
    /// Write the pages of the manual into this directory instead.
    #[arg(long, value_name = "DIR")]
    man: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut command = super::Arguments::command();
    if let Some(shell) = arguments.shell {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut command, "b2o", &mut text);
        print(&String::from_utf8_lossy(&text));
    }
    let Some(directory) = &arguments.man else { return Ok(()) };
    let failed = |error: std::io::Error| {
        Failure::new(format!("cannot write the manual to {}: {error}", directory.display()))
    };
    std::fs::create_dir_all(directory).map_err(failed)?;
    command.build();
    let own = command.clone().disable_help_subcommand(true);
    let others = own.get_subcommands().filter(|one| one.get_name() != "help").cloned();
    for page in std::iter::once(own.clone()).chain(others) {
        let page = clap_mangen::Man::new(page);
        let mut text = Vec::new();
        page.render(&mut text).map_err(failed)?;
        let path = directory.join(page.get_filename());
        let change = envoy::replace(&path, &text, false);
        let change = change.map_err(|error| Failure::new(error.to_string()))?;
        print(&format!("{change:<9}  {}\n", path.display()));
    }
    Ok(())
}
