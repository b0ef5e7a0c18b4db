//! A gateway of its own in Kubernetes: stock Envoy, and `b2o` beside it.
//!
//! Owns how the two share a pod. Envoy is a sidecar in Kubernetes' own sense, and `b2o` the container
//! that the pod is about: it renews Envoy's files in their order whenever the deployment or the rules
//! change, so that no request meets a rule before its server; and as sidecars are ended last, its end
//! is Envoy's preStop: it ends when nothing is under way.

mod files;
mod network;
mod pod;

use std::path::{Path, PathBuf};

use super::code::Code;
use super::crds::Definitions;
use super::{CommandLine, Findings, List, Manifest, Map, Name, Owner, heading, list, resource};
use crate::deployment::{Loaded, Plan};
use crate::diagnostics::Report;
use crate::envoy::{self, FilesError, Form};
use crate::image::Reference;

use files::Files;

/// Where the deployment's files are in the pod.
const SOURCE: &str = "/etc/back-to-origin";
/// Where Envoy's are.
const TARGET: &str = "/run/back-to-origin";
/// Where variables are, below the deployment's files.
const VARIABLES: &str = "variables";
/// The deployment file there.
const DEPLOYMENT: &str = "deployment.yaml";
/// Whom everything runs as.
const USER: u64 = 65_532;

/// All that may be written.
pub const NAMES: [&str; 9] = [
    "10-service-account.yaml",
    "20-config-map.yaml",
    "21-secret.yaml",
    "30-deployment.yaml",
    "40-service.yaml",
    "50-disruption-budget.yaml",
    "51-autoscaler.yaml",
    "52-network-policy.yaml",
    "60-service-monitor.yaml",
];

/// How it is to be.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of all resources.
    pub name: Name,
    /// Where they are; `None` is wherever they are applied.
    pub namespace: Option<Name>,
    /// The image of `b2o`.
    pub image: Reference,
    /// That of Envoy.
    pub envoy: Reference,
    /// A Secret that is there already, in place of one that is written.
    pub secret: Option<Name>,
    /// The Secret with the certificate that clients are shown.
    pub certificate: Option<Name>,
    /// How many pods there are at least and at most.
    pub replicas: (u32, u32),
    /// How many threads serve requests in each.
    pub workers: u32,
    /// Whether Prometheus' operator is to scrape it.
    pub is_monitored: bool,
    /// The definitions of the cluster, to judge by.
    pub definitions: Option<PathBuf>,
}

/// Why there are no manifests.
#[derive(Debug)]
pub enum Unable {
    /// There are problems.
    Refused(Vec<Report>),
    /// Envoy's files cannot be made.
    Files(FilesError),
    /// A file cannot be read.
    Unreadable(PathBuf, String),
}

/// What was made.
#[derive(Debug)]
pub struct Made {
    /// The manifests, in the order to apply them.
    pub manifests: Vec<Manifest>,
    /// What is to be told.
    pub told: Vec<Report>,
    /// The keys that the Secret must have which is there already.
    pub wanted: Vec<String>,
}

/// Makes the manifests of a deployment; `path` is its file.
///
/// # Errors
///
/// When the deployment or the command does not go with it.
pub fn manifests(
    path: &Path,
    loaded: &Loaded,
    settings: &Settings,
    command: &CommandLine,
) -> Result<Made, Unable> {
    let mut findings = Findings::new(loaded, command);
    findings.check_image(&settings.image);
    check(loaded, settings, &mut findings);
    let files = files::read(path, loaded, &mut findings)
        .map_err(|(path, error)| Unable::Unreadable(path, error.to_string()))?;
    let source = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let bootstrap = bootstrap(loaded, &source).map_err(Unable::Files)?;
    let gateway = Gateway { loaded, settings, files: &files, bootstrap };
    let head = |about: &str| heading(about, "kubernetes", &source);
    let manifests = gateway.manifests(&head);
    if let Some(path) = &settings.definitions {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Unable::Unreadable(path.clone(), error.to_string()))?;
        let definitions = Definitions::read(&text);
        let definitions = definitions.map_err(|error| Unable::Unreadable(path.clone(), error))?;
        definitions.judge(path, &manifests, &["monitoring.coreos.com"], &mut findings);
    }
    let wanted = settings.secret.as_ref().map_or(Vec::new(), |_| files.wanted());
    let told = findings.told().map_err(Unable::Refused)?;
    Ok(Made { manifests, told, wanted })
}

/// What only a new pod takes: of all else Envoy and `b2o` see the change.
fn bootstrap(loaded: &Loaded, source: &str) -> Result<u64, FilesError> {
    let settings = envoy::Settings {
        directory: PathBuf::from(TARGET),
        data_path: Plan::new(loaded).path,
        form: Form::Envoy,
        source: source.to_owned(),
        trusted: PathBuf::from(envoy::Settings::TRUSTED),
    };
    let files = envoy::files(loaded, b"", &settings)?;
    let bootstrap = files.iter().find(|file| file.name == envoy::BOOTSTRAP);
    Ok(envoy::fingerprint(bootstrap.map_or(&[][..], |file| &file.bytes)))
}

