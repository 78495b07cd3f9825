//! A VM's run folder: its sockets, its logs, and the record of what it was built from.
//!
//! It is root's (or the daemon's), 0700, so that what is read from it can be believed. QEMU itself
//! starts in the folder `private` inside, which is its user's, and can reach nothing outside it.

use innkeeper_model::{Code, Incarnation, Refusal, VmId};
use innkeeper_store::{harm, is_temporary, write_atomically};
use rustix::fd::{AsRawFd, OwnedFd};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    os::unix::{
        fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt, chown, symlink},
        net::{self, UnixListener},
    },
    path::{Path, PathBuf},
};
use tokio::net::UnixStream;

pub(crate) const QMP_SOCKET: &str = "qmp.sock";
pub(crate) const SERIAL_SOCKET: &str = "serial.sock";
pub(crate) const AGENT_SOCKET: &str = "agent.sock";
/// Relative to the folder that QEMU starts in, which makes this socket itself.
pub(crate) const VNC_SOCKET: &str = "vnc.sock";
const INCARNATION: &str = "incarnation.json";
const PRIVATE: &str = "private";
const RAN: &str = "ran";
const OUTPUT: &str = "qemu.log";
const SERIAL: &str = "serial.log";

/// What stands in QEMU's log where the machine went on from its memory: what is before it is of another
/// process.
const WENT_ON: &str = "--- the machine goes on from its memory ---";

/// How much of a log is shown, and about how much of it is kept, in bytes.
pub(crate) const LOG_SHOWN: u64 = 64 << 10;

/// What becomes of the logs of the run before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Logs {
    /// They begin anew, with the guest.
    Anew,
    /// They go on, with the guest.
    GoOn,
}

/// One VM's run folder.
#[derive(Debug, Clone)]
pub(crate) struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// The folder of this VM among the run folders.
    pub(crate) fn of(runtime: &Path, vm: VmId) -> Self {
        Self { path: runtime.join(vm.to_string()) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that QEMU starts in.
    pub(crate) fn private(&self) -> PathBuf {
        self.path.join(PRIVATE)
    }

    /// Makes the folder, or clears what a run before left in it.
    ///
    /// # Errors
    /// There is the record of a machine, which would be lost with the folder; or the host refused.
    pub(crate) fn prepare(&self, uid: Option<u32>, logs: Logs) -> io::Result<()> {
        let record = self.record();
        if record.exists() {
            let message = format!("there is the record of a machine already: {}", record.display());
            let refusal = Refusal::new(Code::WrongState, message)
                .with_hint("see that no QEMU of this VM runs, then move the record away");
            return Err(io::Error::other(refusal));
        }
        match logs {
            Logs::Anew => self.remove()?,
            Logs::GoOn => self.put_away()?,
        }
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(&self.path)?;
        builder.create(self.private())?;
        if uid.is_some() {
            chown(self.private(), uid, uid)?;
        }
        if logs == Logs::GoOn {
            writeln!(self.open_output()?, "{WENT_ON}")?;
        }
        Ok(())
    }

    /// Removes the folder and everything in it.
    ///
    /// # Errors
    /// The host refused.
    pub(crate) fn remove(&self) -> io::Result<()> {
        ignore_missing(harm::remove_dir_all(&self.path))
    }

    /// Removes what belongs to a running machine, and keeps the logs of the run.
    ///
    /// # Errors
    /// The host refused.
    pub(crate) fn put_away(&self) -> io::Result<()> {
        for name in [QMP_SOCKET, SERIAL_SOCKET, AGENT_SOCKET, RAN] {
            ignore_missing(harm::remove_file(&self.path.join(name)))?;
        }
        ignore_missing(harm::remove_dir_all(&self.private()))?;
        // Last, so that a daemon that dies on the way finds the record and does this again.
        ignore_missing(harm::remove_file(&self.record()))
    }

    /// The file that a machine is on record in.
    pub(crate) fn record(&self) -> PathBuf {
        self.path.join(INCARNATION)
    }

    /// Notes that the machine has been let run. Not synced: it matters only until the host's next boot.
    ///
    /// # Errors
    /// The host refused.
    pub(crate) fn note_that_it_ran(&self) -> io::Result<()> {
        File::create(self.path.join(RAN)).map(drop)
    }

    /// Whether the machine on record has been let run.
    pub(crate) fn it_ran(&self) -> bool {
        self.path.join(RAN).exists()
    }

    /// Makes the record of a machine durable.
    ///
    /// # Errors
    /// The host refused.
    pub(crate) fn write_incarnation(&self, incarnation: &Incarnation) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(incarnation)?;
        write_atomically(&self.record(), &text, 0o600).map_err(|error| error.source)
    }

    /// Removes records whose writer died before they were whole.
    ///
    /// # Errors
    /// The host refused.
    pub(crate) fn remove_half_written(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(is_temporary) {
                ignore_missing(harm::remove_file(&entry.path()))?;
            }
        }
        Ok(())
    }

    /// Reads the record of a machine; `None` where there is none.
    ///
    /// # Errors
    /// It is unreadable or damaged.
    pub(crate) fn read_incarnation(&self) -> io::Result<Option<Incarnation>> {
        match fs::read(self.record()) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Binds a listening socket of this name. One at which nobody listens is replaced: it was left by a
    /// daemon that ended while it launched a machine, which is launched again.
    ///
    /// # Errors
    /// Somebody listens, or the host refused.
    pub(crate) fn listen(&self, name: &str) -> io::Result<OwnedFd> {
        let folder = File::open(&self.path)?;
        let path = through(&folder, name);
        let listener = match UnixListener::bind(&path) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && is_left_over(&path) => {
                harm::remove_file(&self.path.join(name))?;
                UnixListener::bind(&path)
            }
            bound => bound,
        };
        Ok(listener?.into())
    }

    /// Puts a link to somebody else's socket in place of a socket of this name.
    ///
    /// # Errors
    /// The host refused.
    pub(crate) fn link(&self, name: &str, to: &Path) -> io::Result<()> {
        symlink(to, self.path.join(name))
    }

    /// Whether there is something of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.path.join(name).symlink_metadata().is_ok()
    }

    /// Connects to the socket of this name.
    ///
    /// # Errors
    /// Nobody listens.
    pub(crate) async fn connect(&self, name: &str) -> io::Result<UnixStream> {
        let folder = File::open(&self.path)?;
        UnixStream::connect(through(&folder, name)).await
    }

    /// Opens the file for QEMU's own output, to be added to.
    ///
    /// # Errors
    /// The host refused.
    pub(crate) fn open_output(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(0o600);
        options.open(self.path.join(OUTPUT))
    }

    /// The last of QEMU's own output.
    ///
    /// # Errors
    /// The host refused.
    pub(crate) fn read_output(&self) -> io::Result<Vec<u8>> {
        read_tail(&self.path.join(OUTPUT), LOG_SHOWN)
    }

    /// The last of what the QEMU of this run has said.
    ///
    /// # Errors
    /// The host refused.
    pub(crate) fn read_own_output(&self) -> io::Result<String> {
        let output = self.read_output()?;
        let output = String::from_utf8_lossy(&output);
        Ok(output.rsplit(WENT_ON).next().unwrap_or_default().to_owned())
    }

    /// Empties QEMU's output once it has grown past a megabyte: a guest can make QEMU complain.
    ///
    /// # Errors
    /// The host refused.
    pub(crate) fn bound_output(&self) -> io::Result<()> {
        const MOST: u64 = 1 << 20;
        let file = match OpenOptions::new().write(true).open(self.path.join(OUTPUT)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file?,
        };
        if file.metadata()?.len() > MOST {
            // QEMU appends, so its next line goes to the new end.
            file.set_len(0)?;
        }
        Ok(())
    }

    /// The file that keeps what was taken from the serial ring.
    pub(crate) fn serial_log(&self) -> PathBuf {
        self.path.join(SERIAL)
    }
}

