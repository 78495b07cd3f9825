//! HTTP over the daemon's unix socket, or over TCP to a daemon elsewhere: one connection a request, which on a socket
//! of the same host costs less than keeping one alive would.
//!
//! Whatever the daemon refuses comes back as a [`Failure`] with the daemon's own words.

mod feed;
mod lines;
mod problem;
mod remote;
mod target;
mod unreachable;

pub(crate) use feed::{Feed, FeedLine};
pub(crate) use lines::Lines;
pub(crate) use remote::{Remote, Said};
pub(crate) use target::Target;

use crate::failure::{Exit, Failure};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{self, HeaderName},
};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Body, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use remote::{Connected, broken_by_tls};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use std::{path::PathBuf, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixStream,
    time::timeout,
};

/// How long the daemon may take to answer what it answers from memory.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// The daemon, as this process sees it.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    endpoint: Endpoint,
}

/// Where a daemon is.
#[derive(Debug, Clone)]
enum Endpoint {
    Unix(PathBuf),
    Tcp(Remote),
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    method: Method,
    target: Target,
    headers: HeaderMap,
    body: Option<Value>,
    patience: Duration,
}

/// One answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The spec's revision, as `If-Match` wants it.
    pub(crate) etag: Option<HeaderValue>,
    pub(crate) body: Value,
}

impl Call {
    fn new(method: Method, target: Target) -> Self {
        let (headers, body) = (HeaderMap::new(), None);
        Self { method, target, headers, body, patience: ANSWERS_WITHIN }
    }

    pub(crate) fn get(target: Target) -> Self {
        Self::new(Method::GET, target)
    }

    pub(crate) fn head(target: Target) -> Self {
        Self::new(Method::HEAD, target)
    }

    pub(crate) fn post(target: Target) -> Self {
        Self::new(Method::POST, target)
    }

    pub(crate) fn put(target: Target) -> Self {
        Self::new(Method::PUT, target)
    }

    pub(crate) fn patch(target: Target) -> Self {
        Self::new(Method::PATCH, target)
            .with_header(header::CONTENT_TYPE, HeaderValue::from_static(MERGE_PATCH))
    }

    pub(crate) fn delete(target: Target) -> Self {
        Self::new(Method::DELETE, target)
    }

    /// The same request with this parameter.
    pub(crate) fn with_parameter(mut self, name: &str, value: bool) -> Self {
        self.target = self.target.with(name, value);
        self
    }

    /// The same request with this JSON.
    pub(crate) fn with_body(mut self, body: Value) -> Self {
        let json = HeaderValue::from_static("application/json");
        self.headers.entry(header::CONTENT_TYPE).or_insert(json);
        self.body = Some(body);
        self
    }

    /// The same request with this header.
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The same request, refused if the thing has changed since this was its revision.
    pub(crate) fn if_match(self, etag: Option<HeaderValue>) -> Self {
        match etag {
            Some(etag) => self.with_header(header::IF_MATCH, etag),
            None => self,
        }
    }

    /// The same request, which the daemon is to answer only after this long.
    pub(crate) fn waiting(mut self, wait: Duration) -> Self {
        self.patience = ANSWERS_WITHIN + wait;
        self
    }

    /// The same request, whose answer is waited for this long at most.
    pub(crate) fn within(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    fn into_request(self) -> Request<Full<Bytes>> {
        let body = self.body.map_or_else(Bytes::new, |body| body.to_string().into());
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.target.into_uri();
        *request.headers_mut() = self.headers;
        request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
        request
    }
}

const MERGE_PATCH: &str = "application/merge-patch+json";

impl Client {
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self { endpoint: Endpoint::Unix(socket) }
    }

    /// One of a daemon that is reached over TCP.
    pub(crate) fn elsewhere(remote: Remote) -> Self {
        Self { endpoint: Endpoint::Tcp(remote) }
    }

    /// Whether the daemon is reached over TCP.
    pub(crate) const fn is_elsewhere(&self) -> bool {
        matches!(self.endpoint, Endpoint::Tcp(_))
    }

