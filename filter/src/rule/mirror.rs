//! `RedirectType` Mirror: where an object is fetched from, and with which headers.

use std::time::Duration;

use super::{Keeping, KeyRewrite, Statuses};
use crate::finding::{Code, Finding};
use crate::http::headers::{HeaderList, Headers};
use crate::http::location::Place;
use crate::http::query::Process;
use crate::http::{Scheme, query};
use crate::json::At;
use crate::reason::NotStored;

/// What stands before the milliseconds in the name of a server that has a bound of its own for
/// connections.
pub const CONNECT: &str = "connect-";

/// The longest of a rule's times, in milliseconds.
pub const MAX_TIMEOUT: u64 = 3_600_000;

/// A mirror.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mirror {
    /// `MirrorURL`.
    pub url: MirrorUrl,
    /// Where else the object may be, in the order it is looked for there.
    pub alternates: Alternates,
    /// What becomes of the key on the origin's side; the stored key stays the requested one.
    pub key: KeyRewrite,
    /// `MirrorPassQueryString`, or else `PassQueryString`.
    pub pass_query_string: bool,
    /// `MirrorPassOriginalSlashes`: slashes that a key begins with stay behind the MirrorURL's.
    pub pass_original_slashes: bool,
    /// `MirrorCheckMd5`: an object that is not what its origin's digests say is not stored.
    pub check_md5: bool,
    /// `MirrorAllowHeadObject`: a HEAD is answered by the origin too.
    pub allow_head: bool,
    /// `MirrorHeaders`.
    pub headers: MirrorHeaders,
    /// `MirrorFollowRedirect`: an origin's redirect is followed, and not the client's to follow.
    pub follow_redirect: bool,
    /// `TransparentMirrorResponseCodes`: answers that are the client's as they are.
    pub transparent: Statuses,
    /// `MirrorTooLarge`.
    pub too_large: TooLarge,
    /// `MirrorMaxSize` (an extension): the largest object that is mirrored, in bytes.
    pub max_bytes: Option<u64>,
    /// `MirrorTimeout` (an extension): how long the origin may take, in place of the
    /// configuration's `origin_ms`.
    pub timeout: Option<Duration>,
    /// `MirrorConnectTimeout` (an extension): how long a connection to the origin may take, in place
    /// of the host's own bound.
    pub connect_timeout: Option<Duration>,
    /// `MirrorIdleTimeout` (an extension): how long a body that streams may stand still, in place of
    /// the host's own bound.
    pub idle_timeout: Option<Duration>,
    /// `MirrorNegativeCache` (an extension): how long it is kept that no origin has an object, in place
    /// of the bucket's.
    pub negative_cache: Option<Duration>,
    /// `MirrorOnServerError` (an extension): the rule also acts where the bucket fails with 5xx.
    pub on_server_error: bool,
    /// `MirrorRequestsPerSecond` and `MirrorBitsPerSecond` (extensions), each in place of the
    /// bucket's own.
    pub limits: MirrorLimits,
    /// `MirrorFallThrough` (an extension): where the origin has nothing, later rules are tried.
    pub fall_through: bool,
    /// `MirrorProxyPass`: nothing is stored.
    pub proxy_pass: bool,
    /// `MirrorAsyncStatus`: the client is sent to the origin with this status at once, and the
    /// object is fetched meanwhile.
    pub async_status: Option<u16>,
    /// What is kept with the object.
    pub keeping: Keeping,
    /// `MirrorAuth`: by which name the host knows who signs the rule's requests; empty where it has
    /// not been told one.
    pub signer: Option<String>,
}

impl Mirror {
    /// Every server the rule speaks to, as [`Self::server`] names it.
    pub fn servers(&self) -> impl Iterator<Item = String> {
        let probe = self.alternates.probe.as_ref().map(Place::origin);
        self.urls().map(MirrorUrl::origin).chain(probe).map(|origin| self.server(origin))
    }

    /// By which name the configuration has the cluster through which this rule reaches an origin:
    /// `scheme://host[:port]`; behind a blank who signs, where somebody does; behind one more how
    /// long a connection may take, where the rule says so. What one rule has signed never goes
    /// through the cluster of another.
    #[must_use]
    pub fn server(&self, origin: String) -> String {
        let mut server = origin;
        if let Some(signer) = &self.signer {
            server = format!("{server} {signer}");
        }
        if let Some(timeout) = self.connect_timeout {
            server = format!("{server} {CONNECT}{}", timeout.as_millis());
        }
        server
    }

