use super::*;
use crate::{
    Delivery,
    test_data::{
        Picture, facts, network, network_id, reservation, resets, subnet, task, task_id, vm_id,
        wish,
    },
};
use innkeeper_model::{
    GuestAddress, HypervisorEvent, MachineState, TaskState,
    network::{AddressSource, NetworkFacts},
};
use proptest::prelude::*;
use std::{future::Future, pin::pin, task::Context, task::Poll, task::Waker};

fn options() -> ViewOptions {
    ViewOptions::new(Uuid::from_u128(1))
}

fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// What comes next, which it must do soon.
async fn next(reader: &mut Subscription) -> Result<Delivery, ViewStopped> {
    let limit = Duration::from_secs(30);
    let delivery = tokio::time::timeout(limit, reader.next()).await;
    delivery.unwrap_or_else(|_| panic!("nothing came after {:?}", reader.position()))
}

#[track_caller]
fn sequences(delivery: Delivery) -> (u64, u64) {
    match delivery {
        Delivery::Changes(batch) => (batch.first().sequence, batch.last().sequence),
        Delivery::Gap(snapshot) => panic!("a gap at {}", snapshot.revision),
    }
}

#[tokio::test]
async fn behind_the_barrier_a_write_can_be_read_in_snapshot_and_feed() {
    let view = View::start(options());
    let start = view.snapshot().position();
    view.post(wish(1, "web"));
    let revision = view.barrier(vec![facts(1, MachineState::Running)]).await.unwrap();
    assert_eq!(revision, Revision(2));
    let snapshot = view.snapshot();
    assert!(snapshot.revision >= revision);
    assert_eq!(snapshot.vms[&vm_id(1)].facts.machine, MachineState::Running);
    let mut reader = view.subscribe(Some(start));
    let mut last = 0;
    while let Some(delivery) = reader.try_next() {
        last = sequences(delivery).1;
    }
    assert_eq!(last, revision.0);
}

#[tokio::test]
async fn a_barrier_around_nothing_or_around_no_change_does_not_hang() {
    let view = View::start(options());
    view.post(wish(1, "web"));
    assert_eq!(view.barrier(vec![]).await, Ok(Revision(1)));
    assert_eq!(view.barrier(vec![wish(1, "web")]).await, Ok(Revision(1)));
    view.post_all(vec![resets(1, 1), resets(1, 0)]);
    assert_eq!(view.barrier(vec![resets(2, 1)]).await, Ok(Revision(3)));
}

#[tokio::test]
async fn a_barrier_that_nobody_waits_for_any_more_still_applies_its_updates() {
    let view = View::start(options());
    assert!(poll_once(view.barrier(vec![wish(1, "web")])).is_pending());
    view.barrier(vec![]).await.unwrap();
    assert!(view.snapshot().vms.contains_key(&vm_id(1)));
}

#[tokio::test]
async fn updates_posted_together_are_seen_together() {
    let view = View::start(options());
    let mut reader = view.subscribe(None);
    view.post_all((1..=5).map(|n| wish(n, &format!("vm-{n}"))).collect());
    assert_eq!(sequences(next(&mut reader).await.unwrap()), (1, 5));
}

