//! Projects: each takes what its quota lets it, whoever asks first, and whatever becomes of daemons.

use crate::{
    lost,
    networks::{Gate, on_lan},
    support::{Bench, LONG, REBOOT, START, STOP, SUSPEND, Setup, create, disk, furnished},
};
use innkeeper_engine::{NicChange, PowerVerb, Request};
use innkeeper_model::{
    ByteSize, Code, Mebibytes, Project, ProjectName, Quota, QuotaSource, Refusal, Revision,
    TaskState, Usage, VmConfig, VmState,
};
use serde_json::{Value, json};

fn named(name: &str) -> ProjectName {
    name.parse().unwrap()
}

/// A VM of a project.
fn of(project: &str, name: &str) -> Value {
    json!({ "name": name, "project": project, "cpus": 2, "memory": "64MiB" })
}

fn with_disk(project: &str, name: &str, size: &str) -> Value {
    let mut config = of(project, name);
    config["disks"] = json!([{ "name": "root", "size": size }]);
    config
}

fn quota(quota: Value) -> Quota {
    serde_json::from_value(quota).unwrap()
}

impl Bench {
    async fn bound(&self, project: &str, bounds: Value) -> Project {
        self.engine.projects().set(named(project), quota(bounds), None).await.unwrap()
    }

    fn project(&self, name: &str) -> Project {
        self.engine.projects().shown(&named(name))
    }

    fn used(&self, name: &str) -> Usage {
        self.project(name).used
    }
}

#[track_caller]
fn is_for_lack_of(refusal: &Refusal, project: &str, field: &str) {
    assert_eq!(
        (refusal.code, refusal.field.as_deref()),
        (Code::OutOfCapacity, Some(field)),
        "{refusal}"
    );
    assert!(refusal.message.contains(&format!("project {project}")), "{refusal}");
    assert!(refusal.value.is_some() && refusal.limit.is_some() && refusal.hint.is_some());
}

#[tokio::test]
async fn a_quota_is_set_kept_and_taken_away() {
    let bench = Bench::new().await;
    let projects = bench.engine.projects().clone();
    assert_eq!((projects.all(), projects.get(&named("web"))), (vec![], None));
    let first = bench.bound("web", json!({ "vms": 2, "memory": "1GiB" })).await;
    assert_eq!(first.quota_from, QuotaSource::Own);
    assert_eq!((first.quota.vms, first.quota.cpus), (Some(2), None));
    let stale = projects.set(named("web"), Quota::default(), Some(Revision(9))).await;
    assert_eq!(stale.unwrap_err().code, Code::RevisionConflict);
    let other = projects.set(named("a"), Quota::default(), Some(Revision(0))).await.unwrap();
    let wanted = quota(json!({ "vms": 3 }));
    let second = projects.set(named("web"), wanted, Some(first.revision)).await.unwrap();
    assert!(second.revision > first.revision && second.updated >= first.updated);
    assert_eq!(second.quota.memory, None, "all five at once");

    let bench = bench.killed().await.begin().await;
    assert_eq!(bench.engine.projects().all(), [other, second.clone()]);
    let bench = bench.restart().await;
    assert_eq!(bench.engine.projects().get(&named("web")), Some(second.clone()));
    let projects = bench.engine.projects().clone();
    let stale = projects.remove(named("web"), false, Some(first.revision)).await;
    assert_eq!(stale.unwrap_err().code, Code::RevisionConflict);
    let removed = projects.remove(named("web"), false, Some(second.revision)).await.unwrap();
    assert_eq!((removed.quota, removed.quota_from), (Quota::default(), QuotaSource::Default));
    let again = projects.remove(named("web"), true, None).await;
    assert_eq!(again.unwrap_err().code, Code::NotFound);
    let bench = bench.restart().await;
    assert_eq!(bench.engine.projects().get(&named("web")), None);
    bench.is_sound().await;
}

#[tokio::test]
async fn a_revision_is_of_one_quota_whatever_daemon_gave_it() {
    let bench = Bench::new().await;
    let first = bench.bound("web", json!({ "vms": 1 })).await.revision;
    bench.engine.projects().remove(named("web"), false, Some(first)).await.unwrap();
    let bench = bench.restart().await;
    let second = bench.bound("web", json!({ "vms": 2 })).await.revision;
    assert!(second > first, "{first}, {second}");
    let stale = bench.engine.projects().set(named("web"), Quota::default(), Some(first)).await;
    assert_eq!(stale.unwrap_err().code, Code::RevisionConflict);
}

