//! From a spec to the machine it makes: the command line, the descriptors, the incarnation. Pure.
//!
//! What a caller wrote reaches QEMU as JSON, or as a whole argument that QEMU does not parse
//! (`-append`). The VM's name is not in the command line at all; its id is, so that a process can be
//! recognised from outside.

use crate::{
    accelerator,
    assign::{
        AGENT, AGENT_SLOT, BALLOON_SLOT, DISPLAY_SLOT, PANIC_SLOT, PORTS_SLOT, RNG_SLOT, SCSI_SLOT,
        SEED, USB_SLOT, disk_key,
    },
    block::{disk_node, firmware_code_node, firmware_variables_node},
    confine::SANDBOX,
    descriptors::{Descriptors, Open},
    guest_end,
    nic::{NicParts, port_id},
    option::QemuOption,
    run_folder::{AGENT_SOCKET, QMP_SOCKET, SERIAL_SOCKET, VNC_SOCKET},
};
use innkeeper_driver::PlanContext;
use innkeeper_model::{
    Code, Incarnation, Placement, Refusal, Spec,
    config::{Boot, Disk, DiskBus, DiskKind, Display, Firmware},
    incarnation,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path};

/// How much of the guest's serial output QEMU keeps while nobody reads it, in bytes.
pub(crate) const SERIAL_RING: u64 = 64 << 10;
/// The name of the chardev that keeps it.
pub(crate) const SERIAL_RING_ID: &str = "serial-ring";

/// How long the name of a block node may be, in bytes.
const MAX_NODE_NAME: usize = 31;

/// What a machine is made of and from, beside what the plan's context says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// Its run folder.
    pub(crate) run_folder: &'a Path,
    /// Its control group, if it gets one.
    pub(crate) cgroup: Option<&'a Path>,
    /// The host's boot.
    pub(crate) boot_id: &'a str,
}

/// Builds the machine's incarnation.
///
/// # Errors
/// Something that the spec needs is not there.
pub(crate) fn build(context: &PlanContext<'_>, place: Place<'_>) -> Result<Incarnation, Refusal> {
    let PlanContext { spec, hypervisor, .. } = *context;
    let mut builder = Builder {
        context,
        spec,
        descriptors: Descriptors::default(),
        arguments: Vec::new(),
        block_nodes: BTreeMap::new(),
    };
    builder.machine()?;
    builder.monitor_and_serial();
    builder.ports();
    builder.fixed_devices();
    builder.disks()?;
    builder.nics()?;
    builder.boot()?;

    let (opens, sets) = builder.descriptors.finish();
    let mut argv = vec![hypervisor.program.clone()];
    argv.extend(sets);
    argv.extend(builder.arguments);
    Ok(Incarnation {
        schema: incarnation::SCHEMA,
        id: context.launch.incarnation,
        vm: spec.id,
        spec_revision: spec.revision,
        boot_id: place.boot_id.into(),
        created: context.launch.now,
        driver: crate::driver::NAME.into(),
        hypervisor_version: hypervisor.version.clone(),
        machine: spec.assigned.machine.clone(),
        cpu_model: spec.assigned.cpu_model.clone(),
        accelerator: hypervisor.accelerator.clone(),
        cpus: spec.config.cpus,
        memory: spec.config.memory,
        uid: spec.assigned.uid,
        cgroup: place.cgroup.map(Path::to_owned),
        run_folder: place.run_folder.into(),
        argv,
        opens: Open::list_to_value(&opens),
        adopted: false,
        block_nodes: builder.block_nodes,
        ports: Some(spec.assigned.ports),
        plugs: context.plugs.to_vec(),
        process: None,
    })
}

struct Builder<'a> {
    context: &'a PlanContext<'a>,
    spec: &'a Spec,
    descriptors: Descriptors,
    arguments: Vec<String>,
    block_nodes: BTreeMap<String, String>,
}

