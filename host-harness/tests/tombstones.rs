//! `b2o tombstones` before the embedded store, and before stores that refuse.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use b2o::gateway::Secret;
use b2o::store::{Store, StoreKeys, StoreSettings};
use back_to_origin::http::percent;
use back_to_origin::tombstone::{PREFIX, Tombstone};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

const BUCKET: &str = "examplebucket";
const OTHER: &str = "otherbucket";

const RULES: &str = r#"[{"RuleNumber": 1, "Condition": {"HttpErrorCodeReturnedEquals": 404},
    "Redirect": {"RedirectType": "Mirror", "MirrorURL": "https://origin.example/"}}]"#;

/// A store with two buckets, and a deployment of them.
struct Scene {
    runtime: Runtime,
    store: Option<Store>,
    folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let mut scene = Self { runtime, store: None, folder };
        scene.start(None);
        scene
    }

    /// Starts the store anew; with keys every request must be signed.
    fn start(&mut self, keys: Option<StoreKeys>) {
        if let Some(store) = self.store.take() {
            self.runtime.block_on(store.stop());
        }
        let settings = StoreSettings {
            directory: self.folder.path().join("store"),
            keys,
            buckets: vec![BUCKET.to_owned(), OTHER.to_owned()],
            ..StoreSettings::default()
        };
        self.store = Some(self.runtime.block_on(Store::start(settings)).unwrap());
        self.deploy(self.address(), "none");
    }

    fn address(&self) -> SocketAddr {
        self.store.as_ref().unwrap().address()
    }

    /// Writes the deployment file.
    fn deploy(&self, address: SocketAddr, credentials: &str) {
        let bucket = |name| {
            format!(
                "  - name: {name}\n    endpoint: http://{address}\n    rules: rules.json\n    \
                 credentials: {credentials}\n"
            )
        };
        let text = format!("listen: 127.0.0.1:0\nbuckets:\n{}{}", bucket(BUCKET), bucket(OTHER));
        std::fs::write(self.folder.path().join("rules.json"), RULES).unwrap();
        std::fs::write(self.file(), text).unwrap();
    }

    fn file(&self) -> String {
        self.folder.path().join("deployment.yaml").display().to_string()
    }

    /// A client has deleted a key, as the gateway keeps it.
    fn mark(&self, bucket: &str, key: &str, at: u64) {
        let words =
            format!("{{\"key\":\"{}\",\"deleted\":{at}}}\n", percent::encode_key(key.as_bytes()));
        self.put(bucket, &Tombstone::of(bucket, key.as_bytes()).marker(), &words);
    }

    fn put(&self, bucket: &str, key: &str, words: &str) {
        let length = words.len();
        let status = exchange(
            self.address(),
            &format!("PUT /{bucket}/{key} HTTP/1.1\r\nhost: s\r\ncontent-length: {length}\r\n"),
            words,
        );
        assert_eq!(status, 200, "PUT {key}");
    }

    fn status(&self, bucket: &str, key: &str) -> u16 {
        exchange(self.address(), &format!("HEAD /{bucket}/{key} HTTP/1.1\r\nhost: s\r\n"), "")
    }

    fn run(&self, verb: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
        let file = self.file();
        b2o(&[&["tombstones", verb, &file], arguments].concat())
    }

    /// The keys that stay deleted, by `list --json`.
    fn keys(&self, arguments: &[&str]) -> Vec<String> {
        let (code, out, errors) = self.run("list", &[&["--json"], arguments].concat());
        assert_eq!((code, errors.as_str()), (Some(0), ""), "{out}");
        let answer: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(answer["complete"], true);
        let rows = answer["tombstones"].as_array().unwrap().clone();
        rows.iter().map(|row| row["key"].as_str().unwrap().to_owned()).collect()
    }
}

/// Asks something that is answered without a body, or whose body nobody wants.
fn exchange(address: SocketAddr, head: &str, body: &str) -> u16 {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.write_all(format!("{head}connection: close\r\n\r\n{body}").as_bytes()).unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer)[9..12].parse().unwrap()
}

