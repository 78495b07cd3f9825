//! What libvirt can be asked, one method a question.

use crate::{
    connection::{Connection, Patience},
    domain::{Described, State},
    error::Error,
    protocol::{DomainEvent, DomainRef, DomainStatistics, RemoteError, keepalive, remote},
    xdr::List,
};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::{net::UnixStream, sync::mpsc, time::timeout};
use tracing::debug;
use uuid::Uuid;

/// How long libvirt's socket may take to accept a connection.
const CONNECTS_WITHIN: Duration = Duration::from_secs(5);

/// `remote_auth_type`.
const AUTH_NONE: u32 = 0;
const AUTH_SASL: u32 = 1;
const AUTH_POLKIT: u32 = 2;

/// The virtual machines of the host, and those of the user that libvirt runs as.
const SYSTEM: &str = "qemu:///system";
const SESSION: &str = "qemu:///session";

/// Which domains are listed (`virConnectListAllDomainsFlags`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    /// Those that are gone when they stop.
    Transient,
    /// Those that are started with the host.
    Autostart,
}

impl Which {
    const fn flags(self) -> u32 {
        match self {
            Self::All => 0,
            Self::Transient => 1 << 3,
            Self::Autostart => 1 << 10,
        }
    }
}

/// `VIR_DOMAIN_STATS_STATE`, and what its figures are called.
const STATS_STATE: u32 = 1;
const STATE: &str = "state.state";
const REASON: &str = "state.reason";

/// libvirt, connected.
#[derive(Debug)]
pub(crate) struct Client {
    connection: Connection,
}

impl Client {
    /// Connects, and registers for what libvirt tells of its domains. `uri` names the driver, such as
    /// `qemu:///system`; without one it is QEMU's, of the host or else of libvirt's own user.
    pub(crate) async fn connect(
        socket: &Path,
        uri: Option<&str>,
    ) -> Result<(Self, mpsc::Receiver<DomainEvent>), Error> {
        let refused = |cause| Error::Connect { socket: socket.into(), cause: Arc::new(cause) };
        let connected = timeout(CONNECTS_WITHIN, UnixStream::connect(socket)).await;
        let stream = connected.unwrap_or_else(|late| Err(late.into())).map_err(refused)?;
        Self::over(stream, uri, Patience::default()).await
    }

    /// The same over a stream that is there.
    pub(crate) async fn over(
        stream: UnixStream,
        uri: Option<&str>,
        patience: Patience,
    ) -> Result<(Self, mpsc::Receiver<DomainEvent>), Error> {
        let (connection, events) = Connection::new(stream, patience);
        let client = Self { connection };
        client.authenticate().await?;
        client.open(uri).await?;
        // An older libvirt is without it, and is then waited for as long as its socket is open.
        let feature =
            client.connection.call::<remote::ConnectSupportsFeature>((keepalive::FEATURE,));
        if matches!(feature.await, Ok((supported,)) if supported != 0) {
            client.connection.ask_when_silent();
        }
        client.register().await?;
        Ok((client, events))
    }

    /// Passes what libvirt asks of its callers: nothing, or that polkit knows them by their process, as it knows
    /// root's without being asked.
    async fn authenticate(&self) -> Result<(), Error> {
        let List(ways) = self.connection.call::<remote::AuthList>(()).await?;
        if ways.is_empty() || ways.contains(&AUTH_NONE) {
            return Ok(());
        }
        if ways.contains(&AUTH_POLKIT) {
            return match self.connection.call::<remote::AuthPolkit>(()).await {
                Ok((complete,)) if complete != 0 => Ok(()),
                Ok(_) => Err(Error::Polkit { why: "it wants more than a yes or a no".into() }),
                Err(Error::Refused { message: why, code, .. }) if is_about_authentication(code) => {
                    Err(Error::Polkit { why })
                }
                Err(other) => Err(other),
            };
        }
        let names = ways.iter().map(|way| match *way {
            AUTH_SASL => "SASL".to_owned(),
            other => format!("unknown ({other})"),
        });
        Err(Error::Authentication { ways: names.collect::<Vec<_>>().join(" or ") })
    }

    async fn open(&self, uri: Option<&str>) -> Result<(), Error> {
        let open = |uri: &str| self.connection.call::<remote::ConnectOpen>((Some(uri.into()), 0));
        match uri {
            Some(uri) => open(uri).await,
            None => match open(SYSTEM).await {
                // A libvirt that runs for one user has only that user's.
                Err(Error::Refused { .. }) => open(SESSION).await,
                outcome => outcome,
            },
        }
    }

    async fn register(&self) -> Result<(), Error> {
        for event in remote::event::ALL {
            let registering = self
                .connection
                .call::<remote::ConnectDomainEventCallbackRegisterAny>((event.id, None));
            match registering.await {
                Err(Error::Refused { message, .. }) if event != remote::event::LIFECYCLE => {
                    debug!(event = event.id, message, "libvirt does not tell of this");
                }
                registered => drop(registered?),
            }
        }
        Ok(())
    }

    /// Ends when the connection does, with the reason.
    pub(crate) async fn lost(&self) -> Error {
        self.connection.lost().await
    }

    /// Ends the connection at once: every call that is under way fails.
    pub(crate) fn hang_up(&self) {
        self.connection.hang_up();
    }

