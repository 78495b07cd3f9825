//! The report: one line of a JSON list a trial.

use crate::combinations::Trial;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fs, path::Path};

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

impl Report {
    /// The report of before; an empty one where there is none.
    pub(crate) fn read(file: &Path) -> Self {
        let text = fs::read(file).unwrap_or_default();
        let lines: Vec<Line> = serde_json::from_slice(&text).unwrap_or_default();
        let named = |line: Line| {
            let Line { driver, operation, kind, point, .. } = &line;
            (format!("{driver} {operation} {kind} {point}"), line)
        };
        Self(lines.into_iter().map(named).collect())
    }

    /// Whether a trial has passed before.
    pub(crate) fn has_passed(&self, trial: &Trial) -> bool {
        self.0.get(&trial.name()).is_some_and(|line| line.visited && !line.failed)
    }

    pub(crate) fn put(&mut self, trial: &Trial, visited: bool, failed: bool) {
        let line = Line {
            driver: trial.driver.to_string(),
            operation: trial.scenario.name().into(),
            kind: trial.blow.to_string(),
            point: trial.point.clone(),
            visited,
            failed,
        };
        self.0.insert(trial.name(), line);
    }

    /// Writes it, a line a trial.
    pub(crate) fn write(&self, file: &Path) -> anyhow::Result<()> {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        let lines: Result<Vec<String>, _> = self.0.values().map(serde_json::to_string).collect();
        Ok(fs::write(file, format!("[\n{}\n]\n", lines?.join(",\n")))?)
    }
}
