use super::*;
use serde_json::json;

fn created(payload: Value) -> Created {
    create(&payload).unwrap()
}

fn refused(payload: Value) -> String {
    create(&payload).unwrap_err().to_string()
}

#[test]
fn a_payload_becomes_a_vm() {
    let made = created(json!({
        "uuid": "01234567-89ab-7def-8123-456789abcdef",
        "alias": "web",
        "brand": "kvm",
        "hvm": true,
        "ram": "1024",
        "vcpus": 2,
        "quota": 10,
        "owner_uuid": "acme",
        "resolvers": [],
        "tags": { "role": "web", "count": 3, "on": true },
        "customer_metadata": { "cloud-init:user-data": "#cloud-config" },
        "disks": [
            { "size": 2048, "model": "scsi" },
            { "boot": true, "image_uuid": "debian", "model": "virtio" },
            { "media": "cdrom", "image_name": "tools" },
        ],
        "nics": [
            { "nic_tag": "lan", "ips": ["10.0.0.5/24", "fd00::5/64"] },
            { "nic_tag": "user", "ip": "dhcp", "model": "virtio", "primary": "true" },
        ],
    }));
    assert!(made.starts);
    assert_eq!(made.id.unwrap().to_string(), "01234567-89ab-7def-8123-456789abcdef");
    let expected: VmConfig = serde_json::from_value(json!({
        "name": "web",
        "project": "acme",
        "memory": "1GiB",
        "cpus": 2,
        "quota": "10GiB",
        "labels": { "role": "web", "count": "3", "on": "true" },
        "cloud_init": { "user_data": "#cloud-config" },
        "disks": [
            { "name": "disk0", "image": "debian", "bus": "virtio-blk" },
            { "name": "disk1", "size": "2GiB", "bus": "virtio-scsi" },
            { "name": "disk2", "image": "tools", "kind": "cdrom" },
        ],
        "nics": [
            { "name": "net0" },
            { "name": "net1", "network": "lan", "addresses": ["10.0.0.5", "fd00::5"] },
        ],
    }))
    .unwrap();
    assert_eq!(made.config, expected);
}

#[test]
fn what_a_payload_does_not_say_is_as_in_the_ancestor() {
    let made = created(json!({ "brand": "kvm", "autoboot": false }));
    assert!(!made.starts && made.id.is_none());
    assert!(made.config.name.as_str().starts_with("vm-"));
    assert_eq!(made.config.project.as_str(), "default");
    assert_ne!(made.config.name, created(json!({})).config.name);
}

#[test]
fn keys_and_values_that_mean_nothing_here_are_refused_by_name() {
    for (payload, text) in [
        (json!([]), "Invalid payload: not a JSON object"),
        (json!({ "colour": 1 }), "Invalid key: colour"),
        (json!({ "cpu_shares": 100 }), "Invalid key: cpu_shares"),
        (json!({ "disks": [{ "refreservation": 1 }] }), "Invalid key: disks.refreservation"),
        (json!({ "nics": [{ "gateway": "10.0.0.1" }] }), "Invalid key: nics.gateway"),
        (json!({ "customer_metadata": { "a": "b" } }), "Invalid key: customer_metadata.a"),
        (json!({ "brand": "lx" }), "Invalid value for brand: \"lx\" is not kvm or bhyve"),
        (json!({ "hvm": false }), "Invalid value for hvm: only true is possible here"),
        (
            json!({ "ram": "much" }),
            "Invalid value for ram: \"much\": invalid digit found in string",
        ),
        (
            json!({ "resolvers": ["8.8.8.8"] }),
            "Invalid value for resolvers: only [] is possible here",
        ),
        (json!({ "uuid": "7" }), "Invalid value for uuid: \"7\" is not a UUID in lower case"),
        (
            json!({ "tags": { "a": {} } }),
            "Invalid value for tags.a: is not a text, number or boolean",
        ),
        (json!({ "disks": {} }), "Invalid value for disks: is not an array"),
        (
            json!({ "disks": [{ "model": "floppy" }] }),
            "Invalid value for disks.model: \"floppy\" is not virtio, scsi or ahci",
        ),
        (
            json!({ "nics": [{ "model": "e1000" }] }),
            "Invalid value for nics.model: only \"virtio\" is possible here",
        ),
        (json!({ "quota": "lots" }), "Invalid value for quota: \"lots\" is not a number of GiB"),
    ] {
        assert_eq!(refused(payload.clone()), text, "{payload}");
    }
}

