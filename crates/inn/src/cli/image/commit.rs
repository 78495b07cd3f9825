//! `inn image commit`: an image of what is on a stopped VM's disk, and what such an image comes from.

use crate::{
    cli::{
        Context, VmArg, completion,
        dry_run::{self, DryRun},
    },
    client::{Call, Target},
    failure::Failure,
    mutation::{Job, Shows, Waiting},
    output::Table,
};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use innkeeper_model::{DeviceName, ImageName, Lineage};
use serde_json::json;

#[derive(Debug, Args)]
#[command(
    after_help = "The VM stays as it is. What is asked of it waits until its disk has been read."
)]
pub(in crate::cli) struct Commit {
    #[command(flatten)]
    vm: VmArg,
    /// The disk; the VM's first if it is not said
    #[arg(long, add = ArgValueCompleter::new(completion::disk_names))]
    disk: Option<DeviceName>,
    /// The image's name
    #[arg(long)]
    name: ImageName,
    #[command(flatten)]
    planning: DryRun,
    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(context: &Context, commit: Commit) -> Result<(), Failure> {
    let mut from = json!({ "vm": context.vm_id(&commit.vm.vm).await? });
    if let Some(disk) = &commit.disk {
        from["disk"] = json!(disk);
    }
    let body = json!({ "name": commit.name, "from_disk": from });
    let call = Call::post(Target::new("/v1/images")).with_body(body);
    let subject = commit.name.to_string();
    let job = Job { subject, call, done: "added", shows: Shows::Image };
    dry_run::carry_out(context, commit.planning, commit.waiting, vec![job]).await
}

/// What an image comes from that was made of a disk.
pub(super) fn show(table: &mut Table, lineage: &Lineage) {
    let Lineage { vm, vm_name, disk, image, taken } = lineage;
    table.field("vm", format!("{vm_name} ({vm})"));
    table.field("vm disk", disk.as_str());
    if let Some(image) = image {
        table.field("based on", format!("{} ({})", image.name, image.digest));
    }
    table.field("taken", format!("{taken:.0}"));
}
