//! Asking libvirt what there is: all domains in a few answers, or one.

use crate::{
    client::{Client, Which},
    domain::{Described, State},
    error::Error,
    process,
    protocol::DomainRef,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use innkeeper_model::{EndReason, MachineState, ManagedMachine, NeighbourMachine, VmId};
use std::collections::{HashMap, HashSet};
use tracing::debug;
use uuid::Uuid;

/// How many domains are asked about at once. The connection lets fewer through; the rest waits there.
const AT_ONCE: usize = 16;

/// A domain, as libvirt last had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Domain {
    pub(crate) uuid: Uuid,
    name: String,
    /// Which run it is, while it runs.
    pub(crate) run: Option<i64>,
    state: State,
    /// Whether its guest's kernel was seen to panic in this run, or in the last.
    panicked: bool,
    persistent: bool,
    autostart: bool,
    described: Described,
    pid: Option<u32>,
}

pub(crate) type Domains = HashMap<Uuid, Domain>;

impl Domain {
    /// The machine that it is.
    pub(crate) fn machine(&self) -> MachineState {
        self.state.machine(self.run)
    }

    /// Whether its guest has put it to sleep: libvirt does not resume it, but wakes it.
    pub(crate) fn sleeps(&self) -> bool {
        self.run.is_some() && self.state.sleeps()
    }

    /// As libvirt is asked to do something with it.
    pub(crate) fn reference(&self) -> DomainRef {
        DomainRef { name: self.name.clone(), ..DomainRef::of(self.uuid) }
    }

    /// Whether its guest has ended by a panic, and libvirt keeps the machine.
    pub(crate) fn has_crashed(&self) -> bool {
        let panicked = self.state.last_end(self.panicked) == Some(EndReason::GuestPanic);
        panicked && self.machine() == MachineState::Ended
    }

    /// As Innkeeper tells it.
    pub(crate) fn told(&self) -> NeighbourMachine {
        let Described { title, cpus, memory, disks, nics } = self.described.clone();
        NeighbourMachine {
            id: VmId::from_uuid(self.uuid),
            machine: self.machine(),
            last_end: self.state.last_end(self.panicked),
            is: ManagedMachine {
                name: self.name.clone(),
                title,
                cpus,
                memory,
                disks,
                nics,
                persistent: self.persistent,
                autostart: self.autostart,
                pid: self.pid,
                run: self.run,
            },
        }
    }

    /// Whether its process has to be looked for: it is of a new run, or was still to be made.
    fn is_without_process(&self, known: Option<&Self>) -> bool {
        let was_there = |known: &Self| {
            known.run == self.run
                && (known.pid.is_some() || known.machine() != MachineState::Created)
        };
        self.run.is_some() && !known.is_some_and(was_there)
    }
}

/// What has been heard of a domain, and has to be asked after.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Heard {
    /// What it is made of may be other than it was.
    pub(crate) changed: bool,
    /// Its guest's kernel panicked.
    pub(crate) panicked: bool,
}

/// What has been heard of domains, by their ids.
pub(crate) type AllHeard = HashMap<Uuid, Heard>;

/// Asks for all domains: three answers for the whole, and one more for each that is not `known`, is of
/// another run by now, or was `heard` of.
///
/// # Errors
/// libvirt did not answer.
pub(crate) async fn all(
    client: &Client,
    known: &Domains,
    heard: &AllHeard,
) -> Result<Domains, Error> {
    let (states, transient, autostart) = tokio::try_join!(
        states(client),
        ids(client, Which::Transient),
        ids(client, Which::Autostart)
    )?;
    let look = |(domain, state): (DomainRef, State)| {
        let (persistent, autostart) =
            (!transient.contains(&domain.uuid), autostart.contains(&domain.uuid));
        let known = known.get(&domain.uuid);
        let heard = heard.get(&domain.uuid).copied().unwrap_or_default();
        compose(client, known, heard, Seen { domain, state, persistent, autostart })
    };
    let domains: Vec<Domain> = stream::iter(states)
        .map(look)
        .buffer_unordered(AT_ONCE)
        .try_filter_map(async |domain| Ok(domain))
        .try_collect()
        .await?;
    let mut domains: Domains = domains.into_iter().map(|it| (it.uuid, it)).collect();
    find_processes(&mut domains, known).await;
    Ok(domains)
}

