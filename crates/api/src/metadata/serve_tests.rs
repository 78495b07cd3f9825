//! Guests on 127.0.0.2 and 127.0.0.3, and whoever else is on this host.

use super::{super::Peer, *};
use async_trait::async_trait;
use innkeeper_model::{Code, Refusal, Secret, VmId};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
};

const WEB: [u8; 4] = [127, 0, 0, 2];
const BARE: [u8; 4] = [127, 0, 0, 3];
const STRANGER: [u8; 4] = [127, 0, 0, 1];

/// Who has which address, by its last byte.
struct FakePeers([(u8, Peer); 2]);

impl Peers for FakePeers {
    fn find(&self, address: Ipv4Addr) -> Option<Peer> {
        let found = self.0.iter().find(|(last, _)| address.octets() == [127, 0, 0, *last]);
        found.map(|(_, peer)| peer.clone())
    }
}

/// The first VM has a seed.
struct FakeSeeds {
    vm: VmId,
    reads: AtomicUsize,
}

#[async_trait]
impl Seeds for FakeSeeds {
    async fn read(&self, vm: VmId, document: SeedDocument) -> Result<Option<Secret>, Refusal> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if vm != self.vm {
            return Ok(None);
        }
        match document {
            SeedDocument::MetaData => Ok(Some(Secret::new("instance-id: i-1\npublic-keys: [k]\n"))),
            SeedDocument::UserData => Ok(Some(Secret::new("#cloud-config\npassword: hunter2\n"))),
            SeedDocument::NetworkConfig => Err(Refusal::new(Code::DiskFailed, "it cannot be read")),
        }
    }
}

struct Scene {
    port: u16,
    seeds: Arc<FakeSeeds>,
    stopping: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

impl Scene {
    async fn new() -> Self {
        Self::with(|_| true).await
    }

    async fn with(was_led: fn(&TcpStream) -> bool) -> Self {
        let peer = |name: &str| Peer { vm: VmId::new(), name: name.parse().unwrap() };
        let (web, bare) = (peer("web"), peer("bare"));
        let seeds = Arc::new(FakeSeeds { vm: web.vm, reads: AtomicUsize::new(0) });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let stopping = CancellationToken::new();
        let peers = Arc::new(FakePeers([(2, web), (3, bare)]));
        let service = serve_metadata(listener, was_led, peers, seeds.clone(), stopping.clone());
        let serving = tokio::spawn(service);
        Self { port, seeds, stopping, serving }
    }

    async fn connect(&self, from: [u8; 4]) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        socket.connect(([127, 0, 0, 1], self.port).into()).await.unwrap()
    }

