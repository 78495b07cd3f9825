//! What the tests of this crate have in common: a view with VMs in it, an engine that does nothing
//! but remember, and requests that pass the gate.

use crate::{
    gate::{Entrance, Gate},
    router::router,
    state::ApiState,
};
use async_trait::async_trait;
use axum::{Router, body::Body, response::Response};
use http::{HeaderMap, Request as HttpRequest, StatusCode, request};
use http_body_util::BodyExt;
use innkeeper_auth::{Doorkeeper, Identity, Principal};
use innkeeper_driver::ByteStream;
use innkeeper_engine::{
    Accepted, AtEnd, Caller, ImageFile, ImageFrom, NetworkRequest, OpenedAgent, OpenedArrival,
    OpenedConsole, OpenedDisk, OpenedExport, OpenedImage, OpenedUpload, Projects, Request,
    Resolution, Sessions as OpenSessions,
};
use innkeeper_model::{
    Assigned, Code, Diagnosis, Facts, ImageName, MachineState, Network, NetworkConfig, NetworkId,
    ProjectName, Refusal, Revision, Spec, Statistics, Subnet, SubnetConfig, SubnetId, Task, TaskId,
    TaskState, Timestamp, VmConfig, VmId, Want,
    keyboard::Stroke,
    task::{PlannedOperation, PlannedStep},
};
use innkeeper_session::{
    Role,
    agent::{Agent, Channel, Opening},
};
use innkeeper_storage::{Manifest, Storage, StorageOptions};
use innkeeper_store::audit::AuditLog;
use innkeeper_surface::{Diagnostics, Gate as _, Operations, Sessions};
use innkeeper_view::{Update, View, ViewOptions};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) fn spec(name: &str) -> Spec {
    Spec {
        id: VmId::new(),
        revision: Revision(1),
        created: Timestamp::UNIX_EPOCH,
        updated: Timestamp::UNIX_EPOCH,
        want: Want::Stopped,
        draft: false,
        driver: None,
        config: VmConfig::new(name.parse().unwrap()),
        assigned: Assigned::default(),
    }
}

/// A VM of this project.
pub(crate) fn spec_in(project: &str, name: &str) -> Spec {
    let mut spec = spec(name);
    spec.config.project = project.parse().unwrap();
    spec
}

pub(crate) fn network(name: &str, range: &str) -> Network {
    let config = SubnetConfig::new(range.parse().unwrap());
    Network {
        id: NetworkId::new(),
        revision: Revision(1),
        created: Timestamp::UNIX_EPOCH,
        updated: Timestamp::UNIX_EPOCH,
        config: NetworkConfig::new(name.parse().unwrap()),
        bridge: "inn0".parse().unwrap(),
        subnets: vec![Subnet { id: SubnetId::new(), config, reservations: Vec::new() }],
        facts: Default::default(),
    }
}

pub(crate) fn running(id: VmId) -> Update {
    Update::VmFacts { id, facts: Facts { machine: MachineState::Running, ..Facts::default() } }
}

/// An engine that makes a task of everything and ends it as it was told to.
pub(crate) struct FakeEngine {
    view: View,
    asked: Mutex<Vec<(Caller, Request)>>,
    /// What the next tasks come to; done where empty.
    ends: Mutex<Vec<Result<TaskState, Refusal>>>,
    /// Tasks that are in no view any more.
    history: Mutex<Vec<Task>>,
    /// What operators did by hand, and which interrupted tasks went which way.
    by_hand: Mutex<Vec<String>>,
    log_level: Mutex<String>,
    /// The end of each VM's serial log.
    serial: Mutex<Vec<u8>>,
    /// Whether a wait lasts for ever, and who is told that there is one.
    waits: AtomicBool,
    waiting: Notify,
    /// Whether there are agents in its guests.
    pub(crate) has_agents: AtomicBool,
    /// Whether keys that are pressed are never let go of.
    pub(crate) keys_stick: AtomicBool,
    /// Where uploads go, and where files of the host may be.
    pool: (tempfile::TempDir, Storage, tempfile::TempDir),
    sessions: OpenSessions,
    /// Nothing, until a test puts some there.
    pub(crate) projects: OnceLock<Projects>,
    /// None, until a test has one.
    pub(crate) audit: OnceLock<AuditLog>,
}

