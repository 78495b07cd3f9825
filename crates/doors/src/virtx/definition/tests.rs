use super::{
    super::{
        numbers::{DiskBus, DiskDevice, DiskManMode, DiskProvMode, NetModel, NetType},
        wire::{Disk, Net},
    },
    *,
};
use crate::testing::House;
use innkeeper_engine::{NetworkRequest, Request};
use innkeeper_model::{ByteSize, DiskFormat, Revision, Timestamp, VmId, Want, config};
use innkeeper_view::{View, ViewOptions};
use serde_json::json;
use std::sync::Arc;

/// An empty house.
fn nothing() -> Arc<Snapshot> {
    View::start(ViewOptions::new(uuid::Uuid::now_v7())).snapshot()
}

fn managed(path: &str) -> Disk {
    Disk {
        path: path.into(),
        man: DiskManMode::Managed,
        prov: DiskProvMode::Thin,
        size: 16,
        ..Disk::default()
    }
}

fn def() -> Vmdef {
    Vmdef {
        name: "web".into(),
        cpudef: Cpudef {
            model: "host-passthrough".into(),
            nodes: 1,
            sockets: 2,
            cores: 3,
            threads: 1,
        },
        memory: Memory { total: 64, hp: false },
        osdisk: managed("/vms/ds/web/os.qcow2"),
        ..Vmdef::default()
    }
}

/// A VM of this definition, as it is stored.
fn stored(config: VmConfig) -> Spec {
    Spec {
        id: VmId::new(),
        revision: Revision(1),
        created: Timestamp::now(),
        updated: Timestamp::now(),
        want: Want::Stopped,
        draft: false,
        driver: None,
        config,
        assigned: Default::default(),
    }
}

fn config_of(def: &Vmdef) -> VmConfig {
    wanted(def, None, &nothing()).unwrap().config
}

/// What a VM of this definition is shown as.
fn read_back(def: &Vmdef, now: &Snapshot) -> Vmdef {
    let spec = stored(wanted(def, None, now).unwrap().config);
    let vm = Vm {
        id: spec.id,
        name: spec.config.name.clone(),
        ..serde_json::from_value(json!({
            "id": spec.id, "name": "x", "project": "default", "state": "stopped", "revision": 1,
            "facts": { "machine": "absent" },
        }))
        .unwrap()
    };
    shown(&Vm { spec: Some(Arc::new(spec)), ..vm }, now)
}

#[track_caller]
fn refused(def: &Vmdef, field: &str) {
    let refusal = wanted(def, None, &nothing()).unwrap_err();
    assert_eq!(refusal.field.as_deref(), Some(field), "{refusal}");
}

/// The definition with something else about it.
fn with(change: impl FnOnce(&mut Vmdef)) -> Vmdef {
    let mut def = def();
    change(&mut def);
    def
}

#[tokio::test]
async fn a_definition_is_shown_as_it_was_given() {
    let full = with(|def| {
        def.disks = vec![
            Disk { bus: DiskBus::VirtioScsi, ..managed("/vms/ds/web/data.raw") },
            Disk {
                path: "/vms/ds/iso/setup.iso".into(),
                device: DiskDevice::Cdrom,
                bus: DiskBus::Sata,
                ..Disk::default()
            },
        ];
        def.nets =
            vec![Net { name: "user".into(), mac: "52:54:00:12:34:56".into(), ..Net::default() }];
        def.vlanid = 0;
        def.firmware = FirmwareType::Uefi;
        def.custom = vec![CustomField { name: "role".into(), value: "web_1".into() }];
    });
    assert_eq!(read_back(&full, &nothing()), full);
}

