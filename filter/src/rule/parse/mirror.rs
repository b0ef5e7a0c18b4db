//! `Redirect` of the type Mirror.

use std::sync::Arc;
use std::time::Duration;

use super::condition::statuses;
use super::headers::{mirror_headers, return_headers, taggings};
use super::{Findings, flag, number, number_from, text, word};
use crate::finding::{Code, Finding, Place};
use crate::http::location;
use crate::json::{At, Fields};
use crate::rule::{
    Alternates, Keeping, KeyRewrite, MAX_TIMEOUT, Mirror, MirrorLimits, MirrorUrl, Statuses,
    TooLarge, element,
};

/// The most entries of `MirrorMultiAlternates`.
const MAX_ALTERNATES: usize = 8;

/// The largest object S3 knows.
const MAX_OBJECT_BYTES: u64 = 5 << 40;

pub(super) fn mirror(
    fields: &Fields<'_>,
    key: KeyRewrite,
    findings: &mut Findings,
) -> Option<Arc<Mirror>> {
    let url = fields.require("MirrorURL", findings).and_then(|at| MirrorUrl::read(at, findings));
    let pass = flag(fields, "PassQueryString", findings);
    let mirror_pass = flag(fields, "MirrorPassQueryString", findings);
    let headers =
        fields.get("MirrorHeaders").and_then(|at| mirror_headers(at, findings)).unwrap_or_default();
    let too_large = |text: &str| match text {
        "Redirect" => Some(TooLarge::Redirect),
        "Fail" => Some(TooLarge::Fail),
        _ => None,
    };
    let too_large = word(fields, "MirrorTooLarge", "Redirect or Fail", too_large, findings);
    let alternates = alternates(fields, findings);
    let transparent = fields
        .get("TransparentMirrorResponseCodes")
        .map(|at| statuses(at, findings))
        .unwrap_or_default();
    let mut timeout = |name| number(fields, name, MAX_TIMEOUT, findings).map(Duration::from_millis);
    let connect_timeout = timeout("MirrorConnectTimeout");
    let idle_timeout = timeout("MirrorIdleTimeout");
    let timeout = timeout("MirrorTimeout");
    let negative_cache = number_from(0, fields, "MirrorNegativeCache", MAX_TIMEOUT, findings)
        .map(Duration::from_millis);
    let max_bytes = number(fields, "MirrorMaxSize", MAX_OBJECT_BYTES, findings);
    let mut limit = |name| number(fields, name, i64::MAX.unsigned_abs(), findings);
    let limits = MirrorLimits {
        requests_per_second: limit("MirrorRequestsPerSecond"),
        bits_per_second: limit("MirrorBitsPerSecond"),
    };
    let async_status = fields.get("MirrorAsyncStatus").and_then(|at| async_status(at, findings));
    let keeping = keeping(fields, findings);
    // What else is in it is not for the filter.
    let signer = fields
        .get("MirrorAuth")
        .and_then(|at| at.object(findings))
        .map(|auth| text(&auth, element::SIGNER, findings).unwrap_or_default().to_owned());
    // An origin that only takes signed requests is nothing to send a client to.
    let usual = if signer.is_some() { TooLarge::Fail } else { TooLarge::Redirect };
    let mut on = |name| flag(fields, name, findings);
    Some(Arc::new(Mirror {
        pass_query_string: mirror_pass.or(pass).unwrap_or_default(),
        pass_original_slashes: on("MirrorPassOriginalSlashes").unwrap_or_default(),
        check_md5: on("MirrorCheckMd5").unwrap_or_default(),
        allow_head: on("MirrorAllowHeadObject").unwrap_or_default(),
        follow_redirect: on("MirrorFollowRedirect").unwrap_or(true),
        on_server_error: on(element::ON_SERVER_ERROR).unwrap_or_default(),
        fall_through: on("MirrorFallThrough").unwrap_or_default(),
        proxy_pass: on("MirrorProxyPass").unwrap_or_default(),
        url: url?,
        alternates,
        key,
        headers,
        transparent,
        too_large: too_large.unwrap_or(usual),
        max_bytes,
        limits,
        timeout,
        connect_timeout,
        idle_timeout,
        negative_cache,
        async_status,
        keeping,
        signer,
    }))
}

/// Whether a Mirror rule may apply to these statuses of the bucket.
pub(super) fn check_statuses(
    statuses: &Statuses,
    on_server_error: bool,
    condition: &str,
    findings: &mut Findings,
) {
    let place = Place::value(format!("{condition}/HttpErrorCodeReturnedEquals"));
    let failing = |status: u16| status >= 500;
    // A 403 where the gateway itself finds that the object is not there.
    let missing = |status: u16| status == 404 || status == 403;
    if statuses.is_empty() {
        findings.push(
            Finding::error(
                Code::MirrorStatus,
                Place::name(condition),
                "a Mirror rule needs `HttpErrorCodeReturnedEquals`",
            )
            .help("add \"HttpErrorCodeReturnedEquals\": 404"),
        );
    } else if !statuses.all(|status| missing(status) || (on_server_error && failing(status))) {
        let help = match statuses.all(|status| missing(status) || failing(status)) {
            true => {
                "to mirror where the bucket fails too, add \"MirrorOnServerError\": true; nothing \
                 is stored then"
            }
            false => "any other error says nothing about whether the bucket has the object",
        };
        let message = format!("a Mirror rule applies to 404 and 403 alone, found {statuses}");
        findings.push(Finding::error(Code::MirrorStatus, place, message).help(help));
    } else if on_server_error && statuses.all(missing) {
        let message = "without a status from 500, `MirrorOnServerError` has no effect";
        findings.push(Finding::warning(Code::NoEffect, place, message));
    }
}

