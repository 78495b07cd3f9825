//! Fetching a file from a web server, without being led to one that is nobody's business.
//!
//! The host's name is resolved here, its addresses are checked, and the connection can go to no
//! others: the client is given them in place of a resolver. Redirects are followed by hand, each like
//! a new address. No proxy is used, since it would choose the address.

use super::{address::is_public, checksum::Checksum};
use crate::{
    cancel,
    copy::{put, written},
    progress::{OnProgress, Phase, Reporter},
    room::{Promise, Room},
    storage::HttpRules,
};
use innkeeper_model::{ByteSize, Code, Refusal};
use reqwest::{
    Client, Response, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::LOCATION,
    redirect::Policy,
};
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How many times a server may send us on.
const MAX_REDIRECTS: usize = 5;
/// How many pieces may wait for the disk: enough to keep both sides busy, a few MiB at most.
const PIECES_AHEAD: usize = 64;

/// Why a file was not fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DownloadFailed {
    #[error("{0:?} is not an http or https address of a file")]
    NotAnAddress(String),
    #[error("{0:?} has a user name or password in it")]
    HasCredentials(String),
    #[error("{host} cannot be resolved")]
    Unresolved {
        host: String,
        #[source]
        source: io::Error,
    },
    #[error("{} is not a public address", place(host, *address))]
    NotPublic { host: String, address: IpAddr },
    #[error("{0} redirects without saying where to")]
    LostRedirect(Url),
    #[error("it redirects more than {MAX_REDIRECTS} times")]
    TooManyRedirects,
    #[error("{url} was answered with {status}")]
    Status { url: Url, status: u16 },
    #[error("it has more than {0}")]
    TooLarge(ByteSize),
    #[error("it ended after {got} of {expected} bytes")]
    CutShort { got: u64, expected: u64 },
    #[error("it has the checksum {found}, and {expected} was expected")]
    Checksum { found: String, expected: String },
    #[error("it took longer than {} seconds", .0.as_secs())]
    Deadline(Duration),
    #[error("the connection failed")]
    Http(#[source] reqwest::Error),
    #[error("it cannot be stored")]
    Store(Box<Refusal>),
}

impl From<Refusal> for DownloadFailed {
    fn from(refusal: Refusal) -> Self {
        Self::Store(Box::new(refusal))
    }
}

impl DownloadFailed {
    /// As a refusal of the address that the caller gave.
    fn of(self, url: &str) -> Refusal {
        let refused = |hint: &str| {
            let problem = format!("was not fetched: {self}");
            Refusal::invalid("url", shown(url), problem).with_hint(hint)
        };
        match self {
            Self::NotPublic { .. } => refused(
                "an operator can allow it in the configuration: storage.allow_private_urls = true",
            ),
            Self::HasCredentials(_) => refused("fetch it yourself, and import the file"),
            Self::Checksum { .. } => {
                refused("compare the checksum with its publisher's").at("checksum")
            }
            Self::TooLarge(limit) => {
                let mut refusal = refused("").with_limit(limit);
                (refusal.code, refusal.hint) = (Code::TooLarge, None);
                refusal
            }
            Self::Deadline(limit) => {
                let limit = format!("{} s", limit.as_secs());
                let mut refusal = refused("try again, or fetch it yourself").with_limit(limit);
                refusal.code = Code::Timeout;
                refusal
            }
            Self::Store(refusal) => *refusal,
            _ => refused("look at the address, and whether this host reaches it").caused_by(&self),
        }
    }
}

/// A host with the address that it is at, or the address alone if that is how it is called.
fn place(host: &str, address: IpAddr) -> String {
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(itself) if address == itself => address.to_string(),
        _ => format!("{host} is at {address}, which"),
    }
}

/// An address without what may be a secret in it: credentials, query and fragment.
pub(super) fn shown(url: &str) -> String {
    match Url::parse(url) {
        Ok(mut url) => {
            url.set_query(None);
            url.set_fragment(None);
            // Fails only for addresses that cannot have any.
            let _impossible = url.set_username("").and_then(|()| url.set_password(None));
            url.to_string()
        }
        Err(_) => "(unreadable)".into(),
    }
}

