//! What a project may take, as its owner hears it.

use super::*;
use innkeeper_model::Quota;

#[tokio::test]
async fn what_is_over_an_owners_quota_is_not_as_things_are() {
    let (house, door) = service(none()).await;
    ok(&post(&door, "/vm/create", printed()).await);
    let projects = house.context.operations().projects().unwrap();
    let quota = Quota { vms: Some(1), ..Quota::default() };
    projects.set(OWNER.parse().unwrap(), quota, None).await.unwrap();
    let mut second = printed();
    second["name"] = "second".into();
    let text = refused(&post(&door, "/vm/create", second).await, 409);
    assert!(text.contains(&format!("quota of project {OWNER}")), "{text}");
    assert_eq!(house.context.view().snapshot().vms.len(), 1);
}
