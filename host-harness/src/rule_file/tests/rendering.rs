//! How findings are drawn in the file they are about.

use super::{file, oss};

fn render(text: &str) -> String {
    super::read("rules.json", text.as_bytes(), None).report.render(false)
}

#[test]
fn every_finding_is_drawn_where_it_stands() {
    let text = r#"{
  "RoutingRules": [
    {
      "RuleNumber": 1,
      "Condition": { "KeyPrefix": "a/", "HttpErrorCodeReturnedEquals": 404 },
      "Redirect": { "RedirectType": "Mirror", "MirrorURL": "www.example.com/a" }
    },
    {
      "RuleNumber": 1,
      "Condition": { "HttpErrorCodeReturnedEquals": 404, "HttpErrorCodeReturnedEquals": 404 },
      "Redirect": { "RedirectType": "External", "HostName": "a.example", "HttpRedirectCode": 308 }
    }
  ]
}
"#;
    let expected = r#"error[unknown-element]: `KeyPrefix` is no element of this place
 --> rules.json:5:22
  |
5 |       "Condition": { "KeyPrefix": "a/", "HttpErrorCodeReturnedEquals": 404 },
  |                      ^^^^^^^^^^^
  |
  = at: /RoutingRules/0/Condition/KeyPrefix
  = help: known here: KeyPrefixEquals, KeySuffixEquals, HttpErrorCodeReturnedEquals, IncludeHeader

error[bad-mirror-url]: expected a URL that starts with http:// or https://, found "www.example.com/a"
 --> rules.json:6:60
  |
6 |       "Redirect": { "RedirectType": "Mirror", "MirrorURL": "www.example.com/a" }
  |                                                            ^^^^^^^^^^^^^^^^^^^
  |
  = at: /RoutingRules/0/Redirect/MirrorURL
  = help: write it as https://host/ or https://host/path/

error[duplicate-rule-number]: RuleNumber 1 is already that of /RoutingRules/0
 --> rules.json:9:21
  |
9 |       "RuleNumber": 1,
  |                     ^
  |
  = at: /RoutingRules/1/RuleNumber
  = help: rules are tried in the order of their numbers: give each its own

error[duplicate-element]: `HttpErrorCodeReturnedEquals` stands twice in the same object
  --> rules.json:10:58
   |
10 |       "Condition": { "HttpErrorCodeReturnedEquals": 404, "HttpErrorCodeReturnedEquals": 404 },
   |                      -----------------------------       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   |                      |
   |                      first given here
   |
   = at: /RoutingRules/1/Condition/HttpErrorCodeReturnedEquals
   = help: keep one of the two

error[bad-redirect-code]: expected 301, 302 or 307, found 308
  --> rules.json:11:94
   |
11 |       "Redirect": { "RedirectType": "External", "HostName": "a.example", "HttpRedirectCode": 308 }
   |                                                                                              ^^^
   |
   = at: /RoutingRules/1/Redirect/HttpRedirectCode
   = help: S3's form takes every status from 301: without RuleNumber, and with S3's elements alone

"#;
    assert_eq!(render(text), expected);
}

#[test]
fn a_text_that_is_not_json_has_a_line_and_a_column() {
    let expected = "\
error[syntax]: the text is not JSON: trailing comma
 --> rules.json:2:21
  |
2 |   \"RoutingRules\": [ ,]
  |                     ^

";
    let rendered = render("{\n  \"RoutingRules\": [ ,]\n}\n");
    assert!(rendered.starts_with("error[syntax]: the text is not JSON: "), "{rendered}");
    let place = expected.split_once('\n').unwrap().1;
    assert!(rendered.ends_with(place), "{rendered}");
}

#[test]
fn a_deep_text_is_a_finding_and_no_overflow() {
    let rendered = render(&"[".repeat(1_000_000));
    assert!(rendered.starts_with("error[syntax]: "), "{:.200}", rendered);
}

#[test]
fn findings_are_drawn_in_xml_as_in_json() {
    let text = "<WebsiteConfiguration>
  <RoutingRules>
    <RoutingRule>
      <RuleNumber>1</RuleNumber>
      <Condition><KeyPrefix>a/</KeyPrefix></Condition>
      <Redirect><MirrorURL>www.example.com/a</MirrorURL><RedirectType>Mirror</RedirectType></Redirect>
      <RuleNumber>2</RuleNumber>
    </RoutingRule>
  </RoutingRules>
</WebsiteConfiguration>
";
    let expected = r#"error[unknown-element]: `KeyPrefix` is no element of this place
 --> rules.json:5:19
  |
5 |       <Condition><KeyPrefix>a/</KeyPrefix></Condition>
  |                   ^^^^^^^^^
  |
  = at: /RoutingRules/0/Condition/KeyPrefix
  = help: known here: KeyPrefixEquals, KeySuffixEquals, HttpErrorCodeReturnedEquals, IncludeHeader

error[bad-mirror-url]: expected a URL that starts with http:// or https://, found "www.example.com/a"
 --> rules.json:6:28
  |
6 |       <Redirect><MirrorURL>www.example.com/a</MirrorURL><RedirectType>Mirror</RedirectType></Redirect>
  |                            ^^^^^^^^^^^^^^^^^
  |
  = at: /RoutingRules/0/Redirect/MirrorURL
  = help: write it as https://host/ or https://host/path/

error[duplicate-element]: `RuleNumber` stands twice in the same object
 --> rules.json:7:8
  |
4 |       <RuleNumber>1</RuleNumber>
  |        ---------- first given here
...
7 |       <RuleNumber>2</RuleNumber>
  |        ^^^^^^^^^^
  |
  = at: /RoutingRules/0/RuleNumber
  = help: keep one of the two

"#;
    assert_eq!(render(text), expected);
}

#[test]
fn a_secret_is_never_shown() {
    let secret =
        "<Redirect><MirrorAuth><AccessKeySecret>SK4711</AccessKeySecret></MirrorAuth></Redirect>";
    let rendered = file(oss(&[secret])).report.render(false);
    assert!(rendered.contains("<AccessKeySecret>******</AccessKeySecret>"), "{rendered}");
    let json = r#"[{"RuleNumber": 1, "Redirect": {"MirrorAuth": {"AccessKeySecret": "SK4711"}}}]"#;
    assert!(!file(json).report.render(false).contains("SK4711"));
}
