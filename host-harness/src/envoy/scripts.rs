//! What stands on the way to servers: two scripts that make requests of their own of answers, and one
//! that asks nobody on the inside of a network.
//!
//! Owns their text, and which answers never come to them. The words that they speak with the filter
//! are [`back_to_origin::miss_route`]'s.

use back_to_origin::miss_route::{
    ATTEMPT, FORWARDED_PROTO, FRAMING, HOST, LOCATION, MISS, RETURNS,
};

use super::yaml::{List, Map, Yaml};
use super::{Form, Settings};
use crate::address::{V4, V6};
use crate::store::SIGNATURE_PARAMETERS;

/// The guard's name, under which routes say what it needs.
pub(super) const GUARD: &str = "guard";

/// How many bytes of a body are read to its end.
const DRAINED: u32 = 65_536;

/// How the statuses of nearly all answers begin, on which no script runs.
const HITS: [&str; 2] = ["2", "304"];

/// What takes a status for one of a list: as `miss_route::returns` says.
const AMONG: &str = r#"local function has(list, word) return list:find(word, 1, true) end -- as in "404 5xx !503"
local function among(list, status) return not has(list, "!" .. status) and (has(list, status) or has(list, status:sub(1, 1) .. "xx")) end"#;

/// What tells a delete marker.
const DELETED: &str = r#"local function deleted(headers) return (headers:get("x-amz-delete-marker") or headers:get("x-oss-delete-marker") or ""):lower() == "true" end"#;

/// On a bucket's side: a miss becomes a redirect to the miss route.
pub(super) fn guard(settings: &Settings) -> Map {
    let drain = drain(settings, "  ", IS_ERROR, OF_NO_BUCKET);
    let script = format!(
        r#"{AMONG}
{DELETED}
function envoy_on_response(answer)
  local headers, route = answer:headers(), answer:metadata()
  local status, bucket, said = headers:get(":status"), route:get("bucket"), headers:get("{MISS}")
  headers:remove("{MISS}")
  if bucket == nil then return end
  if said == nil or not route:get("heard") then -- only Envoy's own word is heard, of a bucket that it cannot reach
    if not among(route:get("misses"), status) then return end
    said = status .. (deleted(headers) and " deleted" or "")
  end
{drain}  headers:replace("{MISS}", "bucket " .. bucket .. " " .. said)
  headers:replace(":status", "307") headers:replace("location", "http://{HOST}/")
end
"#
    );
    filter(
        GUARD,
        "A miss becomes a redirect that the router follows. Whose it is, and what is one, the route's metadata say.",
        script,
        settings,
    )
}

/// On an origin's side: an answer that the filter wants to know of comes back to the miss route.
pub(super) fn handback(settings: &Settings) -> Map {
    let drain = drain(settings, "    ", "", " answer:body()");
    let script = format!(
        r#"{AMONG}
{DELETED}
function envoy_on_request(request)
  local headers, kept = request:headers(), request:streamInfo():dynamicMetadata()
  local attempt = headers:get("{ATTEMPT}")
  if attempt then kept:set("miss", "attempt", attempt) kept:set("miss", "returns", headers:get("{RETURNS}") or "") end
end
function envoy_on_response(answer)
  local headers, kept = answer:headers(), answer:streamInfo():dynamicMetadata():get("miss")
  if kept == nil then return end
  if headers:get("{MISS}") == nil then -- behind `attempts` it may have been said
    local status, location = headers:get(":status"), headers:get("location")
    if not among(kept.returns, status) then return end
{drain}    headers:replace("{MISS}", "origin " .. status .. (deleted(headers) and " deleted" or ""))
    if location then headers:replace("{LOCATION}", location) end
  end
  headers:replace("{ATTEMPT}", kept.attempt) headers:replace("{FORWARDED_PROTO}", "http")
  headers:replace(":status", "307") headers:replace("location", "http://{HOST}/")
end
"#
    );
    filter(
        "handback",
        "So does the answer of an attempt that the filter wants to know of; others pass.",
        script,
        settings,
    )
}

