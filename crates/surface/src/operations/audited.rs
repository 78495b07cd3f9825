//! Operations on record: whatever changes something, opens a session or is refused has its line in the
//! audit, by whichever surface it came.
//!
//! It stands around the engine, between it and all surfaces, so that no route can forget it. What reads the
//! view is not on record, and neither is what Innkeeper does of itself: nobody asked for that.

use super::{Diagnostics, Operations, Sessions};
use crate::{
    ending::to_its_end,
    on_record::{because, line, refused},
};
use async_trait::async_trait;
use innkeeper_driver::ByteStream;
use innkeeper_engine::{
    Accepted, AtEnd, Caller, ImageFrom, NetworkRequest, OpenedAgent, OpenedArrival, OpenedConsole,
    OpenedDisk, OpenedExport, OpenedImage, OpenedUpload, Projects, Request, Resolution,
};
use innkeeper_model::{
    AuditEntry, AuditOutcome, Diagnosis, ImageName, NetworkId, ProjectName, Refusal, Statistics,
    Task, TaskId, TaskState, VmId, keyboard::Stroke, task::PlannedOperation,
};
use innkeeper_session::Role;
use innkeeper_store::audit::AuditLog;
use innkeeper_view::{Snapshot, View};
use serde_json::Value;
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// What only asks an agent how its guest is: no session, and no change.
const ASKS: &str = "agent";

/// Operations, or diagnostics, with an audit around them. Clones are one.
pub struct Audited<T> {
    inner: Arc<T>,
    view: View,
    audit: AuditLog,
    /// The tasks whose ends are waited for.
    awaited: Arc<Mutex<HashSet<TaskId>>>,
}

impl<T> Clone for Audited<T> {
    fn clone(&self) -> Self {
        let Self { inner, view, audit, awaited } = self;
        let (inner, awaited) = (Arc::clone(inner), Arc::clone(awaited));
        Self { inner, view: view.clone(), audit: audit.clone(), awaited }
    }
}

impl<T> Audited<T> {
    /// These, with what goes through them on record. The view says what things are called.
    pub fn new(inner: T, view: View, audit: AuditLog) -> Self {
        Self { inner: Arc::new(inner), view, audit, awaited: Arc::default() }
    }

    /// Records what came of something that is done when it returns.
    fn note<R>(
        &self,
        entry: AuditEntry,
        done: AuditOutcome,
        result: Result<R, Refusal>,
    ) -> Result<R, Refusal> {
        self.audit.record(match &result {
            Ok(_) => AuditEntry { outcome: done, ..entry },
            Err(refusal) => refused(entry, refusal),
        });
        result
    }

    /// The beginning of a line about a VM.
    fn of_vm(&self, caller: &Caller, action: &str, vm: VmId) -> AuditEntry {
        let subject = vm_name(&self.view.snapshot(), vm);
        AuditEntry { subject, vm: Some(vm), ..line(caller, action) }
    }
}

fn locked(awaited: &Mutex<HashSet<TaskId>>) -> MutexGuard<'_, HashSet<TaskId>> {
    // A set of ids is whole after any panic.
    awaited.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Operations> Audited<T> {
    /// Has the ends of those tasks on record, too, that an earlier daemon had accepted and not ended. Call it
    /// once the engine has taken them up.
    pub fn await_unfinished(&self) {
        let snapshot = self.view.snapshot();
        for task in snapshot.tasks.values().filter(|task| !task.state.is_final()) {
            let entry = AuditEntry {
                caller: Some(task.caller.clone()),
                request_id: task.request_id.clone(),
                subject: some(&task.subject),
                vm: task.vm,
                task: Some(task.id),
                ..line(&Caller::default(), &task.operation)
            };
            self.await_end(task.id, entry);
        }
    }

    /// Writes the line of a task's end when it comes; once, however often it is asked for. Of one that has not
    /// ended when the daemon does, the next daemon writes it.
    fn await_end(&self, task: TaskId, entry: AuditEntry) {
        if !locked(&self.awaited).insert(task) {
            return;
        }
        let (audit, awaited) = (self.audit.clone(), Arc::clone(&self.awaited));
        let at_end = move |task: &Task| {
            locked(&awaited).remove(&task.id);
            if let Some(entry) = end(entry, task) {
                audit.record(entry);
            }
        };
        self.inner.at_end(task, Box::new(at_end));
    }
}

