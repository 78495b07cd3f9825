//! What is shown and written. The only place that prints.

use crate::figure::Figure;
use std::{fmt::Display, path::Path};

/// Says what is being done, to whoever waits.
#[expect(clippy::print_stderr, reason = "talk goes to stderr")]
pub(crate) fn progress(what: impl Display) {
    eprintln!("bench: {what}");
}

/// Says what went wrong, with its causes.
#[expect(clippy::print_stderr, reason = "talk goes to stderr")]
pub(crate) fn problem(error: &anyhow::Error) {
    eprintln!("bench: {error:#}");
}

/// Prints the figures.
#[expect(clippy::print_stdout, reason = "data goes to stdout")]
pub(crate) fn table(figures: &[Figure]) {
    const HEAD: [&str; 6] = ["what", "measured", "beside", "ratio", "target", ""];
    let number = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| value.to_string());
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(figures.iter().map(|figure| {
        [
            format!("{}: {}", figure.area, figure.name),
            format!("{} {}", figure.value, figure.unit),
            number(figure.against),
            number(figure.ratio),
            figure.target.clone(),
            if figure.met { "ok" } else { "MISSED" }.into(),
        ]
    }));
    let mut widths = [0; HEAD.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    let missed = figures.iter().filter(|figure| !figure.met).count();
    println!("{} figures, {missed} missed", figures.len());
}

/// Writes the figures; with `keep_others` those of other areas and rows stay as they were.
pub(crate) fn write(
    path: &Path,
    mut figures: Vec<Figure>,
    keep_others: bool,
) -> anyhow::Result<()> {
    if keep_others && let Ok(text) = std::fs::read_to_string(path) {
        let before: Vec<Figure> = serde_json::from_str(&text).unwrap_or_default();
        figures = merge(before, figures);
    }
    let text = serde_json::to_string_pretty(&figures)? + "\n";
    Ok(innkeeper_store::write_atomically(path, text.as_bytes(), 0o644)?)
}

fn merge(mut before: Vec<Figure>, now: Vec<Figure>) -> Vec<Figure> {
    for figure in now {
        let same = |old: &&mut Figure| old.area == figure.area && old.name == figure.name;
        match before.iter_mut().find(same) {
            Some(old) => *old = figure,
            None => before.push(figure),
        }
    }
    before
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Measured;

    fn figure(name: &str, value: f64) -> Figure {
        Measured::new(name, value, "ms").for_information()
    }

    #[test]
    fn a_run_of_one_row_keeps_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bench.json");
        let read =
            || -> Vec<Figure> { serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap() };
        write(&path, vec![figure("a", 1.0), figure("b", 1.0)], false).unwrap();
        write(&path, vec![figure("b", 2.0), figure("c", 2.0)], true).unwrap();
        assert_eq!(read(), [figure("a", 1.0), figure("b", 2.0), figure("c", 2.0)]);
        write(&path, vec![figure("c", 3.0)], false).unwrap();
        assert_eq!(read(), [figure("c", 3.0)]);
    }
}
