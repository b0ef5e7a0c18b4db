//! The table of rules and what can be done with it.

use serde_json::{Value, json};

use super::scene::{Answer, Scene};

const BUCKET: &str = "/buckets/examplebucket";

fn rule(number: u64, prefix: &str) -> Value {
    json!({ "RuleNumber": number,
        "Condition": { "KeyPrefixEquals": prefix, "HttpErrorCodeReturnedEquals": 404 },
        "Redirect": { "RedirectType": "Mirror", "MirrorURL": "https://o.example/" } })
}

fn rules(prefixes: &[&str]) -> Value {
    (1..).zip(prefixes).map(|(number, prefix)| rule(number, prefix)).collect()
}

fn prefixes(scene: &Scene) -> Vec<String> {
    let rules = scene.rules();
    let of = |rule: &Value| rule["Condition"]["KeyPrefixEquals"].as_str().unwrap().to_owned();
    rules.as_array().unwrap().iter().map(of).collect()
}

async fn act(scene: &mut Scene, path: &str, form: &[(&str, &str)]) -> Answer {
    let tag = scene.tag().await;
    let mut form = form.to_vec();
    form.push(("tag", &tag));
    scene.post(&format!("{BUCKET}{path}"), &form).await
}

#[tokio::test]
async fn rules_are_listed_in_their_order_with_what_they_do() {
    let mut scene = Scene::open().await;
    let empty = scene.get(BUCKET).await;
    assert!(empty.body.contains("There is no rule yet.") && empty.body.contains("0 of 20"));
    let mut all = rules(&["b/", "a/"]);
    all[1]["Redirect"] = json!({ "RedirectType": "External", "Protocol": "https",
        "HostName": "www.example.com", "ReplaceKeyWith": "k/${key}", "HttpRedirectCode": 307 });
    scene.write(&all);
    let page = scene.get(BUCKET).await.body;
    let places = [
        "id=\"rule-1\"",
        "b/example.txt",
        "https://o.example/b/example.txt",
        "id=\"rule-2\"",
        "https://www.example.com/k/${key}",
        "https://www.example.com/k/a/example.txt",
    ];
    let places = places.map(|text| page.find(text).unwrap_or_else(|| panic!("{text}: {page}")));
    assert!(places.is_sorted(), "{places:?}");
    assert!(page.contains("2 of 20 rules") && page.contains("Redirection 307"));
    // The engine's own words.
    assert!(page.contains("client gets 404 NoSuchKey"), "{page}");
    assert!(page.contains("b2o rules ") && page.contains(" --bucket examplebucket list"));
    let buckets = scene.get("/").await.body;
    assert!(buckets.contains("examplebucket") && buckets.contains("of-xml"));
    assert!(buckets.contains("2 of 20 rules"));
    let absent = scene.get("/buckets/nowhere").await;
    assert_eq!(absent.status, 404);
}

#[tokio::test]
async fn rules_move_and_focus_goes_with_them() {
    let mut scene = Scene::open().await;
    scene.write(&rules(&["a/", "b/", "c/"]));
    let moved = act(&mut scene, "/move", &[("rule", "2"), ("by", "up")]).await;
    assert_eq!(moved.location(), "/buckets/examplebucket?done=moved&rule=1&by=up");
    assert_eq!(prefixes(&scene), ["b/", "a/", "c/"]);
    // It is the first: its way on is down.
    let page = scene.get("/buckets/examplebucket?done=moved&rule=1&by=up").await.body;
    let (_, focus) = page.split_once("autofocus").unwrap();
    assert!(focus.contains("aria-label=\"Move Down rule 1\""), "{focus}");
    assert_eq!(page.matches("autofocus").count(), 1);
    assert!(page.contains("The rule is moved."));
    act(&mut scene, "/move", &[("rule", "1"), ("by", "down")]).await;
    assert_eq!(prefixes(&scene), ["a/", "b/", "c/"]);
    act(&mut scene, "/move", &[("rule", "1"), ("by", "3")]).await;
    assert_eq!(prefixes(&scene), ["b/", "c/", "a/"]);
    for (rule, by, status) in
        [("1", "up", 409), ("3", "down", 409), ("9", "up", 404), ("x", "up", 404)]
    {
        let answer = act(&mut scene, "/move", &[("rule", rule), ("by", by)]).await;
        assert_eq!(answer.status, status, "{rule} {by}");
    }
    assert_eq!(prefixes(&scene), ["b/", "c/", "a/"]);
}

