//! The callout path: the filter stands between the client and the bucket.

use back_to_origin::decision::{self, Decision, Exchange};
use back_to_origin::host::StreamId;
use back_to_origin::http::headers::Headers;
use back_to_origin::matching::Source;

use crate::row::Asked;
use crate::scene::{NOW, Scene, replied};

impl Scene<'_> {
    /// A client's request.
    pub(crate) fn ask_callout(&mut self, asked: &Asked) {
        let own = [
            (":method", asked.method),
            (":scheme", "http"),
            (":authority", "gateway"),
            (":path", asked.target),
        ];
        let headers = own.iter().chain(&asked.headers).copied();
        let mut exchange = Exchange::new(Headers::from_pairs(headers), self.engine.sequence());
        let status = asked.bucket.to_string();
        let answer = Headers::from_pairs([(":status", status.as_str())]);
        let stream = StreamId(1);
        let configuration = self.engine.configuration();
        let decision = exchange.on_answer(&configuration, &answer, || Source::Bucket);
        let mut told = Vec::new();
        let shared = &mut self.shared;
        let decision = decision::without_absent(&configuration, decision, NOW, shared, &mut told);
        self.perform(told);
        let effects = match decision {
            Decision::Answer(conclusion) => {
                self.lines.push(replied(&conclusion.reply));
                Vec::new()
            }
            Decision::Fetch(conclusion, miss) => {
                self.lines.push(replied(&conclusion.reply));
                self.engine.on_wanted(*miss)
            }
            Decision::Mirror(miss) => self.engine.on_miss(stream, *miss),
            Decision::Prove(doubt) => self.engine.on_doubt(stream, doubt),
            Decision::Pass(_) | Decision::Tell(_) => {
                self.keeps(asked.bucket);
                Vec::new()
            }
        };
        self.perform(effects);
        self.turn();
        let effects = self.engine.on_stream_end(stream);
        self.perform(effects);
        self.turn();
    }
}
