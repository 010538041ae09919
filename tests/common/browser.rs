//! A headless Chromium, told what to do over its DevTools protocol.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::{Message, WebSocket};

use super::DEADLINE;
use super::process::Process;
use super::servers::program;
use super::tools::{command, start};

/// A browser with one page. It ends with its value.
pub struct Browser {
    // The process is dropped, and so ended, before its folder.
    _process: Process,
    _home: TempDir,
    socket: WebSocket<TcpStream>,
    session: Option<String>,
    last_call: u64,
    /// What it told of itself: complaints of pages, faults of scripts, dialogs.
    complaints: Vec<String>,
}

impl Browser {
    /// Starts one, with an empty page of this size, in points.
    pub fn start(width: u32, height: u32) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut chromium = command(&program("chromium"), home.path());
        chromium.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
        chromium.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
        chromium.arg("--host-resolver-rules=MAP *.example 127.0.0.1");
        chromium.args(["--disable-dev-shm-usage", "--no-proxy-server", "--remote-debugging-port=0"]);
        chromium.arg(format!("--user-data-dir={}", home.path().join("profile").display())).arg("about:blank");
        let process = start(chromium);
        let url = process.stderr.wait_until(2 * DEADLINE, |text| {
            let rest = text.split_once("DevTools listening on ")?.1;
            Some(rest.split_once('\n')?.0.trim().to_owned())
        });
        let url = url.unwrap_or_else(|| panic!("chromium does not run: {}", process.stderr.text()));
        let addr = url.strip_prefix("ws://").unwrap().split('/').next().unwrap();
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(2 * DEADLINE)).unwrap();
        let (socket, _) = tungstenite::client(url.as_str(), stream).unwrap();
        let mut browser =
            Self { _process: process, _home: home, socket, session: None, last_call: 0, complaints: Vec::new() };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", attach);
        browser.session = Some(session["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log", "Audits", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser.resize(width, height, false);
        browser
    }

    /// Gives the page another size; `is_phone` as a phone has it.
    pub fn resize(&mut self, width: u32, height: u32, is_phone: bool) {
        let scale = if is_phone { 2 } else { 1 };
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": is_phone });
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// Has the page shown in light or dark colours.
    pub fn set_dark(&mut self, is_dark: bool) {
        let value = if is_dark { "dark" } else { "light" };
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": value }] });
        self.call("Emulation.setEmulatedMedia", features);
    }

    /// Runs a script in each page before its own.
    pub fn before_pages(&mut self, script: &str) {
        self.call("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script }));
    }

    /// Goes to an address, whatever comes of it.
    pub fn go(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url }));
    }

    /// What an expression gives, after it was waited for.
    #[track_caller]
    pub fn eval(&mut self, expression: &str) -> Value {
        let asked =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true });
        let answer = self.call("Runtime.evaluate", asked);
        assert!(answer["exceptionDetails"].is_null(), "{expression}\n{:#}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// The text that an expression gives.
    #[track_caller]
    pub fn text(&mut self, expression: &str) -> String {
        let value = self.eval(expression);
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    }

    /// Waits until an expression holds.
    #[track_caller]
    pub fn wait(&mut self, expression: &str) {
        let asked =
            json!({ "expression": format!("Boolean({expression})"), "awaitPromise": true, "returnByValue": true });
        let end = Instant::now() + 2 * DEADLINE;
        while self.call("Runtime.evaluate", asked.clone())["result"]["value"] != true {
            if Instant::now() > end {
                let seen = json!({ "expression": "document.body?.innerText" });
                let seen = self.call("Runtime.evaluate", seen);
                panic!("waited in vain for {expression}\n{}\n{:#?}", seen["result"]["value"], self.complaints);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Presses a key, such as `j`, `Enter` or `Escape`.
    pub fn press(&mut self, key: &str) {
        let text = if key.len() == 1 { json!(key) } else { Value::Null };
        let code = match key {
            "Enter" => 13,
            "Escape" => 27,
            "ArrowDown" => 40,
            "ArrowRight" => 39,
            _ => 0,
        };
        let mut down = json!({ "type": "keyDown", "key": key, "windowsVirtualKeyCode": code });
        if !text.is_null() {
            down["text"] = text;
        }
        self.call("Input.dispatchKeyEvent", down);
        self.call("Input.dispatchKeyEvent", json!({ "type": "keyUp", "key": key, "windowsVirtualKeyCode": code }));
    }

    /// Clicks into the middle of the first element of a selector.
    #[track_caller]
    pub fn click(&mut self, selector: &str) {
        let place = self.eval(&format!(
            "(() => {{ const e = document.querySelector({}); if (!e) return null; e.scrollIntoView({{block: 'center'}}); \
             const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; }})()",
            json!(selector)
        ));
        assert!(place.is_array(), "there is no {selector} to click at");
        for kind in ["mousePressed", "mouseReleased"] {
            let click = json!({ "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", click);
        }
    }

    /// A picture of the page, kept where `AUTHTAP_SHOTS` names a folder.
    pub fn picture(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("AUTHTAP_SHOTS") else { return };
        use base64::Engine as _;
        let shot = self.call("Page.captureScreenshot", json!({ "format": "png" }));
        let bytes = base64::engine::general_purpose::STANDARD.decode(shot["data"].as_str().unwrap()).unwrap();
        fs::create_dir_all(&folder).unwrap();
        fs::write(Path::new(&folder).join(format!("{name}.png")), bytes).unwrap();
    }

    /// Fails where a page's policy was broken, a script broke, or a dialog was opened, until now.
    #[track_caller]
    pub fn assert_no_complaint(&mut self) {
        // What was told before this answer has arrived.
        self.eval("1");
        assert!(self.complaints.is_empty(), "{:#?}", self.complaints);
    }

    /// What it complained of until now, which is then forgotten.
    pub fn take_complaints(&mut self) -> Vec<String> {
        self.eval("1");
        std::mem::take(&mut self.complaints)
    }

    /// Calls a method of the protocol.
    #[track_caller]
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last_call += 1;
        let id = self.last_call;
        let mut call = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            call["sessionId"] = json!(session);
        }
        self.socket.send(Message::text(call.to_string())).unwrap();
        loop {
            let text = match self.socket.read() {
                Ok(Message::Text(text)) => text,
                Ok(_) => continue,
                // As in `read_once`, which this library does not go through.
                Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => panic!("{method} {parameters}: {error}"),
            };
            let said: Value = serde_json::from_str(&text).unwrap();
            if said["id"] == id {
                assert!(said["error"].is_null(), "{method} {parameters}: {}", said["error"]);
                return said["result"].clone();
            }
            self.hear(&said);
        }
    }

    fn hear(&mut self, said: &Value) {
        let of = &said["params"];
        match said["method"].as_str() {
            Some("Log.entryAdded") if ["error", "warning"].iter().any(|level| of["entry"]["level"] == *level) => {
                self.complaints.push(format!("log: {} {}", of["entry"]["text"], of["entry"]["url"]));
            }
            Some("Runtime.exceptionThrown") => self.complaints.push(format!("script: {}", of["exceptionDetails"])),
            Some("Runtime.consoleAPICalled") => self.complaints.push(format!("console: {}", of["args"])),
            Some("Audits.issueAdded") if of["issue"]["code"] == "ContentSecurityPolicyIssue" => {
                self.complaints.push(format!("policy: {}", of["issue"]["details"]));
            }
            Some("Page.javascriptDialogOpening") => {
                self.complaints.push(format!("dialog: {}", of["message"]));
                let dismiss = json!({ "id": 0, "method": "Page.handleJavaScriptDialog", "params": { "accept": false },
                    "sessionId": self.session });
                self.socket.send(Message::text(dismiss.to_string())).unwrap();
            }
            _ => {}
        }
    }
}
