//! Requests to a running API, and what becomes of the files.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign,
};
use aws_sigv4::sign::v4::{SigningParams, calculate_signature, generate_signing_key};
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use s3s::crypto::{Checksum as _, Md5, Sha256};
use s3s::dto::{Timestamp, TimestampFormat};
use sha1::Sha1;
use tempfile::TempDir;

use super::{Admin, Keeper, KeeperError, Keys, Settings, StartError};
use crate::envoy::{Settings as TargetSettings, Target};
use crate::gateway::Secret;
use crate::rule_file;

const KEYS: (&str, &str) = ("AKEXAMPLE", "SKEXAMPLE");

/// A running API over a folder.
struct Scene {
    folder: TempDir,
    admin: Admin,
}

/// What a request was answered with.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    /// The status, and the error's code if there is one.
    fn summary(&self) -> String {
        match self.element("Code") {
            code if code.is_empty() => self.status.as_u16().to_string(),
            code => format!("{} {code}", self.status.as_u16()),
        }
    }

    fn element(&self, name: &str) -> String {
        let Ok(document) = roxmltree::Document::parse(&self.body) else { return String::new() };
        let element = document.descendants().find(|node| node.has_tag_name(name));
        element.and_then(|node| node.text()).unwrap_or_default().to_owned()
    }
}

impl Scene {
    /// An API with keys, for the bucket `examplebucket` and for one whose file is XML.
    async fn signed() -> Self {
        let keys = Keys::new(KEYS.0.to_owned(), Secret::new(KEYS.1.to_owned()));
        Self::start(Some(keys)).await
    }

    async fn start(keys: Option<Keys>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let deployment = "domain: oss.example.com\nworkers: 1\nbuckets:\n\
            - { name: examplebucket, endpoint: \"http://127.0.0.1:9\", rules: rules.json }\n\
            - { name: of-xml, endpoint: \"http://127.0.0.1:9\", rules: rules.xml }\n\
            - { name: shared-1, endpoint: \"http://127.0.0.1:9\", rules: shared.json }\n\
            - { name: shared-2, endpoint: \"http://127.0.0.1:9\", rules: ./shared.json }\n";
        let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        file("deployment.yaml", deployment);
        file("rules.json", "{ \"$schema\": \"x\", \"RoutingRules\": [] }");
        file("shared.json", "[]");
        file("rules.xml", &oss(&[mirror(1)]));
        let admin = Admin::start(Settings {
            listen: ([127, 0, 0, 1], 0).into(),
            keys,
            domain: Some("oss.example.com".to_owned()),
            keeper: Keeper { deployment: folder.path().join("deployment.yaml"), envoy: None },
            line: Box::new(|_| {}),
        });
        Self { admin: admin.await.unwrap(), folder }
    }

    fn address(&self) -> SocketAddr {
        self.admin.address()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let response = client.request(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Answer { status: head.status, headers: head.headers, body }
    }

    /// A request of OSS's version 1, signed now.
    async fn ask(&self, method: &str, bucket: &str, body: &str) -> Answer {
        let call = Asked { method, bucket, body, ..Asked::default() };
        self.send(call.signed(self.address())).await
    }
}

/// A request to be signed in OSS's version 1.
struct Asked<'a> {
    method: &'a str,
    bucket: &'a str,
    body: &'a str,
    md5: Option<String>,
    time: SystemTime,
    secret: &'a str,
    headers: &'a [(&'a str, &'a str)],
}

impl Default for Asked<'_> {
    fn default() -> Self {
        let time = SystemTime::now();
        let (method, bucket, body) = ("GET", "examplebucket", "");
        Self { method, bucket, body, md5: None, time, secret: KEYS.1, headers: &[] }
    }
}

