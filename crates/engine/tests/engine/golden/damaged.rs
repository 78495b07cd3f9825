//! Journals of released versions of which something is lost: by a bit that has turned, by a crash that cut
//! the last record short, by a downgrade.

use super::*;
use crate::lost::{aside, damage, see_to};

/// What is said of a VM that is left alone for this file.
fn is_left_alone(bench: &Bench, vm: VmId, file: &Path) {
    let seen = bench.vm(vm);
    assert_eq!((seen.state, seen.name.as_str()), (VmState::Quarantined, "web"));
    let problem = seen.problem.unwrap();
    assert!(problem.contains(file.to_str().unwrap()) && problem.contains("damaged"), "{problem}");
    let told = bench.engine.diagnose().journal.damage;
    assert_eq!(told, [problem]);
}

#[tokio::test]
async fn a_damaged_record_is_told_with_its_vm_and_nothing_is_erased() {
    for folder in versions_of("start") {
        let left = Left::of(&folder, &[("start", MADE)]).await;
        let (vm, about, ended) = (left.vm("web"), left.about, left.ended);
        let file = damage(&ended.path().join("journal"), vm, "begun");
        let damaged = fs::read(&file).unwrap();
        let specs = |ended: &Path| fs::read(ended.join(format!("vms/{vm}.json"))).unwrap();
        let spec = specs(ended.path());
        ended.world.watch_calls();
        let machine = ended.world.machine(vm).unwrap();
        let mut bench = ended.begin().await;
        for _ in 0..2 {
            is_left_alone(&bench, vm, &aside(&file));
            let refused = bench.refused(Request::Power { vm, verb: START }).await;
            assert_eq!(refused.code, Code::WrongState);
            serves_the_other(&bench, &about).await;
            // A spec that somebody has touched is no word.
            fs::write(bench.spec_file(vm), &spec).unwrap();
            bench.engine.survey().await;
            bench.quiet().await;
            assert_eq!(bench.state(vm), VmState::Quarantined);
            assert_eq!(bench.world.machine(vm).unwrap(), machine, "its guest is left alone");
            assert!(bench.world.calls().iter().all(|call| call.vm != vm));
            assert_eq!(specs(bench.path()), spec);
            assert_eq!(fs::read(aside(&file)).unwrap(), damaged);
            bench = bench.restart().await;
        }
        let bench = bench.restart_with(|_| see_to(&file)).await;
        assert!(bench.engine.diagnose().journal.damage.is_empty());
        bench.is_sound().await;
        assert_ne!(bench.state(vm), VmState::Quarantined);
        bench.powers(vm, &[PowerVerb::Kill, START, STOP]).await;
        serves_the_other(&bench, &about).await;
        bench.is_sound().await;
    }
}

/// The plan is whole, and a mark of one of its steps is not.
#[tokio::test]
async fn what_is_whole_of_it_is_gone_on_with_when_somebody_has_seen_to_it() {
    for folder in versions_of("start") {
        let left = Left::of(&folder, &[("start", MADE)]).await;
        let (vm, about, ended) = (left.vm("web"), left.about, left.ended);
        let file = damage(&ended.path().join("journal"), vm, "step");
        let machine = ended.world.machine(vm).unwrap().incarnation.id;
        let mut bench = ended.begin().await;
        for _ in 0..2 {
            is_left_alone(&bench, vm, &aside(&file));
            // What was begun does not stay beside what is damaged.
            bench.until_so("set aside", || !file.exists()).await;
            bench = bench.restart().await;
        }
        let bench = bench.restart_with(|_| see_to(&file)).await;
        let task = end_of(&bench, &about).await;
        assert_eq!((task.state, task.taken_up), (TaskState::Done, 1), "{task:?}");
        assert_eq!(bench.state(vm), VmState::Running);
        assert_eq!(bench.world.machine(vm).unwrap().incarnation.id, machine);
        bench.is_sound().await;
        bench.powers(vm, &[STOP, START]).await;
        serves_the_other(&bench, &about).await;
    }
}

/// What nobody stored may be half made: by what cannot be read any more.
#[tokio::test]
async fn what_was_being_made_stays_where_its_record_is_damaged() {
    for folder in versions_of("create") {
        let left = Left::of(&folder, &[]).await;
        let (about, ended) = (left.about, left.ended);
        let volumes = ended.path().join("pool/volumes");
        let [made] = &names(&volumes)[..] else { panic!("one VM was being made") };
        let files = || {
            let mut files = names(&volumes.join(made));
            files.sort();
            files
        };
        let (made_so_far, vm) = (files(), made.parse().unwrap());
        let file = damage(&ended.path().join("journal"), vm, "begun");
        let mut bench = ended.begin().await;
        for _ in 0..2 {
            assert_eq!(files(), made_so_far);
            is_left_alone(&bench, vm, &aside(&file));
            let task = bench.engine.task(about.task.unwrap()).await.unwrap();
            assert_eq!(task.error.unwrap().code, Code::OutcomeUnknown);
            serves_the_other(&bench, &about).await;
            bench = bench.restart().await;
        }
        let bench = bench.restart_with(|_| see_to(&file)).await;
        assert!(files().is_empty() && bench.find(vm).is_none());
        bench.is_sound().await;
        bench.create("web").await;
        serves_the_other(&bench, &about).await;
    }
}

