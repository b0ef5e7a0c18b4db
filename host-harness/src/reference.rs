//! The reference of rules, printed from the vocabulary and the filter's own tables.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use back_to_origin::finding;
use back_to_origin::rule::element::{self, Kind};

use crate::envoy::manifest;
use crate::rule_file::code::Code;
use crate::rule_file::vocabulary::{
    Content, Element, Page, REDIRECT, Shape, State, WEBSITE, state,
};
use crate::{deployment, doctor};

/// `envoy/RULES.md`.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "<!-- Printed from host-harness/src/reference.rs. To renew: UPDATE=1 cargo test -p b2o -->\n\n\
         # Rules\n\n\
         Every element of a rule file. The names are those of OSS's PutBucketWebsite.\n\n\
         A file is XML as OSS's or S3's clients send it, or JSON with the same names; which one is\n\
         told by its content. In JSON, `RoutingRules` is an array of rules, and an element that may\n\
         stand several times is an array under its name. Taken are also S3's console's bare array of\n\
         rules, CloudFormation's `WebsiteConfiguration` with its `RoutingRuleCondition` and\n\
         `RedirectRule`, and XML of `RoutingRules` alone, as S3's guide shows it. In files of S3's\n\
         form, by their namespace or because they hold nothing that S3 lacks, rules have no\n\
         `RuleNumber` and are tried in the order of the text; there may be 50 of them, and they\n\
         redirect with any status from 301. In OSS's form there may be 20, with 301, 302 and 307.\n\n\
         `b2o check` finds what is wrong with a file, `b2o convert` writes it in another form, and\n\
         `b2o schema` prints a JSON Schema for editors, which is also in\n\
         [rules.schema.json](rules.schema.json).\n\n\
         What is *honoured* does what OSS documents. An *extension* is this project's own. What is\n\
         *refused* is parsed and kept by `b2o convert`, and no gateway takes it; *refused when\n\
         true* may stand there as long as it is off.\n",
    );
    describe("WebsiteConfiguration", WEBSITE, State::Honoured, &mut page);
    page.push_str("\n## Findings\n\nEvery code that `b2o check` can print, and those of `b2o doctor`, which asks the servers.\n\n");
    page.push_str("| Code | Meaning |\n|---|---|\n");
    for (code, meaning) in codes().into_iter().flatten().collect::<BTreeMap<_, _>>() {
        // Writing into a string cannot fail.
        let _ = writeln!(page, "| `{code}` | {} |", meaning.trim());
    }
    page.push('\n');
    for described in [Page::Oss, Page::S3, Page::Sdk] {
        let url = described.url().unwrap_or_default();
        let _ = writeln!(page, "[{}]: {url}", described.title());
    }
    page
}

/// The codes of all findings with their meanings: the filter's, those of rule files, of deployments, of
/// the doctor and of manifests.
fn codes() -> [Vec<(&'static str, &'static str)>; 5] {
    [
        finding::Code::ALL.iter().map(|code| (code.as_str(), code.description())).collect(),
        Code::ALL.iter().map(|code| (code.as_str(), code.description())).collect(),
        deployment::code::Code::ALL
            .iter()
            .map(|code| (code.as_str(), code.description()))
            .collect(),
        doctor::Code::ALL.iter().map(|code| (code.as_str(), code.description())).collect(),
        manifest::code::Code::ALL.iter().map(|code| (code.as_str(), code.description())).collect(),
    ]
}

/// The elements of an object, and then those of each of them; what is inside an element that is
/// refused is as refused.
fn describe(name: &str, elements: &'static [Element], around: State, page: &mut String) {
    let _ = write!(page, "\n## {name}\n\n");
    let is_redirect = std::ptr::eq(elements, REDIRECT);
    let (column, line) = if is_redirect { (" Rules |", "---|") } else { ("", "") };
    let _ = writeln!(page, "| Element |{column} Value | Default | State | Meaning |");
    let _ = writeln!(page, "|---|{line}---|---|---|---|");
    for element in elements {
        let rules = if is_redirect { format!(" {} |", kind(element)) } else { String::new() };
        let limits = match element.limits {
            "" => String::new(),
            limits => format!("; {limits}"),
        };
        let (value, state) = (value(element), words(&state_in(element, around)));
        let page_of = match element.page.url() {
            Some(_) => format!(" [{}]", element.page.title()),
            None => String::new(),
        };
        let Element { name, default, meaning, .. } = element;
        let _ = writeln!(
            page,
            "| `{name}` |{rules} {value}{limits} | {default} | {state} | {meaning}{page_of} |"
        );
    }
    for element in elements {
        match element.shape.content() {
            Content::Elements(inner) => {
                describe(element.name, inner, state_in(element, around), page);
            }
            Content::Items(item, Shape::Object(inner)) => {
                describe(item, inner, state_in(element, around), page);
            }
            Content::Items(..) | Content::Scalar => {}
        }
    }
}

