//! vminfod's door: lists beside Node.js and beside bare writes, one VM beside the native API, what
//! happens in QEMU, and who waits for it.

use crate::{
    bench::{Bench, MANY},
    figure::{Figure, Measured},
    measure::{
        process::cpu_time,
        statistics::{median_number, ms, quantile},
    },
    rig::{
        api::Api,
        cleanup::{Folder, wait_until},
        daemon::{Daemon, State, body_of, free_port},
        floor::Floor,
        guest,
        http::{Address, Connection},
        node::Node,
        specs, wrk,
    },
};
use anyhow::{Context, ensure};
use innkeeper_model::{Change, MachineState, Timestamp, VmId};
use innkeeper_store::SpecStore;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Duration,
};

/// The VMs of a list, and about how many bytes each is in it.
const LISTED: usize = 1_000;
const BYTES: usize = 2 << 10;
/// How many writers wait at once.
const WRITERS: usize = 64;
/// How many guests take turns, so that none is waited for while it is put away.
const GUESTS: usize = 4;
/// How long a guest may take from its start to its end.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

/// Opens the door for the next daemons of this state, and says where.
fn open(state: &State) -> anyhow::Result<Address> {
    let address = free_port()?;
    state
        .configure(&format!("[door.vminfod]\nlisten = \"{address}\"\nanonymous = \"viewer\"\n"))?;
    Ok(Address::Tcp(address, None))
}

/// A thousand VMs of 2 KiB.
pub(super) fn list(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let (state, folder) = (State::new(bench)?, Folder::new(&bench.scratch)?);
    store_large(&state)?;
    let door = open(&state)?;
    let _daemon = Daemon::start(&state)?;
    let body = body_of(&door, "/vms")?;
    let each = body.len() / LISTED;
    ensure!(each.abs_diff(BYTES) < BYTES / 4, "a VM is {each} bytes in the list");
    let (node, floor) = (Node::start(&folder, &body)?, Floor::start(&folder, &body)?);
    let servers = [door, Address::Tcp(node.address, None), Address::Tcp(floor.address, None)];
    let [inn, node, bare] = rates(bench, servers.each_ref(), ["/vms"; 3])?;
    let measured = |peer: &str| {
        let name = format!("vminfod /vms of 1,000 VMs of 2 KiB, wrk -t1 -c16, beside {peer}");
        Measured::new(name, inn, "requests/s")
    };
    Ok(vec![
        measured("Node.js with one cached Buffer").beside(node).at_least_times(1.0),
        measured("bare writes").beside(bare).at_least_times(0.8),
    ])
}

fn store_large(state: &State) -> anyhow::Result<()> {
    let store = SpecStore::open(state.path().join("vms"))?;
    for number in 0..LISTED {
        let mut spec = specs::spec(number);
        let mut labels: BTreeMap<String, String> =
            spec.config.labels.iter().map(|(key, value)| (key.to_owned(), value.clone())).collect();
        labels.extend((0..4).map(|label| (format!("note-{label}"), "x".repeat(220))));
        spec.config.labels = labels.into_iter().collect();
        store.save(&spec)?;
    }
    Ok(())
}

/// Requests a second of each server, measured in turn.
fn rates<const N: usize>(
    bench: &Bench,
    servers: [&Address; N],
    paths: [&str; N],
) -> anyhow::Result<[f64; N]> {
    let (warm_up, duration) = (Duration::from_secs(1), bench.seconds(3, 1));
    let mut rates = [const { Vec::new() }; N];
    for (server, path) in servers.iter().zip(paths) {
        wrk::requests_a_second(server, path, warm_up)?;
    }
    // What a client can take in varies more from one run to the next than these servers do.
    for _ in 0..bench.rounds(7, 1) {
        for ((server, path), rates) in servers.iter().zip(paths).zip(&mut rates) {
            rates.push(wrk::requests_a_second(server, path, duration)?);
        }
    }
    Ok(rates.map(|mut rates| median_number(&mut rates)))
}

/// One VM of ten thousand, beside the same one of the native API.
pub(super) fn one(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let state = State::new(bench)?;
    bench.store_many(state.path())?;
    let door = open(&state)?;
    let daemon = Daemon::start(&state)?;
    let mut api = daemon.api()?;
    ensure!(api.count("fields=name")? == MANY, "not all VMs are in the list");
    let vms: Value = api.get("/v1/vms?name=vm-05000")?;
    let id = vms["items"][0]["id"].as_str().context("the VM has an id")?;
    let (own, native) = (format!("/vms/{id}"), format!("/v1/vms/{id}"));
    let tcp = daemon.tcp()?;
    let [inn, native] = rates(bench, [&door, &tcp], [&own, &native])?;
    let name = "vminfod one VM of 10,000, wrk -t1 -c16, beside the native API";
    Ok(vec![Measured::new(name, inn, "requests/s").beside(native).at_least_times(0.9)])
}

