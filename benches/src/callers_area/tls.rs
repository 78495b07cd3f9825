//! TLS 1.3 handshakes with the daemon, beside as many with a server that is nothing but rustls: each whole, without
//! anything of an earlier one, with a certificate of the same kind, by the same client, in turns.
//!
//! A handshake counts when the server's tickets have arrived: it sends them when it has seen the client's last word.

use crate::{
    bench::Bench,
    figure::{Figure, Measured},
    measure::statistics::median_number,
    report,
    rig::{
        cleanup::Folder,
        daemon::{Daemon, State, free_port},
    },
};
use anyhow::{Context, ensure};
use innkeeper_auth::Authority;
use innkeeper_model::Timestamp;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig,
    client::Resumption,
    crypto::ring::{Ticketer, default_provider},
    pki_types::{CertificateDer, ServerName, pem::PemObject},
    version::TLS13,
};
use std::{
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tokio::{
    net::TcpListener,
    runtime::{self, Runtime},
};
use tokio_rustls::TlsAcceptor;

/// Clients at once: one that is waited for, and one that waits.
const CLIENTS: usize = 2;

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let (state, address) = (State::new(bench)?, free_port()?);
    state.configure(&format!("[door.vmm]\nlisten = \"{address},tls\"\n"))?;
    let _daemon = Daemon::start(&state)?;
    let bare = Bare::start(bench)?;
    let of_daemon = Target { address, client: client(&state.path().join("tls/ca.crt"))? };
    let of_bare = Target { address: bare.address, client: client(&bare.ca())? };
    let (mut rates, mut bare_rates) = (Vec::new(), Vec::new());
    let duration = bench.seconds(4, 1);
    for _ in 0..bench.rounds(5, 1) {
        rates.push(of_daemon.rate(duration)?);
        bare_rates.push(of_bare.rate(duration)?);
        report::progress(format_args!("  {rates:.0?} beside {bare_rates:.0?}"));
    }
    Ok(vec![
        Measured::new(
            "TLS 1.3 handshakes, whole, ECDSA P-256, beside a bare rustls server's",
            median_number(&mut rates),
            "/s",
        )
        .beside(median_number(&mut bare_rates))
        .at_least_times(0.8),
    ])
}

/// A server to shake hands with.
struct Target {
    address: SocketAddr,
    client: Arc<ClientConfig>,
}

impl Target {
    /// Handshakes a second.
    fn rate(&self, duration: Duration) -> anyhow::Result<f64> {
        let begun = Instant::now();
        let count = thread::scope(|scope| {
            let each = || {
                let mut count = 0_u32;
                while begun.elapsed() < duration {
                    self.shake()?;
                    count += 1;
                }
                anyhow::Ok(count)
            };
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(each)).collect();
            let counts = clients
                .into_iter()
                .map(|client| client.join().map_err(|_| anyhow::anyhow!("a client panicked"))?);
            counts.sum::<anyhow::Result<u32>>()
        })?;
        Ok(f64::from(count) / begun.elapsed().as_secs_f64())
    }

    fn shake(&self) -> anyhow::Result<()> {
        let mut socket = TcpStream::connect(self.address)?;
        socket.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        let mut connection = ClientConnection::new(Arc::clone(&self.client), name)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        while connection.wants_write() {
            connection.write_tls(&mut socket)?;
        }
        while connection.tls13_tickets_received() == 0 {
            ensure!(connection.read_tls(&mut socket)? > 0, "the server hung up");
            connection.process_new_packets()?;
        }
        Ok(())
    }
}

fn client(ca: &Path) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca)?)?;
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_protocol_versions(&[&TLS13])?.with_root_certificates(roots);
    let mut config = config.with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// A server that shakes hands and hangs up, on one thread, as the daemon has one for this on two cores.
struct Bare {
    folder: Folder,
    address: SocketAddr,
    _runtime: Runtime,
}

impl Bare {
    fn start(bench: &Bench) -> anyhow::Result<Self> {
        let folder = Folder::new(&bench.scratch)?;
        let now = Timestamp::now();
        let authority = Authority::open(folder.path(), now)?;
        let made = authority.for_server(&["localhost".into()], &[], now)?;
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let config = config.with_protocol_versions(&[&TLS13])?.with_no_client_auth();
        let mut config = config.with_single_cert(made.chain, made.key)?;
        config.ticketer = Ticketer::new()?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let runtime =
            runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let socket = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = socket.local_addr().context("it listens")?;
        runtime.spawn(async move {
            while let Ok((stream, _)) = socket.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let _done_or_not = stream.set_nodelay(true);
                    drop(acceptor.accept(stream).await);
                });
            }
        });
        Ok(Self { folder, address, _runtime: runtime })
    }

    fn ca(&self) -> std::path::PathBuf {
        self.folder.path().join("ca.crt")
    }
}
