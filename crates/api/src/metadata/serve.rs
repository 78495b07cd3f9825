//! Connections of guests: few at a time, short, and one request each.

use super::{
    Peers, SeedDocument, Seeds,
    documents::MetaData,
    path::{Item, Wanted},
};
use axum::{body::Body, serve::Listener};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    collections::HashMap,
    convert::Infallible,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The most connections at a time; more wait to be accepted.
const MAX_CONNECTIONS: usize = 256;
/// The most of one guest; more are closed at once, so that none keeps others out.
const MAX_PER_GUEST: usize = 8;
/// The most seeds that are read at a time: each is a megabyte or two in memory.
const MAX_READS: usize = 8;
/// How long a request's head may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a whole connection may take.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(20);
/// The most bytes of a request's head; hyper takes no less.
const MAX_HEAD: usize = 8 << 10;
/// The most headers of a request.
const MAX_HEADERS: usize = 32;

/// The names that guests have for the service.
const HOSTS: [&str; 2] = ["169.254.169.254", "169.254.169.254:80"];
/// What a request has that came by way of a proxy.
const FORWARDED: [HeaderName; 3] =
    [header::FORWARDED, header::VIA, HeaderName::from_static("x-forwarded-for")];

/// Answers guests' requests on an address that only the host's firewall leads them to: connections of which `was_led`
/// says no are closed unheard. Returns when `stopping` is cancelled; connections that are open then are closed.
pub async fn serve_metadata(
    mut listener: TcpListener,
    was_led: fn(&TcpStream) -> bool,
    peers: Arc<dyn Peers>,
    seeds: Arc<dyn Seeds>,
    stopping: CancellationToken,
) {
    let service = Arc::new(Service { peers, seeds, reads: Semaphore::new(MAX_READS) });
    let (places, guests) = (Arc::new(Semaphore::new(MAX_CONNECTIONS)), Arc::new(Guests::default()));
    let connections = TaskTracker::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            // This one waits and goes on where the process has too many files open.
            (place, Listener::accept(&mut listener).await)
        };
        let (place, (socket, address)) = tokio::select! {
            () = stopping.cancelled() => break,
            accepted = accepted => accepted,
        };
        if !was_led(&socket) {
            continue;
        }
        let IpAddr::V4(address) = address.ip() else { continue };
        let Some(seat) = guests.clone().seat(address) else { continue };
        let (service, stopping) = (service.clone(), stopping.clone());
        connections.spawn(async move {
            let connection = serve_connection(socket, address, service);
            tokio::select! {
                () = stopping.cancelled() => {}
                _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection) => {}
            }
            drop((place, seat));
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// How many connections each guest has.
#[derive(Default)]
struct Guests(Mutex<HashMap<Ipv4Addr, usize>>);

/// One guest's connection, while it lasts.
struct Seat(Arc<Guests>, Ipv4Addr);

impl Guests {
    fn seat(self: Arc<Self>, address: Ipv4Addr) -> Option<Seat> {
        let mut guests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = guests.entry(address).or_default();
        if *count >= MAX_PER_GUEST {
            return None;
        }
        *count += 1;
        drop(guests);
        Some(Seat(self, address))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut guests = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = guests.entry(self.1).or_default();
        *count = count.saturating_sub(1);
        if *count == 0 {
            guests.remove(&self.1);
        }
    }
}

async fn serve_connection(socket: TcpStream, address: Ipv4Addr, service: Arc<Service>) {
    let handler = service_fn(move |request: Request<Incoming>| {
        let service = service.clone();
        async move { Ok::<_, Infallible>(service.answer(address, &request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_header_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .keep_alive(false)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(socket), handler);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a guest's request broke off");
    }
}

struct Service {
    peers: Arc<dyn Peers>,
    seeds: Arc<dyn Seeds>,
    reads: Semaphore,
}

impl Service {
    async fn answer<B>(&self, address: Ipv4Addr, request: &Request<B>) -> Response<Body> {
        if request.method() != Method::GET {
            let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
            return response;
        }
        if !is_guests_own(request.headers()) {
            return empty(StatusCode::NOT_FOUND);
        }
        match self.text(address, request.uri().path()).await {
            Some(text) => shown(text),
            // Whatever the reason, there is nothing for this guest.
            None => empty(StatusCode::NOT_FOUND),
        }
    }

    async fn text(&self, address: Ipv4Addr, path: &str) -> Option<String> {
        let wanted = Wanted::parse(path)?;
        let peer = self.peers.find(address)?;
        let document = match wanted {
            Wanted::Document(document) => document,
            Wanted::Index | Wanted::Item(_) => SeedDocument::MetaData,
        };
        let _reading = self.reads.acquire().await.ok()?;
        let text = match self.seeds.read(peer.vm, document).await {
            Ok(text) => text?,
            Err(refusal) => {
                tracing::warn!(vm = %peer.vm, %refusal, "a guest's seed cannot be read");
                return None;
            }
        };
        let text = text.expose()?;
        match wanted {
            Wanted::Index => Some("meta-data/\nuser-data".into()),
            Wanted::Document(_) => Some(text.to_owned()),
            Wanted::Item(Item::LocalIpv4) => Some(address.to_string()),
            Wanted::Item(item) => MetaData::parse(text).answer(item, &peer, address),
        }
    }
}

/// Whether a request was made in the guest for this service, as far as its head tells: not passed on by a
/// proxy, nor by a browser that was told a stranger's name for the address.
fn is_guests_own(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    host.is_some_and(|host| HOSTS.contains(&host))
        && hosts.next().is_none()
        && FORWARDED.iter().all(|name| !headers.contains_key(name))
}

fn shown(text: String) -> Response<Body> {
    let mut response = Response::new(text.into());
    let headers = response.headers_mut();
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, plain);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