impl Asked<'_> {
    fn signed(&self, to: SocketAddr) -> Request<Full<Bytes>> {
        let mut date = Vec::new();
        Timestamp::from(self.time).format(TimestampFormat::HttpDate, &mut date).unwrap();
        let date = String::from_utf8(date).unwrap();
        let Self { method, bucket, md5, .. } = self;
        let text = format!(
            "{method}\n{}\n\n{date}\n/{bucket}/?website",
            md5.as_deref().unwrap_or_default()
        );
        let mac = Hmac::<Sha1>::new_from_slice(self.secret.as_bytes()).unwrap();
        let signature = mac.chain_update(text).finalize().into_bytes();
        let signature = base64_simd::STANDARD.encode_to_string(signature);
        let mut request = Request::builder()
            .method(*method)
            .uri(format!("http://{to}/{bucket}/?website="))
            .header("date", date)
            .header("authorization", format!("OSS {}:{signature}", KEYS.0));
        if let Some(md5) = md5 {
            request = request.header("content-md5", md5);
        }
        for (name, value) in self.headers {
            request = request.header(*name, *value);
        }
        request.body(Full::from(self.body.to_owned())).unwrap()
    }
}

fn mirror(number: usize) -> String {
    format!(
        "<RoutingRule><RuleNumber>{number}</RuleNumber><Condition>\
         <KeyPrefixEquals>{number}/</KeyPrefixEquals>\
         <HttpErrorCodeReturnedEquals>404</HttpErrorCodeReturnedEquals></Condition>\
         <Redirect><RedirectType>Mirror</RedirectType>\
         <MirrorURL>https://origin.example.com/</MirrorURL></Redirect></RoutingRule>"
    )
}

fn oss(rules: &[String]) -> String {
    let rules = rules.concat();
    format!("<WebsiteConfiguration><RoutingRules>{rules}</RoutingRules></WebsiteConfiguration>")
}

fn s3(rules: &str) -> String {
    format!(
        "<WebsiteConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{rules}\
         </WebsiteConfiguration>"
    )
}

fn same(one: &str, other: &str) -> bool {
    let website = |text: &str| rule_file::read("x", text.as_bytes(), None).website;
    let (one, other) = (website(one), website(other));
    one.is_some() && one == other
}

#[tokio::test]
async fn a_configuration_is_put_got_and_deleted() {
    let scene = Scene::signed().await;
    for (bucket, file) in [("examplebucket", "rules.json"), ("of-xml", "rules.xml")] {
        let (first, second) = (oss(&[mirror(1), mirror(2)]), oss(&[mirror(7)]));
        for text in [&first, &second] {
            assert_eq!(scene.ask("PUT", bucket, text).await.summary(), "200", "{bucket}");
            let got = scene.ask("GET", bucket, "").await;
            assert_eq!((got.summary().as_str(), same(&got.body, text)), ("200", true), "{got:?}");
            assert_eq!(got.headers["content-type"], "application/xml");
            assert_eq!(got.headers["x-oss-request-id"].len(), 24);
            assert!(same(&scene.file(file), text), "{}", scene.file(file));
        }
        let start = scene.file(file);
        assert!(start.starts_with(if file.ends_with("xml") {
            "<?xml"
        } else {
            "{\n  \"$schema\""
        }));
        for _ in 0..2 {
            let deleted = scene.ask("DELETE", bucket, "").await;
            assert_eq!((deleted.summary().as_str(), deleted.body.as_str()), ("204", ""));
        }
        let absent = scene.ask("GET", bucket, "").await;
        assert_eq!(absent.summary(), "404 NoSuchWebsiteConfiguration");
        assert_eq!(absent.element("BucketName"), bucket);
        assert_eq!(absent.element("RequestId"), absent.headers["x-oss-request-id"]);
        // What is left is a rule file without rules, which a gateway takes.
        let left = rule_file::read("x", scene.file(file).as_bytes(), None);
        assert_eq!(left.rules.unwrap().iter().count(), 0);
    }
}

