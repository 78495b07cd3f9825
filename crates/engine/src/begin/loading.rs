//! What is stored, read when the engine begins.

use crate::{
    accept::reservations::Reservations,
    journal::{
        unfinished::{self, LastWish, OnRecord},
        unreadable::{self, LeftAlone, Unreadable},
        wishes,
    },
    reconcile::by_hand,
};
use innkeeper_model::{Code, ProjectName, Refusal, Spec, Task, VmId, VmName, names::NotAName};
use innkeeper_storage::{Storage, Swept, needs_volume};
use innkeeper_store::{
    NetworkStore, SpecStore, StoredNetwork, StoredSpec, TaskHistory,
    journal::{Damage, Found},
};
use innkeeper_view::Update;
use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    sync::Arc,
};
use tracing::{info, warn};

/// Where everything is stored.
pub(crate) struct Stored<'a> {
    pub(crate) specs: &'a SpecStore,
    pub(crate) networks: &'a NetworkStore,
    pub(crate) storage: &'a Storage,
    pub(crate) history: &'a TaskHistory,
}

/// What was stored.
pub(crate) struct Loaded {
    /// What the view begins with.
    pub(crate) updates: Vec<Update>,
    /// What is to be gone on with.
    pub(crate) on_record: OnRecord,
    /// What cannot be made out, and must not go.
    pub(crate) unreadable: Vec<Unreadable>,
    /// What is not to be gone on with for that.
    pub(crate) left_alone: LeftAlone,
}

/// Loads all that is stored, after writing to the specs' files what only the journal has. Where they take
/// nothing, as on a full disk, it is as good as stored, and stays among the wishes on record.
///
/// # Errors
/// Something cannot be listed.
pub(crate) fn load(
    stored: &Stored<'_>,
    records: Vec<Found>,
    damage: Vec<Damage>,
    reservations: &Reservations,
    boot_id: &str,
    shown_tasks: usize,
) -> Result<Loaded, Refusal> {
    let mut on_record = unfinished::read(records, damage);
    leave_newer_files(stored.specs, &mut on_record);
    write_wishes(stored.specs, &mut on_record.wishes);
    let mut updates = stored_networks(stored.networks)?;
    updates.extend(stored_vms(stored, &on_record, reservations)?);
    // A note of a VM that is there no more says nothing to the view.
    updates.extend(on_record.notes.values().flat_map(|(note, _)| note.updates(boot_id)));
    let unnoted = disks_not_noted(stored.storage, &updates, &on_record);
    updates.extend(unnoted);
    updates.extend(kept_memories(stored.storage)?);
    let shown = stored.history.newest(shown_tasks)?;
    let left_alone = unreadable::quarantine(&mut on_record, &shown, reservations, &mut updates);
    let unreadable = std::mem::take(&mut on_record.unreadable);
    let catalogue = stored.storage.images()?;
    for damaged in catalogue.damaged {
        warn!(image = damaged.name, reason = damaged.reason, "an image cannot be read");
    }
    updates.extend(catalogue.images.into_iter().map(Update::Image));
    updates.extend(shown.into_iter().rev().map(of_before));
    updates.extend(on_record.ended.iter().map(|(task, _)| of_before(task.clone())));
    Ok(Loaded { updates, on_record, unreadable, left_alone })
}

/// A task that an earlier daemon ended. Where it settled was a place in that one's view.
fn of_before(task: Task) -> Update {
    Update::Task(Task { settled_at: None, ..task })
}

/// Leaves those files as they are that are newer than what the journal wants of them, where it cannot be read
/// as a whole: a newer wish may be what is lost. The older spec is kept beside the file.
fn leave_newer_files(specs: &SpecStore, on_record: &mut OnRecord) {
    let OnRecord { wishes, unreadable, .. } = on_record;
    wishes.retain(|vm, wish| {
        let is_unsure = unreadable.iter().any(|one| one.vm.is_none_or(|of| of == *vm));
        let Some(spec) = wish.spec.as_ref().filter(|_| is_unsure) else { return true };
        let in_file = specs.load_one(*vm);
        let is_newer =
            matches!(in_file, Some(StoredSpec::Whole(file)) if file.updated > spec.updated);
        if is_newer && let Err(error) = specs.save_rejected(spec) {
            warn!(%vm, %error, "an older spec, which the journal has, is not kept");
        }
        !is_newer
    });
}

