//! Every element of the rule language by itself: what it says, what the engine does because of it,
//! and that without it the engine would do something else.
//!
//! The vocabulary decides which elements there are: one without a row fails a test.

mod condition;
mod external;
mod fetching;
mod keeping;
mod origins;
mod refused;
mod row;
mod scene;

use std::collections::BTreeSet;

use back_to_origin::rule::element::{self, Support};

use self::row::{Row, Without};

fn rows() -> Vec<Row> {
    [
        condition::rows(),
        external::rows(),
        origins::rows(),
        fetching::rows(),
        keeping::rows(),
        refused::rows(),
    ]
    .concat()
}

#[test]
fn each_element_does_what_its_row_says() {
    let failures: Vec<String> = rows().iter().filter_map(Row::failure).collect();
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn it_is_the_element_that_does_it() {
    let mut failures = Vec::new();
    for row in rows() {
        let (with, without) = (row.seen(), row.seen_without());
        match &row.without {
            Without::Otherwise if with == without => {
                failures.push(format!("{row}: it is the same without the element\n  {with:#?}"));
            }
            Without::TheSame(why) if with != without => {
                failures.push(format!("{row}: {why}, but without: {without:#?}"));
            }
            Without::Otherwise | Without::TheSame(_) => {}
        }
        for usual in &row.usual {
            let seen = row.seen_with(usual);
            if seen != without {
                failures.push(format!("{row}: {usual} is not as without: {seen:#?}\n{without:#?}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn each_element_of_the_vocabulary_has_a_row() {
    let described: BTreeSet<String> = rows().iter().map(|row| row.element.to_owned()).collect();
    let known: BTreeSet<String> = element::paths().collect();
    let missing: Vec<_> = known.difference(&described).collect();
    let unknown: Vec<_> = described.difference(&known).collect();
    assert!(missing.is_empty(), "no row says what these do: {missing:?}");
    assert!(unknown.is_empty(), "the vocabulary does not know these: {unknown:?}");
}

#[test]
fn what_is_honoured_is_taken_and_what_is_not_is_refused() {
    let rows = rows();
    let taken = |name: &str, is_taken: bool| {
        let path = format!("Redirect/{name}");
        rows.iter().any(|row| row.element == path && row.is_taken() == is_taken)
    };
    for element in element::REDIRECT {
        let honoured = match element.support {
            Support::Honoured | Support::Extension => true,
            Support::Refused(_) | Support::RefusedWhenOn(_) => false,
        };
        assert!(taken(element.name, honoured), "{}: honoured is {honoured}", element.name);
        // `RedirectType` alone has a word that is refused beside those that are not.
        let has_refused_word = element.name == "RedirectType";
        assert_eq!(taken(element.name, !honoured), has_refused_word, "{}", element.name);
    }
}

#[test]
fn a_refusal_names_the_element_and_says_why() {
    let of_redirect = element::REDIRECT.iter().filter_map(|element| match element.support {
        Support::Honoured | Support::Extension => None,
        Support::Refused(why) | Support::RefusedWhenOn(why) => {
            Some((format!("Redirect/{}", element.name), why))
        }
    });
    let elsewhere = element::REFUSED_ELSEWHERE.iter().map(|(name, why)| ((*name).to_owned(), *why));
    let rows = rows();
    for (path, why) in of_redirect.chain(elsewhere) {
        let row = rows.iter().find(|row| row.element == path);
        let said = row.map(Row::messages).unwrap_or_default();
        let name = path.trim_start_matches("Redirect/");
        let named =
            said.iter().any(|said| said.contains(&format!("`{name}`")) && said.contains(why));
        assert!(named, "{path}: {said:?}");
    }
}