#[tokio::test]
async fn what_is_refused_changes_nothing() {
    let scene = Scene::signed().await;
    let before = oss(&[mirror(1)]);
    assert_eq!(scene.ask("PUT", "examplebucket", &before).await.summary(), "200");
    let kept = scene.file("rules.json");
    let right = oss(&[mirror(9)]);
    let md5 = |text: &str| base64_simd::STANDARD.encode_to_string(Md5::checksum(text.as_bytes()));
    let many: Vec<_> = (1..=25).map(mirror).collect();
    let twice = oss(&[mirror(1), mirror(1)]);
    let bomb = "<!DOCTYPE a [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;\">\
        <!ENTITY c \"&b;&b;&b;&b;&b;&b;\">]><WebsiteConfiguration>&c;</WebsiteConfiguration>";
    let wrong = right.replace("https://origin.example.com/", "nonsense");
    let put = Asked { method: "PUT", ..Asked::default() };
    let hour = std::time::Duration::from_secs(3600);
    for (what, asked, summary) in [
        (
            "a wrong key",
            Asked { secret: "other", body: &right, ..put },
            "403 SignatureDoesNotMatch",
        ),
        (
            "an old date",
            Asked {
                time: put.time - hour,
                body: &right,
                ..Asked { method: "PUT", ..Asked::default() }
            },
            "403 RequestTimeTooSkewed",
        ),
        (
            "a date to come",
            Asked { method: "PUT", time: put.time + hour, body: &right, ..Asked::default() },
            "403 RequestTimeTooSkewed",
        ),
        (
            "a wrong MD5",
            Asked { method: "PUT", md5: Some(md5("other")), body: &right, ..Asked::default() },
            "400 InvalidDigest",
        ),
        (
            "no MD5",
            Asked { method: "PUT", md5: Some("x".to_owned()), body: &right, ..Asked::default() },
            "400 InvalidDigest",
        ),
        (
            "an entity bomb",
            Asked { method: "PUT", body: bomb, ..Asked::default() },
            "400 MalformedXML",
        ),
        (
            "no XML",
            Asked { method: "PUT", body: "{\"RoutingRules\": []}", ..Asked::default() },
            "400 MalformedXML",
        ),
        ("nothing", Asked { method: "PUT", ..Asked::default() }, "400 MalformedXML"),
        (
            "no rules",
            Asked { method: "PUT", body: &oss(&[]), ..Asked::default() },
            "400 MalformedXML",
        ),
        (
            "25 rules",
            Asked { method: "PUT", body: &oss(&many), ..Asked::default() },
            "400 MalformedXML",
        ),
        (
            "a number twice",
            Asked { method: "PUT", body: &twice, ..Asked::default() },
            "400 InvalidArgument",
        ),
        (
            "a wrong value",
            Asked { method: "PUT", body: &wrong, ..Asked::default() },
            "400 InvalidArgument",
        ),
        (
            "another bucket",
            Asked { method: "PUT", bucket: "otherbucket", body: &right, ..Asked::default() },
            "404 NoSuchBucket",
        ),
        (
            "no such bucket to get",
            Asked { bucket: "otherbucket", ..Asked::default() },
            "404 NoSuchBucket",
        ),
        (
            "none to delete",
            Asked { method: "DELETE", bucket: "otherbucket", ..Asked::default() },
            "404 NoSuchBucket",
        ),
        (
            "a shared file",
            Asked { method: "PUT", bucket: "shared-1", body: &right, ..Asked::default() },
            "500 InternalError",
        ),
    ] {
        let answer = scene.send(asked.signed(scene.address())).await;
        assert_eq!(answer.summary(), summary, "{what}: {answer:?}");
        assert!(!answer.body.contains(KEYS.1), "{what}: {answer:?}");
        assert_eq!(scene.file("rules.json"), kept, "{what}");
        assert_eq!(scene.file("shared.json"), "[]", "{what}");
    }
    let unsigned = Request::put(format!("http://{}/examplebucket?website", scene.address()));
    let answer = scene.send(unsigned.body(Full::from(right)).unwrap()).await;
    assert_eq!(answer.summary(), "403 AccessDenied");
    assert_eq!(
        (answer.element("EC").as_str(), &answer.headers["x-oss-ec"]),
        ("0003-00000001", &"0003-00000001".parse().unwrap())
    );
    assert_eq!(scene.file("rules.json"), kept);
}

