use super::*;
use innkeeper_model::{
    Assigned, NetworkConfig, NetworkId, ProjectName, Quota, Revision, Secret, SubnetConfig,
    SubnetId, Timestamp, VmConfig, VmId, Want,
    network::{NetworkFacts, Reservation, Subnet},
};
use std::os::unix::fs::PermissionsExt;

fn spec(name: &str) -> Spec {
    Spec {
        id: VmId::new(),
        revision: Revision(1),
        created: Timestamp::UNIX_EPOCH,
        updated: Timestamp::UNIX_EPOCH,
        want: Want::Running,
        draft: false,
        driver: None,
        config: VmConfig::new(name.parse().unwrap()),
        assigned: Assigned::default(),
    }
}

/// A store in a folder of its own, which goes when this does.
struct Fixture {
    folder: tempfile::TempDir,
    store: SpecStore,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let store = SpecStore::open(folder.path().join("specs")).unwrap();
    Fixture { folder, store }
}

fn only(store: &SpecStore) -> StoredSpec {
    let mut stored = store.load().unwrap();
    assert_eq!(stored.len(), 1);
    stored.remove(0)
}

fn reason(stored: StoredSpec) -> Damage {
    match stored {
        StoredSpec::Damaged { reason, .. } => reason,
        StoredSpec::Whole(spec) => panic!("{} is whole", spec.id),
    }
}

/// Saves a spec, changes its file's text, and says how the store then sees it.
fn damaged_by(change: impl FnOnce(String) -> String) -> (Fixture, Spec, Damage) {
    let fixture = fixture();
    let spec = spec("web");
    fixture.store.save(&spec).unwrap();
    let file = fixture.store.file(&spec.id);
    let text = change(fs::read_to_string(&file).unwrap());
    fs::write(&file, text).unwrap();
    let reason = reason(only(&fixture.store));
    (fixture, spec, reason)
}

