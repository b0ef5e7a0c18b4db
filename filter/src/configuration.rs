//! The filter's configuration: buckets, their rules, the clusters behind them, and limits.
//!
//! It is the plugin configuration of Envoy and of the harness, one JSON document; it is taken
//! whole or refused whole.

use std::time::Duration;

use crate::finding::{Code, Finding, Place, Severity};
use crate::http::Scheme;
use crate::json::{At, Fields, Node};
use crate::naming;
use crate::rule::{MAX_TIMEOUT, Mirror, MirrorLimits, RuleSet};

/// What a proxy-wasm host holds of a callout's answer before it gives it up: Envoy's
/// `http.async_response_buffer_limit`, 32 MiB unless raised.
pub const HOST_BUFFER_BYTES: u64 = 32 * 1024 * 1024;

/// Everything the filter was told.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    /// How an object reaches the client.
    pub path: DataPath,
    /// The domain below which a host names a bucket.
    pub domain: Option<String>,
    /// The hosts whose requests are the filter's business, as [`naming::is_listed`] has it; none of a
    /// list is every host. A filter on a listener with other applications' hosts sees theirs too.
    pub hosts: Vec<String>,
    /// Whose an error is of which the host does not say who made it.
    pub bucket_answers: BucketAnswers,
    /// The buckets.
    pub buckets: Vec<Bucket>,
    /// Each origin as [`Mirror::server`](crate::rule::Mirror::server) names it, and its cluster.
    pub origins: Vec<(String, String)>,
    /// How much is held and done at once, in one worker.
    pub limits: Limits,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// When an origin that keeps failing is left alone; never without it.
    pub breaker: Option<Breaker>,
    /// By which name this gateway knows requests that have been here (RFC 8586).
    pub loop_id: Option<String>,
    /// Whether the gateway asks a service that counts requests to origins for all gateways.
    pub rate_limit_service: bool,
    /// Whether the host keeps a record of requests, and is told what the filter knows of each.
    pub access_log: bool,
}

/// When an origin is left alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Breaker {
    /// Behind so many failures in a row.
    pub failures: u64,
    /// For how long at first; for twice as long each time that the next request fails too.
    pub open_for: Duration,
}

/// How an answer of the bucket's is told from one that the host makes itself.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum BucketAnswers {
    /// The host says so, by the property `response.code_details`, as Envoy does.
    #[default]
    Told,
    /// It is the bucket's where the host says nothing: for hosts that lack the property.
    Assumed,
}

/// How an object reaches the client.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DataPath {
    /// The filter stands before the bucket, holds its 404, and fetches the object by a callout.
    #[default]
    Callout,
    /// The filter stands on the miss route ([`crate::miss_route`]), and the gateway streams.
    Streaming,
}

/// One bucket.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Where its objects are written.
    pub store: Store,
    /// The cluster that asks the bucket once more, for what no rule covers. Streaming only.
    pub again: Option<String>,
    /// How much is mirrored into it in a second.
    pub mirror_limits: MirrorLimits,
    /// How long it is kept that no origin has an object, where a rule says nothing else.
    pub negative_cache: Duration,
    /// How often the markers of deleted keys are listed; `None` where deleted keys may come back.
    pub tombstones: Option<Duration>,
    /// Its rules.
    pub rules: RuleSet,
}

/// The store of a bucket, for the write-back.
#[derive(Clone, Debug)]
pub struct Store {
    /// The cluster of the callouts; it signs them, where they must be signed.
    pub cluster: String,
    /// The scheme of the store's endpoint.
    pub scheme: Scheme,
    /// Host and port of the store's endpoint.
    pub authority: String,
    /// How the endpoint is told the bucket.
    pub addressing: Addressing,
    /// How a write is kept from replacing what is there.
    pub conditional_writes: ConditionalWrites,
}

/// How a write is kept from replacing what has come into the bucket meanwhile.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ConditionalWrites {
    /// By `If-None-Match: *`.
    #[default]
    IfNoneMatch,
    /// By `x-oss-forbid-overwrite: true`.
    Oss,
    /// The object is looked for right before it is written.
    Head,
    /// It is not.
    Unconditional,
}

