//! The metadata service of guests: its listener, and its way to the seeds.

use anyhow::Context;
use async_trait::async_trait;
use innkeeper_api::{SeedDocument, Seeds, serve_metadata};
use innkeeper_model::{Refusal, Secret, VmId};
use innkeeper_network::{METADATA_ANSWERED, METADATA_ASKED};
use innkeeper_storage::{SeedFile, Storage};
use innkeeper_view::View;
use rustix::net::sockopt;
use std::{
    io,
    net::{SocketAddr, SocketAddrV4},
    sync::Arc,
};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// The service, before anybody is answered. Who asks meanwhile waits.
pub(super) struct Service {
    listener: TcpListener,
    address: SocketAddrV4,
}

impl Service {
    /// Takes any port of the address that guests are led to, where there are guests who could be.
    ///
    /// # Errors
    /// The system has none left.
    pub(super) fn bind(is_reached: bool) -> anyhow::Result<Option<Self>> {
        if !is_reached {
            return Ok(None);
        }
        let listener = listen().context("cannot listen for guests' requests for metadata")?;
        let SocketAddr::V4(address) = listener.local_addr()? else { return Ok(None) };
        Ok(Some(Self { listener, address }))
    }

    /// Where it listens.
    pub(super) const fn address(&self) -> SocketAddrV4 {
        self.address
    }

    /// Answers until `stopping` is cancelled.
    pub(super) async fn serve(
        self,
        view: View,
        storage: Arc<Storage>,
        stopping: CancellationToken,
    ) {
        let seeds = Arc::new(StoredSeeds(storage));
        serve_metadata(self.listener, was_led, Arc::new(view), seeds, stopping).await;
    }
}

/// The address becomes the host's with the first bridge, which may be later.
fn listen() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    sockopt::set_ip_freebind(&socket, true)?;
    socket.bind(SocketAddrV4::new(METADATA_ANSWERED, 0).into())?;
    socket.listen(BACKLOG)
}

/// Whether the firewall led a connection here from where guests ask. Who knows the way by himself, as anybody might
/// whose packets come while somebody has flushed the rules, may well have another's address too.
fn was_led(socket: &TcpStream) -> bool {
    sockopt::ip_original_dst(socket).is_ok_and(|asked| asked == METADATA_ASKED)
}

struct StoredSeeds(Arc<Storage>);

#[async_trait]
impl Seeds for StoredSeeds {
    async fn read(&self, vm: VmId, document: SeedDocument) -> Result<Option<Secret>, Refusal> {
        let file = match document {
            SeedDocument::MetaData => SeedFile::MetaData,
            SeedDocument::UserData => SeedFile::UserData,
            SeedDocument::NetworkConfig => SeedFile::NetworkConfig,
        };
        self.0.read_seed(vm, file).await
    }
}
