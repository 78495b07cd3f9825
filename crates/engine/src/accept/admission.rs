//! From what a caller wrote to the spec that is stored, or to the reason why not.

use crate::{accept::request::ImportVm, networks::claims::NicClaim};
use innkeeper_driver::Driver;
use innkeeper_model::{
    Assigned, Code, Host, Mebibytes, NetworkId, Refusal, Revision, Spec, Timestamp, VmConfig, VmId,
    Want,
    config::{Boot, CloudInit, Disk, Nic},
    host::Hypervisor,
};
use innkeeper_storage::{Manifest, StagedVm, Storage};
use std::sync::Arc;

/// What a new or changed configuration is held against.
pub(crate) struct Admission<'a> {
    pub(crate) driver: &'a dyn Driver,
    pub(crate) hypervisor: &'a Hypervisor,
    pub(crate) storage: &'a Storage,
    pub(crate) host: &'a Host,
}

/// A configuration that was admitted: the spec that will be stored, and the seed's texts, which the
/// spec has not.
#[derive(Debug, Clone)]
pub(crate) struct Admitted {
    pub(crate) spec: Arc<Spec>,
    pub(crate) seed: Option<CloudInit>,
    /// What its NICs take of the host's networks; filled in after the spec is admitted.
    pub(crate) claims: Vec<NicClaim>,
    /// The networks that they are on.
    pub(crate) networks: Vec<NetworkId>,
}

impl Admission<'_> {
    /// Admits a new VM.
    ///
    /// # Errors
    /// The first field that is not allowed, or that this host cannot do.
    pub(crate) fn create(
        &self,
        id: VmId,
        config: VmConfig,
        uid: Option<u32>,
    ) -> Result<Admitted, Refusal> {
        self.admit_new(id, config, None, uid)
    }

    /// A new VM whose devices have these places, as far as they fit.
    fn admit_new(
        &self,
        id: VmId,
        config: VmConfig,
        places: Option<&Assigned>,
        uid: Option<u32>,
    ) -> Result<Admitted, Refusal> {
        self.check(&config)?;
        self.check_boot(&config.boot)?;
        for disk in &config.disks {
            self.storage.check_disk(disk)?;
        }
        let mut assigned = self.driver.assign(&config, places, self.hypervisor)?;
        assigned.uid = uid;
        let now = Timestamp::now();
        Ok(admit(Spec {
            id,
            revision: Revision(1),
            created: now,
            updated: now,
            want: Want::Stopped,
            draft: false,
            driver: None,
            config,
            assigned,
        }))
    }

    /// Admits a change of a VM.
    ///
    /// # Errors
    /// As [`Admission::create`]; or a disk that is there would become another.
    pub(crate) fn edit(
        &self,
        before: &Spec,
        config: VmConfig,
        runs: bool,
    ) -> Result<Admitted, Refusal> {
        self.check(&config)?;
        // What it boots from already was looked for when that was chosen.
        if config.boot != before.config.boot {
            self.check_boot(&config.boot)?;
        }
        for disk in &config.disks {
            match before.config.disks.iter().find(|old| old.name == disk.name) {
                Some(old) => same_volume(old, disk)?,
                None => self.storage.check_disk(disk)?,
            }
        }
        if runs {
            nothing_in_use_goes(&before.config, &config)?;
        }
        let assigned = self.driver.assign(&config, Some(&before.assigned), self.hypervisor)?;
        let assigned = Assigned { uid: before.assigned.uid, ..assigned };
        Ok(admit(Spec {
            revision: before.revision.next(),
            updated: Timestamp::now(),
            draft: false,
            config,
            assigned,
            ..before.clone()
        }))
    }

    /// Admits a copy of a VM under another id and name. It gets addresses of its own, and publishes no
    /// ports, which its original has.
    ///
    /// # Errors
    /// A disk is a host file, which cannot be copied by adding a layer to it.
    pub(crate) fn clone(
        &self,
        from: &Spec,
        id: VmId,
        name: innkeeper_model::VmName,
        uid: Option<u32>,
    ) -> Result<Admitted, Refusal> {
        let mut config = from.config.clone();
        config.name = name;
        config.protected = false;
        config.nics.iter_mut().for_each(make_copy);
        if let Some(disk) =
            config.disks.iter().find(|disk| disk.path.is_some() && !disk.is_read_only())
        {
            let problem = "is a host file, which two VMs cannot both write to";
            return Err(Refusal::invalid(
                format!("disks[{}].path", disk.name),
                &disk.name,
                problem,
            ));
        }
        let mut admitted = self.create(id, config, uid)?;
        // A copy of what nobody has confirmed is no more confirmed.
        Arc::make_mut(&mut admitted.spec).draft = from.draft;
        Ok(admitted)
    }

    /// Admits a VM from a file: as it was to its guest, device for device. A copy gets hardware addresses
    /// of its own, and publishes no ports, which its original may have.
    ///
    /// # Errors
    /// As [`Admission::create`]; or an image that it names is another here, or its UEFI variables are
    /// another firmware's.
    pub(crate) fn import(
        &self,
        import: &ImportVm,
        id: VmId,
        uid: Option<u32>,
    ) -> Result<Admitted, Refusal> {
        let manifest = import.staged.manifest();
        let mut config = manifest.config.clone();
        config.name = import.name.clone().unwrap_or(config.name);
        config.project = import.project.clone().unwrap_or(config.project);
        if !import.keep_identity {
            config.nics.iter_mut().for_each(make_copy);
        }
        let was = &manifest.assigned;
        let pinned = pinned(&config, was, import.keep_identity);
        self.same_images(manifest)?;
        self.fits_firmware(&import.staged)?;
        // What it was known by is in the configuration, and is held against this host like any other.
        let places =
            Assigned { devices: was.devices.clone(), ports: was.ports, ..Assigned::default() };
        let mut admitted = self.admit_new(id, pinned, Some(&places), uid)?;
        Arc::make_mut(&mut admitted.spec).config = config;
        Ok(admitted)
    }

    /// The images that a VM from a file names are here what they were there.
    fn same_images(&self, manifest: &Manifest) -> Result<(), Refusal> {
        for (name, digest) in manifest.images.iter() {
            let found = name.parse().ok().and_then(|name| self.storage.image(&name).ok());
            // One that is missing is missed where it is used.
            if let Some(found) = found.filter(|found| found.digest != *digest) {
                let problem = format!("is another image here: {}, and not {digest}", found.digest);
                return Err(Refusal::invalid("images", name, problem).with_hint(
                    "bring the image from where the VM was: inn image download, inn image upload",
                ));
            }
        }
        Ok(())
    }

    /// UEFI variables are as long as the firmware that reads them has it.
    fn fits_firmware(&self, staged: &StagedVm) -> Result<(), Refusal> {
        let (Some(found), Some(uefi)) = (staged.nvram(), &self.hypervisor.uefi) else {
            return Ok(());
        };
        let wanted = std::fs::metadata(&uefi.variables)?.len();
        if found == wanted {
            return Ok(());
        }
        let problem = "are the UEFI variables of another firmware than this host's";
        Err(Refusal::invalid("nvram.fd", format!("{found} bytes"), problem)
            .with_limit(format!("{wanted} bytes")))
    }

    fn check(&self, config: &VmConfig) -> Result<(), Refusal> {
        config.validate()?;
        let Host { cpus, memory, .. } = *self.host;
        if config.cpus > cpus && cpus > 0 {
            let problem = format!("is more than this host has ({cpus})");
            return Err(Refusal::invalid("cpus", config.cpus, problem).with_limit(cpus));
        }
        if config.memory > memory && memory > Mebibytes(0) {
            let problem = format!("is more than this host has ({memory})");
            return Err(Refusal::invalid("memory", config.memory, problem).with_limit(memory));
        }
        Ok(())
    }

    /// What a VM is to boot from must be there.
    fn check_boot(&self, boot: &Boot) -> Result<(), Refusal> {
        match boot {
            Boot::Kernel(kernel) => {
                self.storage.kernel_files(kernel)?;
            }
            Boot::Firmware(innkeeper_model::config::Firmware::Uefi)
                if self.hypervisor.uefi.is_none() =>
            {
                return Err(Refusal::new(
                    Code::MissingProgram,
                    "UEFI firmware is not installed here",
                )
                .at("boot.firmware")
                .with_hint("install the package ovmf, or use firmware: bios"));
            }
            Boot::Firmware(_) => {}
        }
        Ok(())
    }
}

