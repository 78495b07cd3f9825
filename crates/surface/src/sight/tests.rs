use super::*;
use innkeeper_auth::{Identity, Role};
use innkeeper_model::{
    Assigned, Code, Image, Network, NetworkConfig, NetworkId, Refusal, Spec, Timestamp, VmConfig,
    Want,
    network::{Lease, Mended, NetworkFacts},
};
use innkeeper_view::{
    Delivery, Entry, Subject, Subscription, Transition, Update, View, ViewOptions,
};
use serde_json::json;
use std::time::Duration;

fn project(name: &str) -> ProjectName {
    name.parse().unwrap()
}

fn bound_to(name: &str) -> Sight {
    Sight { own: Some(project(name)) }
}

fn spec(name: &str, of: &str) -> Spec {
    let mut config = VmConfig::new(name.parse().unwrap());
    config.project = project(of);
    Spec {
        id: VmId::new(),
        revision: Revision(1),
        created: Timestamp::UNIX_EPOCH,
        updated: Timestamp::UNIX_EPOCH,
        want: Want::Stopped,
        draft: false,
        driver: None,
        config,
        assigned: Assigned::default(),
    }
}

fn task(vm: Option<VmId>, of: Option<&str>) -> Task {
    let document = json!({
        "id": TaskId::new(), "operation": "start", "vm": vm, "project": of, "subject": "x",
        "caller": "x", "state": "running", "cancellable": true, "created": "2026-01-01T00:00:00Z",
        "steps": [],
    });
    serde_json::from_value(document).unwrap()
}

fn image(name: &str, of_a_vm: bool) -> Image {
    let lineage = json!({
        "vm": VmId::new(), "vm_name": "secret", "disk": "root", "taken": "2026-01-01T00:00:00Z",
    });
    let mut document = json!({
        "name": name, "kind": "disk", "format": "raw", "size": "1MiB", "virtual_size": "1MiB",
        "digest": "sha256:0", "source": "disk root of VM secret", "created": "2026-01-01T00:00:00Z",
    });
    if of_a_vm {
        document["lineage"] = lineage;
    }
    serde_json::from_value(document).unwrap()
}

fn network() -> Network {
    Network {
        id: NetworkId::new(),
        revision: Revision(1),
        created: Timestamp::UNIX_EPOCH,
        updated: Timestamp::UNIX_EPOCH,
        config: NetworkConfig::new("lan".parse().unwrap()),
        bridge: "inn0".parse().unwrap(),
        subnets: Vec::new(),
        facts: NetworkFacts::default(),
    }
}

struct Bench {
    view: View,
    feed: Subscription,
}

impl Bench {
    fn new() -> Self {
        let view = View::start(ViewOptions::new(uuid::Uuid::now_v7()));
        let feed = view.subscribe(None);
        Self { view, feed }
    }

    /// What comes of these updates.
    async fn entries(&mut self, updates: Vec<Update>) -> Vec<Arc<Entry>> {
        let last = self.view.barrier(updates).await.unwrap();
        let mut entries = Vec::new();
        while entries.last().is_none_or(|entry: &Arc<Entry>| entry.revision() < last) {
            let next = tokio::time::timeout(Duration::from_secs(30), self.feed.next());
            match next.await.expect("nothing comes").unwrap() {
                Delivery::Changes(batch) => entries.extend(batch.entries().iter().cloned()),
                Delivery::Gap(_) => panic!("nothing was missed"),
            }
        }
        entries
    }
}

#[tokio::test]
async fn there_is_nothing_but_ones_own() {
    let bench = Bench::new();
    let (own, other) = (spec("web", "a"), spec("web", "b"));
    let (of_own, of_other) = (task(Some(own.id), Some("a")), task(Some(other.id), Some("b")));
    let of_nobody = task(None, None);
    let tasks = [&of_own, &of_other, &of_nobody].map(|task| Update::Task(task.clone()));
    let specs = [&own, &other].map(|spec| Update::VmSpec(Arc::new(spec.clone())));
    bench.view.barrier(specs.into_iter().chain(tasks).collect()).await.unwrap();
    let all = Sight::of_everything().of(bench.view.snapshot());
    let seen = bound_to("a").of(bench.view.snapshot());
    assert_eq!((all.vms().count(), seen.vms().count()), (2, 1));
    assert!(seen.vm(own.id).is_some() && seen.vm(other.id).is_none());
    assert!(seen.task(of_own.id).is_some() && seen.task(of_other.id).is_none());
    assert!(seen.task(of_nobody.id).is_none() && all.task(of_nobody.id).is_some());
    // By whatever it is asked for: a name that others have, too, is no less its own.
    let found = |seen: &Seen, text: &str, named: Option<&str>| {
        let named = named.map(project);
        match seen.find_vm(text, named.as_ref()) {
            Lookup::Found(vm) => Some(vm.id),
            Lookup::None | Lookup::Ambiguous(_) => None,
        }
    };
    for text in ["web", "we"] {
        assert_eq!(found(&seen, text, None), Some(own.id), "{text}");
        assert_eq!(found(&all, text, None), None, "{text}");
        assert_eq!(found(&seen, text, Some("a")), Some(own.id), "{text}");
        assert_eq!(found(&seen, text, Some("b")), None, "{text}");
        assert_eq!(found(&all, text, Some("b")), Some(other.id), "{text}");
    }
    assert_eq!(found(&seen, &other.id.to_string(), None), None);
}

