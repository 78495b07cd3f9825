//! Processes that outlive the daemon: how one is started, named, watched and ended.
//!
//! std's `Command` cannot be used: a record with the child's pid must be on disk *before* the
//! program is executed, so that no crash of the daemon leaves a process that nobody knows. The
//! child therefore waits between fork and exec for a word from its parent, and ends if the parent
//! dies first.

use crate::proc::{Activity, activity, identity_of};
use innkeeper_model::ProcessIdentity;
use innkeeper_store::harm;
use rustix::{
    fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    io::{fcntl_dupfd_cloexec, pread},
    process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus},
};
use std::{
    ffi::{CString, NulError},
    fs::File,
    io::{self, Read, Write},
    path::Path,
};
use tokio::io::unix::AsyncFd;

/// The number that the first descriptor given to a child has there; the others follow.
pub(crate) const FIRST_DESCRIPTOR: RawFd = 3;

/// The most files that a child may have open: a QEMU with every disk and NIC that a VM can have, and its
/// sockets, needs a few hundred.
const MAX_FILES: libc::rlim_t = 4096;

/// What a child is started with.
#[derive(Debug)]
pub(crate) struct Spawn<'a> {
    /// The program and its arguments; the program is an absolute path.
    pub(crate) argv: &'a [String],
    /// The folder it starts in; it need not be able to reach it by name.
    pub(crate) folder: BorrowedFd<'a>,
    /// What it finds from [`FIRST_DESCRIPTOR`] on, in this order. It inherits nothing else.
    pub(crate) descriptors: Vec<OwnedFd>,
    /// Where its standard output and error go.
    pub(crate) output: OwnedFd,
    /// The user and group that it becomes, without other groups.
    pub(crate) uid: Option<u32>,
    /// The control groups that it is in before anything is charged to it.
    pub(crate) cgroups: Groups,
}

/// The control groups of a child, opened.
///
/// Writing to `cgroup.procs` makes the kernel wait for every processor, 7 ms or more. There is a quick
/// way into either kind of hierarchy: being born in a group of the unified one, and moving a lone thread
/// by `tasks` in the others.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// The one of the unified hierarchy.
    pub(crate) unified: Option<UnifiedGroup>,
    /// The `tasks` files of the others.
    pub(crate) tasks: Vec<OwnedFd>,
}

/// A control group of the unified hierarchy.
#[derive(Debug)]
pub(crate) struct UnifiedGroup {
    /// Its folder, to be born in.
    pub(crate) folder: OwnedFd,
    /// Its `cgroup.procs`, where the kernel cannot do that.
    pub(crate) procs: OwnedFd,
}