/// The name of a socket through its folder's descriptor: a socket's path has room for 107 bytes, and
/// a state folder's alone may be longer.
fn through(folder: &File, name: &str) -> String {
    format!("/proc/self/fd/{}/{name}", folder.as_raw_fd())
}

/// Whether there is a socket here whose listener has ended.
fn is_left_over(socket: &str) -> bool {
    let is_socket = fs::symlink_metadata(socket).is_ok_and(|found| found.file_type().is_socket());
    let reached = || net::UnixStream::connect(socket);
    is_socket && reached().is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

fn ignore_missing(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// The last bytes of a file; nothing where there is no file.
///
/// # Errors
/// The host refused.
pub(crate) fn read_tail(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        file => file?,
    };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
    let mut tail = Vec::new();
    file.take(most).read_to_end(&mut tail)?;
    Ok(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_replaced_when_nobody_listens_and_only_then() {
        let runtime = tempfile::tempdir().unwrap();
        let folder = RunFolder::of(runtime.path(), VmId::new());
        folder.prepare(None, Logs::Anew).unwrap();
        let first = folder.listen(QMP_SOCKET).unwrap();
        let refused = folder.listen(QMP_SOCKET).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AddrInUse);
        drop(first);
        let _second = folder.listen(QMP_SOCKET).unwrap();
        assert!(net::UnixStream::connect(folder.path().join(QMP_SOCKET)).is_ok());
        // What is no socket is not removed.
        fs::write(folder.path().join(SERIAL_SOCKET), "").unwrap();
        folder.listen(SERIAL_SOCKET).unwrap_err();
        assert!(folder.path().join(SERIAL_SOCKET).exists());
    }

    #[test]
    fn logs_go_on_with_the_guest_and_begin_anew_with_another() {
        let runtime = tempfile::tempdir().unwrap();
        let folder = RunFolder::of(runtime.path(), VmId::new());
        folder.prepare(None, Logs::Anew).unwrap();
        writeln!(folder.open_output().unwrap(), "first").unwrap();
        fs::write(folder.serial_log(), "login:").unwrap();
        fs::write(folder.private().join("left"), "over").unwrap();

        folder.prepare(None, Logs::GoOn).unwrap();
        writeln!(folder.open_output().unwrap(), "second").unwrap();
        assert_eq!(fs::read_dir(folder.private()).unwrap().count(), 0);
        assert_eq!(fs::read(folder.serial_log()).unwrap(), b"login:");
        let output = folder.read_output().unwrap();
        assert!(output.starts_with(b"first") && output.ends_with(b"second\n"));
        assert_eq!(folder.read_own_output().unwrap().trim(), "second");

        folder.prepare(None, Logs::Anew).unwrap();
        assert!(!folder.serial_log().exists() && folder.read_output().unwrap().is_empty());
    }
}
