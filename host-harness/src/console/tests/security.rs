//! What the console must keep from whom.

use serde_json::json;

use super::scene::{EDITOR, KEYS, READER, Scene};
use crate::admin::Keeper;
use crate::console::{Accounts, Console, Settings, Source, StartError};

const CLEAR: &str = "/buckets/examplebucket/clear";

fn one_rule() -> serde_json::Value {
    json!([{ "RuleNumber": 1, "Condition": { "HttpErrorCodeReturnedEquals": 404 },
        "Redirect": { "RedirectType": "Mirror", "MirrorURL": "https://o.example/" } }])
}

#[tokio::test]
async fn without_a_password_it_is_for_this_machine_alone() {
    let settings = Settings {
        listen: "0.0.0.0:0".parse().unwrap(),
        accounts: Accounts::default(),
        keeper: Keeper { deployment: "none".into(), envoy: None },
        figures: Source::Nowhere,
        recent: None,
        line: Box::new(|_| {}),
    };
    assert!(matches!(Console::start(settings).await, Err(StartError::NoKeys(_))));
    let mut scene = Scene::open().await;
    assert_eq!(scene.get("/").await.status, 200);
    // A name elsewhere that was made to lead here.
    scene.headers.push(("host", "rebound.example:8091".to_owned()));
    for method in ["GET", "POST"] {
        let answer = scene.ask(method, "/", &[]).await;
        assert_eq!(answer.status, 403, "{method}");
        assert!(!answer.body.contains("examplebucket"));
    }
}

#[tokio::test]
async fn who_has_not_signed_in_sees_nothing_and_changes_nothing() {
    let mut scene = Scene::closed().await;
    scene.write(&one_rule());
    for path in ["/", "/buckets/examplebucket", "/buckets/examplebucket/raw", "/nowhere"] {
        let answer = scene.get(path).await;
        assert_eq!(answer.status, 303, "{path}");
        assert!(answer.location().starts_with("/sign-in?next=%2F"), "{}", answer.location());
    }
    assert_eq!(scene.ask("POST", CLEAR, &[("do", "save")]).await.status, 403);
    assert_eq!(scene.rules(), one_rule());
    for (name, password) in [("", ""), ("", "wrong"), (KEYS.0, EDITOR), ("", KEYS.1)] {
        assert_eq!(scene.sign_in(name, password).await.status, 403, "{name} {password}");
    }
}

#[tokio::test]
async fn whoever_signs_in_is_led_back_and_may_do_what_the_role_may() {
    let mut scene = Scene::closed().await;
    scene.write(&one_rule());
    for (name, password, changes) in
        [("", READER, false), ("", EDITOR, true), (KEYS.0, KEYS.1, true)]
    {
        scene.write(&one_rule());
        let form = [("name", name), ("password", password), ("next", "/buckets/examplebucket?x=1")];
        let answer = scene.ask("POST", "/sign-in", &form).await;
        assert_eq!((answer.status.as_u16(), answer.location()), (303, form[2].1));
        let page = scene.get("/buckets/examplebucket").await;
        assert_eq!(page.status, 200);
        assert_eq!(page.body.contains("/rules/new"), changes, "{password}");
        for path in ["/rules/new", "/rules/1", "/rules/1/delete", "/clear"] {
            let status = scene.get(&format!("/buckets/examplebucket{path}")).await.status;
            assert_eq!(status, if changes { 200 } else { 404 }, "{path}");
        }
        // A reader's own token is right, and does not help.
        let (csrf, tag) = (page.hidden("csrf"), scene_tag(&scene));
        let cleared = scene.ask("POST", CLEAR, &[("csrf", &csrf), ("tag", &tag)]).await;
        assert_eq!(cleared.status, if changes { 303 } else { 403 });
        assert_eq!(scene.rules() == one_rule(), !changes);
        let left = scene.ask("POST", "/sign-out", &[("csrf", &csrf)]).await;
        assert_eq!(left.status, 303);
        assert_eq!(scene.get("/").await.status, 303);
    }
}

fn scene_tag(scene: &Scene) -> String {
    let keeper = Keeper { deployment: scene.path("deployment.yaml"), envoy: None };
    keeper.kept("examplebucket").unwrap().tag()
}

