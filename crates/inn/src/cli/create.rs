//! `inn create`: a VM from flags, or from a file that flags change.

mod flags;

use super::Context;
use crate::{
    client::{Call, Target},
    document::Document,
    failure::Failure,
    folders::Surroundings,
    mutation::{Waiting, carry_out},
};
use clap::Args;
use flags::ConfigFlags;
use innkeeper_model::VmName;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Create {
    /// The VM's name
    #[arg(required_unless_present = "from_file")]
    name: Option<VmName>,
    /// Start from this file (.yaml, .toml, .json; - for the standard input), which may also be what
    /// `inn get` printed; flags change what it says
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    #[command(flatten)]
    flags: ConfigFlags,
    /// Start it when it has been created
    #[arg(long)]
    start: bool,
    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(
    context: &Context,
    surroundings: &Surroundings,
    create: Create,
) -> Result<(), Failure> {
    let Create { name, from_file, flags, start, waiting } = create;
    if from_file.as_deref() == Some(Path::new("-")) && flags.reads_input() {
        return Err(Failure::usage(
            "--from-file and --user-data cannot both be the standard input",
        )
        .with_hint("write one of them to a file, and name that"));
    }
    let mut document = match from_file {
        Some(file) => Document::read(&file)?,
        None => Document::default(),
    };
    if let Some(name) = name {
        document.0.insert("name".into(), name.as_str().into());
    }
    if let Some(project) = &context.project {
        document.0.insert("project".into(), project.as_str().into());
    }
    flags.change(&mut document, surroundings)?;
    let config = document.check()?;
    let target = Target::new("/v1/vms").with_any("start", start.then_some(true));
    let call = Call::post(target).with_body(document.into_value());
    let done = if start { "created and started" } else { "created" };
    carry_out(context, waiting, vec![context.job(config.name.as_str(), call, done)]).await
}
