//! A deployment in a gateway or a sidecar of Istio's.
//!
//! Owns what is added to what Istio makes, and how far it reaches. Everything has a host, a cluster or
//! a filter of its own, and the filter stands still but on the miss route; so no other application of
//! the gateway meets it. One thing is the gateway's as a whole: names that begin with `x-envoy-` are
//! taken off what clients send, without which anybody could say that a request is a miss.

mod retired;
mod streaming;

use std::path::Path;
use std::str::FromStr;
use std::time::SystemTime;

use serde_json::Value;

use super::code::Code;
use super::crds::Definitions;
use super::kubernetes::Unable;
use super::{
    CommandLine, Findings, List, MOST, Manifest, Map, Name, Owner, WRITTEN, heading, resource,
};
use crate::deployment::Loaded;
use crate::diagnostics::Report;
use crate::envoy::{self, DataPath, File, Form};
use crate::image::Reference;

/// Where the file with the keys is in the proxy.
const DIRECTORY: &str = "/etc/back-to-origin";

/// The longest name of a cluster that statistics and labels keep whole.
const LONGEST: usize = 60;

/// All that may be written.
pub const NAMES: [&str; 2] = ["10-secret.yaml", "20-envoy-filter.yaml"];

/// Which proxy it is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Workload {
    /// One at the edge, or a gateway of the cluster's own.
    Gateway,
    /// One beside an application, for what that asks.
    Sidecar,
}

impl Workload {
    /// As an EnvoyFilter names it.
    const fn context(self) -> &'static str {
        match self {
            Self::Gateway => "GATEWAY",
            Self::Sidecar => "SIDECAR_OUTBOUND",
        }
    }
}

/// An Istio by its minor version.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Istio(pub u32);

impl Istio {
    /// The versions that are known, with the Envoy in each.
    const KNOWN: [(u32, &str); 4] = [(28, "1.36"), (29, "1.37"), (30, "1.38"), (31, "1.39")];
}

impl FromStr for Istio {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let minor = text.strip_prefix("1.").and_then(|minor| minor.split('.').next()?.parse().ok());
        match minor.filter(|minor| Self::KNOWN.iter().any(|(known, _)| known == minor)) {
            Some(minor) => Ok(Self(minor)),
            None => Err("expected 1.28, 1.29, 1.30 or 1.31".to_owned()),
        }
    }
}

/// How it is to be.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of all resources.
    pub name: Name,
    /// The namespace of the proxies.
    pub namespace: Name,
    /// What the proxies' pods are found by.
    pub selector: Vec<(String, String)>,
    /// The hosts under which a path names a bucket; without any, the deployment's `domain`.
    pub hosts: Vec<String>,
    /// The image of the module.
    pub image: Reference,
    /// Which Istio it is.
    pub istio: Istio,
    /// Which proxies they are.
    pub workload: Workload,
    /// The certificates that servers are trusted by, in the proxy.
    pub trusted: std::path::PathBuf,
    /// The definitions of the cluster, to judge by.
    pub definitions: Option<std::path::PathBuf>,
}

/// What was made.
#[derive(Debug)]
pub struct Made {
    /// The manifests, in the order to apply them.
    pub manifests: Vec<Manifest>,
    /// What is to be told.
    pub told: Vec<Report>,
    /// What the mesh has to be like.
    pub preflight: Vec<String>,
}

/// Makes the manifests of a deployment; `path` is its file, and `out` where an earlier run's are.
///
/// # Errors
///
/// When the deployment or the command does not go with it.
pub fn manifests(
    path: &Path,
    out: &Path,
    loaded: &Loaded,
    settings: &Settings,
    command: &CommandLine,
) -> Result<Made, Unable> {
    let source = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let mut findings = Findings::new(loaded, command);
    findings.check_image(&settings.image);
    check(loaded, settings, &mut findings);
    check_other(out, &source, &mut findings);
    let files = envoy::Settings {
        directory: DIRECTORY.into(),
        data_path: DataPath::Streaming,
        form: Form::Istio,
        source: source.clone(),
        trusted: settings.trusted.clone(),
    };
    let files = Files(envoy::files(loaded, b"", &files).map_err(Unable::Files)?);
    check_clusters(&files, &mut findings);
    let clusters = files.resources(envoy::CLUSTERS);
    let names = clusters.iter().filter_map(|cluster| cluster["name"].as_str().map(str::to_owned));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let retired = retired::staying(&earlier(out), &names.collect(), now.as_secs());
    let gateway = Added { loaded, settings, files: &files, retired };
    let head = |about: &str| heading(about, "istio", &source);
    let mut manifests: Vec<Manifest> = gateway.secret(&head).into_iter().collect();
    manifests.push(gateway.filter(&head));
    let size = manifests.iter().map(|manifest| manifest.text.len()).max().unwrap_or_default();
    if size > MOST {
        let message = format!("the EnvoyFilter is of {size} bytes, and Kubernetes takes {MOST}");
        let help = "have fewer buckets and origins in one gateway";
        findings.in_file(Code::LargeFiles, &(0..0), message, help);
    }
    if let Some(path) = &settings.definitions {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Unable::Unreadable(path.clone(), error.to_string()))?;
        let definitions = Definitions::read(&text);
        let definitions = definitions.map_err(|error| Unable::Unreadable(path.clone(), error))?;
        definitions.judge(path, &manifests, &["networking.istio.io"], &mut findings);
    }
    let told = findings.told().map_err(Unable::Refused)?;
    Ok(Made { preflight: gateway.preflight(), manifests, told })
}

