//! The panel of a rule.

use serde_json::{Value, json};

use super::scene::{Answer, Scene};

const NEW: &str = "/buckets/examplebucket/rules/new";

/// What the seed's reader types, on top of what the panel has.
const PROCEDURE: &[(&str, &str)] = &[
    ("Condition/KeyPrefixEquals", "examplefolder/"),
    ("origin/scheme", "https"),
    ("origin/host", "www.example.com"),
    ("origin/path", "examplefolder"),
];

/// Opens a panel, types, and sends it.
async fn fill(scene: &mut Scene, path: &str, typed: &[(&str, &str)], verb: &str) -> Answer {
    let page = scene.get(path).await;
    let mut form = page.fields();
    for (name, value) in typed {
        form.retain(|(own, _)| own != name);
        form.push(((*name).to_owned(), (*value).to_owned()));
    }
    form.push(("do".to_owned(), verb.to_owned()));
    let form: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let path = path.split('?').next().unwrap();
    scene.ask("POST", path, &form).await
}

#[tokio::test]
async fn the_procedure_makes_the_rule_that_it_describes() {
    let mut scene = Scene::open().await;
    let review = fill(&mut scene, NEW, PROCEDURE, "review").await;
    assert_eq!(review.status, 200, "{}", review.body);
    assert!(
        review.body.contains("+           &quot;KeyPrefixEquals&quot;")
            || review.body.contains("<ins>")
    );
    assert_eq!(scene.rules(), json!([]));
    let form =
        [("draft", review.hidden("draft")), ("tag", review.hidden("tag")), ("do", "save".into())];
    let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let saved = scene.post(NEW, &form).await;
    assert_eq!(saved.location(), "/buckets/examplebucket?done=saved");
    let expected = json!([{ "RuleNumber": 1,
        "Condition": { "KeyPrefixEquals": "examplefolder/", "HttpErrorCodeReturnedEquals": 404 },
        "Redirect": { "RedirectType": "Mirror", "MirrorURL": "https://www.example.com/",
            "MirrorAllowHeadObject": true, "MirrorUserLastModified": true } }]);
    assert_eq!(scene.rules(), expected);
    // Once, as the procedure has it; twice where one says so.
    let page = scene.get("/buckets/examplebucket").await.body;
    assert!(page.contains("https://www.example.com/examplefolder/example.txt"));
}

#[tokio::test]
async fn what_a_rule_does_is_told_before_it_is_saved() {
    let mut scene = Scene::open().await;
    let headers = [
        ("Redirect/MirrorHeaders/PassAll", "true"),
        ("Redirect/MirrorHeaders/Remove", "bbb-header"),
        ("Redirect/MirrorHeaders/Set/0/Key", "ccc-header"),
        ("Redirect/MirrorHeaders/Set/0/Value", "ccc"),
        ("example/key", "examplefolder/a b.txt"),
    ];
    let page = fill(&mut scene, NEW, &[PROCEDURE, &headers].concat(), "show").await;
    assert_eq!(page.status, 200);
    let (_, told) = page.body.split_once("id=\"told\"").unwrap();
    assert!(told.contains("is asked for it once"), "{told}");
    let (before, after) = told.split_once("id=\"result\"").unwrap();
    assert!(before.contains("bbb-header: bbb") && before.contains("ccc-header: 111"));
    assert!(before.contains("<s title=\"never passed\">range: bytes=0-9</s>"), "{before}");
    let (after, _) = after.split_once("</code>").unwrap();
    assert!(after.contains("GET https://www.example.com/examplefolder/a%20b.txt"), "{after}");
    assert!(after.contains("aaa-header: aaa") && after.contains("ccc-header: (set by the rule)"));
    assert!(!after.contains("bbb-header") && !after.contains("range"), "{after}");
    // The script asks for the same alone.
    let csrf = scene.token().await;
    let mut form = PROCEDURE.to_vec();
    form.extend([
        ("Redirect/RedirectType", "Mirror"),
        ("Condition/HttpErrorCodeReturnedEquals", "404"),
    ]);
    form.push(("csrf", &csrf));
    let told = scene.ask("POST", "/buckets/examplebucket/told", &form).await;
    assert!(
        told.body.contains("GET https://www.example.com/examplefolder/example.txt"),
        "{}",
        told.body
    );
    assert!(!told.body.contains("<html"));
}

