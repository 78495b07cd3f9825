//! Callers: what it takes to know them and to count them, and what one who calls too often is to others.

mod accounts;
mod flood;
mod others;
mod tls;
mod wallet;

use crate::{
    area::{Area, Row},
    rig::{
        daemon::{Daemon, State},
        specs,
    },
};
use anyhow::Context;
use serde_json::Value;

pub(crate) const AREA: Area = Area {
    name: "callers",
    rows: &[
        Row { name: "wallet", measure: wallet::measure },
        Row { name: "flood", measure: flood::measure },
        Row { name: "accounts", measure: accounts::measure },
        Row { name: "others", measure: others::measure },
        Row { name: "tls", measure: tls::measure },
    ],
};

/// A daemon that has one VM, and that VM's path.
fn start(state: &State) -> anyhow::Result<(Daemon, String)> {
    specs::store(state.path(), 1)?;
    let daemon = Daemon::start(state)?;
    let vms: Value = daemon.api()?.get("/v1/vms")?;
    let id = vms["items"][0]["id"].as_str().context("the VM is in the list")?;
    Ok((daemon, format!("/v1/vms/{id}")))
}

/// The header that shows this token.
fn showing(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}
