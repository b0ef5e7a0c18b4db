//! The gateway as its clients and stores see it.

mod answers;
mod failing_host;
mod mirror;
mod operation;
mod passage;
mod signed;
mod streaming;
mod support;
