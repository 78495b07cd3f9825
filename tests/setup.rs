//! What `scripts/setup` does on machines that are not like this one: a copy of it in a folder of its own, with
//! a table of needs and programs that a test wrote. It installs nothing.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/setup");

/// A machine, and a fresh clone on it.
struct Machine {
    folder: TempDir,
}

impl Machine {
    /// One that needs nothing but this line of the table says.
    fn needing(need: &str) -> Self {
        let machine = Self { folder: tempfile::tempdir().unwrap() };
        let script = fs::read_to_string(SCRIPT).unwrap();
        let (before, table) = script.split_once("cat <<'END'\n").unwrap();
        let (_, after) = table.split_once("\nEND\n").unwrap();
        machine
            .program("clone/scripts/setup", &format!("{before}cat <<'END'\n{need}\nEND\n{after}"));
        machine.write("clone/Cargo.toml", "[workspace.package]\nrust-version = \"1.95\" # why\n");
        // What only tests use is there, as far as it comes from elsewhere.
        let version = script.lines().find_map(|line| line.strip_prefix("SCHEMATHESIS=")).unwrap();
        let tool = format!("clone/target/tools/schemathesis-{version}/bin/schemathesis");
        machine.program(&tool, "#!/bin/sh\n");
        machine.write("clone/sdk/js/package.json", "{}");
        machine.write("clone/sdk/js/node_modules/.installed-for.json", "{}");
        machine.program("bin/cargo", "#!/bin/sh\n");
        machine.has_rust("1.95.0 (59807616e 2026-04-14)");
        // Root's work is on record, and done by programs of the test's too.
        machine.program(
            "bin/sudo",
            "#!/bin/sh\nwhile [ \"$1\" = -E ] || [ \"$1\" = -n ]; do shift; done\n\"$@\"\n",
        );
        machine.program(
            "bin/apt-get",
            &format!("#!/bin/sh\necho \"$*\" >>{}\n", machine.record().display()),
        );
        machine.program("bin/apt-cache", "#!/bin/sh\necho '  Candidate: (none)'\n");
        machine
    }

    fn has_rust(&self, version: &str) {
        self.program("bin/rustc", &format!("#!/bin/sh\necho 'rustc {version}'\n"));
    }

    /// Where what was asked of apt is on record.
    fn record(&self) -> PathBuf {
        self.folder.path().join("asked")
    }

    /// How often apt's lists were fetched.
    fn updates(&self) -> usize {
        let asked = fs::read_to_string(self.record()).unwrap_or_default();
        asked.lines().filter(|line| line.ends_with("update")).count()
    }

    fn set_up(&self, arguments: &[&str]) -> Output {
        let mut path = vec![self.folder.path().join("bin")];
        path.extend(env::split_paths(&env::var_os("PATH").unwrap()));
        Command::new(self.folder.path().join("clone/scripts/setup"))
            .args(arguments)
            .env("PATH", env::join_paths(path).unwrap())
            .output()
            .unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        let file = self.folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    fn program(&self, name: &str, text: &str) {
        self.write(name, text);
        let file: &Path = &self.folder.path().join(name);
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_compiler_that_is_too_old_is_told_before_anything_is_installed() {
    let machine = Machine::needing("build /nowhere/cc gcc");
    for old in ["1.94.1 (e408947bf 2026-03-25)", "1.9.0", "1.85.0 (4d91de4e4) (from a package)"] {
        machine.has_rust(old);
        let output = machine.set_up(&[]);
        let (said, found) = (said(&output), old.split(' ').next().unwrap());
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("Rust 1.95 or newer") && said.contains("rustup"), "{said}");
        assert!(said.contains(&format!("this is {found};")), "{said}");
        assert!(!machine.record().exists(), "something was installed");
    }
    let machine = Machine::needing("build cargo cargo");
    for new in ["1.95.0", "1.95.1-beta.2 (b2c3 2026-05-01)", "1.100.0-nightly (a1b2 2026-12-01)"] {
        machine.has_rust(new);
        let output = machine.set_up(&[]);
        assert!(output.status.success() && output.stderr.is_empty(), "{new}: {}", said(&output));
    }
}

#[test]
fn a_package_of_tests_that_does_not_exist_costs_one_look_a_day() {
    let machine = Machine::needing("test /nowhere/browser no-such-browser");
    for _ in 0..3 {
        let output = machine.set_up(&["--test"]);
        let said = said(&output);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("there is no package no-such-browser here"), "{said}");
        assert_eq!(machine.updates(), 1, "{said}");
    }
    // A day later, it may be there.
    let note = machine.folder.path().join("clone/target/packages-not-to-be-had");
    let touched = Command::new("touch").args(["-d", "25 hours ago"]).arg(&note).status().unwrap();
    assert!(touched.success());
    machine.set_up(&["--test"]);
    assert_eq!(machine.updates(), 2);
}
