//! The serial lines that somebody looks at: one hub a VM, for as long as there are viewers.

use super::listed::Counted;
use crate::{Engine, accept::request::Caller};
use innkeeper_driver::ByteStream;
use innkeeper_model::{Code, Refusal, VmId};
use innkeeper_session::{Hub, Joined, Role};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{sleep, timeout};

/// How long the history of a line may take; where its hypervisor takes longer, it is what was kept of it before.
const HISTORY_WITHIN: Duration = Duration::from_secs(1);
/// How long a place at a line that this daemon has just left may take to be free.
const FREE_WITHIN: Duration = Duration::from_secs(2);
/// How often it is looked after meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The hub of one VM's line; held while it is opened, so that it is opened once.
type Line = Arc<tokio::sync::Mutex<Option<Hub>>>;

/// The hubs of all VMs.
#[derive(Debug, Default)]
pub(crate) struct Consoles(Mutex<HashMap<VmId, Line>>);

/// What somebody has who opened a console.
pub struct OpenedConsole {
    /// The line: what it writes, with what it wrote last before, and what is typed. Dropping it leaves
    /// the line to others.
    pub stream: Box<dyn ByteStream>,
    /// Whether what is typed arrives.
    pub may_type: bool,
    /// Who types, if that is somebody else.
    pub typist: Option<Arc<str>>,
}

impl Consoles {
    fn lines(&self) -> MutexGuard<'_, HashMap<VmId, Line>> {
        // Only map operations happen under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, vm: VmId) -> Line {
        let mut lines = self.lines();
        // Those that nobody looks at any more are forgotten.
        lines.retain(|_, line| {
            Arc::strong_count(line) > 1
                || line
                    .try_lock()
                    .map_or(true, |hub| hub.as_ref().is_some_and(|hub| !hub.is_over()))
        });
        lines.entry(vm).or_default().clone()
    }
}

impl Engine {
    /// Opens a VM's serial console, which any number may have open.
    ///
    /// # Errors
    /// There is no such VM, or it does not run.
    pub async fn open_console(
        &self,
        caller: &Caller,
        vm: VmId,
        role: Role,
    ) -> Result<OpenedConsole, Refusal> {
        self.driver_of(vm)?;
        let joined = self.join_line(&caller.name, vm, role).await;
        let Joined { viewer, may_type, typist } =
            joined.map_err(|refusal| self.explain(vm, "console", refusal))?;
        let guard = self.shared.sessions.list(vm, "console", caller);
        Ok(OpenedConsole { stream: Box::new(Counted::new(viewer, guard)), may_type, typist })
    }

    async fn join_line(&self, who: &str, vm: VmId, role: Role) -> Result<Joined, Refusal> {
        let line = self.shared.consoles.line(vm);
        let mut line = line.lock().await;
        if let Some(hub) = &*line {
            if let Some(joined) = hub.join(who, role) {
                return Ok(joined);
            }
            hub.over().await;
        }
        let patience = if line.take().is_some() { FREE_WITHIN } else { Duration::ZERO };
        let stream = self.open_line(vm, patience).await?;
        let driver = self.driver_of(vm)?;
        let history = match timeout(HISTORY_WITHIN, driver.serial_log(vm)).await {
            Ok(Ok(history)) => history,
            _ => driver.kept_serial_log(vm).await.unwrap_or_default(),
        };
        let hub = Hub::start(stream, &history);
        let joined = hub.join(who, role);
        *line = Some(hub);
        joined.ok_or_else(|| Refusal::new(Code::WrongState, "the line has ended"))
    }

    /// Opens the line itself. The place at it may be this daemon's own for a moment still.
    async fn open_line(
        &self,
        vm: VmId,
        patience: Duration,
    ) -> Result<Box<dyn ByteStream>, Refusal> {
        let driver = self.driver_of(vm)?;
        let open = async {
            loop {
                // QEMU has no event for the end of a connection to a line; `patience` bounds this.
                match driver.open_console(vm).await {
                    Err(refusal) if refusal.code == Code::InUse => sleep(LOOK_EVERY).await,
                    opened => return opened,
                }
            }
        };
        match timeout(patience, open).await {
            Ok(opened) => opened,
            Err(_elapsed) => driver.open_console(vm).await,
        }
    }
}
