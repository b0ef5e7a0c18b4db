//! `b2o doctor`: asks the stores and the origins of a deployment, before anybody is sent there.
//!
//! Owns who is asked, at once and in what order it is told. What is asked of a store is `store`'s,
//! of an origin `origin`'s; both ask in the words of the filter, through the connector of the
//! gateway. What was found is told as `b2o check` tells what is wrong with a file.

mod ask;
mod code;
mod origin;
mod probe;
mod report;
mod store;
mod told;
mod unheard;

use std::fmt;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use back_to_origin::configuration::Configuration;
use back_to_origin::rule::Action;
use futures_util::stream::{self, StreamExt as _};

pub(crate) use self::ask::Server;
pub use self::ask::Stop;
pub use self::code::Code;
use self::origin::{Question, Servers};
pub use self::probe::PREFIX;
use self::probe::Run;
pub use self::report::{Diagnosis, Kind, Line};
use self::report::{OfOrigin, OfStore};
use self::store::Store;
pub(crate) use self::store::code;
use crate::deployment::{Loaded, Plan, Protocol};
use crate::gateway::{DataPath, Endpoint, client_trust};

/// How many servers are asked at once.
const AT_ONCE: usize = 16;

/// How the doctor asks.
#[derive(Clone, Debug)]
pub struct Options {
    /// Keys of objects that the origins have.
    pub keys: Vec<String>,
    /// Whether nothing is written.
    pub is_read_only: bool,
    /// How long one request may take.
    pub timeout: Duration,
    /// The certificates that HTTPS servers are trusted by, in PEM; without them those of the system.
    pub trusted: Option<PathBuf>,
}

/// Why nobody was asked.
#[derive(Debug)]
pub enum Unable {
    /// There are no random bytes for a name that nobody else has.
    Name,
    /// The certificates to trust cannot be read.
    Trust(io::Error),
    /// The filter does not take the deployment: a defect.
    Configuration,
}

impl fmt::Display for Unable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("the system gives no random bytes"),
            Self::Trust(error) => write!(f, "the certificates to trust cannot be read: {error}"),
            Self::Configuration => f.write_str("the filter does not take the deployment"),
        }
    }
}

impl std::error::Error for Unable {}

/// What comes of one part of the asking.
enum Part {
    Origin(OfOrigin),
    Store(OfStore),
}

/// Asks every store and every origin of a deployment. What is made for that in a bucket is removed,
/// also once `stop` says that it is over.
///
/// # Errors
///
/// When nobody can be asked.
pub async fn examine(loaded: &Loaded, options: &Options, stop: &Stop) -> Result<Diagnosis, Unable> {
    let plan = Plan::by(loaded, DataPath::Streaming);
    let configuration = Configuration::from_json(plan.configuration.as_bytes());
    let configuration = configuration.map_err(|_| Unable::Configuration)?;
    let run = Run::new().map_err(|_| Unable::Name)?;
    let trust = client_trust(&plan.clusters, options.trusted.as_deref()).map_err(Unable::Trust)?;
    let server = |cluster: &crate::gateway::Cluster| {
        let server = Server::new(cluster.clone(), trust.clone(), options.timeout, stop.clone());
        (cluster.name.clone(), server)
    };
    let servers: Servers = plan.clusters.iter().map(server).collect();

    let questions = questions(loaded, &configuration, &run, options, &plan);
    let mut parts: Vec<Pin<Box<dyn Future<Output = Part> + '_>>> = Vec::new();
    for (index, bucket) in configuration.buckets.iter().enumerate() {
        parts.push(Box::pin(of_store(index, bucket, loaded, options, &run, &servers)));
    }
    for asked in &questions {
        parts.push(Box::pin(of_origin(asked, &servers, &configuration)));
    }
    let parts: Vec<Part> = stream::iter(parts).buffered(AT_ONCE).collect().await;
    let (mut stores, mut origins) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Part::Origin(origin) => origins.push(origin),
            Part::Store(store) => stores.push(store),
        }
    }
    Ok(Diagnosis::of(loaded, stores, origins, stop.is_stopped()))
}

/// A question, and the bucket whose rule asks it, or the deployment's own origin.
pub(in crate::doctor) struct Posed {
    question: Question,
    from: From,
    endpoint: Endpoint,
}

/// Where a question comes from.
#[derive(Clone, Copy, Debug)]
pub(in crate::doctor) enum From {
    /// A rule of this bucket.
    Bucket(usize),
    /// The deployment's own list of origins.
    Origins(usize),
}

/// What all origins are asked, each question once.
fn questions(
    loaded: &Loaded,
    configuration: &Configuration,
    run: &Run,
    options: &Options,
    plan: &Plan,
) -> Vec<Posed> {
    let missing = run.key("missing");
    let mut posed: Vec<Posed> = Vec::new();
    let mut add = |question: Question, from| {
        let cluster = plan.clusters.iter().find(|cluster| cluster.name == question.cluster);
        let is_new = posed.iter().all(|other| !question.is_same(&other.question));
        if let Some(cluster) = cluster.filter(|_| is_new) {
            posed.push(Posed { question, from, endpoint: cluster.endpoint.clone() });
        }
    };
    for (index, bucket) in configuration.buckets.iter().enumerate() {
        for rule in bucket.rules.iter() {
            let asked =
                Question::of_rule(rule, configuration, &bucket.name, &missing, &options.keys);
            asked.into_iter().for_each(|question| add(question, From::Bucket(index)));
        }
    }
    for (index, endpoint) in loaded.deployment.origins.iter().flatten().enumerate() {
        if let Some(cluster) = plan.origins.get(&endpoint.value.to_string()) {
            let scheme = endpoint.value.scheme.as_str();
            let question = Question::of_server(cluster, scheme, &endpoint.value.authority());
            add(question, From::Origins(index));
        }
    }
    posed
}

async fn of_store(
    index: usize,
    bucket: &back_to_origin::configuration::Bucket,
    loaded: &Loaded,
    options: &Options,
    run: &Run,
    servers: &Servers,
) -> Part {
    let declared = &loaded.deployment.buckets.value[index];
    let names_403 = bucket.rules.iter().any(|rule| match &rule.action {
        Action::Mirror(_) => rule.condition.statuses.names(403),
        Action::External(_) => false,
    });
    let asked = match (servers.get(&bucket.store.cluster), declared.protocol) {
        (None, _) | (_, Protocol::Http2) => {
            store::Asked { findings: vec![store::Finding::NotAsked], sound: Vec::new() }
        }
        (Some(server), Protocol::Auto | Protocol::Http1) => {
            let is_read_only = options.is_read_only;
            Store { bucket, declared, server, run, names_403, is_read_only }.ask().await
        }
    };
    let requests = servers.get(&bucket.store.cluster).map_or(0, Server::asked);
    Part::Store(OfStore { bucket: index, asked, requests })
}

async fn of_origin(posed: &Posed, servers: &Servers, configuration: &Configuration) -> Part {
    let asked = posed.question.ask(servers, configuration).await;
    let Posed { question, from, endpoint } = posed;
    let (rule, url) = (question.rule, question.url.clone());
    Part::Origin(OfOrigin { from: *from, rule, url, endpoint: endpoint.clone(), asked })
}
