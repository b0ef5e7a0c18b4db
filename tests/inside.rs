//! Origins whose names lead to the inside of a network: none is asked, whatever the rules say.

use std::fs;
use std::net::SocketAddr;

use b2o::envoy::{DataPath, Form, Settings, files};
use serde_json::json;

use crate::support::client::{get, request};
use crate::support::deployed::Deployed;
use crate::support::envoy::Envoy;
use crate::support::gateway::{HOSTS, Host, Path};
use crate::support::generated::{load, mirrored};
use crate::support::rules::on_miss;
use crate::support::server::{Reply, Server};
use crate::support::store::Files;
use crate::support::wait::until;

/// Addresses with a port, as Envoy writes them, and whether they are on the inside: the script in the
/// files of `b2o envoy` and `b2o serve` have one list, and read it each in its own way.
const ADDRESSES: [(&str, bool); 40] = [
    ("1.0.0.0:80", false),
    ("8.8.8.8:443", false),
    ("10.255.255.255:80", true),
    ("11.0.0.0:80", false),
    ("100.63.255.255:80", false),
    ("100.64.0.0:80", true),
    ("100.127.255.255:80", true),
    ("100.128.0.0:80", false),
    ("127.0.0.1:9901", true),
    ("128.0.0.0:80", false),
    ("168.63.129.16:80", true),
    ("168.63.129.17:80", false),
    ("169.254.169.254:80", true),
    ("172.15.255.255:80", false),
    ("172.31.255.255:80", true),
    ("172.32.0.0:80", false),
    ("192.168.0.1:80", true),
    ("198.19.255.255:80", true),
    ("198.20.0.0:80", false),
    ("223.255.255.255:80", false),
    ("224.0.0.1:80", true),
    ("255.255.255.255:80", true),
    ("0.0.0.0:80", true),
    ("[::1]:80", true),
    ("[::]:80", true),
    ("[::ffff:127.0.0.1]:80", true),
    ("[::ffff:8.8.8.8]:80", false),
    ("[64:ff9b::7f00:1]:80", true),
    ("[64:ff9b::808:808]:80", false),
    ("[64:ff9b:1::808:808]:80", true),
    ("[2001:4860:4860::8888]:443", false),
    ("[2001:db8::1]:80", true),
    ("[2002:a00:1::1]:80", true),
    ("[2002:808:808::1]:80", false),
    ("[fbff:ffff::1]:80", false),
    ("[fd12:3456::1]:80", true),
    ("[fe80::1%eth0]:80", true),
    ("[ff02::1]:80", true),
    ("/run/a.sock", true),
    ("-", true),
];

/// The script of an origin's cluster, out of the files of `b2o envoy`.
fn script() -> String {
    let folder = tempfile::tempdir().expect("a folder for the rules");
    let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
    let mut loaded = mirrored(nobody, nobody, "", folder.path());
    loaded.deployment.allow_internal_origins = false;
    let settings = Settings {
        directory: folder.path().to_owned(),
        data_path: DataPath::Streaming,
        form: Form::Envoy,
        source: "deployment.yaml".to_owned(),
        trusted: Settings::TRUSTED.into(),
    };
    let files = files(&loaded, b"", &settings).expect("a deployment Envoy can run");
    let clusters = files.iter().find(|file| file.name == "clusters.yaml").expect("its clusters");
    let text = String::from_utf8_lossy(&clusters.bytes).into_owned();
    let (_, outside) = text.split_once("- name: outside\n").expect("the script");
    let (_, lines) = outside.split_once("inline_string: |\n").expect("its text");
    let indent = lines.len() - lines.trim_start().len();
    let is_of =
        |line: &&str| line.trim().is_empty() || line.len() - line.trim_start().len() >= indent;
    lines
        .lines()
        .take_while(is_of)
        .map(|line| format!("{}\n", line.get(indent..).unwrap_or("")))
        .collect()
}

#[test]
fn the_script_in_envoy_knows_the_same_addresses() {
    let filter = json!({
        "name": "outside",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": { "inline_string": script() },
        },
    });
    let router = json!({
        "name": "router",
        "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
    });
    let host = json!({
        "name": "all", "domains": ["*"],
        "routes": [{ "match": { "prefix": "/" }, "direct_response": { "status": 200 } }],
    });
    let manager = json!({
        "name": "manager",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "all",
            "http_filters": [filter, router],
            "route_config": { "virtual_hosts": [host] },
        },
    });
    let any = json!({ "socket_address": { "address": "127.0.0.1", "port_value": 0 } });
    let bootstrap = json!({
        "admin": { "address": any },
        "static_resources": {
            "listeners": [{ "address": any, "filter_chains": [{ "filters": [manager] }] }],
        },
    });
    let folder = tempfile::tempdir().expect("a folder for Envoy");
    let envoy = Envoy::start(&bootstrap.to_string(), "json", folder);
    for (address, is_inside) in ADDRESSES {
        let asked = request("GET", "/").with("x-envoy-miss-upstream", address);
        let answer = asked.send(envoy.address()).expect("an answer");
        assert_eq!(answer.status, if is_inside { 403 } else { 200 }, "{address}: {answer:?}");
    }
}

