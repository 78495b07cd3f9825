//! Asking an issuer for its keys: its description first, which says where they are, then them.
//!
//! Both come over TLS, or from this host, or over plain HTTP where the operator says so; no redirect is followed, no
//! more is read than such a document has, and no longer waited than somebody would.

use super::jwks::{BadKeys, Keys};
use reqwest::{Client, Response, StatusCode, Url, header::CACHE_CONTROL, redirect::Policy};
use serde::Deserialize;
use std::{net::IpAddr, time::Duration};

/// Where an issuer's description is, from its address.
const DESCRIPTION: &str = "/.well-known/openid-configuration";
/// The most bytes of a description, and of a set of keys.
const MAX_DOCUMENT: usize = 256 << 10;
/// How long each of the two may take.
const WITHIN: Duration = Duration::from_secs(5);

/// Why an issuer's keys are not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotFetched {
    #[error("it is not reached")]
    Http(#[source] reqwest::Error),
    #[error("{url} was answered with {status}")]
    Status { url: Url, status: StatusCode },
    #[error("{0} has more than {MAX_DOCUMENT} bytes")]
    TooLarge(Url),
    #[error("{0} is no description of an issuer")]
    NoDescription(Url, #[source] serde_json::Error),
    #[error("it describes the issuer {0:?}")]
    AnotherIssuer(String),
    #[error("its keys are at {address:?}: {problem}")]
    KeysElsewhere { address: String, problem: String },
    #[error("its keys are none")]
    Keys(#[from] BadKeys),
}

/// Keys, as they were fetched.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) keys: Keys,
    /// How long the issuer says that they can be kept.
    pub(super) max_age: Option<Duration>,
}

/// Where an issuer is asked.
#[derive(Debug)]
pub(super) struct Source {
    /// As `iss` has it.
    issuer: String,
    description: Url,
    allow_http: bool,
}

#[derive(Deserialize)]
struct Description {
    issuer: String,
    jwks_uri: String,
}

impl Source {
    /// The issuer that calls itself this and is there.
    pub(super) fn new(issuer: &str, address: &Url, allow_http: bool) -> Self {
        let mut description = address.clone();
        description.set_path(&format!("{}{DESCRIPTION}", address.path().trim_end_matches('/')));
        Self { issuer: issuer.into(), description, allow_http }
    }

    /// Asks for the keys.
    ///
    /// # Errors
    /// They are not there, or not in the way that they have to be.
    pub(super) async fn fetch(&self) -> Result<Fetched, NotFetched> {
        let client = client().map_err(NotFetched::Http)?;
        let (document, _) = get(&client, &self.description).await?;
        let Description { issuer, jwks_uri } = serde_json::from_slice(&document)
            .map_err(|error| NotFetched::NoDescription(self.description.clone(), error))?;
        if issuer != self.issuer {
            return Err(NotFetched::AnotherIssuer(issuer));
        }
        let (document, max_age) = get(&client, &self.keys_at(&jwks_uri)?).await?;
        Ok(Fetched { keys: Keys::parse(&document)?, max_age })
    }

    /// Where the keys are: no less safe than the issuer itself.
    fn keys_at(&self, address: &str) -> Result<Url, NotFetched> {
        let is_plain = self.description.scheme() == "http";
        let found = match Url::parse(address) {
            Ok(url) if url.scheme() == "http" && !is_plain => {
                Err("the issuer is found by TLS, and they are not".to_owned())
            }
            Ok(url) => is_safe(&url, self.allow_http).map(|()| url),
            Err(error) => Err(error.to_string()),
        };
        found.map_err(|problem| NotFetched::KeysElsewhere { address: address.into(), problem })
    }
}

/// Where an issuer is, if that is an address of one.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_address(issuer: &str, allow_http: bool) -> Result<Url, String> {
    let url = Url::parse(issuer).map_err(|error| error.to_string())?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it has a query or a fragment".into());
    }
    is_safe(&url, allow_http).map(|()| url)
}

fn is_safe(url: &Url, allow_http: bool) -> Result<(), String> {
    let Some(host) = url.host_str() else { return Err("it names no host".into()) };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it has a user name or a password in it".into());
    }
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let is_here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_here || allow_http => Ok(()),
        "http" => Err("it is not https, and anybody on the way could answer in its place".into()),
        _ => Err("it is neither https nor http".into()),
    }
}

/// A client that goes where it is sent and nowhere else. It is made for each time: it is needed once an hour, and
/// takes the host's certificates as they are then.
fn client() -> reqwest::Result<Client> {
    // The process has one provider of cryptography; it is set here only if nobody has yet.
    let _already_set = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("innkeeper/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .no_proxy()
        .timeout(WITHIN)
        .build()
}

/// A document, and how long it can be kept.
async fn get(client: &Client, url: &Url) -> Result<(Vec<u8>, Option<Duration>), NotFetched> {
    let failed = |error: reqwest::Error| NotFetched::Http(error.without_url());
    let mut response = client.get(url.clone()).send().await.map_err(failed)?;
    if response.status() != StatusCode::OK {
        return Err(NotFetched::Status { url: url.clone(), status: response.status() });
    }
    let too_large = || NotFetched::TooLarge(url.clone());
    if response.content_length().is_some_and(|length| length > MAX_DOCUMENT as u64) {
        return Err(too_large());
    }
    let max_age = max_age(&response);
    let mut document = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(failed)? {
        if document.len() + piece.len() > MAX_DOCUMENT {
            return Err(too_large());
        }
        document.extend_from_slice(&piece);
    }
    Ok((document, max_age))
}

/// What `Cache-Control` says of how long an answer can be kept.
fn max_age(response: &Response) -> Option<Duration> {
    let values = response.headers().get_all(CACHE_CONTROL).iter();
    let mut words = values.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    let seconds = words.find_map(|word| {
        let (name, value) = word.trim().split_once('=')?;
        name.eq_ignore_ascii_case("max-age").then(|| value.trim().parse().ok())?
    });
    seconds.map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_describes_itself_below_its_address() {
        for (issuer, expected) in [
            ("https://a.example", "https://a.example/.well-known/openid-configuration"),
            ("https://a.example/", "https://a.example/.well-known/openid-configuration"),
            ("https://a.example/r/b", "https://a.example/r/b/.well-known/openid-configuration"),
        ] {
            let source = Source::new(issuer, &check_address(issuer, false).unwrap(), false);
            assert_eq!(source.description.as_str(), expected);
        }
    }

    #[test]
    fn keys_are_no_less_safe_than_their_issuer() {
        let at = |issuer: &str, keys: &str| {
            let source = Source::new(issuer, &check_address(issuer, false).unwrap(), false);
            source.keys_at(keys).map(|url| url.to_string()).map_err(|refused| refused.to_string())
        };
        at("https://a.example", "https://keys.example/1").unwrap();
        at("http://127.0.0.1:9", "http://127.0.0.1:9/keys").unwrap();
        at("http://127.0.0.1:9", "https://keys.example/1").unwrap();
        for (issuer, keys) in [
            ("https://a.example", "http://keys.example/1"),
            ("https://a.example", "http://127.0.0.1/1"),
            ("http://127.0.0.1:9", "http://keys.example/1"),
            ("https://a.example", "file:///etc/passwd"),
            ("https://a.example", "/keys"),
        ] {
            assert!(at(issuer, keys).unwrap_err().contains(keys), "{keys}");
        }
    }
}