#[tokio::test]
async fn a_flood_wakes_sleepers_however_it_falls_into_batches() {
    let view = View::start(options());
    view.barrier(vec![wish(1, "web")]).await.unwrap();
    for flood in [255, 256, 257, 512] {
        let mut reader = view.subscribe(None);
        let end = reader.position().sequence + flood;
        assert!(poll_once(reader.next()).is_pending());
        let flood = (0..flood).map(|n| resets(1, u32::try_from(end + n).unwrap()));
        view.post_all(flood.collect());
        while reader.position().sequence < end {
            next(&mut reader).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_sleeper_is_woken_at_once_while_little_happens_and_not_before_the_tick_under_load() {
    let view = View::start(ViewOptions { tick: Duration::from_secs(3600), ..options() });
    view.barrier(vec![wish(1, "web")]).await.unwrap();
    let mut reader = view.subscribe(None);
    let mut woken = 0;
    for n in 1..100 {
        let mut next = pin!(reader.next());
        assert!(next.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        view.barrier(vec![resets(1, n)]).await.unwrap();
        if poll_once(next).is_pending() {
            break;
        }
        woken += 1;
    }
    assert!((1..=crate::pace::BURST).contains(&woken), "{woken}");
    // Who asks sees it all the same, and so does whoever comes anew.
    let position = reader.position();
    let mut resumed = view.subscribe(Some(position));
    assert_eq!(sequences(next(&mut resumed).await.unwrap()).0, position.sequence + 1);
    assert_eq!(sequences(reader.try_next().unwrap()).0, position.sequence + 1);
    assert!(reader.try_next().is_none());
}

#[tokio::test]
async fn under_load_the_tick_brings_what_came_meanwhile_in_one_batch() {
    let view = View::start(ViewOptions { tick: Duration::from_millis(200), ..options() });
    view.barrier(vec![wish(1, "web")]).await.unwrap();
    let mut reader = view.subscribe(None);
    for n in 1..=200 {
        view.barrier(vec![resets(1, n)]).await.unwrap();
    }
    let mut deliveries = 0;
    while reader.position().sequence < 201 {
        next(&mut reader).await.unwrap();
        deliveries += 1;
    }
    assert!(deliveries < 150, "{deliveries}");
}

#[tokio::test]
async fn positions_that_the_feed_cannot_go_on_from_are_told_as_a_gap() {
    let view = View::start(ViewOptions { max_changes: 4, ..options() });
    let start = view.snapshot().position();
    view.barrier(vec![wish(1, "web")]).await.unwrap();
    for n in 1..10 {
        view.barrier(vec![resets(1, n)]).await.unwrap();
    }
    let end = view.snapshot().position();
    let other_epoch = Position { epoch: Uuid::nil(), ..end };
    let future = Position { sequence: end.sequence + 1, ..end };
    for position in [start, other_epoch, future] {
        let mut reader = view.subscribe(Some(position));
        assert_eq!(reader.position(), position);
        let Ok(Delivery::Gap(snapshot)) = next(&mut reader).await else {
            panic!("no gap at {position}");
        };
        assert_eq!(snapshot.position(), end);
        assert_eq!(reader.position(), end);
        assert!(reader.try_next().is_none());
    }
    view.barrier(vec![resets(1, 10)]).await.unwrap();
    let mut reader = view.subscribe(Some(end));
    assert_eq!(sequences(next(&mut reader).await.unwrap()), (11, 11));
}

#[tokio::test]
async fn readers_in_step_are_handed_the_same_batch() {
    let view = View::start(options());
    let (mut one, mut other) = (view.subscribe(None), view.subscribe(None));
    view.barrier(vec![wish(1, "web"), wish(2, "db")]).await.unwrap();
    let (Ok(Delivery::Changes(a)), Ok(Delivery::Changes(b))) =
        (next(&mut one).await, next(&mut other).await)
    else {
        panic!("no changes");
    };
    assert!(Arc::ptr_eq(&a, &b));
    assert_eq!(view.figures().subscriptions, 2);
}

#[tokio::test]
async fn a_stopped_view_ends_its_subscriptions_after_the_last_change_and_refuses_barriers() {
    let view = View::start(ViewOptions { tick: Duration::from_secs(3600), ..options() });
    let mut reader = view.subscribe(None);
    view.post(wish(1, "web"));
    for n in 1..20 {
        view.barrier(vec![resets(1, n)]).await.unwrap();
    }
    view.stop();
    assert_eq!(view.barrier(vec![]).await, Err(ViewStopped));
    while reader.position().sequence < 20 {
        sequences(next(&mut reader).await.unwrap());
    }
    assert_eq!(next(&mut reader).await.unwrap_err(), ViewStopped);
    assert_eq!(view.snapshot().revision, Revision(20));
}

#[tokio::test]
async fn dropping_all_handles_ends_the_subscriptions() {
    let view = View::start(options());
    let mut reader = view.subscribe(None);
    drop(view);
    assert_eq!(next(&mut reader).await.unwrap_err(), ViewStopped);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_on_other_threads_see_every_change() {
    let view =
        View::start(ViewOptions { tick: Duration::from_micros(200), max_changes: 64, ..options() });
    let read = |view: &View| {
        let mut reader = view.subscribe(None);
        let mut picture = Picture::default();
        tokio::spawn(async move {
            let mut expected = 0;
            while let Ok(delivery) = next(&mut reader).await {
                if let Delivery::Changes(batch) = &delivery {
                    assert_eq!(batch.first().sequence, expected + 1);
                }
                picture.take(&delivery);
                expected = reader.position().sequence;
            }
            picture
        })
    };
    let readers: Vec<_> = (0..8).map(|_| read(&view)).collect();
    let writers: Vec<_> = (1..=2)
        .map(|vm| {
            let view = view.clone();
            tokio::spawn(async move {
                view.post(wish(vm, &format!("vm-{vm}")));
                for n in 0..1000 {
                    let revision = view.barrier(vec![resets(vm, n)]).await.unwrap();
                    assert!(view.snapshot().revision >= revision);
                    assert_eq!(view.snapshot().vms[&vm_id(vm)].facts.resets, n);
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    view.stop();
    for reader in readers {
        assert_eq!(reader.await.unwrap(), Picture::of(&view.snapshot()));
    }
}

#[derive(Debug, Clone)]
enum Happening {
    Post(Vec<Update>),
    /// A barrier: the writer has applied and published all.
    Settle,
    /// This reader takes what there is, or one delivery of what it would be woken for.
    Ask(usize),
    Follow(usize),
    /// This reader goes away and comes back with its position.
    Resume(usize),
}

const READERS: usize = 3;

fn update() -> impl Strategy<Value = Update> {
    let machine = prop_oneof![Just(MachineState::Absent), Just(MachineState::Running)];
    let state = prop_oneof![Just(TaskState::Running), Just(TaskState::Done)];
    let event = HypervisorEvent { name: "RESET".into(), at: None, data: serde_json::Value::Null };
    prop_oneof![
        (1..4u128, "[ab]").prop_map(|(n, name)| wish(n, &name)),
        (1..4u128, machine).prop_map(|(n, machine)| facts(n, machine)),
        (1..4u128, 0..3u32).prop_map(|(n, count)| resets(n, count)),
        (1..4u128).prop_map(|n| Update::VmRemoved(vm_id(n))),
        (1..4u128).prop_map(move |n| Update::VmEvent { id: vm_id(n), event: event.clone() }),
        (1..4u128).prop_map(|n| Update::VmQuarantined {
            id: vm_id(n),
            name: "q".parse().unwrap(),
            project: Default::default(),
            problem: "damaged".into(),
        }),
        (1..9u128, state).prop_map(|(n, state)| Update::Task(task(n, state))),
        (1..9u128).prop_map(|n| Update::TaskForgotten(task_id(n))),
        network_update(),
    ]
}

fn network_update() -> impl Strategy<Value = Update> {
    let wished = |(n, revision, reserved): (u128, u64, u32)| {
        let mut network = network(n, "lan");
        network.revision = Revision(revision);
        network.subnets = vec![subnet(n, "10.0.0.0/16")];
        // As many reservations for the same revision, as the engine keeps it.
        network.subnets[0].reservations = (0..reserved * 50).map(reservation).collect();
        Update::Network(Arc::new(network))
    };
    let facts = |(n, up): (u128, bool)| Update::NetworkFacts {
        id: network_id(n),
        facts: NetworkFacts { up, ..NetworkFacts::default() },
    };
    let addresses = |(n, count): (u128, u8)| Update::VmAddresses {
        id: vm_id(n),
        addresses: (0..count)
            .map(|last| GuestAddress {
                nic: None,
                address: [10, 0, 0, last].into(),
                source: AddressSource::Lease,
            })
            .collect(),
    };
    prop_oneof![
        (1..3u128, 1..4u64, 0..3u32).prop_map(wished),
        (1..3u128, any::<bool>()).prop_map(facts),
        (1..3u128).prop_map(|n| Update::NetworkRemoved(network_id(n))),
        (1..4u128, 0..3u8).prop_map(addresses),
    ]
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => prop::collection::vec(update(), 1..6).prop_map(Happening::Post),
        2 => Just(Happening::Settle),
        1 => (0..READERS).prop_map(Happening::Ask),
        2 => (0..READERS).prop_map(Happening::Follow),
        1 => (0..READERS).prop_map(Happening::Resume),
    ]
}

async fn run(happenings: Vec<Happening>, max_changes: usize, tick: Duration) {
    let view = View::start(ViewOptions { max_changes, max_finished_tasks: 2, tick, ..options() });
    let mut readers: Vec<_> =
        (0..READERS).map(|_| (view.subscribe(None), Picture::default())).collect();
    for happening in happenings {
        match happening {
            Happening::Post(updates) => view.post_all(updates),
            Happening::Settle => {
                let revision = view.barrier(vec![]).await.unwrap();
                assert_eq!(view.snapshot().revision, revision);
            }
            Happening::Ask(n) => {
                let (reader, picture) = &mut readers[n];
                while let Some(delivery) = reader.try_next() {
                    picture.take(&delivery);
                }
                assert_eq!(*picture, Picture::of(&view.snapshot()));
            }
            Happening::Follow(n) => {
                let (reader, picture) = &mut readers[n];
                if let Poll::Ready(delivery) = poll_once(reader.next()) {
                    picture.take(&delivery.unwrap());
                }
            }
            Happening::Resume(n) => {
                let (reader, _) = &mut readers[n];
                *reader = view.subscribe(Some(reader.position()));
            }
        }
    }
    view.stop();
    for (mut reader, mut picture) in readers {
        while let Ok(delivery) = next(&mut reader).await {
            picture.take(&delivery);
        }
        assert_eq!(picture, Picture::of(&view.snapshot()));
    }
}

proptest! {
    /// However slow a reader, however small the ring: what it was told adds up to what there is.
    #[test]
    fn the_feed_has_no_hole_that_it_does_not_admit(
        happenings in prop::collection::vec(happening(), 0..60),
        max_changes in 0..40usize,
        quick: bool,
    ) {
        let tick = if quick { Duration::ZERO } else { Duration::from_secs(3600) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.unwrap().block_on(run(happenings, max_changes, tick));
    }
}
