//! From accepted work to its plan: gathers what a plan depends on, then has it made.

use crate::{
    accept::{
        admission::Admitted,
        legality::{MachineVerb, Operation},
        request::NicChange,
        work::{Work, check_revision, spec_of, spec_or_stand_in},
    },
    engine::Engine,
    networks::{
        keeping::are_those,
        wiring::{network, networks_of, plugs_of},
    },
    perform::{hands::blocking, importing::import_request},
    plan::{self, Plan},
};
use innkeeper_driver::Launch;
use innkeeper_hooks::HookEvent;
use innkeeper_model::{
    ByteSize, Code, Foreign, IncarnationId, NetworkId, Refusal, Spec, Timestamp, Vm, VmConfig,
    VmId, config::Disk,
};
use innkeeper_storage::needs_volume;
use innkeeper_view::{Record, Snapshot};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

impl Engine {
    /// Plans work from the state that its VM has now. Changes nothing.
    pub(crate) async fn plan(
        &self,
        operation: Option<Operation>,
        work: &Work,
    ) -> Result<Plan, Refusal> {
        match work {
            Work::Create { admitted } => {
                let hypervisor = self.hypervisor().await?;
                self.networks_are_there(admitted)?;
                let Admitted { spec, seed, claims, .. } = admitted.clone();
                let size = self.disk_size(&spec);
                Ok(plan::create(spec, seed, size, claims, &hypervisor))
            }
            Work::Clone { from, admitted } => {
                self.still_legal(operation, *from)?;
                self.networks_are_there(admitted)?;
                let size = self.disk_size(&admitted.spec);
                Ok(plan::clone(*from, admitted.spec.clone(), size, admitted.claims.clone()))
            }
            Work::Import { staged, admitted } => {
                let hypervisor = self.hypervisor().await?;
                self.networks_are_there(admitted)?;
                let Admitted { spec, claims, .. } = admitted.clone();
                let size = self.disk_size(&spec);
                Ok(plan::import(staged.name().into(), spec, size, claims, &hypervisor))
            }
            Work::Edit { vm, config, expected, networks, confirms } => {
                let record = self.still_legal(operation, *vm)?;
                let before = spec_of(&record)?;
                check_revision(&before, *expected)?;
                let hypervisor = self.hypervisor().await?;
                let (spec, config) = (before.clone(), (**config).clone());
                let in_use = record.is_on() || record.memory.is_some();
                let admitted = self
                    .admit(hypervisor.clone(), move |admission| {
                        admission.edit(&spec, config, in_use)
                    })
                    .await?;
                let admitted = self.with_addresses(admitted, Some(&before))?;
                are_those(&admitted.networks, networks)?;
                let Admitted { mut spec, seed, claims, .. } = admitted;
                if before.draft && !confirms {
                    Arc::make_mut(&mut spec).draft = true;
                }
                let sizes = (self.disk_size_now(&before), self.disk_size(&spec));
                Ok(plan::edit(before, spec, seed, sizes, claims, &hypervisor))
            }
            Work::Nic { vm, change, networks } => {
                self.plan_nic(operation, *vm, change, networks).await
            }
            Work::Delete { vm } => {
                let record = self.still_legal(operation, *vm)?;
                if record.manager().is_some() {
                    return Ok(plan::let_go(*vm, record.spec.is_none()));
                }
                plan::delete(&self.context(&record, false).await?, record.spec.is_none())
            }
            Work::Power { vm, verb, timeout } => {
                self.plan_power(operation, *vm, *verb, *timeout).await
            }
            Work::Adopt { spec, machine } => {
                let context = self.context_of_adopted(spec.clone()).await?;
                plan::adopt(&context, Foreign::clone(machine))
            }
            Work::AdoptManaged { spec } => self.plan_adopt_managed(spec),
            Work::Network { request, .. } => {
                Ok(plan::change_network(self.network_change(request).await?))
            }
            Work::AddImage(image) => {
                self.image_name_is_free(&image.name)?;
                if let Some(vm) = image.vm() {
                    self.still_legal(operation, vm)?;
                    import_request(image, &self.view().snapshot())?;
                }
                Ok(plan::add_image((**image).clone()))
            }
            Work::RemoveImage(name) => {
                self.image_is_free(name)?;
                Ok(plan::remove_image(name.clone()))
            }
        }
    }

