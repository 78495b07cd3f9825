//! The summary of a sweep, for people: a table that is small enough to be committed with a release.

use crate::report::Line;
use std::{collections::BTreeMap, fmt::Write};

/// How many trials of an operation there were, and what became of them.
#[derive(Debug, Default)]
struct Counts {
    trials: usize,
    not_visited: usize,
    failed: usize,
}

/// A Markdown table: one row an operation, of one version.
pub(crate) fn of<'a>(lines: impl Iterator<Item = &'a Line>, version: &str) -> String {
    let mut operations: BTreeMap<(&str, &str), Counts> = BTreeMap::new();
    let mut all = Counts::default();
    for line in lines {
        let operation = operations.entry((&line.driver, &line.operation)).or_default();
        for counts in [operation, &mut all] {
            counts.trials += 1;
            counts.not_visited += usize::from(!line.visited);
            counts.failed += usize::from(line.failed);
        }
    }
    let mut text = format!(
        "# Sweep of {version}\n\n| driver | operation | trials | not visited | failed |\n\
         |---|---|---:|---:|---:|\n"
    );
    let mut row =
        |driver: &str, operation: &str, Counts { trials, not_visited, failed }: &Counts| {
            let _infallible =
                writeln!(text, "| {driver} | {operation} | {trials} | {not_visited} | {failed} |");
        };
    operations.iter().for_each(|((driver, operation), counts)| row(driver, operation, counts));
    row("all", "", &all);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_has_a_row_and_all_have_one() {
        let line = |operation: &str, visited, failed| Line {
            driver: "sim".into(),
            operation: operation.into(),
            kind: "cancel".into(),
            point: "a".into(),
            visited,
            failed,
        };
        let lines =
            [line("start", true, false), line("start", false, false), line("stop", true, true)];
        let text = of(lines.iter(), "1.2.3");
        assert!(text.starts_with("# Sweep of 1.2.3\n"), "{text}");
        for row in
            ["| sim | start | 2 | 1 | 0 |", "| sim | stop | 1 | 0 | 1 |", "| all |  | 3 | 1 | 1 |"]
        {
            assert!(text.lines().any(|line| line == row), "{text}");
        }
    }
}
