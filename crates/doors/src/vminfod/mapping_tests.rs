//! A table a part of the object.

use super::*;
use crate::{testing, vminfod::query::as_json};
use innkeeper_model::{
    DiskFacts, Facts, GuestAddress, Mebibytes, Revision, SmallMap, Timestamp, VmConfig, VmId,
    network::AddressSource,
};
use serde_json::{Value, json};
use std::sync::Arc;

const ID: &str = "01234567-89ab-7def-8123-456789abcdef";

fn id() -> VmId {
    ID.parse().unwrap()
}

fn vm(config: Value) -> Vm {
    let config: VmConfig = serde_json::from_value(config).unwrap();
    let spec = Spec {
        created: "2026-01-02T03:04:05.678901Z".parse().unwrap(),
        updated: "2026-01-02T03:04:06Z".parse().unwrap(),
        ..testing::spec(id(), config)
    };
    Vm {
        id: id(),
        name: spec.config.name.clone(),
        project: spec.config.project.clone(),
        state: VmState::Stopped,
        want: Some(spec.want),
        revision: Revision(1),
        task: None,
        problem: None,
        facts: Facts::default(),
        spec: Some(Arc::new(spec)),
        incarnation: None,
        managed: None,
        memory: None,
        dumped: None,
        disks: Vec::new(),
        addresses: Vec::new(),
        guest: None,
        interrupted: None,
    }
}

