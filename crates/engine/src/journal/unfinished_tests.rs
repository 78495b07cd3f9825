use super::*;
use crate::plan::steps::{OwnStep, PlanStep};
use innkeeper_driver::{Crash, Flow, Step};
use innkeeper_model::{Revision, TaskState, Timestamp};
use innkeeper_store::journal::{Durability, Journal, JournalOptions};
use serde_json::json;

/// Something that keeps records: a journal makes them only.
pub(crate) async fn held() -> Held {
    let folder = tempfile::tempdir().unwrap();
    let opened = Journal::open(JournalOptions {
        segment_size: 4 << 10,
        ..JournalOptions::new(folder.path())
    });
    let journal = opened.unwrap().journal;
    journal.append(Uuid::nil(), b"x".into(), Durability::Written).await.unwrap()
}

/// A journal's records, to be read.
struct Records {
    held: Held,
    found: Vec<Found>,
}

impl Records {
    async fn none() -> Self {
        Self { held: held().await, found: Vec::new() }
    }

    fn with(mut self, entry: &Entry) -> Self {
        self.push(Uuid::nil(), serde_json::to_vec(entry).unwrap());
        self
    }

    fn push(&mut self, about: Uuid, bytes: Vec<u8>) {
        self.found.push(Found { about, bytes, held: self.held.clone() });
    }

    fn read(self) -> OnRecord {
        read(self.found, Vec::new())
    }
}

fn task(vm: VmId) -> Task {
    serde_json::from_value(json!({
        "id": TaskId::new(), "operation": "create", "vm": vm, "subject": "web", "caller": "test",
        "state": "running", "cancellable": true, "created": "2026-01-01T00:00:00Z", "steps": [],
    }))
    .unwrap()
}

fn own(vm: VmId) -> PlanStep {
    PlanStep::Own(OwnStep::ClaimVolumes { vm })
}

/// Four steps in three parts: one, two together, one.
fn plan(vm: VmId) -> Plan {
    let once = Step::new("sim/reset", 1, Crash::Once, &());
    let flow = vec![
        Flow::Step(own(vm)),
        Flow::Together { name: "both".into(), steps: vec![own(vm), own(vm)] },
        Flow::Step(PlanStep::Driver(once)),
    ];
    Plan { flow, after_crash: AfterCrash::Back, no_return: Some(2), converges: false }
}

fn begun(task: &Task) -> Begun {
    let vm = task.vm.unwrap();
    Begun {
        schema: SCHEMA,
        task: task.clone(),
        operation: None,
        resources: Vec::new(),
        plan: plan(vm).into(),
        boot_id: "boot".into(),
        way: Way::Forward,
        marks: Vec::new(),
        owed: false,
    }
}

fn begins(task: &Task) -> Entry {
    Entry::Begun(Box::new(begun(task)))
}

fn step(task: &Task, step: usize, mark: Mark) -> Entry {
    Entry::Step { task: task.id, step, mark }
}

fn ended(task: &Task, state: TaskState) -> Task {
    Task { state, ended: Some(Timestamp::UNIX_EPOCH), cancellable: false, ..task.clone() }
}

pub(crate) fn spec(id: VmId, revision: u64) -> Arc<Spec> {
    let spec = serde_json::from_value(json!({
        "id": id, "revision": Revision(revision), "created": "2026-01-01T00:00:00Z",
        "updated": "2026-01-01T00:00:00Z", "want": "stopped", "config": { "name": "web" },
        "assigned": { "machine": "m", "cpu_model": "c", "devices": {}, "ports": 0 },
    }));
    Arc::new(spec.unwrap())
}

fn wish(number: u64, vm: VmId, revision: u64) -> Entry {
    Entry::Wish { number, spec: spec(vm, revision) }
}

#[tokio::test]
async fn an_operation_is_as_far_as_its_last_records_say() {
    let (one, other) = (task(VmId::new()), task(VmId::new()));
    let on_record = Records::none()
        .await
        .with(&begins(&one))
        .with(&begins(&other))
        .with(&step(&one, 0, Mark::Done))
        .with(&step(&other, 3, Mark::Begun))
        .with(&step(&one, 1, Mark::Done))
        .with(&step(&one, 1, Mark::Undone))
        .with(&Entry::Way { task: one.id, way: Way::Back })
        .read();
    let marks = |task: &Task| on_record.unfinished[&task.id].begun.marks.clone();
    use Mark::{Begun, Done, Undone, Waiting};
    assert_eq!(marks(&one), [Done, Undone, Waiting, Waiting]);
    assert_eq!(marks(&other), [Waiting, Waiting, Waiting, Begun]);
    assert_eq!(on_record.unfinished[&one.id].begun.way, Way::Back);
    assert_eq!(on_record.unfinished[&other.id].begun.way, Way::Forward);
    assert!(on_record.ended.is_empty() && on_record.unreadable.is_empty());
}

