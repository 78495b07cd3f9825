use super::*;
use crate::command_line::tests as building;
use innkeeper_driver::{Flow, Launch};
use innkeeper_model::{
    ByteSize, Facts, Foreign, MachineFiles, MemoryImage, ProcessIdentity, Timestamp,
};
use innkeeper_store::journal::{Journal, JournalOptions};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, sync::Arc};

/// What was running when something is planned.
struct Before {
    incarnation: Option<Incarnation>,
    machine: MachineState,
}

const PLAIN: &str = r#"{ "name": "web", "display": "none" }"#;

fn planned(operation: &Operation, before: &Before) -> Result<Vec<Step>, Refusal> {
    planned_of(PLAIN, &[], operation, before)
}

fn planned_of(
    config: &str,
    plugs: &[Plug],
    operation: &Operation,
    before: &Before,
) -> Result<Vec<Step>, Refusal> {
    let spec = building::spec(serde_json::from_str(config).unwrap());
    let (files, hypervisor) = (MachineFiles::default(), building::hypervisor());
    let new = "11111111-89ab-7def-8123-456789abcdef".parse().unwrap();
    let launch = Launch { incarnation: new, now: Timestamp::UNIX_EPOCH };
    let facts = Facts { machine: before.machine, ..Facts::default() };
    let context = PlanContext {
        spec: &spec,
        incarnation: before.incarnation.as_ref(),
        facts: &facts,
        files: &files,
        plugs,
        hypervisor: &hypervisor,
        launch: &launch,
        managed: None,
    };
    let confinement = Confinement::none();
    let steps = plan(operation, &context, Path::new("/run"), "boot", &confinement)?;
    Ok(steps.iter().map(QemuStep::to_step).collect())
}

fn running() -> Before {
    running_of(PLAIN)
}

fn running_of(config: &str) -> Before {
    let (incarnation, _) = building::built(serde_json::from_str(config).unwrap());
    Before { incarnation: Some(incarnation), machine: MachineState::Running }
}

fn image(incarnation: Incarnation) -> Arc<MemoryImage> {
    Arc::new(MemoryImage {
        schema: 1,
        incarnation,
        size: ByteSize(1 << 20),
        checksum: "crc64nvme:0".into(),
        created: Timestamp::UNIX_EPOCH,
    })
}

/// A step as a person would read it. What a machine is built from is shown elsewhere.
fn shown(steps: &[Step]) -> String {
    let line = |step: &Step| {
        let arguments = match step.name.as_str() {
            "qemu/launch" | "qemu/adopt" => String::new(),
            _ => step.arguments.to_string(),
        };
        format!("{} {:?} {arguments}\n", step.name, step.crash)
    };
    steps.iter().map(line).collect()
}

#[test]
fn every_operation_is_planned_for_one_machine() {
    let before = running();
    let saved = before.incarnation.clone().unwrap();
    let operations = [
        Operation::Start,
        Operation::Stop { timeout: Duration::from_secs(9) },
        Operation::Kill,
        Operation::PutAway,
        Operation::Reset,
        Operation::Pause,
        Operation::Resume,
        Operation::Suspend { memory: "/pool/memory.img".into() },
        Operation::Restore { image: image(saved), memory: "/pool/memory.img".into() },
        Operation::Dump { file: "/pool/dump.elf".into() },
    ];
    let plan = |operation: &Operation| planned(operation, &before).unwrap();
    insta::assert_snapshot!(all_shown(&operations, plan));
}

/// The plans of operations, whose steps are all read as they were written.
fn all_shown(operations: &[Operation], plan: impl Fn(&Operation) -> Vec<Step>) -> String {
    let mut all = String::new();
    for operation in operations {
        let steps = plan(operation);
        for step in &steps {
            assert_eq!(QemuStep::from_step(step).unwrap().to_step(), *step);
        }
        let name = format!("{operation:?}");
        let name = name.split([' ', '{']).next().unwrap_or_default();
        all.push_str(&format!("{name}:\n{}\n", shown(&steps)));
    }
    all
}

/// A VM whose NIC is on a network and has its cable out.
const WIRED: &str = r#"{ "name": "web", "display": "none", "nics": [
    { "name": "lan", "network": "office", "mac": "52:54:00:00:00:01", "connected": false }
] }"#;

