//! Back-to-origin for any S3-compatible bucket: the rule engine, and the proxy-wasm filter around
//! it.
//!
//! ```
//! use back_to_origin::configuration::Configuration;
//! use back_to_origin::decision::{Decision, Exchange};
//! use back_to_origin::engine::Engine;
//! use back_to_origin::http::headers::Headers;
//! use back_to_origin::matching::Source;
//!
//! let configuration = Configuration::from_json(
//!     br#"{
//!         "buckets": [{
//!             "name": "photos",
//!             "store": { "cluster": "store", "authority": "s3.example" },
//!             "RoutingRules": [{
//!                 "RuleNumber": 1,
//!                 "Condition": { "HttpErrorCodeReturnedEquals": 404 },
//!                 "Redirect": { "RedirectType": "Mirror", "MirrorURL": "http://old.example/" }
//!             }]
//!         }],
//!         "origins": { "http://old.example": "old" }
//!     }"#,
//! )
//! .expect("nothing is wrong with it");
//! let mut engine = Engine::new(configuration.into());
//!
//! let request = [(":method", "GET"), (":authority", "gateway"), (":path", "/photos/cat.jpg")];
//! let mut exchange = Exchange::new(Headers::from_pairs(request), engine.sequence());
//! let answer = Headers::from_pairs([(":status", "404")]);
//! match exchange.on_answer(&engine.configuration(), &answer, || Source::Bucket) {
//!     Decision::Mirror(miss) => assert_eq!(miss.origin.url(), "http://old.example/cat.jpg"),
//!     other => panic!("{other:?}"),
//! }
//! ```
//!
//! # Modules
//!
//! From bottom to top: each uses only those above it in this list, which `tests/layers.rs` checks.
//!
//! - `time`: a moment, which hosts tell
//! - `index`: pairs of numbers in their order
//! - `finding`: what is wrong with a document, and where
//! - `metric`: what is measured, and the names of that
//! - `http`: headers, encodings, queries, ranges, locations
//! - `json`: a document, read with all its findings
//! - `digest`: what is announced of an object's bytes, and whether these are they
//! - `metadata`: what an object keeps of how it came into the bucket
//! - `miss_route`: what a gateway and the filter say to each other about a miss
//! - `naming`: which bucket a request names
//! - `reason`: why something was decided, in the words of logs and answers
//! - `request`: which requests are covered, and the object they name
//! - `rule`: the rule language, checked
//! - `matching`: which rule applies
//! - `configuration`: buckets, clusters, limits and times
//! - `written`: what clients write and delete
//! - `account`: the memory that objects take
//! - `lease`: which worker copies an object
//! - `shared`: what all workers of one host share
//! - `quota`: how much is mirrored in a second
//! - `absence`: what origins were found to lack
//! - `tombstone`: keys that were deleted through the gateway
//! - `reply`: what a client gets
//! - `report`: the line on a request
//! - `record`: what the access log is told of a request
//! - `conclusion`: the answer, the counter and the line of a request that ends
//! - `host`: effects, callouts and their answers
//! - `gauges`: what the host has been told of memory and of misses
//! - `attempt`: one request, made again where it fails
//! - `origin`: what an origin is asked, what its answer amounts to, who is asked next
//! - `miss`: a request whose object is to be mirrored
//! - `outcome`: what comes of a miss that got no object
//! - `decision`: what becomes of the bucket's answer
//! - `store`: the requests that write an object, and their answers
//! - `markers`: the markers of deleted keys in their bucket
//! - `copy`: objects on their way into the bucket
//! - `in_flight`: requests to origins whose answers the gateway streams
//! - `coalescing`: many requests for one object, and one fetch
//! - `callout`: objects fetched into memory for all who wait
//! - `engine`: everything under way in one VM
//! - `streaming`: one request on the miss route
//! - `explain`: decisions told and not performed
//! - `shell`: callbacks and hostcalls of proxy-wasm

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

pub mod absence;
pub mod account;
mod attempt;
mod callout;
mod coalescing;
pub mod conclusion;
pub mod configuration;
pub mod copy;
pub mod decision;
pub mod digest;
pub mod engine;
pub mod explain;
pub mod finding;
mod gauges;
pub mod host;
pub mod http;
mod in_flight;
mod index;
mod json;
pub mod lease;
mod markers;
pub mod matching;
pub mod metadata;
pub mod metric;
pub mod miss;
pub mod miss_route;
pub mod naming;
pub mod origin;
mod outcome;
pub mod quota;
pub mod reason;
pub mod record;
pub mod reply;
pub mod report;
pub mod request;
pub mod rule;
pub mod shared;
#[cfg(target_arch = "wasm32")]
mod shell;
pub mod store;
pub mod streaming;
pub mod time;
pub mod tombstone;
pub mod written;
