//! What was wanted running is started with the host: the oldest VM first, and so many at once as are allowed.

use crate::support::{Bench, LONG, START};
use async_trait::async_trait;
use innkeeper_engine::{Point, Witness};
use innkeeper_model::{Refusal, VmId, VmState};
use serde_json::json;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};
use tokio::sync::{Semaphore, watch};

/// How many are started at once.
const AT_ONCE: usize = 2;

/// Holds starts with the host when their machines are to be launched, and lets one go on at a time.
struct Parade {
    /// Those that are held, or were; in the order in which they came.
    came: watch::Sender<Vec<VmId>>,
    /// Whom nobody holds.
    free: Mutex<BTreeSet<VmId>>,
    may_go: Semaphore,
}

impl Parade {
    fn letting_go(free: VmId) -> Arc<Self> {
        let (came, free) = (watch::Sender::default(), Mutex::new([free].into()));
        Arc::new(Self { came, free, may_go: Semaphore::new(0) })
    }

    /// Waits until so many have come.
    async fn until_came(&self, count: usize) -> Vec<VmId> {
        let mut came = self.came.subscribe();
        let waited = tokio::time::timeout(LONG, came.wait_for(|came| came.len() >= count)).await;
        let so_far = || panic!("{count} never came: {:?}", *self.came.borrow());
        waited.map_or_else(|_| so_far(), |came| came.unwrap().clone())
    }
}

#[async_trait]
impl Witness for Parade {
    async fn passes(&self, point: &Point) -> Result<(), Refusal> {
        let vm = point.vm.filter(|vm| !self.free.lock().unwrap().contains(vm));
        if let Some(vm) = vm.filter(|_| point.to_string() == "start/sim/launch/before-journal") {
            self.came.send_modify(|came| came.push(vm));
            self.may_go.acquire().await.unwrap().forget();
        }
        Ok(())
    }

    async fn undoes(&self, _: &Point) -> Result<(), Refusal> {
        Ok(())
    }
}

#[tokio::test]
async fn vms_are_started_with_the_host_in_order_and_only_so_many_at_once() {
    let bench = Bench::new().await;
    let mut vms = Vec::new();
    for number in 0..6 {
        vms.push(bench.create(&format!("vm-{number}")).await);
    }
    let by_hand = bench.create_of(json!({ "name": "by-hand", "autostart": "never" })).await;
    // Not in the order in which they were last started.
    for vm in vms.iter().rev() {
        bench.powers(*vm, &[START]).await;
    }
    let mut ended = bench.end().await;
    ended.reboot_host();
    ended.setup.autostart_parallel = AT_ONCE;
    let parade = Parade::letting_go(by_hand);
    let bench = ended.open_only(Some(parade.clone())).await;
    let waking = bench.engine.clone();
    let waking = tokio::spawn(async move { waking.recover().await });

    let first: BTreeSet<VmId> = parade.until_came(AT_ONCE).await.into_iter().collect();
    assert_eq!(first, vms[..AT_ONCE].iter().copied().collect(), "the oldest");
    for (gone, next) in vms[AT_ONCE..].iter().enumerate() {
        // Whoever were begun without waiting would have come before what is asked for and done now.
        bench.powers(by_hand, &[START, crate::support::STOP]).await;
        assert_eq!(parade.came.borrow().len(), gone + AT_ONCE);
        let asked = bench.tasks("start").iter().filter(|task| task.ended.is_none()).count();
        assert_eq!(asked, AT_ONCE, "nor are they queued");
        parade.may_go.add_permits(1);
        assert_eq!(parade.until_came(gone + AT_ONCE + 1).await.last(), Some(next));
    }
    parade.may_go.add_permits(AT_ONCE);
    waking.await.unwrap();
    assert!(vms.iter().all(|vm| bench.state(*vm) == VmState::Running));
    bench.is_sound().await;
}
