//! The guests that rows run.

use crate::bench::Bench;
use anyhow::Context;
use innkeeper_model::{
    DiskFormat, Mebibytes, VmConfig,
    config::{Boot, Disk, DiskKind, Display, KernelBoot, Nic},
};
use std::{
    io::{ErrorKind, Read},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// What a sample guest says when its user space is up.
pub(crate) const UP: &[u8] = b"INNKEEPER-GUEST-UP";
/// How long a sample guest may take to its user space; it takes 2 s without KVM.
pub(crate) const UP_WITHIN: Duration = Duration::from_secs(60);
/// Far from the default size of a guest.
const SMALL: Mebibytes = Mebibytes(32);

/// The tiny sample guest, as `make run` boots it.
pub(crate) fn tiny(bench: &Bench, name: &str, more: &str) -> anyhow::Result<VmConfig> {
    let mut config = VmConfig::new(name.parse()?);
    config.memory = Mebibytes(96);
    config.display = Display::None;
    config.boot = Boot::Kernel(KernelBoot {
        image: None,
        path: Some(bench.guests.join("vmlinuz")),
        initrd: Some(bench.guests.join("initrd.img")),
        cmdline: format!("console=ttyS0 quiet {more}").trim_end().into(),
    });
    config.nics.push(Nic { name: "net0".parse()?, network: Default::default(), mac: None });
    Ok(config)
}

/// The least that is a machine: firmware that finds nothing to boot.
pub(crate) fn empty(name: &str) -> anyhow::Result<VmConfig> {
    let mut config = VmConfig::new(name.parse()?);
    config.memory = SMALL;
    config.display = Display::None;
    Ok(config)
}

/// A guest of a few instructions that powers itself off a moment after firmware has found it. Its disk is
/// made in this folder.
pub(crate) fn powers_off(name: &str, folder: &Path) -> anyhow::Result<VmConfig> {
    let path = folder.join(format!("{name}.raw"));
    std::fs::write(&path, boot_sector())?;
    let mut config = empty(name)?;
    config.disks.push(Disk {
        name: "root".parse()?,
        image: None,
        path: Some(path),
        format: Some(DiskFormat::Raw),
        size: None,
        kind: DiskKind::Disk,
        bus: None,
        read_only: false,
        serial: None,
    });
    Ok(config)
}

/// A disk of one boot sector. It waits, so that the changes of its start are over when it ends, then
/// writes S5 to the chipset's power management control register (at 0x604, where SeaBIOS puts it on
/// q35).
fn boot_sector() -> Vec<u8> {
    const CODE: [u8; 20] = [
        0xb4, 0x86, // mov ah, 0x86: the BIOS's wait, for cx:dx microseconds
        0xb9, 0x03, 0x00, // mov cx, 3
        0xba, 0x40, 0x0d, // mov dx, 0x0d40; together 200 ms
        0xcd, 0x15, // int 0x15
        0xba, 0x04, 0x06, // mov dx, 0x604
        0xb8, 0x00, 0x20, // mov ax, 0x2000
        0xef, // out dx, ax
        0xf4, // hlt
        0xeb, 0xfd, // jmp to the hlt
    ];
    // Less than a cylinder is no disk to a BIOS.
    let mut disk = vec![0; 2 << 20];
    disk[..CODE.len()].copy_from_slice(&CODE);
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk
}

/// A guest's serial line. Whoever opens one must read it: a line that nobody reads holds up the guest.
#[derive(Debug)]
pub(crate) struct SerialLine {
    stream: UnixStream,
    buffer: Vec<u8>,
}

impl SerialLine {
    /// Opens the line of a machine, as soon as there is one.
    pub(crate) fn open(run_folder: &Path, at_most: Duration) -> anyhow::Result<Self> {
        let path: PathBuf = run_folder.join("serial.sock");
        let end = Instant::now() + at_most;
        let stream = loop {
            match UnixStream::connect(&path) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > end => {
                    return Err(error).context("the serial line did not appear");
                }
                // Often enough for what takes seconds, and seldom enough not to be in its way.
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        Self::over(stream)
    }

    /// The line at the other end of this connection.
    pub(crate) fn over(stream: UnixStream) -> anyhow::Result<Self> {
        Ok(Self { stream, buffer: vec![0; 64 << 10] })
    }

    /// Reads until this has been said, and says when.
    pub(crate) fn wait_for(&mut self, text: &[u8], at_most: Duration) -> anyhow::Result<Instant> {
        let (end, mut said) = (Instant::now() + at_most, Vec::new());
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let read = self.read_within(left)?;
            let now = Instant::now();
            said.extend_from_slice(read);
            if said.windows(text.len()).any(|window| window == text) {
                return Ok(now);
            }
            if now >= end {
                let said = String::from_utf8_lossy(&said).into_owned();
                anyhow::bail!("the guest did not come up within {at_most:?}; it said {said:?}");
            }
        }
    }

    /// Reads what comes first, or nothing if nothing comes in this time.
    pub(crate) fn read_within(&mut self, at_most: Duration) -> anyhow::Result<&[u8]> {
        self.stream.set_read_timeout(Some(at_most.max(Duration::from_millis(1))))?;
        match self.stream.read(&mut self.buffer) {
            Ok(0) => anyhow::bail!("the machine has ended"),
            Ok(count) => Ok(&self.buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Ok(&[])
            }
            Err(error) => Err(error.into()),
        }
    }
}