#[tokio::test]
async fn each_rule_of_a_definition_names_its_field() {
    for (change, field) in [
        ((|def| def.name = String::new()) as fn(&mut Vmdef), "name"),
        (|def| def.name = "a b".into(), "name"),
        (|def| def.cpudef.model = String::new(), "cpudef.model"),
        (|def| def.cpudef.model = "a,b=c".into(), "cpu_model"),
        (|def| def.cpudef.nodes = -1, "cpudef.nodes"),
        (|def| def.cpudef.sockets = 0, "cpudef.sockets"),
        (|def| def.cpudef.cores = -1, "cpudef.cores"),
        (|def| def.cpudef.threads = 0, "cpudef.threads"),
        (|def| def.cpudef.threads = 2, "cpudef.threads"),
        (|def| (def.cpudef.sockets, def.cpudef.cores) = (i16::MAX, i16::MAX), "cpudef"),
        (|def| def.cpudef.sockets = 1000, "cpus"),
        (|def| def.memory.total = 0, "memory.total"),
        (|def| def.memory.total = 1, "memory"),
        (|def| def.memory.hp = true, "memory.hp"),
        (|def| def.numa.placement = true, "numa.placement"),
        (|def| def.genid = "auto".into(), "genid"),
        (|def| def.genid = VmId::new().to_string(), "genid"),
        (|def| def.vlanid = -1, "vlanid"),
        (|def| def.vlanid = 4095, "vlanid"),
        (|def| def.osdisk.path = String::new(), "osdisk.path"),
        (|def| def.osdisk.path = "os.qcow2".into(), "osdisk.path"),
        (|def| def.osdisk.path = "/vms/../etc/os.raw".into(), "osdisk.path"),
        (|def| def.osdisk.path = "/vms//os.raw".into(), "osdisk.path"),
        (|def| def.osdisk.path = "/vms/os.raw/".into(), "osdisk.path"),
        (|def| def.osdisk.path = "/vms/os.vmdk".into(), "osdisk.path"),
        (|def| def.osdisk.path = format!("/{}.raw", "x".repeat(300)), "osdisk.path"),
        (|def| def.osdisk.device = DiskDevice::Lun, "osdisk.device"),
        (|def| def.osdisk.device = DiskDevice::Cdrom, "osdisk.bus"),
        (|def| def.osdisk.bus = DiskBus::Sata, "osdisk.bus"),
        (|def| def.osdisk.bus = DiskBus::Scsi, "osdisk.bus"),
        (|def| def.osdisk.size = 0, "osdisk.size"),
        (|def| def.osdisk.size = -1, "osdisk.size"),
        (|def| def.disks = vec![managed("/vms/ds/web/os.qcow2")], "disks[0].path"),
        (|def| def.disks = vec![managed("/x.raw"); 21], "disks"),
        (
            |def| {
                let (device, bus) = (DiskDevice::Cdrom, DiskBus::Sata);
                def.disks = vec![Disk { device, bus, ..managed("/x.iso") }];
            },
            "disks[0].prov",
        ),
        (|def| def.nets = vec![Net { name: "user".into(), ..Net::default() }; 9], "nets"),
        (|def| def.nets = vec![Net { name: "lan".into(), ..Net::default() }], "nets[0].name"),
        (|def| def.nets = vec![Net::default()], "nets[0].name"),
        (
            |def| {
                let nettype = NetType::Bridge;
                def.nets = vec![Net { name: "br0".into(), nettype, ..Net::default() }];
            },
            "nets[0].name",
        ),
        (
            |def| {
                let model = NetModel::E1000e;
                def.nets = vec![Net { name: "user".into(), model, ..Net::default() }];
            },
            "nets[0].model",
        ),
        (
            |def| {
                let mac = "52:54:00:12:34".into();
                def.nets = vec![Net { name: "user".into(), mac, ..Net::default() }];
            },
            "nets[0].mac",
        ),
        (|def| def.custom = vec![field("a-b", "")], "custom[0].name"),
        (|def| def.custom = vec![field("virtx.vlanid", "")], "custom[0].name"),
        (|def| def.custom = vec![field("a", "é")], "custom[0].value"),
    ] {
        refused(&with(change), field);
    }
}

/// virtx marks it beside, because libvirt forgets it when a VM goes to another host; here it is the VM's own.
#[tokio::test]
async fn point_6_firmware_is_kept() {
    for firmware in [FirmwareType::Bios, FirmwareType::Uefi] {
        let def = with(|def| def.firmware = firmware);
        assert_eq!(read_back(&def, &nothing()).firmware, firmware);
    }
}

fn field(name: &str, value: &str) -> CustomField {
    CustomField { name: name.into(), value: value.into() }
}