    /// Whether an object is stored which the bucket answered for with this status. `is_processed`:
    /// what comes is an image that is made of it.
    ///
    /// # Errors
    ///
    /// The rule says not to, or the bucket has not said that it lacks the object, or it is not the
    /// object that comes.
    pub fn storing(&self, status: u16, is_processed: bool) -> Result<(), NotStored> {
        match (self.proxy_pass, status) {
            (true, _) => Err(NotStored::ByRule),
            (false, _) if is_processed => Err(NotStored::Processed),
            (false, 500..) => Err(NotStored::BucketFailed),
            (false, _) => Ok(()),
        }
    }

    /// Where the object may be, in order.
    pub fn urls(&self) -> impl Iterator<Item = &MirrorUrl> {
        std::iter::once(&self.url).chain(&self.alternates.urls)
    }
}

/// How much is mirrored in a second at most; without a number as much as there is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct MirrorLimits {
    /// Requests to origins.
    pub requests_per_second: Option<u64>,
    /// Bits of their answers.
    pub bits_per_second: Option<u64>,
}

/// Where an object may be that is not to be had at the MirrorURL.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Alternates {
    /// `MirrorURLSlave`, and then those of `MirrorMultiAlternates` by their numbers.
    pub urls: Vec<MirrorUrl>,
    /// `MirrorURLProbe`: what answers 200 while the MirrorURL is to be used.
    pub probe: Option<Place>,
    /// `MirrorSwitchAllErrors`: not only 5xx and silence make the next one be asked.
    pub switch_all_errors: bool,
}

/// `MirrorTooLarge` (an extension): what the client gets when the object is larger than the host
/// can hold.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TooLarge {
    /// 424 MirrorFailed.
    Fail,
    /// 302 to the object at the origin.
    #[default]
    Redirect,
}

/// A `MirrorURL`, taken apart and normalised: host in ASCII, default port gone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MirrorUrl {
    scheme: Scheme,
    authority: String,
    path: String,
    query: String,
}

impl MirrorUrl {
    /// The scheme.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Host and, where it is not the scheme's default, port.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The encoded path that every request starts with; ends in `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is to be made of every object: the query that stands behind each key.
    #[must_use]
    pub fn query(&self) -> &str {
        &self.query
    }

    /// `scheme://host[:port]`.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme.as_str(), self.authority)
    }

    /// Reads a MirrorURL.
    pub(super) fn read(at: &At<'_>, findings: &mut Vec<Finding>) -> Option<Self> {
        let text = at.text(findings)?;
        match Self::parse(text) {
            Ok(url) => Some(url),
            Err(expected) => {
                findings.push(
                    at.wrong(Code::BadMirrorUrl, expected)
                        .help("write it as https://host/ or https://host/path/"),
                );
                None
            }
        }
    }

    /// Parses a MirrorURL; the error says what was expected.
    fn parse(text: &str) -> Result<Self, &'static str> {
        // The URL standard drops blanks and line breaks silently; nobody means them here.
        if text.chars().any(|c| c.is_control() || c == ' ') {
            return Err("a URL without blanks or control characters");
        }
        let Some((Some(_), rest)) =
            text.split_once("://").map(|(scheme, rest)| (Scheme::parse(scheme), rest))
        else {
            return Err("a URL that starts with http:// or https://");
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err("a URL without user name and password");
        }
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        if authority.contains(['?', '#']) || path.contains('#') || query.contains('#') {
            return Err("a URL without a query and a fragment");
        }
        match query::process(query) {
            None if query.is_empty() => {}
            Some(Process::Image) if !query.contains('&') => {}
            // OSS's own limit.
            Some(Process::Other) => {
                return Err("a URL without parameters of video snapshots or documents");
            }
            Some(Process::Image) | None => {
                return Err("a URL without a query but ?x-oss-process=image/...");
            }
        }
        if !(rest.contains('/') && (path.is_empty() || path.ends_with('/'))) {
            return Err("a URL that ends in /");
        }
        let Some(place) = Place::absolute(text) else {
            return Err(match cfg!(target_arch = "wasm32") {
                // The module has no Unicode tables; `b2o` writes what it generates in ASCII.
                true => "a URL with a valid host, in ASCII (xn--...)",
                false => "a URL with a valid host",
            });
        };
        let Place { scheme, authority, path, query } = place;
        Ok(Self { scheme, authority, path, query })
    }
}

