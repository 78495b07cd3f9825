//! The run that is part of every test run: always the same inputs, for about a second.

use crate::{
    Target,
    mutation::{Random, mutated},
};
use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How many mutations there are, if they are quick.
const MANY: usize = 8_000;
/// How many there are in any case.
const SOME: usize = 250;
/// After how long no more begin.
const A_SECOND: Duration = Duration::from_secs(1);
/// The longest input, in bytes.
const LONGEST: usize = 64 << 10;
/// What the mutations come from, unless `INN_FUZZ_SEED` says another.
const SEED: u64 = 6;

/// Has a target read its corpus, and mutations of it. Prints where they come from, and writes what was
/// wrong beside the build.
///
/// # Panics
/// The target panicked, took more memory than it may, or has no corpus.
#[expect(clippy::print_stdout, reason = "it is for whoever runs the tests")]
pub fn short_run(target: &Target) {
    let inputs = corpus(target.name);
    assert!(!inputs.is_empty(), "{}: there is nothing to begin with", target.name);
    let seed = seed();
    target.warm_up();
    let mut most = 0;
    for (name, input) in &inputs {
        most = most.max(read(target, input, name));
    }
    let inputs: Vec<_> = inputs.into_iter().map(|(_, input)| input).collect();
    let (mut random, begun) = (Random::new(seed), Instant::now());
    let mut done = 0;
    while done < MANY && (done < SOME || begun.elapsed() < A_SECOND) {
        let input = mutated(&mut random, &inputs, LONGEST);
        done += 1;
        most = most.max(read(target, &input, &format!("mutation {done} of seed {seed}")));
    }
    println!(
        "{}: {} inputs and {done} mutations of seed {seed} in {:.2} s, at most {most} bytes of memory",
        target.name,
        inputs.len(),
        begun.elapsed().as_secs_f64()
    );
}

fn seed() -> u64 {
    let given = std::env::var("INN_FUZZ_SEED").ok();
    given.map_or(SEED, |seed| seed.parse().expect("INN_FUZZ_SEED is a number"))
}

/// Reads one input; if that goes wrong, says which it was.
#[expect(clippy::print_stderr, reason = "it is for whoever runs the tests")]
fn read(target: &Target, input: &[u8], name: &str) -> usize {
    catch_unwind(AssertUnwindSafe(|| target.read(input))).unwrap_or_else(|panic| {
        let file = findings().join(format!("fuzz-{}", target.name));
        let kept = fs::write(&file, input).map(|()| file.display().to_string());
        let kept = kept.unwrap_or_else(|error| format!("nowhere: {error}"));
        eprintln!("{}: {name} is wrong; it is in {kept}", target.name);
        resume_unwind(panic)
    })
}

/// Where what was wrong is written.
fn findings() -> PathBuf {
    option_env!("CARGO_TARGET_TMPDIR").map_or_else(std::env::temp_dir, PathBuf::from)
}

/// The inputs that a target begins with, and their files' names, always in the same order.
fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let files = fs::read_dir(&folder).expect("each target has a folder in fuzz/corpus");
    let mut inputs: Vec<_> = files
        .map(|file| file.expect("the folder can be read").path())
        .map(|path| {
            let bytes = fs::read(&path).expect("the file can be read");
            (path.display().to_string(), bytes)
        })
        .collect();
    inputs.sort();
    inputs
}
