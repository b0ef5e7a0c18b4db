//! An origin: what it answers for an object that cannot exist, and for one that the user names.
//!
//! Owns which requests those are: the ones that the filter makes of a rule.

mod finding;
mod judge;

use std::collections::BTreeMap;

use back_to_origin::configuration::Configuration;
use back_to_origin::host::CallAnswer;
use back_to_origin::http::headers::{HeaderList, Headers};
use back_to_origin::http::percent;
use back_to_origin::origin::{MAX_HOPS, OriginRequest, Verdict};
use back_to_origin::request::ObjectRequest;
use back_to_origin::rule::{Action, Mirror, Rule};

pub(super) use self::finding::Finding;
use super::ask::Server;
use super::unheard::Unheard;

/// The servers by the names of their clusters.
pub(super) type Servers = BTreeMap<String, Server>;

/// What an origin is asked.
pub(super) struct Question {
    /// The cluster of the server that is asked first.
    pub(super) cluster: String,
    /// The rule's number, and the URL that it is asked by.
    pub(super) rule: u32,
    pub(super) url: String,
    asks: Asks,
}

enum Asks {
    /// An object that cannot exist.
    Missing(OriginRequest),
    /// One that the user names.
    Object(OriginRequest, String),
    /// Nothing but whether it is there.
    Presence(HeaderList),
    /// Whether it is well, by its rule's own probe.
    Probe(HeaderList),
}

/// What came of a question.
pub(super) struct Asked {
    pub(super) findings: Vec<Finding>,
    pub(super) sound: Vec<&'static str>,
}

impl Question {
    /// What is asked of the origins of a rule: of an object that cannot exist, whose key the rule
    /// applies to, and of those of `keys` that it applies to.
    pub(super) fn of_rule(
        rule: &Rule,
        configuration: &Configuration,
        bucket: &str,
        missing: &[u8],
        keys: &[String],
    ) -> Vec<Self> {
        let Action::Mirror(mirror) = &rule.action else { return Vec::new() };
        let condition = &rule.condition;
        let (prefix, suffix) = (condition.key_prefix.as_bytes(), condition.key_suffix.as_bytes());
        let probe = [prefix, missing, suffix].concat();
        let of_key = |key: &[u8]| {
            let path = format!("/{bucket}/{}", percent::encode_key(key));
            let headers = Headers::from_pairs([
                (":method", "GET"),
                (":scheme", "https"),
                (":authority", "doctor"),
                (":path", &path),
            ]);
            let request = ObjectRequest::read(headers, None, |name| name == bucket).ok()?;
            OriginRequest::candidates(mirror, &request, configuration).ok()
        };
        let mut questions = Vec::new();
        let mut add = |cluster: &str, url: String, asks| {
            let cluster = cluster.to_owned();
            questions.push(Self { cluster, rule: rule.number, url, asks });
        };
        // The URLs stand in the file without a key.
        let urls: Vec<_> =
            mirror.urls().map(|url| format!("{}{}", url.origin(), url.path())).collect();
        for (request, url) in of_key(&probe).into_iter().flatten().zip(&urls) {
            add(&request.cluster.clone(), url.clone(), Asks::Missing(request));
        }
        for key in keys {
            let bytes = key.as_bytes();
            let is_covered = bytes.starts_with(prefix)
                && bytes.ends_with(suffix)
                && bytes.len() >= prefix.len() + suffix.len();
            for (request, url) in
                of_key(bytes).filter(|_| is_covered).into_iter().flatten().zip(&urls)
            {
                add(&request.cluster.clone(), url.clone(), Asks::Object(request, key.clone()));
            }
        }
        if let Some(place) = &mirror.alternates.probe
            && let Some(cluster) = configuration.cluster_of(&mirror.server(place.origin()))
        {
            let asked = get(
                place.scheme.as_str(),
                &place.authority,
                place.url().split_once(&place.authority).map_or("/", |(_, path)| path),
            );
            add(cluster, format!("{}{}", place.origin(), place.path), Asks::Probe(asked));
        }
        questions
    }

    /// Whether a server is there that origins may redirect to.
    pub(super) fn of_server(cluster: &str, scheme: &str, authority: &str) -> Self {
        let asks = Asks::Presence(get(scheme, authority, "/"));
        Self { cluster: cluster.to_owned(), rule: 0, url: String::new(), asks }
    }

