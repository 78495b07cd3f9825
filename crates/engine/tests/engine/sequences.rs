//! Whatever is asked, and whatever happens meanwhile: what is accepted and what becomes of it is what a
//! small model says, and nothing is left over.

use crate::{
    actions::{Action, Choice, OPS, SLOTS, action, id, name, queued, request, seen, why},
    model::{Life, Meanwhile, Op, after, between, dead, next_boot},
    support::{Bench, Ended, Setup},
};
use innkeeper_engine::{Accepted, Request};
use innkeeper_model::{Code, TaskState};
use innkeeper_sim::{Guest, Happening, PowerButton, World, WorldOptions};
use proptest::{
    prelude::{ProptestConfig, prop},
    test_runner::TestRunner,
};
use std::{collections::BTreeSet, time::Duration};

/// How many sequences are tried where `PROPTEST_CASES` does not say.
const CASES: u32 = 64;
/// How many are tried at once: they wait for the disk more than they compute.
pub(crate) const LANES: u32 = 4;

#[test]
fn whatever_is_asked_ends_as_the_model_says() {
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases(CASES).div_ceil(LANES))
    };
    let try_some = || {
        let actions = prop::collection::vec(action(), 4..16);
        let tried = TestRunner::new(config.clone()).run(&actions, |actions| {
            live(actions);
            Ok(())
        });
        if let Err(failure) = tried {
            panic!("{failure}");
        }
    };
    std::thread::scope(|scope| (0..LANES).for_each(|_| drop(scope.spawn(try_some))));
}

/// How many sequences are tried: as many as are asked for, or so many.
pub(crate) fn cases(otherwise: u32) -> u32 {
    let said = std::env::var("PROPTEST_CASES").ok();
    said.and_then(|cases| cases.parse().ok()).unwrap_or(otherwise)
}

/// Lives through actions. Each daemon has a runtime of its own, so that with its end everything that it
/// was in the middle of ends.
fn live(actions: Vec<Action>) {
    let may = std::array::from_fn(|_| [Life::Gone].into());
    let mut lives = Lives { may, story: Story::default() };
    let mut actions = actions.into_iter();
    let mut ended = Some(first());
    while let Some(before) = ended.take() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        ended = runtime.block_on(async {
            let bench = before.begin().await;
            if bench.snapshot().networks.is_empty() {
                bench.lan().await;
            }
            lives.are_as(&bench).await;
            for action in actions.by_ref() {
                if let Some(end) = lives.act(&bench, &action).await {
                    return Some(end.of(bench).await);
                }
                lives.are_as(&bench).await;
            }
            lives.end(&bench).await;
            None
        });
        drop(runtime);
    }
}

fn first() -> Ended {
    // A guest that was asked to power itself off has done so or will not.
    let guest =
        Guest { power_button: PowerButton::PowersOff { after: Duration::ZERO }, by_itself: None };
    let step_time = Duration::ZERO..=Duration::from_millis(1);
    let world = WorldOptions { guest, step_time, ..WorldOptions::default() };
    let setup = Setup { world: world.clone(), ..Setup::default() };
    Ended::of(tempfile::tempdir().unwrap(), World::in_memory(world), setup)
}

/// How a daemon ends.
enum End {
    Restart,
    Kill,
    HostRestart,
}

impl End {
    async fn of(self, bench: Bench) -> Ended {
        match self {
            Self::Restart => bench.end().await,
            Self::Kill => bench.abandon(),
            Self::HostRestart => {
                let mut ended = bench.end().await;
                ended.reboot_host();
                ended
            }
        }
    }
}

/// What each VM may be.
#[derive(Debug)]
struct Lives {
    may: [BTreeSet<Life>; SLOTS],
    story: Story,
}

/// What has happened, told when a test fails.
#[derive(Debug, Default)]
pub(crate) struct Story(pub(crate) Vec<String>);

impl Drop for Story {
    fn drop(&mut self) {
        if std::thread::panicking() {
            #[expect(clippy::print_stderr, reason = "it is what a failure is understood by")]
            {
                eprintln!("what happened:\n  {}", self.0.join("\n  "));
            }
        }
    }
}

impl Lives {
    /// What a VM is, as was seen when nothing was being done.
    fn of(&self, slot: usize) -> Life {
        *self.may[slot].first().unwrap()
    }

    fn may_be(&mut self, slot: usize, lives: impl IntoIterator<Item = Life>) {
        self.may[slot] = lives.into_iter().collect();
    }

    /// Waits until nothing is being done, and looks whether each VM is something that it may be.
    async fn are_as(&mut self, bench: &Bench) {
        bench.is_sound().await;
        bench.has_each_address_once().await;
        for slot in 0..SLOTS {
            let is = seen(bench, slot);
            assert!(
                self.may[slot].contains(&is),
                "VM {slot} is {is:?}, and may be {:?}",
                self.may[slot]
            );
            self.may_be(slot, [is]);
        }
    }

