//! Files made by hand, sound ones and others.

use super::*;

/// A file made by hand.
#[derive(Clone)]
pub(super) struct Made {
    pub(super) members: Vec<(String, Vec<u8>, tar::EntryType)>,
    pub(super) sums: bool,
    pub(super) end: bool,
}

impl Made {
    pub(super) fn new(manifest: &Value, disk: Vec<u8>) -> Self {
        let made = Self { members: Vec::new(), sums: true, end: true };
        made.with("vm.json", manifest.to_string().into_bytes()).with("root.qcow2", disk)
    }

    pub(super) fn with(self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.with_kind(name, bytes, tar::EntryType::Regular)
    }

    pub(super) fn with_kind(
        mut self,
        name: &str,
        bytes: impl Into<Vec<u8>>,
        kind: tar::EntryType,
    ) -> Self {
        self.members.push((name.into(), bytes.into(), kind));
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut file = Vec::new();
        let mut sums = String::new();
        for (name, bytes, kind) in &self.members {
            put(&mut file, name, bytes, *kind);
            sums += &format!("{}  {name}\n", hex(&Sha256::digest(bytes)));
        }
        if self.sums {
            put(&mut file, SUMS, sums.as_bytes(), tar::EntryType::Regular);
        }
        if self.end {
            file.resize(file.len() + 1024, 0);
        }
        file
    }
}

pub(super) fn put(file: &mut Vec<u8>, name: &str, bytes: &[u8], kind: tar::EntryType) {
    let mut header = tar::Header::new_gnu();
    // Not by `set_path`, which refuses what is to be refused here.
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    if kind.is_symlink() || kind.is_hard_link() {
        header.set_link_name("/etc/shadow").unwrap();
    }
    header.set_size(bytes.len() as u64);
    header.set_cksum();
    file.extend(header.as_bytes());
    file.extend(bytes);
    file.resize(file.len().next_multiple_of(512), 0);
}

/// A VM with one disk of a mebibyte.
pub(super) fn manifest() -> Value {
    json!({
        "format": "innkeeper-vm", "version": 1, "id": VmId::new(),
        "config": { "name": "web", "disks": [{ "name": "root", "size": "1MiB" }] },
        "assigned": {
            "machine": "pc-q35-10.0", "cpu_model": "Nehalem", "ports": 5,
            "devices": { "disk/root": { "port": 0 } },
        },
    })
}

pub(super) fn with(path: &str, value: Value) -> Value {
    let mut manifest = manifest();
    *manifest.pointer_mut(path).unwrap_or_else(|| panic!("there is no {path}")) = value;
    manifest
}

pub(super) fn empty_disk(size: u64) -> Vec<u8> {
    let blank = blank(ByteSize(size), None);
    let mut bytes = blank.bytes;
    bytes.resize(usize::try_from(blank.length).unwrap(), 0);
    bytes
}

/// A disk of so many bytes with nines in its first cluster, and the same nines in another.
pub(super) fn bomb() -> Vec<u8> {
    let size = 1 << 20;
    let mut occupied = Occupied::nowhere(ByteSize(size));
    occupied.note(0, 1);
    let packed = Packed::new(occupied);
    let mut file = Vec::new();
    for number in 0..packed.clusters() {
        let bytes = match packed.cluster(number) {
            Cluster::Table(bytes) => bytes,
            Cluster::Data(_) => vec![9; CLUSTER],
        };
        let start = file.len();
        file.extend(bytes);
        file.resize(start + CLUSTER, 0);
    }
    let l2 = CLUSTER * (usize::try_from(packed.first_data()).unwrap() - 1);
    for entry in 1..16 {
        file.copy_within(l2..l2 + 8, l2 + 8 * entry);
    }
    file
}

pub(super) fn backed() -> Vec<u8> {
    let base = Base { path: "/etc/shadow", format: DiskFormat::Raw };
    let blank = blank(ByteSize(1 << 20), Some(&base));
    let mut bytes = blank.bytes;
    bytes.resize(usize::try_from(blank.length).unwrap(), 0);
    bytes
}