/// What is done with an element inside one with which something is done.
fn state_in(element: &Element, around: State) -> State {
    match around {
        State::Honoured | State::Extension | State::RefusedWhenOn(_) => state(element),
        State::Kept(_) | State::Refused(_) => around,
    }
}

fn kind(element: &Element) -> &'static str {
    let known = element::REDIRECT.iter().find(|known| known.name == element.name);
    match known.map(|known| known.kind) {
        Some(Kind::Both) | None => "both",
        Some(Kind::External) => "External",
        Some(Kind::Mirror) => "Mirror",
    }
}

fn value(element: &Element) -> String {
    let one = match element.shape {
        Shape::Boolean => "boolean".to_owned(),
        Shape::Integer(..) => "number".to_owned(),
        Shape::List(item, _) => format!("list of [{item}](#{})", item.to_lowercase()),
        Shape::Object(_) => format!("[elements](#{})", element.name.to_lowercase()),
        Shape::Status => "status".to_owned(),
        Shape::Text | Shape::Token => "text".to_owned(),
        Shape::Url => "URL".to_owned(),
        Shape::Word(words) => {
            words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
        }
    };
    if element.repeats { format!("{one}, several") } else { one }
}

fn words(state: &State) -> String {
    match state {
        State::Honoured => "honoured".to_owned(),
        State::Extension => "**extension**".to_owned(),
        State::Kept(why) => (*why).to_owned(),
        State::Refused(why) => format!("refused: {why}"),
        State::RefusedWhenOn(why) => format!("refused when true: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_printed_reference_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../envoy/RULES.md");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, reference()).unwrap();
        }
        let printed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            printed == reference(),
            "envoy/RULES.md is stale; renew it with: UPDATE=1 cargo test -p b2o"
        );
    }

    #[test]
    fn codes_are_in_order_and_what_others_have_too_means_the_same() {
        let mut known = BTreeMap::new();
        for table in codes() {
            assert!(table.iter().map(|(code, _)| code).is_sorted(), "{table:?}");
            for (code, meaning) in table {
                assert_eq!(*known.entry(code).or_insert(meaning), meaning, "{code}");
            }
        }
        assert!(doctor::Code::ALL.len() > 40);
    }

    #[test]
    fn every_code_has_its_line() {
        let page = reference();
        for (code, _) in codes().into_iter().flatten() {
            assert_eq!(page.matches(&format!("\n| `{code}` |")).count(), 1, "{code}");
        }
        let rows = page.split("## Findings").nth(1).unwrap().matches("\n| `").count();
        assert!(rows >= 50, "{rows}");
    }

    #[test]
    fn every_element_of_redirect_has_its_line_and_every_link_its_section() {
        let page = reference();
        let mut sections = page.split("\n## ");
        let redirect = sections.find(|section| section.starts_with("Redirect\n")).unwrap();
        assert_eq!(redirect.matches("\n| `").count(), element::REDIRECT.len());
        for known in element::REDIRECT {
            let line = format!("\n| `{}` |", known.name);
            assert_eq!(redirect.matches(&line).count(), 1, "{}", known.name);
        }
        let sections: Vec<_> = page
            .lines()
            .filter_map(|line| line.strip_prefix("## "))
            .map(str::to_lowercase)
            .collect();
        for link in page.split("](#").skip(1) {
            let name = link.split(')').next().unwrap();
            assert_eq!(sections.iter().filter(|section| *section == name).count(), 1, "{name}");
        }
    }
}