/// Takes from a NIC what only one VM can have.
fn make_copy(nic: &mut Nic) {
    nic.mac = None;
    nic.addresses.clear();
    nic.publish.clear();
}

/// The configuration with all that was chosen for it written out, so that it is chosen again.
fn pinned(config: &VmConfig, was: &Assigned, keep_identity: bool) -> VmConfig {
    let mut pinned = config.clone();
    pinned.machine = Some(was.machine.clone());
    pinned.cpu_model = Some(was.cpu_model.clone());
    for disk in &mut pinned.disks {
        disk.serial = disk.serial.take().or_else(|| was.serials.get(disk.name.as_str()).cloned());
    }
    for nic in pinned.nics.iter_mut().filter(|_| keep_identity) {
        nic.mac = nic.mac.or_else(|| was.macs.get(nic.name.as_str()).copied());
    }
    pinned
}

/// Takes the secrets out of a spec.
fn admit(mut spec: Spec) -> Admitted {
    let seed = spec.config.cloud_init.take();
    spec.config.cloud_init = seed.as_ref().map(CloudInit::sealed);
    Admitted { spec: Arc::new(spec), seed, claims: Vec::new(), networks: Vec::new() }
}

/// A disk that stays under its name must stay what it is: what is on it was written by a guest.
fn same_volume(old: &Disk, new: &Disk) -> Result<(), Refusal> {
    let what = |disk: &Disk| (disk.image.clone(), disk.path.clone(), disk.format, disk.size);
    if what(old) == what(new) && old.kind == new.kind {
        return Ok(());
    }
    let problem = "exists, and cannot become another disk";
    Err(Refusal::invalid(format!("disks[{}]", new.name), &new.name, problem)
        .with_hint("remove it and add one under another name"))
}

/// What a running machine has open stays until it is stopped.
fn nothing_in_use_goes(old: &VmConfig, new: &VmConfig) -> Result<(), Refusal> {
    let gone = |disk: &&Disk| new.disks.iter().all(|other| other.name != disk.name);
    let Some(disk) = old.disks.iter().find(gone) else { return Ok(()) };
    let message = format!("disk {} is in use by the running VM", disk.name);
    Err(Refusal::new(Code::InUse, message)
        .at(format!("disks[{}]", disk.name))
        .with_hint("stop the VM first"))
}
