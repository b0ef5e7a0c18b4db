//! `MirrorAuth`: what it must say, and what is shown of it.

use super::super::{Dialect, Format};
use super::{file, found};

const AUTH: &str = r#""AuthType": "S3V4", "Region": "eu-central-1", "AccessKeyId": "AK",
    "AccessKeySecret": "SK4711/+=""#;

/// A file with one rule that has these keys, and more.
fn rule(auth: &str, more: &str) -> String {
    format!(
        r#"{{"RoutingRules": [{{"RuleNumber": 1, "Condition": {{"HttpErrorCodeReturnedEquals": 404}},
            "Redirect": {{"RedirectType": "Mirror", "MirrorURL": "https://o.example.com/",
            "MirrorAuth": {{{auth}}}{more}}}}}]}}"#
    )
}

/// What is found, without lines and columns.
#[track_caller]
fn says(text: &str) -> Vec<String> {
    let file = file(text);
    let found = found(&file);
    let errors = found.iter().any(|line| line.contains(" error "));
    assert_eq!(errors, file.rules.is_none(), "{found:?}");
    let drawn = file.report.render(false);
    assert!(!drawn.contains("SK4711"), "{drawn}");
    let short = |line: &String| {
        let (_, rest) = line.split_once(' ').unwrap();
        rest.replace("/RoutingRules/0/Redirect/", "")
    };
    found.iter().map(short).collect()
}

#[test]
fn keys_are_whole_and_can_be_signed_with() {
    assert_eq!(says(&rule(AUTH, "")), [""; 0]);
    let missing = "error missing-element MirrorAuth";
    assert_eq!(says(&rule("", "")), [missing; 4]);
    for (from, to, expected) in [
        ("\"AuthType\": \"S3V4\",", "", missing),
        ("\"Region\": \"eu-central-1\",", "", missing),
        ("\"AK\"", "\"\"", missing),
        ("SK4711/+=", "", missing),
        ("S3V4", "S3V2", "error bad-word MirrorAuth/AuthType"),
        ("eu-central-1", "eu/central", "error bad-word MirrorAuth/Region"),
        ("\"AK\"", "\"A K\"", "error bad-word MirrorAuth/AccessKeyId"),
        ("\"AK\"", "\"A,K\"", "error bad-word MirrorAuth/AccessKeyId"),
        ("SK4711/+=", "SK4711 é", "error bad-word MirrorAuth/AccessKeySecret"),
        ("SK4711/+=", "********", "error bad-word MirrorAuth/AccessKeySecret"),
        ("\"SK4711/+=\"", "4711", "error wrong-type MirrorAuth/AccessKeySecret"),
        ("AuthType", "AuthKind", "error unknown-element MirrorAuth/AuthKind"),
    ] {
        let auth = AUTH.replace(from, to);
        let found = says(&rule(&auth, ""));
        assert!(found.contains(&expected.to_owned()), "{auth}: {found:?}");
    }
    let number = file(rule(&AUTH.replace("\"SK4711/+=\"", "4711"), "")).report.render(false);
    assert!(!number.contains("4711"), "{number}");
}

#[test]
fn nothing_else_signs_beside_it_and_nothing_goes_in_clear() {
    let set = r#", "MirrorHeaders": {"Set": [{"Key": "x-a", "Value": "1"},
        {"Key": "Authorization", "Value": "2"}]}"#;
    assert_eq!(says(&rule(AUTH, set)), ["error bad-header-name MirrorHeaders/Set/1/Key"]);
    let clear = rule(AUTH, "").replace("https://", "http://");
    assert_eq!(says(&clear), ["warning credentials-in-clear MirrorAuth"]);
    let external = rule(AUTH, r#", "HostName": "h.example""#).replace("\"Mirror\"", "\"External\"");
    assert!(says(&external).contains(&"warning no-effect MirrorAuth".to_owned()));
}

#[test]
fn every_form_of_osss_has_all_of_it_and_s3s_has_none() {
    let website = file(rule(AUTH, "")).website.unwrap();
    for text in [website.to_json(), website.to_xml().text, website.to_oss_xml().text] {
        assert!(text.contains("SK4711/+="), "{text}");
        assert_eq!(file(&text).website.unwrap(), website);
    }
    let oss = website.to_oss_xml();
    assert_eq!(oss.losses, []);
    let read = file(&oss.text);
    assert_eq!((read.format, read.dialect), (Some(Format::Xml), Some(Dialect::Oss)));
    assert!(read.rules.is_some());
    assert!(!website.to_s3_xml().losses.is_empty());
    assert!(website.has_secrets() && website.masked().has_secrets());
    let masked = website.masked();
    for text in [masked.to_json(), masked.to_xml().text] {
        assert!(!text.contains("SK4711") && text.contains("********"), "{text}");
        assert!(text.contains("AK") && text.contains("eu-central-1"), "{text}");
    }
}
