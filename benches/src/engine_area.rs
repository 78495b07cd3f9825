//! The engine: how fast operations are accepted, done and made durable, and what they leave behind.

mod lives;

use crate::area::{Area, Row};

pub(crate) const AREA: Area =
    Area { name: "engine", rows: &[Row { name: "lives", measure: lives::measure }] };
