//! Writes the golden journal of this version: what a daemon has on record of one operation after the other,
//! on QEMU, with disks and networks. The next version's tests read it, cut off after each of its records
//! (`crates/engine/src/journal/golden_tests.rs`), and QEMU's steps in it (`crates/qemu/src/steps_tests.rs`).

use crate::{
    daemon::Daemon,
    host::{self, Host, Kind},
    networks, requests,
    scenarios::{START, STOP},
};
use anyhow::{Context, ensure};
use innkeeper_engine::{PowerVerb, Request};
use innkeeper_model::{
    VmId,
    config::{Boot, CloudInit},
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where they are, a folder a version.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/engine/tests/golden-qemu");
/// Files are cut at multiples of this: what follows is nothing.
const BLOCK: usize = 4096;

/// Writes it, in place of the one that there is.
pub(crate) fn write() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let threads = tokio::runtime::Runtime::new()?;
    let journal = threads.block_on(record(folder.path()));
    host::clear(folder.path());
    let (version, _patch) = env!("CARGO_PKG_VERSION").rsplit_once('.').context("a version")?;
    let golden = Path::new(GOLDEN).join(version).join("journal");
    if golden.exists() {
        fs::remove_dir_all(&golden)?;
    }
    fs::create_dir_all(&golden)?;
    for (name, bytes) in journal? {
        fs::write(golden.join(name), bytes)?;
    }
    println!("{}", golden.display());
    Ok(())
}

/// Has everything done, and returns the journal's files.
async fn record(folder: &Path) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
    let host = Arc::new(Host::open(Kind::Qemu, false, folder)?);
    let daemon = Daemon::start(Kind::Qemu, folder, host, None, None).await?;
    daemon.recover().await?;
    requests::write_host_files(&daemon)?;
    networks::prepare(&daemon).await?;
    for request in [networks::edit(&daemon)?, networks::reserve(&daemon)?] {
        daemon.must(request).await?;
    }
    daemon.must(networks::release(&daemon)?).await?;
    daemon.must(requests::add_image(&daemon)?).await?;
    let web = create(&daemon, "web", &[]).await?;
    lives(&daemon, web).await?;
    let plain = create(&daemon, "plain", &[]).await?;
    daemon.must(requests::import(&daemon, plain).await?).await?;
    daemon.must(Request::Clone { vm: web, name: "clone".parse()? }).await?;
    daemon.must(requests::edited(&daemon, web).context("there is a VM")?).await?;
    // There are no networks that a QEMU here could be plugged into: these fail, and are undone.
    let lan = create(&daemon, "lan", &["net"]).await?;
    fails(&daemon, Request::Power { vm: lan, verb: START }).await?;
    daemon.must(Request::Power { vm: web, verb: START }).await?;
    fails(&daemon, networks::nic_added(web)).await?;
    for vm in daemon.vms() {
        daemon.must(Request::Delete { vm: vm.id, force: true }).await?;
    }
    networks::clear(&daemon).await?;
    daemon.must(Request::RemoveImage { name: "swept".parse()? }).await?;
    daemon.idle().await?;
    let files = read(&folder.join("journal"))?;
    daemon.engine.stop().await;
    Ok(files)
}

async fn create(daemon: &Daemon, name: &str, nics: &[&str]) -> anyhow::Result<VmId> {
    let mut config = daemon.host.config(name, &requests::payload(daemon));
    config.nics.extend(nics.iter().map(|network| networks::nic(network)));
    if name == "plain" {
        // One that boots a file of this host's stays here.
        config.boot = Boot::default();
    }
    config.cloud_init = Some(CloudInit::default());
    let create = Request::Create { config: Box::new(config), id: None };
    daemon.must(create).await?.vm.context("a create makes a VM")
}

/// A machine's life: in it is each of QEMU's own operations but adopting.
async fn lives(daemon: &Daemon, vm: VmId) -> anyhow::Result<()> {
    let reboot = PowerVerb::Reboot { timeout: crate::daemon::LONG, force: false };
    for verb in [
        START,
        PowerVerb::Pause,
        PowerVerb::Resume,
        PowerVerb::Reset,
        reboot,
        PowerVerb::Suspend,
        PowerVerb::Resume,
        STOP,
        START,
        PowerVerb::Kill,
    ] {
        daemon.must(Request::Power { vm, verb }).await?;
    }
    Ok(())
}

async fn fails(daemon: &Daemon, request: Request) -> anyhow::Result<()> {
    let accepted = daemon.submit(request).await?;
    let task = daemon.end_of(&accepted).await?;
    ensure!(task.error.is_some(), "{task:?}");
    Ok(())
}

/// The segments, without what follows their last record.
fn read(journal: &Path) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(journal)? {
        let entry = entry?;
        let mut bytes = fs::read(entry.path())?;
        let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        bytes.truncate(length.next_multiple_of(BLOCK));
        if length > 0 {
            files.push((entry.file_name().into(), bytes));
        }
    }
    Ok(files)
}
