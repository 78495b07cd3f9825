//! From the meta-data of a seed to answers. Pure.
//!
//! It is YAML, and whoever made the VM may have written it. What cannot be read, or is not there, is as if
//! nothing had been written: a guest is told its VM's id and name then.

use super::{Peer, path::Item};
use serde_yaml_ng::Value;
use std::net::Ipv4Addr;

/// What of a seed's meta-data is told apart.
#[derive(Debug, Default)]
pub(super) struct MetaData {
    instance_id: Option<String>,
    local_hostname: Option<String>,
    public_keys: Vec<(String, String)>,
}

impl MetaData {
    pub(super) fn parse(text: &str) -> Self {
        let Ok(document) = serde_yaml_ng::from_str::<Value>(text) else { return Self::default() };
        let word = |key: &str| document.get(key).and_then(scalar);
        Self {
            instance_id: word("instance-id"),
            local_hostname: word("local-hostname").or_else(|| word("hostname")),
            public_keys: keys(document.get("public-keys").unwrap_or(&Value::Null)),
        }
    }

    /// The answer; `None` where there is no such thing.
    pub(super) fn answer(&self, item: Item, peer: &Peer, address: Ipv4Addr) -> Option<String> {
        let key = |number: usize| self.public_keys.get(number);
        match item {
            Item::List => {
                let mut list = "instance-id\nlocal-hostname\nlocal-ipv4".to_owned();
                if !self.public_keys.is_empty() {
                    list.push_str("\npublic-keys/");
                }
                Some(list)
            }
            Item::InstanceId => {
                Some(self.instance_id.clone().unwrap_or_else(|| peer.vm.to_string()))
            }
            Item::LocalHostname => {
                Some(self.local_hostname.clone().unwrap_or_else(|| peer.name.to_string()))
            }
            Item::LocalIpv4 => Some(address.to_string()),
            Item::PublicKeys if self.public_keys.is_empty() => None,
            Item::PublicKeys => {
                let lines = self.public_keys.iter().enumerate();
                let lines: Vec<_> =
                    lines.map(|(number, (name, _))| format!("{number}={name}")).collect();
                Some(lines.join("\n"))
            }
            Item::PublicKey(number) => key(number).map(|_| "openssh-key".into()),
            Item::OpenSshKey(number) => key(number).map(|(_, key)| key.clone()),
        }
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(word) => Some(word.to_string()),
        _ => None,
    }
}

/// Keys with their names: a text of one a line, a list of them, or any of both by name.
fn keys(value: &Value) -> Vec<(String, String)> {
    match value {
        Value::Mapping(named) => {
            let of = |(name, value): (&Value, &Value)| {
                let name = scalar(name).unwrap_or_default();
                let text = value.get("openssh-key").unwrap_or(value);
                plain_keys(text).into_iter().map(move |key| (name.clone(), key))
            };
            named.iter().flat_map(of).collect()
        }
        others => {
            let keys = plain_keys(others).into_iter().enumerate();
            keys.map(|(number, key)| (format!("key{number}"), key)).collect()
        }
    }
}

fn plain_keys(value: &Value) -> Vec<String> {
    let lines = |text: &str| -> Vec<String> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(str::to_owned).collect()
    };
    match value {
        Value::String(text) => lines(text),
        Value::Sequence(list) => list.iter().filter_map(Value::as_str).flat_map(lines).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use innkeeper_model::VmId;
    use uuid::Uuid;

    fn answers(text: &str, items: &[Item]) -> Vec<Option<String>> {
        let peer = Peer { vm: VmId::from_uuid(Uuid::nil()), name: "web".parse().unwrap() };
        let data = MetaData::parse(text);
        items.iter().map(|item| data.answer(*item, &peer, [10, 0, 0, 2].into())).collect()
    }

    #[test]
    fn a_guest_is_told_who_it_is() {
        let items = [Item::InstanceId, Item::LocalHostname, Item::LocalIpv4, Item::PublicKeys];
        let nil = Uuid::nil().to_string();
        let nobody = [Some(nil), Some("web".into()), Some("10.0.0.2".into()), None];
        for text in ["", "{", "- a", "instance-id: [1]", "\"instance-id\": &a [*a]"] {
            assert_eq!(answers(text, &items), nobody, "{text}");
        }
        let text = "instance-id: 42\nlocal-hostname: \"true\"\n";
        let told = answers(text, &items[..2]);
        assert_eq!(told, [Some("42".into()), Some("true".into())]);
        assert_eq!(answers("hostname: db", &items[1..2]), [Some("db".into())]);
    }

    #[test]
    fn keys_are_found_in_every_form_that_they_are_written_in() {
        let items = [
            Item::List,
            Item::PublicKeys,
            Item::PublicKey(1),
            Item::OpenSshKey(1),
            Item::OpenSshKey(2),
        ];
        for (text, names) in [
            ("public-keys: |\n  ssh-a A\n\n  ssh-b B\n", "0=key0\n1=key1"),
            ("public-keys: [ssh-a A, ssh-b B]", "0=key0\n1=key1"),
            ("public-keys: {mine: ssh-a A, hers: [ssh-b B]}", "0=mine\n1=hers"),
            ("public-keys: {mine: {openssh-key: ssh-a A}, hers: ssh-b B}", "0=mine\n1=hers"),
        ] {
            let told = answers(text, &items);
            assert!(told[0].as_ref().unwrap().ends_with("\npublic-keys/"), "{text}");
            assert_eq!(told[1].as_deref(), Some(names), "{text}");
            assert_eq!(told[2].as_deref(), Some("openssh-key"));
            assert_eq!(told[3].as_deref(), Some("ssh-b B"), "{text}");
            assert_eq!(told[4], None);
        }
    }
}
