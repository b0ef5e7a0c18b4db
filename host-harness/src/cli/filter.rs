//! `b2o filter`: the module by itself.

use std::path::PathBuf;

use super::failure::Failure;
use super::print;
use crate::FILTER_WASM;
use crate::envoy;

/// Write the filter's module, for any proxy that runs proxy-wasm.
///
/// These are the bytes that `b2o serve` runs and that `b2o envoy` gives to Envoy.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  b2o filter --out back_to_origin.wasm

Exit codes:
  0  the file is there
  1  the file cannot be written
  2  wrong usage"
)]
pub(super) struct Arguments {
    /// The file to write; it is replaced as a whole, and left alone where it is the same.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let change = envoy::replace(&arguments.out, FILTER_WASM, false)
        .map_err(|error| Failure::new(error.to_string()))?;
    print(&format!("{change}  {}  {} bytes\n", arguments.out.display(), FILTER_WASM.len()));
    Ok(())
}
