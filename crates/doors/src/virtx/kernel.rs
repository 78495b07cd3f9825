//! What the kernel says of this host: files, and what is in them. What cannot be read is not set.

use super::wire::{Cpuarch, Cpudef, Sysinfo};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// What does not change while the daemon runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Description {
    pub(super) cpuarch: Cpuarch,
    pub(super) cpudef: Cpudef,
    /// How fast a CPU is at most, in MHz.
    pub(super) mhz: u64,
    /// In Hz; 0 where the kernel does not say.
    pub(super) tscfreq: i64,
    pub(super) sysinfo: Sysinfo,
    pub(super) osid: String,
    pub(super) osv: String,
}

impl Description {
    /// Reads it.
    pub(super) fn read() -> Self {
        let cpuinfo = read("/proc/cpuinfo");
        let system = read("/etc/os-release");
        let cpu = Path::new("/sys/devices/system/cpu/cpu0");
        let kilohertz = |file: &str| read(cpu.join(file)).trim().parse::<u64>().ok();
        let mhz = kilohertz("cpufreq/cpuinfo_max_freq").map(|frequency| frequency / 1000);
        let tsc = kilohertz("tsc_freq_khz").unwrap_or_default().saturating_mul(1000);
        Self {
            cpuarch: Cpuarch { arch: std::env::consts::ARCH.to_owned(), vendor: vendor(&cpuinfo) },
            cpudef: cpudef(&cpuinfo, nodes()),
            mhz: mhz.unwrap_or_else(|| mhz_now(&cpuinfo)),
            tscfreq: i64::try_from(tsc).unwrap_or(i64::MAX),
            sysinfo: Sysinfo { version: firmware("bios_version"), date: firmware("bios_date") },
            osid: of_system(&system, "ID"),
            osv: of_system(&system, "VERSION_ID"),
        }
    }

    /// How many CPUs it has.
    pub(super) fn cpus(&self) -> u64 {
        let Cpudef { nodes, sockets, cores, threads, .. } = &self.cpudef;
        let counts = [nodes, sockets, cores, threads];
        counts.into_iter().map(|count| u64::try_from(*count).unwrap_or_default()).product()
    }
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn firmware(file: &str) -> String {
    read(Path::new("/sys/class/dmi/id").join(file)).trim().to_owned()
}

/// How many NUMA nodes there are.
fn nodes() -> usize {
    let Ok(entries) = fs::read_dir("/sys/devices/system/node") else { return 1 };
    let is_node = |name: &str| {
        let number = name.strip_prefix("node");
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    };
    let nodes = entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_node));
    nodes.count().max(1)
}

/// The first value of a key of `/proc/cpuinfo`.
fn of_cpu<'a>(cpuinfo: &'a str, key: &str) -> Option<&'a str> {
    values(cpuinfo, key).next()
}

fn values<'a>(cpuinfo: &'a str, key: &str) -> impl Iterator<Item = &'a str> {
    let pairs = cpuinfo.lines().filter_map(|line| line.split_once(':'));
    pairs.filter(move |(name, _)| name.trim() == key).map(|(_, value)| value.trim())
}

/// Who made its CPUs, by libvirt's name.
fn vendor(cpuinfo: &str) -> String {
    match of_cpu(cpuinfo, "vendor_id").unwrap_or_default() {
        "AuthenticAMD" => "AMD",
        "GenuineIntel" => "Intel",
        other => other,
    }
    .to_owned()
}

