//! Asks the agents in guests what they are and which addresses they have, and tells the view.
//!
//! Nothing waits for this, and it waits for no guest: a few are asked at a time, each call has its
//! deadline, and of what a guest says no more is kept than has a place here. It is a guest's word: it is
//! shown as such, and nothing is decided by it.

use super::rounds::{Outcome, Rounds};
use crate::Engine;
use futures_util::{StreamExt, stream::FuturesUnordered};
use innkeeper_model::{
    Code, GuestAddress, GuestSystem, IncarnationId, MachineState, Vm, VmId, config::MacAddress,
    network::AddressSource,
};
use innkeeper_session::agent::{Agent, AgentError, Interface};
use innkeeper_view::Update;
use std::{collections::HashMap, future::pending, net::IpAddr, sync::Arc};
use tokio::time::{Instant, sleep_until};
use tracing::debug;

/// How many are asked at once: each may send a megabyte.
const AT_ONCE: usize = 32;
/// How many addresses of a guest are kept.
const MAX_ADDRESSES: usize = 64;
/// The longest text of a guest's that is kept, in bytes.
const MAX_TEXT: usize = 255;

/// What an agent told.
struct Told {
    guest: GuestSystem,
    /// `None` where it does not tell, or not now: its file systems are held still, say.
    interfaces: Option<Vec<Interface>>,
}

/// Asks for as long as the engine lives.
pub(crate) async fn run(engine: Engine) {
    let agents = &engine.shared.agents;
    let mut rounds = Rounds::default();
    // Those that answer keep their connections: a guest whose agent nobody listens to keeps looking.
    let mut connected: HashMap<VmId, Agent> = HashMap::new();
    let mut asking = FuturesUnordered::new();
    for (id, vm) in engine.view().snapshot().vms.iter() {
        // It had its time to begin, and what is shown of it until it answers is what it told another daemon.
        rounds.find(*id, machine_of(vm), Instant::now());
    }
    loop {
        for (vm, machine) in rounds.take(Instant::now(), AT_ONCE - asking.len()) {
            let engine = &engine;
            asking.push(async move { (vm, machine, engine.ask_guest(vm, machine).await) });
        }
        let turn = rounds.next().filter(|_| asking.len() < AT_ONCE);
        tokio::select! {
            marked = agents.marked() => {
                let snapshot = engine.view().snapshot();
                for vm in marked {
                    let machine = snapshot.vms.get(&vm).and_then(|vm| machine_of(vm));
                    rounds.see(vm, machine, Instant::now());
                    if machine.is_none() && connected.remove(&vm).is_some() {
                        agents.close_idle();
                    }
                }
            }
            () = wait_for(turn) => {}
            Some((vm, machine, (agent, outcome))) = asking.next() => {
                if rounds.hear(vm, machine, outcome, Instant::now()) {
                    engine.tell_guest(vm, machine, None, Vec::new());
                }
                match (outcome, agent) {
                    (Outcome::Answered, Some(agent)) => drop(connected.insert(vm, agent)),
                    (_, agent) => {
                        drop((agent, connected.remove(&vm)));
                        agents.close_idle();
                    }
                }
            }
        }
    }
}

async fn wait_for(turn: Option<Instant>) {
    match turn {
        Some(turn) => sleep_until(turn).await,
        None => pending().await,
    }
}

/// The machine whose guest is asked, if there is one.
fn machine_of(vm: &Vm) -> Option<IncarnationId> {
    vm.incarnation.as_ref().filter(|_| vm.is_on()).map(|machine| machine.id)
}

