//! The flags that connect a VM to networks, and the fields that they stand for.

use super::flags::{free_name, list};
use crate::{cli::completion, failure::Failure};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use innkeeper_model::config::PublishedPort;
use serde_json::{Map, Value, json};

#[derive(Debug, Args)]
pub(super) struct NicFlags {
    /// A network interface: the network it is on, user for one that only reaches the outside, or none;
    /// with more, such as lan,mac=52:54:00:12:34:56,address=10.87.0.5. Other keys: name, rate_in and
    /// rate_out in kbit/s (can be repeated)
    #[arg(
        long,
        value_name = "NETWORK[,KEY=VALUE,...]",
        value_parser = parse_nic,
        add = ArgValueCompleter::new(completion::attachments),
    )]
    nic: Vec<Map<String, Value>>,
    /// A port of the host that leads to one of the guest: 8080:80, 127.0.0.1:8080:80, 5353:53/udp; by way
    /// of the first network interface (can be repeated)
    #[arg(long, value_name = "[ADDRESS:]PORT:PORT[/udp]")]
    publish: Vec<PublishedPort>,
}

/// The keys of `--nic`.
const NIC_KEYS: [&str; 6] = ["network", "name", "mac", "address", "rate_in", "rate_out"];

fn parse_nic(text: &str) -> Result<Map<String, Value>, String> {
    let mut nic = Map::new();
    for (index, part) in text.split(',').enumerate() {
        let (key, value) = match part.split_once('=') {
            Some(pair) => pair,
            None if index == 0 => ("network", part),
            None => {
                return Err(format!("{part:?} says nothing: write KEY=VALUE after the network"));
            }
        };
        if value.is_empty() {
            return Err("write for example lan, or lan,address=10.87.0.5".into());
        }
        match key {
            "address" => {
                let addresses = nic.entry("addresses").or_insert_with(|| json!([]));
                addresses.as_array_mut().expect("it was made as a list").push(value.into());
                continue;
            }
            "rate_in" | "rate_out" => {
                let rate: u32 =
                    value.parse().map_err(|_| format!("{key} is a number of kbit/s"))?;
                let rates = nic.entry("rate").or_insert_with(|| json!({}));
                rates[format!("{}_kbit", &key["rate_".len()..])] = rate.into();
                continue;
            }
            _ if !NIC_KEYS.contains(&key) => {
                return Err(format!("a NIC has no {key:?}; it has {}", NIC_KEYS.join(", ")));
            }
            _ => {}
        }
        if nic.insert(key.into(), value.into()).is_some() {
            return Err(format!("{key} is there twice"));
        }
    }
    Ok(nic)
}

impl NicFlags {
    /// Writes what the flags say into the fields of a VM.
    ///
    /// # Errors
    /// The NICs of the file are no list, or there is none to publish ports by way of.
    pub(super) fn change(&self, fields: &mut Map<String, Value>) -> Result<(), Failure> {
        for nic in &self.nic {
            let mut nic = nic.clone();
            let nics = list(fields, "nics")?;
            let name = nic.entry("name").or_insert_with(|| free_name(nics, "nic", 0).into());
            nics.retain(|other| other["name"] != *name);
            nics.push(nic.into());
        }
        if self.publish.is_empty() {
            return Ok(());
        }
        let first = list(fields, "nics")?.first_mut().and_then(Value::as_object_mut);
        let first = first.ok_or_else(|| {
            Failure::usage("--publish needs a network interface, and the VM has none")
                .with_hint("say --nic user, or --nic NETWORK, as well")
        })?;
        let published = list(first, "publish")?;
        published.extend(self.publish.iter().map(|port| json!(port)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        flags: NicFlags,
    }

    fn nics(file: Value, line: &str) -> Result<Value, String> {
        let words = std::iter::once("create").chain(line.split_whitespace());
        let flags = Line::try_parse_from(words).map_err(|error| error.to_string())?.flags;
        let mut fields = file.as_object().unwrap().clone();
        flags.change(&mut fields).map_err(|failure| failure.to_string())?;
        Ok(fields.remove("nics").unwrap_or_default())
    }

    fn check(line: &str, expected: Value) {
        assert_eq!(nics(json!({}), line).unwrap(), expected, "{line}");
    }

    #[test]
    fn a_network_and_what_else_is_said_of_the_interface() {
        check("--nic lan", json!([{"name": "nic0", "network": "lan"}]));
        check("--nic name=up", json!([{"name": "up"}]));
        check(
            "--nic lan,mac=52:54:00:00:00:01,address=10.0.0.5,address=fd00::5,name=up --nic user",
            json!([
                {"name": "up", "network": "lan", "mac": "52:54:00:00:00:01",
                 "addresses": ["10.0.0.5", "fd00::5"]},
                {"name": "nic0", "network": "user"},
            ]),
        );
        check(
            "--nic lan,rate_in=1000,rate_out=64",
            json!([{"name": "nic0", "network": "lan", "rate": {"in_kbit": 1000, "out_kbit": 64}}]),
        );
    }

    #[test]
    fn ports_are_published_by_way_of_the_first_interface() {
        check(
            "--nic lan --nic user --publish 8080:80 --publish 127.0.0.1:53:53/udp",
            json!([
                {"name": "nic0", "network": "lan",
                 "publish": ["8080:80/tcp", "127.0.0.1:53:53/udp"]},
                {"name": "nic1", "network": "user"},
            ]),
        );
        let file = json!({"nics": [{"name": "a", "publish": ["1:1/tcp"]}]});
        let changed = nics(file, "--publish 2:2").unwrap();
        assert_eq!(changed, json!([{"name": "a", "publish": ["1:1/tcp", "2:2/tcp"]}]));
        assert!(nics(json!({}), "--publish 8080:80").unwrap_err().contains("--nic user"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "--nic lan,",
            "--nic lan,wan",
            "--nic lan,mac=",
            "--nic lan,colour=red",
            "--nic lan,network=wan",
            "--nic lan,rate_in=fast",
            "--publish 80",
            "--publish 0:80",
        ] {
            assert!(nics(json!({"nics": [{"name": "a"}]}), line).is_err(), "{line}");
        }
    }
}
