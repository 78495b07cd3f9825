//! The programs and files that other packages bring.

use super::Finding;
use crate::{folders::Surroundings, options::DaemonOptions};
use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

/// Where distributions put OVMF's code.
const OVMF: [&str; 3] = [
    "/usr/share/OVMF/OVMF_CODE_4M.fd",
    "/usr/share/edk2/x64/OVMF_CODE.4m.fd",
    "/usr/share/edk2/ovmf/OVMF_CODE.fd",
];

/// Where programs for administrators are, which users often lack in PATH.
const ADMIN_FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// One that installs packages, and what it calls the five that are needed.
struct Installer {
    program: &'static str,
    command: &'static str,
    packages: [&'static str; 5],
}

/// In the order of [`Installer::packages`].
#[derive(Clone, Copy)]
enum Package {
    Emulator,
    Tools,
    Firmware,
    Filter,
    Names,
}

const INSTALLERS: [Installer; 4] = [
    Installer {
        program: "apt-get",
        command: "apt-get install",
        packages: ["qemu-system-x86", "qemu-utils", "ovmf", "nftables", "dnsmasq-base"],
    },
    Installer {
        program: "dnf",
        command: "dnf install",
        packages: ["qemu-system-x86-core", "qemu-img", "edk2-ovmf", "nftables", "dnsmasq"],
    },
    Installer {
        program: "pacman",
        command: "pacman -S",
        packages: ["qemu-system-x86", "qemu-img", "edk2-ovmf", "nftables", "dnsmasq"],
    },
    Installer {
        program: "zypper",
        command: "zypper install",
        packages: ["qemu-x86", "qemu-img", "qemu-ovmf-x86_64", "nftables", "dnsmasq"],
    },
];

/// What QEMU's emulator is called where no configuration calls it otherwise.
const EMULATOR: &str = "qemu-system-x86_64";

pub(super) fn examine(
    surroundings: &Surroundings,
    options: Option<&DaemonOptions>,
) -> Vec<Finding> {
    let program = options.map_or(EMULATOR, |options| &options.qemu_program);
    let mend = |package| install(package, surroundings.root);
    let emulator = match find(program) {
        Some(path) => Finding::good("qemu", version(&path)),
        None if program == EMULATOR => Finding::missing(
            "qemu",
            format!("{EMULATOR} is not on the path, and nothing else runs VMs here"),
            mend(Package::Emulator),
        ),
        None => Finding::missing(
            "qemu",
            format!("there is no {program}, which the configuration names as qemu.program"),
            None,
        ),
    };
    let tools = match find("qemu-img") {
        Some(path) => Finding::good("qemu-img", path.display().to_string()),
        None => Finding::missing(
            "qemu-img",
            "not on the path: images cannot be imported, and disks not made",
            mend(Package::Tools),
        ),
    };
    let firmware = match OVMF.iter().find(|path| Path::new(path).exists()) {
        Some(path) => Finding::good("uefi firmware", *path),
        None => Finding::lacking(
            "uefi firmware",
            "OVMF is not installed: VMs with UEFI firmware do not start",
            mend(Package::Firmware),
        ),
    };
    vec![
        emulator,
        tools,
        firmware,
        filter(surroundings.root),
        names(find("dnsmasq"), surroundings.root),
    ]
}

fn filter(root: bool) -> Finding {
    match find("nft") {
        Some(path) => Finding::good("nft", path.display().to_string()),
        None if root => Finding::missing(
            "nft",
            "not there: nothing would keep guests from this host's loopback, so those with a \
             network do not start",
            install(Package::Filter, root),
        ),
        None => Finding::good("nft", "not there, and needed only by a daemon that is root"),
    }
}

/// What answers DHCP and DNS on networks of the host, which only root's daemon has.
fn names(found: Option<PathBuf>, root: bool) -> Finding {
    match found {
        Some(path) => Finding::good("dnsmasq", path.display().to_string()),
        None if root => Finding::lacking(
            "dnsmasq",
            "not there: networks with DHCP are not made, and their guests get no addresses",
            install(Package::Names, root),
        ),
        None => Finding::good("dnsmasq", "not there, and needed only by a daemon that is root"),
    }
}

/// The program of this name, or at this path.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let folders = std::env::split_paths(&path).chain(ADMIN_FOLDERS.map(PathBuf::from));
    let executable = |path: &PathBuf| {
        path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 > 0)
    };
    folders.map(|folder| folder.join(name)).find(executable)
}

/// What the program says it is, in its first line.
fn version(program: &Path) -> String {
    let said = Command::new(program).arg("--version").output().ok();
    let text = said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned());
    let line = text.as_deref().and_then(|text| text.lines().next()).unwrap_or_default();
    format!("{}: {line}", program.display())
}

/// The command that installs the package; `None` on a system whose packages are not known here.
fn install(package: Package, root: bool) -> Option<String> {
    let installer = INSTALLERS.iter().find(|installer| find(installer.program).is_some())?;
    let is_emulator = matches!(package, Package::Emulator);
    let backports = (installer.program == "apt-get" && is_emulator).then(backports).flatten();
    let first = refresh(installer, root).unwrap_or_default();
    Some(format!("{first}{}", command(installer, package, backports.as_deref(), root)))
}

fn command(installer: &Installer, package: Package, suite: Option<&str>, root: bool) -> String {
    let sudo = if root { "" } else { "sudo " };
    let suite = suite.map(|suite| format!(" -t {suite}")).unwrap_or_default();
    format!("{sudo}{}{suite} {}", installer.command, installer.packages[package as usize])
}

/// What has to be done before apt knows of any package, as on a system that was just made.
fn refresh(installer: &Installer, root: bool) -> Option<&'static str> {
    let lists = std::fs::read_dir("/var/lib/apt/lists").into_iter().flatten().flatten();
    let mut names = lists.map(|entry| entry.file_name());
    let knows = names.any(|name| name.to_string_lossy().contains("_Packages"));
    match (installer.program, knows, root) {
        ("apt-get", false, true) => Some("apt-get update && "),
        ("apt-get", false, false) => Some("sudo apt-get update && "),
        _ => None,
    }
}

/// The backports suite, if that is where qemu-img came from: apt then refuses an emulator from
/// anywhere else.
fn backports() -> Option<String> {
    let said = Command::new("dpkg-query").args(["-W", "-f", "${Version}", "qemu-utils"]).output();
    if !String::from_utf8_lossy(&said.ok()?.stdout).contains("~bpo") {
        return None;
    }
    let release = std::fs::read_to_string("/etc/os-release").ok()?;
    let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="))?;
    Some(format!("{}-backports", codename.trim_matches('"')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_names_the_package_as_this_system_calls_it() {
        let [apt, dnf, ..] = &INSTALLERS;
        let suite = Some("trixie-backports");
        assert_eq!(
            command(apt, Package::Emulator, suite, false),
            "sudo apt-get install -t trixie-backports qemu-system-x86"
        );
        assert_eq!(command(dnf, Package::Firmware, None, true), "dnf install edk2-ovmf");
        assert_eq!(command(apt, Package::Names, None, true), "apt-get install dnsmasq-base");
        assert_eq!(command(dnf, Package::Names, None, true), "dnf install dnsmasq");
    }

    #[test]
    fn what_is_there_is_found_and_what_is_not_is_not() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program-anywhere").is_none());
    }
}