fn mhz_now(cpuinfo: &str) -> u64 {
    let text = of_cpu(cpuinfo, "cpu MHz").and_then(|text| text.split('.').next());
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Its CPUs: sockets of a node, cores of a socket, threads of a core. Where they are not alike, as many
/// sockets of one core as there are CPUs.
fn cpudef(cpuinfo: &str, nodes: usize) -> Cpudef {
    let model = of_cpu(cpuinfo, "model name").unwrap_or_default().to_owned();
    let cpus = values(cpuinfo, "processor").count();
    let mut sockets = BTreeSet::new();
    let mut cores = BTreeSet::new();
    for cpu in cpuinfo.split("\n\n") {
        let socket = of_cpu(cpu, "physical id");
        let core = of_cpu(cpu, "core id");
        sockets.extend(socket);
        cores.extend(core.map(|core| (socket, core)));
    }
    let split = [
        nodes,
        sockets.len() / nodes,
        cores.len() / sockets.len().max(1),
        cpus / cores.len().max(1),
    ];
    let is_whole = split.into_iter().product::<usize>() == cpus;
    let [nodes, sockets, cores, threads] = if is_whole { split } else { [1, cpus, 1, 1] }
        .map(|n| i16::try_from(n).unwrap_or(i16::MAX));
    Cpudef { model, nodes, sockets, cores, threads }
}

/// A value of `/etc/os-release`, without its quotes.
fn of_system(release: &str, key: &str) -> String {
    let mut pairs = release.lines().filter_map(|line| line.split_once('='));
    let found = pairs.find(|(name, _)| *name == key).map(|(_, value)| value.trim());
    found.unwrap_or_default().trim_matches(['"', '\'']).to_owned()
}

/// What changes all the time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) memory: Memory,
    /// How long its CPUs have worked, in ticks.
    pub(super) busy: u64,
    /// What each process that was asked about has had.
    pub(super) processes: BTreeMap<u32, Process>,
}

/// Its memory, in MiB.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Memory {
    /// All but huge pages.
    pub(super) total: u64,
    /// What could be had, what the kernel keeps of files included.
    pub(super) available: u64,
    pub(super) huge_total: u64,
    pub(super) huge_free: u64,
}

/// What a process has had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Process {
    /// In MiB.
    pub(super) resident: u64,
    /// In ticks.
    pub(super) busy: u64,
}

/// How many ticks a second has: the same for every program on Linux (`USER_HZ`, time(7)).
pub(super) const TICKS: u64 = 100;

impl Use {
    /// Reads it, of these processes too.
    pub(super) fn read(processes: &[u32]) -> Self {
        let of_process = |pid: &u32| {
            let folder = Path::new("/proc").join(pid.to_string());
            process(&read(folder.join("status")), &read(folder.join("stat")))
                .map(|process| (*pid, process))
        };
        Self {
            memory: memory(&read("/proc/meminfo")),
            busy: busy(&read("/proc/stat")),
            processes: processes.iter().filter_map(of_process).collect(),
        }
    }
}

/// What is in `/proc/meminfo`.
fn memory(meminfo: &str) -> Memory {
    let number = |key: &str| {
        let value = of_cpu(meminfo, key)?;
        value.split(' ').next()?.parse::<u64>().ok()
    };
    let mebibytes = |key: &str| number(key).unwrap_or_default() / 1024;
    let pages = |key: &str| {
        let pages = number(key).unwrap_or_default();
        pages.saturating_mul(number("Hugepagesize").unwrap_or_default()) / 1024
    };
    let huge_total = pages("HugePages_Total");
    Memory {
        total: mebibytes("MemTotal").saturating_sub(huge_total),
        available: mebibytes("MemAvailable"),
        huge_total,
        huge_free: pages("HugePages_Free"),
    }
}

/// How long all CPUs have worked, by `/proc/stat`: everything but being idle, waiting for disks included, as
/// virtx counts it. (Its last two columns, guests' time, are in the first two already.)
fn busy(stat: &str) -> u64 {
    let columns = stat.lines().find_map(|line| line.strip_prefix("cpu ")).unwrap_or_default();
    let numbers =
        columns.split_ascii_whitespace().map(|text| text.parse::<u64>().unwrap_or_default());
    const IDLE: usize = 3;
    numbers.take(8).enumerate().filter(|(column, _)| *column != IDLE).map(|(_, ticks)| ticks).sum()
}