#[tokio::test]
async fn a_huge_body_is_refused_before_it_is_read() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let scene = Scene::signed().await;
    let kept = scene.file("rules.json");
    // All of it sent: the answer is read nevertheless.
    let huge = " ".repeat(10 * 1024 * 1024);
    let answer = scene.ask("PUT", "examplebucket", &huge).await;
    assert_eq!(answer.summary(), "413 EntityTooLarge");
    // None of it sent.
    let mut stream = tokio::net::TcpStream::connect(scene.address()).await.unwrap();
    let head = "PUT /examplebucket?website HTTP/1.1\r\nhost: a\r\ncontent-length: 10485760\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut line = [0; 12];
    stream.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"HTTP/1.1 413");
    assert_eq!(scene.file("rules.json"), kept);
}

/// A PUT of S3's in chunks, each signed; `sent` is what is made of them on their way.
fn in_signed_chunks(
    to: SocketAddr,
    body: &str,
    sent: impl FnOnce(String) -> String,
) -> Request<Full<Bytes>> {
    let (time, region) = (SystemTime::now(), "us-east-1");
    let identity = Credentials::new(KEYS.0, KEYS.1, None, None, "test").into();
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let parameters = SigningParams::builder().identity(&identity).region(region).name("s3");
    let parameters = parameters.time(time).settings(settings).build().unwrap().into();
    let uri = format!("http://{to}/of-xml?website");
    let (host, length) = (to.to_string(), body.len().to_string());
    let headers = [
        ("host", host.as_str()),
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", &length),
    ];
    let payload = SignableBody::Precomputed("STREAMING-AWS4-HMAC-SHA256-PAYLOAD".to_owned());
    let signable = SignableRequest::new("PUT", &uri, headers.into_iter(), payload).unwrap();
    let (instructions, mut signature) = sign(signable, &parameters).unwrap().into_parts();
    let mut request = Request::put(uri).body(()).unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    instructions.apply_to_request_http1x(&mut request);
    let date = request.headers()["x-amz-date"].to_str().unwrap().to_owned();
    let scope = format!("{}/{region}/s3/aws4_request", &date[..8]);
    let key = generate_signing_key(KEYS.1, time, region, "s3");
    let hash = |text: &str| {
        let digest = Sha256::checksum(text.as_bytes());
        hex_simd::encode_to_string(digest, hex_simd::AsciiCase::Lower)
    };
    let (first, second) = body.split_at(body.len() / 2);
    let mut chunks = String::new();
    for chunk in [first, second, ""] {
        let (nothing, own) = (hash(""), hash(chunk));
        let text =
            format!("AWS4-HMAC-SHA256-PAYLOAD\n{date}\n{scope}\n{signature}\n{nothing}\n{own}");
        signature = calculate_signature(&key, text.as_bytes());
        let size = chunk.len();
        chunks.push_str(&format!("{size:x};chunk-signature={signature}\r\n{chunk}\r\n"));
    }
    request.map(|()| Full::from(sent(chunks)))
}

