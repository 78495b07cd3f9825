use super::*;
use crate::{Arrival, Gate, Listening};
use axum::{body::Body, response::Response};
use http::Request;
use innkeeper_auth::{
    Authority, Certificates, Role, Source,
    certificate::{KeyAndRequest, NewCertificate},
};
use innkeeper_model::Timestamp;
use rustls::{
    ClientConfig, ProtocolVersion, RootCertStore,
    client::Resumption,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    version::{TLS12, TLS13},
};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;

/// How long anything may take; a bound for what is broken, not a measure.
const LONG: Duration = Duration::from_secs(30);

/// Says by which certificate a connection came.
#[derive(Clone)]
struct Names(String);

impl Gate for Names {
    async fn answer(&self, _request: Request<Body>) -> Response {
        Response::new(Body::from(self.0.clone()))
    }
}

fn admit(arrival: Arrival, _source: Source) -> io::Result<Names> {
    Ok(Names(arrival.certificate().map_or_else(|| "nobody".into(), |shown| shown.to_string())))
}

struct House {
    folder: TempDir,
    authority: Arc<Authority>,
    settings: Arc<TlsSettings>,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(&folder.path().join("tls"), Timestamp::now()).unwrap();
        let settings = Arc::new(TlsSettings::new(material(&authority)).unwrap());
        Self { folder, authority: Arc::new(authority), settings }
    }

    /// Serves on a port of its own.
    async fn serve(&self, stopping: &CancellationToken) -> (SocketAddr, JoinHandle<()>) {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listening = Listening::from(socket).with_tls(Arc::clone(&self.settings));
        let address = listening.address().unwrap();
        (address, tokio::spawn(listening.serve(stopping.clone(), admit)))
    }

    fn trusting(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        for root in self.authority.roots(Timestamp::now()) {
            roots.add(root).unwrap();
        }
        roots
    }

    fn client(&self) -> Arc<ClientConfig> {
        Arc::new(builder(&[&TLS13], self.trusting()).with_no_client_auth())
    }

    /// One that shows a certificate of this house, and the certificate.
    fn client_with_certificate(&self) -> (Arc<ClientConfig>, CertificateDer<'static>) {
        self.client_until(None)
    }

    /// The same, of a certificate that ends then.
    fn client_until(
        &self,
        expires: Option<Timestamp>,
    ) -> (Arc<ClientConfig>, CertificateDer<'static>) {
        let made = KeyAndRequest::generate("ci").unwrap();
        let list = self.folder.path().join("certificates.json");
        let wanted = NewCertificate {
            name: "ci".parse().unwrap(),
            role: Role::Viewer,
            project: None,
            expires,
            privileged: false,
            request: Some(made.request),
            certificate: None,
        };
        let certificates = Certificates::open(&list, Arc::clone(&self.authority)).unwrap();
        let (_, pem) = certificates.create(wanted, "uid:0", Timestamp::now()).unwrap();
        let shown = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(made.key.expose().unwrap().as_bytes()).unwrap();
        let config = builder(&[&TLS13], self.trusting());
        let config = config.with_client_auth_cert(vec![shown.clone()], key).unwrap();
        (Arc::new(config), shown)
    }
}

fn material(authority: &Authority) -> Material {
    let now = Timestamp::now();
    let made = authority.for_server(&["localhost".into()], &[], now).unwrap();
    Material { chain: made.chain, key: made.key, client_authorities: authority.roots(now) }
}

fn builder(
    versions: &[&'static rustls::SupportedProtocolVersion],
    roots: RootCertStore,
) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    builder.with_protocol_versions(versions).unwrap().with_root_certificates(roots)
}

async fn connect(to: SocketAddr, client: &Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from("localhost").unwrap();
    let socket = TcpStream::connect(to).await?;
    TlsConnector::from(Arc::clone(client)).connect(name, socket).await
}

/// What is answered to a request, or why it is not.
async fn ask(to: SocketAddr, client: &Arc<ClientConfig>) -> io::Result<String> {
    let exchange = async {
        let mut stream = connect(to, client).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        Ok(text)
    };
    tokio::time::timeout(LONG, exchange).await.expect("no answer")
}

#[tokio::test]
async fn a_caller_is_known_by_the_certificate_that_it_shows_and_need_not_show_one() {
    let (house, stopping) = (House::new(), CancellationToken::new());
    let (address, serving) = house.serve(&stopping).await;
    assert!(ask(address, &house.client()).await.unwrap().ends_with("\r\n\r\nnobody"));
    let (client, shown) = house.client_with_certificate();
    let fingerprint = innkeeper_auth::Fingerprint::of(&shown).to_string();
    // The second time by a ticket of the first one.
    for _ in 0..2 {
        assert!(ask(address, &client).await.unwrap().ends_with(&fingerprint));
    }
    let handshakes = house.settings.handshakes();
    assert_eq!((handshakes.done(), handshakes.failed()), (3, 0));
    stopping.cancel();
    serving.await.unwrap();
}

