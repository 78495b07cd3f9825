//! The QEMU driver: one process a VM, started directly, spoken to over QMP.
//!
//! - `command_line` turns a spec into an incarnation, `restore` a memory image: pure.
//! - `process` starts, names and ends processes; `confine` says what they may do, `proc` what they do.
//! - `qmp` is the control protocol; `machine` is one running machine, `keeper` keeps its facts on a `beat`.
//! - `foreign` sees the machines of others, `adopt` takes one over.
//! - `steps` is this driver's part of every plan; `driver` does them.
//!
//! A QEMU outlives the daemon. What is needed to find it again is in its run folder, and only what
//! is found by such a record is ever signalled.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod accelerator;
mod adopt;
mod assign;
mod beat;
mod block;
mod command_line;
mod confine;
mod console;
mod descriptors;
mod driver;
mod facts;
mod foreign;
#[doc(hidden)]
pub mod fuzz;
mod guest_end;
mod host;
mod keeper;
mod launch;
mod machine;
mod nic;
mod option;
mod proc;
mod process;
mod qmp;
mod records;
mod restore;
mod run_folder;
mod serial;
mod statistics;
mod steps;
mod steps_v1;
mod write_back;

pub use accelerator::AcceleratorChoice;
pub use driver::{QemuDriver, QemuOptions};
pub use host::{OLDEST_QEMU, is_too_old};
