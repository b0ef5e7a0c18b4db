//! A console before a deployment of its own, and somebody with a jar of cookies.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tempfile::TempDir;

use crate::admin::Keeper;
use crate::console::{Accounts, Console, Recent, Settings, Source};
use crate::gateway::Secret;
use crate::password;

pub(super) const EDITOR: &str = "correct horse";
pub(super) const READER: &str = "battery staple";
pub(super) const KEYS: (&str, &str) = ("AKIDEXAMPLE", "a secret key");

/// A console, and whoever looks at it.
pub(super) struct Scene {
    console: Console,
    directory: TempDir,
    pub(super) lines: Arc<Mutex<Vec<String>>>,
    pub(super) cookies: Vec<(String, String)>,
    /// Headers of every request.
    pub(super) headers: Vec<(&'static str, String)>,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn location(&self) -> &str {
        self.headers.get("location").map_or("", |to| to.to_str().unwrap())
    }

    /// The value of a hidden field.
    pub(super) fn hidden(&self, name: &str) -> String {
        let start = format!("type=\"hidden\" name=\"{name}\" value=\"");
        let found =
            self.body.split_once(&start).unwrap_or_else(|| panic!("no {name}: {}", self.body));
        found.1.split_once('"').unwrap().0.to_owned()
    }

    /// Every field of the panel, as a browser sends it.
    pub(super) fn fields(&self) -> Vec<(String, String)> {
        let (_, form) = self.body.split_once("<form class=\"panel rule\"").unwrap();
        let form = form.split_once("</form>").unwrap().0;
        let value = |tag: &str, name: &str| {
            let start = format!(" {name}=\"");
            let (_, rest) = tag.split_once(&start)?;
            Some(unescaped(rest.split_once('"')?.0))
        };
        let mut fields = Vec::new();
        let mut select = None;
        for tag in form.split('<').skip(1) {
            if let Some(tag) = tag.strip_prefix("input") {
                let is_choice = tag.contains("\"checkbox\"") || tag.contains("\"radio\"");
                if is_choice && !tag.contains(" checked") {
                    continue;
                }
                let Some(name) = value(tag, "name") else { continue };
                fields.push((name, value(tag, "value").unwrap_or_default()));
            } else if let Some(tag) = tag.strip_prefix("select") {
                select = value(tag, "name");
            } else if let (Some(tag), Some(name)) = (tag.strip_prefix("option"), &select)
                && tag.contains(" selected")
            {
                fields.push((name.clone(), value(tag, "value").unwrap_or_default()));
            }
        }
        fields
    }
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

impl Scene {
    /// One that nobody has to sign in to.
    pub(super) async fn open() -> Self {
        Self::start(Accounts::default(), Source::Nowhere, None).await
    }

    /// One beside a gateway that says these metrics and these lines.
    pub(super) async fn of_a_gateway(metrics: &'static str, lines: &[&str]) -> Self {
        let recent = Recent::default();
        lines.iter().for_each(|line| recent.add(line));
        let figures = Source::Here(Arc::new(|| metrics.to_owned()));
        Self::start(Accounts::default(), figures, Some(Arc::new(recent))).await
    }

    /// One with an editor, a reader and keys.
    pub(super) async fn closed() -> Self {
        let hash = |text: &str| Some(Secret::new(password::hash(text).unwrap()));
        let keys = Some((KEYS.0.to_owned(), Secret::new(KEYS.1.to_owned())));
        Self::start(
            Accounts { editor: hash(EDITOR), reader: hash(READER), keys },
            Source::Nowhere,
            None,
        )
        .await
    }

    async fn start(accounts: Accounts, figures: Source, recent: Option<Arc<Recent>>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let bucket = |name: &str, file: &str| {
            format!("  - name: {name}\n    endpoint: https://s3.example.com\n    rules: {file}\n")
        };
        let text = format!(
            "buckets:\n{}{}",
            bucket("examplebucket", "rules.json"),
            bucket("of-xml", "rules.xml")
        );
        std::fs::write(directory.path().join("deployment.yaml"), text).unwrap();
        std::fs::write(directory.path().join("rules.json"), "{\"RoutingRules\":[]}").unwrap();
        let xml = "<WebsiteConfiguration><RoutingRules/></WebsiteConfiguration>";
        std::fs::write(directory.path().join("rules.xml"), xml).unwrap();
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let told = Arc::clone(&lines);
        let console = Console::start(Settings {
            listen: "127.0.0.1:0".parse().unwrap(),
            accounts,
            keeper: Keeper { deployment: directory.path().join("deployment.yaml"), envoy: None },
            figures,
            recent,
            line: Box::new(move |line| told.lock().unwrap().push(line.to_owned())),
        });
        let console = console.await.unwrap();
        Self { console, directory, lines, cookies: Vec::new(), headers: Vec::new() }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.console.address()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The rules of the first bucket, as they are kept.
    pub(super) fn rules(&self) -> serde_json::Value {
        let text = std::fs::read(self.path("rules.json")).unwrap();
        serde_json::from_slice::<serde_json::Value>(&text).unwrap()["RoutingRules"].clone()
    }

    /// Keeps rules for the first bucket, as somebody else would.
    pub(super) fn write(&self, rules: &serde_json::Value) {
        let text = serde_json::json!({ "RoutingRules": rules }).to_string();
        std::fs::write(self.path("rules.json"), text).unwrap();
    }

    pub(super) async fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, &[]).await
    }

    /// Sends a form as a page has it: with the token of the page.
    pub(super) async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Answer {
        let csrf = self.get("/buckets/examplebucket/history").await;
        let csrf = if csrf.body.contains("name=\"csrf\"") {
            csrf.hidden("csrf")
        } else {
            self.token().await
        };
        let mut form = form.to_vec();
        form.push(("csrf", &csrf));
        self.ask("POST", path, &form).await
    }

    /// The token of this session.
    pub(super) async fn token(&mut self) -> String {
        for path in ["/buckets/examplebucket/raw", "/"] {
            let page = self.get(path).await;
            if page.body.contains("name=\"csrf\"") {
                return page.hidden("csrf");
            }
        }
        String::new()
    }

    /// The tag of the rules that there are.
    pub(super) async fn tag(&mut self) -> String {
        self.get("/buckets/examplebucket/raw").await.hidden("tag")
    }

    pub(super) async fn sign_in(&mut self, name: &str, password: &str) -> Answer {
        self.ask("POST", "/sign-in", &[("name", name), ("password", password)]).await
    }

    pub(super) async fn ask(&mut self, method: &str, path: &str, form: &[(&str, &str)]) -> Answer {
        let pairs =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let uri = format!("http://{}{path}", self.address());
        let mut request = Request::builder().method(method).uri(uri);
        if !self.cookies.is_empty() {
            let all = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
            request = request.header("cookie", all.collect::<Vec<_>>().join("; "));
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(Bytes::from(pairs))).unwrap();
        let client = Client::builder(TokioExecutor::new()).build_http();
        let (head, body) = client.request(request).await.unwrap().into_parts();
        for cookie in head.headers.get_all("set-cookie") {
            let (name, rest) = cookie.to_str().unwrap().split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            self.cookies.retain(|(own, _)| own != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Answer { status: head.status, headers: head.headers, body }
    }
}