#[tokio::test]
async fn a_certificate_of_another_authority_and_an_old_version_are_refused_and_counted() {
    let (house, foreign, stopping) = (House::new(), House::new(), CancellationToken::new());
    let (address, serving) = house.serve(&stopping).await;
    let (client, _) = foreign.client_with_certificate();
    // It trusts this house, and shows what is another's.
    let resolver = Arc::clone(&client.client_auth_cert_resolver);
    let mixed = builder(&[&TLS13], house.trusting()).with_client_cert_resolver(resolver);
    ask(address, &Arc::new(mixed)).await.unwrap_err();
    let old = builder(&[&TLS12], house.trusting()).with_no_client_auth();
    ask(address, &Arc::new(old)).await.unwrap_err();
    // And the caller does not take the house for another.
    ask(address, &foreign.client()).await.unwrap_err();
    assert!(ask(address, &house.client()).await.is_ok());
    assert_eq!(house.settings.handshakes().failed(), 3);
    stopping.cancel();
    serving.await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_refused() {
    let (house, stopping) = (House::new(), CancellationToken::new());
    let (address, serving) = house.serve(&stopping).await;
    let soon = Timestamp::from_second(Timestamp::now().as_second() + 1).unwrap();
    let (client, _) = house.client_until(Some(soon));
    let mut client = (*client).clone();
    // By a ticket it would come in, and be refused by the list.
    client.resumption = Resumption::disabled();
    let client = Arc::new(client);
    let refused = async {
        while ask(address, &client).await.is_ok() {
            // Its time has to pass.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LONG, refused).await.expect("it goes on");
    assert!(Timestamp::now() >= soon);
    stopping.cancel();
    serving.await.unwrap();
}

#[tokio::test]
async fn another_certificate_is_shown_to_who_comes_from_then_on() {
    let (house, stopping) = (House::new(), CancellationToken::new());
    let (address, serving) = house.serve(&stopping).await;
    let client = house.client();
    let shown = |stream: &TlsStream<TcpStream>| {
        let (_, connection) = stream.get_ref();
        assert_eq!(connection.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        connection.peer_certificates().unwrap()[0].clone().into_owned()
    };
    let mut before = connect(address, &client).await.unwrap();
    house.settings.replace(material(&house.authority)).unwrap();
    let after = connect(address, &client).await.unwrap();
    assert_ne!(shown(&before), shown(&after));
    // What was there goes on.
    before
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    before.read_to_string(&mut text).await.unwrap();
    assert!(text.ends_with("nobody"), "{text}");
    stopping.cancel();
    serving.await.unwrap();
}

#[tokio::test]
async fn who_speaks_http_without_tls_is_told_so() {
    let (house, stopping) = (House::new(), CancellationToken::new());
    let (address, serving) = house.serve(&stopping).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut text = String::new();
    tokio::time::timeout(LONG, stream.read_to_string(&mut text)).await.unwrap().unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400 ") && body.contains("https://"), "{text}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
    stopping.cancel();
    serving.await.unwrap();
}

#[tokio::test]
async fn who_says_nothing_is_given_up_in_time_or_for_others_and_holds_up_nobody() {
    let house = House::new();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let listener = TlsListener::new(socket, Arc::clone(&house.settings));
    let mut listener = listener.within(Duration::from_secs(2), 4);
    let accepting = tokio::spawn(async move {
        loop {
            let (mut stream, _) = axum::serve::Listener::accept(&mut listener).await;
            stream.write_all(b"here").await.unwrap();
        }
    });
    // More than may be at once: the first ones are given up at once, the others in time.
    let mut silent = Vec::new();
    for _ in 0..12 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let mut stream = connect(address, &house.client()).await.unwrap();
    let mut here = [0; 4];
    tokio::time::timeout(LONG, stream.read_exact(&mut here)).await.unwrap().unwrap();
    assert_eq!(&here, b"here");
    for mut stream in silent {
        let mut nothing = [0; 1];
        let end = tokio::time::timeout(LONG, stream.read(&mut nothing)).await.unwrap();
        assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    }
    accepting.abort();
}

/// Tells connections of this host by their addresses, which users of it would be told by.
fn by_address(socket: &TcpStream) -> Source {
    Source::Host(socket.peer_addr().unwrap().ip())
}

async fn connected_from(address: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((address.parse::<IpAddr>().unwrap(), 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

#[tokio::test]
async fn who_begins_many_and_ends_none_pushes_out_nobody_but_themselves() {
    let house = House::new();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let listener = TlsListener::new(socket, Arc::clone(&house.settings));
    let mut listener = listener.within(LONG, 4).telling_by(by_address);
    let accepting = tokio::spawn(async move {
        loop {
            let (mut stream, _) = axum::serve::Listener::accept(&mut listener).await;
            stream.write_all(b"here").await.unwrap();
        }
    });
    // Before all others, and in no hurry.
    let slow = connected_from("127.0.0.2", address).await;
    let mut silent = Vec::new();
    for _ in 0..12 {
        silent.push(connected_from("127.0.0.1", address).await);
    }
    // Of those only three have a place.
    for stream in &mut silent[..9] {
        let mut nothing = [0; 1];
        let end = tokio::time::timeout(LONG, stream.read(&mut nothing)).await.unwrap();
        assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    }
    let name = ServerName::try_from("localhost").unwrap();
    let goes_on = async {
        let mut stream = TlsConnector::from(house.client()).connect(name, slow).await.unwrap();
        let mut here = [0; 4];
        stream.read_exact(&mut here).await.unwrap();
        assert_eq!(&here, b"here");
    };
    tokio::time::timeout(LONG, goes_on).await.unwrap();
    accepting.abort();
}
