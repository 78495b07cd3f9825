//! What a VM uses. Rates are between two looks of this door's callers; nothing looks by itself.

use super::{
    definition::clamped,
    wire::{OplogList, Vmstats},
};
use innkeeper_model::{ByteSize, Statistics, Vm, VmId};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// The most VMs whose last look is kept; beyond it, that which is longest ago is forgotten.
const MAX_LOOKS: usize = 4096;

/// When each VM was looked at last, and what was seen.
#[derive(Debug, Default)]
pub(super) struct Looks(Mutex<HashMap<VmId, Look>>);

/// Counters at one time.
#[derive(Debug, Clone, Copy)]
struct Look {
    /// In milliseconds since 1970.
    at: i64,
    cpu_ms: u64,
    received: u64,
    sent: u64,
}

/// What is used in a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Rates {
    /// In percent of one CPU.
    cpu: u64,
    /// In KiB.
    received: u64,
    /// In KiB.
    sent: u64,
}

impl Looks {
    /// What a VM uses; `figures` are absent where it does not run, or nobody can tell.
    pub(super) fn stats(
        &self,
        vm: &Vm,
        figures: Option<&Statistics>,
        mhz: u64,
        oplog: OplogList,
    ) -> Vmstats {
        let rates = figures.map(|figures| self.look(vm.id, Look::of(figures))).unwrap_or_default();
        let sum = |size: fn(&innkeeper_model::DiskFacts) -> ByteSize| {
            mebibytes(ByteSize(vm.disks.iter().map(|disk| size(disk).0).sum()))
        };
        let allocated = sum(|disk| disk.allocated);
        Vmstats {
            cpu_utilization: clamped(rates.cpu),
            mhz_used: clamped(rates.cpu.saturating_mul(mhz) / 100),
            memory_capacity: vm.size().map_or(0, |(_, memory)| saturated(memory.0)),
            memory_used: figures.map_or(0, |figures| mebibytes(figures.memory_resident)),
            disk_capacity: sum(|disk| disk.virtual_size),
            disk_allocation: allocated,
            disk_physical: allocated,
            net_rx_bw: clamped(rates.received),
            net_tx_bw: clamped(rates.sent),
            oplog,
        }
    }

    fn look(&self, vm: VmId, now: Look) -> Rates {
        // Counters are whole after any panic.
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = looks.insert(vm, now);
        if looks.len() > MAX_LOOKS {
            let oldest = looks.iter().min_by_key(|(_, look)| look.at).map(|(vm, _)| *vm);
            oldest.and_then(|oldest| looks.remove(&oldest));
        }
        before.map(|before| now.since(before)).unwrap_or_default()
    }
}

impl Look {
    fn of(figures: &Statistics) -> Self {
        Self {
            at: figures.at.as_millisecond(),
            cpu_ms: figures.cpu_time_ms,
            received: figures.nics.iter().map(|nic| nic.received_bytes).sum(),
            sent: figures.nics.iter().map(|nic| nic.sent_bytes).sum(),
        }
    }

    /// What was used since another look. Counters begin at zero with each machine, so one that is less than
    /// before counts from there.
    fn since(self, before: Self) -> Rates {
        let Ok(elapsed @ 1..) = u64::try_from(self.at.saturating_sub(before.at)) else {
            return Rates::default();
        };
        let grown = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
        let kibibytes = |now, before| grown(now, before).saturating_mul(1000) / elapsed / 1024;
        Rates {
            cpu: grown(self.cpu_ms, before.cpu_ms).saturating_mul(100) / elapsed,
            received: kibibytes(self.received, before.received),
            sent: kibibytes(self.sent, before.sent),
        }
    }
}

/// A size in MiB; what is begun counts.
fn mebibytes(size: ByteSize) -> i64 {
    saturated(size.0.div_ceil(1 << 20))
}

fn saturated(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Look = Look { at: 1_000, cpu_ms: 500, received: 0, sent: 1 << 20 };

    #[test]
    fn a_rate_is_what_grew_by_the_time_between() {
        let next = Look { at: 3_000, cpu_ms: 3_500, received: 4 << 10, sent: (1 << 20) + 2048 };
        assert_eq!(next.since(FIRST), Rates { cpu: 150, received: 2, sent: 1 });
        assert_eq!(FIRST.since(FIRST), Rates::default(), "no time has passed");
        let again = Look { at: 2_000, cpu_ms: 100, received: 1024, sent: 0 };
        assert_eq!(again.since(FIRST), Rates { cpu: 10, received: 1, sent: 0 }, "another machine");
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_oldest_goes() {
        let looks = Looks::default();
        let ids: Vec<VmId> = (0..=MAX_LOOKS).map(|_| VmId::new()).collect();
        for (index, id) in ids.iter().enumerate() {
            let at = i64::try_from(index).unwrap();
            assert_eq!(looks.look(*id, Look { at, ..FIRST }), Rates::default());
        }
        let kept = looks.0.lock().unwrap();
        assert_eq!(kept.len(), MAX_LOOKS);
        assert!(!kept.contains_key(&ids[0]) && kept.contains_key(&ids[1]));
    }
}