/// What is in `status` and `stat` of a process; `None` of one that is gone.
fn process(status: &str, stat: &str) -> Option<Process> {
    let resident = of_cpu(status, "VmRSS")?.split(' ').next()?.parse::<u64>().ok()?;
    // A program's name can hold anything, so what counts begins behind its last bracket, with the third.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11).map(|text| text.parse::<u64>().ok());
    let busy = times.next()?? + times.next()??;
    Some(Process { resident: resident / 1024, busy })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpus(rows: &[(u32, u32)]) -> String {
        let rows = rows.iter().enumerate().map(|(number, (socket, core))| {
            format!(
                "processor\t: {number}\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC\n\
                 cpu MHz\t\t: 2596.120\nphysical id\t: {socket}\ncore id\t\t: {core}\n"
            )
        });
        rows.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn cpus_are_sockets_of_a_node_cores_of_a_socket_and_threads_of_a_core() {
        let two_by_two = [(0, 0), (0, 0), (0, 1), (0, 1), (1, 0), (1, 0), (1, 1), (1, 1)];
        let counts = |rows: &[(u32, u32)], nodes| {
            let Cpudef { model, nodes, sockets, cores, threads } = cpudef(&cpus(rows), nodes);
            assert_eq!(model, "AMD EPYC");
            [nodes, sockets, cores, threads]
        };
        assert_eq!(counts(&two_by_two, 1), [1, 2, 2, 2]);
        assert_eq!(counts(&two_by_two, 2), [2, 1, 2, 2]);
        assert_eq!(counts(&two_by_two[..5], 1), [1, 5, 1, 1], "they are not alike");
        assert_eq!(vendor(&cpus(&two_by_two)), "AMD");
        assert_eq!(mhz_now(&cpus(&two_by_two)), 2596);
        assert_eq!(cpudef("", 1), Cpudef { nodes: 1, ..Cpudef::default() });
    }

    #[test]
    fn the_system_is_named_without_quotes() {
        let release = "PRETTY_NAME=\"Debian 12\"\nVERSION_ID=\"12\"\nID=debian\n";
        assert_eq!(
            (of_system(release, "ID"), of_system(release, "VERSION_ID")),
            ("debian".into(), "12".into())
        );
        assert_eq!(of_system("", "ID"), "");
    }

    #[test]
    fn memory_is_without_huge_pages() {
        let meminfo = "MemTotal:       24684100 kB\nMemFree:  1 kB\nMemAvailable:   10240 kB\n\
                       HugePages_Total:       4\nHugePages_Free:   1\nHugepagesize:       2048 kB\n";
        let expected = Memory { total: 24_105 - 8, available: 10, huge_total: 8, huge_free: 2 };
        assert_eq!(memory(meminfo), expected);
        assert_eq!(memory(""), Memory::default());
    }

    #[test]
    fn busy_is_all_but_idle_and_guests_count_once() {
        assert_eq!(busy("cpu  1 2 4 1000 8 16 32 64 9999 9999\ncpu0 7 7 7 7\n"), 127);
        assert_eq!(busy(""), 0);
    }

    #[test]
    fn a_process_may_be_called_anything() {
        let status = "Name:\tqemu\nVmRSS:\t    4096 kB\n";
        let stat = "7 (a ) 1 b) S 1 1 1 0 -1 4194304 1 0 0 0 30 12 0 0 20 0 1 0 5 6 7";
        assert_eq!(process(status, stat), Some(Process { resident: 4, busy: 42 }));
        assert_eq!(process("", ""), None);
    }

    #[test]
    fn this_host_says_something() {
        let host = Description::read();
        assert!(host.cpus() >= 1 && host.mhz > 0, "{host:?}");
        let now = Use::read(&[std::process::id(), u32::MAX]);
        assert!(now.memory.total > 0 && now.busy > 0, "{now:?}");
        assert_eq!(now.processes.len(), 1);
    }
}
