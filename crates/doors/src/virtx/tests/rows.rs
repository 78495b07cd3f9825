//! The sixteen routes, each with what it answers when all is well.

use super::*;

#[tokio::test]
async fn vm_create_answers_a_json_string_and_vm_get_is_never_404_after_it() {
    let fixture = fixture().await;
    let made = fixture.send("POST", "/vms", json!({ "vmdef": vmdef("web"), "host": THIS })).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.headers["content-type"], "application/json");
    let uuid = made.json().as_str().unwrap().to_owned();
    let vm = fixture.get(&format!("/vms/{uuid}")).await;
    assert_eq!(vm["uuid"], uuid);
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    // serde_json keeps keys in the order of the alphabet.
    assert_eq!(keys(&vm), ["def", "runinfo", "stats", "ts", "uuid"]);
    assert_eq!(vm["runinfo"], json!({ "runstate": 2, "host": THIS }));
    let mut stats = vm["stats"].clone();
    let oplog = stats.as_object_mut().unwrap().remove("oplog").unwrap();
    for (key, value) in stats.as_object().unwrap() {
        let expected = match key.as_str() {
            "memory_capacity" => 32,
            "disk_capacity" => 4,
            "disk_allocation" | "disk_physical" => 1,
            _ => 0,
        };
        assert_eq!(*value, expected, "{key}");
    }
    assert_eq!(stats.as_object().unwrap().len(), 9);
    assert_eq!(oplog["items"][0]["op"], "VmCreate");
    assert_eq!(oplog["items"][0]["status"], "completed");
    let expected = json!({
        "name": "web",
        "cpudef": { "model": "host-model", "nodes": 1, "sockets": 1, "cores": 2, "threads": 1 },
        "memory": { "total": 32, "hp": false },
        "numa": { "placement": false },
        "osdisk": {
            "path": "/vms/ds/web/os.qcow2", "device": 0, "bus": 0, "man": 1, "prov": 1, "size": 4,
        },
        "disks": [],
        "nets": [],
        "vlanid": 0,
        "firmware": 0,
        "genid": "",
        "custom": [{ "name": "role", "value": "web" }],
    });
    assert_eq!(vm["def"], expected);
    assert!(vm["ts"].as_i64().unwrap() > 1_677_721_600_000);
}

#[tokio::test]
async fn fields_are_in_virtxs_order() {
    let fixture = fixture().await;
    let path = fixture.made(vmdef("web")).await;
    let text = fixture.door.get(&path).await.text;
    let def = "\"def\":{\"name\":\"web\",\"cpudef\":{\"model\":\"host-model\",\"nodes\":1,\"sockets\":1,\
               \"cores\":2,\"threads\":1},\"memory\":{\"total\":32,\"hp\":false},\"numa\":{\"placement\":\
               false},\"osdisk\":{\"path\":\"/vms/ds/web/os.qcow2\",\"device\":0,\"bus\":0,\"man\":1,\
               \"prov\":1,\"size\":4},\"disks\":[],\"nets\":[],\"vlanid\":0,\"firmware\":0,\"genid\":\"\",\
               \"custom\":[{\"name\":\"role\",\"value\":\"web\"}]},\"runinfo\":{\"runstate\":2,\"host\":";
    assert!(text.contains(def), "{text}");
    let text = fixture.door.send("GET", "/vms", "{}").await.text;
    let fields = "\"fields\":{\"name\":\"web\",\"host\":\"e88a75a6-7ae6-487c-9634-6553d3793437\",\
                  \"runstate\":2,\"vlanid\":0,\"custom\":{\"name\":\"role\",\"value\":\"web\"},\"ts\":";
    assert!(text.contains(fields), "{text}");
}

/// That a text has members of all these names, one behind the other.
#[track_caller]
fn has_in_order(text: &str, names: &[&str]) {
    let mut rest = text;
    for name in names {
        let member = format!("\"{name}\":");
        let at =
            rest.find(&member).unwrap_or_else(|| panic!("no {name} where it should be: {text}"));
        rest = &rest[at + member.len()..];
    }
}

#[tokio::test]
async fn members_of_vms_and_hosts_are_in_virtxs_order() {
    let fixture = fixture().await;
    let vm = fixture.made(vmdef("web")).await;
    let vm = fixture.door.get(&vm).await.text;
    has_in_order(&vm, &["uuid", "def", "runinfo", "runstate", "host", "stats", "ts"]);
    let stats = [
        "cpu_utilization",
        "mhz_used",
        "memory_capacity",
        "memory_used",
        "disk_capacity",
        "disk_allocation",
        "disk_physical",
        "net_rx_bw",
        "net_tx_bw",
        "oplog",
        "items",
        "op",
        "ts",
        "te",
        "status",
        "msg",
    ];
    has_in_order(&vm, &stats);
    let cpudef = ["cpudef", "model", "nodes", "sockets", "cores", "threads"];
    let described = [&["name", "cpuarch", "arch", "vendor"][..], &cpudef].concat();
    let host = fixture.door.get(&format!("/hosts/{THIS}")).await.text;
    has_in_order(
        &host,
        &["uuid", "def", "cstate", "lockid", "resources", "memory", "hp", "cpu", "ts"],
    );
    let def = ["tscfreq", "sysinfo", "version", "date", "osid", "osv", "cstate"];
    has_in_order(&host, &[&described[..], &def].concat());
    let resource = ["total", "used", "free", "usedos", "reservedvms", "usedvms", "availablevms"];
    has_in_order(&host, &[&["resources", "memory"][..], &resource, &["hp"], &resource].concat());
    let listed = fixture.door.send("GET", "/hosts", "{}").await.text;
    let fields = ["cstate", "memoryavailable", "hpavailable", "osid", "osv", "ts"];
    has_in_order(&listed, &[&["items", "uuid", "fields"][..], &described, &fields].concat());
}

