//! A bucket's store: what it is asked, in the words of the filter itself.
//!
//! Owns the order of the questions. What an answer amounts to is [`judge`]'s, and what is said of it
//! [`finding`]'s.

mod finding;
mod judge;

use std::time::SystemTime;

use back_to_origin::configuration::{Addressing, Bucket, ConditionalWrites};
use back_to_origin::host::CallAnswer;
use back_to_origin::http::headers::HeaderList;
use back_to_origin::store;

pub(super) use self::finding::Finding;
pub(crate) use self::judge::code;
use self::judge::{Conditions, Honour, Known, Missing, Operation, Put};
use super::ask::Server;
use super::probe::{Ledger, PREFIX, Run, TAG, target, with_query};
use super::unheard::Unheard;
use crate::deployment;

/// What the first probe holds, and what would replace it: of another length, so that a HEAD tells.
const FIRST: &[u8] = b"b2o doctor wrote this, and removes it.\n";
const SECOND: &[u8] = b"b2o doctor would replace it.\n";

/// A store that is asked about one bucket.
pub(super) struct Store<'a> {
    pub(super) bucket: &'a Bucket,
    pub(super) declared: &'a deployment::Bucket,
    pub(super) server: &'a Server,
    pub(super) run: &'a Run,
    /// Whether a Mirror rule of the bucket names 403.
    pub(super) names_403: bool,
    pub(super) is_read_only: bool,
}

/// What came of asking.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) findings: Vec<Finding>,
    /// What was found sound.
    pub(super) sound: Vec<&'static str>,
}

impl Asked {
    fn add(&mut self, finding: impl IntoIterator<Item = Finding>) {
        for finding in finding {
            if !self.findings.contains(&finding) {
                self.findings.push(finding);
            }
        }
    }
}

