//! Areas and their rows.

use crate::{bench::Bench, figure::Figure, report};
use std::time::Instant;

/// One area of what the project promises.
pub(crate) struct Area {
    pub(crate) name: &'static str,
    pub(crate) rows: &'static [Row],
}

/// One row of an area's table.
pub(crate) struct Row {
    /// What `--only` calls it.
    pub(crate) name: &'static str,
    pub(crate) measure: fn(&Bench) -> anyhow::Result<Vec<Figure>>,
}

impl Area {
    /// Measures one row.
    pub(crate) fn measure(&self, row: &Row, bench: &Bench) -> anyhow::Result<Vec<Figure>> {
        let started = Instant::now();
        report::progress(format_args!("{}/{} ...", self.name, row.name));
        let mut figures = (row.measure)(bench)?;
        for figure in &mut figures {
            figure.area = self.name.into();
        }
        let seconds = started.elapsed().as_secs_f64();
        report::progress(format_args!("{}/{}: {seconds:.1} s", self.name, row.name));
        Ok(figures)
    }
}