    /// The status and the body of an answer to this head.
    async fn send(&self, from: [u8; 4], head: &str) -> (u16, String) {
        let mut socket = self.connect(from).await;
        socket.write_all(format!("{head}\r\n\r\n").as_bytes()).await.unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    async fn get(&self, from: [u8; 4], path: &str) -> (u16, String) {
        self.send(from, &format!("GET {path} HTTP/1.1\r\nHost: 169.254.169.254")).await
    }
}

fn nothing() -> (u16, String) {
    (404, String::new())
}

#[tokio::test]
async fn a_guest_gets_what_its_seed_has() {
    let scene = Scene::new().await;
    for (path, text) in [
        ("/latest/meta-data/", "instance-id\nlocal-hostname\nlocal-ipv4\npublic-keys/"),
        ("/latest/meta-data/instance-id", "i-1"),
        ("/latest/meta-data/local-hostname", "web"),
        ("/latest/meta-data/local-ipv4", "127.0.0.2"),
        ("/latest/meta-data/public-keys/0/openssh-key", "k"),
        ("/latest/user-data", "#cloud-config\npassword: hunter2\n"),
        ("/nocloud/user-data?x=y", "#cloud-config\npassword: hunter2\n"),
        ("/nocloud/meta-data", "instance-id: i-1\npublic-keys: [k]\n"),
    ] {
        assert_eq!(scene.get(WEB, path).await, (200, text.to_owned()), "{path}");
    }
    for path in ["/latest/vendor-data", "/nocloud/network-config", "/", "/openstack"] {
        assert_eq!(scene.get(WEB, path).await, nothing(), "{path}");
    }
}

#[tokio::test]
async fn whoever_is_no_guest_or_has_no_seed_learns_nothing() {
    let scene = Scene::new().await;
    for path in ["/latest/user-data", "/latest/meta-data/local-ipv4", "/latest/", "/nothing"] {
        assert_eq!(scene.get(STRANGER, path).await, nothing(), "{path}");
    }
    assert_eq!(scene.seeds.reads.load(Ordering::SeqCst), 0, "nothing is read for a stranger");
    for path in ["/latest/user-data", "/latest/meta-data/local-ipv4", "/latest/"] {
        assert_eq!(scene.get(BARE, path).await, nothing(), "{path}");
    }
}

#[tokio::test]
async fn who_was_not_led_here_is_not_heard() {
    let scene = Scene::with(|_| false).await;
    assert_eq!(scene.try_get(WEB).await, None);
    assert_eq!(
        Scene::new().await.try_get(WEB).await.as_deref().map(|text| &text[..12]),
        Some("HTTP/1.1 404")
    );
}

#[tokio::test]
async fn only_what_the_guest_itself_asks_for_is_answered() {
    let scene = Scene::new().await;
    let head = "GET /latest/user-data HTTP/1.1";
    for headers in [
        "Host: evil.example",
        "Host: 169.254.169.254\r\nHost: evil.example",
        "Host: 169.254.169.254\r\nX-Forwarded-For: 1.2.3.4",
        "Host: 169.254.169.254\r\nVia: 1.1 proxy",
    ] {
        assert_eq!(scene.send(WEB, &format!("{head}\r\n{headers}")).await, nothing(), "{headers}");
    }
    let host = "HTTP/1.1\r\nHost: 169.254.169.254:80";
    assert_eq!(scene.send(WEB, &format!("GET /latest/user-data {host}")).await.0, 200);
    for method in ["HEAD", "POST", "PUT", "DELETE", "OPTIONS"] {
        let (status, _) = scene.send(WEB, &format!("{method} /latest/user-data {host}")).await;
        assert_eq!(status, 405, "{method}");
    }
    let long = format!("GET /{} {host}", "x".repeat(MAX_HEAD));
    let refused = scene.send(WEB, &long).await.0;
    assert!([414, 431].contains(&refused), "{refused}");
}

#[tokio::test]
async fn one_guest_keeps_no_other_out_and_nobody_the_daemon() {
    let scene = Scene::new().await;
    let mut idle = Vec::new();
    for _ in 0..MAX_PER_GUEST {
        idle.push(scene.connect(BARE).await);
    }
    // One more of that guest is closed at once.
    let mut surplus = scene.connect(BARE).await;
    assert_eq!(surplus.read(&mut [0]).await.unwrap_or_default(), 0);
    assert_eq!(scene.get(WEB, "/latest/user-data").await.0, 200);
    // When one of them has gone there is room again.
    drop(idle.pop());
    let again = async {
        while scene.try_get(BARE).await.is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), again).await.unwrap();
    scene.stopping.cancel();
    tokio::time::timeout(Duration::from_secs(20), scene.serving).await.unwrap().unwrap();
}

impl Scene {
    /// An answer, unless the connection is closed without one.
    async fn try_get(&self, from: [u8; 4]) -> Option<String> {
        let mut socket = self.connect(from).await;
        let head = "GET / HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n";
        socket.write_all(head.as_bytes()).await.ok()?;
        let mut text = String::new();
        socket.read_to_string(&mut text).await.ok()?;
        Some(text).filter(|text| !text.is_empty())
    }
}
