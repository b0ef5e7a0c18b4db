//! Back-to-origin for any S3-compatible bucket: the rule engine, and the proxy-wasm filter around
//! it.

#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod attempt;
mod callout;
pub mod conclusion;
pub mod configuration;
pub mod copy;
pub mod decision;
pub mod digest;
pub mod engine;
pub mod explain;
pub mod finding;
pub mod host;
pub mod http;
mod in_flight;
mod json;
pub mod lease;
pub mod matching;
pub mod metadata;
pub mod metric;
pub mod miss;
pub mod miss_route;
pub mod origin;
mod outcome;
pub mod reason;
pub mod reply;
pub mod report;
pub mod request;
pub mod rule;
#[cfg(target_arch = "wasm32")]
mod shell;
pub mod store;
pub mod streaming;
pub mod time;
