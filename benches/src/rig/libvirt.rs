//! A libvirtd of this program's own, with domains that are defined and never started, and what its own
//! client takes to list them.

#[path = "../../../crates/libvirt/tests/support/own.rs"]
mod own;

use crate::rig::cleanup::{Folder, Process, wait_until};
use anyhow::{Context, ensure};
use own::{Own, QEMU, one_of_many};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// How long libvirtd may take until it serves, which it does when it has read all domains.
const SERVES_WITHIN: Duration = Duration::from_secs(60);

/// A running libvirtd; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Libvirtd {
    own: Own,
    domains: usize,
    process: Process,
    // Its user is nobody, who may not be let into the folders that this program is in.
    _folder: Folder,
}

impl Libvirtd {
    /// Starts one with so many domains, and waits until it knows what QEMU can do.
    pub(crate) fn start(domains: usize) -> anyhow::Result<Self> {
        let folder = Folder::new(&std::env::temp_dir())?;
        let own = Own::make(folder.path(), (0..domains).map(one_of_many))?;
        let process = Process::spawn(&mut own.libvirtd()?)?;
        let libvirtd = Self { own, domains, process, _folder: folder };
        let log = || std::fs::read_to_string(libvirtd.own.log()).unwrap_or_default();
        wait_until(SERVES_WITHIN, "libvirtd's service", || {
            ensure!(libvirtd.process.ended()?.is_none(), "libvirtd ended: {}", log());
            Ok(libvirtd.virsh(&["version"]).is_ok())
        })?;
        libvirtd.virsh(&["capabilities"])?;
        Ok(libvirtd)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.own.socket()
    }

    /// How long `virsh list --all` takes as a command.
    pub(crate) fn list(&self) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let listed = self.virsh(&["list", "--all"])?;
        let took = begun.elapsed();
        ensure!(listed.matches(" dom").count() == self.domains, "virsh does not list all domains");
        Ok(took)
    }

    /// How long the same listing takes over a connection that is open, as virsh itself measures it.
    pub(crate) fn list_connected(&self) -> anyhow::Result<Duration> {
        let told = self.virsh(&["-t", "list", "--all"])?;
        ensure!(told.matches(" dom").count() == self.domains, "virsh does not list all domains");
        took(&told).context("virsh does not say how long it took")
    }

    fn virsh(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.own.virsh(QEMU).env("LC_ALL", "C").args(arguments).output();
        let output = output.context("virsh")?;
        let error = || String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "virsh {arguments:?}: {}", error());
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// The time that virsh says a command took.
fn took(told: &str) -> Option<Duration> {
    let line = told.lines().rev().find_map(|line| line.strip_prefix("(Time: "))?;
    let milliseconds: f64 = line.strip_suffix(" ms)")?.parse().ok()?;
    Duration::try_from_secs_f64(milliseconds / 1e3).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virsh_says_how_long_it_took() {
        let told = " Id   Name   State\n----\n 1    test   running\n\n(Time: 12.077 ms)\n\n";
        assert_eq!(took(told), Some(Duration::from_micros(12_077)));
        assert_eq!(took("(Time: soon ms)"), None);
        assert_eq!(took(""), None);
    }
}