/// What is done here goes on where its caller hangs up. So does its line: all of it is one piece of work.
impl<T: Operations> Audited<T> {
    async fn submit_on_record(
        &self,
        caller: &Caller,
        request: Request,
    ) -> Result<Accepted, Refusal> {
        let (subject, vm) = about(&request, &self.view.snapshot());
        let entry = AuditEntry { subject, vm, ..line(caller, request.name()) };
        let accepted = match self.inner.submit(caller, request).await {
            Ok(accepted) => accepted,
            Err(refusal) => {
                self.audit.record(refused(entry, &refusal));
                return Err(refusal);
            }
        };
        let entry = AuditEntry {
            vm: accepted.vm.or(entry.vm),
            task: Some(accepted.task),
            outcome: AuditOutcome::Accepted,
            ..entry
        };
        self.audit.record(entry.clone());
        self.await_end(accepted.task, entry);
        Ok(accepted)
    }

    async fn resolve_on_record(
        &self,
        caller: &Caller,
        task: TaskId,
        resolution: Resolution,
    ) -> Result<(), Refusal> {
        let action = match resolution {
            Resolution::Resume => "task-resume",
            Resolution::Undo => "task-undo",
        };
        let entry = self.of_task(caller, action, task);
        let resolved = self.inner.resolve(caller, task, resolution).await;
        self.note(entry.clone(), AuditOutcome::Done, resolved)?;
        let operation = self.view.snapshot().tasks.get(&task).map(|task| task.operation.clone());
        self.await_end(
            task,
            AuditEntry { action: operation.unwrap_or(entry.action.clone()), ..entry },
        );
        Ok(())
    }
}

