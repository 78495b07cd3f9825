//! A VM coming in as one file, piece by piece, from somebody who is not believed.
//!
//! Each member is looked at before its first byte is stored: whether its name is one that the file may
//! have, whether it is a file and not a link, whether there was one before, and how long it may be. What
//! arrives is written where it will be read from, and digested on the way. Whatever is wrong ends it, and
//! leaves nothing.
//!
//! What the VM is comes first. Whoever receives it is asked then whether there may be such a one, and only what that VM
//! can have is promised room in the pool: how long somebody says that a file is takes nothing.

use super::{
    MANIFEST, NVRAM, SUMS, bad, disk_member,
    header::{self, BLOCK, padding},
    manifest::Manifest,
    staged::{StagedVm, Staging},
};
use crate::{
    cancel,
    copy::{hex, write_data},
    flat::FlatDisk,
    format::{self, HEAD_LENGTH},
    layers::read_head,
    pool::failed,
    room::Promise,
    storage::{Shared, Storage},
    volumes::{MAX_NVRAM, create},
};
use innkeeper_model::{
    ByteSize, Code, DiskFormat, Refusal,
    config::{Boot, Disk, Firmware},
};
use sha2::{Digest, Sha256};
use std::{fmt, fs::File, sync::Arc};
use tokio_util::sync::CancellationToken;

/// The longest `vm.json`, in bytes: all that a configuration can have, several times.
const MAX_MANIFEST: u64 = 1 << 20;
/// The longest list of digests.
const MAX_SUMS: u64 = 64 << 10;
/// The most zeros behind the end of a tar; `tar` itself fills up to 10 KiB.
const MAX_TAIL: u64 = 1 << 20;

/// A file that is being received. Dropping it throws away what has arrived.
#[derive(Debug)]
pub struct Arrival {
    shared: Arc<Shared>,
    staging: Staging,
    state: State,
    manifest: Option<Manifest>,
    admission: Admission,
    /// How long the file is said to be.
    length: Option<u64>,
    /// How much of it has come.
    arrived: u64,
    /// The members that have arrived, each with its digest.
    members: Vec<(String, String)>,
    nvram: Option<u64>,
    /// The room for what has not come yet, as far as that is known.
    promise: Promise,
    /// How many bytes of members have been announced.
    announced: u64,
    has_sums: bool,
}

/// Whether there may be such a VM.
enum Admission {
    /// It is asked when it is known which.
    Asks(Box<Admit>),
    /// There may.
    Given { _held: Held },
    /// There may not.
    Refused,
}

/// Says whether there may.
type Admit = dyn FnOnce(&Manifest) -> Result<Held, Refusal> + Send;
/// What is held for a VM until all of it has arrived.
type Held = Box<dyn Send>;

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asks(_) => "Asks",
            Self::Given { .. } => "Given",
            Self::Refused => "Refused",
        })
    }
}

/// What the next byte is of.
#[derive(Debug)]
enum State {
    /// Of the block before a member, of which this much has come.
    Header(Vec<u8>),
    Member(Box<Member>),
    /// Of so many bytes between a member and the next block.
    Padding(u64),
    /// Of what is behind the end, of which there was so much.
    Tail(u64),
}

/// A member that is arriving.
#[derive(Debug)]
struct Member {
    name: String,
    length: u64,
    arrived: u64,
    hash: Sha256,
    into: Into,
}

#[derive(Debug)]
enum Into {
    Memory(Vec<u8>),
    File(File),
}

impl Storage {
    /// Begins to receive a VM as one file. `length` is how long it is, where that is known. When it is known what the
    /// VM is, `admit` is asked whether there may be such a one, before there is room for it; what that hands back is
    /// dropped when all has arrived, or when nothing more will. It must not wait for anything.
    ///
    /// # Errors
    /// It is too large; the system's. Whether there is room for it is not told before `admit` was asked.
    pub async fn receive_vm<H: Send + 'static>(
        &self,
        length: Option<u64>,
        admit: impl FnOnce(&Manifest) -> Result<H, Refusal> + Send + 'static,
    ) -> Result<Arrival, Refusal> {
        let shared = Arc::clone(&self.shared);
        cancel::briefly(move || Arrival::new(&shared, length, admit)).await
    }
}

