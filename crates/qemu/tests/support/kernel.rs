//! Guests that are a kernel: the smallest of the samples, which `make guest` makes.

use super::{DEADLINE, Vm};
use innkeeper_driver::ByteStream;
use innkeeper_model::{KernelFiles, Mebibytes, VmConfig, config::Boot};
use std::path::{Path, PathBuf};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

/// What the sample guests write when they are up.
const UP: &str = "INNKEEPER-GUEST-UP";

/// The folder that they are in, if they have been made.
pub(crate) fn folder() -> Option<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests/tiny").canonicalize().ok()
}

#[track_caller]
fn file(name: &str) -> PathBuf {
    folder().expect("the sample guests are there; `make guest` makes them").join(name)
}

/// Makes a configuration boot the kernel, and nothing else.
pub(crate) fn boots(config: &mut VmConfig) {
    config.memory = Mebibytes(128);
    config.disks.clear();
    let kernel = serde_json::json!({ "kernel": { "path": file("vmlinuz"), "initrd": file("initrd.img"),
        "cmdline": "console=ttyS0 quiet panic=-1" } });
    config.boot = serde_json::from_value::<Boot>(kernel).unwrap();
}

/// The files that it boots.
pub(crate) fn files() -> KernelFiles {
    KernelFiles { kernel: file("vmlinuz"), initrd: Some(file("initrd.img")) }
}

/// A guest's console, with somebody logged in at it.
pub(crate) struct Shell {
    stream: Box<dyn ByteStream>,
    text: String,
    commands: u32,
}

impl Shell {
    /// Opens the console of a guest that is booting, and logs in.
    pub(crate) async fn log_in(vm: &Vm<'_>) -> Self {
        let mut shell = Self::open(vm).await;
        shell.expect(UP).await;
        shell.expect("login: ").await;
        shell.send("root\n").await;
        shell.expect("Password: ").await;
        shell.send("innkeeper\n").await;
        shell.expect("# ").await;
        shell
    }

    /// Opens the console of one where somebody is logged in already.
    pub(crate) async fn open(vm: &Vm<'_>) -> Self {
        let stream = vm.driver.open_console(vm.id()).await.unwrap();
        Self { stream, text: String::new(), commands: 0 }
    }

    /// What a command writes.
    pub(crate) async fn run(&mut self, command: &str) -> String {
        self.commands += 1;
        let number = self.commands;
        // The quotes keep the echo of the command from looking like what it writes.
        self.send(&format!("echo BEGIN\"\"{number}; {command}; echo END\"\"{number}\n")).await;
        self.expect(&format!("BEGIN{number}\r\n")).await;
        self.expect(&format!("END{number}\r\n")).await
    }

    /// Runs a command until it writes this.
    pub(crate) async fn until(&mut self, command: &str, wanted: &str) {
        let reached = async {
            while self.run(command).await.trim() != wanted {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        let waited = timeout(DEADLINE, reached).await;
        waited.unwrap_or_else(|_| panic!("{command} never wrote {wanted:?}"));
    }

    async fn send(&mut self, text: &str) {
        timeout(DEADLINE, self.stream.write_all(text.as_bytes())).await.unwrap().unwrap();
    }

    async fn expect(&mut self, wanted: &str) -> String {
        let reading = async {
            loop {
                if let Some(at) = self.text.find(wanted) {
                    let before = self.text[..at].to_owned();
                    self.text.drain(..at + wanted.len());
                    return Some(before);
                }
                let mut bytes = [0; 4096];
                let count = self.stream.read(&mut bytes).await.ok().filter(|count| *count > 0)?;
                self.text.push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        };
        let read = timeout(DEADLINE, reading).await.ok().flatten();
        read.unwrap_or_else(|| panic!("{wanted:?} was not written; what was: {:?}", self.text))
    }
}
