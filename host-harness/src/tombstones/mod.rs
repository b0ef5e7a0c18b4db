//! `b2o tombstones`: the keys that stay deleted, as the markers in their buckets say, and how they are
//! let come back.
//!
//! Owns what a store is asked about them, in the words of the filter and through the connector of the
//! gateway, as the doctor asks. What is in a marker is `marker`'s.

mod marker;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use back_to_origin::configuration::{Bucket, Configuration};
use back_to_origin::host::CallAnswer;
use back_to_origin::http::headers::HeaderList;
use back_to_origin::http::percent;
use back_to_origin::store;
use back_to_origin::tombstone::{PREFIX, Tombstone};
use futures_util::stream::{self, StreamExt as _};

pub use self::marker::Odd;
use self::marker::read;
use crate::deployment::{Loaded, Plan, Protocol};
use crate::doctor::{Server, Stop, code};
use crate::gateway::{DataPath, client_trust};

/// How many requests there are at once.
const AT_ONCE: usize = 16;

/// A key that stays deleted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Deleted {
    /// The key.
    pub key: Vec<u8>,
    /// When it was deleted, in seconds since 1970.
    pub at: u64,
}

/// An object where only markers should be, which is none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ignored {
    /// Its name.
    pub object: String,
    /// Why.
    pub why: Odd,
}

/// Why a store could not be asked all there was to ask.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trouble {
    /// What happened.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// What a bucket keeps deleted.
#[derive(Debug, Default)]
pub struct Listed {
    /// The keys, in their order.
    pub deleted: Vec<Deleted>,
    /// What else is there.
    pub ignored: Vec<Ignored>,
    /// Why that is not all.
    pub trouble: Option<Trouble>,
}

/// What may come back now.
#[derive(Debug, Default)]
pub struct Cleared {
    /// The keys whose markers are gone, in their order.
    pub keys: Vec<Vec<u8>>,
    /// Keys that had none.
    pub missing: Vec<Vec<u8>>,
    /// What else is there, and stays.
    pub ignored: Vec<Ignored>,
    /// Why that is not all.
    pub trouble: Option<Trouble>,
}

