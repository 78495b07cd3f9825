//! A NIC plugged into a running guest: from the request until the guest has it, beside the bare commands
//! of QEMU's own protocol to the same QEMU: with a tap that is there already, and with all that has to be done
//! once somebody has asked, which is to write down what will be done and to make the tap.

use crate::{
    bench::Bench,
    figure::{Figure, Measured},
    measure::statistics::{median, ms, spread},
    report,
    rig::{
        api::Api,
        by_hand::ByHand,
        cleanup::Folder,
        daemon::{Daemon, State},
        guest::{SerialLine, UP_WITHIN, tiny},
        network::Lan,
        qmp::Qmp,
    },
};
use anyhow::Context;
use innkeeper_model::{
    Incarnation, VmId,
    config::{MacAddress, Nic},
};
use serde_json::json;
use std::{
    fs::File,
    io::Write,
    time::{Duration, Instant},
};

/// Both guests' only NIC.
const NAME: &str = "extra";
/// What a plan takes in the journal, in bytes.
const RECORD: usize = 3 << 10;

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let (state, by_hand_in) = (State::new(bench)?, Folder::new(&bench.scratch)?);
    let daemon = Daemon::start(&state)?;
    let mut api = daemon.api()?;
    api.create_network("lan", "10.87.3.0/24")?;
    let mut config = tiny(bench, "sample", "")?;
    config.nics.clear();
    let id = api.create(&config)?;
    api.power(id, "start")?;
    let run_folder = state.path().join("run/vms").join(id.to_string());
    let mut line = SerialLine::open(&run_folder, UP_WITHIN)?;
    line.log_in()?;
    let incarnation = api.vm(id)?.incarnation.context("a running VM has an incarnation")?;
    let mac = MacAddress::from_suffix([1, 2, 3]);
    let lan = Lan::new(Folder::new(&bench.scratch)?, mac)?;
    let journal = File::create(by_hand_in.path().join("journal"))?;
    let (_qemu, mut own_line) = ByHand::like(&incarnation)?.start(by_hand_in.path())?;
    own_line.log_in()?;
    let qmp = Qmp::connect(&by_hand_in.path().join("qmp"))?;
    let mut bare = Bare { qmp, lan, journal, mac, port: free_port(&incarnation)? };

    // Once for all to be warm.
    by_inn(&mut api, id, &mut line)?;
    bare.plug(&mut own_line, Tap::IsThere)?;
    let (mut inns, mut bares, mut floors) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds(25, 1) {
        inns.push(by_inn(&mut api, id, &mut line)?);
        bares.push(bare.plug(&mut own_line, Tap::IsThere)?);
        floors.push(bare.plug(&mut own_line, Tap::IsMade)?);
    }
    let spreads = [&mut inns, &mut bares, &mut floors].map(|taken| spread(taken));
    report::progress(format_args!(
        "  inn {}, bare {}, floor {}",
        spreads[0], spreads[1], spreads[2]
    ));
    let measured = |peer: &str| {
        let name = format!("a NIC plugged in, request to seen by the guest, beside {peer}");
        Measured::new(name, ms(median(&mut inns.clone())), "ms")
    };
    Ok(vec![
        measured("QEMU's bare commands").beside(ms(median(&mut bares))).at_most_times(1.2),
        measured("those, a record and a tap made")
            .beside(ms(median(&mut floors)))
            .at_most_times(1.2),
    ])
}

fn by_inn(api: &mut Api, id: VmId, line: &mut SerialLine) -> anyhow::Result<Duration> {
    let mut nic = Nic::new(NAME.parse()?);
    nic.network = "lan".parse()?;
    look_for_it(line)?;
    let begun = Instant::now();
    api.begin_nic(id, &nic)?;
    let seen = line.wait_for(b"SEEN", UP_WITHIN)?;
    // Waits its turn, and until the guest has let go of it.
    api.ask("DELETE", &format!("/v1/vms/{id}/nics/{NAME}"), "")?;
    Ok(seen - begun)
}

/// Has the guest look whether it has a NIC, again and again. The quotes keep the echo of the command from
/// looking like its output.
fn look_for_it(line: &mut SerialLine) -> anyhow::Result<()> {
    line.say("echo LOOK\"\"ING; until [ -e /sys/class/net/eth0 ]; do :; done; echo SE\"\"EN\n")?;
    line.wait_for(b"LOOKING", UP_WITHIN).map(|_| ())
}

/// Whether the tap is there before the NIC is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Tap {
    IsThere,
    IsMade,
}

/// A QEMU that nobody but us commands.
struct Bare {
    qmp: Qmp,
    lan: Lan,
    /// Where what will be done is written down.
    journal: File,
    mac: MacAddress,
    /// Where there is room for a device.
    port: String,
}

impl Bare {
    fn plug(&mut self, line: &mut SerialLine, tap: Tap) -> anyhow::Result<Duration> {
        let Self { qmp, lan, journal, mac, port } = self;
        if tap == Tap::IsThere {
            drop(lan.tap()?);
        }
        look_for_it(line)?;
        let begun = Instant::now();
        if tap == Tap::IsMade {
            journal.write_all(&[b'.'; RECORD])?;
            journal.sync_data()?;
            lan.quick_tap()?;
        }
        let backend = json!({
            "type": "tap", "id": "net", "ifname": Lan::TAP, "script": "no", "downscript": "no",
        });
        qmp.execute("netdev_add", &backend)?;
        let device = json!({
            "driver": "virtio-net-pci", "id": NAME, "netdev": "net", "mac": mac, "bus": port,
            "romfile": "",
        });
        qmp.execute("device_add", &device)?;
        let seen = line.wait_for(b"SEEN", UP_WITHIN)?;
        qmp.execute("device_del", &json!({ "id": NAME }))?;
        qmp.event(|event| event["event"] == "DEVICE_DELETED" && event["data"]["device"] == NAME)?;
        qmp.execute("netdev_del", &json!({ "id": "net" }))?;
        lan.remove_tap()?;
        Ok(seen - begun)
    }
}

/// A root port of a machine's with nothing in it.
fn free_port(incarnation: &Incarnation) -> anyhow::Result<String> {
    let argv = incarnation.argv.join(" ");
    (0..32)
        .map(|number| format!("port{number}"))
        .find(|port| {
            argv.contains(&format!("\"id\":\"{port}\""))
                && !argv.contains(&format!("\"bus\":\"{port}\""))
        })
        .context("there is no room for a NIC")
}