/// How a store's endpoint is told the bucket.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Addressing {
    /// `endpoint/bucket/key`.
    #[default]
    Path,
    /// `bucket.endpoint/key`.
    Virtual,
}

/// Bounds of one worker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// The largest object that is mirrored through memory, in bytes.
    pub object_bytes: u64,
    /// Bytes of objects held at once, for clients and for the store.
    pub memory_bytes: u64,
    /// Requests to origins under way at once.
    pub fetches: u64,
    /// The size of a part of a multipart upload, and the most that is stored without one.
    pub part_bytes: u64,
    /// Objects fetched for themselves at once, which could not be copied on their way through.
    pub backfills: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            object_bytes: 8 * 1024 * 1024,
            memory_bytes: 64 * 1024 * 1024,
            fetches: 64,
            part_bytes: 8 * 1024 * 1024,
            backfills: 16,
        }
    }
}

/// Bounds in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// From the request to an origin to the last byte of its answer. OSS: 10 seconds.
    pub origin: Duration,
    /// The same for one attempt to store an object.
    pub store: Duration,
    /// How long an upload that the store did not confirm may stay without a part before it is
    /// aborted. Another worker's has its first part long before: it has ten times `store` to begin
    /// it, and six attempts to send that.
    pub unconfirmed_upload: Duration,
    /// How long an object whose headers a client has asked for waits for the GET that brings it,
    /// before it is fetched for the bucket alone. The lease that the GET takes, in whatever worker,
    /// lasts longer.
    pub get_after_head: Duration,
    /// How long a request waits at most while another one fetches the same object. Streaming only.
    pub coalesce: Duration,
}

/// How long it is kept that no origin has an object, where nothing is said.
const NEGATIVE_CACHE: Duration = Duration::from_secs(30);

/// The most of `get_after_head`, and of `coalesce`.
const MAX_WAIT: u64 = 15_000;

/// How much longer than another write the beginning and the completion of a multipart upload may
/// take. To complete it, the store makes one object of thousands of parts, for which S3 grants
/// itself minutes; and one that has begun unheard has to be looked for.
pub const MULTIPART_TIMES: u32 = 10;

impl Timeouts {
    /// The same for one attempt to begin or to complete a multipart upload.
    #[must_use]
    pub const fn multipart(self) -> Duration {
        self.store.saturating_mul(MULTIPART_TIMES)
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            origin: Duration::from_secs(10),
            store: Duration::from_secs(30),
            unconfirmed_upload: Duration::from_secs(600),
            get_after_head: Duration::from_secs(5),
            coalesce: Duration::from_secs(5),
        }
    }
}

impl Configuration {
    /// The bucket of that name.
    #[must_use]
    pub fn bucket(&self, name: &str) -> Option<&Bucket> {
        self.buckets.iter().find(|bucket| bucket.name == name)
    }

    /// Whether requests for a host are the filter's business.
    #[must_use]
    pub fn serves(&self, authority: &str) -> bool {
        self.hosts.is_empty() || naming::is_listed(authority, &self.hosts)
    }

    /// How long it is kept that no origin of a rule has an object.
    #[must_use]
    pub fn negative_cache(&self, bucket: &str, rule: &Mirror) -> Duration {
        let of_bucket = || self.bucket(bucket).map_or(NEGATIVE_CACHE, |known| known.negative_cache);
        rule.negative_cache.unwrap_or_else(of_bucket)
    }

    /// The cluster of an origin.
    #[must_use]
    pub fn cluster_of(&self, origin: &str) -> Option<&str> {
        cluster_of(&self.origins, origin)
    }

    /// Reads a plugin configuration.
    ///
    /// # Errors
    ///
    /// All findings, at least one of which is an error.
    pub fn from_json(text: &[u8]) -> Result<Self, Vec<Finding>> {
        let node = Node::parse(text).map_err(|finding| vec![finding])?;
        let mut findings = Vec::new();
        let configuration = At::root(&node)
            .object(&mut findings)
            .map(|fields| read(&fields, &mut findings))
            .unwrap_or_default();
        if findings.iter().any(|finding| finding.severity == Severity::Error) {
            Err(findings)
        } else {
            Ok(configuration)
        }
    }
}

