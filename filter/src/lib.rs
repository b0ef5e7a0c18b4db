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
pub mod finding;
pub mod http;
mod json;
pub mod matching;
pub mod reason;
pub mod request;
pub mod rule;
