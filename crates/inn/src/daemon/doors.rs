//! Doors: their listeners, and who is let in.

use super::{listeners::Listeners, tokens::for_audience};
use crate::options::{AnonymousDoor, DaemonOptions, ListenAddress, VmmDoor};
use anyhow::Context as _;
use innkeeper_auth::Doorkeeper;
use innkeeper_doors::{
    Access, Context, Door, Protocol,
    chypervisord::{Chypervisord, ThisHost},
    serve,
    virtx::Virtx,
    vminfod::Vminfod,
    vmm,
};
use innkeeper_model::Refusal;
use innkeeper_store::registry::{EmbeddedRegistry, Hosts};
use innkeeper_surface::Listening;
use std::{path::Path, sync::Arc};
use tokio_util::task::TaskTracker;
use tracing::{error, info};

/// The doors that are to be open, with their ports taken. Who knocks meanwhile waits.
pub(super) struct Doors {
    anonymous: Vec<(AnonymousDoor, Listening)>,
    vmm: Option<(VmmDoor, Listening)>,
}

/// What is behind the doors.
pub(super) struct House<'a> {
    /// What they all show.
    pub(super) context: Context,
    /// Who knows what callers show.
    pub(super) doorkeeper: &'a Doorkeeper,
    /// This host, for the registry of hosts.
    pub(super) host: ThisHost,
    /// The file of that registry.
    pub(super) registry: &'a Path,
}

impl Doors {
    /// Takes the ports.
    ///
    /// # Errors
    /// One is taken.
    pub(super) async fn bind(
        options: &DaemonOptions,
        listeners: &Listeners,
    ) -> anyhow::Result<Self> {
        let mut anonymous = Vec::new();
        for door in &options.doors.anonymous {
            anonymous.push((door.clone(), bind(listeners, door.door, door.listen).await?));
        }
        let vmm = match &options.doors.vmm {
            Some(door) => Some((door.clone(), bind(listeners, Door::Vmm, door.listen).await?)),
            None => None,
        };
        Ok(Self { anonymous, vmm })
    }

    /// Opens them. They end with the context's `stopping`. One whose records cannot be read stays shut, and
    /// the log says why.
    pub(super) async fn open(self, serving: &TaskTracker, house: House<'_>) {
        for (AnonymousDoor { door, role, audience, uids, .. }, listener) in self.anonymous {
            let access = Access::by_credential(for_audience(house.doorkeeper, audience.as_deref()));
            let access = match role {
                Some(role) => access.or_anonymous(role, uids),
                None => access,
            };
            let opening = Opening { serving, context: &house.context, access, listener };
            match door {
                Door::Vminfod => opening.open(Vminfod),
                Door::Chypervisord => match hypervisors(&house).await {
                    Ok(protocol) => opening.open(protocol),
                    // What this host's VMs need is elsewhere.
                    Err(refusal) => error!(%door, %refusal, "a door stays shut"),
                },
                Door::Virtx => opening.open(Virtx::open()),
                Door::Vmm => unreachable!("its callers show a credential"),
            }
        }
        if let Some((door, listener)) = self.vmm {
            let VmmDoor { audience, kernel, rootfs, boot_args, .. } = door;
            let access = Access::by_credential(for_audience(house.doorkeeper, audience.as_deref()));
            let protocol = vmm::Vmm::new(vmm::Defaults { kernel, rootfs, boot_args });
            Opening { serving, context: &house.context, access, listener }.open(protocol);
        }
    }
}

/// The registry of hosts, with this one in it.
async fn hypervisors(house: &House<'_>) -> Result<Chypervisord, Refusal> {
    let registry = EmbeddedRegistry::open(house.registry)?;
    Chypervisord::open(Hosts::new(Arc::new(registry)), house.host.clone()).await
}

async fn bind(
    listeners: &Listeners,
    door: Door,
    listen: ListenAddress,
) -> anyhow::Result<Listening> {
    listeners.bind(listen).await.with_context(|| format!("the door {door}"))
}

/// A door that is about to be opened.
struct Opening<'a> {
    serving: &'a TaskTracker,
    context: &'a Context,
    access: Access,
    listener: Listening,
}

impl Opening<'_> {
    fn open(self, protocol: impl Protocol) {
        let Self { serving, context, access, listener } = self;
        let door = protocol.door();
        let listen = listener.address().map_or_else(|_| "?".into(), |address| address.to_string());
        info!(%door, listen, ?access, "a door is open");
        serving.spawn(serve(protocol, listener, context.clone(), access));
    }
}