#[tokio::test]
async fn what_has_ended_is_not_unfinished_and_what_is_owed_is() {
    let (done, failed) = (task(VmId::new()), task(VmId::new()));
    let leftovers = vec!["save-spec could not be undone".to_owned()];
    let owed = Task { leftovers: leftovers.clone(), ..ended(&failed, TaskState::Failed) };
    let records = Records::none()
        .await
        .with(&begins(&done))
        .with(&begins(&failed))
        .with(&Entry::Ended { task: Box::new(ended(&done, TaskState::Done)) })
        .with(&Entry::Way { task: failed.id, way: Way::Back })
        .with(&Entry::Owed { task: Box::new(owed.clone()) });
    let on_record = Records { held: records.held.clone(), found: records.found.clone() }.read();
    assert_eq!(on_record.unfinished.keys().collect::<Vec<_>>(), [&failed.id]);
    let left = &on_record.unfinished[&failed.id].begun;
    assert!(left.owed && left.way == Way::Back && left.task.leftovers == leftovers);
    let ends: Vec<_> = on_record.ended.iter().map(|(task, _)| (task.id, task.state)).collect();
    assert_eq!(ends, [(done.id, TaskState::Done), (failed.id, TaskState::Failed)]);
    // Its leftovers have been cleared since.
    let on_record =
        records.with(&Entry::Ended { task: Box::new(ended(&failed, TaskState::Failed)) }).read();
    assert!(on_record.unfinished.is_empty());
    assert!(on_record.ended.last().unwrap().0.leftovers.is_empty());
}

#[tokio::test]
async fn a_record_that_is_written_anew_stands_for_all_before_it() {
    let task = task(VmId::new());
    let marks = vec![Mark::Done, Mark::Begun, Mark::Waiting, Mark::Waiting];
    let anew = Begun { way: Way::OnlyForward, marks: marks.clone(), owed: true, ..begun(&task) };
    let anew = Entry::Begun(Box::new(anew));
    // Whether the old one is still there or not.
    for records in
        [Records::none().await.with(&begins(&task)).with(&anew), Records::none().await.with(&anew)]
    {
        let on_record = records.with(&step(&task, 1, Mark::Done)).read();
        let begun = &on_record.unfinished[&task.id].begun;
        assert_eq!(begun.marks, [Mark::Done, Mark::Done, Mark::Waiting, Mark::Waiting]);
        assert!(begun.owed && begun.way == Way::OnlyForward);
    }
}

#[tokio::test]
async fn what_is_said_of_an_operation_that_is_not_there_is_passed_over() {
    let gone = task(VmId::new());
    let on_record = Records::none()
        .await
        .with(&step(&gone, 0, Mark::Done))
        .with(&Entry::Way { task: gone.id, way: Way::Back })
        .with(&Entry::Ended { task: Box::new(ended(&gone, TaskState::Done)) })
        .read();
    assert!(on_record.unfinished.is_empty() && on_record.unreadable.is_empty());
    assert_eq!(on_record.ended.len(), 1, "its end is known all the same");
    let task = task(VmId::new());
    let beyond = Records::none().await.with(&begins(&task)).with(&step(&task, 99, Mark::Done));
    assert_eq!(beyond.read().unfinished[&task.id].begun.marks, [Mark::Waiting; 4]);
}

#[tokio::test]
async fn marks_are_as_many_as_steps_whatever_was_written() {
    let task = task(VmId::new());
    for written in [0, 2, 9] {
        let begun = Begun { marks: vec![Mark::Done; written], ..begun(&task) };
        let on_record = Records::none().await.with(&Entry::Begun(Box::new(begun))).read();
        assert_eq!(on_record.unfinished[&task.id].begun.marks.len(), 4);
    }
}

#[tokio::test]
async fn the_last_wish_counts_and_only_its_own_file_keeps_it() {
    let (written, changed_since, unwritten, gone) =
        (VmId::new(), VmId::new(), VmId::new(), VmId::new());
    let on_record = Records::none()
        .await
        .with(&wish(1, written, 1))
        .with(&wish(2, changed_since, 1))
        .with(&wish(3, gone, 1))
        // Wished for while the files of the two before were written.
        .with(&wish(4, changed_since, 2))
        .with(&Entry::Kept { wishes: vec![(written, 1), (changed_since, 2), (gone, 3)] })
        .with(&wish(5, unwritten, 7))
        .with(&Entry::NoWish { number: 6, vm: gone })
        .read();
    let wishes: Vec<_> = on_record
        .wishes
        .iter()
        .map(|(vm, wish)| (*vm, wish.spec.as_ref().map(|spec| spec.revision.0)))
        .collect();
    let mut expected = vec![(changed_since, Some(2)), (unwritten, Some(7)), (gone, None)];
    expected.sort();
    assert_eq!(wishes, expected);
    assert_eq!(on_record.last_wish, 6, "the next one has another number");
}

