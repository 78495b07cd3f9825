//! `inn stats`: what a running VM has used of the host.

use super::Context;
use crate::{
    client::decode,
    failure::Failure,
    figures::about,
    output::{Cell, Format, Table, Tint},
};
use innkeeper_model::{ByteSize, Statistics};
use std::time::Duration;

pub(super) async fn run(context: &Context, name: &str) -> Result<(), Failure> {
    let output = &context.output;
    let body = context.client.get(context.vm(name).segment("statistics")).await?.body;
    match output.format {
        Format::Json | Format::Yaml => output.document(&body),
        Format::Table | Format::Name => output.table(&table(&decode(body)?)),
    }
}

fn table(statistics: &Statistics) -> Table {
    let mut table = Table::of_fields();
    table.field("processor time", seconds(statistics.cpu_time_ms));
    for vcpu in &statistics.vcpus {
        table.field("  of which", format!("cpu {}: {}", vcpu.index, seconds(vcpu.cpu_time_ms)));
    }
    table.field("memory", about(statistics.memory_resident));
    for disk in &statistics.disks {
        let (read, written) =
            (about(ByteSize(disk.read_bytes)), about(ByteSize(disk.written_bytes)));
        let (reads, writes) = (disk.reads, disk.writes);
        let moved = format!("read {read} in {reads}, written {written} in {writes}");
        table.field("disk", format!("{}: {moved}", disk.name));
    }
    for nic in &statistics.nics {
        let (received, sent) =
            (about(ByteSize(nic.received_bytes)), about(ByteSize(nic.sent_bytes)));
        table.field("nic", format!("{}: received {received}, sent {sent}", nic.interface));
    }
    for missing in &statistics.missing {
        table.field("missing", Cell::tinted(missing.as_str(), Tint::Busy));
    }
    table
}

fn seconds(milliseconds: u64) -> String {
    format!("{:.2} s", Duration::from_millis(milliseconds).as_secs_f64())
}