/// Asks for one domain; `None` where there is none.
///
/// # Errors
/// libvirt did not answer.
pub(crate) async fn one(
    client: &Client,
    uuid: Uuid,
    known: &Domains,
    heard: Heard,
) -> Result<Option<Domain>, Error> {
    let asked = tokio::try_join!(
        state(client, uuid),
        client.is_persistent(uuid),
        client.is_autostarted(uuid)
    );
    let (found, persistent, autostart) = match asked {
        Err(error) if error.is_no_domain() => return Ok(None),
        asked => asked?,
    };
    let Some((domain, state)) = found else { return Ok(None) };
    let seen = Seen { domain, state, persistent, autostart };
    let Some(domain) = compose(client, known.get(&uuid), heard, seen).await? else {
        return Ok(None);
    };
    let mut domains = Domains::from([(uuid, domain)]);
    find_processes(&mut domains, known).await;
    Ok(domains.remove(&uuid))
}

/// What is known of a domain without its description.
struct Seen {
    domain: DomainRef,
    state: State,
    persistent: bool,
    autostart: bool,
}

/// Puts together what there is now, what was known, and its description, which is asked for where it may
/// be another; `None` where the domain is gone meanwhile.
async fn compose(
    client: &Client,
    known: Option<&Domain>,
    heard: Heard,
    seen: Seen,
) -> Result<Option<Domain>, Error> {
    let Seen { domain, state, persistent, autostart } = seen;
    let (uuid, run) = (domain.uuid, domain.run());
    let same_run = known.filter(|known| known.run == run);
    let described = match same_run {
        Some(known) if !heard.changed => known.described.clone(),
        _ => match client.description(uuid).await {
            Ok(described) => described,
            Err(error) if error.is_no_domain() => return Ok(None),
            Err(error) if error.is_loss() => return Err(error),
            // Whatever keeps libvirt from describing it, it is there.
            Err(error) => {
                debug!(%uuid, error = error.line(), "libvirt does not describe a domain");
                known.map(|known| known.described.clone()).unwrap_or_default()
            }
        },
    };
    let before = known.filter(|known| known.run == run || run.is_none());
    Ok(Some(Domain {
        uuid,
        name: domain.name,
        run,
        state,
        panicked: heard.panicked || before.is_some_and(|known| known.panicked),
        persistent,
        autostart,
        described,
        pid: same_run.and_then(|known| known.pid),
    }))
}

async fn ids(client: &Client, which: Which) -> Result<HashSet<Uuid>, Error> {
    Ok(client.list(which).await?.into_iter().map(|domain| domain.uuid).collect())
}

/// A domain with its state, which are of the same moment where libvirt can say both at once.
async fn state(client: &Client, uuid: Uuid) -> Result<Option<(DomainRef, State)>, Error> {
    match client.states(Some(uuid)).await {
        Err(error) if error.is_no_support() => {}
        states => return Ok(states?.into_iter().find(|(domain, _)| domain.uuid == uuid)),
    }
    let (domain, state) = tokio::try_join!(client.lookup(uuid), client.state(uuid))?;
    Ok(domain.map(|domain| (domain, state)))
}

async fn states(client: &Client) -> Result<Vec<(DomainRef, State)>, Error> {
    match client.states(None).await {
        // A driver of libvirt's without statistics is asked about each of its domains.
        Err(error) if error.is_no_support() => {}
        states => return states,
    }
    let with_state = async |domain: DomainRef| match client.state(domain.uuid).await {
        Err(error) if error.is_no_domain() => Ok(None),
        state => Ok(Some((domain, state?))),
    };
    let states = stream::iter(client.list(Which::All).await?).map(with_state);
    states.buffer_unordered(AT_ONCE).try_filter_map(async |state| Ok(state)).try_collect().await
}

async fn find_processes(domains: &mut Domains, known: &Domains) {
    let wanted = domains.values().filter(|it| it.is_without_process(known.get(&it.uuid)));
    let wanted: HashSet<Uuid> = wanted.map(|domain| domain.uuid).collect();
    if wanted.is_empty() {
        return;
    }
    let found = tokio::task::spawn_blocking(move || process::find(&wanted)).await;
    for (uuid, pid) in found.unwrap_or_default() {
        if let Some(domain) = domains.get_mut(&uuid) {
            domain.pid = Some(pid);
        }
    }
}