#[tokio::test]
async fn a_cookie_is_of_no_use_elsewhere() {
    let mut scene = Scene::closed().await;
    let answer = scene.sign_in("", EDITOR).await;
    let cookie = answer.headers["set-cookie"].to_str().unwrap().to_owned();
    for word in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(word), "{cookie}");
    }
    assert!(!cookie.contains("Secure"));
    let token = scene.cookies[0].1.clone();
    assert_eq!(token.len(), 64);
    // The same cookie, from another address of this machine.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut stream = socket.connect(scene.address()).await.unwrap();
    let text = format!(
        "GET / HTTP/1.1\r\nhost: {}\r\ncookie: b2o-session={token}\r\nconnection: close\r\n\r\n",
        scene.address()
    );
    tokio::io::AsyncWriteExt::write_all(&mut stream, text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
    assert_eq!(scene.get("/").await.status, 200);
    // Behind a proxy with TLS the cookie goes by TLS alone.
    scene.headers.push(("x-forwarded-proto", "https".to_owned()));
    let answer = scene.sign_in("", EDITOR).await;
    assert!(answer.headers["set-cookie"].to_str().unwrap().ends_with("; Secure"));
    // What a session was before somebody signed in is no session behind it.
    scene.cookies = vec![("b2o-session".to_owned(), "chosen".to_owned())];
    scene.sign_in("", EDITOR).await;
    assert_ne!(scene.cookies[0].1, "chosen");
}

#[tokio::test]
async fn forms_of_other_pages_change_nothing() {
    for mut scene in [Scene::open().await, Scene::closed().await] {
        scene.write(&one_rule());
        scene.sign_in("", EDITOR).await;
        let (csrf, tag) = (scene.token().await, scene.tag().await);
        let host = scene.address().to_string();
        let own = ("origin", format!("http://{host}"));
        for (headers, token) in [
            (vec![own.clone()], ""),
            (vec![own.clone()], "0000"),
            (vec![("origin", "http://evil.example".to_owned())], &*csrf),
            (vec![("origin", "null".to_owned())], &*csrf),
            (vec![("sec-fetch-site", "cross-site".to_owned())], &*csrf),
            (vec![("sec-fetch-site", "same-site".to_owned())], &*csrf),
        ] {
            scene.headers = headers;
            let form = [("csrf", token), ("tag", &*tag), ("do", "save")];
            let answer = scene.ask("POST", CLEAR, &form).await;
            assert_eq!(answer.status, 403, "{:?}", scene.headers);
            assert_eq!(scene.rules(), one_rule());
        }
        scene.headers = vec![own, ("sec-fetch-site", "same-origin".to_owned())];
        let form = [("csrf", &*csrf), ("tag", &*tag), ("do", "save")];
        assert_eq!(scene.ask("POST", CLEAR, &form).await.status, 303);
        assert_eq!(scene.rules(), json!([]));
        // What is only looked at changes nothing either.
        scene.write(&one_rule());
        assert_eq!(scene.get(CLEAR).await.status, 200);
        assert_eq!(scene.rules(), one_rule());
    }
}

#[tokio::test]
async fn nobody_can_guess_for_long() {
    let mut scene = Scene::closed().await;
    for _ in 0..5 {
        assert_eq!(scene.sign_in("", "wrong").await.status, 403);
    }
    let answer = scene.sign_in("", EDITOR).await;
    assert_eq!(answer.status, 429);
    assert!(answer.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() <= 61);
    assert_eq!(scene.get("/").await.status, 303);
}

#[tokio::test]
async fn every_answer_says_what_pages_may_do() {
    let mut scene = Scene::closed().await;
    let style = scene.get("/sign-in").await;
    let (_, style) = style.body.split_once("href=\"/assets/").unwrap();
    let style = format!("/assets/{}", style.split_once('"').unwrap().0);
    let mut asked = vec![("GET", style.clone()), ("GET", "/sign-in".to_owned())];
    scene.sign_in("", EDITOR).await;
    for path in ["/", "/buckets/examplebucket", "/buckets/examplebucket/rules/new", "/nowhere"] {
        asked.push(("GET", path.to_owned()));
    }
    asked.extend([("POST", CLEAR.to_owned()), ("PUT", "/".to_owned())]);
    for (method, path) in asked {
        let answer = scene.ask(method, &path, &[]).await;
        let header = |name: &str| answer.headers[name].to_str().unwrap().to_owned();
        let policy = header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "frame-ancestors 'none'",
            "form-action 'self'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(header("x-frame-options"), "DENY", "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("referrer-policy"), "same-origin", "{path}");
        let is_kept = header("cache-control") != "no-store";
        assert_eq!(is_kept, path == style, "{path}");
        for inline in ["<script>", " style=\"", " onclick=", "javascript:", "<style"] {
            assert!(!answer.body.contains(inline), "{path}: {inline}");
        }
    }
}

