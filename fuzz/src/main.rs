//! The long run of one target, which `INN_FUZZ_TARGET` names: libFuzzer, whose arguments this takes.
//! `make fuzz` builds it with what libFuzzer needs to see.

#![no_main]

use inn_fuzz::{TARGETS, Target};
use std::sync::LazyLock;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("INN_FUZZ_TARGET").unwrap_or_default();
    let target = Target::named(&name).unwrap_or_else(|| {
        let known: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        panic!("INN_FUZZ_TARGET is {name:?}, and none of {}", known.join(", "))
    });
    target.warm_up();
    target
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    TARGET.read(bytes);
});
