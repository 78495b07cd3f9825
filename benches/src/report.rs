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

/// Writes the figures. Of those of before that were not measured anew, the ones that `stays` is true
/// of stay as they were.
pub(crate) fn write(
    path: &Path,
    figures: Vec<Figure>,
    stays: impl Fn(&Figure) -> bool,
) -> anyhow::Result<()> {
    let before = std::fs::read_to_string(path).unwrap_or_default();
    let before = serde_json::from_str(&before).unwrap_or_default();
    let text = serde_json::to_string_pretty(&merge(before, figures, stays))? + "\n";
    Ok(innkeeper_store::write_atomically(path, text.as_bytes(), 0o644)?)
}

fn merge(before: Vec<Figure>, now: Vec<Figure>, stays: impl Fn(&Figure) -> bool) -> Vec<Figure> {
    if !before.iter().any(&stays) {
        return now;
    }
    let is_measured = |old: &Figure| now.iter().any(|new| is_same(new, old));
    // What was measured anew keeps its place.
    let mut merged: Vec<_> =
        before.into_iter().filter(|old| stays(old) || is_measured(old)).collect();
    for figure in now {
        match merged.iter_mut().find(|old| is_same(old, &figure)) {
            Some(old) => *old = figure,
            None => merged.push(figure),
        }
    }
    merged
}

fn is_same(one: &Figure, other: &Figure) -> bool {
    one.area == other.area && one.name == other.name
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
        write(&path, vec![figure("a", 1.0), figure("b", 1.0)], |_| false).unwrap();
        write(&path, vec![figure("b", 2.0), figure("c", 2.0)], |_| true).unwrap();
        assert_eq!(read(), [figure("a", 1.0), figure("b", 2.0), figure("c", 2.0)]);
        write(&path, vec![figure("c", 3.0)], |_| false).unwrap();
        assert_eq!(read(), [figure("c", 3.0)]);
    }

    #[test]
    fn what_no_row_gives_any_more_goes_with_a_run_of_its_area() {
        let of = |area: &str, figure: Figure| Figure { area: area.into(), ..figure };
        let before = vec![
            of("engine", figure("renamed", 1.0)),
            of("engine", figure("a", 1.0)),
            of("doors", figure("renamed", 1.0)),
        ];
        let now = vec![of("engine", figure("a", 2.0)), of("engine", figure("b", 2.0))];
        let merged = merge(before, now, |old| old.area != "engine");
        let [a, b] = [("a", 2.0), ("b", 2.0)].map(|(name, value)| figure(name, value));
        assert_eq!(merged, [of("engine", a), of("doors", figure("renamed", 1.0)), of("engine", b)]);
    }
}
