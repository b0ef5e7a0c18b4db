//! What the gateway has counted, as its metrics say it.
//!
//! Owns where the metrics come from, and what of them a page shows. What nobody has measured is
//! unknown, and never nought.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

/// The most bytes of an answer, and how long it may take.
const MOST: usize = 16 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(2);

/// Where the metrics are.
#[derive(Clone)]
pub enum Source {
    /// At the administration interface of a gateway, `b2o serve` or Envoy.
    At(SocketAddr),
    /// In this process.
    Here(Arc<dyn Fn() -> String + Send + Sync>),
    /// Nobody has said.
    Nowhere,
}

/// What is known of one bucket, since its gateway started.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Figures {
    /// What clients got, by outcome.
    pub(super) outcomes: BTreeMap<String, u64>,
    /// Why clients got 424, by reason.
    pub(super) failures: BTreeMap<String, u64>,
    pub(super) stored: u64,
    /// Why objects were not stored, by reason.
    pub(super) not_stored: BTreeMap<String, u64>,
    pub(super) fetched_bytes: u64,
    /// When the last miss was, in seconds since 1970.
    pub(super) last_miss: Option<u64>,
    /// Requests that each rule has decided.
    pub(super) rules: BTreeMap<u64, u64>,
}

impl Figures {
    /// Requests that a rule has decided.
    pub(super) fn requests(&self) -> u64 {
        self.outcomes.values().sum()
    }

    pub(super) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    pub(super) fn not_stored(&self) -> u64 {
        self.not_stored.values().sum()
    }
}

/// The figures of each bucket; `None` where the gateway does not say.
pub(super) type Known = Option<BTreeMap<String, Figures>>;

impl Source {
    /// Asks for the figures.
    pub(super) async fn ask(&self) -> Known {
        match self {
            Self::At(address) => read(&fetch(*address).await?),
            Self::Here(metrics) => read(&metrics()),
            Self::Nowhere => None,
        }
    }
}

async fn fetch(address: SocketAddr) -> Option<String> {
    let uri = format!("http://{address}/stats/prometheus?filter=back_to_origin");
    let request = Request::get(uri).body(Empty::<Bytes>::new()).ok()?;
    let ask = async {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let response = client.request(request).await.ok()?;
        let body = response.status().is_success().then(|| response.into_body())?;
        let body = Limited::new(body, MOST).collect().await.ok()?.to_bytes();
        String::from_utf8(body.to_vec()).ok()
    };
    timeout(PATIENCE, ask).await.ok()?
}

/// Figures from the text form of Prometheus; `None` where it is something else.
fn read(text: &str) -> Known {
    let mut known = BTreeMap::<String, Figures>::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (series, value) = line.rsplit_once(' ')?;
        let Some((name, labels)) = series.strip_suffix('}').and_then(|all| all.split_once('{'))
        else {
            continue;
        };
        let Some(name) = name.strip_prefix("back_to_origin_") else { continue };
        let labels: BTreeMap<&str, &str> = labels
            .split("\",")
            .filter_map(|pair| pair.trim_end_matches('"').split_once("=\""))
            .collect();
        let Some(bucket) = labels.get("bucket") else { continue };
        // Counters are whole, whatever their form.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let value = value.parse::<f64>().ok().filter(|value| *value >= 0.0)? as u64;
        let label = |name: &str| labels.get(name).copied().unwrap_or_default().to_owned();
        let own = known.entry((*bucket).to_owned()).or_default();
        match name {
            "requests_total" => {
                if label("outcome") == "mirror_failed" {
                    *own.failures.entry(label("reason")).or_default() += value;
                }
                *own.outcomes.entry(label("outcome")).or_default() += value;
                if let Ok(rule) = label("rule").parse() {
                    *own.rules.entry(rule).or_default() += value;
                }
            }
            "copies_total" if label("result") == "stored" => own.stored += value,
            "copies_total" => *own.not_stored.entry(label("reason")).or_default() += value,
            "fetched_bytes_total" => own.fetched_bytes += value,
            "last_miss_timestamp_seconds" if value > 0 => {
                own.last_miss = own.last_miss.max(Some(value))
            }
            _ => {}
        }
    }
    Some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# HELP back_to_origin_requests_total Requests.
# TYPE back_to_origin_requests_total counter
back_to_origin_requests_total{bucket=\"b\",rule=\"1\",outcome=\"mirrored\"} 1800
back_to_origin_requests_total{bucket=\"b\",rule=\"1\",outcome=\"mirror_failed\",reason=\"origin_error\"} 200
back_to_origin_requests_total{bucket=\"c\",rule=\"2\",outcome=\"redirected\"} 3

back_to_origin_copies_total{bucket=\"b\",rule=\"1\",result=\"stored\"} 1790
back_to_origin_copies_total{bucket=\"b\",rule=\"1\",result=\"not_stored\",reason=\"store_busy\"} 10
back_to_origin_fetched_bytes_total{bucket=\"b\",rule=\"1\",origin=\"o.example\"} 1.5e3
back_to_origin_last_miss_timestamp_seconds{bucket=\"b\"} 1764270000
back_to_origin_held_bytes{place=\"module\"} 7
envoy_other 1
";

    #[test]
    fn metrics_are_told_by_bucket() {
        let known = read(TEXT).unwrap();
        let b = &known["b"];
        assert_eq!((b.requests(), b.failed(), b.stored, b.not_stored()), (2_000, 200, 1_790, 10));
        assert_eq!(
            (b.fetched_bytes, b.last_miss, b.rules[&1]),
            (1_500, Some(1_764_270_000), 2_000)
        );
        assert_eq!((known["c"].requests(), known["c"].last_miss), (3, None));
        assert_eq!(known.len(), 2);
        assert_eq!(read(""), Some(BTreeMap::new()));
    }

    #[test]
    fn nonsense_is_unknown() {
        for text in ["<html>", "a{b=\"c\"} d\nback_to_origin_x{bucket=\"b\"} y"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[tokio::test]
    async fn a_gateway_that_is_down_is_unknown() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        drop(taken);
        assert_eq!(Source::At(address).ask().await, None);
        assert_eq!(Source::Nowhere.ask().await, None);
        assert!(Source::Here(Arc::new(|| TEXT.to_owned())).ask().await.is_some());
    }
}
