//! Every status that is no success, by operation.

use super::*;
use axum::body::Body;
use http::Request as HttpRequest;

#[tokio::test]
async fn common_400_is_a_body_that_is_missing_or_bad() {
    let fixture = fixture().await;
    let path = fixture.made(vmdef("web")).await;
    let boot = format!("{path}/runstate/boot");
    let migrate = format!("{path}/runstate/migrate");
    let register = format!("{path}/register");
    for (method, path) in [
        ("POST", "/vms"),
        ("GET", "/vms"),
        ("PUT", &path),
        ("DELETE", &path),
        ("POST", &boot),
        ("DELETE", &boot),
        ("POST", &migrate),
        ("PUT", &register),
        ("GET", "/hosts"),
    ] {
        for body in ["", "{", "[]", "7", "{} {}"] {
            let answered = fixture.door.send(method, path, body).await;
            refused(&answered, 400, "the body");
        }
    }
}

#[tokio::test]
async fn the_length_of_a_body_is_said_and_bounded() {
    let fixture = fixture().await;
    let largest = format!("{{{}}}", " ".repeat((1 << 20) - 3));
    assert_eq!(fixture.door.send("GET", "/vms", &largest).await.status, 200);
    refused(&fixture.door.send("GET", "/vms", &format!("{largest} ")).await, 400, "too large");
    for header in [("transfer-encoding", "chunked"), ("content-length", "x")] {
        let request = HttpRequest::get("/vms")
            .header("host", "localhost")
            .header(header.0, header.1)
            .body(Body::from("{}"))
            .unwrap();
        assert_eq!(fixture.door.answer(request).await.status, 400, "{header:?}");
    }
}

#[tokio::test]
async fn what_there_is_none_of_is_404_and_an_empty_uuid_400() {
    let fixture = fixture().await;
    for uuid in [NOBODY, "x", "%20"] {
        let path = format!("/vms/{uuid}");
        for (method, rest, body) in [
            ("GET", "", json!({})),
            ("PUT", "", json!({ "vmdef": vmdef("web") })),
            ("DELETE", "", json!({})),
            ("GET", "/runstate", json!({})),
            ("POST", "/runstate/boot", json!({})),
            ("DELETE", "/runstate/boot", json!({})),
            ("POST", "/runstate/pause", json!({})),
            ("DELETE", "/runstate/pause", json!({})),
            ("POST", "/runstate/migrate", json!({})),
            ("GET", "/runstate/migrate", json!({})),
            ("DELETE", "/runstate/migrate", json!({})),
        ] {
            let answered = fixture.send(method, &format!("{path}{rest}"), body).await;
            refused(&answered, 404, "there is no VM");
        }
        refused(&fixture.door.get(&format!("/hosts/{uuid}")).await, 404, "there is no host");
    }
    refused(&fixture.door.get(&format!("/hosts/{OTHER}")).await, 404, "there is no host");
    for path in ["/vms/", "/vms//runstate", "/vms//runstate/migrate", "/hosts/"] {
        refused(&fixture.door.get(path).await, 400, "uuid is empty");
    }
}

#[tokio::test]
async fn another_path_is_404_and_another_method_405() {
    let fixture = fixture().await;
    for path in ["/", "/cluster", "/vms/x/runstate/start", "/hosts/x/y"] {
        let answered = fixture.door.get(path).await;
        assert_eq!(
            (answered.status.as_u16(), answered.text.as_str()),
            (404, "404 page not found\n")
        );
    }
    for (method, path) in [("PATCH", "/vms"), ("POST", "/hosts"), ("PUT", "/vms/x/runstate/boot")] {
        let answered = fixture.send(method, path, json!({})).await;
        refused(&answered, 405, "Method Not Allowed");
        assert!(answered.headers.contains_key("allow"));
    }
}

#[tokio::test]
async fn vm_create_refuses_with_virtxs_statuses() {
    let fixture = fixture().await;
    fixture.made(vmdef("taken")).await;
    let with = |key: &str, value: Value| {
        let mut def = vmdef("web");
        def[key] = value;
        json!({ "vmdef": def })
    };
    let file = |path: &str| json!({ "path": path });
    let allowed = fixture.house.folder.path().join("allowed");
    std::fs::create_dir_all(&allowed).unwrap();
    let missing = allowed.join("missing.raw");
    for (body, status, part) in [
        (json!({}), 400, "name"),
        (with("name", json!("a b")), 400, "name"),
        (with("name", json!("taken")), 409, "taken"),
        (with("vlanid", json!(4095)), 400, "vlanid"),
        (with("firmware", json!(2)), 400, "2 is no FirmwareType"),
        (with("firmware", json!(70000)), 400, "firmware"),
        (with("memory", json!({ "total": 32, "hp": true })), 400, "memory.hp"),
        (with("osdisk", file("/etc/passwd.raw")), 400, "allowed"),
        (with("osdisk", file(missing.to_str().unwrap())), 507, "does not exist"),
        (json!({ "vmdef": vmdef("web"), "host": OTHER }), 503, "not known"),
        (json!({ "vmdef": vmdef("web"), "host": "x" }), 503, "not known"),
    ] {
        let answered = fixture.send("POST", "/vms", body.clone()).await;
        refused(&answered, status, part);
    }
    let listed = fixture.send("GET", "/vms", json!({})).await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "nothing of all that was made");
}

