//! The program behind `make bench`: it measures each figure that the project promises, beside its
//! floor or peer in the same run on the same machine, prints a table and writes `target/bench.json`.
//!
//! An area is a module with a list of rows; a row is a function that measures and gives one figure or
//! several. [`measure`] reads clocks and `/proc`; [`rig`] has what is measured and what it is measured
//! with: a daemon in a folder of its own, guests, an HTTP client, peers. Whatever a row starts or
//! makes is gone when it ends, also when it fails or the program is interrupted ([`rig::cleanup`]).
//!
//! A target that is missed is shown, and is no failure; a row that could not be measured is one.

mod area;
mod bench;
mod callers_area;
mod doors_area;
mod engine_area;
mod figure;
mod main_area;
mod measure;
mod network_area;
mod report;
mod rig;

use anyhow::Context;
use area::Area;
use bench::Bench;
use clap::{Parser, Subcommand};
use figure::Figure;
use main_area::serve_view;
use std::{path::PathBuf, process::ExitCode};

/// All areas, in the order in which they are measured.
const AREAS: &[Area] =
    &[main_area::AREA, engine_area::AREA, network_area::AREA, doors_area::AREA, callers_area::AREA];

/// Measures Innkeeper and what it is compared with
#[derive(Debug, Parser)]
#[command(name = "inn-bench", max_term_width = 100)]
struct Arguments {
    /// Measure this area only
    #[arg(long, value_parser = AREAS.iter().map(|area| area.name).collect::<Vec<_>>())]
    area: Option<String>,
    /// Measure this row only (can be repeated); its figures replace those of before in bench.json
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// A few rounds of everything: whether it works, not how fast it is; bench.json stays as it was
    #[arg(long)]
    quick: bool,
    /// The program to measure, instead of the one that was built with this one
    #[arg(long, value_name = "PATH")]
    inn: Option<PathBuf>,
    #[command(subcommand)]
    role: Option<Role>,
}

/// What this program is when it has started itself.
#[derive(Debug, Subcommand)]
enum Role {
    /// A server of the real API over a view that this program fills
    #[command(hide = true)]
    ServeView(serve_view::Options),
    /// A server of the same bytes to everybody: the floor of a read
    #[command(hide = true)]
    ServeBytes(rig::floor::Options),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.role {
        Some(Role::ServeView(options)) => serve_view::run(options).map(|()| ExitCode::SUCCESS),
        Some(Role::ServeBytes(options)) => rig::floor::run(options).map(|()| ExitCode::SUCCESS),
        None => run(&arguments),
    };
    done.unwrap_or_else(|error| {
        report::problem(&error);
        ExitCode::FAILURE
    })
}

fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let areas: Vec<_> = AREAS
        .iter()
        .filter(|area| arguments.area.as_ref().is_none_or(|wanted| wanted == area.name))
        .collect();
    let known =
        |name: &String| areas.iter().flat_map(|area| area.rows).any(|row| row.name == *name);
    if let Some(unknown) = arguments.only.iter().find(|name| !known(name)) {
        let names: Vec<_> = areas.iter().flat_map(|area| area.rows).map(|row| row.name).collect();
        anyhow::bail!("there is no row {unknown:?}; there are {}", names.join(", "));
    }
    let bench = Bench::new(arguments.quick, arguments.inn.as_deref())?;
    rig::cleanup::on_interruption()?;
    let (mut figures, mut failed) = (Vec::new(), false);
    for area in areas {
        for row in area.rows {
            if !arguments.only.is_empty() && !arguments.only.iter().any(|name| name == row.name) {
                continue;
            }
            match area.measure(row, &bench) {
                Ok(measured) => figures.extend(measured),
                Err(error) => {
                    failed = true;
                    report::problem(&error.context(format!("{}/{}", area.name, row.name)));
                }
            }
        }
    }
    report::table(&figures);
    if arguments.quick {
        report::progress("nothing is written: a quick run's figures say only that it works");
    } else {
        // Which figures a row gives is known of those that were measured alone; so what no row gives
        // any more goes when its whole area is measured.
        let stays = |old: &Figure| {
            let other_area = arguments.area.as_ref().is_some_and(|area| *area != old.area);
            other_area || !arguments.only.is_empty()
        };
        report::write(&bench.report, figures, stays)
            .with_context(|| format!("cannot write {}", bench.report.display()))?;
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
