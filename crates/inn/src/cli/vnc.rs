//! `inn vnc`: shows a VM's screen in a viewer of this desktop's.
//!
//! The viewer is given an address of this host's loopback, where one connection is let in, and only of
//! this user's: other users of the host can reach it as well.

use super::{Context, VmArg};
use crate::{
    client::Call,
    failure::{Exit, Failure},
};
use clap::Args;
use http::{HeaderValue, header};
use hyper_util::rt::TokioIo;
use std::{
    net::{Ipv4Addr, SocketAddr},
    process::Stdio,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    signal::ctrl_c,
};

#[derive(Debug, Args)]
#[command(
    after_help = "Starts remote-viewer or vncviewer where there is one; else it says where a \
    viewer finds the screen, and waits for it. One connection is let in, of this user's."
)]
pub(super) struct Vnc {
    #[command(flatten)]
    vm: VmArg,
    /// Start no viewer, and only say where one finds the screen
    #[arg(long)]
    no_viewer: bool,
}

pub(super) async fn run(context: &Context, vnc: Vnc) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| {
        Failure::new(Exit::Failed, "cannot serve the screen to a viewer").because(&error)
    };
    let call = Call::get(context.of_vm(&vnc.vm.vm, "vnc"))
        .with_header(header::CONNECTION, HeaderValue::from_static("Upgrade"))
        .with_header(header::UPGRADE, HeaderValue::from_static("innkeeper-stream"));
    // First the screen, so that a refusal is told before anything is started.
    let response = context.client.open(call).await?;
    let screen = hyper::upgrade::on(response).await.map_err(|error| {
        Failure::new(Exit::Failed, "the daemon did not open the screen").because(&error)
    })?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    let viewer = if vnc.no_viewer { None } else { start_viewer(address) };
    if viewer.is_none() {
        context.output.line(format_args!("vnc://{address}"))?;
    }
    let mut connection = tokio::select! {
        connection = accept(&listener) => connection.map_err(cannot)?,
        () = ended(viewer) => return Err(Failure::new(Exit::Failed, "the viewer ended")),
        _ = ctrl_c() => return Err(Failure::silent(Exit::Interrupted)),
    };
    drop(listener);
    let mut screen = TokioIo::new(screen);
    tokio::select! {
        // Either of them closed it: the machine ended, or the viewer.
        _ = copy_bidirectional(&mut connection, &mut screen) => Ok(()),
        _ = ctrl_c() => Err(Failure::silent(Exit::Interrupted)),
    }
}

/// Starts the first viewer that there is.
fn start_viewer(address: SocketAddr) -> Option<Child> {
    let (ip, port) = (address.ip(), address.port());
    [("remote-viewer", format!("vnc://{address}")), ("vncviewer", format!("{ip}::{port}"))]
        .into_iter()
        .find_map(|(program, argument)| {
            let mut command = Command::new(program);
            command.arg(argument).stdin(Stdio::null()).stdout(Stdio::null()).spawn().ok()
        })
}

async fn ended(viewer: Option<Child>) {
    match viewer {
        Some(mut viewer) => drop(viewer.wait().await),
        None => std::future::pending().await,
    }
}

/// The first connection of this user's.
async fn accept(listener: &TcpListener) -> std::io::Result<TcpStream> {
    let me = rustix::process::geteuid().as_raw();
    loop {
        let (connection, peer) = listener.accept().await?;
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
        if owner(&table, peer) == Some(me) {
            connection.set_nodelay(true)?;
            return Ok(connection);
        }
    }
}

/// Whose the end of a connection with this address is, by the kernel's table of connections.
fn owner(table: &str, end: SocketAddr) -> Option<u32> {
    let SocketAddr::V4(end) = end else { return None };
    let local = format!("{:08X}:{:04X}", u32::from_ne_bytes(end.ip().octets()), end.port());
    let line = table.lines().find(|line| line.split_whitespace().nth(1) == Some(&local))?;
    line.split_whitespace().nth(7)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_this_users_connection_is_let_in() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let ours = TcpStream::connect(address).await.unwrap();
        let accepted = accept(&listener).await.unwrap();
        assert_eq!(accepted.peer_addr().unwrap(), ours.local_addr().unwrap());
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let me = rustix::process::geteuid().as_raw();
        assert_eq!(owner(&table, ours.local_addr().unwrap()), Some(me));
        assert_eq!(owner("", ours.local_addr().unwrap()), None);
    }
}