#[tokio::test]
async fn of_many_who_ask_for_the_last_place_one_has_it() {
    let bench = Bench::new().await;
    bench.bound("web", json!({ "vms": 2 })).await;
    bench.create_of(of("web", "first")).await;
    let names: Vec<String> = (0..12).map(|nth| format!("vm-{nth}")).collect();
    let asked = names.iter().map(|name| async {
        match bench.submit(create(of("web", name))).await {
            Ok(accepted) => bench.end_of(&accepted).await.error,
            Err(refusal) => Some(refusal),
        }
    });
    let ends = futures_util::future::join_all(asked).await;
    assert_eq!(ends.iter().filter(|end| end.is_none()).count(), 1);
    ends.iter().flatten().for_each(|refusal| is_for_lack_of(refusal, "web", "vms"));
    assert_eq!((bench.vms().len(), bench.used("web").vms), (2, 2));
    bench.create_of(of("other", "first")).await;
    bench.is_sound().await;
}

#[tokio::test]
async fn machines_and_disks_are_taken_before_they_are_there_and_given_back() {
    let bench = Bench::new().await;
    bench.bound("web", json!({ "cpus": 3, "memory": "128MiB", "disk": "4MiB" })).await;
    let one = bench.create_of(with_disk("web", "one", "3MiB")).await;
    let two = bench.create_of(with_disk("web", "two", "1MiB")).await;
    is_for_lack_of(&bench.refused(create(with_disk("web", "x", "1MiB"))).await, "web", "disk");
    bench.powers(one, &[START]).await;
    let refused = bench.power(two, START).await;
    assert_eq!(refused.state, TaskState::Failed);
    is_for_lack_of(&refused.error.unwrap(), "web", "cpus");
    assert_eq!(bench.state(two), VmState::Stopped);
    let used =
        Usage { vms: 2, cpus: 2, memory: Mebibytes(64), disk: ByteSize(4 << 20), addresses: 0 };
    assert_eq!(bench.used("web"), used);
    // What fails, and what is over, gives back.
    for end in [STOP, SUSPEND] {
        bench.powers(one, &[end]).await;
        assert_eq!(bench.used("web"), Usage { cpus: 0, memory: Mebibytes(0), ..used });
        let fault = bench.fails("sim/continue");
        assert_eq!(bench.power(two, START).await.state, TaskState::Failed);
        assert_eq!(bench.used("web").cpus, 0);
        bench.world.take_away(fault);
        bench.powers(two, &[START, PowerVerb::Kill]).await;
        let again = if end == SUSPEND { PowerVerb::Resume } else { START };
        bench.powers(one, &[again]).await;
    }
    // A disk that would be too much, and one that makes room.
    let edit = |size: &str| {
        let mut config = bench.vm(two).spec.unwrap().config.clone();
        config.disks = serde_json::from_value(json!([{ "name": "more", "size": size }])).unwrap();
        Request::Edit { vm: two, config: Box::new(config), expected: None }
    };
    let refused = bench.run(edit("2MiB")).await;
    is_for_lack_of(&refused.error.unwrap(), "web", "disk");
    bench.is_sound().await;
    bench.must(Request::Delete { vm: one, force: true }).await;
    bench.must(edit("4MiB")).await;
    assert_eq!(bench.used("web").disk, ByteSize(4 << 20));
    bench.must(Request::Delete { vm: two, force: false }).await;
    assert_eq!(bench.used("web"), Usage::default());
    bench.is_sound().await;
}

#[tokio::test]
async fn a_quota_below_what_is_taken_stops_nothing_and_refuses_what_is_new() {
    let bench = Bench::new().await;
    let vm = bench.create_of(of("web", "one")).await;
    let other = bench.create_of(of("web", "two")).await;
    bench.powers(vm, &[START]).await;
    let over = bench.bound("web", json!({ "vms": 1, "cpus": 1, "memory": "1MiB" })).await;
    assert_eq!(over.over, ["vms", "cpus", "memory"]);
    bench.powers(vm, &[REBOOT]).await;
    is_for_lack_of(&bench.refused(create(of("web", "three"))).await, "web", "vms");
    is_for_lack_of(&bench.power(other, START).await.error.unwrap(), "web", "cpus");
    // The next daemon finds it over, and lets it be.
    let bench = bench.restart().await;
    assert_eq!((bench.state(vm), bench.project("web")), (VmState::Running, over));
    bench.powers(vm, &[REBOOT, STOP]).await;
    is_for_lack_of(&bench.power(vm, START).await.error.unwrap(), "web", "cpus");
    assert_eq!(bench.project("web").over, ["vms"]);
    bench.is_sound().await;
}

