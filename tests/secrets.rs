//! Secrets, through every way in, and everywhere that they could come out: nothing shows one, and no file has one
//! but those that have to, which are the daemon's alone.

use crate::{
    credentials::wallet::Wallet,
    harness::{Daemon, Reply, Request, SHORT, exchange, until},
};
use base64::{Engine, prelude::BASE64_STANDARD as BASE64};
use serde_json::{Value, json};
use std::{
    fs,
    io::Read,
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// What every secret of this test begins with, and nothing else that is anywhere.
const MARK: &str = "canary5e11";

/// A secret that came in by this way.
fn canary(way: &str) -> String {
    format!("{MARK}{way}")
}

/// How it would look as base64 in the middle of something, wherever it begins in a group of three.
fn in_base64() -> [Vec<u8>; 3] {
    [0, 1, 2].map(|skipped| {
        let text = [&"   "[..skipped], MARK].concat();
        let encoded = BASE64.encode(text);
        // The first and last characters have bits of what stands beside it.
        encoded.as_bytes()[4..12].to_vec()
    })
}

#[track_caller]
fn assert_clean(what: &str, bytes: &[u8]) {
    for mark in [MARK.as_bytes().to_vec()].into_iter().chain(in_base64()) {
        let found = bytes.windows(mark.len()).position(|window| window == mark);
        if let Some(at) = found {
            let around = &bytes[at.saturating_sub(300)..bytes.len().min(at + 100)];
            panic!("a secret is in {what}: {}", String::from_utf8_lossy(around));
        }
    }
}

/// A daemon of simulated machines with every door open, which logs all that it can.
struct House {
    daemon: Daemon,
    tcp: u16,
    doors: [u16; 4],
    token: String,
}

impl House {
    fn open() -> Self {
        let ports = [0; 5].map(|_| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        });
        let [tcp, vminfod, vmm, chypervisord, virtx] = ports;
        let wallets = format!("[wallets]\nopen = true\nsite = \"http://localhost:{tcp}\"\n");
        let listen = format!("127.0.0.1:{tcp}");
        let flags = [
            "--driver",
            "sim",
            "--log-level",
            "trace",
            "--listen",
            &listen,
            "--door",
            &format!("vminfod=127.0.0.1:{vminfod},anonymous=admin"),
            "--door",
            &format!("vmm=127.0.0.1:{vmm}"),
            "--door",
            &format!("chypervisord=127.0.0.1:{chypervisord},anonymous=admin"),
            "--door",
            &format!("virtx=127.0.0.1:{virtx},anonymous=admin"),
        ];
        let mut daemon = Daemon::prepared(&wallets).with_flags(&flags);
        daemon.launch();
        let token = fs::read_to_string(daemon.state().join("token")).unwrap().trim().to_owned();
        Self { daemon, tcp, doors: [vminfod, vmm, chypervisord, virtx], token }
    }

    fn ask(port: u16, request: &Request) -> Reply {
        exchange(TcpStream::connect(("127.0.0.1", port)).unwrap(), request)
    }

    /// Asks all who answer over TCP, and says nothing of what they answer but to whoever sent it.
    fn everywhere(&self, request: &Request) {
        for port in self.doors.into_iter().chain([self.tcp]) {
            let _refused = Self::ask(port, request);
        }
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }
}

fn post(path: &str, body: &Value) -> Request {
    Request::new("POST", path).json(body)
}

/// What the daemon gives out that lets somebody in, by every way that there is: to whoever asked for it, and to nobody
/// else.
fn given_out(house: &House) -> Vec<String> {
    let daemon = &house.daemon;
    let token = daemon.inn_ok(&["token", "create", "last", "--role", "viewer"]).trim().to_owned();
    let as_admin = |path: &str, body: Value| {
        let request = post(path, &body).header("Authorization", &house.bearer());
        House::ask(house.tcp, &request).ok()
    };
    let text = |reply: &Reply, key: &str| reply.json()[key].as_str().unwrap().to_owned();
    let browser = as_admin("/v1/browser-session", json!({}));
    let cookie = browser.header("set-cookie").unwrap().split(';').next().unwrap();
    let cookie = cookie.split_once('=').unwrap().1.to_owned();
    let of_console = as_admin("/v1/vms/native/tickets", json!({ "kind": "console" }));
    let of_feed = as_admin("/v1/tickets", json!({ "path": "/v1/events" }));
    let challenge = House::ask(house.tcp, &post("/v1/sign-in/challenges", &json!({}))).ok();
    let (site, alice) = (format!("localhost:{}", house.tcp), Wallet::alice());
    let message = alice.sign_in_message(&site, &text(&challenge, "nonce"));
    let signed = json!({ "message": message, "signature": alice.personal_sign(&message) });
    let session = House::ask(house.tcp, &post("/v1/sign-in", &signed)).ok();
    let given = vec![
        token,
        cookie,
        text(&browser, "csrf"),
        text(&of_console, "ticket"),
        text(&of_feed, "ticket"),
        text(&session, "token"),
    ];
    assert!(given.iter().all(|credential| credential.len() >= 43), "{given:?}");
    // Each is shown, too, where it counts.
    for credential in &given {
        let get = Request::new("GET", "/v1/vms");
        house.everywhere(&get.header("Authorization", &format!("Bearer {credential}")));
    }
    given
}