/// Why no child was started. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpawnError {
    #[error("an argument has a NUL in it")]
    Argument(#[from] NulError),
    #[error("the host refused {0}")]
    Parent(&'static str, #[source] io::Error),
    #[error("its identity could not be recorded")]
    Record(#[source] io::Error),
    #[error("the new process failed to {0}")]
    Child(&'static str, #[source] io::Error),
}

/// The points at which a child can fail, in order; their index is what it reports.
const STAGES: [&str; 7] = [
    "take its descriptors",
    "join its control group",
    "enter its folder",
    "limit itself",
    "drop its groups",
    "become its user",
    "execute the program",
];

/// Starts a child that is detached from the daemon. `record` is called with its identity while it
/// waits, and must have made it durable when it returns; only then is the program executed.
///
/// Blocks until the program was executed, or was not.
///
/// # Errors
/// What failed; then there is no child.
pub(crate) fn spawn(
    spawn: Spawn<'_>,
    record: impl FnOnce(ProcessIdentity) -> io::Result<()>,
) -> Result<(Process, ProcessIdentity), SpawnError> {
    let child = Child::prepare(&spawn)?;
    let born_in_group = child.unified.as_ref().and_then(|unified| fork_into(&unified.folder));
    let pid = match born_in_group {
        Some(Forked::Child) => child.run(None),
        Some(Forked::Parent(pid)) => pid,
        // SAFETY: between fork and exec the child calls only async-signal-safe functions, on memory
        // that was prepared before the fork.
        None => match unsafe { libc::fork() } {
            -1 => return Err(SpawnError::Parent("a new process", io::Error::last_os_error())),
            0 => child.run(child.unified.as_ref().map(|unified| &unified.procs)),
            pid => Pid::from_raw(pid).expect("fork gives a parent a positive pid"),
        },
    };
    let Child { go, report, .. } = child;
    drop(go.child_end);
    drop(report.child_end);

    let launched = (|| {
        let process = Process::open_pid(pid).map_err(|e| SpawnError::Parent("a pidfd", e))?;
        let identity = identity_of(pid).map_err(|e| SpawnError::Parent("/proc", e))?;
        record(identity).map_err(SpawnError::Record)?;
        let mut go = File::from(go.parent_end);
        go.write_all(&[1]).map_err(|e| SpawnError::Parent("a pipe", e))?;
        let mut told = Vec::new();
        let mut report = File::from(report.parent_end);
        report.read_to_end(&mut told).map_err(|e| SpawnError::Parent("a pipe", e))?;
        match <[u8; 5]>::try_from(told) {
            // The pipe closed by itself: the program was executed.
            Err(_) => Ok((process, identity)),
            Ok([stage, errno @ ..]) => {
                let stage = STAGES.get(usize::from(stage)).copied().unwrap_or("start");
                let error = io::Error::from_raw_os_error(i32::from_ne_bytes(errno));
                Err(SpawnError::Child(stage, error))
            }
        }
    })();
    if launched.is_err() {
        // The go pipe is closed, so the child has ended or is about to.
        let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
    }
    launched
}

/// On which side of a fork this is.
enum Forked {
    Child,
    Parent(Pid),
}

/// Forks a child that is born in a control group. `None` where the kernel or a filter of system calls
/// does not let it.
///
/// The C library does not know of such a child, and takes its parent's threads for the child's: calls
/// that it does in all threads, such as `setresuid`, must be made without it.
fn fork_into(group: &OwnedFd) -> Option<Forked> {
    // Not in `libc`, whose flags are of 32 bits.
    const CLONE_INTO_CGROUP: u64 = 1 << 33;
    // SAFETY: zero is a valid value of each field, and means that it is not used.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = CLONE_INTO_CGROUP;
    arguments.exit_signal = libc::SIGCHLD as u64;
    arguments.cgroup = group.as_raw_fd() as u64;
    // SAFETY: the arguments live for as long as the call; the child has memory of its own, as after a
    // fork, and calls only what may be called then.
    let pid = unsafe {
        libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<libc::clone_args>())
    };
    match i32::try_from(pid).ok()? {
        0 => Some(Forked::Child),
        pid @ 1.. => Pid::from_raw(pid).map(Forked::Parent),
        _ => None,
    }
}

/// A pipe of which a parent and a child hold one end each.
struct Pipe {
    parent_end: OwnedFd,
    child_end: OwnedFd,
}

/// Everything a child needs, allocated before the fork.
struct Child {
    argv: Vec<CString>,
    argv_pointers: Vec<*const libc::c_char>,
    environment_pointers: [*const libc::c_char; 2],
    null: OwnedFd,
    output: OwnedFd,
    descriptors: Vec<OwnedFd>,
    unified: Option<UnifiedGroup>,
    tasks: Vec<OwnedFd>,
    folder: OwnedFd,
    uid: Option<u32>,
    go: Pipe,
    report: Pipe,
}

/// The child's whole environment: messages that a person or a test can match.
const ENVIRONMENT: &std::ffi::CStr = c"LC_ALL=C";

impl Child {
    fn prepare(spawn: &Spawn<'_>) -> Result<Self, SpawnError> {
        let refused = |what| move |error: rustix::io::Errno| SpawnError::Parent(what, error.into());
        // Everything is moved above the numbers that the child will fill, so that filling one never
        // overwrites another.
        let above = FIRST_DESCRIPTOR + spawn.descriptors.len() as RawFd + 8;
        let lift =
            |fd: BorrowedFd<'_>| fcntl_dupfd_cloexec(fd, above).map_err(refused("a descriptor"));
        let lift_all =
            |fds: &[OwnedFd]| fds.iter().map(|fd| lift(fd.as_fd())).collect::<Result<Vec<_>, _>>();
        let pipe = || {
            let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
                .map_err(refused("a pipe"))?;
            Ok::<_, SpawnError>((lift(read.as_fd())?, lift(write.as_fd())?))
        };
        let (go_read, go_write) = pipe()?;
        let (report_read, report_write) = pipe()?;
        let argv: Vec<CString> =
            spawn.argv.iter().map(|arg| CString::new(arg.as_str())).collect::<Result<_, _>>()?;
        let argv_pointers = argv.iter().map(|arg| arg.as_ptr()).chain([std::ptr::null()]).collect();
        let unified = spawn.cgroups.unified.as_ref().map(|UnifiedGroup { folder, procs }| {
            Ok::<_, SpawnError>(UnifiedGroup {
                folder: lift(folder.as_fd())?,
                procs: lift(procs.as_fd())?,
            })
        });
        let null = File::open("/dev/null").map_err(|e| SpawnError::Parent("/dev/null", e))?;
        Ok(Self {
            argv,
            argv_pointers,
            environment_pointers: [ENVIRONMENT.as_ptr(), std::ptr::null()],
            null: lift(null.as_fd())?,
            output: lift(spawn.output.as_fd())?,
            descriptors: lift_all(&spawn.descriptors)?,
            unified: unified.transpose()?,
            tasks: lift_all(&spawn.cgroups.tasks)?,
            folder: lift(spawn.folder)?,
            uid: spawn.uid,
            go: Pipe { parent_end: go_write, child_end: go_read },
            report: Pipe { parent_end: report_read, child_end: report_write },
        })
    }

    /// The child's side. Only async-signal-safe calls from here on: no allocation, no locks. `procs` is of
    /// the unified group where the child was not born in it.
    fn run(&self, procs: Option<&OwnedFd>) -> ! {
        // SAFETY: each call is async-signal-safe, with pointers into memory made before the fork.
        unsafe {
            let mut stage = 0;
            if self.become_the_program(procs, &mut stage).is_none() {
                let errno = *libc::__errno_location();
                let mut told = [stage; 5];
                told[1..].copy_from_slice(&errno.to_ne_bytes());
                libc::write(self.report_number(), told.as_ptr().cast(), told.len());
            }
            libc::_exit(127)
        }
    }

    const fn go_number(&self) -> RawFd {
        FIRST_DESCRIPTOR + self.descriptors.len() as RawFd
    }

    const fn report_number(&self) -> RawFd {
        self.go_number() + 1
    }

    /// Goes through the stages; returns only when one failed, with `errno` set.
    ///
    /// # Safety
    /// To be called in a forked child only.
    unsafe fn become_the_program(&self, procs: Option<&OwnedFd>, stage: &mut u8) -> Option<()> {
        let ok = |result: libc::c_int| (result >= 0).then_some(());
        let done = |result: libc::c_long| (result >= 0).then_some(());
        // SAFETY: see `run`.
        unsafe {
            ok(libc::dup2(self.null.as_raw_fd(), 0))?;
            ok(libc::dup2(self.output.as_raw_fd(), 1))?;
            ok(libc::dup2(self.output.as_raw_fd(), 2))?;
            for (number, descriptor) in (FIRST_DESCRIPTOR..).zip(&self.descriptors) {
                ok(libc::dup2(descriptor.as_raw_fd(), number))?;
            }
            ok(libc::dup3(self.go.child_end.as_raw_fd(), self.go_number(), libc::O_CLOEXEC))?;
            ok(libc::dup3(
                self.report.child_end.as_raw_fd(),
                self.report_number(),
                libc::O_CLOEXEC,
            ))?;

            *stage = 1;
            for group in procs.into_iter().chain(&self.tasks) {
                ok(libc::write(group.as_raw_fd(), c"0".as_ptr().cast(), 1) as libc::c_int)?;
            }
            *stage = 2;
            ok(libc::fchdir(self.folder.as_raw_fd()))?;

            // Closes all that was open in the daemon, the parent's ends of the pipes above all: were
            // they kept here, or in another child that waits, the death of the parent would not show.
            *stage = 3;
            let first = self.report_number() as libc::c_uint + 1;
            ok(libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) as libc::c_int)?;
            let mut word = 0_u8;
            if libc::read(self.go_number(), (&raw mut word).cast(), 1) != 1 {
                libc::_exit(127);
            }
            libc::setsid();
            libc::umask(0o077);
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            let mut no_signals = std::mem::zeroed();
            libc::sigemptyset(&raw mut no_signals);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const no_signals, std::ptr::null_mut());
            // A core of a guest's memory holds the guest's secrets.
            let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            ok(libc::setrlimit(libc::RLIMIT_CORE, &raw const none))?;
            let files = libc::rlimit { rlim_cur: MAX_FILES, rlim_max: MAX_FILES };
            ok(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const files))?;
            // See `fork_into` for why these are not the C library's.
            if let Some(uid) = self.uid {
                *stage = 4;
                done(libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>()))?;
                *stage = 5;
                done(libc::syscall(libc::SYS_setresgid, uid, uid, uid))?;
                done(libc::syscall(libc::SYS_setresuid, uid, uid, uid))?;
            }
            ok(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
            *stage = 6;
            libc::execve(
                self.argv[0].as_ptr(),
                self.argv_pointers.as_ptr(),
                self.environment_pointers.as_ptr(),
            );
        }
        None
    }
}

