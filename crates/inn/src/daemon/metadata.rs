//! The metadata service of guests: its listener, and its way to the seeds.

use anyhow::Context;
use async_trait::async_trait;
use innkeeper_api::{SeedDocument, Seeds, serve_metadata};
use innkeeper_model::{Refusal, Secret, VmId};
use innkeeper_storage::{SeedFile, Storage};
use innkeeper_view::View;
use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::Arc,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The service, before anybody is answered. Who asks meanwhile waits.
pub(super) struct Service {
    listener: TcpListener,
    address: SocketAddrV4,
}

impl Service {
    /// Takes any port of the loopback interface, where there are guests who could be led to it.
    ///
    /// # Errors
    /// The system has none left.
    pub(super) async fn bind(is_reached: bool) -> anyhow::Result<Option<Self>> {
        if !is_reached {
            return Ok(None);
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("cannot listen for guests' requests for metadata")?;
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
        serve_metadata(self.listener, Arc::new(view), seeds, stopping).await;
    }
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