#[tokio::test]
async fn cpus_are_sockets_by_cores_and_their_model_has_libvirts_names() {
    for (asked, model) in [
        ("host-passthrough", Some("host")),
        ("maximum", Some("max")),
        ("host-model", None),
        ("EPYC", Some("EPYC")),
    ] {
        let config = config_of(&with(|def| def.cpudef.model = asked.into()));
        assert_eq!((config.cpus, config.cpu_model.as_deref()), (6, model));
        assert_eq!(cpudef(&config).model, asked);
    }
    // Changed elsewhere: what was asked for is no more.
    let config = VmConfig { cpus: 4, ..config_of(&def()) };
    let Cpudef { nodes, sockets, cores, threads, .. } = cpudef(&config);
    assert_eq!([nodes, sockets, cores, threads], [0, 1, 4, 1]);
}

#[tokio::test]
async fn a_disk_is_made_or_is_the_file_that_there_is() {
    let file = |path: &str, man| Disk { path: path.into(), man, ..Disk::default() };
    let def = with(|def| {
        def.osdisk.prov = DiskProvMode::Thick;
        def.disks = vec![
            file("/data/a.qcow2", DiskManMode::Unmanaged),
            // What virtx reads back of such a disk: it says how full the file is.
            Disk { prov: DiskProvMode::Thin, ..file("/data/b.raw", DiskManMode::Unmanaged) },
            file("/data/c.raw", DiskManMode::Managed),
            file("/data/d.iso", DiskManMode::Unmanaged),
            file("/dev/mapper/e", DiskManMode::Unmanaged),
        ];
    });
    let Wanted { config, warnings } = wanted(&def, None, &nothing()).unwrap();
    let [os, a, b, c, d, e] = &config.disks[..] else { panic!("{:?}", config.disks) };
    assert_eq!((os.name.as_str(), os.size, &os.path), ("osdisk", Some(ByteSize(16 << 20)), &None));
    let facts = |disk: &config::Disk| {
        let path = disk.path.as_ref().unwrap().to_str().unwrap().to_owned();
        (disk.name.to_string(), path, disk.format.unwrap(), disk.read_only)
    };
    let expected = |name: &str, path: &str, format, read_only| {
        (name.to_owned(), path.to_owned(), format, read_only)
    };
    assert_eq!(facts(a), expected("disk1", "/data/a.qcow2", DiskFormat::Qcow2, false));
    assert_eq!(facts(b), expected("disk2", "/data/b.raw", DiskFormat::Raw, false));
    assert_eq!(facts(c), expected("disk3", "/data/c.raw", DiskFormat::Raw, false));
    assert_eq!(facts(d), expected("disk4", "/data/d.iso", DiskFormat::Raw, true));
    assert_eq!(facts(e), expected("disk5", "/dev/mapper/e", DiskFormat::Raw, false));
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("thin") && warnings[1].contains("/data/c.raw"), "{warnings:?}");
}

#[tokio::test]
async fn a_disk_whose_path_stays_is_the_disk_that_it_was() {
    let first = with(|def| {
        def.disks = vec![managed("/vms/ds/web/a.raw"), managed("/vms/ds/web/b.raw")];
    });
    let spec = stored(config_of(&first));
    let next = with(|def| {
        def.osdisk = managed("/vms/ds/web/b.raw");
        def.osdisk.bus = DiskBus::VirtioScsi;
        // A size that is not said is no change.
        def.osdisk.size = 0;
        def.disks = vec![managed("/vms/ds/web/os.qcow2"), managed("/vms/ds/web/c.raw")];
    });
    let Wanted { config, .. } = wanted(&next, Some(&spec), &nothing()).unwrap();
    let names: Vec<_> = config.disks.iter().map(|disk| disk.name.as_str()).collect();
    assert_eq!(names, ["disk2", "osdisk", "disk3"], "a new one has no name that another had");
    assert_eq!(config.disks[0].size, spec.config.disks[2].size);
    assert_eq!(config.disks[0].bus, Some(config::DiskBus::VirtioScsi));
    assert_eq!(lost_disks(&spec, &config).collect::<Vec<_>>(), ["/vms/ds/web/a.raw"]);
    for (change, field) in [
        ((|disk| disk.size = 17) as fn(&mut Disk), "osdisk.size"),
        (|disk| disk.man = DiskManMode::Unmanaged, "osdisk.man"),
        (|disk| (disk.device, disk.bus) = (DiskDevice::Cdrom, DiskBus::Sata), "osdisk.device"),
    ] {
        let mut other = first.clone();
        change(&mut other.osdisk);
        let refusal = wanted(&other, Some(&spec), &nothing()).unwrap_err();
        assert_eq!(refusal.field.as_deref(), Some(field), "{refusal}");
    }
}

