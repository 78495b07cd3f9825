//! The agents in guests that somebody has asked something.

use super::SessionGuard;
use crate::{Engine, accept::request::Caller};
use innkeeper_driver::Driver;
use innkeeper_model::{Refusal, VmId};
use innkeeper_session::agent::{Agent, Channel, Opening};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// The agents, each with its connection while there is one.
#[derive(Debug, Default)]
pub(crate) struct Agents {
    agents: Mutex<HashMap<VmId, Agent>>,
    marked: Mutex<HashSet<VmId>>,
    rung: Notify,
}

/// The agent in a VM's guest, for one session.
#[derive(Debug)]
pub struct OpenedAgent {
    /// The agent; others may ask it at the same time.
    pub agent: Agent,
    /// Lists the session while it lives.
    pub session: SessionGuard,
}

/// Opens the channel through the driver.
struct ThroughDriver {
    driver: Arc<dyn Driver>,
    vm: VmId,
}

impl Channel for ThroughDriver {
    fn open(&self) -> Opening<'_> {
        Box::pin(async { Ok(Box::new(self.driver.open_agent(self.vm).await?) as _) })
    }
}

impl Agents {
    fn agents(&self) -> MutexGuard<'_, HashMap<VmId, Agent>> {
        // Only map operations happen under the lock.
        self.agents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of the connections that nobody uses.
    pub(crate) fn close_idle(&self) {
        self.agents().retain(|_, agent| !agent.is_idle());
    }

    /// Something has become of a VM after which its guest's agent may tell something else.
    pub(crate) fn mark(&self, vm: VmId) {
        self.marked.lock().unwrap_or_else(PoisonError::into_inner).insert(vm);
        self.rung.notify_one();
    }

    /// Waits until some are marked, and takes the marks off.
    pub(crate) async fn marked(&self) -> HashSet<VmId> {
        loop {
            let marked =
                std::mem::take(&mut *self.marked.lock().unwrap_or_else(PoisonError::into_inner));
            if !marked.is_empty() {
                return marked;
            }
            self.rung.notified().await;
        }
    }
}

impl Engine {
    /// The agent in a VM's guest. Nothing is asked of it by this: it may be gone, slow or lying.
    ///
    /// # Errors
    /// There is no such VM.
    pub fn agent(
        &self,
        caller: &Caller,
        vm: VmId,
        kind: &'static str,
    ) -> Result<OpenedAgent, Refusal> {
        self.driver_of(vm)?;
        let agent = self.agent_of(vm);
        Ok(OpenedAgent { agent, session: self.shared.sessions.list(vm, kind, caller) })
    }

    /// The one agent that all who ask in a VM's guest share.
    pub(crate) fn agent_of(&self, vm: VmId) -> Agent {
        let drivers = &self.shared.performer.drivers;
        let driver = self.reader_of(vm).unwrap_or_else(|_| drivers.own().clone());
        let mut agents = self.shared.agents.agents();
        // Those of VMs whose machine is gone have no connection, and nobody uses them.
        agents.retain(|known, agent| *known == vm || !agent.is_idle());
        agents.entry(vm).or_insert_with(|| Agent::new(ThroughDriver { driver, vm })).clone()
    }
}
