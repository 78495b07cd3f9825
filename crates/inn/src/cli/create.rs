//! `inn create`: a VM from flags, or from a file that flags change.

mod flags;
mod nics;

pub(super) use flags::free_name;

use super::{
    Context,
    dry_run::{self, DryRun},
    room,
};
use crate::{
    client::{Call, Target, decode},
    document::Document,
    failure::Failure,
    folders::Surroundings,
    mutation::Waiting,
    output::Format,
};
use clap::Args;
use flags::ConfigFlags;
use innkeeper_model::{Vm, VmName};
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
    planning: DryRun,
    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(
    context: &Context,
    surroundings: &Surroundings,
    create: Create,
) -> Result<(), Failure> {
    let Create { name, from_file, flags, start, planning, waiting } = create;
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
    let jobs = vec![context.job(config.name.as_str(), call, done)];
    dry_run::carry_out(context, planning, waiting, jobs).await?;
    if !waiting.no_wait && !planning.dry_run && context.output.format == Format::Table {
        tell_room(context, config.name.as_str()).await;
    }
    Ok(())
}

/// Tells how much can be plugged into the VM while it runs, which was decided when it was made.
async fn tell_room(context: &Context, name: &str) {
    // It has been made, whether or not more can be told of it.
    let Ok(answer) = context.client.get(context.vm(name)).await else { return };
    if let Ok(vm) = decode::<Vm>(answer.body)
        && let Some(spec) = &vm.spec
    {
        context.output.talk(room::of(spec, &vm));
    }
}
