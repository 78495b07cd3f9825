//! `inn nic list`, `add`, `remove`, `set`: the NICs of a VM, while it runs as well.

mod set;
mod show;

use super::{
    Context, VmArg, completion,
    create::free_name,
    dry_run::{self, DryRun},
};
use crate::{
    client::{Call, Target},
    failure::Failure,
    mutation::{Job, Waiting},
};
use clap::{Args, Subcommand};
use clap_complete::engine::ArgValueCompleter;
use innkeeper_model::{
    DeviceName,
    config::{Attachment, MacAddress, Nic, PublishedPort},
};
use serde_json::{Value, json};
use std::net::IpAddr;

#[derive(Debug, Subcommand)]
pub(super) enum NicCommand {
    /// List a VM's NICs, and how many more can be plugged in while it runs
    #[command(visible_alias = "ls")]
    List(VmArg),
    /// Give a VM one more NIC; it is plugged in at once where the VM is on
    Add(Add),
    /// Take a NIC out, as soon as the guest has let go of it where the VM is on
    #[command(visible_alias = "rm")]
    Remove(Remove),
    /// Change a NIC at once: another network, its cable, its rates, its published ports
    Set(set::Set),
}

#[derive(Debug, Args)]
pub(super) struct Add {
    #[command(flatten)]
    vm: VmArg,
    /// What it is connected to: a network, user for one that only reaches the outside, or none
    #[arg(add = ArgValueCompleter::new(completion::attachments))]
    network: Attachment,
    /// Its name in the VM; the first of nic0, nic1, ... that is free, if nothing is said
    #[arg(long)]
    name: Option<DeviceName>,
    /// Its hardware address
    #[arg(long, value_name = "MAC")]
    mac: Option<MacAddress>,
    /// The address that its guest gets (can be repeated, for IPv4 and IPv6)
    #[arg(long)]
    address: Vec<IpAddr>,
    /// A port of the host that leads to one of the guest: 8080:80, 127.0.0.1:8080:80, 5353:53/udp (can be
    /// repeated)
    #[arg(long, value_name = "[ADDRESS:]PORT:PORT[/udp]")]
    publish: Vec<PublishedPort>,
    /// The most that goes to the guest, in kbit/s
    #[arg(long, value_name = "RATE")]
    in_kbit: Option<u32>,
    /// The most that comes from it, in kbit/s
    #[arg(long, value_name = "RATE")]
    out_kbit: Option<u32>,
    #[command(flatten)]
    planning: DryRun,
    #[command(flatten)]
    waiting: Waiting,
}

/// One NIC of one VM.
#[derive(Debug, Args)]
struct NicArg {
    #[command(flatten)]
    vm: VmArg,
    /// The NIC: its name in the VM
    #[arg(value_name = "NIC", add = ArgValueCompleter::new(completion::nic_names))]
    nic: DeviceName,
}

#[derive(Debug, Args)]
pub(super) struct Remove {
    #[command(flatten)]
    nic: NicArg,
    #[command(flatten)]
    planning: DryRun,
    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(context: &Context, command: NicCommand) -> Result<(), Failure> {
    match command {
        NicCommand::List(vm) => show::list(context, &vm.vm).await,
        NicCommand::Add(nic) => add(context, nic).await,
        NicCommand::Remove(nic) => remove(context, nic).await,
        NicCommand::Set(set) => set::run(context, set).await,
    }
}

impl NicArg {
    fn target(&self, context: &Context) -> Target {
        let target = Target::vm(&self.vm.vm).segment("nics").segment(&self.nic);
        target.with_any("project", context.project.as_deref())
    }

    /// What is done to it.
    fn job(self, context: &Context, call: Call, done: &'static str) -> Job {
        context.job(&self.vm.vm, call, done)
    }
}

async fn add(context: &Context, add: Add) -> Result<(), Failure> {
    let vm = add.vm.vm;
    let name = match add.name {
        Some(name) => name.to_string(),
        None => {
            let body = context.client.get(context.vm(&vm)).await?.body;
            let nics = body["spec"]["config"]["nics"].as_array().cloned().unwrap_or_default();
            free_name(&nics, "nic", 0)
        }
    };
    let mut nic = json!({ "name": name, "network": add.network });
    let rate = rate(&[("in_kbit", &add.in_kbit), ("out_kbit", &add.out_kbit)]);
    for (key, value) in [
        ("mac", json!(add.mac)),
        ("addresses", json!(add.address)),
        ("publish", json!(add.publish)),
        ("rate", rate),
    ] {
        let says_nothing = value.is_null()
            || value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(serde_json::Map::is_empty);
        if !says_nothing {
            nic[key] = value;
        }
    }
    let call = Call::post(context.of_vm(&vm, "nics")).with_body(nic);
    let jobs = vec![context.job(&vm, call, "NIC added")];
    dry_run::carry_out(context, add.planning, add.waiting, jobs).await
}

/// The rates of which something is said.
fn rate<T: serde::Serialize>(said: &[(&str, &Option<T>)]) -> Value {
    let said =
        said.iter().filter_map(|(key, rate)| Some(((*key).to_owned(), json!(rate.as_ref()?))));
    Value::Object(said.collect())
}

async fn remove(context: &Context, remove: Remove) -> Result<(), Failure> {
    let call = Call::delete(remove.nic.target(context));
    let job = remove.nic.job(context, call, "NIC taken out");
    dry_run::carry_out(context, remove.planning, remove.waiting, vec![job]).await
}

/// A VM's NICs, as the daemon shows them.
fn nics(body: &Value) -> Result<Vec<Nic>, Failure> {
    crate::client::decode(body["spec"]["config"].get("nics").cloned().unwrap_or_else(|| json!([])))
}
