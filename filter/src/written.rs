//! What clients write and delete through the gateway.
//!
//! A request names one object in its path, or several in its body (DeleteObjects). What it has done
//! is known by the store's answer alone: one that the store has refused says nothing, else anybody
//! could keep objects out of the bucket.

use crate::configuration::Configuration;
use crate::http::headers::Headers;
use crate::http::xml;
use crate::naming::{self, Named};
use crate::request::key_and_query;

/// The most of a DeleteObjects, and of its answer, that is read: a thousand keys, written as XML.
const MAX_DOCUMENT: usize = 4 * 1024 * 1024;

/// Parameters by which a request is about a part of an object, or about what is kept beside it.
const BESIDE: [&[u8]; 8] = [
    b"acl",
    b"encryption",
    b"legal-hold",
    b"objectMeta",
    b"partNumber",
    b"retention",
    b"tagging",
    b"versionId",
];

/// What a client has done to an object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// It is deleted.
    Deleted,
    /// It is there.
    Written,
    /// One of its versions, a part of an upload, or what is kept beside it: whether it is there nobody
    /// can tell by that.
    Touched,
}

/// An object that has changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Changed {
    /// Its bucket.
    pub bucket: String,
    /// Its key, decoded.
    pub key: Vec<u8>,
    /// What was done.
    pub change: Change,
}

/// A request that may change objects, on its way.
#[derive(Debug)]
pub enum Writing {
    /// One object.
    One(Changed),
    /// Those that its body names.
    Several(Deletes),
}

/// A DeleteObjects.
#[derive(Debug)]
pub struct Deletes {
    bucket: String,
    request: Document,
    answer: Document,
    is_done: bool,
}

/// A document that comes in pieces. One that is too large is none.
#[derive(Debug, Default)]
struct Document {
    bytes: Vec<u8>,
    is_lost: bool,
}

impl Document {
    fn add(&mut self, bytes: &[u8]) {
        if self.bytes.len().saturating_add(bytes.len()) > MAX_DOCUMENT {
            self.is_lost = true;
            self.bytes = Vec::new();
        }
        if !self.is_lost {
            self.bytes.extend_from_slice(bytes);
        }
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap_or_default()
    }
}

impl Writing {
    /// What a request may change, in a bucket of the configuration.
    #[must_use]
    pub fn read(headers: &Headers, configuration: &Configuration) -> Option<Self> {
        let method = headers.get(":method")?;
        if !matches!(method, b"DELETE" | b"POST" | b"PUT") {
            return None;
        }
        let authority = headers.text(":authority").unwrap_or_default();
        if !configuration.serves(authority) {
            return None;
        }
        let known = |name: &str| configuration.bucket(name).map(|bucket| bucket.name.clone());
        let domain = configuration.domain.as_deref();
        let Named { bucket, rest, .. } =
            naming::named(authority, headers.get(":path")?, domain, known)?;
        let (key, query) = key_and_query(rest);
        let has = |name: &[u8]| {
            query.split(|byte| *byte == b'&').any(|parameter| {
                parameter.split(|byte| *byte == b'=').next().is_some_and(|found| found == name)
            })
        };
        match key? {
            key if key.is_empty() => {
                let is_ours = method == b"POST" && has(b"delete");
                let (request, answer) = Default::default();
                is_ours.then_some(Self::Several(Deletes {
                    bucket,
                    request,
                    answer,
                    is_done: false,
                }))
            }
            key => {
                let is_part = BESIDE.into_iter().any(has);
                let change = match method {
                    // The completion of an upload, or more of OSS's appendable objects.
                    b"POST" if has(b"uploadId") || has(b"append") => Change::Written,
                    b"PUT" if !is_part => Change::Written,
                    b"DELETE" if !is_part && !has(b"uploadId") => Change::Deleted,
                    _ => Change::Touched,
                };
                Some(Self::One(Changed { bucket, key, change }))
            }
        }
    }

    /// The body in which its objects stand, where they do.
    pub const fn deletes(&mut self) -> Option<&mut Deletes> {
        match self {
            Self::One(_) => None,
            Self::Several(deletes) => Some(deletes),
        }
    }

    /// The store has answered with this status. Returns what has changed, where that is known by it.
    pub fn on_answer(&mut self, status: Option<u16>) -> Option<Changed> {
        let is_done = matches!(status, Some(200..300));
        match self {
            Self::One(changed) => is_done.then(|| changed.clone()),
            Self::Several(deletes) => {
                deletes.is_done = is_done;
                None
            }
        }
    }
}

impl Deletes {
    /// Bytes of the request's body have come.
    pub fn on_request(&mut self, bytes: &[u8]) {
        self.request.add(bytes);
    }

    /// Bytes of the answer's body have come.
    pub fn on_answer(&mut self, bytes: &[u8]) {
        self.answer.add(bytes);
    }

    /// Bytes are lost: nothing is known of what it deletes.
    pub fn lose(&mut self) {
        self.answer.is_lost = true;
    }

    /// The answer is whole: what the request has deleted. Where the answer is too large to be read,
    /// nothing is known to be deleted.
    pub fn end(&mut self) -> Vec<Changed> {
        if !std::mem::take(&mut self.is_done) || self.answer.is_lost {
            return Vec::new();
        }
        let failed: Vec<_> =
            xml::elements(self.answer.text(), "Error").filter_map(key_in).collect();
        let named = xml::elements(self.request.text(), "Object").filter_map(|object| {
            let key = key_in(object)?;
            let has_version = xml::elements(object, "VersionId").next().is_some();
            Some((key, if has_version { Change::Touched } else { Change::Deleted }))
        });
        named
            .filter(|(key, _)| !failed.contains(key))
            .map(|(key, change)| Changed { bucket: self.bucket.clone(), key, change })
            .collect()
    }
}

