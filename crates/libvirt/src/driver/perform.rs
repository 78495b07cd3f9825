//! Doing it: what is asked of libvirt, waited for, and taken back.

use super::{Act, LibvirtDriver};
use crate::{
    client::Client,
    error::Error,
    protocol::DomainRef,
    survey::{Domain, Heard},
};
use innkeeper_driver::StepError;
use innkeeper_model::{Code, MachineState, Refusal};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long a step waits for a connection.
const CONNECTS_WITHIN: Duration = Duration::from_secs(10);
/// How long it may take to tell how a domain is after a step that was not done.
const TELLS_WITHIN: Duration = Duration::from_millis(1_500);
/// How often a guest is asked to end while it does not: one that is still booting has nobody yet who
/// notices.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(3);
/// How long a guest may take at most, whatever is asked for.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// How long a domain's end waits for libvirt to answer a start that was given up.
const START_ANSWERED_WITHIN: Duration = Duration::from_secs(30);

impl LibvirtDriver {
    /// Does something to a domain. However it ends, it was told how the domain is by then, if libvirt
    /// says so.
    pub(super) async fn act(
        &self,
        uuid: Uuid,
        act: Act,
        cancelled: &CancellationToken,
    ) -> Result<(), StepError> {
        let done = async {
            match act {
                Act::Start => self.start(uuid).await,
                Act::Shutdown { run, timeout } => self.shut_down(uuid, run, timeout).await,
                Act::Destroy { run } => self.destroy(uuid, run).await,
                Act::Pause { run, .. } => self.pause(uuid, run).await,
                Act::Resume { run } => self.resume(uuid, run, false).await,
            }
        };
        let outcome = tokio::select! {
            biased;
            () = cancelled.cancelled() => Err(StepError::Cancelled),
            done = done => done.map_err(StepError::from),
        };
        if outcome.is_err() {
            self.tell(uuid).await;
        }
        outcome
    }

    /// Takes back what an act may have done.
    pub(super) async fn take_back(&self, uuid: Uuid, act: Act) -> Result<(), Refusal> {
        match act {
            // A run that somebody else began is none of this start's.
            Act::Start => {
                self.link.start_answered(uuid).await;
                match self.link.begun(uuid) {
                    Some(run) => self.destroy(uuid, run).await,
                    None => self.look(uuid).await,
                }
            }
            Act::Pause { run, ran: true } => self.resume(uuid, run, true).await,
            // What goes forward only, or changed nothing that could go back.
            Act::Pause { .. } | Act::Shutdown { .. } | Act::Destroy { .. } | Act::Resume { .. } => {
                self.look(uuid).await
            }
        }
    }

    async fn start(&self, uuid: Uuid) -> Result<(), Refusal> {
        self.link.start_answered(uuid).await;
        let client = self.client().await?;
        let domain = self.refreshed(&client, uuid).await?.ok_or_else(|| no_domain(uuid))?;
        if domain.run.is_some() {
            return Ok(());
        }
        let starting = self.link.begin_start(uuid);
        let asking = client.clone();
        // libvirt goes on with it whether anybody waits or not: what takes it back must know.
        let asked = tokio::spawn(async move {
            let started = asking.create(domain.reference()).await;
            starting.answered(started.as_ref().ok().and_then(DomainRef::run));
            started
        });
        let started = asked.await.map_err(|failed| {
            Refusal::new(Code::Internal, "the start of a domain was not done").caused_by(&failed)
        })?;
        let now = self.refreshed(&client, uuid).await?;
        match started {
            // Somebody else was faster.
            Err(error) if error.is_wrong_state() && now.is_some_and(|it| it.run.is_some()) => {
                Ok(())
            }
            started => Ok(started.map(drop)?),
        }
    }

    async fn shut_down(&self, uuid: Uuid, run: i64, within: Duration) -> Result<(), Refusal> {
        let deadline = Instant::now() + within.min(LONGEST);
        loop {
            let mut changes = self.link.changes();
            let client = self.client().await?;
            let domain = self.refreshed(&client, uuid).await?;
            let Some(domain) = domain.filter(|domain| !has_ended(domain, run)) else {
                return Ok(());
            };
            match client.shutdown(domain.reference()).await {
                // It has ended meanwhile, or is about to.
                Err(error) if error.is_wrong_state() || error.is_no_domain() => {}
                asked => asked?,
            }
            let ended = async {
                while self.link.known(uuid).is_some_and(|domain| !has_ended(&domain, run)) {
                    // The link, and with it the sender, lives as long as this driver.
                    if changes.changed().await.is_err() {
                        return;
                    }
                }
            };
            let ask_again = deadline.min(Instant::now() + ASK_AGAIN_AFTER);
            if timeout_at(ask_again, ended).await.is_ok() {
                continue;
            }
            if Instant::now() >= deadline {
                let message =
                    format!("the guest did not power itself off within {} s", within.as_secs());
                return Err(Refusal::new(Code::Timeout, message)
                    .with_hint("`inn kill VM` ends it without asking"));
            }
        }
    }

