//! The flags that say what a VM is, and the fields that they stand for.

use super::nics::NicFlags;
use crate::{cli::completion, document::Document, failure::Failure, folders::Surroundings};
use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCompleter;
use innkeeper_model::{
    ByteSize, Mebibytes, Policy,
    config::{Display, Firmware},
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

#[derive(Debug, Args)]
pub(super) struct ConfigFlags {
    /// Virtual CPUs
    #[arg(long)]
    cpus: Option<u16>,
    /// Memory, such as 512MiB
    #[arg(long, value_name = "SIZE")]
    memory: Option<Mebibytes>,
    /// Boot this kernel: an image, or with a / in it a file on the host
    #[arg(
        long,
        value_name = "IMAGE|PATH",
        conflicts_with = "firmware",
        add = ArgValueCompleter::new(completion::image_names),
    )]
    kernel: Option<String>,
    /// The initrd of a kernel that is a file
    #[arg(long, value_name = "PATH")]
    initrd: Option<PathBuf>,
    /// The kernel's command line
    #[arg(long, value_name = "TEXT")]
    cmdline: Option<String>,
    /// Boot from the disks, with this firmware
    #[arg(long, value_enum)]
    firmware: Option<FirmwareFlag>,
    /// The root disk is a copy of this image
    #[arg(
        long,
        value_name = "IMAGE",
        add = ArgValueCompleter::new(completion::image_names),
    )]
    image: Option<String>,
    /// A disk, such as name=data,size=10GiB or name=root,image=debian,size=20GiB; other keys:
    /// path, format, kind, bus, serial, read_only (can be repeated)
    #[arg(long, value_name = "KEY=VALUE,...", value_parser = parse_disk)]
    disk: Vec<Map<String, Value>>,
    /// A CD-ROM with this image in it, or with a / in it this file (can be repeated)
    #[arg(
        long,
        value_name = "IMAGE|PATH",
        add = ArgValueCompleter::new(completion::image_names),
    )]
    cdrom: Vec<String>,
    /// What its files may take of the host's disk, such as 10GiB: its disks, and its memory while it is
    /// suspended
    #[arg(long, value_name = "SIZE")]
    quota: Option<ByteSize>,
    #[command(flatten)]
    nics: NicFlags,
    /// No screen
    #[arg(long)]
    no_display: bool,
    /// What to do when its guest crashes, or its hypervisor dies; restart if nothing is said
    #[arg(long, value_name = "POLICY", value_enum)]
    on_crash: Option<PolicyFlag>,
    /// What to do when its guest reboots; restart if nothing is said
    #[arg(long, value_name = "POLICY", value_enum)]
    on_reboot: Option<PolicyFlag>,
    /// What to do when its guest powers itself off; stop if nothing is said
    #[arg(long, value_name = "POLICY", value_enum)]
    on_shutdown: Option<PolicyFlag>,
    /// What cloud-init is to do in the guest: a file, or - for the standard input
    #[arg(long, value_name = "FILE")]
    user_data: Option<PathBuf>,
    /// Text about it, for people
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// A key and a value, for programs (can be repeated)
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_label)]
    label: Vec<(String, String)>,
    /// Refuse to delete it
    #[arg(long)]
    protected: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FirmwareFlag {
    /// SeaBIOS
    Bios,
    /// OVMF
    Uefi,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PolicyFlag {
    /// Start it again; one that ends by itself within two minutes of its start is left stopped
    Restart,
    /// Put its machine away; it is wanted stopped from then on
    Stop,
    /// Keep its machine, with the CPUs held, for somebody to look at
    Pause,
    /// The same, and write the guest's memory to a file first
    Preserve,
}

impl From<PolicyFlag> for Policy {
    fn from(flag: PolicyFlag) -> Self {
        match flag {
            PolicyFlag::Restart => Self::Restart,
            PolicyFlag::Stop => Self::Stop,
            PolicyFlag::Pause => Self::Pause,
            PolicyFlag::Preserve => Self::Preserve,
        }
    }
}

/// The keys of `--disk`, each a field of a disk.
const DISK_KEYS: [&str; 9] =
    ["name", "image", "size", "path", "format", "kind", "bus", "serial", "read_only"];

fn parse_disk(text: &str) -> Result<Map<String, Value>, String> {
    let mut disk = Map::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once('=').unwrap_or((part, "true"));
        if !DISK_KEYS.contains(&key) {
            return Err(format!("a disk has no {key:?}; it has {}", DISK_KEYS.join(", ")));
        }
        let value = match (key, value) {
            ("read_only", "true" | "yes" | "on") => Value::Bool(true),
            ("read_only", "false" | "no" | "off") => Value::Bool(false),
            ("read_only", _) => return Err("read_only is true or false".into()),
            _ => value.into(),
        };
        if disk.insert(key.into(), value).is_some() {
            return Err(format!("{key} is there twice"));
        }
    }
    if disk.is_empty() {
        return Err("says nothing; write for example name=data,size=10GiB".into());
    }
    Ok(disk)
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        _ => Err("write KEY=VALUE".into()),
    }
}

