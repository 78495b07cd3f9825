//! From what a caller wrote to the spec that is stored, or to the reason why not.

use crate::networks::claims::NicClaim;
use innkeeper_driver::Driver;
use innkeeper_model::{
    Assigned, Code, Host, Mebibytes, NetworkId, Refusal, Revision, Spec, Timestamp, VmConfig, VmId,
    Want,
    config::{Boot, CloudInit, Disk, MacAddress},
    host::Hypervisor,
};
use innkeeper_storage::Storage;
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
        self.check(&config)?;
        for disk in &config.disks {
            self.storage.check_disk(disk)?;
        }
        let mut assigned = self.driver.assign(&config, None, self.hypervisor)?;
        assigned.uid = uid;
        let now = Timestamp::now();
        Ok(admit(Spec {
            id,
            revision: Revision(1),
            created: now,
            updated: now,
            want: Want::Stopped,
            draft: false,
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
            // Whoever saves a draft has confirmed it.
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
        for nic in &mut config.nics {
            nic.mac = None::<MacAddress>;
            nic.addresses.clear();
            nic.publish.clear();
        }
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
        match &config.boot {
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
