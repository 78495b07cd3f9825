//! Machines that somebody else makes.

use std::{
    io::{BufRead, BufReader},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A QEMU as a person starts one.
pub(crate) struct ByHand {
    child: Child,
    pub(crate) socket: PathBuf,
}

impl ByHand {
    pub(crate) fn start(folder: &Path, name: &str, more: &[&str]) -> Self {
        let socket = folder.join(format!("{name}.qmp"));
        let qmp = format!("unix:{},server=on,wait=off", socket.display());
        // It ends with the test, however that ends.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "qemu-system-x86_64", "-nodefaults", "-display", "none"])
            .args(["-m", "24", "-name", name, "-qmp", &qmp])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let by_hand = Self { child, socket };
        by_hand.connect();
        by_hand
    }

    /// Speaks QMP with it, once it does.
    pub(crate) fn connect(&self) -> UnixStream {
        let begun = std::time::Instant::now();
        let socket = loop {
            match UnixStream::connect(&self.socket) {
                Ok(socket) => break socket,
                Err(error) => assert!(begun.elapsed() < super::DEADLINE, "{error}"),
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        };
        let mut greeting = String::new();
        BufReader::new(&socket).read_line(&mut greeting).unwrap();
        assert!(greeting.contains("QMP"));
        socket
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A driver that kills it is told how it ended, since it is the same process's child here.
    pub(crate) fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for ByHand {
    fn drop(&mut self) {
        if self.lives() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
