//! The programs and files that other packages bring.

use super::Finding;
use crate::{folders::Surroundings, options::DaemonOptions};
use innkeeper_qemu::{OLDEST_QEMU, is_too_old};
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

/// The oldest dnsmasq that knows all that networks ask of it: `dhcp-ignore-clid`, and several IPv6 addresses
/// for one host.
const OLDEST_DNSMASQ: (u32, u32) = (2, 81);

/// What QEMU's emulator is called where no configuration calls it otherwise.
const EMULATOR: &str = "qemu-system-x86_64";

pub(super) fn examine(
    surroundings: &Surroundings,
    options: Option<&DaemonOptions>,
) -> Vec<Finding> {
    let program = options.map_or(EMULATOR, |options| &options.qemu_program);
    let mend = |package| install(package, surroundings.root);
    let emulator = match find(program) {
        Some(path) => qemu(&path, &first_line(&path), mend),
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
        names(&look("dnsmasq", folders()), surroundings.root),
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

/// An emulator, by what it says of its version.
fn qemu(path: &Path, said: &str, mend: impl Fn(Package) -> Option<String>) -> Finding {
    let said_so = format!("{}: {said}", path.display());
    if is_too_old(said) {
        let detail = format!("{said_so}, and {OLDEST_QEMU}.0 or newer is needed: no VM starts");
        return Finding::missing("qemu", detail, mend(Package::Emulator));
    }
    Finding::good("qemu", said_so)
}

/// What answers DHCP and DNS on networks of the host, which only root's daemon has.
fn names(found: &Found, root: bool) -> Finding {
    let (what, mend) = match found {
        Found::Program(path) => match judge_dnsmasq(&first_line(path)) {
            Ok(version) => {
                return Finding::good("dnsmasq", format!("{}: {version}", path.display()));
            }
            Err(problem) => {
                (format!("{} {problem}", path.display()), install(Package::Names, root))
            }
        },
        Found::NotExecutable(path) => (
            format!("{} is not executable", path.display()),
            Some(format!("chmod a+x {}", path.display())),
        ),
        Found::Nothing => ("not there".into(), install(Package::Names, root)),
    };
    if root {
        let so = "networks with DHCP are not made, and their guests get no addresses";
        return Finding::lacking("dnsmasq", format!("{what}: {so}"), mend);
    }
    Finding::good("dnsmasq", format!("{what}, and needed only by a daemon that is root"))
}

/// The version that is said in `Dnsmasq version 2.90  Copyright …`, or why it is of no use.
fn judge_dnsmasq(line: &str) -> Result<&str, String> {
    let version = line.strip_prefix("Dnsmasq version ").and_then(|rest| rest.split(' ').next());
    let version = version.ok_or_else(|| format!("says {line:?}, which is no dnsmasq's version"))?;
    // Some have a name before it or a suffix behind it: pi-hole-2.89, 2.90test1.
    let digits = version.trim_start_matches(|c: char| !c.is_ascii_digit());
    let mut numbers = digits.split(|c: char| !c.is_ascii_digit()).map_while(|n| n.parse().ok());
    let (oldest, minor) = OLDEST_DNSMASQ;
    match (numbers.next(), numbers.next()) {
        (Some(found), other) if (found, other.unwrap_or(0)) < OLDEST_DNSMASQ => {
            Err(format!("is version {version}, and {oldest}.{minor} or newer is needed"))
        }
        _ => Ok(version),
    }
}

/// What there is of a program's name.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Program(PathBuf),
    /// Only such as cannot be run.
    NotExecutable(PathBuf),
    Nothing,
}

/// Where programs are looked for.
fn folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    std::env::split_paths(&path).chain(ADMIN_FOLDERS.map(PathBuf::from)).collect()
}

/// The first program of this name in these folders.
fn look(name: &str, folders: Vec<PathBuf>) -> Found {
    let paths = folders.into_iter().map(|folder| folder.join(name));
    let files: Vec<PathBuf> = paths.filter(|path| path.is_file()).collect();
    let executable =
        |path: &&PathBuf| path.metadata().is_ok_and(|found| found.permissions().mode() & 0o111 > 0);
    match (files.iter().find(executable), files.first()) {
        (Some(program), _) => Found::Program(program.clone()),
        (None, Some(other)) => Found::NotExecutable(other.clone()),
        (None, None) => Found::Nothing,
    }
}

