//! The command line as the host's kernel has it, of processes that were really executed with what a
//! hostile caller wrote. (That QEMU itself takes it as meant is shown by a whole-system test.)

use super::*;
use crate::process::{Spawn, open_folder, spawn};
use innkeeper_model::SmallMap;
use rustix::{fd::AsFd, process::Signal};
use std::{
    fs,
    time::{Duration, Instant},
};

/// What is in every text that must not be in the command line at all.
const MARK: &str = "Unmistakable";

/// What a caller wrote, as far as it is free text.
#[derive(Debug, Clone)]
struct Written {
    name: String,
    description: String,
    label: String,
    cmdline: String,
    serial: String,
    cpu_model: String,
    /// A kernel's file in a folder that the operator allowed.
    path: String,
}

impl Written {
    /// Nothing that could be taken for anything else; as long as it must be for the same options.
    fn harmless(&self) -> Self {
        let plain = |text: &str| if text.is_empty() { "" } else { "plain" }.to_owned();
        Self { cmdline: plain(&self.cmdline), serial: plain(&self.serial), ..self.clone() }
    }

    fn config(&self) -> VmConfig {
        let mut config = config(
            r#"{"name": "web", "boot": {"kernel": {"image": "tiny"}},
                "disks": [{"name": "root", "image": "base"}],
                "nics": [{"name": "net", "mac": "52:54:00:00:00:01"}]}"#,
        );
        config.name = format!("{MARK}{}", self.name).parse().unwrap();
        config.description = format!("{MARK}{}", self.description);
        let label = format!("{MARK}{}", self.label);
        config.labels = SmallMap::from_iter([(label.clone(), label)]);
        config.cpu_model = Some(self.cpu_model.clone());
        config.disks[0].serial = Some(self.serial.clone());
        let Boot::Kernel(kernel) = &mut config.boot else { unreachable!() };
        kernel.cmdline.clone_from(&self.cmdline);
        config.validate().unwrap();
        config
    }

    fn argv(&self) -> Vec<String> {
        let config = self.config();
        let mut files = files(&config);
        files.kernel =
            Some(KernelFiles { kernel: format!("/{MARK}/{}", self.path).into(), initrd: None });
        built_with(config, files).0.argv
    }
}

/// Pieces of every syntax that could be on the way: QEMU's, JSON's, a shell's, a terminal's.
const PIECES: &[&str] = &[
    ",", ",,", "=", ",id=x", ",fd=3", "\"", "\\", "\\\"", "{", "}", "[", "'", ":", ";", "|", "&",
    " ", "  ", "\t", "\n", "\r\n", "-", "--", "-S", "-drive", "$(id)", "`id`", "${A}", "%s", "../",
    "/dev/fd", "file=/x", "on", "\u{7f}", "\u{1b}[", "\u{202e}", "\u{feff}", "é", "🦀",
];

fn hostile(longest: usize) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(PIECES).prop_map(str::to_owned),
        1 => "[^\u{0}]{1,8}",
    ];
    prop::collection::vec(piece, 0..8).prop_map(move |pieces| cut(&pieces.concat(), longest))
}

fn cut(text: &str, longest: usize) -> String {
    let mut length = 0;
    text.chars()
        .take_while(|c| {
            length += c.len_utf8();
            length <= longest
        })
        .collect()
}

fn written() -> impl Strategy<Value = Written> {
    let serial = hostile(60).prop_map(|text| cut(&text.replace(char::is_control, ""), 20));
    let texts = (hostile(200), hostile(60), hostile(400), serial, hostile(100));
    ("[A-Za-z0-9._-]{0,40}", "[A-Za-z0-9._-]{1,64}", texts).prop_map(
        |(name, cpu_model, (description, label, cmdline, serial, path))| Written {
            name,
            cpu_model,
            description,
            label,
            cmdline,
            serial,
            path,
        },
    )
}

/// Executes a program with these arguments, as a QEMU is, and returns those that the kernel has.
fn executed(arguments: &[String]) -> Vec<String> {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stand-in").to_owned();
    let argv: Vec<String> =
        [program.clone()].into_iter().chain(arguments.iter().cloned()).collect();
    let folder = open_folder(Path::new("/")).unwrap();
    let request = Spawn {
        argv: &argv,
        folder: folder.as_fd(),
        descriptors: Vec::new(),
        output: tempfile::tempfile().unwrap().into(),
        uid: None,
        cgroups: Default::default(),
    };
    let (process, identity) = spawn(request, |_| Ok(())).unwrap();
    let of_it = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", identity.pid)).unwrap();
    let begun = Instant::now();
    let stopped = || of_it("stat").rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'));
    while !stopped() && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_micros(200));
    }
    let cmdline = of_it("cmdline");
    process.signal(Signal::KILL, "test");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(process.ended()).unwrap();

    let cmdline = cmdline.strip_suffix('\0').expect("the arguments end with a NUL");
    let shell_and_program = format!("/bin/sh\0{program}\0");
    let rest = cmdline.strip_prefix(&shell_and_program).expect("the stand-in is a shell's script");
    rest.split('\0').map(str::to_owned).collect()
}

/// Compares an argument with what it is where nothing is hostile: the same text, or the same JSON but
/// for the values that the caller wrote.
fn check(argument: &str, harmless: &str, written: &Written) -> Result<(), TestCaseError> {
    let Ok(Value::Object(expected)) = serde_json::from_str(harmless) else {
        prop_assert_eq!(argument, harmless);
        return Ok(());
    };
    let Value::Object(found) = serde_json::from_str(argument).unwrap() else {
        return Err(TestCaseError::fail(format!("{argument} is no object any more")));
    };
    prop_assert!(found.keys().eq(expected.keys()), "{} has other members", argument);
    for (member, value) in &found {
        match member.as_str() {
            "serial" => prop_assert_eq!(value, &written.serial),
            member => prop_assert_eq!(value, &expected[member], "{}", member),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_of_a_caller_is_syntax_to_a_process(written in written()) {
        let (argv, harmless) = (written.argv(), written.harmless().argv());
        let found = executed(&argv[1..]);
        prop_assert_eq!(&found, &argv[1..], "the process has other arguments than the record");
        prop_assert_eq!(found.len(), harmless.len() - 1, "a text became an argument");
        for (at, (argument, harmless)) in found.iter().zip(&harmless[1..]).enumerate() {
            prop_assert!(!argument.contains(MARK), "{argument}");
            match found[at.saturating_sub(1)].as_str() {
                // Whole arguments, which QEMU does not take apart.
                "-append" if harmless == "plain" => prop_assert_eq!(argument, &written.cmdline),
                "-cpu" => prop_assert_eq!(argument, &written.cpu_model),
                _ => check(argument, harmless, &written)?,
            }
        }
    }
}
