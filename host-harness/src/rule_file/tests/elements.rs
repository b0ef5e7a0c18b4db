//! Every element of the vocabulary, in every form; and what those mean that the filter never sees.

use serde_json::{Map, Value, json};

use super::super::vocabulary::{Element, ROUTING_RULE, Shape, WEBSITE, named, paths};
use super::{file, found};

/// Some value of an element.
fn sample(shape: &Shape) -> Value {
    match shape {
        Shape::Boolean => json!(true),
        Shape::Integer(least, _) => json!(least),
        Shape::List(_, of) => json!([sample(of)]),
        Shape::Object(elements) => all(elements),
        Shape::Status => json!(404),
        Shape::Text => json!(" a text "),
        Shape::Token => json!("token"),
        Shape::Url => json!("https://o.example.com/"),
        Shape::Word(words) => json!(words.first()),
    }
}

/// Some value of all elements.
fn all(elements: &[Element]) -> Value {
    let fields = elements.iter().map(|element| {
        let value = sample(&element.shape);
        let value = if element.repeats { json!([value, value]) } else { value };
        (element.name.to_owned(), value)
    });
    fields.collect::<Map<_, _>>().into()
}

/// Takes an element out, wherever it stands in lists. Whether there was one.
fn take_out(node: &mut Value, path: &[&str]) -> bool {
    match (node, path) {
        (Value::Array(items), path) => {
            let taken: Vec<bool> = items.iter_mut().map(|item| take_out(item, path)).collect();
            taken.contains(&true)
        }
        (Value::Object(fields), [name]) => fields.remove(*name).is_some(),
        (Value::Object(fields), [name, below @ ..]) => {
            fields.get_mut(*name).is_some_and(|field| take_out(field, below))
        }
        _ => false,
    }
}

#[test]
fn every_element_is_kept_in_every_form() {
    // S3's alone, which excludes all else.
    const OF_S3: &str = "RedirectAllRequestsTo";
    let website = |value: &Value| {
        let file = file(value.to_string());
        let problems = found(&file);
        file.website.unwrap_or_else(|| panic!("{value}: {problems:?}"))
    };
    let mut of_oss = all(WEBSITE);
    assert!(take_out(&mut of_oss, &[OF_S3]));
    let of_s3 = json!({ OF_S3: sample(&named(WEBSITE, OF_S3).unwrap().shape) });
    let rules = paths(ROUTING_RULE).into_iter().map(|path| format!("RoutingRules/{path}"));
    for path in paths(WEBSITE).into_iter().chain(rules) {
        let whole = if path.starts_with(OF_S3) { &of_s3 } else { &of_oss };
        let with = website(whole);
        let xml = if path.starts_with(OF_S3) { with.to_s3_xml() } else { with.to_xml() };
        assert_eq!(xml.losses, [], "{path}");
        for text in [with.to_json(), xml.text] {
            let again = file(&text);
            assert!(again.website == Some(with.clone()), "{path}: {text}: {:?}", found(&again));
        }
        let mut without = whole.clone();
        let steps: Vec<&str> = path.split('/').collect();
        assert!(take_out(&mut without, &steps), "{path}");
        // All of what S3 has is required there.
        if without.as_object().is_some_and(|fields| !fields.is_empty()) {
            let said = file(without.to_string()).website;
            assert!(said != Some(with), "{path}: it is the same without");
        }
    }
}

#[test]
fn a_redirect_of_everything_is_a_rule_without_a_condition() {
    for said in [
        json!({ "HostName": "h.example" }),
        json!({ "HostName": "h.example", "Protocol": "https" }),
    ] {
        let file = file(json!({ "RedirectAllRequestsTo": said }).to_string());
        assert_eq!(found(&file), [""; 0], "{said}");
        let rules = file.website.unwrap().routing_rules();
        let mut redirect = said.clone();
        redirect["RedirectType"] = json!("External");
        let rule = json!({ "RuleNumber": 1, "Condition": {}, "Redirect": redirect });
        assert_eq!(rules, json!([rule]), "{said}");
        assert_eq!(file.rules.unwrap().iter().count(), 1, "{said}");
    }
}

#[test]
fn whoever_is_to_sign_is_told_everything() {
    let Shape::Object(redirect) = named(ROUTING_RULE, "Redirect").unwrap().shape else {
        panic!("a Redirect has elements");
    };
    let Shape::Object(auth) = named(redirect, "MirrorAuth").unwrap().shape else {
        panic!("a MirrorAuth has elements");
    };
    let with = |auth: &Value| {
        let rule = json!({
            "RuleNumber": 1,
            "Condition": { "HttpErrorCodeReturnedEquals": 404 },
            "Redirect": {
                "RedirectType": "Mirror", "MirrorURL": "https://o.example.com/", "MirrorAuth": auth,
            },
        });
        found(&file(json!([rule]).to_string()))
    };
    let whole = all(auth);
    assert_eq!(with(&whole), [""; 0]);
    for element in auth {
        let mut rest = whole.clone();
        assert!(take_out(&mut rest, &[element.name]));
        let [found] = with(&rest).try_into().unwrap();
        assert!(found.ends_with("error missing-element /0/Redirect/MirrorAuth"), "{found}");
    }
}
