//! A tool's operations, run against a gateway.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::EGRESS;
use super::site::Site;
use super::tools::{Gives, LARGE, Operation, Tool, scripts};
use crate::support::python;
use crate::support::wait::{DEADLINE, within};

/// How a key is written in a URL.
const URL: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Seconds after which a tool hangs.
const PATIENCE: &str = "120";

/// What tools say when something is not as it should be.
const COMPLAINTS: [&str; 6] = ["warn", "error", "fail", "retry", "corrupt", "deprecat"];

/// What came of an operation on one host.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// What is wrong, where something is.
    pub(super) fault: Option<String>,
    /// The origin's bytes for each byte of the objects.
    pub(super) egress: f64,
}

/// All operations of a tool: first all misses, then all hits.
pub(super) fn all(tool: &Tool, site: &Site) -> Vec<Seen> {
    let mut runner = Runner::new(tool, site);
    let missed: Vec<_> = tool.operations.iter().map(|one| runner.fetch(one)).collect();
    let mut seen = Vec::new();
    for (operation, missed) in tool.operations.iter().zip(missed) {
        let prefix = tool.prefix(operation);
        let stored = missed.and_then(|()| runner.stored_once(operation));
        let before = site.origin.traffic_below(&prefix);
        let hit = stored.and_then(|()| {
            runner.fetch(operation).map_err(|fault| format!("second time: {fault}"))?;
            let asked = site.origin.traffic_below(&prefix).requests - before.requests;
            if asked > 0 {
                return Err(format!("second time: the origin was asked {asked} times"));
            }
            runner.stored_once(operation)
        });
        let sizes = operation.objects.iter().map(|object| {
            let key = format!("{prefix}{}", object.0);
            site.content(&key).map_or(0, |bytes| bytes.len())
        });
        let size: usize = sizes.sum();
        let egress = before.bytes as f64 / size.max(1) as f64;
        let greedy = operation.objects.contains(&LARGE) && egress > EGRESS;
        let greedy = greedy.then(|| format!("the origin sends {egress:.1} bytes for each"));
        seen.push(Seen { fault: hit.err().or(greedy), egress });
    }
    seen
}

struct Runner<'a> {
    tool: &'a Tool,
    site: &'a Site,
    driver: Option<Driver>,
}

impl<'a> Runner<'a> {
    fn new(tool: &'a Tool, site: &'a Site) -> Self {
        let driver = tool.script.ends_with(".py").then(|| Driver::start(tool, site));
        Self { tool, site, driver }
    }

    /// Every object of an operation, and whether each came as it should.
    fn fetch(&mut self, operation: &Operation) -> Result<(), String> {
        for object in operation.objects {
            let key = format!("{}{}", self.tool.prefix(operation), object.0);
            let folder = self.site.scratch();
            let file = folder.path().join("file");
            let content = self.site.content(&key).expect("the origin has what is asked for");
            let said = match &mut self.driver {
                Some(driver) => driver.ask(operation.name, &key, &file),
                None => self.shell(operation, &key, folder.path(), &content),
            };
            said.and_then(|()| compare(&file, &content, operation.gives))
                .map_err(|fault| format!("{fault} (`{}`)", object.0))?;
        }
        Ok(())
    }

    /// Runs the script of a tool for one object.
    fn shell(
        &self,
        operation: &Operation,
        key: &str,
        folder: &Path,
        content: &Arc<[u8]>,
    ) -> Result<(), String> {
        let inside = folder.join("in");
        fs::create_dir(&inside).expect("a folder of our own");
        let half = folder.join("half");
        fs::write(&half, content.get(..content.len() / 2).unwrap_or_default())
            .expect("a folder of our own");
        let url = format!(
            "http://{}/{}/{}",
            self.site.address,
            self.tool.bucket,
            utf8_percent_encode(key, URL)
        );
        let output = environment(Command::new("timeout"), self.tool, self.site)
            .args([PATIENCE, "bash", "-eu", "-o", "pipefail"])
            .arg(self.tool.script())
            .arg(operation.name)
            .env("KEY", key)
            .env("PREFIX", self.tool.prefix(operation))
            .env("URL", url)
            .env("FILE", folder.join("file"))
            .env("HALF", half)
            .env("HOME", folder)
            .current_dir(&inside)
            .stdin(Stdio::null())
            .output()
            .expect("bash can be started");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        if !output.status.success() {
            return Err(format!("{}: {}", output.status, last_line(&said)));
        }
        let complains = |line: &&str| {
            let line = line.to_ascii_lowercase();
            COMPLAINTS.iter().any(|word| line.contains(word))
        };
        match said.lines().find(complains) {
            Some(line) => Err(format!("says: {}", line.trim())),
            None => Ok(()),
        }
    }

