//! The memory of a suspended VM, and the dump of a crashed one: files beside its volumes.
//!
//! ```text
//!           create                 seal                    spend
//!   nothing ------> half made ------------> sealed <------------------> spent
//!      ^              memory.img    memory.img + memory.json   return   memory.img + memory.spent
//!      +------------------+-------------------+--------------------------+
//!                                  remove
//! ```
//!
//! Half made it is worth nothing, and so it is once it is spent: its guest may have gone on from it, and
//! changed its disks. Each arrow is one rename or unlink, on the disk before the next thing happens.
//! A half-made image may be one that a hypervisor is still writing while the daemon was restarted, so
//! [`Storage::sweep`] leaves it to the caller, who knows from [`Storage::memories`] what there is.
//!
//! What is in the files is the hypervisor's. It is given descriptors; nobody else can open them.

use crate::{
    cancel, checksum,
    confine::{Access, ConfinedFile},
    pool::{failed, make_folder},
    progress::{OnProgress, Phase, Reporter},
    storage::Storage,
    unfinished::vms,
    volumes::create,
};
use innkeeper_model::{
    ByteSize, Code, Incarnation, MemoryImage, Refusal, Timestamp, VmId, memory::MEMORY_IMAGE_SCHEMA,
};
use innkeeper_store::{harm, sync_folder, write_atomically};
use serde::Deserialize;
use serde_json::Value;
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};
use tokio_util::sync::CancellationToken;

/// The memory itself.
const IMAGE: &str = "memory.img";
/// What is known of it, once it is whole.
const RECORD: &str = "memory.json";
/// The same, once a machine may have gone on from it.
const SPENT: &str = "memory.spent";
/// The dump of a guest's memory.
const DUMP: &str = "dump.elf";

impl Storage {
    /// Where a VM's memory is kept, or would be.
    pub fn memory_path(&self, vm: VmId) -> PathBuf {
        self.shared.pool.vm(vm).join(IMAGE)
    }

    /// Where the dump of a VM's memory is, or would be.
    pub fn dump_path(&self, vm: VmId) -> PathBuf {
        self.shared.pool.vm(vm).join(DUMP)
    }

    /// Makes the empty file that a VM's memory is written to, for its owner alone; in place of one
    /// that is half made or spent.
    ///
    /// # Errors
    /// There is a sealed one; the disk is full; the system's.
    pub async fn create_memory(&self, vm: VmId) -> Result<PathBuf, Refusal> {
        let folder = self.shared.pool.vm(vm);
        cancel::briefly(move || {
            if exists(&folder.join(RECORD))? {
                let message = "the memory of a suspended machine is kept, and would be lost";
                return Err(Refusal::new(Code::WrongState, message).with_hint(HINT));
            }
            make_folder(&folder).map_err(|error| failed("cannot make", &folder, error))?;
            remove_durably(&folder.join(SPENT))?;
            create_file(folder.join(IMAGE))
        })
        .await
    }

