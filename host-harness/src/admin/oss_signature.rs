//! Signatures of OSS's clients, versions 1 and 4, in the Authorization header.
//!
//! No library checks these. What is signed of a request follows OSS's documents; the comparison
//! is the one of `hmac`, which takes the same time whatever differs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::SystemTime;

use hmac::{Hmac, KeyInit as _, Mac};
use http::request::Parts;
use http::{HeaderMap, HeaderName, header};
use s3s::dto::Timestamp;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::call::Call;
use super::date;
use super::keys::Keys;
use super::refusal::Refusal;

/// What begins an Authorization of version 4, and its string to sign.
const ALGORITHM: &str = "OSS4-HMAC-SHA256";

/// OSS's numbers for signatures that do not match.
const V1_MISMATCH: &str = "0002-00000040";
const V4_MISMATCH: &str = "0002-00000201";

/// Checks that a call was signed with one of the keys, and now.
pub(super) fn check(
    head: &Parts,
    call: &Call,
    keys: &Keys,
    now: SystemTime,
) -> Result<(), Refusal> {
    let Some(value) = head.headers.get(header::AUTHORIZATION) else {
        return Err(Refusal::access_denied("Sign the request: anonymous access is forbidden."));
    };
    let text = value.to_str().unwrap_or_default();
    let expected = "`OSS id:signature` or `OSS4-HMAC-SHA256 Credential=...,Signature=...`";
    match text.split_once(' ') {
        Some(("OSS", rest)) => version_1(head, call, rest.trim(), keys, now),
        Some((ALGORITHM, rest)) => version_4(head, call, rest, keys, now),
        Some(_) | None => Err(Refusal::invalid_header("Authorization", "...", expected)),
    }
}

fn version_1(
    head: &Parts,
    call: &Call,
    text: &str,
    keys: &Keys,
    now: SystemTime,
) -> Result<(), Refusal> {
    let Some((id, signature)) = text.rsplit_once(':') else {
        return Err(Refusal::invalid_header("Authorization", "...", "`OSS id:signature`"));
    };
    let headers = &head.headers;
    let named = ["x-oss-date", "date"].map(|name| joined(headers, name));
    let dated = named.into_iter().find(|date| !date.is_empty()).unwrap_or_default();
    let time = date::of_http(&dated).or_else(|| date::basic(&dated));
    current(time, &dated, now)?;
    let secret = keys.secret(id).ok_or_else(Refusal::invalid_access_key)?;
    let mut signed = format!(
        "{}\n{}\n{}\n{dated}\n",
        head.method,
        joined(headers, "content-md5"),
        joined(headers, "content-type"),
    );
    for (name, value) in canonical(headers, &|name| name.starts_with("x-oss-")) {
        let _ = writeln!(signed, "{name}:{value}");
    }
    let _ = write!(signed, "/{}/?website", call.bucket);
    let given = base64_simd::STANDARD.decode_to_vec(signature).unwrap_or_default();
    // A key may have any length, so there is always one.
    let mac = Hmac::<Sha1>::new_from_slice(secret.expose().as_bytes());
    let verified = mac.map(|mac| mac.chain_update(signed).verify_slice(&given).is_ok());
    if verified == Ok(true) { Ok(()) } else { Err(Refusal::signature_does_not_match(V1_MISMATCH)) }
}

