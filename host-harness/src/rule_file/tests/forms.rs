//! What the forms have in common, and what one of them cannot say.

use super::super::{Dialect, Format};
use super::{file, found, oss, s3};

const RULE: &str = "<RuleNumber>1</RuleNumber><Condition><KeyPrefixEquals>a/</KeyPrefixEquals>\
    <HttpErrorCodeReturnedEquals>404</HttpErrorCodeReturnedEquals></Condition><Redirect>\
    <RedirectType>Mirror</RedirectType><MirrorURL>https://www.example.com/</MirrorURL></Redirect>";

const REDIRECT: &str = "<Redirect><HostName>www.example.com</HostName></Redirect>";

#[track_caller]
fn right(text: &str, format: Format, dialect: Dialect) -> serde_json::Value {
    let file = file(text);
    assert!(file.rules.is_some(), "{text}: {:?}", found(&file));
    assert_eq!((file.format, file.dialect), (Some(format), Some(dialect)), "{text}");
    file.website.unwrap().routing_rules()
}

#[test]
fn xml_and_json_of_the_same_rules_are_the_same() {
    let json = r#"{"RoutingRules": [{"RuleNumber": 1, "Condition": {"KeyPrefixEquals": "a/",
        "HttpErrorCodeReturnedEquals": 404}, "Redirect": {"RedirectType": "Mirror",
        "MirrorURL": "https://www.example.com/"}}]}"#;
    let expected: serde_json::Value = serde_json::from_str(json).unwrap();
    let rules = &expected["RoutingRules"];
    assert_eq!(&right(json, Format::Json, Dialect::Oss), rules);
    assert_eq!(&right(&oss(&[RULE]), Format::Xml, Dialect::Oss), rules);
    let in_namespace = oss(&[RULE]).replace(
        "<WebsiteConfiguration>",
        "<WebsiteConfiguration xmlns=\"http://doc.oss-cn-hangzhou.aliyuncs.com\">",
    );
    assert_eq!(&right(&in_namespace, Format::Xml, Dialect::Oss), rules);
    let prefixed = oss(&[RULE]).replace("</", "</o:").replace('<', "<o:").replace("<o:/o:", "</o:");
    let prefixed = prefixed.replace(
        "<o:WebsiteConfiguration>",
        "<o:WebsiteConfiguration xmlns:o=\"http://doc.oss-cn-hangzhou.aliyuncs.com/\">",
    );
    assert_eq!(&right(&prefixed, Format::Xml, Dialect::Oss), rules, "{prefixed}");
    let rest = "<?xml version='1.0' encoding='utf-8'?><!-- rules --><?editor x?>\n";
    assert_eq!(
        &right(&format!("\u{feff}{rest}{}", oss(&[RULE])), Format::Xml, Dialect::Oss),
        rules
    );
    assert_eq!(&right(&format!("\u{feff}{json}"), Format::Json, Dialect::Oss), rules);
    let reordered = "<Redirect><MirrorURL> https://www.example.com/\n</MirrorURL><RedirectType>\
        Mirror</RedirectType></Redirect><RuleNumber> 1 </RuleNumber><Condition>\
        <HttpErrorCodeReturnedEquals>404</HttpErrorCodeReturnedEquals><KeyPrefixEquals>a/\
        </KeyPrefixEquals></Condition>";
    assert_eq!(&right(&oss(&[reordered]), Format::Xml, Dialect::Oss), rules);
}

#[test]
fn values_are_what_their_text_spells() {
    let rule = "<RuleNumber>1</RuleNumber><Condition><KeyPrefixEquals> a&amp;&#x62;<![CDATA[<c>]]>\
        <!-- d -->e </KeyPrefixEquals><HttpErrorCodeReturnedEquals>404</HttpErrorCodeReturnedEquals>\
        </Condition><Redirect><RedirectType>Mirror</RedirectType><MirrorURL>http://www.example.com/\
        </MirrorURL><EnableReplacePrefix>True</EnableReplacePrefix><ReplaceKeyPrefixWith />\
        <MirrorHeaders><PassAll>FALSE</PassAll><Pass>a</Pass><Set><Key>k</Key><Value/></Set>\
        <Pass>b</Pass></MirrorHeaders></Redirect>";
    let rules = right(&oss(&[rule]), Format::Xml, Dialect::Oss);
    let (condition, redirect) = (&rules[0]["Condition"], &rules[0]["Redirect"]);
    assert_eq!(condition["KeyPrefixEquals"], " a&b<c>e ");
    assert_eq!(redirect["EnableReplacePrefix"], true);
    assert_eq!(redirect["ReplaceKeyPrefixWith"], "");
    assert_eq!(redirect.get("ReplaceKeyWith"), None);
    assert_eq!(redirect["MirrorHeaders"]["PassAll"], false);
    assert_eq!(redirect["MirrorHeaders"]["Pass"], serde_json::json!(["a", "b"]));
    assert_eq!(redirect["MirrorHeaders"]["Set"], serde_json::json!([{"Key": "k", "Value": ""}]));
}

