//! HTTP to a door of this host.

use crate::{
    client::{Lines, broken, incomprehensible},
    failure::{Exit, Failure},
};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use innkeeper_doors::Door;
use serde_json::Value;
use std::fmt::Write;
use tokio::net::TcpStream;

/// A door, as this process sees it.
#[derive(Debug)]
pub(in crate::cli) struct DoorClient {
    address: String,
    user_agent: String,
}

impl DoorClient {
    /// The door at this address, or at the one that the environment names, or at the usual one; to a
    /// caller of this name.
    pub(in crate::cli) fn new(address: Option<String>, name: &str) -> Self {
        let variable =
            || std::env::var("VMINFOD_ADDRESS").ok().filter(|address| !address.is_empty());
        let usual = || Door::Vminfod.usual_address().to_string();
        let address = address.or_else(variable).unwrap_or_else(usual);
        Self { address, user_agent: user_agent(name) }
    }

    /// Reads a document.
    ///
    /// # Errors
    /// The door is not open, refuses, or answers with something else.
    pub(in crate::cli) async fn get(&self, path: &str) -> Result<Value, Failure> {
        let body = self.open(path).await?.into_body();
        let bytes = body.collect().await.map_err(|error| broken(&error))?.to_bytes();
        serde_json::from_slice(&bytes).map_err(|error| incomprehensible(&error))
    }

    /// Reads an answer line by line.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(in crate::cli) async fn lines(&self, path: &str) -> Result<Lines, Failure> {
        Ok(Lines::of(self.open(path).await?.into_body()))
    }

    async fn open(&self, path: &str) -> Result<Response<Incoming>, Failure> {
        let stream = TcpStream::connect(&self.address).await.map_err(|error| {
            let message = format!("vminfod's door is not open at {}", self.address);
            Failure::new(Exit::Unreachable, message)
                .because(&error)
                .with_hint("inn serve --door vminfod=127.0.0.1:9090,anonymous=viewer")
        })?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
        // Ends by itself when the answer has been read, or with the process.
        tokio::spawn(connection);
        let request = Request::get(path)
            .header(header::HOST, &self.address)
            .header(header::USER_AGENT, &self.user_agent)
            .body(Empty::<Bytes>::new())
            .map_err(|error| Failure::usage("not an address").because(&error))?;
        let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        let body = response.into_body().collect().await.map_err(|error| broken(&error))?;
        Err(Failure::new(Exit::Failed, String::from_utf8_lossy(&body.to_bytes())))
    }
}

/// `NAME - HOST/PID (PROGRAM)`, with nothing in it that a header cannot hold.
fn user_agent(name: &str) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let pid = std::process::id();
    let agent = format!("{name} - {}/{pid} (inn)", host.trim());
    agent.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}

/// A text as a part of a path or query, which it stays whatever is in it.
pub(in crate::cli) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') {
            escaped.push(byte.into());
        } else {
            write!(escaped, "%{byte:02X}").expect("a string takes any text");
        }
    }
    escaped
}
