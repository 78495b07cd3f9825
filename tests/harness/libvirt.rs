//! A machine of libvirt's: the real one, in a folder of its own, with its manager connected to it.
//!
//! libvirt's QEMU driver can run inside of a client (`qemu:///embed`), so no daemon of this host's is
//! asked or started. As a user without rights, since it drops them by users that only its daemon's
//! package makes.

use super::{
    bystander::Bystander,
    daemon::{is_root, say},
    process::Process,
    wait::{SHORT, until},
};
use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    os::unix::{fs::chown, process::CommandExt},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
};
use tempfile::TempDir;

/// Nobody, on each Linux.
const NOBODY: u32 = 65534;

/// A running domain and `virsh`, which has made it and stays connected.
pub(crate) struct Domain {
    pub(crate) machine: Bystander,
    manager: Child,
    answers: Receiver<String>,
    name: &'static str,
    folder: TempDir,
}

impl Domain {
    /// Starts one; `None`, and says so, where libvirt is not installed. A machine that tests for others
    /// (`CI=true`) leaves out nothing.
    #[track_caller]
    pub(crate) fn start(name: &'static str) -> Option<Self> {
        if Command::new("virsh").arg("--version").stdout(Stdio::null()).status().is_err() {
            let lacks = "libvirt is not installed (`scripts/setup --test` does it)";
            assert!(!env::var("CI").is_ok_and(|ci| ci == "true"), "{lacks}");
            say(&format!("SKIPPED, since {lacks}: that its domains are left alone"));
            return None;
        }
        let folder = tempfile::Builder::new().prefix("inn-libvirt-").tempdir().unwrap();
        let root = folder.path();
        fs::create_dir(root.join("etc")).unwrap();
        // So that no process but QEMU is started.
        fs::write(root.join("etc/qemu.conf"), "stdio_handler = \"file\"\n").unwrap();
        let definition = root.join("domain.xml");
        fs::write(&definition, xml(name)).unwrap();
        let mut virsh = Command::new("virsh");
        virsh.args(["--quiet", "-c", &format!("qemu:///embed?root={}", root.display())]);
        virsh.env("HOME", root).env("XDG_RUNTIME_DIR", root).process_group(0);
        if is_root() {
            for path in [root, &root.join("etc"), &root.join("etc/qemu.conf"), &definition] {
                chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
            virsh.uid(NOBODY).gid(NOBODY);
        }
        let virsh = virsh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut manager = virsh.spawn().unwrap();
        let answers = lines_of(manager.stdout.take().unwrap(), manager.stderr.take().unwrap());
        let mut told = manager.stdin.as_ref().unwrap();
        writeln!(told, "create {}", definition.display()).unwrap();
        let pid_of = || machine_in(root, name).ok_or_else(|| words(&answers));
        let process = until("libvirt's domain", SHORT, pid_of);
        // libvirt goes on writing to its own files for as long as it starts one.
        let mut domain = Self {
            machine: Bystander::of(process, &root.join("nothing")),
            manager,
            answers,
            name,
            folder,
        };
        domain.assert_running();
        domain.machine = Bystander::of(process, domain.folder.path());
        Some(domain)
    }

    /// That its manager has it, and finds it running.
    #[track_caller]
    pub(crate) fn assert_running(&mut self) {
        writeln!(self.manager.stdin.as_ref().unwrap(), "domstate {}", self.name).unwrap();
        until("libvirt finds its domain running", SHORT, || match words(&self.answers) {
            words if words.contains("running") => Ok(()),
            words => Err(words),
        });
    }
}

impl Drop for Domain {
    fn drop(&mut self) {
        let _has_ended = self.manager.kill();
        let _is_reaped = self.manager.wait();
        self.machine.process.kill9();
    }
}

/// The process of a domain, by the pid file that libvirt keeps.
fn machine_in(root: &Path, name: &str) -> Option<Process> {
    let file = root.join("run/qemu").join(format!("{name}.pid"));
    let pid = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    Some(Process { pid }).filter(|process| process.lives())
}

/// All that was said since it was last asked.
fn words(answers: &Receiver<String>) -> String {
    answers.try_iter().collect::<Vec<_>>().join("\n")
}

fn lines_of(
    stdout: impl std::io::Read + Send + 'static,
    stderr: impl std::io::Read + Send + 'static,
) -> Receiver<String> {
    let (to, lines) = channel();
    let other = to.clone();
    let pass_on = |from: Box<dyn std::io::Read + Send>, to: std::sync::mpsc::Sender<String>| {
        thread::spawn(move || {
            BufReader::new(from).lines().map_while(Result::ok).for_each(|line| drop(to.send(line)));
        })
    };
    pass_on(Box::new(stdout), to);
    pass_on(Box::new(stderr), other);
    lines
}

fn xml(name: &str) -> String {
    format!(
        "<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>\
         <os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/></features>\
         <devices><emulator>/usr/bin/qemu-system-x86_64</emulator><memballoon model='none'/></devices>\
         </domain>"
    )
}