    /// Whether another one asks the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let is_same = |one: &OriginRequest, other: &OriginRequest| {
            let (rule, others) = (one.rule(), other.rule());
            one.call_headers("GET") == other.call_headers("GET")
                && (rule.follow_redirect, rule.allow_head)
                    == (others.follow_redirect, others.allow_head)
                && rule.transparent == others.transparent
        };
        self.cluster == other.cluster
            && match (&self.asks, &other.asks) {
                (Asks::Missing(one), Asks::Missing(other)) => is_same(one, other),
                (Asks::Object(one, key), Asks::Object(other, others)) => {
                    key == others && is_same(one, other)
                }
                (Asks::Probe(one), Asks::Probe(other)) => one == other,
                (Asks::Presence(_), _) => true,
                (Asks::Missing(_) | Asks::Object(..) | Asks::Probe(_), _) => false,
            }
    }

    /// Asks it.
    pub(super) async fn ask(&self, servers: &Servers, configuration: &Configuration) -> Asked {
        let (mut findings, mut sound) = (Vec::new(), Vec::new());
        let asked = match &self.asks {
            Asks::Missing(request) => {
                ask_missing(request, servers, configuration, &mut findings).await
            }
            Asks::Object(request, key) => {
                ask_object(request, key, servers, configuration, &mut findings).await
            }
            Asks::Presence(headers) => ask_one(servers, &self.cluster, headers).await.map(drop),
            Asks::Probe(headers) => {
                let answer = ask_one(servers, &self.cluster, headers).await;
                answer.map(|answer| {
                    let status = answer.headers.status().unwrap_or_default();
                    findings.extend((status != 200).then_some(Finding::ProbeFailing(status)));
                })
            }
        };
        if let Err(unheard) = asked {
            findings.push(Finding::Unheard(unheard));
        }
        if findings.is_empty() {
            sound.push(match &self.asks {
                Asks::Missing(_) => "404 for what is missing",
                Asks::Object(..) => "the object by parts",
                Asks::Presence(_) => "it answers",
                Asks::Probe(_) => "its probe",
            });
        }
        Asked { findings, sound }
    }
}

fn get(scheme: &str, authority: &str, path: &str) -> HeaderList {
    HeaderList::new()
        .with(":method", "GET")
        .with(":scheme", scheme)
        .with(":authority", authority)
        .with(":path", path)
        .with("accept", "*/*")
}

async fn ask_one(
    servers: &Servers,
    cluster: &str,
    headers: &HeaderList,
) -> Result<CallAnswer, Unheard> {
    let server = servers.get(cluster).ok_or(Unheard::Nowhere)?;
    server.ask(headers).await
}

/// An answer, the place that has given it, and what it amounts to.
struct Reached {
    answer: CallAnswer,
    request: OriginRequest,
    verdict: Verdict,
}

/// Asks an origin, and follows it as the filter does.
async fn reach(
    request: &OriginRequest,
    method: &str,
    range: Option<&str>,
    servers: &Servers,
    configuration: &Configuration,
) -> Result<Reached, Unheard> {
    let mut request = request.clone();
    let mut hops = 0;
    loop {
        let mut headers = request.call_headers(method);
        if let Some(range) = range {
            headers.add("range", range);
        }
        let answer = ask_one(servers, &request.cluster, &headers).await?;
        let verdict = match answer.headers.status() {
            Some(status @ (100..=199 | 300..)) => request.judge_status(status, &answer.headers),
            _ => request.judge_head(&answer.headers, u64::MAX),
        };
        hops += 1;
        let verdict = match verdict {
            Verdict::Moved(ref location) if hops <= MAX_HOPS => {
                match request.follow(location, |origin| configuration.cluster_of(origin)) {
                    Ok(next) => {
                        request = next;
                        continue;
                    }
                    Err(failure) => Verdict::Failed(failure),
                }
            }
            Verdict::Absent
            | Verdict::Failed(_)
            | Verdict::Moved(_)
            | Verdict::Object(_)
            | Verdict::Passed(_)
            | Verdict::TooLarge { .. }
            | Verdict::Unknown => verdict,
        };
        return Ok(Reached { answer, request, verdict });
    }
}

async fn ask_missing(
    request: &OriginRequest,
    servers: &Servers,
    configuration: &Configuration,
    findings: &mut Vec<Finding>,
) -> Result<(), Unheard> {
    let rule: &Mirror = request.rule();
    let got = reach(request, "GET", None, servers, configuration).await?;
    let place = got.request.origin();
    let found = judge::missing(&got.answer, &got.verdict, rule.signer.is_some(), &place);
    let is_sound = found.is_none();
    findings.extend(found);
    if rule.allow_head && is_sound {
        let head = reach(request, "HEAD", None, servers, configuration).await?;
        findings.extend(judge::head(&head.answer, &got.answer));
    }
    Ok(())
}

async fn ask_object(
    request: &OriginRequest,
    key: &str,
    servers: &Servers,
    configuration: &Configuration,
    findings: &mut Vec<Finding>,
) -> Result<(), Unheard> {
    let head = reach(request, "HEAD", None, servers, configuration).await?;
    let got = reach(request, "GET", Some("bytes=0-0"), servers, configuration).await?;
    findings.extend(judge::object(key, &head.answer, &got.answer, &got.verdict));
    Ok(())
}
