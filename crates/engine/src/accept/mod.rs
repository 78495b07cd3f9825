//! From a request to a task that is accepted: what can be asked, whether it is legal and allowed, and what
//! it is promised meanwhile. Nothing here changes a VM.
//!
//! `request` is the closed list of what can be asked, `kind` what that is called, `legality` the one table of when; `admission` judges
//! configurations, `reservations` promises names and ids; `preparing` puts that together (`images` for images) and makes
//! `work` of it, which is planned for show (a dry run), or becomes a task in `submit`.

pub(crate) mod admission;
mod images;
pub(crate) mod kind;
pub(crate) mod legality;
pub(crate) mod preparing;
pub(crate) mod request;
pub(crate) mod reservations;
pub(crate) mod submit;
pub(crate) mod work;
