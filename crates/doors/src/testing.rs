//! What the tests of doors have in common: a daemon without sockets, over simulated machines.

pub(crate) mod scripted;

use crate::{
    Context, Door, Protocol,
    access::{Entrance, Peer},
    gate::{DoorGate, Opened},
};
use axum::body::Body;
use http::{HeaderMap, Request as HttpRequest, StatusCode};
use http_body_util::BodyExt;
use innkeeper_auth::{Doorkeeper, Identity, Principal, Role, Scope, Token};
use innkeeper_driver::Neighbour;
use innkeeper_engine::{
    AddImage, Caller, Capacity, Engine, EngineOptions, ImageFrom, Noticed, PowerVerb, Remembered,
    Request,
};
use innkeeper_hooks::{Hooks, OwnerRule};
use innkeeper_model::{
    Assigned, DiskFormat, Host, ImageKind, Mebibytes, Revision, Spec, Timestamp, Vm, VmConfig,
    VmId, Want,
};
use innkeeper_network::PaperNetworks;
use innkeeper_sim::{Guest, PowerButton, SimDriver, World, WorldOptions};
use innkeeper_storage::{Storage, StorageOptions};
use innkeeper_store::{
    NetworkStore, QuotaStore, SpecStore, TaskHistory,
    journal::{Journal, JournalOptions},
};
use innkeeper_surface::{Arrival, Gate};
use innkeeper_view::{Update, View, ViewOptions};
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// How long anything may take; a bound for what is broken, not a measure.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// A daemon without sockets. Its host has 8 CPUs and 4 GiB, and its guests power off when they are told.
pub(crate) struct House {
    pub(crate) context: Context,
    pub(crate) engine: Engine,
    pub(crate) world: Arc<World>,
    pub(crate) folder: TempDir,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::beside(Vec::new()).await
    }

    /// The same, on a host with other managers of machines.
    pub(crate) async fn beside(neighbours: Vec<Arc<dyn Neighbour>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let view = View::start(ViewOptions::new(uuid::Uuid::now_v7()));
        let noticed = Noticed::new(view.clone());
        let power_button = PowerButton::PowersOff { after: Duration::from_millis(2) };
        let guest = Guest { power_button, ..Guest::default() };
        let world = World::in_memory(WorldOptions {
            guest,
            noticed_after: Duration::from_millis(20),
            ..WorldOptions::default()
        });
        let driver = Arc::new(SimDriver::new(world.clone(), Arc::new(noticed.clone())));
        let host =
            Host { name: "inn-1".into(), cpus: 8, memory: Mebibytes(4096), ..Host::default() };
        view.barrier(vec![Update::Host(host)]).await.unwrap();
        let allowed_paths = vec![path.join("allowed")];
        let options = StorageOptions { allowed_paths, ..StorageOptions::new(path.join("pool")) };
        let storage = Arc::new(Storage::open(options).unwrap());
        let engine = Engine::open(EngineOptions {
            view: view.clone(),
            driver,
            neighbours,
            noticed,
            specs: SpecStore::open(path.join("vms")).unwrap(),
            network_store: NetworkStore::open(path.join("networks")).unwrap(),
            networks: Arc::new(PaperNetworks::new()),
            quota_store: QuotaStore::open(path.join("projects")).unwrap(),
            metadata: None,
            make_default_network: false,
            storage,
            journal: Journal::open(JournalOptions::new(path.join("journal"))).unwrap(),
            history: TaskHistory::open(&path.join("tasks.redb")).unwrap().history,
            remembered: Remembered { count: 1000, age: LONG },
            shown_tasks: 100,
            capacity: Capacity::default(),
            hooks: Hooks::new(path.join("hooks"), LONG, OwnerRule::of_this_process()),
            boot_id: "boot-1".into(),
            uids: None,
            autostart_parallel: 2,
            witness: None,
        })
        .await
        .unwrap();
        engine.recover().await;
        let context = Context::new(view, Arc::new(engine.clone()), CancellationToken::new());
        Self { context, engine, world, folder }
    }

    /// Makes a VM of this document.
    pub(crate) async fn create(&self, config: Value) -> VmId {
        let config: VmConfig = serde_json::from_value(config).unwrap();
        let request = Request::Create { config: Box::new(config), id: None };
        self.perform(request).await.unwrap()
    }

    /// Starts one.
    pub(crate) async fn start(&self, vm: VmId) {
        self.perform(Request::Power { vm, verb: PowerVerb::Start { discard_memory: false } }).await;
    }

    /// Imports an image of these bytes.
    pub(crate) async fn import(&self, name: &str, kind: ImageKind, bytes: &[u8]) {
        let folder = self.folder.path().join("allowed");
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join(name);
        std::fs::write(&file, bytes).unwrap();
        let image = AddImage {
            name: name.parse().unwrap(),
            kind,
            from: ImageFrom::File(file),
            format: (kind == ImageKind::Disk).then_some(DiskFormat::Raw),
            initrd: None,
        };
        self.perform(Request::AddImage(Box::new(image))).await;
    }

    /// Has something done to its end, and says which VM it was about.
    pub(crate) async fn perform(&self, request: Request) -> Option<VmId> {
        let done = self.context.perform(&Caller::innkeeper(), request, LONG).await.unwrap();
        done.accepted.vm
    }

    /// A VM as readers see it now.
    pub(crate) fn vm(&self, id: VmId) -> Option<Arc<Vm>> {
        let snapshot = self.context.view().snapshot();
        snapshot.vms.get(&id).map(|vm| Arc::clone(vm.value()))
    }

    /// A door of this house to whoever shows the token, which is told.
    pub(crate) fn door_with_token<P: Protocol>(&self, protocol: P) -> (TestDoor<P>, String) {
        let file = self.folder.path().join("token");
        let token = Token::load_or_create(&file).unwrap();
        let text = std::fs::read_to_string(file).unwrap().trim().to_owned();
        let doorkeeper = Doorkeeper::default().with_token(token);
        (self.door_at(protocol, Entrance { doorkeeper, peer: Peer::Nobody }), text)
    }

    /// A door of this house, as a process of root's in this role finds it.
    pub(crate) fn door<P: Protocol>(&self, protocol: P, role: Role) -> TestDoor<P> {
        let identity = Identity::User { uid: 0 };
        self.door_at(protocol, Entrance::of_peer(identity, Some(role)))
    }

    pub(crate) fn door_at<P: Protocol>(&self, protocol: P, entrance: Entrance) -> TestDoor<P> {
        TestDoor::new(Opened::new(protocol, self.context.clone()), entrance)
    }
}

