//! A browser's session with a real daemon, with TLS and without.

use crate::harness::{Daemon, Reply, Request, exchange};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::Value;
use std::{
    net::{TcpListener, TcpStream},
    sync::Arc,
};

/// A daemon of simulated machines that a browser finds with TLS and without.
struct House {
    daemon: Daemon,
    plain: u16,
    tls: u16,
    token: String,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl House {
    fn open() -> Self {
        let (plain, tls) = (free_port(), free_port());
        let daemon = Daemon::prepared("driver = \"sim\"\n");
        let listen = [format!("127.0.0.1:{plain}"), format!("127.0.0.1:{tls},tls")];
        let mut daemon = daemon.with_flags(&["--listen", &listen[0], "--listen", &listen[1]]);
        daemon.launch();
        let token = daemon.inn_ok(&["token", "create", "page", "--role", "operator"]);
        daemon.inn_ok(&["create", "web", "--memory", "64MiB"]);
        Self { daemon, plain, tls, token: token.trim().into() }
    }

    fn ask(&self, port: u16, request: &Request) -> Reply {
        let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        if port == self.plain {
            return exchange(socket, request);
        }
        let mut roots = RootCertStore::empty();
        let ca = self.daemon.state().join("tls/ca.crt");
        CertificateDer::pem_file_iter(ca).unwrap().for_each(|ca| roots.add(ca.unwrap()).unwrap());
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let client = ClientConnection::new(Arc::new(config), name).unwrap();
        exchange(StreamOwned::new(client, socket), request)
    }

    /// Begins a session: what the browser is told, and what its page is.
    fn begin(&self, port: u16) -> (String, Value) {
        let request = Request::new("POST", "/v1/browser-session");
        let begun =
            self.ask(port, &request.header("Authorization", &format!("Bearer {}", self.token)));
        let begun = begun.ok();
        (begun.header("set-cookie").unwrap().to_owned(), begun.json())
    }
}

#[test]
fn a_session_is_for_the_wire_that_it_was_begun_on_and_ends_with_its_token() {
    let house = House::open();
    for (port, other, name, secure) in [
        (house.plain, house.tls, "innkeeper-session=", false),
        (house.tls, house.plain, "__Host-innkeeper-session=", true),
    ] {
        let (set, told) = house.begin(port);
        assert!(set.starts_with(name) && set.ends_with("; Secure") == secure, "{set}");
        let cookie = set.split(';').next().unwrap();
        let read = Request::new("GET", "/v1/vms/web").header("Cookie", cookie);
        assert_eq!(house.ask(port, &read).status, 200);
        assert_eq!(house.ask(other, &read).status, 401);
        let start = Request::new("POST", "/v1/vms/web/start").header("Cookie", cookie);
        let start = start.header("Prefer", "wait=10");
        assert_eq!(house.ask(port, &start).status, 403);
        let start = start.header("Innkeeper-CSRF", told["csrf"].as_str().unwrap());
        let host = format!("localhost:{port}");
        let page = start.clone().header("Host", &host);
        let scheme = if secure { "https" } else { "http" };
        let other_scheme = if secure { "http" } else { "https" };
        let foreign = page.clone().header("Origin", &format!("{other_scheme}://{host}"));
        assert_eq!(house.ask(port, &foreign).status, 403);
        let own = page.header("Origin", &format!("{scheme}://{host}"));
        let started = house.ask(port, &own).ok().json();
        assert_eq!(started["task"]["caller"], "token:page", "{started}");
        house.daemon.inn_ok(&["kill", "web"]);
    }
    let (set, _) = house.begin(house.plain);
    house.daemon.inn_ok(&["token", "revoke", "page"]);
    let cookie = set.split(';').next().unwrap();
    let read = Request::new("GET", "/v1/vms/web").header("Cookie", cookie);
    assert_eq!(house.ask(house.plain, &read).status, 401);
    // Nothing of it is anywhere but in the browser.
    let value = cookie.split_once('=').unwrap().1;
    assert!(!house.daemon.log().contains(value));
    assert!(!house.daemon.inn_ok(&["audit", "-o", "json"]).contains(value));
}
