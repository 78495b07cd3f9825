//! `inn image upload`: sends a file to the daemon, goes on where an earlier try broke off, and sees its
//! import through.

use super::{Kind, kind, target};
use crate::{
    cli::Context,
    client::{Call, Target},
    failure::{Exit, Failure},
    figures::about,
    mutation::{Job, Shows, Waiting, wait_for},
    output::Bytes as BytesProgress,
    transfer::{PIECE, cannot, sha256_of},
};
use bytes::Bytes;
use clap::Args;
use futures_util::StreamExt;
use http::{HeaderValue, header};
use http_body_util::StreamBody;
use hyper::body::Frame;
use innkeeper_model::{ByteSize, DiskFormat, ImageName};
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{fs::File, io::AsyncSeekExt};
use tokio_util::io::ReaderStream;

/// How long the daemon may take to say that it has all of it.
const TAKEN_WITHIN: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Args)]
#[command(after_help = "What broke off is kept for a day: the same command goes on with it. \
    A file that the daemon can read itself is quicker with inn image add.")]
pub(in crate::cli) struct Upload {
    /// The file
    file: PathBuf,
    /// The image's name
    #[arg(long)]
    name: ImageName,
    /// What it is for
    #[arg(long, value_enum)]
    kind: Kind,
    /// The disk's format; told by its header if it is not said
    #[arg(long)]
    format: Option<DiskFormat>,
    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(context: &Context, upload: Upload) -> Result<(), Failure> {
    let Upload { file: path, name, .. } = &upload;
    let file = std::fs::File::open(path).map_err(|error| cannot("read", path, &error))?;
    let metadata = file.metadata().map_err(|error| cannot("read", path, &error))?;
    if !metadata.is_file() {
        return Err(Failure::usage(format!("{} is no file", path.display())));
    }
    let length = metadata.len();
    let sha256 = sha256_of(&context.output, &file, length, path)?;
    let there = Target::new("/v1/images").segment(name).segment("file").with("sha256", &sha256);
    let from = arrived(context, name, there.clone()).await?.filter(|from| *from <= length);
    let from = from.unwrap_or(0);
    if from > 0 {
        let (from, length) = (about(ByteSize(from)), about(ByteSize(length)));
        context.output.talk(format_args!("{name}: goes on after {from} of {length}"));
    }
    let to = there
        .with("kind", kind(upload.kind.into()))
        .with("offset", from)
        .with_any("format", upload.format);
    let answer = send(context, File::from_std(file), path, (from, length), to).await?;
    let call = Call::get(target(name.as_str()));
    let job = Job { subject: name.to_string(), call, done: "added", shows: Shows::Image };
    wait_for(context, upload.waiting, job, answer).await
}

/// How much the daemon has of it.
async fn arrived(
    context: &Context,
    name: &ImageName,
    there: Target,
) -> Result<Option<u64>, Failure> {
    // The head of an answer has no words for a refusal.
    match context.client.get(target(name.as_str())).await {
        Err(failure) if failure.exit == Exit::NotFound => {}
        Err(failure) => return Err(failure),
        Ok(_) => {
            let message = format!("there is an image {name} already");
            let hint = "choose another name, or remove it: inn image delete";
            return Err(Failure::new(Exit::Refused, message).with_hint(hint));
        }
    }
    let head = context.client.open(Call::head(there)).await?;
    let offset = head.headers().get("upload-offset");
    Ok(offset.and_then(|offset| offset.to_str().ok()?.parse().ok()))
}

/// Sends the rest of a file.
async fn send(
    context: &Context,
    mut file: File,
    path: &Path,
    (from, length): (u64, u64),
    to: Target,
) -> Result<serde_json::Value, Failure> {
    let sought = file.seek(io::SeekFrom::Start(from)).await;
    sought.map_err(|error| cannot("read", path, &error))?;
    let progress = BytesProgress::start(&context.output, Some(length));
    let mut sent = from;
    let pieces = ReaderStream::with_capacity(file, PIECE).map(move |piece: io::Result<Bytes>| {
        let piece = piece?;
        sent += piece.len() as u64;
        progress.show(sent);
        Ok::<_, io::Error>(Frame::data(piece))
    });
    let octets = HeaderValue::from_static("application/octet-stream");
    let call = Call::put(to)
        .with_header(header::CONTENT_TYPE, octets)
        .with_header(header::CONTENT_LENGTH, HeaderValue::from(length - from))
        .within(TAKEN_WITHIN);
    context.client.upload(call, StreamBody::new(pieces)).await
}
