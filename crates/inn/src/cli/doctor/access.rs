//! What this user may do.

use super::Finding;
use crate::{
    config::Accelerator,
    folders::{SYSTEM_SOCKET, Surroundings},
    options::DaemonOptions,
};
use rustix::{
    fs::{Access, access},
    io::Errno,
    process::{getegid, getgroups},
};
use std::{fs, path::Path};

const KVM: &str = "/dev/kvm";
const GROUP: &str = "innkeeper";

pub(super) fn kvm(surroundings: &Surroundings, options: Option<&DaemonOptions>) -> Finding {
    let needed = options.is_some_and(|options| options.accelerator == Accelerator::Kvm);
    type Bad = fn(&'static str, String, Option<String>) -> Finding;
    let (bad, slow): (Bad, _) = if needed {
        (Finding::missing, "no VM starts, since the configuration says accelerator = \"kvm\"")
    } else {
        (Finding::lacking, "guests run with TCG, which is many times slower")
    };
    match access(KVM, Access::READ_OK | Access::WRITE_OK) {
        Ok(()) => Finding::good("kvm", format!("{KVM} is there; inn host tells whether it works")),
        Err(Errno::NOENT) => bad(
            "kvm",
            format!(
                "there is no {KVM}: {slow}; switch virtualisation on in this machine's firmware, \
                 or nested virtualisation if it is a VM itself"
            ),
            Some(sudo(surroundings, "modprobe -a kvm kvm_intel kvm_amd")),
        ),
        Err(_) => bad(
            "kvm",
            format!("{KVM} is there, but not for this user: {slow}"),
            Some(sudo(surroundings, "usermod -aG kvm $USER   # then log in again")),
        ),
    }
}

/// Whether this user may use the daemon that root runs; `None` where that does not arise.
pub(super) fn group(surroundings: &Surroundings) -> Option<Finding> {
    let own = surroundings.socket.is_some() || surroundings.state_dir.is_some();
    if own {
        return None;
    }
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    let Some(id) = group_id(&groups, GROUP) else {
        return surroundings.root.then(|| {
            Finding::lacking(
                "group",
                format!("there is no group {GROUP}: only root can use root's daemon"),
                format!("groupadd --system {GROUP}"),
            )
        });
    };
    let member = getegid().as_raw() == id
        || getgroups().is_ok_and(|groups| groups.iter().any(|group| group.as_raw() == id));
    if surroundings.root || member {
        return Some(Finding::good("group", format!("this user may use {SYSTEM_SOCKET}")));
    }
    // Somebody who runs a daemon of their own does not need the other.
    Path::new(SYSTEM_SOCKET).exists().then(|| {
        Finding::lacking(
            "group",
            format!("this user is not in the group {GROUP}, and may not use {SYSTEM_SOCKET}"),
            sudo(surroundings, &format!("usermod -aG {GROUP} $USER   # then log in again")),
        )
    })
}

fn sudo(surroundings: &Surroundings, command: &str) -> String {
    if surroundings.root { command.into() } else { format!("sudo {command}") }
}

/// The id of a group, from the text of `/etc/group`.
fn group_id(groups: &str, name: &str) -> Option<u32> {
    let mut lines = groups.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.find(|fields| fields.first() == Some(&name))?.get(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_by_its_whole_name() {
        let text = "root:x:0:\ninnkeeper2:x:7:\ninnkeeper:x:998:ada,bob\n";
        assert_eq!(group_id(text, "innkeeper"), Some(998));
        assert_eq!(group_id(text, "inn"), None);
    }
}