fn version_4(
    head: &Parts,
    call: &Call,
    text: &str,
    keys: &Keys,
    now: SystemTime,
) -> Result<(), Refusal> {
    let wrong = |expected: &str| Refusal::invalid_header("Authorization", "...", expected);
    let mut fields = BTreeMap::new();
    for field in text.split(',') {
        let (name, value) = field.trim().split_once('=').unwrap_or_default();
        if fields.insert(name, value).is_some() {
            return Err(wrong("each field once"));
        }
    }
    let field = |name: &str| fields.get(name).copied();
    let (Some(credential), Some(signature)) = (field("Credential"), field("Signature")) else {
        return Err(wrong("`Credential=...,Signature=...`"));
    };
    let scope: Vec<_> = credential.rsplitn(5, '/').collect();
    let [_, _, _, _, id] = scope[..] else {
        return Err(wrong("`Credential=id/date/region/oss/aliyun_v4_request`"));
    };
    let [request @ "aliyun_v4_request", product @ "oss", region, day] = scope[..4] else {
        return Err(wrong("`Credential=id/date/region/oss/aliyun_v4_request`"));
    };
    let headers = &head.headers;
    let dated = joined(headers, "x-oss-date");
    current(date::basic(&dated), &dated, now)?;
    if !dated.starts_with(day) || day.len() != 8 {
        return Err(Refusal::signature_does_not_match(V4_MISMATCH));
    }
    let secret = keys.secret(id).ok_or_else(Refusal::invalid_access_key)?;
    let listed = field("AdditionalHeaders").unwrap_or_default().to_ascii_lowercase();
    let mut additional: Vec<_> = listed.split(';').filter(|name| !name.is_empty()).collect();
    additional.sort_unstable();
    let is_signed = |name: &str| {
        name.starts_with("x-oss-")
            || matches!(name, "content-md5" | "content-type")
            || additional.contains(&name)
    };
    let mut signed = format!("{}\n/{}/\nwebsite\n", head.method, call.bucket);
    for (name, value) in canonical(headers, &is_signed) {
        let _ = writeln!(signed, "{name}:{value}");
    }
    let payload = Some(joined(headers, "x-oss-content-sha256")).filter(|hash| !hash.is_empty());
    let payload = payload.unwrap_or(Cow::Borrowed("UNSIGNED-PAYLOAD"));
    let _ = write!(signed, "\n{}\n{payload}", additional.join(";"));
    let hash = hex_simd::encode_to_string(Sha256::digest(signed), hex_simd::AsciiCase::Lower);
    let to_sign = format!("{ALGORITHM}\n{dated}\n{day}/{region}/{product}/{request}\n{hash}");
    let given = hex_simd::decode_to_vec(signature).unwrap_or_default();
    let mut key = format!("aliyun_v4{}", secret.expose()).into_bytes();
    for part in [day, region, product, request] {
        key = hmac(&key, part)?.finalize().into_bytes().to_vec();
    }
    let verified = hmac(&key, &to_sign)?.verify_slice(&given);
    verified.map_err(|_| Refusal::signature_does_not_match(V4_MISMATCH))
}

fn hmac(key: &[u8], text: &str) -> Result<Hmac<Sha256>, Refusal> {
    let mac = Hmac::<Sha256>::new_from_slice(key);
    // A key may have any length, so there is always one.
    let mac = mac.map_err(|_| Refusal::signature_does_not_match(V4_MISMATCH))?;
    Ok(mac.chain_update(text))
}

/// Whether a request was signed now.
fn current(time: Option<Timestamp>, text: &str, now: SystemTime) -> Result<(), Refusal> {
    match time {
        Some(time) if date::is_current(&time, now) => Ok(()),
        Some(_) => Err(Refusal::time_too_skewed()),
        None if text.is_empty() => {
            Err(Refusal::access_denied("A signed request needs a Date or an x-oss-date."))
        }
        None => Err(Refusal::invalid_header("Date", text, "a date in GMT")),
    }
}

/// The values of a header, as one; empty where there is none.
fn joined<'h>(headers: &'h HeaderMap, name: &str) -> Cow<'h, str> {
    let mut values =
        headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    let Some(first) = values.next() else { return Cow::Borrowed("") };
    values.fold(first, |all, value| Cow::Owned(format!("{all},{value}")))
}