fn read(fields: &Fields<'_>, findings: &mut Vec<Finding>) -> Configuration {
    let known = [
        "path",
        "domain",
        "hosts",
        "bucket_answers",
        "buckets",
        "origins",
        "limits",
        "timeouts",
        "breaker",
        "loop_id",
        "rate_limit_service",
        "access_log",
    ];
    fields.only(&known, findings);
    let path = fields.get("path").and_then(|at| match at.text(findings)? {
        "callout" => Some(DataPath::Callout),
        "streaming" => Some(DataPath::Streaming),
        _ => {
            findings.push(at.wrong(Code::BadWord, "callout or streaming"));
            None
        }
    });
    let domain = fields.get("domain").and_then(|at| at.text(findings)).map(str::to_owned);
    let hosts = fields.get("hosts").map(|at| hosts(at, findings)).unwrap_or_default();
    let bucket_answers = fields.get("bucket_answers").and_then(|at| match at.text(findings)? {
        "told" => Some(BucketAnswers::Told),
        "assumed" => Some(BucketAnswers::Assumed),
        _ => {
            findings.push(at.wrong(Code::BadWord, "told or assumed"));
            None
        }
    });
    let origins = fields.get("origins").map(|at| origins(at, findings)).unwrap_or_default();
    let buckets = fields
        .require("buckets", findings)
        .map(|at| buckets(at, &origins, findings))
        .unwrap_or_default();
    let limits = fields.get("limits").map(|at| limits(at, findings)).unwrap_or_default();
    let timeouts = fields.get("timeouts").map(|at| timeouts(at, findings)).unwrap_or_default();
    let breaker = fields.get("breaker").and_then(|at| breaker(at, findings));
    let loop_id = fields.get("loop_id").and_then(|at| at.text(findings)).map(str::to_owned);
    let rate_limit_service =
        fields.get("rate_limit_service").and_then(|at| at.boolean(findings)).unwrap_or_default();
    let access_log = fields.get("access_log").and_then(|at| at.boolean(findings));
    Configuration {
        path: path.unwrap_or_default(),
        domain,
        hosts,
        bucket_answers: bucket_answers.unwrap_or_default(),
        buckets,
        origins,
        limits,
        timeouts,
        breaker,
        loop_id,
        rate_limit_service,
        access_log: access_log.unwrap_or_default(),
    }
}

fn breaker(at: &At<'_>, findings: &mut Vec<Finding>) -> Option<Breaker> {
    let fields = at.object(findings)?;
    fields.only(&["failures", "open_for_ms"], findings);
    let mut read = |name, most| {
        fields.require(name, findings).and_then(|at| whole_number(at, 1..=most, findings))
    };
    let (failures, open_for) = (read("failures", 1_000), read("open_for_ms", 3_600_000));
    Some(Breaker { failures: failures?, open_for: Duration::from_millis(open_for?) })
}

/// Hosts, each of which may begin with `*.`. One with a port would never be met.
fn hosts(at: &At<'_>, findings: &mut Vec<Finding>) -> Vec<String> {
    let mut hosts = Vec::new();
    for item in at.list(findings).unwrap_or_default() {
        let Some(host) = item.text(findings) else { continue };
        let name = host.strip_prefix("*.").unwrap_or(host);
        let is_address = name.starts_with('[') && name.ends_with(']');
        if name.is_empty() || name.contains(['*', '/']) || (name.contains(':') && !is_address) {
            findings.push(item.wrong(Code::BadHost, "a host without a port, or one behind `*.`"));
        }
        hosts.push(host.to_owned());
    }
    hosts
}

fn cluster_of<'o>(origins: &'o [(String, String)], origin: &str) -> Option<&'o str> {
    origins.iter().find(|(known, _)| known == origin).map(|(_, cluster)| cluster.as_str())
}