/// Refuses an address that nothing can be fetched from, without asking anybody.
///
/// # Errors
/// It is no address of http or https, has credentials in it, or is literally one that is not public
/// and not allowed.
pub(super) fn check_address(url: &str, rules: &HttpRules) -> Result<(), Refusal> {
    let check = || {
        let address = Url::parse(url).map_err(|_| DownloadFailed::NotAnAddress(shown(url)))?;
        let (host, _port) = host_and_port(&address)?;
        match host.trim_matches(['[', ']']).parse() {
            Ok(address) if !permits(rules)(address) => {
                Err(DownloadFailed::NotPublic { host: host.into(), address })
            }
            _ => Ok(()),
        }
    };
    check().map_err(|failed: DownloadFailed| failed.of(url))
}

/// Which addresses may be connected to.
pub(super) fn permits(rules: &HttpRules) -> fn(IpAddr) -> bool {
    if rules.allow_private { |_| true } else { is_public }
}

fn host_and_port(url: &Url) -> Result<(&str, u16), DownloadFailed> {
    let not_an_address = || DownloadFailed::NotAnAddress(shown(url.as_str()));
    if !matches!(url.scheme(), "http" | "https") {
        return Err(not_an_address());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(DownloadFailed::HasCredentials(shown(url.as_str())));
    }
    url.host_str().zip(url.port_or_known_default()).ok_or_else(not_an_address)
}

/// What to fetch, and within which bounds.
#[derive(Debug, Clone)]
pub(crate) struct Download<'a> {
    pub(crate) url: &'a str,
    pub(crate) checksum: Checksum,
    pub(crate) rules: &'a HttpRules,
    pub(crate) max_size: ByteSize,
    /// Whether an address may be connected to.
    pub(crate) permits: fn(IpAddr) -> bool,
    /// Where it is stored.
    pub(crate) room: &'a Room,
}

