//! What every store of the registry must do: one list of checks, run against each of them.

use super::{
    CommitFailed, Condition, Config, HostRecord, Hosts, HostsFailed, Key, Record, Registry,
    RegistryFailed, Subnets, Transaction, Write,
};
use async_trait::async_trait;
use futures_util::future::join_all;
use innkeeper_model::{HostId, Revision, SubnetId, VmId};
use std::sync::Arc;

/// A store under test, empty at first.
#[async_trait]
pub(super) trait Subject: Send + Sync {
    /// Opens it; again, after all that was opened before was dropped.
    async fn open(&self) -> Arc<dyn Registry>;

    /// Puts bytes under a path, past everything that checks them, while it is not open.
    async fn spoil(&self, path: &str, bytes: &[u8]);

    /// What was damaged and has been replaced, while it is not open.
    async fn replaced(&self) -> Vec<(String, Vec<u8>)>;
}

/// Makes a test of each check, for a new store each.
macro_rules! suite {
    ($subject:expr; $($check:ident),* $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $check() {
            crate::registry::suite::$check(&$subject).await;
        }
    )*};
    ($subject:expr) => {
        crate::registry::suite::suite! { $subject;
            a_new_registry_is_empty,
            what_is_registered_is_read_back_also_after_opening_again,
            a_snapshot_does_not_change,
            lists_are_in_the_order_of_ids,
            a_transaction_is_made_whole_or_not_at_all,
            each_condition_is_judged,
            revisions_only_grow_also_after_opening_again,
            of_many_that_make_one_host_one_does,
            overlapping_edits_of_a_host_lose_nothing,
            overlapping_edits_of_config_and_subnets_lose_nothing,
            an_edit_that_changes_nothing_writes_nothing,
            an_edit_that_refuses_changes_nothing,
            a_host_goes_with_all_that_was_told_of_it,
            a_host_with_guests_stays,
            a_guest_and_a_removal_never_both_succeed,
            what_is_missing_is_called_so,
            a_record_that_is_too_large_is_refused,
            a_damaged_host_is_listed_apart,
            a_damaged_host_can_be_made_anew_and_its_bytes_are_kept,
            a_damaged_config_goes_with_its_host,
            a_damaged_assignment_still_counts,
            what_has_no_key_of_ours_is_listed_apart,
        }
    };
}
pub(super) use suite;

fn host(id: HostId) -> HostRecord {
    HostRecord { ip: Some("10.100.101.35".parse().unwrap()), ..HostRecord::new(id) }
}

async fn with_host(subject: &dyn Subject) -> (Arc<dyn Registry>, Hosts, HostId) {
    let registry = subject.open().await;
    let (hosts, id) = (Hosts::new(Arc::clone(&registry)), HostId::new());
    hosts.create(host(id)).await.unwrap();
    (registry, hosts, id)
}

async fn note(hosts: &Hosts, id: HostId, key: String) -> Result<HostRecord, HostsFailed> {
    hosts
        .edit(id, |host| {
            host.metadata.insert(key.clone(), "noted".into());
            Ok(())
        })
        .await
}

async fn tell(hosts: &Hosts, id: HostId, key: &str) -> Result<Config, HostsFailed> {
    hosts
        .edit_config(id, |config| {
            config.insert(key.parse().unwrap(), "told".into());
            Ok(())
        })
        .await
}

pub(super) async fn a_new_registry_is_empty(subject: &dyn Subject) {
    let now = subject.open().await.snapshot().await.unwrap();
    assert_eq!((now.hosts().len(), now.damaged().len()), (0, 0));
}

