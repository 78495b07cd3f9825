//! The guests that rows run.

use crate::bench::Bench;
use anyhow::Context;
use innkeeper_model::{
    DiskFormat, Mebibytes, VmConfig,
    config::{Boot, Disk, DiskKind, Display, KernelBoot, Nic},
};
use std::{
    io::{ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// What a sample guest says when its user space is up.
pub(crate) const UP: &[u8] = b"INNKEEPER-GUEST-UP";
/// What a guest says when it has filled its memory.
pub(crate) const FILLED: &[u8] = b"F";
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
    config.nics.push(Nic::new("net0".parse()?));
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
    // It waits, so that the changes of its start are over when it ends, then writes S5 to the chipset's
    // power management control register (at 0x604, where SeaBIOS puts it on q35).
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
    boots(name, &CODE, folder)
}

/// A guest of 256 MiB that fills 240 of them with what cannot be left out of an image, says [`FILLED`]
/// and rests. Its disk is made in this folder.
pub(crate) fn fills_its_memory(name: &str, folder: &Path) -> anyhow::Result<VmConfig> {
    // To 32-bit protected mode with flat segments; firmware has opened the address line 20.
    const CODE: [u8; 94] = [
        0xfa, // cli
        0x66, 0x0f, 0x01, 0x16, 0x40, 0x7c, // lgdtl 0x7c40
        0x0f, 0x20, 0xc0, // mov eax, cr0
        0x0c, 0x01, // or al, 1
        0x0f, 0x22, 0xc0, // mov cr0, eax
        0xea, 0x14, 0x7c, 0x08, 0x00, // jmp 8:0x7c14
        0x66, 0xb8, 0x10, 0x00, // mov ax, 16
        0x8e, 0xd8, // mov ds, ax
        0x8e, 0xc0, // mov es, ax
        0xbf, 0x00, 0x00, 0x10, 0x00, // mov edi, 1 MiB
        0xb9, 0x00, 0x00, 0xc0, 0x03, // mov ecx, 240 Mi / 4
        0x89, 0xf8, // mov eax, edi
        // A linear congruential generator (Numerical Recipes'), a word a round:
        0x69, 0xc0, 0x0d, 0x66, 0x19, 0x00, // imul eax, eax, 1664525
        0x05, 0x5f, 0xf3, 0x6e, 0x3c, // add eax, 1013904223
        0xab, // stosd
        0xe2, 0xf2, // loop
        0x66, 0xba, 0xf8, 0x03, // mov dx, the first serial port
        0xb0, FILLED[0], // mov al, 'F'
        0xee,      // out dx, al
        0xf4,      // hlt
        0xeb, 0xfd, // jmp to the hlt
        0x17, 0x00, 0x46, 0x7c, 0x00, 0x00, // the table of segments: 24 bytes at 0x7c46
        0, 0, 0, 0, 0, 0, 0, 0, // none
        0xff, 0xff, 0x00, 0x00, 0x00, 0x9a, 0xcf, 0x00, // code: all 4 GiB
        0xff, 0xff, 0x00, 0x00, 0x00, 0x92, 0xcf, 0x00, // data: the same
    ];
    let mut config = boots(name, &CODE, folder)?;
    config.memory = Mebibytes(256);
    Ok(config)
}

/// A guest that writes to its serial line without end, as fast as that takes it. Its disk is made in
/// this folder.
pub(crate) fn writes_without_end(name: &str, folder: &Path) -> anyhow::Result<VmConfig> {
    const CODE: [u8; 19] = [
        0xba, 0xfd, 0x03, // mov dx, the first serial port's state
        0xec, // in al, dx
        0xa8, 0x20, // test al, whether there is room
        0x74, 0xfb, // jz to the in
        0xb2, 0xf8, // mov dl, the port
        0x88, 0xd8, // mov al, bl
        0xee, // out dx, al
        0xfe, 0xc3, // inc bl
        0xb2, 0xfd, // mov dl, its state
        0xeb, 0xf0, // jmp to the in
    ];
    boots(name, &CODE, folder)
}

/// A guest that writes back what comes in on its serial line. Its disk is made in this folder.
pub(crate) fn echoes(name: &str, folder: &Path) -> anyhow::Result<VmConfig> {
    const CODE: [u8; 16] = [
        0xba, 0xfd, 0x03, // mov dx, the first serial port's state
        0xec, // in al, dx
        0xa8, 0x01, // test al, whether something has come
        0x74, 0xfb, // jz to the in
        0xb2, 0xf8, // mov dl, the port
        0xec, // in al, dx
        0xee, // out dx, al
        0xb2, 0xfd, // mov dl, its state
        0xeb, 0xf3, // jmp to the in
    ];
    boots(name, &CODE, folder)
}

/// The same guest with one NIC, on this network, at this address.
pub(crate) fn on_network(
    mut config: VmConfig,
    network: &str,
    address: &str,
) -> anyhow::Result<VmConfig> {
    let mut nic = Nic::new("net0".parse()?);
    nic.network = network.parse()?;
    nic.addresses = vec![address.parse()?];
    config.nics = vec![nic];
    Ok(config)
}

/// A guest whose disk's first sector is this.
fn boots(name: &str, code: &[u8], folder: &Path) -> anyhow::Result<VmConfig> {
    let path = folder.join(format!("{name}.raw"));
    // Less than a cylinder is no disk to a BIOS.
    let mut disk = vec![0; 2 << 20];
    disk[..code.len()].copy_from_slice(code);
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    std::fs::write(&path, disk)?;
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

    /// Types something.
    pub(crate) fn say(&mut self, text: &str) -> anyhow::Result<()> {
        Ok(self.stream.write_all(text.as_bytes())?)
    }

    /// Logs in to a sample guest that comes up, and waits for its shell.
    pub(crate) fn log_in(&mut self) -> anyhow::Result<()> {
        for (prompt, answer) in [("login: ", "root\n"), ("Password: ", "innkeeper\n")] {
            self.wait_for(prompt.as_bytes(), UP_WITHIN)?;
            self.say(answer)?;
        }
        self.wait_for(b"~# ", UP_WITHIN).map(|_| ())
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