/// One process, held by a pidfd, so that no other can be mistaken for it.
#[derive(Debug)]
pub(crate) struct Process {
    pid: Pid,
    pidfd: OwnedFd,
    /// The kernel's line about its first thread, kept open: it is read often, and stays this process's
    /// whoever has its pid by then. Absent where the host shows it to nobody.
    line: Option<File>,
}

impl Process {
    fn open_pid(pid: Pid) -> io::Result<Self> {
        let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
        let number = pid.as_raw_nonzero();
        let line = File::open(format!("/proc/{number}/task/{number}/stat")).ok();
        Ok(Self { pid, pidfd, line })
    }

    /// What its first thread does now. Takes some microseconds, and never waits for the process.
    pub(crate) fn activity(&self) -> Activity {
        let mut line = [0; 64];
        let length = self.line.as_ref().and_then(|file| pread(file, &mut line[..], 0).ok());
        // A name has at most 15 bytes, so that the state is among these.
        let line = String::from_utf8_lossy(&line[..length.unwrap_or_default()]);
        activity(&line)
    }

    /// The process of this identity, if it still lives; `None` where its pid is free or has become
    /// another program's.
    ///
    /// # Errors
    /// The host refused to say.
    pub(crate) fn find(identity: ProcessIdentity) -> io::Result<Option<Self>> {
        let Some(pid) = i32::try_from(identity.pid).ok().and_then(Pid::from_raw) else {
            return Ok(None);
        };
        let process = match Self::open_pid(pid) {
            Ok(process) => process,
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(None),
            Err(error) => return Err(error),
        };
        // Read after the pidfd was opened: from here on the pid cannot be handed to another.
        match identity_of(pid) {
            Ok(found) if found == identity => Ok(Some(process)),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends a signal; nothing happens if the process has ended.
    pub(crate) fn signal(&self, signal: Signal, why: &str) {
        harm::signal(&self.pidfd, self.pid, signal, why);
    }

    /// Waits until the process has ended. Says how, where it was a child of this daemon.
    ///
    /// # Errors
    /// The host refused to watch it.
    pub(crate) async fn ended(&self) -> io::Result<Option<String>> {
        // SAFETY: the pidfd is borrowed from self for longer than `watched` lives.
        let watched = unsafe { AsyncFd::register(self.pidfd.as_fd()) }?;
        let _readable = watched.readable().await?;
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let status = rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), options);
        Ok(status.ok().flatten().map(|status| describe(&status)))
    }
}