pub(super) async fn what_is_registered_is_read_back_also_after_opening_again(
    subject: &dyn Subject,
) {
    let (registry, hosts, id) = with_host(subject).await;
    let (subnet, vm) = (SubnetId::new(), VmId::new());
    let noted = note(&hosts, id, "rack".into()).await.unwrap();
    assert_eq!(noted.metadata["rack"], "noted");
    tell(&hosts, id, "version").await.unwrap();
    let bridges = Subnets::from([(subnet, "br0".into())]);
    let told = hosts.edit_subnets(id, |subnets| {
        subnets.extend(bridges.clone());
        Ok::<(), HostsFailed>(())
    });
    assert_eq!(told.await.unwrap(), bridges);
    hosts.assign(id, vm).await.unwrap();
    drop((registry, hosts));
    for _ in 0..2 {
        let now = subject.open().await.snapshot().await.unwrap();
        assert_eq!(***now.host(id).unwrap(), noted);
        assert_eq!(now.config(id).unwrap().len(), 1);
        assert_eq!(***now.subnets(id).unwrap(), bridges);
        assert_eq!(now.guests(id).collect::<Vec<_>>(), [vm]);
    }
}

pub(super) async fn a_snapshot_does_not_change(subject: &dyn Subject) {
    let (registry, hosts, id) = with_host(subject).await;
    let before = registry.snapshot().await.unwrap();
    note(&hosts, id, "later".into()).await.unwrap();
    let after = registry.snapshot().await.unwrap();
    assert!(before.host(id).unwrap().metadata.is_empty());
    assert!(after.host(id).unwrap().metadata.contains_key("later"));
    assert!(after.revision() > before.revision());
    assert_eq!(after.hosts_revision(), after.host(id).unwrap().revision);
    tell(&hosts, id, "foo").await.unwrap();
    let told = registry.snapshot().await.unwrap();
    assert_eq!(told.hosts_revision(), after.hosts_revision());
}

pub(super) async fn lists_are_in_the_order_of_ids(subject: &dyn Subject) {
    let (registry, hosts, host_of_all) = with_host(subject).await;
    for _ in 0..20 {
        hosts.create(HostRecord::new(HostId::from_uuid(uuid::Uuid::new_v4()))).await.unwrap();
        hosts.assign(host_of_all, VmId::from_uuid(uuid::Uuid::new_v4())).await.unwrap();
    }
    let now = registry.snapshot().await.unwrap();
    assert!(now.hosts().map(|host| host.id).is_sorted() && now.hosts().len() == 21);
    let guests: Vec<_> = now.guests(host_of_all).collect();
    assert!(guests.is_sorted() && guests.len() == 20);
}

pub(super) async fn a_transaction_is_made_whole_or_not_at_all(subject: &dyn Subject) {
    let (registry, _, id) = with_host(subject).await;
    let (other, vm) = (HostId::new(), VmId::new());
    let writes = Transaction::new()
        .put(Record::Host(host(other)))
        .put(Record::Guest(other, vm))
        .remove(Key::Host(id));
    let refused = writes.clone().when(Condition::Absent(Key::Host(id)));
    let before = registry.snapshot().await.unwrap().revision();
    let conflict = registry.commit(refused).await.unwrap_err();
    assert!(matches!(conflict, CommitFailed::Conflict(Condition::Absent(_))), "{conflict}");
    let now = registry.snapshot().await.unwrap();
    assert!(now.revision() == before && now.host(other).is_none() && now.host(id).is_some());
    let revision = registry.commit(writes).await.unwrap();
    let now = registry.snapshot().await.unwrap();
    assert!(now.host(other).is_some() && now.host(id).is_none());
    assert_eq!(now.revision_of(Key::Host(other)), Some(revision));
    assert_eq!(now.revision_of(Key::Guest(other, vm)), Some(revision));
}

