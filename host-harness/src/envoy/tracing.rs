//! Traces, sent to a collector by OpenTelemetry's protocol.
//!
//! Owns who is told of them. What of a request is one span, and how its `traceparent` goes on, is
//! Envoy's.

use super::clusters::{assignment, encryption, host, is_encrypted};
use super::yaml::{List, Map};
use super::{Settings, bootstrap};
use crate::deployment::{Loaded, Tracing};
use crate::gateway::Cluster;

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
pub(super) fn cluster(loaded: &Loaded, settings: &Settings) -> Option<List> {
    let collector = &loaded.deployment.tracing.as_ref()?.otlp;
    let server = Cluster::new(COLLECTOR, collector.clone());
    let place = bootstrap::socket(host(collector), collector.port);
    let place = Map::new().with("endpoint", Map::new().with("address", place));
    let options = (collector.port == GRPC).then(|| {
        let http2 = Map::new().with("http2_protocol_options", Map::new());
        let kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
        Map::new().with(kind, Map::typed(kind).with("explicit_http_config", http2))
    });
    let cluster = Map::new()
        .with("name", COLLECTOR)
        .with("type", "STRICT_DNS")
        .with("connect_timeout", PATIENCE)
        .with("load_assignment", assignment(COLLECTOR, [place]))
        .maybe("transport_socket", is_encrypted(collector).then(|| encryption(&server, settings)))
        .maybe("typed_extension_protocol_options", options);
    Some(List::new().with(cluster))
}
