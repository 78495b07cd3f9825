use crate::{
    server::serve_tcp,
    test_support::{Api, spec_in},
};
use innkeeper_auth::{Doorkeeper, IssuedTokens, NewToken, Role, Token};
use innkeeper_model::{MachineState, ManagedMachine, NeighbourMachine, Timestamp, VmId};
use innkeeper_view::Update;
use serde_json::Value;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// The API on a port of its own.
struct Tcp {
    api: Api,
    vms: Vec<VmId>,
    address: SocketAddr,
    token: String,
    issued: Arc<IssuedTokens>,
    _folder: tempfile::TempDir,
}

/// An answer, and the connection that it came by.
struct Answered {
    status: u16,
    head: Vec<String>,
    connection: BufReader<TcpStream>,
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("nothing came")
}

impl Tcp {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let token = Token::load_or_create(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap().trim_end().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let issued = Arc::new(IssuedTokens::open(&folder.path().join("tokens.json")).unwrap());
        let doorkeeper = Doorkeeper::default().with_token(token).with_issued(Arc::clone(&issued));
        let (api, vms) = Api::guarded_by(doorkeeper).having(&["web", "db"]).await;
        tokio::spawn(serve_tcp(listener, api.state.clone()));
        Self { api, vms, address, token: text, issued, _folder: folder }
    }

