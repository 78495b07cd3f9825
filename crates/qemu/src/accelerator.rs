//! Whether this host can run guests with KVM.
//!
//! `/dev/kvm` may be there and open and still not run a guest: QEMU aborts on a register it may not
//! set, or the guest spins in its firmware for ever. So a guest of six instructions is run, with the
//! CPU model that VMs get and confined as they are: real firmware starts it from an option ROM, and it
//! ends QEMU with a status that nothing else gives. Whatever else happens within the deadline means no.

use crate::{confine::SANDBOX, option::QemuOption};
use innkeeper_model::{Code, Refusal};
use innkeeper_store::harm::Helper;
use rustix::{
    fd::{AsRawFd, BorrowedFd, RawFd},
    fs::{MemfdFlags, memfd_create},
    io::{FdFlags, fcntl_setfd},
};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    process::Stdio,
    time::Duration,
};
use tokio::process::Command;
use tracing::{info, warn};

/// What the operator wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AcceleratorChoice {
    /// KVM where it runs a guest, else TCG.
    #[default]
    Auto,
    /// KVM, or no VMs at all.
    Kvm,
    /// TCG: slow, and everywhere.
    Tcg,
}

/// What it came to, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accelerator {
    pub(crate) name: &'static str,
    pub(crate) reason: String,
}

/// What KVM is called.
pub(crate) const KVM: &str = "kvm";

/// How long the probe guest may take. Under a working KVM it takes about 0.1 s.
const DEADLINE: Duration = Duration::from_secs(5);

/// What the guest writes to the exit port, and the status that QEMU makes of it.
const WORD: u8 = 0x2a;
const STATUS: i32 = (WORD as i32) << 1 | 1;

/// Opens the kernel's KVM.
///
/// # Errors
/// There is none, or it is not this user's to open.
pub(crate) fn open_kvm() -> io::Result<File> {
    File::options().read(true).write(true).open("/dev/kvm")
}

/// Chooses an accelerator, trying KVM where that could be the answer. `uid` is a user without rights for the
/// probe, as VMs have one each, where this process is root.
///
/// # Errors
/// KVM was demanded and does not run a guest.
pub(crate) async fn choose(
    choice: AcceleratorChoice,
    program: &Path,
    cpu_model: &str,
    uid: Option<u32>,
) -> Result<Accelerator, Refusal> {
    let tcg = |reason: String| Accelerator { name: "tcg", reason };
    if choice == AcceleratorChoice::Tcg {
        return Ok(tcg("the configuration says so".into()));
    }
    match try_kvm(program, cpu_model, uid).await {
        Ok(()) => {
            info!("KVM runs guests here");
            Ok(Accelerator { name: KVM, reason: "a probe guest ran with it".into() })
        }
        Err(problem) if choice == AcceleratorChoice::Kvm => {
            let message = format!("the configuration demands KVM, but {problem}");
            Err(Refusal::new(Code::Unsupported, message)
                .with_hint("set accelerator = \"auto\" in the configuration"))
        }
        Err(problem) => {
            warn!("guests run with TCG, which is many times slower than KVM, because {problem}");
            Ok(tcg(problem))
        }
    }
}

async fn try_kvm(program: &Path, cpu_model: &str, uid: Option<u32>) -> Result<(), String> {
    let kvm = open_kvm().map_err(|error| format!("/dev/kvm cannot be opened: {error}"))?;
    // `enforce`: a KVM that lacks features of the model would run guests on another CPU than told.
    let cpu = format!("{cpu_model},enforce");
    run_probe(program, Tried::Kvm(&kvm), &cpu, uid).await
}

