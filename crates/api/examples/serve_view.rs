//! The native API over a view of stored VMs without an engine, to measure what reading costs.
//!
//! `cargo run --release -p innkeeper-api --example serve_view -- [VMS] [CHANGES_PER_SECOND]` prints the
//! address, the token and the id of one VM, and serves until it is interrupted.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use innkeeper_api::{ApiState, serve_tcp};
use innkeeper_auth::{Doorkeeper, Token};
use innkeeper_model::{
    Assigned, Facts, Revision, Spec, Timestamp, VmConfig, VmId, Want,
    config::{Disk, DiskKind, MacAddress, Nic},
    spec::Placement,
};
use innkeeper_surface::ReadOnly;
use innkeeper_view::{Update, View, ViewOptions};
use std::{sync::Arc, time::Duration};
use tokio::{net::TcpListener, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut numbers = std::env::args().skip(1).map(|argument| argument.parse::<u32>());
    let vms = numbers.next().unwrap_or(Ok(10_000))?;
    let changes = numbers.next().unwrap_or(Ok(0))?;

    let view = View::start(ViewOptions::new(Uuid::now_v7()));
    let ids: Vec<_> = (0..vms).map(|_| VmId::new()).collect();
    for (n, id) in ids.iter().enumerate() {
        view.post(Update::VmSpec(Arc::new(spec(*id, n)?)));
    }
    view.barrier(vec![]).await?;

    let folder = tempfile::tempdir()?;
    let path = folder.path().join("token");
    let token = Token::load_or_create(&path)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    println!("{}", std::fs::read_to_string(&path)?.trim_end());
    if let Some(id) = ids.get(ids.len() / 2) {
        println!("{id}");
    }

    let stopping = CancellationToken::new();
    let doorkeeper = Doorkeeper::default().with_token(token);
    let state = ApiState::new(view.clone(), Arc::new(ReadOnly), None, doorkeeper, stopping.clone());
    let serving = tokio::spawn(serve_tcp(listener, state));
    if changes > 0 {
        tokio::spawn(change(view, ids, changes));
    }
    tokio::signal::ctrl_c().await?;
    stopping.cancel();
    serving.await?;
    Ok(())
}

/// Changes a VM so many times a second.
async fn change(view: View, ids: Vec<VmId>, per_second: u32) {
    let mut tick = tokio::time::interval(Duration::from_secs(1) / per_second);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for (n, id) in (0..).zip(ids.iter().cycle()) {
        tick.tick().await;
        let facts = Facts { resets: n + 1, ..Facts::default() };
        view.post(Update::VmFacts { id: *id, facts });
    }
}

/// A spec of about 1 KiB.
fn spec(id: VmId, n: usize) -> Result<Spec, Box<dyn std::error::Error>> {
    let mut config = VmConfig::new(format!("vm-{n}").parse()?);
    config.description = "one of ten thousand".into();
    config.labels = [("owner", "team-a"), ("stage", "production")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    for name in ["root", "data"] {
        config.disks.push(Disk {
            name: name.parse()?,
            image: Some("debian-13".parse()?),
            path: None,
            format: None,
            size: None,
            kind: DiskKind::Disk,
            bus: None,
            read_only: false,
            serial: None,
        });
    }
    config.nics.push(Nic::new("net0".parse()?));
    let devices = ["disk/root", "disk/data", "nic/net0", "rng", "balloon", "scsi"];
    let assigned = Assigned {
        machine: "pc-q35-10.0".into(),
        cpu_model: "x86-64-v2-AES".into(),
        uid: Some(200_000),
        ports: 8,
        devices: devices.map(|name| (name.to_owned(), Placement::Port(1))).into(),
        macs: [("net0".to_owned(), MacAddress::from_suffix([1, 2, 3]))].into(),
        addresses: Default::default(),
        serials: ["root", "data"].map(|name| (name.to_owned(), format!("{n:020}"))).into(),
    };
    let now = Timestamp::now();
    let (revision, want) = (Revision(1), Want::Stopped);
    Ok(Spec {
        id,
        revision,
        created: now,
        updated: now,
        want,
        draft: false,
        driver: None,
        config,
        assigned,
    })
}