/// What of the deployment and the command does not go with it.
fn check(loaded: &Loaded, settings: &Settings, findings: &mut Findings<'_>) {
    let deployment = &loaded.deployment;
    if settings.selector.is_empty() {
        let message =
            "no proxy is named: without --selector every gateway of the mesh would be one";
        let help = "name its pods' labels, as in --selector istio=ingressgateway; \
                    `kubectl get pods --all-namespaces --show-labels` shows them";
        findings.in_command(Code::MissingOption, "", message, help);
    }
    if settings.hosts.is_empty() && deployment.domain.is_none() {
        let message = "no host is named: every request of the gateway would be one for a bucket";
        let help =
            "name those of clients by --host s3.example.com, or `domain` in the deployment file";
        findings.in_command(Code::MissingOption, "", message, help);
    }
    if deployment.path.value == crate::deployment::DataPath::Callout {
        let message = "`path: callout` is not what is written here: objects stream";
        let help = "leave `path` out; envoy/ISTIO.md has the form by callouts";
        findings.in_file(Code::Unsupported, &deployment.path.span, message, help);
    }
    if let Some(tls) = &deployment.tls {
        let message = "clients' certificates are Istio's affair: `tls` has no effect here";
        let help =
            "name the certificate in the Gateway: `tls: { mode: SIMPLE, credentialName: ... }`";
        findings.warn_in_file(Code::Unsupported, &tls.certificate.span, message, help);
    }
    for (at, bucket) in deployment.buckets.value.iter().enumerate() {
        if deployment.domain.is_some() && !super::name::is_label(&bucket.name.value.0) {
            let message = format!(
                "the bucket's name {} is no label of DNS: no client can name it in a host of `domain`",
                bucket.name.value
            );
            let help = "name it by the path, at a --host; leave `domain` out";
            findings.in_bucket(Code::NotALabel, at, &["name"], message, help);
        }
    }
}

/// What an earlier run has written.
fn earlier(out: &Path) -> Value {
    let text = std::fs::read_to_string(out.join(NAMES[1])).unwrap_or_default();
    serde_saphyr::from_str(&text).unwrap_or_default()
}

/// Whether the directory has the manifests of another deployment: one gateway has one.
fn check_other(out: &Path, source: &str, findings: &mut Findings<'_>) {
    let Ok(text) = std::fs::read_to_string(out.join(NAMES[1])) else { return };
    // A comment has its lines where they fit.
    let text = text
        .lines()
        .take(8)
        .map(|line| line.trim_start_matches("# "))
        .collect::<Vec<_>>()
        .join(" ");
    let of = text.split_once(WRITTEN).and_then(|(_, rest)| rest.split_once(" from "));
    if let Some((other, _)) = of.and_then(|(_, rest)| rest.split_once(';'))
        && other != source
    {
        let message = format!(
            "{} has the manifests of {other}: two deployments would be one gateway's",
            out.display()
        );
        let help =
            "put all buckets into one deployment file, or give each a gateway and a directory";
        findings.in_command(Code::OtherDeployment, &out.display().to_string(), message, help);
    }
}

fn check_clusters(files: &Files, findings: &mut Findings<'_>) {
    for cluster in files.resources(envoy::CLUSTERS) {
        let name = cluster["name"].as_str().unwrap_or_default();
        if name.len() > LONGEST {
            let message = format!("the cluster {name} has a name of {} characters", name.len());
            let help = "statistics and labels keep 60: take shorter names of buckets and of origins' hosts";
            let bucket = findings.bucket_of_cluster(name);
            match bucket {
                Some(at) => findings.in_bucket(Code::LongName, at, &["name"], message, help),
                None => findings.warn_in_file(Code::LongName, &(0..0), message, help),
            }
        }
    }
}

