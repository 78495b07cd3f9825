//! Command lines of kernels that were written for another machine.

/// The line as a q35 machine needs it, and what was changed of it, in a sentence each. `pci=off` hides
/// every disk there, and without a root the kernel finds none.
pub(super) fn fitted(line: &str) -> (String, Vec<String>) {
    let mut changes = Vec::new();
    let mut words: Vec<&str> = line.split_ascii_whitespace().collect();
    if words.contains(&"pci=off") {
        words.retain(|word| *word != "pci=off");
        changes.push("pci=off was dropped from boot_args, since it hides the disk".to_owned());
    }
    if !words.iter().any(|word| word.starts_with("root=")) {
        let has_mode = words.contains(&"ro") || words.contains(&"rw");
        words.push("root=/dev/vda");
        if !has_mode {
            words.push("rw");
        }
        changes.push("root=/dev/vda was added to boot_args, since no root was given".to_owned());
    }
    if changes.is_empty() { (line.to_owned(), changes) } else { (words.join(" "), changes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_machine_needs_is_dropped_and_what_this_one_needs_is_added() {
        for (given, fits, changes) in [
            (
                "console=ttyS0 reboot=k panic=1 pci=off",
                "console=ttyS0 reboot=k panic=1 root=/dev/vda rw",
                2,
            ),
            ("console=ttyS0 ro", "console=ttyS0 ro root=/dev/vda", 1),
            ("root=/dev/sda  quiet", "root=/dev/sda  quiet", 0),
            ("root=UUID=1 pci=off", "root=UUID=1", 1),
            ("pci=nomsi root=/dev/vda", "pci=nomsi root=/dev/vda", 0),
            ("", "root=/dev/vda rw", 1),
        ] {
            let (line, changed) = fitted(given);
            assert_eq!((line.as_str(), changed.len()), (fits, changes), "{given:?}: {changed:?}");
        }
    }
}
