//! Other managers' machines on this host: shown, left alone, and, once adopted by explicit word, driven
//! through their manager.
//!
//! - `drivers`: which driver a VM, a spec or a step of a plan is for.
//! - `hearing`: what a neighbour tells, on its way to the view.
//! - `allowed`: what may be asked of such a VM.
//! - `adopting`: the record that makes a VM of another manager's one that Innkeeper drives.
//!
//! What happens to the machines is their manager's to say: no policy, autostart or survey of files is
//! theirs here, and nothing that Innkeeper does removes one.

pub(crate) mod adopting;
pub(crate) mod allowed;
pub(crate) mod drivers;
pub(crate) mod hearing;