#[tokio::test]
async fn vm_create_takes_a_file_of_an_allowed_folder_as_it_is() {
    let fixture = fixture().await;
    let allowed = fixture.house.folder.path().join("allowed");
    std::fs::create_dir_all(&allowed).unwrap();
    let file = allowed.join("disk.raw");
    std::fs::write(&file, vec![0; 1 << 20]).unwrap();
    let mut def = vmdef("web");
    def["osdisk"] = json!({ "path": file.to_str().unwrap(), "man": 1 });
    let made = fixture.send("POST", "/vms", json!({ "vmdef": def })).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert!(made.headers["warning"].to_str().unwrap().contains("never deleted"));
    let path = format!("/vms/{}", made.json().as_str().unwrap());
    assert_eq!(fixture.get(&path).await["def"]["osdisk"]["path"], file.to_str().unwrap());
    // It has nothing of its own to lose.
    assert_eq!(fixture.send("DELETE", &path, json!({})).await.status, 204);
    assert!(file.exists());
}

#[tokio::test]
async fn vm_update_and_vm_delete_refuse_with_virtxs_statuses() {
    let fixture = fixture().await;
    let path = fixture.running("web").await;
    fixture.made(vmdef("taken")).await;
    let update = |def: Value| json!({ "vmdef": def });
    refused(&fixture.send("PUT", &path, update(vmdef("web"))).await, 422, "not powered off");
    let delete = json!({ "deletestorage": true });
    refused(&fixture.send("DELETE", &path, delete.clone()).await, 422, "not powered off");
    fixture.send("POST", &format!("{path}/runstate/pause"), json!({})).await;
    refused(&fixture.send("DELETE", &path, delete.clone()).await, 422, "not powered off");
    fixture.send("DELETE", &format!("{path}/runstate/boot"), json!({ "force": 1 })).await;

    refused(&fixture.send("PUT", &path, update(json!({}))).await, 400, "name");
    let mut taken = vmdef("web");
    taken["name"] = json!("taken");
    refused(&fixture.send("PUT", &path, update(taken)).await, 409, "taken");
    let mut other_disk = vmdef("web");
    other_disk["osdisk"]["path"] = json!("/vms/ds/web/other.qcow2");
    let lost = fixture.send("PUT", &path, update(other_disk.clone())).await;
    refused(&lost, 507, "/vms/ds/web/os.qcow2: say so with deletestorage");
    let said = json!({ "vmdef": other_disk, "deletestorage": true });
    assert_eq!(fixture.send("PUT", &path, said).await.status, 204);
    refused(&fixture.send("DELETE", &path, json!({})).await, 507, "deletestorage");
    assert_eq!(fixture.send("DELETE", &path, delete).await.status, 204);
}

#[tokio::test]
async fn a_definition_that_cannot_be_read_is_500() {
    let fixture = fixture().await;
    let id = VmId::new();
    let update = Update::VmQuarantined {
        id,
        name: "broken".parse().unwrap(),
        project: Default::default(),
        problem: "it is no JSON".into(),
    };
    fixture.house.context.view().barrier(vec![update]).await.unwrap();
    let path = format!("/vms/{id}");
    assert_eq!(fixture.get(&path).await["def"]["name"], "broken");
    let answered = fixture.send("PUT", &path, json!({ "vmdef": vmdef("web") })).await;
    refused(&answered, 500, "it is no JSON");
    let seed = json!({ "cloud_init": [{ "name": "ci-userdata", "value": "x" }] });
    refused(&fixture.send("POST", &format!("{path}/runstate/boot"), seed).await, 424, "");
}