impl ConfigFlags {
    /// Whether something of it is read from the standard input.
    pub(super) fn reads_input(&self) -> bool {
        self.user_data.as_deref() == Some(Path::new("-"))
    }

    /// Writes what the flags say into the document.
    pub(super) fn change(
        self,
        document: &mut Document,
        surroundings: &Surroundings,
    ) -> Result<(), Failure> {
        let fields = &mut document.0;
        if let Some(cpus) = self.cpus {
            fields.insert("cpus".into(), cpus.into());
        }
        if let Some(memory) = self.memory {
            fields.insert("memory".into(), memory.to_string().into());
        }
        if self.no_display {
            fields.insert("display".into(), as_json(Display::None));
        }
        self.change_words(fields)?;
        self.change_boot(fields, surroundings)?;
        self.change_disks(fields, surroundings)?;
        self.nics.change(fields)?;
        self.change_policies(fields)?;
        if let Some(file) = &self.user_data {
            let text = read_user_data(file)?;
            object(fields, "cloud_init")?.insert("user_data".into(), text.into());
        }
        Ok(())
    }

    fn change_words(&self, fields: &mut Map<String, Value>) -> Result<(), Failure> {
        if let Some(quota) = self.quota {
            fields.insert("quota".into(), quota.to_string().into());
        }
        if let Some(description) = &self.description {
            fields.insert("description".into(), description.as_str().into());
        }
        if self.protected {
            fields.insert("protected".into(), true.into());
        }
        for (key, value) in &self.label {
            object(fields, "labels")?.insert(key.clone(), value.as_str().into());
        }
        Ok(())
    }

    fn change_policies(&self, fields: &mut Map<String, Value>) -> Result<(), Failure> {
        let policies =
            [("crash", self.on_crash), ("reboot", self.on_reboot), ("shutdown", self.on_shutdown)];
        for (when, policy) in policies {
            if let Some(policy) = policy {
                object(fields, "on")?.insert(when.into(), as_json(Policy::from(policy)));
            }
        }
        Ok(())
    }