#[tokio::test]
async fn what_goes_is_shown_before_and_comes_back() {
    let mut scene = Scene::open().await;
    scene.write(&rules(&["a/", "b/", "c/"]));
    let page = scene.get("/buckets/examplebucket/rules/2/delete").await.body;
    assert!(page.contains("b/") && !page.contains("<code>a/</code>"), "{page}");
    act(&mut scene, "/rules/2/delete", &[("do", "save")]).await;
    assert_eq!(prefixes(&scene), ["a/", "c/"]);
    let page = scene.get("/buckets/examplebucket/clear").await.body;
    assert!(page.contains("<code>a/</code>") && page.contains("<code>c/</code>"), "{page}");
    let cleared = act(&mut scene, "/clear", &[("do", "save")]).await;
    assert!(cleared.location().ends_with("?done=cleared"));
    assert_eq!(scene.rules(), json!([]));
    // The history has both, the newest first.
    let history = scene.get("/buckets/examplebucket/history").await;
    assert!(history.body.contains("2 of 20") && history.body.contains("3 of 20"));
    let times: Vec<_> = history
        .body
        .split("name=\"time\" value=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect();
    assert_eq!(times.len(), 2);
    let review = act(&mut scene, "/history", &[("time", &times[1]), ("do", "review")]).await;
    assert_eq!(review.status, 200);
    assert!(review.body.contains("<ins>") && review.body.contains("b/"), "{}", review.body);
    assert_eq!(scene.rules(), json!([]), "nothing is done yet");
    let (draft, tag) = (review.hidden("draft"), review.hidden("tag"));
    let form = [("draft", &*draft), ("tag", &*tag), ("do", "save")];
    let restored = scene.post("/buckets/examplebucket/history", &form).await;
    assert!(restored.location().ends_with("?done=restored"), "{restored:?}");
    assert_eq!(prefixes(&scene), ["a/", "b/", "c/"]);
}

#[tokio::test]
async fn the_second_editor_is_shown_the_difference() {
    let mut scene = Scene::open().await;
    scene.write(&rules(&["a/", "b/"]));
    let tag = scene.tag().await;
    // Somebody else is quicker.
    scene.write(&rules(&["a/", "b/", "c/"]));
    let answer =
        scene.post("/buckets/examplebucket/rules/1/delete", &[("tag", &tag), ("do", "save")]).await;
    assert_eq!(answer.status, 409);
    assert!(answer.body.contains("Somebody else has changed the rules"), "{}", answer.body);
    assert!(answer.body.contains("<del>"));
    assert_eq!(prefixes(&scene), ["a/", "b/", "c/"]);
    // Seen, it can be done.
    let (draft, tag) = (answer.hidden("draft"), answer.hidden("tag"));
    let form = [("draft", &*draft), ("tag", &*tag), ("do", "save")];
    assert_eq!(scene.post("/buckets/examplebucket/rules/1/delete", &form).await.status, 303);
    assert_eq!(prefixes(&scene), ["b/", "c/"]);
}

#[tokio::test]
async fn findings_stand_at_their_rule() {
    let mut scene = Scene::open().await;
    let mut all = rules(&["a/", "a/b/"]);
    scene.write(&all);
    let page = scene.get(BUCKET).await.body;
    let second = page.split_once("id=\"rule-2\"").unwrap().1;
    assert!(second.contains("class=\"finding warning\""), "{page}");
    assert!(!page.split_once("id=\"rule-2\"").unwrap().0.contains("class=\"finding"));
    // A file that is refused is shown with why, and can be cleared.
    all[0]["Redirect"]["MirrorURL"] = "nonsense".into();
    scene.write(&all);
    let page = scene.get(BUCKET).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("class=\"finding bad\""), "{}", page.body);
    std::fs::write(scene.path("rules.json"), "{ no json").unwrap();
    let page = scene.get(BUCKET).await;
    assert!(page.body.contains("cannot be changed as a list"), "{}", page.body);
    assert!(scene.get("/").await.body.contains("The deployment is refused"));
    act(&mut scene, "/clear", &[("do", "save")]).await;
    assert_eq!(scene.rules(), json!([]));
}

