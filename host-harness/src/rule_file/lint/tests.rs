use std::path::Path;

use super::*;
use crate::rule_file::read_in;

fn home() -> Home {
    Home {
        name: "pictures".to_owned(),
        store_host: "store.example".to_owned(),
        store_port: 9000,
        is_virtual: false,
        listen: "0.0.0.0:8080".parse().unwrap(),
        domain: Some("s3.example".to_owned()),
        managed: vec!["192.0.1.1:9901".parse().unwrap(), "127.0.0.1:8090".parse().unwrap()],
    }
}

/// What is said of rules, each a condition and a redirect; the bucket is known.
fn lints(rules: &[(&str, &str)]) -> Vec<String> {
    let rule = |(index, (condition, redirect)): (usize, &(&str, &str))| {
        let number = index + 1;
        format!(
            r#"{{"RuleNumber": {number}, "Condition": {{{condition}}}, "Redirect": {{{redirect}}}}}"#
        )
    };
    let rules: Vec<_> = rules.iter().enumerate().map(rule).collect();
    let text = format!("[{}]", rules.join(",\n"));
    let surroundings = Surroundings { bucket: Some(home()), ..Surroundings::default() };
    let file = read_in("rules", text.as_bytes(), None, &surroundings);
    let of_lints = [
        "never-matches",
        "redirect-loop",
        "origin-is-bucket",
        "internal-origin",
        "credentials-in-clear",
        "sent-to-private-origin",
    ];
    let problems = file.report.problems.iter();
    problems
        .filter(|problem| of_lints.contains(&problem.code))
        .map(|problem| format!("{} {}", problem.code, problem.pointer.as_deref().unwrap()))
        .collect()
}

const MISSING: &str = r#""HttpErrorCodeReturnedEquals": 404"#;
const AWAY: &str = r#""RedirectType": "External", "HostName": "other.example""#;

