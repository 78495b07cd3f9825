//! That the page about operations (docs/operations.md) has every kind that there is, and says what the code does:
//! which way each goes after a crash, from where on only forward, and in which states of a VM it is legal.

use super::{networks::lan, nics::nic, *};
use crate::{
    accept::{
        kind::Kind,
        legality::{MachineVerb as Verb, Operation as Asked, after},
        request::NicChange,
    },
    networks::changes::NetworkChange,
};
use innkeeper_model::{SubnetId, VmState};
use std::collections::BTreeSet;

/// A plan of each kind.
fn planned(kind: Kind) -> Plan {
    let size = ByteSize(1 << 30);
    let running = || on(bare(), MachineState::Running);
    let plug = |change| {
        let change = |nic| match change {
            Kind::NicAdd => NicChange::Add(nic),
            Kind::NicRemove => NicChange::Remove(nic.name),
            _ => NicChange::Set(nic),
        };
        change_nic(&off(bare()), &off(bare()), &change(Box::new(nic("lan"))), Vec::new())
    };
    let network = |before| NetworkChange::Save { network: lan(), before };
    let (id, subnet, reservations) = (lan().id, SubnetId::new(), Vec::new());
    let plan = match kind {
        Kind::Create => Ok(create(spec(config()), None, size, Vec::new(), &hypervisor(false))),
        Kind::Clone => Ok(clone(VmId::new(), spec(config()), size, Vec::new())),
        Kind::Import => {
            Ok(import(".a".into(), spec(config()), size, Vec::new(), &hypervisor(false)))
        }
        Kind::Edit => {
            let before = spec(bare());
            let sizes = (size, size);
            Ok(edit(before.clone(), before, None, sizes, Vec::new(), &hypervisor(false)))
        }
        Kind::Delete => delete(&off(config()), false),
        Kind::Start => start(&off(config()), false),
        Kind::Stop => stop(&running(), TIMEOUT),
        Kind::Kill => kill(&running()),
        Kind::Reboot => reboot(&running(), TIMEOUT, false),
        Kind::Reset => reset(&running()),
        Kind::Pause => pause(&running()),
        Kind::Resume => resume(&on(bare(), MachineState::Paused)),
        Kind::Suspend => suspend(&running()),
        Kind::Preserve => preserve(&panicked(bare())),
        Kind::PutAway => put_away(&on(bare(), MachineState::Ended), false),
        Kind::NicAdd | Kind::NicRemove | Kind::NicChange => plug(kind),
        Kind::Adopt => Ok(adopt_managed(spec(bare()))),
        Kind::ImageAdd => Ok(add_image(image())),
        Kind::ImageRemove => Ok(remove_image(image().name)),
        Kind::NetworkCreate => Ok(change_network(network(None))),
        Kind::NetworkEdit | Kind::SubnetCreate | Kind::SubnetDelete => {
            Ok(change_network(network(Some(lan()))))
        }
        Kind::NetworkDelete => Ok(change_network(NetworkChange::Remove { network: lan() })),
        Kind::SubnetReserve => {
            Ok(change_network(NetworkChange::Reserve { network: id, subnet, reservations }))
        }
        Kind::SubnetRelease => {
            Ok(change_network(NetworkChange::Release { network: id, subnet, reservations }))
        }
    };
    plan.unwrap()
}

#[test]
fn the_page_has_every_kind_of_operation_and_no_other() {
    for kind in Kind::ALL {
        is_on_the_page(kind.name(), "as it is planned here", &planned(*kind));
    }
    // The names in the first cells of the table.
    let rows = PAGE.lines().skip_while(|line| !line.starts_with("| operation | after a crash"));
    let rows = rows.skip(2).take_while(|line| line.starts_with('|'));
    let cells: String = rows.filter_map(|row| row.split('|').nth(1)).collect();
    let named: BTreeSet<&str> = cells.split('`').skip(1).step_by(2).collect();
    let known: BTreeSet<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(named, known);
}

/// How each kind can be asked of a VM, and what the table of legality is then asked.
fn asked(kind: Kind) -> &'static [(&'static str, Asked)] {
    match kind {
        Kind::Start => &[
            ("`start`", Asked::Machine(Verb::Start)),
            ("`start --discard-memory`", Asked::Machine(Verb::StartAfresh)),
        ],
        Kind::Stop => &[("`stop`", Asked::Machine(Verb::Stop))],
        Kind::Kill => &[("`kill`", Asked::Machine(Verb::Kill))],
        Kind::Reboot => &[
            ("`reboot`", Asked::Machine(Verb::Reboot)),
            ("`reboot --force`", Asked::Machine(Verb::ForcedReboot)),
        ],
        Kind::Reset => &[("`reset`", Asked::Machine(Verb::Reset))],
        Kind::Pause => &[("`pause`", Asked::Machine(Verb::Pause))],
        Kind::Resume => &[
            ("`resume`, of the machine", Asked::Machine(Verb::Resume)),
            ("`resume`, from memory", Asked::Machine(Verb::Restore)),
        ],
        Kind::Suspend => &[("`suspend`", Asked::Machine(Verb::Suspend))],
        Kind::Preserve => &[("`preserve`", Asked::Machine(Verb::Preserve))],
        Kind::PutAway => &[("`put-away`", Asked::Machine(Verb::PutAway))],
        Kind::Edit => &[("`edit`", Asked::Edit)],
        Kind::NicAdd => &[("`nic-add`, `nic-remove`, `nic-change`", Asked::ChangeNics)],
        Kind::Clone => &[("`clone`", Asked::Clone)],
        Kind::ImageAdd => &[("`image-add` of one of its disks", Asked::Commit)],
        Kind::Delete => &[
            ("`delete`", Asked::Delete),
            ("`delete --force`", Asked::ForcedDelete),
            ("`delete` of one that was adopted from another manager", Asked::LetGo),
        ],
        // With the first of them.
        Kind::NicRemove | Kind::NicChange => &[],
        // There is no VM yet, or it is about none.
        Kind::Create
        | Kind::Import
        | Kind::Adopt
        | Kind::ImageRemove
        | Kind::NetworkCreate
        | Kind::NetworkEdit
        | Kind::NetworkDelete
        | Kind::SubnetCreate
        | Kind::SubnetDelete
        | Kind::SubnetReserve
        | Kind::SubnetRelease => &[],
    }
}

/// What becomes of a VM in each state by each operation.
fn legality() -> String {
    let columns: String = VmState::ALL.iter().map(|state| format!(" {state} |")).collect();
    let mut table =
        format!("| of a VM that is |{columns}\n|---|{}\n", "---|".repeat(VmState::ALL.len()));
    for (label, operation) in Kind::ALL.iter().flat_map(|kind| asked(*kind)) {
        let cell = |state: &VmState| match after(*operation, *state) {
            Some(then) => format!(" {then} |"),
            None => " – |".into(),
        };
        let cells: String = VmState::ALL.iter().map(cell).collect();
        writeln!(table, "| {label} |{cells}").unwrap();
    }
    table
}

/// `UPDATE_DOCS=1 cargo test -p innkeeper-engine the_page_says_when_what_is_legal` writes it anew.
#[test]
fn the_page_says_when_what_is_legal() {
    const BEGIN: &str = "<!-- what is legal when -->\n\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (kept, after) = rest.split_once("\n\n").unwrap();
    let table = legality();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        return std::fs::write(path, format!("{before}{BEGIN}{table}\n{after}")).unwrap();
    }
    assert!(
        kept == table.trim_end(),
        "{path} is out of date: UPDATE_DOCS=1 writes it anew\n{table}"
    );
}
