//! From a request to a task that is accepted: what can be asked, whether it is legal and allowed, and what
//! it is promised meanwhile. Nothing here changes a VM.
//!
//! `request` is the closed list of what can be asked, `legality` the one table of when; `admission` judges
//! configurations, `reservations` promises names and ids; `submit` puts that together and makes `work` of
//! it.

pub(crate) mod admission;
pub(crate) mod legality;
pub(crate) mod request;
pub(crate) mod reservations;
pub(crate) mod submit;
pub(crate) mod work;
