//! The engine among a client, a bucket, origins and a store that are only lines: what each of them
//! sees, in order.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use back_to_origin::configuration::Configuration;
use back_to_origin::exchange::{Decision, Exchange};
use back_to_origin::http::headers::{HeaderList, Headers};
use back_to_origin::matching::Source;
use back_to_origin::reply::{Body, Reply};
use back_to_origin::rule::RuleSet;
use back_to_origin::store::TAG_METADATA;
use back_to_origin::worker::{Call, CallAnswer, Effect, Moment, StreamId, Worker};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::row::{Answered, Asked, Row};

/// What every object is.
pub(crate) const BODY: &str = "body";

/// What origins see of every request, unless a rule says otherwise.
const USUAL: [(&str, &str); 2] =
    [("accept", "*/*"), ("user-agent", concat!("back-to-origin/", env!("CARGO_PKG_VERSION")))];

/// What is said of every object and document that has nothing of its own there.
const OF_EVERY_BODY: [(&str, &str); 3] = [
    ("accept-ranges", "bytes"),
    ("content-type", "application/octet-stream"),
    ("content-type", "application/xml"),
];

/// How long an origin may take, unless a rule says otherwise.
const PATIENCE: Duration = Duration::from_secs(10);

/// Plays a row's requests by these rules. The lines are
///
/// - what is found in the rules: `error CODE PLACE` or `warning CODE PLACE`; after an error there
///   are no rules,
/// - `asks CLUSTER: METHOD URL`, and behind a `|` each header that not every request has,
/// - `stores PATH of URL: BODY`, and its headers,
/// - `client STATUS`, what it is of, its body or its error's code, and its headers,
/// - `client keeps the bucket's STATUS`.
pub(crate) fn play(rules: &[Value], row: &Row) -> Vec<String> {
    let text = Value::from(rules).to_string();
    let checked = RuleSet::from_json(text.as_bytes());
    let found = checked.findings.iter().map(|finding| {
        format!("{} {} {}", finding.severity.as_str(), finding.code.as_str(), finding.place)
    });
    let mut lines: Vec<String> = found.collect();
    if checked.rules.is_none() {
        return lines;
    }
    let mut scene = Scene::new(rules, row);
    for asked in &row.asked {
        scene.ask(asked);
    }
    lines.append(&mut scene.lines);
    lines
}

struct Scene<'r> {
    row: &'r Row,
    configuration: Rc<Configuration>,
    worker: Worker,
    lines: Vec<String>,
}

impl<'r> Scene<'r> {
    fn new(rules: &[Value], row: &'r Row) -> Self {
        let configuration = json!({
            "buckets": [{ "name": "b", "store": { "cluster": "store", "authority": "s" },
                          "RoutingRules": rules }],
            "origins": { "http://o": "o", "http://o signer": "signed", "http://o connect-1500": "impatient", "https://o": "o",
                         "http://p": "p", "http://q": "q", "http://r": "r" },
        });
        let configuration = Configuration::from_json(configuration.to_string().as_bytes());
        let configuration = configuration.unwrap_or_else(|findings| panic!("{row}: {findings:?}"));
        let configuration = Rc::new(configuration);
        let worker = Worker::new(Rc::clone(&configuration));
        Self { row, configuration, worker, lines: Vec::new() }
    }

    fn ask(&mut self, asked: &Asked) {
        let own = [
            (":method", asked.method),
            (":scheme", "http"),
            (":authority", "gateway"),
            (":path", asked.target),
        ];
        let headers = own.iter().chain(&asked.headers).copied();
        let mut exchange = Exchange::new(Headers::from_pairs(headers), self.worker.ticket());
        let status = asked.bucket.to_string();
        let answer = Headers::from_pairs([(":status", status.as_str())]);
        let stream = StreamId(1);
        let effects = match exchange.on_answer(&self.configuration, &answer, || Source::Bucket) {
            Decision::Answer { reply, .. } => {
                self.lines.push(client(&reply));
                Vec::new()
            }
            Decision::Fetch { reply, miss, .. } => {
                self.lines.push(client(&reply));
                self.worker.on_wanted(*miss)
            }
            Decision::Mirror(miss) => self.worker.on_miss(stream, *miss),
            Decision::Pass(_) | Decision::Tell(_) => {
                self.lines.push(format!("client keeps the bucket's {status}"));
                Vec::new()
            }
        };
        self.perform(effects);
        let effects = self.worker.on_stream_end(stream);
        self.perform(effects);
        assert!(self.worker.is_idle(), "{}: something is left to do", self.row);
    }

