//! A million operations on simulated VMs: how the daemon's memory grows, and what is left in the end.

use crate::{
    bench::Bench,
    figure::{Figure, Measured},
    measure::process::resident,
    report,
    rig::{
        cleanup::wait_until,
        crowd::Crowd,
        daemon::{Daemon, State},
        lives::{Lives, OPERATIONS},
    },
};
use anyhow::{Context, ensure};
use innkeeper_model::Diagnosis;
use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// How many VMs there are at once.
const VMS: usize = 1_000;
/// How many connections ask, each for one thing at a time.
const CLIENTS: usize = 256;
/// After how many operations is looked.
const EVERY: usize = 100_000;
/// How often.
const LOOKS: usize = 10;
/// After how much of load no more is begun: a machine that has other things to do shall not keep the
/// other areas waiting. How many operations it were is in the figures' names.
const ENOUGH: Duration = Duration::from_secs(240);
/// How long the files of specs may take to follow the journal.
const FOLLOW_WITHIN: Duration = Duration::from_secs(30);
/// How long the history, which nobody waits for, is left to be written.
const SETTLES: Duration = Duration::from_secs(1);

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let (looks, every) = (bench.rounds(LOOKS, 3), bench.rounds(EVERY, VMS * OPERATIONS));
    let state = State::simulated(bench)?;
    let daemon = Daemon::start(&state)?;
    let mut clients = Crowd::connect(&state.socket(), CLIENTS)?;
    let (mut seen, mut busy) = (Vec::new(), Duration::ZERO);
    for look in 1..=looks {
        let begun = Instant::now();
        for _ in 0..every / (VMS * OPERATIONS) {
            Lives::new(VMS)?.live(&mut clients)?;
        }
        busy += begun.elapsed();
        wait_until(FOLLOW_WITHIN, "the specs' files", || {
            Ok(daemon.api()?.get::<Diagnosis>("/v1/diagnostics")?.specs.unwritten == 0)
        })?;
        // What is freed is given back by and by, and nothing tells when.
        thread::sleep(SETTLES);
        let now = Left::look(&daemon, state.path())?;
        report::progress(format_args!("  {} operations, {busy:.0?}: {now:?}", look * every));
        seen.push(now);
        if busy > ENOUGH && seen.len() > 2 {
            break;
        }
    }
    let (first, last) = (seen.first().context("some")?, seen.last().context("some")?);
    let total = seen.len() * every;
    let name = |what: &str| format!("{total} operations: {what}");
    let points: Vec<f64> = seen.iter().map(|left| left.resident as f64 / 1_048_576.0).collect();
    let more = |of: fn(&Left) -> usize| of(last).saturating_sub(of(first)) as f64;
    Ok(vec![
        Measured::new(
            name("memory's growth for each 100,000 after the first"),
            slope(&points),
            "MiB",
        )
        .at_most(1.0),
        Measured::new(
            name("tasks that have not ended, or are shown beyond the bound"),
            last.tasks_too_many(),
            "",
        )
        .at_most(0.0),
        Measured::new(name("files more than after the first 100,000"), more(|left| left.files), "")
            .at_most(0.0),
        Measured::new(name("descriptors more"), more(|left| left.descriptors), "").at_most(0.0),
        Measured::new(name("rate"), total as f64 / busy.as_secs_f64(), "/s").for_information(),
    ])
}

/// What there is between two times of load, when there should be nothing.
#[derive(Debug)]
struct Left {
    resident: u64,
    unfinished: usize,
    /// In the view.
    tasks: usize,
    /// In the state folder, but for the journal's, which come and go with the load.
    files: usize,
    descriptors: usize,
}

impl Left {
    /// How many ended tasks are shown at most, by default.
    const SHOWN: usize = 1_000;

    fn look(daemon: &Daemon, state: &Path) -> anyhow::Result<Self> {
        let diagnosis: Diagnosis = daemon.api()?.get("/v1/diagnostics")?;
        ensure!(diagnosis.failures.is_empty(), "some failed: {:?}", diagnosis.failures);
        ensure!(diagnosis.sizes.vms == 0 && diagnosis.owed.is_empty(), "not all is gone");
        Ok(Self {
            resident: resident(daemon.pid())?,
            unfinished: diagnosis.tasks.len(),
            tasks: diagnosis.sizes.tasks,
            files: files(state)?,
            descriptors: std::fs::read_dir(format!("/proc/{}/fd", daemon.pid()))?.count(),
        })
    }

    fn tasks_too_many(&self) -> f64 {
        (self.unfinished + self.tasks.saturating_sub(Self::SHOWN)) as f64
    }
}

/// How many files there are in a state folder.
fn files(folder: &Path) -> anyhow::Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        count += match entry.file_type()?.is_dir() {
            true if entry.file_name() == "journal" => 0,
            true => files(&entry.path())?,
            false => 1,
        };
    }
    Ok(count)
}

/// How much more each of these is than the one before, by least squares.
fn slope(points: &[f64]) -> f64 {
    let count = points.len() as f64;
    let middle = (count - 1.0) / 2.0;
    let mean = points.iter().sum::<f64>() / count;
    let (mut over, mut under) = (0.0, 0.0);
    for (n, point) in points.iter().enumerate() {
        let from_middle = n as f64 - middle;
        over += from_middle * (point - mean);
        under += from_middle * from_middle;
    }
    over / under
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_is_that_of_the_line_through_the_points() {
        assert_eq!(slope(&[1.0, 3.0, 5.0]), 2.0);
        assert_eq!(slope(&[4.0, 4.0, 4.0, 4.0]), 0.0);
        // One that is out of line counts for little.
        assert!(slope(&[0.0, 0.0, 3.0, 0.0, 0.0]).abs() < 1e-9);
    }

    #[test]
    fn files_are_counted_but_not_the_journals() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "in/b", "in/c", "journal/d"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        assert_eq!(files(folder.path()).unwrap(), 3);
    }
}