#[test]
fn a_rule_that_an_earlier_one_covers_never_applies() {
    let prefix = |prefix: &str| format!(r#"{MISSING}, "KeyPrefixEquals": "{prefix}""#);
    let mirror = r#""RedirectType": "Mirror", "MirrorURL": "https://o.example/""#;
    let passes = &format!(r#"{mirror}, "MirrorFallThrough": true"#);
    let head = &format!(r#"{mirror}, "MirrorAllowHeadObject": true"#);
    let a_and_jpg = &format!(r#"{}, "KeySuffixEquals": ".jpg""#, prefix("a/"));
    let b_and_jpg = &format!(r#"{}, "KeySuffixEquals": ".jpg""#, prefix("a/b/"));
    let (a, ab, all) = (&*prefix("a/"), &*prefix("a/b/"), MISSING);
    let never = |rule: usize| vec![format!("never-matches /{rule}/Condition")];
    for (rules, expected) in [
        (&[(a, AWAY), (ab, AWAY)][..], never(1)),
        (&[(ab, AWAY), (a, AWAY)], vec![]),
        (&[(a, AWAY), (a, mirror)], never(1)),
        (&[(a, AWAY), (b_and_jpg, AWAY)], never(1)),
        (&[(a_and_jpg, AWAY), (ab, AWAY)], vec![]),
        (&[(a_and_jpg, AWAY), (b_and_jpg, AWAY)], never(1)),
        (&[("", AWAY), (ab, AWAY)], never(1)),
        (&[("", AWAY), (r#""HttpErrorCodeReturnedEquals": 403"#, AWAY)], never(1)),
        (&[(all, AWAY), ("", AWAY)], vec![]),
        (&[(all, AWAY), (r#""HttpErrorCodeReturnedEquals": 503"#, AWAY)], vec![]),
        (&[(all, mirror), (ab, mirror)], never(1)),
        // A HEAD meets the rule that its GET would meet.
        (&[(all, mirror), (ab, head)], never(1)),
        (&[(all, passes), (ab, mirror)], vec![]),
        (&[(r#""HttpErrorCodeReturnedEquals": "4XX""#, AWAY), (ab, AWAY)], never(1)),
        (&[(r#""HttpErrorCodeReturnedEquals": [404, "5XX"]"#, AWAY), (ab, AWAY)], never(1)),
    ] {
        assert_eq!(lints(rules), expected, "{rules:?}");
    }
}

#[test]
fn a_redirect_that_comes_back_is_a_loop() {
    let host = |host: &str, rest: &str| format!(r#""HostName": "{host}" {rest}"#);
    let a = &format!(r#"{MISSING}, "KeyPrefixEquals": "a/""#);
    let b = &format!(r#"{MISSING}, "KeyPrefixEquals": "b/""#);
    let to =
        |prefix: &str| format!(r#""RedirectType": "External", "ReplaceKeyPrefixWith": "{prefix}""#);
    let into_path = r#", "ReplaceKeyPrefixWith": "pictures/a/""#;
    let no_status = r#""KeyPrefixEquals": "a/""#;
    let of = |rule: &str| vec![format!("redirect-loop {rule}")];
    let rules = |redirect: &str, condition: &str| lints(&[(condition, redirect)]);
    assert_eq!(rules(&host("pictures.s3.example", ""), a), of("/0/Redirect/HostName"));
    assert_eq!(rules(&host("pictures.s3.example:8080", ""), a), of("/0/Redirect/HostName"));
    assert_eq!(rules(&host("other.s3.example", ""), a), [""; 0]);
    // The bucket is missing in the path: it is another bucket's.
    assert_eq!(rules(&host("127.0.0.1:8080", ""), a), [""; 0]);
    assert_eq!(rules(&host("127.0.0.1:8080", into_path), a), of("/0/Redirect/HostName"));
    assert_eq!(rules(&host("localhost:8081", into_path), a), [""; 0]);
    assert_eq!(rules(r#""HttpRedirectCode": 302"#, a), of("/0/Redirect"));
    assert_eq!(rules(r#""Protocol": "https""#, a), [""; 0]);
    // What is sought elsewhere may be there.
    assert_eq!(rules(r#""ReplaceKeyWith": "index.html""#, MISSING), [""; 0]);
    assert_eq!(rules(&to("a/old/"), a), [""; 0]);
    assert_eq!(rules(&to("a/old/"), no_status), of("/0/Redirect"));
    assert_eq!(rules(r#""ReplaceKeyWith": "a/x""#, no_status), of("/0/Redirect"));
    assert_eq!(rules(r#""ReplaceKeyWith": "x""#, no_status), [""; 0]);
    assert_eq!(rules(r#""ReplaceKeyWith": "a/${key}""#, no_status), of("/0/Redirect"));
    assert_eq!(lints(&[(a, &to("b/")), (b, &to("a/"))]), of("/0/Redirect"));
    assert_eq!(lints(&[(a, &to("b/")), (b, &to("c/"))]), [""; 0]);
}

#[test]
fn an_origin_that_is_the_bucket_is_found() {
    let mirror = |url: &str, rest: &str| {
        lints(&[(MISSING, &format!(r#""RedirectType": "Mirror", "MirrorURL": "{url}" {rest}"#))])
    };
    let own = ["origin-is-bucket /0/Redirect/MirrorURL"];
    assert_eq!(mirror("http://store.example:9000/pictures/", ""), own);
    assert_eq!(mirror("http://store.example:9000/others/", ""), [""; 0]);
    assert_eq!(mirror("http://store.example:9001/pictures/", ""), [""; 0]);
    assert_eq!(mirror("http://store.example:9000/pictures/old/", ""), [""; 0]);
    assert_eq!(mirror("http://pictures.store.example:9000/", ""), own);
    assert_eq!(mirror("https://pictures.s3.example/", ""), own);
    assert_eq!(mirror("https://others.s3.example/", ""), [""; 0]);
    assert_eq!(mirror("https://s3.example/pictures/", ""), own);
    // Through the gateway the rule applies to the other key, too, and so on.
    assert_eq!(mirror("https://s3.example/pictures/old/", ""), own);
    let moved = lints(&[(
        &format!(r#"{MISSING}, "KeyPrefixEquals": "new/""#),
        r#""RedirectType": "Mirror", "MirrorURL": "https://pictures.s3.example/",
            "EnableReplacePrefix": true, "ReplaceKeyPrefixWith": "old/""#,
    )]);
    assert_eq!(moved, [""; 0]);
}

#[test]
fn origins_on_the_inside_are_found() {
    let mirror = |url: &str| {
        lints(&[(MISSING, &format!(r#""RedirectType": "Mirror", "MirrorURL": "{url}""#))])
    };
    for inside in [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1:81",
        "169.254.169.254",
        "100.64.0.1",
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[fd00::1]",
        "[::ffff:10.0.0.1]",
        "localhost",
        "a.localhost",
        "LOCALHOST.",
        "origin",
        "a.internal",
        "a.svc.cluster.local",
        "b.oss-cn-hangzhou-internal.aliyuncs.com",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "0x7F000001",
        "127.1",
        "127.0.0.1.",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::169.254.169.254]",
        "[2002:7f00:1::]",
        "[::127.0.0.1]",
        "[fec0::1]",
        "[ff02::1]",
        "[2001:db8::1]",
        "224.0.0.1",
        "255.255.255.255",
        "198.18.0.1",
        "192.0.2.1",
        "168.63.129.16",
        "store.default.svc",
        "nas.lan",
        "printer.local",
        "a.b.cluster.local",
        "x.corp",
        "router.home.arpa",
    ] {
        let found = mirror(&format!("https://{inside}/"));
        assert_eq!(found, ["internal-origin /0/Redirect/MirrorURL"], "{inside}");
    }
    for outside in [
        "www.example.com",
        "93.184.216.34",
        "172.32.0.1",
        "100.128.0.1",
        "[2606:4700::1111]",
        "[64:ff9b::808:808]",
        "[2002:808:808::1]",
        "svc.example.com",
        "b.oss-cn-hangzhou.aliyuncs.com",
        "internal.example.com",
        "源站.example.com",
    ] {
        assert_eq!(mirror(&format!("https://{outside}/")), [""; 0], "{outside}");
    }
    let others = r#""RedirectType": "Mirror", "MirrorURL": "https://o.example/",
        "MirrorURLSlave": "http://10.0.0.1/", "MirrorURLProbe": "http://10.0.0.1/ok",
        "MirrorMultiAlternates": {"MirrorMultiAlternate": [{"MirrorMultiAlternateNumber": 1,
        "MirrorMultiAlternateURL": "http://10.0.0.2/"}]}"#;
    let alternate = "MirrorMultiAlternates/MirrorMultiAlternate/0/MirrorMultiAlternateURL";
    assert_eq!(
        lints(&[(MISSING, others)]),
        [
            "internal-origin /0/Redirect/MirrorURLSlave".to_owned(),
            format!("internal-origin /0/Redirect/{alternate}")
        ]
    );
}

#[test]
fn an_interface_of_the_gateways_own_is_no_origin_wherever_origins_may_be() {
    let found = |url: &str| {
        let rules = format!(
            r#"[{{"RuleNumber": 1, "Condition": {{{MISSING}}}, "Redirect": {{
                "RedirectType": "Mirror", "MirrorURL": "{url}"}}}}]"#
        );
        let surroundings =
            Surroundings { bucket: Some(home()), internal_origins: None, asks: None };
        let file = read_in("rules", rules.as_bytes(), None, &surroundings);
        file.report.problems.iter().any(|problem| problem.code == "internal-origin")
    };
    for own in ["192.0.1.1:9901", "[::ffff:192.0.1.1]:9901", "127.0.0.1:8090", "localhost:8090"] {
        assert!(found(&format!("http://{own}/")), "{own}");
    }
    for other in ["192.0.1.1:9902", "192.0.1.2:9901", "localhost:8091", "o.example:9901"] {
        assert!(!found(&format!("http://{other}/")), "{other}");
    }
}

#[test]
fn secrets_in_clear_are_found() {
    let mirror = |url: &str, headers: &str| {
        lints(&[(
            MISSING,
            &format!(
                r#""RedirectType": "Mirror", "MirrorURL": "{url}", "MirrorHeaders": {{{headers}}}"#
            ),
        )])
    };
    let set = |name: &str| format!(r#""Set": [{{"Key": "{name}", "Value": "v"}}]"#);
    let found =
        |place: &str| vec![format!("credentials-in-clear /0/Redirect/MirrorHeaders/{place}")];
    for name in ["Authorization", "cookie", "x-api-key", "X-Auth-Token", "x-session-id"] {
        assert_eq!(mirror("http://o.example/", &set(name)), found("Set/0/Key"), "{name}");
        assert_eq!(mirror("https://o.example/", &set(name)), [""; 0], "{name}");
    }
    assert_eq!(mirror("http://o.example/", &set("x-source")), [""; 0]);
    assert_eq!(mirror("http://o.example/", r#""PassAll": true"#), found("PassAll"));
    let without = r#""PassAll": true, "Remove": ["Cookie"]"#;
    assert_eq!(mirror("http://o.example/", without), [""; 0]);
    assert_eq!(mirror("http://o.example/", r#""Pass": ["a", "cookie"]"#), found("Pass/1"));
    assert_eq!(mirror("http://o.example/", r#""Pass": ["authorization"]"#), [""; 0]);
    // Nothing leaves the machine.
    let here = mirror("http://localhost/", &set("cookie"));
    assert_eq!(here, ["internal-origin /0/Redirect/MirrorURL"]);
}

#[test]
fn a_client_that_is_sent_to_a_private_origin_is_found() {
    let auth = r#""MirrorAuth": {"AuthType": "S3V4", "Region": "r", "AccessKeyId": "k",
        "AccessKeySecret": "s"}"#;
    let mirror = |more: &str| {
        lints(&[(
            MISSING,
            &format!(r#""RedirectType": "Mirror", "MirrorURL": "https://o.example/" {more}"#),
        )])
    };
    let found = |element: &str| vec![format!("sent-to-private-origin /0/Redirect/{element}")];
    assert_eq!(mirror(&format!(", {auth}")), [""; 0]);
    let at_once = r#", "MirrorAsyncStatus": 303"#;
    assert_eq!(mirror(at_once), [""; 0]);
    assert_eq!(mirror(&format!(", {auth} {at_once}")), found("MirrorAsyncStatus"));
    for (word, expected) in [("Redirect", found("MirrorTooLarge")), ("Fail", vec![])] {
        let large = format!(r#", "MirrorTooLarge": "{word}""#);
        assert_eq!(mirror(&large), [""; 0], "{word}");
        assert_eq!(mirror(&format!(", {auth} {large}")), expected, "{word}");
    }
    // Keys without effect sign nothing.
    let external = format!("{AWAY}, {auth} {at_once}");
    assert_eq!(lints(&[(MISSING, &external)]), [""; 0]);
}

#[test]
fn a_403_is_a_miss_for_who_can_prove_it() {
    let found = |status: &str, more: &str, asks: Option<Asks>| {
        let rules = format!(
            r#"[{{"RuleNumber": 1, "Condition": {{"HttpErrorCodeReturnedEquals": {status}}}, "Redirect": {{
                "RedirectType": "{more}"}}}}]"#
        );
        let surroundings = Surroundings { bucket: Some(home()), asks, ..Surroundings::default() };
        let file = read_in("rules", rules.as_bytes(), None, &surroundings);
        let place = "/0/Condition/HttpErrorCodeReturnedEquals";
        let problems = file.report.problems.iter();
        let lines: Vec<_> = problems
            .filter(|problem| problem.pointer.as_deref() == Some(place))
            .map(|problem| format!("{:?} {}", problem.weight, problem.code))
            .collect();
        (lines.join(", "), file.rules.is_some())
    };
    let mirror = r#"Mirror", "MirrorURL": "https://o.example/"#;
    let away = r#"External", "HostName": "h.example"#;
    for (status, kind, asks, line, is_taken) in [
        ("403", mirror, Asks::Writes, "", true),
        ("[403, 404]", mirror, Asks::Writes, "", true),
        ("404", mirror, Asks::Writes, "Info forbidden-miss", true),
        ("[403, 404]", mirror, Asks::Nobody, "Error missing-credentials", false),
        ("404", mirror, Asks::Nobody, "", true),
        ("[403, 404]", mirror, Asks::Reads, "Warning no-effect", true),
        ("404", mirror, Asks::Reads, "", true),
        ("403", away, Asks::Nobody, "", true),
        ("404", away, Asks::Writes, "", true),
    ] {
        let expected = (line.to_owned(), is_taken);
        assert_eq!(found(status, kind, Some(asks)), expected, "{status} {kind} {asks:?}");
    }
    // By itself a file says nothing of keys.
    assert_eq!(found("403", mirror, None), (String::new(), true));
    assert_eq!(found("404", mirror, None), (String::new(), true));
}

/// The notes on rules.
fn notes(text: &str) -> Vec<String> {
    let file = read_in("rules", text.as_bytes(), None, &Surroundings::default());
    let noted = |problem: &Problem| {
        assert_eq!(problem.weight, Weight::Info);
        format!("{} {}", problem.code, problem.pointer.as_deref().unwrap())
    };
    file.notes.iter().map(noted).collect()
}

#[test]
fn what_surprises_people_later_is_noted_and_refuses_nothing() {
    let rule = |redirect: &str| {
        format!(
            r#"[{{"RuleNumber": 1, "Condition": {{{MISSING}}},
                "Redirect": {{"RedirectType": "Mirror", "MirrorURL": "https://o.example/"{redirect}}}}}]"#
        )
    };
    let head = r#", "MirrorAllowHeadObject": true"#;
    let all = r#", "MirrorHeaders": {"PassAll": true}"#;
    let (silent, varies) =
        ("without-head /0/Redirect", "varies-by-client /0/Redirect/MirrorHeaders/PassAll");
    for (redirect, expected) in [
        (String::new(), &[silent][..]),
        (head.to_owned(), &[]),
        (r#", "MirrorAllowHeadObject": false"#.to_owned(), &[]),
        (all.to_owned(), &[silent, varies]),
        (format!("{head}{all}"), &[varies]),
        (format!("{head}{all}, \"MirrorProxyPass\": true"), &[]),
        (format!(r#"{head}, "MirrorHeaders": {{"PassAll": false, "Pass": ["accept"]}}"#), &[]),
    ] {
        let text = rule(&redirect);
        assert_eq!(notes(&text), expected, "{text}");
        let file = read_in("rules", text.as_bytes(), None, &Surroundings::default());
        assert!(file.rules.is_some() && file.report.problems.is_empty(), "{text}");
    }
    let away =
        format!(r#"[{{"RuleNumber": 1, "Condition": {{{MISSING}}}, "Redirect": {{{AWAY}}}}}]"#);
    assert_eq!(notes(&away), Vec::<String>::new());
}

#[test]
fn every_sample_answers_heads() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let mut samples = vec![("demo".to_owned(), include_str!("../../demo/rules.json").to_owned())];
    let entries = |folder: &str| std::fs::read_dir(root.join(folder)).unwrap();
    let generated =
        entries("envoy/generated").map(|entry| entry.unwrap().path().join("rules.json"));
    for path in entries("envoy/rules").map(|entry| entry.unwrap().path()).chain(generated) {
        samples.push((path.display().to_string(), read(&path)));
    }
    for page in ["README.md", "envoy/README.md", "envoy/DEPLOYMENT.md", "envoy/RULES.md"] {
        let text = read(&root.join(page));
        let blocks = text.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
        samples.extend(blocks.map(|block| (page.to_owned(), block.to_owned())));
    }
    let mut mirrors = 0;
    for (name, text) in samples {
        mirrors += text.matches("\"Mirror\"").count();
        let heads: Vec<_> =
            notes(&text).into_iter().filter(|note| note.starts_with("without-head")).collect();
        assert_eq!(heads, Vec::<String>::new(), "{name}: {text}");
    }
    assert!(mirrors > 4, "{mirrors} Mirror rules in samples");
    let envoy = read(&root.join("envoy/envoy.yaml"));
    let on = "\"MirrorAllowHeadObject\": true";
    assert_eq!(envoy.matches("\"Mirror\"").count(), envoy.matches(on).count(), "envoy.yaml");
}
