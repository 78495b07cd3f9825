//! What sending and fetching large files have in common.

use crate::{
    cli::Context,
    client::{Call, Target, broken},
    failure::{Exit, Failure, of_writing},
    output::{Bytes, Output},
};
use http::{HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use innkeeper_storage::write_sparse;
use sha2::{Digest, Sha256};
use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

/// How much is read at once, in bytes.
pub(crate) const PIECE: usize = 256 << 10;

/// That something could not be done with a file here.
pub(crate) fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("cannot {what} {}", path.display())).because(error)
}

/// The SHA-256 of a file's first `length` bytes, in hexadecimal digits.
///
/// # Errors
/// The file cannot be read, or is shorter.
pub(crate) fn sha256_of(
    output: &Output,
    file: &File,
    length: u64,
    path: &Path,
) -> Result<String, Failure> {
    let progress = Bytes::start(output, Some(length));
    let (mut hash, mut buffer, mut at) = (Sha256::new(), vec![0; PIECE], 0);
    while at < length {
        let wanted = usize::try_from(length - at).map_or(PIECE, |left| left.min(PIECE));
        let read = match file.read_at(&mut buffer[..wanted], at) {
            Ok(0) => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            read => read,
        };
        let read = read.map_err(|error| cannot("read", path, &error))?;
        hash.update(&buffer[..read]);
        at += read as u64;
        progress.show(at);
    }
    let mut digits = String::with_capacity(64);
    for byte in hash.finalize() {
        write!(digits, "{byte:02x}").expect("a string takes any text");
    }
    Ok(digits)
}

/// The mode of what is fetched: it has a guest's files in it, and of a whole VM what its cloud-init is told.
const PRIVATE: u32 = 0o600;

/// The file of what has come so far: of the bytes that are known by this tag, and no others.
pub(crate) fn part(to: &Path, tag: &str) -> PathBuf {
    let beginning: String = tag.chars().take(12).collect();
    let mut name = to.as_os_str().to_owned();
    name.push(format!(".{beginning}.part"));
    name.into()
}

/// Fetches what is missing of a part, whose bytes are known by this tag, and says how long it is then.
///
/// # Errors
/// The daemon refuses; the connection breaks off, and the part stays; the part cannot be written.
pub(crate) async fn fetch(
    context: &Context,
    from: Target,
    tag: &str,
    part: &Path,
) -> Result<u64, Failure> {
    let writing = |error: io::Error| cannot("write", part, &error);
    let there = match std::fs::metadata(part) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        metadata => metadata.map_err(writing)?.len(),
    };
    let response = context.client.open(asking(Call::get(from), there, tag)).await?;
    if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
        // All of it has come before.
        return Ok(there);
    }
    // Made only now: what is refused leaves nothing.
    let mut options = File::options();
    let opened = options.write(true).create(true).truncate(false).mode(PRIVATE).open(part);
    let file = opened.map_err(writing)?;
    let goes_on = response.status() == StatusCode::PARTIAL_CONTENT;
    let mut at = if goes_on { there } else { 0 };
    file.set_len(at).map_err(writing)?;
    let length = response.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let progress = Bytes::start(&context.output, length.map(|length| at + length));
    let written = receive(response.into_body(), |piece| {
        write_sparse(&file, piece, at)?;
        at += piece.len() as u64;
        progress.show(at);
        // Its length says how much has come, whatever of it is a hole.
        file.set_len(at)
    });
    written.await.map_err(|failure| match failure {
        Broken::Write(error) => writing(error),
        Broken::Connection(failure) => failure.with_hint("the same command again goes on with it"),
    })?;
    Ok(at)
}

/// How long the daemon may take to look through the tables of a VM's disks.
const OPENED_WITHIN: Duration = Duration::from_secs(10 * 60);

/// Fetches what can only be had from its beginning, and says how long it is. It gets its name when all of
/// it has come; whatever happens before, Ctrl-C too, leaves nothing.
///
/// # Errors
/// The daemon refuses; the connection breaks off; the file cannot be written.
pub(crate) async fn fetch_whole(
    context: &Context,
    from: Target,
    to: &Path,
) -> Result<u64, Failure> {
    let response = context.client.open(Call::get(from).within(OPENED_WITHIN)).await?;
    let length = response.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let mut name = to.as_os_str().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = Unfinished(name.into());
    let writing = |error: io::Error| cannot("write", &part.0, &error);
    let mut options = File::options();
    let opened = options.write(true).create_new(true).mode(PRIVATE).open(&part.0);
    let mut file = opened.map_err(writing)?;
    let progress = Bytes::start(&context.output, length);
    let mut at = 0;
    let written = receive(response.into_body(), |piece| {
        at += piece.len() as u64;
        progress.show(at);
        file.write_all(piece)
    });
    let written = tokio::select! {
        written = written => written,
        _ = tokio::signal::ctrl_c() => {
            return Err(Failure::new(Exit::Interrupted, "stopped; nothing of it is left"));
        }
    };
    written.map_err(|failure| match failure {
        Broken::Write(error) => writing(error),
        Broken::Connection(failure) => failure.with_hint("nothing of it is left: begin again"),
    })?;
    std::fs::rename(&part.0, to).map_err(|error| cannot("write", to, &error))?;
    Ok(at)
}

/// A file that goes, unless it has got another name.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // It is not there any more where all went well.
        drop(std::fs::remove_file(&self.0));
    }
}

/// The same request for what comes after so many bytes, if they are still the ones of this tag.
fn asking(call: Call, there: u64, tag: &str) -> Call {
    let condition = HeaderValue::try_from(format!("\"{tag}\""));
    match condition {
        Ok(condition) if there > 0 && !tag.is_empty() => {
            let range = HeaderValue::try_from(format!("bytes={there}-"))
                .expect("words and digits are a legal header value");
            call.with_header(header::RANGE, range).with_header(header::IF_RANGE, condition)
        }
        _ => call,
    }
}

/// Writes what comes to the standard output.
///
/// # Errors
/// The daemon refuses, or the connection breaks off.
pub(crate) async fn print(context: &Context, from: Target) -> Result<(), Failure> {
    let body = context.client.open(Call::get(from)).await?.into_body();
    let mut output = io::stdout().lock();
    let printed = receive(body, |piece| output.write_all(piece)).await;
    printed.map_err(|failure| match failure {
        Broken::Write(error) => of_writing(&error),
        Broken::Connection(failure) => failure,
    })
}

enum Broken {
    Write(io::Error),
    Connection(Failure),
}

async fn receive(
    mut body: Incoming,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<(), Broken> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Broken::Connection(broken(&error)))?;
        if let Some(data) = frame.data_ref() {
            take(data).map_err(Broken::Write)?;
        }
    }
    Ok(())
}
