//! No output shows a secret, whatever is broken around it: every command, every form of file.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tempfile::TempDir;

mod common;

use common::Running;

/// The secret: with what each form has to escape or quote where it is careless.
const CANARY: &str = "canary";

/// A rule file in which a key and a header's value are secrets.
const JSON: &str = r#"{
  "RoutingRules": [
    {
      "RuleNumber": 1,
      "Condition": { "HttpErrorCodeReturnedEquals": 404 },
      "Redirect": {
        "RedirectType": "Mirror", "MirrorURL": "https://origin.example.com/",
        "MirrorHeaders": { "Set": [{ "Key": "x-plain", "Value": "Headercanary/1" }] },
        "MirrorAuth": {
          "AuthType": "S3V4", "Region": "r", "AccessKeyId": "AK",
          "AccessKeySecret": "Keycanary/1"
        }
      }
    }
  ]
}
"#;

/// The same as XML.
const XML: &str = r#"<WebsiteConfiguration>
  <RoutingRules>
    <RoutingRule>
      <RuleNumber>1</RuleNumber>
      <Condition><HttpErrorCodeReturnedEquals>404</HttpErrorCodeReturnedEquals></Condition>
      <Redirect>
        <RedirectType>Mirror</RedirectType><MirrorURL>https://origin.example.com/</MirrorURL>
        <MirrorHeaders><Set><Key>x-plain</Key><Value>Headercanary/1</Value></Set></MirrorHeaders>
        <MirrorAuth>
          <AuthType>S3V4</AuthType><Region>r</Region><AccessKeyId>AK</AccessKeyId>
          <AccessKeySecret>Keycanary/1</AccessKeySecret>
        </MirrorAuth>
      </Redirect>
    </RoutingRule>
  </RoutingRules>
</WebsiteConfiguration>
"#;

/// A deployment with a secret in each place that takes one.
const YAML: &str = "\
listen: 127.0.0.1:0
admin: 127.0.0.1:0
workers: 1
api:
  listen: 127.0.0.1:0
buckets:
- name: examplebucket
  endpoint: http://127.0.0.1:9
  rules: RULES
  credentials:
    inline:
      access_key_id: AK
      secret_access_key: Keycanary/1
      session_token: Tokencanary/1
";

/// What may happen to a file: a text in it, and what stands in its place.
type Typo = (&'static str, &'static str);

const IN_JSON: &[Typo] = &[
    ("\"AccessKeySecret\": \"Keycanary/1\"", "\"AccessKeySecret\" \"Keycanary/1\""),
    ("\"Keycanary/1\"", "\"Keycanary/1"),
    ("\"Keycanary/1\"", "Keycanary/1\""),
    ("\"Keycanary/1\"", "'Keycanary/1'"),
    ("\"Keycanary/1\"", "Keycanary/1"),
    ("\"Keycanary/1\"", "\"Key\\canary/1\""),
    ("\"Keycanary/1\"", "\"Keycanary/1\","),
    ("\"Keycanary/1\"", "[\"Keycanary/1\"]"),
    ("\"Keycanary/1\"", "{\"Keycanary/1\": 1}"),
    ("\"Keycanary/1\"", "\"Key canary \u{e9}\""),
    ("AccessKeySecret", "AccesKeySecrt"),
    ("AccessKeySecret", "SecretAccessKey"),
    ("AccessKeySecret", "Password"),
    ("AccessKeySecret", "Other"),
    ("MirrorAuth", "MirorAuht"),
    ("\"MirrorAuth\": {", "\"MirrorAuth\": \"Keycanary/1\", \"x\": {"),
    ("\"AccessKeyId\": \"AK\",", "\"AccessKeyId\": \"AK\""),
    ("\"AccessKeyId\": \"AK\",", "\"AccessKeyId\": 1, \"Unknown\": 2,"),
    ("\"AuthType\": \"S3V4\"", "\"AuthType\": \"S3V2\", \"AccessKeySecret\": \"Other-canary\""),
    ("\"Headercanary/1\"", "\"Headercanary\\n1\""),
    ("\"Headercanary/1\"", "[\"Headercanary/1\"]"),
    ("\"Headercanary/1\"", "\"Headercanary/1"),
    ("\"Key\": \"x-plain\"", "\"Key\": \"x plain\""),
    ("\"Value\"", "\"Valeu\""),
    ("\"Set\"", "\"Sett\""),
    ("\"MirrorHeaders\"", "\"MirorHeaders\""),
    ("https://origin", "http://origin"),
    ("https://origin", "https://user:canary@origin"),
    ("example.com/", "example.com/?X-Amz-Signature=canary"),
    ("\"RuleNumber\": 1", "\"RuleNumber\": 0"),
    ("{\n  \"RoutingRules\"", "\n  \"RoutingRules\""),
    ("\"RoutingRules\"", "\"\u{1}RoutingRules\""),
];

