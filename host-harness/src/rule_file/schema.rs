//! A JSON Schema of rule files, for editors; printed from the vocabulary.
//!
//! It is no judge: it takes what [`super::read`] takes and cannot say what only rules together
//! mean. `envoy/rules.schema.json` is this text.

use serde_json::{Map, Value, json};

use super::vocabulary::{Element, ROUTING_RULE, Shape, State, WEBSITE, state};

/// The schema, as text.
#[must_use]
pub fn schema() -> String {
    let file = properties(WEBSITE);
    let mut file = object(file, &[]);
    file["properties"]["$schema"] = json!({ "type": "string", "description": "This schema." });
    let schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Rules of back-to-origin",
        "description": "What a gateway does with what its bucket cannot answer. The names are \
                        those of OSS's PutBucketWebsite.",
        "definitions": {
            "RoutingRule": object(properties(ROUTING_RULE), &["Redirect"]),
        },
        "anyOf": [file, { "type": "array", "items": { "$ref": "#/definitions/RoutingRule" } }],
    });
    // Strings, numbers and maps with string keys: nothing JSON cannot say.
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}

fn object(properties: Map<String, Value>, required: &[&str]) -> Value {
    let mut object =
        json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

fn properties(elements: &'static [Element]) -> Map<String, Value> {
    elements.iter().map(|element| (element.name.to_owned(), property(element))).collect()
}

fn property(element: &Element) -> Value {
    let mut schema = of_shape(&element.shape);
    if element.repeats {
        schema = json!({ "type": "array", "items": schema });
    }
    let mut words = element.meaning.to_owned();
    if element.default != "none" {
        words.push_str(&format!(" Default: {}.", element.default));
    }
    if !element.limits.is_empty() {
        words.push_str(&format!(" Limits: {}.", element.limits));
    }
    match state(element) {
        State::Honoured => {}
        State::Extension => words.push_str(" An extension: OSS does not have it."),
        State::Kept(why) => words.push_str(&format!(" {why}.")),
        State::Refused(why) => {
            words.push_str(&format!(" Refused here: {why}."));
            schema["deprecated"] = true.into();
        }
        State::RefusedWhenOn(why) => words.push_str(&format!(" Refused here when true: {why}.")),
    }
    schema["description"] = words.into();
    schema
}

fn of_shape(shape: &Shape) -> Value {
    match shape {
        Shape::Boolean => json!({ "enum": [true, false, "true", "false", "True", "False"] }),
        Shape::Integer(least, most) => {
            let mut number = json!({ "type": "integer", "minimum": least });
            if *most < i64::MAX {
                number["maximum"] = (*most).into();
            }
            json!({ "anyOf": [number, { "type": "string", "pattern": "^[0-9]+$" }] })
        }
        Shape::List(_, of) => json!({ "type": "array", "items": of_shape(of) }),
        Shape::Object(elements) if std::ptr::eq(*elements, ROUTING_RULE) => {
            json!({ "$ref": "#/definitions/RoutingRule" })
        }
        Shape::Object(elements) => object(properties(elements), &[]),
        Shape::Status => {
            let one = json!({ "anyOf": [
                { "type": "integer", "minimum": 400, "maximum": 599 },
                { "type": "string", "pattern": "^(|[45]([0-9]{2}|XX|xx)(, *[45]([0-9]{2}|XX|xx))*)$" },
            ] });
            json!({ "anyOf": [one, { "type": "array", "items": one }] })
        }
        Shape::Text | Shape::Token => json!({ "type": "string" }),
        // Clients write what they do not use as an empty element.
        Shape::Url => json!({ "type": "string", "pattern": "^([Hh][Tt][Tt][Pp][Ss]?://.*)?$" }),
        Shape::Word(words) => {
            let words: Vec<_> = words.iter().chain(&[""]).collect();
            json!({ "enum": words })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::rule_file::read;

    #[test]
    fn the_printed_schema_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../envoy/rules.schema.json");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, schema()).unwrap();
        }
        let printed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            printed == schema(),
            "envoy/rules.schema.json is stale; renew it with: UPDATE=1 cargo test -p b2o"
        );
    }

    #[test]
    fn it_takes_every_file_that_is_right() {
        let schema: Value = serde_json::from_str(&schema()).unwrap();
        let schema = jsonschema::draft7::new(&schema).unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut count = 0;
        for folder in ["envoy/rules", "tests/fixtures/oss-xml"] {
            for entry in std::fs::read_dir(root.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                let file = read("", &std::fs::read(&path).unwrap(), None);
                let json: Value = serde_json::from_str(&file.website.unwrap().to_json()).unwrap();
                let errors: Vec<_> = schema.iter_errors(&json).collect();
                assert!(errors.is_empty(), "{}: {errors:#?}", path.display());
                count += 1;
            }
        }
        assert!(count >= 13, "{count}");
        let console = json!([{
            "Condition": { "HttpErrorCodeReturnedEquals": "404" },
            "Redirect": { "HostName": "www.example.com", "HttpRedirectCode": "302" },
        }]);
        assert!(schema.is_valid(&console));
        for wrong in [
            json!(1),
            json!([{ "Condition": {} }]),
            json!([{ "Redirect": { "MirorURL": "https://a.example/" } }]),
            json!([{ "Redirect": { "MirrorURL": "a.example" } }]),
            json!([{ "Redirect": { "PassQueryString": "yes" } }]),
            json!([{ "Redirect": { "RedirectType": "Miror" } }]),
            json!([{ "Condition": { "HttpErrorCodeReturnedEquals": 200 }, "Redirect": {} }]),
            json!({ "RoutingRules": {} }),
        ] {
            assert!(!schema.is_valid(&wrong), "{wrong}");
        }
    }
}
