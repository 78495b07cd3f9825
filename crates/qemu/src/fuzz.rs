//! Entrances for fuzzers: what a QEMU says, and how one that is not Innkeeper's was started.

/// Lines of QMP.
pub fn qmp(bytes: &[u8]) {
    crate::qmp::fuzz::lines(bytes);
}

/// A command line as `/proc` has it: words that end with a zero byte.
pub fn command_line(bytes: &[u8]) {
    let words = bytes.split(|byte| *byte == 0);
    let argv: Vec<_> = words.map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let _ = crate::foreign::Described::of(&argv);
}
