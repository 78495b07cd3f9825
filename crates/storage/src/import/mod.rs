//! Taking in an image: a file, what a web server has, what was uploaded, or a VM's disk.
//!
//! Its bytes are brought into a work folder of the pool first, so that nobody can change them while
//! they are looked at; there they are checked, a qcow2 disk is rewritten, and the folder gets the
//! image's name in one step. Whatever goes wrong before that removes the folder.

pub(crate) mod address;
mod check;
pub(crate) mod checksum;
mod convert;
mod disk;
mod download;
mod request;

pub use request::{ImportRequest, ImportSource};

use crate::{
    cancel,
    confine::{Access, ConfinedFile},
    copy,
    format::{self, HEAD_LENGTH, Inspection, iso},
    images::{DESCRIPTION, INITRD, data_file},
    kernel,
    layers::{length, read_head, unreadable},
    pool::{WorkFolder, failed},
    progress::{OnProgress, Phase, Reporter},
    settle::settle,
    storage::{Shared, Storage},
    volumes::create,
};
use checksum::Checksum;
use download::Download;
use innkeeper_model::{
    ByteSize, Code, DiskFormat, Image, ImageKind, ImageName, Refusal, Revision, Timestamp,
};
use innkeeper_store::write_atomically;
use rustix::fs::Mode;
use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
    pin::Pin,
    sync::Arc,
};
use tokio_util::sync::CancellationToken;

/// What was brought in, before it has been looked at; in the work folder.
const SOURCE: &str = "source";

impl Storage {
    /// Takes in an image: fetches or copies it, refuses it if it could be used against the host,
    /// rewrites it if it is qcow2, and only then gives it its name.
    ///
    /// Cancelling it, or dropping the future, ends it between two pieces of work and leaves nothing.
    ///
    /// # Errors
    /// The name is taken; the source cannot be had, has another checksum or is too large; it is no
    /// image of its kind, or a hostile one; the disk is full; `qemu-img` is missing; cancelled.
    pub async fn import(
        &self,
        request: ImportRequest,
        on_progress: &OnProgress,
        cancel: &CancellationToken,
    ) -> Result<Image, Refusal> {
        request.fits_together()?;
        let shared = Arc::clone(&self.shared);
        let name = request.name.clone();
        let work = cancel::briefly(move || {
            refuse_taken(&shared, &name)?;
            WorkFolder::new(&shared.pool.images, "import")
        })
        .await?;
        let import = Import {
            shared: &self.shared,
            request: &request,
            folder: work.path(),
            on_progress,
            cancel,
        };
        match import.run().await {
            Ok(image) => publish(Arc::clone(&self.shared), work, image).await,
            Err(refusal) => {
                // Removing what may be gigabytes takes a moment, which is not the caller's thread's.
                cancel::briefly(move || {
                    drop(work);
                    Ok(())
                })
                .await?;
                Err(refusal)
            }
        }
    }
}

/// One import on its way.
struct Import<'a> {
    shared: &'a Arc<Shared>,
    request: &'a ImportRequest,
    folder: &'a Path,
    on_progress: &'a OnProgress,
    cancel: &'a CancellationToken,
}

