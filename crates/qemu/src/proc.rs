//! What the kernel says of a process: which it is, what it does, what it has used.

use innkeeper_model::{ByteSize, ProcessIdentity};
use rustix::process::Pid;
use std::io;
use tokio::net::UnixStream;

/// What a process's first thread does, as far as that says whether it can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activity {
    /// It runs, or waits for something to do.
    Able,
    /// It is in the kernel and cannot be interrupted, or somebody traces it: for a moment, most often.
    Stuck,
    /// Somebody has stopped it.
    Held,
}

/// The third field of proc_pid_stat(5).
pub(crate) fn activity(line: &str) -> Activity {
    match line.rsplit_once(") ").and_then(|(_, fields)| fields.bytes().next()) {
        Some(b'T') => Activity::Held,
        Some(b'D' | b't') => Activity::Stuck,
        _ => Activity::Able,
    }
}

/// The process that listens on the socket that this one is connected to: the one that bound it, whatever
/// its path has come to name since.
///
/// # Errors
/// It has ended, or is not to be seen from here.
pub(crate) fn listener(socket: &UnixStream) -> io::Result<ProcessIdentity> {
    let pid = socket.peer_cred()?.pid().and_then(|pid| u32::try_from(pid).ok());
    identity_of_pid(pid.ok_or(io::ErrorKind::NotFound)?)
}

/// Reads when a process started, which with its pid names it for certain.
pub(crate) fn identity_of(pid: Pid) -> io::Result<ProcessIdentity> {
    let pid = pid.as_raw_nonzero().get();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let start_ticks = start_ticks(&stat).ok_or(io::ErrorKind::InvalidData)?;
    Ok(ProcessIdentity { pid: pid.unsigned_abs(), start_ticks })
}

/// The same for a pid that was read somewhere.
///
/// # Errors
/// There is no such process, or the host refused to say.
pub(crate) fn identity_of_pid(pid: u32) -> io::Result<ProcessIdentity> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    identity_of(pid.ok_or(io::ErrorKind::NotFound)?)
}

/// Field 22 of proc_pid_stat(5). The second field, the program's name in brackets, may itself have
/// spaces and brackets, so fields are counted from the last bracket.
fn start_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// Fields 14 and 15 of proc_pid_stat(5), which counts in ticks.
pub(crate) fn cpu_time_ms(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    // SAFETY: it only asks a number.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    Some(ticks * 1000 / u64::try_from(per_second).ok().filter(|per_second| *per_second > 0)?)
}

/// `VmRSS:     1234 kB` of proc_pid_status(5).
pub(crate) fn resident(status: &str) -> Option<ByteSize> {
    let value = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes = value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?;
    Some(ByteSize(kibibytes << 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_says_nothing_of_what_it_does() {
        assert_eq!(activity("7 (a) T (b)) S 1 7 7 0"), Activity::Able);
        assert_eq!(activity("7 (qemu-system-x86) T 1 7"), Activity::Held);
        assert_eq!(activity("7 (qemu-system-x86) D 1 7"), Activity::Stuck);
    }

    #[tokio::test]
    async fn a_socket_is_of_the_process_that_listens_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let _listening = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let socket = UnixStream::connect(&path).await.unwrap();
        let this = identity_of_pid(std::process::id()).unwrap();
        assert_eq!(listener(&socket).unwrap(), this);
    }

    #[test]
    fn a_program_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 1";
        assert_eq!(start_ticks(stat), Some(4242));
    }

    #[test]
    fn a_process_with_an_odd_name_is_counted_right() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 0 0 0 120 30 0 0 20 0 1 0 4242 1 1";
        assert_eq!(cpu_time_ms(stat), Some(1500), "a tick is 10 ms on every Linux");
        assert_eq!(resident("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(ByteSize(2 << 20)));
    }
}
