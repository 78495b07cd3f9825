//! The main job: what one daemon with real guests on one host promises.

mod event;
mod feed;
mod idle;
mod kill;
mod list;
mod read;
mod serve;
pub(crate) mod serve_view;
mod start;
mod start_cpu;

use crate::area::{Area, Row};

pub(crate) const AREA: Area = Area {
    name: "main",
    rows: &[
        Row { name: "start", measure: start::measure },
        Row { name: "read", measure: read::measure },
        Row { name: "list", measure: list::measure },
        Row { name: "event", measure: event::measure },
        Row { name: "feed", measure: feed::measure },
        Row { name: "kill", measure: kill::measure },
        Row { name: "idle", measure: idle::measure },
        Row { name: "serve", measure: serve::measure },
        Row { name: "start-cpu", measure: start_cpu::measure },
    ],
};
