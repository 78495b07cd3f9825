//! What the view costs: memory a VM, time an update, barriers a second, and the feed with many
//! readers. `cargo run --release -p innkeeper-view --example measure`
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use bytes::Bytes;
use innkeeper_model::{
    Facts, MachineState, Network, NetworkConfig, NetworkId, Revision, Spec, Subnet, SubnetConfig,
    SubnetId, Timestamp, VmConfig, VmId, Want,
    config::{Disk, DiskKind, MacAddress, Nic},
    network::{NetworkFacts, Reservation},
    spec::Placement,
};
use innkeeper_view::{Batch, Delivery, EncodingSlot, Update, View, ViewOptions};
use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};
use uuid::Uuid;

const VMS: usize = 10_000;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let view = View::start(ViewOptions::new(Uuid::now_v7()));
    let ids = memory(&view).await;
    updates(&view, &ids).await;
    barriers(&view, &ids, 1).await;
    barriers(&view, &ids, 64).await;
    diffs(&view, &ids).await;
    networks(&view).await;
    for readers in [0, 500] {
        feed(&view, &ids, readers).await;
    }
}

async fn memory(view: &View) -> Vec<VmId> {
    let before = resident();
    let ids: Vec<_> = (0..VMS).map(|_| VmId::new()).collect();
    let started = Instant::now();
    for (n, id) in ids.iter().enumerate() {
        view.post(Update::VmSpec(Arc::new(spec(*id, n))));
    }
    barrier(view, vec![]).await;
    let took = started.elapsed();
    let typed = resident();
    let bytes: usize =
        view.snapshot().vms.values().map(|vm| vm.encoded(EncodingSlot::Native, json).len()).sum();
    let encoded = resident();
    println!("{VMS} VMs of {} bytes of JSON, filled in {took:?}", bytes / VMS);
    println!("  resident, empty            {:6} KiB", before >> 10);
    println!("  a VM, as a record          {:6} bytes", (typed - before) / VMS);
    println!("  a VM, with one encoding    {:6} bytes", (encoded - before) / VMS);
    println!("  resident, full and encoded {:6} KiB", encoded >> 10);
    ids
}

async fn updates(view: &View, ids: &[VmId]) {
    const COUNT: u32 = 300_000;
    let started = Instant::now();
    for n in 0..COUNT {
        view.post(fact(ids[n as usize % VMS], n + 1));
        if n % 1000 == 0 {
            barrier(view, vec![]).await;
        }
    }
    barrier(view, vec![]).await;
    println!("an update, posted and applied  {:?}", started.elapsed() / COUNT);
}

async fn barriers(view: &View, ids: &[VmId], clients: u32) {
    const EACH: u32 = 5_000;
    let started = Instant::now();
    let clients: Vec<_> = (0..clients)
        .map(|client| {
            let (view, id) = (view.clone(), ids[client as usize]);
            tokio::spawn(async move {
                for n in 0..EACH {
                    barrier(&view, vec![fact(id, 1_000_000 + n)]).await;
                }
            })
        })
        .collect();
    let count = EACH * u32::try_from(clients.len()).expect("a few clients");
    for client in clients {
        client.await.expect("a client does not panic");
    }
    let rate = f64::from(count) / started.elapsed().as_secs_f64();
    println!("barriers of {} clients         {rate:.0}/s", count / EACH);
}

async fn diffs(view: &View, ids: &[VmId]) {
    let ids = &ids[..250];
    let facts = ids.iter().map(|id| fact(*id, 2_000_000)).collect();
    diff(view, "facts", facts).await;
    let edited = |id| {
        let snapshot = view.snapshot();
        let mut spec = snapshot.vms[id].spec.as_deref().expect("all have one").clone();
        spec.want = Want::Running;
        Update::VmSpec(Arc::new(spec))
    };
    diff(view, "a spec", ids.iter().map(edited).collect()).await;
}