/// Envoy's own files, as they would be without Istio.
struct Files(Vec<File>);

impl Files {
    fn value(&self, name: &str) -> Value {
        let file = self.0.iter().find(|file| file.name == name);
        let text = file.and_then(|file| std::str::from_utf8(&file.bytes).ok());
        // They are ours, so they can be read.
        text.and_then(|text| serde_saphyr::from_str(text).ok()).unwrap_or_default()
    }

    /// The resources of one of them, without their type: it goes without saying.
    fn resources(&self, name: &str) -> Vec<Value> {
        match self.value(name)["resources"].take() {
            Value::Array(mut resources) => {
                for resource in &mut resources {
                    resource.as_object_mut().map(|fields| fields.remove("@type"));
                }
                resources
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_) => Vec::new(),
        }
    }
}

/// What is added to a gateway.
struct Added<'a> {
    loaded: &'a Loaded,
    settings: &'a Settings,
    files: &'a Files,
    /// Servers of an earlier run that stay for a while.
    retired: Vec<Value>,
}

impl Added<'_> {
    fn owner(&self) -> Owner<'_> {
        Owner { name: &self.settings.name.0, namespace: Some(&self.settings.namespace.0) }
    }

    fn resource(&self, api: &str, kind: &str) -> Map {
        resource(api, kind, &self.settings.name.0, &self.owner())
    }

    /// The file with the keys, where there are any that the proxy does not have in its environment.
    fn secret(&self, head: &dyn Fn(&str) -> String) -> Option<Manifest> {
        let file = self.files.0.iter().find(|file| file.name == envoy::CREDENTIALS)?;
        let data = Map::new()
            .with(envoy::CREDENTIALS, base64_simd::STANDARD.encode_to_string(&file.bytes));
        let secret = self.resource("v1", "Secret").with("type", "Opaque").with("data", data);
        Some(Manifest::new(NAMES[0], &head(SECRET), [secret]).private())
    }

    /// What the mesh has to be like, and what has to be known.
    fn preflight(&self) -> Vec<String> {
        let hosts = self.hosts().join(", ");
        let mut all = vec![
            format!(
                "Istio 1.{}, whose proxy is Envoy {}: `istioctl proxy-config` shows an EnvoyFilter's effect; a field that is not known is dropped without a word",
                self.settings.istio.0,
                Istio::KNOWN.iter().find(|(minor, _)| *minor == self.settings.istio.0).map_or("", |(_, envoy)| envoy)
            ),
            format!("a server of the Gateway has the hosts {hosts}, and no VirtualService has any of them: Envoy refuses two virtual hosts of one name, and every route of the port with them"),
            "the proxies fetch the image without a login; where they cannot, misses get 403 and nothing else changes".to_owned(),
            "`pathNormalization` of the mesh: with its default, `.`, `..` and `\\` in a key are resolved before the bucket sees it".to_owned(),
            "`server: istio-envoy` takes the place of the store's own".to_owned(),
            "metrics: `proxyStatsMatcher.inclusionRegexps: [\".*back_to_origin.*\"]` and `extraStatTags: [bucket, origin, outcome, place, reason, result, rule]` in the proxies' configuration".to_owned(),
        ];
        if self.files.0.iter().any(|file| file.name == envoy::CREDENTIALS) {
            all.push(format!(
                "the Secret {} is mounted at {DIRECTORY} in the proxies' container istio-proxy, readable for its user",
                self.settings.name
            ));
        }
        let buckets = self.loaded.deployment.buckets.value.iter();
        if buckets.flat_map(|bucket| bucket.credentials.variables()).next().is_some() {
            all.push("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, where they are named, are in the environment of istio-proxy".to_owned());
        }
        all
    }

    /// The hosts of clients.
    fn hosts(&self) -> Vec<String> {
        match (&self.loaded.deployment.domain, self.settings.hosts.as_slice()) {
            (Some(domain), []) => vec![domain.0.clone(), format!("*.{}", domain.0)],
            (Some(domain), hosts) => {
                let mut all = hosts.to_vec();
                all.push(format!("*.{}", domain.0));
                all
            }
            (None, hosts) => hosts.to_vec(),
        }
    }
}

const SECRET: &str = "The keys that stores and origins are signed for with. Not for a repository. It has to be mounted into \
     the proxies.";