#[tokio::test]
async fn who_loses_its_bounds_by_that_is_asked_about_first() {
    let bench = Bench::new().await;
    bench.bound("web", json!({ "vms": 1 })).await;
    let vm = bench.create_of(of("web", "one")).await;
    let projects = bench.engine.projects();
    let refused = projects.remove(named("web"), false, None).await.unwrap_err();
    assert_eq!(refused.code, Code::InUse);
    assert!(refused.hint.unwrap().contains("--force"));
    assert_eq!(bench.project("web").quota.vms, Some(1));
    let removed = projects.remove(named("web"), true, None).await.unwrap();
    assert_eq!((removed.quota.vms, removed.used.vms), (None, 1));
    bench.bound("web", json!({ "vms": 1 })).await;
    bench.must(Request::Delete { vm, force: false }).await;
    projects.remove(named("web"), false, None).await.unwrap();
    bench.is_sound().await;
}

#[tokio::test]
async fn all_projects_that_nobody_said_anything_of_have_the_default() {
    let mut setup = Setup::default();
    setup.capacity.default_quota = quota(json!({ "vms": 1 }));
    setup.capacity.quotas = [(named("large"), quota(json!({ "vms": 2 })))].into();
    let bench = Bench::with(setup).await;
    for project in ["a", "b", "large"] {
        bench.create_of(of(project, "one")).await;
    }
    is_for_lack_of(&bench.refused(create(of("a", "two"))).await, "a", "vms");
    bench.create_of(of("large", "two")).await;
    bench.bound("a", json!({})).await;
    bench.create_of(of("a", "two")).await;
    let sources = bench.engine.projects().all().into_iter().map(|project| project.quota_from);
    let expected = [QuotaSource::Own, QuotaSource::Default, QuotaSource::Configuration];
    assert_eq!(sources.collect::<Vec<_>>(), expected);
    bench.is_sound().await;
}

#[tokio::test]
async fn a_vm_that_runs_goes_to_another_project_with_all_it_has() {
    let bench = Bench::new().await;
    bench.lan().await;
    let mut config = on_lan("web");
    (config["project"], config["cpus"]) = (json!("old"), json!(2));
    let vm = bench.create_of(config).await;
    bench.powers(vm, &[START]).await;
    let before = bench.used("old");
    assert_eq!((before.vms, before.cpus, before.addresses), (1, 2, 1));
    let moves = || bench.edited(vm, |config| config.project = named("new"));
    bench.bound("new", json!({ "cpus": 1 })).await;
    is_for_lack_of(&bench.refused(moves()).await, "new", "cpus");
    bench.bound("new", json!({ "cpus": 2, "addresses": 1 })).await;
    bench.must(moves()).await;
    assert_eq!((bench.used("old"), bench.used("new")), (Usage::default(), before));
    bench.is_sound().await;
    let bench = bench.restart().await;
    assert_eq!((bench.used("old"), bench.used("new")), (Usage::default(), before));
    bench.powers(vm, &[STOP]).await;
    bench.is_sound().await;
}

#[tokio::test]
async fn an_edit_that_fails_leaves_a_vm_with_its_project() {
    let gate = Gate::failing("edit/save-spec/before-journal", &[]);
    let bench = Bench::witnessed(Setup::default(), Some(gate)).await;
    let vm = bench.create_of(with_disk("old", "web", "1MiB")).await;
    let before = bench.used("old");
    let moved = bench.run(bench.edited(vm, |config| config.project = named("new"))).await;
    assert_eq!(moved.state, TaskState::Failed);
    assert_eq!((bench.used("old"), bench.used("new")), (before, Usage::default()));
    bench.is_sound().await;
}

