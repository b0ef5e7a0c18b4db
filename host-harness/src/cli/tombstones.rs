//! `b2o tombstones`: the keys that stay deleted, and how they are let come back.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::doctor::time;
use super::failure::{Failure, USAGE};
use super::{loading, print, printable};
use crate::moment;
use crate::tombstones::{Buckets, Ignored, Trouble, Unable, Which, shown};

/// List the keys that stay deleted, and let them come back.
///
/// What a client deletes through a gateway is not mirrored again: a small object below
/// `.back-to-origin/tombstones/` in its bucket says so. These commands ask the store itself, with
/// the bucket's `credentials`. A write of the key through a gateway lets it come back too.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  b2o tombstones list envoy/deployment.yaml
  b2o tombstones list envoy/deployment.yaml --bucket examplebucket --prefix photos/ --json
  b2o tombstones clear envoy/deployment.yaml --bucket examplebucket --key photos/cat.jpg
  b2o tombstones clear envoy/deployment.yaml --bucket examplebucket --prefix photos/

Exit codes:
  0  done
  1  a store refused or was not reached, or there is no such bucket or tombstone
  2  wrong usage, or a file cannot be read"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the keys that stay deleted, and since when.
    List {
        #[command(flatten)]
        asking: Asking,
        /// Of this bucket alone.
        #[arg(long, value_name = "NAME")]
        bucket: Option<String>,
        /// Of keys that begin so alone.
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        prefix: String,
        /// Print one JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Let keys come back: their next miss brings them from the origin.
    Clear {
        #[command(flatten)]
        asking: Asking,
        /// The bucket.
        #[arg(long, value_name = "NAME")]
        bucket: String,
        #[command(flatten)]
        which: WhichKeys,
    },
}

#[derive(Debug, Args)]
struct Asking {
    /// The deployment file (YAML).
    deployment: PathBuf,
    /// How long one request may take: a number and `ms`, `s` or `m`.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time)]
    timeout: Duration,
    /// The certificates that HTTPS servers are trusted by, in PEM; without it those of the system.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct WhichKeys {
    /// This key; can be given several times.
    // An unset variable of a shell is no prefix of all keys.
    #[arg(long = "key", value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    keys: Vec<String>,
    /// All keys that begin so.
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    prefix: Option<String>,
    /// All keys.
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.verb {
        Verb::List { asking, bucket, prefix, json } => list(&asking, bucket, &prefix, json).await,
        Verb::Clear { asking, bucket, which } => clear(&asking, &bucket, &which).await,
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    file: &'a str,
    /// Whether that is all there is.
    complete: bool,
    tombstones: &'a [Row],
    ignored: &'a [IgnoredRow],
}

#[derive(Serialize)]
struct Row {
    bucket: String,
    key: String,
    deleted: String,
}

#[derive(Serialize)]
struct IgnoredRow {
    bucket: String,
    object: String,
    reason: String,
}

async fn list(
    asking: &Asking,
    bucket: Option<String>,
    prefix: &str,
    json: bool,
) -> Result<(), Failure> {
    let buckets = asking.buckets()?;
    let names = match bucket {
        Some(bucket) => vec![bucket],
        None => buckets.names().map(str::to_owned).collect(),
    };
    let (mut rows, mut ignored, mut troubles) = (Vec::new(), Vec::new(), Vec::new());
    for bucket in names {
        let listed = buckets.list(&bucket, prefix).await;
        rows.extend(listed.deleted.iter().map(|deleted| Row {
            bucket: bucket.clone(),
            key: shown(&deleted.key),
            deleted: date(deleted.at),
        }));
        ignored.extend(listed.ignored.iter().map(|ignored| IgnoredRow::of(&bucket, ignored)));
        troubles.extend(listed.trouble);
    }
    if json {
        let file = &asking.file();
        let answer =
            Answer { file, complete: troubles.is_empty(), tombstones: &rows, ignored: &ignored };
        // Strings and booleans: nothing JSON cannot say.
        print(&(serde_json::to_string_pretty(&answer).unwrap_or_default() + "\n"));
    } else {
        if rows.is_empty() && troubles.is_empty() {
            print("no key stays deleted\n");
        }
        rows.iter().for_each(|row| {
            print(&printable(&format!("{}  {}/{}", row.deleted, row.bucket, row.key)));
            print("\n");
        });
        warn(&ignored);
    }
    fail(troubles)
}

async fn clear(asking: &Asking, bucket: &str, which: &WhichKeys) -> Result<(), Failure> {
    let buckets = asking.buckets()?;
    let which = match &which.prefix {
        _ if which.all => Which::Prefix(""),
        Some(prefix) => Which::Prefix(prefix),
        None => Which::Keys(&which.keys),
    };
    let cleared = buckets.clear(bucket, which).await;
    for key in &cleared.keys {
        print(&printable(&format!("{bucket}/{} may come back", shown(key))));
        print("\n");
    }
    let ignored: Vec<_> =
        cleared.ignored.iter().map(|ignored| IgnoredRow::of(bucket, ignored)).collect();
    warn(&ignored);
    if let (false, Some(refresh)) = (cleared.keys.is_empty(), buckets.refresh(bucket)) {
        print(&format!("a running gateway knows it within {}\n", duration(refresh)));
    }
    fail(cleared.trouble)?;
    if !cleared.missing.is_empty() {
        let missing: Vec<_> = cleared.missing.iter().map(|key| shown(key)).collect();
        let message = format!("{bucket}: no tombstone of {}", missing.join(", "));
        let help = "`b2o tombstones list` shows what stays deleted";
        return Err(Failure::new(printable(&message)).help(help));
    }
    if cleared.keys.is_empty() {
        print("no key stays deleted there\n");
    }
    Ok(())
}

impl Asking {
    fn file(&self) -> String {
        self.deployment.display().to_string()
    }