impl FakeEngine {
    /// The next requests but those already planned for end so; an error is a refusal at once.
    pub(crate) fn plan(&self, end: Result<TaskState, Refusal>) {
        self.ends.lock().unwrap().push(end);
    }

    /// What was submitted since the last time.
    pub(crate) fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().drain(..).map(|(_, request)| request).collect()
    }

    /// Remembers a task that is in no view.
    pub(crate) fn remember(&self, task: Task) {
        self.history.lock().unwrap().push(task);
    }

    /// What was done by hand since the last time.
    pub(crate) fn done_by_hand(&self) -> Vec<String> {
        std::mem::take(&mut self.by_hand.lock().unwrap())
    }

    /// The network that a request is about, with what it makes of it.
    fn change_network(&self, request: NetworkRequest, updates: &mut Vec<Update>) -> NetworkId {
        let snapshot = self.view.snapshot();
        match request {
            NetworkRequest::Create { config, id, .. } => {
                let mut made = network("made", "10.0.0.0/24");
                (made.config, made.id) = (*config, id.unwrap_or(made.id));
                let id = made.id;
                updates.push(Update::Network(Arc::new(made)));
                id
            }
            NetworkRequest::Edit { network, .. }
            | NetworkRequest::Delete { network }
            | NetworkRequest::CreateSubnet { network, .. } => network,
            NetworkRequest::DeleteSubnet { subnet }
            | NetworkRequest::Reserve { subnet, .. }
            | NetworkRequest::Release { subnet, .. } => snapshot.subnet(subnet).unwrap().0.id,
        }
    }

    fn note(&self, caller: &Caller, what: String) {
        self.by_hand.lock().unwrap().push(format!("{}: {what}", caller.name));
    }

    /// What a guest has written to its serial console.
    pub(crate) fn has_written(&self, log: &[u8]) {
        *self.serial.lock().unwrap() = log.to_vec();
    }

    /// The folder of its pool.
    pub(crate) fn pool(&self) -> &std::path::Path {
        self.pool.0.path()
    }

    /// From now on no task is seen to end.
    pub(crate) fn never_tell(&self) {
        self.waits.store(true, Ordering::Release);
    }

    /// Returns when somebody waits for a task.
    pub(crate) async fn somebody_waits(&self) {
        self.waiting.notified().await;
    }

    pub(crate) fn callers(&self) -> Vec<Caller> {
        self.asked.lock().unwrap().iter().map(|(caller, _)| caller.clone()).collect()
    }
}

#[async_trait]
impl Sessions for FakeEngine {
    async fn open_console(
        &self,
        _caller: &Caller,
        _vm: VmId,
        role: Role,
    ) -> Result<OpenedConsole, Refusal> {
        let may_type = role != Role::ReadOnly;
        let typist = if may_type { None } else { Some("uid:7".into()) };
        Ok(OpenedConsole { stream: echo(), may_type, typist })
    }

    async fn open_vnc(&self, _caller: &Caller, _vm: VmId) -> Result<Box<dyn ByteStream>, Refusal> {
        Ok(echo())
    }

    /// With an agent that says nothing of programs, if it has any.
    fn agent(&self, caller: &Caller, vm: VmId, kind: &'static str) -> Result<OpenedAgent, Refusal> {
        if !self.has_agents.load(Ordering::Acquire) {
            return Err(Refusal::new(Code::Unsupported, "there are no agents"));
        }
        let session = self.sessions.list(vm, kind, caller);
        Ok(OpenedAgent { agent: Agent::new(Scripted), session })
    }

    /// A VM is what its name says: without disks.
    async fn export_vm(&self, caller: &Caller, vm: VmId) -> Result<OpenedExport, Refusal> {
        let (name, session) = ("web".parse().unwrap(), self.sessions.list(vm, "export", caller));
        let file = self.pool.1.export(&Arc::new(spec("web"))).await?;
        Ok(OpenedExport { file, name, session })
    }

