//! Callers who are bound to a project: what they make is that one's, and has no files of the host.

use super::*;
use crate::{access::Entrance, testing::of_project};

#[tokio::test]
async fn what_is_made_and_changed_is_ones_own() {
    let fixture = fixture().await;
    let principal = of_project("us", Role::Owner);
    let ours = Fixture {
        door: fixture.house.door_at(Virtx::open(), Entrance::of(principal)),
        house: fixture.house,
    };
    let path = ours.made(vmdef("web")).await;
    assert_eq!(ours.vm(&path).project.as_str(), "us");
    // A file that its operator allowed to VMs is no project's.
    let file = ours.house.folder.path().join("allowed/data.raw");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, [0; 4096]).unwrap();
    let mut def = vmdef("other");
    def["osdisk"] = json!({ "path": file.to_str().unwrap(), "man": 1 });
    refused(&ours.send("POST", "/vms", json!({ "vmdef": def })).await, 403, "file of the host");
    let change = json!({ "vmdef": def, "deletestorage": true });
    refused(&ours.send("PUT", &path, change).await, 403, "file of the host");
    let mut def = vmdef("web");
    def["cpudef"]["cores"] = 1.into();
    let changed = ours.send("PUT", &path, json!({ "vmdef": def })).await;
    assert!(changed.status.is_success(), "{}", changed.text);
    assert_eq!(ours.vm(&path).project.as_str(), "us");
    let listed = ours.send("GET", "/vms", json!({})).await.json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    refused(&ours.send("GET", "/hosts", json!({})).await, 403, "may not");
    let booted = ours.send("POST", &format!("{path}/runstate/boot"), json!({})).await;
    assert_eq!(booted.status, 204, "{}", booted.text);
}
