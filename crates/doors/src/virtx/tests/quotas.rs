//! What a project may take: told as what the host has not is.

use super::*;
use innkeeper_model::Quota;

#[tokio::test]
async fn what_is_over_a_projects_quota_is_as_a_full_disk() {
    let fixture = fixture().await;
    let path = fixture.made(vmdef("one")).await;
    let projects = fixture.house.context.operations().projects().unwrap();
    let quota = Quota { vms: Some(1), ..Quota::default() };
    projects.set(fixture.vm(&path).project.clone(), quota, None).await.unwrap();
    let answered = fixture.send("POST", "/vms", json!({ "vmdef": vmdef("two") })).await;
    refused(&answered, 507, "quota of project");
    let listed = fixture.send("GET", "/vms", json!({})).await.json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
}
