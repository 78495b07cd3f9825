//! chypervisord's door with ten thousand hosts: the list beside a bare write of the same bytes, and what
//! sixteen clients change beside what as many callers of the store itself do.

use crate::{
    bench::Bench,
    figure::{Figure, Measured},
    measure::statistics::{median, median_number, ms},
    rig::{
        bare,
        cleanup::Folder,
        daemon::{Daemon, State, body_of, free_port},
        http::{Address, Connection},
    },
};
use anyhow::ensure;
use innkeeper_model::{HostId, Mebibytes};
use innkeeper_store::registry::{EmbeddedRegistry, HostRecord, Hosts, HostsFailed, Resources};
use std::{path::Path, sync::Arc, thread, time::Instant};
use tokio::{runtime, task::JoinSet};
use uuid::Uuid;

const PATH: &str = "/hypervisors";
const HOSTS: usize = 10_000;
const CLIENTS: usize = 16;

/// A daemon whose registry has the hosts in it.
fn start(state: &State) -> anyhow::Result<(Daemon, Address)> {
    let address = free_port()?;
    state.configure(&format!(
        "[door.chypervisord]\nlisten = \"{address}\"\nanonymous = \"admin\"\n"
    ))?;
    // Dropped before the daemon opens it.
    register(&state.path().join("registry.redb"))?;
    Ok((Daemon::start(state)?, Address::Tcp(address, None)))
}

/// The list, read in turn with its floor.
pub(super) fn list(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let state = State::simulated(bench)?;
    let (_daemon, address) = start(&state)?;
    let body = body_of(&address, PATH)?;
    let (mut inn, mut bare) =
        (Connection::open(&address)?, Connection::open(&bare::serve(&body)?)?);
    let (mut inns, mut bares, mut changed) = (Vec::new(), Vec::new(), Vec::new());
    let request = inn.compose("GET", PATH, "", "");
    for _ in 0..bench.rounds(50, 5) {
        let timing = inn.time(&request)?;
        ensure!(timing.bytes == body.len(), "the list changed while nothing happened");
        inns.push(timing.whole);
        bares.push(bare.time(&request)?.whole);
    }
    for round in 0..bench.rounds(50, 5) {
        change(&mut inn, 0, round)?;
        changed.push(inn.time(&request)?.whole);
    }
    let bare = ms(median(&mut bares));
    let measured = |name: &str, times: &mut Vec<_>| {
        let name = format!("chypervisord list of 10,000 hosts{name}, beside a bare write");
        Measured::new(name, ms(median(times)), "ms").beside(bare)
    };
    Ok(vec![
        measured("", &mut inns).at_most_times(2.0),
        measured(", a host changed before each", &mut changed).for_information(),
    ])
}

/// Changes a second of sixteen clients, each of hosts of its own, beside the store's.
pub(super) fn patch(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let state = State::simulated(bench)?;
    let (_daemon, address) = start(&state)?;
    let folder = Folder::new(&bench.scratch)?;
    let file = folder.path().join("registry.redb");
    register(&file)?;
    let each = bench.rounds(200, 20);
    let (mut doors, mut stores) = (Vec::new(), Vec::new());
    for round in 0..bench.rounds(5, 1) {
        doors.push(changes_by_door(&address, each, round)?);
        stores.push(changes_by_store(&file, each, round)?);
    }
    let name =
        "chypervisord PATCH of 10,000 hosts, 16 clients, beside the store's own durable rate";
    let (door, store) = (median_number(&mut doors), median_number(&mut stores));
    Ok(vec![Measured::new(name, door, "requests/s").beside(store).at_least_times(0.5)])
}

fn changes_by_door(address: &Address, each: usize, round: usize) -> anyhow::Result<f64> {
    let begun = Instant::now();
    thread::scope(|scope| {
        let client = |client: usize| -> anyhow::Result<()> {
            let mut connection = Connection::open(address)?;
            (0..each).try_for_each(|number| change(&mut connection, whose(client, number), round))
        };
        let clients: Vec<_> = (0..CLIENTS).map(|n| scope.spawn(move || client(n))).collect();
        clients.into_iter().try_for_each(|client| {
            client.join().map_err(|_| anyhow::anyhow!("a client panicked"))?
        })
    })?;
    Ok((CLIENTS * each) as f64 / begun.elapsed().as_secs_f64())
}

fn change(connection: &mut Connection, number: usize, round: usize) -> anyhow::Result<()> {
    let path = format!("{PATH}/{}", id(number));
    let body = format!(r#"{{"metadata":{{"round":"{round}"}}}}"#);
    let answer = connection.ask("PATCH", &path, "", &body)?;
    ensure!(answer.status == 200, "PATCH of host {number} answered {}", answer.status);
    Ok(())
}

fn changes_by_store(file: &Path, each: usize, round: usize) -> anyhow::Result<f64> {
    by_all(file, |hosts, client| async move {
        for number in 0..each {
            let edit = |host: &mut HostRecord| {
                host.metadata.insert("round".into(), round.to_string());
                Ok::<(), HostsFailed>(())
            };
            hosts.edit(id(whose(client, number)), edit).await?;
        }
        Ok(())
    })
    .map(|seconds| (CLIENTS * each) as f64 / seconds)
}

/// Registers the hosts in a new file.
fn register(file: &Path) -> anyhow::Result<()> {
    by_all(file, |hosts, client| async move {
        for number in (client..HOSTS).step_by(CLIENTS) {
            hosts.create(host(number)).await?;
        }
        Ok(())
    })
    .map(drop)
}

/// Has as many callers of the store do something as there are clients, and says how many seconds it took.
fn by_all<Done>(file: &Path, work: impl Fn(Hosts, usize) -> Done) -> anyhow::Result<f64>
where
    Done: Future<Output = Result<(), HostsFailed>> + Send + 'static,
{
    let hosts = Hosts::new(Arc::new(EmbeddedRegistry::open(file)?));
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let begun = Instant::now();
    runtime.block_on(async {
        let mut callers = JoinSet::new();
        for client in 0..CLIENTS {
            callers.spawn(work(hosts.clone(), client));
        }
        callers.join_all().await.into_iter().collect::<Result<(), HostsFailed>>()
    })?;
    Ok(begun.elapsed().as_secs_f64())
}

/// The host that a client changes next: no other client does.
const fn whose(client: usize, number: usize) -> usize {
    client * (HOSTS / CLIENTS) + number % (HOSTS / CLIENTS)
}

fn id(number: usize) -> HostId {
    HostId::from_uuid(Uuid::from_u128(number as u128 + 1))
}

/// As chypervisord's document shows one.
fn host(number: usize) -> HostRecord {
    let amount = Resources { memory: Mebibytes(1024), disk: Mebibytes(1024), cpu: 1 };
    HostRecord {
        ip: "10.100.101.35".parse().ok(),
        netmask: "255.255.255.255".parse().ok(),
        gateway: "10.100.101.35".parse().ok(),
        mac: "01:23:45:67:89:ac".parse().ok(),
        total: amount,
        available: amount,
        ..HostRecord::new(id(number))
    }
}
