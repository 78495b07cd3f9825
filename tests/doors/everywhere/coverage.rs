//! That the table is whole: every change that a surface's document offers is in it, or is none of a VM's.

use super::changes::CHANGES;
use crate::harness::{Daemon, changes_in};
use std::collections::BTreeSet;

/// What changes nothing of a VM that another surface shows, by the native API.
const OF_NO_VM: &[&str] = &[
    // Who may come in, and how.
    "beginBrowserSession",
    "endBrowserSession",
    "signIn",
    "signOut",
    "signAccountOut",
    "createChallenge",
    "createToken",
    "revokeToken",
    "createCertificate",
    "revokeCertificate",
    "renewCertificate",
    "createStreamTicket",
    "createVmTicket",
    // What a project may take, and how the daemon works.
    "replaceProjectQuota",
    "changeProjectQuota",
    "deleteProjectQuota",
    "setLogLevel",
    "setQueue",
    "reconcileVm",
    // What VMs are made of.
    "addImage",
    "uploadImage",
    "removeImage",
    "createNetwork",
    "replaceNetwork",
    "changeNetwork",
    "deleteNetwork",
    "createSubnet",
    "deleteSubnet",
    "reserveAddresses",
    "releaseAddresses",
    // What becomes of a change that is in the table.
    "cancelTask",
    "resumeTask",
    "undoTask",
    // What is done inside of a guest.
    "freezeVm",
    "thawVm",
    "pingVmAgent",
    "setVmTime",
    "execInVm",
    "writeVmFile",
    "pressVmKeys",
    // They need a machine that somebody else has made: `libvirt` and `harm` look at all surfaces.
    "adoptVm",
    "adoptMachine",
];

/// Requests of the VMM service that read, though all of its requests are POSTs.
const READS: &[&str] = &["ping", "info", "list", "task"];

/// Commands of `vmadm` that read.
const COMMANDS_THAT_READ: &[&str] = &["list", "lookup", "get", "events", "help"];

fn offered(document: &str) -> BTreeSet<String> {
    changes_in(document).into_iter().map(|operation| operation.id).collect()
}

/// All commands of `vmadm`, as its help has them.
fn commands() -> BTreeSet<String> {
    let help = Daemon::prepared("").inn_ok(&["vmadm", "--help"]);
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| line.starts_with("  "));
    listed.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
}

#[test]
fn every_change_that_a_surface_offers_is_in_the_table() {
    for (surface, offered, others) in [
        ("native", offered("crates/api/openapi.json"), OF_NO_VM),
        // It only shows.
        ("vminfod", offered("docs/doors/vminfod.openapi.json"), &[]),
        ("vmadm", commands(), COMMANDS_THAT_READ),
        ("vmm", offered("docs/doors/vmm.openapi.json"), READS),
        ("chypervisord", offered("docs/doors/chypervisord.openapi.json"), &[]),
        ("virtx", offered("docs/doors/virtx.openapi.json"), &[]),
    ] {
        assert!(!offered.is_empty() || surface == "vminfod", "{surface}: nothing was read");
        let rows = CHANGES.iter().filter(|change| change.by == surface).map(|change| change.what);
        let rows: BTreeSet<String> = rows.map(str::to_owned).collect();
        let others: BTreeSet<String> = others.iter().map(|&other| other.to_owned()).collect();
        let neither: Vec<_> =
            offered.iter().filter(|it| !(rows.contains(*it) || others.contains(*it))).collect();
        assert!(neither.is_empty(), "{surface}: neither in the table nor of no VM: {neither:?}");
        let both: Vec<_> = rows.intersection(&others).collect();
        assert!(both.is_empty(), "{surface}: in the table, and said to be of no VM: {both:?}");
        let of_the_past: Vec<_> = others.difference(&offered).collect();
        assert!(of_the_past.is_empty(), "{surface}: there is no such thing: {of_the_past:?}");
    }
}