/// Headers in the order they are signed in.
fn canonical<'h>(
    headers: &'h HeaderMap,
    is_signed: &dyn Fn(&str) -> bool,
) -> BTreeMap<&'h str, Cow<'h, str>> {
    let names = headers.keys().map(HeaderName::as_str).filter(|name| is_signed(name));
    names.map(|name| (name, joined(headers, name))).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use http::Request;

    use super::*;
    use crate::admin::call::Operation;
    use crate::gateway::Secret;

    /// 2024-01-02 03:04:05.
    const THEN: u64 = 1_704_164_645;
    const DATE: (&str, &str) = ("date", "Tue, 02 Jan 2024 03:04:05 GMT");
    const MD5: (&str, &str) = ("content-md5", "XUFAKrxLKna5cZ2REBfFkg==");
    const TYPE: (&str, &str) = ("content-type", "application/xml");
    const OSS_DATE: (&str, &str) = ("x-oss-date", "20240102T030405Z");
    const UNSIGNED: (&str, &str) = ("x-oss-content-sha256", "UNSIGNED-PAYLOAD");
    const V4: &str = "OSS4-HMAC-SHA256 \
        Credential=AKEXAMPLE/20240102/cn-hangzhou/oss/aliyun_v4_request,\
        Signature=64bc7277338a025de6329a53f836cd2b8b1a7d574ce1a30ef2793c0d6cf3f85c";
    const V4_HOST: &str = "OSS4-HMAC-SHA256 \
        Credential=AKEXAMPLE/20240102/cn-hangzhou/oss/aliyun_v4_request,AdditionalHeaders=host,\
        Signature=89fbbb1d657f6189f6382e22080a880b4f7133c79f7e6c24cca6931ca20b22c0";

    /// What becomes of a request, sent some seconds after it was signed.
    fn outcome(
        method: &str,
        bucket: &str,
        authorization: &str,
        headers: &[(&str, &str)],
        later: u64,
    ) -> Result<(), String> {
        let mut request = Request::builder().method(method).uri("/examplebucket/?website");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.header("authorization", authorization);
        let (head, ()) = request.body(()).unwrap().into_parts();
        let keys = Keys::new("AKEXAMPLE".to_owned(), Secret::new("SKEXAMPLE".to_owned()));
        let call = Call { operation: Operation::Get, bucket: bucket.to_owned() };
        let now = UNIX_EPOCH + Duration::from_secs(THEN + later);
        check(&head, &call, &keys, now).map_err(|refusal| refusal.code.into_owned())
    }

    /// The signatures were made by alibabacloud-oss-v2 1.4.1 at that time.
    #[test]
    fn signatures_of_oss_clients_are_right() {
        let several = [MD5, TYPE, ("x-oss-b", "2"), ("x-oss-a", "1"), DATE];
        let host = [MD5, TYPE, OSS_DATE, UNSIGNED, ("host", "127.0.0.1:8090")];
        for (method, authorization, headers) in [
            ("GET", "OSS AKEXAMPLE:U/9tVpPYO1K+VzYKvVoCOmnz2vo=", &[DATE][..]),
            ("PUT", "OSS AKEXAMPLE:PIf8kpCI//a4qeHDUof9/gBrVYY=", &several),
            ("DELETE", V4, &[DATE, OSS_DATE, UNSIGNED]),
            ("PUT", V4_HOST, &host),
        ] {
            for later in [0, 900] {
                let outcome = outcome(method, "examplebucket", authorization, headers, later);
                assert_eq!(outcome, Ok(()), "{authorization} {later}");
            }
        }
    }

    #[test]
    fn what_was_not_signed_is_refused() {
        let v1 = "OSS AKEXAMPLE:U/9tVpPYO1K+VzYKvVoCOmnz2vo=";
        let v4 = [DATE, OSS_DATE, UNSIGNED];
        let mismatch = "SignatureDoesNotMatch";
        for (method, bucket, authorization, headers, code) in [
            ("PUT", "examplebucket", v1, &[DATE][..], mismatch),
            ("GET", "otherbucket", v1, &[DATE], mismatch),
            ("GET", "examplebucket", v1, &[DATE, MD5], mismatch),
            ("GET", "examplebucket", v1, &[DATE, ("x-oss-a", "1")], mismatch),
            ("GET", "examplebucket", "OSS AKEXAMPLE:", &[DATE], mismatch),
            ("GET", "examplebucket", "OSS AKEXAMPLE:AAAA", &[DATE], mismatch),
            ("GET", "examplebucket", "OSS OTHER:AAAA", &[DATE], "InvalidAccessKeyId"),
            ("GET", "examplebucket", "OSS AKEXAMPLE", &[DATE], "InvalidArgument"),
            ("GET", "examplebucket", v1, &[], "AccessDenied"),
            ("GET", "examplebucket", v1, &[("date", "now")], "InvalidArgument"),
            ("GET", "examplebucket", "Basic AAAA", &[DATE], "InvalidArgument"),
            ("GET", "examplebucket", V4, &v4, mismatch),
            ("DELETE", "otherbucket", V4, &v4, mismatch),
            ("DELETE", "examplebucket", V4, &[OSS_DATE, UNSIGNED, TYPE], mismatch),
            ("DELETE", "examplebucket", V4, &[DATE], "AccessDenied"),
            ("DELETE", "examplebucket", &V4.replace("64bc", "64bd"), &v4, mismatch),
            ("DELETE", "examplebucket", &V4.replace("64bc", "zz"), &v4, mismatch),
            ("DELETE", "examplebucket", &V4.replace("/20240102/", "/20240103/"), &v4, mismatch),
            ("DELETE", "examplebucket", &V4.replace("cn-hangzhou", "b"), &v4, mismatch),
            ("DELETE", "examplebucket", &V4.replace("/oss/", "/s3/"), &v4, "InvalidArgument"),
            ("DELETE", "examplebucket", &V4.replace(",", ",Signature=00,"), &v4, "InvalidArgument"),
            ("DELETE", "examplebucket", &V4.replace("AKEX", "BKEX"), &v4, "InvalidAccessKeyId"),
        ] {
            let outcome = outcome(method, bucket, authorization, headers, 0);
            assert_eq!(outcome, Err(code.to_owned()), "{method} {bucket} {authorization}");
        }
    }

    #[test]
    fn a_request_cannot_be_sent_again_later() {
        let v1 = "OSS AKEXAMPLE:U/9tVpPYO1K+VzYKvVoCOmnz2vo=";
        for (method, authorization, headers) in
            [("GET", v1, &[DATE][..]), ("DELETE", V4, &[DATE, OSS_DATE, UNSIGNED])]
        {
            let outcome = outcome(method, "examplebucket", authorization, headers, 901);
            assert_eq!(outcome, Err("RequestTimeTooSkewed".to_owned()), "{authorization}");
        }
    }
}