/// `MirrorHeaders`: which headers an origin gets.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MirrorHeaders {
    /// `PassAll`.
    pub pass_all: bool,
    /// `Pass`, in lower case.
    pub pass: Vec<String>,
    /// `Remove`, in lower case; only takes from what `PassAll` passes.
    pub remove: Vec<String>,
    /// `Set`, names in lower case.
    pub set: Vec<(String, String)>,
}

impl MirrorHeaders {
    /// The headers for the origin: what is passed of the client's, less what is removed, and what
    /// is set in place of any of that name.
    ///
    /// A value that is not UTF-8 is not passed: proxy-wasm's SDK has no callout that carries one. What
    /// `is_kept` is for everybody: in which coding the one client likes it is passed only by name.
    #[must_use]
    pub fn apply(&self, client: &Headers, is_kept: bool) -> HeaderList {
        let connection = client.text("connection").unwrap_or_default();
        let mut list = HeaderList::new();
        for (name, value) in client.iter() {
            let (Ok(name), Ok(value)) = (std::str::from_utf8(name), std::str::from_utf8(value))
            else {
                continue;
            };
            let of_the_connection =
                connection.split(',').any(|token| token.trim().eq_ignore_ascii_case(name));
            let passed = match self.pass_all {
                true if is_kept && name == "accept-encoding" => contains(&self.pass, name),
                true => !contains(&self.remove, name),
                false => contains(&self.pass, name),
            };
            if passed && !of_the_connection && !never_passed(name) && !contains_key(&self.set, name)
            {
                list.add(name, value);
            }
        }
        for (name, value) in &self.set {
            if name != "host" {
                list.add(name, value);
            }
        }
        list
    }

    /// The Host a rule sets, where it sets one.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.set.iter().find(|(name, _)| name == "host").map(|(_, value)| value.as_str())
    }
}

fn contains(names: &[String], name: &str) -> bool {
    names.iter().any(|known| known == name)
}

fn contains_key(pairs: &[(String, String)], name: &str) -> bool {
    pairs.iter().any(|(known, _)| known == name)
}

/// Headers that are about one message or one connection; no rule can make them say otherwise.
const OF_THE_MESSAGE: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers of a client that no origin ever gets (OSS's list, and S3's own beside it).
const OF_THE_REQUEST: &[&str] = &[
    "authorization",
    "authorization2",
    "date",
    "forwarded",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "range",
    "via",
    "x-request-id",
];

/// Prefixes of the same: for the store, for the gateway, or added by it.
const PREFIXES: &[&str] = &[":", "oss-", "x-amz-", "x-drs-", "x-envoy-", "x-forwarded-", "x-oss-"];

