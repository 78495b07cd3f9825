//! The files that a simulated machine's memory goes to: its own format, and an ELF core.
//!
//! An image is a magic word, a version, the length of a header, the header as JSON, and 64 KiB that
//! stand for the contents of the memory and follow from them, so that any damage shows.

use crate::{
    machine::{Device, Machine},
    memory::Memory,
    plan::incompatible,
    randomness::finish,
};
use innkeeper_model::{IncarnationId, Refusal, VmId};
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

const MAGIC: &[u8; 8] = b"INNKSIM\0";
/// The newest version that this binary writes and reads.
const VERSION: u32 = 1;
/// How long the contents are, in bytes.
const CONTENTS: usize = 64 << 10;
/// The longest header, in bytes; it holds at most some forty devices and a note.
const LONGEST_HEADER: u32 = 1 << 20;

/// What a machine's memory is, with what it only fits to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Image {
    pub(crate) vm: VmId,
    pub(crate) incarnation: IncarnationId,
    machine: String,
    cpu_model: String,
    accelerator: String,
    devices: Vec<Device>,
    pub(crate) memory: Memory,
}

impl Image {
    pub(crate) fn of(machine: &Machine) -> Self {
        let incarnation = &machine.incarnation;
        Self {
            vm: incarnation.vm,
            incarnation: incarnation.id,
            machine: incarnation.machine.clone(),
            cpu_model: incarnation.cpu_model.clone(),
            accelerator: incarnation.accelerator.clone(),
            devices: in_order(&machine.devices),
            memory: machine.memory.clone(),
        }
    }

    /// Whether a machine is one that this is the memory of.
    ///
    /// # Errors
    /// It is not; the refusal names in what.
    pub(crate) fn check_fits(&self, machine: &Machine) -> Result<(), Refusal> {
        let here = Self::of(machine);
        let differs = |what: &str, image: String, machine: String| {
            let message =
                format!("the memory image is of {what} {image}, the machine has {machine}");
            Err(incompatible(message))
        };
        if self.vm != here.vm {
            return differs("VM", self.vm.to_string(), here.vm.to_string());
        }
        for (what, image, machine) in [
            ("machine", &self.machine, &here.machine),
            ("CPU", &self.cpu_model, &here.cpu_model),
            ("accelerator", &self.accelerator, &here.accelerator),
        ] {
            if image != machine {
                return differs(what, image.clone(), machine.clone());
            }
        }
        if self.devices != here.devices {
            return differs("devices", listed(&self.devices), listed(&here.devices));
        }
        Ok(())
    }

    /// Writes it to a file that is there, from its beginning.
    ///
    /// # Errors
    /// The host refused.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let header = serde_json::to_vec(self)?;
        let length = u32::try_from(header.len()).map_err(io::Error::other)?;
        let mut whole = Vec::with_capacity(16 + header.len() + CONTENTS);
        whole.extend_from_slice(MAGIC);
        whole.extend_from_slice(&VERSION.to_le_bytes());
        whole.extend_from_slice(&length.to_le_bytes());
        whole.extend_from_slice(&header);
        whole.extend_from_slice(&contents(&self.memory));
        write_over(path, &whole)
    }

    /// Reads it back.
    ///
    /// # Errors
    /// The host refused, or the file is not whole, not of this format, or of a newer version.
    pub(crate) fn read(path: &Path) -> Result<Self, Refusal> {
        let mut file = open(OpenOptions::new().read(true), path)?;
        let mut text = Vec::new();
        let longest = u64::from(LONGEST_HEADER) + 16 + CONTENTS as u64;
        Read::by_ref(&mut file).take(longest + 1).read_to_end(&mut text)?;
        Self::parse(&text).map_err(|problem| {
            incompatible(format!("the memory image {problem}"))
                .at("memory")
                .caused_by(&io::Error::new(io::ErrorKind::InvalidData, path.display().to_string()))
        })
    }

    fn parse(text: &[u8]) -> Result<Self, String> {
        let truncated = || "is truncated".to_owned();
        let (magic, rest) = text.split_first_chunk::<8>().ok_or_else(truncated)?;
        if magic != MAGIC {
            return Err("is not of the simulated hypervisor".into());
        }
        let (version, rest) = rest.split_first_chunk::<4>().ok_or_else(truncated)?;
        let version = u32::from_le_bytes(*version);
        if version > VERSION {
            return Err(format!("is of version {version}; the newest known here is {VERSION}"));
        }
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(truncated)?;
        let length = u32::from_le_bytes(*length);
        if length > LONGEST_HEADER {
            return Err("is damaged: its header has no end".into());
        }
        let (header, rest) = rest.split_at_checked(length as usize).ok_or_else(truncated)?;
        let image: Self = serde_json::from_slice(header)
            .map_err(|error| format!("is damaged in its header: {error}"))?;
        if rest.len() < CONTENTS {
            return Err(truncated());
        }
        if rest != contents(&image.memory) {
            return Err("is damaged: its contents are not those that were written".into());
        }
        Ok(image)
    }
}

