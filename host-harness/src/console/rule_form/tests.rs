//! Every element has its field, and a rule comes back as it went in.

use serde_json::json;

use super::build::rule as from_form;
use super::*;
use crate::rule_file::vocabulary::{REDIRECT, State, state};

/// A rule that says as much as one can, of one mode.
fn full(is_mirror: bool) -> Value {
    fn value(shape: &Shape, name: &str) -> Value {
        match shape {
            Shape::Boolean => true.into(),
            Shape::Integer(least, _) => (*least).into(),
            Shape::List(..) => Value::Null,
            Shape::Object(elements) => object(elements, |_| true),
            Shape::Status => json!([404, "5XX"]),
            Shape::Text => format!(" <b>\"{name}\" ").into(),
            Shape::Token => name.into(),
            Shape::Url => "https://h.example/".into(),
            Shape::Word(words) => words[0].into(),
        }
    }
    fn object(elements: &'static [Element], is_in: impl Fn(&Element) -> bool) -> Value {
        let of = |element: &Element| {
            let one = value(&element.shape, element.name);
            if element.repeats { json!([one]) } else { one }
        };
        let elements = elements.iter().filter(|element| is_in(element));
        elements.map(|element| (element.name.to_owned(), of(element))).collect::<Map<_, _>>().into()
    }
    use serde_json::Map;
    let mut rule = object(ROUTING_RULE, |element| element.name != "RuleNumber");
    let is_in = |element: &Element| only_for(element.name).is_none_or(|of| of == is_mirror);
    rule["Redirect"] = object(REDIRECT, is_in);
    rule["Redirect"]["RedirectType"] = if is_mirror { "Mirror" } else { "External" }.into();
    rule
}

#[test]
fn a_rule_comes_back_as_it_went_in() {
    for is_mirror in [true, false] {
        let rule = full(is_mirror);
        let form = fields(&rule);
        assert_eq!(from_form(&form, Some(&rule)), rule);
    }
}

#[test]
fn every_element_has_a_field_of_its_own() {
    for is_mirror in [true, false] {
        let mut rule = full(is_mirror);
        if let Some(redirect) = rule["Redirect"].as_object_mut().filter(|_| is_mirror) {
            // A Mirror rule has a switch of its own for the query.
            redirect.remove("PassQueryString");
            // And what a ticked box says is so without it.
            redirect.remove("MirrorFollowRedirect");
        }
        let mut form = fields(&rule);
        // Without the secrets, all of it is in the form itself.
        for (name, value) in [
            ("Redirect/MirrorAuth/AccessKeySecret", "AccessKeySecret"),
            ("Redirect/MirrorHeaders/Set/0/Value", " <b>\"Value\" "),
        ] {
            if is_mirror {
                assert!(!form.has(name), "{name}");
                form.set(name, value);
            }
        }
        assert_eq!(from_form(&form, None), rule);
    }
    // What the panel does not have, More has.
    let missing = REDIRECT.iter().filter(|element| {
        place(&format!("Redirect/{}", element.name)) == Place::More
            && !more().any(|more| more.name == element.name)
    });
    assert_eq!(missing.count(), 0);
    assert!(more().any(|element| matches!(state(element), State::Refused(_))));
}

#[test]
fn secrets_go_in_and_do_not_come_out() {
    let rule = json!({ "Condition": {}, "Redirect": {
        "RedirectType": "Mirror",
        "MirrorURL": "https://user:hunter2@h.example/",
        "MirrorURLSlave": "https://h.example/?X-Amz-Signature=hunter2",
        "MirrorAuth": { "AccessKeyId": "AKID", "AccessKeySecret": "hunter2" },
        "MirrorHeaders": { "Set": [
            { "Key": "x-one", "Value": "hunter2" }, { "Key": "x-two", "Value": "hunter22" },
        ] },
    } });
    let form = fields(&rule);
    assert!(form.iter().all(|(_, value)| !value.contains("hunter2")));
    assert_eq!(from_form(&form, Some(&rule)), rule);
    // A row that is gone takes its secret along, and no other's.
    let rest = form.iter().filter(|(name, _)| !name.contains("/Set/0/"));
    let mut without = Form::default();
    rest.for_each(|(name, value)| without.set(name, value));
    without.set("Redirect/MirrorHeaders/Set/2/Key", "x-three");
    without.set("Redirect/MirrorHeaders/Set/2/Value", "new");
    let built = from_form(&without, Some(&rule));
    let set = json!([
        { "Key": "x-two", "Value": "hunter22" }, { "Key": "x-three", "Value": "new" },
    ]);
    assert_eq!(built["Redirect"]["MirrorHeaders"]["Set"], set);
}