impl Arrival {
    /// Begins to receive a file. Blocks.
    pub(super) fn new<H: Send + 'static>(
        shared: &Arc<Shared>,
        length: Option<u64>,
        admit: impl FnOnce(&Manifest) -> Result<H, Refusal> + Send + 'static,
    ) -> Result<Self, Refusal> {
        refuse_too_large(length.unwrap_or_default(), shared.options.max_import_size)?;
        let admit = |manifest: &Manifest| admit(manifest).map(|held| Box::new(held) as Held);
        Ok(Self {
            promise: shared.pool.room.promise(0)?,
            staging: Staging::new(&shared.pool)?,
            state: State::Header(Vec::new()),
            manifest: None,
            admission: Admission::Asks(Box::new(admit)),
            length,
            arrived: 0,
            members: Vec::new(),
            nvram: None,
            announced: 0,
            has_sums: false,
            shared: Arc::clone(shared),
        })
    }

    /// Whether what came says which VM it is.
    #[must_use]
    pub const fn knows_its_vm(&self) -> bool {
        self.manifest.is_some()
    }

    /// Takes the next piece, and gives itself back for the one after it.
    ///
    /// # Errors
    /// It is not such a file, or a hostile one, or too large; a full disk; the system's. Nothing of it is
    /// kept then, as when the future is dropped.
    pub async fn write<P>(mut self, piece: P) -> Result<Self, Refusal>
    where
        P: AsRef<[u8]> + Send + 'static,
    {
        cancel::briefly(move || {
            self.take(piece.as_ref())?;
            Ok(self)
        })
        .await
    }

    /// Says that there is no more, and has all of it looked at: the tables of its disks, too.
    ///
    /// # Errors
    /// It is cut short; a disk in it is damaged, hostile, or another than it is said to be; cancelled,
    /// because the future was dropped. Nothing of it is kept then.
    pub async fn finish(self) -> Result<StagedVm, Refusal> {
        cancel::blocking(&CancellationToken::new(), move |cancel| {
            if !(self.has_sums && matches!(self.state, State::Tail(_))) {
                let message = "the file ends before its end: it is cut short";
                return Err(Refusal::new(Code::BadRequest, message)
                    .with_hint("send it again, or export the VM again"));
            }
            let manifest = self.manifest.ok_or_else(|| bad(MANIFEST, "is missing"))?;
            for disk in manifest.disks() {
                look_through(&self.staging, disk, cancel)?;
            }
            Ok(StagedVm::new(manifest, self.nvram, self.staging))
        })
        .await
    }

    /// Takes a piece. Blocks.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Result<(), Refusal> {
        while !bytes.is_empty() {
            let left = bytes.len() as u64;
            let count = match &mut self.state {
                State::Header(block) => (BLOCK - block.len() as u64).min(left),
                State::Member(member) => (member.length - member.arrived).min(left),
                State::Padding(zeros) => (*zeros).min(left),
                State::Tail(_) => left,
            };
            let (piece, rest) = bytes.split_at(usize::try_from(count).unwrap_or(usize::MAX));
            self.take_of_one(piece)?;
            self.arrived += count;
            self.promise.written(count);
            if self.manifest.is_some() {
                self.be_admitted()?;
            }
            bytes = rest;
        }
        Ok(())
    }

    /// Asks whether there may be such a VM, once, and has the rest of its file promised its room.
    fn be_admitted(&mut self) -> Result<(), Refusal> {
        let (Some(manifest), Admission::Asks(_)) = (&self.manifest, &self.admission) else {
            return Ok(());
        };
        let asked = std::mem::replace(&mut self.admission, Admission::Refused);
        if let Admission::Asks(admit) = asked {
            self.admission = Admission::Given { _held: admit(manifest)? };
        }
        let Some(length) = self.length else { return Ok(()) };
        let most = longest_file(manifest);
        if length > most {
            let message = format!(
                "the file is said to have {}, and that of this VM cannot have so much",
                ByteSize(length)
            );
            return Err(Refusal::new(Code::TooLarge, message).with_limit(ByteSize(most)));
        }
        self.promise.cover(length.saturating_sub(self.arrived))
    }

    /// Takes what is all of the same part of the file.
    fn take_of_one(&mut self, piece: &[u8]) -> Result<(), Refusal> {
        let count = piece.len() as u64;
        match &mut self.state {
            State::Header(block) => {
                block.extend(piece);
                if block.len() as u64 == BLOCK {
                    let block = std::mem::take(block);
                    self.begin(&block)?;
                }
            }
            State::Member(member) => {
                member.take(piece)?;
                if member.arrived == member.length {
                    self.end_member()?;
                }
            }
            State::Padding(zeros) => {
                *zeros -= count;
                if *zeros == 0 {
                    self.state = State::Header(Vec::new());
                }
            }
            State::Tail(zeros) => {
                *zeros += count;
                if *zeros > MAX_TAIL || piece.iter().any(|byte| *byte != 0) {
                    return Err(Refusal::new(
                        Code::BadRequest,
                        "there is more behind the file's end",
                    ));
                }
            }
        }
        Ok(())
    }

    /// Begins what a block says that comes: a member, or the end.
    fn begin(&mut self, block: &[u8]) -> Result<(), Refusal> {
        if block.iter().all(|byte| *byte == 0) {
            self.state = State::Tail(0);
            return Ok(());
        }
        let (name, length) = header::read(block)?;
        if self.has_sums {
            return Err(bad(&name, format!("comes after {SUMS}, which is the last")));
        }
        if self.members.iter().any(|(known, _)| *known == name) {
            return Err(bad(&name, "is there twice"));
        }
        let most = self.most(&name)?;
        if length > most {
            let mut refusal = bad(&name, format!("has {}, more than it can", ByteSize(length)))
                .with_limit(ByteSize(most));
            refusal.code = Code::TooLarge;
            return Err(refusal);
        }
        self.announced = self.announced.saturating_add(length);
        refuse_too_large(self.announced, self.shared.options.max_import_size)?;
        let into = match name.as_str() {
            MANIFEST | SUMS => Into::Memory(Vec::new()),
            _ => {
                self.promise.cover(length)?;
                let path = self.staging.path(&name);
                let file = create(&path).map_err(|error| failed("cannot make", &path, error))?;
                Into::File(file.into())
            }
        };
        let member = Member { name, length, arrived: 0, hash: Sha256::new(), into };
        self.state = State::Member(Box::new(member));
        if length == 0 { self.end_member() } else { Ok(()) }
    }

    /// How long a member of this name may be, if there may be one.
    fn most(&self, name: &str) -> Result<u64, Refusal> {
        let Some(manifest) = &self.manifest else {
            if name == MANIFEST {
                return Ok(MAX_MANIFEST);
            }
            return Err(bad(name, format!("is not {MANIFEST}, which is the first of a VM's file"))
                .with_hint("inn import takes what inn export has written"));
        };
        if let Some(disk) = manifest.disks().find(|disk| disk_member(&disk.name) == name) {
            return Ok(longest(disk.size.unwrap_or_default().0));
        }
        match name {
            SUMS => Ok(MAX_SUMS),
            NVRAM if has_nvram(manifest) => Ok(MAX_NVRAM),
            _ => Err(bad(name, "is nothing that its VM has")),
        }
    }

    fn end_member(&mut self) -> Result<(), Refusal> {
        let State::Member(member) = std::mem::replace(&mut self.state, State::Tail(0)) else {
            return Ok(());
        };
        let Member { name, length, hash, into, .. } = *member;
        self.state = match padding(length) {
            0 => State::Header(Vec::new()),
            zeros => State::Padding(zeros),
        };
        let digest = hex(&hash.finalize());
        match into {
            Into::Memory(text) if name == SUMS => {
                self.has_sums = true;
                return self.compare(&text);
            }
            Into::Memory(text) => self.manifest = Some(self.read_manifest(&text)?),
            // What ends with zeros was not written to its end.
            Into::File(file) => file.set_len(length)?,
        }
        if name == NVRAM {
            self.nvram = Some(length);
        }
        self.members.push((name, digest));
        Ok(())
    }

    fn read_manifest(&self, text: &[u8]) -> Result<Manifest, Refusal> {
        let manifest = Manifest::read(text)?;
        for disk in manifest.disks() {
            // Refused before its bytes come, rather than after.
            self.shared.size_and_base(disk)?;
        }
        Ok(manifest)
    }

    /// That the digests are those of what has arrived, of all of it and of nothing else.
    fn compare(&self, sums: &[u8]) -> Result<(), Refusal> {
        let sums = std::str::from_utf8(sums).map_err(|_| bad(SUMS, "is no text"))?;
        let mut left: Vec<&(String, String)> = self.members.iter().collect();
        for line in sums.lines() {
            // Between them is a space, and another for text or an asterisk for binary.
            let parts = line.split_once("  ").or_else(|| line.split_once(" *"));
            let is_digest =
                |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
            let parts = parts.filter(|(digest, _)| is_digest(digest));
            let (digest, name) = parts.ok_or_else(|| bad(SUMS, "is not what sha256sum writes"))?;
            let at = left.iter().position(|(known, _)| known == name);
            let (_, found) = left.swap_remove(at.ok_or_else(|| bad(name, "did not come"))?);
            if !found.eq_ignore_ascii_case(digest) {
                let problem = format!("has the SHA-256 {found}, and {SUMS} says {digest}");
                return Err(bad(name, problem).with_hint("send it again, or export the VM again"));
            }
        }
        if let Some((name, _)) = left.first() {
            return Err(bad(name, format!("has no digest in {SUMS}")));
        }
        let manifest = self.manifest.as_ref().ok_or_else(|| bad(MANIFEST, "is missing"))?;
        let came = |disk: &&Disk| {
            let member = disk_member(&disk.name);
            !self.members.iter().any(|(known, _)| *known == member)
        };
        match manifest.disks().find(came) {
            Some(disk) => Err(bad(&disk_member(&disk.name), "is missing")),
            None => Ok(()),
        }
    }
}