    /// Says that a VM's memory is whole: sums it up, and writes down what machine it is of. Both are on
    /// the disk when this returns.
    ///
    /// # Errors
    /// There is no memory, or none was written; cancelled; the disk is full; the system's. The memory is
    /// then still half made.
    pub async fn seal_memory(
        &self,
        vm: VmId,
        incarnation: &Incarnation,
        cancel: &CancellationToken,
    ) -> Result<MemoryImage, Refusal> {
        let (path, folder) = (self.memory_path(vm), self.shared.pool.vm(vm));
        let file = self.open_own(vm, IMAGE)?;
        let size = length(&file, &path)?;
        if size.0 == 0 {
            let message = format!("no memory was written to {}", path.display());
            return Err(Refusal::new(Code::Internal, message));
        }
        // The disk writes while the processor sums. A sync has no way to be ended; it is left to itself.
        let to_sync = file.try_clone()?;
        let synced = cancel::blocking(cancel, move |_| Ok(to_sync.sync_all()?));
        let summed =
            cancel::blocking(cancel, move |cancel| checksum::of_file(&file, |_| (), cancel));
        let both = async { tokio::try_join!(summed, synced) };
        let (checksum, ()) = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(cancel::cancelled()),
            both = both => both.map_err(|refusal| named("cannot keep", &path, refusal))?,
        };
        let image = MemoryImage {
            schema: MEMORY_IMAGE_SCHEMA,
            incarnation: incarnation.clone(),
            size,
            checksum,
            created: Timestamp::now(),
        };
        let written = serde_json::to_vec_pretty(&image).map_err(io::Error::other)?;
        cancel::briefly(move || Ok(write_atomically(&folder.join(RECORD), &written, 0o600)?))
            .await?;
        Ok(image)
    }

    /// What is known of a VM's memory; `None` where there is none, or one that is half made or spent.
    ///
    /// # Errors
    /// `incompatible-memory`: its record is damaged or a newer version's; the system's.
    pub async fn memory(&self, vm: VmId) -> Result<Option<MemoryImage>, Refusal> {
        let folder = self.shared.pool.vm(vm);
        cancel::briefly(move || read_record(&folder)).await
    }

    /// Looks whether a VM's memory can be what its record says, as far as that takes no time: whether
    /// it is all there. [`Storage::verify_memory`] reads it.
    ///
    /// # Errors
    /// `incompatible-memory`: it is not, or has no record; the system's.
    pub async fn check_memory(&self, vm: VmId) -> Result<MemoryImage, Refusal> {
        let folder = self.shared.pool.vm(vm);
        let image = cancel::briefly(move || read_record(&folder)).await?;
        let image = image.ok_or_else(|| incompatible("the VM has no memory that is whole"))?;
        let path = self.memory_path(vm);
        let size = match self.open_own(vm, IMAGE) {
            Ok(file) => length(&file, &path)?,
            Err(refusal) => {
                let message = format!("the memory image {} cannot be opened", path.display());
                return Err(unusable(message, &image).caused_by(&refusal));
            }
        };
        if size != image.size {
            let (path, whole) = (path.display(), image.size);
            let what = if size < whole { "truncated" } else { "damaged" };
            let message =
                format!("the memory image {path} is {what}: it has {size}, and had {whole}");
            return Err(unusable(message, &image).with_limit(whole));
        }
        Ok(image)
    }

    /// Reads a VM's memory and holds it against the checksum in `image`, telling how far it is.
    ///
    /// # Errors
    /// `incompatible-memory`: it is not what was sealed; cancelled; the system's.
    pub async fn verify_memory(
        &self,
        vm: VmId,
        image: &MemoryImage,
        on_progress: &OnProgress,
        cancel: &CancellationToken,
    ) -> Result<(), Refusal> {
        let path = self.memory_path(vm);
        let file = self.open_own(vm, IMAGE)?;
        let report = Reporter::new(on_progress, Phase::Digesting, Some(image.size.0));
        let sum = move |cancel: &CancellationToken| {
            checksum::of_file(&file, |bytes| report.done(bytes), cancel)
        };
        let found = cancel::blocking(cancel, sum).await?;
        if found == image.checksum {
            return Ok(());
        }
        let (path, sealed) = (path.display(), &image.checksum);
        let message =
            format!("the memory image {path} is damaged: it is {found}, and was {sealed}");
        Err(unusable(message, image).with_limit(sealed))
    }

    /// Says that a machine is about to go on from a VM's memory: it must never be used again. On the
    /// disk when this returns. That it is spent already is no failure, nor that there is none.
    ///
    /// # Errors
    /// The system's; it is then still sealed.
    pub async fn spend_memory(&self, vm: VmId) -> Result<(), Refusal> {
        self.rename_record(vm, RECORD, SPENT).await
    }

    /// Takes [`Storage::spend_memory`] back, after the machine is known not to have gone on.
    ///
    /// # Errors
    /// The system's; it is then still spent.
    pub async fn return_memory(&self, vm: VmId) -> Result<(), Refusal> {
        self.rename_record(vm, SPENT, RECORD).await
    }

    /// Removes a VM's memory, in whatever state. That there is none is no failure.
    ///
    /// # Errors
    /// The system's; a sealed one is then at worst half made.
    pub async fn remove_memory(&self, vm: VmId) -> Result<(), Refusal> {
        // The record first, and for certain: what is left without it is worth nothing.
        self.remove_own(vm, &[RECORD], &[SPENT, IMAGE]).await
    }

    /// The VMs that have memory in the pool, in the order of their ids; `None` for what is half made or
    /// spent. What has no record may still be being written by a hypervisor. Blocks.
    ///
    /// # Errors
    /// The folder of volumes cannot be listed.
    #[expect(
        clippy::type_complexity,
        reason = "a list of what each VM has, or why that cannot be told"
    )]
    pub fn memories(&self) -> Result<Vec<(VmId, Result<Option<MemoryImage>, Refusal>)>, Refusal> {
        let volumes = &self.shared.pool.volumes;
        let vms = vms(volumes).map_err(|error| failed("cannot list", volumes, error))?;
        let memory_of = |vm: VmId| {
            let folder = self.shared.pool.vm(vm);
            let there = [IMAGE, RECORD, SPENT].iter().any(|name| folder.join(name).exists());
            there.then(|| (vm, read_record(&folder)))
        };
        Ok(vms.into_iter().filter_map(memory_of).collect())
    }

    /// Makes the empty file that the dump of a VM's memory is written to, in place of an earlier one:
    /// only the newest is kept.
    ///
    /// # Errors
    /// The disk is full; the system's.
    pub async fn create_dump(&self, vm: VmId) -> Result<PathBuf, Refusal> {
        let folder = self.shared.pool.vm(vm);
        cancel::briefly(move || {
            make_folder(&folder).map_err(|error| failed("cannot make", &folder, error))?;
            create_file(folder.join(DUMP))
        })
        .await
    }

    /// Removes the dump of a VM's memory. That there is none is no failure.
    ///
    /// # Errors
    /// The system's.
    pub async fn remove_dump(&self, vm: VmId) -> Result<(), Refusal> {
        self.remove_own(vm, &[], &[DUMP]).await
    }

    fn open_own(&self, vm: VmId, name: &str) -> Result<File, Refusal> {
        let pool = &self.shared.pool.folder;
        let file = ConfinedFile::in_pool(pool, format!("volumes/{vm}/{name}"));
        Ok(file.open(Access::Read).map_err(|bad| bad.at("memory"))?.into())
    }

    async fn rename_record(
        &self,
        vm: VmId,
        from: &'static str,
        to: &'static str,
    ) -> Result<(), Refusal> {
        let folder = self.shared.pool.vm(vm);
        cancel::briefly(move || match fs::rename(folder.join(from), folder.join(to)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            renamed => renamed
                .and_then(|()| sync_folder(&folder))
                .map_err(|error| failed("cannot rename", &folder.join(from), error)),
        })
        .await
    }

    /// Removes files of a VM. Those of `durably` are gone after a crash as well; of the others the next
    /// daemon may find some, and removes them again.
    async fn remove_own(
        &self,
        vm: VmId,
        durably: &'static [&str],
        others: &'static [&str],
    ) -> Result<(), Refusal> {
        let folder = self.shared.pool.vm(vm);
        cancel::briefly(move || {
            for name in durably {
                remove_durably(&folder.join(name))?;
            }
            for name in others {
                let path = folder.join(name);
                unlink(&path).map_err(|error| failed("cannot remove", &path, error))?;
            }
            // A VM without volumes has no folder. Where there is something in it, it stays.
            drop(harm::remove_dir(&folder));
            Ok(())
        })
        .await
    }
}

