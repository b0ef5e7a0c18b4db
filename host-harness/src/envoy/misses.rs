//! Misses as requests of their own: Envoy drops the bucket's answer and routes the request anew.
//!
//! Owns what a miss is to Envoy, and how the request says that it is one. It costs a hit less than
//! anything else that tells the two apart, and what becomes of the bucket is settled by then: no
//! failure to reach it can be taken for a miss, nor one to reach an origin for the bucket's.

use super::yaml::{List, Map};

/// The name of Envoy's filter in the chain.
pub(super) const NAME: &str = "misses";

/// The header by which a request says that it is one. No client can set it.
pub(super) const HEADER: &str = "x-envoy-back-to-origin";

/// The host of a miss whose bucket stands in its path. Nobody can ask port 0.
pub(super) const HOST: &str = "back-to-origin.invalid:0";

/// The message that configures it.
const MESSAGE: &str = "envoy.extensions.filters.http.custom_response.v3.CustomResponse";

/// What a delete marker says of itself, by S3 and by OSS.
const MARKERS: [&str; 2] = ["x-amz-delete-marker", "x-oss-delete-marker"];

/// The filter in the chain, which virtual hosts turn on.
pub(super) fn filter() -> Map {
    Map::new().with("name", NAME).with("disabled", true).with("typed_config", Map::typed(MESSAGE))
}

/// What Envoy does with a miss: it routes it as a request to this host.
pub(super) fn anew(host: &str) -> Map {
    let header = Map::new().with("key", HEADER).with("value", "miss");
    let policy =
        Map::typed("envoy.extensions.http.custom_response.redirect_policy.v3.RedirectPolicy")
            .with("redirect_action", Map::new().with("host_redirect", host).flow())
            .with(
                "request_headers_to_add",
                List::new().with(Map::new().with("header", header).flow()),
            );
    let action = Map::new().with("name", "miss").with("typed_config", policy);
    let matcher =
        Map::new().with("predicate", is_miss()).with("on_match", Map::new().with("action", action));
    let list = Map::new().with("matchers", List::new().with(matcher));
    Map::typed(MESSAGE).with("custom_response_matcher", Map::new().with("matcher_list", list))
}

/// Requests that only say by their host that they are one.
pub(super) fn pretended() -> Map {
    let header = Map::new().with("name", HEADER).with("present_match", true);
    let headers = List::new().with(header.with("invert_match", true).flow());
    Map::new()
        .with("match", Map::new().with("prefix", "/").with("headers", headers))
        .with("direct_response", Map::new().with("status", 404_u64).flow())
}

/// The bucket itself has answered 404, and for no delete marker: what was deleted stays deleted.
fn is_miss() -> Map {
    let text = |exact: &str| Map::new().with("exact", exact);
    let status = Map::typed("envoy.type.matcher.v3.HttpResponseStatusCodeMatchInput");
    let local = Map::typed("envoy.type.matcher.v3.HttpResponseLocalReplyMatchInput");
    let all = List::new().with(single("status", status, text("404"))).with(single(
        "local",
        local,
        text("false"),
    ));
    let marked = MARKERS.map(|name| {
        let header = || {
            Map::typed("envoy.type.matcher.v3.HttpResponseHeaderMatchInput")
                .with("header_name", name)
        };
        let some = Map::new().with(
            "safe_regex",
            Map::new().with("google_re2", Map::new()).with("regex", ".+").flow(),
        );
        let no = text("false").with("ignore_case", true);
        let says = single(name, header(), some);
        let denies = Map::new().with("not_matcher", single(name, header(), no));
        Map::new().with("not_matcher", every(List::new().with(says).with(denies)))
    });
    every(marked.into_iter().fold(all, List::with))
}

fn single(name: &str, input: Map, value: Map) -> Map {
    let input = Map::new().with("name", name).with("typed_config", input);
    let single = Map::new().with("input", input).with("value_match", value.flow());
    Map::new().with("single_predicate", single)
}

fn every(predicates: List) -> Map {
    Map::new().with("and_matcher", Map::new().with("predicate", predicates))
}
