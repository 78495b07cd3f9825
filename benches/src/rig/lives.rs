//! Lives of simulated VMs: each is made, started, stopped and deleted over the API, many at once.

use crate::rig::{crowd::Crowd, guest};
use innkeeper_model::VmId;
use std::time::{Duration, Instant};

/// How many operations a life is.
pub(crate) const OPERATIONS: usize = 4;

/// VMs that do not exist yet, and their names.
#[derive(Debug)]
pub(crate) struct Lives(Vec<(VmId, String)>);

impl Lives {
    /// So many.
    pub(crate) fn new(count: usize) -> anyhow::Result<Self> {
        let life = |number: usize| {
            let config = guest::empty(&format!("vm-{number:05}"))?;
            Ok((VmId::new(), serde_json::to_string(&config)?))
        };
        Ok(Self((0..count).map(life).collect::<anyhow::Result<_>>()?))
    }

    /// Has all of them live; says how long each of the operations took for all.
    pub(crate) fn live(&self, clients: &mut Crowd) -> anyhow::Result<[Duration; OPERATIONS]> {
        Ok([
            self.create(clients)?,
            self.start(clients)?,
            self.stop(clients)?,
            self.delete(clients)?,
        ])
    }

    pub(crate) fn create(&self, clients: &mut Crowd) -> anyhow::Result<Duration> {
        let create =
            |(id, config): &(VmId, String)| request("POST", &format!("/v1/vms?id={id}"), config);
        timed(|| clients.ask(self.0.iter().map(create), 201))
    }

    pub(crate) fn start(&self, clients: &mut Crowd) -> anyhow::Result<Duration> {
        self.each(clients, "POST", "/start")
    }

    pub(crate) fn stop(&self, clients: &mut Crowd) -> anyhow::Result<Duration> {
        self.each(clients, "POST", "/stop")
    }

    pub(crate) fn delete(&self, clients: &mut Crowd) -> anyhow::Result<Duration> {
        self.each(clients, "DELETE", "")
    }

    fn each(&self, clients: &mut Crowd, method: &str, verb: &str) -> anyhow::Result<Duration> {
        let one = |(id, _): &(VmId, String)| request(method, &format!("/v1/vms/{id}{verb}"), "");
        timed(|| clients.ask(self.0.iter().map(one), 200))
    }
}

fn timed(ask: impl FnOnce() -> anyhow::Result<Vec<Duration>>) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    ask()?;
    Ok(begun.elapsed())
}

/// A request that waits for its task's end.
pub(crate) fn request(method: &str, path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=60\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
