//! Chromium, driven through chromedriver.
//!
//! Owns the few commands of WebDriver that the tests need. A library for it would bring features of
//! serde and syn, by which all that is built with them is built anew.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::client::request;
use super::wait::until;

/// The name under which WebDriver hands over an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// The keys that have no letter, as WebDriver has them.
pub(crate) const ENTER: &str = "\u{e007}";
pub(crate) const TAB: &str = "\u{e004}";

/// A browser with one window; it ends with this.
pub(crate) struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
}

impl Browser {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// Where Chromium or chromedriver are missing.
    pub(crate) fn start() -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = free.local_addr().expect("it listens");
        drop(free);
        let driver = Command::new("chromedriver")
            .arg(format!("--port={}", address.port()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver, of Debian's package chromium-driver");
        let mut browser = Self { driver, address, session: String::new() };
        until("chromedriver", || {
            request("GET", "/status").send(address).ok().filter(|answer| answer.status == 200)
        });
        let options = json!({ "args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--hide-scrollbars", "--lang=en", "--force-device-scale-factor=1",
        ] });
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options,
            "timeouts": { "script": 30_000, "pageLoad": 30_000, "implicit": 0 },
        } } });
        let begun = browser.call("POST", "/session", Some(&wanted));
        browser.session = begun["sessionId"].as_str().expect("a session").to_owned();
        browser
    }

    /// One call; what the driver refuses fails the test.
    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        self.try_call(method, path, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    fn try_call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Value> {
        let mut asked = request(method, path).with("content-type", "application/json");
        if let Some(body) = body {
            asked = asked.with_body(body.to_string());
        }
        let answer = asked.send(self.address).expect("chromedriver answers");
        let told: Value = serde_json::from_slice(&answer.body).expect("JSON");
        if answer.status == 200 { Ok(told["value"].clone()) } else { Err(told["value"].clone()) }
    }

    fn path(&self, rest: &str) -> String {
        format!("/session/{}{rest}", self.session)
    }

    /// Opens a page.
    pub(crate) fn open(&self, url: &str) {
        self.call("POST", &self.path("/url"), Some(&json!({ "url": url })));
    }

    /// The address of the page.
    pub(crate) fn url(&self) -> String {
        let url = self.call("GET", &self.path("/url"), None);
        url.as_str().expect("an address").to_owned()
    }

    /// Runs a script in the page, and gives back what it returns.
    pub(crate) fn run(&self, script: &str, arguments: &Value) -> Value {
        let body = json!({ "script": script, "args": arguments });
        self.call("POST", &self.path("/execute/sync"), Some(&body))
    }

    /// The same of a script that calls its last argument at its end.
    pub(crate) fn run_async(&self, script: &str) -> Value {
        let body = json!({ "script": script, "args": [] });
        self.call("POST", &self.path("/execute/async"), Some(&body))
    }

    /// The element of a selector, once it is there.
    fn find(&self, selector: &str) -> String {
        let body = json!({ "using": "css selector", "value": selector });
        until(format!("{selector} in {}", self.url()), || {
            let found = self.try_call("POST", &self.path("/element"), Some(&body)).ok()?;
            Some(found[ELEMENT].as_str()?.to_owned())
        })
    }

    /// Clicks on an element.
    pub(crate) fn click(&self, selector: &str) {
        let body = json!({});
        until(format!("a click on {selector}"), || {
            let path = self.path(&format!("/element/{}/click", self.find(selector)));
            self.try_call("POST", &path, Some(&body)).ok()
        });
    }

    /// Types into a field, in place of what it has.
    pub(crate) fn fill(&self, selector: &str, text: &str) {
        let element = self.find(selector);
        let path = |verb: &str| self.path(&format!("/element/{element}/{verb}"));
        self.call("POST", &path("clear"), Some(&json!({})));
        self.call("POST", &path("value"), Some(&json!({ "text": text })));
    }

    /// Chooses a word of a list.
    pub(crate) fn choose(&self, selector: &str, value: &str) {
        self.click(&format!("{selector} option[value='{value}']"));
    }

    /// Presses a key where the focus is.
    pub(crate) fn press(&self, key: &str) {
        let keys = json!([
            { "type": "keyDown", "value": key }, { "type": "keyUp", "value": key },
        ]);
        let body = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": keys }] });
        self.call("POST", &self.path("/actions"), Some(&body));
    }

    /// The text of an element. Pages put new elements in the place of old ones: then it is looked for
    /// again.
    pub(crate) fn text(&self, selector: &str) -> String {
        let told = until(format!("the text of {selector}"), || {
            let path = self.path(&format!("/element/{}/text", self.find(selector)));
            self.try_call("GET", &path, None).ok()
        });
        told.as_str().expect("a text").to_owned()
    }

    /// How many elements there are of a selector.
    pub(crate) fn count(&self, selector: &str) -> u64 {
        let count =
            self.run("return document.querySelectorAll(arguments[0]).length", &json!([selector]));
        count.as_u64().expect("a number")
    }

    /// Makes the window so wide and so high, with the colours that a system has.
    pub(crate) fn look(&self, width: u32, height: u32, is_dark: bool) {
        let execute = |command: &str, parameters: Value| {
            let body = json!({ "cmd": command, "params": parameters });
            self.call("POST", &self.path("/goog/cdp/execute"), Some(&body));
        };
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        execute("Emulation.setDeviceMetricsOverride", metrics);
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        execute("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// Writes a picture of the whole page.
    pub(crate) fn picture(&self, file: &Path) {
        let parameters = json!({ "format": "png", "captureBeyondViewport": true });
        let body = json!({ "cmd": "Page.captureScreenshot", "params": parameters });
        let told = self.call("POST", &self.path("/goog/cdp/execute"), Some(&body));
        let text = told["data"].as_str().expect("a picture");
        std::fs::write(file, decoded(text)).expect("a folder of our own");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let _ = request("DELETE", self.path("")).send(self.address);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Bytes that came as base64.
fn decoded(text: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut out) = (0_u32, 0, Vec::new());
    for letter in text.bytes().filter(|letter| *letter != b'=') {
        let value = LETTERS.iter().position(|known| *known == letter).expect("base64");
        bits = (bits << 6 | u32::try_from(value).expect("six bits")) & 0xff_ffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from(bits >> count & 0xff).expect("eight bits"));
        }
    }
    out
}
