//! `Redirect` of the types External and AliCDN.

use super::{Findings, flag, word};
use crate::finding::{Code, Finding, Place};
use crate::http::{Scheme, host};
use crate::json::{At, Fields};
use crate::rule::{External, KeyRewrite};

pub(super) fn external(
    fields: &Fields<'_>,
    key: KeyRewrite,
    findings: &mut Findings,
) -> Option<External> {
    let protocol = word(fields, "Protocol", "http or https", Scheme::parse, findings);
    let host_name = fields
        .get("HostName")
        .and_then(|at| Some((at, at.text(findings)?)))
        .filter(|(_, host)| !host.is_empty())
        .and_then(|(at, host)| host_name(at, host, findings));
    let code = fields.get("HttpRedirectCode").and_then(|at| {
        let code = at.integer(findings)?;
        let status = u16::try_from(code).ok().filter(|code| (301..400).contains(code));
        if status.is_none() {
            findings.push(at.wrong(Code::BadRedirect, "a status from 301 to 399"));
        }
        status
    });
    let says_where = ["HostName", "Protocol", "HttpRedirectCode", "EnableReplacePrefix"]
        .into_iter()
        .chain(["ReplaceKeyPrefixWith", "ReplaceKeyWith"])
        .any(|name| fields.get(name).is_some());
    if !says_where {
        let message = "the rule does not say where to redirect";
        findings.push(
            Finding::error(Code::EmptyRedirect, Place::name(fields.pointer()), message).help(
                "give at least one of HostName, Protocol, ReplaceKeyPrefixWith, ReplaceKeyWith, \
                 HttpRedirectCode",
            ),
        );
        return None;
    }
    let pass_query_string = flag(fields, "PassQueryString", findings).unwrap_or_default();
    let ali_cdn = fields.get("RedirectType").is_some_and(|at| at.node.is_text("AliCDN"));
    Some(External {
        ali_cdn,
        protocol,
        host_name,
        key,
        pass_query_string,
        code: code.unwrap_or(301),
    })
}

/// A domain name or an address, perhaps with a port, in the form a URL has it.
fn host_name(at: &At<'_>, host: &str, findings: &mut Findings) -> Option<String> {
    match host::host_and_port(host) {
        Some((host, Some(port))) => Some(format!("{host}:{port}")),
        Some((host, None)) => Some(host),
        None => {
            findings.push(at.wrong(Code::BadHost, "a domain name, perhaps with a port"));
            None
        }
    }
}