fn before() -> Spec {
    let config = json!({
        "name": "web",
        "labels": { "a": "1", "b": "2" },
        "quota": "5GiB",
        "disks": [{ "name": "root", "image": "debian" }, { "name": "data", "size": "1GiB" }],
        "nics": [{ "name": "net0", "mac": "52:54:00:00:00:01" }, { "name": "net1" }],
    });
    let chosen = json!({ "net0": "52:54:00:00:00:01", "net1": "52:54:00:00:00:02" });
    serde_json::from_value(json!({
        "id": "01234567-89ab-7def-8123-456789abcdef",
        "revision": 1,
        "created": "2026-01-02T03:04:05Z",
        "updated": "2026-01-02T03:04:05Z",
        "want": "stopped",
        "config": config,
        "assigned": { "machine": "m", "cpu_model": "c", "devices": {}, "ports": 4, "macs": chosen },
    }))
    .unwrap()
}

#[test]
fn an_update_changes_what_it_names() {
    let change = |payload: Value| {
        let after = change(&before(), &payload).unwrap();
        serde_json::to_value(after).unwrap()
    };
    for (payload, pointer, value) in [
        (json!({ "quota": "10" }), "/quota", json!("10GiB")),
        (json!({ "quota": 0.5 }), "/quota", json!("512MiB")),
        (json!({ "ram": "2048" }), "/memory", json!("2GiB")),
        (json!({ "alias": "www" }), "/name", json!("www")),
        (
            json!({ "set_tags": { "c": 3 }, "remove_tags": ["a"] }),
            "/labels",
            json!({ "b": "2", "c": "3" }),
        ),
        (json!({ "autoboot": false }), "/autostart", json!("never")),
        (json!({ "indestructible_zoneroot": "true" }), "/protected", json!(true)),
        (
            json!({ "remove_disks": ["some-id/data"] }),
            "/disks",
            json!([{ "name": "root", "image": "debian", "kind": "disk" }]),
        ),
        (
            json!({ "update_disks": [{ "path": "x/data", "size": 2048 }] }),
            "/disks/1/size",
            json!("2GiB"),
        ),
        (
            json!({ "update_disks": [{ "path": "x/data", "boot": true }] }),
            "/disks/0/name",
            json!("data"),
        ),
        (json!({ "add_disks": [{ "size": 512 }] }), "/disks/2/name", json!("disk0")),
        (json!({ "remove_nics": ["52:54:00:00:00:01"] }), "/nics/0/name", json!("net1")),
        (
            json!({ "update_nics": [{ "mac": "52:54:00:00:00:02", "nic_tag": "lan" }] }),
            "/nics/1/network",
            json!("lan"),
        ),
        (
            json!({ "update_nics": [{ "mac": "52:54:00:00:00:02", "primary": true }] }),
            "/nics/0/name",
            json!("net1"),
        ),
        (json!({ "add_nics": [{ "nic_tag": "lan" }] }), "/nics/2/name", json!("net2")),
    ] {
        let after = change(payload.clone());
        assert_eq!(after.pointer(pointer), Some(&value), "{payload}");
    }
    for nothing in [json!(null), json!(""), json!(0), json!("0")] {
        assert_eq!(change(json!({ "quota": nothing })).get("quota"), None);
    }
}

#[test]
fn an_update_of_what_cannot_be_changed_succeeds_and_changes_nothing() {
    let payload = json!({ "brand": "lx", "hvm": false, "uuid": "x", "zonename": "y", "last_modified": 1, "server_uuid": "z" });
    assert_eq!(change(&before(), &payload).unwrap(), before().config);
}

#[test]
fn an_update_of_what_is_not_there_is_refused() {
    for (payload, text) in [
        (json!({ "colour": 1 }), "Invalid key: colour"),
        (
            json!({ "remove_disks": ["x/other"] }),
            "Invalid value for remove_disks: there is no disk \"x/other\"",
        ),
        (
            json!({ "update_nics": [{ "mac": "x" }] }),
            "Invalid value for update_nics: there is no NIC \"x\"",
        ),
        (
            json!({ "update_disks": [{ "path": "x/data", "colour": 1 }] }),
            "Invalid key: update_disks.colour",
        ),
    ] {
        assert_eq!(change(&before(), &payload).unwrap_err().to_string(), text, "{payload}");
    }
}
