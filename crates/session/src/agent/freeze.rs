//! Holding a guest's file systems still while something is done.

use super::{Agent, AgentError, wire::SHORT_LINE};
use innkeeper_model::{Code, Refusal};
use serde_json::json;
use std::{io, time::Duration};
use tokio::{
    runtime::Handle,
    sync::{OwnedMutexGuard, oneshot},
    task::JoinHandle,
    time::sleep,
};
use tracing::warn;

/// How long a guest may take to write out what its file systems hold back.
const FREEZES_WITHIN: Duration = Duration::from_secs(60);
/// How long it may take to let them go on.
const THAWS_WITHIN: Duration = Duration::from_secs(10);
/// How often it is asked to.
const TRIES: usize = 6;

/// What was done while a guest's file systems were held still.
#[derive(Debug)]
pub struct Thawed<T> {
    /// What came of it.
    pub done: T,
    /// Why the guest did not say that they go on, if it did not.
    pub problem: Option<AgentError>,
}

/// A guest's file systems that are held still, until their time is over, somebody lets them go on, or
/// this is dropped.
#[derive(Debug)]
pub struct Held {
    /// How many there are.
    pub file_systems: u64,
    /// Dropping it lets them go on.
    holding: Option<oneshot::Sender<()>>,
    ended: JoinHandle<Result<(), AgentError>>,
}

impl Held {
    /// Waits until they go on. Dropping the future lets them.
    ///
    /// # Errors
    /// The guest did not say that they do.
    pub async fn thawed(self) -> Result<(), AgentError> {
        self.until(std::future::pending()).await
    }

    /// The same, and lets them go on as soon as this is over.
    ///
    /// # Errors
    /// As [`Held::thawed`].
    pub async fn until(mut self, over: impl Future<Output = ()>) -> Result<(), AgentError> {
        let ended = tokio::select! {
            biased;
            ended = &mut self.ended => ended,
            () = over => {
                self.holding = None;
                (&mut self.ended).await
            }
        };
        ended.unwrap_or_else(|error| Err(AgentError::Broken(io::Error::other(error))))
    }
}

/// Lets them go on, however it ends. Nobody else may hold them before.
struct Thaw(Option<(Agent, OwnedMutexGuard<()>)>);

impl Thaw {
    /// They go on: nothing is left to do.
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Thaw {
    fn drop(&mut self) {
        let Some((agent, mine)) = self.0.take() else { return };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = agent.thaw().await {
                    warn!(%error, "a guest's file systems may be held still");
                }
                drop(mine);
            });
        }
    }
}

impl Agent {
    /// Whether the guest's file systems are held still.
    ///
    /// # Errors
    /// The agent does not answer, or refuses.
    pub async fn is_frozen(&self) -> Result<bool, AgentError> {
        let status: String = self.ask("guest-fsfreeze-status", json!({})).await?;
        Ok(status == "frozen")
    }

    /// Does something while the guest's file systems are held still. They are let go on when it is done,
    /// fails, or is dropped; and where they could not all be held, too.
    ///
    /// # Errors
    /// They could not be held; nothing was done.
    pub async fn frozen<T>(&self, work: impl Future<Output = T>) -> Result<Thawed<T>, AgentError> {
        let (thaw, _) = self.freeze().await?;
        let done = work.await;
        let problem = self.thaw().await.err();
        if problem.is_none() {
            thaw.disarm();
        }
        Ok(Thawed { done, problem })
    }

    /// Holds the guest's file systems still for so long at most. Dropping the future lets them go on.
    ///
    /// # Errors
    /// They could not be held, or somebody else holds them.
    pub async fn hold(&self, at_most: Duration) -> Result<Held, AgentError> {
        let (thaw, file_systems) = self.freeze().await?;
        let (holding, dropped) = oneshot::channel::<()>();
        let mut thawed = self.shared.thawed.subscribe();
        let agent = self.clone();
        let ended = tokio::spawn(async move {
            tokio::select! {
                // Time is what the hold is bounded by.
                () = sleep(at_most) => {}
                _ = dropped => {}
                _ = thawed.changed() => {}
            }
            let thawed = agent.thaw().await;
            if thawed.is_ok() {
                thaw.disarm();
            }
            thawed
        });
        Ok(Held { file_systems, holding: Some(holding), ended })
    }

    async fn freeze(&self) -> Result<(Thaw, u64), AgentError> {
        let mine = self.shared.freeze.clone().try_lock_owned().map_err(|_| {
            let message = "somebody else has the guest's file systems held still";
            AgentError::NoChannel(Refusal::new(Code::InUse, message))
        })?;
        let thaw = Thaw(Some((self.clone(), mine)));
        let frozen =
            self.call::<i64>("guest-fsfreeze-freeze", json!({}), FREEZES_WITHIN, SHORT_LINE);
        let file_systems = frozen.await?;
        Ok((thaw, u64::try_from(file_systems).unwrap_or_default()))
    }

    /// Lets them go on, whoever holds them.
    ///
    /// # Errors
    /// The agent does not answer, asked again and again, or refuses.
    pub async fn thaw(&self) -> Result<(), AgentError> {
        let mut tries = 0;
        loop {
            let thawed =
                self.call::<i64>("guest-fsfreeze-thaw", json!({}), THAWS_WITHIN, SHORT_LINE);
            match thawed.await {
                Err(AgentError::Silent { .. }) if tries < TRIES => tries += 1,
                thawed => {
                    thawed?;
                    self.shared.thawed.send_replace(());
                    return Ok(());
                }
            }
        }
    }
}