/// The line of a task's end; `None` where it has not ended.
fn end(entry: AuditEntry, task: &Task) -> Option<AuditEntry> {
    let outcome = match task.state {
        TaskState::Queued | TaskState::Running => return None,
        TaskState::Done => AuditOutcome::Done,
        TaskState::Failed => AuditOutcome::Failed,
        TaskState::Cancelled => AuditOutcome::Cancelled,
        TaskState::Interrupted => AuditOutcome::Interrupted,
    };
    let now = innkeeper_model::Timestamp::now();
    let entry = AuditEntry { at: task.ended.unwrap_or(now), outcome, ..entry };
    Some(match &task.error {
        Some(error) => because(entry, error),
        None => entry,
    })
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn vm_name(snapshot: &Snapshot, vm: VmId) -> Option<String> {
    snapshot.vms.get(&vm).map(|vm| vm.name.to_string())
}

fn network_name(snapshot: &Snapshot, network: NetworkId) -> Option<String> {
    snapshot.networks.get(&network).map(|network| network.config.name.to_string())
}

/// What a request is about: its name, and which VM it is.
fn about(request: &Request, snapshot: &Snapshot) -> (Option<String>, Option<VmId>) {
    match request {
        Request::Create { config, id } => (Some(config.name.to_string()), *id),
        Request::Import(import) => (import.name.as_ref().map(ToString::to_string), None),
        Request::Clone { vm, name } => (Some(name.to_string()), Some(*vm)),
        Request::Edit { vm, .. }
        | Request::Delete { vm, .. }
        | Request::Power { vm, .. }
        | Request::Nic { vm, .. }
        | Request::AdoptManaged { vm, .. } => (vm_name(snapshot, *vm), Some(*vm)),
        Request::Adopt { pid, name } => {
            let name = name.as_ref().map(ToString::to_string);
            (Some(name.unwrap_or_else(|| format!("process {pid}"))), None)
        }
        Request::Network(request) => (of_network(request, snapshot), None),
        Request::AddImage(image) => {
            let vm = match &image.from {
                ImageFrom::Disk { vm, .. } => Some(*vm),
                _ => None,
            };
            (Some(image.name.to_string()), vm)
        }
        Request::RemoveImage { name } => (Some(name.to_string()), None),
    }
}

fn of_network(request: &NetworkRequest, snapshot: &Snapshot) -> Option<String> {
    match request {
        NetworkRequest::Create { config, .. } => Some(config.name.to_string()),
        NetworkRequest::Edit { network, .. }
        | NetworkRequest::Delete { network }
        | NetworkRequest::CreateSubnet { network, .. } => {
            network_name(snapshot, *network).or_else(|| Some(network.to_string()))
        }
        NetworkRequest::DeleteSubnet { subnet }
        | NetworkRequest::Reserve { subnet, .. }
        | NetworkRequest::Release { subnet, .. } => Some(subnet.to_string()),
    }
}

#[async_trait]
impl<T: Operations> Operations for Audited<T> {
    async fn submit(&self, caller: &Caller, request: Request) -> Result<Accepted, Refusal> {
        let (audited, caller) = (self.clone(), caller.clone());
        to_its_end(async move { audited.submit_on_record(&caller, request).await }).await
    }

    /// One that is answered changed nothing, and has no line.
    async fn dry_run(
        &self,
        caller: &Caller,
        request: Request,
    ) -> Result<PlannedOperation, Refusal> {
        let (subject, vm) = about(&request, &self.view.snapshot());
        let entry = AuditEntry { subject, vm, dry_run: true, ..line(caller, request.name()) };
        let planned = self.inner.dry_run(caller, request).await;
        if let Err(refusal) = &planned {
            self.audit.record(refused(entry, refusal));
        }
        planned
    }

    async fn task(&self, task: TaskId) -> Option<Task> {
        self.inner.task(task).await
    }

    async fn wait(&self, task: TaskId, at_most: Duration) -> Option<Task> {
        self.inner.wait(task, at_most).await
    }

    fn at_end(&self, task: TaskId, call: AtEnd) {
        self.inner.at_end(task, call);
    }

    async fn cancel(&self, caller: &Caller, task: TaskId) -> Result<(), Refusal> {
        let (audited, caller) = (self.clone(), caller.clone());
        let cancelling = async move {
            let entry = audited.of_task(&caller, "task-cancel", task);
            let cancelled = audited.inner.cancel(&caller, task).await;
            audited.note(entry, AuditOutcome::Done, cancelled)
        };
        to_its_end(cancelling).await
    }

    async fn resolve(
        &self,
        caller: &Caller,
        task: TaskId,
        resolution: Resolution,
    ) -> Result<(), Refusal> {
        let (audited, caller) = (self.clone(), caller.clone());
        to_its_end(async move { audited.resolve_on_record(&caller, task, resolution).await }).await
    }

    async fn serial_log(&self, vm: VmId) -> Result<Vec<u8>, Refusal> {
        self.inner.serial_log(vm).await
    }

    async fn hypervisor_log(&self, vm: VmId) -> Result<Vec<u8>, Refusal> {
        self.inner.hypervisor_log(vm).await
    }

    async fn statistics(&self, vm: VmId) -> Result<Statistics, Refusal> {
        self.inner.statistics(vm).await
    }

    fn audit(&self) -> Option<&AuditLog> {
        Some(&self.audit)
    }

    /// What is changed there is put on record by whoever changes it.
    fn projects(&self) -> Option<&Projects> {
        self.inner.projects()
    }
}

impl<T> Audited<T> {
    /// The beginning of a line about a task.
    fn of_task(&self, caller: &Caller, action: &str, task: TaskId) -> AuditEntry {
        let snapshot = self.view.snapshot();
        let known = snapshot.tasks.get(&task);
        AuditEntry {
            subject: known.and_then(|task| some(&task.subject)),
            vm: known.and_then(|task| task.vm),
            task: Some(task),
            ..line(caller, action)
        }
    }
}

#[async_trait]
impl<T: Operations> Sessions for Audited<T> {
    async fn open_console(
        &self,
        caller: &Caller,
        vm: VmId,
        role: Role,
    ) -> Result<OpenedConsole, Refusal> {
        let entry = self.of_vm(caller, "console", vm);
        let opened = self.inner.open_console(caller, vm, role).await;
        self.note(entry, AuditOutcome::Opened, opened)
    }

    async fn open_vnc(&self, caller: &Caller, vm: VmId) -> Result<Box<dyn ByteStream>, Refusal> {
        let entry = self.of_vm(caller, "vnc", vm);
        let opened = self.inner.open_vnc(caller, vm).await;
        self.note(entry, AuditOutcome::Opened, opened)
    }

    async fn screenshot(&self, vm: VmId) -> Result<Vec<u8>, Refusal> {
        self.inner.screenshot(vm).await
    }

    async fn send_keys(
        &self,
        caller: &Caller,
        vm: VmId,
        strokes: &[Stroke],
    ) -> Result<(), Refusal> {
        let entry = self.of_vm(caller, "keys", vm);
        let mut leaving = Leaving { audit: &self.audit, entry: Some(entry.clone()) };
        let sent = self.inner.send_keys(caller, vm, strokes).await;
        leaving.entry = None;
        self.note(entry, AuditOutcome::Done, sent)
    }

    fn agent(&self, caller: &Caller, vm: VmId, kind: &'static str) -> Result<OpenedAgent, Refusal> {
        let opened = self.inner.agent(caller, vm, kind);
        if kind == ASKS {
            return opened;
        }
        self.note(self.of_vm(caller, kind, vm), AuditOutcome::Opened, opened)
    }

    async fn disk_file(
        &self,
        caller: &Caller,
        vm: VmId,
        disk: &str,
    ) -> Result<OpenedDisk, Refusal> {
        let entry = self.of_vm(caller, "disk", vm);
        let opened = self.inner.disk_file(caller, vm, disk).await;
        self.note(entry, AuditOutcome::Opened, opened)
    }

    async fn image_file(&self, caller: &Caller, name: &ImageName) -> Result<OpenedImage, Refusal> {
        let entry = of_image(caller, "image-download", name);
        let opened = self.inner.image_file(caller, name).await;
        self.note(entry, AuditOutcome::Opened, opened)
    }

    async fn upload_image(
        &self,
        caller: &Caller,
        name: &ImageName,
        sha256: &str,
        from: u64,
        more: Option<u64>,
    ) -> Result<OpenedUpload, Refusal> {
        let entry = of_image(caller, "image-upload", name);
        let opened = self.inner.upload_image(caller, name, sha256, from, more).await;
        self.note(entry, AuditOutcome::Opened, opened)
    }

    async fn uploaded(&self, name: &ImageName, sha256: &str) -> Result<u64, Refusal> {
        self.inner.uploaded(name, sha256).await
    }

    async fn export_vm(&self, caller: &Caller, vm: VmId) -> Result<OpenedExport, Refusal> {
        let entry = self.of_vm(caller, "export", vm);
        let opened = self.inner.export_vm(caller, vm).await;
        self.note(entry, AuditOutcome::Opened, opened)
    }

    async fn receive_vm(
        &self,
        caller: &Caller,
        length: Option<u64>,
        project: Option<ProjectName>,
    ) -> Result<OpenedArrival, Refusal> {
        let opened = self.inner.receive_vm(caller, length, project).await;
        self.note(line(caller, "import-upload"), AuditOutcome::Opened, opened)
    }
}

/// The line of something that ends, half done, where its caller leaves.
struct Leaving<'a> {
    audit: &'a AuditLog,
    entry: Option<AuditEntry>,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let Some(entry) = self.entry.take() else { return };
        let message = Some("its caller left before the last of it".into());
        self.audit.record(AuditEntry { message, outcome: AuditOutcome::Cancelled, ..entry });
    }
}