#[test]
fn s3s_rules_are_numbered_in_the_order_of_the_text() {
    let rules = right(
        &s3(&[
            "<Condition><KeyPrefixEquals>a</KeyPrefixEquals></Condition><Redirect><Protocol>https\
            </Protocol></Redirect>",
            REDIRECT,
        ]),
        Format::Xml,
        Dialect::S3,
    );
    assert_eq!(rules[0]["RuleNumber"], 1);
    assert_eq!(rules[1]["RuleNumber"], 2);
    assert_eq!(rules[1]["Condition"], serde_json::json!({}));
    let console = r#"[{"Condition": {"HttpErrorCodeReturnedEquals": "404"},
        "Redirect": {"HostName": "www.example.com", "HttpRedirectCode": "302"}}]"#;
    let rules = right(console, Format::Json, Dialect::S3);
    assert_eq!(rules[0]["Condition"]["HttpErrorCodeReturnedEquals"], 404);
    assert_eq!(rules[0]["Redirect"]["HttpRedirectCode"], 302);
    right(&oss(&[REDIRECT]), Format::Xml, Dialect::S3);
    right(r#"{"RoutingRules": []}"#, Format::Json, Dialect::Oss);
    right(r#"{"IndexDocument": {"Suffix": "i"}}"#, Format::Json, Dialect::Oss);
    right(r#"{"$schema": "rules.schema.json", "RoutingRules": []}"#, Format::Json, Dialect::Oss);
}

#[test]
fn s3s_rules_are_taken_as_its_other_tools_write_them() {
    let list = format!("<RoutingRules>\n<RoutingRule>{REDIRECT}</RoutingRule></RoutingRules>");
    let rules = right(&list, Format::Xml, Dialect::S3);
    assert_eq!(rules[0]["Redirect"]["HostName"], "www.example.com");
    let of_oss = format!("<RoutingRules><RoutingRule>{RULE}</RoutingRule></RoutingRules>");
    assert_eq!(right(&of_oss, Format::Xml, Dialect::Oss)[0]["RuleNumber"], 1);
    let named = list.replace(
        "<RoutingRules>",
        "<RoutingRules xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">",
    );
    right(&named, Format::Xml, Dialect::S3);
    // What is wrong in it is pointed at all the same.
    let wrong = list.replace("HostName", "Hostname");
    assert!(
        found(&file(&wrong)).iter().any(|line| line.ends_with("/RoutingRules/0/Redirect/Hostname")),
        "{:?}",
        found(&file(&wrong))
    );
    let cloud_formation = r#"{"WebsiteConfiguration": {"IndexDocument": {"Suffix": "i"}, "RoutingRules": [
        {"RoutingRuleCondition": {"KeyPrefixEquals": "a/"}, "RedirectRule": {"HostName": "h.example"}}]}}"#;
    let rules = right(cloud_formation, Format::Json, Dialect::S3);
    assert_eq!(rules[0]["Condition"]["KeyPrefixEquals"], "a/");
    assert_eq!(rules[0]["Redirect"]["HostName"], "h.example");
    let bare = r#"[{"RoutingRuleCondition": {"HttpErrorCodeReturnedEquals": "404"},
        "RedirectRule": {"ReplaceKeyPrefixWith": "prod/resize?key="}}]"#;
    assert_eq!(right(bare, Format::Json, Dialect::S3)[0]["RuleNumber"], 1);
}