/// What of a deployment does not go with a pod.
fn check(loaded: &Loaded, settings: &Settings, findings: &mut Findings<'_>) {
    let deployment = &loaded.deployment;
    let beginning = 0..0;
    let listen = &deployment.listen;
    if listen.value.ip().is_loopback() {
        let message =
            format!("`listen` is {}, which nobody reaches from outside of the pod", listen.value);
        findings.in_file(Code::Unreachable, &listen.span, message, "`listen: 0.0.0.0:8080`");
    }
    match &deployment.health {
        None => {
            let message = "there is no `health`, which probes ask";
            findings.in_file(Code::MissingField, &beginning, message, "`health: 0.0.0.0:8081`");
        }
        Some(health) if health.value.ip().is_loopback() => {
            let message = format!("`health` is {}, which no probe reaches", health.value);
            findings.in_file(Code::Unreachable, &health.span, message, "`health: 0.0.0.0:8081`");
        }
        Some(_) => {}
    }
    match &deployment.admin {
        None => {
            let message = "there is no `admin`, by which Envoy is drained";
            findings.in_file(Code::MissingField, &beginning, message, "`admin: 127.0.0.1:9901`");
        }
        Some(admin) if !admin.value.ip().is_loopback() => {
            let message = format!(
                "`admin` is {}, which every pod reaches: it ends Envoy, and shows its configuration",
                admin.value
            );
            let help = "`admin: 127.0.0.1:9901`; metrics are at `health` too";
            findings.in_file(Code::OpenAdmin, &admin.span, message, help);
        }
        Some(_) => {}
    }
    let ports = [Some(listen), deployment.health.as_ref(), deployment.admin.as_ref()];
    for address in ports.into_iter().flatten() {
        let port = address.value.port();
        if port < 1024 {
            let message = match port {
                0 => "the port is any that is free, and the manifests have to name it".to_owned(),
                port => {
                    format!("only root may listen on port {port}, and nothing here runs as root")
                }
            };
            let help = "take one from 1024 on; the Service is at 80 or 443 all the same";
            findings.in_file(Code::PrivilegedPort, &address.span, message, help);
        }
    }
    match (&deployment.tls, &settings.certificate) {
        (Some(tls), None) => {
            let message = "`tls` takes a certificate, and no Secret is named that has it";
            let help = "name one of the type kubernetes.io/tls by --certificate SECRET";
            findings.in_file(Code::MissingField, &tls.certificate.span, message, help);
        }
        (Some(tls), Some(_)) => {
            for file in [&tls.certificate, &tls.key] {
                let is_beside = file.value.components().count() == 1 && file.value.is_relative();
                if !is_beside {
                    let message = format!(
                        "{} is not beside the deployment file: of a volume Envoy sees only changes \
                         of what is at its top",
                        file.value.display()
                    );
                    let help = "name the file without a directory, as in `certificate: tls.crt`";
                    findings.in_file(Code::OutsideFile, &file.span, message, help);
                }
            }
        }
        (None, Some(name)) => {
            let message = "--certificate names a Secret, and the deployment has no `tls`";
            let help = "add `tls: { certificate: tls.crt, key: tls.key }`, or leave the option out";
            findings.in_command(Code::MissingField, &name.0, message, help);
        }
        (None, None) => {}
    }
}

/// A gateway that is to be written.
struct Gateway<'a> {
    loaded: &'a Loaded,
    settings: &'a Settings,
    files: &'a Files,
    bootstrap: u64,
}

