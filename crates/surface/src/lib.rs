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
//! format, and who a caller is: that is `auth`'s. Which VMs and tasks there are for one is asked of its
//! [`Sight`].

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod arrival;
mod browser;
mod credentials;
mod ending;
mod holding;
mod limits;
mod listening;
mod on_record;
mod operations;
mod origin;
mod places;
mod proxies;
mod request_id;
mod routing;
mod serving;
mod sight;
mod tls;
mod unread;

pub use arrival::{Arrival, Front};
pub use browser::{CSRF, Wire, browser};
pub use credentials::{bearer, certified, no_credential, principal, ready};
pub use ending::{Done, Performed, perform, task_at_end, to_its_end};
pub use holding::{until_it_ends, while_it_holds};
pub use limits::{refusal_of, say_when};
pub use listening::Listening;
pub use on_record::{TurnedAway, note, note_answer};
pub use operations::{Audited, Diagnostics, Operations, ReadOnly, Sessions};
pub use origin::{check_host, check_origin};
pub use places::Connection;
pub use proxies::Proxies;
pub use request_id::{MAX_NAME, REQUEST_ID, is_name, request_id};
pub use routing::{answer, check_length, routed, too_large};
pub use serving::{Gate, MAX_HEAD, MAX_HEADERS, no_delay, serve};
pub use sight::{Seen, Sight, Told};
pub use tls::{Handshakes, Material, TlsSettings, UnusableMaterial};
