//! The floor of a read: one thread that answers each request with the same bytes, and looks at nothing
//! in it but where it ends.

use crate::rig::{
    cleanup::{Folder, Process},
    daemon::free_port,
};
use anyhow::{Context, ensure};
use std::{
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{Command, Stdio},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What the server is started with, when this program has started itself as one.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The file whose bytes are each answer's body
    body: PathBuf,
    /// The port on 127.0.0.1
    port: u16,
}

/// A running server; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Floor {
    _process: Process,
    pub(crate) address: SocketAddr,
}

impl Floor {
    /// Starts one that answers these bytes; its file goes into this folder.
    pub(crate) fn start(folder: &Folder, body: &[u8]) -> anyhow::Result<Self> {
        let file = folder.path().join("bare-body");
        std::fs::write(&file, body)?;
        let address = free_port()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("serve-bytes").arg(file).arg(address.port().to_string());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let process = Process::spawn(&mut command)?;
        let mut line = String::new();
        BufReader::new(process.output()?).read_line(&mut line)?;
        ensure!(line.trim() == "ready", "the bare server did not begin to serve");
        Ok(Self { _process: process, address })
    }
}

/// Serves until it is ended.
pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    let body = std::fs::read(&options.body)?;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    let answer: &'static [u8] = Box::leak([head.as_bytes(), &body].concat().into());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async move {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        writeln!(std::io::stdout(), "ready").context("nobody waits for this server")?;
        loop {
            let (client, _) = listener.accept().await?;
            tokio::spawn(answer_all(client, answer));
        }
    })
}

/// Answers until the client leaves. A client sends one request at a time, as wrk does.
async fn answer_all(mut client: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let mut request = vec![0; 16 << 10];
    let mut length = 0;
    loop {
        let read = client.read(&mut request[length..]).await?;
        if read == 0 {
            return Ok(());
        }
        length += read;
        if request[..length].ends_with(b"\r\n\r\n") {
            client.write_all(answer).await?;
            length = 0;
        }
    }
}
