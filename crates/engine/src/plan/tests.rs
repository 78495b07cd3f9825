//! What every operation comes to, as people see it: one snapshot an operation, a table a variant.

mod networks;
mod nics;
mod page;

use super::*;
use crate::accept::request::{AddImage, ImageFrom};
use innkeeper_driver::Observer;
use innkeeper_model::{
    ByteSize, Foreign, HypervisorEvent, ImageKind, IncarnationId, ProcessIdentity, Timestamp, VmId,
    VmName, config::CloudInit, host::UefiFirmware,
};
use innkeeper_sim::{Clock, SimDriver, World, WorldOptions};
use serde_json::{Value, json};
use std::{fmt::Write as _, time::Duration};

/// Nobody listens: nothing happens.
struct Nobody;

impl Observer for Nobody {
    fn facts(&self, _: VmId, _: Facts) {}
    fn incarnation(&self, _: VmId, _: Option<Arc<Incarnation>>) {}
    fn problem(&self, _: VmId, _: Option<String>) {}
    fn event(&self, _: VmId, _: HypervisorEvent) {}
}

const TIMEOUT: Duration = Duration::from_secs(9);

/// A disk to write, two to read, and a NIC without a way out.
fn config() -> Value {
    json!({
        "name": "web",
        "disks": [
            { "name": "root", "size": "1GiB" },
            { "name": "data", "size": "1GiB" },
            { "name": "iso", "size": "1MiB", "read_only": true },
        ],
        "nics": [{ "name": "lan", "network": "none" }],
    })
}

/// A machine without a device.
fn bare() -> Value {
    json!({ "name": "web" })
}

/// A disk that is a file of the host's.
fn host_file() -> Value {
    json!([{ "name": "root", "path": "/srv/root.raw", "format": "raw" }])
}

fn with(mut config: Value, field: &str, value: Value) -> Value {
    config[field] = value;
    config
}

fn spec(config: Value) -> Arc<Spec> {
    let assigned = json!({ "machine": "sim-1.0", "cpu_model": "sim", "devices": {}, "ports": 4 });
    Arc::new(Spec {
        id: VmId::new(),
        revision: innkeeper_model::Revision(1),
        created: Timestamp::UNIX_EPOCH,
        updated: Timestamp::UNIX_EPOCH,
        want: Want::Stopped,
        draft: false,
        driver: None,
        config: serde_json::from_value(config).unwrap(),
        assigned: serde_json::from_value(assigned).unwrap(),
    })
}

fn hypervisor(uefi: bool) -> Hypervisor {
    let uefi =
        uefi.then(|| UefiFirmware { code: "/uefi/code".into(), variables: "/uefi/vars".into() });
    Hypervisor {
        version: "1".into(),
        accelerator: "none".into(),
        machines: vec!["sim-1.0".into()],
        uefi,
        ..Hypervisor::default()
    }
}

/// A VM that is off, with nothing left of it.
fn off(config: Value) -> Context {
    let world = World::in_memory(WorldOptions { clock: Clock::Virtual, ..WorldOptions::default() });
    Context {
        plugs: Vec::new(),
        driver: Arc::new(SimDriver::new(world, Arc::new(Nobody))),
        hypervisor: Arc::new(hypervisor(false)),
        spec: spec(config),
        incarnation: None,
        managed: None,
        facts: Facts::default(),
        files: MachineFiles::default(),
        launch: Launch { incarnation: IncarnationId::new(), now: Timestamp::UNIX_EPOCH },
        memory: None,
        memory_problem: None,
        memory_file: "/pool/memory.img".into(),
        dump_file: "/pool/dump.elf".into(),
        hooks: BTreeSet::new(),
    }
}

/// A VM with a machine in this state.
fn on(config: Value, machine: MachineState) -> Context {
    let off = off(config);
    let incarnation = incarnation(&off);
    let facts = Facts { machine, ..Facts::default() };
    Context { incarnation: Some(Arc::new(incarnation)), facts, ..off }
}

/// A VM whose machine's process has died.
fn dead(config: Value) -> Context {
    let died = Some(EndReason::HypervisorDied { status: None });
    let facts = Facts { last_end: died, ..Facts::default() };
    Context { facts, ..on(config, MachineState::Absent) }
}

