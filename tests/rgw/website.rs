//! Ceph's web sites, as a judge of redirects that knows nothing of this project: the same rules of
//! S3's, the same requests, the same answers.
//!
//! Where the two differ, the row says so, and why. Both leave the query out, S3's form having no
//! word for it.

use b2o::rule_file;
use serde_json::{Value, json};

use super::Ceph;
use crate::support::client::request;
use crate::support::gateway::{Gateway, Host, Setup};
use crate::support::store::Store;
use crate::support::wire::Response;

/// Below it, hosts name web sites.
const DOMAIN: &str = "s3web.localhost";

/// The status of an answer, and its Location.
type Seen = (u16, Option<String>);

/// Rules, and requests with what both answer.
struct Site {
    rules: Value,
    requests: Vec<Asked>,
}

/// A target, the status, and the Location without `http://HOST` of the site itself.
struct Asked {
    target: &'static str,
    status: u16,
    location: Option<&'static str>,
    /// What Ceph says in place of that, where it is wrong.
    ceph: Option<(u16, Option<&'static str>)>,
}

fn asked(target: &'static str, status: u16, location: &'static str) -> Asked {
    Asked { target, status, location: Some(location), ceph: None }
}

/// No rule applies.
fn kept(target: &'static str, status: u16) -> Asked {
    Asked { target, status, location: None, ceph: None }
}

impl Asked {
    fn but_of_ceph(self, status: u16, location: &'static str) -> Self {
        Self { ceph: Some((status, Some(location))), ..self }
    }
}

fn sites() -> Vec<Site> {
    vec![
        Site {
            rules: json!([
                { "Condition": { "KeyPrefixEquals": "docs/", "HttpErrorCodeReturnedEquals": "404" },
                  "Redirect": { "Protocol": "https", "HostName": "o.example.com",
                                "ReplaceKeyPrefixWith": "d/", "HttpRedirectCode": "302" } },
                { "Condition": { "KeyPrefixEquals": "img/" },
                  "Redirect": { "ReplaceKeyWith": "one.html" } },
            ]),
            requests: vec![
                asked("/docs/a.txt", 302, "https://o.example.com/d/a.txt"),
                asked("/docs/", 302, "https://o.example.com/d/"),
                asked("/docs/docs/a", 302, "https://o.example.com/d/docs/a"),
                asked("/docs/a.txt?x=1", 302, "https://o.example.com/d/a.txt"),
                // A space is none of a URL's characters.
                asked("/docs/a%20b", 302, "https://o.example.com/d/a%20b")
                    .but_of_ceph(302, "https://o.example.com/d/a b"),
                asked("/img/zz", 301, "/one.html"),
                kept("/nope", 404),
                kept("/doc", 404),
                kept("/there", 200),
            ],
        },
        Site {
            rules: json!([
                { "Condition": { "HttpErrorCodeReturnedEquals": "404" },
                  "Redirect": { "HostName": "www.example.com", "HttpRedirectCode": "307" } },
            ]),
            requests: vec![
                asked("/nope", 307, "http://www.example.com/nope"),
                asked("/a/b/c", 307, "http://www.example.com/a/b/c"),
                kept("/there", 200),
            ],
        },
        Site {
            // The first that applies, in the order of the text.
            rules: json!([
                { "Condition": { "KeyPrefixEquals": "a/" }, "Redirect": { "HostName": "1.example" } },
                { "Condition": { "KeyPrefixEquals": "a/b/" }, "Redirect": { "HostName": "2.example" } },
                { "Condition": { "KeyPrefixEquals": "t" },
                  "Redirect": { "HostName": "3.example", "Protocol": "https" } },
                { "Redirect": { "HostName": "4.example", "ReplaceKeyPrefixWith": "all/" } },
            ]),
            requests: vec![
                asked("/a/x", 301, "http://1.example/a/x"),
                asked("/a/b/x", 301, "http://1.example/a/b/x"),
                // Whether the object is there or not: the condition says nothing of that.
                asked("/there", 301, "https://3.example/there"),
                asked("/else", 301, "http://4.example/all/else"),
            ],
        },
        Site {
            rules: json!([
                { "Condition": { "KeyPrefixEquals": "secure/" }, "Redirect": { "Protocol": "https" } },
                { "Condition": { "KeyPrefixEquals": "old/" },
                  "Redirect": { "ReplaceKeyPrefixWith": "new/", "HttpRedirectCode": "302" } },
                { "Condition": { "KeyPrefixEquals": "cut/" },
                  "Redirect": { "ReplaceKeyPrefixWith": "", "HostName": "c.example" } },
            ]),
            requests: vec![
                asked("/secure/a", 301, "https://HOST/secure/a"),
                asked("/old/a/b", 302, "/new/a/b"),
                // S3's documents do not say what nothing in place of a prefix is. Ceph takes it for
                // no replacement, as is done here.
                asked("/cut/a", 301, "http://c.example/cut/a"),
                kept("/none", 404),
            ],
        },
    ]
}

#[test]
fn redirects_are_those_of_a_web_site_of_ceph() {
    let ceph = Ceph::start();
    let sites = sites();
    let texts: Vec<_> = sites.iter().map(|site| site.rules.to_string()).collect();
    let mut arguments = vec!["sites"];
    arguments.extend(texts.iter().map(String::as_str));
    ceph.owner(&arguments);
    let mut differences = Vec::new();
    for (number, site) in sites.iter().enumerate() {
        let host = format!("site-{number}.{DOMAIN}");
        let store = Store::memory(DOMAIN);
        store.put(&format!("/site-{number}/there"), &[], "it is there");
        let file = rule_file::read("rules.json", texts[number].as_bytes(), None);
        let website = file.website.expect("rules that are sound");
        let mut setup = Setup::new(website.routing_rules(), store.address(), &[]);
        setup.domain = Some(DOMAIN.to_owned());
        setup.buckets[0].name = format!("site-{number}");
        let ours = Gateway::start(Host::Harness, &setup);
        for Asked { target, status, location, ceph: of_ceph } in &site.requests {
            let ask = |address| -> Seen {
                let request = request("GET", target).with("host", &host);
                let answer: Response = request.send(address).expect("an answer");
                let location = answer.header("location");
                (answer.status, location.filter(|_| answer.status / 100 == 3))
            };
            let place = |location: &str| match location.strip_prefix('/') {
                Some(path) => format!("http://{host}/{path}"),
                None => location.replace("HOST", &host),
            };
            let expected = (*status, location.map(place));
            let theirs = of_ceph.map_or_else(
                || expected.clone(),
                |(status, location)| (status, location.map(place)),
            );
            for (who, address, expected) in
                [("ours", ours.address, expected), ("Ceph", ceph.address, theirs)]
            {
                let seen = ask(address);
                if seen != expected {
                    differences
                        .push(format!("{host}{target} {who}: {seen:?}, expected {expected:?}"));
                }
            }
        }
    }
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}