impl Import<'_> {
    async fn run(&self) -> Result<Image, Refusal> {
        let begun = Timestamp::now();
        self.bring().await?;
        if let Some(initrd) = &self.request.initrd {
            self.bring_file(initrd, self.request.source.is_confined(), INITRD, "initrd").await?;
        }
        let inspected = self.look().await?;
        let stored = data_file(self.request.kind, inspected.format);
        match inspected.format {
            DiskFormat::Qcow2 => {
                let converting = convert::normalise(
                    self.shared,
                    self.folder,
                    (SOURCE, stored),
                    inspected,
                    self.on_progress,
                    self.cancel,
                );
                converting.await.map_err(|refusal| self.name_source(refusal))?;
            }
            DiskFormat::Raw => {
                let (from, to) = (self.folder.join(SOURCE), self.folder.join(stored));
                fs::rename(&from, &to).map_err(|error| failed("cannot rename", &from, error))?;
            }
        }
        self.describe(inspected, begun).await
    }

    /// Brings the image's bytes into the work folder.
    async fn bring(&self) -> Result<(), Refusal> {
        match &self.request.source {
            ImportSource::File(path) | ImportSource::AllowedFile(path) => {
                let confined = self.request.source.is_confined();
                self.bring_file(path, confined, SOURCE, "path").await
            }
            ImportSource::Url { url, checksum } => {
                let rules = &self.shared.options.http;
                let download = Download {
                    url: url.expose().unwrap_or_default(),
                    checksum: checksum.parse()?,
                    rules,
                    max_size: self.shared.options.max_import_size,
                    permits: download::permits(rules),
                    room: &self.shared.pool.room,
                };
                let source = self.folder.join(SOURCE);
                let into =
                    create(&source).map_err(|error| failed("cannot make", &source, error))?;
                // Without its type: an HTTP client's is too deep for a compiler that looks into it from
                // a whole task.
                let downloading: Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send + '_>> =
                    Box::pin(download.run(into.into(), self.on_progress, self.cancel));
                downloading.await
            }
            ImportSource::Disk { vm, disk, .. } => self.bring_disk(*vm, disk).await,
            ImportSource::Upload { sha256 } => self.bring_upload(sha256.parse()?).await,
        }
    }

    /// Moves an upload into the work folder, and takes its digest.
    async fn bring_upload(&self, expected: Checksum) -> Result<(), Refusal> {
        let (shared, name) = (Arc::clone(self.shared), self.request.name.clone());
        let source = self.folder.join(SOURCE);
        let on_progress = Arc::clone(self.on_progress);
        cancel::blocking(self.cancel, move |cancel| {
            shared.take_upload(&name, &expected, &source)?;
            let file = File::open(&source).map_err(|error| unreadable(&source, error))?;
            let report = Reporter::new(&on_progress, Phase::Digesting, Some(length(&file)?));
            let found = copy::digest(&file, &report, cancel)?;
            if found == expected.as_str() {
                return Ok(());
            }
            let problem = format!("is not what arrived, which has {found}");
            Err(Refusal::invalid("sha256", expected.as_str(), problem)
                .with_hint("send it again from its beginning"))
        })
        .await
    }

    /// Copies a host file into the work folder under this name; `field` is what a refusal blames.
    async fn bring_file(
        &self,
        path: &Path,
        confined: bool,
        name: &str,
        field: &'static str,
    ) -> Result<(), Refusal> {
        let (shared, path) = (Arc::clone(self.shared), path.to_owned());
        let (request, target) = (self.request.clone(), self.folder.join(name));
        let on_progress = Arc::clone(self.on_progress);
        cancel::blocking(self.cancel, move |cancel| {
            let from = shared.open_source(&path, confined, field)?;
            let length = length(&from).map_err(|error| unreadable(&path, error))?;
            if name_is_source(&target) {
                // Refused at once, rather than after gigabytes have been copied; what counts is the
                // look at the copy.
                inspect(&shared, &request, &from)?;
            }
            shared.refuse_too_large(length, field, &path)?;
            let to = File::from(create(&target).map_err(|e| failed("cannot make", &target, e))?);
            let report = Reporter::new(&on_progress, Phase::Copying, Some(length));
            copy::copy(&from, &to, &shared.pool.room, &report, cancel)
        })
        .await
    }

    /// Looks at what was brought in.
    async fn look(&self) -> Result<Inspection, Refusal> {
        let (shared, request) = (Arc::clone(self.shared), self.request.clone());
        let source = self.folder.join(SOURCE);
        cancel::briefly(move || {
            let file = File::open(&source).map_err(|error| unreadable(&source, error))?;
            inspect(&shared, &request, &file)
        })
        .await
    }

    /// Digests and seals what will be stored, and writes what it is.
    async fn describe(&self, inspected: Inspection, begun: Timestamp) -> Result<Image, Refusal> {
        let request = self.request.clone();
        let folder = self.folder.to_owned();
        let on_progress = Arc::clone(self.on_progress);
        let known = self.known_digest(inspected.format)?;
        let lineage = self.lineage(begun)?;
        cancel::blocking(self.cancel, move |cancel| {
            let path = folder.join(data_file(request.kind, inspected.format));
            let file = File::open(&path).map_err(|error| unreadable(&path, error))?;
            let report = Reporter::new(&on_progress, Phase::Digesting, Some(length(&file)?));
            let digest = match known {
                Some(digest) => digest,
                None => copy::digest(&file, &report, cancel)?,
            };
            let mut size = seal(&file, request.kind, cancel)?;
            if request.initrd.is_some() {
                size += seal(&File::open(folder.join(INITRD))?, request.kind, cancel)?;
            }
            let image = Image {
                kind: request.kind,
                format: inspected.format,
                size: ByteSize(size),
                virtual_size: inspected.virtual_size,
                digest,
                initrd: request.initrd.is_some(),
                source: request.source.shown(),
                lineage,
                created: Timestamp::now(),
                problem: None,
                revision: Revision::default(),
                name: request.name,
            };
            let text = serde_json::to_vec_pretty(&image).map_err(io::Error::from)?;
            write_atomically(&folder.join(DESCRIPTION), &text, 0o600)?;
            Ok(image)
        })
        .await
    }

    /// The digest of what will be stored, where it has been taken already: a download that is stored
    /// as it came has the digest it had to have.
    fn known_digest(&self, stored: DiskFormat) -> Result<Option<String>, Refusal> {
        match (&self.request.source, stored) {
            (
                ImportSource::Url { checksum, .. } | ImportSource::Upload { sha256: checksum },
                DiskFormat::Raw,
            ) => Ok(Some(checksum.parse::<Checksum>()?.as_str().to_owned())),
            _ => Ok(None),
        }
    }

    /// Names the source in a refusal that only knows the work folder.
    fn name_source(&self, mut refusal: Refusal) -> Refusal {
        if refusal.field.as_deref() == Some(SOURCE) {
            let (field, source) = (self.request.source.field(), self.request.source.shown());
            let named = format!("{field}: {source:?}");
            refusal.message = refusal.message.replacen("source: \"\"", &named, 1);
            refusal.field = Some(field.into());
            refusal.value = Some(source);
        }
        refusal
    }
}