    /// Each disk has 8 MiB of zeros.
    async fn disk_file(
        &self,
        caller: &Caller,
        vm: VmId,
        disk: &str,
    ) -> Result<OpenedDisk, Refusal> {
        let path = self.pool.2.path().join("disk.raw");
        std::fs::File::create(&path).unwrap().set_len(8 << 20).unwrap();
        let disk = json!({ "name": disk, "path": path, "format": "raw" });
        let disk = self.pool.1.open_disk(vm, &serde_json::from_value(disk).unwrap()).await?;
        Ok(OpenedDisk { disk, session: self.sessions.list(vm, "disk", caller) })
    }

    async fn image_file(&self, caller: &Caller, name: &ImageName) -> Result<OpenedImage, Refusal> {
        if name.as_str() != "base" {
            return Err(Refusal::not_found("image", name));
        }
        let file = tempfile::tempfile().unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, b"0123456789", 0).unwrap();
        // The digest of something else, which nobody here compares.
        let digest = format!("sha256:{}", "0f".repeat(32));
        let file = ImageFile { file, length: 10, digest };
        Ok(OpenedImage { file, session: self.sessions.list(name, "download", caller) })
    }

    async fn upload_image(
        &self,
        caller: &Caller,
        name: &ImageName,
        sha256: &str,
        from: u64,
        more: Option<u64>,
    ) -> Result<OpenedUpload, Refusal> {
        let session = self.sessions.list(name, "upload", caller);
        let upload = self.pool.1.open_upload(name, sha256, from, more).await?;
        Ok(OpenedUpload { upload, session })
    }

    async fn uploaded(&self, name: &ImageName, sha256: &str) -> Result<u64, Refusal> {
        self.pool.1.uploaded(name, sha256)
    }

    async fn receive_vm(
        &self,
        caller: &Caller,
        length: Option<u64>,
        project: Option<ProjectName>,
    ) -> Result<OpenedArrival, Refusal> {
        let session = self.sessions.list_import(project.clone(), caller)?;
        let admit = move |manifest: &Manifest| match &project {
            // A project that has room for nothing.
            Some(full) if full.as_str() == "full" => {
                let message = format!("no room for {}", manifest.config.name);
                Err(Refusal::new(Code::OutOfCapacity, message))
            }
            _ => Ok(()),
        };
        let arrival = self.pool.1.receive_vm(length, admit).await?;
        Ok(OpenedArrival { arrival, session })
    }

    async fn send_keys(
        &self,
        caller: &Caller,
        _vm: VmId,
        strokes: &[Stroke],
    ) -> Result<(), Refusal> {
        let strokes: Vec<String> = strokes.iter().cloned().map(String::from).collect();
        self.note(caller, format!("press {}", strokes.join(" ")));
        if self.keys_stick.load(Ordering::Acquire) {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn screenshot(&self, _vm: VmId) -> Result<Vec<u8>, Refusal> {
        Ok(b"\x89PNG".to_vec())
    }
}

/// The channel to an agent in a guest that has one file, without an end, and file systems. Of programs it says nothing.
struct Scripted;

impl Channel for Scripted {
    fn open(&self) -> Opening<'_> {
        Box::pin(async {
            let (here, there) = duplex(64 << 10);
            tokio::spawn(answer_calls(BufReader::new(there)));
            Ok(Box::new(here) as _)
        })
    }
}

async fn answer_calls(mut channel: BufReader<DuplexStream>) {
    let mut line = Vec::new();
    while channel.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
        line.retain(|byte| *byte != 0xff);
        let call: Value = serde_json::from_slice(&line).unwrap();
        line.clear();
        let value = match call["execute"].as_str().unwrap() {
            "guest-sync-delimited" => {
                let said = json!({ "return": call["arguments"]["id"] });
                let said = [&[0xff], format!("{said}\n").as_bytes()].concat();
                let _gone = channel.write_all(&said).await;
                continue;
            }
            "guest-file-open" => json!(7),
            "guest-file-read" => json!({ "buf-b64": "aGVsbG8=", "count": 5, "eof": false }),
            "guest-file-write" => json!({ "count": 1, "eof": false }),
            "guest-file-flush" | "guest-file-close" => json!({}),
            "guest-fsfreeze-freeze" | "guest-fsfreeze-thaw" => json!(2),
            _ => continue,
        };
        let said = json!({ "return": value, "id": call["id"] });
        let _gone = channel.write_all(format!("{said}\n").as_bytes()).await;
    }
}