    async fn plan_nic(
        &self,
        operation: Option<Operation>,
        vm: VmId,
        change: &NicChange,
        waited_for: &[NetworkId],
    ) -> Result<Plan, Refusal> {
        let record = self.still_legal(operation, vm)?;
        let before = spec_of(&record)?;
        let admitted = self.admit_nic(&before, change).await?;
        let admitted = self.with_addresses(admitted, Some(&before))?;
        are_those(&admitted.networks, waited_for)?;
        let Admitted { spec, claims, .. } = admitted;
        let context = self.context(&record, false).await?;
        let snapshot = self.view().snapshot();
        let after = plan::Context { plugs: plugs_of(&spec, &snapshot), spec, ..context.clone() };
        plan::change_nic(&context, &after, change, claims)
    }

    async fn plan_power(
        &self,
        operation: Option<Operation>,
        vm: VmId,
        verb: MachineVerb,
        timeout: Duration,
    ) -> Result<Plan, Refusal> {
        // A kill whose machine has ended meanwhile has nothing left to do, and does that.
        let record = match verb {
            MachineVerb::Kill => self.vm(vm)?,
            _ => self.still_legal(operation, vm)?,
        };
        self.check_quota_for(vm, verb).await?;
        let context = self.context(&record, verb.makes()).await?;
        let context = if verb.makes() { self.connected(context, verb)? } else { context };
        match verb {
            MachineVerb::Start => plan::start(&context, false),
            MachineVerb::StartAfresh => plan::start(&context, true),
            MachineVerb::Stop => plan::stop(&context, timeout),
            MachineVerb::Kill => plan::kill(&context),
            MachineVerb::Reboot => plan::reboot(&context, timeout, false),
            MachineVerb::ForcedReboot => plan::reboot(&context, timeout, true),
            MachineVerb::Reset => plan::reset(&context),
            MachineVerb::Pause => plan::pause(&context),
            MachineVerb::Resume => plan::resume(&context),
            MachineVerb::PutAway => plan::put_away(&context, false),
            MachineVerb::PutAwayForGood => plan::put_away(&context, true),
            MachineVerb::Preserve => plan::preserve(&context),
            MachineVerb::Suspend => plan::suspend(&context),
            MachineVerb::Restore => plan::restore(&context),
        }
    }

    /// With the connections that the machine will have: those of the memory that it goes on from, or its
    /// spec's.
    fn connected(
        &self,
        context: plan::Context,
        verb: MachineVerb,
    ) -> Result<plan::Context, Refusal> {
        let snapshot = self.view().snapshot();
        if verb != MachineVerb::Restore {
            networks_of(&context.spec.config, &snapshot)?;
            return Ok(plan::Context { plugs: plugs_of(&context.spec, &snapshot), ..context });
        }
        for plug in &context.plugs {
            network(&snapshot, plug.network)?;
        }
        Ok(context)
    }

    /// What the disks of a VM may grow to.
    pub(crate) fn disk_size(&self, spec: &Spec) -> ByteSize {
        disk_size(&spec.config, &self.view().snapshot())
    }

    /// The same, as it was noted.
    fn disk_size_now(&self, spec: &Spec) -> ByteSize {
        let noted = self.shared.performer.hands.accountant.disk_of(spec.id);
        noted.unwrap_or_else(|| self.disk_size(spec))
    }

    /// A machine must not run as a user that the guard on its network does not know, least of all root.
    fn check_user(&self, spec: &Spec) -> Result<(), Refusal> {
        let name = &spec.config.name;
        match (&self.shared.uids, spec.assigned.uid) {
            (None, None) => Ok(()),
            (Some(uids), Some(uid)) if uids.ids().contains(&uid) => Ok(()),
            (Some(uids), uid) => {
                let uid =
                    uid.map_or_else(|| "no user of its own".into(), |uid| format!("user {uid}"));
                let message = format!("VM {name} has {uid}, which is not among vm_uids ({uids})");
                Err(Refusal::new(Code::WrongState, message).with_hint(
                    "set vm_uids to a range with that user in it, or start a copy: `inn clone`",
                ))
            }
            (None, Some(uid)) => {
                let message = format!("VM {name} runs as user {uid}, which only root can become");
                Err(Refusal::new(Code::WrongState, message)
                    .with_hint("run the daemon as root, or start a copy: `inn clone`"))
            }
        }
    }