#[test]
fn each_form_has_its_own_limits() {
    let rules = |count: usize, more: &str, code: u16| -> String {
        let rules: Vec<_> = (1..=count)
            .map(|number| {
                let number = more.replace('#', &number.to_string());
                format!(
                    r#"{{{number}"Condition": {{"KeyPrefixEquals": "a"}}, "Redirect":
                    {{"HostName": "h.example", "HttpRedirectCode": {code}}}}}"#
                )
            })
            .collect();
        format!("[{}]", rules.join(","))
    };
    let errors = |text: &str| -> Vec<String> {
        let lines = found(&file(text)).into_iter();
        lines.filter_map(|line| Some(line.split_once(" error ")?.1.to_owned())).collect()
    };
    let oss = r##""RuleNumber": #, "##;
    let refused: fn(&str) -> Vec<String> = |what| vec![what.to_owned()];
    for (count, more, code, expected) in [
        (50, "", 308, vec![]),
        (51, "", 301, refused("too-many ")),
        (1, "", 300, refused("bad-redirect-code /0/Redirect/HttpRedirectCode")),
        (1, "", 399, vec![]),
        (1, "", 400, refused("bad-redirect-code /0/Redirect/HttpRedirectCode")),
        (20, oss, 307, vec![]),
        (21, oss, 301, refused("too-many ")),
        (1, oss, 308, refused("bad-redirect-code /0/Redirect/HttpRedirectCode")),
        (1, oss, 300, refused("bad-redirect-code /0/Redirect/HttpRedirectCode")),
    ] {
        assert_eq!(errors(&rules(count, more, code)), expected, "{count} {more} {code}");
    }
    // What S3's form alone may have is written in it, and can be read again.
    let website = file(rules(24, "", 308)).website.unwrap();
    assert_eq!(file(website.to_json()).website.unwrap(), website, "{}", website.to_json());
    assert_eq!(file(website.to_s3_xml().text).website.unwrap(), website);
    let losses = website.to_oss_xml().losses;
    let of = |pointer: &str| losses.iter().any(|loss| loss.pointer.as_deref() == Some(pointer));
    assert!(
        of("/RoutingRules/0/Redirect/HttpRedirectCode") && of("/RoutingRules/20"),
        "{losses:?}"
    );
    assert_eq!(losses.len(), 24);
}

#[test]
fn what_one_form_says_otherwise_than_the_other_is_an_error() {
    let template = "<Redirect><ReplaceKeyWith>a/${key}</ReplaceKeyWith></Redirect>";
    let slave = "<Redirect><HostName>h.example</HostName><MirrorSNI>true</MirrorSNI></Redirect>";
    for (text, expected) in [
        (s3(&[RULE]), "2:15 error rule-number-in-s3 /RoutingRules/0/RuleNumber"),
        (s3(&[REDIRECT, slave]), "3:55 error not-of-s3 /RoutingRules/1/Redirect/MirrorSNI"),
        (
            s3(&[&format!("<Condition/>{REDIRECT}")]),
            "2:15 error empty-condition /RoutingRules/0/Condition",
        ),
        (
            oss(&[]).replace("<RoutingRules>", "<RedirectAllRequestsTo/><RoutingRules>").replace(
                "<WebsiteConfiguration>",
                "<WebsiteConfiguration xmlns=\"http://doc.oss-cn-hangzhou.aliyuncs.com\">",
            ),
            "1:72 error not-of-oss /RedirectAllRequestsTo",
        ),
        (s3(&[template]), "2:40 error template-in-s3 /RoutingRules/0/Redirect/ReplaceKeyWith"),
    ] {
        let file = file(&text);
        assert!(file.rules.is_none() && file.website.is_none(), "{text}");
        assert!(found(&file).contains(&expected.to_owned()), "{text}: {:?}", found(&file));
    }
}

#[test]
fn an_api_says_whose_form_it_takes() {
    let s3s = super::read("", oss(&[REDIRECT]).as_bytes(), Some(Dialect::S3));
    assert!(s3s.rules.is_some());
    let osss = super::read("", oss(&[REDIRECT]).as_bytes(), Some(Dialect::Oss));
    assert!(found(&osss).iter().any(|line| line.contains("missing-element")), "{:?}", found(&osss));
}