#[tokio::test]
async fn a_body_in_signed_chunks_is_taken_whole_or_not_at_all() {
    let scene = Scene::signed().await;
    assert_eq!(scene.ask("DELETE", "of-xml", "").await.summary(), "204");
    let before = scene.file("rules.xml");
    let rule = "<RoutingRules><RoutingRule><Redirect><HostName>a.example</HostName></Redirect>\
                </RoutingRule></RoutingRules>";
    let body = s3(rule);
    let other = |chunks: String| chunks.replace("a.example", "b.example");
    let last = |chunks: &str| chunks.rfind("0;chunk-signature").unwrap();
    // Whole chunks, each rightly signed, and not all of them. Only the announced length tells.
    let second = |chunks: &str| chunks[..last(chunks)].rfind(";chunk-signature").unwrap();
    let cut = |chunks: String| {
        let end = chunks[..second(&chunks)].rfind("\r\n").unwrap();
        chunks[..end + 2].to_owned()
    };
    let unsigned = |chunks: String| {
        let from = last(&chunks) + "0;chunk-signature=".len();
        format!("{}{}\r\n\r\n", &chunks[..from], "0".repeat(64))
    };
    let changes: [(&str, &dyn Fn(String) -> String, &str); 3] = [
        ("another body", &other, "403 SignatureDoesNotMatch"),
        ("half of it", &cut, "400 IncompleteBody"),
        ("a wrong end", &unsigned, "403 SignatureDoesNotMatch"),
    ];
    for (what, change, summary) in changes {
        let request = in_signed_chunks(scene.address(), &body, change);
        let answer = scene.send(request).await;
        assert_eq!(answer.summary(), summary, "{what}: {answer:?}");
        assert_eq!(scene.file("rules.xml"), before, "{what}");
    }
    let answer = scene.send(in_signed_chunks(scene.address(), &body, |chunks| chunks)).await;
    assert_eq!(answer.summary(), "200", "{answer:?}");
    assert!(same(&scene.file("rules.xml"), &body), "{}", scene.file("rules.xml"));
}

#[tokio::test]
async fn secrets_are_put_and_never_given_back() {
    let scene = Scene::signed().await;
    let auth = "<MirrorAuth><AuthType>S3V4</AuthType><Region>r</Region><AccessKeyId>AKORIGIN\
                </AccessKeyId><AccessKeySecret>SKORIGIN</AccessKeySecret></MirrorAuth></Redirect>";
    let own = oss(&[mirror(1).replace("</Redirect>", auth)]);
    std::fs::remove_file(scene.path("rules.json")).unwrap();
    for (bucket, file) in [("examplebucket", "rules.json"), ("of-xml", "rules.xml")] {
        assert_eq!(scene.ask("PUT", bucket, &own).await.summary(), "200");
        assert!(same(&scene.file(file), &own), "{}", scene.file(file));
        let got = scene.ask("GET", bucket, "").await;
        assert_eq!(got.element("AccessKeyId"), "AKORIGIN");
        assert_eq!(got.element("AccessKeySecret"), "********");
        assert!(!got.body.contains("SKORIGIN"), "{got:?}");
        // Whoever puts back what was given would lose the secret.
        let put = scene.ask("PUT", bucket, &got.body).await;
        assert_eq!(
            (put.summary().as_str(), put.element("ArgumentName").as_str()),
            ("400 InvalidArgument", "AccessKeySecret")
        );
        assert!(put.element("Message").contains("in place of the secret"), "{put:?}");
        assert!(same(&scene.file(file), &own), "{}", scene.file(file));
    }
    // What is wrong beside it does not show it.
    let wrong = scene.ask("PUT", "of-xml", &own.replace(">r<", "> a b <")).await;
    assert_eq!(wrong.element("ArgumentName"), "Region", "{wrong:?}");
    assert!(!wrong.body.contains("SKORIGIN"), "{wrong:?}");
    // A file that was not there is for its owner alone; who may read another, its owner has said.
    let mode = |file| std::fs::metadata(scene.path(file)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("rules.json"), mode("rules.xml") & 0o044), (0o600, 0o044));
}

