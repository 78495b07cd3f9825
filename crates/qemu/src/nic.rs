//! A NIC: what QEMU is told of it, on its command line or while it runs, and what stands of it in the
//! record of its machine. Pure.
//!
//! The record stays a command line that would make the machine as it is now, whatever was plugged in and
//! out since: a machine that takes its memory over is made from it.

use crate::{assign::nic_key, descriptors::Open, process::FIRST_DESCRIPTOR};
use innkeeper_model::{
    Code, DeviceName, Incarnation, Placement, Refusal, Spec,
    config::{Attachment, Nic, PublishedPort},
    network::Plug,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::net::IpAddr;

/// A NIC as QEMU is told of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NicParts {
    /// Its name in the VM.
    pub(crate) name: DeviceName,
    /// The host's side, without the descriptor that a tap has; absent where it is connected to nothing.
    pub(crate) backend: Option<Value>,
    /// The guest's side.
    pub(crate) device: Value,
    /// Its connection to a network of the host, where it has one.
    pub(crate) plug: Option<Plug>,
    /// Whether its cable is plugged in.
    pub(crate) connected: bool,
}

/// The id of a NIC's guest side.
pub(crate) fn device_id(nic: &DeviceName) -> String {
    format!("nic-{nic}")
}

/// The id of its host side.
pub(crate) fn backend_id(nic: &DeviceName) -> String {
    format!("net-{nic}")
}

impl NicParts {
    /// The parts of a NIC of a spec. `cut_off`: its private network, if that is what it is on, has no
    /// way out.
    ///
    /// # Errors
    /// It was never given an address on the bus.
    pub(crate) fn of(nic: &Nic, spec: &Spec, plugs: &[Plug]) -> Result<Self, Refusal> {
        // Without a user of its own for the VM no rule can keep its process from the host's
        // loopback; then the private network has no way out at all.
        let cut_off = spec.assigned.uid.is_none();
        // No boot ROM: nothing boots over the network, and firmware starts sooner.
        let mut device =
            json!({ "driver": "virtio-net-pci", "id": device_id(&nic.name), "romfile": "" });
        if let Some(mac) = spec.assigned.macs.get(nic.name.as_str()) {
            device["mac"] = mac.to_string().into();
        }
        let plug = plugs.iter().find(|plug| plug.nic == nic.name);
        let backend = match (&nic.network, plug) {
            (Attachment::User, _) => Some(user_network(nic, cut_off)),
            (Attachment::Network(_), Some(plug)) => {
                if let Some(mtu) = plug.mtu {
                    device["host_mtu"] = mtu.into();
                }
                Some(json!({ "type": "tap", "id": backend_id(&nic.name) }))
            }
            (Attachment::None, _) | (Attachment::Network(_), None) => None,
        };
        if backend.is_some() {
            device["netdev"] = backend_id(&nic.name).into();
        }
        let placement = spec.assigned.devices.get(&nic_key(&nic.name));
        let Some(Placement::Port(port)) = placement else {
            let message = format!("NIC {} was never given a port", nic.name);
            return Err(Refusal::new(Code::Internal, message));
        };
        device["bus"] = port_id(*port).into();
        let plug = plug.filter(|_| matches!(nic.network, Attachment::Network(_))).cloned();
        Ok(Self { name: nic.name.clone(), backend, device, plug, connected: nic.connected })
    }

    /// The host's side with the descriptor of its tap, by number or by the name that it was given under.
    pub(crate) fn backend_with(&self, descriptor: &str) -> Option<Value> {
        let mut backend = self.backend.clone()?;
        if self.plug.is_some() {
            backend["fd"] = descriptor.into();
        }
        Some(backend)
    }

    /// The port that it sits in.
    fn port(&self) -> Option<&str> {
        self.device["bus"].as_str()
    }

    /// The record of the machine with this NIC plugged in.
    pub(crate) fn added_to(&self, machine: &Incarnation) -> Result<Incarnation, Refusal> {
        let mut machine = self.removed_from(machine)?;
        let mut descriptor = String::new();
        if let Some(plug) = &self.plug {
            let mut opens = opens(&machine)?;
            descriptor = (FIRST_DESCRIPTOR as usize + opens.len()).to_string();
            opens.push(Open::Tap(self.name.clone()));
            machine.opens = Open::list_to_value(&opens);
            machine.plugs.push(plug.clone());
        }
        if let Some(backend) = self.backend_with(&descriptor) {
            machine.argv.extend(["-netdev".into(), backend.to_string()]);
        }
        machine.argv.extend(["-device".into(), self.device.to_string()]);
        Ok(machine)
    }

