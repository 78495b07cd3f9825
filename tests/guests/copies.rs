//! Clones, and what frees what.

use super::tiny;
use crate::harness::{Daemon, GuestSlots, Request, files_in};
use serde_json::json;
use std::fs;

#[test]
fn a_clone_boots_with_a_disk_of_its_own_and_what_is_in_use_stays() {
    let _slot = GuestSlots::one();
    let daemon = Daemon::start();
    daemon.import_tiny();
    let base = daemon.scratch().join("base.raw");
    fs::write(&base, [b"FROM-THE-IMAGE\n".as_slice(), &vec![0; (1 << 20) - 15]].concat()).unwrap();
    let base = base.to_str().unwrap();
    daemon.inn_ok(&["image", "add", base, "--name", "base", "--kind", "disk", "--format", "raw"]);
    let mut config = tiny("first", "");
    config["disks"] = json!([{ "name": "data", "image": "base" }]);
    config["nics"] = json!([{ "name": "net" }]);
    let first = daemon.create(&config);

    daemon.act("first", "start");
    let mut console = daemon.console("first");
    console.log_in_when_online();
    assert_eq!(console.output_of("head -1 /dev/vda"), "FROM-THE-IMAGE");
    let running = daemon.inn(&["clone", "first", "early"]);
    assert_eq!(running.status.code(), Some(4), "{running:?}");
    console.output_of("echo 'FROM-THE-FIRST' >/dev/vda; sync");
    console.send("poweroff\n");
    daemon.wait_for_state("first", "stopped");

    daemon.inn_ok(&["clone", "first", "second"]);
    let second = daemon.vm("second");
    let (old, new) = (&daemon.vm("first")["spec"]["assigned"], &second["spec"]["assigned"]);
    assert_ne!(old["macs"], new["macs"]);
    assert_ne!(old["serials"], new["serials"]);
    daemon.act("second", "start");
    let mut console = daemon.console("second");
    console.log_in_when_online();
    assert_eq!(console.output_of("head -1 /dev/vda"), "FROM-THE-FIRST");
    console.output_of("echo 'FROM-THE-SECOND' >/dev/vda; sync; echo 3 >/proc/sys/vm/drop_caches");
    assert_eq!(console.output_of("head -1 /dev/vda"), "FROM-THE-SECOND");
    daemon.act("second", "kill");

    daemon.act("first", "start");
    let mut console = daemon.console("first");
    console.log_in_when_online();
    assert_eq!(console.output_of("head -1 /dev/vda"), "FROM-THE-FIRST", "the clone wrote to it");

    // What is used cannot be removed, and what is removed is freed.
    let refused = daemon.send(&Request::new("DELETE", "/v1/images/base"));
    assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("in-use")));
    let refused = daemon.send(&Request::new("DELETE", "/v1/images/tiny"));
    assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("in-use")));
    let refused = daemon.send(&Request::new("DELETE", "/v1/vms/first"));
    assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("wrong-state")));
    daemon.done(Request::new("DELETE", "/v1/vms/first?force=true"));
    daemon.inn_ok(&["delete", "second"]);
    daemon.settle();
    for folder in ["vms", "run/vms", "pool/volumes"] {
        let folder = daemon.state().join(folder);
        let left =
            files_in(&folder).into_keys().find(|path| path.to_str().unwrap().contains(&first));
        assert_eq!(left, None);
    }
    daemon.inn_ok(&["image", "delete", "base"]);
    assert_eq!(daemon.get("/v1/images")["items"].as_array().unwrap().len(), 1);
}