impl Member {
    fn take(&mut self, piece: &[u8]) -> Result<(), Refusal> {
        self.hash.update(piece);
        match &mut self.into {
            Into::Memory(text) => text.extend(piece),
            Into::File(file) => write_data(file, piece, self.arrived)?,
        }
        self.arrived += piece.len() as u64;
        Ok(())
    }
}

/// How long a file with a disk of this size can be: the tables of a full one have a five-hundredth of it.
const fn longest(size: u64) -> u64 {
    size.saturating_add(size / 500).saturating_add(16 << 20)
}

/// How long a file with this VM can be.
fn longest_file(manifest: &Manifest) -> u64 {
    let disks = manifest.disks().map(|disk| longest(disk.size.unwrap_or_default().0));
    let others =
        [MAX_MANIFEST, MAX_SUMS].into_iter().chain(has_nvram(manifest).then_some(MAX_NVRAM));
    // A block before each, and less than one behind it.
    let members = disks.chain(others).map(|length| length.saturating_add(2 * BLOCK));
    members.fold(MAX_TAIL, u64::saturating_add)
}

fn has_nvram(manifest: &Manifest) -> bool {
    manifest.config.boot == Boot::Firmware(Firmware::Uefi)
}

/// Looks through a disk that has arrived, as far as its tables: it stands alone, is as large as is said,
/// and has not more on it than in it.
fn look_through(staging: &Staging, disk: &Disk, cancel: &CancellationToken) -> Result<(), Refusal> {
    let member = disk_member(&disk.name);
    let file = File::open(staging.path(&member))?;
    let length = file.metadata()?.len();
    let size = disk.size.unwrap_or_default();
    let head = read_head(&file, HEAD_LENGTH)?;
    let declared = Some(DiskFormat::Qcow2);
    let found = format::inspect(&head, length, declared, size).map_err(|unfit| {
        let refusal = unfit.at(&member, "");
        let message = format!("{member} in the file cannot be used: {unfit}");
        Refusal { message, value: None, ..refusal }
    })?;
    if found.virtual_size != size {
        let problem = format!("is a disk of {}, and {MANIFEST} says {size}", found.virtual_size);
        return Err(bad(&member, problem));
    }
    let damaged = |refusal: Refusal| match refusal.code {
        Code::Cancelled => refusal,
        _ => Refusal { causes: refusal.causes, ..bad(&member, "is damaged, or packed") }
            .with_hint("rewrite it: qemu-img convert -O qcow2 FILE NEW.qcow2"),
    };
    let mut flat = FlatDisk::of_qcow2(file).map_err(|error| damaged(error.into()))?;
    let (_, bytes) = flat.occupied(cancel).map_err(damaged)?;
    if bytes > length {
        let problem = "has the same bytes in several places of the disk";
        return Err(
            bad(&member, problem).with_hint("rewrite it: qemu-img convert -O qcow2 FILE NEW.qcow2")
        );
    }
    Ok(())
}

fn refuse_too_large(length: u64, limit: ByteSize) -> Result<(), Refusal> {
    if length <= limit.0 {
        return Ok(());
    }
    let message = format!("this is {} or more, more than an import may have", ByteSize(length));
    Err(Refusal::new(Code::TooLarge, message)
        .with_limit(limit)
        .with_hint("an operator can allow more: storage.max_import_size"))
}
