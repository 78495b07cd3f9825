use super::*;
use innkeeper_driver::Launch;
use innkeeper_model::{
    DiskFormat, DiskLayers, Facts, IncarnationId, KernelFiles, Layer, MachineFiles, Revision,
    Timestamp, VmConfig, VmId, Want,
    host::{Hypervisor, UefiFirmware},
};
use proptest::prelude::*;

#[path = "command_line_executed_tests.rs"]
mod executed;

pub(crate) fn hypervisor() -> Hypervisor {
    Hypervisor {
        version: "10.0.2".into(),
        program: "/usr/bin/qemu-system-x86_64".into(),
        accelerator: "tcg".into(),
        default_machine: "pc-q35-10.0".into(),
        default_cpu_model: "Nehalem-v1".into(),
        machines: vec!["pc-q35-10.0".into()],
        uefi: Some(UefiFirmware { code: "/fw/code".into(), variables: "/fw/vars".into() }),
        ..Hypervisor::default()
    }
}

fn config(text: &str) -> VmConfig {
    let config: VmConfig = serde_json::from_str(text).unwrap();
    config.validate().unwrap();
    config
}

pub(crate) fn spec(config: VmConfig) -> Spec {
    let mut assigned = crate::assign::assign(&config, None, &hypervisor()).unwrap();
    assigned.uid = Some(2_000_000_007);
    Spec {
        id: VmId::from_uuid("01234567-89ab-7def-8123-456789abcdef".parse().unwrap()),
        revision: Revision(3),
        created: Timestamp::UNIX_EPOCH,
        updated: Timestamp::UNIX_EPOCH,
        want: Want::Running,
        draft: false,
        driver: None,
        config,
        assigned,
    }
}

fn files(config: &VmConfig) -> MachineFiles {
    let layer = |path: String, format| Layer { path: path.into(), format };
    let disk = |name: &str| DiskLayers {
        layers: vec![
            layer(format!("/pool/{name}.qcow2"), DiskFormat::Qcow2),
            layer("/pool/base.raw".into(), DiskFormat::Raw),
        ],
    };
    MachineFiles {
        disks: config.disks.iter().map(|d| (d.name.to_string(), disk(d.name.as_str()))).collect(),
        kernel: Some(KernelFiles {
            kernel: "/pool/kernel".into(),
            initrd: Some("/pool/initrd".into()),
        }),
        nvram: Some("/pool/nvram".into()),
        seed: config.cloud_init.is_some().then(|| "/pool/seed.img".into()),
    }
}

pub(crate) fn built(config: VmConfig) -> (Incarnation, Vec<Open>) {
    let files = files(&config);
    built_with(config, files)
}

fn built_with(config: VmConfig, files: MachineFiles) -> (Incarnation, Vec<Open>) {
    built_by(&hypervisor(), config, files)
}

fn built_by(
    hypervisor: &Hypervisor,
    config: VmConfig,
    files: MachineFiles,
) -> (Incarnation, Vec<Open>) {
    let spec = spec(config);
    let launch = Launch {
        incarnation: IncarnationId::from_uuid(spec.id.as_uuid()),
        now: Timestamp::UNIX_EPOCH,
    };
    let context = PlanContext {
        spec: &spec,
        incarnation: None,
        facts: &Facts::default(),
        files: &files,
        plugs: &[],
        hypervisor,
        launch: &launch,
        managed: None,
    };
    let place = Place { run_folder: Path::new("/run/vm"), cgroup: None, boot_id: "boot" };
    let incarnation = build(&context, place).unwrap();
    let opens = Open::list_from_value(&incarnation.opens).unwrap();
    (incarnation, opens)
}

/// One option a line, as a person would read it.
fn shown(incarnation: &Incarnation) -> String {
    incarnation.argv.join(" ").replace(" -", "\n-")
}