#[tokio::test]
async fn an_edit_that_is_undone_late_leaves_a_vm_with_its_project() {
    for by_the_next_daemon in [false, true] {
        let gate = Gate::failing("edit/save-spec/after-act", &["save-spec"]);
        let bench = Bench::witnessed(Setup::default(), Some(gate.clone())).await;
        let vm = bench.create_of(with_disk("old", "web", "1MiB")).await;
        let before = bench.used("old");
        let change = |config: &mut VmConfig| {
            config.project = named("new");
            config.disks.push(disk("more"));
        };
        let moved = bench.run(bench.edited(vm, change)).await;
        assert_eq!((moved.state, moved.leftovers.len()), (TaskState::Failed, 2), "{moved:?}");
        // It is the new project's for as long as its spec says so, with all that is in that.
        let now = Usage { disk: ByteSize(2 << 20), ..before };
        assert_eq!((bench.used("old"), bench.used("new")), (Usage::default(), now));
        let bench = if by_the_next_daemon { bench.restart().await } else { bench };
        gate.mended();
        bench.is_sound().await;
        assert_eq!((bench.used("old"), bench.used("new")), (before, Usage::default()));
    }
}

#[tokio::test]
async fn a_quarantined_vm_is_counted_by_the_next_daemon() {
    let bench = Bench::new().await;
    bench.bound("web", json!({ "vms": 1 })).await;
    let vm = bench.create_of(with_disk("web", "one", "3MiB")).await;
    let before = bench.used("web");
    let is_counted = async |bench: &Bench, used: Usage| {
        assert_eq!((bench.state(vm), bench.used("web")), (VmState::Quarantined, used));
        is_for_lack_of(&bench.refused(create(of("web", "two"))).await, "web", "vms");
        let removed = bench.engine.projects().remove(named("web"), false, None).await;
        assert_eq!(removed.unwrap_err().code, Code::InUse);
    };
    // What the journal says of it cannot be read, and its spec can.
    bench.idle().await;
    let ended = bench.killed().await;
    let damaged = lost::damage(&ended.path().join("journal"), vm, "begun");
    let bench = ended.begin().await;
    is_counted(&bench, before).await;
    let bench = bench.restart_with(|_| lost::see_to(&damaged)).await;
    assert_eq!((bench.state(vm), bench.used("web")), (VmState::Stopped, before));
    // Its spec says whose it is, and no more can be believed.
    let (file, whole) =
        (bench.spec_file(vm), std::fs::read_to_string(bench.spec_file(vm)).unwrap());
    let damaged = whole.replace("64MiB", "65MiB");
    let bench = bench.restart_with(|_| std::fs::write(&file, damaged).unwrap()).await;
    is_counted(&bench, Usage { disk: ByteSize(0), ..before }).await;
    std::fs::write(&file, whole).unwrap();
    bench.engine.survey().await;
    bench.until_state(vm, VmState::Stopped).await;
    bench.is_sound().await;
    assert_eq!(bench.used("web"), before);
    let bench = bench.restart_with(|_| std::fs::write(&file, "{").unwrap()).await;
    bench.must(Request::Delete { vm, force: true }).await;
    assert_eq!(bench.used("web"), Usage::default());
    bench.create_of(of("web", "two")).await;
    bench.is_sound().await;
}

#[tokio::test]
async fn addresses_are_counted_for_each_nic_and_given_back() {
    let bench = Bench::new().await;
    bench.lan().await;
    bench.bound("default", json!({ "addresses": 2 })).await;
    let one = bench.create_of(on_lan("one")).await;
    let two = bench.create_of(on_lan("two")).await;
    let refused = bench.refused(create(on_lan("three"))).await;
    is_for_lack_of(&refused, "default", "addresses");
    let nic = json!({ "name": "more", "network": "lan" });
    let add = |vm| {
        let nic = serde_json::from_value(nic.clone()).unwrap();
        Request::Nic { vm, change: NicChange::Add(Box::new(nic)) }
    };
    is_for_lack_of(&bench.refused(add(one)).await, "default", "addresses");
    let all = json!([{ "name": "lan", "network": "lan" }, nic]);
    is_for_lack_of(&bench.refused(bench.with_nics(one, all)).await, "default", "addresses");
    assert_eq!(bench.used("default").addresses, 2);
    bench.is_wired().await;
    bench.must(Request::Delete { vm: two, force: false }).await;
    bench.powers(one, &[START]).await;
    bench.must(add(one)).await;
    assert_eq!(bench.used("default").addresses, 2);
    bench.is_sound().await;
    let bench = bench.killed().await.begin().await;
    assert_eq!(bench.used("default").addresses, 2);
    let remove = NicChange::Remove("lan".parse().unwrap());
    bench.must(Request::Nic { vm: one, change: remove }).await;
    assert_eq!(bench.used("default").addresses, 1);
    bench.is_wired().await;
    bench.must(Request::Delete { vm: one, force: true }).await;
    assert_eq!(bench.used("default"), Usage::default());
    bench.is_sound().await;
}

