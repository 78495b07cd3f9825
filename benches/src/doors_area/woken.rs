//! How often each of 64 writers is woken that wait at once among a thousand VMs until what they wrote is
//! done and seen, and how much memory it asks for meanwhile, beside the same among no others: a snapshot
//! of all VMs would be more the more there are. Every door and the native API wait by the same function.

use crate::{
    bench::Bench,
    figure::{Figure, Measured},
    measure::{allocations, statistics::median_number},
    rig::{
        cleanup::Folder,
        engine::{DONE_WITHIN, House},
        guest,
    },
};
use anyhow::{Context, ensure};
use innkeeper_engine::PowerVerb;
use innkeeper_model::{TaskId, TaskState, VmId};
use innkeeper_surface::task_at_end;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context as PollContext, Poll},
};
use tokio::{runtime, task::JoinSet};

const WRITERS: usize = 64;
const OTHERS: usize = 1_000;

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let among = |others: usize| -> anyhow::Result<Vec<Waited>> {
        let folder = Folder::new(&bench.scratch)?;
        let runtime =
            runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(wait_all(folder, others, bench.rounds(10, 2)))
    };
    let (alone, among) = (among(0)?, among(OTHERS)?);
    let woken = among.iter().map(|waited| waited.woken).max().context("some waited")?;
    // Else they had nothing to wait for.
    ensure!(woken > 0, "no writer has waited");
    let bytes = |waited: &[Waited]| {
        median_number(&mut waited.iter().map(|waited| waited.bytes as f64).collect::<Vec<_>>())
    };
    let name = "64 waiting writers among 1,000 VMs";
    Ok(vec![
        Measured::new(format!("{name}: how often one is woken, at most"), woken as f64, "")
            .at_most(1.0),
        Measured::new(
            format!("{name}: memory that one asks for, beside no others"),
            bytes(&among),
            "bytes",
        )
        .beside(bytes(&alone))
        .at_most_times(1.2),
    ])
}

/// All writers at once, round by round.
async fn wait_all(folder: Folder, others: usize, rounds: usize) -> anyhow::Result<Vec<Waited>> {
    let house = Arc::new(House::open(folder, others).await?);
    let mut vms = Vec::new();
    for number in 0..WRITERS {
        vms.push(house.create(guest::empty(&format!("guest-{number}"))?).await?);
    }
    let mut all = Vec::new();
    for _ in 0..rounds {
        all.extend(write(&house, &vms, PowerVerb::Start { discard_memory: false }).await?);
        write(&house, &vms, PowerVerb::Kill).await?;
    }
    Ok(all)
}

/// Has a verb done to each VM, by a writer of its own.
async fn write(house: &Arc<House>, vms: &[VmId], verb: PowerVerb) -> anyhow::Result<Vec<Waited>> {
    let mut writers = JoinSet::new();
    for vm in vms {
        let (house, vm, verb) = (house.clone(), *vm, verb);
        writers.spawn(async move {
            let task = house.begin(vm, verb).await?.task;
            wait(&house, task).await
        });
    }
    writers.join_all().await.into_iter().collect()
}

async fn wait(house: &House, task: TaskId) -> anyhow::Result<Waited> {
    let House { engine, view, stopping, .. } = house;
    let waiting = task_at_end(engine, view, stopping, task, DONE_WITHIN);
    let (task, waited) = Counted { waiting: Box::pin(waiting), polls: 0, bytes: 0 }.await;
    let task = task.context("a task that was accepted is known")?;
    ensure!(task.state == TaskState::Done, "{} is {:?}", task.operation, task.state);
    let settled = task.settled_at.context("a task that is done says from when it is seen")?;
    ensure!(view.snapshot().revision >= settled, "{} is done and not seen", task.operation);
    Ok(waited)
}

/// What a writer's waiting came to.
struct Waited {
    /// How often it was woken.
    woken: usize,
    /// How much memory it asked for.
    bytes: u64,
}

/// A future that counts what it comes to.
struct Counted<F> {
    waiting: Pin<Box<F>>,
    polls: usize,
    bytes: u64,
}

impl<F: Future> Future for Counted<F> {
    type Output = (F::Output, Waited);

    fn poll(mut self: Pin<&mut Self>, context: &mut PollContext<'_>) -> Poll<Self::Output> {
        let before = allocations::asked();
        let polled = self.waiting.as_mut().poll(context);
        self.bytes += allocations::asked() - before;
        self.polls += 1;
        // The first time nobody has woken it.
        polled.map(|output| (output, Waited { woken: self.polls - 1, bytes: self.bytes }))
    }
}
