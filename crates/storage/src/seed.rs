//! Cloud-init seeds: the small disk that tells a guest who it is (cloud-init's *NoCloud*).
//!
//! A FAT file system called CIDATA with up to three files. The same documents give the same bytes.
//!
//! The documents are secrets, and the seed is the only place that holds their text: a stored spec has
//! digests. So a seed that is written again (the VM was renamed, or cloned) takes the texts that its
//! spec only knows the digests of from a seed that has them.

mod fat;

use crate::{
    cancel,
    confine::{Access, ConfinedFile},
    pool::{failed, make_folder},
    storage::{Shared, Storage},
};
use fat::{Entry, Fat};
use fatfs::{FileSystem, FormatVolumeOptions, FsOptions};
use innkeeper_model::{Refusal, Secret, VmId, VmName, config::CloudInit};
use innkeeper_store::{harm, write_atomically};
use std::{
    error::Error,
    fs::File,
    io::{self, Cursor, Read, Write},
    sync::Arc,
};
use zeroize::Zeroizing;

/// The seed's file in a VM's folder.
const SEED: &str = "seed.img";
/// The label that cloud-init looks for, padded as FAT has it.
const LABEL: [u8; 11] = *b"CIDATA     ";
/// FAT wants a number; one that does not change keeps the bytes the same.
const VOLUME_ID: u32 = 0x1AAC_5EED;
/// What a seed's size is a multiple of, in bytes; also what its tables and folder fit well within.
const GRAIN: usize = 1 << 20;

/// The seed of one VM, as it is to be written.
#[derive(Debug, Clone, Copy)]
pub struct SeedRequest<'a> {
    /// Whose it is; also its `instance-id`, unless the seed brings its own `meta-data`.
    pub vm: VmId,
    /// The VM's name: `local-hostname`, unless the seed brings its own `meta-data`.
    pub hostname: &'a VmName,
    /// The documents. One of which only the digest is known is taken from the seed that is there.
    pub documents: &'a CloudInit,
    /// A VM whose seed is looked through as well: the one that this is a clone of.
    pub inherit: Option<VmId>,
}

/// One of the files on a seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeedFile {
    /// Who the guest is.
    MetaData,
    /// What it is to do first.
    UserData,
    /// How it is connected; not every seed has one.
    NetworkConfig,
}

impl SeedFile {
    const fn name(self) -> &'static str {
        match self {
            Self::MetaData => "meta-data",
            Self::UserData => "user-data",
            Self::NetworkConfig => "network-config",
        }
    }
}

/// The texts of a seed's files.
struct Contents {
    user_data: Secret,
    meta_data: Secret,
    network_config: Option<Secret>,
}

impl Contents {
    fn files(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            (SeedFile::MetaData, Some(&self.meta_data)),
            (SeedFile::UserData, Some(&self.user_data)),
            (SeedFile::NetworkConfig, self.network_config.as_ref()),
        ]
        .into_iter()
        .filter_map(|(file, text)| Some((file.name(), text?.expose()?)))
    }
}

impl Storage {
    /// Writes a VM's seed, in place of the one it has. Its texts are stored nowhere else.
    ///
    /// # Errors
    /// A document is known by its digest only, and no seed has its text; the disk is full.
    pub async fn write_seed(&self, request: SeedRequest<'_>) -> Result<(), Refusal> {
        let shared = Arc::clone(&self.shared);
        let (vm, inherit) = (request.vm, request.inherit);
        let (hostname, documents) = (request.hostname.clone(), request.documents.clone());
        cancel::briefly(move || {
            let known = shared.known_texts([Some(vm), inherit].into_iter().flatten());
            let contents = contents(vm, &hostname, &documents, &known)?;
            let folder = shared.pool.vm(vm);
            let file = folder.join(SEED);
            let image = image(&contents).map_err(|error| failed("cannot make", &file, error))?;
            make_folder(&folder).map_err(|error| failed("cannot make", &folder, error))?;
            Ok(write_atomically(&file, &image, 0o600)?)
        })
        .await
    }

    /// The text of one file of a VM's seed; `None` where the VM has no seed, or the seed no such file. It
    /// is in memory for as long as the caller has it.
    ///
    /// # Errors
    /// The seed cannot be read.
    pub async fn read_seed(&self, vm: VmId, file: SeedFile) -> Result<Option<Secret>, Refusal> {
        let seed = self.seed(vm);
        cancel::briefly(move || {
            if !seed.path().exists() {
                return Ok(None);
            }
            let opened = seed.open(Access::Read).map_err(|error| error.at("cloud_init"))?;
            let texts = texts(&File::from(opened), |name| name == file.name());
            let texts = texts.map_err(|error| failed("cannot read", seed.path(), error))?;
            Ok(texts.into_iter().next())
        })
        .await
    }