#[tokio::test]
async fn a_file_that_is_gone_is_kept_in_mind_like_any_other() {
    let vm = VmId::new();
    let removed = Entry::NoWish { number: 2, vm };
    let kept = |number| Entry::Kept { wishes: vec![(vm, number)] };
    let records = Records::none().await.with(&wish(1, vm, 1)).with(&removed);
    let late = Records { held: records.held.clone(), found: records.found.clone() }.with(&kept(1));
    assert!(late.read().wishes[&vm].spec.is_none(), "its file was written, and is to go");
    assert!(records.with(&kept(2)).read().wishes.is_empty());
}

#[tokio::test]
async fn what_was_accepted_and_never_begun_has_ended() {
    let (waited, begun, ended_unbegun) = (task(VmId::new()), task(VmId::new()), task(VmId::new()));
    let accepted = |task: &Task| Entry::Accepted { task: Box::new(task.clone()) };
    let on_record = Records::none()
        .await
        .with(&accepted(&waited))
        .with(&accepted(&begun))
        .with(&accepted(&ended_unbegun))
        .with(&begins(&begun))
        .with(&Entry::Ended { task: Box::new(ended(&ended_unbegun, TaskState::Cancelled)) })
        .read();
    assert_eq!(on_record.unfinished.keys().collect::<Vec<_>>(), [&begun.id]);
    let end = |task: &Task| {
        let mut of = on_record.ended.iter().filter(|(ended, _)| ended.id == task.id);
        let end = of.next().map(|(ended, _)| ended.clone());
        assert!(of.next().is_none(), "one end each");
        end
    };
    let waited = end(&waited).unwrap();
    assert_eq!(waited.state, TaskState::Failed);
    assert!(waited.ended.is_some() && !waited.cancellable && waited.error.is_some());
    assert_eq!(end(&ended_unbegun).unwrap().state, TaskState::Cancelled);
    assert!(end(&begun).is_none());
}

#[tokio::test]
async fn a_newer_versions_operation_is_not_understood_and_its_vm_named() {
    let task = task(VmId::new());
    let newer = Begun { schema: SCHEMA + 1, ..begun(&task) };
    let on_record = Records::none()
        .await
        .with(&Entry::Accepted { task: Box::new(task.clone()) })
        .with(&Entry::Begun(Box::new(newer)))
        .with(&step(&task, 0, Mark::Done))
        .read();
    assert!(on_record.unfinished.is_empty());
    let [unreadable] = &on_record.unreadable[..] else { panic!("{:?}", on_record.unreadable) };
    assert_eq!(unreadable.vm, task.vm);
    assert!(
        unreadable.reason.contains(&task.id.to_string()) && unreadable.reason.contains("newer")
    );
    let nothing_done = on_record.ended.iter().any(|(ended, _)| ended.id == task.id);
    assert!(!nothing_done, "it was begun, so nobody can say that nothing of it was done");
}

#[tokio::test]
async fn what_a_newer_version_has_ended_is_past() {
    let task = task(VmId::new());
    let newer = Begun { schema: SCHEMA + 1, ..begun(&task) };
    let ended = Entry::Ended { task: Box::new(ended(&task, TaskState::Done)) };
    let on_record = Records::none().await.with(&Entry::Begun(Box::new(newer))).with(&ended).read();
    assert!(on_record.unreadable.is_empty() && on_record.ended.len() == 1);
}

#[tokio::test]
async fn of_what_began_in_a_record_that_is_lost_nobody_says_that_nothing_was_done() {
    let lost = task(VmId::new());
    let on_record = Records::none()
        .await
        .with(&Entry::Accepted { task: Box::new(lost.clone()) })
        .with(&step(&lost, 0, Mark::Done))
        .read();
    let [(ended, _)] = &on_record.ended[..] else { panic!("{:?}", on_record.ended) };
    assert_eq!(ended.error.as_ref().unwrap().code, Code::OutcomeUnknown);
}

#[tokio::test]
async fn what_was_said_of_a_vm_before_it_was_deleted_is_past() {
    let (vm, other) = (VmId::new(), VmId::new());
    let deleted = Task { operation: "delete".into(), ..ended(&task(vm), TaskState::Done) };
    let mut records = Records::none().await.with(&wish(1, vm, 1)).with(&wish(2, other, 1));
    for of in [vm, other] {
        records.push(of.as_uuid(), b"{".to_vec());
        records = records.with(&begins(&task(of)));
    }
    let on_record = records.with(&Entry::Ended { task: Box::new(deleted) }).read();
    assert_eq!(on_record.wishes.keys().collect::<Vec<_>>(), [&other]);
    assert_eq!(on_record.unreadable.iter().map(|one| one.vm).collect::<Vec<_>>(), [Some(other)]);
    assert!(on_record.unfinished.values().all(|one| one.begun.task.vm == Some(other)));
    assert_eq!(on_record.unfinished.len(), 1);
}