fn origins(at: &At<'_>, findings: &mut Vec<Finding>) -> Vec<(String, String)> {
    let Some(fields) = at.object(findings) else {
        return Vec::new();
    };
    fields
        .names()
        .filter_map(|(origin, at)| Some((origin.to_owned(), at.text(findings)?.to_owned())))
        .collect()
}

fn buckets(at: &At<'_>, origins: &[(String, String)], findings: &mut Vec<Finding>) -> Vec<Bucket> {
    let mut buckets: Vec<Bucket> = Vec::new();
    for item in at.list(findings).unwrap_or_default() {
        let Some(bucket) = bucket(&item, origins, findings) else { continue };
        if buckets.iter().any(|known| known.name == bucket.name) {
            let place = Place::value(format!("{}/name", item.pointer));
            let message = format!("there is another bucket `{}`", bucket.name);
            findings.push(Finding::error(Code::DuplicateName, place, message));
        } else {
            buckets.push(bucket);
        }
    }
    buckets
}

fn bucket(
    at: &At<'_>,
    origins: &[(String, String)],
    findings: &mut Vec<Finding>,
) -> Option<Bucket> {
    let fields = at.object(findings)?;
    let known = [
        "name",
        "store",
        "again",
        "mirror_limits",
        "negative_cache_ms",
        "tombstones_ms",
        "RoutingRules",
    ];
    fields.only(&known, findings);
    let name = fields.require("name", findings).and_then(|at| {
        let name = at.text(findings)?;
        let valid = !name.is_empty() && !name.contains('/');
        if !valid {
            findings.push(at.wrong(Code::BadName, "the name of a bucket"));
        }
        valid.then(|| name.to_owned())
    });
    let store = fields.require("store", findings).and_then(|at| store(at, findings));
    let again = fields.get("again").and_then(|at| at.text(findings)).map(str::to_owned);
    let mirror_limits = fields.get("mirror_limits").map(|at| mirror_limits(at, findings));
    let negative_cache = fields
        .get("negative_cache_ms")
        .and_then(|at| whole_number(at, 0..=MAX_TIMEOUT, findings).map(Duration::from_millis));
    let tombstones = fields
        .get("tombstones_ms")
        .and_then(|at| whole_number(at, 1..=MAX_TIMEOUT, findings).map(Duration::from_millis));
    let rules = fields.require("RoutingRules", findings).map(|at| {
        let rules = RuleSet::read(at, findings);
        for origin in rules.servers().filter(|origin| cluster_of(origins, origin).is_none()) {
            let message = format!("the rules fetch from {origin}, which has no cluster");
            findings.push(
                Finding::error(Code::MissingCluster, Place::value(&at.pointer), message)
                    .help(format!("add \"{origin}\": \"NAME OF ITS CLUSTER\" to `origins`")),
            );
        }
        rules
    });
    Some(Bucket {
        name: name?,
        store: store?,
        again,
        mirror_limits: mirror_limits.unwrap_or_default(),
        negative_cache: negative_cache.unwrap_or(NEGATIVE_CACHE),
        tombstones,
        rules: rules?,
    })
}

fn mirror_limits(at: &At<'_>, findings: &mut Vec<Finding>) -> MirrorLimits {
    let Some(fields) = at.object(findings) else {
        return MirrorLimits::default();
    };
    fields.only(&["requests_per_second", "bits_per_second"], findings);
    let mut limit = |name| number(&fields, name, i64::MAX.unsigned_abs(), findings);
    MirrorLimits {
        requests_per_second: limit("requests_per_second"),
        bits_per_second: limit("bits_per_second"),
    }
}

