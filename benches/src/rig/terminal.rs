//! Somebody at a guest's serial line: over the API, or at QEMU's own socket by socat.

use crate::rig::cleanup::Process;
use anyhow::{Context, ensure};
use innkeeper_model::VmId;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{fcntl_dupfd_cloexec, ioctl_fionbio},
};
use std::{
    fs::File,
    io::{ErrorKind, Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// How often those who read much look for it: seldom enough that what they cost is not what is measured.
const LOOKS_EVERY: Duration = Duration::from_millis(2);
/// What is read at once, in bytes.
const CHUNK: usize = 256 << 10;

/// One who looks at a line, and types. Reads do not wait.
#[derive(Debug)]
pub(crate) struct Terminal {
    from: File,
    to: File,
    _socat: Option<Process>,
}

impl Terminal {
    /// Over the daemon's socket.
    pub(crate) fn over_api(socket: &Path, vm: VmId, role: &str) -> anyhow::Result<Self> {
        let mut stream = UnixStream::connect(socket)?;
        let upgrade = "Connection: Upgrade\r\nUpgrade: innkeeper-stream";
        let path = format!("/v1/vms/{vm}/console?role={role}");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\n\r\n")?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            ensure!(stream.read(&mut byte)? == 1, "the daemon hung up");
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head);
        ensure!(head.starts_with("HTTP/1.1 101"), "{head}");
        let from = fcntl_dupfd_cloexec(&stream, 0)?;
        Self::new(from, stream.into(), None)
    }

    /// At the socket, by socat.
    pub(crate) fn by_socat(socket: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new("socat");
        command.arg("STDIO").arg(format!("UNIX-CONNECT:{}", socket.display()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let socat = Process::spawn(&mut command)?;
        Self::new(socat.output()?.into(), socat.input()?.into(), Some(socat))
    }

    fn new(from: OwnedFd, to: OwnedFd, socat: Option<Process>) -> anyhow::Result<Self> {
        ioctl_fionbio(&from, true)?;
        Ok(Self { from: from.into(), to: to.into(), _socat: socat })
    }

    /// Types something, and says how long it took until the line wrote it back.
    pub(crate) fn echo(&mut self, key: u8, at_most: Duration) -> anyhow::Result<Duration> {
        let typed = Instant::now();
        self.to.write_all(&[key])?;
        let mut buffer = [0; 4096];
        loop {
            let left = at_most.checked_sub(typed.elapsed()).context("no echo came")?;
            let left = Timespec::try_from(left)?;
            poll(&mut [PollFd::new(&self.from, PollFlags::IN)], Some(&left))?;
            let length = self.read(&mut buffer)?;
            if buffer[..length].contains(&key) {
                return Ok(typed.elapsed());
            }
        }
    }

    /// Reads all that has come, and drops it.
    pub(crate) fn forget(&mut self) -> anyhow::Result<()> {
        let mut buffer = [0; 4096];
        while self.read(&mut buffer)? > 0 {}
        Ok(())
    }

    /// Reads what there is.
    fn read(&mut self, buffer: &mut [u8]) -> anyhow::Result<usize> {
        match self.from.read(buffer) {
            Ok(0) => anyhow::bail!("the line has ended"),
            Ok(length) => Ok(length),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}

/// Has all of them read for this long, and says how many bytes each got in a second.
pub(crate) fn rates(all: &mut [Terminal], period: Duration) -> anyhow::Result<Vec<f64>> {
    let (begun, mut buffer, mut bytes) = (Instant::now(), vec![0; CHUNK], vec![0; all.len()]);
    while begun.elapsed() < period {
        for (terminal, bytes) in all.iter_mut().zip(&mut bytes) {
            *bytes += terminal.read(&mut buffer)?;
        }
        // So that reading is not all that this core does; ten of them are read in turn, for `period`.
        std::thread::sleep(LOOKS_EVERY);
    }
    let seconds = begun.elapsed().as_secs_f64();
    Ok(bytes.into_iter().map(|bytes| bytes as f64 / seconds).collect())
}