    /// Removes a VM's seed. That there is none is no failure.
    ///
    /// # Errors
    /// The system's.
    pub async fn remove_seed(&self, vm: VmId) -> Result<(), Refusal> {
        let file = self.shared.pool.vm(vm).join(SEED);
        cancel::briefly(move || match harm::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("cannot remove", &file, error))
            }
            _ => Ok(()),
        })
        .await
    }

    /// The file of a VM's seed: a raw disk, to be attached read-only.
    pub fn seed(&self, vm: VmId) -> ConfinedFile {
        self.shared.seed(vm)
    }
}

impl Shared {
    fn seed(&self, vm: VmId) -> ConfinedFile {
        ConfinedFile::in_pool(&self.pool.folder, format!("volumes/{vm}/{SEED}"))
    }

    /// The texts in the seeds of these VMs. A seed that is missing or unreadable has none: what is
    /// then not known is refused by name.
    fn known_texts(&self, vms: impl Iterator<Item = VmId>) -> Vec<Secret> {
        let mut known = Vec::new();
        for vm in vms {
            let Ok(opened) = self.seed(vm).open(Access::Read) else {
                continue;
            };
            match texts(&File::from(opened), |_| true) {
                Ok(texts) => known.extend(texts),
                Err(error) => tracing::warn!(%vm, %error, "the VM's old seed cannot be read"),
            }
        }
        known
    }
}

/// What goes into a seed: what is asked for, what is known, and the defaults.
fn contents(
    vm: VmId,
    hostname: &VmName,
    documents: &CloudInit,
    known: &[Secret],
) -> Result<Contents, Refusal> {
    let text = |document: &Option<Secret>, field: &str| {
        document.as_ref().map(|secret| reveal(secret, known, field)).transpose()
    };
    // Quoted, since YAML would read a host called 42 or true as something else.
    let defaults =
        || Secret::new(format!("instance-id: \"{vm}\"\nlocal-hostname: \"{hostname}\"\n"));
    Ok(Contents {
        // cloud-init takes no seed without this file, be it empty.
        user_data: text(&documents.user_data, "cloud_init.user_data")?.unwrap_or_default(),
        meta_data: text(&documents.meta_data, "cloud_init.meta_data")?.unwrap_or_else(defaults),
        network_config: text(&documents.network_config, "cloud_init.network_config")?,
    })
}

/// The secret with its text.
fn reveal(secret: &Secret, known: &[Secret], field: &str) -> Result<Secret, Refusal> {
    let same = |known: &&Secret| known.digest() == secret.digest();
    let mut known = [secret].into_iter().chain(known.iter().filter(same));
    known.find(|known| known.expose().is_some()).cloned().ok_or_else(|| {
        let problem = "is a digest, and no seed of this VM has the text";
        Refusal::invalid(field, secret.digest(), problem).with_hint("give the text itself")
    })
}

/// The bytes of a disk with these files.
fn image(contents: &Contents) -> io::Result<Zeroizing<Vec<u8>>> {
    let text: usize = contents.files().map(|(_, text)| text.len()).sum();
    let mut bytes = Zeroizing::new(vec![0; (text + GRAIN / 2).next_multiple_of(GRAIN)]);
    let options = FormatVolumeOptions::new().volume_label(LABEL).volume_id(VOLUME_ID);
    fatfs::format_volume(Cursor::new(&mut bytes[..]), options)?;
    let file_system = FileSystem::new(Cursor::new(&mut bytes[..]), FsOptions::new())?;
    for (name, text) in contents.files() {
        let mut file = file_system.root_dir().create_file(name)?;
        file.truncate()?;
        file.write_all(text.as_bytes())?;
        file.flush()?;
    }
    file_system.unmount()?;
    Ok(bytes)
}

/// The texts of the files on a seed that have a name which is wanted.
pub(crate) fn texts(mut disk: &File, is_wanted: impl Fn(&str) -> bool) -> io::Result<Vec<Secret>> {
    // Read whole: a seed is a megabyte or two.
    let mut bytes = Zeroizing::new(Vec::new());
    disk.read_to_end(&mut bytes)?;
    let seed = Fat::open(&bytes)?;
    let wanted: Vec<_> = seed.files()?.into_iter().filter(|file| is_wanted(&file.name)).collect();
    let all = wanted.iter().fold(0_usize, |sum, file| sum.saturating_add(file.size));
    let no_text =
        |why: Box<dyn Error + Send + Sync>| io::Error::new(io::ErrorKind::InvalidData, why);
    if all > bytes.len() {
        return Err(no_text("there is more in its files than on the disk".into()));
    }
    let text = |file: &Entry| -> io::Result<Secret> {
        let bytes = seed.read(file)?;
        let text = std::str::from_utf8(&bytes).map_err(|error| no_text(Box::from(error)))?;
        Ok(Secret::new(text))
    };
    wanted.iter().map(text).collect()
}

#[cfg(test)]
#[path = "seed_tests.rs"]
mod tests;