    async fn destroy(&self, uuid: Uuid, run: i64) -> Result<(), Refusal> {
        drop(timeout(START_ANSWERED_WITHIN, self.link.start_answered(uuid)).await);
        let Some((client, domain)) = self.in_run(uuid, run).await? else { return Ok(()) };
        let asked = client.destroy(domain.reference()).await;
        self.settle(&client, uuid, run, asked, |_| false).await.map(drop)
    }

    async fn pause(&self, uuid: Uuid, run: i64) -> Result<(), Refusal> {
        let is_paused = |domain: &Domain| domain.machine() == MachineState::Paused;
        let now = match self.in_run(uuid, run).await? {
            None => None,
            Some((_, domain)) if is_paused(&domain) => return Ok(()),
            Some((client, domain)) => {
                let asked = client.suspend(domain.reference()).await;
                self.settle(&client, uuid, run, asked, is_paused).await?
            }
        };
        match now {
            Some(now) if is_paused(&now) => Ok(()),
            Some(now) => {
                let message = format!("the machine is {:?} instead of paused", now.machine());
                Err(Refusal::new(Code::HypervisorFailed, message))
            }
            None => Err(Refusal::new(Code::WrongState, "the machine has ended")),
        }
    }

    /// Lets it go on. `anyway` asks for that although it runs: a pause may be on its way, and libvirt does
    /// in order what it is asked.
    async fn resume(&self, uuid: Uuid, run: i64, anyway: bool) -> Result<(), Refusal> {
        let is_running = |domain: &Domain| domain.machine() == MachineState::Running;
        let Some((client, domain)) = self.in_run(uuid, run).await? else { return Ok(()) };
        if is_running(&domain) && !anyway {
            return Ok(());
        }
        if domain.sleeps() {
            return Err(Refusal::new(Code::WrongState, "its guest has put itself to sleep")
                .with_hint("`virsh dompmwakeup` wakes it"));
        }
        let asked = client.resume(domain.reference()).await;
        self.settle(&client, uuid, run, asked, is_running).await.map(drop)
    }

    /// The domain, while it is in this run.
    async fn in_run(&self, uuid: Uuid, run: i64) -> Result<Option<(Arc<Client>, Domain)>, Refusal> {
        let client = self.client().await?;
        let domain = self.refreshed(&client, uuid).await?;
        Ok(domain.filter(|domain| domain.run == Some(run)).map(|domain| (client, domain)))
    }

    /// Tells what became of a domain after something was asked, and gives it while it is in this run. A
    /// refusal is none where the run is over, or is as it should be without it.
    async fn settle(
        &self,
        client: &Client,
        uuid: Uuid,
        run: i64,
        asked: Result<(), Error>,
        is_so: impl Fn(&Domain) -> bool,
    ) -> Result<Option<Domain>, Refusal> {
        let now = self.refreshed(client, uuid).await?.filter(|domain| domain.run == Some(run));
        match asked {
            Err(Error::Refused { .. }) if now.as_ref().is_none_or(is_so) => Ok(now),
            asked => Ok(asked.map(|()| now)?),
        }
    }

    async fn look(&self, uuid: Uuid) -> Result<(), Refusal> {
        let client = self.client().await?;
        self.refreshed(&client, uuid).await.map(drop)
    }

    async fn refreshed(&self, client: &Client, uuid: Uuid) -> Result<Option<Domain>, Refusal> {
        Ok(self.link.refresh(client, uuid, Heard::default()).await?)
    }

    async fn tell(&self, uuid: Uuid) {
        if let Some(client) = self.link.client_now() {
            let telling = self.link.refresh(&client, uuid, Heard::default());
            drop(timeout(TELLS_WITHIN, telling).await);
        }
    }

    /// The connection, if there is one soon.
    pub(super) async fn client(&self) -> Result<Arc<Client>, Refusal> {
        let connected = timeout(CONNECTS_WITHIN, self.link.client()).await;
        connected.map_err(|_| self.link.not_connected())
    }
}

/// Whether a run is over: the domain is off or runs anew, or its guest panicked and libvirt keeps it.
fn has_ended(domain: &Domain, run: i64) -> bool {
    domain.run != Some(run) || domain.has_crashed()
}

fn no_domain(uuid: Uuid) -> Refusal {
    Refusal::not_found("domain of libvirt's", uuid)
}
