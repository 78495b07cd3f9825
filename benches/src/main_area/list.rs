//! The full list of ten thousand VMs, beside a bare write of the same bytes to the same kind of
//! socket: while nothing else happens, and while fifty guests start.

use crate::{
    bench::{Bench, MANY},
    figure::{Figure, Measured},
    measure::statistics::{median, ms},
    rig::{
        api::Api,
        bare,
        daemon::{Daemon, State, body_of},
        guest,
        http::{Connection, Timing},
    },
};
use anyhow::ensure;
use innkeeper_model::VmId;
use std::time::{Duration, Instant};

const PATH: &str = "/v1/vms";
/// How long the guests may take to start.
const STARTED_WITHIN: Duration = Duration::from_secs(60);

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let state = State::new(bench)?;
    bench.store_many(state.path())?;
    let daemon = Daemon::start(&state)?;
    let mut api = daemon.api()?;
    ensure!(api.count("fields=name")? == MANY, "not all VMs are in the list");
    let guests = bench.rounds(50, 5);
    let guests: Vec<VmId> = (0..guests)
        .map(|n| api.create(&guest::empty(&format!("guest-{n}"))?))
        .collect::<Result<_, _>>()?;

    let address = daemon.tcp()?;
    let body = body_of(&address, PATH)?;
    let mut lists = Pair {
        inn: Connection::open(&address)?,
        bare: Connection::open(&bare::serve(&body)?)?,
        inns: Vec::new(),
        bares: Vec::new(),
    };
    for _ in 0..bench.rounds(50, 5) {
        lists.read()?;
    }
    let whole = lists.inns.iter().all(|timing| timing.bytes == body.len());
    ensure!(whole, "the list changed while nothing happened");
    let mut figures = vec![
        lists.whole("full list of 10,000 VMs, beside a bare write").at_most_times(2.0),
        lists.first_byte("full list of 10,000 VMs, first byte").at_most(1.0),
    ];
    start_meanwhile(&mut api, &guests, &mut lists)?;
    let while_starting = format!("while {} guests start", guests.len());
    figures.extend([
        lists.whole(&format!("full list {while_starting}, beside a bare write")).at_most_times(2.0),
        lists.first_byte(&format!("full list {while_starting}, first byte")).at_most(1.0),
    ]);
    Ok(figures)
}

/// Reads lists for as long as the guests take to start.
fn start_meanwhile(api: &mut Api, guests: &[VmId], lists: &mut Pair) -> anyhow::Result<()> {
    (lists.inns, lists.bares) = Default::default();
    guests.iter().try_for_each(|guest| api.begin(*guest, "start"))?;
    let end = Instant::now() + STARTED_WITHIN;
    // How many run is asked now and then only: it has the daemon look at all VMs.
    while api.count("state=running&fields=name")? < guests.len() {
        ensure!(Instant::now() < end, "the guests did not start within {STARTED_WITHIN:?}");
        (0..5).try_for_each(|_| lists.read())?;
    }
    ensure!(!lists.inns.is_empty(), "the guests started before a list could be read");
    Ok(())
}

/// The list and its floor, read in turn.
struct Pair {
    inn: Connection,
    bare: Connection,
    inns: Vec<Timing>,
    bares: Vec<Timing>,
}

impl Pair {
    fn read(&mut self) -> anyhow::Result<()> {
        for (connection, timings) in
            [(&mut self.inn, &mut self.inns), (&mut self.bare, &mut self.bares)]
        {
            let request = connection.compose("GET", PATH, "", "");
            timings.push(connection.time(&request)?);
        }
        Ok(())
    }

    fn whole(&self, name: &str) -> Measured {
        self.compare(name, |timing| timing.whole)
    }

    fn first_byte(&self, name: &str) -> Measured {
        self.compare(name, |timing| timing.first_byte)
    }

    fn compare(&self, name: &str, part: impl Fn(&Timing) -> Duration) -> Measured {
        let middle =
            |timings: &[Timing]| ms(median(&mut timings.iter().map(&part).collect::<Vec<_>>()));
        Measured::new(name, middle(&self.inns), "ms").beside(middle(&self.bares))
    }
}
