//! What one request would do, rule by rule: the engine's own decisions, told and not performed.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::http::headers::{HeaderList, Headers};
use crate::http::percent;
use crate::matching::{self, BucketResponse, Source};
use crate::metadata::{LAST_MODIFIED_METADATA, TAG_METADATA};
use crate::origin::OriginRequest;
use crate::reason::Pass;
use crate::request::ObjectRequest;
use crate::rule::{Action, Mirror, Rule, RuleSet, TooLarge};

/// A request, and what the bucket answers to it.
#[derive(Clone, Debug)]
pub struct Question {
    /// The bucket.
    pub bucket: String,
    /// The request's method.
    pub method: String,
    /// The object's key, decoded.
    pub key: Vec<u8>,
    /// The query, without the `?`.
    pub query: String,
    /// The client's headers.
    pub headers: Vec<(String, String)>,
    /// The bucket's status.
    pub status: u16,
}

/// The answer to a [`Question`].
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The request, as logs name it.
    pub request: String,
    /// The bucket's status.
    pub status: u16,
    /// Each rule that was tried.
    pub rules: Vec<Step>,
    /// What happens.
    pub outcome: Outcome,
}

/// One rule that was tried.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Its number.
    pub rule: u32,
    /// Its type.
    pub redirect_type: &'static str,
    /// Why it does not apply; absent where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mismatch: Option<String>,
}

/// What comes of an answer of the origin's, or of something else.
#[derive(Clone, Debug, Serialize)]
pub struct Consequence {
    /// The answer; empty where it is the one before.
    pub answer: String,
    /// What comes of it.
    pub then: String,
}

/// What happens to the request.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum Outcome {
    /// The client gets 424 MirrorFailed at once.
    Fail {
        /// Why.
        reason: String,
    },
    /// The object is fetched, given to the client and stored.
    Mirror {
        /// The method of the request that answers the client.
        method: &'static str,
        /// The URL it is fetched from.
        url: String,
        /// The headers of that request.
        headers: Vec<(String, String)>,
        /// Whether it is signed, by the rule's `MirrorAuth`.
        signed: bool,
        /// What comes of each answer.
        on: Vec<Consequence>,
    },
    /// The bucket's answer stays.
    Pass {
        /// Why.
        reason: String,
    },
    /// The client is redirected.
    Redirect {
        /// The status.
        code: u16,
        /// The target.
        location: String,
    },
}

/// Tells what one request would do.
#[must_use]
pub fn explain(rules: &RuleSet, question: &Question) -> Explanation {
    let key = percent::readable(&question.key);
    let request = format!("{} {}/{key}", question.method, question.bucket);
    let (rules, outcome) = match read(question) {
        Ok(read) => try_rules(rules, &read, question.status),
        Err(pass) => (Vec::new(), Outcome::Pass { reason: pass.to_string() }),
    };
    Explanation { request, status: question.status, rules, outcome }
}

fn read(question: &Question) -> Result<ObjectRequest, Pass> {
    let mut path = format!("/{}/{}", question.bucket, percent::encode_key(&question.key));
    if !question.query.is_empty() {
        path.push('?');
        path.push_str(&question.query);
    }
    let host = question.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
    let mut pairs = vec![
        (":method".to_owned(), question.method.clone()),
        (":scheme".to_owned(), "http".to_owned()),
        (":authority".to_owned(), host.map_or("localhost", |(_, host)| host).to_owned()),
        (":path".to_owned(), path),
    ];
    pairs.extend(
        question.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())),
    );
    ObjectRequest::read(Headers::from_pairs(pairs), None, |name| name == question.bucket)
}