#[tokio::test]
async fn no_secret_is_in_a_page_a_line_or_an_address() {
    let mut scene = Scene::closed().await;
    scene.sign_in("", EDITOR).await;
    let secret = "hunter2hunter2";
    let rules = json!([{ "RuleNumber": 1, "Condition": { "HttpErrorCodeReturnedEquals": 404 },
        "Redirect": {
            "RedirectType": "Mirror", "MirrorURL": "https://o.example/",
            "MirrorAuth": { "AuthType": "S3V4", "Region": "r", "AccessKeyId": "AKID",
                "AccessKeySecret": secret },
            "MirrorHeaders": { "Set": [{ "Key": "x-token", "Value": secret }] },
        } }]);
    scene.write(&rules);
    for path in
        ["", "/rules/1", "/rules/new?copy=1", "/raw", "/history", "/clear", "/rules/1/delete"]
    {
        let page = scene.get(&format!("/buckets/examplebucket{path}")).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(!page.body.contains(secret), "{path}");
    }
    // Saved again without them, they are still there; and what changes is shown without them.
    let page = scene.get("/buckets/examplebucket/rules/1").await;
    let mut fields = page.fields();
    fields.iter_mut().filter(|(name, _)| name == "Condition/KeyPrefixEquals").for_each(
        |(_, value)| {
            "a/".clone_into(value);
        },
    );
    fields.push(("do".to_owned(), "review".to_owned()));
    let form: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let review = scene.ask("POST", "/buckets/examplebucket/rules/1", &form).await;
    assert_eq!(review.status, 200, "{}", review.body);
    assert!(!review.body.contains(secret) && review.body.contains("KeyPrefixEquals"));
    let mut form = form.clone();
    form.last_mut().unwrap().1 = "save";
    let saved = scene.ask("POST", "/buckets/examplebucket/rules/1", &form).await;
    assert_eq!(saved.status, 303, "{}", saved.body);
    assert!(!saved.location().contains(secret));
    let mut expected = rules.clone();
    expected[0]["Condition"]["KeyPrefixEquals"] = "a/".into();
    assert_eq!(scene.rules(), expected);
    // A change that is refused shows none either.
    let text = json!({ "RoutingRules": [{ "RuleNumber": 1, "Condition": {}, "Redirect": {
        "RedirectType": "Mirror", "MirrorAuth": { "AccessKeySecret": secret } } }] });
    let tag = scene.tag().await;
    let refused = scene
        .post(
            "/buckets/examplebucket/raw",
            &[("text", &text.to_string()), ("tag", &tag), ("do", "save")],
        )
        .await;
    assert_eq!(refused.status, 422);
    let (findings, _) = refused.body.split_once("<textarea").unwrap();
    assert!(!findings.contains(secret));
    let lines = scene.lines.lock().unwrap().join("\n");
    for word in [secret, EDITOR, "csrf"] {
        assert!(!lines.contains(word), "{lines}");
    }
}

#[tokio::test]
async fn every_change_is_told_with_who_and_from_where() {
    let mut scene = Scene::closed().await;
    scene.write(&one_rule());
    scene.sign_in("", "wrong").await;
    scene.sign_in(KEYS.0, KEYS.1).await;
    let tag = scene.tag().await;
    scene.post(CLEAR, &[("tag", &tag), ("do", "save")]).await;
    scene.post(CLEAR, &[("tag", &tag), ("do", "save")]).await;
    scene.ask("POST", CLEAR, &[]).await;
    scene.post("/sign-out", &[]).await;
    let lines = scene.lines.lock().unwrap().join("\n");
    let who = format!("console: 127.0.0.1 editor {}", KEYS.0);
    assert_eq!(
        lines,
        format!(
            "console: 127.0.0.1 nobody: refused: a wrong password\n{who}: signed in\n\
             {who}: clear examplebucket: done\n{who}: clear examplebucket: conflict\n\
             {who}: refused: no token, {CLEAR}\n{who}: signed out"
        )
    );
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let mut scene = Scene::open().await;
    let text = "x".repeat(2 << 20);
    let answer = scene.ask("POST", CLEAR, &[("text", &text)]).await;
    assert_eq!(answer.status, 413);
    assert_eq!(scene.ask("DELETE", "/", &[]).await.status, 405);
}