/// A VM that is not stored can be given up as well.
#[tokio::test]
async fn what_was_being_made_is_given_up_by_word() {
    for folder in versions_of("create") {
        let left = Left::of(&folder, &[]).await;
        let volumes = left.ended.path().join("pool/volumes");
        let vm = names(&volumes)[0].parse().unwrap();
        let file = damage(&left.ended.path().join("journal"), vm, "begun");
        let bench = left.ended.begin().await;
        bench.must(Request::Delete { vm, force: true }).await;
        assert!(names(&volumes).is_empty());
        let bench = bench.restart().await;
        assert!(bench.find(vm).is_none() && bench.vms().len() == 1);
        assert_eq!(bench.engine.diagnose().journal.damage.len(), 1);
        let bench = bench.restart_with(|_| see_to(&file)).await;
        bench.is_sound().await;
    }
}

/// Whoever wrote it was told nothing yet.
#[tokio::test]
async fn a_record_that_was_cut_short_at_the_end_was_never_there() {
    let saved: [(&str, &[&str]); 2] =
        [("start", RUNS), ("suspend", &["sim/pause", "sim/save-memory"])];
    let shapes: [(&str, Did<'_>); 4] = [
        ("create", &[]),
        ("wishes", &[]),
        ("start", &[("start", MADE)]),
        ("suspend-before-no-return", &saved),
    ];
    for (shape, did) in shapes {
        for folder in versions_of(shape) {
            let left = Left::of(&folder, did).await;
            let (about, ended) = (left.about, left.ended);
            cut_the_last(&ended.path().join("journal"));
            let bench = ended.begin().await;
            assert!(bench.engine.diagnose().journal.damage.is_empty(), "{shape}");
            if about.task.is_some() {
                end_of(&bench, &about).await;
            }
            bench.is_sound().await;
            assert!(bench.vms().iter().all(|vm| vm.state != VmState::Quarantined), "{shape}");
            serves_the_other(&bench, &about).await;
        }
    }
}

/// Cuts the last record of a journal in its middle, as a crash does.
fn cut_the_last(journal: &Path) {
    let last = names(journal).into_iter().max().unwrap();
    let file = journal.join(last);
    let mut bytes = fs::read(&file).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end - 5..].fill(0);
    fs::write(file, bytes).unwrap();
}

/// The daemon before was a newer one.
fn of_a_newer_version(folder: &Path, records: Vec<Found>) -> Vec<Found> {
    let newer = |mut found: Found| {
        let text = String::from_utf8(found.bytes).unwrap();
        let is_start =
            text.starts_with(r#"{"entry":"begun""#) && text.contains(r#""operation":"start""#);
        found.bytes = match is_start {
            true => text.replacen("\"schema\":1", "\"schema\":99", 1),
            false => text,
        }
        .into();
        found
    };
    in_its_folder(folder, records).into_iter().map(newer).collect()
}

#[tokio::test]
async fn an_operation_of_a_newer_version_is_refused_by_name_and_gone_on_with_by_that() {
    for folder in versions_of("start") {
        let mut left = Left::of(&folder, &[("start", MADE)]).await;
        left.ended.setup.reread = Some(of_a_newer_version);
        let (vm, about, ended) = (left.vm("web"), left.about, left.ended);
        let machine = ended.world.machine(vm).unwrap();
        let mut bench = ended.begin().await;
        for _ in 0..2 {
            let problem = bench.vm(vm).problem.unwrap();
            let task = about.task.unwrap().to_string();
            assert!(problem.contains("newer version") && problem.contains(&task), "{problem}");
            assert_eq!(bench.state(vm), VmState::Quarantined);
            assert_eq!(bench.engine.diagnose().journal.damage, [problem]);
            serves_the_other(&bench, &about).await;
            assert_eq!(bench.world.machine(vm).unwrap(), machine);
            bench = bench.restart().await;
        }
        let known = |ended: &mut Ended| ended.setup.reread = Some(in_its_folder);
        let bench = bench.restart_with(known).await;
        let task = end_of(&bench, &about).await;
        assert_eq!((task.state, task.taken_up), (TaskState::Done, 1), "{task:?}");
        assert_eq!(bench.world.machine(vm).unwrap().incarnation, machine.incarnation);
        bench.is_sound().await;
        bench.powers(vm, &[STOP, START]).await;
    }
}
