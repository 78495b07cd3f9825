#[path = "accountant_model_tests.rs"]
mod against_a_model;

use super::*;
use innkeeper_model::Mebibytes;

fn project(name: &str) -> ProjectName {
    name.parse().unwrap()
}

fn share(cpus: u16, memory: u64) -> Share {
    Share { cpus, memory: Mebibytes(memory) }
}

fn accountant() -> Accountant {
    let host = Quota {
        cpus: Some(4),
        memory: Some(Mebibytes(1000)),
        disk: Some(ByteSize(100)),
        ..Quota::default()
    };
    let quota = Quota {
        vms: Some(1),
        memory: Some(Mebibytes(300)),
        addresses: Some(2),
        ..Quota::default()
    };
    let quotas = [(project("small"), quota)].into();
    Accountant::new(Capacity { host, quotas, ..Capacity::default() })
}

#[track_caller]
fn is_for_lack_of(refused: Result<(), Refusal>, field: &str) -> Refusal {
    let refusal = refused.unwrap_err();
    assert_eq!((refusal.code, refusal.field.as_deref()), (Code::OutOfCapacity, Some(field)));
    refusal
}

#[test]
fn what_is_taken_is_given_back_exactly() {
    let accountant = accountant();
    let (one, other) = (VmId::new(), VmId::new());
    let default = project("default");
    accountant.reserve(one, &default, share(2, 600)).unwrap();
    accountant.reserve(one, &default, share(2, 600)).unwrap();
    is_for_lack_of(accountant.reserve(other, &default, share(1, 401)), "memory");
    accountant.reserve(other, &default, share(2, 400)).unwrap();
    is_for_lack_of(accountant.reserve(VmId::new(), &default, share(1, 0)), "cpus");
    accountant.release(one);
    accountant.release(one);
    accountant.release(other);
    assert_eq!(accountant.usage(), Usage::default());
    assert!(accountant.projects().iter().all(|project| project.name.as_str() == "small"));
    assert!(accountant.accounts().holdings.is_empty());
}

#[test]
fn a_refusal_changes_nothing_and_says_all_there_is_to_say() {
    let accountant = accountant();
    let (vm, small) = (VmId::new(), project("small"));
    accountant.reserve(vm, &small, share(1, 200)).unwrap();
    let before = accountant.usage();
    let refusal = is_for_lack_of(accountant.reserve(vm, &small, share(1, 301)), "memory");
    assert_eq!(
        refusal.message,
        "the quota of project small has not enough memory: 101MiB more, 200MiB of 300MiB taken"
    );
    assert_eq!(
        (refusal.value.as_deref(), refusal.limit.as_deref()),
        (Some("101MiB"), Some("300MiB"))
    );
    assert!(refusal.hint.unwrap().contains("inn project set small --memory"));
    assert_eq!(accountant.usage(), before);
    accountant.reserve_disk(vm, &small, ByteSize(60)).unwrap();
    let refusal = is_for_lack_of(accountant.reserve_disk(vm, &small, ByteSize(101)), "disk");
    // What the host has, and has given others, is none of theirs.
    assert_eq!(refusal.message, "this host has not enough disk: 41B more cannot be had");
    assert_eq!((refusal.value.as_deref(), refusal.limit.as_deref()), (Some("41B"), None));
    assert!(refusal.hint.unwrap().contains("inn diagnose"));
    assert_eq!(accountant.disk_of(vm), Some(ByteSize(60)));
}

#[test]
fn a_project_has_its_quota_and_others_have_not() {
    let accountant = accountant();
    let (small, vm) = (project("small"), VmId::new());
    accountant.has_room(&small, ByteSize(0)).unwrap();
    accountant.reserve_disk(vm, &small, ByteSize(0)).unwrap();
    is_for_lack_of(accountant.has_room(&small, ByteSize(0)), "vms");
    is_for_lack_of(accountant.reserve_disk(VmId::new(), &small, ByteSize(0)), "vms");
    is_for_lack_of(accountant.reserve(vm, &small, share(1, 301)), "memory");
    let other = VmId::new();
    accountant.reserve_disk(other, &project("default"), ByteSize(0)).unwrap();
    accountant.reserve(other, &project("default"), share(1, 301)).unwrap();
    accountant.forget(vm);
    accountant.reserve_disk(VmId::new(), &small, ByteSize(0)).unwrap();
}