/// A VM whose guest has panicked.
fn panicked(config: Value) -> Context {
    let on = on(config, MachineState::Ended);
    Context { facts: Facts { last_end: Some(EndReason::GuestPanic), ..on.facts.clone() }, ..on }
}

/// A VM whose memory is kept.
fn suspended(config: Value) -> Context {
    let off = off(config);
    let image = MemoryImage {
        schema: 1,
        incarnation: incarnation(&off),
        size: ByteSize(1 << 20),
        checksum: "crc64nvme:0".into(),
        created: Timestamp::UNIX_EPOCH,
    };
    Context { memory: Some(Arc::new(image)), ..off }
}

fn incarnation(context: &Context) -> Incarnation {
    let config = &context.spec.config;
    let disk = |disk: &innkeeper_model::config::Disk| {
        let kind = if disk.is_read_only() { "read-only-disk" } else { "disk" };
        format!("{kind} {}", disk.name)
    };
    let nics = config.nics.iter().map(|nic| format!("nic {}", nic.name));
    let opens: Vec<String> = config.disks.iter().map(disk).chain(nics).collect();
    serde_json::from_value(json!({
        "schema": 1, "id": IncarnationId::new(), "vm": context.spec.id, "spec_revision": 1,
        "boot_id": "boot", "created": "2026-01-01T00:00:00Z", "driver": "sim",
        "hypervisor_version": "1", "machine": "sim-1.0", "cpu_model": "sim", "accelerator": "none",
        "cpus": 1, "memory": "512MiB", "run_folder": "/run", "argv": [], "opens": opens,
        "block_nodes": {},
    }))
    .unwrap()
}

fn hooked(context: Context) -> Context {
    Context { hooks: HookEvent::ALL.into(), ..context }
}

/// Plans as people see them, each under what it is planned for.
#[derive(Default)]
struct Printed(String);

impl Printed {
    fn add(&mut self, operation: &str, variant: &str, plan: Plan) {
        let written = serde_json::to_string(&plan).unwrap();
        let read: Plan = serde_json::from_str(&written).unwrap();
        // What is left out of the written form is secret, and looked at elsewhere.
        assert_eq!(read.printed(operation), plan.printed(operation), "{variant}");
        is_on_the_page(operation, variant, &plan);
        let converges = if plan.converges { ", converges" } else { "" };
        let PlannedOperation { operation, after_crash, steps } = plan.printed(operation);
        let out = &mut self.0;
        writeln!(out, "{operation}: {variant} (after a crash: {after_crash}{converges})").unwrap();
        writeln!(out, "  part  crash   way back  path").unwrap();
        for PlannedStep { path, part, crash, way_back } in steps {
            let way_back = if way_back { "yes" } else { "no" };
            writeln!(out, "  {part:>4}  {crash:<6}  {way_back:<8}  {path}").unwrap();
        }
        writeln!(out).unwrap();
    }

    fn settled(mut self) -> String {
        self.0.truncate(self.0.trim_end().len());
        self.0
    }
}

/// The page about operations.
const PAGE: &str = include_str!("../../../../docs/operations.md");

/// That the page about operations says which way a plan goes after a crash, and from where on only forward.
#[track_caller]
fn is_on_the_page(operation: &str, variant: &str, plan: &Plan) {
    // The first cell may name several, and says of which VMs it is.
    let name = format!("`{}`", operation.split(' ').next().unwrap());
    let is_row = |line: &&str| line.split('|').nth(1).is_some_and(|cell| cell.contains(&name));
    let says_so = |row: &str| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, _, way, from, _] = cells[..] else { return false };
        let from_where = match plan.no_return {
            None => from == "never" || from.contains("if "),
            Some(0) => from == "its beginning",
            Some(_) => !["never", "its beginning"].contains(&from),
        };
        way == plan.after_crash.word() && from_where
    };
    let mut rows = PAGE.lines().filter(is_row);
    assert!(rows.any(says_so), "docs/operations.md does not say so of {operation}, {variant}");
}