fn store(at: &At<'_>, findings: &mut Vec<Finding>) -> Option<Store> {
    let fields = at.object(findings)?;
    let known = ["cluster", "scheme", "authority", "addressing", "conditional_writes"];
    fields.only(&known, findings);
    let cluster = fields.require("cluster", findings).and_then(|at| at.text(findings));
    let authority = fields.require("authority", findings).and_then(|at| at.text(findings));
    let scheme = fields.get("scheme").and_then(|at| {
        let scheme = Scheme::parse(at.text(findings)?);
        if scheme.is_none() {
            findings.push(at.wrong(Code::BadWord, "http or https"));
        }
        scheme
    });
    let addressing = fields.get("addressing").and_then(|at| match at.text(findings)? {
        "path" => Some(Addressing::Path),
        "virtual" => Some(Addressing::Virtual),
        _ => {
            findings.push(at.wrong(Code::BadWord, "path or virtual"));
            None
        }
    });
    let conditional_writes =
        fields.get("conditional_writes").and_then(|at| match at.text(findings)? {
            "if-none-match" => Some(ConditionalWrites::IfNoneMatch),
            "oss" => Some(ConditionalWrites::Oss),
            "head" => Some(ConditionalWrites::Head),
            "none" => Some(ConditionalWrites::Unconditional),
            _ => {
                findings.push(at.wrong(Code::BadWord, "if-none-match, oss, head or none"));
                None
            }
        });
    Some(Store {
        cluster: cluster?.to_owned(),
        scheme: scheme.unwrap_or(Scheme::Http),
        authority: authority?.to_owned(),
        addressing: addressing.unwrap_or_default(),
        conditional_writes: conditional_writes.unwrap_or_default(),
    })
}

fn limits(at: &At<'_>, findings: &mut Vec<Finding>) -> Limits {
    let standard = Limits::default();
    let Some(fields) = at.object(findings) else {
        return standard;
    };
    let known = ["object_bytes", "memory_bytes", "fetches", "part_bytes", "backfills"];
    fields.only(&known, findings);
    let object_bytes = number(&fields, "object_bytes", HOST_BUFFER_BYTES - 1, findings)
        .unwrap_or(standard.object_bytes);
    // Half of what a VM of V8 can hold at all.
    let memory_bytes =
        number(&fields, "memory_bytes", 512 * 1024 * 1024, findings).unwrap_or_else(|| {
            // A larger object alone raises the memory with it.
            standard.memory_bytes.max(object_bytes)
        });
    let fetches = number(&fields, "fetches", 10_000, findings).unwrap_or(standard.fetches);
    let part_bytes =
        number(&fields, "part_bytes", memory_bytes, findings).unwrap_or(standard.part_bytes);
    if memory_bytes < object_bytes {
        let place = Place::name(fields.pointer());
        let message = format!(
            "`memory_bytes` ({memory_bytes}) cannot hold one object of `object_bytes` ({object_bytes})"
        );
        findings.push(Finding::error(Code::BadLimit, place, message));
    }
    let backfills = number(&fields, "backfills", 1_000, findings).unwrap_or(standard.backfills);
    Limits { object_bytes, memory_bytes, fetches, part_bytes, backfills }
}

fn timeouts(at: &At<'_>, findings: &mut Vec<Finding>) -> Timeouts {
    let standard = Timeouts::default();
    let Some(fields) = at.object(findings) else {
        return standard;
    };
    let known =
        ["origin_ms", "store_ms", "unconfirmed_upload_ms", "get_after_head_ms", "coalesce_ms"];
    fields.only(&known, findings);
    let mut wait = |name| {
        let at = fields.get(name)?;
        whole_number(at, 0..=MAX_WAIT, findings).map(Duration::from_millis)
    };
    let (get_after_head, coalesce) = (wait("get_after_head_ms"), wait("coalesce_ms"));
    let mut time = |name| number(&fields, name, 3_600_000, findings).map(Duration::from_millis);
    Timeouts {
        origin: time("origin_ms").unwrap_or(standard.origin),
        store: time("store_ms").unwrap_or(standard.store),
        unconfirmed_upload: time("unconfirmed_upload_ms").unwrap_or(standard.unconfirmed_upload),
        get_after_head: get_after_head.unwrap_or(standard.get_after_head),
        coalesce: coalesce.unwrap_or(standard.coalesce),
    }
}

fn number(fields: &Fields<'_>, name: &str, most: u64, findings: &mut Vec<Finding>) -> Option<u64> {
    whole_number(fields.get(name)?, 1..=most, findings)
}

