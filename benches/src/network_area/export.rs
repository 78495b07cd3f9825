//! A stopped VM out of the daemon as one file, and in again as another: `inn export` and `inn import`, beside
//! what somebody would type for as much without Innkeeper. Going out that is a copy of the disk that stands
//! alone, and its digest: by `qemu-img convert` and `sha256sum`, and for information by `dd` and `sha256sum`,
//! which knows nothing of disks. Coming in it is to unpack, to compare digests, and to wait for the disk.

use crate::{
    bench::Bench,
    figure::{Figure, Measured},
    measure::statistics::{median_number, spread_of},
    report,
    rig::{
        cleanup::Process,
        daemon::{Daemon, State},
    },
};
use anyhow::ensure;
use innkeeper_model::VmConfig;
use serde_json::json;
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// How long one program may take.
const WITHIN: Duration = Duration::from_secs(120);
/// The disk, and the file that the VM goes out as.
const DISK: &str = "disk.raw";
const FILE: &str = "goes.tar";

const CONVERT: &str = "qemu-img convert -f raw -O qcow2 disk.raw root.qcow2";
const COPY: &str = "dd if=disk.raw of=root.raw bs=1M status=none";
const UNPACK: &str = "tar -xf goes.tar";
const COMPARE: &str = "sha256sum -c --quiet SHA256SUMS";

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let mebibytes = bench.rounds(256, 16);
    let state = State::new(bench)?;
    let files = state.files();
    fill(&files.join(DISK), mebibytes)?;
    let daemon = Daemon::start(&state)?;
    let mut api = daemon.api()?;
    let disks = json!([{ "name": "root", "path": files.join(DISK), "format": "raw" }]);
    let goes: VmConfig =
        serde_json::from_value(json!({ "name": "goes", "memory": "64MiB", "disks": disks }))?;
    api.create(&goes)?;

    let rate = |took: Duration| mebibytes as f64 / took.as_secs_f64();
    let by_hand = |lines: &[&str]| type_out(&files, lines);
    let file = files.join(FILE).to_string_lossy().into_owned();
    let (mut out, mut converted, mut copied) = (Vec::new(), Vec::new(), Vec::new());
    let (mut into, mut unpacked) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds(7, 1) {
        converted.push(rate(by_hand(&[CONVERT, "sha256sum root.qcow2"])?));
        copied.push(rate(by_hand(&[COPY, "sha256sum root.raw"])?));
        by_hand(&["rm root.qcow2 root.raw"])?;
        out.push(rate(run(&mut state.inn(&["export", "goes", &file]))?));
        unpacked.push(rate(by_hand(&[UNPACK, COMPARE, "sync root.qcow2"])?));
        by_hand(&["rm vm.json root.qcow2 SHA256SUMS"])?;
        into.push(rate(run(&mut state.inn(&["import", &file, "--name", "comes"]))?));
        api.ask("DELETE", "/v1/vms/comes", "")?;
        std::fs::remove_file(&file)?;
    }
    report::progress(format_args!(
        "  MiB/s: export {}, convert {}, dd {}; import {}, tar {}",
        spread_of(&mut out),
        spread_of(&mut converted),
        spread_of(&mut copied),
        spread_of(&mut into),
        spread_of(&mut unpacked)
    ));
    let figure = |what: &str, rates: &mut [f64], beside: &mut [f64]| {
        let name = format!("{what} of a VM with {mebibytes} MiB");
        Measured::new(name, median_number(rates), "MiB/s").beside(median_number(beside))
    };
    Ok(vec![
        figure("export, beside qemu-img convert and sha256sum,", &mut out, &mut converted)
            .at_least_times(0.8),
        figure("export, beside dd and sha256sum,", &mut out, &mut copied).for_information(),
        figure("import, beside tar, sha256sum -c and sync,", &mut into, &mut unpacked)
            .at_least_times(0.8),
    ])
}

/// Writes so much that cannot be packed and has no holes, and waits for the disk.
fn fill(path: &Path, mebibytes: usize) -> anyhow::Result<()> {
    let mut file = File::create_new(path)?;
    io::copy(&mut File::open("/dev/urandom")?.take((mebibytes << 20) as u64), &mut file)?;
    Ok(file.sync_all()?)
}

/// Runs these command lines in this folder, one after the other, and says how long all of them took.
fn type_out(folder: &Path, lines: &[&str]) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    for line in lines {
        let mut words = line.split(' ');
        let mut command = Command::new(words.next().unwrap_or_default());
        run(command.args(words).current_dir(folder))?;
    }
    Ok(begun.elapsed())
}

/// Runs a program to its end, and says how long it took.
fn run(command: &mut Command) -> anyhow::Result<Duration> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let begun = Instant::now();
    let status = Process::spawn(command)?.wait(WITHIN)?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(begun.elapsed())
}
