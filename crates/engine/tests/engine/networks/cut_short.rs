//! The daemon is killed at every point of every operation that has to do with networks, and the next
//! one begins: no address is given twice, none is lost, and the host is told what readers see.

use super::{
    Gate, ip, network_create, network_delete, network_edit, on_lan, release, reserve,
    subnet_create, subnet_delete,
};
use crate::sequences::Story;
use crate::support::{Bench, LONG, RESUME, START, SUSPEND, Setup, create};
use async_trait::async_trait;
use innkeeper_engine::{Point, Request, Witness};
use innkeeper_model::{NetworkId, Refusal, VmId};
use serde_json::json;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

/// How many operations are cut short at once: they wait for the disk more than they compute.
const LANES: u32 = 8;

/// Notes every point.
#[derive(Default)]
struct Recorder(Mutex<Vec<String>>);

#[async_trait]
impl Witness for Recorder {
    async fn passes(&self, point: &Point) -> Result<(), Refusal> {
        self.0.lock().unwrap().push(point.to_string());
        Ok(())
    }

    async fn undoes(&self, _: &Point) -> Result<(), Refusal> {
        Ok(())
    }
}

/// What is cut short: an operation, from where there are a network and two VMs on it.
#[derive(Debug, Clone, Copy)]
enum Cut {
    NetworkCreate,
    NetworkEdit,
    NetworkDelete,
    SubnetCreate,
    SubnetDelete,
    Reserve,
    Release,
    Create,
    Clone,
    NicComes,
    NicGoes,
    NicMoves,
    Start,
    Suspend,
    Resume,
    Delete,
    ForcedDelete,
}

const ALL: [Cut; 17] = [
    Cut::NetworkCreate,
    Cut::NetworkEdit,
    Cut::NetworkDelete,
    Cut::SubnetCreate,
    Cut::SubnetDelete,
    Cut::Reserve,
    Cut::Release,
    Cut::Create,
    Cut::Clone,
    Cut::NicComes,
    Cut::NicGoes,
    Cut::NicMoves,
    Cut::Start,
    Cut::Suspend,
    Cut::Resume,
    Cut::Delete,
    Cut::ForcedDelete,
];

/// What there is before.
struct Before {
    lan: NetworkId,
    wan: NetworkId,
    web: VmId,
}

