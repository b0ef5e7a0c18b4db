//! `b2o kubernetes`: what it writes, and what it refuses.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use super::{Case, done, judge, mirror, pinned, text};

/// The schemas of Kubernetes' own resources, of many versions.
const SCHEMAS: (&str, &str) = ("kubernetes-validate", "1.37.0");

const SOUND: &str = "\
listen: 0.0.0.0:8080
health: 0.0.0.0:8081
admin: 127.0.0.1:9901
buckets:
- name: photos
  endpoint: https://store.example.com
  rules: rules.json
  credentials: { environment: }
- name: inside
  endpoint: http://minio.storage.svc:9000
  rules: rules.json
";

fn case() -> Case {
    Case::new(SOUND, &mirror("https://old.example.com/"))
}

/// Keys in the environment, as somebody has them who tries a deployment.
fn run(case: &Case, arguments: &[&str]) -> std::process::Output {
    let image = pinned();
    let arguments = [&["--image", &image], arguments].concat();
    case.run("kubernetes", &arguments)
}

#[test]
fn every_manifest_is_valid_for_every_kubernetes() {
    let case = case();
    done(&run(&case, &["--secret", "store-keys"]));
    let own = Case::new(
        &SOUND
            .replace("{ environment: }", "{ inline: { access_key_id: A, secret_access_key: B } }"),
        &mirror("https://old.example.com/"),
    );
    done(&run(&own, &["--namespace", "storage", "--name", "mine", "--replicas", "3"]));
    let files = [case.files(), own.files()].concat();
    for version in ["1.30", "1.31", "1.32", "1.33", "1.34", "1.35", "1.36", "1.37"] {
        judge("built_in.py", SCHEMAS, &[version], &files);
    }
}

#[test]
fn no_secret_is_outside_of_the_secret() {
    let deployment = SOUND.replace(
        "{ environment: }",
        "{ inline: { access_key_id: of-the-file, secret_access_key: secret-of-the-file } }",
    );
    let mut rules = mirror("https://old.example.com/");
    rules[0]["Redirect"]["MirrorHeaders"] =
        json!({ "Set": [{ "Key": "authorization", "Value": "Bearer secret-of-a-rule" }] });
    let case = Case::new(&deployment, &rules);
    done(&run(&case, &[]));
    for file in case.files() {
        let content = fs::read_to_string(&file).expect("a manifest");
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        let mode = fs::metadata(&file).expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode, if name == "21-secret.yaml" { 0o600 } else { 0o644 }, "{name}");
        for secret in ["secret-of-the-file", "secret-of-a-rule", "of-the-file"] {
            assert!(!content.contains(secret), "{secret} in {name}");
        }
    }
    // With a Secret of the user's own, the command says what that must have, and writes none.
    let said = done(&run(&case, &["--secret", "mine"]));
    assert!(said.contains("the Secret mine must have: deployment.yaml, rules.json\n"), "{said}");
    assert!(said.contains("removed    out/21-secret.yaml\n"), "{said}");
}

#[test]
fn only_what_a_running_envoy_cannot_take_replaces_the_pods() {
    let case = case();
    let arguments = ["--secret", "store-keys"];
    done(&run(&case, &arguments));
    let pods = || fs::read_to_string(case.out().join("30-deployment.yaml")).expect("the pods");
    let first = pods();
    let rules = mirror("https://new.example.com/").to_string();
    fs::write(case.folder.path().join("rules.json"), rules).expect("a file of our own");
    let said = done(&run(&case, &arguments));
    assert!(said.contains("replaced   out/20-config-map.yaml\n"), "{said}");
    assert_eq!(pods(), first);
    let other = SOUND.replace("8080", "8088");
    fs::write(case.folder.path().join("gateway.yaml"), other).expect("a file of our own");
    done(&run(&case, &arguments));
    assert_ne!(pods(), first);
}