const IN_XML: &[Typo] = &[
    ("AccessKeySecret>K", "AccesKeySecret>K"),
    (
        "<AccessKeySecret>Keycanary/1</AccessKeySecret>",
        "<AccesKeySecrt>Keycanary/1</AccesKeySecrt>",
    ),
    ("<AccessKeySecret>Keycanary/1</AccessKeySecret>", "<Other>Keycanary/1</Other>"),
    (
        "<AccessKeySecret>Keycanary/1</AccessKeySecret>",
        "<AccessKeySecret>Keycanary/1<AccessKeySecret>",
    ),
    ("<AccessKeySecret>Keycanary/1</AccessKeySecret>", "<AccessKeySecret>Keycanary/1"),
    ("<AccessKeySecret>Keycanary/1</AccessKeySecret>", "Keycanary/1"),
    ("<AccessKeySecret>Keycanary/1</AccessKeySecret>", "<AccessKeySecret value=\"Keycanary/1\"/>"),
    (
        "<AccessKeySecret>Keycanary/1</AccessKeySecret>",
        "<AccessKeySecret a=\"canary\">b</AccessKeySecret>",
    ),
    (
        "<AccessKeySecret>Keycanary/1</AccessKeySecret>",
        "<AccessKeySecret>b</AccessKeySecret><!-- canary -->",
    ),
    ("Keycanary/1", "Key&canary;1"),
    ("Keycanary/1", "Key&canary"),
    ("Keycanary/1", "Key<canary>1"),
    ("Keycanary/1", "Key<canary/>1"),
    ("Keycanary/1", "Key<canary"),
    ("Keycanary/1", "Key canary \u{e9}"),
    ("<MirrorAuth>", "<MirorAuht>"),
    ("<MirrorAuth>", "<MirrorAuth AccessKeySecret=\"canary\">"),
    ("<Redirect>", "<Redirect AccessKeySecret=\"canary\">"),
    ("<Redirect>", "<Redirect>canary"),
    ("<AccessKeyId>AK</AccessKeyId>", "<AccessKeyId>A K</AccessKeyId><Unknown/>"),
    ("<Value>Headercanary/1</Value>", "<Valeu>Headercanary/1</Valeu>"),
    ("<Value>Headercanary/1</Value>", "<Value><a>Headercanary/1</a></Value>"),
    ("<Key>x-plain</Key>", "<Key>x plain</Key>"),
    ("https://origin", "http://origin"),
    ("https://origin", "https://user:canary@origin"),
    ("<RuleNumber>1<", "<RuleNumber>0<"),
    ("<WebsiteConfiguration>", "<Websit>"),
    ("<WebsiteConfiguration>", "<!DOCTYPE a><WebsiteConfiguration>"),
];

const IN_YAML: &[Typo] = &[
    ("Keycanary/1", "&Keycanary/1"),
    ("Keycanary/1", "*Keycanary/1"),
    ("Keycanary/1", "!Keycanary/1"),
    ("Keycanary/1", "!!binary Keycanary/1"),
    ("Keycanary/1", "%Keycanary/1"),
    ("Keycanary/1", "@Keycanary/1"),
    ("Keycanary/1", "`Keycanary/1"),
    ("Keycanary/1", "\"Keycanary/1"),
    ("Keycanary/1", "'Keycanary/1"),
    ("Keycanary/1", "\"Key\\canary/1\""),
    ("Keycanary/1", "{Keycanary/1"),
    ("Keycanary/1", "{Keycanary/1}"),
    ("Keycanary/1", "[Keycanary/1]"),
    ("Keycanary/1", "Key: canary"),
    ("Keycanary/1", "| canary"),
    ("Keycanary/1", "# canary"),
    ("secret_access_key: ", "secret_access_key "),
    ("secret_access_key: ", "secret_access_key:"),
    ("secret_access_key: ", "\tsecret_access_key: "),
    ("secret_access_key", "secert_acces_key"),
    ("secret_access_key", "other"),
    ("inline:", "inlnie:"),
    ("inline:", "other:"),
    ("inline:", "environment:"),
    ("credentials:", "credentails:"),
    ("credentials:\n    inline:", "inline:"),
    ("inline:\n", "{ access_key_id: AK, secret_access_key, Keycanary/1 }\n"),
    (
        "credentials:\n    inline:",
        "credentials: { inline: { secret_access_key, Keycanary/1 } }\n  x:\n",
    ),
    ("credentials:\n", "credentials: Keycanary/1\n  x:\n"),
    ("  inline:\n      access_key_id: AK\n", "  secret_access_key: Keycanary/1\n"),
    ("http://127", "http://user:canary@127"),
    ("listen: 127.0.0.1:0\nadmin", "lsten: 127.0.0.1:0\nadmin"),
    ("session_token: ", "sesion_tokn: "),
    ("name: examplebucket", "name: E"),
];

