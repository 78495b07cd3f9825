//! Cuts every operation short at every point that it passes, and looks at what is left.
//!
//! ```text
//!  record: a scenario undisturbed ──▶ its points ──▶ combinations (rules) ──▶ trials
//!  trial:  act (a child; something happens at the point) ──▶ check (another; as the next daemon)
//! ```
//!
//! A *scenario* brings a VM into a state and asks for one operation. A *point* is a place in that
//! operation's doing. At each point something happens: a cancel, a failure, a failure whose undo fails
//! too, the end of the daemon by SIGKILL, the end of the hypervisor. After it the VM must be in a state
//! that has a name; view, specs, journal and hypervisor must agree, as the hypervisor itself tells, and in
//! ten cases a booted guest ([`booted`]); nothing may be left but what was listed; and a start, a stop and
//! a delete must succeed and leave nothing.
//!
//! Every phase is a process of its own, so that the end of a daemon is the end of a process.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a command")]

mod agreement;
mod booted;
mod child;
mod combinations;
mod daemon;
mod golden;
mod hooks;
mod host;
mod neighbour;
mod networks;
mod payload;
mod report;
mod requests;
mod scenarios;
mod status;
mod summary;
mod trials;
mod witness;

use clap::{Parser, Subcommand};
use std::{path::PathBuf, process::ExitCode};

/// Cuts every operation short at every point, and looks at what is left.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    child: Option<Child>,
    /// The hypervisors: `sim`, `qemu` or both.
    #[arg(long, value_delimiter = ',', default_values_t = [host::Kind::Sim])]
    driver: Vec<host::Kind>,
    /// Only so many trials, drawn at random.
    #[arg(long)]
    sample: Option<usize>,
    /// What the draw begins with; printed, so that it can be repeated.
    #[arg(long)]
    seed: Option<u64>,
    /// Only trials with this in their names.
    #[arg(long)]
    only: Option<String>,
    /// Leave out the trials that this same build has passed already, by the report.
    #[arg(long)]
    resume: bool,
    /// Where the report goes; beside it, as `.md`, its summary.
    #[arg(long, default_value = "target/sweep.json")]
    report: PathBuf,
    /// How many trials run at once.
    #[arg(long)]
    parallel: Option<usize>,
}

#[derive(Debug, Subcommand)]
enum Child {
    /// One phase of a trial; for this program's own use.
    #[command(hide = true)]
    Phase(child::Phase),
    /// Write the golden journal of this version, which the next one's tests read.
    Golden,
}

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("{error:#}");
        ExitCode::FAILURE
    })
}

fn run() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    match arguments.child {
        Some(Child::Phase(phase)) => return child::run(phase),
        Some(Child::Golden) => return golden::write().map(|()| ExitCode::SUCCESS),
        None => {}
    }
    let wanted = trials::Wanted {
        drivers: arguments.driver,
        sample: arguments.sample,
        seed: arguments.seed,
        only: arguments.only,
        resume: arguments.resume,
        report: arguments.report,
        parallel: arguments.parallel.unwrap_or(2),
    };
    trials::sweep(&wanted)
}