#[test]
fn what_does_not_go_with_a_pod_is_found_at_its_place_and_nothing_is_written() {
    let image = pinned();
    let rules = mirror("https://old.example.com/");
    let cases: &[(&str, &str, &[&str], &str, &str)] = &[
        ("listen: 0.0.0.0:8080", "listen: 127.0.0.1:8080", &[], "unreachable", "gateway.yaml:1:9"),
        ("listen: 0.0.0.0:8080", "listen: 0.0.0.0:80", &[], "privileged-port", "gateway.yaml:1:9"),
        ("health: 0.0.0.0:8081\n", "", &[], "missing-field", "gateway.yaml:1:1"),
        ("health: 0.0.0.0", "health: 127.0.0.1", &[], "unreachable", "gateway.yaml:2:9"),
        ("admin: 127.0.0.1", "admin: 0.0.0.0", &[], "open-admin", "gateway.yaml:3:8"),
        ("admin: 127.0.0.1:9901\n", "", &[], "missing-field", "gateway.yaml:1:1"),
        ("", "", &["--image", "registry.example.com/b2o:1"], "unpinned-image", "the command:1:"),
        ("", "", &["--image", &image, "--certificate", "tls"], "missing-field", "the command:1:"),
    ];
    for (from, to, arguments, code, place) in cases {
        let case = Case::new(&SOUND.replacen(from, to, 1), &rules);
        let arguments = match arguments {
            [] => vec!["--image", image.as_str()],
            own => own.to_vec(),
        };
        let arguments = [arguments, vec!["--secret", "store-keys"]].concat();
        case.is_refused("kubernetes", &arguments, code, place);
    }
}

#[test]
fn files_that_no_volume_holds_are_found() {
    let case = case();
    let outside = SOUND.replace("rules: rules.json\n  cred", "rules: ../rules.json\n  cred");
    let below = case.folder.path().join("below");
    fs::create_dir(&below).expect("a folder of our own");
    fs::write(below.join("gateway.yaml"), outside).expect("a file of our own");
    fs::write(below.join("rules.json"), mirror("https://old.example.com/").to_string())
        .expect("a file of our own");
    let image = pinned();
    let mut command = super::b2o();
    command.current_dir(&below).args(["kubernetes", "gateway.yaml", "--out", "out"]);
    let refused = command.args(["--image", &image, "--secret", "s"]).output().expect("it runs");
    let said = text(&refused.stderr);
    assert!(said.contains("[outside-file]") && said.contains("gateway.yaml:7:10"), "{said}");

    // More rules than a ConfigMap holds: as comments, which cost nothing else.
    let mut rules = mirror("https://old.example.com/").to_string();
    rules.push_str(&" ".repeat(1 << 20));
    fs::write(case.folder.path().join("rules.json"), rules).expect("a file of our own");
    let said = text(&run(&case, &["--secret", "s"]).stderr);
    assert!(said.contains("[large-files]") && said.contains("gateway.yaml:7:10"), "{said}");
}

#[test]
fn definitions_of_a_cluster_say_which_fields_they_lack() {
    let case = case();
    let definitions = "\
apiVersion: v1
kind: List
items:
- kind: CustomResourceDefinition
  spec:
    group: monitoring.coreos.com
    names: { kind: ServiceMonitor }
    versions:
    - name: v1
      schema:
        openAPIV3Schema:
          properties:
            spec:
              properties:
                selector: { x-kubernetes-preserve-unknown-fields: true }
                endpoints: { items: { properties: { port: {}, interval: {} } } }
";
    fs::write(case.folder.path().join("crds.yaml"), definitions).expect("a file of our own");
    let arguments = ["--secret", "s", "--service-monitor", "--crds", "crds.yaml"];
    let said = text(&run(&case, &arguments).stderr);
    let expected = "the field /spec/endpoints/0/path is not known there";
    assert!(said.contains("[unknown-kind]") && said.contains(expected), "{said}");
    let known = definitions.replace("port: {}", "port: {}, path: {}");
    fs::write(case.folder.path().join("crds.yaml"), known).expect("a file of our own");
    done(&run(&case, &arguments));
}