impl Builder<'_> {
    fn option(&mut self, name: &str, value: impl Into<String>) {
        self.arguments.push(name.into());
        self.arguments.push(value.into());
    }

    fn json(&mut self, name: &str, value: &Value) {
        self.option(name, value.to_string());
    }

    fn device(&mut self, device: &Value) {
        self.json("-device", device);
    }

    fn machine(&mut self) -> Result<(), Refusal> {
        let Spec { id, config, assigned, .. } = self.spec;
        self.arguments.extend(["-nodefaults".into(), "-no-user-config".into(), "-S".into()]);
        let name = QemuOption::default()
            .with("guest", format_args!("innkeeper-{id}"))
            .with("debug-threads", "on");
        self.option("-name", name);
        self.option("-uuid", id.to_string());
        let mut machine = QemuOption::default()
            .with("type", &assigned.machine)
            // A crash dump of QEMU need not hold the guest's memory.
            .with("dump-guest-core", "off");
        if config.boot == Boot::Firmware(Firmware::Uefi) {
            machine =
                machine.with("pflash0", "firmware-code").with("pflash1", "firmware-variables");
            self.uefi()?;
        }
        self.option("-machine", machine);
        let accelerator = self.accelerator();
        self.option("-accel", accelerator);
        self.option("-cpu", QemuOption::word(&assigned.cpu_model));
        self.option("-smp", QemuOption::default().with("cpus", config.cpus));
        self.option("-m", QemuOption::default().with("size", format_args!("{}M", config.memory.0)));
        self.option("-rtc", QemuOption::default().with("base", "utc"));
        self.option("-sandbox", SANDBOX);
        self.arguments.extend(guest_end::arguments(config.on));
        self.option("-display", "none");
        Ok(())
    }

    /// What runs the guest's instructions. KVM is passed as open, since its device belongs to root or to a group of
    /// its own.
    fn accelerator(&mut self) -> QemuOption {
        let name = &self.context.hypervisor.accelerator;
        let accelerator = QemuOption::word(name);
        if name != accelerator::KVM {
            return accelerator;
        }
        accelerator.with("device", self.descriptors.add_kvm())
    }

    fn uefi(&mut self) -> Result<(), Refusal> {
        let code = self.context.hypervisor.uefi.as_ref().ok_or_else(|| {
            Refusal::new(Code::MissingProgram, "UEFI firmware is not installed on this host")
                .at("boot.firmware")
                .with_hint("install the package ovmf, or boot with firmware: bios")
        })?;
        let variables = self.context.files.nvram.clone().ok_or_else(|| {
            Refusal::new(Code::Internal, "the VM has no file for its UEFI variables")
        })?;
        let node = firmware_code_node("firmware-code", &code.code, &mut self.descriptors);
        self.json("-blockdev", &node);
        let node = firmware_variables_node("firmware-variables", &variables, &mut self.descriptors);
        self.json("-blockdev", &node);
        Ok(())
    }

    fn monitor_and_serial(&mut self) {
        let qmp = self.descriptors.add(Open::Listener(QMP_SOCKET.into()));
        self.option("-chardev", listening("qmp", qmp));
        self.option("-mon", QemuOption::default().with("chardev", "qmp").with("mode", "control"));

        let serial = self.descriptors.add(Open::Listener(SERIAL_SOCKET.into()));
        self.option("-chardev", listening("serial-socket", serial));
        let ring = QemuOption::word("ringbuf").with("id", SERIAL_RING_ID).with("size", SERIAL_RING);
        self.option("-chardev", ring);
        let hub = QemuOption::word("hub")
            .with("id", "serial")
            .with("chardevs.0", "serial-socket")
            .with("chardevs.1", SERIAL_RING_ID);
        self.option("-chardev", hub);
        self.option("-serial", "chardev:serial");
    }

    fn ports(&mut self) {
        for port in 0..self.spec.assigned.ports {
            self.device(&json!({
                "driver": "pcie-root-port",
                "id": port_id(port),
                "bus": "pcie.0",
                "chassis": port + 1,
                "addr": format!("{:02x}.{}", PORTS_SLOT + port / 8, port % 8),
                "multifunction": true,
            }));
        }
    }

    fn fixed_devices(&mut self) {
        let fixed = |driver: &str, slot: u8| json!({ "driver": driver, "id": driver, "bus": "pcie.0", "addr": format!("{slot:02x}.0") });
        self.json("-object", &json!({ "qom-type": "rng-builtin", "id": "rng" }));
        let mut rng = fixed("virtio-rng-pci", RNG_SLOT);
        rng["rng"] = "rng".into();
        self.device(&rng);
        let mut balloon = fixed("virtio-balloon-pci", BALLOON_SLOT);
        // What the guest frees is given back to the host without anybody asking.
        balloon["free-page-reporting"] = true.into();
        self.device(&balloon);
        self.device(&fixed("pvpanic-pci", PANIC_SLOT));
        if self.spec.config.display == Display::Vnc {
            self.device(&fixed("VGA", DISPLAY_SLOT));
            self.device(&fixed("qemu-xhci", USB_SLOT));
            // An absolute pointer, so that a viewer's and the guest's agree.
            self.device(&json!({ "driver": "usb-tablet", "id": "tablet", "bus": "qemu-xhci.0" }));
            self.option("-vnc", format!("unix:{VNC_SOCKET}"));
        }
        if self.spec.assigned.devices.contains_key(AGENT) {
            let number = self.descriptors.add(Open::Listener(AGENT_SOCKET.into()));
            self.option("-chardev", listening("agent", number));
            self.device(&fixed("virtio-serial-pci", AGENT_SLOT));
            // By this name an agent finds it.
            let name = "org.qemu.guest_agent.0";
            let bus = "virtio-serial-pci.0";
            self.device(&json!({ "driver": "virtserialport", "id": "agent", "bus": bus, "chardev": "agent", "name": name }));
        }
        if self.spec.assigned.devices.contains_key("scsi") {
            self.device(&fixed("virtio-scsi-pci", SCSI_SLOT));
        }
    }

    fn disks(&mut self) -> Result<(), Refusal> {
        for (index, disk) in self.spec.config.disks.iter().enumerate() {
            self.disk(disk, index + 1)?;
        }
        if let Some(seed) = &self.context.files.seed {
            let layer = innkeeper_model::Layer {
                path: seed.clone(),
                format: innkeeper_model::DiskFormat::Raw,
            };
            let layers = innkeeper_model::DiskLayers { layers: vec![layer] };
            let node = disk_node("seed", &layers, false, &mut self.descriptors);
            self.json("-blockdev", &node);
            let mut device = json!({ "driver": "virtio-blk-pci", "id": "seed", "drive": "seed" });
            self.place(&mut device, &disk_key(SEED))?;
            self.device(&device);
        }
        Ok(())
    }

    fn disk(&mut self, disk: &Disk, boot_index: usize) -> Result<(), Refusal> {
        let name = disk.name.as_str();
        let layers = self.context.files.disks.get(name).ok_or_else(|| {
            Refusal::new(Code::Internal, format!("the files of disk {name} were not resolved"))
        })?;
        let node = node_name(self.placement(&disk_key(name))?, name);
        let blockdev = disk_node(&node, layers, !disk.is_read_only(), &mut self.descriptors);
        self.json("-blockdev", &blockdev);
        self.block_nodes.insert(name.into(), node.clone());
        let driver = match (disk.effective_bus(), disk.kind) {
            (DiskBus::VirtioBlk, _) => "virtio-blk-pci",
            (DiskBus::VirtioScsi, DiskKind::Disk) => "scsi-hd",
            (DiskBus::VirtioScsi, DiskKind::Cdrom) => "scsi-cd",
            (DiskBus::Sata, _) => "ide-cd",
        };
        let mut device =
            json!({ "driver": driver, "id": node, "drive": node, "bootindex": boot_index });
        if let Some(serial) = self.spec.assigned.serials.get(name) {
            device["serial"] = serial.as_str().into();
        }
        self.place(&mut device, &disk_key(name))?;
        self.device(&device);
        Ok(())
    }

    fn nics(&mut self) -> Result<(), Refusal> {
        for nic in &self.spec.config.nics {
            let parts = NicParts::of(nic, self.spec, self.context.plugs)?;
            let tap = parts.plug.is_some().then(|| Open::Tap(nic.name.clone()));
            let descriptor = tap.map(|tap| self.descriptors.add(tap).to_string());
            if let Some(backend) = parts.backend_with(&descriptor.unwrap_or_default()) {
                self.json("-netdev", &backend);
            }
            self.device(&parts.device);
        }
        Ok(())
    }

    /// Writes a device's address into it.
    fn place(&self, device: &mut Value, key: &str) -> Result<(), Refusal> {
        match self.placement(key)? {
            Placement::Root(slot) => {
                device["bus"] = "pcie.0".into();
                device["addr"] = format!("{slot:02x}.0").into();
            }
            Placement::Port(port) => device["bus"] = port_id(port).into(),
            Placement::Scsi(target) => {
                device["bus"] = "virtio-scsi-pci.0".into();
                device["scsi-id"] = target.into();
            }
            Placement::Sata(port) => device["bus"] = format!("ide.{port}").into(),
        }
        Ok(())
    }

    fn placement(&self, key: &str) -> Result<Placement, Refusal> {
        self.spec.assigned.devices.get(key).copied().ok_or_else(|| {
            Refusal::new(Code::Internal, format!("{key} was never given an address"))
        })
    }

    fn boot(&mut self) -> Result<(), Refusal> {
        let Boot::Kernel(kernel) = &self.spec.config.boot else { return Ok(()) };
        let files =
            self.context.files.kernel.as_ref().ok_or_else(|| {
                Refusal::new(Code::Internal, "the kernel's files were not resolved")
            })?;
        let number = self.descriptors.add(Open::Reopened(files.kernel.clone()));
        self.option("-kernel", format!("/dev/fd/{number}"));
        if let Some(initrd) = &files.initrd {
            let number = self.descriptors.add(Open::Reopened(initrd.clone()));
            self.option("-initrd", format!("/dev/fd/{number}"));
        }
        if !kernel.cmdline.is_empty() {
            self.option("-append", kernel.cmdline.clone());
        }
        Ok(())
    }
}

/// A chardev that listens on a socket that it finds open.
fn listening(id: &str, number: i32) -> QemuOption {
    QemuOption::word("socket")
        .with("id", id)
        .with("fd", number)
        .with("server", "on")
        .with("wait", "off")
}

/// What QEMU calls a disk. Its place tells it from all others of the machine; its name is for people, and
/// shortened to what QEMU has room for.
fn node_name(placement: Placement, disk: &str) -> String {
    let place = match placement {
        Placement::Root(slot) => format!("slot{slot}"),
        Placement::Port(port) => port_id(port),
        Placement::Scsi(target) => format!("scsi{target}"),
        Placement::Sata(port) => format!("sata{port}"),
    };
    let mut node = format!("disk-{place}-{disk}");
    // Names are ASCII, so that this is the end of a character.
    node.truncate(MAX_NODE_NAME);
    node
}

#[cfg(test)]
#[path = "command_line_tests.rs"]
pub(crate) mod tests;
