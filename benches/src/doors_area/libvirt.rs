//! A thousand defined domains: what it takes to see them, beside libvirt's own client.

use crate::{
    bench::Bench,
    figure::{Figure, Measured},
    measure::statistics::{median, ms},
    rig::libvirt::Libvirtd,
};
use anyhow::{Context, ensure};
use innkeeper_driver::{Neighbour, NeighbourObserver};
use innkeeper_libvirt::{Libvirt, LibvirtOptions};
use innkeeper_model::{NeighbourMachine, VmId, host::ManagerLost};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{runtime, sync::mpsc, time::timeout};
use tokio_util::task::AbortOnDropHandle;

const DOMAINS: usize = 1_000;
/// How long libvirt may take to describe all of its domains.
const SEEN_WITHIN: Duration = Duration::from_secs(60);

/// A survey over the connection that the daemon keeps, beside virsh's listing over one that is open; and
/// the first look of all, from connecting to each domain's description, beside all of `virsh list --all`.
/// Each is measured in turn with its peer.
pub(super) fn survey(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let libvirtd = Libvirtd::start(DOMAINS)?;
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (mut surveys, mut lists) = (Vec::new(), Vec::new());
    let (mut firsts, mut commands) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds(7, 2) {
        let (mut seen, first) = runtime.block_on(Seen::first(&libvirtd))?;
        firsts.push(first);
        commands.push(libvirtd.list()?);
        for _ in 0..bench.rounds(3, 1) {
            surveys.push(runtime.block_on(seen.again())?);
            lists.push(libvirtd.list_connected()?);
        }
    }
    Ok(vec![
        Measured::new("survey of 1,000 libvirt domains, beside virsh's", ms(median(&mut surveys)), "ms")
            .beside(ms(median(&mut lists)))
            .at_most_times(1.2),
        Measured::new(
            "first look at 1,000 libvirt domains, with each one's description, beside virsh list --all",
            ms(median(&mut firsts)),
            "ms",
        )
        .beside(ms(median(&mut commands)))
        .for_information(),
    ])
}

/// A libvirt that is watched, until this is dropped.
struct Seen {
    libvirt: Arc<Libvirt>,
    told: mpsc::UnboundedReceiver<usize>,
    _watch: AbortOnDropHandle<()>,
}

impl Seen {
    /// Connects, and says how long it took until all domains were told.
    async fn first(libvirtd: &Libvirtd) -> anyhow::Result<(Self, Duration)> {
        let options = LibvirtOptions { socket: libvirtd.socket(), uri: None };
        let libvirt = Arc::new(Libvirt::new(options));
        let (tell, told) = mpsc::unbounded_channel();
        let watching = libvirt.clone();
        let begun = Instant::now();
        let watch = tokio::spawn(async move { watching.watch(Arc::new(Count(tell))).await });
        let mut seen = Self { libvirt, told, _watch: AbortOnDropHandle::new(watch) };
        seen.all().await?;
        Ok((seen, begun.elapsed()))
    }

    /// Says how long a survey takes.
    async fn again(&mut self) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        self.libvirt.survey().await?;
        let took = begun.elapsed();
        self.all().await?;
        Ok(took)
    }

    async fn all(&mut self) -> anyhow::Result<()> {
        let told = timeout(SEEN_WITHIN, self.told.recv()).await.context("no survey")?;
        let count = told.context("nothing is told any more")?;
        ensure!(count == DOMAINS, "{count} of {DOMAINS} domains were told");
        Ok(())
    }
}

/// Tells how many machines there were, each time that all are told; none when libvirt was lost.
struct Count(mpsc::UnboundedSender<usize>);

impl NeighbourObserver for Count {
    fn all(&self, machines: Vec<NeighbourMachine>) {
        // Nobody waits any more when the row is over.
        let _over = self.0.send(machines.len());
    }

    fn changed(&self, _: NeighbourMachine) {}

    fn gone(&self, _: VmId) {}

    fn lost(&self, _: ManagerLost) {
        let _over = self.0.send(0);
    }
}