/// Whether there is one of these in it.
fn has_one_of(bytes: &[u8], credentials: &[String]) -> bool {
    credentials.iter().any(|one| bytes.windows(one.len()).any(|at| at == one.as_bytes()))
}

/// A VM's three documents.
fn documents(way: &str) -> Value {
    json!({
        "user_data": format!("#cloud-config\npassword: {}\n", canary(way)),
        "meta_data": format!("instance-id: {}\n", canary(way)),
        "network_config": format!("version: 2\n# {}\n", canary(way)),
    })
}

/// Gives it secrets by every way that there is.
fn give(house: &House) {
    let daemon = &house.daemon;
    // Documents: by the native API, made, replaced, merged, tried, refused; by files of the command line; by doors.
    let native = |name: &str, way: &str| json!({ "name": name, "memory": "64MiB", "cloud_init": documents(way) });
    daemon.create(&native("native", "Created"));
    daemon.done(
        Request::new("PATCH", "/v1/vms/native")
            .header("Content-Type", "application/merge-patch+json")
            .bytes(json!({ "cloud_init": documents("Merged") }).to_string()),
    );
    let _tried = daemon.send(&post("/v1/vms?dry_run=true", &native("tried", "Tried")));
    for wrong in [
        json!({ "name": "wrong", "cloud_init": { "user_data": [canary("AList")] } }),
        json!({ "name": "wrong", "cloud_init": canary("NotAnObject") }),
        json!({ "name": "wrong", "cloud_init": { "password": canary("Unknown") } }),
        json!({ "name": "no such name!", "cloud_init": documents("Refused") }),
        json!({ "name": "native", "cloud_init": documents("Taken") }),
    ] {
        let refused = daemon.send(&post("/v1/vms", &wrong));
        assert!(refused.status >= 400, "{wrong}");
        if wrong["cloud_init"].is_object() {
            assert_clean("a refusal", &refused.body);
        }
    }
    let half =
        format!("{{\"name\": \"half\", \"cloud_init\": {{\"user_data\": \"{}", canary("Half"));
    daemon.send(&post("/v1/vms", &json!({})).bytes(half));
    let scratch = |name: &str, text: &str| {
        let file = daemon.scratch().join(name);
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let user_data = scratch("user-data", &canary("UserDataFile"));
    daemon.inn_ok(&["create", "flags", "--memory", "64MiB", "--user-data", &user_data]);
    let file = scratch("vm.yaml", &native("file", "FromFile").to_string());
    daemon.inn_ok(&["create", "--from-file", &file]);
    let payload = json!({
        "brand": "kvm", "alias": "payload", "ram": 64, "autoboot": false,
        "customer_metadata": { "cloud-init:user-data": canary("Payload") },
    });
    daemon.inn_ok(&["vmadm", "create", "-f", &scratch("payload.json", &payload.to_string())]);
    let vmdef = json!({
        "name": "virtx", "memory": { "total": 64 },
        "cpudef": { "model": "host-model", "nodes": 1, "sockets": 1, "cores": 1, "threads": 1 },
        "osdisk": { "path": "/vms/ds/os.qcow2", "man": 1, "prov": 1, "size": 4 },
    });
    let virtx = house.doors[3];
    let made = House::ask(virtx, &post("/vms", &json!({ "vmdef": vmdef, "host": "" }))).ok().json();
    let id = made.as_str().or(made["uuid"].as_str()).unwrap().to_owned();
    let option = |name: &str| json!({ "name": name, "value": canary("Virtx") });
    let options = json!({ "cloud_init": [option("ci-userdata"), option("ci-metadata")] });
    House::ask(virtx, &post(&format!("/vms/{id}/runstate/boot"), &options)).ok();

    // What is given to a guest.
    daemon.act("native", "start");
    let program = json!({
        "argv": ["cat"], "env": [format!("PGPASSWORD={}", canary("Env"))],
        "stdin": BASE64.encode(canary("Stdin")),
    });
    let _unsupported = daemon.send(&post("/v1/vms/native/exec", &program));
    let nul = json!({ "argv": ["cat"], "env": [format!("A={}\0", canary("Nul"))] });
    assert_clean("a refusal", &daemon.send(&post("/v1/vms/native/exec", &nul)).body);
    let _sent = daemon.send(&post("/v1/vms/native/keys", &json!({ "text": canary("Typed") })));

    // Addresses that are credentials themselves.
    let url = |url: String| {
        let image =
            json!({ "name": "far", "kind": "disk", "url": url, "checksum": "0".repeat(64) });
        let refused = daemon.send(&post("/v1/images", &image).header("Prefer", "wait=20"));
        assert_clean("a refusal", &refused.body);
    };
    url(format!("http://127.0.0.1:1/disk?signature={}", canary("Signed")));
    url(format!("https://user:{}@127.0.0.1/disk", canary("InAddress")));
    url(format!("http://[::1/{}", canary("NoAddress")));
    let unchecked = json!({
        "name": "far", "kind": "disk", "url": format!("http://192.0.2.1/?t={}", canary("Unchecked")),
    });
    let refused = daemon.send(&post("/v1/images", &unchecked).header("Prefer", "wait=20"));
    assert_clean("a refusal", &refused.body);

    // Credentials, right and wrong ones.
    for text in [
        canary("Bearer"),
        format!("inn_{:A<43}", canary("Token")),
        format!("inn_s_{:A<43}", canary("Session")),
        format!("eyJhbGciOiJFSVAxOTEifQ.{}.{}", canary("Payload"), canary("Signature")),
    ] {
        let get = Request::new("GET", "/v1/vms");
        house.everywhere(&get.header("Authorization", &format!("Bearer {text}")));
    }
    let basic = BASE64.encode(format!("admin:{}", canary("Basic")));
    house.everywhere(
        &Request::new("GET", "/v1/vms").header("Authorization", &format!("Basic {basic}")),
    );
    house.everywhere(&Request::new("GET", "/v1/vms").header("Cookie", &canary("Cookie")));
    let ticketed =
        Request::new("GET", &format!("/v1/vms/native/console?ticket={}", canary("Ticket")))
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    house.everywhere(&ticketed);
    let signed = json!({ "message": canary("Message"), "signature": canary("Signature") });
    House::ask(house.tcp, &post("/v1/sign-in", &signed));
}

/// All that is shown, by every surface.
fn shown(house: &House) -> Vec<(String, Vec<u8>)> {
    let daemon = &house.daemon;
    let mut shown = Vec::new();
    for path in [
        "/v1/vms",
        "/v1/vms/native",
        "/v1/vms/virtx",
        "/v1/tasks?limit=1000",
        "/v1/images",
        "/v1/audit",
        "/v1/host",
        "/v1/diagnostics",
        "/v1/diagnostics/configuration",
        "/v1/diagnostics/log",
        "/metrics",
    ] {
        shown.push((path.into(), daemon.send(&Request::new("GET", path)).ok().body));
    }
    let tasks = daemon.get("/v1/tasks?limit=1000")["items"].clone();
    for task in tasks.as_array().unwrap() {
        let path = format!("/v1/tasks/{}", task["id"].as_str().unwrap());
        shown.push((path.clone(), daemon.send(&Request::new("GET", &path)).ok().body));
    }
    let [vminfod, vmm, chypervisord, virtx] = house.doors;
    for (port, path) in [
        (vminfod, "/vms"),
        (vminfod, "/status"),
        (chypervisord, "/hypervisors"),
        (virtx, "/vms"),
        (virtx, "/hosts"),
    ] {
        let reply = House::ask(port, &Request::new("GET", path));
        shown.push((format!("{path} of port {port}"), reply.body));
    }
    let list = post("/vm/list", &json!({})).header("Authorization", &house.bearer());
    shown.push(("/vm/list".into(), House::ask(vmm, &list).ok().body));
    for arguments in [
        &["audit"][..],
        &["audit", "-o", "json"],
        &["get", "native", "-o", "yaml"],
        &["tasks"],
        &["token", "list", "-o", "json"],
    ] {
        let said = daemon.inn(arguments);
        shown.push((arguments.join(" "), (said.stdout + &said.stderr).into_bytes()));
    }
    shown
}

/// What a feed tells from its beginning on.
fn fed(mut feed: TcpStream) -> Vec<u8> {
    feed.set_read_timeout(Some(std::time::Duration::from_millis(500))).unwrap();
    let mut told = Vec::new();
    let _timed_out = feed.read_to_end(&mut told);
    told
}

/// All files in a folder and those below it.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files(&entry.path(), found);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
}