/// Writes a machine's memory as an ELF core (x86-64, one segment) to a file that is there, from its
/// beginning.
///
/// # Errors
/// The host refused.
pub(crate) fn write_core(memory: &Memory, path: &Path) -> io::Result<()> {
    const HEADER: usize = 64;
    const SEGMENT: usize = 56;
    let mut core = Vec::with_capacity(HEADER + SEGMENT + CONTENTS);
    // 64 bits, little endian, version 1; ET_CORE, EM_X86_64.
    core.extend_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    core.extend_from_slice(&[4, 0, 62, 0, 1, 0, 0, 0]);
    // No entry, the segments right after this, no sections, no flags; sizes and counts.
    for number in [0, HEADER as u64, 0] {
        core.extend_from_slice(&number.to_le_bytes());
    }
    core.extend_from_slice(&[0; 4]);
    for number in [HEADER as u16, SEGMENT as u16, 1, 0, 0, 0] {
        core.extend_from_slice(&number.to_le_bytes());
    }
    // PT_LOAD, readable and writable, at address 0.
    core.extend_from_slice(&[1, 0, 0, 0, 6, 0, 0, 0]);
    for number in [(HEADER + SEGMENT) as u64, 0, 0, CONTENTS as u64, CONTENTS as u64, 1] {
        core.extend_from_slice(&number.to_le_bytes());
    }
    core.extend_from_slice(&contents(memory));
    write_over(path, &core)
}

/// Empties a file; one that is not there is as empty.
///
/// # Errors
/// The host refused.
pub(crate) fn empty(path: &Path) -> io::Result<()> {
    match open(OpenOptions::new().write(true), path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        file => file?.set_len(0),
    }
}

fn write_over(path: &Path, whole: &[u8]) -> io::Result<()> {
    let mut file = open(OpenOptions::new().write(true), path)?;
    file.set_len(0)?;
    file.write_all(whole)
}

/// Opens a file of Innkeeper's own; there are no links among these.
fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(path)
}

fn contents(memory: &Memory) -> Vec<u8> {
    let mut number = memory.digest();
    let mut contents = Vec::with_capacity(CONTENTS);
    while contents.len() < CONTENTS {
        number = finish(number);
        contents.extend_from_slice(&number.to_le_bytes());
    }
    contents
}

/// Devices in an order that does not depend on which of a group was plugged first.
fn in_order(devices: &[Device]) -> Vec<Device> {
    let mut devices = devices.to_vec();
    devices.sort_by_cached_key(ToString::to_string);
    devices
}

fn listed(devices: &[Device]) -> String {
    let devices: Vec<_> = devices.iter().map(ToString::to_string).collect();
    if devices.is_empty() { "none".into() } else { devices.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use innkeeper_model::Code;

    fn image() -> Image {
        let mut memory = Memory::blank(IncarnationId::new());
        memory.remember("a note");
        Image {
            vm: VmId::new(),
            incarnation: memory.born,
            machine: "m".into(),
            cpu_model: "c".into(),
            accelerator: "a".into(),
            devices: vec![Device::Nic { name: "lan".into() }],
            memory,
        }
    }

    #[test]
    fn an_image_is_read_back_and_is_never_read_when_it_is_not_whole() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![7; 1 << 20]).unwrap();
        let image = image();
        image.write(file.path()).unwrap();
        assert_eq!(Image::read(file.path()).unwrap(), image);

        let whole = std::fs::read(file.path()).unwrap();
        for length in [0, 7, 8, 13, 20, 200, whole.len() - CONTENTS, whole.len() - 1] {
            assert!(Image::parse(&whole[..length]).unwrap_err().contains("truncated"), "{length}");
        }
        for at in (0..whole.len()).step_by(97).chain([0, 8, 12, 16]) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x40;
            assert_ne!(Image::parse(&damaged), Ok(image.clone()), "byte {at}");
        }
        let mut newer = whole.clone();
        newer[8] = 9;
        std::fs::write(file.path(), newer).unwrap();
        let refusal = Image::read(file.path()).unwrap_err();
        assert_eq!(refusal.code, Code::IncompatibleMemory);
        assert!(refusal.message.contains("version 9"), "{refusal}");
        std::fs::write(file.path(), b"QEVM and so on and on").unwrap();
        assert!(Image::read(file.path()).unwrap_err().message.contains("not of the simulated"));
    }

    #[test]
    fn a_link_is_not_followed_and_what_is_not_there_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, b"precious").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(image().write(&link).is_err());
        assert!(empty(&link).is_err());
        assert_eq!(std::fs::read(&file).unwrap(), b"precious");
        assert!(image().write(&folder.path().join("absent")).is_err());
        empty(&folder.path().join("absent")).unwrap();
        assert!(!folder.path().join("absent").exists());
    }

    #[test]
    fn a_core_is_one_that_tools_can_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        write_core(&image().memory, file.path()).unwrap();
        let core = std::fs::read(file.path()).unwrap();
        assert_eq!(&core[..4], b"\x7fELF");
        assert_eq!(core.len(), 64 + 56 + CONTENTS);
        assert_eq!(core[16], 4, "ET_CORE");
        assert_eq!(u64::from_le_bytes(core[72..80].try_into().unwrap()), 120, "where it is");
    }
}
