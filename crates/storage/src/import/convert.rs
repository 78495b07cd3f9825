//! Rewriting a qcow2 file that was brought in: what is stored is what `qemu-img` wrote, not what
//! somebody sent.

use crate::{
    cancel,
    confine::{Access, ConfinedFile},
    copy,
    format::{self, HEAD_LENGTH, Inspection},
    layers::{length, read_head, unreadable},
    pool::failed,
    progress::{OnProgress, Phase, Reporter},
    qemu_img::{Confinement, QemuImgFailed},
    storage::Shared,
};
use innkeeper_model::{ByteSize, Code, DiskFormat, Refusal};
use innkeeper_store::harm;
use rustix::fs::{Gid, Uid};
use std::{fs::File, os::unix::fs::MetadataExt, path::Path};
use tokio_util::sync::CancellationToken;

/// A converted file has tables beside its data: a two-thousandth of it, and the smallest file's.
const fn with_tables(bytes: u64) -> u64 {
    bytes.saturating_add(bytes / 1000).saturating_add(16 << 20)
}

/// Turns `folder/source`, whose header has been found acceptable, into `folder/target`, and removes
/// the source.
///
/// # Errors
/// The file is damaged behind its header, does not fit, or takes too long; the folder then holds what
/// the caller has to remove anyway.
pub(super) async fn normalise(
    shared: &Shared,
    folder: &Path,
    (source, target): (&str, &str),
    inspected: Inspection,
    on_progress: &OnProgress,
    cancel: &CancellationToken,
) -> Result<(), Refusal> {
    let options = &shared.options;
    // What it was is about what it will be. One that is packed will be more, which is found when the disk
    // is full.
    let path = folder.join(source);
    let stored = File::open(&path).and_then(|file| copy::stored(&file));
    let stored = stored.map_err(|error| unreadable(&path, error))?;
    let mut promise = shared.pool.room.promise(stored)?;
    hand_over(folder, &path, options.sandbox_uid)?;
    let confinement = Confinement {
        program: &options.qemu_img,
        folder,
        uid: options.sandbox_uid,
        deadline: options.convert_deadline,
        largest_file: with_tables(inspected.virtual_size.0.min(options.max_import_size.0)),
    };
    let image = format!("driver=qcow2,file.driver=file,file.filename={source}");
    // Exit status 3 is clusters that nothing refers to: waste, and the conversion leaves it out.
    confinement
        .run(&["check", "-q", "--image-opts", &image], &[0, 3], |_| (), cancel)
        .await
        .map_err(damaged)?;
    let total = inspected.virtual_size.0;
    let report = Reporter::new(on_progress, Phase::Converting, Some(total));
    let arguments =
        ["convert", "-p", "--image-opts", "-O", "qcow2", "-o", "compat=1.1", &image, target];
    let on_output = |bytes: &[u8]| {
        if let Some(percent) = percentage(bytes) {
            report.done((total as f64 * percent / 100.0) as u64);
            promise.shrink_to((stored as f64 * (1.0 - percent / 100.0)) as u64);
        }
    };
    confinement.run(&arguments, &[0], on_output, cancel).await.map_err(damaged)?;
    let owned = Written {
        folder: folder.into(),
        source: source.into(),
        target: target.into(),
        uid: options.sandbox_uid,
        expected: inspected.virtual_size,
    };
    cancel::briefly(move || owned.take_back()).await
}

/// Lets `qemu-img`'s user into the folder and at its one file.
fn hand_over(folder: &Path, source: &Path, uid: Option<u32>) -> Result<(), Refusal> {
    let Some(uid) = uid else { return Ok(()) };
    for path in [folder, source] {
        std::os::unix::fs::chown(path, Some(uid), Some(uid))
            .map_err(|error| failed("cannot hand over", path, error))?;
    }
    Ok(())
}

/// What a run has written, by a user who may have been taken over by the file it read.
struct Written {
    folder: std::path::PathBuf,
    source: String,
    target: String,
    uid: Option<u32>,
    expected: ByteSize,
}

impl Written {
    /// Makes the folder the daemon's again, and believes nothing of what is in it: the target must be
    /// a file with one name, belong to who wrote it, and be a plain qcow2 of the expected size.
    fn take_back(self) -> Result<(), Refusal> {
        let (own, group) = (rustix::process::geteuid(), rustix::process::getegid());
        if self.uid.is_some() {
            let ids = (Some(own.as_raw()), Some(group.as_raw()));
            std::os::unix::fs::chown(&self.folder, ids.0, ids.1)
                .map_err(|error| failed("cannot take back", &self.folder, error))?;
        }
        let written = ConfinedFile::in_pool(&self.folder, &self.target);
        let file = File::from(written.open(Access::Read).map_err(|_| strange())?);
        let metadata = file.metadata()?;
        let writer = self.uid.unwrap_or(own.as_raw());
        if metadata.nlink() != 1 || metadata.uid() != writer || !metadata.is_file() {
            return Err(strange());
        }
        rustix::fs::fchown(
            &file,
            Some(Uid::from_raw(own.as_raw())),
            Some(Gid::from_raw(group.as_raw())),
        )
        .map_err(std::io::Error::from)?;
        let declared = Some(DiskFormat::Qcow2);
        let found = format::inspect(
            &read_head(&file, HEAD_LENGTH)?,
            length(&file)?,
            declared,
            self.expected,
        );
        if found.map(|found| found.virtual_size) != Ok(self.expected) {
            return Err(strange());
        }
        let source = self.folder.join(&self.source);
        harm::remove_file(&source).map_err(|error| failed("cannot remove", &source, error))
    }
}

fn strange() -> Refusal {
    Refusal::new(Code::Internal, "qemu-img wrote something other than the image it was asked for")
        .with_hint("the file may have been made to attack this host; nothing of it was kept")
}

/// What `qemu-img` says against a file is said of the file.
fn damaged(failed: QemuImgFailed) -> Refusal {
    match failed {
        QemuImgFailed::Said(message) => Refusal::invalid(
            "source",
            "",
            format!("is a damaged or truncated qcow2 file: {message}"),
        )
        .with_hint("fetch it again, and compare its checksum"),
        other => other.into(),
    }
}

/// The last percentage in a piece of `qemu-img -p`'s output, `(12.34/100%)`.
fn percentage(output: &[u8]) -> Option<f64> {
    let output = std::str::from_utf8(output).ok()?;
    let (before, _) = output.rsplit_once("/100%")?;
    before.rsplit('(').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_from_what_qemu_img_prints() {
        assert_eq!(percentage(b"    (12.34/100%)\r    (40.00/100%)\r"), Some(40.0));
        assert_eq!(percentage(b"\r"), None);
        assert_eq!(percentage(b"(x/100%)"), None);
    }
}
