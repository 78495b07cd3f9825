//! `inn cp`: copies a file into a guest or out of it, by the guest's agent.

use super::Context;
use crate::{
    client::{Call, broken, decode},
    failure::{Exit, Failure},
    figures::about,
    output::Bytes as BytesProgress,
};
use bytes::Bytes;
use clap::Args;
use futures_util::StreamExt;
use http::{HeaderValue, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use innkeeper_model::ByteSize;
use serde::Deserialize;
use std::{
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
};
use tokio_util::io::ReaderStream;

/// How much is read at once, in bytes.
const PIECE: usize = 256 << 10;
/// How long the daemon may take to say that all of it is in the guest.
const WRITTEN_WITHIN: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Args)]
#[command(after_help = "One of the two is in a guest: inn cp web:/var/log/syslog . and \
    inn cp app.tar web:/tmp/ work; - is the standard input or output. Needs qemu-guest-agent in the \
    guest.")]
pub(super) struct Cp {
    /// What to copy: a file here, or VM:PATH
    #[arg(value_name = "FROM")]
    from: String,
    /// Where to: a file or folder here, or VM:PATH; a PATH that ends with / is a folder
    #[arg(value_name = "TO")]
    to: String,
}

/// One end of a copy.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Here(PathBuf),
    InGuest { vm: String, path: String },
}

impl End {
    /// A colon makes it a guest's, unless a slash comes first.
    fn of(text: &str) -> Self {
        match text.split_once(':') {
            Some((vm, path)) if !vm.is_empty() && !vm.contains('/') => {
                Self::InGuest { vm: vm.into(), path: path.into() }
            }
            _ => Self::Here(text.into()),
        }
    }
}

pub(super) async fn run(context: &Context, cp: Cp) -> Result<(), Failure> {
    match (End::of(&cp.from), End::of(&cp.to)) {
        (End::InGuest { vm, path }, End::Here(file)) => download(context, &vm, &path, &file).await,
        (End::Here(file), End::InGuest { vm, path }) => upload(context, &file, &vm, &path).await,
        _ => Err(Failure::usage("one of the two, and only one, is in a guest: VM:PATH")),
    }
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("cannot {what} {}", path.display())).because(error)
}

async fn download(context: &Context, vm: &str, path: &str, to: &Path) -> Result<(), Failure> {
    let target = context.of_vm(vm, "files").with("path", path);
    let body = context.client.open(Call::get(target)).await?.into_body();
    if to.as_os_str() == "-" {
        return receive(context, body, tokio::io::stdout(), to).await.map(drop);
    }
    let name = path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("file");
    let to = if to.is_dir() { to.join(name) } else { to.to_owned() };
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    // Under another name, and gone again, until all of it is there.
    let partial = tempfile::Builder::new()
        .prefix(".inn-cp-")
        .permissions(std::fs::Permissions::from_mode(0o666))
        .tempfile_in(folder.unwrap_or(Path::new(".")))
        .map_err(|error| cannot("write", &to, &error))?;
    let file = partial.reopen().map_err(|error| cannot("write", &to, &error))?;
    let bytes = receive(context, body, File::from_std(file), &to).await?;
    partial.persist(&to).map_err(|error| cannot("write", &to, &error.error))?;
    context.output.talk(format_args!("{}: {}", to.display(), about(ByteSize(bytes))));
    Ok(())
}

async fn receive(
    context: &Context,
    mut body: hyper::body::Incoming,
    mut file: impl AsyncWrite + Unpin,
    to: &Path,
) -> Result<u64, Failure> {
    let progress = BytesProgress::start(&context.output, None);
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(&error))?;
        if let Some(data) = frame.data_ref() {
            file.write_all(data).await.map_err(|error| cannot("write", to, &error))?;
            bytes += data.len() as u64;
            progress.show(bytes);
        }
    }
    file.flush().await.map_err(|error| cannot("write", to, &error))?;
    Ok(bytes)
}

/// What the daemon says of a file that it has written.
#[derive(Deserialize)]
struct Written {
    bytes: u64,
    sha256: String,
}

async fn upload(context: &Context, from: &Path, vm: &str, path: &str) -> Result<(), Failure> {
    let (length, reader): (_, Box<dyn AsyncRead + Send + Unpin>) = if from.as_os_str() == "-" {
        (None, Box::new(tokio::io::stdin()))
    } else {
        let file = File::open(from).await.map_err(|error| cannot("read", from, &error))?;
        let metadata = file.metadata().await.map_err(|error| cannot("read", from, &error))?;
        if metadata.is_dir() {
            let message = format!("{} is a folder: one file is copied", from.display());
            return Err(Failure::usage(message));
        }
        (Some(metadata.len()), Box::new(file))
    };
    let path = match (path.ends_with('/'), from.file_name().and_then(|name| name.to_str())) {
        (true, Some(name)) => format!("{path}{name}"),
        _ => path.to_owned(),
    };
    let progress = BytesProgress::start(&context.output, length);
    let mut sent = 0;
    let pieces = ReaderStream::with_capacity(reader, PIECE).map(move |piece: io::Result<Bytes>| {
        let piece = piece?;
        sent += piece.len() as u64;
        progress.show(sent);
        Ok::<_, io::Error>(Frame::data(piece))
    });
    let octets = HeaderValue::from_static("application/octet-stream");
    let call = Call::put(context.of_vm(vm, "files").with("path", &path))
        .with_header(header::CONTENT_TYPE, octets)
        .within(WRITTEN_WITHIN);
    let written = context.client.upload(call, StreamBody::new(pieces)).await?;
    let Written { bytes, sha256 } = decode(written)?;
    let about = about(ByteSize(bytes));
    context.output.talk(format_args!("{vm}:{path}: {about}, sha256 {sha256}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_makes_a_file_a_guests() {
        let guest = |vm: &str, path: &str| End::InGuest { vm: vm.into(), path: path.into() };
        assert_eq!(End::of("web:/etc/motd"), guest("web", "/etc/motd"));
        assert_eq!(End::of("web:a:b"), guest("web", "a:b"));
        for here in ["file", "./a:b", "/x/y:z", ":x", "-"] {
            assert_eq!(End::of(here), End::Here(here.into()));
        }
    }
}