    /// The record of the machine without this NIC. The numbers of other descriptors stay as they are.
    pub(crate) fn removed_from(&self, machine: &Incarnation) -> Result<Incarnation, Refusal> {
        let mut machine = machine.clone();
        let ids = [device_id(&self.name), backend_id(&self.name)];
        let mut kept = Vec::with_capacity(machine.argv.len());
        let mut arguments = machine.argv.into_iter().peekable();
        while let Some(argument) = arguments.next() {
            let is_its = |value: &String| {
                let value: Option<Value> = serde_json::from_str(value).ok();
                let id = value.as_ref().and_then(|value| value["id"].as_str());
                id.is_some_and(|id| ids.iter().any(|of| of == id))
            };
            if matches!(argument.as_str(), "-device" | "-netdev")
                && arguments.next_if(is_its).is_some()
            {
                continue;
            }
            kept.push(argument);
        }
        machine.argv = kept;
        let mut opens = Open::list_from_value(&machine.opens).map_err(unreadable)?;
        for open in opens.iter_mut().filter(|open| **open == Open::Tap(self.name.clone())) {
            *open = Open::Nothing;
        }
        machine.opens = Open::list_to_value(&opens);
        machine.plugs.retain(|plug| plug.nic != self.name);
        Ok(machine)
    }

    /// Checks that a running machine has room for this NIC where its spec puts it.
    ///
    /// # Errors
    /// It has no such port, or something that the spec does not name any more is still in it.
    pub(crate) fn check_room(&self, machine: &Incarnation) -> Result<(), Refusal> {
        let port = self.port().unwrap_or_default();
        let devices = devices(machine);
        let ports = devices.iter().filter(|device| is_port(device)).count();
        if !devices.iter().any(|device| is_port(device) && device["id"] == port) {
            let message = format!("the running machine has no port left for NIC {}", self.name);
            return Err(Refusal::new(Code::OutOfCapacity, message)
                .at("nics")
                .with_limit(format!("{ports} ports"))
                .with_hint("set spare_ports with `inn edit`, then stop and start the VM"));
        }
        if let Some(other) = devices.iter().find(|device| device["bus"] == port) {
            let message = format!(
                "the port for NIC {} is still taken in the running machine, by {}",
                self.name,
                other["id"].as_str().unwrap_or("another device")
            );
            return Err(Refusal::new(Code::InUse, message)
                .at("nics")
                .with_hint("stop and start the VM: then it is made as its spec says"));
        }
        Ok(())
    }
}

/// The id of a hotplug port.
pub(crate) fn port_id(port: u8) -> String {
    format!("port{port}")
}

fn is_port(device: &Value) -> bool {
    device["driver"] == "pcie-root-port"
}

fn devices(machine: &Incarnation) -> Vec<Value> {
    let pairs = machine.argv.windows(2).filter(|pair| pair[0] == "-device");
    pairs.filter_map(|pair| serde_json::from_str(&pair[1]).ok()).collect()
}

/// Whether a machine has this NIC plugged in, by its record.
pub(crate) fn has(machine: &Incarnation, nic: &DeviceName) -> bool {
    let id = device_id(nic);
    devices(machine).iter().any(|device| device["id"] == id.as_str())
}

fn opens(machine: &Incarnation) -> Result<Vec<Open>, Refusal> {
    Open::list_from_value(&machine.opens).map_err(unreadable)
}

fn unreadable(error: serde_json::Error) -> Refusal {
    Refusal::new(Code::Internal, "the machine's record does not say what it has open")
        .caused_by(&error)
}

/// A private network of the QEMU's own, with ports of the host that lead into it.
fn user_network(nic: &Nic, cut_off: bool) -> Value {
    let forward = |port: &PublishedPort| {
        let address = match port.address {
            Some(IpAddr::V6(address)) => format!("[{address}]"),
            Some(IpAddr::V4(address)) => address.to_string(),
            None => String::new(),
        };
        json!({ "str": format!("{}:{address}:{}-:{}", port.protocol, port.host, port.guest) })
    };
    let mut backend = json!({ "type": "user", "id": backend_id(&nic.name), "restrict": cut_off });
    if !nic.publish.is_empty() {
        backend["hostfwd"] = nic.publish.iter().map(forward).collect();
    }
    backend
}