    /// Sends the request and returns the answer with its body unread.
    ///
    /// # Errors
    /// The daemon is not there, does not answer in time, or refuses.
    pub(crate) async fn open(&self, call: Call) -> Result<Response<Incoming>, Failure> {
        let patience = call.patience;
        let request = call.into_request();
        let response = timeout(patience, self.exchange(request)).await.map_err(|_| {
            let seconds = patience.as_secs();
            let message = format!("the daemon did not answer within {seconds} s");
            Failure::new(Exit::Timeout, message).with_hint("inn doctor").in_doubt()
        })??;
        let status = response.status();
        // That there is no more is an answer to who asked for the rest.
        let other = [StatusCode::SWITCHING_PROTOCOLS, StatusCode::RANGE_NOT_SATISFIABLE];
        if status.is_success() || other.contains(&status) {
            return Ok(response);
        }
        let body = collect(response.into_body()).await.unwrap_or_default();
        Err(problem::failure(status, &body))
    }

    /// Sends the request and reads the answer's JSON.
    ///
    /// # Errors
    /// As [`Self::open`]; or the answer breaks off, or is no JSON.
    pub(crate) async fn call(&self, call: Call) -> Result<Answer, Failure> {
        let response = self.open(call).await?;
        let etag = response.headers().get(header::ETAG).cloned();
        let bytes = collect(response.into_body()).await?;
        let body = serde_json::from_slice(&bytes).map_err(|error| incomprehensible(&error))?;
        Ok(Answer { etag, body })
    }

    /// Reads something that has this address.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(crate) async fn get(&self, target: Target) -> Result<Answer, Failure> {
        self.call(Call::get(target)).await
    }

    /// Reads a whole list, page by page.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(crate) async fn list(&self, target: Target) -> Result<Vec<Value>, Failure> {
        let mut all = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = target.clone().with_any("after", after.as_deref());
            let Page { items, next } = decode(self.get(page).await?.body)?;
            all.extend(items);
            // The same cursor again would be read for ever.
            if next.is_none() || next == after {
                return Ok(all);
            }
            after = next;
        }
    }

    /// Sends a body of any length, and reads the answer's JSON once it has arrived.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(crate) async fn upload<B>(&self, call: Call, body: B) -> Result<Value, Failure>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let response = self.exchange(call.into_request().map(|_| body)).await?;
        let status = response.status();
        let bytes = collect(response.into_body()).await?;
        if !status.is_success() {
            return Err(problem::failure(status, &bytes));
        }
        serde_json::from_slice(&bytes).map_err(|error| incomprehensible(&error))
    }

    async fn exchange<B>(&self, mut request: Request<B>) -> Result<Response<Incoming>, Failure>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        match &self.endpoint {
            Endpoint::Unix(socket) => {
                let stream = UnixStream::connect(socket)
                    .await
                    .map_err(|error| unreachable::failure(socket, &error))?;
                converse(stream, request).await
            }
            Endpoint::Tcp(remote) => {
                let (host, credential) = remote.headers();
                request.headers_mut().insert(header::HOST, host);
                if let Some(credential) = credential {
                    request.headers_mut().insert(header::AUTHORIZATION, credential.clone());
                }
                match remote.connect().await? {
                    Connected::Plain(stream) => converse(stream, request).await,
                    Connected::Tls(stream) => converse(*stream, request).await,
                }
            }
        }
    }
}

async fn converse<S, B>(stream: S, request: Request<B>) -> Result<Response<Incoming>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| broken_by_tls(&error))?;
    // Ends by itself when the answer has been read, or with the process.
    tokio::spawn(connection.with_upgrades());
    sender.send_request(request).await.map_err(|error| broken_by_tls(&error))
}

/// One page of a list.
#[derive(Deserialize)]
struct Page {
    items: Vec<Value>,
    #[serde(default)]
    next: Option<String>,
}

async fn collect(body: Incoming) -> Result<Bytes, Failure> {
    Ok(body.collect().await.map_err(|error| broken(&error))?.to_bytes())
}

/// Takes an answer, or a part of one, for what it should be.
///
/// # Errors
/// It is something else.
pub(crate) fn decode<T: DeserializeOwned>(value: Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|error| incomprehensible(&error))
}

pub(crate) fn incomprehensible(error: &serde_json::Error) -> Failure {
    Failure::new(Exit::Failed, "cannot read the daemon's answer")
        .because(error)
        .with_hint("are this program and the daemon of the same version? See inn version")
        .in_doubt()
}

/// The connection broke: the daemon has ended, or what listens there speaks no HTTP.
pub(crate) fn broken(error: &hyper::Error) -> Failure {
    Failure::new(Exit::Unreachable, "the connection to the daemon broke off")
        .because(error)
        .with_hint("if a change was asked for, it may have been made: see inn tasks --all")
        .in_doubt()
}