/// Writes the files of wishes that a daemon had no time to write. Those that could not be written stay.
fn write_wishes(specs: &SpecStore, wishes: &mut BTreeMap<VmId, LastWish>) {
    if wishes.is_empty() {
        return;
    }
    let specs_of = wishes.iter().map(|(vm, wish)| (*vm, wish.spec.clone()));
    match wishes::write(specs, specs_of) {
        Ok(failed) => wishes.retain(|vm, _| {
            let why = failed.get(vm);
            why.inspect(
                |why| warn!(%vm, %why, "its spec is in the journal, and its file not written"),
            )
            .is_some()
        }),
        Err(error) => {
            warn!(%error, "specs are in the journal, and their files not written");
        }
    }
}

/// The stored specs, with what is wanted by now of those whose files could not be written. A file that is
/// damaged is a person's to mend all the same.
fn stored_specs(
    specs: &SpecStore,
    unwritten: &BTreeMap<VmId, LastWish>,
) -> Result<Vec<StoredSpec>, Refusal> {
    let mut stored = specs.load()?;
    stored.retain(|stored| match stored {
        StoredSpec::Whole(spec) => !unwritten.contains_key(&spec.id),
        StoredSpec::Damaged { .. } => true,
    });
    let damaged: HashSet<VmId> =
        stored.iter().filter(|one| is_damaged(one)).map(StoredSpec::id).collect();
    let wanted = unwritten.iter().filter(|(vm, _)| !damaged.contains(vm));
    let wanted = wanted.filter_map(|(_, wish)| wish.spec.as_deref());
    stored.extend(wanted.map(|spec| StoredSpec::Whole(Box::new(spec.clone()))));
    Ok(stored)
}

fn is_damaged(stored: &StoredSpec) -> bool {
    matches!(stored, StoredSpec::Damaged { .. })
}