#[tokio::test]
async fn what_is_told_is_of_ones_own_and_of_what_is_everybodys() {
    let mut bench = Bench::new();
    let (own, other) = (spec("web", "a"), spec("db", "b"));
    let (of_own, of_other) = (task(Some(own.id), Some("a")), task(Some(other.id), Some("b")));
    let entries = bench
        .entries(vec![
            Update::VmSpec(Arc::new(own.clone())),
            Update::VmSpec(Arc::new(other.clone())),
            Update::Task(of_own),
            Update::Task(of_other),
            Update::Image(image("plain", false)),
            Update::Host(innkeeper_model::Host { cpus: 1, ..Default::default() }),
        ])
        .await;
    let sight = bound_to("a");
    let is_told: Vec<bool> =
        entries.iter().map(|entry| matches!(sight.told(entry), Told::AsItIs)).collect();
    assert_eq!(is_told, [true, false, true, false, true, false]);
    assert!(entries.iter().all(|entry| matches!(sight.told(entry), Told::AsItIs | Told::Nothing)));
    let all = Sight::of_everything();
    assert!(entries.iter().all(|entry| matches!(all.told(entry), Told::AsItIs)));
}

#[tokio::test]
async fn a_vm_that_goes_to_another_project_is_gone_for_one_and_new_for_the_other() {
    let mut bench = Bench::new();
    let before = spec("web", "a");
    let mut after = before.clone();
    after.config.project = project("b");
    bench.entries(vec![Update::VmSpec(Arc::new(before))]).await;
    let moved = bench.entries(vec![Update::VmSpec(Arc::new(after))]).await;
    let subject = |of: &str| match bound_to(of).told(&moved[0]) {
        Told::Otherwise(entry) => {
            assert_eq!(entry.position, moved[0].position);
            entry.subject
        }
        told => panic!("{told:?}"),
    };
    let Subject::Vm(Transition::Deleted(was)) = subject("a") else { panic!("it is not gone") };
    assert_eq!(was.project, project("a"));
    let Subject::Vm(Transition::Created(is)) = subject("b") else { panic!("it is not new") };
    assert_eq!(is.project, project("b"));
    assert!(matches!(bound_to("c").told(&moved[0]), Told::Nothing));
}

#[tokio::test]
async fn what_everybodys_things_say_of_others_vms_is_not_told() {
    let mut bench = Bench::new();
    let lan = network();
    let lease = Lease {
        address: "10.0.0.9".parse().unwrap(),
        mac: None,
        hostname: Some("secret".into()),
        expires: None,
    };
    let problem = Some("secret (pid 812) has port 53/udp (DNS) of this host".into());
    let facts = |up| NetworkFacts { up, leases: vec![lease.clone()], ..NetworkFacts::default() };
    let what = vec!["a dnsmasq (pid 812) of secret answered there; it was ended".into()];
    let mended = Some(Mended { at: Timestamp::UNIX_EPOCH, what });
    let impaired =
        NetworkFacts { up: true, problem, mended: mended.clone(), ..NetworkFacts::default() };
    let mended = NetworkFacts { up: true, mended, ..NetworkFacts::default() };
    let id = lan.id;
    bench.entries(vec![Update::Network(Arc::new(lan))]).await;
    let entries = bench
        .entries(vec![
            Update::NetworkFacts {
                id,
                facts: NetworkFacts { leases: vec![lease.clone()], ..NetworkFacts::default() },
            },
            Update::NetworkFacts { id, facts: facts(true) },
            Update::NetworkFacts { id, facts: mended },
            Update::NetworkFacts { id, facts: impaired },
            Update::Image(image("golden", true)),
        ])
        .await;
    let sight = bound_to("a");
    assert!(matches!(sight.told(&entries[0]), Told::Nothing), "nothing but leases changed");
    assert!(matches!(sight.told(&entries[2]), Told::Nothing), "nothing but what was mended did");
    for entry in [&entries[1], &entries[3], &entries[4]] {
        let Told::Otherwise(told) = sight.told(entry) else { panic!("{entry:?} is told") };
        let told = serde_json::to_string(&told.to_change()).unwrap();
        assert!(!told.contains("secret"), "{told}");
    }
    let snapshot = bench.view.snapshot();
    let golden = snapshot.images.values().next().unwrap();
    let narrowed = sight.image(golden).unwrap();
    assert_eq!((narrowed.lineage, &*narrowed.source), (None, "a disk of a VM"));
    assert_eq!(Sight::of_everything().image(golden), None);
    let lan = snapshot.networks.values().next().unwrap();
    let facts = sight.network(lan).unwrap().facts;
    assert!(facts.leases.is_empty() && facts.mended.is_none());
    assert!(facts.problem.unwrap().contains("administrators"));
    assert_eq!(Sight::of_everything().network(lan), None);
}