pub(super) async fn each_condition_is_judged(subject: &dyn Subject) {
    let (registry, hosts, id) = with_host(subject).await;
    let revision = registry.snapshot().await.unwrap().host(id).unwrap().revision;
    let empty = HostId::new();
    hosts.create(host(empty)).await.unwrap();
    hosts.assign(id, VmId::new()).await.unwrap();
    let (key, none) = (Key::Host(id), Key::Config(id));
    for (condition, holds) in [
        (Condition::Unchanged(key, revision), true),
        (Condition::Unchanged(key, revision.next()), false),
        (Condition::Unchanged(none, Revision(0)), false),
        (Condition::Present(key), true),
        (Condition::Present(none), false),
        (Condition::Absent(key), false),
        (Condition::Absent(none), true),
        (Condition::NoGuests(id), false),
        (Condition::NoGuests(empty), true),
    ] {
        let judged = registry.commit(Transaction::new().when(condition)).await;
        assert_eq!(judged.is_ok(), holds, "{condition:?}: {judged:?}");
    }
}

pub(super) async fn revisions_only_grow_also_after_opening_again(subject: &dyn Subject) {
    let (registry, hosts, id) = with_host(subject).await;
    hosts.remove(id).await.unwrap();
    let before = registry.snapshot().await.unwrap().revision();
    drop((registry, hosts));
    let (registry, _, id) = with_host(subject).await;
    assert!(registry.snapshot().await.unwrap().host(id).unwrap().revision > before);
}

pub(super) async fn of_many_that_make_one_host_one_does(subject: &dyn Subject) {
    let hosts = Hosts::new(subject.open().await);
    let id = HostId::new();
    let made = join_all((0..16).map(|number| {
        let (hosts, mut host) = (hosts.clone(), host(id));
        host.metadata.insert("by".into(), number.to_string());
        tokio::spawn(async move { hosts.create(host).await.map(|()| number) })
    }));
    let made: Vec<_> = made.await.into_iter().map(Result::unwrap).collect();
    let winners: Vec<_> = made.iter().flatten().collect();
    assert_eq!(winners.len(), 1, "{made:?}");
    assert!(made.iter().all(|made| matches!(made, Ok(_) | Err(HostsFailed::Taken(_)))));
    let now = hosts.snapshot().await.unwrap();
    assert_eq!(now.host(id).unwrap().metadata["by"], winners[0].to_string());
}

pub(super) async fn overlapping_edits_of_a_host_lose_nothing(subject: &dyn Subject) {
    let (registry, hosts, id) = with_host(subject).await;
    let writers = (0..16).map(|writer| {
        let hosts = hosts.clone();
        tokio::spawn(async move {
            for edit in 0..10 {
                note(&hosts, id, format!("{writer}-{edit}")).await.unwrap();
            }
        })
    });
    join_all(writers).await.into_iter().for_each(|writer| writer.unwrap());
    assert_eq!(registry.snapshot().await.unwrap().host(id).unwrap().metadata.len(), 160);
}

pub(super) async fn overlapping_edits_of_config_and_subnets_lose_nothing(subject: &dyn Subject) {
    let (registry, hosts, id) = with_host(subject).await;
    let writers = (0..8).map(|writer| {
        let hosts = hosts.clone();
        tokio::spawn(async move {
            for edit in 0..5 {
                tell(&hosts, id, &format!("{writer}-{edit}")).await.unwrap();
                let attach = |subnets: &mut Subnets| {
                    subnets.insert(SubnetId::new(), "br0".into());
                    Ok::<(), HostsFailed>(())
                };
                hosts.edit_subnets(id, attach).await.unwrap();
            }
        })
    });
    join_all(writers).await.into_iter().for_each(|writer| writer.unwrap());
    let now = registry.snapshot().await.unwrap();
    assert_eq!((now.config(id).unwrap().len(), now.subnets(id).unwrap().len()), (40, 40));
}

pub(super) async fn an_edit_that_changes_nothing_writes_nothing(subject: &dyn Subject) {
    let (registry, hosts, id) = with_host(subject).await;
    let before = registry.snapshot().await.unwrap().revision();
    hosts.edit(id, |_| Ok::<(), HostsFailed>(())).await.unwrap();
    hosts.edit_config(id, |_| Ok::<(), HostsFailed>(())).await.unwrap();
    assert_eq!(registry.snapshot().await.unwrap().revision(), before);
}