/// From a guest's powering off, by QEMU's own clock, to the `modify` line about it.
pub(super) fn modify(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let state = State::new(bench)?;
    let door = open(&state)?;
    let daemon = Daemon::start(&state)?;
    let mut api = daemon.api()?;
    let guests: Vec<VmId> = (0..GUESTS)
        .map(|n| api.create(&guest::powers_off(&format!("guest-{n}"), &state.files())?))
        .collect::<Result<_, _>>()?;
    let happened = follow(daemon.unix(), "/v1/events?kind=vm", power_off)?;
    let shown = follow(&door, "/events", no_longer_runs)?;
    let mut latencies = Vec::new();
    for round in 0..bench.rounds(100, 4) {
        let guest = guests[round % GUESTS];
        wait_until(ENDS_WITHIN, "a guest's being put away", || {
            Ok(api.vm(guest)?.facts.machine == MachineState::Absent)
        })?;
        api.power(guest, "start")?;
        let at = happened.recv_timeout(ENDS_WITHIN).context("no word of a guest's end")?;
        let seen = shown.recv_timeout(ENDS_WITHIN).context("no modify of a guest's end")?;
        let latency = Duration::try_from(seen.duration_since(at));
        latencies.push(latency.context("a line came before what it is about")?);
    }
    let mut figure = |name: &str, share: f64| {
        let name = format!("guest powers off to vminfod's modify line, {name}");
        Measured::new(name, ms(quantile(&mut latencies, share)), "ms")
    };
    Ok(vec![figure("p99", 0.99).at_most(5.0), figure("median", 0.5).for_information()])
}

/// Follows a stream of lines, and gives a moment for each line that has one.
fn follow(
    address: &Address,
    path: &str,
    moment: fn(&[u8]) -> Option<Timestamp>,
) -> anyhow::Result<Receiver<Timestamp>> {
    let mut connection = Connection::open(address)?;
    let request = connection.compose("GET", path, "Accept: application/x-ndjson\r\n", "");
    let mut text = Vec::new();
    let mut head = connection.send(&request, |bytes| text.extend_from_slice(bytes))?;
    ensure!(head.status == 200, "{path} answered {}", head.status);
    let (found, moments) = channel();
    thread::Builder::new().name("subscriber".into()).spawn(move || {
        // Ends when the daemon does, or when nobody wants to know any more.
        while connection.read_on(&mut head, |bytes| text.extend_from_slice(bytes)).is_ok() {
            let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            if !tell(text.drain(..whole).as_slice(), moment, &found) {
                return;
            }
        }
    })?;
    Ok(moments)
}

fn tell(lines: &[u8], moment: fn(&[u8]) -> Option<Timestamp>, found: &Sender<Timestamp>) -> bool {
    let moments = lines.split(|byte| *byte == b'\n').filter_map(moment);
    moments.into_iter().all(|moment| found.send(moment).is_ok())
}

/// When a guest powered off, by QEMU's own clock.
fn power_off(line: &[u8]) -> Option<Timestamp> {
    let event = serde_json::from_slice::<Change>(line).ok()?.event?;
    let by_guest = event.name == "SHUTDOWN" && event.data["reason"] == "guest-shutdown";
    event.at.filter(|_| by_guest)
}

/// Now, if the line says that a guest has ceased to run.
fn no_longer_runs(line: &[u8]) -> Option<Timestamp> {
    let now = Timestamp::now();
    let event: Value = serde_json::from_slice(line).ok()?;
    let changes = event["changes"].as_array()?;
    let ceases =
        |change: &Value| change["prettyPath"] == "state" && change["oldValue"] == "running";
    changes.iter().any(ceases).then_some(now)
}

/// What 64 writers that wait cost the daemon among a thousand VMs, beside the same among themselves, their
/// writes included; what the waiting alone comes to is another row's ([`super::woken`]).
pub(super) fn waiters(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let among = |others: usize| -> anyhow::Result<f64> {
        let state = State::simulated(bench)?;
        specs::store(state.path(), others)?;
        let _door = open(&state)?;
        let daemon = Daemon::start(&state)?;
        let mut api = daemon.api()?;
        let vms: Vec<VmId> = (0..WRITERS)
            .map(|n| api.create(&guest::empty(&format!("guest-{n}"))?))
            .collect::<Result<_, _>>()?;
        let mut costs = Vec::new();
        for _ in 0..bench.rounds(15, 2) {
            let before = cpu_time(daemon.pid())?;
            all(daemon.unix(), &vms, "start")?;
            costs.push(ms(cpu_time(daemon.pid())? - before) / WRITERS as f64);
            all(daemon.unix(), &vms, "kill")?;
        }
        Ok(median_number(&mut costs))
    };
    let (alone, among) = (among(0)?, among(LISTED)?);
    let name = "daemon's CPU a waiting writer, 64 at once among 1,000 VMs, beside no others";
    Ok(vec![Measured::new(name, among, "ms").beside(alone).for_information()])
}

/// Has the verb done to all at once, and waits for each.
fn all(address: &Address, vms: &[VmId], verb: &str) -> anyhow::Result<()> {
    thread::scope(|scope| {
        let write = |vm: VmId| Api::open(address)?.power(vm, verb);
        let writers: Vec<_> = vms.iter().map(|vm| scope.spawn(move || write(*vm))).collect();
        writers.into_iter().try_for_each(|writer| {
            writer.join().map_err(|_| anyhow::anyhow!("a writer panicked"))?
        })
    })
}
