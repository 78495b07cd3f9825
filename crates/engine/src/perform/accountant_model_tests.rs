//! The accounts against a recount of them, whatever is done to both.

use super::*;
use proptest::prelude::{
    ProptestConfig, Strategy, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};

const VMS: usize = 4;
const PROJECTS: usize = 3;

/// One thing that is done to the accounts.
#[derive(Debug, Clone)]
enum Done {
    Reserve(usize, usize, u16, u64),
    Found(usize, usize, u16, u64),
    Release(usize),
    ReserveDisk(usize, usize, u64),
    PutDisk(usize, usize, u64),
    Forget(usize),
    ReserveAddresses(usize, usize, u64),
    PutAddresses(usize, u64),
    Bound(usize, Option<u64>),
}

fn done() -> impl Strategy<Value = Done> {
    let (vm, of, amount) = (|| 0..VMS, || 0..PROJECTS, || 0..6u64);
    prop_oneof![
        (vm(), of(), 0..6u16, amount()).prop_map(|(vm, of, c, m)| Done::Reserve(vm, of, c, m)),
        (vm(), of(), 0..6u16, amount()).prop_map(|(vm, of, c, m)| Done::Found(vm, of, c, m)),
        vm().prop_map(Done::Release),
        (vm(), of(), amount()).prop_map(|(vm, of, size)| Done::ReserveDisk(vm, of, size)),
        (vm(), of(), amount()).prop_map(|(vm, of, size)| Done::PutDisk(vm, of, size)),
        vm().prop_map(Done::Forget),
        (vm(), of(), amount()).prop_map(|(vm, of, n)| Done::ReserveAddresses(vm, of, n)),
        (vm(), amount()).prop_map(|(vm, n)| Done::PutAddresses(vm, n)),
        (of(), prop::option::of(amount())).prop_map(|(of, bound)| Done::Bound(of, bound)),
    ]
}

fn named(index: usize) -> ProjectName {
    project(&format!("p{index}"))
}

/// The same amount of each.
fn of_each(bound: Option<u64>) -> Quota {
    let (memory, disk) = (bound.map(Mebibytes), bound.map(ByteSize));
    Quota { vms: bound, cpus: bound, memory, disk, addresses: bound }
}

/// What all entries come to, of one project or of the host.
fn recount(accountant: &Accountant, of: Option<&ProjectName>) -> Usage {
    let mut sum = Usage::default();
    for holding in accountant.accounts().holdings.values() {
        if of.is_none() || holding.project.as_ref() == of {
            let part = holding.usage();
            sum.vms += part.vms;
            sum.cpus += part.cpus;
            sum.memory.0 += part.memory.0;
            sum.disk.0 += part.disk.0;
            sum.addresses += part.addresses;
        }
    }
    sum
}

fn sums(accountant: &Accountant) -> Vec<Usage> {
    (0..PROJECTS).map(|index| accountant.project(&named(index)).used).collect()
}

/// Does it; says whether that could be refused, and was.
fn perform(accountant: &Accountant, vms: &[VmId], done: &Done) -> Option<bool> {
    let checked = |refused: Result<(), Refusal>| Some(refused.is_err());
    match *done {
        Done::Reserve(vm, of, cpus, memory) => {
            checked(accountant.reserve(vms[vm], &named(of), share(cpus, memory)))
        }
        Done::ReserveDisk(vm, of, size) => {
            checked(accountant.reserve_disk(vms[vm], &named(of), ByteSize(size)))
        }
        Done::ReserveAddresses(vm, of, count) => {
            checked(accountant.reserve_addresses(vms[vm], &named(of), count))
        }
        Done::Found(vm, of, cpus, memory) => {
            accountant.found(vms[vm], &named(of), share(cpus, memory));
            None
        }
        Done::Release(vm) => {
            accountant.release(vms[vm]);
            None
        }
        Done::PutDisk(vm, of, size) => {
            accountant.put_disk(vms[vm], &named(of), ByteSize(size));
            None
        }
        Done::Forget(vm) => {
            accountant.forget(vms[vm]);
            None
        }
        Done::PutAddresses(vm, count) => {
            accountant.put_addresses(vms[vm], count);
            None
        }
        Done::Bound(of, bound) => {
            let (revision, updated) = Default::default();
            let (project, quota) = (named(of), of_each(bound));
            accountant
                .bound(|bounds| bounds.keep(StoredQuota { project, revision, updated, quota }));
            None
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_sums_are_those_of_a_recount(
        all in prop::collection::vec(done(), 1..60),
        host in prop::option::of(8..20u64),
    ) {
        let accountant = Accountant::new(Capacity { host: of_each(host), ..Capacity::default() });
        let vms: Vec<VmId> = (0..VMS).map(|_| VmId::new()).collect();
        for done in &all {
            let (before, of_host) = (sums(&accountant), accountant.usage());
            let refused = perform(&accountant, &vms, done);
            let after = sums(&accountant);
            prop_assert_eq!(accountant.usage(), recount(&accountant, None));
            for (index, used) in after.iter().enumerate() {
                prop_assert_eq!(*used, recount(&accountant, Some(&named(index))));
            }
            match (refused, done) {
                (Some(true), _) => {
                    prop_assert_eq!((&after, accountant.usage()), (&before, of_host));
                }
                // Of what an edit of a VM's project asks for, the old one is not asked.
                (Some(false), Done::ReserveAddresses(..)) | (None, _) => {}
                (Some(false), _) => {
                    for (index, (used, before)) in after.iter().zip(&before).enumerate() {
                        let over = accountant.project(&named(index)).quota.exceeded_by(used);
                        let grew = over.iter().find(|what| used.of(**what) > before.of(**what));
                        prop_assert!(grew.is_none(), "{done:?} let {grew:?} grow");
                    }
                }
            }
        }
        for vm in vms {
            accountant.release(vm);
            accountant.forget(vm);
            accountant.put_addresses(vm, 0);
        }
        prop_assert_eq!(accountant.usage(), Usage::default());
        prop_assert!(accountant.accounts().projects.is_empty());
    }
}