fn describe(status: &WaitIdStatus) -> String {
    if let Some(code) = status.exit_status() {
        return format!("exit status {code}");
    }
    match status.terminating_signal() {
        Some(signal) => format!("signal {signal}"),
        None => "an unknown end".into(),
    }
}

/// Opens the folder that a child starts in.
pub(crate) fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confine::Confinement;
    use innkeeper_model::VmId;
    use std::io::Seek;

    fn run(argv: &[&str], descriptors: Vec<OwnedFd>) -> (Result<Process, SpawnError>, File) {
        let starts_in = open_folder(Path::new("/")).unwrap();
        let output = tempfile::tempfile().unwrap();
        let argv: Vec<String> = argv.iter().map(|&arg| arg.into()).collect();
        let request = Spawn {
            argv: &argv,
            folder: starts_in.as_fd(),
            descriptors,
            output: output.try_clone().unwrap().into(),
            uid: None,
            cgroups: Default::default(),
        };
        (spawn(request, |_| Ok(())).map(|(process, _)| process), output)
    }

    fn text(mut file: File) -> String {
        file.rewind().unwrap();
        io::read_to_string(file).unwrap()
    }

    #[tokio::test]
    async fn a_child_has_its_descriptors_and_no_others() {
        let mut given = tempfile::tempfile().unwrap();
        given.write_all(b"handed over").unwrap();
        given.rewind().unwrap();
        let (child, output) =
            run(&["/bin/sh", "-c", "cat <&3; ls /proc/self/fd"], vec![given.into()]);
        let status = child.unwrap().ended().await.unwrap();
        assert_eq!(status.as_deref(), Some("exit status 0"));
        // `ls` itself has one more open: the folder that it lists.
        assert_eq!(text(output), "handed over0\n1\n2\n3\n4\n");
    }

    /// As QEMU is started by root: in groups of its own, and as a user of its own.
    #[tokio::test]
    async fn a_child_is_in_its_groups_however_it_came_there() {
        let (confinement, vm) = (Confinement::detect(), VmId::new());
        let groups = confinement.cgroups(vm);
        if groups.is_empty() {
            eprintln!("this host lets nobody make control groups: not tried");
            return;
        }
        for kernel_can in [true, false] {
            let mut cgroups = confinement.make_cgroups(vm).unwrap();
            if let (Some(unified), false) = (&mut cgroups.unified, kernel_can) {
                // Nothing that a child could be born in.
                unified.folder = open_folder(Path::new("/")).unwrap();
            }
            let starts_in = open_folder(Path::new("/")).unwrap();
            let output = tempfile::tempfile().unwrap();
            let script = "id -u; id -g; id -G; cat /proc/self/cgroup";
            let argv = ["/bin/sh".into(), "-c".into(), script.into()];
            let request = Spawn {
                argv: &argv,
                folder: starts_in.as_fd(),
                descriptors: Vec::new(),
                output: output.try_clone().unwrap().into(),
                uid: Some(4242),
                cgroups,
            };
            let (child, _) = spawn(request, |_| Ok(())).unwrap();
            assert_eq!(child.ended().await.unwrap().as_deref(), Some("exit status 0"));
            let said = text(output);
            assert!(said.starts_with("4242\n4242\n4242\n"), "{said}");
            let own = format!("/innkeeper/{vm}");
            let joined = said.lines().filter(|line| line.ends_with(&own)).count();
            assert_eq!(joined, groups.len(), "{said}");
            confinement.remove_cgroups(vm).unwrap();
        }
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_told_by_its_stage() {
        let (child, _output) = run(&["/nowhere/at-all"], Vec::new());
        let error = child.unwrap_err();
        assert_eq!(error.to_string(), "the new process failed to execute the program");
    }

    #[tokio::test]
    async fn nothing_is_executed_when_the_record_fails() {
        let folder = tempfile::tempdir().unwrap();
        let starts_in = open_folder(folder.path()).unwrap();
        let mark = folder.path().join("executed");
        let argv = ["/usr/bin/touch".into(), mark.display().to_string()];
        let request = Spawn {
            argv: &argv,
            folder: starts_in.as_fd(),
            descriptors: Vec::new(),
            output: tempfile::tempfile().unwrap().into(),
            uid: None,
            cgroups: Default::default(),
        };
        let refused = spawn(request, |_| Err(io::ErrorKind::StorageFull.into()));
        assert!(matches!(refused, Err(SpawnError::Record(_))));
        assert!(!mark.exists());
    }

    #[tokio::test]
    async fn a_pid_that_became_another_programs_is_not_found() {
        let (child, _output) = run(&["/bin/sleep", "60"], Vec::new());
        let child = child.unwrap();
        let identity = identity_of(child.pid).unwrap();
        assert!(Process::find(identity).unwrap().is_some());
        let reused = ProcessIdentity { start_ticks: identity.start_ticks + 1, ..identity };
        assert!(Process::find(reused).unwrap().is_none());
        child.signal(Signal::KILL, "test");
        assert!(child.ended().await.unwrap().unwrap().contains("signal 9"));
        assert!(Process::find(identity).unwrap().is_none());
    }

    #[tokio::test]
    async fn a_process_that_is_stopped_shows_it_and_one_that_goes_on_too() {
        let (child, _output) = run(&["/bin/sleep", "60"], Vec::new());
        let child = child.unwrap();
        for (signal, expected) in [(Signal::STOP, Activity::Held), (Signal::CONT, Activity::Able)] {
            child.signal(signal, "test");
            let begun = std::time::Instant::now();
            while child.activity() != expected {
                assert!(begun.elapsed().as_secs() < 10, "it is {:?}", child.activity());
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        }
        child.signal(Signal::KILL, "test");
        child.ended().await.unwrap();
        assert_eq!(child.activity(), Activity::Able, "what has ended is nobody's to wait for");
    }
}
