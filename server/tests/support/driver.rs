//! A real browser, driven by its W3C WebDriver interface.

use std::path::Path;

use serde_json::{Value, json};

use super::process::Process;
use super::{free_port, programs};

/// What WebDriver calls an element, in JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// The driver finds what is not there yet by asking again, up to this long.
const PATIENCE_MS: u64 = 20_000;

pub struct Browser {
    client: reqwest::Client,
    session: String,
    _driver: Process,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// `None` where no browser is installed.
    pub async fn start(scripts: bool) -> Option<Browser> {
        let [driver, chromium] = programs(["chromedriver", "chromium"])?;
        let port = free_port();
        let command = [driver.display().to_string(), format!("--port={port}")];
        let folder = tempfile::tempdir().unwrap();
        let process = Process::start("chromedriver", folder, "TERM", command);
        tokio::task::block_in_place(|| process.await_port(port));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let profile = tempfile::tempdir().unwrap();
        let mut preferences = json!({});
        if !scripts {
            preferences["profile.default_content_setting_values.javascript"] = json!(2);
        }
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "timeouts": { "implicit": PATIENCE_MS },
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": {
                "binary": chromium,
                "prefs": preferences,
                "args": [
                    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                    "--disable-quic", "--no-first-run", "--disable-background-networking",
                    "--disable-component-update", "--disable-sync", "--hide-scrollbars",
                    "--window-size=1200,900",
                    format!("--user-data-dir={}", profile.path().display()),
                ],
            },
        }}});
        let url = format!("http://127.0.0.1:{port}/session");
        let answer = client.post(&url).json(&capabilities).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let id = answer["value"]["sessionId"]
            .as_str()
            .unwrap_or_else(|| panic!("no session: {answer}"));
        Some(Browser {
            session: format!("{url}/{id}"),
            client,
            _driver: process,
            _profile: profile,
        })
    }

    async fn command(&self, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.session);
        let answer = self.client.post(url).json(&body).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let value = answer["value"].clone();
        assert!(
            value.get("error").is_none(),
            "{path} {body}: {}",
            value["message"]
        );
        value
    }

    pub async fn open(&self, url: &str) {
        self.command("/url", json!({ "url": url })).await;
    }

    /// Waits for the element that the selector names.
    pub async fn find(&self, css: &str) -> String {
        self.found("css selector", css).await
    }

    /// Waits until the page says the words, wherever.
    pub async fn says(&self, words: &str) {
        let path = format!("//body//*[contains(text(), '{words}')]");
        self.found("xpath", &path).await;
    }

    async fn found(&self, using: &str, value: &str) -> String {
        let body = json!({ "using": using, "value": value });
        let found = self.command("/element", body).await;
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    pub async fn click(&self, css: &str) {
        let element = self.find(css).await;
        self.command(&format!("/element/{element}/click"), json!({}))
            .await;
    }

    /// By the words on a link or button.
    pub async fn press(&self, words: &str) {
        let path =
            format!("//a[normalize-space()='{words}'] | //button[normalize-space()='{words}']");
        let element = self.found("xpath", &path).await;
        self.command(&format!("/element/{element}/click"), json!({}))
            .await;
    }

    pub async fn write(&self, css: &str, words: &str) {
        let element = self.find(css).await;
        let body = json!({ "text": words });
        self.command(&format!("/element/{element}/value"), body)
            .await;
    }

    pub async fn run(&self, script: &str) -> Value {
        let body = json!({ "script": script, "args": [] });
        self.command("/execute/sync", body).await
    }

    /// One command of the browser's own protocol.
    pub async fn devtools(&self, cmd: &str, params: Value) -> Value {
        let body = json!({ "cmd": cmd, "params": params });
        self.command("/goog/cdp/execute", body).await
    }

    /// What the browser complained of since it was last asked: script errors, refused content.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self.command("/se/log", json!({ "type": "browser" })).await;
        let entries = log.as_array().cloned().unwrap_or_default();
        entries
            .iter()
            .filter(|e| e["level"] == "SEVERE" || e["level"] == "WARNING")
            .map(|e| e["message"].as_str().unwrap_or("").to_owned())
            .collect()
    }

    /// The whole page as a picture.
    pub async fn picture(&self, to: &Path) {
        let params = json!({ "format": "png", "captureBeyondViewport": true });
        let shot = self.devtools("Page.captureScreenshot", params).await;
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(shot["data"].as_str().unwrap())
            .unwrap();
        std::fs::write(to, bytes).unwrap();
    }

    pub async fn close(self) {
        let _ = self.client.delete(&self.session).send().await;
    }
}