fn echo() -> Box<dyn ByteStream> {
    let (here, there) = duplex(64);
    tokio::spawn(async move {
        let (mut reads, mut writes) = tokio::io::split(there);
        tokio::io::copy(&mut reads, &mut writes).await
    });
    Box::new(here)
}

#[async_trait]
impl Operations for FakeEngine {
    async fn submit(&self, caller: &Caller, request: Request) -> Result<Accepted, Refusal> {
        self.asked.lock().unwrap().push((caller.clone(), request.clone()));
        let end = {
            let mut ends = self.ends.lock().unwrap();
            if ends.is_empty() { Ok(TaskState::Done) } else { ends.remove(0) }
        }?;
        let mut updates = Vec::new();
        let mut network = None;
        let made_for = match &request {
            Request::Create { config, .. } => Some(config.project.clone()),
            Request::Import(import) => import.project.clone(),
            _ => None,
        };
        let vm = match request {
            Request::Create { config, id } => {
                let id = id.unwrap_or_else(VmId::new);
                let made = Spec { id, config: *config, ..spec("made") };
                updates.push(Update::VmSpec(Arc::new(made)));
                Some(id)
            }
            Request::Edit { vm, .. }
            | Request::Clone { vm, .. }
            | Request::Delete { vm, .. }
            | Request::Nic { vm, .. }
            | Request::Power { vm, .. }
            | Request::AdoptManaged { vm, .. } => Some(vm),
            Request::Adopt { name, .. } => {
                let name = name.map_or_else(|| "adopted".to_owned(), |name| name.to_string());
                let made = spec(&name);
                let id = made.id;
                updates.push(Update::VmSpec(Arc::new(made)));
                Some(id)
            }
            Request::Import(import) => {
                let made = spec(import.staged.manifest().config.name.as_str());
                let id = made.id;
                updates.push(Update::VmSpec(Arc::new(made)));
                Some(id)
            }
            Request::AddImage(image) => match image.from {
                ImageFrom::Disk { vm, .. } => Some(vm),
                _ => None,
            },
            Request::RemoveImage { .. } => None,
            Request::Network(request) => {
                network = Some(self.change_network(request, &mut updates));
                None
            }
        };
        let snapshot = self.view.snapshot();
        let known = vm.and_then(|vm| snapshot.vms.get(&vm)).map(|vm| vm.project.clone());
        let task = Task { project: made_for.or(known), ..task(end, vm) };
        updates.push(Update::Task(task.clone()));
        let revision = self.view.barrier(updates).await?;
        Ok(Accepted { task: task.id, vm, network, revision })
    }

    async fn dry_run(&self, _: &Caller, request: Request) -> Result<PlannedOperation, Refusal> {
        if let Some(Err(refusal)) = self.ends.lock().unwrap().pop() {
            return Err(refusal);
        }
        let step = PlannedStep {
            path: "set-want".into(),
            part: 0,
            crash: "repeat".into(),
            way_back: true,
        };
        let (operation, after_crash) = (request.name().into(), "forward".into());
        Ok(PlannedOperation { operation, after_crash, steps: vec![step] })
    }

    async fn task(&self, task: TaskId) -> Option<Task> {
        if let Some(known) = self.view.snapshot().tasks.get(&task) {
            return Some(Task::clone(known));
        }
        self.history.lock().unwrap().iter().find(|known| known.id == task).cloned()
    }

    fn at_end(&self, _: TaskId, _: AtEnd) {}

    async fn wait(&self, task: TaskId, _at_most: Duration) -> Option<Task> {
        if self.waits.load(Ordering::Acquire) {
            self.waiting.notify_one();
            std::future::pending::<()>().await;
        }
        self.view.snapshot().tasks.get(&task).map(|record| Task::clone(record))
    }

    async fn cancel(&self, _caller: &Caller, task: TaskId) -> Result<(), Refusal> {
        match self.view.snapshot().tasks.get(&task) {
            None => Err(Refusal::not_found("task", task)),
            Some(task) if task.state.is_final() => {
                Err(Refusal::new(Code::WrongState, "it has ended"))
            }
            Some(_) => Ok(()),
        }
    }