#[tokio::test]
async fn the_set_before_a_change_is_kept_beside_it() {
    let scene = Scene::signed().await;
    let mode = |file| std::fs::metadata(scene.path(file)).unwrap().permissions().mode() & 0o777;
    let of_owner = std::fs::Permissions::from_mode(0o600);
    let first = scene.file("rules.json");
    assert_eq!(scene.ask("PUT", "examplebucket", &oss(&[mirror(1)])).await.summary(), "200");
    assert_eq!(scene.file("rules.json.before"), first);
    assert_eq!(mode("rules.json.before") & 0o044, 0o044);
    // Who may not read the file may not read what it was.
    std::fs::set_permissions(scene.path("rules.json"), of_owner).unwrap();
    let second = scene.file("rules.json");
    // What changes nothing, and what is refused, leaves it.
    assert_eq!(scene.ask("PUT", "examplebucket", &oss(&[mirror(1)])).await.summary(), "200");
    assert_eq!(scene.ask("PUT", "examplebucket", "<a/>").await.summary(), "400 MalformedXML");
    assert_eq!(scene.file("rules.json.before"), first);
    assert_eq!(scene.ask("DELETE", "examplebucket", "").await.summary(), "204");
    assert_eq!(scene.file("rules.json.before"), second);
    assert_eq!(mode("rules.json.before"), 0o600);
}

#[tokio::test]
async fn more_rules_than_oss_takes_are_kept_in_s3s_form() {
    let scene = Scene::start(None).await;
    let rule = |number: usize| {
        format!(
            "<RoutingRule><Condition><KeyPrefixEquals>{number}/</KeyPrefixEquals></Condition>\
             <Redirect><HostName>a.example</HostName><HttpRedirectCode>308</HttpRedirectCode>\
             </Redirect></RoutingRule>"
        )
    };
    let put = async |bucket: &str, count: usize| {
        let rules: String = (0..count).map(rule).collect();
        let body = s3(&format!("<RoutingRules>{rules}</RoutingRules>"));
        let uri = format!("http://{}/{bucket}?website", scene.address());
        let request = Request::builder().method("PUT").uri(uri).header("x-amz-date", "x");
        scene.send(request.body(Full::from(body)).unwrap()).await
    };
    scene.ask("DELETE", "of-xml", "").await;
    for (bucket, file) in [("examplebucket", "rules.json"), ("of-xml", "rules.xml")] {
        let answer = put(bucket, 50).await;
        assert_eq!(answer.summary(), "200", "{answer:?}");
        let kept = rule_file::read(file, scene.file(file).as_bytes(), None);
        assert_eq!(kept.rules.unwrap().iter().count(), 50, "{bucket}");
        let answer = put(bucket, 51).await;
        assert_eq!(answer.summary(), "400 MalformedXML", "{answer:?}");
        assert!(answer.element("Message").contains("at most 50 rules"), "{answer:?}");
    }
}

#[tokio::test]
async fn of_writers_at_once_one_wins_whole() {
    let scene = Scene::signed().await;
    let texts: Vec<String> = (0..12)
        .map(|writer| oss(&(1..=20).map(|rule| mirror(100 * writer + rule)).collect::<Vec<_>>()))
        .collect();
    let puts = texts.iter().map(|text| scene.ask("PUT", "of-xml", text));
    for answer in futures_util::future::join_all(puts).await {
        assert_eq!(answer.summary(), "200");
    }
    let kept = scene.file("rules.xml");
    assert_eq!(texts.iter().filter(|text| same(text, &kept)).count(), 1, "{kept}");
}

