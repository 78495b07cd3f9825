//! Networks and sessions: what they add to a start, and how they stand beside the same by hand. Each row
//! that has to do with a network has a namespace of its own, with its daemon, its guests and its peers in it.

mod answer;
mod echo;
mod export;
mod hotplug;
mod reservations;
mod serial;
mod start;

use crate::{
    area::{Area, Row},
    rig::network::alone,
};

pub(crate) const AREA: Area = Area {
    name: "network",
    rows: &[
        Row { name: "nic", measure: |bench| alone(|| start::measure(bench)) },
        Row { name: "answer", measure: |bench| alone(|| answer::measure(bench)) },
        Row { name: "hotplug", measure: |bench| alone(|| hotplug::measure(bench)) },
        Row { name: "serial", measure: |bench| alone(|| serial::measure(bench)) },
        Row { name: "echo", measure: |bench| alone(|| echo::measure(bench)) },
        Row { name: "export", measure: export::measure },
        Row { name: "reservations", measure: |bench| alone(|| reservations::measure(bench)) },
    ],
};