#[test]
fn what_is_saved_is_loaded_and_private() {
    let fixture = fixture();
    let store = &fixture.store;
    let (mut one, two) = (spec("one"), spec("two"));
    store.save(&one).unwrap();
    store.save(&two).unwrap();
    one.config.description = "a \"quoted\"\nnew line, and 🦀".into();
    store.save(&one).unwrap();
    let loaded: Vec<Spec> = store
        .load()
        .unwrap()
        .into_iter()
        .map(|stored| match stored {
            StoredSpec::Whole(spec) => *spec,
            StoredSpec::Damaged { reason, .. } => panic!("{reason}"),
        })
        .collect();
    assert_eq!(loaded, [one.clone(), two]);
    let mode = store.file(&one.id).metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn the_file_reads_well_and_hides_secrets() {
    let fixture = fixture();
    let store = &fixture.store;
    let mut spec = spec("web");
    spec.config.cloud_init = Some(innkeeper_model::config::CloudInit {
        user_data: Some(Secret::new("hunter2")),
        ..Default::default()
    });
    store.save(&spec).unwrap();
    let text = fs::read_to_string(store.file(&spec.id)).unwrap();
    assert!(text.starts_with("{\n  \"schema\": 1,\n  \"checksum\": \"sha256:"), "{text}");
    assert!(text.contains("\n    \"id\": "), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_changed_text_is_damage_and_the_report_tells_how_to_mend_it() {
    let (fixture, spec, damage) = damaged_by(|text| text.replace("running", "stopped"));
    let Damage::Checksum { written, actual } = damage else {
        panic!("{damage}");
    };
    let file = fixture.store.file(&spec.id);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace(&written, &actual)).unwrap();
    match fixture.store.load_one(spec.id) {
        Some(StoredSpec::Whole(mended)) => assert_eq!(mended.want, Want::Stopped),
        other => panic!("{other:?}"),
    }
    fixture.store.save(&spec).unwrap();
}

#[test]
fn every_kind_of_damage_is_told_apart() {
    let (.., cut) = damaged_by(|text| text[..text.len() / 2].into());
    assert!(matches!(cut, Damage::NotTheDocument(_)), "{cut}");
    let (.., empty) = damaged_by(|_| String::new());
    assert!(matches!(empty, Damage::NotTheDocument(_)), "{empty}");
    let (.., newer) = damaged_by(|_| r#"{"schema": 2, "body": []}"#.into());
    assert!(matches!(newer, Damage::TooNew { found: 2 }), "{newer}");
    let (.., newer) = damaged_by(|text| text.replace("\"schema\": 1", "\"schema\": 9"));
    assert!(matches!(newer, Damage::TooNew { found: 9 }), "{newer}");

    let fixture = fixture();
    let store = &fixture.store;
    let (one, other) = (spec("one"), VmId::new());
    store.save(&one).unwrap();
    fs::rename(store.file(&one.id), store.file(&other)).unwrap();
    let swapped = reason(only(store));
    assert!(
        matches!(&swapped, Damage::Other { found, .. } if *found == one.id.to_string()),
        "{swapped}"
    );
}

#[test]
fn one_damaged_file_does_not_hide_the_others() {
    let (fixture, ..) = damaged_by(|_| "not JSON".into());
    let store = &fixture.store;
    store.save(&spec("healthy")).unwrap();
    let whole = |stored: &StoredSpec| matches!(stored, StoredSpec::Whole(_));
    let stored = store.load().unwrap();
    assert_eq!(stored.len(), 2);
    assert_eq!(stored.iter().filter(|stored| whole(stored)).count(), 1);
}

#[test]
fn what_is_damaged_is_kept_until_somebody_says_otherwise() {
    let (fixture, spec, _) = damaged_by(|_| "not JSON".into());
    let store = &fixture.store;
    for refused in [store.save(&spec), store.remove(spec.id)] {
        let refusal = Refusal::from(refused.unwrap_err());
        assert_eq!(refusal.code, Code::Quarantined);
    }
    assert_eq!(fs::read(store.file(&spec.id)).unwrap(), b"not JSON");
    store.discard_damaged(spec.id).unwrap();
    assert!(store.load().unwrap().is_empty());
    store.save(&spec).unwrap();
}

#[test]
fn what_is_removed_is_gone_and_can_be_removed_again() {
    let fixture = fixture();
    let store = &fixture.store;
    let spec = spec("web");
    store.save(&spec).unwrap();
    store.remove(spec.id).unwrap();
    store.remove(spec.id).unwrap();
    assert!(store.load_one(spec.id).is_none());
}

#[test]
fn what_is_rejected_is_kept_beside_and_goes_with_it() {
    let fixture = fixture();
    let store = &fixture.store;
    for unsynced in [false, true] {
        let (spec, mut other) = (spec("web"), spec("other"));
        store.save(&spec).unwrap();
        other.id = spec.id;
        store.save_rejected(&other).unwrap();
        store.save_rejected(&other).unwrap();
        let file = store.rejected(spec.id);
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(file.parent(), store.file(&spec.id).parent());
        assert!(matches!(only(store), StoredSpec::Whole(found) if *found == spec));
        store.remove_rejected(spec.id).unwrap();
        store.remove_rejected(spec.id).unwrap();
        assert!(!file.exists() && store.file(&spec.id).exists());
        store.save_rejected(&other).unwrap();
        if unsynced {
            store.remove_unsynced(spec.id).unwrap();
            store.sync_all().unwrap();
        } else {
            store.remove(spec.id).unwrap();
        }
        assert!(!file.exists() && !store.file(&spec.id).exists(), "unsynced: {unsynced}");
    }
}

#[test]
fn opening_removes_what_a_crash_left_and_nothing_else() {
    let Fixture { folder, store } = fixture();
    let specs = folder.path().join("specs");
    fs::write(specs.join(".tmp-1-2-3"), "half a spec").unwrap();
    fs::write(specs.join("notes.txt"), "somebody's").unwrap();
    drop(store);
    let store = SpecStore::open(&specs).unwrap();
    assert!(!specs.join(".tmp-1-2-3").exists());
    assert!(specs.join("notes.txt").exists());
    assert!(store.load().unwrap().is_empty());
}

#[test]
fn only_the_customary_spelling_of_an_id_names_a_file() {
    let id = VmId::new();
    assert_eq!(id_of_file(&format!("{id}.json")), Some(id));
    for name in [
        format!("{}.json", id.to_string().to_uppercase()),
        format!("{}.json", id.as_uuid().simple()),
        format!("{{{id}}}.json"),
        format!("{id}.json.bak"),
        "readme.json".into(),
    ] {
        assert_eq!(id_of_file::<VmId>(&name), None, "{name}");
    }
}

#[test]
fn what_waits_is_as_good_as_stored_and_is_stored_by_the_next_sync() {
    let Fixture { folder, store } = fixture();
    // More than are open at once.
    let mut specs: Vec<Spec> = (0..300).map(|number| spec(&format!("vm-{number}"))).collect();
    for spec in &specs {
        store.save_unsynced(spec).unwrap();
    }
    specs[7].config.description = "changed since".into();
    store.save_unsynced(&specs[7]).unwrap();
    assert!(store.load().unwrap().is_empty());
    match store.load_one(specs[7].id) {
        Some(StoredSpec::Whole(found)) => assert_eq!(*found, specs[7]),
        other => panic!("{other:?}"),
    }
    store.sync_all().unwrap();
    let stored = store.load().unwrap();
    assert_eq!(stored.len(), specs.len());
    let changed = stored.into_iter().find(|stored| stored.id() == specs[7].id).unwrap();
    assert!(matches!(changed, StoredSpec::Whole(found) if *found == specs[7]));
    let mode = store.file(&specs[0].id).metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    store.remove_unsynced(specs[0].id).unwrap();
    store.remove_unsynced(VmId::new()).unwrap();
    assert!(store.load_one(specs[0].id).is_none());
    store.sync_all().unwrap();
    assert_eq!(store.load().unwrap().len(), specs.len() - 1);
    assert_eq!(fs::read_dir(folder.path().join("specs")).unwrap().count(), specs.len() - 1);
}

#[test]
fn what_is_saved_or_removed_at_once_overtakes_what_waits() {
    let fixture = fixture();
    let store = &fixture.store;
    let (mut one, two) = (spec("one"), spec("two"));
    store.save_unsynced(&one).unwrap();
    store.save_unsynced(&two).unwrap();
    one.want = Want::Stopped;
    store.save(&one).unwrap();
    store.remove(two.id).unwrap();
    store.sync_all().unwrap();
    assert!(matches!(only(store), StoredSpec::Whole(found) if *found == one));
}

#[test]
fn what_cannot_be_stored_waits_and_the_others_are_stored() {
    let Fixture { folder, store } = fixture();
    let (one, two) = (spec("one"), spec("two"));
    store.save_unsynced(&one).unwrap();
    store.save_unsynced(&two).unwrap();
    // A file cannot be renamed over a folder that is not empty.
    fs::create_dir_all(store.file(&one.id).join("inside")).unwrap();
    let failed = store.sync_all().unwrap_err();
    assert!(failed.to_string().contains(&one.id.to_string()), "{failed}");
    assert!(matches!(store.load_one(two.id), Some(StoredSpec::Whole(_))));
    assert_eq!(fs::read_dir(folder.path().join("specs")).unwrap().count(), 2);
    fs::remove_dir_all(store.file(&one.id)).unwrap();
    store.sync_all().unwrap();
    assert_eq!(store.load().unwrap().len(), 2);
}

#[test]
fn what_is_damaged_is_not_overwritten_later_either() {
    let (fixture, spec, _) = damaged_by(|_| "not JSON".into());
    let store = &fixture.store;
    for refused in [store.save_unsynced(&spec), store.remove_unsynced(spec.id)] {
        assert!(matches!(refused, Err(StoreFailed::Damaged { .. })));
    }
    store.sync_all().unwrap();
    assert_eq!(fs::read(store.file(&spec.id)).unwrap(), b"not JSON");
}

fn network(reserved: u8) -> Network {
    let reservation = |last| Reservation {
        address: [10, 0, 0, last].into(),
        mac: Some("52:54:00:00:00:01".parse().unwrap()),
        name: Some("printer".parse().unwrap()),
    };
    Network {
        id: NetworkId::new(),
        revision: Revision(3),
        created: Timestamp::UNIX_EPOCH,
        updated: Timestamp::UNIX_EPOCH,
        config: NetworkConfig { isolated: true, ..NetworkConfig::new("lan".parse().unwrap()) },
        bridge: "inn0".parse().unwrap(),
        subnets: vec![Subnet {
            id: SubnetId::new(),
            config: SubnetConfig::new("10.0.0.0/24".parse().unwrap()),
            reservations: (2..2 + reserved).map(reservation).collect(),
        }],
        facts: NetworkFacts::default(),
    }
}

#[test]
fn networks_are_stored_in_the_same_way_and_their_facts_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let store = NetworkStore::open(folder.path().join("networks")).unwrap();
    let stored = network(20);
    let mut shown = stored.clone();
    shown.facts = NetworkFacts { up: true, mtu: Some(1500), ..NetworkFacts::default() };
    store.save(&shown).unwrap();
    let text = fs::read_to_string(store.file(&stored.id)).unwrap();
    assert!(text.starts_with("{\n  \"schema\": 1,\n"), "{text}");
    assert!(!text.contains("1500"), "{text}");
    let mut found = store.load().unwrap();
    assert!(matches!(found.pop(), Some(StoredNetwork::Whole(found)) if *found == stored));
    store.save_unsynced(&shown).unwrap();
    assert!(matches!(store.load_one(stored.id), Some(Stored::Whole(found)) if *found == stored));
    store.sync_all().unwrap();
    store.remove(stored.id).unwrap();
    assert!(store.load().unwrap().is_empty());
}

#[test]
fn a_damaged_network_is_reported_with_its_reason_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = NetworkStore::open(folder.path()).unwrap();
    let (damaged, whole) = (network(1), network(0));
    store.save(&damaged).unwrap();
    store.save(&whole).unwrap();
    let file = store.file(&damaged.id);
    let text = fs::read_to_string(&file).unwrap().replace("printer", "scanner");
    fs::write(&file, &text).unwrap();
    let mut stored = store.load().unwrap();
    assert!(matches!(stored.pop(), Some(Stored::Whole(found)) if *found == whole));
    let Some(Stored::Damaged { id, reason: Damage::Checksum { .. }, .. }) = stored.pop() else {
        panic!("the damage was not seen");
    };
    assert_eq!(id, damaged.id);
    for refused in [store.save(&damaged), store.remove(damaged.id)] {
        let refusal = Refusal::from(refused.unwrap_err());
        assert_eq!(refusal.code, Code::Quarantined);
        assert!(refusal.hint.unwrap().contains("delete the network"));
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn quotas_are_stored_in_files_that_are_named_for_their_projects() {
    let folder = tempfile::tempdir().unwrap();
    let store = QuotaStore::open(folder.path()).unwrap();
    let quota = |project: &str, vms| StoredQuota {
        project: project.parse().unwrap(),
        revision: Revision(7),
        updated: Timestamp::UNIX_EPOCH,
        quota: Quota { vms: Some(vms), ..Quota::default() },
    };
    // Names that could be taken for what else there is in such folders.
    let all = [quota("a.json", 1), quota("a.json.rej", 2), quota("web", 3)];
    for quota in &all {
        store.save(quota).unwrap();
    }
    store.save(&all[2]).unwrap();
    let found = store.load().unwrap().into_iter().map(|stored| match stored {
        Stored::Whole(quota) => *quota,
        Stored::Damaged { reason, .. } => panic!("{reason}"),
    });
    assert_eq!(found.collect::<Vec<_>>(), all);
    // One's file under another's name says nothing of either.
    fs::rename(folder.path().join("a.json.json"), folder.path().join("web.json")).unwrap();
    let web: ProjectName = "web".parse().unwrap();
    assert!(matches!(store.load_one(web.clone()), Some(Stored::Damaged { id, .. }) if id == web));
    let refusal = Refusal::from(store.save(&all[2]).unwrap_err());
    assert!(refusal.hint.unwrap().ends_with("delete the project"));
    store.discard_damaged(web.clone()).unwrap();
    assert!(store.load_one(web).is_none());
    store.save(&all[2]).unwrap();
}
