//! What is stored, read when the engine begins.

use crate::{
    accept::reservations::Reservations,
    journal::unfinished::{self, OnRecord, Unreadable},
};
use innkeeper_model::{Code, ProjectName, Refusal, VmId, VmName, names::NotAName};
use innkeeper_storage::{Storage, Swept};
use innkeeper_store::{
    SpecStore, StoredSpec, TaskHistory,
    journal::{Damage, Found},
};
use innkeeper_view::Update;
use std::{collections::HashSet, path::Path, sync::Arc};
use tracing::{info, warn};

/// Where everything is stored.
pub(crate) struct Stored<'a> {
    pub(crate) specs: &'a SpecStore,
    pub(crate) storage: &'a Storage,
    pub(crate) history: &'a TaskHistory,
}

/// What was stored.
pub(crate) struct Loaded {
    /// What the view begins with.
    pub(crate) updates: Vec<Update>,
    /// What is to be gone on with.
    pub(crate) on_record: OnRecord,
    /// What cannot be understood, and must not go.
    pub(crate) unreadable: Vec<Unreadable>,
}

/// Loads all that is stored, after writing to the specs' files what only the journal has.
///
/// # Errors
/// Something cannot be listed, or a wish not written to its file.
pub(crate) fn load(
    stored: &Stored<'_>,
    records: Vec<Found>,
    damage: Vec<Damage>,
    reservations: &Reservations,
    boot_id: &str,
    shown_tasks: usize,
) -> Result<Loaded, Refusal> {
    let mut on_record = unfinished::read(records);
    let mut unreadable = std::mem::take(&mut on_record.unreadable);
    unreadable.extend(damage.into_iter().map(Unreadable::from));
    write_wishes(stored.specs, &mut on_record)?;
    let mut updates = stored_vms(stored, &on_record, reservations)?;
    // A note of a VM that is there no more says nothing to the view.
    updates.extend(on_record.notes.values().flat_map(|(note, _)| note.updates(boot_id)));
    updates.extend(kept_memories(stored.storage)?);
    quarantine(&unreadable, &mut on_record, &mut updates);
    let catalogue = stored.storage.images()?;
    for damaged in catalogue.damaged {
        warn!(image = damaged.name, reason = damaged.reason, "an image cannot be read");
    }
    updates.extend(catalogue.images.into_iter().map(Update::Image));
    let shown = stored.history.newest(shown_tasks)?;
    updates.extend(shown.into_iter().rev().map(Update::Task));
    updates.extend(on_record.ended.iter().map(|(task, _)| Update::Task(task.clone())));
    Ok(Loaded { updates, on_record, unreadable })
}

impl From<Damage> for Unreadable {
    fn from(damage: Damage) -> Self {
        let Damage { about, file, offset, reason, held, .. } = damage;
        let vm = about.filter(|about| !about.is_nil()).map(VmId::from_uuid);
        let reason = format!("{} is damaged at byte {offset}: {reason}", file.display());
        Self::new(vm, reason, held)
    }
}

/// Writes the files of wishes that a daemon had no time to write.
fn write_wishes(specs: &SpecStore, on_record: &mut OnRecord) -> Result<(), Refusal> {
    for (vm, wish) in std::mem::take(&mut on_record.wishes) {
        match &wish.spec {
            Some(spec) => specs.save_unsynced(spec)?,
            None => specs.remove_unsynced(vm)?,
        }
    }
    Ok(specs.sync_all()?)
}

/// Leaves alone the VMs of which the journal says something that cannot be understood.
fn quarantine(unreadable: &[Unreadable], on_record: &mut OnRecord, updates: &mut Vec<Update>) {
    for Unreadable { vm, reason, .. } in unreadable {
        warn!(?vm, reason, "the journal is damaged");
        let Some(id) = *vm else { continue };
        on_record.unfinished.retain(|_, unfinished| unfinished.begun.task.vm != Some(id));
        let spec = updates.iter().find_map(|update| match update {
            Update::VmSpec(spec) if spec.id == id => Some(spec.clone()),
            _ => None,
        });
        let Some(spec) = spec else { continue };
        let problem = format!("{reason}; look at the VM, then move that file away and restart");
        let (name, project) = (spec.config.name.clone(), spec.config.project.clone());
        updates.push(Update::VmQuarantined { id, name, project, problem });
    }
}

fn stored_vms(
    parts: &Stored<'_>,
    on_record: &OnRecord,
    reservations: &Reservations,
) -> Result<Vec<Update>, Refusal> {
    let mut updates = Vec::new();
    let stored = parts.specs.load()?;
    let ids: HashSet<VmId> = stored.iter().map(StoredSpec::id).collect();
    // What is being made is not swept: it is finished or undone by its plan.
    let being_made: HashSet<VmId> =
        on_record.unfinished.values().filter_map(|unfinished| unfinished.begun.task.vm).collect();
    let swept = parts.storage.sweep(|vm| ids.contains(&vm), |vm| being_made.contains(&vm))?;
    if swept != Swept::default() {
        info!(?swept, "cleared up what an earlier daemon had not finished");
    }
    for stored in stored {
        updates.push(match stored {
            StoredSpec::Whole(spec) => Update::VmSpec(Arc::from(spec)),
            StoredSpec::Damaged { id, file, reason } => {
                let problem = format!("{} is damaged: {reason}", file.display());
                warn!(%id, problem, "quarantined");
                let Salvaged { name, project, uid } = salvage(id, &file)?;
                reservations.withhold_uids(uid);
                Update::VmQuarantined { id, name, project, problem }
            }
        });
    }
    Ok(updates)
}

fn kept_memories(storage: &Storage) -> Result<Vec<Update>, Refusal> {
    let mut updates = Vec::new();
    for (id, memory) in storage.memories()? {
        match memory {
            Ok(Some(image)) => updates.push(Update::VmMemory { id, memory: Some(Arc::new(image)) }),
            // Half made or spent: worth nothing, and in nobody's way.
            Ok(None) => {}
            Err(error) => {
                let problem =
                    Some(format!("the memory that is kept of it cannot be used: {error}"));
                updates.push(Update::VmProblem { id, problem });
            }
        }
    }
    Ok(updates)
}

/// What can be made out of a damaged spec. Good enough to call the VM by, and not to act on.
struct Salvaged {
    name: VmName,
    project: ProjectName,
    uid: Option<u32>,
}

fn salvage(id: VmId, file: &Path) -> Result<Salvaged, Refusal> {
    let text = std::fs::read(file).unwrap_or_default();
    let document: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    let config = &document["spec"]["config"];
    let name = match config["name"].as_str().and_then(|name| name.parse().ok()) {
        Some(name) => Ok(name),
        None => format!("damaged-{}", &id.to_string()[..8]).parse(),
    };
    Ok(Salvaged {
        name: name.map_err(|error: NotAName| Refusal::new(Code::Internal, error.to_string()))?,
        project: config["project"].as_str().and_then(|name| name.parse().ok()).unwrap_or_default(),
        uid: document["spec"]["assigned"]["uid"].as_u64().and_then(|uid| uid.try_into().ok()),
    })
}
