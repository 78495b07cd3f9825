//! What a machine has used of its host: as `/proc` has it of the process, and QEMU of its devices. The
//! same for a machine that somebody else made, of which QEMU's own names are all that is known.
//!
//! What of it cannot be read is named and left out: a QEMU that does not answer uses its host still.

use crate::{
    foreign::Described,
    machine::Machine,
    proc::{cpu_time_ms, identity_of_pid, resident},
    qmp::commands::{BlockStatistics, CpuThread, QueryBlockstats, QueryCpusFast},
};
use innkeeper_model::{
    ByteSize, Code, Incarnation, MachineState, Refusal, Statistics, Timestamp,
    statistics::{DiskStatistics, NicStatistics, VcpuStatistics},
};
use std::{fs, io, time::Duration};

/// How long QEMU may take to say its part; it takes a millisecond.
const SAYS_WITHIN: Duration = Duration::from_secs(1);

/// Reads a machine's figures.
///
/// # Errors
/// Its process has ended.
pub(crate) async fn read(machine: &Machine) -> Result<Statistics, Refusal> {
    let mut missing = Vec::new();
    let (threads, blocks) = ask(machine, &mut missing).await;
    let incarnation = machine.incarnation();
    // Nothing here waits for a disk.
    let of_process = OfProcess::read(&incarnation, &threads, &mut missing).map_err(|error| {
        Refusal::new(Code::WrongState, "the machine's process has ended").caused_by(&error)
    })?;
    let OfProcess { cpu_time_ms, vcpus, memory_resident, nics } = of_process;
    let disks = blocks.iter().filter_map(|block| disk(block, &incarnation)).collect();
    let at = Timestamp::now();
    Ok(Statistics { at, cpu_time_ms, vcpus, memory_resident, disks, nics, missing })
}

/// QEMU's part.
async fn ask(
    machine: &Machine,
    missing: &mut Vec<String>,
) -> (Vec<CpuThread>, Vec<BlockStatistics>) {
    let asked = async {
        tokio::join!(machine.execute(&QueryCpusFast {}), machine.execute(&QueryBlockstats {}))
    };
    if machine.facts().machine != MachineState::Unresponsive
        && let Ok((threads, blocks)) = tokio::time::timeout(SAYS_WITHIN, asked).await
    {
        return (
            or_missing(threads, "virtual CPUs", missing),
            or_missing(blocks, "disks", missing),
        );
    }
    missing.push("virtual CPUs and disks: QEMU does not answer".into());
    Default::default()
}

fn or_missing<T>(answer: Result<Vec<T>, Refusal>, what: &str, missing: &mut Vec<String>) -> Vec<T> {
    answer.unwrap_or_else(|refusal| {
        missing.push(format!("{what}: {}", refusal.message));
        Vec::new()
    })
}

/// What `/proc` says of the process.
struct OfProcess {
    cpu_time_ms: u64,
    vcpus: Vec<VcpuStatistics>,
    memory_resident: ByteSize,
    nics: Vec<NicStatistics>,
}

impl OfProcess {
    fn read(
        incarnation: &Incarnation,
        threads: &[CpuThread],
        missing: &mut Vec<String>,
    ) -> io::Result<Self> {
        let identity = incarnation.process.ok_or(io::ErrorKind::NotFound)?;
        let read = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", identity.pid));
        let (stat, status) = (read("stat")?, read("status")?);
        let vcpu = |thread: &CpuThread| {
            let stat = read(&format!("task/{}/stat", thread.thread_id)).ok()?;
            Some(VcpuStatistics { index: thread.cpu_index, cpu_time_ms: cpu_time_ms(&stat)? })
        };
        let vcpus = threads.iter().filter_map(vcpu).collect();
        let interfaces = read("net/dev").unwrap_or_default();
        // What was read is of this process only if it is still there; one that has ended has no memory.
        let unreadable = || io::Error::from(io::ErrorKind::NotFound);
        if identity_of_pid(identity.pid)? != identity {
            return Err(unreadable());
        }
        let cpu_time_ms = cpu_time_ms(&stat).ok_or_else(unreadable)?;
        let memory_resident = resident(&status).ok_or_else(unreadable)?;
        let mut nics = Vec::new();
        for tap in Described::of(&incarnation.argv).taps {
            match nic(&interfaces, &tap) {
                Some(figures) => nics.push(figures),
                None => missing.push(format!("the NIC on {tap}: there is no such interface")),
            }
        }
        Ok(Self { cpu_time_ms, vcpus, memory_resident, nics })
    }
}

/// A line of `/proc/PID/net/dev`: what the host receives there its guest has sent.
fn nic(interfaces: &str, tap: &str) -> Option<NicStatistics> {
    let line = interfaces.lines().find_map(|line| {
        let (name, figures) = line.split_once(':')?;
        (name.trim() == tap).then_some(figures)
    })?;
    let figures: Vec<u64> =
        line.split_ascii_whitespace().filter_map(|it| it.parse().ok()).collect();
    let [sent_bytes, sent_packets, .., received_bytes, received_packets, _, _, _, _, _, _] =
        figures[..]
    else {
        return None;
    };
    let interface = tap.to_owned();
    Some(NicStatistics { interface, received_bytes, sent_bytes, received_packets, sent_packets })
}

/// A disk's figures, by the name that the VM has for it, else by what QEMU calls it. An empty drive and
/// what goes by no name at all is left out.
fn disk(block: &BlockStatistics, incarnation: &Incarnation) -> Option<DiskStatistics> {
    let node = block.node_name.as_deref().filter(|name| !name.is_empty());
    let of_vm = incarnation.block_nodes.iter().find(|(_, its)| Some(its.as_str()) == node);
    let other = [block.device.as_deref(), node, block.qdev.as_deref()];
    let other = || other.into_iter().flatten().find(|name| !name.is_empty());
    let name = of_vm.map(|(disk, _)| disk.as_str()).or_else(other)?;
    let counts = &block.stats;
    Some(DiskStatistics {
        name: name.to_owned(),
        read_bytes: counts.rd_bytes,
        written_bytes: counts.wr_bytes,
        reads: counts.rd_operations,
        writes: counts.wr_operations,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_receives_its_guest_has_sent() {
        let interfaces = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
  tap0: 5000      50    0    0    0     0          0         0     7000      70    0    1    0     0       0          0
";
        let found = nic(interfaces, "tap0").unwrap();
        assert_eq!((found.sent_bytes, found.sent_packets), (5000, 50));
        assert_eq!((found.received_bytes, found.received_packets), (7000, 70));
        assert_eq!(nic(interfaces, "tap"), None);
    }
}