    async fn resolve(
        &self,
        caller: &Caller,
        task: TaskId,
        resolution: Resolution,
    ) -> Result<(), Refusal> {
        let snapshot = self.view.snapshot();
        let found = snapshot.tasks.get(&task).ok_or_else(|| Refusal::not_found("task", task))?;
        if found.state != TaskState::Interrupted {
            return Err(Refusal::new(Code::WrongState, "it is not interrupted"));
        }
        self.note(caller, format!("{resolution:?} {task}"));
        Ok(())
    }

    async fn serial_log(&self, _vm: VmId) -> Result<Vec<u8>, Refusal> {
        Ok(self.serial.lock().unwrap().clone())
    }

    async fn hypervisor_log(&self, _vm: VmId) -> Result<Vec<u8>, Refusal> {
        Ok(b"qemu: warning".to_vec())
    }

    async fn statistics(&self, _vm: VmId) -> Result<Statistics, Refusal> {
        let statistics = json!({
            "at": "2026-01-01T00:00:00Z", "cpu_time_ms": 1500, "memory_resident": "64MiB",
        });
        Ok(serde_json::from_value(statistics).unwrap())
    }

    fn projects(&self) -> Option<&Projects> {
        self.projects.get()
    }

    fn audit(&self) -> Option<&AuditLog> {
        self.audit.get()
    }
}

impl Diagnostics for FakeEngine {
    fn diagnose(&self) -> Diagnosis {
        let nothing = json!({
            "at": "2026-01-01T00:00:00Z", "version": "0", "queues": [], "tasks": [], "owed": [],
            "journal": {"segments": 1, "size": "1MiB", "records": 7, "syncs": 3, "pending": 0, "low": false},
            "specs": {"unwritten": 0},
            "feed": {"changes": 0, "change_bytes": 0, "readers": 0, "slowest_lag": 0},
            "sessions": [], "interventions": [],
            "usage": {"vms": 0, "cpus": 0, "memory": "0MiB", "disk": "0B"},
            "problems": [], "failures": [], "drivers": [{ "name": "fake", "machines": 0, "connections": 0 }],
            "sizes": {"vms": 0, "tasks": 0, "images": 0, "resident": "0B", "open_files": 0, "threads": 1},
        });
        let nothing: Diagnosis = serde_json::from_value(nothing).unwrap();
        Diagnosis { sessions: self.sessions.all(), ..nothing }
    }

    fn configuration(&self) -> Value {
        json!({ "driver": "fake" })
    }

    fn log(&self) -> Vec<u8> {
        b"2026-01-01T00:00:00Z  INFO inn::daemon: serving\n".to_vec()
    }

    fn reconcile(&self, caller: &Caller, vm: VmId) {
        self.note(caller, format!("reconcile {vm}"));
    }

    fn pause_queue(&self, caller: &Caller, vm: VmId, paused: bool) {
        self.note(caller, format!("queue {vm} paused: {paused}"));
    }

    fn set_log_level(&self, _: &Caller, level: &str) -> Result<String, Refusal> {
        if level == "loud" {
            return Err(Refusal::invalid("level", level, "is not a level"));
        }
        Ok(std::mem::replace(&mut *self.log_level.lock().unwrap(), level.to_owned()))
    }
}