#[tokio::test]
async fn the_newest_wish_counts_wherever_it_stands() {
    let (vm, written_anew) = (VmId::new(), VmId::new());
    let kept = |vm, number| Entry::Kept { wishes: vec![(vm, number)] };
    let on_record = Records::none()
        .await
        .with(&wish(4, vm, 4))
        // The record of the fifth is lost.
        .with(&kept(vm, 5))
        .with(&wish(7, written_anew, 7))
        .with(&wish(6, written_anew, 6))
        .read();
    assert_eq!(on_record.wishes.keys().collect::<Vec<_>>(), [&written_anew]);
    assert_eq!(on_record.wishes[&written_anew].number, 7);
}

#[tokio::test]
async fn rubbish_is_told_of_whom_it_is_about_and_does_not_hide_others() {
    let (vm, task) = (VmId::new(), task(VmId::new()));
    let mut records = Records::none().await.with(&begins(&task));
    let newer = json!({ "entry": "polished", "vm": vm });
    for bytes in [b"{".to_vec(), Vec::new(), b"\xff".to_vec(), newer.to_string().into_bytes()] {
        records.push(vm.as_uuid(), bytes);
    }
    records.push(Uuid::nil(), b"{}".to_vec());
    let on_record = records.with(&step(&task, 0, Mark::Done)).read();
    let about: Vec<_> = on_record.unreadable.iter().map(|one| one.vm).collect();
    assert_eq!(about, [Some(vm), Some(vm), Some(vm), Some(vm), None]);
    assert!(on_record.unreadable.iter().all(|one| one.reason.contains("not understood")));
    assert_eq!(on_record.unfinished[&task.id].begun.marks[0], Mark::Done);
}

/// The marks after a crash, of an operation that goes this way.
async fn after_crash(way: Way, marks: [Mark; 4], same_boot: bool) -> Vec<Mark> {
    let begun = Begun { way, marks: marks.into(), ..begun(&task(VmId::new())) };
    let mut unfinished = Unfinished { begun, held: held().await };
    unfinished.note_crash(same_boot);
    unfinished.begun.marks
}

#[tokio::test]
async fn what_a_daemon_was_in_the_middle_of_may_have_been_begun() {
    use Mark::{Begun, Done, Undone, Waiting};
    let table = [
        // The first part that is not done; steps of one part are done together.
        ([Waiting; 4], [Begun, Waiting, Waiting, Waiting]),
        ([Done, Waiting, Waiting, Waiting], [Done, Begun, Begun, Waiting]),
        ([Done, Done, Waiting, Waiting], [Done, Done, Begun, Waiting]),
        ([Done, Waiting, Done, Waiting], [Done, Begun, Done, Waiting]),
        // That one begins which must not be repeated is on record before it does.
        ([Done, Done, Done, Waiting], [Done, Done, Done, Waiting]),
        ([Done, Done, Done, Begun], [Done, Done, Done, Begun]),
        ([Done; 4], [Done; 4]),
        // On its way back, what it was in has perhaps not been undone: it may have been tried in vain.
        ([Done, Done, Done, Undone], [Done, Done, Done, Undone]),
        ([Done, Done, Undone, Undone], [Done, Done, Undone, Undone]),
        ([Done, Done, Undone, Waiting], [Done, Done, Undone, Waiting]),
        ([Undone, Waiting, Undone, Waiting], [Undone, Begun, Undone, Waiting]),
        ([Undone, Undone, Undone, Waiting], [Undone, Undone, Undone, Waiting]),
        ([Undone; 4], [Undone; 4]),
    ];
    for (marks, expected) in table {
        // Whichever way it went: it may still turn back.
        for way in [Way::Forward, Way::OnlyForward, Way::Back] {
            assert_eq!(after_crash(way, marks, true).await, expected, "{way:?} {marks:?}");
        }
    }
}

#[tokio::test]
async fn after_a_crash_of_the_host_the_last_marks_may_be_lost() {
    use Mark::{Begun, Done, Undone, Waiting};
    let table = [
        ([Waiting; 4], [Begun, Begun, Begun, Waiting]),
        ([Done, Waiting, Waiting, Waiting], [Done, Begun, Begun, Waiting]),
        ([Done, Done, Undone, Waiting], [Done, Done, Undone, Waiting]),
    ];
    for (marks, expected) in table {
        assert_eq!(after_crash(Way::Back, marks, false).await, expected, "{marks:?}");
    }
}
