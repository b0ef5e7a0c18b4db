//! What operators see: a real Prometheus scrapes both hosts, and takes what the repository has for it.

use std::fs;

use back_to_origin::metric::{self, Kind, Metric};
use serde_json::{Value, json};

use crate::support::client::{get, request};
use crate::support::deployed::Deployed;
use crate::support::gateway::Host;
use crate::support::generated::load;
use crate::support::prometheus::{Prometheus, check, folder, test};
use crate::support::rules::on_miss;
use crate::support::server::{Reply, Server};
use crate::support::store::{Store, error};
use crate::support::wait::until;

/// A name with everything that a bucket's may have.
const BUCKET: &str = "a.b-c";

/// A gateway that has had one miss of each kind.
fn visited(host: Host, origin: &Server) -> (Deployed, Store) {
    let store = Store::files(&[BUCKET]);
    let busy = error(503, "SlowDown", "PUT");
    store.script.first("PUT", format!("/{BUCKET}/again"), &[busy]);
    let folder = tempfile::tempdir().expect("a folder for the deployment");
    let url = format!("{}/", origin.url());
    let rules = json!([
        on_miss(1, "go/", json!({ "RedirectType": "External", "HostName": "h.example" })),
        on_miss(2, "", json!({ "RedirectType": "Mirror", "MirrorURL": url })),
    ]);
    fs::write(folder.path().join("rules.json"), rules.to_string()).expect("a folder of our own");
    let text = format!(
        "limits: {{ part_bytes: 5242880 }}\nbuckets: [{{ name: {BUCKET}, endpoint: \"http://{}\", \
         rules: rules.json }}]",
        store.address()
    );
    let gateway = Deployed::start(host, &load(&text, folder.path()), None);
    for (key, status) in
        [("plain", 200), ("again", 200), ("odd", 200), ("none", 404), ("bad", 424), ("go/x", 301)]
    {
        let answer = get(gateway.address, format!("/{BUCKET}/{key}"));
        assert_eq!(answer.status, status, "{host:?} {key}: {answer:?}");
    }
    // By a multipart upload; and by a fetch of its own.
    assert_eq!(get(gateway.address, format!("/{BUCKET}/large")).status, 200, "{host:?}");
    let part = request("GET", format!("/{BUCKET}/part")).with("range", "bytes=0-2");
    assert_eq!(part.send(gateway.address).expect("an answer").status, 206, "{host:?}");
    (gateway, store)
}

fn origin() -> Server {
    let large = vec![b'x'; 12 << 20];
    Server::start(move |request| match request.path() {
        b"/none" => Reply::new(404, &[], "none"),
        b"/bad" => Reply::new(500, &[], "sorry"),
        b"/odd" => {
            let head = b"HTTP/1.1 200 OK\r\ncontent-language: \xff\r\n";
            Reply::raw([&head[..], b"content-length: 1\r\n\r\nx"].concat()).keep()
        }
        b"/large" => Reply::object(request, &[("etag", "\"large\"")], &large),
        _ => Reply::object(request, &[("etag", "\"small\"")], b"some bytes"),
    })
}

/// The queries of the dashboard, as Grafana sends them.
fn queries() -> Vec<String> {
    let text = fs::read_to_string(folder().join("dashboard.json")).expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let queries = targets.map(|target| {
        let expression = target["expr"].as_str().expect("an expression");
        // What Grafana makes of a bucket's name in a pattern.
        let expression = expression.replace("$bucket", &BUCKET.replace('.', r"\\."));
        let expression = expression.replace("$__rate_interval", "1m");
        assert!(!expression.contains('$'), "{expression}");
        expression
    });
    queries.collect()
}

#[test]
fn prometheus_scrapes_both_hosts_and_the_dashboard_has_data() {
    let origin = origin();
    let hosts = [Host::Harness, Host::Envoy].map(|host| (host, visited(host, &origin)));
    let admins = hosts.iter().map(|(host, (gateway, _))| (*host, gateway.admin_address()));
    let admins: Vec<_> = admins.collect();
    let targets: Vec<_> = admins.iter().map(|(_, address)| *address).collect();
    let prometheus = Prometheus::start(&targets);
    for (host, address) in &admins {
        for metric in Metric::ALL {
            let name = match metric.kind() {
                Kind::Counter | Kind::Gauge | Kind::Moment => metric.name().to_owned(),
                Kind::Histogram => format!("{}_bucket", metric.name()),
            };
            let labels = metric.labels().iter().filter(|label| **label != "reason");
            let labels: String = labels.map(|label| format!(",{label}!=\"\"")).collect();
            let query = format!("{name}{{instance=\"{address}\"{labels}}}");
            until(format!("{host:?}: {query}"), || {
                (!prometheus.query(&query).is_empty()).then_some(())
            });
        }
        for query in [
            format!(
                "back_to_origin_requests_total{{instance=\"{address}\",bucket=\"{BUCKET}\",rule=\"2\",outcome=\"mirror_failed\",reason=\"status\"}} == 1"
            ),
            format!(
                "back_to_origin_requests_total{{instance=\"{address}\",rule=\"1\",outcome=\"redirected\"}} == 1"
            ),
            format!(
                "back_to_origin_fetches_total{{instance=\"{address}\",origin=\"{}\"}} > 6",
                origin.address
            ),
            // plain, again, part: 10 bytes each; odd: 1.
            format!(
                "back_to_origin_stored_bytes_total{{instance=\"{address}\",bucket=\"{BUCKET}\"}} == {}",
                (12 << 20) + 31
            ),
            format!("back_to_origin_open_uploads{{instance=\"{address}\"}} == 0"),
            format!("back_to_origin_copies_under_way{{instance=\"{address}\"}} == 0"),
            format!(
                "abs(time() - back_to_origin_last_miss_timestamp_seconds{{instance=\"{address}\"}}) < 300"
            ),
        ] {
            until(format!("{host:?}: {query}"), || {
                (!prometheus.query(&query).is_empty()).then_some(())
            });
        }
    }
    let queries = queries();
    assert!(queries.len() > 10, "{queries:?}");
    for query in queries {
        until(&query, || (!prometheus.query(&query).is_empty()).then_some(()));
    }
    for (_, (gateway, _)) in &hosts {
        assert_eq!(gateway.vm_failures(), [""; 0]);
    }
}

#[test]
fn promtool_takes_the_configuration_and_the_alerts() {
    assert_eq!(check("config", "prometheus.yaml"), Ok(()));
    assert_eq!(check("rules", "alerts.yaml"), Ok(()));
    assert!(check("rules", "README.md").is_err(), "it takes anything");
    // Each of them fires where it should, and none at a gateway that is well.
    assert_eq!(test("alerts_test.yaml"), Ok(()));
}

#[test]
fn the_document_lists_every_metric_and_every_tag() {
    let text = fs::read_to_string(folder().join("README.md")).expect("the document");
    let dashboard = fs::read_to_string(folder().join("dashboard.json")).expect("the dashboard");
    for metric in Metric::ALL {
        let kind = metric.kind().name();
        let labels: Vec<String> =
            metric.labels().iter().map(|label| format!("`{label}`")).collect();
        let (name, labels) = (metric.name(), labels.join(", "));
        let row = format!("| `{name}` | {kind} | {labels} | {} |", metric.description().trim());
        assert!(text.lines().any(|line| line == row), "no row {row}");
        assert!(dashboard.contains(name), "no panel for {name}");
    }
    for label in metric::labels() {
        let tag = format!("- {{ tag_name: {label}, regex: '{}' }}", metric::pattern(label));
        assert!(text.contains(&tag), "no line {tag}");
    }
}
