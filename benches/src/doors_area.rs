//! Doors: the protocols of other systems, beside what those systems are made with.

mod chypervisord;
mod libvirt;
mod vminfod;
mod woken;

use crate::area::{Area, Row};

pub(crate) const AREA: Area = Area {
    name: "doors",
    rows: &[
        Row { name: "vminfod-list", measure: vminfod::list },
        Row { name: "vminfod-one", measure: vminfod::one },
        Row { name: "vminfod-modify", measure: vminfod::modify },
        Row { name: "vminfod-waiters", measure: vminfod::waiters },
        Row { name: "writers-woken", measure: woken::measure },
        Row { name: "chypervisord-list", measure: chypervisord::list },
        Row { name: "chypervisord-patch", measure: chypervisord::patch },
        Row { name: "libvirt-survey", measure: libvirt::survey },
    ],
};
