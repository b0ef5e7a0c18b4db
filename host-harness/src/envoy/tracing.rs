//! Traces, sent to a collector by OpenTelemetry's protocol.
//!
//! Owns who is told of them. What of a request is one span, and how its `traceparent` goes on, is
//! Envoy's.

use super::Settings;
use super::clusters::service;
use super::yaml::Map;
use crate::deployment::{Loaded, Tracing};

/// The collector's cluster.
const COLLECTOR: &str = "traces";

/// The port that stands for gRPC; to any other HTTP is spoken.
const GRPC: u16 = 4317;

/// How long Envoy waits for the collector; no request waits for that.
const PATIENCE: &str = "1s";

/// Which requests are traced, and who is told.
pub(super) fn manager(tracing: &Tracing) -> Map {
    let collector = &tracing.otlp;
    let config = Map::typed("envoy.config.trace.v3.OpenTelemetryConfig");
    let config = if collector.port == GRPC {
        let grpc = Map::new().with("envoy_grpc", Map::new().with("cluster_name", COLLECTOR));
        config.with("grpc_service", grpc.with("timeout", PATIENCE))
    } else {
        let uri = Map::new()
            .with("uri", format!("{collector}/v1/traces"))
            .with("cluster", COLLECTOR)
            .with("timeout", PATIENCE);
        config.with("http_service", Map::new().with("http_uri", uri))
    };
    let share = Map::new()
        .with("numerator", u64::from(tracing.sampled.millionths()))
        .with("denominator", "MILLION");
    let of_the_rest = sampler("trace_id_ratio_based", "TraceIdRatioBased");
    let of_the_rest =
        of_the_rest.extend("typed_config", Map::new().with("sampling_percentage", share));
    let by = sampler("parent_based", "ParentBased");
    let by = by.extend("typed_config", Map::new().with("wrapped_sampler", of_the_rest));
    let provider = Map::new()
        .with("name", "envoy.tracers.opentelemetry")
        .with("typed_config", config.with("service_name", "back-to-origin").with("sampler", by));
    Map::new().with("provider", provider)
}

/// One of the samplers of OpenTelemetry's own specification.
fn sampler(name: &str, kind: &str) -> Map {
    let kind = format!("envoy.extensions.tracers.opentelemetry.samplers.v3.{kind}SamplerConfig");
    Map::new()
        .with("name", format!("envoy.tracers.opentelemetry.samplers.{name}"))
        .with("typed_config", Map::typed(&kind))
}

/// The collector, which is there before any listener is.
pub(super) fn cluster(loaded: &Loaded, settings: &Settings) -> Option<Map> {
    let collector = &loaded.deployment.tracing.as_ref()?.otlp;
    Some(service(COLLECTOR, collector, PATIENCE, collector.port == GRPC, settings))
}