/// QEMU refuses to start with a longer one, or with two that are the same.
#[test]
fn nodes_of_disks_are_short_and_apart_whatever_the_disks_are_called() {
    let long = "d".repeat(62);
    let disk = |end: char, bus: &str| {
        format!(r#"{{"name": "{long}{end}", "bus": "{bus}", "size": "1MiB"}}"#)
    };
    let disks = ['a', 'b'].map(|end| disk(end, "virtio-blk"));
    let others = [disk('c', "virtio-scsi"), disk('d', "virtio-scsi")];
    let all = [disks, others].concat().join(", ");
    let (incarnation, _) = built(config(&format!(r#"{{"name": "web", "disks": [{all}]}}"#)));
    let nodes: std::collections::BTreeSet<_> = incarnation.block_nodes.values().collect();
    assert_eq!((incarnation.block_nodes.len(), nodes.len()), (4, 4));
    assert!(nodes.iter().all(|node| node.len() <= 31), "{nodes:?}");
}

#[test]
fn a_kernel_booted_directly() {
    let (incarnation, opens) = built(config(
        r#"{"name": "web", "memory": "96MiB", "display": "none", "spare_ports": 1,
            "boot": {"kernel": {"image": "tiny", "cmdline": "console=ttyS0 quiet"}},
            "disks": [{"name": "root", "image": "base", "serial": "S1"}],
            "nics": [{"name": "net0", "mac": "52:54:00:00:00:01"}]}"#,
    ));
    insta::assert_snapshot!(shown(&incarnation));
    insta::assert_json_snapshot!(opens);
}

/// Its device belongs to root or to a group, and a VM's process to neither.
#[test]
fn kvm_is_given_to_a_machine_as_open() {
    let hypervisor = Hypervisor { accelerator: "kvm".into(), ..hypervisor() };
    let config = config(r#"{"name": "web"}"#);
    let files = files(&config);
    let (incarnation, opens) = built_by(&hypervisor, config, files);
    let place = opens.iter().position(|open| *open == Open::Kvm).unwrap();
    let number = crate::process::FIRST_DESCRIPTOR as usize + place;
    let has =
        |name: &str, value: &str| incarnation.argv.windows(2).any(|pair| pair == [name, value]);
    assert!(has("-accel", "kvm,device=/dev/fdset/1"), "{}", shown(&incarnation));
    assert!(has("-add-fd", &format!("fd={number},set=1")), "{}", shown(&incarnation));
}

#[test]
fn firmware_with_a_screen_and_every_kind_of_disk() {
    let (incarnation, _) = built(config(
        r#"{"name": "desk", "cpus": 2, "memory": "2GiB", "spare_ports": 0, "boot": {"firmware": "uefi"},
            "cloud_init": {"user_data": "sha256:0000000000000000000000000000000000000000000000000000000000000000"},
            "disks": [{"name": "root", "image": "base", "bus": "virtio-scsi", "serial": "S1"},
                      {"name": "cd", "image": "disc", "kind": "cdrom", "serial": "S2"}],
            "nics": [{"name": "net0", "network": "none", "mac": "52:54:00:00:00:01"}]}"#,
    ));
    insta::assert_snapshot!(shown(&incarnation));
}

#[test]
fn a_guest_that_shares_the_daemons_user_has_no_way_out() {
    let mut spec = spec(config(r#"{"name": "web", "nics": [{"name": "net0"}]}"#));
    spec.assigned.uid = None;
    let (files, hypervisor) = (MachineFiles::default(), hypervisor());
    let launch = Launch { incarnation: IncarnationId::new(), now: Timestamp::UNIX_EPOCH };
    let facts = Facts::default();
    let context = PlanContext {
        spec: &spec,
        incarnation: None,
        facts: &facts,
        files: &files,
        plugs: &[],
        hypervisor: &hypervisor,
        launch: &launch,
        managed: None,
    };
    let place = Place { run_folder: Path::new("/run/vm"), cgroup: None, boot_id: "boot" };
    let incarnation = build(&context, place).unwrap();
    assert!(shown(&incarnation).contains(r#""restrict":true"#));
}

proptest! {
    /// What a caller may write freely reaches QEMU as one whole argument, or as a JSON string.
    #[test]
    fn no_text_of_a_caller_becomes_syntax(
        cmdline in "[^\u{0}]{0,80}",
        serial in "[^\\p{Cc}]{0,5}",
        description in ".{0,40}",
    ) {
        let mut config = config(
            r#"{"name": "unmistakable", "boot": {"kernel": {"image": "tiny"}},
                "disks": [{"name": "root", "image": "base"}]}"#,
        );
        let Boot::Kernel(kernel) = &mut config.boot else { unreachable!() };
        kernel.cmdline.clone_from(&cmdline);
        config.disks[0].serial = Some(serial.clone());
        config.description = format!("described {description}");
        let ordinary = built({
            let mut ordinary = config.clone();
            ordinary.disks[0].serial = Some("S".into());
            ordinary
        });
        let (incarnation, _) = built(config);

        let argv = &incarnation.argv;
        prop_assert_eq!(argv.len(), ordinary.0.argv.len());
        let append = argv.iter().position(|argument| argument == "-append");
        prop_assert_eq!(append.map(|at| argv[at + 1].as_str()), (!cmdline.is_empty()).then_some(&*cmdline));
        let device = argv.iter().find(|argument| argument.contains("virtio-blk-pci")).unwrap();
        let device: Value = serde_json::from_str(device).unwrap();
        prop_assert_eq!(device["serial"].as_str(), Some(&*serial));
        prop_assert!(argv.iter().all(|argument| !argument.contains("unmistakable")));
        prop_assert!(argv.iter().all(|argument| !argument.contains("described")));
    }
}
