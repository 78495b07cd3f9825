//! Images that are made of VMs' disks.

use crate::{
    check_exit, data,
    fake::{FakeDaemon, Reply, VM_ID, not_found, ok, task, vm},
    inn, inn_in, talk,
};
use serde_json::{Value, json};

const DIGEST: &str = "sha256:00ff";

fn golden() -> Value {
    json!({
        "name": "golden", "kind": "disk", "format": "raw", "size": "4KiB", "virtual_size": "10MiB",
        "digest": DIGEST, "source": "disk root of VM web", "created": "2026-01-01T00:00:05Z",
        "lineage": {
            "vm": VM_ID, "vm_name": "web", "disk": "root", "taken": "2026-01-01T00:00:00Z",
            "image": { "name": "debian12", "digest": DIGEST },
        },
    })
}

fn added(state: &str) -> Value {
    let mut task = task("image-add", state);
    task["subject"] = "golden".into();
    task
}

/// A daemon with a VM of two disks, and an image of one of them.
fn with_web() -> FakeDaemon {
    FakeDaemon::start(|request| {
        let (method, target) = request.line.split_once(' ').unwrap();
        match (method, target.split('?').next().unwrap()) {
            ("GET", path) if path.starts_with("/v1/tasks/") => ok(added("done")),
            ("GET", "/v1/vms/web") => {
                let mut web = vm("web", "stopped");
                let disks =
                    json!([{ "name": "root", "size": "1MiB" }, { "name": "data", "size": "1MiB" }]);
                web["spec"]["config"]["disks"] = disks;
                ok(web)
            }
            ("GET", "/v1/images/golden") => ok(golden()),
            ("POST", "/v1/images") => Reply::Json(202, json!({ "task": added("running") })),
            _ => not_found(),
        }
    })
}

#[test]
fn a_disk_is_committed_by_the_vms_id() {
    let daemon = with_web();
    let output = inn_in(daemon.folder(), &["image", "commit", "web", "--name", "golden"]);
    check_exit(&output, 0);
    assert_eq!(talk(&output), "golden: added\n");
    let root = ["image", "commit", "web", "--disk", "root", "--name", "golden", "-o", "name"];
    assert_eq!(data(&inn_in(daemon.folder(), &root)), "golden\n");
    let bodies = daemon.requests().into_iter().filter(|request| request.line == "POST /v1/images");
    assert_eq!(
        bodies.map(|request| request.body).collect::<Vec<_>>(),
        [
            json!({ "name": "golden", "from_disk": { "vm": VM_ID } }),
            json!({ "name": "golden", "from_disk": { "vm": VM_ID, "disk": "root" } }),
        ]
    );
    check_exit(&inn_in(daemon.folder(), &["image", "commit", "nope", "--name", "golden"]), 3);
    check_exit(&inn_in(daemon.folder(), &["image", "commit", "web"]), 2);
}

#[test]
fn an_image_shows_what_it_comes_from() {
    let daemon = with_web();
    let output = inn_in(daemon.folder(), &["image", "get", "golden"]);
    check_exit(&output, 0);
    let shown = data(&output);
    for (field, value) in [
        ("vm:", format!("web ({VM_ID})")),
        ("vm disk:", "root".into()),
        ("based on:", format!("debian12 ({DIGEST})")),
        ("taken:", "2026-01-01T00:00:00Z".into()),
    ] {
        let line = shown.lines().find_map(|line| line.strip_prefix(field));
        assert_eq!(line.map(str::trim), Some(value.as_str()), "{shown}");
    }
}

#[test]
fn names_of_disks_are_completed() {
    let daemon = with_web();
    let output = inn(&["--", "inn", "image", "commit", "web", "--disk", "r"])
        .env("INN_COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", "5")
        .env("_CLAP_COMPLETE_COMP_TYPE", "9")
        .env("_CLAP_COMPLETE_SPACE", "true")
        .env("_CLAP_IFS", "\n")
        .env("INN_STATE_DIR", daemon.folder())
        .output()
        .unwrap();
    assert_eq!(data(&output).lines().collect::<Vec<_>>(), ["root"]);
}