/// A hook that keeps all that it is told.
fn keep_what_hooks_are_told(daemon: &Daemon) -> PathBuf {
    let told = daemon.scratch().join("told");
    for event in ["pre-start", "post-start", "pre-stop", "post-stop"] {
        let folder = daemon.state().join("hooks").join(event);
        fs::create_dir_all(&folder).unwrap();
        let script = format!("#!/bin/sh\n(env; cat) >>'{}'\n", told.display());
        fs::write(folder.join("10-keep"), script).unwrap();
        fs::set_permissions(folder.join("10-keep"), fs::Permissions::from_mode(0o755)).unwrap();
    }
    told
}

#[test]
fn no_secret_comes_out_again_and_files_that_have_one_are_the_daemons_alone() {
    let house = House::open();
    let daemon = &house.daemon;
    let told = keep_what_hooks_are_told(daemon);
    let feeds: Vec<_> = [(house.tcp, "/v1/events"), (house.doors[0], "/events")]
        .map(|(port, path)| {
            let mut feed = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let request = Request::new("GET", path).header("Authorization", &house.bearer());
            request.send(&mut feed).unwrap();
            (path, feed)
        })
        .into();
    give(&house);
    let given = given_out(&house);
    daemon.act("native", "kill");
    let assert_clean = |what: &str, bytes: &[u8]| {
        assert_clean(what, bytes);
        assert!(!has_one_of(bytes, &given), "a credential that was given out is in {what}");
    };

    for (what, bytes) in shown(&house) {
        assert_clean(&what, &bytes);
    }
    for (path, feed) in feeds {
        let fed = fed(feed);
        assert!(fed.len() > 1000, "{path} told nothing");
        assert_clean(path, &fed);
    }
    let hooks = until("what hooks were told", SHORT, || fs::read(&told).map_err(|e| e.to_string()));
    assert!(String::from_utf8_lossy(&hooks).contains("native"));
    assert_clean("what hooks are told", &hooks);
    let bundle = daemon.scratch().join("bundle.tar.gz");
    daemon.inn_ok(&["diagnose", "bundle", bundle.to_str().unwrap()]);
    let unpacked = std::process::Command::new("gzip").arg("-dc").arg(&bundle).output().unwrap();
    assert!(unpacked.stdout.len() > 10_000, "{unpacked:?}");
    assert_clean("the bundle", &unpacked.stdout);
    // It was all in there.
    let bundled = String::from_utf8_lossy(&unpacked.stdout);
    for part in ["/daemon.log", " DEBUG ", "/audit.jsonl", "\"action\":\"create\"", "/tasks.json"] {
        assert!(bundled.contains(part), "{part} is not in the bundle");
    }
    let own = house.token.as_bytes();
    assert!(!unpacked.stdout.windows(own.len()).any(|at| at == own), "the token is in the bundle");

    let log = daemon.log();
    assert!(log.contains("DEBUG"), "it logs all that it can");
    assert_clean("the log", log.as_bytes());
    assert!(!log.contains(&house.token), "the token is in the log");

    let mut found = Vec::new();
    files(daemon.state(), &mut found);
    let mut with_secrets = 0;
    for file in found {
        let bytes = fs::read(&file).unwrap();
        let name = file.strip_prefix(daemon.state()).unwrap();
        assert!(!has_one_of(&bytes, &given), "{} has what was given out", name.display());
        let has_token = bytes.windows(own.len()).any(|at| at == own);
        if !has_token && !bytes.windows(MARK.len()).any(|at| at == MARK.as_bytes()) {
            continue;
        }
        with_secrets += 1;
        let must = name == Path::new("token") || name.ends_with("seed.img");
        assert!(must, "{} has a secret", name.display());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file), 0o600, "{}", name.display());
        if name.parent() != Some(Path::new("")) {
            assert_eq!(mode(file.parent().unwrap()) & 0o077, 0, "{}", name.display());
        }
    }
    assert!(with_secrets >= 6, "only {with_secrets} files have one: nothing was given");
}