fn try_rules(rules: &RuleSet, request: &ObjectRequest, status: u16) -> (Vec<Step>, Outcome) {
    let answer = BucketResponse { status, source: Source::Bucket, deleted: false, denied: true };
    let mut steps = Vec::new();
    for rule in rules.iter() {
        let mismatch = matching::mismatch(rule, request.view(), answer);
        steps.push(Step {
            rule: rule.number,
            redirect_type: rule.action.redirect_type(),
            mismatch: mismatch.map(|mismatch| mismatch.to_string()),
        });
        if mismatch.is_none() {
            break;
        }
    }
    let outcome = match matching::first_match(rules, request.view(), answer) {
        Ok(rule) => act(rule, request, status),
        Err(pass) => Outcome::Pass { reason: pass.to_string() },
    };
    (steps, outcome)
}

fn act(rule: &Rule, request: &ObjectRequest, status: u16) -> Outcome {
    match &rule.action {
        Action::External(external) => {
            Outcome::Redirect { code: external.code, location: external.location(request) }
        }
        Action::Mirror(mirror) => match OriginRequest::build(mirror, request, "") {
            Ok(origin) => match (mirror.async_status, mirror.storing(status, request.is_processed))
            {
                // Nothing is fetched that would be nobody's.
                (Some(code), Err(_)) => Outcome::Redirect { code, location: origin.location() },
                (Some(_) | None, _) => Outcome::Mirror {
                    method: request.method.as_str(),
                    url: origin.location(),
                    headers: readable(&origin.call_headers(request.method.as_str()), mirror),
                    signed: mirror.signer.is_some(),
                    on: consequences(rule, mirror, request, &origin, status),
                },
            },
            Err(failure) => Outcome::Fail { reason: failure.to_string() },
        },
    }
}

fn consequences(
    rule: &Rule,
    mirror: &Arc<Mirror>,
    request: &ObjectRequest,
    origin: &OriginRequest,
    status: u16,
) -> Vec<Consequence> {
    let mut on = Vec::new();
    let mut say = |answer: &str, then: String| {
        on.push(Consequence { answer: answer.to_owned(), then });
    };
    if status == 403 {
        let then =
            "the gateway's own keys ask the bucket; unless that says 404, client keeps the 403";
        say("first", then.to_owned());
    }
    let location = origin.location();
    let alternates = &mirror.alternates;
    if let Some(code) = mirror.async_status {
        say("first", format!("client gets {code} to {location}, and the rest is done meanwhile"));
    }
    for url in &alternates.urls {
        let failure = match alternates.switch_all_errors {
            true => "any error",
            false => "5xx or silence",
        };
        say("or", format!("after {failure}, the same of {}{}", url.origin(), url.path()));
    }
    if let Some(probe) = &alternates.probe {
        let first = mirror.url.origin();
        say("", format!("{first} comes last while {} does not answer 200", probe.url()));
    }
    say("on 200", format!("client gets 200 and x-oss-tag: {}", origin.tag()));
    for (name, value) in &mirror.keeping.return_headers {
        let value = value.apply(percent::encode_key(&request.key).as_bytes());
        say("", format!("and {name}: {}", percent::readable(&value)));
    }
    match mirror.storing(status, request.is_processed) {
        Ok(()) => {
            for line in stored(mirror, request) {
                say("", line);
            }
        }
        Err(why) => say("", format!("nothing is stored: {why}")),
    }
    let followed = match mirror.follow_redirect {
        true => "followed, up to 10 times, to origins that the configuration names",
        false => "client gets the origin's redirect",
    };
    say("on 3xx", followed.to_owned());
    if !mirror.transparent.is_empty() {
        say(&format!("on {}", mirror.transparent), "client gets the origin's answer".to_owned());
    }
    if !mirror.transparent.contains(404) {
        let then = match mirror.fall_through {
            true => format!("the rules behind {} are tried", rule.number),
            false => "client gets 404 NoSuchKey".to_owned(),
        };
        say("on 404", then);
    }
    say("else", "client gets 424 MirrorFailed".to_owned());
    let too_large = match mirror.too_large {
        TooLarge::Fail => "424 MirrorFailed".to_owned(),
        TooLarge::Redirect => format!("302 to {location}"),
    };
    let limit = match mirror.max_bytes {
        Some(bytes) => format!(", above {bytes} bytes or what the gateway can hold"),
        None => String::new(),
    };
    say("too big", format!("client gets {too_large}{limit}"));
    on
}

