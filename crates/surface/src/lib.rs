//! What every surface shares, whichever API it speaks: the native one, and the doors.
//!
//! ```text
//!   sockets ──▶ serve ──▶ Gate ──▶ a surface's own routes ──▶ the view
//!               bounds    who                              └─▶ Operations ──▶ engine
//! ```
//!
//! Connections are accepted within bounds and ended in time ([`serve`]); requests of foreign pages and
//! for foreign names are refused ([`check_host`], [`check_origin`]); the engine is behind
//! [`Operations`], and a task's end is awaited in one place ([`task_at_end`]). Not here: any wire
//! format, and who a caller is: that is `auth`'s.

mod credentials;
mod ending;
mod holding;
mod limits;
mod on_record;
mod operations;
mod origin;
mod request_id;
mod serving;

pub use credentials::{bearer, no_credential, principal};
pub use ending::{Done, Performed, perform, task_at_end};
pub use holding::while_it_holds;
pub use limits::NotNow;
pub use on_record::{TurnedAway, note, note_answer};
pub use operations::{Audited, Diagnostics, Operations, ReadOnly, Sessions};
pub use origin::{check_host, check_origin};
pub use request_id::{MAX_NAME, REQUEST_ID, is_name, request_id};
pub use serving::{Gate, MAX_HEAD, MAX_HEADERS, no_delay, serve};
