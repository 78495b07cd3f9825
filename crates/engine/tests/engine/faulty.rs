//! A hypervisor whose steps are slow, fail, die and lie, as a seed has it: whatever comes of what is
//! asked, the VM is in a state that has a name, everything agrees, and nothing is left over.

use crate::{
    actions::{Choice, OPS, choice, id, request, seen},
    model::{Life, after},
    sequences::{LANES, Story},
    support::{Bench, Ended, LONG, Setup},
};
use innkeeper_sim::{Guest, PowerButton, World, WorldOptions};
use proptest::{
    prelude::{ProptestConfig, any, prop},
    test_runner::TestRunner,
};
use std::time::Duration;

/// How many sequences are tried where `PROPTEST_CASES` does not say.
const CASES: u32 = 24;
/// How many of the steps go wrong.
const FAULT_RATE: f64 = 0.1;

#[test]
fn whatever_goes_wrong_everything_agrees_afterwards() {
    let cases = crate::sequences::cases(CASES).div_ceil(LANES);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) };
    let try_some = || {
        let asked = prop::collection::vec(choice(), 4..16);
        let tried = TestRunner::new(config.clone()).run(&(any::<u64>(), asked), |(seed, asked)| {
            live(seed, asked);
            Ok(())
        });
        if let Err(failure) = tried {
            panic!("{failure}");
        }
    };
    std::thread::scope(|scope| (0..LANES).for_each(|_| drop(scope.spawn(try_some))));
}

fn live(seed: u64, asked: Vec<Choice>) {
    let power_button = PowerButton::PowersOff { after: Duration::ZERO };
    let guest = Guest { power_button, by_itself: None };
    let world = WorldOptions { seed, fault_rate: FAULT_RATE, guest, ..WorldOptions::default() };
    let setup = Setup { world: world.clone(), ..Setup::default() };
    let ended = Ended::of(tempfile::tempdir().unwrap(), World::in_memory(world), setup);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let bench = ended.begin().await;
        let mut story = Story::default();
        for choice in asked {
            let life = seen(&bench, 0);
            let Some(op) = choice.of(life, &OPS) else { continue };
            let asked = bench.submit(request(&bench, 0, op)).await;
            assert_eq!(asked.is_ok(), after(op, life).is_some(), "{op:?} of {life:?}: {asked:?}");
            let Ok(accepted) = asked else { continue };
            let task = bench.end_of(&accepted).await;
            story.0.push(format!("{op:?} of {life:?}: {:?}, {:?}", task.state, task.error));
            story.0.extend(task.leftovers);
            settled(&bench).await;
            story.0.push(format!("now {:?}", seen(&bench, 0)));
        }
        if seen(&bench, 0) != Life::Gone {
            bench.world.kill_hypervisor(id(&bench, 0));
            settled(&bench).await;
        }
    });
    drop(runtime);
}

/// Waits until what was left of anything is cleared, and looks at everything.
async fn settled(bench: &Bench) {
    let clear = async {
        while !bench.engine.diagnose().owed.is_empty() {
            bench.engine.settle_now().await;
        }
    };
    let waited = tokio::time::timeout(LONG, clear).await;
    waited.unwrap_or_else(|_| panic!("{:?}", bench.engine.diagnose().owed));
    bench.is_sound().await;
}
