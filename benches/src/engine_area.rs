//! The engine: how fast operations are accepted, done and made durable, and what they leave behind.

mod audit;
mod hung;
mod lives;
mod million;
mod opening;
mod suspend;

use crate::area::{Area, Row};

pub(crate) const AREA: Area = Area {
    name: "engine",
    rows: &[
        Row { name: "lives", measure: lives::measure },
        Row { name: "audit", measure: audit::measure },
        Row { name: "hung", measure: hung::measure },
        Row { name: "suspend", measure: suspend::measure },
        Row { name: "opening", measure: opening::measure },
        Row { name: "million", measure: million::measure },
    ],
};
