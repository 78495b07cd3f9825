//! Every surface keeps to its OpenAPI document, whatever it is sent: requests made from the documents,
//! good ones and bad ones, against a daemon of simulated machines. Of streams it is the first line that is held
//! against them. What is left out of the requests says why, and has a case of its own.

use crate::harness::{Daemon, Reply, Request, exchange, first_lines_of, say};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    env, fs,
    net::{TcpListener, TcpStream},
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

/// A surface: its name, and its document.
struct Surface {
    name: &'static str,
    document: &'static str,
    phases: &'static str,
    left_out: &'static [LeftOut],
}

/// An operation, by its id, that no requests are made for from the document, and why.
struct LeftOut {
    operation: &'static str,
    since: &'static str,
}

const ALL_PHASES: &str = "examples,coverage,fuzzing,stateful";

const SURFACES: &[Surface] = &[
    Surface {
        name: "native",
        document: "crates/api/openapi.json",
        // Of 70 routes everything else would take minutes.
        phases: "coverage",
        left_out: &[LeftOut {
            operation: "importVm",
            since: "its body is a whole VM as a tar file, and nobody can make one up",
        }],
    },
    Surface {
        name: "vminfod",
        document: "docs/doors/vminfod.openapi.json",
        phases: ALL_PHASES,
        left_out: &[],
    },
    Surface {
        name: "vmm",
        document: "docs/doors/vmm.openapi.json",
        phases: ALL_PHASES,
        left_out: &[],
    },
    Surface {
        name: "chypervisord",
        document: "docs/doors/chypervisord.openapi.json",
        phases: ALL_PHASES,
        left_out: &[],
    },
    Surface {
        name: "virtx",
        document: "docs/doors/virtx.openapi.json",
        phases: ALL_PHASES,
        left_out: &[],
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
/// with what is found, or with what of the document no request was made for.
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
            let (document, address) = (document(surface), first_lines_of(&address));
            let report = daemon.scratch().join(format!("{}.xml", surface.name));
            let mut command = Command::new(program);
            command
                .current_dir(daemon.scratch())
                .arg("--config-file")
                .arg(&config)
                .arg("run")
                .arg(&document)
                .args(["--url", &format!("http://{address}"), "--checks", CHECKS, "--no-color"])
                .args(["--request-timeout", "60", "--report-junit-path"])
                .arg(&report)
                .args(
                    surface
                        .left_out
                        .iter()
                        .flat_map(|out| ["--exclude-operation-id", out.operation]),
                )
                .args(arguments(surface));
            scope.spawn(move || {
                let output = command.output().unwrap();
                let said = String::from_utf8_lossy(&output.stdout);
                assert!(output.status.success(), "{}:\n{said}", surface.name);
                let tried = tried(&fs::read_to_string(report).unwrap());
                let wanted = operations(&document, |id| {
                    surface.left_out.iter().all(|out| out.operation != id)
                });
                let missed: Vec<_> = wanted.difference(&tried).collect();
                assert!(missed.is_empty(), "{}: nothing was sent to {missed:?}", surface.name);
            });
        }
    });
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}

/// What a document offers, each as `METHOD /path`, as far as its id is wanted.
fn operations(document: &Path, is_wanted: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let document: Value = serde_json::from_str(&fs::read_to_string(document).unwrap()).unwrap();
    let mut operations = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str();
            if METHODS.contains(&method.as_str()) && id.is_none_or(&is_wanted) {
                operations.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    operations
}

/// What a report says that requests were sent to, each as `METHOD /path`.
fn tried(report: &str) -> BTreeSet<String> {
    let cases = report.split("<testcase ").skip(1).filter(|case| !case.contains("<skipped"));
    let name = |case: &str| Some(case.split_once("name=\"")?.1.split_once('"')?.0.to_owned());
    cases.filter_map(name).collect()
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
            // Few, since what they ask for is not looked at.
            ["--phases", "fuzzing", "--max-examples", "3"].map(str::to_owned).into()
        },
    );
    assert_eq!(daemon.get("/v1/vms")["items"], before["items"], "nothing was done for a stranger");
}

/// What is left out of the requests that are made from documents: sent by hand, good and bad, to be answered as the
/// documents say.
#[test]
fn what_is_left_out_keeps_to_its_document_too() {
    let native = free_address();
    let mut daemon = Daemon::prepared("").with_flags(&["--driver", "sim", "--listen", &native]);
    daemon.launch();
    daemon.inn_ok(&["create", "web", "--memory", "64MiB"]);
    for (surface, LeftOut { operation, since }) in
        SURFACES.iter().flat_map(|surface| surface.left_out.iter().map(move |out| (surface, out)))
    {
        let (path, method, answers) = match *operation {
            "importVm" => ("/v1/imports", "post", import(&daemon, &native)),
            other => panic!("{other} of {} has no case of its own", surface.name),
        };
        let text = fs::read_to_string(root().join(surface.document)).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        let described = &document["paths"][path][method];
        let why = format!("left out since {since}, and not there any more");
        assert_eq!(described["operationId"], *operation, "{why}");
        for (what, status, answer) in answers {
            assert_eq!(answer.status, status, "{operation}, {what}: {}", answer.text());
            is_described(&document, &described["responses"], &answer)
                .unwrap_or_else(|why| panic!("{operation}, {what}: {why}"));
        }
    }
}

/// What is answered to whoever sends a VM as a file, or something else, by what it is.
fn import(daemon: &Daemon, native: &str) -> Vec<(&'static str, u16, Reply)> {
    let file = daemon.scratch().join("web.tar");
    daemon.inn_ok(&["export", "web", file.to_str().unwrap()]);
    let vm = fs::read(file).unwrap();
    let tar = |query: &str, body: &[u8]| {
        let request = Request::new("POST", &format!("/v1/imports{query}")).bytes(body);
        request.header("Content-Type", "application/x-tar")
    };
    let send = |request: Request| daemon.send(&request);
    let waits = tar("?name=waited-for", &vm).header("Prefer", "wait=60");
    let stranger = exchange(TcpStream::connect(native).unwrap(), &tar("", &vm));
    vec![
        ("a plan", 200, send(tar("?name=copy&dry_run=true", &vm))),
        ("a VM", 202, send(tar("?name=copy", &vm))),
        ("a VM that is waited for", 201, send(waits)),
        ("a name that is taken", 409, send(tar("", &vm))),
        ("a name that is none", 422, send(tar("?name=a%20b", &vm))),
        ("no parameter of it", 422, send(tar("?nonsense=1", &vm))),
        ("half a file", 400, send(tar("?name=half", &vm[..vm.len() / 2]))),
        ("nothing", 400, send(tar("?name=nothing", b""))),
        ("no tar", 400, send(tar("?name=text", &b"no tar".repeat(200)))),
        ("a stranger's", 401, stranger),
    ]
}

/// Whether an answer is one of those that an operation has in the document, by its status and its type.
fn is_described(document: &Value, responses: &Value, answer: &Reply) -> Result<(), String> {
    let status = answer.status.to_string();
    let mut response =
        responses.get(&status).ok_or_else(|| format!("{status} is not described"))?;
    if let Some(named) = response["$ref"].as_str() {
        response = document.pointer(named.trim_start_matches('#')).unwrap();
    }
    let is = answer.header("content-type").unwrap_or_default();
    let described = response["content"].as_object();
    match described.is_none_or(|types| types.contains_key(is)) {
        true => Ok(()),
        false => Err(format!("{status} is {is:?}, and not described so")),
    }
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