#[tokio::test]
async fn the_text_of_a_set_replaces_it() {
    let mut scene = Scene::open().await;
    scene.write(&rules(&["a/"]));
    let page = scene.get("/buckets/examplebucket/raw").await.body;
    assert!(page.contains("&quot;KeyPrefixEquals&quot;: &quot;a/&quot;"), "{page}");
    assert!(page.contains("&lt;KeyPrefixEquals&gt;a/&lt;/KeyPrefixEquals&gt;"));
    assert!(page.contains("This form cannot say everything"), "S3's form knows no mirror");
    let text = json!({ "RoutingRules": rules(&["z/"]) }).to_string();
    let review = act(&mut scene, "/raw", &[("text", &text), ("do", "review")]).await;
    assert!(review.body.contains("<del>") && review.body.contains("<ins>"), "{}", review.body);
    let form =
        [("draft", &*review.hidden("draft")), ("tag", &*review.hidden("tag")), ("do", "save")]
            .map(|(name, value)| (name, value.to_owned()));
    let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    scene.post("/buckets/examplebucket/raw", &form).await;
    assert_eq!(prefixes(&scene), ["z/"]);
    for wrong in ["", "{", "{\"RoutingRules\": [{}]}", "<a>"] {
        let refused = act(&mut scene, "/raw", &[("text", wrong), ("do", "save")]).await;
        assert_eq!(refused.status, 422, "{wrong}");
        assert_eq!(prefixes(&scene), ["z/"]);
    }
}

#[tokio::test]
async fn every_page_is_there_in_both_languages() {
    let mut scene = Scene::open().await;
    scene.write(&rules(&["a/", "<script>alert(1)</script>\"'&/"]));
    for path in [
        "/",
        BUCKET,
        "/buckets/examplebucket/history",
        "/buckets/examplebucket/raw",
        "/buckets/examplebucket/clear",
        "/buckets/examplebucket/rules/2",
        "/buckets/examplebucket/rules/2/delete",
        "/buckets/examplebucket/rules/new?copy=2",
    ] {
        scene.headers = vec![("accept-language", "de, zh-CN;q=0.9".to_owned())];
        let chinese = scene.get(path).await;
        assert!(chinese.body.contains("<html lang=\"zh-CN\"") && chinese.body.contains("存储空间"));
        scene.headers.clear();
        let english = scene.get(path).await;
        assert_eq!((english.status.as_u16(), chinese.status.as_u16()), (200, 200), "{path}");
        assert!(
            english.body.contains("<html lang=\"en\"") && english.body.len() < 100_000,
            "{path}"
        );
        assert!(!english.body.contains("<script>alert"), "{path}");
    }
    let chosen = scene.ask(
        "POST",
        "/settings",
        &[("language", "zh-CN"), ("theme", "dark"), ("back", BUCKET)],
    );
    assert_eq!(chosen.await.location(), BUCKET);
    let page = scene.get(BUCKET).await.body;
    assert!(page.contains("<html lang=\"zh-CN\" data-theme=\"dark\""), "{page}");
}