/// Which keys may come back.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// These.
    Keys(&'a [String]),
    /// All that begin so.
    Prefix(&'a str),
}

/// The buckets of a deployment, and their servers.
pub struct Buckets {
    configuration: Configuration,
    servers: BTreeMap<String, Server>,
    /// Buckets whose stores are spoken to by HTTP/2 alone.
    http2: Vec<String>,
}

/// Why nobody was asked.
#[derive(Debug)]
pub enum Unable {
    /// The certificates to trust cannot be read.
    Trust(io::Error),
    /// The filter does not take the deployment: a defect.
    Configuration,
}

impl Buckets {
    /// Those of a deployment. `trusted` are the certificates that HTTPS servers are trusted by, in PEM;
    /// without them those of the system.
    ///
    /// # Errors
    ///
    /// When nobody can be asked.
    pub fn of(
        loaded: &Loaded,
        timeout: Duration,
        trusted: Option<&PathBuf>,
    ) -> Result<Self, Unable> {
        let plan = Plan::by(loaded, DataPath::Streaming);
        let configuration = Configuration::from_json(plan.configuration.as_bytes())
            .map_err(|_| Unable::Configuration)?;
        let trust = client_trust(&plan.clusters, trusted.map(PathBuf::as_path));
        let trust = trust.map_err(Unable::Trust)?;
        let server = |cluster: crate::gateway::Cluster| {
            let name = cluster.name.clone();
            (name, Server::new(cluster, trust.clone(), timeout, Stop::default()))
        };
        let declared = loaded.deployment.buckets.value.iter();
        let http2 = configuration.buckets.iter().zip(declared);
        let http2 = http2.filter(|(_, declared)| match declared.protocol {
            Protocol::Http2 => true,
            Protocol::Auto | Protocol::Http1 => false,
        });
        Ok(Self {
            http2: http2.map(|(bucket, _)| bucket.name.clone()).collect(),
            servers: plan.clusters.into_iter().map(server).collect(),
            configuration,
        })
    }

    /// Their names, as the deployment has them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.configuration.buckets.iter().map(|bucket| bucket.name.as_str())
    }

    /// How soon a running gateway knows what was changed in a bucket; `None` where deleted keys may
    /// come back anyway.
    #[must_use]
    pub fn refresh(&self, bucket: &str) -> Option<Duration> {
        self.configuration.bucket(bucket)?.tombstones
    }

    /// What a bucket keeps deleted below a prefix.
    pub async fn list(&self, bucket: &str, prefix: &str) -> Listed {
        let mut listed = Listed::default();
        listed.trouble = match self.asked(bucket) {
            Ok(asked) => asked.list(prefix.as_bytes(), &mut listed).await.err(),
            Err(trouble) => Some(trouble),
        };
        listed.deleted.sort_by(|one, other| one.key.cmp(&other.key));
        listed
    }

    /// Lets keys of a bucket come back.
    pub async fn clear(&self, bucket: &str, which: Which<'_>) -> Cleared {
        let mut cleared = Cleared::default();
        cleared.trouble = match self.asked(bucket) {
            Ok(asked) => asked.clear(which, &mut cleared).await.err(),
            Err(trouble) => Some(trouble),
        };
        cleared.keys.sort();
        cleared
    }

    fn asked(&self, name: &str) -> Result<Asked<'_>, Trouble> {
        let bucket = self.configuration.bucket(name);
        let server = bucket.and_then(|bucket| self.servers.get(&bucket.store.cluster));
        let (Some(bucket), Some(server)) = (bucket, server) else {
            return Err(Trouble {
                message: format!("the deployment has no bucket `{name}`"),
                help: Some(format!("it has {}", self.names().collect::<Vec<_>>().join(", "))),
            });
        };
        if self.http2.iter().any(|other| other == name) {
            return Err(Trouble {
                message: format!("{name}: its store is spoken to by HTTP/2, which this does not"),
                help: Some(
                    "use a deployment without `protocol: http2` for this command".to_owned(),
                ),
            });
        }
        Ok(Asked { bucket, server })
    }
}

/// A bucket whose store is asked.
struct Asked<'a> {
    bucket: &'a Bucket,
    server: &'a Server,
}

