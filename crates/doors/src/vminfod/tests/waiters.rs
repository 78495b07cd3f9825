//! Writers that wait until readers can see what they did.

use super::*;
use innkeeper_engine::Caller;
use innkeeper_view::Update;
use std::{
    future::Future,
    pin::Pin,
    task::{Context as PollContext, Poll},
};

const WRITERS: usize = 64;
const OTHERS: usize = 1_000;

/// A future that counts how often it is polled.
struct Counted<F> {
    future: Pin<Box<F>>,
    polls: usize,
}

impl<F: Future> Future for Counted<F> {
    type Output = (F::Output, usize);

    fn poll(mut self: Pin<&mut Self>, context: &mut PollContext<'_>) -> Poll<Self::Output> {
        self.polls += 1;
        let polls = self.polls;
        self.future.as_mut().poll(context).map(|output| (output, polls))
    }
}

/// Whoever waits for a write waits for its task: it is not shown what happens to all others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_64_writers_among_1000_vms_is_woken_once() {
    let house = House::new().await;
    let other = |number: usize| {
        let config = VmConfig::new(format!("other-{number}").parse().unwrap());
        Update::VmSpec(Arc::new(testing::spec(VmId::new(), config)))
    };
    house.context.view().barrier((0..OTHERS).map(other).collect()).await.unwrap();
    let mut vms = Vec::new();
    for number in 0..WRITERS {
        vms.push(house.create(json!({ "name": format!("vm-{number}"), "memory": "16MiB" })).await);
    }
    let mut waiters = Vec::new();
    for vm in vms {
        let start = Request::Power { vm, verb: PowerVerb::Start { discard_memory: false } };
        let accepted =
            house.context.operations().submit(&Caller::innkeeper(), start).await.unwrap();
        let engine = house.engine.clone();
        let waiting =
            async move { engine.wait(accepted.task, crate::testing::LONG).await.unwrap() };
        let counted = Counted { future: Box::pin(waiting), polls: 0 };
        let view = house.context.view().clone();
        waiters.push(tokio::spawn(async move {
            let (task, polls) = counted.await;
            // It is seen by now.
            let snapshot = view.snapshot();
            assert!(snapshot.revision >= task.settled_at.unwrap());
            assert_eq!(snapshot.vms[&vm].state, innkeeper_model::VmState::Running);
            polls
        }));
    }
    for waiter in waiters {
        let polls = waiter.await.unwrap();
        // Once to begin, and once more when it is done.
        assert!(polls <= 2, "polled {polls} times");
    }
}