impl Cut {
    /// The operation, as points are called.
    const fn name(self) -> &'static str {
        match self {
            Self::NetworkCreate => "network-create",
            Self::NetworkEdit => "network-edit",
            Self::NetworkDelete => "network-delete",
            Self::SubnetCreate => "subnet-create",
            Self::SubnetDelete => "subnet-delete",
            Self::Reserve => "subnet-reserve",
            Self::Release => "subnet-release",
            Self::Create => "create",
            Self::Clone => "clone",
            Self::NicComes | Self::NicGoes | Self::NicMoves => "edit",
            Self::Start => "start",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Delete | Self::ForcedDelete => "delete",
        }
    }

    async fn prepare(self, bench: &Bench) -> Before {
        let lan = bench.lan().await;
        let wan = bench.network("wan", &["10.1.0.0/29"]).await;
        bench.must(reserve(bench.subnet(wan), &[ip("10.1.0.3")], 0)).await;
        let web = bench.create_of(on_lan("web")).await;
        bench.create_of(on_lan("other")).await;
        match self {
            Self::Suspend | Self::ForcedDelete | Self::NicMoves => {
                bench.powers(web, &[START]).await;
            }
            Self::Resume => bench.powers(web, &[START, SUSPEND]).await,
            Self::SubnetDelete | Self::NetworkDelete => {
                bench.must(release(bench.subnet(wan), vec![ip("10.1.0.3")])).await;
            }
            _ => {}
        }
        bench.idle().await;
        Before { lan, wan, web }
    }

    fn request(self, bench: &Bench, before: &Before) -> Request {
        let Before { lan, wan, web } = *before;
        let power = |verb| Request::Power { vm: web, verb };
        let both = json!([
            { "name": "lan", "network": "lan" }, { "name": "wan", "network": "wan" },
        ]);
        match self {
            Self::NetworkCreate => {
                network_create(json!({ "name": "net" }), &["10.2.0.0/29", "fd00::/64"])
            }
            Self::NetworkEdit => network_edit(lan, json!({ "name": "lan", "isolated": true })),
            Self::NetworkDelete => network_delete(wan),
            Self::SubnetCreate => subnet_create(lan, json!({ "range": "10.2.0.0/29" })),
            Self::SubnetDelete => subnet_delete(bench.subnet(wan)),
            Self::Reserve => reserve(bench.subnet(wan), &[ip("10.1.0.5")], 1),
            Self::Release => release(bench.subnet(wan), vec![ip("10.1.0.3")]),
            Self::Create => {
                let mut config = on_lan("new");
                config["nics"] = both;
                config["disks"] = json!([{ "name": "root", "size": "1MiB" }]);
                create(config)
            }
            Self::Clone => Request::Clone { vm: web, name: "new".parse().unwrap() },
            Self::NicComes => bench.with_nics(web, both),
            Self::NicGoes => bench.with_nics(web, json!([])),
            Self::NicMoves => bench.with_nics(web, json!([{ "name": "lan", "network": "wan" }])),
            Self::Start => power(START),
            Self::Suspend => power(SUSPEND),
            Self::Resume => power(RESUME),
            Self::Delete => Request::Delete { vm: web, force: false },
            Self::ForcedDelete => Request::Delete { vm: web, force: true },
        }
    }

    /// The points that it passes undisturbed.
    async fn points(self) -> Vec<String> {
        let recorder = Arc::new(Recorder::default());
        let bench = Bench::witnessed(Setup::default(), Some(recorder.clone())).await;
        let before = self.prepare(&bench).await;
        recorder.0.lock().unwrap().clear();
        bench.must(self.request(&bench, &before)).await;
        let passed = std::mem::take(&mut *recorder.0.lock().unwrap());
        bench.is_wired().await;
        let own = format!("{}/", self.name());
        let own: BTreeSet<String> =
            passed.into_iter().filter(|point| point.starts_with(&own)).collect();
        own.into_iter().collect()
    }

    /// Kills the daemon at a point. Whether it was passed: a step that need not wait does not always.
    async fn cut_at(self, point: &str) -> bool {
        let _told_if_it_fails = Story(vec![format!("{self:?}, cut at {point}")]);
        let gate = Gate::unarmed_at(point);
        let bench = Bench::witnessed(Setup::default(), Some(gate.clone())).await;
        let before = self.prepare(&bench).await;
        gate.arm();
        let accepted = bench.submit(self.request(&bench, &before)).await.unwrap();
        let passed = tokio::select! {
            () = gate.reached() => true,
            _ = bench.engine.wait(accepted.task, LONG) => false,
        };
        let bench = bench.killed().await.begin().await;
        // Some ask at once, while what was cut short is taken up.
        bench.create_at_once(&["late-1", "late-2"]).await;
        bench.is_wired().await;
        if point.ends_with("/after-act") {
            bench.restart().await.is_wired().await;
        }
        passed
    }
}

#[test]
fn no_address_is_given_twice_and_none_is_lost() {
    let cuts = Mutex::new(ALL.to_vec());
    let lane = || {
        let next = || cuts.lock().unwrap().pop();
        while let Some(cut) = next() {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let points = cut.points().await;
                assert!(points.len() >= 4, "{cut:?} passes {points:?}");
                let mut visited = 0;
                for point in &points {
                    let passed = cut.cut_at(point).await;
                    assert!(passed || point.ends_with("/in-wait"), "{point} is not passed");
                    visited += usize::from(passed);
                }
                assert!(visited * 4 >= points.len() * 3, "{visited} of {points:?}");
            });
        }
    };
    std::thread::scope(|scope| (0..LANES).for_each(|_| drop(scope.spawn(lane))));
}
