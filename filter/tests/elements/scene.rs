//! The engine among a client, a bucket, origins and a store that are only lines: what each of them
//! sees, in order.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use back_to_origin::configuration::{Configuration, DataPath};
use back_to_origin::engine::Engine;
use back_to_origin::host::{Call, CallAnswer, DispatchError, Effect};
use back_to_origin::http::headers::{HeaderList, Headers};
use back_to_origin::metadata::TAG_METADATA;
use back_to_origin::miss_route;
use back_to_origin::reply::{Body, Reply};
use back_to_origin::rule::RuleSet;
use back_to_origin::time::Moment;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::row::{Answered, Row};

/// What every object is.
pub(crate) const BODY: &str = "body";

/// What origins see of every request, unless a rule says otherwise.
const USUAL: [(&str, &str); 2] =
    [("accept", "*/*"), ("user-agent", concat!("back-to-origin/", env!("CARGO_PKG_VERSION")))];

/// What is said of every object and document that has nothing of its own there.
const OF_EVERY_BODY: [(&str, &str); 4] = [
    ("accept-ranges", "bytes"),
    ("content-type", "application/octet-stream"),
    ("content-type", "application/xml"),
    ("last-modified", "Thu, 01 Jan 1970 00:00:00 GMT"),
];

/// How long an origin may take, unless a rule says otherwise.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The cluster that asks the bucket once more.
pub(crate) const AGAIN: &str = "again";

/// It is always the same moment.
pub(crate) const NOW: Moment = Moment(Duration::ZERO);

/// Plays a row's requests by these rules, on one path. The lines are
///
/// - what is found in the rules: `error CODE PLACE` or `warning CODE PLACE`; after an error there
///   are no rules,
/// - `asks CLUSTER: METHOD URL`, and behind a `|` each header that not every request has,
/// - `stores PATH of URL: BODY`, and its headers,
/// - `client STATUS`, what it is of, its body or its error's code, and its headers,
/// - `client keeps the bucket's STATUS`.
pub(crate) fn play(rules: &[Value], row: &Row, path: DataPath) -> Vec<String> {
    let text = Value::from(rules).to_string();
    let checked = RuleSet::from_json(text.as_bytes());
    let found = checked.findings.iter().map(|finding| {
        format!("{} {} {}", finding.severity.as_str(), finding.code.as_str(), finding.place)
    });
    let mut lines: Vec<String> = found.collect();
    if checked.rules.is_none() {
        return lines;
    }
    let mut scene = Scene::new(rules, row, path);
    for asked in &row.asked {
        match path {
            DataPath::Callout => scene.ask_callout(asked),
            DataPath::Streaming => scene.ask_streaming(asked),
        }
        assert!(scene.engine.is_idle(), "{row}: something is left to do");
    }
    lines.append(&mut scene.lines);
    lines
}

/// One engine and everybody around it.
pub(crate) struct Scene<'r> {
    row: &'r Row,
    pub(crate) engine: Engine,
    /// What all workers share.
    pub(crate) shared: BTreeMap<String, (Vec<u8>, u32)>,
    pub(crate) lines: Vec<String>,
    woken: bool,
}

/// What comes back of a request.
pub(crate) struct Heard {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: &'static str,
}

impl Heard {
    /// An answer with the length of its body, of which a HEAD gets no more than that.
    fn new(answered: &Answered, method: &str) -> Self {
        let status = answered.status.to_string();
        let length = answered.body.len().to_string();
        let own = [
            (":status", status.as_str()),
            // By this an answer is the origin's own and not the proxy's for it.
            ("x-envoy-upstream-service-time", "1"),
            ("content-length", &length),
        ];
        let headers = Headers::from_pairs(own.iter().chain(&answered.headers).copied());
        let body = if method == "HEAD" { "" } else { answered.body };
        Self { status: answered.status, headers, body }
    }
}

impl<'r> Scene<'r> {
    fn new(rules: &[Value], row: &'r Row, path: DataPath) -> Self {
        let configuration = json!({
            "path": match path {
                DataPath::Callout => "callout",
                DataPath::Streaming => "streaming",
            },
            "buckets": [{ "name": "b", "store": { "cluster": "store", "authority": "s" },
                          "again": AGAIN, "RoutingRules": rules }],
            "origins": { "http://o": "o", "http://o signer": "signed", "http://o connect-1500": "impatient", "https://o": "o",
                         "http://p": "p", "http://q": "q", "http://r": "r" },
            // No time passes here.
            "timeouts": { "get_after_head_ms": 0 },
        });
        let configuration = Configuration::from_json(configuration.to_string().as_bytes());
        let configuration = configuration.unwrap_or_else(|findings| panic!("{row}: {findings:?}"));
        Self {
            row,
            engine: Engine::new(Rc::new(configuration)),
            shared: BTreeMap::new(),
            lines: Vec::new(),
            woken: false,
        }
    }