/// What is told of each. Of what a callout was not sent for, Envoy does not say why.
const WHY: [&str; 2] = [
    "leads to the inside of a network, and it was not asked",
    "leads nowhere, or to the inside of a network",
];

/// What asks an origin on its own road: straight, behind another that fails, and beside the client.
const KEYS: [&str; 3] = ["straight", "another/key", "async/key"];

/// The rules: `localhost` stands for a public name whose owner has had it lead here.
fn rules(port: u16) -> String {
    let url = format!("http://localhost:{port}/");
    json!([
        on_miss(
            1,
            "straight",
            json!({ "RedirectType": "Mirror", "MirrorURL": url,
            "MirrorAllowHeadObject": true })
        ),
        on_miss(
            2,
            "another/",
            json!({ "RedirectType": "Mirror", "MirrorURL": url,
            "MirrorURLSlave": format!("{url}slave/") })
        ),
        on_miss(
            3,
            "async/",
            json!({ "RedirectType": "Mirror", "MirrorURL": url,
            "MirrorAsyncStatus": 302 })
        ),
    ])
    .to_string()
}

fn asked(host: Host, path: Path, allowed: bool) {
    let what = format!("{host:?} {path:?}, allowed: {allowed}");
    let origin = Server::start(|_| Reply::new(200, &[], "of the inside"));
    let store = Files::start(&["examplebucket"], None);
    let folder = tempfile::tempdir().expect("a folder for the rules");
    fs::write(folder.path().join("rules.json"), rules(origin.address.port())).expect("our own");
    let path = match path {
        Path::Callout => "callout",
        Path::Streaming => "streaming",
    };
    let text = format!(
        "path: {path}\nworkers: 1\nbuckets: [{{ name: examplebucket, endpoint: \"http://{}\", rules: \
         rules.json }}]",
        store.address()
    );
    let mut loaded = load(&text, folder.path());
    // A check would see what the name is; of a public one it sees nothing.
    loaded.deployment.allow_internal_origins = allowed;
    let gateway = Deployed::start(host, &loaded, None);
    for key in KEYS {
        let answer = get(gateway.address, format!("/examplebucket/{key}"));
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        match (key.starts_with("async"), allowed) {
            (true, _) => assert_eq!(answer.status, 302, "{what} {key}: {answer:?}"),
            (false, true) => {
                assert_eq!((answer.status, body.as_str()), (200, "of the inside"), "{what} {key}");
            }
            (false, false) => {
                assert_eq!(answer.status, 424, "{what} {key}: {answer:?}");
                assert!(!body.contains("of the inside"), "{what} {key}: {body}");
            }
        }
        if !allowed {
            until(format!("the line on {key}, {what}"), || {
                let log = gateway.log();
                log.lines()
                    .any(|line| line.contains(key) && WHY.iter().any(|why| line.contains(why)))
                    .then_some(())
            });
        }
    }
    let head = request("HEAD", "/examplebucket/straight-head").send(gateway.address);
    let expected = if allowed { 200 } else { 424 };
    assert_eq!(head.expect("an answer").status, expected, "{what}");
    for key in KEYS {
        let stored = || get(store.address(), format!("/examplebucket/{key}")).status;
        match allowed {
            true => {
                until(format!("{key} in the bucket, {what}"), || (stored() == 200).then_some(()))
            }
            false => assert_eq!(stored(), 404, "{what} {key}"),
        }
    }
    if !allowed {
        assert_eq!(origin.requests(), [], "{what}");
    }
    assert_eq!(gateway.vm_failures(), Vec::<String>::new(), "{what}");
}

#[test]
fn no_origin_on_the_inside_is_asked_served_or_stored() {
    for (host, path) in HOSTS {
        asked(host, path, false);
    }
}

#[test]
fn where_it_is_allowed_origins_on_the_inside_are_asked() {
    for (host, path) in HOSTS {
        asked(host, path, true);
    }
}