fn spec_mut(vm: &mut Vm) -> &mut Spec {
    Arc::make_mut(vm.spec.as_mut().unwrap())
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

#[test]
fn a_vm_of_which_nothing_is_said_has_what_is_always_there_and_no_more() {
    assert_eq!(
        as_json(&vm(json!({ "name": "web" }))),
        json!({
            "uuid": ID,
            "zonename": ID,
            "alias": "web",
            "brand": "kvm",
            "hvm": true,
            "v": 1,
            "owner_uuid": "00000000-0000-0000-0000-000000000000",
            "state": "stopped",
            "zone_state": "installed",
            "autoboot": false,
            "create_timestamp": "2026-01-02T03:04:05.678Z",
            "last_modified": "2026-01-02T03:04:06.000Z",
            "ram": 512,
            "vcpus": 1,
            "bootrom": "bios",
            "nics": [],
            "resolvers": [],
            "routes": {},
            "snapshots": [],
            "firewall_enabled": false,
            "customer_metadata": {},
            "internal_metadata": {},
            "tags": {},
        })
    );
}

#[test]
fn settings_have_their_units_and_places() {
    for (config, key, value) in [
        (json!({ "memory": "2GiB" }), "ram", json!(2048)),
        (json!({ "cpus": 4 }), "vcpus", json!(4)),
        (json!({ "quota": "10GiB" }), "quota", json!(10)),
        (json!({ "quota": "512MiB" }), "quota", json!(0.5)),
        (json!({ "project": "acme" }), "owner_uuid", json!("acme")),
        (json!({ "protected": true }), "indestructible_zoneroot", json!(true)),
        (json!({ "boot": { "firmware": "uefi" } }), "bootrom", json!("uefi")),
        (json!({ "boot": { "kernel": { "image": "k" } } }), "bootrom", Value::Null),
        (
            json!({ "labels": { "role": "web", "a.b": "" } }),
            "tags",
            json!({ "role": "web", "a.b": "" }),
        ),
        (json!({ "cloud_init": { "user_data": "secret" } }), "customer_metadata", json!({})),
    ] {
        let mut whole = json!({ "name": "web" });
        whole.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
        let object = as_json(&vm(whole));
        assert_eq!(object.get(key).cloned().unwrap_or_default(), value, "{config}");
    }
}

#[test]
fn disks_are_in_mebibytes_and_have_a_path_of_their_own() {
    let mut vm = vm(json!({ "name": "web", "disks": [
        { "name": "root", "image": "debian" },
        { "name": "data", "size": "1GiB", "bus": "virtio-scsi" },
        { "name": "host", "path": "/srv/x.raw", "format": "raw" },
        { "name": "cd", "image": "iso", "kind": "cdrom" },
    ] }));
    vm.disks = vec![DiskFacts {
        name: "root".parse().unwrap(),
        // A little of a MiB takes one.
        virtual_size: ByteSize((2 << 30) + 512),
        allocated: ByteSize(1),
    }];
    assert_eq!(
        as_json(&vm)["disks"],
        json!([
            { "path": format!("{ID}/root"), "size": 2049, "model": "virtio", "media": "disk",
              "boot": true, "image_name": "debian" },
            { "path": format!("{ID}/data"), "size": 1024, "model": "scsi", "media": "disk", "boot": false },
            { "path": "/srv/x.raw", "model": "virtio", "media": "disk", "boot": false },
            { "path": format!("{ID}/cd"), "model": "ahci", "media": "cdrom", "boot": false,
              "image_name": "iso" },
        ])
    );
}

#[test]
fn nics_have_their_hardware_address_and_what_is_known_of_the_other() {
    let mut vm = vm(json!({ "name": "web", "nics": [
        { "name": "net0", "network": "lan" },
        { "name": "net1" },
        { "name": "net2", "network": "none" },
    ] }));
    let macs = ["52:54:00:00:00:01", "52:54:00:00:00:02", "52:54:00:00:00:03"];
    spec_mut(&mut vm).assigned.macs = ["net0", "net1", "net2"]
        .into_iter()
        .zip(macs)
        .map(|(name, mac)| (name, mac.parse().unwrap()))
        .collect::<SmallMap<_>>();
    vm.addresses = ["fd00::5", "10.0.0.5"]
        .map(|address| GuestAddress {
            nic: Some("net0".parse().unwrap()),
            address: address.parse().unwrap(),
            source: AddressSource::Lease,
        })
        .into();
    // What only the guest says, where it has an address of the network's or none that leads to it.
    vm.addresses.extend([("net0", "10.0.0.1"), ("net1", "10.0.2.15"), ("net2", "10.0.0.6")].map(
        |(nic, address)| GuestAddress {
            nic: Some(nic.parse().unwrap()),
            address: address.parse().unwrap(),
            source: AddressSource::Agent,
        },
    ));
    assert_eq!(
        as_json(&vm)["nics"],
        json!([
            { "mac": macs[0], "interface": "net0", "nic_tag": "lan", "ip": "10.0.0.5",
              "ips": ["10.0.0.5", "fd00::5"], "model": "virtio", "primary": true },
            { "mac": macs[1], "interface": "net1", "nic_tag": "user", "ip": "dhcp", "ips": ["dhcp"],
              "model": "virtio" },
            { "mac": macs[2], "interface": "net2", "nic_tag": "none", "model": "virtio" },
        ])
    );
}

#[test]
fn every_state_has_its_two_words() {
    use MachineState::{Absent, Created, Ended, Paused, Running, Unresponsive};
    for (state, machine, word, zone, failed) in [
        (VmState::Stopped, Absent, "stopped", "installed", false),
        (VmState::Starting, Created, "ready", "ready", false),
        (VmState::Running, Running, "running", "running", false),
        (VmState::Paused, Paused, "paused", "running", false),
        (VmState::Ended, Ended, "shutting_down", "shutting_down", false),
        (VmState::Unresponsive, Unresponsive, "unresponsive", "running", false),
        (VmState::Suspended, Absent, "suspended", "installed", false),
        (VmState::Interrupted, Absent, "failed", "installed", true),
        (VmState::Interrupted, Running, "failed", "running", true),
        (VmState::Quarantined, Absent, "failed", "incomplete", true),
    ] {
        let mut vm = vm(json!({ "name": "web" }));
        (vm.state, vm.facts.machine) = (state, machine);
        let object = as_json(&vm);
        let found = (&object["state"], &object["zone_state"], object.get("failed").is_some());
        assert_eq!(found, (&json!(word), &json!(zone), failed), "{state} {machine:?}");
    }
}

#[test]
fn a_machine_has_a_beginning_and_an_end() {
    let mut vm = vm(json!({ "name": "web" }));
    let shown = |vm: &Vm| {
        let object = as_json(vm);
        ["boot_timestamp", "pid", "init_restarts", "exit_status", "exit_timestamp"]
            .map(|key| object.get(key).cloned().unwrap_or_default())
    };
    vm.facts.machine = MachineState::Running;
    vm.facts.resets = 2;
    vm.facts.last_end = Some(EndReason::Killed);
    vm.facts.since = Some(at(7));
    assert_eq!(shown(&vm), [json!(null), json!(null), json!(2), json!(null), json!(null)]);
    vm.facts.machine = MachineState::Absent;
    for (end, status) in [
        (EndReason::Killed, json!(-9)),
        (EndReason::GuestShutdown, json!(0)),
        (EndReason::GuestReset, json!(0)),
        (EndReason::GuestPanic, json!(null)),
        (EndReason::HypervisorDied { status: None }, json!(null)),
    ] {
        vm.facts.last_end = Some(end);
        let ended = json!("1970-01-01T00:00:07.000Z");
        assert_eq!(shown(&vm), [json!(null), json!(null), json!(null), status, ended]);
    }
}

#[test]
fn it_is_started_with_the_host_if_it_should_run_and_may_be() {
    for (want, autostart, expected) in [
        (Want::Running, Autostart::Auto, true),
        (Want::Paused, Autostart::Auto, true),
        (Want::Running, Autostart::Never, false),
        (Want::Stopped, Autostart::Auto, false),
    ] {
        let mut vm = vm(json!({ "name": "web" }));
        spec_mut(&mut vm).want = want;
        spec_mut(&mut vm).config.autostart = autostart;
        assert_eq!(as_json(&vm)["autoboot"], expected, "{want:?} {autostart:?}");
    }
}

#[test]
fn a_vm_of_another_manager_is_shown_in_its_words() {
    let mut vm = vm(json!({ "name": "my-web-01234567" }));
    vm.spec = None;
    vm.managed = Some(Arc::new(Managed {
        by: "libvirt".into(),
        as_of: None,
        lost: None,
        machine: ManagedMachine {
            name: "my web".into(),
            cpus: 2,
            memory: Mebibytes(1024),
            disks: vec![ManagedDisk {
                target: "vda".into(),
                source: Some("/srv/web.qcow2".into()),
                size: Some(ByteSize::from_gibibytes(1)),
                read_only: false,
            }],
            nics: vec![ManagedNic {
                mac: "52:54:00:00:00:01".parse().unwrap(),
                network: Some("default".into()),
                interface: None,
            }],
            autostart: true,
            ..ManagedMachine::default()
        },
    }));
    let object = as_json(&vm);
    for (key, value) in [
        ("alias", json!("my web")),
        ("managed_by", json!("libvirt")),
        ("ram", json!(1024)),
        ("vcpus", json!(2)),
        ("autoboot", json!(true)),
        ("disks", json!([{ "path": "/srv/web.qcow2", "size": 1024, "boot": true }])),
        ("nics", json!([{ "mac": "52:54:00:00:00:01", "nic_tag": "default", "primary": true }])),
    ] {
        assert_eq!(object[key], value, "{key}");
    }
    assert_eq!(object.get("create_timestamp"), None);
}

#[test]
fn what_a_manager_said_that_cannot_be_asked_any_more_has_its_age() {
    let mut vm = vm(json!({ "name": "web" }));
    vm.spec = None;
    vm.state = VmState::Running;
    let managed = |as_of: Option<Timestamp>, lost: Option<&str>| {
        let lost = lost.map(str::to_owned);
        Managed { by: "libvirt".into(), as_of, lost, machine: ManagedMachine::default() }
    };
    for (known, problem) in [
        (managed(None, None), None),
        (
            managed(Some(at(7)), Some("no socket")),
            Some("libvirt cannot be asked; this was so at 1970-01-01T00:00:07.000Z: no socket"),
        ),
    ] {
        vm.managed = Some(Arc::new(known));
        let object = as_json(&vm);
        assert_eq!(
            (object["state"].as_str(), object["problem"].as_str()),
            (Some("running"), problem)
        );
    }
    // What is wrong with the VM itself goes first.
    vm.problem = Some("what".into());
    assert_eq!(as_json(&vm)["problem"], "what");
}

#[test]
fn every_key_of_an_object_can_be_filtered_by() {
    let mut vm = vm(json!({ "name": "web", "protected": true, "quota": "1GiB",
        "disks": [{ "name": "root", "image": "debian" }] }));
    vm.state = VmState::Interrupted;
    vm.facts.last_end = Some(EndReason::Killed);
    vm.facts.since = Some(at(7));
    vm.problem = Some("what".into());
    for key in as_json(&vm).as_object().unwrap().keys() {
        crate::vminfod::check_key(key).unwrap();
    }
}
