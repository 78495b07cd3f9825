//! Runs trials: each in a folder of its own, each phase in a process of its own.

use crate::{
    child::Findings,
    combinations::{self, Trial},
    host::{self, Kind},
    report::{self, Report},
    scenarios::Scenario,
    witness::Blow,
};
use anyhow::{Context, bail};
use std::{
    collections::BTreeMap,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How long a phase may take.
const PHASE: Duration = Duration::from_secs(150);
/// How many trials an interrupted sweep can lose.
const WRITTEN_EVERY: usize = 50;
/// How often a trial is tried whose point was not passed: what a hypervisor was asked for may have been done
/// before it was looked whether it is.
const TRIES: usize = 12;

/// What is to be swept.
pub(crate) struct Wanted {
    pub(crate) drivers: Vec<Kind>,
    pub(crate) sample: Option<usize>,
    pub(crate) seed: Option<u64>,
    pub(crate) only: Option<String>,
    pub(crate) resume: bool,
    pub(crate) report: PathBuf,
    pub(crate) parallel: usize,
}

/// What became of one trial.
struct Verdict {
    visited: bool,
    wrong: Vec<String>,
}

/// Sweeps. Success if every trial passed its point and left nothing wrong.
pub(crate) fn sweep(wanted: &Wanted) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let build = report::this_build()?;
    let mut report = match wanted.resume {
        true => Report::of_build(&wanted.report, &build),
        false => Report::default(),
    };
    let mut trials = all_trials(wanted)?;
    report.drop_stale(&trials);
    report.begin(&wanted.report, &build)?;
    if let Some(only) = &wanted.only {
        trials.retain(|trial| trial.name().contains(only));
    }
    let all = trials.len();
    trials.retain(|trial| !report.has_passed(trial));
    if wanted.resume {
        println!("{} of {all} trials have passed before, with this build", all - trials.len());
    }
    if let Some(sample) = wanted.sample {
        let seed = wanted.seed.unwrap_or_else(|| std::process::id().into());
        println!("{sample} of {} trials, drawn with --seed {seed}", trials.len());
        trials = draw(trials, sample, seed);
    }
    let (next, shared) = (AtomicUsize::new(0), Mutex::new((&mut report, Vec::new(), 0_usize)));
    thread::scope(|scope| {
        for _ in 0..wanted.parallel {
            scope.spawn(|| {
                while let Some(trial) = trials.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let verdict = try_until_visited(trial);
                    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
                    let bad = !verdict.visited || !verdict.wrong.is_empty();
                    shared.0.put(trial, verdict.visited, !verdict.wrong.is_empty());
                    shared.2 += 1;
                    if shared.2.is_multiple_of(WRITTEN_EVERY)
                        && let Err(error) = shared.0.write(&wanted.report)
                    {
                        println!("the report cannot be written yet: {error:#}");
                    }
                    if bad {
                        let why = match verdict.visited {
                            true => verdict.wrong.join("\n    "),
                            false => {
                                format!("the point was not passed {}", verdict.wrong.join("; "))
                            }
                        };
                        println!("FAILED {}\n    {why}", trial.name());
                        shared.1.push(trial.name());
                    }
                }
            });
        }
    });
    let failed = shared.into_inner().unwrap_or_else(PoisonError::into_inner).1;
    report.write(&wanted.report)?;
    report.summarise(&wanted.report)?;
    let seconds = began.elapsed().as_secs();
    println!("{} trials in {seconds} s, {} failed", trials.len(), failed.len());
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs every scenario undisturbed, and lists what can happen in it.
fn all_trials(wanted: &Wanted) -> anyhow::Result<Vec<Trial>> {
    let mut trials = Vec::new();
    for driver in &wanted.drivers {
        for scenario in Scenario::ALL.into_iter().filter(|one| one.is_swept_on(*driver)) {
            let folder = tempfile::tempdir()?;
            let of = Of { driver: *driver, scenario, booted: false };
            let recorded = phase(of, folder.path(), None, false)?
                .with_context(|| format!("{driver} {}: undisturbed, it died", scenario.name()))?;
            let checked = phase(of, folder.path(), None, true);
            host::clear(folder.path());
            let checked = checked?
                .with_context(|| format!("{driver} {}: its check died", scenario.name()))?;
            let unsaid = combinations::unsaid(&recorded.passed);
            let wrong = [recorded.wrong, checked.wrong, unsaid].concat();
            if !wrong.is_empty() {
                bail!("{driver} {}, undisturbed:\n    {}", scenario.name(), wrong.join("\n    "));
            }
            trials.extend(combinations::of(*driver, scenario, &recorded.passed));
        }
    }
    Ok(trials)
}

fn try_until_visited(trial: &Trial) -> Verdict {
    let mut last = Verdict { visited: false, wrong: Vec::new() };
    for _ in 0..TRIES {
        last = match try_once(trial) {
            Ok(verdict) => verdict,
            Err(error) => Verdict { visited: true, wrong: vec![format!("{error:#}")] },
        };
        if last.visited {
            break;
        }
    }
    last
}

