//! The deployment file: which buckets there are, where they are, and which rules they have.
//!
//! Owns the file's fields and what they mean together. The rules inside the rule files are the
//! core's. `envoy/DEPLOYMENT.md` is printed from the declarations below.

pub mod code;
mod credentials;
mod load;
mod mirror_auth;
mod node;
mod places;
mod plan;
mod reference;
mod secrets;
mod section;
#[cfg(test)]
mod tests;
mod value;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use credentials::{Credentials, Environment, Inline};
pub use load::{
    LoadError, Loaded, RuleSource, Rules, Variables, load, load_from, load_with, parse,
};
pub use places::Places;
pub use plan::{Plan, again};
pub use reference::reference;
use section::section;
pub(crate) use value::parse_duration;
pub use value::{
    AbsolutePath, Addressing, At, BucketName, ConditionalWrites, Connections, DataPath, Domain,
    Endpoints, Hops, Lasting, OnFailure, OrNone, PasswordHash, PerSecond, Protocol, Reads,
    Recorded, Region, Share, SharedName, Variable, Wait,
};

use back_to_origin::configuration::MULTIPART_TIMES;

use crate::certificate::Pair;
use crate::gateway::Endpoint;

section! {
    /// The whole file.
    pub struct Deployment as "deployment" {
        /// The address clients connect to.
        pub listen: At<SocketAddr> [Default "127.0.0.1:8080"],
        /// TLS for clients; without it nothing is encrypted. HTTP/2 and HTTP/1.1 are offered either way.
        pub tls: Option<Tls> [Optional],
        /// Whether each connection begins with a header of the PROXY protocol, version 1 or 2, as
        /// load balancers send it to say who the client is. A connection without one is closed, so
        /// nobody else may reach `listen`.
        pub proxy_protocol: bool [Default "false"],
        /// How many proxies before the gateway are trusted to say who the client is. With `0` or more
        /// the gateway adds the peer to `X-Forwarded-For`, takes for the client whom the outermost
        /// trusted proxy has written there (with `0` the peer), and says the scheme in
        /// `X-Forwarded-Proto`. Without it both pass as they came.
        pub trusted_hops: Option<Hops> [Optional],
        /// How many connections of clients may be open at once, of all workers; further ones are
        /// closed at once.
        pub connections: Connections [Default "20000"],
        /// The address of the administration interface; without it there is none.
        pub admin: Option<At<SocketAddr>> [Optional],
        /// The address of a listener for probes and scrapers alone, plain HTTP: `/live` and `/ready`, as
        /// `admin` has them too, and with `admin` `/metrics`. In `b2o serve` `/ready` says of each bucket whether its servers were reachable
        /// lately; Envoy's says that it serves.
        pub health: Option<At<SocketAddr>> [Optional],
        /// The domain below which `<bucket>.<domain>`, as the Host of a request, names a bucket.
        /// Under any other Host, `/<bucket>/<key>` does: MISSES.md has the rule.
        pub domain: Option<Domain> [Optional],
        /// How many threads serve requests, each with its own instance of the filter.
        pub workers: NonZeroUsize [Computed "the number of processors"],
        /// How an object that a bucket lacks reaches the client. `streaming`: the gateway streams
        /// it from the origin, whatever its size, and the filter copies it part by part; in Envoy
        /// that takes 1.37 or later, or a proxy of Istio's. `callout`: the filter fetches it whole, up to `object_bytes`,
        /// on any proxy-wasm host.
        pub path: At<DataPath> [Default "streaming"],
        /// What the filter may use at most, per worker.
        pub limits: Limits [Computed "each field's own"],
        /// How long the filter waits, and the gateway at its end.
        pub timeouts: Timeouts [Computed "each field's own"],
        /// When an origin that keeps failing is left alone. Its slave and alternates are asked
        /// meanwhile; where there are none, clients get `424 MirrorFailed` with `Retry-After`.
        pub breaker: OrNone<Breaker> [Computed "each field's own"],
        /// Servers beside those of the rules that an origin may redirect a fetch to. Any other
        /// redirect is not followed.
        pub origins: Option<Vec<At<Endpoint>>> [Optional],
        /// Whether rules may fetch from the inside of a network: a loopback or private address, a
        /// name without a domain, an internal endpoint. OSS refuses them. Without it the gateway asks
        /// no origin whose name leads to such an address either, at the time of each request.
        pub allow_internal_origins: bool [Default "false"],
        /// Where `b2o admin` takes rules.
        pub api: Api [Computed "each field's own"],
        /// The console: the same rules in a browser. `b2o admin` and `b2o serve` serve it where it is
        /// written, and `b2o console` with or without it.
        pub console: Option<Console> [Optional],
        /// Whom Envoy sends traces to; without it there are none. `b2o serve` sends none. A client's
        /// `traceparent` and `tracestate` go on to all servers either way.
        pub tracing: Option<Tracing> [Optional],
        /// A service that counts requests to origins for all gateways together, for Envoy with
        /// `path: streaming`; without it each gateway counts its own. `b2o serve` does not ask it.
        pub rate_limit_service: Option<At<RateLimitService>> [Optional],
        /// Where requests are recorded, a line of JSON each; without it there is no such log, and what
        /// rules do is told in sentences in the gateway's own. Its fields are listed below.
        pub access_log: Option<AccessLog> [Optional],
        /// The buckets, at least one.
        pub buckets: At<Vec<Bucket>> [Required],
    }
}

