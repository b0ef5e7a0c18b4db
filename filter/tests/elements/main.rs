//! Every element of the rule language by itself: what it says, what the engine does because of it,
//! and that without it the engine would do something else, on both paths an object takes.
//!
//! The vocabulary decides which elements there are: one without a row fails a test.

mod callout;
mod condition;
mod external;
mod fetching;
mod keeping;
mod origins;
mod refused;
mod row;
mod scene;
mod streaming;

use std::collections::BTreeSet;

use back_to_origin::rule::element::{self, Support};

use self::row::{PATHS, Row};

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
    none(rows().iter().flat_map(|row| PATHS.iter().filter_map(|path| row.failure(*path))));
}

#[test]
fn it_is_the_element_that_does_it() {
    none(rows().iter().flat_map(|row| PATHS.iter().flat_map(|path| row.failures_without(*path))));
}

fn none(failures: impl Iterator<Item = String>) {
    let failures: Vec<_> = failures.collect();
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
