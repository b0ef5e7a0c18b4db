//! `b2o website`: a bucket's whole configuration, in the manner of `ossutil website`.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::failure::{Failure, USAGE};
use super::keeping::{EnvoyFiles, show};
use super::loading::read_rules;
use super::print;
use crate::admin::{Keeper, is_nothing};
use crate::envoy::replace;
use crate::rule_file::RuleFile;

/// Put, get or delete a bucket's website configuration, as `ossutil website` does.
///
/// `put` replaces all of it by a file: XML as OSS and S3 have it, or JSON. `get` writes it as OSS's
/// XML, to a file or to standard output, with secrets masked unless --secrets is given. What is put is checked with the whole deployment and then
/// written as a whole, in the form the rule file has; what is refused changes nothing.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  b2o website --deployment d.yaml --method put oss://examplebucket website.xml
  b2o website --deployment d.yaml --method get oss://examplebucket
  b2o website --deployment d.yaml --method delete oss://examplebucket

Exit codes:
  0  done
  1  refused, or there is no such bucket or configuration
  2  wrong usage, or a file cannot be read"
)]
pub(super) struct Arguments {
    /// What to do.
    #[arg(long, value_enum)]
    method: Method,
    /// The deployment file (YAML).
    #[arg(long, value_name = "FILE")]
    deployment: PathBuf,
    /// The bucket, as `oss://NAME`.
    #[arg(value_parser = bucket)]
    bucket: String,
    /// The configuration: what is put, or where it is written; `-` is standard input or output.
    file: Option<PathBuf>,
    /// Let `get` write secrets too: the keys of a MirrorAuth, and the headers that rules set.
    /// Without it they are masked, and the file cannot be put back as it is.
    #[arg(long)]
    secrets: bool,
    #[command(flatten)]
    envoy: EnvoyFiles,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Method {
    /// Replace the configuration.
    Put,
    /// Write it.
    Get,
    /// Have none; there need not have been one.
    Delete,
}

/// The name in a bucket's address.
fn bucket(text: &str) -> Result<String, &'static str> {
    let name = text.strip_prefix("oss://").map(|name| name.strip_suffix('/').unwrap_or(name));
    match name {
        Some(name) if !name.is_empty() && !name.contains('/') => Ok(name.to_owned()),
        Some(_) | None => Err("expected `oss://` and the name of a bucket"),
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { method, deployment, bucket, file, secrets, envoy } = arguments;
    let keeper = Keeper { deployment: deployment.clone(), envoy: envoy.target() };
    match (method, file) {
        (Method::Put, Some(file)) => {
            let new = read(file)?;
            keeper.change(bucket, |_| Ok::<_, Failure>(Some(new)))
        }
        (Method::Put, None) => Err(Failure::new("`put` needs the file to put").code(USAGE)),
        (Method::Get, file) => get(&keeper, bucket, file.as_ref(), *secrets),
        (Method::Delete, None) => keeper.change(bucket, |_| Ok::<_, Failure>(None)),
        (Method::Delete, Some(_)) => Err(Failure::new("`delete` takes no file").code(USAGE)),
    }
}

fn read(path: &Path) -> Result<RuleFile, Failure> {
    let file = read_rules(path)?;
    let shown = &file.report.document.path;
    show(&file.report);
    match (&file.website, &file.rules) {
        (Some(website), Some(_)) if is_nothing(website) => {
            Err(Failure::new(format!("{shown} has no rule and no document"))
                .help("to have no configuration, use --method delete"))
        }
        (Some(_), Some(_)) => Ok(file),
        (_, _) => Err(Failure::new(format!("{shown} is refused")).help("nothing has changed")),
    }
}

fn get(
    keeper: &Keeper,
    bucket: &str,
    file: Option<&PathBuf>,
    secrets: bool,
) -> Result<(), Failure> {
    let kept = keeper.kept(bucket)?;
    let Some(website) = kept.website()? else {
        return Err(Failure::new(format!("the bucket `{bucket}` has no website configuration")));
    };
    let website = if secrets { website } else { &website.masked() };
    let written = website.to_xml();
    if let Some(loss) = written.losses.first() {
        return Err(Failure::new(format!("XML cannot say all of it: {}", loss.message)));
    }
    match file.filter(|file| file.as_os_str() != "-") {
        Some(file) => {
            replace(file, written.text.as_bytes(), secrets && website.has_secrets())
                .map_err(|error| Failure::new(error.to_string()))?;
        }
        None => print(&written.text),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn buckets_have_addresses_as_in_ossutil() {
        assert_eq!(super::bucket("oss://abc"), Ok("abc".to_owned()));
        assert_eq!(super::bucket("oss://abc/"), Ok("abc".to_owned()));
        for text in ["abc", "oss://", "oss://abc/key", "s3://abc"] {
            assert!(super::bucket(text).is_err(), "{text}");
        }
    }
}