section! {
    /// The certificate that clients are shown. Both files are read again when they are renewed, and
    /// no connection is lost; a pair that does not fit, or is gone, leaves the old one, and the log
    /// says so. Envoy sees a file that is moved into its place, not one that is written to.
    pub struct Tls as "tls" {
        /// The file with the certificate, and behind it those between it and one that clients trust,
        /// in PEM, relative to this file.
        pub certificate: At<PathBuf> [Required],
        /// The file with its key, in PEM, relative to this file.
        pub key: At<PathBuf> [Required],
    }
}

impl Tls {
    /// The files, found from the deployment's directory.
    #[must_use]
    pub fn pair(&self, directory: &Path) -> Pair {
        Pair {
            certificate: directory.join(&self.certificate.value),
            key: directory.join(&self.key.value),
        }
    }
}

section! {
    /// What the filter may use at most, per worker.
    pub struct Limits as "limits" {
        /// With `path: callout`, the largest object, in bytes, that is fetched, answered and stored;
        /// a larger one is left to the origin. At most 33554431: one byte less than what Envoy lets a filter
        /// receive.
        pub object_bytes: At<u64> [Default "8388608"],
        /// The bytes of all objects held at once, and of the copies that the host holds of them:
        /// a third is for those with `path: streaming`, half with `path: callout`.
        pub memory_bytes: At<u64> [Default "67108864"],
        /// How many objects are fetched at once.
        pub fetches: At<u64> [Default "64"],
        /// With `path: streaming`, the bytes of one part of an object on its way into the bucket.
        /// An object that fits into one is written by one request. S3 refuses parts of less than
        /// 5242880 bytes, and so does `b2o`.
        pub part_bytes: At<u64> [Default "8388608"],
        /// With `path: streaming`, how many objects are fetched at once for the bucket alone:
        /// those that clients asked for a part or the headers of, or did not wait for. One whose
        /// origin is late with an answer for a second does not count.
        pub backfills: At<u64> [Default "16"],
    }
}

section! {
    /// How long the filter waits, and the gateway at its end.
    pub struct Timeouts as "timeouts" {
        /// For an origin's whole answer.
        pub origin: Duration [Default "10s"],
        /// For the store's answer to a write; ten times as long for the beginning and the
        /// completion of a multipart upload, and for what clients write: S3 itself may take minutes
        /// to complete an upload.
        pub store: Duration [Default "30s"],
        /// With `path: streaming`: a client that asks for the headers of an object mostly fetches it
        /// next, and what streams to it is copied. For so long nothing is fetched for the bucket
        /// alone behind a HEAD, nor behind a condition or a range that an object does not meet. `0s`
        /// fetches it at once, so that the origin sends it twice.
        pub get_after_head: Wait [Default "5s"],
        /// With `path: streaming`: how long a GET waits at most while another one brings the same
        /// object into the bucket. It goes to the origin itself at that time, and as soon as it
        /// shows that the object will not be there by then. `0s` sends every GET there at once.
        pub coalesce: Wait [Default "5s"],
        /// With `path: streaming`: where the store did not confirm that it began a multipart upload,
        /// those that it lists of the object are looked at again after this time, and aborted if
        /// they have no part by then. Keep it longer than another client of the bucket, or worker,
        /// may take to send the first part of its own.
        pub unconfirmed_upload: Duration [Default "10m"],
        /// How long `b2o serve` goes on with requests under way, and with objects on their way into
        /// a bucket, once it is told to stop. Then it cuts clients off, and takes a few seconds more
        /// to abort uploads. Envoy has its own: `--drain-time-s`.
        pub drain: Duration [Default "25s"],
    }
}

