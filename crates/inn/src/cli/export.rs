//! `inn export`: a stopped VM as one file. What breaks off leaves nothing, and is begun again.

use super::{Context, VmArg};
use crate::{
    failure::Failure,
    figures::about,
    transfer::{fetch_whole, print},
};
use clap::Args;
use innkeeper_model::ByteSize;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(
    after_help = "The file is a tar: vm.json, a qcow2 file a disk, SHA256SUMS. It has neither the \
    VM's memory nor its cloud-init documents, and CD-ROMs and kernels only by their images' names."
)]
pub(super) struct Export {
    #[command(flatten)]
    vm: VmArg,
    /// Where to write it; `-` is the standard output, and without it VM.tar is written
    file: Option<PathBuf>,
}

pub(super) async fn run(context: &Context, export: Export) -> Result<(), Failure> {
    let vm = &export.vm.vm;
    let there = context.of_vm(vm, "export");
    let name = format!("{vm}.tar");
    let to = match export.file {
        Some(file) if file.as_os_str() == "-" => return print(context, there).await,
        Some(file) if file.is_dir() => file.join(name),
        Some(file) => file,
        None => name.into(),
    };
    let length = fetch_whole(context, there, &to).await?;
    context.output.talk(format_args!("{}: {}", to.display(), about(ByteSize(length))));
    Ok(())
}
