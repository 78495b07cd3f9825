//! Records that are damaged while VMs are served: whose they are is left alone, nobody else is, and the journal
//! does not grow. A person's word ends it.

use crate::{
    agreement::names,
    held::Stop,
    support::{Bench, LONG, START, STOP, SUSPEND, Setup},
};
use innkeeper_engine::{PowerVerb, Request};
use innkeeper_model::{Code, VmId, VmState};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Turns a bit in the last record of this kind about a VM. Returns its file.
pub(crate) fn damage(journal: &Path, vm: VmId, kind: &str) -> PathBuf {
    let begins = format!("{{\"entry\":\"{kind}\"");
    let mut last = None;
    let mut segments = names(journal);
    segments.sort();
    for name in segments {
        let bytes = fs::read(journal.join(&name)).unwrap();
        for (at, frame) in bytes.windows(24).enumerate() {
            let about =
                frame.starts_with(b"\xf5IN\xff") && frame[8..24] == *vm.as_uuid().as_bytes();
            let payload = at + 56;
            let is_kind = |from: &[u8]| from.starts_with(begins.as_bytes());
            if about && bytes.get(payload..).is_some_and(is_kind) {
                last = Some((journal.join(&name), payload + begins.len() + 10));
            }
        }
    }
    let (file, at) = last.expect("there is such a record");
    let mut bytes = fs::read(&file).unwrap();
    bytes[at] ^= 1;
    fs::write(&file, bytes).unwrap();
    file
}

/// What is set aside of a segment.
pub(crate) fn aside(segment: &Path) -> PathBuf {
    segment.with_extension("inn.damaged")
}

/// A person has looked at what it was about.
pub(crate) fn see_to(segment: &Path) {
    let away = tempfile::tempdir().unwrap();
    fs::rename(aside(segment), away.path().join("away")).unwrap();
}

/// Has so much done to a VM that several segments are filled.
async fn fill(bench: &Bench, vm: VmId) {
    let newest = || {
        let segments = names(&bench.path().join("journal"));
        segments.into_iter().filter(|name| name.ends_with(".inn")).max().unwrap()
    };
    for _ in 0..3 {
        let before = newest();
        let filled = async {
            while newest() == before {
                bench.powers(vm, &[START, STOP]).await;
            }
        };
        tokio::time::timeout(LONG, filled).await.expect("the journal is written");
    }
}

#[tokio::test]
async fn in_the_middle_of_a_journal_it_costs_one_vm_until_somebody_says_so() {
    let setup = Setup { segment_size: 16 << 10, ..Setup::default() };
    let stop = Stop::of(2, "suspend/sim/save-memory/after-act");
    let bench = Bench::witnessed(setup, Some(stop.clone())).await;
    let [web, mail] = [bench.started("web").await, bench.started("mail").await];
    let other = bench.create("other").await;
    bench.idle().await;
    // What is not ended keeps the segments: the first of them `web`'s, one in the middle `mail`'s.
    let suspend = |vm| bench.submit(Request::Power { vm, verb: SUSPEND });
    let suspended = suspend(web).await.unwrap();
    fill(&bench, other).await;
    suspend(mail).await.unwrap();
    stop.reached().await;
    fill(&bench, other).await;
    let ended = bench.killed().await;
    let journal = ended.path().join("journal");
    let file = damage(&journal, mail, "begun");
    let damaged = fs::read(&file).unwrap();

    let mut bench = ended.begin().await;
    for is_told_again in [false, true] {
        let seen = bench.vm(mail);
        let problem = seen.problem.unwrap();
        assert_eq!(seen.state, VmState::Quarantined);
        assert!(problem.contains(aside(&file).to_str().unwrap()), "{problem}");
        assert!(problem.contains("move that file away"), "{problem}");
        let diagnosis = bench.engine.diagnose();
        assert_eq!(diagnosis.journal.damage, [problem]);
        assert!(diagnosis.problems.iter().any(|one| one.vm == mail));
        for verb in [START, PowerVerb::Pause, PowerVerb::Suspend] {
            let refused = bench.refused(Request::Power { vm: mail, verb }).await;
            assert_eq!(refused.code, Code::WrongState);
        }
        // The others are served, and the journal is as small as ever.
        bench.until_state(web, VmState::Running).await;
        if !is_told_again {
            fill(&bench, other).await;
            fill(&bench, other).await;
        }
        bench.until_so("small", || bench.engine.diagnose().journal.segments <= 6).await;
        assert!(!file.exists());
        assert_eq!(fs::read(aside(&file)).unwrap(), damaged);
        bench = bench.restart().await;
    }
    assert!(bench.engine.task(suspended.task).await.unwrap().state.is_final());

    let bench = bench.restart_with(|_| see_to(&file)).await;
    assert!(bench.engine.diagnose().journal.damage.is_empty());
    bench.is_sound().await;
    assert_ne!(bench.state(mail), VmState::Quarantined);
    assert_eq!(bench.vm(mail).problem, None);
    bench.powers(mail, &[PowerVerb::Kill, START, STOP]).await;
    bench.is_sound().await;
    let left = names(&bench.path().join("journal"));
    assert!(left.iter().all(|name| name.ends_with(".inn")), "{left:?}");
}

#[tokio::test]
async fn a_spec_that_cannot_be_written_to_its_file_does_not_keep_the_journal() {
    let bench = Bench::with(Setup { segment_size: 16 << 10, ..Setup::default() }).await;
    let (web, other) = (bench.create("web").await, bench.create("other").await);
    bench.idle().await;
    let file = bench.spec_file(web);
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    bench.must(bench.edited(web, |config| config.cpus = 2)).await;
    for _ in 0..2 {
        fill(&bench, other).await;
    }
    bench.until_so("small", || bench.engine.diagnose().journal.segments <= 6).await;
    let ended = bench.killed().await;
    fs::remove_dir(&file).unwrap();
    let bench = ended.begin().await;
    assert_eq!(bench.vm(web).spec.unwrap().config.cpus, 2, "the journal has it");
    bench.is_sound().await;
}