impl Store<'_> {
    const fn is_signed(&self) -> bool {
        self.server.cluster.signer.is_some()
    }

    /// Asks all there is to ask, and removes what was made for that, however it ends.
    pub(super) async fn ask(&self) -> Asked {
        let (mut asked, ledger) = (Asked::default(), Ledger::default());
        if let Err(unheard) = self.ask_all(&mut asked, &ledger).await {
            asked.add([Finding::Unheard(unheard)]);
        }
        let left = ledger.clear(self.server, self.bucket).await;
        asked.add((!left.is_empty()).then_some(Finding::LeftBehind(left)));
        asked
    }

    async fn ask_all(&self, asked: &mut Asked, ledger: &Ledger) -> Result<(), Unheard> {
        let is_signed = self.is_signed();
        let missing = self.run.key("missing");
        let answer = self.server.ask(&store::read(self.bucket, &missing, "GET")).await?;
        asked.add(judge::skew(&answer.headers, SystemTime::now()));
        asked.add(judge::keep_alive(&answer.headers, self.server.cluster.idle_timeout));
        let region = &self.declared.region.0;
        let is_forbidden = match judge::missing(&answer, region) {
            Missing::Absent => {
                asked.sound.push("404 for what is missing");
                false
            }
            Missing::AbsentUnsaid => {
                asked.add([Finding::NotS3]);
                false
            }
            Missing::Forbidden => true,
            Missing::Trouble(trouble) => {
                if trouble.may_be_addressing() && self.is_known_otherwise(&missing, region).await? {
                    let wrong = self.bucket.store.addressing;
                    asked.add([Finding::Addressing(wrong)]);
                } else {
                    asked.add([trouble]);
                }
                return Ok(());
            }
        };
        let is_listed = self.ask_list(asked, is_forbidden).await?;
        if is_forbidden {
            let names_403 = self.names_403;
            asked.add([Finding::MissForbidden { is_signed, is_listed, names_403 }]);
        }
        if self.is_read_only {
            return Ok(());
        }
        let may_delete = self.ask_delete(asked, ledger, &missing).await?;
        let mut conditions = Conditions::default();
        if may_delete && !self.ask_objects(asked, ledger, &mut conditions).await? {
            return Ok(());
        }
        self.ask_uploads(asked, ledger, may_delete, &mut conditions).await?;
        match conditions.judge(self.bucket.store.conditional_writes) {
            Ok(is_known) if is_known => asked.sound.push("conditions of writes"),
            Ok(_) => {}
            Err(finding) => asked.add([finding]),
        }
        Ok(())
    }

    /// Whether the store knows the bucket where the deployment does not say that its name stands.
    async fn is_known_otherwise(&self, key: &[u8], region: &str) -> Result<bool, Unheard> {
        let mut other = self.bucket.clone();
        other.store.addressing = match other.store.addressing {
            Addressing::Path => Addressing::Virtual,
            Addressing::Virtual => Addressing::Path,
        };
        let answer = self.server.ask(&store::read(&other, key, "GET")).await?;
        Ok(matches!(judge::missing(&answer, region), Missing::Absent))
    }

    async fn ask_list(&self, asked: &mut Asked, is_forbidden: bool) -> Result<bool, Unheard> {
        let key = self.run.key("");
        let bucket = target(self.bucket, &key, &HeaderList::new()).list_uploads();
        let query = format!("list-type=2&max-keys=1&prefix={PREFIX}").replace('/', "%2F");
        let answer = self.server.ask(&with_query(&bucket, &query)).await?;
        match answer.headers.status() {
            Some(200) => asked.sound.push("list"),
            // What comes of it is said of the 403 for what is missing.
            Some(403) if is_forbidden => return Ok(false),
            Some(403) => asked.add([Finding::Denied(Operation::List)]),
            _ => asked.add([Finding::refused(Operation::List, &answer)]),
        }
        Ok(answer.headers.status() == Some(200))
    }

    /// Removes what is not there. Nothing is written that could not be removed.
    async fn ask_delete(
        &self,
        asked: &mut Asked,
        ledger: &Ledger,
        key: &[u8],
    ) -> Result<bool, Unheard> {
        let request = store::read(self.bucket, key, "DELETE");
        let answer = self.server.change(&request, "").await?;
        ledger.version(key, &answer.headers);
        match answer.headers.status() {
            Some(200..=299 | 404) => {
                asked.sound.push("delete");
                return Ok(true);
            }
            Some(403) => asked.add([Finding::Denied(Operation::Delete)]),
            _ => asked.add([Finding::refused(Operation::Delete, &answer)]),
        }
        Ok(false)
    }

    /// Objects of one request. `false` where nothing can be written.
    async fn ask_objects(
        &self,
        asked: &mut Asked,
        ledger: &Ledger,
        conditions: &mut Conditions,
    ) -> Result<bool, Unheard> {
        let key = self.run.key("object");
        let configured = self.bucket.store.conditional_writes;
        ledger.object(&key);
        let first = self.put(ledger, &key, FIRST, configured).await?;
        let first = match judge::put(&first) {
            // With a condition that the store does not know; without, it may take it.
            Put::Unknown => {
                conditions.note(configured, Known::Put, Honour::Refused);
                let bare = ConditionalWrites::Unconditional;
                judge::put(&self.put(ledger, &key, FIRST, bare).await?)
            }
            put @ (Put::Denied | Put::Done | Put::Lied | Put::Refused(..) | Put::There) => put,
        };
        if first != Put::Done {
            asked.add([Finding::unwritten(first, self.is_signed())]);
            return Ok(false);
        }
        let found = self.server.ask(&store::read(self.bucket, &key, "HEAD")).await?;
        let got = self.server.ask(&store::read(self.bucket, &key, "GET")).await?;
        match judge::written(&found, &got, FIRST, TAG) {
            Ok(()) => asked.sound.extend(["write", "read"]),
            Err(finding) => {
                let is_lost = matches!(finding, Finding::WriteLost);
                asked.add([finding]);
                if is_lost {
                    return Ok(false);
                }
            }
        }
        for condition in [ConditionalWrites::IfNoneMatch, ConditionalWrites::Oss] {
            let answer = self.put(ledger, &key, SECOND, condition).await?;
            conditions.note(condition, Known::Put, judge::honour(&answer));
        }
        Ok(true)
    }

    async fn put(
        &self,
        ledger: &Ledger,
        key: &[u8],
        body: &'static [u8],
        condition: ConditionalWrites,
    ) -> Result<CallAnswer, Unheard> {
        let bucket = self.writing(condition);
        let headers = content();
        let request = target(&bucket, key, &headers).put(body.len());
        let answer = self.server.change(&request, body).await?;
        ledger.version(key, &answer.headers);
        Ok(answer)
    }

    /// The bucket as it would be with that condition of writes.
    fn writing(&self, condition: ConditionalWrites) -> Bucket {
        let mut bucket = self.bucket.clone();
        bucket.store.conditional_writes = condition;
        bucket
    }

    /// Objects of several requests. What cannot be removed is not completed.
    async fn ask_uploads(
        &self,
        asked: &mut Asked,
        ledger: &Ledger,
        may_delete: bool,
        conditions: &mut Conditions,
    ) -> Result<(), Unheard> {
        let (key, headers) = (self.run.key("upload"), content());
        let object = target(self.bucket, &key, &headers);
        let Some((id, _)) = self.begin(asked, ledger, &key).await? else { return Ok(()) };
        let uploads = self.server.ask(&object.list_uploads()).await?;
        let parts = self.server.ask(&object.list_parts(&id)).await?;
        match judge::listed(&uploads, &parts, &key, &id) {
            Ok(()) => asked.sound.push("list of uploads"),
            Err(finding) => asked.add([finding]),
        }
        if !self.abort(asked, ledger, &key, &id).await? || !may_delete {
            return Ok(());
        }
        // One that is completed, and one that may not be: the object is there by then.
        let configured = self.bucket.store.conditional_writes;
        let rounds = [configured, ConditionalWrites::IfNoneMatch];
        for (round, condition) in rounds.into_iter().enumerate() {
            let Some((id, etag)) = self.begin(asked, ledger, &key).await? else { return Ok(()) };
            ledger.object(&key);
            let bucket = self.writing(condition);
            let request = target(&bucket, &key, &headers).complete_upload(&id);
            let body = store::completion(std::iter::once(etag.as_str()));
            let answer = self.server.change(&request, body).await?;
            ledger.version(&key, &answer.headers);
            let completed = judge::completion(&answer);
            // One that is said to be completed is aborted in the end, in case it is not.
            if completed != Put::Done && !self.abort(asked, ledger, &key, &id).await? {
                return Ok(());
            }
            if round == 1 {
                conditions.note(condition, Known::Completion, judge::honour_of(&completed));
                continue;
            }
            match completed {
                Put::Done => {}
                Put::Unknown => {
                    conditions.note(condition, Known::Completion, Honour::Refused);
                    return Ok(());
                }
                other @ (Put::Denied | Put::Lied | Put::Refused(..) | Put::There) => {
                    asked.add([Finding::upload_failed("complete", &other)]);
                    return Ok(());
                }
            }
            let found = self.server.ask(&store::read(self.bucket, &key, "HEAD")).await?;
            match found.headers.status() {
                Some(200) | Some(403) => asked.sound.push("uploads"),
                _ => {
                    asked.add([Finding::WriteLost]);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Begins an upload with one part.
    async fn begin(
        &self,
        asked: &mut Asked,
        ledger: &Ledger,
        key: &[u8],
    ) -> Result<Option<(String, String)>, Unheard> {
        let headers = content();
        let object = target(self.bucket, key, &headers);
        ledger.upload(key);
        let created = self.server.change(&object.create_upload(), "").await?;
        let id = match judge::created(&created) {
            Ok(id) => id,
            Err(put) => {
                if matches!(created.headers.status(), Some(300..=499 | 501)) {
                    ledger.refused(key);
                }
                asked.add([match put {
                    Put::Denied => Finding::WriteDenied { is_signed: self.is_signed() },
                    other @ (Put::Done
                    | Put::Lied
                    | Put::Refused(..)
                    | Put::There
                    | Put::Unknown) => Finding::upload_failed("begin", &other),
                }]);
                return Ok(None);
            }
        };
        ledger.begun(key, &id);
        let sent = self.server.change(&object.upload_part(&id, 1), FIRST).await?;
        match judge::part(&sent) {
            Ok(etag) => Ok(Some((id, etag))),
            Err(put) => {
                asked.add([Finding::upload_failed("take a part of", &put)]);
                Ok(None)
            }
        }
    }

    /// Aborts an upload; `false` where that is not possible.
    async fn abort(
        &self,
        asked: &mut Asked,
        ledger: &Ledger,
        key: &[u8],
        id: &str,
    ) -> Result<bool, Unheard> {
        let request = target(self.bucket, key, &HeaderList::new()).abort_upload(id);
        let answer = self.server.change(&request, "").await?;
        match answer.headers.status() {
            Some(200..=299 | 404) => {
                ledger.over(key, id);
                if !asked.sound.contains(&"abort") {
                    asked.sound.push("abort");
                }
                return Ok(true);
            }
            Some(403) => asked.add([Finding::Denied(Operation::Abort)]),
            _ => asked.add([Finding::refused(Operation::Abort, &answer)]),
        }
        Ok(false)
    }
}

fn content() -> HeaderList {
    HeaderList::new().with("content-type", "text/plain; charset=utf-8")
}