/// Whether a client's header never reaches an origin. The name must be lower case.
#[must_use]
pub fn never_passed(name: &str) -> bool {
    OF_THE_REQUEST.contains(&name)
        || !settable(name)
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a rule may set a header: not those that would break the request or change what is
/// fetched. The name must be lower case.
pub(super) fn settable(name: &str) -> bool {
    !OF_THE_MESSAGE.contains(&name)
        && !name.starts_with("x-envoy-")
        && name != "range"
        && !name.starts_with("if-")
}

/// Whether a rule may not give a header to clients: it would say of the message, or of the object's
/// bytes, what only they can say. The name must be lower case.
pub(super) fn never_returned(name: &str) -> bool {
    OF_THE_MESSAGE.contains(&name)
        || name.starts_with("x-envoy-")
        || ["accept-ranges", "content-encoding", "content-range", "date", "etag", "x-oss-tag"]
            .contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirror_urls_are_taken_apart() {
        let cases = [
            ("http://h/", "http://h", "/"),
            ("HTTPS://H.Example.com:443/a/b/", "https://h.example.com", "/a/b/"),
            ("http://h:9100/a%20b//c/", "http://h:9100", "/a%20b//c/"),
            ("https://münchen.example/", "https://xn--mnchen-3ya.example", "/"),
            ("http://[::1]:9/", "http://[::1]:9", "/"),
            ("http://h/a/../b/", "http://h", "/b/"),
        ];
        for (text, origin, path) in cases {
            let url = MirrorUrl::parse(text).unwrap();
            assert_eq!((url.origin().as_str(), url.path()), (origin, path), "{text}");
        }
    }

    #[test]
    fn an_image_may_be_made_of_every_object() {
        for (text, path, query) in [
            (
                "http://h/a/?x-oss-process=image/resize,w_100/format,webp",
                "/a/",
                "x-oss-process=image/resize,w_100/format,webp",
            ),
            ("http://h/?x-oss-process=style%2Fsmall", "/", "x-oss-process=style%2Fsmall"),
        ] {
            let url = MirrorUrl::parse(text).unwrap();
            assert_eq!((url.path(), url.query()), (path, query), "{text}");
        }
        for (text, expected) in [
            ("http://h/?x-oss-process=video/snapshot,t_7000", "video snapshots"),
            ("http://h/?x-oss-process=doc/preview", "video snapshots"),
            ("http://h/?x-oss-process=image/a&x-oss-process=image/b", "video snapshots"),
            ("http://h/?x-oss-process=image/a&v=1", "without a query but"),
            ("http://h/?v=1", "without a query but"),
            ("http://h/a?x-oss-process=image/a", "ends in /"),
        ] {
            let error = MirrorUrl::parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_no_mirror_url_is_refused() {
        let cases = [
            "",
            "h/",
            "ftp://h/",
            "//h/",
            "http:h/",
            "http://",
            "http:///",
            "http://h",
            "http://h/a",
            "http://u@h/",
            "http://u:p@h/",
            "http://h/?q/",
            "http://h/#f/",
            "http://h /",
            "http://h/\n",
            "http://h:99999/",
            "http://a b/",
            "http://h?x=/",
        ];
        for text in cases {
            assert!(MirrorUrl::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_kept_is_asked_for_without_the_clients_codings() {
        let client = Headers::from_pairs([("accept-encoding", "gzip"), ("accept", "a/b")]);
        let rule = |pass_all, pass: &[&str]| MirrorHeaders {
            pass_all,
            pass: pass.iter().map(|name| (*name).to_owned()).collect(),
            ..MirrorHeaders::default()
        };
        let named = ["accept-encoding"];
        for (rule, is_kept, is_passed) in [
            (rule(true, &[]), true, false),
            (rule(true, &[]), false, true),
            (rule(true, &named), true, true),
            (rule(false, &named), true, true),
            (rule(false, &[]), false, false),
        ] {
            let list = rule.apply(&client, is_kept);
            assert_eq!(list.get("accept-encoding").is_some(), is_passed, "{rule:?} {is_kept}");
        }
    }

    #[test]
    fn headers_follow_the_rule() {
        let client = Headers::from_pairs([
            (":path", "/x"),
            ("host", "gateway"),
            ("aaa-header", "aaa"),
            ("bbb-header", "bbb"),
            ("ccc-header", "111"),
            ("authorization", "secret"),
            ("x-amz-date", "now"),
            ("x-oss-date", "now"),
            ("range", "bytes=0-1"),
            ("if-none-match", "*"),
            ("connection", "close, hop"),
            ("hop", "1"),
            ("cookie", "a=1"),
        ]);
        let all = MirrorHeaders {
            pass_all: true,
            remove: vec!["bbb-header".to_owned()],
            set: vec![("ccc-header".to_owned(), "ccc".to_owned())],
            ..MirrorHeaders::default()
        };
        let one = MirrorHeaders {
            pass: vec!["bbb-header".to_owned(), "range".to_owned()],
            ..MirrorHeaders::default()
        };
        let cases: [(&MirrorHeaders, &[(&str, &str)]); 3] = [
            (&all, &[("aaa-header", "aaa"), ("cookie", "a=1"), ("ccc-header", "ccc")]),
            (&one, &[("bbb-header", "bbb")]),
            (&MirrorHeaders::default(), &[]),
        ];
        for (rule, expected) in cases {
            let list = rule.apply(&client, true);
            assert_eq!(list.texts().collect::<Vec<_>>(), expected, "{rule:?}");
        }
    }
}
