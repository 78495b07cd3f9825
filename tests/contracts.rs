//! Every surface keeps to its OpenAPI document, whatever it is sent: requests made from the documents,
//! good ones and bad ones, against a daemon of simulated machines.

use crate::harness::{Daemon, say};
use serde_json::{Value, json};
use std::{
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

/// The one that scripts/setup installs.
const PROGRAM: &str = "target/tools/schemathesis-4.32.5/bin/schemathesis";

/// What an answer is checked for: that it is no defect of the server's, and that the document has it.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_schema_conformance";
/// What is no defect although its status says so: what this host cannot do, and a full disk; and what
/// virtx answers where a request names another host.
const CONFIG: &str = r#"
[checks]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "501", "507"]

[[operations]]
include-operation-id = "vm_create"
checks.not_a_server_error.expected-statuses = ["2xx", "4xx", "503", "507"]

[[operations]]
include-operation-id = "vm_migrate"
checks.not_a_server_error.expected-statuses = ["2xx", "4xx", "500", "501"]
"#;

/// The methods that documents have operations by.
const METHODS: [&str; 6] = ["get", "head", "post", "put", "patch", "delete"];
/// What somebody is told who shows no credential.
const TURNED_AWAY: [&str; 2] = ["401", "403"];

/// A surface: its name, its document, and what of it is left out (streams that may never end, and bodies
/// that are no JSON).
struct Surface {
    name: &'static str,
    document: &'static str,
    without: Option<&'static str>,
    phases: &'static str,
}

const ALL_PHASES: &str = "examples,coverage,fuzzing,stateful";

const SURFACES: &[Surface] = &[
    Surface {
        name: "native",
        document: "crates/api/openapi.json",
        // Of 70 routes everything else would take minutes.
        phases: "coverage",
        without: Some("events|imports|/logs"),
    },
    Surface {
        name: "vminfod",
        document: "docs/doors/vminfod.openapi.json",
        phases: ALL_PHASES,
        without: Some("^/events"),
    },
    Surface {
        name: "vmm",
        document: "docs/doors/vmm.openapi.json",
        phases: ALL_PHASES,
        without: None,
    },
    Surface {
        name: "chypervisord",
        document: "docs/doors/chypervisord.openapi.json",
        phases: ALL_PHASES,
        without: None,
    },
    Surface {
        name: "virtx",
        document: "docs/doors/virtx.openapi.json",
        phases: ALL_PHASES,
        without: None,
    },
];

/// The repository's.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Where the program is; `None`, and says so, where it is not installed. A machine that tests for others
/// (`CI=true`) leaves out nothing.
fn program() -> Option<PathBuf> {
    let program = root().join(PROGRAM);
    if program.exists() {
        return Some(program);
    }
    let is_ci = env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!is_ci, "schemathesis is not installed: scripts/setup --test");
    say("SKIPPED, since schemathesis is not installed (`scripts/setup --test` does it)");
    None
}

/// Has requests sent to each surface that are made from its document (the file that `document` names), and fails
/// with what is found.
fn hold(
    program: &Path,
    (daemon, native): (&Daemon, &str),
    document: impl Fn(&Surface) -> PathBuf,
    arguments: impl Fn(&Surface) -> Vec<String>,
) {
    let config = daemon.scratch().join("schemathesis.toml");
    fs::write(&config, CONFIG).unwrap();
    let log = daemon.log();
    thread::scope(|scope| {
        for surface in SURFACES {
            let address = match surface.name {
                "native" => native.to_owned(),
                door => address(&log, door),
            };
            let mut command = Command::new(program);
            command
                .current_dir(daemon.scratch())
                .arg("--config-file")
                .arg(&config)
                .arg("run")
                .arg(document(surface))
                .args(["--url", &format!("http://{address}"), "--checks", CHECKS, "--no-color"])
                .args(["--request-timeout", "60"])
                .args(arguments(surface));
            scope.spawn(move || {
                let output = command.output().unwrap();
                let said = String::from_utf8_lossy(&output.stdout);
                assert!(output.status.success(), "{}:\n{said}", surface.name);
            });
        }
    });
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}

