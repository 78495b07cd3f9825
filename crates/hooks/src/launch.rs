//! Starting a hook's process: from the file that was looked at, with nothing of the daemon's.

use crate::{Script, group::Group};
use rustix::{
    fd::{AsRawFd, RawFd},
    pipe::{PipeFlags, pipe_with},
};
use std::{ffi::CString, io, os::unix::ffi::OsStrExt, process::Stdio};
use tokio::{
    net::unix::pipe,
    process::{ChildStdin, Command},
};

/// Where a hook finds programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The first descriptor after the standard three.
const FIRST_DESCRIPTOR: libc::c_uint = 3;
/// The signals after it are the C library's own, and such as nobody ignores by default.
const LAST_STANDARD_SIGNAL: libc::c_int = 31;

/// What a hook is told besides its input.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) vm_id: String,
    pub(crate) vm_name: String,
}

/// A hook's process, which was started. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Launched {
    /// The process, which leads a session of its own.
    pub(crate) group: Group,
    /// Where it reads.
    pub(crate) stdin: Option<ChildStdin>,
    /// What it says, on either of its outputs, in the order in which it says it.
    pub(crate) output: pipe::Receiver,
}

/// Starts a hook. Blocks until the kernel has taken the program on, or has not: the daemon is copied
/// first, which takes the longer the larger it is.
///
/// # Errors
/// What the kernel said: of the program, or of making a process at all. Then there is none.
pub(crate) fn launch(script: &Script, subject: &Subject) -> io::Result<Launched> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    let program = Program::prepare(script, subject)?;
    let mut command = Command::new(script.path());
    command.current_dir("/").stdin(Stdio::piped()).stdout(write.try_clone()?).stderr(write);
    // SAFETY: between fork and exec the closure makes system calls only: it allocates nothing, takes
    // no lock and does not panic. The script holds the descriptor open until `spawn` has returned.
    unsafe {
        command.pre_exec(move || Err(program.become_it()));
    }
    let output = pipe::Receiver::from_owned_fd(read)?;
    let mut child = command.spawn()?;
    let stdin = child.stdin.take();
    Ok(Launched { group: Group::led_by(child)?, stdin, output })
}

/// All that exec needs, allocated before the fork.
struct Program {
    file: RawFd,
    path: CString,
    name: CString,
    environment: [CString; 6],
}

impl Program {
    fn prepare(script: &Script, subject: &Subject) -> io::Result<Self> {
        let file = script.file().as_raw_fd();
        let name = CString::new(script.path().as_os_str().as_bytes())?;
        let variable = |key: &str, value: &[u8]| {
            CString::new([key.as_bytes(), b"=", value].concat()).map_err(io::Error::from)
        };
        let environment = [
            variable("PATH", PATH.as_bytes())?,
            variable("LANG", b"C.UTF-8")?,
            variable("INN_EVENT", script.event().as_str().as_bytes())?,
            variable("INN_HOOK", name.to_bytes())?,
            variable("INN_VM_ID", subject.vm_id.as_bytes())?,
            variable("INN_VM_NAME", subject.vm_name.as_bytes())?,
        ];
        Ok(Self { file, path: CString::new(format!("/proc/self/fd/{file}"))?, name, environment })
    }

    /// Runs in the child. Returns only if it could not become the program, and says why.
    ///
    /// It calls exec itself: the `execvp` that std would call hands what the kernel cannot run to
    /// /bin/sh, a program for another processor too.
    fn become_it(&self) -> io::Error {
        let arguments = [self.name.as_ptr(), std::ptr::null()];
        let [a, b, c, d, e, f] = self.environment.each_ref().map(|variable| variable.as_ptr());
        let environment = [a, b, c, d, e, f, std::ptr::null()];
        // SAFETY: each call is async-signal-safe, with pointers to memory that outlives it.
        unsafe {
            libc::umask(0o022);
            // What the daemon, or who started it, ignores would stay ignored.
            for signal in 1..=LAST_STANDARD_SIGNAL {
                libc::signal(signal, libc::SIG_DFL);
            }
            if libc::setsid() < 0 || self.close_all_but_the_file() < 0 {
                return io::Error::last_os_error();
            }
            libc::execve(self.path.as_ptr(), arguments.as_ptr(), environment.as_ptr());
        }
        io::Error::last_os_error()
    }

    /// Lets nothing through exec but the file itself. An interpreter is given `/proc/self/fd/N` to
    /// read the script from, so that one stays: without access to what is in it, it is no more than
    /// the file's name.
    ///
    /// # Safety
    /// To be called in a forked child only.
    unsafe fn close_all_but_the_file(&self) -> libc::c_long {
        // SAFETY: see above; both calls change descriptors of the child alone.
        unsafe {
            let closed = libc::syscall(
                libc::SYS_close_range,
                FIRST_DESCRIPTOR,
                libc::c_uint::MAX,
                libc::CLOSE_RANGE_CLOEXEC,
            );
            if closed < 0 { closed } else { libc::fcntl(self.file, libc::F_SETFD, 0).into() }
        }
    }
}
