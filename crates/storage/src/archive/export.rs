//! A stopped VM going out as one file, read from its disks as it goes.

use super::{
    MANIFEST, NVRAM, SUMS, disk_member,
    header::{self, BLOCK, padding},
    manifest::Manifest,
};
use crate::{
    cancel,
    confine::Access,
    copy::hex,
    flat::FlatDisk,
    format::{
        blank::CLUSTER,
        packed::{Cluster, Packed},
    },
    storage::{Shared, Storage},
};
use innkeeper_model::{
    ByteSize, Code, Refusal, SmallMap, Spec, Timestamp,
    config::{Boot, Disk, DiskKind, Firmware},
};
use sha2::{Digest, Sha256};
use std::{fs::File, sync::Arc};
use tokio_util::sync::CancellationToken;

/// How much is read at once: whole clusters.
const PIECE: u64 = 1 << 20;
/// The two blocks of zeros at the end of a tar.
const END: u64 = 2 * BLOCK;
/// The length of a line of sums, besides the member's name.
const SUM_LINE: u64 = 64 + 2 + 1;

/// A VM that can be read as one file, from its beginning to its end. It holds its disks open, so that
/// they can be removed meanwhile.
#[derive(Debug)]
pub struct Export {
    members: Vec<Member>,
    length: u64,
    written: Timestamp,
    /// Which member is next, and how much of it has gone.
    next: usize,
    gone: u64,
    hash: Sha256,
    sums: String,
    ended: bool,
}

#[derive(Debug)]
struct Member {
    name: String,
    length: u64,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Text(Vec<u8>),
    /// As it is.
    File(FlatDisk),
    /// In a qcow2 file of its own.
    Disk(Box<(FlatDisk, Packed)>),
}

impl Storage {
    /// Opens a VM to be read as one file. That it is stopped is for the caller to know. Takes as long as
    /// looking through the tables of its disks. Dropping the future leaves nothing.
    ///
    /// # Errors
    /// It has a CD-ROM or a kernel that is a file of this host; a file is missing, or cannot be read.
    pub async fn export(&self, spec: &Arc<Spec>) -> Result<Export, Refusal> {
        let (shared, spec) = (Arc::clone(&self.shared), Arc::clone(spec));
        let storage = self.clone();
        cancel::blocking(&CancellationToken::new(), move |cancel| {
            let images = storage.images_of(&spec)?;
            shared.export(&spec, images, cancel)
        })
        .await
    }

    /// The digests of the images that stay images: CD-ROMs and kernels.
    fn images_of(&self, spec: &Spec) -> Result<SmallMap<String>, Refusal> {
        let cdroms = spec.config.disks.iter().filter(|disk| disk.kind == DiskKind::Cdrom);
        let kernel = match &spec.config.boot {
            Boot::Kernel(kernel) => kernel.image.as_ref(),
            Boot::Firmware(_) => None,
        };
        let names = cdroms.filter_map(|disk| disk.image.as_ref()).chain(kernel);
        names.map(|name| Ok((name.as_str(), self.image(name)?.digest))).collect()
    }
}

impl Shared {
    fn export(
        &self,
        spec: &Spec,
        images: SmallMap<String>,
        cancel: &CancellationToken,
    ) -> Result<Export, Refusal> {
        if let Boot::Kernel(kernel) = &spec.config.boot
            && let Some(path) = &kernel.path
        {
            return Err(only_here("boot.kernel.path", &path.display(), "kernel"));
        }
        let (mut disks, mut members) = (Vec::new(), Vec::new());
        for (index, disk) in spec.config.disks.iter().enumerate() {
            if disk.kind == DiskKind::Cdrom {
                if let Some(path) = &disk.path {
                    let field = format!("disks[{index}].path");
                    return Err(only_here(&field, &path.display(), "iso"));
                }
                disks.push(disk.clone());
                continue;
            }
            let mut flat = self.open_disk(spec.id, disk)?;
            let (occupied, _) = flat.occupied(cancel)?;
            let size = Some(ByteSize(flat.length()));
            disks.push(Disk { size, image: None, path: None, format: None, ..disk.clone() });
            let packed = Packed::new(occupied);
            let (name, length) = (disk_member(&disk.name), packed.length());
            members.push(Member { name, length, source: Source::Disk(Box::new((flat, packed))) });
        }
        if spec.config.boot == Boot::Firmware(Firmware::Uefi) {
            let nvram = self.open_nvram(spec.id)?;
            let (name, length) = (NVRAM.to_owned(), nvram.length());
            members.push(Member { name, length, source: Source::File(nvram) });
        }
        let manifest = Manifest::new(spec, disks, images);
        let text = serde_json::to_vec_pretty(&manifest).map_err(std::io::Error::from)?;
        let (name, length) = (MANIFEST.to_owned(), text.len() as u64);
        members.insert(0, Member { name, length, source: Source::Text(text) });
        Ok(Export::new(members))
    }