#[test]
fn what_s3_cannot_say_is_listed_and_left_out() {
    let said = "<RuleNumber>2</RuleNumber><Condition/><Redirect><RedirectType>AliCDN</RedirectType>\
        <HostName>h.example</HostName><PassQueryString>true</PassQueryString></Redirect>";
    let cut = "<RuleNumber>1</RuleNumber><Condition><KeyPrefixEquals>a/</KeyPrefixEquals>\
        <KeySuffixEquals/></Condition><Redirect><RedirectType>External</RedirectType>\
        <EnableReplacePrefix>true</EnableReplacePrefix><ReplaceKeyPrefixWith>b/\
        </ReplaceKeyPrefixWith><PassQueryString>false</PassQueryString></Redirect>";
    let cut_off = cut.replace(">b/<", "><").replace(">1<", ">6<");
    let suffix = "<RuleNumber>3</RuleNumber><Condition><KeySuffixEquals>.a</KeySuffixEquals>\
        </Condition><Redirect><HostName>h.example</HostName></Redirect>";
    let key = "<RuleNumber>4</RuleNumber><Condition/><Redirect><ReplaceKeyWith>${key}.b\
        </ReplaceKeyWith></Redirect>";
    let mirror = RULE.replace(">1<", ">5<");
    let written =
        file(oss(&[said, cut, suffix, key, &mirror, &cut_off])).website.unwrap().to_s3_xml();
    let losses: Vec<_> =
        written.losses.iter().map(|loss| loss.pointer.as_deref().unwrap()).collect();
    assert_eq!(
        losses,
        [
            "/RoutingRules/0/Redirect/RedirectType",
            "/RoutingRules/0/Redirect/PassQueryString",
            "/RoutingRules/2/Condition/KeySuffixEquals",
            "/RoutingRules/3/Redirect/ReplaceKeyWith",
            "/RoutingRules/4/Redirect/RedirectType",
            "/RoutingRules/5/Redirect/EnableReplacePrefix",
        ]
    );
    let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<WebsiteConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
  <RoutingRules>
    <RoutingRule>
      <Condition>
        <KeyPrefixEquals>a/</KeyPrefixEquals>
      </Condition>
      <Redirect>
        <ReplaceKeyPrefixWith>b/</ReplaceKeyPrefixWith>
      </Redirect>
    </RoutingRule>
    <RoutingRule>
      <Redirect>
        <HostName>h.example</HostName>
      </Redirect>
    </RoutingRule>
  </RoutingRules>
</WebsiteConfiguration>
"#;
    assert_eq!(written.text, expected);
}

#[test]
fn what_oss_cannot_say_is_listed_and_left_out() {
    let extended = RULE.replace("</Redirect>", "<MirrorTooLarge>Fail</MirrorTooLarge></Redirect>");
    let website = file(oss(&[&extended])).website.unwrap();
    assert!(website.to_xml().losses.is_empty());
    assert_eq!(file(website.to_xml().text).website.unwrap(), website);
    let written = website.to_oss_xml();
    assert_eq!(
        written.losses[0].pointer.as_deref(),
        Some("/RoutingRules/0/Redirect/MirrorTooLarge")
    );
    assert_eq!(file(written.text).website, file(oss(&[RULE])).website);
    let json = r#"[{"RuleNumber": 1, "Condition": {"KeyPrefixEquals": "\u0001\r\n"},
        "Redirect": {"RedirectType": "External", "HostName": "h.example"}}]"#;
    let written = file(json).website.unwrap().to_oss_xml();
    assert_eq!(written.losses.len(), 1);
    let again = file(&written.text).website.unwrap().routing_rules();
    assert_eq!(again[0]["Condition"]["KeyPrefixEquals"], "\u{fffd}\r\n", "{}", written.text);
}

#[test]
fn several_statuses_are_a_list_in_json_and_stand_between_commas_in_xml() {
    let rule = RULE
        .replace("404", " 404, 5XX")
        .replace("<RedirectType>", "<MirrorOnServerError>true</MirrorOnServerError><RedirectType>");
    let rules = right(&oss(&[&rule]), Format::Xml, Dialect::Oss);
    let statuses = &rules[0]["Condition"]["HttpErrorCodeReturnedEquals"];
    assert_eq!(statuses, &serde_json::json!([404, "5XX"]));
    let website = file(oss(&[&rule])).website.unwrap();
    assert!(website.to_xml().text.contains("Equals>404,5XX</Http"), "{}", website.to_xml().text);
    assert_eq!(website.to_oss_xml().losses.len(), 1);
    assert_eq!(website.to_oss_xml().text.matches("RoutingRule>").count(), 0);
}
