//! Who dnsmasq runs as: what it becomes, and by whom it is believed to be ours.
//!
//! A command line is whatever a process wants it to be, so a process that looks like a server of ours is one
//! only if nobody but root, or what root made of it, could have started it.

use super::is_open_to_all;
use std::{fs, path::Path};

/// What dnsmasq becomes: somebody with no rights, if such can read its lists.
pub(super) fn user(runtime: &Path) -> &'static str {
    let users = users();
    unprivileged(&users).filter(|_| is_open_to_all(runtime)).unwrap_or("root")
}

/// The users whose processes can be servers of ours: root, which each is until it has its sockets, and what it
/// becomes then, also where the runtime folder was open to all at another time.
pub(super) fn of_servers() -> Vec<u32> {
    believed(&users())
}

/// The user of a process, who was never anybody else: `None` where it has several, as one that a user
/// started of a program that becomes root. Not asked of the folder in `/proc`, which is root's where a
/// process wants to be looked into by nobody.
pub(super) fn of_process(pid: u32) -> Option<u32> {
    only_user(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

fn users() -> String {
    fs::read_to_string("/etc/passwd").unwrap_or_default()
}

fn unprivileged(users: &str) -> Option<&'static str> {
    ["dnsmasq", "nobody"].into_iter().find(|name| id_of(users, name).is_some())
}

fn believed(users: &str) -> Vec<u32> {
    let other = unprivileged(users).and_then(|name| id_of(users, name));
    [0].into_iter().chain(other).collect()
}

fn id_of(users: &str, name: &str) -> Option<u32> {
    let mut lines = users.lines().map(|line| line.split(':'));
    lines.find_map(|mut words| (words.next() == Some(name)).then(|| words.nth(1)?.parse().ok())?)
}

/// The one user of a process: real, effective, saved and of its files are the same.
fn only_user(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    let mut users = line.split_ascii_whitespace();
    let first = users.next()?;
    users.all(|user| user == first).then(|| first.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_who_dnsmasq_becomes_are_believed_and_nobody_else() {
        let nobody = "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n";
        assert_eq!(believed(nobody), [0, 65534]);
        let both = format!("dnsmasq2:x:7:7::/:\n{nobody}dnsmasq:x:999:65534::/:/bin/false\n");
        assert_eq!(believed(&both), [0, 999]);
        for none in ["", "alice:x:1000:1000::/:\n", "nobody:x:many:1::/:\n"] {
            assert_eq!(believed(none), [0], "{none}");
        }
    }

    #[test]
    fn a_process_of_several_users_has_none() {
        assert_eq!(only_user("Name:\ta\nUid:\t999\t999\t999\t999\nGid:\t1\t1\t1\t1\n"), Some(999));
        for several in ["Uid:\t1000\t0\t0\t0\n", "Uid:\t0\t0\t1000\t0\n", "Uid:\n", ""] {
            assert_eq!(only_user(several), None, "{several}");
        }
    }
}