    fn open_nvram(&self, vm: innkeeper_model::VmId) -> Result<FlatDisk, Refusal> {
        let file = crate::ConfinedFile::in_pool(&self.pool.folder, format!("volumes/{vm}/{NVRAM}"));
        let opened = file.open(Access::Read).map_err(|bad| bad.at("boot.firmware"))?;
        Ok(FlatDisk::of_raw(File::from(opened))?)
    }
}

fn only_here(field: &str, path: &dyn std::fmt::Display, kind: &str) -> Refusal {
    let mut refusal =
        Refusal::invalid(field, path, "is a file of this host, which is not in the VM's file")
            .with_hint(format!(
                "import it with `inn image add … --kind {kind}`, and name the image"
            ));
    refusal.code = Code::WrongState;
    refusal
}

impl Export {
    fn new(members: Vec<Member>) -> Self {
        let whole = |length: u64| BLOCK + length + padding(length);
        let of_members: u64 = members.iter().map(|member| whole(member.length)).sum();
        let sums = members.iter().map(|member| SUM_LINE + member.name.len() as u64).sum();
        Self {
            members,
            length: of_members + whole(sums) + END,
            written: Timestamp::now(),
            next: 0,
            gone: 0,
            hash: Sha256::new(),
            sums: String::new(),
            ended: false,
        }
    }

    /// How long the file is, in bytes.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Reads the next piece of the file, a mebibyte or so, and gives back what comes after it; nothing at
    /// its end.
    ///
    /// # Errors
    /// `wrong-state`: a disk has been written to since the file was begun; a table leads nowhere; the
    /// system's.
    pub async fn read(mut self) -> Result<Option<(Vec<u8>, Self)>, Refusal> {
        cancel::briefly(move || {
            let piece =
                if self.next < self.members.len() { Some(self.piece()?) } else { self.end()? };
            Ok(piece.map(|piece| (piece, self)))
        })
        .await
    }

    fn piece(&mut self) -> Result<Vec<u8>, Refusal> {
        let member = &mut self.members[self.next];
        let mut piece = match self.gone {
            0 => header::write(&member.name, member.length, self.written)?,
            _ => Vec::new(),
        };
        let start = piece.len();
        let count = PIECE.min(member.length - self.gone);
        member.source.read(self.gone, count, &mut piece)?;
        member.source.is_as_it_was()?;
        self.hash.update(&piece[start..]);
        self.gone += count;
        if self.gone == member.length {
            pad(&mut piece, padding(member.length));
            let digest = hex(&self.hash.finalize_reset());
            self.sums.push_str(&format!("{digest}  {}\n", member.name));
            (self.next, self.gone) = (self.next + 1, 0);
        }
        Ok(piece)
    }

    /// The sums, and the end of the tar: what says that all of it is of one moment.
    fn end(&mut self) -> Result<Option<Vec<u8>>, Refusal> {
        if std::mem::replace(&mut self.ended, true) {
            return Ok(None);
        }
        for member in &self.members {
            member.source.is_as_it_was()?;
        }
        let length = self.sums.len() as u64;
        let mut piece = header::write(SUMS, length, self.written)?;
        piece.extend(self.sums.as_bytes());
        pad(&mut piece, padding(length) + END);
        Ok(Some(piece))
    }
}

impl Source {
    fn read(&mut self, at: u64, count: u64, into: &mut Vec<u8>) -> std::io::Result<()> {
        let position = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let start = into.len();
        match self {
            Self::Text(text) => into.extend(&text[position(at)..position(at + count)]),
            Self::File(file) => {
                into.resize(start + position(count), 0);
                file.read_into(&mut into[start..], at)?;
            }
            Self::Disk(disk) => {
                let (flat, packed) = &mut **disk;
                into.reserve(position(count));
                for number in at / CLUSTER..(at + count) / CLUSTER {
                    let start = into.len();
                    match packed.cluster(number) {
                        Cluster::Table(bytes) => {
                            into.extend(bytes);
                            into.resize(start + position(CLUSTER), 0);
                        }
                        Cluster::Data(from) => {
                            into.resize(start + position(CLUSTER), 0);
                            let there = position(CLUSTER.min(flat.length() - from));
                            flat.read_into(&mut into[start..start + there], from)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn is_as_it_was(&self) -> Result<(), Refusal> {
        match self {
            Self::Text(_) => Ok(()),
            Self::File(disk) => disk.is_as_it_was(),
            Self::Disk(disk) => disk.0.is_as_it_was(),
        }
    }
}

fn pad(piece: &mut Vec<u8>, zeros: u64) {
    piece.resize(piece.len() + usize::try_from(zeros).unwrap_or_default(), 0);
}