/// A stored VM of this configuration that was made when time began, and is to be off: for tests that put what they
/// look at into the view.
pub(crate) fn spec(id: VmId, config: VmConfig) -> Spec {
    Spec {
        id,
        revision: Revision(1),
        created: Timestamp::UNIX_EPOCH,
        updated: Timestamp::UNIX_EPOCH,
        want: Want::Stopped,
        draft: false,
        driver: None,
        config,
        assigned: Assigned::default(),
    }
}

/// Somebody in this role who is bound to a project.
pub(crate) fn of_project(project: &str, role: Role) -> Principal {
    let identity = Identity::Issued { name: format!("{role}-of-{project}").into() };
    let scope = Scope::Project(project.parse().unwrap());
    Principal { scope, ..Principal::anonymous(identity, role) }
}

impl Entrance {
    /// Of somebody who is let in.
    pub(crate) fn of(principal: Principal) -> Self {
        Self { doorkeeper: Doorkeeper::default(), peer: Peer::LetIn(principal) }
    }

    /// Of a process that is let in in this role, or is not.
    pub(crate) fn of_peer(identity: Identity, role: Option<Role>) -> Self {
        let peer = match role {
            Some(role) => Peer::LetIn(Principal::anonymous(identity, role)),
            None => Peer::Other(identity),
        };
        Self { doorkeeper: Doorkeeper::default(), peer }
    }
}

/// The head of a kernel by Linux's boot protocol: enough to be imported, since nothing runs it.
pub(crate) fn kernel() -> Vec<u8> {
    let mut bytes = vec![0; 8 << 10];
    for (at, value) in
        [(0x1fe, &[0x55, 0xaa][..]), (0x202, b"HdrS"), (0x206, &[0x0f, 0x02]), (0x211, &[1])]
    {
        bytes[at..at + value.len()].copy_from_slice(value);
    }
    bytes
}

/// A door that requests are handed to without a socket.
pub(crate) struct TestDoor<P>(DoorGate<P>);

/// What it answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answered {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {:?}", self.text))
    }
}

impl<P: Protocol> TestDoor<P> {
    pub(crate) fn new(door: Opened<P>, entrance: Entrance) -> Self {
        let source = innkeeper_auth::Source::ThisHost;
        let (door, entrance, arrival) = (Arc::new(door), Arc::new(entrance), Arrival::default());
        Self(DoorGate { door, entrance, arrival, address: None, source })
    }

    pub(crate) async fn get(&self, path: &str) -> Answered {
        self.send("GET", path, "").await
    }

    /// Sends a request with the header `Host: localhost`, and waits for the whole answer.
    pub(crate) async fn send(&self, method: &str, path: &str, body: &str) -> Answered {
        let request = HttpRequest::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("content-length", body.len())
            .body(Body::from(body.to_owned()))
            .unwrap();
        self.answer(request).await
    }

    /// Sends any request.
    pub(crate) async fn answer(&self, request: HttpRequest<Body>) -> Answered {
        let answering = async {
            let response = self.0.answer(request).await;
            let (head, body) = response.into_parts();
            let bytes = body.collect().await.unwrap().to_bytes();
            let text = String::from_utf8(bytes.into()).unwrap();
            Answered { status: head.status, headers: head.headers, text }
        };
        tokio::time::timeout(LONG, answering).await.expect("no answer")
    }
}

/// Compares a door's document with the one that is kept; `UPDATE_GOLDEN=1 cargo test -p innkeeper-doors
/// openapi` writes that anew.
#[track_caller]
pub(crate) fn is_documented(door: Door, document: &str) {
    let path = format!("{}/../../docs/doors/{door}.openapi.json", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, document).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == document, "{path} is out of date: UPDATE_GOLDEN=1 writes it anew");
}
