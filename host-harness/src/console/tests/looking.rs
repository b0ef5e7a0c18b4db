//! What is only looked at: figures, lines, explanations, the servers' health.

use serde_json::json;

use super::scene::{READER, Scene};

#[tokio::test]
async fn what_is_not_known_is_not_nought() {
    let mut scene = Scene::open().await;
    let page = scene.get("/").await.body;
    assert!(
        page.contains("The figures are unknown") && page.matches(">unknown<").count() >= 8,
        "{page}"
    );
    let page = scene.get("/activity").await.body;
    assert!(page.contains("are not told of here"), "{page}");
}

#[tokio::test]
async fn figures_and_failures_are_shown_where_a_gateway_says_them() {
    let mut scene = Scene::of_a_gateway(
        "back_to_origin_requests_total{bucket=\"examplebucket\",rule=\"1\",outcome=\"mirrored\"} 1800\n\
         back_to_origin_requests_total{bucket=\"examplebucket\",rule=\"1\",outcome=\"mirror_failed\",reason=\"origin_error\"} 200\n\
         back_to_origin_copies_total{bucket=\"examplebucket\",rule=\"1\",result=\"stored\"} 1799\n",
        &[
            "GET examplebucket/a: rule 1, client got 424 MirrorFailed <script>",
            "GET examplebucket/b: bucket 200 (5 bytes)",
        ],
    )
    .await;
    scene.write(&json!([{ "RuleNumber": 1, "Condition": { "HttpErrorCodeReturnedEquals": 404 },
        "Redirect": { "RedirectType": "Mirror", "MirrorURL": "https://o.example/" } }]));
    let page = scene.get("/").await.body;
    for text in
        [">2000<", ">200<", ">1799<", "Clients were failed", "200 × <code>origin_error</code>"]
    {
        assert!(page.contains(text), "{text}: {page}");
    }
    let (_, failures) = page.split_once("Last failures").unwrap();
    assert!(
        failures.contains("424 MirrorFailed &lt;script&gt;") && !failures.contains("bucket 200")
    );
    assert!(scene.get("/buckets/examplebucket").await.body.contains(">2000<"));
    let page = scene.get("/activity").await.body;
    let (newer, older) =
        (page.find("examplebucket/b").unwrap(), page.find("examplebucket/a").unwrap());
    assert!(newer < older && page.contains("class=\"failure\""), "{page}");
    let found = scene.get("/activity?words=424+MirrorFailed").await.body;
    assert!(found.contains("examplebucket/a") && !found.contains("examplebucket/b"));
}

#[tokio::test]
async fn a_request_can_be_tried_by_everybody_who_looks() {
    let mut scene = Scene::closed().await;
    scene.sign_in("", READER).await;
    scene.write(&json!([
        { "RuleNumber": 1, "Condition": { "KeyPrefixEquals": "a/", "HttpErrorCodeReturnedEquals": 404 },
            "Redirect": { "RedirectType": "Mirror", "MirrorURL": "https://o.example/" } },
        { "RuleNumber": 2, "Condition": { "HttpErrorCodeReturnedEquals": 404 },
            "Redirect": { "RedirectType": "External", "HostName": "e.example" } },
    ]));
    let path = "/buckets/examplebucket/try";
    let empty = scene.get(path).await;
    assert!(empty.status == 200 && !empty.body.contains("id=\"result\""));
    let csrf = empty.hidden("csrf");
    for (key, told) in [
        ("a/b c", "<code id=\"result\">https://o.example/a/b%20c?x=1</code>"),
        ("'\"<b>", "e.example/"),
    ] {
        let form = [
            ("csrf", &*csrf),
            ("key", key),
            ("method", "GET"),
            ("status", "404"),
            ("query", "?x=1"),
        ];
        let told = if key == "a/b c" { told.replace("?x=1", "") } else { told.to_owned() };
        let page = scene.ask("POST", path, &form).await.body;
        assert!(page.contains(&told) && !page.contains("<b>"), "{page}");
        assert!(page.contains("b2o explain "), "{page}");
    }
    let page =
        scene.ask("POST", path, &[("csrf", &csrf), ("key", "z"), ("status", "200")]).await.body;
    assert!(
        page.contains("the bucket's answer stays") || page.contains("does not apply"),
        "{page}"
    );
    // But nobody has the servers asked who only looks.
    let answer = scene.ask("POST", "/test", &[("csrf", &csrf)]).await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn the_servers_are_asked_as_doctor_asks_them() {
    let mut scene = Scene::open().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = format!(
        "buckets:\n  - name: examplebucket\n    endpoint: http://{closed}\n    rules: rules.json\n"
    );
    std::fs::write(scene.path("deployment.yaml"), text).unwrap();
    let answer = scene.post("/test", &[]).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("Mend what is marked"), "{}", answer.body);
    assert!(answer.body.contains(&closed.to_string()));
    assert!(scene.lines.lock().unwrap().iter().any(|line| line.ends_with("test, reading")));
}
