//! Who one is to a registry, as `docker login` and `podman login` have left it.
//!
//! Owns where that is looked for, and that nothing of it is shown.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64_simd::STANDARD;
use serde_json::Value;

/// A name and a password.
pub(super) struct Login {
    user: String,
    password: String,
}

impl Login {
    /// The value of `Authorization`.
    pub(super) fn basic(&self) -> String {
        let Self { user, password } = self;
        format!("Basic {}", STANDARD.encode_to_string(format!("{user}:{password}").as_bytes()))
    }
}

/// The files of logins, the one that is asked first in front.
fn files() -> Vec<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let mut files = Vec::new();
    files.extend(variable("REGISTRY_AUTH_FILE").map(PathBuf::from));
    files.extend(variable("DOCKER_CONFIG").map(|folder| Path::new(&folder).join("config.json")));
    files.extend(
        variable("XDG_RUNTIME_DIR").map(|folder| Path::new(&folder).join("containers/auth.json")),
    );
    files.extend(variable("HOME").map(|home| Path::new(&home).join(".docker/config.json")));
    files
}

/// The login for a registry, where there is one.
pub(super) fn find(registry: &str) -> Option<Login> {
    files().iter().find_map(|file| {
        let text = std::fs::read(file).ok()?;
        of(&serde_json::from_slice(&text).ok()?, registry, &helped)
    })
}

/// Asks a helper for what it keeps of a server.
fn helped(helper: &str, server: &str) -> Option<Login> {
    let mut process = Command::new(format!("docker-credential-{helper}"))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    process.stdin.take()?.write_all(server.as_bytes()).ok()?;
    let output = process.wait_with_output().ok()?;
    let said: Value = serde_json::from_slice(&output.stdout).ok()?;
    let text = |name: &str| said[name].as_str().map(str::to_owned);
    Some(Login { user: text("Username")?, password: text("Secret")? })
}

/// The login for a registry in a file of them.
fn of(file: &Value, registry: &str, helper: &dyn Fn(&str, &str) -> Option<Login>) -> Option<Login> {
    // Docker's own registry has a name of its own there.
    let is_docker = registry == "docker.io" || registry == "index.docker.io";
    let server = if is_docker { "https://index.docker.io/v1/" } else { registry };
    let helpers = file["credHelpers"].as_object();
    let own = helpers.and_then(|helpers| helpers.get(server)?.as_str());
    if let Some(login) = own.and_then(|own| helper(own, server)) {
        return Some(login);
    }
    let host = |key: &str| {
        let key = key.split_once("://").map_or(key, |(_, rest)| rest);
        key.split('/').next().unwrap_or_default().to_owned()
    };
    let kept = file["auths"].as_object().and_then(|all| {
        let exact = all.get(server);
        exact.or_else(|| all.iter().find(|(key, _)| host(key) == host(server)).map(|(_, v)| v))
    });
    if let Some(kept) = kept {
        let pair = kept["auth"].as_str().and_then(|auth| STANDARD.decode_to_vec(auth).ok());
        let pair = pair.and_then(|pair| String::from_utf8(pair).ok());
        if let Some((user, password)) = pair.as_deref().and_then(|pair| pair.split_once(':')) {
            return Some(Login { user: user.to_owned(), password: password.to_owned() });
        }
        if let (Some(user), Some(password)) = (kept["username"].as_str(), kept["password"].as_str())
        {
            return Some(Login { user: user.to_owned(), password: password.to_owned() });
        }
    }
    file["credsStore"].as_str().and_then(|store| helper(store, server))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(file: &Value, registry: &str) -> Option<String> {
        let helper = |helper: &str, server: &str| {
            Some(Login { user: helper.to_owned(), password: server.to_owned() })
        };
        of(file, registry, &helper).map(|login| format!("{}:{}", login.user, login.password))
    }

    #[test]
    fn logins_are_found_where_tools_leave_them() {
        let auth = STANDARD.encode_to_string(b"me:pass:word");
        let file = json!({
            "auths": { "r.example:5000": { "auth": auth }, "https://s.example/v2/": { "username": "u", "password": "p" },
                       "https://index.docker.io/v1/": { "auth": auth } },
            "credHelpers": { "h.example": "gcr" },
        });
        for (registry, login) in [
            ("r.example:5000", Some("me:pass:word")),
            ("s.example", Some("u:p")),
            ("docker.io", Some("me:pass:word")),
            ("h.example", Some("gcr:h.example")),
            ("r.example", None),
        ] {
            assert_eq!(found(&file, registry).as_deref(), login, "{registry}");
        }
        let file = json!({ "auths": { "r.example": {} }, "credsStore": "desktop" });
        assert_eq!(found(&file, "r.example").as_deref(), Some("desktop:r.example"));
    }

    #[test]
    fn a_login_is_sent_as_http_has_it() {
        let login = Login { user: "Aladdin".to_owned(), password: "open sesame".to_owned() };
        assert_eq!(login.basic(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }
}
