//! The streaming path: a gateway that does what the miss route says, and no more.

use std::time::Duration;

use back_to_origin::http::headers::{HeaderList, Headers};
use back_to_origin::matching::Source;
use back_to_origin::miss_route;
use back_to_origin::streaming::{Decided, MissStream, RequestDecision, ResponseDecision};

use crate::row::Asked;
use crate::scene::{AGAIN, NOW, PATIENCE, Scene, client, replied, text};

/// The number of the root.
const ROOT: u64 = 7;

impl Scene<'_> {
    /// A client's request. An error of the bucket's brings it to the miss route.
    pub(crate) fn ask_streaming(&mut self, asked: &Asked) {
        if asked.bucket < 400 {
            return self.watch(asked);
        }
        let said = format!("bucket b {}", asked.bucket);
        let url = format!("http://gateway{}", asked.target);
        let own = [
            (":method", asked.method),
            (":authority", miss_route::HOST),
            (miss_route::MISS, &said),
            (miss_route::ORIGINAL_URL, &url),
            (miss_route::FORWARDED_PROTO, "http"),
        ];
        let headers = Headers::from_pairs(own.iter().chain(&asked.headers).copied());
        let mut next = Some(headers);
        while let Some(headers) = next {
            let mut stream = MissStream::default();
            let decided = stream.on_request(&mut self.engine, headers, ROOT, NOW, &mut self.shared);
            next = match self.decide(&mut stream, decided) {
                RequestDecision::Answer(reply) => {
                    self.lines.push(replied(&reply));
                    None
                }
                RequestDecision::Continue => panic!("nothing is on the miss route as it is"),
                RequestDecision::Wait => panic!("nobody else asks"),
                RequestDecision::Send(sent) => {
                    self.turn();
                    self.send(asked, &mut stream, &sent)
                }
            };
            self.gone(stream);
        }
    }

    /// A request that the bucket does not answer with an error: the filter sees it go by.
    fn watch(&mut self, asked: &Asked) {
        let own = [
            (":method", asked.method),
            (":scheme", "http"),
            (":authority", "gateway"),
            (":path", asked.target),
        ];
        let headers = Headers::from_pairs(own.iter().chain(&asked.headers).copied());
        let mut stream = MissStream::default();
        let decided = stream.on_request(&mut self.engine, headers, ROOT, NOW, &mut self.shared);
        let decision = self.decide(&mut stream, decided);
        assert!(matches!(decision, RequestDecision::Continue), "{decision:?}");
        self.bucket_answers(&mut stream, asked.bucket);
        self.gone(stream);
    }

    /// The bucket's own answer.
    fn bucket_answers(&mut self, stream: &mut MissStream, status: u16) {
        let answer = Headers::from_pairs([(":status", status.to_string())]);
        let decided = stream.on_response(
            &mut self.engine,
            &answer,
            || Source::Bucket,
            || None,
            back_to_origin::time::Moment::default,
        );
        match self.decide(stream, decided) {
            ResponseDecision::Answer(reply) => self.lines.push(replied(&reply)),
            ResponseDecision::Continue => self.keeps(status),
            ResponseDecision::Stream(headers) => panic!("no object of an origin's: {headers:?}"),
        }
    }

    /// Sends a request where it says; returns it as it comes to the miss route again.
    fn send(
        &mut self,
        asked: &Asked,
        stream: &mut MissStream,
        sent: &HeaderList,
    ) -> Option<Headers> {
        let mut cluster = text(sent, miss_route::CLUSTER);
        if cluster == AGAIN {
            self.bucket_answers(stream, asked.bucket);
            return None;
        }
        if cluster == miss_route::ATTEMPTS {
            cluster = text(sent, miss_route::SERVER);
        }
        let heard = self.origin(&cluster, miss_route::SERVER_HOST, sent, &bounds(sent));
        if miss_route::returns(&text(sent, miss_route::RETURNS), heard.status) {
            let said = format!("origin {}", heard.status);
            let location = heard.headers.get("location");
            let said =
                [(miss_route::MISS, Some(said.as_bytes())), (miss_route::LOCATION, location)];
            let said = said.into_iter().filter_map(|(name, value)| Some((name, value?)));
            let kept = sent.iter().filter(|(name, _)| *name != miss_route::MISS);
            return Some(Headers::from_pairs(kept.chain(said)));
        }
        let decided = stream.on_response(
            &mut self.engine,
            &heard.headers,
            || Source::Bucket,
            || None,
            back_to_origin::time::Moment::default,
        );
        match self.decide(stream, decided) {
            ResponseDecision::Answer(reply) => self.lines.push(replied(&reply)),
            ResponseDecision::Continue => panic!("an origin's answer is nobody's as it is"),
            ResponseDecision::Stream(headers) => self.stream(asked, stream, &headers, heard.body),
        }
        None
    }

    /// An answer goes through to the client.
    fn stream(&mut self, asked: &Asked, stream: &mut MissStream, headers: &HeaderList, body: &str) {
        if let Some(copy) = stream.copy()
            && self.engine.wants_bytes(copy, body.len())
        {
            let effects = self.engine.on_bytes(copy, body.as_bytes());
            self.perform(effects);
        }
        let effects = stream.on_end(&mut self.engine);
        self.perform(effects);
        let got = match (asked.method, body) {
            ("HEAD", _) => format!(": headers of {} bytes", text(headers, "content-length")),
            (_, "") => String::new(),
            (_, body) => format!(": {body}"),
        };
        let status = text(headers, ":status").parse().expect("an answer has a status");
        self.lines.push(client(status, headers, &got));
    }

    fn gone(&mut self, mut stream: MissStream) {
        let decided = stream.on_gone(&mut self.engine, || false, || NOW);
        self.decide(&mut stream, decided);
        self.turn();
    }

    /// Does what comes before a decision. Nobody else copies the object.
    fn decide<D>(&mut self, stream: &mut MissStream, decided: Decided<D>) -> D {
        self.perform(decided.effects);
        if decided.lease.is_some() {
            let effects = stream.on_lease(&mut self.engine, true);
            self.perform(effects);
        }
        decided.decision
    }
}

/// How long the gateway lets an origin take, and stand still, where that is not the usual.
fn bounds(sent: &HeaderList) -> String {
    let within = time(sent, miss_route::TIMEOUT).filter(|time| *time != PATIENCE);
    let still = time(sent, miss_route::IDLE);
    let within = within.map(|time| format!(" | within {time:?}"));
    let still = still.map(|time| format!(" | still for {time:?} at most"));
    let host = text(sent, ":authority");
    let paced = miss_route::paced_by(&host).map(|label| format!(" | paced by {label}"));
    within.into_iter().chain(still).chain(paced).collect()
}

fn time(sent: &HeaderList, name: &str) -> Option<Duration> {
    let millis = text(sent, name);
    (!millis.is_empty()).then(|| Duration::from_millis(millis.parse().expect("milliseconds")))
}