#[test]
fn who_is_bound_to_a_project_asks_for_that_one() {
    let (bound, all) = (bound_to("a"), Sight::of_everything());
    assert_eq!(bound.owner("project", None).unwrap(), Some(project("a")));
    assert_eq!(bound.owner("project", Some(project("a"))).unwrap(), Some(project("a")));
    let refusal = bound.owner("project", Some(project("b"))).unwrap_err();
    assert_eq!((refusal.code, refusal.field.as_deref()), (Code::Forbidden, Some("project")));
    assert_eq!(all.owner("project", None).unwrap(), None);
    assert_eq!(all.owner("project", Some(project("b"))).unwrap(), Some(project("b")));
}

#[test]
fn a_projects_vm_has_no_files_of_the_host_but_those_that_it_was_given() {
    let config = |boot: serde_json::Value, disks: serde_json::Value| -> VmConfig {
        let document = json!({ "name": "web", "boot": boot, "disks": disks });
        serde_json::from_value(document).unwrap()
    };
    let image = || json!({ "name": "root", "image": "tiny" });
    let file = |path: &str| json!({ "name": "data", "path": path, "format": "raw" });
    let plain = config(json!({ "firmware": "bios" }), json!([image()]));
    let with_file = config(json!({ "firmware": "bios" }), json!([image(), file("/a/b")]));
    let kernel = config(json!({ "kernel": { "path": "/k" } }), json!([]));
    let initrd = config(json!({ "kernel": { "image": "tiny", "initrd": "/i" } }), json!([]));
    let bound = bound_to("a");
    let field = |result: Result<(), Refusal>| {
        let refusal = result.unwrap_err();
        assert_eq!(refusal.code, Code::Forbidden);
        refusal.field.unwrap()
    };
    bound.check_host_files(&plain, None).unwrap();
    assert_eq!(field(bound.check_host_files(&with_file, None)), "disks[data].path");
    assert_eq!(field(bound.check_host_files(&with_file, Some(&plain))), "disks[data].path");
    bound.check_host_files(&with_file, Some(&with_file)).unwrap();
    assert_eq!(field(bound.check_host_files(&kernel, None)), "boot.kernel.path");
    assert_eq!(field(bound.check_host_files(&initrd, None)), "boot.kernel.initrd");
    Sight::of_everything().check_host_files(&with_file, None).unwrap();

    // What it was given to read is not its own to write to, by whatever name.
    let firmware = || json!({ "firmware": "bios" });
    let named = |name: &str, path: &str, read_only: bool| {
        let disk = json!({ "name": name, "path": path, "format": "raw", "read_only": read_only });
        config(firmware(), json!([image(), disk]))
    };
    let given = named("iso", "/a/iso", true);
    bound.check_host_files(&given, Some(&given)).unwrap();
    bound.check_host_files(&plain, Some(&given)).unwrap();
    let refused =
        |wanted: &VmConfig, given: &VmConfig| field(bound.check_host_files(wanted, Some(given)));
    assert_eq!(refused(&named("iso", "/a/iso", false), &given), "disks[iso].path");
    assert_eq!(refused(&named("d2", "/a/iso", true), &given), "disks[d2].path");
    assert_eq!(refused(&named("k", "/k", true), &kernel), "disks[k].path");
    let swapped = json!({ "kernel": { "path": "/i", "initrd": "/k" } });
    let both = config(json!({ "kernel": { "path": "/k", "initrd": "/i" } }), json!([]));
    bound.check_host_files(&both, Some(&both)).unwrap();
    assert_eq!(refused(&config(swapped, json!([])), &both), "boot.kernel.path");
}

#[test]
fn a_sight_is_as_wide_as_its_principal() {
    let principal = Principal::anonymous(Identity::Token, Role::Viewer);
    assert_eq!(Sight::from(&principal), Sight::of_everything());
    let bound = Principal { scope: Scope::Project(project("a")), ..principal };
    assert_eq!(Sight::from(&bound), bound_to("a"));
}
