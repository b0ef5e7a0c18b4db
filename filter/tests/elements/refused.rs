//! Elements that are known and not honoured: to ignore them would change what a rule means.

use serde_json::{Value, json};

use crate::row::{Row, row};

pub(crate) fn rows() -> Vec<Row> {
    let script = row("LuaConfig", "a script that OSS runs on the rule")
        .rule(json!({
            "RuleNumber": 1,
            "Condition": {},
            "Redirect": { "HostName": "h.example" },
            "LuaConfig": { "Script": "s.lua" },
        }))
        .refused();
    let with = |element: &'static str, says, value: Value| {
        let name = element.trim_start_matches("Redirect/");
        row(element, says).mirror(json!({ name: value })).refused()
    };
    let switched = |element, says| with(element, says, json!(true)).usual(false);
    let named = |element, says| with(element, says, json!("n")).usual("");
    vec![
        script,
        switched("Redirect/MirrorAllowGetImageInfo", "image processing of what is missing"),
        switched("Redirect/MirrorAllowVideoSnapshot", "video snapshots of what is missing"),
        switched("Redirect/MirrorUsingRole", "the origin is a private bucket, read by a role"),
        named("Redirect/MirrorRole", "the role that may read it"),
        switched("Redirect/MirrorIsExpressTunnel", "the origin is behind a tunnel"),
        named("Redirect/MirrorTunnelId", "the tunnel"),
        named("Redirect/MirrorDstRegion", "the region behind it"),
        named("Redirect/MirrorDstVpcId", "the network of MirrorURL"),
        named("Redirect/MirrorDstSlaveVpcId", "the network of MirrorURLSlave"),
    ]
}
