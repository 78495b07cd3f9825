//! Watching libvirt: connects, asks what there is, follows what libvirt tells, and begins anew.

use crate::{
    client::Client,
    driver::LibvirtDriver,
    error::Error,
    link::Link,
    protocol::{DomainEvent, Happened},
    survey::AllHeard,
};
use async_trait::async_trait;
use innkeeper_driver::{Driver, Neighbour, NeighbourObserver};
use innkeeper_model::{Code, Refusal, Timestamp, host::ManagerLost};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    time::{interval_at, sleep, timeout},
};
use tracing::{debug, info};

/// The manager's name, and its driver's.
pub(crate) const NAME: &str = "libvirt";

/// How long after a loss, or a failure to connect, it is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How often all domains are asked for without a reason: libvirt tells nobody when a domain is to be
/// started with the host.
const SURVEY_EVERY: Duration = Duration::from_secs(60);
/// How long a survey that somebody waits for may take.
const SURVEYS_WITHIN: Duration = Duration::from_secs(10);
/// How many events are looked at together, and from how many domains on all of them are asked for.
const EVENTS_AT_ONCE: usize = 1_024;
const RATHER_ALL: usize = 64;
/// How long taking leave may take.
const LEAVES_WITHIN: Duration = Duration::from_secs(1);

/// Where libvirt is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibvirtOptions {
    /// Its socket: `/run/libvirt/libvirt-sock`, or `/run/libvirt/virtqemud-sock` where each of its
    /// drivers has a daemon of its own.
    pub socket: PathBuf,
    /// Which of its drivers, such as `qemu:///system`; without one, QEMU's: that of the host, or else that
    /// of the user that libvirt runs as.
    pub uri: Option<String>,
}

/// libvirt, as another manager of machines on this host.
#[derive(Debug)]
pub struct Libvirt {
    options: LibvirtOptions,
    link: Arc<Link>,
    driver: Arc<LibvirtDriver>,
}

impl Libvirt {
    /// The libvirt that is there. Nothing is connected yet.
    pub fn new(options: LibvirtOptions) -> Self {
        let link = Arc::new(Link::default());
        Self { options, driver: Arc::new(LibvirtDriver::new(link.clone())), link }
    }

    /// One connection, from its beginning to its end, and why it ended.
    async fn live(&self) -> Error {
        let LibvirtOptions { socket, uri } = &self.options;
        let (client, events) = match Client::connect(socket, uri.as_deref()).await {
            Ok((client, events)) => (Arc::new(client), events),
            Err(error) => return error,
        };
        let outcome = tokio::select! {
            outcome = self.follow(&client, events) => outcome,
            lost = client.lost() => Err(lost),
        };
        let error = match outcome {
            Err(error) => error,
            // Nothing is told any more only when the connection has ended.
            Ok(()) => client.lost().await,
        };
        if !error.is_loss() {
            drop(timeout(LEAVES_WITHIN, client.close()).await);
        }
        error
    }

    /// Tells what there is and what becomes of it; ends with an error, or when libvirt tells no more.
    async fn follow(
        &self,
        client: &Arc<Client>,
        mut events: mpsc::Receiver<DomainEvent>,
    ) -> Result<(), Error> {
        let _published = self.link.take_up(client.clone()).await?;
        info!(socket = %self.options.socket.display(), "libvirt is watched");
        let mut now_and_then =
            interval_at(tokio::time::Instant::now() + SURVEY_EVERY, SURVEY_EVERY);
        let nothing = AllHeard::new();
        let mut told = Vec::new();
        loop {
            tokio::select! {
                count = events.recv_many(&mut told, EVENTS_AT_ONCE) => match count {
                    0 => return Ok(()),
                    _ => self.heed(client, told.drain(..)).await?,
                },
                _ = now_and_then.tick() => self.link.survey(client, &nothing).await?,
            }
        }
    }

    async fn heed(
        &self,
        client: &Client,
        events: impl Iterator<Item = DomainEvent>,
    ) -> Result<(), Error> {
        let mut domains = AllHeard::new();
        for event in events {
            let heard = domains.entry(event.uuid).or_default();
            heard.changed |= event.what == Happened::Changed;
            heard.panicked |= event.what == Happened::Panicked;
        }
        if domains.len() > RATHER_ALL {
            return self.link.survey(client, &domains).await;
        }
        for (uuid, heard) in domains {
            match self.link.refresh(client, uuid, heard).await {
                Err(error) if error.is_loss() => return Err(error),
                Err(error) => debug!(%uuid, error = error.line(), "libvirt does not say how it is"),
                Ok(_) => {}
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Neighbour for Libvirt {
    fn name(&self) -> &'static str {
        NAME
    }

    fn driver(&self) -> Arc<dyn Driver> {
        self.driver.clone()
    }

    async fn watch(&self, observer: Arc<dyn NeighbourObserver>) {
        self.link.tell_to(observer);
        loop {
            let error = self.live().await;
            let silent = match &error {
                Error::Lost(loss) => loss.silence(),
                _ => Duration::ZERO,
            };
            let at = Timestamp::now().checked_sub(silent).unwrap_or_else(|_| Timestamp::now());
            let hint = error.hint().map(str::to_owned);
            self.link.lose(ManagerLost { at, reason: error.line(), hint });
            // libvirt may be restarting, or not be installed: it is not to be asked all the time.
            sleep(AGAIN_AFTER).await;
        }
    }

    async fn survey(&self) -> Result<(), Refusal> {
        let client = self.link.client_now().ok_or_else(|| self.link.not_connected())?;
        let nothing = AllHeard::new();
        let surveyed = timeout(SURVEYS_WITHIN, self.link.survey(&client, &nothing)).await;
        let late = |_| Refusal::new(Code::Timeout, "libvirt did not say in time what it has");
        Ok(surveyed.map_err(late)??)
    }
}
