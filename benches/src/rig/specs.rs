//! Stored, stopped VMs by the thousand, written as the daemon writes them.

use innkeeper_model::{
    Assigned, Revision, Spec, Timestamp, VmConfig, VmId, Want,
    config::{Disk, DiskKind, MacAddress, Nic},
    spec::Placement,
};
use innkeeper_store::SpecStore;
use std::{fs, path::Path, thread};

/// How many are written at once: each waits for the disk.
const WRITERS: usize = 16;

/// Writes so many specs into a state folder.
pub(crate) fn store(state: &Path, count: usize) -> anyhow::Result<()> {
    let store = SpecStore::open(state.join("vms"))?;
    let numbers: Vec<usize> = (0..count).collect();
    thread::scope(|scope| {
        let write = |numbers: &[usize]| numbers.iter().try_for_each(|n| store.save(&spec(*n)));
        let writers: Vec<_> = numbers
            .chunks(count.div_ceil(WRITERS).max(1))
            .map(|numbers| scope.spawn(move || write(numbers)))
            .collect();
        writers.into_iter().try_for_each(|writer| {
            writer
                .join()
                .map_err(|_| anyhow::anyhow!("writing a spec panicked"))?
                .map_err(Into::into)
        })
    })
}

/// Puts the specs of one state folder into another too. The files are shared: the daemon replaces one,
/// and never writes into it.
pub(crate) fn share(from: &Path, to: &Path) -> anyhow::Result<()> {
    let (from, to) = (from.join("vms"), to.join("vms"));
    fs::create_dir_all(&to)?;
    for file in fs::read_dir(from)? {
        let file = file?;
        fs::hard_link(file.path(), to.join(file.file_name()))?;
    }
    Ok(())
}

/// A spec that makes about 1 KiB of JSON: two disks, a network interface, labels.
pub(crate) fn spec(number: usize) -> Spec {
    let name = |name: &str| name.parse().expect("a short word is a device's name");
    let mut config = VmConfig::new(
        format!("vm-{number:05}").parse().expect("letters, a hyphen and digits are a VM's name"),
    );
    config.description = "one of ten thousand".into();
    config.labels = [("owner", "team-a"), ("stage", "production")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    config.disks = ["root", "data"]
        .map(|disk| Disk {
            name: name(disk),
            image: Some("debian-13".parse().expect("letters and digits are an image's name")),
            path: None,
            format: None,
            size: None,
            kind: DiskKind::Disk,
            bus: None,
            read_only: false,
            serial: None,
        })
        .into();
    config.nics.push(Nic::new(name("net0")));
    let devices = ["disk/root", "disk/data", "nic/net0"];
    let [.., high, middle, low] = number.to_be_bytes();
    let now = Timestamp::now();
    Spec {
        id: VmId::new(),
        revision: Revision(1),
        created: now,
        updated: now,
        want: Want::Stopped,
        draft: false,
        driver: None,
        config,
        assigned: Assigned {
            machine: "pc-q35-10.0".into(),
            cpu_model: "x86-64-v2-AES".into(),
            uid: Some(2_000_000_000 + u32::try_from(number).unwrap_or(0)),
            devices: (0..)
                .zip(devices)
                .map(|(n, key)| (key.to_owned(), Placement::Port(n)))
                .collect(),
            ports: 8,
            macs: [("net0".to_owned(), MacAddress::from_suffix([high, middle, low]))].into(),
            addresses: Default::default(),
            serials: ["root", "data"].map(|disk| (disk.to_owned(), format!("{number:020}"))).into(),
        },
    }
}