/// A file with a typo; the text must be there.
fn with(text: &str, (from, to): Typo) -> String {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

struct Scene(TempDir);

impl Scene {
    fn new(yaml: &str, rules: &str, name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), rules).unwrap();
        std::fs::write(folder.path().join("deployment.yaml"), yaml.replace("RULES", name)).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// All that the commands print about the files, each with its command.
    fn shown(&self, name: &str) -> Vec<(String, String)> {
        let (rules, deployment, out) =
            (self.path(name), self.path("deployment.yaml"), self.path("out"));
        let website = ["website", "--deployment", &deployment, "oss://examplebucket", "--method"];
        let list = ["rules", &deployment, "--bucket", "examplebucket", "list"];
        let commands: [&[&str]; 10] = [
            &["check", &rules],
            &["check", "--json", &rules],
            &["check", &deployment],
            &["check", "--json", &deployment],
            &["explain", &rules, "--key", "a"],
            &["explain", &rules, "--key", "a", "--json"],
            &["envoy", &deployment, "--out", &out],
            &[&website[..], &["get"]].concat(),
            &list,
            &[&list[..], &["--json"]].concat(),
        ];
        let mut shown: Vec<_> =
            commands.iter().map(|command| (command.join(" "), run(command))).collect();
        // What changes a file has one of its own to change.
        let target = Self::new(YAML, JSON, "target.json");
        let deployment = target.path("deployment.yaml");
        let put =
            ["website", "--deployment", &deployment, "--method", "put", "oss://examplebucket"];
        let add = ["rules", &deployment, "--bucket", "examplebucket", "add"];
        shown.push(("website put".to_owned(), run(&[&put[..], &[&rules]].concat())));
        shown.push(("rules add".to_owned(), run(&[&add[..], &[&rules]].concat())));
        shown
    }
}