/// How the object is stored.
fn stored(mirror: &Mirror, request: &ObjectRequest) -> Vec<String> {
    let keeping = &mirror.keeping;
    let key = percent::readable(&request.key);
    let mut lines =
        vec![format!("stored as {key} with {TAG_METADATA}, unless it is there by then")];
    let mut given = HeaderList::new();
    keeping.add_stored(&Headers::default(), &request.key, &mut given);
    lines.extend(given.texts().map(|(name, value)| format!("and with {name}: {value}")));
    if keeping.last_modified {
        lines.push(format!("and with the origin's Last-Modified as {LAST_MODIFIED_METADATA}"));
    }
    if keeping.metadata {
        lines.push("and with the origin's user metadata, up to 8 KB".to_owned());
    }
    if mirror.check_md5 {
        lines.push("not stored unless its bytes have the digests the origin announces".to_owned());
    }
    lines
}

/// What stands in place of a value that the rule sets: as often as not it is a secret.
const SET_BY_RULE: &str = "(set by the rule)";

/// The headers of a request; what stands in its first line is told by its URL.
fn readable(headers: &HeaderList, mirror: &Mirror) -> Vec<(String, String)> {
    let is_set = |name: &str| mirror.headers.set.iter().any(|(set, _)| set == name);
    headers
        .texts()
        .filter_map(|(name, value)| match name {
            ":authority" => Some(("host".to_owned(), value.to_owned())),
            name if name.starts_with(':') => None,
            name if is_set(name) => Some((name.to_owned(), SET_BY_RULE.to_owned())),
            name => Some((name.to_owned(), value.to_owned())),
        })
        .collect()
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "request  {}", self.request)?;
        writeln!(f, "bucket   {}", self.status)?;
        for step in &self.rules {
            write!(f, "rule {:<3} {}: ", step.rule, step.redirect_type)?;
            match &step.mismatch {
                Some(why) => writeln!(f, "does not apply, {why}")?,
                None => writeln!(f, "applies")?,
            }
        }
        write!(f, "{}", self.outcome)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fail { reason } => write!(f, "then     client gets 424 MirrorFailed: {reason}"),
            Self::Mirror { method, url, headers, signed, on } => {
                write!(f, "origin   {method} {url}")?;
                for (name, value) in headers {
                    write!(f, "\n         {name}: {value}")?;
                }
                if *signed {
                    write!(f, "\n         and a signature, by MirrorAuth")?;
                }
                for Consequence { answer, then } in on {
                    write!(f, "\n{answer:<8} {then}")?;
                }
                Ok(())
            }
            Self::Pass { reason } => write!(f, "then     the bucket's answer stays: {reason}"),
            Self::Redirect { code, location } => {
                write!(f, "then     client gets {code} to {location}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A GET of the key `k`, to which the bucket answers so.
    fn get_of_k(status: u16) -> Question {
        Question {
            bucket: "b".to_owned(),
            method: "GET".to_owned(),
            key: b"k".to_vec(),
            query: String::new(),
            headers: Vec::new(),
            status,
        }
    }

    /// The two rules of OSS's documents, joined: a mirror with headers, a redirect for the rest.
    const RULES: &str = r#"{"RoutingRules": [
        {"RuleNumber": 1, "Condition": {"KeyPrefixEquals": "examplefolder/", "HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"RedirectType": "Mirror", "MirrorURL": "https://example.com/", "EnableReplacePrefix": true,
            "ReplaceKeyPrefixWith": "destfolder/", "MirrorPassQueryString": true,
            "MirrorHeaders": {"PassAll": true, "Remove": ["bbb-header"], "Set": [{"Key": "ccc-header", "Value": "ccc"}]}}},
        {"RuleNumber": 2, "Condition": {"HttpErrorCodeReturnedEquals": 404},
         "Redirect": {"RedirectType": "External", "Protocol": "https", "HostName": "www.example.com",
            "ReplaceKeyWith": "prefix/${key}.suffix", "HttpRedirectCode": 302}}
    ]}"#;

    fn ask(method: &str, key: &str, query: &str, status: u16) -> String {
        let question = Question {
            bucket: "b".to_owned(),
            method: method.to_owned(),
            key: key.as_bytes().to_vec(),
            query: query.to_owned(),
            headers: [("aaa-header", "aaa"), ("bbb-header", "bbb"), ("ccc-header", "111")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            status,
        };
        let rules = RuleSet::from_json(RULES.as_bytes()).rules.unwrap();
        explain(&rules, &question).to_string()
    }

    #[test]
    fn a_mirror_is_told_to_the_header() {
        assert_eq!(
            ask("GET", "examplefolder/example.txt", "x=1", 404),
            format!(
                "request  GET b/examplefolder/example.txt\n\
                 bucket   404\n\
                 rule 1   Mirror: applies\n\
                 origin   GET https://example.com/destfolder/example.txt?x=1\n\
                 \x20        host: example.com\n\
                 \x20        aaa-header: aaa\n\
                 \x20        ccc-header: (set by the rule)\n\
                 \x20        accept: */*\n\
                 \x20        user-agent: back-to-origin/{}\n\
                 on 200   client gets 200 and x-oss-tag: MIRROR https%3A%2F%2Fexample.com%2Fdestfolder%2Fexample.txt\n\
                 \x20        stored as examplefolder/example.txt with x-amz-meta-x-oss-tag, unless it is there by then\n\
                 on 3xx   followed, up to 10 times, to origins that the configuration names\n\
                 on 404   client gets 404 NoSuchKey\n\
                 else     client gets 424 MirrorFailed\n\
                 too big  client gets 302 to https://example.com/destfolder/example.txt?x=1",
                env!("CARGO_PKG_VERSION")
            )
        );
    }

    #[test]
    fn a_head_and_a_check_are_told() {
        let rules = RuleSet::from_json(
            br#"[{"RuleNumber": 1, "Condition": {"HttpErrorCodeReturnedEquals": 404}, "Redirect":
                {"RedirectType": "Mirror", "MirrorURL": "http://o/", "MirrorCheckMd5": true,
                 "MirrorAllowHeadObject": true}}]"#,
        );
        let question = Question {
            bucket: "b".to_owned(),
            method: "HEAD".to_owned(),
            key: b"k".to_vec(),
            query: String::new(),
            headers: Vec::new(),
            status: 404,
        };
        let text = explain(&rules.rules.unwrap(), &question).to_string();
        for line in [
            "origin   HEAD http://o/k",
            "stored as k with x-amz-meta-x-oss-tag, unless it is there by then",
            "not stored unless its bytes have the digests the origin announces",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }

    #[test]
    fn every_element_of_a_mirror_is_told() {
        let rules = r#"[{"RuleNumber": 7, "Condition": {"HttpErrorCodeReturnedEquals": "404,5XX"}, "Redirect":
                {"RedirectType": "Mirror", "MirrorURL": "http://o/", "MirrorURLSlave": "http://p/s/",
                 "MirrorURLProbe": "http://o/ok", "MirrorSwitchAllErrors": true, "MirrorAsyncStatus": 303,
                 "MirrorFollowRedirect": false, "TransparentMirrorResponseCodes": "400,403",
                 "MirrorSaveOssMeta": true, "MirrorUserLastModified": true, "MirrorOnServerError": true,
                 "MirrorFallThrough": true, "MirrorMaxSize": 5, "MirrorTooLarge": "Fail",
                 "MirrorTaggings": {"Taggings": [{"Key": "k", "Value": "v"}]}, "StorageClass": "STANDARD_IA",
                 "MirrorReturnHeaders": {"ReturnHeader": [{"Key": "X-From", "Value": "${key}"}]}}}]"#;
        let ask = |rules: &str, status| {
            let rules = RuleSet::from_json(rules.as_bytes());
            let rules = rules.rules.unwrap_or_else(|| panic!("{:?}", rules.findings));
            explain(&rules, &get_of_k(status)).to_string()
        };
        let text = ask(rules, 404);
        let end = text.split_once("user-agent").unwrap().1.split_once('\n').unwrap().1;
        assert_eq!(
            end,
            "first    client gets 303 to http://o/k, and the rest is done meanwhile\n\
             or       after any error, the same of http://p/s/\n\
             \x20        http://o comes last while http://o/ok does not answer 200\n\
             on 200   client gets 200 and x-oss-tag: MIRROR http%3A%2F%2Fo%2Fk\n\
             \x20        and x-from: k\n\
             \x20        stored as k with x-amz-meta-x-oss-tag, unless it is there by then\n\
             \x20        and with x-amz-tagging: k=v\n\
             \x20        and with x-amz-storage-class: STANDARD_IA\n\
             \x20        and with the origin's Last-Modified as x-amz-meta-x-oss-last-modified\n\
             \x20        and with the origin's user metadata, up to 8 KB\n\
             on 3xx   client gets the origin's redirect\n\
             on 400 or 403 client gets the origin's answer\n\
             on 404   the rules behind 7 are tried\n\
             else     client gets 424 MirrorFailed\n\
             too big  client gets 424 MirrorFailed, above 5 bytes or what the gateway can hold"
        );
        let text = ask(rules, 503);
        assert!(text.ends_with("\nthen     client gets 303 to http://o/k"), "{text}");
        let text = ask(&rules.replace(r#""MirrorAsyncStatus": 303,"#, ""), 503);
        assert!(
            text.contains(
                "nothing is stored: the bucket failed, which does not say that it lacks the object"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_redirect_is_told_with_the_rules_before_it() {
        assert_eq!(
            ask("GET", "test", "x=1", 404),
            "request  GET b/test\n\
             bucket   404\n\
             rule 1   Mirror: does not apply, the key does not start with \"examplefolder/\"\n\
             rule 2   External: applies\n\
             then     client gets 302 to https://www.example.com/prefix/test.suffix"
        );
    }

    #[test]
    fn what_no_rule_touches_is_told_too() {
        for (method, query, status, reason) in [
            (
                "PUT",
                "",
                404,
                "only GET is covered, and HEAD where a rule says MirrorAllowHeadObject",
            ),
            ("GET", "acl", 404, "the parameter `acl` asks for another operation"),
            ("GET", "", 403, "a 403 does not say whether the object is there"),
            ("GET", "", 401, "no rule applies"),
            ("GET", "", 200, "the bucket's answer is no error"),
        ] {
            let text = ask(method, "k", query, status);
            assert!(text.ends_with(&format!("the bucket's answer stays: {reason}")), "{text}");
        }
    }

    #[test]
    fn a_403_is_asked_about_before_anybody_else_is() {
        let rules = RuleSet::from_json(
            br#"[{"RuleNumber": 1, "Condition": {"HttpErrorCodeReturnedEquals": [403, 404]},
                  "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/"}}]"#,
        );
        let rules = rules.rules.unwrap();
        let told = |status| explain(&rules, &get_of_k(status)).to_string();
        let line = "first    the gateway's own keys ask the bucket; unless that says 404, client keeps \
                    the 403";
        assert!(told(403).contains(line), "{}", told(403));
        assert!(!told(404).contains("first"), "{}", told(404));
    }
}
