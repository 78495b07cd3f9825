//! Copying and digesting large files: sparse, in pieces, cancelled between them.

use crate::{
    cancel,
    layers::length,
    progress::Reporter,
    room::{Promise, Room},
};
use innkeeper_model::Refusal;
use rustix::{fs::SeekFrom, io::Errno};
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io,
    os::unix::fs::{FileExt, MetadataExt},
};
use tokio_util::sync::CancellationToken;

/// How much is read at once: large enough for the disk, small enough that a cancel is prompt.
pub(crate) const PIECE: usize = 1 << 20;
/// What is left out of the copy if it is all zeros: a page of any file system that has holes.
const BLOCK: usize = 4 << 10;
static ZEROS: [u8; BLOCK] = [0; BLOCK];

/// Copies `from`, which is a file or a block device, into the new file `to`, which gets its length.
/// Shares the blocks where the file system can, and takes no room then; leaves holes where there are zeros
/// otherwise.
pub(crate) fn copy(
    from: &File,
    to: &File,
    room: &Room,
    report: &Reporter,
    cancel: &CancellationToken,
) -> Result<(), Refusal> {
    let length = length(from)?;
    if rustix::fs::ioctl_ficlone(to, from).is_ok() {
        report.done(length);
        return Ok(());
    }
    let mut promise = room.promise(stored(from)?.min(length))?;
    let mut buffer = vec![0; PIECE];
    let mut at = 0;
    while let Some((start, end)) = next_data(from, at, length)? {
        at = start;
        while at < end {
            cancel::check(cancel)?;
            let wanted = usize::try_from(end - at).map_or(PIECE, |left| left.min(PIECE));
            let piece = match from.read_at(&mut buffer[..wanted], at)? {
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                count => &buffer[..count],
            };
            put(to, piece, at, &mut promise)?;
            at += piece.len() as u64;
            report.done(at);
        }
    }
    to.set_len(length)?;
    report.done(length);
    Ok(())
}

/// How many bytes a file takes on its file system; of a block device, how many it has.
pub(crate) fn stored(file: &File) -> io::Result<u64> {
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok(metadata.blocks() * 512) } else { length(file) }
}

/// Writes a piece of a new file at its place, into room that is promised or that there is.
pub(crate) fn put(to: &File, piece: &[u8], at: u64, promise: &mut Promise) -> Result<(), Refusal> {
    // One that is packed by its file system has more in it than it takes.
    promise.cover(piece.len() as u64)?;
    write_data(to, piece, at)?;
    promise.written(piece.len() as u64);
    Ok(())
}

/// Writes a piece of a new file at its place, leaving out the blocks that are all zeros.
///
/// # Errors
/// The system's.
pub fn write_data(to: &File, piece: &[u8], at: u64) -> io::Result<()> {
    let is_zero = |block: &[u8]| block == &ZEROS[..block.len()];
    let mut start = 0;
    while start < piece.len() {
        let blocks = || piece[start..].chunks(BLOCK);
        let hole = blocks().take_while(|block| is_zero(block)).count() * BLOCK;
        if hole > 0 {
            start += hole;
            continue;
        }
        let data = blocks().take_while(|block| !is_zero(block)).count() * BLOCK;
        let end = (start + data).min(piece.len());
        to.write_all_at(&piece[start..end], at + start as u64)?;
        start = end;
    }
    Ok(())
}

/// `sha256:` and the digest of a file, in hexadecimal.
pub(crate) fn digest(
    file: &File,
    report: &Reporter,
    cancel: &CancellationToken,
) -> Result<String, Refusal> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; PIECE];
    let mut at = 0;
    loop {
        cancel::check(cancel)?;
        match file.read_at(&mut buffer, at)? {
            0 => return Ok(written(&hash.finalize())),
            count => {
                hash.update(&buffer[..count]);
                at += count as u64;
                report.done(at);
            }
        }
    }
}

/// A digest as it is written everywhere.
pub(crate) fn written(digest: &[u8]) -> String {
    format!("sha256:{}", hex(digest))
}

/// The digits alone.
pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where the next bytes that are no hole begin and end, from `at` on.
pub(crate) fn next_data(file: &File, at: u64, length: u64) -> io::Result<Option<(u64, u64)>> {
    if at >= length {
        return Ok(None);
    }
    let start = match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Ok(start) => start,
        // Only a hole is left.
        Err(Errno::NXIO) => return Ok(None),
        // A block device, or a file system that knows no holes.
        Err(_) => return Ok(Some((at, length))),
    };
    let end = rustix::fs::seek(file, SeekFrom::Hole(start)).unwrap_or(length);
    Ok((start < length).then_some((start, end.min(length))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        progress::{Phase, Reporter},
        room::tests::enough,
    };
    use std::sync::Arc;

    fn quiet() -> Reporter {
        let on_progress: crate::OnProgress = Arc::new(|_| ());
        Reporter::new(&on_progress, Phase::Copying, None)
    }

    #[test]
    fn a_copy_has_the_same_bytes_and_holes_for_zeros() {
        let from = tempfile::tempfile().unwrap();
        from.write_all_at(b"start", 0).unwrap();
        from.write_all_at(&vec![0; 3 << 20], 1 << 20).unwrap();
        from.write_all_at(b"middle", (5 << 20) + 77).unwrap();
        from.set_len((9 << 20) + 3).unwrap();
        let to = tempfile::tempfile().unwrap();
        copy(&from, &to, &enough(), &quiet(), &CancellationToken::new()).unwrap();
        let digest = |file| digest(file, &quiet(), &CancellationToken::new()).unwrap();
        assert_eq!(digest(&from), digest(&to));
        assert_eq!(to.metadata().unwrap().len(), (9 << 20) + 3);
        let stored = to.metadata().unwrap().blocks() * 512;
        assert!(stored <= 128 << 10, "{stored} bytes are stored");
    }

    #[test]
    fn a_cancelled_copy_ends() {
        let from = tempfile::tempfile().unwrap();
        from.write_all_at(b"data", 0).unwrap();
        let to = tempfile::tempfile().unwrap();
        let cancel = CancellationToken::new();
        cancel.cancel();
        // Where the file system shares blocks there is nothing to cancel.
        if let Err(refusal) = copy(&from, &to, &enough(), &quiet(), &cancel) {
            assert_eq!(refusal.code, innkeeper_model::Code::Cancelled);
        }
        let refusal = digest(&from, &quiet(), &cancel).unwrap_err();
        assert_eq!(refusal.code, innkeeper_model::Code::Cancelled);
    }

    #[test]
    fn an_empty_file_has_the_empty_digest() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(
            digest(&file, &quiet(), &CancellationToken::new()).unwrap(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