fn key_in(element: &str) -> Option<Vec<u8>> {
    let key = xml::elements(element, "Key").next()?;
    xml::text(key).map(String::into_bytes).filter(|key| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration() -> Configuration {
        Configuration::from_json(
            br#"{"domain": "s3.example", "buckets": [{"name": "abc", "RoutingRules": [],
                "store": {"cluster": "s", "authority": "s"}}], "origins": {}}"#,
        )
        .unwrap()
    }

    fn read(method: &str, host: &str, path: &str) -> Option<Writing> {
        let headers =
            Headers::from_pairs([(":method", method), (":authority", host), (":path", path)]);
        Writing::read(&headers, &configuration())
    }

    #[test]
    fn a_request_is_known_by_what_it_may_change() {
        use Change::{Deleted, Touched, Written};
        for (method, host, path, expected) in [
            ("PUT", "g", "/abc/a%20b", Some(("a b", Written))),
            ("DELETE", "g", "/abc/a/b", Some(("a/b", Deleted))),
            ("DELETE", "abc.s3.example", "/a?x-id=DeleteObject", Some(("a", Deleted))),
            ("DELETE", "g", "/abc/a?versionId=1", Some(("a", Touched))),
            ("DELETE", "g", "/abc/a?uploadId=1", Some(("a", Touched))),
            ("DELETE", "g", "/abc/a?tagging", Some(("a", Touched))),
            ("PUT", "g", "/abc/a?x-id=PutObject&X-Amz-Signature=1", Some(("a", Written))),
            ("PUT", "g", "/abc/a?partNumber=1&uploadId=1", Some(("a", Touched))),
            ("PUT", "g", "/abc/a?acl", Some(("a", Touched))),
            ("POST", "g", "/abc/a?uploads", Some(("a", Touched))),
            ("POST", "g", "/abc/a?append&position=0", Some(("a", Written))),
            ("POST", "g", "/abc/a?uploadId=1", Some(("a", Written))),
            ("GET", "g", "/abc/a", None),
            ("DELETE", "g", "/abc", None),
            ("DELETE", "g", "/other/a", None),
            ("POST", "g", "/abc?uploads", None),
        ] {
            let found = read(method, host, path).and_then(|mut writing| {
                assert_eq!(writing.on_answer(Some(403)), None, "{method} {path}");
                writing.on_answer(Some(204))
            });
            let expected = expected.map(|(key, change)| Changed {
                bucket: "abc".to_owned(),
                key: key.as_bytes().to_vec(),
                change,
            });
            assert_eq!(found, expected, "{method} {path}");
        }
    }

    #[test]
    fn of_several_those_are_deleted_that_the_store_names_no_error_of() {
        let request = "<Delete xmlns=\"x\"><Quiet>true</Quiet><Object><Key>a&amp;b</Key></Object>\
                       <Object><Key>kept</Key></Object><Object><Key>v</Key><VersionId>1</VersionId>\
                       </Object></Delete>";
        let answer = "<DeleteResult><Error><Key>kept</Key><Code>AccessDenied</Code></Error>\
                      </DeleteResult>";
        for path in ["/abc?delete", "/abc/?delete=", "/abc?x=1&delete"] {
            let mut writing = read("POST", "g", path).unwrap();
            let deletes = writing.deletes().unwrap();
            for piece in request.as_bytes().chunks(7) {
                deletes.on_request(piece);
            }
            assert_eq!(writing.on_answer(Some(200)), None);
            let deletes = writing.deletes().unwrap();
            deletes.on_answer(answer.as_bytes());
            let changed: Vec<_> =
                deletes.end().into_iter().map(|changed| (changed.key, changed.change)).collect();
            let expected = [(b"a&b".to_vec(), Change::Deleted), (b"v".to_vec(), Change::Touched)];
            assert_eq!(changed, expected, "{path}");
            assert_eq!(deletes.end(), [], "it has ended");
        }
    }

    #[test]
    fn what_was_refused_or_is_too_large_deletes_nothing() {
        let mut writing = read("POST", "g", "/abc?delete").unwrap();
        writing.deletes().unwrap().on_request(b"<Object><Key>a</Key></Object>");
        writing.on_answer(Some(403));
        assert_eq!(writing.deletes().unwrap().end(), []);
        let mut writing = read("POST", "g", "/abc?delete").unwrap();
        writing.deletes().unwrap().on_request(b"<Object><Key>a</Key></Object>");
        writing.on_answer(Some(200));
        let deletes = writing.deletes().unwrap();
        deletes.on_answer(&vec![b' '; MAX_DOCUMENT]);
        deletes.on_answer(b"<Error><Key>a</Key></Error>");
        assert_eq!(deletes.end(), []);
        let mut writing = read("POST", "g", "/abc?delete").unwrap();
        let deletes = writing.deletes().unwrap();
        deletes.on_request(&vec![b' '; MAX_DOCUMENT]);
        deletes.on_request(b"<Object><Key>a</Key></Object>");
        writing.on_answer(Some(200));
        assert_eq!(writing.deletes().unwrap().end(), []);
    }
}
