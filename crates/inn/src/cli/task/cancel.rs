//! `inn task cancel`.

use crate::{cli::Context, client::Call, failure::Failure, mutation::task_target, output::Format};
use clap::Args;
use innkeeper_model::TaskId;

#[derive(Debug, Args)]
pub(in crate::cli) struct Cancel {
    /// The task's id
    id: TaskId,
}

pub(super) async fn run(context: &Context, Cancel { id }: Cancel) -> Result<(), Failure> {
    let answer = context.client.call(Call::post(task_target(id).segment("cancel"))).await?;
    context.output.talk(format_args!("asked {id} to stop: inn task watch {id} shows what it does"));
    match context.output.format {
        Format::Json | Format::Yaml => context.output.document(&answer.body),
        Format::Name => context.output.line(id),
        Format::Table => Ok(()),
    }
}