fn try_once(trial: &Trial) -> anyhow::Result<Verdict> {
    let folder = tempfile::tempdir()?;
    let verdict = try_in(trial, folder.path());
    host::clear(folder.path());
    verdict
}

fn try_in(trial: &Trial, folder: &Path) -> anyhow::Result<Verdict> {
    let Trial { driver, scenario, booted, blow, point } = trial;
    let of = Of { driver: *driver, scenario: *scenario, booted: *booted };
    let at = Some((point.as_str(), *blow));
    let acted = phase(of, folder, at, false)?;
    let mut verdict = Verdict { visited: acted.is_none(), wrong: Vec::new() };
    let mut before = None;
    match acted {
        Some(acted) => {
            verdict.visited = acted.visited;
            verdict.wrong.extend(acted.wrong);
            before = Some(acted.vms);
        }
        None if *blow != Blow::KillDaemon => bail!("the daemon died"),
        None => {}
    }
    if *blow == Blow::KillDaemon && before.is_some() {
        // It was never told to die.
        return Ok(Verdict { visited: false, ..verdict });
    }
    let checked = phase(of, folder, at, true)?;
    let checked = checked.context("the next daemon died")?;
    verdict.wrong.extend(checked.wrong);
    if let Some(before) = before {
        verdict.wrong.extend(changed_by_restart(&before, &checked.vms));
    }
    Ok(verdict)
}

/// What readers see is the same before and after a restart, but for its revision; and but for what a file
/// takes of the disk, which may still be on its way there.
fn changed_by_restart(
    before: &[innkeeper_model::Vm],
    after: &[innkeeper_model::Vm],
) -> Option<String> {
    use innkeeper_model::Vm;
    let text = |vms: &[Vm]| -> BTreeMap<_, _> {
        let plain = |vm: &Vm| {
            let mut vm = vm.clone();
            vm.revision = Default::default();
            vm.disks.iter_mut().for_each(|disk| disk.allocated = Default::default());
            // Told some time after the VM: the spec has them.
            vm.addresses.clear();
            (vm.id, serde_json::to_string(&vm).unwrap_or_default())
        };
        vms.iter().map(plain).collect()
    };
    let ids: Vec<_> = text(before).into_keys().collect();
    let (before, mut after) = (text(before), text(after));
    after.retain(|id, _| ids.contains(id));
    (before != after).then(|| format!("before a restart {before:?}, after it {after:?}"))
}

/// What a phase is of.
#[derive(Debug, Clone, Copy)]
struct Of {
    driver: Kind,
    scenario: Scenario,
    booted: bool,
}

/// Runs one phase. `None`: its process was killed, as by SIGKILL.
fn phase(
    of: Of,
    folder: &Path,
    at: Option<(&str, Blow)>,
    check: bool,
) -> anyhow::Result<Option<Findings>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.env("RUST_BACKTRACE", "0");
    command.args(["phase", "--driver", &of.driver.to_string(), "--scenario", of.scenario.name()]);
    if of.booted {
        command.arg("--booted");
    }
    command.arg("--folder").arg(folder);
    if let Some((point, blow)) = at {
        command.args(["--point", point, "--blow", blow.name()]);
    }
    if check {
        command.arg("--check");
    }
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let deadline = Instant::now() + PHASE;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let read = |from: Option<Box<dyn std::io::Read + Send>>| {
        thread::spawn(move || {
            let mut text = String::new();
            if let Some(mut from) = from {
                let _ = from.read_to_string(&mut text);
            }
            text
        })
    };
    let out = read(out.map(|out| Box::new(out) as Box<dyn std::io::Read + Send>));
    let err = read(err.map(|err| Box::new(err) as Box<dyn std::io::Read + Send>));
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            bail!("a phase took longer than {PHASE:?}");
        }
        thread::sleep(Duration::from_millis(1));
    };
    let text = |reader: thread::JoinHandle<String>| reader.join().unwrap_or_default();
    let (out, err) = (text(out), text(err));
    if status.signal() == Some(9) {
        return Ok(None);
    }
    if !status.success() {
        bail!("{}", err.trim());
    }
    Ok(Some(serde_json::from_str(&out).with_context(|| format!("{out:?}: {err}"))?))
}

/// Draws so many, the same for the same seed.
fn draw(mut trials: Vec<Trial>, count: usize, seed: u64) -> Vec<Trial> {
    let mut state = seed;
    let mut drawn = Vec::new();
    while drawn.len() < count && !trials.is_empty() {
        // SplitMix64 (Steele, Lea, Flood 2014).
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let index = usize::try_from((mixed ^ (mixed >> 31)) % trials.len() as u64).unwrap_or(0);
        drawn.push(trials.swap_remove(index));
    }
    drawn
}
