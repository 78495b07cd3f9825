//! Each target, for about a second. `INN_FUZZ_SEED=N` makes other mutations of the corpus.

use inn_fuzz::{TARGETS, Target, short_run};

macro_rules! targets {
    ($($name:ident)*) => {
        const RUN: &[&str] = &[$(stringify!($name)),*];

        $(#[test]
        fn $name() {
            short_run(Target::named(stringify!($name)).expect("it is in the list"));
        })*
    };
}

targets! {
    jwt jwt_parts oidc_parts oidc_keys certificate siwe address
    native_body native_query
    vmm_body virtx_body chypervisord_body vminfod_payload vminfod_query
    qmp qemu_command_line guest_agent libvirt_messages libvirt_xml
    disk kernel seed archive
}

#[test]
fn every_target_is_run() {
    assert_eq!(TARGETS.iter().map(|target| target.name).collect::<Vec<_>>(), RUN);
}