    /// Whether everything that the origin gave was stored, once.
    fn stored_once(&self, operation: &Operation) -> Result<(), String> {
        let prefix = self.tool.prefix(operation);
        let quiet =
            within(DEADLINE, || (self.site.origin.traffic_below(&prefix).open == 0).then_some(()));
        quiet.ok_or("the origin is still asked")?;
        for key in self.site.origin.paths_below(&prefix) {
            let count = || self.site.stored(self.tool.bucket, &key);
            within(DEADLINE, || (count() > 0).then_some(()))
                .ok_or_else(|| format!("not stored within {DEADLINE:?}: {key}"))?;
            match count() {
                1 => {}
                more => return Err(format!("stored {more} times: {key}")),
            }
        }
        Ok(())
    }
}

/// Whether a file is what an operation should have written.
fn compare(file: &Path, content: &[u8], gives: Gives) -> Result<(), String> {
    let size = content.len().to_string();
    let expected = match gives {
        Gives::Whole => Some(content),
        Gives::Part => content.get(100..300),
        Gives::Size => Some(size.as_bytes()),
        Gives::Text(text) => Some(text.trim_end().as_bytes()),
        Gives::Nothing => None,
    };
    let found = fs::read(file).ok();
    let found = match gives {
        Gives::Whole | Gives::Part | Gives::Nothing => found,
        Gives::Size | Gives::Text(_) => found.map(|text| text.trim_ascii().to_vec()),
    };
    match (found.as_deref(), expected) {
        (found, expected) if found == expected => Ok(()),
        (None, _) => Err("no file".to_owned()),
        (Some(_), None) => Err("a file, and should have none".to_owned()),
        (Some(found), Some(expected)) if found.len() != expected.len() => {
            Err(format!("{} bytes, and should be {}", found.len(), expected.len()))
        }
        (Some(_), Some(_)) => Err("other bytes".to_owned()),
    }
}

/// A library of a language, in a process that is kept.
struct Driver {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Driver {
    fn start(tool: &Tool, site: &Site) -> Self {
        let read = |path: &Path| fs::read_to_string(path).expect("a script of the tests");
        let script = read(&scripts().join("driver.py")) + &read(&tool.script());
        let mut process = environment(Command::new(python::interpreter()), tool, site)
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python 3 can be started");
        let input = process.stdin.take().expect("it is piped");
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        Self { process, input, output }
    }

    fn ask(&mut self, operation: &str, key: &str, file: &Path) -> Result<(), String> {
        let ask = json!({ "operation": operation, "key": key, "file": file });
        writeln!(self.input, "{ask}").map_err(|error| format!("it has ended: {error}"))?;
        let mut line = String::new();
        self.output.read_line(&mut line).map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_str(&line).map_err(|_| "it has ended".to_owned())?;
        match (answer["error"].as_str(), answer["said"].as_str().unwrap_or_default()) {
            (Some(error), _) => Err(error.to_owned()),
            (None, "") => Ok(()),
            (None, said) => Err(format!("says: {}", last_line(said))),
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What every tool is told, and nothing that the machine knows of other stores.
fn environment(mut command: Command, tool: &Tool, site: &Site) -> Command {
    for name in ["AWS_CA_BUNDLE", "AWS_PROFILE", "AWS_ENDPOINT_URL", "PIP_INDEX_URL"] {
        command.env_remove(name);
    }
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "PIP_FIND_LINKS"] {
        command.env_remove(name);
    }
    if let Some(package) = tool.package() {
        command.env("PYTHONPATH", &package).env("TOOL", package);
    }
    if tool.name == "pip" {
        command.env("PYTHON_WITH_PIP", python::with_pip());
    }
    command
        .env("PYTHON", python::interpreter())
        .env("SCRIPTS", scripts())
        .env("GATEWAY", site.address.to_string())
        .env("BUCKET", tool.bucket)
        .env("HOME", site.folder.path())
        // It is the tests that are root, not the user of pip.
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", &site.keys.access)
        .env("AWS_SECRET_ACCESS_KEY", &site.keys.secret);
    command
}

/// What a person reads of a failure.
fn last_line(said: &str) -> &str {
    said.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no word")
}
