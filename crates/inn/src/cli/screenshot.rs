//! `inn screenshot`: what a VM's screen shows, as a PNG file.

use super::{Context, VmArg};
use crate::{
    client::{Call, broken},
    failure::{Exit, Failure},
};
use clap::Args;
use http_body_util::BodyExt;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Screenshot {
    #[command(flatten)]
    vm: VmArg,
    /// Where to write it; `-` is the standard output, and without it VM.png is written
    file: Option<PathBuf>,
}

pub(super) async fn run(context: &Context, screenshot: Screenshot) -> Result<(), Failure> {
    let vm = &screenshot.vm.vm;
    let response = context.client.open(Call::get(context.of_vm(vm, "screenshot"))).await?;
    let picture = response.into_body().collect().await.map_err(|error| broken(&error))?.to_bytes();
    let file = screenshot.file.unwrap_or_else(|| format!("{vm}.png").into());
    if file.as_os_str() == "-" {
        return context.output.data(picture);
    }
    std::fs::write(&file, picture).map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot write {}", file.display())).because(&error)
    })?;
    context.output.talk(format_args!("wrote {}", file.display()));
    Ok(())
}