fn plug(address: &str) -> Plug {
    serde_json::from_value(json!({
        "vm": "01234567-89ab-7def-8123-456789abcdef",
        "nic": "lan",
        "network": "22222222-89ab-7def-8123-456789abcdef",
        "tap": "ink0",
        "mac": "52:54:00:00:00:01",
        "addresses": [address],
        "hostname": "web",
    }))
    .unwrap()
}

fn changes_of_nics() -> [Operation; 2] {
    let nic: DeviceName = "lan".parse().unwrap();
    let set_link = Operation::SetLink { nic: nic.clone(), up: false, before: true };
    [Operation::ChangePlug { nic }, set_link]
}

#[test]
fn every_change_of_a_nic_is_planned_for_one_machine() {
    let mut before = running_of(WIRED);
    let saved = before.incarnation.clone().unwrap();
    before.incarnation.as_mut().unwrap().plugs = vec![plug("10.1.0.2")];
    let nic: DeviceName = "lan".parse().unwrap();
    let restore = Operation::Restore { image: image(saved), memory: "/pool/memory.img".into() };
    let [change_plug, set_link] = changes_of_nics();
    // What is written of one that is plugged in is in the golden journal.
    let operations = [Operation::UnplugNic { nic }, change_plug, set_link, restore];
    let plugs = [plug("10.1.0.3")];
    let plan = |operation: &Operation| planned_of(WIRED, &plugs, operation, &before).unwrap();
    insta::assert_snapshot!(all_shown(&operations, plan));
}

/// It came to the spec after the machine was made, and is the next machine's.
#[test]
fn the_cable_of_a_nic_that_a_machine_has_not_is_left_alone() {
    let before = running();
    let saved = before.incarnation.clone().unwrap();
    let plugs = [plug("10.1.0.3")];
    let plan = |operation: &Operation| planned_of(WIRED, &plugs, operation, &before).unwrap();
    for operation in changes_of_nics() {
        assert_eq!(shown(&plan(&operation)), "", "{operation:?}");
    }
    let restore = Operation::Restore { image: image(saved), memory: "/pool/memory.img".into() };
    let cables = plan(&restore).into_iter().filter(|step| step.name == "qemu/set-link");
    assert_eq!(cables.count(), 0);
}

#[test]
fn a_pause_is_undone_only_for_a_guest_that_ran() {
    for (machine, ran) in [(MachineState::Running, true), (MachineState::Paused, false)] {
        let steps = planned(&Operation::Pause, &Before { machine, ..running() }).unwrap();
        assert_eq!(steps[0].arguments["pause"]["ran"], ran);
    }
}

#[test]
fn the_end_of_an_unknown_machine_can_be_planned() {
    let unknown = Before { incarnation: None, machine: MachineState::Unresponsive };
    let steps = planned(&Operation::Kill, &unknown).unwrap();
    assert_eq!(steps[0].arguments, json!({ "kill": { "of": null } }));
}

fn foreign() -> Foreign {
    Foreign {
        driver: "qemu".into(),
        process: ProcessIdentity { pid: 7, start_ticks: 8 },
        name: None,
        uid: 0,
        manager: None,
        cpus: Some(2),
        memory: None,
        socket: Some("/tmp/qmp".into()),
        not_adoptable: None,
    }
}

#[test]
fn only_what_is_nobodys_and_can_be_reached_is_adopted() {
    let nothing = Before { incarnation: None, machine: MachineState::Absent };
    let plan = |machine| planned(&Operation::Adopt { machine: Box::new(machine) }, &nothing);
    let steps = plan(foreign()).unwrap();
    assert_eq!(shown(&steps), "qemu/adopt Repeat \n");
    assert_eq!(QemuStep::from_step(&steps[0]).unwrap().to_step(), steps[0]);
    assert_eq!(steps[0].arguments["adopt"]["incarnation"]["process"]["start_ticks"], 8);
    for machine in [
        Foreign { not_adoptable: Some("libvirt manages it".into()), ..foreign() },
        Foreign { socket: None, ..foreign() },
        Foreign { driver: "another".into(), ..foreign() },
    ] {
        assert_eq!(plan(machine).unwrap_err().code, Code::Unsupported);
    }
}