fn pool() -> (tempfile::TempDir, Storage, tempfile::TempDir) {
    let (folder, allowed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let allowed_paths = vec![allowed.path().into()];
    let options = StorageOptions { allowed_paths, ..StorageOptions::new(folder.path()) };
    (folder, Storage::open(options).unwrap(), allowed)
}

pub(crate) fn task(state: TaskState, vm: Option<VmId>) -> Task {
    Task {
        id: TaskId::new(),
        operation: "test".into(),
        vm,
        subject: "web".into(),
        caller: "uid:0".into(),
        request_id: None,
        state,
        cancellable: true,
        created: Timestamp::UNIX_EPOCH,
        started: None,
        ended: state.is_final().then_some(Timestamp::UNIX_EPOCH),
        steps: Vec::new(),
        percent: None,
        error: (state == TaskState::Failed)
            .then(|| Refusal::new(Code::HypervisorFailed, "QEMU ended")),
        warnings: Vec::new(),
        leftovers: Vec::new(),
        log: Vec::new(),
        resources: Vec::new(),
        taken_up: 0,
        project: None,
        settled_at: None,
        revision: Revision::default(),
    }
}

/// The API over a view of its own.
pub(crate) struct Api {
    pub(crate) view: View,
    pub(crate) engine: Arc<FakeEngine>,
    pub(crate) state: ApiState,
    pub(crate) stopping: CancellationToken,
    router: Router,
}

impl Api {
    pub(crate) fn new() -> Self {
        Self::guarded_by(Doorkeeper::default())
    }

    /// Where these credentials are known.
    pub(crate) fn guarded_by(doorkeeper: Doorkeeper) -> Self {
        let view = View::start(ViewOptions::new(Uuid::now_v7()));
        let engine = Arc::new(FakeEngine {
            view: view.clone(),
            asked: Mutex::default(),
            ends: Mutex::default(),
            history: Mutex::default(),
            by_hand: Mutex::default(),
            log_level: Mutex::new("info".into()),
            serial: Mutex::new(b"login: \xff".to_vec()),
            waits: AtomicBool::default(),
            waiting: Notify::new(),
            has_agents: AtomicBool::default(),
            keys_stick: AtomicBool::default(),
            pool: pool(),
            sessions: OpenSessions::default(),
            projects: OnceLock::new(),
            audit: OnceLock::new(),
        });
        let stopping = CancellationToken::new();
        let operations: Arc<dyn Operations> = engine.clone();
        let diagnostics: Arc<dyn Diagnostics> = engine.clone();
        let diagnostics = Some(diagnostics);
        let state =
            ApiState::new(view.clone(), operations, diagnostics, doorkeeper, stopping.clone());
        let router = router(state.clone());
        Self { view, engine, state, stopping, router }
    }

    /// With stopped VMs of these names; their ids are in the same order.
    pub(crate) async fn with(names: &[&str]) -> (Self, Vec<VmId>) {
        Self::new().having(names).await
    }

    /// And stopped VMs of these names; their ids are in the same order.
    pub(crate) async fn having(self, names: &[&str]) -> (Self, Vec<VmId>) {
        let api = self;
        let specs: Vec<_> = names.iter().map(|name| spec(name)).collect();
        let ids = specs.iter().map(|spec| spec.id).collect();
        let updates = specs.into_iter().map(|spec| Update::VmSpec(Arc::new(spec))).collect();
        api.post(updates).await;
        (api, ids)
    }

    pub(crate) async fn post(&self, updates: Vec<Update>) {
        self.view.barrier(updates).await.unwrap();
    }

    pub(crate) async fn call(&self, request: request::Builder, body: impl Into<Body>) -> Response {
        let entrance = Entrance::Unix(Principal::admin(Identity::User { uid: 1000 }));
        self.call_through(entrance, request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn call_through(
        &self,
        entrance: Entrance,
        request: HttpRequest<Body>,
    ) -> Response {
        let gate = Gate::new(self.state.clone(), self.router.clone(), Arc::new(entrance));
        gate.answer(request).await
    }

    pub(crate) async fn get(&self, uri: &str) -> Read {
        Read::of(self.call(HttpRequest::get(uri), Body::empty()).await).await
    }

    /// The sessions that a diagnosis lists: each what, of what, by whom, and how many bytes went and came.
    pub(crate) async fn sessions(&self) -> Vec<String> {
        let diagnosis = self.get("/v1/diagnostics").await.json();
        let words = diagnosis["sessions"].as_array().unwrap().iter().map(|session| {
            let text = |key: &str| session[key].as_str().unwrap_or("-");
            let (kind, image, caller) = (text("kind"), text("image"), text("caller"));
            format!("{kind} {image} {caller} {} {}", session["shown"], session["typed"])
        });
        words.collect()
    }

    pub(crate) async fn send(&self, method: &str, uri: &str, body: &str) -> Read {
        let request = HttpRequest::builder().method(method).uri(uri);
        Read::of(self.call(request, body.to_owned()).await).await
    }
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Read {
    pub(crate) async fn of(response: Response) -> Self {
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Self { status: head.status, headers: head.headers, text }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The problem, after checking that it is one and says of itself what the head says.
    #[track_caller]
    pub(crate) fn problem(&self, code: &str) -> Value {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], self.status.as_u16());
        assert_eq!(problem["instance"], self.header("x-request-id"));
        problem
    }
}