    fn change_boot(
        &self,
        fields: &mut Map<String, Value>,
        surroundings: &Surroundings,
    ) -> Result<(), Failure> {
        if let Some(firmware) = self.firmware {
            let firmware = match firmware {
                FirmwareFlag::Bios => Firmware::Bios,
                FirmwareFlag::Uefi => Firmware::Uefi,
            };
            fields.insert("boot".into(), json!({"firmware": as_json(firmware)}));
        }
        if let Some(kernel) = &self.kernel {
            let (key, value) = image_or_path(kernel, surroundings);
            fields.insert("boot".into(), json!({"kernel": {key: value}}));
        }
        if self.initrd.is_none() && self.cmdline.is_none() {
            return Ok(());
        }
        let kernel = fields
            .get_mut("boot")
            .and_then(|boot| boot.get_mut("kernel"))
            .and_then(Value::as_object_mut)
            .ok_or_else(|| {
                Failure::usage("--initrd and --cmdline go with a kernel")
                    .with_hint("say --kernel IMAGE or --kernel PATH")
            })?;
        if let Some(initrd) = &self.initrd {
            kernel.insert("initrd".into(), path_text(&surroundings.absolute(initrd)).into());
        }
        if let Some(cmdline) = &self.cmdline {
            kernel.insert("cmdline".into(), cmdline.as_str().into());
        }
        Ok(())
    }

    fn change_disks(
        &self,
        fields: &mut Map<String, Value>,
        surroundings: &Surroundings,
    ) -> Result<(), Failure> {
        if let Some(image) = &self.image {
            let disks = list(fields, "disks")?;
            // First, since guests look for a system on the disks in their order.
            disks.retain(|disk| disk["name"] != "root");
            disks.insert(0, json!({"name": "root", "image": image}));
        }
        for disk in &self.disk {
            let mut disk = disk.clone();
            if let Some(Value::String(path)) = disk.get_mut("path") {
                *path = path_text(&surroundings.absolute(Path::new(path)));
            }
            let disks = list(fields, "disks")?;
            let name = disk.entry("name").or_insert_with(|| free_name(disks, "disk", 0).into());
            disks.retain(|other| other["name"] != *name);
            disks.push(disk.into());
        }
        for cdrom in &self.cdrom {
            let disks = list(fields, "disks")?;
            let mut disk = json!({"name": free_name(disks, "cdrom", 0), "kind": "cdrom"});
            let (key, value) = image_or_path(cdrom, surroundings);
            if key == "path" {
                disk["format"] = "raw".into();
            }
            disk[key] = value.into();
            disks.push(disk);
        }
        Ok(())
    }
}

/// A `/` makes a path; an image's name has none.
fn image_or_path(text: &str, surroundings: &Surroundings) -> (&'static str, String) {
    if text.contains('/') {
        ("path", path_text(&surroundings.absolute(Path::new(text))))
    } else {
        ("image", text.into())
    }
}

fn path_text(path: &Path) -> String {
    path.display().to_string()
}

fn as_json(value: impl Serialize) -> Value {
    serde_json::to_value(value).expect("an enum without fields is a word in JSON")
}

/// The list in this field, made if it is not there.
pub(super) fn list<'a>(
    fields: &'a mut Map<String, Value>,
    key: &str,
) -> Result<&'a mut Vec<Value>, Failure> {
    let field = fields.entry(key).or_insert_with(|| json!([]));
    field.as_array_mut().ok_or_else(|| Failure::usage(format!("{key}: is not a list")))
}

/// The object in this field, made if it is not there.
fn object<'a>(
    fields: &'a mut Map<String, Value>,
    key: &str,
) -> Result<&'a mut Map<String, Value>, Failure> {
    let field = fields.entry(key).or_insert_with(|| json!({}));
    field.as_object_mut().ok_or_else(|| Failure::usage(format!("{key}: is not an object")))
}

/// The first of `disk0`, `disk1`, ... that no device in the list has.
pub(in crate::cli) fn free_name(devices: &[Value], kind: &str, from: usize) -> String {
    let name = format!("{kind}{from}");
    if devices.iter().any(|device| device["name"] == *name) {
        return free_name(devices, kind, from + 1);
    }
    name
}

fn read_user_data(file: &Path) -> Result<String, Failure> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(file)
    };
    text.map_err(|error| {
        Failure::usage(format!("cannot read the user-data {}", file.display())).because(&error)
    })
}

#[cfg(test)]
#[path = "flags_tests.rs"]
mod tests;
