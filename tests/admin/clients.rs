//! Five clients of OSS and S3, as they come from PyPI, manage the rules of a bucket.
//!
//! Each puts a configuration, gets it back and compares, is refused what is wrong, deletes it, and
//! is told that there is none. Under a domain they reach the API as their proxy.

use std::path::Path;
use std::process::{Command, Output};

use super::{ACCESS, Api, DOMAIN, SECRET};
use crate::support::python;

/// How a client addresses the bucket.
#[derive(Clone, Copy)]
enum Style {
    Path,
    Virtual,
}

/// A Python with a package, and nothing that the machine knows of other stores.
fn python(package: &str, version: &str) -> Command {
    let mut command = Command::new("python3");
    command
        .env("PYTHONPATH", python::package(package, version, true))
        .env("PYTHONWARNINGS", "ignore")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_ACCESS_KEY_ID", ACCESS)
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .env("AWS_DEFAULT_REGION", "eu-central-1");
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    {
        command.env_remove(name);
    }
    command
}

fn run(mut command: Command) -> Output {
    let output = command.output().expect("Python 3 can be started");
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    output
}

/// Runs a script against APIs whose rule files are JSON and XML.
fn script(package: &str, version: &str, script: &str, style: Style, last: &str) {
    for rules in ["rules.json", "rules.xml"] {
        let api = Api::of_one_bucket(rules);
        let mut command = python(package, version);
        let endpoint = match style {
            Style::Path => format!("http://{}", api.address()),
            Style::Virtual => {
                command.env("http_proxy", format!("http://{}", api.address())).env("no_proxy", "");
                format!("http://{DOMAIN}")
            }
        };
        command.args(["-c", script, &endpoint, ACCESS, SECRET, last]);
        run(command);
    }
}

#[test]
fn oss2_manages_rules() {
    let text = include_str!("../clients/website/oss2.py");
    for (style, signature) in
        [(Style::Path, "v1"), (Style::Path, "v4"), (Style::Virtual, "v1"), (Style::Virtual, "v4")]
    {
        script("oss2", "2.19.1", text, style, signature);
    }
}

#[test]
fn alibabacloud_oss_v2_manages_rules() {
    let text = include_str!("../clients/website/oss_v2.py");
    for (style, signature) in
        [(Style::Path, "v1"), (Style::Path, "v4"), (Style::Virtual, "v1"), (Style::Virtual, "v4")]
    {
        script("alibabacloud-oss-v2", "1.4.1", text, style, signature);
    }
}

#[test]
fn boto3_manages_rules() {
    let text = include_str!("../clients/website/boto3.py");
    script("boto3", "1.44.5", text, Style::Path, "path");
    script("boto3", "1.44.5", text, Style::Virtual, "virtual");
}

#[test]
fn the_aws_command_line_manages_rules() {
    let api = Api::of_one_bucket("rules.json");
    let endpoint = format!("http://{}", api.address());
    let aws = |arguments: &[&str]| {
        let mut command = python("awscli", "1.46.2");
        command.args(["-m", "awscli", "--endpoint-url", &endpoint]).args(arguments);
        command
    };
    let of = ["--bucket", "examplebucket"];
    let website = api.path("website.json");
    let text = r#"{"IndexDocument":{"Suffix":"index.html"},"RoutingRules":[{"Condition":
        {"KeyPrefixEquals":"a/","HttpErrorCodeReturnedEquals":"404"},"Redirect":{"HostName":
        "o.example.com","HttpRedirectCode":"307","Protocol":"http","ReplaceKeyWith":"x.html"}}]}"#;
    std::fs::write(&website, text).expect("a folder of our own");
    let file = format!("file://{}", website.display());
    let put = ["s3api", "put-bucket-website", "--website-configuration", &file];
    run(aws(&[&put[..], &of].concat()));
    let got = run(aws(&[&["s3api", "get-bucket-website", "--output", "json"][..], &of].concat()));
    let got: serde_json::Value = serde_json::from_slice(&got.stdout).expect("it prints JSON");
    let expected: serde_json::Value = serde_json::from_str(text).expect("JSON of our own");
    assert_eq!(got, expected);
    run(aws(&[
        "s3",
        "website",
        "s3://examplebucket",
        "--index-document",
        "i",
        "--error-document",
        "e",
    ]));
    let kept = std::fs::read_to_string(api.path("rules.json")).expect("the rule file");
    assert!(kept.contains("\"Suffix\": \"i\"") && !kept.contains("o.example.com"), "{kept}");
    run(aws(&[&["s3api", "delete-bucket-website"][..], &of].concat()));
    let absent = aws(&[&["s3api", "get-bucket-website"][..], &of].concat()).output();
    let errors = absent.map(|output| String::from_utf8_lossy(&output.stderr).into_owned());
    let errors = errors.expect("Python 3 can be started");
    assert!(errors.contains("(NoSuchWebsiteConfiguration)"), "{errors}");
}

#[test]
fn s3cmd_manages_rules() {
    let api = Api::of_one_bucket("rules.xml");
    let host = api.address().to_string();
    let program = python::package("s3cmd", "2.4.0", true).join("bin").join("s3cmd");
    let s3cmd = |secret: &str, arguments: &[&str]| {
        let mut command = python("s3cmd", "2.4.0");
        command
            .arg(Path::new(&program))
            .args(["--config", "/dev/null", "--no-ssl", "--host", &host, "--host-bucket", &host])
            .args(["--access_key", ACCESS, "--secret_key", secret])
            .args(arguments)
            .arg("s3://examplebucket");
        command
    };
    run(s3cmd(SECRET, &["ws-create", "--ws-index=index.html", "--ws-error=error.html"]));
    let told = |secret: &str| {
        let output = s3cmd(secret, &["ws-info"]).output().expect("Python 3 can be started");
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).into_owned()
    };
    let info = told(SECRET);
    assert!(info.contains("Index document:   index.html"), "{info}");
    assert!(info.contains("Error document:   error.html"), "{info}");
    assert!(info.contains("eu-central-1"), "{info}");
    assert!(told("WRONG").contains("SignatureDoesNotMatch"), "{}", told("WRONG"));
    run(s3cmd(SECRET, &["ws-delete"]));
    assert!(told(SECRET).contains("No website configuration found"), "{}", told(SECRET));
}