/// The file of a memory in a VM's folder that never was whole, if there is one: nobody can go on from it.
pub(crate) fn half_made(folder: &Path) -> Option<PathBuf> {
    let is_there = |name| folder.join(name).symlink_metadata().is_ok();
    let is_half_made = is_there(IMAGE) && !is_there(RECORD) && !is_there(SPENT);
    is_half_made.then(|| folder.join(IMAGE))
}

const HINT: &str = "`inn start VM --discard-memory` starts the VM without it";

fn incompatible(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::IncompatibleMemory, message).with_hint(HINT)
}

/// Says of an image that is no good any more what it was of.
fn unusable(problem: String, image: &MemoryImage) -> Refusal {
    incompatible(format!("{problem}; it was of {}", image.incarnation.makings()))
}

/// The same refusal, saying of which file.
fn named(what: &str, path: &Path, mut refusal: Refusal) -> Refusal {
    refusal.message = format!("{what} {}: {}", path.display(), refusal.message);
    refusal
}

fn create_file(path: PathBuf) -> Result<PathBuf, Refusal> {
    create(&path).map_err(|error| failed("cannot make", &path, error))?;
    Ok(path)
}

/// Removes a file, on the disk too. That there is none is no failure.
fn remove_durably(path: &Path) -> Result<(), Refusal> {
    let removed = match unlink(path) {
        Ok(true) => path.parent().map_or(Ok(()), sync_folder),
        Ok(false) => Ok(()),
        Err(error) => Err(error),
    };
    removed.map_err(|error| failed("cannot remove", path, error))
}