#[tokio::test]
async fn vm_update_changes_it_with_204_and_a_warning_makes_it_200() {
    let fixture = fixture().await;
    let path = fixture.made(vmdef("web")).await;
    let mut def = fixture.get(&path).await["def"].clone();
    def["name"] = json!("other");
    def["memory"]["total"] = json!(48);
    def["custom"] = json!([]);
    let updated = fixture.send("PUT", &path, json!({ "vmdef": def })).await;
    assert_eq!((updated.status.as_u16(), updated.text.as_str()), (204, ""));
    assert_eq!(fixture.get(&path).await["def"], def);
    def["disks"] = json!([{ "path": "/x.raw", "man": 1, "prov": 2, "size": 1 }]);
    let updated = fixture.send("PUT", &path, json!({ "vmdef": def })).await;
    assert_eq!(updated.status, 200);
    let warning = updated.headers["warning"].to_str().unwrap();
    assert_eq!(warning, "299 VirtX \"/x.raw was made thin: this host makes no thick disks\"");
    assert_eq!(fixture.get(&path).await["def"]["disks"][0]["prov"], 1);
}

#[tokio::test]
async fn vm_delete_answers_204() {
    let fixture = fixture().await;
    let path = fixture.made(vmdef("web")).await;
    let deleted = fixture.send("DELETE", &path, json!({ "deletestorage": true })).await;
    assert_eq!((deleted.status.as_u16(), deleted.text.as_str()), (204, ""));
    refused(&fixture.door.get(&path).await, 404, "there is no VM");
}

#[tokio::test]
async fn vm_migrate_get_of_one_that_never_went_is_all_zero() {
    let fixture = fixture().await;
    let path = fixture.made(vmdef("web")).await;
    let text = fixture.door.get(&format!("{path}/runstate/migrate")).await.text;
    let zero =
        "{\"state\":0,\"progress\":{\"total\":0,\"transferred\":0,\"remaining\":0,\"rate\":0.0}}";
    assert_eq!(text, zero);
}

#[tokio::test]
async fn vm_register_of_a_known_vm_answers_200() {
    let fixture = fixture().await;
    let path = format!("{}/register", fixture.made(vmdef("web")).await);
    for host in [THIS, ""] {
        let answered = fixture.send("PUT", &path, json!({ "host": host })).await;
        assert_eq!((answered.status.as_u16(), answered.text.as_str()), (200, ""));
    }
}

#[tokio::test]
async fn host_list_and_host_get_show_this_host() {
    let fixture = fixture().await;
    let path = fixture.running("web").await;
    let host = fixture.get(&format!("/hosts/{THIS}")).await;
    assert_eq!(
        (&host["uuid"], &host["cstate"], &host["lockid"]),
        (&json!(THIS), &json!(1), &json!(0))
    );
    assert_eq!(host["def"]["name"], "inn-1");
    assert_eq!(host["def"]["cpuarch"]["arch"], std::env::consts::ARCH);
    for key in ["tscfreq", "sysinfo", "osid", "osv", "cpudef"] {
        assert!(!host["def"][key].is_null(), "{key}");
    }
    assert_eq!(host["resources"]["memory"]["reservedvms"], 32);
    for what in ["memory", "hp", "cpu"] {
        assert_eq!(host["resources"][what].as_object().unwrap().len(), 7, "{what}");
    }
    let listed = fixture.door.send("GET", "/hosts", "{}").await.json();
    let items = listed["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["uuid"]), (1, &json!(THIS)));
    let fields = &items[0]["fields"];
    assert_eq!(fields.as_object().unwrap().len(), 9);
    assert_eq!((&fields["name"], &fields["cstate"]), (&json!("inn-1"), &json!(1)));
    assert!(fields["memoryavailable"].as_i64().unwrap() > 0);
    fixture.send("DELETE", &format!("{path}/runstate/boot"), json!({ "force": 2 })).await;
    let host = fixture.get(&format!("/hosts/{THIS}")).await;
    assert_eq!(host["resources"]["memory"]["reservedvms"], 0);
}

#[tokio::test]
async fn another_managers_vm_is_shown_and_left_alone() {
    let fixture = fixture().await;
    let path = fixture.domain().await;
    let vm = fixture.get(&path).await;
    assert_eq!(vm["def"]["name"], "A domain");
    assert_eq!(
        (&vm["def"]["cpudef"]["cores"], &vm["def"]["memory"]["total"]),
        (&json!(3), &json!(128))
    );
    assert_eq!(vm["runinfo"]["runstate"], 4);
    assert_eq!(fixture.get(&format!("{path}/runstate")).await, vm["runinfo"]);
    let listed = fixture.door.send("GET", "/vms", "{}").await.json();
    assert_eq!(listed["items"][0]["fields"]["name"], "A domain");
    for (method, rest, body) in [
        ("PUT", "", json!({ "vmdef": vmdef("web") })),
        ("DELETE", "", json!({ "deletestorage": true })),
        ("POST", "/runstate/boot", json!({})),
        ("DELETE", "/runstate/boot", json!({ "force": 0 })),
        ("DELETE", "/runstate/boot", json!({ "force": 2 })),
        ("POST", "/runstate/pause", json!({})),
        ("DELETE", "/runstate/pause", json!({})),
        ("POST", "/runstate/migrate", json!({ "host": OTHER, "migration_type": 1 })),
        ("DELETE", "/runstate/migrate", json!({})),
        ("PUT", "/register", json!({ "host": THIS })),
    ] {
        let answered = fixture.send(method, &format!("{path}{rest}"), body).await;
        refused(&answered, 409, "inn adopt");
    }
}