impl Engine {
    /// Asks the agent in a guest, tells what it told, and hands back the agent that was asked.
    async fn ask_guest(&self, vm: VmId, machine: IncarnationId) -> (Option<Agent>, Outcome) {
        let runs = self.vm(vm).is_ok_and(|vm| vm.facts.machine == MachineState::Running);
        if !runs {
            return (None, Outcome::Held);
        }
        let agent = self.agent_of(vm);
        let outcome = match ask(&agent).await {
            Ok(Told { guest, interfaces }) => {
                if let (Some(interfaces), Ok(vm)) = (interfaces, self.vm(vm)) {
                    let addresses = addresses_of(&vm, &interfaces);
                    self.tell_guest(vm.id, machine, Some(guest), addresses);
                }
                Outcome::Answered
            }
            Err(AgentError::NoChannel(refusal)) if refusal.code == Code::Unsupported => {
                Outcome::NoChannel
            }
            Err(error) => {
                debug!(%vm, %error, "the guest's agent was asked");
                Outcome::Silent
            }
        };
        (Some(agent), outcome)
    }

    /// Tells what is new of it, if its machine is still the one that was asked.
    fn tell_guest(
        &self,
        id: VmId,
        machine: IncarnationId,
        guest: Option<GuestSystem>,
        addresses: Vec<GuestAddress>,
    ) {
        let Ok(vm) = self.vm(id) else { return };
        let told = vm.addresses.iter().filter(|known| known.source == AddressSource::Agent);
        let same = told.eq(&addresses) && vm.guest.as_deref() == guest.as_ref();
        if machine_of(&vm) == Some(machine) && !same {
            self.view().post(Update::VmGuest { id, guest: guest.map(Arc::new), addresses });
            self.shared.noticed.to_note().mark(id);
        }
    }
}

/// Asks for everything. What it refuses, it does not tell.
async fn ask(agent: &Agent) -> Result<Told, AgentError> {
    let interfaces = unless_refused(agent.interfaces().await)?;
    let hostname = unless_refused(agent.host_name().await)?;
    let system = unless_refused(agent.os_info().await)?.unwrap_or_default();
    let guest = GuestSystem {
        hostname: hostname.and_then(kept),
        os: system.pretty_name.or(system.id).and_then(kept),
        kernel: system.kernel_release.and_then(kept),
    };
    Ok(Told { guest, interfaces })
}

fn unless_refused<T>(answer: Result<T, AgentError>) -> Result<Option<T>, AgentError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(AgentError::Refused { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn kept(text: String) -> Option<String> {
    let end = text.floor_char_boundary(MAX_TEXT);
    Some(text[..end].trim().to_owned()).filter(|text| !text.is_empty())
}

/// The addresses that a guest told, those on NICs first, in an order that does not depend on the guest.
/// Those that mean nothing to others are left out.
fn addresses_of(vm: &Vm, interfaces: &[Interface]) -> Vec<GuestAddress> {
    let nic_with = |mac: MacAddress| {
        let plugs = vm.incarnation.iter().flat_map(|machine| &machine.plugs);
        let plugged = plugs.filter(|plug| plug.mac == mac).map(|plug| plug.nic.clone()).next();
        let assigned = || {
            let spec = vm.spec.as_ref()?;
            let mut nics = spec.config.nics.iter();
            let nic = nics.find(|nic| spec.assigned.macs.get(nic.name.as_str()) == Some(&mac))?;
            Some(nic.name.clone())
        };
        plugged.or_else(assigned)
    };
    let mut addresses: Vec<GuestAddress> = interfaces
        .iter()
        .flat_map(|interface| {
            let mac = interface.mac.as_ref().and_then(|mac| mac.parse().ok());
            let nic = mac.and_then(nic_with);
            let told = interface.addresses.iter().map(|told| told.address);
            told.filter(|address| means_something(*address)).take(MAX_ADDRESSES).map(
                move |address| GuestAddress {
                    nic: nic.clone(),
                    address,
                    source: AddressSource::Agent,
                },
            )
        })
        .collect();
    addresses.sort_by(|a, b| (a.nic.is_none(), a).cmp(&(b.nic.is_none(), b)));
    addresses.dedup();
    addresses.truncate(MAX_ADDRESSES);
    addresses.shrink_to_fit();
    addresses
}

/// Whether an address can mean this guest to somebody who is not in it.
fn means_something(address: IpAddr) -> bool {
    let is_of_the_link = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !(is_of_the_link || address.is_loopback() || address.is_unspecified() || address.is_multicast())
}
