//! A daemon that others can reach: TLS by its own authority, certificates of callers, and proxies before it.

use crate::harness::{Daemon, Reply, Request, SHORT, exchange, until};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use serde_json::json;
use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A daemon with TLS, and what is asked of it from elsewhere.
struct House {
    daemon: Daemon,
    port: u16,
    door: u16,
}

/// How a command from elsewhere ended.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl House {
    fn new(config: &str) -> Self {
        let (port, door) = (free_port(), free_port());
        let config = format!("driver = \"sim\"\n{config}");
        let flags = [format!("127.0.0.1:{port},tls"), format!("vmm=127.0.0.1:{door},tls")];
        let daemon = Daemon::prepared(&config);
        let mut daemon = daemon.with_flags(&["--listen", &flags[0], "--door", &flags[1]]);
        daemon.launch();
        Self { daemon, port, door }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.daemon.scratch().join(name)
    }

    /// Has a certificate issued; its files are in the scratch folder.
    fn issue(&self, name: &str, more: &[&str]) {
        let out = self.daemon.scratch().to_str().unwrap();
        let create = ["certificate", "create", name, "--out", out];
        self.daemon.inn_ok(&[&create, more].concat());
    }

    /// A command of somebody elsewhere, who trusts this house and shows this certificate, if any.
    fn elsewhere(&self, certificate: Option<&str>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_inn"));
        for variable in ["INN_STATE_DIR", "INN_SOCKET", "INN_TOKEN"] {
            command.env_remove(variable);
        }
        command.env("NO_COLOR", "1").env("INN_URL", format!("https://127.0.0.1:{}", self.port));
        command.env("INN_CA", self.daemon.state().join("tls/ca.crt"));
        if let Some(name) = certificate {
            command.env("INN_CERTIFICATE", self.file(&format!("{name}.crt")));
            command.env("INN_KEY", self.file(&format!("{name}.key")));
        }
        command
    }

    fn run(&self, certificate: Option<&str>, arguments: &[&str]) -> Ended {
        ended(self.elsewhere(certificate).args(arguments))
    }

    /// Asks for something by TLS, on this port, with the certificate of this name.
    fn ask(&self, port: u16, name: &str, request: &Request) -> Reply {
        let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let client = ClientConnection::new(
            client(&self.daemon.state().join("tls/ca.crt"), self.daemon.scratch(), name),
            ServerName::try_from("localhost").unwrap(),
        );
        exchange(StreamOwned::new(client.unwrap(), socket), request)
    }
}

