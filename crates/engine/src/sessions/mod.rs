//! Who has a session: a stream open to something in a machine, or a file that goes or comes. Counted here,
//! so that a diagnosis can name them. Sessions never queue, and what is done to a VM waits for none.

mod agents;
pub(crate) mod asking;
mod consoles;
mod exports;
mod listed;
mod rounds;
mod transfers;

pub(crate) use agents::Agents;
pub use agents::OpenedAgent;
pub(crate) use consoles::Consoles;
pub use consoles::OpenedConsole;
pub use exports::{OpenedArrival, OpenedExport};
pub use listed::SessionGuard;
pub use transfers::{OpenedDisk, OpenedImage, OpenedUpload};

use crate::{Engine, accept::request::Caller};
use innkeeper_driver::ByteStream;
use innkeeper_model::{
    Code, ImageName, ProjectName, Refusal, Timestamp, VmId, diagnosis::SessionDiagnosis,
    keyboard::Stroke,
};
use listed::{Counted, Counts};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tracing::info;

/// The open sessions. Clones are one list.
#[derive(Debug, Clone, Default)]
pub struct Sessions(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    next: u64,
    sessions: BTreeMap<u64, Session>,
}

#[derive(Debug)]
struct Session {
    of: SessionSubject,
    kind: &'static str,
    caller: String,
    since: Timestamp,
    counts: Arc<Counts>,
}

/// What a session is open to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SessionSubject {
    /// A VM.
    Vm(VmId),
    /// An image, or what is to become one.
    Image(ImageName),
    /// What is to become a VM, of this project where that is not left to the file.
    NewVm(Option<ProjectName>),
}

impl From<VmId> for SessionSubject {
    fn from(vm: VmId) -> Self {
        Self::Vm(vm)
    }
}

impl From<&ImageName> for SessionSubject {
    fn from(image: &ImageName) -> Self {
        Self::Image(image.clone())
    }
}

impl Sessions {
    fn open(&self) -> MutexGuard<'_, Open> {
        // Only map operations happen under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists a session for as long as the guard lives.
    pub fn list(
        &self,
        of: impl Into<SessionSubject>,
        kind: &'static str,
        caller: &Caller,
    ) -> SessionGuard {
        self.insert(&mut self.open(), of.into(), kind, caller)
    }

    fn insert(
        &self,
        open: &mut Open,
        of: SessionSubject,
        kind: &'static str,
        caller: &Caller,
    ) -> SessionGuard {
        let counts = Arc::<Counts>::default();
        let number = open.next;
        open.next += 1;
        let (caller, since) = (caller.name.clone(), Timestamp::now());
        open.sessions.insert(number, Session { of, kind, caller, since, counts: counts.clone() });
        SessionGuard::new(self.clone(), number, counts)
    }

    fn remove(&self, number: u64) {
        self.open().sessions.remove(&number);
    }

    /// Those that are open, the oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<SessionDiagnosis> {
        let open = self.open();
        let mut viewers: HashMap<(&SessionSubject, &str), usize> = HashMap::new();
        for session in open.sessions.values() {
            *viewers.entry((&session.of, session.kind)).or_default() += 1;
        }
        let shown = |session: &Session| {
            let Session { ref of, kind, ref caller, since, ref counts } = *session;
            let (shown, typed) = counts.get();
            let (vm, image, viewers) = match of {
                SessionSubject::Vm(vm) => (Some(*vm), None, viewers[&(of, kind)]),
                SessionSubject::Image(image) => (None, Some(image.clone()), viewers[&(of, kind)]),
                // Each is another's.
                SessionSubject::NewVm(_) => (None, None, 1),
            };
            let (kind, caller) = (kind.into(), caller.clone());
            SessionDiagnosis { vm, image, kind, caller, since, viewers, shown, typed }
        };
        open.sessions.values().map(shown).collect()
    }
}

impl Engine {
    /// Opens a VM's screen: a connection that speaks RFB (VNC). Dropping it closes it.
    ///
    /// # Errors
    /// There is no such VM, it does not run, or it has no screen.
    pub async fn open_vnc(
        &self,
        caller: &Caller,
        vm: VmId,
    ) -> Result<Box<dyn ByteStream>, Refusal> {
        let opened = self.driver_of(vm)?.open_vnc(vm).await;
        let stream = opened.map_err(|refusal| self.explain(vm, "screen", refusal))?;
        info!(%vm, caller = caller.name, "a viewer of the screen");
        Ok(Box::new(Counted::new(stream, self.shared.sessions.list(vm, "vnc", caller))))
    }

    /// What a VM's screen shows, as PNG.
    ///
    /// # Errors
    /// There is no such VM, it does not run, or it has no screen.
    pub async fn screenshot(&self, vm: VmId) -> Result<Vec<u8>, Refusal> {
        let taken = self.reader_of(vm)?.screenshot(vm).await;
        taken.map_err(|refusal| self.explain(vm, "screen", refusal))
    }

    /// Presses keys of a VM's keyboard. Dropping the future leaves out those that have not begun.
    ///
    /// # Errors
    /// There is no such VM, or it does not run.
    pub async fn send_keys(
        &self,
        caller: &Caller,
        vm: VmId,
        strokes: &[Stroke],
    ) -> Result<(), Refusal> {
        let driver = self.driver_of(vm)?;
        info!(%vm, caller = caller.name, strokes = strokes.len(), "keys are pressed");
        let pressed = driver.send_keys(vm, strokes).await;
        pressed.map_err(|refusal| self.explain(vm, "keyboard", refusal))
    }

    /// A refusal of the driver's, which knows no names, in the words of the view.
    fn explain(&self, vm: VmId, what: &str, refusal: Refusal) -> Refusal {
        match (refusal.code, self.vm(vm)) {
            (Code::WrongState, Ok(record)) => {
                let message = format!("VM {} has no {what}: it is {}", record.name, record.state);
                Refusal::new(Code::WrongState, message).with_hint("`inn start` it first")
            }
            _ => refusal,
        }
    }
}