#[test]
fn disks_may_shrink_where_there_is_too_little() {
    let accountant = accountant();
    let (vm, default) = (VmId::new(), project("default"));
    accountant.put_disk(vm, &default, ByteSize(500));
    accountant.reserve_disk(vm, &default, ByteSize(400)).unwrap();
    is_for_lack_of(accountant.reserve_disk(vm, &default, ByteSize(401)), "disk");
    assert_eq!(accountant.usage().disk, ByteSize(400));
}

#[test]
fn what_was_over_before_is_let_be_and_gets_no_more() {
    let accountant = accountant();
    let (vm, small) = (VmId::new(), project("small"));
    accountant.put_disk(vm, &small, ByteSize(1));
    accountant.found(vm, &small, share(2, 500));
    let shown = accountant.project(&small);
    assert_eq!((shown.over, shown.used.memory), (vec!["memory".to_owned()], Mebibytes(500)));
    // A reboot takes what the machine has, or less.
    accountant.reserve(vm, &small, share(2, 500)).unwrap();
    accountant.reserve(vm, &small, share(2, 400)).unwrap();
    is_for_lack_of(accountant.reserve(vm, &small, share(2, 401)), "memory");
}

#[test]
fn a_vm_goes_to_another_project_with_all_that_it_has() {
    let accountant = accountant();
    let (vm, small, large) = (VmId::new(), project("small"), project("large"));
    accountant.reserve_disk(vm, &large, ByteSize(7)).unwrap();
    accountant.reserve(vm, &large, share(2, 500)).unwrap();
    accountant.reserve_addresses(vm, &large, 2).unwrap();
    is_for_lack_of(accountant.reserve_disk(vm, &small, ByteSize(7)), "memory");
    // It hears so when it asks, and takes nothing of either.
    is_for_lack_of(accountant.reserve_addresses(vm, &small, 1), "memory");
    accountant.release(vm);
    is_for_lack_of(accountant.reserve_addresses(vm, &small, 3), "addresses");
    accountant.reserve_addresses(vm, &small, 1).unwrap();
    assert_eq!(accountant.project(&small).used, Usage::default());
    assert_eq!(accountant.project(&large).used.addresses, 1);
    accountant.reserve_disk(vm, &small, ByteSize(7)).unwrap();
    assert!(!accountant.knows(&large));
    let moved = Usage { vms: 1, disk: ByteSize(7), addresses: 1, ..Usage::default() };
    assert_eq!(accountant.project(&small).used, moved);
}

#[test]
fn addresses_are_taken_and_given_back() {
    let accountant = accountant();
    let (vm, other, small) = (VmId::new(), VmId::new(), project("small"));
    accountant.reserve_addresses(vm, &small, 2).unwrap();
    is_for_lack_of(accountant.reserve_addresses(other, &small, 1), "addresses");
    accountant.put_addresses(vm, 1);
    accountant.reserve_addresses(other, &small, 1).unwrap();
    accountant.put_addresses(vm, 0);
    accountant.put_addresses(other, 0);
    assert!(accountant.accounts().holdings.is_empty());
    // Of a machine that nothing else is known of, they are nobody's until somebody says whose.
    accountant.put_addresses(vm, 3);
    assert_eq!(accountant.project(&small).used.addresses, 0);
    accountant.put_disk(vm, &small, ByteSize(0));
    assert_eq!(accountant.project(&small).used.addresses, 3);
}

#[test]
fn a_quota_that_was_made_smaller_stops_nothing_and_refuses_what_is_new() {
    let accountant = accountant();
    let web = project("web");
    for vm in [VmId::new(), VmId::new()] {
        accountant.reserve_disk(vm, &web, ByteSize(1)).unwrap();
    }
    let quota = Quota { vms: Some(1), ..Quota::default() };
    let (revision, updated) = Default::default();
    accountant.bound(|bounds| {
        bounds.keep(StoredQuota { project: web.clone(), revision, updated, quota })
    });
    assert_eq!(accountant.project(&web).over, ["vms"]);
    is_for_lack_of(accountant.reserve_disk(VmId::new(), &web, ByteSize(1)), "vms");
    accountant.bound(|bounds| bounds.keep_damaged(web.clone(), "it is damaged".into()));
    let refused = accountant.reserve_disk(VmId::new(), &web, ByteSize(1)).unwrap_err();
    assert_eq!(refused.code, Code::Quarantined);
    accountant.bound(|bounds| bounds.forget(&web));
    accountant.reserve_disk(VmId::new(), &web, ByteSize(1)).unwrap();
}
