//! The pod: who runs in it, in which order, and what each may.

use super::{DEPLOYMENT, Gateway, List, Map, SOURCE, TARGET, USER, VARIABLES, list};
use crate::envoy::Drain;

/// What Envoy takes by itself, in MiB.
const OWN: u64 = 128;

/// How long the end may take beyond draining.
const MARGIN: u64 = 30;

impl Gateway<'_> {
    pub(super) fn pod(&self) -> Map {
        let labels =
            self.owner().labels().with("app.kubernetes.io/version", env!("CARGO_PKG_VERSION"));
        let notes = Map::new()
            .with("kubectl.kubernetes.io/default-container", "envoy")
            .with("back-to-origin/bootstrap", format!("{:016x}", self.bootstrap));
        let drain = Drain::default();
        let grace = drain.pause.as_secs() + drain.within.as_secs() + MARGIN;
        let user = Map::new()
            .with("runAsNonRoot", true)
            .with("runAsUser", USER)
            .with("runAsGroup", USER)
            .with("fsGroup", USER)
            .with("seccompProfile", Map::new().with("type", "RuntimeDefault"));
        let spread = Map::new()
            .with("maxSkew", 1_u64)
            .with("topologyKey", "kubernetes.io/hostname")
            .with("whenUnsatisfiable", "ScheduleAnyway")
            .with("labelSelector", self.selector());
        let starting = List::new()
            .with(self.writer())
            .remark("A sidecar: it starts before `b2o`, and ends behind it.")
            .with(self.envoy());
        let spec = Map::new()
            .with("serviceAccountName", &*self.settings.name.0)
            .with("automountServiceAccountToken", false)
            .with("enableServiceLinks", false)
            .remark("Longer than downloads and copies are given to end.")
            .with("terminationGracePeriodSeconds", grace)
            .with("securityContext", user)
            .with("topologySpreadConstraints", List::new().with(spread))
            .with("initContainers", starting)
            .with("containers", List::new().with(self.keeper()))
            .with("volumes", self.volumes());
        Map::new()
            .with("metadata", Map::new().with("labels", labels).with("annotations", notes))
            .with("spec", spec)
    }

    /// The command that writes Envoy's files.
    fn command(&self, more: &[&str]) -> List {
        let deployment = format!("{SOURCE}/{DEPLOYMENT}");
        let variables = format!("{SOURCE}/{VARIABLES}");
        let mut words = vec!["envoy", deployment.as_str(), "--out", TARGET];
        if !self.files.variables().is_empty() {
            words.extend(["--variables", variables.as_str()]);
        }
        words.extend(more);
        list(words.into_iter().map(str::to_owned))
    }

    fn own(&self, name: &str, more: &[&str]) -> Map {
        let small = Map::new()
            .with("requests", Map::new().with("cpu", "10m").with("memory", "64Mi"))
            .with("limits", Map::new().with("memory", "256Mi"));
        let mounts =
            List::new().with(mount("source", SOURCE, true)).with(mount("envoy", TARGET, false));
        Map::new()
            .with("name", name)
            .with("image", self.settings.image.to_string())
            .with("args", self.command(more))
            .with("resources", small)
            .with("securityContext", nothing())
            .with("volumeMounts", mounts)
    }

    /// Writes the files that Envoy starts with.
    fn writer(&self) -> Map {
        self.own("files", &[])
    }

    /// Renews them, and ends what Envoy does before the pod ends.
    fn keeper(&self) -> Map {
        self.own("b2o", &["--watch", "--drain"])
    }

    fn envoy(&self) -> Map {
        let deployment = &self.loaded.deployment;
        let workers = u64::from(self.settings.workers);
        let port =
            |name: &str, port: u16| Map::new().with("name", name).with("containerPort", port);
        let mut ports = List::new().with(port("clients", deployment.listen.value.port()));
        if let Some(health) = &deployment.health {
            ports = ports.with(port("health", health.value.port()));
        }
        let asked = |path: &str| {
            Map::new().with("httpGet", Map::new().with("path", path).with("port", "health"))
        };
        let start = asked("/ready").with("periodSeconds", 1_u64).with("failureThreshold", 60_u64);
        let ready = asked("/ready").with("periodSeconds", 5_u64).with("failureThreshold", 1_u64);
        let live = asked("/live").with("periodSeconds", 10_u64).with("failureThreshold", 3_u64);
        let memory = OWN + workers * deployment.limits.memory_bytes.value.div_ceil(1 << 20);
        let mib = |number: u64| format!("{number}Mi");
        let resources = Map::new()
            .with("requests", Map::new().with("cpu", "500m").with("memory", mib(memory)))
            .with("limits", Map::new().with("memory", mib(2 * memory)));
        let mut mounts = List::new().with(mount("envoy", TARGET, true));
        if self.loaded.tls.is_some() {
            mounts = mounts.with(mount("source", SOURCE, true));
        }
        let concurrency = workers.to_string();
        let bootstrap = format!("{TARGET}/{}", crate::envoy::BOOTSTRAP);
        let words = [
            "--config-path",
            &bootstrap,
            "--concurrency",
            &concurrency,
            "--disable-hot-restart",
            "--drain-time-s",
            "20",
            "--drain-strategy",
            "immediate",
        ];
        Map::new()
            .with("name", "envoy")
            .with("image", self.settings.envoy.to_string())
            .with("restartPolicy", "Always")
            .with("command", List::new().with("/usr/local/bin/envoy"))
            .remark("As many workers as named here; else as the node has processors, each with an instance of the filter.")
            .with("args", list(words.map(str::to_owned)))
            .with("ports", ports)
            .with("startupProbe", start)
            .with("readinessProbe", ready)
            .with("livenessProbe", live)
            .with("resources", resources)
            .with("securityContext", nothing())
            .with("volumeMounts", mounts)
    }

    fn volumes(&self) -> List {
        let name = &*self.settings.name.0;
        let map = Map::new().with("name", name).with("items", self.files.public_items());
        let mut sources = List::new().with(Map::new().with("configMap", map));
        if let Some(secret) = self.secret() {
            let secret = Map::new().with("name", secret).with("items", self.files.secret_items());
            sources = sources.with(Map::new().with("secret", secret));
        }
        if let (Some(tls), Some(secret)) = (&self.loaded.deployment.tls, &self.settings.certificate)
        {
            let item = |key: &str, path: &std::path::Path| {
                Map::new().with("key", key).with("path", path.display().to_string())
            };
            let items = List::new()
                .with(item("tls.crt", &tls.certificate.value))
                .with(item("tls.key", &tls.key.value));
            let secret = Map::new().with("name", &*secret.0).with("items", items);
            sources = sources.with(Map::new().with("secret", secret));
        }
        // 0440, in decimal as JSON has it.
        let source = Map::new().with("defaultMode", 288_u64).with("sources", sources);
        let memory = Map::new().with("medium", "Memory").with("sizeLimit", "16Mi");
        List::new()
            .remark("One volume, so that what changes together is seen together.")
            .with(Map::new().with("name", "source").with("projected", source))
            .with(Map::new().with("name", "envoy").with("emptyDir", memory))
    }
}

fn mount(name: &str, path: &str, is_fixed: bool) -> Map {
    Map::new()
        .with("name", name)
        .with("mountPath", path)
        .maybe("readOnly", is_fixed.then_some(true))
}

/// What a container may beyond running: nothing.
fn nothing() -> Map {
    Map::new()
        .with("allowPrivilegeEscalation", false)
        .with("readOnlyRootFilesystem", true)
        .with("capabilities", Map::new().with("drop", List::new().with("ALL")))
}