    async fn send(&self, first: &str, headers: &[&str], body: &str) -> Answered {
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        let mut request = format!("{first} HTTP/1.1\r\nHost: {}\r\n", self.address);
        for header in headers {
            request.push_str(&format!("{header}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut connection = BufReader::new(connection);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            soon(connection.read_line(&mut line)).await.unwrap();
            if line.trim_end().is_empty() {
                break;
            }
            head.push(line.trim_end().to_ascii_lowercase());
        }
        let status = head[0].split(' ').nth(1).unwrap().parse().unwrap();
        Answered { status, head, connection }
    }

    async fn ticket(&self, vm: &str, kind: &str) -> String {
        let bearer = format!("Authorization: Bearer {}", self.token);
        let body = format!(r#"{{"kind":"{kind}"}}"#);
        let answered = self.send(&format!("POST /v1/vms/{vm}/tickets"), &[&bearer], &body).await;
        assert_eq!(answered.status, 201);
        answered.json().await["ticket"].as_str().unwrap().to_owned()
    }

    /// As a browser does it, from a page of some other origin.
    async fn websocket(&self, path: &str) -> Answered {
        let headers = [
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Protocol: binary",
            "Origin: https://console.example",
            "X-Request-Id: one-and-the-same",
        ];
        self.send(&format!("GET {path}"), &headers, "").await
    }
}

impl Answered {
    async fn body(mut self) -> Vec<u8> {
        let length = self.head.iter().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.unwrap().parse().unwrap()];
        soon(self.connection.read_exact(&mut body)).await.unwrap();
        body
    }

    async fn json(self) -> Value {
        serde_json::from_slice(&self.body().await).unwrap()
    }

    /// Sends a short binary message, masked as a client's are.
    async fn says(&mut self, bytes: &[u8]) {
        let mut frame = vec![0x82, 0x80 | bytes.len() as u8, 1, 2, 3, 4];
        frame.extend(bytes.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.connection.write_all(&frame).await.unwrap();
    }

    /// Receives so many bytes in binary messages.
    async fn hears(&mut self, length: usize) -> Vec<u8> {
        let mut heard = Vec::new();
        while heard.len() < length {
            let mut head = [0; 2];
            soon(self.connection.read_exact(&mut head)).await.unwrap();
            assert_eq!(head[0], 0x82, "a whole binary message");
            let mut piece = vec![0; head[1].into()];
            soon(self.connection.read_exact(&mut piece)).await.unwrap();
            heard.extend(piece);
        }
        heard
    }
}

#[tokio::test]
async fn a_browser_opens_a_console_with_a_ticket_and_only_once() {
    let tcp = Tcp::new().await;
    let ticket = tcp.ticket("web", "console").await;
    let path = format!("/v1/vms/web/console?ticket={ticket}");
    let mut console = tcp.websocket(&path).await;
    assert_eq!(console.status, 101, "{:?}", console.head);
    assert!(console.head.contains(&"sec-websocket-protocol: binary".to_owned()));
    assert!(console.head.contains(&"innkeeper-keyboard: write".to_owned()));
    console.says(b"root\n").await;
    assert_eq!(console.hears(5).await, b"root\n");
    assert_eq!(tcp.websocket(&path).await.status, 403);
    tcp.api.stopping.cancel();
    let mut rest = Vec::new();
    let _ = soon(console.connection.read_to_end(&mut rest)).await;
}

#[tokio::test]
async fn there_are_no_tickets_for_what_another_manager_has() {
    let api = Api::new();
    let is = ManagedMachine { name: "web".into(), ..ManagedMachine::default() };
    let (id, machine) = (VmId::new(), MachineState::Running);
    let machine = Box::new(NeighbourMachine { id, machine, last_end: None, is });
    api.post(vec![Update::VmManaged { by: "libvirt".parse().unwrap(), machine }]).await;
    for kind in ["console", "vnc"] {
        let body = format!(r#"{{"kind":"{kind}"}}"#);
        let refused = api.send("POST", &format!("/v1/vms/{id}/tickets"), &body).await;
        let problem = refused.problem("managed-elsewhere");
        assert!(problem["hint"].as_str().unwrap().contains(&format!("inn adopt {id}")));
    }
}

#[tokio::test]
async fn what_a_token_opened_ends_when_it_is_revoked_and_its_tickets_open_nothing() {
    let mut tcp = Tcp::new().await;
    let name: innkeeper_model::TokenName = "ci".parse().unwrap();
    let wanted = NewToken {
        name: name.clone(),
        role: Role::Admin,
        project: None,
        expires: None,
        privileged: false,
    };
    let (_, text) = tcp.issued.create(wanted, "uid:0", Timestamp::now()).unwrap();
    tcp.token = text.expose().unwrap().to_owned();
    let bearer = format!("Authorization: Bearer {}", tcp.token);
    let raw = [&*bearer, "Connection: Upgrade", "Upgrade: innkeeper-stream"];
    let mut by_token = tcp.send("GET /v1/vms/web/console?role=shared", &raw, "").await;
    assert_eq!(by_token.status, 101);
    let path = format!("/v1/vms/db/console?ticket={}", tcp.ticket("db", "console").await);
    let mut by_ticket = tcp.websocket(&path).await;
    assert_eq!(by_ticket.status, 101);
    let unused = tcp.ticket("web", "vnc").await;

    tcp.issued.revoke(&name, Timestamp::now()).unwrap();
    for opened in [&mut by_token, &mut by_ticket] {
        let mut rest = Vec::new();
        let _ = soon(opened.connection.read_to_end(&mut rest)).await;
    }
    assert_eq!(tcp.websocket(&format!("/v1/vms/web/vnc?ticket={unused}")).await.status, 403);
}

#[tokio::test]
async fn whoever_had_a_vm_loses_what_they_opened_of_it_with_it() {
    let tcp = Tcp::new().await;
    let project = Some("default".parse().unwrap());
    let name = "had-it".parse().unwrap();
    let wanted = NewToken { name, role: Role::Owner, project, expires: None, privileged: false };
    let (_, text) = tcp.issued.create(wanted, "uid:0", Timestamp::now()).unwrap();
    let raw = ["Connection: Upgrade", "Upgrade: innkeeper-stream"];
    let open = async |token: &str, what: &str| {
        let bearer = format!("Authorization: Bearer {token}");
        let headers = [&*bearer, raw[0], raw[1]];
        let opened = tcp.send(&format!("GET /v1/vms/web/{what}"), &headers, "").await;
        assert_eq!(opened.status, 101, "{:?}", opened.head);
        opened
    };
    let had = text.expose().unwrap();
    let mut lost = [open(had, "console?role=shared").await, open(had, "vnc").await];
    let mut kept = open(&tcp.token, "console?role=shared").await;

    let mut given = spec_in("rivals", "web");
    given.id = tcp.vms[0];
    tcp.api.post(vec![Update::VmSpec(Arc::new(given))]).await;
    for opened in &mut lost {
        let mut rest = Vec::new();
        let _ = soon(opened.connection.read_to_end(&mut rest)).await;
    }
    kept.connection.write_all(b"root\n").await.unwrap();
    let mut heard = [0; 5];
    soon(kept.connection.read_exact(&mut heard)).await.unwrap();
    assert_eq!(&heard, b"root\n", "an administrator's went, too");
}

#[tokio::test]
async fn whatever_is_wrong_with_a_ticket_the_answer_is_the_same() {
    let tcp = Tcp::new().await;
    let used = tcp.ticket("web", "vnc").await;
    assert_eq!(tcp.websocket(&format!("/v1/vms/web/vnc?ticket={used}")).await.status, 101);
    let mut answers = Vec::new();
    for path in [
        format!("/v1/vms/web/vnc?ticket={used}"),
        format!("/v1/vms/db/vnc?ticket={}", tcp.ticket("web", "vnc").await),
        format!("/v1/vms/nobody/vnc?ticket={}", tcp.ticket("web", "vnc").await),
        format!("/v1/vms/web/console?ticket={}", tcp.ticket("web", "vnc").await),
        "/v1/vms/web/vnc?ticket=made-up".to_owned(),
    ] {
        let refused = tcp.websocket(&path).await;
        assert_eq!(refused.status, 403, "{path}");
        let head: Vec<_> =
            refused.head.iter().filter(|line| !line.starts_with("date:")).cloned().collect();
        answers.push((head, refused.body().await));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
}

#[tokio::test]
async fn a_ticket_opens_nothing_but_its_websocket() {
    let tcp = Tcp::new().await;
    let ticket = tcp.ticket("web", "console").await;
    for request in [
        format!("GET /v1/vms/web/console?ticket={ticket}"),
        format!("GET /v1/vms/web?ticket={ticket}"),
        "GET /v1/vms/web/console".to_owned(),
    ] {
        assert_eq!(tcp.send(&request, &[], "").await.status, 401, "{request}");
    }
    assert_eq!(tcp.websocket("/v1/vms/web/console").await.status, 403, "another origin");
    assert_eq!(tcp.websocket(&format!("/v1/vms/web/console?ticket={ticket}")).await.status, 101);
    // A name and its id are one VM.
    let ticket = tcp.ticket("web", "vnc").await;
    let path = format!("/v1/vms/{}/vnc?ticket={ticket}", tcp.vms[0]);
    assert_eq!(tcp.websocket(&path).await.status, 101);
}

#[tokio::test]
async fn keys_are_pressed_in_their_order_and_what_is_none_is_refused() {
    let tcp = Tcp::new().await;
    let press = async |body: &str| tcp.api.send("POST", "/v1/vms/web/keys", body).await;
    assert_eq!(press(r#"{"keys":["ctrl-alt-delete","f2"]}"#).await.status, 204);
    assert_eq!(press(r#"{"text":"Hi"}"#).await.status, 204);
    let pressed = ["uid:1000: press ctrl-alt-delete f2", "uid:1000: press shift-h i"];
    assert_eq!(tcp.api.engine.done_by_hand(), pressed);
    for (body, field) in [
        (r#"{"keys":["ctrl-alt-any"]}"#, "keys"),
        (r#"{"keys":[]}"#, "keys"),
        (r#"{"text":"ü"}"#, "text"),
        (r#"{"text":"a","keys":["b"]}"#, "text"),
    ] {
        assert_eq!(press(body).await.problem("invalid-field")["field"], field, "{body}");
    }
    let picture = tcp.api.get("/v1/vms/web/screenshot").await;
    assert_eq!(picture.header("content-type"), "image/png");
}

#[tokio::test]
async fn a_ticket_is_of_somebody_and_for_something() {
    let tcp = Tcp::new().await;
    let ask = async |vm: &str, body: &str| {
        tcp.api.send("POST", &format!("/v1/vms/{vm}/tickets"), body).await
    };
    ask("web", r#"{"kind":"disk"}"#).await.problem("invalid-field");
    ask("web", "{}").await.problem("invalid-field");
    ask("nobody", r#"{"kind":"vnc"}"#).await.problem("not-found");
    for _ in 0..128 {
        assert_eq!(ask("web", r#"{"kind":"vnc"}"#).await.status, 201);
    }
    ask("web", r#"{"kind":"vnc"}"#).await.problem("out-of-capacity");
}

#[tokio::test]
async fn a_program_needs_a_name_and_an_agent() {
    let tcp = Tcp::new().await;
    let run = async |body: &str| tcp.api.send("POST", "/v1/vms/web/exec", body).await;
    for (body, field) in [
        (r#"{"argv":[]}"#, "argv"),
        (r#"{"argv":["a\u0000b"]}"#, "argv"),
        (r#"{"argv":["a"],"stdin":"?"}"#, "stdin"),
        (r#"{"argv":["a"],"timeout_s":0}"#, "timeout_s"),
    ] {
        assert_eq!(run(body).await.problem("invalid-field")["field"], field, "{body}");
    }
    run(r#"{"argv":["true"]}"#).await.problem("unsupported");
    tcp.api.get("/v1/vms/web/files?path=").await.problem("invalid-field");
    tcp.api.get("/v1/vms/web/files?path=/etc/motd").await.problem("unsupported");
}
