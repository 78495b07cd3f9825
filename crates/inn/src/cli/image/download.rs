//! `inn image download`: fetches an image's bytes, goes on where an earlier try broke off, and gives
//! them their name only when their digest is the image's.

use super::{ImageArg, target};
use crate::{
    cli::Context,
    client::decode,
    failure::{Exit, Failure},
    figures::about,
    transfer::{cannot, fetch, part, print, sha256_of},
};
use clap::Args;
use innkeeper_model::{ByteSize, Image, ImageKind};
use std::{
    fs::{self, File},
    path::PathBuf,
};

#[derive(Debug, Args)]
#[command(
    after_help = "What broke off stays beside FILE, as FILE with the beginning of the image's \
    digest and .part: the same command goes on with it."
)]
pub(in crate::cli) struct Download {
    #[command(flatten)]
    image: ImageArg,
    /// Where to write it; `-` is the standard output, and without it NAME.FORMAT is written
    file: Option<PathBuf>,
}

pub(super) async fn run(context: &Context, download: Download) -> Result<(), Failure> {
    let name = &download.image.name;
    let there = target(name).segment("file");
    let image: Image = decode(context.client.get(target(name)).await?.body)?;
    let to = match download.file {
        Some(file) if file.as_os_str() == "-" => return print(context, there).await,
        Some(file) if file.is_dir() => file.join(file_name(&image)),
        Some(file) => file,
        None => file_name(&image).into(),
    };
    let hex = image.digest.trim_start_matches("sha256:");
    let part = part(&to, hex);
    let length = fetch(context, there, hex, &part).await?;
    let file = File::open(&part).map_err(|error| cannot("read", &part, &error))?;
    let found = sha256_of(&context.output, &file, length, &part)?;
    if found != hex {
        // To go on with it would be in vain.
        fs::remove_file(&part).map_err(|error| cannot("remove", &part, &error))?;
        let message = format!("what came has sha256:{found}, and {name} has {}", image.digest);
        return Err(Failure::new(Exit::Failed, message).with_hint("try again"));
    }
    fs::rename(&part, &to).map_err(|error| cannot("write", &to, &error))?;
    let about = about(ByteSize(length));
    context.output.talk(format_args!("{}: {about}, {}", to.display(), image.digest));
    Ok(())
}

/// The name that a file gets if nobody says another.
fn file_name(image: &Image) -> String {
    match image.kind {
        ImageKind::Disk => format!("{}.{}", image.name, image.format.as_str()),
        ImageKind::Iso => format!("{}.iso", image.name),
        ImageKind::Kernel => format!("{}.kernel", image.name),
    }
}