    fn buckets(&self) -> Result<Buckets, Failure> {
        let loaded = loading::load(&self.deployment)?;
        Buckets::of(&loaded, self.timeout, self.trust.as_ref()).map_err(|unable| match unable {
            Unable::Trust(error) => {
                let what = "the certificates to trust cannot be read";
                Failure::new(format!("{what}: {error}")).code(USAGE)
            }
            Unable::Configuration => Failure::new("the filter does not take the deployment"),
        })
    }
}

impl IgnoredRow {
    fn of(bucket: &str, ignored: &Ignored) -> Self {
        let Ignored { object, why } = ignored;
        Self { bucket: bucket.to_owned(), object: object.clone(), reason: why.to_string() }
    }
}

/// Tells of what is no marker.
fn warn(ignored: &[IgnoredRow]) {
    for IgnoredRow { bucket, object, reason } in ignored {
        let text = format!("warning: {bucket}/{object} is left alone: {reason}");
        let _ = writeln!(std::io::stderr(), "{}", printable(&text));
    }
}

/// Each trouble is told; the last one is the command's.
fn fail(troubles: impl IntoIterator<Item = Trouble>) -> Result<(), Failure> {
    let failure = |Trouble { message, help }| {
        let failure = Failure::new(printable(&message));
        help.into_iter().fold(failure, Failure::help)
    };
    let mut failures: Vec<_> = troubles.into_iter().map(failure).collect();
    let last = failures.pop();
    for failure in failures {
        let _ = write!(std::io::stderr(), "{failure}");
    }
    last.map_or(Ok(()), Err)
}

/// A time in seconds since 1970, as RFC 3339 has it.
fn date(seconds: u64) -> String {
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).filter(|time| {
        // What no calendar has, nobody has written.
        time.duration_since(SystemTime::now()).is_ok_and(|ahead| ahead < CENTURY)
            || *time <= SystemTime::now()
    });
    time.map_or_else(|| seconds.to_string(), |_| moment::in_seconds(seconds))
}

/// A hundred years.
const CENTURY: Duration = Duration::from_secs(100 * 366 * 24 * 3_600);

fn duration(duration: Duration) -> String {
    match duration.as_millis() {
        millis if millis % 60_000 == 0 => format!("{}m", millis / 60_000),
        millis if millis % 1_000 == 0 => format!("{}s", millis / 1_000),
        millis => format!("{millis}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_everybody_writes_them() {
        assert_eq!(date(1_700_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(date(u64::MAX), u64::MAX.to_string());
        assert_eq!(date(1 << 50), (1_u64 << 50).to_string());
        assert_eq!(duration(Duration::from_millis(30_000)), "30s");
        assert_eq!(duration(Duration::from_millis(120_000)), "2m");
        assert_eq!(duration(Duration::from_millis(1_500)), "1500ms");
    }
}