impl Download<'_> {
    /// Fetches into a new, empty file. When this fails or is cancelled, the file is the caller's to
    /// remove.
    pub(crate) async fn run(
        &self,
        into: File,
        on_progress: &OnProgress,
        cancel: &CancellationToken,
    ) -> Result<(), Refusal> {
        let deadline = self.rules.deadline;
        let fetched = tokio::select! {
            fetched = tokio::time::timeout(deadline, self.fetch(into, on_progress)) => fetched,
            () = cancel.cancelled() => return Err(cancel::cancelled()),
        };
        fetched
            .unwrap_or(Err(DownloadFailed::Deadline(deadline)))
            .map_err(|failed| failed.of(self.url))
    }

    async fn fetch(&self, into: File, on_progress: &OnProgress) -> Result<(), DownloadFailed> {
        let response = self.follow().await?;
        let length = response.content_length();
        if length.is_some_and(|length| length > self.max_size.0) {
            return Err(DownloadFailed::TooLarge(self.max_size));
        }
        let promise = self.room.promise(length.unwrap_or_default())?;
        let report = Reporter::new(on_progress, Phase::Downloading, length);
        let (got, found) = self.receive(response, (into, promise), &report).await?;
        if let Some(expected) = length.filter(|length| *length != got) {
            return Err(DownloadFailed::CutShort { got, expected });
        }
        if found != self.checksum.as_str() {
            return Err(DownloadFailed::Checksum {
                found,
                expected: self.checksum.as_str().into(),
            });
        }
        Ok(())
    }

    /// Asks, and follows where it is sent, until somebody has the file.
    async fn follow(&self) -> Result<Response, DownloadFailed> {
        let mut url =
            Url::parse(self.url).map_err(|_| DownloadFailed::NotAnAddress(shown(self.url)))?;
        for _ in 0..=MAX_REDIRECTS {
            let response = self.ask(&url).await?;
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            if !status.is_redirection() {
                return Err(DownloadFailed::Status { url: plain(url), status: status.as_u16() });
            }
            let location = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            let next = location.and_then(|to| url.join(to).ok());
            url = next.ok_or_else(|| DownloadFailed::LostRedirect(plain(url)))?;
        }
        Err(DownloadFailed::TooManyRedirects)
    }

    async fn ask(&self, url: &Url) -> Result<Response, DownloadFailed> {
        let addresses = self.addresses(url).await?;
        // The process has one provider of cryptography; it is set here only if nobody has yet.
        let _already_set = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("innkeeper/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .dns_resolver(Checked(addresses))
            .connect_timeout(self.rules.connect_timeout)
            .read_timeout(self.rules.stall_timeout)
            .build()
            .map_err(DownloadFailed::Http)?;
        let sent = client.get(url.clone()).send().await;
        sent.map_err(|error| DownloadFailed::Http(error.without_url()))
    }

    /// Where the address's host may be connected to.
    async fn addresses(&self, url: &Url) -> Result<Vec<SocketAddr>, DownloadFailed> {
        let (host, port) = host_and_port(url)?;
        let found: Vec<SocketAddr> = tokio::net::lookup_host((host.trim_matches(['[', ']']), port))
            .await
            .map_err(|source| DownloadFailed::Unresolved { host: host.into(), source })?
            .collect();
        // A literal address is connected to without asking the resolver, so one that is not allowed
        // must be the end; a name with both kinds is connected to where it is allowed.
        let permitted: Vec<_> = found.iter().copied().filter(|a| (self.permits)(a.ip())).collect();
        match (permitted.is_empty(), found.first()) {
            (false, _) => Ok(permitted),
            (true, Some(refused)) => {
                Err(DownloadFailed::NotPublic { host: host.into(), address: refused.ip() })
            }
            (true, None) => Err(DownloadFailed::Unresolved {
                host: host.into(),
                source: io::ErrorKind::NotFound.into(),
            }),
        }
    }

    /// Takes the body in, at most as much as is allowed; says how much it was, and its digest.
    async fn receive(
        &self,
        mut response: Response,
        (into, promise): (File, Promise),
        report: &Reporter,
    ) -> Result<(u64, String), DownloadFailed> {
        let (pieces, arriving) = mpsc::channel(PIECES_AHEAD);
        let writer = tokio::task::spawn_blocking(move || store(&into, promise, arriving));
        let mut got = 0;
        while let Some(piece) =
            response.chunk().await.map_err(|error| DownloadFailed::Http(error.without_url()))?
        {
            got += piece.len() as u64;
            if got > self.max_size.0 {
                return Err(DownloadFailed::TooLarge(self.max_size));
            }
            report.done(got);
            if pieces.send(piece).await.is_err() {
                break; // the writer has ended, and says why
            }
        }
        drop(pieces);
        let stored = writer.await.map_err(|error| Refusal::from(io::Error::from(error)))?;
        Ok((got, stored?))
    }
}

/// Writes pieces as they arrive, and digests them. Ends when nobody sends any more.
fn store(
    into: &File,
    mut promise: Promise,
    mut arriving: mpsc::Receiver<impl AsRef<[u8]>>,
) -> Result<String, Refusal> {
    let (mut at, mut hash) = (0, Sha256::new());
    while let Some(piece) = arriving.blocking_recv() {
        let piece = piece.as_ref();
        put(into, piece, at, &mut promise)?;
        hash.update(piece);
        at += piece.len() as u64;
    }
    into.set_len(at)?;
    Ok(written(&hash.finalize()))
}

fn plain(url: Url) -> Url {
    Url::parse(&shown(url.as_str())).unwrap_or(url)
}

/// In place of a resolver: the addresses that were checked, and no others.
struct Checked(Vec<SocketAddr>);

impl Resolve for Checked {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Addrs = Box::new(self.0.clone().into_iter());
        Box::pin(std::future::ready(Ok(addresses)))
    }
}

#[cfg(test)]
#[path = "download_tests.rs"]
mod tests;
