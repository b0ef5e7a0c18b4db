//! The core's findings about a rule file, as problems in its text.

use back_to_origin::finding::{Finding, Part, Place, Severity};

use super::json::{Places, Side};
use super::{Document, Problem, Report, Weight};

/// The findings about a rule file as a report on it.
#[must_use]
pub fn report(document: Document, findings: &[Finding]) -> Report {
    // A text with a syntax error has only positions and is never given to the recursing parser.
    let is_document = findings.iter().all(|finding| match finding.place {
        Place::Pointer { .. } => true,
        Place::Position { .. } => false,
    });
    let places = Places::of(if is_document { &document.text } else { "" });
    let problems = findings.iter().map(|finding| problem(&document, &places, finding)).collect();
    Report::new(document.clone(), problems)
}

fn problem(document: &Document, places: &Places<'_>, finding: &Finding) -> Problem {
    let (span, earlier, pointer) = match &finding.place {
        Place::Pointer { pointer, part } => {
            let found = places.find(pointer, side(*part));
            (found.span, found.earlier, Some(pointer.clone()))
        }
        Place::Position { line, column } => {
            let at = document.offset(*line, *column);
            let next = document.text[at..].chars().next().map_or(0, char::len_utf8);
            (at..at + next, None, None)
        }
    };
    Problem {
        weight: match finding.severity {
            Severity::Error => Weight::Error,
            Severity::Warning => Weight::Warning,
        },
        code: finding.code.as_str(),
        message: finding.message.clone(),
        span,
        related: earlier.map(|span| (span, "first given here")),
        pointer,
        help: finding.help.clone(),
    }
}

const fn side(part: Part) -> Side {
    match part {
        Part::Name => Side::Name,
        Part::Value => Side::Value,
    }
}

#[cfg(test)]
mod tests {
    use back_to_origin::rule::RuleSet;

    use super::*;

    fn render(text: &str) -> String {
        let checked = RuleSet::from_json(text.as_bytes());
        report(Document::new("rules.json", text.as_bytes()), &checked.findings).render(false)
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
}
