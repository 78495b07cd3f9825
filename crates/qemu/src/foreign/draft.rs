//! A config for a machine that somebody else made, as near as one comes to it: what the machine's VM
//! would be started from after it was adopted and has ended. A person has to confirm it. Pure.
//!
//! What cannot be said in a config, or not for certain, is said in its description.

use super::arguments::{Argument, Described, Fields, all, has, options};
use innkeeper_model::{
    Foreign, Mebibytes, Refusal, VmConfig, VmName,
    config::{
        Attachment, Boot, Disk, DiskBus, DiskKind, Display, Firmware, KernelBoot, MAX_DESCRIPTION,
        Nic,
    },
    image::DiskFormat,
};

/// What a QEMU gives a machine without being told.
const QEMUS_MEMORY: Mebibytes = Mebibytes(128);

/// The config that comes nearest to a machine.
///
/// # Errors
/// What its command line says is beyond what a VM may have.
pub(crate) fn draft_config(machine: &Foreign, argv: &[String]) -> Result<VmConfig, Refusal> {
    let described = Described::of(argv);
    let options = options(argv);
    let mut drafted = Draft { config: VmConfig::new(name(machine)), notes: Vec::new() };
    drafted.config.cpus = described.cpus.unwrap_or(1);
    drafted.config.memory = described.memory.unwrap_or(QEMUS_MEMORY);
    drafted.processor(described);
    drafted.boot(&options);
    drafted.disks(&options);
    drafted.nics(&options);
    let screen = all(&options, "vnc").next().is_some() || all(&options, "device").any(is_screen);
    drafted.config.display = if screen { Display::Vnc } else { Display::None };
    let Draft { mut config, notes } = drafted;
    config.description = description(machine, &notes);
    config.validate()?;
    Ok(config)
}

struct Draft {
    config: VmConfig,
    /// What is not in the config, one sentence each.
    notes: Vec<String>,
}

impl Draft {
    fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    fn processor(&mut self, described: Described) {
        if let Some(machine) = described.machine {
            if machine.starts_with("pc-q35-") {
                self.config.machine = Some(machine);
            } else {
                self.note(format!("its machine type was {machine}"));
            }
        }
        if let Some(model) = described.cpu_model {
            self.config.cpu_model = Some(model);
        }
    }

