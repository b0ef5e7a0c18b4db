//! `b2o envoy`: the files Envoy runs a deployment from.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;

use super::failure::Failure;
use super::{print, renewing};
use crate::deployment::{Loaded, parse_duration};
use crate::envoy::{self, Change, Settings, Target};

/// Write what Envoy needs to run a deployment: its configuration and the module.
///
/// `envoy --config-path DIR/envoy.yaml` then runs it. Run this again when the deployment or its
/// rules have changed: a running Envoy takes the new files at once, and no request is dropped.
/// Files are replaced as a whole, those that stay the same are not touched, and a deployment with
/// an error changes nothing.
///
/// By the path `streaming`, the default, Envoy's own router sends a miss on to the origin that the
/// filter names: bytes stream to the client, of objects of any size, and a hit never enters the
/// module. `--for` says for which Envoy: `envoy` is a stock one, 1.37 or later, and `istio` one like
/// Istio's proxy, of Envoy 1.36 to 1.39. By the path `callout` the filter fetches an object, up to 32
/// MiB, answers with it and writes it into the bucket: the portable form, for any Envoy.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  b2o envoy envoy/deployment.yaml --out /tmp/envoy
  b2o envoy envoy/deployment.yaml --out /tmp/envoy --for istio
  b2o envoy envoy/deployment.yaml --out /tmp/envoy --path callout
  b2o envoy envoy/deployment.yaml --out /tmp/envoy --watch --drain
  sudo b2o envoy envoy/deployment.yaml --out /etc/envoy --owner 101
  envoy --config-path /tmp/envoy/envoy.yaml

Keys for signing that stand in the deployment file go into DIR/credentials, which only its owner
may read: who runs this command, or --owner. Envoy must run as that user: one that cannot read the
file sends requests without a signature, and the store answers 403. The file stays whose it is when
it is written again. Keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY stay there, for Envoy to
read.

With --watch it goes on: whenever the deployment file, a rule file or a variable's file changes,
the files are renewed; what is wrong changes nothing. With --drain, SIGTERM or Ctrl-C has Envoy
finish first: /ready fails, connections end with their next answer, and the command ends when no
request and no copy is under way. Envoy itself runs on; end it then.

Exit codes:
  0  the files are there, and with --drain nothing is under way
  1  the deployment is refused, a file cannot be written, or the time to drain is over
  2  wrong usage, or the deployment file cannot be read"
)]
pub(super) struct Arguments {
    /// The deployment file (YAML).
    pub(super) deployment: PathBuf,
    /// The directory to write to, by the path that Envoy is to find it by. The files name it
    /// from the root, wherever Envoy is started.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How an object reaches the client; without it, as `path` in the deployment file says.
    #[arg(long = "path", value_enum)]
    data_path: Option<DataPath>,
    /// Which Envoy the files are for.
    #[arg(long = "for", value_enum, default_value_t = Form::Envoy)]
    form: Form,
    /// The certificates that HTTPS servers are trusted by, in PEM.
    #[arg(long, value_name = "FILE", default_value = Settings::TRUSTED)]
    trust: PathBuf,
    /// Whose the file with the keys is to be, by number: the user that Envoy runs as. Only root may
    /// give files away. Envoy's images run as 101.
    #[arg(long, value_name = "UID[:GID]", value_parser = owner)]
    owner: Option<(u32, Option<u32>)>,
    /// Renew the files whenever what they are made of changes.
    #[arg(long)]
    watch: bool,
    /// A directory with a file for each variable that the deployment names, as Kubernetes mounts a
    /// Secret: read in place of the environment, and again when it changes. All keys are in
    /// DIR/credentials then.
    #[arg(long, value_name = "DIR")]
    pub(super) variables: Option<PathBuf>,
    /// At the end, have the Envoy at `admin` finish what is under way.
    #[arg(long, requires = "watch")]
    pub(super) drain: bool,
    /// With --drain: how long `/ready` fails before connections end, for load balancers to see.
    #[arg(long, value_name = "TIME", requires = "drain", default_value = "10s", value_parser = time)]
    pub(super) drain_pause: Duration,
    /// With --drain: how long requests and copies under way may then take.
    #[arg(long, value_name = "TIME", requires = "drain", default_value = "110s", value_parser = time)]
    pub(super) drain_within: Duration,
}

/// A time of an argument's.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let expected = || "expected a number and `ms`, `s` or `m`, at most 60m".to_owned();
    parse_duration(text).ok_or_else(expected)
}

