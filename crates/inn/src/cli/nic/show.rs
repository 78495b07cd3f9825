//! `inn nic list`.

use super::nics;
use crate::{
    cli::{Context, room},
    client::decode,
    failure::Failure,
    output::{Cell, Format, Table, Tint},
};
use innkeeper_model::{
    GuestAddress, Vm,
    config::{Nic, RateLimit},
};
use serde_json::{Value, json};

pub(super) async fn list(context: &Context, name: &str) -> Result<(), Failure> {
    let output = &context.output;
    let body = context.client.get(context.vm(name)).await?.body;
    let nics = nics(&body)?;
    let vm: Vm = decode(body)?;
    match output.format {
        Format::Json | Format::Yaml => {
            let shown: Vec<Value> = nics.iter().map(|nic| document(nic, &vm)).collect();
            return output.document(&shown);
        }
        Format::Name => return nics.iter().try_for_each(|nic| output.line(&nic.name)),
        Format::Table => {}
    }
    if nics.is_empty() {
        output.talk(format_args!("{} has no NICs; inn nic add gives it one", vm.name));
    } else {
        output.table(&table(&nics, &vm))?;
    }
    if let Some(spec) = &vm.spec {
        output.talk(room::of(spec, &vm));
    }
    Ok(())
}

/// A NIC as its document has it, with what was chosen for it and what is known of its guest's addresses.
fn document(nic: &Nic, vm: &Vm) -> Value {
    let mut document = json!(nic);
    if let Some(mac) = mac(nic, vm) {
        document["mac"] = mac.into();
    }
    let known = addresses(nic, vm);
    document["addresses"] = known.map(|known| json!(known)).collect();
    document
}

fn table(nics: &[Nic], vm: &Vm) -> Table {
    let headings = ["NAME", "NETWORK", "MAC", "ADDRESSES", "CABLE", "IN", "OUT", "PUBLISHED"];
    let mut table = Table::new(headings);
    for nic in nics {
        let known = addresses(nic, vm).map(|known| {
            let source = serde_json::to_value(known.source).unwrap_or_default();
            format!("{} ({})", known.address, source.as_str().unwrap_or_default())
        });
        let published = nic.publish.iter().map(ToString::to_string);
        let RateLimit { in_kbit, out_kbit } = nic.rate;
        table.row([
            nic.name.as_str().into(),
            nic.network.to_string().into(),
            mac(nic, vm).unwrap_or_default().into(),
            listed(known).into(),
            if nic.connected { "in".into() } else { Cell::tinted("out", Tint::Bad) },
            kbit(in_kbit).into(),
            kbit(out_kbit).into(),
            listed(published).into(),
        ]);
    }
    table
}

fn listed(of: impl Iterator<Item = String>) -> String {
    let list: Vec<_> = of.collect();
    if list.is_empty() { "-".into() } else { list.join(", ") }
}

fn kbit(rate: Option<u32>) -> String {
    rate.map_or_else(|| "-".into(), |rate| format!("{rate} kbit/s"))
}

fn mac(nic: &Nic, vm: &Vm) -> Option<String> {
    let chosen = || vm.spec.as_ref()?.assigned.macs.get(nic.name.as_str()).copied();
    nic.mac.or_else(chosen).map(|mac| mac.to_string())
}

fn addresses<'a>(nic: &'a Nic, vm: &'a Vm) -> impl Iterator<Item = &'a GuestAddress> {
    vm.addresses.iter().filter(|known| known.nic.as_ref() == Some(&nic.name))
}