pub(super) async fn an_edit_that_refuses_changes_nothing(subject: &dyn Subject) {
    let (registry, hosts, id) = with_host(subject).await;
    let refused = hosts.edit(id, |host| {
        host.ip = None;
        Err(HostsFailed::NotEmpty(id))
    });
    assert!(matches!(refused.await, Err(HostsFailed::NotEmpty(_))));
    assert!(registry.snapshot().await.unwrap().host(id).unwrap().ip.is_some());
}

pub(super) async fn a_host_goes_with_all_that_was_told_of_it(subject: &dyn Subject) {
    let (registry, hosts, id) = with_host(subject).await;
    tell(&hosts, id, "foo").await.unwrap();
    assert_eq!(hosts.remove(id).await.unwrap(), host(id));
    // Made again, it knows nothing of before.
    hosts.create(host(id)).await.unwrap();
    assert!(registry.snapshot().await.unwrap().config(id).is_none());
}

pub(super) async fn a_host_with_guests_stays(subject: &dyn Subject) {
    let (registry, hosts, id) = with_host(subject).await;
    let vm = VmId::new();
    hosts.assign(id, vm).await.unwrap();
    hosts.assign(id, vm).await.unwrap();
    assert!(matches!(hosts.remove(id).await, Err(HostsFailed::NotEmpty(_))));
    hosts.unassign(id, vm).await.unwrap();
    hosts.unassign(id, vm).await.unwrap();
    hosts.remove(id).await.unwrap();
    assert!(registry.snapshot().await.unwrap().host(id).is_none());
}

pub(super) async fn a_guest_and_a_removal_never_both_succeed(subject: &dyn Subject) {
    let hosts = Hosts::new(subject.open().await);
    for _ in 0..20 {
        let (id, vm) = (HostId::new(), VmId::new());
        hosts.create(host(id)).await.unwrap();
        let (assigned, removed) = tokio::join!(hosts.assign(id, vm), hosts.remove(id));
        assert_ne!(assigned.is_ok(), removed.is_ok(), "{assigned:?} {removed:?}");
        let now = hosts.snapshot().await.unwrap();
        assert_eq!(now.guests(id).count() == 1, now.host(id).is_some());
    }
}

pub(super) async fn what_is_missing_is_called_so(subject: &dyn Subject) {
    let (_registry, hosts, _) = with_host(subject).await;
    let id = HostId::new();
    let missing = [
        note(&hosts, id, "x".into()).await.err(),
        tell(&hosts, id, "x").await.err(),
        hosts.remove(id).await.err(),
        hosts.assign(id, VmId::new()).await.err(),
        hosts.unassign(id, VmId::new()).await.err(),
    ];
    for missing in missing {
        assert!(matches!(missing, Some(HostsFailed::Missing(of)) if of == id), "{missing:?}");
    }
}

pub(super) async fn a_record_that_is_too_large_is_refused(subject: &dyn Subject) {
    let (registry, hosts, id) = with_host(subject).await;
    let refused = note(&hosts, id, "x".repeat(super::MAX_RECORD)).await;
    assert!(matches!(refused, Err(HostsFailed::TooLarge { .. })), "{refused:?}");
    assert!(registry.snapshot().await.unwrap().host(id).unwrap().metadata.is_empty());
}

/// Three hosts, of which the second is then damaged.
async fn with_damaged_host(subject: &dyn Subject) -> (Arc<dyn Registry>, Hosts, [HostId; 3]) {
    let (registry, hosts, first) = with_host(subject).await;
    let ids = [first, HostId::new(), HostId::new()];
    for id in &ids[1..] {
        hosts.create(host(*id)).await.unwrap();
    }
    drop((registry, hosts));
    subject.spoil(&Key::Host(ids[1]).to_string(), b"\xff\0 no record").await;
    let registry = subject.open().await;
    let hosts = Hosts::new(Arc::clone(&registry));
    (registry, hosts, ids)
}