/// A network that keeps ten thousand addresses: what a change of it costs, and what there is of it.
async fn networks(view: &View) {
    const COUNT: u32 = 200;
    let mut network = network(10_000);
    let id = network.id;
    let started = Instant::now();
    for n in 0..COUNT {
        network.revision = Revision(n.into());
        network.subnets[0].reservations.rotate_left(1);
        barrier(view, vec![Update::Network(Arc::new(network.clone()))]).await;
    }
    println!("a network with 10,000 reservations, changed    {:?}", started.elapsed() / COUNT);
    let started = Instant::now();
    for n in 0..COUNT {
        let facts = NetworkFacts { mtu: Some(n), ..NetworkFacts::default() };
        barrier(view, vec![Update::NetworkFacts { id, facts }]).await;
    }
    println!("  its facts, changed                           {:?}", started.elapsed() / COUNT);
    network.subnets[0].reservations.pop();
    network.revision = Revision(COUNT.into());
    diff(view, "such a network", vec![Update::Network(Arc::new(network))]).await;
}

fn network(reserved: u32) -> Network {
    let reservation = |n: u32| Reservation {
        address: std::net::Ipv4Addr::from((10 << 24) + n).into(),
        mac: None,
        name: Some(format!("host-{n}").parse().expect("a name")),
    };
    let now = Timestamp::now();
    Network {
        id: NetworkId::new(),
        revision: Revision(1),
        created: now,
        updated: now,
        config: NetworkConfig::new("lan".parse().expect("a name")),
        bridge: "inn0".parse().expect("a name"),
        subnets: vec![Subnet {
            id: SubnetId::new(),
            config: SubnetConfig::new("10.0.0.0/16".parse().expect("a range")),
            reservations: (2..2 + reserved).map(reservation).collect(),
        }],
        facts: NetworkFacts::default(),
    }
}

/// What the first reader of a batch pays for all: comparing and encoding.
async fn diff(view: &View, what: &str, updates: Vec<Update>) {
    let mut reader = view.subscribe(None);
    barrier(view, updates).await;
    let (mut took, mut count, mut bytes) = (Duration::ZERO, 0, 0);
    while let Some(Delivery::Changes(batch)) = reader.try_next() {
        let started = Instant::now();
        bytes += lines(&batch).len();
        took += started.elapsed();
        count += batch.entries().len();
    }
    let each = took.as_nanos() / count as u128;
    println!("a change of {what}, compared and encoded  {each} ns, {} bytes", bytes / count);
}

async fn feed(view: &View, ids: &[VmId], readers: usize) {
    const CHANGES: u32 = 5_000;
    let started = Instant::now();
    let readers: Vec<_> = (0..readers)
        .map(|_| {
            let mut reader = view.subscribe(None);
            let end = reader.position().sequence + u64::from(CHANGES);
            tokio::spawn(async move {
                let (mut gaps, mut deliveries) = (0, 0);
                let mut delays = vec![0_u32; 1000];
                let mut socket = Vec::new();
                while reader.position().sequence < end {
                    match reader.next().await.expect("the view goes on") {
                        Delivery::Gap(_) => gaps += 1,
                        Delivery::Changes(batch) => {
                            socket.clear();
                            socket.extend_from_slice(&batch.encoded(EncodingSlot::Native, lines));
                            count_delays(&batch, &mut delays);
                        }
                    }
                    deliveries += 1;
                }
                (gaps, deliveries, delays)
            })
        })
        .collect();
    let cpu = cpu_time();
    let mut tick = tokio::time::interval(Duration::from_millis(1));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    for n in 0..CHANGES {
        tick.tick().await;
        view.post(fact(ids[n as usize], 3_000_000 + n + readers.len() as u32));
    }
    let count = readers.len();
    let (mut gaps, mut deliveries) = (0, 0);
    let mut delays = vec![0_u32; 1000];
    for reader in readers {
        let (g, d, t) = reader.await.expect("a reader does not panic");
        gaps += g;
        deliveries += d;
        delays.iter_mut().zip(t).for_each(|(sum, n)| *sum += n);
    }
    let cores = (cpu_time() - cpu).as_secs_f64() / started.elapsed().as_secs_f64();
    let quantile = |percent: u32| {
        let rank = delays.iter().sum::<u32>() / 100 * percent;
        let mut seen = 0;
        let reached = |n: &u32| {
            seen += n;
            seen > rank
        };
        delays.iter().position(reached).unwrap_or(0) as f64 / 10.0
    };
    println!(
        "{count} readers, {:.0} changes/s: {cores:.2} cores, {deliveries} deliveries, {gaps} gaps, p50 {} ms, p99 {} ms, resident {} KiB",
        f64::from(CHANGES) / started.elapsed().as_secs_f64(),
        quantile(50),
        quantile(99),
        resident() >> 10,
    );
}

