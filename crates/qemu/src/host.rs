//! What QEMU this host has, and what it can do here.

use crate::{
    accelerator::{self, Accelerator, AcceleratorChoice},
    driver::QemuOptions,
};
use innkeeper_model::{
    Code, Refusal,
    host::{Hypervisor, UefiFirmware},
};
use innkeeper_store::{harm::Helper, write_atomically};
use serde::{Deserialize, Serialize};
use std::{
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::process::Command;
use tracing::{debug, warn};

/// The CPU model of VMs that name none: what every x86-64 server since 2008 has, and TCG can do, so
/// that a VM can move between all hosts of a fleet. Its version is part of the name.
const DEFAULT_CPU_MODEL: &str = "Nehalem-v1";

/// How long QEMU may take to say what it is; it takes 20 ms.
const SAYS_WITHIN: Duration = Duration::from_secs(10);

/// The oldest QEMU that runs VMs here, by the first of its numbers: the chardev `hub` is since 10.0.
pub const OLDEST_QEMU: u32 = 10;

/// Where distributions put OVMF: its code, and the variables that go with it.
const UEFI_FIRMWARE: [(&str, &str); 3] = [
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
];

/// Finds out what QEMU there is, and remembers it for this boot of the host and this very program.
///
/// # Errors
/// There is no QEMU, it is too old, or it does not start.
pub(crate) async fn detect(options: &QemuOptions) -> Result<Hypervisor, Refusal> {
    let program = find_program(&options.program).ok_or_else(|| missing(&options.program))?;
    let remembered_in = options.runtime.join("hypervisor.json");
    let key = Key::of(&program, options.accelerator, &options.boot_id)?;
    if let Some(hypervisor) = recall(&remembered_in, &key) {
        return Ok(hypervisor);
    }
    let version = check_version(&program, &say(&program, &["--version"]).await?)?;
    let machines = parse_machines(&say(&program, &["-machine", "help"]).await?);
    let default_machine = machines.first().cloned().ok_or_else(|| {
        Refusal::new(Code::Unsupported, "this QEMU has no versioned q35 machine type")
    })?;
    let Accelerator { name, reason } =
        accelerator::choose(options.accelerator, &program, DEFAULT_CPU_MODEL, options.sandbox_uid)
            .await?;
    let hypervisor = Hypervisor {
        driver: crate::driver::NAME.into(),
        version,
        program: program.display().to_string(),
        accelerator: name.into(),
        accelerator_reason: reason,
        default_machine,
        default_cpu_model: DEFAULT_CPU_MODEL.into(),
        machines,
        uefi: uefi_firmware(),
    };
    remember(&remembered_in, key, &hypervisor);
    Ok(hypervisor)
}

fn missing(program: &str) -> Refusal {
    Refusal::new(Code::MissingProgram, format!("{program} is not on the path"))
        .with_hint("install the package qemu-system-x86 (see `inn doctor`)")
}

/// The program of this name on the path, or the file of this path.
fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let candidates = std::env::split_paths(&path).map(|folder| folder.join(name));
    let executable = |path: &PathBuf| {
        std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.mode() & 0o111 != 0)
    };
    candidates.into_iter().find(executable)
}