#[tokio::test]
async fn the_machine_that_is_not_as_it_should_be_is_424() {
    let fixture = fixture().await;
    let path = fixture.made(vmdef("web")).await;
    let shutdown = |force: i32| json!({ "force": force });
    for (method, rest, body) in [
        ("POST", "pause", json!({})),
        ("DELETE", "pause", json!({})),
        ("DELETE", "boot", shutdown(0)),
        ("DELETE", "migrate", json!({})),
    ] {
        let answered = fixture.send(method, &format!("{path}/runstate/{rest}"), body).await;
        refused(&answered, 424, "");
    }
    let boot = format!("{path}/runstate/boot");
    assert_eq!(fixture.send("POST", &boot, json!({})).await.status, 204);
    refused(&fixture.send("POST", &boot, json!({})).await, 424, "running");
    for force in [-1, 3] {
        refused(&fixture.send("DELETE", &boot, shutdown(force)).await, 400, "is no Force");
    }
}

#[tokio::test]
async fn vm_migrate_decides_about_its_host_first() {
    let fixture = fixture().await;
    let path = fixture.made(vmdef("web")).await;
    let migrate = format!("{path}/runstate/migrate");
    for (body, status, part) in [
        (json!({}), 501, "no host"),
        (json!({ "host": THIS, "migration_type": 1 }), 422, "already"),
        (json!({ "host": OTHER, "migration_type": 1 }), 422, "runs or is paused"),
        (json!({ "host": OTHER, "migration_type": 0 }), 500, "not known"),
        (json!({ "host": OTHER, "migration_type": 2 }), 400, "is no MigrationType"),
    ] {
        refused(&fixture.send("POST", &migrate, body).await, status, part);
    }
    fixture.send("POST", &format!("{path}/runstate/boot"), json!({})).await;
    for (kind, status, part) in [(0, 422, "is powered off"), (1, 500, "not known")] {
        let body = json!({ "host": OTHER, "migration_type": kind });
        refused(&fixture.send("POST", &migrate, body).await, status, part);
    }
}

#[tokio::test]
async fn vm_register_refuses_another_host_and_a_vm_that_it_does_not_know() {
    let fixture = fixture().await;
    let path = fixture.made(vmdef("web")).await;
    let of_other = fixture.send("PUT", &format!("{path}/register"), json!({ "host": OTHER })).await;
    refused(&of_other, 422, "is not this one");
    let unknown =
        fixture.send("PUT", &format!("/vms/{NOBODY}/register"), json!({ "host": THIS })).await;
    refused(&unknown, 424, "there is no VM");
}

#[tokio::test]
async fn each_role_may_what_is_its_own() {
    let fixture = fixture().await;
    let path = fixture.made(vmdef("web")).await;
    let requests = [
        ("GET", String::from("/vms"), Role::Viewer),
        ("GET", path.clone(), Role::Viewer),
        ("GET", format!("{path}/runstate"), Role::Viewer),
        ("GET", format!("{path}/runstate/migrate"), Role::Viewer),
        ("GET", "/hosts".into(), Role::Viewer),
        ("POST", format!("{path}/runstate/boot"), Role::Operator),
        ("POST", format!("{path}/runstate/pause"), Role::Operator),
        ("DELETE", format!("{path}/runstate/pause"), Role::Operator),
        ("DELETE", format!("{path}/runstate/boot"), Role::Operator),
        ("POST", "/vms".into(), Role::Admin),
        ("PUT", path.clone(), Role::Admin),
        ("POST", format!("{path}/runstate/migrate"), Role::Admin),
        ("DELETE", format!("{path}/runstate/migrate"), Role::Admin),
        ("PUT", format!("{path}/register"), Role::Admin),
        ("DELETE", path.clone(), Role::Admin),
    ];
    for (rank, role) in [Role::Viewer, Role::Operator, Role::Admin].into_iter().enumerate() {
        let door = fixture.house.door(Virtx::open(), role);
        for (method, path, least) in &requests {
            let least = [Role::Viewer, Role::Operator, Role::Admin].iter().position(|r| r == least);
            let answered = door.send(method, path, "{}").await;
            let is_let_in = answered.status != 403;
            assert_eq!(is_let_in, rank >= least.unwrap(), "{role} {method} {path}");
        }
    }
}

#[tokio::test]
async fn an_operator_boots_a_vm_and_does_not_say_what_it_runs() {
    let fixture = fixture().await;
    let path = fixture.made(vmdef("web")).await;
    let boot = format!("{path}/runstate/boot");
    let seed = json!({ "cloud_init": [{ "name": "ci-userdata", "value": "#cloud-config" }] });
    let operator = fixture.house.door(Virtx::open(), Role::Operator);
    assert_eq!(operator.send("POST", &boot, &seed.to_string()).await.status, 403);
    assert_eq!(operator.send("POST", &boot, "{}").await.status, 204);
}