/// What a probe guest is run with.
#[derive(Debug, Clone, Copy)]
enum Tried<'a> {
    Kvm(&'a File),
    #[cfg(test)]
    Other(&'a str),
}

async fn run_probe(
    program: &Path,
    tried: Tried<'_>,
    cpu: &str,
    uid: Option<u32>,
) -> Result<(), String> {
    let rom = rom_file().map_err(|error| format!("the probe could not be written: {error}"))?;
    let mut command = Command::new(program);
    command
        .args(["-nodefaults", "-no-user-config", "-display", "none", "-m", "16", "-M", "q35"])
        .args(["-cpu", cpu, "-no-reboot", "-sandbox", SANDBOX])
        .args(["-device", "isa-debug-exit,iobase=0x501,iosize=1", "-option-rom"])
        .arg(format!("/dev/fd/{}", rom.as_raw_fd()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut kept = vec![rom.as_raw_fd()];
    accelerate(&mut command, tried, &mut kept);
    become_user(&mut command, uid);
    keep_open(&mut command, kept);
    let started = Helper::start(&mut command);
    let helper = started.map_err(|error| format!("QEMU could not be started: {error}"))?;
    let output = match tokio::time::timeout(DEADLINE, helper.output(&[])).await {
        Err(_) => return Err(format!("a probe guest did not run within {} s", DEADLINE.as_secs())),
        Ok(Err(error)) => return Err(format!("QEMU could not be heard: {error}")),
        Ok(Ok(output)) => output,
    };
    if output.status.code() == Some(STATUS) {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let last = words.lines().last().unwrap_or("QEMU said nothing");
    Err(format!("a probe guest ended with {} ({})", output.status, last.trim()))
}

/// Tells it what to run its guest with, as VMs are told.
fn accelerate(command: &mut Command, tried: Tried<'_>, kept: &mut Vec<RawFd>) {
    let option = match tried {
        Tried::Kvm(kvm) => {
            let number = kvm.as_raw_fd();
            kept.push(number);
            let set = QemuOption::default().with("fd", number).with("set", 1);
            command.args(["-add-fd", &String::from(set)]);
            QemuOption::word(KVM).with("device", "/dev/fdset/1")
        }
        #[cfg(test)]
        Tried::Other(name) => QemuOption::word(name),
    };
    command.args(["-accel", &String::from(option)]);
}

/// Gives up all rights but one user's.
fn become_user(command: &mut Command, uid: Option<u32>) {
    if let Some(uid) = uid {
        command.uid(uid).gid(uid);
    }
}

/// Leaves these open in the child, under the numbers that they have here. They are open until it has been started.
fn keep_open(command: &mut Command, kept: Vec<RawFd>) {
    let keep = move || {
        kept.iter().try_for_each(|number| {
            // SAFETY: its owner outlives the start of this child.
            let descriptor = unsafe { BorrowedFd::borrow_raw(*number) };
            Ok(fcntl_setfd(descriptor, FdFlags::empty())?)
        })
    };
    // SAFETY: between fork and exec it makes one system call for each, and allocates nothing.
    unsafe { command.pre_exec(keep) };
}

/// The option ROM in memory, which every user may open anew.
fn rom_file() -> io::Result<File> {
    let mut file = File::from(memfd_create("innkeeper-probe", MemfdFlags::CLOEXEC)?);
    file.write_all(&rom())?;
    Ok(file)
}

/// One sector of option ROM: signature, length, code, and a last byte that makes the sum zero.
fn rom() -> [u8; 512] {
    const CODE: [u8; 9] = [
        0xba, 0x01, 0x05, // mov dx, 0x501
        0xb0, WORD, // mov al, WORD
        0xee, // out dx, al
        0xf4, // hlt
        0xeb, 0xfd, // jmp to the hlt
    ];
    let mut rom = [0_u8; 512];
    rom[..3].copy_from_slice(&[0x55, 0xaa, 1]);
    rom[3..3 + CODE.len()].copy_from_slice(&CODE);
    let sum = rom.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    rom[511] = sum.wrapping_neg();
    rom
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: &str = "/usr/bin/qemu-system-x86_64";

    #[test]
    fn firmware_accepts_the_rom() {
        let sum = rom().iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        assert_eq!((sum, &rom()[..2]), (0, &[0x55, 0xaa][..]));
    }

    /// Nobody's, where this is root: as a VM's is.
    fn other_user() -> Option<u32> {
        rustix::process::geteuid().is_root().then_some(65_533)
    }

    /// The probe itself must be able to say yes: under TCG its guest runs everywhere.
    #[tokio::test]
    async fn the_probe_guest_runs_where_guests_run() {
        let program = Path::new(PROGRAM);
        let ran = run_probe(program, Tried::Other("tcg"), "Nehalem-v1", other_user()).await;
        assert_eq!(ran, Ok(()));
        let unknown = Tried::Other("no-such-accelerator");
        let refused = run_probe(program, unknown, "Nehalem-v1", other_user()).await;
        assert!(refused.unwrap_err().contains("no-such-accelerator"));
    }

    /// Whether a guest would run is the host's affair; that QEMU gets hold of KVM is ours, whoever's it is.
    #[tokio::test]
    async fn kvm_serves_a_user_who_may_not_open_it() {
        let Ok(kvm) = open_kvm() else { return };
        let mut command = Command::new(PROGRAM);
        command.args(["-M", "none", "-nodefaults", "-display", "none", "-sandbox", SANDBOX]);
        command.args(["-qmp", "stdio"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(Stdio::piped());
        let mut kept = Vec::new();
        accelerate(&mut command, Tried::Kvm(&kvm), &mut kept);
        become_user(&mut command, other_user());
        keep_open(&mut command, kept);
        let asks = [
            r#"{"execute":"qmp_capabilities"}"#,
            r#"{"execute":"query-kvm"}"#,
            r#"{"execute":"quit"}"#,
        ];
        let said =
            Helper::start(&mut command).unwrap().output(asks.join("\n").as_bytes()).await.unwrap();
        let words = String::from_utf8_lossy(&said.stdout);
        assert!(
            words.contains(r#""enabled": true"#),
            "{words} {}",
            String::from_utf8_lossy(&said.stderr)
        );
    }
}
