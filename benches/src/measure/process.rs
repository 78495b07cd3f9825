//! What a process costs, as the kernel has it.

use anyhow::Context;
use std::{collections::BTreeMap, fs, io, time::Duration};

/// The processor time that a process has taken, threads that have ended included and children not.
pub(crate) fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    let mut clock = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both calls only write to the local they are given.
    let read = unsafe {
        match libc::clock_getcpuclockid(pid.try_into()?, &raw mut clock) {
            0 => libc::clock_gettime(clock, &raw mut time),
            error => anyhow::bail!(io::Error::from_raw_os_error(error)),
        }
    };
    anyhow::ensure!(read == 0, io::Error::last_os_error());
    Ok(Duration::new(time.tv_sec.try_into()?, time.tv_nsec.try_into()?))
}

/// The memory of a process that is resident, in bytes.
pub(crate) fn resident(pid: u32) -> anyhow::Result<u64> {
    in_status(pid, "VmRSS:")
}

/// What of that is no file's, in bytes: it does not grow by code that is run for the first time.
pub(crate) fn resident_data(pid: u32) -> anyhow::Result<u64> {
    in_status(pid, "RssAnon:")
}

fn in_status(pid: u32, name: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = number(&status, name).with_context(|| format!("a living process has its {name}"))?;
    Ok(kib * 1024)
}

/// How often each thread of a process has gone to sleep by itself, and so been woken up.
pub(crate) fn sleeps(pid: u32) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut sleeps = BTreeMap::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let folder = thread?.path();
        // A thread may end between the two readings.
        let Ok(status) = fs::read_to_string(folder.join("status")) else { continue };
        let name = status.lines().next().unwrap_or_default().replace("Name:\t", "");
        let thread = format!("{} {name}", folder.file_name().unwrap_or_default().display());
        sleeps.insert(thread, number(&status, "voluntary_ctxt_switches:").unwrap_or(0));
    }
    Ok(sleeps)
}

/// How often the threads of a process went to sleep between two readings.
pub(crate) fn sleeps_between(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> u64 {
    let since = |(thread, count): (&String, &u64)| count - before.get(thread).unwrap_or(&0);
    after.iter().map(since).sum()
}

fn number(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_costs_something() {
        let own = std::process::id();
        let before = cpu_time(own).unwrap();
        let mut work = 0_u64;
        while cpu_time(own).unwrap() < before + Duration::from_millis(5) {
            work = std::hint::black_box(work + 1);
        }
        assert!(resident(own).unwrap() > 1 << 16);
        assert!(!sleeps(own).unwrap().is_empty());
    }

    #[test]
    fn only_new_sleeps_count() {
        let reading = |counts: &[(&str, u64)]| {
            counts.iter().map(|(name, count)| ((*name).into(), *count)).collect()
        };
        let before = reading(&[("1 a", 5), ("2 b", 7)]);
        let after = reading(&[("1 a", 6), ("3 c", 2)]);
        assert_eq!(sleeps_between(&before, &after), 3);
    }
}