fn stored_vms(
    parts: &Stored<'_>,
    on_record: &OnRecord,
    reservations: &Reservations,
) -> Result<Vec<Update>, Refusal> {
    let mut updates = Vec::new();
    let stored = stored_specs(parts.specs, &on_record.wishes)?;
    let ids: HashSet<VmId> = stored.iter().map(StoredSpec::id).collect();
    // What is being made is not swept: it is finished or undone by its plan.
    let being_made: HashSet<VmId> =
        on_record.unfinished.values().filter_map(|unfinished| unfinished.begun.task.vm).collect();
    // Nor what may be: the record of whose making cannot be read.
    let may_be = |vm| {
        let of = |one: &Unreadable| one.vm.is_none_or(|of| of == vm);
        being_made.contains(&vm) || on_record.unreadable.iter().any(of)
    };
    let swept = parts.storage.sweep(|vm| ids.contains(&vm), may_be)?;
    if swept != Swept::default() {
        info!(?swept, "cleared up what an earlier daemon had not finished");
    }
    for stored in stored {
        updates.push(match stored {
            StoredSpec::Whole(spec) => Update::VmSpec(Arc::new(in_force(parts.specs, *spec))),
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

/// A stored spec as far as it is in force. What a person added while no daemon ran is asked for by the first
/// survey.
fn in_force(specs: &SpecStore, spec: Spec) -> Spec {
    let placed = by_hand::with_places(&spec);
    if placed.config != spec.config {
        info!(vm = %spec.id, "its spec has devices that were added by hand");
        specs.look_again(spec.id);
    }
    placed
}

/// The disks of VMs whose notes do not name them, such as those that were made just before a daemon was
/// killed. Notes that name them are believed until the first survey: to look at them all takes long.
fn disks_not_noted(storage: &Storage, updates: &[Update], on_record: &OnRecord) -> Vec<Update> {
    let mut found = Vec::new();
    for update in updates {
        let Update::VmSpec(spec) = update else { continue };
        let noted = on_record.notes.get(&spec.id).map(|(note, _)| &*note.disks).unwrap_or_default();
        let disks = spec.config.disks.iter().filter(|disk| needs_volume(disk));
        if !disks.map(|disk| &disk.name).eq(noted.iter().map(|disk| &disk.name)) {
            let disks = storage.disk_facts(spec.id, &spec.config.disks);
            found.push(Update::VmDisks { id: spec.id, disks });
        }
    }
    found
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
    let text = |field: &str| config[field].as_str().unwrap_or_default();
    // The project that is there by default is not written.
    let no_name = |error: NotAName| Refusal::new(Code::Internal, error.to_string());
    let (name, project) = nobodys_name(id).map_err(no_name)?;
    Ok(Salvaged {
        name: text("name").parse().unwrap_or(name),
        project: match config.as_object().map(|config| config.contains_key("project")) {
            Some(false) => ProjectName::default(),
            _ => text("project").parse().unwrap_or(project),
        },
        uid: document["spec"]["assigned"]["uid"].as_u64().and_then(|uid| uid.try_into().ok()),
    })
}

/// Names of nobody's: whoever is bound to the project that is there by default must not find what may be
/// another's.
///
/// # Errors
/// None that could come of an id.
pub(crate) fn nobodys_name(vm: VmId) -> Result<(VmName, ProjectName), NotAName> {
    let nobodys = format!("damaged-{}", &vm.to_string()[..8]);
    Ok((nobodys.parse()?, nobodys.parse()?))
}

/// The stored networks. One that cannot be read is not there for VMs, and nothing of it is touched.
fn stored_networks(store: &NetworkStore) -> Result<Vec<Update>, Refusal> {
    let mut updates = Vec::new();
    for stored in store.load()? {
        match stored {
            StoredNetwork::Whole(network) => updates.push(Update::Network(Arc::from(network))),
            StoredNetwork::Damaged { file, reason, .. } => {
                warn!(file = %file.display(), %reason, "the record of a network is damaged");
            }
        }
    }
    Ok(updates)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::unfinished::tests::{held, spec};

    #[test]
    fn a_damaged_spec_is_of_the_project_that_it_names_and_else_of_nobodys() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("spec.json");
        let id = VmId::new();
        let nobodys = format!("damaged-{}", &id.to_string()[..8]);
        for (text, name, project) in [
            (r#"{"spec":{"config":{"name":"web","project":"shop"}}}"#, "web", "shop"),
            (r#"{"spec":{"config":{"name":"web"}}}"#, "web", "default"),
            (r#"{"spec":{"config":{"name":"web","project":"../"}}}"#, "web", &*nobodys),
            ("{", &nobodys, &nobodys),
        ] {
            std::fs::write(&file, text).unwrap();
            let salvaged = salvage(id, &file).unwrap();
            let found = (salvaged.name.as_str(), salvaged.project.as_str());
            assert_eq!(found, (name, project), "{text}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_as_good_as_stored_and_stays_on_record() {
        // A folder in which nobody can make anything.
        let specs = SpecStore::open("/proc/self/attr").unwrap();
        let (there, gone) = (VmId::new(), VmId::new());
        let held = held().await;
        let wish = |number, spec| LastWish { number, spec, held: held.clone() };
        let mut wishes =
            BTreeMap::from([(there, wish(1, Some(spec(there, 3)))), (gone, wish(2, None))]);
        write_wishes(&specs, &mut wishes);
        assert_eq!(wishes.len(), 2);
        let stored = stored_specs(&specs, &wishes).unwrap();
        let [StoredSpec::Whole(spec)] = &stored[..] else { panic!("{stored:?}") };
        assert_eq!((spec.id, spec.revision.0), (there, 3));

        let folder = tempfile::tempdir().unwrap();
        let specs = SpecStore::open(folder.path()).unwrap();
        write_wishes(&specs, &mut wishes);
        assert!(wishes.is_empty() && specs.file(&there).exists());
    }

    #[tokio::test]
    async fn a_newer_spec_in_its_file_stays_where_the_journal_cannot_be_read_as_a_whole() {
        let unread = async |vm| Unreadable::newer(vm, None, "", held().await);
        let vm = VmId::new();
        let at = |revision: u64| Spec {
            updated: jiff::Timestamp::from_second(revision as i64).unwrap(),
            ..Spec::clone(&spec(vm, revision))
        };
        for (unreadable, of_wish, stays) in [
            (None, 3, false),
            (Some(Some(VmId::new())), 3, false),
            (Some(Some(vm)), 3, true),
            (Some(None), 3, true),
            (Some(Some(vm)), 5, false),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let specs = SpecStore::open(folder.path()).unwrap();
            specs.save(&at(4)).unwrap();
            let mut on_record = OnRecord::default();
            if let Some(of) = unreadable {
                on_record.unreadable.push(unread(of).await);
            }
            let spec = Some(Arc::new(at(of_wish)));
            on_record.wishes.insert(vm, LastWish { number: 1, spec, held: held().await });
            leave_newer_files(&specs, &mut on_record);
            assert_eq!(on_record.wishes.is_empty(), stays);
            assert_eq!(specs.rejected(vm).exists(), stays, "the other is not lost");
        }
    }
}
