//! Every surface keeps to its OpenAPI document, whatever it is sent: requests made from the documents,
//! good ones and bad ones, against a daemon of simulated machines.

use crate::harness::{Daemon, say};
use std::{
    env,
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

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

#[test]
fn every_door_keeps_to_its_document() {
    let program = root().join(PROGRAM);
    if !program.exists() {
        let is_ci = env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!is_ci, "schemathesis is not installed: scripts/setup --test");
        say("SKIPPED, since schemathesis is not installed (`scripts/setup --test` does it)");
        return;
    }
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
    let config = daemon.scratch().join("schemathesis.toml");
    std::fs::write(&config, CONFIG).unwrap();
    let token = std::fs::read_to_string(daemon.state().join("token")).unwrap();
    let log = daemon.log();
    thread::scope(|scope| {
        for surface in SURFACES {
            let address = match surface.name {
                "native" => native.clone(),
                door => address(&log, door),
            };
            let url = format!("http://{address}");
            let mut command = Command::new(&program);
            command
                .current_dir(daemon.scratch())
                .arg("--config-file")
                .arg(&config)
                .arg("run")
                .arg(root().join(surface.document))
                .args(["--url", &url, "--checks", CHECKS, "--max-examples", "20"])
                .args(["--phases", surface.phases, "--request-timeout", "60", "--no-color"])
                .args(["--header", &format!("Authorization: Bearer {}", token.trim())]);
            if let Some(without) = surface.without {
                command.args(["--exclude-path-regex", without]);
            }
            scope.spawn(move || {
                let output = command.output().unwrap();
                let said = String::from_utf8_lossy(&output.stdout);
                assert!(output.status.success(), "{}:\n{said}", surface.name);
            });
        }
    });
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
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
