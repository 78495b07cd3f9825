//! What wakes the daemon about networks: a file of leases that changed, rules that somebody else changed, and a
//! dnsmasq that died. While nothing of it happens, nothing runs.

use super::Inner;
use crate::leases;
use innkeeper_model::{NetworkId, Refusal};
use rustix::{
    fd::OwnedFd,
    fs::inotify::{self, CreateFlags, WatchFlags},
    io::Errno,
};
use std::{
    collections::BTreeSet,
    fs, io,
    mem::MaybeUninit,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::{
    io::unix::AsyncFd,
    task::AbortHandle,
    time::{Instant, sleep, sleep_until},
};
use tracing::warn;

/// How long to wait after a change, so that a file that is written in pieces is read once, and rules that are
/// changed in pieces are looked at once.
const SETTLE: Duration = Duration::from_millis(10);
/// The shortest time between two words that somebody else has changed the rules: with a tool that never leaves them
/// alone the daemon does not contend for more than this.
const LEAST_BETWEEN: Duration = Duration::from_secs(1);
/// The first wait before a server that died is started again; each further one is twice as long.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
/// The longest.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// A server that lived as long as this did not die of how it was started.
const LIVED: Duration = Duration::from_secs(60);

/// Reads leases whenever dnsmasq writes them, until the networks are dropped.
pub(super) fn leases(inner: &Arc<Inner>) -> Result<AbortHandle, Refusal> {
    let inotify =
        inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).map_err(io::Error::from)?;
    // dnsmasq keeps the file open and writes it anew from its beginning.
    inotify::add_watch(&inotify, &inner.options.state, WatchFlags::MODIFY)
        .map_err(io::Error::from)?;
    // SAFETY: the `AsyncFd` owns the descriptor, and nothing takes it out or closes it before.
    let inotify = unsafe { AsyncFd::register(inotify) }.map_err(io::Error::from)?;
    let inner = Arc::downgrade(inner);
    Ok(tokio::spawn(follow_leases(inotify, inner)).abort_handle())
}

/// Tells whenever somebody else has changed the rules, until the networks are dropped.
pub(super) fn rules(inner: &Arc<Inner>) -> Option<AbortHandle> {
    let notices = inner.notices.clone()?;
    let inner = Arc::downgrade(inner);
    let follow = async move {
        while let Ok(was_heard) = notices.come().await {
            // One change of rules is often followed by the next, and the daemon's own are taken by who makes them.
            sleep(SETTLE).await;
            let Some(alive) = inner.upgrade() else { return };
            if alive.host.lock().await.hears_of_others(&alive) || was_heard {
                alive.is_disturbed();
                drop(alive);
                sleep(LEAST_BETWEEN).await;
            }
        }
    };
    Some(tokio::spawn(follow).abort_handle())
}

async fn follow_leases(inotify: AsyncFd<OwnedFd>, inner: Weak<Inner>) {
    loop {
        let Ok(mut ready) = inotify.readable().await else { return };
        ready.clear_ready();
        drop(ready);
        // The file is written in pieces, and nothing says which is the last.
        sleep(SETTLE).await;
        let Some(inner) = inner.upgrade() else { return };
        for network in changed(&inotify) {
            inner.read_leases(network);
        }
    }
}

/// The networks whose files changed since the last look.
fn changed(inotify: &AsyncFd<OwnedFd>) -> BTreeSet<NetworkId> {
    let mut networks = BTreeSet::new();
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut events = inotify::Reader::new(inotify, &mut buffer);
    loop {
        match events.next() {
            Ok(event) => {
                let name = event.file_name().and_then(|name| name.to_str().ok());
                networks.extend(name.and_then(|name| name.parse::<NetworkId>().ok()));
            }
            Err(Errno::INTR) => {}
            Err(_) => return networks,
        }
    }
}

impl Inner {
    /// Reads a network's leases into its facts.
    pub(super) fn read_leases(&self, network: NetworkId) {
        let text = fs::read_to_string(self.files(network).leases).unwrap_or_default();
        let now = jiff::Timestamp::now().as_second();
        self.know(network, |known| known.facts.leases = leases::read(&text, &known.owners, now));
    }
}

/// How a network's server is to be started again after it died.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Restarts {
    /// How often in a row it died soon.
    deaths: u32,
}

impl Restarts {
    /// It died after this long: how long to wait before it is started.
    pub(super) fn died_after(&mut self, lived: Duration) -> Duration {
        self.deaths = if lived >= LIVED { 1 } else { self.deaths.saturating_add(1) };
        let doublings = self.deaths.saturating_sub(1).min(16);
        (FIRST_BACKOFF * 2_u32.pow(doublings)).min(LONGEST_BACKOFF)
    }
}

/// Waits until a network's server dies, and has it started again, as often as need be. Ends when the
/// server was ended on purpose, which aborts it, or is another.
pub(super) fn revive(
    inner: &Arc<Inner>,
    network: NetworkId,
    pidfd: Arc<AsyncFd<OwnedFd>>,
) -> AbortHandle {
    let inner = Arc::downgrade(inner);
    tokio::spawn(async move {
        let _ = pidfd.readable().await;
        drop(pidfd);
        let Some(alive) = inner.upgrade() else { return };
        let Some(wait) = alive.host.lock().await.server_died(&alive, network) else { return };
        drop(alive);
        warn!(%network, ?wait, "dnsmasq died; it is started again");
        let mut at = Instant::now() + wait;
        loop {
            sleep_until(at).await;
            let Some(alive) = inner.upgrade() else { return };
            match alive.host.lock().await.start_again(&alive, network).await {
                None => return,
                Some(wait) => at = Instant::now() + wait,
            }
        }
    })
    .abort_handle()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_dies_again_and_again_waits_longer_and_longer() {
        let mut restarts = Restarts::default();
        let waits: Vec<u128> =
            (0..12).map(|_| restarts.died_after(Duration::ZERO).as_millis()).collect();
        assert_eq!(waits[..4], [100, 200, 400, 800]);
        assert_eq!(waits[11], 30_000);
        assert_eq!(restarts.died_after(LIVED).as_millis(), 100, "it had worked");
    }
}