pub(super) async fn a_damaged_host_is_listed_apart(subject: &dyn Subject) {
    let (registry, hosts, [first, damaged, last]) = with_damaged_host(subject).await;
    let now = registry.snapshot().await.unwrap();
    assert_eq!(now.hosts().map(|host| host.id).collect::<Vec<_>>(), [first, last]);
    let apart: Vec<_> = now.damaged().map(|damaged| damaged.path.clone()).collect();
    assert_eq!(apart, [Key::Host(damaged).to_string()]);
    // The others are edited as ever; the damaged one is not, and keeps its id.
    note(&hosts, last, "x".into()).await.unwrap();
    assert!(matches!(note(&hosts, damaged, "x".into()).await, Err(HostsFailed::Damaged { .. })));
    assert!(matches!(hosts.remove(damaged).await, Err(HostsFailed::Damaged { .. })));
    let taken = Transaction::new().when(Condition::Absent(Key::Host(damaged)));
    assert!(registry.commit(taken).await.is_err());
}

pub(super) async fn a_damaged_host_can_be_made_anew_and_its_bytes_are_kept(subject: &dyn Subject) {
    let (registry, hosts, [_, damaged, _]) = with_damaged_host(subject).await;
    hosts.create(host(damaged)).await.unwrap();
    let now = registry.snapshot().await.unwrap();
    assert_eq!((now.hosts().len(), now.damaged().len()), (3, 0));
    hosts.remove(damaged).await.unwrap();
    drop((registry, hosts));
    let kept = (Key::Host(damaged).to_string(), b"\xff\0 no record".to_vec());
    assert_eq!(subject.replaced().await, [kept]);
    assert_eq!(subject.open().await.snapshot().await.unwrap().damaged().len(), 0);
}

pub(super) async fn a_damaged_config_goes_with_its_host(subject: &dyn Subject) {
    let (registry, hosts, id) = with_host(subject).await;
    tell(&hosts, id, "foo").await.unwrap();
    drop((registry, hosts));
    subject.spoil(&Key::Config(id).to_string(), b"1 0 {}").await;
    let hosts = Hosts::new(subject.open().await);
    assert!(matches!(tell(&hosts, id, "foo").await, Err(HostsFailed::Damaged { .. })));
    note(&hosts, id, "the host itself is whole".into()).await.unwrap();
    hosts.remove(id).await.unwrap();
    assert_eq!(hosts.snapshot().await.unwrap().damaged().len(), 0);
    drop(hosts);
    assert_eq!(subject.replaced().await.len(), 1);
}

pub(super) async fn a_damaged_assignment_still_counts(subject: &dyn Subject) {
    let (registry, hosts, id) = with_host(subject).await;
    let vm = VmId::new();
    hosts.assign(id, vm).await.unwrap();
    drop((registry, hosts));
    subject.spoil(&Key::Guest(id, vm).to_string(), b"").await;
    let hosts = Hosts::new(subject.open().await);
    assert!(matches!(hosts.remove(id).await, Err(HostsFailed::NotEmpty(_))));
    hosts.unassign(id, vm).await.unwrap();
    hosts.remove(id).await.unwrap();
}

pub(super) async fn what_has_no_key_of_ours_is_listed_apart(subject: &dyn Subject) {
    let (registry, hosts, id) = with_host(subject).await;
    drop((registry, hosts));
    let upper = Key::Host(id).to_string().replace(&id.to_string(), &id.to_string().to_uppercase());
    for path in ["hosts/../etc", "", &upper] {
        subject.spoil(path, b"1 0 {}").await;
    }
    let registry = subject.open().await;
    let now = registry.snapshot().await.unwrap();
    assert_eq!((now.hosts().len(), now.damaged().len()), (1, 3));
    let write = Write::Put(Record::Host(host(id)));
    let transaction = Transaction { conditions: Vec::new(), writes: vec![write] };
    let made: Result<_, CommitFailed> = registry.commit(transaction).await;
    assert!(!matches!(made, Err(CommitFailed::Store(RegistryFailed::Closed))) && made.is_ok());
}
