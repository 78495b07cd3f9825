//! What a person is told who tries something dry, over simulated machines: the plan, with what a crash would do to
//! each of its steps, and nothing has changed.
//!
//! What is done to a VM's machine is tried in `simulator`, and every kind of request in the engine's own tests.

use crate::harness::{Daemon, SHORT, files_in, until};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::PathBuf};

/// All that there is, and every file of it.
#[derive(Debug, PartialEq)]
struct Seen {
    lists: Vec<Value>,
    records: Value,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

fn seen(daemon: &Daemon) -> Seen {
    let list = |what: &str| daemon.get(&format!("/v1/{what}?limit=1000"))["items"].clone();
    let mut files = daemon.kept();
    files.extend(files_in(&daemon.state().join("networks")));
    Seen {
        lists: ["vms", "images", "networks", "subnets", "tasks"].map(list).into(),
        records: daemon.diagnosis()["journal"]["records"].clone(),
        files,
    }
}

/// What is seen once nothing is being done any more.
#[track_caller]
fn settled(daemon: &Daemon) -> Seen {
    until("nothing changes", SHORT, || {
        let before = seen(daemon);
        let after = seen(daemon);
        if before == after { Ok(after) } else { Err(before.records) }
    })
}

#[test]
fn images_imports_and_networks_are_tried_dry() {
    let daemon = Daemon::configured("driver = \"sim\"\n");
    let file = |name: &str| daemon.scratch().join(name).to_str().unwrap().to_owned();
    let (image, exported) = (file("disk.raw"), file("web.tar"));
    fs::write(&image, vec![7; 1 << 20]).unwrap();
    let raw = ["--kind", "disk", "--format", "raw"];
    daemon.inn_ok(&[&["image", "add", &image, "--name", "base"][..], &raw].concat());
    daemon.inn_ok(&["network", "create", "office", "--subnet", "10.77.0.0/24"]);
    daemon.inn_ok(&["network", "create", "empty", "--subnet", "10.78.0.0/24"]);
    daemon.create(&json!({
        "name": "web", "memory": "32MiB",
        "disks": [{ "name": "root", "size": "1MiB" }], "nics": [{ "name": "lan", "network": "office" }],
    }));
    daemon.inn_ok(&["export", "web", &exported]);

    let before = settled(&daemon);
    for (command, first, step) in [
        (
            &["image", "add", &image, "--name", "other", "--kind", "disk"][..],
            "image-add of other: 1 step; after a crash of the daemon it goes back: it is undone",
            "repeat         import-image",
        ),
        (
            &["image", "commit", "web", "--name", "golden"],
            "image-add of golden: 1 step",
            "import-image",
        ),
        (
            &["image", "delete", "base"],
            "image-remove of base: 1 step; after a crash of the daemon it goes forward: it is finished",
            "-- from here on there is no way back",
        ),
        (
            &["import", &exported, "--name", "copy"],
            "import of copy: 5 steps",
            "repeat         bring-volumes",
        ),
        (
            &["network", "create", "dmz", "--subnet", "10.79.0.0/24"],
            "network-create of dmz: 2 steps",
            "save-network",
        ),
        (
            &["network", "edit", "office", "--mtu", "1400"],
            "network-edit of office: 2 steps",
            "wire-network",
        ),
        (&["network", "delete", "empty"], "network-delete of empty: 2 steps", "release-network"),
        (
            &["subnet", "create", "10.80.0.0/24", "--network", "office"],
            "subnet-create of 10.80.0.0/24",
            "save-network",
        ),
        (&["subnet", "delete", "10.78.0.0/24"], "subnet-delete of 10.78.0.0/24", "save-network"),
        (
            &["subnet", "reserve", "10.77.0.0/24"],
            "subnet-reserve of 10.77.0.0/24",
            "keep-addresses",
        ),
    ] {
        let told = daemon.inn_ok(&[command, &["--dry-run"]].concat());
        assert!(told.starts_with(first), "{command:?}: {told}");
        assert!(told.contains(step), "{command:?}: {told}");
        assert!(told.contains("after a crash: probe = looked up whether it happened"), "{told}");
    }
    // What would be refused is.
    for command in [
        &["image", "delete", "none"][..],
        &["import", &exported],
        &["network", "delete", "office"],
        &["subnet", "release", "10.77.0.0/24", "10.77.0.200"],
    ] {
        let refused = daemon.inn(&[command, &["--dry-run"]].concat());
        assert!(matches!(refused.status.code(), Some(3 | 4)), "{command:?}: {refused:?}");
    }
    // What an import sent is thrown away on another thread.
    until("nothing has changed", SHORT, || {
        let after = seen(&daemon);
        if after == before {
            Ok(())
        } else {
            Err(format!("{:?} {:?}", after.lists, after.files.keys()))
        }
    });
}
