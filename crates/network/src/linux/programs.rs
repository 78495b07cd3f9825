//! The programs that networks need, and what to install where one is missing.

use innkeeper_model::{Code, Refusal};
use std::{
    env,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// The program that sets firewalls.
pub(crate) fn nft() -> Result<PathBuf, Refusal> {
    find("nft", "nftables", "only VMs whose NICs are on the network none can start")
}

/// The program that answers DHCP and DNS.
pub(super) fn dnsmasq() -> Result<PathBuf, Refusal> {
    find("dnsmasq", "dnsmasq-base", "a subnet can be made with dhcp: false")
}

fn find(program: &str, package: &str, meanwhile: &str) -> Result<PathBuf, Refusal> {
    let path = env::var_os("PATH").unwrap_or_default();
    // Where they are installed, which the path of a user often lacks.
    let usual = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    let mut folders = env::split_paths(&path).chain(usual).filter(|folder| folder.is_absolute());
    folders
        .find_map(|folder| Some(folder.join(program)).filter(|path| is_program(path)))
        .ok_or_else(|| {
            let message =
                format!("networks of this host need the program {program}, which is missing");
            Refusal::new(Code::MissingProgram, message)
                .with_hint(format!("apt install {package}; until then {meanwhile}"))
        })
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_its_package() {
        let refusal = find("no-such-program", "its-package", "wait").unwrap_err();
        assert_eq!(refusal.code, Code::MissingProgram);
        assert!(refusal.message.contains("no-such-program"));
        assert_eq!(refusal.hint.unwrap(), "apt install its-package; until then wait");
    }
}