    fn boot(&mut self, options: &[Argument<'_>]) {
        let plain = |name: &str| {
            let mut named = options.iter().filter(|(found, _)| *found == name);
            named.find_map(|(_, value)| *value).map(ToOwned::to_owned)
        };
        if let Some(kernel) = plain("kernel") {
            self.config.boot = Boot::Kernel(KernelBoot {
                image: None,
                path: Some(kernel.into()),
                initrd: plain("initrd").map(Into::into),
                cmdline: plain("append").unwrap_or_default(),
            });
        } else if is_uefi(options) {
            self.config.boot = Boot::Firmware(Firmware::Uefi);
            self.note("its UEFI variables stay where they are; new ones begin empty");
        }
    }

    fn disks(&mut self, options: &[Argument<'_>]) {
        for (option, value) in options {
            let Some(value) = value else { continue };
            match *option {
                "hda" | "hdb" | "hdc" | "hdd" => {
                    self.note(format!("disk {value}: of what format?"))
                }
                "cdrom" => self.disk(value, Some("raw"), DiskKind::Cdrom, DiskBus::Sata),
                "drive" => self.drive(&Fields::parse(value)),
                "blockdev" => self.block_node(&Fields::parse(value), options),
                _ => {}
            }
        }
    }

    fn drive(&mut self, drive: &Fields) {
        let Some(file) = drive.get("file") else { return };
        if drive.get("if") == Some("pflash") {
            return;
        }
        let (kind, bus) = match (drive.get("media"), drive.get("if")) {
            (Some("cdrom"), _) => (DiskKind::Cdrom, DiskBus::Sata),
            (_, Some("scsi")) => (DiskKind::Disk, DiskBus::VirtioScsi),
            _ => (DiskKind::Disk, DiskBus::VirtioBlk),
        };
        self.disk(file, drive.get("format"), kind, bus);
    }

    /// A node is a disk where it is a file's format and a device shows it.
    fn block_node(&mut self, node: &Fields, options: &[Argument<'_>]) {
        let file = node.get("file.filename").filter(|_| node.get("file.driver") == Some("file"));
        let (Some(file), Some(name)) = (file, node.get("node-name")) else { return };
        let mut devices = all(options, "device");
        let Some(device) = devices.find(|device| device.get("drive") == Some(name)) else {
            return;
        };
        let driver = device.get("driver").or_else(|| device.get("")).unwrap_or_default();
        let (kind, bus) = match driver {
            "ide-cd" => (DiskKind::Cdrom, DiskBus::Sata),
            "scsi-cd" => (DiskKind::Cdrom, DiskBus::VirtioScsi),
            driver if driver.starts_with("scsi-") => (DiskKind::Disk, DiskBus::VirtioScsi),
            _ => (DiskKind::Disk, DiskBus::VirtioBlk),
        };
        self.disk(file, node.get("driver"), kind, bus);
    }

    fn disk(&mut self, file: &str, format: Option<&str>, kind: DiskKind, bus: DiskBus) {
        let format = match format {
            Some("raw") => DiskFormat::Raw,
            Some("qcow2") => DiskFormat::Qcow2,
            other => {
                let format = other.unwrap_or("unknown");
                return self.note(format!("disk {file}: of format {format}"));
            }
        };
        if !file.starts_with('/') {
            return self.note(format!("disk {file}: not a path that is the same everywhere"));
        }
        let name = format!("disk{}", self.config.disks.len());
        let Ok(name) = name.parse() else { return };
        self.config.disks.push(Disk {
            name,
            image: None,
            path: Some(file.into()),
            format: Some(format),
            size: None,
            kind,
            bus: Some(bus),
            read_only: false,
            serial: None,
        });
    }

    fn nics(&mut self, options: &[Argument<'_>]) {
        let both = ["nic", "netdev"].into_iter().flat_map(|name| all(options, name));
        for netdev in both {
            let kind = netdev.get("type").or_else(|| netdev.get("")).unwrap_or_default();
            if kind == "none" {
                continue;
            }
            let network = match kind {
                "user" => Attachment::User,
                other => {
                    self.note(format!("a NIC on a network of kind {other}"));
                    Attachment::None
                }
            };
            let device = netdev.get("id").and_then(|id| {
                all(options, "device").find(|device| device.get("netdev") == Some(id))
            });
            let mac =
                device.as_ref().unwrap_or(&netdev).get("mac").and_then(|mac| mac.parse().ok());
            let Ok(name) = format!("net{}", self.config.nics.len()).parse() else { continue };
            self.config.nics.push(Nic { network, mac, ..Nic::new(name) });
        }
    }
}

fn is_uefi(options: &[Argument<'_>]) -> bool {
    has(options, "pflash")
        || all(options, "drive").any(|drive| drive.get("if") == Some("pflash"))
        || ["machine", "M"]
            .into_iter()
            .flat_map(|name| all(options, name))
            .any(|machine| machine.get("pflash0").is_some())
}

fn is_screen(device: Fields) -> bool {
    let driver = device.get("driver").or_else(|| device.get("")).unwrap_or_default();
    ["VGA", "virtio-vga", "qxl-vga", "virtio-gpu-pci", "bochs-display"].contains(&driver)
}

/// The machine's own name as far as it is one, else one after its process.
fn name(machine: &Foreign) -> VmName {
    let own = machine.name.as_ref().and_then(|name| name.parse().ok());
    own.unwrap_or_else(|| {
        let name = format!("adopted-{}", machine.process.pid);
        name.parse().expect("letters, a dash and digits are a name")
    })
}

fn description(machine: &Foreign, notes: &[String]) -> String {
    let mut text = format!("Adopted: QEMU's process {}.", machine.process.pid);
    if !notes.is_empty() {
        text.push_str(" To be seen to before it is started: ");
        text.push_str(&notes.join("; "));
        text.push('.');
    }
    let end = text.floor_char_boundary(MAX_DESCRIPTION);
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use innkeeper_model::ProcessIdentity;

    fn drafted(line: &str) -> Result<VmConfig, Refusal> {
        let argv: Vec<String> = line.split(' ').map(Into::into).collect();
        let machine = Foreign {
            driver: "qemu".into(),
            process: ProcessIdentity { pid: 77, start_ticks: 1 },
            name: Described::of(&argv).name,
            uid: 0,
            manager: None,
            cpus: None,
            memory: None,
            socket: None,
            not_adoptable: None,
        };
        draft_config(&machine, &argv)
    }

    #[test]
    fn what_can_be_said_is_said() {
        let config = drafted(
            "qemu-system-x86_64 -name web -M pc-q35-10.0 -m 1G -smp 2 -cpu Nehalem-v1 \
             -drive file=/d/root.qcow2,format=qcow2,if=virtio -cdrom /d/disc.iso -vnc :1 \
             -netdev user,id=n0 -device virtio-net-pci,netdev=n0,mac=52:54:00:00:00:01",
        )
        .unwrap();
        let shown = serde_json::to_value(&config).unwrap();
        assert_eq!((config.name.as_str(), config.cpus, config.memory), ("web", 2, Mebibytes(1024)));
        assert_eq!(config.machine.as_deref(), Some("pc-q35-10.0"));
        assert_eq!(shown["disks"][0]["path"], "/d/root.qcow2");
        assert_eq!(shown["disks"][1]["kind"], "cdrom");
        assert_eq!(shown["nics"][0]["mac"], "52:54:00:00:00:01");
        assert_eq!(config.display, Display::Vnc);
        assert_eq!(config.description, "Adopted: QEMU's process 77.");
    }

    #[test]
    fn what_cannot_be_said_is_in_the_description() {
        let config = drafted(
            "qemu-system-x86_64 -M pc -hda /d/old.img -drive file=nbd://host/disk,format=raw \
             -drive file=/d/x.vmdk,format=vmdk -netdev tap,id=n0,ifname=tap0 \
             -blockdev {\"driver\":\"qcow2\",\"node-name\":\"d\",\"file\":{\"driver\":\"file\",\"filename\":\"/d/b\"}} \
             -device {\"driver\":\"virtio-blk-pci\",\"drive\":\"d\"}",
        )
        .unwrap();
        assert_eq!(config.name.as_str(), "adopted-77");
        assert_eq!(config.machine, None);
        assert_eq!(config.disks.len(), 1, "the one whose format is known");
        assert_eq!(config.nics[0].network, Attachment::None);
        for what in ["machine type was pc;", "/d/old.img", "nbd://host/disk", "vmdk", "kind tap"] {
            assert!(config.description.contains(what), "{what}: {}", config.description);
        }
    }

    #[test]
    fn a_kernel_or_uefi_is_booted_as_before() {
        let kernel = drafted("qemu -kernel /k -initrd /i -append quiet").unwrap();
        let Boot::Kernel(kernel) = kernel.boot else { panic!("{kernel:?}") };
        assert_eq!((kernel.path, kernel.cmdline.as_str()), (Some("/k".into()), "quiet"));
        let uefi = drafted("qemu -drive if=pflash,format=raw,file=/code").unwrap();
        assert_eq!(uefi.boot, Boot::Firmware(Firmware::Uefi));
        assert!(uefi.disks.is_empty());
    }

    #[test]
    fn what_no_vm_may_be_is_refused() {
        assert_eq!(drafted("qemu -m 4").unwrap_err().field.as_deref(), Some("memory"));
    }
}