fn alternates(fields: &Fields<'_>, findings: &mut Findings) -> Alternates {
    let slave = given(fields, "MirrorURLSlave", findings);
    let mut urls: Vec<MirrorUrl> =
        slave.and_then(|at| MirrorUrl::read(at, findings)).into_iter().collect();
    if let Some(at) = fields.get("MirrorMultiAlternates") {
        urls.extend(numbered(at, findings));
    }
    let probe = given(fields, "MirrorURLProbe", findings).and_then(|at| probe(at, findings));
    let switch_all_errors = flag(fields, "MirrorSwitchAllErrors", findings).unwrap_or_default();
    if urls.is_empty() {
        for name in ["MirrorURLProbe", "MirrorSwitchAllErrors"] {
            let is_on = fields.get(name).is_some_and(|_| probe.is_some() || switch_all_errors);
            if is_on {
                let place = Place::name(format!("{}/{name}", fields.pointer()));
                let message = format!("without `MirrorURLSlave` `{name}` has no effect");
                findings.push(Finding::warning(Code::NoEffect, place, message));
            }
        }
    }
    Alternates { urls, probe, switch_all_errors }
}

/// A text that is not empty: OSS's clients write elements they do not use as empty ones.
fn given<'f, 'n>(
    fields: &'f Fields<'n>,
    name: &str,
    findings: &mut Findings,
) -> Option<&'f At<'n>> {
    text(fields, name, findings).filter(|text| !text.is_empty())?;
    fields.get(name)
}

/// `MirrorMultiAlternates`, in the order of their numbers.
fn numbered(at: &At<'_>, findings: &mut Findings) -> Vec<MirrorUrl> {
    let Some(fields) = at.object(findings) else { return Vec::new() };
    fields.only(&["MirrorMultiAlternate"], findings);
    let items =
        fields.get("MirrorMultiAlternate").and_then(|at| at.list(findings)).unwrap_or_default();
    if items.len() > MAX_ALTERNATES {
        let message = format!("at most {MAX_ALTERNATES} are honoured, found {}", items.len());
        findings.push(Finding::error(Code::TooMany, Place::name(&at.pointer), message));
    }
    let mut found: Vec<(i64, MirrorUrl)> = Vec::new();
    for item in &items {
        let Some((number, url)) = alternate(item, findings) else { continue };
        if found.iter().any(|(known, _)| *known == number) {
            let place = Place::value(format!("{}/{}", item.pointer, element::ALTERNATE_NUMBER));
            let message = format!("there is another alternate {number}");
            findings.push(Finding::error(Code::DuplicateName, place, message));
        }
        let before = found.partition_point(|(known, _)| *known <= number);
        found.insert(before, (number, url));
    }
    found.into_iter().map(|(_, url)| url).collect()
}

fn alternate(at: &At<'_>, findings: &mut Findings) -> Option<(i64, MirrorUrl)> {
    let fields = at.object(findings)?;
    fields.only(element::ALTERNATE, findings);
    for name in ["MirrorMultiAlternateVpcId", "MirrorMultiAlternateDstRegion"] {
        if let Some(at) = given(&fields, name, findings) {
            let place = Place::name(&at.pointer);
            findings.push(super::unsupported(name, element::ALIBABAS_NETWORK, place));
        }
    }
    let number =
        fields.require(element::ALTERNATE_NUMBER, findings).and_then(|at| at.integer(findings));
    let url = fields
        .require("MirrorMultiAlternateURL", findings)
        .and_then(|at| MirrorUrl::read(at, findings));
    Some((number?, url?))
}

fn probe(at: &At<'_>, findings: &mut Findings) -> Option<location::Place> {
    let place = location::Place::absolute(at.text(findings)?);
    if place.is_none() {
        findings.push(at.wrong(Code::BadMirrorUrl, "a URL that starts with http:// or https://"));
    }
    place
}

fn async_status(at: &At<'_>, findings: &mut Findings) -> Option<u16> {
    let given = at.integer(findings)?;
    let status = [301, 302, 303, 307, 308].into_iter().find(|known| i64::from(*known) == given);
    if status.is_none() {
        findings.push(at.wrong(Code::BadRedirect, "301, 302, 303, 307 or 308"));
    }
    status
}

fn keeping(fields: &Fields<'_>, findings: &mut Findings) -> Keeping {
    let class = |text: &str| {
        let known = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        text.bytes().all(known).then(|| text.to_owned())
    };
    let storage_class =
        word(fields, "StorageClass", "a storage class, such as STANDARD_IA", class, findings);
    let encryption =
        |text: &str| ["AES256", "aws:kms", "aws:kms:dsse"].contains(&text).then(|| text.to_owned());
    let encryption = word(
        fields,
        "ServerSideEncryption",
        "AES256, aws:kms or aws:kms:dsse",
        encryption,
        findings,
    );
    Keeping {
        metadata: flag(fields, "MirrorSaveOssMeta", findings).unwrap_or_default(),
        last_modified: flag(fields, "MirrorUserLastModified", findings).unwrap_or_default(),
        return_headers: return_headers(fields, findings),
        taggings: taggings(fields, findings),
        storage_class,
        encryption,
    }
}