/// Before a store's requests are signed: the path is what the signature is made over, and a store makes
/// it over the one canonical encoding of the key. What a client has signed in its query goes.
pub(super) fn canonical() -> Map {
    let lines: Vec<String> = SIGNATURE_PARAMETERS.chunks(7).map(|names| names.join(" ")).collect();
    let script = format!(
        r#"local signs = {{}}
local names = [[{}]]
for name in names:gmatch("%S+") do signs[name] = true end
local function plain(hex) return string.char(tonumber(hex, 16)) end
local function coded(byte) return ("%%%02X"):format(byte:byte()) end
function envoy_on_request(request)
  local headers, kept = request:headers(), {{}}
  local target = headers:get(":path") or ""
  local path, query = target:match("^([^?]*)%??(.*)$")
  for parameter in query:gmatch("[^&]+") do -- without a client's signature
    if not signs[parameter:match("^[^=]*"):gsub("%%(%x%x)", plain):lower()] then kept[#kept + 1] = parameter end
  end
  path = path:gsub("%%(%x%x)", plain):gsub("[^A-Za-z0-9%-._~/]", coded) .. (#kept > 0 and "?" .. table.concat(kept, "&") or "")
  if path ~= target then headers:replace(":path", path) end
end
"#,
        lines.join("\n")
    );
    let lua = Map::typed("envoy.extensions.filters.http.lua.v3.Lua")
        .remark(
            "A store checks a signature against one encoding of a key, and clients have others.",
        )
        .with("default_source_code", Map::new().with("inline_string", Yaml::Lines(script)));
    Map::new().with("name", "canonical").with("typed_config", lua.shared("canonical"))
}

/// The header in which an origin's cluster tells its script whose address the request goes to.
const UPSTREAM: &str = "x-envoy-miss-upstream";

/// On an origin's side: nothing is sent to the inside of a network. Two filters, the first of which
/// tells the second what only it is told: the address that the name leads to for this request.
pub(super) fn outside() -> [Map; 2] {
    let header = Map::new().with("key", UPSTREAM).with("value", "%UPSTREAM_HOST%");
    let append =
        Map::new().with("header", header).with("append_action", "OVERWRITE_IF_EXISTS_OR_ADD");
    let mutations =
        Map::new().with("request_mutations", List::new().with(Map::new().with("append", append)));
    let told = Map::typed("envoy.extensions.filters.http.header_mutation.v3.HeaderMutation")
        .with("mutations", mutations);
    let v4 = V4.iter().map(|(net, bits, _)| format!("{net}/{bits}"));
    let v6 = V6.iter().map(|(net, bits, _)| format!("{net}/{bits}"));
    let nets: Vec<String> = v4.chain(v6).collect();
    let nets: Vec<String> = nets.chunks(10).map(|line| format!("  {}", line.join(" "))).collect();
    let nets = nets.join("\n");
    let script = format!(
        r#"local inside = [[
{nets}
]]
local function bits(text) -- of an IPv6 address; of an IPv4 address, those of the one that stands for it
  if not text:find(":", 1, true) then text = "::ffff:" .. text end
  text = text:gsub("(%d+)%.(%d+)%.(%d+)%.(%d+)$", function(a, b, c, d) return ("%x:%x"):format(a * 256 + b, c * 256 + d) end)
  local head, tail = text:match("^(.*)::(.*)$")
  local _, count = text:gsub("%x+", "")
  if head then text = head .. (":0"):rep(8 - count) .. ":" .. tail end
  text = text:gsub("%x+", function(group) return ("%04x"):format(tonumber(group, 16)) end):gsub(":", "")
  return (text:gsub("%x", function(digit)
    local n = tonumber(digit, 16)
    return ("%d%d%d%d"):format(n / 8, n / 4 % 2, n / 2 % 2, n % 2)
  end))
end
local v4, nat64, six_to_four, nets = bits("0.0.0.0"):sub(1, 96), bits("64:ff9b::"):sub(1, 96), bits("2002::"):sub(1, 16), {{}}
for net, length in inside:gmatch("(%S+)/(%d+)") do nets[#nets + 1] = bits(net):sub(1, length + (net:find(":", 1, true) and 0 or 96)) end
local function is_inside(host)
  local text = host:match("^%[([%x:.]+)%]:%d+$") or host:match("^(%d+%.%d+%.%d+%.%d+):%d+$")
  if not text then return true end -- nothing is known of it
  local address = bits(text)
  if address:sub(1, 96) == nat64 then address = v4 .. address:sub(97) end
  if address:sub(1, 16) == six_to_four then address = v4 .. address:sub(17, 48) end
  for _, net in ipairs(nets) do if address:sub(1, #net) == net then return true end end
  return false
end
function envoy_on_request(request)
  local headers = request:headers()
  local host = headers:get("{UPSTREAM}") or ""
  headers:remove("{UPSTREAM}")
  if is_inside(host) then request:respond({{ [":status"] = "403" }}, "the address is on the inside of a network") end
end
"#
    );
    let refusal = Map::typed("envoy.extensions.filters.http.lua.v3.Lua")
        .remark(OUTSIDE)
        .with("default_source_code", Map::new().with("inline_string", Yaml::Lines(script)));
    [
        Map::new().with("name", "upstream").with("typed_config", told.shared("upstream")),
        Map::new().with("name", "outside").with("typed_config", refusal.shared("outside")),
    ]
}

/// Why origins' addresses are looked at.
const OUTSIDE: &str = "Rules name origins, and whoever owns a name says where it leads. None on the inside of a \
                       network is asked, unless the deployment says `allow_internal_origins: true`.";

/// A store's own words on an error, which S3 sends without a length.
const IS_ERROR: &str =
    " or not length and (headers:get(\"content-type\") or \"\"):find(\"/xml\", 1, true)";

/// What a store says of a bucket that it does not have is no miss.
const OF_NO_BUCKET: &str = r#"
    local body = answer:body() local words = body and body:getBytes(0, body:length()) or ""
    if words:find("<Code>NoSuchBucket</Code>", 1, true) then return end -- nobody was asked
    if status == "403" and words:find("<Code>AccessDenied</Code>", 1, true) then said = said .. " denied" end -- and no signature is wrong
   "#;

/// Reads a small body to its end, so that its connection serves the next request; `read` does. The
/// headers are others behind it.
fn drain(settings: &Settings, margin: &str, others: &str, read: &str) -> String {
    match settings.form {
        Form::Istio => String::new(),
        Form::Envoy => format!(
            "{margin}local length = tonumber(headers:get(\"content-length\") or \"\")\n\
             {margin}if length and length <= {DRAINED}{others} then{read} headers = answer:headers() end -- its connection lives on\n"
        ),
    }
}

fn filter(name: &'static str, about: &str, script: String, settings: &Settings) -> Map {
    let lua = Map::typed("envoy.extensions.filters.http.lua.v3.Lua")
        .remark(about)
        .with("default_source_code", Map::new().with("inline_string", Yaml::Lines(script)));
    let config = match settings.form {
        Form::Istio => lua,
        Form::Envoy => Map::typed("envoy.extensions.common.matching.v3.ExtensionWithMatcher")
            .with("xds_matcher", hits().shared("hits"))
            .with("extension_config", Map::new().with("name", name).with("typed_config", lua)),
    };
    Map::new().with("name", name).with("typed_config", config.shared(name))
}

fn hits() -> Map {
    let input = Map::typed("envoy.type.matcher.v3.HttpResponseHeaderMatchInput")
        .with("header_name", ":status");
    let skip = Map::new().with("name", "skip").with(
        "typed_config",
        Map::typed("envoy.extensions.filters.common.matcher.action.v3.SkipFilter"),
    );
    let skip = Map::new().with("action", skip);
    let map = HITS.iter().fold(Map::new(), |map, status| map.with(status, skip.clone()));
    let tree = Map::new()
        .with("input", Map::new().with("name", "status").with("typed_config", input))
        .with("prefix_match_map", Map::new().with("map", map));
    Map::new().with("matcher_tree", tree)
}

/// Takes headers off that are between Envoy and the filter; an origin also tells by what its answer
/// has come.
pub(super) fn strip(server: Server) -> Map {
    let (more, said) = match server {
        Server::Origin => (&[FORWARDED_PROTO][..], Some(framing())),
        Server::Store => (&[][..], None),
    };
    let prefix = |prefix: &str| {
        let matcher = Map::new().with("key_matcher", Map::new().with("prefix", prefix));
        Map::new().with("remove_on_match", matcher)
    };
    let requests = more.iter().map(|name| Map::new().with("remove", *name));
    let requests: List = std::iter::once(prefix("x-envoy-")).chain(requests).collect();
    let mutations = Map::new()
        .with("request_mutations", requests)
        .with("response_mutations", std::iter::once(prefix(MISS)).chain(said).collect::<List>());
    let config = Map::typed("envoy.extensions.filters.http.header_mutation.v3.HeaderMutation")
        .with("mutations", mutations);
    Map::new().with("name", "strip").with("typed_config", config.shared("strip"))
}

/// Has the filter told by what an answer has come: in place of whatever a server says of that.
pub(super) fn framing() -> Map {
    let value = "%UPSTREAM_PROTOCOL% %RESP(transfer-encoding)%";
    let header = Map::new()
        .with("header", Map::new().with("key", FRAMING).with("value", value))
        .with("append_action", "OVERWRITE_IF_EXISTS_OR_ADD");
    Map::new().with("append", header)
}

/// Whose headers are taken off.
#[derive(Clone, Copy)]
pub(super) enum Server {
    Origin,
    Store,
}
