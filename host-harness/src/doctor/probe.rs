//! What the doctor makes in a bucket, under names that nobody else has, and how it goes again.
//!
//! Owns the names, and the list of what is there: a thing is on it before it is asked for.

use std::cell::RefCell;

use back_to_origin::configuration::Bucket;
use back_to_origin::http::headers::{HeaderList, Headers};
use back_to_origin::http::percent;
use back_to_origin::store::{self, Target};
use bytes::Bytes;

use super::ask::Server;

/// What every key begins with that the doctor asks for, and every key that it writes.
pub const PREFIX: &str = ".back-to-origin/doctor/";

/// The name of one run.
#[derive(Clone, Debug)]
pub(super) struct Run(String);

impl Run {
    /// One that nobody has had and nobody guesses.
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        let mut random = [0; 16];
        getrandom::fill(&mut random)?;
        Ok(Self(hex_simd::encode_to_string(random, hex_simd::AsciiCase::Lower)))
    }

    /// A key of this run.
    pub(super) fn key(&self, name: &str) -> Vec<u8> {
        format!("{PREFIX}{}/{name}", self.0).into_bytes()
    }
}

/// A thing that the doctor made, or may have made.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Made {
    /// An object, or what a DELETE leaves of one in a versioned bucket.
    Object(Vec<u8>),
    /// An upload whose id is not known.
    SomeUpload(Vec<u8>),
    /// An upload.
    Upload(Vec<u8>, String),
    /// A version of an object, or a delete marker.
    Version(Vec<u8>, String),
}

/// Everything that is to be removed from one bucket.
#[derive(Debug, Default)]
pub(super) struct Ledger(RefCell<Vec<Made>>);

impl Ledger {
    /// An object is about to be written.
    pub(super) fn object(&self, key: &[u8]) {
        self.add(Made::Object(key.to_vec()));
    }

    /// An upload is about to be begun.
    pub(super) fn upload(&self, key: &[u8]) {
        self.add(Made::SomeUpload(key.to_vec()));
    }

    /// Its id is known.
    pub(super) fn begun(&self, key: &[u8], id: &str) {
        self.remove(&Made::SomeUpload(key.to_vec()));
        self.add(Made::Upload(key.to_vec(), id.to_owned()));
    }

    /// An upload is completed or aborted.
    pub(super) fn over(&self, key: &[u8], id: &str) {
        self.remove(&Made::Upload(key.to_vec(), id.to_owned()));
    }

    /// An upload was refused: there is none.
    pub(super) fn refused(&self, key: &[u8]) {
        self.remove(&Made::SomeUpload(key.to_vec()));
    }

    /// Notes the version that an answer to a write or a DELETE names: in a versioned bucket a DELETE
    /// removes nothing.
    pub(super) fn version(&self, key: &[u8], answer: &Headers) {
        let version = answer.text("x-amz-version-id").or_else(|| answer.text("x-oss-version-id"));
        if let Some(version) = version.filter(|version| !version.is_empty() && *version != "null") {
            self.add(Made::Version(key.to_vec(), version.to_owned()));
        }
    }

    fn add(&self, made: Made) {
        let mut all = self.0.borrow_mut();
        if !all.contains(&made) {
            all.push(made);
        }
    }

    fn remove(&self, made: &Made) {
        self.0.borrow_mut().retain(|known| known != made);
    }

    fn all(&self) -> Vec<Made> {
        self.0.borrow().clone()
    }

    /// Removes all of it, and says what may still be there. A server that does not answer once is
    /// not asked again.
    pub(super) async fn clear(&self, server: &Server, bucket: &Bucket) -> Vec<String> {
        for made in self.all() {
            let is_heard = match &made {
                Made::Object(key) => self.delete(server, bucket, key).await,
                Made::SomeUpload(key) => self.abort_listed(server, bucket, key).await,
                Made::Upload(key, id) => self.abort(server, bucket, key, id).await,
                // They are removed last, when no DELETE makes another one.
                Made::Version(..) => continue,
            };
            if !is_heard {
                return self.all().iter().map(Made::name).collect();
            }
        }
        for made in self.all() {
            let Made::Version(key, version) = &made else { continue };
            let version = percent::encode_url(version);
            let request =
                with_query(&store::read(bucket, key, "DELETE"), &format!("versionId={version}"));
            match server.send(&request, Bytes::new()).await {
                Ok(answer) if is_gone(answer.headers.status()) => self.remove(&made),
                Ok(_) => {}
                Err(_) => break,
            }
        }
        self.all().iter().map(Made::name).collect()
    }

