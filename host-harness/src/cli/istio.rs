//! `b2o istio`: a deployment in a gateway of Istio's.

use std::path::PathBuf;

use clap::ValueEnum;

use super::failure::Failure;
use super::keeping::show;
use super::kubernetes::{command, refused, unreadable, written};
use super::loading::load;
use super::print;
use crate::envoy;
use crate::envoy::manifest::Name;
use crate::envoy::manifest::istio::{self, Istio, Made, NAMES, Settings, manifests};
use crate::envoy::manifest::kubernetes::Unable;
use crate::image::Reference;

/// Write manifests that put a deployment into a gateway, or sidecars, of Istio 1.28 to 1.31.
///
/// One EnvoyFilter adds clusters, filters and virtual hosts of the buckets' own. No other
/// application of the gateway meets the filter: nothing but the miss route turns it on. One thing is
/// the whole gateway's: names that begin with x-envoy- are taken off what clients send. The module
/// comes from a registry, by its digest; `b2o image --push` brings it there.
///
/// What has to be so in the mesh is printed at the end.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  b2o istio gateway.yaml --out manifests --selector istio=ingressgateway --host s3.example.com \\
    --image registry.example.com/back-to-origin@sha256:...
  kubectl apply -f manifests
  istioctl proxy-config routes deploy/istio-ingressgateway -n istio-system

`listen`, `admin`, `health`, `workers` and `connections` of the deployment file are Istio's affair.
envoy/ISTIO.md tells more.

Exit codes:
  0  the manifests are there
  1  the deployment is refused, or a file cannot be written
  2  wrong usage, or a file cannot be read"
)]
pub(super) struct Arguments {
    /// The deployment file (YAML).
    deployment: PathBuf,
    /// The directory to write to.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What the proxies' pods are found by; can be given several times.
    #[arg(long = "selector", value_name = "LABEL=VALUE", value_parser = label)]
    selector: Vec<(String, String)>,
    /// A host of clients, under which a path names a bucket; can be given several times. Without it,
    /// the deployment's `domain`.
    #[arg(long = "host", value_name = "HOST", value_parser = host)]
    hosts: Vec<String>,
    /// The image of the module, by its digest.
    #[arg(long, value_name = "REF")]
    image: Reference,
    /// Which Istio it is for.
    #[arg(long, value_name = "VERSION", default_value = "1.28")]
    istio: Istio,
    /// Which proxies it is for.
    #[arg(long, value_enum, default_value_t = Workload::Gateway)]
    workload: Workload,
    /// The namespace of the proxies.
    #[arg(long, value_name = "NAME", default_value = "istio-system")]
    namespace: Name,
    /// The name of the resources.
    #[arg(long, value_name = "NAME", default_value = "back-to-origin")]
    name: Name,
    /// The certificates that HTTPS servers are trusted by, in the proxies.
    #[arg(long, value_name = "FILE", default_value = envoy::Settings::TRUSTED)]
    trust: PathBuf,
    /// Judge the manifests by the definitions of your cluster: what
    /// `kubectl get crds --output yaml` prints.
    #[arg(long, value_name = "FILE")]
    crds: Option<PathBuf>,
}

/// Which proxies manifests are for.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Workload {
    /// A gateway.
    Gateway,
    /// Sidecars, for what their applications ask.
    Sidecar,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once('=').ok_or("expected a label and its value, as in istio=ingressgateway")?;
    let letter = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    match !name.is_empty() && name.chars().all(letter) && value.chars().all(letter) {
        true => Ok((name.to_owned(), value.to_owned())),
        false => Err("labels have letters, digits, `-`, `_`, `.` and `/`".to_owned()),
    }
}

fn host(text: &str) -> Result<String, String> {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    match !text.is_empty() && text.chars().all(letter) {
        true => Ok(text.to_owned()),
        false => Err("expected a host in lower case, without scheme, port or `*`".to_owned()),
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { deployment, out, .. } = arguments;
    let loaded = load(deployment)?;
    let settings = Settings {
        name: arguments.name.clone(),
        namespace: arguments.namespace.clone(),
        selector: arguments.selector.clone(),
        hosts: arguments.hosts.clone(),
        image: arguments.image.clone(),
        istio: arguments.istio,
        workload: match arguments.workload {
            Workload::Gateway => istio::Workload::Gateway,
            Workload::Sidecar => istio::Workload::Sidecar,
        },
        trusted: arguments.trust.clone(),
        definitions: arguments.crds.clone(),
    };
    let made = manifests(deployment, out, &loaded, &settings, &command());
    let Made { manifests, told, preflight } = made.map_err(|unable| match unable {
        Unable::Refused(reports) => refused(&reports),
        Unable::Files(error) => Failure::new(error.to_string()),
        Unable::Unreadable(path, error) => unreadable(&path, &error),
    })?;
    told.iter().for_each(show);
    written(out, &manifests, &NAMES)?;
    print("what has to be so:\n");
    for line in preflight {
        print(&format!("- {line}\n"));
    }
    print(&format!("run it with: kubectl apply -f {}\n", out.display()));
    Ok(())
}