impl Asked<'_> {
    async fn list(&self, prefix: &[u8], listed: &mut Listed) -> Result<(), Trouble> {
        let mut behind: Option<String> = None;
        loop {
            let request = store::list_objects(self.bucket, PREFIX, behind.as_deref());
            let answer = self.ask(&request).await?;
            let words = std::str::from_utf8(&answer.body).unwrap_or_default();
            let page = match answer.headers.status() {
                Some(200) => store::listed_objects(words),
                _ => None,
            };
            let page = page.ok_or_else(|| self.refused("a list of", PREFIX, &answer))?;
            let reads = page.keys.into_iter().map(|object| self.read(object));
            let mut reads = stream::iter(reads).buffered(AT_ONCE);
            while let Some(read) = reads.next().await {
                match read? {
                    Some(Ok(deleted)) if deleted.key.starts_with(prefix) => {
                        listed.deleted.push(deleted);
                    }
                    Some(Ok(_)) | None => {}
                    Some(Err(ignored)) => listed.ignored.push(ignored),
                }
            }
            match page.next {
                None => return Ok(()),
                // Else it would never end.
                same if same == behind => {
                    return Err(self.trouble("its store gives the same page of a list again"));
                }
                next => behind = next,
            }
        }
    }

    /// Reads a marker. `None` where it is gone meanwhile.
    async fn read(&self, object: String) -> Result<Option<Result<Deleted, Ignored>>, Trouble> {
        let Some(tombstone) = Tombstone::of_marker(&self.bucket.name, &object) else {
            return Ok(Some(Err(Ignored { object, why: Odd::Name })));
        };
        let answer = self.ask(&store::read(self.bucket, object.as_bytes(), "GET")).await?;
        Ok(match answer.headers.status() {
            Some(200) => {
                Some(read(&tombstone, &answer.body).map_err(|why| Ignored { object, why }))
            }
            Some(404) => None,
            _ => return Err(self.refused("a GET of", &object, &answer)),
        })
    }

    async fn clear(&self, which: Which<'_>, cleared: &mut Cleared) -> Result<(), Trouble> {
        let keys: Vec<Vec<u8>> = match which {
            Which::Keys(keys) => keys.iter().map(|key| key.as_bytes().to_vec()).collect(),
            Which::Prefix(prefix) => {
                let mut listed = Listed::default();
                let outcome = self.list(prefix.as_bytes(), &mut listed).await;
                cleared.ignored = listed.ignored;
                outcome?;
                listed.deleted.into_iter().map(|deleted| deleted.key).collect()
            }
        };
        // Of what was listed, it is known that it is there.
        let looks = matches!(which, Which::Keys(_));
        let removals = keys.into_iter().map(|key| async move {
            let removed = self.remove(&key, looks).await;
            (key, removed)
        });
        let mut removals = stream::iter(removals).buffered(AT_ONCE);
        let mut trouble = None;
        while let Some((key, removed)) = removals.next().await {
            match removed {
                Ok(true) => cleared.keys.push(key),
                Ok(false) => cleared.missing.push(key),
                Err(why) => {
                    trouble = Some(why);
                    break;
                }
            }
        }
        trouble.map_or(Ok(()), Err)
    }

    /// Removes the marker of a key, whatever is in it; `false` where there was none.
    async fn remove(&self, key: &[u8], looks: bool) -> Result<bool, Trouble> {
        let marker = Tombstone::of(&self.bucket.name, key).marker();
        if looks {
            let answer = self.ask(&store::read(self.bucket, marker.as_bytes(), "HEAD")).await?;
            match answer.headers.status() {
                Some(200) => {}
                Some(404) => return Ok(false),
                _ => return Err(self.refused("a HEAD of", &marker, &answer)),
            }
        }
        let answer = self.ask(&store::read(self.bucket, marker.as_bytes(), "DELETE")).await?;
        match answer.headers.status() {
            Some(200..=299 | 404) => Ok(true),
            _ => Err(self.refused("a DELETE of", &marker, &answer)),
        }
    }

    async fn ask(&self, request: &HeaderList) -> Result<CallAnswer, Trouble> {
        self.server.ask(request).await.map_err(|unheard| {
            match unheard.told(&self.server.cluster.endpoint) {
                Some(told) => Trouble { help: told.help, ..self.trouble(&told.message) },
                None => self.trouble("it was stopped"),
            }
        })
    }

    fn refused(&self, what: &str, object: &str, answer: &CallAnswer) -> Trouble {
        let status = answer.headers.status().unwrap_or_default();
        let code = code(answer).map(|code| format!(" {code}")).unwrap_or_default();
        let said = match status {
            200..=299 => "what nobody can read".to_owned(),
            _ => format!("{status}{code}"),
        };
        let help = match status {
            401 | 403 => "`credentials` of the bucket must be allowed to list, read and delete",
            _ => "`b2o doctor` tells more of the store",
        };
        let help = Some(help.to_owned());
        Trouble { help, ..self.trouble(&format!("the store answered {said} to {what} {object}")) }
    }

    fn trouble(&self, what: &str) -> Trouble {
        Trouble { message: format!("{}: {what}", self.bucket.name), help: None }
    }
}

/// A key as it is shown.
#[must_use]
pub fn shown(key: &[u8]) -> String {
    percent::readable(key)
}