/// Wherever a create is cut short, the next daemon knows of what there is in the end, and of nothing else.
#[tokio::test]
async fn after_a_crash_the_sums_are_those_of_what_there_is() {
    for point in [
        "reserve-disk/before-journal",
        "reserve-disk/after-act",
        "reserve-addresses/after-act",
        "save-spec/before-journal",
        "save-spec/after-act",
    ] {
        let (bench, stop) = Bench::stopping_at(&format!("create/{point}")).await;
        bench.lan().await;
        bench.bound("web", json!({ "vms": 1, "addresses": 1 })).await;
        let mut config = furnished("one");
        config["nics"] = json!([{ "name": "lan", "network": "lan" }]);
        config["project"] = json!("web");
        let accepted = bench.submit(create(config)).await.unwrap();
        stop.reached().await;
        let bench = bench.killed().await.begin().await;
        let ended = bench.engine.wait(accepted.task, LONG).await;
        let is_there = bench.vms().len() as u64;
        if let Some(ended) = ended {
            assert_eq!(ended.state == TaskState::Done, is_there == 1, "{point}: {ended:?}");
        }
        let used = bench.used("web");
        assert_eq!((used.vms, used.addresses), (is_there, is_there), "{point}");
        assert_eq!(used.disk, ByteSize(is_there * (2 << 20)), "{point}");
        bench.is_sound().await;
        if is_there == 0 {
            let mut config = on_lan("two");
            config["project"] = json!("web");
            bench.create_of(config).await;
        }
        bench.is_sound().await;
    }
}

#[tokio::test]
async fn a_start_that_a_crash_cuts_short_is_counted_once() {
    let (bench, stop) = Bench::stopping_at("start/sim/launch/after-act").await;
    bench.bound("web", json!({ "cpus": 2 })).await;
    let vm = bench.create_of(of("web", "one")).await;
    let accepted = bench.submit(Request::Power { vm, verb: START }).await.unwrap();
    stop.reached().await;
    let bench = bench.killed().await.begin().await;
    assert_eq!(bench.end_of(&accepted).await.state, TaskState::Done);
    assert_eq!(bench.used("web").cpus, 2);
    bench.is_sound().await;
}

#[tokio::test]
async fn to_whom_a_damaged_quota_belongs_nothing_more_is_given() {
    let bench = Bench::new().await;
    bench.bound("web", json!({ "vms": 5 })).await;
    let vm = bench.create_of(of("web", "one")).await;
    bench.powers(vm, &[START]).await;
    let file = bench.path().join("projects/web.json");
    let mut whole = Vec::new();
    let bench = bench
        .restart_with(|_| {
            whole = std::fs::read(&file).unwrap();
            std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
        })
        .await;
    let damaged = bench.project("web");
    assert!(damaged.problem.unwrap().contains(file.to_str().unwrap()));
    assert_eq!((bench.state(vm), damaged.used.cpus), (VmState::Running, 2));
    bench.powers(vm, &[REBOOT]).await;
    let refused = bench.refused(create(of("web", "two"))).await;
    assert_eq!(refused.code, Code::Quarantined);
    assert!(!refused.message.contains("json"), "it is told to tenants");
    let projects = bench.engine.projects();
    let refused = projects.set(named("web"), Quota::default(), None).await.unwrap_err();
    assert_eq!(refused.code, Code::Quarantined);
    bench.create_of(of("other", "two")).await;
    // Mended, it is what it was.
    assert_eq!(std::fs::read(&file).unwrap(), &whole[..whole.len() / 2]);
    let bench = bench.restart_with(|_| std::fs::write(&file, &whole).unwrap()).await;
    assert_eq!(bench.project("web").quota.vms, Some(5));
    // Given up by name, it is none.
    let bench = bench.restart_with(|_| std::fs::write(&file, "{").unwrap()).await;
    let projects = bench.engine.projects();
    assert_eq!(projects.remove(named("web"), false, None).await.unwrap_err().code, Code::InUse);
    let removed = projects.remove(named("web"), true, None).await.unwrap();
    assert_eq!((removed.problem, removed.quota), (None, Quota::default()));
    assert!(!file.exists());
    bench.create_of(of("web", "two")).await;
    bench.is_sound().await;
}