fn ended(command: &mut Command) -> Ended {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn client(ca: &Path, folder: &Path, name: &str) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(ca).unwrap() {
        roots.add(root.unwrap()).unwrap();
    }
    let certificate = CertificateDer::from_pem_file(folder.join(format!("{name}.crt"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join(format!("{name}.key"))).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots);
    Arc::new(config.with_client_auth_cert(vec![certificate], key).unwrap())
}

#[test]
fn a_caller_elsewhere_shows_a_certificate_until_it_is_revoked() {
    let house = House::new("");
    house.issue("ci", &["--role", "operator", "--expires", "30d"]);
    // What there is to trust is the same wherever it is read.
    let ca = fs::read_to_string(house.file("ci.ca.crt")).unwrap();
    assert_eq!(ca, house.daemon.inn_ok(&["certificate", "authority"]));
    assert_eq!(ca, fs::read_to_string(house.daemon.state().join("tls/ca.crt")).unwrap());

    let listed = house.run(Some("ci"), &["list", "-o", "json"]);
    assert_eq!((listed.code, listed.stdout.trim()), (Some(0), "[]"), "{}", listed.stderr);
    let refused = house.run(Some("ci"), &["token", "list"]);
    assert_eq!(refused.code, Some(4));
    assert!(refused.stderr.contains("cert:ci is operator"), "{}", refused.stderr);
    let shown = house.daemon.inn_ok(&["certificate", "list"]);
    let row = shown.lines().find(|line| line.starts_with("ci")).unwrap();
    assert!(row.contains("valid") && row.contains("operator") && !row.contains("never"), "{row}");
    // By a door, too; its callers are counted and known by the same name.
    let request = Request::new("POST", "/vm/list").json(&json!({}));
    let reply = house.ask(house.door, "ci", &request);
    assert_eq!(reply.status, 200, "{}", reply.text());

    let following = house.elsewhere(Some("ci")).arg("events").stdout(Stdio::piped()).spawn();
    let mut following = following.unwrap();
    until("who follows", SHORT, || {
        let figures = house.daemon.send(&Request::new("GET", "/metrics")).ok().text();
        match figures.contains("innkeeper_feed_subscribers 1") {
            true => Ok(()),
            false => Err(figures),
        }
    });
    house.daemon.inn_ok(&["certificate", "revoke", "ci"]);
    let code = until("the end of what it followed", SHORT, || {
        following.try_wait().unwrap().ok_or("it goes on")
    });
    assert_eq!(code.code(), Some(4));
    let refused = house.run(Some("ci"), &["list"]);
    assert_eq!(refused.code, Some(4));
    assert!(refused.stderr.contains("not known here"), "{}", refused.stderr);
    assert!(house.ask(house.door, "ci", &request).status == 401);
}

#[test]
fn a_token_counts_in_tls_as_well_and_nothing_does_not() {
    let house = House::new("");
    let token = house.daemon.inn_ok(&["token", "create", "ci", "--role", "viewer"]);
    let with_token = ended(house.elsewhere(None).env("INN_TOKEN", token.trim()).arg("list"));
    assert_eq!(with_token.code, Some(0), "{}", with_token.stderr);
    assert_eq!(house.run(None, &["list"]).code, Some(4));
    // Of two that are shown, the token says who it is.
    house.issue("admin", &["--role", "admin"]);
    let mut both = house.elsewhere(Some("admin"));
    let both = ended(both.env("INN_TOKEN", token.trim()).args(["token", "list"]));
    assert!(both.stderr.contains("token:ci is viewer"), "{}", both.stderr);
}

#[test]
fn what_is_not_trusted_is_told_with_what_to_do() {
    let (house, other) = (House::new(""), House::new(""));
    other.issue("ci", &["--role", "admin"]);
    let no_ca = ended(house.elsewhere(None).env_remove("INN_CA").arg("list"));
    assert_eq!(no_ca.code, Some(5));
    assert!(no_ca.stderr.contains("inn certificate authority"), "{}", no_ca.stderr);
    let foreign = ended(
        house
            .elsewhere(None)
            .env("INN_CERTIFICATE", other.file("ci.crt"))
            .env("INN_KEY", other.file("ci.key"))
            .arg("list"),
    );
    assert_eq!(foreign.code, Some(5));
    assert!(foreign.stderr.contains("refuses the certificate"), "{}", foreign.stderr);
    let plain = ended(house.elsewhere(None).env("INN_URL", "http://192.0.2.1:7101").arg("list"));
    assert_eq!(plain.code, Some(2));

    let mut socket = TcpStream::connect(("127.0.0.1", house.port)).unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("https://"), "{answer}");
    let figures = house.daemon.send(&Request::new("GET", "/metrics")).ok().text();
    assert!(!figures.contains("innkeeper_tls_handshakes_total{outcome=\"failed\"} 0"), "{figures}");
}

#[test]
fn a_certificate_is_renewed_by_who_shows_it() {
    let house = House::new("");
    house.issue("ci", &["--role", "viewer"]);
    let before = fs::read(house.file("ci.crt")).unwrap();
    let (certificate, key) = (house.file("ci.crt"), house.file("ci.key"));
    let renew = ["certificate", "renew", certificate.to_str().unwrap(), key.to_str().unwrap()];
    let renewed = house.run(Some("ci"), &renew);
    assert_eq!(renewed.code, Some(0), "{}", renewed.stderr);
    assert_ne!(fs::read(house.file("ci.crt")).unwrap(), before);
    assert_eq!(house.run(Some("ci"), &["list"]).code, Some(0));
    // From then on the former one is nobody's.
    fs::write(house.file("ci.crt"), before).unwrap();
    assert_eq!(house.run(Some("ci"), &["list"]).code, Some(4));
    // Nobody renews another's, an administrator's neither.
    let refused = house.daemon.inn(&renew);
    assert_eq!(refused.status.code(), Some(4));
}

#[test]
fn a_certificate_of_a_listed_authority_is_somebodys_once_it_was_made_known() {
    let other = House::new("");
    other.issue("theirs", &["--role", "admin"]);
    let ca = other.daemon.state().join("tls/ca.crt");
    let house = House::new(&format!("[tls]\nclient_authorities = {ca:?}\n"));
    let ask = || {
        let mut command = house.elsewhere(None);
        command.env("INN_CERTIFICATE", other.file("theirs.crt"));
        ended(command.env("INN_KEY", other.file("theirs.key")).args(["token", "list"]))
    };
    let unknown = ask();
    assert_eq!(unknown.code, Some(4));
    assert!(unknown.stderr.contains("not known here"), "{}", unknown.stderr);
    let file = other.file("theirs.crt");
    let accept = ["certificate", "accept", "ours", file.to_str().unwrap(), "--role", "viewer"];
    house.daemon.inn_ok(&accept);
    // As what it was made known, whatever it is elsewhere.
    assert!(ask().stderr.contains("cert:ours is viewer"), "{}", ask().stderr);
}