#[test]
fn the_folder_that_prefix_and_path_name_is_named_once() {
    for (prefix, path, twice, expected) in [
        ("examplefolder/", "examplefolder", "", "https://www.example.com/"),
        ("examplefolder/", "/examplefolder/", "", "https://www.example.com/"),
        ("examplefolder/", "a/examplefolder", "", "https://www.example.com/a/"),
        ("examplefolder/", "examplefolder", "true", "https://www.example.com/examplefolder/"),
        ("examplefolder/", "myexamplefolder", "", "https://www.example.com/myexamplefolder/"),
        ("examplefolder", "examplefolder", "", "https://www.example.com/examplefolder/"),
        ("", "examplefolder", "", "https://www.example.com/examplefolder/"),
        ("a/", "", "", "https://www.example.com/"),
        ("", "r?x-oss-process=image/a", "", "https://www.example.com/r?x-oss-process=image/a"),
    ] {
        let mut form = new_fields();
        form.set("Condition/KeyPrefixEquals", prefix);
        form.set(HOST, "www.example.com");
        form.set(PATH, path);
        form.set(TWICE, twice);
        let built = from_form(&form, None);
        assert_eq!(built["Redirect"]["MirrorURL"], expected, "{prefix} {path}");
        // What is kept is shown so that it is saved as it is.
        assert_eq!(from_form(&fields(&built), Some(&built)), built, "{prefix} {path}");
    }
}

#[test]
fn a_new_rule_is_what_the_panel_shows() {
    let mut form = new_fields();
    form.set(HOST, "o.example");
    let expected = json!({
        "Condition": { "HttpErrorCodeReturnedEquals": 404 },
        "Redirect": {
            "RedirectType": "Mirror", "MirrorURL": "https://o.example/",
            "MirrorAllowHeadObject": true, "MirrorUserLastModified": true,
        },
    });
    assert_eq!(from_form(&form, None), expected);
    form.set("Redirect/MirrorFollowRedirect", "");
    form.set("Condition/HttpErrorCodeReturnedEquals", "404, 5XX");
    form.set("Redirect/MirrorHeaders/Pass", "aaa-header\r\nccc-header");
    form.set("Redirect/MirrorTimeout", "soon");
    let built = from_form(&form, None);
    assert_eq!(built["Redirect"]["MirrorFollowRedirect"], false);
    assert_eq!(built["Condition"]["HttpErrorCodeReturnedEquals"], json!([404, "5XX"]));
    assert_eq!(built["Redirect"]["MirrorHeaders"]["Pass"], json!(["aaa-header", "ccc-header"]));
    // It is no number, and is refused by name.
    assert_eq!(built["Redirect"]["MirrorTimeout"], "soon");
}

#[test]
fn the_query_goes_along_by_either_switch() {
    let with = |switches: &[(&str, bool)]| {
        let mut rule = json!({ "Condition": {}, "Redirect": {
            "RedirectType": "Mirror", "MirrorURL": "https://h.example/" } });
        for (name, value) in switches {
            rule["Redirect"][*name] = (*value).into();
        }
        rule
    };
    let both = with(&[("PassQueryString", true), ("MirrorPassQueryString", false)]);
    let one = with(&[("PassQueryString", true)]);
    for (rule, shown) in [(&both, ""), (&one, "true"), (&with(&[]), "")] {
        let form = fields(rule);
        assert_eq!(form.get(MIRROR_QUERY), shown);
        assert_eq!(from_form(&form, Some(rule)), *rule);
    }
    let mut form = fields(&one);
    form.set(MIRROR_QUERY, "");
    assert_eq!(from_form(&form, Some(&one)), both);
}

#[test]
fn what_a_browser_cannot_send_back_stays() {
    let rule = json!({ "Condition": { "KeyPrefixEquals": "a\nb/" }, "Redirect": {
        "RedirectType": "External", "HostName": "h.example" } });
    let mut form = fields(&rule);
    form.set("Condition/KeyPrefixEquals", "ab/");
    assert_eq!(from_form(&form, Some(&rule)), rule);
}