    /// Does what the worker wants, and everybody answers at once.
    fn perform(&mut self, effects: Vec<Effect>) {
        let mut effects = VecDeque::from(effects);
        let now = Moment::default();
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Answer(_, reply) => self.lines.push(client(&reply)),
                Effect::Call(id, call) => {
                    let answered = self.answer(&call);
                    let status = answered.status.to_string();
                    // By the second, an answer is the origin's own and not the proxy's for it.
                    let own =
                        [(":status", status.as_str()), ("x-envoy-upstream-service-time", "1")];
                    let headers = own.iter().chain(&answered.headers).copied();
                    let answer = CallAnswer {
                        headers: Headers::from_pairs(headers),
                        body_bytes: answered.body.len() as u64,
                        body: answered.body.as_bytes().to_vec(),
                    };
                    effects.extend(self.worker.on_call_answer(id, answer, now));
                }
                Effect::Wake => effects.extend(self.worker.on_wake(now)),
                Effect::Count(_) | Effect::Lease(_) | Effect::Log(_) | Effect::Tick(_) => {}
            }
        }
    }

    fn answer(&mut self, call: &Call) -> Answered {
        if call.cluster == "store" {
            self.lines.push(stores(call));
            return Answered { status: 200, headers: Vec::new(), body: "" };
        }
        let get = |name| text(&call.headers, name);
        let url = format!("{}://{}{}", get(":scheme"), get(":authority"), get(":path"));
        let method = get(":method");
        let mut line = format!("asks {}: {method} {url}", call.cluster);
        line.push_str(&told(&call.headers, |name, value| !USUAL.contains(&(name, value))));
        if call.timeout != PATIENCE {
            line.push_str(&format!(" | within {:?}", call.timeout));
        }
        self.lines.push(line);
        let scripted = self.row.origins.iter().find(|(known, _)| *known == url);
        let mut answered = scripted.map_or_else(
            || Answered { status: 200, headers: Vec::new(), body: BODY },
            |(_, answered)| answered.clone(),
        );
        if method == "HEAD" {
            answered.body = "";
        }
        answered
    }
}

/// A request to the store.
fn stores(call: &Call) -> String {
    let get = |name| text(&call.headers, name);
    let body = call.body.as_ref().map(|body| String::from_utf8_lossy(body).into_owned());
    // Nothing is stored over what is there.
    assert_eq!((get(":method").as_str(), get("if-none-match").as_str()), ("PUT", "*"));
    let own = ["if-none-match", TAG_METADATA];
    let shown = told(&call.headers, |name, value| {
        !own.contains(&name) && !OF_EVERY_BODY.contains(&(name, value))
    });
    let of = origin(&get(TAG_METADATA));
    format!("stores {}{of}: {}{shown}", get(":path"), body.unwrap_or_default())
}

/// An answer to the client.
fn client(reply: &Reply) -> String {
    let of = reply.headers.get("x-oss-tag").map(|_| origin(&text(&reply.headers, "x-oss-tag")));
    let body = match &reply.body {
        Body::Absent => String::new(),
        Body::Headers(length) => format!(": headers of {} bytes", length.unwrap_or_default()),
        Body::Object(object, bytes) => {
            format!(": {}", String::from_utf8_lossy(&object.body[bytes.clone()]))
        }
        Body::Text(text) => {
            let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
            format!(" {}", code.map_or(text.as_str(), |(code, _)| code))
        }
    };
    let shown = told(&reply.headers, |name, value| {
        name != "x-oss-tag" && !OF_EVERY_BODY.contains(&(name, value))
    });
    format!("client {}{}{body}{shown}", reply.status, of.unwrap_or_default())
}

/// Where an object is from, by its tag.
fn origin(tag: &str) -> String {
    let url = tag.strip_prefix("MIRROR ").expect("a tag is a word and a URL");
    format!(" of {}", percent_decode_str(url).decode_utf8_lossy())
}

/// Headers behind a line, those of the first line left out.
fn told(headers: &HeaderList, is_told: impl Fn(&str, &str) -> bool) -> String {
    let told =
        headers.texts().filter(|(name, value)| !name.starts_with(':') && is_told(name, value));
    told.map(|(name, value)| format!(" | {name}: {value}")).collect()
}

fn text(headers: &HeaderList, name: &str) -> String {
    String::from_utf8_lossy(headers.get(name).unwrap_or_default()).into_owned()
}
