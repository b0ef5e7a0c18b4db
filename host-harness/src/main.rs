//! `b2o`: back-to-origin on one machine.

use std::process::ExitCode;

fn main() -> ExitCode {
    b2o::cli::run()
}