fn run(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_b2o"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// What shows the secret, of a row.
fn leaks(row: &str, shown: Vec<(String, String)>) -> Vec<String> {
    let leaking = shown.into_iter().filter(|(_, text)| text.to_lowercase().contains(CANARY));
    leaking.map(|(command, text)| format!("{row}: {command}\n{text}")).collect()
}

#[track_caller]
fn table(rows: &[Typo], scene: impl Fn(Typo) -> (Scene, &'static str) + Sync) {
    // A command spends its time on starting: two at once.
    let (next, found) = (Mutex::new(rows.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(typo) = next.lock().unwrap().next() else { return };
                    let (scene, name) = scene(*typo);
                    let row = format!("{} -> {}", typo.0, typo.1);
                    let leaks = leaks(&row, scene.shown(name));
                    found.lock().unwrap().extend(leaks);
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    assert!(found.is_empty(), "{} leaks\n{}", found.len(), found.join("\n"));
}

#[test]
fn no_command_shows_a_secret_of_broken_json() {
    table(IN_JSON, |typo| (Scene::new(YAML, &with(JSON, typo), "rules.json"), "rules.json"));
}

#[test]
fn no_command_shows_a_secret_of_broken_xml() {
    table(IN_XML, |typo| (Scene::new(YAML, &with(XML, typo), "rules.xml"), "rules.xml"));
}

#[test]
fn no_command_shows_a_secret_of_a_broken_deployment() {
    table(IN_YAML, |typo| (Scene::new(&with(YAML, typo), JSON, "rules.json"), "rules.json"));
}

#[test]
fn no_command_shows_a_secret_of_what_is_right() {
    for (rules, name) in [(JSON, "rules.json"), (XML, "rules.xml")] {
        let scene = Scene::new(YAML, rules, name);
        let shown = scene.shown(name);
        assert_eq!(leaks("right", shown.clone()), Vec::<String>::new());
        let (_, explained) = &shown[4];
        assert!(explained.contains("x-plain: (set by the rule)"), "{explained}");
        // Who asks for secrets gets them.
        let deployment = scene.path("deployment.yaml");
        let get =
            ["website", "--deployment", &deployment, "--method", "get", "oss://examplebucket"];
        let text = run(&[&get[..], &["--secrets"]].concat());
        assert!(text.contains("Keycanary/1") && text.contains("Headercanary/1"), "{text}");
        // What was given without them is not taken back for them.
        let masked = run(&get);
        std::fs::write(scene.path("back.xml"), &masked).unwrap();
        let put =
            ["website", "--deployment", &deployment, "--method", "put", "oss://examplebucket"];
        let refused = run(&[&put[..], &[&scene.path("back.xml")]].concat());
        assert!(refused.contains("in place of the secret"), "{refused}");
        assert!(refused.contains("in place of the value"), "{refused}");
    }
}

fn ask(to: SocketAddr, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let length = body.len();
    let head = format!(
        "{head} HTTP/1.1\r\nhost: {to}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn no_page_and_no_log_of_a_gateway_shows_a_secret() {
    let scene = Scene::new(YAML, JSON, "rules.json");
    let gateway = Running::start(&["serve", &scene.path("deployment.yaml")]);
    let (address, admin) = (gateway.address("gateway"), gateway.address("admin"));
    let config = ask(admin, "GET /config", "");
    assert!(config.contains("x-plain") && !config.to_lowercase().contains(CANARY), "{config}");
    for path in
        ["a?X-Amz-Signature=canary", "a?X%2DAmz%2DSignature=canary", "a?x-oss-signature=canary"]
    {
        ask(address, &format!("GET /examplebucket/{path}"), "");
    }
    // Broken rules, told in the log, and the old ones stay.
    for (index, typo) in IN_JSON.iter().take(8).enumerate() {
        std::fs::write(scene.path("rules.json"), with(JSON, *typo)).unwrap();
        let begun = Instant::now();
        while gateway.printed().matches("the old rules stay").count() <= index {
            assert!(begun.elapsed() < Duration::from_secs(60), "{}", gateway.printed());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    let printed = gateway.printed();
    assert!(printed.contains("error[syntax]"), "{printed}");
    assert!(!printed.to_lowercase().contains(CANARY), "{printed}");
}

#[test]
fn no_answer_and_no_log_of_the_api_shows_a_secret() {
    let scene = Scene::new(YAML, XML, "rules.xml");
    let api = Running::start(&["admin", &scene.path("deployment.yaml"), "--listen", "127.0.0.1:0"]);
    let address = api.address("api");
    let mut shown = vec![("get".to_owned(), ask(address, "GET /examplebucket?website", ""))];
    assert!(shown[0].1.contains("200 OK"), "{}", shown[0].1);
    for typo in IN_XML {
        let answer = ask(address, "PUT /examplebucket?website", &with(XML, *typo));
        shown.push((format!("{typo:?}"), answer));
    }
    let shown: Vec<_> =
        shown.into_iter().map(|(row, text)| (row.replace(CANARY, ""), text)).collect();
    assert_eq!(leaks("api", shown), Vec::<String>::new());
    assert!(!api.printed().to_lowercase().contains(CANARY), "{}", api.printed());
}

/// The file of a path, for a look at what was written.
#[test]
fn only_the_file_of_keys_has_the_keys() {
    let scene = Scene::new(YAML, JSON, "rules.json");
    let out = scene.path("out");
    run(&["envoy", &scene.path("deployment.yaml"), "--out", &out]);
    let mut with_keys: Vec<PathBuf> = Vec::new();
    for file in std::fs::read_dir(Path::new(&out)).unwrap() {
        let path = file.unwrap().path();
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        if text.contains("Keycanary") || text.contains("Tokencanary") {
            with_keys.push(path);
        }
    }
    let names: Vec<_> = with_keys.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    assert_eq!(names, ["credentials"]);
}