    pub(crate) fn keeps(&mut self, status: u16) {
        self.lines.push(format!("client keeps the bucket's {status}"));
    }

    /// Does what the engine wants, and everybody answers at once.
    pub(crate) fn perform(&mut self, effects: Vec<Effect>) {
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Absent(absence, since) => absence.keep(since, NOW, &mut self.shared),
                Effect::Answer(_, reply) => self.lines.push(replied(&reply)),
                Effect::Call(id, call) => {
                    let paid = call.fare.as_ref().map(|fare| fare.pay(NOW, &mut self.shared));
                    if let Some(Err(wait)) = paid {
                        let refused = DispatchError::Limited(wait);
                        effects.extend(self.engine.on_call_refused(id, refused, NOW));
                        continue;
                    }
                    let Heard { headers, body, .. } = self.call(&call);
                    let body_bytes = body.len() as u64;
                    let wanted = self.engine.wants_body(id, body_bytes);
                    let body = if wanted { body.into() } else { Vec::new() };
                    let answer = CallAnswer { headers, body_bytes, body };
                    effects.extend(self.engine.on_call_answer(id, answer, NOW));
                }
                Effect::Claim(lease) => effects.extend(self.engine.on_lease(&lease, true)),
                Effect::Wake => self.woken = true,
                Effect::Measure(..)
                | Effect::Lease(_)
                | Effect::Log(_)
                | Effect::Record(..)
                | Effect::Release(_)
                | Effect::Resume(_)
                | Effect::Send(..)
                | Effect::Settle(..)
                | Effect::Tick(_) => {}
            }
        }
    }

    /// The root has its turn, where it was woken.
    pub(crate) fn turn(&mut self) {
        while std::mem::take(&mut self.woken) {
            let effects = self.engine.on_wake(NOW);
            self.perform(effects);
        }
    }

    fn call(&mut self, call: &Call) -> Heard {
        if call.cluster == "store" {
            self.lines.push(stores(call));
            return Heard::new(&Answered { status: 200, headers: Vec::new(), body: "" }, "PUT");
        }
        let timeout = (call.timeout != PATIENCE).then(|| format!(" | within {:?}", call.timeout));
        self.origin(&call.cluster, ":authority", &call.headers, &timeout.unwrap_or_default())
    }

    /// Asks an origin, whose name is in this header; `bounds` is what else is told of it.
    pub(crate) fn origin(
        &mut self,
        cluster: &str,
        host: &str,
        headers: &HeaderList,
        bounds: &str,
    ) -> Heard {
        let get = |name| text(headers, name);
        let url = format!("{}://{}{}", get(":scheme"), get(host), get(":path"));
        let method = get(":method");
        let shown = told(headers, |name, value| {
            let is_gateways = name.starts_with("x-envoy-") || name == miss_route::FORWARDED_PROTO;
            !is_gateways && !USUAL.contains(&(name, value))
        });
        self.lines.push(format!("asks {cluster}: {method} {url}{shown}{bounds}"));
        let scripted = self.row.origins.iter().find(|(known, _)| *known == url);
        let object = Answered { status: 200, headers: Vec::new(), body: BODY };
        Heard::new(scripted.map_or(&object, |(_, answered)| answered), &method)
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
pub(crate) fn replied(reply: &Reply) -> String {
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
    client(reply.status, &reply.headers, &body)
}

/// The same, whoever sends it.
pub(crate) fn client(status: u16, headers: &HeaderList, body: &str) -> String {
    let of = headers.get("x-oss-tag").map(|_| origin(&text(headers, "x-oss-tag")));
    let own = ["content-length", "x-amz-request-id", "x-oss-tag"];
    let shown = told(headers, |name, value| {
        !own.contains(&name) && !OF_EVERY_BODY.contains(&(name, value))
    });
    format!("client {status}{}{body}{shown}", of.unwrap_or_default())
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

pub(crate) fn text(headers: &HeaderList, name: &str) -> String {
    String::from_utf8_lossy(headers.get(name).unwrap_or_default()).into_owned()
}
