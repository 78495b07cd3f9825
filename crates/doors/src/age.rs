//! VMs in the order in which they came, for the protocols whose lists are in that.

use innkeeper_model::{Vm, VmId};
use innkeeper_view::Record;
use std::sync::Arc;

/// When a VM was made, in milliseconds since 1970, then its id, so that no two are equal.
pub(crate) type Age = (u64, VmId);

/// These VMs, the oldest first.
///
/// Ids that are made here say when they were made, so a list of them alone is in order already, and its VMs
/// are not looked at. Of VMs with other ids their specs say it; and those of another manager, of which
/// nobody here knows it, come before all others.
pub(crate) fn oldest_first<'a>(
    vms: impl Iterator<Item = (VmId, &'a Arc<Record<Vm>>)>,
) -> Vec<Arc<Record<Vm>>> {
    let mut vms: Vec<(Age, &Arc<Record<Vm>>)> = vms.map(|(id, vm)| (of(id, vm), vm)).collect();
    // Stable, and so one pass over what is in order.
    vms.sort_by_key(|(age, _)| *age);
    vms.into_iter().map(|(_, vm)| Arc::clone(vm)).collect()
}

/// What VMs are in order by.
pub(crate) fn of(id: VmId, vm: &Vm) -> Age {
    let made = told_by_id(id).unwrap_or_else(|| {
        let created = vm.spec.as_ref().map_or(0, |spec| spec.created.as_millisecond());
        u64::try_from(created).unwrap_or(0)
    });
    (made, id)
}

/// When an id was made that says it.
fn told_by_id(id: VmId) -> Option<u64> {
    const TIME_AND_RANDOM: usize = 7;
    let id = id.as_uuid();
    // Its first 48 bits are that time (RFC 9562, 5.7).
    (id.get_version_num() == TIME_AND_RANDOM).then(|| id.as_u64_pair().0 >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::spec;
    use innkeeper_model::{Spec, Timestamp, VmConfig};
    use innkeeper_view::{Update, View, ViewOptions};
    use uuid::Uuid;

    #[tokio::test]
    async fn what_came_first_is_first_whatever_its_id_says() {
        let made = [
            // As they sort: the last two have ids that say nothing of when.
            ("01890000-0000-7000-8000-000000000000", 1_687_552_000),
            ("01920000-0000-7000-8000-000000000000", 1_726_206_640),
            ("0a000000-0000-4000-8000-000000000000", 1_700_000_000),
            ("f0000000-0000-4000-8000-000000000000", 1_600_000_000),
        ];
        let view = View::start(ViewOptions::new(Uuid::now_v7()));
        let update = |(number, (id, second)): (usize, (&str, i64))| {
            let config = VmConfig::new(format!("vm-{number}").parse().unwrap());
            let created = Timestamp::from_second(second).unwrap();
            let spec = Spec { created, ..spec(id.parse().unwrap(), config) };
            Update::VmSpec(Arc::new(spec))
        };
        view.barrier(made.into_iter().enumerate().map(update).collect()).await.unwrap();
        let snapshot = view.snapshot();
        let listed = oldest_first(snapshot.vms.iter().map(|(id, vm)| (*id, vm)));
        let names: Vec<_> = listed.iter().map(|vm| vm.name.to_string()).collect();
        assert_eq!(names, ["vm-3", "vm-0", "vm-2", "vm-1"]);
    }
}
