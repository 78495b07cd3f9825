//! A sample of the sweep, drawn anew each time; `make sweep` does all of it.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::{io::Write, process::Command};

fn sample(driver: &str, count: usize) {
    let folder = tempfile::tempdir().unwrap();
    let seed = std::env::var("SWEEP_SEED").unwrap_or_else(|_| std::process::id().to_string());
    // Past the test harness, which keeps what is printed by tests that pass.
    let _nobody_reads = writeln!(std::io::stderr(), "a sample of the sweep: SWEEP_SEED={seed}");
    let output = Command::new(env!("CARGO_BIN_EXE_inn-sweep"))
        .args(["--driver", driver, "--sample", &count.to_string(), "--seed", &seed])
        .arg("--report")
        .arg(folder.path().join("sweep.json"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "repeat it with SWEEP_SEED={seed}\n{text}{errors}");
}

#[test]
fn simulated_operations_can_be_cut_short_anywhere() {
    sample("sim", 80);
}

#[test]
fn operations_of_qemu_can_be_cut_short_anywhere() {
    sample("qemu", 12);
}