    /// Has something happen. Returns whether and how the daemon ends with it.
    async fn act(&mut self, bench: &Bench, action: &Action) -> Option<End> {
        if !matches!(action, Action::Ask(..) | Action::Queue(..)) {
            self.story.0.push(format!("{action:?}"));
        }
        match action {
            Action::Ask(slot, choice, meanwhile, after) => {
                let op = choice.of(self.of(*slot), &OPS)?;
                return self.ask(bench, *slot, op, *meanwhile, *after).await;
            }
            Action::Queue(slot, choices, pause) => self.queue(bench, *slot, choices, *pause).await,
            Action::Copy(from, to) => self.copy(bench, *from, *to).await,
            Action::HypervisorDies(slot) => {
                let killed = bench.world.kill_hypervisor(id(bench, *slot));
                assert_eq!(killed, matches!(self.of(*slot), Life::Running | Life::Paused));
                self.may_be(*slot, [dead(self.of(*slot))]);
            }
            Action::Guest(slot, happening) => {
                let runs = bench.world.guest(id(bench, *slot), *happening);
                assert_eq!(runs, self.of(*slot) == Life::Running);
                match happening {
                    Happening::PowersOff if runs => self.may_be(*slot, [Life::Off]),
                    Happening::Panics if runs => self.may_be(*slot, [Life::Crashed]),
                    _ => {}
                }
            }
            Action::DaemonRestarts => return Some(self.ends_with(End::Restart)),
            Action::DaemonIsKilled => return Some(self.ends_with(End::Kill)),
            Action::HostRestarts => return Some(self.ends_with(End::HostRestart)),
        }
        None
    }

    fn ends_with(&mut self, end: End) -> End {
        if let End::HostRestart = end {
            for may in &mut self.may {
                *may = may.iter().map(|life| next_boot(*life)).collect();
            }
        }
        end
    }

    async fn ask(
        &mut self,
        bench: &Bench,
        slot: usize,
        op: Op,
        meanwhile: Meanwhile,
        micros: u64,
    ) -> Option<End> {
        let life = self.of(slot);
        self.story.0.push(format!("{op:?} of {slot}, {life:?}, {meanwhile:?} after {micros} us"));
        let vm = id(bench, slot);
        let accepted = self.is_accepted_as_it_may(bench, slot, op, life).await?;
        if meanwhile != Meanwhile::Nothing {
            // Not a wait for anything: whatever moment this is, is what is tried.
            tokio::time::sleep(Duration::from_micros(micros)).await;
        }
        let all = between(op, life, meanwhile);
        let done = between(op, life, Meanwhile::Nothing);
        let (states, may): (&[TaskState], _) = match meanwhile {
            Meanwhile::Nothing => (&[TaskState::Done], done),
            Meanwhile::Cancel => {
                if let Err(refused) = bench.cancel(&accepted).await {
                    assert_eq!(refused.code, Code::WrongState, "{refused}");
                }
                (&[TaskState::Done, TaskState::Cancelled], all)
            }
            Meanwhile::HypervisorDies if bench.world.kill_hypervisor(vm) => {
                (&[TaskState::Done, TaskState::Failed], all)
            }
            Meanwhile::HypervisorDies => (&[TaskState::Done], done),
            Meanwhile::DaemonEnds => {
                let end = if micros.is_multiple_of(2) { End::Kill } else { End::Restart };
                let end = self.ends_with(end);
                self.may_be(slot, all);
                return Some(end);
            }
        };
        let task = bench.end_of(&accepted).await;
        assert!(states.contains(&task.state), "{op:?} of {life:?}, {meanwhile:?}: {task:?}");
        assert!(task.leftovers.is_empty(), "{task:?}");
        self.may_be(slot, may);
        None
    }

    async fn queue(&mut self, bench: &Bench, slot: usize, choices: &[Choice], micros: u64) {
        let mut life = self.of(slot);
        let mut queued_up = Vec::new();
        for choice in choices {
            let Some(op) = choice.of(life, &queued()) else { continue };
            self.story.0.push(format!("{op:?} of {slot}, by then {life:?}, and {micros} us"));
            if let Some(accepted) = self.is_accepted_as_it_may(bench, slot, op, life).await {
                life = after(op, life).unwrap();
                queued_up.push((op, accepted));
            }
            // Not a wait for anything: whatever the next one finds is what is tried.
            tokio::time::sleep(Duration::from_micros(micros)).await;
        }
        for (op, accepted) in &queued_up {
            let task = bench.end_of(accepted).await;
            assert_eq!(task.state, TaskState::Done, "{op:?} of {queued_up:?}: {task:?}");
        }
        self.may_be(slot, [life]);
    }

    async fn copy(&mut self, bench: &Bench, from: usize, to: usize) {
        let clone = Request::Clone { vm: id(bench, from), name: name(to) };
        let legal = matches!(self.of(from), Life::Off | Life::Crashed) && self.of(to) == Life::Gone;
        match bench.submit(clone).await {
            Ok(accepted) => {
                assert!(legal, "{:?} was copied to {:?}", self.of(from), self.of(to));
                assert_eq!(bench.end_of(&accepted).await.state, TaskState::Done);
                self.may_be(to, [Life::Off]);
            }
            Err(refusal) => assert!(!legal, "{refusal}"),
        }
    }

    /// Asks for something of a VM that will be this by then.
    async fn is_accepted_as_it_may(
        &self,
        bench: &Bench,
        slot: usize,
        op: Op,
        life: Life,
    ) -> Option<Accepted> {
        match (bench.submit(request(bench, slot, op)).await, after(op, life)) {
            (Ok(accepted), Some(_)) => Some(accepted),
            (Err(refusal), None) => {
                assert_eq!(refusal.code, why(op, life), "{op:?} of {life:?}: {refusal}");
                None
            }
            (Ok(_), None) => panic!("{op:?} of {life:?} is accepted"),
            (Err(refusal), Some(_)) => panic!("{op:?} of {life:?} is refused: {refusal}"),
        }
    }

    /// Everything goes, and nothing is left.
    async fn end(&mut self, bench: &Bench) {
        for slot in 0..SLOTS {
            if self.of(slot) != Life::Gone {
                bench.must(request(bench, slot, Op::ForcedDelete)).await;
            }
        }
        bench.is_empty().await;
    }
}