#[tokio::test]
async fn without_keys_this_machine_may_ask_in_either_manner() {
    let scene = Scene::start(None).await;
    let send =
        async |method: &str, host: &str, path: &str, headers: &[(&str, &str)], body: &str| {
            let uri = format!("http://{}{path}", scene.address());
            let mut request = Request::builder().method(method).uri(uri).header("host", host);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            scene.send(request.body(Full::from(body.to_owned())).unwrap()).await
        };
    let amazon = ("x-amz-date", "20240102T030405Z");
    let redirect =
        s3("<RedirectAllRequestsTo><HostName>a.example</HostName></RedirectAllRequestsTo>");
    let of_oss = scene.file("rules.xml");
    let put = send("PUT", "of-xml.oss.example.com", "/?website", &[amazon], &redirect).await;
    // What is there says more than S3's form can: it is not lost without a word.
    assert_eq!(put.summary(), "409 InvalidBucketState", "{put:?}");
    let message = put.element("Message");
    assert!(message.contains("S3 has no Mirror rules") && message.contains("DELETE"), "{message}");
    assert_eq!(scene.file("rules.xml"), of_oss);
    let gone = send("DELETE", "of-xml.oss.example.com", "/?website", &[amazon], "").await;
    assert_eq!(gone.summary(), "204", "{gone:?}");
    assert_eq!(scene.file("rules.xml.before"), of_oss);
    let put = send("PUT", "of-xml.oss.example.com", "/?website", &[amazon], &redirect).await;
    assert_eq!(put.summary(), "200", "{put:?}");
    let got = send("GET", "localhost", "/of-xml?website", &[amazon], "").await;
    assert!(same(&got.body, &redirect) && got.body.contains("RedirectAllRequestsTo"), "{got:?}");
    assert_eq!(got.headers["x-amz-request-id"].len(), 24);
    // OSS has no such element: it is the rule that it stands for.
    let got = send("GET", "localhost", "/of-xml?website", &[], "").await;
    assert_eq!(
        (got.element("RuleNumber").as_str(), got.element("HostName").as_str()),
        ("1", "a.example")
    );
    // What S3's form cannot say is not left out.
    let put = send("PUT", "localhost", "/of-xml?website", &[], &oss(&[mirror(1)])).await;
    assert_eq!(put.summary(), "200", "{put:?}");
    let got = send("GET", "localhost", "/of-xml?website", &[amazon], "").await;
    assert_eq!(got.summary(), "409 InvalidBucketState", "{got:?}");
    // A page in a browser asks under its own name.
    let got = send("GET", "rebound.example.net", "/of-xml?website", &[], "").await;
    assert_eq!(got.summary(), "403 AccessDenied", "{got:?}");
    let rule = "<RoutingRules><RoutingRule><RuleNumber>1</RuleNumber><Redirect><HostName>a.example\
                </HostName></Redirect></RoutingRule></RoutingRules>";
    let put = send("PUT", "localhost", "/of-xml?website", &[amazon], &s3(rule)).await;
    assert_eq!(
        (put.summary().as_str(), put.element("ArgumentName").as_str()),
        ("400 InvalidArgument", "RuleNumber")
    );
}

#[tokio::test]
async fn when_envoys_files_cannot_be_written_the_rules_go_back() {
    let scene = Scene::signed().await;
    // A folder below a file cannot be made.
    let target = Target {
        directory: scene.path("rules.xml").join("envoy"),
        data_path: None,
        form: crate::envoy::Form::Envoy,
        trusted: TargetSettings::TRUSTED.into(),
    };
    let keeper = Keeper { deployment: scene.path("deployment.yaml"), envoy: Some(target) };
    let before = scene.file("rules.json");
    let file = || rule_file::read("x", oss(&[mirror(1)]).as_bytes(), None);
    let change = |bucket| keeper.change(bucket, |_| Ok::<_, KeeperError>(Some(file())));
    assert!(matches!(change("examplebucket"), Err(KeeperError::Write(_))));
    assert_eq!(scene.file("rules.json"), before);
    // Where there was no file, there is none.
    std::fs::remove_file(scene.path("rules.json")).unwrap();
    assert!(matches!(change("examplebucket"), Err(KeeperError::Write(_))));
    assert!(!scene.path("rules.json").exists());
}

#[tokio::test]
async fn without_keys_other_machines_are_kept_out() {
    let scene = Scene::start(None).await;
    let settings = Settings {
        listen: ([0, 0, 0, 0], 0).into(),
        keys: None,
        domain: None,
        keeper: Keeper { deployment: scene.path("deployment.yaml"), envoy: None },
        line: Box::new(|_| {}),
    };
    assert!(matches!(Admin::start(settings).await, Err(StartError::NoKeys(_))));
}