impl Timeouts {
    /// How long the store may take to answer what a client writes: that may complete an upload.
    #[must_use]
    pub fn writes(&self) -> Duration {
        let idle = crate::gateway::Timeouts::default().response;
        self.store.saturating_mul(MULTIPART_TIMES).max(idle)
    }
}

section! {
    /// How much is mirrored into a bucket in a second at most, by all workers of a gateway together.
    /// What the bucket has itself is never limited.
    pub struct MirrorLimits as "mirror_limits" {
        /// Requests to origins, of whatever kind; a second's worth may come at once. A client beyond
        /// it gets `424 MirrorFailed` with `Retry-After`. What is fetched for the bucket alone waits,
        /// and leaves clients the last tenth.
        pub requests_per_second: OrNone<PerSecond> [Default "2000"],
        /// With `path: streaming`, the bits of objects on their way to clients, which then slow down.
        /// What is fetched for the bucket alone waits while clients take all of it.
        pub bits_per_second: OrNone<PerSecond> [Default "2147483648"],
    }
}

impl Bucket {
    /// How much is mirrored into it, as rules have it.
    #[must_use]
    pub fn limits(&self) -> back_to_origin::rule::MirrorLimits {
        let limit = |of: fn(&MirrorLimits) -> OrNone<PerSecond>| {
            Some(of(self.mirror_limits.0.as_ref()?).0?.0)
        };
        back_to_origin::rule::MirrorLimits {
            requests_per_second: limit(|limits| limits.requests_per_second),
            bits_per_second: limit(|limits| limits.bits_per_second),
        }
    }
}

section! {
    /// When a worker leaves an origin alone: an address that takes no connection, drops it, does not
    /// answer in time, or answers 5xx. A 404 or 403 is no failure.
    pub struct Breaker as "breaker" {
        /// Behind so many failures in a row; at most 1000.
        pub failures: NonZeroUsize [Default "5"],
        /// For so long. Then one request tries it, and where that fails, it is left alone for twice
        /// as long, up to a minute.
        pub open_for: Duration [Default "10s"],
    }
}

section! {
    /// The API by which clients of OSS and of S3 manage rules. `b2o admin` serves it.
    pub struct Api as "api" {
        /// The address it is served at. Without credentials it must be a loopback address.
        pub listen: At<SocketAddr> [Default "127.0.0.1:8090"],
        /// The keys that requests must be signed with. With `none`, everybody on this machine may
        /// change rules.
        pub credentials: At<Credentials> [Computed "`none`"],
    }
}

section! {
    /// The console. Whoever signs in is an editor or a reader. Without a password, and without
    /// `credentials` of the API, it is for this machine alone, and everybody there is an editor.
    pub struct Console as "console" {
        /// The address it is served at. It speaks HTTP: beyond this machine, put a proxy with TLS
        /// before it.
        pub listen: At<SocketAddr> [Default "127.0.0.1:8091"],
        /// The hash of the password of those who change rules, as `b2o console --hash-password`
        /// prints it. The keys of `api` open it too.
        pub editor_password_hash: Option<PasswordHash> [Optional],
        /// The hash of the password of those who only look.
        pub reader_password_hash: Option<PasswordHash> [Optional],
    }
}

section! {
    /// Traces of requests, by OpenTelemetry's protocol. A request that comes with a `traceparent` is
    /// traced where that says so, and goes on to bucket and origin with one.
    pub struct Tracing as "tracing" {
        /// The collector. gRPC is spoken with port 4317, and HTTP with any other, mostly 4318.
        pub otlp: Endpoint [Required],
        /// Which share of the other requests is traced.
        pub sampled: Share [Default "1%"],
    }
}

section! {
    /// A service that speaks Envoy's rate limit protocol, such as envoyproxy/ratelimit with Redis. By
    /// each bucket's and rule's `mirror_limits` it limits all gateways together, beside what each of
    /// them counts itself: `b2o envoy` writes these numbers for it into `rate-limits.yaml`.
    /// Requests that are counted are those of clients' misses; what a gateway fetches for the bucket
    /// alone is under its own quota.
    pub struct RateLimitService as "rate_limit_service" {
        /// Its gRPC endpoint.
        pub endpoint: Endpoint [Required],
        /// The domain of its configuration. Deployments that name the same one share a quota where they
        /// have buckets of the same name.
        pub domain: SharedName [Default "back-to-origin"],
        /// How long a miss waits for its word.
        pub timeout: Duration [Default "250ms"],
        /// What becomes of misses while it does not answer: `allow` mirrors them, `deny` answers
        /// `424 MirrorFailed`. Envoy
        /// counts both, by origin (`cluster.NAME.ratelimit.error`, `.failure_mode_allowed`).
        pub on_failure: OnFailure [Default "allow"],
    }
}

