//! `inn man`: the manual, made from the same words as `--help`.

use super::Cli;
use crate::{
    failure::{Exit, Failure},
    output::Output,
};
use clap::{Args, CommandFactory};
use clap_mangen::Man as Page;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Man {
    /// Write a page for each command to this folder, which must exist
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn run(man: &Man, output: &Output) -> Result<(), Failure> {
    let Some(folder) = &man.dir else {
        let mut page = Vec::new();
        Page::new(Cli::command())
            .render(&mut page)
            .map_err(|error| Failure::new(Exit::Failed, "cannot make the page").because(&error))?;
        return output.data(page);
    };
    clap_mangen::generate_to(Cli::command(), folder).map_err(|error| {
        Failure::usage(format!("cannot write the pages to {}", folder.display())).because(&error)
    })
}