fn of_image(caller: &Caller, action: &str, name: &ImageName) -> AuditEntry {
    AuditEntry { subject: Some(name.to_string()), ..line(caller, action) }
}

impl<T: Diagnostics> Diagnostics for Audited<T> {
    fn diagnose(&self) -> Diagnosis {
        Diagnosis { audit: Some(self.audit.diagnose()), ..self.inner.diagnose() }
    }

    fn configuration(&self) -> Value {
        self.inner.configuration()
    }

    fn log(&self) -> Vec<u8> {
        self.inner.log()
    }

    fn reconcile(&self, caller: &Caller, vm: VmId) {
        self.audit.record(self.of_vm(caller, "reconcile", vm));
        self.inner.reconcile(caller, vm);
    }

    fn pause_queue(&self, caller: &Caller, vm: VmId, paused: bool) {
        let action = if paused { "queue-pause" } else { "queue-unpause" };
        self.audit.record(self.of_vm(caller, action, vm));
        self.inner.pause_queue(caller, vm, paused);
    }

    fn set_log_level(&self, caller: &Caller, level: &str) -> Result<String, Refusal> {
        let entry = line(caller, "log-level");
        let set = self.inner.set_log_level(caller, level);
        let message = set.as_ref().ok().map(|was| format!("{was} -> {level}"));
        self.note(AuditEntry { message, ..entry }, AuditOutcome::Done, set)
    }
}

#[cfg(test)]
#[path = "audited_tests.rs"]
mod tests;
