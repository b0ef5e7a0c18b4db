//! `b2o kubernetes`: a gateway of its own in Kubernetes.

use std::path::{Path, PathBuf};

use super::failure::{Failure, USAGE};
use super::keeping::show;
use super::loading::load_from;
use super::print;
use crate::deployment::Loaded;
use crate::diagnostics;
use crate::envoy::manifest::kubernetes::{Made, NAMES, Settings, Unable, manifests};
use crate::envoy::manifest::{self, CommandLine, Manifest, Name};
use crate::image::Reference;

/// Write manifests that run a deployment in Kubernetes, 1.30 or later, in stock Envoy.
///
/// `kubectl apply -f DIR` then runs it: Envoy, and beside it `b2o`, which gives Envoy the deployment
/// and the rules whenever they change, and has it finish before a pod ends. Nothing runs as root, or
/// may do anything but listen and connect. Run this again and apply it when the deployment or its
/// rules have changed: no request is dropped, and pods are replaced only for what a running Envoy
/// cannot take.
///
/// The deployment file needs addresses that other pods reach, `health` for probes and metrics, and
/// `admin` on 127.0.0.1.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  b2o kubernetes gateway.yaml --out manifests --image registry.example.com/b2o@sha256:...
  b2o kubernetes gateway.yaml --out manifests --image registry.example.com/b2o@sha256:... \\
    --namespace storage --secret store-keys --replicas 3:20
  kubectl apply -f manifests

Variables that the deployment names, and files with a secret in them, are in a Secret, which DIR has
for its owner alone; --secret names one of yours in its place, and the command says which keys it
must have. envoy/KUBERNETES.md tells more.

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
    /// The image of b2o, by its digest.
    #[arg(long, value_name = "REF")]
    image: Reference,
    /// The image of Envoy.
    #[arg(long, value_name = "REF", default_value = ENVOY)]
    envoy_image: Reference,
    /// The name of everything.
    #[arg(long, value_name = "NAME", default_value = "back-to-origin")]
    name: Name,
    /// The namespace; without it, the one that `kubectl` is told.
    #[arg(long, value_name = "NAME")]
    namespace: Option<Name>,
    /// A Secret that is there already, in place of one that is written.
    #[arg(long, value_name = "NAME")]
    secret: Option<Name>,
    /// The Secret, of the type kubernetes.io/tls, with the certificate of the deployment's `tls`.
    #[arg(long, value_name = "NAME")]
    certificate: Option<Name>,
    /// How many pods there are, at least and at most.
    #[arg(long, value_name = "MIN[:MAX]", default_value = "2:10", value_parser = replicas)]
    replicas: (u32, u32),
    /// How many threads serve requests in each pod, each with its own instance of the filter.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=128))]
    workers: u32,
    /// Write a ServiceMonitor too, for Prometheus' operator.
    #[arg(long)]
    service_monitor: bool,
    /// Judge the manifests by the definitions of your cluster: what
    /// `kubectl get crds --output yaml` prints.
    #[arg(long, value_name = "FILE")]
    crds: Option<PathBuf>,
}

/// The Envoy that is run where nobody names one.
const ENVOY: &str = "docker.io/envoyproxy/envoy:distroless-v1.40.0";

fn replicas(text: &str) -> Result<(u32, u32), String> {
    let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number > 0);
    let (least, most) = text.split_once(':').unwrap_or((text, text));
    match (number(least), number(most)) {
        (Some(least), Some(most)) if least <= most => Ok((least, most)),
        _ => Err("expected how many there are at least and at most, as in 2:10".to_owned()),
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { deployment, out, image, .. } = arguments;
    let loaded = load(deployment, arguments.secret.is_some())?;
    let settings = Settings {
        name: arguments.name.clone(),
        namespace: arguments.namespace.clone(),
        image: image.clone(),
        envoy: arguments.envoy_image.clone(),
        secret: arguments.secret.clone(),
        certificate: arguments.certificate.clone(),
        replicas: arguments.replicas,
        workers: arguments.workers,
        is_monitored: arguments.service_monitor,
        definitions: arguments.crds.clone(),
    };
    let made =
        manifests(deployment, &loaded, &settings, &command()).map_err(|unable| match unable {
            Unable::Refused(reports) => refused(&reports),
            Unable::Files(error) => Failure::new(error.to_string()),
            Unable::Unreadable(path, error) => unreadable(&path, &error),
        })?;
    let Made { manifests, told, wanted } = made;
    told.iter().for_each(show);
    written(out, &manifests, &NAMES)?;
    if let (Some(secret), [_, ..]) = (&arguments.secret, wanted.as_slice()) {
        print(&format!("the Secret {secret} must have: {}\n", wanted.join(", ")));
    }
    print(&format!("run it with: kubectl apply -f {}\n", out.display()));
    Ok(())
}

/// Reads a deployment. Where the keys are in the cluster already, nobody needs them here.
fn load(path: &Path, has_keys: bool) -> Result<Loaded, Failure> {
    let variable = |name: &str| {
        let value = std::env::var_os(name);
        value.or_else(|| has_keys.then(|| "of-the-secret".into()))
    };
    load_from(path, &|_, path| std::fs::read(path), &variable)
}

/// The command line, for what is found in it.
pub(super) fn command() -> CommandLine {
    let mut words: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    words.insert(0, "b2o".to_owned());
    CommandLine::new(words)
}

/// Shows what was found; the failure sums it up.
pub(super) fn refused(reports: &[diagnostics::Report]) -> Failure {
    reports.iter().for_each(show);
    let tally = diagnostics::tally(reports);
    Failure::new(format!("no manifests are written: {tally}"))
}

pub(super) fn unreadable(path: &Path, error: &str) -> Failure {
    Failure::new(format!("cannot read {}: {error}", path.display())).code(USAGE)
}

/// Writes manifests, and says what became of each.
pub(super) fn written(
    out: &Path,
    manifests: &[Manifest],
    names: &[&'static str],
) -> Result<(), Failure> {
    let changes = manifest::write(out, manifests, names);
    let changes = changes.map_err(|error| Failure::new(error.to_string()))?;
    for (name, change) in changes {
        print(&format!("{change:<9}  {}\n", out.join(name).display()));
    }
    Ok(())
}
