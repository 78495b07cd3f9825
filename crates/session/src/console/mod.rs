//! A serial line with many viewers: what it wrote ([`scrollback`]), who may type ([`floor`]), and the
//! task that reads it ([`hub`]).

mod floor;
mod hub;
mod scrollback;
mod viewer;

pub use floor::Role;
pub use hub::{Hub, Joined};
pub use scrollback::{HISTORY, LAG};
pub use viewer::Viewer;

#[cfg(test)]
mod tests;
