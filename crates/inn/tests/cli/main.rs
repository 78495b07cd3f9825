//! The command line as its users meet it: the real binary, its exit codes, and what it writes where.
//! Where a daemon is needed, a small one answers over a real socket with what each test prepared.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod addresses;
mod certificates;
mod changes;
mod chypervisord;
mod diagnosis;
mod exports;
mod fake;
mod images;
mod local;
mod networks;
mod nics;
mod reads;
mod sessions;
mod streams;
mod tasks;
mod tokens;
mod transfers;
mod vmadm;

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

/// The binary, with nothing in its surroundings that a test did not put there.
fn inn(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inn"));
    command.args(args).stdin(Stdio::null());
    for variable in ["INN_STATE_DIR", "INN_SOCKET", "VISUAL", "EDITOR", "NO_COLOR"] {
        command.env_remove(variable);
    }
    command
}

/// Runs the binary with everything under this folder.
fn inn_in(folder: &Path, args: &[&str]) -> Output {
    inn(args).arg("--state-dir").arg(folder).output().unwrap()
}

#[track_caller]
fn check_exit(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}", talk(output));
}

fn data(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn talk(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
