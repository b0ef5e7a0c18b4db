//! What an operator may look at: health, metrics, the configuration without its secrets.
//!
//! Owns these pages and nothing of the traffic.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::health::Health;
use super::settings::{Cluster, Reads, Settings};
use crate::host::Shared;
use crate::rule_file::MASK;
use crate::server::ACCEPT_PAUSE;

/// What the pages show.
pub(super) struct Pages {
    pub(super) shared: Arc<Shared>,
    pub(super) configuration: Arc<Mutex<Value>>,
    pub(super) health: Arc<Health>,
}

/// Which of them an address has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scope {
    /// All.
    All,
    /// What probes and scrapers ask for.
    Health,
}

/// The settings as a page, with the clusters there are now, and without secrets.
pub(super) fn describe(settings: &Settings, clusters: &[Cluster]) -> Value {
    let clusters: Vec<Value> = clusters
        .iter()
        .map(|cluster| {
            json!({
                "name": cluster.name,
                "endpoint": cluster.endpoint.to_string(),
                "others": cluster.others.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "signed_as": cluster.signer.as_ref().map(|signer| &signer.access_key_id),
                "region": cluster.signer.as_ref().map(|signer| &signer.region),
            })
        })
        .collect();
    let buckets: Vec<Value> = settings
        .routes
        .buckets
        .iter()
        .map(|(name, route)| {
            let reads = match route.reads {
                Reads::Passthrough => "passthrough",
                Reads::Signed(_) => "signed",
            };
            json!({ "name": name, "cluster": route.cluster, "reads": reads })
        })
        .collect();
    // The filter has taken it, so it is JSON; what is not is not shown.
    let mut plugin = serde_json::from_str(&settings.plugin_configuration).unwrap_or_default();
    mask(&mut plugin, false);
    json!({
        "workers": settings.workers,
        "path": settings.path.as_str(),
        "domain": settings.routes.domain,
        "default_cluster": settings.routes.default,
        "clusters": clusters,
        "buckets": buckets,
        "plugin": plugin,
    })
}

/// Masks the headers that rules set: they are the origin's passwords as often as not.
fn mask(value: &mut Value, of_headers: bool) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| mask(item, of_headers)),
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match name.as_str() {
                    "Value" if of_headers => *value = MASK.into(),
                    "MirrorHeaders" => mask(value, true),
                    _ => mask(value, of_headers),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn page(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(kind));
    response
}

impl Pages {
    async fn get(&self, request: Request<Incoming>, scope: Scope) -> Response<Full<Bytes>> {
        const TEXT: &str = "text/plain; charset=utf-8";
        const JSON: &str = "application/json";
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n".to_owned());
        }
        match (request.uri().path(), scope) {
            ("/live", Scope::All | Scope::Health) => {
                let (status, told) = self.health.live();
                page(status, JSON, format!("{told:#}\n"))
            }
            ("/ready", Scope::All | Scope::Health) => {
                let (status, told) = self.health.ready().await;
                page(status, JSON, format!("{told:#}\n"))
            }
            ("/metrics", Scope::All | Scope::Health) | ("/stats/prometheus", Scope::All) => page(
                StatusCode::OK,
                "text/plain; version=0.0.4",
                self.shared.metrics().prometheus(),
            ),
            ("/config", Scope::All) => {
                let shown = self.configuration.lock().unwrap_or_else(PoisonError::into_inner);
                page(StatusCode::OK, JSON, format!("{:#}\n", *shown))
            }
            (_, Scope::Health) => page(
                StatusCode::NOT_FOUND,
                TEXT,
                "there are /live, /ready and /metrics\n".to_owned(),
            ),
            (_, Scope::All) => page(
                StatusCode::NOT_FOUND,
                TEXT,
                "there are /live, /ready, /metrics and /config\n".to_owned(),
            ),
        }
    }
}

/// Serves the pages for as long as it is polled.
pub(super) async fn serve(listener: TcpListener, pages: Arc<Pages>, scope: Scope) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let pages = Arc::clone(&pages);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let pages = Arc::clone(&pages);
                async move { Ok::<_, Infallible>(pages.get(request, scope).await) }
            });
            // A reader that leaves early has seen what it wanted.
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
