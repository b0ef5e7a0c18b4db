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

pub mod configuration;
pub mod digest;
pub mod exchange;
pub mod explain;
pub mod finding;
pub mod http;
mod json;
pub mod lease;
pub mod matching;
pub mod metric;
pub mod miss_route;
pub mod origin;
pub mod reason;
pub mod reply;
pub mod report;
pub mod request;
mod retry;
pub mod rule;
#[cfg(target_arch = "wasm32")]
mod shell;
pub mod store;
pub mod transfer;
pub mod visit;
pub mod worker;