fn b2o(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_b2o"));
    let output = command.args(arguments).stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn what_stays_deleted_is_listed_and_let_come_back() {
    let scene = Scene::new();
    let (code, out, errors) = scene.run("list", &[]);
    assert_eq!((code, out.as_str(), errors.as_str()), (Some(0), "no key stays deleted\n", ""));
    scene.mark(BUCKET, "photos/two words.jpg", 1_700_000_000);
    scene.mark(BUCKET, "photos/caf\u{e9}.jpg", 1_700_000_001);
    scene.mark(BUCKET, "a\u{1b}[31m", 1_700_000_002);
    scene.mark(OTHER, "photos/b", 1_700_000_003);
    let (code, out, errors) = scene.run("list", &[]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert_eq!(
        out,
        "2023-11-14T22:13:22Z  examplebucket/a%1B%5B31m\n\
         2023-11-14T22:13:21Z  examplebucket/photos/caf\u{e9}.jpg\n\
         2023-11-14T22:13:20Z  examplebucket/photos/two words.jpg\n\
         2023-11-14T22:13:23Z  otherbucket/photos/b\n"
    );
    let below = scene.keys(&["--bucket", BUCKET, "--prefix", "photos/"]);
    assert_eq!(below, ["photos/caf\u{e9}.jpg", "photos/two words.jpg"]);

    let (code, out, errors) =
        scene.run("clear", &["--bucket", BUCKET, "--key", "photos/two words.jpg"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert_eq!(
        out,
        "examplebucket/photos/two words.jpg may come back\na running gateway knows it within 30s\n"
    );
    let (code, out, errors) =
        scene.run("clear", &["--bucket", BUCKET, "--key", "photos/two words.jpg", "--key", "x"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert_eq!(
        errors,
        "error: examplebucket: no tombstone of photos/two words.jpg, x\n  help: `b2o tombstones \
         list` shows what stays deleted\n"
    );
    let (code, ..) = scene.run("clear", &["--bucket", BUCKET, "--prefix", "photos/"]);
    assert_eq!(code, Some(0));
    assert_eq!(scene.keys(&[]), ["a%1B%5B31m", "photos/b"]);
    let (code, out, _) = scene.run("clear", &["--bucket", BUCKET, "--prefix", "photos/"]);
    assert_eq!((code, out.as_str()), (Some(0), "no key stays deleted there\n"));
    let (code, ..) = scene.run("clear", &["--bucket", OTHER, "--all"]);
    assert_eq!((code, scene.keys(&[]).len()), (Some(0), 1), "of one bucket alone");
}

#[test]
fn what_is_no_marker_is_left_alone_and_told() {
    let scene = Scene::new();
    scene.mark(BUCKET, "a", 1_700_000_000);
    let foreign = format!("{PREFIX}README");
    let strange = Tombstone::of(BUCKET, b"strange").marker();
    let misnamed = Tombstone::of(BUCKET, b"another").marker();
    scene.put(BUCKET, &foreign, "words of somebody's");
    scene.put(BUCKET, &strange, "words of somebody's");
    scene.put(BUCKET, &misnamed, "{\"key\":\"a\",\"deleted\":1}");
    let (code, out, errors) = scene.run("list", &[]);
    assert_eq!((code, out.as_str()), (Some(0), "2023-11-14T22:13:20Z  examplebucket/a\n"));
    for (object, why) in [
        (&foreign, "its name is not that of a marker"),
        (&strange, "what it holds is not what the gateway writes"),
        (&misnamed, "it holds another key than its name stands for"),
    ] {
        let told = format!("warning: examplebucket/{object} is left alone: {why}\n");
        assert!(errors.contains(&told), "{errors}");
    }
    let (_, out, _) = scene.run("list", &["--json"]);
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(answer["ignored"].as_array().unwrap().len(), 3, "{out}");
    let row = json!({ "bucket": BUCKET, "key": "a", "deleted": "2023-11-14T22:13:20Z" });
    assert_eq!(answer["tombstones"], json!([row]));

    let (code, out, errors) = scene.run("clear", &["--bucket", BUCKET, "--all"]);
    assert_eq!((code, errors.matches("is left alone").count()), (Some(0), 3), "{out}{errors}");
    let statuses = [&foreign, &strange, &misnamed].map(|object| scene.status(BUCKET, object));
    assert_eq!(statuses, [200; 3]);
    assert_eq!(scene.status(BUCKET, &Tombstone::of(BUCKET, b"a").marker()), 404);
    // Whoever names its key means it, whatever it holds.
    let (code, ..) = scene.run("clear", &["--bucket", BUCKET, "--key", "strange"]);
    assert_eq!((code, scene.status(BUCKET, &strange)), (Some(0), 404));
}

#[test]
fn more_than_a_page_is_listed_and_cleared() {
    let scene = Scene::new();
    for number in 0..1_050 {
        scene.mark(BUCKET, &format!("{number:04}"), 1_700_000_000);
    }
    let keys = scene.keys(&["--bucket", BUCKET]);
    assert_eq!(keys, (0..1_050).map(|number| format!("{number:04}")).collect::<Vec<_>>());
    let (code, out, _) = scene.run("clear", &["--bucket", BUCKET, "--all"]);
    assert_eq!((code, out.lines().count()), (Some(0), 1_051));
    assert_eq!(scene.keys(&[]), [""; 0]);
}

#[test]
fn the_deployments_keys_sign_and_others_are_refused() {
    let mut scene = Scene::new();
    scene.mark(BUCKET, "a", 1_700_000_000);
    let (access_key, secret_key) =
        ("EXAMPLEKEY".to_owned(), Secret::new("examplesecret".to_owned()));
    scene.start(Some(StoreKeys { access_key, secret_key }));
    let keys = |secret: &str| {
        format!("{{ inline: {{ access_key_id: EXAMPLEKEY, secret_access_key: {secret} }} }}")
    };
    let (code, out, errors) = scene.run("list", &["--bucket", BUCKET]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert_eq!(
        errors,
        "error: examplebucket: the store answered 403 AccessDenied to a list of \
         .back-to-origin/tombstones/\n  help: `credentials` of the bucket must be allowed to list, \
         read and delete\n"
    );
    scene.deploy(scene.address(), &keys("wrong"));
    let (code, out, errors) = scene.run("clear", &["--bucket", BUCKET, "--all"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(errors.contains("403 SignatureDoesNotMatch"), "{errors}");
    assert!(!errors.contains("wrong"), "{errors}");
    scene.deploy(scene.address(), &keys("examplesecret"));
    assert_eq!(scene.keys(&[]), ["a"]);
    let (code, ..) = scene.run("clear", &["--bucket", BUCKET, "--key", "a"]);
    assert_eq!((code, scene.keys(&[]).len()), (Some(0), 0));
}

#[test]
fn a_store_that_fails_lies_or_is_gone_is_told() {
    let scene = Scene::new();
    let answers = |template: ResponseTemplate| {
        let server = scene.runtime.block_on(async {
            let server = MockServer::start().await;
            Mock::given(any()).respond_with(template).mount(&server).await;
            server
        });
        scene.deploy(*server.address(), "none");
        let listed = scene.run("list", &["--json"]);
        drop(server);
        listed
    };
    let endless = "<ListBucketResult><IsTruncated>true</IsTruncated>\
                   <NextContinuationToken>x</NextContinuationToken></ListBucketResult>";
    for (template, told) in [
        (ResponseTemplate::new(503), "the store answered 503 to a list of"),
        (ResponseTemplate::new(200), "the store answered what nobody can read to a list of"),
        (
            ResponseTemplate::new(200).set_body_string(endless),
            "gives the same page of a list again",
        ),
    ] {
        let (code, out, errors) = answers(template);
        let answer: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((code, &answer["complete"]), (Some(1), &json!(false)), "{out}");
        assert_eq!(errors.matches(told).count(), 2, "of each bucket: {errors}");
    }
    // Nobody listens there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    scene.deploy(free, "none");
    let (code, _, errors) = scene.run("clear", &["--bucket", BUCKET, "--all"]);
    assert_eq!(code, Some(1));
    assert!(errors.starts_with(&format!("error: examplebucket: no connection to http://{free}")));
}

#[test]
fn what_is_asked_wrongly_is_refused() {
    let scene = Scene::new();
    let (code, _, errors) = scene.run("list", &["--bucket", "none"]);
    assert_eq!(code, Some(1));
    assert_eq!(
        errors,
        "error: the deployment has no bucket `none`\n  help: it has examplebucket, otherbucket\n"
    );
    for arguments in [
        &["--bucket", BUCKET][..],
        &["--all"],
        &["--bucket", BUCKET, "--all", "--key", "a"],
        // What an unset variable of a shell makes of it.
        &["--bucket", BUCKET, "--prefix", ""],
        &["--bucket", BUCKET, "--key", ""],
        &["--bucket", BUCKET, "--all", "--timeout", "1h"],
    ] {
        let (code, out, _) = scene.run("clear", arguments);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}");
    }
    assert!(!Path::new("/none.yaml").exists());
    let (code, ..) = b2o(&["tombstones", "list", "/none.yaml"]);
    assert_eq!(code, Some(2));
}
