//! A browser without a screen, driven by the DevTools protocol over a pair of pipes.

use super::{
    daemon::{is_root, say},
    wait::SHORT,
};
use serde_json::{Value, json};
use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
};
use tempfile::TempDir;

/// What such a browser is called: Debian's without a screen, then those with one, which can do without.
const PROGRAMS: [&str; 4] =
    ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];
const NOVNC: &str = "/usr/share/novnc";
/// The packages of both.
const PACKAGES: [&str; 2] = ["chromium-headless-shell", "novnc"];

/// The browser's program, and the folder of noVNC's files; `None` where a test has to be left out, which
/// is then said. A machine that tests for others (`CI=true`) leaves out nothing that its packages have.
pub(crate) fn browser_and_novnc() -> Option<(PathBuf, &'static Path)> {
    let program = PROGRAMS.iter().find_map(|name| in_path(name));
    let novnc = Path::new(NOVNC);
    let has_novnc = novnc.join("vnc_lite.html").is_file();
    if let (Some(program), true) = (&program, has_novnc) {
        return Some((program.clone(), novnc));
    }
    let lacks = "a browser or noVNC is not installed (`scripts/setup --test` does it)";
    let to_be_had = PACKAGES.iter().all(|package| has_candidate(package));
    assert!(!(env::var("CI").is_ok_and(|ci| ci == "true") && to_be_had), "{lacks}");
    say(&format!("SKIPPED, since {lacks}: a guest's screen in noVNC"));
    None
}

fn in_path(name: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn has_candidate(package: &str) -> bool {
    let policy = Command::new("apt-cache").env("LC_ALL", "C").args(["policy", package]).output();
    policy.is_ok_and(|policy| {
        let text = String::from_utf8_lossy(&policy.stdout).into_owned();
        text.lines().any(|line| line.contains("Candidate:") && !line.contains("(none)"))
    })
}

/// One browser with one page. It ends when this is dropped.
pub(crate) struct Browser {
    child: Child,
    to: ChildStdin,
    messages: Receiver<Value>,
    /// What the page's messages are marked with.
    session: Option<String>,
    calls: u64,
    _profile: TempDir,
}

impl Browser {
    /// Starts one, with an empty page.
    #[track_caller]
    pub(crate) fn start(program: &Path) -> Self {
        let profile = tempfile::Builder::new().prefix("inn-browser-").tempdir().unwrap();
        // The browser reads from descriptor 3 and writes to 4; a shell puts ours there.
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null"]).arg(program);
        command.args(["--headless", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu"]);
        command.args(["--disable-background-networking", "--disable-dev-shm-usage"]);
        if is_root() {
            // Its sandbox is for users; what it is shown here is the package's and ours.
            command.arg("--no-sandbox");
        }
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, messages) = channel();
        // Ends with the browser.
        thread::spawn(move || {
            for message in BufReader::new(from).split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message).unwrap();
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let mut browser = Self { child, to, messages, session: None, calls: 0, _profile: profile };
        let page = browser.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let page = json!({ "targetId": page["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", &page);
        browser.session = attached["sessionId"].as_str().map(Into::into);
        browser
    }

    #[track_caller]
    pub(crate) fn open(&mut self, url: &str) {
        let opened = self.call("Page.navigate", &json!({ "url": url }));
        assert!(opened["errorText"].is_null(), "{opened}");
    }

    /// What an expression of JavaScript's comes to in the page; of a promise, what it promises.
    #[track_caller]
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true,
        });
        let outcome = self.call("Runtime.evaluate", &asked);
        assert!(outcome["exceptionDetails"].is_null(), "{expression}: {outcome}");
        outcome["result"]["value"].clone()
    }

    /// Clicks in the middle of what a selector finds in the page.
    #[track_caller]
    pub(crate) fn click(&mut self, selector: &str) {
        let place = format!("document.querySelector({}).getBoundingClientRect()", json!(selector));
        let place = self.evaluate(&format!(
            "(({{ x, y, width, height }}) => [x + width / 2, y + height / 2])({place})"
        ));
        let (x, y) = (&place[0], &place[1]);
        for kind in ["mousePressed", "mouseReleased"] {
            let click = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", &click);
        }
    }

    /// Types small letters, spaces, slashes and ends of lines, as on a US keyboard.
    #[track_caller]
    pub(crate) fn type_text(&mut self, text: &str) {
        for letter in text.chars() {
            let (key, code) = match letter {
                '\n' => ("Enter".to_owned(), "Enter".to_owned()),
                ' ' => (" ".to_owned(), "Space".to_owned()),
                '/' => ("/".to_owned(), "Slash".to_owned()),
                letter => (letter.to_string(), format!("Key{}", letter.to_ascii_uppercase())),
            };
            for kind in ["rawKeyDown", "keyUp"] {
                let stroke = json!({ "type": kind, "key": key, "code": code });
                self.call("Input.dispatchKeyEvent", &stroke);
            }
        }
    }

    #[track_caller]
    fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.calls += 1;
        let mut call = json!({ "id": self.calls, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            call["sessionId"] = session.as_str().into();
        }
        let mut message = serde_json::to_vec(&call).unwrap();
        message.push(0);
        self.to.write_all(&message).unwrap();
        loop {
            let answer = self.messages.recv_timeout(SHORT);
            let mut answer = answer.unwrap_or_else(|error| panic!("{method}: {error}"));
            // All else is what happens, which nobody asked for.
            if answer["id"] == self.calls {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].take();
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _has_ended = self.child.kill();
        let _is_reaped = self.child.wait();
    }
}