async fn say(program: &Path, arguments: &[&str]) -> Result<String, Refusal> {
    let mut command = Command::new(program);
    command.args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let failed = |problem: &dyn std::fmt::Display| {
        let message = format!("{} {} failed: {problem}", program.display(), arguments.join(" "));
        Refusal::new(Code::HypervisorFailed, message)
    };
    let helper = Helper::start(&mut command).map_err(|error| failed(&error))?;
    let output = tokio::time::timeout(SAYS_WITHIN, helper.output(&[]))
        .await
        .map_err(|_| failed(&"it did not end"))?
        .map_err(|error| failed(&error))?;
    if !output.status.success() {
        return Err(failed(&String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// `QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)` is `10.0.2`.
fn parse_version(text: &str) -> String {
    let after = text.split("version ").nth(1).unwrap_or(text);
    after.split_whitespace().next().unwrap_or("unknown").into()
}

/// Whether a QEMU that says this of its version (`--version`) lacks what every VM is started with. One whose version is
/// no number is taken at its word.
pub fn is_too_old(said: &str) -> bool {
    let version = parse_version(said);
    let major = version.split('.').next().and_then(|number| number.parse::<u32>().ok());
    major.is_some_and(|major| major < OLDEST_QEMU)
}

/// The version of a QEMU that says this of it, unless it is too old.
fn check_version(program: &Path, said: &str) -> Result<String, Refusal> {
    let version = parse_version(said);
    if !is_too_old(said) {
        return Ok(version);
    }
    let message = format!("{} is QEMU {version}, which is too old", program.display());
    let mut refusal = Refusal::new(Code::Unsupported, message)
        .with_limit(format!("{OLDEST_QEMU}.0 or newer"))
        .with_hint(
            "`inn doctor` says where this system has a newer one; or name another as qemu.program",
        );
    refusal.value = Some(version);
    Err(refusal)
}

/// The versioned q35 machine types, newest first, without those that QEMU means to drop.
fn parse_machines(help: &str) -> Vec<String> {
    let versioned = |line: &str| {
        let name = line.split_whitespace().next()?;
        let version = name.strip_prefix("pc-q35-")?;
        let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
        let version = (numbers.next()??, numbers.next()??, numbers.next().flatten());
        (!line.contains("deprecated")).then(|| (version, name.to_owned()))
    };
    let mut machines: Vec<_> = help.lines().filter_map(versioned).collect();
    machines.sort_by(|a, b| b.cmp(a));
    machines.into_iter().map(|(_, name)| name).collect()
}

fn uefi_firmware() -> Option<UefiFirmware> {
    let there = |(code, variables): &(&str, &str)| {
        Path::new(code).exists() && Path::new(variables).exists()
    };
    let (code, variables) = UEFI_FIRMWARE.into_iter().find(there)?;
    Some(UefiFirmware { code: code.into(), variables: variables.into() })
}

/// What an answer of before must have been given for, to hold again.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Key {
    innkeeper: String,
    boot_id: String,
    program: PathBuf,
    program_size: u64,
    program_mtime: i64,
    choice: AcceleratorChoice,
    /// Whoever lets this daemon open KVM, or loads its module, need not boot the host for it.
    kvm_opens: bool,
}

impl Key {
    fn of(program: &Path, choice: AcceleratorChoice, boot_id: &str) -> io::Result<Self> {
        let file = std::fs::metadata(program)?;
        Ok(Self {
            innkeeper: env!("CARGO_PKG_VERSION").into(),
            boot_id: boot_id.into(),
            program: program.into(),
            program_size: file.size(),
            program_mtime: file.mtime(),
            choice,
            kvm_opens: accelerator::open_kvm().is_ok(),
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    key: Key,
    hypervisor: Hypervisor,
}

fn recall(path: &Path, key: &Key) -> Option<Hypervisor> {
    let text = std::fs::read(path).ok()?;
    let remembered: Remembered = serde_json::from_slice(&text)
        .inspect_err(|error| debug!(%error, "what was remembered of QEMU is not understood"))
        .ok()?;
    let firmware_changed = remembered.hypervisor.uefi != uefi_firmware();
    (remembered.key == *key && !firmware_changed).then_some(remembered.hypervisor)
}

fn remember(path: &Path, key: Key, hypervisor: &Hypervisor) {
    let remembered = Remembered { key, hypervisor: hypervisor.clone() };
    let text = serde_json::to_vec_pretty(&remembered).unwrap_or_default();
    if let Err(error) = write_atomically(path, &text, 0o600) {
        // It will be asked again, which takes a second.
        warn!(%error, "cannot remember what QEMU can do");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::Permissions, os::unix::fs::PermissionsExt, time::SystemTime};

    #[test]
    fn machine_types_are_newest_first_and_only_the_lasting_ones() {
        let help = "\
Supported machines are:
microvm              microvm (i386)
pc                   Standard PC (i440FX + PIIX, 1996) (alias of pc-i440fx-10.0)
q35                  Standard PC (Q35 + ICH9, 2009) (alias of pc-q35-10.0)
pc-q35-9.2           Standard PC (Q35 + ICH9, 2009)
pc-q35-10.0          Standard PC (Q35 + ICH9, 2009)
pc-q35-4.0.1         Standard PC (Q35 + ICH9, 2009) (deprecated)
";
        assert_eq!(parse_machines(help), ["pc-q35-10.0", "pc-q35-9.2"]);
    }

    #[test]
    fn the_version_is_the_number_alone() {
        let text = "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2+deb13u1~bpo12+1)\nCopyright";
        assert_eq!(parse_version(text), "10.0.2");
    }

    #[test]
    fn what_was_found_out_holds_for_this_boot_and_this_very_program() {
        let folder = tempfile::tempdir().unwrap();
        let (program, file) = (folder.path().join("qemu"), folder.path().join("hypervisor.json"));
        let write_program = |text: &str, seconds: u64| {
            std::fs::write(&program, text).unwrap();
            let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let opened = std::fs::File::options().write(true).open(&program).unwrap();
            opened.set_modified(changed).unwrap();
        };
        let key = |boot: &str, choice: AcceleratorChoice| Key::of(&program, choice, boot).unwrap();
        let auto = |boot: &str| key(boot, AcceleratorChoice::Auto);
        let found = Hypervisor {
            version: "10.0.2".into(),
            accelerator: "tcg".into(),
            uefi: uefi_firmware(),
            ..Hypervisor::default()
        };
        write_program("version 10", 1000);
        assert_eq!(recall(&file, &auto("this boot")), None, "nothing was asked yet");
        remember(&file, auto("this boot"), &found);
        assert_eq!(recall(&file, &auto("this boot")), Some(found.clone()));

        assert_eq!(recall(&file, &auto("the next")), None, "the host may have another kernel");
        let demanded = key("this boot", AcceleratorChoice::Kvm);
        assert_eq!(recall(&file, &demanded), None, "the operator has changed the choice");
        for (text, seconds) in [("version 11", 1000 + 1), ("version 10.1", 1000)] {
            write_program(text, seconds);
            assert_eq!(recall(&file, &auto("this boot")), None, "it is now {text}, of {seconds}");
        }
        write_program("version 10", 1000);
        assert_eq!(recall(&file, &auto("this boot")), Some(found));
    }

    #[tokio::test]
    async fn a_missing_qemu_is_told_with_its_package() {
        let folder = tempfile::tempdir().unwrap();
        let refusal = detect(&options("qemu-system-nowhere", folder.path())).await.unwrap_err();
        assert_eq!(refusal.code, Code::MissingProgram);
        assert!(refusal.hint.unwrap().contains("qemu-system-x86"));
    }

    #[tokio::test]
    async fn a_qemu_that_is_too_old_is_refused_by_its_version() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("qemu");
        std::fs::write(&program, "#!/bin/sh\necho 'QEMU emulator version 8.2.2 (Debian)'\n")
            .unwrap();
        std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        let refusal = detect(&options(program.to_str().unwrap(), folder.path())).await.unwrap_err();
        assert_eq!((refusal.code, refusal.value.as_deref()), (Code::Unsupported, Some("8.2.2")));
        assert!(refusal.limit.unwrap().contains("10.0"));
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        let check = |version| check_version(Path::new("qemu"), version).is_ok();
        assert!(["10.0.2", "11.0.0", "10", "unknown"].into_iter().all(check));
        assert!(!["9.2.4", "7.2"].into_iter().any(check));
    }

    #[test]
    fn what_kvm_did_not_do_is_asked_again_when_it_can_be_opened() {
        let folder = tempfile::tempdir().unwrap();
        let (program, file) = (folder.path().join("qemu"), folder.path().join("hypervisor.json"));
        std::fs::write(&program, "").unwrap();
        let key = |kvm_opens| {
            let key = Key::of(&program, AcceleratorChoice::Auto, "this boot").unwrap();
            Key { kvm_opens, ..key }
        };
        let found = Hypervisor { uefi: uefi_firmware(), ..Hypervisor::default() };
        remember(&file, key(false), &found);
        assert_eq!(recall(&file, &key(false)), Some(found));
        assert_eq!(recall(&file, &key(true)), None, "its module was loaded, or its group joined");
    }

    fn options(program: &str, runtime: &Path) -> QemuOptions {
        QemuOptions {
            program: program.into(),
            accelerator: AcceleratorChoice::Auto,
            runtime: runtime.into(),
            boot_id: "boot".into(),
            sandbox_uid: None,
        }
    }
}
