//! Network namespaces without a name: they go with their threads.

use rustix::thread::UnshareFlags;
use std::{
    process::{Command, Output},
    sync::mpsc,
    thread,
};

type Job = Box<dyn FnOnce() + Send>;

/// A network namespace, and the thread that is in it.
pub(crate) struct Namespace {
    jobs: mpsc::Sender<Job>,
    /// Its thread, by which `ip link set … netns` finds it.
    pub(crate) tid: i32,
}

impl Namespace {
    pub(crate) fn new() -> Self {
        let (jobs, receiver) = mpsc::channel::<Job>();
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            enter_new();
            tell.send(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
            receiver.into_iter().for_each(|job| job());
        });
        Self { jobs, tid: told.recv().unwrap() }
    }

    /// Does something in it.
    pub(crate) fn call<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (tell, told) = mpsc::channel();
        self.jobs.send(Box::new(move || drop(tell.send(job())))).unwrap();
        told.recv().expect("the job panicked")
    }

    /// Runs a program in it, and gives what it printed; it must succeed.
    pub(crate) fn run(&self, command: &str) -> String {
        let output = self.output(command);
        assert!(output.status.success(), "{command}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Whether a program succeeds in it.
    pub(crate) fn succeeds(&self, command: &str) -> bool {
        self.output(command).status.success()
    }

    fn output(&self, command: &str) -> Output {
        let words: Vec<String> = command.split(' ').map(ToOwned::to_owned).collect();
        self.call(move || Command::new(&words[0]).args(&words[1..]).output().unwrap())
    }
}

/// Puts the calling thread, and what it starts from now on, into a new network namespace.
pub(crate) fn enter_new() {
    // SAFETY: a network namespace is of the thread, and takes no file of the process's away.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }.unwrap();
    run("ip link set lo up");
}

/// Gives the calling thread, and what it starts from now on, mounts of its own.
pub(crate) fn enter_own_mounts() {
    // SAFETY: what it shares no more is the thread's alone: its mounts, its folder and its mask for new files.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }.unwrap();
    run("mount --make-rprivate /");
}

/// Runs a program in the namespace of the calling thread; it must succeed.
pub(crate) fn run(command: &str) -> String {
    let mut words = command.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{command}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}
