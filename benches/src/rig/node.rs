//! The peer of a read: Node.js with the same bytes in memory.

use crate::rig::{
    cleanup::{Folder, Process},
    daemon::free_port,
};
use anyhow::ensure;
use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Command, Stdio},
};

const SCRIPT: &str = include_str!("../../peers/node.js");

/// A running server; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Node {
    _process: Process,
    pub(crate) address: SocketAddr,
}

impl Node {
    /// Starts one that answers these bytes; its files go into this folder.
    pub(crate) fn start(folder: &Folder, body: &[u8]) -> anyhow::Result<Self> {
        let (script, file) = (folder.path().join("node.js"), folder.path().join("body"));
        std::fs::write(&script, SCRIPT)?;
        std::fs::write(&file, body)?;
        let address = free_port()?;
        let mut command = Command::new("node");
        command.arg(script).arg(file).arg(address.port().to_string());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let process = Process::spawn(&mut command)?;
        let mut line = String::new();
        BufReader::new(process.output()?).read_line(&mut line)?;
        ensure!(line.trim() == "ready", "node did not begin to serve");
        Ok(Self { _process: process, address })
    }
}
