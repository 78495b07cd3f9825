//! `inn disk download`: fetches a stopped VM's disk into a file, and goes on where an earlier try broke
//! off as long as the disk has not been written to.

use super::{Context, completion};
use crate::{
    client::Call,
    failure::Failure,
    figures::about,
    transfer::{cannot, fetch, part, print, sha256_of},
};
use clap::{Args, Subcommand, builder::NonEmptyStringValueParser};
use clap_complete::engine::ArgValueCompleter;
use http::header;
use innkeeper_model::ByteSize;
use std::{
    fs::{self, File},
    path::PathBuf,
};

#[derive(Debug, Subcommand)]
pub(super) enum DiskCommand {
    /// Fetch a stopped VM's disk into a file, raw
    Download(Download),
}

#[derive(Debug, Args)]
#[command(
    after_help = "What broke off stays beside FILE, with .part at its end: the same command goes \
    on with it, unless the VM has been started since."
)]
pub(super) struct Download {
    /// The VM: its name, its id, or the beginning of either
    #[arg(
        value_name = "VM",
        value_parser = NonEmptyStringValueParser::new(),
        add = ArgValueCompleter::new(completion::vm_names),
    )]
    vm: String,
    /// The disk's name
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    disk: String,
    /// Where to write it; `-` is the standard output, and without it VM-DISK.raw is written
    file: Option<PathBuf>,
}

pub(super) async fn run(context: &Context, command: DiskCommand) -> Result<(), Failure> {
    let DiskCommand::Download(download) = command;
    let Download { vm, disk, file } = &download;
    let there = context.disk_file(vm, disk);
    let name = format!("{vm}-{disk}.raw");
    let to = match file {
        Some(file) if file.as_os_str() == "-" => return print(context, there).await,
        Some(file) if file.is_dir() => file.join(name),
        Some(file) => file.clone(),
        None => name.into(),
    };
    // The head of an answer has no words for a refusal: should there be one, the fetch tells it.
    let head = context.client.open(Call::head(there.clone())).await.ok();
    let tag =
        head.and_then(|head| Some(head.headers().get(header::ETAG)?.to_str().ok()?.to_owned()));
    let tag = tag.unwrap_or_default();
    let tag = tag.trim_matches('"');
    let part = part(&to, &tag.replace(|letter: char| !letter.is_ascii_alphanumeric(), ""));
    let length = fetch(context, there, tag, &part).await?;
    let file = File::open(&part).map_err(|error| cannot("read", &part, &error))?;
    let sha256 = sha256_of(&context.output, &file, length, &part)?;
    fs::rename(&part, &to).map_err(|error| cannot("write", &to, &error))?;
    let about = about(ByteSize(length));
    context.output.talk(format_args!("{}: {about}, sha256:{sha256}", to.display()));
    Ok(())
}
