//! The processes of domains, which libvirt tells nobody: they are found in `/proc`, by what libvirt
//! writes on a QEMU's command line.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
};
use uuid::Uuid;

/// What QEMU's programs are called by the kernel, which keeps 15 characters; distributions have names
/// of their own.
const PROGRAMS: [&str; 2] = ["kvm", "qemu-kvm"];
const PROGRAM_PREFIX: &str = "qemu-system";

/// Finds the processes of these domains, as far as they can be seen from here. Blocks, for about a
/// millisecond a hundred processes of the host.
pub(crate) fn find(domains: &HashSet<Uuid>) -> HashMap<Uuid, u32> {
    find_in(Path::new("/proc"), domains)
}

fn find_in(proc: &Path, domains: &HashSet<Uuid>) -> HashMap<Uuid, u32> {
    let processes = fs::read_dir(proc).into_iter().flatten().flatten();
    let domain = |folder: &Path| {
        let name = fs::read_to_string(folder.join("comm")).ok()?;
        let name = name.trim_end();
        let is_qemu = name.starts_with(PROGRAM_PREFIX) || PROGRAMS.contains(&name);
        if is_qemu { domain_of(&fs::read(folder.join("cmdline")).ok()?) } else { None }
    };
    let of_pid = |entry: fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse::<u32>().ok()?;
        let domain = domain(&entry.path())?;
        domains.contains(&domain).then_some((domain, pid))
    };
    processes.filter_map(of_pid).collect()
}

/// The domain that a command line is of, if libvirt wrote it.
fn domain_of(command_line: &[u8]) -> Option<Uuid> {
    let arguments: Vec<&[u8]> = command_line.split(|byte| *byte == 0).collect();
    let after = |option: &[u8]| {
        let at = arguments.iter().position(|argument| *argument == option)?;
        arguments.get(at + 1).and_then(|value| std::str::from_utf8(value).ok())
    };
    after(b"-name").filter(|name| name.starts_with("guest="))?;
    after(b"-uuid")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOMAIN: Uuid = Uuid::from_u128(7);

    fn process(proc: &Path, pid: u32, name: &str, arguments: &[&str]) {
        let folder = proc.join(pid.to_string());
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("comm"), format!("{name}\n")).unwrap();
        fs::write(folder.join("cmdline"), arguments.join("\0")).unwrap();
    }

    #[test]
    fn a_domains_process_is_the_qemu_that_libvirt_gave_its_id() {
        let proc = tempfile::tempdir().unwrap();
        let uuid = DOMAIN.to_string();
        let of_libvirt = ["qemu", "-name", "guest=web,debug-threads=on", "-uuid", &uuid];
        process(proc.path(), 10, "bash", &of_libvirt);
        process(proc.path(), 11, "qemu-system-x86", &["qemu", "-name", "web", "-uuid", &uuid]);
        process(proc.path(), 12, "qemu-system-x86", &of_libvirt);
        process(proc.path(), 13, "qemu-system-x86", &["qemu", "-name", "guest=web", "-uuid"]);
        fs::write(proc.path().join("uptime"), "1 2").unwrap();
        assert_eq!(find_in(proc.path(), &HashSet::from([DOMAIN])), HashMap::from([(DOMAIN, 12)]));
        assert_eq!(find_in(proc.path(), &HashSet::from([Uuid::nil()])), HashMap::new());
    }
}
