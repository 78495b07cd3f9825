//! The QEMU driver: one process a VM, started directly, spoken to over QMP.
//!
//! - `command_line` turns a spec into an incarnation: pure.
//! - `process` starts, names and ends processes; `confine` says what they may do.
//! - `qmp` is the control protocol; `machine` keeps one running machine and its facts.
//! - `steps` is this driver's part of every plan; `driver` does them.
//!
//! A QEMU outlives the daemon. What is needed to find it again is in its run folder, and only what
//! is found by such a record is ever signalled.

mod accelerator;
mod assign;
mod block;
mod command_line;
mod confine;
mod console;
mod descriptors;
mod driver;
mod facts;
mod host;
mod launch;
mod machine;
mod option;
mod process;
mod qmp;
mod records;
mod run_folder;
mod serial;
mod steps;

pub use accelerator::AcceleratorChoice;
pub use driver::{QemuDriver, QemuOptions};
