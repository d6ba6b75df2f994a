//! Chromium without a window and without a network, spoken to over a pipe by its DevTools
//! protocol: a few messages of JSON, each ended by a zero byte.

use std::env;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use multiwan_lab::sandbox;
use serde_json::{Value, json};

/// How long an answer may take: a browser starts in a second, on a busy machine in many.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where it is, if it is installed.
pub(crate) fn find() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .flat_map(|folder| ["chromium", "chromium-browser"].map(|name| folder.join(name)))
        .find(|path| path.is_file())
}

/// A browser; it ends when this is dropped.
pub(crate) struct Browser {
    child: Child,
    to: Option<ChildStdin>,
    from: Receiver<Value>,
    next: u64,
    session: Option<String>,
    events: Vec<Value>,
    _home: tempfile::TempDir,
}

/// A page that was loaded, with what the browser said about it.
pub(crate) struct Page {
    browser: Browser,
    /// The addresses that were asked for.
    pub(crate) requests: Vec<String>,
    /// Errors and warnings.
    pub(crate) complaints: Vec<Value>,
}

impl Browser {
    /// Starts it in a sandbox, whose network has no way out.
    pub(crate) fn start(chromium: &Path) -> Result<Self, String> {
        let home = tempfile::tempdir().map_err(|error| error.to_string())?;
        // The protocol's pipe is descriptors 3 and 4.
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1",
            ])
            .arg(chromium)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .args(["--disable-dev-shm-usage", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", home.path().display()))
            .env("HOME", home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = sandbox::spawn(command).map_err(|why| why.to_string())?;
        let to = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, from) = mpsc::channel();
        thread::spawn(move || {
            for message in stdout.split(0).map_while(Result::ok) {
                let Ok(message) = serde_json::from_slice(&message) else {
                    return;
                };
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            child,
            to,
            from,
            next: 1,
            session: None,
            events: Vec::new(),
            _home: home,
        })
    }

    /// Loads a page.
    pub(crate) fn open(mut self, url: &str) -> Result<Page, String> {
        let target = self.call("Target.createTarget", json!({"url": "about:blank"}))?;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.call("Target.attachToTarget", attach)?;
        self.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Runtime", "Log", "Network", "Page"] {
            self.call(&format!("{domain}.enable"), json!({}))?;
        }
        self.call("Page.navigate", json!({"url": url}))?;
        while !self
            .events
            .iter()
            .any(|event| event["method"] == "Page.loadEventFired")
        {
            let event = self.hear()?;
            self.events.push(event);
        }
        let mut page = Page {
            browser: self,
            requests: Vec::new(),
            complaints: Vec::new(),
        };
        page.take_events();
        Ok(page)
    }

    /// Asks, and waits for the answer; what else is heard meanwhile is kept.
    fn call(&mut self, method: &str, params: Value) -> Result<Value, String> {
        let id = self.next;
        self.next += 1;
        let mut message = json!({"id": id, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let to = self.to.as_mut().expect("piped");
        write!(to, "{message}\0")
            .and_then(|()| to.flush())
            .map_err(|error| format!("{method}: {error}"))?;
        loop {
            let heard = self.hear().map_err(|error| format!("{method}: {error}"))?;
            if heard["id"] != id {
                self.events.push(heard);
            } else if heard["error"].is_null() {
                return Ok(heard["result"].clone());
            } else {
                return Err(format!("{method}: {}", heard["error"]));
            }
        }
    }

    fn hear(&mut self) -> Result<Value, String> {
        let heard = self.from.recv_timeout(PATIENCE);
        heard.map_err(|error| format!("the browser says nothing: {error}"))
    }
}

impl Page {
    /// The value of an expression.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Result<Value, String> {
        let asked = json!({"expression": expression, "returnByValue": true});
        let answer = self.browser.call("Runtime.evaluate", asked)?;
        self.take_events();
        if answer["exceptionDetails"].is_null() {
            Ok(answer["result"]["value"].clone())
        } else {
            Err(answer["exceptionDetails"].to_string())
        }
    }

    /// Makes the window so wide, and the reader prefer this scheme.
    pub(crate) fn look_like(&mut self, width: u64, scheme: &str) -> Result<(), String> {
        let metrics = json!({
            "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600
        });
        self.browser
            .call("Emulation.setDeviceMetricsOverride", metrics)?;
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.browser
            .call("Emulation.setEmulatedMedia", media)
            .map(drop)
    }

    /// The whole page as PNG.
    pub(crate) fn picture(&mut self) -> Result<Vec<u8>, String> {
        let asked = json!({"captureBeyondViewport": true});
        decoded(&self.browser.call("Page.captureScreenshot", asked)?)
    }

    /// The page as PDF.
    pub(crate) fn printed(&mut self) -> Result<Vec<u8>, String> {
        decoded(&self.browser.call("Page.printToPDF", json!({}))?)
    }

    fn take_events(&mut self) {
        for event in self.browser.events.drain(..) {
            let params = &event["params"];
            match event["method"].as_str().unwrap_or_default() {
                "Network.requestWillBeSent" => {
                    let url = params["request"]["url"].as_str().unwrap_or_default();
                    self.requests.push(url.to_owned());
                }
                "Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded" => {
                    self.complaints.push(event);
                }
                _ => {}
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.to.take());
        let _: io::Result<()> = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The bytes of an answer's `data`, which is base64.
fn decoded(answer: &Value) -> Result<Vec<u8>, String> {
    use base64::Engine as _;
    let data = answer["data"].as_str().ok_or("no data")?;
    base64::engine::general_purpose::STANDARD
        .decode(data)
        .map_err(|error| error.to_string())
}