/// The program of this name, or at this path.
fn find(name: &str) -> Option<PathBuf> {
    match look(name, folders()) {
        Found::Program(path) => Some(path),
        Found::NotExecutable(_) | Found::Nothing => None,
    }
}

/// The first line of what it says of its version; empty where it does not run.
fn first_line(program: &Path) -> String {
    let said = Command::new(program).arg("--version").output().ok();
    let text = said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned());
    text.as_deref().and_then(|text| text.lines().next()).unwrap_or_default().to_owned()
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
    use crate::cli::doctor::Verdict;

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
    fn a_program_that_cannot_be_run_is_told_apart_from_none() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
        let both = || vec![first.clone(), second.clone()];
        std::fs::create_dir_all(first.join("dnsmasq")).unwrap();
        std::fs::create_dir(&second).unwrap();
        assert_eq!(look("dnsmasq", both()), Found::Nothing, "a folder is no program");
        std::fs::remove_dir(first.join("dnsmasq")).unwrap();
        let write = |folder: &Path, mode| {
            let path = folder.join("dnsmasq");
            std::fs::write(&path, "").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let useless = write(&first, 0o644);
        assert_eq!(look("dnsmasq", both()), Found::NotExecutable(useless));
        let useful = write(&second, 0o755);
        assert_eq!(look("dnsmasq", both()), Found::Program(useful));
    }

    #[test]
    fn a_qemu_that_is_too_old_is_missing() {
        let judge = |said: &str| qemu(Path::new("/usr/bin/q"), said, |_| Some("mend it".into()));
        let old = judge("QEMU emulator version 8.2.2 (Debian 1:8.2.2+ds-0ubuntu1)");
        assert_eq!((old.verdict, old.mend.as_deref()), (Verdict::Missing, Some("mend it")));
        assert!(old.detail.contains("8.2.2") && old.detail.contains("10.0"), "{}", old.detail);
        for said in ["QEMU emulator version 10.0.2 (Debian)", "QEMU emulator version UNKNOWN", ""] {
            assert_eq!(judge(said).verdict, Verdict::Good, "{said}");
        }
    }

    #[test]
    fn dnsmasq_is_old_enough_by_what_it_says() {
        for (said, version) in [
            ("Dnsmasq version 2.90  Copyright (c) 2000-2024 Simon Kelley", "2.90"),
            ("Dnsmasq version 2.81  Copyright", "2.81"),
            ("Dnsmasq version 3  Copyright", "3"),
            ("Dnsmasq version pi-hole-v2.92rc1  Copyright", "pi-hole-v2.92rc1"),
            ("Dnsmasq version UNKNOWN  Copyright", "UNKNOWN"),
        ] {
            assert_eq!(judge_dnsmasq(said), Ok(version));
        }
        for (said, problem) in [
            ("Dnsmasq version 2.80  Copyright", "is version 2.80, and 2.81 or newer is needed"),
            ("Dnsmasq version 2.9test1  Copyright", "is version 2.9test1, and 2.81 or newer is"),
            ("", "says \"\", which is no dnsmasq's"),
            ("BusyBox v1.37", "says \"BusyBox v1.37\", which"),
        ] {
            let found = judge_dnsmasq(said).unwrap_err();
            assert!(found.starts_with(problem), "{said}: {found}");
        }
    }

    #[test]
    fn dnsmasq_is_lacking_where_there_is_none_and_only_for_root() {
        let none = names(&Found::Nothing, true);
        assert_eq!((none.verdict, none.mend), (Verdict::Lacking, install(Package::Names, true)));
        assert!(none.detail.starts_with("not there: networks with DHCP"), "{}", none.detail);
        let useless = Found::NotExecutable("/opt/dnsmasq".into());
        let found = names(&useless, true);
        assert_eq!(found.verdict, Verdict::Lacking);
        assert_eq!(found.mend.as_deref(), Some("chmod a+x /opt/dnsmasq"));
        for nothing in [Found::Nothing, useless] {
            let found = names(&nothing, false);
            assert_eq!((found.verdict, found.mend), (Verdict::Good, None));
            assert!(found.detail.ends_with("needed only by a daemon that is root"));
        }
    }

    #[test]
    fn what_is_there_is_found_and_what_is_not_is_not() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program-anywhere").is_none());
    }
}
