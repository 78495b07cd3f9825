//! Whole VMs that go out as files, and files that come in to become VMs. None of it is a task, and none of
//! it queues; the making of a VM of what has arrived is.

use super::{SessionGuard, SessionSubject, Sessions};
use crate::{
    Engine,
    accept::{request::Caller, work::spec_of},
    turn::planning::disk_size,
};
use innkeeper_model::{ByteSize, Code, ProjectName, Refusal, VmId, VmName, VmState};
use innkeeper_storage::{Arrival, Export, Manifest};

/// How many files at once may come in to become VMs. Each keeps up to a mebibyte in memory until it has said which VM
/// it is of, and a file or two open.
const MAX_IMPORTS: usize = 64;
/// How many of these may be one project's, which is not to keep others from theirs.
const MAX_IMPORTS_OF_A_PROJECT: usize = 8;
/// The last places are for projects that have none: a few that send slowly are not to have all.
const KEPT_FOR_WHO_HAS_NONE: usize = 32;

/// A stopped VM as a file, for one session.
#[derive(Debug)]
pub struct OpenedExport {
    /// The file; reading it ends when one of the VM's disks is written to.
    pub file: Export,
    /// The VM's name.
    pub name: VmName,
    /// Lists the session while it lives.
    pub session: SessionGuard,
}

/// A file that comes in to become a VM, for one session.
#[derive(Debug)]
pub struct OpenedArrival {
    /// Where it is written.
    pub arrival: Arrival,
    /// Lists the session while it lives.
    pub session: SessionGuard,
}

impl Sessions {
    /// Lists a file that comes in to become a VM, of this project where that is not left to the file, for as long
    /// as the guard lives.
    ///
    /// # Errors
    /// As many come in already as may, of that project or in all.
    pub fn list_import(
        &self,
        project: Option<ProjectName>,
        caller: &Caller,
    ) -> Result<SessionGuard, Refusal> {
        let mut open = self.open();
        let (mut all, mut of_project) = (0, 0);
        for session in open.sessions.values() {
            let SessionSubject::NewVm(of) = &session.of else { continue };
            all += 1;
            of_project += usize::from(project.is_some() && *of == project);
        }
        let left = MAX_IMPORTS.saturating_sub(all);
        if left == 0 {
            return Err(too_many("of this host", MAX_IMPORTS));
        }
        let most = if left > KEPT_FOR_WHO_HAS_NONE { MAX_IMPORTS_OF_A_PROJECT } else { 1 };
        if let Some(project) = &project
            && of_project >= most
        {
            return Err(too_many(&format!("of project {project}"), of_project));
        }
        Ok(self.insert(&mut open, SessionSubject::NewVm(project), "import", caller))
    }
}

fn too_many(whose: &str, most: usize) -> Refusal {
    let message = format!("{most} imports {whose} are on their way, as many as may be at once");
    Refusal::new(Code::OutOfCapacity, message)
        .with_limit(most)
        .with_hint("send it again when one of them has arrived, or was broken off")
}

impl Engine {
    /// Opens a stopped VM to be read as one file. The VM can be started meanwhile: it waits for nobody.
    ///
    /// # Errors
    /// There is no such VM, it is not stopped, another manager has it, or nobody has confirmed it;
    /// something of it is only on this host, or cannot be read.
    pub async fn export_vm(&self, caller: &Caller, vm: VmId) -> Result<OpenedExport, Refusal> {
        let record = self.vm(vm)?;
        let spec = spec_of(&record)?;
        let name = record.name.clone();
        if let Some(manager) = record.manager() {
            let message = format!("VM {name} is {manager}'s, which has its disks");
            return Err(Refusal::new(Code::Unsupported, message)
                .with_hint(format!("export it with {manager}'s own tools")));
        }
        let (is, hint) = match record.state {
            VmState::Stopped if spec.draft => ("a draft".into(), format!("inn edit {name}")),
            VmState::Stopped => {
                let session = self.shared.sessions.list(vm, "export", caller);
                let file = self.shared.performer.hands.storage.export(&spec).await?;
                return Ok(OpenedExport { file, name, session });
            }
            // Memory is of use only with the machine that it is of, and disks only with the memory.
            VmState::Suspended => (
                "suspended".into(),
                format!(
                    "its memory is not exported: inn resume {name}, then inn stop {name}; or give \
                     it up: inn start --discard-memory {name}, then inn stop {name}"
                ),
            ),
            state => (state.to_string(), format!("inn stop {name}")),
        };
        let message = format!("VM {name} is {is}; only one that is stopped can be exported");
        Err(Refusal::new(Code::WrongState, message).with_hint(hint))
    }

    /// Begins to receive a file of which [`crate::Request::Import`] then makes a VM. `length` is how long
    /// it is, where that is known; `project` whose it will be, where that is not left to the file. As soon as the file
    /// says what the VM is, what its disks may grow to is taken of that project and of the host, until all has arrived.
    ///
    /// # Errors
    /// It is too large; the project, or the host, has no room for another VM, or as many are on their way to it as may
    /// be at once. Where it has no room for this one, that is an error of what is received.
    pub async fn receive_vm(
        &self,
        caller: &Caller,
        length: Option<u64>,
        project: Option<ProjectName>,
    ) -> Result<OpenedArrival, Refusal> {
        let hands = &self.shared.performer.hands;
        if let Some(project) = &project {
            hands.accountant.has_room(project, ByteSize(0))?;
        }
        let session = self.shared.sessions.list_import(project.clone(), caller)?;
        let (accountant, view) = (hands.accountant.clone(), self.view().clone());
        let admit = move |manifest: &Manifest| {
            let project = project.as_ref().unwrap_or(&manifest.config.project);
            accountant.hold(project, disk_size(&manifest.config, &view.snapshot()))
        };
        let arrival = hands.storage.receive_vm(length, admit).await?;
        Ok(OpenedArrival { arrival, session })
    }
}