fn whole_number(
    at: &At<'_>,
    allowed: std::ops::RangeInclusive<u64>,
    findings: &mut Vec<Finding>,
) -> Option<u64> {
    let given = at.integer(findings)?;
    let number = u64::try_from(given).ok().filter(|number| allowed.contains(number));
    if number.is_none() {
        let (least, most) = allowed.into_inner();
        findings.push(at.wrong(Code::BadLimit, &format!("a number from {least} to {most}")));
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> Vec<(&'static str, String)> {
        let findings = Configuration::from_json(text.as_bytes()).unwrap_err();
        findings.iter().map(|f| (f.code.as_str(), f.place.to_string())).collect()
    }

    #[test]
    fn a_configuration_is_read_whole() {
        let text = r#"{
            "domain": "s3.example",
            "buckets": [{"name": "b", "store": {"cluster": "s", "authority": "h:1", "addressing": "virtual"},
                         "RoutingRules": [{"RuleNumber": 1, "Condition": {"HttpErrorCodeReturnedEquals": 404},
                            "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o:9100/"}}]}],
            "origins": {"http://o:9100": "o"},
            "limits": {"object_bytes": 33554431}, "timeouts": {"origin_ms": 1, "unconfirmed_upload_ms": 2}
        }"#;
        let configuration = Configuration::from_json(text.as_bytes()).unwrap();
        assert_eq!(configuration.buckets[0].store.addressing, Addressing::Virtual);
        assert_eq!(configuration.limits.object_bytes, 33_554_431);
        assert_eq!(configuration.timeouts.origin, Duration::from_millis(1));
        assert_eq!(configuration.timeouts.unconfirmed_upload, Duration::from_millis(2));
    }

    #[test]
    fn who_signs_has_a_cluster_of_its_own() {
        let with = |auth: &str, origins: &str| {
            format!(
                r#"{{"buckets": [{{"name": "b", "store": {{"cluster": "s", "authority": "h"}},
                "RoutingRules": [{{"RuleNumber": 1, "Condition": {{"HttpErrorCodeReturnedEquals": 404}},
                "Redirect": {{"RedirectType": "Mirror", "MirrorURL": "http://o/", "MirrorAuth": {auth}}}}}]}}],
                "origins": {{{origins}}}}}"#
            )
        };
        let signed = r#""http://o x": "c""#;
        Configuration::from_json(with(r#"{"Signer": "x"}"#, signed).as_bytes()).unwrap();
        let missing = [("missing-cluster", "/buckets/0/RoutingRules".to_owned())];
        for (auth, origins) in [
            (r#"{"Signer": "x"}"#, r#""http://o": "c""#),
            (r#"{"Signer": "y"}"#, signed),
            // Keys are no business of the filter's: nobody signs by them.
            (r#"{"AuthType": "S3V4", "AccessKeySecret": "k"}"#, r#""http://o": "c""#),
        ] {
            assert_eq!(codes(&with(auth, origins)), missing, "{auth}");
        }
    }

    #[test]
    fn every_mistake_is_found_at_once() {
        let text = r#"{
            "buckets": [{"name": "b", "store": {"cluster": 1, "authority": "h", "x": 1},
                         "RoutingRules": [{"RuleNumber": 1, "Condition": {"HttpErrorCodeReturnedEquals": 404},
                            "Redirect": {"RedirectType": "Mirror", "MirrorURL": "http://o/"}}]}],
            "limits": {"object_bytes": 33554432}, "timeouts": {"origin_ms": 0}, "bucket": []
        }"#;
        assert_eq!(
            codes(text),
            [
                ("unknown-element", "/bucket".to_owned()),
                ("unknown-element", "/buckets/0/store/x".to_owned()),
                ("wrong-type", "/buckets/0/store/cluster".to_owned()),
                ("missing-cluster", "/buckets/0/RoutingRules".to_owned()),
                ("bad-limit", "/limits/object_bytes".to_owned()),
                ("bad-limit", "/timeouts/origin_ms".to_owned()),
            ]
        );
    }
}