/// Takes a file's name away, and says whether there was one. The room of a large file takes a while to
/// give back; nobody waits for that.
fn unlink(path: &Path) -> io::Result<bool> {
    let kept = File::open(path);
    match harm::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        removed => removed?,
    }
    if let Ok(file) = kept {
        // Where there is no thread to be had, it is closed here.
        drop(std::thread::Builder::new().spawn(move || drop(file)));
    }
    Ok(true)
}

fn exists(path: &Path) -> Result<bool, Refusal> {
    path.try_exists().map_err(|error| failed("cannot look at", path, error))
}

fn length(file: &File, path: &Path) -> Result<ByteSize, Refusal> {
    let metadata = file.metadata().map_err(|error| failed("cannot look at", path, error))?;
    Ok(ByteSize(metadata.len()))
}

/// What every version of a record has.
#[derive(Deserialize)]
struct Version {
    schema: u32,
}

fn read_record(folder: &Path) -> Result<Option<MemoryImage>, Refusal> {
    let path = folder.join(RECORD);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|error| failed("cannot read", &path, error))?,
    };
    let damaged = |error: serde_json::Error| {
        let message = format!(
            "what is known of the VM's memory image is damaged: {}; {}",
            path.display(),
            legible(&text)
        );
        incompatible(message).caused_by(&error)
    };
    let Version { schema } = serde_json::from_slice(&text).map_err(damaged)?;
    if schema > MEMORY_IMAGE_SCHEMA {
        let message = format!(
            "the VM's memory image is too new: a newer Innkeeper wrote {}, in version {schema}; {}",
            path.display(),
            legible(&text)
        );
        return Err(incompatible(message).with_limit(MEMORY_IMAGE_SCHEMA));
    }
    serde_json::from_slice(&text).map(Some).map_err(damaged)
}

/// What a record that is not understood says of its machine all the same.
fn legible(text: &[u8]) -> String {
    let record: Value = serde_json::from_slice(text).unwrap_or_default();
    let word = |key: &str| record["incarnation"][key].as_str().unwrap_or("unknown");
    format!(
        "it is of hypervisor {} {}, machine {}, CPU {} and accelerator {}",
        word("driver"),
        word("hypervisor_version"),
        word("machine"),
        word("cpu_model"),
        word("accelerator")
    )
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
