//! `inn import`: a VM of a file that an export has written.

use super::{
    Context,
    dry_run::{self, DryRun},
};
use crate::{
    client::{Call, Target},
    failure::Failure,
    mutation::{Job, Shows, Waiting, wait_for},
    output::Bytes as BytesProgress,
    transfer::{PIECE, cannot},
};
use bytes::Bytes;
use clap::Args;
use futures_util::StreamExt;
use http::{HeaderValue, header};
use http_body_util::StreamBody;
use hyper::body::Frame;
use innkeeper_model::VmName;
use std::{io, path::PathBuf, time::Duration};
use tokio::{fs::File, io::AsyncRead};
use tokio_util::io::ReaderStream;

/// How long the daemon may take to say that it has all of it.
const TAKEN_WITHIN: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Args)]
#[command(
    after_help = "The VM is a copy, with an id and hardware addresses of its own, and without \
    published ports, unless its identity is kept. What breaks off leaves nothing. With --dry-run the file \
    is sent as well, since it says what would be made, and is thrown away."
)]
pub(super) struct Import {
    /// The file; `-` is the standard input
    file: PathBuf,
    /// Its name, if not the one it had
    #[arg(long)]
    name: Option<VmName>,
    /// Keep its id, its hardware addresses and its published ports, all of which must be free here
    #[arg(long)]
    keep_identity: bool,
    #[command(flatten)]
    planning: DryRun,
    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(context: &Context, import: Import) -> Result<(), Failure> {
    let path = &import.file;
    let (file, length): (Box<dyn AsyncRead + Send + Unpin>, _) = if path.as_os_str() == "-" {
        (Box::new(tokio::io::stdin()), None)
    } else {
        let file = std::fs::File::open(path).map_err(|error| cannot("read", path, &error))?;
        let metadata = file.metadata().map_err(|error| cannot("read", path, &error))?;
        if metadata.is_dir() {
            return Err(Failure::usage(format!("{} is a folder", path.display())));
        }
        // What is no file has no length that could be known.
        (Box::new(File::from_std(file)), metadata.is_file().then_some(metadata.len()))
    };
    let to = Target::new("/v1/imports")
        .with_any("name", import.name.as_ref())
        .with_any("project", context.project.as_deref())
        .with_any("keep_identity", import.keep_identity.then_some(true))
        .with_any("dry_run", import.planning.dry_run.then_some(true));
    let octets = HeaderValue::from_static("application/x-tar");
    let mut call = Call::post(to).with_header(header::CONTENT_TYPE, octets).within(TAKEN_WITHIN);
    if let Some(length) = length {
        call = call.with_header(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    let progress = BytesProgress::start(&context.output, length);
    let mut sent = 0;
    let pieces = ReaderStream::with_capacity(file, PIECE).map(move |piece: io::Result<Bytes>| {
        let piece = piece?;
        sent += piece.len() as u64;
        progress.show(sent);
        Ok::<_, io::Error>(Frame::data(piece))
    });
    let answer = context.client.upload(call, StreamBody::new(pieces)).await?;
    if import.planning.dry_run {
        let file = path.display().to_string();
        let subject = import.name.map_or(file, |name| name.to_string());
        return dry_run::show(context, &subject, answer);
    }
    let subject = match &import.name {
        Some(name) => name.to_string(),
        None => answer["task"]["subject"].as_str().unwrap_or_default().to_owned(),
    };
    // What is shown of it in the end is the VM of the task.
    let call = Call::get(Target::vm(&subject));
    let job = Job { subject, call, done: "imported", shows: Shows::Vm };
    wait_for(context, import.waiting, job, answer).await
}
