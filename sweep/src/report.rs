//! The report: one line of a JSON list a trial. Beside it, in a file of its own, stands which build it
//! tells of, since what another build has passed says nothing of this one.

use crate::{combinations::Trial, summary};
use anyhow::Context;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

/// What became of a trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) driver: String,
    pub(crate) operation: String,
    pub(crate) kind: String,
    pub(crate) point: String,
    pub(crate) visited: bool,
    pub(crate) failed: bool,
}

/// What became of all trials, by their names.
#[derive(Debug, Default)]
pub(crate) struct Report(BTreeMap<String, Line>);

/// What tells this build from others: the digest of this program, which the engine, the drivers and the
/// stores are all part of. Of QEMU itself and the guests it says nothing.
pub(crate) fn this_build() -> anyhow::Result<String> {
    // As Linux names it, whatever has been put in its place since.
    let program = fs::read("/proc/self/exe")?;
    let mut text = String::new();
    for byte in Sha256::digest(program) {
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}

/// Where it stands which build a report tells of.
fn build_file(report: &Path) -> PathBuf {
    report.with_added_extension("build")
}

impl Report {
    /// What this build has reported before; an empty report where it has not.
    pub(crate) fn of_build(file: &Path, build: &str) -> Self {
        match fs::read_to_string(build_file(file)) {
            Ok(of) if of.trim_end() == build => Self::read(file),
            _ => Self::default(),
        }
    }

    fn read(file: &Path) -> Self {
        let text = fs::read(file).unwrap_or_default();
        let lines: Vec<Line> = serde_json::from_slice(&text).unwrap_or_default();
        let named = |line: Line| {
            let Line { driver, operation, kind, point, .. } = &line;
            (format!("{driver} {operation} {kind} {point}"), line)
        };
        Self(lines.into_iter().map(named).collect())
    }

    /// Forgets the points of the operations in these trials that none of the trials is about.
    pub(crate) fn drop_stale(&mut self, trials: &[Trial]) {
        let names: BTreeSet<String> = trials.iter().map(Trial::name).collect();
        let swept: BTreeSet<(String, String)> =
            trials.iter().map(|one| (one.driver.to_string(), one.operation())).collect();
        self.0.retain(|name, line| {
            names.contains(name) || !swept.contains(&(line.driver.clone(), line.operation.clone()))
        });
    }

    /// Begins to report on this build: at no moment is there a report of one build with another's name.
    pub(crate) fn begin(&self, file: &Path, build: &str) -> anyhow::Result<()> {
        if !matches!(fs::read_to_string(build_file(file)), Ok(of) if of.trim_end() == build) {
            Self::default().write(file)?;
            fs::write(build_file(file), format!("{build}\n"))?;
        }
        self.write(file)
    }

    /// Whether a trial has passed before.
    pub(crate) fn has_passed(&self, trial: &Trial) -> bool {
        self.0.get(&trial.name()).is_some_and(|line| line.visited && !line.failed)
    }

    pub(crate) fn put(&mut self, trial: &Trial, visited: bool, failed: bool) {
        let line = Line {
            driver: trial.driver.to_string(),
            operation: trial.operation(),
            kind: trial.blow.to_string(),
            point: trial.point.clone(),
            visited,
            failed,
        };
        self.0.insert(trial.name(), line);
    }

    /// Writes its summary beside it.
    pub(crate) fn summarise(&self, file: &Path) -> anyhow::Result<()> {
        let text = summary::of(self.0.values(), env!("CARGO_PKG_VERSION"));
        Ok(fs::write(file.with_extension("md"), text)?)
    }

    /// Writes it, a line a trial; whole or not at all.
    pub(crate) fn write(&self, file: &Path) -> anyhow::Result<()> {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        let lines: Result<Vec<String>, _> = self.0.values().map(serde_json::to_string).collect();
        let new = file.with_added_extension("new");
        fs::write(&new, format!("[\n{}\n]\n", lines?.join(",\n")))?;
        fs::rename(&new, file).with_context(|| format!("{} cannot be replaced", file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{host::Kind, scenarios::Scenario, witness::Blow};

    fn trial(scenario: Scenario, point: &str) -> Trial {
        let (driver, blow) = (Kind::Sim, Blow::Cancel);
        Trial { driver, scenario, booted: false, blow, point: point.into() }
    }

    #[test]
    fn only_the_same_build_goes_on_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sweep.json");
        let (passed, failed) = (trial(Scenario::Start, "a"), trial(Scenario::Start, "b"));
        let mut report = Report::of_build(&file, "one");
        report.begin(&file, "one").unwrap();
        report.put(&passed, true, false);
        report.put(&failed, true, true);
        report.write(&file).unwrap();

        let same = Report::of_build(&file, "one");
        assert!(same.has_passed(&passed) && !same.has_passed(&failed));
        let other = Report::of_build(&file, "two");
        assert!(!other.has_passed(&passed));
        other.begin(&file, "two").unwrap();
        assert!(!Report::of_build(&file, "two").has_passed(&passed));
        assert!(!Report::of_build(&file, "one").has_passed(&passed));
    }

    #[test]
    fn points_that_are_no_more_are_forgotten_and_other_operations_kept() {
        let (there, gone) = (trial(Scenario::Start, "a"), trial(Scenario::Start, "b"));
        let elsewhere = trial(Scenario::Stop, "c");
        let mut report = Report::default();
        [&there, &gone, &elsewhere].into_iter().for_each(|one| report.put(one, true, false));
        report.drop_stale(std::slice::from_ref(&there));
        assert!(report.has_passed(&there) && report.has_passed(&elsewhere));
        assert!(!report.has_passed(&gone));
    }

    #[test]
    fn a_build_has_a_digest() {
        assert_eq!(this_build().unwrap().len(), 64);
    }
}