impl Shared {
    fn open_source(&self, path: &Path, confined: bool, field: &str) -> Result<File, Refusal> {
        let file =
            if confined { self.allowed.file(path) } else { Ok(ConfinedFile::anywhere(path)) };
        file.and_then(|file| file.open(Access::Read)).map(File::from).map_err(|bad| bad.at(field))
    }

    fn refuse_too_large(&self, length: u64, field: &str, path: &Path) -> Result<(), Refusal> {
        let limit = self.options.max_import_size;
        if length > limit.0 {
            let problem = format!("has {}, more than an import may", ByteSize(length));
            let mut refusal = Refusal::invalid(field, path.display(), problem).with_limit(limit);
            refusal.code = Code::TooLarge;
            return Err(refusal);
        }
        Ok(())
    }
}

/// Looks at a file's first bytes for what the request says it is.
fn inspect(shared: &Shared, request: &ImportRequest, file: &File) -> Result<Inspection, Refusal> {
    let (field, shown) = (request.source.field(), request.source.shown());
    let length = length(file)?;
    let raw =
        |virtual_size| Inspection { format: DiskFormat::Raw, virtual_size: ByteSize(virtual_size) };
    match request.kind {
        ImageKind::Kernel => {
            kernel::identify(file).map(|_| raw(length)).map_err(|bad| bad.at(field, &shown))
        }
        ImageKind::Iso if iso::is_iso(&read_head(file, HEAD_LENGTH)?) => Ok(raw(length)),
        ImageKind::Iso => {
            let problem = "is not a CD-ROM image (ISO 9660 or UDF)";
            Err(Refusal::invalid(field, shown, problem).with_hint("a disk needs --kind disk"))
        }
        ImageKind::Disk => {
            let limit = shared.options.max_virtual_size;
            // What a guest wrote to the beginning of its disk says nothing about the format.
            let is_disk = matches!(request.source, ImportSource::Disk { .. });
            let format = if is_disk { Some(DiskFormat::Raw) } else { request.format };
            format::inspect(&read_head(file, HEAD_LENGTH)?, length, format, limit)
                .map_err(|bad| bad.at(field, &shown))
        }
    }
}

fn name_is_source(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == SOURCE)
}

/// Makes a finished file read-only and waits until it is on the disk; says how many bytes it takes.
fn seal(file: &File, kind: ImageKind, cancel: &CancellationToken) -> Result<u64, Refusal> {
    // QEMU opens a kernel anew through the descriptor it is given, as a user of its own; that the
    // file lies in a closed folder is what keeps others out.
    let others = if kind == ImageKind::Kernel { Mode::RGRP | Mode::ROTH } else { Mode::empty() };
    rustix::fs::fchmod(file, Mode::RUSR | others).map_err(io::Error::from)?;
    settle(file, cancel)?;
    Ok(file.metadata()?.blocks() * 512)
}

fn refuse_taken(shared: &Shared, name: &ImageName) -> Result<(), Refusal> {
    if shared.pool.image(name).exists() {
        return Err(taken(name));
    }
    Ok(())
}

fn taken(name: &ImageName) -> Refusal {
    let mut refusal = Refusal::new(Code::NameTaken, format!("there is an image {name} already"))
        .at("name")
        .with_hint("choose another name, or remove it: inn image delete");
    refusal.value = Some(name.to_string());
    refusal
}

async fn publish(shared: Arc<Shared>, work: WorkFolder, image: Image) -> Result<Image, Refusal> {
    cancel::briefly(move || {
        let folder = shared.pool.image(&image.name);
        match work.publish(&folder) {
            Ok(()) => Ok(image),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(taken(&image.name)),
            Err(error) => Err(failed("cannot make", &folder, error)),
        }
    })
    .await
}

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;