#[tokio::test]
async fn what_is_refused_is_marked_at_its_field_and_not_saved() {
    let mut scene = Scene::open().await;
    for (name, value) in [
        ("origin/host", "127.0.0.1"),
        ("Condition/HttpErrorCodeReturnedEquals", "200"),
        ("Redirect/MirrorTimeout", "soon"),
        ("Redirect/MirrorTaggings/Taggings/0/Value", "v"),
        ("Condition/IncludeHeader/0/Key", "no header"),
        ("Redirect/MirrorHeaders/Set/0/Key", "range"),
    ] {
        let set = if name.contains("/Set/") { "x" } else { "" };
        let typed = [(name, value), ("Redirect/MirrorHeaders/Set/0/Value", set)];
        let typed = [PROCEDURE, &typed].concat();
        let answer = fill(&mut scene, NEW, &typed, "save").await;
        assert_eq!(answer.status, 422, "{name}");
        let found = answer.body.split_once("class=\"finding bad\"");
        let (before, _) = found.unwrap_or_else(|| panic!("{name}: {}", answer.body));
        // It stands in the form, below the marks of what came before.
        assert!(before.contains("<form class=\"panel rule\""), "{name}");
        // What was typed is still there.
        assert!(answer.fields().contains(&("origin/path".to_owned(), "examplefolder".to_owned())));
        assert_eq!(scene.rules(), json!([]), "{name}");
    }
}

#[tokio::test]
async fn a_rule_is_edited_and_duplicated_with_all_that_it_says() {
    let mut scene = Scene::open().await;
    let rule = json!({ "RuleNumber": 1,
        "Condition": { "KeyPrefixEquals": "a\"<b>&/", "HttpErrorCodeReturnedEquals": [404, "5XX"] },
        "Redirect": { "RedirectType": "Mirror", "MirrorURL": "https://o.example/a/",
            "MirrorFollowRedirect": false, "MirrorTimeout": 1000, "MirrorOnServerError": true,
            "MirrorMultiAlternates": { "MirrorMultiAlternate": [
                { "MirrorMultiAlternateNumber": 1, "MirrorMultiAlternateURL": "https://p.example/" } ] },
            "MirrorHeaders": { "PassAll": true, "Remove": ["bbb-header"],
                "Set": [{ "Key": "x-token", "Value": "kept" }] } } });
    scene.write(&json!([rule]));
    let unchanged = fill(&mut scene, "/buckets/examplebucket/rules/1", &[], "save").await;
    assert_eq!(unchanged.status, 303, "{}", unchanged.body);
    assert_eq!(scene.rules(), json!([rule]));
    let copied =
        fill(&mut scene, &format!("{NEW}?copy=1"), &[("Condition/KeyPrefixEquals", "c/")], "save")
            .await;
    assert_eq!(copied.status, 303, "{}", copied.body);
    let mut copy = rule.clone();
    copy["RuleNumber"] = 2.into();
    copy["Condition"]["KeyPrefixEquals"] = "c/".into();
    assert_eq!(scene.rules(), json!([rule, copy]));
    let mode = [("Redirect/RedirectType", "External"), ("Redirect/HostName", "www.example.com")];
    let other = fill(&mut scene, "/buckets/examplebucket/rules/2", &mode, "save").await;
    assert_eq!(other.status, 303, "{}", other.body);
    assert_eq!(scene.rules()[1]["Redirect"]["HostName"], "www.example.com");
    assert_eq!(scene.rules()[1]["Redirect"]["MirrorURL"], Value::Null);
    assert_eq!(scene.get("/buckets/examplebucket/rules/9").await.status, 404);
}

#[tokio::test]
async fn there_are_twenty_rules_at_most() {
    let mut scene = Scene::open().await;
    let rule = |number: u64| {
        json!({ "RuleNumber": number,
        "Condition": { "KeyPrefixEquals": format!("{number}/"), "HttpErrorCodeReturnedEquals": 404 },
        "Redirect": { "RedirectType": "Mirror", "MirrorURL": "https://o.example/" } })
    };
    let all: Value = (1..=20).map(rule).collect();
    scene.write(&all);
    let page = scene.get("/buckets/examplebucket").await.body;
    assert!(page.contains("20 of 20 rules") && !page.contains("/rules/new"), "{page}");
    let answer = fill(&mut scene, NEW, PROCEDURE, "save").await;
    assert_eq!(answer.status, 422, "{}", answer.body);
    assert_eq!(scene.rules(), all);
}

#[tokio::test]
async fn a_file_that_changes_on_disk_is_seen() {
    let mut scene = Scene::open().await;
    let page = scene.get(NEW).await;
    std::fs::remove_file(scene.path("deployment.yaml")).unwrap();
    for path in ["/", "/buckets/examplebucket", NEW] {
        let answer = scene.get(path).await;
        assert!(answer.body.contains("deployment.yaml"), "{path}: {}", answer.body);
    }
    let csrf = page.hidden("csrf");
    let answer = scene.ask("POST", NEW, &[("csrf", &csrf), ("do", "save")]).await;
    assert!(answer.status.is_server_error(), "{answer:?}");
}
