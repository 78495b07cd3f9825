use super::*;

fn managed_by(line: &str, cgroup: &str) -> Option<&'static str> {
    let argv: Vec<String> = line.split(' ').map(Into::into).collect();
    manager(&argv, cgroup)
}

#[test]
fn managers_are_known_by_what_they_leave_in_sight() {
    let libvirt = "qemu -name guest=web,debug-threads=on -object \
                   {\"qom-type\":\"secret\",\"id\":\"masterKey0\",\"file\":\"/x\"}";
    let innkeeper =
        "qemu -name guest=innkeeper-01234567-89ab-7def-8123-456789abcdef,debug-threads=on";
    for (line, cgroup, expected) in [
        (libvirt, "", Some("libvirt")),
        ("qemu -blockdev {\"filename\":\"/var/lib/libvirt/images/a\"}", "", Some("libvirt")),
        ("qemu -m 1G", "0::/machine.slice/machine-qemu\\x2d1.scope", Some("libvirt")),
        ("kvm -id 100 -qmp unix:/var/run/qemu-server/100.qmp,server=on", "", Some("proxmox")),
        ("qemu -chardev socket,id=m,path=/run/incus/web/qemu.monitor", "", Some("incus")),
        (innkeeper, "", Some("another Innkeeper")),
        ("qemu -name innkeeper-of-mine -qmp unix:/tmp/q,server=on", "0::/user.slice", None),
    ] {
        assert_eq!(managed_by(line, cgroup), expected, "{line} {cgroup}");
    }
}

#[test]
fn what_only_says_what_it_can_do_is_no_machine() {
    let seen = |line: &str| Seen {
        process: ProcessIdentity { pid: 1, start_ticks: 1 },
        uid: 0,
        argv: line.split(' ').map(Into::into).collect(),
        folder: "/proc/1".into(),
        cgroup: String::new(),
    };
    for line in
        ["qemu --version", "qemu -machine help", "qemu -option-rom /tmp/innkeeper-probe-1.rom"]
    {
        assert!(!seen(line).is_a_machine(), "{line}");
    }
    assert!(seen("qemu -m 1G").is_a_machine());
}
