//! Which kind of thing a document describes: it says so, or is told by a field that only such a thing has.

use crate::{document::Document, failure::Failure};
use serde_json::{Map, Value};

/// What is described.
#[derive(Debug, PartialEq)]
pub(super) enum Described {
    Vm(Document),
    /// With the configurations of its subnets under `subnets`.
    Network(Map<String, Value>),
    /// With its network's name under `network`.
    Subnet(Map<String, Value>),
}

/// The fields that only networks have.
const OF_NETWORKS: [&str; 6] = ["subnets", "bridge", "nat", "vlan", "mtu", "isolated"];

impl Described {
    /// Tells a document's kind.
    ///
    /// # Errors
    /// It is none, or several documents.
    pub(super) fn of(value: Value) -> Result<Self, Failure> {
        let mut fields = match value {
            Value::Array(mut several) if several.len() == 1 => return Self::of(several.remove(0)),
            Value::Object(fields) => fields,
            value => return Document::of(value).map(Self::Vm),
        };
        let kind = match fields.remove("kind") {
            Some(Value::String(kind)) => kind,
            Some(kind) => return Err(unknown(&kind.to_string())),
            None => by_shape(&fields).to_owned(),
        };
        match kind.as_str() {
            "vm" => Document::of(fields.into()).map(Self::Vm),
            "network" => Ok(Self::Network(network(fields))),
            "subnet" => Ok(Self::Subnet(subnet(fields))),
            kind => Err(unknown(kind)),
        }
    }
}

fn unknown(kind: &str) -> Failure {
    Failure::usage(format!("kind: {kind} is none; there are vm, network and subnet"))
}

fn by_shape(fields: &Map<String, Value>) -> &'static str {
    // A whole subnet has what was asked for in `config`, as a whole network has.
    let of_config =
        |key: &str| fields.get("config").is_some_and(|config| config.get(key).is_some());
    if fields.contains_key("range") || of_config("range") {
        "subnet"
    } else if OF_NETWORKS.iter().any(|key| fields.contains_key(*key)) {
        "network"
    } else {
        "vm"
    }
}

/// What was asked for, of a network as `inn network get` prints it, or as it was written.
fn network(mut fields: Map<String, Value>) -> Map<String, Value> {
    let Some(Value::Object(mut config)) = fields.remove("config") else { return fields };
    if let Some(Value::Array(subnets)) = fields.remove("subnets") {
        let asked = subnets.into_iter().map(|mut subnet| match subnet.get_mut("config") {
            Some(config) => config.take(),
            None => subnet,
        });
        config.insert("subnets".into(), asked.collect());
    }
    config
}

/// The same of a subnet.
fn subnet(mut fields: Map<String, Value>) -> Map<String, Value> {
    let Some(Value::Object(mut config)) = fields.remove("config") else { return fields };
    // The id under `network` is of the network that it was printed of, and of no other host's.
    if let Some(network) = fields.remove("network_name").or_else(|| fields.remove("network")) {
        config.insert("network".into(), network);
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(value: Value) -> Described {
        Described::of(value).unwrap()
    }

    #[test]
    fn a_kind_is_said_or_told_by_its_shape() {
        let fields = |value: Value| value.as_object().unwrap().clone();
        let vm = json!({"name": "web", "cpus": 2});
        assert_eq!(of(vm.clone()), Described::Vm(Document(fields(vm.clone()))));
        assert_eq!(of(json!([vm])), Described::Vm(Document(fields(vm))));
        for lan in [
            json!({"name": "lan", "isolated": true}),
            json!({"name": "lan", "subnets": [{"range": "10.0.0.0/24"}]}),
        ] {
            assert_eq!(of(lan.clone()), Described::Network(fields(lan)));
        }
        let plain = json!({"name": "lan"});
        let said = json!({"kind": "network", "name": "lan"});
        assert_eq!(of(said), Described::Network(fields(plain)));
        let range = json!({"range": "10.0.0.0/24", "network": "lan"});
        assert_eq!(of(range.clone()), Described::Subnet(fields(range)));
        for wrong in [json!({"kind": "house"}), json!({"kind": 1}), json!([]), json!("web")] {
            assert!(Described::of(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn of_what_is_printed_what_was_asked_for_is_taken() {
        let config = json!({"range": "10.0.0.0/24", "dhcp": false});
        let network = json!({
            "id": "1", "config": {"name": "lan", "isolated": false}, "bridge": "innb1",
            "subnets": [{"id": "2", "config": config, "reserved": 0}], "facts": {"up": true},
        });
        let expected = json!({"name": "lan", "isolated": false, "subnets": [config]});
        assert_eq!(of(network), Described::Network(expected.as_object().unwrap().clone()));
        let subnet = json!({
            "id": "2", "config": config, "network": "1", "network_name": "lan", "taken": 1,
        });
        let expected = json!({"range": "10.0.0.0/24", "dhcp": false, "network": "lan"});
        assert_eq!(of(subnet), Described::Subnet(expected.as_object().unwrap().clone()));
    }
}
