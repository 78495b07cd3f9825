//! That libvirt's XML is read, and hostile XML is not.

use super::*;
use proptest::prelude::*;

/// As libvirt 9 writes it of a machine that runs.
const RUNNING: &str = r#"<domain type='kvm' id='3' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>web</name>
  <uuid>6c2a1ad0-8f2c-4a36-9e0a-6d1a3d7f0001</uuid>
  <title>Web &lt;one&gt;</title>
  <metadata><x:os xmlns:x="http://libosinfo.org/xmlns/libvirt/domain/1.0"><title>not this</title></x:os></metadata>
  <memory unit='KiB'>1048577</memory>
  <currentMemory unit='KiB'>524288</currentMemory>
  <vcpu placement='static' current='2'>4</vcpu>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='/var/lib/libvirt/images/web.qcow2' index='2'/>
      <backingStore type='file'><source file='/base.qcow2'/></backingStore>
      <target dev='vda' bus='virtio'/>
    </disk>
    <disk type='block' device='disk'><source dev='/dev/sdb'/><target dev='vdb'/><readonly/></disk>
    <disk type='volume' device='disk'><source pool='p' volume='v'/><target dev='vdc'/></disk>
    <disk type='network' device='disk'><source protocol='rbd' name='pool/image'><host name='ceph'/></source><target dev='vdd'/></disk>
    <disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>
    <interface type='network'>
      <mac address='52:54:00:AA:bb:01'/><source network='default' portid='x' bridge='virbr0'/><target dev='vnet0'/>
    </interface>
    <interface type='bridge'><mac address='52:54:00:aa:bb:02'/><source bridge='br0'/></interface>
    <interface type='user'><mac address='52:54:00:aa:bb:03'/></interface>
    <interface type='user'/>
  </devices>
</domain>"#;

#[test]
fn a_machine_is_read_from_its_description() {
    let read = Described::of(RUNNING).expect("libvirt wrote it");
    assert_eq!(read.title.as_deref(), Some("Web <one>"));
    assert_eq!((read.cpus, read.memory), (2, Mebibytes(1_025)), "now, and rounded up");
    let disks: Vec<_> =
        read.disks.iter().map(|it| (&*it.target, it.source.as_deref(), it.read_only)).collect();
    assert_eq!(
        disks,
        [
            ("vda", Some("/var/lib/libvirt/images/web.qcow2"), false),
            ("vdb", Some("/dev/sdb"), true),
            ("vdc", Some("p/v"), false),
            ("vdd", Some("rbd:pool/image"), false),
            ("sda", None, true),
        ]
    );
    let nics: Vec<_> = read
        .nics
        .iter()
        .map(|it| (it.mac.to_string(), it.network.as_deref(), it.interface.as_deref()))
        .collect();
    assert_eq!(
        nics,
        [
            ("52:54:00:aa:bb:01".into(), Some("default"), Some("vnet0")),
            ("52:54:00:aa:bb:02".into(), Some("br0"), None),
            ("52:54:00:aa:bb:03".into(), Some("user"), None),
        ]
    );
}

#[test]
fn sizes_have_units_and_are_rounded_up() {
    for (size, mebibytes) in [
        ("<memory>1024</memory>", 1),
        ("<memory unit='bytes'>1</memory>", 1),
        ("<memory unit='MB'>2</memory>", 2),
        ("<memory unit='GiB'>2</memory>", 2_048),
        ("<memory unit='TiB'>99999999999999999</memory>", u64::MAX >> 20 | 1 << 44),
        ("<memory>many</memory>", 0),
        ("", 0),
    ] {
        let read = Described::of(&format!("<domain>{size}</domain>")).expect("it is XML");
        let expected = if mebibytes > 1 << 40 { u64::MAX.div_ceil(1 << 20) } else { mebibytes };
        assert_eq!(read.memory, Mebibytes(expected), "{size}");
    }
}

/// Each of these would cost a careless parser seconds, gigabytes, or a file of the host's.
#[test]
fn hostile_descriptions_are_refused() {
    let entity = r#"<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]><domain><title>&a;</title></domain>"#;
    let attributes: String = (0..20_000).map(|i| format!(" a{i}=''")).collect();
    let namespaces: String = (0..1_000).map(|i| format!("<a xmlns:b{i}='{i}'>")).collect();
    for hostile in [
        entity.to_owned(),
        format!("<domain{attributes}/>"),
        namespaces,
        "<a>".repeat(100_000),
        format!("<domain>{}</domain>", "<a/>".repeat(100_000)),
        "x".repeat(MAX_XML + 1),
        "<domain>".to_owned(),
        String::new(),
    ] {
        let refused = Described::of(&hostile);
        assert!(refused.is_err(), "{}", &hostile[..hostile.len().min(80)]);
    }
}

#[test]
fn what_is_missing_is_left_out() {
    assert_eq!(Described::of("<domain/>").expect("it is XML"), Described::default());
}

proptest! {
    #[test]
    fn no_text_is_worse_than_refused(text: String, cut in 0..RUNNING.len()) {
        drop(Described::of(&text));
        drop(Described::of(&format!("<domain>{text}</domain>")));
        drop(Described::of(RUNNING.get(..cut).unwrap_or_default()));
    }
}