    async fn context(
        &self,
        record: &Arc<Record<Vm>>,
        makes: bool,
    ) -> Result<plan::Context, Refusal> {
        // Legality lets only what needs no spec be done to a VM that has none.
        let spec = if makes { spec_of(record)? } else { spec_or_stand_in(record) };
        let driver = self.shared.performer.drivers.of(record)?.clone();
        let (hypervisor, files) = if makes && record.manager().is_some() {
            // Its manager has all that it is made of.
            (driver.hypervisor().await?, Default::default())
        } else if makes {
            check_confirmed(&spec)?;
            self.check_user(&spec)?;
            let hands = &self.shared.performer.hands;
            let (storage, of) = (hands.storage.clone(), spec.clone());
            let files = blocking(move || plan::machine_files(&storage, &of)).await?;
            hands.no_disk_is_in_anothers_memory(&spec).await?;
            (self.hypervisor().await?, files)
        } else {
            // What ends a machine does not ask whether another could be made.
            Default::default()
        };
        let storage = &self.shared.performer.hands.storage;
        let memory_problem = match makes {
            true => storage.memory(spec.id).await.err(),
            false => None,
        };
        let snapshot = self.view().snapshot();
        let plugs = match &record.memory {
            Some(memory) => memory.incarnation.plugs.clone(),
            None => plugs_of(&spec, &snapshot),
        };
        Ok(plan::Context {
            memory_problem,
            plugs,
            driver,
            managed: record.managed.clone(),
            hypervisor,
            incarnation: record.incarnation.clone(),
            facts: record.facts.clone(),
            files,
            launch: Launch { incarnation: IncarnationId::new(), now: Timestamp::now() },
            memory: record.memory.clone(),
            memory_file: storage.memory_path(spec.id),
            dump_file: storage.dump_path(spec.id),
            hooks: self.events_with_hooks(),
            spec,
        })
    }

    /// The events that the operator has executables for. What cannot be told is taken for a yes: the
    /// step then says what is wrong.
    fn events_with_hooks(&self) -> BTreeSet<HookEvent> {
        self.shared.performer.hands.hooks.events()
    }

    async fn context_of_adopted(&self, spec: Arc<Spec>) -> Result<plan::Context, Refusal> {
        let storage = &self.shared.performer.hands.storage;
        Ok(plan::Context {
            plugs: Vec::new(),
            driver: self.shared.performer.drivers.own().clone(),
            managed: None,
            hypervisor: self.hypervisor().await?,
            incarnation: None,
            facts: Default::default(),
            files: Default::default(),
            launch: Launch { incarnation: IncarnationId::new(), now: Timestamp::now() },
            memory: None,
            memory_problem: None,
            memory_file: storage.memory_path(spec.id),
            dump_file: storage.dump_path(spec.id),
            hooks: BTreeSet::new(),
            spec,
        })
    }
}

/// What the disks of a VM may grow to, each to its own size or its image's.
pub(crate) fn disk_size(config: &VmConfig, snapshot: &Snapshot) -> ByteSize {
    let image_size = |disk: &Disk| {
        let image = snapshot.images.get(disk.image.as_ref()?)?;
        Some(image.virtual_size)
    };
    let volumes = config.disks.iter().filter(|disk| needs_volume(disk));
    let size = |disk: &Disk| disk.size.or_else(|| image_size(disk)).unwrap_or_default();
    ByteSize(volumes.map(|disk| size(disk).0).fold(0, u64::saturating_add))
}

/// A spec that was drafted from somebody else's machine is a guess until a person has looked at it.
fn check_confirmed(spec: &Spec) -> Result<(), Refusal> {
    if !spec.draft {
        return Ok(());
    }
    let message = format!(
        "the spec of VM {} was drafted from the machine that was adopted, and nobody has confirmed it",
        spec.config.name
    );
    Err(Refusal::new(Code::WrongState, message)
        .with_hint("look through it and save it with `inn edit`, then start the VM"))
}