    /// Takes leave, so that libvirt need not find out.
    pub(crate) async fn close(&self) {
        drop(self.connection.call::<remote::ConnectClose>(()).await);
    }

    /// libvirt's version: 1,000,000 × major + 1,000 × minor + release.
    pub(crate) async fn version(&self) -> Result<u64, Error> {
        self.connection.call::<remote::ConnectGetLibVersion>(()).await.map(|(version,)| version)
    }

    /// The host's name, as libvirt has it.
    pub(crate) async fn hostname(&self) -> Result<String, Error> {
        self.connection.call::<remote::ConnectGetHostname>(()).await.map(|(name,)| name)
    }

    /// Which driver this is, such as `qemu:///system`.
    pub(crate) async fn uri(&self) -> Result<String, Error> {
        self.connection.call::<remote::ConnectGetUri>(()).await.map(|(uri,)| uri)
    }

    /// What host and hypervisor can do, as XML.
    pub(crate) async fn capabilities(&self) -> Result<String, Error> {
        self.connection.call::<remote::ConnectGetCapabilities>(()).await.map(|(xml,)| xml)
    }

    /// The domains that there are.
    pub(crate) async fn list(&self, which: Which) -> Result<Vec<DomainRef>, Error> {
        let listed = self.connection.call::<remote::ConnectListAllDomains>((1, which.flags()));
        listed.await.map(|(List(domains), _)| domains)
    }

    /// The domains that there are, or one of them, and what state each is in, in one answer.
    pub(crate) async fn states(&self, of: Option<Uuid>) -> Result<Vec<(DomainRef, State)>, Error> {
        let of = List(of.map(DomainRef::of).into_iter().collect());
        let asked = self.connection.call::<remote::ConnectGetAllDomainStats>((of, STATS_STATE, 0));
        let answer = asked.await;
        let (List(domains),) = answer?;
        let with_state = |domain: DomainStatistics| {
            let figure = |name| domain.int(name).unwrap_or_default();
            let state = State::new(figure(STATE), figure(REASON));
            (domain.domain, state)
        };
        Ok(domains.into_iter().map(with_state).collect())
    }

    /// The domain of this id; `None` where there is none.
    pub(crate) async fn lookup(&self, uuid: Uuid) -> Result<Option<DomainRef>, Error> {
        match self.connection.call::<remote::DomainLookupByUuid>((uuid,)).await {
            Err(error) if error.is_no_domain() => Ok(None),
            answer => answer.map(|(domain,)| Some(domain)),
        }
    }

    /// What state a domain is in.
    pub(crate) async fn state(&self, uuid: Uuid) -> Result<State, Error> {
        let asked = self.connection.call::<remote::DomainGetState>((DomainRef::of(uuid), 0));
        asked.await.map(|(state, reason)| State::new(state, reason))
    }

    /// Whether a domain is kept when it does not run.
    pub(crate) async fn is_persistent(&self, uuid: Uuid) -> Result<bool, Error> {
        let asked = self.connection.call::<remote::DomainIsPersistent>((DomainRef::of(uuid),));
        asked.await.map(|(persistent,)| persistent != 0)
    }

    /// Whether a domain is started with the host. One that is not kept is not.
    pub(crate) async fn is_autostarted(&self, uuid: Uuid) -> Result<bool, Error> {
        match self.connection.call::<remote::DomainGetAutostart>((DomainRef::of(uuid),)).await {
            Err(Error::Refused { code, .. }) if code != RemoteError::NO_DOMAIN => Ok(false),
            answer => answer.map(|(autostart,)| autostart != 0),
        }
    }

    /// What a domain is made of: now where it runs, else when it is started.
    pub(crate) async fn description(&self, uuid: Uuid) -> Result<Described, Error> {
        let asked = self.connection.call::<remote::DomainGetXmlDesc>((DomainRef::of(uuid), 0));
        let (xml,) = asked.await?;
        Ok(Described::of(&xml).unwrap_or_else(|error| {
            debug!(%uuid, %error, "libvirt's description of a domain cannot be read");
            Described::default()
        }))
    }

    /// Starts a domain, and gives it as it runs.
    pub(crate) async fn create(&self, domain: DomainRef) -> Result<DomainRef, Error> {
        let started = self.connection.call::<remote::DomainCreateWithFlags>((domain, 0));
        started.await.map(|(domain,)| domain)
    }

    /// Asks a domain's guest to end.
    pub(crate) async fn shutdown(&self, domain: DomainRef) -> Result<(), Error> {
        self.connection.call::<remote::DomainShutdown>((domain,)).await
    }

    /// Ends a domain at once.
    pub(crate) async fn destroy(&self, domain: DomainRef) -> Result<(), Error> {
        self.connection.call::<remote::DomainDestroy>((domain,)).await
    }

    /// Holds a domain's CPUs.
    pub(crate) async fn suspend(&self, domain: DomainRef) -> Result<(), Error> {
        self.connection.call::<remote::DomainSuspend>((domain,)).await
    }

    /// Lets them go on.
    pub(crate) async fn resume(&self, domain: DomainRef) -> Result<(), Error> {
        self.connection.call::<remote::DomainResume>((domain,)).await
    }
}

fn is_about_authentication(code: i32) -> bool {
    matches!(
        code,
        RemoteError::AUTH_FAILED | RemoteError::AUTH_CANCELLED | RemoteError::AUTH_UNAVAILABLE
    )
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