    /// Removes an object, and looks whether it is gone. `false` where the server is not heard.
    async fn delete(&self, server: &Server, bucket: &Bucket, key: &[u8]) -> bool {
        let Ok(deleted) = server.send(&store::read(bucket, key, "DELETE"), Bytes::new()).await
        else {
            return false;
        };
        self.version(key, &deleted.headers);
        let Ok(found) = server.send(&store::read(bucket, key, "HEAD"), Bytes::new()).await else {
            return false;
        };
        // Who may not list a bucket gets 403 for what is missing.
        let is_denied = found.headers.status() == Some(403);
        if found.headers.status() == Some(404) || (is_denied && is_gone(deleted.headers.status())) {
            self.remove(&Made::Object(key.to_vec()));
        }
        true
    }

    async fn abort(&self, server: &Server, bucket: &Bucket, key: &[u8], id: &str) -> bool {
        let request = target(bucket, key, &HeaderList::new()).abort_upload(id);
        let Ok(answer) = server.send(&request, Bytes::new()).await else { return false };
        if is_gone(answer.headers.status()) {
            self.over(key, id);
        }
        true
    }

    /// Aborts every upload of a key: all of them are this run's.
    async fn abort_listed(&self, server: &Server, bucket: &Bucket, key: &[u8]) -> bool {
        let request = target(bucket, key, &HeaderList::new()).list_uploads();
        let Ok(answer) = server.send(&request, Bytes::new()).await else { return false };
        let list = str::from_utf8(&answer.body).unwrap_or_default();
        let Some(listed) = store::listed_uploads(list, key) else { return true };
        self.remove(&Made::SomeUpload(key.to_vec()));
        for id in listed.ids {
            self.add(Made::Upload(key.to_vec(), id.clone()));
            if !self.abort(server, bucket, key, &id).await {
                return false;
            }
        }
        true
    }
}

impl Made {
    /// What it is called to whoever has to remove it.
    fn name(&self) -> String {
        let shown = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
        match self {
            Self::Object(key) => shown(key),
            Self::SomeUpload(key) => format!("an upload of {}", shown(key)),
            Self::Upload(key, id) => format!("the upload {id} of {}", shown(key)),
            Self::Version(key, version) => format!("the version {version} of {}", shown(key)),
        }
    }
}

/// An object of the doctor's, as the filter would write it.
pub(super) const fn target<'a>(
    bucket: &'a Bucket,
    key: &'a [u8],
    headers: &'a HeaderList,
) -> Target<'a> {
    Target { bucket, key, headers, tag: TAG }
}

/// What stands in the metadata of probes in place of an object's origin.
pub(super) const TAG: &str = "DOCTOR";

/// Whether what was to be removed is not there.
const fn is_gone(status: Option<u16>) -> bool {
    matches!(status, Some(200..=299 | 404))
}

/// A request with another query, or with one at all.
pub(super) fn with_query(request: &HeaderList, query: &str) -> HeaderList {
    let path = request.get(":path").unwrap_or_default();
    let path = path.split(|byte| *byte == b'?').next().unwrap_or_default();
    let mut asked = HeaderList::new();
    for (name, value) in request.iter() {
        match name {
            ":path" => asked.add(name, [path, b"?", query.as_bytes()].concat()),
            _ => asked.add(name, value),
        }
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_below_the_documented_prefix_and_no_two_runs_have_the_same() {
        let (one, other) = (Run::new().unwrap(), Run::new().unwrap());
        let key = String::from_utf8(one.key("object")).unwrap();
        assert!(key.starts_with(".back-to-origin/doctor/") && key.ends_with("/object"), "{key}");
        assert_ne!(one.key("object"), other.key("object"));
    }

    #[test]
    fn what_is_made_is_on_the_list_until_it_is_gone() {
        let ledger = Ledger::default();
        ledger.object(b"a");
        ledger.object(b"a");
        ledger.upload(b"b");
        ledger.begun(b"b", "1");
        ledger.upload(b"c");
        ledger.version(b"a", &Headers::from_pairs([("x-amz-version-id", "v")]));
        ledger.version(b"a", &Headers::from_pairs([("x-amz-version-id", "null")]));
        let names: Vec<_> = ledger.all().iter().map(Made::name).collect();
        assert_eq!(names, ["a", "the upload 1 of b", "an upload of c", "the version v of a"]);
        ledger.over(b"b", "1");
        ledger.refused(b"c");
        assert_eq!(ledger.all().len(), 2);
    }

    #[test]
    fn a_query_takes_the_place_of_another() {
        let request = HeaderList::new().with(":path", "/b?uploads").with("x", "y");
        let asked = with_query(&request, "versionId=1");
        assert_eq!(asked.get(":path"), Some(&b"/b?versionId=1"[..]));
        assert_eq!(asked.get("x"), Some(&b"y"[..]));
    }
}
