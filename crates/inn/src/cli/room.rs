//! How much more can be plugged into a VM while it runs, in words.

use innkeeper_model::{Spec, Vm};

/// What there is room for, and what to do where there is none.
pub(super) fn of(spec: &Spec, vm: &Vm) -> String {
    let name = &vm.name;
    match spec.free_ports(vm.incarnation.as_deref()) {
        0 => format!(
            "{name}: no room for more NICs while it runs; set spare_ports with inn edit, then stop and \
             start it"
        ),
        1 => format!("{name}: room for 1 more NIC while it runs"),
        free => format!("{name}: room for {free} more NICs while it runs"),
    }
}
