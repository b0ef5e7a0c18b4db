//! Origins.

use super::{Case, codes, keys, printed, sound_origin, url};
use crate::support::server::{Reply, Server};
use crate::support::store::{Store, error};
use crate::support::wire::Request;

type Behaviour = fn(&Request) -> Reply;

fn not_found(request: &Request) -> Reply {
    error(404, "NoSuchKey", &request.method)
}

#[test]
fn each_trouble_of_an_origin_is_found() {
    let follow = r#", "MirrorFollowRedirect": true"#;
    let stay = r#", "MirrorFollowRedirect": false"#;
    let cases: [(&str, &[&str], Behaviour); 9] = [
        ("", &[], sound_origin),
        ("", &["error soft-not-found"], |_| Reply::new(200, &[], "welcome")),
        ("", &["error origin-denied"], |_| Reply::new(401, &[], "")),
        ("", &["warning origin-denied"], |_| Reply::new(403, &[], "")),
        ("", &["error origin-failing"], |_| Reply::new(503, &[], "")),
        ("", &["warning origin-status"], |_| Reply::new(410, &[], "")),
        ("", &["warning head-differs"], |request| match request.method.as_str() {
            "HEAD" => Reply::new(405, &[], ""),
            _ => not_found(request),
        }),
        (follow, &["error origin-redirect"], |_| {
            Reply::new(302, &[("location", "http://elsewhere.example/login?token=secret")], "")
        }),
        (stay, &["info origin-redirect"], |_| {
            Reply::new(302, &[("location", "http://elsewhere.example/login?token=secret")], "")
        }),
    ];
    let store = Store::files_signed(&["examplebucket"], &keys());
    for (number, (rule, expected, behaviour)) in cases.into_iter().enumerate() {
        let origin = Server::start(behaviour);
        let mut case = Case::new(url(store.address()), origin.url());
        case.rule = rule;
        case.options.is_read_only = true;
        let found = case.examine();
        let text = printed(&found);
        assert_eq!(codes(&found), expected, "case {number}: {text}");
        assert!(!text.contains("token"), "{text}");
        assert!(expected.is_empty() || text.contains("rules.json:3"), "{text}");
    }
}

#[test]
fn an_origin_that_a_redirect_leads_to_is_judged() {
    let store = Store::files_signed(&["examplebucket"], &keys());
    let last = Server::start(|_| Reply::new(200, &[], "please log in"));
    let to = format!("{}/login", last.url());
    let first = Server::start(move |_| Reply::new(302, &[("location", &to)], ""));
    let mut case = Case::new(url(store.address()), first.url());
    case.deployment = format!("allow_internal_origins: true\norigins: [\"{}\"]", last.url());
    case.rule = r#", "MirrorFollowRedirect": true"#;
    case.options.is_read_only = true;
    let found = case.examine();
    assert_eq!(codes(&found), ["error soft-not-found"], "{}", printed(&found));
    assert!(printed(&found).contains(&last.url()));
}

#[test]
fn an_object_that_the_user_names_is_looked_at() {
    let cases: [(&str, &[&str], Behaviour); 5] = [
        ("there", &[], sound_origin),
        ("elsewhere", &["warning object-absent"], sound_origin),
        ("there", &["warning no-ranges"], |request| match request.path() {
            b"/there" if request.method == "HEAD" => {
                Reply::new(200, &[("etag", "\"e\"")], "0123456789").head()
            }
            b"/there" => Reply::new(200, &[("etag", "\"e\"")], "0123456789"),
            _ => not_found(request),
        }),
        ("there", &["warning no-strong-etag"], |request| match request.path() {
            b"/there" if request.method == "HEAD" => {
                Reply::object(request, &[("etag", "W/\"e\"")], b"0123456789").head()
            }
            b"/there" => Reply::object(request, &[("etag", "W/\"e\"")], b"0123456789"),
            _ => not_found(request),
        }),
        (
            "there",
            &["warning no-length", "warning no-ranges", "warning no-strong-etag"],
            |request| match request.path() {
                b"/there" if request.method == "HEAD" => {
                    Reply::raw("HTTP/1.1 200 OK\r\n\r\n").keep()
                }
                b"/there" => Reply::raw("HTTP/1.1 200 OK\r\n\r\n0123456789"),
                _ => not_found(request),
            },
        ),
    ];
    let store = Store::files_signed(&["examplebucket"], &keys());
    for (number, (key, expected, behaviour)) in cases.into_iter().enumerate() {
        let origin = Server::start(behaviour);
        let mut case = Case::new(url(store.address()), origin.url());
        case.options.keys = vec![key.to_owned()];
        case.options.is_read_only = true;
        let found = case.examine();
        let mut codes = codes(&found);
        codes.sort();
        assert_eq!(codes, expected, "case {number}: {}", printed(&found));
    }
}

#[test]
fn a_name_that_leads_nowhere_is_told() {
    let store = Store::files_signed(&["examplebucket"], &keys());
    let mut case = Case::new(url(store.address()), "http://does-not-exist.invalid");
    case.deployment = String::new();
    case.options.is_read_only = true;
    let found = case.examine();
    assert_eq!(codes(&found), ["error no-address"], "{}", printed(&found));
}
