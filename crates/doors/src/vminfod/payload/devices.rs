//! Disks and NICs of payloads.

use super::{
    BadPayload,
    keys::{Keys, invalid, text},
};
use innkeeper_model::{
    Assigned, ByteSize, DeviceName, VmConfig,
    config::{Attachment, Disk, DiskBus, DiskKind, Nic},
};
use serde_json::Value;

pub(super) fn change_disks(keys: &mut Keys, config: &mut VmConfig) -> Result<(), BadPayload> {
    for gone in keys.array("remove_disks")?.unwrap_or_default() {
        let at = find_disk(config, "remove_disks", &gone)?;
        config.disks.remove(at);
    }
    for changed in keys.array("update_disks")?.unwrap_or_default() {
        let mut changes = Keys::of(&changed)?.within("update_disks");
        let path = changes.take("path", |value| Ok(value.clone()))?.unwrap_or_default();
        let at = find_disk(config, "update_disks", &path)?;
        describe_disk(&mut changes, &mut config.disks[at])?;
        if changes.parsed("boot")? == Some(true) {
            config.disks[..=at].rotate_right(1);
        }
        changes.nothing_else()?;
    }
    for added in keys.array("add_disks")?.unwrap_or_default() {
        let disk = new_disk(config, &added)?;
        config.disks.push(disk);
    }
    Ok(())
}

pub(super) fn change_nics(
    keys: &mut Keys,
    config: &mut VmConfig,
    assigned: &Assigned,
) -> Result<(), BadPayload> {
    for gone in keys.array("remove_nics")?.unwrap_or_default() {
        let at = find_nic(config, assigned, "remove_nics", &gone)?;
        config.nics.remove(at);
    }
    for changed in keys.array("update_nics")?.unwrap_or_default() {
        let mut changes = Keys::of(&changed)?.within("update_nics");
        let mac = changes.take("mac", |value| Ok(value.clone()))?.unwrap_or_default();
        let at = find_nic(config, assigned, "update_nics", &mac)?;
        describe_nic(&mut changes, &mut config.nics[at])?;
        if changes.parsed("primary")? == Some(true) {
            config.nics[..=at].rotate_right(1);
        }
        changes.nothing_else()?;
    }
    for added in keys.array("add_nics")?.unwrap_or_default() {
        let nic = new_nic(config, &added)?;
        config.nics.push(nic);
    }
    Ok(())
}

/// By the path that the object shows: a host's file, or an id and the disk's name.
fn find_disk(config: &VmConfig, key: &str, path: &Value) -> Result<usize, BadPayload> {
    let text = path.as_str().unwrap_or_default();
    let is_it = |disk: &Disk| match &disk.path {
        Some(path) => path.as_os_str() == text,
        None => text.rsplit('/').next() == Some(disk.name.as_str()),
    };
    let found = config.disks.iter().position(is_it);
    found.ok_or_else(|| invalid(key, format!("there is no disk {text:?}")))
}

/// By the hardware address that it has, asked for or chosen.
fn find_nic(
    config: &VmConfig,
    assigned: &Assigned,
    key: &str,
    mac: &Value,
) -> Result<usize, BadPayload> {
    let text = mac.as_str().unwrap_or_default();
    let is_it = |nic: &Nic| {
        let mac = assigned.macs.get(nic.name.as_str()).copied().or(nic.mac);
        mac.is_some_and(|mac| mac.to_string() == text)
    };
    let found = config.nics.iter().position(is_it);
    found.ok_or_else(|| invalid(key, format!("there is no NIC {text:?}")))
}

/// The elements with the one first that has this flag.
pub(super) fn first_first(mut elements: Vec<Value>, flag: &str) -> Vec<Value> {
    let is_first =
        |element: &Value| element.get(flag).and_then(text).is_some_and(|text| text == "true");
    elements.sort_by_key(|element| !is_first(element));
    elements
}

/// A name of this kind that no device of the VM has: `disk0`, `net1`.
fn free_name<'a>(prefix: &str, taken: impl Iterator<Item = &'a DeviceName> + Clone) -> DeviceName {
    let names = (0..).map(|number| format!("{prefix}{number}"));
    let name = names.into_iter().find(|name| !taken.clone().any(|taken| taken.as_str() == name));
    name.and_then(|name| name.parse().ok())
        .expect("letters and a number; there are more of those than devices")
}

pub(super) fn new_disk(config: &VmConfig, payload: &Value) -> Result<Disk, BadPayload> {
    let mut keys = Keys::of(payload)?.within("disks");
    let mut disk = Disk {
        name: free_name("disk", config.disks.iter().map(|disk| &disk.name)),
        image: None,
        path: None,
        format: None,
        size: None,
        kind: DiskKind::Disk,
        bus: None,
        read_only: false,
        serial: None,
    };
    disk.image = keys.parsed("image_name")?;
    if let Some(image) = keys.parsed("image_uuid")? {
        disk.image = Some(image);
    }
    if let Some(media) = keys.parsed::<String>("media")? {
        disk.kind = match &*media {
            "disk" => DiskKind::Disk,
            "cdrom" => DiskKind::Cdrom,
            other => return Err(keys.invalid("media", format!("{other:?} is not disk or cdrom"))),
        };
    }
    describe_disk(&mut keys, &mut disk)?;
    keys.parsed::<bool>("boot")?;
    keys.nothing_else()?;
    Ok(disk)
}

fn describe_disk(keys: &mut Keys, disk: &mut Disk) -> Result<(), BadPayload> {
    if let Some(size) = keys.parsed("size")? {
        disk.size = Some(ByteSize::from_mebibytes(size));
    }
    if let Some(model) = keys.parsed::<String>("model")? {
        disk.bus = Some(match &*model {
            "virtio" => DiskBus::VirtioBlk,
            "scsi" => DiskBus::VirtioScsi,
            "ahci" | "ide" => DiskBus::Sata,
            other => {
                return Err(keys.invalid("model", format!("{other:?} is not virtio, scsi or ahci")));
            }
        });
    }
    Ok(())
}

pub(super) fn new_nic(config: &VmConfig, payload: &Value) -> Result<Nic, BadPayload> {
    let mut keys = Keys::of(payload)?.within("nics");
    let name = match keys.parsed("interface")? {
        Some(name) => name,
        None => free_name("net", config.nics.iter().map(|nic| &nic.name)),
    };
    let mut nic = Nic::new(name);
    nic.mac = keys.parsed("mac")?;
    describe_nic(&mut keys, &mut nic)?;
    keys.parsed::<bool>("primary")?;
    keys.nothing_else()?;
    Ok(nic)
}

fn describe_nic(keys: &mut Keys, nic: &mut Nic) -> Result<(), BadPayload> {
    if let Some(network) = keys.parsed::<Attachment>("nic_tag")? {
        nic.network = network;
    }
    keys.must_be("model", &Value::from("virtio"))?;
    let ip = keys.take("ip", |value| Ok(vec![value.clone()]))?;
    let ips = keys.array("ips")?;
    if let Some(addresses) = ips.or(ip) {
        let fixed = addresses.iter().filter_map(Value::as_str).filter(|text| *text != "dhcp");
        // The length of the prefix is the subnet's to say.
        let address = |text: &str| text.split('/').next().unwrap_or_default().parse();
        let addresses: Result<_, _> = fixed.map(address).collect();
        nic.addresses = addresses.map_err(|error| keys.invalid("ip", error))?;
    }
    Ok(())
}
