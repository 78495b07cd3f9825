//! The native API, as rows use it to bring about what they measure.

use crate::rig::http::{Address, Connection};
use anyhow::{Context, ensure};
use innkeeper_model::{MachineState, Network, Vm, VmConfig, VmId, config::Nic};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};

/// A connection that changes things and looks at them.
#[derive(Debug)]
pub(crate) struct Api {
    connection: Connection,
}

impl Api {
    pub(crate) fn open(address: &Address) -> anyhow::Result<Self> {
        Ok(Self { connection: Connection::open(address)? })
    }

    /// Reads something.
    pub(crate) fn get<T: DeserializeOwned>(&mut self, path: &str) -> anyhow::Result<T> {
        let body = self.ask("GET", path, "")?;
        serde_json::from_slice(&body).with_context(|| format!("the answer to GET {path}"))
    }

    pub(crate) fn vm(&mut self, id: VmId) -> anyhow::Result<Vm> {
        self.get(&format!("/v1/vms/{id}"))
    }

    /// How many VMs there are that this query matches; without one, all.
    pub(crate) fn count(&mut self, query: &str) -> anyhow::Result<usize> {
        #[derive(serde::Deserialize)]
        struct List {
            items: Vec<IgnoredAny>,
        }
        let list: List = self.get(&format!("/v1/vms?{query}"))?;
        Ok(list.items.len())
    }

    /// Makes a VM, and waits until it is there.
    pub(crate) fn create(&mut self, config: &VmConfig) -> anyhow::Result<VmId> {
        let body = self.ask("POST", "/v1/vms", &serde_json::to_string(config)?)?;
        let answer: Value = serde_json::from_slice(&body)?;
        let id = answer["vm"]["id"].as_str().context("the answer names the VM")?;
        Ok(id.parse()?)
    }

    /// Does something to a VM, and waits until it is done.
    pub(crate) fn power(&mut self, id: VmId, verb: &str) -> anyhow::Result<()> {
        self.ask("POST", &format!("/v1/vms/{id}/{verb}"), "").map(|_| ())
    }

    /// Has something done to a VM, and does not wait for it.
    pub(crate) fn begin(&mut self, id: VmId, verb: &str) -> anyhow::Result<()> {
        let path = format!("/v1/vms/{id}/{verb}");
        let answer = self.connection.ask("POST", &path, "", "")?;
        ensure!(answer.status == 202, "POST {path}: {}", answer.status);
        Ok(())
    }

    /// Makes a network of one range, and says what its bridge is called.
    pub(crate) fn create_network(&mut self, name: &str, range: &str) -> anyhow::Result<String> {
        let network = json!({ "name": name, "subnets": [{ "range": range }] });
        self.ask("POST", "/v1/networks", &network.to_string())?;
        let network: Network = self.get(&format!("/v1/networks/{name}"))?;
        Ok(network.bridge.as_str().to_owned())
    }

    /// Adds a NIC to a VM, and does not wait for it.
    pub(crate) fn begin_nic(&mut self, id: VmId, nic: &Nic) -> anyhow::Result<()> {
        let path = format!("/v1/vms/{id}/nics");
        let (headers, body) = ("Content-Type: application/json\r\n", serde_json::to_string(nic)?);
        let answer = self.connection.ask("POST", &path, headers, &body)?;
        let text = || String::from_utf8_lossy(&answer.body).into_owned();
        ensure!(answer.status == 202, "POST {path}: {} {}", answer.status, text());
        Ok(())
    }

    /// Ends a VM if it runs.
    pub(crate) fn end(&mut self, id: VmId) -> anyhow::Result<()> {
        if self.vm(id)?.facts.machine == MachineState::Absent {
            return Ok(());
        }
        self.power(id, "kill")
    }

    /// Asks for something, and waits until it is done.
    pub(crate) fn ask(&mut self, method: &str, path: &str, body: &str) -> anyhow::Result<Vec<u8>> {
        let headers = "Prefer: wait=60\r\nContent-Type: application/json\r\n";
        let answer = self.connection.ask(method, path, headers, body)?;
        let done = matches!(answer.status, 200 | 201);
        let text = || String::from_utf8_lossy(&answer.body).into_owned();
        ensure!(done, "{method} {path}: {} {}", answer.status, text());
        Ok(answer.body)
    }
}