#[test]
fn every_door_keeps_to_its_document() {
    let Some(program) = program() else { return };
    let native = free_address();
    let mut daemon = Daemon::prepared("").with_flags(&[
        "--driver",
        "sim",
        "--listen",
        &native,
        "--listen",
        "127.0.0.1:0,tls",
        "--door",
        "vminfod=127.0.0.1:0,anonymous=admin",
        "--door",
        "chypervisord=127.0.0.1:0,anonymous=admin",
        "--door",
        "virtx=127.0.0.1:0,anonymous=admin",
        "--door",
        "vmm=127.0.0.1:0",
    ]);
    daemon.launch();
    // What is looked up by id is found now and then.
    daemon.inn_ok(&["create", "web", "--memory", "64MiB"]);
    let token = fs::read_to_string(daemon.state().join("token")).unwrap();
    let credential = format!("Authorization: Bearer {}", token.trim());
    hold(
        &program,
        (&daemon, &native),
        |surface| root().join(surface.document),
        |surface| {
            let mut arguments = vec!["--phases", surface.phases, "--max-examples", "20"];
            arguments.extend(["--header", &credential]);
            arguments.extend(surface.without.iter().flat_map(|out| ["--exclude-path-regex", *out]));
            arguments.into_iter().map(str::to_owned).collect()
        },
    );
}

/// The same requests, to doors that know none of who sends them: everything but a probe turns them away, before it
/// looks at what they ask for.
#[test]
fn without_a_credential_every_door_turns_away_as_its_document_says() {
    let Some(program) = program() else { return };
    let native = free_address();
    // Nobody on this host is let in without a credential.
    let config = ["vminfod", "chypervisord", "virtx"].map(|door| {
        format!("[door.{door}]\nlisten = \"127.0.0.1:0\"\nanonymous = \"admin\"\nuids = []\n")
    });
    let mut daemon = Daemon::prepared(&config.concat()).with_flags(&[
        "--driver",
        "sim",
        "--listen",
        &native,
        "--door",
        "vmm=127.0.0.1:0",
    ]);
    daemon.launch();
    daemon.inn_ok(&["create", "web", "--memory", "64MiB"]);
    let before = daemon.get("/v1/vms");
    hold(
        &program,
        (&daemon, &native),
        |surface| {
            let document = daemon.scratch().join(format!("{}.json", surface.name));
            fs::write(&document, of_strangers(surface).to_string()).unwrap();
            document
        },
        |_| {
            // Few, since what they ask for is not looked at; and nobody can make up a whole VM as a file.
            let few = ["--phases", "fuzzing", "--max-examples", "3"];
            [&few[..], &["--exclude-path-regex", "imports"]]
                .concat()
                .into_iter()
                .map(str::to_owned)
                .collect()
        },
    );
    assert_eq!(daemon.get("/v1/vms")["items"], before["items"], "nothing was done for a stranger");
}

/// A surface's document as a stranger has it: of what needs a credential nothing is left but that they are turned
/// away, so that any other answer is one that is not documented.
fn of_strangers(surface: &Surface) -> Value {
    let text = fs::read_to_string(root().join(surface.document)).unwrap();
    let mut document: Value = serde_json::from_str(&text).unwrap();
    let items = document["paths"].as_object_mut().unwrap().values_mut();
    let operations = items.flat_map(|item| item.as_object_mut().unwrap());
    let mut protected = 0;
    for (_, operation) in operations.filter(|(method, _)| METHODS.contains(&method.as_str())) {
        let responses = operation["responses"].as_object().unwrap();
        // What needs none says so: in the native API by its schemes, at a door since none can be wrong.
        let is_public = operation["security"] == json!([{}]) || !responses.contains_key("401");
        if !is_public {
            protected += 1;
            for status in TURNED_AWAY {
                assert!(responses.contains_key(status), "{}: {operation}", surface.name);
            }
            let responses = operation["responses"].as_object_mut().unwrap();
            responses.retain(|status, _| TURNED_AWAY.contains(&status.as_str()));
        }
    }
    assert!(protected > 0, "{}", surface.name);
    document
}

/// An address of loopback that nobody listens on.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Where a door listens, as the daemon logged it.
pub(crate) fn address(log: &str, door: &str) -> String {
    let mark = format!("door={door} listen=\"");
    let line = log.lines().find(|line| line.contains(&mark)).unwrap_or_else(|| panic!("{log}"));
    let rest = &line[line.find(&mark).unwrap() + mark.len()..];
    rest[..rest.find('"').unwrap()].to_owned()
}
