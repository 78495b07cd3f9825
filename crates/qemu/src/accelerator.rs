//! Whether this host can run guests with KVM.
//!
//! `/dev/kvm` may be there and open and still not run a guest: QEMU aborts on a register it may not
//! set, or the guest spins in its firmware for ever. So a guest of six instructions is run, with the
//! CPU model that VMs get: real firmware starts it from an option ROM, and it ends QEMU with a status
//! that nothing else gives. Whatever else happens within the deadline means no.

use innkeeper_model::{Code, Refusal};
use innkeeper_store::harm::{self, Helper};
use serde::{Deserialize, Serialize};
use std::{path::Path, process::Stdio, time::Duration};
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

/// How long the probe guest may take. Under a working KVM it takes about 0.1 s.
const DEADLINE: Duration = Duration::from_secs(5);

/// What the guest writes to the exit port, and the status that QEMU makes of it.
const WORD: u8 = 0x2a;
const STATUS: i32 = (WORD as i32) << 1 | 1;

/// Chooses an accelerator, trying KVM where that could be the answer.
///
/// # Errors
/// KVM was demanded and does not run a guest.
pub(crate) async fn choose(
    choice: AcceleratorChoice,
    program: &Path,
    cpu_model: &str,
) -> Result<Accelerator, Refusal> {
    let tcg = |reason: String| Accelerator { name: "tcg", reason };
    if choice == AcceleratorChoice::Tcg {
        return Ok(tcg("the configuration says so".into()));
    }
    match try_kvm(program, cpu_model).await {
        Ok(()) => {
            info!("KVM runs guests here");
            Ok(Accelerator { name: "kvm", reason: "a probe guest ran with it".into() })
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

async fn try_kvm(program: &Path, cpu_model: &str) -> Result<(), String> {
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .map_err(|error| format!("/dev/kvm cannot be opened: {error}"))?;
    let rom =
        RomFile::create().map_err(|error| format!("the probe could not be written: {error}"))?;
    // `enforce`: a KVM that lacks features of the model would run guests on another CPU than told.
    let cpu = format!("{cpu_model},enforce");
    run_probe(program, "kvm", &cpu, rom.path()).await
}

async fn run_probe(program: &Path, accel: &str, cpu: &str, rom: &Path) -> Result<(), String> {
    let mut command = Command::new(program);
    command
        .args(["-nodefaults", "-no-user-config", "-display", "none", "-m", "16", "-M", "q35"])
        .args(["-accel", accel, "-cpu", cpu, "-no-reboot"])
        .args(["-device", "isa-debug-exit,iobase=0x501,iosize=1", "-option-rom"])
        .arg(rom)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
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

/// The option ROM in a file of its own, gone when dropped.
struct RomFile(std::path::PathBuf);

impl RomFile {
    fn create() -> std::io::Result<Self> {
        let name = format!("innkeeper-probe-{}.rom", innkeeper_model::IncarnationId::new());
        let path = std::env::temp_dir().join(name);
        let mut options = std::fs::OpenOptions::new();
        std::io::Write::write_all(&mut options.write(true).create_new(true).open(&path)?, &rom())?;
        Ok(Self(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for RomFile {
    fn drop(&mut self) {
        // Left in the temporary folder at worst.
        let _ = harm::remove_file(&self.0);
    }
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

    #[test]
    fn firmware_accepts_the_rom() {
        let sum = rom().iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        assert_eq!((sum, &rom()[..2]), (0, &[0x55, 0xaa][..]));
    }

    /// The probe itself must be able to say yes: under TCG its guest runs everywhere.
    #[tokio::test]
    async fn the_probe_guest_runs_where_guests_run() {
        let program = Path::new("/usr/bin/qemu-system-x86_64");
        let rom = RomFile::create().unwrap();
        assert_eq!(run_probe(program, "tcg", "Nehalem-v1", rom.path()).await, Ok(()));
        let refused = run_probe(program, "no-such-accelerator", "Nehalem-v1", rom.path()).await;
        assert!(refused.unwrap_err().contains("no-such-accelerator"));
    }
}