impl Gateway<'_> {
    fn owner(&self) -> Owner<'_> {
        let namespace = self.settings.namespace.as_ref().map(|name| name.0.as_str());
        Owner { name: &self.settings.name.0, namespace }
    }

    fn resource(&self, api: &str, kind: &str) -> Map {
        resource(api, kind, &self.settings.name.0, &self.owner())
    }

    /// The pods, found by what never changes.
    fn selector(&self) -> Map {
        Map::new().with("matchLabels", self.owner().labels())
    }

    /// The name of the Secret, where there is one.
    fn secret(&self) -> Option<String> {
        if let Some(name) = &self.settings.secret {
            return Some(name.0.clone());
        }
        self.files.has_secrets().then(|| self.settings.name.0.clone())
    }

    fn manifests(&self, head: &dyn Fn(&str) -> String) -> Vec<Manifest> {
        let account =
            self.resource("v1", "ServiceAccount").with("automountServiceAccountToken", false);
        let map = self.files.config_map(self.resource("v1", "ConfigMap"));
        let mut all = vec![
            Manifest::new("10-service-account.yaml", &head("Who the pods are: nobody."), [account]),
            Manifest::new("20-config-map.yaml", &head(FILES), [map]),
        ];
        if self.settings.secret.is_none() && self.files.has_secrets() {
            let secret = self.files.secret(self.resource("v1", "Secret"));
            all.push(Manifest::new("21-secret.yaml", &head(SECRETS), [secret]).private());
        }
        let deployment = self.deployment();
        all.push(Manifest::new("30-deployment.yaml", &head(PODS), [deployment]));
        all.push(Manifest::new("40-service.yaml", &head("Where clients come."), [self.service()]));
        let budget = self.resource("policy/v1", "PodDisruptionBudget").with(
            "spec",
            Map::new().with("maxUnavailable", 1_u64).with("selector", self.selector()),
        );
        let about = head("When nodes are emptied, one pod goes after the other.");
        all.push(Manifest::new("50-disruption-budget.yaml", &about, [budget]));
        if self.settings.replicas.0 < self.settings.replicas.1 {
            let scaler = self.autoscaler();
            all.push(Manifest::new(
                "51-autoscaler.yaml",
                &head("How many pods there are."),
                [scaler],
            ));
        }
        let policy = network::policy(
            self.loaded,
            self.resource("networking.k8s.io/v1", "NetworkPolicy"),
            self.selector(),
        );
        all.push(Manifest::new("52-network-policy.yaml", &head(network::ABOUT), [policy]));
        if self.settings.is_monitored {
            let monitor = self.monitor();
            all.push(Manifest::new(
                "60-service-monitor.yaml",
                &head("Who scrapes metrics."),
                [monitor],
            ));
        }
        all
    }

    fn deployment(&self) -> Map {
        let (least, most) = self.settings.replicas;
        let rolling = Map::new().with("maxUnavailable", 0_u64).with("maxSurge", 1_u64);
        let spec = Map::new()
            // Where it changes by itself, nobody may set it back.
            .maybe("replicas", (least == most).then_some(u64::from(least)))
            .with("selector", self.selector())
            .with(
                "strategy",
                Map::new().with("type", "RollingUpdate").with("rollingUpdate", rolling),
            )
            .with("template", self.pod());
        self.resource("apps/v1", "Deployment").with("spec", spec)
    }

    fn service(&self) -> Map {
        let (port, protocol) =
            if self.loaded.tls.is_some() { (443, "https") } else { (80, "http") };
        let clients = Map::new()
            .with("name", protocol)
            .with("port", u64::from(port as u16))
            .with("targetPort", "clients")
            .with("appProtocol", protocol);
        let health = Map::new()
            .with("name", "health")
            .with("port", 8081_u64)
            .with("targetPort", "health")
            .with("appProtocol", "http");
        let spec = Map::new()
            .with("selector", self.owner().labels())
            .with("ports", List::new().with(clients).remark("Probes and metrics.").with(health));
        self.resource("v1", "Service").with("spec", spec)
    }

    fn autoscaler(&self) -> Map {
        let (least, most) = self.settings.replicas;
        let of = Map::new()
            .with("apiVersion", "apps/v1")
            .with("kind", "Deployment")
            .with("name", &*self.settings.name.0);
        let target = Map::new().with("type", "Utilization").with("averageUtilization", 70_u64);
        let metric = Map::new()
            .with("type", "Resource")
            .with("resource", Map::new().with("name", "cpu").with("target", target));
        let one =
            Map::new().with("type", "Pods").with("value", 1_u64).with("periodSeconds", 180_u64);
        let down = Map::new()
            .with("stabilizationWindowSeconds", 300_u64)
            .with("policies", List::new().with(one));
        let spec = Map::new()
            .with("scaleTargetRef", of)
            .with("minReplicas", u64::from(least))
            .with("maxReplicas", u64::from(most))
            .with("metrics", List::new().with(metric))
            .remark("A pod that goes has to end its downloads first.")
            .with("behavior", Map::new().with("scaleDown", down));
        self.resource("autoscaling/v2", "HorizontalPodAutoscaler").with("spec", spec)
    }

    fn monitor(&self) -> Map {
        let endpoint =
            Map::new().with("port", "health").with("path", "/metrics").with("interval", "15s");
        let spec = Map::new()
            .with("selector", self.selector())
            .with("endpoints", List::new().with(endpoint));
        self.resource("monitoring.coreos.com/v1", "ServiceMonitor").with("spec", spec)
    }
}

const FILES: &str = "The deployment and the rule files that have no secret in them. `b2o` in each pod sees a change \
     within a minute or two of `kubectl apply`, judges all of it, and gives it to Envoy; what is \
     wrong changes nothing, and is in its log.";

const SECRETS: &str = "The keys, and files with a secret in them. Not for a repository: name a Secret of your own with \
     --secret instead. A change is seen like one of the rules.";

const PODS: &str = "Envoy and `b2o`. The pods are replaced when something of the deployment changes that a running \
     Envoy cannot take, such as `listen`.";
