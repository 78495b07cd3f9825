//! Suspend and resume of a guest whose memory is full, beside what QEMU by itself takes to write the
//! same image and to read it: told to by its own protocol, with the file synced and QEMU ended after
//! the one, and with QEMU started before the other. A suspend is that, and so is a resume.

use crate::{
    bench::Bench,
    figure::{Figure, Measured},
    measure::statistics::{median, ms},
    report,
    rig::{
        api::Api,
        by_hand::ByHand,
        cleanup::Folder,
        daemon::{Daemon, State},
        guest::{FILLED, SerialLine, UP_WITHIN, fills_its_memory},
        qmp::Qmp,
    },
};
use anyhow::{Context, ensure};
use innkeeper_model::VmId;
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, Instant},
};

/// How long QEMU may take to end when it is told to.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let (state, by_hand_in) = (State::new(bench)?, Folder::new(&bench.scratch)?);
    let daemon = Daemon::start(&state)?;
    let mut api = daemon.api()?;
    let id = api.create(&fills_its_memory("full", &state.files())?)?;
    api.power(id, "start")?;
    let run_folder = state.path().join("run/vms").join(id.to_string());
    SerialLine::open(&run_folder, UP_WITHIN)?.wait_for(FILLED, UP_WITHIN)?;

    // Once for all to be warm, and to see how a machine is started that takes an image over.
    api.power(id, "suspend")?;
    api.power(id, "resume")?;
    let incarnation = api.vm(id)?.incarnation.context("a running VM has an incarnation")?;
    let by_hand = ByHand::like(&incarnation)?;

    let image = state.path().join("pool/volumes").join(id.to_string()).join("memory.img");
    let (mut suspends, mut resumes, mut saves, mut loads) = (vec![], vec![], vec![], vec![]);
    for _ in 0..bench.rounds(21, 1) {
        suspends.push(timed(&mut api, id, "suspend")?);
        let own = by_itself(&by_hand, by_hand_in.path(), &image)?;
        loads.push(own.load);
        saves.push(own.save);
        resumes.push(timed(&mut api, id, "resume")?);
        report::progress(format_args!(
            "  suspend {:.0?} beside {:.0?}, resume {:.0?} beside {:.0?}; {} of {} MiB",
            suspends.last().context("one was measured")?,
            own.save,
            resumes.last().context("one was measured")?,
            own.load,
            own.written >> 20,
            own.read >> 20,
        ));
        ensure!(own.written.abs_diff(own.read) < 1 << 20, "the two images are not the same");
    }
    let figure = |name: &str, times: &mut [Duration], own: &mut [Duration]| {
        let name = format!("{name} of a full 256 MiB guest, beside QEMU's own");
        Measured::new(name, ms(median(times)), "ms").beside(ms(median(own))).at_most_times(1.1)
    };
    Ok(vec![
        figure("suspend", &mut suspends, &mut saves),
        figure("resume", &mut resumes, &mut loads),
    ])
}

fn timed(api: &mut Api, id: VmId, verb: &str) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    api.power(id, verb)?;
    Ok(begun.elapsed())
}

/// What QEMU takes by itself.
struct Own {
    load: Duration,
    save: Duration,
    /// The room that the images take, in bytes: what was read, and what was written.
    read: u64,
    written: u64,
}

/// Has a QEMU take an image over, and write one.
fn by_itself(by_hand: &ByHand, folder: &Path, image: &Path) -> anyhow::Result<Own> {
    // Where a QEMU of before listened.
    let _not_there = fs::remove_file(folder.join("qmp"));
    let begun = Instant::now();
    let (qemu, _line) = by_hand.start(folder)?;
    let mut qmp = Qmp::connect(&folder.join("qmp"))?;
    set_up(&mut qmp)?;
    qmp.execute("migrate-incoming", &json!({ "uri": format!("file:{}", image.display()) }))?;
    qmp.event(|event| migration(event) == Some("completed"))?;
    qmp.execute("cont", &json!({}))?;
    qmp.event(|event| event["event"] == "RESUME")?;
    let load = begun.elapsed();

    let saved = folder.join("memory.img");
    let _not_there = fs::remove_file(&saved);
    let begun = Instant::now();
    qmp.execute("stop", &json!({}))?;
    set_up(&mut qmp)?;
    qmp.execute("migrate", &json!({ "uri": format!("file:{}", saved.display()) }))?;
    qmp.event(|event| migration(event) == Some("completed"))?;
    File::open(&saved)?.sync_all()?;
    qmp.execute("quit", &json!({}))?;
    qemu.wait(ENDS_WITHIN)?;
    let save = begun.elapsed();
    let room = |path: &Path| Ok::<_, std::io::Error>(fs::metadata(path)?.blocks() * 512);
    Ok(Own { load, save, read: room(image)?, written: room(&saved)? })
}

/// As Innkeeper does it (`qemu::driver::suspend`).
fn set_up(qmp: &mut Qmp) -> anyhow::Result<()> {
    let on = |capability| json!({ "capability": capability, "state": true });
    let capabilities = json!({ "capabilities": [on("mapped-ram"), on("events")] });
    qmp.execute("migrate-set-capabilities", &capabilities)?;
    qmp.execute("migrate-set-parameters", &json!({ "max-bandwidth": 0 }))?;
    Ok(())
}

fn migration(event: &Value) -> Option<&str> {
    (event["event"] == "MIGRATION").then(|| event["data"]["status"].as_str()).flatten()
}