/// One operation planned for many states.
fn each(
    operation: &str,
    plan: impl Fn(&Context) -> Result<Plan, Refusal>,
    variants: impl IntoIterator<Item = (&'static str, Context)>,
) -> String {
    let mut printed = Printed::default();
    for (variant, context) in variants {
        printed.add(operation, variant, plan(&context).unwrap());
    }
    printed.settled()
}

#[test]
fn start_prints() {
    let user_nic = json!([{ "name": "lan" }, { "name": "wan" }]);
    let plain = each(
        "start",
        |context| start(context, false),
        [
            ("plain", off(bare())),
            ("with disks and a NIC", off(config())),
            ("with a NIC that has a way out", off(with(bare(), "nics", user_nic))),
            ("with a host's file", off(with(bare(), "disks", host_file()))),
            ("with the remains of a machine that died", dead(bare())),
            ("with hooks", hooked(off(bare()))),
            ("with hooks, after a crash", hooked(dead(bare()))),
            ("with hooks, after the guest's own end", hooked(on(bare(), MachineState::Ended))),
            ("wanted running already", wanted(off(bare()), Want::Running)),
        ],
    );
    let afresh = each(
        "start --discard-memory",
        |context| start(context, true),
        [("suspended", suspended(bare())), ("not suspended", off(bare()))],
    );
    insta::assert_snapshot!("start", format!("{plain}\n\n{afresh}"));
}

fn wanted(context: Context, want: Want) -> Context {
    Context { spec: Arc::new(Spec { want, ..Spec::clone(&context.spec) }), ..context }
}

#[test]
fn stop_prints() {
    let variants = [
        ("running", on(bare(), MachineState::Running)),
        ("with hooks", hooked(on(bare(), MachineState::Running))),
    ];
    insta::assert_snapshot!("stop", each("stop", |context| stop(context, TIMEOUT), variants));
}

#[test]
fn kill_prints() {
    let variants = [
        ("running", on(bare(), MachineState::Running)),
        ("with hooks", hooked(on(bare(), MachineState::Unresponsive))),
        ("a machine that is gone", off(bare())),
    ];
    insta::assert_snapshot!("kill", each("kill", kill, variants));
}

#[test]
fn reboot_prints() {
    let running = || on(config(), MachineState::Running);
    let asked = each(
        "reboot",
        |context| reboot(context, TIMEOUT, false),
        [("running", running()), ("with hooks", hooked(running()))],
    );
    let forced = each(
        "reboot --force",
        |context| reboot(context, TIMEOUT, true),
        [("running", running()), ("with hooks", hooked(running()))],
    );
    insta::assert_snapshot!("reboot", format!("{asked}\n\n{forced}"));
}

#[test]
fn reset_prints() {
    let variants = [("running", on(bare(), MachineState::Running))];
    insta::assert_snapshot!("reset", each("reset", reset, variants));
}

#[test]
fn pause_and_resume_print() {
    let held = each("pause", pause, [("running", on(bare(), MachineState::Running))]);
    let let_go = each(
        "resume",
        resume,
        [
            ("paused", on(bare(), MachineState::Paused)),
            ("made and never let run", on(bare(), MachineState::Created)),
        ],
    );
    insta::assert_snapshot!("pause", held);
    insta::assert_snapshot!("resume", let_go);
}

#[test]
fn put_away_prints() {
    let variants = || {
        [
            ("its guest has ended", on(bare(), MachineState::Ended)),
            ("with hooks", hooked(on(bare(), MachineState::Ended))),
            ("with hooks, after a crash", hooked(dead(bare()))),
        ]
    };
    let put = each("put-away", |context| put_away(context, false), variants());
    let for_good = each("put-away for good", |context| put_away(context, true), variants());
    insta::assert_snapshot!("put_away", format!("{put}\n\n{for_good}"));
}

#[test]
fn preserve_prints() {
    let variants = [("a panic", panicked(bare())), ("with hooks", hooked(panicked(bare())))];
    insta::assert_snapshot!("preserve", each("preserve", preserve, variants));
}

#[test]
fn suspend_and_restore_print() {
    let kept = each(
        "suspend",
        suspend,
        [
            ("running", on(config(), MachineState::Running)),
            ("paused", on(config(), MachineState::Paused)),
            ("with hooks", hooked(on(config(), MachineState::Running))),
        ],
    );
    let user_nic = json!([{ "name": "lan" }]);
    let died = suspended(bare());
    let died = Context { incarnation: dead(bare()).incarnation, ..died };
    let back = each(
        "resume",
        restore,
        [
            ("suspended", suspended(config())),
            ("with a host's file", suspended(with(bare(), "disks", host_file()))),
            ("with a NIC that has a way out", suspended(with(bare(), "nics", user_nic))),
            ("with the remains of an earlier try", died),
            ("with hooks", hooked(suspended(bare()))),
        ],
    );
    insta::assert_snapshot!("suspend", kept);
    insta::assert_snapshot!("restore", back);
}

#[test]
fn a_machine_that_is_not_there_is_not_suspended_and_memory_that_is_not_kept_not_restored() {
    let refused = suspend(&off(bare())).unwrap_err();
    assert_eq!(refused.code, innkeeper_model::Code::WrongState);
    let refused = restore(&off(bare())).unwrap_err();
    assert_eq!(refused.code, innkeeper_model::Code::WrongState);
    assert!(refused.hint.is_some_and(|hint| hint.contains("inn start")));
}

fn seed() -> CloudInit {
    serde_json::from_value(json!({ "user_data": "#cloud-config" })).unwrap()
}

fn uefi() -> Value {
    let seed = serde_json::to_value(seed().sealed()).unwrap();
    let uefi = with(config(), "boot", json!({ "firmware": "uefi" }));
    with(uefi, "cloud_init", seed)
}

#[test]
fn create_prints() {
    let mut printed = Printed::default();
    let size = ByteSize(1 << 30);
    let mut add = |variant, config, seed, with_uefi| {
        let plan = create(spec(config), seed, size, Vec::new(), &hypervisor(with_uefi));
        printed.add("create", variant, plan);
    };
    add("without a disk", bare(), None, true);
    let one = json!([{ "name": "root", "size": "1GiB" }]);
    add("with one disk", with(bare(), "disks", one), None, true);
    add("with a host's file", with(bare(), "disks", host_file()), None, true);
    add("with a seed and no disk", bare(), Some(seed()), false);
    add("with disks, UEFI and a seed", uefi(), Some(seed()), true);
    insta::assert_snapshot!("create", printed.settled());
}

#[test]
fn clone_prints() {
    let mut printed = Printed::default();
    let mut add = |variant, config| {
        printed.add(
            "clone",
            variant,
            clone(VmId::new(), spec(config), ByteSize(1 << 30), Vec::new()),
        );
    };
    add("without a seed", config());
    add("with a seed", uefi());
    insta::assert_snapshot!("clone", printed.settled());
}

#[test]
fn import_prints() {
    let mut printed = Printed::default();
    let mut add = |variant, config, with_uefi| {
        let (from, size) = (".arrival-1".into(), ByteSize(1 << 30));
        let plan = import(from, spec(config), size, Vec::new(), &hypervisor(with_uefi));
        printed.add("import", variant, plan);
    };
    add("with a disk", config(), false);
    add("of UEFI", uefi(), true);
    insta::assert_snapshot!("import", printed.settled());
}

#[test]
fn edit_prints() {
    let mut printed = Printed::default();
    let size = ByteSize(2 << 30);
    let mut add = |variant, before: Value, after: Value, seed, size_after| {
        let before = spec(before);
        let after = Arc::new(Spec { id: before.id, ..Spec::clone(&spec(after)) });
        let plan = edit(before, after, seed, (size, size_after), Vec::new(), &hypervisor(true));
        printed.add("edit", variant, plan);
    };
    let disks = |names: &[&str]| {
        let disk = |name: &&str| json!({ "name": name, "size": "1GiB" });
        with(bare(), "disks", names.iter().map(disk).collect())
    };
    add("memory only", bare(), with(bare(), "memory", json!("1GiB")), None, size);
    add("one disk more", disks(&["a"]), disks(&["a", "b"]), None, ByteSize(3 << 30));
    add("two disks more", disks(&["a"]), disks(&["a", "b", "c"]), None, ByteSize(4 << 30));
    add("one disk less", disks(&["a", "b"]), disks(&["a"]), None, ByteSize(1 << 30));
    let (before, after) = (disks(&["a", "b", "c"]), disks(&["a", "d", "e"]));
    add("two disks for two others", before, after, None, size);
    add("one disk renamed", disks(&["a"]), disks(&["b"]), None, size);
    add("a host's file less", with(bare(), "disks", host_file()), bare(), None, size);
    let renamed = with(bare(), "name", json!("www"));
    add("renamed", bare(), renamed, None, size);
    let renamed = with(uefi(), "name", json!("www"));
    add("renamed, with a seed", uefi(), renamed, Some(seed()), size);
    add("the same, with a seed", uefi(), uefi(), Some(seed()), size);
    let other = with(uefi(), "project", json!("other"));
    add("to another project", uefi(), other, Some(seed()), size);
    let mut no_seed = uefi();
    no_seed.as_object_mut().unwrap().remove("cloud_init");
    add("a seed more", no_seed.clone(), uefi(), Some(seed()), size);
    add("a seed less", uefi(), no_seed, None, size);
    let firmware = with(bare(), "boot", json!({ "firmware": "uefi" }));
    add("UEFI in place of BIOS", bare(), firmware, None, size);
    insta::assert_snapshot!("edit", printed.settled());
}

#[test]
fn delete_prints() {
    let variants = [
        ("stopped", off(config())),
        ("running", on(config(), MachineState::Running)),
        ("with the remains of a machine that died", dead(config())),
        ("suspended", suspended(config())),
        ("with hooks", hooked(on(config(), MachineState::Running))),
    ];
    let whole = each("delete", |context| delete(context, false), variants);
    let damaged = [
        ("a damaged spec", off(bare())),
        ("a damaged spec, running", on(bare(), MachineState::Running)),
    ];
    let damaged = each("delete", |context| delete(context, true), damaged);
    insta::assert_snapshot!("delete", format!("{whole}\n\n{damaged}"));
}

fn image() -> AddImage {
    AddImage {
        name: "base".parse().unwrap(),
        kind: ImageKind::Disk,
        from: ImageFrom::File("/srv/base.qcow2".into()),
        format: None,
        initrd: None,
    }
}

#[test]
fn images_print() {
    let mut printed = Printed::default();
    printed.add("image-add", "a file", add_image(image()));
    printed.add("image-remove", "by its name", remove_image(image().name));
    insta::assert_snapshot!("images", printed.settled());
}

#[test]
fn adopt_prints() {
    let machine = Foreign {
        driver: "sim".into(),
        process: ProcessIdentity { pid: 7, start_ticks: 8 },
        name: Some("stranger".into()),
        uid: 0,
        manager: None,
        cpus: Some(2),
        memory: None,
        socket: Some("/tmp/qmp".into()),
        not_adoptable: None,
    };
    let plan = |context: &Context| adopt(context, machine.clone());
    let mut printed = Printed(each("adopt", plan, [("a stranger's", off(bare()))]) + "\n\n");
    printed.add("adopt", "another manager's", adopt_managed(spec(bare())));
    printed.add("delete", "another manager's", let_go(VmId::new(), false));
    insta::assert_snapshot!("adopt", printed.settled());
}

/// Paths are what points of a sweep and steps of a task are known by.
#[test]
fn no_two_steps_of_a_plan_have_one_path() {
    let kill = on(config(), MachineState::Running);
    let mut plan = kill.driver_flow(Operation::Kill).map(|flow| {
        let mut plan = Plan::new(AfterCrash::Forward);
        plan.driver(flow.clone());
        plan.driver(flow);
        plan
    });
    let paths = plan.as_mut().unwrap().paths();
    assert_eq!(paths, ["sim/kill", "sim/put-away", "sim/kill#2", "sim/put-away#2"]);
    let named: VmName = "web".parse().unwrap();
    assert_eq!(kill.spec.config.name, named);
}
