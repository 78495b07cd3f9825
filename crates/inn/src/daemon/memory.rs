//! How much of its own code stays mapped that only its start ran: of 23 MiB that a daemon without VMs had
//! resident then, 16 were code, and 2 were not the binary's or a library's.

use std::{fs, io, ops::Range, time::Duration};

/// How long a thread that waits for disks is kept for another wait: its stack and its cache go with it.
pub(super) const IDLE_THREADS_END_AFTER: Duration = Duration::from_millis(500);

/// When all that a start sets off has ended on a host with little to do: what runs is asked, networks are looked at.
const START_IS_OVER_AFTER: Duration = Duration::from_secs(5);

/// Lets go of the code that only a start ran: what came before the first request, and then what was set off meanwhile.
/// Once each, since what goes on is mapped again in no time.
pub(super) async fn let_go_after_start() {
    for after in [Duration::ZERO, START_IS_OVER_AFTER] {
        // Nobody tells of the end of each.
        tokio::time::sleep(after).await;
        if let Err(error) = let_go_of_code() {
            tracing::debug!(%error, "the code of the start stays mapped");
        }
    }
}

/// Unmaps the pages of the program's code, most of which only its start ran. What is called again is mapped
/// again, from the page cache, 16 pages at a time.
///
/// # Errors
/// The kernel does not say where the code is, or refuses. Nothing is worse than before.
fn let_go_of_code() -> io::Result<()> {
    let program = fs::read_link("/proc/self/exe")?;
    let maps = fs::read_to_string("/proc/self/maps")?;
    for code in code_of(&program.to_string_lossy(), &maps) {
        let start = std::ptr::with_exposed_provenance_mut(code.start);
        // SAFETY: the mapping is the program's own file, and nobody can have written to it: each page
        // is read from there again when it is next used.
        unsafe { rustix::mm::madvise(start, code.len(), rustix::mm::Advice::LinuxDontNeed)? };
    }
    Ok(())
}

/// Where this program's code is: the mappings of its file that can be run and not written (`proc_pid_maps(5)`).
fn code_of(program: &str, maps: &str) -> Vec<Range<usize>> {
    let code = |line: &str| {
        let (addresses, rest) = line.split_once(' ')?;
        let is_code = rest.starts_with("r-xp ") && rest.ends_with(&format!(" {program}"));
        let (start, end) = addresses.split_once('-').filter(|_| is_code)?;
        let address = |text| usize::from_str_radix(text, 16).ok();
        Some(address(start)?..address(end)?)
    };
    maps.lines().filter_map(code).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_what_is_run_and_not_written() {
        let maps = "\
            1000-2000 r--p 00000000 fe:00 7   /usr/bin/inn\n\
            2000-5000 r-xp 00001000 fe:00 7   /usr/bin/inn\n\
            5000-6000 rw-p 00004000 fe:00 7   /usr/bin/inn\n\
            7000-9000 r-xp 00001000 fe:00 8   /usr/lib/libc.so.6\n\
            9000-a000 r-xp 00000000 00:00 0   [vdso]\n";
        assert_eq!(code_of("/usr/bin/inn", maps), [Range { start: 0x2000, end: 0x5000 }]);
    }

    #[test]
    fn a_program_whose_code_was_let_go_runs_on() {
        let resident = || {
            let program = fs::read_link("/proc/self/exe").unwrap();
            let is_code = |line: &&str| {
                line.contains(" r-xp ") && line.ends_with(&*program.to_string_lossy())
            };
            let mappings = fs::read_to_string("/proc/self/smaps").unwrap();
            let mut of_code = mappings.lines().skip_while(|line| !is_code(line));
            let kib = of_code.find_map(|line| line.strip_prefix("Rss:")).unwrap();
            kib.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
        };
        let before = resident();
        let_go_of_code().unwrap();
        let after = resident();
        assert!(after < before, "{after} KiB of code after, {before} before");
    }
}