section! {
    /// The access log: one line of JSON for each request, once it is over. Envoy and `b2o serve` write
    /// the same. The sentence on what a rule did is in it, and in no other log then. A change of this
    /// section takes a restart.
    pub struct AccessLog as "access_log" {
        /// The file that lines are appended to; `/dev/stdout` and `/dev/stderr` are the gateway's own. For
        /// Envoy it is a path where Envoy runs. A gateway that cannot open it does not start.
        pub path: At<AbsolutePath> [Default "/dev/stdout"],
        /// Which requests. `all`: each of them. `misses`: those that the bucket could not answer or a rule
        /// has decided, and those of `failures`. `failures`: those that got an error (400 or more), no
        /// answer at all, or not all of it. With `path: streaming` a hit costs nothing unless it is
        /// recorded.
        pub requests: Recorded [Default "misses"],
    }
}

section! {
    /// A bucket of an S3-compatible store, and its rules.
    pub struct Bucket as "bucket" {
        /// Its name, in requests and in the store.
        pub name: At<BucketName> [Required],
        /// The store's endpoint. The port is the scheme's own where there is none. A list names several
        /// servers of one store, which have the same objects: requests go to each in turn, and to none
        /// that cannot be reached while others can. By the first one's name the store goes, in signed
        /// requests and in the filter's own.
        pub endpoint: Endpoints [Required],
        /// The region that signatures name.
        pub region: Region [Default "us-east-1"],
        /// Where the store expects the bucket's name: in the path (`/bucket/key`) or in the host
        /// (`bucket.host/key`).
        pub addressing: Addressing [Default "path"],
        /// What is spoken with the store: `http1` is HTTP/1.1, `http2` is HTTP/2, without TLS by
        /// prior knowledge; `auto` is what the store chooses over TLS, and HTTP/1.1 without. With
        /// origins it is always `auto`. `b2o serve` speaks HTTP/1.1 alone.
        pub protocol: Protocol [Default "auto"],
        /// How long a connection to the store is kept without a request. Keep it below the time
        /// after which the store closes such a connection: a request that meets the closing fails.
        pub idle_timeout: Duration [Default "4s"],
        /// What requests to the store are signed with: a fetched object's write, with
        /// `reads: signed` also what clients ask for, and where a Mirror rule names 403 the question
        /// whether the object is missing.
        pub credentials: Credentials [Computed "`none`"],
        /// How a fetched object is kept from replacing one that a client has written meanwhile.
        /// `if-none-match`: by S3's `If-None-Match: *`. `oss`: by OSS's `x-oss-forbid-overwrite`.
        /// `head`: the object is looked for right before it is written, for stores that know neither;
        /// a moment is left. `none`: not at all. What stores know is listed below.
        pub conditional_writes: At<ConditionalWrites> [Default "if-none-match"],
        /// How long it is kept that no origin of a rule has an object: whoever asks for it meanwhile gets
        /// the 404 at once, and no origin is asked. A write of the object through the gateway ends that.
        /// `0s` switches it off; a rule says otherwise by `MirrorNegativeCache`.
        pub negative_cache: Lasting [Default "30s"],
        /// An object that is deleted through the gateway stays deleted: its origin does not bring it
        /// back. That is kept in memory at once, and in the bucket as a small object below
        /// `.back-to-origin/tombstones/`, so that it outlives the gateway; other gateways find these
        /// by a list of them, this often. A write of the key ends it, and so does `b2o tombstones
        /// clear`. `none`: whatever is deleted may come back.
        pub tombstones: OrNone<Duration> [Default "30s"],
        /// How clients' requests reach the store. `passthrough`: Host, path, query and
        /// Authorization unchanged, so that the clients' own signatures hold. `signed`: signed
        /// with `credentials`, whoever the client is.
        pub reads: At<Reads> [Default "passthrough"],
        /// How much is mirrored into it in a second at most. A rule may have its own.
        pub mirror_limits: OrNone<MirrorLimits> [Computed "each field's own"],
        /// The file with the bucket's routing rules, relative to this file.
        pub rules: At<PathBuf> [Required],
    }
}