#[tokio::test]
async fn a_vm_that_was_made_elsewhere_can_be_sent_back_as_it_is_shown() {
    let config: VmConfig = serde_json::from_value(json!({
        "name": "old",
        "project": "team",
        "description": "of before",
        "memory": "64MiB",
        "cpus": 3,
        "labels": { "app/name": "has a slash" },
        "boot": { "kernel": { "image": "linux" } },
        "disks": [
            { "name": "root", "image": "debian" },
            { "name": "odd", "size": "513KiB" },
            { "name": "setup", "kind": "cdrom", "image": "setup" },
        ],
        "nics": [{ "name": "eth0", "connected": false }, { "name": "eth1", "network": "none" }],
        "protected": true,
    }))
    .unwrap();
    let spec = stored(config.clone());
    let vm: Vm = serde_json::from_value(json!({
        "id": spec.id, "name": "old", "project": "team", "state": "stopped", "revision": 1,
        "facts": { "machine": "absent" }, "spec": spec,
        "disks": [{ "name": "root", "virtual_size": "2GiB", "allocated": "1MiB" }],
    }))
    .unwrap();
    let now = nothing();
    let def = shown(&vm, &now);
    assert_eq!(def.osdisk.path, format!("/vms/ds/{}/root.qcow2", spec.id));
    assert_eq!((def.osdisk.size, def.disks[0].size), (2048, 1));
    assert_eq!((def.osdisk.man, def.disks[1].man), (DiskManMode::Managed, DiskManMode::Unmanaged));
    assert_eq!(def.custom, [field("app/name", "has a slash")]);
    let Wanted { config: again, warnings } = wanted(&def, Some(&spec), &now).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(again.labels.get("app/name").unwrap(), "has a slash");
    assert_eq!(VmConfig { labels: config.labels.clone(), ..again }, config);
}

#[tokio::test]
async fn a_custom_field_without_a_name_is_left_out() {
    let custom = vec![field("", "x"), field("a", ""), field("b", "1"), field("b", "2")];
    let config = config_of(&with(|def| def.custom = custom));
    let shown: Vec<_> = shown_custom(&config.labels).collect();
    assert_eq!(shown, [field("a", ""), field("b", "2")]);
}

#[tokio::test]
async fn an_interface_is_on_a_network_or_on_the_bridge_that_one_is_on() {
    let house = House::new().await;
    for network in [
        json!({ "name": "lan" }),
        json!({ "name": "blue", "bridge": "br0" }),
        json!({ "name": "red", "bridge": "br0", "vlan": 7 }),
    ] {
        let config = serde_json::from_value(network).unwrap();
        let create = NetworkRequest::Create { config, id: None, subnets: Vec::new() };
        house.perform(Request::Network(create)).await;
    }
    let now = house.context.view().snapshot();
    let on = |name: &str, nettype, vlanid| {
        with(|def| {
            def.vlanid = vlanid;
            def.nets = vec![Net { name: name.into(), nettype, ..Net::default() }];
        })
    };
    for (name, nettype, vlanid, network) in [
        ("lan", NetType::Libvirt, 0, "lan"),
        ("red", NetType::Libvirt, 0, "red"),
        ("red", NetType::Libvirt, 7, "red"),
        ("br0", NetType::Bridge, 7, "red"),
        ("br0", NetType::Bridge, 0, "blue"),
        ("none", NetType::Libvirt, 0, "none"),
    ] {
        let def = on(name, nettype, vlanid);
        let Wanted { config, .. } = wanted(&def, None, &now).unwrap();
        assert_eq!(config.nics[0].network.to_string(), network);
        assert_eq!(read_back(&def, &now), def);
    }
    for (name, nettype, vlanid) in
        [("lan", NetType::Libvirt, 7), ("red", NetType::Libvirt, 8), ("br0", NetType::Bridge, 8)]
    {
        let refusal = wanted(&on(name, nettype, vlanid), None, &now).unwrap_err();
        assert_eq!(refusal.field.as_deref(), Some("vlanid"), "{name}");
    }
}