/// Counts how long each change took to its reader, in steps of 0.1 ms.
fn count_delays(batch: &Batch, delays: &mut [u32]) {
    let now = Timestamp::now();
    for entry in batch.entries() {
        let step = now.duration_since(entry.time).as_micros() / 100;
        let last = delays.len() - 1;
        delays[usize::try_from(step).unwrap_or(0).min(last)] += 1;
    }
}

async fn barrier(view: &View, updates: Vec<Update>) {
    view.barrier(updates).await.expect("the view goes on");
}

fn fact(id: VmId, resets: u32) -> Update {
    let facts = Facts { machine: MachineState::Running, resets, ..Facts::default() };
    Update::VmFacts { id, facts }
}

fn lines(batch: &Batch) -> Bytes {
    let mut lines = Vec::new();
    for change in batch.changes() {
        serde_json::to_writer(&mut lines, &change).expect("a change has a JSON form");
        lines.push(b'\n');
    }
    lines.into()
}

fn json(value: &impl serde::Serialize) -> Bytes {
    let mut bytes = serde_json::to_vec(value).expect("a VM has a JSON form");
    bytes.shrink_to_fit();
    bytes.into()
}

/// A spec of about 1 KiB, as it comes out of a file.
fn spec(id: VmId, n: usize) -> Spec {
    let mut config = VmConfig::new(format!("vm-{n}").parse().expect("a name"));
    config.description = "one of ten thousand".into();
    config.labels = [("owner", "team-a"), ("stage", "production")]
        .map(|(key, value)| (key, value.into()))
        .into();
    config.disks = ["root", "data"].map(disk).into();
    config.nics.push(Nic::new("net0".parse().expect("a name")));
    let mut assigned = innkeeper_model::Assigned {
        machine: "pc-q35-10.0".into(),
        cpu_model: "x86-64-v2-AES".into(),
        uid: Some(200_000),
        ports: 8,
        ..Default::default()
    };
    let devices = ["disk/root", "disk/data", "nic/net0", "rng", "balloon", "scsi"];
    assigned.devices = devices.map(|name| (name, Placement::Port(1))).into();
    assigned.macs = [("net0", MacAddress::from_suffix([1, 2, 3]))].into();
    assigned.serials = ["root", "data"].map(|name| (name, format!("{n:020}"))).into();
    let spec = Spec {
        id,
        revision: Revision(1),
        created: Timestamp::now(),
        updated: Timestamp::now(),
        want: Want::Stopped,
        draft: false,
        driver: None,
        config,
        assigned,
    };
    serde_json::from_slice(&json(&spec)).expect("a spec reads back")
}

fn disk(name: &str) -> Disk {
    Disk {
        name: name.parse().expect("a name"),
        image: Some("debian-13".parse().expect("a name")),
        path: None,
        format: None,
        size: None,
        kind: DiskKind::Disk,
        bus: None,
        read_only: false,
        serial: None,
    }
}

/// The resident memory of this process, in bytes.
fn resident() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").expect("a Linux /proc");
    let pages = statm.split(' ').nth(1).and_then(|field| field.parse::<usize>().ok());
    pages.expect("the second field of statm is a number") * 4096
}

/// The processor time of this process, in the kernel's ticks of 10 ms.
fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("a Linux /proc");
    let ticks = stat.split(' ').skip(13).take(2).filter_map(|field| field.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}