#[test]
fn the_memory_of_an_adopted_machine_is_not_kept() {
    let mut before = running();
    before.incarnation.as_mut().unwrap().adopted = true;
    let suspend = Operation::Suspend { memory: "/pool/memory.img".into() };
    assert_eq!(planned(&suspend, &before).unwrap_err().code, Code::Unsupported);
    planned(&Operation::Kill, &before).unwrap();
}

/// Journals of version 0.1 are read for ever.
#[test]
fn the_first_versions_steps_are_understood() {
    let mut launched = serde_json::to_value(running().incarnation).unwrap();
    launched.as_object_mut().unwrap().remove("opens");
    let launch =
        json!({ "launch": { "incarnation": launched, "opens": [{ "listener": "qmp.sock" }] } });
    let first = |arguments: Value| Step {
        name: "qemu/any".into(),
        about: None,
        schema: 1,
        crash: Crash::Repeat,
        arguments,
    };
    for (arguments, expected) in [
        (json!("continue"), json!({ "continue": { "of": null, "from_memory": false } })),
        (json!("pause"), json!({ "pause": { "of": null, "ran": false } })),
        (
            json!({ "prepare": { "uid": 7 } }),
            json!({ "prepare": { "of": null, "uid": 7, "goes_on": false } }),
        ),
        (
            json!({ "power_down": { "timeout_ms": 5 } }),
            json!({ "power_down": { "of": null, "timeout_ms": 5 } }),
        ),
        (json!("reset"), json!({ "reset": { "of": null } })),
        (json!("quit"), json!({ "quit": { "of": null } })),
        (json!("kill"), json!({ "kill": { "of": null } })),
        (json!("put_away"), json!({ "put_away": { "of": null } })),
    ] {
        let step = QemuStep::from_step(&first(arguments)).unwrap();
        assert_eq!(serde_json::to_value(step).unwrap(), expected);
    }
    let step = QemuStep::from_step(&first(launch)).unwrap();
    let QemuStep::Launch(incarnation) = step else { panic!("{step:?}") };
    assert_eq!(incarnation.opens, json!([{ "listener": "qmp.sock" }]));
}

#[test]
fn a_newer_versions_step_is_refused() {
    let mut step = planned(&Operation::Reset, &running()).unwrap().remove(0);
    step.schema += 1;
    assert!(matches!(QemuStep::from_step(&step), Err(StepError::Failed(_))));
}

/// The steps of this driver in the plans of a journal that a released version wrote, or of this one's.
fn written_by(version: &Path) -> Vec<Step> {
    let apart = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(version.join("journal")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), apart.path().join(entry.file_name())).unwrap();
    }
    let records = Journal::open(JournalOptions::new(apart.path())).unwrap().records;
    let entries = records.iter().map(|it| serde_json::from_slice::<Value>(&it.bytes).unwrap());
    let flows = entries.filter(|entry| entry["entry"] == "begun").map(|mut entry| {
        serde_json::from_value::<Vec<Flow<Step>>>(entry["plan"]["flow"].take()).unwrap()
    });
    let steps = flows.flatten().flat_map(Flow::into_steps);
    steps.filter(|step| step.name.starts_with("qemu/")).collect()
}

#[test]
fn steps_that_released_versions_wrote_are_known() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../engine/tests/golden-qemu");
    for version in fs::read_dir(golden).unwrap() {
        let version = version.unwrap().path();
        let mut names = BTreeSet::new();
        for written in written_by(&version) {
            let read = QemuStep::from_step(&written).unwrap();
            assert_eq!((read.name(), read.crash()), (&*written.name, written.crash));
            if written.schema == SCHEMA {
                assert_eq!(read.to_step(), written);
            }
            names.insert(written.name);
        }
        let missing: Vec<&str> = [
            "prepare",
            "launch",
            "continue",
            "pause",
            "save-memory",
            "load-memory",
            "power-down",
            "reset",
            "quit",
            "kill",
            "put-away",
            "plug-nic",
        ]
        .into_iter()
        .filter(|name| !names.contains(&format!("qemu/{name}")))
        .collect();
        assert!(missing.is_empty(), "{} has no {missing:?}", version.display());
    }
}