#[test]
fn what_others_can_reach_needs_tls_and_a_caller() {
    let refused = |flags: &[&str]| {
        let mut daemon = Daemon::prepared("driver = \"sim\"\n").with_flags(flags);
        daemon.spawn();
        let (status, log) = daemon.ended();
        assert_eq!(status.code(), Some(2), "{log}");
        log
    };
    let log = refused(&["--listen", "0.0.0.0:7101"]);
    assert!(log.contains("write 0.0.0.0:7101,tls"), "{log}");
    let log = refused(&["--door", "vmm=192.0.2.1:3002"]);
    assert!(log.contains("write 192.0.2.1:3002,tls"), "{log}");
    let log = refused(&["--door", "virtx=0.0.0.0:8080,tls,anonymous=admin"]);
    assert!(log.contains("leave it out: --door virtx=0.0.0.0:8080,tls"), "{log}");

    let port = free_port();
    let listen = format!("0.0.0.0:{port},tls");
    let daemon = Daemon::prepared("driver = \"sim\"\n[tls]\nnames = [\"inn.example.org\"]\n");
    let mut daemon = daemon.with_flags(&["--listen", &listen]);
    daemon.launch();
    let house = House { daemon, port, door: 0 };
    house.issue("ci", &["--role", "viewer"]);
    for (host, status) in
        [("inn.example.org", 200), ("localhost:9", 200), ("evil.example", 403), ("192.0.2.1", 403)]
    {
        let request = Request::new("GET", "/v1/vms").header("Host", host);
        assert_eq!(house.ask(port, "ci", &request).status, status, "{host}");
    }
    for (origin, status) in [("https://inn.example.org", 200), ("http://inn.example.org", 403)] {
        let request = Request::new("GET", "/v1/vms").header("Host", "inn.example.org");
        let reply = house.ask(port, "ci", &request.header("Origin", origin));
        assert_eq!(reply.status, status, "{origin}");
    }
}

#[test]
fn a_listed_proxy_says_for_whom_it_asks_and_nobody_else_does() {
    let port = free_port();
    let config = "driver = \"sim\"\n[proxies]\ntrusted = [\"127.0.0.1\"]\n[limits]\nunauthenticated = \"2/h\"\n";
    let listen = format!("127.0.0.1:{port}");
    let other = free_port();
    let own = format!("127.0.0.1:{other}");
    let door = free_port();
    let open = format!("vminfod=127.0.0.1:{door},anonymous=admin");
    let mut daemon = Daemon::prepared(config).with_flags(&["--listen", &listen, "--door", &open]);
    daemon.launch();
    // Who the proxy is lets nobody in for whom it asks.
    let vms = Request::new("GET", "/vms");
    let at_door = |request: &Request| {
        exchange(TcpStream::connect(("127.0.0.1", door)).unwrap(), request).status
    };
    assert_eq!(at_door(&vms), 401, "whatever comes by a proxy is somebody's");
    for forwarded in ["203.0.113.7", "203.0.113.8, unknown", "\u{ff}, 203.0.113.9"] {
        let request = vms.clone().header("X-Forwarded-For", forwarded);
        assert_eq!(at_door(&request), 401, "{forwarded:?}");
    }
    let ask = |port: u16, forwarded: &str| {
        let request = Request::new("GET", "/v1/vms")
            .header("Authorization", "Bearer wrong")
            .header("X-Forwarded-For", forwarded);
        exchange(TcpStream::connect(("127.0.0.1", port)).unwrap(), &request).status
    };
    // Each who is named has a quota; what stands before the last one, somebody made up.
    for _ in 0..2 {
        assert_eq!(ask(port, "203.0.113.5"), 401);
    }
    assert_eq!(ask(port, "198.51.100.1, 203.0.113.5"), 429);
    assert_eq!(ask(port, "203.0.113.6"), 401);
    until("the lines in the audit", SHORT, || {
        let audit = daemon.inn_ok(&["audit"]);
        let is_there =
            audit.contains("from 203.0.113.5: GET") && audit.contains("from 203.0.113.6: GET");
        if is_there && !audit.contains("198.51.100.1") { Ok(()) } else { Err(audit) }
    });

    // Without a list, it is the proxy's own.
    let config = "driver = \"sim\"\n[limits]\nunauthenticated = \"2/h\"\n";
    let mut daemon = Daemon::prepared(config).with_flags(&["--listen", &own]);
    daemon.launch();
    assert_eq!([1, 2, 3].map(|n| ask(other, &format!("203.0.113.{n}"))), [401, 401, 429]);
}