/// A user, and a group where one is named.
fn owner(text: &str) -> Result<(u32, Option<u32>), String> {
    let number = |text: &str| text.parse().map_err(|_| format!("`{text}` is no number"));
    match text.split_once(':') {
        Some((user, group)) => Ok((number(user)?, Some(number(group)?))),
        None => Ok((number(text)?, None)),
    }
}

/// How an object reaches the client.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum DataPath {
    /// Whole, through the filter's memory. For any Envoy.
    Callout,
    /// From the origin through Envoy, copied into the bucket on the way.
    Streaming,
}

/// Which Envoy files are for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Form {
    /// A stock one, 1.37 or later.
    Envoy,
    /// One like Istio's proxy, of Envoy 1.36 to 1.39: it lacks some extensions.
    Istio,
}

impl From<Form> for envoy::Form {
    fn from(form: Form) -> Self {
        match form {
            Form::Envoy => Self::Envoy,
            Form::Istio => Self::Istio,
        }
    }
}

impl From<DataPath> for envoy::DataPath {
    fn from(path: DataPath) -> Self {
        match path {
            DataPath::Callout => Self::Callout,
            DataPath::Streaming => Self::Streaming,
        }
    }
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    if arguments.watch {
        return renewing::run(&arguments).await;
    }
    let (loaded, _) = renewing::read(&arguments)?;
    write(&arguments, &loaded)
}

/// Writes the files once, and says what became of each.
pub(super) fn write(arguments: &Arguments, loaded: &Loaded) -> Result<(), Failure> {
    let Arguments { deployment, out, data_path, form, trust, owner, .. } = arguments;
    let target = Target {
        directory: out.clone(),
        data_path: data_path.map(envoy::DataPath::from),
        form: (*form).into(),
        trusted: trust.clone(),
    };
    let files =
        target.prepare(deployment, loaded).map_err(|error| Failure::new(error.to_string()))?;
    if target.lacks_trust(loaded) {
        warn(trust);
    }
    let changes = files.install().map_err(|error| Failure::new(error.to_string()))?;
    for (name, change) in &changes {
        print(&format!("{change:<9}  {}\n", out.join(name).display()));
    }
    if changes
        .iter()
        .any(|(name, change)| *name == envoy::CREDENTIALS && *change != Change::Removed)
    {
        tell_of_the_keys(&out.join(envoy::CREDENTIALS), *owner)?;
    }
    let command = envoy::command(out);
    let workers = loaded.deployment.workers.get();
    let usual = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads =
        if workers == usual { String::new() } else { format!(" --concurrency {workers}") };
    if data_path.is_none() && loaded.deployment.path.span.is_empty() && matches!(form, Form::Envoy)
    {
        tell_of_the_default();
    }
    let restart = changes.contains(&(envoy::BOOTSTRAP, Change::Replaced));
    let advice = if restart { "restart Envoy to have all of it" } else { "run it with" };
    print(&format!("{advice}: {command}{threads}\n"));
    Ok(())
}

/// Gives the keys to whom they are to be given, and says whose they are.
fn tell_of_the_keys(file: &Path, owner: Option<(u32, Option<u32>)>) -> Result<(), Failure> {
    let failed = |error| {
        Failure::new(format!("cannot give {} to its owner: {error}", file.display()))
            .help("only root may give files away: run this as the user that Envoy runs as")
    };
    if let Some((user, group)) = owner {
        chown(file, Some(user), group).map_err(failed)?;
    }
    let user = std::fs::metadata(file).map_err(failed)?.uid();
    let help = if owner.is_some() { "" } else { ", or name that user's number by --owner" };
    print(&format!(
        "only user {user} may read the keys in {}: Envoy must run as that user{help}\n",
        file.display()
    ));
    Ok(())
}

/// Nobody chose the path, so nobody may know what it takes.
fn tell_of_the_default() {
    let _ = writeln!(
        std::io::stderr(),
        "note: these files need Envoy {} or later; an earlier one refuses to start with them\n  \
         help: --for istio writes them for a proxy like Istio's, and --path callout the portable \
         form; `path: streaming` in the deployment file, or --path streaming, says that you know",
        envoy::SINCE
    );
}

fn warn(trust: &Path) {
    let _ = writeln!(
        std::io::stderr(),
        "warning: there is no {} here; Envoy needs it where it runs\n  \
         help: name the file with the trusted certificates with --trust FILE",
        trust.display()
    );
}
